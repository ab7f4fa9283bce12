/*
 * An IPv6 packet cut into fragments by its source (RFC 8200 4.5): the Per-Fragment headers in each,
 * a Fragment header, and a piece of the rest.
 */
#ifndef SEKISHO_WIRE_IPV6_CUT_H
#define SEKISHO_WIRE_IPV6_CUT_H

#include "wire/ipv6_fragment.h"

/* How a packet is cut. */
struct ipv6_cut {
    struct slice packet; /* as long as its header says */
    struct ipv6_fragment first; /* where the Fragment header goes, and the identification */
    size_t piece_bytes; /* of each but the last: a multiple of eight */
    size_t count;
};

/* Borrows the packet. False when there is nothing to cut (it fits in `mtu`, or is a fragment), when
 * it cannot be read, or when the first fragment would not hold all headers with the first eight
 * octets of the upper layer. */
MUST_USE bool ipv6_cut_plan(struct slice packet, size_t mtu, uint32_t identification,
                            struct ipv6_cut *out);
/* Octets of fragment `number`, from 0. */
size_t ipv6_cut_bytes(const struct ipv6_cut *cut, size_t number);
/* Writes it as a whole packet; the writer fails when there is no room. */
void ipv6_cut_write(struct writer *w, const struct ipv6_cut *cut, size_t number);
/* Makes the first fragment where the packet stands, when all others are written: eight octets more
 * of it are used than are kept. Returns how long it is. */
size_t ipv6_cut_here(uint8_t *packet, const struct ipv6_cut *cut);

#endif
