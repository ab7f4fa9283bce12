/*
 * Decides how many jobs may wait, which thread gets a job, and which job a thread does next: the
 * thread with the least to do gets it, and urgent ones go first, but never all of the time.
 */
#include "host/jobs.h"

#include "base/ring.h"
#include "host/processors.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define LANE_JOBS 1024 /* of each kind */
/* After so many urgent jobs one that is not gets its turn, so that none waits for ever. */
#define URGENT_IN_A_ROW 8

struct lane {
    struct jobs *jobs;
    struct ring waiting[JOB_KINDS], ready;
    sem_t work;
    pthread_t thread;
    bool started;
    unsigned urgent_in_a_row; /* of the thread */
    size_t away[JOB_KINDS]; /* put and not taken: never more than fit in a ring */
};

struct jobs {
    void (*run)(void *job);
    const struct wake *done;
    struct lane lanes[JOB_THREADS_MAX];
    size_t lane_count, next;
    atomic_bool ends;
    /* The taker was woken and has not looked since: one wake-up for any number of jobs. */
    atomic_bool told;
};

/* What goes back: the taker must know of which kind it was. */
struct done_job {
    void *job;
    enum job_kind kind;
};

static bool lane_next(struct lane *lane, struct done_job *out)
{
    enum job_kind first = lane->urgent_in_a_row < URGENT_IN_A_ROW ? JOB_URGENT : JOB_COMMON;

    out->kind = first;
    if (!ring_take(&lane->waiting[first], &out->job)) {
        out->kind = first == JOB_URGENT ? JOB_COMMON : JOB_URGENT;
        if (!ring_take(&lane->waiting[out->kind], &out->job)) {
            return false;
        }
    }
    lane->urgent_in_a_row = out->kind == JOB_URGENT ? lane->urgent_in_a_row + 1 : 0;
    return true;
}

static void *lane_run(void *context)
{
    struct lane *lane = context;
    struct jobs *jobs = lane->jobs;
    struct done_job next;

    /* Arithmetic that takes long must not keep packets waiting. */
    processors_common();
    for (;;) {
        while (sem_wait(&lane->work) != 0) {
        }
        if (atomic_load(&jobs->ends)) {
            return NULL;
        }
        if (!lane_next(lane, &next)) {
            continue;
        }
        jobs->run(next.job);
        bool put = ring_put(&lane->ready, &next);
        assert(put);
        if (!atomic_exchange(&jobs->told, true)) {
            wake_up(jobs->done);
        }
    }
}

static bool lane_start(struct jobs *jobs, struct lane *lane)
{
    lane->jobs = jobs;
    if (sem_init(&lane->work, 0, 0) != 0 ||
        !ring_init(&lane->ready, sizeof(struct done_job), JOB_KINDS * LANE_JOBS)) {
        return false;
    }
    for (size_t kind = 0; kind < JOB_KINDS; kind++) {
        if (!ring_init(&lane->waiting[kind], sizeof(void *), LANE_JOBS)) {
            return false;
        }
    }
    lane->started = pthread_create(&lane->thread, NULL, lane_run, lane) == 0;
    return lane->started;
}

struct jobs *jobs_new(size_t threads, void (*run)(void *job), const struct wake *done)
{
    /* Rings want whole cache lines, which calloc() does not promise. */
    struct jobs *jobs = aligned_alloc(_Alignof(struct jobs), sizeof(*jobs));
    bool ok = jobs != NULL;

    assert(threads > 0 && threads <= JOB_THREADS_MAX);
    if (ok) {
        memset(jobs, 0, sizeof(*jobs));
        jobs->run = run;
        jobs->done = done;
    }
    for (size_t i = 0; ok && i < threads; i++) {
        jobs->lane_count = i + 1;
        ok = lane_start(jobs, &jobs->lanes[i]);
    }
    if (!ok) {
        jobs_free(jobs, NULL);
        return NULL;
    }
    return jobs;
}

static void lane_stop(struct lane *lane, void (*drop)(void *job))
{
    struct done_job done;
    void *job;

    if (lane->started) {
        (void)sem_post(&lane->work);
        (void)pthread_join(lane->thread, NULL);
        while (ring_take(&lane->waiting[JOB_COMMON], &job) ||
               ring_take(&lane->waiting[JOB_URGENT], &job)) {
            drop(job);
        }
        while (ring_take(&lane->ready, &done)) {
            drop(done.job);
        }
        (void)sem_destroy(&lane->work);
    }
    ring_fini(&lane->waiting[JOB_COMMON]);
    ring_fini(&lane->waiting[JOB_URGENT]);
    ring_fini(&lane->ready);
}

void jobs_free(struct jobs *jobs, void (*drop)(void *job))
{
    if (jobs == NULL) {
        return;
    }
    atomic_store(&jobs->ends, true);
    for (size_t i = 0; i < jobs->lane_count; i++) {
        lane_stop(&jobs->lanes[i], drop);
    }
    free(jobs);
}

/* The one with the least to do; of equal ones they take turns. */
static struct lane *lane_choose(struct jobs *jobs)
{
    struct lane *best = &jobs->lanes[jobs->next++ % jobs->lane_count];

    for (size_t i = 0; i < jobs->lane_count; i++) {
        struct lane *lane = &jobs->lanes[i];

        if (lane->away[JOB_COMMON] + lane->away[JOB_URGENT] <
            best->away[JOB_COMMON] + best->away[JOB_URGENT]) {
            best = lane;
        }
    }
    return best;
}

bool jobs_put(struct jobs *jobs, void *job, enum job_kind kind)
{
    struct lane *lane = lane_choose(jobs);

    if (lane->away[kind] == LANE_JOBS || !ring_put(&lane->waiting[kind], &job)) {
        return false;
    }
    lane->away[kind]++;
    (void)sem_post(&lane->work);
    return true;
}

void *jobs_take(struct jobs *jobs)
{
    struct done_job done;

    /* Said before looking: what becomes ready from here on wakes again, and what was ready when it
     * found itself announced already is seen below. */
    (void)atomic_exchange(&jobs->told, false);
    for (size_t i = 0; i < jobs->lane_count; i++) {
        if (ring_take(&jobs->lanes[i].ready, &done)) {
            jobs->lanes[i].away[done.kind]--;
            return done.job;
        }
    }
    return NULL;
}
