/* Decides how the memory of a configuration is cut from large pieces, and where its limit is. */
#include "config/arena.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t)64 * 1024)
#define ALIGNMENT 16
#define FIRST_CAPACITY 4

struct arena_chunk {
    struct arena_chunk *next;
    size_t used;
    size_t capacity;
    _Alignas(ALIGNMENT) uint8_t data[];
};

struct config_arena *arena_new(size_t limit_bytes)
{
    struct config_arena *arena = calloc(1, sizeof(*arena));

    if (arena != NULL) {
        arena->limit_bytes = limit_bytes;
    }
    return arena;
}

void arena_free(struct config_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    while (arena->chunks != NULL) {
        struct arena_chunk *next = arena->chunks->next;
        free(arena->chunks);
        arena->chunks = next;
    }
    free(arena);
}

static struct arena_chunk *add_chunk(struct config_arena *arena, size_t bytes)
{
    size_t capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    struct arena_chunk *chunk = malloc(sizeof(*chunk) + capacity);

    if (chunk == NULL) {
        return NULL;
    }
    *chunk = (struct arena_chunk){.capacity = capacity};
    /* A piece of unusual size goes behind the chunk that is being filled, whose rest stays in use.
     */
    if (bytes > CHUNK_BYTES && arena->chunks != NULL) {
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
    } else {
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    return chunk;
}

void *arena_take(struct config_arena *arena, size_t bytes)
{
    if (arena->exhausted || bytes > arena->limit_bytes - arena->taken_bytes) {
        arena->exhausted = true;
        return NULL;
    }
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_chunk *chunk = arena->chunks;

    if (rounded > arena->limit_bytes - arena->taken_bytes) {
        rounded = bytes;
    }
    if (chunk == NULL || rounded > chunk->capacity - chunk->used) {
        chunk = add_chunk(arena, rounded);
        if (chunk == NULL) {
            arena->exhausted = true;
            return NULL;
        }
    }
    void *piece = chunk->data + chunk->used;

    chunk->used += rounded;
    arena->taken_bytes += rounded;
    /* After the last, unrounded piece nothing more may be cut from this chunk. */
    if (rounded % ALIGNMENT != 0) {
        chunk->used = chunk->capacity;
    }
    memset(piece, 0, bytes);
    return piece;
}

const char *arena_text(struct config_arena *arena, struct slice text)
{
    char *copy = arena_take(arena, text.length + 1);

    if (copy == NULL) {
        return "";
    }
    if (text.length > 0) {
        memcpy(copy, text.data, text.length);
    }
    return copy;
}

void *arena_grow(struct config_arena *arena, const void *old, size_t count, size_t *capacity,
                 size_t item_bytes)
{
    size_t larger = *capacity == 0 ? FIRST_CAPACITY : *capacity * 2;

    assert(count == *capacity);
    void *list = arena_take(arena, larger * item_bytes);

    if (list == NULL) {
        return NULL;
    }
    if (count > 0) {
        memcpy(list, old, count * item_bytes);
    }
    *capacity = larger;
    return list;
}
