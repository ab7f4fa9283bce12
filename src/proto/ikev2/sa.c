/*
 * The IKEv2 machine as others see it: how it begins and ends, answers to its questions, orders,
 * and what is shown of it.
 */
#include "proto/ikev2/sa.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ikev2/machine.h"

uint32_t ikev2_question(struct ikev2_sa *sa)
{
    sa->next_question++;
    if (sa->next_question == 0) {
        sa->next_question = 1;
    }
    return sa->next_question;
}

struct ike_identity ikev2_peer_id(const struct ikev2_sa *sa)
{
    struct ike_identity id;

    /* What was proven is not empty. */
    return ike_identity_set(&id, sa->peer_id_type, sa->peer_id_data) ? id
                                                                     : (struct ike_identity){0};
}

/* ---- the beginning and the end ---- */

static struct ikev2_sa *new_machine(const struct endpoint *local, const struct endpoint *peer,
                                    struct random_source *random, bool initiator)
{
    struct ikev2_sa *sa = calloc(1, sizeof(*sa));

    if (sa == NULL) {
        return NULL;
    }
    sa->handshake = ikev2_block_new(sizeof(*sa->handshake));
    if (sa->handshake == NULL) {
        free(sa);
        return NULL;
    }
    sa->handshake->deadline_ms = NEVER_MS;
    sa->handshake->ask_deadline_ms = NEVER_MS;
    sa->random = random;
    sa->local = *local;
    sa->peer = *peer;
    sa->initiator = initiator;
    sa->next_question = random_below(random, UINT32_MAX);
    return sa;
}

struct ikev2_sa *ikev2_sa_new_initiator(const struct ikev2_policy *policy,
                                        const struct endpoint *local, const struct endpoint *peer,
                                        struct random_source *random)
{
    struct ikev2_sa *sa = new_machine(local, peer, random, true);

    if (sa != NULL) {
        sa->policy = policy;
        sa->fragment_bytes = policy->fragment_bytes;
    }
    return sa;
}

struct ikev2_sa *ikev2_sa_new_responder(const struct ikev2_responder_policy *policy,
                                        const struct endpoint *local, const struct endpoint *peer,
                                        struct random_source *random)
{
    struct ikev2_sa *sa = new_machine(local, peer, random, false);

    if (sa != NULL) {
        sa->responder = policy;
        sa->handshake->tickets = policy->tickets;
        sa->fragment_bytes = policy->fragment_bytes;
    }
    return sa;
}

void ikev2_handshake_end(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    if (h == NULL) {
        return;
    }
    sa->handshake = NULL;
    key_pair_wipe(&h->pair);
    ikev2_keys_fini(&h->before);
    ikev2_block_drop(sa, &h->own_message);
    ikev2_block_drop(sa, &h->peer_message);
    ikev2_block_drop(sa, &h->request_chain);
    ikev2_block_drop(sa, &h->own_auth);
    ikev2_keys_fini(&h->plain);
    ikev2_block_drop(sa, &h->plain_auth);
    ikev2_block_drop(sa, &h->ppk_offered);
    if (h->ppk_copy != NULL) {
        secret_wipe(&h->ppk_copy->key);
        ikev2_block_bury(sa, h->ppk_copy);
    }
    ikev2_work_end(t, &h->child);
    ikev2_resume_end(t, h);
    ikev2_block_bury(sa, h->redirect);
    ikev2_block_bury(sa, h);
    if (sa->current != NULL) {
        ikev2_keys_forget_auth(&sa->current->keys);
    }
}

void ikev2_over(struct ikev2_turn *t, const struct ikev2_failure *failure)
{
    struct ikev2_sa *sa = t->sa;
    bool established = sa->established;

    if (sa->state == IKEV2_STATE_OVER) {
        return;
    }
    sa->state = IKEV2_STATE_OVER;
    ikev2_handshake_end(t);
    while (sa->children != NULL) {
        ikev2_child_remove(t, sa->children);
    }
    while (sa->ikes != NULL) {
        ikev2_ike_forget(t, sa->ikes);
    }
    free(sa->pending);
    sa->pending = NULL;
    sa->pending_count = 0;
    sa->pending_capacity = 0;
    ikev2_extra_end(sa);
    ikev2_act(t, established ? IKEV2_TELL_CLOSED : IKEV2_TELL_FAILED)->failed.failure = *failure;
}

void ikev2_over_for(struct ikev2_turn *t, enum ikev2_failure_reason reason, uint8_t exchange,
                    uint16_t notify, const char *detail)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, reason, exchange, notify, detail);
    ikev2_over(t, &failure);
}

static void send_delete(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_outgoing o NOT_ZEROED;

    /* A window of one: when a request is open, the Delete takes the place after it. A peer that
     * has not seen that request ignores this one until his own patience ends. */
    ikev2_request_done(t, ike);
    ikev2_out_begin(&o);
    ikev2_out_delete_ike(&o);
    ikev2_send_request(t, ike, IKEV2_INFORMATIONAL, &o);
}

void ikev2_over_with_delete(struct ikev2_turn *t, const struct ikev2_failure *failure)
{
    struct ikev2_sa *sa = t->sa;
    bool held = sa->established && sa->current->hold_ms > t->now_ms;

    /* In the middle of a rekeying it is not sure which IKE SA the peer takes for the current one.
     */
    for (struct ikev2_ike *ike = sa->ikes; ike != NULL && sa->established; ike = ike->next) {
        if (ike->phase == IKEV2_IKE_LIVE || (held && ike->phase == IKEV2_IKE_REPLACED)) {
            send_delete(t, ike);
        }
    }
    ikev2_over(t, failure);
}

void ikev2_sa_free(struct ikev2_sa *sa)
{
    if (sa == NULL) {
        return;
    }
    /* The same way out as any other, only that nobody hears of it. */
    struct ikev2_turn t = {.sa = sa, .now_ms = 0, .actions = NULL};

    ikev2_over_for(&t, IKEV2_FAIL_ORDERED, 0, 0, "");
    ikev2_block_drop(sa, &sa->peer_id_data);
    ikev2_turn_clear(sa);
    free(sa);
}

void ikev2_sa_rest(struct ikev2_sa *sa)
{
    ikev2_turn_clear(sa);
}

struct ikev2_turn ikev2_turn_begin(struct ikev2_sa *sa, uint64_t now_ms,
                                   struct ikev2_actions *actions)
{
    ikev2_turn_clear(sa);
    return (struct ikev2_turn){.sa = sa, .now_ms = now_ms, .actions = actions};
}

void ikev2_sa_start(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    if (sa->initiator && sa->state == IKEV2_STATE_NEW) {
        ikev2_init_start(&t);
    }
}

/* ---- answers ---- */

/* Whose question it was: an exchange's, with its IKE SA (of the handshake: the current one). */
static struct ikev2_work *find_work(const struct ikev2_sa *sa, uint32_t id, bool spi,
                                    struct ikev2_ike **ike)
{
    struct ikev2_work *child = sa->handshake != NULL ? sa->handshake->child : NULL;

    *ike = sa->current;
    if (id == 0) {
        return NULL;
    }
    if (child != NULL && spi && child->ask_spi == id) {
        return child;
    }
    for (*ike = sa->ikes; *ike != NULL; *ike = (*ike)->next) {
        struct ikev2_work *works[] = {(*ike)->asking, (*ike)->answering};

        for (size_t i = 0; i < ARRAY_LENGTH(works); i++) {
            if (works[i] != NULL && (spi ? works[i]->ask_spi : works[i]->ask_key_exchange) == id) {
                return works[i];
            }
        }
    }
    return NULL;
}

static void work_take_key_exchange(struct ikev2_turn *t, struct ikev2_ike *ike,
                                   struct ikev2_work *work, bool ok, struct key_pair *pair,
                                   struct secret *shared)
{
    bool pair_only = work->initiator && !work->answered;

    work->ask_key_exchange = 0;
    if (ok && !work->has_pair) {
        ok = pair != NULL;
        if (ok) {
            work->pair = *pair;
            *pair = (struct key_pair){0};
            work->has_pair = true;
        }
    }
    if (ok && !pair_only) {
        ok = shared != NULL;
        if (ok && work->following) {
            ok = ikev2_followup_take(work, shared);
        } else if (ok) {
            secret_move(&work->shared, shared);
        }
    }
    work->bad_public = !ok && !pair_only;
    ikev2_work_continue(t, ike, work, ok);
}

void ikev2_sa_answer_key_exchange(struct ikev2_sa *sa, uint32_t id, bool ok, struct key_pair *pair,
                                  struct secret *shared, uint64_t now_ms,
                                  struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct ikev2_ike *ike;
    struct ikev2_work *work = find_work(sa, id, false, &ike);

    if (work != NULL) {
        work_take_key_exchange(&t, ike, work, ok, pair, shared);
        ikev2_turn_finish(&t);
    } else if (id != 0 && sa->handshake != NULL && sa->handshake->ask_key_exchange == id) {
        if (sa->state == IKEV2_STATE_INIT) {
            ikev2_init_answer(&t, ok, pair, shared);
        } else {
            ikev2_intermediate_answer(&t, ok, pair, shared);
        }
    }
    /* Moved from, whether somebody wanted it or not. */
    if (pair != NULL) {
        key_pair_wipe(pair);
    }
    if (shared != NULL) {
        secret_wipe(shared);
    }
}

void ikev2_sa_answer_spi(struct ikev2_sa *sa, uint32_t id, uint32_t spi, uint64_t now_ms,
                         struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct ikev2_ike *ike;
    struct ikev2_work *work = find_work(sa, id, true, &ike);

    if (work == NULL) {
        if (spi != 0) {
            ikev2_act(&t, IKEV2_SPI_UNUSED)->esp_spi = spi;
        }
        return;
    }
    work->ask_spi = 0;
    work->spi_in = spi;
    ikev2_work_continue(&t, ike, work, spi != 0);
    ikev2_turn_finish(&t);
}

void ikev2_sa_answer_peer(struct ikev2_sa *sa, uint32_t id, const struct ikev2_policy *policy,
                          uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    if (id != 0 && sa->handshake != NULL && sa->handshake->ask_peer == id) {
        ikev2_auth_answer_peer(&t, policy);
        ikev2_turn_finish(&t);
    }
}

void ikev2_sa_answer_ppk(struct ikev2_sa *sa, uint32_t id, const struct ikev2_ppk *const *known,
                         size_t count, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    if (id != 0 && sa->handshake != NULL && sa->handshake->ask_ppk == id) {
        ikev2_intermediate_answer_ppk(&t, known, count);
        ikev2_turn_finish(&t);
    }
}

void ikev2_sa_set_beside(struct ikev2_sa *sa)
{
    if (sa->handshake != NULL) {
        sa->handshake->beside = true;
    }
}

void ikev2_sa_answer_proof(struct ikev2_sa *sa, uint32_t id, struct ikev2_proof *proof,
                           uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    if (id != 0 && sa->handshake != NULL && sa->handshake->ask_proof == id) {
        ikev2_auth_answer_proof(&t, proof);
        ikev2_turn_finish(&t);
    }
}

/* ---- orders ---- */

void ikev2_sa_close(struct ikev2_sa *sa, enum ikev2_failure_reason why, uint64_t now_ms,
                    struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, why, 0, 0, "");
    ikev2_over_with_delete(&t, &failure);
}

void ikev2_sa_rekey(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    if (sa->state == IKEV2_STATE_UP && sa->current->phase == IKEV2_IKE_LIVE) {
        sa->current->rekey_ms = ikev2_earlier(sa->current->rekey_ms, now_ms);
        ikev2_turn_finish(&t);
    }
}

void ikev2_sa_rekey_child(struct ikev2_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct ikev2_child *child = ikev2_child_by_spi_in(sa, spi_in);

    if (child != NULL && child->phase == IKEV2_CHILD_UP) {
        child->rekey_ms = ikev2_earlier(child->rekey_ms, now_ms);
        ikev2_turn_finish(&t);
    }
}

static struct ikev2_pending *find_pending(struct ikev2_sa *sa,
                                          const struct ikev2_child_policy *child,
                                          const struct ikev2_packet *packet)
{
    for (size_t i = 0; i < sa->pending_count; i++) {
        if (sa->pending[i].policy == child && ikev2_packet_equal(&sa->pending[i].packet, packet)) {
            return &sa->pending[i];
        }
    }
    return NULL;
}

void ikev2_sa_start_child(struct ikev2_sa *sa, const struct ikev2_child_policy *child,
                          uint64_t now_ms, struct ikev2_actions *actions)
{
    const struct ikev2_packet none = {0};

    ikev2_sa_start_child_for(sa, child, &none, now_ms, actions);
}

void ikev2_sa_start_child_for(struct ikev2_sa *sa, const struct ikev2_child_policy *child,
                              const struct ikev2_packet *packet, uint64_t now_ms,
                              struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    const struct ikev2_packet none = {0};

    /* A packet that the policy has not cannot lead the selectors. */
    if (ikev2_packet_is_set(packet) && !packet->only && !ikev2_policy_has_packet(child, packet)) {
        packet = &none;
    }
    if (sa->state == IKEV2_STATE_OVER || ikev2_child_is_there(sa, child, packet)) {
        return;
    }
    struct ikev2_pending *pending = find_pending(sa, child, packet);

    if (pending != NULL) {
        pending->at_ms = ikev2_earlier(pending->at_ms, now_ms);
        ikev2_turn_finish(&t);
        return;
    }
    if (!ikev2_pend(sa, child, packet, now_ms, 0)) {
        struct ikev2_failure failure;

        ikev2_failure_set(&failure, IKEV2_FAIL_RESOURCES, IKEV2_CREATE_CHILD_SA, 0,
                          "too many children wait");
        ikev2_tell_child_failed(&t, child, &failure);
    }
    ikev2_turn_finish(&t);
}

void ikev2_sa_close_child(struct ikev2_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct ikev2_child *child = ikev2_child_by_spi_in(sa, spi_in);

    if (child != NULL) {
        ikev2_child_close(&t, child);
        ikev2_turn_finish(&t);
    }
}

void ikev2_sa_ask_liveness(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    /* An open request is a question of liveness as well. */
    if (sa->state == IKEV2_STATE_UP && sa->current->request == NULL) {
        sa->liveness_wanted = true;
        ikev2_turn_finish(&t);
    }
}

void ikev2_sa_probe_path(struct ikev2_sa *sa, uint16_t bytes, uint64_t now_ms,
                         struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    if (sa->state != IKEV2_STATE_UP) {
        return;
    }
    bytes = bytes > IKEV2_PROBE_BYTES_MIN ? bytes : IKEV2_PROBE_BYTES_MIN;
    sa->probe_wanted = bytes < IKEV2_PROBE_BYTES_MAX ? bytes : IKEV2_PROBE_BYTES_MAX;
    ikev2_turn_finish(&t);
}

void ikev2_sa_child_heard(struct ikev2_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    struct ikev2_child *child = ikev2_child_by_spi_in(sa, spi_in);

    if (child == NULL) {
        return;
    }
    sa->heard_ms = now_ms;
    child->confirm_ms = 0;
    ikev2_child_use(&t, child);
    ikev2_turn_finish(&t);
}

void ikev2_sa_child_moved(struct ikev2_sa *sa, uint32_t spi_in, const struct endpoint *peer,
                          uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);
    const struct ikev2_child *child = ikev2_child_by_spi_in(sa, spi_in);

    if (sa->state != IKEV2_STATE_UP || child == NULL || !child->encapsulated || !sa->nat_peer ||
        endpoint_equal(&sa->peer, peer)) {
        return;
    }
    if (!ikev2_follow_is_allowed(&t)) {
        return;
    }
    sa->peer = *peer;
    ikev2_tell_moved(&t, true);
}

void ikev2_tell_moved(struct ikev2_turn *t, bool children)
{
    const struct ikev2_sa *sa = t->sa;
    struct ikev2_action *action = ikev2_act(t, IKEV2_TELL_MOVED);

    action->moved.local = sa->local;
    action->moved.peer = sa->peer;
    action->moved.nat_local = sa->nat_local;
    action->moved.nat_peer = sa->nat_peer;
    action->moved.children = children;
}

/* Where a child stands whose policy is gone: it has a name for nobody and is about to be closed. */
static const struct proposals no_proposals;
static const struct ikev2_child_policy no_policy = {.proposals = &no_proposals,
                                                    .lifetime_ms = NEVER_MS};

static const struct ikev2_child_policy *same_policy(const struct ikev2_policy *policy,
                                                    const struct ikev2_child_policy *old)
{
    for (size_t i = 0; i < policy->child_count; i++) {
        if (strncmp(policy->children[i].name, old->name, IKEV2_CHILD_NAME_BYTES) == 0) {
            return &policy->children[i];
        }
    }
    return NULL;
}

static void work_set_policy(struct ikev2_work *work, const struct ikev2_policy *policy)
{
    if (work != NULL && work->policy != NULL) {
        const struct ikev2_child_policy *same = same_policy(policy, work->policy);

        work->policy = same != NULL ? same : &no_policy;
    }
}

void ikev2_sa_set_policy(struct ikev2_sa *sa, const struct ikev2_policy *policy)
{
    if (sa->handshake != NULL && sa->handshake->candidate != NULL) {
        sa->handshake->candidate = policy; /* his proof is being looked at */
    }
    if (sa->policy == NULL) {
        return;
    }
    sa->policy = policy;
    sa->fragment_bytes = policy->fragment_bytes;
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        const struct ikev2_child_policy *same = same_policy(policy, child->policy);

        child->policy = same != NULL ? same : &no_policy;
        if (same == NULL && child->phase != IKEV2_CHILD_GRACE) {
            child->phase = IKEV2_CHILD_CLOSING;
        }
    }
    for (struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        work_set_policy(ike->asking, policy);
        work_set_policy(ike->answering, policy);
    }
    if (sa->handshake != NULL) {
        work_set_policy(sa->handshake->child, policy);
    }
    size_t i = 0;

    while (i < sa->pending_count) {
        sa->pending[i].policy = same_policy(policy, sa->pending[i].policy);
        if (sa->pending[i].policy == NULL) {
            ikev2_pending_remove(sa, i);
        } else {
            i++;
        }
    }
}

/* ---- for status ---- */

static const char *state_name(const struct ikev2_sa *sa)
{
    switch (sa->state) {
    case IKEV2_STATE_NEW:
        return "new";
    case IKEV2_STATE_INIT:
    case IKEV2_STATE_INTERMEDIATE:
        return "connecting";
    case IKEV2_STATE_HALF_OPEN:
        return "half-open";
    case IKEV2_STATE_AUTH:
        return "authenticating";
    case IKEV2_STATE_UP:
        return sa->current->asking != NULL && sa->current->asking->kind == IKEV2_WORK_REKEY_IKE
                   ? "rekeying"
                   : "established";
    case IKEV2_STATE_OVER:
        return "over";
    }
    return "";
}

void ikev2_sa_get_info(const struct ikev2_sa *sa, struct ikev2_sa_info *out)
{
    memset(out, 0, sizeof(*out));
    out->established = sa->state == IKEV2_STATE_UP;
    out->local = sa->local;
    out->peer = sa->peer;
    out->nat_local = sa->nat_local;
    out->nat_peer = sa->nat_peer;
    out->nat_asked = sa->nat_asked;
    out->mobile = sa->mobile;
    out->mobile_initiator = sa->mobile && sa->initiator;
    out->peer_id = ikev2_peer_id(sa);
    out->child_count = (unsigned)sa->child_count;
    out->initiator = sa->initiator;
    out->state = state_name(sa);
    out->rekey_ms = NEVER_MS;
    out->reauthenticate_ms = sa->extra != NULL && sa->extra->reauthenticate_ms != 0
                                 ? sa->extra->reauthenticate_ms
                                 : NEVER_MS;
    if (sa->current != NULL) {
        out->spi_i = sa->current->spi_i;
        out->spi_r = sa->current->spi_r;
        out->initiator = sa->current->initiator;
        out->suite = sa->current->keys.suite;
        out->post_quantum = key_exchange_is_post_quantum(out->suite.key_exchange)
                                ? out->suite.key_exchange
                                : sa->post_quantum;
        out->ppk = (enum ikev2_ppk_use)sa->ppk;
        out->rekey_ms = sa->current->rekey_ms;
        if (sa->current->request != NULL) {
            out->retransmissions = sa->current->retransmit.again;
            out->open_exchange = sa->current->request_exchange;
        }
    }
}

bool ikev2_sa_child_at(const struct ikev2_sa *sa, size_t index, struct ikev2_child_info *out)
{
    const struct ikev2_child *child = sa->children;

    while (child != NULL && index > 0) {
        child = child->next;
        index--;
    }
    if (child == NULL) {
        return false;
    }
    ikev2_child_fill_info(sa, child, out);
    return true;
}
