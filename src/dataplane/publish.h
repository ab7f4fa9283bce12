/*
 * When memory that workers may still be reading can be freed.
 *
 * A reader is inside from publish_enter() to publish_quiet(); in between it may hold what it loaded
 * from published pointers. The one writer first makes an object unreachable, then retires it; it is
 * freed when every reader that was inside at that time has been outside. A reader that sleeps
 * outside holds up nothing.
 */
#ifndef SEKISHO_DATAPLANE_PUBLISH_H
#define SEKISHO_DATAPLANE_PUBLISH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/defs.h"

#define PUBLISH_READERS_MAX 64

struct publish_reader {
    _Alignas(64) _Atomic uint64_t inside; /* the age at which it came in; 0 is outside */
};

/* First member of everything that is retired. */
struct retired {
    struct retired *next;
    uint64_t age;
    void (*release)(struct retired *object);
};

struct publish {
    _Alignas(64) _Atomic uint64_t age;
    struct retired *oldest;
    struct retired *newest;
    size_t waiting;
    struct publish_reader readers[PUBLISH_READERS_MAX];
};

void publish_init(struct publish *p);
/* Releases all; no reader may be inside. */
void publish_fini(struct publish *p);

void publish_enter(struct publish *p, size_t reader);
void publish_quiet(struct publish *p, size_t reader);

/* The object is out of reach already. `release` is called by publish_collect() or publish_fini().
 */
void publish_retire(struct publish *p, struct retired *object,
                    void (*release)(struct retired *object));
void publish_collect(struct publish *p);

#endif
