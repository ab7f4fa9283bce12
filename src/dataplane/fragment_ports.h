/*
 * RFC 4301 7.3, 7.4: stateful fragment checking. Only the first fragment of a packet has ports;
 * what it had is remembered, so that the others meet the same selectors. One fixed table, made
 * once, for one worker.
 */
#ifndef SEKISHO_DATAPLANE_FRAGMENT_PORTS_H
#define SEKISHO_DATAPLANE_FRAGMENT_PORTS_H

#include "base/random.h"
#include "wire/ip.h"

#define FRAGMENT_PORTS_SETS 1024
#define FRAGMENT_PORTS_WAYS 4
#define FRAGMENT_PORTS_IPV4_MS (UINT64_C(15) * 1000) /* as long as a receiver waits */
#define FRAGMENT_PORTS_IPV6_MS (UINT64_C(60) * 1000)

enum fragment_ports_result {
    FRAGMENT_PORTS_FOUND, /* `head` says what the first fragment said */
    FRAGMENT_PORTS_UNKNOWN, /* the first was not here, or too long ago: to be dropped */
    FRAGMENT_PORTS_REFUSED, /* would change headers that were judged (RFC 1858, RFC 3128) */
};

struct fragment_ports;

MUST_USE struct fragment_ports *fragment_ports_new(struct random_source *random);
void fragment_ports_free(struct fragment_ports *table);

/* Remembers the protocol and the ports of a first fragment that was let through. False when it has
 * none to remember: the others of its packet will not pass. A later first fragment with the same
 * identification stands for a later packet. */
MUST_USE bool fragment_ports_learn(struct fragment_ports *table, struct slice packet,
                                   const struct ip_head *head, uint64_t now_ms);

/* For a fragment that is not the first: fills protocol and ports of `head` from the first, so that
 * it is matched as a whole packet would be. */
MUST_USE enum fragment_ports_result fragment_ports_find(const struct fragment_ports *table,
                                                        struct slice packet, struct ip_head *head,
                                                        uint64_t now_ms);

#endif
