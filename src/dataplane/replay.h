/*
 * Which sequence numbers an inbound SA has seen (RFC 4303 3.4.3), and what the high half of a
 * number is (appendix A).
 *
 * Any number of workers may record at once without a lock: every word of the bitmap carries the
 * number of the block of 32 that it stands for, so moving the window forward clears nothing (the
 * idea of RFC 6479, with the block's number beside its bits).
 */
#ifndef SEKISHO_DATAPLANE_REPLAY_H
#define SEKISHO_DATAPLANE_REPLAY_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/defs.h"

#define REPLAY_WINDOW_DEFAULT 1024
#define REPLAY_WINDOW_MAX 65536

struct replay {
    _Atomic uint64_t top; /* the highest authentic number */
    uint32_t window;
    uint32_t word_mask;
    _Atomic uint64_t *words; /* block << 32 | bits */
};

/* How many words a window needs; they belong to the caller. */
size_t replay_words(uint32_t window);
/* `top` is the right edge; nothing is marked as seen. */
void replay_init(struct replay *r, _Atomic uint64_t *words, uint32_t window, uint64_t top);
/* RFC 4303 appendix A2.2. False when the number would lie before the first. */
MUST_USE bool replay_full_sequence(const struct replay *r, uint32_t low, uint64_t *sequence);
/* Cheap and without effect: worth decrypting? */
MUST_USE bool replay_is_fresh(const struct replay *r, uint64_t sequence);
/* After the packet proved authentic. False when it was seen before or fell out of the window
 * meanwhile. `newest` tells whether it is the highest so far. */
MUST_USE bool replay_record(struct replay *r, uint64_t sequence, bool *newest);

#endif
