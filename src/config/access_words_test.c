/* Blocks for people, and sites that log in as one of them: what they mean, what is refused, and
 * that what is shown is read again as the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/compare.h"
#include "config/testbed.h"
#include "tests/support/test.h"

#define STAFF(more)                                                                                \
    GATEWAY "remote-access staff {\n  via xauth\n  key @grp\n  addresses 10.9.6.0/24\n" more "\n}" \
            "\n"

TEST(a_block_is_a_site_for_anybody_with_the_pool_behind_it)
{
    struct config *c = testbed_good(STAFF(""));
    const struct config_site *site = &c->sites[0];
    const struct config_access *access = site->access;

    CHECK_EQUAL(c->site_count, 1);
    CHECK(access != NULL && strcmp(site->name, "staff") == 0);
    CHECK(site->version == CONFIG_IKE_V1 && !site->aggressive && site->start == START_WAIT);
    CHECK(site->peer_count == 1 && site->peers[0].any && site->identity_any);
    CHECK_EQUAL(site->network_count, 1);
    CHECK_EQUAL(site->networks[0].prefix_bits, 24);
    CHECK_EQUAL(access->range_count, 1);
    CHECK_EQUAL(get_u32(access->ranges[0].first.bytes), 0x0a090600);
    CHECK_EQUAL(access->max_sessions, 1);
    CHECK(access->when_full == CONFIG_FULL_OLDEST_GOES && access->idle_ms == NEVER_MS);
    CHECK(access->traffic == CONFIG_TRAFFIC_LAN && !access->hybrid && access->group == NULL);
    config_free(c);
}

TEST(every_word_of_the_block_is_meant)
{
    struct config *c = testbed_good(
        GATEWAY
        "remote-access staff {\n via xauth\n key @grp\n group-name staff\n legacy aggressive\n"
        " addresses 10.9.6.0/25 10.9.7.10-10.9.7.20\n address bob 10.9.6.9\n address alice "
        "10.9.7.10\n"
        " dns 10.1.0.53 10.1.0.54 corp.example.jp\n wins 10.1.0.55\n banner \"Hello; you\"\n"
        " traffic everything\n login local\n settings pushed\n save-password on\n"
        " max-sessions 2 refuse\n idle-timeout 8h\n dpd 20s\n}\n");
    const struct config_site *site = &c->sites[0];
    const struct config_access *a = site->access;

    CHECK(site->aggressive && strcmp(site->identity, "staff") == 0 && !site->identity_any);
    CHECK_EQUAL(a->range_count, 2);
    /* 10.9.7.10-20 is three networks: /31 /30 /30 /32 and the first /25. */
    CHECK_EQUAL(site->network_count, 5);
    CHECK_EQUAL(a->fixed_count, 2);
    CHECK(strcmp(a->fixed[0].user, "alice") == 0 && strcmp(a->fixed[1].user, "bob") == 0);
    CHECK_EQUAL(get_u32(a->fixed[0].address.bytes), 0x0a09070a);
    CHECK(a->dns_count == 2 && strcmp(a->domain, "corp.example.jp") == 0 && a->wins_count == 1);
    CHECK(strcmp(a->banner, "Hello; you") == 0 && a->traffic == CONFIG_TRAFFIC_EVERYTHING);
    CHECK(a->settings == CONFIG_SETTINGS_PUSHED && a->save_password && a->max_sessions == 2);
    CHECK(a->when_full == CONFIG_FULL_REFUSE && a->idle_ms == 8 * UINT64_C(3600000));
    CHECK_EQUAL(site->dpd_ms, 20000);
    config_free(c);
}

/* Shown with all defaults or without, it is read again as the same. */
static void check_read_again(const char *text)
{
    struct config *c = testbed_good(text);

    for (int all = 0; all < 2; all++) {
        char *shown = config_show(c, all == 1);
        struct config *again = testbed_good(shown);

        if (again->hash != c->hash) {
            fail_msg("%s", shown);
        }
        config_free(again);
        free(shown);
    }
    config_free(c);
}

TEST(what_is_shown_is_read_again_as_the_same)
{
    check_read_again(STAFF(""));
    check_read_again(STAFF("group-name \"a group\"; legacy aggressive 3des sha1 modp1024"));
    check_read_again(STAFF(
        "dns 10.1.0.53 a.example; wins 10.1.0.2; banner \"x \\\"y\\\"\"; "
        "max-sessions off; idle-timeout 5m; settings pushed; traffic "
        "everything; second-factor totp appended; address \"a b\" 10.9.6.7; save-password on"));
    check_read_again("radius 10.1.0.20 @radius\n" STAFF("login radius then local"));
    check_read_again(GATEWAY SITE("a", "10.2.0.0/16", "ike v1; login bob @bob; address ask"));
    check_read_again(GATEWAY SITE("a", "10.2.0.0/16",
                                  "ike v1 aggressive; legacy aggressive; group-name staff; login "
                                  "bob @bob; address take"));
}

TEST(what_the_manual_shows_first_is_right)
{
    struct config *c = testbed_good(
        GATEWAY "remote-access staff {\n via xauth\n group-name staff\n key @staff-group\n legacy "
                "aggressive\n addresses 10.9.6.0/24\n dns 10.1.0.53 corp.example.jp\n}\n");

    CHECK(c->sites[0].aggressive);
    config_free(c);
    /* The words of a client of that time. */
    c = testbed_good(GATEWAY "remote-access cisco-vpnclient { via xauth; legacy aggressive "
                             "modp1024 sha1; group-name staff; key @grp; addresses 10.9.6.0/24 }");
    CHECK(c->sites[0].aggressive && c->sites[0].uses_legacy);
    config_free(c);
}

static const struct {
    const char *text, *words;
} mistakes[] = {
    {"remote-access x { via ikev2; addresses 10.9.0.0/24; key @a }",
     "'ikev2' is not in this version of Sekisho"},
    {"remote-access x { via l2tp; addresses 10.9.0.0/24; key @a }",
     "'l2tp' is not in this version of Sekisho"},
    {"remote-access x { via pptp; addresses 10.9.0.0/24; key @a }",
     "'pptp' is not in this version of Sekisho"},
    {"remote-access x { via xauth l2tp; addresses 10.9.0.0/24; key @a }",
     "'l2tp' is not in this version of Sekisho"},
    {"remote-access x { via carrier; addresses 10.9.0.0/24; key @a }",
     "'carrier' is no way in which people come"},
    {"remote-access x { via xauth; key @a }", "remote-access x has no addresses for people"},
    {"remote-access x { addresses 10.9.0.0/24; key @a }", "remote-access x does not say by what"},
    {"remote-access x { via xauth; key @a; addresses dhcp via 10.1.0.2 }",
     "'addresses dhcp' is not in this version"},
    {"remote-access x { via xauth; key @a; addresses fd00::/64 }",
     "people who come by xauth get addresses of IPv4"},
    {"remote-access x { via xauth; key @a; addresses 224.0.0.0/24 }",
     "nobody can have such an address"},
    {"remote-access x { via xauth; key @a; addresses 10.0.0.0/8 }",
     "pool 10.0.0.0/8 has lan 10.1.0.0/16 in it (line 2)"},
    {"remote-access x { via xauth; key @a; addresses 11.0.0.0/7 }", "11.0.0.0/7 is not a network"},
    {"remote-access x { via xauth; key @a; addresses 12.0.0.0/6 }", "are too many"},
    {"remote-access x { via xauth; key @a; addresses 10.1.0.0/16 }",
     "pool 10.1.0.0/16 has lan 10.1.0.0/16 in it"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; address bob 10.9.1.1 }",
     "the address 10.9.1.1 of bob is not among the addresses of remote-access x"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; address bob 10.9.0.1; address "
     "eve 10.9.0.1 }",
     "the address 10.9.0.1 is that of"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; address bob 10.9.0.1; address "
     "bob 10.9.0.2 }",
     "the user bob has two addresses"},
    {"remote-access x { via xauth hybrid; key @a; addresses 10.9.0.0/24 }",
     "with hybrid the gateway has a certificate"},
    {"remote-access x { via xauth; key @a; trust x.pem; addresses 10.9.0.0/24 }",
     "remote-access x has a group key, and no certificates are looked at"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; login radius }",
     "logins are asked of RADIUS here, and no server is said"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; login ldap }",
     "here stands who is asked: local or radius"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; traffic some }",
     "'some' is nothing that traffic can be"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; traffic everything except "
     "10.3.0.0/16 }",
     "'traffic everything except' is not in this version"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; max-sessions 0 }",
     "from 1 to 1000"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; max-sessions 2 wait }",
     "'wait' is nothing that happens to one session more"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; idle-timeout 1s }", "1s"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; dns corp.example.jp }",
     "here stands the address of a server"},
    {"remote-access x { via xauth; key @a; adresses 10.9.0.0/24 }",
     "unknown word 'adresses' in remote-access"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; peer a }",
     "'peer' does not stand in a remote-access block"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; pool 10.9.1.0/24 }",
     "did you mean 'addresses' ?"},
    {"remote-access x { via xauth; key @a; addresses 10.9.0.0/24; ike v2 }",
     "'via xauth' is spoken in IKEv1"},
    {"remote-access x { via xauth; key @a; addresses 10.2.0.0/16 }\n" SITE("b", "10.2.0.0/16", ""),
     "network 10.2.0.0/16 is behind remote-access x too"},
    {SITE("b", "10.2.0.0/16", "login bob @bob"), "'login' belongs to IKEv1"},
    {SITE("b", "10.2.0.0/16", "ike either; address ask"), "'address' belongs to IKEv1"},
    {SITE("b", "10.2.0.0/16", "ike v1; login bob bob"), "the key itself does not stand here"},
    {SITE("b", "10.2.0.0/16", "ike v1; login bob @bob hybrid"), "with hybrid the gateway has"},
    {SITE("b", "10.2.0.0/16", "ike v1; address 203.0.113.9"), "whom to dial is said with: peer"},
    {SITE("b", "10.2.0.0/16", "ike v1; group-name g; say x"),
     "the name of the group is who we say to be"},
    {SITE("b", "10.2.0.0/16", "ike v1; address ask; lan 10.3.0.0/16"),
     "with 'address' we are one host"},
    {"site b { peer any; network 10.2.0.0/16; key @b; ike v1; login bob @bob }",
     "who logs in calls"},
};

TEST(every_mistake_is_told)
{
    for (size_t i = 0; i < ARRAY_LENGTH(mistakes); i++) {
        char text[600];

        snprintf(text, sizeof(text), GATEWAY "%s\n", mistakes[i].text);
        char *words = testbed_words(text);

        if (strstr(words, mistakes[i].words) == NULL || strstr(words, "error") == NULL) {
            fail_msg("%s: %s", mistakes[i].text, words);
        }
        free(words);
    }
}

TEST(what_is_dangerous_is_warned_of)
{
    char *words = testbed_words(STAFF(""));

    CHECK(strstr(words, "each of them can pretend to be this gateway") != NULL);
    free(words);
    words = testbed_words(GATEWAY "remote-access x { via xauth; key @a; addresses 10.1.9.0/24 }");
    CHECK(strstr(words, "warning: pool 10.1.9.0/24 overlaps lan 10.1.0.0/16 (line 2)") != NULL);
    free(words);
    words = testbed_words(STAFF("legacy aggressive"));
    CHECK(strstr(words, "value by which the shared key is guessed") != NULL);
    free(words);
}

static void check_change(const char *before, const char *after, const char *words)
{
    struct config *a = testbed_good(before);
    struct config *b = testbed_good(after);
    struct config_change changes[2];

    CHECK_EQUAL(config_compare(a, b, changes, ARRAY_LENGTH(changes)), 1);
    if (strcmp(changes[0].words, words) != 0) {
        fail_msg("%s instead of %s", changes[0].words, words);
    }
    config_free(a);
    config_free(b);
}

TEST(the_plan_of_a_change_says_what_becomes_of_sessions)
{
    check_change(STAFF(""), STAFF(""), "unchanged, stays as it is");
    check_change(STAFF(""), STAFF("banner x"), "banner changed");
    check_change(STAFF(""), STAFF("addresses 10.9.7.0/24"),
                 "pool grows 10.9.6.0/24 -> 512 addresses, sessions stay");
    check_change(STAFF(""),
                 GATEWAY "remote-access staff {\n  via xauth\n  key @grp\n  addresses "
                         "10.9.6.0/23\n}\n",
                 "pool grows 10.9.6.0/24 -> 10.9.6.0/23, sessions stay");
    check_change(STAFF(""),
                 GATEWAY "remote-access staff {\n  via xauth\n  key @grp\n  addresses "
                         "10.9.8.0/24\n}\n",
                 "pool changed 10.9.6.0/24 -> 10.9.8.0/24, sessions in both stay");
    check_change(STAFF(""), STAFF("group-name x"),
                 "group-name changed: will be negotiated again without a gap");
}

TEST(a_site_that_logs_in_says_the_name_of_its_group)
{
    struct config *c = testbed_good(
        /* Who is given an address needs no network of his own. */
        "gateway laptop.example.jp\n"
        "site hq { peer vpn.example.net; key @grp; ike v1 aggressive; legacy aggressive; "
        "group-name staff; login alice @alice-password; address ask }");
    const struct config_site *site = &c->sites[0];

    CHECK(site->caller != NULL && site->access == NULL);
    CHECK(strcmp(site->say, "keyid:staff") == 0 && strcmp(site->caller->group, "staff") == 0);
    CHECK(strcmp(site->caller->user, "alice") == 0);
    CHECK(strcmp(site->caller->password.name, "alice-password") == 0);
    CHECK(site->caller->asks_address && !site->caller->takes_push && !site->caller->hybrid);
    CHECK_EQUAL(site->network_count, 0);
    config_free(c);
}
