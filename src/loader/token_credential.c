/*
 * Joins a key of a token (host/token) with a certificate (crypto). Decides which certificate it
 * belongs to: the one whose public key takes a signature of its. Many tokens have no public half to
 * look at, and a signature shows besides that the PIN, the rights of the key and its token are
 * good.
 */
#include "loader/token_credential.h"

#include <stdio.h>

#include "host/token.h"

/* Not the octets of any message of IKE. */
#define TRIAL "sekisho: whose certificate is this key's?"
#define WHY_BYTES 160

static enum token_step step_of(enum signing_step step)
{
    switch (step) {
    case SIGNING_RSA_PKCS1:
        return TOKEN_RSA_PKCS1;
    case SIGNING_RSA_PSS:
        return TOKEN_RSA_PSS;
    case SIGNING_ECDSA:
        return TOKEN_ECDSA;
    case SIGNING_EDDSA:
        return TOKEN_EDDSA;
    }
    return TOKEN_EDDSA;
}

static bool sign(void *kept, enum signing_step step, unsigned hash_bits, struct slice input,
                 struct writer *out, struct text *why)
{
    char words[WHY_BYTES] = "";
    bool made = token_key_sign(kept, step_of(step), hash_bits, input, out, words, sizeof(words));

    if (!made) {
        text_add(why, words);
    }
    return made;
}

static void release(void *kept)
{
    token_key_free(kept);
}

static const struct key_keeper keeper = {sign, release};

static bool fits(enum token_key_kind have, enum key_kind wanted)
{
    switch (have) {
    case TOKEN_KEY_RSA:
        return wanted == KEY_RSA;
    case TOKEN_KEY_EC:
        return wanted == KEY_P256 || wanted == KEY_P384 || wanted == KEY_P521;
    case TOKEN_KEY_EDWARDS:
        return wanted == KEY_ED25519; /* Ed448 needs parameters that few modules take */
    }
    return false;
}

static enum signature_scheme trial_scheme(enum key_kind kind, bool pss)
{
    switch (kind) {
    case KEY_RSA:
        return pss ? SIGNATURE_PSS_SHA256 : SIGNATURE_RSA_SHA256;
    case KEY_P256:
    case KEY_P384:
    case KEY_P521:
        return SIGNATURE_ECDSA_SHA256;
    case KEY_ED25519:
        return SIGNATURE_ED25519;
    case KEY_ED448:
        return SIGNATURE_ED448;
    case KEY_DSA:
        break; /* not from a token */
    }
    return SIGNATURE_NONE;
}

/* The key with that public half, when it is its own. NULL, perhaps with a sentence: why it did not
 * sign at all. */
static struct private_key *try_one(struct token_key *token, const struct public_key *public,
                                   bool pss, char *why, size_t why_bytes)
{
    uint8_t signature[SIGNATURE_BYTES_MAX];
    struct writer w = writer_over(signature, sizeof(signature));
    char words[WHY_BYTES];
    struct text text = text_over(words, sizeof(words));
    struct private_key *key = private_key_kept(public, &keeper, token_key_hold(token), pss);

    if (key != NULL && signature_make_told(key, trial_scheme(public_key_kind(public), pss),
                                           SLICE_TEXT(TRIAL), &w, &text)) {
        return key;
    }
    snprintf(why, why_bytes, "%s", words);
    private_key_free(key);
    return NULL;
}

struct credential *token_credential(const char *uri, const struct secret *pin,
                                    const struct certificate_bag *bag, char *why, size_t why_bytes)
{
    struct token_key *token = token_key_open(uri, pin, why, why_bytes);
    struct private_key *key = NULL;
    struct credential *own = NULL;
    struct credential_verdict verdict = {.problem = CREDENTIAL_MISMATCH};

    if (token == NULL) {
        return NULL;
    }
    bool pss = token_key_kind(token) == TOKEN_KEY_RSA && token_key_can(token, TOKEN_RSA_PSS);

    snprintf(why, why_bytes, "the key in the token belongs to none of the certificates");
    for (size_t i = 0; key == NULL && i < bag->certificate_count; i++) {
        const struct public_key *public = certificate_key(bag->certificates[i]);

        if (public != NULL && fits(token_key_kind(token), public_key_kind(public))) {
            key = try_one(token, public, pss, why, why_bytes);
        }
    }
    if (key != NULL) {
        own = credential_join(key, bag, &verdict);
        if (own == NULL) {
            struct text text = text_over(why, why_bytes);

            credential_verdict_words(&verdict, &text);
        }
    }
    private_key_free(key);
    token_key_free(token);
    return own;
}
