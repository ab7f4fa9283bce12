/*
 * Initialisation vectors that nobody can predict (RFC 3602 3, RFC 2451 3): a ChaCha20 key stream
 * (RFC 8439) under a key that each refill replaces, so that what was used before cannot be computed
 * from what is here.
 */
#ifndef SEKISHO_DATAPLANE_IV_H
#define SEKISHO_DATAPLANE_IV_H

#include "base/random.h"

#define IV_BYTES_MAX 16
#define IV_KEY_BYTES 32
#define IV_STORE_BYTES 1024

/* Belongs to one worker. */
struct iv_source {
    uint8_t key[IV_KEY_BYTES];
    uint8_t store[IV_STORE_BYTES];
    size_t used;
};

void iv_init(struct iv_source *iv, struct random_source *random);
void iv_fini(struct iv_source *iv);
/* length <= IV_BYTES_MAX */
void iv_take(struct iv_source *iv, uint8_t *out, size_t length);

/* RFC 8439 2.3: one block of 64 octets. */
void iv_chacha20_block(const uint8_t key[IV_KEY_BYTES], uint32_t counter, const uint8_t nonce[12],
                       uint8_t out[64]);

#endif
