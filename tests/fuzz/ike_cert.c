/*
 * A message of IKE_AUTH with certificates, from whoever got that far: what is asked about it, and
 * what the answer is. Rules, an authority, the AUTH payload, the first type and the chain.
 */
#include <string.h>

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
