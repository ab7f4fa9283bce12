/*
 * Keys that sign: decides which ones are taken, and in which forms they come from files.
 *
 * Public keys of strangers arrive here first, so what libcrypto would let pass is looked at: RSA
 * with an even modulus or exponent, an exponent of 1, curves given by numbers instead of a name
 * (RFC 5480 2.1.1), sizes that only cost time.
 */
#include "crypto/signing_key.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "crypto/signing_key_internal.h"

#define RSA_EXPONENT_BITS_MAX 64

/* ---- what is taken ---- */

static bool rsa_is_sound(const EVP_PKEY *pkey)
{
    BIGNUM *modulus = NULL;
    BIGNUM *exponent = NULL;
    bool sound = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 &&
                 EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 &&
                 !BN_is_negative(modulus) && BN_is_odd(modulus) &&
                 BN_num_bits(modulus) >= KEY_RSA_BITS_MIN_LEGACY &&
                 BN_num_bits(modulus) <= KEY_RSA_BITS_MAX && !BN_is_negative(exponent) &&
                 BN_is_odd(exponent) && !BN_is_one(exponent) &&
                 BN_num_bits(exponent) <= RSA_EXPONENT_BITS_MAX;

    BN_free(modulus);
    BN_free(exponent);
    return sound;
}

static bool curve_kind(const EVP_PKEY *pkey, enum key_kind *kind)
{
    static const struct {
        const char *name;
        enum key_kind kind;
    } curves[] = {{"prime256v1", KEY_P256}, {"secp384r1", KEY_P384}, {"secp521r1", KEY_P521}};
    char name[64];
    size_t length;
    int explicit_parameters = 1;

    if (EVP_PKEY_get_group_name(pkey, name, sizeof(name), &length) != 1 ||
        EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                               &explicit_parameters) != 1 ||
        explicit_parameters != 0) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(curves); i++) {
        if (strcmp(curves[i].name, name) == 0) {
            *kind = curves[i].kind;
            return true;
        }
    }
    return false;
}

static bool point_is_sound(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    bool sound = context != NULL && EVP_PKEY_public_check(context) == 1;

    EVP_PKEY_CTX_free(context);
    return sound;
}

/* Sizes first: what is larger only costs time. */
static bool dsa_is_sound(EVP_PKEY *pkey)
{
    BIGNUM *prime = NULL;
    BIGNUM *order = NULL;
    bool sound = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_FFC_P, &prime) == 1 &&
                 EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_FFC_Q, &order) == 1 &&
                 BN_is_odd(prime) && BN_num_bits(prime) >= KEY_DSA_BITS_MIN &&
                 BN_num_bits(prime) <= KEY_DSA_BITS_MAX && BN_is_odd(order) &&
                 BN_num_bits(order) == KEY_DSA_SUBGROUP_BITS;

    BN_free(prime);
    BN_free(order);
    return sound && point_is_sound(pkey);
}

static bool kind_of(EVP_PKEY *pkey, enum key_kind *kind)
{
    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        *kind = KEY_RSA;
        return rsa_is_sound(pkey);
    case EVP_PKEY_EC:
        return curve_kind(pkey, kind) && point_is_sound(pkey);
    case EVP_PKEY_ED25519:
        *kind = KEY_ED25519;
        return true;
    case EVP_PKEY_ED448:
        *kind = KEY_ED448;
        return true;
    case EVP_PKEY_DSA:
        *kind = KEY_DSA;
        return dsa_is_sound(pkey);
    default:
        return false;
    }
}

struct public_key *public_key_over(EVP_PKEY *pkey)
{
    enum key_kind kind = KEY_RSA;
    bool taken = pkey != NULL && kind_of(pkey, &kind);
    struct public_key *key = taken ? calloc(1, sizeof(*key)) : NULL;

    ERR_clear_error();
    if (key == NULL) {
        return NULL;
    }
    if (EVP_PKEY_up_ref(pkey) != 1) {
        free(key);
        return NULL;
    }
    key->pkey = pkey;
    key->kind = kind;
    key->bits = (unsigned)EVP_PKEY_get_bits(pkey);
    key->holders = 1;
    return key;
}

struct private_key *private_key_over(EVP_PKEY *pkey)
{
    struct public_key *public = public_key_over(pkey);
    struct private_key *key = public == NULL ? NULL : calloc(1, sizeof(*key));

    if (key != NULL && EVP_PKEY_up_ref(pkey) == 1) {
        *key = (struct private_key){
            .pkey = pkey, .kind = public->kind, .bits = public->bits, .holders = 1};
    } else {
        free(key);
        key = NULL;
    }
    public_key_free(public);
    return key;
}

/* ---- public keys ---- */

struct public_key *public_key_read(struct slice spki)
{
    const unsigned char *at = spki.data;

    if (spki.length == 0 || spki.length > KEY_SPKI_BYTES_MAX) {
        return NULL;
    }
    EVP_PKEY *pkey = d2i_PUBKEY(NULL, &at, (long)spki.length);
    unsigned char *again = NULL;
    int length = pkey != NULL ? i2d_PUBKEY(pkey, &again) : 0;
    /* DER has one encoding; libcrypto reads some others too. */
    bool exact = length > 0 && slice_equal((struct slice){again, (size_t)length}, spki);
    struct public_key *key = exact ? public_key_over(pkey) : NULL;

    OPENSSL_free(again);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return key;
}

struct public_key *public_key_hold(struct public_key *key)
{
    __atomic_add_fetch(&key->holders, 1, __ATOMIC_RELAXED);
    return key;
}

void public_key_free(struct public_key *key)
{
    if (key != NULL && __atomic_sub_fetch(&key->holders, 1, __ATOMIC_ACQ_REL) == 0) {
        EVP_PKEY_free(key->pkey);
        free(key);
    }
}

enum key_kind public_key_kind(const struct public_key *key)
{
    return key->kind;
}

unsigned public_key_bits(const struct public_key *key)
{
    return key->bits;
}

bool public_key_is_strong(const struct public_key *key, bool legacy)
{
    return key->kind == KEY_DSA
               ? legacy
               : key->kind != KEY_RSA ||
                     key->bits >= (legacy ? KEY_RSA_BITS_MIN_LEGACY : KEY_RSA_BITS_MIN);
}

bool public_key_equal(const struct public_key *a, const struct public_key *b)
{
    return EVP_PKEY_eq(a->pkey, b->pkey) == 1;
}

bool public_key_write(const struct public_key *key, struct writer *w)
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(key->pkey, &der);

    if (length > 0) {
        write_slice(w, (struct slice){der, (size_t)length});
    }
    OPENSSL_free(der);
    return length > 0 && writer_ok(w);
}

/* ---- private keys ---- */

struct passphrase {
    struct slice known;
    bool asked;
};

/* Without this libcrypto would ask whoever sits at the terminal. */
static int give_passphrase(char *out, int capacity, int writing, void *context)
{
    struct passphrase *p = context;

    (void)writing;
    p->asked = true;
    if (p->known.length == 0 || p->known.length > (size_t)capacity) {
        return -1;
    }
    memcpy(out, p->known.data, p->known.length);
    return (int)p->known.length;
}

static EVP_PKEY *read_der(BIO *bio, struct passphrase *p)
{
    EVP_PKEY *pkey = d2i_PrivateKey_bio(bio, NULL);

    if (pkey == NULL && BIO_reset(bio) == 1) {
        pkey = d2i_PKCS8PrivateKey_bio(bio, NULL, give_passphrase, p);
    }
    return pkey;
}

enum private_key_problem private_key_read(struct slice bytes, struct slice passphrase,
                                          struct private_key **out)
{
    struct passphrase p = {.known = passphrase};

    *out = NULL;
    if (bytes.length == 0 || bytes.length > PRIVATE_KEY_FILE_BYTES_MAX) {
        return PRIVATE_KEY_UNREADABLE;
    }
    BIO *bio = BIO_new_mem_buf(bytes.data, (int)bytes.length);
    EVP_PKEY *pkey = NULL;

    if (bio == NULL) {
        return PRIVATE_KEY_NO_MEMORY;
    }
    pkey = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &p);
    if (pkey == NULL && !p.asked && BIO_reset(bio) == 1) {
        pkey = read_der(bio, &p);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (pkey == NULL) {
        return !p.asked                 ? PRIVATE_KEY_UNREADABLE
               : passphrase.length == 0 ? PRIVATE_KEY_NEEDS_PASSPHRASE
                                        : PRIVATE_KEY_WRONG_PASSPHRASE;
    }
    *out = private_key_over(pkey);
    EVP_PKEY_free(pkey);
    return *out != NULL ? PRIVATE_KEY_FINE : PRIVATE_KEY_UNSUPPORTED;
}

/* Its primes take most of the time. */
static EVP_PKEY *make_dsa(unsigned bits)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_DSA, NULL);
    EVP_PKEY *parameters = NULL;
    EVP_PKEY *pkey = NULL;
    bool made = context != NULL && EVP_PKEY_paramgen_init(context) == 1 &&
                EVP_PKEY_CTX_set_dsa_paramgen_bits(context, (int)bits) == 1 &&
                EVP_PKEY_CTX_set_dsa_paramgen_q_bits(context, KEY_DSA_SUBGROUP_BITS) == 1 &&
                EVP_PKEY_paramgen(context, &parameters) == 1;

    EVP_PKEY_CTX_free(context);
    context = made ? EVP_PKEY_CTX_new(parameters, NULL) : NULL;
    if (context == NULL || EVP_PKEY_keygen_init(context) != 1 ||
        EVP_PKEY_keygen(context, &pkey) != 1) {
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(parameters);
    return pkey;
}

struct private_key *private_key_make(enum key_kind kind, unsigned rsa_bits)
{
    EVP_PKEY *pkey = NULL;

    switch (kind) {
    case KEY_RSA:
        pkey = EVP_RSA_gen(rsa_bits);
        break;
    case KEY_P256:
        pkey = EVP_EC_gen("P-256");
        break;
    case KEY_P384:
        pkey = EVP_EC_gen("P-384");
        break;
    case KEY_P521:
        pkey = EVP_EC_gen("P-521");
        break;
    case KEY_ED25519:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        break;
    case KEY_ED448:
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
        break;
    case KEY_DSA:
        pkey = make_dsa(rsa_bits);
        break;
    }
    struct private_key *key = private_key_over(pkey);

    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return key;
}

struct private_key *private_key_kept(const struct public_key *public,
                                     const struct key_keeper *keeper, void *kept, bool pss)
{
    struct private_key *key = private_key_over(public->pkey);

    if (key == NULL) {
        keeper->release(kept);
        return NULL;
    }
    key->keeper = keeper;
    key->kept = kept;
    key->no_pss = !pss;
    return key;
}

struct private_key *private_key_hold(struct private_key *key)
{
    __atomic_add_fetch(&key->holders, 1, __ATOMIC_RELAXED);
    return key;
}

void private_key_free(struct private_key *key)
{
    if (key != NULL && __atomic_sub_fetch(&key->holders, 1, __ATOMIC_ACQ_REL) == 0) {
        if (key->keeper != NULL) {
            key->keeper->release(key->kept);
        }
        EVP_PKEY_free(key->pkey); /* libcrypto wipes what is secret of it */
        free(key);
    }
}

struct public_key *private_key_public(const struct private_key *key)
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(key->pkey, &der);
    struct public_key *public =
        length > 0 ? public_key_read((struct slice){der, (size_t)length}) : NULL;

    OPENSSL_free(der);
    return public;
}

bool private_key_fits(const struct private_key *key, const struct public_key *other)
{
    return EVP_PKEY_eq(key->pkey, other->pkey) == 1;
}

bool private_key_write(const struct private_key *key, struct slice passphrase, struct writer *out)
{
    BIO *bio = key->keeper != NULL ? NULL : BIO_new(BIO_s_secmem());
    char *data = NULL;
    bool encrypted = passphrase.length > 0;
    /* The length is given, so no question is asked. */
    bool done = bio != NULL && passphrase.length <= INT_MAX &&
                PEM_write_bio_PKCS8PrivateKey(bio, key->pkey, encrypted ? EVP_aes_256_cbc() : NULL,
                                              encrypted ? (const char *)passphrase.data : NULL,
                                              (int)passphrase.length, NULL, NULL) == 1;
    long length = done ? BIO_get_mem_data(bio, &data) : 0;

    if (length > 0) {
        write_slice(out, (struct slice){(const uint8_t *)data, (size_t)length});
    }
    if (data != NULL) {
        wipe(data, (size_t)length);
    }
    BIO_free(bio);
    ERR_clear_error();
    return length > 0 && writer_ok(out);
}

/* ---- words ---- */

void key_title(enum key_kind kind, unsigned bits, struct text *out)
{
    switch (kind) {
    case KEY_RSA:
        text_addf(out, "RSA %u", bits);
        return;
    case KEY_P256:
        text_add(out, "P-256");
        return;
    case KEY_P384:
        text_add(out, "P-384");
        return;
    case KEY_P521:
        text_add(out, "P-521");
        return;
    case KEY_ED25519:
        text_add(out, "Ed25519");
        return;
    case KEY_ED448:
        text_add(out, "Ed448");
        return;
    case KEY_DSA:
        text_addf(out, "DSA %u", bits);
        return;
    }
}

const char *private_key_problem_words(enum private_key_problem problem)
{
    switch (problem) {
    case PRIVATE_KEY_FINE:
        return "it is fine";
    case PRIVATE_KEY_UNREADABLE:
        return "it is not a private key in PEM or DER";
    case PRIVATE_KEY_NEEDS_PASSPHRASE:
        return "it is encrypted, and no passphrase is known for it";
    case PRIVATE_KEY_WRONG_PASSPHRASE:
        return "the passphrase does not open it";
    case PRIVATE_KEY_UNSUPPORTED:
        return "it is neither RSA of 1024 to 8192 bits nor P-256, P-384, P-521, Ed25519, Ed448 or "
               "DSA "
               "with a subgroup of 160 bits";
    case PRIVATE_KEY_NO_MEMORY:
        return "there is no memory for it";
    }
    assert(false);
    return "";
}
