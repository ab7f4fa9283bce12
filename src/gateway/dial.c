/*
 * Reaching a site's peer: read the key, resolve the name, find our own address, begin; then the
 * next address, then the next host, then wait. At most DIALS_IN_FLIGHT_MAX sites do so at once, the
 * others stand in a queue; one that stays silent gives its place to others after DIAL_SLOT_MS.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#define QUESTION_MS 30000

static void queue_remove(struct site *site)
{
    struct gateway *g = site->gateway;
    struct site *before = NULL;

    for (struct site *s = g->queue_first; s != NULL; before = s, s = s->next_queued) {
        if (s != site) {
            continue;
        }
        if (before == NULL) {
            g->queue_first = s->next_queued;
        } else {
            before->next_queued = s->next_queued;
        }
        if (g->queue_last == s) {
            g->queue_last = before;
        }
        g->queue_count--;
        return;
    }
}

void dial_begin(struct site *site, uint64_t now_ms)
{
    struct gateway *g = site->gateway;

    (void)now_ms;
    site->dial = DIAL_QUEUED;
    site->next_queued = NULL;
    if (g->queue_last == NULL) {
        g->queue_first = site;
    } else {
        g->queue_last->next_queued = site;
    }
    g->queue_last = site;
    g->queue_count++;
}

void dial_release_slot(struct site *site)
{
    if (site->has_slot) {
        site->has_slot = false;
        site->gateway->dials_in_flight--;
    }
}

void dial_trouble(struct site *site, enum reason reason, const struct endpoint *peer,
                  const char *detail, uint64_t now_ms)
{
    if (!site->returning) {
        site_trouble(site, reason, peer, detail, now_ms);
    }
}

void dial_done(struct site *site)
{
    site->dial = DIAL_IDLE;
    site->returning = false;
    site->dialled = NULL;
    site->try_in_full = false;
    site->version_failed = false;
    (void)redirect_ends(site);
    dial_release_slot(site);
}

void dial_cancel(struct site *site)
{
    struct ike *dialled = site->dialled;

    if (site->returning) {
        /* They are not those of the peer in use. */
        site->candidate_count = 0;
    }
    if (site->dial == DIAL_QUEUED) {
        queue_remove(site);
    }
    site->dial_question = 0;
    dial_done(site);
    if (dialled != NULL) {
        ike_order_close(dialled, IKEV2_FAIL_ORDERED);
    }
}

void dial_back_off(struct site *site, uint64_t now_ms)
{
    uint64_t wait_ms = site->backoff_ms * 2;

    if (wait_ms < BACKOFF_FIRST_MS) {
        wait_ms = BACKOFF_FIRST_MS;
    }
    site->backoff_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS;
    uint32_t half = (uint32_t)(site->backoff_ms / 2);

    site->next_try_ms =
        now_ms + site->backoff_ms - half / 2 + random_below(site->gateway->random, half + 1);
}

static void round_over(struct site *site, uint64_t now_ms)
{
    if (site->returning) {
        /* What it has stays as it is. The candidates are not those of the peer in use. */
        site->candidate_count = 0;
        dial_done(site);
        site_think_later(site);
        return;
    }
    if (site->version_failed) {
        site->try_old = !site->try_old;
    }
    /* Who is called for traffic only is called again when there is more of it. */
    site->wanted_by_traffic = false;
    dial_done(site);
    dial_back_off(site, now_ms);
    site_think_later(site);
}

void dial_failed(struct site *site)
{
    if (site->dial == DIAL_IDLE || site->dial == DIAL_QUEUED) {
        return;
    }
    site->dial_question = 0;
    if (site->try_in_full) {
        site->try_in_full = false;
    } else if (uplinks_count(site) > 0) {
        site->uplink++;
    } else {
        site->candidate++;
    }
    site->by_tcp = false;
    site->dial = DIAL_NEXT;
    site_think_later(site);
}

static void ask(struct site *site, enum dial_step step, uint64_t question, uint64_t now_ms)
{
    site->dial = step;
    site->dial_question = question;
    site->question_until_ms = now_ms + QUESTION_MS;
    site_think_later(site);
}

/* ---- the steps, each when the one before is done ---- */

static void reach(struct site *site, enum reason_check check)
{
    if (!site->returning) {
        site->reached = check;
    }
}

static void begin(struct site *site, const struct endpoint *from, const struct endpoint *peer,
                  uint64_t now_ms)
{
    site->dial = DIAL_GOING;
    if (!site->returning) {
        site->last_peer = *peer;
    }
    reach(site, REASON_CHECK_REACH);
    free(site->icmp_why);
    site->icmp_why = NULL;
    if (ike_dial(site, from, peer, now_ms) == NULL && site->dial == DIAL_GOING) {
        dial_trouble(site, REASON_RESOURCES, peer, "no more IKE SAs", now_ms);
        round_over(site, now_ms);
    }
    site_think_later(site);
}

static void go(struct site *site, const struct address *local, uint64_t now_ms)
{
    const struct endpoint *peer = &site->candidates[site->candidate];
    struct endpoint from = {
        .address = *local,
        .port = peer->port == IKE_NAT_PORT ? IKE_NAT_PORT : IKE_PORT,
    };

    if (transport_wants_tcp(site)) {
        transport_open(site, local, now_ms);
        return;
    }
    transport_dialled(site);
    begin(site, &from, peer, now_ms);
}

void dial_by_connection(struct site *site, const struct endpoint *local,
                        const struct endpoint *peer, uint64_t now_ms)
{
    begin(site, local, peer, now_ms);
}

/* Whether peers of this family can be reached from what we listen on. `out` is the address when
 * there is only one; of several, the system's routes choose. */
static bool listens_on(const struct gateway *g, enum family family, const struct address **out)
{
    size_t count = 0;

    *out = NULL;
    for (size_t i = 0; i < g->config->listen_count; i++) {
        if (g->config->listen[i].family == family) {
            *out = count == 0 ? &g->config->listen[i] : NULL;
            count++;
        }
    }
    return count > 0 || g->config->listen_count == 0;
}

/* Room for all that a host may have. False: no memory, and the round is over. */
static bool make_room(struct site *site, uint64_t now_ms)
{
    if (site->candidates == NULL) {
        site->candidates = calloc(SITE_ADDRESSES_MAX, sizeof(*site->candidates));
    }
    if (site->candidates == NULL) {
        dial_trouble(site, REASON_RESOURCES, NULL, "no memory", now_ms);
        round_over(site, now_ms);
    }
    return site->candidates != NULL;
}

static void next_host(struct site *site, uint64_t now_ms);

static void ask_source(struct site *site, const struct address *local, const struct address *peer,
                       uint64_t now_ms)
{
    uint64_t question = questions_ask(site->gateway, QUESTION_SOURCE, site, NULL, 0);
    struct gateway_action *action =
        question == 0 ? NULL : actions_add(site->gateway, GATEWAY_FIND_SOURCE);

    ask(site, DIAL_SOURCE, question, now_ms);
    if (action != NULL) {
        action->source.question = question;
        action->source.peer = *peer;
        action->source.local = *local;
    }
}

/* The present candidate by the next of our uplinks; false: by none that was not tried. */
static bool go_by_uplink(struct site *site, const struct endpoint *peer, uint64_t now_ms)
{
    size_t end = returning_uplinks_end(site);
    bool is_first = site->uplink == 0;
    struct address local;

    for (; site->uplink < end; site->uplink++) {
        if (uplinks_address(site, site->uplink, (enum family)peer->address.family, &local)) {
            ask_source(site, &local, &peer->address, now_ms);
            return true;
        }
    }
    if (is_first) {
        dial_trouble(site, REASON_NO_ROUTE, peer,
                     "none of the uplinks is there with an address of its family", now_ms);
    }
    site->uplink = 0;
    return false;
}

static void next_candidate(struct site *site, uint64_t now_ms)
{
    struct gateway *g = site->gateway;

    for (; site->candidate < site->candidate_count; site->candidate++) {
        const struct endpoint *peer = &site->candidates[site->candidate];
        const struct address unset = {.family = FAMILY_NONE};
        const struct address *local;

        if (uplinks_count(site) > 0) {
            if (go_by_uplink(site, peer, now_ms)) {
                return;
            }
            continue;
        }

        if (!listens_on(g, (enum family)peer->address.family, &local)) {
            dial_trouble(site, REASON_NO_ROUTE, peer, "no listen address of its family", now_ms);
            continue;
        }
        if (local != NULL && !address_is_any(local)) {
            go(site, local, now_ms);
            return;
        }
        ask_source(site, &unset, &peer->address, now_ms);
        return;
    }
    if (!redirect_ends(site)) {
        site->host++;
    }
    next_host(site, now_ms);
}

/* The one whose addresses are being tried. */
static const struct config_host *host_of(const struct site *site)
{
    const struct config_host *elsewhere = redirect_host(site);

    return elsewhere != NULL ? elsewhere : &site->config->peers[site->host];
}

/* `host` is a name or an address; goes on with its first candidate. */
static void next_host(struct site *site, uint64_t now_ms)
{
    const struct config_site *c = site->config;

    site->candidate = 0;
    site->candidate_count = 0;
    site->uplink = 0;
    while (site->host < c->peer_count && c->peers[site->host].any) {
        site->host++;
    }
    if (redirect_host(site) == NULL && site->host >= returning_end(site)) {
        round_over(site, now_ms);
        return;
    }
    const struct config_host *host = host_of(site);

    if (!make_room(site, now_ms)) {
        return;
    }
    if (host->address.family != FAMILY_NONE) {
        site->candidates[0] = (struct endpoint){
            .address = host->address,
            .port = host->port != 0 ? host->port : IKE_PORT,
        };
        site->candidate_count = 1;
        site->dial = DIAL_NEXT;
        reach(site, REASON_CHECK_REACH);
        site_think_later(site);
        return;
    }
    uint64_t question = questions_ask(site->gateway, QUESTION_RESOLVE, site, NULL, 0);
    struct gateway_action *action =
        question == 0 ? NULL : actions_add(site->gateway, GATEWAY_RESOLVE);

    ask(site, DIAL_RESOLVE, question, now_ms);
    if (action != NULL) {
        action->resolve.question = question;
        actions_copy_words(action->resolve.host, sizeof(action->resolve.host), host->text);
    }
}

static void start(struct site *site, uint64_t now_ms)
{
    struct gateway *g = site->gateway;

    g->dials_in_flight++;
    site->has_slot = true;
    site->slot_until_ms = now_ms + DIAL_SLOT_MS;
    if (!site->returning) {
        site->tries++;
        site->last_try_ms = now_ms;
    }
    site->host = 0;
    site->candidate = 0;
    site->candidate_count = 0;
    site->by_tcp = false;
    reach(site, REASON_CHECK_NAME);
    (void)redirect_begins(site, true);
    if (site->secret_known && !site->secret_stale && site->terms != NULL) {
        next_host(site, now_ms);
        return;
    }
    ask(site, DIAL_SECRET, 0, now_ms);
    questions_ask_secret(site, now_ms);
}

void dial_pump(struct gateway *g, uint64_t now_ms)
{
    while (g->queue_first != NULL && g->dials_in_flight < DIALS_IN_FLIGHT_MAX && !g->stopping) {
        struct site *site = g->queue_first;

        g->queue_first = site->next_queued;
        if (g->queue_first == NULL) {
            g->queue_last = NULL;
        }
        g->queue_count--;
        start(site, now_ms);
    }
}

void dial_next(struct site *site, uint64_t now_ms)
{
    if (redirect_begins(site, false)) {
        next_host(site, now_ms);
        return;
    }
    next_candidate(site, now_ms);
}

void dial_unanswered(struct site *site, uint64_t now_ms)
{
    enum dial_step step = site->dial;

    if (now_ms < site->question_until_ms ||
        (step != DIAL_SECRET && step != DIAL_RESOLVE && step != DIAL_SOURCE && step != DIAL_TCP)) {
        return;
    }
    dial_trouble(site, REASON_RESOURCES, NULL, "no answer to a question", now_ms);
    if (step == DIAL_SECRET) {
        round_over(site, now_ms);
    } else {
        dial_failed(site);
    }
}

void dial_secret(struct site *site, uint64_t now_ms)
{
    if (site->terms == NULL) {
        round_over(site, now_ms);
        return;
    }
    next_host(site, now_ms);
}

void dial_resolved(struct site *site, const struct address *addresses, size_t count,
                   const char *why, uint64_t now_ms)
{
    const struct config_host *host = host_of(site);

    if (site->dial != DIAL_RESOLVE) {
        return;
    }
    if (count == 0) {
        struct trouble *t;

        dial_trouble(site, REASON_NAME_UNKNOWN, NULL, why, now_ms);
        t = site->returning ? NULL : site->trouble;
        if (t != NULL) {
            struct text theirs = text_over(t->theirs, sizeof(t->theirs));

            text_add(&theirs, host->text);
        }
        if (!redirect_ends(site)) {
            site->host++;
        }
        next_host(site, now_ms);
        return;
    }
    if (count > SITE_ADDRESSES_MAX) {
        count = SITE_ADDRESSES_MAX;
    }
    for (size_t i = 0; i < count; i++) {
        site->candidates[i] = (struct endpoint){
            .address = addresses[i],
            .port = host->port != 0 ? host->port : IKE_PORT,
        };
    }
    if (redirect_host(site) == NULL) {
        hosts_resolved(site, addresses, count);
    }
    site->candidate = 0;
    site->uplink = 0;
    site->candidate_count = count;
    reach(site, REASON_CHECK_REACH);
    next_candidate(site, now_ms);
}

void dial_source(struct site *site, const struct address *local, const char *why, uint64_t now_ms)
{
    if (site->dial != DIAL_SOURCE) {
        return;
    }
    if (local == NULL || address_is_unset(local)) {
        dial_trouble(site, REASON_NO_ROUTE, &site->candidates[site->candidate], why, now_ms);
        dial_failed(site);
        return;
    }
    go(site, local, now_ms);
}
