/* Decides how datagrams of any length share one ring: a head, the octets, and a gap where the ring
 * ends. */
#include "sekishod/datagrams.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct head {
    size_t length; /* SIZE_MAX: nothing more before the end of the ring */
    struct endpoint local, peer;
};

#define GAP SIZE_MAX

static size_t record_bytes(size_t length)
{
    size_t bytes = sizeof(struct head) + length;

    return (bytes + _Alignof(struct head) - 1) & ~(_Alignof(struct head) - 1);
}

bool datagrams_init(struct datagrams *d, size_t capacity)
{
    assert(capacity >= 1024 && (capacity & (capacity - 1)) == 0);
    *d = (struct datagrams){.bytes = malloc(capacity), .capacity = capacity};
    return d->bytes != NULL;
}

void datagrams_fini(struct datagrams *d)
{
    free(d->bytes);
    d->bytes = NULL;
}

bool datagrams_put(struct datagrams *d, const struct datagram *datagram)
{
    size_t head = atomic_load_explicit(&d->head, memory_order_acquire);
    size_t tail = atomic_load_explicit(&d->tail, memory_order_relaxed);
    size_t needed = record_bytes(datagram->bytes.length);
    size_t at = tail & (d->capacity - 1);
    size_t to_end = d->capacity - at;
    size_t gap = to_end < needed ? to_end : 0;

    if (datagram->bytes.length > d->capacity / 2 || tail - head + gap + needed > d->capacity) {
        return false;
    }
    if (gap != 0) {
        size_t marker = GAP;

        /* Records are multiples of the head's alignment, so a length fits in every gap. */
        memcpy(d->bytes + at, &marker, sizeof(marker));
        at = 0;
    }
    struct head record = {datagram->bytes.length, datagram->local, datagram->peer};
    memcpy(d->bytes + at, &record, sizeof(record));
    if (record.length > 0) {
        memcpy(d->bytes + at + sizeof(record), datagram->bytes.data, record.length);
    }
    atomic_store_explicit(&d->tail, tail + gap + needed, memory_order_release);
    return true;
}

/* Where the oldest record stands, with the gap before it left behind. */
static size_t skip_gap(struct datagrams *d, size_t head)
{
    size_t at = head & (d->capacity - 1);
    size_t length;

    memcpy(&length, d->bytes + at, sizeof(length));
    return length == GAP ? head + (d->capacity - at) : head;
}

bool datagrams_peek(struct datagrams *d, struct datagram *out)
{
    size_t tail = atomic_load_explicit(&d->tail, memory_order_acquire);
    size_t head = atomic_load_explicit(&d->head, memory_order_relaxed);
    struct head record;

    if (head == tail) {
        return false;
    }
    size_t at = skip_gap(d, head) & (d->capacity - 1);
    memcpy(&record, d->bytes + at, sizeof(record));
    *out = (struct datagram){
        record.local, record.peer, {d->bytes + at + sizeof(record), record.length}};
    return true;
}

void datagrams_drop(struct datagrams *d)
{
    size_t head = skip_gap(d, atomic_load_explicit(&d->head, memory_order_relaxed));
    struct head record;

    memcpy(&record, d->bytes + (head & (d->capacity - 1)), sizeof(record));
    atomic_store_explicit(&d->head, head + record_bytes(record.length), memory_order_release);
}
