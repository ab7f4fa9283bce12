/*
 * CREATE_CHILD_SA for children (RFC 7296 1.3.1, 1.3.3, 2.8.1, 2.25.1): decides what happens when
 * one is made or rekeyed by us, by the peer, or by both at once.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

#define RESOURCE_RETRIES_MAX 3

/* ---- CREATE_CHILD_SA by us ---- */

/* Nothing is left to propose: the networks have not the packet, or not the two hosts of transport
 * mode. */
static void child_unwanted(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                           struct ikev2_child *old)
{
    const struct ikev2_child_policy *policy = work->policy;
    struct ikev2_failure failure;

    if (work->packet.resource != 0) {
        ikev2_failure_set(&failure, IKEV2_FAIL_CHILD_RESOURCE, IKEV2_CREATE_CHILD_SA, 0,
                          "there is none for all that it could be like");
    } else {
        ikev2_failure_set(&failure, IKEV2_FAIL_CHILD_SELECTORS, IKEV2_CREATE_CHILD_SA, 0,
                          "the networks have not what the tunnel is to be for");
        ikev2_failure_own_selectors(&failure, policy->local, policy->local_count, policy->remote,
                                    policy->remote_count);
    }
    ikev2_tell_child_failed(t, policy, &failure);
    if (old != NULL) {
        old->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
    }
    ikev2_work_end(t, &ike->asking);
}

void ikev2_child_begin(struct ikev2_turn *t, struct ikev2_ike *ike,
                       const struct ikev2_child_policy *policy, struct ikev2_child *old,
                       const struct ikev2_packet *packet, uint8_t retries)
{
    struct ikev2_work *work =
        ikev2_work_new(old != NULL ? IKEV2_WORK_REKEY_CHILD : IKEV2_WORK_CHILD, true);

    if (work == NULL) {
        if (old != NULL) {
            old->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
        }
        ikev2_tell_child_failed_for(t, policy, IKEV2_FAIL_RESOURCES, 0, "no memory");
        return;
    }
    work->retries = retries;
    ike->asking = work;
    if (!ikev2_child_want(t->sa, work, policy, old, packet)) {
        child_unwanted(t, ike, work, old);
        return;
    }
    if (old == NULL && work->packet.resource != 0) {
        work->resource_id = ikev2_resources_fresh_id(t->sa);
    }
    work->without_group = ikev2_quirk_without_group(t->sa, policy);
    work->group = work->without_group ? KEY_EXCHANGE_NONE : proposal_first_group(policy->proposals);
    /* What was agreed before saves a round of INVALID_KE_PAYLOAD. */
    if (old != NULL && !work->without_group && old->suite.key_exchange != KEY_EXCHANGE_NONE &&
        proposal_has_group(policy->proposals, old->suite.key_exchange)) {
        work->group = old->suite.key_exchange;
    }
    ikev2_work_ask_spi(t, work);
    if (work->group != KEY_EXCHANGE_NONE) {
        work->tried[work->tried_count++] = work->group;
        ikev2_work_ask_key_exchange(t, work, (struct slice){NULL, 0});
    }
}

/* The same again, later. */
static void child_try_later(struct ikev2_turn *t, struct ikev2_work *work, struct ikev2_child *old,
                            uint64_t at_ms)
{
    if (old != NULL) {
        old->rekey_ms = at_ms;
        old->retries = (uint8_t)(work->retries + 1);
    } else if (work->kind == IKEV2_WORK_CHILD && !ikev2_pend(t->sa, work->policy, &work->packet,
                                                             at_ms, (uint8_t)(work->retries + 1))) {
        ikev2_tell_child_failed_for(t, work->policy, IKEV2_FAIL_RESOURCES, 0,
                                    "too many children wait");
    }
}

/* The child that `work` replaces, if it still needs that. */
static struct ikev2_child *child_to_replace(const struct ikev2_sa *sa,
                                            const struct ikev2_work *work)
{
    struct ikev2_child *old =
        work->old_spi_in != 0 ? ikev2_child_by_spi_in(sa, work->old_spi_in) : NULL;

    return old != NULL && old->phase == IKEV2_CHILD_UP ? old : NULL;
}

void ikev2_child_send(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work, bool ok)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_child *old = child_to_replace(sa, work);
    struct ikev2_outgoing o NOT_ZEROED;

    /* Meanwhile the peer was faster, or the IKE SA is another. */
    if (ike != sa->current || ike->phase != IKEV2_IKE_LIVE) {
        if (work->kind == IKEV2_WORK_CHILD) {
            child_try_later(t, work, NULL, t->now_ms);
        }
        ikev2_work_end(t, &ike->asking);
        return;
    }
    if (work->kind == IKEV2_WORK_REKEY_CHILD && old == NULL) {
        ikev2_work_end(t, &ike->asking);
        return;
    }
    ikev2_out_begin(&o);
    if (old != NULL) {
        ikev2_out_notify_child(&o, IKEV2_REKEY_SA, old->protocol, old->spi_in);
    }
    ikev2_nonce_make(sa->random, &work->nonce_i);
    if (!ok || !ikev2_child_write_request(sa, &o, work, PROPOSAL_WITH_ADDITIONAL)) {
        ikev2_tell_child_failed_for(t, work->policy, IKEV2_FAIL_RESOURCES, 0,
                                    "no SPI, no key pair or nothing to offer");
        if (old != NULL) {
            old->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
        }
        ikev2_work_end(t, &ike->asking);
        return;
    }
    ikev2_send_request(t, ike, IKEV2_CREATE_CHILD_SA, &o);
}

/* Somebody ordered it to be closed while it was being replaced: then nothing is to follow it. */
static bool child_is_unwanted(const struct ikev2_child *old)
{
    return old != NULL && old->phase == IKEV2_CHILD_CLOSING && !old->has_successor;
}

/* RFC 7296 2.8.1, 2.25.1: the peer rekeyed the same child, and his is the one that stays. */
static void child_leave_to_rival(struct ikev2_turn *t, struct ikev2_work *work)
{
    struct ikev2_child *old = ikev2_child_by_spi_in(t->sa, work->old_spi_in);
    struct ikev2_child *rival = ikev2_child_by_spi_in(t->sa, work->rival_spi_in);

    if (work->rival_follows) {
        /* Until his is there the old one serves; should it not come, we try again. */
        if (old != NULL) {
            old->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
        }
        return;
    }
    if (child_is_unwanted(old)) {
        if (rival != NULL) {
            ikev2_child_close(t, rival);
        }
        return;
    }
    if (old != NULL) {
        ikev2_child_replaced(t, old);
    }
    if (rival != NULL && !rival->used) {
        rival->use_ms = ikev2_after(t->now_ms, t->sa->policy->grace_ms);
    }
}

/* True when another group may help and is being tried. */
static bool child_try_group(struct ikev2_turn *t, struct ikev2_work *work,
                            const struct ikev2_notify_payload *error)
{
    uint16_t group;

    if (error->type != IKEV2_INVALID_KE_PAYLOAD || work->following ||
        !ikev2_group_may_be_tried(error, work->policy->proposals, work->tried, &work->tried_count,
                                  &group)) {
        return false;
    }
    work->group = group;
    key_pair_wipe(&work->pair);
    work->has_pair = false;
    work->answered = false;
    ikev2_work_ask_key_exchange(t, work, (struct slice){NULL, 0});
    return true;
}

/* The site does without it: no reason to ask for minutes, and none to give the IKE SA up. */
static bool resource_can_wait(const struct ikev2_work *work)
{
    return work->kind == IKEV2_WORK_CHILD && work->packet.resource != 0;
}

static void child_not_made(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                           const struct ikev2_notify_payload *error)
{
    struct ikev2_child *old = child_to_replace(t->sa, work);
    struct ikev2_failure failure;
    uint16_t type = error != NULL ? error->type : 0;

    if (error != NULL && child_try_group(t, work, error)) {
        return;
    }
    if (work->collided) {
        child_leave_to_rival(t, work);
    } else if ((type == IKEV2_TEMPORARY_FAILURE || type == IKEV2_STATE_NOT_FOUND) &&
               !(resource_can_wait(work) && work->retries >= RESOURCE_RETRIES_MAX)) {
        if (work->retries >= IKEV2_RETRIES_MAX) {
            ikev2_failure_set(&failure, IKEV2_FAIL_PEER_ERROR, IKEV2_CREATE_CHILD_SA, type,
                              "the peer was not ready for several minutes");
            ikev2_over_with_delete(t, &failure);
            return;
        }
        child_try_later(t, work, old, ikev2_retry_ms(t->sa, t->now_ms, work->retries));
    } else if (type == IKEV2_CHILD_SA_NOT_FOUND && work->kind == IKEV2_WORK_REKEY_CHILD) {
        if (old != NULL) {
            const struct ikev2_child_policy *policy = old->policy;
            struct ikev2_packet packet = ikev2_child_packet(old);

            ikev2_child_stop(t, old);
            ikev2_child_remove(t, old);
            if (!ikev2_pend(t->sa, policy, &packet, t->now_ms, 0)) {
                ikev2_tell_child_failed_for(t, policy, IKEV2_FAIL_RESOURCES, 0,
                                            "too many children wait");
            }
        }
    } else {
        ikev2_child_refused(work, error, IKEV2_CREATE_CHILD_SA, &failure);
        ikev2_tell_child_failed(t, work->policy, &failure);
        if (old != NULL) {
            old->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
        }
    }
    ikev2_work_end(t, &ike->asking);
}

/* The peer has a child that we cannot have: it is deleted by the SPI that we gave it. */
static void child_disown(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                         const struct ikev2_failure *failure)
{
    struct ikev2_child *old = child_to_replace(t->sa, work);
    uint32_t spi_in = work->spi_in;
    uint8_t protocol = ikev2_child_policy_protocol(work->policy);

    ikev2_tell_child_failed(t, work->policy, failure);
    if (work->collided) {
        child_leave_to_rival(t, work);
    } else if (old != NULL) {
        old->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
    }
    ikev2_work_end(t, &ike->asking);
    ikev2_informational_disown(t, ike, protocol, spi_in);
}

/* A response to IKE_FOLLOWUP_KE. */
static void child_followed(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                           const struct ikev2_message *m)
{
    struct ikev2_failure failure;

    switch (ikev2_followup_response(t, work, m)) {
    case IKEV2_FOLLOWUP_GOES_ON:
        return;
    case IKEV2_FOLLOWUP_REFUSED:
        child_not_made(t, ike, work, ikev2_message_error(m));
        return;
    case IKEV2_FOLLOWUP_MALFORMED:
        ikev2_failure_set(&failure, IKEV2_FAIL_SYNTAX, IKEV2_IKE_FOLLOWUP_KE, 0,
                          "the response has not the key exchange that was agreed");
        child_disown(t, ike, work, &failure);
        return;
    }
}

void ikev2_child_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                          const struct ikev2_message *m)
{
    struct ikev2_work *work = ike->asking;
    struct ikev2_failure failure;
    struct ikev2_ke_payload ke;

    work->answered = true;
    if (work->following) {
        child_followed(t, ike, work, m);
        return;
    }
    if (!m->has[IKEV2_SA]) {
        child_not_made(t, ike, work, ikev2_message_error(m));
        return;
    }
    if (!ikev2_child_verify(t->sa, m, PROPOSAL_WITH_ADDITIONAL, work, &failure)) {
        child_disown(t, ike, work, &failure);
        return;
    }
    ikev2_failure_set(&failure, IKEV2_FAIL_SYNTAX, IKEV2_CREATE_CHILD_SA, 0,
                      "a child without the nonce or key exchange that belongs to it");
    if (!ikev2_message_nonce(m, &work->nonce_r) ||
        (!ikev2_followup_is_done(work) && !ikev2_followup_take_link(t->sa, work, m))) {
        child_disown(t, ike, work, &failure);
        return;
    }
    if (work->choice.suite.key_exchange == KEY_EXCHANGE_NONE) {
        ikev2_child_agreed(t, ike, work, true);
        return;
    }
    if (!m->has[IKEV2_KE] || !ikev2_message_ke(m, &ke) || ke.group != work->group ||
        work->choice.suite.key_exchange != work->group) {
        child_disown(t, ike, work, &failure);
        return;
    }
    ikev2_work_ask_key_exchange(t, work, ke.value);
}

/* Two new children replace one (RFC 7296 2.8.1): the one with the lowest nonce goes, by who made
 * it. */
static bool child_wins(const struct ikev2_work *work)
{
    const struct ikev2_nonce *lowest = ikev2_nonce_lower(&work->nonce_i, &work->nonce_r);

    return !work->collided || !ikev2_nonce_is_lower(lowest, &work->rival_lowest);
}

void ikev2_child_agreed(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        bool ok)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_child *old =
        work->old_spi_in != 0 ? ikev2_child_by_spi_in(sa, work->old_spi_in) : NULL;
    struct ikev2_child *rival =
        work->collided ? ikev2_child_by_spi_in(sa, work->rival_spi_in) : NULL;

    if (!ok) {
        struct ikev2_failure failure;

        ikev2_failure_set(&failure,
                          work->bad_public ? IKEV2_FAIL_BAD_PUBLIC_VALUE : IKEV2_FAIL_RESOURCES,
                          IKEV2_CREATE_CHILD_SA, 0, "");
        child_disown(t, ike, work, &failure);
        return;
    }
    if (!ikev2_followup_is_done(work)) {
        if (child_wins(work)) {
            ikev2_followup_won(t, ike, work);
            ikev2_followup_begin(t, work);
        } else {
            /* RFC 9370 2.2.4: there is nothing to delete yet. */
            child_leave_to_rival(t, work);
            ikev2_work_end(t, &ike->asking);
        }
        return;
    }
    bool unwanted = child_is_unwanted(old);
    struct ikev2_child *child = ikev2_child_install(t, ike, work, &work->nonce_i, &work->nonce_r);

    if (child == NULL) {
        return;
    }
    if (unwanted) {
        ikev2_child_close(t, child);
        if (rival != NULL) {
            ikev2_child_close(t, rival);
        }
    } else if (child_wins(work)) {
        ikev2_followup_won(t, ike, work);
        ikev2_child_use(t, child);
        if (old != NULL) {
            old->has_successor = true;
            ikev2_child_close(t, old);
        }
        if (rival != NULL) {
            ikev2_child_stop(t, rival);
            ikev2_child_replaced(t, rival);
        }
    } else {
        child->has_successor = true;
        ikev2_child_close(t, child);
        child_leave_to_rival(t, work);
    }
    ikev2_work_end(t, &ike->asking);
}

/* ---- CREATE_CHILD_SA by the peer ---- */

static void child_reject(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                         uint16_t notify, const struct ikev2_failure *failure)
{
    uint8_t group[2];

    if (notify == IKEV2_INVALID_SYNTAX) {
        ikev2_send_notify(t, ike, notify, (struct slice){NULL, 0});
        ikev2_over(t, failure);
        return;
    }
    put_u16(group, work->choice.suite.key_exchange);
    if (notify == IKEV2_INVALID_KE_PAYLOAD) {
        ikev2_send_notify(t, ike, notify, SLICE_OF(group));
        return;
    }
    ikev2_send_notify(t, ike, notify, (struct slice){NULL, 0});
    /* One more than there may be is the peer's affair alone. */
    if (failure->reason != IKEV2_FAIL_CHILD_RESOURCE) {
        ikev2_tell_child_failed(t, work->policy, failure);
    }
}

/* RFC 9370 2.2.4: our series for the same child goes on, and nonces do not stop it any more. */
static bool we_follow(const struct ikev2_ike *ike, const struct ikev2_child *old)
{
    return ike->asking != NULL && ike->asking->kind == IKEV2_WORK_REKEY_CHILD &&
           ike->asking->following && ike->asking->old_spi_in == old->spi_in;
}

/* RFC 7296 2.25: reasons not to begin at all; 0 none. `old` is the child that is to be replaced. */
static uint16_t child_refusal(const struct ikev2_sa *sa, const struct ikev2_ike *ike,
                              const struct ikev2_notify_payload *rekey,
                              const struct ikev2_child *old)
{
    if (ike != sa->current || ike->phase != IKEV2_IKE_LIVE) {
        return IKEV2_TEMPORARY_FAILURE;
    }
    if (ike->asking != NULL && ike->asking->kind == IKEV2_WORK_REKEY_IKE) {
        return IKEV2_TEMPORARY_FAILURE;
    }
    if (rekey == NULL) {
        return 0;
    }
    if (old == NULL) {
        return IKEV2_CHILD_SA_NOT_FOUND;
    }
    if (we_follow(ike, old)) {
        return IKEV2_TEMPORARY_FAILURE;
    }
    return old->phase == IKEV2_CHILD_UP ? 0 : IKEV2_TEMPORARY_FAILURE;
}

static void child_send_refusal(struct ikev2_turn *t, struct ikev2_ike *ike, uint16_t refusal,
                               const struct ikev2_notify_payload *rekey)
{
    struct ikev2_outgoing o NOT_ZEROED;

    ikev2_out_begin(&o);
    if (refusal == IKEV2_CHILD_SA_NOT_FOUND && rekey->spi.length == 4) {
        ikev2_out_notify_child(&o, refusal, rekey->protocol, get_u32(rekey->spi.data));
    } else {
        ikev2_out_notify(&o, refusal, (struct slice){NULL, 0});
    }
    ikev2_send_response(t, ike, &o);
}

void ikev2_child_request(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    const struct ikev2_notify_payload *rekey = ikev2_message_notify(m, IKEV2_REKEY_SA);
    struct ikev2_child *old = NULL;
    struct ikev2_failure failure;

    if (rekey != NULL && rekey->spi.length == 4) {
        old = ikev2_child_by_spi_out(sa, rekey->protocol, get_u32(rekey->spi.data));
    }
    uint16_t refusal = child_refusal(sa, ike, rekey, old);

    if (refusal != 0) {
        child_send_refusal(t, ike, refusal, rekey);
        return;
    }
    struct ikev2_work *work =
        ikev2_work_new(old != NULL ? IKEV2_WORK_REKEY_CHILD : IKEV2_WORK_CHILD, false);

    if (work == NULL) {
        child_send_refusal(t, ike, IKEV2_TEMPORARY_FAILURE, rekey);
        return;
    }
    ike->answering = work;
    refusal = ikev2_child_match(sa, m, PROPOSAL_WITH_ADDITIONAL, old != NULL ? old->policy : NULL,
                                work, &failure);
    if (refusal == 0 && !ikev2_message_nonce(m, &work->nonce_i)) {
        ikev2_failure_set(&failure, IKEV2_FAIL_SYNTAX, IKEV2_CREATE_CHILD_SA, IKEV2_INVALID_SYNTAX,
                          "a nonce of a forbidden length");
        refusal = IKEV2_INVALID_SYNTAX;
    }
    if (refusal != 0) {
        child_reject(t, ike, work, refusal, &failure);
        ikev2_work_end(t, &ike->answering);
        return;
    }
    if (old != NULL) {
        work->old_spi_in = old->spi_in;
        ikev2_resources_inherit(work, old);
    }
    ikev2_work_ask_spi(t, work);
    if (work->group != KEY_EXCHANGE_NONE) {
        struct ikev2_ke_payload ke;

        if (ikev2_message_ke(m, &ke)) {
            ikev2_work_ask_key_exchange(t, work, ke.value);
        }
    }
}

/* Our own rekeying of the same child, on its way (RFC 7296 2.8.1): which of the two stays is known
 * when our answer is here. NULL: there is none. */
static struct ikev2_work *child_rival_work(const struct ikev2_ike *ike,
                                           const struct ikev2_child *old)
{
    struct ikev2_work *own = ike->asking;
    bool same = own != NULL && own->kind == IKEV2_WORK_REKEY_CHILD &&
                own->old_spi_in == old->spi_in && !own->following;

    return same && (ike->request != NULL || own->answered) ? own : NULL;
}

/* The old child has a successor made by the peer. */
static void child_replaced_by_peer(struct ikev2_turn *t, struct ikev2_ike *ike,
                                   const struct ikev2_work *work, struct ikev2_child *old,
                                   struct ikev2_child *child)
{
    struct ikev2_work *own = child_rival_work(ike, old);

    if (own != NULL) {
        own->collided = true;
        own->rival_follows = false;
        own->rival_spi_in = child->spi_in;
        own->rival_lowest = *ikev2_nonce_lower(&work->nonce_i, &work->nonce_r);
        return;
    }
    ikev2_child_replaced(t, old);
    child->use_ms = ikev2_after(t->now_ms, t->sa->policy->grace_ms);
}

/* Why no child comes of it; 0: one will. */
static uint16_t child_answer_refusal(const struct ikev2_work *work, bool ok,
                                     struct ikev2_failure *failure)
{
    bool resource = work->packet.resource != 0;

    if (ok) {
        return 0;
    }
    if (work->bad_public) {
        /* RFC 6989 2.5 */
        ikev2_failure_set(failure, IKEV2_FAIL_BAD_PUBLIC_VALUE, IKEV2_CREATE_CHILD_SA,
                          IKEV2_INVALID_SYNTAX, "");
        return IKEV2_INVALID_SYNTAX;
    }
    /* RFC 9611 6: the other one would speak of children with other selectors as well. */
    uint16_t refusal = resource ? IKEV2_TS_MAX_QUEUE : IKEV2_NO_ADDITIONAL_SAS;

    ikev2_failure_set(failure, resource ? IKEV2_FAIL_CHILD_RESOURCE : IKEV2_FAIL_RESOURCES,
                      IKEV2_CREATE_CHILD_SA, refusal, "no SPI is free");
    return refusal;
}

/* There is more to exchange before there is a child. */
static void child_answer_and_wait(struct ikev2_turn *t, struct ikev2_ike *ike,
                                  struct ikev2_work *work, const struct ikev2_child *old,
                                  struct ikev2_outgoing *o)
{
    struct ikev2_work *own = old != NULL ? child_rival_work(ike, old) : NULL;

    if (ikev2_followup_answer(t, ike, work, o) && own != NULL) {
        ikev2_followup_collides(own, work);
    }
}

void ikev2_child_answer(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        bool ok)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_child *old = child_to_replace(sa, work);
    struct ikev2_outgoing o NOT_ZEROED;
    struct ikev2_failure failure;
    uint16_t refusal = child_answer_refusal(work, ok, &failure);

    if (refusal != 0) {
        child_reject(t, ike, work, refusal, &failure);
        ikev2_work_end(t, &ike->answering);
        return;
    }
    if ((work->kind == IKEV2_WORK_REKEY_CHILD && old == NULL) || ike->phase != IKEV2_IKE_LIVE ||
        (old != NULL && we_follow(ike, old))) {
        child_send_refusal(t, ike, IKEV2_TEMPORARY_FAILURE, NULL);
        ikev2_work_end(t, &ike->answering);
        return;
    }
    ikev2_out_begin(&o);
    if (work->following) {
        ikev2_followup_write_response(&o, work);
    } else {
        ikev2_nonce_make(sa->random, &work->nonce_r);
        ikev2_child_write_response(sa, &o, work, PROPOSAL_WITH_ADDITIONAL);
    }
    if (!ikev2_followup_is_done(work)) {
        child_answer_and_wait(t, ike, work, old, &o);
        return;
    }
    /* RFC 7296 2.8: we must be able to receive before the peer hears that he may send. */
    struct ikev2_child *child = ikev2_child_install(t, ike, work, &work->nonce_i, &work->nonce_r);

    if (child == NULL || !ikev2_send_response(t, ike, &o)) {
        return;
    }
    child->asked_ike_spi = ikev2_ike_own_spi(ike);
    child->confirm_ms = ikev2_after(t->now_ms, IKEV2_CONFIRM_MS);
    if (old != NULL) {
        child_replaced_by_peer(t, ike, work, old, child);
    } else if (child->resource != 0) {
        /* There is another meanwhile: nothing is sent through it before he has it for sure. */
        child->use_ms = ikev2_after(t->now_ms, sa->policy->grace_ms);
    } else {
        ikev2_child_use(t, child);
    }
    ikev2_work_end(t, &ike->answering);
}
