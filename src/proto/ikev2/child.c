/*
 * The life of a child (RFC 7296 1.4.1, 2.8): decides when it is used, when nothing goes out through
 * it any more, and when it is gone.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

struct ikev2_packet ikev2_child_packet(const struct ikev2_child *child)
{
    if (!child->only) {
        return (struct ikev2_packet){.resource = child->resource};
    }
    return (struct ikev2_packet){
        .local = child->selectors[0],
        .remote = child->selectors[child->local_count],
        .only = true,
    };
}

struct ikev2_child *ikev2_child_by_spi_in(const struct ikev2_sa *sa, uint32_t spi_in)
{
    struct ikev2_child *child = sa->children;

    while (child != NULL && child->spi_in != spi_in) {
        child = child->next;
    }
    return child;
}

struct ikev2_child *ikev2_child_by_spi_out(const struct ikev2_sa *sa, uint8_t protocol,
                                           uint32_t spi_out)
{
    struct ikev2_child *child = sa->children;

    while (child != NULL && (child->spi_out != spi_out || child->protocol != protocol ||
                             child->phase == IKEV2_CHILD_GRACE)) {
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
    out->protocol = child->protocol;
    out->suite = child->suite;
    out->encapsulated = child->encapsulated;
    out->initiator = child->initiator;
    out->replaces_spi_in = child->replaces_spi_in;
    out->transport_mode = child->terms.transport_mode;
    out->original_local = child->terms.original_local;
    out->original_peer = child->terms.original_peer;
    out->compress = child->terms.compress;
    out->cpi_in = child->terms.cpi_in;
    out->cpi_out = child->terms.cpi_out;
    out->aggfrag = child->terms.aggfrag;
    out->peer_congestion_control = child->terms.peer_congestion_control;
    out->peer_dont_fragment = child->terms.peer_dont_fragment;
    out->peer_refuses_tfc = child->terms.peer_refuses_tfc;
    out->non_first_fragments = child->terms.non_first_fragments;
    out->peer_has_resources = child->terms.resources;
    out->resource = child->resource;
    out->resource_id = child->resource_id;
    out->local = sa->local;
    out->peer = sa->peer;
    out->local_selectors = child->selectors;
    out->local_count = child->local_count;
    out->remote_selectors = child->selectors + child->local_count;
    out->remote_count = child->remote_count;
    out->rekey_ms = child->rekey_ms;
}

struct ikev2_action *ikev2_tell_child(struct ikev2_turn *t, enum ikev2_action_kind kind,
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
    ikev2_tell_child(t, IKEV2_CHILD_STOP, child);
}

void ikev2_child_use(struct ikev2_turn *t, struct ikev2_child *child)
{
    child->use_ms = NEVER_MS;
    if (child->used || child->stopped || child->phase != IKEV2_CHILD_UP) {
        return;
    }
    child->used = true;
    ikev2_tell_child(t, IKEV2_CHILD_USE, child);
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
    ikev2_tell_child(t, IKEV2_CHILD_REMOVE, child);
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
void ikev2_child_replaced(struct ikev2_turn *t, struct ikev2_child *child)
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
            struct ikev2_packet packet = ikev2_child_packet(child);

            ikev2_child_close(t, child);
            if (!ikev2_pend(t->sa, child->policy, &packet, t->now_ms, 0)) {
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

void ikev2_tell_child_failed_for(struct ikev2_turn *t, const struct ikev2_child_policy *policy,
                                 enum ikev2_failure_reason reason, uint16_t notify,
                                 const char *detail)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, reason, IKEV2_CREATE_CHILD_SA, notify, detail);
    ikev2_tell_child_failed(t, policy, &failure);
}
