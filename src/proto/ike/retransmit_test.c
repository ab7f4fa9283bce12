/* The times of retransmission (RFC 7296 2.1, 2.4). */
#include "proto/ike/retransmit.h"

#include "tests/support/test.h"

/* Every wait lies within a tenth of the exponential schedule; returns how often it was sent
 * again. */
static unsigned run(uint64_t first_ms, uint64_t max_ms, unsigned tries, uint64_t seed)
{
    struct seeded_random seeded;
    struct retransmit r;
    uint64_t now_ms = 1000;
    double wait_ms = (double)first_ms;
    unsigned sent = 0;

    seeded_random_init(&seeded, seed);
    struct random_source random = seeded_random_source(&seeded);

    retransmit_start(&r, first_ms, max_ms, tries, now_ms, &random);
    for (;;) {
        double waited = (double)(r.deadline_ms - now_ms);

        CHECK(waited >= wait_ms * 0.9 - 2);
        CHECK(waited <= wait_ms * 1.1 + 2);
        CHECK_EQUAL(retransmit_time(&r, r.deadline_ms - 1, &random), RETRANSMIT_WAIT);
        now_ms = r.deadline_ms;
        enum retransmit_step step = retransmit_time(&r, now_ms, &random);

        if (step == RETRANSMIT_GIVE_UP) {
            break;
        }
        CHECK_EQUAL(step, RETRANSMIT_SEND);
        sent++;
        wait_ms *= 1.8;
        if (wait_ms > (double)max_ms) {
            wait_ms = (double)max_ms;
        }
    }
    CHECK(r.deadline_ms == NEVER_MS);
    CHECK_EQUAL(retransmit_time(&r, NEVER_MS - 1, &random), RETRANSMIT_WAIT);
    return sent;
}

TEST(waits_grow_by_1_8_up_to_the_longest)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        CHECK_EQUAL(run(500, 30000, 12, seed), 12);
    }
    CHECK_EQUAL(run(500, 30000, 0, 1), 0);
    CHECK_EQUAL(run(1, 1, 3, 1), 3);
}

TEST(two_sas_do_not_ask_at_the_same_moment)
{
    struct seeded_random seeded;
    struct retransmit a;
    struct retransmit b;
    unsigned different = 0;

    seeded_random_init(&seeded, 1);
    struct random_source random = seeded_random_source(&seeded);

    for (int i = 0; i < 20; i++) {
        retransmit_start(&a, 2000, 30000, 5, 0, &random);
        retransmit_start(&b, 2000, 30000, 5, 0, &random);
        different += a.deadline_ms != b.deadline_ms;
    }
    CHECK(different >= 15);
}

TEST(a_clock_that_jumped_costs_one_step)
{
    struct seeded_random seeded;
    struct retransmit r;

    seeded_random_init(&seeded, 1);
    struct random_source random = seeded_random_source(&seeded);

    retransmit_start(&r, 1000, 10000, 3, 0, &random);
    CHECK_EQUAL(retransmit_time(&r, UINT64_C(1) << 40, &random), RETRANSMIT_SEND);
    CHECK(r.deadline_ms > UINT64_C(1) << 40);
    CHECK_EQUAL(r.again, 1);
    retransmit_stop(&r);
    CHECK_EQUAL(retransmit_time(&r, UINT64_C(1) << 41, &random), RETRANSMIT_WAIT);
}
