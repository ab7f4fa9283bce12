/* The word authenticate: what it demands, how it is shown, and that keys are not used twice. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

#define OWN "certificate old.pem key old.key\n"
#define OLD "ike v1\nlegacy rsa-encryption\n" OWN

static void site(char *out, size_t bytes, const char *more)
{
    snprintf(out, bytes,
             GATEWAY "site a {\n peer a.example.jp\n network 10.2.0.0/16\n trust a.pem\n%s}\n",
             more);
}

TEST(both_sides_sign_unless_it_is_said)
{
    char text[1024];

    site(text, sizeof(text), "ike v1\n");
    struct config *c = testbed_good(text);
    char *all = config_show(c, true);
    char *said = config_show(c, false);

    CHECK_EQUAL(c->sites[0].proof, CONFIG_PROOF_SIGNATURE);
    CHECK(strstr(all, " signatures\n") != NULL);
    CHECK(strstr(said, "authenticate") == NULL);
    free(all);
    free(said);
    config_free(c);
}

TEST(what_is_said_is_meant_and_shown_and_read_again)
{
    static const struct {
        const char *words;
        enum config_proof proof;
    } cases[] = {
        {OLD "authenticate rsa-encryption\n", CONFIG_PROOF_ENCRYPTION},
        {OLD "authenticate rsa-encryption-revised\n", CONFIG_PROOF_REVISED},
        {"ike v1\nlegacy 3des sha1 rsa-encryption dss\n", CONFIG_PROOF_SIGNATURE},
        {"ike v1 aggressive\nlegacy 3des rsa-encryption\nauthenticate rsa-encryption-revised\n" OWN,
         CONFIG_PROOF_REVISED},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[1024];

        site(text, sizeof(text), cases[i].words);
        struct config *c = testbed_good(text);
        char *shown = config_show(c, false);

        CHECK_EQUAL(c->sites[0].proof, cases[i].proof);
        CHECK(c->sites[0].uses_legacy);
        struct config *again = testbed_good(shown);

        CHECK_EQUAL(again->sites[0].hash, c->sites[0].hash);
        free(shown);
        config_free(again);
        config_free(c);
    }
}

TEST(what_does_not_go_together_is_told)
{
    static const struct {
        const char *words, *told;
    } cases[] = {
        {"authenticate passwords\n", "signatures, rsa-encryption or rsa-encryption-revised"},
        {"ike v1\n" OWN "authenticate rsa-encryption\n", "legacy rsa-encryption"},
        {"ike v1\nlegacy rsa-encryption\nauthenticate rsa-encryption\n", "a key of its own"},
        {"ike either\nlegacy rsa-encryption\n" OWN "authenticate rsa-encryption\n",
         "is of IKEv1 alone"},
        {"legacy rsa-encryption\n", "is for sites with IKEv1"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[1024];

        site(text, sizeof(text), cases[i].words);
        char *words = testbed_words(text);

        if (strstr(words, cases[i].told) == NULL) {
            fail_msg("%s: %s", cases[i].told, words);
        }
        free(words);
    }
    char *words = testbed_words(GATEWAY SITE("a", "10.2.0.0/16", "authenticate signatures"));

    CHECK(strstr(words, "has a line key") != NULL);
    free(words);
}

#define OTHER(more)                                                                                \
    GATEWAY "site a {\n peer a.example.jp\n network 10.2.0.0/16\n trust a.pem\n" OLD               \
            "authenticate rsa-encryption\n}\n"                                                     \
            "site b {\n peer b.example.jp\n network 10.3.0.0/16\n" more "}\n"

TEST(a_key_that_decrypts_signs_nowhere)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {OTHER(OWN), false},
        {OTHER("certificate other.pem key old.key\n"), false},
        {OTHER(""), true},
        {OTHER("certificate old.pem key other.key\n"), true},
        {OTHER("key @b\n"), true},
        {OTHER(OLD "trust b.pem\nauthenticate rsa-encryption-revised\n"), true},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char *words = testbed_words(cases[i].text);
        bool told = strstr(words, "decrypts with the key that site b signs with") != NULL;

        if (told == cases[i].good) {
            fail_msg("%zu: %s", i, words);
        }
        free(words);
    }
}
