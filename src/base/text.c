/*
 * Decides how text is built in a given buffer, how strange bytes are shown, and how hex and base64
 * are read.
 */
#include "base/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DISTANCE_WORD_BYTES_MAX 64

struct text text_over(char *data, size_t capacity)
{
    assert(capacity > 0);
    data[0] = '\0';
    return (struct text){.data = data, .capacity = capacity, .length = 0, .cut = false};
}

/* Once something was cut, nothing further is added: what is shown is always a beginning of the
 * whole. */
static void add_bytes(struct text *t, const char *bytes, size_t length)
{
    size_t room = t->capacity - 1 - t->length;

    if (t->cut) {
        return;
    }
    if (length > room) {
        t->cut = true;
        length = room;
    }
    memcpy(t->data + t->length, bytes, length);
    t->length += length;
    t->data[t->length] = '\0';
}

void text_add(struct text *t, const char *words)
{
    add_bytes(t, words, strlen(words));
}

void text_addf(struct text *t, const char *format, ...)
{
    va_list arguments;

    if (t->cut) {
        return;
    }
    size_t room = t->capacity - t->length;

    va_start(arguments, format);
    int length = vsnprintf(t->data + t->length, room, format, arguments);

    va_end(arguments);
    assert(length >= 0);
    if ((size_t)length >= room) {
        t->cut = true;
        t->length = t->capacity - 1;
    } else {
        t->length += (size_t)length;
    }
}

static const char hex_digits[] = "0123456789abcdef";

void text_add_escaped(struct text *t, struct slice bytes)
{
    for (size_t i = 0; i < bytes.length && !t->cut; i++) {
        uint8_t c = bytes.data[i];
        char shown[4] = {(char)c};
        size_t length = 1;

        if (c < 0x20 || c > 0x7e || c == '\\') {
            shown[0] = '\\';
            shown[1] = 'x';
            shown[2] = hex_digits[c >> 4];
            shown[3] = hex_digits[c & 15];
            length = sizeof(shown);
        }
        add_bytes(t, shown, length);
    }
}

void text_add_hex(struct text *t, struct slice bytes)
{
    for (size_t i = 0; i < bytes.length && !t->cut; i++) {
        char shown[2] = {hex_digits[bytes.data[i] >> 4], hex_digits[bytes.data[i] & 15]};

        add_bytes(t, shown, sizeof(shown));
    }
}

bool text_copy(char *out, size_t capacity, struct slice from)
{
    if (from.length >= capacity ||
        (from.length > 0 && memchr(from.data, '\0', from.length) != NULL)) {
        return false;
    }
    if (from.length > 0) {
        memcpy(out, from.data, from.length);
    }
    out[from.length] = '\0';
    return true;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein, one row at a time; words longer than we show anyone are simply far away. */
size_t text_distance(struct slice a, struct slice b, size_t limit)
{
    size_t row[DISTANCE_WORD_BYTES_MAX + 1];

    if (slice_equal(a, b)) {
        return 0;
    }
    if (a.length > DISTANCE_WORD_BYTES_MAX || b.length > DISTANCE_WORD_BYTES_MAX) {
        return limit + 1;
    }
    for (size_t j = 0; j <= b.length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.length; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t replaced = diagonal + (a.data[i - 1] == b.data[j - 1] ? 0 : 1);

            diagonal = row[j];
            row[j] = least(replaced, least(row[j], row[j - 1]) + 1);
        }
    }
    return least(row[b.length], limit + 1);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool hex_parse(struct slice text, uint8_t *out, size_t capacity, size_t *length)
{
    if (text.length % 2 != 0 || text.length / 2 > capacity) {
        return false;
    }
    for (size_t i = 0; i < text.length / 2; i++) {
        int high = hex_value(text.data[2 * i]);
        int low = hex_value(text.data[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    *length = text.length / 2;
    return true;
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+') {
        return 62;
    }
    return c == '/' ? 63 : -1;
}

/* RFC 4648 section 4, with padding, no other characters, and the unused bits zero (3.5): one text
 * for each value. */
bool base64_parse(struct slice text, uint8_t *out, size_t capacity, size_t *length)
{
    size_t padding = 0;
    size_t written = 0;

    if (text.length % 4 != 0) {
        return false;
    }
    while (padding < 2 && padding < text.length && text.data[text.length - 1 - padding] == '=') {
        padding++;
    }
    size_t bytes = text.length / 4 * 3 - padding;

    if (bytes > capacity) {
        return false;
    }
    for (size_t i = 0; i < text.length; i += 4) {
        uint32_t group = 0;

        for (size_t j = 0; j < 4; j++) {
            bool is_padding = i + j >= text.length - padding;
            int value = is_padding ? 0 : base64_value(text.data[i + j]);

            if (value < 0) {
                return false;
            }
            group = group << 6 | (uint32_t)value;
        }
        for (size_t j = 0; j < 3; j++) {
            uint8_t byte = (uint8_t)(group >> (16 - 8 * j));

            if (written < bytes) {
                out[written++] = byte;
            } else if (byte != 0) {
                return false;
            }
        }
    }
    *length = bytes;
    return true;
}

void text_add_base64(struct text *t, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < bytes.length; at += 3) {
        size_t count = bytes.length - at < 3 ? bytes.length - at : 3;
        uint32_t group = 0;
        char four[5] = "====";

        for (size_t i = 0; i < 3; i++) {
            group = group << 8 | (i < count ? bytes.data[at + i] : 0);
        }
        for (size_t i = 0; i <= count; i++) {
            four[i] = digits[group >> (18 - 6 * i) & 63];
        }
        text_add(t, four);
    }
}
