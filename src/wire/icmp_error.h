/*
 * ICMP and ICMPv6 errors as they reach us, whole packets: what they say about a packet that they
 * quote, and to which SA that packet belonged (RFC 792, 1191, 4443; RFC 4301 6, 8.2).
 */
#ifndef SEKISHO_WIRE_ICMP_ERROR_H
#define SEKISHO_WIRE_ICMP_ERROR_H

#include "wire/ip.h"

struct icmp_error {
    uint8_t family; /* enum family, of the error and of what it quotes */
    uint8_t type;
    uint8_t code;
    uint32_t mtu; /* of "fragmentation needed" and "packet too big"; 0: not said */
    struct address reporter; /* who sent the error */
    struct address told; /* to whom */
    struct slice quoted; /* the beginning of the packet that it is about, maybe with padding */
    struct ip_head original; /* what the quoted headers say */
    /* The first AH or ESP header of the quoted packet, when its SPI is there; 0: none. */
    uint8_t protection; /* IP_PROTOCOL_AH, IP_PROTOCOL_ESP */
    uint32_t spi;
};

/* The beginning of a packet that an error quotes: what its IP headers say, and the first header
 * behind them. AH counts as one of these: ip_read_quoted() looks behind it. */
struct icmp_quoted {
    struct ip_head original;
    uint8_t protocol;
    struct slice upper; /* from that header on, as far as it is there */
};
/* False when these are not the headers of a packet, or it is a fragment that is not the first. */
MUST_USE bool icmp_quoted_read(struct slice quoted, struct icmp_quoted *out);

/* False when the packet is not whole, no ICMP error, its checksum is wrong, or what it quotes are
 * not the headers of a packet of its family. Who may say such a thing is not decided here. */
MUST_USE bool icmp_error_read(struct slice packet, struct icmp_error *out);
/* "The packet is too big" in the words of either family. */
bool icmp_error_is_too_big(const struct icmp_error *error);

/* One line: icmp 3/4 mtu 1400 from 192.0.2.1 about 10.1.0.2 > 10.2.0.9 esp c0ffee01. */
void icmp_error_describe(struct slice packet, struct text *out);

#endif
