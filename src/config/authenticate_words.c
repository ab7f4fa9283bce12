/*
 * Decides what `authenticate` means: whether both sides sign, or prove with IKEv1's RSA encryption
 * that they can read (RFC 2409 5.2, 5.3); and that a key which opens is used for nothing else.
 */
#include <string.h>

#include "base/text.h"
#include "config/schema.h"

static const char *const proof_names[] = {"signatures", "rsa-encryption", "rsa-encryption-revised"};

/* Behind `legacy`; a bit for each, in this order. */
static const char *const method_names[] = {"rsa-encryption", "dss"};

enum { METHOD_RSA_ENCRYPTION = 1U << 0, METHOD_DSS = 1U << 1 };

void take_authenticate(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];

    for (size_t i = 0; i < ARRAY_LENGTH(proof_names); i++) {
        if (is_word(word, proof_names[i])) {
            r->site.proof = (uint8_t)i;
            return;
        }
    }
    COMPLAIN(r, word->place, "such as: authenticate rsa-encryption-revised",
             "it can be signatures, rsa-encryption or rsa-encryption-revised");
}

void write_authenticate(const struct schema_word *w, const struct shown *shown)
{
    if (shown->site->key.name == NULL && !shown->site->unauthenticated &&
        (shown->mode == SHOW_ALL || shown->site->proof != CONFIG_PROOF_SIGNATURE)) {
        sheet_addf(shown->out, "%s %s\n", w->word, proof_names[shown->site->proof]);
    }
}

bool take_legacy_method(struct reading *r, struct allowed *allowed, const struct word *word)
{
    for (size_t i = 0; i < ARRAY_LENGTH(method_names); i++) {
        if (!is_word(word, method_names[i])) {
            continue;
        }
        if (r->scope == SCOPE_MANUAL || r->site.version == CONFIG_IKE_V2) {
            COMPLAIN(r, word->place, "such as: ike v1", "'legacy %s' is for sites with IKEv1",
                     method_names[i]);
        }
        allowed->methods |= 1U << i;
        r->legacy_methods |= 1U << i;
        return true;
    }
    return false;
}

void write_legacy_methods(unsigned methods, struct text *out)
{
    for (size_t i = 0; i < ARRAY_LENGTH(method_names); i++) {
        if ((methods & 1U << i) != 0) {
            text_addf(out, "%s%s", out->length > 0 ? " " : "", method_names[i]);
        }
    }
}

void check_authenticate(struct reading *r)
{
    const struct config_site *site = &r->site;
    struct config_place at = said_at(r, "authenticate");

    if (site->proof == CONFIG_PROOF_SIGNATURE) {
        if (at.line != 0 && site->key.name != NULL) {
            COMPLAIN(r, at, "take out one of the two",
                     "site %s has a line key, and proves itself by that", site->name);
        }
        return;
    }
    if (site->key.name != NULL || site->unauthenticated) {
        COMPLAIN(r, at, "take out the line key, or this one",
                 "'authenticate %s' is a proof by certificates", proof_names[site->proof]);
        return;
    }
    if (site->version != CONFIG_IKE_V1) {
        COMPLAIN(r, at, "write: ike v1",
                 "RSA encryption is of IKEv1 alone, and the same key must not sign for IKEv2");
    }
    if ((r->legacy_methods & METHOD_RSA_ENCRYPTION) == 0) {
        COMPLAIN(r, at,
                 "its padding has been an oracle in many gateways. If the peer has nothing better, "
                 "write: legacy rsa-encryption",
                 "RSA encryption needs the word 'legacy'");
    }
    if (site->certificate == NULL) {
        COMPLAIN(r, at, "write: certificate FILE key FILE",
                 "RSA encryption needs a key of its own, and site %s has that of the gateway",
                 site->name);
    }
}

/* ---- keys that do both ---- */

static const char *key_of(const struct config_site *site)
{
    return site->certificate_key != NULL ? site->certificate_key : site->certificate;
}

static bool has_key(const struct config_site *site, const char *key)
{
    return site->key.name == NULL && !site->unauthenticated && site->certificate != NULL &&
           strcmp(key_of(site), key) == 0;
}

/* Whoever makes an oracle of the one forges the other's signatures (Felsch and others, USENIX
 * Security 2018). Files with other names may hold the same key: the gateway looks as well. */
void check_shared_keys(struct reading *r)
{
    for (size_t i = 0; i < r->site_count; i++) {
        const struct config_site *site = &r->sites[i];

        for (size_t k = 0; site->proof != CONFIG_PROOF_SIGNATURE && site->certificate != NULL &&
                           k < r->site_count;
             k++) {
            const struct config_site *other = &r->sites[k];

            if (other->proof == CONFIG_PROOF_SIGNATURE && has_key(other, key_of(site))) {
                COMPLAIN(r, site->place, "give it a key and a certificate of its own",
                         "site %s decrypts with the key that site %s signs with: whoever breaks "
                         "the one has the other",
                         site->name, other->name);
                break;
            }
        }
    }
}
