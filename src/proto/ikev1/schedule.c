/*
 * When things are done: decides what is begun next, what a deadline that has come means, when the
 * next one is, and what follows when an ISAKMP SA is gone.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- what waits ---- */

bool ikev1_pend(struct ikev1_sa *sa, const struct ikev1_child_policy *policy,
                const struct selector *local, const struct selector *remote, uint64_t at_ms,
                uint8_t retries)
{
    for (size_t i = 0; i < sa->pending_count; i++) {
        struct ikev1_pending *p = &sa->pending[i];

        if (p->policy == policy && selector_equal(&p->local, local) &&
            selector_equal(&p->remote, remote)) {
            p->at_ms = ikev1_earlier(p->at_ms, at_ms);
            return true;
        }
    }
    if (sa->pending_count == IKEV1_PENDING_MAX) {
        return false;
    }
    if (sa->pending == NULL) {
        sa->pending = calloc(IKEV1_PENDING_MAX, sizeof(*sa->pending));
        if (sa->pending == NULL) {
            return false;
        }
    }
    sa->pending[sa->pending_count++] = (struct ikev1_pending){
        .policy = policy,
        .local = *local,
        .remote = *remote,
        .at_ms = at_ms,
        .retries = retries,
    };
    return true;
}

void ikev1_pending_remove(struct ikev1_sa *sa, size_t index)
{
    sa->pending_count--;
    memmove(&sa->pending[index], &sa->pending[index + 1],
            (sa->pending_count - index) * sizeof(sa->pending[0]));
    if (sa->pending_count == 0) {
        free(sa->pending);
        sa->pending = NULL;
    }
}

/* In transport mode what is not of the family of the two ends never comes to be. */
static bool is_for_others(const struct ikev1_sa *sa, const struct ikev1_child_policy *policy,
                          const struct selector *local)
{
    return policy->mode != IKEV1_MODE_TUNNEL &&
           local->addresses.first.family != sa->local.address.family;
}

void ikev1_pend_all(struct ikev1_turn *t, const struct ikev1_child_policy *policy)
{
    struct selector local;
    struct selector remote;
    struct ikev1_failure failure;

    for (size_t i = 0; selectors_pair_at(policy->local, policy->local_count, policy->remote,
                                         policy->remote_count, i, &local, &remote);
         i++) {
        if (is_for_others(t->sa, policy, &local) ||
            ikev1_child_is_there(t->sa, policy, &local, &remote)) {
            continue;
        }
        if (!ikev1_pend(t->sa, policy, &local, &remote, t->now_ms, 0)) {
            ikev1_failure_set(&failure, IKEV1_FAIL_RESOURCES, IKEV1_QUICK, 0,
                              "too many children wait");
            ikev1_tell_child_failed(t, policy, &failure);
            return;
        }
    }
}

bool ikev1_sa_has_children(const struct ikev1_sa *sa, const struct ikev1_child_policy *child)
{
    struct selector local;
    struct selector remote;
    size_t i = 0;

    while (selectors_pair_at(child->local, child->local_count, child->remote, child->remote_count,
                             i, &local, &remote)) {
        if (!is_for_others(sa, child, &local) &&
            !ikev1_child_is_there(sa, child, &local, &remote)) {
            return false;
        }
        i++;
    }
    return true;
}

/* ---- ISAKMP SAs ---- */

bool ikev1_may_begin(const struct ikev1_sa *sa)
{
    return sa->policy != NULL && (sa->initiator || sa->policy->initiate);
}

bool ikev1_is_beginning(const struct ikev1_sa *sa)
{
    for (const struct ikev1_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->initiator && !ikev1_ike_is_usable(ike)) {
            return true;
        }
    }
    return false;
}

void ikev1_choose_current(struct ikev1_sa *sa)
{
    struct ikev1_ike *best = NULL;

    for (struct ikev1_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ikev1_ike_is_usable(ike) && (best == NULL || ike->expire_ms > best->expire_ms)) {
            best = ike;
        }
    }
    if (best != NULL) {
        best->phase = IKEV1_IKE_LIVE;
        best->drop_ms = NEVER_MS;
    }
    sa->current = best;
}

void ikev1_lost(struct ikev1_turn *t, enum ikev1_failure_reason reason)
{
    struct ikev1_sa *sa = t->sa;

    ikev1_choose_current(sa);
    if (sa->current != NULL || sa->state != IKEV1_STATE_UP || ikev1_is_beginning(sa)) {
        return;
    }
    if (sa->children == NULL && sa->pending_count == 0) {
        ikev1_over_for(t, reason, 0, 0, "");
    } else if (ikev1_may_begin(sa)) {
        sa->begin_ms = t->now_ms;
    }
}

/* Children without an ISAKMP SA and without a way to one: they end with their lifetime, or when
 * nothing is heard through them. */
static uint64_t abandoned_ms(const struct ikev1_sa *sa)
{
    uint64_t wait_ms = IKEV1_IDLE_MS;

    if (sa->state != IKEV1_STATE_UP || sa->current != NULL || ikev1_may_begin(sa) ||
        ikev1_is_beginning(sa)) {
        return NEVER_MS;
    }
    if (sa->policy->liveness_ms != NEVER_MS && 4 * sa->policy->liveness_ms > wait_ms) {
        wait_ms = 4 * sa->policy->liveness_ms;
    }
    return ikev1_after(sa->heard_ms, wait_ms);
}

static bool is_in_use(const struct ikev1_sa *sa, const struct ikev1_ike *ike)
{
    for (const struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (q->ike == ike && q->step != IKEV1_QUICK_DONE) {
            return true;
        }
    }
    return false;
}

/* Replaced ones are deleted when nobody needs them any more; when their time is over in any case.
 */
static uint64_t end_of(const struct ikev1_sa *sa, const struct ikev1_ike *ike)
{
    if (ike->phase == IKEV1_IKE_DELETED) {
        return ike->drop_ms;
    }
    if (!ikev1_ike_is_usable(ike)) {
        return NEVER_MS;
    }
    return is_in_use(sa, ike) ? ike->expire_ms : ikev1_earlier(ike->expire_ms, ike->drop_ms);
}

static void end_ike(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    bool current = ike == t->sa->current;

    if (ike->phase == IKEV1_IKE_DELETED) {
        ikev1_ike_forget(t, ike);
        return;
    }
    ikev1_send_delete_ike(t, ike);
    ikev1_ike_deleted(t, ike);
    if (current) {
        ikev1_lost(t, IKEV1_FAIL_EXPIRED);
    }
}

/* ---- what is next ---- */

static size_t own_quicks(const struct ikev1_sa *sa)
{
    size_t count = 0;

    for (const struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (q->initiator && q->step != IKEV1_QUICK_DONE) {
            count++;
        }
    }
    return count;
}

/* Or another one with the same traffic, which comes to the same. */
static bool is_being_rekeyed(const struct ikev1_sa *sa, const struct ikev1_child *child)
{
    for (const struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (q->initiator && q->step != IKEV1_QUICK_DONE && q->policy == child->policy &&
            (q->old_spi_in == child->spi_in ||
             (selector_equal(&q->offered_local, &child->offered_local) &&
              selector_equal(&q->offered_remote, &child->offered_remote)))) {
            return true;
        }
    }
    return false;
}

static struct ikev1_child *next_to_rekey(const struct ikev1_sa *sa)
{
    for (struct ikev1_child *child = sa->children; child != NULL; child = child->next) {
        if (child->phase == IKEV1_CHILD_UP && child->due) {
            return child;
        }
    }
    return NULL;
}

static bool quick_may_begin(const struct ikev1_sa *sa)
{
    return sa->current != NULL && !ikev1_settings_are_open(sa) &&
           own_quicks(sa) < IKEV1_OWN_QUICKS_MAX && sa->quick_count < IKEV1_QUICKS_MAX &&
           sa->child_count < IKEV1_CHILDREN_MAX;
}

static void begin_quicks(struct ikev1_turn *t)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_child *child;
    size_t i = 0;

    while (quick_may_begin(sa) && (child = next_to_rekey(sa)) != NULL) {
        child->due = false;
        if (!is_being_rekeyed(sa, child) && !ikev1_child_is_outdated(sa, child)) {
            ikev1_quick_begin(t, child->policy, NULL, NULL, child, 0);
        }
    }
    while (i < sa->pending_count && quick_may_begin(sa)) {
        struct ikev1_pending p = sa->pending[i];

        if (p.at_ms > t->now_ms) {
            i++;
            continue;
        }
        ikev1_pending_remove(sa, i);
        /* Meanwhile the peer may have made it. */
        if (!ikev1_child_is_there(sa, p.policy, &p.local, &p.remote)) {
            ikev1_quick_begin(t, p.policy, &p.local, &p.remote, NULL, p.retries);
        }
    }
}

static bool wants_isakmp(const struct ikev1_sa *sa)
{
    return sa->pending_count > 0 || next_to_rekey(sa) != NULL || sa->liveness_wanted;
}

static uint64_t liveness_ms(const struct ikev1_sa *sa)
{
    if (sa->state != IKEV1_STATE_UP || sa->current == NULL || !sa->current->peer_liveness ||
        sa->current->liveness_open) {
        return NEVER_MS;
    }
    return ikev1_after(sa->heard_ms, sa->policy->liveness_ms);
}

/* At the end of every event. */
void ikev1_turn_finish(struct ikev1_turn *t)
{
    struct ikev1_sa *sa = t->sa;

    if (sa->state != IKEV1_STATE_UP) {
        return;
    }
    if (sa->current == NULL) {
        if (ikev1_may_begin(sa) && !ikev1_is_beginning(sa) &&
            (sa->begin_ms <= t->now_ms || (sa->begin_ms == NEVER_MS && wants_isakmp(sa)))) {
            ikev1_phase1_begin(t);
        }
        return;
    }
    if (sa->liveness_wanted || liveness_ms(sa) <= t->now_ms) {
        sa->liveness_wanted = false;
        ikev1_liveness_begin(t, sa->current);
    }
    if (ikev1_earlier(sa->current->rekey_ms, sa->begin_ms) <= t->now_ms && ikev1_may_begin(sa) &&
        !ikev1_is_beginning(sa)) {
        sa->current->rekey_ms = NEVER_MS;
        ikev1_phase1_begin(t);
    }
    begin_quicks(t);
}

/* ---- time ---- */

/* What is due, one after the other: what is done may take others away. */
static bool step(struct ikev1_turn *t)
{
    struct ikev1_sa *sa = t->sa;

    for (struct ikev1_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->handshake != NULL && ikev1_phase1_deadline_ms(ike) <= t->now_ms) {
            ikev1_phase1_time(t, ike);
            return true;
        }
        if (ikev1_transactions_deadline_ms(ike) <= t->now_ms) {
            ikev1_transactions_time(t, ike);
            return true;
        }
        if (ike->liveness.deadline_ms <= t->now_ms) {
            ikev1_liveness_time(t, ike);
            return true;
        }
        if (end_of(sa, ike) <= t->now_ms) {
            end_ike(t, ike);
            return true;
        }
        if (ike->fragments.end_ms <= t->now_ms) {
            ikev1_fragments_drop(sa, ike);
            return true;
        }
    }
    for (struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (ikev1_quick_deadline_ms(q) <= t->now_ms) {
            ikev1_quick_time(t, q);
            return true;
        }
    }
    return false;
}

static uint64_t child_deadline_ms(const struct ikev1_child *child)
{
    switch (child->phase) {
    case IKEV1_CHILD_GRACE:
        return child->remove_ms;
    case IKEV1_CHILD_REPLACED:
        return ikev1_earlier(child->remove_ms, child->expire_ms);
    case IKEV1_CHILD_UP:
        return ikev1_earlier(ikev1_earlier(child->use_ms, child->rekey_ms),
                             ikev1_earlier(child->remove_ms, child->expire_ms));
    }
    return NEVER_MS;
}

static void time_of_children(struct ikev1_turn *t)
{
    struct ikev1_child *next;

    for (struct ikev1_child *child = t->sa->children; child != NULL; child = next) {
        next = child->next;
        if (child_deadline_ms(child) <= t->now_ms) {
            ikev1_child_time(t, child);
            /* More than itself may be gone. */
            next = t->sa->children;
        }
    }
}

#define STEPS_MAX (IKEV1_QUICKS_MAX + 4 * IKEV1_IKES_MAX)

void ikev1_sa_time(struct ikev1_sa *sa, uint64_t now_ms, struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);

    for (size_t i = 0; i < STEPS_MAX && sa->state != IKEV1_STATE_OVER && step(&t); i++) {
    }
    if (sa->state != IKEV1_STATE_UP) {
        return;
    }
    time_of_children(&t);
    if (abandoned_ms(sa) <= now_ms || (sa->current == NULL && sa->children == NULL &&
                                       sa->pending_count == 0 && !ikev1_is_beginning(sa))) {
        ikev1_over_for(&t, IKEV1_FAIL_EXPIRED, 0, 0, "");
        return;
    }
    ikev1_turn_finish(&t);
}

static uint64_t due_pending_ms(const struct ikev1_sa *sa)
{
    uint64_t due = NEVER_MS;

    if (!quick_may_begin(sa)) {
        return NEVER_MS;
    }
    for (size_t i = 0; i < sa->pending_count; i++) {
        due = ikev1_earlier(due, sa->pending[i].at_ms);
    }
    return due;
}

uint64_t ikev1_sa_deadline_ms(const struct ikev1_sa *sa)
{
    uint64_t due = NEVER_MS;

    if (sa->state == IKEV1_STATE_OVER) {
        return NEVER_MS;
    }
    for (const struct ikev1_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        due = ikev1_earlier(due, ikev1_phase1_deadline_ms(ike));
        due = ikev1_earlier(due, ikev1_transactions_deadline_ms(ike));
        due = ikev1_earlier(due, ike->liveness.deadline_ms);
        due = ikev1_earlier(due, end_of(sa, ike));
        due = ikev1_earlier(due, ike->fragments.end_ms);
    }
    for (const struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        due = ikev1_earlier(due, ikev1_quick_deadline_ms(q));
    }
    for (const struct ikev1_child *child = sa->children; child != NULL; child = child->next) {
        due = ikev1_earlier(due, child_deadline_ms(child));
    }
    if (sa->state != IKEV1_STATE_UP) {
        return due;
    }
    if (sa->current != NULL && ikev1_may_begin(sa) && !ikev1_is_beginning(sa)) {
        due = ikev1_earlier(due, sa->current->rekey_ms);
    }
    if (ikev1_may_begin(sa) && !ikev1_is_beginning(sa)) {
        due = ikev1_earlier(due, sa->begin_ms);
    }
    due = ikev1_earlier(due, liveness_ms(sa));
    due = ikev1_earlier(due, abandoned_ms(sa));
    return ikev1_earlier(due, due_pending_ms(sa));
}
