/*
 * How fast a tunnel may send so that it is fair to TCP (RFC 5348), in packets of one size: the
 * sender's half. What is lost is counted by the other end (loss_events.h) and handed in with the
 * round-trip time.
 */
#ifndef SEKISHO_DATAPLANE_TFRC_H
#define SEKISHO_DATAPLANE_TFRC_H

#include <stdbool.h>

#include "base/defs.h"

struct tfrc {
    double rate; /* packets a second, now */
    double rate_min;
    double rate_max;
    uint32_t packet_bytes;
    uint32_t rtt_us; /* smoothed; 0: not known yet */
    uint32_t loss_inverse; /* 1 / p, as last told; 0: no loss */
    uint64_t doubled_us; /* slow start: when the rate was doubled last */
    uint64_t updated_us;
    uint64_t no_feedback_us; /* when silence halves the rate */
};

/* 0 < rate_min <= rate_max. */
void tfrc_init(struct tfrc *tfrc, double rate_min, double rate_max, uint32_t packet_bytes,
               uint64_t now_us);
/* What the other end says about us: 1 / (loss event rate), 0 for none, and a round-trip time that
 * was measured, > 0. Cheap when it comes more than once in a round trip. */
void tfrc_feedback(struct tfrc *tfrc, uint32_t loss_inverse, uint32_t rtt_sample_us,
                   uint64_t now_us);
/* Halves the rate when nothing was heard for too long. True when it did. */
bool tfrc_time(struct tfrc *tfrc, uint64_t now_us);

/* RFC 5348 3.1 with b = 1 and t_RTO = 4 R, as RFC 9347 appendix B has it: packets a second. */
double tfrc_equation(double rtt_seconds, double loss_event_rate);
/* The loss event rate at which the equation gives this many packets a second. */
double tfrc_equation_inverse(double rtt_seconds, double rate);

#endif
