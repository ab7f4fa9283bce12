/*
 * Work that takes long, done by threads of its own: arithmetic without state. A job is a pointer to
 * something that the putter owns, does not touch while it is away, and gets back.
 */
#ifndef SEKISHO_HOST_JOBS_H
#define SEKISHO_HOST_JOBS_H

#include "host/loop.h"

struct jobs;

/* `run` is called in a job thread; `done` is woken when one is ready. NULL when there are no
 * threads to be had. */
MUST_USE struct jobs *jobs_new(size_t threads, void (*run)(void *job), const struct wake *done);
/* Waits for the jobs that are under way; `drop` gets all that nobody will take any more. */
void jobs_free(struct jobs *jobs, void (*drop)(void *job));
/* False when too many are waiting. */
MUST_USE bool jobs_put(struct jobs *jobs, void *job);
/* One that is ready, or NULL. */
MUST_USE void *jobs_take(struct jobs *jobs);

#endif
