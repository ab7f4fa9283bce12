/* The sockets towards the outside: which are open, and which one a packet leaves by. */
#ifndef SEKISHO_SEKISHOD_SOCKETS_H
#define SEKISHO_SEKISHOD_SOCKETS_H

#include "base/log.h"
#include "config/config.h"
#include "host/datagram.h"

/* Two ports on each of eight addresses, and ESP, AH and whole packets of two families, errors about
 * AH in IPv6, and a ring for ESP. */
#define SOCKETS_MAX 24

struct sockets {
    struct datagram_socket list[SOCKETS_MAX];
    size_t count;
    struct datagram_roads roads; /* of all of them, and of those beside them */
    bool has_raw; /* ESP, AH and packets with a header of ours are possible */
    bool has_unmarked; /* the system does not let us mark what we send */
};

/* Opens what the configuration wants. A family that this machine does not have, and raw sockets
 * without the right to them, are told in the log and left out. `supers`: the system may cut and
 * join datagrams. False with a sentence. */
MUST_USE bool sockets_open(struct sockets *sockets, const struct config *config, bool supers,
                           struct log_sink *log, char *why, size_t why_bytes);
/* Of each socket for ESP in UDP one more for each further worker, `count` of them in all with the
 * first; the first `readers` take what comes in (udp_steer()). `beside` has count - 1 of them.
 * False with a sentence; what was opened is closed, and the first ones take everything. */
MUST_USE bool sockets_open_beside(struct sockets *sockets, uint16_t nat_port,
                                  struct sockets *beside, size_t count, size_t readers, char *why,
                                  size_t why_bytes);
void sockets_close(struct sockets *sockets);
/* Through which interface packets of this family go around the tunnel; 0: unknown. */
void sockets_set_uplink(struct sockets *sockets, enum family family, int interface_index);
/* By which interface what is sent from these addresses leaves; `all`: every address of ours. */
void sockets_set_roads(struct sockets *sockets, const struct datagram_road *list, size_t count,
                       const struct address *all, size_t all_count);
/* By protocol (17, 50, 51 or DATAGRAM_WHOLE), port (of UDP) and the local address or, when that is
 * unset, the peer's family. NULL when there is none. */
struct datagram_socket *sockets_find(struct sockets *sockets, uint8_t protocol,
                                     const struct endpoint *local, const struct endpoint *peer);
/* The one that this packet has to leave by. */
struct datagram_socket *sockets_for(struct sockets *sockets, const struct packet *packet);

#endif
