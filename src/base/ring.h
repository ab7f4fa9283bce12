/*
 * A ring between exactly one thread that puts and one that takes: fixed-size messages, no lock, no
 * waiting.
 */
#ifndef SEKISHO_BASE_RING_H
#define SEKISHO_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/defs.h"

struct ring {
    uint8_t *messages;
    size_t message_bytes;
    size_t capacity; /* a power of two */
    _Alignas(64) _Atomic size_t head; /* next to take; written by the taker */
    _Alignas(64) _Atomic size_t tail; /* next to put; written by the putter */
};

MUST_USE bool ring_init(struct ring *r, size_t message_bytes, size_t capacity);
void ring_fini(struct ring *r);
/* Copies the message in; false when the ring is full. */
MUST_USE bool ring_put(struct ring *r, const void *message);
/* Copies the oldest message out; false when the ring is empty. */
MUST_USE bool ring_take(struct ring *r, void *message);

#endif
