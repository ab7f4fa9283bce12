/* Raw sockets for ESP as an IP protocol of its own (RFC 4303: protocol 50). */
#ifndef SEKISHO_HOST_RAW_H
#define SEKISHO_HOST_RAW_H

#include "host/datagram.h"

/* False with a sentence; `absent` says that this system does not have the family. */
MUST_USE bool raw_open(struct datagram_socket *s, enum family family, uint8_t protocol,
                       bool *absent, char *why, size_t why_bytes);

#endif
