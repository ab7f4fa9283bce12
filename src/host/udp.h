/* UDP sockets on the ports of IKE. */
#ifndef SEKISHO_HOST_UDP_H
#define SEKISHO_HOST_UDP_H

#include "host/datagram.h"

/* On one address, or on all of the family (then local->address is 0.0.0.0 or ::). False with a
 * sentence, which names the program that holds the port; `absent` says that this system does not
 * have the family. */
MUST_USE bool udp_open(struct datagram_socket *s, const struct endpoint *local, bool *absent,
                       char *why, size_t why_bytes);

/* Further sockets of the place of one that is open, each for a thread of its own: what comes in is
 * shared out among them by udp_steer(). False with a sentence; then the first is as it was. */
MUST_USE bool udp_open_beside(struct datagram_socket *s, const struct datagram_socket *first,
                              char *why, size_t why_bytes);
/* Of the first socket of a place and those opened beside it, in the order in which they were
 * opened, `count` take what comes in. A packet of ESP (RFC 3948 2.2) comes to number (SPI * factor
 * >> shift) % count, in 32 bits, all else to the first. The others only send. */
struct udp_steering {
    uint32_t factor, shift, count;
};
/* False where the system cannot. */
MUST_USE bool udp_steer(const struct datagram_socket *first, const struct udp_steering *steering);

#endif
