/*
 * The receiving side of one SA of IP-TFS (RFC 9347): payloads, authentic and each but once, in
 * whatever order they arrive, become inner packets in the order in which they were sent. What lay
 * in a lost payload is missing, and nothing else. It keeps one packet that is not whole yet and the
 * payloads of the reorder window. For one worker at a time.
 *
 *     aggfrag_in_push()       a payload; then, until it says no:
 *     aggfrag_in_next()       an inner packet
 *     aggfrag_in_next_us(), aggfrag_in_time(), aggfrag_in_next() ...
 *                             when a gap must be given up
 */
#ifndef SEKISHO_DATAPLANE_AGGFRAG_IN_H
#define SEKISHO_DATAPLANE_AGGFRAG_IN_H

#include "base/bytes.h"
#include "dataplane/aggfrag.h"
#include "dataplane/loss_events.h"

/* What is longer does not wait for others: a gap before it is given up. */
#define AGGFRAG_HELD_BYTES_MAX 9216

struct aggfrag_in_counters {
    uint64_t packets, packet_bytes; /* inner, handed on */
    uint64_t payloads, all_pad;
    uint64_t lost; /* outer packets that did not come in time */
    uint64_t late; /* of which came after all */
    uint64_t incomplete; /* inner packets that could not be put together */
    uint64_t malformed; /* payloads that were refused, in whole or from some octet on */
};

struct aggfrag_held {
    uint64_t sequence; /* 0: empty */
    uint64_t arrived_us;
    struct slice payload;
    bool probing;
};

struct aggfrag_in {
    uint32_t window;
    uint32_t lost_after_us;
    uint64_t expected; /* sequence that is next */
    uint64_t floor; /* what is missing below is lost */
    uint64_t newest;
    uint64_t before_us; /* when the last one in order arrived */
    struct aggfrag_held *held; /* window + 1 */
    struct aggfrag_held direct; /* a payload that need not wait: not copied */
    uint8_t *held_bytes;
    bool reading;
    struct aggfrag_held *current;
    struct reader blocks;
    uint8_t *partial; /* AGGFRAG_PACKET_BYTES_MAX */
    uint32_t have, need; /* need 0: not known yet; have 0: there is none */
    bool whole; /* `partial` is a packet now */
    uint32_t rtt_us; /* the sender's */
    struct loss_events losses;
    struct aggfrag_news news;
    struct aggfrag_in_counters counters;
};

/* The first sequence number is 1. False: no memory. */
MUST_USE bool aggfrag_in_init(struct aggfrag_in *in, const struct aggfrag_settings *settings);
void aggfrag_in_fini(struct aggfrag_in *in);
/* Memory behind it. */
size_t aggfrag_in_bytes(const struct aggfrag_in *in);

enum aggfrag_arrival {
    AGGFRAG_TAKEN = 0,
    AGGFRAG_LATE, /* its place in the order is over */
    AGGFRAG_SHORT, /* no whole head */
    AGGFRAG_UNKNOWN_TYPE, /* a sub-type that this version does not know */
};
/* `payload` must stay until aggfrag_in_next() has said no; what has to wait is copied. */
MUST_USE enum aggfrag_arrival aggfrag_in_push(struct aggfrag_in *in, uint64_t sequence,
                                              struct slice payload, uint64_t now_us);
/* A whole inner packet: its length is that of its IP header, nothing else was looked at. It is
 * there until the next call. */
MUST_USE bool aggfrag_in_next(struct aggfrag_in *in, struct slice *packet);

/* When a gap is old enough to be given up; NEVER_US when there is none. */
uint64_t aggfrag_in_next_us(const struct aggfrag_in *in);
void aggfrag_in_time(struct aggfrag_in *in, uint64_t now_us);

/* What the sending side should hear, for aggfrag_link_put(). False when nothing about congestion
 * came yet. */
MUST_USE bool aggfrag_in_news(const struct aggfrag_in *in, struct aggfrag_news *news);
/* The losses counted under another SA of the same peer go on under this one. */
void aggfrag_in_take_over(struct aggfrag_in *next, const struct aggfrag_in *old);

#endif
