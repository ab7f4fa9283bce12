/*
 * What a child protects and how (RFC 7296 2.9, 2.17, 3.3): decides which child policy fits what the
 * peer proposes, whether his answer fits what we proposed, and makes the child out of it.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

/* ---- what is agreed ---- */

bool ikev2_packet_is_set(const struct ikev2_packet *packet)
{
    return !address_is_unset(&packet->local.addresses.first);
}

bool ikev2_packet_equal(const struct ikev2_packet *a, const struct ikev2_packet *b)
{
    return a->only == b->only && a->resource == b->resource &&
           selector_equal(&a->local, &b->local) && selector_equal(&a->remote, &b->remote);
}

bool ikev2_policy_has_packet(const struct ikev2_child_policy *policy,
                             const struct ikev2_packet *packet)
{
    return selectors_are_within(&packet->local, 1, policy->local, policy->local_count) &&
           selectors_are_within(&packet->remote, 1, policy->remote, policy->remote_count);
}

static size_t with_packet(const struct selector *packet, bool only, const struct selector *list,
                          size_t count, struct selector *out)
{
    if (only) {
        *out = *packet;
        return 1;
    }
    count = count < SELECTORS_MAX ? count : SELECTORS_MAX - 1;
    return selectors_with_packet(packet, list, count, out);
}

bool ikev2_child_want(const struct ikev2_sa *sa, struct ikev2_work *work,
                      const struct ikev2_child_policy *policy, const struct ikev2_child *old,
                      const struct ikev2_packet *packet)
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
        work->packet = ikev2_child_packet(old);
        ikev2_resources_inherit(work, old);
        packet = NULL;
    }
    work->policy = policy;
    const struct ikev2_child *like = old;

    /* RFC 9611 3: one for a resource is in everything like the one that is for all. */
    if (packet != NULL && packet->resource != 0) {
        like = ikev2_resources_leader(sa, policy, NULL);
        if (like == NULL || !like->terms.resources) {
            work->packet = *packet;
            return false;
        }
        local = like->selectors;
        local_count = like->local_count;
        remote = like->selectors + like->local_count;
        remote_count = like->remote_count;
        work->packet.resource = packet->resource;
        packet = NULL;
    }
    if (packet != NULL && ikev2_packet_is_set(packet)) {
        if (packet->only && !ikev2_policy_has_packet(policy, packet)) {
            return false;
        }
        work->packet = *packet;
        work->local_count =
            with_packet(&packet->local, packet->only, local, local_count, work->local);
        work->remote_count =
            with_packet(&packet->remote, packet->only, remote, remote_count, work->remote);
    } else {
        work->local_count = local_count < SELECTORS_MAX ? local_count : SELECTORS_MAX;
        work->remote_count = remote_count < SELECTORS_MAX ? remote_count : SELECTORS_MAX;
        memcpy(work->local, local, work->local_count * sizeof(*local));
        memcpy(work->remote, remote, work->remote_count * sizeof(*remote));
    }
    ikev2_terms_want(sa, work, like);
    return work->local_count > 0 && work->remote_count > 0;
}

uint8_t ikev2_child_policy_protocol(const struct ikev2_child_policy *policy)
{
    return policy->proposals->count > 0 ? policy->proposals->list[0].protocol : PROTOCOL_ESP;
}

static bool offers_protocol(const struct ikev2_sa_payload *sa, uint8_t protocol)
{
    for (size_t i = 0; i < sa->proposal_count; i++) {
        if (sa->proposals[i].protocol == protocol) {
            return true;
        }
    }
    return false;
}

/* Nothing in common. Whoever offers the other protocol alone is quoted with it. */
static void set_no_proposal(struct ikev2_failure *failure, const struct ikev2_child_policy *policy,
                            const struct ikev2_sa_payload *theirs, uint8_t exchange,
                            uint16_t notify, const char *detail)
{
    const struct proposals *ours = policy->proposals;
    uint8_t protocol = ikev2_child_policy_protocol(policy);
    uint8_t other = protocol == PROTOCOL_AH ? PROTOCOL_ESP : PROTOCOL_AH;

    ikev2_failure_set(failure,
                      protocol == PROTOCOL_AH ? IKEV2_FAIL_CHILD_AH : IKEV2_FAIL_CHILD_NO_PROPOSAL,
                      exchange, notify, detail);
    ikev2_failure_proposals(failure, &ours, 1, theirs, protocol);
    if (theirs != NULL && !offers_protocol(theirs, protocol) && offers_protocol(theirs, other)) {
        struct text said = text_over(failure->theirs, sizeof(failure->theirs));

        text_add(&said, other == PROTOCOL_AH ? "AH " : "ESP ");
        proposal_describe_offer(theirs, other, &said);
    }
}

/* AH covers the outer addresses, and a NAT changes them (RFC 4302 3.3.3, RFC 3715 2.1). */
static bool cannot_pass_nat(const struct ikev2_sa *sa, const struct ikev2_work *work)
{
    /* RFC 9329 3: nor through a TCP connection. */
    return work->choice.protocol == PROTOCOL_AH && (sa->nat_local || sa->nat_peer || sa->peer.tcp);
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

static bool allows(const struct ikev2_child_policy *policy, bool transport)
{
    return policy->mode != (transport ? IKEV2_MODE_TUNNEL : IKEV2_MODE_TRANSPORT);
}

/* The policy that fits best, of those that allow the mode, with the selectors narrowed to it. */
static bool match_policies(const struct ikev2_sa *sa, const struct ikev2_child_policy *only,
                           const struct ikev2_ts_payload *tsi, const struct ikev2_ts_payload *tsr,
                           bool transport, struct ikev2_work *work)
{
    enum selectors_verdict best = SELECTORS_NONE;

    if (only != NULL) {
        return allows(only, transport) &&
               match_policy(only, tsi, tsr, best, work) != SELECTORS_NONE;
    }
    for (size_t i = 0; i < sa->policy->child_count; i++) {
        if (allows(&sa->policy->children[i], transport)) {
            best = match_policy(&sa->policy->children[i], tsi, tsr, best, work);
        }
    }
    return best != SELECTORS_NONE;
}

/* RFC 7296 2.23.1: with the selectors as we see them, for the two hosts alone. */
static bool match_transport(const struct ikev2_sa *sa, const struct ikev2_child_policy *only,
                            const struct ikev2_ts_payload *tsi, const struct ikev2_ts_payload *tsr,
                            struct ikev2_work *work)
{
    struct ikev2_ts_payload peer = *tsi;
    struct ikev2_ts_payload local = *tsr;
    struct ikev2_terms terms = {.transport_mode = true};

    if (!ikev2_terms_see(sa, &local, &peer, &terms)) {
        return false;
    }
    local.count =
        (uint16_t)ikev2_selectors_of_host(local.selectors, local.count, &sa->local.address);
    peer.count = (uint16_t)ikev2_selectors_of_host(peer.selectors, peer.count, &sa->peer.address);
    if (local.count == 0 || peer.count == 0 ||
        !match_policies(sa, only, &peer, &local, true, work)) {
        return false;
    }
    work->agreed = terms;
    return true;
}

static uint16_t match_selectors(struct ikev2_sa *sa, const struct ikev2_message *m,
                                const struct ikev2_child_policy *only, struct ikev2_work *work,
                                struct ikev2_failure *failure)
{
    struct ikev2_ts_payload tsi NOT_ZEROED;
    struct ikev2_ts_payload tsr NOT_ZEROED;
    bool transport = ikev2_message_notify(m, IKEV2_USE_TRANSPORT_MODE) != NULL;

    if (!ikev2_read_ts(m->body[IKEV2_TSI], &tsi) || !ikev2_read_ts(m->body[IKEV2_TSR], &tsr)) {
        ikev2_failure_set(failure, IKEV2_FAIL_SYNTAX, m->header.exchange, IKEV2_INVALID_SYNTAX,
                          "malformed traffic selectors");
        return IKEV2_INVALID_SYNTAX;
    }
    if ((transport && match_transport(sa, only, &tsi, &tsr, work)) ||
        match_policies(sa, only, &tsi, &tsr, false, work)) {
        return 0;
    }
    /* RFC 7296 3.10.1: NO_PROPOSAL_CHOSEN speaks of USE_TRANSPORT_MODE as well. */
    if (!transport && match_policies(sa, only, &tsi, &tsr, true, work)) {
        ikev2_failure_set(failure, IKEV2_FAIL_CHILD_MODE, m->header.exchange,
                          IKEV2_NO_PROPOSAL_CHOSEN, "");
        return IKEV2_NO_PROPOSAL_CHOSEN;
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
    struct ikev2_sa_payload offer NOT_ZEROED;
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
    const struct proposals *ours = work->policy->proposals;

    switch (proposal_choose(&offer, &ours, 1, ikev2_child_policy_protocol(work->policy), 4, use,
                            ke.group, &work->choice)) {
    case PROPOSAL_NONE:
        set_no_proposal(failure, work->policy, &offer, m->header.exchange, IKEV2_NO_PROPOSAL_CHOSEN,
                        "");
        return IKEV2_NO_PROPOSAL_CHOSEN;
    case PROPOSAL_WRONG_GROUP:
        ikev2_failure_set(failure, IKEV2_FAIL_NONE, m->header.exchange, IKEV2_INVALID_KE_PAYLOAD,
                          "");
        return IKEV2_INVALID_KE_PAYLOAD;
    case PROPOSAL_CHOSEN:
        break;
    }
    if (cannot_pass_nat(sa, work)) {
        ikev2_failure_set(failure, IKEV2_FAIL_CHILD_AH_NAT, m->header.exchange,
                          IKEV2_NO_PROPOSAL_CHOSEN, "");
        return IKEV2_NO_PROPOSAL_CHOSEN;
    }
    work->group = work->choice.suite.key_exchange;
    ikev2_terms_choose(m, work);
    notify = only == NULL ? ikev2_resources_match(sa, m, work, failure) : 0;
    if (notify == 0 && sa->child_count >= IKEV2_CHILDREN_MAX) {
        ikev2_failure_set(failure, IKEV2_FAIL_RESOURCES, m->header.exchange,
                          IKEV2_NO_ADDITIONAL_SAS, "too many children under one IKE SA");
        return IKEV2_NO_ADDITIONAL_SAS;
    }
    return notify;
}

/* The selectors that the responder chose, if they are part of what was proposed. */
static bool verify_selectors(const struct ikev2_sa *sa, const struct ikev2_message *m,
                             struct ikev2_work *work, struct ikev2_failure *failure)
{
    struct ikev2_ts_payload tsi NOT_ZEROED;
    struct ikev2_ts_payload tsr NOT_ZEROED;

    if (!m->has[IKEV2_TSI] || !m->has[IKEV2_TSR] || !ikev2_read_ts(m->body[IKEV2_TSI], &tsi) ||
        !ikev2_read_ts(m->body[IKEV2_TSR], &tsr)) {
        ikev2_failure_set(failure, IKEV2_FAIL_SYNTAX, m->header.exchange, 0,
                          "a child without well-formed traffic selectors");
        return false;
    }
    bool seen = !work->agreed.transport_mode || ikev2_terms_see(sa, &tsi, &tsr, &work->agreed);

    if (!seen || !selectors_are_within(tsi.selectors, tsi.count, work->local, work->local_count) ||
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
    struct ikev2_sa_payload answer NOT_ZEROED;

    if (!m->has[IKEV2_SA] || !ikev2_read_sa(m->body[IKEV2_SA], &answer)) {
        ikev2_failure_set(failure, IKEV2_FAIL_SYNTAX, m->header.exchange, 0,
                          "a child without a well-formed proposal");
        return false;
    }
    if (!proposal_verify(&answer, work->policy->proposals,
                         ikev2_child_policy_protocol(work->policy), 4,
                         work->without_group ? PROPOSAL_WITHOUT_KE : use, &work->choice)) {
        set_no_proposal(failure, work->policy, &answer, m->header.exchange, 0,
                        "the responder chose what was not offered");
        return false;
    }
    if (cannot_pass_nat(sa, work)) {
        ikev2_failure_set(failure, IKEV2_FAIL_CHILD_AH_NAT, m->header.exchange, 0, "");
        return false;
    }
    if (sa->child_count >= IKEV2_CHILDREN_MAX) {
        ikev2_failure_set(failure, IKEV2_FAIL_RESOURCES, m->header.exchange, 0,
                          "too many children under one IKE SA");
        return false;
    }
    return ikev2_terms_verify(m, work, failure) && verify_selectors(sa, m, work, failure) &&
           ikev2_resources_verify(sa, m, work, failure);
}

void ikev2_child_refused(const struct ikev2_work *work, const struct ikev2_notify_payload *notify,
                         uint8_t exchange, struct ikev2_failure *out)
{
    uint16_t type = notify != NULL ? notify->type : 0;

    if (work->packet.resource != 0) {
        ikev2_failure_set(out, IKEV2_FAIL_CHILD_RESOURCE, exchange, type, "");
        return;
    }
    switch (type) {
    case IKEV2_NO_PROPOSAL_CHOSEN:
        set_no_proposal(out, work->policy, NULL, exchange, type, "");
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

bool ikev2_child_write_request(const struct ikev2_sa *sa, struct ikev2_outgoing *o,
                               struct ikev2_work *work, enum proposal_use use)
{
    struct ikev2_sa_payload offer NOT_ZEROED;
    uint8_t spi[4];

    put_u32(spi, work->spi_in);
    if (!proposal_offer(work->policy->proposals, ikev2_child_policy_protocol(work->policy),
                        SLICE_OF(spi), work->without_group ? PROPOSAL_WITHOUT_KE : use, &offer)) {
        return false;
    }
    ikev2_terms_write(sa, o, work, &work->wanted);
    ikev2_out_sa(o, &offer);
    if (use != PROPOSAL_WITHOUT_KE) {
        ikev2_out_nonce(o, &work->nonce_i);
        if (work->has_pair) {
            ikev2_out_ke(o, work->group, &work->pair);
        }
    }
    ikev2_out_ts(o, IKEV2_TSI, work->local, work->local_count);
    ikev2_out_ts(o, IKEV2_TSR, work->remote, work->remote_count);
    return true;
}

void ikev2_child_write_response(const struct ikev2_sa *sa, struct ikev2_outgoing *o,
                                struct ikev2_work *work, enum proposal_use use)
{
    struct ikev2_sa_payload answer NOT_ZEROED;
    uint8_t spi[4];

    put_u32(spi, work->spi_in);
    proposal_answer(&work->choice, SLICE_OF(spi), &answer);
    ikev2_terms_write(sa, o, work, &work->agreed);
    ikev2_out_sa(o, &answer);
    if (use != PROPOSAL_WITHOUT_KE) {
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
                               secret_slice(&work->more), &from_initiator, &from_responder) &&
              ikev2_block_copy(secret_slice(&from_initiator), key_in) &&
              ikev2_block_copy(secret_slice(&from_responder), key_out);

    secret_wipe(&from_initiator);
    secret_wipe(&from_responder);
    if (!ok) {
        ikev2_block_drop(t->sa, key_in);
        ikev2_block_drop(t->sa, key_out);
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

/* On port 500 there is no ESP in UDP (RFC 3948 2): the peer did not find out, and does not want it
 * either. With IKE over TCP, ESP goes there as well (RFC 9329 5). */
bool ikev2_child_is_encapsulated(const struct ikev2_sa *sa, uint8_t protocol)
{
    bool wanted =
        sa->nat_local || sa->nat_peer || sa->udp_agreed || sa->policy->force_encapsulation;

    if (sa->peer.tcp) {
        return protocol == PROTOCOL_ESP;
    }
    return protocol == PROTOCOL_ESP && wanted && sa->policy->allow_encapsulation &&
           sa->nat_supported && sa->local.port != IKEV2_PORT;
}

struct ikev2_child *ikev2_child_install(struct ikev2_turn *t, struct ikev2_ike *ike,
                                        struct ikev2_work *work, const struct ikev2_nonce *nonce_i,
                                        const struct ikev2_nonce *nonce_r)
{
    struct ikev2_sa *sa = t->sa;
    size_t selectors = work->local_count + work->remote_count;
    struct slice key_in = {NULL, 0};
    struct slice key_out = {NULL, 0};
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
    child->protocol = work->choice.protocol;
    child->suite = work->choice.suite;
    child->initiator = work->initiator;
    child->terms = work->agreed;
    child->terms.cpi_in = work->agreed.compress ? work->cpi_in : 0;
    child->only = work->packet.only;
    child->resource = work->packet.resource;
    child->resource_id = work->resource_id;
    child->terms.resources = work->agreed.resources || work->peer_has_resources;
    child->encapsulated = ikev2_child_is_encapsulated(sa, child->protocol);
    child->replaces_spi_in = work->old_spi_in;
    child->rekey_ms = ikev2_quirk_rekey_ms(
        sa, ikev2_jittered(sa, t->now_ms, work->policy->lifetime_ms, work->initiator));
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
    struct ikev2_action *action = ikev2_tell_child(t, IKEV2_CHILD_INSTALL, child);

    action->child.key_in = key_in;
    action->child.key_out = key_out;
    return child;
}
