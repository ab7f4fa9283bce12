/*
 * Where headers stand or may be put in a packet: walking along the extension headers of IPv6 (RFC
 * 8200 4), and the place of AH or ESP in transport mode.
 */
#ifndef SEKISHO_WIRE_IP_PLACE_H
#define SEKISHO_WIRE_IP_PLACE_H

#include "wire/ip.h"

#define IPV6_CHAIN_HEADERS_MAX 8

/* Stands before a header: where it begins, which it is, and which octet says so. */
struct ip_place {
    uint8_t next_header;
    uint16_t offset;
    uint16_t next_header_offset;
};

/* A walk along the headers of an IPv6 packet. */
struct ipv6_chain {
    struct slice packet; /* as long as its header says */
    struct ip_place at;
    size_t count; /* headers passed */
};

/* Stands before what follows the fixed header. False when it is no IPv6 packet or not all of it is
 * there. */
MUST_USE bool ipv6_chain_begin(struct slice packet, struct ipv6_chain *out);
/* The same for the beginning of a packet that an error quotes: it may end anywhere. */
MUST_USE bool ipv6_chain_begin_quoted(struct slice quoted, struct ipv6_chain *out);
/* True before hop-by-hop options, destination options or a routing header: headers that say their
 * length in one way (RFC 8200 4.2). */
bool ipv6_chain_at_extension(const struct ipv6_chain *chain);
/* The octets of the extension header that it stands before, all of them. False when they are not
 * all there, when there are more headers than 8, or at hop-by-hop options that are not first. */
MUST_USE bool ipv6_chain_header(const struct ipv6_chain *chain, struct slice *out);
/* Goes behind that header; false as ipv6_chain_header(). */
MUST_USE bool ipv6_chain_step(struct ipv6_chain *chain);

/* RFC 4302 3.1.1, RFC 4303 3.1.1: behind the IPv4 header with its options; in IPv6 behind all that
 * is read on the way (hop-by-hop options, routing, and destination options before routing), before
 * destination options for the last destination alone and before all else. False for a fragment, for
 * which there is no transport mode, and for a packet whose headers are wrong or not all there. */
MUST_USE bool ip_protection_place(struct slice packet, struct ip_place *out);

#endif
