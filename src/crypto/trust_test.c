/* Whom a site believes: one certificate for each reason to refuse it, and what is good. */
#include "crypto/trust.h"

#include <stdio.h>
#include <string.h>

#include "crypto/certificate_testbed.h"
#include "tests/support/test.h"

#define KEYS 4

/* Keys are made once: what a test is about are the certificates. */
static struct private_key *test_key(size_t index)
{
    static struct private_key *keys[KEYS];

    if (keys[index] == NULL) {
        keys[index] = private_key_make(KEY_P256, 0);
        CHECK(keys[index] != NULL);
    }
    return keys[index];
}

#define ROOT_KEY test_key(0)
#define MIDDLE_KEY test_key(1)
#define GATEWAY_KEY test_key(2)
#define OTHER_KEY test_key(3)

static enum certificate_problem verify_with(const struct trust *trust,
                                            const struct trust_rules *rules,
                                            struct certificate *gateway, struct certificate *middle,
                                            struct certificate_verdict *verdict)
{
    const struct certificate *presented[] = {gateway, middle};
    bool good = trust_verify(trust, rules, presented, middle == NULL ? 1 : 2, verdict);

    CHECK(good == (verdict->problem == CERTIFICATE_GOOD));
    return verdict->problem;
}

static const struct trust_rules now = {.now_s = TESTBED_NOW_S};

/* Root, middle and gateway of these orders; only the root is believed. */
static enum certificate_problem problem_of(const struct testbed_order *root_order,
                                           const struct testbed_order *middle_order,
                                           const struct testbed_order *gateway_order,
                                           const struct trust_rules *rules,
                                           struct certificate_verdict *verdict)
{
    struct certificate *root = testbed_issue(root_order, ROOT_KEY, NULL, NULL);
    struct certificate *middle = testbed_issue(middle_order, MIDDLE_KEY, root, ROOT_KEY);
    struct certificate *gateway = testbed_issue(gateway_order, GATEWAY_KEY, middle, MIDDLE_KEY);
    struct trust *trust = testbed_trust(root);
    enum certificate_problem problem = verify_with(trust, rules, gateway, middle, verdict);

    trust_free(trust);
    certificate_free(root);
    certificate_free(middle);
    certificate_free(gateway);
    return problem;
}

static enum certificate_problem problem_of_gateway(const struct testbed_order *order)
{
    struct certificate_verdict verdict;

    return problem_of(&testbed_root, &testbed_middle, order, &now, &verdict);
}

static enum certificate_problem problem_of_middle(const struct testbed_order *order,
                                                  struct certificate_verdict *verdict)
{
    return problem_of(&testbed_root, order, &testbed_gateway, &now, verdict);
}

TEST(a_chain_to_a_believed_authority_is_good)
{
    struct certificate_verdict verdict;

    CHECK(problem_of_gateway(&testbed_gateway) == CERTIFICATE_GOOD);
    CHECK(problem_of_middle(&testbed_middle, &verdict) == CERTIFICATE_GOOD);
    CHECK_TEXT(verdict.subject, "C=JP, O=Partner, CN=gw1");
}

TEST(what_leads_to_nobody_is_told_with_the_issuer_that_is_missing)
{
    struct certificate *root = testbed_issue(&testbed_root, ROOT_KEY, NULL, NULL);
    struct certificate *middle = testbed_issue(&testbed_middle, MIDDLE_KEY, root, ROOT_KEY);
    struct certificate *gateway = testbed_issue(&testbed_gateway, GATEWAY_KEY, middle, MIDDLE_KEY);
    struct testbed_order stranger = testbed_root;
    struct certificate_verdict verdict;
    char words[512];
    struct text text = text_over(words, sizeof(words));

    stranger.subject = "CN=Somebody";
    struct certificate *other = testbed_issue(&stranger, OTHER_KEY, NULL, NULL);
    struct trust *trust = testbed_trust(other);
    CHECK(verify_with(trust, &now, gateway, middle, &verdict) == CERTIFICATE_UNKNOWN_AUTHORITY);
    CHECK_EQUAL(verdict.depth, 1);
    certificate_verdict_words(&verdict, &text);
    CHECK_TEXT(words, "the certificate of C=JP, O=Partner, CN=Middle was issued by "
                      "C=JP, O=Partner, CN=Root, which is not trusted here");
    CHECK(verify_with(trust, &now, root, NULL, &verdict) == CERTIFICATE_SELF_SIGNED);
    trust_free(trust);

    /* The intermediate is not sent. */
    trust = testbed_trust(root);
    CHECK(verify_with(trust, &now, gateway, NULL, &verdict) == CERTIFICATE_UNKNOWN_AUTHORITY);
    CHECK_TEXT(verdict.issuer, "C=JP, O=Partner, CN=Middle");
    CHECK(verify_with(trust, &now, gateway, other, &verdict) == CERTIFICATE_UNKNOWN_AUTHORITY);
    trust_free(trust);

    /* An authority below the root, and the peer's own certificate, may be what is believed. */
    trust = testbed_trust(middle);
    CHECK(verify_with(trust, &now, gateway, NULL, &verdict) == CERTIFICATE_GOOD);
    trust_free(trust);
    trust = testbed_trust(gateway);
    CHECK(verify_with(trust, &now, gateway, NULL, &verdict) == CERTIFICATE_GOOD);
    trust_free(trust);

    /* Nobody is believed. */
    trust = trust_new();
    CHECK(verify_with(trust, &now, gateway, middle, &verdict) != CERTIFICATE_GOOD);
    CHECK(!trust_verify(trust, &now, NULL, 0, &verdict));
    CHECK(verdict.problem == CERTIFICATE_NONE);
    trust_free(trust);
    certificate_free(root);
    certificate_free(middle);
    certificate_free(gateway);
    certificate_free(other);
}

TEST(an_authority_of_the_same_name_with_another_key_signs_nothing)
{
    struct certificate *root = testbed_issue(&testbed_root, ROOT_KEY, NULL, NULL);
    struct certificate *false_root = testbed_issue(&testbed_root, OTHER_KEY, NULL, NULL);
    struct certificate *gateway =
        testbed_issue(&testbed_gateway, GATEWAY_KEY, false_root, OTHER_KEY);
    struct trust *trust = testbed_trust(root);
    struct certificate_verdict verdict;

    CHECK(verify_with(trust, &now, gateway, NULL, &verdict) != CERTIFICATE_GOOD);
    CHECK(verify_with(trust, &now, gateway, false_root, &verdict) != CERTIFICATE_GOOD);
    certificate_free(gateway);
    /* Not even where the key identifiers agree. */
    gateway = testbed_issue(&testbed_gateway, GATEWAY_KEY, root, OTHER_KEY);
    CHECK(verify_with(trust, &now, gateway, NULL, &verdict) == CERTIFICATE_BAD_SIGNATURE);
    CHECK_EQUAL(verdict.depth, 0);
    trust_free(trust);
    certificate_free(root);
    certificate_free(false_root);
    certificate_free(gateway);
}

TEST(every_flipped_bit_of_a_certificate_makes_it_worthless)
{
    struct certificate *root = testbed_issue(&testbed_root, ROOT_KEY, NULL, NULL);
    struct certificate *gateway = testbed_issue(&testbed_gateway, GATEWAY_KEY, root, ROOT_KEY);
    struct trust *trust = testbed_trust(root);
    struct slice der = certificate_der(gateway);
    uint8_t changed[2048];
    struct certificate_verdict verdict;

    CHECK(der.length <= sizeof(changed));
    CHECK(verify_with(trust, &now, gateway, NULL, &verdict) == CERTIFICATE_GOOD);
    for (size_t bit = 0; bit < der.length * 8; bit++) {
        memcpy(changed, der.data, der.length);
        changed[bit / 8] ^= (uint8_t)(1U << bit % 8);
        struct certificate *c = certificate_read((struct slice){changed, der.length});

        if (c != NULL) {
            CHECK(verify_with(trust, &now, c, NULL, &verdict) != CERTIFICATE_GOOD);
            certificate_free(c);
        }
    }
    for (size_t length = 0; length < der.length; length++) {
        CHECK(certificate_read((struct slice){der.data, length}) == NULL);
    }
    trust_free(trust);
    certificate_free(root);
    certificate_free(gateway);
}

TEST(time_is_the_one_that_is_handed_in)
{
    struct testbed_order order = testbed_gateway;
    struct trust_rules rules = now;
    struct certificate_verdict verdict;
    char words[512];
    struct text text = text_over(words, sizeof(words));

    order.begins_s = TESTBED_NOW_S - 1000;
    order.ends_s = TESTBED_NOW_S + 1000;
    rules.now_s = TESTBED_NOW_S + 999;
    CHECK(problem_of(&testbed_root, &testbed_middle, &order, &rules, &verdict) == CERTIFICATE_GOOD);
    rules.now_s = TESTBED_NOW_S + 1000;
    CHECK(problem_of(&testbed_root, &testbed_middle, &order, &rules, &verdict) ==
          CERTIFICATE_EXPIRED);
    CHECK_EQUAL(verdict.when_s, TESTBED_NOW_S + 1000);
    certificate_verdict_words(&verdict, &text);
    CHECK_TEXT(words, "the certificate of C=JP, O=Partner, CN=gw1 expired on 2027-01-15 08:16 UTC");
    rules.now_s = TESTBED_NOW_S - 1000;
    CHECK(problem_of(&testbed_root, &testbed_middle, &order, &rules, &verdict) == CERTIFICATE_GOOD);
    rules.now_s = TESTBED_NOW_S - 1001;
    CHECK(problem_of(&testbed_root, &testbed_middle, &order, &rules, &verdict) ==
          CERTIFICATE_NOT_YET_VALID);
    /* An authority as well. */
    order = testbed_middle;
    order.ends_s = TESTBED_NOW_S - 1;
    CHECK(problem_of_middle(&order, &verdict) == CERTIFICATE_EXPIRED);
    CHECK_EQUAL(verdict.depth, 1);
}

TEST(only_authorities_issue_and_only_as_deep_as_they_may)
{
    struct testbed_order order = testbed_middle;
    struct testbed_order root = testbed_root;
    struct certificate_verdict verdict;

    order.basic = NULL;
    CHECK(problem_of_middle(&order, &verdict) == CERTIFICATE_NOT_AN_AUTHORITY);
    order.basic = "critical,CA:FALSE";
    CHECK(problem_of_middle(&order, &verdict) == CERTIFICATE_NOT_AN_AUTHORITY);
    order = testbed_middle;
    order.usage = "critical,digitalSignature";
    CHECK(problem_of_middle(&order, &verdict) == CERTIFICATE_NOT_AN_AUTHORITY);
    root.basic = "critical,CA:TRUE,pathlen:0";
    CHECK(problem_of(&root, &testbed_middle, &testbed_gateway, &now, &verdict) ==
          CERTIFICATE_PATH_TOO_LONG);
}

TEST(a_chain_longer_than_any_real_one_is_refused)
{
    struct certificate *chain[TRUST_INTERMEDIATES_MAX + 3];
    const struct certificate *presented[TRUST_INTERMEDIATES_MAX + 3];
    size_t count = ARRAY_LENGTH(chain);
    struct testbed_order middle = testbed_root;
    struct certificate_verdict verdict;

    chain[0] = testbed_issue(&testbed_root, ROOT_KEY, NULL, NULL);
    struct trust *trust = testbed_trust(chain[0]);
    for (size_t i = 1; i < count; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "CN=Middle %zu", i);
        middle.subject = name;
        middle.serial = (long)i + 10;
        chain[i] = testbed_issue(&middle, MIDDLE_KEY, chain[i - 1], i == 1 ? ROOT_KEY : MIDDLE_KEY);
        struct certificate *gateway =
            testbed_issue(&testbed_gateway, GATEWAY_KEY, chain[i], MIDDLE_KEY);
        presented[0] = gateway;
        for (size_t j = 1; j <= i; j++) {
            presented[j] = chain[j]; /* from the root on: the order is not theirs to keep */
        }
        bool good = trust_verify(trust, &now, presented, i + 1, &verdict);
        CHECK(good == (i <= TRUST_INTERMEDIATES_MAX));
        CHECK(good || verdict.problem == CERTIFICATE_CHAIN_TOO_LONG);
        certificate_free(gateway);
    }
    trust_free(trust);
    for (size_t i = 0; i < count; i++) {
        certificate_free(chain[i]);
    }
}

TEST(name_constraints_hold_for_every_sort_of_name)
{
    static const struct {
        const char *constraints, *names;
        bool good;
    } cases[] = {
        {"critical,permitted;DNS:example.jp", "DNS:gw1.example.jp", true},
        {"critical,permitted;DNS:example.jp", "DNS:gw1.example.com", false},
        {"critical,permitted;DNS:example.jp", "DNS:gw1.example.jp,DNS:bank.example.com", false},
        {"permitted;DNS:example.jp", "DNS:gw1.example.com", false},
        {"critical,excluded;DNS:example.jp", "DNS:gw1.example.jp", false},
        {"critical,permitted;IP:203.0.113.0/255.255.255.0", "IP:203.0.113.9", true},
        {"critical,permitted;IP:203.0.113.0/255.255.255.0", "IP:198.51.100.9", false},
        {"critical,excluded;IP:0.0.0.0/0.0.0.0", "IP:198.51.100.9", false},
        {"critical,permitted;email:example.jp", "email:ops@example.jp", true},
        {"critical,permitted;email:example.jp", "email:ops@example.com", false},
        {"critical,permitted;URI:example.jp", "URI:https://evil.example.com/", false},
    };
    struct certificate_verdict verdict;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct testbed_order middle = testbed_middle;
        struct testbed_order gateway = testbed_gateway;

        middle.constraints = cases[i].constraints;
        gateway.names = cases[i].names;
        CHECK(problem_of(&testbed_root, &middle, &gateway, &now, &verdict) ==
              (cases[i].good ? CERTIFICATE_GOOD : CERTIFICATE_NAME_FORBIDDEN));
        /* The same constraint at the root, whose own certificate was believed by hand. */
        struct testbed_order root = testbed_root;
        root.constraints = cases[i].constraints;
        CHECK(problem_of(&root, &testbed_middle, &gateway, &now, &verdict) ==
              (cases[i].good ? CERTIFICATE_GOOD : CERTIFICATE_NAME_FORBIDDEN));
    }
}

TEST(what_a_certificate_is_for_is_looked_at)
{
    static const struct {
        const char *usage, *purpose;
        enum certificate_problem problem;
    } cases[] = {
        {NULL, NULL, CERTIFICATE_GOOD},
        {"nonRepudiation", NULL, CERTIFICATE_GOOD},
        {"critical,keyEncipherment", NULL, CERTIFICATE_KEY_USAGE},
        {"keyAgreement", NULL, CERTIFICATE_KEY_USAGE},
        {"digitalSignature", "1.3.6.1.5.5.7.3.17", CERTIFICATE_GOOD},
        {"digitalSignature", "anyExtendedKeyUsage", CERTIFICATE_GOOD},
        {"digitalSignature", "clientAuth", CERTIFICATE_GOOD},
        {"digitalSignature", "1.3.6.1.5.5.8.2.2", CERTIFICATE_GOOD},
        {"digitalSignature", "codeSigning", CERTIFICATE_PURPOSE},
        {"digitalSignature", "critical,emailProtection,timeStamping", CERTIFICATE_PURPOSE},
        {"digitalSignature", "codeSigning,serverAuth", CERTIFICATE_GOOD},
    };
    struct certificate_verdict verdict;

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct testbed_order order = testbed_gateway;

        order.usage = cases[i].usage;
        order.purpose = cases[i].purpose;
        CHECK(problem_of_gateway(&order) == cases[i].problem);
    }
    struct testbed_order middle = testbed_middle;
    middle.purpose = "codeSigning";
    CHECK(problem_of_middle(&middle, &verdict) == CERTIFICATE_PURPOSE);
    CHECK_EQUAL(verdict.depth, 1);
}

TEST(critical_extensions_that_nobody_knows_are_refused)
{
    struct testbed_order order = testbed_gateway;
    struct certificate_verdict verdict;

    order.unknown = "important";
    CHECK(problem_of_gateway(&order) == CERTIFICATE_CRITICAL_EXTENSION);
    order = testbed_middle;
    order.unknown = "important";
    CHECK(problem_of_middle(&order, &verdict) == CERTIFICATE_CRITICAL_EXTENSION);
}

TEST(weak_hashes_and_keys_need_legacy_and_the_weakest_are_never_taken)
{
    struct trust_rules legacy = {.now_s = TESTBED_NOW_S, .legacy = true};
    struct certificate_verdict verdict;
    struct testbed_order order = testbed_gateway;

    order.digest = "SHA1";
    CHECK(problem_of_gateway(&order) == CERTIFICATE_SIGNATURE_WEAK);
    CHECK(problem_of(&testbed_root, &testbed_middle, &order, &legacy, &verdict) ==
          CERTIFICATE_GOOD);
    /* What a root says about itself is not asked. */
    order = testbed_root;
    order.digest = "SHA1";
    CHECK(problem_of(&order, &testbed_middle, &testbed_gateway, &now, &verdict) ==
          CERTIFICATE_GOOD);

    struct private_key *rsa = private_key_make(KEY_RSA, 2048);
    struct private_key *small = private_key_make(KEY_RSA, 1024);
    CHECK(rsa != NULL && small != NULL);
    struct certificate *root = testbed_issue(&testbed_root, rsa, NULL, NULL);
    struct certificate *gateway = testbed_issue(&testbed_gateway, small, root, rsa);
    order = testbed_gateway;
    order.digest = "MD5";
    struct certificate *worst = testbed_issue(&order, rsa, root, rsa);
    struct trust *trust = testbed_trust(root);
    CHECK(verify_with(trust, &now, gateway, NULL, &verdict) == CERTIFICATE_KEY_WEAK);
    CHECK(verify_with(trust, &legacy, gateway, NULL, &verdict) == CERTIFICATE_GOOD);
    CHECK(verify_with(trust, &legacy, worst, NULL, &verdict) == CERTIFICATE_SIGNATURE_WEAK);
    trust_free(trust);
    certificate_free(root);
    certificate_free(gateway);
    certificate_free(worst);
    private_key_free(rsa);
    private_key_free(small);
}

TEST(every_kind_of_key_signs_and_is_certified)
{
    static const enum key_kind kinds[] = {KEY_RSA,  KEY_P256,    KEY_P384,
                                          KEY_P521, KEY_ED25519, KEY_ED448};

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct private_key *root_key = private_key_make(kinds[i], 2048);
        struct private_key *key = private_key_make(kinds[ARRAY_LENGTH(kinds) - 1 - i], 2048);
        struct certificate *root = testbed_issue(&testbed_root, root_key, NULL, NULL);
        struct certificate *gateway = testbed_issue(&testbed_gateway, key, root, root_key);
        struct trust *trust = testbed_trust(root);
        struct certificate_verdict verdict;

        CHECK(verify_with(trust, &now, gateway, NULL, &verdict) == CERTIFICATE_GOOD);
        trust_free(trust);
        certificate_free(root);
        certificate_free(gateway);
        private_key_free(root_key);
        private_key_free(key);
    }
}

/* ---- revocation along the path ---- */

TEST(a_list_of_the_issuer_decides_as_strictly_as_it_is_wanted)
{
    struct certificate *root = testbed_issue(&testbed_root, ROOT_KEY, NULL, NULL);
    struct certificate *gateway = testbed_issue(&testbed_gateway, GATEWAY_KEY, root, ROOT_KEY);
    const struct certificate *revoked[] = {gateway};
    uint8_t none_bytes[1024];
    uint8_t some_bytes[1024];
    struct slice none =
        testbed_crl(none_bytes, sizeof(none_bytes), root, ROOT_KEY, NULL, 0,
                    TESTBED_NOW_S - TESTBED_DAY_S, TESTBED_NOW_S + TESTBED_DAY_S, NULL);
    struct slice some =
        testbed_crl(some_bytes, sizeof(some_bytes), root, ROOT_KEY, revoked, 1,
                    TESTBED_NOW_S - TESTBED_DAY_S, TESTBED_NOW_S + TESTBED_DAY_S, NULL);
    static const enum certificate_problem wanted[3][3] = {
        /* normal, strict, off */
        {CERTIFICATE_GOOD, CERTIFICATE_REVOCATION_UNKNOWN, CERTIFICATE_GOOD}, /* no list */
        {CERTIFICATE_GOOD, CERTIFICATE_GOOD, CERTIFICATE_GOOD}, /* an empty one */
        {CERTIFICATE_REVOKED, CERTIFICATE_REVOKED, CERTIFICATE_GOOD}, /* with the certificate */
    };

    for (size_t list = 0; list < 3; list++) {
        struct trust *trust = trust_new();
        struct certificate_bag bag = {.certificate_count = 1,
                                      .certificates = {root},
                                      .crl_count = list > 0 ? 1 : 0,
                                      .crls = {list == 1 ? none : some}};

        CHECK(trust_add(trust, &bag));
        for (size_t mode = 0; mode < 3; mode++) {
            struct trust_rules rules = {.now_s = TESTBED_NOW_S,
                                        .revocation = (enum revocation_mode)mode};
            struct certificate_verdict verdict;

            CHECK(verify_with(trust, &rules, gateway, NULL, &verdict) == wanted[list][mode]);
        }
        trust_free(trust);
    }
    certificate_free(root);
    certificate_free(gateway);
}

TEST(raw_public_keys_are_believed_when_they_are_the_same)
{
    struct public_key *own = private_key_public(GATEWAY_KEY);
    struct public_key *other = private_key_public(OTHER_KEY);
    struct trust *trust = trust_new();
    struct certificate_bag bag = {.key_count = 1, .keys = {own}};

    CHECK(!trust_has_key(trust, own));
    CHECK(trust_add(trust, &bag));
    CHECK(trust_has_key(trust, own));
    CHECK(!trust_has_key(trust, other));
    trust_free(trust);
    public_key_free(own);
    public_key_free(other);
}
