/*
 * A binary heap of deadlines, soonest at place 1. Every member knows its place, so moving and
 * removing need no search.
 */
#include "base/deadline.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_CAPACITY 64

void deadlines_init(struct deadlines *d)
{
    *d = (struct deadlines){0};
}

void deadlines_fini(struct deadlines *d)
{
    for (size_t i = 0; i < d->count; i++) {
        d->heap[i]->place = 0;
    }
    free(d->heap);
    *d = (struct deadlines){0};
}

static void put_at(struct deadlines *d, size_t place, struct deadline *deadline)
{
    d->heap[place - 1] = deadline;
    deadline->place = (uint32_t)place;
}

static void sift_up(struct deadlines *d, struct deadline *deadline)
{
    size_t place = deadline->place;

    while (place > 1 && d->heap[place / 2 - 1]->at_ms > deadline->at_ms) {
        put_at(d, place, d->heap[place / 2 - 1]);
        place /= 2;
    }
    put_at(d, place, deadline);
}

static void sift_down(struct deadlines *d, struct deadline *deadline)
{
    size_t place = deadline->place;

    for (;;) {
        size_t child = place * 2;

        if (child > d->count) {
            break;
        }
        if (child < d->count && d->heap[child]->at_ms < d->heap[child - 1]->at_ms) {
            child++;
        }
        if (d->heap[child - 1]->at_ms >= deadline->at_ms) {
            break;
        }
        put_at(d, place, d->heap[child - 1]);
        place = child;
    }
    put_at(d, place, deadline);
}

static bool make_room(struct deadlines *d)
{
    if (d->count < d->capacity) {
        return true;
    }
    size_t capacity = d->capacity == 0 ? FIRST_CAPACITY : d->capacity * 2;

    if (capacity > UINT32_MAX) {
        return false;
    }
    struct deadline **heap = realloc(d->heap, capacity * sizeof(struct deadline *));

    if (heap == NULL) {
        return false;
    }
    d->heap = heap;
    d->capacity = capacity;
    return true;
}

bool deadlines_set(struct deadlines *d, struct deadline *deadline, uint64_t at_ms)
{
    if (at_ms == NEVER_MS) {
        deadlines_remove(d, deadline);
        return true;
    }
    if (deadline->place == 0) {
        if (!make_room(d)) {
            return false;
        }
        d->count++;
        deadline->at_ms = at_ms;
        put_at(d, d->count, deadline);
        sift_up(d, deadline);
        return true;
    }
    assert(d->heap[deadline->place - 1] == deadline);
    uint64_t before_ms = deadline->at_ms;

    deadline->at_ms = at_ms;
    if (at_ms < before_ms) {
        sift_up(d, deadline);
    } else if (at_ms > before_ms) {
        sift_down(d, deadline);
    }
    return true;
}

void deadlines_remove(struct deadlines *d, struct deadline *deadline)
{
    size_t place = deadline->place;

    if (place == 0) {
        return;
    }
    assert(place <= d->count);
    assert(d->heap[place - 1] == deadline);
    struct deadline *last = d->heap[d->count - 1];

    d->count--;
    deadline->place = 0;
    if (last == deadline) {
        return;
    }
    put_at(d, place, last);
    sift_up(d, last);
    sift_down(d, last);
}

uint64_t deadlines_next_ms(const struct deadlines *d)
{
    return d->count == 0 ? NEVER_MS : d->heap[0]->at_ms;
}

struct deadline *deadlines_take_due(struct deadlines *d, uint64_t now_ms)
{
    if (d->count == 0 || d->heap[0]->at_ms > now_ms) {
        return NULL;
    }
    struct deadline *due = d->heap[0];

    deadlines_remove(d, due);
    return due;
}
