/*
 * One-way verifiers of passwords: the StoredKey of SCRAM-SHA-256 (RFC 5802 3, RFC 7677). Whoever
 * reads one has to guess the password, at `rounds` hashes for each guess.
 */
#ifndef SEKISHO_CRYPTO_PASSWORD_H
#define SEKISHO_CRYPTO_PASSWORD_H

#include "base/random.h"
#include "base/secret.h"
#include "base/text.h"

#define PASSWORD_SALT_BYTES_MAX 64
#define PASSWORD_SALT_BYTES 16 /* of new ones */
#define PASSWORD_KEY_BYTES 32
#define PASSWORD_ROUNDS_LEAST 4096 /* RFC 7677 4 */
#define PASSWORD_ROUNDS_MOST 2000000 /* a wrong file must not stop the machine */
#define PASSWORD_ROUNDS 200000 /* of new ones: about a tenth of a second */
#define PASSWORD_TEXT_BYTES 192

struct password_verifier {
    uint32_t rounds;
    uint8_t salt_length;
    uint8_t salt[PASSWORD_SALT_BYTES_MAX];
    uint8_t key[PASSWORD_KEY_BYTES];
};

/* Takes long: of a job thread. False when there is no memory. */
MUST_USE bool password_make(struct slice password, uint32_t rounds, struct random_source *random,
                            struct password_verifier *out);
/* Takes as long whether it fits or not. */
MUST_USE bool password_fits(const struct password_verifier *verifier, struct slice password);

/* $scram$sha-256$ROUNDS$SALT$KEY, the last two in base64. */
MUST_USE bool password_read(struct slice text, struct password_verifier *out);
void password_write(const struct password_verifier *verifier, struct text *out);

#endif
