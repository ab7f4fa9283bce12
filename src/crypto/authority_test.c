/* What our own authority issues is believed, for what it is for, and no longer when it is revoked.
 */
#include "crypto/authority.h"

#include <string.h>

#include "crypto/revocation.h"
#include "crypto/trust.h"
#include "tests/support/test.h"

#define NOW_S INT64_C(1800000000)
#define DAY_S 86400

static struct seeded_random seeded;
static struct random_source random_of_test(void)
{
    seeded_random_init(&seeded, 7);
    return seeded_random_source(&seeded);
}

static enum certificate_problem problem_of(const struct trust *trust,
                                           const struct certificate *certificate, int64_t now_s)
{
    struct trust_rules rules = {.now_s = now_s};
    struct certificate_verdict verdict;

    if (!trust_verify(trust, &rules, &certificate, 1, &verdict)) {
        CHECK(verdict.problem != CERTIFICATE_GOOD);
    }
    return verdict.problem;
}

TEST(what_is_issued_is_good_until_it_is_revoked)
{
    static const enum key_kind kinds[] = {KEY_RSA,  KEY_P256,    KEY_P384,
                                          KEY_P521, KEY_ED25519, KEY_ED448};

    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct random_source random = random_of_test();
        struct authority_order root_order = {
            .common_name = "Test CA", .begins_s = NOW_S, .ends_s = NOW_S + 100 * DAY_S};
        struct authority_order order = {
            .common_name = "gw.example.jp",
            .names = {"gw.example.jp", "203.0.113.1", "2001:db8::1", "ops@example.jp"},
            .name_count = 4,
            .begins_s = NOW_S,
            .ends_s = NOW_S + 50 * DAY_S,
            .list_url = i == 1 ? "http://ca.example.jp:8080/ca.crl" : NULL};
        struct private_key *key = private_key_make(kinds[i], 2048);
        CHECK(key != NULL);
        struct public_key *public = private_key_public(key);
        struct certificate *root = authority_make_root(&root_order, key, &random);
        CHECK(public != NULL && root != NULL && certificate_is_authority(root));
        struct certificate *gateway = authority_issue(&order, public, root, key, &random);
        CHECK(gateway != NULL && !certificate_is_authority(gateway));
        CHECK(certificate_has_name(gateway, CERTIFICATE_NAME_DNS, SLICE_TEXT("gw.example.jp")));
        CHECK(certificate_has_name(gateway, CERTIFICATE_NAME_EMAIL, SLICE_TEXT("ops@example.jp")));
        CHECK(certificate_has_name(gateway, CERTIFICATE_NAME_ADDRESS, SLICE_TEXT("\xcb\0\x71\1")));
        struct revocation_source sources[REVOCATION_SOURCES_MAX];

        CHECK_EQUAL(revocation_sources(gateway, sources, REVOCATION_SOURCES_MAX), i == 1);
        CHECK(i != 1 || (sources[0].kind == REVOCATION_SOURCE_LIST &&
                         strcmp(sources[0].url, "http://ca.example.jp:8080/ca.crl") == 0));
        struct trust *trust = trust_new();
        struct certificate_bag bag = {.certificate_count = 1, .certificates = {root}};
        CHECK(trust_add(trust, &bag));
        CHECK(problem_of(trust, gateway, NOW_S + DAY_S) == CERTIFICATE_GOOD);
        CHECK(problem_of(trust, gateway, NOW_S + 51 * DAY_S) == CERTIFICATE_EXPIRED);

        struct authority_revoked revoked = {.at_s = NOW_S + 10};
        uint8_t bytes[8192];
        struct writer w = writer_over(bytes, sizeof(bytes));
        revoked.serial_length = authority_serial(gateway, revoked.serial);
        CHECK_EQUAL(revoked.serial_length, AUTHORITY_SERIAL_BYTES);
        CHECK(authority_write_crl(root, key, &revoked, 1, 1, NOW_S, NOW_S + 30 * DAY_S, &w));
        struct certificate_bag list = {0};
        CHECK(certificate_bag_add(&list, writer_written(&w)) == CERTIFICATE_BAG_FINE);
        CHECK_EQUAL(list.crl_count, 1);
        CHECK(trust_add(trust, &list));
        CHECK(problem_of(trust, gateway, NOW_S + DAY_S) == CERTIFICATE_REVOKED);
        certificate_bag_fini(&list);
        trust_free(trust);
        certificate_free(gateway);
        certificate_free(root);
        public_key_free(public);
        private_key_free(key);
    }
}

TEST(an_order_that_cannot_be_is_refused)
{
    struct random_source random = random_of_test();
    struct private_key *key = private_key_make(KEY_P256, 0);
    struct public_key *public = private_key_public(key);
    struct authority_order root_order = {
        .common_name = "Test CA", .begins_s = NOW_S, .ends_s = NOW_S + 100 * DAY_S};
    struct certificate *root = authority_make_root(&root_order, key, &random);
    static const char *const bad[] = {
        "",    "a b", "a,DNS:bank.example", "a\n", "*.example", "@host", "user@",
        "a:b", "a;b", "otherName:x"};

    CHECK(root != NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        struct authority_order order = {.common_name = "x",
                                        .names = {bad[i]},
                                        .name_count = 1,
                                        .begins_s = NOW_S,
                                        .ends_s = NOW_S + DAY_S};
        CHECK(authority_issue(&order, public, root, key, &random) == NULL);
    }
    struct authority_order order = {.common_name = "gw.example",
                                    .names = {"gw.example"},
                                    .name_count = 1,
                                    .begins_s = NOW_S,
                                    .ends_s = NOW_S + 101 * DAY_S};
    CHECK(authority_issue(&order, public, root, key, &random) == NULL); /* outlives the authority */
    order.ends_s = NOW_S + DAY_S;
    order.name_count = 0;
    CHECK(authority_issue(&order, public, root, key, &random) == NULL);
    root_order.common_name = "";
    CHECK(authority_make_root(&root_order, key, &random) == NULL);
    certificate_free(root);
    public_key_free(public);
    private_key_free(key);
}

TEST(a_place_of_the_list_is_plain)
{
    static const struct {
        const char *url;
        bool good;
    } cases[] = {
        {"http://ca.example.jp/ca.crl", true},
        {"http://[2001:db8::1]:81/%20", true},
        {"https://ca.example.jp/", false},
        {"http://", false},
        {"", false},
        {"http://a/,URI:http://b/", false},
        {"http://a/ b", false},
        {"http://a/@x", false},
        {"http://a/;b", false},
        {"http://a/?b", false},
    };
    char longest[AUTHORITY_URL_BYTES + 1] = "http://";

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CHECK(authority_url_is_good(cases[i].url) == cases[i].good);
    }
    memset(longest + strlen(longest), 'a', AUTHORITY_URL_BYTES - strlen(longest));
    CHECK(!authority_url_is_good(longest));
}
