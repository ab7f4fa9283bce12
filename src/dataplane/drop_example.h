/*
 * An example of a dropped packet, for the audit log that RFC 4301 4.4.2, RFC 4302 4 and RFC 4303 4
 * ask for: why, when, of which SA, from whom to whom. A worker makes at most one a second of a
 * reason; all packets are counted in any case (struct dataplane_doors).
 */
#ifndef SEKISHO_DATAPLANE_DROP_EXAMPLE_H
#define SEKISHO_DATAPLANE_DROP_EXAMPLE_H

#include "base/address.h"
#include "dataplane/drop.h"
#include "wire/ip.h"

#define DROP_EXAMPLE_INTERVAL_MS 1000

struct drop_example {
    enum drop_reason reason;
    uint64_t at_ms;
    bool inbound;
    uint32_t policy_id; /* 0: not known */

    /* Outside, as far as it is known. */
    bool has_outer;
    struct endpoint local, peer;
    uint8_t protocol; /* 50, 51, or 17 for what came in UDP; 0: not known */
    uint32_t spi; /* 0: not known */
    bool has_sequence;
    uint64_t sequence;

    /* Inside, when it could be read: of what came protected only after it proved authentic. */
    bool has_inner;
    struct ip_head inner;
};

struct dataplane;

/* The oldest that was not taken yet; false when there is none. Control thread. */
MUST_USE bool dataplane_next_example(struct dataplane *dp, struct drop_example *out);

#endif
