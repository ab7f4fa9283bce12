/*
 * Cutting and joining against the kernel's own: super_probe ROUNDS SEED, as root. In a network
 * namespace of its own, what is written to one TUN device is routed to another one that takes
 * nothing in one piece, so that the kernel's software cuts it; every piece is read there and
 * compared, octet for octet.
 *
 *   cut   random super-packets: the kernel's pieces are our pieces
 *   join  random bursts, joined by us and written as the daemon does: the kernel's pieces are what
 *         was there before
 *
 * A router takes one off the hop limit; that is done to our side too. Prints `ok WHAT` or `FAIL
 * WHAT`.
 */
#define _GNU_SOURCE 1 /* unshare() */

#include "dataplane/super.h"
#include "host/tun.h"
#include "wire/tcp.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#define PIECES_MAX 1024
#define UDP_PIECES_MAX 64 /* older kernels take no more */
#define SEGMENT_MAX 30000
#define ROOM (PACKET_HEADROOM_BYTES + TUN_SUPER_BYTES + PACKET_TAILROOM_BYTES)
#define WAIT_MS 2000
#define IPV4_SOURCE 0x0a010002u
#define IPV4_DESTINATION 0x0a020003u

static struct tun in, out;
static int failures;
static uint64_t state;

static uint8_t super_room[ROOM], lower_room[ROOM], read_room[ROOM];
static uint8_t piece_room[PIECES_MAX][ROOM];
static struct packet super, pieces[PIECES_MAX];
static uint8_t before[PIECES_MAX][TUN_SUPER_BYTES];
static uint32_t before_bytes[PIECES_MAX];
static char story[400]; /* of the case that is tried */

static void check(const char *what, bool good)
{
    printf("%s %s\n", good ? "ok" : "FAIL", what);
    failures += good ? 0 : 1;
}

/* splitmix64: the same cases for the same seed, everywhere. */
static uint32_t throw_below(uint32_t limit)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 16) % limit;
}

static bool throw_one_in(uint32_t n)
{
    return throw_below(n) == 0;
}

/* ---- packets, written field by field; sums by the plainest way ---- */

struct made {
    bool four, udp, dont_fragment;
    uint8_t tos, ttl, flags, reserved;
    uint8_t ip_extra[64], tcp_options[40];
    uint32_t ip_extra_bytes, tcp_option_bytes;
    uint32_t upper, head; /* offsets */
    uint32_t payload, segment;
    uint16_t id, window, urgent;
    uint32_t sequence;
    uint32_t seed; /* of the payload */
};

static uint16_t plain_sum(const uint8_t *at, size_t length, uint32_t sum)
{
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static uint32_t pseudo_sum(const uint8_t *p, uint32_t upper, uint32_t length)
{
    bool four = p[0] >> 4 == 4;
    uint32_t sum = length - upper;

    for (uint32_t i = four ? 12 : 8; i < (four ? 20u : 40u); i += 2) {
        sum += get_u16(p + i);
    }
    return sum;
}

static void throw_ip(struct made *m)
{
    m->ip_extra_bytes = 0;
    if (!throw_one_in(3)) {
        return;
    }
    if (m->four) {
        m->ip_extra_bytes = 4 * (1 + throw_below(10));
        memset(m->ip_extra, 1, m->ip_extra_bytes); /* no-operations, RFC 791 3.1 */
        if (throw_one_in(2)) {
            m->ip_extra[m->ip_extra_bytes - 1] = 0; /* the end of the list */
        }
        return;
    }
    /* RFC 8200 4: hop-by-hop first, destination options behind it; PadN in both. */
    uint32_t count = 1 + throw_below(2);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = 8 * (1 + throw_below(3));
        uint8_t *at = m->ip_extra + m->ip_extra_bytes;

        memset(at, 0, bytes);
        at[0] = 60;
        at[1] = (uint8_t)(bytes / 8 - 1);
        at[2] = 1;
        at[3] = (uint8_t)(bytes - 4);
        m->ip_extra_bytes += bytes;
        if (i + 1 == count) {
            at[0] = m->udp ? 17 : 6;
        }
    }
}

/* RFC 9293, RFC 7323, RFC 2018, and one that nobody knows. */
static void throw_tcp_options(struct made *m)
{
    static const uint8_t timestamps[] = {1,    1,    8,    10,   0x11, 0x22,
                                         0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
    static const uint8_t sack[] = {1, 1, 5, 18, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0};
    static const uint8_t unknown[] = {1, 253, 7, 1, 2, 3, 4, 5};

    m->tcp_option_bytes = 0;
    if (throw_one_in(2)) {
        memcpy(m->tcp_options, timestamps, sizeof(timestamps));
        m->tcp_option_bytes = sizeof(timestamps);
    }
    if (throw_one_in(4)) {
        memcpy(m->tcp_options + m->tcp_option_bytes, sack, sizeof(sack));
        m->tcp_option_bytes += sizeof(sack);
    }
    if (throw_one_in(8)) {
        memcpy(m->tcp_options + m->tcp_option_bytes, unknown, sizeof(unknown));
        m->tcp_option_bytes += sizeof(unknown);
    }
}

static void throw_sizes(struct made *m)
{
    uint32_t room = 65535 + (m->four ? 0 : 40) - m->head;
    uint32_t most = m->udp ? UDP_PIECES_MAX : PIECES_MAX - 1;

    /* The system's buffer, and ours, end at 65,535 with the header of IPv6 too. */
    room = room > 65535 - m->head ? 65535 - m->head : room;
    switch (throw_below(6)) {
    case 0:
        m->segment = 1 + throw_below(30);
        break;
    case 1:
        m->segment = 1 + throw_below(SEGMENT_MAX);
        break;
    case 2:
        m->segment = 8948;
        break;
    default:
        m->segment = 500 + throw_below(1000);
        break;
    }
    /* Of one piece behind longer headers the kernel thinks that it is more, and drops it. */
    bool several = m->tcp_option_bytes + m->ip_extra_bytes > 0;
    uint32_t limit = m->segment > room / most ? room : m->segment * most;
    switch (throw_below(5)) {
    case 0:
        m->payload = limit - throw_below(limit < 40 ? limit : 40);
        break;
    case 1:
        m->payload = m->segment * (1 + throw_below(limit / m->segment));
        break;
    default:
        m->payload = 1 + throw_below(limit);
        break;
    }
    if (several && m->payload <= m->segment) {
        m->payload = m->segment + 1 + throw_below(m->segment);
    }
}

static void throw_made(struct made *m)
{
    *m = (struct made){
        .four = throw_one_in(2),
        .udp = throw_one_in(3),
        .dont_fragment = throw_one_in(2),
        .tos = (uint8_t)throw_below(256),
        .ttl = (uint8_t)(2 + throw_below(254)),
        .id = (uint16_t)(throw_one_in(4) ? 65535 - throw_below(20) : throw_below(65536)),
        .window = (uint16_t)throw_below(65536),
        .sequence = throw_one_in(3) ? UINT32_MAX - throw_below(70000) : throw_below(UINT32_MAX),
        .seed = throw_below(UINT32_MAX),
        .flags = (uint8_t)(throw_one_in(2) ? throw_below(256) : TCP_ACK | throw_below(2) * TCP_PSH),
    };
    throw_ip(m);
    if (!m->udp) {
        throw_tcp_options(m);
        m->reserved = throw_one_in(8) ? (uint8_t)throw_below(16) : 0;
        m->urgent = (uint16_t)((m->flags & TCP_URG) != 0 ? throw_below(65536) : 0);
    }
    m->upper = (m->four ? 20 : 40) + m->ip_extra_bytes;
    m->head = m->upper + (m->udp ? 8 : 20 + m->tcp_option_bytes);
    throw_sizes(m);
    snprintf(story, sizeof(story),
             "IPv%d %s, %" PRIu32 " octets in pieces of %" PRIu32 ", head %" PRIu32 "+%" PRIu32
             ", flags %02x, reserved %x, DF %d, ID %u, TTL %u, TOS %02x, sequence %08" PRIx32,
             m->four ? 4 : 6, m->udp ? "UDP" : "TCP", m->payload, m->segment, m->upper,
             m->head - m->upper, m->flags, m->reserved, m->dont_fragment, m->id, m->ttl, m->tos,
             m->sequence);
}

static uint8_t payload_octet(const struct made *m, uint32_t at)
{
    return (uint8_t)((at + m->seed) * 2654435761u >> 13);
}

/* Payload from..from+length of it, as a whole packet with right sums. */
static uint32_t write_made(const struct made *m, uint8_t *p, uint32_t from, uint32_t length,
                           uint16_t id, uint8_t flags)
{
    uint32_t total = m->head + length;
    uint8_t protocol = m->udp ? 17 : 6;

    memset(p, 0, m->head);
    if (m->four) {
        p[0] = (uint8_t)(0x40 | m->upper / 4);
        p[1] = m->tos;
        put_u16(p + 2, (uint16_t)total);
        put_u16(p + 4, id);
        p[6] = m->dont_fragment ? 0x40 : 0;
        p[8] = m->ttl;
        p[9] = protocol;
        put_u32(p + 12, IPV4_SOURCE);
        put_u32(p + 16, IPV4_DESTINATION);
        memcpy(p + 20, m->ip_extra, m->ip_extra_bytes);
        put_u16(p + 10, (uint16_t)~plain_sum(p, m->upper, 0));
    } else {
        put_u32(p, 0x60000000u | (uint32_t)m->tos << 20 | (m->seed & 0xfffff));
        put_u16(p + 4, (uint16_t)(total - 40));
        p[6] = m->ip_extra_bytes == 0 ? protocol : 60;
        p[7] = m->ttl;
        p[8] = p[24] = 0xfd;
        p[9] = 1;
        p[25] = 2;
        p[23] = 2;
        p[39] = 3;
        memcpy(p + 40, m->ip_extra, m->ip_extra_bytes);
    }
    uint8_t *upper = p + m->upper;
    put_u32(upper, 0x9c4001bb);
    if (m->udp) {
        put_u16(upper + 4, (uint16_t)(total - m->upper));
    } else {
        put_u32(upper + 4, m->sequence + from);
        put_u32(upper + 8, 0x01020304);
        upper[12] = (uint8_t)((m->head - m->upper) / 4 << 4 | m->reserved);
        upper[13] = flags;
        put_u16(upper + 14, m->window);
        put_u16(upper + 18, m->urgent);
        memcpy(upper + 20, m->tcp_options, m->tcp_option_bytes);
    }
    for (uint32_t i = 0; i < length; i++) {
        p[m->head + i] = payload_octet(m, from + i);
    }
    uint16_t sum =
        (uint16_t)~plain_sum(upper, total - m->upper, pseudo_sum(p, m->upper, total) + protocol);
    put_u16(upper + (m->udp ? 6 : 16), sum == 0 && m->udp ? UINT16_MAX : sum);
    return total;
}

static void lower_ttl(uint8_t *p)
{
    if (p[0] >> 4 == 6) {
        p[7]--;
        return;
    }
    uint32_t head = (uint32_t)(p[0] & 15) * 4;

    p[8]--;
    put_u16(p + 10, 0);
    put_u16(p + 10, (uint16_t)~plain_sum(p, head, 0));
}

/* ---- the kernel ---- */

static bool run(const char *line)
{
    int status = system(line);

    if (status != 0) {
        printf("FAIL %s: status %d\n", line, status);
    }
    return status == 0;
}

static bool set_up(void)
{
    char why[200];

    if (unshare(CLONE_NEWNET) != 0) {
        perror("a network namespace");
        return false;
    }
    if (!tun_open(&in, "supin", false, true, why, sizeof(why)) ||
        !tun_open(&out, "supout", false, false, why, sizeof(why))) {
        printf("FAIL %s\n", why);
        return false;
    }
    return run("ip link set lo up && ip link set supin up mtu 65535 && "
               "ip link set supout up mtu 65535 txqueuelen 5000 && "
               "ip address add 10.1.0.1/16 dev supin && ip address add 10.2.0.1/16 dev supout && "
               "ip address add fd01::1/32 dev supin nodad && "
               "ip -6 route add fd02::/16 dev supout && "
               "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
               "net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.supin.rp_filter=0");
}

static bool is_ours(const struct packet *p)
{
    const uint8_t *d = packet_data(p);

    return d[0] >> 4 == 4 ? get_u32(d + 12) == IPV4_SOURCE
                          : d[8] == 0xfd && d[9] == 1 && d[23] == 2;
}

/* The next piece of ours; false when none comes. */
static bool read_piece(struct packet *p)
{
    for (;;) {
        *p =
            (struct packet){.buffer = read_room, .capacity = ROOM, .offset = PACKET_HEADROOM_BYTES};
        struct pollfd ready = {.fd = out.fd, .events = POLLIN};
        enum tun_result result = tun_read(&out, p);

        if (result == TUN_OK && is_ours(p)) {
            return true;
        }
        if (result == TUN_EMPTY && poll(&ready, 1, WAIT_MS) != 1) {
            return false;
        }
        if (result == TUN_FAILED || result == TUN_GONE) {
            return false;
        }
    }
}

static bool write_super(const struct made *m, const uint8_t *p, uint32_t length, bool partial)
{
    struct virtio_net_hdr head = {0};
    const struct iovec parts[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)p, length}};

    if (partial) {
        head.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        head.csum_start = (uint16_t)m->upper;
        head.csum_offset = m->udp ? 6 : 16;
    }
    head.gso_size = (uint16_t)m->segment;
    head.hdr_len = (uint16_t)m->head;
    head.gso_type = m->udp    ? VIRTIO_NET_HDR_GSO_UDP_L4
                    : m->four ? VIRTIO_NET_HDR_GSO_TCPV4
                              : VIRTIO_NET_HDR_GSO_TCPV6;
    if (!m->udp && (m->flags & TCP_CWR) != 0) {
        head.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    }
    return writev(in.fd, parts, 2) == (ssize_t)(length + sizeof(head));
}

/* RFC 1071: both forms of zero are right, and the system writes the other one for TCP. */
static bool same_packet(const struct packet *theirs, const uint8_t *ours, uint32_t length,
                        const struct made *m)
{
    uint8_t *p = packet_data(theirs);

    if (theirs->length != length) {
        return false;
    }
    uint32_t sum_at = m->upper + 16;
    if (!m->udp && get_u16(p + sum_at) == UINT16_MAX && get_u16(ours + sum_at) == 0) {
        put_u16(p + sum_at, 0);
    }
    return memcmp(p, ours, length) == 0;
}

static bool differs(const char *what, uint32_t number, const struct packet *theirs,
                    const uint8_t *ours, uint32_t length)
{
    uint32_t at = 0;

    while (at < length && at < theirs->length && packet_data(theirs)[at] == ours[at]) {
        at++;
    }
    printf("FAIL %s: %s: piece %" PRIu32 " differs at octet %" PRIu32 " (theirs %" PRIu32
           " octets, ours %" PRIu32 ")\n",
           what, story, number, at, theirs->length, length);
    for (int i = 0; i < 2; i++) {
        const uint8_t *p = i == 0 ? packet_data(theirs) : ours;

        printf("  %s ", i == 0 ? "theirs" : "ours  ");
        for (uint32_t j = 0; j < 100 && j < length; j++) {
            printf("%02x%s", p[j], j % 4 == 3 ? " " : "");
        }
        putchar('\n');
    }
    return false;
}

static bool fails(const char *what, const char *why)
{
    printf("FAIL %s: %s: %s\n", what, story, why);
    return false;
}

/* ---- cut ---- */

static size_t cut_all(size_t room)
{
    struct cut cut;
    size_t count = 0;

    if (!cut_begin(&cut, &super)) {
        return 0;
    }
    while (count < room) {
        pieces[count] = (struct packet){
            .buffer = piece_room[count], .capacity = ROOM, .offset = PACKET_HEADROOM_BYTES};
        if (cut_next(&cut, &pieces[count]) != CUT_PACKET) {
            break;
        }
        count++;
    }
    return count;
}

static bool try_cut(size_t *total)
{
    struct made m;
    struct packet piece;
    bool partial;

    throw_made(&m);
    uint32_t length =
        write_made(&m, super_room + PACKET_HEADROOM_BYTES, 0, m.payload, m.id, m.flags);
    uint8_t *p = super_room + PACKET_HEADROOM_BYTES;
    /* The kernel takes UDP with the sum of the pseudo header only. */
    partial = m.udp || !throw_one_in(3);
    if (partial) {
        uint32_t sum = pseudo_sum(p, m.upper, length) + (m.udp ? 17 : 6);

        put_u16(p + m.upper + (m.udp ? 6 : 16), plain_sum(NULL, 0, sum));
    }
    /* What the next router sees, cut by us. */
    super = (struct packet){.buffer = lower_room,
                            .capacity = ROOM,
                            .offset = PACKET_HEADROOM_BYTES,
                            .length = length,
                            .segmentation = m.udp ? SEGMENT_UDP : SEGMENT_TCP,
                            .segment_bytes = (uint16_t)m.segment,
                            .checksum_start = (uint16_t)(partial ? m.upper : 0),
                            .checksum_offset = (uint16_t)(!partial ? 0
                                                          : m.udp  ? 6
                                                                   : 16)};
    memcpy(packet_data(&super), p, length);
    lower_ttl(packet_data(&super));
    size_t count = cut_all(PIECES_MAX);
    if (count != (m.payload + m.segment - 1) / m.segment) {
        return fails("cut", "we do not cut it into as many pieces as it has");
    }
    if (!write_super(&m, p, length, partial)) {
        return fails("cut", strerror(errno));
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_piece(&piece)) {
            return fails("cut", "a piece of the kernel is missing");
        }
        if (!same_packet(&piece, packet_data(&pieces[i]), pieces[i].length, &m)) {
            return differs("cut", (uint32_t)i, &piece, packet_data(&pieces[i]), pieces[i].length);
        }
    }
    *total += count;
    return true;
}

/* ---- join ---- */

static void repair(const struct made *m, struct packet *p)
{
    uint8_t *d = packet_data(p);

    if (m->four) {
        put_u16(d + 10, 0);
        put_u16(d + 10, (uint16_t)~plain_sum(d, m->upper, 0));
    }
    uint8_t *sum = d + m->upper + (m->udp ? 6 : 16);
    put_u16(sum, 0);
    uint16_t right = (uint16_t)~plain_sum(d + m->upper, p->length - m->upper,
                                          pseudo_sum(d, m->upper, p->length) + (m->udp ? 17 : 6));
    put_u16(sum, m->udp && right == 0 ? UINT16_MAX : right);
}

/* A change that leaves a packet which a router still forwards. */
static void disturb(const struct made *m, struct packet *p)
{
    uint8_t *d = packet_data(p);

    switch (throw_below(8)) {
    case 0: /* ports, sequence, flags, window, urgent pointer: any octet of the upper header */
        d[m->upper + throw_below(m->udp ? 4 : 12)] ^= (uint8_t)(1 << throw_below(8));
        break;
    case 1:
        if (!m->udp) {
            d[m->upper + 13] ^= (uint8_t)(1 << throw_below(8));
        }
        break;
    case 2:
        if (!m->udp) {
            d[m->upper + 14 + throw_below(2)] ^= 1;
        }
        break;
    case 3:
        d[m->head + throw_below(p->length - m->head)] ^= 0x20;
        if (throw_one_in(2)) {
            return; /* and its sum is wrong */
        }
        break;
    case 4:
        if (m->four) {
            put_u16(d + 4, (uint16_t)throw_below(65536));
        }
        break;
    case 5:
        d[m->four ? 8 : 7] = (uint8_t)(2 + throw_below(254));
        break;
    case 6:
        d[1] ^= (uint8_t)(0x10 << throw_below(4));
        break;
    default:
        d[m->upper + (m->udp ? 4 : 18) + throw_below(2)] ^= m->udp ? 0 : 1;
        break;
    }
    repair(m, p);
}

/* Several flows after each other, some with faults. Returns how many packets there are. */
static size_t throw_burst(struct made *made, uint8_t *of)
{
    size_t count = 0;

    for (uint32_t flow = 0; flow < 3 && count < BATCH_PACKETS; flow++) {
        struct made *m = &made[flow];

        throw_made(m);
        m->reserved = throw_one_in(10) ? m->reserved : 0;
        m->flags = throw_one_in(6) ? m->flags : TCP_ACK;
        if (throw_one_in(2) && m->ip_extra_bytes > 0) {
            m->upper -= m->ip_extra_bytes;
            m->head -= m->ip_extra_bytes;
            m->ip_extra_bytes = 0;
        }
        uint32_t all = (m->payload + m->segment - 1) / m->segment;
        uint32_t most = throw_one_in(3) ? 3 : BATCH_PACKETS;
        for (uint32_t i = 0; i < all && i < most && count < BATCH_PACKETS; i++) {
            uint32_t from = i * m->segment;
            uint32_t length = m->payload - from < m->segment ? m->payload - from : m->segment;
            struct packet *p = &pieces[count];

            *p = (struct packet){
                .buffer = piece_room[count], .capacity = ROOM, .offset = PACKET_HEADROOM_BYTES};
            uint8_t flags = (uint8_t)(m->flags | (throw_one_in(20) || i + 1 == all ? TCP_PSH : 0));
            p->length = write_made(m, packet_data(p), from, length, (uint16_t)(m->id + i), flags);
            of[count] = (uint8_t)flow;
            if (throw_one_in(25)) {
                disturb(m, p);
            }
            count++;
        }
    }
    return count;
}

/* Where `joined` packets stand for one, the identification of those with DF has no meaning (RFC
 * 6864 4.1): the kernel counts. */
static void forget_id(uint8_t *expected, const struct packet *theirs)
{
    if (expected[0] >> 4 == 4 && (expected[6] & 0x40) != 0) {
        memcpy(expected + 4, packet_data(theirs) + 4, 2);
        memcpy(expected + 10, packet_data(theirs) + 10, 2);
    }
}

static bool try_join(size_t *total, size_t *supers)
{
    static struct made made[3];
    static uint8_t of[BATCH_PACKETS];
    struct packet *list[BATCH_PACKETS];
    struct packet piece;
    size_t count = throw_burst(made, of);

    for (size_t i = 0; i < count; i++) {
        list[i] = &pieces[i];
        before_bytes[i] = pieces[i].length;
        memcpy(before[i], packet_data(&pieces[i]), pieces[i].length);
        lower_ttl(before[i]);
    }
    for (size_t first = 0; first < count;) {
        uint32_t skip = 0;
        size_t joined = join_packets(list + first, count - first, JOIN_TCP | JOIN_UDP, &skip);

        if (tun_write(&in, list + first, joined, skip) != TUN_OK) {
            return fails("join", "the kernel refuses what was joined");
        }
        for (size_t i = 0; i < joined; i++) {
            uint8_t *expected = before[first + i];

            if (!read_piece(&piece)) {
                return fails("join", "a packet does not come back");
            }
            if (joined > 1) {
                forget_id(expected, &piece);
            }
            if (!same_packet(&piece, expected, before_bytes[first + i], &made[of[first + i]])) {
                return differs("join", (uint32_t)(first + i), &piece, expected,
                               before_bytes[first + i]);
            }
        }
        *supers += joined > 1;
        *total += joined;
        first += joined;
    }
    return true;
}

int main(int argc, char **argv)
{
    char told[160];
    size_t rounds = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    size_t done = 0, total = 0, supers = 0;

    if (rounds == 0) {
        fprintf(stderr, "usage: super_probe ROUNDS SEED\n");
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!set_up()) {
        return 2;
    }
    state = strtoul(argv[2], NULL, 10);
    while (done < rounds && try_cut(&total)) {
        done++;
    }
    snprintf(told, sizeof(told), "%zu super-packets in %zu pieces are cut as the kernel cuts them",
             done, total);
    check(told, done == rounds);
    total = 0;
    for (done = 0; done < rounds && try_join(&total, &supers);) {
        done++;
    }
    snprintf(told, sizeof(told),
             "%zu bursts of %zu packets, %zu times joined, leave the kernel as they were", done,
             total, supers);
    check(told, done == rounds && supers > rounds / 2);
    tun_close(&in);
    tun_close(&out);
    return failures == 0 ? 0 : 1;
}
