/*
 * A tap: copies of the packets of one policy for the control thread, as they are on the wire, in
 * clear, or both. Off it costs a look at one pointer a batch, and one a packet where the SA is
 * known; on, workers copy into a ring of octets each, and what finds no room is counted as lost.
 * A packet that is dropped is marked with the reason.
 */
#ifndef SEKISHO_DATAPLANE_TAP_H
#define SEKISHO_DATAPLANE_TAP_H

#include "base/address.h"
#include "dataplane/drop.h"

#define TAP_SNAP_BYTES 65535

enum tap_what {
    TAP_OUTER = 1, /* as it is on the wire */
    TAP_INNER = 2, /* in clear */
};

struct tap_record {
    uint64_t at_ms;
    bool inbound;
    bool inner; /* in clear; else on the wire */
    enum drop_reason reason; /* DROP_NONE: it passed so far */
    /* The SA; 0: none was there. */
    uint32_t spi_in; /* its name, whatever the direction */
    uint32_t spi; /* on the wire in this direction */
    uint8_t protocol; /* 50 or 51 */

    /* Outer packets. Where the system writes and strips the headers outside, the data is what
     * stands behind them and this is what is in them. */
    bool has_head;
    struct endpoint local, peer;
    uint8_t outer_protocol, tos;
    bool dont_fragment;

    uint32_t original_bytes;
    struct slice data; /* borrowed until the next one is taken */
};

struct dataplane;

/* All of the control thread. One at a time: false when there is one, or no memory. */
MUST_USE bool dataplane_tap_begin(struct dataplane *dp, uint32_t policy_id, unsigned what);
void dataplane_tap_end(struct dataplane *dp);
MUST_USE bool dataplane_tap_is_on(const struct dataplane *dp);
/* The oldest of one worker that was not taken yet; of one worker they come in order. */
MUST_USE bool dataplane_tap_next(struct dataplane *dp, struct tap_record *out);
/* What found no room since it began. */
uint64_t dataplane_tap_lost(const struct dataplane *dp);

#endif
