/*
 * Signatures: decides which are known, how they are named on the wire, and which octets are one.
 *
 * All arithmetic is libcrypto's. What is checked here besides: the scheme fits the key, the
 * signature is as long as it must be, and the AlgorithmIdentifier of RFC 7427 is one of those that
 * name our schemes and no other.
 */
#include "crypto/signature.h"

#include <assert.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "crypto/signing_key_internal.h"

enum padding { PADDING_NONE, PADDING_PKCS1, PADDING_PSS };

struct scheme {
    const char *title;
    enum signature_hash hash;
    enum padding padding;
    uint32_t kinds; /* bits of enum key_kind */
    uint8_t raw_bytes; /* of r and of s each, where the signature is r | s */
    struct slice algorithm;
    bool bare; /* the message is the hash */
};

#define KINDS_RSA (1U << KEY_RSA)
#define KINDS_EC (1U << KEY_P256 | 1U << KEY_P384 | 1U << KEY_P521)
#define BYTES(literal)                                                                             \
    {                                                                                              \
        (const uint8_t *)(literal), sizeof(literal) - 1                                            \
    }

#define OID_PKCS1 "\x2a\x86\x48\x86\xf7\x0d\x01\x01"
#define OID_SHA2 "\x60\x86\x48\x01\x65\x03\x04\x02"
/* RFC 7427 A.1: NULL must be there. */
#define RSA_ALGORITHM(last) "\x30\x0d\x06\x09" OID_PKCS1 last "\x05\x00"
/* RFC 7427 A.4.3; the trailer field is the default one and DER leaves it out (RFC 4055 3.1). */
#define PSS_ALGORITHM(hash, salt)                                                                  \
    "\x30\x41\x06\x09" OID_PKCS1 "\x0a\x30\x34\xa0\x0f\x30\x0d\x06\x09" OID_SHA2 hash              \
    "\x05\x00\xa1\x1c\x30\x1a\x06\x09" OID_PKCS1 "\x08\x30\x0d\x06\x09" OID_SHA2 hash              \
    "\x05\x00\xa2\x03\x02\x01" salt
/* RFC 7427 A.3: no parameters. */
#define ECDSA_ALGORITHM(last) "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" last

static const struct scheme schemes[SIGNATURE_SCHEMES] = {
    [SIGNATURE_RSA_SHA1] = {"RSA with SHA-1", SIGNATURE_HASH_SHA1, PADDING_PKCS1, KINDS_RSA, 0,
                            BYTES(RSA_ALGORITHM("\x05"))},
    [SIGNATURE_RSA_SHA256] = {"RSA with SHA-256", SIGNATURE_HASH_SHA256, PADDING_PKCS1, KINDS_RSA,
                              0, BYTES(RSA_ALGORITHM("\x0b"))},
    [SIGNATURE_RSA_SHA384] = {"RSA with SHA-384", SIGNATURE_HASH_SHA384, PADDING_PKCS1, KINDS_RSA,
                              0, BYTES(RSA_ALGORITHM("\x0c"))},
    [SIGNATURE_RSA_SHA512] = {"RSA with SHA-512", SIGNATURE_HASH_SHA512, PADDING_PKCS1, KINDS_RSA,
                              0, BYTES(RSA_ALGORITHM("\x0d"))},
    [SIGNATURE_PSS_SHA256] = {"RSA-PSS with SHA-256", SIGNATURE_HASH_SHA256, PADDING_PSS, KINDS_RSA,
                              0, BYTES(PSS_ALGORITHM("\x01", "\x20"))},
    [SIGNATURE_PSS_SHA384] = {"RSA-PSS with SHA-384", SIGNATURE_HASH_SHA384, PADDING_PSS, KINDS_RSA,
                              0, BYTES(PSS_ALGORITHM("\x02", "\x30"))},
    [SIGNATURE_PSS_SHA512] = {"RSA-PSS with SHA-512", SIGNATURE_HASH_SHA512, PADDING_PSS, KINDS_RSA,
                              0, BYTES(PSS_ALGORITHM("\x03", "\x40"))},
    [SIGNATURE_ECDSA_SHA256] = {"ECDSA with SHA-256", SIGNATURE_HASH_SHA256, PADDING_NONE, KINDS_EC,
                                0, BYTES(ECDSA_ALGORITHM("\x02"))},
    [SIGNATURE_ECDSA_SHA384] = {"ECDSA with SHA-384", SIGNATURE_HASH_SHA384, PADDING_NONE, KINDS_EC,
                                0, BYTES(ECDSA_ALGORITHM("\x03"))},
    [SIGNATURE_ECDSA_SHA512] = {"ECDSA with SHA-512", SIGNATURE_HASH_SHA512, PADDING_NONE, KINDS_EC,
                                0, BYTES(ECDSA_ALGORITHM("\x04"))},
    [SIGNATURE_RAW_P256] =
        {"ECDSA P-256", SIGNATURE_HASH_SHA256, PADDING_NONE, 1U << KEY_P256, 32, {NULL, 0}},
    [SIGNATURE_RAW_P384] =
        {"ECDSA P-384", SIGNATURE_HASH_SHA384, PADDING_NONE, 1U << KEY_P384, 48, {NULL, 0}},
    [SIGNATURE_RAW_P521] =
        {"ECDSA P-521", SIGNATURE_HASH_SHA512, PADDING_NONE, 1U << KEY_P521, 66, {NULL, 0}},
    /* RFC 8420 A: no parameters. */
    [SIGNATURE_ED25519] = {"Ed25519", SIGNATURE_HASH_IDENTITY, PADDING_NONE, 1U << KEY_ED25519, 0,
                           BYTES("\x30\x05\x06\x03\x2b\x65\x70")},
    [SIGNATURE_ED448] = {"Ed448", SIGNATURE_HASH_IDENTITY, PADDING_NONE, 1U << KEY_ED448, 0,
                         BYTES("\x30\x05\x06\x03\x2b\x65\x71")},
    [SIGNATURE_BARE_RSA] =
        {"RSA of IKEv1", SIGNATURE_HASH_IDENTITY, PADDING_PKCS1, KINDS_RSA, 0, {NULL, 0}, true},
    [SIGNATURE_BARE_P256] = {"ECDSA P-256 of IKEv1",
                             SIGNATURE_HASH_IDENTITY,
                             PADDING_NONE,
                             1U << KEY_P256,
                             32,
                             {NULL, 0},
                             true},
    [SIGNATURE_BARE_P384] = {"ECDSA P-384 of IKEv1",
                             SIGNATURE_HASH_IDENTITY,
                             PADDING_NONE,
                             1U << KEY_P384,
                             48,
                             {NULL, 0},
                             true},
    [SIGNATURE_BARE_P521] = {"ECDSA P-521 of IKEv1",
                             SIGNATURE_HASH_IDENTITY,
                             PADDING_NONE,
                             1U << KEY_P521,
                             66,
                             {NULL, 0},
                             true},
    [SIGNATURE_BARE_DSA] = {"DSS of IKEv1",
                            SIGNATURE_HASH_IDENTITY,
                            PADDING_NONE,
                            1U << KEY_DSA,
                            KEY_DSA_SUBGROUP_BITS / 8,
                            {NULL, 0},
                            true},
};

#define DSA_BYTES (KEY_DSA_SUBGROUP_BITS / 8)
#define BARE_BYTES_MIN 16 /* hashes, of MD5 to SHA-512 */
#define BARE_BYTES_MAX 64

static const struct scheme *scheme_get(enum signature_scheme scheme)
{
    assert(scheme > SIGNATURE_NONE);
    assert(scheme < SIGNATURE_SCHEMES);
    return &schemes[scheme];
}

const char *signature_title(enum signature_scheme scheme)
{
    return scheme == SIGNATURE_NONE ? "none" : scheme_get(scheme)->title;
}

bool signature_fits_key(enum signature_scheme scheme, enum key_kind kind)
{
    return scheme != SIGNATURE_NONE && (scheme_get(scheme)->kinds & 1U << kind) != 0;
}

bool signature_is_strong(enum signature_scheme scheme)
{
    return scheme_get(scheme)->hash != SIGNATURE_HASH_SHA1;
}

struct slice signature_algorithm(enum signature_scheme scheme)
{
    return scheme_get(scheme)->algorithm;
}

/* ---- AlgorithmIdentifier of RSASSA-PSS ---- */

/* One DER element of that tag whose length fits in one octet, as all of these do. */
static struct reader der_within(struct reader *r, uint8_t tag)
{
    if (read_u8(r) != tag) {
        reader_fail(r);
    }
    uint8_t length = read_u8(r);

    if (length > 0x7f) {
        reader_fail(r);
    }
    return read_within(r, length);
}

static bool der_is(struct reader *r, uint8_t tag, struct slice value)
{
    struct reader body = der_within(r, tag);
    struct slice rest = read_rest(&body);

    return reader_ok(r) && slice_equal(rest, value);
}

/* The hash within { OID [NULL] }: RFC 4055 2.1 wants both forms accepted. 0: another. */
static uint8_t read_hash(struct reader *r)
{
    struct reader algorithm = der_within(r, 0x30);
    struct reader oid = der_within(&algorithm, 0x06);
    struct slice prefix = read_bytes(&oid, 8);
    uint8_t last = read_u8(&oid);

    if (!reader_done(&oid) || !slice_equal(prefix, SLICE_TEXT(OID_SHA2)) ||
        (reader_left(&algorithm) > 0 && !der_is(&algorithm, 0x05, (struct slice){NULL, 0})) ||
        !reader_done(&algorithm)) {
        return 0;
    }
    return last;
}

/* RFC 8247 3.2.1: never the defaults, which are SHA-1. Hash, mask with the same hash, and a salt of
 * the hash's length are there; the trailer may be, as RFC 7427 A.4.3 prints it. */
static enum signature_scheme read_pss(struct slice der)
{
    struct reader r = reader_over(der);
    struct reader whole = der_within(&r, 0x30);
    bool is_pss = reader_ok(&r) && der_is(&whole, 0x06, SLICE_TEXT(OID_PKCS1 "\x0a"));
    struct reader parameters = der_within(&whole, 0x30);
    struct reader hash = der_within(&parameters, 0xa0);
    uint8_t digest = read_hash(&hash);
    struct reader mask = der_within(&parameters, 0xa1);
    struct reader mask_algorithm = der_within(&mask, 0x30);
    bool is_mgf1 = der_is(&mask_algorithm, 0x06, SLICE_TEXT(OID_PKCS1 "\x08"));
    uint8_t mask_digest = read_hash(&mask_algorithm);
    struct reader salt = der_within(&parameters, 0xa2);
    struct reader salt_number = der_within(&salt, 0x02);
    uint8_t salt_bytes = read_u8(&salt_number);
    bool trailer_is_default = reader_left(&parameters) == 0 ||
                              der_is(&parameters, 0xa3, SLICE_TEXT("\x02\x01\x01")); /* INTEGER 1 */

    if (!is_pss || !is_mgf1 || !trailer_is_default || digest != mask_digest || !reader_done(&r) ||
        !reader_done(&whole) || !reader_done(&parameters) || !reader_done(&hash) ||
        !reader_done(&mask) || !reader_done(&mask_algorithm) || !reader_done(&salt) ||
        !reader_done(&salt_number)) {
        return SIGNATURE_NONE;
    }
    return digest == 1 && salt_bytes == 32   ? SIGNATURE_PSS_SHA256
           : digest == 2 && salt_bytes == 48 ? SIGNATURE_PSS_SHA384
           : digest == 3 && salt_bytes == 64 ? SIGNATURE_PSS_SHA512
                                             : SIGNATURE_NONE;
}

enum signature_scheme signature_read_algorithm(struct slice der)
{
    for (unsigned i = SIGNATURE_NONE + 1; i < SIGNATURE_SCHEMES; i++) {
        if (schemes[i].algorithm.length > 0 && slice_equal(schemes[i].algorithm, der)) {
            return (enum signature_scheme)i;
        }
    }
    return read_pss(der);
}

/* ---- which hash, which scheme ---- */

bool signature_read_hashes(struct slice data, uint32_t *set)
{
    struct reader r = reader_over(data);

    *set = 0;
    while (reader_left(&r) > 0) {
        uint16_t hash = read_u16(&r);

        if (hash >= SIGNATURE_HASH_SHA1 && hash <= SIGNATURE_HASH_IDENTITY) {
            *set |= SIGNATURE_HASH_BIT(hash);
        }
    }
    return reader_done(&r);
}

void signature_write_hashes(struct writer *w, uint32_t set)
{
    for (unsigned hash = SIGNATURE_HASH_SHA1; hash <= SIGNATURE_HASH_IDENTITY; hash++) {
        if ((set & SIGNATURE_HASH_BIT(hash)) != 0) {
            write_u16(w, (uint16_t)hash);
        }
    }
}

uint32_t signature_own_hashes(bool legacy)
{
    return SIGNATURE_HASH_BIT(SIGNATURE_HASH_SHA256) | SIGNATURE_HASH_BIT(SIGNATURE_HASH_SHA384) |
           SIGNATURE_HASH_BIT(SIGNATURE_HASH_SHA512) | SIGNATURE_HASH_BIT(SIGNATURE_HASH_IDENTITY) |
           (legacy ? SIGNATURE_HASH_BIT(SIGNATURE_HASH_SHA1) : 0);
}

/* In the order in which they are wanted; RFC 8247 3.2: PSS before PKCS#1 v1.5. A hash of about the
 * key's strength is enough, and what is larger helps nobody. */
static const enum signature_scheme for_rsa[] = {
    SIGNATURE_PSS_SHA256, SIGNATURE_PSS_SHA384, SIGNATURE_PSS_SHA512,
    SIGNATURE_RSA_SHA256, SIGNATURE_RSA_SHA384, SIGNATURE_RSA_SHA512,
};
static const enum signature_scheme for_large_rsa[] = {
    SIGNATURE_PSS_SHA384, SIGNATURE_PSS_SHA512, SIGNATURE_PSS_SHA256,
    SIGNATURE_RSA_SHA384, SIGNATURE_RSA_SHA512, SIGNATURE_RSA_SHA256,
};
static const enum signature_scheme for_p256[] = {SIGNATURE_ECDSA_SHA256, SIGNATURE_ECDSA_SHA384,
                                                 SIGNATURE_ECDSA_SHA512};
static const enum signature_scheme for_p384[] = {SIGNATURE_ECDSA_SHA384, SIGNATURE_ECDSA_SHA512,
                                                 SIGNATURE_ECDSA_SHA256};
static const enum signature_scheme for_p521[] = {SIGNATURE_ECDSA_SHA512, SIGNATURE_ECDSA_SHA384,
                                                 SIGNATURE_ECDSA_SHA256};
static const enum signature_scheme for_ed25519[] = {SIGNATURE_ED25519};
static const enum signature_scheme for_ed448[] = {SIGNATURE_ED448};

#define RSA_BITS_LARGE 7680 /* 192 bits of strength (SP 800-57) */

enum signature_scheme signature_choose(enum key_kind kind, unsigned bits, uint32_t hashes,
                                       uint32_t taken)
{
    const enum signature_scheme *wanted = NULL;
    size_t count = 0;

    switch (kind) {
    case KEY_RSA:
        wanted = bits >= RSA_BITS_LARGE ? for_large_rsa : for_rsa;
        count = ARRAY_LENGTH(for_rsa);
        break;
    case KEY_P256:
        wanted = for_p256;
        count = ARRAY_LENGTH(for_p256);
        break;
    case KEY_P384:
        wanted = for_p384;
        count = ARRAY_LENGTH(for_p384);
        break;
    case KEY_P521:
        wanted = for_p521;
        count = ARRAY_LENGTH(for_p521);
        break;
    case KEY_ED25519:
        wanted = for_ed25519;
        count = 1;
        break;
    case KEY_ED448:
        wanted = for_ed448;
        count = 1;
        break;
    case KEY_DSA:
        return SIGNATURE_NONE; /* not in IKEv2 */
    }
    for (size_t i = 0; i < count; i++) {
        if ((hashes & SIGNATURE_HASH_BIT(scheme_get(wanted[i])->hash)) != 0 &&
            (taken == 0 || (taken & SIGNATURE_SCHEME_BIT(wanted[i])) != 0)) {
            return wanted[i];
        }
    }
    return SIGNATURE_NONE;
}

/* ---- signing and verifying ---- */

static const EVP_MD *hash_function(enum signature_hash hash)
{
    switch (hash) {
    case SIGNATURE_HASH_SHA1:
        return EVP_sha1();
    case SIGNATURE_HASH_SHA256:
        return EVP_sha256();
    case SIGNATURE_HASH_SHA384:
        return EVP_sha384();
    case SIGNATURE_HASH_SHA512:
        return EVP_sha512();
    case SIGNATURE_HASH_IDENTITY:
        return NULL; /* Ed25519 and Ed448 hash by themselves (RFC 8032) */
    }
    assert(false);
    return NULL;
}

static bool set_padding(EVP_PKEY_CTX *context, const struct scheme *scheme)
{
    switch (scheme->padding) {
    case PADDING_NONE:
        return true;
    case PADDING_PKCS1:
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    case PADDING_PSS:
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(context, hash_function(scheme->hash)) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    assert(false);
    return false;
}

/* DER to r | s, each as long as the group's order. */
static bool raw_from_der(struct slice der, size_t number_bytes, struct writer *out)
{
    const unsigned char *at = der.data;
    ECDSA_SIG *parts = d2i_ECDSA_SIG(NULL, &at, (long)der.length);
    uint8_t *raw = write_reserve(out, 2 * number_bytes);
    bool done =
        parts != NULL && raw != NULL &&
        BN_bn2binpad(ECDSA_SIG_get0_r(parts), raw, (int)number_bytes) == (int)number_bytes &&
        BN_bn2binpad(ECDSA_SIG_get0_s(parts), raw + number_bytes, (int)number_bytes) ==
            (int)number_bytes;

    ECDSA_SIG_free(parts);
    return done;
}

/* The other way; gives the length, 0 when there is no memory. */
static size_t der_from_raw(struct slice raw, uint8_t *out, size_t capacity)
{
    int number_bytes = (int)(raw.length / 2);
    ECDSA_SIG *parts = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.data, number_bytes, NULL);
    BIGNUM *s = BN_bin2bn(raw.data + number_bytes, number_bytes, NULL);
    size_t length = 0;

    if (parts != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(parts, r, s) == 1) {
        r = NULL; /* the parts have them now */
        s = NULL;
        int wanted = i2d_ECDSA_SIG(parts, NULL);
        if (wanted > 0 && (size_t)wanted <= capacity) {
            length = (size_t)i2d_ECDSA_SIG(parts, &out);
        }
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(parts);
    return length;
}

/* ---- hashes that are signed as they are ---- */

static bool bare_fits(const struct scheme *scheme, struct slice message)
{
    return scheme->kinds == 1U << KEY_DSA
               ? message.length == DSA_BYTES
               : message.length >= BARE_BYTES_MIN && message.length <= BARE_BYTES_MAX;
}

static bool make_bare(EVP_PKEY *pkey, const struct scheme *scheme, struct slice message,
                      uint8_t *signature, size_t *length)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    bool done = bare_fits(scheme, message) && context != NULL && EVP_PKEY_sign_init(context) == 1 &&
                set_padding(context, scheme) &&
                EVP_PKEY_sign(context, signature, length, message.data, message.length) == 1;

    EVP_PKEY_CTX_free(context);
    return done;
}

static bool verify_bare(EVP_PKEY *pkey, const struct scheme *scheme, struct slice message,
                        struct slice signature)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pkey, NULL);
    bool right = bare_fits(scheme, message) && context != NULL &&
                 EVP_PKEY_verify_init(context) == 1 && set_padding(context, scheme) &&
                 EVP_PKEY_verify(context, signature.data, signature.length, message.data,
                                 message.length) == 1;

    EVP_PKEY_CTX_free(context);
    return right;
}

uint32_t signature_of_key(const struct private_key *key)
{
    uint32_t set = 0;

    for (unsigned i = SIGNATURE_NONE + 1; i < SIGNATURE_SCHEMES; i++) {
        if (signature_fits_key((enum signature_scheme)i, key->kind) &&
            (schemes[i].padding != PADDING_PSS || !key->no_pss)) {
            set |= SIGNATURE_SCHEME_BIT(i);
        }
    }
    return set;
}

/* ---- signing where somebody else keeps the key ---- */

#define NOT_OURS "what the token gave is no signature of the key in the certificate"

/* RFC 8017 9.2, note 1: what stands before the hash. */
static struct slice digest_info(enum signature_hash hash)
{
    switch (hash) {
    case SIGNATURE_HASH_SHA1:
        return SLICE_TEXT("\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14");
    case SIGNATURE_HASH_SHA256:
        return SLICE_TEXT("\x30\x31\x30\x0d\x06\x09" OID_SHA2 "\x01\x05\x00\x04\x20");
    case SIGNATURE_HASH_SHA384:
        return SLICE_TEXT("\x30\x41\x30\x0d\x06\x09" OID_SHA2 "\x02\x05\x00\x04\x30");
    case SIGNATURE_HASH_SHA512:
        return SLICE_TEXT("\x30\x51\x30\x0d\x06\x09" OID_SHA2 "\x03\x05\x00\x04\x40");
    case SIGNATURE_HASH_IDENTITY:
        break;
    }
    return (struct slice){NULL, 0};
}

/* FIPS 186-5 6.4.1: of a longer hash its leftmost octets; our curves' orders are whole octets, but
 * for P-521, which is longer than any hash. */
static size_t order_bytes(enum key_kind kind)
{
    return kind == KEY_P256 ? 32 : kind == KEY_P384 ? 48 : 66;
}

static bool write_kept(const struct private_key *key, const struct scheme *scheme,
                       struct slice signature, struct writer *out)
{
    uint8_t der[2 * 66 + 16];

    if ((KINDS_EC & 1U << key->kind) == 0 || scheme->raw_bytes > 0) {
        write_slice(out, signature);
        return true;
    }
    size_t length = der_from_raw(signature, der, sizeof(der));

    write_slice(out, (struct slice){der, length});
    return length > 0;
}

static bool make_kept(const struct private_key *key, const struct scheme *scheme,
                      struct slice message, struct writer *out, struct text *why)
{
    uint8_t input[19 + EVP_MAX_MD_SIZE];
    uint8_t signature[SIGNATURE_BYTES_MAX];
    struct writer made = writer_over(signature, sizeof(signature));
    enum signing_step step = SIGNING_EDDSA;
    struct slice asked = message;
    unsigned hash_bytes = 0;

    if (scheme->bare) {
        step = key->kind == KEY_RSA ? SIGNING_RSA_PKCS1 : SIGNING_ECDSA;
        if (step == SIGNING_ECDSA && asked.length > order_bytes(key->kind)) {
            asked.length = order_bytes(key->kind);
        }
        hash_bytes = (unsigned)asked.length;
    } else if (scheme->hash != SIGNATURE_HASH_IDENTITY) {
        struct slice head = digest_info(scheme->hash);

        memcpy(input, head.data, head.length);
        if (EVP_Digest(message.data, message.length, input + head.length, &hash_bytes,
                       hash_function(scheme->hash), NULL) != 1) {
            return false;
        }
        asked = (struct slice){input + head.length, hash_bytes};
        step = scheme->padding == PADDING_PSS ? SIGNING_RSA_PSS : SIGNING_ECDSA;
        if (scheme->padding == PADDING_PKCS1) {
            step = SIGNING_RSA_PKCS1;
            asked = (struct slice){input, head.length + hash_bytes};
        } else if (step == SIGNING_ECDSA && hash_bytes > order_bytes(key->kind)) {
            asked.length = order_bytes(key->kind);
        }
    }
    if (!key->keeper->sign(key->kept, step, hash_bytes * 8, asked, &made, why)) {
        return false;
    }
    struct slice whole = writer_written(&made);
    struct public_key public = {.pkey = key->pkey, .kind = key->kind, .bits = key->bits};
    /* What comes back is looked at before it is said to anybody: a faulty device that computes
     * RSA with a fault would give its key away. */
    struct writer again = *out;
    size_t before = writer_written(out).length;

    if (((KINDS_EC & 1U << key->kind) != 0 && whole.length != 2 * order_bytes(key->kind)) ||
        !write_kept(key, scheme, whole, &again) || !writer_ok(&again)) {
        text_add(why, NOT_OURS);
        return false;
    }
    struct slice all = writer_written(&again);

    if (!signature_verify(&public, (enum signature_scheme)(scheme - schemes), message,
                          (struct slice){all.data + before, all.length - before})) {
        text_add(why, NOT_OURS);
        return false;
    }
    *out = again;
    return true;
}

bool signature_make(const struct private_key *key, enum signature_scheme id, struct slice message,
                    struct writer *out)
{
    char words[160];
    struct text why = text_over(words, sizeof(words));

    return signature_make_told(key, id, message, out, &why);
}

bool signature_make_told(const struct private_key *key, enum signature_scheme id,
                         struct slice message, struct writer *out, struct text *why)
{
    if (!signature_fits_key(id, key->kind)) {
        return false;
    }
    const struct scheme *scheme = scheme_get(id);

    if (key->keeper != NULL) {
        return make_kept(key, scheme, message, out, why);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = NULL;
    uint8_t signature[SIGNATURE_BYTES_MAX];
    size_t length = sizeof(signature);
    bool done =
        scheme->bare
            ? make_bare(key->pkey, scheme, message, signature, &length)
            : context != NULL &&
                  EVP_DigestSignInit(context, &key_context, hash_function(scheme->hash), NULL,
                                     key->pkey) == 1 &&
                  set_padding(key_context, scheme) &&
                  EVP_DigestSign(context, signature, &length, message.data, message.length) == 1;

    if (done && scheme->raw_bytes > 0) {
        done = raw_from_der((struct slice){signature, length}, scheme->raw_bytes, out);
    } else if (done) {
        write_slice(out, (struct slice){signature, length});
    }
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return done && writer_ok(out);
}

/* Everything about the length of a signature that is known before looking into it. */
static bool length_is_right(const struct public_key *key, const struct scheme *scheme,
                            size_t length)
{
    if (scheme->raw_bytes > 0) {
        return length == 2U * scheme->raw_bytes;
    }
    switch (key->kind) {
    case KEY_RSA:
        return length == (key->bits + 7) / 8;
    case KEY_P256:
    case KEY_P384:
    case KEY_P521:
        return length > 0 && length <= SIGNATURE_BYTES_MAX; /* libcrypto demands one DER form */
    case KEY_ED25519:
        return length == 64;
    case KEY_ED448:
        return length == 114;
    case KEY_DSA:
        break; /* r | s, above */
    }
    assert(false);
    return false;
}

bool signature_verify(const struct public_key *key, enum signature_scheme id, struct slice message,
                      struct slice signature)
{
    if (!signature_fits_key(id, key->kind)) {
        return false;
    }
    const struct scheme *scheme = scheme_get(id);
    uint8_t der[2 * 66 + 16];

    if (!length_is_right(key, scheme, signature.length)) {
        return false;
    }
    if (scheme->raw_bytes > 0) {
        size_t length = der_from_raw(signature, der, sizeof(der));
        if (length == 0) {
            return false;
        }
        signature = (struct slice){der, length};
    }
    if (scheme->bare) {
        bool is_right = verify_bare(key->pkey, scheme, message, signature);

        ERR_clear_error();
        return is_right;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key_context = NULL;
    bool right = context != NULL &&
                 EVP_DigestVerifyInit(context, &key_context, hash_function(scheme->hash), NULL,
                                      key->pkey) == 1 &&
                 set_padding(key_context, scheme) &&
                 EVP_DigestVerify(context, signature.data, signature.length, message.data,
                                  message.length) == 1;

    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return right;
}
