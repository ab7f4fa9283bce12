/*
 * Whether a certificate was taken back: what a CRL (RFC 5280 5, 6.3) and an OCSP response (RFC
 * 6960) say, as functions of octets and a time that is handed in, and where both are to be had.
 * Fetching them is not done here.
 */
#ifndef SEKISHO_CRYPTO_REVOCATION_H
#define SEKISHO_CRYPTO_REVOCATION_H

#include "crypto/certificate.h"

enum revocation_mode {
    REVOCATION_NORMAL, /* refused when it is known to be revoked */
    REVOCATION_STRICT, /* refused unless it is known not to be */
    REVOCATION_OFF,
};

enum revocation_status { REVOCATION_UNKNOWN, REVOCATION_GOOD, REVOCATION_REVOKED };

enum revocation_problem {
    REVOCATION_FINE,
    REVOCATION_MALFORMED,
    REVOCATION_OF_ANOTHER, /* not of this certificate's issuer, or not about it */
    REVOCATION_BAD_SIGNATURE,
    REVOCATION_SIGNER_NOT_ALLOWED, /* no cRLSign, no OCSPSigning, or not the issuer's */
    REVOCATION_NOT_YET,
    REVOCATION_OUT_OF_DATE,
    REVOCATION_PARTIAL, /* a delta or indirect CRL, or one for some certificates or reasons only */
    REVOCATION_REFUSED, /* the responder answered with an error */
    REVOCATION_WRONG_NONCE,
    REVOCATION_WEAK, /* signed with SHA-1 or worse */
};

#define REVOCATION_NO_REASON (-1)

struct revocation_verdict {
    enum revocation_status status;
    enum revocation_problem problem; /* why it is UNKNOWN; OUT_OF_DATE may stand with REVOKED */
    int64_t revoked_s;
    int reason; /* RFC 5280 5.3.1, or REVOCATION_NO_REASON */
    int64_t from_s; /* when it was made */
    int64_t next_s; /* when it will be replaced; 0 it does not say */
};

#define REVOCATION_LIST_BYTES_MAX (16 * 1024 * 1024)
#define REVOCATION_RESPONSE_BYTES_MAX (64 * 1024)

/* A CRL that is read once and asked often. Counted and read-only, of any thread. */
struct revocation_list;
/* NULL: not exactly one. */
MUST_USE struct revocation_list *revocation_list_read(struct slice der);
struct revocation_list *revocation_list_hold(struct revocation_list *list);
void revocation_list_free(struct revocation_list *list); /* NULL is allowed */

/* A list that is out of date is no proof that a certificate is good, but what it says is revoked
 * stays so. */
void revocation_by_list(struct revocation_list *list, const struct certificate *certificate,
                        const struct certificate *issuer, int64_t now_s,
                        struct revocation_verdict *out);
void revocation_by_crl(struct slice crl, const struct certificate *certificate,
                       const struct certificate *issuer, int64_t now_s,
                       struct revocation_verdict *out);

#define REVOCATION_NONCE_BYTES_MAX 32
#define REVOCATION_REQUEST_BYTES_MAX 512

/* A request for one certificate; `nonce` may be empty. */
MUST_USE bool revocation_ocsp_request(const struct certificate *certificate,
                                      const struct certificate *issuer, struct slice nonce,
                                      struct writer *out);
/* `response`: a whole OCSPResponse. With a nonce that is not empty the response must have it when
 * it has one at all (RFC 8954). */
void revocation_by_ocsp(struct slice response, const struct certificate *certificate,
                        const struct certificate *issuer, struct slice nonce, int64_t now_s,
                        struct revocation_verdict *out);
const char *revocation_problem_words(enum revocation_problem problem);
/* "its key was lost"; NULL: there is none, or it says nothing. */
const char *revocation_reason_words(int reason);

/* ---- where to ask ---- */

#define REVOCATION_URL_BYTES 256
#define REVOCATION_SOURCES_MAX 6

enum revocation_source_kind { REVOCATION_SOURCE_RESPONDER, REVOCATION_SOURCE_LIST };

struct revocation_source {
    enum revocation_source_kind kind;
    bool configured; /* else a certificate says so */
    char url[REVOCATION_URL_BYTES];
};

/* Only http, printable, with a host: what is signed needs no other protection, and asking it needs
 * no certificate that would have to be checked in turn. */
MUST_USE bool revocation_url_is_good(struct slice url);
/* What a certificate says of it, responders first (RFC 5280 4.2.1.13, 4.2.2.1). Returns how many;
 * lists of another issuer or for some reasons only are passed over. */
size_t revocation_sources(const struct certificate *certificate, struct revocation_source *out,
                          size_t capacity);

#endif
