/* The words about who may log in: what they mean, what is refused, and how they are shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"
#include "config/testbed.h"
#include "tests/support/test.h"

#define REST SITE("a", "10.2.0.0/16", "")

static void check_shown(const char *text, bool all, const char *line)
{
    struct config *c = testbed_good(text);
    char *shown = config_show(c, all);

    if (strstr(shown, line) == NULL) {
        fail_msg("%s is not in: %s", line, shown);
    }
    free(shown);
    config_free(c);
}

TEST(a_radius_server_has_its_ports_and_must_sign)
{
    struct config *c = testbed_good(GATEWAY "radius 10.1.0.20 @radius\n"
                                            "radius 2001:db8::20 @other port 11812 accounting off "
                                            "unsigned-replies\n" REST);

    CHECK_EQUAL(c->radius_count, 2);
    CHECK_EQUAL(c->radius[0].port, 1812);
    CHECK_EQUAL(c->radius[0].accounting_port, 1813);
    CHECK(!c->radius[0].unsigned_replies);
    CHECK_TEXT(c->radius[0].secret.name, "radius");
    CHECK_EQUAL(c->radius[1].address.family, FAMILY_IPV6);
    CHECK_EQUAL(c->radius[1].port, 11812);
    CHECK_EQUAL(c->radius[1].accounting_port, 0);
    CHECK(c->radius[1].unsigned_replies);
    config_free(c);
}

TEST(what_is_said_is_shown)
{
    check_shown(GATEWAY "radius 10.1.0.20 @radius\n" REST, false, "10.1.0.20 @radius\n");
    check_shown(GATEWAY "radius 10.1.0.20 @radius\n" REST, true,
                "10.1.0.20 @radius port 1812 accounting 1813\n");
    check_shown(GATEWAY "radius 10.1.0.20 @radius port 7 accounting 9 unsigned-replies\n" REST,
                false, "10.1.0.20 @radius port 7 accounting 9 unsigned-replies\n");
    check_shown(GATEWAY "users from /etc/sekisho/users.conf\n" REST, false,
                "from /etc/sekisho/users.conf\n");
}

TEST(what_has_no_meaning_is_refused_with_a_word_of_advice)
{
    static const struct {
        const char *line, *why;
    } cases[] = {
        {"radius 10.1.0.20 radius", "the key itself does not stand here"},
        {"radius ten @radius", "ten"},
        {"radius 0.0.0.0 @radius", "not the address of one server"},
        {"radius 10.1.0.20 @radius port 0", "0"},
        {"radius 10.1.0.20 @radius port", "behind the secret can stand"},
        {"radius 10.1.0.20 @radius port 1 port 2", "behind the secret can stand"},
        {"radius 10.1.0.20 @radius signed", "behind the secret can stand"},
        {"radius 10.1.0.20 @radius\nradius 10.1.0.20 @other", "said on line 3 already"},
        {"users in /etc/users", "users from FILE"},
        {"users from a b", "no more words"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[512];

        snprintf(text, sizeof(text), GATEWAY "%s\n" REST, cases[i].line);
        char *words = testbed_words(text);
        if (strstr(words, cases[i].why) == NULL) {
            fail_msg("%s: %s", cases[i].line, words);
        }
        free(words);
    }
}

TEST(only_so_many_servers_are_taken)
{
    char text[2048] = GATEWAY;

    for (int i = 0; i <= CONFIG_RADIUS_MAX; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof(text) - used, "radius 10.1.0.%d @radius\n", i + 1);
    }
    char *words = testbed_words(text);

    CHECK(strstr(words, "there can be 8 RADIUS servers") != NULL);
    free(words);
}
