/* The words of other products for our algorithms, and what several of their formats write. */
#include "sekisho/export_words.h"

/* ---- algorithms in their words ---- */

#define CIPHER(id, bits) TRANSFORM_ENCRYPTION, id, bits
#define HASH(id) TRANSFORM_INTEGRITY, id, 0
#define GROUP(id) TRANSFORM_KEY_EXCHANGE, id, 0

/* strongSwan has our words but one. */
static const struct algorithm_words words[] = {
    {CIPHER(ENCRYPTION_AES_GCM_16, 256), "aes_gcm256", "aes-gcm-256", "aes-gcm-256", "aes256gcm",
     "aes-256-gcm"},
    {CIPHER(ENCRYPTION_AES_GCM_16, 192), "aes_gcm192", NULL, "aes-gcm-192", NULL, "aes-192-gcm"},
    {CIPHER(ENCRYPTION_AES_GCM_16, 128), "aes_gcm128", "aes-gcm-128", "aes-gcm", "aes128gcm",
     "aes-128-gcm"},
    {CIPHER(ENCRYPTION_CHACHA20_POLY1305, 0), "chacha20_poly1305", NULL, NULL, "chacha20poly1305",
     NULL},
    {CIPHER(ENCRYPTION_AES_CBC, 256), "aes256", "aes-cbc-256", "aes-256", "aes256", "aes-256"},
    {CIPHER(ENCRYPTION_AES_CBC, 192), "aes192", "aes-cbc-192", "aes-192", "aes192", "aes-192"},
    {CIPHER(ENCRYPTION_AES_CBC, 128), "aes128", "aes-cbc-128", "aes", "aes128", "aes-128"},
    {CIPHER(ENCRYPTION_3DES, 0), "3des", "3des", "3des", "3des", "3des"},
    {HASH(INTEGRITY_HMAC_SHA2_512_256), "sha2_512", "sha512", "sha512", "sha512", "sha512"},
    {HASH(INTEGRITY_HMAC_SHA2_384_192), "sha2_384", "sha384", "sha384", "sha384", "sha384"},
    {HASH(INTEGRITY_HMAC_SHA2_256_128), "sha2_256", "sha256", "sha256", "sha256", "sha256"},
    {HASH(INTEGRITY_HMAC_SHA1_96), "sha1", "sha1", "sha", "sha1", "sha1"},
    {HASH(INTEGRITY_HMAC_MD5_96), NULL, "md5", "md5", "md5", "md5"},
    {GROUP(KEY_EXCHANGE_ECP_384), "dh20", "20", "20", "20", "ecp384"},
    {GROUP(KEY_EXCHANGE_ECP_256), "dh19", "19", "19", "19", "ecp256"},
    {GROUP(KEY_EXCHANGE_ECP_521), "dh21", "21", "21", "21", "ecp521"},
    {GROUP(KEY_EXCHANGE_X25519), "dh31", NULL, "31", "31", NULL},
    {GROUP(KEY_EXCHANGE_MODP_4096), "dh16", "16", "16", "16", "modp4096"},
    {GROUP(KEY_EXCHANGE_MODP_3072), "dh15", "15", "15", "15", "modp3072"},
    {GROUP(KEY_EXCHANGE_MODP_2048), "dh14", "14", "14", "14", "modp2048"},
    {GROUP(KEY_EXCHANGE_MODP_6144), "dh17", NULL, NULL, "17", "modp6144"},
    {GROUP(KEY_EXCHANGE_MODP_8192), "dh18", NULL, NULL, "18", "modp8192"},
    {GROUP(KEY_EXCHANGE_MODP_1536), "dh5", "5", "5", "5", "modp1536"},
    {GROUP(KEY_EXCHANGE_MODP_1024), NULL, "2", "2", "2", "modp1024"},
};

static const char *word_for(const struct algorithm_words *w, enum product product)
{
    switch (product) {
    case PRODUCT_CISCO:
        return w->cisco;
    case PRODUCT_ASA:
        return w->asa;
    case PRODUCT_FORTIGATE:
        return w->fortigate;
    case PRODUCT_MIKROTIK:
        return w->mikrotik;
    }
    return NULL;
}

const struct algorithm_words *export_words_of(const struct transform *t)
{
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (words[i].type == t->type && words[i].id == t->id && words[i].key_bits == t->key_bits) {
            return &words[i];
        }
    }
    return NULL;
}

/* The first of a type that the product has. */
static const struct algorithm_words *first_for(const struct proposal *p, uint8_t type,
                                               enum product product)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct algorithm_words *w =
            p->transforms[i].type == type ? export_words_of(&p->transforms[i]) : NULL;

        if (w != NULL && word_for(w, product) != NULL) {
            return w;
        }
    }
    return NULL;
}

static bool is_aead(const struct algorithm_words *w)
{
    const struct algorithm *a = algorithm_find(TRANSFORM_ENCRYPTION, w->id);

    return a != NULL && a->aead;
}

static const char *hash_of_prf(const struct proposal *p, enum product product)
{
    static const struct {
        uint16_t prf, integrity;
    } pairs[] = {
        {PRF_HMAC_SHA2_256, INTEGRITY_HMAC_SHA2_256_128},
        {PRF_HMAC_SHA2_384, INTEGRITY_HMAC_SHA2_384_192},
        {PRF_HMAC_SHA2_512, INTEGRITY_HMAC_SHA2_512_256},
    };

    for (size_t i = 0; i < p->count; i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(pairs); k++) {
            struct transform t = {TRANSFORM_INTEGRITY, pairs[k].integrity, 0};

            if (p->transforms[i].type == TRANSFORM_PRF && p->transforms[i].id == pairs[k].prf) {
                return word_for(export_words_of(&t), product);
            }
        }
    }
    return NULL;
}

/* With IKEv1 it has MD5 and SHA-1, and the groups 1, 2, 5 and 14. */
static bool asa_has(const struct algorithm_words *hash, const struct algorithm_words *group)
{
    static const uint16_t groups[] = {KEY_EXCHANGE_MODP_1024, KEY_EXCHANGE_MODP_1536,
                                      KEY_EXCHANGE_MODP_2048};

    if (hash == NULL || (hash->id != INTEGRITY_HMAC_SHA1_96 && hash->id != INTEGRITY_HMAC_MD5_96)) {
        return false;
    }
    for (size_t i = 0; group != NULL && i < ARRAY_LENGTH(groups); i++) {
        if (group->id == groups[i]) {
            return true;
        }
    }
    return group == NULL;
}

static bool combine(const struct export_peer *e, enum product product, bool ike,
                    struct combination *out)
{
    const struct proposals *list = ike ? e->site->ike : e->site->esp;

    for (size_t i = 0; i < list->count; i++) {
        const struct proposal *p = &list->list[i];
        const struct algorithm_words *cipher = first_for(p, TRANSFORM_ENCRYPTION, product);
        const struct algorithm_words *hash = first_for(p, TRANSFORM_INTEGRITY, product);
        const struct algorithm_words *group = first_for(p, TRANSFORM_KEY_EXCHANGE, product);

        /* RouterOS protects the negotiation with CBC. */
        if (cipher == NULL || (ike && (group == NULL || !export_is_for_ike(e, p))) ||
            (ike && product == PRODUCT_MIKROTIK && is_aead(cipher)) ||
            (export_is_old(e) && product == PRODUCT_ASA && !asa_has(hash, ike ? group : NULL))) {
            continue;
        }
        *out = (struct combination){.cipher = word_for(cipher, product), .aead = is_aead(cipher)};
        out->group = group == NULL ? NULL : word_for(group, product);
        if (out->aead) {
            out->hash = ike ? hash_of_prf(p, product) : NULL;
        } else {
            out->hash = hash == NULL ? NULL : word_for(hash, product);
        }
        if (out->hash != NULL || (out->aead && !ike)) {
            return true;
        }
    }
    return false;
}

/* ---- what several formats say ---- */

bool export_choose(const struct export_peer *e, enum product product, struct combination *ike,
                   struct combination *esp, struct sheet *out)
{
    if (combine(e, product, true, ike) && combine(e, product, false, esp)) {
        return true;
    }
    sheet_addf(out,
               "%s Nothing of what this site offers is known there: say other ciphers in ike and "
               "esp of the site.%s\n",
               product == PRODUCT_FORTIGATE || product == PRODUCT_MIKROTIK ? "#" : "!",
               export_is_old(e) && product == PRODUCT_ASA
                   ? " With IKEv1 it has SHA-1 and MD5, and no group above MODP-2048."
                   : "");
    return false;
}

/* "10.1.0.0/16,10.5.0.0/16" */
void export_networks(const struct network *list, size_t count, const char *between,
                     struct sheet *out)
{
    char text[NETWORK_TEXT_BYTES];

    for (size_t i = 0; i < count; i++) {
        sheet_addf(out, "%s%s", i > 0 ? between : "", network_format(&list[i], text));
    }
}

/* Quotation marks and backslashes would end a string of theirs. */
static bool is_printable(struct slice s)
{
    for (size_t i = 0; i < s.length; i++) {
        if (s.data[i] < 0x21 || s.data[i] > 0x7e || s.data[i] == '"' || s.data[i] == '\\') {
            return false;
        }
    }
    return s.length > 0;
}

void export_text(struct slice secret, const char *missing, struct sheet *out)
{
    if (is_printable(secret)) {
        sheet_add_slice(out, secret);
    } else {
        sheet_add(out, missing);
    }
}

void export_secret(const struct export_peer *e, const char *missing, struct sheet *out)
{
    export_text(e->secret, missing, out);
}

void export_hex(struct slice s, struct sheet *out)
{
    sheet_add(out, "0x");
    for (size_t i = 0; i < s.length; i++) {
        sheet_addf(out, "%02x", s.data[i]);
    }
}

unsigned long long export_seconds(uint64_t ms)
{
    return (unsigned long long)ms / 1000;
}

bool export_is_old(const struct export_peer *e)
{
    return e->site->version == CONFIG_IKE_V1;
}

bool export_is_for_ike(const struct export_peer *e, const struct proposal *p)
{
    for (size_t i = 0; export_is_old(e) && i < p->count; i++) {
        const struct algorithm *a = algorithm_find(p->transforms[i].type, p->transforms[i].id);

        if (p->transforms[i].type == TRANSFORM_ENCRYPTION && a != NULL && a->aead) {
            return false;
        }
    }
    return true;
}

bool export_is_pairs(const struct export_peer *e)
{
    return e->site->children == CHILDREN_PER_PAIR || export_is_old(e);
}

bool export_next_pair(const struct export_peer *e, size_t *place, struct export_pair *out)
{
    while (*place < e->peer_count * e->our_count) {
        size_t i = *place / e->our_count, j = (*place)++ % e->our_count;

        *out = (struct export_pair){&e->peer_networks[i], &e->our_networks[j], i + 1, j + 1};
        if (out->theirs->address.family == out->ours->address.family) {
            return true;
        }
    }
    return false;
}

size_t export_pair_count(const struct export_peer *e)
{
    struct export_pair pair;
    size_t place = 0, count = 0;

    while (export_next_pair(e, &place, &pair)) {
        count++;
    }
    return count;
}

void export_pairs_remark(const struct export_peer *e, const char *mark, struct sheet *out)
{
    if (export_pair_count(e) > 1 && !export_is_pairs(e)) {
        sheet_addf(out,
                   "%s It makes an SA for each pair of networks: say 'children per-pair' in site "
                   "%s.\n",
                   mark, e->site->name);
    }
}
