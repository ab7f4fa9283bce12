/* Helpers with long batches: what comes out is what one worker alone delivers, and they are only
 * called where it pays. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>

#include "dataplane/plane.h"
#include "dataplane/testbed.h"
#include "tests/support/test.h"

#define HELPERS 2
#define BATCHES 150
#define PACKET_BYTES 300
#define STEP_US 1000

static const struct tunnel slow = {
    .suite = {.encryption = ENCRYPTION_AES_CBC,
              .key_bits = 128,
              .integrity = INTEGRITY_HMAC_SHA2_256_128},
    .outer_family = FAMILY_IPV4,
    .encapsulated = true,
};

struct help {
    struct crew *crew;
    _Atomic uint64_t calls, parts;
    _Atomic bool ends;
    sem_t called;
};

/* A clock of its own: each look takes that long. */
static uint64_t time_us, step_us;

static uint64_t now_us(void)
{
    time_us += step_us;
    return time_us;
}

static void call(void *context, size_t hands)
{
    struct help *help = context;

    CHECK_EQUAL(hands, BATCH_PACKETS / 16 - 1);
    help->calls++;
    for (size_t i = 0; i < HELPERS; i++) {
        CHECK_EQUAL(sem_post(&help->called), 0);
    }
}

static void yield(void)
{
    (void)sched_yield();
}

static void *help_out(void *context)
{
    struct help *help = context;
    struct protect_engine *engine = protect_engine_new();

    CHECK(engine != NULL);
    while (!help->ends) {
        while (crew_help(help->crew, engine)) {
            help->parts++;
        }
        (void)sem_wait(&help->called);
    }
    protect_engine_free(engine);
    return NULL;
}

/* A batch from a to b, of which some are spoiled on the way; what b delivers is the rest. */
static void carry_batch(struct testbed *t)
{
    static uint8_t clear[BATCH_PACKETS][PACKET_BYTES];
    struct packet *batch[BATCH_PACKETS];
    size_t expected = 0;

    for (size_t i = 0; i < BATCH_PACKETS; i++) {
        batch[i] = dataplane_take_packet(t->a.worker);
        CHECK(batch[i] != NULL);
        testbed_fill(t, batch[i], true, FAMILY_IPV4, PACKET_BYTES, false);
        memcpy(clear[i], packet_data(batch[i]), PACKET_BYTES);
    }
    dataplane_outbound(t->a.worker, batch, BATCH_PACKETS, t->now_ms, &t->a.out);
    CHECK_EQUAL(t->a.out.to_wire_count, BATCH_PACKETS);
    for (size_t i = 0; i < BATCH_PACKETS; i++) {
        const struct packet *sealed = t->a.out.to_wire[i];

        batch[i] = dataplane_take_packet(t->b.worker);
        CHECK(batch[i] != NULL);
        memcpy(packet_data(batch[i]), packet_data(sealed), sealed->length);
        batch[i]->length = sealed->length;
        batch[i]->local = sealed->peer;
        batch[i]->peer = sealed->local;
        batch[i]->outer_protocol = IP_PROTOCOL_UDP;
        if (random_below(&t->random, 8) == 0) {
            packet_data(batch[i])[40] ^= 1;
        } else {
            memcpy(clear[expected++], clear[i], PACKET_BYTES);
        }
    }
    testbed_give(&t->a);
    dataplane_inbound(t->b.worker, batch, BATCH_PACKETS, t->now_ms, &t->b.out);
    CHECK_EQUAL(t->b.out.to_tun_count, expected);
    for (size_t i = 0; i < expected; i++) {
        CHECK_EQUAL(t->b.out.to_tun[i]->length, PACKET_BYTES);
        CHECK_BYTES(packet_data(t->b.out.to_tun[i]), clear[i], PACKET_BYTES);
    }
    testbed_give(&t->b);
}

TEST(helpers_under_threads_change_nothing_that_comes_out)
{
    struct help help = {0};
    CHECK_EQUAL(sem_init(&help.called, 0, 0), 0);
    const struct dataplane_helpers helpers = {call, &help, yield, now_us};
    pthread_t threads[HELPERS];
    struct testbed t;

    testbed_open(&t, 90);
    CHECK(testbed_join(&t, &slow));
    help.crew = &t.b.dp->crew;
    step_us = STEP_US;
    dataplane_worker_helpers(t.b.worker, &helpers);
    for (size_t i = 0; i < HELPERS; i++) {
        CHECK_EQUAL(pthread_create(&threads[i], NULL, help_out, &help), 0);
    }
    for (size_t i = 0; i < BATCHES; i++) {
        carry_batch(&t);
    }
    help.ends = true;
    for (size_t i = 0; i < HELPERS; i++) {
        CHECK_EQUAL(sem_post(&help.called), 0);
    }
    for (size_t i = 0; i < HELPERS; i++) {
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    }
    print_message("%u parts opened by helpers\n", (unsigned)help.parts);
    /* The first one was measured. */
    CHECK_EQUAL(help.calls, BATCHES - 1);
    CHECK(testbed_doors_add_up(&t.b));
    testbed_close(&t);
}

TEST(a_fast_worker_calls_nobody)
{
    struct help help = {0};
    CHECK_EQUAL(sem_init(&help.called, 0, 0), 0);
    const struct dataplane_helpers helpers = {call, &help, yield, now_us};
    struct testbed t;

    testbed_open(&t, 91);
    CHECK(testbed_join(&t, &slow));
    step_us = 20;
    dataplane_worker_helpers(t.b.worker, &helpers);
    for (size_t i = 0; i < BATCHES; i++) {
        carry_batch(&t);
    }
    CHECK_EQUAL(help.calls, 0);
    testbed_close(&t);
}

TEST(help_that_takes_longer_than_doing_it_alone_is_not_called_for_a_while)
{
    struct help help = {0};
    CHECK_EQUAL(sem_init(&help.called, 0, 0), 0);
    const struct dataplane_helpers helpers = {call, &help, yield, now_us};
    struct testbed t;

    testbed_open(&t, 92);
    CHECK(testbed_join(&t, &slow));
    step_us = STEP_US;
    dataplane_worker_helpers(t.b.worker, &helpers);
    carry_batch(&t);
    CHECK_EQUAL(help.calls, 0);
    step_us = 3 * STEP_US; /* nobody comes, and the machine is slow */
    for (size_t i = 0; i < BATCHES; i++) {
        carry_batch(&t);
    }
    CHECK_EQUAL(help.calls, 1);
    testbed_close(&t);
}

TEST(a_worker_whose_place_is_taken_does_it_alone)
{
    struct help help = {0};
    CHECK_EQUAL(sem_init(&help.called, 0, 0), 0);
    const struct dataplane_helpers helpers = {call, &help, yield, now_us};
    struct testbed t;

    testbed_open(&t, 93);
    CHECK(testbed_join(&t, &slow));
    step_us = STEP_US;
    dataplane_worker_helpers(t.b.worker, &helpers);
    t.b.dp->crew.is_taken = true;
    for (size_t i = 0; i < BATCHES; i++) {
        carry_batch(&t);
    }
    CHECK_EQUAL(help.calls, 0);
    t.b.dp->crew.is_taken = false;
    testbed_close(&t);
}
