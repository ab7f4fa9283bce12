/* What callers who proved nothing can make a site say, and what they cannot. */
#include "gateway/inside.h"
#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

#include <stdio.h>

static struct gateway_pair pair;

static struct status_explanation explained(unsigned node, const char *name)
{
    struct status_explanation e;

    CHECK(gateway_explain(pair.nodes[node].gateway, name, pair.now_ms, &e));
    return e;
}

TEST(a_caller_from_the_address_of_a_waiting_site_with_another_name_is_told_there)
{
    struct status_attempt attempt;

    gateway_pair_open(&pair, 40);
    gateway_pair_write_config(&pair, 0, "say kyoto.example.jp");
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    struct status_site site = gateway_pair_site(&pair, 1);
    struct status_explanation e = explained(1, "tokyo");

    CHECK_EQUAL(site.state, STATUS_DOWN);
    CHECK_TEXT(site.code, "SEK-A015");
    CHECK_TEXT(site.sentence,
               "the peer says to be \"kyoto.example.jp\", expected was \"tokyo.example.jp\"");
    CHECK_TEXT(e.ours, "tokyo.example.jp");
    CHECK_TEXT(e.theirs, "kyoto.example.jp");
    CHECK_TEXT(e.checks[REASON_CHECK_REACH].sentence, "the messages of the peer arrive");
    CHECK_EQUAL(e.checks[REASON_CHECK_OFFER].result, STATUS_CHECK_OK);
    CHECK_EQUAL(e.checks[REASON_CHECK_IDENTITY].result, STATUS_CHECK_FAIL);
    CHECK(strstr(e.explanation, "key is right") == NULL);
    CHECK(gateway_attempt_at(pair.nodes[1].gateway, 0, &attempt));
    CHECK_TEXT(attempt.site, "tokyo");
    CHECK_EQUAL(attempt.reason, REASON_PEER_UNKNOWN);
    /* Corrected, nothing of it is left. */
    gateway_pair_write_config(&pair, 0, "");
    gateway_pair_reload(&pair, 0);
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_NONE);
    gateway_pair_close(&pair);
}

TEST(from_another_address_nothing_is_told_of_the_site)
{
    gateway_pair_open(&pair, 41);
    gateway_pair_write_config(&pair, 0, "say kyoto.example.jp");
    gateway_pair_write_config(&pair, 1, "start wait");
    pair.nodes[0].outer = address_ipv4(0xc6336407);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    struct status_attempt attempt;

    CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_WAITING_PEER);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).state, STATUS_WAITING);
    CHECK(gateway_attempt_at(pair.nodes[1].gateway, 0, &attempt));
    CHECK_TEXT(attempt.site, "");
    gateway_pair_close(&pair);
}

TEST(what_our_own_tries_found_is_not_hidden_and_names_whom_we_asked_for)
{
    gateway_pair_open(&pair, 42);
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway kyoto.example.jp\nlan 10.1.0.0/16\nsite nara {\n peer 203.0.113.2\n"
             " identity nara.example.jp\n network 10.2.0.0/16\n key @k\n}\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    bool found = false;

    for (unsigned i = 0; i < 60; i++) {
        gateway_pair_run(&pair, 1000);
        enum reason reason = gateway_pair_site(&pair, 1).reason;

        found = found || reason == REASON_AUTH_REFUSED;
        CHECK(!found || reason == REASON_AUTH_REFUSED);
    }
    struct status_explanation e = explained(1, "tokyo");

    CHECK(found);
    CHECK_TEXT(e.causes[2], "We ask for \"tokyo.example.jp\"; perhaps the peer has another name: "
                            "line identity of site tokyo.");
    gateway_pair_close(&pair);
}

TEST(whom_we_call_by_his_address_alone_is_not_asked_for_by_name)
{
    gateway_pair_open(&pair, 43);
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway tokyo.example.jp\nlan 10.1.0.0/16\nsite osaka {\n peer 203.0.113.2\n"
             " network 10.2.0.0/16\n key @k\n}\n");
    gateway_pair_write_config(&pair, 1, "start wait");
    pair.nodes[1].secret = "another key";
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    struct status_explanation e = explained(0, "osaka");

    CHECK_TEXT(e.site.code, "SEK-A012");
    for (size_t i = 0; i < e.cause_count; i++) {
        CHECK(strstr(e.causes[i], "We ask for") == NULL);
    }
    gateway_pair_close(&pair);
}

TEST(a_site_that_is_up_looks_well_whatever_is_said_from_its_address)
{
    gateway_pair_open(&pair, 44);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway tokyo.example.jp\nlan 10.1.0.0/16\nsite osaka {\n peer 203.0.113.2\n"
             " identity osaka.example.jp\n network 10.2.0.0/16\n key @osaka\n}\n"
             "site other {\n peer 203.0.113.2\n identity osaka.example.jp\n"
             " network 10.3.0.0/16\n key @k\n say nobody.example.jp\n}\n");
    gateway_pair_reload(&pair, 0);
    for (unsigned i = 0; i < 60; i++) {
        gateway_pair_run(&pair, 1000);
        CHECK_EQUAL(gateway_pair_site(&pair, 1).state, STATUS_UP);
        CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_NONE);
    }
    struct status_attempt attempt;

    CHECK(gateway_attempt_at(pair.nodes[1].gateway, 0, &attempt));
    CHECK_EQUAL(attempt.reason, REASON_PEER_UNKNOWN);
    CHECK_TEXT(attempt.site, "");
    gateway_pair_close(&pair);
}

TEST(proposals_that_do_not_meet_are_told_with_both_sides_words_as_responder)
{
    struct status_attempt attempt;

    gateway_pair_open(&pair, 45);
    gateway_pair_write_config(&pair, 0, "ike aes256gcm16-sha384-ecp384");
    /* Another site at the same address, which is waiting as well: both are told, each its own. */
    snprintf(pair.nodes[1].config, sizeof(pair.nodes[1].config),
             "gateway osaka.example.jp\nlan 10.2.0.0/16\nsite tokyo {\n peer 203.0.113.1\n"
             " identity tokyo.example.jp\n network 10.1.0.0/16\n key @k\n start wait\n"
             " ike aes128-sha256-x25519\n}\nsite nara {\n peer 203.0.113.1\n"
             " identity nara.example.jp\n network 10.4.0.0/16\n key @k\n start wait\n"
             " ike aes256-sha512-ecp521\n}\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    struct status_explanation tokyo = explained(1, "tokyo");
    struct status_explanation nara = explained(1, "nara");

    CHECK_TEXT(tokyo.site.code, "SEK-O001");
    CHECK_TEXT(nara.site.code, "SEK-O001");
    CHECK_TEXT(tokyo.site.sentence,
               "no common IKE proposal; we allow aes128-sha256-x25519; the peer wants "
               "aes256gcm16-prfsha384-ecp384");
    CHECK(strstr(tokyo.ours, "521") == NULL);
    CHECK(strstr(nara.ours, "521") != NULL);
    CHECK(strstr(tokyo.theirs, "384") != NULL);
    CHECK_EQUAL(tokyo.checks[REASON_CHECK_REACH].result, STATUS_CHECK_OK);
    CHECK_EQUAL(tokyo.checks[REASON_CHECK_OFFER].result, STATUS_CHECK_FAIL);
    CHECK(gateway_attempt_at(pair.nodes[1].gateway, 0, &attempt));
    CHECK_TEXT(attempt.site, "");
    gateway_pair_close(&pair);
}

TEST(esp_without_an_sa_is_told_of_a_site_that_waits_and_not_of_one_that_calls)
{
    for (unsigned wanted = 0; wanted < 2; wanted++) {
        gateway_pair_open(&pair, 47 + wanted);
        gateway_pair_start(&pair, 0);
        gateway_pair_start(&pair, 1);
        CHECK(gateway_pair_up(&pair, 5000));
        gateway_pair_crash(&pair, 1);
        gateway_pair_write_config(&pair, 1, wanted == 1 ? "" : "start wait");
        gateway_pair_start(&pair, 1);
        gateway_pair_offer(&pair, 0);
        gateway_pair_run(&pair, 15);
        enum reason reason = gateway_pair_site(&pair, 1).reason;

        CHECK_EQUAL(reason == REASON_UNKNOWN_SPI, wanted == 0);
        while (!gateway_pair_passes(&pair, 0)) {
            CHECK(pair.now_ms < 1060000);
        }
        CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_NONE);
        gateway_pair_close(&pair);
    }
}

TEST(looking_for_sites_by_an_address_is_rationed)
{
    gateway_pair_open(&pair, 46);
    gateway_pair_start(&pair, 0);
    struct gateway *g = pair.nodes[0].gateway;
    struct address one = address_ipv4(0xcb007105);

    CHECK(hearsay_may_look(g, LOOK_HINT, &one, 5000000));
    CHECK(!hearsay_may_look(g, LOOK_HINT, &one, 5000499));
    CHECK(hearsay_may_look(g, LOOK_HINT, &one, 5000500));
    unsigned walks = 0;

    for (uint32_t i = 0; i < 100000; i++) {
        struct address from = address_ipv4(0x0a000000 + i);

        walks += hearsay_may_look(g, LOOK_UNREACHABLE, &from, 6000000 + i / 100);
    }
    CHECK(walks <= 20);
    CHECK(walks >= 10);
    gateway_pair_close(&pair);
}
