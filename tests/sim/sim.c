/*
 * The simulator: two whole gateways with their data planes on a bad network, in virtual time, on
 * one thread. One seed decides everything: what is lost, late, doubled, damaged, when a side is
 * killed, when a NAT forgets, how long a key exchange takes. The gateways, the IKEv2 machines and
 * the data planes are the real ones.
 *
 *     sim                        the fixed seeds of the check, until 5,000 handshakes are done
 *     sim --seed N [--verbose]   one run; the same seed is the same run
 *     sim --minutes M            new seeds for M minutes
 *     sim --handshakes N         the fixed seeds until N handshakes are done
 *
 * Held after every event: the doors of both data planes add up; what came out is byte for byte what
 * went in, at most once; nothing leaves in clear. When the faults stop: the site is up on both
 * sides with one IKE SA and one child, and traffic passes both ways.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/random.h"
#include "crypto/protect.h"
#include "gateway/gateway.h"
#include "gateway/status.h"
#include "wire/ip.h"

#define NODES 2
#define EVENTS_MAX 65536
#define DATAGRAM_BYTES_MAX 4096 /* ML-KEM alone makes IKE_SA_INIT long */
#define SERIALS_MAX 65536
#define MARK "sekisho-clear-text-mark"
#define FAULTS_MS 240000u
#define CALM_MS 400000u
#define TRAFFIC_EVERY_MS 100u

enum event_kind {
    EVENT_DATAGRAM,
    EVENT_KEY_EXCHANGE,
    EVENT_RESOLVED,
    EVENT_TRAFFIC,
    EVENT_KILL,
    EVENT_START,
    EVENT_REBIND,
};

struct event {
    uint64_t at_ms;
    uint64_t order; /* equal times leave in the order they came */
    enum event_kind kind;
    uint8_t node;
    unsigned life; /* of the node: what was meant for a killed one is void */
    /* datagram */
    uint8_t protocol;
    bool to_own; /* a translated address: who it is for is looked up at delivery */
    struct endpoint from, to;
    size_t length;
    uint8_t *bytes;
    /* key exchange */
    uint64_t job;
    uint16_t group;
    bool has_pair;
    struct key_pair pair;
    uint16_t peer_public_length;
    uint8_t peer_public[KEY_EXCHANGE_PUBLIC_BYTES_MAX];
    /* resolved */
    uint64_t question;
    bool known;
};

struct node {
    const char *site; /* the peer's name in our configuration */
    struct address outer;
    struct address inner4, inner6;
    bool alive;
    unsigned life;
    struct dataplane *dataplane;
    struct dataplane_worker *worker;
    struct gateway *gateway;
    struct seeded_random seeded;
    struct random_source random;
    bool behind_nat;
    struct address nat_outer;
    uint16_t nat_port[2]; /* for our 500 and 4500 */
    uint64_t delivered;
    uint64_t last_delivered_ms;
    uint64_t handshakes_before; /* of earlier lives */
    size_t routes;
};

struct simulation {
    uint64_t seed;
    bool verbose;
    uint64_t now_ms;
    uint64_t order;
    struct event *heap[EVENTS_MAX];
    size_t heap_count;
    struct seeded_random seeded;
    struct random_source random;
    struct node nodes[NODES];
    /* faults, per mille; zero when calm */
    unsigned loss, doubled, late, damaged;
    bool calm;
    bool by_name; /* peers are host names */
    bool native; /* encapsulate never */
    uint32_t serial;
    struct {
        uint64_t hash;
        uint8_t node;
        bool delivered;
    } sent[SERIALS_MAX];
    uint64_t handshakes;
    uint64_t events;
    uint64_t trace_hash;
    bool failed;
    char failure[512];
};

static void fail(struct simulation *sim, const char *format, ...) PRINTF_LIKE(2, 3);

static void fail(struct simulation *sim, const char *format, ...)
{
    va_list arguments;

    if (sim->failed) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(sim->failure, sizeof(sim->failure), format, arguments);
    va_end(arguments);
    sim->failed = true;
}

static uint32_t chance(struct simulation *sim, uint32_t bound)
{
    return random_below(&sim->random, bound);
}

static uint64_t hash_bytes(uint64_t hash, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

/* ---- events ---- */

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static struct event *event_new(struct simulation *sim, enum event_kind kind, uint8_t node,
                               uint64_t delay_ms)
{
    struct event *event = calloc(1, sizeof(*event));

    if (event == NULL || sim->heap_count == EVENTS_MAX) {
        fprintf(stderr, "sim: seed %" PRIu64 ": too many events wait\n", sim->seed);
        abort();
    }
    event->kind = kind;
    event->node = node;
    event->life = sim->nodes[node].life;
    event->at_ms = sim->now_ms + delay_ms;
    event->order = sim->order++;
    size_t at = sim->heap_count++;

    while (at > 0 && sooner(event, sim->heap[(at - 1) / 2])) {
        sim->heap[at] = sim->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->heap[at] = event;
    return event;
}

static struct event *event_take(struct simulation *sim)
{
    struct event *first = sim->heap[0];
    struct event *last = sim->heap[--sim->heap_count];
    size_t at = 0;

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= sim->heap_count) {
            break;
        }
        if (child + 1 < sim->heap_count && sooner(sim->heap[child + 1], sim->heap[child])) {
            child++;
        }
        if (!sooner(sim->heap[child], last)) {
            break;
        }
        sim->heap[at] = sim->heap[child];
        at = child;
    }
    if (sim->heap_count > 0) {
        sim->heap[at] = last;
    }
    return first;
}

static void event_free(struct event *event)
{
    key_pair_wipe(&event->pair);
    free(event->bytes);
    free(event);
}

/* ---- the network ---- */

static struct endpoint translate_out(const struct node *node, struct endpoint from)
{
    if (!node->behind_nat || !address_equal(&from.address, &node->outer)) {
        return from;
    }
    from.address = node->nat_outer;
    if (from.port != 0) {
        from.port = node->nat_port[from.port == 500 ? 0 : 1];
    }
    return from;
}

/* The node that an address belongs to now; the destination becomes the node's own endpoint. */
static struct node *translate_in(struct simulation *sim, struct endpoint *to)
{
    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &sim->nodes[i];

        if (!node->behind_nat) {
            if (address_equal(&to->address, &node->outer)) {
                return node;
            }
        } else if (address_equal(&to->address, &node->nat_outer)) {
            if (to->port == node->nat_port[0] || to->port == node->nat_port[1]) {
                to->port = to->port == node->nat_port[0] ? 500 : 4500;
                to->address = node->outer;
                return node;
            }
        }
    }
    return NULL;
}

static void network_post(struct simulation *sim, uint8_t from_node, uint8_t protocol,
                         struct endpoint from, const struct endpoint *to, const uint8_t *bytes,
                         size_t length)
{
    unsigned copies = 1;

    if (length > DATAGRAM_BYTES_MAX) {
        fail(sim, "a datagram of %zu octets", length);
        return;
    }
    if (address_is_unset(&from.address)) {
        from.address = sim->nodes[from_node].outer;
    }
    from = translate_out(&sim->nodes[from_node], from);
    if (chance(sim, 1000) < sim->loss) {
        copies = 0;
    } else if (chance(sim, 1000) < sim->doubled) {
        copies = 2;
    }
    for (unsigned i = 0; i < copies; i++) {
        uint64_t delay = 5 + chance(sim, 10);

        if (chance(sim, 1000) < sim->late) {
            delay += chance(sim, chance(sim, 10) == 0 ? 4000 : 150);
        }
        struct event *event = event_new(sim, EVENT_DATAGRAM, from_node, delay);

        event->protocol = protocol;
        event->from = from;
        event->to = *to;
        event->length = length;
        event->bytes = malloc(length == 0 ? 1 : length);
        if (event->bytes == NULL) {
            abort();
        }
        memcpy(event->bytes, bytes, length);
        if (length > 0 && chance(sim, 1000) < sim->damaged) {
            event->bytes[chance(sim, (uint32_t)length)] ^= (uint8_t)(1u << chance(sim, 8));
        }
    }
}

/* ---- a node's turn ---- */

static bool contains_mark(const uint8_t *bytes, size_t length)
{
    size_t mark = sizeof(MARK) - 1;

    for (size_t i = 0; i + mark <= length; i++) {
        if (bytes[i] == (uint8_t)MARK[0] && memcmp(bytes + i, MARK, mark) == 0) {
            return true;
        }
    }
    return false;
}

static void check_delivered(struct simulation *sim, uint8_t index, const struct packet *packet)
{
    struct ip_head head;
    const uint8_t *data = packet_data(packet);

    if (!ip_read(packet_slice(packet), &head) || head.total_bytes != packet->length) {
        fail(sim, "a packet came out that is no packet");
        return;
    }
    if (head.is_fragment) {
        return; /* where the path was found to be narrow, what may be cut comes in pieces */
    }
    if (head.protocol != IP_PROTOCOL_UDP ||
        packet->length < (uint32_t)head.upper_offset + UDP_HEAD_BYTES + 4) {
        return; /* an ICMP error of the data plane to the sender */
    }
    uint32_t serial = get_u32(data + head.upper_offset + UDP_HEAD_BYTES);

    if (serial >= sim->serial || sim->sent[serial % SERIALS_MAX].node == index) {
        fail(sim, "a packet came out that nobody sent");
    } else if (sim->sent[serial % SERIALS_MAX].hash !=
               hash_bytes(14695981039346656037u, data, packet->length)) {
        fail(sim, "packet %" PRIu32 " came out changed", serial);
    } else if (sim->sent[serial % SERIALS_MAX].delivered) {
        fail(sim, "packet %" PRIu32 " came out twice", serial);
    } else {
        sim->sent[serial % SERIALS_MAX].delivered = true;
        sim->nodes[index].delivered++;
        sim->nodes[index].last_delivered_ms = sim->now_ms;
    }
}

static void take_output(struct simulation *sim, uint8_t index, struct dataplane_output *output)
{
    struct node *node = &sim->nodes[index];

    for (size_t i = 0; i < output->to_wire_count; i++) {
        struct packet *packet = output->to_wire[i];

        if (contains_mark(packet_data(packet), packet->length)) {
            fail(sim, "clear text on the wire");
        }
        network_post(sim, index, packet->outer_protocol, packet->local, &packet->peer,
                     packet_data(packet), packet->length);
        dataplane_give_packet(node->worker, packet);
    }
    for (size_t i = 0; i < output->to_tun_count; i++) {
        check_delivered(sim, index, output->to_tun[i]);
        dataplane_give_packet(node->worker, output->to_tun[i]);
    }
    for (size_t i = 0; i < output->to_control_count; i++) {
        struct packet *packet = output->to_control[i];

        gateway_datagram(node->gateway, &packet->local, &packet->peer, packet_slice(packet),
                         sim->now_ms);
        dataplane_give_packet(node->worker, packet);
    }
}

static void take_key_exchange(struct simulation *sim, uint8_t index, struct gateway_action *action)
{
    struct event *event = event_new(sim, EVENT_KEY_EXCHANGE, index,
                                    chance(sim, 4) == 0 ? chance(sim, 300) : chance(sim, 3));

    event->job = action->key_exchange->job;
    event->group = action->key_exchange->group;
    event->has_pair = action->key_exchange->has_pair;
    event->pair = action->key_exchange->pair; /* moved */
    event->peer_public_length = action->key_exchange->peer_public_length;
    memcpy(event->peer_public, action->key_exchange->peer_public, sizeof(event->peer_public));
    free(action->key_exchange);
}

static void give_secret(struct simulation *sim, struct node *node, uint64_t question)
{
    struct secret secret = {.bytes = NULL};

    if (!secret_set(&secret, slice_of_text("a shared key of the simulation"))) {
        abort();
    }
    gateway_secret(node->gateway, question, &secret, NULL, sim->now_ms);
    secret_wipe(&secret);
}

static void take_actions(struct simulation *sim, uint8_t index)
{
    struct node *node = &sim->nodes[index];
    struct gateway_action action;

    while (gateway_next_action(node->gateway, &action)) {
        switch (action.kind) {
        case GATEWAY_SEND:
            network_post(sim, index, IP_PROTOCOL_UDP, action.send.local, &action.send.peer,
                         action.send.bytes.data, action.send.bytes.length);
            break;
        case GATEWAY_KEY_EXCHANGE:
            take_key_exchange(sim, index, &action);
            break;
        case GATEWAY_READ_CERTIFICATES:
            fail(sim, "certificates are asked for, and there are only shared keys");
            break;
        case GATEWAY_PROOF:
            fail(sim, "a signature is asked for, and there are only shared keys");
            ikev2_proof_free(action.proof.work);
            break;
        case GATEWAY_RESOLVE: {
            struct event *event = event_new(sim, EVENT_RESOLVED, index, chance(sim, 200));

            event->question = action.resolve.question;
            event->known = sim->calm || chance(sim, 5) != 0;
            break;
        }
        case GATEWAY_READ_SECRET:
            give_secret(sim, node, action.secret.question);
            break;
        case GATEWAY_ROUTE_ADD:
            node->routes++;
            break;
        case GATEWAY_ROUTE_REMOVE:
            if (node->routes == 0) {
                fail(sim, "a route is removed that was never added");
            } else {
                node->routes--;
            }
            break;
        case GATEWAY_FIND_SOURCE:
            gateway_source(node->gateway, action.source.question, &node->outer, NULL, sim->now_ms);
            break;
        case GATEWAY_SITE_CHANGED:
        case GATEWAY_TCP_OPEN: /* no site says transport */
        case GATEWAY_TCP_KEEP:
        case GATEWAY_TCP_RELEASE:
            break;
        }
    }
}

static void check_doors(struct simulation *sim, const struct node *node)
{
    struct dataplane_doors doors;
    uint64_t out;

    dataplane_get_doors(node->dataplane, &doors);
    out = doors.to_wire + doors.to_tun + doors.to_control + doors.to_clear + doors.to_consumer +
          doors.joined;
    for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
        out += doors.dropped[i];
    }
    if (doors.from_tun + doors.from_wire + doors.made != out) {
        fail(sim, "the doors do not add up: %" PRIu64 " in, %" PRIu64 " out",
             doors.from_tun + doors.from_wire + doors.made, out);
    }
}

static void end_turn(struct simulation *sim, uint8_t index)
{
    struct node *node = &sim->nodes[index];

    gateway_notes(node->gateway, sim->now_ms);
    take_actions(sim, index);
    dataplane_quiet(node->worker);
    dataplane_collect(node->dataplane);
    check_doors(sim, node);
}

/* ---- life of a node ---- */

static bool read_config(void *context, const char *path, struct slice *text, char *why,
                        size_t why_bytes)
{
    (void)path;
    (void)why;
    (void)why_bytes;
    *text = slice_of_text(context);
    return true;
}

static struct config *make_config(struct simulation *sim, uint8_t index)
{
    char text[1024];
    const struct config_loader loader = {.read = read_config, .context = text};
    const struct node *peer = &sim->nodes[1 - index];
    char address[ADDRESS_TEXT_BYTES];

    address_format(peer->behind_nat ? &peer->nat_outer : &peer->outer, address);
    snprintf(text, sizeof(text),
             "gateway node%d.example\n"
             "lan 10.%d.0.0/16 fd0%d::/64\n"
             "site %s {\n  peer %s\n  network 10.%d.0.0/16 fd0%d::/64\n  key @k\n  identity "
             "node%d.example\n"
             "  lifetime ike 100s child 30s\n  dpd 20s\n  encapsulate %s\n%s}\n",
             index, index + 1, index + 1, sim->nodes[index].site,
             peer->behind_nat ? "any"
             : sim->by_name   ? "peer.example"
                              : address,
             2 - index, 2 - index, 1 - index, sim->native ? "never" : "auto",
             sim->seed % 3 == 0 ? "  esp aes256gcm16-x25519-ke1_mlkem768-ke2_ecp256\n" : "");
    struct config_result *result = config_read("sim.conf", &loader);

    if (result->config == NULL) {
        char *diagnostics = config_diagnostics_text(result);

        fprintf(stderr, "sim: the configuration is wrong:\n%s\n", diagnostics);
        abort();
    }
    struct config *config = config_take(result);

    config_result_free(result);
    return config;
}

static void node_start(struct simulation *sim, uint8_t index)
{
    struct node *node = &sim->nodes[index];

    node->random = seeded_random_source(&node->seeded);
    const struct dataplane_settings plane = {
        .sa_max = 256, .policy_max = 64, .random = &node->random};
    struct gateway_settings settings = {.random = &node->random, .ike_sa_max = 64};

    node->dataplane = dataplane_new(&plane);
    node->worker = node->dataplane == NULL ? NULL : dataplane_worker_new(node->dataplane, 0);
    settings.dataplane = node->dataplane;
    node->gateway = node->worker == NULL ? NULL : gateway_new(&settings, sim->now_ms);
    if (node->gateway == NULL) {
        abort();
    }
    node->alive = true;
    node->routes = 0;
    gateway_configure(node->gateway, make_config(sim, index), sim->now_ms);
    end_turn(sim, index);
}

static uint64_t handshakes_of(const struct simulation *sim, const struct node *node)
{
    struct status_gateway status;

    gateway_get_status(node->gateway, sim->now_ms, &status);
    return status.initiated_ok + status.ike_rekeys + status.child_rekeys;
}

static void node_stop(struct simulation *sim, uint8_t index)
{
    struct node *node = &sim->nodes[index];

    if (!node->alive) {
        return;
    }
    node->handshakes_before += handshakes_of(sim, node);
    gateway_free(node->gateway);
    dataplane_worker_free(node->worker);
    dataplane_free(node->dataplane);
    node->gateway = NULL;
    node->worker = NULL;
    node->dataplane = NULL;
    node->alive = false;
    node->life++;
}

/* ---- traffic ---- */

static void send_inner(struct simulation *sim, uint8_t index)
{
    struct node *node = &sim->nodes[index];
    struct packet *packet = dataplane_take_packet(node->worker);
    struct dataplane_output output = {.to_wire_count = 0};
    bool six = chance(sim, 3) == 0;
    uint16_t payload = (uint16_t)(4 + sizeof(MARK) + chance(sim, 1000));
    const struct node *peer = &sim->nodes[1 - index];

    if (packet == NULL) {
        fail(sim, "the pool of packets is empty");
        return;
    }
    struct writer w =
        writer_over(packet_data(packet), packet->capacity - packet->offset - PACKET_TAILROOM_BYTES);

    if (six) {
        ipv6_write(&w,
                   &(struct ipv6_fields){.source = node->inner6,
                                         .destination = peer->inner6,
                                         .hop_limit = 63,
                                         .next_header = IP_PROTOCOL_UDP,
                                         .payload_bytes = (uint16_t)(UDP_HEAD_BYTES + payload)});
    } else {
        ipv4_write(&w,
                   &(struct ipv4_fields){.source = node->inner4,
                                         .destination = peer->inner4,
                                         .ttl = 63,
                                         .protocol = IP_PROTOCOL_UDP,
                                         .id = (uint16_t)sim->serial,
                                         .payload_bytes = (uint16_t)(UDP_HEAD_BYTES + payload)});
    }
    write_u16(&w, 4000);
    write_u16(&w, 5000);
    write_u16(&w, (uint16_t)(UDP_HEAD_BYTES + payload));
    write_u16(&w, 0);
    write_u32(&w, sim->serial);
    write_slice(&w, SLICE_TEXT(MARK));
    write_zeros(&w, payload - 4 - (sizeof(MARK) - 1));
    packet->length = (uint32_t)w.length;
    if (sim->serial >= SERIALS_MAX) {
        abort();
    }
    sim->sent[sim->serial].hash =
        hash_bytes(14695981039346656037u, packet_data(packet), packet->length);
    sim->sent[sim->serial].node = index;
    sim->serial++;
    dataplane_outbound(node->worker, &packet, 1, sim->now_ms, &output);
    take_output(sim, index, &output);
}

static void receive_datagram(struct simulation *sim, struct event *event)
{
    struct dataplane_output output = {.to_wire_count = 0};
    struct node *node = translate_in(sim, &event->to);

    if (node == NULL || !node->alive) {
        return;
    }
    uint8_t index = (uint8_t)(node - sim->nodes);
    struct packet *packet = dataplane_take_packet(node->worker);

    if (packet == NULL || event->length > packet->capacity - packet->offset) {
        fail(sim, "no packet for a datagram");
        return;
    }
    memcpy(packet_data(packet), event->bytes, event->length);
    packet->length = (uint32_t)event->length;
    packet->local = event->to;
    packet->peer = event->from;
    packet->outer_protocol = event->protocol;
    dataplane_inbound(node->worker, &packet, 1, sim->now_ms, &output);
    take_output(sim, index, &output);
    end_turn(sim, index);
}

static void do_key_exchange(struct simulation *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->node];
    struct secret shared = {.bytes = NULL};
    struct slice peer_public = {event->peer_public, event->peer_public_length};
    bool ok = key_exchange_step(event->group, &node->random, event->has_pair, &event->pair,
                                peer_public, &shared);

    gateway_key_exchange_done(node->gateway, event->job, ok, event->has_pair ? NULL : &event->pair,
                              &shared, sim->now_ms);
    secret_wipe(&shared);
    end_turn(sim, event->node);
}

static void rebind(struct simulation *sim, struct node *node)
{
    node->nat_port[0] = (uint16_t)(20000 + chance(sim, 10000));
    node->nat_port[1] = (uint16_t)(30000 + chance(sim, 10000));
}

static void handle(struct simulation *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->node];
    bool for_this_life = node->alive && event->life == node->life;

    switch (event->kind) {
    case EVENT_DATAGRAM:
        receive_datagram(sim, event);
        break;
    case EVENT_KEY_EXCHANGE:
        if (for_this_life) {
            do_key_exchange(sim, event);
        }
        break;
    case EVENT_RESOLVED:
        if (for_this_life) {
            const struct address address = sim->nodes[1 - event->node].outer;

            gateway_resolved(node->gateway, event->question, &address, event->known ? 1 : 0,
                             event->known ? NULL : "the simulation's name server does not answer",
                             sim->now_ms);
            end_turn(sim, event->node);
        }
        break;
    case EVENT_TRAFFIC:
        if (node->alive) {
            send_inner(sim, event->node);
            end_turn(sim, event->node);
        }
        event_new(sim, EVENT_TRAFFIC, event->node, TRAFFIC_EVERY_MS + chance(sim, 20));
        break;
    case EVENT_KILL:
        if (!sim->calm && node->alive) {
            if (sim->verbose) {
                printf("%8.3f  node %u is killed\n", (double)sim->now_ms / 1000, event->node);
            }
            node_stop(sim, event->node);
            event_new(sim, EVENT_START, event->node,
                      50 + chance(sim, chance(sim, 2) == 0 ? 500 : 30000));
        }
        break;
    case EVENT_START:
        if (!node->alive) {
            node_start(sim, event->node);
        }
        break;
    case EVENT_REBIND:
        if (!sim->calm) {
            rebind(sim, node);
            event_new(sim, EVENT_REBIND, event->node, 10000 + chance(sim, 60000));
        }
        break;
    }
}

/* ---- a run ---- */

static uint64_t next_time(const struct simulation *sim)
{
    uint64_t next = sim->heap_count > 0 ? sim->heap[0]->at_ms : NEVER_MS;

    for (size_t i = 0; i < NODES; i++) {
        if (sim->nodes[i].alive) {
            uint64_t deadline = gateway_deadline_ms(sim->nodes[i].gateway);

            next = deadline < next ? deadline : next;
        }
    }
    return next < sim->now_ms ? sim->now_ms : next;
}

static void run_until(struct simulation *sim, uint64_t end_ms)
{
    unsigned still = 0;

    while (!sim->failed) {
        uint64_t next = next_time(sim);

        if (next >= end_ms) {
            sim->now_ms = end_ms;
            return;
        }
        still = next == sim->now_ms ? still + 1 : 0;
        if (still > 100000) {
            fail(sim, "time stands still: a deadline comes again and again");
            return;
        }
        sim->now_ms = next;
        for (uint8_t i = 0; i < NODES; i++) {
            if (sim->nodes[i].alive && gateway_deadline_ms(sim->nodes[i].gateway) <= next) {
                gateway_time(sim->nodes[i].gateway, next);
                end_turn(sim, i);
            }
        }
        if (sim->heap_count > 0 && sim->heap[0]->at_ms <= next) {
            struct event *event = event_take(sim);

            sim->trace_hash =
                hash_bytes(sim->trace_hash, (const uint8_t *)&event->at_ms, sizeof(event->at_ms));
            sim->trace_hash = hash_bytes(sim->trace_hash, event->bytes, event->length);
            handle(sim, event);
            event_free(event);
            sim->events++;
        }
    }
}

static bool is_rekeying(const struct simulation *sim)
{
    for (size_t i = 0; i < NODES && !sim->failed; i++) {
        struct status_site site;

        if (gateway_site_at(sim->nodes[i].gateway, 0, sim->now_ms, &site) &&
            (site.ike_count > 1 || site.child_count > 1)) {
            return true;
        }
    }
    return false;
}

static void check_end(struct simulation *sim)
{
    for (size_t i = 0; i < NODES && !sim->failed; i++) {
        const struct node *node = &sim->nodes[i];
        struct status_site site;

        if (!gateway_site_at(node->gateway, 0, sim->now_ms, &site)) {
            fail(sim, "node %zu has no site", i);
        } else if (site.state != STATUS_UP) {
            fail(sim, "node %zu is %s after the calm: %s", i, status_state_name(site.state),
                 site.sentence);
        } else if (site.ike_count != 1 || site.child_count != 1) {
            fail(sim, "node %zu has %zu IKE SAs and %zu children after the calm", i, site.ike_count,
                 site.child_count);
        } else if (sim->now_ms - node->last_delivered_ms > 5000) {
            fail(sim, "node %zu got no traffic in the last 5 s", i);
        } else if (node->routes != 2) {
            fail(sim, "node %zu has %zu routes, not 2", i, node->routes);
        }
    }
}

static void choose_world(struct simulation *sim)
{
    static const unsigned losses[] = {0, 20, 50, 100, 200, 300};

    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &sim->nodes[i];

        node->site = i == 0 ? "osaka" : "tokyo";
        node->outer = address_ipv4(0xc6336401u + (uint32_t)i);
        node->inner4 = address_ipv4(0x0a010005u + ((uint32_t)i << 16));
        node->inner6 =
            (struct address){.family = FAMILY_IPV6, .bytes = {0xfd, (uint8_t)(i + 1), [15] = 9}};
        seeded_random_init(&node->seeded, random_u64(&sim->random));
    }
    sim->loss = losses[chance(sim, ARRAY_LENGTH(losses))];
    sim->doubled = chance(sim, 2) == 0 ? 0 : 100;
    sim->late = chance(sim, 3) == 0 ? 0 : 300;
    sim->damaged = chance(sim, 2) == 0 ? 0 : 20;
    sim->by_name = chance(sim, 3) == 0;
    sim->native = chance(sim, 4) == 0;
    if (!sim->native && chance(sim, 2) == 0) {
        sim->nodes[0].behind_nat = true;
        sim->nodes[0].nat_outer = address_ipv4(0xcb007163u);
        rebind(sim, &sim->nodes[0]);
        event_new(sim, EVENT_REBIND, 0, 20000 + chance(sim, 60000));
    }
    for (unsigned kills = chance(sim, 4); kills > 0; kills--) {
        event_new(sim, EVENT_KILL, (uint8_t)chance(sim, NODES), 1 + chance(sim, FAULTS_MS));
    }
}

static uint64_t run_seed(uint64_t seed, bool verbose, uint64_t *trace_hash, bool *failed)
{
    struct simulation *sim = calloc(1, sizeof(*sim));

    if (sim == NULL) {
        abort();
    }
    sim->seed = seed;
    sim->verbose = verbose;
    sim->now_ms = 1000;
    sim->trace_hash = 14695981039346656037u;
    seeded_random_init(&sim->seeded, seed);
    sim->random = seeded_random_source(&sim->seeded);
    choose_world(sim);
    for (uint8_t i = 0; i < NODES; i++) {
        event_new(sim, EVENT_START, i, chance(sim, 3000));
        event_new(sim, EVENT_TRAFFIC, i, chance(sim, 100));
    }
    run_until(sim, FAULTS_MS);
    sim->calm = true;
    sim->loss = sim->doubled = sim->late = sim->damaged = 0;
    run_until(sim, FAULTS_MS + CALM_MS);
    /* A rekeying that is under way just now shows two children for a moment. */
    for (unsigned second = 1; second <= 10 && is_rekeying(sim); second++) {
        run_until(sim, FAULTS_MS + CALM_MS + second * 1000);
    }
    if (!sim->failed) {
        check_end(sim);
    }
    for (uint8_t i = 0; i < NODES; i++) {
        node_stop(sim, i);
        sim->handshakes += sim->nodes[i].handshakes_before;
    }
    if (verbose || sim->failed) {
        printf("seed %" PRIu64
               ": loss %u, doubled %u, late %u, damaged %u per mille%s%s%s; %" PRIu64
               " events, %" PRIu64 " handshakes, %" PRIu64 " and %" PRIu64 " packets delivered\n",
               seed, sim->loss, sim->doubled, sim->late, sim->damaged,
               sim->nodes[0].behind_nat ? ", NAT" : "", sim->native ? ", native ESP" : "",
               sim->by_name ? ", by name" : "", sim->events, sim->handshakes,
               sim->nodes[0].delivered, sim->nodes[1].delivered);
    }
    if (sim->failed) {
        printf("FAIL at %.3f s: %s\n     again: sim --seed %" PRIu64 " --verbose\n",
               (double)sim->now_ms / 1000, sim->failure, seed);
    }
    while (sim->heap_count > 0) {
        event_free(event_take(sim));
    }
    uint64_t handshakes = sim->handshakes;

    *trace_hash = sim->trace_hash;
    *failed = sim->failed;
    free(sim);
    return handshakes;
}

static int run_fixed(uint64_t wanted)
{
    uint64_t handshakes = 0;
    uint64_t seed = 0;
    unsigned failures = 0;
    uint64_t first_hash = 0;
    uint64_t hash;
    bool failed;

    while (handshakes < wanted && failures < 5) {
        handshakes += run_seed(++seed, false, &hash, &failed);
        first_hash = seed == 1 ? hash : first_hash;
        failures += failed;
    }
    (void)run_seed(1, false, &hash, &failed);
    printf("%s the same seed is the same run\n", hash == first_hash ? "ok" : "FAIL");
    printf("%s %" PRIu64 " handshakes and rekeys in %" PRIu64 " runs, %u failed\n",
           failures == 0 ? "ok" : "FAIL", handshakes, seed, failures);
    return failures == 0 && hash == first_hash ? 0 : 1;
}

static int run_minutes(double minutes)
{
    uint64_t seed = (uint64_t)time(NULL) * 1000;
    time_t end = time(NULL) + (time_t)(minutes * 60);
    uint64_t handshakes = 0;
    uint64_t runs = 0;
    unsigned failures = 0;

    while (time(NULL) < end) {
        uint64_t hash;
        bool failed;

        handshakes += run_seed(seed++, false, &hash, &failed);
        failures += failed;
        runs++;
    }
    printf("%s %" PRIu64 " handshakes and rekeys in %" PRIu64 " runs, %u failed\n",
           failures == 0 ? "ok" : "FAIL", handshakes, runs, failures);
    return failures == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    bool verbose = false;
    const char *seed = NULL;
    const char *minutes = NULL;
    uint64_t handshakes = 5000;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed = argv[++i];
        } else if (strcmp(argv[i], "--minutes") == 0 && i + 1 < argc) {
            minutes = argv[++i];
        } else if (strcmp(argv[i], "--handshakes") == 0 && i + 1 < argc) {
            handshakes = strtoull(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: sim [--seed N [--verbose] | --minutes M | --handshakes N]\n");
            return 2;
        }
    }
    if (!protect_start(PROTECT_AUTOMATIC)) {
        fprintf(stderr, "sim: no crypto\n");
        return 1;
    }
    if (seed != NULL) {
        uint64_t hash;
        bool failed;

        (void)run_seed(strtoull(seed, NULL, 10), verbose, &hash, &failed);
        return failed ? 1 : 0;
    }
    return minutes != NULL ? run_minutes(strtod(minutes, NULL)) : run_fixed(handshakes);
}
