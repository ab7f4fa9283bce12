/* Decides when help pays, and shares out a batch in parts. */
#include "dataplane/crew.h"

#include <assert.h>

/* A part fills the lanes of a multi-buffer cipher. */
#define PART_JOBS 16
/* Below that much work for one alone, whoever is woken comes too late. */
#define WORTH_US 150
#define NS_A_US 1000
#define BATCHES_ALONE 1000
#define BATCHES_UNMEASURED 64
/* How much the newest measurement counts. */
#define WEIGHT 8

/* What is offered, in one word: which batch, how many jobs it has, and how many are taken. A word
 * never comes back, so whoever takes a part by exchanging it took one of the batch that he saw. */
#define TAKEN_BITS 16
#define COUNT_BITS 16
#define TAKEN_OF(word) ((size_t)((word)&UINT16_MAX))
#define COUNT_OF(word) ((size_t)((word) >> TAKEN_BITS & UINT16_MAX))
#define BATCH_OF(word) ((word) >> (TAKEN_BITS + COUNT_BITS))

static bool offer(struct crew *crew, struct protect_job *jobs, size_t count)
{
    if (atomic_exchange_explicit(&crew->is_taken, true, memory_order_acquire)) {
        return false;
    }
    uint64_t before = atomic_load_explicit(&crew->offered, memory_order_relaxed);

    assert(count <= UINT16_MAX);
    atomic_store_explicit(&crew->jobs, jobs, memory_order_relaxed);
    atomic_store_explicit(&crew->opened, 0, memory_order_relaxed);
    atomic_store_explicit(&crew->offered,
                          (BATCH_OF(before) + 1) << (TAKEN_BITS + COUNT_BITS) | (uint64_t)count
                                                                                    << TAKEN_BITS,
                          memory_order_release);
    return true;
}

bool crew_help(struct crew *crew, struct protect_engine *engine)
{
    uint64_t word = atomic_load_explicit(&crew->offered, memory_order_acquire);
    size_t count = 0;

    do {
        size_t left = COUNT_OF(word) - TAKEN_OF(word);

        count = left < PART_JOBS ? left : PART_JOBS;
        if (count == 0) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&crew->offered, &word, word + count,
                                                    memory_order_acq_rel, memory_order_acquire));
    struct protect_job *jobs = atomic_load_explicit(&crew->jobs, memory_order_relaxed);
    protect_open(engine, jobs + TAKEN_OF(word), count);
    atomic_fetch_add_explicit(&crew->opened, count, memory_order_release);
    return true;
}

static void wait_for_all(struct crew *crew, const struct dataplane_helpers *helpers, size_t count)
{
    while (atomic_load_explicit(&crew->opened, memory_order_acquire) < count) {
        helpers->yield();
    }
    atomic_store_explicit(&crew->is_taken, false, memory_order_release);
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
    wait_for_all(crew, helpers, count);
    if (helpers->now_us() - began_us > alone_us) {
        pace->batches_alone = BATCHES_ALONE;
    }
}
