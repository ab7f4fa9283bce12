/*
 * Whole roads: super-packets of random flows are cut and sealed, the datagrams are lost, doubled,
 * delayed and marked on the way, opened, joined, and cut again. What comes out is, packet by packet
 * and octet by octet, what the super-packets held, in the order in which it arrived.
 */
#include "tests/support/test.h"

#include "dataplane/super.h"
#include "dataplane/testbed.h"
#include "wire/tcp.h"

#define FLOWS 5
#define SUPERS 24
#define PIECES_MAX 2048
#define PIECE_BYTES 2048
#define ARRIVALS_MAX (2 * PIECES_MAX)
#define CAPACITY (PACKET_HEADROOM_BYTES + 65536 + PACKET_TAILROOM_BYTES)
#define ECN_CE 3
#define TOS_AT_4 1

struct flow {
    bool four, tcp;
    uint8_t tos;
    uint16_t id, port;
    uint32_t sequence, option_bytes;
};

/* A packet of which we know what it must be. */
struct known {
    uint32_t length;
    uint8_t bytes[PIECE_BYTES];
};

static struct known sent[PIECES_MAX]; /* cut out of what was handed in */
static struct known wire[PIECES_MAX]; /* sealed, in the same order */
static uint8_t wire_tos[PIECES_MAX];
static struct endpoint wire_local, wire_peer;
static size_t sent_count, wire_count;
static uint8_t super_buffer[CAPACITY], again_buffer[CAPACITY];
static size_t joined_total, delivered_total;

static uint32_t below(struct testbed *t, uint32_t limit)
{
    return random_below(&t->random, limit);
}

static void throw_flow(struct testbed *t, struct flow *f)
{
    *f = (struct flow){
        .four = below(t, 2) == 0,
        .tcp = below(t, 4) > 0,
        .tos = (uint8_t)below(t, 256),
        .id = (uint16_t)below(t, 65536),
        .port = (uint16_t)(1024 + below(t, 60000)),
        .sequence = random_u32(&t->random),
        .option_bytes = below(t, 3) * 12,
    };
}

static void make_super(struct testbed *t, struct flow *f, struct packet *super)
{
    uint32_t head = f->four ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
    uint32_t upper = f->tcp ? TCP_HEAD_BYTES + f->option_bytes : UDP_HEAD_BYTES;
    uint16_t step = (uint16_t)(below(t, 6) == 0 ? 1 + below(t, 60) : 600 + below(t, 600));
    uint32_t payload = step * (1 + below(t, 45)) - (below(t, 2) == 0 ? below(t, step) : 0);

    *super = (struct packet){.buffer = super_buffer,
                             .capacity = sizeof(super_buffer),
                             .offset = PACKET_HEADROOM_BYTES,
                             .segmentation = f->tcp ? SEGMENT_TCP : SEGMENT_UDP,
                             .segment_bytes = step};
    testbed_fill(t, super, true, f->four ? FAMILY_IPV4 : FAMILY_IPV6, head + upper + payload,
                 below(t, 2) == 0);
    uint8_t *at = packet_data(super);
    if (f->four) {
        at[1] = f->tos;
        put_u16(at + 4, f->id);
        at[9] = f->tcp ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
        at[15] = at[19] = (uint8_t)(1 + f->port % 200);
        put_u16(at + 10, 0);
        put_u16(at + 10, checksum_finish(checksum_add(0, (struct slice){at, head})));
    } else {
        put_u32(at, UINT32_C(0x60000000) | (uint32_t)f->tos << 20 | f->port);
        at[6] = f->tcp ? IP_PROTOCOL_TCP : IP_PROTOCOL_UDP;
        at[23] = at[39] = (uint8_t)(1 + f->port % 200);
    }
    put_u16(at + head, f->port);
    put_u16(at + head + 2, 443);
    if (f->tcp) {
        put_u32(at + head + TCP_OFFSET_SEQUENCE, f->sequence);
        put_u32(at + head + TCP_OFFSET_ACKNOWLEDGEMENT, 77);
        at[head + 12] = (uint8_t)(upper / 4 << 4);
        at[head + TCP_OFFSET_FLAGS] =
            (uint8_t)(below(t, 3) > 0 ? TCP_ACK | below(t, 2) * TCP_PSH
                                      : TCP_ACK | (below(t, 256) & ~(uint32_t)(TCP_SYN | TCP_RST)));
        put_u16(at + head + TCP_OFFSET_WINDOW, 512);
        put_u16(at + head + 18, 0);
        for (uint32_t i = 0; i < f->option_bytes; i += 12) {
            put_u32(at + head + TCP_HEAD_BYTES + i, UINT32_C(0x0101080a));
        }
    }
    f->sequence += payload;
    f->id = (uint16_t)(f->id + (payload + step - 1) / step);
}

/* What it holds, one by one: this cutting is held against the kernel's elsewhere. */
static void know_pieces(const struct packet *super)
{
    struct cut cut;
    enum cut_result result = CUT_PACKET;
    struct packet piece = {.buffer = again_buffer, .capacity = CAPACITY, .offset = 256};

    CHECK(cut_begin(&cut, super));
    while ((result = cut_next(&cut, &piece)) == CUT_PACKET) {
        CHECK(sent_count < PIECES_MAX && piece.length <= PIECE_BYTES);
        sent[sent_count].length = piece.length;
        memcpy(sent[sent_count].bytes, packet_data(&piece), piece.length);
        sent_count++;
    }
    CHECK_EQUAL(result, CUT_END);
}

static void keep_sealed(struct gateway *g)
{
    for (size_t i = 0; i < g->out.to_wire_count; i++) {
        const struct packet *p = g->out.to_wire[i];

        CHECK(wire_count < PIECES_MAX && p->length <= PIECE_BYTES);
        wire[wire_count].length = p->length;
        memcpy(wire[wire_count].bytes, packet_data(p), p->length);
        wire_tos[wire_count] = p->tos;
        wire_local = p->local;
        wire_peer = p->peer;
        wire_count++;
    }
    testbed_give(g);
}

/* As a host without super-packets sends them; what a few hold was spoiled before they came here, so
 * that their checksums are wrong and have to stay so. */
static void seal_singly(struct testbed *t, size_t from)
{
    for (size_t i = from; i < sent_count; i++) {
        struct packet *p = dataplane_take_packet(t->a.worker);

        CHECK(p != NULL);
        if (below(t, 10) == 0) {
            sent[i].bytes[sent[i].length - 1] ^= 0x10;
        }
        memcpy(packet_data(p), sent[i].bytes, sent[i].length);
        p->length = sent[i].length;
        dataplane_outbound(t->a.worker, &p, 1, t->now_ms, &t->a.out);
        keep_sealed(&t->a);
    }
}

static void seal(struct testbed *t, const struct packet *super)
{
    struct gateway *g = &t->a;
    bool all = false;

    while (!all) {
        dataplane_outbound_begin(g->worker, t->now_ms, &g->out);
        all = dataplane_outbound_super(g->worker, super);
        dataplane_outbound_end(g->worker);
        keep_sealed(g);
    }
}

/* ---- the way ---- */

struct arrival {
    uint16_t index;
    bool congested, doubled;
};

static struct arrival arrivals[ARRIVALS_MAX];

/* Runs of the order stay together mostly, so that there is something to join. */
static size_t throw_arrivals(struct testbed *t, bool bad)
{
    size_t count = 0;

    for (size_t i = 0; i < wire_count; i++) {
        if (bad && below(t, 40) == 0) {
            continue;
        }
        arrivals[count++] = (struct arrival){(uint16_t)i, bad && below(t, 30) == 0, false};
        if (bad && below(t, 40) == 0) {
            arrivals[count++] = (struct arrival){(uint16_t)i, false, true};
        }
    }
    for (size_t i = 0; bad && i + 20 < count; i++) {
        if (below(t, 25) == 0) {
            size_t other = i + 1 + below(t, 19);
            struct arrival one = arrivals[i];

            arrivals[i] = arrivals[other];
            arrivals[other] = one;
        }
    }
    return count;
}

/* RFC 6040 4.2: congestion that was felt outside is told inside; what was not capable is lost. */
static bool mark(struct known *k)
{
    bool four = k->bytes[0] >> 4 == 4;
    uint8_t tos = four ? k->bytes[1] : (uint8_t)(get_u16(k->bytes) >> 4);

    if ((tos & ECN_CE) == 0) {
        return false;
    }
    if (four) {
        ipv4_set_tos(k->bytes, tos | ECN_CE);
    } else {
        ipv6_set_traffic_class(k->bytes, tos | ECN_CE);
    }
    return true;
}

static struct packet *join_run(struct packet *const *list, size_t count, size_t *joined)
{
    static struct packet whole;
    uint32_t skip = 0;

    *joined = join_packets(list, count, JOIN_TCP | JOIN_UDP, &skip);
    whole = *list[0];
    whole.buffer = super_buffer;
    whole.capacity = sizeof(super_buffer);
    whole.offset = PACKET_HEADROOM_BYTES;
    whole.length = 0;
    for (size_t i = 0; i < *joined; i++) {
        uint32_t from = i == 0 ? 0 : skip;

        CHECK(from < list[i]->length);
        memcpy(packet_data(&whole) + whole.length, packet_data(list[i]) + from,
               list[i]->length - from);
        whole.length += list[i]->length - from;
    }
    return &whole;
}

/* What came out of one batch, joined and cut again, against what is expected of it. */
static void check_delivered(struct testbed *t, const struct known *expected, size_t count)
{
    struct dataplane_output *out = &t->b.out;

    CHECK_EQUAL(out->to_tun_count, count);
    for (size_t first = 0; first < count;) {
        size_t joined = 0;
        struct packet *whole = join_run(out->to_tun + first, count - first, &joined);
        struct packet piece = {.buffer = again_buffer, .capacity = CAPACITY, .offset = 256};
        struct cut cut;

        CHECK(cut_begin(&cut, whole));
        for (size_t i = 0; i < joined; i++) {
            struct known k = expected[first + i];

            CHECK_EQUAL(cut_next(&cut, &piece), CUT_PACKET);
            if (joined > 1 && k.bytes[0] >> 4 == 4 && (k.bytes[6] & 0x40) != 0) {
                /* RFC 6864 4.1: with DF the identification has no meaning. */
                memcpy(k.bytes + 4, packet_data(&piece) + 4, 2);
                memcpy(k.bytes + 10, packet_data(&piece) + 10, 2);
            }
            CHECK_EQUAL(piece.length, k.length);
            CHECK_BYTES(packet_data(&piece), k.bytes, k.length);
        }
        CHECK_EQUAL(cut_next(&cut, &piece), CUT_END);
        joined_total += joined > 1 ? joined : 0;
        first += joined;
    }
    delivered_total += count;
}

static void open_batch(struct testbed *t, const struct arrival *list, size_t count, bool *seen)
{
    static struct known expected[DATAPLANE_SEGMENTS_MAX];
    struct packet *batch[DATAPLANE_SEGMENTS_MAX] = {NULL};
    size_t expected_count = 0;

    for (size_t i = 0; i < count; i++) {
        size_t index = list[i].index;
        struct packet *p = dataplane_take_packet(t->b.worker);

        CHECK(p != NULL);
        memcpy(packet_data(p), wire[index].bytes, wire[index].length);
        p->length = wire[index].length;
        p->local = wire_peer;
        p->peer = wire_local;
        p->outer_protocol = IP_PROTOCOL_UDP;
        p->tos = list[i].congested ? wire_tos[index] | ECN_CE : wire_tos[index];
        batch[i] = p;
        if (seen[index]) {
            continue; /* a replay */
        }
        seen[index] = true;
        struct known *k = &expected[expected_count];
        *k = sent[index];
        expected_count += !list[i].congested || mark(k) ? 1 : 0;
    }
    dataplane_worker_joins(t->b.worker, below(t, 4) > 0);
    dataplane_inbound(t->b.worker, batch, count, t->now_ms, &t->b.out);
    check_delivered(t, expected, expected_count);
    testbed_give(&t->b);
}

static void run(uint64_t seed, bool bad)
{
    static struct testbed t;
    static bool seen[PIECES_MAX];
    struct flow flows[FLOWS];
    const struct tunnel tunnel = {.suite = *testbed_suite(seed % 3),
                                  .outer_family = FAMILY_IPV4,
                                  .encapsulated = true,
                                  .replay_window = 1024};

    testbed_open(&t, seed);
    CHECK(testbed_join(&t, &tunnel));
    for (size_t i = 0; i < FLOWS; i++) {
        throw_flow(&t, &flows[i]);
    }
    sent_count = wire_count = 0;
    for (size_t i = 0; i < SUPERS && sent_count < PIECES_MAX - 64; i++) {
        struct packet super;
        size_t from = sent_count;

        make_super(&t, &flows[below(&t, FLOWS)], &super);
        know_pieces(&super);
        if (below(&t, 4) == 0) {
            seal_singly(&t, from);
        } else {
            seal(&t, &super);
        }
    }
    CHECK_EQUAL(wire_count, sent_count);
    memset(seen, 0, sizeof(seen));
    size_t count = throw_arrivals(&t, bad);
    for (size_t first = 0; first < count;) {
        size_t batch = 1 + below(&t, DATAPLANE_SEGMENTS_MAX);

        batch = batch < count - first ? batch : count - first;
        open_batch(&t, arrivals + first, batch, seen);
        first += batch;
    }
    CHECK(testbed_doors_add_up(&t.a));
    CHECK(testbed_doors_add_up(&t.b));
    CHECK_EQUAL(testbed_dropped(&t.b, DROP_FORGED), 0);
    testbed_close(&t);
}

static void run_all(uint64_t first, size_t count, bool bad)
{
    joined_total = delivered_total = 0;
    for (size_t i = 0; i < count; i++) {
        run(first + i, bad);
    }
    print_message("%zu packets delivered, %zu of them joined\n", delivered_total, joined_total);
    CHECK(joined_total > delivered_total / 4);
}

TEST(on_a_good_way_all_packets_of_super_packets_come_out_as_they_went_in)
{
    run_all(4000, 40, false);
}

TEST(on_a_bad_way_super_packets_that_arrive_come_out_as_they_went_in)
{
    run_all(5000, 60, true);
}
