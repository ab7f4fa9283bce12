/*
 * ICMPv6 errors as whole packets: what they quote, where they are cut, and what is never answered.
 */
#include "wire/icmpv6.h"

#include "tests/support/test.h"

static uint8_t original[2000];

static struct address of(const char *text)
{
    struct address a = {0};

    CHECK(address_parse(slice_of_text(text), &a));
    return a;
}

static struct slice make_original(const char *source, const char *destination, uint8_t protocol,
                                  uint8_t first, size_t total)
{
    struct ipv6_fields fields = {.source = of(source),
                                 .destination = of(destination),
                                 .hop_limit = 9,
                                 .next_header = protocol,
                                 .payload_bytes = (uint16_t)(total - 40)};
    struct writer w = writer_over(original, sizeof(original));

    memset(original, 0x5a, sizeof(original));
    ipv6_write(&w, &fields);
    original[40] = first;
    return (struct slice){original, total};
}

TEST(a_message_is_read_and_written_back_with_the_addresses_in_its_checksum)
{
    /* fe80::1 > fe80::2, echo request 1, 2, no data: fe80 + 1 + fe80 + 2 + 8 + 3a + 8000 + 1 + 2 =
     * 0x27d48, folded 0x7d4a, inverted 0x82b5. */
    static const uint8_t echo[] = {128, 0, 0x82, 0xb5, 0, 1, 0, 2};
    struct address a = of("fe80::1");
    struct address b = of("fe80::2");
    struct address c = of("fe80::3");
    struct icmpv6_head head;
    uint8_t room[8];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(icmpv6_read(&a, &b, SLICE_OF(echo), &head));
    CHECK(head.type == ICMPV6_ECHO_REQUEST && head.code == 0 && head.rest == 0x00010002 &&
          head.body.length == 0);
    CHECK(!icmpv6_read(&a, &c, SLICE_OF(echo), &head));
    icmpv6_write(&w, &a, &b, &head);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(echo)));
    for (size_t length = 0; length < sizeof(echo); length++) {
        CHECK(!icmpv6_read(&a, &b, (struct slice){echo, length}, &head));
    }
}

TEST(packet_too_big_tells_the_mtu_and_quotes_to_1280_bytes)
{
    static const size_t totals[] = {41, 48, 1231, 1232, 1233, 1500, 2000};
    struct address gateway = of("2001:db8::1");
    struct address host = of("2001:db8::42");

    for (size_t i = 0; i < ARRAY_LENGTH(totals); i++) {
        struct slice packet = make_original("2001:db8::42", "2001:db8:9::9", 17, 1, totals[i]);
        uint8_t room[1400];
        struct writer w = writer_over(room, sizeof(room));
        struct ip_head ip;
        struct icmpv6_head icmp;
        size_t quoted = totals[i] < 1232 ? totals[i] : 1232;

        CHECK(icmpv6_build_packet_too_big(&w, &gateway, 1400, packet));
        CHECK(ip_read(writer_written(&w), &ip));
        CHECK(ip.total_bytes == w.length && ip.total_bytes == 48 + quoted &&
              ip.total_bytes <= 1280);
        CHECK(address_equal(&ip.source, &gateway) && address_equal(&ip.destination, &host));
        CHECK(ip.protocol == IP_PROTOCOL_ICMPV6 && ip.ttl == 64);
        CHECK(icmpv6_read(&ip.source, &ip.destination, (struct slice){room + 40, w.length - 40},
                          &icmp));
        CHECK(icmp.type == 2 && icmp.code == 0 && icmp.rest == 1400);
        CHECK(slice_equal(icmp.body, (struct slice){packet.data, quoted}));
    }
}

TEST(no_mtu_below_1280_is_told)
{
    struct address gateway = of("2001:db8::1");
    uint8_t room[1400];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(icmpv6_build_packet_too_big(&w, &gateway, 1100,
                                      make_original("2001:db8::42", "2001:db8::9", 17, 1, 60)));
    CHECK(get_u32(room + 44) == 1280);
}

TEST(errors_and_packets_that_are_not_one_nodes_are_not_answered)
{
    static const struct {
        const char *source, *destination;
        uint8_t protocol, first;
        bool exceeded, too_big;
    } cases[] = {
        {"2001:db8::42", "2001:db8::9", 17, 1, true, true},
        {"2001:db8::42", "2001:db8::9", 58, 128, true, true},
        {"2001:db8::42", "2001:db8::9", 58, 127, false, false},
        {"2001:db8::42", "2001:db8::9", 58, 1, false, false},
        {"2001:db8::42", "2001:db8::9", 58, 2, false, false},
        {"2001:db8::42", "2001:db8::9", 58, 137, false, false},
        {"2001:db8::42", "ff0e::9", 17, 1, false, true},
        {"::", "2001:db8::9", 17, 1, false, false},
        {"ff02::1", "2001:db8::9", 17, 1, false, false},
        {"::1", "2001:db8::9", 17, 1, false, false},
    };
    struct address gateway = of("2001:db8::1");

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t room[1400];
        struct slice packet = make_original(cases[i].source, cases[i].destination,
                                            cases[i].protocol, cases[i].first, 60);
        struct writer w = writer_over(room, sizeof(room));

        CHECK(icmpv6_build_time_exceeded(&w, &gateway, packet) == cases[i].exceeded);
        CHECK((w.length > 0) == cases[i].exceeded);
        w = writer_over(room, sizeof(room));
        CHECK(icmpv6_build_packet_too_big(&w, &gateway, 1400, packet) == cases[i].too_big);
    }
}

TEST(fragments_and_hidden_types_are_not_answered)
{
    struct address gateway = of("2001:db8::1");
    uint8_t room[1400];
    struct writer w = writer_over(room, sizeof(room));
    struct slice packet = make_original("2001:db8::42", "2001:db8::9", 44, 17, 64);

    put_u16(original + 42, 0x0009);
    CHECK(!icmpv6_build_time_exceeded(&w, &gateway, packet));
    put_u16(original + 42, 0x0001);
    CHECK(icmpv6_build_time_exceeded(&w, &gateway, packet));
    w = writer_over(room, sizeof(room));
    CHECK(!icmpv6_build_time_exceeded(&w, &gateway,
                                      make_original("2001:db8::42", "2001:db8::9", 58, 128, 40)));
    CHECK(w.length == 0);
}

TEST(without_room_nothing_is_written)
{
    struct address gateway = of("2001:db8::1");
    struct slice packet = make_original("2001:db8::42", "2001:db8::9", 17, 1, 60);
    uint8_t room[200];

    for (size_t capacity = 0; capacity <= 108; capacity++) {
        struct writer w = writer_over(room, capacity);

        CHECK(icmpv6_build_time_exceeded(&w, &gateway, packet) == (capacity == 108));
        CHECK(w.length == (capacity == 108 ? 108 : 0));
    }
}
