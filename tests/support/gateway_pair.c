/* The driver of two gateways in memory. */
#include "tests/support/gateway_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ip.h"

#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

static void need(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "gateway_pair: %s\n", what);
        abort();
    }
}

/* ---- the network ---- */

/* Whose the endpoint is, and what it is behind the NAT. */
static struct gateway_pair_node *node_at(struct gateway_pair *p, struct endpoint *to)
{
    for (size_t i = 0; i < 2; i++) {
        struct gateway_pair_node *n = &p->nodes[i];

        if (n->gateway == NULL) {
            continue;
        }
        if (n->second.family != FAMILY_NONE && address_equal(&n->second, &to->address)) {
            return n;
        }
        if (n->nat_outer.family == FAMILY_NONE && address_equal(&n->outer, &to->address) &&
            !n->second_only) {
            return n;
        }
        if (n->nat_outer.family != FAMILY_NONE && address_equal(&n->nat_outer, &to->address) &&
            (to->port == n->nat_base || to->port == n->nat_base + 1)) {
            *to = (struct endpoint){n->outer, to->port == n->nat_base ? 500 : 4500};
            return n;
        }
    }
    return NULL;
}

static struct endpoint shown_as(const struct gateway_pair_node *n, const struct endpoint *from)
{
    if (n->nat_outer.family == FAMILY_NONE) {
        return *from;
    }
    return (struct endpoint){n->nat_outer,
                             (uint16_t)(from->port == 500 ? n->nat_base : n->nat_base + 1)};
}

static struct gateway_pair_datagram *post(struct gateway_pair *p, uint8_t protocol,
                                          const struct endpoint *from, const struct endpoint *to,
                                          struct slice bytes, bool dont_fragment, bool cut)
{
    need(p->queued < GATEWAY_PAIR_QUEUE_MAX, "too many datagrams on the way");
    struct gateway_pair_datagram *d = &p->queue[p->queued];

    *d = (struct gateway_pair_datagram){
        .at_ms = p->now_ms + GATEWAY_PAIR_DELAY_MS,
        .order = p->order++,
        .dont_fragment = dont_fragment,
        .cut = cut,
        .protocol = protocol,
        .from = *from,
        .to = *to,
        .length = bytes.length,
        .bytes = malloc(bytes.length + 1),
    };
    need(d->bytes != NULL, "no memory");
    memcpy(d->bytes, bytes.data, bytes.length);
    if (p->udp_is_blocked && protocol != PROTOCOL_TCP) {
        free(d->bytes);
        return NULL;
    }
    if (p->lose != NULL && p->lose(p->context, d)) {
        free(d->bytes);
        return NULL;
    }
    p->queued++;
    return d;
}

/* ---- connections ---- */

static struct gateway_pair_connection *connection_between(struct gateway_pair *p, unsigned from,
                                                          const struct endpoint *local,
                                                          const struct endpoint *peer)
{
    for (size_t i = 0; i < p->connection_count; i++) {
        struct gateway_pair_connection *c = &p->connections[i];

        if (endpoint_equal(&c->ends[from], local) && endpoint_equal(&c->ends[1 - from], peer)) {
            return c;
        }
    }
    return NULL;
}

static void send_through(struct gateway_pair *p, unsigned from, const struct endpoint *local,
                         const struct endpoint *peer, struct slice bytes)
{
    const struct gateway_pair_connection *c = connection_between(p, from, local, peer);

    if (c != NULL && c->open && !c->released) {
        (void)post(p, PROTOCOL_TCP, local, peer, bytes, false, false);
    }
}

static void open_connection(struct gateway_pair_node *n, const struct gateway_action *action)
{
    struct gateway_pair *p = n->pair;
    const struct gateway_pair_node *other = &p->nodes[1 - n->index];
    uint64_t question = action->tcp_open.question;
    struct endpoint peer = action->tcp_open.peer;

    need(peer.tcp, "a connection to where datagrams go");
    n->tcp_opens++;
    if (p->tcp_is_blocked || other->gateway == NULL || other->tcp_port != peer.port ||
        !address_equal(&other->outer, &peer.address)) {
        gateway_tcp_opened(n->gateway, question, NULL, &peer, "nobody takes it", p->now_ms);
        return;
    }
    need(p->connection_count < GATEWAY_PAIR_CONNECTIONS_MAX, "too many connections");
    struct gateway_pair_connection *c = &p->connections[p->connection_count++];

    *c = (struct gateway_pair_connection){.opener = n->index, .open = true};
    c->ends[n->index] = (struct endpoint){
        .address = n->outer, .port = (uint16_t)(40000 + p->connection_count), .tcp = true};
    c->ends[1 - n->index] = peer;
    gateway_tcp_opened(n->gateway, question, &c->ends[n->index], &peer, NULL, p->now_ms);
}

static void release_connection(struct gateway_pair_node *n, const struct gateway_action *action)
{
    struct gateway_pair_connection *c =
        connection_between(n->pair, n->index, &action->tcp.local, &action->tcp.peer);

    n->tcp_releases++;
    if (c != NULL && c->opener == n->index) {
        c->released = true;
    }
}

static void drop_connections(struct gateway_pair *p)
{
    size_t left = 0;

    for (size_t i = 0; i < p->queued; i++) {
        if (p->queue[i].protocol == PROTOCOL_TCP) {
            free(p->queue[i].bytes);
        } else {
            p->queue[left++] = p->queue[i];
        }
    }
    p->queued = left;
    for (size_t i = 0; i < p->connection_count; i++) {
        struct gateway_pair_connection *c = &p->connections[i];

        for (unsigned node = 0; c->open && node < 2; node++) {
            if (p->nodes[node].gateway != NULL) {
                p->nodes[node].tcp_lost++;
                gateway_tcp_lost(p->nodes[node].gateway, &c->ends[node], &c->ends[1 - node],
                                 "connection reset", p->now_ms);
            }
        }
        c->open = false;
    }
}

/* With its IPv4 header, as from a raw socket. */
static void post_whole(struct gateway_pair *p, const struct packet *packet)
{
    struct slice bytes = packet_slice(packet);
    struct endpoint from = {.address = {.family = FAMILY_IPV4}};
    struct endpoint to = {.address = {.family = FAMILY_IPV4}};

    need(bytes.length > 20 && bytes.data[0] == 0x45, "not a plain IPv4 header");
    memcpy(from.address.bytes, bytes.data + 12, 4);
    memcpy(to.address.bytes, bytes.data + 16, 4);
    struct gateway_pair_datagram *d =
        post(p, bytes.data[9], &from, &to, bytes, packet->dont_fragment != 0, false);

    if (d != NULL) {
        d->head_bytes = 20;
    }
}

void gateway_pair_inject(struct gateway_pair *p, const struct endpoint *from,
                         const struct endpoint *to, struct slice bytes)
{
    (void)post(p, PROTOCOL_UDP, from, to, bytes, false, false);
}

/* The soonest; equal ones in the order in which they were sent. */
static size_t soonest(const struct gateway_pair *p)
{
    size_t best = 0;

    for (size_t i = 1; i < p->queued; i++) {
        if (p->queue[i].at_ms < p->queue[best].at_ms ||
            (p->queue[i].at_ms == p->queue[best].at_ms &&
             p->queue[i].order < p->queue[best].order)) {
            best = i;
        }
    }
    return best;
}

/* ---- a node's turn ---- */

static bool sends_from(const struct gateway_pair_node *n, const struct address *from)
{
    return (address_equal(from, &n->outer) && !n->second_only) ||
           (n->second.family != FAMILY_NONE && address_equal(from, &n->second));
}

static void take_output(struct gateway_pair_node *n, struct dataplane_output *out)
{
    struct gateway_pair *p = n->pair;

    for (size_t i = 0; i < out->to_wire_count; i++) {
        struct packet *packet = out->to_wire[i];
        struct endpoint from = packet->local;

        if (address_is_unset(&from.address)) {
            from.address = n->outer;
        }
        /* From an address that is not there any more nothing leaves. */
        if (packet->has_outer_head) {
            post_whole(p, packet);
        } else if (packet->peer.tcp) {
            send_through(p, n->index, &packet->local, &packet->peer, packet_slice(packet));
        } else if (sends_from(n, &from.address)) {
            from = shown_as(n, &from);
            (void)post(p, packet->outer_protocol, &from, &packet->peer, packet_slice(packet),
                       packet->dont_fragment != 0, false);
        }
        dataplane_give_packet(n->worker, packet);
    }
    for (size_t i = 0; i < out->to_tun_count; i++) {
        n->delivered++;
        dataplane_give_packet(n->worker, out->to_tun[i]);
    }
    for (size_t i = 0; i < out->to_control_count; i++) {
        struct packet *packet = out->to_control[i];

        gateway_datagram(n->gateway, &packet->local, &packet->peer, packet_slice(packet),
                         p->now_ms);
        dataplane_give_packet(n->worker, packet);
    }
}

static void do_key_exchange(struct gateway_pair_node *n, const struct gateway_action *action)
{
    struct key_pair pair = action->key_exchange->pair;
    struct secret shared = {0};
    uint64_t job = action->key_exchange->job;
    struct slice peer_public = {action->key_exchange->peer_public,
                                action->key_exchange->peer_public_length};
    bool ok = key_exchange_step(action->key_exchange->group, &n->random,
                                action->key_exchange->has_pair, &pair, peer_public, &shared);

    free(action->key_exchange);
    n->key_exchanges++;
    gateway_key_exchange_done(n->gateway, job, ok, &pair, &shared, n->pair->now_ms);
    key_pair_wipe(&pair);
    secret_wipe(&shared);
}

static void give_secret(struct gateway_pair_node *n, uint64_t question, const char *text)
{
    struct secret secret = {0};

    n->secrets_read++;
    if (text == NULL) {
        gateway_secret(n->gateway, question, NULL, "there is no secret of that name",
                       n->pair->now_ms);
        return;
    }
    need(secret_set(&secret, slice_of_text(text)), "no memory");
    gateway_secret(n->gateway, question, &secret, NULL, n->pair->now_ms);
    secret_wipe(&secret);
}

/* Who logs in is right with the password "right", or as the test says. */
static void log_in(struct gateway_pair_node *n, const struct gateway_action *action)
{
    struct login_question *question = action->login.question;
    struct login_answer answer = login_answer_of(LOGIN_REFUSED, LOGIN_REASON_PASSWORD, "the test");

    n->logins++;
    if (n->login != NULL) {
        n->login(n, question, &answer);
    } else if (slice_equal_text(secret_slice(&question->password), "right")) {
        answer = login_answer_of(LOGIN_ACCEPTED, LOGIN_REASON_NONE, "the test");
        need(text_copy(answer.user, sizeof(answer.user), slice_of_text(question->user)),
             "a name is too long");
    }
    login_question_fini(question);
    free(question);
    gateway_login_done(n->gateway, action->login.job, &answer, n->pair->now_ms);
}

static void resolve(struct gateway_pair_node *n, const struct gateway_action *action)
{
    bool known = n->host != NULL && strcmp(n->host, action->resolve.host) == 0;

    n->resolves++;
    gateway_resolved(n->gateway, action->resolve.question, known ? &n->host_address : NULL,
                     known ? 1 : 0, known ? NULL : "no such name", n->pair->now_ms);
}

static bool same_route(const struct gateway_route *a, const struct gateway_route *b)
{
    return network_equal(&a->network, &b->network) && a->transport == b->transport &&
           (!a->transport || address_equal(&a->local, &b->local)) && a->protocol == b->protocol &&
           a->port_first == b->port_first && a->port_last == b->port_last &&
           a->local_port_first == b->local_port_first && a->local_port_last == b->local_port_last;
}

static size_t find_route(const struct gateway_pair_node *n, const struct gateway_route *route)
{
    size_t i = 0;

    while (i < n->route_count && !same_route(&n->routes[i], route)) {
        i++;
    }
    return i;
}

static void change_route(struct gateway_pair_node *n, const struct gateway_action *action)
{
    size_t place = find_route(n, &action->route);

    if (n->large_config != NULL) {
        return;
    }
    if (action->kind == GATEWAY_ROUTE_ADD) {
        if (action->route.replaces && place < n->route_count) {
            n->routes[place] = action->route;
            return;
        }
        need(place == n->route_count, "a route is added twice");
        need(n->route_count < GATEWAY_PAIR_ROUTES_MAX, "too many routes");
        n->routes[n->route_count++] = action->route;
        return;
    }
    need(place < n->route_count, "a route is removed that is not there");
    n->routes[place] = n->routes[--n->route_count];
    n->without_routes += n->route_count == 0 ? 1 : 0;
}

static void find_source(struct gateway_pair_node *n, const struct gateway_action *action)
{
    const struct address *by = &action->source.local;
    bool found = !n->no_route;

    if (by->family == FAMILY_NONE) {
        by = &n->outer;
    } else {
        /* The system does not know that the first is silent. */
        found = found && (address_equal(by, &n->outer) || address_equal(by, &n->second));
    }
    gateway_source(n->gateway, action->source.question, found ? by : NULL,
                   found ? NULL : "network is unreachable", n->pair->now_ms);
}

static void act(struct gateway_pair_node *n, const struct gateway_action *action)
{
    struct gateway_pair *p = n->pair;

    switch (action->kind) {
    case GATEWAY_SEND: {
        struct endpoint from = action->send.local;

        if (address_is_unset(&from.address)) {
            from.address = n->outer;
        }
        if (action->send.bytes.length == 1) {
            n->keepalives++;
        } else {
            n->sends++;
        }
        if (from.tcp) {
            send_through(p, n->index, &from, &action->send.peer, action->send.bytes);
            return;
        }
        /* The system refuses to send from an address that is not there any more. */
        if (sends_from(n, &from.address)) {
            from = shown_as(n, &from);
            (void)post(p, PROTOCOL_UDP, &from, &action->send.peer, action->send.bytes,
                       action->send.dont_fragment, action->send.cut);
        }
        return;
    }
    case GATEWAY_KEY_EXCHANGE:
        do_key_exchange(n, action);
        return;
    case GATEWAY_PROOF:
        ikev2_proof_run(action->proof.work, n->now_s);
        gateway_proof_done(n->gateway, action->proof.work, p->now_ms);
        ikev2_proof_free(action->proof.work);
        return;
    case GATEWAY_RESOLVE:
        resolve(n, action);
        return;
    case GATEWAY_TCP_OPEN:
        open_connection(n, action);
        return;
    case GATEWAY_TCP_KEEP:
        n->tcp_keeps++;
        return;
    case GATEWAY_TCP_RELEASE:
        release_connection(n, action);
        return;
    case GATEWAY_READ_SECRET:
        give_secret(n, action->secret.question,
                    strcmp(action->secret.name, "ppk") == 0        ? n->ppk
                    : strcmp(action->secret.name, "password") == 0 ? n->password
                                                                   : n->secret);
        return;
    case GATEWAY_LOGIN:
        log_in(n, action);
        return;
    case GATEWAY_SESSION:
        *(action->session->began ? &n->sessions_began : &n->sessions_ended) += 1;
        n->last_session = *action->session;
        free(action->session);
        return;
    case GATEWAY_ADDRESS_ADD:
        n->address_count++;
        n->given = action->address;
        return;
    case GATEWAY_ADDRESS_REMOVE:
        need(n->address_count > 0, "an address is removed that is not there");
        n->address_count--;
        return;
    case GATEWAY_READ_CERTIFICATES:
        gateway_certificates(n->gateway, action->certificates.question, n->own, n->trust,
                             n->own == NULL ? "there are none" : NULL, p->now_ms);
        return;
    case GATEWAY_ROUTE_ADD:
    case GATEWAY_ROUTE_REMOVE:
        change_route(n, action);
        return;
    case GATEWAY_SITE_CHANGED:
        *(action->site.up ? &n->ups : &n->downs) += 1;
        return;
    case GATEWAY_FIND_SOURCE:
        find_source(n, action);
        return;
    }
}

static void end_turn(struct gateway_pair_node *n)
{
    struct gateway_action action;

    if (n->gateway == NULL) {
        return;
    }
    gateway_notes(n->gateway, n->pair->now_ms);
    while (gateway_next_action(n->gateway, &action)) {
        act(n, &action);
    }
    if (dataplane_due_us(n->worker, n->pair->now_ms * 1000) != NEVER_US) {
        struct dataplane_output out;

        /* What waits for an SA. */
        dataplane_tick(n->worker, n->pair->now_ms * 1000, &out);
        take_output(n, &out);
    }
    dataplane_quiet(n->worker);
    for (unsigned i = 1; i < n->sealers; i++) {
        dataplane_quiet(n->more[i]);
    }
    dataplane_collect(n->dataplane);
}

static bool listens(const struct gateway_pair_node *n, const struct gateway_pair_datagram *d)
{
    const struct config *config = gateway_config(n->gateway);

    return d->protocol != PROTOCOL_UDP || config == NULL || d->to.port == config->port ||
           d->to.port == config->nat_port;
}

static void deliver(struct gateway_pair *p)
{
    size_t place = soonest(p);
    struct gateway_pair_datagram d = p->queue[place];
    struct gateway_pair_node *n = node_at(p, &d.to);

    if (d.protocol == PROTOCOL_TCP && (++p->tcp_messages == p->cut_before || p->cut_always)) {
        gateway_pair_cut(p);
        return;
    }
    p->queue[place] = p->queue[--p->queued];
    if (n != NULL && listens(n, &d)) {
        struct packet *packet = dataplane_take_packet(n->worker);
        static struct dataplane_output out;

        need(packet != NULL, "no packet");
        need(packet->offset + d.length <= packet->capacity, "a datagram is too large");
        memcpy(packet_data(packet), d.bytes, d.length);
        packet->offset += d.head_bytes;
        packet->length = (uint32_t)d.length - d.head_bytes;
        packet->outer_head_bytes = d.head_bytes;
        packet->local = d.to;
        packet->peer = d.from;
        packet->outer_protocol = d.protocol == PROTOCOL_TCP ? PROTOCOL_UDP : d.protocol;
        dataplane_inbound(n->worker, &packet, 1, p->now_ms, &out);
        take_output(n, &out);
        end_turn(n);
    }
    free(d.bytes);
}

void gateway_pair_cut(struct gateway_pair *p)
{
    drop_connections(p);
    for (unsigned i = 0; i < 2; i++) {
        end_turn(&p->nodes[i]);
    }
}

/* ---- time ---- */

static uint64_t next_ms(const struct gateway_pair *p)
{
    uint64_t next = NEVER_MS;

    for (size_t i = 0; i < 2; i++) {
        if (p->nodes[i].gateway != NULL) {
            uint64_t deadline = gateway_deadline_ms(p->nodes[i].gateway);

            next = deadline < next ? deadline : next;
        }
    }
    if (p->queued > 0 && p->queue[soonest(p)].at_ms < next) {
        next = p->queue[soonest(p)].at_ms;
    }
    return next;
}

static bool both_up(const struct gateway_pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        if (p->nodes[i].gateway == NULL || gateway_pair_site(p, i).state != STATUS_UP) {
            return false;
        }
    }
    return true;
}

/* Until the time comes, or both are up when that is waited for. */
static void run(struct gateway_pair *p, uint64_t until_ms, bool for_up)
{
    for (size_t same = 0; !(for_up && both_up(p));) {
        uint64_t next = next_ms(p);

        if (next > until_ms) {
            p->now_ms = until_ms;
            return;
        }
        same = next <= p->now_ms ? same + 1 : 0;
        need(same < 10000, "time stands still");
        if (next > p->now_ms) {
            p->now_ms = next;
        }
        for (size_t i = 0; i < 2; i++) {
            struct gateway_pair_node *n = &p->nodes[i];

            if (n->gateway != NULL && gateway_deadline_ms(n->gateway) <= p->now_ms) {
                gateway_time(n->gateway, p->now_ms);
                end_turn(n);
            }
        }
        if (p->queued > 0 && p->queue[soonest(p)].at_ms <= p->now_ms) {
            deliver(p);
        }
    }
}

void gateway_pair_run(struct gateway_pair *p, uint64_t for_ms)
{
    for (size_t i = 0; i < 2; i++) {
        end_turn(&p->nodes[i]);
    }
    run(p, p->now_ms + for_ms, false);
}

bool gateway_pair_up(struct gateway_pair *p, uint64_t within_ms)
{
    for (size_t i = 0; i < 2; i++) {
        end_turn(&p->nodes[i]);
    }
    run(p, p->now_ms + within_ms, true);
    return both_up(p);
}

/* ---- life ---- */

static void hear(void *context, enum log_level level, const char *about, const char *line)
{
    struct gateway_pair_node *n = context;

    (void)level;
    n->log_lines++;
    snprintf(n->last_log, sizeof(n->last_log), "%.64s: %.440s", about, line);
    if (getenv("SEKISHO_TEST_LOG") != NULL) {
        fprintf(stderr, "%10.3f node %u %s\n", (double)n->pair->now_ms / 1000, n->index,
                n->last_log);
    }
}

void gateway_pair_write_config(struct gateway_pair *p, unsigned node, const char *extra)
{
    static const char *const names[2] = {"tokyo", "osaka"};
    char peer[ADDRESS_TEXT_BYTES];

    snprintf(p->nodes[node].config, sizeof(p->nodes[node].config),
             "gateway %s.example.jp\n"
             "lan 10.%u.0.0/16\n"
             "site %s {\n"
             "  peer %s\n"
             "  identity %s.example.jp\n"
             "  network 10.%u.0.0/16\n"
             "  key @%s\n"
             "  %s%s\n"
             "}\n",
             names[node], node + 1, names[1 - node],
             address_format(&p->nodes[1 - node].outer, peer), names[1 - node], 2 - node,
             names[1 - node], strstr(extra, "mtu-probe") == NULL ? "mtu-probe off; " : "", extra);
}

void gateway_pair_open(struct gateway_pair *p, uint64_t seed)
{
    memset(p, 0, sizeof(*p));
    p->now_ms = 1000000;
    for (unsigned i = 0; i < 2; i++) {
        struct gateway_pair_node *n = &p->nodes[i];

        n->pair = p;
        n->index = i;
        n->outer = address_ipv4(0xcb007101U + i);
        n->inner = address_ipv4(0x0a010001U + (i << 16));
        n->secret = "a key that both know";
        n->log = (struct log_sink){hear, n};
        seeded_random_init(&n->seeded, seed * 2 + i);
        n->random = seeded_random_source(&n->seeded);
    }
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_write_config(p, i, "");
    }
}

static bool read_text(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    struct gateway_pair_node *n = context;

    (void)path;
    (void)why;
    (void)why_bytes;
    *text = slice_of_text(n->large_config != NULL ? n->large_config : n->config);
    return true;
}

void gateway_pair_reload(struct gateway_pair *p, unsigned node)
{
    struct gateway_pair_node *n = &p->nodes[node];
    struct config_loader loader = {.read = read_text, .context = n};
    struct config_result *result = config_read("test.conf", &loader);

    need(result != NULL, "no memory");
    if (result->config == NULL) {
        fprintf(stderr, "%s\n%s\n", n->config, config_diagnostics_text(result));
        need(false, "the configuration has errors");
    }
    struct config *config = config_take(result);

    config_result_free(result);
    gateway_configure(n->gateway, config, p->now_ms);
    end_turn(n);
}

void gateway_pair_start(struct gateway_pair *p, unsigned node)
{
    struct gateway_pair_node *n = &p->nodes[node];
    bool large = n->large_config != NULL;
    struct dataplane_settings plane = {.sa_max = large ? 0 : 256,
                                       .policy_max = large ? 0 : 64,
                                       .worker_count = n->sealers,
                                       .random = &n->random};

    need(protect_start(large ? PROTECT_AUTOMATIC : PROTECT_OPENSSL),
         "the crypto library does not work");
    n->dataplane = dataplane_new(&plane);
    need(n->dataplane != NULL, "no data plane");
    n->worker = dataplane_worker_new(n->dataplane, 0);
    need(n->worker != NULL, "no worker");
    for (unsigned i = 1; i < n->sealers; i++) {
        n->more[i] = dataplane_worker_new(n->dataplane, i);
        need(n->more[i] != NULL, "no worker");
        dataplane_worker_does(n->more[i], true, false);
    }
    struct gateway_settings settings = {
        .dataplane = n->dataplane, .random = &n->random, .log = &n->log};

    if (n->crash_secret != NULL) {
        settings.crash_secret = (struct slice){n->crash_secret, 32};
    }
    if (n->keeps_ticket_key) {
        settings.ticket_key = SLICE_OF(n->ticket_key);
    }
    n->gateway = gateway_new(&settings, p->now_ms);
    need(n->gateway != NULL, "no gateway");
    n->route_count = 0;
    gateway_pair_reload(p, node);
}

void gateway_pair_crash(struct gateway_pair *p, unsigned node)
{
    struct gateway_pair_node *n = &p->nodes[node];

    gateway_free(n->gateway);
    dataplane_worker_free(n->worker);
    for (unsigned i = 1; i < n->sealers; i++) {
        dataplane_worker_free(n->more[i]);
    }
    dataplane_free(n->dataplane);
    n->gateway = NULL;
    n->worker = NULL;
    n->dataplane = NULL;
}

void gateway_pair_stop(struct gateway_pair *p, unsigned node)
{
    gateway_shutdown(p->nodes[node].gateway, p->now_ms);
    end_turn(&p->nodes[node]);
    need(p->nodes[node].route_count == 0, "a route is left after the shutdown");
    gateway_pair_crash(p, node);
}

void gateway_pair_close(struct gateway_pair *p)
{
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_crash(p, i);
    }
    for (size_t i = 0; i < p->queued; i++) {
        free(p->queue[i].bytes);
    }
    p->queued = 0;
}

/* ---- traffic ---- */

#define CLEAR_BYTES 100

/* RFC 791 and 768 by hand: 20 octets of IPv4, 8 of UDP without a checksum, and what follows. */
static void write_clear(uint8_t out[CLEAR_BYTES], const struct gateway_pair_clear *clear)
{
    uint32_t sum = 0;

    memset(out, 0x5a, CLEAR_BYTES);
    memset(out, 0, 28);
    out[0] = 0x45;
    put_u16(out + 2, CLEAR_BYTES);
    out[8] = 64;
    out[9] = clear->protocol;
    memcpy(out + 12, clear->from.bytes, 4);
    memcpy(out + 16, clear->to.bytes, 4);
    for (size_t i = 0; i < 20; i += 2) {
        sum += get_u16(out + i);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    put_u16(out + 10, (uint16_t)~sum);
    put_u16(out + 20, clear->from_port);
    put_u16(out + 22, clear->to_port);
    if (clear->protocol == PROTOCOL_UDP) {
        put_u16(out + 24, CLEAR_BYTES - 20);
    } else {
        out[32] = 0x50; /* five words of TCP header */
        out[33] = 0x10;
    }
}

void gateway_pair_offer_clear(struct gateway_pair *p, unsigned node,
                              const struct gateway_pair_clear *clear)
{
    struct gateway_pair_node *n = &p->nodes[node];
    struct dataplane_worker *first = n->worker;
    static struct dataplane_output out;

    n->worker = n->sealer == 0 ? first : n->more[n->sealer];
    struct packet *packet = dataplane_take_packet(n->worker);

    need(packet != NULL, "no packet");
    write_clear(packet_data(packet), clear);
    packet->length = CLEAR_BYTES;
    dataplane_outbound(n->worker, &packet, 1, p->now_ms, &out);
    take_output(n, &out);
    n->worker = first;
    end_turn(n);
}

bool gateway_pair_passes_clear(struct gateway_pair *p, unsigned node,
                               const struct gateway_pair_clear *clear)
{
    uint64_t before = p->nodes[1 - node].delivered;

    gateway_pair_offer_clear(p, node, clear);
    gateway_pair_run(p, 100);
    return p->nodes[1 - node].delivered == before + 1;
}

void gateway_pair_offer(struct gateway_pair *p, unsigned from)
{
    const struct gateway_pair_clear clear = {p->nodes[from].inner, p->nodes[1 - from].inner,
                                             PROTOCOL_UDP, 4000, 4001};

    gateway_pair_offer_clear(p, from, &clear);
}

bool gateway_pair_passes(struct gateway_pair *p, unsigned from)
{
    uint64_t before = p->nodes[1 - from].delivered;

    gateway_pair_offer(p, from);
    gateway_pair_run(p, 100);
    return p->nodes[1 - from].delivered == before + 1;
}

/* ---- looking ---- */

struct status_site gateway_pair_site(const struct gateway_pair *p, unsigned node)
{
    struct status_site site;

    need(gateway_site_at(p->nodes[node].gateway, 0, p->now_ms, &site), "there is no site");
    return site;
}

uint64_t gateway_pair_dropped(const struct gateway_pair *p, unsigned node, enum drop_reason reason)
{
    struct dataplane_doors doors;

    dataplane_get_doors(p->nodes[node].dataplane, &doors);
    return doors.dropped[reason];
}

bool gateway_pair_has_route(const struct gateway_pair *p, unsigned node, const char *network)
{
    struct gateway_route wanted = {0};

    need(network_parse(slice_of_text(network), &wanted.network), "not a network");
    return find_route(&p->nodes[node], &wanted) < p->nodes[node].route_count;
}

bool gateway_pair_has_pair(const struct gateway_pair *p, unsigned node,
                           const struct gateway_route *wanted)
{
    return find_route(&p->nodes[node], wanted) < p->nodes[node].route_count;
}

bool gateway_pair_doors_add_up(const struct gateway_pair *p, unsigned node)
{
    struct dataplane_doors d;
    uint64_t out;

    dataplane_get_doors(p->nodes[node].dataplane, &d);
    out = d.to_wire + d.to_tun + d.to_control + d.to_clear + d.to_consumer + d.joined;
    for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
        out += d.dropped[i];
    }
    return d.from_tun + d.from_wire + d.made == out;
}

uint64_t gateway_pair_lost_within(struct gateway_pair *pair, uint64_t step_ms, uint64_t for_ms)
{
    uint64_t before = pair->nodes[0].delivered + pair->nodes[1].delivered;
    uint64_t offered = 0;

    for (uint64_t ms = 0; ms < for_ms; ms += step_ms) {
        gateway_pair_offer(pair, 0);
        gateway_pair_offer(pair, 1);
        offered += 2;
        gateway_pair_run(pair, step_ms);
    }
    gateway_pair_run(pair, 50);
    return offered - (pair->nodes[0].delivered + pair->nodes[1].delivered - before);
}

bool gateway_pair_finish(struct gateway_pair *pair)
{
    bool add_up = gateway_pair_doors_add_up(pair, 0) && gateway_pair_doors_add_up(pair, 1);

    gateway_pair_close(pair);
    return add_up;
}
