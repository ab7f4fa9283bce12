/* What AH covers: tables of options, routes followed hop by hop, and headers put back. */
#include "wire/ah_cover.h"

#include "tests/support/test.h"
#include "wire/ip_place.h"

static uint8_t room[4096];
static uint8_t before[4096];
static struct ah_kept kept;

/* AH of 24 octets behind `options`, and 8 octets of payload. */
static size_t make_ipv4(struct slice options)
{
    size_t head_bytes = IPV4_HEAD_BYTES + options.length;

    memset(room, 0x5a, sizeof(room));
    room[0] = (uint8_t)(0x40 | head_bytes / 4);
    put_u16(room + 2, (uint16_t)(head_bytes + 32));
    put_u16(room + 6, 0x4000);
    room[9] = 51;
    memcpy(room + 12, "\x0a\1\0\2\x0a\2\0\x09", 8);
    if (options.length > 0) {
        memcpy(room + IPV4_HEAD_BYTES, options.data, options.length);
    }
    memcpy(before, room, sizeof(room));
    return head_bytes + 32;
}

static size_t make_ipv6(uint8_t first, struct slice chain)
{
    memset(room, 0x5a, sizeof(room));
    put_u32(room, 0x6ab12345);
    put_u16(room + 4, (uint16_t)(chain.length + 32));
    room[6] = first;
    room[7] = 63;
    if (chain.length > 0) {
        memcpy(room + IPV6_HEAD_BYTES, chain.data, chain.length);
    }
    memcpy(before, room, sizeof(room));
    return IPV6_HEAD_BYTES + chain.length + 32;
}

static void check_restored(void)
{
    ah_restore(room, &kept);
    CHECK_BYTES(room, before, sizeof(room));
}

TEST(of_an_ipv4_header_only_what_does_not_change_is_left)
{
    size_t length = make_ipv4((struct slice){NULL, 0});

    room[1] = before[1] = 0xff;
    CHECK(ah_normalise(room, length, IPV4_HEAD_BYTES, &kept));
    uint8_t expected[20] = {0x45, 0, 0,  52, 0x5a, 0x5a, 0,  0, 0, 51,
                            0,    0, 10, 1,  0,    2,    10, 2, 0, 9};

    CHECK_BYTES(room, expected, sizeof(expected));
    CHECK_BYTES(room + 20, before + 20, sizeof(room) - 20);
    check_restored();
}

TEST(each_ipv4_option_is_kept_or_zeroed_as_appendix_a_says)
{
    /* Copied flag, class and number, as the octet. */
    static const uint8_t immutable[] = {130, 133, 134, 148, 149};

    for (unsigned kind = 2; kind <= UINT8_MAX; kind++) {
        uint8_t options[8] = {1, (uint8_t)kind, 3, 4, 1, 1, 0, 0};
        bool keeps = memchr(immutable, (int)kind, sizeof(immutable)) != NULL;
        size_t length = make_ipv4(SLICE_OF(options));

        CHECK(ah_normalise(room, length, 28, &kept));
        if (!keeps) {
            memset(options + 1, 0, 3);
        }
        CHECK_BYTES(room + 20, options, sizeof(options));
        CHECK_BYTES(room + 28, before + 28, sizeof(room) - 28);
        check_restored();
    }
}

TEST(a_source_route_leads_to_its_last_address_as_it_will_be_at_arrival)
{
    static const uint8_t kinds[] = {131, 137};

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        for (uint8_t pointer = 4; pointer <= 16; pointer += 4) {
            uint8_t options[12] = {kinds[i], 11, pointer, 10, 9, 9, 1, 10, 9, 9, 2, 0};
            size_t length = make_ipv4(SLICE_OF(options));

            CHECK(ah_normalise(room, length, 32, &kept));
            CHECK(memcmp(room + 16, pointer < 12 ? "\x0a\x09\x09\2" : "\x0a\2\0\x09", 4) == 0);
            for (size_t at = 20; at < 32; at++) {
                CHECK(room[at] == 0);
            }
            check_restored();
        }
    }
}

TEST(wrong_ipv4_options_are_refused_and_nothing_is_changed)
{
    static const uint8_t cases[][8] = {
        {7}, /* length zero */
        {7, 1}, /* shorter than its own head */
        {7, 9, 4, 0, 0, 0, 0, 0}, /* longer than the header */
        {1, 1, 1, 1, 1, 1, 1, 7}, /* no room for the length */
        {131, 2, 0, 0, 0, 0, 0, 0}, /* a route without pointer */
        {131, 7, 3, 10, 0, 0, 1, 0}, /* pointer before the route */
        {131, 7, 5, 10, 0, 0, 1, 0}, /* pointer within an address */
        {137, 8, 4, 10, 0, 0, 1, 0}, /* a route of an address and a bit */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        size_t length = make_ipv4(SLICE_OF(cases[i]));

        CHECK(!ah_normalise(room, length, 28, &kept));
        CHECK_BYTES(room, before, sizeof(room));
    }
}

TEST(ah_must_be_where_it_is_said_to_be)
{
    static const uint8_t chain[] = {51, 0, 1, 4, 0, 0, 0, 0};
    size_t length = make_ipv4((struct slice){NULL, 0});

    for (size_t at = 0; at <= length; at++) {
        CHECK(ah_normalise(room, length, at, &kept) == (at == 20));
        memcpy(room, before, sizeof(room));
    }
    room[9] = 50;
    CHECK(!ah_normalise(room, length, 20, &kept));
    length = make_ipv6(60, SLICE_OF(chain));
    for (size_t at = 0; at <= length; at++) {
        CHECK(ah_normalise(room, length, at, &kept) == (at == 48));
        memcpy(room, before, sizeof(room));
    }
    room[40] = 50;
    CHECK(!ah_normalise(room, length, 48, &kept));
}

TEST(of_an_ipv6_header_class_label_and_hop_limit_are_zeroed)
{
    size_t length = make_ipv6(51, (struct slice){NULL, 0});

    CHECK(ah_normalise(room, length, 40, &kept));
    uint8_t expected[8] = {0x60, 0, 0, 0, 0, 32, 51, 0};

    CHECK_BYTES(room, expected, 8);
    CHECK_BYTES(room + 8, before + 8, sizeof(room) - 8);
    check_restored();
}

TEST(each_ipv6_option_is_covered_as_its_third_bit_says)
{
    static const uint8_t headers[] = {0, 60};

    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++) {
        for (unsigned type = 1; type <= UINT8_MAX; type++) {
            /* Pad1, the option with three octets, PadN of none, and one immutable of four. */
            uint8_t chain[16] = {51, 1, 0, (uint8_t)type, 3, 7, 7, 7, 1, 0, 0x05, 4, 9, 9, 9, 9};
            size_t length = make_ipv6(headers[i], SLICE_OF(chain));

            CHECK(ah_normalise(room, length, 56, &kept) == (type != 0xc2));
            if (type == 0xc2) {
                CHECK_BYTES(room, before, sizeof(room));
                continue;
            }
            if ((type & 0x20) != 0) {
                memset(chain + 5, 0, 3);
            }
            CHECK_BYTES(room + 40, chain, sizeof(chain));
            CHECK_BYTES(room + 56, before + 56, sizeof(room) - 56);
            check_restored();
        }
    }
}

TEST(wrong_ipv6_options_are_refused_and_nothing_is_changed)
{
    static const uint8_t cases[][8] = {
        {51, 0, 5, 5, 0, 0, 0, 0}, /* one octet beyond the header */
        {51, 0, 1, 3, 0, 0, 0, 5}, /* no room for the length */
        {51, 1, 1, 4, 0, 0, 0, 0}, /* the header reaches into AH */
        {44, 0, 1, 4, 0, 0, 0, 0}, /* a fragment */
        {0, 0, 1, 4, 0, 0, 0, 0}, /* hop-by-hop options that are not first */
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        size_t length = make_ipv6(60, SLICE_OF(cases[i]));

        CHECK(!ah_normalise(room, length, 48, &kept));
        CHECK_BYTES(room, before, sizeof(room));
    }
}

/* RFC 2460 4.4, the algorithm of a hop: the most obvious way to the end of a route. */
static void hop(uint8_t *packet, uint8_t *header)
{
    size_t addresses = header[1] / 2;
    uint8_t swap[16];

    header[3]--;
    uint8_t *next = header + 8 + (addresses - header[3] - 1) * 16;

    memcpy(swap, packet + 24, 16);
    memcpy(packet + 24, next, 16);
    memcpy(next, swap, 16);
    packet[7]--;
}

TEST(a_route_is_covered_as_it_will_be_at_its_end_from_each_hop)
{
    for (size_t addresses = 0; addresses <= 6; addresses++) {
        uint8_t chain[8 + 6 * 16] = {51, (uint8_t)(addresses * 2), 0, (uint8_t)addresses};
        uint8_t at_end[8 + 6 * 16 + 40];
        size_t bytes = 8 + addresses * 16;

        for (size_t i = 8; i < bytes; i++) {
            chain[i] = (uint8_t)(i * 7);
        }
        size_t length = make_ipv6(43, (struct slice){chain, bytes});

        while (room[43] > 0) {
            hop(room, room + 40);
        }
        memcpy(at_end, room, 40 + bytes);
        put_u32(at_end, 0x60000000);
        at_end[7] = 0;
        memcpy(room, before, sizeof(room));
        for (size_t hops = 0; hops <= addresses; hops++) {
            memcpy(before, room, sizeof(room));
            CHECK(ah_normalise(room, length, 40 + bytes, &kept));
            CHECK_BYTES(room, at_end, 40 + bytes);
            check_restored();
            if (hops < addresses) {
                hop(room, room + 40);
            }
        }
    }
}

TEST(a_route_that_cannot_be_is_refused)
{
    uint8_t chain[40] = {51, 4, 0, 3}; /* three left of two */
    size_t length = make_ipv6(43, SLICE_OF(chain));

    CHECK(!ah_normalise(room, length, 80, &kept));
    CHECK_BYTES(room, before, sizeof(room));
    chain[2] = 4; /* a type that we do not know, not at its end and at it */
    chain[3] = 1;
    length = make_ipv6(43, SLICE_OF(chain));
    CHECK(!ah_normalise(room, length, 80, &kept));
    chain[3] = 0;
    length = make_ipv6(43, SLICE_OF(chain));
    CHECK(ah_normalise(room, length, 80, &kept));
    CHECK_BYTES(room + 8, before + 8, 72);
    chain[1] = 3; /* one address and a half */
    chain[2] = 0;
    length = make_ipv6(43, (struct slice){chain, 32});
    CHECK(!ah_normalise(room, length, 72, &kept));
}

TEST(every_truncation_is_refused_and_nothing_is_changed)
{
    static const uint8_t chain[] = {51, 0, 0x25, 1, 9, 1, 1, 0};
    static const uint8_t options[] = {7, 7, 4, 1, 2, 3, 4, 0};
    size_t length = make_ipv6(0, SLICE_OF(chain));

    for (size_t cut = 0; cut < length; cut++) {
        CHECK(!ah_normalise(room, cut, 48, &kept));
        CHECK_BYTES(room, before, sizeof(room));
    }
    length = make_ipv4(SLICE_OF(options));
    for (size_t cut = 0; cut < length; cut++) {
        CHECK(!ah_normalise(room, cut, 28, &kept));
        CHECK_BYTES(room, before, sizeof(room));
    }
}

TEST(headers_longer_than_are_kept_are_refused)
{
    for (uint8_t units = 50; units <= 60; units++) {
        uint8_t chain[600] = {51, units};
        size_t bytes = ((size_t)units + 1) * 8;
        size_t length = make_ipv6(60, (struct slice){chain, bytes});

        CHECK(ah_normalise(room, length, 40 + bytes, &kept) == (40 + bytes <= AH_COVER_BYTES_MAX));
    }
}
