/*
 * A packet on its way through the data plane: bytes with room before and after them, and what is
 * known about them. The fields `segment_*` belong to super-packets (virtio_net_hdr): segment_bytes
 * is zero for a plain packet.
 */
#ifndef SEKISHO_BASE_PACKET_H
#define SEKISHO_BASE_PACKET_H

#include "base/address.h"

#define BATCH_PACKETS 64
/* Two outer IPv6 headers, ESP and AH around each other, or extension headers that came with one. */
#define PACKET_HEADROOM_BYTES 256
#define PACKET_TAILROOM_BYTES 320 /* padding up to 255, next header, ICV up to 32 */

enum packet_segmentation {
    SEGMENT_NONE,
    SEGMENT_TCP,
    SEGMENT_UDP,
};

struct packet {
    uint8_t *buffer;
    uint32_t capacity;
    uint32_t offset; /* of the first byte in the buffer */
    uint32_t length;

    /* The outer addresses: where it came from and to (inbound), where it must go from and to
     * (outbound). */
    struct endpoint local;
    struct endpoint peer;
    uint8_t tos; /* outer DSCP and ECN, received or to be sent */
    uint8_t outer_protocol; /* 17 UDP, 50 ESP or 51 AH */
    uint8_t dont_fragment; /* of the outer header to be sent */

    /* Inbound, from raw sockets: that many octets of outer IP header, with its options or extension
     * headers, stand right before the data; 0: not known. */
    uint16_t outer_head_bytes;
    /* Outbound: the data begins with the whole outer IP header and leaves as it is; an IPv4 total
     * length and checksum are right already. */
    bool has_outer_head;
    /* Outbound, with an outer header: around the tunnel, in clear, through the interface that leads
     * outside and not by the route that would lead back into the TUN device. */
    bool bypass;

    bool was_joined; /* inbound: it came in one piece with others */

    /* To the TUN device: where the transport header is, when the IP header has been read: the
     * packet is whole and as long as it says. 0: not known. */
    uint16_t upper_offset;
    /* The sum of all octets from there on, when it was taken while they were at hand. */
    uint16_t upper_sum;
    bool has_upper_sum;

    uint32_t spi; /* to a consumer: the SA through which it came */

    uint8_t segmentation; /* enum packet_segmentation */
    uint16_t segment_bytes;
    uint16_t checksum_start; /* 0 when the checksum is complete */
    uint16_t checksum_offset;
};

static inline uint8_t *packet_data(const struct packet *p)
{
    return p->buffer + p->offset;
}

static inline struct slice packet_slice(const struct packet *p)
{
    return (struct slice){p->buffer + p->offset, p->length};
}

#endif
