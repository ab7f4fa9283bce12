/*
 * Fragments of IKE messages (RFC 7383): the arithmetic of cutting, and the store in which a
 * message is put together.
 */
#include "proto/ike/fragments.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define IPV4_AND_UDP_BYTES 28
#define IPV6_AND_UDP_BYTES 48
#define NON_ESP_MARKER_BYTES 4

struct piece {
    uint32_t offset;
    uint32_t length;
};

struct fragments_store {
    uint32_t message_id;
    uint16_t total;
    uint16_t have;
    uint64_t present; /* bit number - 1 */
    uint64_t started_ms;
    uint8_t first;
    bool complete;
    struct piece pieces[FRAGMENTS_MAX];
    uint8_t *bytes; /* contents in the order of arrival; in message order once complete */
    size_t length;
    size_t capacity;
};

size_t fragments_message_bytes(size_t packet_bytes, enum family family, bool marker)
{
    size_t heads = (family == FAMILY_IPV6 ? IPV6_AND_UDP_BYTES : IPV4_AND_UDP_BYTES) +
                   (marker ? NON_ESP_MARKER_BYTES : 0);

    return packet_bytes > heads ? packet_bytes - heads : 0;
}

size_t fragments_count(size_t chain_bytes, size_t content_bytes)
{
    if (content_bytes == 0 || chain_bytes > FRAGMENTS_BYTES_MAX) {
        return 0;
    }
    size_t count = chain_bytes == 0 ? 1 : (chain_bytes + content_bytes - 1) / content_bytes;

    return count <= FRAGMENTS_MAX ? count : 0;
}

struct slice fragments_content(struct slice chain, size_t content_bytes, size_t number)
{
    size_t offset = (number - 1) * content_bytes;

    assert(number >= 1);
    assert(offset <= chain.length);
    size_t left = chain.length - offset;

    return (struct slice){chain.data + offset, left < content_bytes ? left : content_bytes};
}

void fragments_init(struct fragments *f, struct fragments_budget *budget)
{
    *f = (struct fragments){.budget = budget};
}

static void budget_give(struct fragments *f, size_t bytes)
{
    if (f->budget != NULL) {
        assert(f->budget->bytes >= bytes);
        f->budget->bytes -= bytes;
    }
}

static bool budget_take(struct fragments *f, size_t bytes)
{
    if (f->budget == NULL) {
        return true;
    }
    if (f->budget->bytes > f->budget->limit_bytes ||
        f->budget->limit_bytes - f->budget->bytes < bytes) {
        return false;
    }
    f->budget->bytes += bytes;
    return true;
}

static void bytes_free(uint8_t *bytes, size_t length)
{
    if (bytes != NULL) {
        wipe(bytes, length);
        free(bytes);
    }
}

void fragments_reset(struct fragments *f)
{
    struct fragments_store *store = f->store;

    if (store == NULL) {
        return;
    }
    budget_give(f, sizeof(*store) + store->capacity);
    bytes_free(store->bytes, store->capacity);
    free(store);
    f->store = NULL;
}

static bool head_is_sane(uint16_t number, uint16_t total)
{
    return number >= 1 && number <= total && total <= FRAGMENTS_MAX;
}

/* The fragment belongs to what is being collected now. */
static bool store_continues(const struct fragments_store *store, uint32_t message_id,
                            uint16_t total)
{
    return store != NULL && store->message_id == message_id && store->total == total;
}

bool fragments_wants(const struct fragments *f, uint32_t message_id, uint16_t number,
                     uint16_t total)
{
    const struct fragments_store *store = f->store;

    if (!head_is_sane(number, total)) {
        return false;
    }
    if (store == NULL || store->message_id != message_id) {
        return true;
    }
    if (total != store->total) {
        return total > store->total;
    }
    return (store->present & (UINT64_C(1) << (number - 1))) == 0;
}

static bool store_begin(struct fragments *f, uint32_t message_id, uint16_t total, uint64_t now_ms)
{
    fragments_reset(f);
    if (!budget_take(f, sizeof(*f->store))) {
        return false;
    }
    f->store = calloc(1, sizeof(*f->store));
    if (f->store == NULL) {
        budget_give(f, sizeof(*f->store));
        return false;
    }
    f->store->message_id = message_id;
    f->store->total = total;
    f->store->started_ms = now_ms;
    return true;
}

/* Room for `length` octets more. Doubling, so that an octet is moved about once; never what a
 * peer announces. */
static bool store_make_room(struct fragments *f, size_t length)
{
    struct fragments_store *store = f->store;
    size_t needed = store->length + length;

    if (needed > FRAGMENTS_BYTES_MAX) {
        return false;
    }
    if (needed <= store->capacity) {
        return true;
    }
    size_t capacity = store->capacity == 0 ? 2048 : store->capacity;

    while (capacity < needed) {
        capacity *= 2;
    }
    if (!budget_take(f, capacity - store->capacity)) {
        return false;
    }
    uint8_t *bytes = malloc(capacity);

    if (bytes == NULL) {
        budget_give(f, capacity - store->capacity);
        return false;
    }
    if (store->length > 0) {
        memcpy(bytes, store->bytes, store->length);
    }
    bytes_free(store->bytes, store->capacity);
    store->bytes = bytes;
    store->capacity = capacity;
    return true;
}

/* Once for each message. False when there is no memory. */
static bool store_put_in_order(struct fragments_store *store)
{
    uint8_t *ordered = malloc(store->capacity == 0 ? 1 : store->capacity);
    size_t length = 0;

    if (ordered == NULL) {
        return false;
    }
    for (size_t i = 0; i < store->total; i++) {
        if (store->pieces[i].length > 0) {
            memcpy(ordered + length, store->bytes + store->pieces[i].offset,
                   store->pieces[i].length);
            length += store->pieces[i].length;
        }
    }
    assert(length == store->length);
    bytes_free(store->bytes, store->capacity);
    store->bytes = ordered;
    store->complete = true;
    return true;
}

enum fragments_verdict fragments_add(struct fragments *f, uint32_t message_id, uint16_t number,
                                     uint16_t total, uint8_t first, struct slice content,
                                     uint64_t now_ms)
{
    if (!fragments_wants(f, message_id, number, total) || content.length > FRAGMENTS_BYTES_MAX) {
        return FRAGMENTS_REFUSED;
    }
    if (!store_continues(f->store, message_id, total) &&
        !store_begin(f, message_id, total, now_ms)) {
        return FRAGMENTS_REFUSED;
    }
    /* A message over a bound will never be whole: nothing of it is worth keeping. */
    if (!store_make_room(f, content.length)) {
        fragments_reset(f);
        return FRAGMENTS_REFUSED;
    }
    struct fragments_store *store = f->store;

    store->pieces[number - 1] = (struct piece){(uint32_t)store->length, (uint32_t)content.length};
    if (content.length > 0) {
        memcpy(store->bytes + store->length, content.data, content.length);
        store->length += content.length;
    }
    store->present |= UINT64_C(1) << (number - 1);
    store->have++;
    if (number == 1) {
        store->first = first;
    }
    if (store->have < store->total) {
        return FRAGMENTS_KEPT;
    }
    if (!store_put_in_order(store)) {
        fragments_reset(f);
        return FRAGMENTS_REFUSED;
    }
    return FRAGMENTS_COMPLETE;
}

struct slice fragments_take(struct fragments *f, uint8_t *first)
{
    assert(f->store != NULL);
    assert(f->store->complete);
    *first = f->store->first;
    return (struct slice){f->store->bytes, f->store->length};
}

uint64_t fragments_deadline_ms(const struct fragments *f)
{
    return f->store == NULL ? NEVER_MS : f->store->started_ms + FRAGMENTS_LIFETIME_MS;
}

void fragments_time(struct fragments *f, uint64_t now_ms)
{
    if (now_ms >= fragments_deadline_ms(f)) {
        fragments_reset(f);
    }
}
