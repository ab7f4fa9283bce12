/*
 * What IP-TFS (RFC 9347) carries and costs, without a system around it: the share of the outer
 * octets that are inner packets, for a tunnel that always has something to send, with and without
 * fragments, and beside it one inner packet padded into each outer one (RFC 4303 2.7); then the
 * processor time of packing and unpacking.
 *
 *     aggfrag_bench [outer packets for each figure]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/aggfrag_in.h"
#include "dataplane/aggfrag_out.h"

#define OUTER_BYTES 1500
/* IPv4, ESP with AES-GCM and its trailer (RFC 9347 appendix C.1). */
#define OVERHEAD_BYTES 54
#define BATCH 64
#define PAYLOAD_BYTES (OUTER_BYTES - OVERHEAD_BYTES)

static uint8_t packet[AGGFRAG_PACKET_BYTES_MAX];

struct figure {
    double share; /* of the outer octets */
    double fill_ns, read_ns; /* for each outer packet */
};

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "aggfrag_bench: %s\n", why);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void refill(struct aggfrag_out *out, uint32_t bytes)
{
    memset(packet, 0, sizeof(packet));
    packet[0] = 0x45;
    packet[2] = (uint8_t)(bytes >> 8);
    packet[3] = (uint8_t)bytes;
    while (aggfrag_out_push(out, (struct slice){packet, bytes}) == AGGFRAG_QUEUED) {
    }
}

static struct figure measure(uint32_t inner_bytes, bool dont_fragment, uint64_t outers)
{
    const struct aggfrag_settings settings = {
        .enabled = true, .rate_bits = 1000000000, .dont_fragment = dont_fragment};
    struct aggfrag_out out;
    struct aggfrag_in in;
    struct figure figure = {0};
    static uint8_t payloads[BATCH][PAYLOAD_BYTES];
    uint64_t inner = 0;
    uint64_t sequence = 0;

    if (!aggfrag_out_init(&out, &settings, OUTER_BYTES, PAYLOAD_BYTES, 0) ||
        !aggfrag_in_init(&in, &settings)) {
        give_up("no memory");
    }
    /* Many between two looks at the clock, which costs more than a payload. */
    for (uint64_t done = 0; done < outers; done += BATCH) {
        struct slice got;

        refill(&out, inner_bytes);
        double start = now_ns();
        for (int i = 0; i < BATCH; i++) {
            (void)aggfrag_fill(&out, aggfrag_next_us(&out), payloads[i], PAYLOAD_BYTES);
        }
        double filled = now_ns();

        for (int i = 0; i < BATCH; i++) {
            sequence++;
            if (aggfrag_in_push(&in, sequence, SLICE_OF(payloads[i]), sequence) != AGGFRAG_TAKEN) {
                give_up("a payload was refused");
            }
            while (aggfrag_in_next(&in, &got)) {
                inner += got.length;
            }
        }
        figure.fill_ns += filled - start;
        figure.read_ns += now_ns() - filled;
    }
    figure.share = (double)inner / ((double)sequence * OUTER_BYTES);
    figure.fill_ns /= (double)sequence;
    figure.read_ns /= (double)sequence;
    aggfrag_out_fini(&out);
    aggfrag_in_fini(&in);
    return figure;
}

int main(int argc, char **argv)
{
    static const uint32_t sizes[] = {40, 128, 256, 576, 800, 1000, 1400, 1442, 1500, 9000};
    uint64_t outers = argc > 1 ? strtoull(argv[1], NULL, 10) : 100000;

    if (outers == 0) {
        give_up("how many outer packets?");
    }
    printf("outer packets of %d octets, %d of them for data blocks\n", OUTER_BYTES,
           PAYLOAD_BYTES - 4);
    printf("%6s %10s %14s %12s %9s %9s\n", "inner", "fragments", "no fragments", "one a packet",
           "fill ns", "read ns");
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct figure with = measure(sizes[i], false, outers);
        bool fits = sizes[i] <= PAYLOAD_BYTES - 4;

        printf("%6u %9.2f%%", (unsigned)sizes[i], 100 * with.share);
        if (fits) {
            printf(" %13.2f%% %11.2f%%", 100 * measure(sizes[i], true, outers).share,
                   100.0 * sizes[i] / OUTER_BYTES);
        } else {
            printf(" %14s %12s", "-", "-");
        }
        printf(" %9.0f %9.0f\n", with.fill_ns, with.read_ns);
    }
    return 0;
}
