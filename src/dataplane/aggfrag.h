/*
 * What both ends of an IP-TFS tunnel (RFC 9347) share: the settings of an SA pair, and the news
 * about congestion that the receiving side has for the sending side.
 */
#ifndef SEKISHO_DATAPLANE_AGGFRAG_H
#define SEKISHO_DATAPLANE_AGGFRAG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/defs.h"

/* Times of the engines are microseconds of the clock that milliseconds come from elsewhere. */
#define NEVER_US UINT64_MAX

/* No inner packet is longer; that of an IPv6 packet which says more is refused. */
#define AGGFRAG_PACKET_BYTES_MAX UINT16_MAX
/* The least room for data blocks that is worth a packet. */
#define AGGFRAG_DATA_BYTES_MIN 64

#define AGGFRAG_REORDER_DEFAULT 3 /* RFC 9347 2.2.3 */
#define AGGFRAG_REORDER_MAX 64
#define AGGFRAG_REORDER_OFF UINT16_MAX
#define AGGFRAG_LOST_AFTER_US 50000
#define AGGFRAG_QUEUE_BYTES_MIN (UINT32_C(1) << 16)
#define AGGFRAG_QUEUE_BYTES_MAX (UINT32_C(1) << 22)

struct aggfrag_settings {
    bool enabled;
    uint64_t rate_bits; /* of outer packets, a second; 0: what the congestion control allows */
    uint64_t rate_bits_min; /* of congestion control; 0: one packet a second */
    uint16_t packet_bytes; /* outer, with its IP header; 0: the path MTU */
    bool congestion_control; /* the rate follows what the peer reports (2.4.2) */
    bool congestion_reports; /* the peer wants reports (5.1, C) */
    bool dont_fragment; /* the peer cannot put fragments together (5.1, D) */
    uint16_t reorder_window; /* packets; 0: 3; AGGFRAG_REORDER_OFF: none */
    uint32_t lost_after_us; /* a gap is given up after this time; 0: 50 ms */
    uint32_t queue_bytes; /* inner packets that wait; 0: 100 ms of the rate, 64 KiB to 4 MiB */
};

/* Whether there is a rate: rate_bits, or congestion control, and a window that is not too large. */
MUST_USE bool aggfrag_settings_are_good(const struct aggfrag_settings *settings);

/* What the receiving side last learnt. It becomes the congestion fields of what is sent next. */
struct aggfrag_news {
    uint64_t arrived_us; /* when; 0: never */
    /* The peer about what we send. */
    uint32_t loss_inverse;
    uint32_t techo;
    uint32_t echo_delay_us;
    uint32_t transmit_delay_us;
    /* We about what the peer sends. */
    uint32_t tval; /* to be echoed, and since when we have it */
    uint64_t tval_arrived_us;
    uint32_t lost_inverse;
};

/* From the worker that opens to the worker that seals, without a lock: the newest value. One puts,
 * one takes. Zeros are an empty one. */
#define AGGFRAG_LINK_WORDS 5
struct aggfrag_link {
    _Atomic uint64_t version; /* odd while it is being written */
    _Atomic uint64_t words[AGGFRAG_LINK_WORDS];
};

void aggfrag_link_put(struct aggfrag_link *link, const struct aggfrag_news *news);
/* False when there is nothing newer than *seen (0 in the beginning), or it is just being written:
 * then there will be another time. */
MUST_USE bool aggfrag_link_take(struct aggfrag_link *link, uint64_t *seen,
                                struct aggfrag_news *news);

#endif
