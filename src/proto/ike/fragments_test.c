/* RFC 7383 2.5, 2.6: cutting and putting together in any order, and every bound. */
#include "proto/ike/fragments.h"

#include "base/random.h"
#include "tests/support/test.h"

TEST(a_message_leaves_room_for_the_heads_before_it)
{
    CHECK_EQUAL(fragments_message_bytes(1280, FAMILY_IPV4, false), 1252);
    CHECK_EQUAL(fragments_message_bytes(1280, FAMILY_IPV4, true), 1248);
    CHECK_EQUAL(fragments_message_bytes(1280, FAMILY_IPV6, true), 1228);
    CHECK_EQUAL(fragments_message_bytes(48, FAMILY_IPV6, false), 0);
    CHECK_EQUAL(fragments_message_bytes(20, FAMILY_IPV6, false), 0);
}

TEST(the_number_of_fragments_is_rounded_up_and_bounded)
{
    CHECK_EQUAL(fragments_count(1000, 500), 2);
    CHECK_EQUAL(fragments_count(1001, 500), 3);
    CHECK_EQUAL(fragments_count(1, 500), 1);
    CHECK_EQUAL(fragments_count(0, 500), 1);
    CHECK_EQUAL(fragments_count(1000, 0), 0);
    CHECK_EQUAL(fragments_count(6400, 100), 64);
    CHECK_EQUAL(fragments_count(6401, 100), 0);
    CHECK_EQUAL(fragments_count(65537, 60000), 0);
}

static struct slice pattern(size_t length)
{
    static uint8_t bytes[FRAGMENTS_BYTES_MAX];

    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    }
    return (struct slice){bytes, length};
}

TEST(what_was_cut_is_whole_again_in_any_order)
{
    struct seeded_random seeded;
    struct slice chain = pattern(5000);

    seeded_random_init(&seeded, 7);
    struct random_source random = seeded_random_source(&seeded);

    for (size_t content = 79; content < 6000; content += 331) {
        size_t count = fragments_count(chain.length, content);
        uint16_t order[FRAGMENTS_MAX];
        struct fragments f = {0};
        uint8_t first = 0;

        for (size_t i = 0; i < count; i++) {
            size_t j = random_below(&random, (uint32_t)i + 1);

            order[i] = order[j];
            order[j] = (uint16_t)(i + 1);
        }
        for (size_t i = 0; i < count; i++) {
            uint16_t number = order[i];

            CHECK(fragments_wants(&f, 3, number, (uint16_t)count));
            CHECK_EQUAL(fragments_add(&f, 3, number, (uint16_t)count, number == 1 ? 35 : 0,
                                      fragments_content(chain, content, number), 0),
                        i + 1 < count ? FRAGMENTS_KEPT : FRAGMENTS_COMPLETE);
            CHECK(!fragments_wants(&f, 3, number, (uint16_t)count));
        }
        struct slice whole = fragments_take(&f, &first);

        CHECK_EQUAL(first, 35);
        CHECK(slice_equal(whole, chain));
        fragments_reset(&f);
    }
}

TEST(heads_that_make_no_sense_are_refused)
{
    struct fragments f = {0};

    CHECK(!fragments_wants(&f, 1, 0, 2));
    CHECK(!fragments_wants(&f, 1, 3, 2));
    CHECK(!fragments_wants(&f, 1, 0, 0));
    CHECK(!fragments_wants(&f, 1, 1, FRAGMENTS_MAX + 1));
    CHECK_EQUAL(fragments_add(&f, 1, 1, FRAGMENTS_MAX + 1, 35, pattern(8), 0), FRAGMENTS_REFUSED);
    CHECK(f.store == NULL);
}

TEST(a_repeated_fragment_changes_nothing)
{
    struct fragments f = {0};
    uint8_t first;

    CHECK_EQUAL(fragments_add(&f, 1, 2, 2, 0, SLICE_TEXT("b"), 0), FRAGMENTS_KEPT);
    CHECK_EQUAL(fragments_add(&f, 1, 2, 2, 0, SLICE_TEXT("x"), 0), FRAGMENTS_REFUSED);
    CHECK_EQUAL(fragments_add(&f, 1, 1, 2, 33, SLICE_TEXT("a"), 0), FRAGMENTS_COMPLETE);
    CHECK(slice_equal_text(fragments_take(&f, &first), "ab"));
    CHECK_EQUAL(fragments_add(&f, 1, 1, 2, 33, SLICE_TEXT("y"), 0), FRAGMENTS_REFUSED);
    fragments_reset(&f);
}

TEST(a_larger_total_begins_anew_and_a_smaller_one_is_refused)
{
    struct fragments f = {0};
    uint8_t first;

    CHECK_EQUAL(fragments_add(&f, 1, 1, 2, 33, SLICE_TEXT("old"), 0), FRAGMENTS_KEPT);
    CHECK_EQUAL(fragments_add(&f, 1, 1, 3, 33, SLICE_TEXT("a"), 0), FRAGMENTS_KEPT);
    CHECK(!fragments_wants(&f, 1, 2, 2));
    CHECK_EQUAL(fragments_add(&f, 1, 2, 2, 0, SLICE_TEXT("old"), 0), FRAGMENTS_REFUSED);
    CHECK_EQUAL(fragments_add(&f, 1, 3, 3, 0, SLICE_TEXT("c"), 0), FRAGMENTS_KEPT);
    CHECK_EQUAL(fragments_add(&f, 1, 2, 3, 0, SLICE_TEXT("b"), 0), FRAGMENTS_COMPLETE);
    CHECK(slice_equal_text(fragments_take(&f, &first), "abc"));
    fragments_reset(&f);
}

TEST(another_message_begins_anew)
{
    struct fragments f = {0};
    uint8_t first;

    CHECK_EQUAL(fragments_add(&f, 1, 1, 2, 33, SLICE_TEXT("old"), 0), FRAGMENTS_KEPT);
    CHECK_EQUAL(fragments_add(&f, 2, 2, 2, 0, SLICE_TEXT("b"), 0), FRAGMENTS_KEPT);
    CHECK_EQUAL(fragments_add(&f, 2, 1, 2, 41, SLICE_TEXT("a"), 0), FRAGMENTS_COMPLETE);
    CHECK(slice_equal_text(fragments_take(&f, &first), "ab"));
    CHECK_EQUAL(first, 41);
    fragments_reset(&f);
}

TEST(more_than_64_kib_is_thrown_away_whole)
{
    struct fragments_budget budget = {.limit_bytes = FRAGMENTS_BUDGET_BYTES};
    struct fragments f;

    fragments_init(&f, &budget);
    CHECK_EQUAL(fragments_add(&f, 1, 1, 3, 33, pattern(40000), 0), FRAGMENTS_KEPT);
    CHECK(budget.bytes >= 40000);
    CHECK_EQUAL(fragments_add(&f, 1, 2, 3, 0, pattern(30000), 0), FRAGMENTS_REFUSED);
    CHECK(f.store == NULL);
    CHECK_EQUAL(budget.bytes, 0);
    CHECK_EQUAL(fragments_add(&f, 1, 1, 1, 33, pattern(FRAGMENTS_BYTES_MAX), 0),
                FRAGMENTS_COMPLETE);
    fragments_reset(&f);
}

TEST(the_budget_of_all_sas_is_kept)
{
    struct fragments_budget budget = {.limit_bytes = 100000};
    struct fragments many[40];
    size_t kept = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(many); i++) {
        fragments_init(&many[i], &budget);
        kept += fragments_add(&many[i], 1, 1, 2, 33, pattern(9000), 0) == FRAGMENTS_KEPT;
        CHECK(budget.bytes <= budget.limit_bytes);
    }
    CHECK(kept >= 5);
    CHECK(kept <= 11);
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++) {
        fragments_reset(&many[i]);
        fragments_reset(&many[i]);
    }
    CHECK_EQUAL(budget.bytes, 0);
}

TEST(what_never_becomes_whole_is_gone_after_ten_seconds)
{
    struct fragments f = {0};

    CHECK(fragments_deadline_ms(&f) == NEVER_MS);
    CHECK_EQUAL(fragments_add(&f, 1, 1, 2, 33, pattern(10), 5000), FRAGMENTS_KEPT);
    CHECK_EQUAL(fragments_deadline_ms(&f), 15000);
    fragments_time(&f, 14999);
    CHECK(f.store != NULL);
    fragments_time(&f, 15000);
    CHECK(f.store == NULL);
}

TEST(empty_contents_are_allowed)
{
    struct fragments f = {0};
    uint8_t first;

    CHECK_EQUAL(fragments_add(&f, 1, 1, 2, 0, (struct slice){0}, 0), FRAGMENTS_KEPT);
    CHECK_EQUAL(fragments_add(&f, 1, 2, 2, 0, (struct slice){0}, 0), FRAGMENTS_COMPLETE);
    CHECK_EQUAL(fragments_take(&f, &first).length, 0);
    fragments_reset(&f);
}
