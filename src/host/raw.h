/* Raw sockets: ESP and AH as IP protocols (RFC 4303: 50, RFC 4302: 51), and packets with a header
 * of ours. */
#ifndef SEKISHO_HOST_RAW_H
#define SEKISHO_HOST_RAW_H

#include "host/datagram.h"

/* False with a sentence; `absent` says that this system does not have the family. */
MUST_USE bool raw_open(struct datagram_socket *s, enum family family, uint8_t protocol,
                       bool *absent, char *why, size_t why_bytes);
/* Sends packets that bring their outer IP header; receives nothing. */
MUST_USE bool raw_open_sender(struct datagram_socket *s, enum family family, bool *absent,
                              char *why, size_t why_bytes);
/* ICMPv6 "packet too big": the system takes AH for an extension header and tells a socket of AH
 * nothing. For datagram_next_error() alone. */
MUST_USE bool raw_open_too_big(struct datagram_socket *s, bool *absent, char *why,
                               size_t why_bytes);

#endif
