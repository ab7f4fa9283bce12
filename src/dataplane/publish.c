/*
 * Quiescent-state reclamation. The orders are all sequentially consistent, so of "the reader
 * announces itself, then loads the pointer" and "the writer replaces the pointer, then looks at the
 * announcements" at least one sees the other.
 */
#include "dataplane/publish.h"

#include <assert.h>

void publish_init(struct publish *p)
{
    atomic_init(&p->age, 1);
    p->oldest = NULL;
    p->newest = NULL;
    p->waiting = 0;
    for (size_t i = 0; i < PUBLISH_READERS_MAX; i++) {
        atomic_init(&p->readers[i].inside, 0);
    }
}

void publish_enter(struct publish *p, size_t reader)
{
    assert(reader < PUBLISH_READERS_MAX);
    _Atomic uint64_t *inside = &p->readers[reader].inside;

    /* Only the reader itself writes here; while it is inside its first announcement stands. */
    if (atomic_load_explicit(inside, memory_order_relaxed) == 0) {
        atomic_store(inside, atomic_load(&p->age));
    }
}

void publish_quiet(struct publish *p, size_t reader)
{
    assert(reader < PUBLISH_READERS_MAX);
    atomic_store_explicit(&p->readers[reader].inside, 0, memory_order_release);
}

void publish_retire(struct publish *p, struct retired *object,
                    void (*release)(struct retired *object))
{
    object->next = NULL;
    object->release = release;
    /* Whoever comes in from now on announces at least this age and finds the object gone. */
    object->age = atomic_fetch_add(&p->age, 1) + 1;
    if (p->newest == NULL) {
        p->oldest = object;
    } else {
        p->newest->next = object;
    }
    p->newest = object;
    p->waiting++;
}

static void publish_release_to(struct publish *p, uint64_t age)
{
    while (p->oldest != NULL && p->oldest->age <= age) {
        struct retired *object = p->oldest;

        p->oldest = object->next;
        if (p->oldest == NULL) {
            p->newest = NULL;
        }
        p->waiting--;
        object->release(object);
    }
}

void publish_collect(struct publish *p)
{
    uint64_t oldest_inside = UINT64_MAX;

    if (p->oldest == NULL) {
        return;
    }
    for (size_t i = 0; i < PUBLISH_READERS_MAX; i++) {
        uint64_t inside = atomic_load(&p->readers[i].inside);

        if (inside != 0 && inside < oldest_inside) {
            oldest_inside = inside;
        }
    }
    publish_release_to(p, oldest_inside);
}

void publish_fini(struct publish *p)
{
    for (size_t i = 0; i < PUBLISH_READERS_MAX; i++) {
        assert(atomic_load(&p->readers[i].inside) == 0);
    }
    publish_release_to(p, UINT64_MAX);
}
