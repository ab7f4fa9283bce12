/* Help and the manual know every word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/schema.h"
#include "config/testbed.h"
#include "tests/support/test.h"

TEST(every_word_stands_in_the_manual_with_example_and_meaning)
{
    char *manual = config_manual();
    const struct schema_word *w;

    for (size_t i = 0; (w = schema_at(i)) != NULL; i++) {
        char needle[64];
        snprintf(needle, sizeof(needle), "*%s* ", w->word);
        CHECK(strstr(manual, needle) != NULL);
        CHECK(w->example != NULL && strncmp(w->example, w->word, strlen(w->word)) == 0);
        CHECK(w->meaning[strlen(w->meaning) - 1] == '.');
    }
    CHECK(strncmp(manual, "sekisho.conf(5)\n", 16) == 0);
    free(manual);
}

/* A manual block is complete without the statement that is to be tried. */
static void static_example(const struct schema_word *w, char *text, size_t capacity)
{
    static const struct {
        const char *word;
        const char *line;
    } lines[] = {
        {"legacy", "legacy static-keys"},
        {"outer", "outer 203.0.113.1 198.51.100.9"},
        {"inner", "inner 10.1.0.0/16 10.4.0.0/16"},
        {"esp", "esp out spi 0x1001 cipher aes256 @m-ce auth sha256 @m-ae"},
        {"", "esp in spi 0x1002 cipher aes256 @m-cd auth sha256 @m-ad"},
    };
    struct text all = text_over(text, capacity);

    text_add(&all, "gateway g.example\nmanual m {\n");
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        bool left_out = strcmp(lines[i].word, w->word) == 0 ||
                        (strcmp(w->word, "mode") == 0 && strcmp(lines[i].word, "inner") == 0);
        text_addf(&all, "%s\n", left_out ? "" : lines[i].line);
    }
    if (strcmp(w->word, "ah") == 0) {
        text_add(&all, "ah in spi 0x2002 auth sha256 @m-ah-in\n");
    }
    if (strcmp(w->word, "ah-align") == 0) {
        text_add(&all, "ah out spi 0x2001 auth sha256 @m-ah-out\n"
                       "ah in spi 0x2002 auth sha256 @m-ah-in\n");
    }
    text_addf(&all, "%s\n}\n", w->example);
    CHECK(!all.cut);
}

TEST(every_example_is_a_good_statement)
{
    const struct schema_word *w;

    for (size_t i = 0; (w = schema_at(i)) != NULL; i++) {
        struct testbed *t = malloc(sizeof(*t));
        char text[800];
        testbed_init(t);
        if (w->block || strcmp(w->word, "key") == 0 || strcmp(w->word, "gateway") == 0) {
            free(t);
            continue; /* these stand in the text around every other example */
        }
        if (w->scope == SCOPE_MANUAL) {
            static_example(w, text, sizeof(text));
        } else if (w->scope == SCOPE_SITE && strncmp(w->example, "mode", 4) == 0) {
            snprintf(text, sizeof(text), "gateway g.example\nsite x { peer a; key @x\n%s\n}\n",
                     w->example);
        } else if (strcmp(w->word, "unauthenticated") == 0) {
            snprintf(text, sizeof(text),
                     "gateway g.example\nlan 10.1.0.0/16\nsite x { peer 203.0.113.1; network "
                     "10.77.0.0/16\n%s\n}\n",
                     w->example);
        } else if (strcmp(w->word, "authenticate") == 0) {
            snprintf(text, sizeof(text),
                     "gateway g.example\nlan 10.1.0.0/16\nsite x { peer a; network 10.77.0.0/16; "
                     "ike v1; legacy rsa-encryption; certificate a.pem key a.key\n%s\n}\n",
                     w->example);
        } else if (w->scope == SCOPE_ACCESS) {
            snprintf(text, sizeof(text),
                     "gateway g.example\nlan 10.1.0.0/16\nremote-access x { key @x\n%s\n%s\n}\n",
                     strcmp(w->word, "via") == 0         ? "addresses 10.77.0.0/24"
                     : strcmp(w->word, "addresses") == 0 ? "via xauth"
                                                         : "via xauth; addresses 10.77.0.0/24",
                     w->example);
        } else if (w->scope == SCOPE_SITE &&
                   (strcmp(w->word, "login") == 0 || strcmp(w->word, "address") == 0 ||
                    strcmp(w->word, "group-name") == 0)) {
            snprintf(text, sizeof(text),
                     "gateway g.example\nlan 10.1.0.0/16\nsite x { peer a; network 10.77.0.0/16; "
                     "key @x; ike v1\n%s\n}\n",
                     w->example);
        } else if (w->scope == SCOPE_SITE) {
            bool certificates = strcmp(w->word, "certificate") == 0 ||
                                strcmp(w->word, "trust") == 0 || strcmp(w->word, "name") == 0 ||
                                strcmp(w->word, "crl") == 0 || strcmp(w->word, "ocsp") == 0;

            snprintf(text, sizeof(text),
                     "gateway g.example\nlan 10.1.0.0/16\nsite x { peer a; network 10.77.0.0/16; "
                     "%s\n%s\n}\n",
                     certificates ? "" : "key @x", w->example);
        } else {
            snprintf(text, sizeof(text), "gateway g.example\n%s\n", w->example);
        }
        struct config_result *r = testbed_read(t, text);
        if (r->error_count != 0) {
            print_message("%s\n%s\n", w->example, r->diagnostics[0].message);
        }
        CHECK_EQUAL(r->error_count, 0);
        config_result_free(r);
        free(t);
    }
}

TEST(help_finds_words_in_both_places)
{
    static const char *const known[] = {"gateway", "lan",    "site lan", "peer",       "site peer",
                                        "site",    "manual", "outer",    "manual esp", "bypass"};

    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        char *help = config_help(known[i]);
        CHECK(help != NULL);
        free(help);
    }
    char *lan = config_help("site lan");
    CHECK(strstr(lan, "instead of the gateway's") != NULL);
    free(lan);
    char *identity = config_help("identity");
    CHECK_TEXT(identity,
               "identity IDENTITY | auto | any\n"
               "  Who the peer must prove to be. 'auto': the host name of the first peer; a\n"
               "  peer that is given by its address may have any name with a shared key, and\n"
               "  must have that address in its certificate. 'any': whoever has the key, or a\n"
               "  certificate of an authority that is trusted, from wherever it calls.\n"
               "  Default: auto\n"
               "  Example: identity gw1.partner.example\n");
    free(identity);
    CHECK(config_help("nothing") == NULL);
    CHECK(config_help("site gateway") == NULL);
    CHECK(config_help("manual peer") == NULL);
    CHECK(config_help("") == NULL);
}
