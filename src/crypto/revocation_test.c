/* What CRLs and OCSP responses say, and which of them are believed. */
#include "crypto/revocation.h"

#include <string.h>

#include "crypto/certificate_testbed.h"
#include "tests/support/test.h"

static struct private_key *root_key, *gateway_key, *other_key;
static struct certificate *root, *gateway, *second, *responder, *false_responder,
    *expired_responder;

static const struct testbed_order second_order = {
    .subject = "CN=gw2", .names = "DNS:gw2.example.jp", .usage = "digitalSignature", .serial = 4};
static const struct testbed_order responder_order = {
    .subject = "CN=ocsp", .usage = "digitalSignature", .purpose = "OCSPSigning", .serial = 5};

static void prepare(void)
{
    if (root != NULL) {
        return;
    }
    struct testbed_order old = responder_order;

    root_key = private_key_make(KEY_P256, 0);
    gateway_key = private_key_make(KEY_P256, 0);
    other_key = private_key_make(KEY_P256, 0);
    CHECK(root_key != NULL && gateway_key != NULL && other_key != NULL);
    root = testbed_issue(&testbed_root, root_key, NULL, NULL);
    gateway = testbed_issue(&testbed_gateway, gateway_key, root, root_key);
    second = testbed_issue(&second_order, gateway_key, root, root_key);
    responder = testbed_issue(&responder_order, other_key, root, root_key);
    false_responder = testbed_issue(&responder_order, other_key, NULL, NULL);
    old.ends_s = TESTBED_NOW_S - 1;
    expired_responder = testbed_issue(&old, other_key, root, root_key);
}

static uint8_t bytes[4096];
static struct revocation_verdict verdict;

#define FROM (TESTBED_NOW_S - TESTBED_DAY_S)
#define UNTIL (TESTBED_NOW_S + TESTBED_DAY_S)

TEST(a_crl_says_who_is_revoked_and_who_is_not)
{
    prepare();
    const struct certificate *revoked[] = {gateway};
    struct slice crl =
        testbed_crl(bytes, sizeof(bytes), root, root_key, revoked, 1, FROM, UNTIL, NULL);

    revocation_by_crl(crl, gateway, root, TESTBED_NOW_S, &verdict);
    CHECK(verdict.status == REVOCATION_REVOKED && verdict.problem == REVOCATION_FINE);
    CHECK_EQUAL(verdict.revoked_s, FROM);
    CHECK_EQUAL(verdict.next_s, UNTIL);
    revocation_by_crl(crl, second, root, TESTBED_NOW_S, &verdict);
    CHECK(verdict.status == REVOCATION_GOOD);
    /* What is out of date proves nobody good, and makes nobody good again. */
    revocation_by_crl(crl, second, root, UNTIL + 1000, &verdict);
    CHECK(verdict.status == REVOCATION_UNKNOWN && verdict.problem == REVOCATION_OUT_OF_DATE);
    revocation_by_crl(crl, gateway, root, UNTIL + 1000, &verdict);
    CHECK(verdict.status == REVOCATION_REVOKED && verdict.problem == REVOCATION_OUT_OF_DATE);
    revocation_by_crl(crl, gateway, root, FROM - 1000, &verdict);
    CHECK(verdict.status == REVOCATION_UNKNOWN && verdict.problem == REVOCATION_NOT_YET);
    for (size_t length = 0; length < crl.length; length++) {
        revocation_by_crl((struct slice){crl.data, length}, second, root, TESTBED_NOW_S, &verdict);
        CHECK(verdict.status == REVOCATION_UNKNOWN);
    }
    for (size_t bit = 0; bit < crl.length * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        revocation_by_crl(crl, second, root, TESTBED_NOW_S, &verdict);
        CHECK(verdict.status == REVOCATION_UNKNOWN);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

TEST(a_crl_of_somebody_else_or_of_a_part_says_nothing)
{
    prepare();
    struct slice crl =
        testbed_crl(bytes, sizeof(bytes), root, other_key, NULL, 0, FROM, UNTIL, NULL);

    revocation_by_crl(crl, gateway, root, TESTBED_NOW_S, &verdict);
    CHECK(verdict.status == REVOCATION_UNKNOWN && verdict.problem == REVOCATION_BAD_SIGNATURE);
    crl = testbed_crl(bytes, sizeof(bytes), gateway, gateway_key, NULL, 0, FROM, UNTIL, NULL);
    revocation_by_crl(crl, gateway, root, TESTBED_NOW_S, &verdict);
    CHECK(verdict.problem == REVOCATION_OF_ANOTHER);
    crl = testbed_crl(bytes, sizeof(bytes), root, root_key, NULL, 0, FROM, UNTIL, "only some");
    revocation_by_crl(crl, gateway, root, TESTBED_NOW_S, &verdict);
    CHECK(verdict.status == REVOCATION_UNKNOWN && verdict.problem == REVOCATION_PARTIAL);
}

static enum revocation_status ocsp(enum testbed_ocsp status, const struct certificate *about,
                                   const struct certificate *signer, const struct private_key *key,
                                   int64_t until_s, int64_t now_s)
{
    struct slice response = testbed_ocsp(bytes, sizeof(bytes), status, about, root, signer, key,
                                         FROM, until_s, (struct slice){NULL, 0});

    revocation_by_ocsp(response, gateway, root, (struct slice){NULL, 0}, now_s, &verdict);
    return verdict.status;
}

TEST(an_ocsp_response_is_believed_from_the_issuer_and_from_whom_it_allowed)
{
    prepare();
    CHECK(ocsp(TESTBED_OCSP_GOOD, gateway, root, root_key, UNTIL, TESTBED_NOW_S) ==
          REVOCATION_GOOD);
    CHECK(ocsp(TESTBED_OCSP_REVOKED, gateway, root, root_key, UNTIL, TESTBED_NOW_S) ==
          REVOCATION_REVOKED);
    CHECK_EQUAL(verdict.revoked_s, FROM);
    CHECK(ocsp(TESTBED_OCSP_UNKNOWN, gateway, root, root_key, UNTIL, TESTBED_NOW_S) ==
          REVOCATION_UNKNOWN);
    CHECK(ocsp(TESTBED_OCSP_GOOD, gateway, responder, other_key, UNTIL, TESTBED_NOW_S) ==
          REVOCATION_GOOD);
    /* Another certificate of the same issuer, a stranger, one whose time is over. */
    CHECK(ocsp(TESTBED_OCSP_GOOD, gateway, second, gateway_key, UNTIL, TESTBED_NOW_S) ==
          REVOCATION_UNKNOWN);
    CHECK(verdict.problem == REVOCATION_SIGNER_NOT_ALLOWED);
    CHECK(ocsp(TESTBED_OCSP_GOOD, gateway, false_responder, other_key, UNTIL, TESTBED_NOW_S) ==
          REVOCATION_UNKNOWN);
    CHECK(verdict.problem == REVOCATION_SIGNER_NOT_ALLOWED);
    CHECK(ocsp(TESTBED_OCSP_GOOD, gateway, expired_responder, other_key, UNTIL, TESTBED_NOW_S) ==
          REVOCATION_UNKNOWN);
    /* About somebody else. */
    CHECK(ocsp(TESTBED_OCSP_GOOD, second, root, root_key, UNTIL, TESTBED_NOW_S) ==
          REVOCATION_UNKNOWN);
    CHECK(verdict.problem == REVOCATION_OF_ANOTHER);
    /* Time. */
    CHECK(ocsp(TESTBED_OCSP_GOOD, gateway, root, root_key, UNTIL, UNTIL + 1000) ==
          REVOCATION_UNKNOWN);
    CHECK(verdict.problem == REVOCATION_OUT_OF_DATE);
    CHECK(ocsp(TESTBED_OCSP_GOOD, gateway, root, root_key, 0, TESTBED_NOW_S) == REVOCATION_GOOD);
    CHECK(ocsp(TESTBED_OCSP_GOOD, gateway, root, root_key, 0, UNTIL) == REVOCATION_UNKNOWN);
    CHECK(ocsp(TESTBED_OCSP_GOOD, gateway, root, root_key, UNTIL, FROM - 1000) ==
          REVOCATION_UNKNOWN);
}

TEST(an_ocsp_response_that_was_changed_or_cut_says_nothing)
{
    prepare();
    struct slice nonce = SLICE_TEXT("0123456789abcdef");
    struct slice none = {NULL, 0};
    struct slice response = testbed_ocsp(bytes, sizeof(bytes), TESTBED_OCSP_GOOD, gateway, root,
                                         root, root_key, FROM, UNTIL, nonce);

    revocation_by_ocsp(response, gateway, root, nonce, TESTBED_NOW_S, &verdict);
    CHECK(verdict.status == REVOCATION_GOOD);
    revocation_by_ocsp(response, gateway, root, SLICE_TEXT("0123456789abcdeg"), TESTBED_NOW_S,
                       &verdict);
    CHECK(verdict.status == REVOCATION_UNKNOWN && verdict.problem == REVOCATION_WRONG_NONCE);
    for (size_t length = 0; length < response.length; length++) {
        revocation_by_ocsp((struct slice){bytes, length}, gateway, root, none, TESTBED_NOW_S,
                           &verdict);
        CHECK(verdict.status == REVOCATION_UNKNOWN);
    }
    /* What stands before the signature; behind it are only certificates that are not needed. */
    for (size_t bit = 0; bit < 200 * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        revocation_by_ocsp(response, gateway, root, none, TESTBED_NOW_S, &verdict);
        CHECK(verdict.status != REVOCATION_REVOKED);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
}

TEST(an_ocsp_request_names_the_certificate)
{
    prepare();
    uint8_t request[REVOCATION_REQUEST_BYTES_MAX];
    struct writer w = writer_over(request, sizeof(request));

    CHECK(revocation_ocsp_request(gateway, root, SLICE_TEXT("0123456789abcdef"), &w));
    CHECK(writer_written(&w).length > 80);
    CHECK_EQUAL(request[0], 0x30);
}
