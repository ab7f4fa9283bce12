/*
 * Decides what an ICMP error says to us and about which packet (RFC 792, 1191 4, 4443 3), and finds
 * the SPI in it (RFC 4301 8.2.1).
 */
#include "wire/icmp_error.h"

#include "wire/icmp.h"
#include "wire/icmpv6.h"
#include "wire/ip_place.h"

#define FRAGMENT_HEAD_BYTES 8
#define AH_OFFSET_SPI 4
#define SPI_FIRST 256
#define SPI_BYTES 4

static bool read_icmp(const struct ip_head *ip, struct slice message, struct icmp_error *out)
{
    struct icmp_head head;

    if (ip->protocol != IP_PROTOCOL_ICMP || !icmp_read(message, &head) ||
        !icmp_type_is_error(head.type)) {
        return false;
    }
    out->type = head.type;
    out->code = head.code;
    out->quoted = head.body;
    /* RFC 1191 4: a router of before says 0. */
    out->mtu = icmp_error_is_too_big(out) ? head.rest & UINT16_MAX : 0;
    return true;
}

static bool read_icmpv6(const struct ip_head *ip, struct slice message, struct icmp_error *out)
{
    struct icmpv6_head head;

    if (ip->protocol != IP_PROTOCOL_ICMPV6 ||
        !icmpv6_read(&ip->source, &ip->destination, message, &head) ||
        !icmpv6_type_is_error(head.type)) {
        return false;
    }
    out->type = head.type;
    out->code = head.code;
    out->quoted = head.body;
    out->mtu = icmp_error_is_too_big(out) ? head.rest : 0;
    return true;
}

/* Where the first header behind those of IP begins. ip_read_quoted() looks behind AH, so the chain
 * is walked here. */
static bool find_upper(struct slice quoted, const struct ip_head *original, size_t *offset,
                       uint8_t *protocol)
{
    struct ipv6_chain chain;

    *offset = original->upper_offset;
    *protocol = original->protocol;
    if (original->family == FAMILY_IPV4) {
        return true;
    }
    if (!ipv6_chain_begin_quoted(quoted, &chain)) {
        return false;
    }
    while (ipv6_chain_at_extension(&chain)) {
        if (!ipv6_chain_step(&chain)) {
            return false;
        }
    }
    *offset = chain.at.offset;
    *protocol = chain.at.next_header;
    if (*protocol == IP_PROTOCOL_FRAGMENT && *offset < chain.packet.length) {
        *protocol = chain.packet.data[*offset];
        *offset += FRAGMENT_HEAD_BYTES;
    }
    return true;
}

bool icmp_quoted_read(struct slice quoted, struct icmp_quoted *out)
{
    struct icmp_quoted q = {0};
    size_t offset;

    if (!ip_read_quoted(quoted, &q.original) || q.original.fragment_offset > 0 ||
        !find_upper(quoted, &q.original, &offset, &q.protocol) || offset > quoted.length) {
        return false;
    }
    q.upper = (struct slice){quoted.data + offset, quoted.length - offset};
    *out = q;
    return true;
}

static void find_spi(struct icmp_error *out)
{
    struct icmp_quoted q;
    size_t offset = 0;

    if (!icmp_quoted_read(out->quoted, &q)) {
        return;
    }
    if (q.protocol == IP_PROTOCOL_AH) {
        offset = AH_OFFSET_SPI;
    } else if (q.protocol != IP_PROTOCOL_ESP) {
        return;
    }
    if (q.upper.length < offset + SPI_BYTES) {
        return;
    }
    uint32_t spi = get_u32(q.upper.data + offset);

    if (spi >= SPI_FIRST) {
        out->protection = q.protocol;
        out->spi = spi;
    }
}

bool icmp_error_read(struct slice packet, struct icmp_error *out)
{
    struct ip_head ip;
    struct icmp_error error = {0};

    if (!ip_read(packet, &ip) || ip.more_fragments || ip.fragment_offset > 0) {
        return false;
    }
    struct slice message = {packet.data + ip.upper_offset, ip.total_bytes - ip.upper_offset};

    error.family = ip.family;
    error.reporter = ip.source;
    error.told = ip.destination;
    if (ip.family == FAMILY_IPV4 ? !read_icmp(&ip, message, &error)
                                 : !read_icmpv6(&ip, message, &error)) {
        return false;
    }
    if (!ip_read_quoted(error.quoted, &error.original) || error.original.family != ip.family) {
        return false;
    }
    find_spi(&error);
    *out = error;
    return true;
}

bool icmp_error_is_too_big(const struct icmp_error *error)
{
    return error->family == FAMILY_IPV4 ? error->type == ICMP_DESTINATION_UNREACHABLE &&
                                              error->code == ICMP_FRAGMENTATION_NEEDED
                                        : error->type == ICMPV6_PACKET_TOO_BIG;
}

void icmp_error_describe(struct slice packet, struct text *out)
{
    struct icmp_error error;
    char text[ADDRESS_TEXT_BYTES];

    if (!icmp_error_read(packet, &error)) {
        text_addf(out, "not an ICMP error, %zu", packet.length);
        return;
    }
    text_addf(out, "%s %u/%u", error.family == FAMILY_IPV4 ? "icmp" : "icmpv6", error.type,
              error.code);
    if (error.mtu != 0) {
        text_addf(out, " mtu %u", (unsigned)error.mtu);
    }
    text_addf(out, " from %s", address_format(&error.reporter, text));
    text_addf(out, " about %s", address_format(&error.original.source, text));
    text_addf(out, " > %s", address_format(&error.original.destination, text));
    if (error.protection != 0) {
        text_addf(out, " %s %08x", error.protection == IP_PROTOCOL_AH ? "ah" : "esp",
                  (unsigned)error.spi);
    } else {
        text_addf(out, " protocol %u", error.original.protocol);
    }
}
