/*
 * Decides what an ICMPv6 message (RFC 4443) says, which packets may be answered with an error (2.4
 * e), and what such an answer looks like (3).
 */
#include "wire/icmpv6.h"

#include <assert.h>

#define ERROR_HOP_LIMIT 64
#define TYPE_FIRST_INFORMATIONAL 128
#define MTU_MIN 1280

static uint32_t sum_of(const struct address *source, const struct address *destination,
                       struct slice message)
{
    uint32_t sum =
        checksum_pseudo(source, destination, IP_PROTOCOL_ICMPV6, (uint32_t)message.length);

    return checksum_add(sum, message);
}

bool icmpv6_read(const struct address *source, const struct address *destination,
                 struct slice message, struct icmpv6_head *out)
{
    struct reader r = reader_over(message);
    struct icmpv6_head head;

    head.type = read_u8(&r);
    head.code = read_u8(&r);
    head.checksum = read_u16(&r);
    head.rest = read_u32(&r);
    head.body = read_rest(&r);
    if (!reader_ok(&r) || checksum_finish(sum_of(source, destination, message)) != 0) {
        return false;
    }
    *out = head;
    return true;
}

void icmpv6_write(struct writer *w, const struct address *source, const struct address *destination,
                  const struct icmpv6_head *head)
{
    size_t from = w->length;

    write_u8(w, head->type);
    write_u8(w, head->code);
    write_u16(w, 0);
    write_u32(w, head->rest);
    write_slice(w, head->body);
    if (writer_ok(w)) {
        struct slice message = {w->data + from, w->length - from};

        write_u16_at(w, from + 2, checksum_finish(sum_of(source, destination, message)));
    }
}

bool icmpv6_type_is_error(uint8_t type)
{
    return type < TYPE_FIRST_INFORMATIONAL;
}

static bool is_one_node(const struct address *a)
{
    return !address_is_any(a) && !address_is_multicast(a) && !address_is_loopback(a);
}

bool icmpv6_may_answer(struct slice packet, const struct ip_head *head, bool is_too_big)
{
    if (head->family != FAMILY_IPV6 || head->fragment_offset > 0 || !is_one_node(&head->source) ||
        (address_is_multicast(&head->destination) && !is_too_big)) {
        return false;
    }
    if (head->protocol != IP_PROTOCOL_ICMPV6) {
        return true;
    }
    if (head->upper_offset >= head->total_bytes || head->upper_offset >= packet.length) {
        return false;
    }
    uint8_t type = packet.data[head->upper_offset];

    return !icmpv6_type_is_error(type) && type != ICMPV6_REDIRECT;
}

bool icmpv6_build_error(struct writer *w, const struct address *source, uint8_t type, uint8_t code,
                        uint32_t rest, struct slice original)
{
    struct ip_head head;
    size_t quoted_max = ICMPV6_ERROR_PACKET_BYTES_MAX - IPV6_HEAD_BYTES - ICMPV6_HEAD_BYTES;

    assert(source->family == FAMILY_IPV6);
    if (!ip_read(original, &head) ||
        !icmpv6_may_answer(original, &head, type == ICMPV6_PACKET_TOO_BIG)) {
        return false;
    }
    size_t quoted = head.total_bytes < quoted_max ? head.total_bytes : quoted_max;
    size_t message_bytes = ICMPV6_HEAD_BYTES + quoted;

    if (!writer_ok(w) || w->capacity - w->length < IPV6_HEAD_BYTES + message_bytes) {
        return false;
    }
    struct ipv6_fields fields = {
        .source = *source,
        .destination = head.source,
        .hop_limit = ERROR_HOP_LIMIT,
        .next_header = IP_PROTOCOL_ICMPV6,
        .payload_bytes = (uint16_t)message_bytes,
    };
    struct icmpv6_head message = {
        .type = type, .code = code, .rest = rest, .body = {original.data, quoted}};

    ipv6_write(w, &fields);
    icmpv6_write(w, source, &head.source, &message);
    return writer_ok(w);
}

bool icmpv6_build_packet_too_big(struct writer *w, const struct address *source, uint32_t mtu,
                                 struct slice original)
{
    return icmpv6_build_error(w, source, ICMPV6_PACKET_TOO_BIG, 0, mtu < MTU_MIN ? MTU_MIN : mtu,
                              original);
}

bool icmpv6_build_time_exceeded(struct writer *w, const struct address *source,
                                struct slice original)
{
    return icmpv6_build_error(w, source, ICMPV6_TIME_EXCEEDED, 0, 0, original);
}
