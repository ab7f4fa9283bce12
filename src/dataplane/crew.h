/*
 * Workers that help another one to open a batch: of one busy SA, which one worker opens, because
 * its packets must stay in order and its replay window has one writer. Only the cipher is shared
 * out. The owner of the batch looks at every packet before, and judges, counts and delivers all of
 * them after, in the order in which they came.
 *
 * It pays where the cipher is slow beside the rest, which depends on suite and machine, so each
 * worker measures: it calls for help when a batch took it long, and stops calling for a while when
 * the help took longer than doing all alone.
 */
#ifndef SEKISHO_DATAPLANE_CREW_H
#define SEKISHO_DATAPLANE_CREW_H

#include "crypto/protect.h"
#include "dataplane/dataplane.h"

#include <stdatomic.h>

/* The batch that is offered; one at a time, for all workers of a data plane. All zero: nothing is.
 */
struct crew {
    _Atomic bool is_taken; /* by the owner of a batch */
    _Atomic(struct protect_job *) jobs;
    _Atomic uint64_t offered;
    _Atomic size_t opened;
};

/* What a worker knows of its own speed. */
struct crew_pace {
    uint64_t job_ns; /* one job alone, on average; 0: not known yet */
    uint32_t batches_alone; /* still to be done without help */
    uint32_t until_measured; /* so many batches more */
};

/* Whether crew_open() should have this batch: because help pays, or because it is time to measure
 * again whether it would. */
MUST_USE bool crew_pays(struct crew_pace *pace, size_t count);
/* Opens the jobs, with help when it pays. count > 0. */
void crew_open(struct crew *crew, struct crew_pace *pace, const struct dataplane_helpers *helpers,
               struct protect_engine *engine, struct protect_job *jobs, size_t count);
/* Takes a part of what is offered, if anything is, and opens it. False: nothing was left. */
MUST_USE bool crew_help(struct crew *crew, struct protect_engine *engine);

#endif
