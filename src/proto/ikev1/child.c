/*
 * The life of a child: decides when it is used, what goes out of use with it, and when it is gone.
 * A child replaces those with the same traffic that were there when its making began. So the same
 * holds on both sides when both renew one at the same time: both new ones stay, and whichever is
 * renewed first takes both away.
 */
#include <string.h>

#include "proto/ikev1/machine.h"

struct ikev1_child *ikev1_child_by_spi_in(const struct ikev1_sa *sa, uint32_t spi_in)
{
    struct ikev1_child *child = sa->children;

    while (child != NULL && child->spi_in != spi_in) {
        child = child->next;
    }
    return child;
}

static bool has_spi_out(const struct ikev1_child *child, uint8_t protocol, uint32_t spi_out)
{
    return (child->spi_out == spi_out && child->protocol == protocol) ||
           (child->around.spi_out == spi_out && spi_out != 0 && protocol == PROTOCOL_AH);
}

struct ikev1_child *ikev1_child_by_spi_out(const struct ikev1_sa *sa, uint8_t protocol,
                                           uint32_t spi_out)
{
    struct ikev1_child *child = sa->children;

    while (child != NULL &&
           (!has_spi_out(child, protocol, spi_out) || child->phase == IKEV1_CHILD_GRACE)) {
        child = child->next;
    }
    return child;
}

void ikev1_child_fill_info(const struct ikev1_sa *sa, const struct ikev1_child *child,
                           struct ikev1_child_info *out)
{
    memset(out, 0, sizeof(*out));
    out->spi_in = child->spi_in;
    out->spi_out = child->spi_out;
    out->policy = child->policy;
    out->protocol = child->protocol;
    out->suite = child->suite;
    out->around = child->around;
    out->cpi_in = child->cpi_in;
    out->cpi_out = child->cpi_out;
    out->encapsulated = child->encapsulated;
    out->initiator = child->initiator;
    out->replaces_spi_in = child->replaces_spi_in;
    out->transport_mode = child->transport_mode;
    out->original_local = child->original_local;
    out->original_peer = child->original_peer;
    out->local = sa->local;
    out->peer = sa->peer;
    out->local_selectors = &child->local;
    out->local_count = 1;
    out->remote_selectors = &child->remote;
    out->remote_count = 1;
    if (child->share != NULL) {
        out->local_selectors = child->share;
        out->local_count = child->local_share;
        out->remote_selectors = child->share + child->local_share;
        out->remote_count = child->remote_share;
    }
    out->rekey_ms = child->rekey_ms;
    out->lifetime_kilobytes = child->lifetime_kilobytes;
}

struct ikev1_action *ikev1_tell_child(struct ikev1_turn *t, enum ikev1_action_kind kind,
                                      const struct ikev1_child *child)
{
    struct ikev1_action *action = ikev1_act(t, kind);

    ikev1_child_fill_info(t->sa, child, &action->child);
    return action;
}

static bool same_traffic(const struct ikev1_child *a, const struct ikev1_child *b)
{
    return a->policy == b->policy && selector_equal(&a->local, &b->local) &&
           selector_equal(&a->remote, &b->remote);
}

static bool is_replaced_by(const struct ikev1_child *old, const struct ikev1_child *child)
{
    return old != child && same_traffic(old, child) &&
           (int32_t)(child->begun_serial - old->serial) >= 0;
}

bool ikev1_child_is_outdated(const struct ikev1_sa *sa, const struct ikev1_child *child)
{
    for (const struct ikev1_child *c = sa->children; c != NULL; c = c->next) {
        if (c->phase == IKEV1_CHILD_UP && is_replaced_by(child, c)) {
            return true;
        }
    }
    return false;
}

/* In transport mode a child is for the two ends of IKE, however many hosts were meant before it was
 * known who they are. */
static struct selector of_ends(const struct selector *wanted, const struct selector *carried,
                               bool transport_mode)
{
    struct selector s = *wanted;

    if (transport_mode && range_contains(&s.addresses, &carried->addresses.first)) {
        s.addresses = carried->addresses;
    }
    return s;
}

static bool child_carries(const struct ikev1_child *c, const struct selector *local,
                          const struct selector *remote)
{
    const struct selector l = of_ends(local, &c->local, c->transport_mode);
    const struct selector r = of_ends(remote, &c->remote, c->transport_mode);

    return (selector_contains(&c->local, &l) || selector_equal(&c->offered_local, &l)) &&
           (selector_contains(&c->remote, &r) || selector_equal(&c->offered_remote, &r));
}

static bool quick_asks_for(const struct ikev1_quick *q, const struct selector *local,
                           const struct selector *remote)
{
    const struct selector l = of_ends(local, &q->offered_local, q->carriage.transport_mode);
    const struct selector r = of_ends(remote, &q->offered_remote, q->carriage.transport_mode);

    return selector_equal(&q->offered_local, &l) && selector_equal(&q->offered_remote, &r);
}

bool ikev1_child_is_there(const struct ikev1_sa *sa, const struct ikev1_child_policy *policy,
                          const struct selector *local, const struct selector *remote)
{
    for (const struct ikev1_child *c = sa->children; c != NULL; c = c->next) {
        if (c->phase == IKEV1_CHILD_UP && c->policy == policy && child_carries(c, local, remote)) {
            return true;
        }
    }
    for (const struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (q->initiator && q->step != IKEV1_QUICK_DONE && q->policy == policy &&
            quick_asks_for(q, local, remote)) {
            return true;
        }
    }
    return false;
}

void ikev1_child_add(struct ikev1_turn *t, struct ikev1_child *child,
                     const struct ikev1_child_keys *keys)
{
    struct ikev1_sa *sa = t->sa;

    child->serial = ++sa->next_serial;
    /* As responder nobody said which one it replaces: the one with the same traffic. */
    for (const struct ikev1_child *c = sa->children; c != NULL && child->replaces_spi_in == 0;
         c = c->next) {
        if (c->phase == IKEV1_CHILD_UP && is_replaced_by(c, child)) {
            child->replaces_spi_in = c->spi_in;
        }
    }
    child->next = sa->children;
    sa->children = child;
    sa->child_count++;
    struct ikev1_action *action = ikev1_tell_child(t, IKEV1_CHILD_INSTALL, child);

    action->child.key_in = keys->in;
    action->child.key_out = keys->out;
    action->child.around.key_in = keys->around_in;
    action->child.around.key_out = keys->around_out;
}

void ikev1_child_stop(struct ikev1_turn *t, struct ikev1_child *child)
{
    if (!child->stopped) {
        child->stopped = true;
        ikev1_tell_child(t, IKEV1_CHILD_STOP, child);
    }
}

/* Who began the newer one deletes the older one after a while; the other side waits longer. */
static void replace(struct ikev1_turn *t, struct ikev1_child *old, bool initiator)
{
    ikev1_child_stop(t, old);
    old->phase = IKEV1_CHILD_REPLACED;
    old->use_ms = NEVER_MS;
    old->due = false;
    old->remove_ms = ikev1_after(t->now_ms, initiator ? IKEV1_DROP_MS : 4 * IKEV1_DROP_MS);
}

void ikev1_child_use(struct ikev1_turn *t, struct ikev1_child *child)
{
    child->use_ms = NEVER_MS;
    if (child->used || child->stopped || child->phase != IKEV1_CHILD_UP ||
        ikev1_child_is_outdated(t->sa, child)) {
        return;
    }
    child->used = true;
    child->remove_ms = NEVER_MS;
    ikev1_tell_child(t, IKEV1_CHILD_USE, child);
    for (struct ikev1_child *c = t->sa->children; c != NULL; c = c->next) {
        if (c->phase == IKEV1_CHILD_UP && is_replaced_by(c, child)) {
            replace(t, c, child->initiator);
        }
    }
}

void ikev1_child_remove(struct ikev1_turn *t, struct ikev1_child *child)
{
    struct ikev1_child **link = &t->sa->children;

    while (*link != child) {
        link = &(*link)->next;
    }
    *link = child->next;
    t->sa->child_count--;
    ikev1_tell_child(t, IKEV1_CHILD_REMOVE, child);
    for (struct ikev1_quick *q = t->sa->quicks; q != NULL; q = q->next) {
        if (q->child_spi_in == child->spi_in) {
            q->child_spi_in = 0;
        }
    }
    ikev1_block_bury(t->sa, child->share);
    ikev1_block_bury(t->sa, child);
}

/* The newest that is left of the same traffic is used again: its successor was taken back. */
static void revive(struct ikev1_turn *t, const struct ikev1_child *gone)
{
    struct ikev1_child *newest = NULL;

    for (struct ikev1_child *c = t->sa->children; c != NULL; c = c->next) {
        if (c == gone || !same_traffic(c, gone) || c->phase == IKEV1_CHILD_GRACE) {
            continue;
        }
        if (c->phase == IKEV1_CHILD_UP && c->used) {
            return;
        }
        if (newest == NULL || (int32_t)(c->serial - newest->serial) > 0) {
            newest = c;
        }
    }
    if (newest != NULL && newest->phase == IKEV1_CHILD_REPLACED) {
        newest->phase = IKEV1_CHILD_UP;
        newest->remove_ms = NEVER_MS;
        newest->used = false;
        newest->stopped = false;
        ikev1_child_use(t, newest);
    } else if (newest != NULL) {
        ikev1_child_use(t, newest);
    }
}

void ikev1_child_end(struct ikev1_turn *t, struct ikev1_child *child)
{
    bool replaced = child->phase == IKEV1_CHILD_REPLACED;

    if (child->phase == IKEV1_CHILD_GRACE) {
        return;
    }
    ikev1_child_stop(t, child);
    if (!replaced) {
        child->phase = IKEV1_CHILD_GRACE;
        revive(t, child);
        ikev1_child_remove(t, child);
        return;
    }
    child->phase = IKEV1_CHILD_GRACE;
    child->remove_ms = ikev1_after(t->now_ms, t->sa->policy->grace_ms);
}

void ikev1_children_renew(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_child *next;
    struct ikev1_ike *next_ike;

    for (struct ikev1_child *child = sa->children; child != NULL; child = next) {
        next = child->next;
        if ((int32_t)(ike->begun_serial - child->serial) < 0) {
            continue;
        }
        bool again = child->phase == IKEV1_CHILD_UP;
        const struct ikev1_child_policy *policy = child->policy;
        struct selector local = child->offered_local;
        struct selector remote = child->offered_remote;

        ikev1_child_stop(t, child);
        ikev1_child_remove(t, child);
        if (again && ikev1_may_begin(sa) &&
            !ikev1_pend(sa, policy, &local, &remote, t->now_ms, 0)) {
            break;
        }
    }
    for (struct ikev1_ike *other = sa->ikes; other != NULL; other = next_ike) {
        next_ike = other->next;
        if (other != ike && other->phase == IKEV1_IKE_REPLACED && other->up_ms < ike->begun_ms) {
            ikev1_ike_forget(t, other);
        }
    }
}

void ikev1_child_close(struct ikev1_turn *t, struct ikev1_child *child)
{
    if (child->phase == IKEV1_CHILD_GRACE) {
        return;
    }
    ikev1_send_delete_child(t, child);
    ikev1_child_end(t, child);
}

void ikev1_child_time(struct ikev1_turn *t, struct ikev1_child *child)
{
    if (child->use_ms <= t->now_ms) {
        ikev1_child_use(t, child);
    }
    switch (child->phase) {
    case IKEV1_CHILD_GRACE:
        if (child->remove_ms <= t->now_ms) {
            ikev1_child_remove(t, child);
        }
        return;
    case IKEV1_CHILD_REPLACED:
        if (ikev1_earlier(child->remove_ms, child->expire_ms) <= t->now_ms) {
            ikev1_child_close(t, child);
        }
        return;
    case IKEV1_CHILD_UP:
        if (child->remove_ms <= t->now_ms) {
            ikev1_child_close(t, child);
        } else if (child->expire_ms <= t->now_ms) {
            /* What could not be rekeyed in time must not be used any longer. */
            bool again = child->initiator && !ikev1_child_is_outdated(t->sa, child);
            const struct ikev1_child_policy *policy = child->policy;
            struct selector local = child->offered_local;
            struct selector remote = child->offered_remote;

            ikev1_child_close(t, child);
            if (again && !ikev1_pend(t->sa, policy, &local, &remote, t->now_ms, 0)) {
                return;
            }
        } else if (child->rekey_ms <= t->now_ms) {
            child->rekey_ms = NEVER_MS;
            child->due = !ikev1_child_is_outdated(t->sa, child);
        }
        return;
    }
}

void ikev1_tell_child_failed(struct ikev1_turn *t, const struct ikev1_child_policy *policy,
                             const struct ikev1_failure *failure)
{
    struct ikev1_action *action = ikev1_act(t, IKEV1_TELL_CHILD_FAILED);

    action->failed.failure = *failure;
    if (policy != NULL) {
        memcpy(action->failed.child_name, policy->name, sizeof(action->failed.child_name));
    }
}
