/*
 * Waiting for many descriptors at once, being woken by another thread, and signals as events: one
 * loop is used by one thread; only wake_up() may be called from others.
 */
#ifndef SEKISHO_HOST_LOOP_H
#define SEKISHO_HOST_LOOP_H

#include <stdbool.h>

#include "base/defs.h"

/* What a descriptor is ready for. */
#define LOOP_READ 1u
#define LOOP_WRITE 2u
#define LOOP_ERROR 4u /* an error, an entry in the error queue, or the other end is gone */

/* Embedded in whoever waits, who owns it and the descriptor; it must stay in place while it is in
 * the loop. */
struct loop_source {
    int fd;
    void (*ready)(void *context, unsigned events);
    void *context;
};

#define LOOP_EVENTS_MAX 64

struct loop {
    int epoll_fd;
    size_t event_count; /* of this turn */
    struct loop_source *events[LOOP_EVENTS_MAX];
};

MUST_USE bool loop_init(struct loop *loop);
void loop_fini(struct loop *loop);
MUST_USE bool loop_add(struct loop *loop, struct loop_source *source, unsigned events);
void loop_change(struct loop *loop, struct loop_source *source, unsigned events);
/* The source is not called any more, not even for what is pending in this turn. */
void loop_remove(struct loop *loop, struct loop_source *source);
/* Waits at most `timeout_ms` (NEVER_MS: for ever, 0: not at all) and calls those that are ready.
 * Returns how many. */
size_t loop_turn(struct loop *loop, uint64_t timeout_ms);
/* The same with a finer time: for what is sent at a steady pace. */
size_t loop_turn_us(struct loop *loop, uint64_t timeout_us);

/* An eventfd: any number of wake-ups before the sleeper looks are one. */
struct wake {
    struct loop_source source;
};

MUST_USE bool wake_init(struct wake *wake, void (*ready)(void *context, unsigned events),
                        void *context);
void wake_fini(struct wake *wake);
void wake_up(const struct wake *wake);
/* To be called in `ready`, before the sleeper looks at what it was woken for. */
void wake_clear(const struct wake *wake);

/* Signals arrive as readable events; they are blocked in every thread that is started afterwards.
 * SIGPIPE is ignored: writing to somebody who is gone is an error like others. */
struct signals {
    struct loop_source source;
};

MUST_USE bool signals_init(struct signals *signals, const int *numbers, size_t count,
                           void (*ready)(void *context, unsigned events), void *context);
void signals_fini(struct signals *signals);
/* The next signal's number, 0 when there is none. */
int signals_next(const struct signals *signals);

#endif
