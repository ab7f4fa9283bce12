/*
 * Work that takes long, done by threads of its own: arithmetic without state. A job is a pointer to
 * something that the putter owns, does not touch while it is away, and gets back.
 */
#ifndef SEKISHO_HOST_JOBS_H
#define SEKISHO_HOST_JOBS_H

#include "host/loop.h"

struct jobs;

#define JOB_THREADS_MAX 16

enum job_kind {
    JOB_COMMON,
    JOB_URGENT, /* goes before all that are not, whenever it came */
    JOB_KINDS,
};

/* `run` is called in a job thread; `done` is woken when one is ready. NULL when there are no
 * threads to be had. */
MUST_USE struct jobs *jobs_new(size_t threads, void (*run)(void *job), const struct wake *done);
/* Waits for the jobs that are under way; `drop` gets all that nobody will take any more. */
void jobs_free(struct jobs *jobs, void (*drop)(void *job));
/* False when too many of this kind are waiting; it never waits. */
MUST_USE bool jobs_put(struct jobs *jobs, void *job, enum job_kind kind);
/* One that is ready, or NULL. Who was woken takes until there is none. They come in any order. */
MUST_USE void *jobs_take(struct jobs *jobs);

#endif
