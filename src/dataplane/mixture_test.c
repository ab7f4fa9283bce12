/* Batches in which packets of different SAs go different roads together, and what lies between one
 * turn and the next: rekeying, removal, and SAs that send by themselves. */
#include "dataplane/testbed.h"

#include <string.h>

#include "tests/support/test.h"
#include "wire/ip_place.h"

#define CLEAR_BYTES_MAX 65535
#define KEY_BYTES 128
#define BIG_BYTES 64000
#define RATE_BITS UINT64_C(8000000)

#define GCM                                                                                        \
    {                                                                                              \
        .encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128                                       \
    }
#define SHA256                                                                                     \
    {                                                                                              \
        .integrity = INTEGRITY_HMAC_SHA2_256_128                                                   \
    }

static const struct selector hosts4[2] = {
    {{{FAMILY_IPV4, {192, 0, 2, 1}}, {FAMILY_IPV4, {192, 0, 2, 1}}}, 0, 0, UINT16_MAX},
    {{{FAMILY_IPV4, {198, 51, 100, 2}}, {FAMILY_IPV4, {198, 51, 100, 2}}}, 0, 0, UINT16_MAX},
};
#define HOST6(last)                                                                                \
    {                                                                                              \
        FAMILY_IPV6,                                                                               \
        {                                                                                          \
            0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, last                    \
        }                                                                                          \
    }
static const struct selector hosts6[2] = {
    {{HOST6(1), HOST6(1)}, 0, 0, UINT16_MAX},
    {{HOST6(2), HOST6(2)}, 0, 0, UINT16_MAX},
};

/* What of the sites an SA carries. */
enum carries { BOTH_FAMILIES, IPV4_ONLY, IPV6_ONLY };

/* A pair of SAs as `like` says; its spi_in is that of a, and the next one that of b. */
static void join_with(struct testbed *t, const struct child_sa *like, enum carries carries,
                      const struct selector *hosts)
{
    uint8_t keys[2][KEY_BYTES];
    size_t length = suite_integrity_key_bytes(&like->suite);

    if (like->protocol != IP_PROTOCOL_AH) {
        length += suite_encryption_key_bytes(&like->suite);
    }
    random_fill(&t->random, keys[0], KEY_BYTES);
    random_fill(&t->random, keys[1], KEY_BYTES);
    for (size_t side = 0; side < 2; side++) {
        struct tunnel tunnel = {
            .suite = like->suite,
            .outer_family = hosts == hosts6 ? FAMILY_IPV6 : FAMILY_IPV4,
            .encapsulated = like->encapsulated,
        };
        struct gateway *g = side == 0 ? &t->a : &t->b;
        struct child_sa model;
        struct child_sa child = *like;

        testbed_child(&tunnel, side == 0, &model);
        child.policy_id = 1;
        child.spi_in = like->spi_in + (uint32_t)side;
        child.spi_out = like->spi_in + 1 - (uint32_t)side;
        child.inside_spi_in = like->inside_spi_in == 0 ? 0 : like->inside_spi_in + (uint32_t)side;
        child.key_in = (struct slice){keys[side], length};
        child.key_out = (struct slice){keys[1 - side], length};
        child.local = model.local;
        child.peer = model.peer;
        child.local_selectors = model.local_selectors + (carries == IPV6_ONLY ? 1 : 0);
        child.remote_selectors = model.remote_selectors + (carries == IPV6_ONLY ? 1 : 0);
        child.local_count = child.remote_count = carries == BOTH_FAMILIES ? 2 : 1;
        if (hosts != NULL) {
            struct policy policy = {.id = 1,
                                    .verdict = POLICY_PROTECT,
                                    .local = &hosts[side],
                                    .local_count = 1,
                                    .remote = &hosts[1 - side],
                                    .remote_count = 1};

            CHECK(dataplane_set_policies(g->dp, &policy, 1));
            child.local_selectors = &hosts[side];
            child.remote_selectors = &hosts[1 - side];
            child.local_count = child.remote_count = 1;
        }
        CHECK(dataplane_reserve_exact(g->dp, child.spi_in));
        CHECK(dataplane_install(g->dp, &child));
        if (child.inside_spi_in == 0) {
            dataplane_use(g->dp, child.spi_in);
        }
    }
}

static void set_tos_of(uint8_t *data, uint8_t tos)
{
    if (data[0] >> 4 == 4) {
        ipv4_set_tos(data, tos);
    } else {
        ipv6_set_traffic_class(data, tos);
    }
}

/* A clear packet without marks that a may send; between hosts when they are said. */
static struct packet *take_clear(struct testbed *t, uint8_t family, uint32_t total,
                                 bool dont_fragment, const struct selector *hosts)
{
    struct packet *packet = dataplane_take_packet(t->a.worker);

    CHECK(packet != NULL);
    testbed_fill(t, packet, true, family, total, dont_fragment);
    uint8_t *data = packet_data(packet);
    if (hosts != NULL) {
        size_t bytes = family == FAMILY_IPV4 ? 4 : 16;
        size_t at = family == FAMILY_IPV4 ? 12 : 8;

        memcpy(data + at, hosts[0].addresses.first.bytes, bytes);
        memcpy(data + at + bytes, hosts[1].addresses.first.bytes, bytes);
        if (family == FAMILY_IPV4) {
            put_u16(data + 10, 0);
            put_u16(data + 10, checksum_finish(checksum_add(0, (struct slice){data, 20})));
        }
    }
    set_tos_of(data, 0);
    return packet;
}

static void send_from_a(struct testbed *t, struct packet *packet)
{
    dataplane_outbound(t->a.worker, &packet, 1, t->now_ms, &t->a.out);
}

static void tick(struct testbed *t, struct gateway *g, uint64_t now_us)
{
    t->now_ms = now_us / 1000;
    dataplane_tick(g->worker, now_us, &g->out);
}

TEST(a_plain_tunnel_is_sealed_whatever_else_is_in_the_batch)
{
    struct child_sa plain = {.spi_in = 0x1000, .suite = GCM, .encapsulated = true};
    struct child_sa padded = {
        .spi_in = 0x2000, .suite = GCM, .encapsulated = true, .tfc_bytes = 100};
    struct packet *batch[3];
    uint8_t clear[200];
    struct testbed t;

    testbed_open(&t, 70);
    join_with(&t, &plain, IPV6_ONLY, NULL);
    join_with(&t, &padded, IPV4_ONLY, NULL);
    batch[0] = take_clear(&t, FAMILY_IPV6, 200, false, NULL);
    memcpy(clear, packet_data(batch[0]), 200);
    /* Each becomes more than forty on the long road, which is taken in rounds of 64. */
    batch[1] = take_clear(&t, FAMILY_IPV4, BIG_BYTES, false, NULL);
    batch[2] = take_clear(&t, FAMILY_IPV4, BIG_BYTES, false, NULL);
    dataplane_outbound(t.a.worker, batch, 3, t.now_ms, &t.a.out);
    CHECK(t.a.out.to_wire_count > 80);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_FORGED), 0);
    bool found = false;
    for (size_t i = 0; i < t.b.out.to_tun_count; i++) {
        const struct packet *p = t.b.out.to_tun[i];

        found = found || (p->length == 200 && memcmp(packet_data(p), clear, 200) == 0);
    }
    CHECK(found);
    CHECK(testbed_doors_add_up(&t.a));
    testbed_close(&t);
}

TEST(more_pieces_than_the_output_has_room_for_are_dropped)
{
    struct child_sa ah = {
        .spi_in = 0x1000, .protocol = IP_PROTOCOL_AH, .suite = SHA256, .transport_mode = true};

    for (uint32_t total = 1400; total < CLEAR_BYTES_MAX; total += total < 9000 ? 700 : 7000) {
        struct packet *batch[BATCH_PACKETS];
        struct testbed t;

        testbed_open(&t, 71);
        join_with(&t, &ah, BOTH_FAMILIES, hosts4);
        for (size_t i = 0; i < BATCH_PACKETS; i++) {
            batch[i] = take_clear(&t, FAMILY_IPV4, i % 3 == 2 ? 100 : total, false, hosts4);
        }
        dataplane_outbound(t.a.worker, batch, BATCH_PACKETS, t.now_ms, &t.a.out);
        CHECK(t.a.out.to_wire_count >= BATCH_PACKETS);
        CHECK(testbed_doors_add_up(&t.a));
        testbed_close(&t);
    }
}

TEST(what_waited_and_what_is_due_share_one_output)
{
    struct child_sa paced = {.spi_in = 0x1000,
                             .suite = GCM,
                             .encapsulated = true,
                             .aggfrag = {.enabled = true, .rate_bits = UINT64_C(1000000000)}};
    struct child_sa plain = {.spi_in = 0x2000, .suite = GCM, .encapsulated = true};
    struct child_sa model;
    struct tunnel tunnel = {.suite = GCM, .outer_family = FAMILY_IPV4};
    struct testbed t;

    testbed_open(&t, 72);
    testbed_child(&tunnel, true, &model);
    struct policy policy = {.id = 1,
                            .verdict = POLICY_PROTECT,
                            .local = model.local_selectors,
                            .local_count = 2,
                            .remote = model.remote_selectors,
                            .remote_count = 2,
                            .holds = true};
    CHECK(dataplane_set_policies(t.a.dp, &policy, 1));
    join_with(&t, &paced, IPV6_ONLY, NULL);
    tick(&t, &t.a, t.now_ms * 1000);
    testbed_give(&t.a);
    for (size_t i = 0; i < HELD_OF_POLICY_MAX; i++) {
        send_from_a(&t, take_clear(&t, FAMILY_IPV4, BIG_BYTES, false, NULL));
        CHECK_EQUAL(t.a.out.to_wire_count, 0);
    }
    join_with(&t, &plain, IPV4_ONLY, NULL);
    tick(&t, &t.a, (t.now_ms + 20) * 1000);
    CHECK(t.a.out.to_wire_count > 200);
    CHECK(testbed_doors_add_up(&t.a));
    testbed_give(&t.a);
    testbed_close(&t);
}

/* The paced SA of a gets more of the smallest packets than a payload holds. */
static void fill_payload(struct testbed *t)
{
    tick(t, &t->a, t->now_ms * 1000);
    testbed_carry(t, &t->a, &t->b);
    for (size_t i = 0; i < 430; i++) {
        struct packet *packet = take_clear(t, FAMILY_IPV4, 28, false, NULL);
        uint8_t *data = packet_data(packet);

        packet->length = 20;
        put_u16(data + 2, 20);
        put_u16(data + 10, 0);
        put_u16(data + 10, checksum_finish(checksum_add(0, (struct slice){data, 20})));
        send_from_a(t, packet);
    }
}

/* A copy of what a sent, for b to take. */
static struct packet *arrive_at_b(struct testbed *t, const struct packet *sent)
{
    struct packet *packet = dataplane_take_packet(t->b.worker);

    CHECK(packet != NULL);
    memcpy(packet_data(packet), packet_data(sent), sent->length);
    packet->length = sent->length;
    packet->local = sent->peer;
    packet->peer = sent->local;
    packet->outer_protocol = IP_PROTOCOL_UDP;
    return packet;
}

/* More than a round of the long road holds: those that fill a round are opened while others still
 * wait for their turn. */
TEST(the_longest_batch_with_a_payload_of_many_packets_loses_none)
{
    struct child_sa paced = {.spi_in = 0x1000,
                             .suite = GCM,
                             .encapsulated = true,
                             .aggfrag = {.enabled = true, .rate_bits = RATE_BITS}};
    struct child_sa padded = {
        .spi_in = 0x2000, .suite = GCM, .encapsulated = true, .tfc_bytes = 100};
    struct packet *batch[DATAPLANE_SEGMENTS_MAX];
    struct testbed t;

    testbed_open(&t, 74);
    dataplane_set_link_mtu(t.a.dp, 9000);
    join_with(&t, &paced, IPV4_ONLY, NULL);
    join_with(&t, &padded, IPV6_ONLY, NULL);
    fill_payload(&t);
    tick(&t, &t.a, (t.now_ms + 20) * 1000);
    CHECK(t.a.out.to_wire_count > 0);
    batch[0] = arrive_at_b(&t, t.a.out.to_wire[0]);
    testbed_give(&t.a);
    for (size_t i = 1; i < DATAPLANE_SEGMENTS_MAX; i++) {
        send_from_a(&t, take_clear(&t, FAMILY_IPV6, 100, false, NULL));
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        batch[i] = arrive_at_b(&t, t.a.out.to_wire[0]);
        testbed_give(&t.a);
    }
    dataplane_inbound(t.b.worker, batch, DATAPLANE_SEGMENTS_MAX, t.now_ms, &t.b.out);
    size_t six = 0, four = 0;
    for (size_t turn = 0; turn < 4; turn++) {
        for (size_t i = 0; i < t.b.out.to_tun_count; i++) {
            six += packet_data(t.b.out.to_tun[i])[0] >> 4 == 6;
            four += packet_data(t.b.out.to_tun[i])[0] >> 4 == 4;
        }
        testbed_give(&t.b);
        tick(&t, &t.b, (t.now_ms + 1) * 1000);
    }
    CHECK_EQUAL(six, DATAPLANE_SEGMENTS_MAX - 1);
    CHECK(four > 80);
    CHECK(testbed_doors_add_up(&t.b));
    testbed_close(&t);
}

TEST(a_payload_of_many_packets_leaves_room_for_the_rest_of_its_batch)
{
    struct child_sa paced = {.spi_in = 0x1000,
                             .suite = GCM,
                             .encapsulated = true,
                             .aggfrag = {.enabled = true, .rate_bits = RATE_BITS}};
    struct child_sa padded = {
        .spi_in = 0x2000, .suite = GCM, .encapsulated = true, .tfc_bytes = 100};
    struct packet *batch[2];
    struct testbed t;

    testbed_open(&t, 73);
    dataplane_set_link_mtu(t.a.dp, 9000);
    join_with(&t, &paced, IPV4_ONLY, NULL);
    join_with(&t, &padded, IPV6_ONLY, NULL);
    fill_payload(&t);
    send_from_a(&t, take_clear(&t, FAMILY_IPV6, 100, false, NULL));
    CHECK_EQUAL(t.a.out.to_wire_count, 1);
    struct packet *last = t.a.out.to_wire[0];
    tick(&t, &t.a, (t.now_ms + 20) * 1000);
    CHECK(t.a.out.to_wire_count > 0);
    for (size_t i = 0; i < 2; i++) {
        batch[i] = arrive_at_b(&t, i == 0 ? t.a.out.to_wire[0] : last);
    }
    dataplane_give_packet(t.a.worker, last);
    dataplane_inbound(t.b.worker, batch, 2, t.now_ms, &t.b.out);
    CHECK(t.b.out.to_tun_count > 80);
    CHECK_EQUAL(packet_data(t.b.out.to_tun[t.b.out.to_tun_count - 1])[0] >> 4, 6);
    CHECK(testbed_doors_add_up(&t.b));
    testbed_close(&t);
}

TEST(a_packet_for_a_new_sa_may_come_before_its_turn)
{
    struct child_sa paced = {.spi_in = 0x1000,
                             .suite = GCM,
                             .encapsulated = true,
                             .aggfrag = {.enabled = true, .rate_bits = RATE_BITS}};
    uint32_t next = 0;
    struct testbed t;

    testbed_open(&t, 74);
    join_with(&t, &paced, BOTH_FAMILIES, NULL);
    uint64_t now_us = t.now_ms * 1000;
    tick(&t, &t.a, now_us);
    testbed_give(&t.a);
    for (uint32_t i = 0; i < 40; i++) {
        struct packet *packet = take_clear(&t, FAMILY_IPV4, 700, true, NULL);

        /* Twice at once, as when both sides rekey at the same time. */
        if (i == 15 || i == 17) {
            paced.spi_in += 0x1000;
            join_with(&t, &paced, BOTH_FAMILIES, NULL);
        }
        put_u32(packet_data(packet) + 28, i);
        send_from_a(&t, packet);
    }
    for (size_t turn = 0; turn < 100; turn++) {
        now_us += 1500;
        tick(&t, &t.a, now_us);
        testbed_carry(&t, &t.a, &t.b);
        for (size_t i = 0; i < t.b.out.to_tun_count; i++) {
            CHECK_EQUAL(get_u32(packet_data(t.b.out.to_tun[i]) + 28), next);
            next++;
        }
        testbed_give(&t.b);
    }
    CHECK_EQUAL(next, 40);
    testbed_close(&t);
}

/* How many of 20 packets of each family arrive within half a second. */
static void count_arrivals(struct testbed *t, uint64_t *now_us, size_t arrived[2])
{
    arrived[0] = arrived[1] = 0;
    for (size_t turn = 0; turn < 400; turn++) {
        if (turn < 40) {
            send_from_a(t,
                        take_clear(t, turn % 2 == 0 ? FAMILY_IPV4 : FAMILY_IPV6, 300, true, NULL));
        }
        *now_us += 1500;
        t->now_ms = *now_us / 1000;
        if (dataplane_due_us(t->a.worker, *now_us) > *now_us) {
            continue;
        }
        tick(t, &t->a, *now_us);
        testbed_carry(t, &t->a, &t->b);
        for (size_t i = 0; i < t->b.out.to_tun_count; i++) {
            arrived[packet_data(t->b.out.to_tun[i])[0] >> 4 == 4 ? 0 : 1]++;
        }
        testbed_give(&t->b);
    }
}

TEST(sas_of_one_policy_for_different_traffic_each_keep_their_pace)
{
    struct child_sa paced = {.spi_in = 0x1000,
                             .suite = GCM,
                             .encapsulated = true,
                             .aggfrag = {.enabled = true, .rate_bits = RATE_BITS}};
    size_t arrived[2];
    struct testbed t;

    testbed_open(&t, 75);
    uint64_t now_us = t.now_ms * 1000;
    join_with(&t, &paced, IPV4_ONLY, NULL);
    paced.spi_in = 0x2000;
    join_with(&t, &paced, IPV6_ONLY, NULL);
    count_arrivals(&t, &now_us, arrived);
    CHECK_EQUAL(arrived[0], 20);
    CHECK_EQUAL(arrived[1], 20);
    testbed_close(&t);
}

TEST(an_sa_whose_successor_is_gone_takes_the_pace_back)
{
    struct child_sa paced = {.spi_in = 0x1000,
                             .suite = GCM,
                             .encapsulated = true,
                             .aggfrag = {.enabled = true, .rate_bits = RATE_BITS}};
    size_t arrived[2];
    struct testbed t;

    testbed_open(&t, 76);
    uint64_t now_us = t.now_ms * 1000;
    join_with(&t, &paced, BOTH_FAMILIES, NULL);
    count_arrivals(&t, &now_us, arrived);
    CHECK_EQUAL(arrived[0] + arrived[1], 40);
    paced.spi_in = 0x2000;
    join_with(&t, &paced, BOTH_FAMILIES, NULL);
    count_arrivals(&t, &now_us, arrived);
    CHECK_EQUAL(arrived[0] + arrived[1], 40);
    dataplane_remove(t.a.dp, 0x2000);
    count_arrivals(&t, &now_us, arrived);
    CHECK_EQUAL(arrived[0] + arrived[1], 40);
    testbed_close(&t);
}

TEST(only_a_packet_of_the_family_that_was_named_comes_out_of_a_tunnel)
{
    struct child_sa padded = {
        .spi_in = 0x1000, .suite = GCM, .encapsulated = true, .tfc_bytes = 100};
    struct testbed t;

    testbed_open(&t, 77);
    join_with(&t, &padded, BOTH_FAMILIES, NULL);
    for (unsigned next_header = 1; next_header < 256; next_header++) {
        for (unsigned family = 4; family <= 6; family += 2) {
            struct packet *packet = take_clear(&t, (uint8_t)family, 100, true, NULL);
            bool right = next_header == (family == 4 ? IP_PROTOCOL_IPV4 : IP_PROTOCOL_IPV6);

            worker_begin(t.a.worker, t.now_ms, &t.a.out);
            nest_send_contents(t.a.worker, sad_find(t.a.dp, 0x1000), packet, (uint8_t)next_header,
                               t.now_ms);
            nest_send_all(t.a.worker, t.now_ms);
            testbed_carry(&t, &t.a, &t.b);
            CHECK_EQUAL(t.b.out.to_tun_count, right ? 1 : 0);
            testbed_give(&t.b);
        }
    }
    testbed_close(&t);
}

/* A tunnel of AH around one of ESP. */
static void join_tunnels(struct testbed *t, bool inner_transport, bool copy_dscp,
                         const struct selector *hosts)
{
    struct child_sa inner = {.spi_in = 0x1000,
                             .suite = GCM,
                             .waits_for_outer = true,
                             .transport_mode = inner_transport,
                             .copy_dscp = copy_dscp};
    struct child_sa outer = {.spi_in = 0x2000,
                             .protocol = IP_PROTOCOL_AH,
                             .suite = SHA256,
                             .inside_spi_in = 0x1000,
                             .copy_dscp = copy_dscp};

    join_with(t, &inner, BOTH_FAMILIES, hosts);
    join_with(t, &outer, BOTH_FAMILIES, hosts);
}

/* RFC 6040 4.2 for each of the tunnels, from the outermost inward. */
TEST(congestion_that_the_outermost_tunnel_met_is_seen_inside)
{
    for (unsigned ecn = 0; ecn < 4; ecn++) {
        struct testbed t;

        testbed_open(&t, 78);
        join_tunnels(&t, false, false, NULL);
        struct packet *packet = take_clear(&t, FAMILY_IPV4, 100, true, NULL);
        set_tos_of(packet_data(packet), (uint8_t)ecn);
        send_from_a(&t, packet);
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        CHECK_EQUAL(packet_data(t.a.out.to_wire[0])[1], ecn);
        set_tos_of(packet_data(t.a.out.to_wire[0]), 3);
        t.a.out.to_wire[0]->tos = 3;
        testbed_carry(&t, &t.a, &t.b);
        if (ecn == 0) {
            CHECK_EQUAL(t.b.out.to_tun_count, 0);
            CHECK_EQUAL(testbed_dropped(&t.b, DROP_ECN), 1);
        } else {
            CHECK_EQUAL(t.b.out.to_tun_count, 1);
            CHECK_EQUAL(packet_data(t.b.out.to_tun[0])[1], 3);
        }
        testbed_give(&t.b);
        testbed_close(&t);
    }
}

/* RFC 4301 5.1.2.1: what is in the DSCP field inside is seen outside only where that is wanted. */
TEST(a_tunnel_around_transport_mode_hides_the_dscp)
{
    for (unsigned copies = 0; copies < 2; copies++) {
        struct testbed t;

        testbed_open(&t, 79);
        join_tunnels(&t, true, copies == 1, hosts4);
        struct packet *packet = take_clear(&t, FAMILY_IPV4, 100, true, hosts4);
        set_tos_of(packet_data(packet), 0xb8 | 2);
        send_from_a(&t, packet);
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        CHECK_EQUAL(packet_data(t.a.out.to_wire[0])[1], copies == 1 ? 0xba : 2);
        set_tos_of(packet_data(t.a.out.to_wire[0]), 3);
        t.a.out.to_wire[0]->tos = 3;
        testbed_carry(&t, &t.a, &t.b);
        CHECK_EQUAL(t.b.out.to_tun_count, 1);
        CHECK_EQUAL(packet_data(t.b.out.to_tun[0])[1], 0xb8 | 3);
        testbed_give(&t.b);
        testbed_close(&t);
    }
}

TEST(the_outer_sa_of_a_bundle_carries_nothing_alone)
{
    struct testbed t;

    testbed_open(&t, 80);
    join_tunnels(&t, true, false, hosts4);
    dataplane_remove(t.a.dp, 0x1000);
    dataplane_remove(t.b.dp, 0x1001);
    struct packet *packet = take_clear(&t, FAMILY_IPV4, 100, true, hosts4);
    struct ip_head head;
    CHECK(ip_read(packet_slice(packet), &head));
    worker_begin(t.a.worker, t.now_ms, &t.a.out);
    nest_send(t.a.worker, sad_find(t.a.dp, 0x2000), packet, &head, true, t.now_ms);
    nest_send_all(t.a.worker, t.now_ms);
    CHECK_EQUAL(t.a.out.to_wire_count, 1);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(t.b.out.to_tun_count, 0);
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_NOT_BUNDLED), 1);
    testbed_close(&t);
}

TEST(dummies_come_at_their_interval_whatever_becomes_of_them)
{
    /* Alone, at the end of its life, in transport mode, and inside of AH. */
    for (size_t which = 0; which < 4; which++) {
        const struct selector *hosts = which >= 2 ? hosts4 : NULL;
        struct child_sa esp = {.spi_in = 0x1000,
                               .suite = GCM,
                               .dummy_interval_ms = 100,
                               .hard_packets = which == 1 ? 1 : 0,
                               .transport_mode = which >= 2,
                               .waits_for_outer = which == 3};
        struct child_sa ah = {.spi_in = 0x2000,
                              .protocol = IP_PROTOCOL_AH,
                              .suite = SHA256,
                              .transport_mode = true,
                              .inside_spi_in = 0x1000};
        struct testbed t;
        uint64_t now_us = 0;
        size_t sent = 0;

        testbed_open(&t, 81);
        join_with(&t, &esp, BOTH_FAMILIES, hosts);
        if (which == 3) {
            join_with(&t, &ah, BOTH_FAMILIES, hosts);
        }
        now_us = t.now_ms * 1000;
        for (size_t i = 0; i < 10; i++) {
            CHECK(dataplane_due_us(t.a.worker, now_us) <= now_us);
            tick(&t, &t.a, now_us);
            sent += t.a.out.to_wire_count;
            CHECK_EQUAL(dataplane_due_us(t.a.worker, now_us), now_us + 100000);
            testbed_carry(&t, &t.a, &t.b);
            CHECK_EQUAL(t.b.out.to_tun_count, 0);
            now_us += 100000;
        }
        CHECK_EQUAL(sent, which == 1 ? 1 : 10);
        CHECK_EQUAL(testbed_dropped(&t.b, DROP_DUMMY), sent);
        CHECK(testbed_doors_add_up(&t.a));
        testbed_close(&t);
    }
}

/* RFC 8200 5: hosts need not send less than 1280 octets. */
TEST(ipv6_packets_of_1280_octets_pass_in_transport_mode)
{
    struct child_sa esp = {.spi_in = 0x1000, .suite = GCM, .transport_mode = true};
    struct testbed t;

    testbed_open(&t, 82);
    join_with(&t, &esp, BOTH_FAMILIES, hosts6);
    dataplane_set_link_mtu(t.a.dp, 1280);
    send_from_a(&t, take_clear(&t, FAMILY_IPV6, 1280, true, hosts6));
    CHECK_EQUAL(t.a.out.to_wire_count, 2);
    CHECK(t.a.out.to_wire[0]->length <= 1280);
    testbed_give(&t.a);
    send_from_a(&t, take_clear(&t, FAMILY_IPV6, 1281, true, hosts6));
    CHECK_EQUAL(t.a.out.to_wire_count, 0);
    CHECK_EQUAL(t.a.out.to_tun_count, 1);
    testbed_close(&t);
}

/* RFC 4303 3.3.4: transport mode protects whole datagrams alone. */
TEST(a_fragment_does_not_come_out_of_transport_mode)
{
    struct child_sa esp = {.spi_in = 0x1000, .suite = GCM, .transport_mode = true};
    struct testbed t;

    testbed_open(&t, 83);
    join_with(&t, &esp, BOTH_FAMILIES, hosts6);
    for (unsigned fragment = 0; fragment < 2; fragment++) {
        static const uint8_t fragment_head[8] = {IP_PROTOCOL_UDP, 0, 0, 9, 1, 2, 3, 4};
        struct packet *packet = dataplane_take_packet(t.a.worker);

        memset(packet_data(packet), 0, 80);
        packet->length = 80;
        memcpy(packet_data(packet), fragment_head, sizeof(fragment_head));
        worker_begin(t.a.worker, t.now_ms, &t.a.out);
        nest_send_contents(t.a.worker, sad_find(t.a.dp, 0x1000), packet,
                           fragment == 1 ? IP_PROTOCOL_FRAGMENT : IP_PROTOCOL_UDP, t.now_ms);
        nest_send_all(t.a.worker, t.now_ms);
        CHECK_EQUAL(t.a.out.to_wire_count, 1);
        testbed_carry(&t, &t.a, &t.b);
        CHECK_EQUAL(t.b.out.to_tun_count, 1 - fragment);
        testbed_give(&t.b);
    }
    testbed_close(&t);
}

TEST(a_consumer_has_no_tunnel)
{
    struct tunnel tunnel = {.suite = GCM, .outer_family = FAMILY_IPV4};
    uint8_t key[20] = {1};
    struct child_sa child;
    struct testbed t;

    testbed_open(&t, 84);
    testbed_child(&tunnel, true, &child);
    child.spi_in = child.spi_out = 0x1000;
    child.key_in = child.key_out = SLICE_OF(key);
    child.to_consumer = true;
    CHECK(dataplane_reserve_exact(t.a.dp, 0x1000));
    CHECK(!dataplane_install(t.a.dp, &child));
    child.transport_mode = true;
    CHECK(dataplane_install(t.a.dp, &child));
    testbed_close(&t);
}
