/*
 * Packets through OpenSSL, one after the other. A context keeps the schedule of the key that it
 * worked with last, so that a run of packets of one SA expands it once.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/secret.h"
#include "crypto/protect_internal.h"

static EVP_CIPHER *ciphers[CIPHER_KINDS][KEY_SIZES];

/* Single DES is 3DES with the same key three times (RFC 2451 2.3): that needs no legacy provider.
 */
static const char *const cipher_names[CIPHER_KINDS][KEY_SIZES] = {
    [CIPHER_GCM] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"},
    [CIPHER_GMAC] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"},
    [CIPHER_CCM_8] = {"AES-128-CCM", "AES-192-CCM", "AES-256-CCM"},
    [CIPHER_CCM_12] = {"AES-128-CCM", "AES-192-CCM", "AES-256-CCM"},
    [CIPHER_CCM_16] = {"AES-128-CCM", "AES-192-CCM", "AES-256-CCM"},
    [CIPHER_CHACHA20_POLY1305] = {"ChaCha20-Poly1305"},
    [CIPHER_AES_CBC] = {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"},
    [CIPHER_AES_CTR] = {"AES-128-CTR", "AES-192-CTR", "AES-256-CTR"},
    [CIPHER_CAMELLIA_CBC] = {"CAMELLIA-128-CBC", "CAMELLIA-192-CBC", "CAMELLIA-256-CBC"},
    [CIPHER_3DES] = {"DES-EDE3-CBC"},
    [CIPHER_DES] = {"DES-EDE3-CBC"},
};

struct context {
    EVP_CIPHER_CTX *evp; /* made when first needed */
    uint64_t serial; /* of the key whose schedule is in it; 0: none */
};

struct openssl_engine {
    struct cbc_mac_context *cbc_mac;
    bool cbc_mac_holds; /* it was used since its last key was overwritten */
    size_t holding; /* contexts with the schedule of a key */
    struct context contexts[CIPHER_KINDS][KEY_SIZES][2]; /* the last: open, seal */
};

bool openssl_start(void)
{
    for (size_t kind = 0; kind < CIPHER_KINDS; kind++) {
        for (size_t size = 0; size < KEY_SIZES; size++) {
            if (ciphers[kind][size] == NULL && cipher_names[kind][size] != NULL) {
                ciphers[kind][size] = EVP_CIPHER_fetch(NULL, cipher_names[kind][size], NULL);
            }
        }
    }
    return ciphers[CIPHER_GCM][0] != NULL && ciphers[CIPHER_GCM][2] != NULL;
}

bool openssl_has(enum cipher_kind cipher, uint8_t size_index)
{
    return cipher == CIPHER_NULL || ciphers[cipher][size_index] != NULL;
}

struct openssl_engine *openssl_engine_new(void)
{
    struct openssl_engine *engine = calloc(1, sizeof(*engine));

    if (engine == NULL) {
        return NULL;
    }
    engine->cbc_mac = cbc_mac_context_new();
    if (engine->cbc_mac == NULL) {
        openssl_engine_free(engine);
        return NULL;
    }
    return engine;
}

/* Every context that was made so far. */
static void each_context(struct openssl_engine *engine, void (*visit)(struct context *))
{
    for (size_t kind = 0; kind < CIPHER_KINDS; kind++) {
        for (size_t size = 0; size < KEY_SIZES; size++) {
            visit(&engine->contexts[kind][size][0]);
            visit(&engine->contexts[kind][size][1]);
        }
    }
}

static void context_free(struct context *c)
{
    EVP_CIPHER_CTX_free(c->evp);
    *c = (struct context){0};
}

/* Another schedule in its place; a context that will not take one is freed, which wipes it. */
static void context_forget(struct context *c)
{
    static const uint8_t zeros[32];

    if (c->serial == 0) {
        return;
    }
    c->serial = 0;
    if (EVP_CipherInit_ex2(c->evp, NULL, zeros, zeros, -1, NULL) != 1) {
        context_free(c);
    }
}

void openssl_engine_free(struct openssl_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    each_context(engine, context_free);
    cbc_mac_context_free(engine->cbc_mac);
    free(engine);
}

void openssl_engine_forget(struct openssl_engine *engine)
{
    if (engine->holding > 0) {
        each_context(engine, context_forget);
        engine->holding = 0;
    }
    if (engine->cbc_mac_holds) {
        cbc_mac_context_forget(engine->cbc_mac);
        engine->cbc_mac_holds = false;
    }
}

static bool is_ccm(enum cipher_kind kind)
{
    return kind == CIPHER_CCM_8 || kind == CIPHER_CCM_12 || kind == CIPHER_CCM_16;
}

static bool context_make(struct context *c, const struct protect_key *key, int seal)
{
    const EVP_CIPHER *cipher = ciphers[key->cipher][key->size_index];

    c->evp = EVP_CIPHER_CTX_new();
    bool done = c->evp != NULL && EVP_CipherInit_ex2(c->evp, cipher, NULL, NULL, seal, NULL) == 1 &&
                EVP_CIPHER_CTX_set_padding(c->evp, 0) == 1;

    if (done && is_ccm(key->cipher)) {
        /* RFC 4309 3: a nonce of salt and IV, 11 octets. */
        done = EVP_CIPHER_CTX_ctrl(c->evp, EVP_CTRL_AEAD_SET_IVLEN, key->salt_bytes + key->iv_bytes,
                                   NULL) == 1 &&
               EVP_CIPHER_CTX_ctrl(c->evp, EVP_CTRL_AEAD_SET_TAG, key->icv_bytes, NULL) == 1;
    }
    if (!done) {
        context_free(c);
    }
    return done;
}

/* The context for a packet, its key and nonce set; NULL when libcrypto refuses. */
static EVP_CIPHER_CTX *context_for(struct openssl_engine *engine, const struct protect_key *key,
                                   const uint8_t *nonce, int seal)
{
    struct context *c = &engine->contexts[key->cipher][key->size_index][seal];

    if (c->evp == NULL && !context_make(c, key, seal)) {
        return NULL;
    }
    const uint8_t *cipher_key = c->serial == key->serial ? NULL : key->cipher_key;

    engine->holding += c->serial == 0 ? 1 : 0;
    c->serial = key->serial;
    if (EVP_CipherInit_ex2(c->evp, NULL, cipher_key, nonce, seal, NULL) != 1) {
        engine->holding--;
        context_free(c);
        return NULL;
    }
    return c->evp;
}

static bool update(EVP_CIPHER_CTX *evp, uint8_t *out, const uint8_t *in, size_t length)
{
    int done = 0;

    return length == 0 || EVP_CipherUpdate(evp, out, &done, in, (int)length) == 1;
}

/* RFC 4543 3.3: GMAC authenticates everything that the others would encrypt, and the IV. */
static bool aead_texts(EVP_CIPHER_CTX *evp, struct protect_job *job)
{
    const struct protect_key *key = job->key;

    if (key->cipher == CIPHER_GMAC) {
        return update(evp, NULL, job->aad, job->aad_length) &&
               update(evp, NULL, job->iv, key->iv_bytes + (size_t)job->length);
    }
    int done = 0;

    if (is_ccm(key->cipher)) {
        /* The length stands in the first block, so it is told first; and data is given even if
         * empty. */
        return EVP_CipherUpdate(evp, NULL, &done, NULL, (int)job->length) == 1 &&
               update(evp, NULL, job->aad, job->aad_length) &&
               EVP_CipherUpdate(evp, job->data, &done, job->data, (int)job->length) == 1;
    }
    return update(evp, NULL, job->aad, job->aad_length) &&
           update(evp, job->data, job->data, job->length);
}

static bool aead_run(struct openssl_engine *engine, struct protect_job *job, int seal)
{
    const struct protect_key *key = job->key;
    uint8_t nonce[PROTECT_NONCE_BYTES];
    uint8_t nothing[PROTECT_NONCE_BYTES];
    int done = 0;

    memcpy(nonce, key->salt, key->salt_bytes);
    memcpy(nonce + key->salt_bytes, job->iv, key->iv_bytes);
    EVP_CIPHER_CTX *evp = context_for(engine, key, nonce, seal);

    if (evp == NULL) {
        return false;
    }
    if (!seal && EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_SET_TAG, key->icv_bytes, job->icv) != 1) {
        return false;
    }
    if (!aead_texts(evp, job)) {
        return false;
    }
    /* CCM has compared the tag with the data already, and has no final step when opening. */
    if (!(is_ccm(key->cipher) && !seal) && EVP_CipherFinal_ex(evp, nothing, &done) != 1) {
        return false;
    }
    return !seal || EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, key->icv_bytes, job->icv) == 1;
}

static bool cipher_run(struct openssl_engine *engine, struct protect_job *job, int seal)
{
    const struct protect_key *key = job->key;
    uint8_t counter[PROTECT_NONCE_BYTES] = {0};
    const uint8_t *iv = job->iv;

    if (key->cipher == CIPHER_NULL || job->length == 0) {
        return true;
    }
    if (key->cipher == CIPHER_AES_CTR) {
        /* RFC 3686 4: nonce, IV and a block counter that begins at one. */
        memcpy(counter, key->salt, key->salt_bytes);
        memcpy(counter + key->salt_bytes, job->iv, key->iv_bytes);
        counter[PROTECT_NONCE_BYTES - 1] = 1;
        iv = counter;
    }
    EVP_CIPHER_CTX *evp = context_for(engine, key, iv, seal);

    return evp != NULL && update(evp, job->data, job->data, job->length);
}

/* Over the parts, one behind the other. */
static bool mac_parts(struct openssl_engine *engine, const struct protect_key *key,
                      const struct slice *parts, size_t count, uint8_t out[DIGEST_BYTES_MAX])
{
    enum digest_id digest;

    if (!mac_digest(key->mac_kind, &digest)) {
        engine->cbc_mac_holds = true;
        return cbc_mac(engine->cbc_mac, protect_cbc_mac(key), parts, count, out);
    }
    struct hmac h;

    hmac_begin(&h, digest, protect_hmac(key));
    for (size_t i = 0; i < count; i++) {
        hmac_add(&h, parts[i].data, parts[i].length);
    }
    hmac_end(&h, out);
    return true;
}

/* RFC 4303 2.8 and 2.2.1: over the header, the IV, the ciphertext and the high half of the sequence
 * number. */
static bool mac_run(struct openssl_engine *engine, const struct protect_job *job,
                    uint8_t out[DIGEST_BYTES_MAX])
{
    uint8_t high[4];
    const struct slice parts[3] = {
        {job->aad, job->aad_length},
        {job->iv, job->key->iv_bytes + (size_t)job->length},
        {high, job->has_sequence_high ? sizeof(high) : 0},
    };

    put_u32(high, job->sequence_high);
    return mac_parts(engine, job->key, parts, ARRAY_LENGTH(parts), out);
}

void openssl_seal(struct openssl_engine *engine, struct protect_job *job)
{
    uint8_t mac[DIGEST_BYTES_MAX];

    if (job->key->aead) {
        job->ok = aead_run(engine, job, 1);
        return;
    }
    job->ok = cipher_run(engine, job, 1) && mac_run(engine, job, mac);
    if (job->ok) {
        memcpy(job->icv, mac, job->key->icv_bytes);
    }
}

void openssl_open(struct openssl_engine *engine, struct protect_job *job)
{
    uint8_t mac[DIGEST_BYTES_MAX];

    if (job->key->aead) {
        job->ok = aead_run(engine, job, 0);
        return;
    }
    /* The forged are not decrypted. */
    job->ok = mac_run(engine, job, mac) &&
              equal_in_constant_time(mac, job->icv, job->key->icv_bytes) &&
              cipher_run(engine, job, 0);
}

/* RFC 4543 4: AES-GCM with all of it as AAD and nothing to encrypt. */
static bool gmac_parts(struct openssl_engine *engine, struct auth_job *job,
                       const struct slice parts[2])
{
    const struct protect_key *key = auth_protect_key(job->key);
    uint8_t nonce[PROTECT_NONCE_BYTES];
    uint8_t nothing[PROTECT_NONCE_BYTES];
    int done = 0;

    memcpy(nonce, key->salt, key->salt_bytes);
    memcpy(nonce + key->salt_bytes, job->iv, sizeof(job->iv));
    EVP_CIPHER_CTX *evp = context_for(engine, key, nonce, 1);

    return evp != NULL && update(evp, NULL, parts[0].data, parts[0].length) &&
           update(evp, NULL, parts[1].data, parts[1].length) &&
           EVP_CipherFinal_ex(evp, nothing, &done) == 1 &&
           EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, key->icv_bytes, job->icv) == 1;
}

void openssl_authenticate(struct openssl_engine *engine, struct auth_job *job)
{
    const struct protect_key *key = auth_protect_key(job->key);
    uint8_t high[4];
    const struct slice parts[2] = {
        {job->data, job->length},
        {high, job->has_sequence_high ? sizeof(high) : 0},
    };
    uint8_t mac[DIGEST_BYTES_MAX];

    put_u32(high, job->sequence_high);
    if (job->length > INT32_MAX) {
        job->ok = false;
        return;
    }
    if (key->cipher == CIPHER_GMAC) {
        job->ok = gmac_parts(engine, job, parts);
        return;
    }
    job->ok = mac_parts(engine, key, parts, ARRAY_LENGTH(parts), mac);
    if (job->ok) {
        memcpy(job->icv, mac, key->icv_bytes);
    }
}
