/* The questions of IKEv1: certificates in any order, or none because they are known; and what is
 * encrypted to whom. */
#include "proto/ikev2/proof.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "tests/support/test.h"
#include "wire/ikev2.h"

#define HASH SLICE_TEXT("a hash of thirty-two octets here")

static const struct testbed_order left = {.subject = "O=Left, CN=left",
                                          .names = "DNS:left.example",
                                          .usage = "digitalSignature,keyEncipherment",
                                          .serial = 11};
static const struct testbed_order other = {.subject = "O=Other, CN=other",
                                           .names = "DNS:other.example",
                                           .usage = "digitalSignature",
                                           .serial = 12};

struct cast {
    struct private_key *root_key, *key, *other_key;
    struct certificate *root, *own, *other;
};

static struct cast cast_new(enum key_kind kind)
{
    struct cast c = {.root_key = private_key_make(KEY_P256, 0),
                     .key = private_key_make(kind, 2048),
                     .other_key = private_key_make(kind, 2048)};

    CHECK(c.root_key != NULL && c.key != NULL && c.other_key != NULL);
    c.root = testbed_issue(&testbed_root, c.root_key, NULL, NULL);
    c.own = testbed_issue(&left, c.key, c.root, c.root_key);
    c.other = testbed_issue(&other, c.other_key, c.root, c.root_key);
    return c;
}

static void cast_free(struct cast *c)
{
    certificate_free(c->root);
    certificate_free(c->own);
    certificate_free(c->other);
    private_key_free(c->root_key);
    private_key_free(c->key);
    private_key_free(c->other_key);
}

static struct trust *believe(struct certificate *const *list, size_t count,
                             const struct private_key *raw)
{
    struct certificate_bag bag = {0};
    struct trust *trust = trust_new();

    CHECK(trust != NULL);
    for (size_t i = 0; i < count; i++) {
        bag.certificates[bag.certificate_count++] = certificate_hold(list[i]);
    }
    if (raw != NULL) {
        bag.keys[bag.key_count++] = private_key_public(raw);
    }
    CHECK(trust_add(trust, &bag));
    certificate_bag_fini(&bag);
    return trust;
}

/* A signature of IKEv1 by `key`, which somebody called `said` sends with these certificates. */
static struct ikev2_proof *question(struct trust *trust, const struct private_key *key,
                                    enum signature_scheme scheme, const char *said,
                                    struct certificate *const *sent, size_t count)
{
    struct ikev2_proof *proof = ikev2_proof_new(32768);
    uint8_t signature[SIGNATURE_BYTES_MAX];
    struct writer w = writer_over(signature, sizeof(signature));

    CHECK(proof != NULL && signature_make(key, scheme, HASH, &w));
    proof->any_order = true;
    proof->scheme = scheme;
    proof->octets = HASH;
    proof->signature = ikev2_proof_keep(proof, writer_written(&w));
    proof->trust = trust_hold(trust);
    CHECK(ike_identity_parse(slice_of_text(said), &proof->said));
    for (size_t i = 0; i < count; i++) {
        proof->certificates[proof->certificate_count++] =
            ikev2_proof_keep(proof, certificate_der(sent[i]));
    }
    return proof;
}

static enum ikev2_proof_result answer(struct ikev2_proof *proof)
{
    ikev2_proof_run(proof, TESTBED_NOW_S);
    enum ikev2_proof_result result = proof->result;

    ikev2_proof_free(proof);
    return result;
}

TEST(the_peers_own_certificate_may_stand_anywhere)
{
    struct cast c = cast_new(KEY_P256);
    struct trust *trust = believe(&c.root, 1, NULL);
    struct certificate *const orders[][3] = {
        {c.own, c.root, c.other}, {c.root, c.own, c.other}, {c.other, c.root, c.own}};

    for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
        CHECK_EQUAL(
            answer(question(trust, c.key, SIGNATURE_BARE_P256, "left.example", orders[i], 3)),
            IKEV2_PROOF_GOOD);
        /* The key must be that of the name which is said. */
        CHECK_EQUAL(
            answer(question(trust, c.other_key, SIGNATURE_BARE_P256, "left.example", orders[i], 3)),
            IKEV2_PROOF_SIGNATURE);
        /* With IKEv2 it is the first, whatever it is. */
        struct ikev2_proof *proof =
            question(trust, c.key, SIGNATURE_BARE_P256, "left.example", orders[i], 3);

        proof->any_order = false;
        CHECK_EQUAL(answer(proof) == IKEV2_PROOF_GOOD, i == 0);
    }
    trust_free(trust);
    cast_free(&c);
}

TEST(what_is_malformed_between_them_is_passed_over)
{
    struct cast c = cast_new(KEY_P256);
    struct trust *trust = believe(&c.root, 1, NULL);
    struct ikev2_proof *proof =
        question(trust, c.key, SIGNATURE_BARE_P256, "left.example", &c.own, 1);

    proof->certificates[1] = proof->certificates[0];
    proof->certificates[0] = SLICE_TEXT("nothing");
    proof->certificate_count = 2;
    CHECK_EQUAL(answer(proof), IKEV2_PROOF_GOOD);
    proof = question(trust, c.key, SIGNATURE_BARE_P256, "left.example", NULL, 0);
    proof->certificates[0] = SLICE_TEXT("nothing");
    proof->certificate_count = 1;
    CHECK_EQUAL(answer(proof), IKEV2_PROOF_CERTIFICATE);
    trust_free(trust);
    cast_free(&c);
}

TEST(who_sends_none_is_known_beforehand_or_nobody)
{
    struct cast c = cast_new(KEY_RSA);
    struct certificate *const both[] = {c.root, c.own};
    struct certificate *const two[] = {c.other, c.own};
    struct {
        struct trust *trust;
        const struct private_key *key;
        const char *said;
        enum ikev2_proof_result result;
    } cases[] = {
        {believe(&c.root, 1, NULL), c.key, "left.example", IKEV2_PROOF_CERTIFICATE},
        {believe(both, 2, NULL), c.key, "left.example", IKEV2_PROOF_GOOD},
        {believe(two, 2, NULL), c.key, "left.example", IKEV2_PROOF_GOOD},
        {believe(two, 2, NULL), c.key, "other.example", IKEV2_PROOF_SIGNATURE},
        {believe(both, 2, NULL), c.other_key, "left.example", IKEV2_PROOF_SIGNATURE},
        {believe(both, 2, NULL), c.key, "nobody.example", IKEV2_PROOF_CERTIFICATE},
        {believe(NULL, 0, c.key), c.key, "left.example", IKEV2_PROOF_GOOD},
        {believe(NULL, 0, c.other_key), c.key, "left.example", IKEV2_PROOF_SIGNATURE},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct ikev2_proof *proof =
            question(cases[i].trust, cases[i].key, SIGNATURE_BARE_RSA, cases[i].said, NULL, 0);

        CHECK_EQUAL(answer(proof), cases[i].result);
        /* IKEv2 has no word for it. */
        proof = question(cases[i].trust, cases[i].key, SIGNATURE_BARE_RSA, cases[i].said, NULL, 0);
        proof->any_order = false;
        CHECK_EQUAL(answer(proof), IKEV2_PROOF_CERTIFICATE);
        trust_free(cases[i].trust);
    }
    cast_free(&c);
}

TEST(a_raw_key_stands_for_the_name_that_is_expected)
{
    struct cast c = cast_new(KEY_RSA);
    struct trust *trust = believe(NULL, 0, c.key);
    struct ikev2_proof *proof =
        question(trust, c.key, SIGNATURE_BARE_RSA, "somebody.example", NULL, 0);

    CHECK(ike_identity_parse(SLICE_TEXT("left.example"), &proof->expected));
    CHECK_EQUAL(answer(proof), IKEV2_PROOF_CERTIFICATE);
    proof = question(trust, c.key, SIGNATURE_BARE_RSA, "left.example", NULL, 0);
    CHECK(ike_identity_parse(SLICE_TEXT("left.example"), &proof->expected));
    CHECK_EQUAL(answer(proof), IKEV2_PROOF_GOOD);
    trust_free(trust);
    cast_free(&c);
}

/* ---- RSA encryption ---- */

static struct ikev2_proof *sealing(struct trust *trust, const char *expected)
{
    struct ikev2_proof *proof = ikev2_proof_new(32768);

    CHECK(proof != NULL);
    proof->envelope = calloc(1, sizeof(*proof->envelope));
    CHECK(proof->envelope != NULL);
    proof->envelope->count = 1;
    proof->envelope->digest = DIGEST_SHA256;
    proof->envelope->parts[0] = (struct envelope_part){.least = 8, .most = 64, .length = 16};
    proof->any_order = true;
    proof->trust = trust_hold(trust);
    if (expected != NULL) {
        CHECK(ike_identity_parse(slice_of_text(expected), &proof->expected));
    }
    return proof;
}

TEST(it_is_encrypted_to_whom_is_known_and_to_whom_is_believed)
{
    struct cast c = cast_new(KEY_RSA);
    struct testbed_order signs = left;

    signs.usage = "digitalSignature";
    struct certificate *signing = testbed_issue(&signs, c.key, c.root, c.root_key);
    struct {
        struct trust *trust;
        struct certificate *sent;
        const char *expected;
        enum ikev2_proof_result result;
        size_t hash_bytes;
    } cases[] = {
        {believe(NULL, 0, c.key), NULL, "left.example", IKEV2_PROOF_GOOD, 0},
        {believe(NULL, 0, c.key), c.other, "left.example", IKEV2_PROOF_GOOD, 0},
        {believe(&c.own, 1, NULL), NULL, "left.example", IKEV2_PROOF_GOOD, 32},
        {believe(&c.own, 1, NULL), NULL, "other.example", IKEV2_PROOF_CERTIFICATE, 0},
        {believe(&c.own, 1, NULL), NULL, NULL, IKEV2_PROOF_GOOD, 32},
        {believe(&signing, 1, NULL), NULL, "left.example", IKEV2_PROOF_CERTIFICATE, 0},
        {believe(&c.root, 1, NULL), c.own, "left.example", IKEV2_PROOF_GOOD, 32},
        {believe(&c.root, 1, NULL), c.own, "other.example", IKEV2_PROOF_CERTIFICATE, 0},
        {believe(&c.root, 1, NULL), signing, "left.example", IKEV2_PROOF_CERTIFICATE, 0},
        {believe(&c.root, 1, NULL), NULL, "left.example", IKEV2_PROOF_CERTIFICATE, 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct ikev2_proof *proof = sealing(cases[i].trust, cases[i].expected);

        if (cases[i].sent != NULL) {
            proof->certificates[0] = ikev2_proof_keep(proof, certificate_der(cases[i].sent));
            proof->certificate_count = 1;
        }
        ikev2_proof_run(proof, TESTBED_NOW_S);
        CHECK_EQUAL(proof->result, cases[i].result);
        CHECK_EQUAL(proof->envelope->hash_bytes, cases[i].hash_bytes);
        if (proof->result == IKEV2_PROOF_GOOD) {
            CHECK_EQUAL(proof->envelope->parts[0].length, 256);
            CHECK(envelope_open_all(proof->envelope, c.key));
            CHECK_EQUAL(proof->envelope->parts[0].length, 16);
        } else {
            CHECK_EQUAL(proof->envelope->parts[0].length, 16); /* not touched */
        }
        ikev2_proof_free(proof);
        trust_free(cases[i].trust);
    }
    certificate_free(signing);
    cast_free(&c);
}

TEST(what_is_for_us_is_opened_with_our_key)
{
    struct cast c = cast_new(KEY_RSA);
    struct trust *trust = believe(&c.own, 1, NULL);
    struct ikev2_proof *proof = sealing(trust, NULL);

    memset(proof->envelope->parts[0].octets, 7, 16);
    ikev2_proof_run(proof, TESTBED_NOW_S);
    CHECK_EQUAL(proof->result, IKEV2_PROOF_GOOD);
    proof->sign = true;
    proof->credential = testbed_credential(c.key, &c.own, 1);
    ikev2_proof_run(proof, TESTBED_NOW_S);
    CHECK_EQUAL(proof->result, IKEV2_PROOF_GOOD);
    CHECK(proof->envelope->parts[0].length == 16 && proof->envelope->parts[0].octets[15] == 7);
    ikev2_proof_free(proof);
    trust_free(trust);
    cast_free(&c);
}
