/*
 * Signatures against Wycheproof's vectors (forgeries with small exponents, wrong encodings, other
 * hashes, edge cases of the curves), and against themselves: nothing but the one right encoding is
 * taken.
 */
#include "crypto/signature.h"

#include <openssl/bn.h>
#include <openssl/dsa.h>
#include <string.h>

#include "crypto/signing_key_internal.h"
#include "tests/support/test.h"
#include "tests/support/vectors.h"

struct counted {
    size_t valid, refused;
};

static struct counted check_file(const char *file, enum signature_scheme scheme)
{
    json_t *root = vectors_load(file);
    struct counted counted = {0, 0};
    json_t *group;
    size_t i;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        struct public_key *key = public_key_read(vector_hex(group, "publicKeyDer"));
        json_t *test;
        size_t j;

        CHECK(key != NULL);
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            /* "acceptable" is one thing only, a DigestInfo without its NULL: not the one encoding
             * of RFC 8017 9.2, and refused. */
            bool valid = strcmp(vector_text(test, "result"), "valid") == 0;
            bool taken =
                signature_verify(key, scheme, vector_hex(test, "msg"), vector_hex(test, "sig"));
            if (taken != valid) {
                print_message("%s: test %d\n", file,
                              (int)json_integer_value(json_object_get(test, "tcId")));
            }
            CHECK(taken == valid);
            counted.valid += valid;
            counted.refused += !valid;
        }
        public_key_free(key);
    }
    json_decref(root);
    return counted;
}

TEST(wycheproof_decides_what_is_a_signature)
{
    static const struct {
        const char *file;
        enum signature_scheme scheme;
        size_t valid, refused;
    } files[] = {
        {"wycheproof/rsa_signature_2048_sha256_test.json", SIGNATURE_RSA_SHA256, 9, 250},
        {"wycheproof/rsa_signature_2048_sha384_test.json", SIGNATURE_RSA_SHA384, 7, 251},
        {"wycheproof/rsa_signature_2048_sha512_test.json", SIGNATURE_RSA_SHA512, 8, 251},
        {"wycheproof/rsa_signature_4096_sha512_test.json", SIGNATURE_RSA_SHA512, 7, 252},
        {"wycheproof/rsa_pss_2048_sha256_mgf1_32_test.json", SIGNATURE_PSS_SHA256, 63, 45},
        {"wycheproof/rsa_pss_4096_sha384_mgf1_48_test.json", SIGNATURE_PSS_SHA384, 95, 46},
        {"wycheproof/rsa_pss_4096_sha512_mgf1_64_test.json", SIGNATURE_PSS_SHA512, 132, 47},
        {"wycheproof/ecdsa_secp256r1_sha256_test.json", SIGNATURE_ECDSA_SHA256, 174, 310},
        {"wycheproof/ecdsa_secp384r1_sha384_test.json", SIGNATURE_ECDSA_SHA384, 194, 310},
        {"wycheproof/ecdsa_secp521r1_sha512_test.json", SIGNATURE_ECDSA_SHA512, 232, 310},
        {"wycheproof/ecdsa_secp256r1_sha256_p1363_test.json", SIGNATURE_RAW_P256, 173, 89},
        {"wycheproof/ecdsa_secp384r1_sha384_p1363_test.json", SIGNATURE_RAW_P384, 193, 87},
        {"wycheproof/ecdsa_secp521r1_sha512_p1363_test.json", SIGNATURE_RAW_P521, 231, 87},
        {"wycheproof/ed25519_test.json", SIGNATURE_ED25519, 88, 63},
        {"wycheproof/ed448_test.json", SIGNATURE_ED448, 17, 70},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        struct counted counted = check_file(files[i].file, files[i].scheme);

        CHECK_EQUAL(counted.valid, files[i].valid);
        CHECK_EQUAL(counted.refused, files[i].refused);
    }
}

/* ---- AlgorithmIdentifiers ---- */

TEST(algorithm_identifiers_are_those_of_rfc_7427_and_8420)
{
    static const struct {
        const char *hex;
        enum signature_scheme scheme;
    } printed[] = {
        {"300d06092a864886f70d0101050500", SIGNATURE_RSA_SHA1},
        {"300d06092a864886f70d01010b0500", SIGNATURE_RSA_SHA256},
        {"300d06092a864886f70d01010c0500", SIGNATURE_RSA_SHA384},
        {"300d06092a864886f70d01010d0500", SIGNATURE_RSA_SHA512},
        {"300a06082a8648ce3d040302", SIGNATURE_ECDSA_SHA256},
        {"300a06082a8648ce3d040303", SIGNATURE_ECDSA_SHA384},
        {"300a06082a8648ce3d040304", SIGNATURE_ECDSA_SHA512},
        {"300506032b6570", SIGNATURE_ED25519},
        {"300506032b6571", SIGNATURE_ED448},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(printed); i++) {
        struct slice der = hex_bytes(printed[i].hex);

        CHECK(signature_read_algorithm(der) == printed[i].scheme);
        CHECK(slice_equal(signature_algorithm(printed[i].scheme), der));
    }
    CHECK_EQUAL(signature_algorithm(SIGNATURE_RAW_P256).length, 0);
}

/* RFC 7427 A.4.3 prints the trailer field that DER would leave out. */
static const char pss_sha256_printed[] =
    "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
    "300d06096086480165030402010500a203020120a303020101";

TEST(pss_parameters_are_read_in_every_permitted_form_and_in_no_other)
{
    static const char *const good[] = {
        pss_sha256_printed,
        /* Without the trailer. */
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d01"
        "0108300d06096086480165030402010500a203020120",
        /* Without the NULLs (RFC 4055 2.1). */
        "303d06092a864886f70d01010a3030a00d300b0609608648016503040201a11a301806092a864886f70d010108"
        "300b0609608648016503040201a203020120",
    };
    static const char *const bad[] = {
        /* RFC 7427 A.4.1 and A.4.2: SHA-1, never to be used (RFC 8247 3.2.1). */
        "300d06092a864886f70d01010a3000",
        "303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a118301606092a864886f70d0101083009"
        "06052b0e03021a0500a203020114a303020101",
        /* No parameters at all (CVE-2018-6459). */
        "300b06092a864886f70d01010a",
        /* MGF1 with another hash. */
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d01"
        "0108300d06096086480165030402020500a203020120",
        /* MGF without its parameters. */
        "303206092a864886f70d01010a3025a00f300d06096086480165030402010500a10d300b06092a864886f70d01"
        "0108a203020120",
        /* Salt of 20, of 0, and one that is large (CVE-2021-41990). */
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d01"
        "0108300d06096086480165030402010500a203020114",
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d01"
        "0108300d06096086480165030402010500a203020100",
        "304406092a864886f70d01010a3037a00f300d06096086480165030402010500a11c301a06092a864886f70d01"
        "0108300d06096086480165030402010500a20602047fffffff",
        /* Another trailer. */
        "304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d01"
        "0108300d06096086480165030402010500a203020120a303020102",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        CHECK(signature_read_algorithm(hex_bytes(good[i])) == SIGNATURE_PSS_SHA256);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        CHECK(signature_read_algorithm(hex_bytes(bad[i])) == SIGNATURE_NONE);
    }
    for (unsigned i = SIGNATURE_NONE + 1; i < SIGNATURE_SCHEMES; i++) {
        struct slice der = signature_algorithm((enum signature_scheme)i);

        CHECK(der.length == 0 || signature_read_algorithm(der) == i);
        CHECK(der.length <= SIGNATURE_ALGORITHM_BYTES_MAX);
    }
}

TEST(every_cut_and_every_changed_octet_of_an_identifier_is_refused_or_another_one)
{
    for (unsigned i = SIGNATURE_NONE + 1; i < SIGNATURE_SCHEMES; i++) {
        struct slice der = signature_algorithm((enum signature_scheme)i);
        uint8_t changed[SIGNATURE_ALGORITHM_BYTES_MAX + 1];

        for (size_t length = 0; length < der.length; length++) {
            CHECK(signature_read_algorithm((struct slice){der.data, length}) == SIGNATURE_NONE);
        }
        for (size_t at = 0; at < der.length; at++) {
            for (unsigned value = 0; value < 256; value++) {
                memcpy(changed, der.data, der.length);
                changed[at] = (uint8_t)value;
                enum signature_scheme read =
                    signature_read_algorithm((struct slice){changed, der.length});
                CHECK(value == der.data[at] ? read == i : read != i);
            }
        }
        memcpy(changed, der.data != NULL ? der.data : changed, der.length);
        changed[der.length] = 0;
        CHECK(signature_read_algorithm((struct slice){changed, der.length + 1}) == SIGNATURE_NONE);
    }
}

/* ---- hashes ---- */

TEST(lists_of_hashes_are_read_and_what_is_unknown_is_passed_over)
{
    uint32_t set = 0;
    uint8_t bytes[32];
    struct writer w = writer_over(bytes, sizeof(bytes));

    CHECK(signature_read_hashes(hex_bytes("00020003000400050001"), &set));
    CHECK_EQUAL(set, signature_own_hashes(true));
    CHECK(signature_read_hashes(hex_bytes("0000000200070fff"), &set));
    CHECK_EQUAL(set, SIGNATURE_HASH_BIT(SIGNATURE_HASH_SHA256));
    CHECK(signature_read_hashes((struct slice){NULL, 0}, &set));
    CHECK_EQUAL(set, 0);
    CHECK(!signature_read_hashes(hex_bytes("000200"), &set));
    signature_write_hashes(&w, signature_own_hashes(false));
    CHECK(slice_equal(writer_written(&w), hex_bytes("0002000300040005")));
}

TEST(the_scheme_fits_the_key_and_what_the_peer_has)
{
    uint32_t all = signature_own_hashes(false);

    CHECK(signature_choose(KEY_RSA, 2048, all, 0) == SIGNATURE_PSS_SHA256);
    CHECK(signature_choose(KEY_RSA, 8192, all, 0) == SIGNATURE_PSS_SHA384);
    CHECK(signature_choose(KEY_RSA, 2048, SIGNATURE_HASH_BIT(SIGNATURE_HASH_SHA512), 0) ==
          SIGNATURE_PSS_SHA512);
    CHECK(signature_choose(KEY_RSA, 2048, all, SIGNATURE_SCHEME_BIT(SIGNATURE_RSA_SHA384)) ==
          SIGNATURE_RSA_SHA384);
    /* RFC 8247 3.2.1: SHA-1 must not be used. */
    CHECK(signature_choose(KEY_RSA, 2048, SIGNATURE_HASH_BIT(SIGNATURE_HASH_SHA1), 0) ==
          SIGNATURE_NONE);
    CHECK(signature_choose(KEY_P256, 256, all, 0) == SIGNATURE_ECDSA_SHA256);
    CHECK(signature_choose(KEY_P384, 384, all, 0) == SIGNATURE_ECDSA_SHA384);
    CHECK(signature_choose(KEY_P521, 521, all, 0) == SIGNATURE_ECDSA_SHA512);
    CHECK(signature_choose(KEY_P521, 521, SIGNATURE_HASH_BIT(SIGNATURE_HASH_SHA256), 0) ==
          SIGNATURE_ECDSA_SHA256);
    CHECK(signature_choose(KEY_ED25519, 253, all, 0) == SIGNATURE_ED25519);
    CHECK(signature_choose(KEY_ED25519, 253, SIGNATURE_HASH_BIT(SIGNATURE_HASH_SHA512), 0) ==
          SIGNATURE_NONE);
    CHECK(signature_choose(KEY_ED448, 456, all, SIGNATURE_SCHEME_BIT(SIGNATURE_ED25519)) ==
          SIGNATURE_NONE);
}

/* RFC 2409 5.1: r followed by s, over 160 bits as they are; libcrypto signs and verifies. */
TEST(signatures_of_dss_are_r_and_s_over_the_hash_itself)
{
    static const uint8_t hash[20] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct private_key *private = private_key_make(KEY_DSA, KEY_DSA_BITS_MIN);
    CHECK(private != NULL);
    struct public_key *public = private_key_public(private);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(private->pkey, NULL);
    uint8_t der[64];
    uint8_t raw[64];
    size_t length = sizeof(der);
    struct writer w = writer_over(raw, sizeof(raw));

    CHECK(public != NULL && public_key_kind(public) == KEY_DSA);
    CHECK(context != NULL && EVP_PKEY_sign_init(context) == 1 &&
          EVP_PKEY_sign(context, der, &length, hash, sizeof(hash)) == 1);
    EVP_PKEY_CTX_free(context);
    const unsigned char *at = der;
    DSA_SIG *parts = d2i_DSA_SIG(NULL, &at, (long)length);

    const BIGNUM *r = NULL;
    const BIGNUM *s = NULL;

    CHECK(parts != NULL);
    DSA_SIG_get0(parts, &r, &s);
    CHECK(BN_bn2binpad(r, raw, 20) == 20 && BN_bn2binpad(s, raw + 20, 20) == 20);
    DSA_SIG_free(parts);
    CHECK(signature_verify(public, SIGNATURE_BARE_DSA, SLICE_OF(hash), (struct slice){raw, 40}));
    CHECK(!signature_verify(public, SIGNATURE_BARE_DSA, (struct slice){hash, 16},
                            (struct slice){raw, 40}));
    CHECK(
        !signature_verify(public, SIGNATURE_BARE_DSA, SLICE_OF(hash), (struct slice){der, length}));
    CHECK(signature_make(private, SIGNATURE_BARE_DSA, SLICE_OF(hash), &w));
    CHECK_EQUAL(w.length, 40);
    CHECK(!public_key_is_strong(public, false) && public_key_is_strong(public, true));
    public_key_free(public);
    private_key_free(private);
}

/* ---- what we sign ---- */

static const enum key_kind kinds[] = {KEY_RSA,     KEY_P256,  KEY_P384, KEY_P521,
                                      KEY_ED25519, KEY_ED448, KEY_DSA};

static void check_scheme(const struct private_key *private, const struct public_key *public,
                         const struct public_key *foreign, enum signature_scheme scheme)
{
    static const char message[] = "what both sides know";
    uint8_t bytes[SIGNATURE_BYTES_MAX + 1];
    struct writer w = writer_over(bytes, SIGNATURE_BYTES_MAX);
    struct slice text = SLICE_TEXT(message);

    CHECK(signature_make(private, scheme, text, &w));
    struct slice signature = writer_written(&w);

    CHECK(signature_verify(public, scheme, text, signature));
    CHECK(!signature_verify(foreign, scheme, text, signature));
    CHECK(!signature_verify(public, scheme, SLICE_TEXT("what nobody knows"), signature));
    CHECK(!signature_verify(public, scheme, text, (struct slice){NULL, 0}));
    for (unsigned other = SIGNATURE_NONE + 1; other < SIGNATURE_SCHEMES; other++) {
        CHECK(signature_verify(public, (enum signature_scheme)other, text, signature) ==
              (other == scheme));
    }
    for (size_t bit = 0; bit < signature.length * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        CHECK(!signature_verify(public, scheme, text, signature));
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    bytes[signature.length] = 0;
    CHECK(!signature_verify(public, scheme, text, (struct slice){bytes, signature.length + 1}));
    CHECK(!signature_verify(public, scheme, text, (struct slice){bytes, signature.length - 1}));
    memset(bytes, 0, sizeof(bytes));
    CHECK(!signature_verify(public, scheme, text, (struct slice){bytes, signature.length}));
}

TEST(what_is_signed_is_verified_and_nothing_that_was_changed)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        unsigned bits = kinds[i] == KEY_DSA ? KEY_DSA_BITS_MIN : 2048;
        struct private_key *private = private_key_make(kinds[i], bits);
        struct private_key *other = private_key_make(kinds[i], bits);
        CHECK(private != NULL && other != NULL);
        struct public_key *public = private_key_public(private);
        struct public_key *foreign = private_key_public(other);
        uint8_t bytes[SIGNATURE_BYTES_MAX];

        CHECK(public != NULL && foreign != NULL);
        for (unsigned scheme = SIGNATURE_NONE + 1; scheme < SIGNATURE_SCHEMES; scheme++) {
            if (signature_fits_key((enum signature_scheme)scheme, kinds[i])) {
                check_scheme(private, public, foreign, (enum signature_scheme)scheme);
            } else {
                struct writer w = writer_over(bytes, sizeof(bytes));
                CHECK(!signature_make(private, (enum signature_scheme)scheme, SLICE_TEXT("x"), &w));
            }
        }
        public_key_free(public);
        public_key_free(foreign);
        private_key_free(private);
        private_key_free(other);
    }
}
