/*
 * Objects of one size from one allocation. A full pool is an ordinary answer.
 */
#ifndef SEKISHO_BASE_POOL_H
#define SEKISHO_BASE_POOL_H

#include <stdbool.h>

#include "base/defs.h"

struct pool {
    uint8_t *objects;
    size_t object_bytes; /* rounded up to 64 */
    size_t capacity;
    size_t in_use;
    void *free_list;
};

MUST_USE bool pool_init(struct pool *p, size_t object_bytes, size_t capacity);
void pool_fini(struct pool *p);
/* Zeroed; NULL when all are in use. */
MUST_USE void *pool_take(struct pool *p);
void pool_give(struct pool *p, void *object);

#endif
