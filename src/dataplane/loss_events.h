/*
 * How often packets are lost on their way to us, counted as RFC 5348 section 5 wants it: losses
 * within one round trip are one event, and the weighted mean of the distances between the last
 * eight events is the inverse of the loss event rate.
 */
#ifndef SEKISHO_DATAPLANE_LOSS_EVENTS_H
#define SEKISHO_DATAPLANE_LOSS_EVENTS_H

#include <stdbool.h>

#include "base/defs.h"

#define LOSS_INTERVALS 8

struct loss_events {
    uint64_t lengths[LOSS_INTERVALS]; /* in packets, closed, newest first */
    uint32_t count;
    uint64_t event_sequence; /* the first loss of the newest event */
    double event_us;
    uint64_t newest; /* sequence */
    uint64_t counted_since_us; /* for the rate at which packets arrive */
    uint32_t counted;
    double arrival_rate; /* packets a second, over the last whole round trip; 0: not known */
};

/* In the order of sequence numbers. rtt_us: what the sender says; 0: not known. */
void loss_events_arrived(struct loss_events *l, uint64_t sequence, uint64_t now_us,
                         uint32_t rtt_us);
/* Packets first .. end - 1 did not come between two that came at these times. */
void loss_events_lost(struct loss_events *l, uint64_t first, uint64_t end, uint64_t before_us,
                      uint64_t after_us, uint32_t rtt_us);
/* Sequence numbers begin anew at 1; what was counted goes on. */
void loss_events_renumber(struct loss_events *l);
/* 1 / p, at least 1; 0 when nothing was lost yet. */
uint32_t loss_events_inverse(const struct loss_events *l);

#endif
