/*
 * ML-KEM of ours beside libcrypto's, with a libcrypto that has it: tests/openssl35/check runs this
 * with that of Debian 13. Keys, ciphertexts and secrets in both directions, octet for octet; what
 * is changed on the way; what is refused; and pairs and ciphertexts that libcrypto draws by itself.
 */
#include "crypto/ml_kem_openssl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/random.h"

#define ROUNDS 300

static unsigned failed;

static void check(bool good, const char *what, enum ml_kem_set set)
{
    static const char *const names[] = {"ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"};

    printf("%s %s: %s\n", good ? "ok" : "FAIL", names[set], what);
    failed += !good;
}

struct place {
    uint8_t seed[ML_KEM_SEED_BYTES], message[ML_KEM_MESSAGE_BYTES];
    uint8_t public_key[2][ML_KEM_PUBLIC_BYTES_MAX];
    uint8_t private_key[ML_KEM_PRIVATE_BYTES_MAX];
    uint8_t ciphertext[2][ML_KEM_CIPHER_BYTES_MAX];
    uint8_t shared[4][ML_KEM_SHARED_BYTES];
};

struct verdict {
    bool keys, ciphertexts, secrets, changed, refused, drawn;
};

/* Numbers of 12 bits: the first becomes 3329, the modulus itself. */
static void enlarge(uint8_t *public_key)
{
    public_key[0] = 0x01;
    public_key[1] = (uint8_t)((public_key[1] & 0xf0) | 0x0d);
}

/* With randomness of its own, as any program that has libcrypto would do it. */
static bool draws_what_we_take(enum ml_kem_set set, struct place *p)
{
    static const char *const names[] = {"ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"};
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, names[set]);
    size_t public_bytes = sizeof(p->public_key[0]);
    size_t private_bytes = sizeof(p->private_key);
    size_t cipher_bytes = sizeof(p->ciphertext[0]);
    size_t bytes = ML_KEM_SHARED_BYTES;
    bool good =
        key != NULL && EVP_PKEY_get_raw_public_key(key, p->public_key[0], &public_bytes) == 1 &&
        EVP_PKEY_get_raw_private_key(key, p->private_key, &private_bytes) == 1 &&
        public_bytes == ml_kem_public_bytes(set) && private_bytes == ml_kem_private_bytes(set);
    EVP_PKEY_CTX *context = good ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;

    /* Its pair and ciphertext, opened by us. */
    good =
        context != NULL && EVP_PKEY_encapsulate_init(context, NULL) == 1 &&
        EVP_PKEY_encapsulate(context, p->ciphertext[0], &cipher_bytes, p->shared[0], &bytes) == 1 &&
        ml_kem_decapsulate(set, (struct slice){p->private_key, private_bytes},
                           (struct slice){p->ciphertext[0], cipher_bytes}, p->shared[1]) &&
        memcmp(p->shared[0], p->shared[1], ML_KEM_SHARED_BYTES) == 0;
    /* Our ciphertext to its pair, opened by it. */
    good = good &&
           ml_kem_encapsulate(set, (struct slice){p->public_key[0], public_bytes}, p->message,
                              p->ciphertext[1], p->shared[2]) &&
           EVP_PKEY_decapsulate_init(context, NULL) == 1 &&
           EVP_PKEY_decapsulate(context, p->shared[3], &bytes, p->ciphertext[1],
                                ml_kem_cipher_bytes(set)) == 1 &&
           memcmp(p->shared[2], p->shared[3], ML_KEM_SHARED_BYTES) == 0;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}

static void compare(enum ml_kem_set set, struct random_source *random, struct place *p,
                    struct verdict *v)
{
    struct slice key = {p->public_key[0], ml_kem_public_bytes(set)};
    struct slice sent = {p->ciphertext[0], ml_kem_cipher_bytes(set)};
    struct slice own = {p->private_key, ml_kem_private_bytes(set)};

    random_fill(random, p->seed, sizeof(p->seed));
    random_fill(random, p->message, sizeof(p->message));
    v->keys &= ml_kem_make(set, p->seed, p->public_key[0], p->private_key) &&
               ml_kem_openssl_make(set, p->seed, p->public_key[1]) &&
               memcmp(p->public_key[0], p->public_key[1], key.length) == 0;
    v->ciphertexts &=
        ml_kem_encapsulate(set, key, p->message, p->ciphertext[0], p->shared[0]) &&
        ml_kem_openssl_encapsulate(set, key, p->message, p->ciphertext[1], p->shared[1]) &&
        memcmp(p->ciphertext[0], p->ciphertext[1], sent.length) == 0;
    v->secrets &= ml_kem_decapsulate(set, own, sent, p->shared[2]) &&
                  ml_kem_openssl_decapsulate(set, p->seed, sent, p->shared[3]);
    for (size_t i = 1; i < 4; i++) {
        v->secrets &= memcmp(p->shared[0], p->shared[i], ML_KEM_SHARED_BYTES) == 0;
    }
    p->ciphertext[0][random_below(random, (uint32_t)sent.length)] ^=
        (uint8_t)(1u << random_below(random, 8));
    v->changed &= ml_kem_decapsulate(set, own, sent, p->shared[2]) &&
                  ml_kem_openssl_decapsulate(set, p->seed, sent, p->shared[3]) &&
                  memcmp(p->shared[2], p->shared[3], ML_KEM_SHARED_BYTES) == 0 &&
                  memcmp(p->shared[2], p->shared[0], ML_KEM_SHARED_BYTES) != 0;
    enlarge(p->public_key[0]);
    v->refused &= !ml_kem_encapsulate(set, key, p->message, p->ciphertext[0], p->shared[0]) &&
                  !ml_kem_openssl_encapsulate(set, key, p->message, p->ciphertext[1], p->shared[1]);
    v->drawn &= draws_what_we_take(set, p);
}

int main(void)
{
    static struct place place;
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);

    printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
    seeded_random_init(&seeded, (uint64_t)time(NULL));
    for (enum ml_kem_set set = ML_KEM_512; set <= ML_KEM_1024; set++) {
        struct verdict v = {true, true, true, true, true, true};

        for (unsigned i = 0; i < ROUNDS; i++) {
            compare(set, &random, &place, &v);
        }
        check(v.keys, "300 public keys are OpenSSL's", set);
        check(v.ciphertexts, "300 ciphertexts are OpenSSL's", set);
        check(v.secrets, "300 secrets, each found by both sides of both", set);
        check(v.changed, "a changed ciphertext gives both the same other secret", set);
        check(v.refused, "a key with a number that is the modulus is refused by both", set);
        check(v.drawn, "300 pairs and ciphertexts that OpenSSL drew, both ways", set);
    }
    if (!ml_kem_openssl_is_good()) {
        printf("FAIL this OpenSSL may not be used\n");
        failed++;
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
