/*
 * The checksums of TCP, UDP and others that cover the addresses of the IP header, put right when
 * those have changed (RFC 1624; RFC 3948 3.1.2).
 */
#ifndef SEKISHO_WIRE_TRANSPORT_CHECKSUM_H
#define SEKISHO_WIRE_TRANSPORT_CHECKSUM_H

#include "wire/ip.h"

struct ip_ends {
    struct address source;
    struct address destination;
};

/* A whole packet whose checksum was made with the addresses `made_with` gets the one that is right
 * with `now`; what its IP header says is not asked. A wrong checksum stays wrong. UDP's zero, which
 * says that there is none, stays. Fragments other than the first and protocols without such a
 * checksum are left alone. False when the packet cannot be read or ends before its checksum. */
MUST_USE bool transport_checksum_fix(uint8_t *packet, size_t length,
                                     const struct ip_ends *made_with, const struct ip_ends *now);

#endif
