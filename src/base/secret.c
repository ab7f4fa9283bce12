/*
 * Where keys and passwords live: decides that each is copied into memory of its own and wiped
 * before it is let go.
 */
#include "base/secret.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void wipe(void *bytes, size_t length)
{
    if (length > 0) {
        explicit_bzero(bytes, length);
    }
}

bool equal_in_constant_time(const uint8_t *a, const uint8_t *b, size_t length)
{
    uint64_t difference = 0;

    while (length >= sizeof(difference)) {
        uint64_t x;
        uint64_t y;
        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        difference |= x ^ y;
        /* The compiler may not look through this, so it cannot leave early when it knows the
         * answer. */
        __asm__("" : "+r"(difference));
        a += sizeof(x);
        b += sizeof(y);
        length -= sizeof(x);
    }
    for (size_t i = 0; i < length; i++) {
        difference |= (uint64_t)(a[i] ^ b[i]);
        __asm__("" : "+r"(difference));
    }
    return difference == 0;
}

bool secret_reserve(struct secret *s, size_t length)
{
    if (length > SECRET_BYTES_MAX) {
        return false;
    }
    uint8_t *bytes = NULL;

    if (length > 0) {
        bytes = calloc(1, length);
        if (bytes == NULL) {
            return false;
        }
    }
    secret_wipe(s);
    s->bytes = bytes;
    s->length = length;
    return true;
}

bool secret_set(struct secret *s, struct slice bytes)
{
    struct secret fresh = {0};

    /* Made apart first: `bytes` may lie within what is replaced. */
    if (!secret_reserve(&fresh, bytes.length)) {
        return false;
    }
    if (bytes.length > 0) {
        memcpy(fresh.bytes, bytes.data, bytes.length);
    }
    secret_move(s, &fresh);
    return true;
}

bool secret_copy(struct secret *to, const struct secret *from)
{
    return secret_set(to, secret_slice(from));
}

void secret_move(struct secret *to, struct secret *from)
{
    assert(to != from);
    secret_wipe(to);
    *to = *from;
    *from = (struct secret){0};
}

void secret_wipe(struct secret *s)
{
    if (s->bytes != NULL) {
        wipe(s->bytes, s->length);
        free(s->bytes);
    }
    *s = (struct secret){0};
}

struct slice secret_slice(const struct secret *s)
{
    return (struct slice){s->bytes, s->length};
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return a->length == b->length && equal_in_constant_time(a->bytes, b->bytes, a->length);
}
