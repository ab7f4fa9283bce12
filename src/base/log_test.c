/* Log lines are one line, whatever is put into them. */
#include "base/log.h"

#include <stdio.h>

#include "tests/support/test.h"

struct heard {
    unsigned lines;
    enum log_level level;
    char about[64];
    char line[LOG_LINE_BYTES];
};

static void hear(void *context, enum log_level level, const char *about, const char *line)
{
    struct heard *heard = context;

    heard->lines++;
    heard->level = level;
    snprintf(heard->about, sizeof(heard->about), "%s", about);
    snprintf(heard->line, sizeof(heard->line), "%s", line);
}

TEST(a_line_arrives_with_its_level_and_subject)
{
    struct heard heard = {0};
    struct log_sink sink = {hear, &heard};

    log_line(&sink, LOG_LEVEL_WARNING, "osaka", "try %d of %s", 3, "many");
    CHECK_EQUAL(heard.lines, 1);
    CHECK_EQUAL(heard.level, LOG_LEVEL_WARNING);
    CHECK_TEXT(heard.about, "osaka");
    CHECK_TEXT(heard.line, "try 3 of many");
    CHECK_TEXT(log_level_name(heard.level), "warning");
}

TEST(what_could_forge_a_line_is_escaped)
{
    struct heard heard = {0};
    struct log_sink sink = {hear, &heard};

    log_line(&sink, LOG_LEVEL_INFO, "x", "%s", "a\nb\x1b[31m\xc3\xa9 \\x41");
    CHECK_TEXT(heard.line, "a\\x0ab\\x1b[31m\\xc3\\xa9 \\x41");
}

TEST(a_line_that_is_too_long_is_cut_at_a_whole_character)
{
    struct heard heard = {0};
    struct log_sink sink = {hear, &heard};
    char text[400];

    memset(text, '\n', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    log_line(&sink, LOG_LEVEL_INFO, "x", "%s", text);
    CHECK(strlen(heard.line) < LOG_LINE_BYTES);
    CHECK_EQUAL(strlen(heard.line) % 4, 0);
}

TEST(a_sink_that_writes_nothing_is_allowed)
{
    struct log_sink sink = {NULL, NULL};

    log_line(&sink, LOG_LEVEL_ERROR, "x", "nothing");
    log_line(NULL, LOG_LEVEL_ERROR, "x", "nothing");
}
