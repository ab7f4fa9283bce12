/*
 * ML-KEM of the running libcrypto, which has it from 3.5 on: the same values as those of ml_kem.h
 * for the same seeds and messages.
 */
#ifndef SEKISHO_CRYPTO_ML_KEM_OPENSSL_H
#define SEKISHO_CRYPTO_ML_KEM_OPENSSL_H

#include "crypto/ml_kem.h"

/* False: this libcrypto has no ML-KEM, or another one than FIPS 203's: it is compared with ours. */
MUST_USE bool ml_kem_openssl_is_good(void);

/* As ml_kem_make(), ml_kem_encapsulate() and ml_kem_decapsulate(), but for the private key, which
 * is always the seed. False also when libcrypto has no such algorithm. */
MUST_USE bool ml_kem_openssl_make(enum ml_kem_set set, const uint8_t seed[ML_KEM_SEED_BYTES],
                                  uint8_t *public_key);
MUST_USE bool ml_kem_openssl_encapsulate(enum ml_kem_set set, struct slice public_key,
                                         const uint8_t message[ML_KEM_MESSAGE_BYTES],
                                         uint8_t *ciphertext, uint8_t shared[ML_KEM_SHARED_BYTES]);
MUST_USE bool ml_kem_openssl_decapsulate(enum ml_kem_set set, const uint8_t seed[ML_KEM_SEED_BYTES],
                                         struct slice ciphertext,
                                         uint8_t shared[ML_KEM_SHARED_BYTES]);

#endif
