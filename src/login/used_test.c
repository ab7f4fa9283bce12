/* Used one-time passwords: kept over a restart, never back, a torn line does no harm. */
#include "login/used.h"

#include <stdlib.h>

#include "tests/support/test.h"

static const uint8_t hash_key[16] = {3};

static struct user user_of(const char *name, const char *secret)
{
    struct user user = {.name = slice_of_text(name), .otp = {.kind = OTP_TOTP}};

    user.otp.secret_length = (uint8_t)strlen(secret);
    memcpy(user.otp.secret, secret, strlen(secret));
    return user;
}

TEST(what_was_used_is_known_after_a_restart)
{
    struct user alice = user_of("alice", "12345678901234567890");
    struct user bob = user_of("bob", "12345678901234567890");
    struct user renewed = user_of("alice", "12345678901234567891");
    struct used used;
    char words[512];
    struct text file = text_over(words, sizeof(words));

    used_init(&used, hash_key);
    CHECK_EQUAL(used_next(&used, &alice), 0);
    CHECK(used_set(&used, &alice, 7, &file));
    CHECK(used_set(&used, &alice, 9, &file));
    CHECK(used_set(&used, &bob, 3, &file));
    used_fini(&used);

    used_init(&used, hash_key);
    CHECK(used_read(&used, slice_of_text(words)));
    CHECK_EQUAL(used_next(&used, &alice), 9);
    CHECK_EQUAL(used_next(&used, &bob), 3);
    CHECK_EQUAL(used_next(&used, &renewed), 0);
    /* Never back. */
    CHECK(used_set(&used, &alice, 5, &file));
    CHECK_EQUAL(used_next(&used, &alice), 9);
    used_fini(&used);
}

TEST(a_file_cut_anywhere_has_what_its_whole_lines_say)
{
    struct user alice = user_of("alice", "12345678901234567890");
    struct used used;
    char words[512];
    struct text file = text_over(words, sizeof(words));

    used_init(&used, hash_key);
    CHECK(used_set(&used, &alice, 7, &file));
    size_t first = file.length;

    CHECK(used_set(&used, &alice, 10, &file));
    used_fini(&used);
    for (size_t length = 0; length <= file.length; length++) {
        used_init(&used, hash_key);
        CHECK(used_read(&used, (struct slice){(uint8_t *)words, length}));
        CHECK_EQUAL(used_next(&used, &alice), length < first ? 0 : length < file.length ? 7 : 10);
        used_fini(&used);
    }
}

TEST(lines_that_are_none_are_passed_over)
{
    struct used used;

    used_init(&used, hash_key);
    CHECK(used_read(&used, SLICE_TEXT("\n\nx\n0123456789abcdef0123456789abcdeg 1\n"
                                      "0123456789abcdef0123456789abcdef\n"
                                      "0123456789abcdef0123456789abcdef -1\n"
                                      "0123456789abcdef0123456789abcdef 9999999999999999999\n")));
    CHECK_EQUAL(used.table.count, 0);
    used_fini(&used);
}

TEST(a_file_that_grew_is_written_anew_with_what_counts)
{
    struct user alice = user_of("alice", "12345678901234567890");
    struct used used, again;
    char words[USED_LINE_BYTES];
    size_t length;

    used_init(&used, hash_key);
    for (uint64_t i = 1; i < 1100; i++) {
        struct text line = text_over(words, sizeof(words));

        CHECK(used_set(&used, &alice, i, &line));
        CHECK(!line.cut);
    }
    CHECK(used_is_long(&used));
    char *text = used_text(&used, &length);

    CHECK(!used_is_long(&used));
    CHECK(length < USED_LINE_BYTES);
    used_init(&again, hash_key);
    CHECK(used_read(&again, (struct slice){(uint8_t *)text, length}));
    CHECK_EQUAL(used_next(&again, &alice), 1099);
    used_fini(&again);
    used_fini(&used);
    free(text);
}
