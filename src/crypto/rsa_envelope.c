/*
 * RSA encryption of IKEv1: decides what comes out of an envelope, and that nobody learns whether it
 * was one.
 *
 * libcrypto does the arithmetic without padding, blinded and as long for every number. What has not
 * the length of the modulus, or is no smaller, is exchanged for a number of our own, so that as
 * much is done.
 */
#include "crypto/rsa_envelope.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/secret.h"
#include "crypto/prf.h"
#include "crypto/signing_key_internal.h"

/* ---- sealing ---- */

bool envelope_seal(const struct public_key *key, struct slice plain, struct writer *out)
{
    size_t length = (key->bits + 7) / 8;

    if (key->kind != KEY_RSA || plain.length + ENVELOPE_PADDING_BYTES > length) {
        return false;
    }
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pkey, NULL);
    uint8_t *at = write_reserve(out, length);
    bool done = context != NULL && at != NULL && EVP_PKEY_encrypt_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_encrypt(context, at, &length, plain.data, plain.length) == 1 &&
                length == (key->bits + 7) / 8;

    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return done;
}

/* ---- opening ---- */

bool envelope_key_is_usable(const struct private_key *key)
{
    return key->kind == KEY_RSA && key->keeper == NULL;
}

/* Of the private key, so that it is the same after a restart, and of nothing that signs. */
static bool make_seed(const struct private_key *key, size_t length, uint8_t seed[32])
{
    uint8_t exponent[ENVELOPE_BYTES_MAX];
    BIGNUM *d = NULL;
    struct digest digest;
    static const char label[] = "Sekisho: what an envelope holds that holds nothing";
    bool done = EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_D, &d) == 1 &&
                BN_bn2binpad(d, exponent, (int)length) == (int)length;

    BN_clear_free(d);
    if (done) {
        digest_begin(&digest, DIGEST_SHA256);
        digest_add(&digest, (const uint8_t *)label, sizeof(label));
        digest_add(&digest, exponent, length);
        digest_end(&digest, seed);
    }
    wipe(exponent, sizeof(exponent));
    return done;
}

/* Octets that go with this ciphertext. */
static void fill(const uint8_t seed[32], uint8_t purpose, const uint8_t sealed[32], uint8_t *out,
                 size_t length)
{
    struct hmac_key key;
    uint8_t block[32];

    hmac_key_init(&key, DIGEST_SHA256, (struct slice){seed, 32});
    for (size_t done = 0; done < length; done += sizeof(block)) {
        size_t take = length - done < sizeof(block) ? length - done : sizeof(block);
        const uint8_t head[3] = {purpose, (uint8_t)(done >> 8), (uint8_t)done};
        struct hmac hmac;

        hmac_begin(&hmac, DIGEST_SHA256, &key);
        hmac_add(&hmac, head, sizeof(head));
        hmac_add(&hmac, sealed, 32);
        hmac_end(&hmac, block);
        memcpy(out + done, block, take);
    }
    wipe(block, sizeof(block));
    wipe(&key, sizeof(key));
}

/* Whether it is a number below the modulus, which the sender knows as well as we do. */
static bool is_number(const struct private_key *key, struct slice sealed, size_t length)
{
    BIGNUM *modulus = NULL;
    BIGNUM *number = NULL;
    bool is = sealed.length == length &&
              EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 &&
              (number = BN_bin2bn(sealed.data, (int)sealed.length, NULL)) != NULL &&
              BN_cmp(number, modulus) < 0;

    BN_free(modulus);
    BN_free(number);
    return is;
}

static bool private_operation(const struct private_key *key, const uint8_t *number, size_t length,
                              uint8_t *out)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pkey, NULL);
    size_t made = length;
    bool done = context != NULL && EVP_PKEY_decrypt_init(context) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1 &&
                EVP_PKEY_decrypt(context, out, &made, number, length) == 1 && made == length;

    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return done;
}

bool envelope_open(const struct private_key *key, struct slice sealed, size_t least, size_t most,
                   struct writer *out)
{
    enum { NUMBER = 1, OCTETS, LENGTH };
    size_t length = (key->bits + 7) / 8;
    uint8_t seed[32];
    uint8_t digest[32]; /* of what came, which may be long */
    uint8_t number[ENVELOPE_BYTES_MAX];
    uint8_t padded[ENVELOPE_BYTES_MAX];
    uint8_t other[ENVELOPE_BYTES_MAX];
    uint8_t opened[ENVELOPE_BYTES_MAX];
    uint8_t random[4];

    if (most + ENVELOPE_PADDING_BYTES > length) {
        most = length - ENVELOPE_PADDING_BYTES;
    }
    if (!envelope_key_is_usable(key) || least > most || !make_seed(key, length, seed)) {
        return false;
    }
    bool given = is_number(key, sealed, length);

    sha256(&sealed, 1, digest);
    fill(seed, NUMBER, digest, number, length);
    number[0] = 0; /* below every modulus of this length */
    if (given) {
        memcpy(number, sealed.data, length);
    }
    fill(seed, OCTETS, digest, other, length);
    fill(seed, LENGTH, digest, random, sizeof(random));
    size_t other_length = least + get_u32(random) % (most - least + 1);
    bool done = private_operation(key, number, length, padded);

    if (done) {
        padded[0] |= given ? 0 : 1;
        size_t result = envelope_unpad(padded, other, length, other_length, least, most, opened);

        write_slice(out, (struct slice){opened, result});
    }
    wipe(seed, sizeof(seed));
    wipe(padded, sizeof(padded));
    wipe(other, sizeof(other));
    wipe(opened, sizeof(opened));
    return done && writer_ok(out);
}

/* ---- as work ---- */

bool envelope_seal_all(struct envelope *envelope, const struct public_key *key)
{
    bool done = envelope->count > 0;

    for (size_t i = 0; done && i < envelope->count; i++) {
        struct envelope_part *part = &envelope->parts[i];
        uint8_t sealed[ENVELOPE_BYTES_MAX];
        struct writer w = writer_over(sealed, sizeof(sealed));

        done = envelope_seal(key, (struct slice){part->octets, part->length}, &w);
        part->length = writer_written(&w).length;
        memcpy(part->octets, sealed, part->length);
    }
    return done;
}

/* All are opened, whatever became of one before. */
bool envelope_open_all(struct envelope *envelope, const struct private_key *key)
{
    bool done = envelope->count > 0;

    for (size_t i = 0; i < envelope->count; i++) {
        struct envelope_part *part = &envelope->parts[i];
        uint8_t opened[ENVELOPE_BYTES_MAX];
        struct writer w = writer_over(opened, sizeof(opened));

        done = envelope_open(key, (struct slice){part->octets, part->length}, part->least,
                             part->most, &w) &&
               done;
        part->length = writer_written(&w).length;
        memcpy(part->octets, opened, part->length);
        wipe(opened, sizeof(opened));
    }
    return done;
}

void envelope_hash_certificate(struct envelope *envelope, struct slice der)
{
    struct digest digest;

    digest_begin(&digest, envelope->digest);
    digest_add(&digest, der.data, der.length);
    digest_end(&digest, envelope->hash);
    envelope->hash_bytes = digest_bytes(envelope->digest);
}

void envelope_free(struct envelope *envelope)
{
    if (envelope != NULL) {
        wipe(envelope, sizeof(*envelope));
        free(envelope);
    }
}
