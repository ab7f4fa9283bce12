/*
 * Packets through Intel's ipsec-mb. GCM and GMAC go one by one (a packet fills the machine); the
 * others are spread over lanes, so several packets of whatever SAs are worked on at once.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/protect_internal.h"

#ifdef HAVE_IPSEC_MB

#include <intel-ipsec-mb.h>

/* What the keys become; each part begins at a multiple of 64 octets. */
struct aes_schedules {
    alignas(64) uint32_t encrypt[60];
    alignas(16) uint32_t decrypt[60];
};

struct des_schedules {
    alignas(64) uint64_t schedule[3][IMB_DES_KEY_SCHED_SIZE / 8];
    const void *order[3];
};

struct cbc_mac_schedule {
    alignas(64) uint32_t block[44]; /* the masks are read where OpenSSL's side has them */
};

/* What a packet needs while it is in the lanes. */
struct lane {
    uint8_t nonce[PROTECT_NONCE_BYTES];
    uint8_t received[PROTECT_ICV_BYTES_MAX];
    alignas(16) uint8_t computed[PROTECT_ICV_BYTES_MAX];
};

/* A lane reads its text in one piece, and nothing may be written behind a packet of AH: those with
 * the high half of the sequence number behind them are copied. Longer ones go to OpenSSL. */
#define AUTH_COPY_BYTES 2048

struct multi_engine {
    IMB_MGR *manager;
    struct gcm_context_data gcm;
    struct lane lanes[PROTECT_BURST];
    /* For AH with ESN; made when the first packet of such an SA comes. */
    uint8_t (*copies)[AUTH_COPY_BYTES];
};

/* CCM's first block takes this much of the authenticated header in ipsec-mb; longer ones go to
 * OpenSSL. */
#define CCM_AAD_MAX 46
/* The lanes count in 16 bits. */
#define LANE_BYTES_MAX 60000

/* For expanding keys: those functions only read it. */
static IMB_MGR *expander;
static bool is_wide;
/* Of struct gcm_key_data, from its beginning. */
static size_t gcm_bytes;
static char engine_name[48];

static IMB_MGR *manager_new(IMB_ARCH *arch)
{
    IMB_MGR *manager = alloc_mb_mgr(0);

    if (manager == NULL) {
        return NULL;
    }
    init_mb_mgr_auto(manager, arch);
    if (imb_get_errno(manager) != 0) {
        free_mb_mgr(manager);
        return NULL;
    }
    return manager;
}

/* How far a key that is expanded into octets of one value still consists of this value. */
static size_t gcm_written(uint8_t value)
{
    static const uint8_t zeros[32];
    alignas(64) struct gcm_key_data key;
    const uint8_t *octets = (const uint8_t *)&key;
    size_t length = sizeof(key);

    memset(&key, value, sizeof(key));
    /* The largest key: its schedule stands before the powers of the hash key. */
    IMB_AES256_GCM_PRE(expander, zeros, &key);
    while (length > 0 && octets[length - 1] == value) {
        length--;
    }
    return length;
}

/* The processor decides which member of the union holds the powers of the hash key: of 8 of them
 * or of 48. What expanding a key leaves as it was is not a part of any, and is not kept for each
 * SA. A last octet may happen to have the value that was there, but not both values. */
static size_t gcm_bytes_find(void)
{
    size_t first = gcm_written(0x00);
    size_t second = gcm_written(0xff);

    return first > second ? first : second;
}

bool multi_start(void)
{
    static const char *const names[] = {
        [IMB_ARCH_SSE] = "SSE",
        [IMB_ARCH_AVX] = "AVX",
        [IMB_ARCH_AVX2] = "AVX2",
        [IMB_ARCH_AVX512] = "AVX-512",
    };
    IMB_ARCH arch = IMB_ARCH_NONE;

    if (expander != NULL) {
        return true;
    }
    expander = manager_new(&arch);
    if (expander == NULL) {
        return false;
    }
    /* Without AES instructions it would use tables, slowly and not in constant time. */
    if ((size_t)arch >= ARRAY_LENGTH(names) || names[arch] == NULL) {
        free_mb_mgr(expander);
        expander = NULL;
        return false;
    }
    is_wide = arch == IMB_ARCH_AVX512;
    gcm_bytes = gcm_bytes_find();
    const char *parts[] = {"ipsec-mb ", imb_get_version_str(), ", ", names[arch]};
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        size_t length = strlen(parts[i]);
        if (used + length < sizeof(engine_name)) {
            memcpy(engine_name + used, parts[i], length + 1);
            used += length;
        }
    }
    return true;
}

const char *multi_name(void)
{
    return engine_name;
}

bool multi_is_wide(void)
{
    return is_wide;
}

bool multi_has_sha(void)
{
    return expander != NULL && (expander->features & IMB_FEATURE_SHANI) != 0;
}

static size_t key_bytes_of(uint8_t size_index)
{
    return 16U + 8U * size_index;
}

bool multi_has(enum cipher_kind cipher, uint8_t size_index)
{
    switch (cipher) {
    case CIPHER_GCM:
    case CIPHER_GMAC:
    case CIPHER_CHACHA20_POLY1305:
    case CIPHER_AES_CBC:
    case CIPHER_AES_CTR:
    case CIPHER_NULL:
        return true;
    case CIPHER_3DES:
    case CIPHER_DES:
        /* Only with lanes of 512 bits: the scalar code wipes its stack after every block. */
        return is_wide;
    case CIPHER_CCM_8:
    case CIPHER_CCM_12:
    case CIPHER_CCM_16:
        return key_bytes_of(size_index) != 24;
    case CIPHER_CAMELLIA_CBC:
        return false;
    }
    assert(false);
    return false;
}

static size_t cipher_expanded_bytes(enum cipher_kind cipher)
{
    switch (cipher) {
    case CIPHER_GCM:
    case CIPHER_GMAC:
        return gcm_bytes;
    case CIPHER_CCM_8:
    case CIPHER_CCM_12:
    case CIPHER_CCM_16:
    case CIPHER_AES_CBC:
    case CIPHER_AES_CTR:
        return sizeof(struct aes_schedules);
    case CIPHER_3DES:
    case CIPHER_DES:
        return sizeof(struct des_schedules);
    case CIPHER_CHACHA20_POLY1305:
    case CIPHER_CAMELLIA_CBC:
    case CIPHER_NULL:
        return 0;
    }
    assert(false);
    return 0;
}

static bool is_cbc_mac(enum mac_kind mac)
{
    return mac == MAC_XCBC || mac == MAC_CMAC;
}

size_t multi_expanded_bytes(enum cipher_kind cipher, enum mac_kind mac)
{
    return protect_align(cipher_expanded_bytes(cipher)) +
           (is_cbc_mac(mac) ? sizeof(struct cbc_mac_schedule) : 0);
}

static const void *cipher_part(const struct protect_key *key)
{
    return key->parts + key->expanded_at;
}

static const void *mac_part(const struct protect_key *key)
{
    return key->parts + key->expanded_at + protect_align(cipher_expanded_bytes(key->cipher));
}

static void expand_gcm(struct protect_key *key)
{
    struct gcm_key_data *out = (void *)(key->parts + key->expanded_at);

    switch (key->cipher_key_bytes) {
    case 16:
        IMB_AES128_GCM_PRE(expander, key->cipher_key, out);
        break;
    case 24:
        IMB_AES192_GCM_PRE(expander, key->cipher_key, out);
        break;
    default:
        IMB_AES256_GCM_PRE(expander, key->cipher_key, out);
        break;
    }
}

static void expand_aes(struct protect_key *key)
{
    struct aes_schedules *out = (void *)(key->parts + key->expanded_at);

    switch (key->cipher_key_bytes) {
    case 16:
        IMB_AES_KEYEXP_128(expander, key->cipher_key, out->encrypt, out->decrypt);
        break;
    case 24:
        IMB_AES_KEYEXP_192(expander, key->cipher_key, out->encrypt, out->decrypt);
        break;
    default:
        IMB_AES_KEYEXP_256(expander, key->cipher_key, out->encrypt, out->decrypt);
        break;
    }
}

/* The key of DES stands three times in cipher_key, so both are done alike. */
static void expand_des(struct protect_key *key)
{
    struct des_schedules *out = (void *)(key->parts + key->expanded_at);

    for (size_t i = 0; i < 3; i++) {
        IMB_DES_KEYSCHED(expander, out->schedule[i], key->cipher_key + 8 * i);
        out->order[i] = out->schedule[i];
    }
}

static void expand_cbc_mac(struct protect_key *key)
{
    struct cbc_mac_schedule *out =
        (void *)(key->parts + key->expanded_at + protect_align(cipher_expanded_bytes(key->cipher)));
    struct aes_schedules both;

    IMB_AES_KEYEXP_128(expander, protect_cbc_mac(key)->block_key, both.encrypt, both.decrypt);
    memcpy(out->block, both.encrypt, sizeof(out->block));
    wipe(&both, sizeof(both));
}

void multi_expand(struct protect_key *key)
{
    switch (key->cipher) {
    case CIPHER_GCM:
    case CIPHER_GMAC:
        expand_gcm(key);
        break;
    case CIPHER_CCM_8:
    case CIPHER_CCM_12:
    case CIPHER_CCM_16:
    case CIPHER_AES_CBC:
    case CIPHER_AES_CTR:
        expand_aes(key);
        break;
    case CIPHER_3DES:
    case CIPHER_DES:
        expand_des(key);
        break;
    case CIPHER_CHACHA20_POLY1305:
    case CIPHER_CAMELLIA_CBC:
    case CIPHER_NULL:
        break;
    }
    if (is_cbc_mac(key->mac_kind)) {
        expand_cbc_mac(key);
    }
}

struct multi_engine *multi_engine_new(void)
{
    size_t bytes = (sizeof(struct multi_engine) + 63) & ~(size_t)63;
    struct multi_engine *engine = aligned_alloc(64, bytes);
    IMB_ARCH arch;

    if (engine == NULL) {
        return NULL;
    }
    memset(engine, 0, bytes);
    engine->manager = manager_new(&arch);
    if (engine->manager == NULL) {
        free(engine);
        return NULL;
    }
    return engine;
}

void multi_engine_free(struct multi_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    free(engine->copies);
    wipe(engine->manager, imb_get_mb_mgr_size());
    free_mb_mgr(engine->manager);
    wipe(engine, sizeof(*engine));
    free(engine);
}

bool multi_is_direct(enum cipher_kind cipher)
{
    return cipher == CIPHER_GCM || cipher == CIPHER_GMAC;
}

static bool is_ccm(enum cipher_kind cipher)
{
    return cipher == CIPHER_CCM_8 || cipher == CIPHER_CCM_12 || cipher == CIPHER_CCM_16;
}

bool multi_takes(const struct protect_job *job)
{
    if (multi_is_direct(job->key->cipher)) {
        return true;
    }
    if (is_ccm(job->key->cipher) && job->aad_length > CCM_AAD_MAX) {
        return false;
    }
    return job->length > 0 && job->length + job->aad_length < LANE_BYTES_MAX;
}

/* ---- GCM and GMAC ---- */

static void nonce_make(const struct protect_key *key, const uint8_t *iv, uint8_t *nonce)
{
    memcpy(nonce, key->salt, key->salt_bytes);
    memcpy(nonce + key->salt_bytes, iv, key->iv_bytes);
}

/* Of two texts, the second behind the first. */
static void gmac(struct multi_engine *engine, const struct protect_key *key, const uint8_t *iv,
                 struct slice first, struct slice second, uint8_t *tag)
{
    const struct gcm_key_data *schedule = cipher_part(key);
    IMB_MGR *m = engine->manager;
    struct gcm_context_data *state = &engine->gcm;
    uint8_t nonce[PROTECT_NONCE_BYTES];
    uint64_t nonce_bytes = key->salt_bytes + (uint64_t)key->iv_bytes;

    nonce_make(key, iv, nonce);
    switch (key->cipher_key_bytes) {
    case 16:
        IMB_AES128_GMAC_INIT(m, schedule, state, nonce, nonce_bytes);
        IMB_AES128_GMAC_UPDATE(m, schedule, state, first.data, first.length);
        IMB_AES128_GMAC_UPDATE(m, schedule, state, second.data, second.length);
        IMB_AES128_GMAC_FINALIZE(m, schedule, state, tag, key->icv_bytes);
        break;
    case 24:
        IMB_AES192_GMAC_INIT(m, schedule, state, nonce, nonce_bytes);
        IMB_AES192_GMAC_UPDATE(m, schedule, state, first.data, first.length);
        IMB_AES192_GMAC_UPDATE(m, schedule, state, second.data, second.length);
        IMB_AES192_GMAC_FINALIZE(m, schedule, state, tag, key->icv_bytes);
        break;
    default:
        IMB_AES256_GMAC_INIT(m, schedule, state, nonce, nonce_bytes);
        IMB_AES256_GMAC_UPDATE(m, schedule, state, first.data, first.length);
        IMB_AES256_GMAC_UPDATE(m, schedule, state, second.data, second.length);
        IMB_AES256_GMAC_FINALIZE(m, schedule, state, tag, key->icv_bytes);
        break;
    }
}

/* RFC 4543 3.3: the IV and what follows is authenticated behind the header. */
static void gmac_of_esp(struct multi_engine *engine, const struct protect_job *job, uint8_t *tag)
{
    struct slice rest = {job->iv, job->key->iv_bytes + (size_t)job->length};

    gmac(engine, job->key, job->iv, (struct slice){job->aad, job->aad_length}, rest, tag);
}

void multi_authenticate_direct(struct multi_engine *engine, struct auth_job *job)
{
    uint8_t high[4];
    struct slice rest = {high, job->has_sequence_high ? sizeof(high) : 0};

    put_u32(high, job->sequence_high);
    gmac(engine, auth_protect_key(job->key), job->iv, (struct slice){job->data, job->length}, rest,
         job->icv);
    job->ok = true;
}

void multi_seal_direct(struct multi_engine *engine, struct protect_job *job)
{
    const struct protect_key *key = job->key;
    const struct gcm_key_data *schedule = cipher_part(key);
    uint8_t nonce[PROTECT_NONCE_BYTES];
    uint8_t *data = job->data;

    job->ok = true;
    if (key->cipher == CIPHER_GMAC) {
        gmac_of_esp(engine, job, job->icv);
        return;
    }
    nonce_make(key, job->iv, nonce);
    switch (key->cipher_key_bytes) {
    case 16:
        IMB_AES128_GCM_ENC(engine->manager, schedule, &engine->gcm, data, data, job->length, nonce,
                           job->aad, job->aad_length, job->icv, key->icv_bytes);
        break;
    case 24:
        IMB_AES192_GCM_ENC(engine->manager, schedule, &engine->gcm, data, data, job->length, nonce,
                           job->aad, job->aad_length, job->icv, key->icv_bytes);
        break;
    default:
        IMB_AES256_GCM_ENC(engine->manager, schedule, &engine->gcm, data, data, job->length, nonce,
                           job->aad, job->aad_length, job->icv, key->icv_bytes);
        break;
    }
}

void multi_open_direct(struct multi_engine *engine, struct protect_job *job)
{
    const struct protect_key *key = job->key;
    const struct gcm_key_data *schedule = cipher_part(key);
    uint8_t nonce[PROTECT_NONCE_BYTES];
    uint8_t tag[PROTECT_NONCE_BYTES];
    uint8_t *data = job->data;

    if (key->cipher == CIPHER_GMAC) {
        gmac_of_esp(engine, job, tag);
        job->ok = equal_in_constant_time(tag, job->icv, key->icv_bytes);
        return;
    }
    nonce_make(key, job->iv, nonce);
    switch (key->cipher_key_bytes) {
    case 16:
        IMB_AES128_GCM_DEC(engine->manager, schedule, &engine->gcm, data, data, job->length, nonce,
                           job->aad, job->aad_length, tag, key->icv_bytes);
        break;
    case 24:
        IMB_AES192_GCM_DEC(engine->manager, schedule, &engine->gcm, data, data, job->length, nonce,
                           job->aad, job->aad_length, tag, key->icv_bytes);
        break;
    default:
        IMB_AES256_GCM_DEC(engine->manager, schedule, &engine->gcm, data, data, job->length, nonce,
                           job->aad, job->aad_length, tag, key->icv_bytes);
        break;
    }
    job->ok = equal_in_constant_time(tag, job->icv, key->icv_bytes);
}

/* ---- The lanes ---- */

static void fill_cipher(IMB_JOB *lane_job, const struct protect_job *job, struct lane *lane)
{
    const struct protect_key *key = job->key;
    const struct aes_schedules *aes = cipher_part(key);
    const struct des_schedules *des = cipher_part(key);

    lane_job->key_len_in_bytes = key->cipher_key_bytes;
    lane_job->iv = job->iv;
    lane_job->iv_len_in_bytes = key->iv_bytes;
    lane_job->enc_keys = aes->encrypt;
    lane_job->dec_keys = aes->decrypt;
    switch (key->cipher) {
    case CIPHER_GCM:
    case CIPHER_GMAC:
    case CIPHER_CAMELLIA_CBC:
        assert(false);
        break;
    case CIPHER_CCM_8:
    case CIPHER_CCM_12:
    case CIPHER_CCM_16:
        lane_job->cipher_mode = IMB_CIPHER_CCM;
        lane_job->dec_keys = aes->encrypt; /* the mode has no use for the other */
        break;
    case CIPHER_CHACHA20_POLY1305:
        lane_job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
        lane_job->enc_keys = key->cipher_key;
        lane_job->dec_keys = key->cipher_key;
        break;
    case CIPHER_AES_CBC:
        lane_job->cipher_mode = IMB_CIPHER_CBC;
        break;
    case CIPHER_AES_CTR:
        lane_job->cipher_mode = IMB_CIPHER_CNTR;
        lane_job->dec_keys = aes->encrypt;
        break;
    case CIPHER_3DES:
        lane_job->cipher_mode = IMB_CIPHER_DES3;
        lane_job->enc_keys = des->order;
        lane_job->dec_keys = des->order;
        break;
    case CIPHER_DES:
        lane_job->cipher_mode = IMB_CIPHER_DES;
        lane_job->key_len_in_bytes = 8;
        lane_job->enc_keys = des->schedule[0];
        lane_job->dec_keys = des->schedule[0];
        break;
    case CIPHER_NULL:
        lane_job->cipher_mode = IMB_CIPHER_NULL;
        break;
    }
    if (key->salt_bytes > 0) {
        nonce_make(key, job->iv, lane->nonce);
        lane_job->iv = lane->nonce;
        lane_job->iv_len_in_bytes = key->salt_bytes + (uint64_t)key->iv_bytes;
    }
}

static void fill_mac(IMB_JOB *lane_job, const struct protect_key *key)
{
    const struct cbc_mac_schedule *schedule = mac_part(key);
    const struct cbc_mac_key *cbc = protect_cbc_mac(key);

    switch (key->mac_kind) {
    case MAC_NONE:
        assert(false);
        return;
    case MAC_XCBC:
        lane_job->hash_alg = IMB_AUTH_AES_XCBC;
        lane_job->u.XCBC._k1_expanded = schedule->block;
        lane_job->u.XCBC._k2 = cbc->full_mask;
        lane_job->u.XCBC._k3 = cbc->short_mask;
        return;
    case MAC_CMAC:
        lane_job->hash_alg = IMB_AUTH_AES_CMAC;
        lane_job->u.CMAC._key_expanded = schedule->block;
        lane_job->u.CMAC._skey1 = cbc->full_mask;
        lane_job->u.CMAC._skey2 = cbc->short_mask;
        return;
    case MAC_MD5:
        lane_job->hash_alg = IMB_AUTH_MD5;
        break;
    case MAC_SHA1:
        lane_job->hash_alg = IMB_AUTH_HMAC_SHA_1;
        break;
    case MAC_SHA256:
        lane_job->hash_alg = IMB_AUTH_HMAC_SHA_256;
        break;
    case MAC_SHA384:
        lane_job->hash_alg = IMB_AUTH_HMAC_SHA_384;
        break;
    case MAC_SHA512:
        lane_job->hash_alg = IMB_AUTH_HMAC_SHA_512;
        break;
    }
    lane_job->u.HMAC._hashed_auth_key_xor_ipad = protect_hmac(key)->inner;
    lane_job->u.HMAC._hashed_auth_key_xor_opad = protect_hmac(key)->outer;
}

/* Ciphers that authenticate by themselves. */
static void fill_aead(IMB_JOB *lane_job, const struct protect_job *job)
{
    if (job->key->cipher == CIPHER_CHACHA20_POLY1305) {
        lane_job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
        lane_job->u.CHACHA20_POLY1305.aad = job->aad;
        lane_job->u.CHACHA20_POLY1305.aad_len_in_bytes = job->aad_length;
    } else {
        lane_job->hash_alg = IMB_AUTH_AES_CCM;
        lane_job->u.CCM.aad = job->aad;
        lane_job->u.CCM.aad_len_in_bytes = job->aad_length;
    }
}

static void fill_texts(IMB_JOB *lane_job, struct protect_job *job)
{
    const struct protect_key *key = job->key;
    uint64_t header = key->aead ? 0 : job->aad_length + (uint64_t)key->iv_bytes;

    lane_job->src = job->data - header;
    lane_job->dst = job->data;
    lane_job->cipher_start_src_offset_in_bytes = header;
    lane_job->msg_len_to_cipher_in_bytes = job->length;
    lane_job->hash_start_src_offset_in_bytes = 0;
    lane_job->msg_len_to_hash_in_bytes = header + job->length;
    if (!key->aead && job->has_sequence_high) {
        /* RFC 4303 2.2.1: hashed as if it stood behind the data; so it stands where the ICV will
         * be, or was. */
        put_u32(job->icv, job->sequence_high);
        lane_job->msg_len_to_hash_in_bytes += 4;
    }
}

static void finish_seal(const IMB_JOB *lane_job)
{
    struct protect_job *job = lane_job->user_data;

    job->ok = lane_job->status == IMB_STATUS_COMPLETED;
}

static void finish_open(const IMB_JOB *lane_job)
{
    struct protect_job *job = lane_job->user_data;
    const struct lane *lane = lane_job->user_data2;

    job->ok = lane_job->status == IMB_STATUS_COMPLETED &&
              equal_in_constant_time(lane->computed, lane->received, job->key->icv_bytes);
}

static void run(struct multi_engine *engine, struct protect_job *const *jobs, size_t count,
                bool seal)
{
    IMB_MGR *m = engine->manager;
    void (*finish)(const IMB_JOB *) = seal ? finish_seal : finish_open;

    assert(count <= PROTECT_BURST);
    for (size_t i = 0; i < count; i++) {
        struct protect_job *job = jobs[i];
        struct lane *lane = &engine->lanes[i];
        IMB_JOB *lane_job = IMB_GET_NEXT_JOB(m);
        /* CCM's MAC is over the plain text, the others' over the ciphertext. */
        bool cipher_first = seal != is_ccm(job->key->cipher);

        memset(lane_job, 0, sizeof(*lane_job));
        job->ok = false;
        lane_job->user_data = job;
        lane_job->user_data2 = lane;
        lane_job->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
        lane_job->chain_order = cipher_first ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
        lane_job->auth_tag_output = seal ? job->icv : lane->computed;
        lane_job->auth_tag_output_len_in_bytes = job->key->icv_bytes;
        if (!seal) {
            memcpy(lane->received, job->icv, job->key->icv_bytes);
        }
        fill_cipher(lane_job, job, lane);
        if (job->key->aead) {
            fill_aead(lane_job, job);
        } else {
            fill_mac(lane_job, job->key);
        }
        fill_texts(lane_job, job);
        for (lane_job = IMB_SUBMIT_JOB(m); lane_job != NULL; lane_job = IMB_GET_COMPLETED_JOB(m)) {
            finish(lane_job);
        }
    }
    IMB_JOB *lane_job;

    while ((lane_job = IMB_FLUSH_JOB(m)) != NULL) {
        finish(lane_job);
    }
}

void multi_seal(struct multi_engine *engine, struct protect_job *const *jobs, size_t count)
{
    run(engine, jobs, count, true);
}

void multi_open(struct multi_engine *engine, struct protect_job *const *jobs, size_t count)
{
    run(engine, jobs, count, false);
}

/* ---- AH ---- */

bool multi_takes_auth(struct multi_engine *engine, const struct auth_job *job)
{
    if (multi_is_direct(auth_protect_key(job->key)->cipher)) {
        return true;
    }
    if (!job->has_sequence_high) {
        return job->length > 0 && job->length < LANE_BYTES_MAX;
    }
    if (engine->copies == NULL) {
        engine->copies = malloc(PROTECT_BURST * sizeof(*engine->copies));
    }
    return engine->copies != NULL && job->length <= AUTH_COPY_BYTES - 4;
}

/* The text of a lane in one piece. */
static struct slice auth_text(struct multi_engine *engine, size_t lane, const struct auth_job *job)
{
    if (!job->has_sequence_high) {
        return (struct slice){job->data, job->length};
    }
    uint8_t *copy = engine->copies[lane];

    memcpy(copy, job->data, job->length);
    put_u32(copy + job->length, job->sequence_high);
    return (struct slice){copy, job->length + (size_t)4};
}

static void finish_auth(const IMB_JOB *lane_job)
{
    struct auth_job *job = lane_job->user_data;

    job->ok = lane_job->status == IMB_STATUS_COMPLETED;
}

void multi_authenticate(struct multi_engine *engine, struct auth_job *const *jobs, size_t count)
{
    IMB_MGR *m = engine->manager;
    IMB_JOB *lane_job;

    assert(count <= PROTECT_BURST);
    for (size_t i = 0; i < count; i++) {
        struct auth_job *job = jobs[i];
        const struct protect_key *key = auth_protect_key(job->key);
        struct slice text = auth_text(engine, i, job);

        lane_job = IMB_GET_NEXT_JOB(m);
        memset(lane_job, 0, sizeof(*lane_job));
        job->ok = false;
        lane_job->user_data = job;
        lane_job->cipher_mode = IMB_CIPHER_NULL;
        lane_job->cipher_direction = IMB_DIR_ENCRYPT;
        lane_job->chain_order = IMB_ORDER_CIPHER_HASH;
        lane_job->src = text.data;
        lane_job->msg_len_to_hash_in_bytes = text.length;
        lane_job->auth_tag_output = job->icv;
        lane_job->auth_tag_output_len_in_bytes = key->icv_bytes;
        fill_mac(lane_job, key);
        for (lane_job = IMB_SUBMIT_JOB(m); lane_job != NULL; lane_job = IMB_GET_COMPLETED_JOB(m)) {
            finish_auth(lane_job);
        }
    }
    while ((lane_job = IMB_FLUSH_JOB(m)) != NULL) {
        finish_auth(lane_job);
    }
}

#else /* no ipsec-mb on this machine: nothing is ever routed here */

bool multi_start(void)
{
    return false;
}

const char *multi_name(void)
{
    return "";
}

bool multi_is_wide(void)
{
    return false;
}

bool multi_has_sha(void)
{
    return false;
}

bool multi_has(enum cipher_kind cipher, uint8_t size_index)
{
    (void)cipher;
    (void)size_index;
    return false;
}

size_t multi_expanded_bytes(enum cipher_kind cipher, enum mac_kind mac)
{
    (void)cipher;
    (void)mac;
    return 0;
}

void multi_expand(struct protect_key *key)
{
    (void)key;
}

struct multi_engine *multi_engine_new(void)
{
    return NULL;
}

void multi_engine_free(struct multi_engine *engine)
{
    (void)engine;
}

bool multi_takes(const struct protect_job *job)
{
    (void)job;
    return false;
}

bool multi_is_direct(enum cipher_kind cipher)
{
    (void)cipher;
    return false;
}

void multi_seal_direct(struct multi_engine *engine, struct protect_job *job)
{
    (void)engine;
    job->ok = false;
}

void multi_open_direct(struct multi_engine *engine, struct protect_job *job)
{
    (void)engine;
    job->ok = false;
}

void multi_seal(struct multi_engine *engine, struct protect_job *const *jobs, size_t count)
{
    (void)engine;
    (void)jobs;
    (void)count;
}

void multi_open(struct multi_engine *engine, struct protect_job *const *jobs, size_t count)
{
    (void)engine;
    (void)jobs;
    (void)count;
}

bool multi_takes_auth(struct multi_engine *engine, const struct auth_job *job)
{
    (void)engine;
    (void)job;
    return false;
}

void multi_authenticate_direct(struct multi_engine *engine, struct auth_job *job)
{
    (void)engine;
    job->ok = false;
}

void multi_authenticate(struct multi_engine *engine, struct auth_job *const *jobs, size_t count)
{
    (void)engine;
    (void)jobs;
    (void)count;
}

#endif
