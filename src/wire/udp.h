/* UDP (RFC 768): eight bytes before a datagram. */
#ifndef SEKISHO_WIRE_UDP_H
#define SEKISHO_WIRE_UDP_H

#include "base/address.h"

struct udp_head {
    uint16_t source;
    uint16_t destination;
    uint16_t length_bytes; /* of header and payload */
    uint16_t checksum; /* 0: the sender made none */
};

/* False unless the header is there and its length lies between 8 and what is there. What stands
 * behind length_bytes is padding of lower layers. The checksum is not looked at. */
MUST_USE bool udp_read(struct slice datagram, struct udp_head *out);
void udp_write(struct writer *w, const struct udp_head *head);

/* Over the pseudo header and `datagram` (header and payload, its checksum field taken as zero).
 * Never 0: RFC 768 sends 0xffff for it. The datagram is at least 8 bytes long. */
uint16_t udp_checksum(const struct address *source, const struct address *destination,
                      struct slice datagram);
/* No checksum is right with IPv4 and wrong with IPv6 (RFC 8200 8.1). */
MUST_USE bool udp_checksum_is_right(const struct address *source, const struct address *destination,
                                    struct slice datagram);

#endif
