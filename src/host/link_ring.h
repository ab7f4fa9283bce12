/*
 * What a raw socket receives, without a system call for each packet: a program of ours in the
 * kernel stands where the packet would go into the socket's queue, copies it into a ring that is
 * mapped here, and the kernel lets go of it at once. At that place the packet has gone the whole
 * way in: put together from fragments, past the rules of the administrator and the reverse path
 * filter. What the ring does not take goes into the queue of the socket as ever.
 */
#ifndef SEKISHO_HOST_LINK_RING_H
#define SEKISHO_HOST_LINK_RING_H

#include "base/packet.h"

struct link_ring;

/* NULL: this system does not let us, or what it did with a packet for trial was wrong. Needs the
 * right CAP_BPF, here only. The file descriptor is readable when there are packets. */
struct link_ring *link_ring_open(void);
void link_ring_close(struct link_ring *ring);
/* From now on it takes what comes to this raw socket of protocol 50. One ring for both families.
 * False, and nothing has changed for the socket. */
MUST_USE bool link_ring_attach(struct link_ring *ring, int socket, enum family family);
int link_ring_fd(const struct link_ring *ring);

/* As datagram_receive(): the data behind the head room, the outer header right before it. */
MUST_USE size_t link_ring_receive(struct link_ring *ring, struct packet *const *packets,
                                  size_t count, size_t *too_long);
/* What was received is done with: until then nobody has to be woken for what comes. Whether more
 * should be received before others have their turn. */
MUST_USE bool link_ring_done(struct link_ring *ring);

#endif
