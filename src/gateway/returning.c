/*
 * Back to the first: a site with several peers uses the first of them that answers, and when that
 * is not the first of all, those before it are called again now and then. That is done beside the
 * IKE SA in use, which nothing happens to: only when another one carries the traffic it is
 * superseded and closed (duplicates.c), and what is still on its way through it is let in. Who does
 * not answer is asked more and more seldom, and so is who comes and goes.
 */
#include "gateway/inside.h"

#include <stdlib.h>

#define WAIT_GROWTH_MAX 16
#define SETTLE_MS 2000 /* until the one that was left is closed */
#define STEADY_FIRST_MS 600000 /* the first was in use for so long: it does not come and go */

struct roaming *roaming_of(struct site *site)
{
    if (site->roaming == NULL) {
        site->roaming = calloc(1, sizeof(*site->roaming));
        if (site->roaming != NULL) {
            site->roaming->return_ms = NEVER_MS;
            site->roaming->resolve_ms = NEVER_MS;
        }
    }
    return site->roaming;
}

/* Of two IKE SAs of ours: this one goes to an earlier peer, or by a better uplink to the same. */
static bool is_before(const struct ike *a, const struct ike *b)
{
    return a->host < b->host ||
           (a->host == b->host && uplinks_count(a->site) > 0 &&
            uplinks_place(a->site, &a->local.address) < uplinks_place(b->site, &b->local.address));
}

/* Only by another IKE SA can a better uplink be used. */
static bool wants_uplink(const struct ike *ike)
{
    return uplinks_has_better(ike) && !mobility_decides(ike);
}

/* The IKE SA in use when a peer before it should be in its place, or it should go by a better
 * uplink and cannot move. In transport mode the peer is what is protected: it does not change under
 * the traffic. */
static const struct ike *second_best(const struct site *site)
{
    const struct ike *ike = site->used == NULL ? NULL : site->used->ike;

    return ike != NULL && ike->initiator && !ike->superseded &&
                   (ike->host > 0 || wants_uplink(ike)) && site->config->return_s > 0 &&
                   site->hosts == NULL && site_is_enabled(site) && !site->gateway->stopping
               ? ike
               : NULL;
}

static uint64_t base_ms(const struct site *site)
{
    return site->config->return_s * UINT64_C(1000);
}

static void plan(struct site *site, uint64_t now_ms)
{
    struct roaming *roaming = roaming_of(site);

    if (roaming == NULL || roaming->return_ms != NEVER_MS) {
        return;
    }
    if (roaming->first_ms != 0 && now_ms >= roaming->first_ms + STEADY_FIRST_MS) {
        roaming->return_wait_ms = 0;
    }
    roaming->first_ms = 0;
    if (roaming->return_wait_ms < base_ms(site)) {
        roaming->return_wait_ms = base_ms(site);
    }
    /* Many sites that lost the same peer do not come back to it at the same moment. */
    uint32_t tenth = (uint32_t)(roaming->return_wait_ms / 10);

    roaming->return_ms =
        now_ms + roaming->return_wait_ms + random_below(site->gateway->random, tenth + 1);
}

void returning_think(struct site *site, uint64_t now_ms)
{
    struct roaming *roaming = site->roaming;

    /* Whom we have falls silent: that is no time for trying, and whoever is heard will do. */
    if (site->returning && (site->used == NULL || site->silent)) {
        site->returning = false;
        if (site->dialled == NULL || !site->dialled->heard) {
            dial_cancel(site);
        }
    }
    if (second_best(site) != NULL) {
        if (!site->returning) {
            plan(site, now_ms);
        }
        return;
    }
    if (roaming == NULL) {
        return;
    }
    roaming->return_ms = NEVER_MS;
    if (site->used != NULL && site->used->ike->initiator && site->used->ike->host == 0 &&
        roaming->first_ms == 0) {
        roaming->first_ms = now_ms;
    }
}

void returning_configured(struct site *site)
{
    if (site->roaming != NULL) {
        site->roaming->return_ms = NEVER_MS;
        site->roaming->return_wait_ms = 0;
        site->roaming->resolve_ms = NEVER_MS;
    }
}

uint64_t returning_due_ms(const struct site *site)
{
    return site->roaming == NULL ? NEVER_MS : site->roaming->return_ms;
}

void returning_time(struct site *site, uint64_t now_ms)
{
    struct roaming *roaming = site->roaming;

    if (roaming == NULL || now_ms < roaming->return_ms) {
        return;
    }
    roaming->return_ms = NEVER_MS;
    if (second_best(site) != NULL && !site->silent && site->dial == DIAL_IDLE) {
        site->returning = true;
        roaming->return_wait_ms *= 2;
        if (roaming->return_wait_ms > WAIT_GROWTH_MAX * base_ms(site)) {
            roaming->return_wait_ms = WAIT_GROWTH_MAX * base_ms(site);
        }
        dial_begin(site, now_ms);
    }
}

/* What is called beside the one in use has to be better, or to be where its name leads now. */
size_t returning_end(struct site *site)
{
    const struct ike *ike = site->used == NULL ? NULL : site->used->ike;

    if (!site->returning || ike == NULL) {
        return site->config->peer_count;
    }
    return ike->host + (names_are_others(site) || wants_uplink(ike) ? 1U : 0U);
}

size_t returning_uplinks_end(struct site *site)
{
    const struct ike *ike = site->used == NULL ? NULL : site->used->ike;

    return site->returning && ike != NULL && ike->host == site->host && !names_are_others(site)
               ? uplinks_place(site, &ike->local.address)
               : uplinks_count(site);
}

bool returning_is_trial(const struct ike *ike)
{
    const struct child *used = ike->site->used;

    return used != NULL && used->ike != ike && ike->beside && ike->number > used->ike->number;
}

static void say_back(const struct ike *used)
{
    const struct site *site = used->site;
    size_t place = uplinks_place(site, &used->local.address);
    const char *uplink = place < uplinks_count(site) ? uplinks_of(site)->list[place].text : "";

    if (site->config->peer_count == 1) {
        log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name, "back by the uplink %s", uplink);
        return;
    }
    log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name,
             "back at %s, number %u of the %zu peers of this site%s%s",
             site->config->peers[used->host].text, used->host + 1U, site->config->peer_count,
             uplink[0] == '\0' ? "" : ", by ", uplink);
}

void returning_used(struct site *site, uint64_t now_ms)
{
    const struct ike *used = site->used == NULL ? NULL : site->used->ike;
    bool left = false;

    if (used == NULL || !used->initiator || site->hosts != NULL) {
        return;
    }
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike != used && ike->established && !ike->superseded && ike->initiator &&
            (is_before(used, ike) || (used->beside && used->number > ike->number))) {
            ike->superseded = true;
            left = true;
        }
    }
    if (!left) {
        return;
    }
    if (site->duplicates_ms > now_ms + SETTLE_MS) {
        site->duplicates_ms = now_ms + SETTLE_MS;
    }
    if (site_may_say(site, now_ms) && used->host < site->config->peer_count) {
        say_back(used);
    }
}
