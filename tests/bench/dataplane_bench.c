/*
 * What a packet costs in the data plane, without the system calls around it: from the clear packet
 * to the sealed one and back. Nanoseconds of processor time and, where the system counts them,
 * instructions.
 *
 *     dataplane_bench [seconds for each figure]
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/dataplane.h"
#include "wire/ip.h"
#include "wire/udp.h"

static double seconds_each = 0.2;
static int instructions_fd = -1;

struct cost {
    double nanoseconds;
    double instructions;
};

static const struct selector everything = {
    {{FAMILY_IPV4, {0}}, {FAMILY_IPV4, {255, 255, 255, 255}}}, 0, 0, UINT16_MAX};

struct gateway {
    struct dataplane *dp;
    struct dataplane_worker *worker;
    struct dataplane_output out;
};

static struct random_source source;

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "dataplane_bench: %s\n", why);
    exit(1);
}

/* `sites` policies before the one that decides: what the lookup costs shows. */
static void gateway_open(struct gateway *g, uint32_t sites)
{
    struct dataplane_settings settings = {.random = &source, .sa_max = 1024};
    struct policy *policies = calloc(sites + 1, sizeof(*policies));
    struct selector *remotes = calloc(sites + 1, sizeof(*remotes));

    for (uint32_t i = 0; i <= sites; i++) {
        remotes[i] = everything;
        if (i < sites) {
            remotes[i].addresses.first = address_ipv4(UINT32_C(0x0b000000) + i * 256);
            remotes[i].addresses.last = address_ipv4(UINT32_C(0x0b0000ff) + i * 256);
        }
        policies[i] = (struct policy){.id = i + 1,
                                      .verdict = POLICY_PROTECT,
                                      .local = &everything,
                                      .local_count = 1,
                                      .remote = &remotes[i],
                                      .remote_count = 1};
    }
    g->dp = dataplane_new(&settings);
    if (g->dp == NULL || !dataplane_set_policies(g->dp, policies, sites + 1)) {
        give_up("no data plane");
    }
    g->worker = dataplane_worker_new(g->dp, 0);
    if (g->worker == NULL) {
        give_up("no worker");
    }
    free(policies);
    free(remotes);
}

static void gateway_close(struct gateway *g)
{
    dataplane_quiet(g->worker);
    dataplane_worker_free(g->worker);
    dataplane_free(g->dp);
}

static void join(struct gateway *a, struct gateway *b, const struct suite *suite, uint32_t policy)
{
    static const uint8_t key[128] = {7};
    struct slice material = {key,
                             suite_encryption_key_bytes(suite) + suite_integrity_key_bytes(suite)};
    struct child_sa child = {
        .policy_id = policy,
        .suite = *suite,
        .key_in = material,
        .key_out = material,
        .local = {{FAMILY_IPV4, {192, 0, 2, 1}}, 4500},
        .peer = {{FAMILY_IPV4, {192, 0, 2, 2}}, 4500},
        .encapsulated = true,
        .local_selectors = &everything,
        .local_count = 1,
        .remote_selectors = &everything,
        .remote_count = 1,
    };
    uint32_t spi_a = dataplane_reserve_spi(a->dp);
    uint32_t spi_b = dataplane_reserve_spi(b->dp);

    child.spi_in = spi_a;
    child.spi_out = spi_b;
    if (!dataplane_install(a->dp, &child)) {
        give_up("the suite is not usable");
    }
    dataplane_use(a->dp, spi_a);
    struct endpoint local = child.local;
    child.local = child.peer;
    child.peer = local;
    child.spi_in = spi_b;
    child.spi_out = spi_a;
    if (!dataplane_install(b->dp, &child)) {
        give_up("the suite is not usable");
    }
    dataplane_use(b->dp, spi_b);
}

static uint64_t instructions(void)
{
    uint64_t count = 0;

    if (instructions_fd < 0 || read(instructions_fd, &count, sizeof(count)) != sizeof(count)) {
        return 0;
    }
    return count;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

enum road {
    ROAD_NOTHING, /* buffers and copies alone: taken off the others */
    ROAD_OUT,
    ROAD_OUT_COPIED,
    ROAD_OUT_AND_IN,
};

static void take_and_fill(struct gateway *g, struct packet **batch, size_t count,
                          struct slice bytes)
{
    for (size_t i = 0; i < count; i++) {
        batch[i] = dataplane_take_packet(g->worker);
        if (batch[i] == NULL) {
            give_up("buffers are lost");
        }
        memcpy(packet_data(batch[i]), bytes.data, bytes.length);
        batch[i]->length = (uint32_t)bytes.length;
    }
}

static void give(struct gateway *g, struct packet **batch, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dataplane_give_packet(g->worker, batch[i]);
    }
}

static void walk(struct gateway *a, struct gateway *b, enum road road, size_t count,
                 struct slice clear, uint64_t now_ms)
{
    struct packet *batch[BATCH_PACKETS] = {NULL};
    struct packet *arrived[BATCH_PACKETS] = {NULL};

    take_and_fill(a, batch, count, clear);
    if (road == ROAD_NOTHING) {
        give(a, batch, count);
        return;
    }
    dataplane_outbound(a->worker, batch, count, now_ms, &a->out);
    if (a->out.to_wire_count != count) {
        give_up("a packet was not sealed");
    }
    for (size_t i = 0; road != ROAD_OUT && i < count; i++) {
        const struct packet *sent = a->out.to_wire[i];

        take_and_fill(b, &arrived[i], 1, packet_slice(sent));
        arrived[i]->outer_protocol = IP_PROTOCOL_UDP;
        arrived[i]->local = sent->peer;
        arrived[i]->peer = sent->local;
    }
    give(a, a->out.to_wire, count);
    if (road == ROAD_OUT_COPIED) {
        give(b, arrived, count);
    } else if (road == ROAD_OUT_AND_IN) {
        dataplane_inbound(b->worker, arrived, count, now_ms, &b->out);
        if (b->out.to_tun_count != count) {
            give_up("a packet was not opened");
        }
        give(b, b->out.to_tun, count);
    }
    dataplane_quiet(a->worker);
    dataplane_quiet(b->worker);
}

static struct cost measure(struct gateway *a, struct gateway *b, enum road road, size_t count,
                           struct slice clear)
{
    uint64_t done = 0;
    uint64_t counted = instructions();
    double begin = now();
    double end = begin;

    while (end - begin < seconds_each) {
        for (int i = 0; i < 64; i++) {
            walk(a, b, road, count, clear, done);
            done += count;
        }
        end = now();
    }
    return (struct cost){(end - begin) * 1e9 / (double)done,
                         (double)(instructions() - counted) / (double)done};
}

static void print_cost(const char *what, size_t bytes, size_t count, struct cost whole,
                       struct cost rest)
{
    printf("  %-5s %5zu octets, batch %2zu: %7.1f ns", what, bytes, count,
           whole.nanoseconds - rest.nanoseconds);
    if (instructions_fd >= 0) {
        printf(" %8.0f instructions", whole.instructions - rest.instructions);
    }
    printf("\n");
}

static void bench(const struct suite *suite, uint32_t sites)
{
    static const size_t lengths[] = {64, 1400};
    static const size_t batches[] = {1, 64};
    static struct gateway a;
    static struct gateway b;
    uint8_t clear[2048];
    char title[80];

    suite_title(suite, title, sizeof(title));
    printf("%s, %u policies\n", title, sites + 1);
    gateway_open(&a, sites);
    gateway_open(&b, sites);
    join(&a, &b, suite, sites + 1);
    for (size_t l = 0; l < ARRAY_LENGTH(lengths); l++) {
        struct writer w = writer_over(clear, sizeof(clear));
        uint16_t payload = (uint16_t)(lengths[l] - IPV4_HEAD_BYTES);

        ipv4_write(&w, &(struct ipv4_fields){.source = {FAMILY_IPV4, {10, 1, 0, 1}},
                                             .destination = {FAMILY_IPV4, {10, 2, 0, 1}},
                                             .ttl = 64,
                                             .protocol = IP_PROTOCOL_UDP,
                                             .payload_bytes = payload});
        udp_write(&w, &(struct udp_head){40000, 53, payload, 0});
        write_zeros(&w, (size_t)payload - UDP_HEAD_BYTES);
        for (size_t i = 0; i < ARRAY_LENGTH(batches); i++) {
            struct slice bytes = writer_written(&w);
            struct cost nothing = measure(&a, &b, ROAD_NOTHING, batches[i], bytes);
            struct cost out = measure(&a, &b, ROAD_OUT, batches[i], bytes);
            struct cost copied = measure(&a, &b, ROAD_OUT_COPIED, batches[i], bytes);
            struct cost both = measure(&a, &b, ROAD_OUT_AND_IN, batches[i], bytes);

            print_cost("seal", lengths[l], batches[i], out, nothing);
            print_cost("open", lengths[l], batches[i], both, copied);
        }
    }
    gateway_close(&a);
    gateway_close(&b);
}

int main(int argc, char **argv)
{
    static const struct suite suites[] = {
        {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128, .esn = true},
        {.encryption = ENCRYPTION_CHACHA20_POLY1305, .esn = true},
        {.encryption = ENCRYPTION_AES_CBC,
         .key_bits = 128,
         .integrity = INTEGRITY_HMAC_SHA2_256_128,
         .esn = true},
    };
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
                                         .size = sizeof(attributes),
                                         .config = PERF_COUNT_HW_INSTRUCTIONS,
                                         .exclude_kernel = 1};
    struct seeded_random seeded;

    if (argc > 1) {
        seconds_each = strtod(argv[1], NULL);
    }
    seeded_random_init(&seeded, 1);
    source = seeded_random_source(&seeded);
    instructions_fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
    if (!protect_start(PROTECT_AUTOMATIC)) {
        give_up("no crypto");
    }
    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        bench(&suites[i], 0);
    }
    bench(&suites[0], 9999);
    return 0;
}
