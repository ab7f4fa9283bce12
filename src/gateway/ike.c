/*
 * One IKE SA: its machine is given events, and the machine's actions are carried out. Nothing in
 * here decides about sites; that is asked of sites.c and its neighbours.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/esp.h"

#define SPI_QUESTIONS_MAX 16

/* Questions that can be answered at once, but only when the list of actions was carried out: what
 * an action borrows ends with the next event of its machine. */
struct at_once {
    size_t spi_count;
    uint32_t spi_questions[SPI_QUESTIONS_MAX];
    uint8_t resources[SPI_QUESTIONS_MAX];
    uint32_t ppk_question; /* 0: none */
    size_t ppk_count;
    const struct ikev2_ppk *ppks[PPK_KNOWN_MAX];
};

static struct slice spi_key(const uint64_t *spi)
{
    return (struct slice){(const uint8_t *)spi, sizeof(*spi)};
}

#define INIT_KEY_BYTES 28

static struct slice init_key(uint64_t spi_i, const struct endpoint *peer,
                             uint8_t key[INIT_KEY_BYTES])
{
    put_u64(key, spi_i);
    put_u16(key + 8, peer->port);
    key[10] = peer->address.family;
    memcpy(key + 11, peer->address.bytes, sizeof(peer->address.bytes));
    key[27] = peer->tcp;
    return (struct slice){key, INIT_KEY_BYTES};
}

struct ike *ike_of_spi(const struct gateway *g, uint64_t spi)
{
    return table_find(&g->ike_by_spi, spi_key(&spi));
}

struct ike *ike_of_init(const struct gateway *g, uint64_t spi_i, const struct endpoint *peer)
{
    uint8_t bytes[INIT_KEY_BYTES];

    return table_find(&g->ike_by_init, init_key(spi_i, peer, bytes));
}

struct ike *ike_find(const struct gateway *g, const struct ikev2_header *h,
                     const struct endpoint *peer)
{
    if (h->version >> 4 == 1) {
        return ikev1_find(g, h, peer);
    }
    /* RFC 7296 3.1: who set the flag is the original initiator; ours is the other SPI. */
    uint64_t ours = (h->flags & IKEV2_FLAG_INITIATOR) != 0 ? h->spi_r : h->spi_i;
    struct ike *ike = ours != 0 ? ike_of_spi(g, ours) : ike_of_init(g, h->spi_i, peer);

    return ike != NULL && ike->is_old ? NULL : ike;
}

bool gateway_sent_ike(const struct gateway *gateway, const struct endpoint *local,
                      const struct endpoint *peer, struct slice quoted, uint32_t *total_bytes)
{
    uint32_t heads = peer->address.family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
    struct reader r = reader_over(quoted);
    struct ikev2_header h;

    *total_bytes = 0;
    heads += UDP_HEAD_BYTES;
    /* RFC 3948 2.2: four zeros; at the other port the initiator's SPI, which is never zero. */
    if (quoted.length >= NATT_MARKER_BYTES && get_u32(quoted.data) == 0) {
        read_skip(&r, NATT_MARKER_BYTES);
        heads += NATT_MARKER_BYTES;
    }
    if (!ikev2_read_quoted_header(&r, &h) || h.length > UINT16_MAX) {
        return false;
    }
    uint64_t ours = (h.flags & IKEV2_FLAG_INITIATOR) != 0 ? h.spi_i : h.spi_r;
    const struct ike *ike = ours == 0 ? NULL : ike_of_spi(gateway, ours);

    if (h.version >> 4 == 1) {
        ike = ikev1_find(gateway, &h, peer);
    }

    if (ike == NULL || !endpoint_equal(&ike->peer, peer) || ike->local.port != local->port) {
        return false;
    }
    *total_bytes = heads + h.length;
    return true;
}

/* ---- life ---- */

static struct ike *ike_new(struct gateway *g, const struct endpoint *local,
                           const struct endpoint *peer, uint64_t now_ms)
{
    struct ike *ike = calloc(1, sizeof(*ike));

    if (ike == NULL) {
        return NULL;
    }
    ike->gateway = g;
    ike->local = *local;
    ike->peer = *peer;
    ike->timer.deadline.tag = TIMER_IKE;
    ike->keepalive.deadline.tag = TIMER_KEEPALIVE;
    ike->created_ms = now_ms;
    ike->number = ++g->next_ike;
    ike->next = g->ikes;
    if (g->ikes != NULL) {
        g->ikes->previous = ike;
    }
    g->ikes = ike;
    g->ike_count++;
    return ike;
}

static void forget_todo(struct ike *ike)
{
    struct ike **link = &ike->gateway->ike_todo;

    if (!ike->in_todo) {
        return;
    }
    while (*link != ike) {
        link = &(*link)->next_todo;
    }
    *link = ike->next_todo;
    ike->in_todo = false;
}

void ike_forget_init(struct ike *ike)
{
    struct gateway *g = ike->gateway;
    uint8_t bytes[INIT_KEY_BYTES];

    if (!ike->initiator) {
        struct slice key = init_key(ike->init_spi, &ike->init_peer, bytes);

        if (table_find(&g->ike_by_init, key) == ike) {
            (void)table_remove(&g->ike_by_init, key);
        }
    }
}

static void forget_keys(struct ike *ike)
{
    struct gateway *g = ike->gateway;

    for (size_t i = 0; i < ike->spi_count; i++) {
        (void)table_remove(&g->ike_by_spi, spi_key(&ike->spis[i]));
    }
    ike->spi_count = 0;
    ike_forget_init(ike);
}

void ike_free(struct ike *ike)
{
    struct gateway *g = ike->gateway;

    children_remove_all(ike);
    forget_todo(ike);
    forget_keys(ike);
    admission_end(ike);
    deadlines_remove(&g->deadlines, &ike->timer.deadline);
    deadlines_remove(&g->deadlines, &ike->keepalive.deadline);
    deadlines_remove(&g->deadlines, &ike->path.timer.deadline);
    questions_forget(g, &ike->questions);
    trace_forget_ike(ike);
    transport_ended(ike);
    site_leave(ike);
    machine_free(ike);
    terms_release(ike->terms);
    responder_terms_release(ike->responder_terms);
    free(ike->said);
    if (ike->previous != NULL) {
        ike->previous->next = ike->next;
    } else {
        g->ikes = ike->next;
    }
    if (ike->next != NULL) {
        ike->next->previous = ike->previous;
    }
    g->ike_count--;
    free(ike);
}

/* ---- actions of the machine ---- */

static void ask_key_exchange(struct ike *ike, const struct ikev2_key_exchange_question *q)
{
    struct gateway *g = ike->gateway;
    struct gateway_action probe;
    size_t bytes = sizeof(*probe.key_exchange);

    assert(q->peer_public.length <= KEY_EXCHANGE_PUBLIC_BYTES_MAX);
    probe.key_exchange = calloc(1, bytes);
    if (probe.key_exchange == NULL) {
        return;
    }
    if (q->pair != NULL) {
        struct key_pair *pair = &probe.key_exchange->pair;

        probe.key_exchange->has_pair = true;
        pair->group = q->pair->group;
        pair->public_length = q->pair->public_length;
        memcpy(pair->public_value, q->pair->public_value, q->pair->public_length);
        if (!secret_copy(&pair->private_key, &q->pair->private_key)) {
            free(probe.key_exchange);
            return;
        }
    }
    probe.key_exchange->group = q->group;
    probe.key_exchange->urgent = ike->initiator || ike->established;
    probe.key_exchange->peer_public_length = (uint16_t)q->peer_public.length;
    if (q->peer_public.length > 0) {
        memcpy(probe.key_exchange->peer_public, q->peer_public.data, q->peer_public.length);
    }
    probe.key_exchange->job = questions_ask(g, QUESTION_KEY_EXCHANGE, NULL, ike, q->id);
    struct gateway_action *action =
        probe.key_exchange->job == 0 ? NULL : actions_add(g, GATEWAY_KEY_EXCHANGE);

    if (action == NULL) {
        /* The machine gives the exchange up when nobody answers. */
        key_pair_wipe(&probe.key_exchange->pair);
        free(probe.key_exchange);
        return;
    }
    action->key_exchange = probe.key_exchange;
}

/* When it cannot be asked, the machine gives up after a while. */
static void ask_proof(struct ike *ike, uint32_t id, struct ikev2_proof *proof)
{
    struct gateway *g = ike->gateway;

    if (!encryption_may_open(ike, proof)) {
        ikev2_proof_free(proof);
        return;
    }
    proof->job = questions_ask(g, QUESTION_PROOF, NULL, ike, id);
    struct gateway_action *action = proof->job == 0 ? NULL : actions_add(g, GATEWAY_PROOF);

    if (action == NULL) {
        ikev2_proof_free(proof);
        return;
    }
    action->proof.work = proof;
    action->proof.urgent = ike->initiator;
}

/* The site that the peer means is found, or nobody: both are answered by ike_obey(). */
static void ask_peer(struct ike *ike, const struct ikev2_action *action, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;

    ike->peer_question = action->peer.id;
    free(ike->said);
    ike->said = malloc(sizeof(*ike->said));
    if (ike->said != NULL) {
        *ike->said = action->peer.peer_id;
    }
    if (ike->is_old) {
        ikev1_ask_peer(ike, now_ms);
        return;
    }
    struct site *site =
        action->peer.proves_nothing
            ? identities_unproven(g, &ike->peer)
            : identities_find(g, &action->peer.peer_id, &action->peer.requested_id, &ike->peer);

    if (site != NULL) {
        site_join(site, ike);
        if (!site->secret_known || site->secret_stale || !ppk_is_there(site)) {
            questions_ask_secret_again(site, now_ms);
            if (site->secret_asked) {
                return;
            }
        }
    }
    ike_order(ike, IKE_ORDER_ANSWER_PEER);
}

static void add_spi(struct ike *ike, uint64_t spi)
{
    if (ike->spi_count < IKE_SPIS_MAX && table_add(&ike->gateway->ike_by_spi, spi_key(&spi), ike)) {
        ike->spis[ike->spi_count++] = spi;
        return;
    }
    ike_order_close(ike, IKEV2_FAIL_RESOURCES);
}

static void remove_spi(struct ike *ike, uint64_t spi)
{
    for (size_t i = 0; i < ike->spi_count; i++) {
        if (ike->spis[i] == spi) {
            (void)table_remove(&ike->gateway->ike_by_spi, spi_key(&spi));
            ike->spis[i] = ike->spis[--ike->spi_count];
            return;
        }
    }
}

static void remember_agreed(struct ike *ike, const struct ikev2_action *action)
{
    ike->spi_i = action->established.spi_i;
    ike->spi_r = action->established.spi_r;
    ike->suite = action->established.suite;
    ike->nat_local = action->established.nat_local;
    ike->nat_peer = action->established.nat_peer;
}

void ike_keep_alive(struct ike *ike, uint64_t now_ms)
{
    if (ike->nat_local) {
        gateway_set_timer(ike->gateway, &ike->keepalive, now_ms + KEEPALIVE_MS);
    }
}

static void established(struct ike *ike, const struct ikev2_action *action, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    struct ikev2_sa_info info;

    encryption_proven(ike);
    if (ike->is_old && !ikev1_established(ike, action, now_ms)) {
        return;
    }
    remember_agreed(ike, action);
    machine_get_info(ike, &info);
    ike->local = info.local;
    ike->peer = info.peer;
    ike->established = true;
    ike->established_ms = now_ms;
    responder_terms_release(ike->responder_terms);
    ike->responder_terms = NULL;
    free(ike->said);
    ike->said = NULL;
    admission_end(ike);
    *(ike->initiator ? &g->initiated_ok : &g->answered_ok) += 1;
    ike_keep_alive(ike, now_ms);
    ike->resuming = action->established.resumed;
    g->resumed += action->established.resumed;
    transport_established(ike);
    assert(ike->site != NULL);
    persona_apply(ike);
    negotiations_established(ike, now_ms);
    hosts_established(ike);
    site_established(ike, now_ms);
    ppk_established(ike, now_ms);
    duplicates_established(ike, now_ms);
    if (ike->is_old && ike->old->initial_contact) {
        duplicates_initial_contact(ike);
    }
}

static void ended(struct ike *ike, const struct ikev2_failure *failure, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    bool failed = !ike->established && failure->reason != IKEV2_FAIL_REDIRECTED;

    ike->over = true;
    bool absorbed = ike->is_old && failure->reason == IKEV2_FAIL_NONE;

    if (failed && !ike->initiator && !absorbed && failure->reason != IKEV2_FAIL_ORDERED) {
        admission_failed(g, now_ms);
    }
    if (failure->reason == IKEV2_FAIL_NONE) {
        return;
    }
    if (ike->initiator && failed && ike->site != NULL && failure->reason != IKEV2_FAIL_ORDERED &&
        failure->reason != IKEV2_FAIL_NOT_RESUMED) {
        /* `ike either`: the other version in the next round, whatever was wrong with this one. */
        ike->site->version_failed = true;
    }
    if (failed) {
        *(ike->initiator ? &g->initiated_failed : &g->answered_failed) += 1;
        if (failure->reason != IKEV2_FAIL_ORDERED) {
            enum reason reason = site_reason_of_failure(ike, failure);

            struct site *site = hearsay_failure(ike, reason, failure, now_ms);

            attempts_add(ike, site, reason, failure, now_ms);
            if (site != NULL && (reason == REASON_PPK_DIFFERS || reason == REASON_PPK_UNKNOWN)) {
                ppk_read_again(site, now_ms);
            }
        }
    }
    if (ike->site != NULL && ike->established) {
        negotiations_closed(ike, failure, now_ms);
    }
    if (ike->site != NULL) {
        site_ike_ended(ike, failure, now_ms);
    }
}

static void carry_out(struct ike *ike, const struct ikev2_action *action, struct at_once *at_once,
                      uint64_t now_ms)
{
    struct gateway *g = ike->gateway;

    switch (action->kind) {
    case IKEV2_SEND:
        actions_send(g, &action->send.local, &action->send.peer, action->send.bytes,
                     path_send_size(ike, action->send.bytes.length, action->send.dont_fragment));
        ike->sent_ms = now_ms;
        break;
    case IKEV2_ASK_KEY_EXCHANGE:
        ask_key_exchange(ike, &action->key_exchange);
        break;
    case IKEV2_ASK_SPI:
        if (at_once->spi_count < SPI_QUESTIONS_MAX) {
            at_once->resources[at_once->spi_count] = action->spi.resource;
            at_once->spi_questions[at_once->spi_count++] = action->spi.id;
        }
        break;
    case IKEV2_ASK_PROOF:
        ask_proof(ike, action->proof.id, action->proof.question);
        break;
    case IKEV2_ASK_PEER:
        ask_peer(ike, action, now_ms);
        break;
    case IKEV2_ASK_PPK:
        at_once->ppk_question = action->ppk.id;
        at_once->ppk_count = ppk_known(g, action->ppk.names, action->ppk.count, at_once->ppks);
        break;
    case IKEV2_TELL_SPI_ADDED:
        add_spi(ike, action->ike_spi);
        break;
    case IKEV2_TELL_SPI_REMOVED:
        remove_spi(ike, action->ike_spi);
        break;
    case IKEV2_TELL_ESTABLISHED:
        established(ike, action, now_ms);
        break;
    case IKEV2_TELL_REKEYED:
        remember_agreed(ike, action);
        g->ike_rekeys++;
        negotiations_rekeyed(ike, now_ms);
        break;
    case IKEV2_TELL_REDIRECT:
        redirect_told(ike, &action->redirect, now_ms);
        break;
    case IKEV2_TELL_TICKET:
        resilience_keep_ticket(ike, action->ticket.session, action->ticket.bytes);
        break;
    case IKEV2_TELL_REAUTHENTICATE:
        resilience_reauthenticate(ike, now_ms);
        break;
    case IKEV2_TELL_INITIAL_CONTACT:
        duplicates_initial_contact(ike);
        break;
    case IKEV2_TELL_MOVED:
        if (action->moved.peer.tcp) {
            transport_followed(ike);
        } else {
            mobility_moved(ike, action, now_ms);
        }
        break;
    case IKEV2_CHILD_INSTALL:
        children_install(ike, &action->child, now_ms);
        break;
    case IKEV2_CHILD_USE:
        children_use(ike, action->child.spi_in, now_ms);
        break;
    case IKEV2_CHILD_STOP:
        children_stop(ike, action->child.spi_in, now_ms);
        break;
    case IKEV2_CHILD_REMOVE:
        children_remove(ike, action->child.spi_in, now_ms);
        break;
    case IKEV2_SPI_UNUSED:
        dataplane_release_spi(g->dataplane, action->esp_spi);
        break;
    case IKEV2_TELL_CHILD_FAILED:
        if (ike->site != NULL) {
            negotiations_child_failed(ike, &action->failed.failure, now_ms);
            site_child_failed(ike, action->failed.child_name, &action->failed.failure, now_ms);
        }
        break;
    case IKEV2_TELL_FAILED:
    case IKEV2_TELL_CLOSED:
        ended(ike, &action->failed.failure, now_ms);
        break;
    case IKEV2_PROBE_DONE:
        path_probed(ike, action->probe.bytes, action->probe.passed, now_ms);
        break;
    case IKEV2_TRACE:
        persona_look(ike, action);
        trace_add(ike, action, now_ms);
        break;
    }
}

/* Carries out what the machine said, answers what can be answered at once, and sets the timer.
 * False when the IKE SA is over and gone. */
static bool settle(struct ike *ike, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    struct ikev2_actions *actions = g->machine_actions;
    struct at_once at_once = {0};

    for (;;) {
        for (size_t i = 0; i < actions->count; i++) {
            carry_out(ike, &actions->list[i], &at_once, now_ms);
        }
        if (ike->over) {
            ike_free(ike);
            return false;
        }
        if (at_once.ppk_question != 0) {
            uint32_t ppk_question = at_once.ppk_question;

            at_once.ppk_question = 0;
            machine_answer_ppk(ike, ppk_question, at_once.ppks, at_once.ppk_count, now_ms);
            continue;
        }
        if (at_once.spi_count == 0) {
            break;
        }
        uint32_t question = at_once.spi_questions[--at_once.spi_count];
        uint8_t resource = at_once.resources[at_once.spi_count];
        /* Those of several workers come in at several. */
        uint32_t spi = resource == 0 ? dataplane_reserve_spi(g->dataplane)
                                     : dataplane_reserve_spi_for(g->dataplane, resource - 1u);

        machine_answer_spi(ike, question, spi, now_ms);
    }
    machine_rest(ike);
    gateway_set_timer(g, &ike->timer, machine_deadline_ms(ike));
    return true;
}

/* ---- beginning ---- */

static struct ike *begin_answer(struct gateway *g, const struct endpoint *local,
                                const struct endpoint *peer, const struct ikev2_header *header,
                                uint64_t now_ms)
{
    uint8_t bytes[INIT_KEY_BYTES];
    uint64_t spi_i = header->spi_i;
    struct ike *ike = ike_new(g, local, peer, now_ms);

    if (ike == NULL) {
        return NULL;
    }
    ike->is_old = header->version >> 4 == 1;
    ike->init_spi = spi_i;
    ike->init_peer = *peer;
    ike->responder_terms = responder_terms_hold(g->responder_terms);
    if (!machine_answer(ike) || !table_add(&g->ike_by_init, init_key(spi_i, peer, bytes), ike)) {
        ike_free(ike);
        return NULL;
    }
    crash_new_machine(ike);
    return ike;
}

void ike_answer(struct gateway *g, const struct endpoint *local, const struct endpoint *peer,
                const struct ikev2_header *header, struct slice message, uint64_t now_ms)
{
    struct ike *ike = begin_answer(g, local, peer, header, now_ms);

    if (ike == NULL) {
        return;
    }
    admission_begin(ike);
    g->answered++;
    machine_receive(ike, message, local, peer, now_ms);
    (void)settle(ike, now_ms);
}

void ike_answer_and_forget(struct gateway *g, const struct endpoint *local,
                           const struct endpoint *peer, const struct ikev2_header *header,
                           struct slice message, uint64_t cookie, uint64_t now_ms)
{
    struct ike *ike = begin_answer(g, local, peer, header, now_ms);

    if (ike == NULL) {
        return;
    }
    g->responder_terms->old.cookie = cookie;
    machine_receive(ike, message, local, peer, now_ms);
    g->responder_terms->old.cookie = 0;
    if (settle(ike, now_ms)) {
        ike_free(ike);
    }
}

static void leave_out_answers(struct ikev2_actions *actions)
{
    size_t kept = 0;

    for (size_t i = 0; i < actions->count; i++) {
        if (actions->list[i].kind != IKEV2_SEND) {
            actions->list[kept++] = actions->list[i];
        }
    }
    actions->count = kept;
}

void ike_answer_returned(struct gateway *g, const struct endpoint *local,
                         const struct endpoint *peer, const struct ikev2_header *header,
                         struct slice first, struct slice message, uint64_t now_ms)
{
    struct ike *ike = begin_answer(g, local, peer, header, now_ms);

    if (ike == NULL) {
        return;
    }
    admission_begin(ike);
    g->answered++;
    g->responder_terms->old.cookie = header->spi_r;
    machine_receive(ike, first, local, peer, now_ms);
    g->responder_terms->old.cookie = 0;
    leave_out_answers(g->machine_actions);
    if (settle(ike, now_ms)) {
        machine_receive(ike, message, local, peer, now_ms);
        (void)settle(ike, now_ms);
    }
}

static bool start_populated(struct ike *ike, uint64_t now_ms)
{
    struct ikev2_packet packet;
    size_t part;

    while (populate_take(ike->site, &packet, &part)) {
        machine_start_child_for(ike, part, &packet, now_ms);
        if (!settle(ike, now_ms)) {
            return false;
        }
    }
    return true;
}

struct ike *ike_dial(struct site *site, const struct endpoint *local, const struct endpoint *peer,
                     uint64_t now_ms)
{
    struct gateway *g = site->gateway;

    assert(site->terms != NULL);
    if (g->ike_count >= g->ike_sa_max) {
        return NULL;
    }
    struct ike *ike = ike_new(g, local, peer, now_ms);

    if (ike == NULL) {
        return NULL;
    }
    ike->initiator = true;
    ike->host = redirect_place(site);
    ike->beside = site->returning;
    ike->terms = terms_hold(site->terms);
    ike->is_old = site_speaks_old(site);
    site_join(site, ike);
    if (peer->tcp && !transport_began(ike)) {
        ike_free(ike);
        return NULL;
    }
    terms_refresh_initial_contact(site);
    if (!machine_begin(ike)) {
        ike_free(ike);
        return NULL;
    }
    g->initiated++;
    site->dialled = ike;
    crash_new_machine(ike);
    redirect_dialled(ike);
    resilience_resume(ike, now_ms);
    machine_start(ike, now_ms);
    return settle(ike, now_ms) && start_populated(ike, now_ms) ? ike : NULL;
}

/* ---- events ---- */

/* RFC 7296 1.5, 2.4: an error outside of the protection is only a hint. */
static bool is_clear_notify(struct slice message)
{
    struct reader r = reader_over(message);
    struct ikev2_header header;

    return ikev2_read_header(&r, &header) && header.exchange != IKEV2_IKE_SA_INIT &&
           header.next_payload == IKEV2_NOTIFY;
}

/* Not authentic: it is told when nothing comes of the IKE SA. */
static void note_answer(struct ike *ike, const struct endpoint *peer)
{
    bool same = address_equal(&peer->address, &ike->peer.address);

    if (ike->site == NULL || !ike->initiator || ike->established || ike->peer.tcp ||
        (same && ike->site->roaming == NULL)) {
        return;
    }
    struct roaming *roaming = roaming_of(ike->site);

    if (roaming != NULL) {
        roaming->answered_from = same ? (struct address){.family = FAMILY_NONE} : peer->address;
        roaming->answered_number = ike->number;
    }
}

void ike_receive(struct ike *ike, struct slice message, const struct endpoint *local,
                 const struct endpoint *peer, uint64_t now_ms)
{
    if (!ike->heard) {
        ike->heard = true;
        if (ike->site != NULL && ike->initiator) {
            ike->site->answer_ms = (uint32_t)(now_ms - ike->created_ms);
        }
    }
    ike->heard_ms = now_ms;
    note_answer(ike, peer);
    if (ike->established && is_clear_notify(message)) {
        if (machine_hear_crash(ike, message, now_ms)) {
            (void)settle(ike, now_ms);
        } else {
            crash_denied(ike, message, peer, now_ms);
            notes_hint_ike(ike, now_ms);
        }
        return;
    }
    machine_receive(ike, message, local, peer, now_ms);
    (void)settle(ike, now_ms);
}

void ike_time(struct ike *ike, uint64_t now_ms)
{
    const struct child *heard = children_heard_lately(ike, now_ms);

    if (heard != NULL) {
        machine_child_heard(ike, heard->spi_in, now_ms);
        if (!settle(ike, now_ms)) {
            return;
        }
    }
    machine_time(ike, now_ms);
    if (settle(ike, now_ms)) {
        silence_request_repeated(ike, now_ms);
    }
}

void ike_keepalive(struct ike *ike, uint64_t now_ms)
{
    uint64_t last_ms = children_last_out_ms(ike);

    if (!ike->nat_local) {
        return;
    }
    if (ike->sent_ms > last_ms) {
        last_ms = ike->sent_ms;
    }
    if (now_ms >= last_ms + KEEPALIVE_MS) {
        /* RFC 9329 6.6: not over TCP. */
        if (!ike->peer.tcp) {
            actions_send_keepalive(ike->gateway, &ike->local, &ike->peer);
        }
        ike->sent_ms = now_ms;
        last_ms = now_ms;
    }
    gateway_set_timer(ike->gateway, &ike->keepalive, last_ms + KEEPALIVE_MS);
}

void ike_key_exchange_done(struct ike *ike, uint32_t question, bool ok, struct key_pair *pair,
                           struct secret *shared, uint64_t now_ms)
{
    machine_answer_key_exchange(ike, question, ok, pair, shared, now_ms);
    (void)settle(ike, now_ms);
}

void ike_proof_done(struct ike *ike, uint32_t question, struct ikev2_proof *proof, uint64_t now_ms)
{
    machine_answer_proof(ike, question, proof, now_ms);
    (void)settle(ike, now_ms);
}

void ike_child_heard(struct ike *ike, uint32_t spi_in, uint64_t now_ms)
{
    machine_child_heard(ike, spi_in, now_ms);
    (void)settle(ike, now_ms);
}

/* RFC 7296 2.23: only who is behind a NAT may move without saying so; the machine knows. */
void ike_child_moved(struct ike *ike, uint32_t spi_in, const struct endpoint *peer, uint64_t now_ms)
{
    machine_child_moved(ike, spi_in, peer, now_ms);
    (void)settle(ike, now_ms);
}

void ike_move(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
              bool trying, uint64_t now_ms)
{
    machine_move(ike, local, peer, trying, now_ms);
    (void)settle(ike, now_ms);
}

void ike_test_way(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                  uint64_t now_ms)
{
    machine_test_way(ike, local, peer, now_ms);
    (void)settle(ike, now_ms);
}

void ike_carry(struct ike *ike, uint64_t now_ms)
{
    if (machine_carry(ike, &ike->local, &ike->peer, now_ms)) {
        (void)settle(ike, now_ms);
    }
}

void ike_child_followed(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                        uint64_t now_ms)
{
    /* RFC 9329 1.2: who opened the connection stays with it. */
    if (ike->initiator || !ike->peer.tcp || !machine_carry(ike, local, peer, now_ms)) {
        return;
    }
    transport_followed(ike);
    (void)settle(ike, now_ms);
}

void ike_rekey_child(struct ike *ike, uint32_t spi_in, uint64_t now_ms)
{
    machine_rekey_child(ike, spi_in, now_ms);
    (void)settle(ike, now_ms);
}

void ike_close_child(struct ike *ike, uint32_t spi_in, uint64_t now_ms)
{
    struct child *child = children_find(ike->gateway, spi_in);

    if (child != NULL) {
        child->closing = true;
    }
    machine_close_child(ike, spi_in, now_ms);
    (void)settle(ike, now_ms);
}

/* ---- orders ---- */

void ike_order(struct ike *ike, enum ike_order order)
{
    ike->orders |= (unsigned)order;
    if (!ike->in_todo) {
        ike->in_todo = true;
        ike->next_todo = ike->gateway->ike_todo;
        ike->gateway->ike_todo = ike;
    }
}

void ike_order_close(struct ike *ike, enum ikev2_failure_reason why)
{
    if ((ike->orders & IKE_ORDER_CLOSE) == 0) {
        ike->close_why = why;
    }
    ike_order(ike, IKE_ORDER_CLOSE);
}

static void answer_peer(struct ike *ike, uint64_t now_ms)
{
    struct site *site = ike->site;
    const struct ikev2_policy *policy = NULL;

    if (ike->is_old) {
        ikev1_answer_peer(ike, now_ms);
        return;
    }
    if (site != NULL && site_is_enabled(site) && site->terms != NULL && !ike->gateway->stopping) {
        terms_refresh_initial_contact(site);
        terms_release(ike->terms);
        ike->terms = terms_hold(site->terms);
        policy = &ike->terms->policy;
        machine_set_fingerprint(ike, resilience_fingerprint(site));
        redirect_answer(ike);
        if (site->used != NULL) {
            machine_set_beside(ike);
        }
    }
    uint32_t question = ike->peer_question;

    ike->peer_question = 0;
    machine_answer_peer(ike, question, policy, now_ms);
}

static bool rekey_children(struct ike *ike, uint64_t now_ms)
{
    uint32_t spis[8];
    size_t count = 0;

    for (const struct child *c = ike->children; c != NULL && count < ARRAY_LENGTH(spis);
         c = c->next) {
        if (!c->stopped) {
            spis[count++] = c->spi_in;
        }
    }
    for (size_t i = 0; i < count; i++) {
        machine_rekey_child(ike, spis[i], now_ms);
        if (!settle(ike, now_ms)) {
            return false;
        }
    }
    return true;
}

static bool close_redundant(struct ike *ike, uint64_t now_ms)
{
    for (;;) {
        struct child *child = ike->children;

        while (child != NULL && !child->redundant) {
            child = child->next;
        }
        if (child == NULL) {
            return true;
        }
        child->redundant = false;
        child->closing = true;
        machine_close_child(ike, child->spi_in, now_ms);
        if (!settle(ike, now_ms)) {
            return false;
        }
    }
}

/* Those that are not there. */
static bool start_children(struct ike *ike, uint64_t now_ms)
{
    if (populate_is_on(ike->site)) {
        return start_populated(ike, now_ms);
    }
    for (size_t part = 0; part < ike->terms->policy.child_count; part++) {
        if (children_part_usable(ike, part) && machine_has_children(ike, part)) {
            continue;
        }
        machine_start_child(ike, part, now_ms);
        if (!settle(ike, now_ms)) {
            return false;
        }
    }
    return start_populated(ike, now_ms);
}

static bool is_ordered(struct ike *ike, enum ike_order order)
{
    bool ordered = (ike->orders & (unsigned)order) != 0;

    ike->orders &= ~(unsigned)order;
    return ordered;
}

/* What it has is another one's from now on, and it is over. */
static void absorb(struct ike *ike, uint64_t now_ms)
{
    struct ike *older = ikev1_older(ike);

    if (older == NULL || !machine_absorb(older, ike, now_ms)) {
        ike_order_close(ike, IKEV2_FAIL_ORDERED);
        return;
    }
    ike->gateway->answered_ok++;
    (void)settle(ike, now_ms);
    machine_absorbed(older);
    (void)settle(older, now_ms);
}

void ike_obey(struct ike *ike, uint64_t now_ms)
{
    if (is_ordered(ike, IKE_ORDER_CLOSE)) {
        machine_close(ike, ike->close_why, now_ms);
        if (settle(ike, now_ms)) {
            /* A machine that has nothing to close says nothing. */
            ike_free(ike);
        }
        return;
    }
    if (is_ordered(ike, IKE_ORDER_ABSORB)) {
        absorb(ike, now_ms);
        return;
    }
    if (is_ordered(ike, IKE_ORDER_ANSWER_PEER) && ike->peer_question != 0) {
        answer_peer(ike, now_ms);
        if (!settle(ike, now_ms)) {
            return;
        }
    }
    if (is_ordered(ike, IKE_ORDER_PERSON)) {
        while (people_obey(ike, now_ms)) {
            if (!settle(ike, now_ms)) {
                return;
            }
        }
    }
    if (is_ordered(ike, IKE_ORDER_START_CHILD) && ike->terms != NULL && ike->established) {
        if (!start_children(ike, now_ms)) {
            return;
        }
    }
    if (is_ordered(ike, IKE_ORDER_CLOSE_REDUNDANT) && !close_redundant(ike, now_ms)) {
        return;
    }
    if (is_ordered(ike, IKE_ORDER_REDIRECT)) {
        redirect_send(ike, now_ms);
        if (!settle(ike, now_ms)) {
            return;
        }
    }
    if (is_ordered(ike, IKE_ORDER_HURRY)) {
        machine_hurry(ike, now_ms);
        if (!settle(ike, now_ms)) {
            return;
        }
    }
    if (is_ordered(ike, IKE_ORDER_LIVENESS)) {
        machine_ask_liveness(ike, now_ms);
        if (!settle(ike, now_ms)) {
            return;
        }
    }
    if (is_ordered(ike, IKE_ORDER_ANNOUNCE)) {
        machine_addresses_changed(ike, now_ms);
        if (!settle(ike, now_ms)) {
            return;
        }
    }
    if (is_ordered(ike, IKE_ORDER_PROBE)) {
        machine_probe_path(ike, ike->path.asked, now_ms);
        if (!settle(ike, now_ms)) {
            return;
        }
    }
    if (is_ordered(ike, IKE_ORDER_REKEY)) {
        machine_rekey(ike, now_ms);
        if (!settle(ike, now_ms)) {
            return;
        }
    }
    if (is_ordered(ike, IKE_ORDER_REKEY_CHILDREN)) {
        (void)rekey_children(ike, now_ms);
    }
}
