/*
 * Signatures as IKEv2 has them: which there are, how they stand in an AUTH payload, and whether one
 * is right. RFC 7427 (AlgorithmIdentifiers, hash algorithms), RFC 4754 (ECDSA as r | s), RFC 8420
 * (Ed25519, Ed448), RFC 8247 3.2 and 3.2.1 (how far each may be trusted).
 */
#ifndef SEKISHO_CRYPTO_SIGNATURE_H
#define SEKISHO_CRYPTO_SIGNATURE_H

#include "crypto/signing_key.h"

#define SIGNATURE_BYTES_MAX (KEY_RSA_BITS_MAX / 8)
#define SIGNATURE_ALGORITHM_BYTES_MAX 80

enum signature_scheme {
    SIGNATURE_NONE,
    SIGNATURE_RSA_SHA1, /* PKCS#1 v1.5 */
    SIGNATURE_RSA_SHA256,
    SIGNATURE_RSA_SHA384,
    SIGNATURE_RSA_SHA512,
    SIGNATURE_PSS_SHA256, /* MGF1 with the same hash, salt as long as the hash */
    SIGNATURE_PSS_SHA384,
    SIGNATURE_PSS_SHA512,
    SIGNATURE_ECDSA_SHA256, /* any curve; the signature is DER */
    SIGNATURE_ECDSA_SHA384,
    SIGNATURE_ECDSA_SHA512,
    SIGNATURE_RAW_P256, /* RFC 4754: that curve, its hash, r | s */
    SIGNATURE_RAW_P384,
    SIGNATURE_RAW_P521,
    SIGNATURE_ED25519,
    SIGNATURE_ED448,
    /* IKEv1 alone: the message is a hash already and is signed as it is, without the name of its
     * algorithm (RFC 2409 5.1). ECDSA as r | s. */
    SIGNATURE_BARE_RSA, /* PKCS#1 v1.5 */
    SIGNATURE_BARE_P256,
    SIGNATURE_BARE_P384,
    SIGNATURE_BARE_P521,
    SIGNATURE_BARE_DSA, /* the message is of SHA-1's length; r | s */
};
#define SIGNATURE_SCHEMES (SIGNATURE_BARE_DSA + 1)

/* IKEv2 Hash Algorithms (RFC 7427 7, RFC 8420 2), as bits of a set. */
enum signature_hash {
    SIGNATURE_HASH_SHA1 = 1,
    SIGNATURE_HASH_SHA256 = 2,
    SIGNATURE_HASH_SHA384 = 3,
    SIGNATURE_HASH_SHA512 = 4,
    SIGNATURE_HASH_IDENTITY = 5,
};
#define SIGNATURE_HASH_BIT(hash) (1U << (hash))
#define SIGNATURE_SCHEME_BIT(scheme) (1U << (scheme))

/* "RSA-PSS with SHA-256" */
const char *signature_title(enum signature_scheme scheme);
/* Whether a key of that kind can make signatures of this scheme. */
MUST_USE bool signature_fits_key(enum signature_scheme scheme, enum key_kind kind);
/* SHA-1: only where the word legacy was said. */
MUST_USE bool signature_is_strong(enum signature_scheme scheme);

/* The AlgorithmIdentifier in DER that RFC 7427 3 puts before the signature; empty for those that it
 * does not know. */
struct slice signature_algorithm(enum signature_scheme scheme);
/* SIGNATURE_NONE: not exactly the encoding of one of ours. */
enum signature_scheme signature_read_algorithm(struct slice der);

/* SIGNATURE_HASH_ALGORITHMS (RFC 7427 4). False: malformed. Hashes that we do not know are passed
 * over. */
MUST_USE bool signature_read_hashes(struct slice data, uint32_t *set);
void signature_write_hashes(struct writer *w, uint32_t set);
/* Those that we can verify. */
uint32_t signature_own_hashes(bool legacy);

/* What a key of this kind signs with for method 14, when the peer has `hashes` and, where he said
 * so (RFC 9593), only takes `schemes` (bits; 0: he did not say). SIGNATURE_NONE: nothing. */
enum signature_scheme signature_choose(enum key_kind kind, unsigned bits, uint32_t hashes,
                                       uint32_t schemes);

/* The schemes that this key can sign with, as bits. */
uint32_t signature_of_key(const struct private_key *key);

/* At most SIGNATURE_BYTES_MAX octets. Where the key is kept somewhere else `why` says what went
 * wrong there. */
MUST_USE bool signature_make_told(const struct private_key *key, enum signature_scheme scheme,
                                  struct slice message, struct writer *out, struct text *why);
/* The same, said to nobody. */
MUST_USE bool signature_make(const struct private_key *key, enum signature_scheme scheme,
                             struct slice message, struct writer *out);
/* True for exactly one encoding of a right signature, made with a scheme that fits the key. Whether
 * key and scheme are strong enough is asked before. */
MUST_USE bool signature_verify(const struct public_key *key, enum signature_scheme scheme,
                               struct slice message, struct slice signature);

#endif
