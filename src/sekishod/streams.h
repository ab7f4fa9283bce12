/*
 * IKE and ESP over TCP (RFC 9329): the connections, who may have one, and the messages in them. One
 * thread reads; any thread sends, and none ever waits: what a connection does not take is kept in a
 * bounded queue or refused.
 */
#ifndef SEKISHO_SEKISHOD_STREAMS_H
#define SEKISHO_SEKISHOD_STREAMS_H

#include "base/log.h"
#include "base/packet.h"
#include "host/loop.h"
#include "host/connection.h"

struct streams;

/* Sockets that take connections; ports on each of the addresses of `listen`, or on all. */
#define STREAMS_LISTENERS_MAX 32

struct streams_limits {
    size_t connections; /* in all */
    size_t strangers; /* through which no established IKE SA goes; the oldest makes room */
    size_t strangers_of_address; /* an IPv6 /64 is one */
    uint64_t stranger_ms; /* then an established IKE SA must go through it */
    size_t stranger_bytes; /* read from one at most */
    uint64_t released_ms; /* after which one is closed that is not used any more */
    size_t queue_bytes; /* unsent, of one; ESP leaves a part of it to IKE */
    size_t queues_bytes; /* of all */
};
extern const struct streams_limits streams_usual_limits;

/* NULL: no memory. The loop is that of the reading thread, which is not running yet. */
MUST_USE struct streams *streams_new(const struct streams_limits *limits,
                                     const uint8_t hash_key[16], struct wake *control);
void streams_free(struct streams *streams);
/* Before streams_attach(). False with a sentence. */
MUST_USE bool streams_listen(struct streams *streams, const struct endpoint *local, bool *absent,
                             char *why, size_t why_bytes);
/* Where; false behind the last. */
MUST_USE bool streams_listener_at(const struct streams *streams, size_t index,
                                  struct endpoint *out);

/* ---- the reading thread ---- */

/* `ready`: something was read, and is to be taken with streams_take() until nothing is left. */
MUST_USE bool streams_attach(struct streams *streams, struct loop *loop,
                             void (*ready)(void *context), void *context);
/* The messages of the connection that was read, in order, where they stand: packets of the caller
 * get another buffer until the next turn. Returns how many were filled. */
MUST_USE size_t streams_take(struct streams *streams, struct packet *const *packets, size_t count);
/* Of those that were taken last: was one of them worth anything? A connection out of which nothing
 * good comes for long is closed (RFC 9329 6.1). */
void streams_judge(struct streams *streams, size_t count, bool good);
/* Once a turn: what has become too old, and what others want of the connections. */
void streams_time(struct streams *streams, uint64_t now_ms);

/* ---- any thread ---- */

struct streams_refused {
    size_t no_stream, full;
};
/* Packets with a head room, all between the same two endpoints. */
void streams_send(struct streams *streams, struct packet *const *packets, size_t count,
                  struct streams_refused *refused);

/* ---- the control thread ---- */

/* A message of IKE with its marker: it has more room than ESP. A connection that does not even take
 * this is closed. False: there is none. */
bool streams_send_ike(struct streams *streams, const struct endpoint *local,
                      const struct endpoint *peer, struct slice bytes);
/* Begins to open one; STREAM_OPENED or STREAM_REFUSED follows. */
void streams_open(struct streams *streams, uint64_t question, const struct address *local,
                  const struct endpoint *peer, uint64_t now_ms);
/* An established IKE SA goes through it. */
void streams_keep(struct streams *streams, const struct endpoint *local,
                  const struct endpoint *peer);
/* None does any more: it is closed when what was sent has left, or by the other side. */
void streams_release(struct streams *streams, const struct endpoint *local,
                     const struct endpoint *peer, uint64_t now_ms);

enum stream_event_kind { STREAM_OPENED, STREAM_REFUSED, STREAM_LOST };
struct stream_event {
    enum stream_event_kind kind;
    uint64_t question; /* of OPENED and REFUSED */
    struct endpoint local, peer;
    char why[CONNECTION_WHY_BYTES];
};
MUST_USE bool streams_next_event(struct streams *streams, struct stream_event *out);

/* Why connections of others were refused or closed, since the start. */
enum stream_end {
    STREAM_END_FULL, /* too many in all, or no descriptors */
    STREAM_END_ADDRESS, /* too many strangers from one address */
    STREAM_END_CROWD, /* the oldest stranger made room */
    STREAM_END_NOT_IKE,
    STREAM_END_BAD_LENGTH,
    STREAM_END_TOO_LONG,
    STREAM_END_SILENT, /* a stranger was not established in time */
    STREAM_END_TOO_MUCH, /* a stranger sent more than a handshake takes */
    STREAM_END_NONSENSE, /* no good message for long */
    STREAM_END_STUCK, /* it does not take our messages */
    STREAM_ENDS,
};
const char *stream_end_name(enum stream_end end); /* not-ike, silent, ...: stable */
const char *stream_end_sentence(enum stream_end end);

struct streams_status {
    size_t connections, strangers, opened_by_us;
    uint64_t accepted, opened;
    uint64_t ends[STREAM_ENDS];
    size_t queued_bytes;
    enum stream_end last_end; /* of the latest that was refused or closed */
    struct endpoint last_peer;
};
void streams_get_status(struct streams *streams, struct streams_status *out);

#endif
