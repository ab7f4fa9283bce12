/*
 * Decides which octets of the headers before AH are covered as they are, which as they will be, and
 * which as zeros: RFC 4302 3.3.3.1 and Appendix A.
 */
#include "wire/ah_cover.h"

#include <assert.h>
#include <string.h>

#include "wire/ip_place.h"

#define IPV4_OFFSET_TOS 1
#define IPV4_OFFSET_TOTAL 2
#define IPV4_OFFSET_FLAGS 6
#define IPV4_OFFSET_TTL 8
#define IPV4_OFFSET_PROTOCOL 9
#define IPV4_OFFSET_CHECKSUM 10
#define IPV4_OFFSET_DESTINATION 16
#define IPV6_OFFSET_HOP_LIMIT 7
#define IPV6_OFFSET_DESTINATION 24

/* --- IPv4 options --- */

/* The whole octet: copied flag, class and number (RFC 791 3.1). */
enum ipv4_option {
    OPTION_END = 0,
    OPTION_NOP = 1,
    OPTION_SECURITY = 130,
    OPTION_LOOSE_ROUTE = 131,
    OPTION_EXTENDED_SECURITY = 133,
    OPTION_COMMERCIAL_SECURITY = 134,
    OPTION_STRICT_ROUTE = 137,
    OPTION_ROUTER_ALERT = 148,
    OPTION_SENDER_DIRECTED = 149,
};

/* RFC 4302 A1. What is not in its first list is mutable, superseded or unknown, and zeroed. */
static bool is_immutable(uint8_t kind)
{
    return kind == OPTION_SECURITY || kind == OPTION_EXTENDED_SECURITY ||
           kind == OPTION_COMMERCIAL_SECURITY || kind == OPTION_ROUTER_ALERT ||
           kind == OPTION_SENDER_DIRECTED;
}

/* RFC 791 3.1: while the pointer is within the route the packet is on its way to the last address,
 * and afterwards at it. */
static bool set_last_destination(uint8_t *packet, const uint8_t *option, size_t length)
{
    if (length < 3) {
        return false;
    }
    size_t pointer = option[2];

    if ((length - 3) % 4 != 0 || pointer < 4 || pointer % 4 != 0) {
        return false;
    }
    if (pointer < length) {
        memcpy(packet + IPV4_OFFSET_DESTINATION, option + length - 4, 4);
    }
    return true;
}

static bool normalise_option(uint8_t *packet, uint8_t *option, size_t length)
{
    uint8_t kind = option[0];

    if ((kind == OPTION_LOOSE_ROUTE || kind == OPTION_STRICT_ROUTE) &&
        !set_last_destination(packet, option, length)) {
        return false;
    }
    if (!is_immutable(kind)) {
        memset(option, 0, length);
    }
    return true;
}

static bool normalise_options(uint8_t *packet, size_t head_bytes)
{
    size_t at = IPV4_HEAD_BYTES;

    while (at < head_bytes && packet[at] != OPTION_END) {
        if (packet[at] == OPTION_NOP) {
            at++;
            continue;
        }
        size_t length = at + 1 < head_bytes ? packet[at + 1] : 0;

        if (length < 2 || length > head_bytes - at ||
            !normalise_option(packet, packet + at, length)) {
            return false;
        }
        at += length;
    }
    /* What stands behind the end of the list is covered as it is: nothing may change it. */
    return true;
}

static bool normalise_ipv4(uint8_t *packet, size_t length, size_t ah_offset)
{
    size_t head_bytes = (size_t)(packet[0] & 0x0f) * 4;
    size_t total = get_u16(packet + IPV4_OFFSET_TOTAL);

    if (head_bytes < IPV4_HEAD_BYTES || ah_offset != head_bytes || total < head_bytes ||
        total > length || packet[IPV4_OFFSET_PROTOCOL] != IP_PROTOCOL_AH) {
        return false;
    }
    packet[IPV4_OFFSET_TOS] = 0;
    put_u16(packet + IPV4_OFFSET_FLAGS, 0);
    packet[IPV4_OFFSET_TTL] = 0;
    put_u16(packet + IPV4_OFFSET_CHECKSUM, 0);
    return normalise_options(packet, head_bytes);
}

/* --- IPv6 extension headers --- */

#define OPTION_PAD1 0x00
#define OPTION_JUMBO_PAYLOAD 0xc2
#define OPTION_CHANGES_ON_THE_WAY 0x20 /* RFC 8200 4.2: the third-highest bit */
#define ROUTING_HEAD_BYTES 8
#define ROUTING_TYPE_0 0
#define ADDRESS_BYTES 16

/* RFC 4302 3.3.3.1.2.2: type and length are covered always. */
static bool normalise_ipv6_options(uint8_t *header, size_t length)
{
    size_t at = 2;

    while (at < length) {
        if (header[at] == OPTION_PAD1) {
            at++;
            continue;
        }
        if (length - at < 2 || header[at + 1] > length - at - 2 ||
            header[at] == OPTION_JUMBO_PAYLOAD) {
            return false;
        }
        size_t data_bytes = header[at + 1];

        if ((header[at] & OPTION_CHANGES_ON_THE_WAY) != 0) {
            memset(header + at + 2, 0, data_bytes);
        }
        at += 2 + data_bytes;
    }
    return true;
}

/* RFC 2460 4.4: each hop of the route swaps the destination with the next address. So at the end
 * the last address is the destination, and those not yet passed have moved up by one. */
static bool normalise_routing(uint8_t *packet, uint8_t *header, size_t length)
{
    uint8_t segments_left = header[3];
    size_t addresses = (length - ROUTING_HEAD_BYTES) / ADDRESS_BYTES;

    if (header[2] != ROUTING_TYPE_0) {
        return segments_left == 0;
    }
    if ((length - ROUTING_HEAD_BYTES) % ADDRESS_BYTES != 0 || segments_left > addresses) {
        return false;
    }
    if (segments_left > 0) {
        uint8_t last[ADDRESS_BYTES];
        uint8_t *first = header + ROUTING_HEAD_BYTES + (addresses - segments_left) * ADDRESS_BYTES;
        size_t moving = (size_t)(segments_left - 1) * ADDRESS_BYTES;

        memcpy(last, first + moving, ADDRESS_BYTES);
        memmove(first + ADDRESS_BYTES, first, moving);
        memcpy(first, packet + IPV6_OFFSET_DESTINATION, ADDRESS_BYTES);
        memcpy(packet + IPV6_OFFSET_DESTINATION, last, ADDRESS_BYTES);
    }
    header[3] = 0;
    return true;
}

/* Lengths and next headers are immutable, so the walk sees the same before and after. */
static bool normalise_ipv6(uint8_t *packet, size_t length, size_t ah_offset)
{
    struct ipv6_chain chain;

    if (!ipv6_chain_begin((struct slice){packet, length}, &chain)) {
        return false;
    }
    while (chain.at.offset < ah_offset && ipv6_chain_at_extension(&chain)) {
        struct slice header;

        if (!ipv6_chain_header(&chain, &header) || header.length > ah_offset - chain.at.offset) {
            return false;
        }
        uint8_t *at = packet + chain.at.offset;

        if (chain.at.next_header == IP_PROTOCOL_ROUTING
                ? !normalise_routing(packet, at, header.length)
                : !normalise_ipv6_options(at, header.length)) {
            return false;
        }
        if (!ipv6_chain_step(&chain)) {
            return false;
        }
    }
    put_u32(packet, (uint32_t)6 << 28); /* no traffic class, no flow label */
    packet[IPV6_OFFSET_HOP_LIMIT] = 0;
    return chain.at.offset == ah_offset && chain.at.next_header == IP_PROTOCOL_AH;
}

/* --- both --- */

bool ah_normalise(uint8_t *packet, size_t length, size_t ah_offset, struct ah_kept *kept)
{
    if (ah_offset < IPV4_HEAD_BYTES || ah_offset > length || ah_offset > AH_COVER_BYTES_MAX) {
        return false;
    }
    uint8_t version = packet[0] >> 4;

    kept->length = (uint16_t)ah_offset;
    memcpy(kept->head, packet, ah_offset);
    if (version == 4 ? normalise_ipv4(packet, length, ah_offset)
                     : version == 6 && normalise_ipv6(packet, length, ah_offset)) {
        return true;
    }
    ah_restore(packet, kept);
    return false;
}

void ah_restore(uint8_t *packet, const struct ah_kept *kept)
{
    assert(kept->length <= AH_COVER_BYTES_MAX);
    memcpy(packet, kept->head, kept->length);
}
