/*
 * Decides where a word begins and ends: blanks, ';', braces and line ends part words, quotes hold
 * them together, and
 * '#' begins a comment only where a word could begin behind white space.
 */
#include "config/lexer.h"

#include <assert.h>
#include <string.h>

struct lexer lexer_over(struct slice text)
{
    struct lexer l = {.text = text, .line = 1, .after_blank = true};

    /* A byte order mark at the very beginning is no part of the first word. */
    if (text.length >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        l.at = 3;
        l.line_start = 3;
    }
    return l;
}

size_t utf8_read(struct slice text, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    *character = 0;
    if (text.length == 0) {
        return 0;
    }
    uint8_t first = text.data[0];
    size_t length = first < 0x80                    ? 1
                    : first >= 0xf0 && first < 0xf8 ? 4
                    : first >= 0xe0 && first < 0xf0 ? 3
                    : first >= 0xc0 && first < 0xe0 ? 2
                                                    : 0;

    if (length == 0 || length > text.length) {
        return 0;
    }
    uint32_t value = length == 1 ? first : first & (0x7fU >> length);

    for (size_t i = 1; i < length; i++) {
        if ((text.data[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (text.data[i] & 0x3fU);
    }
    /* Overlong forms, surrogates and what lies behind the last plane (RFC 3629 3). */
    if (value < least[length] || (value >= 0xd800 && value <= 0xdfff) || value > 0x10ffff) {
        return 0;
    }
    *character = value;
    return length;
}

bool utf8_is_deceptive(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static bool at_end(const struct lexer *l)
{
    return l->at >= l->text.length;
}

static uint8_t here(const struct lexer *l)
{
    return l->text.data[l->at];
}

/* A carriage return counts as white space only in front of a line end. */
static bool at_blank(const struct lexer *l)
{
    if (at_end(l)) {
        return false;
    }
    return here(l) == ' ' || here(l) == '\t' ||
           (here(l) == '\r' && (l->at + 1 == l->text.length || l->text.data[l->at + 1] == '\n'));
}

static bool at_separator(const struct lexer *l)
{
    return at_end(l) || at_blank(l) || here(l) == '\n' || here(l) == ';' || here(l) == '{' ||
           here(l) == '}';
}

static uint32_t column(const struct lexer *l, size_t at)
{
    return (uint32_t)(at - l->line_start + 1);
}

/* The first problem of a word is the one that is told. */
static void note(struct lexer *l, struct token *t, size_t at, size_t length, const char *problem,
                 const char *advice)
{
    if (t->problem == NULL) {
        t->problem = problem;
        t->advice = advice;
        t->problem_column = column(l, at);
        t->problem_length = (uint32_t)length;
    }
}

/* One character of a word. */
static void step(struct lexer *l, struct token *t)
{
    struct slice rest = {l->text.data + l->at, l->text.length - l->at};
    uint32_t character;
    size_t length = utf8_read(rest, &character);

    if (length == 0) {
        note(l, t, l->at, 1, "this is not UTF-8 text", NULL);
        length = 1;
    } else if (character == 0) {
        note(l, t, l->at, 1, "a zero byte stands here", "is this a text file?");
    } else if (character != '\t' && utf8_is_deceptive(character)) {
        note(l, t, l->at, length, "a character stands here that nobody can see",
             "remove it and write the word again");
    }
    l->at += length;
}

static void quoted_word(struct lexer *l, struct token *t)
{
    size_t begin = l->at++;

    t->quoted = true;
    while (!at_end(l) && here(l) != '\n' && here(l) != '"') {
        if (here(l) == '\\' && l->at + 1 < l->text.length) {
            uint8_t next = l->text.data[l->at + 1];
            if (next != '"' && next != '\\') {
                note(l, t, l->at, 1, "a backslash in quotes stands before \" or \\ only",
                     "for a backslash itself write two of them");
            } else {
                l->at++;
            }
        }
        step(l, t);
    }
    if (at_end(l) || here(l) == '\n') {
        note(l, t, begin, l->at - begin, "this quote is not closed on its line",
             "write a \" at the end of the word");
        return;
    }
    l->at++;
    if (!at_separator(l)) {
        note(l, t, l->at, 1, "a word ends with its closing quote",
             "put a space behind it, or the whole word in quotes");
        while (!at_separator(l)) {
            step(l, t);
        }
    }
}

static void bare_word(struct lexer *l, struct token *t)
{
    while (!at_separator(l)) {
        if (here(l) == '"') {
            note(l, t, l->at, 1, "a quote stands in the middle of a word",
                 "put the whole word in quotes, with \\\" for a quote in it");
        }
        step(l, t);
    }
}

static void comment(struct lexer *l, struct token *t)
{
    const uint8_t *begin = l->text.data + l->at;
    const uint8_t *end = memchr(begin, '\n', l->text.length - l->at);
    size_t length = end == NULL ? l->text.length - l->at : (size_t)(end - begin);
    const uint8_t *zero = memchr(begin, 0, length);

    if (zero != NULL) {
        note(l, t, l->at + (size_t)(zero - begin), 1, "a zero byte stands here",
             "is this a text file?");
    }
    l->at += length;
    while (length > 0 &&
           (begin[length - 1] == ' ' || begin[length - 1] == '\t' || begin[length - 1] == '\r')) {
        length--;
    }
    t->kind = TOKEN_COMMENT;
    t->raw.length = length;
}

static enum token_kind separator_kind(uint8_t c)
{
    return c == '\n'  ? TOKEN_NEWLINE
           : c == ';' ? TOKEN_SEMICOLON
           : c == '{' ? TOKEN_OPEN
                      : TOKEN_CLOSE;
}

struct token lexer_next(struct lexer *l)
{
    while (at_blank(l)) {
        l->at++;
        l->after_blank = true;
    }
    struct token t = {.kind = TOKEN_END, .line = l->line, .column = column(l, l->at)};

    if (at_end(l)) {
        return t;
    }
    size_t begin = l->at;

    t.raw.data = l->text.data + begin;
    if (here(l) == '#' && l->after_blank) {
        comment(l, &t);
        return t;
    }
    l->after_blank = false;
    if (at_separator(l)) {
        t.kind = separator_kind(here(l));
        t.raw.length = 1;
        l->at++;
        if (t.kind == TOKEN_NEWLINE) {
            l->line++;
            l->line_start = l->at;
            l->after_blank = true;
        }
        return t;
    }
    t.kind = TOKEN_WORD;
    if (here(l) == '#') {
        note(l, &t, begin, 1, "a comment begins behind white space", "put a space before the '#'");
    }
    if (here(l) == '"') {
        quoted_word(l, &t);
    } else {
        bare_word(l, &t);
    }
    t.raw.length = l->at - begin;
    if (t.raw.length > WORD_BYTES_MAX) {
        note(l, &t, begin, t.raw.length, "this word is longer than 1024 bytes", NULL);
    }
    return t;
}

struct slice lexer_word(const struct token *t, uint8_t *out)
{
    assert(t->kind == TOKEN_WORD && t->problem == NULL);
    if (!t->quoted) {
        return t->raw;
    }
    size_t length = 0;

    for (size_t i = 1; i + 1 < t->raw.length; i++) {
        if (t->raw.data[i] == '\\') {
            i++;
        }
        out[length++] = t->raw.data[i];
    }
    return (struct slice){out, length};
}
