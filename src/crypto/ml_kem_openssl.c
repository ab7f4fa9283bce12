/*
 * ML-KEM by libcrypto: decides how its keys and its randomness are handed in, and whether it may be
 * used. The words of its parameters stand in no header before 3.5, with which we may be built.
 */
#include "crypto/ml_kem_openssl.h"

#include "base/secret.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

static const char *const names[] = {
    [ML_KEM_512] = "ML-KEM-512",
    [ML_KEM_768] = "ML-KEM-768",
    [ML_KEM_1024] = "ML-KEM-1024",
};

/* d and z decide the key (FIPS 203 algorithm 16); NULL when libcrypto cannot. */
static EVP_PKEY *key_of_seed(enum ml_kem_set set, const uint8_t seed[ML_KEM_SEED_BYTES])
{
    uint8_t copy[ML_KEM_SEED_BYTES];
    OSSL_PARAM parameters[] = {OSSL_PARAM_octet_string("seed", copy, sizeof(copy)), OSSL_PARAM_END};
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, names[set], NULL);
    EVP_PKEY *key = NULL;

    memcpy(copy, seed, sizeof(copy));
    if (maker == NULL || EVP_PKEY_keygen_init(maker) != 1 ||
        EVP_PKEY_CTX_set_params(maker, parameters) != 1 || EVP_PKEY_generate(maker, &key) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(maker);
    wipe(copy, sizeof(copy));
    return key;
}

bool ml_kem_openssl_make(enum ml_kem_set set, const uint8_t seed[ML_KEM_SEED_BYTES],
                         uint8_t *public_key)
{
    EVP_PKEY *key = key_of_seed(set, seed);
    size_t length = ml_kem_public_bytes(set);
    bool done = key != NULL && EVP_PKEY_get_raw_public_key(key, public_key, &length) == 1 &&
                length == ml_kem_public_bytes(set);

    EVP_PKEY_free(key);
    ERR_clear_error();
    return done;
}

bool ml_kem_openssl_encapsulate(enum ml_kem_set set, struct slice public_key,
                                const uint8_t message[ML_KEM_MESSAGE_BYTES], uint8_t *ciphertext,
                                uint8_t shared[ML_KEM_SHARED_BYTES])
{
    uint8_t copy[ML_KEM_MESSAGE_BYTES];
    OSSL_PARAM parameters[] = {OSSL_PARAM_octet_string("ikme", copy, sizeof(copy)), OSSL_PARAM_END};
    size_t length = ml_kem_cipher_bytes(set);
    size_t shared_length = ML_KEM_SHARED_BYTES;

    if (public_key.length != ml_kem_public_bytes(set)) {
        return false;
    }
    memcpy(copy, message, sizeof(copy));
    /* Numbers that are not below the modulus are refused here (FIPS 203 7.2). */
    EVP_PKEY *key =
        EVP_PKEY_new_raw_public_key_ex(NULL, names[set], NULL, public_key.data, public_key.length);
    EVP_PKEY_CTX *context = key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool done = context != NULL && EVP_PKEY_encapsulate_init(context, parameters) == 1 &&
                EVP_PKEY_encapsulate(context, ciphertext, &length, shared, &shared_length) == 1 &&
                length == ml_kem_cipher_bytes(set) && shared_length == ML_KEM_SHARED_BYTES;

    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    wipe(copy, sizeof(copy));
    ERR_clear_error();
    return done;
}

bool ml_kem_openssl_decapsulate(enum ml_kem_set set, const uint8_t seed[ML_KEM_SEED_BYTES],
                                struct slice ciphertext, uint8_t shared[ML_KEM_SHARED_BYTES])
{
    size_t length = ML_KEM_SHARED_BYTES;

    if (ciphertext.length != ml_kem_cipher_bytes(set)) {
        return false;
    }
    EVP_PKEY *key = key_of_seed(set, seed);
    EVP_PKEY_CTX *context = key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool done =
        context != NULL && EVP_PKEY_decapsulate_init(context, NULL) == 1 &&
        EVP_PKEY_decapsulate(context, shared, &length, ciphertext.data, ciphertext.length) == 1 &&
        length == ML_KEM_SHARED_BYTES;

    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return done;
}

/* A pair and both secrets, ours beside libcrypto's. */
static bool is_the_same(enum ml_kem_set set)
{
    uint8_t seed[ML_KEM_SEED_BYTES], message[ML_KEM_MESSAGE_BYTES];
    uint8_t public_key[2][ML_KEM_PUBLIC_BYTES_MAX], ciphertext[2][ML_KEM_CIPHER_BYTES_MAX];
    uint8_t shared[3][ML_KEM_SHARED_BYTES];
    struct slice ours = {public_key[0], ml_kem_public_bytes(set)};

    memset(seed, 0x5e, sizeof(seed));
    memset(message, 0xc1, sizeof(message));
    return ml_kem_make(set, seed, public_key[0], NULL) &&
           ml_kem_openssl_make(set, seed, public_key[1]) &&
           memcmp(public_key[0], public_key[1], ours.length) == 0 &&
           ml_kem_encapsulate(set, ours, message, ciphertext[0], shared[0]) &&
           ml_kem_openssl_encapsulate(set, ours, message, ciphertext[1], shared[1]) &&
           memcmp(ciphertext[0], ciphertext[1], ml_kem_cipher_bytes(set)) == 0 &&
           ml_kem_openssl_decapsulate(
               set, seed, (struct slice){ciphertext[0], ml_kem_cipher_bytes(set)}, shared[2]) &&
           memcmp(shared[0], shared[1], sizeof(shared[0])) == 0 &&
           memcmp(shared[0], shared[2], sizeof(shared[0])) == 0;
}

bool ml_kem_openssl_is_good(void)
{
    return is_the_same(ML_KEM_512) && is_the_same(ML_KEM_768) && is_the_same(ML_KEM_1024);
}
