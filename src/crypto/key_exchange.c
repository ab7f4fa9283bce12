/*
 * Key exchange: decides how private keys are drawn, which values of a peer are refused, and what
 * the shared secret is.
 *
 * MODP: RFC 2409 6, RFC 3526. Curves: RFC 5903, 6954 (x | y on the wire, x is the secret), P-192
 * and P-224 likewise (RFC 5753's groups 25 and 26 of the registry). X25519 and X448: RFC 8031.
 * Refusals: RFC 6989 2, RFC 8031 2.1. ML-KEM: FIPS 203 7.
 */
#include "crypto/key_exchange.h"

#include "crypto/ml_kem_openssl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>

/* ---- The groups, made once and read-only afterwards. ---- */

struct modp {
    uint16_t group;
    uint16_t exponent_bytes;
    BIGNUM *(*prime)(BIGNUM *);
    BIGNUM *p;
    BIGNUM *p_minus_1;
    BN_MONT_CTX *montgomery;
};

/* Exponents of at least twice the strength that RFC 3526 8 and SP 800-56A give the prime: with a
 * safe prime a longer one costs time and protects nothing. */
static struct modp modps[] = {
    {.group = KEY_EXCHANGE_MODP_768, .exponent_bytes = 32, .prime = BN_get_rfc2409_prime_768},
    {.group = KEY_EXCHANGE_MODP_1024, .exponent_bytes = 32, .prime = BN_get_rfc2409_prime_1024},
    {.group = KEY_EXCHANGE_MODP_1536, .exponent_bytes = 32, .prime = BN_get_rfc3526_prime_1536},
    {.group = KEY_EXCHANGE_MODP_2048, .exponent_bytes = 32, .prime = BN_get_rfc3526_prime_2048},
    {.group = KEY_EXCHANGE_MODP_3072, .exponent_bytes = 36, .prime = BN_get_rfc3526_prime_3072},
    {.group = KEY_EXCHANGE_MODP_4096, .exponent_bytes = 40, .prime = BN_get_rfc3526_prime_4096},
    {.group = KEY_EXCHANGE_MODP_6144, .exponent_bytes = 48, .prime = BN_get_rfc3526_prime_6144},
    {.group = KEY_EXCHANGE_MODP_8192, .exponent_bytes = 52, .prime = BN_get_rfc3526_prime_8192},
};

struct curve {
    uint16_t group;
    int nid;
    EC_GROUP *ec;
};

static struct curve curves[] = {
    {KEY_EXCHANGE_ECP_256, NID_X9_62_prime256v1, NULL},
    {KEY_EXCHANGE_ECP_384, NID_secp384r1, NULL},
    {KEY_EXCHANGE_ECP_521, NID_secp521r1, NULL},
    {KEY_EXCHANGE_ECP_192, NID_X9_62_prime192v1, NULL},
    {KEY_EXCHANGE_ECP_224, NID_secp224r1, NULL},
    {KEY_EXCHANGE_BRAINPOOL_224, NID_brainpoolP224r1, NULL},
    {KEY_EXCHANGE_BRAINPOOL_256, NID_brainpoolP256r1, NULL},
    {KEY_EXCHANGE_BRAINPOOL_384, NID_brainpoolP384r1, NULL},
    {KEY_EXCHANGE_BRAINPOOL_512, NID_brainpoolP512r1, NULL},
};

static CRYPTO_ONCE made = CRYPTO_ONCE_STATIC_INIT;

static void modp_make(struct modp *m, BN_CTX *numbers)
{
    m->p = m->prime(NULL);
    m->p_minus_1 = m->p == NULL ? NULL : BN_dup(m->p);
    m->montgomery = BN_MONT_CTX_new();
    if (m->p_minus_1 == NULL || BN_sub_word(m->p_minus_1, 1) != 1 || m->montgomery == NULL ||
        BN_MONT_CTX_set(m->montgomery, m->p, numbers) != 1) {
        BN_free(m->p);
        m->p = NULL; /* the group is refused */
    }
}

static void groups_make(void)
{
    BN_CTX *numbers = BN_CTX_new();

    for (size_t i = 0; numbers != NULL && i < ARRAY_LENGTH(modps); i++) {
        modp_make(&modps[i], numbers);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(curves); i++) {
        curves[i].ec = EC_GROUP_new_by_curve_name(curves[i].nid);
    }
    BN_CTX_free(numbers);
}

static const struct modp *modp_find(uint16_t group)
{
    (void)CRYPTO_THREAD_run_once(&made, groups_make);
    for (size_t i = 0; i < ARRAY_LENGTH(modps); i++) {
        if (modps[i].group == group && modps[i].p != NULL) {
            return &modps[i];
        }
    }
    return NULL;
}

static const struct curve *curve_find(uint16_t group)
{
    (void)CRYPTO_THREAD_run_once(&made, groups_make);
    for (size_t i = 0; i < ARRAY_LENGTH(curves); i++) {
        if (curves[i].group == group && curves[i].ec != NULL) {
            return &curves[i];
        }
    }
    return NULL;
}

static bool draw(struct random_source *random, struct secret *out, size_t length)
{
    if (!secret_reserve(out, length)) {
        return false;
    }
    random_fill(random, out->bytes, length);
    return true;
}

/* A number that is kept out of the timing of what is computed with it. */
static BIGNUM *secret_number(const struct secret *s)
{
    BIGNUM *number = BN_secure_new();

    if (number == NULL || BN_bin2bn(s->bytes, (int)s->length, number) == NULL) {
        BN_clear_free(number);
        return NULL;
    }
    BN_set_flags(number, BN_FLG_CONSTTIME);
    return number;
}

/* ---- MODP ---- */

/* base ^ private mod p, as long as the prime. */
static bool modp_power(const struct modp *m, const BIGNUM *base, const struct secret *private_key,
                       uint8_t *out, size_t length)
{
    BN_CTX *numbers = BN_CTX_new();
    BIGNUM *result = BN_new();
    BIGNUM *exponent = secret_number(private_key);
    bool done =
        numbers != NULL && result != NULL && exponent != NULL &&
        BN_mod_exp_mont_consttime(result, base, exponent, m->p, numbers, m->montgomery) == 1 &&
        BN_bn2binpad(result, out, (int)length) == (int)length;

    BN_clear_free(exponent);
    BN_clear_free(result);
    BN_CTX_free(numbers);
    return done;
}

static bool modp_make_pair(const struct modp *m, struct random_source *random, struct key_pair *out)
{
    BIGNUM *generator = BN_new();
    bool done = generator != NULL && BN_set_word(generator, 2) == 1 &&
                draw(random, &out->private_key, m->exponent_bytes);

    if (done) {
        /* The highest bit set, so that every exponent has the same length. */
        out->private_key.bytes[0] |= 0x80;
        done = modp_power(m, generator, &out->private_key, out->public_value, out->public_length);
    }
    BN_free(generator);
    return done;
}

static bool modp_agree(const struct modp *m, const struct key_pair *pair, struct slice peer,
                       struct secret *shared)
{
    BIGNUM *value = BN_bin2bn(peer.data, (int)peer.length, NULL);
    /* RFC 6989 2.1: 1 < r < p - 1. */
    bool done = value != NULL && BN_cmp(value, BN_value_one()) > 0 &&
                BN_cmp(value, m->p_minus_1) < 0 && secret_reserve(shared, peer.length) &&
                modp_power(m, value, &pair->private_key, shared->bytes, shared->length);

    BN_free(value);
    return done;
}

/* ---- Curves of the Weierstrass form ---- */

/* Uniform in 1 .. order-1: what lies outside is drawn again. */
static bool curve_draw(const struct curve *c, struct random_source *random, struct secret *out)
{
    const BIGNUM *order = EC_GROUP_get0_order(c->ec);
    size_t length = (size_t)BN_num_bytes(order);
    unsigned spare_bits = (unsigned)length * 8 - (unsigned)BN_num_bits(order);
    bool good = false;

    while (!good) {
        if (!draw(random, out, length)) {
            return false;
        }
        out->bytes[0] &= (uint8_t)(0xffU >> spare_bits);
        BIGNUM *number = secret_number(out);
        if (number == NULL) {
            return false;
        }
        good = !BN_is_zero(number) && BN_cmp(number, order) < 0;
        BN_clear_free(number);
    }
    return true;
}

/* private * (point, or the generator when NULL) as 0x04 | x | y. */
static bool curve_multiply(const struct curve *c, const EC_POINT *point,
                           const struct secret *private_key, uint8_t *out, size_t length)
{
    BN_CTX *numbers = BN_CTX_new();
    BIGNUM *scalar = secret_number(private_key);
    EC_POINT *result = EC_POINT_new(c->ec);
    bool done = false;

    if (numbers != NULL && scalar != NULL && result != NULL) {
        int good = point == NULL ? EC_POINT_mul(c->ec, result, scalar, NULL, NULL, numbers)
                                 : EC_POINT_mul(c->ec, result, NULL, point, scalar, numbers);
        done = good == 1 && EC_POINT_is_at_infinity(c->ec, result) == 0 &&
               EC_POINT_point2oct(c->ec, result, POINT_CONVERSION_UNCOMPRESSED, out, length,
                                  numbers) == length;
    }
    EC_POINT_clear_free(result);
    BN_clear_free(scalar);
    BN_CTX_free(numbers);
    return done;
}

#define CURVE_POINT_BYTES_MAX (1 + 2 * 66)

static bool curve_make_pair(const struct curve *c, struct random_source *random,
                            struct key_pair *out)
{
    uint8_t point[CURVE_POINT_BYTES_MAX];

    assert(out->public_length + 1U <= sizeof(point));
    if (!curve_draw(c, random, &out->private_key) ||
        !curve_multiply(c, NULL, &out->private_key, point, out->public_length + 1U)) {
        return false;
    }
    memcpy(out->public_value, point + 1, out->public_length);
    return true;
}

static bool curve_agree(const struct curve *c, const struct key_pair *pair, struct slice peer,
                        struct secret *shared)
{
    uint8_t encoded[CURVE_POINT_BYTES_MAX];
    uint8_t result[CURVE_POINT_BYTES_MAX];
    EC_POINT *point = EC_POINT_new(c->ec);

    assert(peer.length + 1 <= sizeof(encoded));
    encoded[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(encoded + 1, peer.data, peer.length);
    /* RFC 6989 2.3: the coordinates are smaller than the prime and on the curve, which libcrypto
     * sees to; all these curves have the cofactor 1, so every point on them is in the group. */
    bool done = point != NULL &&
                EC_POINT_oct2point(c->ec, point, encoded, peer.length + 1, NULL) == 1 &&
                EC_POINT_is_on_curve(c->ec, point, NULL) == 1 &&
                curve_multiply(c, point, &pair->private_key, result, peer.length + 1) &&
                secret_set(shared, (struct slice){result + 1, peer.length / 2});

    wipe(result, sizeof(result));
    EC_POINT_clear_free(point);
    return done;
}

/* ---- X25519 and X448 ---- */

static int montgomery_type(uint16_t group)
{
    return group == KEY_EXCHANGE_X25519 ? EVP_PKEY_X25519
           : group == KEY_EXCHANGE_X448 ? EVP_PKEY_X448
                                        : EVP_PKEY_NONE;
}

/* What libcrypto looks up by name costs a quarter of the exchange, so each thread looks it up once
 * for each of the two curves. */
struct montgomery_tools {
    EVP_PKEY_CTX *maker; /* of keys out of octets */
    EVP_PKEY *peer; /* its value is replaced for each exchange */
};

static CRYPTO_ONCE tools_made = CRYPTO_ONCE_STATIC_INIT;
static CRYPTO_THREAD_LOCAL tools_of_thread;
static bool tools_have_place;

static void tools_free(void *memory)
{
    struct montgomery_tools *tools = memory;

    for (size_t i = 0; tools != NULL && i < 2; i++) {
        EVP_PKEY_CTX_free(tools[i].maker);
        EVP_PKEY_free(tools[i].peer);
    }
    OPENSSL_free(tools);
}

static void tools_make_place(void)
{
    tools_have_place = CRYPTO_THREAD_init_local(&tools_of_thread, tools_free) == 1;
}

static struct montgomery_tools *montgomery_tools_get(int type)
{
    static const char *const names[2] = {"X25519", "X448"};
    size_t which = type == EVP_PKEY_X25519 ? 0 : 1;

    if (CRYPTO_THREAD_run_once(&tools_made, tools_make_place) != 1 || !tools_have_place) {
        return NULL;
    }
    struct montgomery_tools *tools = CRYPTO_THREAD_get_local(&tools_of_thread);

    if (tools == NULL) {
        tools = OPENSSL_zalloc(2 * sizeof(*tools));
        if (tools == NULL || CRYPTO_THREAD_set_local(&tools_of_thread, tools) != 1) {
            OPENSSL_free(tools);
            return NULL;
        }
    }
    if (tools[which].maker == NULL) {
        EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, names[which], NULL);

        if (maker == NULL || EVP_PKEY_fromdata_init(maker) != 1) {
            EVP_PKEY_CTX_free(maker);
            return NULL;
        }
        tools[which].maker = maker;
    }
    return &tools[which];
}

/* Our key. Without its public half, libcrypto computes that. */
static EVP_PKEY *montgomery_own(struct montgomery_tools *tools, const struct secret *private_key,
                                struct slice public_value)
{
    struct secret public_copy = {0};
    EVP_PKEY *key = NULL;

    if (secret_set(&public_copy, public_value)) {
        OSSL_PARAM with_public = OSSL_PARAM_construct_octet_string(
            OSSL_PKEY_PARAM_PUB_KEY, public_copy.bytes, public_copy.length);
        OSSL_PARAM parts[] = {
            OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, private_key->bytes,
                                              private_key->length),
            public_value.length > 0 ? with_public : OSSL_PARAM_construct_end(),
            OSSL_PARAM_construct_end(),
        };
        if (EVP_PKEY_fromdata(tools->maker, &key, EVP_PKEY_KEYPAIR, parts) != 1) {
            key = NULL;
        }
    }
    secret_wipe(&public_copy);
    return key;
}

/* A new key of ours; NULL when it was not made. */
static EVP_PKEY *montgomery_new(int type, struct random_source *random, struct key_pair *out)
{
    struct montgomery_tools *tools = montgomery_tools_get(type);
    size_t length = out->public_length;

    if (tools == NULL || !draw(random, &out->private_key, out->public_length)) {
        return NULL;
    }
    EVP_PKEY *key = montgomery_own(tools, &out->private_key, (struct slice){NULL, 0});

    if (key != NULL && (EVP_PKEY_get_raw_public_key(key, out->public_value, &length) != 1 ||
                        length != out->public_length)) {
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

static bool montgomery_make_pair(int type, struct random_source *random, struct key_pair *out)
{
    EVP_PKEY *key = montgomery_new(type, random, out);

    EVP_PKEY_free(key);
    return key != NULL;
}

static EVP_PKEY *montgomery_peer(int type, struct montgomery_tools *tools, struct slice peer)
{
    if (tools->peer == NULL) {
        tools->peer = EVP_PKEY_new_raw_public_key(type, NULL, peer.data, peer.length);
    } else if (EVP_PKEY_set1_encoded_public_key(tools->peer, peer.data, peer.length) != 1) {
        EVP_PKEY_free(tools->peer);
        tools->peer = NULL;
    }
    return tools->peer;
}

static bool montgomery_derive(int type, EVP_PKEY *own, struct slice peer, struct secret *shared)
{
    struct montgomery_tools *tools = montgomery_tools_get(type);
    EVP_PKEY *other = own == NULL || tools == NULL ? NULL : montgomery_peer(type, tools, peer);
    EVP_PKEY_CTX *context = other == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
    size_t length = peer.length;
    bool done = context != NULL && secret_reserve(shared, length) &&
                EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_derive_set_peer_ex(context, other, 0) == 1 &&
                EVP_PKEY_derive(context, shared->bytes, &length) == 1 && length == shared->length;

    if (done) {
        /* RFC 8031 2.1 with RFC 7748 6: a point of small order gives zeros, which are refused. */
        uint8_t any = 0;
        for (size_t i = 0; i < length; i++) {
            any |= shared->bytes[i];
        }
        done = any != 0;
    }
    EVP_PKEY_CTX_free(context);
    return done;
}

static bool montgomery_agree(int type, const struct key_pair *pair, struct slice peer,
                             struct secret *shared)
{
    struct montgomery_tools *tools = montgomery_tools_get(type);
    /* With its public half, which libcrypto would otherwise compute once more. */
    EVP_PKEY *own = tools == NULL
                        ? NULL
                        : montgomery_own(tools, &pair->private_key,
                                         (struct slice){pair->public_value, pair->public_length});
    bool done = montgomery_derive(type, own, peer, shared);

    EVP_PKEY_free(own);
    return done;
}

/* The key of the answer is made once for both. */
static bool montgomery_answer(int type, struct random_source *random, struct slice peer,
                              struct key_pair *out, struct secret *shared)
{
    EVP_PKEY *own = montgomery_new(type, random, out);
    bool done = montgomery_derive(type, own, peer, shared);

    EVP_PKEY_free(own);
    return done;
}

/* ---- ML-KEM ---- */

/* False: another group. */
static bool ml_kem_find(uint16_t group, enum ml_kem_set *out)
{
    switch (group) {
    case KEY_EXCHANGE_ML_KEM_512:
        *out = ML_KEM_512;
        return true;
    case KEY_EXCHANGE_ML_KEM_768:
        *out = ML_KEM_768;
        return true;
    case KEY_EXCHANGE_ML_KEM_1024:
        *out = ML_KEM_1024;
        return true;
    default:
        return false;
    }
}

/* Whose ML-KEM: libcrypto's where it has one that agrees with ours. Written at the start alone. */
static bool kem_of_openssl;
static char report[64] = "ML-KEM: own";

void key_exchange_start(void)
{
    kem_of_openssl = ml_kem_openssl_is_good();
    snprintf(report, sizeof(report), "ML-KEM: %s%s", kem_of_openssl ? "openssl " : "own",
             kem_of_openssl ? OpenSSL_version(OPENSSL_VERSION_STRING) : "");
}

const char *key_exchange_report(void)
{
    return report;
}

/* The seed is the private key: it is short, and the long form is made again in less time than a
 * curve takes. */
static bool kem_make_pair(enum ml_kem_set set, struct random_source *random, struct key_pair *out)
{
    if (!draw(random, &out->private_key, ML_KEM_SEED_BYTES)) {
        return false;
    }
    return kem_of_openssl ? ml_kem_openssl_make(set, out->private_key.bytes, out->public_value)
                          : ml_kem_make(set, out->private_key.bytes, out->public_value, NULL);
}

static bool kem_answer(enum ml_kem_set set, struct random_source *random, struct slice peer,
                       struct key_pair *out, struct secret *shared)
{
    struct secret message = {0};
    bool done =
        draw(random, &message, ML_KEM_MESSAGE_BYTES) && secret_reserve(shared, ML_KEM_SHARED_BYTES);

    if (done && kem_of_openssl) {
        done =
            ml_kem_openssl_encapsulate(set, peer, message.bytes, out->public_value, shared->bytes);
    } else if (done) {
        done = ml_kem_encapsulate(set, peer, message.bytes, out->public_value, shared->bytes);
    }
    secret_wipe(&message);
    return done;
}

static bool kem_agree(enum ml_kem_set set, const struct key_pair *pair, struct slice peer,
                      struct secret *shared)
{
    uint8_t private_key[ML_KEM_PRIVATE_BYTES_MAX];
    struct slice whole = {private_key, ml_kem_private_bytes(set)};

    if (pair->private_key.length != ML_KEM_SEED_BYTES ||
        !secret_reserve(shared, ML_KEM_SHARED_BYTES)) {
        return false;
    }
    if (kem_of_openssl) {
        return ml_kem_openssl_decapsulate(set, pair->private_key.bytes, peer, shared->bytes);
    }
    bool done = ml_kem_make(set, pair->private_key.bytes, NULL, private_key) &&
                ml_kem_decapsulate(set, whole, peer, shared->bytes);

    wipe(private_key, sizeof(private_key));
    return done;
}

/* ---- The door ---- */

bool key_pair_make(uint16_t group, struct random_source *random, struct key_pair *out)
{
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_KEY_EXCHANGE, group);
    const struct modp *modp = modp_find(group);
    const struct curve *curve = curve_find(group);
    int montgomery = montgomery_type(group);
    enum ml_kem_set kem;
    bool done = false;

    *out = (struct key_pair){.group = group};
    if (algorithm == NULL) {
        return false;
    }
    out->public_length = algorithm->public_bytes;
    if (modp != NULL) {
        done = modp_make_pair(modp, random, out);
    } else if (curve != NULL) {
        done = curve_make_pair(curve, random, out);
    } else if (montgomery != EVP_PKEY_NONE) {
        done = montgomery_make_pair(montgomery, random, out);
    } else if (ml_kem_find(group, &kem)) {
        done = kem_make_pair(kem, random, out);
    }
    if (!done) {
        key_pair_wipe(out);
    }
    return done;
}

void key_pair_wipe(struct key_pair *pair)
{
    secret_wipe(&pair->private_key);
    wipe(pair, sizeof(*pair));
}

bool key_agree(const struct key_pair *pair, struct slice peer_public, struct secret *shared)
{
    const struct modp *modp = modp_find(pair->group);
    const struct curve *curve = curve_find(pair->group);
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_KEY_EXCHANGE, pair->group);
    int montgomery = montgomery_type(pair->group);
    enum ml_kem_set kem;
    bool done = false;

    secret_wipe(shared);
    if (pair->public_length == 0 || algorithm == NULL ||
        peer_public.length != algorithm->answer_bytes) {
        return false;
    }
    if (modp != NULL) {
        done = modp_agree(modp, pair, peer_public, shared);
    } else if (curve != NULL) {
        done = curve_agree(curve, pair, peer_public, shared);
    } else if (montgomery != EVP_PKEY_NONE) {
        done = montgomery_agree(montgomery, pair, peer_public, shared);
    } else if (ml_kem_find(pair->group, &kem)) {
        done = kem_agree(kem, pair, peer_public, shared);
    }
    if (!done) {
        secret_wipe(shared);
    }
    return done;
}

bool key_answer(uint16_t group, struct random_source *random, struct slice peer_public,
                struct key_pair *out, struct secret *shared)
{
    const struct algorithm *algorithm = algorithm_find(TRANSFORM_KEY_EXCHANGE, group);
    enum ml_kem_set kem;
    bool done;

    secret_wipe(shared);
    *out = (struct key_pair){.group = group};
    if (algorithm == NULL || peer_public.length != algorithm->public_bytes) {
        return false;
    }
    if (ml_kem_find(group, &kem)) {
        out->public_length = algorithm->answer_bytes;
        done = kem_answer(kem, random, peer_public, out, shared);
    } else if (montgomery_type(group) != EVP_PKEY_NONE) {
        out->public_length = algorithm->public_bytes;
        done = montgomery_answer(montgomery_type(group), random, peer_public, out, shared);
    } else {
        done = key_pair_make(group, random, out) && key_agree(out, peer_public, shared);
    }
    if (!done) {
        key_pair_wipe(out);
        secret_wipe(shared);
    }
    return done;
}

bool key_exchange_step(uint16_t group, struct random_source *random, bool has_pair,
                       struct key_pair *pair, struct slice peer_public, struct secret *shared)
{
    if (has_pair) {
        return peer_public.length == 0 || key_agree(pair, peer_public, shared);
    }
    return peer_public.length == 0 ? key_pair_make(group, random, pair)
                                   : key_answer(group, random, peer_public, pair, shared);
}
