/*
 * The table of algorithms: which there are, how large their parts are and how far each may be
 * trusted.
 *
 * Sizes: RFC 2403, 2404, 2405, 2451, 3566, 3602, 3686, 4106, 4309, 4434, 4494, 4543, 4615, 4868,
 * 5529, 5903, 6954, 7634, 8031, 8750. Levels: RFC 8221 (ESP) and RFC 8247 (IKEv2); what those call
 * MUST NOT or SHOULD NOT is legacy, and so is SHA-1, which they merely tolerate.
 */
#include "crypto/catalog.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "crypto/words.h"

static const char WEAK_DES[] = "DES keys of 56 bits can be searched in a day by anyone";
static const char WEAK_3DES[] =
    "3DES has blocks of 64 bits: data leaks after some gigabytes under one key";
static const char WEAK_NULL[] = "nothing is encrypted, everybody on the way can read the traffic";
static const char WEAK_MD5[] = "MD5 is broken as a hash and no longer accepted for security";
static const char WEAK_SHA1[] = "SHA-1 is broken as a hash; SHA-2 is what RFC 8247 asks for";
static const char WEAK_GROUP[] =
    "groups of less than 112 bits of security can be computed in advance "
    "by those with means";

#define ENCRYPTION(number, name, human, level, order, why, iv, block)                              \
    .type = TRANSFORM_ENCRYPTION, .id = (number), .word = (name), .title = (human),                \
    .strength = (level), .rank = (order), .why_weak = (why), .iv_bytes = (iv),                     \
    .block_bytes = (block)
#define AES_BITS                                                                                   \
    {                                                                                              \
        128, 192, 256                                                                              \
    }
#define AEAD(salt, icv)                                                                            \
    .key_bits_on_wire = true, .aead = true, .salt_bytes = (salt), .icv_bytes = (icv)
#define PRF(number, name, human, level, order, why, key, output)                                   \
    {                                                                                              \
        .type = TRANSFORM_PRF, .id = (number), .word = (name), .title = (human),                   \
        .strength = (level), .rank = (order), .why_weak = (why), .key_bytes = (key),               \
        .output_bytes = (output), .block_bytes = 1                                                 \
    }
#define INTEGRITY(number, name, human, level, order, why, key, icv)                                \
    {                                                                                              \
        .type = TRANSFORM_INTEGRITY, .id = (number), .word = (name), .title = (human),             \
        .strength = (level), .rank = (order), .why_weak = (why), .key_bytes = (key),               \
        .icv_bytes = (icv), .block_bytes = 1                                                       \
    }
/* RFC 4543 4, 5.4: four octets of salt behind the key; the IV stands before the ICV. Each key size
 * has a number of its own. RFC 8221 6: MAY. */
#define GMAC(number, bits, order)                                                                  \
    {                                                                                              \
        .type = TRANSFORM_INTEGRITY, .id = (number), .word = "aesgmac" #bits,                      \
        .title = "AES-" #bits "-GMAC", .strength = STRENGTH_OLD, .rank = (order),                  \
        .key_bytes = (bits) / 8 + 4, .salt_bytes = 4, .iv_bytes = 8, .icv_bytes = 16,              \
        .block_bytes = 1, .ah_only = true                                                          \
    }
#define GROUP(number, name, human, level, order, why, public, shared)                              \
    {                                                                                              \
        .type = TRANSFORM_KEY_EXCHANGE, .id = (number), .word = (name), .title = (human),          \
        .strength = (level), .rank = (order), .why_weak = (why), .public_bytes = (public),         \
        .answer_bytes = (public), .shared_bytes = (shared), .block_bytes = 1                       \
    }
#define KEM(number, name, human, level, order, public, cipher)                                     \
    {                                                                                              \
        .type = TRANSFORM_KEY_EXCHANGE, .id = (number), .word = (name), .title = (human),          \
        .strength = (level), .rank = (order), .public_bytes = (public), .answer_bytes = (cipher),  \
        .shared_bytes = 32, .block_bytes = 1                                                       \
    }

static const struct algorithm catalog[] = {
    {ENCRYPTION(ENCRYPTION_DES, "des", "DES", STRENGTH_LEGACY, 1, WEAK_DES, 8, 8),
     .key_bits = {64}},
    {ENCRYPTION(ENCRYPTION_3DES, "3des", "3DES", STRENGTH_LEGACY, 10, WEAK_3DES, 8, 8),
     .key_bits = {192}},
    {ENCRYPTION(ENCRYPTION_NULL, "null", "NULL", STRENGTH_LEGACY, 0, WEAK_NULL, 0, 1)},
    {ENCRYPTION(ENCRYPTION_AES_CBC, "aes%u", "AES-CBC", STRENGTH_GOOD, 60, NULL, 16, 16),
     .key_bits = AES_BITS, .key_bits_on_wire = true},
    {ENCRYPTION(ENCRYPTION_AES_CTR, "aes%uctr", "AES-CTR", STRENGTH_OLD, 50, NULL, 8, 1),
     .key_bits = AES_BITS, .key_bits_on_wire = true, .salt_bytes = 4},
    {ENCRYPTION(ENCRYPTION_AES_CCM_8, "aes%uccm8", "AES-CCM-8", STRENGTH_OLD, 40, NULL, 8, 1),
     .key_bits = AES_BITS, AEAD(3, 8)},
    {ENCRYPTION(ENCRYPTION_AES_CCM_12, "aes%uccm12", "AES-CCM-12", STRENGTH_OLD, 45, NULL, 8, 1),
     .key_bits = AES_BITS, AEAD(3, 12)},
    {ENCRYPTION(ENCRYPTION_AES_CCM_16, "aes%uccm16", "AES-CCM", STRENGTH_OLD, 70, NULL, 8, 1),
     .key_bits = AES_BITS, AEAD(3, 16)},
    {ENCRYPTION(ENCRYPTION_AES_GCM_8, "aes%ugcm8", "AES-GCM-8", STRENGTH_OLD, 42, NULL, 8, 1),
     .key_bits = AES_BITS, AEAD(4, 8)},
    {ENCRYPTION(ENCRYPTION_AES_GCM_12, "aes%ugcm12", "AES-GCM-12", STRENGTH_OLD, 47, NULL, 8, 1),
     .key_bits = AES_BITS, AEAD(4, 12)},
    {ENCRYPTION(ENCRYPTION_AES_GCM_16, "aes%ugcm16", "AES-GCM", STRENGTH_GOOD, 100, NULL, 8, 1),
     .key_bits = AES_BITS, AEAD(4, 16)},
    {ENCRYPTION(ENCRYPTION_NULL_AES_GMAC, "aes%ugmac", "AES-GMAC", STRENGTH_LEGACY, 2, WEAK_NULL, 8,
                1),
     .key_bits = AES_BITS, AEAD(4, 16)},
    {ENCRYPTION(ENCRYPTION_CAMELLIA_CBC, "camellia%u", "Camellia-CBC", STRENGTH_OLD, 48, NULL, 16,
                16),
     .key_bits = AES_BITS, .key_bits_on_wire = true},
    {ENCRYPTION(ENCRYPTION_CHACHA20_POLY1305, "chacha20poly1305", "ChaCha20-Poly1305",
                STRENGTH_GOOD, 90, NULL, 8, 1),
     .key_bits = {256}, .aead = true, .salt_bytes = 4, .icv_bytes = 16},
    /* As the same without IIV, from which they differ in eight octets of the packet. */
    {ENCRYPTION(ENCRYPTION_AES_CCM_8_IIV, "aes%uccm8iiv", "AES-CCM-8-IIV", STRENGTH_OLD, 41, NULL,
                0, 1),
     .key_bits = AES_BITS, .implicit_iv = true, AEAD(3, 8)},
    {ENCRYPTION(ENCRYPTION_AES_GCM_16_IIV, "aes%ugcm16iiv", "AES-GCM-IIV", STRENGTH_OLD, 101, NULL,
                0, 1),
     .key_bits = AES_BITS, .implicit_iv = true, AEAD(4, 16)},
    {ENCRYPTION(ENCRYPTION_CHACHA20_POLY1305_IIV, "chacha20poly1305iiv", "ChaCha20-Poly1305-IIV",
                STRENGTH_OLD, 91, NULL, 0, 1),
     .key_bits = {256}, .implicit_iv = true, .aead = true, .salt_bytes = 4, .icv_bytes = 16},

    PRF(PRF_HMAC_MD5, "prfmd5", "PRF-HMAC-MD5", STRENGTH_LEGACY, 1, WEAK_MD5, 16, 16),
    PRF(PRF_HMAC_SHA1, "prfsha1", "PRF-HMAC-SHA1", STRENGTH_LEGACY, 10, WEAK_SHA1, 20, 20),
    PRF(PRF_AES128_XCBC, "prfaesxcbc", "PRF-AES128-XCBC", STRENGTH_OLD, 40, NULL, 16, 16),
    PRF(PRF_HMAC_SHA2_256, "prfsha256", "PRF-HMAC-SHA2-256", STRENGTH_GOOD, 80, NULL, 32, 32),
    PRF(PRF_HMAC_SHA2_384, "prfsha384", "PRF-HMAC-SHA2-384", STRENGTH_GOOD, 90, NULL, 48, 48),
    PRF(PRF_HMAC_SHA2_512, "prfsha512", "PRF-HMAC-SHA2-512", STRENGTH_GOOD, 100, NULL, 64, 64),
    PRF(PRF_AES128_CMAC, "prfaescmac", "PRF-AES128-CMAC", STRENGTH_OLD, 45, NULL, 16, 16),

    INTEGRITY(INTEGRITY_HMAC_MD5_96, "md5", "HMAC-MD5", STRENGTH_LEGACY, 1, WEAK_MD5, 16, 12),
    INTEGRITY(INTEGRITY_HMAC_SHA1_96, "sha1", "HMAC-SHA1", STRENGTH_LEGACY, 10, WEAK_SHA1, 20, 12),
    INTEGRITY(INTEGRITY_AES_XCBC_96, "aesxcbc", "AES-XCBC", STRENGTH_OLD, 40, NULL, 16, 12),
    INTEGRITY(INTEGRITY_AES_CMAC_96, "aescmac", "AES-CMAC", STRENGTH_OLD, 45, NULL, 16, 12),
    GMAC(INTEGRITY_AES_128_GMAC, 128, 50),
    GMAC(INTEGRITY_AES_192_GMAC, 192, 51),
    GMAC(INTEGRITY_AES_256_GMAC, 256, 52),
    INTEGRITY(INTEGRITY_HMAC_SHA2_256_128, "sha256", "HMAC-SHA2-256", STRENGTH_GOOD, 100, NULL, 32,
              16),
    INTEGRITY(INTEGRITY_HMAC_SHA2_384_192, "sha384", "HMAC-SHA2-384", STRENGTH_GOOD, 90, NULL, 48,
              24),
    INTEGRITY(INTEGRITY_HMAC_SHA2_512_256, "sha512", "HMAC-SHA2-512", STRENGTH_GOOD, 95, NULL, 64,
              32),

    GROUP(KEY_EXCHANGE_MODP_768, "modp768", "MODP-768", STRENGTH_LEGACY, 1, WEAK_GROUP, 96, 96),
    GROUP(KEY_EXCHANGE_MODP_1024, "modp1024", "MODP-1024", STRENGTH_LEGACY, 5, WEAK_GROUP, 128,
          128),
    GROUP(KEY_EXCHANGE_MODP_1536, "modp1536", "MODP-1536", STRENGTH_LEGACY, 10, WEAK_GROUP, 192,
          192),
    GROUP(KEY_EXCHANGE_MODP_2048, "modp2048", "MODP-2048", STRENGTH_GOOD, 70, NULL, 256, 256),
    GROUP(KEY_EXCHANGE_MODP_3072, "modp3072", "MODP-3072", STRENGTH_GOOD, 80, NULL, 384, 384),
    GROUP(KEY_EXCHANGE_MODP_4096, "modp4096", "MODP-4096", STRENGTH_GOOD, 75, NULL, 512, 512),
    GROUP(KEY_EXCHANGE_MODP_6144, "modp6144", "MODP-6144", STRENGTH_OLD, 60, NULL, 768, 768),
    GROUP(KEY_EXCHANGE_MODP_8192, "modp8192", "MODP-8192", STRENGTH_OLD, 61, NULL, 1024, 1024),
    GROUP(KEY_EXCHANGE_ECP_256, "ecp256", "P-256", STRENGTH_GOOD, 95, NULL, 64, 32),
    GROUP(KEY_EXCHANGE_ECP_384, "ecp384", "P-384", STRENGTH_GOOD, 90, NULL, 96, 48),
    GROUP(KEY_EXCHANGE_ECP_521, "ecp521", "P-521", STRENGTH_OLD, 66, NULL, 132, 66),
    GROUP(KEY_EXCHANGE_ECP_192, "ecp192", "P-192", STRENGTH_LEGACY, 12, WEAK_GROUP, 48, 24),
    GROUP(KEY_EXCHANGE_ECP_224, "ecp224", "P-224", STRENGTH_OLD, 50, NULL, 56, 28),
    GROUP(KEY_EXCHANGE_BRAINPOOL_224, "brainpool224", "Brainpool-224", STRENGTH_OLD, 49, NULL, 56,
          28),
    GROUP(KEY_EXCHANGE_BRAINPOOL_256, "brainpool256", "Brainpool-256", STRENGTH_OLD, 62, NULL, 64,
          32),
    GROUP(KEY_EXCHANGE_BRAINPOOL_384, "brainpool384", "Brainpool-384", STRENGTH_OLD, 63, NULL, 96,
          48),
    GROUP(KEY_EXCHANGE_BRAINPOOL_512, "brainpool512", "Brainpool-512", STRENGTH_OLD, 64, NULL, 128,
          64),
    GROUP(KEY_EXCHANGE_X25519, "x25519", "X25519", STRENGTH_GOOD, 100, NULL, 32, 32),
    GROUP(KEY_EXCHANGE_X448, "x448", "X448", STRENGTH_OLD, 68, NULL, 56, 56),
    KEM(KEY_EXCHANGE_ML_KEM_512, "mlkem512", "ML-KEM-512", STRENGTH_OLD, 101, 800, 768),
    KEM(KEY_EXCHANGE_ML_KEM_768, "mlkem768", "ML-KEM-768", STRENGTH_GOOD, 102, 1184, 1088),
    KEM(KEY_EXCHANGE_ML_KEM_1024, "mlkem1024", "ML-KEM-1024", STRENGTH_GOOD, 103, 1568, 1568),

    {.type = TRANSFORM_ESN,
     .id = ESN_NO,
     .word = "noesn",
     .title = "sequence numbers of 32 bits",
     .strength = STRENGTH_GOOD,
     .rank = 1,
     .block_bytes = 1},
    {.type = TRANSFORM_ESN,
     .id = ESN_YES,
     .word = "esn",
     .title = "sequence numbers of 64 bits",
     .strength = STRENGTH_GOOD,
     .rank = 2,
     .block_bytes = 1},
};

const struct algorithm *algorithm_at(size_t index)
{
    return index < ARRAY_LENGTH(catalog) ? &catalog[index] : NULL;
}

/* Of nobody's proposal, so in no list. */
static const struct algorithm cut_short = INTEGRITY(
    INTEGRITY_HMAC_SHA2_256_96, "sha256-96", "HMAC-SHA2-256-96", STRENGTH_OLD, 99, NULL, 32, 12);

const struct algorithm *algorithm_find(uint8_t type, uint16_t id)
{
    size_t first = 0;
    size_t end = ARRAY_LENGTH(catalog);

    if (type == TRANSFORM_INTEGRITY && id == INTEGRITY_HMAC_SHA2_256_96) {
        return &cut_short;
    }

    type = transform_is_additional(type) ? TRANSFORM_KEY_EXCHANGE : type;
    /* They stand in the order of their types and numbers. */
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        const struct algorithm *a = &catalog[middle];

        if (a->type == type && a->id == id) {
            return a;
        }
        if (a->type < type || (a->type == type && a->id < id)) {
            first = middle + 1;
        } else {
            end = middle;
        }
    }
    return NULL;
}

bool algorithm_allows_key_bits(const struct algorithm *algorithm, uint16_t key_bits)
{
    if (!algorithm->key_bits_on_wire) {
        return key_bits == 0;
    }
    for (size_t i = 0; i < ALGORITHM_KEY_SIZES_MAX; i++) {
        if (algorithm->key_bits[i] == key_bits && key_bits != 0) {
            return true;
        }
    }
    return false;
}

void transform_title(const struct transform *t, char *out, size_t capacity)
{
    const struct algorithm *algorithm = algorithm_find(t->type, t->id);

    if (algorithm == NULL) {
        static const char *const kinds[] = {
            [TRANSFORM_ENCRYPTION] = "encryption",
            [TRANSFORM_PRF] = "PRF",
            [TRANSFORM_INTEGRITY] = "integrity",
            [TRANSFORM_KEY_EXCHANGE] = "key exchange",
            [TRANSFORM_ESN] = "ESN",
        };
        const char *kind = t->type < ARRAY_LENGTH(kinds) ? kinds[t->type] : NULL;

        snprintf(out, capacity, "%s %u", kind == NULL ? "transform" : kind, (unsigned)t->id);
        return;
    }
    const char *dash = strchr(algorithm->title, '-');

    if (t->key_bits == 0 || dash == NULL) {
        snprintf(out, capacity, "%s", algorithm->title);
    } else {
        /* AES-GCM with 256 bits is AES-256-GCM. */
        snprintf(out, capacity, "%.*s-%u%s", (int)(dash - algorithm->title), algorithm->title,
                 (unsigned)t->key_bits, dash);
    }
}

void transform_word(const struct transform *t, char *out, size_t capacity)
{
    const struct algorithm *algorithm = algorithm_find(t->type, t->id);

    if (transform_is_additional(t->type) && (algorithm != NULL || t->id == KEY_EXCHANGE_NONE)) {
        snprintf(out, capacity, "ke%u_%s", t->type - TRANSFORM_ADDITIONAL_FIRST + 1u,
                 algorithm == NULL ? "none" : algorithm->word);
        return;
    }
    if (algorithm == NULL) {
        transform_title(t, out, capacity);
        return;
    }
    const char *mark = strstr(algorithm->word, KEY_BITS_MARK);

    if (mark == NULL) {
        snprintf(out, capacity, "%s", algorithm->word);
    } else {
        snprintf(out, capacity, "%.*s%u%s", (int)(mark - algorithm->word), algorithm->word,
                 (unsigned)t->key_bits, mark + strlen(KEY_BITS_MARK));
    }
}

void suite_title(const struct suite *s, char *out, size_t capacity)
{
    struct transform encryption = {TRANSFORM_ENCRYPTION, s->encryption, s->key_bits};
    struct transform integrity = {TRANSFORM_INTEGRITY, s->integrity, 0};
    struct transform key_exchange = {TRANSFORM_KEY_EXCHANGE, s->key_exchange, 0};
    bool has_integrity = s->integrity != INTEGRITY_NONE;
    bool has_key_exchange = s->key_exchange != KEY_EXCHANGE_NONE;
    char first[48];
    char second[48] = "";
    char third[48] = "";

    if (s->encryption == ENCRYPTION_NONE) {
        size_t begun = (size_t)snprintf(first, sizeof(first), "AH with ");
        transform_title(&integrity, first + begun, sizeof(first) - begun);
        has_integrity = false;
    } else {
        transform_title(&encryption, first, sizeof(first));
    }
    if (has_integrity) {
        transform_title(&integrity, second, sizeof(second));
    }
    if (has_key_exchange) {
        transform_title(&key_exchange, third, sizeof(third));
    }
    snprintf(out, capacity, "%s%s%s%s%s", first, has_integrity ? ", " : "", second,
             has_key_exchange ? ", " : "", third);
}

size_t suite_encryption_key_bytes(const struct suite *s)
{
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_ENCRYPTION, s->encryption);

    if (algorithm == NULL) {
        return 0;
    }
    unsigned bits = algorithm->key_bits_on_wire ? s->key_bits : algorithm->key_bits[0];

    return bits / 8 + algorithm->salt_bytes;
}

size_t suite_integrity_key_bytes(const struct suite *s)
{
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_INTEGRITY, s->integrity);

    return algorithm == NULL ? 0 : algorithm->key_bytes;
}

bool suite_is_usable(const struct suite *s)
{
    const struct algorithm *encryption = algorithm_find(TRANSFORM_ENCRYPTION, s->encryption);

    if (encryption == NULL || !algorithm_allows_key_bits(encryption, s->key_bits)) {
        return false;
    }
    if (encryption->aead) {
        return s->integrity == INTEGRITY_NONE;
    }
    const struct algorithm *integrity = algorithm_find(TRANSFORM_INTEGRITY, s->integrity);

    return integrity != NULL && !integrity->ah_only;
}

bool suite_is_usable_for_ike(const struct suite *s)
{
    return suite_is_usable(s) && s->encryption != ENCRYPTION_NULL &&
           s->encryption != ENCRYPTION_NULL_AES_GMAC &&
           !algorithm_find(TRANSFORM_ENCRYPTION, s->encryption)->implicit_iv;
}

bool suite_is_usable_for_ah(const struct suite *s)
{
    return s->encryption == ENCRYPTION_NONE && s->key_bits == 0 &&
           algorithm_find(TRANSFORM_INTEGRITY, s->integrity) != NULL;
}
