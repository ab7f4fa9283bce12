/* Decides where the headers of an IPv6 packet end that every fragment repeats. */
#include "wire/ipv6_fragment.h"

#include "wire/ip.h"

#define EXTENSION_HEADERS_MAX 8
#define IPV6_OFFSET_NEXT_HEADER 6

/* One step along the chain of extension headers. */
struct chain {
    struct reader r;
    size_t total;
    size_t next_header_at;
    uint8_t next_header;
};

static bool chain_begin(struct slice packet, struct chain *c)
{
    if (packet.length < IPV6_HEAD_BYTES || packet.data[0] >> 4 != 6) {
        return false;
    }
    *c = (struct chain){.r = reader_over(packet), .total = packet.length};
    read_skip(&c->r, IPV6_HEAD_BYTES);
    c->next_header_at = IPV6_OFFSET_NEXT_HEADER;
    c->next_header = packet.data[IPV6_OFFSET_NEXT_HEADER];
    return true;
}

static size_t chain_at(const struct chain *c)
{
    return c->total - reader_left(&c->r);
}

/* False at the end of the chain, with the reader failed when what stands there is cut short. */
static bool chain_step(struct chain *c)
{
    size_t at = chain_at(c);
    bool is_ah = c->next_header == IP_PROTOCOL_AH;

    if (c->next_header != IP_PROTOCOL_HOP_BY_HOP && c->next_header != IP_PROTOCOL_ROUTING &&
        c->next_header != IP_PROTOCOL_DESTINATION && !is_ah) {
        return false;
    }
    uint8_t next = read_u8(&c->r);
    size_t units = read_u8(&c->r);

    read_skip(&c->r, is_ah ? (units + 2) * 4 - 2 : (units + 1) * 8 - 2);
    if (!reader_ok(&c->r)) {
        return false;
    }
    c->next_header_at = at;
    c->next_header = next;
    return true;
}

bool ipv6_find_fragment(struct slice packet, struct ipv6_fragment *out)
{
    struct chain c;
    size_t count = 0;

    if (!chain_begin(packet, &c)) {
        return false;
    }
    while (count < EXTENSION_HEADERS_MAX && chain_step(&c)) {
        count++;
    }
    size_t at = chain_at(&c);
    uint8_t next = read_u8(&c.r);

    read_skip(&c.r, 1);
    uint16_t fragment = read_u16(&c.r);
    uint32_t id = read_u32(&c.r);

    if (!reader_ok(&c.r) || c.next_header != IP_PROTOCOL_FRAGMENT || at > UINT16_MAX) {
        return false;
    }
    *out = (struct ipv6_fragment){
        .next_header_at = (uint16_t)c.next_header_at,
        .at = (uint16_t)at,
        .next_header = next,
        .offset_bytes = fragment & 0xfff8,
        .more = (fragment & 1) != 0,
        .id = id,
    };
    return true;
}

/* RFC 8200 4.5: the Per-Fragment headers are all up to and including a Routing header, else a
 * Hop-by-Hop header, else the IPv6 header alone. */
bool ipv6_find_fragmentable(struct slice packet, struct ipv6_fragment *out)
{
    struct chain c;
    struct ipv6_fragment found = {.next_header_at = IPV6_OFFSET_NEXT_HEADER, .at = IPV6_HEAD_BYTES};
    size_t count = 0;

    if (!chain_begin(packet, &c)) {
        return false;
    }
    found.next_header = c.next_header;
    for (uint8_t passed = c.next_header; count < EXTENSION_HEADERS_MAX && chain_step(&c);
         passed = c.next_header) {
        count++;
        if (passed == IP_PROTOCOL_HOP_BY_HOP || passed == IP_PROTOCOL_ROUTING) {
            found.next_header_at = (uint16_t)c.next_header_at;
            found.next_header = c.next_header;
            found.at = (uint16_t)chain_at(&c);
        }
    }
    if (!reader_ok(&c.r) || chain_at(&c) > UINT16_MAX || c.next_header == IP_PROTOCOL_FRAGMENT) {
        return false;
    }
    *out = found;
    return true;
}

void ipv6_fragment_write(uint8_t *at, const struct ipv6_fragment *fragment)
{
    at[0] = fragment->next_header;
    at[1] = 0;
    put_u16(at + 2, (uint16_t)(fragment->offset_bytes | (fragment->more ? 1 : 0)));
    put_u32(at + 4, fragment->id);
}
