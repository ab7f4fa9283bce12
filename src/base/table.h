/*
 * A hash table from short byte keys to pointers, keyed with a random 128-bit value (SipHash-2-4),
 * so that a stranger cannot choose keys that collide. Grows as needed; does not own what it points
 * to.
 */
#ifndef SEKISHO_BASE_TABLE_H
#define SEKISHO_BASE_TABLE_H

#include <stdbool.h>

#include "base/bytes.h"

#define TABLE_KEY_BYTES_MAX 48

struct table_entry;

struct table {
    struct table_entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    size_t limit; /* more entries than this are refused; 0 is no limit */
    uint8_t hash_key[16];
};

void table_init(struct table *t, const uint8_t hash_key[16], size_t limit);
void table_fini(struct table *t);
MUST_USE void *table_find(const struct table *t, struct slice key);
/* False when the key is there already, the limit is reached or there is no memory. */
MUST_USE bool table_add(struct table *t, struct slice key, void *value);
/* What was there, or NULL. */
void *table_remove(struct table *t, struct slice key);
/* Visits all; `visit` may remove the entry it is given and no other. */
void table_each(struct table *t, void (*visit)(void *context, struct slice key, void *value),
                void *context);

uint64_t siphash24(const uint8_t key[16], struct slice bytes);

#endif
