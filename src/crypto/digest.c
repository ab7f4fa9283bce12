/*
 * Hashes and HMAC over libcrypto's compression functions. They are used directly, because a
 * packet's HMAC through the provider interface costs an allocation and a key schedule.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/digest.h"

#include <assert.h>
#include <string.h>

#include "base/secret.h"

size_t digest_bytes(enum digest_id id)
{
    switch (id) {
    case DIGEST_MD5:
        return 16;
    case DIGEST_SHA1:
        return 20;
    case DIGEST_SHA256:
        return 32;
    case DIGEST_SHA384:
        return 48;
    case DIGEST_SHA512:
        return 64;
    }
    assert(false);
    return 0;
}

size_t digest_block_bytes(enum digest_id id)
{
    return id == DIGEST_SHA384 || id == DIGEST_SHA512 ? 128 : 64;
}

void digest_begin(struct digest *d, enum digest_id id)
{
    d->id = id;
    switch (id) {
    case DIGEST_MD5:
        MD5_Init(&d->state.md5);
        break;
    case DIGEST_SHA1:
        SHA1_Init(&d->state.sha1);
        break;
    case DIGEST_SHA256:
        SHA256_Init(&d->state.sha256);
        break;
    case DIGEST_SHA384:
        SHA384_Init(&d->state.sha512);
        break;
    case DIGEST_SHA512:
        SHA512_Init(&d->state.sha512);
        break;
    }
}

void digest_add(struct digest *d, const uint8_t *bytes, size_t length)
{
    if (length == 0) {
        return;
    }
    switch (d->id) {
    case DIGEST_MD5:
        MD5_Update(&d->state.md5, bytes, length);
        break;
    case DIGEST_SHA1:
        SHA1_Update(&d->state.sha1, bytes, length);
        break;
    case DIGEST_SHA256:
        SHA256_Update(&d->state.sha256, bytes, length);
        break;
    case DIGEST_SHA384:
        SHA384_Update(&d->state.sha512, bytes, length);
        break;
    case DIGEST_SHA512:
        SHA512_Update(&d->state.sha512, bytes, length);
        break;
    }
}

void digest_end(struct digest *d, uint8_t *out)
{
    switch (d->id) {
    case DIGEST_MD5:
        MD5_Final(out, &d->state.md5);
        break;
    case DIGEST_SHA1:
        SHA1_Final(out, &d->state.sha1);
        break;
    case DIGEST_SHA256:
        SHA256_Final(out, &d->state.sha256);
        break;
    case DIGEST_SHA384:
        SHA384_Final(out, &d->state.sha512);
        break;
    case DIGEST_SHA512:
        SHA512_Final(out, &d->state.sha512);
        break;
    }
    wipe(&d->state, sizeof(d->state));
}

/* Five words of SHA-1 and four of MD5 lie one behind the other, as the others' arrays do. */
static_assert(offsetof(SHA_CTX, h4) == 4 * sizeof(SHA_LONG), "SHA_CTX begins with h0 to h4");
static_assert(offsetof(MD5_CTX, D) == 3 * sizeof(MD5_LONG), "MD5_CTX begins with A to D");
static_assert(offsetof(SHA256_CTX, h) == 0, "SHA256_CTX begins with its words");
static_assert(offsetof(SHA512_CTX, h) == 0, "SHA512_CTX begins with its words");

/* SHA-384 keeps all eight words of SHA-512. */
static size_t chaining_bytes(enum digest_id id)
{
    return id == DIGEST_SHA384 ? 64 : digest_bytes(id);
}

static void digest_save(const struct digest *d, uint8_t *words)
{
    memcpy(words, &d->state, chaining_bytes(d->id));
}

/* As if one block had been added already. */
static void digest_restore(struct digest *d, enum digest_id id, const uint8_t *words)
{
    digest_begin(d, id);
    memcpy(&d->state, words, chaining_bytes(id));
    unsigned bits = (unsigned)digest_block_bytes(id) * 8;

    switch (id) {
    case DIGEST_MD5:
        d->state.md5.Nl = bits;
        break;
    case DIGEST_SHA1:
        d->state.sha1.Nl = bits;
        break;
    case DIGEST_SHA256:
        d->state.sha256.Nl = bits;
        break;
    case DIGEST_SHA384:
    case DIGEST_SHA512:
        d->state.sha512.Nl = bits;
        break;
    }
}

static void hmac_half(uint8_t *words, enum digest_id id, const uint8_t *padded_key, uint8_t mask)
{
    uint8_t block[DIGEST_BLOCK_BYTES_MAX];
    size_t block_bytes = digest_block_bytes(id);
    struct digest d;

    for (size_t i = 0; i < block_bytes; i++) {
        block[i] = padded_key[i] ^ mask;
    }
    digest_begin(&d, id);
    digest_add(&d, block, block_bytes);
    digest_save(&d, words);
    wipe(block, sizeof(block));
    wipe(&d, sizeof(d));
}

void hmac_key_init(struct hmac_key *key, enum digest_id id, struct slice secret)
{
    uint8_t padded_key[DIGEST_BLOCK_BYTES_MAX] = {0};

    if (secret.length > digest_block_bytes(id)) {
        struct digest d;
        digest_begin(&d, id);
        digest_add(&d, secret.data, secret.length);
        digest_end(&d, padded_key);
    } else if (secret.length > 0) {
        memcpy(padded_key, secret.data, secret.length);
    }
    memset(key, 0, sizeof(*key));
    hmac_half(key->inner, id, padded_key, 0x36);
    hmac_half(key->outer, id, padded_key, 0x5c);
    wipe(padded_key, sizeof(padded_key));
}

void hmac_begin(struct hmac *h, enum digest_id id, const struct hmac_key *key)
{
    h->key = key;
    digest_restore(&h->digest, id, key->inner);
}

void hmac_add(struct hmac *h, const uint8_t *bytes, size_t length)
{
    digest_add(&h->digest, bytes, length);
}

void hmac_end(struct hmac *h, uint8_t *out)
{
    enum digest_id id = h->digest.id;
    uint8_t inner[DIGEST_BYTES_MAX];

    digest_end(&h->digest, inner);
    digest_restore(&h->digest, id, h->key->outer);
    digest_add(&h->digest, inner, digest_bytes(id));
    digest_end(&h->digest, out);
    wipe(inner, sizeof(inner));
}
