/* Checksums fixed for new addresses are what a computation from the beginning gives. */
#include "wire/transport_checksum.h"

#include "tests/support/test.h"
#include "wire/tcp.h"
#include "wire/udp.h"

static uint8_t room[256];
static uint8_t before[256];

static struct address of(const char *text)
{
    struct address a = {0};

    CHECK(address_parse(slice_of_text(text), &a));
    return a;
}

/* Head of `now`, payload of `protocol` with `upper` octets that follow from `seed`. */
static size_t make(const struct ip_ends *now, uint8_t protocol, size_t upper, uint32_t seed)
{
    struct writer w = writer_over(room, sizeof(room));

    if (now->source.family == FAMILY_IPV4) {
        struct ipv4_fields f = {.source = now->source,
                                .destination = now->destination,
                                .ttl = 1,
                                .protocol = protocol,
                                .payload_bytes = (uint16_t)upper};
        ipv4_write(&w, &f);
    } else {
        struct ipv6_fields f = {.source = now->source,
                                .destination = now->destination,
                                .hop_limit = 1,
                                .next_header = protocol,
                                .payload_bytes = (uint16_t)upper};
        ipv6_write(&w, &f);
    }
    CHECK(writer_ok(&w));
    for (size_t i = 0; i < upper; i++) {
        seed = seed * 1664525 + 1013904223;
        room[w.length + i] = (uint8_t)(seed >> 24);
    }
    return w.length;
}

static struct ip_ends ends_of(enum family family, uint32_t seed)
{
    struct ip_ends ends = {{.family = (uint8_t)family}, {.family = (uint8_t)family}};

    for (size_t i = 0; i < address_bytes(family); i++) {
        seed = seed * 1664525 + 1013904223;
        ends.source.bytes[i] = (uint8_t)(seed >> 24);
        ends.destination.bytes[i] = (uint8_t)(seed >> 16);
    }
    return ends;
}

static uint16_t whole_sum(const struct ip_ends *ends, uint8_t protocol, struct slice upper)
{
    return protocol == IP_PROTOCOL_TCP ? tcp_checksum(&ends->source, &ends->destination, upper)
                                       : udp_checksum(&ends->source, &ends->destination, upper);
}

TEST(a_fixed_checksum_is_the_one_that_is_computed_from_the_beginning)
{
    static const uint8_t protocols[] = {IP_PROTOCOL_TCP, IP_PROTOCOL_UDP};
    static const enum family families[] = {FAMILY_IPV4, FAMILY_IPV6};

    for (uint32_t round = 0; round < 40000; round++) {
        enum family family = families[round & 1];
        uint8_t protocol = protocols[round >> 1 & 1];
        struct ip_ends made_with = ends_of(family, round * 7 + 1);
        struct ip_ends now = ends_of(family, round * 11 + 5);
        size_t bytes = 20 + round % 80;
        size_t at = make(&now, protocol, bytes, round);
        struct slice upper = {room + at, bytes};
        uint8_t *field = room + at + (protocol == IP_PROTOCOL_TCP ? 16 : 6);

        put_u16(field, whole_sum(&made_with, protocol, upper));
        CHECK(transport_checksum_fix(room, at + bytes, &made_with, &now));
        CHECK_EQUAL(get_u16(field), whole_sum(&now, protocol, upper));
    }
}

TEST(a_udp_sum_of_zero_becomes_all_ones)
{
    struct ip_ends now = {of("10.0.0.1"), of("10.0.0.2")};
    size_t at = make(&now, IP_PROTOCOL_UDP, 8, 1);
    size_t zeros = 0;

    /* Over all sources, each sum comes once or more. */
    for (uint32_t last = 0; last <= UINT16_MAX; last++) {
        struct ip_ends made_with = {address_ipv4(0xc0000000 | last), of("10.0.0.2")};
        uint8_t *field = room + at + 6;
        struct slice upper = {room + at, 8};

        put_u16(field, udp_checksum(&made_with.source, &made_with.destination, upper));
        CHECK(transport_checksum_fix(room, at + 8, &made_with, &now));
        CHECK(udp_checksum_is_right(&now.source, &now.destination, upper));
        CHECK(get_u16(field) != 0);
        zeros += get_u16(field) == UINT16_MAX ? 1 : 0;
        put_u16(room + at, (uint16_t)last);
    }
    CHECK(zeros > 0);
}

TEST(udp_without_checksum_other_protocols_and_later_fragments_are_left_alone)
{
    struct ip_ends now = {of("10.0.0.1"), of("10.0.0.2")};
    struct ip_ends made_with = {of("192.168.1.1"), of("10.0.0.2")};
    size_t at = make(&now, IP_PROTOCOL_UDP, 20, 1);

    put_u16(room + at + 6, 0);
    memcpy(before, room, sizeof(room));
    CHECK(transport_checksum_fix(room, at + 20, &made_with, &now));
    CHECK_BYTES(room, before, sizeof(room));
    at = make(&now, IP_PROTOCOL_GRE, 20, 1);
    memcpy(before, room, sizeof(room));
    CHECK(transport_checksum_fix(room, at + 20, &made_with, &now));
    CHECK_BYTES(room, before, sizeof(room));
    at = make(&now, IP_PROTOCOL_TCP, 24, 1);
    put_u16(room + 6, 3);
    put_u16(room + 10, checksum_update(get_u16(room + 10), 0, 3));
    memcpy(before, room, sizeof(room));
    CHECK(transport_checksum_fix(room, at + 24, &made_with, &now));
    CHECK_BYTES(room, before, sizeof(room));
}

TEST(a_packet_that_ends_before_its_checksum_is_refused)
{
    static const uint8_t protocols[] = {IP_PROTOCOL_TCP, IP_PROTOCOL_UDP, IP_PROTOCOL_ICMPV6, 33,
                                        136};
    static const size_t ends[] = {18, 8, 4, 8, 8};
    struct ip_ends now = {of("2001:db8::1"), of("2001:db8::2")};
    struct ip_ends made_with = {of("2001:db8::7"), of("2001:db8::2")};

    for (size_t i = 0; i < ARRAY_LENGTH(protocols); i++) {
        for (size_t bytes = 0; bytes < 24; bytes++) {
            size_t at = make(&now, protocols[i], bytes, 1);

            memcpy(before, room, sizeof(room));
            CHECK(transport_checksum_fix(room, at + bytes, &made_with, &now) == (bytes >= ends[i]));
            CHECK((memcmp(room, before, sizeof(room)) != 0) == (bytes >= ends[i]));
        }
    }
    for (size_t length = 0; length < 63; length++) {
        CHECK(!transport_checksum_fix(room, length, &made_with, &now));
    }
}
