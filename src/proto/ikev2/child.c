/*
 * Children (RFC 7296 1.3.1, 1.3.3, 1.4.1, 2.8, 2.8.1, 2.9, 2.17, 2.25): decides what they protect,
 * and which of two is used, kept and deleted while one replaces the other.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

/* ---- one child ---- */

struct ikev2_child *ikev2_child_by_spi_in(const struct ikev2_sa *sa, uint32_t spi_in)
{
    struct ikev2_child *child = sa->children;

    while (child != NULL && child->spi_in != spi_in) {
        child = child->next;
    }
    return child;
}

struct ikev2_child *ikev2_child_by_spi_out(const struct ikev2_sa *sa, uint32_t spi_out)
{
    struct ikev2_child *child = sa->children;

    while (child != NULL && (child->spi_out != spi_out || child->phase == IKEV2_CHILD_GRACE)) {
        child = child->next;
    }
    return child;
}

void ikev2_child_fill_info(const struct ikev2_sa *sa, const struct ikev2_child *child,
                           struct ikev2_child_info *out)
{
    memset(out, 0, sizeof(*out));
    out->spi_in = child->spi_in;
    out->spi_out = child->spi_out;
    out->policy = child->policy;
    out->suite = child->suite;
    out->encapsulated = child->encapsulated;
    out->initiator = child->initiator;
    out->replaces_spi_in = child->replaces_spi_in;
    out->transport_mode = child->transport_mode;
    out->local = sa->local;
    out->peer = sa->peer;
    out->local_selectors = child->selectors;
    out->local_count = child->local_count;
    out->remote_selectors = child->selectors + child->local_count;
    out->remote_count = child->remote_count;
    out->rekey_ms = child->rekey_ms;
}

static struct ikev2_action *tell_child(struct ikev2_turn *t, enum ikev2_action_kind kind,
                                       const struct ikev2_child *child)
{
    struct ikev2_action *action = ikev2_act(t, kind);

    ikev2_child_fill_info(t->sa, child, &action->child);
    return action;
}

void ikev2_child_stop(struct ikev2_turn *t, struct ikev2_child *child)
{
    if (child->stopped) {
        return;
    }
    child->stopped = true;
    tell_child(t, IKEV2_CHILD_STOP, child);
}

void ikev2_child_use(struct ikev2_turn *t, struct ikev2_child *child)
{
    child->use_ms = NEVER_MS;
    if (child->used || child->stopped || child->phase != IKEV2_CHILD_UP) {
        return;
    }
    child->used = true;
    tell_child(t, IKEV2_CHILD_USE, child);
    struct ikev2_child *old =
        child->replaces_spi_in != 0 ? ikev2_child_by_spi_in(t->sa, child->replaces_spi_in) : NULL;

    if (old != NULL) {
        ikev2_child_stop(t, old);
    }
}

void ikev2_child_remove(struct ikev2_turn *t, struct ikev2_child *child)
{
    struct ikev2_child **link = &t->sa->children;

    while (*link != child) {
        link = &(*link)->next;
    }
    *link = child->next;
    t->sa->child_count--;
    tell_child(t, IKEV2_CHILD_REMOVE, child);
    ikev2_block_bury(t->sa, child);
}

/* Its only successor was deleted by who made it: it is as if it had never been rekeyed. */
static void child_revive(struct ikev2_turn *t, struct ikev2_child *old)
{
    if (old->phase != IKEV2_CHILD_REPLACED) {
        return;
    }
    for (const struct ikev2_child *c = t->sa->children; c != NULL; c = c->next) {
        if (c->replaces_spi_in == old->spi_in && c->phase == IKEV2_CHILD_UP) {
            return;
        }
    }
    old->phase = IKEV2_CHILD_UP;
    old->has_successor = false;
    old->remove_ms = NEVER_MS;
    old->used = false;
    old->stopped = false;
    ikev2_child_use(t, old);
}

void ikev2_child_end(struct ikev2_turn *t, struct ikev2_child *child)
{
    struct ikev2_child *old =
        child->replaces_spi_in != 0 ? ikev2_child_by_spi_in(t->sa, child->replaces_spi_in) : NULL;
    bool removed = !child->has_successor;

    ikev2_child_stop(t, child);
    if (removed) {
        ikev2_child_remove(t, child);
    }
    if (removed && old != NULL) {
        child_revive(t, old);
    }
    if (removed) {
        return;
    }
    child->phase = IKEV2_CHILD_GRACE;
    child->use_ms = NEVER_MS;
    child->remove_ms = ikev2_after(t->now_ms, t->sa->policy->grace_ms);
}

void ikev2_child_close(struct ikev2_turn *t, struct ikev2_child *child)
{
    if (child->phase == IKEV2_CHILD_CLOSING || child->phase == IKEV2_CHILD_GRACE) {
        return;
    }
    child->phase = IKEV2_CHILD_CLOSING;
    child->use_ms = NEVER_MS;
    child->remove_ms = NEVER_MS;
    ikev2_child_stop(t, child);
}

/* The peer is to delete it; when he forgets, we do. */
static void child_replaced(struct ikev2_turn *t, struct ikev2_child *child)
{
    child->has_successor = true;
    if (child->phase == IKEV2_CHILD_UP) {
        child->phase = IKEV2_CHILD_REPLACED;
        child->remove_ms = ikev2_after(t->now_ms, IKEV2_DROP_MS);
    }
}

void ikev2_child_time(struct ikev2_turn *t, struct ikev2_child *child)
{
    if (child->use_ms <= t->now_ms) {
        ikev2_child_use(t, child);
    }
    switch (child->phase) {
    case IKEV2_CHILD_GRACE:
        if (child->remove_ms <= t->now_ms) {
            ikev2_child_remove(t, child);
        }
        return;
    case IKEV2_CHILD_REPLACED:
        if (child->remove_ms <= t->now_ms) {
            ikev2_child_close(t, child);
        }
        return;
    case IKEV2_CHILD_UP:
        /* RFC 7296 2.8: what could not be rekeyed in time must not be used any longer. */
        if (child->expire_ms <= t->now_ms) {
            ikev2_child_close(t, child);
            if (!ikev2_pend(t->sa, child->policy, t->now_ms, 0)) {
                return;
            }
        }
        return;
    case IKEV2_CHILD_CLOSING:
        return;
    }
}

void ikev2_tell_child_failed(struct ikev2_turn *t, const struct ikev2_child_policy *policy,
                             const struct ikev2_failure *failure)
{
    struct ikev2_action *action = ikev2_act(t, IKEV2_TELL_CHILD_FAILED);

    action->failed.failure = *failure;
    if (policy != NULL) {
        memcpy(action->failed.child_name, policy->name, sizeof(action->failed.child_name));
    }
}

static void tell_failed_for(struct ikev2_turn *t, const struct ikev2_child_policy *policy,
                            enum ikev2_failure_reason reason, uint16_t notify, const char *detail)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, reason, IKEV2_CREATE_CHILD_SA, notify, detail);
    ikev2_tell_child_failed(t, policy, &failure);
}

/* ---- what is agreed ---- */

void ikev2_child_want(struct ikev2_work *work, const struct ikev2_child_policy *policy,
                      const struct ikev2_child *old)
{
    const struct selector *local = policy->local;
    const struct selector *remote = policy->remote;
    size_t local_count = policy->local_count;
    size_t remote_count = policy->remote_count;

    /* RFC 7296 2.8, 2.9.2: a rekeyed child has the selectors of the old one. */
    if (old != NULL) {
        local = old->selectors;
        local_count = old->local_count;
        remote = old->selectors + old->local_count;
        remote_count = old->remote_count;
        work->old_spi_in = old->spi_in;
    }
    work->policy = policy;
    work->transport_mode = policy->transport_mode;
    work->local_count = local_count < SELECTORS_MAX ? local_count : SELECTORS_MAX;
    work->remote_count = remote_count < SELECTORS_MAX ? remote_count : SELECTORS_MAX;
    memcpy(work->local, local, work->local_count * sizeof(*local));
    memcpy(work->remote, remote, work->remote_count * sizeof(*remote));
}

static void failure_child_proposals(struct ikev2_failure *failure,
                                    const struct ikev2_child_policy *policy,
                                    const struct ikev2_sa_payload *theirs)
{
    const struct proposals *ours = &policy->proposals;

    ikev2_failure_proposals(failure, &ours, 1, theirs, PROTOCOL_ESP);
}

/* How well a child policy fits; the best so far is in `work`. */
static enum selectors_verdict match_policy(const struct ikev2_child_policy *policy,
                                           const struct ikev2_ts_payload *tsi,
                                           const struct ikev2_ts_payload *tsr,
                                           enum selectors_verdict best, struct ikev2_work *work)
{
    struct selector local[SELECTORS_MAX];
    struct selector remote[SELECTORS_MAX];
    size_t local_count = 0;
    size_t remote_count = 0;
    enum selectors_verdict theirs = selectors_narrow(tsi->selectors, tsi->count, policy->remote,
                                                     policy->remote_count, remote, &remote_count);
    enum selectors_verdict ours = selectors_narrow(tsr->selectors, tsr->count, policy->local,
                                                   policy->local_count, local, &local_count);
    enum selectors_verdict verdict = theirs < ours ? theirs : ours;

    if (verdict <= best) {
        return best;
    }
    work->policy = policy;
    work->local_count = local_count;
    work->remote_count = remote_count;
    memcpy(work->local, local, local_count * sizeof(*local));
    memcpy(work->remote, remote, remote_count * sizeof(*remote));
    return verdict;
}

static uint16_t match_selectors(struct ikev2_sa *sa, const struct ikev2_message *m,
                                const struct ikev2_child_policy *only, struct ikev2_work *work,
                                struct ikev2_failure *failure)
{
    struct ikev2_ts_payload tsi;
    struct ikev2_ts_payload tsr;
    enum selectors_verdict best = SELECTORS_NONE;

    if (!ikev2_read_ts(m->body[IKEV2_TSI], &tsi) || !ikev2_read_ts(m->body[IKEV2_TSR], &tsr)) {
        ikev2_failure_set(failure, IKEV2_FAIL_SYNTAX, m->header.exchange, IKEV2_INVALID_SYNTAX,
                          "malformed traffic selectors");
        return IKEV2_INVALID_SYNTAX;
    }
    if (only != NULL) {
        best = match_policy(only, &tsi, &tsr, best, work);
    }
    for (size_t i = 0; only == NULL && i < sa->policy->child_count; i++) {
        best = match_policy(&sa->policy->children[i], &tsi, &tsr, best, work);
    }
    if (best != SELECTORS_NONE) {
        return 0;
    }
    ikev2_failure_set(failure, IKEV2_FAIL_CHILD_SELECTORS, m->header.exchange,
                      IKEV2_TS_UNACCEPTABLE, "");
    if (only == NULL && sa->policy->child_count > 0) {
        only = &sa->policy->children[0];
    }
    if (only != NULL) {
        work->policy = only;
        ikev2_failure_own_selectors(failure, only->local, only->local_count, only->remote,
                                    only->remote_count);
    }
    ikev2_failure_peer_selectors(failure, tsr.selectors, tsr.count, tsi.selectors, tsi.count);
    return IKEV2_TS_UNACCEPTABLE;
}

uint16_t ikev2_child_match(struct ikev2_sa *sa, const struct ikev2_message *m,
                           enum proposal_use use, const struct ikev2_child_policy *only,
                           struct ikev2_work *work, struct ikev2_failure *failure)
{
    struct ikev2_sa_payload offer;
    struct ikev2_ke_payload ke = {0};

    if (!ikev2_read_sa(m->body[IKEV2_SA], &offer) ||
        (m->has[IKEV2_KE] && !ikev2_message_ke(m, &ke))) {
        ikev2_failure_set(failure, IKEV2_FAIL_SYNTAX, m->header.exchange, IKEV2_INVALID_SYNTAX,
                          "a malformed proposal or key exchange");
        return IKEV2_INVALID_SYNTAX;
    }
    uint16_t notify = match_selectors(sa, m, only, work, failure);

    if (notify != 0) {
        return notify;
    }
    const struct proposals *ours = &work->policy->proposals;

    switch (proposal_choose(&offer, &ours, 1, PROTOCOL_ESP, 4, use, ke.group, &work->choice)) {
    case PROPOSAL_NONE:
        ikev2_failure_set(failure, IKEV2_FAIL_CHILD_NO_PROPOSAL, m->header.exchange,
                          IKEV2_NO_PROPOSAL_CHOSEN, "");
        failure_child_proposals(failure, work->policy, &offer);
        return IKEV2_NO_PROPOSAL_CHOSEN;
    case PROPOSAL_WRONG_GROUP:
        ikev2_failure_set(failure, IKEV2_FAIL_NONE, m->header.exchange, IKEV2_INVALID_KE_PAYLOAD,
                          "");
        return IKEV2_INVALID_KE_PAYLOAD;
    case PROPOSAL_CHOSEN:
        break;
    }
    if (sa->child_count >= IKEV2_CHILDREN_MAX) {
        ikev2_failure_set(failure, IKEV2_FAIL_RESOURCES, m->header.exchange,
                          IKEV2_NO_ADDITIONAL_SAS, "too many children under one IKE SA");
        return IKEV2_NO_ADDITIONAL_SAS;
    }
    work->group = work->choice.suite.key_exchange;
    work->transport_mode =
        work->policy->transport_mode && ikev2_message_notify(m, IKEV2_USE_TRANSPORT_MODE) != NULL;
    return 0;
}

/* The selectors that the responder chose, if they are part of what was proposed. */
static bool verify_selectors(const struct ikev2_message *m, struct ikev2_work *work,
                             struct ikev2_failure *failure)
{
    struct ikev2_ts_payload tsi;
    struct ikev2_ts_payload tsr;

    if (!m->has[IKEV2_TSI] || !m->has[IKEV2_TSR] || !ikev2_read_ts(m->body[IKEV2_TSI], &tsi) ||
        !ikev2_read_ts(m->body[IKEV2_TSR], &tsr)) {
        ikev2_failure_set(failure, IKEV2_FAIL_SYNTAX, m->header.exchange, 0,
                          "a child without well-formed traffic selectors");
        return false;
    }
    if (!selectors_are_within(tsi.selectors, tsi.count, work->local, work->local_count) ||
        !selectors_are_within(tsr.selectors, tsr.count, work->remote, work->remote_count) ||
        tsi.count > SELECTORS_MAX || tsr.count > SELECTORS_MAX) {
        ikev2_failure_set(failure, IKEV2_FAIL_CHILD_SELECTORS, m->header.exchange, 0,
                          "the responder widened the traffic selectors");
        ikev2_failure_own_selectors(failure, work->local, work->local_count, work->remote,
                                    work->remote_count);
        ikev2_failure_peer_selectors(failure, tsi.selectors, tsi.count, tsr.selectors, tsr.count);
        return false;
    }
    work->local_count = tsi.count;
    work->remote_count = tsr.count;
    memcpy(work->local, tsi.selectors, tsi.count * sizeof(tsi.selectors[0]));
    memcpy(work->remote, tsr.selectors, tsr.count * sizeof(tsr.selectors[0]));
    return true;
}

bool ikev2_child_verify(struct ikev2_sa *sa, const struct ikev2_message *m, enum proposal_use use,
                        struct ikev2_work *work, struct ikev2_failure *failure)
{
    struct ikev2_sa_payload answer;

    if (!m->has[IKEV2_SA] || !ikev2_read_sa(m->body[IKEV2_SA], &answer)) {
        ikev2_failure_set(failure, IKEV2_FAIL_SYNTAX, m->header.exchange, 0,
                          "a child without a well-formed proposal");
        return false;
    }
    if (!proposal_verify(&answer, &work->policy->proposals, PROTOCOL_ESP, 4, use, &work->choice)) {
        ikev2_failure_set(failure, IKEV2_FAIL_CHILD_NO_PROPOSAL, m->header.exchange, 0,
                          "the responder chose what was not offered");
        failure_child_proposals(failure, work->policy, &answer);
        return false;
    }
    if (sa->child_count >= IKEV2_CHILDREN_MAX) {
        ikev2_failure_set(failure, IKEV2_FAIL_RESOURCES, m->header.exchange, 0,
                          "too many children under one IKE SA");
        return false;
    }
    work->transport_mode =
        work->transport_mode && ikev2_message_notify(m, IKEV2_USE_TRANSPORT_MODE) != NULL;
    return verify_selectors(m, work, failure);
}

void ikev2_child_refused(const struct ikev2_work *work, const struct ikev2_notify_payload *notify,
                         uint8_t exchange, struct ikev2_failure *out)
{
    uint16_t type = notify != NULL ? notify->type : 0;

    switch (type) {
    case IKEV2_NO_PROPOSAL_CHOSEN:
        ikev2_failure_set(out, IKEV2_FAIL_CHILD_NO_PROPOSAL, exchange, type, "");
        failure_child_proposals(out, work->policy, NULL);
        return;
    case IKEV2_TS_UNACCEPTABLE:
        ikev2_failure_set(out, IKEV2_FAIL_CHILD_SELECTORS, exchange, type, "");
        ikev2_failure_own_selectors(out, work->local, work->local_count, work->remote,
                                    work->remote_count);
        return;
    case 0:
        ikev2_failure_set(out, IKEV2_FAIL_CHILD_REFUSED, exchange, type,
                          "the response has no child and no reason");
        return;
    default:
        ikev2_failure_set(out, IKEV2_FAIL_CHILD_REFUSED, exchange, type, "");
        return;
    }
}

bool ikev2_child_write_request(struct ikev2_outgoing *o, const struct ikev2_work *work,
                               enum proposal_use use)
{
    struct ikev2_sa_payload offer;
    uint8_t spi[4];

    put_u32(spi, work->spi_in);
    if (!proposal_offer(&work->policy->proposals, PROTOCOL_ESP, SLICE_OF(spi), use, &offer)) {
        return false;
    }
    if (work->transport_mode) {
        ikev2_out_notify(o, IKEV2_USE_TRANSPORT_MODE, (struct slice){NULL, 0});
    }
    ikev2_out_sa(o, &offer);
    if (use == PROPOSAL_WITH_KE) {
        ikev2_out_nonce(o, &work->nonce_i);
        if (work->has_pair) {
            ikev2_out_ke(o, work->group, &work->pair);
        }
    }
    ikev2_out_ts(o, IKEV2_TSI, work->local, work->local_count);
    ikev2_out_ts(o, IKEV2_TSR, work->remote, work->remote_count);
    return true;
}

void ikev2_child_write_response(struct ikev2_outgoing *o, const struct ikev2_work *work,
                                enum proposal_use use)
{
    struct ikev2_sa_payload answer;
    uint8_t spi[4];

    put_u32(spi, work->spi_in);
    proposal_answer(&work->choice, SLICE_OF(spi), &answer);
    if (work->transport_mode) {
        ikev2_out_notify(o, IKEV2_USE_TRANSPORT_MODE, (struct slice){NULL, 0});
    }
    ikev2_out_sa(o, &answer);
    if (use == PROPOSAL_WITH_KE) {
        ikev2_out_nonce(o, &work->nonce_r);
        if (work->has_pair) {
            ikev2_out_ke(o, work->group, &work->pair);
        }
    }
    ikev2_out_ts(o, IKEV2_TSI, work->remote, work->remote_count);
    ikev2_out_ts(o, IKEV2_TSR, work->local, work->local_count);
}

/* ---- made ---- */

/* The keys as CHILD_INSTALL tells them: they live until the next event. */
static bool install_keys(struct ikev2_turn *t, const struct ikev2_ike *ike,
                         const struct ikev2_work *work, const struct ikev2_nonce *nonce_i,
                         const struct ikev2_nonce *nonce_r, struct slice *key_in,
                         struct slice *key_out)
{
    struct secret from_initiator = {0};
    struct secret from_responder = {0};
    bool ok = ikev2_keys_child(&ike->keys, &work->choice.suite, secret_slice(&work->shared),
                               ikev2_nonce_slice(nonce_i), ikev2_nonce_slice(nonce_r),
                               &from_initiator, &from_responder) &&
              ikev2_block_copy(secret_slice(&from_initiator), key_in) &&
              ikev2_block_copy(secret_slice(&from_responder), key_out);

    secret_wipe(&from_initiator);
    secret_wipe(&from_responder);
    if (!ok) {
        return false;
    }
    if (work->initiator) {
        struct slice swap = *key_in;

        *key_in = *key_out;
        *key_out = swap;
    }
    struct slice in = *key_in;
    struct slice out = *key_out;

    ikev2_block_drop(t->sa, &in);
    ikev2_block_drop(t->sa, &out);
    return true;
}

struct ikev2_child *ikev2_child_install(struct ikev2_turn *t, struct ikev2_ike *ike,
                                        struct ikev2_work *work, const struct ikev2_nonce *nonce_i,
                                        const struct ikev2_nonce *nonce_r)
{
    struct ikev2_sa *sa = t->sa;
    size_t selectors = work->local_count + work->remote_count;
    struct slice key_in;
    struct slice key_out;
    struct ikev2_child *child =
        ikev2_block_new(sizeof(*child) + selectors * sizeof(struct selector));

    if (child == NULL || !install_keys(t, ike, work, nonce_i, nonce_r, &key_in, &key_out)) {
        ikev2_block_bury(sa, child);
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, 0, 0, "a child could not be made");
        return NULL;
    }
    child->spi_in = work->spi_in;
    work->spi_in = 0;
    child->spi_out = (uint32_t)work->choice.spi;
    child->policy = work->policy;
    child->suite = work->choice.suite;
    child->initiator = work->initiator;
    child->transport_mode = work->transport_mode;
    child->encapsulated = (sa->nat_local || sa->nat_peer || sa->policy->force_encapsulation) &&
                          sa->policy->allow_encapsulation && sa->nat_supported;
    child->replaces_spi_in = work->old_spi_in;
    child->rekey_ms = ikev2_jittered(sa, t->now_ms, work->policy->lifetime_ms, work->initiator);
    child->expire_ms = ikev2_after(t->now_ms, work->policy->lifetime_ms);
    child->use_ms = NEVER_MS;
    child->remove_ms = NEVER_MS;
    child->local_count = (uint16_t)work->local_count;
    child->remote_count = (uint16_t)work->remote_count;
    memcpy(child->selectors, work->local, work->local_count * sizeof(struct selector));
    memcpy(child->selectors + work->local_count, work->remote,
           work->remote_count * sizeof(struct selector));
    child->next = sa->children;
    sa->children = child;
    sa->child_count++;
    struct ikev2_action *action = tell_child(t, IKEV2_CHILD_INSTALL, child);

    action->child.key_in = key_in;
    action->child.key_out = key_out;
    return child;
}

/* ---- CREATE_CHILD_SA by us ---- */

void ikev2_child_begin(struct ikev2_turn *t, struct ikev2_ike *ike,
                       const struct ikev2_child_policy *policy, struct ikev2_child *old,
                       uint8_t retries)
{
    struct ikev2_work *work =
        ikev2_work_new(old != NULL ? IKEV2_WORK_REKEY_CHILD : IKEV2_WORK_CHILD, true);

    if (work == NULL) {
        if (old != NULL) {
            old->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
        }
        tell_failed_for(t, policy, IKEV2_FAIL_RESOURCES, 0, "no memory");
        return;
    }
    ikev2_child_want(work, policy, old);
    work->retries = retries;
    ike->asking = work;
    work->group = proposal_first_group(&policy->proposals);
    /* What was agreed before saves a round of INVALID_KE_PAYLOAD. */
    if (old != NULL && old->suite.key_exchange != KEY_EXCHANGE_NONE &&
        proposal_has_group(&policy->proposals, old->suite.key_exchange)) {
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
    } else if (work->kind == IKEV2_WORK_CHILD &&
               !ikev2_pend(t->sa, work->policy, at_ms, (uint8_t)(work->retries + 1))) {
        tell_failed_for(t, work->policy, IKEV2_FAIL_RESOURCES, 0, "too many children wait");
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
    struct ikev2_outgoing o;

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
        ikev2_out_notify_child(&o, IKEV2_REKEY_SA, old->spi_in);
    }
    ikev2_nonce_make(sa->random, &work->nonce_i);
    if (!ok || !ikev2_child_write_request(&o, work, PROPOSAL_WITH_KE)) {
        tell_failed_for(t, work->policy, IKEV2_FAIL_RESOURCES, 0,
                        "no SPI, no key pair or nothing to offer");
        if (old != NULL) {
            old->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
        }
        ikev2_work_end(t, &ike->asking);
        return;
    }
    ikev2_send_request(t, ike, IKEV2_CREATE_CHILD_SA, &o);
}

/* RFC 7296 2.8.1, 2.25.1: the peer rekeyed the same child, and his is the one that stays. */
static void child_leave_to_rival(struct ikev2_turn *t, struct ikev2_work *work)
{
    struct ikev2_child *old = ikev2_child_by_spi_in(t->sa, work->old_spi_in);
    struct ikev2_child *rival = ikev2_child_by_spi_in(t->sa, work->rival_spi_in);

    if (old != NULL) {
        child_replaced(t, old);
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

    if (error->type != IKEV2_INVALID_KE_PAYLOAD ||
        !ikev2_group_may_be_tried(error, &work->policy->proposals, work->tried, &work->tried_count,
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
    } else if (type == IKEV2_TEMPORARY_FAILURE) {
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

            ikev2_child_stop(t, old);
            ikev2_child_remove(t, old);
            if (!ikev2_pend(t->sa, policy, t->now_ms, 0)) {
                tell_failed_for(t, policy, IKEV2_FAIL_RESOURCES, 0, "too many children wait");
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

    ikev2_tell_child_failed(t, work->policy, failure);
    if (work->collided) {
        child_leave_to_rival(t, work);
    } else if (old != NULL) {
        old->rekey_ms = ikev2_after(t->now_ms, IKEV2_RETRY_MAX_MS);
    }
    ikev2_work_end(t, &ike->asking);
    ikev2_informational_begin(t, ike, IKEV2_WORK_DELETE_CHILD, spi_in);
}

void ikev2_child_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                          const struct ikev2_message *m)
{
    struct ikev2_work *work = ike->asking;
    struct ikev2_failure failure;
    struct ikev2_ke_payload ke;

    work->answered = true;
    if (!m->has[IKEV2_SA]) {
        child_not_made(t, ike, work, ikev2_message_error(m));
        return;
    }
    if (!ikev2_child_verify(t->sa, m, PROPOSAL_WITH_KE, work, &failure)) {
        child_disown(t, ike, work, &failure);
        return;
    }
    ikev2_failure_set(&failure, IKEV2_FAIL_SYNTAX, IKEV2_CREATE_CHILD_SA, 0,
                      "a child without the nonce or key exchange that belongs to it");
    if (!ikev2_message_nonce(m, &work->nonce_r)) {
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
    /* Somebody ordered the old one to be closed while it was being replaced. */
    bool unwanted = old != NULL && old->phase == IKEV2_CHILD_CLOSING && !old->has_successor;
    struct ikev2_child *child = ikev2_child_install(t, ike, work, &work->nonce_i, &work->nonce_r);

    if (child == NULL) {
        return;
    }
    if (unwanted) {
        ikev2_child_close(t, child);
    } else if (child_wins(work)) {
        ikev2_child_use(t, child);
        if (old != NULL) {
            old->has_successor = true;
            ikev2_child_close(t, old);
        }
        if (rival != NULL) {
            ikev2_child_stop(t, rival);
            child_replaced(t, rival);
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
    ikev2_tell_child_failed(t, work->policy, failure);
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
    return old->phase == IKEV2_CHILD_UP ? 0 : IKEV2_TEMPORARY_FAILURE;
}

static void child_send_refusal(struct ikev2_turn *t, struct ikev2_ike *ike, uint16_t refusal,
                               const struct ikev2_notify_payload *rekey)
{
    struct ikev2_outgoing o;

    ikev2_out_begin(&o);
    if (refusal == IKEV2_CHILD_SA_NOT_FOUND && rekey->spi.length == 4) {
        ikev2_out_notify_child(&o, refusal, get_u32(rekey->spi.data));
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

    if (rekey != NULL && rekey->protocol == PROTOCOL_ESP && rekey->spi.length == 4) {
        old = ikev2_child_by_spi_out(sa, get_u32(rekey->spi.data));
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
    refusal = ikev2_child_match(sa, m, PROPOSAL_WITH_KE, old != NULL ? old->policy : NULL, work,
                                &failure);
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
    work->old_spi_in = old != NULL ? old->spi_in : 0;
    ikev2_work_ask_spi(t, work);
    if (work->group != KEY_EXCHANGE_NONE) {
        struct ikev2_ke_payload ke;

        if (ikev2_message_ke(m, &ke)) {
            ikev2_work_ask_key_exchange(t, work, ke.value);
        }
    }
}

/* The old child has a successor made by the peer. */
static void child_replaced_by_peer(struct ikev2_turn *t, struct ikev2_ike *ike,
                                   const struct ikev2_work *work, struct ikev2_child *old,
                                   struct ikev2_child *child)
{
    struct ikev2_work *own = ike->asking;

    if (own != NULL && own->kind == IKEV2_WORK_REKEY_CHILD && own->old_spi_in == old->spi_in &&
        (ike->request != NULL || own->answered)) {
        /* RFC 7296 2.8.1: which of the two stays is known when our own answer is here. */
        own->collided = true;
        own->rival_spi_in = child->spi_in;
        own->rival_lowest = *ikev2_nonce_lower(&work->nonce_i, &work->nonce_r);
        return;
    }
    child_replaced(t, old);
    child->use_ms = ikev2_after(t->now_ms, t->sa->policy->grace_ms);
}

void ikev2_child_answer(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        bool ok)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_child *old = child_to_replace(sa, work);
    struct ikev2_outgoing o;
    struct ikev2_failure failure;
    uint16_t refusal = 0;

    if (!ok && work->bad_public) {
        refusal = IKEV2_INVALID_SYNTAX; /* RFC 6989 2.5 */
        ikev2_failure_set(&failure, IKEV2_FAIL_BAD_PUBLIC_VALUE, IKEV2_CREATE_CHILD_SA, refusal,
                          "");
    } else if (!ok) {
        refusal = IKEV2_NO_ADDITIONAL_SAS;
        ikev2_failure_set(&failure, IKEV2_FAIL_RESOURCES, IKEV2_CREATE_CHILD_SA, refusal,
                          "no SPI is free");
    }
    if (refusal != 0) {
        child_reject(t, ike, work, refusal, &failure);
        ikev2_work_end(t, &ike->answering);
        return;
    }
    if ((work->kind == IKEV2_WORK_REKEY_CHILD && old == NULL) || ike->phase != IKEV2_IKE_LIVE) {
        child_send_refusal(t, ike, IKEV2_TEMPORARY_FAILURE, NULL);
        ikev2_work_end(t, &ike->answering);
        return;
    }
    ikev2_nonce_make(sa->random, &work->nonce_r);
    ikev2_out_begin(&o);
    ikev2_child_write_response(&o, work, PROPOSAL_WITH_KE);
    /* RFC 7296 2.8: we must be able to receive before the peer hears that he may send. */
    struct ikev2_child *child = ikev2_child_install(t, ike, work, &work->nonce_i, &work->nonce_r);

    if (child == NULL || !ikev2_send_response(t, ike, &o)) {
        return;
    }
    child->asked_ike_spi = ikev2_ike_own_spi(ike);
    child->confirm_ms = ikev2_after(t->now_ms, IKEV2_CONFIRM_MS);
    if (old != NULL) {
        child_replaced_by_peer(t, ike, work, old, child);
    } else {
        ikev2_child_use(t, child);
    }
    ikev2_work_end(t, &ike->answering);
}
