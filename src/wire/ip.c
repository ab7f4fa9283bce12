/* Decides what an IPv4 (RFC 791) or IPv6 (RFC 8200) header says, and how one is written. */
#include "wire/ip.h"

#include <assert.h>
#include <string.h>

#define EXTENSION_HEADERS_MAX 8
#define PROTOCOL_DCCP 33
#define PROTOCOL_SCTP 132
#define PROTOCOL_UDP_LITE 136

#define IPV4_OFFSET_TOTAL 2
#define IPV4_OFFSET_FRAGMENT 6
#define IPV4_OFFSET_TTL 8
#define IPV4_OFFSET_CHECKSUM 10
#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_OFFSET_PAYLOAD 4
#define IPV6_OFFSET_HOP_LIMIT 7

/* --- reading --- */

static bool has_port_pair(uint8_t protocol)
{
    return protocol == IP_PROTOCOL_TCP || protocol == IP_PROTOCOL_UDP ||
           protocol == PROTOCOL_SCTP || protocol == PROTOCOL_UDP_LITE || protocol == PROTOCOL_DCCP;
}

static void read_ports(struct slice upper, struct ip_head *out)
{
    if (out->fragment_offset > 0) {
        return;
    }
    if (has_port_pair(out->protocol) && upper.length >= 4) {
        out->has_ports = true;
        out->port_source = get_u16(upper.data);
        out->port_destination = get_u16(upper.data + 2);
    } else if ((out->protocol == IP_PROTOCOL_ICMP || out->protocol == IP_PROTOCOL_ICMPV6) &&
               upper.length >= 2) {
        out->has_ports = true;
        out->port_source = get_u16(upper.data);
    }
}

/* Only the last fragment may have a length that is no multiple of eight, and none may reach beyond
 * the largest packet. */
static bool fragment_fits(const struct ip_head *head)
{
    uint32_t bytes = head->total_bytes - head->upper_offset;

    if (!head->is_fragment) {
        return true;
    }
    return (!head->more_fragments || bytes % 8 == 0) && head->fragment_offset + bytes <= UINT16_MAX;
}

/* A packet may be whole, or the beginning that an error quotes. */
enum completeness { WHOLE, QUOTED };

static bool read_ipv4(struct slice packet, enum completeness completeness, struct ip_head *out)
{
    if (packet.length < IPV4_HEAD_BYTES) {
        return false;
    }
    const uint8_t *at = packet.data;
    size_t head_bytes = (size_t)(at[0] & 0x0f) * 4;
    uint16_t fragment = get_u16(at + IPV4_OFFSET_FRAGMENT);

    out->total_bytes = get_u16(at + IPV4_OFFSET_TOTAL);
    if (head_bytes < IPV4_HEAD_BYTES || head_bytes > packet.length ||
        out->total_bytes < head_bytes) {
        return false;
    }
    if (completeness == WHOLE && (out->total_bytes > packet.length ||
                                  checksum_add(0, (struct slice){at, head_bytes}) != UINT16_MAX)) {
        return false;
    }
    out->family = FAMILY_IPV4;
    out->protocol = at[9];
    out->tos = at[1];
    out->ttl = at[IPV4_OFFSET_TTL];
    out->source = address_ipv4_bytes(at + 12);
    out->destination = address_ipv4_bytes(at + 16);
    out->upper_offset = (uint16_t)head_bytes;
    out->fragment_offset = (uint16_t)((fragment & IPV4_FRAGMENT_OFFSET) * 8);
    out->more_fragments = (fragment & IPV4_MORE_FRAGMENTS) != 0;
    out->dont_fragment = (fragment & IPV4_DONT_FRAGMENT) != 0;
    out->is_fragment = out->more_fragments || out->fragment_offset > 0;
    out->id = get_u16(at + 4);
    return fragment_fits(out);
}

static void read_fragment_header(struct reader *r, struct ip_head *out)
{
    uint8_t next = read_u8(r);

    read_skip(r, 1);
    uint16_t fragment = read_u16(r);

    read_skip(r, 4);
    if (out->is_fragment) {
        reader_fail(r); /* a fragment of a fragment */
    }
    out->protocol = next;
    out->fragment_offset = fragment & 0xfff8;
    out->more_fragments = (fragment & 1) != 0;
    /* RFC 6946: offset zero and nothing to follow is a whole packet, but still has the header. */
    out->is_fragment = true;
}

/* Hop-by-hop, routing and destination options count in eights behind the first eight bytes; AH
 * counts in fours behind the first eight (RFC 4302 2.2). */
static void read_extension_header(struct reader *r, struct ip_head *out)
{
    bool is_ah = out->protocol == IP_PROTOCOL_AH;
    uint8_t next = read_u8(r);
    size_t units = read_u8(r);

    read_skip(r, is_ah ? (units + 2) * 4 - 2 : (units + 1) * 8 - 2);
    out->protocol = next;
}

static bool is_extension_header(uint8_t protocol)
{
    return protocol == IP_PROTOCOL_HOP_BY_HOP || protocol == IP_PROTOCOL_ROUTING ||
           protocol == IP_PROTOCOL_FRAGMENT || protocol == IP_PROTOCOL_DESTINATION ||
           protocol == IP_PROTOCOL_AH;
}

static bool read_extension_headers(struct reader *r, struct ip_head *out)
{
    for (size_t count = 0; is_extension_header(out->protocol) && out->fragment_offset == 0;
         count++) {
        /* RFC 8200 4.1: hop-by-hop options stand first or nowhere. */
        if (count == EXTENSION_HEADERS_MAX ||
            (out->protocol == IP_PROTOCOL_HOP_BY_HOP && count > 0)) {
            return false;
        }
        if (out->protocol == IP_PROTOCOL_FRAGMENT) {
            read_fragment_header(r, out);
        } else {
            read_extension_header(r, out);
        }
        if (!reader_ok(r)) {
            return false;
        }
    }
    return true;
}

static bool read_ipv6(struct slice packet, enum completeness completeness, struct ip_head *out)
{
    if (packet.length < IPV6_HEAD_BYTES) {
        return false;
    }
    const uint8_t *at = packet.data;

    out->total_bytes = IPV6_HEAD_BYTES + (uint32_t)get_u16(at + IPV6_OFFSET_PAYLOAD);
    if (completeness == WHOLE && out->total_bytes > packet.length) {
        return false;
    }
    out->family = FAMILY_IPV6;
    out->protocol = at[6];
    out->tos = (uint8_t)(get_u16(at) >> 4);
    out->ttl = at[IPV6_OFFSET_HOP_LIMIT];
    out->source = address_ipv6_bytes(at + 8);
    out->destination = address_ipv6_bytes(at + 24);
    out->dont_fragment = true;

    size_t there = out->total_bytes < packet.length ? out->total_bytes : packet.length;
    struct reader r = reader_over((struct slice){at + IPV6_HEAD_BYTES, there - IPV6_HEAD_BYTES});

    if (!read_extension_headers(&r, out)) {
        return false;
    }
    out->upper_offset = (uint16_t)(there - reader_left(&r));
    return fragment_fits(out);
}

static bool read_any(struct slice packet, enum completeness completeness, struct ip_head *out)
{
    uint8_t version = packet.length == 0 ? 0 : packet.data[0] >> 4;
    struct ip_head head = {0};

    if (version == 4 ? !read_ipv4(packet, completeness, &head)
                     : version != 6 || !read_ipv6(packet, completeness, &head)) {
        return false;
    }
    size_t there = head.total_bytes < packet.length ? head.total_bytes : packet.length;

    read_ports((struct slice){packet.data + head.upper_offset, there - head.upper_offset}, &head);
    *out = head;
    return true;
}

bool ip_read(struct slice packet, struct ip_head *out)
{
    return read_any(packet, WHOLE, out);
}

bool ip_read_quoted(struct slice quoted, struct ip_head *out)
{
    return read_any(quoted, QUOTED, out);
}

/* --- writing --- */

void ipv4_write(struct writer *w, const struct ipv4_fields *f)
{
    uint32_t total = IPV4_HEAD_BYTES + (uint32_t)f->payload_bytes;
    uint8_t *at = total > UINT16_MAX ? NULL : write_reserve(w, IPV4_HEAD_BYTES);

    assert(f->source.family == FAMILY_IPV4 && f->destination.family == FAMILY_IPV4);
    if (at == NULL) {
        writer_fail(w);
        return;
    }
    at[0] = 0x45;
    at[1] = f->tos;
    put_u16(at + IPV4_OFFSET_TOTAL, (uint16_t)total);
    put_u16(at + 4, f->id);
    put_u16(at + IPV4_OFFSET_FRAGMENT, f->dont_fragment ? IPV4_DONT_FRAGMENT : 0);
    at[IPV4_OFFSET_TTL] = f->ttl;
    at[9] = f->protocol;
    put_u16(at + IPV4_OFFSET_CHECKSUM, 0);
    memcpy(at + 12, f->source.bytes, 4);
    memcpy(at + 16, f->destination.bytes, 4);
    put_u16(at + IPV4_OFFSET_CHECKSUM,
            checksum_finish(checksum_add(0, (struct slice){at, IPV4_HEAD_BYTES})));
}

void ipv6_write(struct writer *w, const struct ipv6_fields *f)
{
    assert(f->source.family == FAMILY_IPV6 && f->destination.family == FAMILY_IPV6);
    assert(f->flow_label <= 0xfffff);
    write_u32(w, (uint32_t)6 << 28 | (uint32_t)f->traffic_class << 20 | f->flow_label);
    write_u16(w, f->payload_bytes);
    write_u8(w, f->next_header);
    write_u8(w, f->hop_limit);
    write_slice(w, (struct slice){f->source.bytes, 16});
    write_slice(w, (struct slice){f->destination.bytes, 16});
}

/* Replaces the 16-bit word at `offset` of an IPv4 header. */
static void ipv4_replace_word(uint8_t *head, size_t offset, uint16_t word)
{
    uint16_t checksum = get_u16(head + IPV4_OFFSET_CHECKSUM);

    put_u16(head + IPV4_OFFSET_CHECKSUM, checksum_update(checksum, get_u16(head + offset), word));
    put_u16(head + offset, word);
}

void ipv4_set_tos(uint8_t *head, uint8_t tos)
{
    ipv4_replace_word(head, 0, (uint16_t)(head[0] << 8 | tos));
}

void ipv6_set_traffic_class(uint8_t *head, uint8_t traffic_class)
{
    put_u16(head, (uint16_t)((get_u16(head) & 0xf00f) | traffic_class << 4));
}

bool ip_decrement_ttl(uint8_t *head)
{
    bool is_ipv4 = head[0] >> 4 == 4;
    uint8_t *ttl = head + (is_ipv4 ? IPV4_OFFSET_TTL : IPV6_OFFSET_HOP_LIMIT);

    if (*ttl <= 1) {
        return false;
    }
    if (is_ipv4) {
        ipv4_replace_word(head, IPV4_OFFSET_TTL,
                          (uint16_t)(get_u16(head + IPV4_OFFSET_TTL) - 0x100));
    } else {
        (*ttl)--;
    }
    return true;
}

/* --- describing --- */

static void describe_end(const struct address *address, uint16_t port, bool has_port,
                         struct text *out)
{
    char text[ENDPOINT_TEXT_BYTES];
    struct endpoint e = {*address, port};

    if (has_port) {
        text_add(out, endpoint_format(&e, text));
    } else {
        text_add(out, address_format(address, text));
    }
}

static void describe_protocol(const struct ip_head *head, struct text *out)
{
    static const struct {
        uint8_t number;
        const char *name;
    } names[] = {
        {IP_PROTOCOL_ICMP, "icmp"}, {IP_PROTOCOL_IPV4, "ipv4"},     {IP_PROTOCOL_TCP, "tcp"},
        {IP_PROTOCOL_UDP, "udp"},   {IP_PROTOCOL_IPV6, "ipv6"},     {IP_PROTOCOL_GRE, "gre"},
        {IP_PROTOCOL_ESP, "esp"},   {IP_PROTOCOL_AH, "ah"},         {IP_PROTOCOL_ICMPV6, "icmpv6"},
        {PROTOCOL_SCTP, "sctp"},    {IP_PROTOCOL_IPCOMP, "ipcomp"}, {IP_PROTOCOL_NONE, "no upper"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (names[i].number == head->protocol) {
            text_addf(out, " %s", names[i].name);
            return;
        }
    }
    text_addf(out, " protocol %u", head->protocol);
}

void ip_describe_head(const struct ip_head *head, struct text *out)
{
    bool has_pair = head->has_ports && has_port_pair(head->protocol);

    describe_end(&head->source, head->port_source, has_pair, out);
    text_add(out, " > ");
    describe_end(&head->destination, head->port_destination, has_pair, out);
    describe_protocol(head, out);
    if (head->has_ports && !has_pair) {
        text_addf(out, " %u/%u", head->port_source >> 8, head->port_source & 0xff);
    }
    text_addf(out, " %u", (unsigned)head->total_bytes);
    if (head->is_fragment) {
        text_addf(out, " fragment at %u%s", head->fragment_offset,
                  head->more_fragments ? ", more follow" : "");
    }
}

void ip_describe(struct slice packet, struct text *out)
{
    struct ip_head head;

    if (ip_read(packet, &head)) {
        ip_describe_head(&head, out);
    } else {
        text_addf(out, "not an IP packet, %zu", packet.length);
    }
}
