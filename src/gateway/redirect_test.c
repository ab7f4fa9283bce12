/* Other gateways: node 1, which waits to be called, sends who calls to another address of its own.
 */
#include "gateway/inside.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

/* Lines of the gateway and of the site of node 1, and of the site of node 0, which begins. */
static void begin(uint64_t seed, const char *gateway, const char *site, const char *caller)
{
    char words[2 * GATEWAY_PAIR_TEXT_BYTES], waits[200];

    gateway_pair_open(&pair, seed);
    pair.nodes[1].second = address_ipv4(0xcb007109);
    pair.nodes[0].host = "other.example";
    pair.nodes[0].host_address = pair.nodes[1].second;
    snprintf(waits, sizeof(waits), "start wait\n  %s", site);
    gateway_pair_write_config(&pair, 0, caller);
    gateway_pair_write_config(&pair, 1, waits);
    snprintf(words, sizeof(words), "%s\n%s", gateway, pair.nodes[1].config);
    CHECK(strlen(words) < sizeof(pair.nodes[1].config));
    memcpy(pair.nodes[1].config, words, strlen(words) + 1);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
}

static void check_at(struct address where)
{
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK_EQUAL(site.state, STATUS_UP);
    CHECK(address_equal(&site.ike.peer.address, &where));
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
}

TEST(a_caller_is_sent_elsewhere_at_once_if_his_site_says_so)
{
    static const char *const where[] = {"redirect 203.0.113.9", "redirect other.example"};

    for (unsigned i = 0; i < 2; i++) {
        begin(700 + i, where[i], "", "follow-redirect on");
        CHECK(gateway_pair_up(&pair, 5000));
        check_at(pair.nodes[1].second);
        CHECK_EQUAL(pair.nodes[0].resolves, i);
        CHECK_EQUAL(pair.nodes[0].gateway->initiated, 2);
        gateway_pair_close(&pair);
    }
}

TEST(a_redirect_by_nobody_in_particular_is_told_and_not_followed)
{
    begin(702, "redirect 203.0.113.9", "", "");
    gateway_pair_run(&pair, 20000);
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK_EQUAL(site.state, STATUS_DOWN);
    CHECK_EQUAL(site.reason, REASON_REDIRECT_UNPROVEN);
    CHECK_TEXT(site.code, "SEK-R012");
    CHECK(strstr(site.sentence, "203.0.113.2 sends us to 203.0.113.9") != NULL);
    gateway_pair_close(&pair);
}

TEST(who_does_not_say_that_he_can_is_served)
{
    begin(703, "redirect 203.0.113.9", "redirect 203.0.113.9", "follow-redirect off");
    CHECK(gateway_pair_up(&pair, 5000));
    check_at(pair.nodes[1].outer);
    gateway_pair_close(&pair);
}

TEST(a_caller_who_proved_who_he_is_is_sent_elsewhere)
{
    begin(704, "", "redirect 203.0.113.9", "");
    CHECK(gateway_pair_up(&pair, 5000));
    check_at(pair.nodes[1].second);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(gateway_pair_site(&pair, i).ike_count, 1);
    }
    gateway_pair_close(&pair);
}

TEST(who_is_connected_goes_elsewhere_without_a_gap)
{
    begin(705, "", "", "");
    CHECK(gateway_pair_up(&pair, 5000));
    check_at(pair.nodes[1].outer);
    gateway_pair_run(&pair, 20000);
    gateway_pair_write_config(&pair, 1, "start wait\n  redirect other.example");
    gateway_pair_reload(&pair, 1);
    for (unsigned i = 0; i < 200; i++) {
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK(gateway_pair_passes(&pair, 1));
        gateway_pair_run(&pair, 50);
    }
    check_at(pair.nodes[1].second);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(gateway_pair_site(&pair, i).ike_count, 1);
        CHECK_EQUAL(pair.nodes[i].downs, 0);
    }
    /* The same line once more is nothing new. */
    uint64_t initiated = pair.nodes[0].gateway->initiated;

    gateway_pair_reload(&pair, 1);
    gateway_pair_run(&pair, 5000);
    CHECK_EQUAL(pair.nodes[0].gateway->initiated, initiated);
    gateway_pair_close(&pair);
}

TEST(when_nobody_is_there_the_hosts_of_the_configuration_are_called_again)
{
    begin(706, "", "", "");
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 20000);
    gateway_pair_write_config(&pair, 1, "start wait\n  redirect 203.0.113.77");
    gateway_pair_reload(&pair, 1);
    gateway_pair_run(&pair, 60000);
    /* What was there stays until then. */
    CHECK_EQUAL(pair.nodes[0].downs, 0);
    CHECK(gateway_pair_passes(&pair, 0));
    gateway_pair_close(&pair);
}

TEST(nobody_is_sent_round_in_circles_for_ever)
{
    struct ikev2_redirect to;
    struct address there = address_ipv4(0xcb007109);
    unsigned followed = 0;

    begin(707, "", "", "");
    CHECK(gateway_pair_up(&pair, 5000));
    ikev2_redirect_of_address(&there, &to);
    for (unsigned i = 0; i < 20; i++) {
        struct site *site = pair.nodes[0].gateway->sites[0];
        uint64_t initiated = pair.nodes[0].gateway->initiated;

        redirect_told(site->used->ike, &to, pair.now_ms);
        gateway_pair_run(&pair, 5000);
        followed += pair.nodes[0].gateway->initiated > initiated;
    }
    CHECK_EQUAL(followed, 5);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_UP);
    /* After five minutes they count anew. */
    gateway_pair_run(&pair, 300000);
    uint64_t initiated = pair.nodes[0].gateway->initiated;
    redirect_told(pair.nodes[0].gateway->sites[0]->used->ike, &to, pair.now_ms);
    gateway_settle(pair.nodes[0].gateway, pair.now_ms);
    gateway_pair_run(&pair, 5000);
    CHECK(pair.nodes[0].gateway->initiated > initiated);
    gateway_pair_close(&pair);
}

TEST(nobody_is_sent_to_where_nobody_can_be)
{
    static const uint32_t nowhere[] = {0, 0xe0000001};

    begin(708, "", "", "follow-redirect on");
    CHECK(gateway_pair_up(&pair, 5000));
    for (unsigned i = 0; i < ARRAY_LENGTH(nowhere); i++) {
        struct address there = address_ipv4(nowhere[i]);
        struct ikev2_redirect to;
        struct site *site = pair.nodes[0].gateway->sites[0];

        ikev2_redirect_of_address(&there, &to);
        redirect_told(site->used->ike, &to, pair.now_ms);
        CHECK(site->redirected == NULL);
    }
    gateway_pair_close(&pair);
}
