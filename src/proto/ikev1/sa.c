/*
 * The IKEv1 machine as others see it: how it begins and ends, answers to its questions, orders, how
 * one takes over what another has, and what is shown of it.
 */
#include "proto/ikev1/sa.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- the beginning and the end ---- */

static struct ikev1_sa *new_machine(const struct endpoint *local, const struct endpoint *peer,
                                    struct random_source *random, bool initiator)
{
    struct ikev1_sa *sa = calloc(1, sizeof(*sa));

    if (sa == NULL) {
        return NULL;
    }
    sa->random = random;
    sa->local = *local;
    sa->peer = *peer;
    sa->initiator = initiator;
    sa->begin_ms = NEVER_MS;
    sa->next_question = random_below(random, UINT32_MAX);
    return sa;
}

struct ikev1_sa *ikev1_sa_new_initiator(const struct ikev1_policy *policy,
                                        const struct endpoint *local, const struct endpoint *peer,
                                        struct random_source *random)
{
    struct ikev1_sa *sa = new_machine(local, peer, random, true);

    if (sa != NULL) {
        sa->policy = policy;
    }
    return sa;
}

struct ikev1_sa *ikev1_sa_new_responder(const struct ikev1_responder_policy *policy,
                                        const struct endpoint *local, const struct endpoint *peer,
                                        struct random_source *random)
{
    struct ikev1_sa *sa = new_machine(local, peer, random, false);

    if (sa != NULL) {
        sa->responder = policy;
    }
    return sa;
}

void ikev1_over(struct ikev1_turn *t, const struct ikev1_failure *failure)
{
    struct ikev1_sa *sa = t->sa;
    bool established = sa->state == IKEV1_STATE_UP;
    struct ikev1_failure copy = *failure;

    if (sa->state == IKEV1_STATE_OVER) {
        return;
    }
    sa->state = IKEV1_STATE_OVER;
    while (sa->quicks != NULL) {
        ikev1_quick_end(t, sa->quicks);
    }
    while (sa->children != NULL) {
        ikev1_child_remove(t, sa->children);
    }
    while (sa->ikes != NULL) {
        ikev1_ike_forget(t, sa->ikes);
    }
    free(sa->pending);
    sa->pending = NULL;
    sa->pending_count = 0;
    ikev1_act(t, established ? IKEV1_TELL_CLOSED : IKEV1_TELL_FAILED)->failed.failure = copy;
}

void ikev1_over_for(struct ikev1_turn *t, enum ikev1_failure_reason reason, uint8_t exchange,
                    uint16_t notify, const char *detail)
{
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, reason, exchange, notify, detail);
    ikev1_over(t, &failure);
}

/* Children first: some peers take the end of the ISAKMP SA for that of everything, others do not
 * (RFC 2408 5.15). */
void ikev1_over_with_delete(struct ikev1_turn *t, const struct ikev1_failure *failure)
{
    struct ikev1_sa *sa = t->sa;

    for (struct ikev1_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->phase == IKEV1_IKE_LOGIN) {
            ikev1_send_delete_ike(t, ike);
        }
    }
    if (sa->state == IKEV1_STATE_UP && sa->current != NULL) {
        for (const struct ikev1_child *c = sa->children; c != NULL; c = c->next) {
            if (c->phase != IKEV1_CHILD_GRACE) {
                ikev1_send_delete_child(t, c);
            }
        }
        for (struct ikev1_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
            if (ikev1_ike_is_usable(ike)) {
                ikev1_send_delete_ike(t, ike);
            }
        }
    }
    ikev1_over(t, failure);
}

void ikev1_sa_free(struct ikev1_sa *sa)
{
    if (sa == NULL) {
        return;
    }
    /* The same way out as any other, only that nobody hears of it. */
    struct ikev1_turn t = {.sa = sa, .now_ms = 0, .actions = NULL};

    ikev1_over_for(&t, IKEV1_FAIL_ORDERED, 0, 0, "");
    ikev1_turn_clear(sa);
    free(sa);
}

void ikev1_sa_rest(struct ikev1_sa *sa)
{
    ikev1_turn_clear(sa);
}

void ikev1_sa_start(struct ikev1_sa *sa, uint64_t now_ms, struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);

    if (sa->initiator && sa->state == IKEV1_STATE_NEW) {
        ikev1_phase1_begin(&t);
    }
}

/* ---- answers ---- */

void ikev1_sa_answer_key_exchange(struct ikev1_sa *sa, uint32_t id, bool ok, struct key_pair *pair,
                                  struct secret *shared, uint64_t now_ms,
                                  struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_ike *ike = sa->ikes;
    struct ikev1_quick *q = sa->quicks;

    while (ike != NULL && (ike->handshake == NULL || ike->handshake->ask_key_exchange != id)) {
        ike = ike->next;
    }
    while (q != NULL && q->ask_key_exchange != id) {
        q = q->next;
    }
    if (id != 0 && ike != NULL) {
        ikev1_phase1_answer_key_exchange(&t, ike, ok, pair, shared);
    } else if (id != 0 && q != NULL) {
        bool pair_only = q->initiator && !q->answered;

        q->ask_key_exchange = 0;
        if (ok && !q->has_pair) {
            ok = pair != NULL;
            if (ok) {
                q->pair = *pair;
                *pair = (struct key_pair){0};
                q->has_pair = true;
            }
        }
        if (ok && !pair_only) {
            ok = shared != NULL;
            if (ok) {
                secret_move(&q->shared, shared);
            }
        }
        ikev1_quick_continue(&t, q, ok);
    }
    ikev1_turn_finish(&t);
    /* Moved from, whether somebody wanted it or not. */
    if (pair != NULL) {
        key_pair_wipe(pair);
    }
    if (shared != NULL) {
        secret_wipe(shared);
    }
}

void ikev1_sa_answer_spi(struct ikev1_sa *sa, uint32_t id, uint32_t spi, uint64_t now_ms,
                         struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_quick *q = sa->quicks;

    while (q != NULL && (id == 0 || (q->ask_spi != id && q->ask_around != id))) {
        q = q->next;
    }
    if (q == NULL) {
        if (spi != 0) {
            ikev1_act(&t, IKEV1_SPI_UNUSED)->esp_spi = spi;
        }
        return;
    }
    if (q->ask_spi == id) {
        q->ask_spi = 0;
        q->spi_in = spi;
    } else {
        q->ask_around = 0;
        q->around_spi_in = spi;
    }
    ikev1_quick_continue(&t, q, spi != 0);
    ikev1_turn_finish(&t);
}

void ikev1_sa_answer_peer(struct ikev1_sa *sa, uint32_t id,
                          const struct ikev1_policy *const *policies, size_t count, uint64_t now_ms,
                          struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_ike *ike = sa->ikes;

    while (ike != NULL && (ike->handshake == NULL || ike->handshake->ask_peer != id)) {
        ike = ike->next;
    }
    if (id != 0 && ike != NULL) {
        ikev1_phase1_answer_peer(&t, ike, policies, count);
        ikev1_turn_finish(&t);
    }
}

void ikev1_sa_answer_proof(struct ikev1_sa *sa, uint32_t id,
                           const struct ikev1_proof_answer *answer, uint64_t now_ms,
                           struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_ike *ike = sa->ikes;

    while (ike != NULL && (ike->handshake == NULL || ike->handshake->ask_proof != id)) {
        ike = ike->next;
    }
    if (id != 0 && ike != NULL) {
        ikev1_phase1_answer_proof(&t, ike, answer);
        ikev1_turn_finish(&t);
    }
}

/* ---- taking over ---- */

/* Where a child stands whose policy is gone: it has a name for nobody and is about to be closed. */
static const struct proposals no_proposals;
static const struct ikev1_child_policy no_policy = {.proposals = &no_proposals,
                                                    .lifetime_ms = NEVER_MS};

static const struct ikev1_child_policy *same_policy(const struct ikev1_policy *policy,
                                                    const struct ikev1_child_policy *old)
{
    for (size_t i = 0; i < policy->child_count; i++) {
        if (strncmp(policy->children[i].name, old->name, IKEV1_CHILD_NAME_BYTES) == 0) {
            return &policy->children[i];
        }
    }
    return &no_policy;
}

static void take_ikes(struct ikev1_turn *t, struct ikev1_turn *from)
{
    while (from->sa->ikes != NULL) {
        struct ikev1_ike *ike = from->sa->ikes;

        from->sa->ikes = ike->next;
        ikev1_act(from, IKEV1_TELL_SPI_REMOVED)->ike_spi = ikev1_ike_own_spi(ike);
        ikev1_act(t, IKEV1_TELL_SPI_ADDED)->ike_spi = ikev1_ike_own_spi(ike);
        ike->begun_serial = t->sa->next_serial;
        ike->next = t->sa->ikes;
        t->sa->ikes = ike;
    }
}

void ikev1_sa_absorb(struct ikev1_sa *sa, struct ikev1_sa *from, uint64_t now_ms,
                     struct ikev1_actions *actions, struct ikev1_actions *from_actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_turn f = ikev1_turn_begin(from, now_ms, from_actions);
    struct ikev1_ike *ike = from->current;
    size_t count = 0;

    struct ikev1_ike *replaced = NULL;

    for (struct ikev1_ike *i = sa->ikes; i != NULL; i = i->next) {
        count++;
        replaced = i->phase == IKEV1_IKE_REPLACED || i->phase == IKEV1_IKE_DELETED ? i : replaced;
    }
    if (count >= IKEV1_IKES_MAX && replaced != NULL && sa->state != IKEV1_STATE_OVER) {
        ikev1_ike_forget(&t, replaced);
        count--;
    }
    /* What came into being in the moments since is begun anew: `from` has just been established. */
    while (from->quicks != NULL) {
        ikev1_quick_end(&f, from->quicks);
    }
    while (from->children != NULL) {
        ikev1_child_remove(&f, from->children);
    }
    if (sa->state == IKEV1_STATE_OVER || from->state != IKEV1_STATE_UP || ike == NULL ||
        count >= IKEV1_IKES_MAX) {
        ikev1_over_for(&f, IKEV1_FAIL_REPLACED, 0, 0, "");
        return;
    }
    while (from->ikes != ike || ike->next != NULL) {
        ikev1_ike_forget(&f, from->ikes != ike ? from->ikes : ike->next);
    }
    from->current = NULL;
    take_ikes(&t, &f);
    bool moved = sa->state == IKEV1_STATE_UP && (!endpoint_equal(&sa->local, &from->local) ||
                                                 !endpoint_equal(&sa->peer, &from->peer));

    if (sa->policy == NULL) {
        sa->policy = from->policy;
        sa->responder = NULL;
    }
    sa->local = from->local;
    sa->peer = from->peer;
    sa->peer_id = from->peer_id;
    ikev1_become_current(&t, ike, false);
    ikev1_settings_again(&t, ike);
    if (moved) {
        ikev1_tell_moved(&t);
    }
    ikev1_over_for(&f, IKEV1_FAIL_NONE, 0, 0, "");
    ikev1_turn_finish(&t);
}

/* ---- orders ---- */

void ikev1_sa_close(struct ikev1_sa *sa, enum ikev1_failure_reason why, uint64_t now_ms,
                    struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, why, 0, 0, "");
    ikev1_over_with_delete(&t, &failure);
}

void ikev1_sa_rekey(struct ikev1_sa *sa, uint64_t now_ms, struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);

    if (sa->state == IKEV1_STATE_UP && sa->current != NULL) {
        sa->current->rekey_ms = ikev1_earlier(sa->current->rekey_ms, now_ms);
        ikev1_turn_finish(&t);
    }
}

void ikev1_sa_rekey_child(struct ikev1_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_child *child = ikev1_child_by_spi_in(sa, spi_in);

    if (child != NULL && child->phase == IKEV1_CHILD_UP) {
        child->due = true;
        ikev1_turn_finish(&t);
    }
}

void ikev1_sa_start_child(struct ikev1_sa *sa, const struct ikev1_child_policy *child,
                          uint64_t now_ms, struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);

    if (sa->state != IKEV1_STATE_OVER) {
        ikev1_pend_all(&t, child);
        ikev1_turn_finish(&t);
    }
}

void ikev1_sa_start_child_for(struct ikev1_sa *sa, const struct ikev1_child_policy *child,
                              const struct ikev1_packet *packet, uint64_t now_ms,
                              struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct selector local;
    struct selector remote;
    struct ikev1_failure failure;

    if (sa->state == IKEV1_STATE_OVER ||
        ikev1_child_is_there(sa, child, &packet->local, &packet->remote)) {
        return;
    }
    for (size_t i = 0; selectors_pair_at(child->local, child->local_count, child->remote,
                                         child->remote_count, i, &local, &remote);
         i++) {
        if (selector_contains(&local, &packet->local) &&
            selector_contains(&remote, &packet->remote)) {
            if (!ikev1_child_is_there(sa, child, &local, &remote) &&
                !ikev1_pend(sa, child, &local, &remote, now_ms, 0)) {
                ikev1_failure_set(&failure, IKEV1_FAIL_RESOURCES, IKEV1_QUICK, 0,
                                  "too many children wait");
                ikev1_tell_child_failed(&t, child, &failure);
            }
            break;
        }
    }
    ikev1_turn_finish(&t);
}

void ikev1_sa_close_child(struct ikev1_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_child *child = ikev1_child_by_spi_in(sa, spi_in);

    if (child != NULL) {
        ikev1_child_close(&t, child);
        ikev1_turn_finish(&t);
    }
}

void ikev1_sa_ask_liveness(struct ikev1_sa *sa, uint64_t now_ms, struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);

    if (sa->state == IKEV1_STATE_UP) {
        sa->liveness_wanted = true;
        ikev1_turn_finish(&t);
    }
}

void ikev1_sa_set_policy(struct ikev1_sa *sa, const struct ikev1_policy *policy)
{
    if (sa->policy == NULL) {
        return;
    }
    sa->policy = policy;
    for (struct ikev1_child *child = sa->children; child != NULL; child = child->next) {
        child->policy = same_policy(policy, child->policy);
        if (child->policy == &no_policy) {
            /* The next event closes it. */
            child->expire_ms = 0;
            child->initiator = false;
        }
    }
    for (struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (q->policy != NULL) {
            q->policy = same_policy(policy, q->policy);
        }
    }
    size_t i = 0;

    while (i < sa->pending_count) {
        sa->pending[i].policy = same_policy(policy, sa->pending[i].policy);
        if (sa->pending[i].policy == &no_policy) {
            ikev1_pending_remove(sa, i);
        } else {
            i++;
        }
    }
}

/* ---- from the data plane ---- */

void ikev1_sa_child_heard(struct ikev1_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    struct ikev1_child *child = ikev1_child_by_spi_in(sa, spi_in);

    if (child == NULL) {
        return;
    }
    sa->heard_ms = now_ms;
    ikev1_quick_proven(&t, spi_in);
    ikev1_child_use(&t, child);
    ikev1_turn_finish(&t);
}

void ikev1_tell_moved(struct ikev1_turn *t)
{
    const struct ikev1_sa *sa = t->sa;
    struct ikev1_action *action = ikev1_act(t, IKEV1_TELL_MOVED);

    action->moved.local = sa->local;
    action->moved.peer = sa->peer;
    action->moved.nat_local = sa->current != NULL && sa->current->nat_local;
    action->moved.nat_peer = sa->current != NULL && sa->current->nat_peer;
}

void ikev1_sa_child_moved(struct ikev1_sa *sa, uint32_t spi_in, const struct endpoint *peer,
                          uint64_t now_ms, struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    const struct ikev1_child *child = ikev1_child_by_spi_in(sa, spi_in);
    bool nat_peer = sa->current == NULL || sa->current->nat_peer;

    if (sa->state != IKEV1_STATE_UP || child == NULL || !child->encapsulated || !nat_peer ||
        endpoint_equal(&sa->peer, peer)) {
        return;
    }
    sa->peer = *peer;
    ikev1_tell_moved(&t);
}

/* ---- for status ---- */

static const char *state_name(const struct ikev1_sa *sa)
{
    switch (sa->state) {
    case IKEV1_STATE_NEW:
        return "new";
    case IKEV1_STATE_CONNECTING:
        return sa->ikes != NULL && sa->ikes->phase == IKEV1_IKE_LOGIN ? "login" : "connecting";
    case IKEV1_STATE_UP:
        if (ikev1_is_beginning(sa)) {
            return "rekeying";
        }
        return sa->current != NULL ? "established" : "dangling";
    case IKEV1_STATE_OVER:
        return "over";
    }
    return "";
}

void ikev1_sa_get_info(const struct ikev1_sa *sa, struct ikev1_sa_info *out)
{
    memset(out, 0, sizeof(*out));
    out->established = sa->state == IKEV1_STATE_UP;
    out->local = sa->local;
    out->peer = sa->peer;
    out->peer_id = sa->peer_id;
    out->child_count = (unsigned)sa->child_count;
    out->initiator = sa->initiator;
    out->state = state_name(sa);
    out->rekey_ms = NEVER_MS;
    const struct ikev1_ike *ike = sa->current != NULL ? sa->current : sa->ikes;

    if (ike != NULL) {
        out->spi_i = ike->spi_i;
        out->spi_r = ike->spi_r;
        out->initiator = ike->initiator;
        out->aggressive = ike->aggressive;
        out->suite = ike->keys.suite;
        out->nat_local = ike->nat_local;
        out->nat_peer = ike->nat_peer;
        out->liveness = ike->peer_liveness;
        out->rekey_ms = ike->rekey_ms;
        out->retransmissions = ike->retransmit.again;
        if (ike->liveness_open) {
            out->open_exchange = IKEV1_INFORMATIONAL;
            out->retransmissions = ike->liveness.again;
        }
    }
    for (const struct ikev1_ike *i = sa->ikes; i != NULL; i = i->next) {
        if (i->initiator && i->handshake != NULL) {
            out->open_exchange = i->aggressive ? IKEV1_AGGRESSIVE : IKEV1_MAIN;
            out->retransmissions = i->retransmit.again;
        }
    }
    for (const struct ikev1_ike *i = sa->ikes; i != NULL; i = i->next) {
        if (i->phase == IKEV1_IKE_LOGIN) {
            out->open_exchange = IKEV1_TRANSACTION;
        }
    }
    for (const struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (q->initiator && q->step != IKEV1_QUICK_DONE) {
            out->open_exchange = IKEV1_QUICK;
            out->retransmissions = q->retransmit.again;
        }
    }
}

bool ikev1_sa_child_at(const struct ikev1_sa *sa, size_t index, struct ikev1_child_info *out)
{
    const struct ikev1_child *child = sa->children;

    while (child != NULL && index > 0) {
        child = child->next;
        index--;
    }
    if (child == NULL) {
        return false;
    }
    ikev1_child_fill_info(sa, child, out);
    return true;
}
