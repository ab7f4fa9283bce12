/* Decides how each thing that the gateway wants is done outside, and brings the answers back. */
#include "sekishod/daemon.h"

#include "host/clock.h"
#include "host/entropy.h"
#include "host/files.h"
#include "loader/certificates.h"

#include <stdio.h>
#include <stdlib.h>

#define PROTOCOL_UDP 17
#define EXPIRY_SOON_MS 1000 /* certificates that were read are looked at */

/* ---- key exchange, in a job thread ---- */

typedef __typeof__(*((struct gateway_action *)0)->key_exchange) exchange_work;

struct exchange {
    struct exchange *next; /* of those that found no room */
    exchange_work *work; /* NULL: a proof */
    struct secret shared;
    bool ok;
    bool urgent;
    struct ikev2_proof *proof;
    int64_t now_s; /* by the calendar, for certificates */
};

void actions_do_job(void *job)
{
    struct exchange *exchange = job;
    exchange_work *work = exchange->work;

    if (work == NULL) {
        ikev2_proof_run(exchange->proof, exchange->now_s);
        return;
    }
    struct random_source random = entropy_source();
    struct slice peer_public = {work->peer_public, work->peer_public_length};

    exchange->ok = key_exchange_step(work->group, &random, work->has_pair, &work->pair, peer_public,
                                     &exchange->shared);
}

void actions_drop_job(void *job)
{
    struct exchange *exchange = job;

    if (exchange->work != NULL) {
        key_pair_wipe(&exchange->work->pair);
    }
    secret_wipe(&exchange->shared);
    ikev2_proof_free(exchange->proof);
    free(exchange->work);
    free(exchange);
}

void actions_finish(struct daemon *daemon, struct exchange *exchange, uint64_t now_ms)
{
    if (exchange->work == NULL) {
        if (revocation_waits(daemon->revocation, exchange, exchange->proof, now_ms)) {
            return;
        }
        gateway_proof_done(daemon->gateway, exchange->proof, now_ms);
    } else {
        gateway_key_exchange_done(daemon->gateway, exchange->work->job, exchange->ok,
                                  &exchange->work->pair, &exchange->shared, now_ms);
    }
    actions_drop_job(exchange);
}

/* The control thread never does the work itself and never waits. What peers of ours need stands in
 * a queue of its own, and when that is full (there are at most as many as IKE SAs) it waits here; a
 * stranger's is forgotten: his half-open IKE SA ends by itself, and gateway/admission lets in no
 * more than there is room for. */
static void queue_exchange(struct daemon *daemon, struct exchange *exchange)
{
    struct exchanges *late = &daemon->late;

    if (exchange->work == NULL && exchange->proof->sign &&
        credential_is_kept(exchange->proof->credential)) {
        if (!tokens_sign(daemon, exchange)) {
            actions_drop_job(exchange);
        }
        return;
    }
    if (!exchange->urgent) {
        if (!jobs_put(daemon->jobs, exchange, JOB_COMMON)) {
            actions_drop_job(exchange);
        }
        return;
    }
    if (late->first == NULL && jobs_put(daemon->jobs, exchange, JOB_URGENT)) {
        return;
    }
    exchange->next = NULL;
    if (late->first == NULL) {
        late->first = exchange;
    } else {
        late->last->next = exchange;
    }
    late->last = exchange;
}

void actions_queue_again(struct daemon *daemon, struct exchange *exchange)
{
    exchange->now_s = (int64_t)(clock_date_ms() / 1000);
    queue_exchange(daemon, exchange);
}

/* Those that found no room, as far as there is room now. */
static void queue_late(struct daemon *daemon)
{
    struct exchanges *late = &daemon->late;

    while (late->first != NULL) {
        struct exchange *exchange = late->first;
        struct exchange *next = exchange->next;

        if (!jobs_put(daemon->jobs, exchange, JOB_URGENT)) {
            return;
        }
        late->first = next;
    }
}

void actions_drop_late(struct daemon *daemon)
{
    while (daemon->late.first != NULL) {
        struct exchange *exchange = daemon->late.first;

        daemon->late.first = exchange->next;
        actions_drop_job(exchange);
    }
}

static void start_exchange(struct daemon *daemon, exchange_work *work, uint64_t now_ms)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));

    if (exchange == NULL) {
        gateway_key_exchange_done(daemon->gateway, work->job, false, &work->pair,
                                  &(struct secret){0}, now_ms);
        key_pair_wipe(&work->pair);
        free(work);
        return;
    }
    exchange->work = work;
    exchange->urgent = work->urgent;
    queue_exchange(daemon, exchange);
}

/* Signatures are made and certificates followed in a job thread too. What is not answered ends the
 * handshake after a while. */
static void start_proof(struct daemon *daemon, const struct gateway_action *action)
{
    struct exchange *exchange = calloc(1, sizeof(*exchange));

    if (exchange == NULL) {
        ikev2_proof_free(action->proof.work);
        return;
    }
    exchange->proof = action->proof.work;
    exchange->proof->store = revocation_memory_of(daemon->revocation);
    exchange->urgent = action->proof.urgent;
    exchange->now_s = (int64_t)(clock_date_ms() / 1000);
    queue_exchange(daemon, exchange);
}

/* ---- messages ---- */

/* The system cuts IPv4 packets to what it knows of the path alone. */
static bool send_pieces(struct daemon *daemon, const struct gateway_action *action)
{
    const struct endpoint *local = &action->send.local;
    const struct endpoint *peer = &action->send.peer;
    struct datagram_socket *whole =
        peer->address.family == FAMILY_IPV4 && !address_is_unset(&local->address)
            ? sockets_find(&daemon->sockets, DATAGRAM_WHOLE, local, peer)
            : NULL;

    return whole != NULL && datagram_send_pieces(whole, local, peer, action->send.bytes);
}

static void send_message(struct daemon *daemon, const struct gateway_action *action,
                         uint64_t now_ms)
{
    const struct endpoint *local = &action->send.local;
    const struct endpoint *peer = &action->send.peer;
    if (peer->tcp) {
        /* Over a new connection the machine sends it again. */
        (void)streams_send_ike(daemon->streams, local, peer, action->send.bytes);
        return;
    }
    struct datagram_socket *s = sockets_find(&daemon->sockets, PROTOCOL_UDP, local, peer);

    if (s == NULL) {
        gateway_unreachable(daemon->gateway, peer,
                            "no socket of ours can reach this peer: compare 'listen' and the "
                            "peer's address family",
                            now_ms);
        return;
    }
    /* What is lost here is lost as on the way: the machines send again. */
    if (action->send.cut && send_pieces(daemon, action)) {
        return;
    }
    (void)datagram_send_one(s, &local->address, peer, action->send.bytes,
                            action->send.dont_fragment ? DATAGRAM_NEVER_CUT
                            : action->send.cut         ? DATAGRAM_CUT
                                                       : DATAGRAM_MAY_BE_CUT);
}

static bool may_be_source(const struct daemon *daemon, const struct address *address)
{
    bool family_is_limited = false;

    for (size_t i = 0; i < daemon->listen_count; i++) {
        if (address_equal(&daemon->listen[i], address)) {
            return true;
        }
        family_is_limited = family_is_limited || daemon->listen[i].family == address->family;
    }
    return !family_is_limited && daemon->listen_count == 0;
}

static const struct address *listening_address(const struct daemon *daemon, uint8_t family)
{
    for (size_t i = 0; i < daemon->listen_count; i++) {
        if (daemon->listen[i].family == family) {
            return &daemon->listen[i];
        }
    }
    return NULL;
}

/* The narrowest way out that was seen: what is learnt about one path later only makes that one
 * narrower. */
static void note_link_mtu(struct daemon *daemon, uint16_t mtu)
{
    if (mtu != 0 && (daemon->link_mtu == 0 || mtu < daemon->link_mtu)) {
        daemon->link_mtu = mtu;
        dataplane_set_link_mtu(daemon->dataplane, mtu);
    }
}

/* The path by an address of ours, through the interface that has it. */
static bool path_by(struct daemon *daemon, const struct address *peer, const struct address *local,
                    struct netlink_path *out)
{
    static struct netlink_address list[DAEMON_ADDRESSES_MAX];
    size_t count = netlink_addresses(&daemon->netlink, list, DAEMON_ADDRESSES_MAX);

    for (size_t i = 0; i < count; i++) {
        if (address_equal(&list[i].address, local)) {
            bool found =
                netlink_path_by(&daemon->netlink, peer, local, list[i].interface_index, out);

            out->source = *local;
            return found;
        }
    }
    return false;
}

static void find_source(struct daemon *daemon, const struct gateway_action *action, uint64_t now_ms)
{
    const struct address *peer = &action->source.peer;
    struct netlink_path path;
    char text[ADDRESS_TEXT_BYTES], why[160];

    const struct address *local = &action->source.local;
    bool found = local->family != FAMILY_NONE ? path_by(daemon, peer, local, &path)
                                              : netlink_path(&daemon->netlink, peer, &path);

    if (!found || path.source.family == FAMILY_NONE) {
        char by[ADDRESS_TEXT_BYTES];
        bool is_by = local->family != FAMILY_NONE;

        snprintf(why, sizeof(why), "this machine has no route to %s%s%s",
                 address_format(peer, text), is_by ? " by " : "",
                 is_by ? address_format(local, by) : "");
        gateway_source(daemon->gateway, action->source.question, NULL, why, now_ms);
        return;
    }
    if (path.interface_index == daemon->tun.interface_index) {
        snprintf(why, sizeof(why),
                 "the route to %s leads into the tunnel itself: the networks behind the peer "
                 "contain its own address",
                 address_format(peer, text));
        gateway_source(daemon->gateway, action->source.question, NULL, why, now_ms);
        return;
    }
    const struct address *source = &path.source;
    if (!may_be_source(daemon, source)) {
        source = listening_address(daemon, peer->family);
    }
    note_link_mtu(daemon, path.mtu);
    apply_path_found(daemon, (enum family)peer->family, path.interface_index);
    gateway_source(daemon->gateway, action->source.question, source,
                   source == NULL ? "no address of 'listen' is of this peer's family" : "", now_ms);
}

/* ---- questions ---- */

static void read_secret(struct daemon *daemon, const struct gateway_action *action, uint64_t now_ms)
{
    struct secret secret = {0};
    char why[512] = "";
    bool ok = files_read_secret(daemon->options.secrets_directory, action->secret.name, &secret,
                                why, sizeof(why));

    gateway_secret(daemon->gateway, action->secret.question, ok ? &secret : NULL, why, now_ms);
    secret_wipe(&secret);
}

void actions_certificates_were_read(struct daemon *daemon, uint64_t now_ms)
{
    /* Soon, but not for each of many sites. */
    if (daemon->expiry_due_ms > now_ms + EXPIRY_SOON_MS) {
        daemon->expiry_due_ms = now_ms + EXPIRY_SOON_MS;
    }
}

static void read_certificates(struct daemon *daemon, const struct gateway_action *action,
                              uint64_t now_ms)
{
    const struct config *config = gateway_config(daemon->gateway);
    const struct config_site *site = config_find_site(config, action->certificates.site);
    struct credential *own = NULL;
    struct trust *trust = NULL;
    char why[512] = "the site is gone";
    struct certificates_reading *reading =
        site == NULL ? NULL
                     : certificates_begin(daemon->options.secrets_directory, site, config->gateway,
                                          why, sizeof(why));

    if (reading != NULL && certificates_wait_for_token(reading)) {
        tokens_read(daemon, action->certificates.question, reading, now_ms);
        return;
    }
    if (reading == NULL || !certificates_end(reading, &own, &trust, why, sizeof(why))) {
        own = NULL;
        trust = NULL;
    }
    gateway_certificates(daemon->gateway, action->certificates.question, own, trust, why, now_ms);
    actions_certificates_were_read(daemon, now_ms);
    certificates_reading_free(reading);
    credential_free(own);
    trust_free(trust);
}

static void ask_resolver(struct daemon *daemon, const struct gateway_action *action,
                         uint64_t now_ms)
{
    if (!resolve_ask(daemon->resolve, action->resolve.question, action->resolve.host)) {
        gateway_resolved(daemon->gateway, action->resolve.question, NULL, 0,
                         "too many names are being asked for at once", now_ms);
    }
}

/* ---- routes ---- */

/* A route to everything would replace the machine's own default route; two halves do not. */
static size_t split_network(const struct network *network, struct network halves[2])
{
    halves[0] = *network;
    if (network->prefix_bits > 0) {
        return 1;
    }
    halves[0].prefix_bits = 1;
    halves[1] = halves[0];
    halves[1].address.bytes[0] = 0x80;
    return 2;
}

static struct netlink_pair pair_of(const struct gateway_route *route)
{
    return (struct netlink_pair){
        .local = route->local,
        .peer = route->peer,
        .protocol = route->protocol,
        .peer_port_first = route->port_first,
        .peer_port_last = route->port_last,
        .local_port_first = route->local_port_first,
        .local_port_last = route->local_port_last,
    };
}

static void add_pair(struct daemon *daemon, const struct gateway_route *route)
{
    const struct netlink_control_ports ports = {daemon->port, daemon->nat_port};
    struct netlink_pair pair = pair_of(route);
    char why[256];

    daemon->guard_is_stale = true;
    if (!netlink_pair_add(&daemon->netlink, &pair, &ports, daemon->tun.interface_index, why,
                          sizeof(why))) {
        log_line(daemon->log, LOG_LEVEL_WARNING, "routes", "%s", why);
        gateway_route_failed(daemon->gateway, &route->network, why);
    }
}

static void remove_pair(struct daemon *daemon, const struct gateway_route *route)
{
    struct netlink_pair pair = pair_of(route);
    char why[256];

    daemon->guard_is_stale = true;
    if (!netlink_pair_remove(&daemon->netlink, &pair, daemon->tun.interface_index, why,
                             sizeof(why))) {
        log_line(daemon->log, LOG_LEVEL_WARNING, "routes", "%s", why);
    }
}

static void add_network(struct daemon *daemon, const struct gateway_route *route)
{
    const struct network *network = &route->network;
    const struct address *source =
        address_is_unset(&route->local)
            ? apply_own_address(daemon, (enum family)network->address.family)
            : &route->local;
    struct network parts[2];
    size_t count = split_network(network, parts);
    char why[256];

    for (size_t i = 0; i < count; i++) {
        if (!netlink_route_add(&daemon->netlink, &parts[i], daemon->tun.interface_index, source,
                               why, sizeof(why))) {
            log_line(daemon->log, LOG_LEVEL_WARNING, "routes", "%s", why);
            gateway_route_failed(daemon->gateway, network, why);
            return;
        }
    }
}

static void remove_network(struct daemon *daemon, const struct network *network)
{
    struct network parts[2];
    size_t count = split_network(network, parts);
    char why[256];

    for (size_t i = 0; i < count; i++) {
        if (!netlink_route_remove(&daemon->netlink, &parts[i], daemon->tun.interface_index, why,
                                  sizeof(why))) {
            log_line(daemon->log, LOG_LEVEL_WARNING, "routes", "%s", why);
        }
    }
}

static void add_route(struct daemon *daemon, const struct gateway_route *route)
{
    if (route->transport) {
        add_pair(daemon, route);
    } else {
        add_network(daemon, route);
    }
}

static void remove_route(struct daemon *daemon, const struct gateway_route *route)
{
    if (route->transport) {
        remove_pair(daemon, route);
    } else {
        remove_network(daemon, &route->network);
    }
}

/* ---- people ---- */

static void ask_login(struct daemon *daemon, struct gateway_action *action, uint64_t now_ms)
{
    logins_ask(daemon, action->login.job, action->login.question, now_ms);
    login_question_fini(action->login.question);
    free(action->login.question);
}

static void tell_session(struct daemon *daemon, struct gateway_action *action, uint64_t now_ms)
{
    logins_session(daemon, action->session, now_ms);
    free(action->session);
}

/* Given to us by a gateway of which we are a client, for our device. */
static void set_address(struct daemon *daemon, const struct address *address, bool add)
{
    uint8_t bits = (uint8_t)(8 * address_bytes((enum family)address->family));
    int device = daemon->tun.interface_index;
    char why[256];
    bool done =
        add ? netlink_address_add(&daemon->netlink, device, address, bits, why, sizeof(why))
            : netlink_address_remove(&daemon->netlink, device, address, bits, why, sizeof(why));

    if (!done) {
        log_line(daemon->log, LOG_LEVEL_WARNING, "device", "%s", why);
    }
}

/* ---- all of them ---- */

static void run_action(struct daemon *daemon, struct gateway_action *action, uint64_t now_ms)
{
    switch (action->kind) {
    case GATEWAY_SEND:
        send_message(daemon, action, now_ms);
        break;
    case GATEWAY_KEY_EXCHANGE:
        start_exchange(daemon, action->key_exchange, now_ms);
        break;
    case GATEWAY_PROOF:
        start_proof(daemon, action);
        break;
    case GATEWAY_RESOLVE:
        ask_resolver(daemon, action, now_ms);
        break;
    case GATEWAY_TCP_OPEN:
        streams_open(daemon->streams, action->tcp_open.question, &action->tcp_open.local,
                     &action->tcp_open.peer, now_ms);
        break;
    case GATEWAY_TCP_KEEP:
        streams_keep(daemon->streams, &action->tcp.local, &action->tcp.peer);
        break;
    case GATEWAY_TCP_RELEASE:
        streams_release(daemon->streams, &action->tcp.local, &action->tcp.peer, now_ms);
        break;
    case GATEWAY_READ_SECRET:
        read_secret(daemon, action, now_ms);
        break;
    case GATEWAY_READ_CERTIFICATES:
        read_certificates(daemon, action, now_ms);
        break;
    case GATEWAY_ROUTE_ADD:
        add_route(daemon, &action->route);
        break;
    case GATEWAY_ROUTE_REMOVE:
        remove_route(daemon, &action->route);
        break;
    case GATEWAY_SITE_CHANGED:
        break; /* the gateway has said it in the log */
    case GATEWAY_FIND_SOURCE:
        find_source(daemon, action, now_ms);
        break;
    case GATEWAY_LOGIN:
        ask_login(daemon, action, now_ms);
        break;
    case GATEWAY_SESSION:
        tell_session(daemon, action, now_ms);
        break;
    case GATEWAY_ADDRESS_ADD:
    case GATEWAY_ADDRESS_REMOVE:
        set_address(daemon, &action->address, action->kind == GATEWAY_ADDRESS_ADD);
        break;
    }
}

void actions_run(struct daemon *daemon, uint64_t now_ms)
{
    struct gateway_action action;

    while (gateway_next_action(daemon->gateway, &action)) {
        run_action(daemon, &action, now_ms);
    }
}

void actions_take_answers(struct daemon *daemon, uint64_t now_ms)
{
    struct resolve_answer answer;
    struct exchange *exchange;

    while ((exchange = jobs_take(daemon->jobs)) != NULL) {
        actions_finish(daemon, exchange, now_ms);
    }
    tokens_turn(daemon, now_ms);
    revocation_turn(daemon->revocation, now_ms);
    queue_late(daemon);
    while (resolve_next(daemon->resolve, &answer)) {
        if (!revocation_resolved(daemon->revocation, &answer)) {
            gateway_resolved(daemon->gateway, answer.question, answer.addresses, answer.count,
                             answer.why, now_ms);
        }
    }
}
