/*
 * ICMPv6 (RFC 4443): errors that are told to hosts, and errors that are told to us.
 */
#ifndef SEKISHO_WIRE_ICMPV6_H
#define SEKISHO_WIRE_ICMPV6_H

#include "wire/ip.h"

#define ICMPV6_HEAD_BYTES 8
#define ICMPV6_ERROR_PACKET_BYTES_MAX 1280 /* RFC 4443 2.4 (c): the whole packet */

enum icmpv6_type {
    ICMPV6_DESTINATION_UNREACHABLE = 1,
    ICMPV6_PACKET_TOO_BIG = 2,
    ICMPV6_TIME_EXCEEDED = 3,
    ICMPV6_PARAMETER_PROBLEM = 4,
    ICMPV6_ECHO_REQUEST = 128,
    ICMPV6_ECHO_REPLY = 129,
    ICMPV6_REDIRECT = 137,
};

enum icmpv6_unreachable_code {
    ICMPV6_NO_ROUTE = 0,
    ICMPV6_ADMINISTRATIVELY_PROHIBITED = 1,
    ICMPV6_ADDRESS_UNREACHABLE = 3,
    ICMPV6_PORT_UNREACHABLE = 4,
};

struct icmpv6_head {
    uint8_t type;
    uint8_t code;
    uint16_t checksum;
    uint32_t rest; /* of "packet too big": the MTU */
    struct slice body; /* behind the eight bytes; of an error, the quoted packet */
};

/* `message` is what stands behind the IPv6 headers. False when it is short or its checksum (which
 * covers the addresses) is wrong. */
MUST_USE bool icmpv6_read(const struct address *source, const struct address *destination,
                          struct slice message, struct icmpv6_head *out);
/* Writes the message with its checksum; `checksum` is not used. */
void icmpv6_write(struct writer *w, const struct address *source, const struct address *destination,
                  const struct icmpv6_head *head);
MUST_USE bool icmpv6_type_is_error(uint8_t type); /* RFC 4443 2.1: below 128 */

/* RFC 4443 2.4 (e): no error about an ICMPv6 error or redirect (or an ICMPv6 packet whose type
 * cannot be seen), about a fragment other than the first, about a packet whose source is not one
 * node. A multicast destination is allowed for "packet too big" alone, which says `is_too_big`. */
MUST_USE bool icmpv6_may_answer(struct slice packet, const struct ip_head *head, bool is_too_big);

/* A whole IPv6 packet from `source` to the sender of `original` (an IPv6 packet, whole), with as
 * much of it quoted as fits in 1280 bytes. False, and nothing written, when icmpv6_may_answer()
 * forbids it, `original` is not an IPv6 packet, or there is no room. */
MUST_USE bool icmpv6_build_error(struct writer *w, const struct address *source, uint8_t type,
                                 uint8_t code, uint32_t rest, struct slice original);
/* RFC 8200 5: an MTU below 1280 is told as 1280. */
MUST_USE bool icmpv6_build_packet_too_big(struct writer *w, const struct address *source,
                                          uint32_t mtu, struct slice original);
MUST_USE bool icmpv6_build_time_exceeded(struct writer *w, const struct address *source,
                                         struct slice original);

#endif
