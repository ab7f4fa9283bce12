/* What the halves of protect share: the expanded key, and the two engines' doors. */
#ifndef SEKISHO_CRYPTO_PROTECT_INTERNAL_H
#define SEKISHO_CRYPTO_PROTECT_INTERNAL_H

#include <assert.h>
#include <stdalign.h>

#include "crypto/authenticate.h"
#include "crypto/cbc_mac.h"
#include "crypto/digest.h"
#include "crypto/protect.h"

#define PROTECT_BURST 64
#define PROTECT_NONCE_BYTES 16
#define PROTECT_ICV_BYTES_MAX 32
/* A batch of this size does not come: the other engine does all of the suite's work. */
#define PROTECT_NEVER 255

/* Ciphers as the engines tell them apart: CCM's tag length is part of its key schedule in
 * libcrypto. */
enum cipher_kind {
    CIPHER_GCM,
    CIPHER_GMAC,
    CIPHER_CCM_8,
    CIPHER_CCM_12,
    CIPHER_CCM_16,
    CIPHER_CHACHA20_POLY1305,
    CIPHER_AES_CBC,
    CIPHER_AES_CTR,
    CIPHER_CAMELLIA_CBC,
    CIPHER_3DES,
    CIPHER_DES,
    CIPHER_NULL,
};
#define CIPHER_KINDS (CIPHER_NULL + 1)

enum mac_kind {
    MAC_NONE,
    MAC_MD5,
    MAC_SHA1,
    MAC_SHA256,
    MAC_SHA384,
    MAC_SHA512,
    MAC_XCBC,
    MAC_CMAC,
};
#define MAC_KINDS (MAC_CMAC + 1)

/* 128, 192 and 256 bits; ciphers with one size use the first. */
#define KEY_SIZES 3

/* One cache line, and behind it in the same block the key of the MAC, when the suite has one, and
 * ipsec-mb's form of the keys, when it works with them: a key takes no more than its suite needs.
 */
struct protect_key {
    alignas(64) uint8_t cipher_key[32];
    uint64_t serial; /* never given twice, so a context knows whether it holds this key */
    uint8_t salt[4];
    uint32_t bytes; /* of this allocation */
    uint16_t expanded_at; /* in parts */
    enum cipher_kind cipher : 8;
    enum mac_kind mac_kind : 8;
    uint8_t size_index;
    uint8_t cipher_key_bytes;
    uint8_t salt_bytes;
    uint8_t iv_bytes; /* in the nonce, or before the data */
    bool implicit_iv; /* it is not in the packet */
    uint8_t icv_bytes;
    uint8_t block_bytes;
    bool aead;
    /* From how many waiting packets of the suite on ipsec-mb works, when opening and when sealing;
     * PROTECT_NEVER: OpenSSL does. */
    uint8_t multi_from[2];
    bool is_expanded;
    /* Each begins at a multiple of 64, because ipsec-mb reads them aligned. */
    alignas(64) uint8_t parts[];
};
static_assert(sizeof(struct protect_key) == 64, "a key's head fills one cache line");

static inline size_t protect_align(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

/* Octets of the MAC's key. */
size_t mac_part_bytes(enum mac_kind kind);

/* With HMAC. */
static inline const struct hmac_key *protect_hmac(const struct protect_key *key)
{
    return (const void *)key->parts;
}

/* With XCBC and CMAC. */
static inline const struct cbc_mac_key *protect_cbc_mac(const struct protect_key *key)
{
    return (const void *)key->parts;
}

static inline unsigned protect_group(const struct protect_key *key)
{
    return ((unsigned)key->cipher * KEY_SIZES + key->size_index) * MAC_KINDS +
           (unsigned)key->mac_kind;
}
#define PROTECT_GROUPS (CIPHER_KINDS * KEY_SIZES * MAC_KINDS)

bool mac_digest(enum mac_kind kind, enum digest_id *digest);

struct protect_engine {
    struct openssl_engine *openssl;
    struct multi_engine *multi; /* NULL without ipsec-mb */
    uint64_t frees_seen;
};

/* Overwrites schedules when keys were freed since the last time. */
void protect_engine_forget_ended(struct protect_engine *engine);

static inline const struct protect_key *auth_protect_key(const struct auth_key *key)
{
    return (const void *)key;
}

/* ---- OpenSSL ---- */

struct openssl_engine;

/* Finds the ciphers of the running library. False when not even AES-GCM is there. */
MUST_USE bool openssl_start(void);
bool openssl_has(enum cipher_kind cipher, uint8_t size_index);
MUST_USE struct openssl_engine *openssl_engine_new(void);
void openssl_engine_free(struct openssl_engine *engine);
/* Overwrites the key schedules in the engine's contexts. */
void openssl_engine_forget(struct openssl_engine *engine);
void openssl_seal(struct openssl_engine *engine, struct protect_job *job);
void openssl_open(struct openssl_engine *engine, struct protect_job *job);
void openssl_authenticate(struct openssl_engine *engine, struct auth_job *job);

/* ---- ipsec-mb; on other machines it is not there ---- */

struct multi_engine;

/* False when the library or the processor is not fit. */
MUST_USE bool multi_start(void);
const char *multi_name(void);
/* Lanes of 512 bits; without them twice as many packets are needed for the same gain. */
bool multi_is_wide(void);
/* The processor has instructions for SHA-1 and SHA-2-256, which make a single stream fast. */
bool multi_has_sha(void);
bool multi_has(enum cipher_kind cipher, uint8_t size_index);
size_t multi_expanded_bytes(enum cipher_kind cipher, enum mac_kind mac);
void multi_expand(struct protect_key *key);
MUST_USE struct multi_engine *multi_engine_new(void);
void multi_engine_free(struct multi_engine *engine);
/* True when the job has a form that the engine takes; others go to OpenSSL. */
bool multi_takes(const struct protect_job *job);
/* Ciphers that need no company: done at once. */
bool multi_is_direct(enum cipher_kind cipher);
void multi_seal_direct(struct multi_engine *engine, struct protect_job *job);
void multi_open_direct(struct multi_engine *engine, struct protect_job *job);
/* count <= PROTECT_BURST; all are done on return. */
void multi_seal(struct multi_engine *engine, struct protect_job *const *jobs, size_t count);
void multi_open(struct multi_engine *engine, struct protect_job *const *jobs, size_t count);
/* The same three for AH. */
bool multi_takes_auth(struct multi_engine *engine, const struct auth_job *job);
void multi_authenticate_direct(struct multi_engine *engine, struct auth_job *job);
void multi_authenticate(struct multi_engine *engine, struct auth_job *const *jobs, size_t count);

#endif
