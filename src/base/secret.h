/*
 * Keys and passwords: copied only here, compared in constant time, wiped at the end, never
 * formatted.
 */
#ifndef SEKISHO_BASE_SECRET_H
#define SEKISHO_BASE_SECRET_H

#include <stdbool.h>

#include "base/bytes.h"

/* The longest shared secret of a key exchange is MODP-8192's. */
#define SECRET_BYTES_MAX 1024

/* A secret of at most SECRET_BYTES_MAX octets on the heap; a struct of zeros is an empty one. */
struct secret {
    uint8_t *bytes;
    size_t length;
};

/* Replaces (and wipes) what was there. False when it is too long or there is no memory. */
MUST_USE bool secret_set(struct secret *s, struct slice bytes);
/* Room for `length` octets of zeros, to be filled by the caller. */
MUST_USE bool secret_reserve(struct secret *s, size_t length);
MUST_USE bool secret_copy(struct secret *to, const struct secret *from);
/* Moves ownership: `from` is empty afterwards, what `to` held is wiped. */
void secret_move(struct secret *to, struct secret *from);
void secret_wipe(struct secret *s);
struct slice secret_slice(const struct secret *s);
MUST_USE bool secret_equal(const struct secret *a, const struct secret *b);

/* Not removed by the compiler. */
void wipe(void *bytes, size_t length);
/* In time that depends on the length alone. */
MUST_USE bool equal_in_constant_time(const uint8_t *a, const uint8_t *b, size_t length);

#endif
