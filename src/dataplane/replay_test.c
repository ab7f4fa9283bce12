/* The replay window beside the plainest one: a list of all numbers ever seen. */
#include "dataplane/replay.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"
#include "tests/support/test.h"

#define SEEN_MAX 4096

/* Everything that was accepted, and the highest of it. */
struct obvious {
    uint64_t seen[SEEN_MAX];
    size_t count;
    uint64_t top;
    uint32_t window;
};

static bool obvious_accepts(struct obvious *o, uint64_t sequence)
{
    if (sequence == 0 || (o->top >= o->window && sequence <= o->top - o->window)) {
        return false;
    }
    for (size_t i = 0; i < o->count; i++) {
        if (o->seen[i] == sequence) {
            return false;
        }
    }
    o->seen[o->count++] = sequence;
    o->top = sequence > o->top ? sequence : o->top;
    return true;
}

TEST(the_window_says_what_a_list_of_all_numbers_says)
{
    static const uint32_t windows[] = {1, 2, 31, 32, 33, 63, 64, 65, 100, 1024, 1025};
    struct seeded_random seeded;
    static struct obvious obvious;

    seeded_random_init(&seeded, 3);
    struct random_source random = seeded_random_source(&seeded);
    for (size_t w = 0; w < ARRAY_LENGTH(windows); w++) {
        _Atomic uint64_t *words = calloc(replay_words(windows[w]), sizeof(*words));
        uint64_t start = w % 2 == 0 ? 0 : UINT64_C(0x1fffffff0);
        struct replay replay;
        replay_init(&replay, words, windows[w], start);
        obvious = (struct obvious){.top = start, .window = windows[w]};
        for (int step = 0; step < 3000; step++) {
            uint32_t reach = windows[w] * 2 + 40;
            uint64_t sequence = obvious.top + random_below(&random, 4);
            if (random_below(&random, 3) > 0) {
                uint64_t back = random_below(&random, reach);
                sequence = obvious.top > back ? obvious.top - back : 0;
            } else if (random_below(&random, 10) == 0) {
                sequence += random_below(&random, reach * 3);
            }
            bool fresh = replay_is_fresh(&replay, sequence);
            uint64_t top = obvious.top;
            bool expected = obvious_accepts(&obvious, sequence);
            bool newest = false;
            CHECK_EQUAL(fresh, expected);
            CHECK_EQUAL(replay_record(&replay, sequence, &newest), expected);
            CHECK_EQUAL(newest, expected && sequence > top);
        }
        free(words);
    }
}

/* RFC 4303 appendix A2.2, as its two cases are written there. */
static bool appendix_a(uint64_t top, uint32_t window, uint32_t low, uint64_t *sequence)
{
    uint32_t top_low = (uint32_t)top;
    uint64_t top_high = top >> 32;
    uint64_t high = 0;

    if (top_low >= window - 1) {
        high = low >= top_low - (window - 1) ? top_high : top_high + 1;
    } else {
        uint64_t bottom = (UINT64_C(1) << 32) + top_low - (window - 1);
        if (low >= bottom) {
            if (top_high == 0) {
                return false;
            }
            high = top_high - 1;
        } else {
            high = top_high;
        }
    }
    if (high > UINT32_MAX) {
        return false;
    }
    *sequence = high << 32 | low;
    return true;
}

TEST(the_high_half_is_what_appendix_a_says_at_every_edge)
{
    static const uint32_t windows[] = {1, 32, 64, 1024, 65536};
    static const uint64_t highs[] = {0, 1, 2, 0x7fffffff, 0xfffffffe, 0xffffffff};

    for (size_t w = 0; w < ARRAY_LENGTH(windows); w++) {
        uint32_t window = windows[w];
        _Atomic uint64_t *words = calloc(replay_words(window), sizeof(*words));
        const uint32_t lows[] = {0,           1,           window - 2,  window - 1,
                                 window,      window + 1,  0x7fffffff,  0x80000000,
                                 0u - window, 1u - window, 2u - window, 0xffffffff};
        for (size_t h = 0; h < ARRAY_LENGTH(highs); h++) {
            for (size_t i = 0; i < ARRAY_LENGTH(lows); i++) {
                for (size_t k = 0; k < ARRAY_LENGTH(lows); k++) {
                    uint64_t top = highs[h] << 32 | lows[i];
                    struct replay replay;
                    uint64_t expected = 0;
                    uint64_t actual = 0;
                    replay_init(&replay, words, window, top);
                    bool valid = appendix_a(top, window, lows[k], &expected);
                    CHECK_EQUAL(replay_full_sequence(&replay, lows[k], &actual), valid);
                    CHECK_EQUAL(actual, expected);
                }
            }
        }
        free(words);
    }
}

TEST(ten_million_numbers_in_disorder_are_accepted_once_across_2_to_the_32)
{
    struct seeded_random seeded;
    struct replay replay;
    _Atomic uint64_t *words = calloc(replay_words(1024), sizeof(*words));
    uint64_t start = UINT64_C(0xffffffff) - 500000;
    uint64_t wrong = 0;

    seeded_random_init(&seeded, 9);
    struct random_source random = seeded_random_source(&seeded);
    replay_init(&replay, words, 1024, start);
    /* Blocks of 512 numbers, each in its own disorder, everything sent twice: all inside the
     * window. */
    for (uint64_t block = 0; block < 10000; block++) {
        uint32_t step = random_u32(&random) | 1;
        for (uint32_t i = 0; i < 1024; i++) {
            uint64_t number = start + 1 + block * 512 + (uint64_t)(i * step & 511);
            uint64_t full = 0;
            bool newest = false;
            bool known = replay_full_sequence(&replay, (uint32_t)number, &full);
            bool accepted = known && full == number && replay_is_fresh(&replay, full) &&
                            replay_record(&replay, full, &newest);
            wrong += accepted != (i < 512);
        }
    }
    CHECK_EQUAL(wrong, 0);
    free(words);
}

#define RACERS 2
#define RACE_NUMBERS 200000

struct racer {
    struct replay *replay;
    _Atomic uint32_t *accepted;
};

static void *race(void *context)
{
    struct racer *racer = context;

    for (uint64_t n = 1; n <= RACE_NUMBERS; n++) {
        bool newest = false;
        /* A little disorder: pairs are swapped. */
        uint64_t sequence = ((n - 1) ^ 1) + 1;
        if (replay_is_fresh(racer->replay, sequence) &&
            replay_record(racer->replay, sequence, &newest)) {
            atomic_fetch_add(&racer->accepted[sequence], 1);
        }
    }
    return NULL;
}

TEST(two_workers_never_accept_the_same_number_twice)
{
    struct replay replay;
    _Atomic uint64_t *words = calloc(replay_words(1024), sizeof(*words));
    _Atomic uint32_t *accepted = calloc(RACE_NUMBERS + 2, sizeof(*accepted));
    struct racer racer = {&replay, accepted};
    pthread_t threads[RACERS];
    uint64_t twice = 0;

    replay_init(&replay, words, 1024, 0);
    for (size_t i = 0; i < RACERS; i++) {
        CHECK_EQUAL(pthread_create(&threads[i], NULL, race, &racer), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        CHECK_EQUAL(pthread_join(threads[i], NULL), 0);
    }
    for (size_t n = 0; n <= RACE_NUMBERS; n++) {
        twice += accepted[n] > 1;
    }
    CHECK_EQUAL(twice, 0);
    free(accepted);
    free(words);
}
