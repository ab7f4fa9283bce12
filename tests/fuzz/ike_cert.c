/*
 * A message of IKE_AUTH with certificates, from whoever got that far: what is asked about it, and
 * what the answer is. Rules, an authority, the AUTH payload, the first type and the chain.
 */
#include <string.h>

#include "crypto/pkcs7.h"
#include "fuzz.h"
#include "proto/ikev2/machine.h"

#define NOW_S 1800000000 /* 2027-01-15 */
#define MESSAGE_BYTES_MAX 65535

static struct trust *believe(struct slice der)
{
    struct trust *trust = trust_new();
    struct certificate *authority = certificate_read(der);
    struct certificate_bag bag = {.certificate_count = 1, .certificates = {authority}};

    MUST(trust != NULL);
    if (authority != NULL) {
        MUST(trust_add(trust, &bag));
    }
    certificate_free(authority);
    return trust;
}

static void check(struct ikev2_proof *proof, bool is_known)
{
    struct ikev2_failure failure = {0};

    MUST(proof->certificate_count <= CERTIFICATES_MAX);
    MUST(proof->response_count <= TRUST_RESPONSES_MAX);
    MUST(proof->used <= proof->capacity);
    ikev2_proof_run(proof, NOW_S);
    if (proof->result == IKEV2_PROOF_GOOD) {
        MUST(is_known && proof->certificate_count > 0 && proof->signature.length > 0);
        MUST(trust_count(proof->trust) > 0);
    } else {
        MUST(proof->result != IKEV2_PROOF_WAITS); /* nobody fetches here */
        ikev2_certify_failure(proof, &failure);
        MUST(failure.reason != IKEV2_FAIL_NONE);
    }
}

/* The same from a peer of IKEv1: wrapped in PKCS#7, in any order, or none, and a hash that is
 * signed as it is. */
static void old_peer(const struct ikev2_certificates *c, const struct ike_identity *said,
                     struct slice signature, struct slice wrapped)
{
    static const enum signature_scheme schemes[] = {SIGNATURE_BARE_RSA, SIGNATURE_BARE_P256,
                                                    SIGNATURE_BARE_DSA};
    struct pkcs7_contents contents = {.count = 0};

    (void)!pkcs7_read(wrapped, &contents);
    MUST(contents.count <= CERTIFICATES_MAX);
    struct ikev2_proof *proof = ikev2_proof_new(wrapped.length + signature.length);

    MUST(proof != NULL);
    for (size_t i = 0; i < contents.count; i++) {
        const struct slice *one = &contents.certificates[i];

        MUST(one->data >= wrapped.data && one->length <= CERTIFICATE_BYTES_MAX &&
             one->data + one->length <= wrapped.data + wrapped.length);
        proof->certificates[proof->certificate_count++] = ikev2_proof_keep(proof, *one);
    }
    proof->any_order = true;
    proof->scheme = schemes[wrapped.length % ARRAY_LENGTH(schemes)];
    proof->octets = SLICE_TEXT("twenty octets of it.");
    proof->signature = ikev2_proof_keep(proof, signature);
    proof->said = *said;
    proof->trust = trust_hold(c->trust);
    proof->legacy = c->legacy;
    proof->revocation = c->revocation;
    ikev2_proof_run(proof, NOW_S);
    if (proof->result == IKEV2_PROOF_GOOD) {
        MUST(trust_count(c->trust) > 0 && signature.length > 0);
    }
    ikev2_proof_free(proof);
}

FUZZ(ike_cert, 3000)
{
    struct reader r = reader_over((struct slice){data, size});
    uint8_t flags = read_u8(&r);
    struct slice authority = read_bytes(&r, read_u16(&r));
    struct ikev2_auth_payload auth = {.method = read_u8(&r)};

    auth.data = read_bytes(&r, read_u16(&r));
    struct ikev2_message m = {.first = read_u8(&r)};

    m.chain = read_rest(&r);
    if (!reader_ok(&r) || size > MESSAGE_BYTES_MAX) {
        return 0;
    }
    struct ikev2_certificates certificates = {.trust = believe(authority),
                                              .legacy = (flags & 1) != 0,
                                              .revocation = (flags & 2) != 0 ? REVOCATION_STRICT
                                                                             : REVOCATION_NORMAL};
    struct ikev2_policy policy = {.certificates = &certificates};
    struct ikev2_auth_octets octets = {.message = SLICE_TEXT("fuzz")};
    struct ike_identity said;
    struct ikev2_proof *proof = NULL;
    bool is_known = (flags & 4) == 0;

    MUST(ike_identity_parse(SLICE_TEXT("left.example"), &said));
    if ((flags & 8) != 0) {
        memcpy(certificates.pattern, "O=Test, CN=left", 16);
    } else if ((flags & 16) != 0) {
        policy.peer_id = said;
    }
    if ((flags & 32) != 0) {
        old_peer(&certificates, &said, auth.data, m.chain);
        trust_free(certificates.trust);
        return 0;
    }
    const char *wrong =
        ikev2_certify_question(is_known ? &policy : NULL, &m, &octets, &auth, &said, &proof);

    MUST((wrong == NULL) == (proof != NULL));
    if (proof != NULL) {
        check(proof, is_known);
        ikev2_proof_free(proof);
    }
    trust_free(certificates.trust);
    return 0;
}
