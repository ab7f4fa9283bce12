/* Decides how datagrams cross the border to the kernel: one system call for many, with addresses,
 * TOS and errors. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/datagram.h"

#include "host/clock.h"
#include "host/link_ring.h"
#include "host/outer_head.h"
#include "host/sockaddr.h"

#include <assert.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define SOCKET_BUFFER_BYTES (8 * 1024 * 1024)
#define CONTROL_BYTES 160 /* packet information, TOS and segment size of either family */
/* With the extension headers that fit into the head room, each in a message of its own. */
#define RAW_CONTROL_BYTES (PACKET_HEADROOM_BYTES + 384)
#define SEND_WAIT_MS 2 /* when the buffer of the socket is full */
#define SUPER_BYTES_MAX 65000
/* Super-datagrams of one receive call. As long as they are long, few at a time, so that what they
 * hold is still in the cache when it is opened. */
#define SUPERS 64
#define SUPERS_LONG 8
#define SUPER_LONG_BYTES 4096
/* Shifted by an odd number of lines, lest the first lines of all share the same places in the
 * cache. */
#define SUPER_ROOM (65536 + 17 * 64)
#define PROTOCOL_UDP 17
#define PROTOCOL_ICMPV6 58
#define ICMPV6_PACKET_TOO_BIG 2
#define ICMPV6_HEAD_BYTES 8
/* RFC 791 and RFC 8200 5: as much passes everywhere. */
#define MTU_MIN_IPV4 576
#define MTU_MIN_IPV6 1280

struct control {
    _Alignas(struct cmsghdr) uint8_t bytes[CONTROL_BYTES];
};

struct raw_control {
    _Alignas(struct cmsghdr) uint8_t bytes[RAW_CONTROL_BYTES];
};

/* What one receive call brought, each piece of which may be cut into many datagrams. Only touched
 * pages cost memory. */
struct super_datagrams {
    struct mmsghdr messages[SUPERS];
    struct iovec parts[SUPERS];
    struct sockaddr_storage names[SUPERS];
    struct control controls[SUPERS];
    size_t wanted; /* of the next call */
    size_t count, next; /* the one that is being cut */
    size_t offset; /* of what was not handed on of it */
    size_t segment_bytes;
    struct packet head; /* its addresses and TOS */
    uint8_t room[SUPERS][SUPER_ROOM];
};

/* One message of the batch: one packet, or several of equal size to one peer that the system cuts
 * apart again. */
struct outgoing {
    size_t first, count;
};

struct send_batch {
    struct packet *const *packets;
    struct iovec parts[DATAGRAM_SEND_MAX];
    struct sockaddr_storage names[DATAGRAM_SEND_MAX];
    struct control controls[DATAGRAM_SEND_MAX];
    struct mmsghdr messages[DATAGRAM_SEND_MAX];
    struct outgoing outgoing[DATAGRAM_SEND_MAX];
    size_t count;
    bool has_waited; /* for room in the socket's buffer: once, not for each packet */
};

/* In the socket and not in the thread: a thread that never sends has no use for it, and only
 * touched pages cost memory. */
struct sending {
    struct send_batch together, singly;
};

static bool set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool set_discovery(struct datagram_socket *s, int ipv4, int ipv6)
{
    int value = s->family == FAMILY_IPV4 ? ipv4 : ipv6;

    if (s->discovery == value) {
        return true;
    }
    bool ok = s->family == FAMILY_IPV4 ? set_option(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, value)
                                       : set_option(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, value);
    if (ok) {
        s->discovery = value;
    }
    return ok;
}

/* The system believes every ICMP error that names a socket; the data plane does not, and it is
 * asked. So the system's idea of the path is left out: what is too big for the link is refused
 * here, and what is too big for the path by a router. IPv6 datagrams that may be cut are cut by
 * that idea. */
static bool set_dont_fragment(struct datagram_socket *s, bool wanted)
{
    return wanted ? set_discovery(s, IP_PMTUDISC_PROBE, IPV6_PMTUDISC_PROBE)
                  : set_discovery(s, IP_PMTUDISC_OMIT, IPV6_PMTUDISC_WANT);
}

static void grow_buffer(int fd, int force, int option)
{
    /* A burst of IKE datagrams must not push out the one that matters; the plain option is limited
     * by a sysctl. */
    if (!set_option(fd, SOL_SOCKET, force, SOCKET_BUFFER_BYTES)) {
        (void)set_option(fd, SOL_SOCKET, option, SOCKET_BUFFER_BYTES);
    }
}

bool datagram_init(struct datagram_socket *s, int fd, enum family family, uint8_t protocol,
                   char *why, size_t why_bytes)
{
    *s = (struct datagram_socket){.fd = fd, .family = family, .protocol = protocol};
    s->discovery = family == FAMILY_IPV4 ? IP_PMTUDISC_OMIT : IPV6_PMTUDISC_WANT;
    bool ok = pthread_mutex_init(&s->lock, NULL) == 0;

    s->sending = calloc(1, sizeof(*s->sending));
    ok = ok && s->sending != NULL;

    if (family == FAMILY_IPV4) {
        ok = ok && set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
             set_option(fd, IPPROTO_IP, IP_RECVTOS, 1) &&
             set_option(fd, IPPROTO_IP, IP_RECVERR, 1) &&
             set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
    } else {
        ok = ok && set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
             set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) &&
             set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1) &&
             set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_WANT);
    }
    if (!ok) {
        snprintf(why, why_bytes, "the system refuses an option of a socket: %s", strerror(errno));
        datagram_close(s);
        return false;
    }
    s->is_marked = set_option(fd, SOL_SOCKET, SO_MARK, DATAGRAM_MARK);
    grow_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    grow_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    int none = 0;
    s->segments =
        protocol == PROTOCOL_UDP && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &none, sizeof(none)) == 0;
    return true;
}

bool datagram_open_ring(struct datagram_socket *s)
{
    *s = (struct datagram_socket){.fd = -1, .protocol = IPPROTO_ESP, .ring = link_ring_open()};
    if (s->ring != NULL) {
        s->fd = link_ring_fd(s->ring);
    }
    return s->ring != NULL;
}

bool datagram_lead_to_ring(struct datagram_socket *ring, const struct datagram_socket *raw)
{
    assert(raw->protocol == IPPROTO_ESP);
    return link_ring_attach(ring->ring, raw->fd, raw->family);
}

void datagram_close(struct datagram_socket *s)
{
    if (s->ring != NULL) {
        link_ring_close(s->ring);
        s->ring = NULL;
        s->fd = -1;
    }
    if (s->fd > 0) {
        (void)close(s->fd);
        (void)pthread_mutex_destroy(&s->lock);
    }
    free(s->supers);
    free(s->sending);
    s->supers = NULL;
    s->sending = NULL;
    s->fd = -1;
}

void datagram_set_uplink(struct datagram_socket *s, int interface_index)
{
    atomic_store_explicit(&s->uplink, interface_index, memory_order_relaxed);
}

static uint32_t digest(const struct address *a)
{
    uint32_t hash = 2166136261U ^ a->family; /* FNV-1a */

    for (size_t i = 0; i < address_bytes((enum family)a->family); i++) {
        hash = (hash ^ a->bytes[i]) * 16777619U;
    }
    return hash;
}

void datagram_set_roads(struct datagram_roads *roads, const struct datagram_road *list,
                        size_t count, const struct address *all, size_t all_count)
{
    size_t kept = 0;

    atomic_store_explicit(&roads->count, 0, memory_order_release);
    for (size_t i = 0; i < count && kept < DATAGRAM_ROADS_MAX; i++) {
        uint32_t hash = digest(&list[i].local);
        bool is_alone = true;

        for (size_t j = 0; j < all_count; j++) {
            is_alone =
                is_alone && (digest(&all[j]) != hash || address_equal(&all[j], &list[i].local));
        }
        if (is_alone) {
            atomic_store_explicit(&roads->list[kept++],
                                  (uint64_t)hash << 32 | (uint32_t)list[i].interface_index,
                                  memory_order_relaxed);
        }
    }
    atomic_store_explicit(&roads->count, kept, memory_order_release);
}

/* 0: by the routes. */
static int road_of(const struct datagram_socket *s, const struct address *local)
{
    size_t count =
        s->roads == NULL ? 0 : atomic_load_explicit(&s->roads->count, memory_order_acquire);

    if (count == 0) {
        return 0;
    }
    uint32_t hash = digest(local);

    for (size_t i = 0; i < count; i++) {
        uint64_t road = atomic_load_explicit(&s->roads->list[i], memory_order_relaxed);

        if (road >> 32 == hash) {
            return (int)(uint32_t)road;
        }
    }
    return 0;
}

void datagram_join(struct datagram_socket *s)
{
    assert(s->supers == NULL);
    if (!set_option(s->fd, SOL_UDP, UDP_GRO, 1)) {
        return;
    }
    s->supers = calloc(1, sizeof(*s->supers));
    if (s->supers == NULL) {
        (void)set_option(s->fd, SOL_UDP, UDP_GRO, 0);
    }
}

void datagram_stop_joining(struct datagram_socket *s)
{
    (void)set_option(s->fd, SOL_UDP, UDP_GRO, 0);
}

/* ---- receiving ---- */

static struct address address_of_in(const struct in_addr *in)
{
    return address_ipv4_bytes((const uint8_t *)in);
}

static void read_control(struct msghdr *message, struct packet *packet)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            packet->local.address = address_of_in(&info.ipi_spec_dst);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            packet->local.address = address_ipv6_bytes(info.ipi6_addr.s6_addr);
        } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
            packet->tos = *CMSG_DATA(c);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
            int traffic_class;

            memcpy(&traffic_class, CMSG_DATA(c), sizeof(traffic_class));
            packet->tos = (uint8_t)traffic_class;
        } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int segment_bytes;

            memcpy(&segment_bytes, CMSG_DATA(c), sizeof(segment_bytes));
            packet->segment_bytes = (uint16_t)segment_bytes;
        }
    }
}

/* A raw IPv4 socket gives the IP header too, reassembled by the kernel: RFC 791 3.1, header length
 * in words. */
static bool cut_ip_header(struct packet *packet)
{
    if (packet->length < sizeof(struct iphdr)) {
        return false;
    }
    uint32_t header_bytes = (uint32_t)(packet_data(packet)[0] & 0x0f) * 4;
    if (header_bytes < sizeof(struct iphdr) || header_bytes > packet->length) {
        return false;
    }
    packet->offset += header_bytes;
    packet->length -= header_bytes;
    packet->outer_head_bytes = (uint16_t)header_bytes;
    return true;
}

/* A raw IPv6 socket gives what is behind the headers. */
static bool rebuild_ipv6_header(struct msghdr *message, struct packet *packet)
{
    struct outer_pieces pieces = {0};

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        struct slice bytes = {CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0)};
        int hop_limit;

        if (c->cmsg_level != IPPROTO_IPV6) {
            continue;
        }
        switch (c->cmsg_type) {
        case IPV6_HOPLIMIT:
            memcpy(&hop_limit, CMSG_DATA(c), sizeof(hop_limit));
            pieces.hop_limit = (uint8_t)hop_limit;
            break;
        case IPV6_HOPOPTS:
            outer_head_add(&pieces, IPPROTO_HOPOPTS, bytes);
            break;
        case IPV6_DSTOPTS:
            outer_head_add(&pieces, IPPROTO_DSTOPTS, bytes);
            break;
        case IPV6_RTHDR:
            outer_head_add(&pieces, IPPROTO_ROUTING, bytes);
            break;
        default: /* packet information and traffic class */
            break;
        }
    }
    return (message->msg_flags & MSG_CTRUNC) == 0 && outer_head_write(&pieces, packet);
}

static bool accept_message(const struct datagram_socket *s, struct mmsghdr *message,
                           const struct sockaddr_storage *name, struct packet *packet,
                           size_t *too_long)
{
    if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0) {
        (*too_long)++;
        return false;
    }
    packet->length = message->msg_len;
    packet->segment_bytes = 0;
    packet->was_joined = false;
    packet->tos = 0;
    packet->outer_protocol = s->protocol;
    packet->outer_head_bytes = 0;
    packet->local = (struct endpoint){0};
    if (!sockaddr_read(name, &packet->peer)) {
        return false;
    }
    read_control(&message->msg_hdr, packet);
    packet->local.port = s->port;
    if (s->protocol == PROTOCOL_UDP) {
        return true;
    }
    packet->peer.port = 0;
    if (s->family == FAMILY_IPV4) {
        return cut_ip_header(packet);
    }
    if (!rebuild_ipv6_header(&message->msg_hdr, packet)) {
        (*too_long)++;
        return false;
    }
    return true;
}

/* A pending ICMP error is reported once instead of datagrams; it stands in the error queue as well.
 */
static size_t receive_messages(const struct datagram_socket *s, struct mmsghdr *messages,
                               size_t count)
{
    int got = recvmmsg(s->fd, messages, (unsigned)count, MSG_DONTWAIT, NULL);

    if (got < 0 && errno != EAGAIN && errno != EINTR) {
        got = recvmmsg(s->fd, messages, (unsigned)count, MSG_DONTWAIT, NULL);
    }
    return got > 0 ? (size_t)got : 0;
}

static void receive_supers(const struct datagram_socket *s, struct super_datagrams *supers)
{
    size_t wanted = supers->wanted == 0 ? SUPERS_LONG : supers->wanted;
    size_t bytes = 0;

    for (size_t i = 0; i < wanted; i++) {
        supers->parts[i] = (struct iovec){supers->room[i], SUPER_ROOM};
        supers->messages[i].msg_hdr =
            (struct msghdr){.msg_name = &supers->names[i],
                            .msg_namelen = sizeof(supers->names[i]),
                            .msg_iov = &supers->parts[i],
                            .msg_iovlen = 1,
                            .msg_control = supers->controls[i].bytes,
                            .msg_controllen = sizeof(supers->controls[i].bytes)};
    }
    supers->next = 0;
    supers->offset = 0;
    supers->count = receive_messages(s, supers->messages, wanted);
    for (size_t i = 0; i < supers->count; i++) {
        bytes += supers->messages[i].msg_len;
    }
    supers->wanted = bytes < supers->count * SUPER_LONG_BYTES ? SUPERS : SUPERS_LONG;
}

/* Looks at a piece before its first datagram is cut off. False when there is none in it. */
static bool begin_super(const struct datagram_socket *s, size_t *too_long)
{
    struct super_datagrams *supers = s->supers;
    struct mmsghdr *message = &supers->messages[supers->next];

    if (!accept_message(s, message, &supers->names[supers->next], &supers->head, too_long) ||
        message->msg_len == 0) {
        return false;
    }
    supers->segment_bytes =
        supers->head.segment_bytes > 0 ? supers->head.segment_bytes : message->msg_len;
    return true;
}

/* The next datagram out of what was received, where it stands; false when nothing is left, or when
 * another piece begins and has more than `room` of them: that is for the next call. */
static bool cut_super(const struct datagram_socket *s, struct packet *packet, size_t room,
                      size_t *too_long)
{
    struct super_datagrams *supers = s->supers;

    while (supers->next < supers->count) {
        if (supers->offset == 0 && !begin_super(s, too_long)) {
            supers->next++;
            continue;
        }
        size_t left = supers->messages[supers->next].msg_len - supers->offset;
        size_t length = left < supers->segment_bytes ? left : supers->segment_bytes;
        size_t at = supers->next;

        if (supers->offset == 0 && left > room * supers->segment_bytes) {
            return false;
        }
        packet->buffer = supers->room[supers->next] + supers->offset;
        packet->capacity = (uint32_t)length;
        packet->offset = 0;
        supers->offset = length == left ? 0 : supers->offset + length;
        supers->next += length == left ? 1 : 0;
        packet->local = supers->head.local;
        packet->peer = supers->head.peer;
        packet->tos = supers->head.tos;
        packet->outer_protocol = s->protocol;
        packet->outer_head_bytes = 0;
        packet->segment_bytes = 0;
        packet->was_joined = supers->messages[at].msg_len > supers->segment_bytes;
        packet->length = (uint32_t)length;
        return true;
    }
    return false;
}

static size_t receive_joined(const struct datagram_socket *s, struct packet *const *packets,
                             size_t count, size_t *too_long)
{
    size_t good = 0;

    if (s->supers->next == s->supers->count) {
        receive_supers(s, s->supers);
    }
    /* A piece that is longer than a batch is begun by itself and goes on with the next call. */
    while (good < count && cut_super(s, packets[good],
                                     good == 0 ? SIZE_MAX / UINT16_MAX : count - good, too_long)) {
        good++;
    }
    return good;
}

bool datagram_has_more(const struct datagram_socket *s)
{
    if (s->ring != NULL) {
        return link_ring_done(s->ring);
    }
    return s->supers != NULL && s->supers->next < s->supers->count;
}

size_t datagram_receive(struct datagram_socket *s, struct packet **packets, size_t count,
                        size_t *too_long)
{
    /* Kept by the thread: cleared on every call they would cost as much as a packet. */
    static _Thread_local struct mmsghdr messages[BATCH_PACKETS];
    static _Thread_local struct iovec parts[BATCH_PACKETS];
    static _Thread_local struct sockaddr_storage names[BATCH_PACKETS];
    static _Thread_local struct control controls[BATCH_PACKETS];
    static _Thread_local struct raw_control raw_controls[BATCH_PACKETS];
    bool is_raw = s->protocol != PROTOCOL_UDP;
    size_t good = 0;

    assert(count > 0);
    if (s->ring != NULL) {
        return link_ring_receive(s->ring, packets, count, too_long);
    }
    if (s->supers != NULL) {
        return receive_joined(s, packets, count, too_long);
    }
    assert(count <= BATCH_PACKETS);
    for (size_t i = 0; i < count; i++) {
        struct packet *p = packets[i];

        p->offset = PACKET_HEADROOM_BYTES;
        assert(p->offset + PACKET_TAILROOM_BYTES < p->capacity);
        parts[i] = (struct iovec){packet_data(p), p->capacity - p->offset - PACKET_TAILROOM_BYTES};
        messages[i].msg_hdr =
            (struct msghdr){.msg_name = &names[i],
                            .msg_namelen = sizeof(names[i]),
                            .msg_iov = &parts[i],
                            .msg_iovlen = 1,
                            .msg_control = is_raw ? raw_controls[i].bytes : controls[i].bytes,
                            .msg_controllen = is_raw ? RAW_CONTROL_BYTES : CONTROL_BYTES};
    }
    size_t got = receive_messages(s, messages, count);
    for (size_t i = 0; i < got; i++) {
        struct packet *p = packets[i];

        if (!accept_message(s, &messages[i], &names[i], p, too_long)) {
            continue;
        }
        packets[i] = packets[good];
        packets[good++] = p;
    }
    return good;
}

/* ---- sending ---- */

static void add_control(struct msghdr *message, int level, int type, const void *data,
                        size_t length)
{
    struct cmsghdr *c =
        (struct cmsghdr *)(void *)((uint8_t *)message->msg_control + message->msg_controllen);

    assert(message->msg_controllen + CMSG_SPACE(length) <= CONTROL_BYTES);
    memset(c, 0, CMSG_SPACE(length));
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(length);
    memcpy(CMSG_DATA(c), data, length);
    message->msg_controllen += CMSG_SPACE(length);
}

static void write_control(struct msghdr *message, const struct datagram_socket *s,
                          const struct address *local, int tos)
{
    if (s->family == FAMILY_IPV4) {
        if (local->family == FAMILY_IPV4) {
            struct in_pktinfo info = {.ipi_ifindex = road_of(s, local)};

            memcpy(&info.ipi_spec_dst, local->bytes, sizeof(info.ipi_spec_dst));
            add_control(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        }
        if (tos != 0) {
            add_control(message, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
        }
        return;
    }
    if (local->family == FAMILY_IPV6) {
        struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)road_of(s, local)};

        memcpy(&info.ipi6_addr, local->bytes, sizeof(info.ipi6_addr));
        add_control(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
    if (tos != 0) {
        add_control(message, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
    }
}

/* The header is there, so only the route is asked for: by the mark, by the source where it is ours,
 * and around the tunnel by the interface. */
static void write_whole_control(struct msghdr *message, const struct datagram_socket *s,
                                const struct packet *packet)
{
    const struct address *local = &packet->local.address;
    bool has_local = !packet->bypass && local->family == s->family;
    int interface_index = packet->bypass ? atomic_load_explicit(&s->uplink, memory_order_relaxed)
                          : has_local    ? road_of(s, local)
                                         : 0;

    if (interface_index == 0 && !has_local) {
        return;
    }
    if (s->family == FAMILY_IPV4) {
        struct in_pktinfo info = {.ipi_ifindex = interface_index};

        if (has_local) {
            memcpy(&info.ipi_spec_dst, local->bytes, sizeof(info.ipi_spec_dst));
        }
        add_control(message, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        return;
    }
    struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)interface_index};
    if (has_local) {
        memcpy(&info.ipi6_addr, local->bytes, sizeof(info.ipi6_addr));
    }
    add_control(message, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

static bool same_road(const struct packet *a, const struct packet *b)
{
    return a->tos == b->tos && a->dont_fragment == b->dont_fragment &&
           endpoint_equal(&a->peer, &b->peer) &&
           address_equal(&a->local.address, &b->local.address);
}

/* How many packets from `first` on can be one super-datagram: all of one size, only the last may be
 * shorter. */
static size_t count_alike(struct packet *const *packets, size_t first, size_t end)
{
    const struct packet *head = packets[first];
    size_t total = head->length;
    size_t next = first + 1;

    /* More segments than a batch in one piece not every kernel takes. */
    while (next < end && next - first < BATCH_PACKETS && packets[next]->length <= head->length &&
           total + packets[next]->length <= SUPER_BYTES_MAX && same_road(head, packets[next])) {
        total += packets[next]->length;
        next++;
        if (packets[next - 1]->length < head->length) {
            break;
        }
    }
    return next - first;
}

static void add_message(struct send_batch *batch, const struct datagram_socket *s, size_t first,
                        size_t count)
{
    size_t at = batch->count++;
    const struct packet *head = batch->packets[first];
    struct endpoint peer = head->peer;

    if (s->protocol != PROTOCOL_UDP) {
        peer.port = 0; /* a raw IPv6 socket takes anything else for a protocol */
    }
    batch->outgoing[at] = (struct outgoing){first, count};
    batch->messages[at].msg_hdr =
        (struct msghdr){.msg_name = &batch->names[at],
                        .msg_namelen = sockaddr_write(&batch->names[at], &peer),
                        .msg_iov = &batch->parts[first],
                        .msg_iovlen = count,
                        .msg_control = batch->controls[at].bytes};
    struct msghdr *message = &batch->messages[at].msg_hdr;
    if (head->has_outer_head) {
        write_whole_control(message, s, head);
    } else {
        write_control(message, s, &head->local.address, head->tos);
    }
    if (count > 1) {
        uint16_t segment_bytes = (uint16_t)head->length;

        add_control(message, SOL_UDP, UDP_SEGMENT, &segment_bytes, sizeof(segment_bytes));
    }
    if (message->msg_controllen == 0) {
        message->msg_control = NULL;
    }
}

static struct datagram_single_path *find_single(struct datagram_socket *s,
                                                const struct address *peer)
{
    for (size_t i = 0; i < DATAGRAM_SINGLE_PATHS; i++) {
        if (address_equal(&s->single[i].peer, peer)) {
            return &s->single[i];
        }
    }
    return NULL;
}

static bool leaves_singly(struct datagram_socket *s, const struct packet *packet)
{
    struct datagram_single_path *path =
        s->has_single ? find_single(s, &packet->peer.address) : NULL;

    if (path == NULL) {
        return false;
    }
    if (clock_now_ms() >= path->until_ms) {
        *path = (struct datagram_single_path){0};
        return false;
    }
    return true;
}

/* The system took one by one what it refused in one piece. */
static void remember_single(struct datagram_socket *s, const struct address *peer)
{
    uint64_t now_ms = clock_now_ms();

    for (size_t i = 0; i < DATAGRAM_SINGLE_PATHS; i++) {
        struct datagram_single_path *path = &s->single[i];

        if (address_is_unset(&path->peer) || now_ms >= path->until_ms ||
            address_equal(&path->peer, peer)) {
            *path = (struct datagram_single_path){*peer, now_ms + DATAGRAM_SINGLE_MS};
            s->has_single = true;
            return;
        }
    }
    s->segments = false;
}

size_t datagram_single_paths(struct datagram_socket *s, uint64_t now_ms,
                             struct address peers[DATAGRAM_SINGLE_PATHS])
{
    size_t count = 0;

    (void)pthread_mutex_lock(&s->lock);
    for (size_t i = 0; s->has_single && i < DATAGRAM_SINGLE_PATHS; i++) {
        if (!address_is_unset(&s->single[i].peer) && now_ms < s->single[i].until_ms) {
            peers[count++] = s->single[i].peer;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return count;
}

/* Messages of packets first .. end-1, which agree about DF. */
static void make_messages(struct send_batch *batch, struct datagram_socket *s, size_t first,
                          size_t end, bool together)
{
    batch->count = 0;
    while (first < end) {
        size_t count = together && !leaves_singly(s, batch->packets[first])
                           ? count_alike(batch->packets, first, end)
                           : 1;

        add_message(batch, s, first, count);
        first += count;
    }
}

/* The buffer of the socket or a queue on the way out is full. */
static bool is_congestion(int error)
{
    return error == EAGAIN || error == ENOBUFS;
}

static void wait_for_room(const struct datagram_socket *s)
{
    struct pollfd room = {.fd = s->fd, .events = POLLOUT};

    (void)poll(&room, 1, SEND_WAIT_MS);
}

/* Sends messages from `at` on until one is refused for good. Returns the place of that one, or the
 * end. */
static size_t send_until_refused(const struct datagram_socket *s, struct send_batch *batch,
                                 size_t at)
{
    unsigned tries = 0;

    while (at < batch->count) {
        int sent = sendmmsg(s->fd, &batch->messages[at], (unsigned)(batch->count - at), 0);

        if (sent > 0) {
            at += (size_t)sent;
            tries = 0;
            continue;
        }
        /* An ICMP error about an earlier datagram comes back as this one's, once: the second try
         * tells. */
        if (++tries > 1 || (is_congestion(errno) && batch->has_waited)) {
            return at;
        }
        if (is_congestion(errno)) {
            batch->has_waited = true;
            wait_for_room(s);
        }
    }
    return at;
}

static size_t send_singly(struct datagram_socket *s, struct packet *const *packets, size_t count)
{
    struct send_batch *batch = &s->sending->singly;
    size_t refused = 0;

    batch->packets = packets;
    batch->has_waited = false;
    for (size_t i = 0; i < count; i++) {
        batch->parts[i] = (struct iovec){packet_data(packets[i]), packets[i]->length};
    }
    make_messages(batch, s, 0, count, false);
    for (size_t at = 0; at < batch->count; at++) {
        at = send_until_refused(s, batch, at);
        refused += at < batch->count ? 1 : 0;
    }
    return refused;
}

static size_t send_run(struct datagram_socket *s, struct send_batch *batch, size_t first,
                       size_t end)
{
    const struct packet *head = batch->packets[first];
    size_t refused = 0;

    /* By the route that it came in with it would go into the TUN device once more, and so for ever.
     */
    if (head->bypass && atomic_load_explicit(&s->uplink, memory_order_relaxed) == 0) {
        return end - first;
    }
    if (!head->has_outer_head && !set_dont_fragment(s, head->dont_fragment != 0)) {
        return end - first;
    }
    make_messages(batch, s, first, end, s->segments);
    for (size_t at = 0; at < batch->count; at++) {
        at = send_until_refused(s, batch, at);
        if (at == batch->count) {
            break;
        }
        const struct outgoing *one = &batch->outgoing[at];
        if (one->count == 1 || is_congestion(errno)) {
            refused += one->count;
            continue;
        }
        /* EIO: a device on the way out cannot checksum, so it cannot cut. EINVAL, EMSGSIZE: they
         * are longer than the link carries, and may be cut into fragments or not. */
        size_t lost = send_singly(s, &batch->packets[one->first], one->count);
        refused += lost;
        if (lost == 0) {
            remember_single(s, &batch->packets[one->first]->peer.address);
        }
    }
    return refused;
}

size_t datagram_send(struct datagram_socket *s, struct packet *const *packets, size_t count)
{
    struct send_batch *batch = &s->sending->together;
    size_t refused = 0;
    size_t first = 0;

    assert(count <= DATAGRAM_SEND_MAX);
    (void)pthread_mutex_lock(&s->lock);
    batch->packets = packets;
    batch->has_waited = false;
    for (size_t i = 0; i < count; i++) {
        assert(packets[i]->peer.address.family == s->family);
        assert(packets[i]->has_outer_head == (s->protocol == DATAGRAM_WHOLE));
        assert(!packets[i]->bypass || packets[i]->has_outer_head);
        batch->parts[i] = (struct iovec){packet_data(packets[i]), packets[i]->length};
    }
    while (first < count) {
        size_t end = first + 1;

        while (end < count && packets[end]->dont_fragment == packets[first]->dont_fragment &&
               packets[end]->bypass == packets[first]->bypass) {
            end++;
        }
        refused += send_run(s, batch, first, end);
        first = end;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return refused;
}

static bool set_cut(struct datagram_socket *s, enum datagram_cut cut)
{
    switch (cut) {
    case DATAGRAM_MAY_BE_CUT:
        return set_dont_fragment(s, false);
    case DATAGRAM_NEVER_CUT:
        return set_discovery(s, IP_PMTUDISC_PROBE, IPV6_PMTUDISC_PROBE);
    case DATAGRAM_CUT:
        /* RFC 8200 5: the system cuts to what passes everywhere. */
        return set_dont_fragment(s, false) &&
               (s->family != FAMILY_IPV6 ||
                set_option(s->fd, IPPROTO_IPV6, IPV6_MTU, MTU_MIN_IPV6));
    }
    return false;
}

bool datagram_send_one(struct datagram_socket *s, const struct address *local,
                       const struct endpoint *peer, struct slice bytes, enum datagram_cut cut)
{
    struct sockaddr_storage name;
    struct control control;
    struct iovec part = {(void *)(uintptr_t)bytes.data, bytes.length};
    struct msghdr message = {.msg_name = &name,
                             .msg_namelen = sockaddr_write(&name, peer),
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes};

    assert(peer->address.family == s->family);
    write_control(&message, s, local, 0);
    (void)pthread_mutex_lock(&s->lock);
    bool ok = set_cut(s, cut);
    ssize_t sent = -1;
    /* As in send_until_refused(): the first answer may be about an earlier datagram. */
    for (unsigned tries = 0; ok && sent < 0 && tries < 2; tries++) {
        sent = sendmsg(s->fd, &message, MSG_DONTWAIT);
    }
    if (cut == DATAGRAM_CUT && s->family == FAMILY_IPV6) {
        (void)set_option(s->fd, IPPROTO_IPV6, IPV6_MTU, 0);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return sent >= 0;
}

/* ---- pieces ---- */

#define IPV4_BYTES 20
#define UDP_BYTES 8
#define PIECE_BYTES ((MTU_MIN_IPV4 - IPV4_BYTES) / 8 * 8)

/* RFC 791 3.1. Length and checksum are the system's. */
static void write_piece_head(uint8_t out[IPV4_BYTES], const struct endpoint *local,
                             const struct endpoint *peer, uint16_t identification, size_t offset,
                             bool more)
{
    memset(out, 0, IPV4_BYTES);
    out[0] = 0x45;
    put_u16(out + 4, identification);
    put_u16(out + 6, (uint16_t)(offset / 8 | (more ? 0x2000u : 0)));
    out[8] = IPDEFTTL;
    out[9] = IPPROTO_UDP;
    memcpy(out + 12, local->address.bytes, 4);
    memcpy(out + 16, peer->address.bytes, 4);
}

bool datagram_send_pieces(struct datagram_socket *whole, const struct endpoint *local,
                          const struct endpoint *peer, struct slice bytes)
{
    static atomic_uint numbers;
    uint16_t identification = (uint16_t)(atomic_fetch_add(&numbers, 1) % UINT16_MAX + 1);
    size_t length = bytes.length + UDP_BYTES;
    uint8_t buffer[IPV4_BYTES + PIECE_BYTES];
    struct packet packet = {.buffer = buffer,
                            .capacity = sizeof(buffer),
                            .local = *local,
                            .peer = *peer,
                            .has_outer_head = true};
    struct packet *packets[1] = {&packet};
    uint8_t *datagram = length + IPV4_BYTES > UINT16_MAX ? NULL : malloc(length);
    size_t refused = 0;

    assert(whole->protocol == DATAGRAM_WHOLE && whole->family == FAMILY_IPV4);
    if (datagram == NULL) {
        return false;
    }
    put_u16(datagram, local->port);
    put_u16(datagram + 2, peer->port);
    put_u16(datagram + 4, (uint16_t)length);
    put_u16(datagram + 6, 0); /* no checksum: allowed with IPv4, and IKE proves its messages */
    memcpy(datagram + UDP_BYTES, bytes.data, bytes.length);
    for (size_t at = 0; at < length; at += PIECE_BYTES) {
        size_t piece = length - at < PIECE_BYTES ? length - at : PIECE_BYTES;

        write_piece_head(buffer, local, peer, identification, at, at + piece < length);
        memcpy(buffer + IPV4_BYTES, datagram + at, piece);
        packet.length = (uint32_t)(IPV4_BYTES + piece);
        refused += datagram_send(whole, packets, 1);
    }
    free(datagram);
    return refused == 0;
}

/* ---- errors ---- */

static bool read_extended(const struct cmsghdr *c, struct sock_extended_err *error,
                          struct datagram_error *out)
{
    bool ours = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
    struct sockaddr_storage offender = {0};
    size_t length = c->cmsg_len - CMSG_LEN(0);

    if (!ours || length < sizeof(*error)) {
        return false;
    }
    memcpy(error, CMSG_DATA(c), sizeof(*error));
    size_t behind = length - sizeof(*error);
    memcpy(&offender, CMSG_DATA(c) + sizeof(*error),
           behind < sizeof(offender) ? behind : sizeof(offender));
    struct endpoint who;
    if (sockaddr_read(&offender, &who)) {
        out->offender = who.address;
    }
    return true;
}

/* A message that came to the socket itself (RFC 4443 3.2): the quoted packet with its headers. */
static bool next_too_big(struct datagram_socket *s, struct datagram_error *out)
{
    uint8_t bytes[ICMPV6_HEAD_BYTES + DATAGRAM_QUOTED_BYTES];
    ssize_t length = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (length < 0) {
        return false;
    }
    if (length >= ICMPV6_HEAD_BYTES && bytes[0] == ICMPV6_PACKET_TOO_BIG) {
        struct slice message = {bytes, (size_t)length};

        out->too_big = true;
        out->code = EMSGSIZE;
        out->protocol = s->protocol;
        out->mtu = get_u32(message.data + 4);
        out->quoted_bytes = (uint16_t)(message.length - ICMPV6_HEAD_BYTES);
        memcpy(out->quoted, message.data + ICMPV6_HEAD_BYTES, out->quoted_bytes);
    }
    return true;
}

bool datagram_next_error(struct datagram_socket *s, struct datagram_error *out)
{
    struct sockaddr_storage name = {0};
    _Alignas(struct cmsghdr) uint8_t control[512];
    struct iovec part = {out->quoted, sizeof(out->quoted)};
    struct msghdr message = {.msg_name = &name,
                             .msg_namelen = sizeof(name),
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct sock_extended_err error = {0};
    struct packet local = {0};
    bool found = false;

    *out = (struct datagram_error){0};
    if (s->protocol == PROTOCOL_ICMPV6) {
        return next_too_big(s, out);
    }
    ssize_t length = recvmsg(s->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (length < 0) {
        return false;
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        found = read_extended(c, &error, out) || found;
    }
    read_control(&message, &local);
    if (!found || !sockaddr_read(&name, &out->peer)) {
        return true; /* an empty one: the caller sees no code and goes on */
    }
    out->protocol = s->protocol;
    out->local.port = s->port;
    if (local.local.address.family != FAMILY_NONE && !address_is_any(&local.local.address)) {
        out->local.address = local.local.address;
    }
    if (s->protocol != PROTOCOL_UDP) {
        out->peer.port = 0;
    }
    out->code = (int)error.ee_errno;
    out->quoted_bytes = (uint16_t)length;
    out->too_big = error.ee_errno == EMSGSIZE;
    out->is_our_own = error.ee_origin == SO_EE_ORIGIN_LOCAL;
    out->mtu = out->too_big ? error.ee_info : 0;
    return true;
}

const char *datagram_error_sentence(const struct datagram_error *error)
{
    switch (error->code) {
    case EMSGSIZE:
        return "a packet was too big for the path";
    case ECONNREFUSED:
        return "the host answers that nobody listens on that port";
    case EHOSTUNREACH:
        return "a router answers that there is no way to that host";
    case ENETUNREACH:
        return "a router answers that there is no way to that network";
    case EACCES:
    case EPERM:
        return "a firewall answers that this is forbidden";
    case ENOPROTOOPT:
    case EPROTO:
        return "the host answers that it does not speak this protocol";
    default:
        return "the network answers that the peer cannot be reached";
    }
}
