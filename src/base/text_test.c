/*
 * Text that fits, text that does not, escaping, distances, hex and base64 (RFC 4648 section 10).
 */
#include "base/text.h"

#include <stdio.h>

#include "tests/support/test.h"

TEST(text_grows_by_pieces_and_is_always_terminated)
{
    char room[32];
    struct text t = text_over(room, sizeof(room));

    CHECK_TEXT(room, "");
    text_add(&t, "site ");
    text_addf(&t, "%s: %d", "lab", 7);
    CHECK_TEXT(room, "site lab: 7");
    CHECK(t.length == 11);
    CHECK(!t.cut);
}

TEST(text_that_does_not_fit_is_cut_and_stays_a_beginning)
{
    static const char whole[] = "abcdefgh";

    for (size_t capacity = 1; capacity <= sizeof(whole) + 1; capacity++) {
        char formatted[16];
        char added[16];
        struct text f = text_over(formatted, capacity);
        struct text a = text_over(added, capacity);

        text_addf(&f, "%s", "abcd");
        text_addf(&f, "%s", "efgh");
        text_add(&a, "abcd");
        text_add(&a, "efgh");
        CHECK(f.cut == (capacity < sizeof(whole)));
        CHECK(a.cut == f.cut);
        CHECK_TEXT(added, formatted);
        CHECK(strncmp(added, whole, capacity - 1) == 0);
        CHECK(strlen(added) == a.length);
    }
}

TEST(nothing_is_added_behind_a_cut)
{
    char room[6];
    struct text t = text_over(room, sizeof(room));

    text_add(&t, "abc");
    text_add_escaped(&t, SLICE_TEXT("\n"));
    text_add(&t, "z");
    CHECK(t.cut);
    CHECK(strchr(room, 'z') == NULL);
}

TEST(only_printable_ascii_is_shown_as_it_is)
{
    for (unsigned c = 0; c < 256; c++) {
        char room[8];
        char expected[8];
        uint8_t byte = (uint8_t)c;
        struct text t = text_over(room, sizeof(room));

        if (c >= ' ' && c <= '~' && c != '\\') {
            expected[0] = (char)c;
            expected[1] = '\0';
        } else {
            snprintf(expected, sizeof(expected), "\\x%02x", c);
        }
        text_add_escaped(&t, (struct slice){&byte, 1});
        CHECK_TEXT(room, expected);
    }
}

TEST(hex_is_shown_and_read)
{
    char room[16];
    uint8_t bytes[4];
    size_t length = 99;
    struct text t = text_over(room, sizeof(room));

    CHECK(hex_parse(SLICE_TEXT("00aBff7"), bytes, sizeof(bytes), &length) == false);
    CHECK(hex_parse(SLICE_TEXT("00aBfg"), bytes, sizeof(bytes), &length) == false);
    CHECK(hex_parse(SLICE_TEXT("0011223344"), bytes, sizeof(bytes), &length) == false);
    CHECK(length == 99);
    CHECK(hex_parse(SLICE_TEXT(""), bytes, sizeof(bytes), &length));
    CHECK(length == 0);
    CHECK(hex_parse(SLICE_TEXT("00aBff7E"), bytes, sizeof(bytes), &length));
    CHECK(length == 4);
    text_add_hex(&t, (struct slice){bytes, length});
    CHECK_TEXT(room, "00abff7e");
}

TEST(base64_is_read_as_rfc_4648_says)
{
    static const struct {
        const char *text;
        const char *value;
    } cases[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t out[8];
        size_t length = 99;

        CHECK(base64_parse(slice_of_text(cases[i].text), out, sizeof(out), &length));
        CHECK(slice_equal_text((struct slice){out, length}, cases[i].value));
    }
    uint8_t high[3];
    size_t length = 0;

    CHECK(base64_parse(SLICE_TEXT("+/+/"), high, sizeof(high), &length));
    CHECK_BYTES(high, "\xfb\xff\xbf", 3);
}

TEST(base64_that_is_not_canonical_is_refused)
{
    static const char *const wrong[] = {"Z",    "Zg",       "Zg=",  "Zg=\n", "Zm9v=",
                                        "=",    "====",     "Zh==", "Zm9=",  "Zm9-",
                                        "Z=9v", "Zg==Zg==", " Zm9", "Z==="};
    uint8_t out[16];
    size_t length = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        CHECK(!base64_parse(slice_of_text(wrong[i]), out, sizeof(out), &length));
    }
    CHECK(!base64_parse(SLICE_TEXT("Zm9v"), out, 2, &length));
    CHECK(base64_parse(SLICE_TEXT("Zm8="), out, 2, &length));
}

TEST(a_copy_is_whole_or_refused)
{
    char out[4] = "xyz";

    CHECK(!text_copy(out, sizeof(out), SLICE_TEXT("abcd")));
    CHECK_TEXT(out, "xyz");
    CHECK(!text_copy(out, sizeof(out), SLICE_TEXT("a\0b")));
    CHECK(text_copy(out, sizeof(out), SLICE_TEXT("abc")));
    CHECK_TEXT(out, "abc");
    CHECK(text_copy(out, sizeof(out), (struct slice){NULL, 0}));
    CHECK_TEXT(out, "");
}

TEST(the_distance_counts_edits_up_to_the_limit)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},
        {"", "abc", 3},
        {"kitten", "sitting", 3},
        {"remote", "remot", 1},
        {"lcoal", "local", 2},
        {"saturday", "sunday", 3},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct slice a = slice_of_text(cases[i].a);
        struct slice b = slice_of_text(cases[i].b);

        CHECK(text_distance(a, b, 10) == cases[i].distance);
        CHECK(text_distance(b, a, 10) == cases[i].distance);
    }
    CHECK(text_distance(SLICE_TEXT("kitten"), SLICE_TEXT("sitting"), 2) == 3);
    CHECK(text_distance(SLICE_TEXT("kitten"), SLICE_TEXT("sitting"), 1) == 2);

    char enormous[200];

    memset(enormous, 'a', sizeof(enormous));
    CHECK(text_distance(SLICE_OF(enormous), SLICE_TEXT("a"), 5) == 6);
}

/* RFC 4648 10. */
TEST(base64_is_written_as_in_the_rfc_and_read_again)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char words[16];
        uint8_t bytes[16];
        size_t length;
        struct text t = text_over(words, sizeof(words));

        text_add_base64(&t, slice_of_text(cases[i][0]));
        CHECK_TEXT(words, cases[i][1]);
        CHECK(base64_parse(slice_of_text(words), bytes, sizeof(bytes), &length));
        CHECK(slice_equal_text((struct slice){bytes, length}, cases[i][0]));
    }
}
