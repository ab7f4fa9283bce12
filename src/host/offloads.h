/*
 * Which work on many packets in one piece the system does for us, and why the rest is ours. Each
 * part is one word that any thread reads and sets; nobody waits for it.
 */
#ifndef SEKISHO_HOST_OFFLOADS_H
#define SEKISHO_HOST_OFFLOADS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/defs.h"

enum offload_part {
    OFFLOAD_TUN_TCP, /* segments of TCP at the device, in and out */
    OFFLOAD_TUN_UDP, /* datagrams at the device */
    OFFLOAD_SEGMENT, /* what is sent outside over UDP (UDP_SEGMENT) */
    OFFLOAD_JOIN, /* what is received outside over UDP (UDP_GRO) */
    OFFLOAD_ESP_RING, /* what is received outside as native ESP (host/link_ring.h) */
    OFFLOAD_PARTS,
};

enum offload_state {
    OFFLOAD_UNWANTED, /* by the configuration or the command line */
    OFFLOAD_IN_USE,
    OFFLOAD_ABSENT, /* this system does not have it */
    OFFLOAD_WRONG, /* the test at the start found other bytes than were sent */
    OFFLOAD_REFUSED, /* it was there, but the system refused our packets while they passed singly */
    OFFLOAD_CORRUPT, /* what came in one piece never proved authentic, what came singly did */
};

struct offloads {
    atomic_int states[OFFLOAD_PARTS];
};

static inline enum offload_state offloads_get(const struct offloads *offloads,
                                              enum offload_part part)
{
    return (enum offload_state)atomic_load_explicit(&offloads->states[part], memory_order_relaxed);
}

static inline bool offloads_uses(const struct offloads *offloads, enum offload_part part)
{
    return offloads_get(offloads, part) == OFFLOAD_IN_USE;
}

void offloads_set(struct offloads *offloads, enum offload_part part, enum offload_state state);
/* Out of use for this reason; nothing when it is not in use. Any thread. */
void offloads_retreat(struct offloads *offloads, enum offload_part part, enum offload_state state);

/* "tun-tcp" */
const char *offload_name(enum offload_part part);
/* Why it is not in use; "" when it is. */
const char *offload_reason(enum offload_part part, enum offload_state state);
/* "TUN TSO+USO, UDP segmentation+GRO, ESP ring", or "off". */
#define OFFLOADS_TEXT_BYTES 64
const char *offloads_describe(const struct offloads *offloads, char out[OFFLOADS_TEXT_BYTES]);

#endif
