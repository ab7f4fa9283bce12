/* Where AH and ESP go, in all orders of headers that a host may send. */
#include "wire/ip_place.h"

#include "tests/support/test.h"

static uint8_t room[2048];

/* An IPv6 packet with the headers of `kinds`, each of `units[i]` times eight octets beyond the
 * first eight, and 8 octets behind the last, which `last` names. */
static struct slice chain_of(const uint8_t *kinds, const uint8_t *units, size_t count, uint8_t last)
{
    size_t at = IPV6_HEAD_BYTES;

    memset(room, 0, sizeof(room));
    room[0] = 0x60;
    room[6] = count > 0 ? kinds[0] : last;
    for (size_t i = 0; i < count; i++) {
        room[at] = i + 1 < count ? kinds[i + 1] : last;
        if (kinds[i] != IP_PROTOCOL_FRAGMENT) {
            room[at + 1] = units[i];
        }
        at += ((size_t)units[i] + 1) * 8;
    }
    put_u16(room + 4, (uint16_t)(at + 8 - IPV6_HEAD_BYTES));
    return (struct slice){room, at + 8};
}

TEST(in_ipv4_the_place_is_behind_the_options)
{
    for (uint8_t words = 0; words < 16; words++) {
        struct ip_place place;
        size_t head_bytes = (size_t)words * 4;

        memset(room, 0, sizeof(room));
        room[0] = (uint8_t)(0x40 | words);
        room[9] = 17;
        put_u16(room + 2, 70);
        bool found = ip_protection_place((struct slice){room, 72}, &place);

        CHECK(found == (words >= 5));
        CHECK(!found || (place.offset == head_bytes && place.next_header == 17 &&
                         place.next_header_offset == 9));
        for (size_t length = 0; length < 70; length++) {
            CHECK(!ip_protection_place((struct slice){room, length}, &place));
        }
    }
}

TEST(an_ipv4_fragment_has_no_place)
{
    static const struct {
        uint16_t field;
        bool found;
    } cases[] = {{0, true},       {0x4000, true},  {0x8000, true},
                 {0x2000, false}, {0x0001, false}, {0x1fff, false}};
    struct ip_place place;

    memset(room, 0, sizeof(room));
    room[0] = 0x45;
    put_u16(room + 2, 28);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        put_u16(room + 6, cases[i].field);
        CHECK(ip_protection_place((struct slice){room, 28}, &place) == cases[i].found);
    }
}

TEST(in_ipv6_the_place_is_behind_what_is_read_on_the_way)
{
    enum { HOP = 0, ROUTE = 43, FRAGMENT = 44, OPTIONS = 60, AH = 51, TCP = 6, NO = 0xffff };
    static const struct {
        size_t count;
        uint8_t kinds[4];
        uint8_t last;
        unsigned before; /* headers, or NO */
    } cases[] = {
        {0, {0}, TCP, 0},
        {0, {0}, AH, 0},
        {1, {HOP}, TCP, 1},
        {1, {ROUTE}, TCP, 1},
        {1, {OPTIONS}, TCP, 0},
        {2, {HOP, OPTIONS}, TCP, 1},
        {2, {OPTIONS, ROUTE}, TCP, 2},
        {3, {HOP, OPTIONS, ROUTE}, AH, 3},
        {4, {HOP, OPTIONS, ROUTE, OPTIONS}, TCP, 3},
        {2, {ROUTE, OPTIONS}, TCP, 1},
        {0, {0}, FRAGMENT, NO},
        {1, {HOP}, FRAGMENT, NO},
        {2, {HOP, OPTIONS}, FRAGMENT, NO},
        {2, {OPTIONS, HOP}, TCP, NO},
        {2, {HOP, HOP}, TCP, NO},
    };
    static const uint8_t units[4] = {0, 2, 1, 3};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct slice packet = chain_of(cases[i].kinds, units, cases[i].count, cases[i].last);
        size_t offsets[5] = {IPV6_HEAD_BYTES};
        size_t fields[5] = {6};
        struct ip_place place;

        for (size_t n = 0; n < 4; n++) {
            offsets[n + 1] = offsets[n] + ((size_t)units[n] + 1) * 8;
            fields[n + 1] = offsets[n];
        }
        bool found = ip_protection_place(packet, &place);

        CHECK(found == (cases[i].before != NO));
        if (found) {
            unsigned n = cases[i].before;

            CHECK(place.offset == offsets[n] && place.next_header_offset == fields[n]);
            CHECK(place.next_header == room[fields[n]]);
        }
    }
}

TEST(every_truncation_and_every_length_of_a_header_that_does_not_fit_is_refused)
{
    static const uint8_t kinds[] = {0, 43, 60};
    static const uint8_t units[] = {0, 2, 1};
    struct slice packet = chain_of(kinds, units, 3, 17);
    struct ip_place place;

    CHECK(ip_protection_place(packet, &place));
    for (size_t length = 0; length < packet.length; length++) {
        CHECK(!ip_protection_place((struct slice){room, length}, &place));
    }
    /* The packet ends, by its header, within a header of the chain. */
    for (uint16_t payload = 0; payload < 8 + 24 + 16; payload++) {
        put_u16(room + 4, payload);
        CHECK(!ip_protection_place(packet, &place));
    }
    put_u16(room + 4, 8 + 24 + 16);
    CHECK(ip_protection_place(packet, &place));
}

TEST(no_more_than_eight_headers_are_passed)
{
    uint8_t kinds[9];
    uint8_t units[9] = {0};
    struct ip_place place;

    memset(kinds, IP_PROTOCOL_ROUTING, sizeof(kinds));
    CHECK(ip_protection_place(chain_of(kinds, units, 8, 6), &place));
    CHECK(place.offset == IPV6_HEAD_BYTES + 64);
    CHECK(!ip_protection_place(chain_of(kinds, units, 9, 6), &place));
}
