/* Super-packets take a road of their own; what becomes of them is what becomes of their segments
 * one by one. */
#include "tests/support/test.h"

#include "dataplane/testbed.h"
#include "wire/tcp.h"

#define CAPACITY (PACKET_HEADROOM_BYTES + 65536 + PACKET_TAILROOM_BYTES)
#define SENT_MAX 2048

/* What left a gateway, in order. */
struct sent {
    size_t count;
    struct {
        size_t length;
        uint64_t digest;
        struct endpoint local, peer;
        uint8_t tos, outer_protocol, dont_fragment;
    } packets[SENT_MAX];
};

static uint8_t super_buffer[CAPACITY];
static struct sent together, singly;

static uint64_t digest_of(struct slice bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < bytes.length; i++) {
        hash = (hash ^ bytes.data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void note_sent(struct sent *sent, struct gateway *g)
{
    for (size_t i = 0; i < g->out.to_wire_count; i++) {
        const struct packet *p = g->out.to_wire[i];

        CHECK(sent->count < SENT_MAX);
        sent->packets[sent->count].length = p->length;
        sent->packets[sent->count].digest = digest_of(packet_slice(p));
        sent->packets[sent->count].local = p->local;
        sent->packets[sent->count].peer = p->peer;
        sent->packets[sent->count].tos = p->tos;
        sent->packets[sent->count].outer_protocol = p->outer_protocol;
        sent->packets[sent->count].dont_fragment = p->dont_fragment;
        sent->count++;
    }
    testbed_give(g);
}

static void send_together(struct testbed *t, const struct packet *super)
{
    struct gateway *g = &t->a;
    bool all = false;

    while (!all) {
        dataplane_outbound_begin(g->worker, t->now_ms, &g->out);
        all = dataplane_outbound_super(g->worker, super);
        dataplane_outbound_end(g->worker);
        note_sent(&together, g);
    }
}

static void send_singly(struct testbed *t, const struct packet *super)
{
    struct cut cut;
    enum cut_result result = CUT_PACKET;

    if (!cut_begin(&cut, super)) {
        dataplane_count_drop(t->a.worker, DROP_MALFORMED_INNER, 1);
        return;
    }
    while (result == CUT_PACKET) {
        struct packet *piece = dataplane_take_packet(t->a.worker);

        result = cut_next(&cut, piece);
        if (result == CUT_PACKET) {
            dataplane_outbound(t->a.worker, &piece, 1, t->now_ms, &t->a.out);
            note_sent(&singly, &t->a);
        } else {
            dataplane_give_packet(t->a.worker, piece);
        }
    }
}

static uint32_t below(struct testbed *t, uint32_t limit)
{
    return random_below(&t->random, limit);
}

static void make_super(struct testbed *t, struct packet *super)
{
    bool four = below(t, 2) == 0;
    bool tcp = below(t, 3) > 0;
    uint32_t options = below(t, 11) * 4;
    uint32_t ip_options = four && below(t, 4) == 0 ? 4 : 0;
    uint32_t head = (four ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES) + ip_options;
    uint32_t upper = tcp ? TCP_HEAD_BYTES + options : 8;
    uint32_t most = 65535 - head - upper;
    uint16_t step = (uint16_t)(below(t, 8) == 0 ? 1 + below(t, 9000) : 900 + below(t, 500));
    uint32_t count = 1 + below(t, below(t, 4) == 0 ? 200 : 40);
    uint32_t payload = step * count - below(t, 2) * below(t, step);

    payload = payload < most ? payload : most;
    *super = (struct packet){
        .buffer = super_buffer,
        .capacity = sizeof(super_buffer),
        .offset = PACKET_HEADROOM_BYTES,
        .segmentation = tcp ? SEGMENT_TCP : SEGMENT_UDP,
        .segment_bytes = step,
    };
    testbed_fill(t, super, true, four ? FAMILY_IPV4 : FAMILY_IPV6, head + upper + payload,
                 below(t, 4) > 0);
    uint8_t *at = packet_data(super);
    if (ip_options > 0) {
        put_u32(at + IPV4_HEAD_BYTES, UINT32_C(0x01010100)); /* three of nothing, and the end */
    }
    if (four) {
        at[0] = (uint8_t)(0x40 | head / 4);
        at[9] = tcp ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
        put_u16(at + 10, 0);
        put_u16(at + 10, checksum_finish(checksum_add(0, (struct slice){at, head})));
    } else {
        at[6] = tcp ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
    }
    if (tcp) {
        at[head + 12] = (uint8_t)((TCP_HEAD_BYTES + options) / 4 << 4);
        at[head + TCP_OFFSET_FLAGS] = (uint8_t)(TCP_ACK | below(t, 256));
    }
}

static void compare(struct testbed *t, struct testbed *other)
{
    struct dataplane_doors a, b;
    struct sa_counters x, y;

    CHECK_EQUAL(together.count, singly.count);
    for (size_t i = 0; i < together.count; i++) {
        CHECK_EQUAL(together.packets[i].length, singly.packets[i].length);
        CHECK(together.packets[i].digest == singly.packets[i].digest);
        CHECK(endpoint_equal(&together.packets[i].local, &singly.packets[i].local));
        CHECK(endpoint_equal(&together.packets[i].peer, &singly.packets[i].peer));
        CHECK_EQUAL(together.packets[i].tos, singly.packets[i].tos);
        CHECK_EQUAL(together.packets[i].outer_protocol, singly.packets[i].outer_protocol);
        CHECK_EQUAL(together.packets[i].dont_fragment, singly.packets[i].dont_fragment);
    }
    dataplane_get_doors(t->a.dp, &a);
    dataplane_get_doors(other->a.dp, &b);
    CHECK_EQUAL(a.from_tun, b.from_tun);
    CHECK_EQUAL(a.made, b.made);
    CHECK_EQUAL(a.to_wire, b.to_wire);
    CHECK_EQUAL(a.to_tun, b.to_tun);
    CHECK_EQUAL(a.to_clear, b.to_clear);
    for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
        CHECK_EQUAL(a.dropped[i], b.dropped[i]);
    }
    CHECK(testbed_doors_add_up(&t->a));
    CHECK(dataplane_sa_counters(t->a.dp, t->a.spi_in, &x));
    CHECK(dataplane_sa_counters(other->a.dp, other->a.spi_in, &y));
    CHECK_EQUAL(x.out_packets, y.out_packets);
    CHECK_EQUAL(x.out_bytes, y.out_bytes);
    CHECK_EQUAL(x.out_sequence, y.out_sequence);
    CHECK_EQUAL(x.last_out_ms, y.last_out_ms);
}

/* Both have told the same, once each. */
static void compare_notes(struct testbed *t, struct testbed *other)
{
    struct dataplane_note a, b;
    bool more = true;

    while (more) {
        more = dataplane_next_note(t->a.dp, &a);
        CHECK(dataplane_next_note(other->a.dp, &b) == more);
        CHECK(!more || (a.kind == b.kind && a.spi_in == b.spi_in));
    }
}

static void run(const struct tunnel *tunnel, uint64_t seed, void (*prepare)(struct testbed *t))
{
    static struct testbed t, other;
    struct packet super;

    testbed_open(&t, seed);
    testbed_open(&other, seed);
    CHECK(testbed_join(&t, tunnel) && testbed_join(&other, tunnel));
    if (prepare != NULL) {
        prepare(&t);
        prepare(&other);
    }
    together.count = 0;
    singly.count = 0;
    for (int i = 0; i < 12; i++) {
        make_super(&t, &super);
        send_together(&t, &super);
        send_singly(&other, &super);
        /* What is told to senders is limited by time. */
        t.now_ms += 1000;
        other.now_ms += 1000;
    }
    compare(&t, &other);
    compare_notes(&t, &other);
    testbed_close(&t);
    testbed_close(&other);
}

static struct tunnel tunnel_of(size_t index)
{
    return (struct tunnel){
        .suite = *testbed_suite(index),
        .outer_family = index % 2 == 0 ? FAMILY_IPV4 : FAMILY_IPV6,
        .encapsulated = index % 3 > 0,
        .copy_dscp = index % 2 == 1,
        .copy_df = index % 4 < 2,
    };
}

TEST(a_super_packet_becomes_what_its_segments_become)
{
    for (size_t i = 0; testbed_suite(i) != NULL; i++) {
        struct tunnel tunnel = tunnel_of(i);

        for (uint64_t seed = 1; seed < 4; seed++) {
            run(&tunnel, seed * 100 + i, NULL);
        }
    }
}

TEST(an_end_of_life_in_the_middle_of_a_super_packet_is_met_by_the_same_segment)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct tunnel tunnel = tunnel_of(0);

        tunnel.soft_packets = 1 + i * 6;
        tunnel.hard_packets = 20 + i * 14;
        run(&tunnel, 7000 + i, NULL);
        tunnel = tunnel_of(0);
        tunnel.soft_bytes = 1 + i * 6002;
        tunnel.hard_bytes = 9000 + i * 14002;
        run(&tunnel, 8000 + i, NULL);
    }
}

static uint32_t numbers_left;

static void near_the_last_number(struct testbed *t)
{
    sad_set_sequence(t->a.dp, t->a.spi_in, UINT32_MAX - numbers_left, 0);
}

TEST(the_last_number_in_the_middle_of_a_super_packet_is_the_last)
{
    for (uint32_t i = 0; i < 20; i++) {
        struct tunnel tunnel = tunnel_of(0);

        numbers_left = i < 10 ? 30 + i * 11 : 65400 + i * 17;
        run(&tunnel, 9000 + i, near_the_last_number);
    }
}

static uint16_t path_mtu;

static void small_path(struct testbed *t)
{
    struct child_sa child;
    struct tunnel tunnel = tunnel_of(0);

    testbed_child(&tunnel, true, &child);
    dataplane_path_mtu(t->a.dp, &child.local.address, &child.peer.address, path_mtu, t->now_ms);
}

TEST(segments_that_are_too_long_for_the_tunnel_are_cut_or_refused_as_any_packet)
{
    for (uint16_t i = 0; i < 30; i++) {
        struct tunnel tunnel = tunnel_of(0);

        path_mtu = (uint16_t)(900 + i * 17);
        run(&tunnel, 11000 + i, small_path);
    }
}

static void stopped(struct testbed *t)
{
    dataplane_stop(t->a.dp, t->a.spi_in);
}

TEST(without_an_sa_every_segment_is_dropped)
{
    struct tunnel tunnel = tunnel_of(0);

    run(&tunnel, 3, stopped);
}

static void set_verdict(struct testbed *t, enum policy_verdict verdict)
{
    static const struct selector all[2] = {
        {{{FAMILY_IPV4, {0}}, {FAMILY_IPV4, {255, 255, 255, 255}}}, 0, 0, UINT16_MAX},
        {{{FAMILY_IPV6, {0}},
          {FAMILY_IPV6,
           {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}},
         0,
         0,
         UINT16_MAX},
    };
    struct policy policy = {.id = 2,
                            .verdict = verdict,
                            .local = all,
                            .local_count = 2,
                            .remote = all,
                            .remote_count = 2};

    CHECK(dataplane_set_policies(t->a.dp, &policy, 1));
}

static void discarded(struct testbed *t)
{
    set_verdict(t, POLICY_DISCARD);
}

static void bypassed(struct testbed *t)
{
    set_verdict(t, POLICY_BYPASS);
}

TEST(a_policy_for_clear_text_meets_every_segment)
{
    struct tunnel tunnel = tunnel_of(0);

    run(&tunnel, 4, discarded);
    run(&tunnel, 5, bypassed);
}

/* The found way is kept from batch to batch, but never longer than it is right. */
TEST(another_sa_or_policy_counts_from_the_next_super_packet_on)
{
    static struct testbed t;
    struct tunnel tunnel = tunnel_of(0);
    struct packet super;
    struct sa_counters before, after;

    testbed_open(&t, 21);
    CHECK(testbed_join(&t, &tunnel));
    together.count = 0;
    make_super(&t, &super);
    send_together(&t, &super);
    uint32_t first = t.a.spi_in;
    CHECK(testbed_join(&t, &tunnel));
    CHECK(dataplane_sa_counters(t.a.dp, first, &before) && before.out_packets > 0);
    send_together(&t, &super);
    CHECK(dataplane_sa_counters(t.a.dp, first, &after));
    CHECK_EQUAL(after.out_packets, before.out_packets);
    CHECK(dataplane_sa_counters(t.a.dp, t.a.spi_in, &after));
    CHECK_EQUAL(after.out_packets, before.out_packets);
    dataplane_quiet(t.a.worker);
    dataplane_remove(t.a.dp, t.a.spi_in);
    dataplane_collect(t.a.dp);
    send_together(&t, &super);
    CHECK(dataplane_sa_counters(t.a.dp, first, &after));
    CHECK_EQUAL(after.out_packets, 2 * before.out_packets);
    size_t sent = together.count;
    set_verdict(&t, POLICY_DISCARD);
    dataplane_quiet(t.a.worker);
    dataplane_collect(t.a.dp);
    send_together(&t, &super);
    CHECK_EQUAL(together.count, sent);
    testbed_close(&t);
}

TEST(what_is_no_super_packet_is_refused_whole)
{
    static struct testbed t;
    struct tunnel tunnel = tunnel_of(0);
    struct packet super;

    testbed_open(&t, 22);
    CHECK(testbed_join(&t, &tunnel));
    together.count = 0;
    make_super(&t, &super);
    super.segment_bytes = 0;
    send_together(&t, &super);
    CHECK_EQUAL(together.count, 0);
    CHECK_EQUAL(testbed_dropped(&t.a, DROP_MALFORMED_INNER), 1);
    CHECK(testbed_doors_add_up(&t.a));
    testbed_close(&t);
}

TEST(several_super_packets_and_packets_share_a_batch)
{
    static struct testbed t;
    struct tunnel tunnel = tunnel_of(0);
    struct packet super;
    size_t handed = 0;

    testbed_open(&t, 23);
    CHECK(testbed_join(&t, &tunnel));
    dataplane_outbound_begin(t.a.worker, t.now_ms, &t.a.out);
    while (!dataplane_outbound_is_full(t.a.worker)) {
        struct packet *single = dataplane_take_packet(t.a.worker);

        testbed_fill(&t, single, true, FAMILY_IPV4, 500, true);
        dataplane_outbound_packet(t.a.worker, single);
        handed++;
        super = (struct packet){.buffer = super_buffer,
                                .capacity = sizeof(super_buffer),
                                .offset = PACKET_HEADROOM_BYTES,
                                .segmentation = SEGMENT_UDP,
                                .segment_bytes = 100};
        testbed_fill(&t, &super, true, FAMILY_IPV4, 28 + 500, true);
        if (!dataplane_outbound_is_full(t.a.worker)) {
            CHECK(dataplane_outbound_super(t.a.worker, &super));
            handed += 5;
        }
    }
    dataplane_outbound_end(t.a.worker);
    CHECK_EQUAL(t.a.out.to_wire_count, handed);
    testbed_carry(&t, &t.a, &t.b);
    CHECK_EQUAL(t.b.out.to_tun_count, handed);
    testbed_close(&t);
}
