/* Loss events: the receiver's half of RFC 5348. */
#include "dataplane/loss_events.h"

#include <assert.h>
#include <string.h>

#include "dataplane/tfrc.h"

#define SECOND_US 1000000.0

/* RFC 5348 5.4: 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, in fifths. */
static const uint32_t weights[LOSS_INTERVALS] = {5, 5, 5, 5, 4, 3, 2, 1};

void loss_events_arrived(struct loss_events *l, uint64_t sequence, uint64_t now_us, uint32_t rtt_us)
{
    l->newest = sequence > l->newest ? sequence : l->newest;
    if (l->counted == 0) {
        l->counted_since_us = now_us;
    }
    l->counted++;
    uint64_t elapsed_us = now_us - l->counted_since_us;

    if (rtt_us > 0 && elapsed_us >= rtt_us) {
        l->arrival_rate = (l->counted - 1) * SECOND_US / (double)elapsed_us;
        l->counted = 1;
        l->counted_since_us = now_us;
    }
}

/* RFC 5348 6.3.1: before the first loss there is no distance between losses. It is taken as the one
 * at which TCP would have the rate that arrives; where that cannot be said, as what came so far. */
static uint64_t first_interval(const struct loss_events *l, uint64_t sequence, uint32_t rtt_us)
{
    if (rtt_us == 0 || l->arrival_rate <= 0) {
        return sequence;
    }
    return (uint64_t)(1 / tfrc_equation_inverse(rtt_us / SECOND_US, l->arrival_rate));
}

static void begin_event(struct loss_events *l, uint64_t sequence, double at_us, uint32_t rtt_us)
{
    uint64_t length =
        l->event_sequence == 0 ? first_interval(l, sequence, rtt_us) : sequence - l->event_sequence;

    memmove(l->lengths + 1, l->lengths, sizeof(l->lengths) - sizeof(l->lengths[0]));
    l->lengths[0] = length > 0 ? length : 1;
    l->count += l->count < LOSS_INTERVALS ? 1 : 0;
    l->event_sequence = sequence;
    l->event_us = at_us;
}

void loss_events_lost(struct loss_events *l, uint64_t first, uint64_t end, uint64_t before_us,
                      uint64_t after_us, uint32_t rtt_us)
{
    assert(first < end);
    assert(before_us <= after_us);
    /* RFC 5348 5.2: lost packets are taken to have been on their way evenly. */
    double step_us = (double)(after_us - before_us) / (double)(end - first + 1);
    uint64_t sequence = first;

    l->newest = end - 1 > l->newest ? end - 1 : l->newest;
    /* A longer row fills the memory of events; how it began is forgotten anyway. */
    for (int events = 0; events <= LOSS_INTERVALS && sequence < end; events++) {
        double at_us = (double)before_us + step_us * (double)(sequence - first + 1);
        double quiet_us = l->event_us + rtt_us;

        if (l->count == 0 || at_us > quiet_us) {
            begin_event(l, sequence, at_us, rtt_us);
            quiet_us = at_us + rtt_us;
        }
        if (rtt_us == 0 || step_us <= 0) {
            return; /* one event: nothing says that there were more */
        }
        double skip = (quiet_us - at_us) / step_us;

        sequence += skip < (double)(end - sequence) ? (uint64_t)skip + 1 : end - sequence;
    }
}

void loss_events_renumber(struct loss_events *l)
{
    /* Numbers go round: the newest event lies as far before 1 as it lay before the next one. */
    l->event_sequence -= l->newest;
    l->newest = 0;
}

uint32_t loss_events_inverse(const struct loss_events *l)
{
    if (l->count == 0) {
        return 0;
    }
    /* I_0 is the interval that is still open. It only counts when it makes the mean longer. */
    uint64_t open = l->newest - l->event_sequence + 1;
    uint64_t with_open = open * weights[0];
    uint64_t without_open = 0;
    uint64_t weight = 0;

    for (uint32_t i = 0; i < l->count; i++) {
        without_open += l->lengths[i] * weights[i];
        weight += weights[i];
        if (i + 1 < l->count) {
            with_open += l->lengths[i] * weights[i + 1];
        }
    }
    uint64_t mean = (with_open > without_open ? with_open : without_open) / weight;

    if (mean == 0) {
        return 1;
    }
    return mean < UINT32_MAX ? (uint32_t)mean : UINT32_MAX;
}
