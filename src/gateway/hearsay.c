/*
 * What is known of a site only from those who proved nothing: whoever speaks from the address of
 * its peer is likely to be him, so what is wrong with his tries is told as a reason of the site
 * that does not come up. It never touches a site that is up or has an IKE SA, never hides what our
 * own tries found out, and of two such reasons the one that took more to bring about stays for a
 * while. Looking for sites by an address walks over all of them, so it is rationed.
 */
#include "gateway/inside.h"

#include <string.h>

#include "proto/ike/proposal.h"

#define LOOK_AGAIN_MS 500 /* for the same address */
#define LOOKS_MAX 20 /* a second, for all addresses */
#define KEPT_MS 60000

bool hearsay_may_look(struct gateway *g, enum look why, const struct address *from, uint64_t now_ms)
{
    uint8_t key[2 + sizeof(from->bytes)] = {(uint8_t)why, from->family};

    memcpy(key + 2, from->bytes, sizeof(from->bytes));
    size_t slot = siphash24(g->identity_key, SLICE_OF(key)) % LOOK_SLOTS;

    if (now_ms >= g->looks_since_ms + 1000) {
        g->looks_since_ms = now_ms;
        g->looks = 0;
    }
    if (g->looks >= LOOKS_MAX ||
        (g->looked_ms[slot] != 0 && now_ms < g->looked_ms[slot] + LOOK_AGAIN_MS)) {
        return false;
    }
    g->looks++;
    g->looked_ms[slot] = now_ms;
    return true;
}

/* A datagram with a wrong sender is enough for the first two, a key exchange is behind the last. */
static unsigned weight_of(enum reason reason)
{
    if (reason == REASON_UNKNOWN_SPI || reason == REASON_HALF_OPEN) {
        return 0;
    }
    return reason == REASON_NO_PROPOSAL || reason == REASON_NOT_POST_QUANTUM ||
                   reason == REASON_OLD_VERSION || reason == REASON_AGGRESSIVE
               ? 1
               : 2;
}

static bool is_worth(const struct site *site, enum reason reason, uint64_t now_ms)
{
    const struct trouble *t = site->trouble;

    if (weight_of(reason) == 0 && site_is_wanted(site)) {
        /* We find out for ourselves. */
        return false;
    }
    if (t == NULL) {
        return true;
    }
    if (t->hearsay) {
        return weight_of(reason) >= weight_of(t->reason) || now_ms > t->at_ms + KEPT_MS;
    }
    if (site_is_wanted(site)) {
        return false;
    }
    /* We do not try: what was found out long ago or is only that he went away is not news. */
    return t->reason == REASON_PEER_DELETED || t->reason == REASON_PEER_DEAD ||
           t->reason == REASON_PEER_RESTARTED ||
           (weight_of(reason) > 0 && now_ms > t->at_ms + KEPT_MS);
}

static bool is_down_at(const struct site *site, const struct endpoint *peer)
{
    return site->used == NULL && site->established_count == 0 && site_is_enabled(site) &&
           !site->gateway->stopping && identities_is_at(site, peer);
}

static void tell(struct site *site, enum reason reason, const struct ike *ike,
                 const struct ikev2_failure *failure, uint64_t now_ms)
{
    if (!is_worth(site, reason, now_ms)) {
        return;
    }
    struct trouble *t = site_trouble_begin(site, reason, &ike->peer, now_ms);

    if (t == NULL) {
        return;
    }
    struct text ours = text_over(t->ours, sizeof(t->ours));
    struct text theirs = text_over(t->theirs, sizeof(t->theirs));

    t->hearsay = true;
    t->by_peer = true;
    t->exchange = failure->exchange;
    t->notify = failure->notify;
    if (reason == REASON_PEER_IDENTITY && failure->ours[0] != '\0') {
        text_add(&ours, failure->ours);
        text_add(&theirs, failure->theirs);
    } else if (reason == REASON_PEER_IDENTITY) {
        ike_identity_describe(site->expected, &ours);
        actions_copy_words(t->detail, sizeof(t->detail),
                           "The key was not looked at: it belongs to a name.");
        if (ike->said != NULL) {
            ike_identity_describe(ike->said, &theirs);
        }
    } else {
        if (reason == REASON_NO_PROPOSAL) {
            /* What was refused is what no site allows; what this one allows helps more. */
            proposal_describe_policy(site->config->ike, PROTOCOL_IKE, &ours);
        }
        text_add(&theirs, failure->theirs);
        if (reason == REASON_NO_PROPOSAL) {
            persona_add(ike, &theirs);
        }
        actions_copy_words(t->detail, sizeof(t->detail), failure->detail);
    }
    site_trouble_log(site, now_ms);
}

/* With IKEv1 it is not known until the end of phase 1 whose site it is, so these come before that.
 */
static bool is_of_proof(enum reason reason)
{
    return reason == REASON_SHARED_KEY || reason == REASON_SHARED_KEY_PERHAPS ||
           reason == REASON_PEER_IDENTITY || reason == REASON_AUTH_REFUSED ||
           reason == REASON_SIGNATURE_WRONG || reason == REASON_CERTIFICATE_TIME ||
           reason == REASON_CERTIFICATE_AUTHORITY || reason == REASON_CERTIFICATE_NAME ||
           reason == REASON_CERTIFICATE_REVOKED || reason == REASON_CERTIFICATE ||
           reason == REASON_SUITE_NOT_ALLOWED;
}

/* Whether a failure that comes before a site is known says something about one; which reason of the
 * site it is then. */
static enum reason told_as(enum reason reason)
{
    if (reason == REASON_PEER_UNKNOWN) {
        return REASON_PEER_IDENTITY;
    }
    return is_of_proof(reason) || reason == REASON_NO_PROPOSAL ||
                   reason == REASON_NOT_POST_QUANTUM || reason == REASON_AUTH_METHOD ||
                   reason == REASON_HALF_OPEN || reason == REASON_ENCRYPTION ||
                   reason == REASON_AGGRESSIVE || reason == REASON_PPK_UNKNOWN ||
                   reason == REASON_PPK_DIFFERS
               ? reason
               : REASON_NONE;
}

static enum reason told_to(const struct site *site, enum reason reason)
{
    return reason == REASON_AUTH_REFUSED && site->config->key.name == NULL ? REASON_PROOF_REFUSED
                                                                           : reason;
}

struct site *hearsay_failure(struct ike *ike, enum reason reason,
                             const struct ikev2_failure *failure, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    enum reason told = told_as(reason);
    struct site *meant = NULL;
    size_t count = 0;

    if (ike->site != NULL || ike->initiator || told == REASON_NONE ||
        !hearsay_may_look(g, LOOK_FAILURE, &ike->peer.address, now_ms)) {
        return ike->site;
    }
    for (size_t i = 0; i < g->site_count; i++) {
        struct site *site = g->sites[i];

        if (!is_down_at(site, &ike->peer) ||
            (told == REASON_PEER_IDENTITY && site->expected == NULL)) {
            continue;
        }
        meant = site;
        count++;
        tell(site, told_to(site, told), ike, failure, now_ms);
    }
    /* With several at one address nobody knows which. */
    return count == 1 ? meant : NULL;
}

static void tell_of_message(struct site *site, enum reason reason, const struct endpoint *peer,
                            uint64_t now_ms)
{
    if (!is_down_at(site, peer) || !is_worth(site, reason, now_ms)) {
        return;
    }
    struct trouble *t = site_trouble_begin(site, reason, peer, now_ms);

    if (t != NULL) {
        t->hearsay = true;
        t->by_peer = true;
        site_trouble_log(site, now_ms);
    }
}

void hearsay_unknown_spi(struct site *site, const struct endpoint *peer, uint64_t now_ms)
{
    tell_of_message(site, REASON_UNKNOWN_SPI, peer, now_ms);
}

void hearsay_first_message(struct site *site, enum reason reason, const struct endpoint *peer,
                           uint64_t now_ms)
{
    tell_of_message(site, reason, peer, now_ms);
}
