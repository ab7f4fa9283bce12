/*
 * The one catalog of algorithms: names, IKEv2 numbers (IANA "Internet Key Exchange Version 2
 * Parameters"), sizes and the level that RFC 8221 and RFC 8247 give them. Configuration, IKE and
 * the data plane all read this table.
 */
#ifndef SEKISHO_CRYPTO_CATALOG_H
#define SEKISHO_CRYPTO_CATALOG_H

#include <stdbool.h>

#include "base/bytes.h"

/* RFC 7296 3.3.2: the transform types. */
enum transform_type {
    TRANSFORM_ENCRYPTION = 1,
    TRANSFORM_PRF = 2,
    TRANSFORM_INTEGRITY = 3,
    TRANSFORM_KEY_EXCHANGE = 4,
    TRANSFORM_ESN = 5,
};

/* RFC 9370 2.2.1: additional key exchanges, done in the order of these types; their numbers are
 * those of TRANSFORM_KEY_EXCHANGE, and 0 is none. */
#define TRANSFORM_ADDITIONAL_FIRST 6
#define TRANSFORM_ADDITIONAL_LAST 12
#define ADDITIONAL_KEY_EXCHANGES_MAX 7

static inline bool transform_is_additional(uint8_t type)
{
    return type >= TRANSFORM_ADDITIONAL_FIRST && type <= TRANSFORM_ADDITIONAL_LAST;
}

enum encryption_id {
    ENCRYPTION_NONE = 0,
    ENCRYPTION_DES = 2,
    ENCRYPTION_3DES = 3,
    ENCRYPTION_NULL = 11,
    ENCRYPTION_AES_CBC = 12,
    ENCRYPTION_AES_CTR = 13,
    ENCRYPTION_AES_CCM_8 = 14,
    ENCRYPTION_AES_CCM_12 = 15,
    ENCRYPTION_AES_CCM_16 = 16,
    ENCRYPTION_AES_GCM_8 = 18,
    ENCRYPTION_AES_GCM_12 = 19,
    ENCRYPTION_AES_GCM_16 = 20,
    ENCRYPTION_NULL_AES_GMAC = 21,
    ENCRYPTION_CAMELLIA_CBC = 23,
    ENCRYPTION_CHACHA20_POLY1305 = 28,
    ENCRYPTION_AES_CCM_8_IIV = 29,
    ENCRYPTION_AES_GCM_16_IIV = 30,
    ENCRYPTION_CHACHA20_POLY1305_IIV = 31,
};

enum prf_id {
    PRF_NONE = 0,
    PRF_HMAC_MD5 = 1,
    PRF_HMAC_SHA1 = 2,
    PRF_AES128_XCBC = 4,
    PRF_HMAC_SHA2_256 = 5,
    PRF_HMAC_SHA2_384 = 6,
    PRF_HMAC_SHA2_512 = 7,
    PRF_AES128_CMAC = 8,
};

enum integrity_id {
    INTEGRITY_NONE = 0,
    INTEGRITY_HMAC_MD5_96 = 1,
    INTEGRITY_HMAC_SHA1_96 = 2,
    INTEGRITY_AES_XCBC_96 = 5,
    INTEGRITY_AES_CMAC_96 = 8,
    INTEGRITY_AES_128_GMAC = 9,
    INTEGRITY_AES_192_GMAC = 10,
    INTEGRITY_AES_256_GMAC = 11,
    INTEGRITY_HMAC_SHA2_256_128 = 12,
    INTEGRITY_HMAC_SHA2_384_192 = 13,
    INTEGRITY_HMAC_SHA2_512_256 = 14,
    /* HMAC-SHA2-256 cut to 96 bits, as Linux before 2.6.33 and old Android did under the number of
     * that with 128. No proposal has it, and no word: what was agreed is taken for it. */
    INTEGRITY_HMAC_SHA2_256_96 = 1024,
};

enum key_exchange_id {
    KEY_EXCHANGE_NONE = 0,
    KEY_EXCHANGE_MODP_768 = 1,
    KEY_EXCHANGE_MODP_1024 = 2,
    KEY_EXCHANGE_MODP_1536 = 5,
    KEY_EXCHANGE_MODP_2048 = 14,
    KEY_EXCHANGE_MODP_3072 = 15,
    KEY_EXCHANGE_MODP_4096 = 16,
    KEY_EXCHANGE_MODP_6144 = 17,
    KEY_EXCHANGE_MODP_8192 = 18,
    KEY_EXCHANGE_ECP_256 = 19,
    KEY_EXCHANGE_ECP_384 = 20,
    KEY_EXCHANGE_ECP_521 = 21,
    KEY_EXCHANGE_ECP_192 = 25,
    KEY_EXCHANGE_ECP_224 = 26,
    KEY_EXCHANGE_BRAINPOOL_224 = 27,
    KEY_EXCHANGE_BRAINPOOL_256 = 28,
    KEY_EXCHANGE_BRAINPOOL_384 = 29,
    KEY_EXCHANGE_BRAINPOOL_512 = 30,
    KEY_EXCHANGE_X25519 = 31,
    KEY_EXCHANGE_X448 = 32,
    KEY_EXCHANGE_ML_KEM_512 = 35,
    KEY_EXCHANGE_ML_KEM_768 = 36,
    KEY_EXCHANGE_ML_KEM_1024 = 37,
};

/* A key exchange that quantum computers are not known to break. */
static inline bool key_exchange_is_post_quantum(uint16_t group)
{
    return group >= KEY_EXCHANGE_ML_KEM_512 && group <= KEY_EXCHANGE_ML_KEM_1024;
}

enum esn_id {
    ESN_NO = 0,
    ESN_YES = 1,
};

/* How far an algorithm may be trusted; LEGACY needs that word in the configuration and is shown as
 * weak. */
enum algorithm_strength {
    STRENGTH_LEGACY,
    STRENGTH_OLD, /* allowed, not offered by default */
    STRENGTH_GOOD, /* in the default proposals */
};

#define ALGORITHM_KEY_SIZES_MAX 3

struct algorithm {
    uint8_t type; /* enum transform_type */
    uint16_t id; /* IANA number */
    const char *word; /* in the configuration: aes256gcm16 has "aes%ugcm16" */
    const char *title; /* for people: AES-GCM, HMAC-SHA2-256, X25519 */
    enum algorithm_strength strength;
    uint16_t rank; /* higher is stronger: chooses the strongest common proposal */
    const char *why_weak; /* a sentence when STRENGTH_LEGACY, else NULL */
    uint16_t key_bits[ALGORITHM_KEY_SIZES_MAX]; /* allowed sizes, zero ended; variable size is named
                                                   on the wire */
    bool key_bits_on_wire; /* a Key Length attribute is sent (RFC 7296 3.3.5) */
    uint8_t salt_bytes; /* of key material behind the key (RFC 4106, 4309, 3686, 7634) */
    uint8_t iv_bytes; /* on the wire; also of AES-GMAC in AH, before its ICV (RFC 4543 4) */
    bool implicit_iv; /* RFC 8750: the sequence number in 64 bits is the IV, and is not sent */
    bool ah_only; /* RFC 4543 5.3: this integrity algorithm must not be used with ESP */
    uint8_t block_bytes; /* what the ciphertext is aligned to, at least 1 */
    uint8_t icv_bytes; /* AEAD tag or truncated MAC */
    uint8_t key_bytes; /* integrity key; PRF preferred key (RFC 7296 2.13); 0 for ciphers */
    uint8_t output_bytes; /* of a PRF */
    uint16_t public_bytes; /* of a key exchange, exact (RFC 7296 3.4) */
    uint16_t answer_bytes; /* what its responder sends: as many, but for a KEM's ciphertext */
    uint16_t shared_bytes; /* of a key exchange */
    bool aead;
};

/* All of them, in the order of their types and numbers. */
const struct algorithm *algorithm_at(size_t index); /* NULL behind the last */
/* NULL when unknown. Additional key exchanges are found as key exchanges. */
MUST_USE const struct algorithm *algorithm_find(uint8_t type, uint16_t id);
/* True when the key size may go with the algorithm (0 for those of fixed size). */
MUST_USE bool algorithm_allows_key_bits(const struct algorithm *algorithm, uint16_t key_bits);

/* One transform of a proposal: an algorithm with its key size (0: the only one it has). */
struct transform {
    uint8_t type;
    uint16_t id;
    uint16_t key_bits;
};

/* A word of the configuration such as aes256gcm16, aes128, sha256, x25519, modp2048, esn; several
 * types may share a word (sha256 is an integrity algorithm and a PRF): `type` says which is meant,
 * 0 any. False when unknown. */
MUST_USE bool transform_by_word(uint8_t type, struct slice word, struct transform *out);
/* aes256gcm16, sha256 ... : what transform_by_word() would take. */
void transform_word(const struct transform *t, char *out, size_t capacity);
/* AES-256-GCM, HMAC-SHA2-256, X25519: for people. Unknown numbers become "encryption 99". */
void transform_title(const struct transform *t, char *out, size_t capacity);

/*
 * A proposal as policy: one protocol, its transforms in order of preference within each type.
 * "AES-GCM with X25519 or P-256" is one proposal with one encryption, one PRF and two key
 * exchanges.
 */
#define PROPOSAL_TRANSFORMS_MAX 40
#define PROPOSALS_MAX 12

enum proposal_protocol {
    PROTOCOL_IKE = 1,
    PROTOCOL_AH = 2,
    PROTOCOL_ESP = 3,
};

struct proposal {
    uint8_t protocol;
    uint8_t count;
    struct transform transforms[PROPOSAL_TRANSFORMS_MAX];
};

struct proposals {
    uint8_t count;
    struct proposal list[PROPOSALS_MAX];
};

/* The defaults of RFC 8247 and 8221, strongest first, for IKE, ESP or AH: AEAD proposals and CBC
 * with HMAC apart. For IKE ML-KEM beside a classical key exchange leads, in a proposal of its own:
 * who does not know it passes that one over (RFC 9370 2.2.1). */
void proposals_default(uint8_t protocol, struct proposals *out);
/* True when a key exchange of that kind is in it, the first or an additional one. */
MUST_USE bool proposal_has_post_quantum(const struct proposal *p);
MUST_USE bool proposals_have_post_quantum(const struct proposals *list);
/* The proposals without it stay, or those with it. */
void proposals_drop_post_quantum(struct proposals *list);
void proposals_keep_post_quantum(struct proposals *list);
/* Words joined by '-': aes256gcm16-sha384-x25519, and ke1_mlkem768 to ke7_... for additional key
 * exchanges (ke1_none: or without). Adds the PRF that goes with the integrity
 * algorithm when IKE names none. In AH aes128gmac is the integrity algorithm, in ESP the cipher
 * that does not encrypt. False with a sentence in `why` (it names the word that is wrong).
 */
MUST_USE bool proposal_parse(uint8_t protocol, struct slice text, struct proposal *out, char *why,
                             size_t why_bytes);
/* The weakest transform in it that is STRENGTH_LEGACY, or NULL. */
MUST_USE const struct algorithm *proposal_legacy(const struct proposal *p);

/* What was agreed: one of each. For ESP and AH prf is none, and for AH encryption; key_exchange is
 * that of the child's own exchange, if any. */
struct suite {
    uint16_t encryption;
    uint16_t key_bits;
    uint16_t integrity;
    uint16_t prf;
    uint16_t key_exchange;
    bool esn;
};

/* AES-256-GCM or AES-128-CBC, HMAC-SHA2-256 or AH with HMAC-SHA2-256, and the key exchange if there
 * was one: for status and logs. */
void suite_title(const struct suite *s, char *out, size_t capacity);
/* Key material for one direction, cipher key and salt, then integrity key. */
size_t suite_encryption_key_bytes(const struct suite *s); /* with salt */
size_t suite_integrity_key_bytes(const struct suite *s); /* with the salt of AES-GMAC */
/* True when both are known to this build, encryption is never without integrity, and sizes fit. */
MUST_USE bool suite_is_usable(const struct suite *s);
/* The same for messages of IKE, which are encrypted (RFC 7296 3.14) with an IV that is sent (RFC
 * 8750 7). */
MUST_USE bool suite_is_usable_for_ike(const struct suite *s);
/* True when the integrity algorithm is known and nothing would be encrypted. */
MUST_USE bool suite_is_usable_for_ah(const struct suite *s);

#endif
