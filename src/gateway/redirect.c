/*
 * Other gateways (RFC 5685): where callers of ours are sent, and what becomes of a peer who sends
 * us elsewhere. Only the address changes: whoever is there must prove what the first one had to,
 * and what is protected stays as it is (RFC 5685 3). A site goes there with its next dial; when
 * nobody is there, it goes on with the hosts of its configuration.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

/* RFC 5685 7 */
#define REDIRECTS_MAX 5
#define REDIRECTS_MS 300000

struct redirected {
    struct config_host host;
    char text[256];
    struct address from;
    uint8_t place; /* of the site's peers: who sent us */
    bool wanted; /* the next dial goes there */
    bool dialling;
    bool before_others; /* no host of the configuration was tried in this round */
    unsigned count;
    uint64_t since_ms;
};

/* ---- who calls us ---- */

bool redirect_of(const struct config_host *host, struct ikev2_redirect *out)
{
    if (host == NULL) {
        return false;
    }
    if (host->address.family == FAMILY_NONE) {
        return ikev2_redirect_of_name(host->text, out);
    }
    ikev2_redirect_of_address(&host->address, out);
    return true;
}

static bool same_place(const struct config_host *a, const struct config_host *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a->text, b->text) == 0);
}

void redirect_changed(struct site *site, const struct config_host *before)
{
    const struct config_host *host = site->config->redirect;

    if (host == NULL || same_place(before, host)) {
        return;
    }
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike->established && !ike->initiator && !ike->superseded && !ike->is_old) {
            log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name,
                     "the peer is asked to go to %s", host->text);
            ike_order(ike, IKE_ORDER_REDIRECT);
        }
    }
}

void redirect_send(struct ike *ike, uint64_t now_ms)
{
    struct ikev2_redirect to;

    /* Nothing to say is an event as well. */
    if (ike->site == NULL || !redirect_of(ike->site->config->redirect, &to)) {
        to.type = 0;
    }
    machine_redirect(ike, &to, now_ms);
}

void redirect_answer(struct ike *ike)
{
    struct ikev2_redirect to;

    if (!ike->is_old && redirect_of(ike->site->config->redirect, &to)) {
        ikev2_sa_set_redirect(ike->machine, &to);
    }
}

static void sent_elsewhere(struct ike *ike, const struct ikev2_redirect *to)
{
    char words[256];
    struct text text = text_over(words, sizeof(words));

    words[0] = 0;
    ikev2_redirect_describe(to, &text);
    log_line(ike->gateway->log, LOG_LEVEL_INFO, ike->site->name, "sent to %s", words);
    /* He is known, and not half-open any more. */
    admission_end(ike);
    ike_forget_init(ike);
}

/* ---- whom we call ---- */

static bool may_follow(struct site *site, uint64_t now_ms)
{
    if (site->redirected == NULL) {
        site->redirected = calloc(1, sizeof(*site->redirected));
    }
    struct redirected *r = site->redirected;

    if (r == NULL) {
        return false;
    }
    if (r->count == 0 || now_ms >= r->since_ms + REDIRECTS_MS) {
        r->since_ms = now_ms;
        r->count = 0;
    }
    return ++r->count <= REDIRECTS_MAX;
}

void redirect_told(struct ike *ike, const struct ikev2_redirect *to, uint64_t now_ms)
{
    struct site *site = ike->site;
    struct address address = ikev2_redirect_address(to);

    if (site != NULL && !ike->initiator) {
        sent_elsewhere(ike, to);
        return;
    }
    if (site == NULL || address_is_multicast(&address) ||
        (to->type != IKEV2_REDIRECT_NAME && address_is_any(&address))) {
        return;
    }
    if (!may_follow(site, now_ms)) {
        site_trouble(site, REASON_REDIRECTS, &ike->peer, "", now_ms);
        return;
    }
    struct redirected *r = site->redirected;
    struct text text = text_over(r->text, sizeof(r->text));

    r->text[0] = 0;
    ikev2_redirect_describe(to, &text);
    log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name, "the peer sends us to %s", r->text);
    r->host = (struct config_host){.text = r->text, .address = address};
    r->from = ike->peer.address;
    r->place = ike->host;
    r->wanted = true;
    if (ike->established) {
        /* The old IKE SA carries the traffic until the new one does (duplicates.c). */
        ike->superseded = true;
        site->wanted_by_traffic = true;
        site->backoff_ms = 0;
        site->next_try_ms = now_ms;
        site_think_later(site);
    }
}

bool redirect_begins(struct site *site, bool before_others)
{
    struct redirected *r = site->redirected;

    if (r == NULL || !r->wanted) {
        return false;
    }
    r->wanted = false;
    /* Sent on from there: those of the configuration have still not been tried. */
    r->before_others = before_others || (r->dialling && r->before_others);
    r->dialling = true;
    return true;
}

const struct config_host *redirect_host(const struct site *site)
{
    const struct redirected *r = site->redirected;

    return r != NULL && r->dialling ? &r->host : NULL;
}

uint8_t redirect_place(const struct site *site)
{
    return redirect_host(site) != NULL ? site->redirected->place : (uint8_t)site->host;
}

bool redirect_ends(struct site *site)
{
    struct redirected *r = site->redirected;

    if (r == NULL || !r->dialling) {
        return false;
    }
    r->dialling = false;
    return r->before_others;
}

void redirect_dialled(struct ike *ike)
{
    const struct redirected *r = ike->site->redirected;

    ike->redirected = redirect_host(ike->site) != NULL;
    if (!ike->is_old && r != NULL && r->dialling) {
        ikev2_sa_redirected_from(ike->machine, &r->from);
    }
}

void redirect_forget(struct site *site)
{
    free(site->redirected);
    site->redirected = NULL;
}
