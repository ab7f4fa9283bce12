/* The words about the version of IKE: what they mean, what they demand, and how they are shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

static struct config *with(const char *words)
{
    char text[512];

    snprintf(text, sizeof(text), GATEWAY SITE("a", "10.2.0.0/16", "%s"), words);
    return testbed_good(text);
}

static void check_shown(const struct config *c, bool all, const char *line, bool there)
{
    char *text = config_show(c, all);

    if ((strstr(text, line) != NULL) != there) {
        fail_msg("%s: %s", line, text);
    }
    free(text);
}

TEST(nothing_but_ikev2_is_spoken_unless_it_is_said)
{
    struct config *c = with("");

    CHECK(c->sites[0].version == CONFIG_IKE_V2 && !c->sites[0].aggressive);
    check_shown(c, true, " v1\n", false);
    check_shown(c, true, " either\n", false);
    config_free(c);
}

TEST(what_is_said_is_meant_and_shown)
{
    static const struct {
        const char *words, *shown;
        enum config_ike_version version;
        bool aggressive;
    } cases[] = {
        {"ike v1", " v1\n", CONFIG_IKE_V1, false},
        {"ike v1 main", " v1\n", CONFIG_IKE_V1, false},
        {"ike either", " either\n", CONFIG_IKE_EITHER, false},
        {"ike v1 aggressive; legacy aggressive", " v1 aggressive\n", CONFIG_IKE_V1, true},
        {"ike v1 aes256-sha256-modp2048", " v1\n", CONFIG_IKE_V1, false},
        {"ike v1; ike aes256-sha256-modp2048", " aes256-sha256-modp2048-prfsha256\n", CONFIG_IKE_V1,
         false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct config *c = with(cases[i].words);

        CHECK(c->sites[0].version == cases[i].version);
        CHECK_EQUAL(c->sites[0].aggressive, cases[i].aggressive);
        check_shown(c, false, cases[i].shown, true);
        check_shown(c, true, cases[i].shown, true);
        config_free(c);
    }
}

/* What is offered is what IKEv1 has: nothing that depends on IKEv2 is among it. */
TEST(defaults_of_ikev1_have_no_ml_kem)
{
    struct config *old = with("ike v1");
    struct config *either = with("ike either");

    CHECK(!proposals_have_post_quantum(old->sites[0].ike));
    CHECK(proposals_have_post_quantum(either->sites[0].ike));
    config_free(old);
    config_free(either);
}

TEST(what_is_shown_is_read_again_as_the_same)
{
    static const char *const words[] = {"ike v1", "ike either",
                                        "ike v1 aggressive aes128-sha256-ecp256; legacy aggressive",
                                        "ike v1 3des-sha1-modp1024; legacy 3des sha1 modp1024"};

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        struct config *c = with(words[i]);
        char *text = config_show(c, false);
        struct config *again = testbed_good(text);

        CHECK_EQUAL(again->sites[0].hash, c->sites[0].hash);
        free(text);
        config_free(c);
        config_free(again);
    }
}
