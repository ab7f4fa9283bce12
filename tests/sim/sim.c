/*
 * The simulator: two whole gateways with their data planes on a bad network, in virtual time, on
 * one thread. One seed decides everything: what is lost, late, doubled, damaged, when a side is
 * killed, when a NAT forgets, how long a key exchange takes. The gateways, the machines of IKEv2
 * and of IKEv1 and the data planes are the real ones.
 *
 *     sim                        fixed seeds until 20,000 handshakes are done, then the dooms
 *     sim --handshakes N         another number
 *     sim --part K/N             one part of N of all that: the check has as many as processors
 *     sim --stride N             every Nth doom only
 *     sim --seed N [--verbose]   one run; the same seed is the same run
 *     sim --doom W.N.K.M         one run with a doom, as a failure prints it
 *     sim --minutes M            new seeds for M minutes
 *     sim --old ...              the same with sites that speak IKEv1
 *
 * A doom: no other fault than that one side is killed and begun anew at its Mth message, or at its
 * Mth question, which then is never answered (a key exchange, a signature, files, a name, a route,
 * a connection). Every one of them in turn, for both sides, in each world.
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
#include "crypto/protect.h"
#include "gateway/status.h"
#include "tests/sim/inside.h"
#include "wire/ip.h"

#define MARK "sekisho-clear-text-mark"
#define FAULTS_MS 240000u
#define CALM_MS 400000u
#define TRAFFIC_EVERY_MS 250u
/* Of a run in which a node is killed at a certain moment. */
#define DOOMED_MS 45000u
#define DOOMED_CALM_MS 90000u
#define EARLY_MAX 64 /* packets that wait for their SA */

void sim_fail(struct simulation *sim, const char *format, ...)
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

uint32_t sim_chance(struct simulation *sim, uint32_t bound)
{
    return random_below(&sim->random, bound);
}

/* Eight octets at a time: it is done to every packet several times. */
static uint64_t hash_bytes(uint64_t hash, const uint8_t *bytes, size_t length)
{
    size_t i = 0;

    for (; i + 8 <= length; i += 8) {
        uint64_t word;

        memcpy(&word, bytes + i, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    for (; i < length; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

/* ---- events ---- */

static bool sooner(const struct event *a, const struct event *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void event_put(struct simulation *sim, struct event *event);

struct event *sim_event(struct simulation *sim, enum event_kind kind, uint8_t node,
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
    event_put(sim, event);
    return event;
}

static void event_put(struct simulation *sim, struct event *event)
{
    size_t at = sim->heap_count++;

    event->order = sim->order++;
    while (at > 0 && sooner(event, sim->heap[(at - 1) / 2])) {
        sim->heap[at] = sim->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim->heap[at] = event;
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
    if (event->key_exchange != NULL) {
        key_pair_wipe(&event->key_exchange->pair);
        free(event->key_exchange);
    }
    ikev2_proof_free(event->proof);
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

uint64_t sim_delay_ms(struct simulation *sim)
{
    uint64_t delay = 5 + sim_chance(sim, 10);

    if (sim_chance(sim, 1000) < sim->late) {
        delay += sim_chance(sim, sim_chance(sim, 10) == 0 ? 4000 : 150);
    }
    return delay;
}

/* Nothing leaves from an address that is not there any more, and UDP may be blocked. */
static bool is_sent(const struct simulation *sim, uint8_t node, const struct endpoint *from)
{
    return !sim->world.udp_is_blocked && address_equal(&from->address, &sim->nodes[node].outer);
}

static void network_post(struct simulation *sim, uint8_t from_node, uint8_t protocol,
                         struct endpoint from, const struct endpoint *to, const uint8_t *bytes,
                         size_t length)
{
    unsigned copies = 1;

    if (length > DATAGRAM_BYTES_MAX) {
        sim_fail(sim, "a datagram of %zu octets", length);
        return;
    }
    if (address_is_unset(&from.address)) {
        from.address = sim->nodes[from_node].outer;
    }
    if (from.tcp) {
        connections_send(sim, from_node, &from, to, (struct slice){bytes, length});
        return;
    }
    if (!is_sent(sim, from_node, &from)) {
        return;
    }
    from = translate_out(&sim->nodes[from_node], from);
    if (sim_chance(sim, 1000) < sim->loss) {
        copies = 0;
    } else if (sim_chance(sim, 1000) < sim->doubled) {
        copies = 2;
    }
    for (unsigned i = 0; i < copies; i++) {
        struct event *event = sim_event(sim, EVENT_DATAGRAM, from_node, sim_delay_ms(sim));

        event->protocol = protocol;
        event->from = from;
        event->to = *to;
        event->length = length;
        event->bytes = malloc(length == 0 ? 1 : length);
        if (event->bytes == NULL) {
            abort();
        }
        memcpy(event->bytes, bytes, length);
        if (length > 0 && sim_chance(sim, 1000) < sim->damaged) {
            event->bytes[sim_chance(sim, (uint32_t)length)] ^= (uint8_t)(1u << sim_chance(sim, 8));
        }
    }
}

/* ---- a node's turn ---- */

static bool contains_mark(const uint8_t *bytes, size_t length)
{
    const size_t mark = sizeof(MARK) - 1;
    const uint8_t *end = bytes + length;
    const uint8_t *at = bytes;

    while (at < end && (at = memchr(at, MARK[0], (size_t)(end - at))) != NULL) {
        if ((size_t)(end - at) >= mark && memcmp(at, MARK, mark) == 0) {
            return true;
        }
        at++;
    }
    return false;
}

static void check_delivered(struct simulation *sim, uint8_t index, const struct packet *packet)
{
    struct ip_head head;
    const uint8_t *data = packet_data(packet);

    if (!ip_read(packet_slice(packet), &head) || head.total_bytes != packet->length) {
        sim_fail(sim, "a packet came out that is no packet");
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
        sim_fail(sim, "a packet came out that nobody sent");
    } else if (sim->sent[serial % SERIALS_MAX].hash !=
               hash_bytes(14695981039346656037u, data, packet->length)) {
        sim_fail(sim, "packet %" PRIu32 " came out changed", serial);
    } else if (sim->sent[serial % SERIALS_MAX].delivered) {
        sim_fail(sim, "packet %" PRIu32 " came out twice", serial);
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
            sim_fail(sim, "clear text on the wire");
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
    struct event *event =
        sim_event(sim, EVENT_KEY_EXCHANGE, index,
                  sim_chance(sim, 4) == 0 ? sim_chance(sim, 300) : sim_chance(sim, 3));

    struct key_exchange_job *work = calloc(1, sizeof(*work));

    if (work == NULL) {
        abort();
    }
    work->job = action->key_exchange->job;
    work->group = action->key_exchange->group;
    work->has_pair = action->key_exchange->has_pair;
    work->pair = action->key_exchange->pair; /* moved */
    work->peer_public_length = action->key_exchange->peer_public_length;
    memcpy(work->peer_public, action->key_exchange->peer_public, sizeof(work->peer_public));
    event->key_exchange = work;
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

/* Whether this is the moment. */
static bool is_doomed(struct simulation *sim, uint8_t index, bool question)
{
    struct doom *doom = &sim->doom;

    if (doom->wanted && !doom->done && !sim->calm && doom->node == index &&
        doom->by_question == question && ++doom->seen == doom->at) {
        doom->now = doom->done = true;
    }
    return doom->now && doom->node == index;
}

static bool is_question(enum gateway_action_kind kind)
{
    switch (kind) {
    case GATEWAY_KEY_EXCHANGE:
    case GATEWAY_PROOF:
    case GATEWAY_RESOLVE:
    case GATEWAY_READ_SECRET:
    case GATEWAY_READ_CERTIFICATES:
    case GATEWAY_FIND_SOURCE:
    case GATEWAY_TCP_OPEN:
    case GATEWAY_LOGIN:
        return true;
    case GATEWAY_SEND:
    case GATEWAY_SESSION:
    case GATEWAY_ADDRESS_ADD:
    case GATEWAY_ADDRESS_REMOVE:
    case GATEWAY_ROUTE_ADD:
    case GATEWAY_ROUTE_REMOVE:
    case GATEWAY_SITE_CHANGED:
    case GATEWAY_TCP_KEEP:
    case GATEWAY_TCP_RELEASE:
        return false;
    }
    return false;
}

/* Of one that dies before it is answered. */
static void forget_question(struct gateway_action *action)
{
    if (action->kind == GATEWAY_KEY_EXCHANGE) {
        key_pair_wipe(&action->key_exchange->pair);
        free(action->key_exchange);
    } else if (action->kind == GATEWAY_PROOF) {
        ikev2_proof_free(action->proof.work);
    }
}

static void take_actions(struct simulation *sim, uint8_t index)
{
    struct node *node = &sim->nodes[index];
    struct gateway_action action;

    while (gateway_next_action(node->gateway, &action)) {
        if (is_question(action.kind) && is_doomed(sim, index, true)) {
            forget_question(&action);
            continue;
        }
        switch (action.kind) {
        case GATEWAY_SEND:
            if (action.send.bytes.length > 1) {
                (void)is_doomed(sim, index, false);
            }
            network_post(sim, index, IP_PROTOCOL_UDP, action.send.local, &action.send.peer,
                         action.send.bytes.data, action.send.bytes.length);
            break;
        case GATEWAY_KEY_EXCHANGE:
            take_key_exchange(sim, index, &action);
            break;
        case GATEWAY_READ_CERTIFICATES:
            proofs_read(sim, index, action.certificates.question);
            break;
        case GATEWAY_PROOF:
            proofs_ask(sim, index, action.proof.work);
            break;
        case GATEWAY_RESOLVE: {
            struct event *event = sim_event(sim, EVENT_RESOLVED, index, sim_chance(sim, 200));

            event->question = action.resolve.question;
            event->known = sim->calm || sim_chance(sim, 5) != 0;
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
                sim_fail(sim, "a route is removed that was never added");
            } else {
                node->routes--;
            }
            break;
        case GATEWAY_FIND_SOURCE:
            gateway_source(node->gateway, action.source.question, &node->outer, NULL, sim->now_ms);
            break;
        case GATEWAY_TCP_OPEN:
            connections_open(sim, index, &action);
            break;
        case GATEWAY_TCP_RELEASE:
            connections_release(sim, index, &action);
            break;
        case GATEWAY_LOGIN: /* no site of it is for people */
        case GATEWAY_SESSION:
        case GATEWAY_ADDRESS_ADD:
        case GATEWAY_ADDRESS_REMOVE:
        case GATEWAY_SITE_CHANGED:
        case GATEWAY_TCP_KEEP:
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
    uint64_t in = doors.from_tun + doors.from_wire + doors.made;

    /* What came before its SA waits in no door. */
    if (in != out && (in < out || in - out > EARLY_MAX ||
                      dataplane_due_us(node->worker, sim->now_ms * 1000) == NEVER_US)) {
        sim_fail(sim, "the doors do not add up: %" PRIu64 " in, %" PRIu64 " out",
                 doors.from_tun + doors.from_wire + doors.made, out);
    }
}

static void node_stop(struct simulation *sim, uint8_t index);

void sim_end_turn(struct simulation *sim, uint8_t index)
{
    struct node *node = &sim->nodes[index];

    gateway_notes(node->gateway, sim->now_ms);
    take_actions(sim, index);
    if (dataplane_due_us(node->worker, sim->now_ms * 1000) != NEVER_US) {
        static struct dataplane_output output; /* large */

        dataplane_tick(node->worker, sim->now_ms * 1000, &output);
        take_output(sim, index, &output);
    }
    dataplane_quiet(node->worker);
    dataplane_collect(node->dataplane);
    check_doors(sim, node);
    if (sim->doom.now) {
        sim->doom.now = false;
        if (sim->verbose) {
            printf("%8.3f  node %u dies\n", (double)sim->now_ms / 1000, index);
        }
        node_stop(sim, index);
        sim_event(sim, EVENT_START, index, 100 + sim_chance(sim, 2000));
    }
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

/* How the node at `index` calls the other one. */
static void write_peer(const struct simulation *sim, uint8_t index, struct text *text)
{
    const struct world *world = &sim->world;
    const struct node *peer = &sim->nodes[1 - index];
    char address[ADDRESS_TEXT_BYTES];

    address_format(&peer->outer, address);
    text_addf(text, "  peer %s\n",
              peer->behind_nat                 ? "any"
              : world->by_name || world->moves ? "peer.example"
                                               : address);
    if (world->tcp && index == 1) {
        text_addf(text, "  start wait\n");
    } else if (world->tcp) {
        text_addf(text, "  transport %s\n", world->udp_is_blocked ? "auto" : "tcp");
    }
}

static void write_config(const struct simulation *sim, uint8_t index, struct text *text)
{
    const struct world *world = &sim->world;

    text_addf(text, "gateway node%d.example\n%slan 10.%d.0.0/16 fd0%d::/64\nsite %s {\n", index,
              world->tcp ? "tcp-port 4500\n" : "", index + 1, index + 1, sim->nodes[index].site);
    write_peer(sim, index, text);
    text_addf(text, "  network 10.%d.0.0/16 fd0%d::/64\n%s  identity node%d.example\n", 2 - index,
              2 - index, world->certificates ? "" : "  key @k\n", 1 - index);
    text_addf(text, "%s  dpd 20s\n%s",
              world->old ? OLD_LIFETIMES : "  lifetime ike 60s child 20s\n",
              world->native ? "  encapsulate never\n" : "");
    old_write_config(world, text);
    text_addf(text, "%s%s%s", world->resumes ? "  resume 1h\n" : "",
              world->reauthenticates ? "  reauthenticate 1m\n" : "",
              world->follows ? "  esp aes256gcm16-x25519-ke1_mlkem768-ke2_ecp256\n" : "");
    text_addf(text, "}\n");
}

static struct config *make_config(struct simulation *sim, uint8_t index)
{
    char words[1024];
    struct text text = text_over(words, sizeof(words));
    const struct config_loader loader = {.read = read_config, .context = words};

    write_config(sim, index, &text);
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

static void print_line(void *context, enum log_level level, const char *about, const char *line)
{
    const struct node *node = context;

    (void)level;
    printf("%8.3f  node %d: %s: %s\n", (double)node->sim->now_ms / 1000,
           (int)(node - node->sim->nodes), about, line);
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
    node->log = (struct log_sink){.write = sim->verbose ? print_line : NULL, .context = node};
    settings.log = &node->log;
    if (node->keeps_ticket_key && node->has_ticket_key) {
        settings.ticket_key = SLICE_OF(node->ticket_key);
    }
    node->gateway = node->worker == NULL ? NULL : gateway_new(&settings, sim->now_ms);
    if (node->gateway == NULL) {
        abort();
    }
    node->alive = true;
    node->asleep_until_ms = 0;
    node->routes = 0;
    gateway_configure(node->gateway, make_config(sim, index), sim->now_ms);
    sim_end_turn(sim, index);
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
    gateway_ticket_key(node->gateway, node->ticket_key);
    node->has_ticket_key = true;
    gateway_free(node->gateway);
    dataplane_worker_free(node->worker);
    dataplane_free(node->dataplane);
    node->gateway = NULL;
    node->worker = NULL;
    node->dataplane = NULL;
    node->alive = false;
    node->life++;
    connections_cut(sim, index);
}

/* ---- traffic ---- */

static void send_inner(struct simulation *sim, uint8_t index)
{
    struct node *node = &sim->nodes[index];
    struct packet *packet = dataplane_take_packet(node->worker);
    static struct dataplane_output output; /* large */
    bool six = sim_chance(sim, 3) == 0;
    uint16_t payload =
        (uint16_t)(4 + sizeof(MARK) + sim_chance(sim, sim_chance(sim, 8) == 0 ? 1000 : 60));
    const struct node *peer = &sim->nodes[1 - index];

    if (packet == NULL) {
        sim_fail(sim, "the pool of packets is empty");
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
    static struct dataplane_output output; /* large */
    struct node *node =
        event->connection == 0 ? translate_in(sim, &event->to) : &sim->nodes[1 - event->node];

    if (node == NULL || !node->alive || node->asleep_until_ms > sim->now_ms ||
        (event->connection != 0 && !connections_carries(sim, event->connection))) {
        return;
    }
    uint8_t index = (uint8_t)(node - sim->nodes);
    struct packet *packet = dataplane_take_packet(node->worker);

    if (packet == NULL || event->length > packet->capacity - packet->offset) {
        sim_fail(sim, "no packet for a datagram");
        return;
    }
    memcpy(packet_data(packet), event->bytes, event->length);
    packet->length = (uint32_t)event->length;
    packet->local = event->to;
    packet->peer = event->from;
    packet->outer_protocol = event->protocol;
    dataplane_inbound(node->worker, &packet, 1, sim->now_ms, &output);
    take_output(sim, index, &output);
    sim_end_turn(sim, index);
}

static void do_key_exchange(struct simulation *sim, struct event *event)
{
    struct node *node = &sim->nodes[event->node];
    struct secret shared = {.bytes = NULL};
    struct key_exchange_job *work = event->key_exchange;
    struct slice peer_public = {work->peer_public, work->peer_public_length};
    bool ok = key_exchange_step(work->group, &node->random, work->has_pair, &work->pair,
                                peer_public, &shared);

    gateway_key_exchange_done(node->gateway, work->job, ok, work->has_pair ? NULL : &work->pair,
                              &shared, sim->now_ms);
    secret_wipe(&shared);
    sim_end_turn(sim, event->node);
}

static void rebind(struct simulation *sim, struct node *node)
{
    node->nat_port[0] = (uint16_t)(20000 + sim_chance(sim, 10000));
    node->nat_port[1] = (uint16_t)(30000 + sim_chance(sim, 10000));
}

/* Another address of its own; where a NAT is, behind it. */
static void move(struct simulation *sim, uint8_t index)
{
    struct node *node = &sim->nodes[index];

    node->outer = address_ipv4(0xc6336401u + index + 16u * (1 + sim_chance(sim, 4)));
    if (sim->verbose) {
        printf("%8.3f  node %u has another address\n", (double)sim->now_ms / 1000, index);
    }
    connections_cut(sim, index);
    if (node->alive) {
        gateway_addresses_changed(node->gateway, sim->now_ms);
        sim_end_turn(sim, index);
    }
}

/* What only a node that still lives hears. */
static void handle_answer(struct simulation *sim, struct event *event)
{
    switch (event->kind) {
    case EVENT_KEY_EXCHANGE:
        do_key_exchange(sim, event);
        return;
    case EVENT_PROOF:
        proofs_answer(sim, event);
        break;
    case EVENT_CERTIFICATES:
        proofs_certificates(sim, event);
        break;
    case EVENT_RESOLVED: {
        const struct address address = sim->nodes[1 - event->node].outer;

        gateway_resolved(
            sim->nodes[event->node].gateway, event->question, &address, event->known ? 1 : 0,
            event->known ? NULL : "the simulation's name server does not answer", sim->now_ms);
        break;
    }
    case EVENT_TCP_OPENED:
        connections_opened(sim, event);
        break;
    case EVENT_TCP_LOST:
        connections_lost(sim, event);
        break;
    case EVENT_DATAGRAM:
    case EVENT_TRAFFIC:
    case EVENT_KILL:
    case EVENT_START:
    case EVENT_REBIND:
    case EVENT_MOVE:
    case EVENT_TCP_CUT:
    case EVENT_ORDER:
    case EVENT_SLEEP:
        return;
    }
    sim_end_turn(sim, event->node);
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
    case EVENT_PROOF:
    case EVENT_CERTIFICATES:
    case EVENT_RESOLVED:
    case EVENT_TCP_OPENED:
    case EVENT_TCP_LOST:
        if (for_this_life) {
            handle_answer(sim, event);
        }
        break;
    case EVENT_TRAFFIC:
        if (node->alive) {
            send_inner(sim, event->node);
            sim_end_turn(sim, event->node);
        }
        sim_event(sim, EVENT_TRAFFIC, event->node,
                  (sim->calm ? 2 : 1) * TRAFFIC_EVERY_MS + sim_chance(sim, 20));
        break;
    case EVENT_KILL:
        if (!sim->calm && node->alive) {
            if (sim->verbose) {
                printf("%8.3f  node %u is killed\n", (double)sim->now_ms / 1000, event->node);
            }
            node_stop(sim, event->node);
            sim_event(sim, EVENT_START, event->node,
                      50 + sim_chance(sim, sim_chance(sim, 2) == 0 ? 500 : 30000));
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
            sim_event(sim, EVENT_REBIND, event->node, 10000 + sim_chance(sim, 60000));
        }
        break;
    case EVENT_MOVE:
        if (!sim->calm) {
            move(sim, event->node);
        }
        break;
    case EVENT_TCP_CUT:
        if (!sim->calm) {
            connections_cut(sim, NODES);
            sim_event(sim, EVENT_TCP_CUT, 0, 1000 + sim_chance(sim, 60000));
        }
        break;
    case EVENT_ORDER:
        if (!sim->calm) {
            old_order(sim);
            sim_event(sim, EVENT_ORDER, 0, 1000 + sim_chance(sim, 40000));
        }
        break;
    case EVENT_SLEEP:
        if (!sim->calm) {
            node->asleep_until_ms = sim->now_ms + 1 + sim_chance(sim, 90000);
        }
        break;
    }
}

/* ---- a run ---- */

static uint64_t node_deadline_ms(const struct node *node)
{
    uint64_t deadline = gateway_deadline_ms(node->gateway);

    return deadline < node->asleep_until_ms ? node->asleep_until_ms : deadline;
}

static uint64_t next_time(const struct simulation *sim)
{
    uint64_t next = sim->heap_count > 0 ? sim->heap[0]->at_ms : NEVER_MS;

    for (size_t i = 0; i < NODES; i++) {
        if (sim->nodes[i].alive) {
            uint64_t deadline = node_deadline_ms(&sim->nodes[i]);

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
            sim_fail(sim, "time stands still: a deadline comes again and again");
            return;
        }
        sim->now_ms = next;
        for (uint8_t i = 0; i < NODES; i++) {
            if (sim->nodes[i].alive && node_deadline_ms(&sim->nodes[i]) <= next) {
                gateway_time(sim->nodes[i].gateway, next);
                sim_end_turn(sim, i);
            }
        }
        if (sim->heap_count > 0 && sim->heap[0]->at_ms <= next) {
            struct event *event = event_take(sim);

            sim->trace_hash =
                hash_bytes(sim->trace_hash, (const uint8_t *)&event->at_ms, sizeof(event->at_ms));
            sim->trace_hash = hash_bytes(sim->trace_hash, event->bytes, event->length);
            sim->events++;
            if (old_sleeps(sim, event)) {
                event->at_ms = sim->nodes[event->node].asleep_until_ms;
                event_put(sim, event);
                continue;
            }
            handle(sim, event);
            event_free(event);
        }
    }
}

static size_t expected_children(const struct simulation *sim)
{
    return sim->world.old ? OLD_CHILDREN : 1;
}

static bool is_rekeying(const struct simulation *sim)
{
    for (size_t i = 0; i < NODES && !sim->failed; i++) {
        struct status_site site;

        if (gateway_site_at(sim->nodes[i].gateway, 0, sim->now_ms, &site) &&
            (site.ike_count > 1 || site.child_count > expected_children(sim))) {
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
            sim_fail(sim, "node %zu has no site", i);
        } else if (site.state != STATUS_UP) {
            sim_fail(sim, "node %zu is %s after the calm: %s", i, status_state_name(site.state),
                     site.sentence);
        } else if (site.ike_count != 1 || site.child_count != expected_children(sim)) {
            sim_fail(sim, "node %zu has %zu IKE SAs and %zu children after the calm", i,
                     site.ike_count, site.child_count);
        } else if (sim->now_ms - node->last_delivered_ms > 5000) {
            sim_fail(sim, "node %zu got no traffic in the last 5 s", i);
        } else if (node->routes != 2) {
            sim_fail(sim, "node %zu has %zu routes, not 2", i, node->routes);
        }
    }
}

static void make_nodes(struct simulation *sim)
{
    for (size_t i = 0; i < NODES; i++) {
        struct node *node = &sim->nodes[i];

        node->sim = sim;
        node->site = i == 0 ? "osaka" : "tokyo";
        node->outer = address_ipv4(0xc6336401u + (uint32_t)i);
        node->inner4 = address_ipv4(0x0a010005u + ((uint32_t)i << 16));
        node->inner6 =
            (struct address){.family = FAMILY_IPV6, .bytes = {0xfd, (uint8_t)(i + 1), [15] = 9}};
        seeded_random_init(&node->seeded, random_u64(&sim->random));
    }
}

static void choose_faults(struct simulation *sim)
{
    static const unsigned losses[] = {0, 20, 50, 100, 200, 300};

    sim->loss = losses[sim_chance(sim, ARRAY_LENGTH(losses))];
    sim->doubled = sim_chance(sim, 2) == 0 ? 0 : 100;
    sim->late = sim_chance(sim, 3) == 0 ? 0 : 300;
    sim->damaged = sim_chance(sim, 2) == 0 ? 0 : 20;
    for (unsigned kills = sim_chance(sim, 4); kills > 0; kills--) {
        sim_event(sim, EVENT_KILL, (uint8_t)sim_chance(sim, NODES), 1 + sim_chance(sim, FAULTS_MS));
    }
    if (sim->nodes[0].behind_nat) {
        sim_event(sim, EVENT_REBIND, 0, 20000 + sim_chance(sim, 60000));
    }
    for (uint32_t i = sim->world.moves ? 1 + sim_chance(sim, 5) : 0; i > 0; i--) {
        uint8_t node = !sim->nodes[0].behind_nat && sim_chance(sim, 3) == 0;

        sim_event(sim, EVENT_MOVE, node, 1 + sim_chance(sim, FAULTS_MS));
    }
    if (sim->world.tcp) {
        sim_event(sim, EVENT_TCP_CUT, 0, 1000 + sim_chance(sim, 60000));
    }
}

void sim_stand_behind_nat(struct simulation *sim)
{
    sim->nodes[0].behind_nat = true;
    sim->nodes[0].nat_outer = address_ipv4(0xcb007163u);
    rebind(sim, &sim->nodes[0]);
}

static void choose_world(struct simulation *sim)
{
    struct world *world = &sim->world;

    world->by_name = sim_chance(sim, 3) == 0;
    world->native = sim_chance(sim, 4) == 0;
    if (!world->native && sim_chance(sim, 2) == 0) {
        sim_stand_behind_nat(sim);
    } else if (!world->native && sim_chance(sim, 2) == 0) {
        world->tcp = true;
        world->udp_is_blocked = sim_chance(sim, 2) == 0;
    }
    world->moves = sim_chance(sim, 3) == 0;
    world->certificates = sim_chance(sim, 4) == 0;
    world->resumes = sim_chance(sim, 3) == 0;
    world->reauthenticates = sim_chance(sim, 5) == 0;
    world->follows = sim_chance(sim, 3) == 0;
    for (size_t i = 0; i < NODES; i++) {
        sim->nodes[i].keeps_ticket_key = sim_chance(sim, 2) == 0;
    }
}

static struct simulation *simulation_new(uint64_t seed, bool verbose)
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
    make_nodes(sim);
    return sim;
}

static void simulation_free(struct simulation *sim)
{
    while (sim->heap_count > 0) {
        event_free(event_take(sim));
    }
    free(sim);
}

/* Both start, live with the faults so long, then so long without, and then all must be well. */
static void live(struct simulation *sim, uint32_t faults_ms, uint32_t calm_ms)
{
    for (uint8_t i = 0; i < NODES; i++) {
        sim_event(sim, EVENT_START, i, sim_chance(sim, 3000));
        sim_event(sim, EVENT_TRAFFIC, i, sim_chance(sim, 100));
    }
    run_until(sim, faults_ms);
    sim->calm = true;
    sim->loss = sim->doubled = sim->late = sim->damaged = 0;
    run_until(sim, faults_ms + calm_ms);
    /* A rekeying that is under way just now shows two children for a moment. */
    for (unsigned second = 1; second <= (sim->world.old ? OLD_SETTLES_S : 10) && is_rekeying(sim);
         second++) {
        run_until(sim, faults_ms + calm_ms + second * 1000);
    }
    if (!sim->failed) {
        check_end(sim);
    }
    for (uint8_t i = 0; i < NODES; i++) {
        node_stop(sim, i);
        sim->handshakes += sim->nodes[i].handshakes_before;
    }
}

static void print_world(const struct simulation *sim)
{
    const struct world *world = &sim->world;

    printf("%s%s%s%s%s%s%s%s%s%s%s%s%s", world->old ? ", IKEv1" : "",
           world->aggressive ? ", Aggressive Mode" : "", world->small ? ", fragments" : "",
           sim->nodes[0].behind_nat ? ", NAT" : "", world->native ? ", native ESP" : "",
           world->by_name ? ", by name" : "", world->moves ? ", moves" : "",
           world->tcp ? ", TCP" : "", world->udp_is_blocked ? " only" : "",
           world->certificates ? ", certificates" : "", world->resumes ? ", resumption" : "",
           world->reauthenticates ? ", authentication anew" : "",
           world->follows ? ", several key exchanges" : "");
}

static void print_failure(const struct simulation *sim)
{
    printf("\nFAIL at %.3f s: %s\n", (double)sim->now_ms / 1000, sim->failure);
}

/* Whether the sites speak IKEv1. */
static bool old;

static uint64_t run_seed(uint64_t seed, bool verbose, uint64_t *trace_hash, bool *failed)
{
    struct simulation *sim = simulation_new(seed, verbose);

    if (old) {
        old_choose_world(sim);
    } else {
        choose_world(sim);
    }
    choose_faults(sim);
    if (old) {
        old_choose_faults(sim, FAULTS_MS);
    }
    live(sim, FAULTS_MS, CALM_MS);
    if (verbose || sim->failed) {
        printf("seed %" PRIu64 ": loss %u, doubled %u, late %u, damaged %u per mille", seed,
               sim->loss, sim->doubled, sim->late, sim->damaged);
        print_world(sim);
        printf("; %" PRIu64 " events, %" PRIu64 " handshakes, %" PRIu64 " and %" PRIu64
               " packets delivered\n",
               sim->events, sim->handshakes, sim->nodes[0].delivered, sim->nodes[1].delivered);
    }
    if (sim->failed) {
        print_failure(sim);
        printf("     again: sim %s--seed %" PRIu64 " --verbose\n", old ? "--old " : "", seed);
    }
    uint64_t handshakes = sim->handshakes;

    *trace_hash = sim->trace_hash;
    *failed = sim->failed;
    simulation_free(sim);
    return handshakes;
}

/* ---- dooms ---- */

static const struct world doomed_worlds[] = {
    {.native = true},
    {.certificates = true},
    {.resumes = true},
    {.reauthenticates = true, .certificates = true},
    {.follows = true, .by_name = true},
    {.tcp = true, .udp_is_blocked = true},
    {.tcp = true, .resumes = true},
};

static const struct world doomed_old_worlds[] = {
    {.old = true},
    {.old = true, .native = true, .aggressive = true},
    {.old = true, .certificates = true},
    {.old = true, .certificates = true, .aggressive = true, .small = true},
};

static const struct world *doomed_at(unsigned index)
{
    size_t count = old ? ARRAY_LENGTH(doomed_old_worlds) : ARRAY_LENGTH(doomed_worlds);
    const struct world *worlds = old ? doomed_old_worlds : doomed_worlds;

    return index < count ? &worlds[index] : NULL;
}

/* False: the moment never came. */
static bool run_doomed(unsigned world, const struct doom *doom, bool verbose, bool *failed)
{
    struct simulation *sim = simulation_new(1, verbose);

    sim->world = *doomed_at(world);
    sim->doom = *doom;
    sim->doom.wanted = true;
    /* A ticket serves only who still has its key. */
    for (size_t i = 0; i < NODES; i++) {
        sim->nodes[i].keeps_ticket_key = doom->at % 2 == 0;
    }
    live(sim, DOOMED_MS, DOOMED_CALM_MS);
    bool came = sim->doom.done;

    *failed = sim->failed;
    if (verbose || sim->failed) {
        printf("doom %u.%u.%u.%u", world, doom->node, doom->by_question, doom->at);
        print_world(sim);
    }
    if (sim->failed) {
        print_failure(sim);
        printf("     again: sim %s--doom %u.%u.%u.%u --verbose\n", old ? "--old " : "", world,
               doom->node, doom->by_question, doom->at);
    }
    simulation_free(sim);
    return came;
}

/* What of all this program is to do. */
struct share {
    unsigned part, parts; /* from 0 */
    unsigned stride;
};

static unsigned run_dooms(const struct share *share)
{
    unsigned lives = 0;
    unsigned failures = 0;

    for (unsigned i = 0; doomed_at(i / 4) != NULL; i++) {
        struct doom doom = {.node = i & 1, .by_question = (i & 2) != 0};
        bool came = true;

        for (doom.at = 1 + share->part; came && failures < 5;
             doom.at += share->parts * share->stride) {
            bool failed;

            came = run_doomed(i / 4, &doom, false, &failed);
            failures += failed;
            lives++;
        }
    }
    printf("%s %u lives in which one side dies at a message or a question, %u failed\n",
           failures == 0 ? "ok" : "FAIL", lives, failures);
    return failures;
}

static int run_fixed(uint64_t wanted, const struct share *share)
{
    uint64_t handshakes = 0;
    uint64_t seed = 1 + share->part;
    uint64_t runs = 0;
    unsigned failures = 0;
    uint64_t first_hash = 0;
    uint64_t hash;
    bool failed;

    for (; handshakes < wanted / share->parts && failures < 5; seed += share->parts) {
        handshakes += run_seed(seed, false, &hash, &failed);
        first_hash = runs == 0 ? hash : first_hash;
        failures += failed;
        runs++;
    }
    (void)run_seed(1 + share->part, false, &hash, &failed);
    printf("%s the same seed is the same run\n", hash == first_hash ? "ok" : "FAIL");
    printf("%s %" PRIu64 " handshakes and rekeys in %" PRIu64 " runs, %u failed\n",
           failures == 0 ? "ok" : "FAIL", handshakes, runs, failures);
    failures += run_dooms(share);
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

static int usage(void)
{
    fprintf(stderr,
            "usage: sim [--old] [--handshakes N] [--part K/N] [--stride N] | --minutes M |\n"
            "           --seed N [--verbose] | --doom W.N.K.M [--verbose]\n");
    return 2;
}

static int run_one_doom(const char *words, bool verbose)
{
    unsigned world;
    unsigned node;
    unsigned by_question;
    struct doom doom = {.wanted = true};
    bool failed;

    if (sscanf(words, "%u.%u.%u.%u", &world, &node, &by_question, &doom.at) != 4 || node > 1 ||
        doomed_at(world) == NULL) {
        return usage();
    }
    doom.node = (uint8_t)node;
    doom.by_question = by_question != 0;
    (void)run_doomed(world, &doom, verbose, &failed);
    return failed;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"--seed",       "--minutes", "--doom",
                                        "--handshakes", "--part",    "--stride"};
    const char *values[ARRAY_LENGTH(names)] = {NULL, NULL, NULL, "20000", "1/1", "1"};
    struct share share;
    bool verbose = false;
    bool failed = false;

    for (int i = 1; i < argc; i++) {
        size_t which = 0;

        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
            continue;
        }
        if (strcmp(argv[i], "--old") == 0) {
            old = true;
            continue;
        }
        while (which < ARRAY_LENGTH(names) && strcmp(argv[i], names[which]) != 0) {
            which++;
        }
        if (which == ARRAY_LENGTH(names) || i + 1 == argc) {
            return usage();
        }
        values[which] = argv[++i];
    }
    if (sscanf(values[4], "%u/%u", &share.part, &share.parts) != 2 || share.part < 1 ||
        share.part > share.parts) {
        return usage();
    }
    share.part--;
    share.stride = (unsigned)strtoul(values[5], NULL, 10);
    if (!protect_start(PROTECT_AUTOMATIC)) {
        fprintf(stderr, "sim: no crypto\n");
        return 1;
    }
    int result = 0;

    if (values[0] != NULL) {
        uint64_t hash;

        (void)run_seed(strtoull(values[0], NULL, 10), verbose, &hash, &failed);
        result = failed;
    } else if (values[1] != NULL) {
        result = run_minutes(strtod(values[1], NULL));
    } else if (values[2] != NULL) {
        result = run_one_doom(values[2], verbose);
    } else {
        result = run_fixed(strtoull(values[3], NULL, 10), &share);
    }
    proofs_end();
    return result;
}
