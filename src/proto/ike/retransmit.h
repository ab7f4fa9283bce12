/*
 * When a request is sent again (RFC 7296 2.1, 2.4): after `first_ms`, then 1.8 times as long each
 * time up to `max_ms`, each wait varied at random by a tenth either way, so that a thousand SAs
 * do not ask at the same moment.
 */
#ifndef SEKISHO_PROTO_IKE_RETRANSMIT_H
#define SEKISHO_PROTO_IKE_RETRANSMIT_H

#include "base/random.h"

struct retransmit {
    uint64_t deadline_ms; /* NEVER_MS when stopped */
    uint64_t wait_ms; /* the next one, without variation */
    uint64_t max_ms;
    unsigned again; /* how often it was sent again so far */
    unsigned tries; /* how often it is sent again before it is given up */
};

enum retransmit_step {
    RETRANSMIT_WAIT, /* not yet */
    RETRANSMIT_SEND, /* now; the next deadline is set */
    RETRANSMIT_GIVE_UP, /* the last one stayed unanswered as well; stopped */
};

/* The request was sent for the first time at `now_ms`. `tries` counts what comes after that
 * one: 0 waits once for the answer and gives up. first_ms > 0. */
void retransmit_start(struct retransmit *r, uint64_t first_ms, uint64_t max_ms, unsigned tries,
                      uint64_t now_ms, struct random_source *random);
void retransmit_stop(struct retransmit *r);
/* Woken too early is harmless; a clock that jumped far ahead still costs one step only. */
MUST_USE enum retransmit_step retransmit_time(struct retransmit *r, uint64_t now_ms,
                                              struct random_source *random);

#endif
