/*
 * A packet on its way through the data plane: bytes with room before and after them, and what is
 * known about them. The fields `segment_*` belong to super-packets (virtio_net_hdr): segment_bytes
 * is zero for a plain packet.
 */
#ifndef SEKISHO_BASE_PACKET_H
#define SEKISHO_BASE_PACKET_H

#include "base/address.h"

#define BATCH_PACKETS 64
#define PACKET_HEADROOM_BYTES 128 /* outer IPv6, UDP, ESP with a 16-octet IV, and some to spare */
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
    uint8_t outer_protocol; /* 17 UDP or 50 ESP */
    uint8_t dont_fragment; /* of the outer header to be sent */

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
