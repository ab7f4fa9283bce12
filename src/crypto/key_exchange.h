/*
 * Key exchange: the groups of RFC 2409, 3526, 5903, 6954, 8031, and ML-KEM (FIPS 203), where who
 * answers cannot begin before he has the other's value. Values only, so that the work can be done
 * by another thread or process.
 */
#ifndef SEKISHO_CRYPTO_KEY_EXCHANGE_H
#define SEKISHO_CRYPTO_KEY_EXCHANGE_H

#include "base/random.h"
#include "base/secret.h"
#include "crypto/catalog.h"

#define KEY_EXCHANGE_PUBLIC_BYTES_MAX 1568 /* ML-KEM-1024; MODP-8192 has 1024 */

struct key_pair {
    uint16_t group;
    struct secret private_key;
    uint16_t public_length;
    uint8_t public_value[KEY_EXCHANGE_PUBLIC_BYTES_MAX]; /* as it stands in the KE payload */
};

/* Once, before any key is made: whether ML-KEM is libcrypto's (3.5 and later, where it gives what
 * ours gives) or our own. Without this it is our own. */
void key_exchange_start(void);
/* A line about that, as those of protect_report(). */
const char *key_exchange_report(void);

/* The private key comes from `random` alone, so a seeded source gives the same pair. */
MUST_USE bool key_pair_make(uint16_t group, struct random_source *random, struct key_pair *out);
void key_pair_wipe(struct key_pair *pair);
/* The responder's side in one step: what we send (`out`, whose private key is none with ML-KEM) and
 * the shared secret. Refuses as key_agree() does. */
MUST_USE bool key_answer(uint16_t group, struct random_source *random, struct slice peer_public,
                         struct key_pair *out, struct secret *shared);
/* One of the three, as a question about a key exchange has it: without a peer's value a pair is
 * made, with it and a pair they agree, with it alone it is answered. */
MUST_USE bool key_exchange_step(uint16_t group, struct random_source *random, bool has_pair,
                                struct key_pair *pair, struct slice peer_public,
                                struct secret *shared);
/* The side of who began (with all but ML-KEM, of either). False when the peer's value is refused:
 * wrong length, off the curve, of small order, 0, 1 or p-1 (RFC 6989, RFC 8031 2.1). `shared` is as
 * RFC 7296 2.14 wants it: g^ir padded to the prime's length, or the x coordinate. */
MUST_USE bool key_agree(const struct key_pair *pair, struct slice peer_public,
                        struct secret *shared);

#endif
