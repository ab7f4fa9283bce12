/*
 * Revocation: decides what a CRL or an OCSP response says about a certificate.
 *
 * Both are believed only when the certificate's own issuer signed them, or, for OCSP, somebody whom
 * the issuer gave a certificate for that and nothing else (RFC 6960 4.2.2.2).
 */
#include "crypto/revocation.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>

#include "crypto/certificate_internal.h"
#include "crypto/signing_key_internal.h"

#define REVOCATION_SKEW_S 300 /* between the clocks of the signer and ours */
/* A response without nextUpdate: newer ones are always there (RFC 6960 2.4). */
#define REVOCATION_AGE_MAX_S (24 * 3600)

static enum revocation_problem times_problem(const ASN1_TIME *from, const ASN1_TIME *until,
                                             int64_t now_s, struct revocation_verdict *out)
{
    int64_t from_s;

    if (!certificate_time_s(from, &from_s) ||
        (until != NULL && !certificate_time_s(until, &out->next_s))) {
        return REVOCATION_MALFORMED;
    }
    out->from_s = from_s;
    if (from_s > now_s + REVOCATION_SKEW_S) {
        return REVOCATION_NOT_YET;
    }
    int64_t until_s = until != NULL ? out->next_s : from_s + REVOCATION_AGE_MAX_S;

    return until_s + REVOCATION_SKEW_S < now_s ? REVOCATION_OUT_OF_DATE : REVOCATION_FINE;
}

static bool algorithm_is_weak(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object = NULL;
    const void *value = NULL;
    int type = 0;
    int digest = NID_undef;
    int key = NID_undef;

    X509_ALGOR_get0(&object, &type, &value, algorithm);
    int nid = OBJ_obj2nid(object);

    if (nid == NID_rsassaPss) {
        RSA_PSS_PARAMS *pss =
            type == V_ASN1_SEQUENCE
                ? ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS), algorithm->parameter)
                : NULL;

        /* RFC 4055 3.1: what is not said is SHA-1. */
        digest = pss != NULL && pss->hashAlgorithm != NULL
                     ? OBJ_obj2nid(pss->hashAlgorithm->algorithm)
                     : NID_sha1;
        RSA_PSS_PARAMS_free(pss);
    } else if (OBJ_find_sigid_algs(nid, &digest, &key) != 1) {
        return true;
    }
    /* None: Ed25519 and Ed448 hash by themselves. */
    return digest != NID_sha256 && digest != NID_sha384 && digest != NID_sha512 &&
           digest != NID_sha3_256 && digest != NID_sha3_384 && digest != NID_sha3_512 &&
           digest != NID_undef;
}

/* What somebody else could have made is no proof that a certificate is good. */
static void distrust(struct revocation_verdict *out)
{
    if (out->status == REVOCATION_GOOD) {
        out->status = REVOCATION_UNKNOWN;
        out->problem = REVOCATION_WEAK;
    }
}

/* ---- CRL ---- */

struct revocation_list {
    X509_CRL *crl;
    CRYPTO_RWLOCK *lock; /* of what follows */
    bool is_verified;
    uint8_t verified_by[CERTIFICATE_FINGERPRINT_BYTES];
    unsigned holders;
};

struct revocation_list *revocation_list_read(struct slice der)
{
    const unsigned char *at = der.data;
    struct revocation_list *list = NULL;
    X509_CRL *crl = der.length == 0 || der.length > REVOCATION_LIST_BYTES_MAX
                        ? NULL
                        : d2i_X509_CRL(NULL, &at, (long)der.length);

    if (crl != NULL && at == der.data + der.length) {
        list = calloc(1, sizeof(*list));
    }
    if (list != NULL) {
        list->lock = CRYPTO_THREAD_lock_new();
        list->holders = 1;
    }
    if (list == NULL || list->lock == NULL) {
        free(list);
        X509_CRL_free(crl);
        ERR_clear_error();
        return NULL;
    }
    list->crl = crl;
    return list;
}

struct revocation_list *revocation_list_hold(struct revocation_list *list)
{
    __atomic_add_fetch(&list->holders, 1, __ATOMIC_RELAXED);
    return list;
}

void revocation_list_free(struct revocation_list *list)
{
    if (list != NULL && __atomic_sub_fetch(&list->holders, 1, __ATOMIC_ACQ_REL) == 0) {
        X509_CRL_free(list->crl);
        CRYPTO_THREAD_lock_free(list->lock);
        free(list);
    }
}

/* RFC 5280 6.3.3 (b)(2)(i): the list is of one of the places that the certificate names. */
static bool place_is_named(const DIST_POINT_NAME *place, const X509 *x509)
{
    CRL_DIST_POINTS *points = X509_get_ext_d2i(x509, NID_crl_distribution_points, NULL, NULL);
    bool named = false;

    for (int p = 0; points != NULL && p < sk_DIST_POINT_num(points); p++) {
        const DIST_POINT_NAME *other = sk_DIST_POINT_value(points, p)->distpoint;

        if (place->type != 0 || other == NULL || other->type != 0) {
            continue; /* relative to the issuer: nobody writes that */
        }
        for (int i = 0; i < sk_GENERAL_NAME_num(place->name.fullname); i++) {
            for (int k = 0; k < sk_GENERAL_NAME_num(other->name.fullname); k++) {
                named =
                    named || GENERAL_NAME_cmp(sk_GENERAL_NAME_value(place->name.fullname, i),
                                              sk_GENERAL_NAME_value(other->name.fullname, k)) == 0;
            }
        }
    }
    CRL_DIST_POINTS_free(points);
    return named;
}

/* RFC 5280 5.2.5: a list may be for certificates of one sort, or of one place. */
static bool scope_has(const X509_CRL *crl, const struct certificate *certificate)
{
    int critical = -1;
    ISSUING_DIST_POINT *scope =
        X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, NULL);

    if (scope == NULL) {
        return critical == -1;
    }
    bool is_authority = certificate_is_authority(certificate);
    bool has = scope->indirectCRL <= 0 && scope->onlyattr <= 0 && scope->onlysomereasons == NULL &&
               !(scope->onlyuser > 0 && is_authority) && !(scope->onlyCA > 0 && !is_authority) &&
               (scope->distpoint == NULL || place_is_named(scope->distpoint, certificate->x509));

    ISSUING_DIST_POINT_free(scope);
    return has;
}

/* RFC 5280 5.2: a critical extension that is not known means that the list cannot be used. What
 * makes a list only a part of the truth is not used either. */
static enum revocation_problem crl_is_whole(const X509_CRL *crl,
                                            const struct certificate *certificate)
{
    if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0 || !scope_has(crl, certificate)) {
        return REVOCATION_PARTIAL;
    }
    for (int i = 0; i < X509_CRL_get_ext_count(crl); i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(crl, i);

        if (X509_EXTENSION_get_critical(extension) &&
            OBJ_obj2nid(X509_EXTENSION_get_object(extension)) != NID_issuing_distribution_point) {
            return REVOCATION_PARTIAL;
        }
    }
    return REVOCATION_FINE;
}

/* Once for each list: the same issuer's signature does not become another. */
static bool list_is_signed(struct revocation_list *list, const struct certificate *issuer)
{
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT_BYTES];
    bool known = false;

    certificate_fingerprint(issuer, fingerprint);
    if (CRYPTO_THREAD_read_lock(list->lock) == 1) {
        known =
            list->is_verified && memcmp(list->verified_by, fingerprint, sizeof(fingerprint)) == 0;
        CRYPTO_THREAD_unlock(list->lock);
    }
    if (known) {
        return true;
    }
    if (issuer->key == NULL || X509_CRL_verify(list->crl, issuer->key->pkey) != 1) {
        return false;
    }
    if (CRYPTO_THREAD_write_lock(list->lock) == 1) {
        list->is_verified = true;
        memcpy(list->verified_by, fingerprint, sizeof(fingerprint));
        CRYPTO_THREAD_unlock(list->lock);
    }
    return true;
}

static enum revocation_problem list_is_from(struct revocation_list *list,
                                            const struct certificate *certificate,
                                            const struct certificate *issuer)
{
    X509 *signer = issuer->x509;
    const X509_CRL *crl = list->crl;

    if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(certificate->x509)) != 0 ||
        X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(signer)) != 0) {
        return REVOCATION_OF_ANOTHER;
    }
    if ((X509_get_key_usage(signer) & KU_CRL_SIGN) == 0) {
        return REVOCATION_SIGNER_NOT_ALLOWED;
    }
    return list_is_signed(list, issuer) ? REVOCATION_FINE : REVOCATION_BAD_SIGNATURE;
}

static int reason_of(const X509_REVOKED *entry)
{
    ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
    int value = reason == NULL ? REVOCATION_NO_REASON : (int)ASN1_ENUMERATED_get(reason);

    ASN1_ENUMERATED_free(reason);
    return value;
}

static void list_look(X509_CRL *crl, const struct certificate *certificate, int64_t now_s,
                      struct revocation_verdict *out)
{
    X509_REVOKED *entry = NULL;
    /* 2: removeFromCRL, which only a delta can say. */
    int found = X509_CRL_get0_by_cert(crl, &entry, certificate->x509);

    out->problem =
        times_problem(X509_CRL_get0_lastUpdate(crl), X509_CRL_get0_nextUpdate(crl), now_s, out);
    if (found == 1 && out->problem != REVOCATION_MALFORMED && out->problem != REVOCATION_NOT_YET) {
        out->status = REVOCATION_REVOKED;
        out->reason = reason_of(entry);
        if (!certificate_time_s(X509_REVOKED_get0_revocationDate(entry), &out->revoked_s)) {
            out->revoked_s = 0;
        }
    } else if (found == 0 && out->problem == REVOCATION_FINE) {
        out->status = REVOCATION_GOOD;
    }
}

void revocation_by_list(struct revocation_list *list, const struct certificate *certificate,
                        const struct certificate *issuer, int64_t now_s,
                        struct revocation_verdict *out)
{
    const X509_ALGOR *algorithm = NULL;

    *out = (struct revocation_verdict){.reason = REVOCATION_NO_REASON};
    out->problem = list_is_from(list, certificate, issuer);
    if (out->problem == REVOCATION_FINE) {
        out->problem = crl_is_whole(list->crl, certificate);
    }
    if (out->problem == REVOCATION_FINE) {
        list_look(list->crl, certificate, now_s, out);
    }
    X509_CRL_get0_signature(list->crl, NULL, &algorithm);
    if (algorithm_is_weak(algorithm)) {
        distrust(out);
    }
    ERR_clear_error();
}

void revocation_by_crl(struct slice bytes, const struct certificate *certificate,
                       const struct certificate *issuer, int64_t now_s,
                       struct revocation_verdict *out)
{
    struct revocation_list *list = revocation_list_read(bytes);

    if (list == NULL) {
        *out = (struct revocation_verdict){.problem = REVOCATION_MALFORMED,
                                           .reason = REVOCATION_NO_REASON};
        return;
    }
    revocation_by_list(list, certificate, issuer, now_s, out);
    revocation_list_free(list);
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
        int reason = REVOCATION_NO_REASON;
        int status = OCSP_single_get0_status(single, &reason, &revoked, &from, &until);

        out->problem = times_problem(from, until, now_s, out);
        if (status == V_OCSP_CERTSTATUS_REVOKED && out->problem != REVOCATION_MALFORMED &&
            out->problem != REVOCATION_NOT_YET) {
            out->status = REVOCATION_REVOKED;
            out->reason = reason;
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

    *out = (struct revocation_verdict){.problem = REVOCATION_MALFORMED,
                                       .reason = REVOCATION_NO_REASON};
    if (bytes.length == 0 || bytes.length > REVOCATION_RESPONSE_BYTES_MAX) {
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
            if (algorithm_is_weak(OCSP_resp_get0_tbs_sigalg(basic))) {
                distrust(out);
            }
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
    case REVOCATION_WEAK:
        return "it is signed with a hash that is too weak, SHA-1 or worse";
    }
    assert(false);
    return "";
}

const char *revocation_reason_words(int reason)
{
    switch (reason) {
    case CRL_REASON_KEY_COMPROMISE:
        return "its key was lost";
    case CRL_REASON_CA_COMPROMISE:
        return "a key of its authority was lost";
    case CRL_REASON_AFFILIATION_CHANGED:
        return "its owner belongs elsewhere now";
    case CRL_REASON_SUPERSEDED:
        return "it was replaced";
    case CRL_REASON_CESSATION_OF_OPERATION:
        return "it is not needed any more";
    case CRL_REASON_CERTIFICATE_HOLD:
        return "it is suspended";
    case CRL_REASON_PRIVILEGE_WITHDRAWN:
        return "a right was taken away";
    case CRL_REASON_AA_COMPROMISE:
        return "an attribute authority's key was lost";
    default:
        return NULL;
    }
}

/* ---- where to ask ---- */

bool revocation_url_is_good(struct slice url)
{
    static const char scheme[] = "http://";
    size_t length = sizeof(scheme) - 1;

    if (url.length <= length || url.length >= REVOCATION_URL_BYTES) {
        return false;
    }
    for (size_t i = 0; i < url.length; i++) {
        uint8_t c = url.data[i];

        if (c <= ' ' || c > '~' || c == '"' || c == '\\' ||
            (i < length && (i < 4 ? c | 0x20 : c) != (uint8_t)scheme[i])) {
            return false;
        }
    }
    return url.data[length] != '/';
}

static size_t add_source(struct revocation_source *out, size_t count, size_t capacity,
                         enum revocation_source_kind kind, const ASN1_IA5STRING *uri)
{
    struct slice url = {ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)};

    if (count == capacity || !revocation_url_is_good(url)) {
        return count;
    }
    out[count] = (struct revocation_source){.kind = kind};
    memcpy(out[count].url, url.data, url.length);
    return count + 1;
}

static size_t add_responders(const X509 *x509, struct revocation_source *out, size_t count,
                             size_t capacity)
{
    AUTHORITY_INFO_ACCESS *access = X509_get_ext_d2i(x509, NID_info_access, NULL, NULL);

    for (int i = 0; access != NULL && i < sk_ACCESS_DESCRIPTION_num(access); i++) {
        const ACCESS_DESCRIPTION *one = sk_ACCESS_DESCRIPTION_value(access, i);

        if (OBJ_obj2nid(one->method) == NID_ad_OCSP && one->location->type == GEN_URI) {
            count = add_source(out, count, capacity, REVOCATION_SOURCE_RESPONDER,
                               one->location->d.uniformResourceIdentifier);
        }
    }
    AUTHORITY_INFO_ACCESS_free(access);
    return count;
}

static size_t add_lists(const X509 *x509, struct revocation_source *out, size_t count,
                        size_t capacity)
{
    CRL_DIST_POINTS *points = X509_get_ext_d2i(x509, NID_crl_distribution_points, NULL, NULL);

    for (int p = 0; points != NULL && p < sk_DIST_POINT_num(points); p++) {
        const DIST_POINT *point = sk_DIST_POINT_value(points, p);

        if (point->CRLissuer != NULL || point->reasons != NULL || point->distpoint == NULL ||
            point->distpoint->type != 0) {
            continue;
        }
        for (int i = 0; i < sk_GENERAL_NAME_num(point->distpoint->name.fullname); i++) {
            const GENERAL_NAME *name = sk_GENERAL_NAME_value(point->distpoint->name.fullname, i);

            if (name->type == GEN_URI) {
                count = add_source(out, count, capacity, REVOCATION_SOURCE_LIST,
                                   name->d.uniformResourceIdentifier);
            }
        }
    }
    CRL_DIST_POINTS_free(points);
    return count;
}

size_t revocation_sources(const struct certificate *certificate, struct revocation_source *out,
                          size_t capacity)
{
    /* No more than half of each: a list must always find a place behind the responders. */
    size_t half = capacity / 2;
    size_t count = add_responders(certificate->x509, out, 0, half);

    count = add_lists(certificate->x509, out, count, count + half);
    ERR_clear_error();
    return count;
}
