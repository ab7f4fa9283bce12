/* Certificates as values: names, words, and what is in a file. */
#include "crypto/certificate.h"

#include <string.h>

#include "crypto/certificate_testbed.h"
#include "crypto/credential.h"
#include "tests/support/test.h"

static struct certificate *certificate_of(const struct testbed_order *order,
                                          struct private_key **key)
{
    *key = private_key_make(KEY_P256, 0);
    CHECK(*key != NULL);
    struct certificate *certificate = testbed_issue(order, *key, NULL, NULL);

    CHECK(certificate != NULL);
    return certificate;
}

static bool has(const struct certificate *c, enum certificate_name_kind kind, const char *value)
{
    return certificate_has_name(c, kind, slice_of_text(value));
}

TEST(names_are_those_of_the_alternative_names_and_nothing_near_them)
{
    struct private_key *key;
    struct certificate *c = certificate_of(&testbed_gateway, &key);
    static const uint8_t address[] = {203, 0, 113, 1};
    static const uint8_t other[] = {203, 0, 113, 2};
    static const uint8_t long_address[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};

    CHECK(has(c, CERTIFICATE_NAME_DNS, "gw1.example.jp"));
    CHECK(has(c, CERTIFICATE_NAME_DNS, "GW1.Example.JP."));
    CHECK(!has(c, CERTIFICATE_NAME_DNS, "gw1.example.j"));
    CHECK(!has(c, CERTIFICATE_NAME_DNS, "example.jp"));
    CHECK(!has(c, CERTIFICATE_NAME_DNS, "gw1")); /* the common name */
    CHECK(!has(c, CERTIFICATE_NAME_DNS, ""));
    CHECK(!has(c, CERTIFICATE_NAME_DNS, "203.0.113.1"));
    CHECK(certificate_has_name(c, CERTIFICATE_NAME_ADDRESS, SLICE_OF(address)));
    CHECK(certificate_has_name(c, CERTIFICATE_NAME_ADDRESS, SLICE_OF(long_address)));
    CHECK(!certificate_has_name(c, CERTIFICATE_NAME_ADDRESS, SLICE_OF(other)));
    CHECK(has(c, CERTIFICATE_NAME_EMAIL, "ops@EXAMPLE.jp"));
    CHECK(!has(c, CERTIFICATE_NAME_EMAIL, "OPS@example.jp"));
    CHECK(!has(c, CERTIFICATE_NAME_EMAIL, "ops"));
    CHECK(has(c, CERTIFICATE_NAME_URI, "urn:example:gw1"));
    CHECK(!has(c, CERTIFICATE_NAME_URI, "urn:example:GW1"));
    CHECK(certificate_has_name(c, CERTIFICATE_NAME_DN, certificate_subject(c)));
    CHECK(!certificate_has_name(c, CERTIFICATE_NAME_DN, SLICE_TEXT("\x30\x00")));
    certificate_free(c);
    private_key_free(key);
}

TEST(wildcards_and_zeros_in_a_certificate_are_no_names)
{
    struct testbed_order order = testbed_gateway;
    struct private_key *key;

    order.names = "DNS:*.example.jp";
    struct certificate *c = certificate_of(&order, &key);
    CHECK(!has(c, CERTIFICATE_NAME_DNS, "gw1.example.jp"));
    CHECK(!has(c, CERTIFICATE_NAME_DNS, "*.example.jp"));
    certificate_free(c);
    private_key_free(key);
}

TEST(patterns_match_whole_values_in_the_certificates_order_or_its_reverse)
{
    struct private_key *key;
    struct certificate *c = certificate_of(&testbed_gateway, &key);
    static const struct {
        const char *pattern;
        bool sound, matches;
    } cases[] = {
        {"C=JP, O=Partner, CN=gw1", true, true},
        {"c=jp,o=partner,cn=GW1", true, true},
        {"CN=gw1, O=Partner, C=JP", true, true},
        {"C=JP, O=Partner, CN=*", true, true},
        {"C=*, O=*, CN=*", true, true},
        {"C=JP, O=  Partner , CN=gw1", true, true},
        {"O=Partner, C=JP, CN=gw1", true, false},
        {"C=JP, CN=gw1", true, false},
        {"C=JP, O=Partner, OU=x, CN=gw1", true, false},
        {"C=JP, O=Partner, CN=gw2", true, false},
        {"C=JP, O=Partner, CN=\\*", true, false},
        {"C=JP, O=Partner, CN=gw*", false, false},
        {"gw1", false, false},
        {"CN=", false, false},
        {"", false, false},
        {"XX=gw1", false, false},
        {"CN=gw1,", false, false},
        {"CN=gw1+O=Partner", false, false},
        {"CN=a\\", false, false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        CHECK(certificate_pattern_is_sound(slice_of_text(cases[i].pattern)) == cases[i].sound);
        CHECK(has(c, CERTIFICATE_NAME_DN_PATTERN, cases[i].pattern) == cases[i].matches);
    }
    certificate_free(c);
    private_key_free(key);
}

TEST(a_certificate_is_described_for_a_person)
{
    struct private_key *key;
    struct certificate *c = certificate_of(&testbed_gateway, &key);
    char words[1024];
    struct text text = text_over(words, sizeof(words));

    certificate_describe(c, &text);
    char *fingerprint = strstr(words, "fingerprint");
    CHECK(fingerprint != NULL && strlen(fingerprint) == 13 + 64 + 1);
    *fingerprint = 0;
    CHECK_TEXT(words,
               "subject      C=JP, O=Partner, CN=gw1\n"
               "issuer       C=JP, O=Partner, CN=gw1\n"
               "names        gw1.example.jp, 203.0.113.1, 2001:db8:0:0:0:0:0:1, ops@example.jp, "
               "urn:example:gw1\n"
               "serial       03\n"
               "valid        2027-01-14 08:00 UTC to 2027-02-14 08:00 UTC\n"
               "key          P-256\n"
               "for          TLS Web Server Authentication\n");
    certificate_free(c);
    private_key_free(key);
}

TEST(names_of_strangers_are_escaped)
{
    struct testbed_order order = testbed_gateway;
    struct private_key *key;

    order.subject = "CN=\x1b[31mred\xc3\xa9";
    struct certificate *c = certificate_of(&order, &key);
    char words[256];
    struct text text = text_over(words, sizeof(words));

    certificate_subject_words(c, &text);
    CHECK_TEXT(words, "CN=\\1B[31mred\\C3\\A9");
    certificate_free(c);
    private_key_free(key);
}

/* ---- PKCS#12 ---- */

TEST(pkcs12_is_written_in_both_forms_and_read_again)
{
    struct private_key *key;
    struct certificate *c = certificate_of(&testbed_gateway, &key);
    uint8_t pem[PRIVATE_KEY_FILE_BYTES_MAX];
    struct writer w = writer_over(pem, sizeof(pem));
    struct credential_verdict verdict;

    CHECK(private_key_write(key, (struct slice){NULL, 0}, &w));
    struct credential *own =
        credential_read(certificate_der(c), writer_written(&w), (struct slice){NULL, 0}, &verdict);
    CHECK(own != NULL && verdict.problem == CREDENTIAL_FINE);
    for (int compatible = 0; compatible < 2; compatible++) {
        uint8_t file[PKCS12_BYTES_MAX];
        struct writer out = writer_over(file, sizeof(file));

        CHECK(credential_write_pkcs12(own, "gw1", "secret", compatible != 0, &out));
        struct credential *again =
            credential_read_pkcs12(writer_written(&out), SLICE_TEXT("secret"), &verdict);
        CHECK(again != NULL);
        CHECK(certificate_equal(credential_at(again, 0), c));
        CHECK_EQUAL(credential_count(again), 1);
        credential_free(again);
        CHECK(credential_read_pkcs12(writer_written(&out), SLICE_TEXT("Secret"), &verdict) == NULL);
        CHECK(verdict.problem == CREDENTIAL_PKCS12);
    }
    /* A key of somebody else. */
    struct private_key *other = private_key_make(KEY_P256, 0);
    w = writer_over(pem, sizeof(pem));
    CHECK(private_key_write(other, (struct slice){NULL, 0}, &w));
    CHECK(credential_read(certificate_der(c), writer_written(&w), (struct slice){NULL, 0},
                          &verdict) == NULL);
    CHECK(verdict.problem == CREDENTIAL_MISMATCH);
    CHECK(credential_read(SLICE_TEXT("x"), writer_written(&w), (struct slice){NULL, 0}, &verdict) ==
          NULL);
    CHECK(verdict.problem == CREDENTIAL_CERTIFICATE && verdict.bag == CERTIFICATE_BAG_EMPTY);
    private_key_free(other);
    credential_free(own);
    certificate_free(c);
    private_key_free(key);
}
