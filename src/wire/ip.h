/*
 * IPv4 (RFC 791) and IPv6 (RFC 8200) headers with what stands behind them, as far as a gateway
 * looks.
 */
#ifndef SEKISHO_WIRE_IP_H
#define SEKISHO_WIRE_IP_H

#include "base/address.h"
#include "base/text.h"
#include "wire/checksum.h"

enum ip_protocol {
    IP_PROTOCOL_HOP_BY_HOP = 0,
    IP_PROTOCOL_ICMP = 1,
    IP_PROTOCOL_IPV4 = 4,
    IP_PROTOCOL_TCP = 6,
    IP_PROTOCOL_UDP = 17,
    IP_PROTOCOL_IPV6 = 41,
    IP_PROTOCOL_ROUTING = 43,
    IP_PROTOCOL_FRAGMENT = 44,
    IP_PROTOCOL_GRE = 47,
    IP_PROTOCOL_ESP = 50,
    IP_PROTOCOL_AH = 51,
    IP_PROTOCOL_ICMPV6 = 58,
    IP_PROTOCOL_NONE = 59,
    IP_PROTOCOL_DESTINATION = 60,
    IP_PROTOCOL_IPCOMP = 108,
    IP_PROTOCOL_AGGFRAG = 144,
};

#define IPV4_HEAD_BYTES 20
#define IPV6_HEAD_BYTES 40
#define UDP_HEAD_BYTES 8
#define TCP_HEAD_BYTES 20

/* What one pass over the headers tells. Ports are zero (and has_ports false) for fragments other
 * than the first and for protocols without; for ICMP and ICMPv6 port_source holds type << 8 |
 * code, as selectors have it. */
struct ip_head {
    uint8_t family; /* enum family */
    uint8_t protocol; /* of the upper layer, behind all extension headers that we know */
    uint8_t tos; /* traffic class */
    uint8_t ttl; /* hop limit */
    struct address source;
    struct address destination;
    uint32_t total_bytes; /* of the packet as its header says */
    uint16_t upper_offset; /* where the upper layer begins */
    uint16_t fragment_offset; /* in bytes */
    bool more_fragments;
    bool dont_fragment; /* always true for IPv6 */
    bool is_fragment;
    bool has_ports;
    uint16_t port_source;
    uint16_t port_destination;
    uint16_t id; /* IPv4 */
};

/* False unless the version, the header's and the packet's lengths, the IPv4 checksum and the chain
 * of extension headers (at most 8) are right. The packet may be followed by padding: total_bytes
 * <= packet.length. */
MUST_USE bool ip_read(struct slice packet, struct ip_head *out);
/* The same for the beginning of a packet that an ICMP error quotes: it may end anywhere behind the
 * IP headers, and the IPv4 checksum is not looked at (routers change what they quote). Ports are
 * there when their bytes are. */
MUST_USE bool ip_read_quoted(struct slice quoted, struct ip_head *out);

/* Plain headers without options; length of what follows them in payload_bytes. */
struct ipv4_fields {
    struct address source, destination;
    uint8_t tos, ttl, protocol;
    uint16_t id;
    bool dont_fragment;
    uint16_t payload_bytes;
};
void ipv4_write(struct writer *w, const struct ipv4_fields *f);
struct ipv6_fields {
    struct address source, destination;
    uint8_t traffic_class, hop_limit, next_header;
    uint32_t flow_label;
    uint16_t payload_bytes;
};
void ipv6_write(struct writer *w, const struct ipv6_fields *f);

/* Changes in place, with the checksum corrected. */
void ipv4_set_tos(uint8_t *head, uint8_t tos);
void ipv6_set_traffic_class(uint8_t *head, uint8_t traffic_class);
/* False when it was 1 or 0 already (nothing changed). */
MUST_USE bool ip_decrement_ttl(uint8_t *head);

/* One line: 10.1.0.2:40000 > 10.2.0.9:80 tcp 1500. */
void ip_describe_head(const struct ip_head *head, struct text *out);
void ip_describe(struct slice packet, struct text *out);

#endif
