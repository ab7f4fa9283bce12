/* The table against an array that is searched from end to end, and SipHash against the vectors of
 * its authors. */
#include "base/table.h"

#include "base/random.h"
#include "tests/support/test.h"

/* Appendix A of the SipHash paper gives length 15; the others are the first lines of the authors'
 * vectors.h. */
TEST(siphash_gives_the_published_values)
{
    static const uint64_t expected[] = {
        0x726fdb47dd0e0e31U,
        0x74f839c593dc67fdU,
        0x0d6c8009d9a94f5aU,
        0x85676696d7fb7e2dU,
    };
    uint8_t key[16];
    uint8_t bytes[16];

    for (uint8_t i = 0; i < 16; i++) {
        key[i] = i;
        bytes[i] = i;
    }
    for (size_t length = 0; length < ARRAY_LENGTH(expected); length++) {
        CHECK(siphash24(key, (struct slice){bytes, length}) == expected[length]);
    }
    CHECK(siphash24(key, (struct slice){bytes, 15}) == 0xa129ca6149be45e5U);
}

static const uint8_t hash_key[16] = {1, 2, 3};

TEST(a_key_is_there_once_and_the_limit_holds)
{
    struct table t;
    int one = 1;
    int two = 2;

    table_init(&t, hash_key, 2);
    CHECK(table_find(&t, SLICE_TEXT("a")) == NULL);
    CHECK(table_remove(&t, SLICE_TEXT("a")) == NULL);
    CHECK(table_add(&t, SLICE_TEXT("a"), &one));
    CHECK(!table_add(&t, SLICE_TEXT("a"), &two));
    CHECK(table_find(&t, SLICE_TEXT("a")) == &one);
    CHECK(table_add(&t, SLICE_TEXT(""), &two));
    CHECK(table_find(&t, (struct slice){NULL, 0}) == &two);
    CHECK(!table_add(&t, SLICE_TEXT("b"), &two));
    CHECK(table_remove(&t, SLICE_TEXT("a")) == &one);
    CHECK(table_add(&t, SLICE_TEXT("b"), &two));
    CHECK_EQUAL(t.count, 2);
    table_fini(&t);
    table_fini(&t);
}

#define KEYS 1000

struct seen {
    struct table *table;
    const uint8_t *values;
    size_t count;
    bool removing;
};

static void see(void *context, struct slice key, void *value)
{
    struct seen *seen = context;

    CHECK_EQUAL(key.length, 2);
    CHECK((const uint8_t *)value == seen->values + get_u16(key.data));
    seen->count++;
    if (seen->removing) {
        CHECK(table_remove(seen->table, key) == value);
    }
}

TEST(the_table_agrees_with_an_obvious_one)
{
    static uint8_t values[KEYS];
    static bool there[KEYS];
    struct seeded_random seeded;
    struct table t;
    size_t count = 0;

    seeded_random_init(&seeded, 3);
    struct random_source random = seeded_random_source(&seeded);

    memset(there, 0, sizeof(there));
    table_init(&t, hash_key, 0);
    for (size_t i = 0; i < 50000; i++) {
        uint16_t which = (uint16_t)random_below(&random, KEYS);
        uint8_t bytes[2];
        struct slice key = {bytes, 2};

        put_u16(bytes, which);
        switch (random_below(&random, 3)) {
        case 0:
            CHECK(table_add(&t, key, &values[which]) == !there[which]);
            count += !there[which];
            there[which] = true;
            break;
        case 1:
            CHECK(table_remove(&t, key) == (there[which] ? &values[which] : NULL));
            count -= there[which];
            there[which] = false;
            break;
        default:
            CHECK(table_find(&t, key) == (there[which] ? &values[which] : NULL));
            break;
        }
        CHECK_EQUAL(t.count, count);
    }
    struct seen seen = {.table = &t, .values = values};

    table_each(&t, see, &seen);
    CHECK_EQUAL(seen.count, count);
    seen.removing = true;
    table_each(&t, see, &seen);
    CHECK_EQUAL(seen.count, 2 * count);
    CHECK_EQUAL(t.count, 0);
    table_fini(&t);
}
