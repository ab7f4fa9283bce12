/* Events: what comes in from outside, and which object it is for. */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* An event causes a few more things to do, and they cause a few more: never without end. */
#define SETTLE_ROUNDS_MAX 1000

static void new_table(struct gateway *g, struct table *t, size_t limit)
{
    uint8_t key[16];

    random_fill(g->random, key, sizeof(key));
    table_init(t, key, limit);
}

struct gateway *gateway_new(const struct gateway_settings *settings, uint64_t now_ms)
{
    struct gateway *g = calloc(1, sizeof(*g));

    if (g == NULL) {
        return NULL;
    }
    g->dataplane = settings->dataplane;
    g->random = settings->random;
    g->log = settings->log;
    g->ike_sa_max = settings->ike_sa_max > 0 ? settings->ike_sa_max : IKE_SA_MAX_DEFAULT;
    g->started_ms = now_ms;
    g->now_ms = now_ms;
    g->addresses_ms = NEVER_MS;
    deadlines_init(&g->deadlines);
    new_table(g, &g->by_name, 0);
    new_table(g, &g->by_identity, 0);
    new_table(g, &g->routes, 0);
    new_table(g, &g->questions, 0);
    new_table(g, &g->children, 0);
    new_table(g, &g->ike_by_spi, 0);
    new_table(g, &g->ike_by_init, 0);
    new_table(g, &g->half_open_by_address, 0);
    random_fill(g->random, g->identity_key, sizeof(g->identity_key));
    table_init(&g->ppks, g->identity_key, 0);
    ikev2_gate_init(&g->gate, g->random, now_ms);
    if (settings->crash_secret.length == sizeof(g->crash_secret)) {
        memcpy(g->crash_secret, settings->crash_secret.data, sizeof(g->crash_secret));
        g->gate.crash_secret = g->crash_secret;
    }
    ikev2_tickets_init(&g->tickets, settings->ticket_key, g->random, now_ms);
    g->machine_actions = calloc(1, sizeof(*g->machine_actions));
    g->attempts = attempts_new();
    g->negotiations = negotiations_new();
    g->drops = drops_new();
    if (g->machine_actions == NULL || g->attempts == NULL || g->drops == NULL) {
        gateway_free(g);
        return NULL;
    }
    return g;
}

void gateway_free(struct gateway *g)
{
    if (g == NULL) {
        return;
    }
    apply_free(g);
    people_fini(g);
    resilience_linger_end(g, NULL);
    ikev2_tickets_fini(&g->tickets);
    wipe(g->crash_secret, sizeof(g->crash_secret));
    while (g->routes.count > 0) {
        routes_remove_all(g);
    }
    actions_fini(g);
    trace_fini(g);
    ikev1_door_free(g);
    attempts_free(g->attempts);
    negotiations_free(g->negotiations);
    drops_free(g->drops);
    free(g->machine_actions);
    free(g->old_actions);
    deadlines_fini(&g->deadlines);
    table_fini(&g->by_name);
    table_fini(&g->by_identity);
    table_fini(&g->routes);
    table_fini(&g->questions);
    table_fini(&g->children);
    table_fini(&g->ppks);
    table_fini(&g->ike_by_spi);
    table_fini(&g->ike_by_init);
    table_fini(&g->half_open_by_address);
    free(g);
}

/* ---- what follows from an event ---- */

static bool settle_once(struct gateway *g, uint64_t now_ms)
{
    if (g->ike_todo != NULL) {
        struct ike *ike = g->ike_todo;

        g->ike_todo = ike->next_todo;
        ike->in_todo = false;
        ike_obey(ike, now_ms);
        return true;
    }
    if (g->site_todo != NULL) {
        struct site *site = g->site_todo;

        g->site_todo = site->next_todo;
        site->in_todo = false;
        site_think(site, now_ms);
        return true;
    }
    return false;
}

void gateway_settle(struct gateway *g, uint64_t now_ms)
{
    size_t rounds =
        SETTLE_ROUNDS_MAX + 64 * (g->site_count + g->ike_count + gateway_session_count(g));

    do {
        while (settle_once(g, now_ms)) {
            assert(rounds > 0);
            rounds--;
        }
        if (g->policies_stale) {
            policies_publish(g);
        }
        dial_pump(g, now_ms);
    } while (g->ike_todo != NULL || g->site_todo != NULL);
}

/* ---- time ---- */

void gateway_set_timer(struct gateway *g, struct timer *timer, uint64_t at_ms)
{
    if (!deadlines_set(&g->deadlines, &timer->deadline, at_ms)) {
        log_line(g->log, LOG_LEVEL_ERROR, "gateway", "no memory for a timer");
    }
}

static void timer_came(struct timer *timer, uint64_t now_ms)
{
    switch ((enum timer_kind)timer->deadline.tag) {
    case TIMER_SITE:
        site_time(CONTAINER_OF(timer, struct site, timer), now_ms);
        return;
    case TIMER_IKE:
        ike_time(CONTAINER_OF(timer, struct ike, timer), now_ms);
        return;
    case TIMER_KEEPALIVE:
        ike_keepalive(CONTAINER_OF(timer, struct ike, keepalive), now_ms);
        return;
    case TIMER_PATH:
        path_time(CONTAINER_OF(timer, struct ike, path.timer), now_ms);
        return;
    case TIMER_LINGER:
        resilience_linger_over(timer);
        return;
    case TIMER_SESSION:
        session_time(timer, now_ms);
        return;
    case TIMER_CARRIER:
        transport_time(timer, now_ms);
        return;
    }
}

void gateway_time(struct gateway *g, uint64_t now_ms)
{
    /* A timer that sets itself to now must not hold us here. */
    size_t most = g->deadlines.count + SETTLE_ROUNDS_MAX;
    struct deadline *due;

    g->now_ms = now_ms;
    if (g->addresses_ms <= now_ms) {
        notes_addresses_changed(g, now_ms);
    }
    while (most > 0 && (due = deadlines_take_due(&g->deadlines, now_ms)) != NULL) {
        timer_came(CONTAINER_OF(due, struct timer, deadline), now_ms);
        gateway_settle(g, now_ms);
        most--;
    }
    gateway_settle(g, now_ms);
}

uint64_t gateway_deadline_ms(const struct gateway *g)
{
    uint64_t next_ms = deadlines_next_ms(&g->deadlines);

    return g->addresses_ms < next_ms ? g->addresses_ms : next_ms;
}

/* ---- datagrams ---- */

/* RFC 7296 1.5: an unprotected INFORMATIONAL with INVALID_SPI or INVALID_IKE_SPI for what we do not
 * know. */
static bool is_hint(const struct ikev2_header *h)
{
    return h->version >> 4 == 2 && h->exchange == IKEV2_INFORMATIONAL &&
           h->next_payload == IKEV2_NOTIFY;
}

void gateway_datagram(struct gateway *g, const struct endpoint *local, const struct endpoint *peer,
                      struct slice message, uint64_t now_ms)
{
    struct reader r = reader_over(message);
    struct ikev2_header header;
    struct endpoint from = *local;

    g->now_ms = now_ms;
    g->messages_in++;
    if (g->config == NULL || !ikev2_read_header(&r, &header)) {
        return;
    }
    from.port = actions_machine_port(g, local);
    struct ike *ike =
        header.version >> 4 == 2 || header.version >> 4 == 1 ? ike_find(g, &header, peer) : NULL;

    if (ike != NULL) {
        ike_receive(ike, message, &from, peer, now_ms);
    } else if (is_hint(&header)) {
        (void)notes_hint(g, LOOK_HINT, peer, now_ms);
    } else {
        admission_datagram(g, &from, peer, message, now_ms);
    }
    gateway_settle(g, now_ms);
}

void gateway_notes(struct gateway *g, uint64_t now_ms)
{
    g->now_ms = now_ms;
    notes_take(g, now_ms);
}

const struct config *gateway_config(const struct gateway *g)
{
    return g->config;
}
