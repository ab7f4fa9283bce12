/*
 * Fragments of clear packets become the packets that they were cut from (RFC 791 3.2, RFC
 * 8200 4.5): AH and ESP in transport mode protect whole datagrams only (RFC 4302 3.3.4, RFC
 * 4303 3.3.4).
 *
 * One fixed table, made once; what it may hold is bounded for all and for each sender. A fragment
 * costs one look at the table and one copy, in whatever order fragments come.
 */
#ifndef SEKISHO_DATAPLANE_REASSEMBLY_H
#define SEKISHO_DATAPLANE_REASSEMBLY_H

#include "base/packet.h"
#include "base/random.h"
#include "wire/ip.h"

#define REASSEMBLY_DATAGRAMS 64 /* at once */
#define REASSEMBLY_OF_SOURCE 16 /* at once of one sender */
#define REASSEMBLY_IPV4_MS (UINT64_C(15) * 1000) /* RFC 791 3.2 */
#define REASSEMBLY_IPV6_MS (UINT64_C(60) * 1000) /* RFC 8200 4.5 */

enum reassembly_result {
    REASSEMBLY_WHOLE, /* `out` is the datagram */
    REASSEMBLY_WAITS, /* copied; the fragment itself is not needed any more */
    REASSEMBLY_DOUBLED, /* exactly this fragment is here already */
    REASSEMBLY_MALFORMED, /* this fragment can be part of no datagram */
    REASSEMBLY_TOO_LARGE, /* the datagram would be longer than any */
    REASSEMBLY_OVERLAPS, /* RFC 5722: the whole datagram is refused, and what comes of it later */
    REASSEMBLY_CONGESTION, /* RFC 3168 5.3: marked, but not all of it can say so */
};

struct reassembly_counters {
    uint64_t whole;
    uint64_t timed_out; /* datagrams that were never completed */
    uint64_t evicted; /* datagrams that made room for younger ones */
};

struct reassembly;

/* NULL when there is no memory. What is not used does not become resident. */
MUST_USE struct reassembly *reassembly_new(struct random_source *random);
void reassembly_free(struct reassembly *r);

/* `fragment` is a packet that ip_read() read into `head`, and nothing behind it; a packet that is
 * none is whole already. `out` may be the packet that holds `fragment`; it is written to when the
 * result is REASSEMBLY_WHOLE and has room for the largest datagram from its offset on. */
MUST_USE enum reassembly_result reassembly_add(struct reassembly *r, struct slice fragment,
                                               const struct ip_head *head, uint64_t now_ms,
                                               struct packet *out);

/* Gives up what has waited for too long. It would be given up anyway when it is met or its place is
 * needed; this keeps the counters true when no fragments come. */
void reassembly_expire(struct reassembly *r, uint64_t now_ms);

const struct reassembly_counters *reassembly_counters(const struct reassembly *r);

#endif
