/* Errors of both families about packets of every kind that an SA sends. */
#include "wire/icmp_error.h"

#include "tests/support/test.h"
#include "wire/icmp.h"
#include "wire/icmpv6.h"

static uint8_t original[1500];
static uint8_t room[1500];

static struct address of(const char *text)
{
    struct address a = {0};

    CHECK(address_parse(slice_of_text(text), &a));
    return a;
}

static struct slice make_ipv4(uint8_t protocol, size_t total)
{
    struct ipv4_fields fields = {.source = of("192.0.2.1"),
                                 .destination = of("198.51.100.7"),
                                 .ttl = 9,
                                 .protocol = protocol,
                                 .payload_bytes = (uint16_t)(total - 20)};
    struct writer w = writer_over(original, sizeof(original));

    memset(original, 0, sizeof(original));
    ipv4_write(&w, &fields);
    return (struct slice){original, total};
}

static struct slice make_ipv6(uint8_t next, size_t total)
{
    struct ipv6_fields fields = {.source = of("2001:db8::1"),
                                 .destination = of("2001:db8:9::9"),
                                 .hop_limit = 9,
                                 .next_header = next,
                                 .payload_bytes = (uint16_t)(total - 40)};
    struct writer w = writer_over(original, sizeof(original));

    memset(original, 0, sizeof(original));
    ipv6_write(&w, &fields);
    return (struct slice){original, total};
}

/* The error about the first `quoted` octets of what was made. */
static struct slice error_about(enum family family, uint8_t type, uint8_t code, uint32_t rest,
                                size_t quoted)
{
    struct writer w = writer_over(room, sizeof(room));
    struct slice body = {original, quoted};

    if (family == FAMILY_IPV4) {
        struct ipv4_fields fields = {.source = of("203.0.113.5"),
                                     .destination = of("192.0.2.1"),
                                     .ttl = 60,
                                     .protocol = IP_PROTOCOL_ICMP,
                                     .payload_bytes = (uint16_t)(8 + quoted)};
        struct icmp_head head = {.type = type, .code = code, .rest = rest, .body = body};

        ipv4_write(&w, &fields);
        icmp_write(&w, &head);
    } else {
        struct ipv6_fields fields = {.source = of("2001:db8:5::5"),
                                     .destination = of("2001:db8::1"),
                                     .hop_limit = 60,
                                     .next_header = IP_PROTOCOL_ICMPV6,
                                     .payload_bytes = (uint16_t)(8 + quoted)};
        struct icmpv6_head head = {.type = type, .code = code, .rest = rest, .body = body};

        ipv6_write(&w, &fields);
        icmpv6_write(&w, &fields.source, &fields.destination, &head);
    }
    CHECK(writer_ok(&w));
    return writer_written(&w);
}

TEST(fragmentation_needed_tells_the_mtu_and_the_spi_of_esp_in_eight_octets)
{
    struct icmp_error error;
    struct address reporter = of("203.0.113.5");
    struct address destination = of("198.51.100.7");

    make_ipv4(IP_PROTOCOL_ESP, 1400);
    put_u32(original + 20, 0xc0ffee01);
    struct slice packet = error_about(FAMILY_IPV4, 3, 4, 0xabcd0514, 28);

    CHECK(icmp_error_read(packet, &error));
    CHECK(icmp_error_is_too_big(&error));
    CHECK(error.type == 3 && error.code == 4 && error.mtu == 1300);
    CHECK(error.protection == IP_PROTOCOL_ESP && error.spi == 0xc0ffee01);
    CHECK(address_equal(&error.reporter, &reporter));
    CHECK(address_equal(&error.original.destination, &destination));
    CHECK(error.original.total_bytes == 1400 && error.quoted.length == 28);
}

TEST(the_spi_of_ah_is_found_in_ipv4)
{
    struct icmp_error error;

    make_ipv4(IP_PROTOCOL_AH, 100);
    put_u32(original + 24, 0xc0ffee02);
    CHECK(icmp_error_read(error_about(FAMILY_IPV4, 11, 0, 0xffff, 28), &error));
    CHECK(error.protection == IP_PROTOCOL_AH && error.spi == 0xc0ffee02 && error.mtu == 0);
    CHECK(!icmp_error_is_too_big(&error));
    /* One octet of the SPI is missing: a good error, without it. */
    CHECK(icmp_error_read(error_about(FAMILY_IPV4, 11, 0, 0, 27), &error));
    CHECK(error.protection == 0 && error.spi == 0);
}

TEST(a_packet_without_protection_is_told_by_its_ports)
{
    struct icmp_error error;

    make_ipv4(IP_PROTOCOL_UDP, 100);
    put_u16(original + 20, 4500);
    put_u16(original + 22, 4501);
    CHECK(icmp_error_read(error_about(FAMILY_IPV4, 3, 3, 0x0514, 28), &error));
    CHECK(error.protection == 0 && error.mtu == 0 && error.original.has_ports);
    CHECK(error.original.port_source == 4500 && error.original.port_destination == 4501);
}

TEST(packet_too_big_tells_the_mtu_and_the_spi_behind_extension_headers)
{
    static const struct {
        uint8_t first;
        uint8_t chain[24];
        size_t bytes;
        uint8_t protection;
    } cases[] = {
        {50, {0}, 0, 50},
        {51, {0}, 0, 51},
        {43, {50, 0}, 8, 50},
        {60, {51, 0}, 8, 51},
        {0, {60, 1, [16] = 50, 0}, 24, 50},
        {44, {50, 0, 0, 1, 0, 0, 0, 1}, 8, 50},
        {44, {51, 0, 0, 1, 0, 0, 0, 1}, 8, 51},
        {6, {0}, 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct icmp_error error;
        size_t at = IPV6_HEAD_BYTES + cases[i].bytes;
        size_t spi_at = at + (cases[i].protection == 51 ? 4 : 0);

        make_ipv6(cases[i].first, at + 40);
        memcpy(original + 40, cases[i].chain, cases[i].bytes);
        if (cases[i].protection == 51) {
            original[at] = 17;
            original[at + 1] = 4;
        }
        put_u32(original + spi_at, 0xc0ffee03);
        CHECK(icmp_error_read(error_about(FAMILY_IPV6, 2, 0, 1280, at + 40), &error));
        CHECK(icmp_error_is_too_big(&error) && error.mtu == 1280);
        CHECK_EQUAL(error.protection, cases[i].protection);
        CHECK_EQUAL(error.spi, cases[i].protection == 0 ? 0 : 0xc0ffee03);
    }
}

TEST(a_reserved_spi_and_a_later_fragment_tell_of_no_sa)
{
    struct icmp_error error;

    make_ipv4(IP_PROTOCOL_ESP, 100);
    put_u32(original + 20, 255);
    CHECK(icmp_error_read(error_about(FAMILY_IPV4, 3, 4, 1300, 28), &error));
    CHECK(error.protection == 0);
    put_u32(original + 20, 0xc0ffee01);
    put_u16(original + 6, 5);
    CHECK(icmp_error_read(error_about(FAMILY_IPV4, 3, 4, 1300, 28), &error));
    CHECK(error.protection == 0 && error.original.fragment_offset == 40);
}

TEST(what_is_no_error_is_refused)
{
    struct icmp_error error;

    make_ipv4(IP_PROTOCOL_ESP, 100);
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        bool is_error = type == 3 || type == 4 || type == 5 || type == 11 || type == 12;

        CHECK(icmp_error_read(error_about(FAMILY_IPV4, (uint8_t)type, 0, 0, 28), &error) ==
              is_error);
    }
    /* An error of one family about a packet of the other. */
    CHECK(!icmp_error_read(error_about(FAMILY_IPV6, 1, 0, 0, 60), &error));
    make_ipv6(IP_PROTOCOL_ESP, 100);
    CHECK(!icmp_error_read(error_about(FAMILY_IPV4, 3, 0, 0, 60), &error));
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        CHECK(icmp_error_read(error_about(FAMILY_IPV6, (uint8_t)type, 0, 0, 60), &error) ==
              (type < 128));
    }
}

TEST(every_truncation_and_every_flipped_octet_of_the_message_is_refused)
{
    struct icmp_error error;

    make_ipv4(IP_PROTOCOL_ESP, 100);
    put_u32(original + 20, 0xc0ffee01);
    struct slice packet = error_about(FAMILY_IPV4, 3, 4, 1300, 28);

    for (size_t length = 0; length < packet.length; length++) {
        CHECK(!icmp_error_read((struct slice){packet.data, length}, &error));
    }
    for (size_t at = 20; at < packet.length; at++) {
        room[at] ^= 0x10;
        CHECK(!icmp_error_read(packet, &error));
        room[at] ^= 0x10;
    }
    /* Quoted less than its own header. */
    for (size_t quoted = 0; quoted < 20; quoted++) {
        CHECK(!icmp_error_read(error_about(FAMILY_IPV4, 3, 4, 1300, quoted), &error));
    }
    make_ipv6(IP_PROTOCOL_ESP, 100);
    packet = error_about(FAMILY_IPV6, 2, 0, 1300, 60);
    for (size_t length = 0; length < packet.length; length++) {
        CHECK(!icmp_error_read((struct slice){packet.data, length}, &error));
    }
}

TEST(our_own_errors_are_read)
{
    struct address router = of("203.0.113.5");
    struct address router6 = of("2001:db8:5::5");
    struct writer w = writer_over(room, sizeof(room));
    struct icmp_error error;

    CHECK(icmp_build_fragmentation_needed(&w, &router, 1234, make_ipv4(IP_PROTOCOL_ESP, 1400)));
    CHECK(icmp_error_read(writer_written(&w), &error) && error.mtu == 1234);
    w = writer_over(room, sizeof(room));
    CHECK(icmpv6_build_packet_too_big(&w, &router6, 1334, make_ipv6(IP_PROTOCOL_ESP, 1400)));
    CHECK(icmp_error_read(writer_written(&w), &error) && error.mtu == 1334);
}

TEST(an_error_is_described_in_a_line)
{
    char words[200];
    struct text line = text_over(words, sizeof(words));

    make_ipv4(IP_PROTOCOL_ESP, 1400);
    put_u32(original + 20, 0xc0ffee01);
    icmp_error_describe(error_about(FAMILY_IPV4, 3, 4, 1300, 28), &line);
    CHECK_TEXT(words, "icmp 3/4 mtu 1300 from 203.0.113.5 about 192.0.2.1 > 198.51.100.7 "
                      "esp c0ffee01");
    line = text_over(words, sizeof(words));
    icmp_error_describe((struct slice){room, 27}, &line);
    CHECK_TEXT(words, "not an ICMP error, 27");
}

TEST(the_first_header_behind_those_of_ip_is_found_in_what_is_quoted)
{
    struct icmp_quoted q;

    make_ipv4(IP_PROTOCOL_AH, 100);
    for (size_t length = 0; length <= 100; length++) {
        bool whole = icmp_quoted_read((struct slice){original, length}, &q);

        CHECK_EQUAL(whole, length >= 20);
        CHECK(!whole || (q.protocol == IP_PROTOCOL_AH && q.upper.data == original + 20 &&
                         q.upper.length == length - 20 && q.original.total_bytes == 100));
    }
    make_ipv6(IP_PROTOCOL_DESTINATION, 100);
    original[40] = IP_PROTOCOL_AH;
    original[48] = IP_PROTOCOL_TCP;
    original[49] = 4; /* 24 octets of AH */
    for (size_t length = 0; length <= 100; length++) {
        bool whole = icmp_quoted_read((struct slice){original, length}, &q);

        CHECK(!whole || length >= 48);
        CHECK(length < 72 || whole);
        CHECK(!whole || (q.protocol == IP_PROTOCOL_AH && q.upper.data == original + 48 &&
                         q.upper.length == length - 48));
    }
    /* A fragment that is not the first has none. */
    make_ipv4(IP_PROTOCOL_ESP, 100);
    put_u16(original + 6, 1);
    CHECK(!icmp_quoted_read((struct slice){original, 100}, &q));
}
