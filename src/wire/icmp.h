/*
 * ICMP for IPv4 (RFC 792, 1191, 1812): errors that are told to hosts, and errors that are told to
 * us.
 */
#ifndef SEKISHO_WIRE_ICMP_H
#define SEKISHO_WIRE_ICMP_H

#include "wire/ip.h"

#define ICMP_HEAD_BYTES 8
#define ICMP_ERROR_PACKET_BYTES_MAX 576 /* RFC 1812 4.3.2.3: the whole packet */

enum icmp_type {
    ICMP_ECHO_REPLY = 0,
    ICMP_DESTINATION_UNREACHABLE = 3,
    ICMP_SOURCE_QUENCH = 4,
    ICMP_REDIRECT = 5,
    ICMP_ECHO_REQUEST = 8,
    ICMP_TIME_EXCEEDED = 11,
    ICMP_PARAMETER_PROBLEM = 12,
};

enum icmp_unreachable_code {
    ICMP_NET_UNREACHABLE = 0,
    ICMP_HOST_UNREACHABLE = 1,
    ICMP_PROTOCOL_UNREACHABLE = 2,
    ICMP_PORT_UNREACHABLE = 3,
    ICMP_FRAGMENTATION_NEEDED = 4,
    ICMP_ADMINISTRATIVELY_PROHIBITED = 13,
};

struct icmp_head {
    uint8_t type;
    uint8_t code;
    uint16_t checksum;
    uint32_t rest; /* identifier << 16 | sequence, or what the type says; low half: next-hop MTU */
    struct slice body; /* behind the eight bytes; of an error, the quoted packet */
};

/* `message` is what stands behind the IP header. False when it is short or its checksum is
 * wrong. */
MUST_USE bool icmp_read(struct slice message, struct icmp_head *out);
/* Writes the message with its checksum; `checksum` is not used. */
void icmp_write(struct writer *w, const struct icmp_head *head);
MUST_USE bool icmp_type_is_error(uint8_t type);

/* RFC 1122 3.2.2, RFC 1812 4.3.2.7: no error about an ICMP error (or an ICMP packet whose type
 * cannot be seen), about a fragment other than the first, from or to an address that is not one
 * host's. */
MUST_USE bool icmp_may_answer(struct slice packet, const struct ip_head *head);

/* A whole IPv4 packet from `source` to the sender of `original` (an IPv4 packet, whole), with as
 * much of it quoted as RFC 1812 allows. False, and nothing written, when icmp_may_answer() forbids
 * it, `original` is not an IPv4 packet, or there is no room. `rest` is the second word of the
 * message. */
MUST_USE bool icmp_build_error(struct writer *w, const struct address *source, uint8_t type,
                               uint8_t code, uint32_t rest, struct slice original);
MUST_USE bool icmp_build_fragmentation_needed(struct writer *w, const struct address *source,
                                              uint16_t next_hop_mtu, struct slice original);
MUST_USE bool icmp_build_time_exceeded(struct writer *w, const struct address *source,
                                       struct slice original);

#endif
