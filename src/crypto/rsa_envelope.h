/*
 * RSA encryption as IKEv1 authenticates with (RFC 2409 5.2, 5.3; RFC 8017 7.2, EME-PKCS1-v1_5).
 *
 * That padding has been an oracle since 1998: whoever learns whether a text of his own making was
 * padded well decrypts others, and forges signatures of the same key. So nobody learns it here,
 * also not who calls: what cannot be opened opens to octets that nobody can tell from real ones,
 * made of the private key and the ciphertext, after the same work. They are as long as they may be,
 * come out the same each time, and prove nothing later.
 */
#ifndef SEKISHO_CRYPTO_RSA_ENVELOPE_H
#define SEKISHO_CRYPTO_RSA_ENVELOPE_H

#include "crypto/digest.h"
#include "crypto/signing_key.h"

#define ENVELOPE_BYTES_MAX (KEY_RSA_BITS_MAX / 8)
#define ENVELOPE_PADDING_BYTES 11 /* at least */

/* One ciphertext, as long as the modulus. False: not an RSA key, too long for it, or no memory. */
MUST_USE bool envelope_seal(const struct public_key *key, struct slice plain, struct writer *out);
/* One private operation, whatever `sealed` is. What is opened has `least` to `most` octets. False:
 * the key is not RSA, is kept in a token or too short for `least`, or there is no memory; never
 * because of `sealed`. */
MUST_USE bool envelope_open(const struct private_key *key, struct slice sealed, size_t least,
                            size_t most, struct writer *out);
/* A token says of itself whether the padding was right, so keys in tokens are of no use here. */
MUST_USE bool envelope_key_is_usable(const struct private_key *key);

/* In time that depends on the lengths that are handed in alone: `padded` without its padding, or
 * `other` (as long as `padded`; of it `other_length`) where that is wrong or what it holds is not
 * of `least` to `most` octets. `out` is as long as `padded` and zeros behind the result. Gives the
 * length of the result. */
size_t envelope_unpad(const uint8_t *padded, const uint8_t *other, size_t length,
                      size_t other_length, size_t least, size_t most, uint8_t *out);

/* ---- as a piece of work for another thread ---- */

#define ENVELOPE_PARTS_MAX 2

struct envelope_part {
    size_t least, most; /* to be opened */
    size_t length;
    uint8_t octets[ENVELOPE_BYTES_MAX]; /* before and after */
};

struct envelope {
    size_t count;
    struct envelope_part parts[ENVELOPE_PARTS_MAX];
    /* Sealed with the key of a certificate: its hash, made with `digest` (HASH(1)). */
    enum digest_id digest;
    size_t hash_bytes; /* 0: with a raw key */
    uint8_t hash[DIGEST_BYTES_MAX];
};

/* All parts, or false. */
MUST_USE bool envelope_seal_all(struct envelope *envelope, const struct public_key *key);
MUST_USE bool envelope_open_all(struct envelope *envelope, const struct private_key *key);
void envelope_hash_certificate(struct envelope *envelope, struct slice der);
void envelope_free(struct envelope *envelope); /* wipes; NULL is allowed */

#endif
