/*
 * A peer's name while it is in use. It is asked for again now and then, and when two answers in a
 * row do not have the address in use any more, the peer is somewhere else. First it is tested
 * whether it is the same gateway, which then answers there (RFC 4555 3.10, mobility.c); else, and
 * where it cannot move, it is called there, beside the IKE SA in use (returning.c). What is up is
 * left only for something that works, and an answer that does not come changes nothing.
 */
#include "gateway/inside.h"

#include <stdlib.h>

#define AGAIN_MAX_MS 30000 /* whether it was a slip of the name server */
#define TEST_MS 4000 /* after that it is called */
#define RENAMED 2 /* answers without the address in use */

static const struct ike *in_use(const struct site *site)
{
    const struct ike *ike = site->used == NULL ? NULL : site->used->ike;

    return ike != NULL && ike->initiator && !ike->superseded && !ike->redirected &&
                   site->config->resolve_s > 0 && site->hosts == NULL &&
                   ike->host < site->config->peer_count &&
                   site->config->peers[ike->host].address.family == FAMILY_NONE &&
                   site_is_enabled(site) && !site->gateway->stopping
               ? ike
               : NULL;
}

static uint64_t interval_ms(const struct site *site)
{
    return site->config->resolve_s * UINT64_C(1000);
}

static uint64_t soon_ms(const struct site *site)
{
    uint64_t tenth_ms = interval_ms(site) / 10;

    return tenth_ms < AGAIN_MAX_MS ? tenth_ms : AGAIN_MAX_MS;
}

static void plan(struct site *site, struct roaming *roaming, uint64_t now_ms)
{
    uint32_t tenth = (uint32_t)(interval_ms(site) / 10);

    roaming->resolve_ms =
        now_ms + interval_ms(site) + random_below(site->gateway->random, tenth + 1);
}

void names_think(struct site *site, uint64_t now_ms)
{
    if (in_use(site) == NULL) {
        if (site->roaming != NULL) {
            site->roaming->resolve_ms = NEVER_MS;
            site->roaming->renamed = 0;
        }
        return;
    }
    struct roaming *roaming = roaming_of(site);

    if (roaming != NULL && roaming->resolve_ms == NEVER_MS) {
        plan(site, roaming, now_ms);
    }
}

uint64_t names_due_ms(const struct site *site)
{
    return site->roaming == NULL ? NEVER_MS : site->roaming->resolve_ms;
}

static void ask(struct site *site, const struct ike *ike)
{
    struct roaming *roaming = site->roaming;

    if (roaming->resolve_question != 0) {
        return;
    }
    roaming->resolve_question = questions_ask(site->gateway, QUESTION_RESOLVE_AGAIN, site, NULL, 0);
    struct gateway_action *action =
        roaming->resolve_question == 0 ? NULL : actions_add(site->gateway, GATEWAY_RESOLVE);

    if (action != NULL) {
        action->resolve.question = roaming->resolve_question;
        actions_copy_words(action->resolve.host, sizeof(action->resolve.host),
                           site->config->peers[ike->host].text);
    }
}

static bool is_among(const struct endpoint *list, size_t count, const struct address *a)
{
    for (size_t i = 0; i < count; i++) {
        if (address_equal(&list[i].address, a)) {
            return true;
        }
    }
    return false;
}

bool names_are_others(const struct site *site)
{
    return site->roaming != NULL && site->roaming->renamed >= RENAMED;
}

void names_time(struct site *site, uint64_t now_ms)
{
    struct roaming *roaming = site->roaming;
    const struct ike *ike = in_use(site);

    if (roaming == NULL || ike == NULL || now_ms < roaming->resolve_ms) {
        return;
    }
    plan(site, roaming, now_ms);
    if (!names_are_others(site)) {
        ask(site, ike);
        return;
    }
    /* The test had its time. */
    if (is_among(site->candidates, site->candidate_count, &ike->peer.address)) {
        roaming->renamed = 0;
    } else if (!site->silent && site->dial == DIAL_IDLE) {
        site->returning = true;
        dial_begin(site, now_ms);
    }
}

static void keep(struct site *site, const struct ike *ike, const struct address *list, size_t count)
{
    uint16_t port = site->config->peers[ike->host].port;

    if (site->candidates == NULL) {
        site->candidates = calloc(SITE_ADDRESSES_MAX, sizeof(*site->candidates));
    }
    site->candidate_count = 0;
    for (size_t i = 0; site->candidates != NULL && i < count && i < SITE_ADDRESSES_MAX; i++) {
        site->candidates[site->candidate_count++] =
            (struct endpoint){.address = list[i], .port = port != 0 ? port : IKE_PORT};
    }
}

/* It may have moved to an address that its name never had: then it counts what the name had. */
static bool still_leads_there(const struct site *site, const struct ike *ike,
                              const struct address *list, size_t count)
{
    bool is_of_name = site->candidate_count == 0 ||
                      is_among(site->candidates, site->candidate_count, &ike->peer.address);

    for (size_t i = 0; i < count; i++) {
        if (address_equal(&list[i], &ike->peer.address) ||
            (!is_of_name && is_among(site->candidates, site->candidate_count, &list[i]))) {
            return true;
        }
    }
    return false;
}

void names_answered(struct site *site, const struct address *addresses, size_t count,
                    uint64_t now_ms)
{
    struct roaming *roaming = site->roaming;
    const struct ike *ike = in_use(site);
    char old[ADDRESS_TEXT_BYTES];
    char now[ADDRESS_TEXT_BYTES];

    if (roaming == NULL) {
        return;
    }
    roaming->resolve_question = 0;
    if (ike == NULL || count == 0 || site->dial != DIAL_IDLE) {
        return;
    }
    if (still_leads_there(site, ike, addresses, count)) {
        roaming->renamed = 0;
        return;
    }
    site_think_later(site);
    if (++roaming->renamed < RENAMED) {
        roaming->resolve_ms = now_ms + soon_ms(site);
        return;
    }
    keep(site, ike, addresses, count);
    roaming->resolve_ms = now_ms;
    if (mobility_decides(ike)) {
        roaming->resolve_ms = now_ms + TEST_MS;
        mobility_astray(site, now_ms);
    }
    if (site_may_say(site, now_ms)) {
        log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name,
                 "%s leads to %s now, and to %s no longer: the tunnel goes there",
                 site->config->peers[ike->host].text, address_format(&addresses[0], now),
                 address_format(&ike->peer.address, old));
    }
}
