/*
 * Decides how a configuration looks when it is well written: one statement to a line, two spaces
 * for a block, words and comments that stand below each other in one column, at most one empty
 * line. Nothing but blanks, ';' and line ends changes, so it means the same as before.
 */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/lexer.h"
#include "config/sheet.h"

#define INDENT 2
#define DEPTH_SHOWN_MAX 16
#define COMMENT_DISTANCE 2
#define WORD_COLUMNS_MAX 24 /* longer words do not push the others away */

enum line_kind { LINE_STATEMENT, LINE_OPEN, LINE_CLOSE, LINE_COMMENT };

struct line {
    enum line_kind kind;
    bool blank_before;
    unsigned depth;
    struct slice word;
    size_t rest_at; /* the other words, in the sheet of all rests */
    size_t rest_length;
    struct slice comment;
};

struct layout {
    struct line *lines;
    size_t count;
    size_t capacity;
    struct sheet rests;
    unsigned depth;
    bool failed;
};

static struct line *add_line(struct layout *l, enum line_kind kind)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity == 0 ? 64 : l->capacity * 2;
        struct line *lines = reallocarray(l->lines, capacity, sizeof(*lines));
        if (lines == NULL) {
            l->failed = true;
            return NULL;
        }
        l->lines = lines;
        l->capacity = capacity;
    }
    struct line *line = &l->lines[l->count++];

    *line = (struct line){.kind = kind, .depth = l->depth, .rest_at = l->rests.length};
    return line;
}

static size_t columns(struct slice text)
{
    size_t count = 0;

    for (size_t at = 0; at < text.length; count++) {
        uint32_t character;
        size_t step = utf8_read((struct slice){text.data + at, text.length - at}, &character);
        at += step == 0 ? 1 : step;
    }
    return count;
}

/* ---- text to lines ---- */

static void add_word(struct layout *l, struct line *line, struct slice raw)
{
    if (line->word.length == 0) {
        line->word = raw;
        return;
    }
    if (line->rest_length > 0) {
        sheet_add(&l->rests, " ");
    }
    sheet_add_slice(&l->rests, raw);
    line->rest_length = l->rests.length - line->rest_at;
}

/* False when the text has a mistake of form. */
static bool read_lines(struct layout *l, struct slice text)
{
    struct lexer lexer = lexer_over(text);
    unsigned newlines = 2; /* at the beginning no empty line is kept */
    bool open = false; /* the last line takes more words */
    bool same = false; /* the last line takes a comment */

    for (;;) {
        struct token t = lexer_next(&lexer);
        struct line *line = l->count > 0 ? &l->lines[l->count - 1] : NULL;
        bool blank = newlines > 1 && line != NULL && line->kind != LINE_OPEN;
        if (t.problem != NULL || l->failed) {
            return false;
        }
        switch (t.kind) {
        case TOKEN_WORD:
            if (!open) {
                line = add_line(l, LINE_STATEMENT);
                if (line == NULL) {
                    return false;
                }
                line->blank_before = blank;
            }
            add_word(l, line, t.raw);
            open = same = true;
            newlines = 0;
            break;
        case TOKEN_OPEN:
            if (!open) {
                return false;
            }
            line->kind = LINE_OPEN;
            l->depth++;
            open = false;
            newlines = 0;
            break;
        case TOKEN_CLOSE:
            if (l->depth == 0) {
                return false;
            }
            l->depth--;
            if (add_line(l, LINE_CLOSE) == NULL) {
                return false;
            }
            open = false;
            same = true;
            newlines = 0;
            break;
        case TOKEN_COMMENT:
            if (!same) {
                line = add_line(l, LINE_COMMENT);
                if (line == NULL) {
                    return false;
                }
                line->blank_before = blank;
            }
            line->comment = t.raw;
            open = same = false;
            newlines = 0;
            break;
        case TOKEN_SEMICOLON:
            open = false;
            break;
        case TOKEN_NEWLINE:
            open = same = false;
            newlines++;
            break;
        case TOKEN_END:
            return l->depth == 0;
        }
    }
}

/* ---- lines to text ---- */

static unsigned indent_of(const struct line *line)
{
    return (line->depth < DEPTH_SHOWN_MAX ? line->depth : DEPTH_SHOWN_MAX) * INDENT;
}

/* Statements that follow each other directly in one block are aligned. */
static size_t paragraph_end(const struct layout *l, size_t first)
{
    size_t end = first + 1;

    if (l->lines[first].kind != LINE_STATEMENT) {
        return end;
    }
    while (end < l->count && l->lines[end].kind == LINE_STATEMENT && !l->lines[end].blank_before &&
           l->lines[end].depth == l->lines[first].depth) {
        end++;
    }
    return end;
}

static size_t word_columns(const struct layout *l, size_t first, size_t end)
{
    size_t widest = 0;

    for (size_t i = first; i < end; i++) {
        size_t width = columns(l->lines[i].word);
        if (l->lines[i].rest_length > 0 && width <= WORD_COLUMNS_MAX && width > widest) {
            widest = width;
        }
    }
    return widest;
}

static struct slice rest_of(const struct layout *l, const struct line *line)
{
    return (struct slice){(const uint8_t *)l->rests.data + line->rest_at, line->rest_length};
}

static size_t padding(const struct line *line, size_t word_width)
{
    size_t width = columns(line->word);

    return line->kind == LINE_STATEMENT && width < word_width ? word_width - width : 0;
}

/* The columns of a line without its comment. */
static size_t line_columns(const struct layout *l, const struct line *line, size_t word_width)
{
    size_t width = indent_of(line) + columns(line->word);

    if (line->rest_length > 0) {
        width += padding(line, word_width) + 1 + columns(rest_of(l, line));
    }
    if (line->kind == LINE_OPEN) {
        width += 2;
    }
    return line->kind == LINE_CLOSE ? width + 1 : width;
}

static void write_line(const struct layout *l, const struct line *line, size_t word_width,
                       size_t comment_column, struct sheet *out)
{
    if (line->blank_before) {
        sheet_add(out, "\n");
    }
    sheet_add_repeated(out, ' ', indent_of(line));
    sheet_add_slice(out, line->word);
    if (line->rest_length > 0) {
        sheet_add_repeated(out, ' ', padding(line, word_width) + 1);
        sheet_add_slice(out, rest_of(l, line));
    }
    if (line->kind == LINE_OPEN) {
        sheet_add(out, " {");
    } else if (line->kind == LINE_CLOSE) {
        sheet_add(out, "}");
    }
    if (line->comment.length > 0) {
        if (line->kind != LINE_COMMENT) {
            sheet_add_repeated(out, ' ', comment_column - line_columns(l, line, word_width));
        }
        sheet_add_slice(out, line->comment);
    }
    sheet_add(out, "\n");
}

static void write_lines(const struct layout *l, struct sheet *out)
{
    size_t end;

    for (size_t first = 0; first < l->count; first = end) {
        end = paragraph_end(l, first);
        size_t word_width = word_columns(l, first, end);
        size_t comment_column = 0;
        for (size_t i = first; i < end; i++) {
            size_t width = line_columns(l, &l->lines[i], word_width);
            if (l->lines[i].comment.length > 0 && width + COMMENT_DISTANCE > comment_column) {
                comment_column = width + COMMENT_DISTANCE;
            }
        }
        for (size_t i = first; i < end; i++) {
            write_line(l, &l->lines[i], word_width, comment_column, out);
        }
    }
}

char *config_format(struct slice text)
{
    struct layout layout = {0};
    struct sheet out = {0};
    char *formatted = NULL;

    /* What is given back ends with a zero byte: one in a comment would cut off all that follows. */
    if (text.length > 0 && memchr(text.data, '\0', text.length) != NULL) {
        return NULL;
    }
    if (read_lines(&layout, text) && !layout.rests.failed) {
        write_lines(&layout, &out);
        formatted = sheet_take(&out);
    }
    sheet_fini(&out);
    sheet_fini(&layout.rests);
    free(layout.lines);
    return formatted;
}
