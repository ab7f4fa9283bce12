/*
 * Key exchange: the groups of RFC 2409, 3526, 5903, 6954, 8031. Values only, so that the work can
 * be done by another thread or process.
 */
#ifndef SEKISHO_CRYPTO_KEY_EXCHANGE_H
#define SEKISHO_CRYPTO_KEY_EXCHANGE_H

#include "base/random.h"
#include "base/secret.h"
#include "crypto/catalog.h"

#define KEY_EXCHANGE_PUBLIC_BYTES_MAX 1024

struct key_pair {
    uint16_t group;
    struct secret private_key;
    uint16_t public_length;
    uint8_t public_value[KEY_EXCHANGE_PUBLIC_BYTES_MAX]; /* as it stands in the KE payload */
};

/* The private key comes from `random` alone, so a seeded source gives the same pair. */
MUST_USE bool key_pair_make(uint16_t group, struct random_source *random, struct key_pair *out);
void key_pair_wipe(struct key_pair *pair);
/* False when the peer's value is refused: wrong length, off the curve, of small order, 0, 1 or p-1
 * (RFC 6989, RFC 8031 2.1). `shared` is as RFC 7296 2.14 wants it: g^ir padded to the prime's
 * length, or the x coordinate. */
MUST_USE bool key_agree(const struct key_pair *pair, struct slice peer_public,
                        struct secret *shared);

#endif
