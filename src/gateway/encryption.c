/*
 * RSA encryption of IKEv1 (RFC 2409 5.2, 5.3) as the gateway sees it: how its questions are carried
 * to the threads that have the keys; how many strangers may have something opened; and that a key
 * which opens signs nothing.
 *
 * Nobody learns whether something could be opened (crypto/rsa_envelope.h). Attacks on this padding
 * ask from thousands to millions of times, so besides there is a number: who proves himself gives
 * his turn back.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#define OPENINGS_MAX 60 /* of strangers in a row */
#define OPENING_MS 1000 /* until there is one more */
#define LOGGED_MS 60000

/* ---- how it is carried ---- */

struct envelope *encryption_envelope(const struct ikev1_proof_question *from)
{
    struct envelope *e = from->part_count == 0 ? NULL : calloc(1, sizeof(*e));

    for (size_t i = 0; e != NULL && i < from->part_count; i++) {
        struct slice octets = from->parts[i].octets;

        /* What is longer than any modulus is as wrong when its end is missing. */
        if (octets.length > sizeof(e->parts[i].octets)) {
            octets.length = sizeof(e->parts[i].octets);
        }
        e->parts[i].least = from->parts[i].least;
        e->parts[i].most = from->parts[i].most;
        e->parts[i].length = octets.length;
        memcpy(e->parts[i].octets, octets.data, octets.length);
        e->count++;
    }
    if (e != NULL) {
        e->digest = from->digest;
    }
    return e;
}

void encryption_answer(const struct ikev2_proof *proof, struct ikev1_proof_answer *answer)
{
    const struct envelope *e = proof->envelope;

    for (size_t i = 0; e != NULL && i < e->count; i++) {
        answer->parts[i] = (struct slice){e->parts[i].octets, e->parts[i].length};
        answer->part_count++;
    }
    if (e != NULL) {
        answer->hash = (struct slice){e->hash, e->hash_bytes};
    }
}

/* ---- what a site wants ---- */

enum ikev1_proof_by encryption_proof_of(const struct config_site *config)
{
    return config->proof == CONFIG_PROOF_ENCRYPTION ? IKEV1_PROOF_ENCRYPTION
           : config->proof == CONFIG_PROOF_REVISED  ? IKEV1_PROOF_REVISED
                                                    : IKEV1_PROOF_SIGNATURE;
}

bool encryption_is_wanted(const struct ike *ike)
{
    return ike->site != NULL && ike->site->config->proof != CONFIG_PROOF_SIGNATURE;
}

bool encryption_add_method(struct responder_terms *t, const struct site *site)
{
    switch (encryption_proof_of(site->config)) {
    case IKEV1_PROOF_SIGNATURE:
        return false;
    case IKEV1_PROOF_ENCRYPTION:
        t->old.rsa_encryption = true;
        return true;
    case IKEV1_PROOF_REVISED:
        t->old.rsa_revised = true;
        return true;
    }
    return false;
}

/* Files with different names may hold the same key, so it is the key that is looked at. */
bool encryption_shares_key(const struct site *site, char *why, size_t why_bytes)
{
    const struct gateway *g = site->gateway;
    bool encrypts = encryption_proof_of(site->config) != IKEV1_PROOF_SIGNATURE;

    /* Who only believes the other side has no key of his own. */
    for (size_t i = 0; i < g->site_count && site->certificates->own != NULL; i++) {
        const struct site *other = g->sites[i];

        if (other == site || other->certificates == NULL || other->certificates->own == NULL ||
            encrypts == (encryption_proof_of(other->config) != IKEV1_PROOF_SIGNATURE) ||
            !credential_same_key(site->certificates->own, other->certificates->own)) {
            continue;
        }
        struct text text = text_over(why, why_bytes);

        text_addf(&text,
                  "its key is also that of site %s, and one of them decrypts with it and the other "
                  "signs: whoever breaks the one has the other, so give each a key of its own",
                  other->name);
        return true;
    }
    return false;
}

/* ---- how many ---- */

static void earn(struct gateway *g, unsigned count)
{
    g->openings_used -= count < g->openings_used ? count : g->openings_used;
}

bool encryption_may_open(struct ike *ike, const struct ikev2_proof *proof)
{
    struct gateway *g = ike->gateway;

    if (proof->envelope == NULL || !proof->sign || ike->initiator) {
        return true;
    }
    uint64_t earned = (g->now_ms - g->openings_ms) / OPENING_MS;

    earn(g, earned < OPENINGS_MAX ? (unsigned)earned : OPENINGS_MAX);
    g->openings_ms = g->openings_used == 0 ? g->now_ms : g->openings_ms + earned * OPENING_MS;
    if (g->openings_used < OPENINGS_MAX) {
        g->openings_used++;
        ike->old->opened = true;
        return true;
    }
    if (g->openings_logged_ms == 0 || g->now_ms >= g->openings_logged_ms + LOGGED_MS) {
        g->openings_logged_ms = g->now_ms;
        log_line(g->log, LOG_LEVEL_WARNING, "ike",
                 "too many who proved nothing sent what is to be decrypted (RSA encryption of "
                 "IKEv1): no more than one of them a second is looked at");
    }
    return false;
}

void encryption_proven(struct ike *ike)
{
    if (ike->is_old && ike->old->opened) {
        ike->old->opened = false;
        earn(ike->gateway, 1);
    }
}
