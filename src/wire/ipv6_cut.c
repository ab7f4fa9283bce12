/* Decides where an IPv6 packet is cut and what its fragments look like (RFC 8200 4.5). */
#include "wire/ipv6_cut.h"

#include <assert.h>
#include <string.h>

#include "wire/ip.h"

#define IPV6_OFFSET_PAYLOAD 4
#define UPPER_BYTES_MIN 8

bool ipv6_cut_plan(struct slice packet, size_t mtu, uint32_t identification, struct ipv6_cut *out)
{
    struct ip_head head;
    struct ipv6_fragment first;

    if (!ip_read(packet, &head) || head.family != FAMILY_IPV6 || head.is_fragment ||
        head.total_bytes <= mtu ||
        !ipv6_find_fragmentable((struct slice){packet.data, head.total_bytes}, &first)) {
        return false;
    }
    size_t before = (size_t)first.at + IPV6_FRAGMENT_HEAD_BYTES;
    size_t piece_bytes = mtu < before ? 0 : (mtu - before) / 8 * 8;

    /* RFC 8200 4.5 (3): all headers through that of the upper layer stand in the first. */
    if (piece_bytes < (size_t)head.upper_offset - first.at + UPPER_BYTES_MIN) {
        return false;
    }
    size_t rest = head.total_bytes - first.at;

    first.id = identification;
    *out = (struct ipv6_cut){
        .packet = {packet.data, head.total_bytes},
        .first = first,
        .piece_bytes = piece_bytes,
        .count = (rest + piece_bytes - 1) / piece_bytes,
    };
    return true;
}

static struct slice piece_of(const struct ipv6_cut *cut, size_t number)
{
    assert(number < cut->count);
    size_t from = cut->first.at + number * cut->piece_bytes;
    size_t left = cut->packet.length - from;

    return (struct slice){cut->packet.data + from,
                          left < cut->piece_bytes ? left : cut->piece_bytes};
}

size_t ipv6_cut_bytes(const struct ipv6_cut *cut, size_t number)
{
    return (size_t)cut->first.at + IPV6_FRAGMENT_HEAD_BYTES + piece_of(cut, number).length;
}

/* What is in front of a piece; what every fragment repeats stands at `to` already. */
static void finish(uint8_t *to, const struct ipv6_cut *cut, size_t number)
{
    struct ipv6_fragment fragment = cut->first;

    fragment.offset_bytes = (uint16_t)(number * cut->piece_bytes);
    fragment.more = number + 1 < cut->count;
    put_u16(to + IPV6_OFFSET_PAYLOAD, (uint16_t)(ipv6_cut_bytes(cut, number) - IPV6_HEAD_BYTES));
    to[fragment.next_header_at] = IP_PROTOCOL_FRAGMENT;
    ipv6_fragment_write(to + fragment.at, &fragment);
}

void ipv6_cut_write(struct writer *w, const struct ipv6_cut *cut, size_t number)
{
    uint8_t *to = write_reserve(w, ipv6_cut_bytes(cut, number));
    struct slice piece = piece_of(cut, number);

    if (to != NULL) {
        memcpy(to, cut->packet.data, cut->first.at);
        memcpy(to + cut->first.at + IPV6_FRAGMENT_HEAD_BYTES, piece.data, piece.length);
        finish(to, cut, number);
    }
}

size_t ipv6_cut_here(uint8_t *packet, const struct ipv6_cut *cut)
{
    uint8_t *rest = packet + cut->first.at;

    assert(packet == cut->packet.data);
    memmove(rest + IPV6_FRAGMENT_HEAD_BYTES, rest, cut->piece_bytes);
    finish(packet, cut, 0);
    return ipv6_cut_bytes(cut, 0);
}
