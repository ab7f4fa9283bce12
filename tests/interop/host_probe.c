/*
 * The host room against a real kernel: host_probe SPACE_A SPACE_B, two network namespaces with a
 * router between them whose far link carries only 1,400 octets. Sockets stay in the namespace in
 * which they were opened, so one process holds both ends. Prints `ok WHAT` or `FAIL WHAT`;
 * host_test.py makes the namespaces.
 */
#define _GNU_SOURCE 1 /* setns() */

#include "host/clock.h"
#include "host/guard.h"
#include "host/netlink.h"
#include "host/offload_trial.h"
#include "host/raw.h"
#include "host/tun.h"
#include "host/udp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PACKET_BYTES 4096
#define IPV6_BYTES 40

static int failures;
static uint8_t buffers[2 * BATCH_PACKETS][PACKET_BYTES];
static struct packet packets[2 * BATCH_PACKETS];
static struct packet *out[BATCH_PACKETS], *in[BATCH_PACKETS];

static void check(const char *what, bool good)
{
    printf("%s %s\n", good ? "ok" : "FAIL", what);
    failures += good ? 0 : 1;
}

static struct address address_of(const char *text)
{
    struct address address = {0};

    if (!address_parse(slice_of_text(text), &address)) {
        abort();
    }
    return address;
}

static struct network network_of(const char *text)
{
    struct network network = {0};

    if (!network_parse(slice_of_text(text), &network)) {
        abort();
    }
    return network;
}

static void enter(const char *space)
{
    char path[256];

    snprintf(path, sizeof(path), "/run/netns/%s", space);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
        perror(path);
        exit(2);
    }
    (void)close(fd);
}

static void reset(void)
{
    for (size_t i = 0; i < 2 * BATCH_PACKETS; i++) {
        packets[i] = (struct packet){
            .buffer = buffers[i], .capacity = PACKET_BYTES, .offset = PACKET_HEADROOM_BYTES};
    }
    for (size_t i = 0; i < BATCH_PACKETS; i++) {
        out[i] = &packets[i];
        in[i] = &packets[BATCH_PACKETS + i];
    }
}

static void fill(size_t index, uint32_t length, const struct endpoint *local,
                 const struct endpoint *peer, uint8_t tos, bool dont_fragment)
{
    struct packet *p = out[index];

    p->length = length;
    p->local = *local;
    p->peer = *peer;
    p->tos = tos;
    p->dont_fragment = dont_fragment ? 1 : 0;
    memset(packet_data(p), (int)(index + 1), length);
}

/* What stands in room of the socket's is there only until the next call. */
static void own(struct packet *p)
{
    uint8_t *buffer = buffers[p - packets];

    if (p->buffer != buffer) {
        memcpy(buffer + PACKET_HEADROOM_BYTES, packet_data(p), p->length);
        p->buffer = buffer;
        p->capacity = PACKET_BYTES;
        p->offset = PACKET_HEADROOM_BYTES;
    }
}

static size_t receive(struct datagram_socket *s, size_t wanted)
{
    struct pollfd ready = {.fd = s->fd, .events = POLLIN};
    size_t count = 0;
    size_t too_long = 0;

    while (count < wanted && (datagram_has_more(s) || poll(&ready, 1, 2000) > 0)) {
        size_t got = datagram_receive(s, in + count, BATCH_PACKETS - count, &too_long);

        if (got == 0 && too_long > 0) {
            break;
        }
        for (size_t i = 0; i < got; i++) {
            own(in[count + i]);
        }
        count += got;
    }
    return count;
}

static bool same_bytes(const struct packet *p, uint8_t value, uint32_t length)
{
    if (p->length != length) {
        return false;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (packet_data(p)[i] != value) {
            return false;
        }
    }
    return true;
}

struct ends {
    const char *name;
    struct datagram_socket a, b;
    struct endpoint from, to;
    uint32_t fits; /* octets that fit in one packet of 1,400 */
};

static void check_batch(struct ends *e)
{
    char what[96];
    bool good = true;

    reset();
    for (size_t i = 0; i < BATCH_PACKETS; i++) {
        fill(i, i % 10 == 9 ? 100 : 1000, &e->from, &e->to, 0xb8, true);
    }
    size_t refused = datagram_send(&e->a, out, BATCH_PACKETS);
    snprintf(what, sizeof(what), "%s: a batch of 64 in runs of one size is sent", e->name);
    check(what, refused == 0);
    size_t count = receive(&e->b, BATCH_PACKETS);
    for (size_t i = 0; i < count; i++) {
        good = good && same_bytes(in[i], (uint8_t)(i + 1), i % 10 == 9 ? 100 : 1000) &&
               endpoint_equal(&in[i]->peer, &e->from) && endpoint_equal(&in[i]->local, &e->to) &&
               in[i]->tos == 0xb8;
    }
    snprintf(what, sizeof(what), "%s: all 64 arrive in order with addresses and TOS", e->name);
    check(what, count == BATCH_PACKETS && good);
}

/* Neighbours of one size that differ in TOS or in the address they are sent to, which has a
 * neighbour too: each keeps its own. */
static void check_differing(struct ends *e)
{
    char what[96];
    bool good = true;
    struct endpoint second = e->to;

    second.address.bytes[e->to.address.family == FAMILY_IPV4 ? 3 : 15]++;
    reset();
    for (size_t i = 0; i < BATCH_PACKETS; i++) {
        fill(i, 700, &e->from, i / 7 % 2 == 0 ? &e->to : &second, i / 3 % 2 == 0 ? 0x02 : 0x03,
             true);
    }
    size_t refused = datagram_send(&e->a, out, BATCH_PACKETS);
    size_t count = receive(&e->b, BATCH_PACKETS);
    bool seen[BATCH_PACKETS] = {false};

    for (size_t k = 0; k < count; k++) {
        size_t i = packet_data(in[k])[0] - (size_t)1;

        good = good && i < BATCH_PACKETS && !seen[i] && same_bytes(in[k], (uint8_t)(i + 1), 700) &&
               in[k]->tos == (i / 3 % 2 == 0 ? 0x02 : 0x03) &&
               endpoint_equal(&in[k]->local, i / 7 % 2 == 0 ? &e->to : &second);
        seen[i % BATCH_PACKETS] = true;
    }
    snprintf(what, sizeof(what), "%s: each keeps its TOS and its address", e->name);
    check(what, refused == 0 && count == BATCH_PACKETS && good);
}

static void check_sizes(struct ends *e)
{
    char what[96];
    struct datagram_error error;
    bool told = false;

    size_t refused = 0;
    size_t count = 0;

    /* An IPv6 router does not fragment: the first one is lost and teaches the sender. */
    for (int tries = 0; tries < 3 && count == 0; tries++) {
        reset();
        fill(0, 3000, &e->from, &e->to, 0, false);
        refused += datagram_send(&e->a, out, 1);
        count = receive(&e->b, 1);
    }
    snprintf(what, sizeof(what), "%s: without DF 3,000 octets arrive in fragments", e->name);
    check(what, refused == 0 && count == 1 && same_bytes(in[0], 1, 3000));

    while (datagram_next_error(&e->a, &error)) {
    }
    reset();
    fill(0, e->fits + 1, &e->from, &e->to, 0, true);
    (void)datagram_send(&e->a, out, 1);
    for (int i = 0; i < 40 && !told; i++) {
        struct pollfd ready = {.fd = e->a.fd, .events = 0};

        (void)poll(&ready, 1, 50);
        while (datagram_next_error(&e->a, &error)) {
            told = told ||
                   (error.too_big && error.mtu == 1400 && error.code == EMSGSIZE &&
                    !error.is_our_own && error.local.port == e->a.port &&
                    error.quoted_bytes >= 16 && error.quoted[0] == 1 && error.quoted[15] == 1 &&
                    address_equal(&error.peer.address, &e->to.address) &&
                    (error.peer.port == e->to.port || error.peer.port == 0));
        }
    }
    snprintf(what, sizeof(what),
             "%s: with DF the router's MTU of 1,400 comes back, with what was sent", e->name);
    check(what, told);

    reset();
    fill(0, e->fits, &e->from, &e->to, 0, true);
    /* Last, so that nothing is joined with it: between namespaces a joined piece is lost whole. */
    fill(1, 10, &e->from, &e->to, 0, true);
    fill(2, e->fits + 1, &e->from, &e->to, 0, true);
    refused = datagram_send(&e->a, out, 3);
    count = receive(&e->b, 2);
    /* Whether the router is believed is decided elsewhere: the system refuses nothing because of
     * it. */
    snprintf(what, sizeof(what), "%s: one that is too big for the path is lost, the others arrive",
             e->name);
    check(what,
          refused == 0 && count == 2 && same_bytes(in[0], 1, e->fits) && same_bytes(in[1], 2, 10));
    while (datagram_next_error(&e->a, &error)) {
    }
    reset();
    for (size_t i = 0; i < 4; i++) {
        fill(i, 1501, &e->from, &e->to, 0, true);
    }
    snprintf(what, sizeof(what), "%s: four too big ones are four refused ones", e->name);
    check(what, datagram_send(&e->a, out, 4) == 4);
}

/* What is longer than the link carries, and may be cut into fragments, the system takes singly
 * only.
 */
static void check_single_paths(struct ends *e)
{
    struct address peers[DATAGRAM_SINGLE_PATHS];
    struct endpoint nobody = e->to;
    char what[120];
    bool good = true;

    reset();
    for (size_t i = 0; i < 4; i++) {
        fill(i, 1600, &e->from, &e->to, 0, false);
    }
    size_t refused = datagram_send(&e->a, out, 4);
    size_t count = receive(&e->b, 4);
    for (size_t i = 0; i < count; i++) {
        good = good && same_bytes(in[i], (uint8_t)(i + 1), 1600);
    }
    snprintf(what, sizeof(what), "%s: what is refused in one piece is sent singly", e->name);
    check(what, refused == 0 && count == 4 && good);
    snprintf(what, sizeof(what), "%s: and the path is remembered for a minute", e->name);
    check(what, datagram_single_paths(&e->a, clock_now_ms(), peers) == 1 &&
                    address_equal(&peers[0], &e->to.address) && e->a.segments &&
                    datagram_single_paths(&e->a, clock_now_ms() + DATAGRAM_SINGLE_MS, peers) == 0);
    check_batch(e);
    for (size_t i = 0; i < DATAGRAM_SINGLE_PATHS; i++) {
        reset();
        nobody.address.bytes[nobody.address.family == FAMILY_IPV4 ? 3 : 15] = (uint8_t)(100 + i);
        fill(0, 1600, &e->from, &nobody, 0, false);
        fill(1, 1600, &e->from, &nobody, 0, false);
        good = good && e->a.segments && datagram_send(&e->a, out, 2) == 0;
    }
    snprintf(what, sizeof(what),
             "%s: with more such paths than there is room for all are sent singly", e->name);
    check(what, good && !e->a.segments &&
                    datagram_single_paths(&e->a, clock_now_ms(), peers) == DATAGRAM_SINGLE_PATHS);
    check_batch(e);
}

static void check_udp(const char *space_a, const char *space_b, const char *a, const char *b,
                      const char *name, uint32_t overhead)
{
    struct ends e = {.name = name,
                     .from = {address_of(a), 4500},
                     .to = {address_of(b), 4500},
                     .fits = 1400 - overhead};
    struct endpoint any = {{.family = e.from.address.family}, 4500};
    struct datagram_error error;
    char why[256] = "";
    char what[96];
    bool absent;

    enter(space_a);
    bool ok = udp_open(&e.a, &any, &absent, why, sizeof(why));
    struct datagram_socket second;
    bool twice = udp_open(&second, &any, &absent, why, sizeof(why));
    snprintf(what, sizeof(what), "%s: a taken port names its owner", name);
    check(what, !twice && strstr(why, "host_probe (process") != NULL);
    enter(space_b);
    ok = ok && udp_open(&e.b, &any, &absent, why, sizeof(why));
    snprintf(what, sizeof(what), "%s: opens on all addresses", name);
    check(what, ok);
    if (!ok) {
        printf("%s\n", why);
        return;
    }
    check_batch(&e);
    check_differing(&e);
    check_sizes(&e);
    datagram_join(&e.b);
    snprintf(what, sizeof(what), "%s: the system joins datagrams", name);
    check(what, e.b.supers != NULL);
    check_batch(&e);
    check_differing(&e);
    check_sizes(&e);
    check_single_paths(&e);

    datagram_close(&e.b);
    reset();
    fill(0, 10, &e.from, &e.to, 0, true);
    (void)datagram_send(&e.a, out, 1);
    bool told = false;
    for (int i = 0; i < 40 && !told; i++) {
        (void)usleep(50000);
        while (datagram_next_error(&e.a, &error)) {
            told = told || (error.code == ECONNREFUSED && error.mtu == 0 &&
                            address_equal(&error.offender, &e.to.address));
        }
    }
    snprintf(what, sizeof(what), "%s: a closed port is reported with who says so", name);
    check(what, told);
    datagram_close(&e.a);
}

static void send_into(const char *address)
{
    struct endpoint to = {address_of(address), 9};
    struct endpoint any = {{.family = to.address.family}, 0};
    struct datagram_socket s;
    char why[256];
    bool absent;

    if (udp_open(&s, &any, &absent, why, sizeof(why))) {
        (void)datagram_send_one(&s, &(struct address){0}, &to, SLICE_TEXT("hello"),
                                DATAGRAM_MAY_BE_CUT);
        datagram_close(&s);
    }
}

static bool reads_packet_to(const struct tun *tun, const char *from, const char *to)
{
    struct address want_from = address_of(from), want_to = address_of(to);

    for (int i = 0; i < 20; i++) {
        reset();
        if (tun_read(tun, out[0]) == TUN_OK) {
            const uint8_t *ip = packet_data(out[0]);
            bool four = ip[0] >> 4 == 4;
            size_t at = four ? 12 : 8, length = four ? 4 : 16;

            if (memcmp(ip + at, want_from.bytes, length) == 0 &&
                memcmp(ip + at + length, want_to.bytes, length) == 0) {
                return true;
            }
        }
        (void)usleep(20000);
    }
    return false;
}

/* RFC 1071, of an IPv4 header whose checksum counts as it is: zero when it is right. */
static uint16_t sum_of(const uint8_t *head, size_t length)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < length; i += 2) {
        sum += (uint32_t)(head[i] << 8 | head[i + 1]);
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

/* The header that was sent, one router later. */
static bool head_is(const struct packet *p, const struct ends *e, uint8_t protocol,
                    uint8_t hop_limit, size_t head_bytes)
{
    const uint8_t *head = packet_data(p) - p->outer_head_bytes;
    bool four = e->from.address.family == FAMILY_IPV4;
    size_t at = four ? 12 : 8, bytes = four ? 4 : 16;
    size_t total = head_bytes + p->length;
    bool good = p->outer_head_bytes == head_bytes &&
                memcmp(head + at, e->from.address.bytes, bytes) == 0 &&
                memcmp(head + at + bytes, e->to.address.bytes, bytes) == 0;

    if (four) {
        return good && head[0] == 0x45 && head[8] == hop_limit && head[9] == protocol &&
               (size_t)(head[2] << 8 | head[3]) == total && sum_of(head, 20) == 0;
    }
    return good && head[0] >> 4 == 6 && head[7] == hop_limit &&
           (size_t)(head[4] << 8 | head[5]) == total - 40;
}

/* A whole packet of that length with its outer header. */
static void fill_whole(size_t index, const struct ends *e, uint8_t protocol, uint32_t length)
{
    bool four = e->from.address.family == FAMILY_IPV4;
    uint8_t *head = packet_data(out[index]);

    fill(index, length, &e->from, &e->to, 0, true);
    out[index]->has_outer_head = true;
    memset(head, 0, four ? 20 : 40);
    if (four) {
        const uint8_t start[10] = {
            0x45, 0xb8, (uint8_t)(length >> 8), (uint8_t)length, 0, 7, 0x40, 0, 33, protocol};

        memcpy(head, start, sizeof(start));
        memcpy(head + 12, e->from.address.bytes, 4);
        memcpy(head + 16, e->to.address.bytes, 4);
        uint16_t sum = sum_of(head, 20);
        head[10] = (uint8_t)(sum >> 8);
        head[11] = (uint8_t)sum;
        return;
    }
    const uint8_t start[8] = {
        0x6b, 0x80, 0, 9, (uint8_t)((length - 40) >> 8), (uint8_t)(length - 40), protocol, 33};
    memcpy(head, start, sizeof(start));
    memcpy(head + 8, e->from.address.bytes, 16);
    memcpy(head + 24, e->to.address.bytes, 16);
}

/* AH is received with the header that it covers, and sent with one that was written elsewhere. */
static void check_whole(const char *space_a, const char *space_b, const char *a, const char *b,
                        const char *name)
{
    struct ends e = {.name = name, .from = {address_of(a), 0}, .to = {address_of(b), 0}};
    enum family family = (enum family)e.from.address.family;
    uint32_t head_bytes = family == FAMILY_IPV4 ? 20 : 40;
    struct datagram_error error;
    char why[256] = "", what[96];
    bool absent, good = true;

    enter(space_a);
    bool ok = raw_open_sender(&e.a, family, &absent, why, sizeof(why));
    enter(space_b);
    ok = ok && raw_open(&e.b, family, 51, &absent, why, sizeof(why));
    snprintf(what, sizeof(what), "%s: opens, and is marked", name);
    check(what, ok && e.a.is_marked && e.b.is_marked);
    if (!ok) {
        printf("%s\n", why);
        return;
    }
    reset();
    for (size_t i = 0; i < BATCH_PACKETS; i++) {
        fill_whole(i, &e, 51, 200 + (uint32_t)i);
    }
    size_t refused = datagram_send(&e.a, out, BATCH_PACKETS);
    size_t count = receive(&e.b, BATCH_PACKETS);
    for (size_t i = 0; i < count; i++) {
        good = good && in[i]->outer_protocol == 51 && in[i]->tos == 0xb8 &&
               same_bytes(in[i], (uint8_t)(i + 1), 200 + (uint32_t)i - head_bytes) &&
               head_is(in[i], &e, 51, 32, head_bytes);
    }
    snprintf(what, sizeof(what), "%s: 64 arrive with the header that they were sent with", name);
    check(what, refused == 0 && count == BATCH_PACKETS && good);

    while (datagram_next_error(&e.a, &error)) {
    }
    reset();
    fill_whole(0, &e, 51, 1400);
    fill_whole(1, &e, 51, 1501);
    fill_whole(2, &e, 51, 300);
    refused = datagram_send(&e.a, out, 3);
    count = receive(&e.b, 2);
    snprintf(what, sizeof(what), "%s: one that is longer than the link is refused", name);
    check(what, refused == 1 && count == 2 && in[0]->length == 1400 - head_bytes &&
                    in[1]->length == 300 - head_bytes);
    bool told = false;
    while (datagram_next_error(&e.a, &error)) {
        told = told || (error.mtu == 1500 && error.is_our_own &&
                        address_equal(&error.peer.address, &e.to.address));
    }
    snprintf(what, sizeof(what), "%s: and the MTU of the link is told", name);
    check(what, told);

    reset();
    fill_whole(0, &e, 255, 200);
    enter(space_b);
    struct datagram_socket deaf;
    size_t too_long = 0;
    ok = raw_open_sender(&deaf, family, &absent, why, sizeof(why)) &&
         datagram_send(&e.a, out, 1) == 0;
    (void)usleep(50000);
    snprintf(what, sizeof(what), "%s: a socket that sends whole packets receives nothing", name);
    check(what, ok && datagram_receive(&deaf, in, 1, &too_long) == 0 && too_long == 0);
    datagram_close(&deaf);
    datagram_close(&e.a);
    datagram_close(&e.b);
}

/* Extension headers before AH: RFC 8200 4.1. */
static void check_extensions(const char *space_a, const char *space_b, const char *a, const char *b)
{
    struct ends e = {.from = {address_of(a), 0}, .to = {address_of(b), 0}};
    /* Padding, and an option for experiments that may be skipped (RFC 4727). */
    static const uint8_t hop[8] = {0, 0, 1, 4, 0, 0, 0, 0};
    static uint8_t options[PACKET_HEADROOM_BYTES] = {0, 1, 0x1e, 12};
    char why[256] = "";
    bool absent;
    size_t too_long = 0;

    enter(space_a);
    bool ok = raw_open(&e.a, FAMILY_IPV6, 51, &absent, why, sizeof(why)) &&
              setsockopt(e.a.fd, IPPROTO_IPV6, IPV6_HOPOPTS, hop, sizeof(hop)) == 0 &&
              setsockopt(e.a.fd, IPPROTO_IPV6, IPV6_DSTOPTS, options, 16) == 0;
    enter(space_b);
    ok = ok && raw_open(&e.b, FAMILY_IPV6, 51, &absent, why, sizeof(why));
    reset();
    fill(0, 100, &e.from, &e.to, 0, true);
    ok = ok && datagram_send(&e.a, out, 1) == 0 && receive(&e.b, 1) == 1;
    const uint8_t *head = packet_data(in[0]) - in[0]->outer_head_bytes;
    check("ah6: extension headers stand before the data",
          ok && same_bytes(in[0], 1, 100) && head_is(in[0], &e, 51, 63, 64) && head[6] == 0 &&
              head[40] == 60 && memcmp(head + 41, hop + 1, 7) == 0 && head[48] == 51 &&
              memcmp(head + 49, options + 1, 15) == 0);

    options[1] = sizeof(options) / 8 - 1;
    options[3] = sizeof(options) - 4;
    ok = setsockopt(e.a.fd, IPPROTO_IPV6, IPV6_DSTOPTS, options, sizeof(options)) == 0;
    struct pollfd ready = {.fd = e.b.fd, .events = POLLIN};
    reset();
    fill(0, 100, &e.from, &e.to, 0, true);
    ok = ok && datagram_send(&e.a, out, 1) == 0;
    (void)poll(&ready, 1, 2000);
    check("ah6: more of them than fit are counted, not delivered",
          ok && datagram_receive(&e.b, in, 1, &too_long) == 0 && too_long == 1);
    datagram_close(&e.a);
    datagram_close(&e.b);
}

/* In `space`, everything leads into the TUN device, but for what goes around it. */
static void check_bypass(const char *space, const char *space_b, const char *a, const char *b,
                         const char *name)
{
    struct ends e = {.name = name, .from = {address_of(a), 0}, .to = {address_of(b), 0}};
    enum family family = (enum family)e.from.address.family;
    struct network target = {e.to.address, (uint8_t)(address_bytes(family) * 8)};
    struct netlink nl;
    struct tun tun;
    char why[256] = "", what[96];
    bool absent;

    enter(space);
    bool ok = netlink_open(&nl, why, sizeof(why)) &&
              tun_open(&tun, "hst2", false, false, why, sizeof(why)) &&
              netlink_link_up(&nl, tun.interface_index, 1400, why, sizeof(why)) &&
              netlink_route_add(&nl, &target, tun.interface_index, NULL, why, sizeof(why)) &&
              raw_open_sender(&e.a, family, &absent, why, sizeof(why));
    enter(space_b);
    ok = ok && raw_open(&e.b, family, 51, &absent, why, sizeof(why));
    reset();
    fill_whole(0, &e, 51, 200);
    out[0]->bypass = true;
    snprintf(what, sizeof(what), "%s: nothing goes around while it is not known where", name);
    check(what, ok && datagram_send(&e.a, out, 1) == 1);
    int uplink = netlink_uplink(&nl, family, tun.interface_index);
    snprintf(what, sizeof(what), "%s: the default route is found", name);
    check(what, uplink != 0 && uplink != tun.interface_index);
    datagram_set_uplink(&e.a, uplink);
    fill_whole(1, &e, 51, 201);
    bool sent = datagram_send(&e.a, out, 2) == 0;
    snprintf(what, sizeof(what), "%s: only what goes around the tunnel arrives", name);
    check(what, sent && receive(&e.b, 2) == 1 && in[0]->length + in[0]->outer_head_bytes == 200);
    snprintf(what, sizeof(what), "%s: the other is in the tunnel", name);
    check(what, reads_packet_to(&tun, a, b));
    /* From somebody behind us. */
    struct ends far = e;
    far.from.address.bytes[2] = 0x77;
    reset();
    fill_whole(0, &far, 51, 210);
    out[0]->bypass = true;
    sent = datagram_send(&e.a, out, 1) == 0;
    snprintf(what, sizeof(what), "%s: so does what comes from others", name);
    check(what,
          sent && receive(&e.b, 1) == 1 && head_is(in[0], &far, 51, 32, in[0]->outer_head_bytes));
    datagram_close(&e.a);
    datagram_close(&e.b);
    tun_close(&tun);
    netlink_close(&nl);
}

static void rules(const char *text)
{
    char order[256];

    snprintf(order, sizeof(order), "nft '%s'", text);
    check(text, system(order) == 0); /* the administrator, not us */
}

/* Nobody reads meanwhile. */
static void check_full_ring(struct ends *e)
{
    char what[96];
    size_t count = 0;

    reset();
    for (size_t sent = 0; sent < 20480; sent += BATCH_PACKETS) {
        for (size_t i = 0; i < BATCH_PACKETS; i++) {
            fill(i, 100, &e->from, &e->to, 0, true);
        }
        (void)datagram_send(&e->a, out, BATCH_PACKETS);
    }
    fill(0, 64, &e->from, &e->to, 0, true);
    struct pollfd ready = {.fd = e->b.fd, .events = POLLIN};
    bool good = true;
    while (datagram_has_more(&e->b) || poll(&ready, 1, 50) > 0) {
        size_t too_long = 0;
        size_t got = datagram_receive(&e->b, in, BATCH_PACKETS, &too_long);

        for (size_t i = 0; i < got; i++) {
            good = good && same_bytes(in[i], (uint8_t)(count % BATCH_PACKETS + 1), 100);
            count++;
        }
    }
    snprintf(what, sizeof(what), "%s: a full ring loses what comes last", e->name);
    check(what, good && count > 15000 && count < 16000);
    snprintf(what, sizeof(what), "%s: and takes again when there is room", e->name);
    check(what,
          datagram_send(&e->a, out, 1) == 0 && receive(&e->b, 1) == 1 && same_bytes(in[0], 1, 64));
}

#define WAKES 20000

/* One by one, with pauses from none to longer than the reader takes to fall asleep. */
static void *send_singly(void *context)
{
    struct ends *e = context;
    uint64_t random = 1;

    for (size_t i = 0; i < WAKES; i++) {
        uint64_t until_us = clock_now_us() + (random >> 33) % 60;

        random = random * 6364136223846793005u + 1442695040888963407u;
        while (clock_now_us() < until_us) {
        }
        if (datagram_send(&e->a, out, 1) != 0) {
            break;
        }
    }
    return NULL;
}

/* As a worker waits: epoll tells only of what wakes it. */
static void check_wakes(struct ends *e)
{
    char what[96];
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    pthread_t sender;
    size_t count = 0;
    bool is_late = false;

    reset();
    fill(0, 64, &e->from, &e->to, 0, true);
    bool ok = loop >= 0 && epoll_ctl(loop, EPOLL_CTL_ADD, e->b.fd, &event) == 0 &&
              pthread_create(&sender, NULL, send_singly, e) == 0;
    while (ok && count < WAKES && !is_late) {
        size_t too_long = 0;

        is_late = epoll_wait(loop, &event, 1, 2000) == 0;
        do {
            count += datagram_receive(&e->b, in, BATCH_PACKETS, &too_long);
        } while (datagram_has_more(&e->b));
    }
    ok = ok && pthread_join(sender, NULL) == 0;
    (void)close(loop);
    snprintf(what, sizeof(what), "%s: whoever sleeps is woken for each of many packets", e->name);
    check(what, ok && !is_late && count == WAKES);
}

/* What a raw socket would have received comes out of the ring. */
static void check_ring(struct ends *raw, const char *space_b)
{
    struct ends e = {
        .name = raw->name, .a = raw->a, .from = raw->from, .to = raw->to, .fits = raw->fits};
    struct packet seen;
    char what[96];
    size_t too_long = 0;

    reset();
    fill(0, 200, &e.from, &e.to, 0xb8, true);
    (void)datagram_send(&e.a, out, 1);
    bool by_socket = receive(&raw->b, 1) == 1;
    uint8_t head[IPV6_BYTES];
    seen = *in[0];
    memcpy(head, packet_data(in[0]) - seen.outer_head_bytes, seen.outer_head_bytes);
    enter(space_b);
    bool ok = datagram_open_ring(&e.b) && datagram_lead_to_ring(&e.b, &raw->b);
    snprintf(what, sizeof(what), "%s: a ring opens", e.name);
    check(what, ok);
    if (!ok) {
        return;
    }
    reset();
    fill(0, 200, &e.from, &e.to, 0xb8, true);
    bool by_ring = datagram_send(&e.a, out, 1) == 0 && receive(&e.b, 1) == 1;
    /* Of IPv4 the system chooses an identification, and so the checksum; of IPv6 a flow label,
     * which a socket does not tell. */
    const uint8_t *other = packet_data(in[0]) - in[0]->outer_head_bytes;
    bool alike = memcmp(head, other, 1) == 0 && memcmp(head + 6, other + 6, 4) == 0 &&
                 memcmp(head + 12, other + 12, seen.outer_head_bytes - 12u) == 0;
    snprintf(what, sizeof(what), "%s: what comes by the ring is what comes by the socket", e.name);
    check(what, by_socket && by_ring && same_bytes(in[0], 1, 200) && alike &&
                    in[0]->outer_head_bytes == seen.outer_head_bytes &&
                    in[0]->outer_protocol == seen.outer_protocol && in[0]->tos == seen.tos &&
                    in[0]->segment_bytes == 0 && endpoint_equal(&in[0]->peer, &seen.peer) &&
                    endpoint_equal(&in[0]->local, &seen.local));
    check_batch(&e);
    check_sizes(&e);

    reset();
    fill(0, 100, &e.from, &e.to, 0, true);
    fill(1, 101, &e.from, &e.to, 0, true);
    rules("add table inet admin; add chain inet admin in { type filter hook input priority 0; };"
          "add rule inet admin in meta l4proto esp drop");
    bool sent = datagram_send(&e.a, out, 1) == 0;
    (void)usleep(50000);
    rules("delete table inet admin");
    sent = sent && datagram_send(&e.a, out + 1, 1) == 0;
    snprintf(what, sizeof(what), "%s: what the administrator drops is not in the ring", e.name);
    check(what,
          sent && receive(&e.b, 1) == 1 && same_bytes(in[0], 2, 101) && !datagram_has_more(&e.b));

    static uint8_t long_room[PACKET_HEADROOM_BYTES + 9300];
    struct packet long_packet = {
        .buffer = long_room, .capacity = sizeof(long_room), .offset = PACKET_HEADROOM_BYTES};
    out[0] = &long_packet;
    fill(0, 9300, &e.from, &e.to, 0, false);
    sent = datagram_send(&e.a, out, 1) == 0;
    (void)usleep(50000);
    snprintf(what, sizeof(what), "%s: what is too long for the ring goes to the socket", e.name);
    check(what, sent && datagram_receive(&e.b, in, 1, &too_long) == 0 && too_long == 0 &&
                    datagram_receive(&raw->b, in, 1, &too_long) == 0 && too_long == 1);
    check_full_ring(&e);
    check_wakes(&e);
    datagram_close(&e.b);
}

static void check_raw(const char *space_a, const char *space_b, const char *a, const char *b,
                      const char *name, uint32_t overhead)
{
    struct ends e = {.name = name,
                     .from = {address_of(a), 0},
                     .to = {address_of(b), 0},
                     .fits = 1400 - overhead};
    char why[256] = "";
    bool absent;

    enter(space_a);
    bool ok = raw_open(&e.a, (enum family)e.from.address.family, 50, &absent, why, sizeof(why));
    enter(space_b);
    ok = ok && raw_open(&e.b, (enum family)e.from.address.family, 50, &absent, why, sizeof(why));
    check(name, ok);
    if (!ok) {
        printf("%s\n", why);
        return;
    }
    check_batch(&e);
    check_sizes(&e);
    check_ring(&e, space_b);
    datagram_close(&e.a);
    datagram_close(&e.b);
}

static void check_tun(const char *space)
{
    struct tun tun, other;
    struct netlink nl;
    struct netlink_address addresses[16];
    struct netlink_path path;
    struct network ten = network_of("10.9.0.0/16"), doc = network_of("2001:db8:9::/48");
    struct network link = network_of("203.0.113.0/24");
    struct address source = address_of("203.0.113.1"), source6 = address_of("2001:db8:a::1");
    struct address to = address_of("198.51.100.2");
    char why[256] = "";

    enter(space);
    bool ok = netlink_open(&nl, why, sizeof(why)) &&
              tun_open(&tun, "hst0", false, false, why, sizeof(why));
    check("tun: opens", ok);
    if (!ok) {
        printf("%s\n", why);
        return;
    }
    check("tun: a name is used once", !tun_open(&other, "hst0", false, false, why, sizeof(why)) &&
                                          strstr(why, "device NAME") != NULL);
    check("tun: comes up", netlink_link_up(&nl, tun.interface_index, 1390, why, sizeof(why)));
    check("tun: has its MTU", netlink_link_mtu(&nl, tun.interface_index) == 1390);
    check("route: IPv4",
          netlink_route_add(&nl, &ten, tun.interface_index, &source, why, sizeof(why)));
    check("route: IPv6",
          netlink_route_add(&nl, &doc, tun.interface_index, &source6, why, sizeof(why)));
    check("route: again is no mistake",
          netlink_route_add(&nl, &ten, tun.interface_index, &source, why, sizeof(why)));
    bool taken = !netlink_route_add(&nl, &link, tun.interface_index, NULL, why, sizeof(why));
    check("route: somebody else's is named",
          taken && strstr(why, "ip route del 203.0.113.0/24") != NULL);
    send_into("10.9.1.2");
    check("tun: an IPv4 packet from our inner address",
          reads_packet_to(&tun, "203.0.113.1", "10.9.1.2"));
    send_into("2001:db8:9::7");
    check("tun: an IPv6 packet", reads_packet_to(&tun, "2001:db8:a::1", "2001:db8:9::7"));
    check("path: over the link with its MTU", netlink_path(&nl, &to, &path) && path.mtu >= 1400 &&
                                                  address_equal(&path.source, &source));
    size_t count = netlink_addresses(&nl, addresses, 16);
    check("addresses: both of them, no link-local one", count == 2);
    check("watch: opens", netlink_watch(&nl, why, sizeof(why)));
    check("watch: nothing yet", !netlink_changed(&nl));
    struct address added = address_of("10.77.0.1");
    check("address: is added",
          netlink_address_add(&nl, tun.interface_index, &added, 24, why, sizeof(why)));
    check("watch: sees it", netlink_changed(&nl) && !netlink_changed(&nl));
    check("route: is removed",
          netlink_route_remove(&nl, &ten, tun.interface_index, why, sizeof(why)) &&
              netlink_route_remove(&nl, &ten, tun.interface_index, why, sizeof(why)));
    check("route: leftovers are found", netlink_routes_clean(&nl, tun.interface_index) == 1 &&
                                            netlink_routes_clean(&nl, tun.interface_index) == 0);
    tun_close(&tun);
    check("tun: is gone when it is closed", netlink_link_mtu(&nl, tun.interface_index) == 0);
    netlink_close(&nl);
}

/* What leaves by way of the TUN device, and what goes past it, in the same direction. */
static bool goes_inside(const char *to, uint32_t mark, const char *words)
{
    char line[256], answer[512] = "";

    snprintf(line, sizeof(line), "ip route get %s mark %u %s 2>&1", to, mark, words);
    FILE *pipe = popen(line, "r");
    if (pipe == NULL) {
        return false;
    }
    size_t got = fread(answer, 1, sizeof(answer) - 1, pipe);
    answer[got] = '\0';
    (void)pclose(pipe);
    if (strstr(answer, " dev ") == NULL) {
        printf("%s: %s\n", line, answer);
        abort();
    }
    return strstr(answer, " dev hst1 ") != NULL;
}

static size_t rules_left(void)
{
    size_t count = 0;
    char line[256];
    FILE *pipe = popen("ip rule; ip -6 rule; ip route show table 5200 2>/dev/null; "
                       "ip -6 route show table 5200 2>/dev/null",
                       "r");

    if (pipe == NULL) {
        abort();
    }
    while (fgets(line, sizeof(line), pipe) != NULL) {
        count += strncmp(line, "0:", 2) != 0 && strncmp(line, "3276", 4) != 0 ? 1 : 0;
    }
    (void)pclose(pipe);
    return count;
}

struct pair_probe {
    const char *name, *local, *other, *peer;
};

static void check_pair(struct netlink *nl, int interface_index, const struct pair_probe *p)
{
    const struct netlink_control_ports ports = {500, 4500};
    struct netlink_pair all = {.local = address_of(p->local),
                               .peer = address_of(p->peer),
                               .peer_port_last = 65535,
                               .local_port_last = 65535};
    struct netlink_pair web = all, high = all;
    char why[256] = "", what[128], from[64];

    web.protocol = 6;
    web.peer_port_first = 80;
    web.peer_port_last = 81;
    high.protocol = 17;
    high.local_port_first = 1024;

    bool good = netlink_pair_add(nl, &web, &ports, interface_index, why, sizeof(why)) &&
                netlink_pair_add(nl, &web, &ports, interface_index, why, sizeof(why));
    snprintf(what, sizeof(what), "%s: is set, and again", p->name);
    check(what, good);
    if (!good) {
        printf("%s\n", why);
        return;
    }
    snprintf(what, sizeof(what), "%s: one protocol and its ports go inside, others do not",
             p->name);
    check(what, goes_inside(p->peer, 0, "ipproto tcp dport 80 sport 1234") &&
                    goes_inside(p->peer, 0, "ipproto tcp dport 81 sport 1234") &&
                    !goes_inside(p->peer, 0, "ipproto tcp dport 82 sport 1234") &&
                    !goes_inside(p->peer, 0, "ipproto udp dport 80 sport 1234") &&
                    !goes_inside(p->peer, 0, ""));
    good = netlink_pair_add(nl, &all, &ports, interface_index, why, sizeof(why)) &&
           netlink_pair_add(nl, &high, &ports, interface_index, why, sizeof(why));
    snprintf(from, sizeof(from), "from %s", p->local);
    snprintf(what, sizeof(what), "%s: everything goes inside", p->name);
    check(what, good && goes_inside(p->peer, 0, "") && goes_inside(p->peer, 0, from) &&
                    goes_inside(p->peer, 0, "ipproto udp dport 9 sport 9"));
    snprintf(what, sizeof(what), "%s: but for IKE and what carries our mark", p->name);
    check(what, !goes_inside(p->peer, 0, "ipproto udp sport 500 dport 500") &&
                    !goes_inside(p->peer, 0, "ipproto udp sport 4500 dport 70") &&
                    !goes_inside(p->peer, DATAGRAM_MARK, "") &&
                    !goes_inside(p->peer, DATAGRAM_MARK | 1, from) &&
                    goes_inside(p->peer, 1, from));
    if (p->other != NULL) {
        snprintf(from, sizeof(from), "from %s", p->other);
        snprintf(what, sizeof(what), "%s: not from another address of ours", p->name);
        check(what, !goes_inside(p->peer, 0, from));
    }
    struct netlink_path path;
    snprintf(what, sizeof(what), "%s: the path of our own packets is the one outside", p->name);
    check(what, netlink_path(nl, &all.peer, &path) && path.interface_index != interface_index);

    /* The kernel would remove a narrower one for it. */
    good = netlink_pair_remove(nl, &all, interface_index, why, sizeof(why)) &&
           netlink_pair_remove(nl, &all, interface_index, why, sizeof(why));
    snprintf(what, sizeof(what), "%s: one is removed and the others stay", p->name);
    check(what, good && !goes_inside(p->peer, 0, "ipproto tcp dport 82 sport 1234") &&
                    goes_inside(p->peer, 0, "ipproto tcp dport 80 sport 1234") &&
                    goes_inside(p->peer, 0, "ipproto udp dport 7 sport 65535"));
    good = netlink_pair_remove(nl, &web, interface_index, why, sizeof(why)) &&
           netlink_pair_remove(nl, &high, interface_index, why, sizeof(why));
    snprintf(what, sizeof(what), "%s: the last ones take the route with them", p->name);
    check(what,
          good && !goes_inside(p->peer, 0, "ipproto tcp dport 80 sport 1234") && rules_left() == 5);
    (void)netlink_pairs_clean(nl);
}

static void check_pairs(const char *space)
{
    const struct pair_probe probes[] = {
        {"pair4", "203.0.113.1", "203.0.113.9", "198.51.100.2"},
        {"pair6", "2001:db8:a::1", NULL, "2001:db8:b::2"},
    };
    const struct netlink_control_ports ports = {500, 4500};
    const struct address other = address_of("203.0.113.9");
    struct netlink nl;
    struct tun tun;
    char why[256] = "";

    enter(space);
    bool ok = netlink_open(&nl, why, sizeof(why)) &&
              tun_open(&tun, "hst1", false, false, why, sizeof(why)) &&
              netlink_link_up(&nl, tun.interface_index, 1400, why, sizeof(why)) &&
              netlink_address_add(&nl, tun.interface_index, &other, 32, why, sizeof(why));
    check("pairs: a device", ok);
    for (size_t i = 0; ok && i < ARRAY_LENGTH(probes); i++) {
        check_pair(&nl, tun.interface_index, &probes[i]);
    }
    /* As after a crash: another object, and what the kernel still has. */
    for (size_t i = 0; ok && i < ARRAY_LENGTH(probes); i++) {
        struct netlink_pair pair = {.local = address_of(probes[i].local),
                                    .peer = address_of(probes[i].peer)};

        ok = netlink_pair_add(&nl, &pair, &ports, tun.interface_index, why, sizeof(why));
    }
    netlink_close(&nl);
    tun_close(&tun);
    ok = ok && netlink_open(&nl, why, sizeof(why));
    check("pairs: what a killed daemon left is removed",
          ok && rules_left() == 13 && netlink_pairs_clean(&nl) == 13 &&
              netlink_pairs_clean(&nl) == 0 && rules_left() == 0);
    netlink_close(&nl);
}

static void strict_filter(const char *device, const char *value)
{
    char path[128];

    snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", device);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, 1) != 1) {
        perror(path);
        exit(2);
    }
    (void)close(fd);
}

/* Puts a UDP datagram into the device, as the data plane does after it was opened. */
static bool come_out(const struct tun *tun, const char *from, const char *to, uint16_t port)
{
    const struct address source = address_of(from), target = address_of(to);
    uint8_t head[28] = {0x45, 0, 0, 33, 0, 1, 0, 0, 64, 17};
    struct packet *p = in[0];

    memcpy(head + 12, source.bytes, 4);
    memcpy(head + 16, target.bytes, 4);
    uint16_t sum = sum_of(head, 20);
    head[10] = (uint8_t)(sum >> 8);
    head[11] = (uint8_t)sum;
    head[20] = 0x30;
    head[22] = (uint8_t)(port >> 8);
    head[23] = (uint8_t)port;
    head[25] = 13;
    p->offset = PACKET_HEADROOM_BYTES;
    p->length = 33;
    memcpy(packet_data(p), head, sizeof(head));
    memcpy(packet_data(p) + sizeof(head), "hello", 5);
    return tun_write(tun, in, 1, 0) == TUN_OK;
}

/* As a program that knows nothing of us. */
static void say_plainly(const char *to)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = 9};
    const struct address address = address_of(to);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(&name.sin_addr, address.bytes, 4);
    if (fd < 0 || sendto(fd, "hello", 5, 0, (const struct sockaddr *)&name, sizeof(name)) != 5) {
        perror("say_plainly");
    }
    (void)close(fd);
}

/* Transport mode where every device has a strict reverse path filter: protected packets and IKE
 * come in outside, clear ones out of the device, from the same host. */
static void check_strict(const char *space_a, const char *space_b)
{
    const struct netlink_control_ports ports = {500, 4500};
    const struct netlink_pair pair = {.local = address_of("203.0.113.1"),
                                      .peer = address_of("198.51.100.2"),
                                      .peer_port_last = 65535,
                                      .local_port_last = 65535};
    struct ends esp = {.from = {pair.peer, 0}, .to = {pair.local, 0}}, ah = esp;
    struct ends ike = {.from = {pair.peer, 4500}, .to = {pair.local, 4500}};
    struct endpoint any_ike = {{.family = FAMILY_IPV4}, 4500};
    struct endpoint any_other = {{.family = FAMILY_IPV4}, 7000};
    struct datagram_socket other, plain;
    struct netlink nl;
    struct tun tun;
    char why[256] = "";
    bool absent;

    enter(space_b);
    bool ok = raw_open(&esp.a, FAMILY_IPV4, 50, &absent, why, sizeof(why)) &&
              raw_open(&ah.a, FAMILY_IPV4, 51, &absent, why, sizeof(why)) &&
              udp_open(&ike.a, &any_ike, &absent, why, sizeof(why)) &&
              udp_open(&plain, &any_other, &absent, why, sizeof(why));
    enter(space_a);
    strict_filter("all", "1");
    ok = ok && netlink_open(&nl, why, sizeof(why)) &&
         tun_open(&tun, "hst3", false, false, why, sizeof(why)) &&
         netlink_link_up(&nl, tun.interface_index, 1400, why, sizeof(why)) &&
         netlink_pair_add(&nl, &pair, &ports, tun.interface_index, why, sizeof(why)) &&
         raw_open(&esp.b, FAMILY_IPV4, 50, &absent, why, sizeof(why)) &&
         raw_open(&ah.b, FAMILY_IPV4, 51, &absent, why, sizeof(why)) &&
         udp_open(&ike.b, &any_ike, &absent, why, sizeof(why)) &&
         udp_open(&other, &any_other, &absent, why, sizeof(why));
    check("strict: opens", ok);
    if (!ok) {
        printf("%s\n", why);
        return;
    }
    struct ends *all[] = {&esp, &ah, &ike};
    static const char *const names[] = {"ESP", "AH", "IKE"};
    char what[96];
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        reset();
        fill(0, 100, &all[i]->from, &all[i]->to, 0, true);
        bool sent = datagram_send(&all[i]->a, out, 1) == 0;
        snprintf(what, sizeof(what), "strict: %s comes in from the peer", names[i]);
        check(what, sent && receive(&all[i]->b, 1) == 1 && same_bytes(in[0], 1, 100));
    }
    reset();
    check("strict: what comes out of the device reaches a program",
          come_out(&tun, "198.51.100.2", "203.0.113.1", 7000) && receive(&other, 1) == 1 &&
              in[0]->length == 5);
    say_plainly("198.51.100.2");
    check("strict: a program that chose no source talks through the device",
          reads_packet_to(&tun, "203.0.113.1", "198.51.100.2"));
    reset();
    struct endpoint from = {pair.peer, 7000}, to = {pair.local, 7000};
    fill(0, 5, &from, &to, 0, true);
    bool sent = datagram_send(&plain, out, 1) == 0;
    check("strict: in clear nothing comes in", sent && receive(&other, 1) == 0);
    strict_filter("all", "0");
    datagram_close(&other);
    datagram_close(&plain);
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        datagram_close(&all[i]->a);
        datagram_close(&all[i]->b);
    }
    (void)netlink_pairs_clean(&nl);
    tun_close(&tun);
    netlink_close(&nl);
}

struct guarded {
    struct datagram_socket from, to;
    struct endpoint source, target;
};

static bool guarded_open(struct guarded *g, const char *space_a, const char *space_b, const char *a,
                         const char *b, uint16_t port)
{
    char why[256];
    bool absent;

    g->source = (struct endpoint){address_of(b), 6000};
    g->target = (struct endpoint){address_of(a), port};
    enum family family = (enum family)g->source.address.family;
    struct endpoint any_from = {{.family = family}, 6000}, any_to = {{.family = family}, port};
    enter(space_b);
    bool ok = udp_open(&g->from, &any_from, &absent, why, sizeof(why));
    enter(space_a);
    return ok && udp_open(&g->to, &any_to, &absent, why, sizeof(why));
}

static bool hears(struct guarded *g)
{
    struct pollfd ready = {.fd = g->to.fd, .events = POLLIN};
    size_t too_long = 0;

    reset();
    fill(0, 40, &g->source, &g->target, 0, false);
    return datagram_send(&g->from, out, 1) == 0 && poll(&ready, 1, 200) > 0 &&
           datagram_receive(&g->to, in, 1, &too_long) == 1;
}

static void guarded_close(struct guarded *g)
{
    datagram_close(&g->from);
    datagram_close(&g->to);
}

static void check_guard_family(const char *space_a, const char *space_b, const char *a,
                               const char *b, const struct guard_entry *entry, const char *name)
{
    const struct guard_ports ports = {500, 4500};
    struct guard_entry narrow[2] = {*entry, *entry}, port = *entry;
    struct guarded plain, ike;
    char why[256] = "", what[96];

    bool ok = guarded_open(&plain, space_a, space_b, a, b, 7000);
    check(name, ok && hears(&plain));
    ok = ok && guard_set("hst4", &ports, entry, 1, why, sizeof(why));
    snprintf(what, sizeof(what), "%s: what comes in clear is not heard", name);
    check(what, ok && !hears(&plain));
    if (!ok) {
        printf("%s\n", why);
        return;
    }
    guarded_close(&plain);
    ok = guarded_open(&ike, space_a, space_b, a, b, 4500);
    snprintf(what, sizeof(what), "%s: IKE is", name);
    check(what, ok && hears(&ike));
    guarded_close(&ike);
    ok = guarded_open(&plain, space_a, space_b, a, b, 7000);

    narrow[0].may_be_clear = true;
    narrow[0].protocol = 17;
    narrow[0].local_port_first = narrow[0].local_port_last = 7000;
    snprintf(what, sizeof(what), "%s: the first entry decides", name);
    check(what, ok && guard_set("hst4", &ports, narrow, 2, why, sizeof(why)) && hears(&plain));
    port.protocol = 17;
    port.remote_port_first = 5000;
    port.remote_port_last = 5999;
    snprintf(what, sizeof(what), "%s: another port is not meant", name);
    check(what, guard_set("hst4", &ports, &port, 1, why, sizeof(why)) && hears(&plain));
    port.remote_port_last = 6000;
    snprintf(what, sizeof(what), "%s: the last port of a range is", name);
    check(what, guard_set("hst4", &ports, &port, 1, why, sizeof(why)) && !hears(&plain));
    port.protocol = 6;
    snprintf(what, sizeof(what), "%s: another protocol is not", name);
    check(what, guard_set("hst4", &ports, &port, 1, why, sizeof(why)) && hears(&plain));
    snprintf(what, sizeof(what), "%s: by the device it comes in", name);
    check(what, guard_set("to-r", &ports, entry, 1, why, sizeof(why)) && hears(&plain));
    ok = guard_set("hst4", &ports, entry, 1, why, sizeof(why)) && !hears(&plain);
    guard_remove();
    guard_remove();
    snprintf(what, sizeof(what), "%s: removed, it is gone", name);
    check(what, ok && hears(&plain));
    guarded_close(&plain);
}

static void check_guard(const char *space_a, const char *space_b)
{
    const struct guard_entry four = {.local = network_of("203.0.113.0/25"),
                                     .remote = network_of("198.51.100.2/32"),
                                     .local_port_last = 65535,
                                     .remote_port_last = 65535};
    const struct guard_entry six = {.local = network_of("2001:db8:a::/64"),
                                    .remote = network_of("2001:db8:b::/65"),
                                    .local_port_last = 65535,
                                    .remote_port_last = 65535};
    const struct guard_ports ports = {500, 4500};
    static struct guard_entry many[GUARD_ENTRIES_MAX + 1];
    char why[256] = "";

    check_guard_family(space_a, space_b, "203.0.113.1", "198.51.100.2", &four, "guard4");
    check_guard_family(space_a, space_b, "2001:db8:a::1", "2001:db8:b::2", &six, "guard6");
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++) {
        many[i] = six;
        many[i].protocol = 6;
        many[i].remote_port_last = many[i].local_port_last = 80;
    }
    check("guard: as many as there may be",
          guard_set("hst4", &ports, many, GUARD_ENTRIES_MAX, why, sizeof(why)));
    check("guard: and no more",
          !guard_set("hst4", &ports, many, GUARD_ENTRIES_MAX + 1, why, sizeof(why)));
    guard_remove();
}

/* The way out of this namespace takes a thousand octets a second, and the buffer is small. */
static void check_stalled(const char *space, const char *from, const char *to)
{
    struct endpoint any = {{.family = FAMILY_IPV4}, 4500};
    struct endpoint local = {address_of(from), 4500}, peer = {address_of(to), 4500};
    struct datagram_socket s;
    char why[256] = "";
    bool absent;
    int small = 20000;

    enter(space);
    bool ok = udp_open(&s, &any, &absent, why, sizeof(why)) &&
              setsockopt(s.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0;
    check("stalled: opens", ok);
    if (!ok) {
        return;
    }
    for (int turn = 0; turn < 3; turn++) {
        reset();
        for (size_t i = 0; i < BATCH_PACKETS; i++) {
            /* The last turn can be cut by the system. */
            fill(i, turn < 2 ? 800 + (uint32_t)i : 900, &local, &peer, 0, true);
        }
        uint64_t began_ms = clock_now_ms();
        size_t refused = datagram_send(&s, out, BATCH_PACKETS);
        uint64_t took_ms = clock_now_ms() - began_ms;

        if (turn > 0) {
            check("stalled: all that does not fit is refused", refused >= BATCH_PACKETS - 1);
            check("stalled: and nobody waits for it long", took_ms < 40);
        }
    }
    datagram_close(&s);
}

static void check_trial(const char *space)
{
    struct offload_trial trial;

    enter(space);
    offload_try_udp(&trial);
    check("the trial of offloads: this kernel does it rightly",
          trial.was_possible && trial.segment == OFFLOAD_IN_USE && trial.join == OFFLOAD_IN_USE);
    /* A new namespace, whose loopback interface is down. */
    bool is_new = unshare(CLONE_NEWNET) == 0;
    offload_try_udp(&trial);
    check("the trial of offloads: without a loopback interface nothing is proved",
          is_new && !trial.was_possible && trial.segment == OFFLOAD_IN_USE &&
              trial.join == OFFLOAD_IN_USE);
}

int main(int argc, char **argv)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 2) {
        check_stalled(argv[1], "203.0.113.1", "198.51.100.2");
        return failures == 0 ? 0 : 1;
    }
    if (argc != 3) {
        fprintf(stderr, "usage: host_probe SPACE_A SPACE_B, or host_probe STALLED_SPACE\n");
        return 2;
    }
    check_tun(argv[1]);
    check_pairs(argv[1]);
    check_strict(argv[1], argv[2]);
    check_guard(argv[1], argv[2]);
    check_udp(argv[1], argv[2], "203.0.113.1", "198.51.100.2", "udp4", 28);
    check_udp(argv[1], argv[2], "2001:db8:a::1", "2001:db8:b::2", "udp6", 48);
    check_whole(argv[1], argv[2], "203.0.113.1", "198.51.100.2", "ah4");
    check_whole(argv[1], argv[2], "2001:db8:a::1", "2001:db8:b::2", "ah6");
    check_extensions(argv[1], argv[2], "2001:db8:a::1", "2001:db8:b::2");
    check_bypass(argv[1], argv[2], "203.0.113.1", "198.51.100.2", "around4");
    check_bypass(argv[1], argv[2], "2001:db8:a::1", "2001:db8:b::2", "around6");
    check_raw(argv[1], argv[2], "203.0.113.1", "198.51.100.2", "raw4", 20);
    check_raw(argv[1], argv[2], "2001:db8:a::1", "2001:db8:b::2", "raw6", 40);
    check_trial(argv[1]);
    return failures == 0 ? 0 : 1;
}
