/*
 * Datagrams in batches, over UDP or over raw IP: the local address of each is known, and replies
 * leave from it. Opened by host/udp.h and host/raw.h. One thread receives; any thread may send.
 */
#ifndef SEKISHO_HOST_DATAGRAM_H
#define SEKISHO_HOST_DATAGRAM_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/packet.h"

/* The protocol of sockets that send packets with their outer header, and receive nothing. */
#define DATAGRAM_WHOLE 255
/* What leaves by our sockets carries this mark, so that rules which lead packets into the TUN
 * device can leave it out. */
#define DATAGRAM_MARK 0x400000u

/* Paths on which the system refuses datagrams in one piece that it sends singly: a device that
 * cannot, or datagrams that it cuts into fragments. They are tried again after a while. */
#define DATAGRAM_SINGLE_PATHS 8
#define DATAGRAM_SINGLE_MS 60000
struct datagram_single_path {
    struct address peer; /* unset: free */
    uint64_t until_ms;
};

/* Which addresses of ours are sent from by their own interface only, whatever the routes to the
 * peer prefer. Any thread reads, one writes. */
#define DATAGRAM_ROADS_MAX 16
struct datagram_roads {
    atomic_uint_least64_t list[DATAGRAM_ROADS_MAX]; /* a digest of the address, the interface */
    atomic_size_t count;
};
struct datagram_road {
    struct address local;
    int interface_index;
};
/* `all`: every address that anything is sent from. One whose digest is that of another is left
 * out: it goes by the routes. */
void datagram_set_roads(struct datagram_roads *roads, const struct datagram_road *list,
                        size_t count, const struct address *all, size_t all_count);

struct datagram_socket {
    int fd;
    enum family family;
    uint16_t port; /* ours; 0 for raw sockets */
    uint8_t protocol; /* 17 UDP, 50 ESP, 51 AH, 58 for errors only, or DATAGRAM_WHOLE */
    bool is_marked; /* what it sends carries our mark; else we may not set it */
    struct address bound; /* unset: all addresses */
    /* The system cuts super-datagrams (UDP_SEGMENT). It goes away when there are more paths on
     * which it does not than there is room to remember. */
    atomic_bool segments;
    struct datagram_single_path single[DATAGRAM_SINGLE_PATHS]; /* under the lock */
    bool has_single; /* there may be one; under the lock */
    struct super_datagrams
        *supers; /* received in one piece (UDP_GRO), not handed on yet; or NULL */
    struct link_ring *ring; /* it only receives what filters of raw sockets took; or NULL */
    /* Whether DF is set is a property of an IPv4 socket, not of a message: who sends holds the
     * lock, sets it and sends. Without contention that costs a hundredth of the system call that
     * follows. */
    pthread_mutex_t lock;
    struct sending *sending; /* what a sending takes; under the lock */
    int discovery; /* the value of IP_MTU_DISCOVER that is set */
    const struct datagram_roads *roads; /* NULL: there are none */
    atomic_int uplink; /* the interface for packets that go around the tunnel; 0: unknown */
};

/* For udp.c and raw.c: the options that both have. False with a sentence. */
MUST_USE bool datagram_init(struct datagram_socket *s, int fd, enum family family, uint8_t protocol,
                            char *why, size_t why_bytes);
void datagram_close(struct datagram_socket *s);
/* Lets the system join datagrams of one flow on their way in: for the port of ESP. Without it all
 * works, slower. */
void datagram_join(struct datagram_socket *s);

/* Opens one that only receives: what raw sockets of protocol 50 and both families would have
 * received, once each is led there, with less work (host/link_ring.h). False where the system does
 * not let us. */
MUST_USE bool datagram_open_ring(struct datagram_socket *s);
MUST_USE bool datagram_lead_to_ring(struct datagram_socket *ring,
                                    const struct datagram_socket *raw);
/* No longer, where they came changed. Any thread. */
void datagram_stop_joining(struct datagram_socket *s);
/* The peers to which datagrams leave singly until DATAGRAM_SINGLE_MS are over; returns how many.
 * Any thread. */
size_t datagram_single_paths(struct datagram_socket *s, uint64_t now_ms,
                             struct address peers[DATAGRAM_SINGLE_PATHS]);

/* Through which interface packets leave that go around the tunnel (`bypass`); until it is known
 * they are refused. Any thread. */
void datagram_set_uplink(struct datagram_socket *s, int interface_index);

/* Fills packets behind the head room, leaving the tail room, in order; never waits. What the system
 * joined stays where it was put: these packets have another buffer, with their octets and no more,
 * until the next call. Returns how many were filled: these stand in front afterwards. One that is
 * longer than its buffer is not delivered and counted in `too_long`. A socket that joins nothing
 * takes BATCH_PACKETS at most. */
MUST_USE size_t datagram_receive(struct datagram_socket *s, struct packet **packets, size_t count,
                                 size_t *too_long);
/* Datagrams that were received are waiting inside: the descriptor does not tell. */
MUST_USE bool datagram_has_more(const struct datagram_socket *s);
#define DATAGRAM_SEND_MAX 256
/* Sends all to their peers from their local addresses (unset: the system chooses); count <=
 * DATAGRAM_SEND_MAX. Returns how many the system refused; those are lost. Packets with an outer
 * header go by sockets of DATAGRAM_WHOLE and no others: one that is longer than the MTU of the
 * interface is refused, and then the error queue tells the MTU. The system computes the checksum
 * and the total length of an IPv4 header once more, and gives a packet that may be fragmented an
 * identification when it has none. */
size_t datagram_send(struct datagram_socket *s, struct packet *const *packets, size_t count);
enum datagram_cut {
    DATAGRAM_MAY_BE_CUT, /* by routers, or by the system as far as it knows the path */
    DATAGRAM_NEVER_CUT, /* a question about the path, whatever the system believes of it */
    DATAGRAM_CUT, /* here, into pieces that pass everywhere */
};
/* One message for the control plane. IPv4 messages are cut by datagram_send_pieces(). False when
 * the system refused; errno says why. */
bool datagram_send_one(struct datagram_socket *s, const struct address *local,
                       const struct endpoint *peer, struct slice bytes, enum datagram_cut cut);
/* An IPv4 message over UDP in pieces of at most 576 octets (RFC 791), by a socket of
 * DATAGRAM_WHOLE. False when it is too long for UDP or the system refused one. */
bool datagram_send_pieces(struct datagram_socket *whole, const struct endpoint *local,
                          const struct endpoint *peer, struct slice bytes);

/* What the network said about a datagram of ours (ICMP), or this system about one that its link
 * does not carry. Whether it is true is not known here: anybody can send ICMP. */
#define DATAGRAM_QUOTED_BYTES 128
struct datagram_error {
    struct endpoint
        peer; /* where it was sent; port 0 for raw sockets, and when this system says so of UDP */
    struct endpoint local; /* the address as far as it is known, else unset */
    struct address offender; /* who says so; unset: this system */
    bool is_our_own; /* this system says so */
    bool too_big; /* for the path; else the peer cannot be reached */
    uint8_t protocol; /* of the socket */
    uint32_t mtu; /* of what was too big: what fits in one packet; 0: not told */
    int code; /* the error number that belongs to it; 0: nothing was said */
    /* What is quoted of the datagram: behind the UDP header, or behind the IP header. Of protocol
     * 58: the packet with its IP headers, and no address is told above. */
    uint16_t quoted_bytes;
    uint8_t quoted[DATAGRAM_QUOTED_BYTES];
};
/* Takes one from the error queue, or one message from a socket of raw_open_too_big(). False when it
 * is empty. */
MUST_USE bool datagram_next_error(struct datagram_socket *s, struct datagram_error *out);
/* "no host there", "nobody listens on that port": never NULL. */
const char *datagram_error_sentence(const struct datagram_error *error);

#endif
