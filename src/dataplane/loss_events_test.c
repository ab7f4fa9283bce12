/* Loss events beside the most obvious way to count them: packet by packet. */
#include "dataplane/loss_events.h"

#include "base/random.h"
#include "dataplane/tfrc.h"
#include "tests/support/test.h"

/* RFC 5348 5.2 to 5.4 word for word, with all lost packets one after the other. */
struct obvious {
    uint64_t starts[100000];
    size_t count;
    double began_us;
};

static struct obvious obvious;

static void obvious_lost(uint64_t sequence, double at_us, uint32_t rtt_us)
{
    if (obvious.count == 0 || at_us > obvious.began_us + rtt_us) {
        obvious.starts[obvious.count++] = sequence;
        obvious.began_us = at_us;
    }
}

static uint32_t obvious_inverse(uint64_t newest, uint64_t first_interval)
{
    static const double w[8] = {1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2};
    double interval[9];
    double total0 = 0;
    double total1 = 0;
    double weight = 0;
    size_t k = obvious.count < 8 ? obvious.count : 8;

    if (obvious.count == 0) {
        return 0;
    }
    interval[0] = (double)(newest - obvious.starts[obvious.count - 1] + 1);
    for (size_t i = 1; i <= k; i++) {
        size_t at = obvious.count - i;
        interval[i] =
            (double)(at == 0 ? first_interval : obvious.starts[at] - obvious.starts[at - 1]);
    }
    for (size_t i = 0; i < k; i++) {
        total0 += interval[i] * w[i];
        total1 += interval[i + 1] * w[i];
        weight += w[i];
    }
    return (uint32_t)((total0 > total1 ? total0 : total1) / weight + 1e-9);
}

TEST(runs_of_losses_are_counted_as_one_by_one)
{
    struct seeded_random seeded;

    seeded_random_init(&seeded, 4);
    struct random_source random = seeded_random_source(&seeded);

    for (int round = 0; round < 200; round++) {
        struct loss_events l = {.counted = 0};
        uint32_t rtt_us = 1000 + random_below(&random, 50000);
        uint64_t now_us = 1000;
        uint64_t before_us = now_us;
        uint64_t expected = 1;
        uint64_t first = 0;

        obvious.count = 0;
        obvious.began_us = 0;
        for (int step = 0; step < 300; step++) {
            uint64_t lost = random_below(&random, 10) == 0 ? 1 + random_below(&random, 6) : 0;
            now_us += (lost + 1) * 1024; /* steps that a double holds without an error */
            if (lost > 0) {
                for (uint64_t i = 0; i < lost; i++) {
                    obvious_lost(expected + i, (double)(before_us + 1024 * (i + 1)), rtt_us);
                }
                loss_events_lost(&l, expected, expected + lost, before_us, now_us, rtt_us);
                first = first == 0 ? l.lengths[l.count - 1] : first;
            }
            expected += lost;
            loss_events_arrived(&l, expected, now_us, rtt_us);
            CHECK_EQUAL(loss_events_inverse(&l), obvious_inverse(expected, first));
            expected++;
            before_us = now_us;
        }
    }
}

TEST(losses_within_a_round_trip_are_one_event)
{
    struct loss_events l = {.counted = 0};
    uint64_t now_us = 0;

    for (uint64_t sequence = 1; sequence <= 10000; sequence++) {
        now_us += 1000;
        /* Every hundredth, and four near to it, within a round trip of 20 ms. */
        if (sequence % 100 < 10 && sequence % 2 == 0 && sequence >= 100) {
            loss_events_lost(&l, sequence, sequence + 1, now_us - 1000, now_us + 1000, 20000);
        } else {
            loss_events_arrived(&l, sequence, now_us, 20000);
        }
    }
    CHECK_EQUAL(l.count, LOSS_INTERVALS);
    CHECK_EQUAL(loss_events_inverse(&l), 100);
}

TEST(without_loss_the_rate_is_none_and_after_it_it_falls_again)
{
    struct loss_events l = {.counted = 0};
    uint32_t before = 0;

    for (uint64_t sequence = 1; sequence <= 1000; sequence++) {
        loss_events_arrived(&l, sequence, sequence * 1000, 10000);
    }
    CHECK_EQUAL(loss_events_inverse(&l), 0);
    loss_events_lost(&l, 1001, 1002, 1000000, 1002000, 10000);
    before = loss_events_inverse(&l);
    CHECK(before > 0);
    for (uint64_t sequence = 1002; sequence <= 100000; sequence++) {
        loss_events_arrived(&l, sequence, sequence * 1000, 10000);
        CHECK(loss_events_inverse(&l) >= before);
        before = loss_events_inverse(&l);
    }
    CHECK(before > 50000);
}

/* RFC 5348 6.3.1. */
TEST(the_first_interval_is_the_one_that_explains_the_rate_of_arrival)
{
    struct loss_events l = {.counted = 0};

    for (uint64_t sequence = 1; sequence <= 1000; sequence++) {
        loss_events_arrived(&l, sequence, sequence * 1000, 100000);
    }
    loss_events_lost(&l, 1001, 1002, 1000000, 1002000, 100000);
    double fair = tfrc_equation(0.1, 1.0 / loss_events_inverse(&l));

    CHECK(fair > 990 && fair < 1010);
}

TEST(a_gap_of_billions_is_counted_at_once)
{
    struct loss_events l = {.counted = 0};

    loss_events_arrived(&l, 1, 1000, 10);
    loss_events_lost(&l, 2, UINT64_C(1) << 62, 1000, UINT64_C(1) << 40, 10);
    loss_events_arrived(&l, UINT64_C(1) << 62, UINT64_C(1) << 40, 10);
    CHECK_EQUAL(l.count, LOSS_INTERVALS);
    CHECK(loss_events_inverse(&l) > 0);
    loss_events_lost(&l, (UINT64_C(1) << 62) + 1, (UINT64_C(1) << 62) + 2, UINT64_C(1) << 40,
                     UINT64_C(1) << 40, 10);
    CHECK(loss_events_inverse(&l) > 0);
}
