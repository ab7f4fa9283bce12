/* Secrets: what is set can be read, what is moved or wiped is gone, comparison looks at every
 * octet. */
#include "base/secret.h"

#include <string.h>

#include "tests/support/test.h"

TEST(a_zeroed_secret_is_empty_and_equal_to_another)
{
    struct secret a = {0};
    struct secret b = {0};

    CHECK(secret_equal(&a, &b));
    CHECK(secret_slice(&a).length == 0);
    secret_wipe(&a);
    secret_wipe(&a);
}

TEST(set_copies_and_replaces)
{
    struct secret s = {0};
    char text[] = "swordfish";

    CHECK(secret_set(&s, slice_of_text(text)));
    text[0] = 'x';
    CHECK(slice_equal_text(secret_slice(&s), "swordfish"));
    CHECK(secret_set(&s, SLICE_TEXT("pass")));
    CHECK(slice_equal_text(secret_slice(&s), "pass"));
    /* A part of itself. */
    CHECK(secret_set(&s, (struct slice){s.bytes + 1, 2}));
    CHECK(slice_equal_text(secret_slice(&s), "as"));
    secret_wipe(&s);
    CHECK(s.bytes == NULL);
    CHECK(s.length == 0);
}

TEST(a_secret_has_a_largest_size)
{
    struct secret s = {0};

    CHECK(secret_reserve(&s, SECRET_BYTES_MAX));
    CHECK(s.length == SECRET_BYTES_MAX);
    for (size_t i = 0; i < s.length; i++) {
        CHECK(s.bytes[i] == 0);
    }
    CHECK(!secret_reserve(&s, SECRET_BYTES_MAX + 1));
    CHECK(s.length == SECRET_BYTES_MAX);
    secret_wipe(&s);
}

TEST(copy_is_independent_and_move_empties)
{
    struct secret a = {0};
    struct secret b = {0};
    struct secret c = {0};

    CHECK(secret_set(&a, SLICE_TEXT("key")));
    CHECK(secret_copy(&b, &a));
    CHECK(secret_equal(&a, &b));
    b.bytes[0] ^= 1;
    CHECK(!secret_equal(&a, &b));
    CHECK(secret_set(&c, SLICE_TEXT("old")));
    secret_move(&c, &a);
    CHECK(a.bytes == NULL);
    CHECK(a.length == 0);
    CHECK(slice_equal_text(secret_slice(&c), "key"));
    secret_wipe(&a);
    secret_wipe(&b);
    secret_wipe(&c);
}

TEST(comparison_sees_every_single_bit)
{
    uint8_t a[33];
    uint8_t b[33];

    memset(a, 0x5a, sizeof(a));
    memcpy(b, a, sizeof(a));
    CHECK(equal_in_constant_time(a, b, sizeof(a)));
    for (size_t bit = 0; bit < 8 * sizeof(a); bit++) {
        b[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        CHECK(!equal_in_constant_time(a, b, sizeof(a)));
        b[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    CHECK(equal_in_constant_time(a, b, 0));
}

TEST(secrets_of_different_length_differ)
{
    struct secret a = {0};
    struct secret b = {0};

    CHECK(secret_set(&a, SLICE_TEXT("abc")));
    CHECK(secret_set(&b, SLICE_TEXT("abcd")));
    CHECK(!secret_equal(&a, &b));
    CHECK(!secret_equal(&b, &a));
    secret_wipe(&a);
    secret_wipe(&b);
}

TEST(wipe_leaves_zeros)
{
    uint8_t bytes[5] = {1, 2, 3, 4, 5};

    wipe(bytes, 4);
    CHECK(bytes[0] == 0 && bytes[1] == 0 && bytes[2] == 0 && bytes[3] == 0);
    CHECK(bytes[4] == 5);
    wipe(NULL, 0);
}
