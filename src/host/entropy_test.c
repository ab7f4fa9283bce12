/* No octets are given twice, of whatever length and to whichever thread, and all are filled. */
#include "host/entropy.h"

#include <pthread.h>
#include <stdlib.h>

#include "tests/support/test.h"

#define DRAWS 4000
#define THREADS 4

static uint64_t drawn[THREADS][DRAWS];

static void *draw_many(void *context)
{
    struct random_source source = entropy_source();
    uint64_t *out = context;

    for (size_t i = 0; i < DRAWS; i++) {
        uint8_t other[80];

        out[i] = random_u64(&source);
        random_fill(&source, other, i % (sizeof(other) + 1));
    }
    return NULL;
}

static int order(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

TEST(nothing_is_given_twice)
{
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, draw_many, drawn[i]) == 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    uint64_t *all = &drawn[0][0];

    qsort(all, (size_t)THREADS * DRAWS, sizeof(*all), order);
    for (size_t i = 1; i < (size_t)THREADS * DRAWS; i++) {
        CHECK(all[i] != all[i - 1]);
    }
}

/* An octet that is filled with chance is 0 thirty-two times in a row once in 2^256. */
TEST(every_octet_is_filled_and_none_behind)
{
    struct random_source source = entropy_source();

    for (size_t length = 0; length <= 200; length++) {
        uint8_t seen[201] = {0};

        for (size_t round = 0; round < 32; round++) {
            uint8_t out[201] = {0};

            random_fill(&source, out, length);
            for (size_t i = 0; i < sizeof(out); i++) {
                seen[i] |= out[i];
            }
        }
        for (size_t i = 0; i < sizeof(seen); i++) {
            CHECK((seen[i] != 0) == (i < length));
        }
    }
}
