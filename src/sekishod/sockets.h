/* The sockets towards the outside: which are open, and which one a packet leaves by. */
#ifndef SEKISHO_SEKISHOD_SOCKETS_H
#define SEKISHO_SEKISHOD_SOCKETS_H

#include "base/log.h"
#include "config/config.h"
#include "host/datagram.h"

/* Two ports on each of eight addresses, and raw sockets of two families. */
#define SOCKETS_MAX 20

struct sockets {
    struct datagram_socket list[SOCKETS_MAX];
    size_t count;
    bool has_raw; /* native ESP is possible */
};

/* Opens what the configuration wants. A family that this machine does not have, and raw sockets
 * without the right to them, are told in the log and left out. `supers`: the system may cut and
 * join datagrams. False with a sentence. */
MUST_USE bool sockets_open(struct sockets *sockets, const struct config *config, bool supers,
                           struct log_sink *log, char *why, size_t why_bytes);
void sockets_close(struct sockets *sockets);
/* By protocol (17 or 50), port (of UDP) and the local address or, when that is unset, the peer's
 * family. NULL when there is none. */
struct datagram_socket *sockets_find(struct sockets *sockets, uint8_t protocol,
                                     const struct endpoint *local, const struct endpoint *peer);

#endif
