/*
 * A ring between one putter and one taker. Both indices only grow; their difference is what is
 * inside. Each side writes its own index with release and reads the other's with acquire, so a
 * message is whole before it is seen and read before it is overwritten.
 */
#include "base/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool ring_init(struct ring *r, size_t message_bytes, size_t capacity)
{
    assert(message_bytes > 0);
    assert(capacity > 0 && (capacity & (capacity - 1)) == 0);
    r->messages = calloc(capacity, message_bytes);
    r->message_bytes = message_bytes;
    r->capacity = r->messages == NULL ? 0 : capacity;
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
    return r->messages != NULL;
}

void ring_fini(struct ring *r)
{
    free(r->messages);
    r->messages = NULL;
    r->capacity = 0;
}

bool ring_put(struct ring *r, const void *message)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&r->head, memory_order_acquire);

    assert(r->capacity > 0);
    if (tail - head == r->capacity) {
        return false;
    }
    memcpy(r->messages + (tail & (r->capacity - 1)) * r->message_bytes, message, r->message_bytes);
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return true;
}

bool ring_take(struct ring *r, void *message)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);

    assert(r->capacity > 0);
    if (head == tail) {
        return false;
    }
    memcpy(message, r->messages + (head & (r->capacity - 1)) * r->message_bytes, r->message_bytes);
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return true;
}
