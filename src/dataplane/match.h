/*
 * Does a packet fit a traffic selector (RFC 4301 4.4.1.1)? Selectors are turned into numbers when
 * they are installed, so that a packet costs a few comparisons.
 */
#ifndef SEKISHO_DATAPLANE_MATCH_H
#define SEKISHO_DATAPLANE_MATCH_H

#include "base/address.h"
#include "wire/ip.h"

/* An address as a number; IPv4 in the low half. */
struct wide_address {
    uint64_t high, low;
};

/* One end of a packet. */
struct match_end {
    struct wide_address address;
    uint16_t port;
};

/* What selectors look at; local and remote are as seen from here. */
struct match_key {
    struct match_end local, remote;
    uint8_t family;
    uint8_t protocol;
    bool has_ports;
};

struct match {
    struct wide_address first, last;
    uint16_t port_first, port_last;
    uint8_t family;
    uint8_t protocol;
};

struct wide_address wide_of_address(const struct address *a);

struct match match_of_selector(const struct selector *s);
MUST_USE bool match_equal(const struct match *a, const struct match *b);
/* RFC 4301: OPAQUE fits only what has no ports to be seen, ANY fits all. */
MUST_USE bool match_end_fits(const struct match *m, const struct match_key *key,
                             const struct match_end *end);
MUST_USE bool match_any_fits(const struct match *list, size_t count, const struct match_key *key,
                             const struct match_end *end);

struct match_key match_key_outbound(const struct ip_head *head);
struct match_key match_key_inbound(const struct ip_head *head);
/* Of the packet that an ICMP error quotes (RFC 4301 6); `inbound`: the error came out of a tunnel,
 * so the packet was ours. False when it is no error, or does not go to the source of what it
 * quotes. */
MUST_USE bool match_key_quoted(struct slice packet, const struct ip_head *head, bool inbound,
                               struct match_key *out);
MUST_USE bool match_key_equal(const struct match_key *a, const struct match_key *b);

#endif
