/* Decides how many mistakes are kept, in which order they are told, and how a mistake looks to the
 * person who made it. */
#include "config/diagnose.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/lexer.h"
#include "config/sheet.h"

#define EXCERPT_COLUMNS 96
#define EXCERPT_BEFORE 40

static struct config_diagnostic *add(struct diagnoses *d, enum config_severity severity,
                                     struct config_place place, const char *advice)
{
    if (severity == CONFIG_ERROR) {
        d->errors++;
    } else {
        d->warnings++;
    }
    if (d->count == DIAGNOSTICS_MAX) {
        return NULL;
    }
    if (d->count == d->capacity) {
        void *larger = arena_grow(d->arena, d->list, d->count, &d->capacity, sizeof(*d->list));
        if (larger == NULL) {
            return NULL;
        }
        d->list = larger;
    }
    struct config_diagnostic *one = &d->list[d->count++];

    *one = (struct config_diagnostic){.severity = severity, .place = place, .message = ""};
    if (advice != NULL && advice[0] != '\0') {
        one->suggestion = arena_text(d->arena, slice_of_text(advice));
    }
    return one;
}

void diagnose(struct diagnoses *d, enum config_severity severity, struct config_place place,
              const char *advice, const char *format, ...)
{
    struct config_diagnostic *one = add(d, severity, place, advice);
    char message[512];
    va_list arguments;

    if (one == NULL) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    one->message = arena_text(d->arena, slice_of_text(message));
}

void diagnose_hidden(struct diagnoses *d, struct config_place place, uint32_t hidden_column,
                     const char *advice, const char *message)
{
    struct config_diagnostic *one = add(d, CONFIG_ERROR, place, advice);

    if (one != NULL) {
        one->message = arena_text(d->arena, slice_of_text(message));
    }
    if (d->hidden_count == d->hidden_capacity) {
        void *larger = arena_grow(d->arena, d->hidden, d->hidden_count, &d->hidden_capacity,
                                  sizeof(*d->hidden));
        if (larger == NULL) {
            return; /* then nothing at all is shown */
        }
        d->hidden = larger;
    }
    d->hidden[d->hidden_count] = place;
    d->hidden[d->hidden_count++].column = hidden_column;
}

int place_compare(const struct config_place *a, const struct config_place *b)
{
    if (a->file != b->file) {
        return a->file < b->file ? -1 : 1;
    }
    if (a->line != b->line) {
        return a->line < b->line ? -1 : 1;
    }
    return a->column < b->column ? -1 : a->column > b->column ? 1 : 0;
}

static int compare_hidden(const void *left, const void *right)
{
    return place_compare(left, right);
}

/* The first hidden column of each line, for all that is told about the line. */
static void hide_secrets(struct diagnoses *d)
{
    size_t at = 0;

    if (d->hidden_count > 1) {
        qsort(d->hidden, d->hidden_count, sizeof(*d->hidden), compare_hidden);
    }
    for (size_t i = 0; i < d->count; i++) {
        struct config_place line = d->list[i].place;
        line.column = 0;
        while (at < d->hidden_count && place_compare(&d->hidden[at], &line) < 0) {
            at++;
        }
        if (at < d->hidden_count && d->hidden[at].file == line.file &&
            d->hidden[at].line == line.line) {
            d->list[i].hidden_column = d->hidden[at].column;
        }
    }
}

/* Insertion from behind: at most a thousand, nearly sorted. */
void diagnoses_sort(struct diagnoses *d)
{
    for (size_t i = 1; i < d->count; i++) {
        struct config_diagnostic one = d->list[i];
        size_t at = i;
        while (at > 0 && place_compare(&one.place, &d->list[at - 1].place) < 0) {
            d->list[at] = d->list[at - 1];
            at--;
        }
        d->list[at] = one;
    }
    hide_secrets(d);
}

/* ---- as a person reads them ---- */

/* Walks forward through a file from line to line: mistakes come in the order of their places. */
struct line_cursor {
    uint32_t file;
    uint32_t line;
    size_t at;
};

static struct slice find_line(struct line_cursor *cursor, const struct config_file *files,
                              const struct config_place *place)
{
    if (cursor->line == 0 || cursor->file != place->file || cursor->line > place->line) {
        *cursor = (struct line_cursor){.file = place->file, .line = 1};
    }
    struct slice text = files[place->file].text;

    for (;;) {
        size_t left = text.length - cursor->at;
        const uint8_t *begin = text.data + cursor->at;
        const uint8_t *end = left == 0 ? NULL : memchr(begin, '\n', left);
        size_t length = end == NULL ? left : (size_t)(end - begin);
        if (cursor->line == place->line || end == NULL) {
            return (struct slice){begin, cursor->line == place->line ? length : 0};
        }
        cursor->at += length + 1;
        cursor->line++;
    }
}

/* One character as it may be shown on a terminal, one column wide; returns the octets taken. */
static size_t add_character(struct sheet *out, struct slice rest, bool shown)
{
    uint32_t character;
    size_t length = utf8_read(rest, &character);

    if (shown) {
        if (length == 0) {
            sheet_add(out, "?");
        } else if (character == '\t') {
            sheet_add(out, " ");
        } else if (utf8_is_deceptive(character)) {
            sheet_add(out, "?");
        } else {
            sheet_add_slice(out, (struct slice){rest.data, length});
        }
    }
    return length == 0 ? 1 : length;
}

static size_t count_characters(struct slice text)
{
    size_t count = 0;

    for (size_t at = 0; at < text.length; count++) {
        at += add_character(NULL, (struct slice){text.data + at, text.length - at}, false);
    }
    return count;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void add_excerpt(struct sheet *out, struct slice line, const struct config_diagnostic *d)
{
    size_t byte = least(d->place.column == 0 ? 0 : d->place.column - 1, line.length);
    size_t word_bytes = least(d->place.length, line.length - byte);
    size_t before = count_characters((struct slice){line.data, byte});
    size_t word = count_characters((struct slice){line.data + byte, word_bytes});
    /* Of a long line the part around the word is shown. */
    bool hidden = d->hidden_column != 0 && d->hidden_column <= d->place.column;
    bool cut = before + least(word, EXCERPT_BEFORE) > EXCERPT_COLUMNS;
    size_t first = cut ? before - EXCERPT_BEFORE : 0;
    size_t column = 0;

    while (line.length > 0 &&
           (line.data[line.length - 1] == '\r' || line.data[line.length - 1] == ' ')) {
        line.length--;
    }
    sheet_addf(out, "%5u | %s", (unsigned)d->place.line, cut ? "..." : "");
    for (size_t at = 0; at < line.length; column++) {
        if (d->hidden_column != 0 && at + 1 >= d->hidden_column) {
            sheet_add(out, "...");
            break;
        }
        if (column == first + EXCERPT_COLUMNS) {
            sheet_add(out, "...");
            break;
        }
        at += add_character(out, (struct slice){line.data + at, line.length - at}, column >= first);
    }
    size_t marks = hidden ? 3 : least(word == 0 ? 1 : word, first + EXCERPT_COLUMNS - before);

    sheet_add(out, "\n      | ");
    sheet_add_repeated(out, ' ', before - first + (cut ? 3 : 0));
    sheet_add_repeated(out, '^', marks);
    if (d->suggestion != NULL) {
        sheet_addf(out, "  %s", d->suggestion);
    }
    sheet_add(out, "\n");
}

static void add_count(struct sheet *out, size_t count, const char *what)
{
    sheet_addf(out, "%zu %s%s", count, what, count == 1 ? "" : "s");
}

char *config_diagnostics_text(const struct config_result *result)
{
    struct line_cursor cursor = {0};
    struct sheet out = {0};

    for (size_t i = 0; i < result->diagnostic_count; i++) {
        const struct config_diagnostic *d = &result->diagnostics[i];
        bool has_file = d->place.file < result->file_count;

        sheet_addf(&out, "%s:%u:%u: %s: %s\n", has_file ? result->files[d->place.file].path : "?",
                   (unsigned)d->place.line, (unsigned)d->place.column,
                   d->severity == CONFIG_ERROR ? "error" : "warning", d->message);
        if (has_file && d->place.length > 0 &&
            (d->severity == CONFIG_ERROR || d->suggestion != NULL)) {
            add_excerpt(&out, find_line(&cursor, result->files, &d->place), d);
        } else if (d->suggestion != NULL) {
            sheet_addf(&out, "      | %s\n", d->suggestion);
        }
    }
    size_t untold = result->error_count + result->warning_count - result->diagnostic_count;

    if (untold > 0) {
        sheet_addf(&out, "and %zu more.\n", untold);
    }
    add_count(&out, result->file_count, "file");
    sheet_add(&out, ", ");
    add_count(&out, result->error_count, "error");
    sheet_add(&out, ", ");
    add_count(&out, result->warning_count, "warning");
    sheet_add(&out, ".");
    if (result->error_count > 0) {
        sheet_add(&out, " Nothing was changed; the running configuration is untouched.");
    }
    sheet_add(&out, "\n");
    return sheet_take(&out);
}
