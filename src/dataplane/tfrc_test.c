/* The rate equation, slow start, silence and bounds. */
#include "dataplane/tfrc.h"

#include "tests/support/test.h"

#define SECOND_US UINT64_C(1000000)

static bool near(double value, double expected, double share)
{
    double difference = value > expected ? value - expected : expected - value;

    return difference <= expected * share;
}

/* Computed from the formula by other means. */
TEST(the_equation_is_that_of_the_rfc)
{
    static const struct {
        double rtt_seconds, p, rate;
    } rows[] = {
        {0.1, 0.01, 112.33223436299298},
        {0.1, 0.0001, 1223.6435918065536},
        {0.02, 0.1, 88.5051038895662},
        {1, 1, 0.004109882118763722},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        CHECK(near(tfrc_equation(rows[i].rtt_seconds, rows[i].p), rows[i].rate, 1e-9));
        CHECK(near(tfrc_equation_inverse(rows[i].rtt_seconds, rows[i].rate), rows[i].p, 1e-6));
    }
}

TEST(the_rate_doubles_once_a_round_trip_until_something_is_lost)
{
    struct tfrc tfrc;
    uint64_t now_us = SECOND_US;

    tfrc_init(&tfrc, 1, 100000, 1460, now_us);
    CHECK(near(tfrc.rate, 1, 1e-9));
    now_us += 50000;
    tfrc_feedback(&tfrc, 0, 100000, now_us);
    CHECK(near(tfrc.rate, 30, 1e-9)); /* three packets of 1,460 octets a round trip of 100 ms */
    for (int i = 1; i <= 10; i++) {
        for (int k = 0; k < 10; k++) {
            now_us += 10000;
            tfrc_feedback(&tfrc, 0, 100000, now_us);
        }
        CHECK(near(tfrc.rate, 30 * (1 << i), 1e-9));
    }
    now_us += 1; /* news of a loss does not wait for the end of the round trip */
    tfrc_feedback(&tfrc, 100, 100000, now_us);
    CHECK(near(tfrc.rate, tfrc_equation(0.1, 0.01), 1e-6));
    now_us += 100000;
    tfrc_feedback(&tfrc, 10000, 100000, now_us);
    CHECK(near(tfrc.rate, 2 * tfrc_equation(0.1, 0.01), 1e-6)); /* not more than twice */
}

TEST(silence_halves_the_rate_down_to_the_least)
{
    struct tfrc tfrc;
    uint64_t now_us = 0;

    tfrc_init(&tfrc, 2, 1000, 1460, now_us);
    CHECK(near(tfrc.rate, 2, 1e-9));
    tfrc_feedback(&tfrc, 0, 100000, 0);
    tfrc_feedback(&tfrc, 100, 100000, 0);
    double rate = tfrc.rate;

    CHECK(!tfrc_time(&tfrc, 399999)); /* four round trips */
    CHECK(near(tfrc.rate, rate, 1e-9));
    CHECK(tfrc_time(&tfrc, 400000));
    CHECK(near(tfrc.rate, rate / 2, 1e-9));
    for (now_us = 400000; now_us < 60 * SECOND_US; now_us += 100000) {
        (void)tfrc_time(&tfrc, now_us);
    }
    CHECK(near(tfrc.rate, 2, 1e-9));
}

TEST(the_rate_stays_between_its_bounds)
{
    struct tfrc tfrc;
    uint64_t now_us = 0;

    tfrc_init(&tfrc, 5, 50, 1460, now_us);
    for (int i = 0; i < 100; i++) {
        now_us += 200000;
        tfrc_feedback(&tfrc, i % 3 == 0 ? 1 : 0, 1000 + (uint32_t)i * 1000, now_us);
        CHECK(tfrc.rate >= 5 && tfrc.rate <= 50);
        (void)tfrc_time(&tfrc, now_us);
        CHECK(tfrc.rate >= 5 && tfrc.rate <= 50);
    }
}

TEST(the_round_trip_time_is_smoothed_once_there_is_loss)
{
    struct tfrc tfrc;

    tfrc_init(&tfrc, 1, 1000, 1460, 0);
    tfrc_feedback(&tfrc, 0, 2000000, 0);
    CHECK_EQUAL(tfrc.rtt_us, 2000000);
    tfrc_feedback(&tfrc, 0, 100000, 2 * SECOND_US);
    CHECK_EQUAL(tfrc.rtt_us, 100000); /* in slow start the smallest is believed */
    tfrc_feedback(&tfrc, 0, 200000, 4 * SECOND_US);
    CHECK_EQUAL(tfrc.rtt_us, 110000);
    tfrc_feedback(&tfrc, 50, 210000, 6 * SECOND_US);
    CHECK_EQUAL(tfrc.rtt_us, 120000);
    tfrc_feedback(&tfrc, 50, 20000, 8 * SECOND_US);
    CHECK_EQUAL(tfrc.rtt_us, 110000);
}
