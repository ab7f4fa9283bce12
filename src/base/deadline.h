/*
 * Deadlines of up to hundreds of thousands of objects, soonest first: a heap whose members know
 * their place, so that moving and removing cost O(log n) and nothing is allocated per change.
 */
#ifndef SEKISHO_BASE_DEADLINE_H
#define SEKISHO_BASE_DEADLINE_H

#include <stdbool.h>

#include "base/defs.h"

/* Embedded in the object that waits. Zeros are a deadline that is not set. */
struct deadline {
    uint64_t at_ms;
    uint32_t place; /* 1-based in the heap, 0 when not in it */
    uint32_t tag; /* the owner's own; beside the place it takes no room */
};

struct deadlines {
    struct deadline **heap;
    size_t count;
    size_t capacity;
};

void deadlines_init(struct deadlines *d);
void deadlines_fini(struct deadlines *d);
/* Sets or moves; NEVER_MS removes. False only when the heap cannot grow. */
MUST_USE bool deadlines_set(struct deadlines *d, struct deadline *deadline, uint64_t at_ms);
void deadlines_remove(struct deadlines *d, struct deadline *deadline);
/* NEVER_MS when there is none. */
uint64_t deadlines_next_ms(const struct deadlines *d);
/* Takes out and returns one whose time has come, NULL when there is none. Equal times leave in any
 * order, but the same order for the same history. */
struct deadline *deadlines_take_due(struct deadlines *d, uint64_t now_ms);

#endif
