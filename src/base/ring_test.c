/* The ring beside the plainest queue, at its limits, and between two threads. */
#include "base/ring.h"

#include <pthread.h>
#include <sched.h>

#include "tests/support/test.h"

TEST(an_empty_ring_gives_nothing)
{
    struct ring r;
    int value = 7;

    CHECK(ring_init(&r, sizeof(value), 4));
    CHECK(!ring_take(&r, &value));
    CHECK_EQUAL(value, 7);
    ring_fini(&r);
    ring_fini(&r);
}

TEST(a_full_ring_refuses_and_keeps_what_it_has)
{
    struct ring r;
    int out = 0;

    CHECK(ring_init(&r, sizeof(int), 4));
    for (int i = 0; i < 4; i++) {
        CHECK(ring_put(&r, &i));
    }
    int fifth = 5;
    CHECK(!ring_put(&r, &fifth));
    for (int i = 0; i < 4; i++) {
        CHECK(ring_take(&r, &out));
        CHECK_EQUAL(out, i);
    }
    CHECK(!ring_take(&r, &out));
    ring_fini(&r);
}

TEST(messages_leave_in_order_however_puts_and_takes_mix)
{
    struct ring r;
    uint32_t seed = 1;
    uint64_t put = 0;
    uint64_t taken = 0;

    CHECK(ring_init(&r, sizeof(uint64_t), 8));
    for (int step = 0; step < 100000; step++) {
        seed = seed * 1664525u + 1013904223u;
        if ((seed >> 16 & 1) != 0) {
            bool expected = put - taken < 8;
            CHECK_EQUAL(ring_put(&r, &put), expected);
            put += expected ? 1 : 0;
        } else {
            uint64_t out = 0;
            bool expected = put != taken;
            CHECK_EQUAL(ring_take(&r, &out), expected);
            if (expected) {
                CHECK_EQUAL(out, taken);
                taken++;
            }
        }
    }
    ring_fini(&r);
}

#define MESSAGES 200000

struct wide {
    uint64_t number[5];
};

static void *put_all(void *context)
{
    struct ring *r = context;

    for (uint64_t i = 0; i < MESSAGES;) {
        struct wide message = {{i, ~i, i * 3, i ^ 0x55, i + 1}};
        if (ring_put(r, &message)) {
            i++;
        } else {
            sched_yield();
        }
    }
    return NULL;
}

TEST(between_two_threads_every_message_arrives_whole_once_and_in_order)
{
    struct ring r;
    pthread_t putter;
    uint64_t wrong = 0;

    CHECK(ring_init(&r, sizeof(struct wide), 64));
    CHECK_EQUAL(pthread_create(&putter, NULL, put_all, &r), 0);
    for (uint64_t i = 0; i < MESSAGES;) {
        struct wide m;
        if (!ring_take(&r, &m)) {
            sched_yield();
            continue;
        }
        wrong += m.number[0] != i || m.number[1] != ~i || m.number[2] != i * 3 ||
                 m.number[3] != (i ^ 0x55) || m.number[4] != i + 1;
        i++;
    }
    CHECK_EQUAL(pthread_join(putter, NULL), 0);
    CHECK_EQUAL(wrong, 0);
    ring_fini(&r);
}
