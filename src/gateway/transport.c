/*
 * IKE and ESP over TCP (RFC 9329): decides when a site is called through a connection, and what
 * happens when one is lost. An IKE SA that we began keeps a connection: a broken one is replaced at
 * once, then after longer and longer waits, as long as the IKE SA lives. Of those that a peer began
 * the peer keeps it, and the machine follows him.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>

/* RFC 9329 5.1: UDP first, with several repetitions; where TCP was what helped the last time, with
 * one or two. */
#define FALLBACK_MS 4000
#define FALLBACK_KNOWN_MS 2000
/* UDP 500 answers and 4500 does not. */
#define FALLBACK_HEARD_MS 8000
#define OPENING_MS 20000
#define RETRY_FIRST_MS 500
#define RETRY_MAX_MS 15000
/* Of a handshake: somebody takes our connections and does not speak IKE. */
#define HANDSHAKE_RETRIES_MAX 3
/* Open for so long: the next loss is another one. */
#define STEADY_OPEN_MS 10000

/* The connection of an IKE SA that we began. */
struct carrier {
    struct carrier *next;
    struct ike *ike;
    struct timer timer; /* the next try */
    uint64_t question; /* about a connection that is being opened; 0: none */
    uint64_t retry_ms;
    unsigned retries; /* in a row */
    bool open;
    uint64_t opened_ms;
};

/* ---- what must be done outside ---- */

static uint64_t ask_for_connection(struct gateway *g, struct site *site, struct ike *ike,
                                   const struct address *local, const struct endpoint *peer)
{
    uint64_t question = questions_ask(g, QUESTION_TCP, site, ike, 0);
    struct gateway_action *action = question == 0 ? NULL : actions_add(g, GATEWAY_TCP_OPEN);

    if (action == NULL) {
        return 0;
    }
    action->tcp_open.question = question;
    action->tcp_open.local = *local;
    action->tcp_open.peer = *peer;
    return question;
}

static void tell_connection(struct gateway *g, enum gateway_action_kind kind,
                            const struct endpoint *local, const struct endpoint *peer)
{
    struct gateway_action *action = actions_add(g, kind);

    if (action != NULL) {
        action->tcp.local = *local;
        action->tcp.peer = *peer;
    }
}

/* ---- carriers ---- */

static struct carrier *carrier_of(const struct ike *ike)
{
    struct carrier *c = ike->gateway->carriers;

    while (c != NULL && c->ike != ike) {
        c = c->next;
    }
    return c;
}

static void carrier_free(struct gateway *g, struct carrier *carrier)
{
    struct carrier **link = &g->carriers;

    while (*link != carrier) {
        link = &(*link)->next;
    }
    *link = carrier->next;
    deadlines_remove(&g->deadlines, &carrier->timer.deadline);
    free(carrier);
}

bool transport_began(struct ike *ike)
{
    struct carrier *carrier = calloc(1, sizeof(*carrier));

    if (carrier == NULL) {
        return false;
    }
    carrier->ike = ike;
    carrier->open = true;
    carrier->opened_ms = ike->created_ms;
    carrier->timer.deadline.tag = TIMER_CARRIER;
    carrier->next = ike->gateway->carriers;
    ike->gateway->carriers = carrier;
    return true;
}

void transport_established(struct ike *ike)
{
    struct carrier *carrier = ike->peer.tcp ? carrier_of(ike) : NULL;

    if (!ike->peer.tcp) {
        return;
    }
    if (carrier != NULL) {
        carrier->retries = 0;
        carrier->retry_ms = 0;
    }
    tell_connection(ike->gateway, GATEWAY_TCP_KEEP, &ike->local, &ike->peer);
}

void transport_followed(struct ike *ike)
{
    struct ikev2_sa_info info;

    machine_get_info(ike, &info);
    /* The old one may still bring something: who opened it closes it (RFC 9329 6.1). */
    tell_connection(ike->gateway, GATEWAY_TCP_RELEASE, &ike->local, &ike->peer);
    ike->local = info.local;
    ike->peer = info.peer;
    tell_connection(ike->gateway, GATEWAY_TCP_KEEP, &ike->local, &ike->peer);
    if (ike->site != NULL && ike->established) {
        ike->site->last_peer = ike->peer;
    }
    children_move(ike, &ike->local, &ike->peer);
}

void transport_ended(struct ike *ike)
{
    struct carrier *carrier = carrier_of(ike);

    if (carrier != NULL) {
        carrier_free(ike->gateway, carrier);
    }
    if (ike->peer.tcp) {
        tell_connection(ike->gateway, GATEWAY_TCP_RELEASE, &ike->local, &ike->peer);
    }
}

/* ---- dialling ---- */

bool transport_wants_tcp(const struct site *site)
{
    return site->config->transport == TRANSPORT_TCP || site->by_tcp;
}

struct endpoint transport_peer(const struct site *site, const struct endpoint *candidate)
{
    struct endpoint peer = *candidate;

    peer.tcp = true;
    peer.port = site->config->tcp_port;
    return peer;
}

void transport_open(struct site *site, const struct address *local, uint64_t now_ms)
{
    struct endpoint peer = transport_peer(site, &site->candidates[site->candidate]);

    site->dial = DIAL_TCP;
    if (!site->returning) {
        site->last_peer = peer;
    }
    site->question_until_ms = now_ms + OPENING_MS;
    site->dial_question = ask_for_connection(site->gateway, site, NULL, local, &peer);
    site_think_later(site);
}

void transport_dialled(struct site *site)
{
    site->fallback_after_ms = site->config->transport != TRANSPORT_AUTO ? 0
                              : site->tcp_helped                        ? FALLBACK_KNOWN_MS
                                                                        : FALLBACK_MS;
}

uint64_t transport_fallback_ms(const struct site *site)
{
    return site->dial != DIAL_GOING || site->dialled == NULL || site->fallback_after_ms == 0
               ? NEVER_MS
               : site->dialled->created_ms + site->fallback_after_ms;
}

void transport_fall_back(struct site *site, uint64_t now_ms)
{
    const struct ike *dialled = site->dialled;
    char peer[ADDRESS_TEXT_BYTES];

    if (dialled->peer.tcp || dialled->established) {
        site->fallback_after_ms = 0;
        return;
    }
    if (dialled->heard && site->fallback_after_ms < FALLBACK_HEARD_MS) {
        site->fallback_after_ms = FALLBACK_HEARD_MS;
        site_think_later(site);
        return;
    }
    site->fallback_after_ms = 0;
    log_line(site->gateway->log, LOG_LEVEL_INFO, site->name,
             "%s does not answer by UDP: called by TCP, port %u",
             address_format(&dialled->peer.address, peer), (unsigned)site->config->tcp_port);
    struct address local = dialled->local.address;

    /* RFC 9329 5.1: with a new IKE_SA_INIT, and another SPI. */
    ike_order_close(site->dialled, IKEV2_FAIL_ORDERED);
    site->dialled = NULL;
    site->by_tcp = true;
    transport_open(site, &local, now_ms);
}

static void dial_opened(struct site *site, const struct endpoint *local, const char *why,
                        uint64_t now_ms)
{
    struct endpoint peer = transport_peer(site, &site->candidates[site->candidate]);

    if (site->dial != DIAL_TCP) {
        if (local != NULL) {
            tell_connection(site->gateway, GATEWAY_TCP_RELEASE, local, &peer);
        }
        return;
    }
    if (local == NULL) {
        dial_trouble(site, REASON_TCP_REFUSED, &peer, why, now_ms);
        dial_failed(site);
        return;
    }
    dial_by_connection(site, local, &peer, now_ms);
}

/* ---- a connection of an IKE SA ---- */

static void try_later(struct carrier *carrier, uint64_t now_ms)
{
    struct gateway *g = carrier->ike->gateway;

    carrier->retry_ms = carrier->retry_ms == 0 ? RETRY_FIRST_MS : 2 * carrier->retry_ms;
    if (carrier->retry_ms > RETRY_MAX_MS) {
        carrier->retry_ms = RETRY_MAX_MS;
    }
    gateway_set_timer(g, &carrier->timer,
                      now_ms + carrier->retry_ms / 2 +
                          random_below(g->random, (uint32_t)carrier->retry_ms / 2 + 1));
}

static void try_now(struct carrier *carrier, uint64_t now_ms)
{
    struct ike *ike = carrier->ike;
    struct gateway *g = ike->gateway;
    /* Ours may be another one by now: the system knows it, where we listen everywhere. */
    struct address local = {.family = FAMILY_NONE};

    if (g->config != NULL && g->config->listen_count > 0) {
        local = ike->local.address;
    }
    carrier->question = ask_for_connection(g, NULL, ike, &local, &ike->peer);
    if (carrier->question == 0) {
        try_later(carrier, now_ms);
    } else {
        /* It is asked again if nobody answers. */
        gateway_set_timer(g, &carrier->timer, now_ms + OPENING_MS);
    }
}

void transport_time(struct timer *timer, uint64_t now_ms)
{
    struct carrier *carrier = CONTAINER_OF(timer, struct carrier, timer);

    if (!carrier->open) {
        try_now(carrier, now_ms);
    }
}

/* It is gone, or was not opened. */
static void is_without(struct carrier *carrier, const char *why, uint64_t now_ms)
{
    struct ike *ike = carrier->ike;
    bool was_open = carrier->open;

    if (was_open && now_ms >= carrier->opened_ms + STEADY_OPEN_MS) {
        carrier->retries = 0;
        carrier->retry_ms = 0;
    }
    carrier->open = false;
    carrier->question = 0;
    carrier->retries++;
    if (!ike->established && carrier->retries > HANDSHAKE_RETRIES_MAX) {
        if (ike->site != NULL && !ike->beside) {
            site_trouble(ike->site, REASON_TCP_REFUSED, &ike->peer, why, now_ms);
        }
        ike_order_close(ike, IKEV2_FAIL_ORDERED);
        if (ike->site != NULL && ike->site->dialled == ike) {
            ike->site->dialled = NULL;
            dial_failed(ike->site);
        }
        return;
    }
    if (was_open && ike->established) {
        /* Its clock finds out whether the peer is there at all. */
        ike_order(ike, IKE_ORDER_LIVENESS);
    }
    if (was_open && carrier->retry_ms == 0) {
        carrier->retry_ms = RETRY_FIRST_MS / 2;
        try_now(carrier, now_ms);
    } else {
        try_later(carrier, now_ms);
    }
}

static void opened_again(struct ike *ike, uint64_t question, const struct endpoint *local,
                         const char *why, uint64_t now_ms)
{
    struct carrier *carrier = carrier_of(ike);

    if (carrier == NULL || carrier->question != question) {
        return;
    }
    if (local == NULL) {
        is_without(carrier, why, now_ms);
        return;
    }
    carrier->open = true;
    carrier->opened_ms = now_ms;
    carrier->question = 0;
    gateway_set_timer(ike->gateway, &carrier->timer, NEVER_MS);
    ike->local = *local;
    if (ike->established) {
        tell_connection(ike->gateway, GATEWAY_TCP_KEEP, &ike->local, &ike->peer);
    }
    children_move(ike, &ike->local, &ike->peer);
    ike_carry(ike, now_ms);
}

/* ---- events ---- */

void gateway_tcp_opened(struct gateway *g, uint64_t question, const struct endpoint *local,
                        const struct endpoint *peer, const char *why, uint64_t now_ms)
{
    struct question q;

    g->now_ms = now_ms;
    if (!questions_take(g, question, &q) || q.kind != QUESTION_TCP) {
        /* Whoever wanted it is gone. */
        if (local != NULL) {
            tell_connection(g, GATEWAY_TCP_RELEASE, local, peer);
        }
    } else if (q.ike != NULL) {
        opened_again(q.ike, q.id, local, why, now_ms);
    } else if (q.site->dial_question == q.id) {
        dial_opened(q.site, local, why, now_ms);
    } else if (local != NULL) {
        tell_connection(g, GATEWAY_TCP_RELEASE, local, peer);
    }
    gateway_settle(g, now_ms);
}

void gateway_tcp_lost(struct gateway *g, const struct endpoint *local, const struct endpoint *peer,
                      const char *why, uint64_t now_ms)
{
    char text[ENDPOINT_TEXT_BYTES];

    g->now_ms = now_ms;
    for (struct carrier *c = g->carriers; c != NULL; c = c->next) {
        const struct ike *ike = c->ike;

        if (!c->open || !endpoint_equal(&ike->local, local) || !endpoint_equal(&ike->peer, peer)) {
            continue;
        }
        if (ike->site != NULL && c->retries == 0) {
            log_line(g->log, LOG_LEVEL_INFO, ike->site->name,
                     "the TCP connection to %s is gone (%s): another one is opened",
                     endpoint_format(peer, text), why);
        }
        is_without(c, why, now_ms);
        break;
    }
    gateway_settle(g, now_ms);
}
