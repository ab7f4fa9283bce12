/* The seeded source repeats itself, numbers are big-endian octets, and bounds are kept without
 * bias. */
#include "base/random.h"

#include <string.h>

#include "tests/support/test.h"

TEST(the_generator_is_xoshiro256_starstar)
{
    /* From the state 1, 2, 3, 4 the first outputs are 11520, 0, 1509978240, 1215971899390074240:
     * by hand, rotl(2*5, 7) * 9 = 11520, then s1 = 0 and so on. */
    struct seeded_random seeded = {{1, 2, 3, 4}};
    struct random_source source = seeded_random_source(&seeded);
    const uint64_t expected[4] = {11520, 0, 1509978240, 1215971899390074240};

    for (size_t i = 0; i < 4; i++) {
        uint8_t octets[8];
        random_fill(&source, octets, sizeof(octets));
        for (size_t j = 0; j < 8; j++) {
            CHECK(octets[j] == (uint8_t)(expected[i] >> (8 * j)));
        }
    }
}

TEST(the_seed_zero_is_spread_by_splitmix64)
{
    struct seeded_random seeded;

    seeded_random_init(&seeded, 0);
    CHECK(seeded.state[0] == 0xe220a8397b1dcdafULL);
    CHECK(seeded.state[1] == 0x6e789e6aa1b965f4ULL);
    CHECK(seeded.state[2] == 0x06c45d188009454fULL);
}

TEST(the_same_seed_gives_the_same_octets)
{
    struct seeded_random one;
    struct seeded_random two;
    uint8_t a[100];
    uint8_t b[100];

    seeded_random_init(&one, 7);
    seeded_random_init(&two, 7);
    struct random_source first = seeded_random_source(&one);
    struct random_source second = seeded_random_source(&two);

    for (size_t length = 0; length <= sizeof(a); length++) {
        random_fill(&first, a, length);
        random_fill(&second, b, length);
        CHECK(memcmp(a, b, length) == 0);
    }
    seeded_random_init(&two, 8);
    random_fill(&first, a, sizeof(a));
    random_fill(&second, b, sizeof(b));
    CHECK(memcmp(a, b, sizeof(a)) != 0);
}

/* Gives prepared octets, one number after the other. */
struct prepared {
    const uint8_t *octets;
    size_t used;
};

static void prepared_fill(void *context, uint8_t *out, size_t length)
{
    struct prepared *prepared = context;

    memcpy(out, prepared->octets + prepared->used, length);
    prepared->used += length;
}

TEST(numbers_are_the_octets_in_network_order)
{
    const uint8_t octets[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct prepared prepared = {octets, 0};
    struct random_source source = {prepared_fill, &prepared};

    CHECK(random_u32(&source) == 0x01020304U);
    CHECK(random_u64(&source) == 0x05060708090a0b0cULL);
}

TEST(the_values_that_would_bias_are_drawn_again)
{
    /* 2^32 mod 3 is 1, so only 0 is refused. */
    const uint8_t octets[8] = {0, 0, 0, 0, 0, 0, 0, 1};
    struct prepared prepared = {octets, 0};
    struct random_source source = {prepared_fill, &prepared};

    CHECK(random_below(&source, 3) == 1);
    CHECK(prepared.used == 8);
}

TEST(every_bound_is_kept_and_reached)
{
    struct seeded_random seeded;

    seeded_random_init(&seeded, 1);
    struct random_source source = seeded_random_source(&seeded);

    for (uint32_t bound = 1; bound <= 20; bound++) {
        uint32_t seen[20] = {0};
        for (size_t i = 0; i < 2000; i++) {
            uint32_t value = random_below(&source, bound);
            CHECK(value < bound);
            seen[value]++;
        }
        for (uint32_t value = 0; value < bound; value++) {
            CHECK(seen[value] > 1000 / bound);
            CHECK(seen[value] < 3000 / bound + 1);
        }
    }
    CHECK(random_below(&source, UINT32_MAX) < UINT32_MAX);
}
