/* libcrypto's side of the keys, for the files of this room alone. */
#ifndef SEKISHO_CRYPTO_SIGNING_KEY_INTERNAL_H
#define SEKISHO_CRYPTO_SIGNING_KEY_INTERNAL_H

#include <openssl/evp.h>

#include "crypto/signing_key.h"

struct public_key {
    EVP_PKEY *pkey;
    enum key_kind kind;
    unsigned bits;
    unsigned holders;
};

struct private_key {
    EVP_PKEY *pkey;
    enum key_kind kind;
    unsigned bits;
    unsigned holders;
    const struct key_keeper *keeper; /* NULL: `pkey` is all of it; else the public half */
    void *kept;
    bool no_pss;
};

/* Takes a reference of its own. NULL: not a key that we use. */
MUST_USE struct public_key *public_key_over(EVP_PKEY *pkey);
MUST_USE struct private_key *private_key_over(EVP_PKEY *pkey);

#endif
