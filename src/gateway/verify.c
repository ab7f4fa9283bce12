/*
 * Whether the keys of the traffic can be renewed, tried right after the connection came up
 * (`verify-rekey`). RFC 7296 1.2: the first child's keys come from IKE_AUTH, where there is no key
 * exchange of its own, so that two sides which differ in PFS connect all the same and break an hour
 * later. Whoever began the IKE SA tries.
 */
#include "gateway/inside.h"

#define VERIFY_AFTER_MS 1000 /* the peer surely has his child by then */

static bool is_wanted(const struct site *site)
{
    const struct config_site *c = site->config;

    switch (c->verify_rekey) {
    case VERIFY_REKEY_AUTO:
        /* Preferring takes what there is, so nothing can differ. */
        return c->pfs != PFS_PREFER;
    case VERIFY_REKEY_ON:
        return true;
    case VERIFY_REKEY_OFF:
        break;
    }
    return false;
}

void verify_up(struct site *site, uint64_t now_ms)
{
    const struct ike *ike = site->used == NULL ? NULL : site->used->ike;

    site->verify_ms = NEVER_MS;
    site->verifying = false;
    if (ike != NULL && ike->initiator && is_wanted(site) && !persona_renews_alone(ike)) {
        site->verify_ms = now_ms + VERIFY_AFTER_MS;
    }
}

void verify_time(struct site *site, uint64_t now_ms)
{
    if (site->verify_ms > now_ms) {
        return;
    }
    site->verify_ms = NEVER_MS;
    if (site->used != NULL && site->used->ike->established) {
        site->verifying = true;
        ike_order(site->used->ike, IKE_ORDER_REKEY_CHILDREN);
    }
}

void verify_renewed(struct site *site)
{
    if (site->verifying) {
        log_line(site->gateway->log, LOG_LEVEL_INFO, site->name,
                 "its keys can be renewed: it was tried at once");
    }
    site->verifying = false;
    /* What stood in the way once does not any more. */
    if (site->trouble != NULL && (site->trouble->reason == REASON_RENEWAL_FAILS ||
                                  site->trouble->reason == REASON_REKEY_REFUSED)) {
        site_trouble_clear(site);
    }
}

/* "pfs on with X25519, P-256" */
static void say_ours(const struct config_site *c, struct text *out)
{
    const struct proposals *list = terms_proposals(c);
    static const char *const words[] = {"prefer", "on", "off"};
    uint16_t said[PROPOSAL_TRANSFORMS_MAX];
    size_t count = 0;

    text_addf(out, "pfs %s", words[c->pfs]);
    for (size_t i = 0; i < list->count; i++) {
        for (size_t k = 0; k < list->list[i].count; k++) {
            const struct transform *t = &list->list[i].transforms[k];
            size_t at = 0;
            char title[48];

            while (at < count && said[at] != t->id) {
                at++;
            }
            if (t->type != TRANSFORM_KEY_EXCHANGE || t->id == KEY_EXCHANGE_NONE || at < count ||
                count == ARRAY_LENGTH(said)) {
                continue;
            }
            transform_word(t, title, sizeof(title));
            text_addf(out, "%s%s", count == 0 ? " with " : ", ", title);
            said[count++] = t->id;
        }
    }
}

bool verify_failed(struct ike *ike, const struct ikev2_failure *failure, uint64_t now_ms)
{
    struct site *site = ike->site;
    bool both = failure->theirs[0] != '\0'; /* we refused, and know what was wanted */

    if ((!site->verifying && !both) || (failure->notify != IKEV2_NO_PROPOSAL_CHOSEN &&
                                        failure->notify != IKEV2_INVALID_KE_PAYLOAD)) {
        return false;
    }
    struct trouble *t = site_trouble_begin(site, REASON_RENEWAL_FAILS, &ike->peer, now_ms);

    site->verifying = false;
    if (t == NULL) {
        return true;
    }
    struct text ours = text_over(t->ours, sizeof(t->ours));
    struct text theirs = text_over(t->theirs, sizeof(t->theirs));

    say_ours(site->config, &ours);
    if (both) {
        t->by_peer = true;
        text_addf(&theirs, "wants %s", failure->theirs);
    } else {
        text_addf(&theirs, "answers %s", machine_notify_name(failure->exchange, failure->notify));
    }
    t->exchange = failure->exchange;
    t->notify = failure->notify;
    site_trouble_log(site, now_ms);
    return true;
}
