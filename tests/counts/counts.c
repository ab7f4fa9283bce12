/*
 * What a packet takes in this program, for tests/counts/check: each case is prepared, and then run
 * once and again through counted(), which callgrind is told to watch. Built with WITH_METER it says
 * itself how often memory was asked for and the system called meanwhile, and how many octets were
 * copied through the C library.
 *
 *     counts        a line `NAME PACKETS` for each case, and with the meter what it saw
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/super.h"
#include "dataplane/testbed.h"
#include "tests/counts/meter.h"
#include "tests/support/gateway_pair.h"
#include "wire/tcp.h"

#define WARM_ROUNDS 2
#define ROUNDS 8
#define SEED 4
#define SUPER_BYTES_MAX (PACKET_HEADROOM_BYTES + 65536 + PACKET_TAILROOM_BYTES)
#define TCP_SEGMENT 1360
#define TCP_SEGMENTS 44
#define UDP_SEGMENT 64
#define UDP_SEGMENTS 64
#define TCP_ACK_FLAG 0x10

static const struct tunnel tunnel = {
    .suite = {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128, .esn = true},
    .outer_family = FAMILY_IPV4,
    .encapsulated = true,
};

struct bench {
    struct testbed t;
    size_t count; /* packets of a round */
    struct packet *batch[BATCH_PACKETS];
    struct packet super;
    uint8_t super_buffer[SUPER_BYTES_MAX];
    /* of the cipher alone */
    struct protect_engine *engine;
    struct protect_key *key;
    struct protect_job jobs[BATCH_PACKETS];
    uint8_t messages[BATCH_PACKETS][2048];
    struct gateway_pair pair;
};

static struct bench bench;

struct task {
    const char *name;
    size_t count;
    uint32_t bytes;
    void (*open)(struct bench *b, const struct task *task);
    void (*prepare)(struct bench *b, const struct task *task);
    void (*run)(struct bench *b, const struct task *task);
    void (*close)(struct bench *b);
};

/* What callgrind watches. */
__attribute__((noinline)) void counted(struct bench *b, const struct task *task);
void counted(struct bench *b, const struct task *task)
{
    task->run(b, task);
}

/* What tells it that a case is over. */
__attribute__((noinline)) void counted_case(const struct task *task);
void counted_case(const struct task *task)
{
    printf("%s %zu", task->name, task->count * ROUNDS);
    meter_print();
    printf("\n");
    fflush(stdout);
}

/* ---- the data plane ---- */

static void open_plane(struct bench *b, const struct task *task)
{
    (void)task;
    testbed_open(&b->t, SEED);
    bool joined = testbed_join(&b->t, &tunnel);
    assert(joined);
}

static void close_plane(struct bench *b)
{
    testbed_give(&b->t.a);
    testbed_give(&b->t.b);
    testbed_close(&b->t);
}

/* One flow of datagrams, each in a packet of its own. */
static void prepare_clear(struct bench *b, const struct task *task)
{
    testbed_give(&b->t.a);
    testbed_give(&b->t.b);
    for (size_t i = 0; i < task->count; i++) {
        b->batch[i] = dataplane_take_packet(b->t.a.worker);
        assert(b->batch[i] != NULL);
        if (i == 0) {
            testbed_fill(&b->t, b->batch[0], true, FAMILY_IPV4, task->bytes, false);
        } else {
            memcpy(packet_data(b->batch[i]), packet_data(b->batch[0]), task->bytes);
            b->batch[i]->length = task->bytes;
        }
    }
}

static void run_seal(struct bench *b, const struct task *task)
{
    dataplane_outbound(b->t.a.worker, b->batch, task->count, b->t.now_ms, &b->t.a.out);
}

/* What `a` sealed goes to `b`. */
static void carry(struct bench *b)
{
    const struct dataplane_output *out = &b->t.a.out;

    for (size_t i = 0; i < out->to_wire_count; i++) {
        const struct packet *sent = out->to_wire[i];
        struct packet *arrived = dataplane_take_packet(b->t.b.worker);

        assert(arrived != NULL);
        memcpy(packet_data(arrived), packet_data(sent), sent->length);
        arrived->length = sent->length;
        arrived->outer_protocol = IP_PROTOCOL_UDP;
        arrived->local = sent->peer;
        arrived->peer = sent->local;
        b->batch[i] = arrived;
    }
}

static void prepare_sealed(struct bench *b, const struct task *task)
{
    prepare_clear(b, task);
    run_seal(b, task);
    assert(b->t.a.out.to_wire_count == task->count);
    carry(b);
}

static void run_open(struct bench *b, const struct task *task)
{
    dataplane_inbound(b->t.b.worker, b->batch, task->count, b->t.now_ms, &b->t.b.out);
    assert(b->t.b.out.to_tun_count == task->count);
}

/* ---- super-packets ---- */

static void fill_super(struct bench *b, const struct task *task)
{
    bool tcp = task->bytes == TCP_SEGMENT;
    uint32_t transport = tcp ? TCP_HEAD_BYTES : UDP_HEAD_BYTES;
    uint32_t payload = task->bytes * (uint32_t)task->count;
    struct packet *super = &b->super;

    *super = (struct packet){.buffer = b->super_buffer,
                             .capacity = sizeof(b->super_buffer),
                             .offset = PACKET_HEADROOM_BYTES};
    testbed_fill(&b->t, super, true, FAMILY_IPV4, IPV4_HEAD_BYTES + transport + payload, false);
    uint8_t *ip = packet_data(super);
    ip[1] = 0;
    super->segmentation = tcp ? SEGMENT_TCP : SEGMENT_UDP;
    super->segment_bytes = (uint16_t)task->bytes;
    super->checksum_start = IPV4_HEAD_BYTES;
    super->checksum_offset = tcp ? 16 : 6;
    if (tcp) {
        ip[9] = IP_PROTOCOL_TCP;
        ip[IPV4_HEAD_BYTES + 12] = TCP_HEAD_BYTES / 4 << 4;
        ip[IPV4_HEAD_BYTES + 13] = TCP_ACK_FLAG;
    }
    put_u16(ip + 10, 0);
    put_u16(ip + 10, checksum_finish(checksum_add(0, (struct slice){ip, IPV4_HEAD_BYTES})));
}

static void prepare_super(struct bench *b, const struct task *task)
{
    testbed_give(&b->t.a);
    testbed_give(&b->t.b);
    fill_super(b, task);
}

/* As a worker does it: handed over whole, and cut where it is sealed. */
static void run_super(struct bench *b, const struct task *task)
{
    struct dataplane_worker *worker = b->t.a.worker;

    dataplane_outbound_begin(worker, b->t.now_ms, &b->t.a.out);
    bool whole = dataplane_outbound_super(worker, &b->super);
    dataplane_outbound_end(worker);
    assert(whole && b->t.a.out.to_wire_count == task->count);
}

static void prepare_sealed_super(struct bench *b, const struct task *task)
{
    prepare_super(b, task);
    run_super(b, task);
    carry(b);
}

/* The packets of one flow, as they come out of the tunnel. */
static void prepare_opened(struct bench *b, const struct task *task)
{
    prepare_sealed_super(b, task);
    run_open(b, task);
}

static void run_join(struct bench *b, const struct task *task)
{
    uint32_t skip_bytes = 0;
    size_t joined = join_packets(b->t.b.out.to_tun, task->count, JOIN_TCP | JOIN_UDP, &skip_bytes);

    assert(joined == task->count);
}

/* ---- the cipher alone, without the library that does the work ---- */

static void open_cipher(struct bench *b, const struct task *task)
{
    static const uint8_t key[20] = {7};

    (void)task;
    testbed_open(&b->t, SEED);
    b->engine = protect_engine_new();
    b->key = protect_key_new(&tunnel.suite, (struct slice){key, sizeof(key)});
    assert(b->engine != NULL && b->key != NULL);
}

static void close_cipher(struct bench *b)
{
    protect_key_free(b->key);
    protect_engine_free(b->engine);
    testbed_close(&b->t);
}

static void prepare_jobs(struct bench *b, const struct task *task)
{
    for (size_t i = 0; i < task->count; i++) {
        uint8_t *esp = b->messages[i];

        memset(esp, (int)i, 16);
        b->jobs[i] = (struct protect_job){.key = b->key,
                                          .aad = esp,
                                          .aad_length = 8,
                                          .iv = esp + 8,
                                          .data = esp + 16,
                                          .length = task->bytes,
                                          .icv = esp + 16 + task->bytes};
    }
}

static void run_cipher(struct bench *b, const struct task *task)
{
    protect_seal(b->engine, b->jobs, task->count);
}

/* ---- a handshake, both sides, from the first message to the child's first use ---- */

static void open_pair(struct bench *b, const struct task *task)
{
    (void)b;
    (void)task;
}

static void prepare_pair(struct bench *b, const struct task *task)
{
    static bool is_open;

    (void)task;
    if (is_open) {
        gateway_pair_close(&b->pair);
    }
    is_open = true;
    gateway_pair_open(&b->pair, SEED);
    gateway_pair_start(&b->pair, 1);
    gateway_pair_start(&b->pair, 0);
}

static void run_pair(struct bench *b, const struct task *task)
{
    (void)task;
    bool up = gateway_pair_up(&b->pair, 5000);
    assert(up);
}

static void close_pair(struct bench *b)
{
    gateway_pair_close(&b->pair);
}

static const struct task tasks[] = {
    {"seal-64", BATCH_PACKETS, 64, open_plane, prepare_clear, run_seal, close_plane},
    {"seal-64-alone", 1, 64, open_plane, prepare_clear, run_seal, close_plane},
    {"seal-1400", BATCH_PACKETS, 1400, open_plane, prepare_clear, run_seal, close_plane},
    {"seal-1400-alone", 1, 1400, open_plane, prepare_clear, run_seal, close_plane},
    {"seal-super-tcp", TCP_SEGMENTS, TCP_SEGMENT, open_plane, prepare_super, run_super,
     close_plane},
    {"seal-super-udp", UDP_SEGMENTS, UDP_SEGMENT, open_plane, prepare_super, run_super,
     close_plane},
    {"open-64", BATCH_PACKETS, 64, open_plane, prepare_sealed, run_open, close_plane},
    {"open-64-alone", 1, 64, open_plane, prepare_sealed, run_open, close_plane},
    {"open-1400", BATCH_PACKETS, 1400, open_plane, prepare_sealed, run_open, close_plane},
    {"open-1400-alone", 1, 1400, open_plane, prepare_sealed, run_open, close_plane},
    {"join-tcp", TCP_SEGMENTS, TCP_SEGMENT, open_plane, prepare_opened, run_join, close_plane},
    {"cipher-64", BATCH_PACKETS, 64, open_cipher, prepare_jobs, run_cipher, close_cipher},
    {"cipher-1400", BATCH_PACKETS, 1400, open_cipher, prepare_jobs, run_cipher, close_cipher},
    {"handshake", 1, 0, open_pair, prepare_pair, run_pair, close_pair},
};

int main(void)
{
    for (size_t i = 0; i < ARRAY_LENGTH(tasks); i++) {
        const struct task *task = &tasks[i];

        task->open(&bench, task);
        for (size_t round = 0; round < WARM_ROUNDS + ROUNDS; round++) {
            task->prepare(&bench, task);
            if (round < WARM_ROUNDS) {
                task->run(&bench, task);
            } else {
                meter_on();
                counted(&bench, task);
                meter_off();
            }
        }
        counted_case(task);
        task->close(&bench);
    }
    return 0;
}
