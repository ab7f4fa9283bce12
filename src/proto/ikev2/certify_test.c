/*
 * Two machines that prove themselves by certificates: every kind of key, both roles, and everything
 * that must not be believed.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "proto/ikev2/machine.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

static const enum key_kind kinds[] = {KEY_RSA,  KEY_P256,    KEY_P384,
                                      KEY_P521, KEY_ED25519, KEY_ED448};

/* Two gateways and their authority; made once for each kind of key. */
struct cast {
    struct private_key *root_key, *key[2];
    struct certificate *root, *certificate[2];
};

static const struct testbed_order orders[2] = {
    {.subject = "O=Left, CN=left",
     .names = "DNS:left.example",
     .usage = "digitalSignature",
     .purpose = "serverAuth",
     .serial = 11},
    {.subject = "O=Right, CN=right",
     .names = "DNS:right.example",
     .usage = "digitalSignature",
     .purpose = "serverAuth",
     .serial = 12},
};

static struct cast *cast_of(size_t kind)
{
    static struct cast casts[ARRAY_LENGTH(kinds)];
    struct cast *cast = &casts[kind];

    if (cast->root != NULL) {
        return cast;
    }
    cast->root_key = private_key_make(KEY_P256, 0);
    CHECK(cast->root_key != NULL);
    cast->root = testbed_issue(&testbed_root, cast->root_key, NULL, NULL);
    for (size_t i = 0; i < 2; i++) {
        cast->key[i] = private_key_make(kinds[kind], 2048);
        CHECK(cast->key[i] != NULL);
        cast->certificate[i] = testbed_issue(&orders[i], cast->key[i], cast->root, cast->root_key);
    }
    return cast;
}

/* What a pair with certificates needs; the policies point into it. */
struct scene {
    struct ikev2_pair *pair;
    struct ikev2_certificates certificates[2];
    uint8_t authorities[2][64];
};

static struct scene *scene_new(const struct cast *cast, uint64_t seed)
{
    struct scene *s = calloc(1, sizeof(*s));

    s->pair = ikev2_pair_new(seed);
    for (size_t i = 0; i < 2; i++) {
        struct pair_side *side = &s->pair->side[i];
        struct ikev2_certificates *c = &s->certificates[i];

        c->own = testbed_credential(cast->key[i], &cast->certificate[i], 1);
        c->trust = testbed_trust(cast->root);
        side->policy.certificates = c;
        side->responder.certificates = true;
        side->responder.authorities =
            (struct slice){s->authorities[i], ikev2_certify_authorities(c->trust, s->authorities[i],
                                                                        sizeof(s->authorities[i]))};
        side->now_s = TESTBED_NOW_S;
    }
    return s;
}

static void scene_free(struct scene *s)
{
    ikev2_pair_free(s->pair);
    for (size_t i = 0; i < 2; i++) {
        credential_free(s->certificates[i].own);
        trust_free(s->certificates[i].trust);
        ikev2_status_free(s->certificates[i].status);
    }
    free(s);
}

static void set_own(struct scene *s, size_t side, const struct private_key *key,
                    struct certificate *certificate)
{
    credential_free(s->certificates[side].own);
    s->certificates[side].own = testbed_credential(key, &certificate, 1);
}

static void run(struct scene *s)
{
    ikev2_pair_start(s->pair, 0);
    CHECK(ikev2_pair_run(s->pair));
}

static void check_up(struct scene *s)
{
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQUAL(s->pair->side[i].established, 1);
        CHECK_EQUAL(s->pair->side[i].failed, 0);
    }
    CHECK(ikev2_pair_agrees(s->pair));
    CHECK_EQUAL(ikev2_pair_live_children(s->pair, 0), 1);
}

/* Who has to refuse it, and with which reason; nobody has a tunnel. */
static void check_refused(struct scene *s, size_t by, enum ikev2_failure_reason reason,
                          enum certificate_problem problem)
{
    struct pair_side *side = &s->pair->side[by];

    CHECK_EQUAL(side->failed, 1);
    CHECK_EQUAL(side->failure.reason, reason);
    CHECK_EQUAL(side->failure.certificate, problem);
    CHECK_EQUAL(side->established, 0);
    for (size_t i = 0; i < 2; i++) {
        CHECK_EQUAL(ikev2_pair_live_children(s->pair, (unsigned)i), 0);
        CHECK_EQUAL(s->pair->side[i].ike_spi_count, 0);
    }
}

TEST(every_kind_of_key_proves_both_sides)
{
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
        struct scene *s = scene_new(cast_of(k), 100 + k);

        run(s);
        check_up(s);
        CHECK(ike_identity_matches(&s->pair->side[0].policy.peer_id, &s->pair->side[0].peer_id,
                                   true));
        scene_free(s);
    }
}

/* RFC 9242 3.3.2: what stood in IKE_INTERMEDIATE is signed, with the number of the message that has
 * the signature, which is known before that message is there. */
TEST(signatures_cover_the_exchanges_in_between)
{
    static const char *const chains[] = {
        "aes256gcm16-sha384-x25519-ke1_mlkem768",
        "aes256gcm16-sha384-x25519-ke1_mlkem768-ke2_mlkem1024",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(chains); i++) {
        struct scene *s = scene_new(cast_of(i), 150 + i);

        ikev2_pair_set_ike(s->pair, 0, chains[i]);
        ikev2_pair_set_ike(s->pair, 1, chains[i]);
        run(s);
        check_up(s);
        CHECK_EQUAL(s->pair->side[0].sa->current->request_id, 3u + i);
        scene_free(s);
    }
}

TEST(a_peer_without_rfc_7427_gets_the_methods_before_it)
{
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
        struct scene *s = scene_new(cast_of(k), 120 + k);

        s->pair->side[1].responder.certificates = false; /* says nothing about hashes */
        run(s);
        if (kinds[k] == KEY_ED25519 || kinds[k] == KEY_ED448) {
            CHECK_EQUAL(s->pair->side[0].failure.reason, IKEV2_FAIL_AUTH_METHOD);
        } else {
            check_up(s);
        }
        scene_free(s);
    }
    /* SHA-1 only where it is allowed. */
    struct scene *s = scene_new(cast_of(0), 130);
    s->pair->side[1].responder.certificates = false;
    s->certificates[0].legacy = true;
    run(s);
    CHECK_EQUAL(s->pair->side[1].failure.reason, IKEV2_FAIL_AUTH_METHOD);
    CHECK(strstr(s->pair->side[1].failure.detail, "SHA-1") != NULL);
    scene_free(s);
    s = scene_new(cast_of(0), 131);
    s->pair->side[1].responder.certificates = false;
    s->certificates[0].legacy = true;
    s->certificates[1].legacy = true;
    run(s);
    check_up(s);
    scene_free(s);
}

TEST(intermediates_are_sent_along_and_make_the_message_go_in_fragments)
{
    const struct cast *cast = cast_of(0);
    struct scene *s = scene_new(cast, 140);
    struct private_key *middle_key = private_key_make(KEY_RSA, 4096);
    struct certificate *middle =
        testbed_issue(&testbed_middle, middle_key, cast->root, cast->root_key);
    struct certificate *chain[3] = {testbed_issue(&orders[0], cast->key[0], middle, middle_key),
                                    middle, cast->root};

    credential_free(s->certificates[0].own);
    s->certificates[0].own = testbed_credential(cast->key[0], chain, 3);
    run(s);
    check_up(s);
    CHECK(s->pair->largest_datagram <= 1280);
    certificate_free(chain[0]);
    certificate_free(middle);
    private_key_free(middle_key);
    scene_free(s);
}

TEST(a_stranger_of_another_authority_is_refused_by_either_side)
{
    for (size_t who = 0; who < 2; who++) {
        const struct cast *cast = cast_of(1);
        struct scene *s = scene_new(cast, 150 + who);
        struct certificate *false_root = testbed_issue(&testbed_root, cast->key[0], NULL, NULL);
        struct certificate *stranger =
            testbed_issue(&orders[who], cast->key[who], false_root, cast->key[0]);

        set_own(s, who, cast->key[who], stranger);
        run(s);
        CHECK_EQUAL(s->pair->side[1 - who].failure.reason, IKEV2_FAIL_CERTIFICATE);
        CHECK(strstr(s->pair->side[1 - who].failure.detail, "certificate of O=") != NULL);
        CHECK_EQUAL(s->pair->side[1 - who].established, 0);
        CHECK_EQUAL(s->pair->side[who].failure.reason, IKEV2_FAIL_AUTH_REFUSED);
        certificate_free(false_root);
        certificate_free(stranger);
        scene_free(s);
    }
}

TEST(expired_and_misnamed_certificates_are_refused_with_their_reason)
{
    const struct cast *cast = cast_of(1);
    struct scene *s = scene_new(cast, 160);

    s->pair->side[1].now_s = TESTBED_NOW_S + 40 * TESTBED_DAY_S;
    run(s);
    check_refused(s, 1, IKEV2_FAIL_CERTIFICATE, CERTIFICATE_EXPIRED);
    scene_free(s);

    s = scene_new(cast, 161);
    s->pair->side[0].now_s = TESTBED_NOW_S - 40 * TESTBED_DAY_S;
    run(s);
    check_refused(s, 0, IKEV2_FAIL_CERTIFICATE, CERTIFICATE_NOT_YET_VALID);
    scene_free(s);

    /* Good in everything but the name: as initiator and as responder. */
    for (size_t who = 0; who < 2; who++) {
        struct testbed_order order = orders[who];

        order.names = "DNS:mallory.example";
        s = scene_new(cast, 162 + who);
        struct certificate *other =
            testbed_issue(&order, cast->key[who], cast->root, cast->root_key);
        set_own(s, who, cast->key[who], other);
        run(s);
        check_refused(s, 1 - who, IKEV2_FAIL_CERTIFICATE, CERTIFICATE_WRONG_NAME);
        CHECK(strstr(s->pair->side[1 - who].failure.detail, "mallory.example") != NULL);
        CHECK(strstr(s->pair->side[1 - who].failure.detail,
                     who == 0 ? "left.example" : "right.example") != NULL);
        certificate_free(other);
        scene_free(s);
    }
}

TEST(the_subject_may_be_what_is_expected)
{
    static const struct {
        const char *pattern;
        bool good;
    } cases[] = {{"O=Left, CN=*", true}, {"O=Left, CN=left", true}, {"O=Left, CN=right", false}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const struct cast *cast = cast_of(1);
        struct scene *s = scene_new(cast, 170 + i);
        struct slice subject = certificate_subject(cast->certificate[0]);

        /* He says his subject, as peers without a host name do. */
        CHECK(ike_identity_set(&s->pair->side[0].policy.local_id, IKEV2_ID_DER_ASN1_DN, subject));
        CHECK(ike_identity_set(&s->pair->side[1].policy.peer_id, IKEV2_ID_DER_ASN1_DN, subject));
        strcpy(s->certificates[1].pattern, cases[i].pattern);
        run(s);
        if (cases[i].good) {
            check_up(s);
        } else {
            check_refused(s, 1, IKEV2_FAIL_CERTIFICATE, CERTIFICATE_WRONG_NAME);
        }
        scene_free(s);
    }
}

TEST(keys_and_certificates_are_not_taken_for_each_other)
{
    for (size_t with_key = 0; with_key < 2; with_key++) {
        struct scene *s = scene_new(cast_of(1), 180 + with_key);

        s->pair->side[with_key].policy.certificates = NULL;
        run(s);
        CHECK_EQUAL(s->pair->side[1].failure.reason, IKEV2_FAIL_AUTH_METHOD);
        CHECK_EQUAL(s->pair->side[0].failure.reason, IKEV2_FAIL_AUTH_REFUSED);
        CHECK_EQUAL(s->pair->side[0].established + s->pair->side[1].established, 0);
        scene_free(s);
    }
}

TEST(a_question_that_nobody_can_answer_ends_it)
{
    for (unsigned step = 0; step < 2; step++) {
        struct scene *s = scene_new(cast_of(1), 190 + step);
        struct pair_side *side = &s->pair->side[step];

        ikev2_pair_start(s->pair, 0);
        side->holds_asks = true;
        for (unsigned turn = 0; turn < 100 && side->failed == 0; turn++) {
            (void)ikev2_pair_deliver_to(s->pair, 1);
            (void)ikev2_pair_deliver_to(s->pair, 0);
            while (side->sa != NULL && side->ask_count > 0) {
                ikev2_pair_answer(s->pair, step, side->asks[0].kind != IKEV2_ASK_PROOF);
            }
        }
        CHECK(side->sa == NULL);
        CHECK_EQUAL(side->failure.reason, IKEV2_FAIL_RESOURCES);
        CHECK_EQUAL(side->established, 0);
        scene_free(s);
    }
}

/* ---- the question itself ---- */

static struct ikev2_proof *good_proof(const struct cast *cast)
{
    static const char octets[] = "first message, nonce, identity";
    uint8_t made[SIGNATURE_BYTES_MAX];
    struct writer w = writer_over(made, sizeof(made));
    struct ikev2_proof *proof = ikev2_proof_new(8192);

    CHECK(proof != NULL);
    CHECK(signature_make(cast->key[0], SIGNATURE_ECDSA_SHA256, SLICE_TEXT(octets), &w));
    proof->method = IKEV2_AUTH_DIGITAL_SIGNATURE;
    proof->scheme = SIGNATURE_ECDSA_SHA256;
    proof->octets = ikev2_proof_keep(proof, SLICE_TEXT(octets));
    proof->signature = ikev2_proof_keep(proof, writer_written(&w));
    proof->certificates[0] = ikev2_proof_keep(proof, certificate_der(cast->certificate[0]));
    proof->certificate_count = 1;
    proof->trust = testbed_trust(cast->root);
    CHECK(ike_identity_parse(SLICE_TEXT("left.example"), &proof->said));
    proof->expected = proof->said;
    return proof;
}

static enum ikev2_proof_result result_of(struct ikev2_proof *proof)
{
    proof->result = IKEV2_PROOF_GOOD;
    ikev2_proof_run(proof, TESTBED_NOW_S);
    return proof->result;
}

TEST(no_changed_bit_and_no_foreign_key_is_believed)
{
    const struct cast *cast = cast_of(1);
    struct ikev2_proof *proof = good_proof(cast);
    uint8_t *bytes = proof->bytes;
    size_t used = proof->used;

    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_GOOD);
    for (size_t bit = 0; bit < used * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        CHECK(result_of(proof) != IKEV2_PROOF_GOOD);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_GOOD);

    struct slice signature = proof->signature;
    proof->signature.length = 0;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
    proof->signature = signature;
    memset(bytes + (signature.data - bytes), 0, signature.length);
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
    ikev2_proof_free(proof);
}

/* With which schemes each kind of key signs. */
static const struct {
    enum signature_scheme scheme;
    size_t kind;
} schemes[] = {
    {SIGNATURE_RSA_SHA256, 0},   {SIGNATURE_RSA_SHA384, 0},   {SIGNATURE_RSA_SHA512, 0},
    {SIGNATURE_PSS_SHA256, 0},   {SIGNATURE_PSS_SHA384, 0},   {SIGNATURE_PSS_SHA512, 0},
    {SIGNATURE_ECDSA_SHA256, 1}, {SIGNATURE_ECDSA_SHA384, 2}, {SIGNATURE_ECDSA_SHA512, 3},
    {SIGNATURE_RAW_P256, 1},     {SIGNATURE_RAW_P384, 2},     {SIGNATURE_RAW_P521, 3},
    {SIGNATURE_ED25519, 4},      {SIGNATURE_ED448, 5},
};

static struct ikev2_proof *proof_with(size_t kind, enum signature_scheme scheme,
                                      const struct private_key *key, enum signature_scheme signs,
                                      const char *signed_octets)
{
    const struct cast *cast = cast_of(kind);
    uint8_t made[SIGNATURE_BYTES_MAX];
    struct writer w = writer_over(made, sizeof(made));
    struct ikev2_proof *proof = ikev2_proof_new(8192);

    CHECK(proof != NULL);
    CHECK(signature_make(key, signs, slice_of_text(signed_octets), &w));
    proof->method = IKEV2_AUTH_DIGITAL_SIGNATURE;
    proof->scheme = scheme;
    proof->octets = ikev2_proof_keep(proof, SLICE_TEXT("message, nonce, identity"));
    proof->signature = ikev2_proof_keep(proof, writer_written(&w));
    proof->certificates[0] = ikev2_proof_keep(proof, certificate_der(cast->certificate[0]));
    proof->certificate_count = 1;
    proof->trust = testbed_trust(cast->root);
    CHECK(ike_identity_parse(SLICE_TEXT("left.example"), &proof->said));
    proof->expected = proof->said;
    return proof;
}

static void attack_signature(struct ikev2_proof *proof)
{
    uint8_t *bytes = proof->bytes + (proof->signature.data - proof->bytes);
    struct slice whole = proof->signature;

    /* In each octet another bit; all bits: crypto/signature_test.c. */
    for (size_t i = 0; i < whole.length; i++) {
        bytes[i] ^= (uint8_t)(1U << i % 8);
        CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
        bytes[i] ^= (uint8_t)(1U << i % 8);
    }
    for (size_t length = 0; length < whole.length; length += length < 4 ? 1 : 7) {
        proof->signature.length = length;
        CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
    }
    proof->signature.length = whole.length + 1; /* with the first octet of the certificate */
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
    proof->signature = whole;
    memset(bytes, 0, whole.length);
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
    memset(bytes, 0xff, whole.length);
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
}

TEST(for_every_method_nothing_but_the_one_right_signature_is_believed)
{
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        const enum signature_scheme scheme = schemes[i].scheme;
        const size_t kind = schemes[i].kind;
        const struct cast *cast = cast_of(kind);
        static const char right[] = "message, nonce, identity";
        struct ikev2_proof *proof = proof_with(kind, scheme, cast->key[0], scheme, right);

        CHECK_EQUAL(result_of(proof), IKEV2_PROOF_GOOD);
        attack_signature(proof);
        ikev2_proof_free(proof);
        /* A key that is not that of the certificate. */
        proof = proof_with(kind, scheme, cast->key[1], scheme, right);
        CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
        ikev2_proof_free(proof);
        /* What was signed for another nonce, played back. */
        proof = proof_with(kind, scheme, cast->key[0], scheme, "message, ponce, identity");
        CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
        ikev2_proof_free(proof);
        /* Somebody else's name in a certificate that is good. */
        proof = proof_with(kind, scheme, cast->key[0], scheme, right);
        CHECK(ike_identity_parse(SLICE_TEXT("right.example"), &proof->expected));
        CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
        CHECK_EQUAL(proof->verdict.problem, CERTIFICATE_WRONG_NAME);
        ikev2_proof_free(proof);
        /* Signed in another way than is said: another hash, another padding, another form. */
        for (size_t j = 0; j < ARRAY_LENGTH(schemes); j++) {
            if (j == i || schemes[j].kind != kind) {
                continue;
            }
            proof = proof_with(kind, scheme, cast->key[0], schemes[j].scheme, right);
            CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
            ikev2_proof_free(proof);
        }
    }
}

/* The answer of a responder that the peer sent along (RFC 4806). */
TEST(a_response_that_comes_along_decides)
{
    const struct cast *cast = cast_of(1);
    uint8_t bytes[2][2048];

    for (size_t i = 0; i < 2; i++) {
        struct ikev2_proof *proof = good_proof(cast);
        struct slice response = testbed_ocsp(
            bytes[i], sizeof(bytes[i]), i == 0 ? TESTBED_OCSP_GOOD : TESTBED_OCSP_REVOKED,
            cast->certificate[0], cast->root, cast->root, cast->root_key,
            TESTBED_NOW_S - TESTBED_DAY_S, TESTBED_NOW_S + TESTBED_DAY_S, (struct slice){NULL, 0});

        proof->revocation = REVOCATION_STRICT;
        CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
        CHECK_EQUAL(proof->verdict.problem, CERTIFICATE_REVOCATION_UNKNOWN);
        proof->responses[0] = response;
        proof->response_count = 1;
        CHECK_EQUAL(result_of(proof), i == 0 ? IKEV2_PROOF_GOOD : IKEV2_PROOF_CERTIFICATE);
        proof->revocation = REVOCATION_NORMAL;
        CHECK_EQUAL(result_of(proof), i == 0 ? IKEV2_PROOF_GOOD : IKEV2_PROOF_CERTIFICATE);
        ikev2_proof_free(proof);
    }
}

/* The peer must know, nobody can be asked, and what he wants to know comes along. */
TEST(what_is_known_about_our_certificate_is_sent_to_who_asks)
{
    const struct cast *cast = cast_of(1);
    enum { NO_STATUS, STATUS, STATUS_REVOKED, STATUS_TOO_OLD, STATUSES };

    for (size_t side = 0; side < 2; side++) {
        for (size_t what = 0; what < STATUSES; what++) {
            struct scene *s = scene_new(cast, 70 + side * STATUSES + what);
            struct ikev2_certificates *asker = &s->certificates[1 - side];
            uint8_t bytes[2048];
            struct slice response =
                testbed_ocsp(bytes, sizeof(bytes),
                             what == STATUS_REVOKED ? TESTBED_OCSP_REVOKED : TESTBED_OCSP_GOOD,
                             cast->certificate[side], cast->root, cast->root, cast->root_key,
                             TESTBED_NOW_S - TESTBED_DAY_S, TESTBED_NOW_S + TESTBED_DAY_S,
                             (struct slice){NULL, 0});

            asker->revocation = REVOCATION_STRICT;
            s->pair->side[1 - side].responder.asks_status = true;
            if (what != NO_STATUS) {
                s->certificates[side].status =
                    ikev2_status_new(response, what == STATUS_TOO_OLD ? 1 : NEVER_MS);
                CHECK(s->certificates[side].status != NULL);
            }
            run(s);
            if (what == STATUS) {
                check_up(s);
            } else {
                CHECK_EQUAL(s->pair->side[1 - side].failure.reason, IKEV2_FAIL_CERTIFICATE);
                CHECK_EQUAL(s->pair->side[1 - side].failure.certificate,
                            what == STATUS_REVOKED ? CERTIFICATE_REVOKED
                                                   : CERTIFICATE_REVOCATION_UNKNOWN);
            }
            scene_free(s);
        }
    }
}

static bool count_of_responder(void *context, struct ikev2_pair *pair,
                               const struct pair_datagram *datagram)
{
    size_t *octets = context;

    (void)pair;
    *octets += datagram->to == 0 ? datagram->length : 0;
    return true;
}

/* A peer that does not ask would not know what to do with it. */
TEST(who_does_not_ask_gets_no_status)
{
    const struct cast *cast = cast_of(1);
    size_t octets[2] = {0, 0};

    for (size_t asks = 0; asks < 2; asks++) {
        struct scene *s = scene_new(cast, 90);
        uint8_t bytes[2048];

        memset(bytes, 7, sizeof(bytes));
        s->certificates[1].status = ikev2_status_new(SLICE_OF(bytes), NEVER_MS);
        CHECK(s->certificates[1].status != NULL);
        if (asks != 0) {
            s->certificates[0].revocation = REVOCATION_STRICT;
        }
        s->pair->passes = count_of_responder;
        s->pair->context = &octets[asks];
        run(s);
        if (asks == 0) {
            check_up(s);
        }
        scene_free(s);
    }
    CHECK(octets[0] > 0);
    CHECK(octets[1] > octets[0] + 2048);
}

/* Certificates of strangers make nobody ask anything. */
TEST(only_who_would_get_in_otherwise_is_asked_about)
{
    const struct cast *cast = cast_of(1);
    struct testbed_order order = orders[0];
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);

    seeded_random_init(&seeded, 7);
    order.lists = "URI:http://ca.example/a.crl";
    struct certificate *named = testbed_issue(&order, cast->key[0], cast->root, cast->root_key);
    struct ikev2_proof *proof = good_proof(cast);

    proof->store = revocation_store_new(&random);
    CHECK(proof->store != NULL);
    proof->certificates[0] = ikev2_proof_keep(proof, certificate_der(named));
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_WAITS);
    CHECK(proof->wishes != NULL && proof->wishes->count == 1);
    proof->was_asked = true;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_GOOD);
    proof->revocation = REVOCATION_STRICT;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
    proof->was_asked = false;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_WAITS);
    /* Another name, no trust, a wrong signature. */
    struct ike_identity left = proof->expected;

    CHECK(ike_identity_parse(SLICE_TEXT("right.example"), &proof->expected));
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
    CHECK(proof->wishes == NULL);
    proof->expected = left;
    proof->bytes[proof->signature.data - proof->bytes + 10] ^= 1;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
    CHECK(proof->wishes == NULL);
    proof->bytes[proof->signature.data - proof->bytes + 10] ^= 1;
    trust_free(proof->trust);
    proof->trust = NULL;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
    CHECK(proof->wishes == NULL);
    revocation_store_free(proof->store);
    ikev2_proof_free(proof);
    certificate_free(named);
}

TEST(a_good_certificate_of_somebody_else_with_a_key_of_ones_own_is_nothing)
{
    const struct cast *cast = cast_of(1);
    struct ikev2_proof *proof = good_proof(cast);

    /* The certificate of the right side, the signature of the left one. */
    proof->certificates[0] = ikev2_proof_keep(proof, certificate_der(cast->certificate[1]));
    CHECK(ike_identity_parse(SLICE_TEXT("right.example"), &proof->said));
    proof->expected = proof->said;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_SIGNATURE);
    ikev2_proof_free(proof);
}

TEST(what_is_said_is_shown_as_proven_only_when_it_is_in_the_certificate)
{
    const struct cast *cast = cast_of(1);
    struct ikev2_proof *proof = good_proof(cast);
    struct ike_identity mallory;

    CHECK(ike_identity_parse(SLICE_TEXT("mallory.example"), &mallory));
    proof->said = mallory;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_GOOD);
    CHECK(ike_identity_matches(&proof->expected, &proof->said, true));

    proof->said = mallory;
    proof->expected.type = 0;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
    CHECK_EQUAL(proof->verdict.problem, CERTIFICATE_WRONG_NAME);

    proof->said = mallory;
    strcpy(proof->pattern, "O=Left, CN=left");
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_GOOD);
    CHECK_EQUAL(proof->said.type, IKEV2_ID_DER_ASN1_DN);

    /* Nobody is believed. */
    trust_free(proof->trust);
    proof->trust = NULL;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
    proof->certificate_count = 0;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
    CHECK_EQUAL(proof->verdict.problem, CERTIFICATE_NONE);
    ikev2_proof_free(proof);
}

TEST(a_raw_public_key_is_believed_by_itself)
{
    const struct cast *cast = cast_of(1);
    struct ikev2_proof *proof = good_proof(cast);
    uint8_t spki[KEY_SPKI_BYTES_MAX];
    struct writer w = writer_over(spki, sizeof(spki));
    struct public_key *own = private_key_public(cast->key[0]);
    struct certificate_bag bag = {.key_count = 1, .keys = {own}};

    CHECK(own != NULL && public_key_write(own, &w));
    proof->certificates[0] = ikev2_proof_keep(proof, writer_written(&w));
    proof->raw_key = true;
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
    CHECK_EQUAL(proof->verdict.problem, CERTIFICATE_UNKNOWN_AUTHORITY);
    CHECK(trust_add(proof->trust, &bag));
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_GOOD);
    CHECK(ike_identity_parse(SLICE_TEXT("mallory.example"), &proof->said));
    CHECK_EQUAL(result_of(proof), IKEV2_PROOF_CERTIFICATE);
    CHECK_EQUAL(proof->verdict.problem, CERTIFICATE_WRONG_NAME);
    public_key_free(own);
    ikev2_proof_free(proof);
}
