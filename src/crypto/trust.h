/*
 * Whom a site believes: its authorities and pinned keys, and whether a peer's certificate leads to
 * one of them (RFC 5280 6, RFC 4945 5.1.3). A function of octets and the time that is handed in.
 */
#ifndef SEKISHO_CRYPTO_TRUST_H
#define SEKISHO_CRYPTO_TRUST_H

#include "crypto/certificate.h"
#include "crypto/revocation_store.h"

#define TRUST_ANCHORS_MAX 256
#define TRUST_CRLS_MAX 64
#define TRUST_SOURCES_MAX 8
#define TRUST_INTERMEDIATES_MAX 6 /* between a peer and an authority; real ones have one or two */

/* Counted; read-only once somebody else has it. */
struct trust;

/* NULL: no memory. */
MUST_USE struct trust *trust_new(void);
/* What a file holds: certificates become authorities (or, where they are none, are believed
 * themselves), public keys are believed themselves, CRLs are asked about what they cover. False:
 * too many, or no memory. */
MUST_USE bool trust_add(struct trust *trust, const struct certificate_bag *bag);
/* Where else to ask about certificates of its authorities. False: too many. */
MUST_USE bool trust_add_source(struct trust *trust, enum revocation_source_kind kind,
                               const char *url);
struct trust *trust_hold(struct trust *trust);
void trust_free(struct trust *trust); /* NULL is allowed */
size_t trust_count(const struct trust *trust);
const struct certificate *trust_at(const struct trust *trust, size_t index); /* borrowed */
/* The one RSA key that it believes itself and not because of an authority: a raw one, or that of
 * `certificate` (else NULL). NULL: it has none, or several. */
MUST_USE const struct public_key *trust_pinned(const struct trust *trust,
                                               const struct certificate **certificate);
/* A raw public key that is believed (RFC 7670). */
MUST_USE bool trust_has_key(const struct trust *trust, const struct public_key *key);

enum certificate_problem {
    CERTIFICATE_GOOD,
    CERTIFICATE_NONE, /* none was sent */
    CERTIFICATE_MALFORMED,
    CERTIFICATE_UNKNOWN_AUTHORITY, /* `issuer` is not among those that are believed */
    CERTIFICATE_SELF_SIGNED, /* by itself, and not believed */
    CERTIFICATE_BAD_SIGNATURE,
    CERTIFICATE_NOT_YET_VALID, /* until `when_s` */
    CERTIFICATE_EXPIRED, /* at `when_s` */
    CERTIFICATE_NOT_AN_AUTHORITY,
    CERTIFICATE_PATH_TOO_LONG, /* for its path length constraint */
    CERTIFICATE_CHAIN_TOO_LONG,
    CERTIFICATE_NAME_FORBIDDEN, /* by the name constraints of an authority */
    CERTIFICATE_CRITICAL_EXTENSION, /* one that we do not know */
    CERTIFICATE_POLICY,
    CERTIFICATE_KEY_USAGE, /* not for signatures */
    CERTIFICATE_PURPOSE, /* extended key usage: not for IKE */
    CERTIFICATE_KEY_UNSUPPORTED,
    CERTIFICATE_KEY_WEAK,
    CERTIFICATE_SIGNATURE_WEAK, /* signed with SHA-1 or worse */
    CERTIFICATE_WRONG_NAME, /* it has `said` and not `expected` */
    CERTIFICATE_REVOKED, /* at `when_s` */
    CERTIFICATE_REVOCATION_UNKNOWN, /* it must be known, and is not */
    CERTIFICATE_NO_MEMORY,
};

struct certificate_verdict {
    enum certificate_problem problem;
    unsigned depth; /* which certificate: 0 the peer's own, 1 its issuer's ... */
    int64_t when_s;
    char subject[160]; /* of that certificate, escaped */
    char issuer[160];
    char said[160]; /* of one that is good: why nobody knows whether it was revoked */
    char expected[160];
};

#define TRUST_RESPONSES_MAX 8

struct trust_rules {
    int64_t now_s;
    bool legacy; /* SHA-1, RSA from 1024 bits */
    bool encipherment; /* it is encrypted to, and does not sign (RFC 4945 5.1.3.2) */
    enum revocation_mode revocation;
    /* What the peer sent along (RFC 4806). */
    size_t response_count;
    struct slice responses[TRUST_RESPONSES_MAX];
    struct revocation_store *store; /* NULL: nothing is fetched */
};

/* Whether presented[0] leads to an authority; the others are what the chain may be built from, in
 * any order. */
MUST_USE bool trust_verify(const struct trust *trust, const struct trust_rules *rules,
                           const struct certificate *const *presented, size_t count,
                           struct certificate_verdict *verdict);
/* The same, and what would have to be asked to know more about revocation: only of a path that is
 * good otherwise, whatever the return value. `wishes` is empty before and the caller's to fini. */
MUST_USE bool trust_verify_and_wish(const struct trust *trust, const struct trust_rules *rules,
                                    const struct certificate *const *presented, size_t count,
                                    struct certificate_verdict *verdict,
                                    struct revocation_wishes *wishes);
/* CERTIFICATE_WRONG_NAME with what it has, and what was wanted. */
void certificate_verdict_wrong_name(const struct certificate *certificate, const char *expected,
                                    struct certificate_verdict *verdict);
/* "the certificate of C=JP, CN=gw1 expired on 2026-01-02 03:04 UTC" */
void certificate_verdict_words(const struct certificate_verdict *verdict, struct text *out);

#endif
