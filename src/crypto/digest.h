/*
 * Hash functions and HMAC (RFC 2104) as plain values: no allocation, no library context, any
 * thread.
 */
#ifndef SEKISHO_CRYPTO_DIGEST_H
#define SEKISHO_CRYPTO_DIGEST_H

#include <openssl/md5.h>
#include <openssl/sha.h>

#include "base/bytes.h"

#define DIGEST_BYTES_MAX 64
#define DIGEST_BLOCK_BYTES_MAX 128

enum digest_id { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };

size_t digest_bytes(enum digest_id id);
size_t digest_block_bytes(enum digest_id id);

struct digest {
    enum digest_id id;
    union {
        MD5_CTX md5;
        SHA_CTX sha1;
        SHA256_CTX sha256;
        SHA512_CTX sha512;
    } state;
};

void digest_begin(struct digest *d, enum digest_id id);
void digest_add(struct digest *d, const uint8_t *bytes, size_t length);
/* digest_bytes() octets; the state is wiped. */
void digest_end(struct digest *d, uint8_t *out);

/* The chaining values of the hash after the padded key's block, inner and outer, as the words of
 * this machine: small to keep, and the form that ipsec-mb takes. 64-byte aligned where ipsec-mb
 * reads it. */
struct hmac_key {
    uint8_t inner[DIGEST_BYTES_MAX];
    uint8_t outer[DIGEST_BYTES_MAX];
};

void hmac_key_init(struct hmac_key *key, enum digest_id id, struct slice secret);

struct hmac {
    struct digest digest;
    const struct hmac_key *key;
};

void hmac_begin(struct hmac *h, enum digest_id id, const struct hmac_key *key);
void hmac_add(struct hmac *h, const uint8_t *bytes, size_t length);
void hmac_end(struct hmac *h, uint8_t *out);

#endif
