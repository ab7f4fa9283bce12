/* The word ppk: what it means, what it refuses, and how it is shown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

static struct config *with(const char *site)
{
    char text[1024];

    snprintf(text, sizeof(text), GATEWAY SITE("a", "10.2.0.0/16", "%s"), site);
    return testbed_good(text);
}

static void check_shown(struct config *c, bool all, const char *line)
{
    char *text = config_show(c, all);

    CHECK(strstr(text, line) != NULL);
    free(text);
}

TEST(there_is_none_unless_it_is_said)
{
    struct config *c = with("");
    char *text = config_show(c, true);

    CHECK(c->sites[0].ppk == NULL);
    CHECK(strstr(text, "ppk") == NULL);
    free(text);
    config_free(c);
}

TEST(what_is_said_is_meant_and_shown)
{
    static const struct {
        const char *words, *id, *shown, *all;
        bool opaque, required;
    } cases[] = {
        {"ppk @p", "p", " @p\n", "@p id p required\n", false, true},
        {"ppk @p required", "p", " @p\n", "@p id p required\n", false, true},
        {"ppk @p prefer", "p", " @p prefer\n", "@p id p prefer\n", false, false},
        {"ppk @p id p2", "p2", " @p id p2\n", "@p id p2 required\n", false, true},
        {"ppk @p id @#7071 prefer", "pq", "@p id @#7071 prefer\n", "@p id @#7071 prefer\n", false,
         false},
        {"ppk @p id \"a b\" opaque prefer", "a b", "@p id \"a b\" opaque prefer\n",
         "@p id \"a b\" opaque prefer\n", true, false},
        {"ppk @p id \"required\" opaque", "required", " opaque\n", " opaque required\n", true,
         true},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct config *c = with(cases[i].words);
        const struct config_ppk *ppk = c->sites[0].ppk;

        CHECK_TEXT(ppk->secret.name, "p");
        CHECK_EQUAL(ppk->id_length, strlen(cases[i].id));
        CHECK_BYTES(ppk->id_bytes, cases[i].id, ppk->id_length);
        CHECK(ppk->opaque == cases[i].opaque && ppk->required == cases[i].required);
        check_shown(c, false, cases[i].shown);
        check_shown(c, true, cases[i].all);
        config_free(c);
    }
}

TEST(where_it_goes_in_can_be_said)
{
    struct config *c = with("ppk @p");

    CHECK(!c->sites[0].ppk->auth_only);
    config_free(c);
    c = with("ppk @p prefer auth-only id q opaque");
    CHECK(c->sites[0].ppk->auth_only && c->sites[0].ppk->opaque && !c->sites[0].ppk->required);
    check_shown(c, false, " @p id q opaque auth-only prefer\n");
    config_free(c);
}

TEST(a_name_may_have_as_many_octets_as_there_is_room_for)
{
    char words[512], id[CONFIG_PPK_ID_BYTES_MAX + 2];

    memset(id, 'i', sizeof(id));
    id[CONFIG_PPK_ID_BYTES_MAX] = '\0';
    snprintf(words, sizeof(words), "ppk @p id %s", id);
    struct config *c = with(words);

    CHECK_EQUAL(c->sites[0].ppk->id_length, CONFIG_PPK_ID_BYTES_MAX);
    config_free(c);
    id[CONFIG_PPK_ID_BYTES_MAX] = 'i';
    id[CONFIG_PPK_ID_BYTES_MAX + 1] = '\0';
    snprintf(words, sizeof(words), GATEWAY SITE("a", "10.2.0.0/16", "ppk @p id %s"), id);
    char *said = testbed_words(words);

    CHECK(strstr(said, "1 to 128 octets") != NULL);
    free(said);
}

TEST(what_cannot_be_is_told_at_its_word)
{
    static const char *const cases[][2] = {
        {"ppk p", "only the name of a secret"},
        {"ppk 0123456789abcdef0123456789abcdef", "only the name of a secret"},
        {"ppk @p id", "can stand"},
        {"ppk @p id \"\"", "1 to 128 octets"},
        {"ppk @p id @#", "1 to 128 octets"},
        {"ppk @p id @#7", "1 to 128 octets"},
        {"ppk @p id @#zz", "1 to 128 octets"},
        {"ppk @p off", "can stand"},
        {"ppk @p prefer required", "can stand"},
        {"ppk @p prefer prefer", "can stand"},
        {"ppk @p opaque opaque", "can stand"},
        {"ppk @p auth-only auth-only", "can stand"},
        {"ppk @p id a id b", "can stand"},
        {"ppk @p; ppk @q", "said twice"},
        {"ike v1 aes128-sha256-modp2048; ppk @p", "does not go with IKEv1"},
        {"ike either aes128-sha256-modp2048; ppk @p", "does not go with IKEv1"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char text[512];

        snprintf(text, sizeof(text), GATEWAY SITE("a", "10.2.0.0/16", "%s"), cases[i][0]);
        char *said = testbed_words(text);

        CHECK(strstr(said, cases[i][1]) != NULL);
        CHECK(strstr(said, "0123456789abcdef") == NULL);
        free(said);
    }
}

TEST(a_secret_that_is_not_there_is_told)
{
    struct testbed *t = calloc(1, sizeof(*t));

    testbed_init(t);
    t->missing_secret = "p";
    struct config_result *result =
        testbed_read(t, GATEWAY SITE("a", "10.2.0.0/16", "ppk @p prefer"));

    CHECK_EQUAL(result->error_count, 1);
    config_result_free(result);
    free(t);
}

TEST(a_short_one_is_warned_of)
{
    static const struct {
        const char *text;
        size_t warnings;
    } cases[] = {
        {"0123456789abcdef0123456789abcde", 1},
        {"0123456789abcdef0123456789abcdef", 0},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct testbed *t = calloc(1, sizeof(*t));

        testbed_init(t);
        testbed_has_secrets(t);
        testbed_add(t, "secrets/a", "a key");
        testbed_add(t, "secrets/p", cases[i].text);
        struct config_result *result = testbed_read(t, GATEWAY SITE("a", "10.2.0.0/16", "ppk @p"));

        CHECK_EQUAL(result->error_count, 0);
        CHECK_EQUAL(result->warning_count, cases[i].warnings);
        char *said = config_diagnostics_text(result);

        CHECK((strstr(said, "RFC 8784") != NULL) == (cases[i].warnings == 1));
        CHECK(strstr(said, "0123456789abcdef") == NULL);
        free(said);
        config_result_free(result);
        free(t);
    }
}

TEST(every_part_of_it_is_a_change)
{
    static const char *const words[] = {
        "", "ppk @p", "ppk @q", "ppk @p id q", "ppk @p prefer", "ppk @p opaque", "ppk @p auth-only",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(words); k++) {
            struct config *a = with(words[i]), *b = with(words[k]);

            CHECK((a->sites[0].hash == b->sites[0].hash) == (i == k));
            config_free(a);
            config_free(b);
        }
    }
}
