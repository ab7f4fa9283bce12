/*
 * Proposals as people write them: which words there are, what is offered when nothing is said, and
 * which combinations make no sense.
 */
#include "crypto/catalog.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "crypto/words.h"

/* Other spellings of words of the catalog, as peers' documents have them. */
static const struct {
    const char *spelling;
    const char *word;
} synonyms[] = {
    {"aes", "aes128"},
    {"aes%ucbc", "aes%u"},
    {"aes%ugcm", "aes%ugcm16"},
    {"aes%ugcm64", "aes%ugcm8"},
    {"aes%ugcm96", "aes%ugcm12"},
    {"aes%ugcm128", "aes%ugcm16"},
    {"aes%uccm", "aes%uccm16"},
    {"aes%uccm64", "aes%uccm8"},
    {"aes%uccm96", "aes%uccm12"},
    {"aes%uccm128", "aes%uccm16"},
    {"camellia", "camellia128"},
    {"camellia%ucbc", "camellia%u"},
    {"chacha20", "chacha20poly1305"},
    {"aes%ugcmiiv", "aes%ugcm16iiv"},
    {"aes%uccmiiv", "aes%uccm8iiv"},
    {"chacha20iiv", "chacha20poly1305iiv"},
    /* Where an integrity algorithm is meant; else it is the cipher of this word. */
    {"aes%ugmac", "aesgmac%u"},
    {"tripledes", "3des"},
    {"sha", "sha1"},
    {"sha2_256", "sha256"},
    {"sha2_384", "sha384"},
    {"sha2_512", "sha512"},
    {"cmac", "aescmac"},
    {"xcbc", "aesxcbc"},
    {"prfcmac", "prfaescmac"},
    {"prfxcbc", "prfaesxcbc"},
    {"curve25519", "x25519"},
    {"curve448", "x448"},
    {"p256", "ecp256"},
    {"p384", "ecp384"},
    {"p521", "ecp521"},
    {"ecp224bp", "brainpool224"},
    {"ecp256bp", "brainpool256"},
    {"ecp384bp", "brainpool384"},
    {"ecp512bp", "brainpool512"},
};

static char lower(uint8_t c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* True when `word` is `pattern`, where KEY_BITS_MARK stands for three digits that go to `key_bits`.
 */
static bool word_matches(struct slice word, const char *pattern, uint16_t *key_bits)
{
    size_t at = 0;

    *key_bits = 0;
    while (*pattern != '\0') {
        if (strncmp(pattern, KEY_BITS_MARK, strlen(KEY_BITS_MARK)) == 0) {
            if (word.length < at + 3) {
                return false;
            }
            for (size_t i = 0; i < 3; i++, at++) {
                if (word.data[at] < '0' || word.data[at] > '9') {
                    return false;
                }
                *key_bits = (uint16_t)(*key_bits * 10 + (word.data[at] - '0'));
            }
            pattern += strlen(KEY_BITS_MARK);
        } else {
            if (at == word.length || lower(word.data[at]) != *pattern) {
                return false;
            }
            at++;
            pattern++;
        }
    }
    return at == word.length;
}

static bool catalog_word(uint8_t type, struct slice word, struct transform *out)
{
    const struct algorithm *algorithm;

    for (size_t i = 0; (algorithm = algorithm_at(i)) != NULL; i++) {
        uint16_t key_bits;
        if ((type == 0 || type == algorithm->type) &&
            word_matches(word, algorithm->word, &key_bits) &&
            algorithm_allows_key_bits(algorithm, key_bits)) {
            *out = (struct transform){algorithm->type, algorithm->id, key_bits};
            return true;
        }
    }
    return false;
}

/* A word of the catalog, or of a PRF without its "prf" when PRFs alone are meant. */
static bool plain_word(uint8_t type, struct slice word, struct transform *out)
{
    if (catalog_word(type, word, out)) {
        return true;
    }
    char prefixed[24];

    if (type != TRANSFORM_PRF || word.length + sizeof("prf") > sizeof(prefixed)) {
        return false;
    }
    int length =
        snprintf(prefixed, sizeof(prefixed), "prf%.*s", (int)word.length, (const char *)word.data);

    return catalog_word(type, (struct slice){(const uint8_t *)prefixed, (size_t)length}, out);
}

/* ke1_mlkem768 to ke7_..., and ke1_none. */
static bool additional_word(struct slice word, struct transform *out)
{
    const size_t head_bytes = 4;

    if (word.length <= head_bytes || lower(word.data[0]) != 'k' || lower(word.data[1]) != 'e' ||
        word.data[2] < '1' || word.data[2] > '7' || word.data[3] != '_') {
        return false;
    }
    struct slice rest = {word.data + head_bytes, word.length - head_bytes};

    if (slice_equal_text(rest, "none")) {
        *out = (struct transform){.id = KEY_EXCHANGE_NONE};
    } else if (!transform_by_word(TRANSFORM_KEY_EXCHANGE, rest, out)) {
        return false;
    }
    out->type = (uint8_t)(TRANSFORM_ADDITIONAL_FIRST + word.data[2] - '1');
    return true;
}

bool transform_by_word(uint8_t type, struct slice word, struct transform *out)
{
    if (word.length == 0) {
        return false;
    }
    if ((type == 0 || transform_is_additional(type)) && additional_word(word, out)) {
        return type == 0 || type == out->type;
    }
    if (plain_word(type, word, out)) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(synonyms); i++) {
        uint16_t key_bits;
        if (word_matches(word, synonyms[i].spelling, &key_bits)) {
            char spelled[32];
            const char *mark = strstr(synonyms[i].word, KEY_BITS_MARK);
            if (mark == NULL) {
                snprintf(spelled, sizeof(spelled), "%s", synonyms[i].word);
            } else {
                snprintf(spelled, sizeof(spelled), "%.*s%u%s", (int)(mark - synonyms[i].word),
                         synonyms[i].word, (unsigned)key_bits, mark + strlen(KEY_BITS_MARK));
            }
            return plain_word(type, slice_of_text(spelled), out);
        }
    }
    return false;
}

static bool proposal_holds(const struct proposal *p, const struct transform *t)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct transform *other = &p->transforms[i];
        if (other->type == t->type && other->id == t->id && other->key_bits == t->key_bits) {
            return true;
        }
    }
    return false;
}

static bool proposal_has(const struct proposal *p, uint8_t type)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == type) {
            return true;
        }
    }
    return false;
}

static void proposal_add(struct proposal *p, uint8_t type, uint16_t id, uint16_t key_bits)
{
    assert(p->count < PROPOSAL_TRANSFORMS_MAX);
    p->transforms[p->count++] = (struct transform){type, id, key_bits};
}

static const uint16_t default_prfs[] = {PRF_HMAC_SHA2_512, PRF_HMAC_SHA2_384, PRF_HMAC_SHA2_256};
/* The fast among the strong first; the long primes are for peers that have no curves. */
static const uint16_t default_groups[] = {
    KEY_EXCHANGE_X25519,    KEY_EXCHANGE_ECP_256,   KEY_EXCHANGE_ECP_384,
    KEY_EXCHANGE_MODP_3072, KEY_EXCHANGE_MODP_4096, KEY_EXCHANGE_MODP_2048,
};
/* Beside one of those, or for peers that insist on it alone (CNSA 2.0). */
static const uint16_t post_quantum_groups[] = {KEY_EXCHANGE_ML_KEM_768, KEY_EXCHANGE_ML_KEM_1024};
static const uint16_t default_integrity[] = {
    INTEGRITY_HMAC_SHA2_256_128, INTEGRITY_HMAC_SHA2_512_256, INTEGRITY_HMAC_SHA2_384_192};

static void add_all(struct proposal *p, uint8_t type, const uint16_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        proposal_add(p, type, ids[i], 0);
    }
}

static void add_esn(struct proposal *p)
{
    proposal_add(p, TRANSFORM_ESN, ESN_YES, 0);
    proposal_add(p, TRANSFORM_ESN, ESN_NO, 0);
}

/* What follows the ciphers of a default proposal. */
static void add_default_rest(struct proposal *p)
{
    if (p->protocol == PROTOCOL_IKE) {
        add_all(p, TRANSFORM_PRF, default_prfs, ARRAY_LENGTH(default_prfs));
    }
    add_all(p, TRANSFORM_KEY_EXCHANGE, default_groups, ARRAY_LENGTH(default_groups));
    if (p->protocol != PROTOCOL_IKE) {
        add_esn(p);
    }
}

static struct proposal *add_proposal(struct proposals *list, uint8_t protocol)
{
    struct proposal *p = &list->list[list->count++];

    p->protocol = protocol;
    return p;
}

static void add_aead_ciphers(struct proposal *p)
{
    proposal_add(p, TRANSFORM_ENCRYPTION, ENCRYPTION_AES_GCM_16, 256);
    proposal_add(p, TRANSFORM_ENCRYPTION, ENCRYPTION_AES_GCM_16, 128);
    proposal_add(p, TRANSFORM_ENCRYPTION, ENCRYPTION_CHACHA20_POLY1305, 0);
}

/* Proposals of their own: peers that know no ML-KEM take one that follows. */
static void add_post_quantum(struct proposals *out)
{
    struct proposal *hybrid = add_proposal(out, PROTOCOL_IKE);

    add_aead_ciphers(hybrid);
    add_default_rest(hybrid);
    add_all(hybrid, TRANSFORM_ADDITIONAL_FIRST, post_quantum_groups,
            ARRAY_LENGTH(post_quantum_groups));

    struct proposal *alone = add_proposal(out, PROTOCOL_IKE);

    add_aead_ciphers(alone);
    add_all(alone, TRANSFORM_PRF, default_prfs, ARRAY_LENGTH(default_prfs));
    add_all(alone, TRANSFORM_KEY_EXCHANGE, post_quantum_groups, ARRAY_LENGTH(post_quantum_groups));
}

static bool is_post_quantum(const struct transform *t)
{
    return (t->type == TRANSFORM_KEY_EXCHANGE || transform_is_additional(t->type)) &&
           key_exchange_is_post_quantum(t->id);
}

bool proposal_has_post_quantum(const struct proposal *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (is_post_quantum(&p->transforms[i])) {
            return true;
        }
    }
    return false;
}

bool proposals_have_post_quantum(const struct proposals *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (proposal_has_post_quantum(&list->list[i])) {
            return true;
        }
    }
    return false;
}

static void keep(struct proposals *list, bool post_quantum)
{
    uint8_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (proposal_has_post_quantum(&list->list[i]) == post_quantum) {
            list->list[kept++] = list->list[i];
        }
    }
    list->count = kept;
}

void proposals_drop_post_quantum(struct proposals *list)
{
    keep(list, false);
}

void proposals_keep_post_quantum(struct proposals *list)
{
    keep(list, true);
}

void proposals_default(uint8_t protocol, struct proposals *out)
{
    *out = (struct proposals){0};
    if (protocol == PROTOCOL_AH) {
        struct proposal *ah = add_proposal(out, protocol);

        add_all(ah, TRANSFORM_INTEGRITY, default_integrity, ARRAY_LENGTH(default_integrity));
        add_default_rest(ah);
        return;
    }
    if (protocol == PROTOCOL_IKE) {
        add_post_quantum(out);
    }
    struct proposal *aead = add_proposal(out, protocol);

    add_aead_ciphers(aead);
    add_default_rest(aead);

    struct proposal *cbc = add_proposal(out, protocol);

    proposal_add(cbc, TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CBC, 256);
    proposal_add(cbc, TRANSFORM_ENCRYPTION, ENCRYPTION_AES_CBC, 128);
    add_all(cbc, TRANSFORM_INTEGRITY, default_integrity, ARRAY_LENGTH(default_integrity));
    add_default_rest(cbc);
}

/* The PRF built of the same function as an integrity algorithm. */
static uint16_t prf_beside(uint16_t integrity)
{
    static const struct {
        uint16_t integrity;
        uint16_t prf;
    } pairs[] = {
        {INTEGRITY_HMAC_MD5_96, PRF_HMAC_MD5},
        {INTEGRITY_HMAC_SHA1_96, PRF_HMAC_SHA1},
        {INTEGRITY_AES_XCBC_96, PRF_AES128_XCBC},
        {INTEGRITY_AES_CMAC_96, PRF_AES128_CMAC},
        {INTEGRITY_HMAC_SHA2_256_128, PRF_HMAC_SHA2_256},
        {INTEGRITY_HMAC_SHA2_384_192, PRF_HMAC_SHA2_384},
        {INTEGRITY_HMAC_SHA2_512_256, PRF_HMAC_SHA2_512},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        if (pairs[i].integrity == integrity) {
            return pairs[i].prf;
        }
    }
    return PRF_NONE;
}

static const char *protocol_name(uint8_t protocol)
{
    return protocol == PROTOCOL_IKE ? "IKE" : protocol == PROTOCOL_AH ? "AH" : "ESP";
}

/* NULL when the protocol takes such a transform, else the end of a sentence that begins with the
 * word. */
static const char *protocol_objection(uint8_t protocol, const struct transform *t)
{
    if (transform_is_additional(t->type)) {
        return NULL;
    }
    if (protocol == PROTOCOL_IKE && t->type == TRANSFORM_ESN) {
        return "belongs to the ESP proposal, IKE has no such sequence numbers";
    }
    if (protocol == PROTOCOL_IKE && t->type == TRANSFORM_ENCRYPTION &&
        (t->id == ENCRYPTION_NULL || t->id == ENCRYPTION_NULL_AES_GMAC)) {
        return "does not encrypt, and IKE must";
    }
    const struct algorithm *algorithm = algorithm_find(t->type, t->id);

    if (protocol == PROTOCOL_IKE && algorithm->implicit_iv) {
        return "takes its IV from ESP's sequence number, and IKE has none";
    }
    if (protocol == PROTOCOL_ESP && algorithm->ah_only) {
        return "is for AH alone: ESP has ciphers such as aes128gmac";
    }
    if (protocol == PROTOCOL_IKE && algorithm->ah_only) {
        return "is for AH alone";
    }
    if (protocol != PROTOCOL_IKE && t->type == TRANSFORM_PRF) {
        return "is a PRF, which only the IKE proposal has";
    }
    if (protocol == PROTOCOL_AH && t->type == TRANSFORM_ENCRYPTION) {
        return "encrypts, and AH does not";
    }
    return NULL;
}

/* What the word means in the protocol: in AH, which has no ciphers, aes128gmac is no cipher. */
static bool word_of_protocol(uint8_t protocol, struct slice word, struct transform *out)
{
    return (protocol == PROTOCOL_AH && transform_by_word(TRANSFORM_INTEGRITY, word, out)) ||
           transform_by_word(0, word, out);
}

/* One word of a proposal; a word that names an integrity algorithm behind an AEAD cipher of IKE
 * means the PRF. */
static bool parse_word(struct proposal *p, bool aead, struct slice word, char *why,
                       size_t why_bytes)
{
    int length = word.length > 40 ? 40 : (int)word.length;
    const char *text = (const char *)word.data;
    struct transform t;

    if (word.length == 0) {
        snprintf(why, why_bytes, "a word is missing: two '-' stand together or one at the end");
        return false;
    }
    if (!word_of_protocol(p->protocol, word, &t)) {
        snprintf(why, why_bytes, "'%.*s' is no algorithm", length, text);
        return false;
    }
    if (aead && t.type == TRANSFORM_INTEGRITY && protocol_objection(p->protocol, &t) == NULL) {
        if (p->protocol != PROTOCOL_IKE) {
            snprintf(why, why_bytes,
                     "'%.*s' has no place beside a cipher that authenticates by itself", length,
                     text);
            return false;
        }
        t = (struct transform){TRANSFORM_PRF, prf_beside(t.id), 0};
    }
    const char *objection = protocol_objection(p->protocol, &t);

    if (objection != NULL) {
        snprintf(why, why_bytes, "'%.*s' %s", length, text, objection);
        return false;
    }
    if (proposal_holds(p, &t)) {
        snprintf(why, why_bytes, "'%.*s' stands there twice", length, text);
        return false;
    }
    if (p->count == PROPOSAL_TRANSFORMS_MAX) {
        snprintf(why, why_bytes, "'%.*s' is one algorithm too many", length, text);
        return false;
    }
    proposal_add(p, t.type, t.id, t.key_bits);
    return true;
}

/* The next word of `text`, which is cut from its beginning; `more` says whether a '-' followed. */
static struct slice cut_word(struct slice *text, bool *more)
{
    const uint8_t *dash = text->length == 0 ? NULL : memchr(text->data, '-', text->length);
    size_t length = dash == NULL ? text->length : (size_t)(dash - text->data);
    struct slice word = {text->data, length};

    *more = dash != NULL;
    if (dash != NULL) {
        text->data += length + 1;
        text->length -= length + 1;
    }
    return word;
}

/* Whether the ciphers in the text are AEAD: 1, are not: 0, or both: -1. */
static int text_aead(struct slice text)
{
    bool found[2] = {false, false};
    bool more = true;

    while (more) {
        struct transform t;
        if (transform_by_word(TRANSFORM_ENCRYPTION, cut_word(&text, &more), &t)) {
            found[algorithm_find(t.type, t.id)->aead ? 1 : 0] = true;
        }
    }
    return found[0] && found[1] ? -1 : found[1] ? 1 : 0;
}

/* Adds what may go unsaid. False when that does not fit. */
static bool add_unsaid(struct proposal *p, bool aead)
{
    struct proposal all = *p;

    if (p->count + 7 > PROPOSAL_TRANSFORMS_MAX) {
        return false;
    }
    if (p->protocol != PROTOCOL_IKE) {
        if (!proposal_has(p, TRANSFORM_ESN)) {
            add_esn(p);
        }
    } else if (!proposal_has(p, TRANSFORM_PRF)) {
        if (aead) {
            add_all(p, TRANSFORM_PRF, default_prfs, ARRAY_LENGTH(default_prfs));
        }
        for (size_t i = 0; i < all.count; i++) {
            if (all.transforms[i].type == TRANSFORM_INTEGRITY) {
                proposal_add(p, TRANSFORM_PRF, prf_beside(all.transforms[i].id), 0);
            }
        }
    }
    return true;
}

bool proposal_parse(uint8_t protocol, struct slice text, struct proposal *out, char *why,
                    size_t why_bytes)
{
    int aead = protocol == PROTOCOL_AH ? 0 : text_aead(text);
    bool more = true;

    *out = (struct proposal){.protocol = protocol};
    if (aead < 0) {
        snprintf(why, why_bytes,
                 "ciphers that authenticate by themselves need a proposal of their own");
        return false;
    }
    while (more) {
        if (!parse_word(out, aead == 1, cut_word(&text, &more), why, why_bytes)) {
            return false;
        }
    }
    if (protocol != PROTOCOL_AH && !proposal_has(out, TRANSFORM_ENCRYPTION)) {
        snprintf(why, why_bytes, "it names no cipher, such as aes256gcm16");
        return false;
    }
    if (aead == 0 && !proposal_has(out, TRANSFORM_INTEGRITY)) {
        snprintf(why, why_bytes,
                 "it names no integrity algorithm, such as sha256: %s without one is not safe",
                 protocol_name(protocol));
        return false;
    }
    if (protocol == PROTOCOL_IKE && !proposal_has(out, TRANSFORM_KEY_EXCHANGE)) {
        snprintf(why, why_bytes, "it names no key exchange, such as x25519");
        return false;
    }
    if (!add_unsaid(out, aead == 1)) {
        snprintf(why, why_bytes, "it has too many algorithms");
        return false;
    }
    return true;
}

const struct algorithm *proposal_legacy(const struct proposal *p)
{
    const struct algorithm *weakest = NULL;

    for (size_t i = 0; i < p->count; i++) {
        const struct algorithm *a = algorithm_find(p->transforms[i].type, p->transforms[i].id);
        if (a != NULL && a->strength == STRENGTH_LEGACY &&
            (weakest == NULL || a->rank < weakest->rank)) {
            weakest = a;
        }
    }
    return weakest;
}
