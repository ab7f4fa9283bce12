/*
 * What the data plane has to say, and hints that come from outside of all protection. A hint never
 * closes anything: at most it makes us ask the peer whether he is alive, and that not often.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#define HINT_AGAIN_MS 10000
#define HINTED_MAX 4
#define NOTES_A_TURN_MAX 4096
#define ADDRESSES_SETTLE_MS 100

static void acquire(struct gateway *g, const struct dataplane_note *note, uint64_t now_ms)
{
    uint32_t policy_id = note->policy_id & ~PART_MASK;
    size_t part = policies_part(note->policy_id);

    if (policy_id == 0 || policy_id > g->number_capacity || g->by_number[policy_id - 1] == NULL) {
        return;
    }
    struct site *site = g->by_number[policy_id - 1];

    if (note->kind == NOTE_ACQUIRE_OWN) {
        populate_acquire_own(site, part, note->resource, now_ms);
        return;
    }

    if (populate_is_on(site)) {
        populate_acquire(site, part, note, now_ms);
    } else if (site->config->start == START_ON_TRAFFIC && site->used == NULL) {
        site->wanted_by_traffic = true;
        site_think_later(site);
    }
}

void notes_hint_ike(struct ike *ike, uint64_t now_ms)
{
    if (!ike->established || (ike->hinted_ms != 0 && now_ms < ike->hinted_ms + HINT_AGAIN_MS)) {
        return;
    }
    ike->hinted_ms = now_ms;
    ike_order(ike, IKE_ORDER_LIVENESS);
}

bool notes_hint(struct gateway *g, enum look why, const struct endpoint *peer, uint64_t now_ms)
{
    size_t asked = 0;
    bool lost = false;

    if (!hearsay_may_look(g, why, &peer->address, now_ms)) {
        return false;
    }

    for (size_t i = 0; i < g->site_count && asked < HINTED_MAX; i++) {
        struct site *site = g->sites[i];

        lost = lost || crash_may_be_lost(site, peer);
        if (!identities_is_at(site, peer)) {
            continue;
        }
        asked++;
        if (why == LOOK_UNKNOWN_SPI) {
            hearsay_unknown_spi(site, peer, now_ms);
        }
        crash_peer_is_there(site, now_ms);
        for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
            notes_hint_ike(ike, now_ms);
        }
    }
    return lost;
}

static void take(struct gateway *g, const struct dataplane_note *note, uint64_t now_ms)
{
    struct child *child = children_find(g, note->spi_in);

    switch (note->kind) {
    case NOTE_SOFT_LIFETIME:
        if (child != NULL) {
            ike_rekey_child(child->ike, note->spi_in, now_ms);
        }
        break;
    case NOTE_HARD_LIFETIME:
        if (child != NULL) {
            ike_close_child(child->ike, note->spi_in, now_ms);
        }
        break;
    case NOTE_FIRST_INBOUND:
        if (child != NULL) {
            ike_child_heard(child->ike, note->spi_in, now_ms);
        }
        break;
    case NOTE_PEER_MOVED:
        if (child != NULL && note->peer.tcp) {
            ike_child_followed(child->ike, &note->local, &note->peer, now_ms);
        } else if (child != NULL) {
            ike_child_moved(child->ike, note->spi_in, &note->peer, now_ms);
        }
        break;
    case NOTE_ACQUIRE:
    case NOTE_ACQUIRE_OWN:
        acquire(g, note, now_ms);
        break;
    case NOTE_SENDS_AGAIN:
        if (child != NULL) {
            silence_look_soon(child->ike, now_ms);
        }
        break;
    case NOTE_UNKNOWN_SPI:
        if (notes_hint(g, LOOK_UNKNOWN_SPI, &note->peer, now_ms)) {
            crash_tell_unknown_spi(g, note);
        }
        break;
    }
}

void notes_take(struct gateway *g, uint64_t now_ms)
{
    struct dataplane_note note;

    for (size_t i = 0; i < NOTES_A_TURN_MAX && dataplane_next_note(g->dataplane, &note); i++) {
        take(g, &note, now_ms);
        gateway_settle(g, now_ms);
    }
    drops_take(g, now_ms);
}

/* ---- our own addresses ---- */

/* What can move does (mobility.c). Without MOBIKE an IKE SA stays at its address: where ours is
 * another one now, a new IKE SA is made from there. One over TCP only needs another connection when
 * the one that it has breaks. */
void notes_source_again(struct ike *ike, const struct address *local, uint64_t now_ms)
{
    struct site *site = ike->site;

    if (site == NULL || !ike->established || local == NULL || address_is_unset(local) ||
        address_equal(local, &ike->local.address) || ike->peer.tcp ||
        mobility_source_again(ike, local, now_ms)) {
        return;
    }
    ike->superseded = true;
    site->wanted_by_traffic = true;
    site->next_try_ms = now_ms;
    site_think_later(site);
}

void notes_addresses_changed(struct gateway *g, uint64_t now_ms)
{
    g->addresses_ms = NEVER_MS;
    for (size_t i = 0; i < g->site_count; i++) {
        struct site *site = g->sites[i];

        if (site->used == NULL && site->dial == DIAL_IDLE) {
            site->next_try_ms = now_ms;
            site_think_later(site);
        }
    }
    hosts_ask_sources(g);
    if (g->config == NULL) {
        return;
    }
    for (struct ike *ike = g->ikes; ike != NULL; ike = ike->next) {
        if (!ike->established || ike->superseded || uplinks_changed(ike, now_ms) ||
            g->config->listen_count > 0) {
            continue;
        }
        uint64_t question = questions_ask(g, QUESTION_SOURCE_AGAIN, NULL, ike, 0);
        struct gateway_action *action = question == 0 ? NULL : actions_add(g, GATEWAY_FIND_SOURCE);

        if (action != NULL) {
            action->source.question = question;
            action->source.peer = ike->peer.address;
        }
    }
}

void gateway_addresses_changed(struct gateway *g, uint64_t now_ms)
{
    g->now_ms = now_ms;
    /* They change in bursts. */
    if (g->addresses_ms == NEVER_MS) {
        g->addresses_ms = now_ms + ADDRESSES_SETTLE_MS;
    }
    hosts_addresses_changed(g);
    gateway_settle(g, now_ms);
}

static void unreachable(struct site *site, const struct endpoint *peer, const char *why,
                        uint64_t now_ms)
{
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (!address_equal(&ike->peer.address, &peer->address)) {
            continue;
        }
        if (ike->established) {
            notes_hint_ike(ike, now_ms);
        } else if (site->dialled == ike) {
            free(site->icmp_why);
            site->icmp_why = strdup(why);
        }
    }
}

void gateway_unreachable(struct gateway *g, const struct endpoint *peer, const char *why,
                         uint64_t now_ms)
{
    g->now_ms = now_ms;
    if (hearsay_may_look(g, LOOK_UNREACHABLE, &peer->address, now_ms)) {
        for (size_t i = 0; i < g->site_count; i++) {
            if (identities_is_at(g->sites[i], peer)) {
                unreachable(g->sites[i], peer, why, now_ms);
            }
        }
    }
    gateway_settle(g, now_ms);
}
