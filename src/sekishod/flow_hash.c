/* Decides what is one flow: addresses, protocol and, where every packet has them, ports. */
#include "sekishod/flow_hash.h"

#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

static uint32_t mix(uint32_t hash)
{
    hash ^= hash >> 16;
    hash *= 0x7feb352du;
    hash ^= hash >> 15;
    hash *= 0x846ca68bu;
    return hash ^ hash >> 16;
}

/* Both ends alike, whichever is first. */
static uint32_t ports(struct slice packet, uint32_t at)
{
    if (packet.length < at + 4) {
        return 0;
    }
    return (uint32_t)get_u16(packet.data + at) ^ get_u16(packet.data + at + 2);
}

static bool has_ports(uint8_t protocol)
{
    return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP;
}

static uint32_t hash_ipv4(struct slice packet)
{
    const uint8_t *p = packet.data;
    /* RFC 791 3.1: more fragments, or not the first. */
    bool fragment = (get_u16(p + 6) & 0x3fff) != 0;
    uint32_t hash = get_u32(p + 12) ^ get_u32(p + 16);

    hash = mix(hash) ^ p[9];
    return !fragment && has_ports(p[9]) ? hash ^ ports(packet, (uint32_t)(p[0] & 0x0f) * 4) << 8
                                        : hash;
}

static uint32_t hash_ipv6(struct slice packet)
{
    const uint8_t *p = packet.data;
    uint32_t hash = 0;

    for (size_t at = 8; at < 24; at += 4) {
        hash = mix(hash ^ (get_u32(p + at) ^ get_u32(p + at + 16)));
    }
    /* What stands behind extension headers has no ports here: then they have the hash of their
     * addresses, and so have fragments. The next header is none of the flow, because of them. */
    return has_ports(p[6]) ? hash ^ ports(packet, IPV6_BYTES) << 8 : hash;
}

uint32_t flow_hash(struct slice packet)
{
    if (packet.length >= IPV4_BYTES && packet.data[0] >> 4 == 4) {
        return mix(hash_ipv4(packet));
    }
    if (packet.length >= IPV6_BYTES && packet.data[0] >> 4 == 6) {
        return mix(hash_ipv6(packet));
    }
    return 0;
}
