/* Where an IPv6 packet has its Fragment header, or could have one (RFC 8200 4.5). */
#ifndef SEKISHO_WIRE_IPV6_FRAGMENT_H
#define SEKISHO_WIRE_IPV6_FRAGMENT_H

#include <stdbool.h>

#include "base/bytes.h"

#define IPV6_FRAGMENT_HEAD_BYTES 8

struct ipv6_fragment {
    uint16_t next_header_at; /* the octet of the header before that names the Fragment header */
    uint16_t at; /* the Fragment header */
    uint8_t next_header; /* what the fragmentable part begins with */
    uint16_t offset_bytes;
    bool more;
    uint32_t id;
};

/* Finds the Fragment header. False when there is none or the chain does not reach it. */
MUST_USE bool ipv6_find_fragment(struct slice packet, struct ipv6_fragment *out);

/* Where a Fragment header would be put: `next_header_at` is the octet that would name it,
 * `next_header` what that octet says now, `at` where the fragmentable part begins. False when the
 * chain is damaged or has a Fragment header already. */
MUST_USE bool ipv6_find_fragmentable(struct slice packet, struct ipv6_fragment *out);

/* Eight octets. */
void ipv6_fragment_write(uint8_t *at, const struct ipv6_fragment *fragment);

#endif
