/* Decides how growing text is kept. */
#include "config/sheet.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES 256

/* Room for `more` octets and the terminating zero. */
static bool reserve(struct sheet *s, size_t more)
{
    if (s->failed) {
        return false;
    }
    if (s->data != NULL && more < s->capacity - s->length) {
        return true;
    }
    size_t capacity = s->capacity == 0 ? FIRST_BYTES : s->capacity;

    while (capacity - s->length <= more) {
        capacity *= 2;
    }
    char *data = realloc(s->data, capacity);

    if (data == NULL) {
        s->failed = true;
        return false;
    }
    s->data = data;
    s->capacity = capacity;
    return true;
}

void sheet_add_slice(struct sheet *s, struct slice words)
{
    if (!reserve(s, words.length)) {
        return;
    }
    if (words.length > 0) {
        memcpy(s->data + s->length, words.data, words.length);
    }
    s->length += words.length;
    s->data[s->length] = '\0';
}

void sheet_add(struct sheet *s, const char *words)
{
    sheet_add_slice(s, slice_of_text(words));
}

void sheet_add_repeated(struct sheet *s, char c, size_t times)
{
    if (!reserve(s, times)) {
        return;
    }
    memset(s->data + s->length, c, times);
    s->length += times;
    s->data[s->length] = '\0';
}

void sheet_addf(struct sheet *s, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);

    va_end(arguments);
    assert(length >= 0);
    if (!reserve(s, (size_t)length)) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(s->data + s->length, s->capacity - s->length, format, arguments);
    va_end(arguments);
    s->length += (size_t)length;
}

void sheet_clear(struct sheet *s)
{
    s->length = 0;
    if (s->data != NULL) {
        s->data[0] = '\0';
    }
}

struct slice sheet_slice(const struct sheet *s)
{
    return (struct slice){(const uint8_t *)s->data, s->length};
}

void sheet_fini(struct sheet *s)
{
    free(s->data);
    *s = (struct sheet){0};
}

char *sheet_take(struct sheet *s)
{
    if (!reserve(s, 0)) {
        sheet_fini(s);
        return NULL;
    }
    s->data[s->length] = '\0';
    char *data = s->data;

    *s = (struct sheet){0};
    return data;
}
