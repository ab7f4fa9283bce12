/* A pool gives each object once, zeroed, and says so when it is full. */
#include "base/pool.h"

#include "tests/support/test.h"

TEST(a_full_pool_says_so_and_a_given_object_comes_again_zeroed)
{
    struct pool p;
    uint8_t *objects[5];

    CHECK(pool_init(&p, 40, 5));
    for (size_t i = 0; i < 5; i++) {
        objects[i] = pool_take(&p);
        CHECK(objects[i] != NULL);
        CHECK((uintptr_t)objects[i] % 64 == 0);
        for (size_t j = 0; j < i; j++) {
            CHECK(objects[i] != objects[j]);
        }
        memset(objects[i], 0xaa, 40);
    }
    CHECK(pool_take(&p) == NULL);
    CHECK_EQUAL(p.in_use, 5);
    pool_give(&p, objects[2]);
    uint8_t *again = pool_take(&p);

    CHECK(again == objects[2]);
    for (size_t i = 0; i < 40; i++) {
        CHECK_EQUAL(again[i], 0);
    }
    pool_give(&p, NULL);
    CHECK_EQUAL(p.in_use, 5);
    pool_fini(&p);
    pool_fini(&p);
}

TEST(sizes_that_cannot_be_had_are_refused)
{
    struct pool p;

    CHECK(!pool_init(&p, 0, 1));
    CHECK(!pool_init(&p, 1, 0));
    CHECK(!pool_init(&p, SIZE_MAX, 2));
    CHECK(!pool_init(&p, 1024, SIZE_MAX / 2));
    pool_fini(&p);
}
