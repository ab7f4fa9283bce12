/*
 * Proof by certificate and signature in phase 1 (RFC 2409 5.1, RFC 4754, RFC 2408 3.9, 3.10):
 * decides what is signed, what a peer is asked for, and what the answer about his signature means.
 * The machine sees no private key and walks no certificate path: both are questions.
 */
#include <string.h>

#include "crypto/signature.h"
#include "proto/ikev1/machine.h"

#define REQUESTS_MAX 8 /* for more authorities a peer is asked for whatever he has */

/* What belongs to a method. RFC 2409 5.1: a signature that is tied to a hash is over a HASH_I made
 * with that hash. */
struct method {
    uint16_t number;
    enum key_kind kind;
    enum signature_scheme scheme;
    uint16_t prf; /* 0: the one that was negotiated */
};

static const struct method methods[] = {
    {IKEV1_AUTH_DSS_SIGNATURE, KEY_DSA, SIGNATURE_BARE_DSA, PRF_HMAC_SHA1},
    {IKEV1_AUTH_RSA_SIGNATURE, KEY_RSA, SIGNATURE_BARE_RSA, 0},
    {IKEV1_AUTH_ECDSA_256, KEY_P256, SIGNATURE_BARE_P256, PRF_HMAC_SHA2_256},
    {IKEV1_AUTH_ECDSA_384, KEY_P384, SIGNATURE_BARE_P384, PRF_HMAC_SHA2_384},
    {IKEV1_AUTH_ECDSA_521, KEY_P521, SIGNATURE_BARE_P521, PRF_HMAC_SHA2_512},
};

static const struct method *find_method(uint16_t number)
{
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        if (methods[i].number == number) {
            return &methods[i];
        }
    }
    return NULL;
}

uint16_t ikev1_method_of(const struct ikev1_policy *policy)
{
    if (policy->certificates == NULL) {
        return IKEV1_AUTH_SHARED_KEY;
    }
    if (policy->certificates->own == NULL) {
        return IKEV1_AUTH_RSA_SIGNATURE; /* hybrid: the other side's */
    }
    if (policy->certificates->by != IKEV1_PROOF_SIGNATURE) {
        return credential_kind(policy->certificates->own) != KEY_RSA ? 0
               : policy->certificates->by == IKEV1_PROOF_ENCRYPTION  ? IKEV1_AUTH_RSA_ENCRYPTION
                                                                     : IKEV1_AUTH_RSA_REVISED;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++) {
        if (methods[i].kind == credential_kind(policy->certificates->own)) {
            return methods[i].number;
        }
    }
    return 0; /* a kind of key for which IKEv1 has no number */
}

bool ikev1_method_is_signature(uint16_t method)
{
    return find_method(method) != NULL;
}

bool ikev1_signs(const struct ikev1_ike *ike)
{
    return ikev1_method_is_signature(ike->handshake->choice.auth_method);
}

/* HASH_I or HASH_R, of the one or the other side. */
static bool hash_of(const struct ikev1_ike *ike, bool of_initiator, struct slice id,
                    struct ikev1_hash_value *out)
{
    const struct method *method = find_method(ike->handshake->choice.auth_method);
    struct ikev1_phase1_words words = ikev1_phase1_words(ike);
    struct ikev1_keys keys = ike->keys; /* borrowed: nothing of it is given back */

    if (method->prf != 0) {
        keys.suite.prf = method->prf;
    }
    return (of_initiator ? ikev1_hash_i : ikev1_hash_r)(&keys, &words, id, out);
}

/* ---- questions ---- */

static struct ikev1_proof_question *ask(struct ikev1_turn *t, struct ikev1_ike *ike,
                                        const struct ikev1_policy *policy,
                                        const struct ikev1_hash_value *hash, bool sign)
{
    struct ikev1_handshake *h = ike->handshake;
    struct slice octets = {NULL, 0};

    if (!ikev1_block_copy(ikev1_hash_slice(hash), &octets)) {
        return NULL;
    }
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_PROOF);

    h->ask_proof = ikev1_question(t->sa);
    h->ask_sign = sign;
    h->ask_deadline_ms = ikev1_after(t->now_ms, IKEV1_ASK_MS);
    action->proof.id = h->ask_proof;
    action->proof.sign = sign;
    action->proof.scheme = find_method(h->choice.auth_method)->scheme;
    action->proof.octets = octets;
    action->proof.policy = policy;
    ikev1_block_drop(t->sa, &octets);
    return &action->proof;
}

void ikev1_ask_sign(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_policy *policy)
{
    struct ikev1_hash_value hash;

    if (!ikev1_phase1_make_id(ike, policy) ||
        !hash_of(ike, ike->initiator, ike->handshake->own_id, &hash) ||
        ask(t, ike, policy, &hash, true) == NULL) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "nothing to sign could be made");
    }
}

bool ikev1_ask_verify(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_message *m,
                      struct slice id, const struct ikev1_policy *policy)
{
    struct ikev1_received_certificates received;
    struct ikev1_hash_value hash;
    struct slice signature;

    ike->handshake->unusable = ikev1_read_certificates(m, &received);
    if (ike->handshake->unusable != NULL || !ikev1_message_only(m, IKEV1_SIG, &signature) ||
        !hash_of(ike, !ike->initiator, id, &hash)) {
        return false;
    }
    struct ikev1_proof_question *question = ask(t, ike, policy, &hash, false);

    if (question == NULL) {
        return false;
    }
    question->said = ike->handshake->peer_id;
    question->signature = signature;
    question->certificate_count = received.count;
    memcpy(question->certificates, received.list, received.count * sizeof(received.list[0]));
    return true;
}

const char *ikev1_unusable(const struct ikev1_ike *ike, const char *otherwise)
{
    return ike->handshake->unusable != NULL ? ike->handshake->unusable : otherwise;
}

const struct ikev1_policy *ikev1_choose_signer(const struct ikev1_handshake *h)
{
    const struct ikev1_policy *any = NULL;

    for (size_t i = 0; i < h->candidate_count; i++) {
        const struct ikev1_policy *p = h->candidates[i];

        if (!ikev1_method_fits(p, h, false) || !ikev1_phase1_allows(p->ike, &h->choice.suite)) {
            continue;
        }
        if (p->peer_id.type != 0 &&
            ike_identity_matches(&p->peer_id, &h->peer_id, p->strict_id_types)) {
            return p;
        }
        /* What is expected may be in the certificate and not be what is said. */
        any = any == NULL || any->peer_id.type != 0 ? p : any;
    }
    return any;
}

/* His signature was held against nobody's trust, so it says nothing: why was there nobody? */
static void nobody(const struct ikev1_handshake *h, struct ikev1_failure *failure)
{
    enum ikev1_failure_reason reason =
        h->candidate_count == 0 ? IKEV1_FAIL_PEER_UNKNOWN : IKEV1_FAIL_AUTH_METHOD;

    for (size_t i = 0; i < h->candidate_count; i++) {
        if (ikev1_method_of(h->candidates[i]) == h->choice.auth_method) {
            reason = IKEV1_FAIL_SUITE_NOT_ALLOWED;
        }
    }
    ikev1_failure_set(failure, reason, failure->exchange, 0,
                      reason == IKEV1_FAIL_AUTH_METHOD ? "by a signature" : "");
}

static void refused(struct ikev1_turn *t, struct ikev1_ike *ike,
                    const struct ikev1_proof_answer *answer)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_failure failure;

    ikev1_failure_set(
        &failure, answer->certificate_refused ? IKEV1_FAIL_CERTIFICATE : IKEV1_FAIL_PEER_SIGNATURE,
        ike->aggressive ? IKEV1_AGGRESSIVE : IKEV1_MAIN, 0, answer->detail);
    failure.certificate = answer->problem;
    if (!ike->initiator && !ike->aggressive && h->policy == NULL) {
        nobody(h, &failure);
    }
    failure.message = h->awaited;
    ikev1_failure_identities(&failure, NULL, &h->peer_id);
    ikev1_phase1_fail(t, ike, &failure);
}

void ikev1_phase1_answer_proof(struct ikev1_turn *t, struct ikev1_ike *ike,
                               const struct ikev1_proof_answer *answer)
{
    struct ikev1_handshake *h = ike->handshake;

    h->ask_proof = 0;
    if (ikev1_encrypts(ike)) {
        ikev1_encryption_answer(t, ike, answer);
        return;
    }
    if (h->ask_sign) {
        if (!answer->good || !ikev1_block_replace(t->sa, answer->made, &h->own_proof)) {
            ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no signature was made");
            return;
        }
    } else {
        if (!answer->good || answer->proven.type == 0) {
            refused(t, ike, answer);
            return;
        }
        h->peer_id = answer->proven;
        h->verified = true;
    }
    ikev1_phase1_go_on(t, ike);
}

/* ---- payloads ---- */

/* Our own and those that lead to its authority, which the peer has. */
void ikev1_out_certificates(struct ikev1_outgoing *o, const struct ikev1_policy *policy)
{
    const struct credential *own = policy->certificates->own;

    for (size_t i = 0; i < credential_count(own); i++) {
        const struct certificate *certificate = credential_at(own, i);
        struct ikev1_cert_payload cert = {
            .encoding = IKEV1_CERT_X509_SIGNATURE,
            .data = certificate_der(certificate),
        };

        if (i > 0 && certificate_is_self_issued(certificate)) {
            continue;
        }
        ikev1_begin_payload(&o->chain, IKEV1_CERT);
        ikev1_write_cert(&o->w, &cert);
        ikev1_end_payload(&o->chain);
    }
}

void ikev1_out_no_certificate(const struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    const struct ikev1_cert_payload cert = {.encoding = IKEV1_CERT_X509_SIGNATURE};

    if (ike->handshake->choice.hybrid && ike->handshake->certificate_asked) {
        ikev1_begin_payload(&o->chain, IKEV1_CERT);
        ikev1_write_cert(&o->w, &cert);
        ikev1_end_payload(&o->chain);
    }
}

static void out_request(struct ikev1_outgoing *o, struct slice authority)
{
    struct ikev1_cert_payload cert = {.encoding = IKEV1_CERT_X509_SIGNATURE, .data = authority};

    ikev1_begin_payload(&o->chain, IKEV1_CERTREQ);
    ikev1_write_cert(&o->w, &cert);
    ikev1_end_payload(&o->chain);
}

void ikev1_out_certificate_request(struct ikev1_outgoing *o, const struct ikev1_policy *policy)
{
    const struct trust *trust = policy != NULL ? policy->certificates->trust : NULL;
    size_t count = trust != NULL ? trust_count(trust) : 0;

    if (count == 0 || count > REQUESTS_MAX) {
        out_request(o, (struct slice){NULL, 0});
        return;
    }
    for (size_t i = 0; i < count; i++) {
        out_request(o, certificate_subject(trust_at(trust, i)));
    }
}
