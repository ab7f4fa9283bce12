/*
 * When things are done: decides what an idle IKE SA does next, what a deadline that has come means,
 * and when the next one is.
 */
#include "proto/ikev2/machine.h"

#include <stdlib.h>
#include <string.h>

/* ---- small things ---- */

uint64_t ikev2_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t ikev2_after(uint64_t now_ms, uint64_t wait_ms)
{
    return wait_ms >= NEVER_MS - now_ms ? NEVER_MS : now_ms + wait_ms;
}

static uint64_t random_up_to(struct ikev2_sa *sa, uint64_t bound_ms)
{
    if (bound_ms == 0) {
        return 0;
    }
    return bound_ms >= UINT32_MAX ? random_u64(sa->random) % bound_ms
                                  : random_below(sa->random, (uint32_t)bound_ms);
}

uint64_t ikev2_jittered(struct ikev2_sa *sa, uint64_t now_ms, uint64_t lifetime_ms, bool initiator)
{
    if (lifetime_ms == NEVER_MS) {
        return NEVER_MS;
    }
    uint64_t hundredth = lifetime_ms / 100;
    uint64_t least = hundredth * (initiator ? 80 : 88);

    return ikev2_after(now_ms, least + random_up_to(sa, hundredth * 7));
}

uint64_t ikev2_retry_ms(struct ikev2_sa *sa, uint64_t now_ms, unsigned retries)
{
    uint64_t wait_ms = IKEV2_RETRY_MAX_MS;

    if (retries < 5) {
        wait_ms = (uint64_t)IKEV2_RETRY_MS << retries;
    }
    return ikev2_after(now_ms, wait_ms + random_up_to(sa, wait_ms));
}

bool ikev2_pend(struct ikev2_sa *sa, const struct ikev2_child_policy *policy,
                const struct ikev2_packet *packet, uint64_t at_ms, uint8_t retries)
{
    if (sa->pending_count == IKEV2_PENDING_MAX) {
        return false;
    }
    if (sa->pending_count == sa->pending_capacity) {
        size_t capacity = sa->pending_capacity == 0 ? 4 : 2 * sa->pending_capacity;
        struct ikev2_pending *grown = realloc(sa->pending, capacity * sizeof(*sa->pending));

        if (grown == NULL) {
            return false;
        }
        sa->pending = grown;
        sa->pending_capacity = capacity;
    }
    sa->pending[sa->pending_count++] = (struct ikev2_pending){
        .policy = policy,
        .at_ms = at_ms,
        .retries = retries,
    };
    if (packet != NULL) {
        sa->pending[sa->pending_count - 1].packet = *packet;
    }
    return true;
}

void ikev2_pending_remove(struct ikev2_sa *sa, size_t index)
{
    sa->pending_count--;
    memmove(&sa->pending[index], &sa->pending[index + 1],
            (sa->pending_count - index) * sizeof(sa->pending[0]));
    if (sa->pending_count == 0) {
        free(sa->pending);
        sa->pending = NULL;
        sa->pending_capacity = 0;
    }
}

/* ---- what is next ---- */

static struct ikev2_child *next_to_delete(const struct ikev2_sa *sa, uint64_t now_ms)
{
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (child->phase == IKEV2_CHILD_CLOSING && !child->delete_sent &&
            child->confirm_ms <= now_ms) {
            return child;
        }
    }
    return NULL;
}

static struct ikev2_child *next_to_rekey(const struct ikev2_sa *sa, uint64_t now_ms)
{
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (child->phase == IKEV2_CHILD_UP && child->rekey_ms <= now_ms &&
            child->confirm_ms <= now_ms) {
            return child;
        }
    }
    return NULL;
}

static bool carries(const struct ikev2_child *child, const struct ikev2_packet *packet)
{
    return packet == NULL ||
           (selectors_are_within(&packet->local, 1, child->selectors, child->local_count) &&
            selectors_are_within(&packet->remote, 1, child->selectors + child->local_count,
                                 child->remote_count));
}

/* Of one that is being made only what it was begun for is sure. */
static bool will_carry(const struct ikev2_work *work, const struct ikev2_child_policy *policy,
                       const struct ikev2_packet *packet, uint8_t resource)
{
    return work != NULL && work->kind == IKEV2_WORK_CHILD && work->policy == policy &&
           work->packet.resource == resource &&
           (packet == NULL || ikev2_packet_equal(&work->packet, packet));
}

/* There is one already, or one on its way. */
bool ikev2_child_is_there(const struct ikev2_sa *sa, const struct ikev2_child_policy *policy,
                          const struct ikev2_packet *packet)
{
    uint8_t resource = packet != NULL ? packet->resource : 0;

    if (packet != NULL && !ikev2_packet_is_set(packet)) {
        packet = NULL;
    }
    for (const struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (child->policy == policy && child->phase == IKEV2_CHILD_UP &&
            child->resource == resource && carries(child, packet)) {
            return true;
        }
    }
    for (const struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (will_carry(ike->asking, policy, packet, resource)) {
            return true;
        }
    }
    return sa->handshake != NULL && will_carry(sa->handshake->child, policy, packet, resource);
}

static void begin_pending(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;

    size_t i = 0;

    while (i < sa->pending_count) {
        if (sa->pending[i].at_ms > t->now_ms) {
            i++;
        } else {
            struct ikev2_pending pending = sa->pending[i];

            ikev2_pending_remove(sa, i);
            /* Meanwhile the peer may have made it. */
            if (!ikev2_child_is_there(sa, pending.policy, &pending.packet)) {
                ikev2_child_begin(t, ike, pending.policy, NULL, &pending.packet, pending.retries);
                return;
            }
        }
    }
}

static bool is_idle(const struct ikev2_ike *ike)
{
    return ike->asking == NULL && ike->request == NULL;
}

/* While the peer rekeys the IKE SA nothing new is begun about its children (RFC 7296 2.25.2), and
 * none while he goes on with a series of key exchanges: he would refuse it (RFC 9370 2.2.4). */
static bool peer_rekeys(const struct ikev2_ike *ike)
{
    return ike->answering != NULL &&
           (ike->answering->kind == IKEV2_WORK_REKEY_IKE || ikev2_followup_is_awaited(ike));
}

static bool may_be_rekeyed(const struct ikev2_ike *ike)
{
    return !ike->busy && !ikev2_followup_is_awaited(ike);
}

static uint64_t liveness_deadline_ms(const struct ikev2_sa *sa)
{
    return sa->liveness_wanted ? 0 : ikev2_after(sa->heard_ms, sa->policy->liveness_ms);
}

static void begin_liveness(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    t->sa->liveness_wanted = false;
    ikev2_informational_begin(t, ike, IKEV2_WORK_LIVENESS, 0);
}

/* While it is not sure that the peer knows the current IKE SA, its predecessor is the one that both
 * have: there he can be asked whether he lives, and there he learns where we are now. */
static struct ikev2_ike *predecessor(const struct ikev2_sa *sa)
{
    for (struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->phase == IKEV2_IKE_REPLACED && is_idle(ike)) {
            return ike;
        }
    }
    return NULL;
}

static void begin_next(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_child *child = next_to_delete(sa, t->now_ms);

    if (ikev2_mobile_due_ms(sa) <= t->now_ms) {
        ikev2_mobile_begin(t, ike);
        return;
    }
    if (child != NULL && !peer_rekeys(ike)) {
        ikev2_informational_begin(t, ike, IKEV2_WORK_DELETE_CHILD, child->spi_in);
        return;
    }
    if (sa->liveness_wanted || ikev2_crash_is_due(sa) || ikev2_redirect_is_due(sa) ||
        ikev2_after(sa->heard_ms, sa->policy->liveness_ms) <= t->now_ms) {
        sa->liveness_wanted = false;
        ikev2_informational_begin(t, ike, IKEV2_WORK_LIVENESS, 0);
        return;
    }
    if (ike->rekey_ms <= t->now_ms && may_be_rekeyed(ike)) {
        ikev2_rekey_begin(t, ike);
        return;
    }
    if (peer_rekeys(ike)) {
        return;
    }
    child = next_to_rekey(sa, t->now_ms);
    if (child != NULL) {
        ikev2_child_begin(t, ike, child->policy, child, NULL, child->retries);
        return;
    }
    begin_pending(t, ike);
    if (sa->probe_wanted != 0 && is_idle(ike) && sa->state == IKEV2_STATE_UP) {
        uint16_t bytes = sa->probe_wanted;

        sa->probe_wanted = 0;
        ikev2_informational_probe(t, ike, bytes);
    }
}

/* At the end of every event. */
void ikev2_turn_finish(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;

    if (sa->state != IKEV2_STATE_UP) {
        return;
    }
    for (struct ikev2_ike *ike = sa->ikes; ike != NULL && sa->state == IKEV2_STATE_UP;
         ike = ike->next) {
        if (ike->phase == IKEV2_IKE_CLOSING && is_idle(ike)) {
            ikev2_informational_begin(t, ike, IKEV2_WORK_DELETE_IKE, 0);
        }
    }
    if (sa->state != IKEV2_STATE_UP || sa->current->phase != IKEV2_IKE_LIVE) {
        return;
    }
    if (sa->current->hold_ms <= t->now_ms) {
        sa->current->hold_ms = 0;
        if (is_idle(sa->current)) {
            begin_next(t, sa->current);
        }
        return;
    }
    struct ikev2_ike *old = predecessor(sa);

    if (old != NULL && ikev2_mobile_due_ms(sa) <= t->now_ms) {
        ikev2_mobile_begin(t, old);
    } else if (old != NULL && liveness_deadline_ms(sa) <= t->now_ms) {
        begin_liveness(t, old);
    }
}

/* ---- time ---- */

static void expire(struct ikev2_turn *t)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, IKEV2_FAIL_PEER_ERROR, IKEV2_CREATE_CHILD_SA, 0,
                      "the IKE SA could not be rekeyed before its lifetime ended");
    ikev2_over_with_delete(t, &failure);
}

static void no_answer(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;

    if (sa->state == IKEV2_STATE_INIT) {
        ikev2_init_give_up(t);
    } else if (!sa->established) {
        ikev2_over_for(t, IKEV2_FAIL_NO_ANSWER, ike->request_exchange, 0, "");
    } else if (ike == sa->current ||
               (ike->phase == IKEV2_IKE_REPLACED && sa->current->hold_ms > t->now_ms)) {
        ikev2_over_for(t, IKEV2_FAIL_PEER_DEAD, ike->request_exchange, 0, "");
    } else {
        ikev2_ike_forget(t, ike);
    }
}

/* A question of ours to the gateway was not answered in time. */
static void work_time(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work)
{
    if (work != NULL && work->deadline_ms <= t->now_ms) {
        ikev2_work_continue(t, ike, work, false);
    }
}

static void handshake_time(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    if (h == NULL || sa->state == IKEV2_STATE_OVER) {
        return;
    }
    if (h->deadline_ms <= t->now_ms && h->redirected) {
        ikev2_redirect_gone(t, sa->current, NULL);
    } else if (h->deadline_ms <= t->now_ms) {
        if (h->ppk_offered.length > 0) {
            /* RFC 9867: whoever offered a PPK that we have not went away without a word. */
            struct ikev2_failure failure;

            ikev2_ppk_failure(NULL,
                              h->ppk_differs ? IKEV2_FAIL_PPK_DIFFERS : IKEV2_FAIL_PPK_UNKNOWN,
                              IKEV2_IKE_INTERMEDIATE, h->ppk_offered, &failure);
            ikev2_over(t, &failure);
            return;
        }
        ikev2_over_for(t, IKEV2_FAIL_HALF_OPEN_TIMEOUT, 0, 0, "");
    } else if (h->ask_deadline_ms <= t->now_ms ||
               (h->child != NULL && h->child->deadline_ms <= t->now_ms)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, 0, 0, "a question was not answered in time");
    } else if (h->refused && h->refused_ms <= t->now_ms && h->ask_key_exchange == 0) {
        ikev2_init_give_up(t);
    }
}

static void ike_time(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;

    if (ike->drop_ms <= t->now_ms) {
        ikev2_ike_forget(t, ike);
        return;
    }
    if (!ikev2_ike_time(t, ike)) {
        no_answer(t, ike);
        return;
    }
    if (ike == sa->current && ike->expire_ms <= t->now_ms) {
        expire(t);
        return;
    }
    work_time(t, ike, ike->asking);
    if (sa->state == IKEV2_STATE_UP) {
        work_time(t, ike, ike->answering);
    }
}

void ikev2_sa_time(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    if (sa->state == IKEV2_STATE_OVER || sa->state == IKEV2_STATE_NEW) {
        return;
    }
    handshake_time(&t);
    struct ikev2_ike *ike = sa->ikes;

    while (ike != NULL && sa->state != IKEV2_STATE_OVER) {
        struct ikev2_ike *next = ike->next;

        ike_time(&t, ike);
        ike = next;
    }
    struct ikev2_child *child = sa->children;

    while (child != NULL && sa->state == IKEV2_STATE_UP) {
        struct ikev2_child *next = child->next;

        ikev2_child_time(&t, child);
        child = next;
    }
    ikev2_reauthenticate_time(&t);
    ikev2_follow_time(&t);
    ikev2_turn_finish(&t);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When an idle IKE SA will have something to do. */
static uint64_t idle_deadline_ms(const struct ikev2_sa *sa, const struct ikev2_ike *ike)
{
    uint64_t at_ms = ikev2_earlier(liveness_deadline_ms(sa), ikev2_mobile_due_ms(sa));

    if (may_be_rekeyed(ike)) {
        at_ms = ikev2_earlier(at_ms, ike->rekey_ms);
    }
    for (const struct ikev2_child *child = sa->children; child != NULL && !peer_rekeys(ike);
         child = child->next) {
        if (child->phase == IKEV2_CHILD_UP) {
            at_ms = ikev2_earlier(at_ms, later(child->rekey_ms, child->confirm_ms));
        } else if (child->phase == IKEV2_CHILD_CLOSING && !child->delete_sent) {
            at_ms = ikev2_earlier(at_ms, child->confirm_ms);
        }
    }
    if (ikev2_crash_is_due(sa) || ikev2_redirect_is_due(sa) ||
        (sa->probe_wanted != 0 && !peer_rekeys(ike))) {
        at_ms = 0;
    }
    for (size_t i = 0; i < sa->pending_count && !peer_rekeys(ike); i++) {
        at_ms = ikev2_earlier(at_ms, sa->pending[i].at_ms);
    }
    return later(at_ms, ike->hold_ms);
}

static uint64_t ike_deadline_ms(const struct ikev2_sa *sa, const struct ikev2_ike *ike)
{
    uint64_t at_ms = ikev2_earlier(ike->drop_ms, ike->retransmit.deadline_ms);

    at_ms = ikev2_earlier(at_ms, fragments_deadline_ms(&ike->request_fragments));
    at_ms = ikev2_earlier(at_ms, fragments_deadline_ms(&ike->response_fragments));
    if (ike->asking != NULL) {
        at_ms = ikev2_earlier(at_ms, ike->asking->deadline_ms);
    }
    if (ike->answering != NULL) {
        at_ms = ikev2_earlier(at_ms, ike->answering->deadline_ms);
    }
    if (ike == sa->current && sa->state == IKEV2_STATE_UP) {
        at_ms = ikev2_earlier(at_ms, ike->expire_ms);
        if (is_idle(ike)) {
            at_ms = ikev2_earlier(at_ms, idle_deadline_ms(sa, ike));
        }
        if (ike->hold_ms != 0 && predecessor(sa) != NULL) {
            at_ms = ikev2_earlier(at_ms, liveness_deadline_ms(sa));
            at_ms = ikev2_earlier(at_ms, ikev2_mobile_due_ms(sa));
        }
    }
    return at_ms;
}

static uint64_t handshake_deadline_ms(const struct ikev2_handshake *h)
{
    uint64_t at_ms = ikev2_earlier(h->deadline_ms, h->ask_deadline_ms);

    if (h->refused && h->ask_key_exchange == 0) {
        at_ms = ikev2_earlier(at_ms, h->refused_ms);
    }
    if (h->child != NULL) {
        at_ms = ikev2_earlier(at_ms, h->child->deadline_ms);
    }
    return at_ms;
}

uint64_t ikev2_sa_deadline_ms(const struct ikev2_sa *sa)
{
    uint64_t at_ms = NEVER_MS;

    if (sa->state == IKEV2_STATE_OVER || sa->state == IKEV2_STATE_NEW) {
        return NEVER_MS;
    }
    if (sa->handshake != NULL) {
        at_ms = ikev2_earlier(at_ms, handshake_deadline_ms(sa->handshake));
    }
    at_ms = ikev2_earlier(at_ms, ikev2_reauthenticate_deadline_ms(sa));
    at_ms = ikev2_earlier(at_ms, ikev2_follow_due_ms(sa));
    for (const struct ikev2_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        at_ms = ikev2_earlier(at_ms, ike_deadline_ms(sa, ike));
    }
    for (const struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        at_ms = ikev2_earlier(at_ms, ikev2_earlier(child->use_ms, child->remove_ms));
        if (child->phase == IKEV2_CHILD_UP) {
            at_ms = ikev2_earlier(at_ms, child->expire_ms);
        }
    }
    return at_ms;
}
