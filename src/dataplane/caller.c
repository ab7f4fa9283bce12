/* What the caller of the worker face tells and asks about its own part: packets that the system
 * refused, and news. */
#include "dataplane/plane.h"

#include <assert.h>

static void take_back(struct dataplane_worker *worker, _Atomic uint64_t *door, uint32_t count)
{
    tally(door, (uint64_t)0 - count, worker->dp->shared);
}

uint64_t dataplane_forged(const struct dataplane_worker *worker)
{
    return atomic_load_explicit(&worker->doors.dropped[DROP_FORGED], memory_order_relaxed);
}

void dataplane_count_drop(struct dataplane_worker *worker, enum drop_reason reason, uint32_t count)
{
    struct doors *doors = &worker->doors;
    bool shared = worker->dp->shared;

    assert(reason > DROP_NONE && reason < DROP_REASON_COUNT);
    tally(&doors->dropped[reason], count, shared);
    if (count > 0 && atomic_load_explicit(&worker->now_ms, memory_order_relaxed) >=
                         worker->example_due_ms[reason]) {
        example_keep(worker, NULL, NULL, reason);
    }
    if (reason == DROP_SEND_FAILED || reason == DROP_NO_STREAM || reason == DROP_STREAM_FULL) {
        take_back(worker, &doors->to_wire, count);
    } else if (reason == DROP_TUN_FAILED) {
        take_back(worker, &doors->to_tun, count);
    } else if (reason == DROP_CONTROL_FULL) {
        take_back(worker, &doors->to_control, count);
    } else if (reason == DROP_MALFORMED_OUTER) {
        tally(&doors->from_wire, count, shared);
    } else {
        assert(reason == DROP_MALFORMED_INNER);
        tally(&doors->from_tun, count, shared);
    }
}

static bool has_messages(const struct ring *ring)
{
    return atomic_load_explicit(&ring->head, memory_order_relaxed) !=
           atomic_load_explicit(&ring->tail, memory_order_relaxed);
}

bool dataplane_has_notes(const struct dataplane_worker *worker)
{
    return worker->tap_news || has_messages(&worker->notes) || has_messages(&worker->examples);
}
