/*
 * Keys that sign: RSA, ECDSA on the NIST curves, Ed25519, Ed448, and for peers of IKEv1 that have
 * nothing else DSA. What may be in a public key of
 * somebody else, how a private key is read from a file's octets, and what a person is shown of it.
 */
#ifndef SEKISHO_CRYPTO_SIGNING_KEY_H
#define SEKISHO_CRYPTO_SIGNING_KEY_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/text.h"

enum key_kind { KEY_RSA, KEY_P256, KEY_P384, KEY_P521, KEY_ED25519, KEY_ED448, KEY_DSA };

/* Smaller keys are as good as none today; larger ones only cost time, which is what an attacker
 * would want of us. */
#define KEY_RSA_BITS_MIN 2048
#define KEY_RSA_BITS_MIN_LEGACY 1024
#define KEY_RSA_BITS_MAX 8192
/* DSS as RFC 2409 has it: FIPS 186 with SHA-1, so the subgroup has 160 bits. Never strong. */
#define KEY_DSA_BITS_MIN 1024
#define KEY_DSA_BITS_MAX 3072
#define KEY_DSA_SUBGROUP_BITS 160
#define KEY_SPKI_BYTES_MAX 2048
#define PRIVATE_KEY_FILE_BYTES_MAX 16384

/* Both are counted: hold gives the same key again, free gives one of them back. Read-only, so any
 * number of threads use one. */
struct public_key;
struct private_key;

/* From a SubjectPublicKeyInfo in DER (RFC 5280 4.1.2.7, RFC 7670 3). NULL: not exactly one, a kind
 * that we do not have, a curve without a name, an RSA key with an even modulus or exponent, or of
 * a size beyond the limits. RSA keys below KEY_RSA_BITS_MIN are read, and refused where they would
 * be used. */
MUST_USE struct public_key *public_key_read(struct slice spki);
struct public_key *public_key_hold(struct public_key *key);
void public_key_free(struct public_key *key); /* NULL is allowed */
enum key_kind public_key_kind(const struct public_key *key);
unsigned public_key_bits(const struct public_key *key);
/* Large enough to be relied upon. */
MUST_USE bool public_key_is_strong(const struct public_key *key, bool legacy);
MUST_USE bool public_key_equal(const struct public_key *a, const struct public_key *b);
/* The SubjectPublicKeyInfo in DER. */
MUST_USE bool public_key_write(const struct public_key *key, struct writer *w);

enum private_key_problem {
    PRIVATE_KEY_FINE,
    PRIVATE_KEY_UNREADABLE,
    PRIVATE_KEY_NEEDS_PASSPHRASE,
    PRIVATE_KEY_WRONG_PASSPHRASE,
    PRIVATE_KEY_UNSUPPORTED, /* a kind or a size that we do not have */
    PRIVATE_KEY_NO_MEMORY,
};

/* From PEM (PKCS#8 in clear or encrypted, or the older forms of RSA and EC) or from DER (PKCS#8 or
 * the older forms). `passphrase` empty: none is known. */
MUST_USE enum private_key_problem private_key_read(struct slice bytes, struct slice passphrase,
                                                   struct private_key **out);
/* A fresh one; `rsa_bits` matters only for KEY_RSA and KEY_DSA. NULL: it cannot be made. */
MUST_USE struct private_key *private_key_make(enum key_kind kind, unsigned rsa_bits);
struct private_key *private_key_hold(struct private_key *key);
void private_key_free(struct private_key *key); /* NULL is allowed */
/* Its public half, to be freed by the caller. NULL: no memory. */
MUST_USE struct public_key *private_key_public(const struct private_key *key);
MUST_USE bool private_key_fits(const struct private_key *key, const struct public_key *other);
/* A private key that is somewhere else (a token, PKCS#11): whoever keeps it does the last step,
 * over a hash that was made here. */
enum signing_step {
    SIGNING_RSA_PKCS1, /* input: the DigestInfo (RFC 8017 9.2), or a bare hash */
    SIGNING_RSA_PSS, /* input: the hash; mask with the same one, salt as long */
    SIGNING_ECDSA, /* input: the hash, no longer than the order; output: r | s */
    SIGNING_EDDSA, /* input: the message */
};
struct key_keeper {
    /* In any thread, several at once. False with a sentence. */
    bool (*sign)(void *kept, enum signing_step step, unsigned hash_bits, struct slice input,
                 struct writer *out, struct text *why);
    void (*release)(void *kept);
};
/* `public` is its public half, as it is. `kept` is released with the key, and at once when
 * there is no memory (NULL). `pss`: the keeper can do it. It cannot be written. */
MUST_USE struct private_key *private_key_kept(const struct public_key *public,
                                              const struct key_keeper *keeper, void *kept,
                                              bool pss);
/* PKCS#8 in PEM, at most PRIVATE_KEY_FILE_BYTES_MAX, which the caller wipes; with a passphrase it
 * is encrypted (PBES2, PBKDF2 with HMAC-SHA256, AES-256-CBC). */
MUST_USE bool private_key_write(const struct private_key *key, struct slice passphrase,
                                struct writer *out);

/* "RSA 3072", "P-256", "Ed25519". */
void key_title(enum key_kind kind, unsigned bits, struct text *out);
const char *private_key_problem_words(enum private_key_problem problem);

#endif
