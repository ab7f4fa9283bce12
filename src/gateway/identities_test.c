/* Which site a stranger means. */
#include "gateway/inside.h"

#include <stdlib.h>

#include "tests/support/test.h"

static struct seeded_random seeded;
static struct random_source source;

static bool read_text(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    (void)path;
    (void)why;
    (void)why_bytes;
    *text = slice_of_text(context);
    return true;
}

static struct gateway *gateway_of(char *text)
{
    struct config_loader loader = {.read = read_text, .context = text};
    struct config_result *result = config_read("test.conf", &loader);

    CHECK(result != NULL);
    CHECK(result->config != NULL);
    struct config *config = config_take(result);

    config_result_free(result);
    seeded_random_init(&seeded, 1);
    source = seeded_random_source(&seeded);
    struct dataplane_settings plane = {.sa_max = 16, .policy_max = 64, .random = &source};

    CHECK(protect_start(PROTECT_OPENSSL));
    struct gateway_settings settings = {.dataplane = dataplane_new(&plane), .random = &source};
    struct gateway *g = gateway_new(&settings, 1000);

    CHECK(g != NULL);
    gateway_configure(g, config, 1000);
    return g;
}

static void done(struct gateway *g)
{
    struct dataplane *dp = g->dataplane;

    gateway_free(g);
    dataplane_free(dp);
}

static const char *site_for(const struct gateway *g, uint8_t type, struct slice said,
                            const char *requested, const char *from)
{
    struct ike_identity id;
    struct ike_identity wanted = {0};
    struct endpoint peer;

    CHECK(ike_identity_set(&id, type, said));
    if (requested != NULL) {
        CHECK(ike_identity_parse(slice_of_text(requested), &wanted));
    }
    CHECK(endpoint_parse(slice_of_text(from), 500, &peer));
    const struct site *site = identities_find(g, &id, &wanted, &peer);

    return site == NULL ? "nobody" : site->name;
}

static char names[] = "gateway hub.example.jp\nlan 10.1.0.0/16\n"
                      "site osaka { peer osaka.example.jp; network 10.2.0.0/16; key @k }\n"
                      "site strict { peer any; identity strict.example.jp; strict-identity on\n"
                      "  network 10.3.0.0/16; key @k }\n"
                      "site address { peer 203.0.113.9; network 10.4.0.0/16; key @k }\n"
                      "site group { peer any; identity @#67726f7570; network 10.5.0.0/16; key @k "
                      "}\n"
                      "site off { peer any; identity off.example.jp; network 10.6.0.0/16; key @k\n"
                      "  disabled }\n";

TEST(a_site_is_found_by_the_value_of_the_identity_whatever_its_type)
{
    struct gateway *g = gateway_of(names);
    static const uint8_t nine[4] = {203, 0, 113, 9};
    struct slice osaka = SLICE_TEXT("Osaka.Example.JP.");

    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, osaka, NULL, "192.0.2.1"), "osaka");
    CHECK_TEXT(site_for(g, IKEV2_ID_KEY_ID, osaka, NULL, "192.0.2.1"), "osaka");
    CHECK_TEXT(site_for(g, IKEV2_ID_IPV4_ADDR, SLICE_OF(nine), NULL, "192.0.2.1"), "address");
    CHECK_TEXT(site_for(g, IKEV2_ID_KEY_ID, SLICE_TEXT("group"), NULL, "192.0.2.1"), "group");
    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, SLICE_TEXT("kyoto.example.jp"), NULL, "192.0.2.1"),
               "nobody");
    done(g);
}

TEST(who_is_configured_by_its_address_alone_may_have_any_name_there_and_only_there)
{
    struct gateway *g = gateway_of(names);
    struct slice kyoto = SLICE_TEXT("kyoto.example.jp");

    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, kyoto, NULL, "203.0.113.9"), "address");
    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, kyoto, NULL, "203.0.113.10"), "nobody");
    done(g);
}

TEST(a_strict_site_wants_the_type_as_well)
{
    struct gateway *g = gateway_of(names);
    struct slice strict = SLICE_TEXT("strict.example.jp");

    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, strict, NULL, "192.0.2.1"), "strict");
    CHECK_TEXT(site_for(g, IKEV2_ID_KEY_ID, strict, NULL, "192.0.2.1"), "nobody");
    done(g);
}

TEST(a_disabled_site_is_found_to_be_refused)
{
    struct gateway *g = gateway_of(names);
    const struct site *site;
    struct ike_identity id;
    struct ike_identity none = {0};
    struct endpoint peer = {address_ipv4(1), 500};

    CHECK(ike_identity_parse(SLICE_TEXT("off.example.jp"), &id));
    site = identities_find(g, &id, &none, &peer);
    CHECK(site != NULL);
    CHECK(!site_is_enabled(site));
    done(g);
}

static char twins[] =
    "gateway hub.example.jp\nlan 10.1.0.0/16\n"
    "site one { peer 192.0.2.1; identity twin.example; network 10.2.0.0/16; key @a }\n"
    "site two { peer 192.0.2.2; identity twin.example; network 10.3.0.0/16; key @b }\n"
    "site three { peer 192.0.2.3; identity twin.example; say other.example; network "
    "10.4.0.0/16; key @c }\n"
    "site anybody { peer any; identity any; network 10.5.0.0/16; key @d }\n"
    "site there { peer 192.0.2.9; identity any; network 10.6.0.0/16; key @e }\n";

TEST(of_several_the_address_and_the_name_that_is_called_decide_and_any_is_last)
{
    struct gateway *g = gateway_of(twins);
    struct slice twin = SLICE_TEXT("twin.example");
    struct slice stranger = SLICE_TEXT("stranger.example");

    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, twin, NULL, "192.0.2.1"), "one");
    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, twin, NULL, "192.0.2.2"), "two");
    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, twin, "other.example", "192.0.2.1"), "three");
    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, stranger, NULL, "192.0.2.9"), "there");
    CHECK_TEXT(site_for(g, IKEV2_ID_FQDN, stranger, NULL, "198.51.100.1"), "anybody");
    done(g);
}

/* All of a list are told only by the first that comes up and by the last that goes. */
TEST(sites_of_one_peer_are_counted_and_one_that_is_alone_says_so)
{
    struct gateway *g = gateway_of(twins);

    CHECK_EQUAL(g->site_count, 5);
    for (size_t i = 0; i < g->site_count; i++) {
        g->sites[i]->secret_known = secret_set(&g->sites[i]->secret, SLICE_TEXT("the same key"));
        site_renew_terms(g->sites[i]);
        CHECK(g->sites[i]->terms != NULL);
        terms_refresh_initial_contact(g->sites[i]);
        CHECK(g->sites[i]->terms->policy.initial_contact);
    }
    CHECK(identities_of(g->sites[1]) == identities_of(g->sites[2]));
    for (size_t i = 1; i < 3; i++) {
        g->sites[i]->established_count = 1;
        terms_site_is_up(g->sites[i], true);
        for (size_t j = 0; j < 3; j++) {
            CHECK(!g->sites[j]->terms->policy.initial_contact);
        }
        CHECK(g->sites[3]->terms->policy.initial_contact);
    }
    CHECK_EQUAL(identities_of(g->sites[0])->same_identity_up, 2);
    g->sites[1]->established_count = 0;
    terms_site_is_up(g->sites[1], false);
    CHECK(!g->sites[0]->terms->policy.initial_contact);
    g->sites[2]->established_count = 0;
    terms_site_is_up(g->sites[2], false);
    for (size_t j = 0; j < 3; j++) {
        CHECK(g->sites[j]->terms->policy.initial_contact);
    }
    /* Made anew with a configuration, the lists count what is up. */
    g->sites[2]->established_count = 1;
    identities_clear(g);
    for (size_t i = 0; i < g->site_count; i++) {
        identities_add(g, g->sites[i]);
    }
    CHECK_EQUAL(identities_of(g->sites[0])->same_identity_up, 1);
    g->sites[2]->established_count = 0;
    terms_site_is_up(g->sites[2], false);
    CHECK_EQUAL(identities_of(g->sites[0])->same_identity_up, 0);
    done(g);
}
