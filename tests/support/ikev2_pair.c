/*
 * The driver of two IKEv2 machines: decides how their questions are answered and what is remembered
 * of what they do.
 */
#include "tests/support/ikev2_pair.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/protect.h"

#define DELIVERIES_MAX 10000

/* ---- set-up ---- */

static struct selector network_selector(uint32_t address, uint8_t prefix_bits)
{
    struct network n = {.address = address_ipv4(address), .prefix_bits = prefix_bits};

    return selector_of_network(&n);
}

static void set_proposal(struct proposals *out, uint8_t protocol, const char *words)
{
    char why[256];

    out->count = 1;
    if (!proposal_parse(protocol, slice_of_text(words), &out->list[0], why, sizeof(why))) {
        abort();
    }
}

void ikev2_pair_set_ike(struct ikev2_pair *pair, unsigned side, const char *words)
{
    set_proposal(&pair->side[side].ike_proposals, PROTOCOL_IKE, words);
}

static void set_child_proposals(struct pair_side *s, uint8_t protocol, const char *words)
{
    for (size_t i = 0; i < PAIR_POLICIES_MAX; i++) {
        set_proposal(&s->child_proposals[i], protocol, words);
    }
}

void ikev2_pair_set_esp(struct ikev2_pair *pair, unsigned side, const char *words)
{
    set_child_proposals(&pair->side[side], PROTOCOL_ESP, words);
}

void ikev2_pair_set_ah(struct ikev2_pair *pair, unsigned side, const char *words)
{
    set_child_proposals(&pair->side[side], PROTOCOL_AH, words);
}

static void set_child(struct pair_side *s, size_t index, const char *name, struct selector local,
                      struct selector remote, bool start)
{
    struct ikev2_child_policy *child = &s->children_policy[index];

    memset(child->name, 0, sizeof(child->name));
    if (!text_copy(child->name, sizeof(child->name), slice_of_text(name))) {
        abort();
    }
    s->local[index][0] = local;
    s->remote[index][0] = remote;
    child->policy_id = (uint32_t)index + 1;
    child->local = s->local[index];
    child->local_count = 1;
    child->remote = s->remote[index];
    child->remote_count = 1;
    child->lifetime_ms = NEVER_MS;
    child->start = start;
    if (s->policy.child_count < index + 1) {
        s->policy.child_count = index + 1;
    }
}

void ikev2_pair_add_child(struct ikev2_pair *pair, unsigned n, bool start)
{
    char name[8] = "child0";
    uint32_t third = n << 8;

    assert(n < 10);
    name[5] = (char)('0' + n);
    for (unsigned i = 0; i < 2; i++) {
        struct pair_side *s = &pair->side[i];
        struct selector own = network_selector((i == 0 ? 0x0a010000u : 0x0a020000u) | third, 24);
        struct selector other = network_selector((i == 0 ? 0x0a020000u : 0x0a010000u) | third, 24);

        set_child(s, s->policy.child_count, name, own, other, start);
    }
}

static void set_side(struct ikev2_pair *pair, unsigned index, uint64_t seed)
{
    struct pair_side *s = &pair->side[index];
    struct ikev2_policy *p = &s->policy;
    uint32_t own = index == 0 ? 0x0a010000u : 0x0a020000u;
    uint32_t other = index == 0 ? 0x0a020000u : 0x0a010000u;

    seeded_random_init(&s->seeded, seed * 2 + index);
    s->random = seeded_random_source(&s->seeded);
    s->next_spi = 0x10000000u * (index + 1) + 1;
    s->endpoint.address = address_ipv4(index == 0 ? 0xc0000201u : 0xcb007102u);
    s->endpoint.port = 500;
    /* Without ML-KEM a handshake has the four messages of RFC 7296 1.2; tests that want more say
     * so. */
    proposals_default(PROTOCOL_IKE, &s->ike_proposals);
    proposals_drop_post_quantum(&s->ike_proposals);
    p->ike = &s->ike_proposals;
    if (!ike_identity_parse(slice_of_text(index == 0 ? "left.example" : "right.example"),
                            &p->local_id) ||
        !ike_identity_parse(slice_of_text(index == 0 ? "right.example" : "left.example"),
                            &p->peer_id) ||
        !secret_set(&p->shared_key, SLICE_TEXT("a shared key that both sides know"))) {
        abort();
    }
    p->ike_lifetime_ms = NEVER_MS;
    p->liveness_ms = NEVER_MS;
    p->retransmit_first_ms = 1000;
    p->retransmit_max_ms = 30000;
    p->retransmit_tries = 6;
    p->grace_ms = 10000;
    p->allow_encapsulation = true;
    p->fragmentation = true;
    p->fragment_bytes = 1280;
    p->children = s->children_policy;
    for (size_t i = 0; i < PAIR_POLICIES_MAX; i++) {
        proposals_default(PROTOCOL_ESP, &s->child_proposals[i]);
        s->children_policy[i].proposals = &s->child_proposals[i];
    }
    set_child(s, 0, "net", network_selector(own, 16), network_selector(other, 16), true);
    s->ike_lists[0] = p->ike;
    s->responder.ike = s->ike_lists;
    s->responder.ike_count = 1;
    s->responder.fragmentation = true;
    s->responder.fragment_bytes = 1280;
    s->responder.half_open_ms = 30000;
    ikev2_gate_init(&s->gate, &s->random, pair->now_ms);
}

struct ikev2_pair *ikev2_pair_new(uint64_t seed)
{
    static bool started;
    struct ikev2_pair *pair = calloc(1, sizeof(*pair));

    if (!started && !protect_start(PROTECT_OPENSSL)) {
        abort();
    }
    started = true;
    if (pair == NULL) {
        return NULL;
    }
    pair->actions = calloc(1, sizeof(*pair->actions));
    if (pair->actions == NULL) {
        free(pair);
        return NULL;
    }
    pair->now_ms = 1000000;
    set_side(pair, 0, seed);
    set_side(pair, 1, seed);
    return pair;
}

static void asks_drop(struct pair_side *s)
{
    for (size_t i = 0; i < s->ask_count; i++) {
        key_pair_wipe(&s->asks[i].pair);
        ikev2_proof_free(s->asks[i].proof);
    }
    s->ask_count = 0;
}

void ikev2_pair_free(struct ikev2_pair *pair)
{
    if (pair == NULL) {
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        asks_drop(&pair->side[i]);
        ikev2_session_fini(&pair->side[i].session);
        ikev2_sa_free(pair->side[i].sa);
        secret_wipe(&pair->side[i].policy.shared_key);
    }
    while (pair->queue_count > 0) {
        ikev2_pair_drop(pair, 0);
    }
    free(pair->actions);
    free(pair);
}

/* ---- the network ---- */

#define NAT_ADDRESS 0xc6336401u /* 198.51.100.1 */
#define NAT_PORT_OFFSET 10000
#define ENCAPSULATION_PORT 4500

/* What the receiver sees of a datagram of this side; false: nobody gets it. */
static bool route_datagram(const struct ikev2_pair *pair, unsigned from,
                           const struct endpoint *local, const struct endpoint *peer,
                           struct pair_datagram *d)
{
    d->to = 1 - from;
    d->local = *peer;
    d->peer = *local;
    if (!pair->nat) {
        return address_equal(&peer->address, &pair->side[1 - from].endpoint.address);
    }
    struct address outside = address_ipv4(NAT_ADDRESS);

    if (from == 0) {
        d->peer.address = outside;
        d->peer.port = (uint16_t)(local->port + NAT_PORT_OFFSET + pair->nat_port_shift);
        return address_equal(&peer->address, &pair->side[1].endpoint.address);
    }
    /* Only the present mapping leads inside. */
    uint16_t port = (uint16_t)(peer->port - NAT_PORT_OFFSET - pair->nat_port_shift);

    d->local.address = pair->side[0].endpoint.address;
    d->local.port = port;
    return address_equal(&peer->address, &outside) && (port == 500 || port == 4500);
}

/* IKE from port 4500 begins with the non-ESP marker and IKE from port 500 does not (RFC 3948 2.2,
 * 4): who gets the one at the other port can read nothing. The machines never see the marker, so
 * it is the network here that must not let it pass. */
static bool address_datagram(const struct ikev2_pair *pair, unsigned from,
                             const struct endpoint *local, const struct endpoint *peer,
                             struct pair_datagram *d)
{
    return route_datagram(pair, from, local, peer, d) &&
           (local->port == ENCAPSULATION_PORT) == (d->local.port == ENCAPSULATION_PORT);
}

static void queue_add(struct ikev2_pair *pair, unsigned from, const struct endpoint *local,
                      const struct endpoint *peer, struct slice bytes, bool dont_fragment)
{
    struct pair_datagram d = {.length = bytes.length, .dont_fragment = dont_fragment};

    pair->side[from].sends++;
    if (bytes.length > pair->largest_datagram) {
        pair->largest_datagram = bytes.length;
    }
    if (!address_datagram(pair, from, local, peer, &d) || pair->queue_count == PAIR_QUEUE_MAX) {
        return;
    }
    d.bytes = malloc(bytes.length + 1);
    if (d.bytes == NULL) {
        return;
    }
    memcpy(d.bytes, bytes.data, bytes.length);
    if (pair->passes != NULL && !pair->passes(pair->context, pair, &d)) {
        free(d.bytes);
        return;
    }
    pair->queue[pair->queue_count++] = d;
}

void ikev2_pair_drop(struct ikev2_pair *pair, size_t index)
{
    assert(index < pair->queue_count);
    free(pair->queue[index].bytes);
    pair->queue_count--;
    memmove(&pair->queue[index], &pair->queue[index + 1],
            (pair->queue_count - index) * sizeof(pair->queue[0]));
}

/* ---- what a machine does ---- */

static void child_install(struct pair_side *s, const struct ikev2_child_info *info)
{
    assert(s->child_count < PAIR_CHILDREN_MAX);
    struct pair_child *c = &s->children[s->child_count++];

    memset(c, 0, sizeof(*c));
    c->spi_in = info->spi_in;
    c->spi_out = info->spi_out;
    c->replaces_spi_in = info->replaces_spi_in;
    memcpy(c->name, info->policy->name, sizeof(c->name));
    c->suite = info->suite;
    c->encapsulated = info->encapsulated;
    c->initiator = info->initiator;
    c->installs = 1;
    c->info = *info;
    c->info.policy = NULL;
    c->info.key_in = (struct slice){NULL, 0};
    c->info.key_out = (struct slice){NULL, 0};
    c->info.local_selectors = NULL;
    c->info.remote_selectors = NULL;
    assert(info->key_in.length <= PAIR_KEY_BYTES_MAX);
    assert(info->key_in.length == info->key_out.length);
    c->key_bytes = info->key_in.length;
    memcpy(c->key_in, info->key_in.data, c->key_bytes);
    memcpy(c->key_out, info->key_out.data, c->key_bytes);
    assert(info->local_count <= PAIR_SELECTORS_MAX && info->remote_count <= PAIR_SELECTORS_MAX);
    c->local_count = info->local_count;
    c->remote_count = info->remote_count;
    memcpy(c->local, info->local_selectors, c->local_count * sizeof(c->local[0]));
    memcpy(c->remote, info->remote_selectors, c->remote_count * sizeof(c->remote[0]));
}

static struct pair_child *child_of(struct pair_side *s, uint32_t spi_in)
{
    for (size_t i = 0; i < s->child_count; i++) {
        if (s->children[i].spi_in == spi_in && !s->children[i].removed) {
            return &s->children[i];
        }
    }
    return NULL;
}

static void take_ask(struct pair_side *s, const struct ikev2_action *a)
{
    assert(s->ask_count < PAIR_ASKS_MAX);
    struct pair_ask *ask = &s->asks[s->ask_count++];

    memset(ask, 0, sizeof(*ask));
    ask->kind = a->kind;
    if (a->kind == IKEV2_ASK_SPI) {
        ask->id = a->spi.id;
    } else if (a->kind == IKEV2_ASK_PROOF) {
        ask->id = a->proof.id;
        ask->proof = a->proof.question;
    } else if (a->kind == IKEV2_ASK_PPK) {
        ask->id = a->ppk.id;
    } else if (a->kind == IKEV2_ASK_PEER) {
        ask->id = a->peer.id;
        ask->peer_id = a->peer.peer_id;
        ask->requested_id = a->peer.requested_id;
    } else {
        ask->id = a->key_exchange.id;
        ask->group = a->key_exchange.group;
        ask->peer_public_length = a->key_exchange.peer_public.length;
        assert(ask->peer_public_length <= sizeof(ask->peer_public));
        if (ask->peer_public_length > 0) {
            memcpy(ask->peer_public, a->key_exchange.peer_public.data, ask->peer_public_length);
        }
        if (a->key_exchange.pair != NULL) {
            ask->has_pair = true;
            ask->pair = *a->key_exchange.pair;
            ask->pair.private_key = (struct secret){0};
            if (!secret_copy(&ask->pair.private_key, &a->key_exchange.pair->private_key)) {
                abort();
            }
        }
    }
}

static void take_established(struct pair_side *s, const struct ikev2_action *a)
{
    s->spi_i = a->established.spi_i;
    s->spi_r = a->established.spi_r;
    s->suite = a->established.suite;
    s->nat_local = a->established.nat_local;
    s->nat_peer = a->established.nat_peer;
    s->peer_id = a->established.peer_id;
}

static void ike_spi_removed(struct pair_side *s, uint64_t spi)
{
    for (size_t i = 0; i < s->ike_spi_count; i++) {
        if (s->ike_spis[i] == spi) {
            s->ike_spis[i] = s->ike_spis[--s->ike_spi_count];
            return;
        }
    }
    abort(); /* never added */
}

static void take_child(struct ikev2_pair *pair, struct pair_side *s, const struct ikev2_action *a)
{
    struct pair_child *c = child_of(s, a->child.spi_in);

    assert(c != NULL);
    if (a->kind == IKEV2_CHILD_USE) {
        c->used = true;
        c->stopped = false; /* a child can come back when its successor is taken back */
    } else if (a->kind == IKEV2_CHILD_STOP) {
        c->stopped = true;
    } else {
        c->removed = true;
        c->removed_ms = pair->now_ms;
    }
}

/* True when the machine is over. */
static bool take_action(struct ikev2_pair *pair, unsigned side, const struct ikev2_action *a)
{
    struct pair_side *s = &pair->side[side];

    if (pair->watch != NULL) {
        pair->watch(pair->context, side, a);
    }
    switch (a->kind) {
    case IKEV2_SEND:
        queue_add(pair, side, &a->send.local, &a->send.peer, a->send.bytes, a->send.dont_fragment);
        return false;
    case IKEV2_ASK_KEY_EXCHANGE:
    case IKEV2_ASK_SPI:
    case IKEV2_ASK_PEER:
    case IKEV2_ASK_PPK:
    case IKEV2_ASK_PROOF:
        take_ask(s, a);
        return false;
    case IKEV2_TELL_SPI_ADDED:
        assert(s->ike_spi_count < PAIR_SPIS_MAX);
        s->ike_spis[s->ike_spi_count++] = a->ike_spi;
        return false;
    case IKEV2_TELL_SPI_REMOVED:
        ike_spi_removed(s, a->ike_spi);
        return false;
    case IKEV2_TELL_ESTABLISHED:
        s->established++;
        take_established(s, a);
        return false;
    case IKEV2_TELL_REKEYED:
        s->rekeyed++;
        take_established(s, a);
        return false;
    case IKEV2_TELL_REDIRECT:
        s->redirected++;
        s->redirect = a->redirect;
        return false;
    case IKEV2_TELL_TICKET:
        ikev2_session_fini(&s->session);
        if (!ikev2_session_copy(&s->session, a->ticket.session)) {
            abort();
        }
        s->ticket_bytes = a->ticket.bytes.length;
        memcpy(s->ticket, a->ticket.bytes.data, a->ticket.bytes.length);
        return false;
    case IKEV2_TELL_REAUTHENTICATE:
        s->reauthenticate++;
        return false;
    case IKEV2_TELL_INITIAL_CONTACT:
        s->initial_contact++;
        return false;
    case IKEV2_TELL_MOVED:
        s->moved++;
        s->moved_to = a->moved.peer;
        return false;
    case IKEV2_CHILD_INSTALL:
        child_install(s, &a->child);
        return false;
    case IKEV2_CHILD_USE:
    case IKEV2_CHILD_STOP:
    case IKEV2_CHILD_REMOVE:
        take_child(pair, s, a);
        return false;
    case IKEV2_SPI_UNUSED:
        s->esp_spis_unused++;
        return false;
    case IKEV2_TELL_CHILD_FAILED:
        s->child_failed++;
        s->child_failure = a->failed.failure;
        memcpy(s->child_failed_name, a->failed.child_name, sizeof(s->child_failed_name));
        return false;
    case IKEV2_TELL_FAILED:
        s->failed += a->failed.failure.reason != IKEV2_FAIL_NONE ? 1 : 0;
        s->failure = a->failed.failure;
        return true;
    case IKEV2_TELL_CLOSED:
        s->closed++;
        s->failure = a->failed.failure;
        return true;
    case IKEV2_PROBE_DONE:
        s->probes++;
        s->probe_bytes = a->probe.bytes;
        s->probe_passed = a->probe.passed;
        return false;
    case IKEV2_TRACE:
        s->traces++;
        s->retraced += a->trace.retransmitted ? 1 : 0;
        return false;
    }
    return false;
}

static void take_actions(struct ikev2_pair *pair, unsigned side)
{
    struct pair_side *s = &pair->side[side];
    bool over = false;

    for (size_t i = 0; i < pair->actions->count; i++) {
        over = take_action(pair, side, &pair->actions->list[i]) || over;
    }
    pair->actions->count = 0;
    if (over) {
        asks_drop(s);
        ikev2_sa_free(s->sa);
        s->sa = NULL;
    }
}

static void answer(struct ikev2_pair *pair, unsigned side, bool ok)
{
    struct pair_side *s = &pair->side[side];
    struct pair_ask ask = s->asks[0];
    struct secret shared = {0};

    s->ask_count--;
    memmove(&s->asks[0], &s->asks[1], s->ask_count * sizeof(s->asks[0]));
    if (ask.kind == IKEV2_ASK_SPI) {
        uint32_t spi = ok && !s->no_spi ? s->next_spi++ : 0;

        s->esp_spis_given += spi != 0 ? 1 : 0;
        ikev2_sa_answer_spi(s->sa, ask.id, spi, pair->now_ms, pair->actions);
        return;
    }
    if (ask.kind == IKEV2_ASK_PROOF) {
        ikev2_proof_run(ask.proof, s->now_s);
        if (!ok) {
            ask.proof->result = IKEV2_PROOF_NO_MEMORY;
        }
        ikev2_sa_answer_proof(s->sa, ask.id, ask.proof, pair->now_ms, pair->actions);
        ikev2_proof_free(ask.proof);
        return;
    }
    if (ask.kind == IKEV2_ASK_PPK) {
        /* Whatever is asked for: the machine looks at the names. */
        ikev2_sa_answer_ppk(s->sa, ask.id, &s->policy.ppk, s->policy.ppk != NULL ? 1 : 0,
                            pair->now_ms, pair->actions);
        return;
    }
    if (ask.kind == IKEV2_ASK_PEER) {
        bool known =
            ok && !s->answers_nobody &&
            (s->policy.null_auth || ike_identity_matches(&s->policy.peer_id, &ask.peer_id, false));

        ikev2_sa_set_fingerprint(s->sa, s->fingerprint);
        if (s->sends_to != NULL) {
            ikev2_sa_set_redirect(s->sa, s->sends_to);
        }
        ikev2_sa_answer_peer(s->sa, ask.id, known ? &s->policy : NULL, pair->now_ms, pair->actions);
        return;
    }
    ok = ok && key_exchange_step(ask.group, &s->random, ask.has_pair, &ask.pair,
                                 (struct slice){ask.peer_public, ask.peer_public_length}, &shared);
    ikev2_sa_answer_key_exchange(s->sa, ask.id, ok, ok && !ask.has_pair ? &ask.pair : NULL,
                                 ok && ask.peer_public_length > 0 ? &shared : NULL, pair->now_ms,
                                 pair->actions);
    key_pair_wipe(&ask.pair);
    secret_wipe(&shared);
}

/* After each event: what was done, and the answers that are not held. */
static void settle(struct ikev2_pair *pair, unsigned side)
{
    struct pair_side *s = &pair->side[side];

    take_actions(pair, side);
    while (s->sa != NULL && s->ask_count > 0 && !s->holds_asks) {
        answer(pair, side, true);
        take_actions(pair, side);
    }
}

void ikev2_pair_answer(struct ikev2_pair *pair, unsigned side, bool ok)
{
    struct pair_side *s = &pair->side[side];

    assert(s->sa != NULL && s->ask_count > 0);
    answer(pair, side, ok);
    settle(pair, side);
}

void ikev2_pair_start(struct ikev2_pair *pair, unsigned side)
{
    struct pair_side *s = &pair->side[side];
    struct endpoint local = s->endpoint;
    struct endpoint peer = pair->side[1 - side].endpoint;

    assert(s->sa == NULL);
    if (pair->nat && side == 1) {
        /* From outside only a forwarded port leads in, and it stays the same when a NAT is found:
         * it has to be that of port 4500, spoken to from port 4500 at once (RFC 7296 2.23). */
        local.port = ENCAPSULATION_PORT;
        peer.address = address_ipv4(NAT_ADDRESS);
        peer.port = (uint16_t)(ENCAPSULATION_PORT + NAT_PORT_OFFSET + pair->nat_port_shift);
    }
    s->sa = ikev2_sa_new_initiator(&s->policy, &local, &peer, &s->random);
    assert(s->sa != NULL);
    if (s->crash_secret != NULL) {
        ikev2_sa_make_tokens(s->sa, s->crash_secret);
    }
    if (!address_is_unset(&s->redirected_from)) {
        ikev2_sa_redirected_from(s->sa, &s->redirected_from);
    }
    if (s->resumes &&
        !ikev2_sa_resume(s->sa, &s->session, (struct slice){s->ticket, s->ticket_bytes})) {
        abort();
    }
    ikev2_sa_start(s->sa, pair->now_ms, pair->actions);
    settle(pair, side);
}

/* Nobody is there yet: the gate, and perhaps a responder. */
static void admit(struct ikev2_pair *pair, unsigned side, const struct endpoint *local,
                  const struct endpoint *peer, struct slice bytes)
{
    struct pair_side *s = &pair->side[side];
    uint8_t reply[512];
    struct writer w = writer_over(reply, sizeof(reply));

    switch (ikev2_gate_admit(&s->gate, bytes, local, peer, s->cookies_wanted, pair->now_ms,
                             &s->random, &w)) {
    case IKEV2_GATE_DROP:
        return;
    case IKEV2_GATE_REPLY:
        queue_add(pair, side, local, peer, writer_written(&w), false);
        return;
    case IKEV2_GATE_ADMIT:
        s->sa = ikev2_sa_new_responder(&s->responder, local, peer, &s->random);
        assert(s->sa != NULL);
        if (s->crash_secret != NULL) {
            ikev2_sa_make_tokens(s->sa, s->crash_secret);
        }
        ikev2_sa_receive(s->sa, bytes, local, peer, pair->now_ms, pair->actions);
        return;
    }
}

void ikev2_pair_inject(struct ikev2_pair *pair, unsigned to, const struct endpoint *local,
                       const struct endpoint *peer, struct slice bytes)
{
    struct pair_side *s = &pair->side[to];

    if (s->deaf) {
        return;
    }
    if (s->sa == NULL) {
        admit(pair, to, local, peer, bytes);
    } else {
        ikev2_sa_receive(s->sa, bytes, local, peer, pair->now_ms, pair->actions);
    }
    settle(pair, to);
}

void ikev2_pair_deliver_copy(struct ikev2_pair *pair, size_t index)
{
    assert(index < pair->queue_count);
    struct pair_datagram d = pair->queue[index];

    ikev2_pair_inject(pair, d.to, &d.local, &d.peer, (struct slice){d.bytes, d.length});
}

void ikev2_pair_deliver(struct ikev2_pair *pair, size_t index)
{
    assert(index < pair->queue_count);
    struct pair_datagram d = pair->queue[index];

    pair->queue_count--;
    memmove(&pair->queue[index], &pair->queue[index + 1],
            (pair->queue_count - index) * sizeof(pair->queue[0]));
    ikev2_pair_inject(pair, d.to, &d.local, &d.peer, (struct slice){d.bytes, d.length});
    free(d.bytes);
}

size_t ikev2_pair_find(const struct ikev2_pair *pair, unsigned to)
{
    for (size_t i = 0; i < pair->queue_count; i++) {
        if (pair->queue[i].to == to) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool ikev2_pair_deliver_to(struct ikev2_pair *pair, unsigned to)
{
    size_t index = ikev2_pair_find(pair, to);

    if (index == SIZE_MAX) {
        return false;
    }
    ikev2_pair_deliver(pair, index);
    return true;
}

bool ikev2_pair_run(struct ikev2_pair *pair)
{
    for (size_t i = 0; i < DELIVERIES_MAX; i++) {
        if (pair->queue_count == 0) {
            return true;
        }
        ikev2_pair_deliver(pair, 0);
    }
    return false;
}

void ikev2_pair_time(struct ikev2_pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        if (pair->side[i].sa != NULL) {
            ikev2_sa_time(pair->side[i].sa, pair->now_ms, pair->actions);
            settle(pair, i);
        }
    }
}

void ikev2_pair_advance(struct ikev2_pair *pair, uint64_t ms)
{
    uint64_t end_ms = pair->now_ms + ms;

    (void)ikev2_pair_run(pair);
    for (;;) {
        uint64_t next_ms = NEVER_MS;

        for (unsigned i = 0; i < 2; i++) {
            if (pair->side[i].sa != NULL) {
                uint64_t at_ms = ikev2_sa_deadline_ms(pair->side[i].sa);

                next_ms = at_ms < next_ms ? at_ms : next_ms;
            }
        }
        if (next_ms > end_ms) {
            break;
        }
        /* A deadline that has come and stays would never let time pass. */
        pair->now_ms = next_ms > pair->now_ms ? next_ms : pair->now_ms + 1;
        ikev2_pair_time(pair);
        (void)ikev2_pair_run(pair);
    }
    pair->now_ms = end_ms > pair->now_ms ? end_ms : pair->now_ms;
}

/* ---- orders ---- */

void ikev2_pair_close(struct ikev2_pair *pair, unsigned side)
{
    ikev2_sa_close(pair->side[side].sa, IKEV2_FAIL_ORDERED, pair->now_ms, pair->actions);
    settle(pair, side);
}

void ikev2_pair_rekey(struct ikev2_pair *pair, unsigned side)
{
    ikev2_sa_rekey(pair->side[side].sa, pair->now_ms, pair->actions);
    settle(pair, side);
}

void ikev2_pair_rekey_child(struct ikev2_pair *pair, unsigned side, uint32_t spi_in)
{
    ikev2_sa_rekey_child(pair->side[side].sa, spi_in, pair->now_ms, pair->actions);
    settle(pair, side);
}

void ikev2_pair_start_child(struct ikev2_pair *pair, unsigned side, unsigned policy)
{
    ikev2_sa_start_child(pair->side[side].sa, &pair->side[side].children_policy[policy],
                         pair->now_ms, pair->actions);
    settle(pair, side);
}

void ikev2_pair_start_child_for(struct ikev2_pair *pair, unsigned side, unsigned policy,
                                const struct ikev2_packet *packet)
{
    ikev2_sa_start_child_for(pair->side[side].sa, &pair->side[side].children_policy[policy], packet,
                             pair->now_ms, pair->actions);
    settle(pair, side);
}

void ikev2_pair_close_child(struct ikev2_pair *pair, unsigned side, uint32_t spi_in)
{
    ikev2_sa_close_child(pair->side[side].sa, spi_in, pair->now_ms, pair->actions);
    settle(pair, side);
}

void ikev2_pair_probe_path(struct ikev2_pair *pair, unsigned side, uint16_t bytes)
{
    ikev2_sa_probe_path(pair->side[side].sa, bytes, pair->now_ms, pair->actions);
    settle(pair, side);
}

void ikev2_pair_ask_liveness(struct ikev2_pair *pair, unsigned side)
{
    ikev2_sa_ask_liveness(pair->side[side].sa, pair->now_ms, pair->actions);
    settle(pair, side);
}

void ikev2_pair_carry(struct ikev2_pair *pair, unsigned side, const struct endpoint *local,
                      const struct endpoint *peer)
{
    if (ikev2_sa_carry(pair->side[side].sa, local, peer, pair->now_ms, pair->actions)) {
        settle(pair, side);
    }
}

void ikev2_pair_redirect(struct ikev2_pair *pair, unsigned side, const struct ikev2_redirect *to)
{
    ikev2_sa_redirect(pair->side[side].sa, to, pair->now_ms, pair->actions);
    settle(pair, side);
}

/* ---- what was recorded ---- */

struct pair_child *ikev2_pair_child(struct ikev2_pair *pair, unsigned side, uint32_t spi_in)
{
    return child_of(&pair->side[side], spi_in);
}

struct pair_child *ikev2_pair_outbound(struct ikev2_pair *pair, unsigned side,
                                       const char *child_name)
{
    struct pair_side *s = &pair->side[side];
    struct pair_child *found = NULL;

    /* The one that was told to be used last. */
    for (size_t i = 0; i < s->child_count; i++) {
        struct pair_child *c = &s->children[i];

        if (c->used && !c->stopped && !c->removed && strcmp(c->name, child_name) == 0) {
            found = c;
        }
    }
    return found;
}

/* The child of the other side that opens what this one seals. */
static struct pair_child *counterpart(struct ikev2_pair *pair, unsigned side,
                                      const struct pair_child *c)
{
    struct pair_child *other = child_of(&pair->side[1 - side], c->spi_out);

    return other != NULL && other->spi_out == c->spi_in ? other : NULL;
}

static bool same_keys(const struct pair_child *a, const struct pair_child *b)
{
    return a->key_bytes == b->key_bytes && a->key_bytes > 0 &&
           memcmp(a->key_in, b->key_out, a->key_bytes) == 0 &&
           memcmp(a->key_out, b->key_in, a->key_bytes) == 0;
}

/* In transport mode through a NAT each side has the addresses that it sees. */
static bool same_selectors(const struct pair_child *c, const struct selector *a, size_t a_count,
                           const struct selector *b, size_t b_count)
{
    bool translated = !address_is_unset(&c->info.original_local);

    for (size_t i = 0; i < a_count && a_count == b_count; i++) {
        struct selector seen = a[i];

        if (translated) {
            seen.addresses = b[i].addresses;
        }
        if (!selector_equal(&seen, &b[i])) {
            return false;
        }
    }
    return a_count == b_count;
}

bool ikev2_pair_packet(struct ikev2_pair *pair, unsigned from, const char *child_name)
{
    const struct pair_child *out = ikev2_pair_outbound(pair, from, child_name);
    struct pair_side *to = &pair->side[1 - from];

    if (out == NULL) {
        return false;
    }
    const struct pair_child *in = counterpart(pair, from, out);

    if (in == NULL || !same_keys(out, in)) {
        return false;
    }
    if (to->sa != NULL) {
        ikev2_sa_child_heard(to->sa, in->spi_in, pair->now_ms, pair->actions);
        settle(pair, 1 - from);
    }
    return true;
}

size_t ikev2_pair_live_children(const struct ikev2_pair *pair, unsigned side)
{
    size_t count = 0;

    for (size_t i = 0; i < pair->side[side].child_count; i++) {
        count += pair->side[side].children[i].removed ? 0 : 1;
    }
    return count;
}

static bool side_agrees(struct ikev2_pair *pair, unsigned side)
{
    struct pair_side *s = &pair->side[side];

    for (size_t i = 0; i < s->child_count; i++) {
        const struct pair_child *c = &s->children[i];

        if (c->removed || c->stopped) {
            continue;
        }
        const struct pair_child *other = counterpart(pair, side, c);

        if (other == NULL || !same_keys(c, other) || c->encapsulated != other->encapsulated ||
            c->info.protocol != other->info.protocol ||
            c->suite.encryption != other->suite.encryption ||
            c->suite.key_bits != other->suite.key_bits ||
            c->suite.integrity != other->suite.integrity || c->suite.esn != other->suite.esn ||
            c->info.transport_mode != other->info.transport_mode ||
            c->info.aggfrag != other->info.aggfrag || c->info.cpi_in != other->info.cpi_out ||
            !same_selectors(c, c->local, c->local_count, other->remote, other->remote_count) ||
            !same_selectors(c, c->remote, c->remote_count, other->local, other->local_count)) {
            return false;
        }
    }
    return true;
}

bool ikev2_pair_agrees(struct ikev2_pair *pair)
{
    return side_agrees(pair, 0) && side_agrees(pair, 1);
}
