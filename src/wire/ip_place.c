/*
 * Decides where in a packet a header begins and where another may be put: RFC 8200 4.1, RFC
 * 4302 3.1.1, RFC 4303 3.1.1.
 */
#include "wire/ip_place.h"

#define IPV4_OFFSET_PROTOCOL 9
#define IPV6_OFFSET_NEXT_HEADER 6

/* --- the chain --- */

bool ipv6_chain_begin_quoted(struct slice quoted, struct ipv6_chain *out)
{
    if (quoted.length < IPV6_HEAD_BYTES || quoted.data[0] >> 4 != 6) {
        return false;
    }
    size_t total = IPV6_HEAD_BYTES + (size_t)get_u16(quoted.data + 4);

    *out = (struct ipv6_chain){
        .packet = {quoted.data, total < quoted.length ? total : quoted.length},
        .at = {.next_header = quoted.data[IPV6_OFFSET_NEXT_HEADER],
               .offset = IPV6_HEAD_BYTES,
               .next_header_offset = IPV6_OFFSET_NEXT_HEADER},
    };
    return true;
}

bool ipv6_chain_begin(struct slice packet, struct ipv6_chain *out)
{
    return ipv6_chain_begin_quoted(packet, out) &&
           out->packet.length == IPV6_HEAD_BYTES + (size_t)get_u16(packet.data + 4);
}

bool ipv6_chain_at_extension(const struct ipv6_chain *chain)
{
    uint8_t next = chain->at.next_header;

    return next == IP_PROTOCOL_HOP_BY_HOP || next == IP_PROTOCOL_ROUTING ||
           next == IP_PROTOCOL_DESTINATION;
}

bool ipv6_chain_header(const struct ipv6_chain *chain, struct slice *out)
{
    size_t offset = chain->at.offset;
    struct reader r =
        reader_over((struct slice){chain->packet.data + offset, chain->packet.length - offset});
    struct reader length = r;

    if (!ipv6_chain_at_extension(chain) || chain->count == IPV6_CHAIN_HEADERS_MAX) {
        return false;
    }
    /* RFC 8200 4.1: hop-by-hop options stand first or nowhere. */
    if (chain->at.next_header == IP_PROTOCOL_HOP_BY_HOP && chain->count > 0) {
        return false;
    }
    read_skip(&length, 1);
    *out = read_bytes(&r, ((size_t)read_u8(&length) + 1) * 8);
    return reader_ok(&length) && reader_ok(&r);
}

bool ipv6_chain_step(struct ipv6_chain *chain)
{
    struct slice header;

    if (!ipv6_chain_header(chain, &header) || chain->at.offset + header.length > UINT16_MAX) {
        return false;
    }
    chain->at = (struct ip_place){.next_header = header.data[0],
                                  .offset = (uint16_t)(chain->at.offset + header.length),
                                  .next_header_offset = chain->at.offset};
    chain->count++;
    return true;
}

/* --- places --- */

static bool ipv4_place(struct slice packet, struct ip_place *out)
{
    if (packet.length < IPV4_HEAD_BYTES) {
        return false;
    }
    size_t head_bytes = (size_t)(packet.data[0] & 0x0f) * 4;
    size_t total = get_u16(packet.data + 2);
    bool is_fragment = (get_u16(packet.data + 6) & 0x3fff) != 0; /* more to come, or an offset */

    if (head_bytes < IPV4_HEAD_BYTES || total < head_bytes || total > packet.length ||
        is_fragment) {
        return false;
    }
    *out = (struct ip_place){.next_header = packet.data[IPV4_OFFSET_PROTOCOL],
                             .offset = (uint16_t)head_bytes,
                             .next_header_offset = IPV4_OFFSET_PROTOCOL};
    return true;
}

/* Behind the last header that is read on the way. Destination options count as such only when a
 * routing header comes after them (RFC 8200 4.1 note 1), which is known when it is there. */
static bool walk_to_place(struct ipv6_chain *chain, struct ip_place *out)
{
    *out = chain->at;
    while (ipv6_chain_at_extension(chain)) {
        uint8_t passing = chain->at.next_header;

        if (!ipv6_chain_step(chain)) {
            return false;
        }
        if (passing != IP_PROTOCOL_DESTINATION) {
            *out = chain->at;
        }
    }
    return true;
}

bool ip_protection_place(struct slice packet, struct ip_place *out)
{
    struct ipv6_chain chain;
    struct ip_place place;

    if (packet.length > 0 && packet.data[0] >> 4 == 4) {
        return ipv4_place(packet, out);
    }
    if (!ipv6_chain_begin(packet, &chain) || !walk_to_place(&chain, &place) ||
        chain.at.next_header == IP_PROTOCOL_FRAGMENT) {
        return false;
    }
    *out = place;
    return true;
}
