/*
 * A UDP socket towards one server, from a port that the system chooses: it gives us what comes from
 * that server and nothing else. Not marked as the sockets of IKE are: its packets go where the
 * routes lead, through a tunnel too.
 */
#ifndef SEKISHO_HOST_UDP_CLIENT_H
#define SEKISHO_HOST_UDP_CLIENT_H

#include "base/address.h"

/* -1 with a sentence. */
MUST_USE int udp_client_open(const struct endpoint *server, char *why, size_t why_bytes);
/* What cannot be sent is lost as any datagram may be. */
void udp_client_send(int fd, struct slice bytes);
/* False when there is nothing. A datagram that is longer than the room is cut. */
MUST_USE bool udp_client_receive(int fd, uint8_t *room, size_t room_bytes, size_t *length);

#endif
