/*
 * X.509 certificates as values (RFC 5280): reading them, what is in them, whose names they have,
 * and what a person is shown. Whether one is to be believed is trust.h's business.
 */
#ifndef SEKISHO_CRYPTO_CERTIFICATE_H
#define SEKISHO_CRYPTO_CERTIFICATE_H

#include "crypto/signing_key.h"

#define CERTIFICATE_BYTES_MAX 16384 /* a large one has 4 KiB */
#define CERTIFICATES_MAX 16 /* of one peer, or of one file of ours */
#define CERTIFICATE_FINGERPRINT_BYTES 32
#define CERTIFICATE_KEY_HASH_BYTES 20

/* Counted and read-only, so any number of threads use one. */
struct certificate;

/* From DER. NULL: not exactly one certificate, or longer than CERTIFICATE_BYTES_MAX. One whose key
 * we cannot use is read; certificate_key() is NULL then. */
MUST_USE struct certificate *certificate_read(struct slice der);
struct certificate *certificate_hold(struct certificate *certificate);
void certificate_free(struct certificate *certificate); /* NULL is allowed */

/* Borrowed from the certificate. */
struct slice certificate_der(const struct certificate *certificate);
struct slice certificate_subject(const struct certificate *certificate); /* Name in DER */
const struct public_key *certificate_key(const struct certificate *certificate);

/* Seconds since 1970, UTC. */
int64_t certificate_begins_s(const struct certificate *certificate);
int64_t certificate_ends_s(const struct certificate *certificate);
MUST_USE bool certificate_is_authority(const struct certificate *certificate);
MUST_USE bool certificate_is_self_issued(const struct certificate *certificate);
MUST_USE bool certificate_equal(const struct certificate *a, const struct certificate *b);
/* Of the whole certificate, SHA-256. */
void certificate_fingerprint(const struct certificate *certificate,
                             uint8_t out[CERTIFICATE_FINGERPRINT_BYTES]);
/* SHA-1 over the SubjectPublicKeyInfo: how CERTREQ names an authority (RFC 7296 3.7). */
void certificate_key_hash(const struct certificate *certificate,
                          uint8_t out[CERTIFICATE_KEY_HASH_BYTES]);

/* ---- names ---- */

enum certificate_name_kind {
    CERTIFICATE_NAME_DNS, /* without regard to case and a final dot; no wildcards */
    CERTIFICATE_NAME_EMAIL, /* the host without regard to case */
    CERTIFICATE_NAME_URI, /* octet by octet */
    CERTIFICATE_NAME_ADDRESS, /* 4 or 16 octets */
    CERTIFICATE_NAME_DN, /* the subject, a Name in DER */
    CERTIFICATE_NAME_DN_PATTERN, /* the subject, in words: "C=JP, O=Partner, CN=*" */
};

/* Whether the subject has this name. RFC 4945 5.1.3.6: of subjectAltName; the common name is no
 * host name. */
MUST_USE bool certificate_has_name(const struct certificate *certificate,
                                   enum certificate_name_kind kind, struct slice value);
/* Whether a pattern for the subject is one: pairs of attribute and value with commas between, a
 * value * for any. */
MUST_USE bool certificate_pattern_is_sound(struct slice pattern);

/* ---- words ---- */

/* "C=JP, O=Partner, CN=gw1", in the order of the certificate, escaped. */
void certificate_subject_words(const struct certificate *certificate, struct text *out);
void certificate_issuer_words(const struct certificate *certificate, struct text *out);
/* "tokyo.example.jp, 203.0.113.1", or the subject when there is no other name. */
void certificate_names_words(const struct certificate *certificate, struct text *out);
/* "4f3a90..." */
void certificate_serial_words(const struct certificate *certificate, struct text *out);
/* A Name in DER. */
void certificate_dn_words(struct slice name, struct text *out);
/* "2026-11-27 13:00 UTC" */
void certificate_time_words(int64_t seconds, struct text *out);
/* Several lines: subject, issuer, names, validity, key, what it is for, fingerprint. */
void certificate_describe(const struct certificate *certificate, struct text *out);

/* Whether that one signed it: the names fit, and the signature is right. */
MUST_USE bool certificate_is_issued_by(const struct certificate *certificate,
                                       const struct certificate *issuer);

/* ---- files ---- */

struct certificate_bag {
    size_t certificate_count;
    struct certificate *certificates[CERTIFICATES_MAX];
    size_t key_count;
    struct public_key *keys[CERTIFICATES_MAX]; /* raw public keys (RFC 7670) */
    size_t crl_count;
    struct slice crls[CERTIFICATES_MAX]; /* DER, owned */
};

enum certificate_bag_problem {
    CERTIFICATE_BAG_FINE,
    CERTIFICATE_BAG_EMPTY, /* neither certificate nor public key nor revocation list in it */
    CERTIFICATE_BAG_UNREADABLE, /* one of them is malformed */
    CERTIFICATE_BAG_FULL,
    CERTIFICATE_BAG_NO_MEMORY,
};

/* Adds what is in a file: PEM blocks of certificates, public keys and CRLs (private keys between
 * them are passed over), or one certificate or CRL in DER. */
MUST_USE enum certificate_bag_problem certificate_bag_add(struct certificate_bag *bag,
                                                          struct slice bytes);
void certificate_bag_fini(struct certificate_bag *bag);
const char *certificate_bag_problem_words(enum certificate_bag_problem problem);

#endif
