/*
 * Quick Mode as initiator: decides what is proposed, for which traffic, and whether the answer is a
 * part of that.
 */
#include <string.h>

#include "proto/ikev1/quick.h"

/* Groups that the policy has, in its order, each once, and at the end 0 where it allows to go
 * without. False: there are not so many. */
static bool group_at(const struct ikev1_child_policy *policy, size_t index, uint16_t *out)
{
    uint16_t groups[IKEV1_GROUPS_TRIED_MAX];
    size_t count = ikev1_phase2_groups(policy, groups, ARRAY_LENGTH(groups));

    *out = index < count ? groups[index] : 0;
    return index < count;
}

/* A child that is renewed begins with what its peer took before. */
static uint16_t first_group(const struct ikev1_child_policy *policy, const struct ikev1_child *old)
{
    uint16_t group;

    for (size_t i = 0; old != NULL && group_at(policy, i, &group); i++) {
        if (group == old->suite.key_exchange) {
            return group;
        }
    }
    (void)group_at(policy, 0, &group);
    return group;
}

static bool has_ah(const struct ikev1_child_policy *policy)
{
    return policy->around != NULL || ikev1_child_policy_protocol(policy) == PROTOCOL_AH;
}

static void wish_carriage(const struct ikev1_turn *t, struct ikev1_quick *q,
                          const struct ikev1_child *old)
{
    bool nat = q->ike->nat_local || q->ike->nat_peer;

    q->carriage = (struct ikev1_carriage){
        .transport_mode = old != NULL ? old->transport_mode : q->policy->mode != IKEV1_MODE_TUNNEL,
        .udp = (nat || t->sa->policy->force_encapsulation) && q->ike->natt != IKEV1_NATT_NONE &&
               t->sa->local.port != IKEV1_PORT && !has_ah(q->policy),
        .draft = q->ike->natt == IKEV1_NATT_DRAFT,
    };
}

/* In transport mode a child is for the two ends of IKE. */
static bool wish_hosts(const struct ikev1_turn *t, struct ikev1_quick *q)
{
    const struct address *local = &t->sa->local.address;
    const struct address *peer = &t->sa->peer.address;

    if (!q->carriage.transport_mode) {
        return true;
    }
    if (!range_contains(&q->offered_local.addresses, local) ||
        !range_contains(&q->offered_remote.addresses, peer)) {
        return false;
    }
    q->offered_local.addresses = (struct range){*local, *local};
    q->offered_remote.addresses = (struct range){*peer, *peer};
    return true;
}

/* The message ID is unlike all that are remembered of either side. */
static struct ikev1_quick *new_own(struct ikev1_turn *t)
{
    struct ikev1_ike *ike = t->sa->current;
    uint32_t id = ikev1_fresh_message_id(t->sa, ike);
    struct ikev1_quick *q = ikev1_quick_new(t, ike, id, true);

    if (q != NULL) {
        ikev1_ike_saw(ike, id);
    }
    return q;
}

static void ask(struct ikev1_turn *t, struct ikev1_quick *q)
{
    const struct slice nothing = {NULL, 0};

    ikev1_nonce_make(t->sa->random, &q->nonce_i);
    ikev1_quick_ask_spis(t, q, q->policy->around != NULL);
    if (q->group != 0) {
        ikev1_quick_ask_key_exchange(t, q, nothing);
    }
}

/* In transport mode through a NAT what the peer called himself is nothing that we could say. */
static void wish_traffic(struct ikev1_quick *q, const struct ikev1_child *old,
                         const struct selector *local, const struct selector *remote)
{
    bool as_we_see = old != NULL && old->transport_mode;

    q->offered_local = as_we_see ? old->local : old != NULL ? old->offered_local : *local;
    q->offered_remote = as_we_see ? old->remote : old != NULL ? old->offered_remote : *remote;
}

void ikev1_quick_begin(struct ikev1_turn *t, const struct ikev1_child_policy *policy,
                       const struct selector *local, const struct selector *remote,
                       struct ikev1_child *old, uint8_t retries)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_ike *ike = sa->current;
    struct ikev1_quick *q = new_own(t);
    struct ikev1_failure failure;

    if (q == NULL) {
        ikev1_failure_set(&failure, IKEV1_FAIL_RESOURCES, IKEV1_QUICK, 0, "no memory");
        ikev1_tell_child_failed(t, policy, &failure);
        return;
    }
    q->policy = policy;
    q->retries = retries;
    q->old_spi_in = old != NULL ? old->spi_in : 0;
    wish_traffic(q, old, local, remote);
    wish_carriage(t, q, old);
    if (has_ah(policy) && (ike->nat_local || ike->nat_peer)) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_CHILD_AH_NAT, 0, "");
        return;
    }
    if (!wish_hosts(t, q) || !ikev1_traffic_ids(q)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_CHILD_SELECTORS, IKEV1_QUICK, 0,
                          q->carriage.transport_mode
                              ? "transport mode is for the two ends of IKE alone"
                              : "IKEv1 cannot say a range of ports");
        ikev1_failure_selectors(failure.ours, &q->offered_local, 1, &q->offered_remote, 1);
        ikev1_quick_fail(t, q, &failure);
        return;
    }
    q->local = q->offered_local;
    q->remote = q->offered_remote;
    if (!ikev1_traffic_bound(q)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_CHILD_SELECTORS, IKEV1_QUICK, 0,
                          "nothing of it is for the peer any more");
        ikev1_failure_selectors(failure.ours, &q->offered_local, 1, &q->offered_remote, 1);
        ikev1_quick_fail(t, q, &failure);
        return;
    }
    q->group = first_group(policy, old);
    ask(t, q);
}

bool ikev1_quick_try_another(struct ikev1_turn *t, struct ikev1_quick *q)
{
    const struct ikev1_child *old =
        q->old_spi_in != 0 ? ikev1_child_by_spi_in(t->sa, q->old_spi_in) : NULL;
    uint16_t first = first_group(q->policy, old);
    uint16_t group;
    size_t index = q->group_tries;

    /* That which was the first stands among the others as well. */
    if (!group_at(q->policy, index, &group) ||
        (group == first && !group_at(q->policy, ++index, &group)) || q->ike != t->sa->current) {
        return false;
    }
    struct ikev1_quick *next = new_own(t);

    if (next == NULL) {
        return false;
    }
    next->policy = q->policy;
    next->retries = q->retries;
    next->old_spi_in = q->old_spi_in;
    next->begun_serial = q->begun_serial;
    next->offered_local = q->offered_local;
    next->offered_remote = q->offered_remote;
    next->local = q->local;
    next->remote = q->remote;
    next->carriage = q->carriage;
    next->group = group;
    next->group_tries = (uint8_t)(index + 1);
    next->id_i = q->id_i;
    next->id_r = q->id_r;
    q->id_i = q->id_r = (struct slice){NULL, 0};
    ikev1_quick_end(t, q);
    ask(t, next);
    return true;
}

/* The identities of the answer: ours come back, or a part of them from who narrows. */
static bool verify_ids(struct ikev1_quick *q, const struct ikev1_message *m)
{
    struct ikev1_id_payload id;
    struct slice body_i;
    struct slice body_r;
    struct selector local;
    struct selector remote;

    if (!ikev1_message_find(m, IKEV1_ID, 0, &body_i) ||
        !ikev1_message_find(m, IKEV1_ID, 1, &body_r)) {
        return !ikev1_message_find(m, IKEV1_ID, 0, &body_i) && q->carriage.transport_mode;
    }
    if (slice_equal(body_i, q->id_i) && slice_equal(body_r, q->id_r)) {
        return true;
    }
    if (!ikev1_read_id(body_i, &id) || !ikev1_id_selector(&id, &local) ||
        !ikev1_read_id(body_r, &id) || !ikev1_id_selector(&id, &remote)) {
        return false;
    }
    if (q->carriage.transport_mode) {
        /* Behind a NAT each side calls the ends as it sees them. */
        return local.protocol == q->local.protocol && remote.protocol == q->remote.protocol;
    }
    q->local = local;
    q->remote = remote;
    return selector_contains(&q->offered_local, &local) &&
           selector_contains(&q->offered_remote, &remote) && ikev1_traffic_bound(q);
}

static void take_lifetime(struct ikev1_quick *q, const struct ikev1_message *m)
{
    struct ikev1_notify_payload n;
    struct ikev1_wire_transform life = {0};

    if (!ikev1_message_notify(m, IKEV1_RESPONDER_LIFETIME, &n) ||
        !ikev1_read_transform_attributes(q->choice.protocol, n.data, &life)) {
        return;
    }
    if (life.life_seconds != 0 &&
        (q->choice.life_seconds == 0 || life.life_seconds < q->choice.life_seconds)) {
        q->choice.life_seconds = life.life_seconds;
    }
    if (life.life_kilobytes != 0 &&
        (q->choice.life_kilobytes == 0 || life.life_kilobytes < q->choice.life_kilobytes)) {
        q->choice.life_kilobytes = life.life_kilobytes;
    }
}

void ikev1_quick_receive_2(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_message *m)
{
    struct ikev1_iv iv = q->iv;
    struct ikev1_hash_value hash;
    struct ikev1_sa_payload sa NOT_ZEROED;
    struct slice body;
    struct slice ke = {NULL, 0};

    if (!ikev1_quick_open(t, q, &iv, m) ||
        !ikev1_hash_2(&q->ike->keys, q->message_id, ikev1_nonce_slice(&q->nonce_i),
                      ikev1_message_behind_hash(m), &hash) ||
        !ikev1_hash_equal(&hash, m->list[0].body)) {
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    q->iv = iv;
    retransmit_stop(&q->retransmit);
    ikev1_heard(t, q->ike, m);
    if (!ikev1_message_only(m, IKEV1_SA, &body) || !ikev1_read_sa(body, &sa) ||
        !ikev1_message_nonce(m, &q->nonce_r) ||
        !ikev1_phase2_verify(&sa, q->policy, q->group, &q->carriage, &q->choice)) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_SYNTAX, 0,
                             "the answer is not one of the proposals that were made");
        return;
    }
    if (!verify_ids(q, m)) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_CHILD_SELECTORS, 0,
                             "the answer is about other networks than the question");
        return;
    }
    if (q->group != 0 &&
        (!ikev1_message_only(m, IKEV1_KE, &ke) || !ikev1_quick_ke_fits(q->group, ke))) {
        ikev1_quick_fail_for(t, q, IKEV1_FAIL_SYNTAX, 0,
                             "the key exchange is missing or has a wrong length");
        return;
    }
    take_lifetime(q, m);
    ikev1_quick_read_originals(t, q, m);
    q->commit = (m->header.flags & IKEV1_FLAG_COMMIT) != 0;
    q->answered = true;
    q->step = IKEV1_QUICK_ASKING;
    if (q->group != 0) {
        ikev1_quick_ask_key_exchange(t, q, ke);
    } else {
        ikev1_quick_send_3(t, q);
    }
}
