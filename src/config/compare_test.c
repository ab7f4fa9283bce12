/* Hashes and differences: what is shown reads as the same, and every word of a site counts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/testbed.h"
#include "tests/support/test.h"

static const char full[] =
    "gateway tokyo.example.jp\nlan 10.1.0.0/16 2001:db8:1::/48\nlisten 203.0.113.1\nport 501 nat "
    "4501\n"
    "device vpn0\nworkers 3\ncookie-threshold 5\nhalf-open-max 500\n" SITE(
        "a", "10.2.0.0/16 10.3.0.0/16", "")
        SITE("b", "10.4.0.0/16",
             "legacy des md5 modp768; lan 10.1.3.0/24; only tcp 25; say \"x #y\"")
            SITE("c", "0.0.0.0/0",
                 "ike aes128-sha256-x25519 aes256gcm16-prfsha384-ecp384; esp aes256gcm16; identity "
                 "$x") "site d { peer any; identity any; network 10.6.0.0/16; key @d; lifetime ike "
                       "90m child 45s\n"
                       "lifetime bytes 5MiB packets 1000; dpd 2m; encapsulate never; replay-window "
                       "64; mss off; mtu 1400\n"
                       "fragmentation off; routes off; strict-identity; pfs off; disabled }\n"
                       "site e { peer 198.51.100.1 port 4500; peer gw.example; network "
                       "10.7.0.0/16; key @e; identity "
                       "\"any\"; start on-traffic; mss 1200; fragmentation 600 }\n";

static void check_same(const struct config *a, const struct config *b)
{
    CHECK(a->hash == b->hash);
    CHECK_EQUAL(a->site_count, b->site_count);
    for (size_t i = 0; i < a->site_count; i++) {
        CHECK_TEXT(a->sites[i].name, b->sites[i].name);
        CHECK(a->sites[i].hash == b->sites[i].hash);
        CHECK_BYTES(a->sites[i].ike, b->sites[i].ike, sizeof(*a->sites[i].ike));
        CHECK_BYTES(a->sites[i].esp, b->sites[i].esp, sizeof(*a->sites[i].esp));
        CHECK(a->sites[i].lifetime_bytes == b->sites[i].lifetime_bytes);
        CHECK(a->sites[i].start == b->sites[i].start);
        CHECK(a->sites[i].uses_legacy == b->sites[i].uses_legacy);
    }
}

TEST(what_is_shown_reads_as_the_same)
{
    char source[4096];
    snprintf(source, sizeof(source), "set x partner.example\n%s", full);
    struct config *c = testbed_good(source);

    for (int all = 0; all < 2; all++) {
        char *text = config_show(c, all == 1);
        struct config *again = testbed_good(text);
        char *second = config_show(again, all == 1);
        check_same(c, again);
        CHECK_TEXT(second, text);
        char *formatted = config_format(slice_of_text(text));
        CHECK_TEXT(formatted, text);
        free(formatted);
        free(second);
        config_free(again);
        free(text);
    }
    config_free(c);
}

TEST(show_says_only_what_differs_from_the_defaults_unless_all_is_wanted)
{
    struct config *c =
        testbed_good(GATEWAY SITE("osaka", "10.2.0.0/16", "pfs prefer; dpd 30s; mtu auto"));
    char *text = config_show(c, false);
    char *all = config_show(c, true);

    CHECK_TEXT(text, "gateway tokyo.example.jp\n"
                     "lan     10.1.0.0/16\n"
                     "\n"
                     "site osaka {\n"
                     "  peer    osaka.example.jp\n"
                     "  network 10.2.0.0/16\n"
                     "  key     @osaka\n"
                     "}\n");
    static const char *const visible[] = {"port",
                                          "device",
                                          "workers",
                                          "cookie-threshold",
                                          "half-open-max",
                                          "lan",
                                          "say",
                                          "identity",
                                          "strict-identity",
                                          "ike",
                                          "esp",
                                          "pfs",
                                          "lifetime",
                                          "dpd",
                                          "childless",
                                          "resume",
                                          "return",
                                          "resolve",
                                          "resume-key",
                                          "crash-tokens",
                                          "redirect",
                                          "follow-redirect",
                                          "reauthenticate",
                                          "encapsulate",
                                          "start",
                                          "replay-window",
                                          "icmp-errors",
                                          "guard",
                                          "offload",
                                          "mode",
                                          "each",
                                          "per-worker-sas",
                                          "df",
                                          "fragment",
                                          "dscp",
                                          "tfc",
                                          "iptfs",
                                          "compress",
                                          "mtu-probe",
                                          "mobike",
                                          "mss",
                                          "mtu",
                                          "fragmentation",
                                          "routes",
                                          "disabled"};
    for (size_t i = 0; i < ARRAY_LENGTH(visible); i++) {
        char needle[40];
        snprintf(needle, sizeof(needle), "%s ", visible[i]);
        CHECK(strstr(all, needle) != NULL);
    }
    free(text);
    free(all);
    config_free(c);
}

/* One more statement, or one in the place of another, and what the plan says about it. */
static const struct {
    const char *more;
    const char *words;
} changes[] = {
    {"peer b.example", "peer changed: will be negotiated again without a gap"},
    {"network 10.3.0.0/16", "network changed: tunnels will be made anew without a gap"},
    {"lan 10.1.2.0/24", "lan changed: tunnels will be made anew without a gap"},
    {"only tcp 25", "only changed: tunnels will be made anew without a gap"},
    {"say other", "say changed: will be negotiated again without a gap"},
    {"identity other", "identity changed: will be negotiated again without a gap"},
    {"identity any", "identity changed: will be negotiated again without a gap"},
    {"strict-identity", "strict-identity changed: will be negotiated again without a gap"},
    {"ike aes128-sha256-x25519", "ike changed: will be negotiated again without a gap"},
    {"esp aes128gcm16-x25519", "esp changed: tunnels will be made anew without a gap"},
    {"pfs off", "esp, pfs changed: tunnels will be made anew without a gap"},
    {"lifetime ike 3h", "lifetime changed"},
    {"lifetime child 3m", "lifetime changed"},
    {"lifetime bytes 1GiB", "lifetime changed"},
    {"lifetime packets 1000", "lifetime changed"},
    {"dpd 31s", "dpd changed"},
    {"childless on", "childless changed"},
    {"resume 1h", "resume changed"},
    {"return 10m", "return changed"},
    {"resolve off", "resolve changed"},
    {"uplink eth0 203.0.113.7", "uplink changed"},
    {"follow-redirect on", "follow-redirect changed"},
    {"redirect 203.0.113.9", "redirect changed"},
    {"redirect osaka2.example.jp", "redirect changed"},
    {"reauthenticate 1h", "reauthenticate changed"},
    {"encapsulate always", "encapsulate changed: will be negotiated again without a gap"},
    {"start wait", "start changed"},
    {"legacy des", "ike, esp, lifetime, legacy changed: will be negotiated again without a gap"},
    {"replay-window 2048", "replay-window changed: tunnels will be made anew without a gap"},
    {"mss 1300", "mss changed"},
    {"mss off", "mss changed"},
    {"mtu 1300", "mtu changed"},
    {"fragmentation off", "fragmentation changed: will be negotiated again without a gap"},
    {"fragmentation 1281", "fragmentation changed: will be negotiated again without a gap"},
    {"routes off", "routes changed"},
    {"disabled", "disabled changed"},
    {"ah", "esp, ah changed: tunnels will be made anew without a gap"},
    {"only tcp 25 both", "only changed: tunnels will be made anew without a gap"},
    {"each host", "each changed: tunnels will be made anew without a gap"},
    {"per-worker-sas 4", "per-worker-sas changed: tunnels will be made anew without a gap"},
    {"per-worker-sas off", "per-worker-sas changed: tunnels will be made anew without a gap"},
    {"df copy", "df changed"},
    {"fragment after", "fragment changed"},
    {"dscp clear", "dscp changed"},
    {"tfc pad 1400", "tfc changed"},
    {"tfc dummy 10s", "tfc changed"},
    {"iptfs rate 10Mb/s", "iptfs changed: tunnels will be made anew without a gap"},
    {"compress on", "compress changed: tunnels will be made anew without a gap"},
    {"mtu-probe off", "mtu-probe changed"},
    {"mobike off", "mobike changed: will be negotiated again without a gap"},
    {"revocation strict", "revocation changed: will be negotiated again without a gap"},
};

TEST(every_word_of_a_site_counts_and_the_plan_says_what_it_does)
{
    struct config *before = testbed_good(GATEWAY SITE("a", "10.2.0.0/16", ""));

    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        char text[512];
        struct config_change change[2];
        snprintf(text, sizeof(text), GATEWAY SITE("a", "10.2.0.0/16", "%s"), changes[i].more);
        struct config *after = testbed_good(text);
        CHECK_EQUAL(config_compare(before, after, change, 2), 1);
        CHECK_EQUAL(change[0].kind, SITE_CHANGED);
        CHECK_TEXT(change[0].words, changes[i].words);
        CHECK(before->hash != after->hash);
        config_free(after);
    }
    config_free(before);
}

TEST(a_site_without_a_key_proves_itself_by_certificates)
{
    static const char *const words[] = {
        "",
        "certificate a.pem key a.key",
        "certificate a.pem",
        "certificate a.pem key \"pkcs11:token=a;object=b\"",
        "certificate a.pem key \"pkcs11:token=a;object=b\" pin @c",
        "certificate a.pem key \"pkcs11:token=a;object=b\" pin @d",
        "trust b.pem c.pem",
        "trust b.pem; trust c.pem d.pem",
        "name \"C=JP, O=Partner, CN=*\"",
        "revocation strict",
        "crl http://ca.example/a.crl",
        "ocsp http://ca.example/a.crl",
        "ocsp http://b.example; ocsp http://c.example:81/ http://192.0.2.1/"};
    struct config *configs[ARRAY_LENGTH(words)];

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        char text[512];
        snprintf(text, sizeof(text), GATEWAY "site a { peer x.example; network 10.2.0.0/16; %s }",
                 words[i]);
        configs[i] = testbed_good(text);
        CHECK(configs[i]->sites[0].key.name == NULL);
        for (size_t j = 0; j < i; j++) {
            CHECK(configs[i]->hash != configs[j]->hash);
        }
        /* As it is shown it is read again. */
        for (int all = 0; all < 2; all++) {
            char *shown = config_show(configs[i], all != 0);
            struct config *again = testbed_good(shown);
            CHECK(again->sites[0].hash == configs[i]->sites[0].hash);
            config_free(again);
            free(shown);
        }
    }
    CHECK_TEXT(configs[1]->sites[0].certificate, "a.pem");
    CHECK_TEXT(configs[1]->sites[0].certificate_key, "a.key");
    CHECK(!config_key_is_in_token(&configs[1]->sites[0]));
    CHECK(config_key_is_in_token(&configs[4]->sites[0]));
    CHECK_TEXT(configs[4]->sites[0].certificate_pin, "c");
    CHECK_EQUAL(configs[7]->sites[0].trust_count, 3);
    CHECK(config_site_identity(&configs[0]->sites[0]) != NULL);
    CHECK(config_site_identity(&configs[8]->sites[0]) == NULL);
    CHECK_EQUAL(configs[9]->sites[0].revocation, CONFIG_REVOCATION_STRICT);
    CHECK_EQUAL(configs[12]->sites[0].asked->responder_count, 3);
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        config_free(configs[i]);
    }
}

TEST(what_a_site_takes_from_the_gateway_counts_too)
{
    struct config *a = testbed_good(GATEWAY SITE("a", "10.2.0.0/16", ""));
    struct config *b = testbed_good(GATEWAY "lan 10.7.0.0/16\n" SITE("a", "10.2.0.0/16", ""));
    struct config *c =
        testbed_good("gateway other.example\nlan 10.1.0.0/16\n" SITE("a", "10.2.0.0/16", ""));
    struct config *d = testbed_good("gateway tokyo.example.jp\nlan 10.9.0.0/16\n" SITE(
        "a", "10.2.0.0/16", "lan 10.1.0.0/16; say tokyo.example.jp"));

    CHECK(a->sites[0].hash != b->sites[0].hash);
    CHECK(a->sites[0].hash != c->sites[0].hash);
    CHECK(a->sites[0].hash == d->sites[0].hash);
    CHECK(a->hash != d->hash);
    config_free(a);
    config_free(b);
    config_free(c);
    config_free(d);
}

TEST(an_address_as_identity_is_more_than_an_address_to_dial)
{
    struct config *a =
        testbed_good(GATEWAY "site a { peer 198.51.100.1; network 10.2.0.0/16; key @a }");
    struct config *b =
        testbed_good(GATEWAY "site a { peer 198.51.100.1; network 10.2.0.0/16; key @a; "
                             "identity 198.51.100.1 }");
    struct config *c =
        testbed_good(GATEWAY "site a { peer 198.51.100.1; network 10.2.0.0/16; key @a; "
                             "identity \"auto\" }");
    char *all = config_show(a, true);
    struct config *again = testbed_good(all);

    CHECK(strstr(all, "  identity        auto\n") != NULL);
    CHECK(again->sites[0].identity == NULL);
    CHECK(a->sites[0].hash != b->sites[0].hash);
    CHECK_TEXT(c->sites[0].identity, "auto");
    config_free(a);
    config_free(b);
    config_free(c);
    config_free(again);
    free(all);
}

TEST(comments_blanks_and_order_of_statements_do_not_count)
{
    struct config *a = testbed_good(GATEWAY SITE("a", "10.2.0.0/16", "dpd 5s"));
    struct config *b =
        testbed_good("lan 10.1.0.0/16\n\n# x\ngateway tokyo.example.jp\nsite a { dpd 5s; key @a;"
                     " network 10.2.0.0/16; peer a.example.jp }");

    CHECK(a->hash == b->hash);
    config_free(a);
    config_free(b);
}

TEST(the_plan_lists_removed_sites_first_and_then_the_new_order)
{
    struct config *before = testbed_good(GATEWAY SITE("gone", "10.9.0.0/16", "") SITE(
        "a", "10.2.0.0/16", "") SITE("b", "10.3.0.0/16", ""));
    struct config *after = testbed_good(GATEWAY SITE("new", "10.4.0.0/16", "") SITE(
        "b", "10.3.0.0/16", "") SITE("a", "10.2.0.0/16", "mtu 1300"));
    struct config_change list[8];

    CHECK_EQUAL(config_compare(before, after, list, 8), 4);
    CHECK(list[0].kind == SITE_REMOVED && list[1].kind == SITE_ADDED);
    CHECK(list[2].kind == SITE_UNCHANGED && list[3].kind == SITE_CHANGED);
    CHECK_TEXT(list[0].old_site->name, "gone");
    CHECK(list[0].new_site == NULL && list[1].old_site == NULL);
    CHECK_TEXT(list[2].new_site->name, "b");
    CHECK_TEXT(list[3].old_site->name, "a");
    CHECK_EQUAL(config_compare(NULL, after, list, 1), 3);
    CHECK_EQUAL(config_compare(before, before, list, 8), 3);
    CHECK_EQUAL(list[0].kind, SITE_UNCHANGED);
    config_free(before);
    config_free(after);
}
