/* The catalogue is complete, its codes are unique, and its sentences can be filled. */
#include "reasons/reason.h"

#include <stdlib.h>

#include "tests/support/test.h"

TEST(every_reason_has_a_code_of_its_own_and_words)
{
    for (size_t i = 0; i < REASON_COUNT; i++) {
        const struct reason_entry *entry = reason_get((enum reason)i);

        CHECK_EQUAL(entry->reason, i);
        CHECK_EQUAL(strlen(entry->code), 8);
        CHECK(strncmp(entry->code, "SEK-", 4) == 0);
        CHECK(strlen(entry->sentence) > 5);
        CHECK(strlen(entry->explanation) > 10);
        CHECK(reason_find(slice_of_text(entry->code)) == entry);
        for (size_t j = 0; j < i; j++) {
            CHECK(strcmp(entry->code, reason_get((enum reason)j)->code) != 0);
        }
        if (entry->trouble) {
            CHECK(entry->causes[0] != NULL);
            CHECK(entry->steps[0] != NULL);
        }
    }
}

TEST(the_letter_of_a_code_is_that_of_its_group)
{
    static const char letters[REASON_GROUP_COUNT + 1] = "ROANDLH";

    for (size_t i = 0; i < REASON_COUNT; i++) {
        const struct reason_entry *entry = reason_get((enum reason)i);

        CHECK_EQUAL(entry->code[4], letters[entry->group]);
    }
}

TEST(a_wrong_key_keeps_the_code_that_people_know)
{
    CHECK_TEXT(reason_code(REASON_AUTH_REFUSED), "SEK-A012");
    CHECK(reason_find(SLICE_TEXT("sek-a012")) == reason_get(REASON_AUTH_REFUSED));
    CHECK(reason_find(SLICE_TEXT("SEK-A01")) == NULL);
    CHECK(reason_find(SLICE_TEXT("SEK-A0123")) == NULL);
    CHECK(reason_find((struct slice){NULL, 0}) == NULL);
}

TEST(words_are_filled_in_and_unknown_ones_are_said_otherwise)
{
    char buffer[200];
    struct text out = text_over(buffer, sizeof(buffer));
    struct reason_words words = {.peer = "203.0.113.9", .theirs = "kyoto"};

    reason_fill("at {peer|some address}: {theirs} {ours|nothing}{detail|}{site}.", &words, &out);
    CHECK_TEXT(buffer, "at 203.0.113.9: kyoto nothing.");
}

TEST(a_line_about_a_word_that_is_not_known_can_be_left_out)
{
    char buffer[100];
    struct text out = text_over(buffer, sizeof(buffer));
    struct reason_words none = {0};
    struct reason_words some = {.theirs = "kyoto"};

    CHECK(reason_line_applies("plain {theirs|x}", &none));
    CHECK(!reason_line_applies("{?theirs}asked for {theirs|x}", &none));
    CHECK(!reason_line_applies("{?ours}we say {ours|x}", &some));
    CHECK(reason_line_applies("{?theirs}asked for {theirs|x}", &some));
    reason_fill("{?theirs}asked for {theirs|x}", &some, &out);
    CHECK_TEXT(buffer, "asked for kyoto");
}

static void fills_without_braces(const char *pattern, const struct reason_words *words)
{
    char buffer[2000];
    struct text out = text_over(buffer, sizeof(buffer));

    reason_fill(pattern, words, &out);
    CHECK(!out.cut);
    CHECK(strpbrk(buffer, "{}|") == NULL);
}

TEST(all_patterns_can_be_filled_with_all_words_and_with_none)
{
    struct reason_words none = {0};
    struct reason_words all = {"site", "peer", "ours", "theirs", "detail", "key"};

    for (size_t i = 0; i < REASON_COUNT; i++) {
        const struct reason_entry *entry = reason_get((enum reason)i);

        fills_without_braces(entry->sentence, &none);
        fills_without_braces(entry->sentence, &all);
        fills_without_braces(entry->explanation, &none);
        fills_without_braces(entry->explanation, &all);
        for (size_t j = 0; j < REASON_LINES_MAX; j++) {
            if (entry->causes[j] != NULL) {
                fills_without_braces(entry->causes[j], &none);
            }
            if (entry->steps[j] != NULL) {
                fills_without_braces(entry->steps[j], &all);
            }
        }
    }
}

TEST(the_manual_names_every_code)
{
    enum { BYTES = 65536 };
    char *buffer = malloc(BYTES);
    struct text out = text_over(buffer, BYTES);

    reason_manual(&out);
    CHECK(!out.cut);
    for (size_t i = 1; i < REASON_COUNT; i++) {
        CHECK(strstr(buffer, reason_code((enum reason)i)) != NULL);
    }
    free(buffer);
}

TEST(names_of_groups_and_checks_are_words)
{
    CHECK_TEXT(reason_group_name(REASON_GROUP_LOCAL), "local");
    CHECK_TEXT(reason_check_name(REASON_CHECK_NAME), "name");
    CHECK_TEXT(reason_check_name(REASON_CHECK_DATA), "data");
}
