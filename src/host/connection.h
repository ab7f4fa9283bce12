/*
 * TCP connections as streams of octets that never wait: opened, taken, read, written. Marked like
 * all that leaves by our sockets (host/datagram.h).
 */
#ifndef SEKISHO_HOST_CONNECTION_H
#define SEKISHO_HOST_CONNECTION_H

#include "base/address.h"

#define CONNECTION_WHY_BYTES 160

/* A socket that takes connections, on one address or on all of the family. -1 with a sentence;
 * `absent` says that this system does not have the family. */
MUST_USE int connection_listen(const struct endpoint *local, bool *absent, char *why,
                               size_t why_bytes);

enum connection_result {
    CONNECTION_DONE,
    CONNECTION_LATER, /* nothing now: the descriptor tells */
    CONNECTION_ENDED, /* by the other side, or an error */
};

/* Our end of it, or where it listens. */
MUST_USE bool connection_end(int fd, struct endpoint *local);
/* The next one that somebody opened, with both its ends. */
MUST_USE enum connection_result connection_accept(int listener, int *fd, struct endpoint *local,
                                                  struct endpoint *peer);
/* Begins to open one; `local` unset: the system chooses. It is there, or not, when the descriptor
 * can be written to. -1 with a sentence. */
MUST_USE int connection_open(const struct address *local, const struct endpoint *peer, char *why,
                             size_t why_bytes);
/* What became of it: our end, or false with a sentence. */
MUST_USE bool connection_opened(int fd, struct endpoint *local, char *why, size_t why_bytes);

/* *bytes: how many; with CONNECTION_ENDED `why` says what happened. */
MUST_USE enum connection_result connection_read(int fd, uint8_t *room, size_t room_bytes,
                                                size_t *bytes, char *why, size_t why_bytes);
#define CONNECTION_PARTS_MAX 512
/* All parts, one after the other, as far as the system takes them now. */
MUST_USE enum connection_result connection_write(int fd, const struct slice *parts, size_t count,
                                                 size_t *bytes);
/* Nothing more is sent behind what was; what comes is still read. */
void connection_finish(int fd);
/* `at_once`: with a reset, and what was not sent is lost. */
void connection_close(int fd, bool at_once);

#endif
