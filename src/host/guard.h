/*
 * A guard against clear text that should have come protected (RFC 4301 5.2 step 4): whoever sends
 * packets of a protected network by another way than the tunnel is not heard. Carried out by the
 * system's packet filter (nf_tables), in a table of our own.
 */
#ifndef SEKISHO_HOST_GUARD_H
#define SEKISHO_HOST_GUARD_H

#include "base/address.h"

#define GUARD_TABLE "sekisho"
#define GUARD_ENTRIES_MAX 4096

struct guard_entry {
    bool may_be_clear; /* else it must come out of the device */
    struct network local, remote; /* one family */
    uint8_t protocol; /* 0: any */
    uint16_t local_port_first, local_port_last; /* 0 to 65535: any; else of TCP, UDP, SCTP, DCCP */
    uint16_t remote_port_first, remote_port_last;
};

struct guard_ports {
    uint16_t port, nat_port; /* of IKE, which is protected by itself */
};

/* Replaces what was set before, at once and as a whole; the first entry that fits a packet decides,
 * and none lets it pass. ESP, AH, IKE, neighbour discovery and what this machine says to itself
 * pass always. False with a sentence, and then all is as it was. */
MUST_USE bool guard_set(const char *device, const struct guard_ports *ports,
                        const struct guard_entry *entries, size_t count, char *why,
                        size_t why_bytes);
/* Takes the table away, also that of a killed daemon. */
void guard_remove(void);

#endif
