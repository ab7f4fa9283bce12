/* Memory of one configuration, or of what was said about its text: taken piece by piece, given back
 * as a whole. */
#ifndef SEKISHO_CONFIG_ARENA_H
#define SEKISHO_CONFIG_ARENA_H

#include <stdbool.h>

#include "base/bytes.h"

struct arena_chunk;

/*
 * Running out sticks: from then on everything taken is NULL (and a text is empty), and who took it
 * asks `exhausted` once at the end.
 */
struct config_arena {
    struct arena_chunk *chunks;
    size_t taken_bytes;
    size_t limit_bytes;
    bool exhausted;
};

/* NULL when there is no memory. */
MUST_USE struct config_arena *arena_new(size_t limit_bytes);
void arena_free(struct config_arena *arena);
/* Zeroed. */
MUST_USE void *arena_take(struct config_arena *arena, size_t bytes);
/* A terminated copy; "" when there is no room, never NULL. */
const char *arena_text(struct config_arena *arena, struct slice text);
/* A larger place for a list of `count` items that is full, with what was in it; NULL when there is
 * no room. */
MUST_USE void *arena_grow(struct config_arena *arena, const void *old, size_t count,
                          size_t *capacity, size_t item_bytes);

#endif
