/*
 * ML-KEM, the key encapsulation of FIPS 203, for IKEv2's key exchange methods 35, 36 and 37.
 *
 * One side makes a pair and sends the public key; the other encapsulates a secret to it and sends
 * the ciphertext; the first decapsulates. What time it takes and which memory it touches depends on
 * public values alone.
 */
#ifndef SEKISHO_CRYPTO_ML_KEM_H
#define SEKISHO_CRYPTO_ML_KEM_H

#include <stdbool.h>

#include "base/bytes.h"

enum ml_kem_set {
    ML_KEM_512,
    ML_KEM_768,
    ML_KEM_1024,
};

#define ML_KEM_SEED_BYTES 64 /* d and z of FIPS 203 7.1 */
#define ML_KEM_MESSAGE_BYTES 32 /* m of FIPS 203 7.2 */
#define ML_KEM_SHARED_BYTES 32
#define ML_KEM_PUBLIC_BYTES_MAX 1568
#define ML_KEM_PRIVATE_BYTES_MAX 3168
#define ML_KEM_CIPHER_BYTES_MAX 1568

size_t ml_kem_public_bytes(enum ml_kem_set set);
size_t ml_kem_private_bytes(enum ml_kem_set set);
size_t ml_kem_cipher_bytes(enum ml_kem_set set);

/* FIPS 203 algorithm 16. `public_key` and `private_key` have room for what the set needs; NULL when
 * it is not wanted. The seed is as secret as the private key, which it makes again at any time.
 * False: no memory. */
MUST_USE bool ml_kem_make(enum ml_kem_set set, const uint8_t seed[ML_KEM_SEED_BYTES],
                          uint8_t *public_key, uint8_t *private_key);

/* FIPS 203 algorithm 20 with its checks (7.2): false when the key has another length or numbers
 * that are not below the modulus. `message` are octets of good randomness, never used again. */
MUST_USE bool ml_kem_encapsulate(enum ml_kem_set set, struct slice public_key,
                                 const uint8_t message[ML_KEM_MESSAGE_BYTES], uint8_t *ciphertext,
                                 uint8_t shared[ML_KEM_SHARED_BYTES]);

/* FIPS 203 algorithm 21 with its checks (7.3): false when the ciphertext or the key has another
 * length, or the key is damaged. A forged ciphertext gives a secret that nobody knows, not false.
 */
MUST_USE bool ml_kem_decapsulate(enum ml_kem_set set, struct slice private_key,
                                 struct slice ciphertext, uint8_t shared[ML_KEM_SHARED_BYTES]);

#endif
