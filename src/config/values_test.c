/* The types of words by themselves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/lexer.h"
#include "config/testbed.h"
#include "tests/support/test.h"

TEST(times_and_sizes_are_written_as_they_are_read)
{
    static const char *const times[] = {"1ms", "30s", "90s", "5m",    "4h",
                                        "36h", "2d",  "1w",  "1500ms"};
    static const char *const sizes[] = {"1B", "1500B", "1KiB", "100GiB", "3TiB"};
    struct complaint c;
    uint64_t value;
    char text[VALUE_TEXT_BYTES];

    for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
        CHECK(value_duration(slice_of_text(times[i]), 1, UINT64_MAX, &value, &c));
        CHECK_TEXT(value_duration_text(value, text), times[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        CHECK(value_size(slice_of_text(sizes[i]), 1, UINT64_MAX, &value, &c));
        CHECK_TEXT(value_size_text(value, text), sizes[i]);
    }
    CHECK(value_size(SLICE_TEXT("2GB"), 1, UINT64_MAX, &value, &c));
    CHECK(value == 2000000000);
    CHECK(value_duration(SLICE_TEXT("1w"), 1, UINT64_MAX, &value, &c));
    CHECK(value == UINT64_C(604800000));
}

TEST(numbers_that_do_not_fit_are_refused)
{
    static const char *const bad[] = {"18446744073709551616",
                                      "99999999999999999999999",
                                      "-1",
                                      "+1",
                                      "1e3",
                                      "",
                                      " 1",
                                      "1 ",
                                      "0x10",
                                      "010",
                                      "1.5"};
    struct complaint c;
    uint64_t value;

    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        CHECK(!value_number(slice_of_text(bad[i]), 0, UINT64_MAX, &value, &c));
    }
    CHECK(value_number(SLICE_TEXT("18446744073709551615"), 0, UINT64_MAX, &value, &c));
    CHECK(value == UINT64_MAX);
    CHECK(!value_duration(SLICE_TEXT("99999999999999999w"), 0, UINT64_MAX, &value, &c));
}

TEST(every_network_with_host_bits_is_told_the_network_without_them)
{
    struct network n;
    struct complaint c;

    for (unsigned bits = 0; bits <= 32; bits++) {
        char text[32];
        snprintf(text, sizeof(text), "255.255.255.255/%u", bits);
        bool good = value_network(slice_of_text(text), &n, &c);
        CHECK(good == (bits == 32));
        if (!good) {
            uint32_t mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
            char expected[64];
            snprintf(expected, sizeof(expected), "did you mean %u.%u.%u.%u/%u ?", mask >> 24,
                     mask >> 16 & 255, mask >> 8 & 255, mask & 255, bits);
            CHECK_TEXT(c.advice, expected);
        }
    }
}

TEST(utf8_is_read_as_the_rfc_says)
{
    static const struct {
        const char *text;
        size_t length;
        uint32_t character;
    } cases[] = {
        {"A", 1, 'A'},
        {"\xc3\xa9", 2, 0xe9},
        {"\xe9\x96\xa2", 3, 0x95a2},
        {"\xf0\x9f\x98\x80", 4, 0x1f600},
        {"\xc0\x80", 0, 0},
        {"\xe0\x80\x80", 0, 0},
        {"\xed\xa0\x80", 0, 0},
        {"\xf4\x90\x80\x80", 0, 0},
        {"\x80", 0, 0},
        {"\xc3", 0, 0},
        {"\xff", 0, 0},
        {"\xe9\x96", 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint32_t character;
        CHECK_EQUAL(utf8_read(slice_of_text(cases[i].text), &character), cases[i].length);
        if (cases[i].length > 0) {
            CHECK_EQUAL(character, cases[i].character);
        }
    }
}

TEST(a_zero_byte_is_told_and_ends_nothing)
{
    static const uint8_t text[] = "gateway g\0h.example\nlan 10.1.0.0/16\n";
    struct testbed *t = malloc(sizeof(*t));

    testbed_init(t);
    struct config_result *r = testbed_read_slice(t, (struct slice){text, sizeof(text) - 1});
    CHECK_TEXT(r->diagnostics[r->diagnostic_count - 1].message, "a zero byte stands here");
    CHECK_EQUAL(r->diagnostics[r->diagnostic_count - 1].place.column, 10);
    config_result_free(r);
    free(t);
}

TEST(words_of_more_than_1024_bytes_are_refused)
{
    char text[2000] = GATEWAY "say ";
    memset(text + strlen(text), 'x', 1025);
    char *words = testbed_words(text);
    CHECK(strstr(words, "c.conf:3:5: error: this word is longer than 1024 bytes") != NULL);
    CHECK(strlen(words) < 700);
    free(words);
}
