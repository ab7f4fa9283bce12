/* UDP sockets on the ports of IKE. */
#ifndef SEKISHO_HOST_UDP_H
#define SEKISHO_HOST_UDP_H

#include "host/datagram.h"

/* On one address, or on all of the family (then local->address is 0.0.0.0 or ::). False with a
 * sentence, which names the program that holds the port; `absent` says that this system does not
 * have the family. */
MUST_USE bool udp_open(struct datagram_socket *s, const struct endpoint *local, bool *absent,
                       char *why, size_t why_bytes);

#endif
