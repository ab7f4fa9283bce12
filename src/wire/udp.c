/* Decides what a UDP header (RFC 768) says and what its checksum must be. */
#include "wire/udp.h"

#include <assert.h>

#include "wire/ip.h"

#define UDP_OFFSET_CHECKSUM 6

bool udp_read(struct slice datagram, struct udp_head *out)
{
    struct reader r = reader_over(datagram);
    struct udp_head head;

    head.source = read_u16(&r);
    head.destination = read_u16(&r);
    head.length_bytes = read_u16(&r);
    head.checksum = read_u16(&r);
    if (!reader_ok(&r) || head.length_bytes < UDP_HEAD_BYTES ||
        head.length_bytes > datagram.length) {
        return false;
    }
    *out = head;
    return true;
}

void udp_write(struct writer *w, const struct udp_head *head)
{
    write_u16(w, head->source);
    write_u16(w, head->destination);
    write_u16(w, head->length_bytes);
    write_u16(w, head->checksum);
}

/* With the checksum field as it stands. */
static uint32_t sum_of(const struct address *source, const struct address *destination,
                       struct slice datagram)
{
    uint32_t sum = checksum_pseudo(source, destination, IP_PROTOCOL_UDP, (uint32_t)datagram.length);

    assert(datagram.length >= UDP_HEAD_BYTES && datagram.length <= UINT16_MAX);
    return checksum_add(sum, datagram);
}

uint16_t udp_checksum(const struct address *source, const struct address *destination,
                      struct slice datagram)
{
    uint32_t sum = sum_of(source, destination, datagram);
    /* Taking the word that stands there away is adding its complement (RFC 1624). */
    uint16_t there = get_u16(datagram.data + UDP_OFFSET_CHECKSUM);
    uint16_t checksum = checksum_finish(sum + (uint16_t)~there);

    return checksum == 0 ? UINT16_MAX : checksum;
}

bool udp_checksum_is_right(const struct address *source, const struct address *destination,
                           struct slice datagram)
{
    if (get_u16(datagram.data + UDP_OFFSET_CHECKSUM) == 0) {
        return source->family == FAMILY_IPV4;
    }
    return checksum_finish(sum_of(source, destination, datagram)) == 0;
}
