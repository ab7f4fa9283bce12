/*
 * Fragmentation at the source of whole outer packets that we make (RFC 8200 4.5): AH and ESP with
 * an IPv6 header of our own. IPv4, clear or outer, is cut by fit_fragment().
 */
#ifndef SEKISHO_DATAPLANE_FRAGMENT_H
#define SEKISHO_DATAPLANE_FRAGMENT_H

#include "dataplane/plane.h"

/* A buffer of the worker for a piece of `packet`: with the same addresses and marks, and no bytes.
 * NULL when there is none. */
MUST_USE struct packet *fragment_take(struct dataplane_worker *worker, const struct packet *packet);

/* Cuts a whole IPv6 packet, whose data begin with the IPv6 header, into `pieces` of at most `mtu`
 * octets, in order, under one identification that nobody can predict (RFC 7739); the first is the
 * packet itself. Returns how many, or 0 (and the packet is as it was) when there are not enough
 * buffers, more than `capacity` would be needed, the packet is a fragment already, or its headers
 * do not fit into the first piece. */
MUST_USE size_t fragment_ipv6(struct dataplane_worker *worker, struct packet *packet, uint16_t mtu,
                              struct packet **pieces, size_t capacity);

#endif
