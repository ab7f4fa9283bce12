/* Outer packets that we cut: what arrives is what was sent, in pieces that fit. */
#include "dataplane/fragment.h"

#include <stdlib.h>

#include "dataplane/reassembly.h"
#include "dataplane/testbed.h"
#include "tests/support/test.h"
#include "wire/ipv6_fragment.h"

/* An outer IPv6 packet of `total` octets: ESP, perhaps behind a hop-by-hop header. */
static void make(struct testbed *t, struct packet *p, uint32_t total, bool with_options)
{
    uint8_t *bytes = packet_data(p);

    random_fill(&t->random, bytes, total);
    memset(bytes, 0, 48);
    bytes[0] = 0x60;
    put_u16(bytes + 4, (uint16_t)(total - 40));
    bytes[6] = with_options ? IP_PROTOCOL_HOP_BY_HOP : IP_PROTOCOL_ESP;
    bytes[7] = 64;
    bytes[8] = 0x20;
    bytes[24] = 0x20;
    bytes[39] = 1;
    if (with_options) {
        bytes[40] = IP_PROTOCOL_ESP;
        bytes[42] = 1;
        bytes[43] = 4;
    }
    p->length = total;
    p->has_outer_head = true;
    p->peer = (struct endpoint){{FAMILY_IPV6, {0x20, [15] = 1}}, 0};
    p->tos = 0x2e;
}

static void check_piece(const struct packet *p, const struct packet *first, uint32_t at,
                        uint16_t mtu, bool last, uint32_t *id)
{
    struct ipv6_fragment f;
    struct ip_head head;

    CHECK(p->length <= mtu);
    CHECK(ip_read(packet_slice(p), &head));
    CHECK_EQUAL(head.total_bytes, p->length);
    CHECK(ipv6_find_fragment(packet_slice(p), &f));
    CHECK_EQUAL(f.offset_bytes, at);
    CHECK_EQUAL(f.next_header, IP_PROTOCOL_ESP);
    CHECK_EQUAL(f.more, !last);
    CHECK(p->has_outer_head && p->tos == 0x2e && endpoint_equal(&p->peer, &first->peer));
    *id = f.id;
}

/* Cuts, checks, puts together, compares and gives back. The number of pieces. */
static size_t there_and_back(struct testbed *t, struct reassembly *r, uint32_t total, uint16_t mtu,
                             bool with_options, uint32_t *id)
{
    static uint8_t whole[65536 + 64];
    static uint8_t room[65536 + 64];
    struct packet *pieces[DATAPLANE_OUTPUT_MAX];
    struct packet *p = dataplane_take_packet(t->a.worker);
    struct packet out = {.buffer = room, .capacity = sizeof(room)};
    size_t head_bytes = with_options ? 48 : 40;
    struct ip_head head;
    uint32_t at = 0;

    make(t, p, total, with_options);
    memcpy(whole, packet_data(p), total);
    CHECK(ip_read(packet_slice(p), &head));
    size_t count = fragment_ipv6(t->a.worker, p, mtu, pieces, DATAPLANE_OUTPUT_MAX);
    CHECK(count > 1 && pieces[0] == p);
    for (size_t i = 0; i < count; i++) {
        uint32_t this_id = 0;
        check_piece(pieces[i], p, at, mtu, i + 1 == count, &this_id);
        CHECK(i == 0 || this_id == *id);
        *id = this_id;
        at += pieces[i]->length - (uint32_t)head_bytes - IPV6_FRAGMENT_HEAD_BYTES;
        CHECK(ip_read(packet_slice(pieces[i]), &head));
        CHECK_EQUAL(reassembly_add(r, packet_slice(pieces[i]), &head, 1, &out),
                    i + 1 < count ? REASSEMBLY_WAITS : REASSEMBLY_WHOLE);
    }
    CHECK_EQUAL(out.length, total);
    CHECK_BYTES(room, whole, total);
    for (size_t i = 0; i < count; i++) {
        dataplane_give_packet(t->a.worker, pieces[i]);
    }
    return count;
}

TEST(a_packet_of_ours_arrives_in_pieces_that_make_the_whole)
{
    struct testbed t;
    uint32_t last_id = 0;

    testbed_open(&t, 1);
    struct reassembly *r = reassembly_new(&t.random);
    for (int round = 0; round < 400; round++) {
        bool with_options = round % 2 == 1;
        uint16_t mtu = (uint16_t)(1280 + random_below(&t.random, 700));
        uint32_t total = round < 40    ? mtu + 1u + (uint32_t)round
                         : round == 40 ? 65535 + 40
                                       : mtu + 1 + random_below(&t.random, 20000);
        uint32_t id = 0;
        size_t head_bytes = with_options ? 48 : 40;
        size_t part = (mtu - head_bytes - 8) / 8 * 8;
        CHECK_EQUAL(there_and_back(&t, r, total, mtu, with_options, &id),
                    (total - head_bytes + part - 1) / part);
        CHECK(id != last_id);
        last_id = id;
    }
    reassembly_free(r);
    testbed_close(&t);
}

TEST(what_cannot_be_cut_stays_as_it_was)
{
    static uint8_t before[4096];
    struct packet *pieces[8];
    struct testbed t;
    struct ip_head head;

    testbed_open(&t, 2);
    struct packet *p = dataplane_take_packet(t.a.worker);
    size_t free_before = t.a.worker->free_count;
    make(&t, p, 4000, false);
    memcpy(before, packet_data(p), 4000);
    CHECK(ip_read(packet_slice(p), &head));
    /* Too few places, too small an MTU, or no need. */
    for (size_t capacity = 0; capacity < 4; capacity++) {
        CHECK_EQUAL(fragment_ipv6(t.a.worker, p, 1280, pieces, capacity), 0);
    }
    for (uint16_t mtu = 0; mtu < 63; mtu++) {
        CHECK_EQUAL(fragment_ipv6(t.a.worker, p, mtu, pieces, 8), 0);
    }
    CHECK_EQUAL(fragment_ipv6(t.a.worker, p, 4000, pieces, 8), 0);
    /* No buffers. */
    struct packet *taken[WORKER_PACKETS];
    size_t count = 0;
    while (t.a.worker->free_count > 2) {
        taken[count++] = dataplane_take_packet(t.a.worker);
    }
    CHECK_EQUAL(fragment_ipv6(t.a.worker, p, 1280, pieces, 8), 0);
    CHECK_EQUAL(t.a.worker->free_count, 2);
    while (count > 0) {
        dataplane_give_packet(t.a.worker, taken[--count]);
    }
    CHECK_EQUAL(t.a.worker->free_count, free_before);
    CHECK_EQUAL(p->length, 4000);
    CHECK_BYTES(packet_data(p), before, 4000);
    /* Four places are enough; a piece is not cut again. */
    CHECK_EQUAL(fragment_ipv6(t.a.worker, p, 1280, pieces, 4), 4);
    CHECK(ip_read(packet_slice(p), &head));
    CHECK_EQUAL(fragment_ipv6(t.a.worker, p, 600, pieces + 4, 4), 0);
    for (size_t i = 0; i < 4; i++) {
        dataplane_give_packet(t.a.worker, pieces[i]);
    }
    testbed_close(&t);
}

TEST(pieces_of_an_outer_ipv4_packet_go_where_the_whole_goes)
{
    struct packet *pieces[8];
    struct testbed t;
    struct ip_head head;

    testbed_open(&t, 3);
    struct packet *p = dataplane_take_packet(t.a.worker);
    testbed_fill(&t, p, true, FAMILY_IPV4, 4000, false);
    p->has_outer_head = true;
    p->tos = 0x2e;
    p->peer = (struct endpoint){{FAMILY_IPV4, {198, 51, 100, 2}}, 0};
    CHECK(ip_read(packet_slice(p), &head));
    size_t count = fit_fragment(t.a.worker, p, &head, 1500, pieces, 8);
    CHECK_EQUAL(count, 3);
    for (size_t i = 0; i < count; i++) {
        CHECK(pieces[i]->has_outer_head && pieces[i]->tos == 0x2e);
        CHECK(endpoint_equal(&pieces[i]->peer, &p->peer));
        dataplane_give_packet(t.a.worker, pieces[i]);
    }
    testbed_close(&t);
}
