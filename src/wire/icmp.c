/*
 * Decides what an ICMP message (RFC 792) says, which packets may be answered with an error (RFC
 * 1122 3.2.2, RFC 1812 4.3.2.7), and what such an answer looks like (RFC 1191 4, RFC 1812 4.3.2).
 */
#include "wire/icmp.h"

#include <assert.h>

#define ERROR_TTL 64
#define ERROR_TOS 0xc0 /* RFC 1812 4.3.2.5: precedence INTERNETWORK CONTROL */

bool icmp_read(struct slice message, struct icmp_head *out)
{
    struct reader r = reader_over(message);
    struct icmp_head head;

    head.type = read_u8(&r);
    head.code = read_u8(&r);
    head.checksum = read_u16(&r);
    head.rest = read_u32(&r);
    head.body = read_rest(&r);
    if (!reader_ok(&r) || checksum_finish(checksum_add(0, message)) != 0) {
        return false;
    }
    *out = head;
    return true;
}

void icmp_write(struct writer *w, const struct icmp_head *head)
{
    size_t from = w->length;

    write_u8(w, head->type);
    write_u8(w, head->code);
    write_u16(w, 0);
    write_u32(w, head->rest);
    write_slice(w, head->body);
    if (writer_ok(w)) {
        struct slice message = {w->data + from, w->length - from};

        write_u16_at(w, from + 2, checksum_finish(checksum_add(0, message)));
    }
}

bool icmp_type_is_error(uint8_t type)
{
    return type == ICMP_DESTINATION_UNREACHABLE || type == ICMP_SOURCE_QUENCH ||
           type == ICMP_REDIRECT || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER_PROBLEM;
}

/* RFC 1812 4.2.2.11, 5.3.7: not zero, loopback, multicast, class E or broadcast. */
static bool is_one_host(const struct address *a)
{
    return a->bytes[0] != 0 && !address_is_loopback(a) && a->bytes[0] < 224;
}

static bool is_broadcast_or_multicast(const struct address *a)
{
    return address_is_multicast(a) || get_u32(a->bytes) == UINT32_MAX;
}

bool icmp_may_answer(struct slice packet, const struct ip_head *head)
{
    if (head->family != FAMILY_IPV4 || head->fragment_offset > 0 || !is_one_host(&head->source) ||
        is_broadcast_or_multicast(&head->destination)) {
        return false;
    }
    if (head->protocol != IP_PROTOCOL_ICMP) {
        return true;
    }
    return head->upper_offset < head->total_bytes && head->upper_offset < packet.length &&
           !icmp_type_is_error(packet.data[head->upper_offset]);
}

bool icmp_build_error(struct writer *w, const struct address *source, uint8_t type, uint8_t code,
                      uint32_t rest, struct slice original)
{
    struct ip_head head;
    size_t quoted_max = ICMP_ERROR_PACKET_BYTES_MAX - IPV4_HEAD_BYTES - ICMP_HEAD_BYTES;

    assert(source->family == FAMILY_IPV4);
    if (!ip_read(original, &head) || !icmp_may_answer(original, &head)) {
        return false;
    }
    size_t quoted = head.total_bytes < quoted_max ? head.total_bytes : quoted_max;
    size_t message_bytes = ICMP_HEAD_BYTES + quoted;

    if (!writer_ok(w) || w->capacity - w->length < IPV4_HEAD_BYTES + message_bytes) {
        return false;
    }
    struct ipv4_fields fields = {
        .source = *source,
        .destination = head.source,
        .tos = ERROR_TOS,
        .ttl = ERROR_TTL,
        .protocol = IP_PROTOCOL_ICMP,
        .payload_bytes = (uint16_t)message_bytes,
    };
    struct icmp_head message = {
        .type = type, .code = code, .rest = rest, .body = {original.data, quoted}};

    ipv4_write(w, &fields);
    icmp_write(w, &message);
    return writer_ok(w);
}

bool icmp_build_fragmentation_needed(struct writer *w, const struct address *source,
                                     uint16_t next_hop_mtu, struct slice original)
{
    return icmp_build_error(w, source, ICMP_DESTINATION_UNREACHABLE, ICMP_FRAGMENTATION_NEEDED,
                            next_hop_mtu, original);
}

bool icmp_build_time_exceeded(struct writer *w, const struct address *source, struct slice original)
{
    return icmp_build_error(w, source, ICMP_TIME_EXCEEDED, 0, 0, original);
}
