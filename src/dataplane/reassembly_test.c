/* Fragments in every order, doubled, overlapping, too late and too many, against a reassembler that
 * compares each fragment with all others. */
#include "dataplane/reassembly.h"

#include <stdlib.h>

#include "tests/support/test.h"
#include "wire/ipv6_fragment.h"

#define PIECES_MAX 512
#define ROOM (65536 + 1024)

struct bed {
    struct seeded_random seeded;
    struct random_source random;
    struct reassembly *r;
    struct packet out;
    uint64_t now_ms;
};

static void bed_open(struct bed *b, uint64_t seed)
{
    *b = (struct bed){.now_ms = 1000};
    seeded_random_init(&b->seeded, seed);
    b->random = seeded_random_source(&b->seeded);
    b->r = reassembly_new(&b->random);
    b->out = (struct packet){.buffer = malloc(ROOM), .capacity = ROOM, .offset = 64};
    CHECK(b->r != NULL && b->out.buffer != NULL);
}

static void bed_close(struct bed *b)
{
    reassembly_free(b->r);
    free(b->out.buffer);
}

/* --- whole packets and pieces of them --- */

struct whole {
    uint8_t family;
    size_t head_bytes; /* before the fragmentable part */
    size_t next_header_at; /* IPv6 */
    size_t length;
    uint32_t id;
    uint8_t bytes[65536 + 64];
};

static void finish_ipv4(uint8_t *packet)
{
    size_t head_bytes = (size_t)(packet[0] & 15) * 4;

    put_u16(packet + 10, 0);
    put_u16(packet + 10, checksum_finish(checksum_add(0, (struct slice){packet, head_bytes})));
}

/* A packet with `payload` octets behind its per-fragment headers; `with_options` gives it some. */
static void make_whole(struct random_source *random, struct whole *w, uint8_t family, uint32_t id,
                       size_t payload, bool with_options)
{
    bool ipv4 = family == FAMILY_IPV4;

    w->family = family;
    w->id = id;
    w->head_bytes = (ipv4 ? 20u : 40u) + (with_options ? 8u : 0);
    w->length = w->head_bytes + payload;
    random_fill(random, w->bytes, w->length);
    memset(w->bytes, 0, w->head_bytes);
    if (ipv4) {
        w->bytes[0] = (uint8_t)(0x40 | w->head_bytes / 4);
        put_u16(w->bytes + 2, (uint16_t)w->length);
        put_u16(w->bytes + 4, (uint16_t)id);
        w->bytes[8] = 64;
        w->bytes[9] = IP_PROTOCOL_UDP;
        put_u32(w->bytes + 12, 0x0a010005);
        put_u32(w->bytes + 16, 0x0a020005);
        memset(w->bytes + 20, 1, w->head_bytes - 20); /* NOP */
        finish_ipv4(w->bytes);
        return;
    }
    w->bytes[0] = 0x60;
    put_u16(w->bytes + 4, (uint16_t)(w->length - 40));
    w->bytes[6] = with_options ? IP_PROTOCOL_HOP_BY_HOP : IP_PROTOCOL_UDP;
    w->bytes[7] = 64;
    w->bytes[8] = 0x20;
    w->bytes[24] = 0x20;
    w->bytes[39] = 9;
    w->next_header_at = 6;
    if (with_options) {
        w->next_header_at = 40;
        w->bytes[40] = IP_PROTOCOL_UDP;
        w->bytes[42] = 1;
        w->bytes[43] = 4;
    }
}

/* The piece from `offset` of the fragmentable part on, of `bytes` octets. */
static size_t cut(const struct whole *w, size_t offset, size_t bytes, bool more, uint8_t *out)
{
    size_t at = w->head_bytes;

    memcpy(out, w->bytes, at);
    if (w->family == FAMILY_IPV6) {
        struct ipv6_fragment f = {.next_header = IP_PROTOCOL_UDP,
                                  .offset_bytes = (uint16_t)offset,
                                  .more = more,
                                  .id = w->id};
        out[w->next_header_at] = IP_PROTOCOL_FRAGMENT;
        ipv6_fragment_write(out + at, &f);
        at += IPV6_FRAGMENT_HEAD_BYTES;
        put_u16(out + 4, (uint16_t)(at - 40 + bytes));
    } else {
        put_u16(out + 2, (uint16_t)(at + bytes));
        put_u16(out + 6, (uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
        finish_ipv4(out);
    }
    memcpy(out + at, w->bytes + w->head_bytes + offset, bytes);
    return at + bytes;
}

static enum reassembly_result add_bytes(struct bed *b, const uint8_t *bytes, size_t length)
{
    struct ip_head head;

    CHECK(ip_read((struct slice){bytes, length}, &head));
    return reassembly_add(b->r, (struct slice){bytes, length}, &head, b->now_ms, &b->out);
}

static enum reassembly_result add(struct bed *b, const struct whole *w, size_t offset, size_t bytes,
                                  bool more)
{
    static uint8_t piece[65536 + 64];

    return add_bytes(b, piece, cut(w, offset, bytes, more, piece));
}

static bool is_out(const struct bed *b, const struct whole *w)
{
    return b->out.length == w->length && memcmp(packet_data(&b->out), w->bytes, w->length) == 0;
}

/* --- the most obvious reassembler, for one datagram --- */

struct part {
    size_t offset, bytes;
    bool more;
    uint8_t first; /* of its octets: tells a changed one */
};

struct obvious {
    struct part parts[PIECES_MAX];
    size_t count;
    size_t end;
    bool refused;
};

static enum reassembly_result obvious_add(struct obvious *o, struct part part)
{
    size_t total = 0;

    if (o->refused) {
        return REASSEMBLY_OVERLAPS;
    }
    for (size_t i = 0; i < o->count; i++) {
        const struct part *p = &o->parts[i];
        if (memcmp(p, &part, sizeof(part)) == 0) {
            return REASSEMBLY_DOUBLED;
        }
        bool apart = p->offset + p->bytes <= part.offset || part.offset + part.bytes <= p->offset;
        bool ends_agree = (p->more || (part.more && part.offset + part.bytes <= p->offset)) &&
                          (part.more || p->offset + p->bytes <= part.offset);
        if (!apart || !ends_agree) {
            o->refused = true;
            return REASSEMBLY_OVERLAPS;
        }
    }
    o->parts[o->count++] = part;
    for (size_t i = 0; i < o->count; i++) {
        total += o->parts[i].bytes;
        if (!o->parts[i].more) {
            o->end = o->parts[i].offset + o->parts[i].bytes;
        }
    }
    /* Apart from one another, and together as long as the whole. */
    return o->end > 0 && total == o->end ? REASSEMBLY_WHOLE : REASSEMBLY_WAITS;
}

/* --- properties --- */

static size_t cut_at_random(struct random_source *random, size_t payload, struct part *parts)
{
    size_t count = 0;
    size_t largest = (payload / (PIECES_MAX / 2) / 8 + 1 + random_below(random, 40)) * 8;

    for (size_t at = 0; at < payload; count++) {
        size_t bytes = (1 + random_below(random, (uint32_t)(largest / 8))) * 8;
        /* Half of what would be possible at least, so that there are not too many. */
        bytes = bytes < largest / 2 ? largest / 2 / 8 * 8 + 8 : bytes;
        bytes = at + bytes >= payload ? payload - at : bytes;
        memset(&parts[count], 0, sizeof(parts[count]));
        parts[count].offset = at;
        parts[count].bytes = bytes;
        parts[count].more = at + bytes < payload;
        at += bytes;
    }
    return count;
}

static void shuffle(struct random_source *random, struct part *parts, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = random_below(random, (uint32_t)i);
        struct part kept = parts[i - 1];
        parts[i - 1] = parts[k];
        parts[k] = kept;
    }
}

static size_t random_payload(struct random_source *random, int round)
{
    size_t most = round % 16 == 0 ? 65000 : round % 2 == 0 ? 3000 : 300;

    return 24 + random_below(random, (uint32_t)most);
}

TEST(whatever_the_cuts_and_the_order_the_whole_comes_out_once)
{
    static struct whole w;
    struct part parts[PIECES_MAX];
    struct bed b;

    bed_open(&b, 1);
    for (int round = 0; round < 3000; round++) {
        uint8_t family = round % 2 == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
        size_t payload = random_payload(&b.random, round / 2);
        make_whole(&b.random, &w, family, (uint32_t)round, payload, round % 4 < 2);
        size_t count = cut_at_random(&b.random, payload, parts);
        shuffle(&b.random, parts, count);
        for (size_t i = 0; i < count; i++) {
            enum reassembly_result result =
                add(&b, &w, parts[i].offset, parts[i].bytes, parts[i].more);
            CHECK_EQUAL(result, i + 1 < count ? REASSEMBLY_WAITS : REASSEMBLY_WHOLE);
        }
        CHECK(is_out(&b, &w));
    }
    CHECK_EQUAL(reassembly_counters(b.r)->timed_out, 0);
    CHECK_EQUAL(reassembly_counters(b.r)->evicted, 0);
    bed_close(&b);
}

/* Pieces with other bounds or another octet among the right ones. */
TEST(doubled_and_overlapping_fragments_are_told_apart_as_by_looking_at_all)
{
    static struct whole w;
    struct part parts[PIECES_MAX];
    struct bed b;
    size_t seen[REASSEMBLY_CONGESTION + 1] = {0};

    bed_open(&b, 2);
    for (int round = 0; round < 6000; round++) {
        struct obvious obvious = {.count = 0};
        size_t payload = 24 + random_below(&b.random, 400);
        make_whole(&b.random, &w, round % 2 == 0 ? FAMILY_IPV4 : FAMILY_IPV6, (uint32_t)round,
                   payload, false);
        size_t count = cut_at_random(&b.random, payload, parts);
        shuffle(&b.random, parts, count);
        for (size_t i = 0; i < count;) {
            struct part part = parts[i];
            uint32_t kind = random_below(&b.random, 40);
            if (kind == 0 && part.bytes > 8) {
                part.offset += 8;
                part.bytes -= 8;
            } else if (kind == 1 && part.bytes > 16) {
                part.bytes -= 8;
                part.bytes = part.bytes / 8 * 8;
                part.more = true;
            } else if (kind == 2 && part.bytes % 8 == 0) {
                part.more = !part.more;
            } else if (kind == 3 && part.offset >= 8) {
                part.offset -= 8;
                part.bytes += 8;
            } else if (kind == 4) {
                part.first ^= 1;
            } else if (kind < 12 && i > 0) {
                part = parts[random_below(&b.random, (uint32_t)i)];
            } else {
                i++;
            }
            if (part.offset == 0 && !part.more) {
                continue; /* a whole packet, which is no business of the others */
            }
            w.bytes[w.head_bytes + part.offset] ^= part.first;
            enum reassembly_result result = add(&b, &w, part.offset, part.bytes, part.more);
            w.bytes[w.head_bytes + part.offset] ^= part.first;
            enum reassembly_result expected = obvious_add(&obvious, part);
            CHECK_EQUAL(result, expected);
            seen[result]++;
            if (result == REASSEMBLY_WHOLE) {
                CHECK_EQUAL(b.out.length, w.head_bytes + obvious.end);
                break;
            }
        }
        b.now_ms += REASSEMBLY_IPV6_MS;
    }
    CHECK(seen[REASSEMBLY_WHOLE] > 500 && seen[REASSEMBLY_DOUBLED] > 500);
    CHECK(seen[REASSEMBLY_OVERLAPS] > 500);
    bed_close(&b);
}

TEST(datagrams_of_many_senders_are_kept_apart)
{
    enum { MANY = 60 };
    static struct whole all[MANY];
    static struct part parts[MANY][PIECES_MAX];
    size_t counts[MANY];
    size_t whole = 0;
    struct bed b;

    bed_open(&b, 3);
    for (size_t k = 0; k < MANY; k++) {
        /* The same identification; the addresses, and for IPv4 the protocol, differ. */
        make_whole(&b.random, &all[k], k % 2 == 0 ? FAMILY_IPV4 : FAMILY_IPV6, 7,
                   100 + random_below(&b.random, 3000), false);
        uint8_t *sender = all[k].bytes + (k % 2 == 0 ? 15 : 23);
        *sender = (uint8_t)(k / 4);
        if (k % 2 == 0) {
            all[k].bytes[9] = k % 4 == 0 ? IP_PROTOCOL_UDP : IP_PROTOCOL_TCP;
            finish_ipv4(all[k].bytes);
        } else {
            all[k].bytes[39] = (uint8_t)(k % 4);
        }
        counts[k] = cut_at_random(&b.random, all[k].length - all[k].head_bytes, parts[k]);
        shuffle(&b.random, parts[k], counts[k]);
    }
    for (size_t i = 0; i < PIECES_MAX; i++) {
        for (size_t k = 0; k < MANY; k++) {
            if (i >= counts[k]) {
                continue;
            }
            struct part p = parts[k][i];
            enum reassembly_result result = add(&b, &all[k], p.offset, p.bytes, p.more);
            CHECK_EQUAL(result, i + 1 < counts[k] ? REASSEMBLY_WAITS : REASSEMBLY_WHOLE);
            if (result == REASSEMBLY_WHOLE) {
                CHECK(is_out(&b, &all[k]));
                whole++;
            }
        }
    }
    CHECK_EQUAL(whole, MANY);
    bed_close(&b);
}

TEST(the_result_may_be_written_over_the_fragment_that_completed_it)
{
    static struct whole w;
    struct bed b;

    bed_open(&b, 4);
    for (int f = 0; f < 2; f++) {
        make_whole(&b.random, &w, f == 0 ? FAMILY_IPV4 : FAMILY_IPV6, 1, 3001, true);
        CHECK_EQUAL(add(&b, &w, 1600, 1401, false), REASSEMBLY_WAITS);
        b.out.length = (uint32_t)cut(&w, 0, 1600, true, packet_data(&b.out));
        CHECK_EQUAL(add_bytes(&b, packet_data(&b.out), b.out.length), REASSEMBLY_WHOLE);
        CHECK(is_out(&b, &w));
        b.out.length = (uint32_t)cut(&w, 0, 3001, false, packet_data(&b.out));
        CHECK_EQUAL(add_bytes(&b, packet_data(&b.out), b.out.length), REASSEMBLY_WHOLE);
        CHECK(is_out(&b, &w));
    }
    bed_close(&b);
}

TEST(an_atomic_fragment_is_whole_and_disturbs_nobody)
{
    static struct whole w;
    static struct whole other;
    struct bed b;

    bed_open(&b, 5);
    for (int options = 0; options < 2; options++) {
        make_whole(&b.random, &w, FAMILY_IPV6, 9, 900, options == 1);
        make_whole(&b.random, &other, FAMILY_IPV6, 9, 333, options == 1);
        CHECK_EQUAL(add(&b, &w, 0, 800, true), REASSEMBLY_WAITS);
        CHECK_EQUAL(add(&b, &other, 0, 333, false), REASSEMBLY_WHOLE);
        CHECK(is_out(&b, &other));
        CHECK_EQUAL(add(&b, &w, 800, 100, false), REASSEMBLY_WHOLE);
        CHECK(is_out(&b, &w));
    }
    bed_close(&b);
}

TEST(no_datagram_is_longer_than_the_largest)
{
    static struct whole w;
    struct bed b;
    struct ip_head head;

    bed_open(&b, 6);
    for (int f = 0; f < 2; f++) {
        uint8_t family = f == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
        size_t most = f == 0 ? 65535 - 28 : 65535 - 8;
        make_whole(&b.random, &w, family, 1, most, true);
        CHECK_EQUAL(add(&b, &w, 32768, most - 32768, false), REASSEMBLY_WAITS);
        CHECK_EQUAL(add(&b, &w, 0, 32768, true), REASSEMBLY_WHOLE);
        CHECK(is_out(&b, &w));
        /* One octet more fits behind a shorter header, but not behind that of the first. */
        make_whole(&b.random, &w, family, 2, most, true);
        CHECK_EQUAL(add(&b, &w, 32768, most + 1 - 32768, false), REASSEMBLY_WAITS);
        CHECK_EQUAL(add(&b, &w, 0, 32768, true), REASSEMBLY_TOO_LARGE);
        CHECK_EQUAL(add(&b, &w, 0, 32768, true), REASSEMBLY_OVERLAPS);
    }
    make_whole(&b.random, &w, FAMILY_IPV4, 3, 40000, false);
    uint8_t piece[64];
    size_t length = cut(&w, 0, 24, true, piece);
    put_u16(piece + 6, 8189); /* at 65512: ends at 65536 */
    finish_ipv4(piece);
    CHECK(!ip_read((struct slice){piece, length}, &head));
    put_u16(piece + 6, 8187); /* ends at 65520, and a header comes before it */
    finish_ipv4(piece);
    CHECK_EQUAL(add_bytes(&b, piece, length), REASSEMBLY_TOO_LARGE);
    bed_close(&b);
}

TEST(what_is_not_completed_in_time_is_given_up)
{
    static struct whole w;
    struct bed b;

    bed_open(&b, 7);
    for (int f = 0; f < 2; f++) {
        uint64_t lifetime_ms = f == 0 ? REASSEMBLY_IPV4_MS : REASSEMBLY_IPV6_MS;
        make_whole(&b.random, &w, f == 0 ? FAMILY_IPV4 : FAMILY_IPV6, 1, 900, false);
        CHECK_EQUAL(add(&b, &w, 0, 800, true), REASSEMBLY_WAITS);
        b.now_ms += lifetime_ms - 1;
        CHECK_EQUAL(add(&b, &w, 800, 100, false), REASSEMBLY_WHOLE);
        CHECK_EQUAL(add(&b, &w, 0, 800, true), REASSEMBLY_WAITS);
        b.now_ms += lifetime_ms;
        CHECK_EQUAL(add(&b, &w, 800, 100, false), REASSEMBLY_WAITS);
        CHECK_EQUAL(reassembly_counters(b.r)->timed_out, (uint64_t)f * 2 + 1);
        b.now_ms += lifetime_ms;
        reassembly_expire(b.r, b.now_ms);
        CHECK_EQUAL(reassembly_counters(b.r)->timed_out, (uint64_t)f * 2 + 2);
        /* A refused one is forgotten after the same time. */
        CHECK_EQUAL(add(&b, &w, 0, 800, true), REASSEMBLY_WAITS);
        CHECK_EQUAL(add(&b, &w, 8, 800, true), REASSEMBLY_OVERLAPS);
        CHECK_EQUAL(add(&b, &w, 800, 100, false), REASSEMBLY_OVERLAPS);
        b.now_ms += lifetime_ms;
        CHECK_EQUAL(add(&b, &w, 0, 800, true), REASSEMBLY_WAITS);
        CHECK_EQUAL(add(&b, &w, 800, 100, false), REASSEMBLY_WHOLE);
        CHECK_EQUAL(reassembly_counters(b.r)->timed_out, (uint64_t)f * 2 + 2);
    }
    bed_close(&b);
}

TEST(one_sender_cannot_push_out_what_others_wait_for)
{
    static struct whole w;
    static struct whole honest;
    struct bed b;

    bed_open(&b, 8);
    make_whole(&b.random, &honest, FAMILY_IPV4, 5, 900, false);
    honest.bytes[15] = 77;
    finish_ipv4(honest.bytes);
    CHECK_EQUAL(add(&b, &honest, 800, 100, false), REASSEMBLY_WAITS);
    make_whole(&b.random, &w, FAMILY_IPV4, 0, 900, false);
    for (uint32_t id = 0; id < 10000; id++) {
        b.now_ms += id % 2;
        put_u16(w.bytes + 4, (uint16_t)id);
        CHECK_EQUAL(add(&b, &w, 0, 800, true), REASSEMBLY_WAITS);
    }
    CHECK_EQUAL(reassembly_counters(b.r)->evicted, 10000 - REASSEMBLY_OF_SOURCE);
    CHECK_EQUAL(add(&b, &honest, 0, 800, true), REASSEMBLY_WHOLE);
    CHECK(is_out(&b, &honest));
    bed_close(&b);
}

TEST(of_many_senders_the_oldest_datagram_makes_room)
{
    static struct whole w;
    struct bed b;

    bed_open(&b, 9);
    make_whole(&b.random, &w, FAMILY_IPV4, 5, 900, false);
    for (uint32_t i = 0; i <= REASSEMBLY_DATAGRAMS; i++) {
        b.now_ms++;
        w.bytes[14] = (uint8_t)i;
        CHECK_EQUAL(add(&b, &w, 0, 800, true), REASSEMBLY_WAITS);
    }
    CHECK_EQUAL(reassembly_counters(b.r)->evicted, 1);
    for (uint32_t i = 1; i <= REASSEMBLY_DATAGRAMS; i++) {
        w.bytes[14] = (uint8_t)i;
        CHECK_EQUAL(add(&b, &w, 800, 100, false), REASSEMBLY_WHOLE);
    }
    bed_close(&b);
}

/* RFC 8200 4.5: all headers stand in the first fragment, and it has as many octets as it says. */
TEST(a_first_fragment_that_is_too_small_or_empty_is_refused)
{
    static struct whole w;
    struct bed b;

    bed_open(&b, 10);
    make_whole(&b.random, &w, FAMILY_IPV6, 1, 100, false);
    w.bytes[6] = IP_PROTOCOL_TCP;
    uint8_t piece[200];
    size_t length = cut(&w, 0, 16, true, piece);
    piece[40] = IP_PROTOCOL_TCP;
    CHECK_EQUAL(add_bytes(&b, piece, length), REASSEMBLY_MALFORMED);
    length = cut(&w, 0, 24, true, piece);
    piece[40] = IP_PROTOCOL_TCP;
    CHECK_EQUAL(add_bytes(&b, piece, length), REASSEMBLY_WAITS);
    /* Empty ones. */
    CHECK_EQUAL(add(&b, &w, 24, 0, true), REASSEMBLY_MALFORMED);
    CHECK_EQUAL(add(&b, &w, 24, 0, false), REASSEMBLY_MALFORMED);
    /* For IPv4 eight octets are a fragment that every host may meet (RFC 791 3.2). */
    make_whole(&b.random, &w, FAMILY_IPV4, 1, 16, false);
    CHECK_EQUAL(add(&b, &w, 0, 8, true), REASSEMBLY_WAITS);
    CHECK_EQUAL(add(&b, &w, 8, 8, false), REASSEMBLY_WHOLE);
    CHECK(is_out(&b, &w));
    bed_close(&b);
}

TEST(the_headers_before_the_fragment_header_have_a_limit)
{
    static struct whole w;
    struct bed b;

    bed_open(&b, 11);
    for (uint8_t units = 57; units < 62; units++) {
        size_t options = ((size_t)units + 1) * 8;
        make_whole(&b.random, &w, FAMILY_IPV6, units, 2000, true);
        /* The hop-by-hop header grows over what follows: the rest is data like any other. */
        w.bytes[41] = units;
        w.head_bytes = 40 + options;
        w.length = w.head_bytes + 1000;
        put_u16(w.bytes + 4, (uint16_t)(w.length - 40));
        bool fits = w.head_bytes <= 512;
        CHECK_EQUAL(add(&b, &w, 0, 800, true), fits ? REASSEMBLY_WAITS : REASSEMBLY_MALFORMED);
        CHECK_EQUAL(add(&b, &w, 800, 200, false), fits ? REASSEMBLY_WHOLE : REASSEMBLY_WAITS);
        CHECK(!fits || is_out(&b, &w));
    }
    bed_close(&b);
}

/* RFC 3168 5.3. */
TEST(a_congestion_mark_on_one_fragment_is_a_mark_on_the_whole)
{
    static const struct {
        uint8_t first, second;
        enum reassembly_result result;
        uint8_t merged;
    } cases[] = {
        {0, 0, REASSEMBLY_WHOLE, 0},      {1, 1, REASSEMBLY_WHOLE, 1},
        {2, 2, REASSEMBLY_WHOLE, 2},      {3, 3, REASSEMBLY_WHOLE, 3},
        {2, 3, REASSEMBLY_WHOLE, 3},      {3, 1, REASSEMBLY_WHOLE, 3},
        {0, 3, REASSEMBLY_CONGESTION, 0}, {3, 0, REASSEMBLY_CONGESTION, 0},
    };
    static struct whole w;
    struct bed b;

    bed_open(&b, 12);
    for (size_t i = 0; i < ARRAY_LENGTH(cases) * 2; i++) {
        uint8_t family = i % 2 == 0 ? FAMILY_IPV4 : FAMILY_IPV6;
        uint8_t piece[1024];
        struct ip_head head;
        make_whole(&b.random, &w, family, (uint32_t)i, 900, false);
        for (int k = 0; k < 2; k++) {
            size_t length = k == 0 ? cut(&w, 800, 100, false, piece) : cut(&w, 0, 800, true, piece);
            uint8_t ecn = k == 0 ? cases[i / 2].second : cases[i / 2].first;
            if (family == FAMILY_IPV4) {
                ipv4_set_tos(piece, 0xb8 | ecn);
            } else {
                ipv6_set_traffic_class(piece, 0xb8 | ecn);
            }
            CHECK_EQUAL(add_bytes(&b, piece, length),
                        k == 0 ? REASSEMBLY_WAITS : cases[i / 2].result);
        }
        if (cases[i / 2].result == REASSEMBLY_WHOLE) {
            CHECK(ip_read(packet_slice(&b.out), &head));
            CHECK_EQUAL(head.tos, 0xb8 | cases[i / 2].merged);
        }
    }
    bed_close(&b);
}

TEST(a_packet_that_is_no_fragment_is_whole)
{
    static struct whole w;
    struct bed b;

    bed_open(&b, 13);
    for (int f = 0; f < 2; f++) {
        make_whole(&b.random, &w, f == 0 ? FAMILY_IPV4 : FAMILY_IPV6, 0, 700, true);
        CHECK_EQUAL(add_bytes(&b, w.bytes, w.length), REASSEMBLY_WHOLE);
        CHECK(is_out(&b, &w));
    }
    bed_close(&b);
}
