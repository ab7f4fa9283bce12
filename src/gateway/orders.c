/* What the administrator wants of a site. */
#include "gateway/inside.h"

#include <stdio.h>

static struct site *find(struct gateway *g, const char *name, uint64_t now_ms, char *why,
                         size_t why_bytes)
{
    struct site *site = apply_find(g, name);

    g->now_ms = now_ms;
    if (site == NULL && session_named(g, name) != NULL) {
        snprintf(why, why_bytes, "who comes by himself can be taken down, and nothing else");
        return NULL;
    }
    if (site == NULL) {
        snprintf(why, why_bytes, "there is no site of that name");
        return NULL;
    }
    if (!site->config->enabled) {
        snprintf(why, why_bytes, "the site is disabled in the configuration");
        return NULL;
    }
    if (g->stopping) {
        snprintf(why, why_bytes, "the gateway is being stopped");
        return NULL;
    }
    return site;
}

static void begin_now(struct site *site, uint64_t now_ms)
{
    site->ordered_up = true;
    site->ordered_down = false;
    site->backoff_ms = 0;
    site->child_backoff_ms = 0;
    site->child_try_ms = now_ms;
    site->tries = 0;
    site->next_try_ms = now_ms;
    site->secret_stale = true;
    site_think_later(site);
}

/* A block of manual keys: there is nobody to be asked. */
static bool order_manual(struct gateway *g, const char *name, bool up, uint64_t now_ms)
{
    struct manual *m = manual_find(g, name);

    if (m == NULL || g->stopping) {
        return false;
    }
    g->now_ms = now_ms;
    log_line(g->log, LOG_LEVEL_NOTICE, name, up ? "is brought up by order" : "is down by order");
    manual_order(m, up, now_ms);
    gateway_settle(g, now_ms);
    return true;
}

bool gateway_up(struct gateway *g, const char *name, uint64_t now_ms, char *why, size_t why_bytes)
{
    if (order_manual(g, name, true, now_ms)) {
        return true;
    }
    struct site *site = find(g, name, now_ms, why, why_bytes);

    if (site == NULL) {
        return false;
    }
    begin_now(site, now_ms);
    log_line(g->log, LOG_LEVEL_NOTICE, site->name, "is brought up by order");
    gateway_settle(g, now_ms);
    return true;
}

bool gateway_down(struct gateway *g, const char *name, uint64_t now_ms, char *why, size_t why_bytes)
{
    if (order_manual(g, name, false, now_ms)) {
        return true;
    }
    g->now_ms = now_ms;
    if (apply_find(g, name) == NULL && sessions_down(g, name)) {
        log_line(g->log, LOG_LEVEL_NOTICE, name, "is logged out by order");
        gateway_settle(g, now_ms);
        return true;
    }
    struct site *site = find(g, name, now_ms, why, why_bytes);

    if (site == NULL) {
        return false;
    }
    sessions_close(site, SESSION_END_ORDER);
    site->ordered_up = false;
    site->ordered_down = true;
    site->wanted_by_traffic = false;
    site_trouble_clear(site);
    site_close_all(site, IKEV2_FAIL_ORDERED);
    caller_forget(site);
    site_think_later(site);
    log_line(g->log, LOG_LEVEL_NOTICE, site->name, "is taken down by order");
    gateway_settle(g, now_ms);
    return true;
}

bool gateway_log_out(struct gateway *g, const char *user, uint64_t now_ms)
{
    g->now_ms = now_ms;
    if (!sessions_down(g, user)) {
        return false;
    }
    log_line(g->log, LOG_LEVEL_NOTICE, user, "is logged out by order");
    gateway_settle(g, now_ms);
    return true;
}

bool gateway_restart(struct gateway *g, const char *name, uint64_t now_ms, char *why,
                     size_t why_bytes)
{
    struct site *site = find(g, name, now_ms, why, why_bytes);

    if (site == NULL) {
        return false;
    }
    site_close_all(site, IKEV2_FAIL_ORDERED);
    sessions_close(site, SESSION_END_ORDER);
    gateway_settle(g, now_ms);
    begin_now(site, now_ms);
    log_line(g->log, LOG_LEVEL_NOTICE, site->name, "is restarted by order");
    gateway_settle(g, now_ms);
    return true;
}

bool gateway_rekey(struct gateway *g, const char *name, bool ike, uint64_t now_ms, char *why,
                   size_t why_bytes)
{
    struct site *site = find(g, name, now_ms, why, why_bytes);

    if (site == NULL) {
        return false;
    }
    if (site->used == NULL) {
        snprintf(why, why_bytes, "the site is not up");
        return false;
    }
    if (site->duplicates_ms != NEVER_MS) {
        /* Not of one that is about to go: what is renewed with it goes too. */
        duplicates_decide(site, now_ms);
    }
    ike_order(site->used->ike, ike ? IKE_ORDER_REKEY : IKE_ORDER_REKEY_CHILDREN);
    gateway_settle(g, now_ms);
    return true;
}
