/* Chains in buckets, chosen by SipHash-2-4 under a secret key; twice the buckets when there are
 * more entries than those. */
#include "base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 16

struct table_entry {
    struct table_entry *next;
    uint64_t hash;
    void *value;
    uint8_t key_length;
    uint8_t key[];
};

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t get_little_u64(const uint8_t *at)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

static void sip_rounds(uint64_t v[4], unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

/* Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), section 2. */
uint64_t siphash24(const uint8_t key[16], struct slice bytes)
{
    uint64_t k0 = get_little_u64(key);
    uint64_t k1 = get_little_u64(key + 8);
    uint64_t v[4] = {
        k0 ^ 0x736f6d6570736575U,
        k1 ^ 0x646f72616e646f6dU,
        k0 ^ 0x6c7967656e657261U,
        k1 ^ 0x7465646279746573U,
    };
    uint8_t last[8] = {0};
    size_t whole = bytes.length / 8 * 8;

    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word = get_little_u64(bytes.data + i);

        v[3] ^= word;
        sip_rounds(v, 2);
        v[0] ^= word;
    }
    if (bytes.length > whole) {
        memcpy(last, bytes.data + whole, bytes.length - whole);
    }
    last[7] = (uint8_t)bytes.length;
    uint64_t word = get_little_u64(last);

    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void table_init(struct table *t, const uint8_t hash_key[16], size_t limit)
{
    *t = (struct table){.limit = limit};
    memcpy(t->hash_key, hash_key, sizeof(t->hash_key));
}

void table_fini(struct table *t)
{
    for (size_t i = 0; i < t->bucket_count; i++) {
        struct table_entry *entry = t->buckets[i];

        while (entry != NULL) {
            struct table_entry *next = entry->next;

            free(entry);
            entry = next;
        }
    }
    free(t->buckets);
    t->buckets = NULL;
    t->bucket_count = 0;
    t->count = 0;
}

/* Where the pointer to the entry of this key is, or the NULL that ends its chain. NULL when there
 * are no buckets. */
static struct table_entry **find_link(const struct table *t, struct slice key, uint64_t hash)
{
    assert(key.length <= TABLE_KEY_BYTES_MAX);
    if (t->bucket_count == 0) {
        return NULL;
    }
    struct table_entry **link = &t->buckets[hash & (t->bucket_count - 1)];

    while (*link != NULL) {
        const struct table_entry *entry = *link;

        if (entry->hash == hash &&
            slice_equal((struct slice){entry->key, entry->key_length}, key)) {
            break;
        }
        link = &(*link)->next;
    }
    return link;
}

void *table_find(const struct table *t, struct slice key)
{
    struct table_entry **link = find_link(t, key, siphash24(t->hash_key, key));

    return link == NULL || *link == NULL ? NULL : (*link)->value;
}

static bool grow(struct table *t)
{
    size_t bucket_count = t->bucket_count == 0 ? FIRST_BUCKETS : t->bucket_count * 2;
    struct table_entry **buckets = calloc(bucket_count, sizeof(struct table_entry *));

    if (buckets == NULL) {
        return false;
    }
    for (size_t i = 0; i < t->bucket_count; i++) {
        struct table_entry *entry = t->buckets[i];

        while (entry != NULL) {
            struct table_entry *next = entry->next;
            struct table_entry **head = &buckets[entry->hash & (bucket_count - 1)];

            entry->next = *head;
            *head = entry;
            entry = next;
        }
    }
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count = bucket_count;
    return true;
}

bool table_add(struct table *t, struct slice key, void *value)
{
    assert(value != NULL);
    uint64_t hash = siphash24(t->hash_key, key);
    struct table_entry **link = find_link(t, key, hash);

    if (link != NULL && *link != NULL) {
        return false;
    }
    if (t->limit > 0 && t->count >= t->limit) {
        return false;
    }
    /* A table that cannot grow works on with longer chains; only the first buckets are needed. */
    if (t->count >= t->bucket_count && !grow(t) && t->bucket_count == 0) {
        return false;
    }
    struct table_entry *entry = malloc(sizeof(*entry) + key.length);

    if (entry == NULL) {
        return false;
    }
    struct table_entry **head = &t->buckets[hash & (t->bucket_count - 1)];

    *entry = (struct table_entry){
        .next = *head, .hash = hash, .value = value, .key_length = (uint8_t)key.length};
    if (key.length > 0) {
        memcpy(entry->key, key.data, key.length);
    }
    *head = entry;
    t->count++;
    return true;
}

void *table_remove(struct table *t, struct slice key)
{
    struct table_entry **link = find_link(t, key, siphash24(t->hash_key, key));

    if (link == NULL || *link == NULL) {
        return NULL;
    }
    struct table_entry *entry = *link;
    void *value = entry->value;

    *link = entry->next;
    free(entry);
    t->count--;
    return value;
}

void table_each(struct table *t, void (*visit)(void *context, struct slice key, void *value),
                void *context)
{
    for (size_t i = 0; i < t->bucket_count; i++) {
        struct table_entry *entry = t->buckets[i];

        while (entry != NULL) {
            struct table_entry *next = entry->next;

            visit(context, (struct slice){entry->key, entry->key_length}, entry->value);
            entry = next;
        }
    }
}
