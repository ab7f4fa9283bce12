/* Text forms, sets of addresses and selectors; the sets are compared with counting one by one. */
#include "base/address.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/random.h"
#include "tests/support/test.h"

static struct address of(const char *text)
{
    struct address a = {0};

    CHECK(address_parse(slice_of_text(text), &a));
    return a;
}

static struct network net(const char *text)
{
    struct network n = {0};

    CHECK(network_parse(slice_of_text(text), &n));
    return n;
}

static struct range between(const char *first, const char *last)
{
    return (struct range){of(first), of(last)};
}

TEST(addresses_are_shown_as_rfc_5952_says)
{
    static const char *const cases[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"10.1.0.2", "10.1.0.2"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:0db8::0001", "2001:db8::1"},
        {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"2001:DB8::ABCD", "2001:db8::abcd"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:192.0.2.33", "1:2:3:4:5:6:c000:221"},
        {"::ffff:192.0.2.128", "::ffff:192.0.2.128"},
        {"::FFFF:C000:280", "::ffff:192.0.2.128"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"fe80::", "fe80::"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[ADDRESS_TEXT_BYTES];
        struct address a = of(cases[i][0]);
        struct address again = of(address_format(&a, text));

        CHECK_TEXT(text, cases[i][1]);
        CHECK(address_equal(&a, &again));
        CHECK_BYTES(&a, &again, sizeof(a));
    }
}

TEST(what_is_not_exactly_an_address_is_refused)
{
    static const char *const wrong[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.",
        ".1.2.3.4",
        "1.2.3.4.5",
        "1..2.3",
        "256.1.1.1",
        "01.2.3.4",
        "1.2.3.04",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.-4",
        "0x1.2.3.4",
        "1.2.3.4\n",
        "1.2.3.4444444444",
        ":",
        ":::",
        "1:2",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "1::2::3",
        ":1::",
        "1::2:",
        ":1:2:3:4:5:6:7",
        "12345::",
        "g::",
        "[::1]",
        "fe80::1%eth0",
        "1.2.3.4::",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "::1.2.3",
        "::1.2.3.256",
        "1:2:3:4:5:6:7:8:",
        "::/0",
        "10.0.0.0/8",
        "0000000000000000000000000000000000000000000000000000000000:1",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct address a = {.family = 99};

        CHECK(!address_parse(slice_of_text(wrong[i]), &a));
        CHECK(a.family == 99);
    }
    struct address a;

    CHECK(!address_parse((struct slice){NULL, 0}, &a));
    CHECK(!address_parse((struct slice){(const uint8_t *)"1.2.3.4\0", 8}, &a));
}

TEST(random_texts_are_judged_like_the_c_library_does)
{
    static const char letters[] = "0123456789abcdf::::..";
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);

    seeded_random_init(&seeded, 1);
    for (int round = 0; round < 300000; round++) {
        char text[24];
        uint8_t expected[16];
        size_t length = 2 + random_below(&random, 16);
        struct address a = {0};

        for (size_t i = 0; i < length; i++) {
            text[i] = letters[random_below(&random, sizeof(letters) - 1)];
        }
        text[length] = '\0';
        bool is_ipv6 = strchr(text, ':') != NULL;
        bool good = inet_pton(is_ipv6 ? AF_INET6 : AF_INET, text, expected) == 1;

        CHECK(address_parse(slice_of_text(text), &a) == good);
        if (good) {
            CHECK_BYTES(a.bytes, expected, is_ipv6 ? 16 : 4);
        }
    }
}

TEST(random_addresses_survive_their_text)
{
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);

    seeded_random_init(&seeded, 2);
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[16];
        char text[ADDRESS_TEXT_BYTES];

        random_fill(&random, bytes, sizeof(bytes));
        for (size_t i = 0; i < 8; i++) {
            if (random_below(&random, 2) == 0) {
                put_u16(bytes + 2 * i, (uint16_t)random_below(&random, 2));
            }
        }
        struct address a = address_ipv6_bytes(bytes);
        struct address again = of(address_format(&a, text));

        CHECK_BYTES(&a, &again, sizeof(a));
    }
}

TEST(special_addresses_are_known)
{
    struct address unset = {0};
    struct address any4 = of("0.0.0.0");
    struct address any6 = of("::");
    struct address plain4 = of("10.0.0.1");
    struct address plain6 = of("2001:db8::1");
    struct address last_multicast = of("239.255.255.255");
    struct address not_multicast = of("240.0.0.0");
    struct address multicast6 = of("ff02::1");
    struct address link4 = of("169.254.1.1");
    struct address link6 = of("febf::1");
    struct address site6 = of("fec0::1");
    struct address loop4 = of("127.9.9.9");
    struct address loop6 = of("::1");

    CHECK(address_is_unset(&unset) && !address_is_unset(&any4));
    CHECK(address_is_any(&any4) && address_is_any(&any6));
    CHECK(!address_is_any(&unset) && !address_is_any(&plain4) && !address_is_any(&plain6));
    CHECK(address_is_multicast(&last_multicast) && address_is_multicast(&multicast6));
    CHECK(!address_is_multicast(&not_multicast) && !address_is_multicast(&plain6));
    CHECK(address_is_link_local(&link4) && address_is_link_local(&link6));
    CHECK(!address_is_link_local(&site6) && !address_is_link_local(&plain4));
    CHECK(address_is_loopback(&loop4) && address_is_loopback(&loop6));
    CHECK(!address_is_loopback(&any6) && !address_is_loopback(&plain4));
    CHECK(address_compare(&not_multicast, &any6) < 0);
    CHECK(address_compare(&plain4, &any4) > 0);
    CHECK(!address_equal(&any4, &any6));
    CHECK(address_bytes(FAMILY_IPV4) == 4 && address_bytes(FAMILY_IPV6) == 16);
    CHECK(address_bytes(FAMILY_NONE) == 0);

    struct address made = address_ipv4(0x0a000001);

    CHECK(address_equal(&made, &plain4));
}

TEST(endpoints_have_brackets_only_around_ipv6)
{
    static const struct {
        const char *text;
        const char *shown;
    } good[] = {
        {"203.0.113.1:500", "203.0.113.1:500"},     {"203.0.113.1", "203.0.113.1:4500"},
        {"[2001:db8::1]:500", "[2001:db8::1]:500"}, {"[2001:db8::1]", "[2001:db8::1]:4500"},
        {"2001:db8::1", "[2001:db8::1]:4500"},      {"10.0.0.1:0", "10.0.0.1:0"},
        {"10.0.0.1:65535", "10.0.0.1:65535"},
    };
    static const char *const wrong[] = {
        "",
        ":500",
        "10.0.0.1:",
        "10.0.0.1:65536",
        "10.0.0.1:+5",
        "10.0.0.1:0500",
        "[10.0.0.1]:500",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[]:5",
        "[::1]500",
        "10.0.0.1:5:6",
        "host:500",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        struct endpoint e;
        struct endpoint again;
        char text[ENDPOINT_TEXT_BYTES];

        CHECK(endpoint_parse(slice_of_text(good[i].text), 4500, &e));
        CHECK_TEXT(endpoint_format(&e, text), good[i].shown);
        CHECK(endpoint_parse(slice_of_text(text), 1, &again));
        CHECK(endpoint_equal(&e, &again));
        again.port++;
        CHECK(!endpoint_equal(&e, &again));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct endpoint e;

        CHECK(!endpoint_parse(slice_of_text(wrong[i]), 4500, &e));
    }
}

TEST(networks_have_no_host_bits)
{
    static const char *const good[][2] = {
        {"10.0.0.0/8", "10.0.0.0/8"},       {"10.1.2.3", "10.1.2.3/32"},
        {"0.0.0.0/0", "0.0.0.0/0"},         {"::/0", "::/0"},
        {"2001:db8::/33", "2001:db8::/33"}, {"::1", "::1/128"},
        {"128.0.0.0/1", "128.0.0.0/1"},
    };
    static const char *const wrong[] = {
        "10.0.0.1/8", "10.0.0.0/33",  "10.0.0.0/",      "10.0.0.0/08", "10.0.0.0/-1",
        "/8",         "10.0.0.0/8/8", "2001:db8::1/64", "::/129",      "10.0.0.0/7 "};

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        char text[NETWORK_TEXT_BYTES];
        struct network n = net(good[i][0]);

        CHECK_TEXT(network_format(&n, text), good[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct network n;

        CHECK(!network_parse(slice_of_text(wrong[i]), &n));
    }
}

TEST(a_network_contains_its_first_and_last_address_and_not_their_neighbours)
{
    for (unsigned bits = 1; bits <= 32; bits++) {
        uint32_t mask = UINT32_MAX << (32 - bits);
        uint32_t base = 0xac1f5a5a & mask;
        struct network n = {.address = address_ipv4(base), .prefix_bits = (uint8_t)bits};
        struct address first = address_ipv4(base);
        struct address last = address_ipv4(base | ~mask);
        struct address before = address_ipv4(base - 1);
        struct address behind = address_ipv4((base | ~mask) + 1);
        struct range r = network_range(&n);
        struct network again;

        CHECK(network_contains(&n, &first) && network_contains(&n, &last));
        CHECK(!network_contains(&n, &before) && !network_contains(&n, &behind));
        CHECK(address_equal(&r.first, &first) && address_equal(&r.last, &last));
        CHECK(range_is_network(&r, &again));
        CHECK(network_equal(&n, &again));
    }
    struct network all = net("0.0.0.0/0");
    struct address six = of("::");
    struct network ten = net("10.0.0.0/8");
    struct network inside = net("10.9.0.0/16");
    struct network outside = net("11.0.0.0/8");
    struct network all6 = net("::/0");

    CHECK(!network_contains(&all, &six));
    CHECK(network_overlaps(&ten, &inside) && network_overlaps(&inside, &ten));
    CHECK(network_overlaps(&all, &ten) && !network_overlaps(&ten, &outside));
    CHECK(!network_overlaps(&all, &all6));
}

TEST(every_small_range_is_covered_exactly_by_the_fewest_networks)
{
    for (uint32_t first = 0; first < 32; first++) {
        for (uint32_t last = first; last < 32; last++) {
            struct network found[16];
            struct range r = {address_ipv4(0x0a000000 + first), address_ipv4(0x0a000000 + last)};
            size_t count = range_to_networks(&r, found, ARRAY_LENGTH(found));
            uint32_t at = first;

            CHECK(count >= 1 && count <= 8);
            for (size_t i = 0; i < count; i++) {
                struct range part = network_range(&found[i]);

                CHECK(get_u32(part.first.bytes) == 0x0a000000 + at);
                at = get_u32(part.last.bytes) - 0x0a000000 + 1;
                /* Fewest: two neighbours of one size never form a larger network. */
                if (i > 0 && found[i].prefix_bits == found[i - 1].prefix_bits) {
                    struct network joined;
                    struct range both = {found[i - 1].address, part.last};

                    CHECK(!range_is_network(&both, &joined));
                }
            }
            CHECK(at == last + 1);
        }
    }
}

TEST(ranges_at_the_ends_of_the_space_terminate)
{
    struct network found[256];
    struct range all4 = between("0.0.0.0", "255.255.255.255");
    struct range most4 = between("0.0.0.1", "255.255.255.254");
    struct range most6 = between("::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
    struct range backwards = between("10.0.0.2", "10.0.0.1");
    struct range last4 = between("255.255.255.255", "255.255.255.255");
    struct network n;

    CHECK(range_to_networks(&all4, found, 1) == 1);
    CHECK(found[0].prefix_bits == 0);
    CHECK(range_to_networks(&most4, found, ARRAY_LENGTH(found)) == 62);
    CHECK(range_to_networks(&most6, found, ARRAY_LENGTH(found)) == 254);
    CHECK(range_to_networks(&most6, found, 3) == 254);
    CHECK(range_to_networks(&last4, found, 1) == 1);
    CHECK(range_to_networks(&backwards, found, 1) == 0);
    CHECK(!range_is_network(&backwards, &n));
}

TEST(ranges_meet_as_counting_says)
{
    for (uint32_t w = 0; w < 6 * 6 * 6 * 6; w++) {
        uint32_t a = w % 6, b = w / 6 % 6, c = w / 36 % 6, d = w / 216;
        struct range left = {address_ipv4(a), address_ipv4(b)};
        struct range right = {address_ipv4(c), address_ipv4(d)};
        struct range both;
        unsigned common = 0;

        if (a > b || c > d) {
            continue;
        }
        for (uint32_t x = 0; x < 6; x++) {
            common += x >= a && x <= b && x >= c && x <= d;
        }
        CHECK(range_intersect(&left, &right, &both) == (common > 0));
        if (common > 0) {
            CHECK(get_u32(both.last.bytes) - get_u32(both.first.bytes) + 1 == common);
        }
        CHECK(range_contains_range(&left, &right) == (c >= a && d <= b));
    }
    struct range four = between("0.0.0.0", "255.255.255.255");
    struct range six = between("::", "::ffff");
    struct range both;

    CHECK(!range_intersect(&four, &six, &both));
    CHECK(!range_contains_range(&six, &four));
}

TEST(ranges_are_shown_as_a_network_where_they_are_one)
{
    char text[RANGE_TEXT_BYTES];
    struct range network = between("10.0.0.0", "10.255.255.255");
    struct range one = between("10.0.0.1", "10.0.0.1");
    struct range odd = between("10.0.0.1", "10.0.0.9");
    struct range widest = between("1111:1111:1111:1111:1111:1111:1111:1111",
                                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");

    CHECK_TEXT(range_format(&network, text), "10.0.0.0/8");
    CHECK_TEXT(range_format(&one, text), "10.0.0.1/32");
    CHECK_TEXT(range_format(&odd, text), "10.0.0.1-10.0.0.9");
    CHECK_TEXT(range_format(&widest, text),
               "1111:1111:1111:1111:1111:1111:1111:1111-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
}

static struct selector selector_of(const char *network, uint8_t protocol, uint16_t first,
                                   uint16_t last)
{
    struct network n = net(network);
    struct selector s = selector_of_network(&n);

    s.protocol = protocol;
    s.port_first = first;
    s.port_last = last;
    return s;
}

TEST(selectors_are_shown_with_what_narrows_them)
{
    static const struct {
        uint8_t protocol;
        uint16_t first, last;
        const char *shown;
    } cases[] = {
        {0, 0, 65535, "10.1.0.0/16"},
        {6, 25, 25, "10.1.0.0/16[tcp/25]"},
        {17, 1000, 2000, "10.1.0.0/16[udp/1000-2000]"},
        {6, 0, 65535, "10.1.0.0/16[tcp]"},
        {0, 80, 80, "10.1.0.0/16[any/80]"},
        {132, 65535, 0, "10.1.0.0/16[sctp/opaque]"},
        {47, 0, 65535, "10.1.0.0/16[47]"},
        {17, 0, 0, "10.1.0.0/16[udp/0]"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[SELECTOR_TEXT_BYTES];
        struct selector s =
            selector_of("10.1.0.0/16", cases[i].protocol, cases[i].first, cases[i].last);

        CHECK_TEXT(selector_format(&s, text), cases[i].shown);
    }
}

TEST(selectors_meet_in_protocol_ports_and_addresses)
{
    struct selector any = selector_of("10.0.0.0/8", 0, 0, 65535);
    struct selector tcp = selector_of("10.1.0.0/16", 6, 0, 65535);
    struct selector web = selector_of("10.1.2.0/24", 6, 80, 443);
    struct selector udp = selector_of("10.1.2.0/24", 17, 0, 65535);
    struct selector far = selector_of("11.0.0.0/8", 6, 80, 80);
    struct selector low = selector_of("10.0.0.0/8", 6, 0, 100);
    struct selector both;

    CHECK(selector_contains(&any, &tcp) && selector_contains(&tcp, &web) &&
          selector_contains(&any, &any));
    CHECK(!selector_contains(&web, &tcp) && !selector_contains(&tcp, &any));
    CHECK(!selector_intersect(&tcp, &udp, &both) && !selector_intersect(&web, &far, &both));
    CHECK(selector_intersect(&web, &low, &both));
    CHECK(both.port_first == 80 && both.port_last == 100 && both.protocol == 6);
    CHECK(selector_intersect(&any, &web, &both) && selector_equal(&both, &web));
}

TEST(opaque_ports_lie_within_any_but_not_within_a_range)
{
    struct selector any = selector_of("10.0.0.0/8", 6, 0, 65535);
    struct selector some = selector_of("10.0.0.0/8", 6, 1, 65535);
    struct selector opaque = selector_of("10.0.0.0/8", 6, 65535, 0);
    struct selector both;

    CHECK(selector_is_opaque(&opaque) && !selector_is_opaque(&any));
    CHECK(selector_intersect(&any, &opaque, &both) && selector_equal(&both, &opaque));
    CHECK(selector_intersect(&opaque, &opaque, &both) && selector_is_opaque(&both));
    CHECK(!selector_intersect(&opaque, &some, &both));
    CHECK(selector_contains(&any, &opaque) && !selector_contains(&opaque, &any));
}
