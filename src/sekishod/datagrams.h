/*
 * IKE datagrams on their way from a worker to the control thread: a ring of octets between exactly
 * one thread that puts and one that takes. What does not fit is refused, so a flood costs datagrams
 * and not memory.
 */
#ifndef SEKISHO_SEKISHOD_DATAGRAMS_H
#define SEKISHO_SEKISHOD_DATAGRAMS_H

#include <stdatomic.h>

#include "base/address.h"

struct datagrams {
    uint8_t *bytes;
    size_t capacity; /* a power of two */
    _Alignas(64) _Atomic size_t head; /* next to take; counts on without wrapping */
    _Alignas(64) _Atomic size_t tail; /* next to put */
};

struct datagram {
    struct endpoint local, peer;
    struct slice bytes; /* borrowed until datagrams_drop() */
};

MUST_USE bool datagrams_init(struct datagrams *d, size_t capacity);
void datagrams_fini(struct datagrams *d);
MUST_USE bool datagrams_put(struct datagrams *d, const struct datagram *datagram);
/* The oldest one, which stays until it is dropped. */
MUST_USE bool datagrams_peek(struct datagrams *d, struct datagram *out);
void datagrams_drop(struct datagrams *d);

#endif
