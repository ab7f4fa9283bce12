/*
 * IKE SAs that replace one another (RFC 7296 1.3.2, 2.8, 2.8.2, 2.18, 2.25.2): decides which of
 * them is the current one. Children belong to all of them at once: whatever IKE SA is current has
 * inherited them.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

static void tell_rekeyed(struct ikev2_turn *t, const struct ikev2_ike *ike)
{
    struct ikev2_action *action = ikev2_act(t, IKEV2_TELL_REKEYED);

    action->established.spi_i = ike->spi_i;
    action->established.spi_r = ike->spi_r;
    action->established.suite = ike->keys.suite;
    action->established.peer_id = ikev2_peer_id(t->sa);
    action->established.nat_local = t->sa->nat_local;
    action->established.nat_peer = t->sa->nat_peer;
    action->established.initiator = ike->initiator;
}

/* From here on this one speaks for the children. */
static void become_current(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;

    sa->current = ike;
    sa->rekey_retries = 0;
    ike->drop_ms = NEVER_MS;
    ike->rekey_ms = ikev2_jittered(sa, t->now_ms, sa->policy->ike_lifetime_ms, ike->initiator);
    ike->expire_ms = ikev2_after(t->now_ms, sa->policy->ike_lifetime_ms);
    ikev2_crash_rekeyed(sa, ike);
    tell_rekeyed(t, ike);
}

/* The peer is to delete it; its time is bounded in case he does not. */
static void leave_to_peer(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    if (ike->phase != IKEV2_IKE_LIVE) {
        return;
    }
    ike->phase = IKEV2_IKE_REPLACED;
    ike->drop_ms = ikev2_after(t->now_ms, IKEV2_DROP_MS);
    ike->rekey_ms = NEVER_MS;
    ike->expire_ms = NEVER_MS;
}

/* We are to delete it. */
static void close_ike(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    if (ike->phase != IKEV2_IKE_LIVE) {
        return;
    }
    ike->phase = IKEV2_IKE_CLOSING;
    ike->drop_ms = ikev2_after(t->now_ms, IKEV2_DROP_MS);
    ike->rekey_ms = NEVER_MS;
    ike->expire_ms = NEVER_MS;
}

/* The new IKE SA with its keys; NULL: no memory. */
static struct ikev2_ike *make(struct ikev2_turn *t, struct ikev2_ike *old, struct ikev2_work *work)
{
    uint64_t own = work->own_ike_spi;
    uint64_t peer = work->choice.spi;
    struct ikev2_ike *ike = ikev2_ike_new(t, work->initiator, work->initiator ? own : peer,
                                          work->initiator ? peer : own);

    if (ike == NULL) {
        return NULL;
    }
    if (!ikev2_keys_rekey(&old->keys, &work->choice.suite, secret_slice(&work->shared),
                          ikev2_nonce_slice(&work->nonce_i), ikev2_nonce_slice(&work->nonce_r),
                          secret_slice(&work->more), ike->spi_i, ike->spi_r, &ike->keys)) {
        ikev2_ike_forget(t, ike);
        return NULL;
    }
    ikev2_keys_forget_auth(&ike->keys);
    ike->phase = IKEV2_IKE_LIVE;
    ike->generation = (uint8_t)(old->generation + 1);
    uint16_t post_quantum = ikev2_followup_post_quantum(work);

    t->sa->post_quantum = post_quantum != KEY_EXCHANGE_NONE ? post_quantum : t->sa->post_quantum;
    return ike;
}

static void write_payloads(struct ikev2_outgoing *o, const struct ikev2_sa_payload *sa,
                           const struct ikev2_nonce *nonce, const struct ikev2_work *work)
{
    ikev2_out_sa(o, sa);
    ikev2_out_nonce(o, nonce);
    ikev2_out_ke(o, work->group, &work->pair);
}

/* ---- by us ---- */

void ikev2_rekey_begin(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_work *work = ikev2_work_new(IKEV2_WORK_REKEY_IKE, true);

    if (work == NULL) {
        ike->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
        return;
    }
    ike->asking = work;
    work->own_ike_spi = ikev2_fresh_spi(sa);
    /* The group that both sides took last time (some peers know no INVALID_KE_PAYLOAD here). */
    work->group = ike->keys.suite.key_exchange;
    if (!proposal_has_group(sa->policy->ike, work->group)) {
        work->group = proposal_first_group(sa->policy->ike);
    }
    work->tried[work->tried_count++] = work->group;
    ikev2_work_ask_key_exchange(t, work, (struct slice){NULL, 0});
}

static void rekey_later(struct ikev2_turn *t, struct ikev2_ike *ike, uint64_t at_ms)
{
    ike->rekey_ms = at_ms;
    ikev2_work_end(t, &ike->asking);
}

/* RFC 7296 2.18 makes SKEYSEED with the PRF of the old IKE SA; about prf+ behind it, there are two
 * readings on the net when the new PRF is another one, and then nothing can be decrypted any more.
 * So the PRF stays the same as long as the policy has it. `kept` is room for what is returned. */
static const struct proposals *with_same_prf(const struct proposals *policy, uint16_t prf,
                                             struct proposals *kept)
{
    *kept = (struct proposals){0};
    for (size_t i = 0; i < policy->count; i++) {
        const struct proposal *from = &policy->list[i];
        struct proposal *to = &kept->list[kept->count];
        bool has_prf = false;

        *to = (struct proposal){.protocol = from->protocol};
        for (size_t j = 0; j < from->count; j++) {
            bool is_prf = from->transforms[j].type == TRANSFORM_PRF;

            has_prf |= is_prf && from->transforms[j].id == prf;
            if (!is_prf || from->transforms[j].id == prf) {
                to->transforms[to->count++] = from->transforms[j];
            }
        }
        kept->count += has_prf;
    }
    return kept->count > 0 ? kept : policy;
}

void ikev2_rekey_send(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work, bool ok)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_sa_payload offer NOT_ZEROED;
    struct proposals same_prf;
    struct ikev2_outgoing o NOT_ZEROED;
    uint8_t spi[8];

    if (ike != sa->current || ike->phase != IKEV2_IKE_LIVE) {
        /* The peer was faster. */
        ikev2_work_end(t, &ike->asking);
        return;
    }
    put_u64(spi, work->own_ike_spi);
    if (!ok || !proposal_offer(with_same_prf(sa->policy->ike, ike->keys.suite.prf, &same_prf),
                               PROTOCOL_IKE, SLICE_OF(spi), PROPOSAL_WITH_ADDITIONAL, &offer)) {
        rekey_later(t, ike, ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS));
        return;
    }
    ikev2_nonce_make(sa->random, &work->nonce_i);
    ikev2_out_begin(&o);
    write_payloads(&o, &offer, &work->nonce_i, work);
    ikev2_send_request(t, ike, IKEV2_CREATE_CHILD_SA, &o);
}

/* RFC 7296 2.8.2: the peer's new IKE SA is the one that stays. False when it is gone as well. */
static bool yield_to_rival(struct ikev2_turn *t, struct ikev2_ike *ike,
                           const struct ikev2_work *work)
{
    struct ikev2_ike *rival =
        work->collided ? ikev2_ike_by_own_spi(t->sa, work->rival_ike_spi) : NULL;

    if (rival == NULL || rival->phase != IKEV2_IKE_LIVE) {
        return false;
    }
    become_current(t, rival);
    leave_to_peer(t, ike);
    return true;
}

static void not_rekeyed(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        const struct ikev2_notify_payload *error)
{
    struct ikev2_sa *sa = t->sa;
    uint16_t type = error != NULL ? error->type : 0;
    uint16_t group;

    if (type == IKEV2_INVALID_KE_PAYLOAD && !work->following &&
        ikev2_group_may_be_tried(error, sa->policy->ike, work->tried, &work->tried_count, &group)) {
        work->group = group;
        key_pair_wipe(&work->pair);
        work->has_pair = false;
        work->answered = false;
        ikev2_work_ask_key_exchange(t, work, (struct slice){NULL, 0});
        return;
    }
    if (yield_to_rival(t, ike, work)) {
        ikev2_work_end(t, &ike->asking);
        return;
    }
    if (type != IKEV2_TEMPORARY_FAILURE && type != IKEV2_STATE_NOT_FOUND) {
        rekey_later(t, ike, ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS));
        return;
    }
    if (sa->rekey_retries >= IKEV2_RETRIES_MAX) {
        struct ikev2_failure failure;

        ikev2_failure_set(&failure, IKEV2_FAIL_PEER_ERROR, IKEV2_CREATE_CHILD_SA, type,
                          "the peer was not ready for several minutes");
        ikev2_over_with_delete(t, &failure);
        return;
    }
    rekey_later(t, ike, ikev2_retry_ms(sa, t->now_ms, sa->rekey_retries++));
}

/* The peer has an IKE SA that we cannot have: nobody knows what is true any more. */
static void does_not_fit(struct ikev2_turn *t)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, IKEV2_FAIL_SYNTAX, IKEV2_CREATE_CHILD_SA, 0,
                      "a response to the rekeying of the IKE SA that does not fit");
    ikev2_over_with_delete(t, &failure);
}

/* A response to IKE_FOLLOWUP_KE. */
static void rekey_followed(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                           const struct ikev2_message *m)
{
    switch (ikev2_followup_response(t, work, m)) {
    case IKEV2_FOLLOWUP_GOES_ON:
        return;
    case IKEV2_FOLLOWUP_REFUSED:
        not_rekeyed(t, ike, work, ikev2_message_error(m));
        return;
    case IKEV2_FOLLOWUP_MALFORMED:
        does_not_fit(t);
        return;
    }
}

void ikev2_rekey_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                          const struct ikev2_message *m)
{
    struct ikev2_work *work = ike->asking;
    struct ikev2_sa_payload answer NOT_ZEROED;
    struct proposals same_prf;
    struct ikev2_ke_payload ke;

    work->answered = true;
    ikev2_crash_read_next(t->sa, m);
    if (work->following) {
        rekey_followed(t, ike, work, m);
        return;
    }
    if (!m->has[IKEV2_SA]) {
        not_rekeyed(t, ike, work, ikev2_message_error(m));
        return;
    }
    if (!ikev2_read_sa(m->body[IKEV2_SA], &answer) ||
        !proposal_verify(&answer, with_same_prf(t->sa->policy->ike, ike->keys.suite.prf, &same_prf),
                         PROTOCOL_IKE, 8, PROPOSAL_WITH_ADDITIONAL, &work->choice) ||
        !ikev2_message_nonce(m, &work->nonce_r) || !m->has[IKEV2_KE] || !ikev2_message_ke(m, &ke) ||
        ke.group != work->group || work->choice.suite.key_exchange != work->group ||
        (!ikev2_followup_is_done(work) && !ikev2_followup_take_link(t->sa, work, m))) {
        does_not_fit(t);
        return;
    }
    ikev2_work_ask_key_exchange(t, work, ke.value);
}

static bool wins(const struct ikev2_work *work)
{
    const struct ikev2_nonce *lowest = ikev2_nonce_lower(&work->nonce_i, &work->nonce_r);

    return !work->collided || !ikev2_nonce_is_lower(lowest, &work->rival_lowest);
}

/* RFC 9370 2.2.4: there is nothing to delete yet, so who loses just stops. */
static void rekey_follow(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work)
{
    if (wins(work)) {
        ikev2_followup_won(t, ike, work);
        ikev2_followup_begin(t, work);
    } else if (yield_to_rival(t, ike, work)) {
        ikev2_work_end(t, &ike->asking);
    } else {
        /* His is not there yet; should it not come, we try again. */
        rekey_later(t, ike, ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS));
    }
}

void ikev2_rekey_agreed(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        bool ok)
{
    if (ok && !ikev2_followup_is_done(work)) {
        rekey_follow(t, ike, work);
        return;
    }
    struct ikev2_ike *made = ok ? make(t, ike, work) : NULL;

    if (made == NULL) {
        struct ikev2_failure failure;

        ikev2_failure_set(&failure,
                          work->bad_public ? IKEV2_FAIL_BAD_PUBLIC_VALUE : IKEV2_FAIL_RESOURCES,
                          IKEV2_CREATE_CHILD_SA, 0, "");
        ikev2_over_with_delete(t, &failure);
        return;
    }
    if (wins(work)) {
        struct ikev2_ike *rival =
            work->collided ? ikev2_ike_by_own_spi(t->sa, work->rival_ike_spi) : NULL;

        ikev2_followup_won(t, ike, work);
        become_current(t, made);
        close_ike(t, ike);
        if (rival != NULL) {
            leave_to_peer(t, rival);
        }
    } else if (yield_to_rival(t, ike, work)) {
        close_ike(t, made);
    } else if (work->rival_follows) {
        close_ike(t, made);
        ike->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
    } else {
        /* The peer has deleted his already: then ours must be the one. */
        become_current(t, made);
        close_ike(t, ike);
    }
    ikev2_work_end(t, &ike->asking);
}

/* ---- by the peer ---- */

static bool is_about_children(const struct ikev2_work *work)
{
    switch (work->kind) {
    case IKEV2_WORK_CHILD:
    case IKEV2_WORK_REKEY_CHILD:
    case IKEV2_WORK_DELETE_CHILD:
        return true;
    case IKEV2_WORK_REKEY_IKE:
    case IKEV2_WORK_DELETE_IKE:
    case IKEV2_WORK_LIVENESS:
    case IKEV2_WORK_PROBE:
    case IKEV2_WORK_MOBILE:
        return false;
    }
    return false;
}

static void temporary_failure(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    ikev2_send_notify(t, ike, IKEV2_TEMPORARY_FAILURE, (struct slice){NULL, 0});
}

static void invalid_syntax(struct ikev2_turn *t, struct ikev2_ike *ike,
                           enum ikev2_failure_reason reason, const char *detail)
{
    ikev2_send_notify(t, ike, IKEV2_INVALID_SYNTAX, (struct slice){NULL, 0});
    ikev2_over_for(t, reason, IKEV2_CREATE_CHILD_SA, IKEV2_INVALID_SYNTAX, detail);
}

static void rekey_choose(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                         const struct ikev2_message *m)
{
    const struct proposals *ours = t->sa->policy->ike;
    struct proposals same_prf;
    const struct proposals *first = with_same_prf(ours, ike->keys.suite.prf, &same_prf);
    struct ikev2_sa_payload offer NOT_ZEROED;
    struct ikev2_ke_payload ke;
    uint8_t group[2];

    if (!ikev2_message_nonce(m, &work->nonce_i) || !m->has[IKEV2_KE] || !ikev2_message_ke(m, &ke) ||
        !ikev2_read_sa(m->body[IKEV2_SA], &offer)) {
        invalid_syntax(t, ike, IKEV2_FAIL_SYNTAX, "a malformed rekeying of the IKE SA");
        return;
    }
    enum proposal_verdict verdict = proposal_choose(
        &offer, &first, 1, PROTOCOL_IKE, 8, PROPOSAL_WITH_ADDITIONAL, ke.group, &work->choice);

    if (verdict == PROPOSAL_NONE && first != ours) {
        verdict = proposal_choose(&offer, &ours, 1, PROTOCOL_IKE, 8, PROPOSAL_WITH_ADDITIONAL,
                                  ke.group, &work->choice);
    }
    switch (verdict) {
    case PROPOSAL_NONE:
        ikev2_send_notify(t, ike, IKEV2_NO_PROPOSAL_CHOSEN, (struct slice){NULL, 0});
        ikev2_work_end(t, &ike->answering);
        return;
    case PROPOSAL_WRONG_GROUP:
        put_u16(group, work->choice.suite.key_exchange);
        ikev2_send_notify(t, ike, IKEV2_INVALID_KE_PAYLOAD, SLICE_OF(group));
        ikev2_work_end(t, &ike->answering);
        return;
    case PROPOSAL_CHOSEN:
        break;
    }
    work->group = ke.group;
    ikev2_work_ask_key_exchange(t, work, ke.value);
}

void ikev2_rekey_request(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;

    if (ike != sa->current || ike->phase != IKEV2_IKE_LIVE ||
        (ike->asking != NULL && (is_about_children(ike->asking) || ike->asking->following))) {
        temporary_failure(t, ike);
        return;
    }
    if (ikev2_message_notify(m, IKEV2_CLONE_IKE_SA) != NULL) {
        /* RFC 7791 5.3: he would go on with both, and we never said that we do. */
        ikev2_send_notify(t, ike, IKEV2_NO_ADDITIONAL_SAS, (struct slice){NULL, 0});
        return;
    }
    struct ikev2_work *work = ikev2_work_new(IKEV2_WORK_REKEY_IKE, false);

    if (work == NULL) {
        temporary_failure(t, ike);
        return;
    }
    ike->answering = work;
    work->own_ike_spi = ikev2_fresh_spi(sa);
    rekey_choose(t, ike, work, m);
}

/* Our own rekeying, on its way (RFC 7296 2.8.2): which of the two stays is known when our answer is
 * here. NULL: there is none. */
static struct ikev2_work *rival_work(const struct ikev2_ike *ike)
{
    struct ikev2_work *own = ike->asking;
    bool same = own != NULL && own->kind == IKEV2_WORK_REKEY_IKE && !own->following;

    return same && (ike->request != NULL || own->answered) ? own : NULL;
}

/* The response is on its way; which IKE SA is the current one now? */
static void rekeyed_by_peer(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                            struct ikev2_ike *made)
{
    struct ikev2_work *own = rival_work(ike);

    if (own != NULL) {
        own->collided = true;
        own->rival_follows = false;
        own->rival_ike_spi = work->own_ike_spi;
        own->rival_lowest = *ikev2_nonce_lower(&work->nonce_i, &work->nonce_r);
        made->hold_ms = ikev2_after(t->now_ms, IKEV2_DROP_MS);
        return;
    }
    become_current(t, made);
    /* The peer may not have our answer yet, and then would not know what we speak of. */
    made->hold_ms = ikev2_after(t->now_ms, IKEV2_DROP_MS);
    leave_to_peer(t, ike);
}

static void rekey_write_answer(const struct ikev2_work *work, struct ikev2_outgoing *o)
{
    struct ikev2_sa_payload answer NOT_ZEROED;
    uint8_t spi[8];

    ikev2_out_begin(o);
    if (work->following) {
        ikev2_followup_write_response(o, work);
        return;
    }
    put_u64(spi, work->own_ike_spi);
    proposal_answer(&work->choice, SLICE_OF(spi), &answer);
    write_payloads(o, &answer, &work->nonce_r, work);
}

void ikev2_rekey_answer(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        bool ok)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_outgoing o NOT_ZEROED;
    bool follows = !ikev2_followup_is_done(work);

    if (!ok && work->bad_public) {
        invalid_syntax(t, ike, IKEV2_FAIL_BAD_PUBLIC_VALUE, ""); /* RFC 6989 2.5 */
        return;
    }
    struct ikev2_ike *made = NULL;

    if (!work->following) {
        ikev2_nonce_make(sa->random, &work->nonce_r);
    }
    ok = ok && ike == sa->current && ike->phase == IKEV2_IKE_LIVE &&
         (ike->asking == NULL || !ike->asking->following);
    if (ok && !follows) {
        made = make(t, ike, work);
    }
    if (!ok || (!follows && made == NULL)) {
        temporary_failure(t, ike);
        ikev2_work_end(t, &ike->answering);
        return;
    }
    rekey_write_answer(work, &o);
    if (made != NULL) {
        ikev2_crash_out(sa, made, &o);
    }
    if (follows) {
        struct ikev2_work *own = rival_work(ike);

        if (ikev2_followup_answer(t, ike, work, &o) && own != NULL) {
            ikev2_followup_collides(own, work);
        }
        return;
    }
    if (!ikev2_send_response(t, ike, &o)) {
        return;
    }
    rekeyed_by_peer(t, ike, work, made);
    ikev2_work_end(t, &ike->answering);
}

/* Only what was answered before is answered again, and not for long. */
static void linger(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    ikev2_request_done(t, ike);
    ikev2_work_end(t, &ike->asking);
    ikev2_work_end(t, &ike->answering);
    ike->phase = IKEV2_IKE_GONE;
    ike->drop_ms = ikev2_after(t->now_ms, IKEV2_LINGER_MS);
    ike->rekey_ms = NEVER_MS;
    ike->expire_ms = NEVER_MS;
}

void ikev2_rekey_deleted(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    struct ikev2_sa *sa = t->sa;

    if (ike != sa->current) {
        /* The end of an IKE SA that has a successor, whoever was to delete it. The successor is
         * known to the peer now, but it is not the current one where that one was replaced too. */
        linger(t, ike);
        if (sa->current->generation == (uint8_t)(ike->generation + 1)) {
            sa->current->hold_ms = 0;
        }
        return;
    }
    /* RFC 7296 2.25.2: he finished his rekeying before he heard of ours, which is forgotten. */
    if (ike->asking != NULL && ike->asking->kind == IKEV2_WORK_REKEY_IKE &&
        yield_to_rival(t, ike, ike->asking)) {
        sa->current->hold_ms = 0;
        linger(t, ike);
        return;
    }
    ikev2_over_for(t, IKEV2_FAIL_PEER_DELETED, IKEV2_INFORMATIONAL, 0, "");
}
