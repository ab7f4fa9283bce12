/*
 * Revocation: decides what a CRL or an OCSP response says about a certificate.
 *
 * Both are believed only when the certificate's own issuer signed them, or, for OCSP, somebody whom
 * the issuer gave a certificate for that and nothing else (RFC 6960 4.2.2.2).
 */
#include "crypto/revocation.h"

#include <assert.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "crypto/certificate_internal.h"
#include "crypto/signing_key_internal.h"

#define REVOCATION_BYTES_MAX (16 * 1024 * 1024)
#define REVOCATION_SKEW_S 300 /* between the clocks of the signer and ours */
/* A response without nextUpdate: newer ones are always there (RFC 6960 2.4). */
#define REVOCATION_AGE_MAX_S (24 * 3600)

static enum revocation_problem times_problem(const ASN1_TIME *from, const ASN1_TIME *until,
                                             int64_t now_s, int64_t *next_s)
{
    int64_t from_s;

    *next_s = 0;
    if (!certificate_time_s(from, &from_s) ||
        (until != NULL && !certificate_time_s(until, next_s))) {
        return REVOCATION_MALFORMED;
    }
    if (from_s > now_s + REVOCATION_SKEW_S) {
        return REVOCATION_NOT_YET;
    }
    int64_t until_s = until != NULL ? *next_s : from_s + REVOCATION_AGE_MAX_S;

    return until_s + REVOCATION_SKEW_S < now_s ? REVOCATION_OUT_OF_DATE : REVOCATION_FINE;
}

/* ---- CRL ---- */

/* RFC 5280 5.2: a critical extension that is not known means that the list cannot be used. What
 * makes a list only a part of the truth is not used either. */
static enum revocation_problem crl_is_whole(const X509_CRL *crl)
{
    if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0 ||
        X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) >= 0) {
        return REVOCATION_PARTIAL;
    }
    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
        if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i))) {
            return REVOCATION_PARTIAL;
        }
    }
    return REVOCATION_FINE;
}

static enum revocation_problem crl_is_from(X509_CRL *crl, const struct certificate *certificate,
                                           const struct certificate *issuer)
{
    X509 *signer = issuer->x509;

    if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(certificate->x509)) != 0 ||
        X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(signer)) != 0) {
        return REVOCATION_OF_ANOTHER;
    }
    if ((X509_get_key_usage(signer) & KU_CRL_SIGN) == 0) {
        return REVOCATION_SIGNER_NOT_ALLOWED;
    }
    return issuer->key != NULL && X509_CRL_verify(crl, issuer->key->pkey) == 1
               ? REVOCATION_FINE
               : REVOCATION_BAD_SIGNATURE;
}

static void crl_look(X509_CRL *crl, const struct certificate *certificate, int64_t now_s,
                     struct revocation_verdict *out)
{
    X509_REVOKED *entry = NULL;
    /* 2: removeFromCRL, which only a delta can say. */
    int found = X509_CRL_get0_by_cert(crl, &entry, certificate->x509);

    out->problem = times_problem(X509_CRL_get0_lastUpdate(crl), X509_CRL_get0_nextUpdate(crl),
                                 now_s, &out->next_s);
    if (found == 1 && out->problem != REVOCATION_MALFORMED && out->problem != REVOCATION_NOT_YET) {
        out->status = REVOCATION_REVOKED;
        if (!certificate_time_s(X509_REVOKED_get0_revocationDate(entry), &out->revoked_s)) {
            out->revoked_s = 0;
        }
    } else if (found == 0 && out->problem == REVOCATION_FINE) {
        out->status = REVOCATION_GOOD;
    }
}

void revocation_by_crl(struct slice bytes, const struct certificate *certificate,
                       const struct certificate *issuer, int64_t now_s,
                       struct revocation_verdict *out)
{
    const unsigned char *at = bytes.data;

    *out = (struct revocation_verdict){.problem = REVOCATION_MALFORMED};
    if (bytes.length == 0 || bytes.length > REVOCATION_BYTES_MAX) {
        return;
    }
    X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)bytes.length);

    if (crl != NULL && at == bytes.data + bytes.length) {
        out->problem = crl_is_from(crl, certificate, issuer);
        if (out->problem == REVOCATION_FINE) {
            out->problem = crl_is_whole(crl);
        }
        if (out->problem == REVOCATION_FINE) {
            crl_look(crl, certificate, now_s, out);
        }
    }
    X509_CRL_free(crl);
    ERR_clear_error();
}

/* ---- OCSP ---- */

bool revocation_ocsp_request(const struct certificate *certificate,
                             const struct certificate *issuer, struct slice nonce,
                             struct writer *out)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), certificate->x509, issuer->x509);
    unsigned char *der = NULL;
    unsigned char copy[REVOCATION_NONCE_BYTES_MAX];
    bool done = request != NULL && id != NULL && nonce.length <= sizeof(copy) &&
                OCSP_request_add0_id(request, id) != NULL;

    if (done) {
        id = NULL; /* the request has it */
        if (nonce.length > 0) {
            memcpy(copy, nonce.data, nonce.length);
            done = OCSP_request_add1_nonce(request, copy, (int)nonce.length) == 1;
        }
    }
    int length = done ? i2d_OCSP_REQUEST(request, &der) : 0;

    if (length > 0) {
        write_slice(out, (struct slice){der, (size_t)length});
    }
    OPENSSL_free(der);
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    ERR_clear_error();
    return length > 0 && writer_ok(out);
}

static bool is_for_ocsp(X509 *x509)
{
    return (X509_get_extension_flags(x509) & EXFLAG_XKUSAGE) != 0 &&
           (X509_get_extended_key_usage(x509) & XKU_OCSP_SIGN) != 0;
}

/* Whether this signer may speak for the issuer now. */
static bool is_delegate(X509 *signer, const struct certificate *issuer, int64_t now_s)
{
    int64_t begins_s;
    int64_t ends_s;

    return X509_NAME_cmp(X509_get_issuer_name(signer), X509_get_subject_name(issuer->x509)) == 0 &&
           is_for_ocsp(signer) && certificate_time_s(X509_get0_notBefore(signer), &begins_s) &&
           certificate_time_s(X509_get0_notAfter(signer), &ends_s) && begins_s <= now_s &&
           now_s <= ends_s && (X509_get_extension_flags(signer) & EXFLAG_CRITICAL) == 0 &&
           issuer->key != NULL && X509_verify(signer, issuer->key->pkey) == 1;
}

/* The signature, made by this signer and by nobody else. */
static bool is_signed_by(OCSP_BASICRESP *basic, X509 *signer)
{
    STACK_OF(X509) *only = sk_X509_new_null();
    bool right = only != NULL && sk_X509_push(only, signer) > 0 &&
                 OCSP_basic_verify(basic, only, NULL, OCSP_NOINTERN | OCSP_NOVERIFY) == 1;

    sk_X509_free(only);
    return right;
}

static enum revocation_problem response_is_from(OCSP_BASICRESP *basic,
                                                const struct certificate *issuer, int64_t now_s)
{
    const STACK_OF(X509) *certificates = OCSP_resp_get0_certs(basic);
    bool signed_by_other = false;

    if (is_signed_by(basic, issuer->x509)) {
        return REVOCATION_FINE;
    }
    for (int i = 0; i < sk_X509_num(certificates) && i < CERTIFICATES_MAX; i++) {
        X509 *signer = sk_X509_value(certificates, i);

        if (is_signed_by(basic, signer)) {
            if (is_delegate(signer, issuer, now_s)) {
                return REVOCATION_FINE;
            }
            signed_by_other = true;
        }
    }
    return signed_by_other ? REVOCATION_SIGNER_NOT_ALLOWED : REVOCATION_BAD_SIGNATURE;
}

static bool nonce_is_right(OCSP_BASICRESP *basic, struct slice nonce)
{
    int at = OCSP_BASICRESP_get_ext_by_NID(basic, NID_id_pkix_OCSP_Nonce, -1);

    if (nonce.length == 0 || at < 0) {
        return true;
    }
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(OCSP_BASICRESP_get_ext(basic, at));
    struct reader r = reader_over(
        (struct slice){ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)});
    uint8_t tag = read_u8(&r);
    struct reader body = read_within(&r, read_u8(&r));

    return tag == 0x04 && reader_done(&r) && slice_equal(read_rest(&body), nonce);
}

/* The one about this certificate. */
static void response_look(OCSP_BASICRESP *basic, const struct certificate *certificate,
                          const struct certificate *issuer, int64_t now_s,
                          struct revocation_verdict *out)
{
    out->problem = REVOCATION_OF_ANOTHER;
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
        ASN1_OBJECT *hash = NULL;
        ASN1_GENERALIZEDTIME *revoked = NULL;
        ASN1_GENERALIZEDTIME *from = NULL;
        ASN1_GENERALIZEDTIME *until = NULL;

        /* The accessor takes no const and changes nothing. */
        OCSP_id_get0_info(NULL, &hash, NULL, NULL, (OCSP_CERTID *)(uintptr_t)id);
        const EVP_MD *digest = EVP_get_digestbyobj(hash);
        OCSP_CERTID *ours =
            digest == NULL ? NULL : OCSP_cert_to_id(digest, certificate->x509, issuer->x509);
        bool same = ours != NULL && OCSP_id_cmp(id, ours) == 0;

        OCSP_CERTID_free(ours);
        if (!same) {
            continue;
        }
        int status = OCSP_single_get0_status(single, NULL, &revoked, &from, &until);

        out->problem = times_problem(from, until, now_s, &out->next_s);
        if (status == V_OCSP_CERTSTATUS_REVOKED && out->problem != REVOCATION_MALFORMED &&
            out->problem != REVOCATION_NOT_YET) {
            out->status = REVOCATION_REVOKED;
            if (!certificate_time_s(revoked, &out->revoked_s)) {
                out->revoked_s = 0;
            }
        } else if (status == V_OCSP_CERTSTATUS_GOOD && out->problem == REVOCATION_FINE) {
            out->status = REVOCATION_GOOD;
        } else if (status == V_OCSP_CERTSTATUS_UNKNOWN && out->problem == REVOCATION_FINE) {
            out->problem = REVOCATION_OF_ANOTHER;
        }
        return;
    }
}

void revocation_by_ocsp(struct slice bytes, const struct certificate *certificate,
                        const struct certificate *issuer, struct slice nonce, int64_t now_s,
                        struct revocation_verdict *out)
{
    const unsigned char *at = bytes.data;

    *out = (struct revocation_verdict){.problem = REVOCATION_MALFORMED};
    if (bytes.length == 0 || bytes.length > REVOCATION_BYTES_MAX) {
        return;
    }
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, (long)bytes.length);
    OCSP_BASICRESP *basic = NULL;

    if (response != NULL && at == bytes.data + bytes.length) {
        out->problem = REVOCATION_REFUSED;
        if (OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL) {
            basic = OCSP_response_get1_basic(response);
            out->problem =
                basic == NULL ? REVOCATION_MALFORMED : response_is_from(basic, issuer, now_s);
        }
    }
    if (basic != NULL && out->problem == REVOCATION_FINE) {
        if (nonce_is_right(basic, nonce)) {
            response_look(basic, certificate, issuer, now_s, out);
        } else {
            out->problem = REVOCATION_WRONG_NONCE;
        }
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
}

const char *revocation_problem_words(enum revocation_problem problem)
{
    switch (problem) {
    case REVOCATION_FINE:
        return "nothing is wrong with it";
    case REVOCATION_MALFORMED:
        return "it is malformed";
    case REVOCATION_OF_ANOTHER:
        return "it says nothing about this certificate";
    case REVOCATION_BAD_SIGNATURE:
        return "its signature is wrong";
    case REVOCATION_SIGNER_NOT_ALLOWED:
        return "who signed it may not speak for the issuer";
    case REVOCATION_NOT_YET:
        return "it is from the future: is the clock right?";
    case REVOCATION_OUT_OF_DATE:
        return "it is out of date";
    case REVOCATION_PARTIAL:
        return "it is only a part of a list";
    case REVOCATION_REFUSED:
        return "the responder answered with an error";
    case REVOCATION_WRONG_NONCE:
        return "it answers another question";
    }
    assert(false);
    return "";
}
