/* Decides how many jobs may wait, and which thread does the next one: they take turns. */
#include "host/jobs.h"

#include "base/ring.h"

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define LANE_JOBS 1024
#define LANES_MAX 16

struct lane {
    struct jobs *jobs;
    struct ring waiting, ready;
    sem_t work;
    pthread_t thread;
    bool started;
    size_t away; /* put and not taken: never more than fit in a ring */
};

struct jobs {
    void (*run)(void *job);
    const struct wake *done;
    struct lane lanes[LANES_MAX];
    size_t lane_count, next;
    atomic_bool ends;
};

static void *lane_run(void *context)
{
    struct lane *lane = context;
    void *job;

    for (;;) {
        while (sem_wait(&lane->work) != 0) {
        }
        if (atomic_load(&lane->jobs->ends)) {
            return NULL;
        }
        if (!ring_take(&lane->waiting, &job)) {
            continue;
        }
        lane->jobs->run(job);
        bool put = ring_put(&lane->ready, &job);
        assert(put);
        wake_up(lane->jobs->done);
    }
}

static bool lane_start(struct jobs *jobs, struct lane *lane)
{
    lane->jobs = jobs;
    if (sem_init(&lane->work, 0, 0) != 0 || !ring_init(&lane->waiting, sizeof(void *), LANE_JOBS) ||
        !ring_init(&lane->ready, sizeof(void *), LANE_JOBS)) {
        return false;
    }
    lane->started = pthread_create(&lane->thread, NULL, lane_run, lane) == 0;
    return lane->started;
}

struct jobs *jobs_new(size_t threads, void (*run)(void *job), const struct wake *done)
{
    /* Rings want whole cache lines, which calloc() does not promise. */
    struct jobs *jobs = aligned_alloc(_Alignof(struct jobs), sizeof(*jobs));
    bool ok = jobs != NULL;

    assert(threads > 0 && threads <= LANES_MAX);
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
    void *job;

    if (lane->started) {
        (void)sem_post(&lane->work);
        (void)pthread_join(lane->thread, NULL);
        while (ring_take(&lane->waiting, &job) || ring_take(&lane->ready, &job)) {
            drop(job);
        }
        (void)sem_destroy(&lane->work);
    }
    ring_fini(&lane->waiting);
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

bool jobs_put(struct jobs *jobs, void *job)
{
    struct lane *lane = &jobs->lanes[jobs->next++ % jobs->lane_count];

    if (lane->away == LANE_JOBS || !ring_put(&lane->waiting, &job)) {
        return false;
    }
    lane->away++;
    (void)sem_post(&lane->work);
    return true;
}

void *jobs_take(struct jobs *jobs)
{
    void *job = NULL;

    for (size_t i = 0; i < jobs->lane_count; i++) {
        if (ring_take(&jobs->lanes[i].ready, &job)) {
            jobs->lanes[i].away--;
            return job;
        }
    }
    return NULL;
}
