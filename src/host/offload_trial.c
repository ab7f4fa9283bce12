/* Decides what is sent to ourselves at the start, and what its coming back proves. */
#define _GNU_SOURCE 1 /* struct in6_pktinfo */
#include "host/offload_trial.h"

#include "host/sockaddr.h"
#include "host/udp.h"

#include <assert.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define DATAGRAMS 12
#define PIECE_BYTES 1387 /* odd, so that a sum cannot be right by accident of its place */
#define LAST_BYTES 501
#define ROOM_BYTES (PACKET_HEADROOM_BYTES + 2048 + PACKET_TAILROOM_BYTES)
#define WAIT_MS 100

struct rooms {
    uint8_t sent[DATAGRAMS][ROOM_BYTES], received[DATAGRAMS][ROOM_BYTES];
    struct packet out[DATAGRAMS], in[DATAGRAMS];
    struct packet *out_list[DATAGRAMS], *in_list[DATAGRAMS];
};

static uint8_t octet(size_t datagram, size_t at)
{
    return (uint8_t)((datagram * 4099 + at) * 2654435761u >> 11);
}

static void fill(struct rooms *rooms, const struct endpoint *to)
{
    for (size_t i = 0; i < DATAGRAMS; i++) {
        struct packet *p = &rooms->out[i];

        *p = (struct packet){.buffer = rooms->sent[i],
                             .capacity = ROOM_BYTES,
                             .offset = PACKET_HEADROOM_BYTES,
                             .length = i + 1 < DATAGRAMS ? PIECE_BYTES : LAST_BYTES,
                             .peer = *to,
                             .dont_fragment = 1};
        rooms->out_list[i] = p;
        for (size_t at = 0; at < p->length; at++) {
            packet_data(p)[at] = octet(i, at);
        }
        rooms->in[i] = (struct packet){.buffer = rooms->received[i], .capacity = ROOM_BYTES};
        rooms->in_list[i] = &rooms->in[i];
    }
}

/* False when something does not come, or none but `any` says that this is no proof. */
static bool receive(struct datagram_socket *s, struct rooms *rooms, size_t *count)
{
    size_t too_long = 0;

    *count = 0;
    while (*count < DATAGRAMS) {
        struct pollfd ready = {.fd = s->fd, .events = POLLIN};

        if (!datagram_has_more(s) && poll(&ready, 1, WAIT_MS) != 1) {
            break;
        }
        *count += datagram_receive(s, rooms->in_list + *count, DATAGRAMS - *count, &too_long);
        if (too_long > 0) {
            return false;
        }
    }
    return *count == DATAGRAMS;
}

static bool is_right(const struct rooms *rooms)
{
    for (size_t i = 0; i < DATAGRAMS; i++) {
        const struct packet *in = rooms->in_list[i], *out = rooms->out_list[i];

        if (in->length != out->length ||
            memcmp(packet_data(in), packet_data(out), out->length) != 0) {
            return false;
        }
    }
    return true;
}

static bool open_on_loopback(struct datagram_socket *s, struct endpoint *local)
{
    struct endpoint any_port = {.address = address_ipv4(INADDR_LOOPBACK)};
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof(name);
    char why[160];
    bool absent = false;

    return udp_open(s, &any_port, &absent, why, sizeof(why)) &&
           getsockname(s->fd, (struct sockaddr *)&name, &length) == 0 &&
           sockaddr_read(&name, local);
}

enum trial_result { TRIAL_RIGHT, TRIAL_WRONG, TRIAL_IMPOSSIBLE };

static enum trial_result try_one(struct rooms *rooms, bool segments, bool joins)
{
    struct datagram_socket sender = {.fd = -1}, receiver = {.fd = -1};
    struct endpoint from, to;
    enum trial_result result = TRIAL_IMPOSSIBLE;
    size_t count = 0;

    if (open_on_loopback(&sender, &from) && open_on_loopback(&receiver, &to)) {
        sender.segments = sender.segments && segments;
        if (joins) {
            datagram_join(&receiver);
        }
        fill(rooms, &to);
        if (datagram_send(&sender, rooms->out_list, DATAGRAMS) == 0) {
            bool all = receive(&receiver, rooms, &count);

            /* Nothing at all: a packet filter, or an interface that is down. */
            result = all && is_right(rooms) ? TRIAL_RIGHT
                     : count > 0            ? TRIAL_WRONG
                                            : TRIAL_IMPOSSIBLE;
        }
    }
    datagram_close(&sender);
    datagram_close(&receiver);
    return result;
}

void offload_try_udp(struct offload_trial *out)
{
    struct rooms *rooms = calloc(1, sizeof(*rooms));

    *out = (struct offload_trial){.segment = OFFLOAD_IN_USE, .join = OFFLOAD_IN_USE};
    if (rooms == NULL) {
        return;
    }
    /* Singly both ways first: what does not work then proves nothing about pieces. */
    if (try_one(rooms, false, false) == TRIAL_RIGHT) {
        out->was_possible = true;
        out->segment = try_one(rooms, true, false) == TRIAL_RIGHT ? OFFLOAD_IN_USE : OFFLOAD_WRONG;
        out->join = try_one(rooms, out->segment == OFFLOAD_IN_USE, true) == TRIAL_RIGHT
                        ? OFFLOAD_IN_USE
                        : OFFLOAD_WRONG;
    }
    free(rooms);
}
