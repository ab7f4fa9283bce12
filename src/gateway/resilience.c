/*
 * Coming back, and proving again: what the gateway does when an IKE SA is to be followed by another
 * one without a gap.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/prf.h"

static_assert(GATEWAY_TICKET_KEY_BYTES == IKEV2_TICKETS_KEPT_BYTES, "");

/* ---- authentication anew ---- */

/* Make before break: the old IKE SA carries the traffic until the new one does, and is closed then
 * (duplicates.c). Whom we cannot call has been told how long his proof is good. */
void resilience_reauthenticate(struct ike *ike, uint64_t now_ms)
{
    struct site *site = ike->site;

    if (site == NULL || !ike->established || !site_can_dial(site) || !site_is_enabled(site)) {
        return;
    }
    ike->superseded = true;
    site->wanted_by_traffic = true;
    site->backoff_ms = 0;
    site->next_try_ms = now_ms;
    site_think_later(site);
}

/* ---- what is still on its way ---- */

#define LINGER_MS 3000

struct linger {
    struct timer timer;
    struct linger *next;
    const struct site *site;
    uint32_t spi_in;
};

bool resilience_linger(struct site *site, uint32_t spi_in, uint64_t now_ms)
{
    struct gateway *g = site->gateway;
    struct linger *l = g->stopping ? NULL : calloc(1, sizeof(*l));

    if (l == NULL) {
        return false;
    }
    l->timer.deadline.tag = TIMER_LINGER;
    l->site = site;
    l->spi_in = spi_in;
    l->next = g->lingering;
    g->lingering = l;
    dataplane_stop(g->dataplane, spi_in);
    gateway_set_timer(g, &l->timer, now_ms + LINGER_MS);
    return true;
}

static void linger_remove(struct gateway *g, struct linger **link)
{
    struct linger *l = *link;

    *link = l->next;
    deadlines_remove(&g->deadlines, &l->timer.deadline);
    dataplane_remove_bundle(g->dataplane, l->spi_in);
    free(l);
}

void resilience_linger_over(struct timer *timer)
{
    struct gateway *g = CONTAINER_OF(timer, struct linger, timer)->site->gateway;
    struct linger **link = &g->lingering;

    while (&(*link)->timer != timer) {
        link = &(*link)->next;
    }
    linger_remove(g, link);
}

void resilience_linger_end(struct gateway *g, const struct site *site)
{
    struct linger **link = &g->lingering;

    while (*link != NULL) {
        if (site == NULL || (*link)->site == site) {
            linger_remove(g, link);
        } else {
            link = &(*link)->next;
        }
    }
}

/* ---- tickets ---- */

struct kept_ticket {
    struct ikev2_session session;
    size_t length;
    uint8_t bytes[];
};

void gateway_ticket_key(const struct gateway *gateway, uint8_t out[GATEWAY_TICKET_KEY_BYTES])
{
    ikev2_tickets_keep(&gateway->tickets, out);
}

/* A certificate may be revoked while a ticket is good, and a limit of proofs is one of tickets. */
uint32_t resilience_ticket_s(const struct site *site)
{
    const struct config_site *c = site->config;

    if (c->reauthenticate_s != 0 || c->unauthenticated ||
        (certificates_are_wanted(c) && c->revocation != CONFIG_REVOCATION_OFF)) {
        return 0;
    }
    return c->resume_s;
}

uint64_t resilience_fingerprint(const struct site *site)
{
    uint8_t authorities[AUTHORITIES_BYTES_MAX], hash[8], out[32];
    size_t length = 0;

    put_u64(hash, site->config->hash);
    if (site->certificates != NULL) {
        length =
            ikev2_certify_authorities(site->certificates->trust, authorities, sizeof(authorities));
    }
    const struct slice parts[] = {SLICE_OF(hash),
                                  secret_slice(&site->secret),
                                  {authorities, length},
                                  site->ppk != NULL ? secret_slice(&site->ppk->key)
                                                    : (struct slice){NULL, 0}};

    sha256(parts, ARRAY_LENGTH(parts), out);
    return get_u64(out);
}

void resilience_forget_ticket(struct site *site)
{
    if (site->ticket != NULL) {
        ikev2_session_fini(&site->ticket->session);
        free(site->ticket);
        site->ticket = NULL;
    }
}

void resilience_keep_ticket(struct ike *ike, const struct ikev2_session *session,
                            struct slice bytes)
{
    struct kept_ticket *ticket = calloc(1, sizeof(*ticket) + bytes.length);

    if (ticket == NULL || ike->site == NULL || !ikev2_session_copy(&ticket->session, session)) {
        free(ticket);
        return;
    }
    ticket->length = bytes.length;
    memcpy(ticket->bytes, bytes.data, bytes.length);
    resilience_forget_ticket(ike->site);
    ike->site->ticket = ticket;
}

/* Good once: when it comes to nothing, the same address is tried again without. */
void resilience_resume(struct ike *ike, uint64_t now_ms)
{
    struct site *site = ike->site;
    const struct kept_ticket *ticket = site->ticket;

    if (ticket == NULL) {
        return;
    }
    if (ticket->session.until_ms > now_ms && resilience_ticket_s(site) != 0 &&
        machine_resume(ike, &ticket->session, (struct slice){ticket->bytes, ticket->length})) {
        ike->resuming = true;
        site->try_in_full = true;
    }
    resilience_forget_ticket(site);
}
