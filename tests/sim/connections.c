/* Decides what TCP connections between the nodes do: they carry in order, and they break. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/inside.h"
#include "wire/ip.h"

#define ROUND_TRIP_MS 20

static struct connection *connection_between(struct simulation *sim, uint8_t node,
                                             const struct endpoint *local,
                                             const struct endpoint *peer)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = &sim->connections[i];

        if (c->open && endpoint_equal(&c->ends[node], local) &&
            endpoint_equal(&c->ends[1 - node], peer)) {
            return c;
        }
    }
    return NULL;
}

static struct connection *connection_numbered(struct simulation *sim, unsigned number)
{
    struct connection *c = &sim->connections[number % CONNECTIONS_MAX];

    return c->number == number ? c : NULL;
}

void connections_send(struct simulation *sim, uint8_t node, const struct endpoint *local,
                      const struct endpoint *peer, struct slice bytes)
{
    struct connection *c = connection_between(sim, node, local, peer);

    if (c == NULL || c->released || bytes.length > DATAGRAM_BYTES_MAX) {
        return;
    }
    /* What is lost below is sent again by TCP: it comes late, and holds up what follows. */
    uint64_t at_ms = sim->now_ms + sim_delay_ms(sim);

    if (sim_chance(sim, 1000) < sim->loss) {
        at_ms += 200 + sim_chance(sim, 400);
    }
    at_ms = at_ms > c->last_ms[node] ? at_ms : c->last_ms[node];
    c->last_ms[node] = at_ms;
    struct event *event = sim_event(sim, EVENT_DATAGRAM, node, at_ms - sim->now_ms);

    event->protocol = IP_PROTOCOL_UDP; /* so the data plane takes it */
    event->connection = c->number;
    event->from = c->ends[node];
    event->to = c->ends[1 - node];
    event->length = bytes.length;
    event->bytes = malloc(bytes.length + 1);
    if (event->bytes == NULL) {
        abort();
    }
    memcpy(event->bytes, bytes.data, bytes.length);
}

bool connections_carries(const struct simulation *sim, unsigned number)
{
    const struct connection *c = &sim->connections[number % CONNECTIONS_MAX];

    return c->number == number && c->open;
}

void connections_open(struct simulation *sim, uint8_t node, const struct gateway_action *action)
{
    /* Now and then a firewall says nothing at all. */
    if (!sim->calm && sim_chance(sim, 20) == 0) {
        return;
    }
    struct event *event = sim_event(sim, EVENT_TCP_OPENED, node, ROUND_TRIP_MS + sim_delay_ms(sim));

    event->question = action->tcp_open.question;
    event->to = action->tcp_open.peer;
    event->known = sim->calm || sim_chance(sim, 8) != 0;
}

void connections_opened(struct simulation *sim, const struct event *event)
{
    struct node *node = &sim->nodes[event->node];
    const struct node *other = &sim->nodes[1 - event->node];

    if (!event->known || !other->alive || !address_equal(&other->outer, &event->to.address) ||
        event->to.port != 4500) {
        gateway_tcp_opened(node->gateway, event->question, NULL, &event->to, "nobody takes it",
                           sim->now_ms);
        return;
    }
    unsigned number = ++sim->connections_made;
    struct connection *c = &sim->connections[number % CONNECTIONS_MAX];

    *c = (struct connection){.number = number, .opener = event->node, .open = true};
    c->ends[event->node] =
        (struct endpoint){.address = node->outer, .port = (uint16_t)(10000 + number), .tcp = true};
    c->ends[1 - event->node] = event->to;
    gateway_tcp_opened(node->gateway, event->question, &c->ends[event->node], &event->to, NULL,
                       sim->now_ms);
}

static void post_loss(struct simulation *sim, uint8_t node, unsigned number, uint64_t delay_ms)
{
    if (sim->nodes[node].alive) {
        sim_event(sim, EVENT_TCP_LOST, node, delay_ms)->connection = number;
    }
}

void connections_release(struct simulation *sim, uint8_t node, const struct gateway_action *action)
{
    struct connection *c = connection_between(sim, node, &action->tcp.local, &action->tcp.peer);

    if (c == NULL || c->opener != node || c->released) {
        return;
    }
    c->released = true;
    /* The other side hears of it behind all that was sent. */
    uint64_t last_ms = c->last_ms[node] > sim->now_ms ? c->last_ms[node] : sim->now_ms;

    post_loss(sim, 1 - node, c->number, last_ms - sim->now_ms + ROUND_TRIP_MS);
}

void connections_cut(struct simulation *sim, uint8_t node)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *c = &sim->connections[i];

        if (!c->open) {
            continue;
        }
        c->open = false;
        for (uint8_t n = 0; n < NODES; n++) {
            /* Who lost his address knows at once; the other perhaps only when he sends. */
            post_loss(sim, n, c->number, n == node ? 0 : sim_chance(sim, 3000));
        }
    }
}

void connections_lost(struct simulation *sim, const struct event *event)
{
    struct connection *c = connection_numbered(sim, event->connection);

    if (c == NULL) {
        return;
    }
    c->open = false;
    gateway_tcp_lost(sim->nodes[event->node].gateway, &c->ends[event->node],
                     &c->ends[1 - event->node], "connection reset", sim->now_ms);
}
