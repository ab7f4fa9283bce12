/* What `like PRODUCT` means, and that what a site says itself comes first. */
#include "config/presets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

static const struct config_site *only_site(const struct config *config)
{
    CHECK_EQUAL(config->site_count, 1);
    return &config->sites[0];
}

static bool offers(const struct proposals *list, const char *word)
{
    struct transform t;

    CHECK(transform_by_word(0, slice_of_text(word), &t));
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < list->list[i].count; j++) {
            const struct transform *o = &list->list[i].transforms[j];
            if (o->type == t.type && o->id == t.id && o->key_bits == t.key_bits) {
                return true;
            }
        }
    }
    return false;
}

static bool offers_weak(const struct proposals *list)
{
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < list->list[i].count; j++) {
            const struct transform *t = &list->list[i].transforms[j];
            const struct algorithm *a = algorithm_find(t->type, t->id);
            if (a != NULL && a->strength == STRENGTH_LEGACY) {
                return true;
            }
        }
    }
    return false;
}

TEST(every_preset_can_be_used_and_allows_nothing_weak_by_itself)
{
    for (size_t i = 0; preset_at(i) != NULL; i++) {
        char text[512];
        snprintf(text, sizeof(text), GATEWAY SITE("osaka", "10.2.0.0/16", "  like %s"),
                 preset_at(i)->name);
        char *words = testbed_words(text);
        CHECK(strstr(words, "0 errors, 0 warnings") != NULL);
        free(words);
        struct config *config = testbed_good(text);
        const struct config_site *site = only_site(config);
        CHECK_TEXT(site->like, preset_at(i)->name);
        CHECK(site->ike->count > 0 && site->esp->count > 0);
        CHECK(!offers_weak(site->ike));
        CHECK(!offers_weak(site->esp));
        for (size_t k = 0; k < PRESET_LINES_MAX && preset_at(i)->lines[k] != NULL; k++) {
            CHECK((site->like_lines & 1U << k) != 0);
        }
        config_free(config);
    }
}

TEST(every_preset_is_read_again_as_it_is_shown)
{
    for (size_t i = 0; preset_at(i) != NULL; i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 GATEWAY SITE("osaka", "10.2.0.0/16", "  like %s\n  legacy sha1 modp1024"),
                 preset_at(i)->name);
        struct config *config = testbed_good(text);
        for (int all = 0; all < 2; all++) {
            char *shown = config_show(config, all == 1);
            struct config *again = testbed_good(shown);
            CHECK_EQUAL(again->hash, config->hash);
            CHECK_TEXT(only_site(again)->like, preset_at(i)->name);
            config_free(again);
            free(shown);
        }
        config_free(config);
    }
}

TEST(what_a_site_says_comes_before_its_preset)
{
    struct config *config = testbed_good(
        GATEWAY SITE("osaka", "10.2.0.0/16",
                     "  encapsulate never\n  lifetime child 20m\n  like fortigate\n  pfs off"));
    const struct config_site *site = only_site(config);

    CHECK_EQUAL(site->encapsulate, ENCAPSULATE_NEVER);
    CHECK_EQUAL(site->child_lifetime_ms, 20 * 60000);
    CHECK_EQUAL(site->ike_lifetime_ms, UINT64_C(24) * 3600000);
    CHECK_EQUAL(site->pfs, PFS_OFF);
    CHECK_EQUAL(site->children, CHILDREN_PER_PAIR);
    CHECK(preset_gave(site, "children"));
    CHECK(preset_gave(site, "ike"));
    CHECK(!preset_gave(site, "encapsulate"));
    CHECK(!preset_gave(site, "lifetime"));
    CHECK(!preset_gave(site, "dpd"));
    config_free(config);
}

TEST(facts_of_azure_with_and_without_its_weak_policy)
{
    struct config *config = testbed_good(GATEWAY SITE("osaka", "10.2.0.0/16", "  like azure"));
    const struct config_site *site = only_site(config);

    CHECK_EQUAL(site->ike_lifetime_ms, UINT64_C(28800) * 1000);
    CHECK_EQUAL(site->child_lifetime_ms, UINT64_C(27000) * 1000);
    CHECK_EQUAL(site->pfs, PFS_OFF);
    CHECK(site->fragment_bytes < 1280);
    CHECK_EQUAL(site->ike->count, 1);
    config_free(config);

    config =
        testbed_good(GATEWAY SITE("osaka", "10.2.0.0/16", "  legacy modp1024 sha1\n  like azure"));
    site = only_site(config);
    CHECK_EQUAL(site->ike->count, 2);
    CHECK(offers(site->ike, "modp1024"));
    CHECK(offers(site->ike, "sha1"));
    CHECK(!offers(site->ike, "3des"));
    config_free(config);
}

/* Whether the line of the word ends with where it comes from. */
static bool marked(const char *shown, const char *word)
{
    for (const char *line = shown; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        size_t blanks = strspn(line, " ");

        if (strncmp(line + blanks, word, strlen(word)) == 0 && line[blanks + strlen(word)] == ' ') {
            return end != NULL && end - line > 10 && strncmp(end - 10, "# like gcp", 10) == 0;
        }
        line = end == NULL ? NULL : end + 1;
    }
    return false;
}

TEST(what_came_from_a_preset_is_marked)
{
    struct config *config =
        testbed_good(GATEWAY SITE("osaka", "10.2.0.0/16", "  like gcp\n  dpd 10s"));
    char *shown = config_show(config, true);

    CHECK(marked(shown, "pfs"));
    CHECK(marked(shown, "lifetime"));
    CHECK(marked(shown, "ike"));
    CHECK(!marked(shown, "dpd"));
    CHECK(!marked(shown, "encapsulate"));
    CHECK(!marked(shown, "like"));
    free(shown);
    shown = config_show(config, false);
    CHECK(strstr(shown, "like") != NULL);
    CHECK(strstr(shown, "aes256gcm16") == NULL);
    free(shown);
    char words[256];
    CHECK(config_preset_text(only_site(config), words, sizeof(words)) > 0);
    CHECK_TEXT(words, "ike, esp, pfs on, lifetime ike 10h, lifetime child 3h, fragmentation on, "
                      "children together");
    config_free(config);
}

TEST(an_unknown_product_is_told_with_what_was_meant)
{
    char *words = testbed_words(GATEWAY SITE("osaka", "10.2.0.0/16", "  like fortygate"));

    CHECK(strstr(words, "nothing is known about 'fortygate'") != NULL);
    CHECK(strstr(words, "did you mean 'fortigate' ?") != NULL);
    free(words);
}

TEST(too_many_pairs_are_told)
{
    char *words = testbed_words(
        "gateway tokyo.example.jp\nlan 10.1.0.0/24 10.1.1.0/24 10.1.2.0/24\n"
        "site osaka {\n  peer 192.0.2.1\n  key @osaka\n  children per-pair\n"
        "  network 10.2.0.0/24 10.2.1.0/24 10.2.2.0/24 10.2.3.0/24 10.2.4.0/24 10.2.5.0/24 "
        "10.2.6.0/24 10.2.7.0/24 10.2.8.0/24 10.2.9.0/24 10.2.10.0/24\n}\n");

    CHECK(strstr(words, "'children per-pair' would make more than 32 children of site osaka") !=
          NULL);
    free(words);
}

TEST(a_preset_leaves_out_what_the_site_cannot_have)
{
    struct config *config =
        testbed_good("gateway tokyo.example.jp\nsite osaka {\n  peer 192.0.2.1\n  key @osaka\n"
                     "  mode transport\n  ah sha256\n  like fortigate\n}\n");
    const struct config_site *site = only_site(config);

    CHECK_EQUAL(site->protection, CONFIG_AH);
    CHECK_EQUAL(site->children, CHILDREN_TOGETHER);
    CHECK_EQUAL(site->encapsulate, ENCAPSULATE_AUTO);
    config_free(config);
}
