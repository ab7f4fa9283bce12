/*
 * Decides what a TCP header (RFC 9293 3.1) and its options (3.2) say, and lowers the MSS that a
 * SYN announces.
 */
#include "wire/tcp.h"

#include <assert.h>

#include "wire/ip.h"

#define MSS_VALUE_BYTES 2

bool tcp_read(struct slice segment, struct tcp_head *out)
{
    struct reader r = reader_over(segment);
    struct tcp_head head;

    head.source = read_u16(&r);
    head.destination = read_u16(&r);
    head.sequence = read_u32(&r);
    head.acknowledgement = read_u32(&r);
    uint8_t offset = read_u8(&r);

    head.reserved = offset & 0x0f;
    head.head_bytes = (uint8_t)((offset >> 4) * 4);
    head.flags = read_u8(&r);
    head.window = read_u16(&r);
    head.checksum = read_u16(&r);
    head.urgent = read_u16(&r);
    if (!reader_ok(&r) || head.head_bytes < TCP_HEAD_BYTES) {
        return false;
    }
    head.options = read_bytes(&r, (size_t)head.head_bytes - TCP_HEAD_BYTES);
    if (!reader_ok(&r)) {
        return false;
    }
    *out = head;
    return true;
}

void tcp_write(struct writer *w, const struct tcp_head *head)
{
    size_t padding = (4 - head->options.length % 4) % 4;
    size_t head_bytes = TCP_HEAD_BYTES + head->options.length + padding;

    if (head->options.length > TCP_OPTIONS_BYTES_MAX) {
        writer_fail(w);
        return;
    }
    write_u16(w, head->source);
    write_u16(w, head->destination);
    write_u32(w, head->sequence);
    write_u32(w, head->acknowledgement);
    write_u8(w, (uint8_t)(head_bytes / 4 << 4 | (head->reserved & 0x0f)));
    write_u8(w, head->flags);
    write_u16(w, head->window);
    write_u16(w, head->checksum);
    write_u16(w, head->urgent);
    write_slice(w, head->options);
    write_zeros(w, padding);
}

bool tcp_read_option(struct reader *options, struct tcp_option *out)
{
    while (reader_left(options) > 0) {
        uint8_t kind = read_u8(options);

        if (kind == TCP_OPTION_END) {
            return false;
        }
        if (kind == TCP_OPTION_NOP) {
            continue;
        }
        uint8_t length = read_u8(options);

        if (length < 2) {
            reader_fail(options);
            return false;
        }
        struct slice value = read_bytes(options, (size_t)length - 2);

        if (!reader_ok(options)) {
            return false;
        }
        *out = (struct tcp_option){.kind = kind, .value = value};
        return true;
    }
    return false;
}

size_t tcp_find_mss(struct slice segment)
{
    struct tcp_head head;
    struct tcp_option option;

    if (segment.length < TCP_HEAD_BYTES || (segment.data[TCP_OFFSET_FLAGS] & TCP_SYN) == 0 ||
        !tcp_read(segment, &head)) {
        return 0;
    }
    struct reader options = reader_over(head.options);

    while (tcp_read_option(&options, &option)) {
        if (option.kind == TCP_OPTION_MSS && option.value.length == MSS_VALUE_BYTES) {
            return (size_t)(option.value.data - segment.data);
        }
    }
    return 0;
}

static uint16_t swapped(uint16_t value)
{
    return (uint16_t)(value >> 8 | value << 8);
}

bool tcp_clamp_mss(uint8_t *segment, size_t length, uint16_t most, bool checksum_is_partial)
{
    size_t offset = tcp_find_mss((struct slice){segment, length});
    uint16_t mss = offset == 0 ? 0 : get_u16(segment + offset);

    if (offset == 0 || mss <= most) {
        return false;
    }
    put_u16(segment + offset, most);
    if (!checksum_is_partial) {
        uint16_t checksum = get_u16(segment + TCP_OFFSET_CHECKSUM);
        /* RFC 1071 2 (B): at an odd offset the two bytes lie in two words, as if swapped in
         * one. */
        bool odd = offset % 2 != 0;

        checksum = checksum_update(checksum, odd ? swapped(mss) : mss, odd ? swapped(most) : most);
        put_u16(segment + TCP_OFFSET_CHECKSUM, checksum);
    }
    return true;
}

/* With the checksum field as it stands. */
static uint32_t sum_of(const struct address *source, const struct address *destination,
                       struct slice segment)
{
    uint32_t sum = checksum_pseudo(source, destination, IP_PROTOCOL_TCP, (uint32_t)segment.length);

    assert(segment.length >= TCP_HEAD_BYTES && segment.length <= UINT16_MAX);
    return checksum_add(sum, segment);
}

uint16_t tcp_checksum(const struct address *source, const struct address *destination,
                      struct slice segment)
{
    uint32_t sum = sum_of(source, destination, segment);
    /* Taking the word that stands there away is adding its complement (RFC 1624). */
    uint16_t there = get_u16(segment.data + TCP_OFFSET_CHECKSUM);

    return checksum_finish(sum + (uint16_t)~there);
}

bool tcp_checksum_is_right(const struct address *source, const struct address *destination,
                           struct slice segment)
{
    return checksum_finish(sum_of(source, destination, segment)) == 0;
}
