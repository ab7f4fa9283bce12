/* Pacing: no drift, bounded bursts. */
#include "dataplane/pace.h"

#include "base/random.h"
#include "tests/support/test.h"

#define SECOND_US UINT64_C(1000000)

/* The n-th packet is due when n packets' worth of bits have passed: one division, no memory. */
TEST(the_millionth_packet_is_due_to_the_microsecond)
{
    static const struct {
        uint64_t rate_bits;
        uint32_t packet_bytes;
    } cases[] = {{1000000, 1500},   {9999991, 1500},     {333333, 64},      {7, 1},
                 {64000, 576},      {999999937, 1400},   {10000000000, 64}, {123456789, 9000},
                 {1000000000, 125}, {40000000000, 1500}, {1, 65535}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct pace pace;
        uint64_t start_us = 5000000 + i;
        uint64_t bits = cases[i].packet_bytes * UINT64_C(8);

        pace_init(&pace, cases[i].rate_bits, cases[i].packet_bytes, start_us);
        for (uint64_t n = 0; n <= 1000000; n++) {
            if (n % 99991 == 0 || n == 1000000) {
                CHECK_EQUAL(pace.next_us - start_us,
                            (uint64_t)((long double)n * bits * SECOND_US / cases[i].rate_bits));
            }
            pace_spend(&pace, pace.next_us);
        }
        CHECK_EQUAL(pace.forgotten, 0);
    }
}

/* Wakes that are late by up to 5 ms change nothing about how many packets go out in a minute. */
TEST(late_wakes_do_not_slow_the_rate)
{
    struct seeded_random seeded;
    struct pace pace;
    uint64_t now_us = 0;
    uint64_t sent = 0;

    seeded_random_init(&seeded, 1);
    struct random_source random = seeded_random_source(&seeded);

    pace_init(&pace, 12000000, 1500, 0); /* 1,000 a second */
    while (pace.next_us < 60 * SECOND_US) {
        now_us = pace.next_us + random_below(&random, 5000);
        while (pace.next_us <= now_us && pace.next_us < 60 * SECOND_US) {
            pace_spend(&pace, now_us);
            sent++;
        }
    }
    CHECK_EQUAL(sent, 60000);
    CHECK_EQUAL(pace.forgotten, 0);
}

static uint32_t burst_at(struct pace *pace, uint64_t now_us)
{
    uint32_t burst = 0;

    while (pace->next_us <= now_us) {
        pace_spend(pace, now_us);
        burst++;
    }
    return burst;
}

TEST(a_long_pause_ends_in_a_small_burst)
{
    static const struct {
        uint64_t rate_bits;
        uint32_t packets_max;
    } cases[] = {
        {12000, 2}, /* one a second */
        {12000000, 11}, /* ten in 10 ms and the one that is due now */
        {UINT64_C(12000000000), 65},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct pace pace;

        pace_init(&pace, cases[i].rate_bits, 1500, 0);
        CHECK_EQUAL(burst_at(&pace, 0), 1);
        CHECK_EQUAL(burst_at(&pace, 86400 * SECOND_US), cases[i].packets_max);
        CHECK_EQUAL(pace.forgotten, 1);
        CHECK(pace.next_us > 86400 * SECOND_US);
    }
}

TEST(a_new_rate_holds_from_the_next_packet_on)
{
    struct pace pace;

    pace_init(&pace, 12000, 1500, 0);
    pace_spend(&pace, 0);
    CHECK_EQUAL(pace.next_us, SECOND_US);
    pace_change(&pace, 24000, 1500);
    CHECK_EQUAL(pace.next_us, SECOND_US);
    pace_spend(&pace, SECOND_US);
    CHECK_EQUAL(pace.next_us, SECOND_US + SECOND_US / 2);
    pace_change(&pace, 24000, 750);
    CHECK_EQUAL(pace_interval_us(&pace), SECOND_US / 4);
}
