/* Where the Fragment header of a packet is, for every order of headers, and in no truncation. */
#include "wire/ipv6_fragment.h"

#include "tests/support/test.h"
#include "wire/ip.h"

struct chain_of {
    uint8_t bytes[256];
    size_t length;
};

static void begin(struct chain_of *c, uint8_t first)
{
    *c = (struct chain_of){.length = IPV6_HEAD_BYTES};
    c->bytes[0] = 0x60;
    c->bytes[6] = first;
}

/* An extension header of `units` beyond the first eight octets (AH: fours). */
static void add(struct chain_of *c, uint8_t next, uint8_t units, size_t bytes)
{
    c->bytes[c->length] = next;
    c->bytes[c->length + 1] = units;
    c->length += bytes;
}

static void add_fragment(struct chain_of *c, uint8_t next)
{
    static const uint8_t rest[] = {0x77, 0x01, 0x29, 0xde, 0xad, 0xbe, 0xef};

    c->bytes[c->length] = next;
    memcpy(c->bytes + c->length + 1, rest, sizeof(rest));
    c->length += IPV6_FRAGMENT_HEAD_BYTES;
}

TEST(the_fragment_header_is_found_behind_all_that_may_stand_before_it)
{
    struct chain_of c;
    struct ipv6_fragment f;

    begin(&c, IP_PROTOCOL_HOP_BY_HOP);
    add(&c, IP_PROTOCOL_DESTINATION, 1, 16);
    add(&c, IP_PROTOCOL_ROUTING, 0, 8);
    add(&c, IP_PROTOCOL_AH, 2, 24);
    add(&c, IP_PROTOCOL_FRAGMENT, 4, 24);
    add_fragment(&c, IP_PROTOCOL_UDP);
    CHECK(ipv6_find_fragment((struct slice){c.bytes, c.length}, &f));
    CHECK_EQUAL(f.next_header_at, 40 + 16 + 8 + 24);
    CHECK_EQUAL(f.at, 40 + 16 + 8 + 24 + 24);
    CHECK_EQUAL(f.next_header, IP_PROTOCOL_UDP);
    CHECK_EQUAL(f.offset_bytes, 0x128);
    CHECK(f.more);
    CHECK_EQUAL(f.id, 0xdeadbeef);
    for (size_t length = 0; length < c.length; length++) {
        CHECK(!ipv6_find_fragment((struct slice){c.bytes, length}, &f));
    }
    uint8_t again[IPV6_FRAGMENT_HEAD_BYTES];
    ipv6_fragment_write(again, &f);
    c.bytes[f.at + 1] = 0; /* reserved */
    c.bytes[f.at + 3] &= 0xf9;
    CHECK_BYTES(again, c.bytes + f.at, sizeof(again));
}

TEST(a_packet_without_a_fragment_header_has_none)
{
    struct chain_of c;
    struct ipv6_fragment f;

    begin(&c, IP_PROTOCOL_UDP);
    add_fragment(&c, 0);
    CHECK(!ipv6_find_fragment((struct slice){c.bytes, c.length}, &f));
    c.bytes[0] = 0x45;
    c.bytes[6] = IP_PROTOCOL_FRAGMENT;
    CHECK(!ipv6_find_fragment((struct slice){c.bytes, c.length}, &f));
}

TEST(every_fragment_repeats_what_routers_on_the_way_must_see)
{
    struct chain_of c;
    struct ipv6_fragment f;

    begin(&c, IP_PROTOCOL_ESP);
    c.length += 20;
    CHECK(ipv6_find_fragmentable((struct slice){c.bytes, c.length}, &f));
    CHECK_EQUAL(f.next_header_at, 6);
    CHECK_EQUAL(f.at, 40);
    CHECK_EQUAL(f.next_header, IP_PROTOCOL_ESP);

    begin(&c, IP_PROTOCOL_HOP_BY_HOP);
    add(&c, IP_PROTOCOL_DESTINATION, 0, 8);
    add(&c, IP_PROTOCOL_ESP, 0, 8);
    c.length += 20;
    CHECK(ipv6_find_fragmentable((struct slice){c.bytes, c.length}, &f));
    CHECK_EQUAL(f.next_header_at, 40);
    CHECK_EQUAL(f.at, 48);
    CHECK_EQUAL(f.next_header, IP_PROTOCOL_DESTINATION);

    begin(&c, IP_PROTOCOL_HOP_BY_HOP);
    add(&c, IP_PROTOCOL_DESTINATION, 0, 8);
    add(&c, IP_PROTOCOL_ROUTING, 0, 8);
    add(&c, IP_PROTOCOL_AH, 2, 24);
    add(&c, IP_PROTOCOL_DESTINATION, 4, 24);
    size_t whole = c.length + 8;
    add(&c, IP_PROTOCOL_UDP, 0, 8);
    CHECK(ipv6_find_fragmentable((struct slice){c.bytes, c.length}, &f));
    CHECK_EQUAL(f.next_header_at, 56);
    CHECK_EQUAL(f.at, 80);
    CHECK_EQUAL(f.next_header, IP_PROTOCOL_AH);
    for (size_t length = 0; length < whole; length++) {
        CHECK(!ipv6_find_fragmentable((struct slice){c.bytes, length}, &f));
    }
}

TEST(a_fragment_is_not_cut_again)
{
    struct chain_of c;
    struct ipv6_fragment f;

    begin(&c, IP_PROTOCOL_HOP_BY_HOP);
    add(&c, IP_PROTOCOL_FRAGMENT, 0, 8);
    add_fragment(&c, IP_PROTOCOL_UDP);
    CHECK(!ipv6_find_fragmentable((struct slice){c.bytes, c.length}, &f));
}
