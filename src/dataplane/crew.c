/* Decides when help pays, and shares out a batch in parts. */
#include "dataplane/crew.h"

/* A part fills the lanes of a multi-buffer cipher. */
#define PART_JOBS 16
/* Below that much work for one alone, whoever is woken comes too late. */
#define WORTH_US 150
#define NS_A_US 1000
#define BATCHES_ALONE 1000
#define BATCHES_UNMEASURED 64
/* How much the newest measurement counts. */
#define WEIGHT 8

bool crew_init(struct crew *crew)
{
    *crew = (struct crew){0};
    if (pthread_mutex_init(&crew->lock, NULL) != 0) {
        return false;
    }
    if (pthread_cond_init(&crew->done, NULL) != 0) {
        (void)pthread_mutex_destroy(&crew->lock);
        return false;
    }
    return true;
}

void crew_fini(struct crew *crew)
{
    (void)pthread_cond_destroy(&crew->done);
    (void)pthread_mutex_destroy(&crew->lock);
}

static bool offer(struct crew *crew, struct protect_job *jobs, size_t count)
{
    (void)pthread_mutex_lock(&crew->lock);
    bool is_free = crew->jobs == NULL;
    if (is_free) {
        crew->jobs = jobs;
        crew->count = count;
        crew->taken = crew->opened = 0;
    }
    (void)pthread_mutex_unlock(&crew->lock);
    return is_free;
}

bool crew_help(struct crew *crew, struct protect_engine *engine)
{
    (void)pthread_mutex_lock(&crew->lock);
    size_t left = crew->jobs == NULL ? 0 : crew->count - crew->taken;
    size_t count = left < PART_JOBS ? left : PART_JOBS;
    struct protect_job *jobs = count == 0 ? NULL : &crew->jobs[crew->taken];
    crew->taken += count;
    (void)pthread_mutex_unlock(&crew->lock);
    if (count == 0) {
        return false;
    }
    protect_open(engine, jobs, count);
    (void)pthread_mutex_lock(&crew->lock);
    crew->opened += count;
    if (crew->opened == crew->count) {
        (void)pthread_cond_signal(&crew->done);
    }
    (void)pthread_mutex_unlock(&crew->lock);
    return true;
}

static void wait_for_all(struct crew *crew)
{
    (void)pthread_mutex_lock(&crew->lock);
    while (crew->opened < crew->count) {
        (void)pthread_cond_wait(&crew->done, &crew->lock);
    }
    crew->jobs = NULL;
    (void)pthread_mutex_unlock(&crew->lock);
}

static void learn(struct crew_pace *pace, uint64_t took_us, size_t count)
{
    uint64_t now_ns = took_us * NS_A_US / count;

    pace->job_ns =
        pace->job_ns == 0 ? now_ns : (pace->job_ns * (WEIGHT - 1) + now_ns + WEIGHT - 1) / WEIGHT;
}

bool crew_pays(struct crew_pace *pace, size_t count)
{
    if (pace->batches_alone > 0) {
        pace->batches_alone--;
        return false;
    }
    if (pace->until_measured == 0) {
        pace->until_measured = BATCHES_UNMEASURED;
        return true;
    }
    pace->until_measured--;
    return pace->job_ns * count / NS_A_US >= WORTH_US;
}

void crew_open(struct crew *crew, struct crew_pace *pace, const struct dataplane_helpers *helpers,
               struct protect_engine *engine, struct protect_job *jobs, size_t count)
{
    uint64_t began_us = helpers->now_us();
    uint64_t alone_us = pace->job_ns * count / NS_A_US;

    if (alone_us < WORTH_US || !offer(crew, jobs, count)) {
        protect_open(engine, jobs, count);
        learn(pace, helpers->now_us() - began_us, count);
        return;
    }
    helpers->call(helpers->context, count / PART_JOBS - 1);
    while (crew_help(crew, engine)) {
    }
    wait_for_all(crew);
    if (helpers->now_us() - began_us > alone_us) {
        pace->batches_alone = BATCHES_ALONE;
    }
}
