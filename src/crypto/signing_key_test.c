/* Which keys are taken, and in which forms they are read and written. */
#include "crypto/signing_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "tests/support/test.h"

static const enum key_kind kinds[] = {KEY_RSA,     KEY_P256,  KEY_P384, KEY_P521,
                                      KEY_ED25519, KEY_ED448, KEY_DSA};

TEST(a_key_is_written_and_read_again_with_and_without_a_passphrase)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct private_key *key =
            private_key_make(kinds[i], kinds[i] == KEY_DSA ? KEY_DSA_BITS_MIN : 2048);
        struct private_key *again = NULL;
        uint8_t text[PRIVATE_KEY_FILE_BYTES_MAX];
        struct writer pem = writer_over(text, sizeof(text));
        CHECK(key != NULL);
        struct public_key *public = private_key_public(key);

        CHECK(public != NULL);
        CHECK(private_key_write(key, (struct slice){NULL, 0}, &pem));
        CHECK_EQUAL(private_key_read(writer_written(&pem), (struct slice){NULL, 0}, &again),
                    PRIVATE_KEY_FINE);
        CHECK(private_key_fits(again, public));
        private_key_free(again);

        pem = writer_over(text, sizeof(text));
        CHECK(private_key_write(key, SLICE_TEXT("open sesame"), &pem));
        CHECK(strncmp((const char *)text, "-----BEGIN ENCRYPTED PRIVATE KEY", 32) == 0);
        CHECK_EQUAL(private_key_read(writer_written(&pem), (struct slice){NULL, 0}, &again),
                    PRIVATE_KEY_NEEDS_PASSPHRASE);
        CHECK_EQUAL(private_key_read(writer_written(&pem), SLICE_TEXT("open barley"), &again),
                    PRIVATE_KEY_WRONG_PASSPHRASE);
        CHECK(again == NULL);
        CHECK_EQUAL(private_key_read(writer_written(&pem), SLICE_TEXT("open sesame"), &again),
                    PRIVATE_KEY_FINE);
        CHECK(private_key_fits(again, public));
        private_key_free(again);

        public_key_free(public);
        private_key_free(key);
    }
}

TEST(a_public_key_is_read_in_exactly_one_encoding)
{
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct private_key *key =
            private_key_make(kinds[i], kinds[i] == KEY_DSA ? KEY_DSA_BITS_MIN : 2048);
        CHECK(key != NULL);
        struct public_key *public = private_key_public(key);
        uint8_t spki[KEY_SPKI_BYTES_MAX + 1];
        struct writer w = writer_over(spki, sizeof(spki) - 1);

        CHECK(public != NULL && public_key_write(public, &w));
        size_t length = writer_written(&w).length;
        struct public_key *again = public_key_read((struct slice){spki, length});
        CHECK(again != NULL && public_key_equal(public, again));
        CHECK(public_key_kind(again) == kinds[i]);
        public_key_free(again);
        for (size_t cut = 0; cut < length; cut++) {
            CHECK(public_key_read((struct slice){spki, cut}) == NULL);
        }
        spki[length] = 0;
        CHECK(public_key_read((struct slice){spki, length + 1}) == NULL);
        public_key_free(public);
        private_key_free(key);
    }
}

static struct public_key *read_pkey(EVP_PKEY *pkey)
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(pkey, &der);
    CHECK(length > 0);
    struct public_key *key = public_key_read((struct slice){der, (size_t)length});

    OPENSSL_free(der);
    return key;
}

static struct public_key *rsa_of(BIGNUM *modulus, unsigned long exponent)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *e = BN_new();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *pkey = NULL;

    CHECK(BN_set_word(e, exponent) == 1);
    CHECK(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1);
    CHECK(OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
    CHECK(EVP_PKEY_fromdata_init(context) == 1);
    CHECK(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters) == 1);
    struct public_key *key = read_pkey(pkey);

    EVP_PKEY_free(pkey);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(build);
    BN_free(e);
    return key;
}

TEST(rsa_keys_with_impossible_numbers_are_refused)
{
    BIGNUM *modulus = BN_new();

    CHECK(BN_set_bit(modulus, 2047) == 1 && BN_set_bit(modulus, 0) == 1);
    struct public_key *odd = rsa_of(modulus, 65537);
    CHECK(odd != NULL && public_key_is_strong(odd, false));
    public_key_free(odd);
    static const unsigned long bad[] = {0, 1, 2, 4, 65536};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        CHECK(rsa_of(modulus, bad[i]) == NULL);
    }
    CHECK(BN_clear_bit(modulus, 0) == 1);
    CHECK(rsa_of(modulus, 65537) == NULL);
    CHECK(BN_set_bit(modulus, 0) == 1 && BN_set_bit(modulus, KEY_RSA_BITS_MAX) == 1);
    CHECK(rsa_of(modulus, 65537) == NULL);
    BN_free(modulus);
    modulus = BN_new();
    CHECK(BN_set_bit(modulus, 1023) == 1 && BN_set_bit(modulus, 0) == 1);
    struct public_key *small = rsa_of(modulus, 65537);
    CHECK(small != NULL && !public_key_is_strong(small, false) &&
          public_key_is_strong(small, true));
    public_key_free(small);
    CHECK(BN_clear_bit(modulus, 1023) == 1 && BN_set_bit(modulus, 1022) == 1);
    CHECK(rsa_of(modulus, 65537) == NULL);
    BN_free(modulus);
}

TEST(curves_without_a_name_and_kinds_that_we_do_not_have_are_refused)
{
    EVP_PKEY *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    EVP_PKEY *brainpool = EVP_EC_gen("brainpoolP256r1");
    EVP_PKEY *numbers = EVP_EC_gen("P-256");

    CHECK(x25519 != NULL && read_pkey(x25519) == NULL);
    CHECK(brainpool != NULL && read_pkey(brainpool) == NULL);
    CHECK(EVP_PKEY_set_utf8_string_param(numbers, OSSL_PKEY_PARAM_EC_ENCODING,
                                         OSSL_PKEY_EC_ENCODING_EXPLICIT) == 1);
    CHECK(read_pkey(numbers) == NULL);
    EVP_PKEY_free(x25519);
    EVP_PKEY_free(brainpool);
    EVP_PKEY_free(numbers);
}

/* A subgroup of 256 bits is not DSS with SHA-1, which is all that IKEv1 has. */
TEST(dsa_of_other_sizes_is_refused)
{
    static const int sizes[][2] = {{2048, 224}, {2048, 256}};

    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_DSA, NULL);
        EVP_PKEY *parameters = NULL;
        EVP_PKEY *pkey = NULL;

        CHECK(EVP_PKEY_paramgen_init(context) == 1);
        CHECK(EVP_PKEY_CTX_set_dsa_paramgen_bits(context, sizes[i][0]) == 1);
        CHECK(EVP_PKEY_CTX_set_dsa_paramgen_q_bits(context, sizes[i][1]) == 1);
        CHECK(EVP_PKEY_paramgen(context, &parameters) == 1);
        EVP_PKEY_CTX_free(context);
        context = EVP_PKEY_CTX_new(parameters, NULL);
        CHECK(EVP_PKEY_keygen_init(context) == 1 && EVP_PKEY_keygen(context, &pkey) == 1);
        CHECK(read_pkey(pkey) == NULL);
        EVP_PKEY_CTX_free(context);
        EVP_PKEY_free(parameters);
        EVP_PKEY_free(pkey);
    }
}

TEST(what_is_no_key_is_told_as_such)
{
    struct private_key *key = NULL;

    CHECK_EQUAL(private_key_read(SLICE_TEXT("hello"), (struct slice){NULL, 0}, &key),
                PRIVATE_KEY_UNREADABLE);
    CHECK_EQUAL(private_key_read((struct slice){NULL, 0}, (struct slice){NULL, 0}, &key),
                PRIVATE_KEY_UNREADABLE);
    CHECK(key == NULL);
}
