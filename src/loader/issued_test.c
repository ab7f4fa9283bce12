/* The record of what was issued: lines, and what is due. */
#include "loader/issued.h"

#include "tests/support/test.h"

#define DAY_S INT64_C(86400)

TEST(a_line_is_read_as_it_was_written)
{
    struct issued record = {.serial = "0a1b", .begins_s = 5, .ends_s = 7, .revoked_s = 6}, again;
    char line[ISSUED_LINE_BYTES];
    struct text text = text_over(line, sizeof(line));

    CHECK(text_copy(record.names, sizeof(record.names), slice_of_text("a.example,192.0.2.1")));
    issued_write(&record, &text);
    CHECK_TEXT(line, "0a1b 5 7 6 a.example,192.0.2.1\n");
    line[text.length - 1] = '\0';
    CHECK(issued_read(line, &again));
    CHECK_BYTES(&again, &record, sizeof(record));
    CHECK(issued_is_for(&again, "a.example", 9));
    CHECK(!issued_is_for(&again, "a.exampl", 8));
    CHECK(!issued_is_for(&again, "a.example,", 10));
}

TEST(what_is_no_line_of_the_record_is_refused)
{
    static const char *const wrong[] = {"",
                                        "0a",
                                        "0a ",
                                        "0A 1 2 0 a",
                                        "0a 1 2 0",
                                        "0a 1 2 0 ",
                                        "0a x 2 0 a",
                                        "0a 1  0 a",
                                        "0a 99999999999999999999 2 0 a",
                                        " 1 2 0 a",
                                        "00000000000000000000000000000000000000000 1 2 0 a"};
    struct issued record;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        CHECK(!issued_read(wrong[i], &record));
    }
}

TEST(a_certificate_is_due_before_anybody_is_warned)
{
    static const struct {
        int64_t days, left_due_s;
    } cases[] = {{730, 60 * DAY_S}, {90, 36 * DAY_S}, {30, 12 * DAY_S}, {1, DAY_S / 5 * 2}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct issued record = {.begins_s = 1000, .ends_s = 1000 + cases[i].days * DAY_S};

        CHECK(!issued_is_due(&record, record.begins_s));
        CHECK(!issued_is_due(&record, record.ends_s - cases[i].left_due_s - 1));
        CHECK(issued_is_due(&record, record.ends_s - cases[i].left_due_s));
        CHECK(issued_is_due(&record, record.ends_s + DAY_S));
    }
}
