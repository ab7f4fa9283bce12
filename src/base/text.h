/*
 * Text built piece by piece in a buffer that is given, with an end that is always there. What came
 * from a peer is escaped before it enters a line that a human or a log reads.
 */
#ifndef SEKISHO_BASE_TEXT_H
#define SEKISHO_BASE_TEXT_H

#include <stdbool.h>

#include "base/bytes.h"

struct text {
    char *data; /* always terminated */
    size_t capacity;
    size_t length;
    bool cut; /* something did not fit */
};

struct text text_over(char *data, size_t capacity); /* capacity > 0 */
void text_add(struct text *t, const char *words);
void text_addf(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
/* Printable ASCII as it is, all else (and the backslash) as \xNN: for identities, vendor IDs,
 * names of peers. */
void text_add_escaped(struct text *t, struct slice bytes);
void text_add_hex(struct text *t, struct slice bytes);
void text_add_base64(struct text *t, struct slice bytes);

/* Small bounded names of configuration objects and identities. */
MUST_USE bool text_copy(char *out, size_t capacity, struct slice from);
/* Number of edits between two words, for "did you mean"; at most `limit`+1. */
size_t text_distance(struct slice a, struct slice b, size_t limit);
MUST_USE bool hex_parse(struct slice text, uint8_t *out, size_t capacity, size_t *length);
MUST_USE bool base64_parse(struct slice text, uint8_t *out, size_t capacity, size_t *length);

#endif
