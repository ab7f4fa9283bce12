/* The heap of deadlines against what any list of times must do. */
#include "base/deadline.h"

#include <stdlib.h>

#include "base/random.h"
#include "tests/support/test.h"

TEST(an_empty_heap_never_comes_due)
{
    struct deadlines d;

    deadlines_init(&d);
    CHECK(deadlines_next_ms(&d) == NEVER_MS);
    CHECK(deadlines_take_due(&d, NEVER_MS - 1) == NULL);
    deadlines_fini(&d);
    deadlines_fini(&d);
}

TEST(never_removes_and_removing_twice_is_harmless)
{
    struct deadlines d;
    struct deadline one = {0};

    deadlines_init(&d);
    CHECK(deadlines_set(&d, &one, 5));
    CHECK(deadlines_next_ms(&d) == 5);
    CHECK(deadlines_set(&d, &one, NEVER_MS));
    CHECK(deadlines_next_ms(&d) == NEVER_MS);
    deadlines_remove(&d, &one);
    CHECK_EQUAL(d.count, 0);
    CHECK_EQUAL(one.place, 0);
    deadlines_fini(&d);
}

TEST(nothing_is_taken_before_its_time)
{
    struct deadlines d;
    struct deadline one = {0};

    deadlines_init(&d);
    CHECK(deadlines_set(&d, &one, 100));
    CHECK(deadlines_take_due(&d, 99) == NULL);
    CHECK(deadlines_take_due(&d, 100) == &one);
    CHECK(deadlines_take_due(&d, 100) == NULL);
    deadlines_fini(&d);
}

#define MANY 100000

TEST(a_hundred_thousand_timers_leave_in_order_after_moves_and_removals)
{
    struct seeded_random seeded;
    struct deadlines d;
    struct deadline *all = calloc(MANY, sizeof(struct deadline));
    bool *expected = calloc(MANY, sizeof(bool));
    size_t left = 0;

    seeded_random_init(&seeded, 7);
    struct random_source random = seeded_random_source(&seeded);

    deadlines_init(&d);
    for (size_t i = 0; i < MANY; i++) {
        CHECK(deadlines_set(&d, &all[i], random_below(&random, 1000000)));
    }
    for (size_t i = 0; i < MANY; i++) {
        uint32_t what = random_below(&random, 3);
        size_t which = random_below(&random, MANY);

        if (what == 0) {
            deadlines_remove(&d, &all[which]);
        } else {
            CHECK(deadlines_set(&d, &all[which], random_below(&random, 1000000)));
        }
    }
    for (size_t i = 0; i < MANY; i++) {
        expected[i] = all[i].place != 0;
        left += expected[i];
    }
    CHECK_EQUAL(d.count, left);
    uint64_t before_ms = 0;

    while (d.count > 0) {
        uint64_t next_ms = deadlines_next_ms(&d);
        struct deadline *due = deadlines_take_due(&d, next_ms);

        CHECK(due != NULL);
        CHECK(due->at_ms == next_ms);
        CHECK(due->at_ms >= before_ms);
        CHECK(expected[due - all]);
        expected[due - all] = false;
        before_ms = due->at_ms;
        left--;
    }
    CHECK_EQUAL(left, 0);
    deadlines_fini(&d);
    free(expected);
    free(all);
}
