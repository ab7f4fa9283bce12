/*
 * Proof by signature: decides whether a peer's signature, certificate and identity belong together
 * and to what is believed. The one place that says "good".
 *
 * The order matters for what is told, not for safety: all three must hold.
 */
#include "proto/ikev2/proof.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/ikev2.h"

struct ikev2_proof *ikev2_proof_new(size_t bytes)
{
    struct ikev2_proof *proof = calloc(1, sizeof(*proof) + bytes);

    if (proof != NULL) {
        proof->capacity = bytes;
    }
    return proof;
}

struct slice ikev2_proof_keep(struct ikev2_proof *proof, struct slice bytes)
{
    uint8_t *at = proof->bytes + proof->used;

    assert(bytes.length <= proof->capacity - proof->used);
    if (bytes.length > 0) {
        memcpy(at, bytes.data, bytes.length);
    }
    proof->used += bytes.length;
    return (struct slice){at, bytes.length};
}

void ikev2_proof_forget_wishes(struct ikev2_proof *proof)
{
    if (proof->wishes != NULL) {
        revocation_wishes_fini(proof->wishes);
        free(proof->wishes);
        proof->wishes = NULL;
    }
}

void ikev2_proof_free(struct ikev2_proof *proof)
{
    if (proof != NULL) {
        credential_free(proof->credential);
        trust_free(proof->trust);
        ikev2_proof_forget_wishes(proof);
        envelope_free(proof->envelope);
        free(proof);
    }
}

/* ---- what is said about our own certificate ---- */

struct ikev2_status *ikev2_status_new(struct slice response, uint64_t until_ms)
{
    struct ikev2_status *status = malloc(sizeof(*status) + response.length);

    if (status != NULL) {
        *status = (struct ikev2_status){1, until_ms, response.length};
        memcpy(status->bytes, response.data, response.length);
    }
    return status;
}

struct ikev2_status *ikev2_status_hold(struct ikev2_status *status)
{
    if (status != NULL) {
        status->holders++;
    }
    return status;
}

void ikev2_status_free(struct ikev2_status *status)
{
    if (status != NULL && --status->holders == 0) {
        free(status);
    }
}

/* ---- whose name it is ---- */

/* RFC 4945 3.1: each type of identity has its field in a certificate. A key ID has none; programs
 * that send every name as one mean a host name or an address of mail. */
static bool has_identity(const struct certificate *certificate, const struct ike_identity *id)
{
    struct slice value = {id->data, id->length};

    switch (id->type) {
    case IKEV2_ID_IPV4_ADDR:
    case IKEV2_ID_IPV6_ADDR:
        return certificate_has_name(certificate, CERTIFICATE_NAME_ADDRESS, value);
    case IKEV2_ID_FQDN:
        return certificate_has_name(certificate, CERTIFICATE_NAME_DNS, value);
    case IKEV2_ID_RFC822_ADDR:
        return certificate_has_name(certificate, CERTIFICATE_NAME_EMAIL, value);
    case IKEV2_ID_DER_ASN1_DN:
        return certificate_has_name(certificate, CERTIFICATE_NAME_DN, value);
    case IKEV2_ID_KEY_ID:
        return certificate_has_name(certificate, CERTIFICATE_NAME_DNS, value) ||
               certificate_has_name(certificate, CERTIFICATE_NAME_EMAIL, value);
    default:
        return false;
    }
}

static void wrong_name(struct ikev2_proof *proof, const struct certificate *certificate,
                       const struct ike_identity *wanted)
{
    char words[160];
    struct text text = text_over(words, sizeof(words));

    if (wanted != NULL) {
        ike_identity_describe(wanted, &text);
    } else {
        text_add_escaped(&text, slice_of_text(proof->pattern));
    }
    certificate_verdict_wrong_name(certificate, words, &proof->verdict);
    proof->result = IKEV2_PROOF_CERTIFICATE;
}

/* One that was encrypted to without being sent. */
static bool is_pinned(const struct ikev2_proof *proof)
{
    return proof->envelope != NULL && proof->certificate_count == 0;
}

/* What is expected must be in the certificate; what is said only where nothing is expected, but
 * nothing is shown as proven that is not in it. */
static bool name_is_right(struct ikev2_proof *proof, const struct certificate *certificate)
{
    bool has_said = has_identity(certificate, &proof->said);

    if (proof->pattern[0] != 0) {
        if (!certificate_has_name(certificate, CERTIFICATE_NAME_DN_PATTERN,
                                  slice_of_text(proof->pattern))) {
            wrong_name(proof, certificate, NULL);
            return false;
        }
    } else if (proof->expected.type != 0) {
        if (!has_identity(certificate, &proof->expected)) {
            wrong_name(proof, certificate, &proof->expected);
            return false;
        }
    } else if (!has_said && !is_pinned(proof)) {
        wrong_name(proof, certificate, &proof->said);
        return false;
    }
    /* A pinned certificate is the peer's, whatever he says to be called. */
    if (has_said || (proof->pattern[0] == 0 && proof->expected.type == 0)) {
        return true;
    }
    if (proof->pattern[0] == 0) {
        proof->said = proof->expected;
        return true;
    }
    return ike_identity_set(&proof->said, IKEV2_ID_DER_ASN1_DN, certificate_subject(certificate));
}

/* ---- the signature ---- */

/* RFC 7296 3.8: the method RSA leaves the hash to the signature itself; SHA-1 is what old
 * implementations use. */
static bool rsa_is_right(const struct ikev2_proof *proof, const struct public_key *key)
{
    static const enum signature_scheme schemes[] = {SIGNATURE_RSA_SHA256, SIGNATURE_RSA_SHA384,
                                                    SIGNATURE_RSA_SHA512, SIGNATURE_RSA_SHA1};

    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        if ((proof->legacy || signature_is_strong(schemes[i])) &&
            signature_verify(key, schemes[i], proof->octets, proof->signature)) {
            return true;
        }
    }
    return false;
}

/* Whether it would be right with SHA-1, which is not taken here: that is worth another sentence. */
static bool is_sha1(const struct ikev2_proof *proof, const struct public_key *key)
{
    return proof->scheme == SIGNATURE_NONE &&
           signature_verify(key, SIGNATURE_RSA_SHA1, proof->octets, proof->signature);
}

static bool signature_is_right(struct ikev2_proof *proof, const struct public_key *key)
{
    bool right;

    if (proof->scheme == SIGNATURE_NONE) {
        right = rsa_is_right(proof, key);
    } else if (!proof->legacy && !signature_is_strong(proof->scheme)) {
        proof->result = IKEV2_PROOF_ALGORITHM;
        return false;
    } else {
        right = signature_verify(key, proof->scheme, proof->octets, proof->signature);
    }
    proof->result = right                 ? IKEV2_PROOF_GOOD
                    : is_sha1(proof, key) ? IKEV2_PROOF_ALGORITHM
                                          : IKEV2_PROOF_SIGNATURE;
    return right;
}

/* ---- verifying ---- */

static void refuse(struct ikev2_proof *proof, enum certificate_problem problem)
{
    proof->verdict = (struct certificate_verdict){.problem = problem};
    proof->result = IKEV2_PROOF_CERTIFICATE;
}

/* RFC 7670: the key itself is believed, and stands for the identity that its site expects. */
static void verify_key(struct ikev2_proof *proof, const struct public_key *key)
{
    if (signature_is_right(proof, key)) {
        if (proof->trust == NULL || !trust_has_key(proof->trust, key)) {
            refuse(proof, CERTIFICATE_UNKNOWN_AUTHORITY);
        } else if (!public_key_is_strong(key, proof->legacy)) {
            refuse(proof, CERTIFICATE_KEY_WEAK);
        } else if (proof->pattern[0] != 0 ||
                   (proof->expected.type != 0 &&
                    !ike_identity_matches(&proof->expected, &proof->said, false))) {
            refuse(proof, CERTIFICATE_WRONG_NAME);
        }
    }
}

static void verify_raw_key(struct ikev2_proof *proof)
{
    struct public_key *key = public_key_read(proof->certificates[0]);

    if (key == NULL) {
        refuse(proof, CERTIFICATE_MALFORMED);
        return;
    }
    verify_key(proof, key);
    public_key_free(key);
}

/* The first time, what nobody knows is asked; of what is known already something newer may be
 * wished for, which nobody waits for. */
static bool must_wait(const struct ikev2_proof *proof)
{
    bool needed = false;

    for (size_t i = 0; proof->wishes != NULL && i < proof->wishes->count; i++) {
        needed = needed || proof->wishes->list[i].needed;
    }
    return needed && !proof->was_asked;
}

static void seal(struct ikev2_proof *proof, const struct public_key *key)
{
    proof->result =
        envelope_seal_all(proof->envelope, key) ? IKEV2_PROOF_GOOD : IKEV2_PROOF_ALGORITHM;
}

static void verify_path(struct ikev2_proof *proof, const struct certificate *const *list,
                        size_t count, int64_t now_s)
{
    struct trust_rules rules = {.now_s = now_s,
                                .legacy = proof->legacy,
                                .encipherment = proof->envelope != NULL,
                                .revocation = proof->revocation,
                                .response_count = proof->response_count,
                                .store = proof->store};
    const struct public_key *key = certificate_key(list[0]);

    memcpy(rules.responses, proof->responses, sizeof(rules.responses));
    if (key == NULL) {
        refuse(proof, CERTIFICATE_KEY_UNSUPPORTED);
        return;
    }
    /* Whoever cannot sign learns nothing about what is believed here, and costs least. With
     * encryption what he can read is his proof, and that comes later. */
    if (proof->envelope == NULL && !signature_is_right(proof, key)) {
        return;
    }
    if (proof->trust == NULL) {
        refuse(proof, CERTIFICATE_UNKNOWN_AUTHORITY);
        return;
    }
    proof->wishes = calloc(1, sizeof(*proof->wishes));
    if (proof->wishes == NULL) {
        proof->result = IKEV2_PROOF_NO_MEMORY;
        return;
    }
    proof->result = IKEV2_PROOF_CERTIFICATE;
    bool good =
        trust_verify_and_wish(proof->trust, &rules, list, count, &proof->verdict, proof->wishes);
    /* Revocation is the last question about a path: where it is open, all else is good. */
    bool open = proof->verdict.problem == CERTIFICATE_REVOCATION_UNKNOWN;
    struct certificate_verdict verdict = proof->verdict;

    if ((!good && !open) || !name_is_right(proof, list[0])) {
        ikev2_proof_forget_wishes(proof); /* no address is used of who does not get in anyway */
        return;
    }
    proof->verdict = verdict;
    proof->result = must_wait(proof) ? IKEV2_PROOF_WAITS
                    : good           ? IKEV2_PROOF_GOOD
                                     : IKEV2_PROOF_CERTIFICATE;
    if (proof->envelope != NULL && proof->result == IKEV2_PROOF_GOOD) {
        seal(proof, key);
        envelope_hash_certificate(proof->envelope, certificate_der(list[0]));
    }
}

/* He sent none: of those that the site has itself the one with his name, or the one key (RFC 4945
 * 3.3.6: who is not asked for a certificate sends none). */
static void verify_known(struct ikev2_proof *proof, int64_t now_s)
{
    const struct certificate *certificate = NULL;
    const struct public_key *key;

    for (size_t i = 0; i < trust_count(proof->trust); i++) {
        const struct certificate *one = trust_at(proof->trust, i);

        if (!certificate_is_authority(one) && has_identity(one, &proof->said)) {
            verify_path(proof, &one, 1, now_s);
            return;
        }
    }
    key = trust_pinned(proof->trust, &certificate);
    if (key == NULL) {
        refuse(proof, CERTIFICATE_NONE);
    } else if (certificate != NULL) {
        verify_path(proof, &certificate, 1, now_s);
    } else {
        verify_key(proof, key);
    }
}

/* RFC 4945 3.3.8: the first need not be the peer's own. The one with his name is, else the first
 * that is no authority. */
static void put_own_first(const struct ikev2_proof *proof, struct certificate **list, size_t count)
{
    size_t own = 0;
    unsigned best = 0;

    for (size_t i = 0; i < count; i++) {
        unsigned fits = certificate_is_authority(list[i])     ? 0
                        : has_identity(list[i], &proof->said) ? 2
                                                              : 1;

        if (fits > best) {
            best = fits;
            own = i;
        }
    }
    struct certificate *first = list[own];

    list[own] = list[0];
    list[0] = first;
}

static void verify(struct ikev2_proof *proof, int64_t now_s)
{
    struct certificate *list[CERTIFICATES_MAX];
    size_t count = 0;

    if (proof->certificate_count == 0 && proof->any_order && proof->trust != NULL) {
        verify_known(proof, now_s);
        return;
    }
    if (proof->certificate_count == 0) {
        refuse(proof, CERTIFICATE_NONE);
        return;
    }
    if (proof->raw_key) {
        verify_raw_key(proof);
        return;
    }
    for (size_t i = 0; i < proof->certificate_count; i++) {
        struct certificate *certificate = certificate_read(proof->certificates[i]);

        if (certificate != NULL) {
            list[count++] = certificate;
        } else if (i == 0 && !proof->any_order) {
            break; /* one that only might help is passed over when it is malformed */
        }
    }
    if (count == 0) {
        refuse(proof, CERTIFICATE_MALFORMED);
    } else {
        const struct certificate *borrowed[CERTIFICATES_MAX];

        if (proof->any_order) {
            put_own_first(proof, list, count);
        }
        for (size_t i = 0; i < count; i++) {
            borrowed[i] = list[i];
        }
        verify_path(proof, borrowed, count, now_s);
    }
    for (size_t i = 0; i < count; i++) {
        certificate_free(list[i]);
    }
}

/* To whom it is sealed: the key that is known beforehand, else the one of the certificate that he
 * sent. */
static void seal_to_peer(struct ikev2_proof *proof, int64_t now_s)
{
    const struct certificate *certificate = NULL;
    const struct public_key *key =
        proof->trust == NULL ? NULL : trust_pinned(proof->trust, &certificate);

    if (key == NULL) {
        verify(proof, now_s);
        return;
    }
    proof->certificate_count = 0;
    if (certificate != NULL) {
        verify_path(proof, &certificate, 1, now_s);
    } else if (!public_key_is_strong(key, proof->legacy)) {
        refuse(proof, CERTIFICATE_KEY_WEAK);
    } else {
        seal(proof, key);
    }
}

static void open_ours(struct ikev2_proof *proof)
{
    proof->result = credential_open(proof->credential, proof->envelope) ? IKEV2_PROOF_GOOD
                                                                        : IKEV2_PROOF_OWN_KEY;
}

void ikev2_proof_run(struct ikev2_proof *proof, int64_t now_s)
{
    ikev2_proof_forget_wishes(proof); /* of an earlier run */
    if (proof->envelope != NULL) {
        if (proof->sign) {
            open_ours(proof);
        } else {
            seal_to_peer(proof, now_s);
        }
        return;
    }
    if (!proof->sign) {
        verify(proof, now_s);
        return;
    }
    struct writer w = writer_over(proof->made, sizeof(proof->made));
    struct text why = text_over(proof->verdict.said, sizeof(proof->verdict.said));
    bool made = credential_sign(proof->credential, proof->scheme, proof->octets, &w, &why);

    proof->result = made                                    ? IKEV2_PROOF_GOOD
                    : credential_is_kept(proof->credential) ? IKEV2_PROOF_OWN_KEY
                                                            : IKEV2_PROOF_NO_MEMORY;
    proof->made_bytes = made ? writer_written(&w).length : 0;
}
