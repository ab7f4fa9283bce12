/*
 * What a Quick Mode is about (RFC 2407 4.6.2, RFC 2409 5.5, RFC 3947 5): identities as selectors,
 * and which child policy has them. Decides that a responder never says yes to traffic that no
 * policy has.
 */
#include <string.h>

#include "proto/ikev1/machine.h"

bool ikev1_id_of_selector(const struct selector *selector, struct slice *block)
{
    uint8_t bytes[64];
    struct writer w = writer_over(bytes, sizeof(bytes));

    return ikev1_write_selector(&w, selector) && writer_ok(&w) &&
           ikev1_block_copy(writer_written(&w), block);
}

bool ikev1_traffic_ids(struct ikev1_quick *q)
{
    return ikev1_id_of_selector(&q->offered_local, &q->id_i) &&
           ikev1_id_of_selector(&q->offered_remote, &q->id_r);
}

/* Windows before Vista says its name where a NAT makes its address worthless; it means itself. */
static bool read_peers_id(const struct ikev1_turn *t, const struct ikev1_quick *q,
                          struct slice body, struct selector *out)
{
    struct ikev1_id_payload id;

    if (!ikev1_read_id(body, &id)) {
        return false;
    }
    if (id.type != IKEV1_ID_FQDN || !q->ike->nat_peer) {
        return ikev1_id_selector(&id, out);
    }
    *out = (struct selector){
        .addresses = {t->sa->peer.address, t->sa->peer.address},
        .protocol = id.protocol,
        .port_first = id.port,
        .port_last = id.port == 0 ? UINT16_MAX : id.port,
    };
    return true;
}

bool ikev1_traffic_read_ids(struct ikev1_turn *t, struct ikev1_quick *q,
                            const struct ikev1_message *m)
{
    struct ikev1_id_payload id;
    struct slice body_i;
    struct slice body_r;

    if (!ikev1_message_find(m, IKEV1_ID, 0, &body_i)) {
        const struct selector any = {.port_last = UINT16_MAX};

        q->offered_local = any;
        q->offered_remote = any;
        q->offered_local.addresses = (struct range){t->sa->local.address, t->sa->local.address};
        q->offered_remote.addresses = (struct range){t->sa->peer.address, t->sa->peer.address};
        return true;
    }
    return ikev1_message_find(m, IKEV1_ID, 1, &body_r) &&
           read_peers_id(t, q, body_i, &q->offered_remote) && ikev1_read_id(body_r, &id) &&
           ikev1_id_selector(&id, &q->offered_local) && ikev1_block_copy(body_i, &q->id_i) &&
           ikev1_block_copy(body_r, &q->id_r);
}

static struct selector of_host(const struct address *host, const struct selector *like)
{
    struct selector s = *like;

    s.addresses.first = *host;
    s.addresses.last = *host;
    return s;
}

static bool is_one_host(const struct selector *s)
{
    return address_equal(&s->addresses.first, &s->addresses.last);
}

/* In transport mode a child is for the two ends of IKE; a NAT between them changes how each is
 * called (RFC 3947 5.2). */
static bool as_we_see(const struct ikev1_turn *t, const struct ikev1_quick *q,
                      struct selector *local, struct selector *remote)
{
    *local = of_host(&t->sa->local.address, &q->offered_local);
    *remote = of_host(&t->sa->peer.address, &q->offered_remote);
    if (!is_one_host(&q->offered_local) || !is_one_host(&q->offered_remote)) {
        return false;
    }
    return (q->ike->nat_local || selector_equal(local, &q->offered_local)) &&
           (q->ike->nat_peer || selector_equal(remote, &q->offered_remote));
}

/* What is agreed on: all of `wanted`, which one selector of the list has; or where a peer may want
 * more than there is, what the list has of it. When that is no single selector it stays what was
 * wanted: see ikev1_traffic_share(). */
static bool narrow(const struct selector *list, size_t count, const struct selector *wanted,
                   bool wider, struct selector *out)
{
    struct selector both[SELECTORS_MAX];
    size_t both_count;

    for (size_t i = 0; i < count; i++) {
        if (selector_contains(&list[i], wanted)) {
            *out = *wanted;
            return true;
        }
    }
    if (!wider || selectors_narrow(wanted, 1, list, count, both, &both_count) == SELECTORS_NONE) {
        return false;
    }
    *out = both_count == 1 ? both[0] : *wanted;
    return true;
}

bool ikev1_traffic_bound(struct ikev1_quick *q)
{
    const struct ikev1_child_policy *policy = q->policy;
    struct selector local = q->local;
    struct selector remote = q->remote;

    return !policy->accept_wider || q->carriage.transport_mode ||
           (narrow(policy->local, policy->local_count, &local, true, &q->local) &&
            narrow(policy->remote, policy->remote_count, &remote, true, &q->remote));
}

bool ikev1_traffic_share(const struct ikev1_quick *q, struct ikev1_child *child)
{
    const struct ikev1_child_policy *policy = q->policy;
    struct selector local[SELECTORS_MAX];
    struct selector remote[SELECTORS_MAX];
    size_t local_count, remote_count;

    if (!policy->accept_wider || q->carriage.transport_mode) {
        return true;
    }
    if (selectors_narrow(&q->local, 1, policy->local, policy->local_count, local, &local_count) ==
            SELECTORS_NONE ||
        selectors_narrow(&q->remote, 1, policy->remote, policy->remote_count, remote,
                         &remote_count) == SELECTORS_NONE) {
        return false;
    }
    if (local_count == 1 && remote_count == 1) {
        return true;
    }
    child->share = ikev1_block_new((local_count + remote_count) * sizeof(*child->share));
    if (child->share == NULL) {
        return false;
    }
    memcpy(child->share, local, local_count * sizeof(*local));
    memcpy(child->share + local_count, remote, remote_count * sizeof(*remote));
    child->local_share = (uint8_t)local_count;
    child->remote_share = (uint8_t)remote_count;
    return true;
}

/* What a policy has to say to an offer. */
enum verdict {
    NOT_ITS_TRAFFIC,
    NOT_ITS_PROPOSAL,
    NOT_ITS_MODE,
    FITS,
};

static enum verdict try_mode(const struct ikev1_turn *t, struct ikev1_quick *q,
                             const struct ikev1_child_policy *policy,
                             const struct ikev1_sa_payload *offer, bool has_ke, bool transport)
{
    bool nat = q->ike->nat_local || q->ike->nat_peer;
    struct selector local = q->offered_local;
    struct selector remote = q->offered_remote;

    if (transport && !as_we_see(t, q, &local, &remote)) {
        return NOT_ITS_TRAFFIC;
    }
    if (!narrow(policy->local, policy->local_count, &local, policy->accept_wider, &q->local) ||
        !narrow(policy->remote, policy->remote_count, &remote, policy->accept_wider, &q->remote)) {
        return NOT_ITS_TRAFFIC;
    }
    /* As it was found out first; but a peer may insist on UDP without a NAT, and some do without
     * it behind one. */
    for (unsigned i = 0; i < 2; i++) {
        q->carriage = (struct ikev1_carriage){
            .transport_mode = transport,
            .udp = nat == (i == 0),
            .draft = q->ike->natt == IKEV1_NATT_DRAFT,
        };
        if (q->carriage.udp &&
            (q->ike->natt == IKEV1_NATT_NONE || t->sa->local.port == IKEV1_PORT)) {
            continue;
        }
        if (ikev1_phase2_choose(offer, policy, has_ke, &q->carriage, false, &q->choice)) {
            return FITS;
        }
    }
    return NOT_ITS_PROPOSAL;
}

static enum verdict try_policy(const struct ikev1_turn *t, struct ikev1_quick *q,
                               const struct ikev1_child_policy *policy,
                               const struct ikev1_sa_payload *offer, bool has_ke)
{
    enum verdict tunnel = NOT_ITS_TRAFFIC;
    enum verdict transport = NOT_ITS_TRAFFIC;
    struct ikev1_quick other;

    if (policy->mode != IKEV1_MODE_TUNNEL) {
        transport = try_mode(t, q, policy, offer, has_ke, true);
        if (transport == FITS) {
            return FITS;
        }
    }
    if (policy->mode != IKEV1_MODE_TRANSPORT) {
        tunnel = try_mode(t, q, policy, offer, has_ke, false);
        return tunnel > transport ? tunnel : transport;
    }
    /* Would a tunnel have done? Then it is the mode that is wrong. */
    other = *q;
    if (try_mode(t, &other, policy, offer, has_ke, false) == FITS) {
        return NOT_ITS_MODE;
    }
    return transport;
}

bool ikev1_traffic_match(struct ikev1_turn *t, struct ikev1_quick *q,
                         const struct ikev1_sa_payload *offer, bool has_ke,
                         struct ikev1_failure *failure)
{
    const struct ikev1_policy *policy = t->sa->policy;
    enum verdict best = NOT_ITS_TRAFFIC;

    for (size_t i = 0; i < policy->child_count; i++) {
        const struct ikev1_child_policy *child = &policy->children[i];
        enum verdict verdict = try_policy(t, q, child, offer, has_ke);

        if (verdict == FITS) {
            q->policy = child;
            return true;
        }
        if (verdict > best) {
            best = verdict;
            q->policy = child;
        }
    }
    if (best == NOT_ITS_TRAFFIC) {
        ikev1_failure_set(failure, IKEV1_FAIL_CHILD_SELECTORS, IKEV1_QUICK,
                          IKEV1_INVALID_ID_INFORMATION, "");
        if (policy->child_count > 0) {
            ikev1_failure_selectors(failure->ours, policy->children[0].local,
                                    policy->children[0].local_count, policy->children[0].remote,
                                    policy->children[0].remote_count);
        }
        ikev1_failure_selectors(failure->theirs, &q->offered_local, 1, &q->offered_remote, 1);
        return false;
    }
    ikev1_failure_set(failure,
                      best == NOT_ITS_MODE ? IKEV1_FAIL_CHILD_MODE : IKEV1_FAIL_CHILD_NO_PROPOSAL,
                      IKEV1_QUICK, IKEV1_NO_PROPOSAL_CHOSEN, "");
    struct text theirs = text_over(failure->theirs, sizeof(failure->theirs));

    ikev1_failure_child_policy(failure, q->policy);
    ikev1_describe_phase2_offer(offer, &theirs);
    return false;
}
