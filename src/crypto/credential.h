/*
 * What we prove ourselves with: a certificate, those that lead from it to its authority, and the
 * key. The key itself never leaves: whoever wants a signature asks for one.
 */
#ifndef SEKISHO_CRYPTO_CREDENTIAL_H
#define SEKISHO_CRYPTO_CREDENTIAL_H

#include "crypto/certificate.h"
#include "crypto/rsa_envelope.h"
#include "crypto/signature.h"

/* Counted and read-only, so any number of threads use one. */
struct credential;

enum credential_problem {
    CREDENTIAL_FINE,
    CREDENTIAL_CERTIFICATE, /* the file of certificates: see `bag` */
    CREDENTIAL_KEY, /* the file of the key: see `key` */
    CREDENTIAL_PKCS12, /* not one, or it does not open with this passphrase */
    CREDENTIAL_MISMATCH, /* none of the certificates has this key */
    CREDENTIAL_NO_MEMORY,
};

struct credential_verdict {
    enum credential_problem problem;
    enum certificate_bag_problem bag;
    enum private_key_problem key;
};

/* From a file of certificates and one of the key (which may be the same). The certificate is the
 * one that has the key; the others are sent along. */
MUST_USE struct credential *credential_read(struct slice certificates, struct slice key,
                                            struct slice passphrase,
                                            struct credential_verdict *verdict);
/* With a key that is there already; nothing is taken over. */
MUST_USE struct credential *credential_join(struct private_key *key,
                                            const struct certificate_bag *bag,
                                            struct credential_verdict *verdict);
/* From PKCS#12 (RFC 7292). */
MUST_USE struct credential *credential_read_pkcs12(struct slice bytes, struct slice passphrase,
                                                   struct credential_verdict *verdict);
/* PKCS#12 with the key: AES-256-CBC and HMAC-SHA256, or, `compatible`, 3DES and HMAC-SHA1, which is
 * what Apple's and older programs read. */
#define PKCS12_BYTES_MAX 65536
MUST_USE bool credential_write_pkcs12(const struct credential *credential, const char *title,
                                      const char *passphrase, bool compatible, struct writer *out);

struct credential *credential_hold(struct credential *credential);
void credential_free(struct credential *credential); /* NULL is allowed */
size_t credential_count(const struct credential *credential); /* of certificates, at least one */
/* 0: our own; borrowed. */
const struct certificate *credential_at(const struct credential *credential, size_t index);
enum key_kind credential_kind(const struct credential *credential);
unsigned credential_bits(const struct credential *credential);
/* The schemes that it can sign with, as bits. */
uint32_t credential_schemes(const struct credential *credential);
/* Kept in a token: signing may take long, and fail with a sentence. */
MUST_USE bool credential_is_kept(const struct credential *credential);
MUST_USE bool credential_sign(const struct credential *credential, enum signature_scheme scheme,
                              struct slice message, struct writer *out, struct text *why);
/* Opens with the key what was sealed with the one in the certificate (RSA encryption of IKEv1).
 * False: not a key for that, see envelope_key_is_usable(). */
MUST_USE bool credential_opens(const struct credential *credential);
MUST_USE bool credential_open(const struct credential *credential, struct envelope *envelope);
/* The same key in both. */
MUST_USE bool credential_same_key(const struct credential *a, const struct credential *b);
/* PKCS#8 in PEM, in clear, for a file that only its owner may read; the caller wipes it. */
MUST_USE bool credential_write_key(const struct credential *credential, struct writer *out);
void credential_verdict_words(const struct credential_verdict *verdict, struct text *out);

#endif
