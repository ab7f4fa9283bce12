/*
 * Whether a certificate was taken back: what a CRL (RFC 5280 5, 6.3) and an OCSP response (RFC
 * 6960) say, as functions of octets and a time that is handed in. Fetching them is not done here.
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
};

struct revocation_verdict {
    enum revocation_status status;
    enum revocation_problem problem; /* why it is UNKNOWN; OUT_OF_DATE may stand with REVOKED */
    int64_t revoked_s;
    int64_t next_s; /* when it will be replaced; 0 it does not say */
};

/* A list that is out of date is no proof that a certificate is good, but what it says is revoked
 * stays so. */
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

#endif
