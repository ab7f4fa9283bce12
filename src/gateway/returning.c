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
        }
    }
    return site->roaming;
}

/* The IKE SA in use when a peer before it should be in its place. In transport mode the peer is
 * what is protected: it does not change under the traffic. */
static const struct ike *second_best(const struct site *site)
{
    const struct ike *ike = site->used == NULL ? NULL : site->used->ike;

    return ike != NULL && ike->initiator && ike->host > 0 && !ike->superseded &&
                   site->config->return_s > 0 && site->hosts == NULL && site_is_enabled(site) &&
                   !site->gateway->stopping
               ? ike
               : NULL;
}

static uint64_t next_wait_ms(const struct site *site, const struct roaming *roaming)
{
    uint64_t base_ms = site->config->return_s * UINT64_C(1000);
    uint64_t wait_ms = roaming->return_wait_ms * 2;

    if (wait_ms < base_ms) {
        return base_ms;
    }
    return wait_ms < WAIT_GROWTH_MAX * base_ms ? wait_ms : WAIT_GROWTH_MAX * base_ms;
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
    roaming->return_wait_ms = next_wait_ms(site, roaming);
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
        dial_begin(site, now_ms);
    }
}

size_t returning_end(struct site *site)
{
    const struct ike *ike = second_best(site);

    return site->returning && ike != NULL ? ike->host : site->config->peer_count;
}

bool returning_is_trial(const struct ike *ike)
{
    const struct child *used = ike->site->used;

    return used != NULL && used->ike != ike && used->ike->initiator && ike->initiator &&
           ike->host < used->ike->host;
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
            ike->host > used->host) {
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
        log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name,
                 "back at %s, number %u of the %zu peers of this site",
                 site->config->peers[used->host].text, used->host + 1U, site->config->peer_count);
    }
}
