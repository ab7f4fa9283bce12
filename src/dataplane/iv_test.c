/* The source of unpredictable IVs: the cipher of RFC 8439, and nothing given out twice. */
#include "dataplane/iv.h"

#include <stdlib.h>

#include "tests/support/test.h"

TEST(the_block_is_that_of_rfc_8439_2_3_2)
{
    static const uint8_t nonce[12] = {0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0};
    static const uint8_t expected[64] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3,
        0x20, 0x71, 0xc4, 0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22,
        0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e, 0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa,
        0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2, 0xb5, 0x12, 0x9c, 0xd1,
        0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
    uint8_t key[32];
    uint8_t out[64];

    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)i;
    }
    iv_chacha20_block(key, 1, nonce, out);
    CHECK_BYTES(out, expected, sizeof(expected));
}

static int order(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

TEST(no_iv_comes_twice_and_what_was_given_is_kept_nowhere)
{
    enum { COUNT = 20000 };
    struct seeded_random seeded;
    struct iv_source iv;
    uint8_t(*all)[16] = calloc(COUNT, 16);

    seeded_random_init(&seeded, 1);
    struct random_source random = seeded_random_source(&seeded);
    iv_init(&iv, &random);
    for (size_t i = 0; i < COUNT; i++) {
        iv_take(&iv, all[i], 16);
        const uint8_t *end = iv.store + sizeof(iv.store);
        for (const uint8_t *at = iv.store; i % 100 == 0 && at + 16 <= end; at++) {
            CHECK(memcmp(at, all[i], 16) != 0);
        }
    }
    qsort(all, COUNT, 16, order);
    for (size_t i = 1; i < COUNT; i++) {
        CHECK(memcmp(all[i - 1], all[i], 16) != 0);
    }
    free(all);
    iv_fini(&iv);
}

TEST(two_workers_of_one_source_have_different_ivs)
{
    struct seeded_random seeded;
    struct iv_source a;
    struct iv_source b;
    uint8_t from_a[16];
    uint8_t from_b[16];

    seeded_random_init(&seeded, 1);
    struct random_source random = seeded_random_source(&seeded);
    iv_init(&a, &random);
    iv_init(&b, &random);
    iv_take(&a, from_a, 16);
    iv_take(&b, from_b, 16);
    CHECK(memcmp(from_a, from_b, 16) != 0);
}
