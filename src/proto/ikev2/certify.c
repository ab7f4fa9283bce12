/*
 * What stands in the messages when a side proves itself by a certificate: CERT and CERTREQ (RFC
 * 7296 3.6, 3.7), SIGNATURE_HASH_ALGORITHMS and the AUTH payload of RFC 7427, and the methods that
 * are announced (RFC 9593). Decides with what we sign, and puts the questions.
 */
#include "proto/ikev2/machine.h"

#include <string.h>

#define CERT_X509 4
#define CERT_HASH_AND_URL 12
#define CERT_BUNDLE_HASH_AND_URL 13
#define CERT_OCSP 14 /* RFC 4806 */
#define CERT_RAW_KEY 15
#define CERTREQ_AUTHORITIES_MAX 20

/* ---- hashes and methods ---- */

/* RFC 4806 3.1: whoever says so wants what is known about our certificate. The responders that he
 * trusts are his business: ours is the one that the authority named. */
static bool asks_status(const struct ikev2_message *m)
{
    struct reader r = reader_over(m->chain);
    uint8_t next = m->first;
    struct ikev2_payload p;
    bool asks = false;

    while (m->has[IKEV2_CERTREQ] && !asks && ikev2_read_payload(&r, &next, &p)) {
        struct ikev2_cert_payload request;

        asks = p.type == IKEV2_CERTREQ && ikev2_read_cert(p.body, &request) &&
               request.encoding == CERT_OCSP;
    }
    return asks;
}

void ikev2_certify_read(struct ikev2_handshake *h, const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *hashes =
        ikev2_message_notify(m, IKEV2_SIGNATURE_HASH_ALGORITHMS);

    if (hashes != NULL && !signature_read_hashes(hashes->data, &h->peer_hashes)) {
        h->peer_hashes = 0;
    }
    h->peer_asks_status = h->peer_asks_status || asks_status(m);
    /* RFC 9593 3.2: all that are there form one list. What is not understood is ignored. */
    for (size_t i = 0; i < m->notify_count; i++) {
        struct reader r = reader_over(m->notify[i].data);

        while (m->notify[i].type == IKEV2_SUPPORTED_AUTH_METHODS && reader_left(&r) > 0) {
            uint8_t length = read_u8(&r);
            struct reader blob = read_within(&r, length == 0 ? 0 : length - 1U);
            uint8_t method = read_u8(&blob);

            read_skip(&blob, 1); /* the link to an authority: every chain of ours is sent */
            if (method == IKEV2_AUTH_DIGITAL_SIGNATURE && reader_ok(&blob)) {
                enum signature_scheme scheme = signature_read_algorithm(read_rest(&blob));
                h->peer_schemes |= scheme != SIGNATURE_NONE ? SIGNATURE_SCHEME_BIT(scheme) : 0;
            }
            if (length == 0) {
                break;
            }
        }
    }
}

size_t ikev2_certify_hashes(bool legacy, uint8_t out[IKEV2_HASHES_BYTES_MAX])
{
    struct writer w = writer_over(out, IKEV2_HASHES_BYTES_MAX);

    signature_write_hashes(&w, signature_own_hashes(legacy));
    return writer_written(&w).length;
}

size_t ikev2_certify_methods(bool shared_key, uint8_t out[IKEV2_METHODS_BYTES_MAX])
{
    struct writer w = writer_over(out, IKEV2_METHODS_BYTES_MAX);

    if (shared_key) {
        write_u8(&w, 2);
        write_u8(&w, IKEV2_AUTH_SHARED_KEY);
    }
    for (unsigned i = SIGNATURE_NONE + 1; i < SIGNATURE_SCHEMES; i++) {
        struct slice algorithm = signature_algorithm((enum signature_scheme)i);

        if (algorithm.length > 0 && signature_is_strong((enum signature_scheme)i)) {
            write_u8(&w, (uint8_t)(3 + algorithm.length));
            write_u8(&w, IKEV2_AUTH_DIGITAL_SIGNATURE);
            write_u8(&w, 0);
            write_slice(&w, algorithm);
        }
    }
    return writer_written(&w).length;
}

/* With what we sign: RFC 7427 where the peer has a hash for it, else what was before. */
static bool choose(const struct ikev2_certificates *c, const struct ikev2_handshake *h,
                   uint8_t *method, enum signature_scheme *scheme)
{
    enum key_kind kind = credential_kind(c->own);

    if (h->peer_hashes != 0) {
        uint32_t schemes = credential_schemes(c->own); /* a token may be without PSS */

        schemes &= h->peer_schemes != 0 ? h->peer_schemes : schemes;
        *method = IKEV2_AUTH_DIGITAL_SIGNATURE;
        *scheme = schemes == 0
                      ? SIGNATURE_NONE
                      : signature_choose(kind, credential_bits(c->own), h->peer_hashes, schemes);
        return *scheme != SIGNATURE_NONE;
    }
    switch (kind) {
    case KEY_RSA:
        /* RFC 7296 3.8: the hash that everybody of that time has is SHA-1. */
        *method = IKEV2_AUTH_RSA_SIGNATURE;
        *scheme = c->legacy ? SIGNATURE_RSA_SHA1 : SIGNATURE_RSA_SHA256;
        return true;
    case KEY_P256:
        *method = IKEV2_AUTH_ECDSA_256;
        *scheme = SIGNATURE_RAW_P256;
        return true;
    case KEY_P384:
        *method = IKEV2_AUTH_ECDSA_384;
        *scheme = SIGNATURE_RAW_P384;
        return true;
    case KEY_P521:
        *method = IKEV2_AUTH_ECDSA_521;
        *scheme = SIGNATURE_RAW_P521;
        return true;
    case KEY_ED25519:
    case KEY_ED448:
        return false; /* RFC 8420: only with RFC 7427 */
    case KEY_DSA:
        return false; /* RFC 8247 3.1: not any more; for IKEv1 alone */
    }
    return false;
}

/* ---- questions ---- */

static size_t octets_bytes(const struct ikev2_auth_octets *octets)
{
    return octets->message.length + octets->nonce.length + octets->maced_id_bytes +
           octets->int_auth.length;
}

static struct slice keep_octets(struct ikev2_proof *proof, const struct ikev2_auth_octets *octets)
{
    struct slice whole = ikev2_proof_keep(proof, octets->message);

    (void)ikev2_proof_keep(proof, octets->nonce);
    (void)ikev2_proof_keep(proof, (struct slice){octets->maced_id, octets->maced_id_bytes});
    (void)ikev2_proof_keep(proof, octets->int_auth);
    whole.length = octets_bytes(octets);
    return whole;
}

static void ask(struct ikev2_turn *t, struct ikev2_proof *proof)
{
    struct ikev2_handshake *h = t->sa->handshake;
    struct ikev2_action *action = ikev2_act(t, IKEV2_ASK_PROOF);

    h->ask_proof = ikev2_question(t->sa);
    h->ask_deadline_ms = ikev2_after(t->now_ms, IKEV2_ASK_MS);
    action->proof.id = h->ask_proof;
    action->proof.question = proof;
}

bool ikev2_certify_ask_sign(struct ikev2_turn *t, const struct ikev2_policy *policy,
                            const struct ikev2_auth_octets *octets)
{
    struct ikev2_handshake *h = t->sa->handshake;
    enum signature_scheme scheme = SIGNATURE_NONE;

    if (!choose(policy->certificates, h, &h->own_method, &scheme)) {
        ikev2_over_for(t, IKEV2_FAIL_AUTH_METHOD, IKEV2_IKE_AUTH, 0,
                       "the peer does not take signatures of our kind of key");
        return false;
    }
    struct ikev2_proof *proof = ikev2_proof_new(octets_bytes(octets));

    if (proof == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no memory");
        return false;
    }
    h->own_scheme = scheme;
    proof->sign = true;
    proof->method = h->own_method;
    proof->scheme = scheme;
    proof->octets = keep_octets(proof, octets);
    proof->credential = credential_hold(policy->certificates->own);
    ask(t, proof);
    return true;
}

bool ikev2_certify_take_signature(struct ikev2_turn *t, const struct ikev2_proof *proof)
{
    struct ikev2_handshake *h = t->sa->handshake;
    uint8_t bytes[1 + SIGNATURE_ALGORITHM_BYTES_MAX + SIGNATURE_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));

    if (h->own_method == IKEV2_AUTH_DIGITAL_SIGNATURE) {
        struct slice algorithm = signature_algorithm(h->own_scheme);

        write_u8(&w, (uint8_t)algorithm.length); /* RFC 7427 3 */
        write_slice(&w, algorithm);
    }
    write_slice(&w, (struct slice){proof->made, proof->made_bytes});
    return proof->result == IKEV2_PROOF_GOOD && writer_ok(&w) &&
           ikev2_block_copy(writer_written(&w),
                            h->own_auth.length == 0 ? &h->own_auth : &h->plain_auth);
}

/* The scheme and the signature in an AUTH payload; false: not one that is known. */
static bool read_auth(const struct ikev2_auth_payload *auth, enum signature_scheme *scheme,
                      struct slice *signature)
{
    struct reader r = reader_over(auth->data);

    *scheme = SIGNATURE_NONE;
    *signature = auth->data;
    switch (auth->method) {
    case IKEV2_AUTH_RSA_SIGNATURE:
        return true;
    case IKEV2_AUTH_ECDSA_256:
        *scheme = SIGNATURE_RAW_P256;
        return true;
    case IKEV2_AUTH_ECDSA_384:
        *scheme = SIGNATURE_RAW_P384;
        return true;
    case IKEV2_AUTH_ECDSA_521:
        *scheme = SIGNATURE_RAW_P521;
        return true;
    case IKEV2_AUTH_DIGITAL_SIGNATURE:
        *scheme = signature_read_algorithm(read_bytes(&r, read_u8(&r)));
        *signature = read_rest(&r);
        return reader_ok(&r) && *scheme != SIGNATURE_NONE;
    default:
        return false;
    }
}

bool ikev2_certify_is_signature(uint8_t method)
{
    return method == IKEV2_AUTH_RSA_SIGNATURE || method == IKEV2_AUTH_DIGITAL_SIGNATURE ||
           (method >= IKEV2_AUTH_ECDSA_256 && method <= IKEV2_AUTH_ECDSA_521);
}

/* The CERT payloads that can be used; the first one must be the peer's own (RFC 7296 3.6). */
static const char *read_certificates(const struct ikev2_message *m, struct ikev2_proof *proof)
{
    struct reader r = reader_over(m->chain);
    uint8_t next = m->first;
    struct ikev2_payload p;

    while (ikev2_read_payload(&r, &next, &p)) {
        struct ikev2_cert_payload cert;

        if (p.type != IKEV2_CERT) {
            continue;
        }
        if (!ikev2_read_cert(p.body, &cert)) {
            return "a malformed CERT payload";
        }
        if (cert.encoding == CERT_HASH_AND_URL || cert.encoding == CERT_BUNDLE_HASH_AND_URL) {
            return "a certificate by its address only: nothing is fetched for strangers";
        }
        if (cert.encoding == CERT_OCSP) {
            /* More than there may be are passed over: what is not known can be asked. */
            if (proof->response_count < TRUST_RESPONSES_MAX &&
                cert.data.length <= REVOCATION_RESPONSE_BYTES_MAX) {
                proof->responses[proof->response_count++] = ikev2_proof_keep(proof, cert.data);
            }
            continue;
        }
        if (cert.encoding == CERT_RAW_KEY && proof->certificate_count == 0) {
            proof->raw_key = true;
        } else if (cert.encoding != CERT_X509 || proof->raw_key) {
            continue;
        }
        if (proof->certificate_count == CERTIFICATES_MAX ||
            cert.data.length > CERTIFICATE_BYTES_MAX) {
            return "more or larger certificates than any real chain has";
        }
        proof->certificates[proof->certificate_count++] = ikev2_proof_keep(proof, cert.data);
    }
    return NULL;
}

const char *ikev2_certify_question(const struct ikev2_policy *policy, const struct ikev2_message *m,
                                   const struct ikev2_auth_octets *octets,
                                   const struct ikev2_auth_payload *auth,
                                   const struct ike_identity *said, struct ikev2_proof **out)
{
    const struct ikev2_certificates *c = policy == NULL ? NULL : policy->certificates;
    struct ikev2_proof *proof =
        ikev2_proof_new(octets_bytes(octets) + auth->data.length + m->chain.length);

    if (proof == NULL) {
        return "no memory";
    }
    struct slice signature;
    const char *wrong = read_auth(auth, &proof->scheme, &signature)
                            ? read_certificates(m, proof)
                            : "the peer's signature algorithm is not one that is taken";

    if (wrong != NULL) {
        ikev2_proof_free(proof);
        return wrong;
    }
    proof->method = auth->method;
    proof->octets = keep_octets(proof, octets);
    proof->signature = ikev2_proof_keep(proof, signature);
    proof->said = *said;
    if (c != NULL) {
        proof->trust = trust_hold(c->trust);
        proof->legacy = c->legacy;
        proof->revocation = c->revocation;
        proof->expected = policy->peer_id;
        memcpy(proof->pattern, c->pattern, sizeof(proof->pattern));
    }
    *out = proof;
    return NULL;
}

const char *ikev2_certify_ask_verify(struct ikev2_turn *t, const struct ikev2_policy *policy,
                                     const struct ikev2_message *m,
                                     const struct ikev2_auth_octets *octets,
                                     const struct ikev2_auth_payload *auth,
                                     const struct ike_identity *said)
{
    struct ikev2_proof *proof = NULL;
    const char *wrong = ikev2_certify_question(policy, m, octets, auth, said, &proof);

    if (wrong == NULL) {
        ask(t, proof);
    }
    return wrong;
}

void ikev2_certify_failure(const struct ikev2_proof *proof, struct ikev2_failure *failure)
{
    struct text detail;

    switch (proof->result) {
    case IKEV2_PROOF_GOOD:
    case IKEV2_PROOF_NO_MEMORY:
    case IKEV2_PROOF_OWN_KEY:
    case IKEV2_PROOF_WAITS:
        ikev2_failure_set(failure, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no memory");
        break;
    case IKEV2_PROOF_SIGNATURE:
        ikev2_failure_set(failure, IKEV2_FAIL_PEER_SIGNATURE, IKEV2_IKE_AUTH,
                          IKEV2_AUTHENTICATION_FAILED, "");
        break;
    case IKEV2_PROOF_ALGORITHM:
        ikev2_failure_set(failure, IKEV2_FAIL_AUTH_METHOD, IKEV2_IKE_AUTH,
                          IKEV2_AUTHENTICATION_FAILED, "the peer signs with SHA-1");
        break;
    case IKEV2_PROOF_CERTIFICATE:
        ikev2_failure_set(failure, IKEV2_FAIL_CERTIFICATE, IKEV2_IKE_AUTH,
                          IKEV2_AUTHENTICATION_FAILED, "");
        failure->certificate = proof->verdict.problem;
        detail = text_over(failure->detail, sizeof(failure->detail));
        certificate_verdict_words(&proof->verdict, &detail);
        break;
    }
    ikev2_failure_identities(failure, proof->expected.type != 0 ? &proof->expected : NULL,
                             proof->said.type != 0 ? &proof->said : NULL);
}

/* ---- payloads of ours ---- */

static void out_cert(struct ikev2_outgoing *o, uint8_t encoding, struct slice der)
{
    struct ikev2_cert_payload cert = {.encoding = encoding, .data = der};

    ikev2_begin_payload(&o->chain, IKEV2_CERT, false);
    ikev2_write_cert(&o->w, &cert);
    ikev2_end_payload(&o->chain);
}

void ikev2_certify_out_certificates(struct ikev2_turn *t, struct ikev2_outgoing *o,
                                    const struct ikev2_certificates *c)
{
    const struct ikev2_status *status = c->status;

    out_cert(o, CERT_X509, certificate_der(credential_at(c->own, 0)));
    for (size_t i = 1; i < credential_count(c->own); i++) {
        /* RFC 4945 3.3.4: who does not believe a root already gains nothing by having it. */
        if (!certificate_is_self_issued(credential_at(c->own, i))) {
            out_cert(o, CERT_X509, certificate_der(credential_at(c->own, i)));
        }
    }
    if (t->sa->handshake->peer_asks_status && status != NULL && t->now_ms < status->until_ms) {
        out_cert(o, CERT_OCSP, (struct slice){status->bytes, status->length});
    }
}

size_t ikev2_certify_authorities(const struct trust *trust, uint8_t *out, size_t capacity)
{
    size_t count = trust_count(trust);
    size_t length = 0;

    for (size_t i = 0; i < count && i < CERTREQ_AUTHORITIES_MAX &&
                       length + CERTIFICATE_KEY_HASH_BYTES <= capacity;
         i++) {
        certificate_key_hash(trust_at(trust, i), out + length);
        length += CERTIFICATE_KEY_HASH_BYTES;
    }
    return length;
}

static void write_request(struct ikev2_chain *chain, struct writer *w, uint8_t encoding,
                          struct slice data)
{
    struct ikev2_cert_payload request = {.encoding = encoding, .data = data};

    ikev2_begin_payload(chain, IKEV2_CERTREQ, false);
    ikev2_write_cert(w, &request);
    ikev2_end_payload(chain);
}

void ikev2_certify_write_request(struct ikev2_chain *chain, struct writer *w,
                                 struct slice authorities)
{
    write_request(chain, w, CERT_X509, authorities);
}

void ikev2_certify_write_status_request(struct ikev2_chain *chain, struct writer *w)
{
    write_request(chain, w, CERT_OCSP, (struct slice){NULL, 0});
}

void ikev2_certify_out_request(struct ikev2_outgoing *o, const struct ikev2_certificates *c)
{
    uint8_t hashes[CERTREQ_AUTHORITIES_MAX * CERTIFICATE_KEY_HASH_BYTES];
    uint8_t methods[IKEV2_METHODS_BYTES_MAX];
    size_t length = ikev2_certify_authorities(c->trust, hashes, sizeof(hashes));

    ikev2_certify_write_request(&o->chain, &o->w, (struct slice){hashes, length});
    if (c->revocation == REVOCATION_STRICT) {
        /* RFC 4806 3.1, with no responder of our own; who does not know it passes it over. Only
         * where it must be known, because there are peers that stumble. */
        ikev2_certify_write_status_request(&o->chain, &o->w);
    }
    ikev2_out_notify(o, IKEV2_SUPPORTED_AUTH_METHODS,
                     (struct slice){methods, ikev2_certify_methods(false, methods)});
}
