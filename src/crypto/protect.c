/*
 * Which engine does the work of a suite, and the making and ending of keys.
 *
 * ipsec-mb wins for GCM and ChaCha20-Poly1305 always; for ciphers with a MAC it needs several
 * packets at once to fill its lanes, and below that OpenSSL's single stream is faster. The numbers
 * below are measured (tests/bench).
 */
#include "crypto/protect.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "base/secret.h"
#include "crypto/protect_internal.h"

/* Set by protect_start, read afterwards. */
static bool multi_runs;
/* What ipsec-mb has and did not fail at. */
static bool multi_agrees[CIPHER_KINDS][KEY_SIZES][MAC_KINDS];

#define REPORT_LINES CIPHER_KINDS
static char report[REPORT_LINES][160];

static atomic_uint_fast64_t serials = 1;
/* Keys freed so far: engines look at it to know that they may hold the schedule of an ended key. */
static atomic_uint_fast64_t frees;

/* RFC 8750 4: the sequence number, in 64 bits with ESN or without. */
#define IMPLICIT_IV_BYTES 8

static const struct {
    uint16_t id;
    enum cipher_kind kind;
} cipher_of_encryption[] = {
    {ENCRYPTION_DES, CIPHER_DES},
    {ENCRYPTION_3DES, CIPHER_3DES},
    {ENCRYPTION_NULL, CIPHER_NULL},
    {ENCRYPTION_AES_CBC, CIPHER_AES_CBC},
    {ENCRYPTION_AES_CTR, CIPHER_AES_CTR},
    {ENCRYPTION_AES_CCM_8, CIPHER_CCM_8},
    {ENCRYPTION_AES_CCM_12, CIPHER_CCM_12},
    {ENCRYPTION_AES_CCM_16, CIPHER_CCM_16},
    {ENCRYPTION_AES_GCM_8, CIPHER_GCM},
    {ENCRYPTION_AES_GCM_12, CIPHER_GCM},
    {ENCRYPTION_AES_GCM_16, CIPHER_GCM},
    {ENCRYPTION_NULL_AES_GMAC, CIPHER_GMAC},
    {ENCRYPTION_CAMELLIA_CBC, CIPHER_CAMELLIA_CBC},
    {ENCRYPTION_CHACHA20_POLY1305, CIPHER_CHACHA20_POLY1305},
    {ENCRYPTION_AES_CCM_8_IIV, CIPHER_CCM_8},
    {ENCRYPTION_AES_GCM_16_IIV, CIPHER_GCM},
    {ENCRYPTION_CHACHA20_POLY1305_IIV, CIPHER_CHACHA20_POLY1305},
};

static const struct {
    uint16_t id;
    enum mac_kind kind;
} mac_of_integrity[] = {
    {INTEGRITY_NONE, MAC_NONE},
    {INTEGRITY_HMAC_MD5_96, MAC_MD5},
    {INTEGRITY_HMAC_SHA1_96, MAC_SHA1},
    {INTEGRITY_AES_XCBC_96, MAC_XCBC},
    {INTEGRITY_AES_CMAC_96, MAC_CMAC},
    {INTEGRITY_HMAC_SHA2_256_128, MAC_SHA256},
    {INTEGRITY_HMAC_SHA2_256_96, MAC_SHA256},
    {INTEGRITY_HMAC_SHA2_384_192, MAC_SHA384},
    {INTEGRITY_HMAC_SHA2_512_256, MAC_SHA512},
};

bool mac_digest(enum mac_kind kind, enum digest_id *digest)
{
    switch (kind) {
    case MAC_MD5:
        *digest = DIGEST_MD5;
        return true;
    case MAC_SHA1:
        *digest = DIGEST_SHA1;
        return true;
    case MAC_SHA256:
        *digest = DIGEST_SHA256;
        return true;
    case MAC_SHA384:
        *digest = DIGEST_SHA384;
        return true;
    case MAC_SHA512:
        *digest = DIGEST_SHA512;
        return true;
    case MAC_NONE:
    case MAC_XCBC:
    case MAC_CMAC:
        return false;
    }
    assert(false);
    return false;
}

size_t mac_part_bytes(enum mac_kind kind)
{
    enum digest_id digest;

    if (kind == MAC_NONE) {
        return 0;
    }
    return mac_digest(kind, &digest) ? sizeof(struct hmac_key) : sizeof(struct cbc_mac_key);
}

/* ---- Keys ---- */

/* The parts of a suite as the engines call them. False when one is unknown. */
static bool key_shape(struct protect_key *key, const struct suite *suite)
{
    const struct algorithm *encryption = algorithm_find(TRANSFORM_ENCRYPTION, suite->encryption);
    const struct algorithm *integrity = algorithm_find(TRANSFORM_INTEGRITY, suite->integrity);
    bool found = false;

    for (size_t i = 0; i < ARRAY_LENGTH(cipher_of_encryption); i++) {
        if (cipher_of_encryption[i].id == suite->encryption) {
            key->cipher = cipher_of_encryption[i].kind;
            found = true;
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(mac_of_integrity); i++) {
        if (mac_of_integrity[i].id == suite->integrity) {
            key->mac_kind = mac_of_integrity[i].kind;
        }
    }
    if (!found || !suite_is_usable(suite)) {
        return false;
    }
    key->size_index = (uint8_t)(suite->key_bits == 0 ? 0 : (suite->key_bits - 128) / 64);
    key->aead = encryption->aead;
    key->salt_bytes = encryption->salt_bytes;
    key->iv_bytes = encryption->implicit_iv ? IMPLICIT_IV_BYTES : encryption->iv_bytes;
    key->implicit_iv = encryption->implicit_iv;
    key->block_bytes = encryption->block_bytes;
    key->icv_bytes = key->aead ? encryption->icv_bytes : integrity->icv_bytes;
    key->cipher_key_bytes = (uint8_t)(suite_encryption_key_bytes(suite) - encryption->salt_bytes);
    return openssl_has(key->cipher, key->size_index);
}

static bool key_fill(struct protect_key *key, struct slice material)
{
    struct reader r = reader_over(material);

    read_copy(&r, key->cipher_key, key->cipher_key_bytes);
    if (key->cipher == CIPHER_DES) {
        /* 3DES with three equal keys is DES. */
        memcpy(key->cipher_key + 8, key->cipher_key, 8);
        memcpy(key->cipher_key + 16, key->cipher_key, 8);
        key->cipher_key_bytes = 24;
    }
    read_copy(&r, key->salt, key->salt_bytes);
    struct slice secret = read_rest(&r);
    enum digest_id digest;

    if (key->mac_kind == MAC_NONE) {
        return true;
    }
    if (mac_digest(key->mac_kind, &digest)) {
        hmac_key_init((void *)key->parts, digest, secret);
        return true;
    }
    struct cbc_mac_context *context = cbc_mac_context_new();
    bool done = context != NULL &&
                cbc_mac_key_init(context, key->mac_kind == MAC_XCBC ? CBC_MAC_XCBC : CBC_MAC_CMAC,
                                 secret.data, (void *)key->parts);

    cbc_mac_context_free(context);
    return done;
}

static struct protect_key *key_make(const struct suite *suite, struct slice material,
                                    const struct protect_key *shape)
{
    size_t expected = suite_encryption_key_bytes(suite) + suite_integrity_key_bytes(suite);
    size_t mac_bytes = protect_align(mac_part_bytes(shape->mac_kind));
    size_t bytes = sizeof(struct protect_key) + mac_bytes;

    if (material.length != expected) {
        return NULL;
    }
    if (shape->is_expanded) {
        bytes = protect_align(bytes + multi_expanded_bytes(shape->cipher, shape->mac_kind));
    }
    struct protect_key *key = aligned_alloc(64, bytes);

    if (key == NULL) {
        return NULL;
    }
    memset(key, 0, bytes);
    *key = *shape;
    key->bytes = (uint32_t)bytes;
    key->expanded_at = (uint16_t)mac_bytes;
    key->serial = atomic_fetch_add_explicit(&serials, 1, memory_order_relaxed);
    if (!key_fill(key, material)) {
        protect_key_free(key);
        return NULL;
    }
    if (key->is_expanded) {
        multi_expand(key);
    }
    return key;
}

/* Each column: from how many packets of a suite in a burst ipsec-mb is the faster, to open and to
 * seal. A single stream of OpenSSL is at its best with the processor's SHA instructions. */
struct thresholds {
    uint8_t wide[2];
    uint8_t wide_with_sha[2];
    uint8_t narrow[2];
    uint8_t narrow_with_sha[2];
};

static const struct thresholds thresholds_of_mac[MAC_KINDS] = {
    [MAC_NONE] = {{1, 1}, {1, 1}, {1, 1}, {1, 1}},
    [MAC_MD5] = {{4, 4}, {4, 4}, {4, 4}, {4, 4}},
    [MAC_SHA1] = {{4, 4}, {4, 4}, {4, 4}, {8, 4}},
    [MAC_SHA256] = {{4, 4}, {8, 4}, {4, 4}, {PROTECT_NEVER, 16}},
    [MAC_SHA384] = {{2, 2}, {2, 2}, {2, 2}, {2, 2}},
    [MAC_SHA512] = {{2, 2}, {2, 2}, {2, 2}, {2, 2}},
    [MAC_XCBC] = {{2, 2}, {2, 2}, {2, 2}, {2, 2}},
    [MAC_CMAC] = {{2, 2}, {2, 2}, {2, 2}, {2, 2}},
};

static uint8_t multi_from(enum cipher_kind cipher, enum mac_kind mac, bool seal)
{
    const struct thresholds *t = &thresholds_of_mac[mac];
    const uint8_t *wide = multi_has_sha() ? t->wide_with_sha : t->wide;
    const uint8_t *narrow = multi_has_sha() ? t->narrow_with_sha : t->narrow;
    const uint8_t *column = multi_is_wide() ? wide : narrow;
    uint8_t from = column[seal ? 1 : 0];

    switch (cipher) {
    case CIPHER_GCM:
    case CIPHER_GMAC:
    case CIPHER_CHACHA20_POLY1305:
        return 1;
    case CIPHER_CCM_8:
    case CIPHER_CCM_12:
    case CIPHER_CCM_16:
        return 2;
    case CIPHER_AES_CBC:
        return from;
    case CIPHER_3DES:
    case CIPHER_DES:
        return from < 8 ? 8 : from;
    case CIPHER_AES_CTR:
    case CIPHER_NULL:
        /* Sealing is no more parallel than opening here: the MAC is all there is to gain. */
        return column[0];
    case CIPHER_CAMELLIA_CBC:
        return PROTECT_NEVER;
    }
    assert(false);
    return PROTECT_NEVER;
}

/* ipsec-mb cuts HMAC-SHA2-256 to 128 bits or not at all. */
static bool is_for_openssl_alone(const struct suite *suite)
{
    return suite->integrity == INTEGRITY_HMAC_SHA2_256_96;
}

/* Enters the engines; the key is expanded when ipsec-mb ever works with it. */
static void shape_choose(struct protect_key *shape, bool compact)
{
    bool multi =
        !compact && multi_runs && multi_agrees[shape->cipher][shape->size_index][shape->mac_kind];

    for (unsigned seal = 0; seal < 2; seal++) {
        shape->multi_from[seal] =
            multi ? multi_from(shape->cipher, shape->mac_kind, seal == 1) : PROTECT_NEVER;
    }
    shape->is_expanded =
        shape->multi_from[0] != PROTECT_NEVER || shape->multi_from[1] != PROTECT_NEVER;
}

static struct protect_key *key_new(const struct suite *suite, struct slice material, bool compact)
{
    struct protect_key shape = {0};

    if (!key_shape(&shape, suite)) {
        return NULL;
    }
    shape_choose(&shape, compact || is_for_openssl_alone(suite));
    return key_make(suite, material, &shape);
}

struct protect_key *protect_key_new(const struct suite *suite, struct slice key_material)
{
    return key_new(suite, key_material, false);
}

struct protect_key *protect_key_new_compact(const struct suite *suite, struct slice key_material)
{
    return key_new(suite, key_material, true);
}

void protect_key_free(struct protect_key *key)
{
    if (key == NULL) {
        return;
    }
    wipe(key, key->bytes);
    free(key);
    atomic_fetch_add_explicit(&frees, 1, memory_order_relaxed);
}

const char *protect_key_engine(const struct protect_key *key)
{
    return key->is_expanded ? "ipsec-mb" : "openssl";
}

size_t protect_key_bytes(const struct protect_key *key)
{
    return key->bytes;
}

/* ---- Engines ---- */

struct protect_engine *protect_engine_new(void)
{
    struct protect_engine *engine = calloc(1, sizeof(*engine));

    if (engine == NULL) {
        return NULL;
    }
    engine->frees_seen = atomic_load_explicit(&frees, memory_order_relaxed);
    engine->openssl = openssl_engine_new();
    engine->multi = multi_runs ? multi_engine_new() : NULL;
    if (engine->openssl == NULL || (multi_runs && engine->multi == NULL)) {
        protect_engine_free(engine);
        return NULL;
    }
    return engine;
}

void protect_engine_free(struct protect_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    multi_engine_free(engine->multi);
    openssl_engine_free(engine->openssl);
    free(engine);
}

/* True when the lengths are such as can be worked on; the places are our own doing. */
static bool job_is_sound(const struct protect_job *job)
{
    const struct protect_key *key = job->key;

    assert(key->implicit_iv || job->data == job->iv + key->iv_bytes);
    assert(job->icv == job->data + job->length);
    assert(key->aead || job->aad_length == 0 || job->aad + job->aad_length == job->iv);
    /* What came from outside has the length that its sender chose. */
    return job->length % key->block_bytes == 0 && job->length <= INT32_MAX;
}

/* Where a job goes. */
enum route { ROUTE_REFUSED, ROUTE_OPENSSL, ROUTE_DIRECT, ROUTE_LANES };

static enum route job_route(const struct protect_engine *engine, const struct protect_job *job)
{
    const struct protect_key *key = job->key;

    if (!job_is_sound(job)) {
        return ROUTE_REFUSED;
    }
    if (!key->is_expanded || engine->multi == NULL || !multi_takes(job)) {
        return ROUTE_OPENSSL;
    }
    return multi_is_direct(key->cipher) ? ROUTE_DIRECT : ROUTE_LANES;
}

struct direction {
    unsigned seals;
    void (*openssl)(struct openssl_engine *engine, struct protect_job *job);
    void (*direct)(struct multi_engine *engine, struct protect_job *job);
    void (*lanes)(struct multi_engine *engine, struct protect_job *const *jobs, size_t count);
};

static const struct direction sealing = {1, openssl_seal, multi_seal_direct, multi_seal};
static const struct direction opening = {0, openssl_open, multi_open_direct, multi_open};

/* Does what needs no company at once, and gathers the rest. */
static size_t run_singles(struct protect_engine *engine, const struct direction *direction,
                          struct protect_job *jobs, size_t count,
                          struct protect_job *gathered[PROTECT_BURST])
{
    size_t waiting = 0;

    for (size_t i = 0; i < count; i++) {
        struct protect_job *job = &jobs[i];
        switch (job_route(engine, job)) {
        case ROUTE_REFUSED:
            job->ok = false;
            break;
        case ROUTE_OPENSSL:
            direction->openssl(engine->openssl, job);
            break;
        case ROUTE_DIRECT:
            direction->direct(engine->multi, job);
            break;
        case ROUTE_LANES:
            gathered[waiting++] = job;
            break;
        }
    }
    return waiting;
}

/* Suites with enough packets go into the lanes, the few of others through OpenSSL. */
static void run_gathered(struct protect_engine *engine, const struct direction *direction,
                         struct protect_job *const *gathered, size_t count)
{
    uint8_t waiting[PROTECT_GROUPS] = {0};
    struct protect_job *lanes[PROTECT_BURST];
    size_t lane_count = 0;

    for (size_t i = 0; i < count; i++) {
        waiting[protect_group(gathered[i]->key)]++;
    }
    for (size_t i = 0; i < count; i++) {
        struct protect_job *job = gathered[i];
        if (waiting[protect_group(job->key)] >= job->key->multi_from[direction->seals]) {
            lanes[lane_count++] = job;
        } else {
            direction->openssl(engine->openssl, job);
        }
    }
    if (lane_count > 0) {
        direction->lanes(engine->multi, lanes, lane_count);
    }
}

void protect_engine_forget_ended(struct protect_engine *engine)
{
    uint64_t frees_now = atomic_load_explicit(&frees, memory_order_relaxed);

    if (frees_now != engine->frees_seen) {
        engine->frees_seen = frees_now;
        openssl_engine_forget(engine->openssl);
    }
}

static void run(struct protect_engine *engine, const struct direction *direction,
                struct protect_job *jobs, size_t count)
{
    protect_engine_forget_ended(engine);
    while (count > 0) {
        struct protect_job *gathered[PROTECT_BURST];
        size_t burst = count < PROTECT_BURST ? count : PROTECT_BURST;
        size_t waiting = run_singles(engine, direction, jobs, burst, gathered);

        if (waiting > 0) {
            run_gathered(engine, direction, gathered, waiting);
        }
        jobs += burst;
        count -= burst;
    }
}

void protect_seal(struct protect_engine *engine, struct protect_job *jobs, size_t count)
{
    run(engine, &sealing, jobs, count);
}

void protect_open(struct protect_engine *engine, struct protect_job *jobs, size_t count)
{
    run(engine, &opening, jobs, count);
}

/* ---- The check at the start ---- */

#define TRIAL_JOBS 9
#define TRIAL_DATA_BYTES 640
#define TRIAL_HEADER_BYTES 32
#define TRIAL_BYTES (TRIAL_HEADER_BYTES + 16 + TRIAL_DATA_BYTES + PROTECT_ICV_BYTES_MAX)

struct trial {
    struct protect_job jobs[TRIAL_JOBS];
    uint8_t bytes[TRIAL_JOBS][TRIAL_BYTES];
};

/* Jobs of random content, lengths and header sizes. */
static void trial_make(struct trial *t, const struct protect_key *key, struct random_source *random)
{
    for (size_t i = 0; i < TRIAL_JOBS; i++) {
        uint8_t *at = t->bytes[i];
        random_fill(random, at, TRIAL_BYTES);
        uint32_t header = 4 + random_below(random, TRIAL_HEADER_BYTES - 3);
        uint32_t blocks = 1 + random_below(random, TRIAL_DATA_BYTES / key->block_bytes);
        t->jobs[i] = (struct protect_job){
            .key = key,
            .aad = at,
            .aad_length = header,
            .length = blocks * key->block_bytes,
            .iv = at + header,
            .data = at + header + key->iv_bytes,
            .icv = at + header + key->iv_bytes + (size_t)blocks * key->block_bytes,
            .sequence_high = random_u32(random),
            .has_sequence_high = !key->aead && i % 2 == 1,
        };
    }
}

/* The same jobs in memory of their own. */
static void trial_copy(struct trial *to, const struct trial *from)
{
    *to = *from;
    for (size_t i = 0; i < TRIAL_JOBS; i++) {
        to->jobs[i].aad = to->bytes[i];
        to->jobs[i].iv = to->bytes[i] + (from->jobs[i].iv - from->bytes[i]);
        to->jobs[i].data = to->bytes[i] + (from->jobs[i].data - from->bytes[i]);
        to->jobs[i].icv = to->bytes[i] + (from->jobs[i].icv - from->bytes[i]);
    }
}

/* The part of a trial that both engines must write alike. */
static bool trials_equal(const struct trial *a, const struct trial *b, bool with_icv)
{
    for (size_t i = 0; i < TRIAL_JOBS; i++) {
        const struct protect_job *job = &a->jobs[i];
        size_t length = (size_t)(job->icv - a->bytes[i]) + (with_icv ? job->key->icv_bytes : 0);
        if (!job->ok || !b->jobs[i].ok || memcmp(a->bytes[i], b->bytes[i], length) != 0) {
            return false;
        }
    }
    return true;
}

static void run_multi(struct protect_engine *engine, const struct direction *direction,
                      struct trial *t)
{
    struct protect_job *jobs[TRIAL_JOBS];

    if (multi_is_direct(t->jobs[0].key->cipher)) {
        for (size_t i = 0; i < TRIAL_JOBS; i++) {
            direction->direct(engine->multi, &t->jobs[i]);
        }
        return;
    }
    for (size_t i = 0; i < TRIAL_JOBS; i++) {
        jobs[i] = &t->jobs[i];
    }
    direction->lanes(engine->multi, jobs, TRIAL_JOBS);
}

/* ipsec-mb seals as OpenSSL does, opens what OpenSSL sealed, and refuses what was changed. */
static bool engines_agree(struct protect_engine *engine, const struct protect_key *key,
                          struct random_source *random)
{
    struct trial plain;
    struct trial ours;
    struct trial theirs;

    trial_make(&plain, key, random);
    trial_copy(&ours, &plain);
    trial_copy(&theirs, &plain);
    run_multi(engine, &sealing, &ours);
    for (size_t i = 0; i < TRIAL_JOBS; i++) {
        openssl_seal(engine->openssl, &theirs.jobs[i]);
        plain.jobs[i].ok = true;
    }
    if (!trials_equal(&ours, &theirs, true)) {
        return false;
    }
    trial_copy(&ours, &theirs);
    run_multi(engine, &opening, &ours);
    if (!trials_equal(&plain, &ours, false)) {
        return false;
    }
    trial_copy(&ours, &theirs);
    for (size_t i = 0; i < TRIAL_JOBS; i++) {
        const struct protect_job *job = &ours.jobs[i];
        size_t length = (size_t)(job->icv - ours.bytes[i]) + key->icv_bytes;
        ours.bytes[i][random_below(random, (uint32_t)length)] ^=
            (uint8_t)(1U << random_below(random, 8));
    }
    run_multi(engine, &opening, &ours);
    for (size_t i = 0; i < TRIAL_JOBS; i++) {
        if (ours.jobs[i].ok) {
            return false;
        }
    }
    return true;
}

/* The same for AH with the key of a suite that does not encrypt: no IV stands in the text. */
static bool engines_agree_on_ah(struct protect_engine *engine, const struct protect_key *key,
                                struct random_source *random)
{
    struct auth_job ours[TRIAL_JOBS];
    struct auth_job *lanes[TRIAL_JOBS];
    uint8_t texts[TRIAL_JOBS][TRIAL_DATA_BYTES];

    for (size_t i = 0; i < TRIAL_JOBS; i++) {
        random_fill(random, texts[i], sizeof(texts[i]));
        ours[i] = (struct auth_job){.key = (const void *)key,
                                    .data = texts[i],
                                    .length = 1 + random_below(random, TRIAL_DATA_BYTES),
                                    .sequence_high = random_u32(random),
                                    .has_sequence_high = i % 2 == 1};
        random_fill(random, ours[i].iv, sizeof(ours[i].iv));
        lanes[i] = &ours[i];
        if (!multi_takes_auth(engine->multi, &ours[i])) {
            return false;
        }
        if (multi_is_direct(key->cipher)) {
            multi_authenticate_direct(engine->multi, &ours[i]);
        }
    }
    if (!multi_is_direct(key->cipher)) {
        multi_authenticate(engine->multi, lanes, TRIAL_JOBS);
    }
    for (size_t i = 0; i < TRIAL_JOBS; i++) {
        struct auth_job theirs = ours[i];
        openssl_authenticate(engine->openssl, &theirs);
        if (!ours[i].ok || !theirs.ok || memcmp(ours[i].icv, theirs.icv, key->icv_bytes) != 0) {
            return false;
        }
    }
    return true;
}

/* One suite, taken from ipsec-mb when it gives another answer than OpenSSL. */
static void check_suite(struct protect_engine *engine, const struct suite *suite,
                        struct random_source *random)
{
    struct protect_key shape = {0};
    uint8_t material[32 + 4 + 64];

    if (!key_shape(&shape, suite) || !multi_has(shape.cipher, shape.size_index)) {
        return;
    }
    struct slice secret = {material,
                           suite_encryption_key_bytes(suite) + suite_integrity_key_bytes(suite)};

    random_fill(random, material, sizeof(material));
    shape.is_expanded = true;
    struct protect_key *key = key_make(suite, secret, &shape);
    bool agrees = key != NULL && engines_agree(engine, key, random);

    if (agrees && (key->cipher == CIPHER_NULL || key->cipher == CIPHER_GMAC)) {
        agrees = engines_agree_on_ah(engine, key, random);
    }

    /* GCM's tag lengths share an entry, and one that differs condemns all. */
    if (!agrees) {
        multi_agrees[shape.cipher][shape.size_index][shape.mac_kind] = false;
    }
    protect_key_free(key);
}

/* Every cipher with every key size and every MAC that may go with it. */
static void check_cipher(struct protect_engine *engine, uint16_t encryption,
                         struct random_source *random)
{
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_ENCRYPTION, encryption);

    for (size_t size = 0; size < ALGORITHM_KEY_SIZES_MAX; size++) {
        if (size > 0 && !algorithm->key_bits_on_wire) {
            return;
        }
        struct suite suite = {.encryption = encryption,
                              .key_bits =
                                  algorithm->key_bits_on_wire ? algorithm->key_bits[size] : 0};

        for (size_t mac = 0; mac < ARRAY_LENGTH(mac_of_integrity); mac++) {
            suite.integrity = mac_of_integrity[mac].id;
            if (suite_is_usable(&suite) && !is_for_openssl_alone(&suite)) {
                check_suite(engine, &suite, random);
            }
        }
    }
}

static unsigned suites_that_differ(enum cipher_kind kind)
{
    unsigned differ = 0;

    for (uint8_t size = 0; size < KEY_SIZES; size++) {
        for (size_t mac = 0; mac < MAC_KINDS; mac++) {
            differ += multi_has(kind, size) && !multi_agrees[kind][size][mac] ? 1 : 0;
        }
    }
    return differ;
}

static void report_kind(enum cipher_kind kind, const char *title)
{
    unsigned differ = suites_that_differ(kind);
    char *line = report[kind];

    if (!multi_runs || !multi_has(kind, 0)) {
        snprintf(line, sizeof(report[kind]), "%s: openssl", title);
    } else if (differ > 0) {
        snprintf(line, sizeof(report[kind]),
                 "%s: openssl where ipsec-mb gave another answer when it was checked at the start "
                 "(%u suites)",
                 title, differ);
    } else if (kind == CIPHER_GCM || kind == CIPHER_GMAC || kind == CIPHER_CHACHA20_POLY1305) {
        snprintf(line, sizeof(report[kind]), "%s: %s", title, multi_name());
    } else {
        snprintf(line, sizeof(report[kind]),
                 "%s: %s when enough packets wait, openssl for single ones", title, multi_name());
    }
}

/* Everything that ipsec-mb says it has, until the check objects. */
static void trust_all(void)
{
    for (size_t kind = 0; kind < CIPHER_KINDS; kind++) {
        for (size_t size = 0; size < KEY_SIZES; size++) {
            bool has = multi_has((enum cipher_kind)kind, (uint8_t)size);
            for (size_t mac = 0; mac < MAC_KINDS; mac++) {
                multi_agrees[kind][size][mac] = has;
            }
        }
    }
}

static void choose_engines(struct protect_engine *engine)
{
    struct seeded_random seeded;

    seeded_random_init(&seeded, 0x5e6b1540);
    struct random_source random = seeded_random_source(&seeded);

    trust_all();
    for (size_t i = 0; i < ARRAY_LENGTH(cipher_of_encryption); i++) {
        uint16_t id = cipher_of_encryption[i].id;
        if (multi_runs) {
            check_cipher(engine, id, &random);
        }
        const struct algorithm *algorithm = algorithm_find(TRANSFORM_ENCRYPTION, id);
        if (!algorithm->implicit_iv) { /* of the same kind as what has an explicit one */
            report_kind(cipher_of_encryption[i].kind, algorithm->title);
        }
    }
}

/* HMAC-SHA2-256 of RFC 4231 test case 2, so that a broken libcrypto is found before it protects
 * anything. */
static bool openssl_works(void)
{
    static const uint8_t expected[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e};
    struct slice text = SLICE_TEXT("what do ya want for nothing?");
    struct hmac_key key;
    struct hmac h;
    uint8_t mac[DIGEST_BYTES_MAX];

    hmac_key_init(&key, DIGEST_SHA256, SLICE_TEXT("Jefe"));
    hmac_begin(&h, DIGEST_SHA256, &key);
    hmac_add(&h, text.data, text.length);
    hmac_end(&h, mac);
    return memcmp(mac, expected, sizeof(expected)) == 0;
}

bool protect_start(enum protect_choice choice)
{
    multi_runs = false;
    if (!openssl_start() || !openssl_works()) {
        return false;
    }
    multi_runs = choice == PROTECT_AUTOMATIC && multi_start();
    struct protect_engine *engine = protect_engine_new();

    if (engine == NULL) {
        return false;
    }
    choose_engines(engine);
    protect_engine_free(engine);
    return true;
}

const char *protect_report(size_t index)
{
    return index < REPORT_LINES ? report[index] : NULL;
}
