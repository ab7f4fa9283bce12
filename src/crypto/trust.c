/*
 * Whom a site believes: decides whether a peer's certificate leads to one of its authorities, and
 * if not, for which one reason.
 *
 * libcrypto builds the path and checks signatures, times, path lengths, name constraints and
 * critical extensions (RFC 5280 6.1). What RFC 4945 says about IKE, which keys and hashes are good
 * enough, and revocation are looked at here, along the path that it built.
 */
#include "crypto/trust.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "crypto/certificate_internal.h"
#include "crypto/signing_key_internal.h"

struct trust {
    X509_STORE *store;
    size_t anchor_count;
    struct certificate *anchors[TRUST_ANCHORS_MAX];
    size_t key_count;
    struct public_key *keys[TRUST_ANCHORS_MAX];
    size_t crl_count;
    struct revocation_list *crls[TRUST_CRLS_MAX];
    size_t source_count;
    struct revocation_source sources[TRUST_SOURCES_MAX];
    unsigned holders;
};

struct trust *trust_new(void)
{
    struct trust *trust = calloc(1, sizeof(*trust));

    if (trust == NULL) {
        return NULL;
    }
    trust->holders = 1;
    trust->store = X509_STORE_new();
    if (trust->store == NULL) {
        free(trust);
        return NULL;
    }
    return trust;
}

static bool add_anchor(struct trust *trust, struct certificate *certificate)
{
    for (size_t i = 0; i < trust->anchor_count; i++) {
        if (certificate_equal(trust->anchors[i], certificate)) {
            return true;
        }
    }
    if (trust->anchor_count == TRUST_ANCHORS_MAX ||
        X509_STORE_add_cert(trust->store, certificate->x509) != 1) {
        return false;
    }
    trust->anchors[trust->anchor_count++] = certificate_hold(certificate);
    return true;
}

static bool add_crl(struct trust *trust, struct slice crl)
{
    struct revocation_list *list =
        trust->crl_count == TRUST_CRLS_MAX ? NULL : revocation_list_read(crl);

    if (list != NULL) {
        trust->crls[trust->crl_count++] = list;
    }
    return list != NULL;
}

bool trust_add_source(struct trust *trust, enum revocation_source_kind kind, const char *url)
{
    struct slice text = slice_of_text(url);

    if (trust->source_count == TRUST_SOURCES_MAX || !revocation_url_is_good(text)) {
        return false;
    }
    struct revocation_source *source = &trust->sources[trust->source_count++];

    *source = (struct revocation_source){.kind = kind, .configured = true};
    memcpy(source->url, text.data, text.length);
    return true;
}

bool trust_add(struct trust *trust, const struct certificate_bag *bag)
{
    for (size_t i = 0; i < bag->certificate_count; i++) {
        if (!add_anchor(trust, bag->certificates[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < bag->key_count; i++) {
        if (trust->key_count == TRUST_ANCHORS_MAX) {
            return false;
        }
        trust->keys[trust->key_count++] = public_key_hold(bag->keys[i]);
    }
    for (size_t i = 0; i < bag->crl_count; i++) {
        if (!add_crl(trust, bag->crls[i])) {
            return false;
        }
    }
    return true;
}

struct trust *trust_hold(struct trust *trust)
{
    __atomic_add_fetch(&trust->holders, 1, __ATOMIC_RELAXED);
    return trust;
}

void trust_free(struct trust *trust)
{
    if (trust == NULL || __atomic_sub_fetch(&trust->holders, 1, __ATOMIC_ACQ_REL) != 0) {
        return;
    }
    for (size_t i = 0; i < trust->anchor_count; i++) {
        certificate_free(trust->anchors[i]);
    }
    for (size_t i = 0; i < trust->key_count; i++) {
        public_key_free(trust->keys[i]);
    }
    for (size_t i = 0; i < trust->crl_count; i++) {
        revocation_list_free(trust->crls[i]);
    }
    X509_STORE_free(trust->store);
    free(trust);
}

size_t trust_count(const struct trust *trust)
{
    return trust->anchor_count;
}

const struct certificate *trust_at(const struct trust *trust, size_t index)
{
    return trust->anchors[index];
}

bool trust_has_key(const struct trust *trust, const struct public_key *key)
{
    for (size_t i = 0; i < trust->key_count; i++) {
        if (public_key_equal(trust->keys[i], key)) {
            return true;
        }
    }
    return false;
}

const struct public_key *trust_pinned(const struct trust *trust,
                                      const struct certificate **certificate)
{
    const struct public_key *found = NULL;
    size_t count = 0;

    *certificate = NULL;
    for (size_t i = 0; i < trust->key_count; i++) {
        if (public_key_kind(trust->keys[i]) == KEY_RSA) {
            found = trust->keys[i];
            count++;
        }
    }
    for (size_t i = 0; i < trust->anchor_count; i++) {
        const struct public_key *key = certificate_key(trust->anchors[i]);

        if (key != NULL && public_key_kind(key) == KEY_RSA &&
            !certificate_is_authority(trust->anchors[i])) {
            found = key;
            *certificate = trust->anchors[i];
            count++;
        }
    }
    return count == 1 ? found : NULL;
}

/* ---- along the path ---- */

static enum certificate_problem problem_of(int error)
{
    switch (error) {
    case X509_V_OK:
        return CERTIFICATE_GOOD;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SUBJECT_ISSUER_MISMATCH:
    case X509_V_ERR_AKID_SKID_MISMATCH:
    case X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return CERTIFICATE_UNKNOWN_AUTHORITY;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return CERTIFICATE_SELF_SIGNED;
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
    case X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH:
        return CERTIFICATE_BAD_SIGNATURE;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return CERTIFICATE_NOT_YET_VALID;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return CERTIFICATE_EXPIRED;
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
        return CERTIFICATE_NOT_AN_AUTHORITY;
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
    case X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA:
    case X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN:
        return CERTIFICATE_PATH_TOO_LONG;
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
        return CERTIFICATE_CHAIN_TOO_LONG;
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
    case X509_V_ERR_SUBTREE_MINMAX:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
    case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
    case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
        return CERTIFICATE_NAME_FORBIDDEN;
    case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
        return CERTIFICATE_CRITICAL_EXTENSION;
    case X509_V_ERR_INVALID_POLICY_EXTENSION:
    case X509_V_ERR_NO_EXPLICIT_POLICY:
        return CERTIFICATE_POLICY;
    case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
        return CERTIFICATE_KEY_UNSUPPORTED;
    case X509_V_ERR_OUT_OF_MEM:
        return CERTIFICATE_NO_MEMORY;
    default:
        return CERTIFICATE_MALFORMED;
    }
}

/* RFC 4945 5.1.3.12 names IKE's own purpose and any. Authorities that issue for gateways write
 * others instead: those of the three earlier IPsec purposes, and those of TLS, which Windows and
 * macOS demand of a gateway. What is for mail or code only is refused. */
static bool purpose_is_ours(const X509 *x509)
{
    static const char *const ours[] = {
        "1.3.6.1.5.5.7.3.17", /* id-kp-ipsecIKE */
        "2.5.29.37.0", /* anyExtendedKeyUsage */
        "1.3.6.1.5.5.7.3.1", /* serverAuth */
        "1.3.6.1.5.5.7.3.2", /* clientAuth */
        "1.3.6.1.5.5.7.3.5", /* ipsecEndSystem */
        "1.3.6.1.5.5.7.3.6", /* ipsecTunnel */
        "1.3.6.1.5.5.7.3.7", /* ipsecUser */
        OID_IKE_INTERMEDIATE,
    };
    int critical = -1;
    EXTENDED_KEY_USAGE *purposes = X509_get_ext_d2i(x509, NID_ext_key_usage, &critical, NULL);
    bool found = purposes == NULL && critical == -1; /* none at all: for everything */

    for (int i = 0; purposes != NULL && i < sk_ASN1_OBJECT_num(purposes); i++) {
        char number[80];

        OBJ_obj2txt(number, sizeof(number), sk_ASN1_OBJECT_value(purposes, i), 1);
        for (size_t o = 0; o < ARRAY_LENGTH(ours); o++) {
            found = found || strcmp(number, ours[o]) == 0;
        }
    }
    EXTENDED_KEY_USAGE_free(purposes);
    return found;
}

static bool signature_is_weak(X509 *x509, bool legacy)
{
    int digest = NID_undef;

    if (X509_get_signature_info(x509, &digest, NULL, NULL, NULL) != 1) {
        return true;
    }
    switch (digest) {
    case NID_sha256:
    case NID_sha384:
    case NID_sha512:
    case NID_sha3_256:
    case NID_sha3_384:
    case NID_sha3_512:
    case NID_sha512_256:
    case NID_undef: /* Ed25519 and Ed448 hash by themselves */
        return false;
    case NID_sha1:
        return !legacy;
    default:
        return true;
    }
}

/* What is asked of the certificate at this depth; the last one of a path is believed as it is. */
static enum certificate_problem own_problem(X509 *x509, unsigned depth, bool is_anchor,
                                            const struct trust_rules *rules)
{
    bool legacy = rules->legacy;
    uint32_t usage = rules->encipherment ? KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT
                                         : KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION;
    struct public_key *key = public_key_over(X509_get0_pubkey(x509));
    bool strong = key != NULL && public_key_is_strong(key, legacy);

    public_key_free(key);
    if (key == NULL) {
        return CERTIFICATE_KEY_UNSUPPORTED;
    }
    if (!strong) {
        return CERTIFICATE_KEY_WEAK;
    }
    if (!is_anchor && signature_is_weak(x509, legacy)) {
        return CERTIFICATE_SIGNATURE_WEAK;
    }
    /* RFC 5280 6.1.4 (k), (n). */
    if (depth > 0 && !is_anchor && X509_check_ca(x509) != 1) {
        return CERTIFICATE_NOT_AN_AUTHORITY;
    }
    /* RFC 4945 5.1.3.2. */
    if (depth == 0 && (X509_get_key_usage(x509) & usage) == 0) {
        return CERTIFICATE_KEY_USAGE;
    }
    return (depth == 0 || !is_anchor) && !purpose_is_ours(x509) ? CERTIFICATE_PURPOSE
                                                                : CERTIFICATE_GOOD;
}

static void verdict_set(struct certificate_verdict *verdict, enum certificate_problem problem,
                        unsigned depth, X509 *x509)
{
    *verdict = (struct certificate_verdict){.problem = problem, .depth = depth};
    if (x509 == NULL) {
        return;
    }
    struct text subject = text_over(verdict->subject, sizeof(verdict->subject));
    struct text issuer = text_over(verdict->issuer, sizeof(verdict->issuer));

    certificate_name_words(X509_get_subject_name(x509), &subject);
    certificate_name_words(X509_get_issuer_name(x509), &issuer);
    const ASN1_TIME *when = problem == CERTIFICATE_EXPIRED         ? X509_get0_notAfter(x509)
                            : problem == CERTIFICATE_NOT_YET_VALID ? X509_get0_notBefore(x509)
                                                                   : NULL;

    if (when != NULL && !certificate_time_s(when, &verdict->when_s)) {
        verdict->when_s = 0;
    }
}

static struct certificate *certificate_of(X509 *x509)
{
    unsigned char *der = NULL;
    int length = i2d_X509(x509, &der);
    struct certificate *c =
        length > 0 ? certificate_read((struct slice){der, (size_t)length}) : NULL;

    OPENSSL_free(der);
    return c;
}

/* ---- revocation ---- */

/* What is known about one certificate of the path, and from where more could be. */
struct inquiry {
    const struct trust *trust;
    const struct trust_rules *rules;
    struct certificate *certificate, *issuer;
    struct revocation_verdict verdict;
    char why[160]; /* what went wrong, as far as there is room */
    struct revocation_wish wish; /* sources that said nothing that holds and may be asked */
    struct revocation_wish renewal; /* those that did, and may have something newer */
};

/* True when nothing more has to be asked. Revoked is revoked, whatever others say. */
static bool inquiry_heard(struct inquiry *inquiry, const struct revocation_verdict *verdict)
{
    if (verdict->status == REVOCATION_REVOKED ||
        (verdict->status == REVOCATION_GOOD && inquiry->verdict.status == REVOCATION_UNKNOWN)) {
        inquiry->verdict = *verdict;
    }
    return inquiry->verdict.status == REVOCATION_REVOKED;
}

static void inquiry_why(struct inquiry *inquiry, const char *place, const char *why)
{
    size_t used = strlen(inquiry->why);
    struct text text = text_over(inquiry->why + used, sizeof(inquiry->why) - used);

    text_addf(&text, "%s%s: %s", used == 0 ? "" : "; ", place, why);
}

/* Lists from files, and what the peer sent. */
static bool ask_at_hand(struct inquiry *inquiry)
{
    const struct trust *trust = inquiry->trust;
    const struct trust_rules *rules = inquiry->rules;
    struct revocation_verdict verdict;

    for (size_t i = 0; i < trust->crl_count; i++) {
        revocation_by_list(trust->crls[i], inquiry->certificate, inquiry->issuer, rules->now_s,
                           &verdict);
        if (inquiry_heard(inquiry, &verdict)) {
            return true;
        }
        if (verdict.problem != REVOCATION_OF_ANOTHER && verdict.problem != REVOCATION_FINE) {
            inquiry_why(inquiry, "the list in the files of trust",
                        revocation_problem_words(verdict.problem));
        }
    }
    for (size_t i = 0; i < rules->response_count; i++) {
        revocation_by_ocsp(rules->responses[i], inquiry->certificate, inquiry->issuer,
                           (struct slice){NULL, 0}, rules->now_s, &verdict);
        if (inquiry_heard(inquiry, &verdict)) {
            return true;
        }
    }
    return false;
}

static bool ask_source(struct inquiry *inquiry, const struct revocation_source *source)
{
    struct revocation_memory memory;

    revocation_store_look(inquiry->rules->store, source, inquiry->certificate, inquiry->issuer,
                          inquiry->rules->now_s, &memory);
    struct revocation_wish *wish =
        memory.verdict.status == REVOCATION_UNKNOWN ? &inquiry->wish : &inquiry->renewal;

    if (memory.ask && wish->source_count < REVOCATION_SOURCES_MAX) {
        wish->sources[wish->source_count++] = *source;
    }
    if (memory.why[0] != 0) {
        inquiry_why(inquiry, source->url, memory.why);
    }
    return inquiry_heard(inquiry, &memory.verdict);
}

/* What was fetched earlier, the configured sources before those of the certificate. */
static void ask_memory(struct inquiry *inquiry)
{
    struct revocation_source named[REVOCATION_SOURCES_MAX];
    size_t count = revocation_sources(inquiry->certificate, named, ARRAY_LENGTH(named));
    bool done = false;

    for (size_t i = 0; !done && i < inquiry->trust->source_count; i++) {
        done = ask_source(inquiry, &inquiry->trust->sources[i]);
    }
    for (size_t i = 0; !done && i < count; i++) {
        done = ask_source(inquiry, &named[i]);
    }
}

static void wish_for(struct inquiry *inquiry, struct revocation_wishes *wishes)
{
    bool needed = inquiry->verdict.status == REVOCATION_UNKNOWN;
    struct revocation_wish *wish = needed ? &inquiry->wish : &inquiry->renewal;

    if (wish->source_count == 0 || wishes->count == REVOCATION_WISHES_MAX) {
        return;
    }
    wish->needed = needed;
    wish->certificate = certificate_hold(inquiry->certificate);
    wish->issuer = certificate_hold(inquiry->issuer);
    wishes->list[wishes->count++] = *wish;
}

static enum certificate_problem inquiry_result(const struct inquiry *inquiry)
{
    switch (inquiry->verdict.status) {
    case REVOCATION_REVOKED:
        return CERTIFICATE_REVOKED;
    case REVOCATION_GOOD:
        return CERTIFICATE_GOOD;
    case REVOCATION_UNKNOWN:
        break;
    }
    return inquiry->rules->revocation == REVOCATION_STRICT ? CERTIFICATE_REVOCATION_UNKNOWN
                                                           : CERTIFICATE_GOOD;
}

/* Nobody knows whether it was revoked: why, for whoever looks. */
static void tell_why(struct certificate_verdict *verdict, const char *why)
{
    struct text text = text_over(verdict->said, sizeof(verdict->said));

    text_add(&text, why);
}

static bool not_revoked(const struct trust *trust, const struct trust_rules *rules,
                        const STACK_OF(X509) * path, unsigned depth,
                        struct certificate_verdict *verdict, struct revocation_wishes *wishes)
{
    X509 *x509 = sk_X509_value(path, (int)depth);
    struct inquiry inquiry = {
        .trust = trust,
        .rules = rules,
        .certificate = certificate_of(x509),
        .issuer = certificate_of(sk_X509_value(path, (int)depth + 1)),
    };
    enum certificate_problem problem = CERTIFICATE_NO_MEMORY;

    if (inquiry.certificate != NULL && inquiry.issuer != NULL) {
        if (!ask_at_hand(&inquiry) && rules->store != NULL) {
            ask_memory(&inquiry);
        }
        wish_for(&inquiry, wishes);
        problem = inquiry_result(&inquiry);
    }
    if (problem != CERTIFICATE_GOOD) {
        verdict_set(verdict, problem, depth, x509);
        verdict->when_s = inquiry.verdict.revoked_s;
        const char *reason = problem == CERTIFICATE_REVOKED
                                 ? revocation_reason_words(inquiry.verdict.reason)
                                 : inquiry.why;

        tell_why(verdict, reason == NULL ? "" : reason);
    } else if (inquiry.verdict.status == REVOCATION_UNKNOWN) {
        tell_why(verdict, inquiry.why);
    }
    certificate_free(inquiry.certificate);
    certificate_free(inquiry.issuer);
    return problem == CERTIFICATE_GOOD;
}

/* All of it before anybody is asked: no address of a certificate that is not good is ever used. */
static bool path_is_good(const struct trust *trust, const struct trust_rules *rules,
                         const STACK_OF(X509) * path, struct certificate_verdict *verdict,
                         struct revocation_wishes *wishes)
{
    int length = sk_X509_num(path);

    for (int i = 0; i < length; i++) {
        X509 *x509 = sk_X509_value(path, i);
        enum certificate_problem problem = own_problem(x509, (unsigned)i, i == length - 1, rules);

        if (problem != CERTIFICATE_GOOD) {
            verdict_set(verdict, problem, (unsigned)i, x509);
            return false;
        }
    }
    verdict_set(verdict, CERTIFICATE_GOOD, 0, sk_X509_value(path, 0));
    bool good = true;

    /* All of them, so that what is not known is asked at once. */
    for (int i = 0; rules->revocation != REVOCATION_OFF && i + 1 < length; i++) {
        struct certificate_verdict one = {.problem = CERTIFICATE_GOOD};
        bool fine = not_revoked(trust, rules, path, (unsigned)i, &one, wishes);

        if (!fine && (good || one.problem == CERTIFICATE_REVOKED)) {
            *verdict = one;
        } else if (good && one.said[0] != 0) {
            tell_why(verdict, one.said);
        }
        good = good && fine;
    }
    return good;
}

/* libcrypto's part, set up for our time and our limits. */
static bool context_begin(X509_STORE_CTX *context, const struct trust *trust,
                          const struct trust_rules *rules, X509 *peer, STACK_OF(X509) * others)
{
    if (X509_STORE_CTX_init(context, trust->store, peer, others) != 1) {
        return false;
    }
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);

    X509_VERIFY_PARAM_set_time(parameters, (time_t)rules->now_s);
    X509_VERIFY_PARAM_set_depth(parameters, TRUST_INTERMEDIATES_MAX);
    /* Which keys and hashes are good enough is said above, once. */
    X509_VERIFY_PARAM_set_auth_level(parameters, 0);
    return X509_VERIFY_PARAM_set_flags(parameters,
                                       X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_POLICY_CHECK) == 1;
}

bool trust_verify(const struct trust *trust, const struct trust_rules *rules,
                  const struct certificate *const *presented, size_t count,
                  struct certificate_verdict *verdict)
{
    struct revocation_wishes wishes = {0};
    bool good = trust_verify_and_wish(trust, rules, presented, count, verdict, &wishes);

    revocation_wishes_fini(&wishes);
    return good;
}

bool trust_verify_and_wish(const struct trust *trust, const struct trust_rules *rules,
                           const struct certificate *const *presented, size_t count,
                           struct certificate_verdict *verdict, struct revocation_wishes *wishes)
{
    *verdict = (struct certificate_verdict){.problem = CERTIFICATE_NONE};
    if (count == 0) {
        return false;
    }
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    STACK_OF(X509) *others = sk_X509_new_null();
    bool good = context != NULL && others != NULL;

    for (size_t i = 1; good && i < count; i++) {
        good = sk_X509_push(others, presented[i]->x509) > 0;
    }
    good = good && context_begin(context, trust, rules, presented[0]->x509, others);
    if (!good) {
        verdict_set(verdict, CERTIFICATE_NO_MEMORY, 0, NULL);
    } else if (X509_verify_cert(context) != 1) {
        enum certificate_problem problem = problem_of(X509_STORE_CTX_get_error(context));
        X509 *current = X509_STORE_CTX_get_current_cert(context);

        good = false;
        verdict_set(verdict, problem == CERTIFICATE_GOOD ? CERTIFICATE_MALFORMED : problem,
                    (unsigned)X509_STORE_CTX_get_error_depth(context),
                    current != NULL ? current : presented[0]->x509);
    } else {
        good = path_is_good(trust, rules, X509_STORE_CTX_get0_chain(context), verdict, wishes);
    }
    X509_STORE_CTX_free(context);
    sk_X509_free(others);
    ERR_clear_error();
    return good;
}

/* ---- words ---- */

void certificate_verdict_wrong_name(const struct certificate *certificate, const char *expected,
                                    struct certificate_verdict *verdict)
{
    verdict_set(verdict, CERTIFICATE_WRONG_NAME, 0, certificate->x509);
    struct text said = text_over(verdict->said, sizeof(verdict->said));
    struct text wanted = text_over(verdict->expected, sizeof(verdict->expected));

    certificate_names_words(certificate, &said);
    text_add(&wanted, expected);
}

static const char *problem_words(enum certificate_problem problem)
{
    switch (problem) {
    case CERTIFICATE_GOOD:
        return "is good";
    case CERTIFICATE_MALFORMED:
        return "is malformed";
    case CERTIFICATE_SELF_SIGNED:
        return "is signed by itself and is not one that is trusted here";
    case CERTIFICATE_BAD_SIGNATURE:
        return "has a wrong signature";
    case CERTIFICATE_NOT_AN_AUTHORITY:
        return "may not issue certificates, and did";
    case CERTIFICATE_PATH_TOO_LONG:
        return "has more certificates below it than it may have";
    case CERTIFICATE_CHAIN_TOO_LONG:
        return "leads to its authority over too many others";
    case CERTIFICATE_NAME_FORBIDDEN:
        return "has a name for which its authority may not issue certificates";
    case CERTIFICATE_CRITICAL_EXTENSION:
        return "has a critical extension that is not known here";
    case CERTIFICATE_POLICY:
        return "does not follow the certificate policy that its authority demands";
    case CERTIFICATE_KEY_USAGE:
        return "is not for what it is used for (key usage)";
    case CERTIFICATE_PURPOSE:
        return "is not for IKE (extended key usage)";
    case CERTIFICATE_KEY_UNSUPPORTED:
        return "has a key of a kind that is not used here";
    case CERTIFICATE_KEY_WEAK:
        return "has a key that is too short";
    case CERTIFICATE_SIGNATURE_WEAK:
        return "is signed with a hash that is too weak, SHA-1 or worse";
    case CERTIFICATE_NONE:
    case CERTIFICATE_UNKNOWN_AUTHORITY:
    case CERTIFICATE_NOT_YET_VALID:
    case CERTIFICATE_EXPIRED:
    case CERTIFICATE_WRONG_NAME:
    case CERTIFICATE_REVOKED:
    case CERTIFICATE_REVOCATION_UNKNOWN:
    case CERTIFICATE_NO_MEMORY:
        return NULL; /* said below */
    }
    assert(false);
    return NULL;
}

void certificate_verdict_words(const struct certificate_verdict *verdict, struct text *out)
{
    const char *words = problem_words(verdict->problem);

    if (verdict->problem == CERTIFICATE_NONE) {
        text_add(out, "no certificate was sent");
        return;
    }
    if (verdict->problem == CERTIFICATE_NO_MEMORY) {
        text_add(out, "there is no memory to check the certificate");
        return;
    }
    text_addf(out, "the certificate of %s ", verdict->subject);
    if (verdict->problem == CERTIFICATE_REVOCATION_UNKNOWN) {
        text_addf(out, "may have been revoked: %s",
                  verdict->said[0] != 0 ? verdict->said : "no current list of its issuer is here");
    } else if (words != NULL) {
        text_add(out, words);
    } else if (verdict->problem == CERTIFICATE_UNKNOWN_AUTHORITY) {
        text_addf(out, "was issued by %s, which is not trusted here", verdict->issuer);
    } else if (verdict->problem == CERTIFICATE_WRONG_NAME) {
        text_addf(out, "is for %s and not for %s", verdict->said, verdict->expected);
    } else {
        text_add(out, verdict->problem == CERTIFICATE_EXPIRED         ? "expired on "
                      : verdict->problem == CERTIFICATE_NOT_YET_VALID ? "is not valid before "
                                                                      : "was revoked on ");
        certificate_time_words(verdict->when_s, out);
        if (verdict->problem == CERTIFICATE_REVOKED && verdict->said[0] != 0) {
            text_addf(out, ": %s", verdict->said);
        }
    }
}
