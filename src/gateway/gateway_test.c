/* Two whole gateways and what becomes of their site. */
#include "gateway/inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"
#include "wire/ikev2.h"

static struct gateway_pair pair;

static void open_both(uint64_t seed)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
}

static void open_up(uint64_t seed)
{
    open_both(seed);
    CHECK(gateway_pair_up(&pair, 5000));
}

static void close_both(void)
{
    for (unsigned i = 0; i < 2; i++) {
        CHECK(pair.nodes[i].gateway == NULL || gateway_pair_doors_add_up(&pair, i));
    }
    gateway_pair_close(&pair);
}

static void check_one_sa(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct status_site site = gateway_pair_site(&pair, i);

        CHECK_EQUAL(site.state, STATUS_UP);
        CHECK_EQUAL(site.reason, REASON_NONE);
        CHECK_EQUAL(site.ike_count, 1);
        CHECK_EQUAL(site.child_count, 1);
    }
    CHECK(gateway_pair_site(&pair, 0).ike.spi_i == gateway_pair_site(&pair, 1).ike.spi_i);
    CHECK(gateway_pair_site(&pair, 0).ike.spi_r == gateway_pair_site(&pair, 1).ike.spi_r);
}

static bool lose_all(void *context, const struct gateway_pair_datagram *datagram)
{
    (void)context;
    (void)datagram;
    return true;
}

TEST(a_site_comes_up_and_packets_pass_both_ways)
{
    open_up(1);
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK_TEXT(site.name, "osaka");
    CHECK_EQUAL(site.in_packets, 1);
    CHECK_EQUAL(site.out_packets, 1);
    CHECK_TEXT(site.ike.peer_identity, "osaka.example.jp");
    CHECK(!site.ike.nat_local);
    CHECK(!site.ike.nat_peer);
    CHECK(gateway_pair_has_route(&pair, 0, "10.2.0.0/16"));
    CHECK(gateway_pair_has_route(&pair, 1, "10.1.0.0/16"));
    close_both();
}

TEST(both_began_at_once_and_one_ike_sa_is_left)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        open_up(seed);
        uint64_t end_ms = pair.now_ms + 30000;

        while (pair.now_ms < end_ms) {
            CHECK(gateway_pair_passes(&pair, 0));
            CHECK(gateway_pair_passes(&pair, 1));
        }
        check_one_sa();
        CHECK_EQUAL(pair.nodes[0].downs, 0);
        CHECK_EQUAL(pair.nodes[1].downs, 0);
        close_both();
    }
}

TEST(while_a_site_is_down_its_traffic_is_dropped_and_never_sent)
{
    gateway_pair_open(&pair, 2);
    gateway_pair_start(&pair, 0);
    gateway_pair_run(&pair, 1000);
    CHECK(gateway_pair_has_route(&pair, 0, "10.2.0.0/16"));
    CHECK(!gateway_pair_passes(&pair, 0));
    CHECK_EQUAL(gateway_pair_dropped(&pair, 0, DROP_NO_SA), 1);
    close_both();
}

TEST(a_silent_peer_is_named_and_called_again_for_ever)
{
    gateway_pair_open(&pair, 3);
    gateway_pair_start(&pair, 0);
    gateway_pair_run(&pair, 6000);
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK_EQUAL(site.state, STATUS_CONNECTING);
    CHECK_TEXT(site.sentence, "is being connected: 203.0.113.2 has not answered yet");
    gateway_pair_run(&pair, 54000);
    site = gateway_pair_site(&pair, 0);

    CHECK_EQUAL(site.state, STATUS_DOWN);
    CHECK_EQUAL(site.reason, REASON_NO_ANSWER);
    CHECK_TEXT(site.sentence, "203.0.113.2 does not answer on UDP 500");
    gateway_pair_run(&pair, 3600 * 1000);
    unsigned tries = gateway_pair_site(&pair, 0).tries;

    /* About half a minute of asking and at most a minute and a quarter of waiting. */
    CHECK(tries > 35);
    CHECK(tries < 75);
    CHECK(pair.nodes[0].log_lines < 70);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    close_both();
}

TEST(after_a_crash_of_the_peer_the_new_ike_sa_replaces_the_old_one_at_once)
{
    for (unsigned who = 0; who < 2; who++) {
        open_up(4 + who);
        gateway_pair_run(&pair, 30000);
        check_one_sa();
        gateway_pair_crash(&pair, who);
        gateway_pair_run(&pair, 5000);
        CHECK_EQUAL(gateway_pair_site(&pair, 1 - who).state, STATUS_UP);
        gateway_pair_start(&pair, who);
        CHECK(gateway_pair_up(&pair, 2000));
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK(gateway_pair_passes(&pair, 1));
        check_one_sa();
        CHECK_EQUAL(pair.nodes[1 - who].downs, 0);
        close_both();
    }
}

TEST(a_peer_that_is_dead_is_noticed_and_called_again)
{
    gateway_pair_open(&pair, 6);
    gateway_pair_write_config(&pair, 0, "dpd 10s");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_crash(&pair, 1);
    gateway_pair_run(&pair, 60000);
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK_EQUAL(site.state, STATUS_DOWN);
    CHECK(site.reason == REASON_PEER_DEAD || site.reason == REASON_NO_ANSWER);
    CHECK(!gateway_pair_passes(&pair, 0));
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 3000));
    close_both();
}

TEST(a_peer_that_forgot_us_is_called_anew_as_soon_as_traffic_is_not_answered)
{
    open_up(32);
    gateway_pair_run(&pair, 30000);
    gateway_pair_crash(&pair, 1);
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 1);
    bool passed = false;
    uint64_t began_ms = pair.now_ms;

    while (!passed && pair.now_ms < began_ms + 15000) {
        passed = gateway_pair_passes(&pair, 0);
    }
    CHECK(passed);
    gateway_pair_run(&pair, 40000);
    check_one_sa();
    close_both();
}

TEST(a_flow_that_is_one_way_by_nature_is_left_alone)
{
    open_up(33);
    gateway_pair_run(&pair, 30000);
    uint64_t spi = gateway_pair_site(&pair, 0).ike.spi_i;
    unsigned sends = pair.nodes[0].sends;

    for (unsigned i = 0; i < 1200; i++) {
        CHECK(gateway_pair_passes(&pair, 0));
    }
    CHECK(gateway_pair_site(&pair, 0).ike.spi_i == spi);
    CHECK(pair.nodes[0].sends < sends + 12);
    close_both();
}

static unsigned looks_within(struct site *site, uint64_t for_ms)
{
    unsigned looks = 0;
    uint64_t until_ms = pair.now_ms + for_ms;

    while (pair.now_ms < until_ms) {
        uint64_t next_ms = site->silence_look_ms;

        gateway_pair_run(&pair, 100);
        looks += site->silence_look_ms > next_ms ? 1 : 0;
    }
    return looks;
}

TEST(a_site_that_sends_nothing_is_seldom_looked_at)
{
    open_up(34);
    struct site *site = pair.nodes[0].gateway->sites[0];

    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(looks_within(site, 30000) <= 21);
    unsigned looks = looks_within(site, 600000);

    CHECK(looks >= 19);
    CHECK(looks <= 21);
    /* While it sends, as often as ever. */
    looks = 0;
    for (unsigned i = 0; i < 100; i++) {
        CHECK(gateway_pair_passes(&pair, 0));
        looks += looks_within(site, 200);
    }
    CHECK(looks >= 12);
    close_both();
}

/* RFC 7296 2.4: the question is asked as soon after hours as after seconds. */
TEST(a_site_that_sends_again_is_looked_at_within_seconds)
{
    open_up(35);
    struct site *site = pair.nodes[0].gateway->sites[0];

    CHECK(gateway_pair_passes(&pair, 0));
    gateway_pair_run(&pair, 200000);
    for (unsigned phase = 0; phase < 5; phase++) {
        gateway_pair_run(&pair, 61000 + phase * 7000);
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK(site->silence_look_ms <= pair.now_ms + 1500);
    }
    gateway_pair_run(&pair, 67000);
    CHECK(site->silence_look_ms > pair.now_ms + 1500);
    gateway_pair_crash(&pair, 1);
    unsigned sends = pair.nodes[0].sends;
    uint64_t began_ms = pair.now_ms, asked_ms = 0;

    while (pair.now_ms < began_ms + 10000 && asked_ms == 0) {
        gateway_pair_offer(&pair, 0);
        gateway_pair_run(&pair, 100);
        asked_ms = site->silence_ask_ms != 0 ? pair.now_ms : 0;
    }
    CHECK(pair.nodes[0].sends > sends);
    CHECK(asked_ms > 0);
    CHECK(asked_ms - began_ms <= 2500);
    close_both();
}

/* Nothing is sent, but a question of liveness has no answer: he is called anew before it is given
 * up. */
TEST(a_site_that_sends_nothing_learns_of_silence_from_requests_that_are_repeated)
{
    open_up(36);
    struct site *site = pair.nodes[0].gateway->sites[0];

    gateway_pair_run(&pair, 100000);
    gateway_pair_crash(&pair, 1);
    struct ikev2_sa_info info = {0};
    uint64_t until_ms = pair.now_ms + 400000;

    while (pair.now_ms < until_ms && info.retransmissions < 2) {
        gateway_pair_run(&pair, 100);
        CHECK(site->used != NULL);
        machine_get_info(site->used->ike, &info);
    }
    CHECK_EQUAL(info.retransmissions, 2);
    gateway_pair_run(&pair, 1600);
    CHECK(site->silent);
    close_both();
}

TEST(a_wrong_key_is_said_on_both_sides)
{
    gateway_pair_open(&pair, 7);
    pair.nodes[1].secret = "another key";
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    struct status_site ours = gateway_pair_site(&pair, 0);
    struct status_site theirs = gateway_pair_site(&pair, 1);

    CHECK_EQUAL(ours.state, STATUS_DOWN);
    CHECK_EQUAL(ours.reason, REASON_AUTH_REFUSED);
    CHECK_TEXT(ours.code, "SEK-A012");
    CHECK_EQUAL(theirs.reason, REASON_AUTH_WRONG);
    struct status_explanation e;

    CHECK(gateway_explain(pair.nodes[0].gateway, "osaka", pair.now_ms, &e));
    CHECK_EQUAL(e.checks[REASON_CHECK_REACH].result, STATUS_CHECK_OK);
    CHECK_EQUAL(e.checks[REASON_CHECK_OFFER].result, STATUS_CHECK_OK);
    CHECK_EQUAL(e.checks[REASON_CHECK_IDENTITY].result, STATUS_CHECK_FAIL);
    CHECK_EQUAL(e.checks[REASON_CHECK_NETWORKS].result, STATUS_CHECK_NOT_REACHED);
    CHECK(e.cause_count > 0);
    CHECK_TEXT(e.causes[0], "The shared keys differ.");
    CHECK_TEXT(e.causes[1], "The peer expects another name from us. We say \"tokyo.example.jp\".");
    CHECK(strstr(e.evidence, "AUTHENTICATION_FAILED") != NULL);
    /* Somebody corrects it: the next try reads the key again. */
    pair.nodes[1].secret = pair.nodes[0].secret;
    CHECK(gateway_pair_up(&pair, 70000));
    close_both();
}

TEST(a_name_that_nobody_expects_is_refused_and_remembered)
{
    gateway_pair_open(&pair, 8);
    gateway_pair_write_config(&pair, 0, "say kyoto.example.jp");
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    struct status_attempt attempt;

    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_AUTH_REFUSED);
    CHECK(gateway_attempt_at(pair.nodes[1].gateway, 0, &attempt));
    CHECK_EQUAL(attempt.reason, REASON_PEER_UNKNOWN);
    CHECK_TEXT(attempt.identity, "kyoto.example.jp");
    CHECK_TEXT(attempt.sentence, "somebody at 203.0.113.1 says to be \"kyoto.example.jp\": no "
                                 "site expects that name");
    CHECK(attempt.times > 1);
    CHECK(!gateway_attempt_at(pair.nodes[1].gateway, 1, &attempt));
    close_both();
}

TEST(a_secret_that_cannot_be_read_is_named_and_read_again)
{
    gateway_pair_open(&pair, 9);
    pair.nodes[0].secret = NULL;
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 3000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NO_SECRET);
    pair.nodes[0].secret = pair.nodes[1].secret;
    CHECK(gateway_pair_up(&pair, 70000));
    close_both();
}

TEST(a_name_without_address_and_a_missing_route_are_named)
{
    gateway_pair_open(&pair, 10);
    pair.nodes[1].outer = address_ipv4(0xc6336409);
    gateway_pair_write_config(&pair, 1, "start wait");
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway tokyo.example.jp\nlan 10.1.0.0/16\nsite osaka {\n peer osaka.example.jp\n"
             " network 10.2.0.0/16\n key @osaka\n}\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 1000);
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK_EQUAL(site.reason, REASON_NAME_UNKNOWN);
    CHECK_TEXT(site.sentence, "the name osaka.example.jp has no address");
    pair.nodes[0].host = "osaka.example.jp";
    pair.nodes[0].host_address = pair.nodes[1].outer;
    pair.nodes[0].no_route = true;
    gateway_pair_run(&pair, 10000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NO_ROUTE);
    pair.nodes[0].no_route = false;
    CHECK(gateway_pair_up(&pair, 70000));
    close_both();
}

TEST(networks_that_differ_are_shown_with_both_sides_words)
{
    gateway_pair_open(&pair, 11);
    gateway_pair_write_config(&pair, 1, "start wait\n  lan 10.9.0.0/16");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_DOWN);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_SELECTORS);
    struct status_site site = gateway_pair_site(&pair, 1);

    CHECK_EQUAL(site.reason, REASON_SELECTORS);
    CHECK(strstr(site.sentence, "10.9.0.0/16") != NULL);
    CHECK(strstr(site.sentence, "10.2.0.0/16") != NULL);
    CHECK(!gateway_pair_passes(&pair, 0));
    close_both();
}

TEST(no_common_proposal_is_named)
{
    gateway_pair_open(&pair, 12);
    gateway_pair_write_config(&pair, 0, "ike aes256gcm16-sha384-ecp384");
    gateway_pair_write_config(&pair, 1, "start wait\n  ike aes128-sha256-x25519");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 20000);
    struct status_attempt attempt;

    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NO_PROPOSAL);
    CHECK(gateway_attempt_at(pair.nodes[1].gateway, 0, &attempt));
    CHECK_EQUAL(attempt.reason, REASON_NO_PROPOSAL);
    close_both();
}

TEST(the_same_configuration_again_disturbs_nothing)
{
    open_up(13);
    gateway_pair_run(&pair, 25000);
    uint64_t spi = gateway_pair_site(&pair, 0).ike.spi_i;
    unsigned sends = pair.nodes[0].sends;
    size_t routes = pair.nodes[0].route_count;

    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 1000);
    CHECK(gateway_pair_site(&pair, 0).ike.spi_i == spi);
    CHECK_EQUAL(pair.nodes[0].sends, sends);
    CHECK_EQUAL(pair.nodes[0].route_count, routes);
    CHECK(gateway_pair_passes(&pair, 0));
    close_both();
}

TEST(what_is_only_our_own_way_changes_without_a_new_ike_sa)
{
    open_up(14);
    gateway_pair_run(&pair, 30000);
    uint64_t spi = gateway_pair_site(&pair, 0).ike.spi_i;

    gateway_pair_write_config(&pair, 0, "dpd 7s\n  mss 1200");
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 1000);
    CHECK(gateway_pair_site(&pair, 0).ike.spi_i == spi);
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    close_both();
}

TEST(what_was_agreed_changes_by_making_before_breaking)
{
    open_up(15);
    gateway_pair_run(&pair, 30000);
    uint64_t spi = gateway_pair_site(&pair, 0).ike.spi_i;

    gateway_pair_write_config(&pair, 0, "ike aes256gcm16-sha384-ecp384");
    gateway_pair_reload(&pair, 0);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK(gateway_pair_passes(&pair, 1));
    }
    CHECK(gateway_pair_site(&pair, 0).ike.spi_i != spi);
    check_one_sa();
    CHECK_EQUAL(pair.nodes[0].downs, 0);
    CHECK_EQUAL(pair.nodes[1].downs, 0);
    close_both();
}

TEST(a_site_that_is_removed_is_closed_and_its_route_goes)
{
    open_up(16);
    gateway_pair_run(&pair, 30000);
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway tokyo.example.jp\nlan 10.1.0.0/16\nsite nara {\n peer 203.0.113.99\n"
             " network 10.7.0.0/16\n key @nara\n}\n");
    gateway_pair_reload(&pair, 0);
    CHECK(!gateway_pair_has_route(&pair, 0, "10.2.0.0/16"));
    CHECK(gateway_pair_has_route(&pair, 0, "10.7.0.0/16"));
    gateway_pair_run(&pair, 100);
    CHECK(gateway_pair_site(&pair, 1).state != STATUS_UP);
    CHECK(!gateway_pair_passes(&pair, 0));
    CHECK(!gateway_pair_passes(&pair, 1));
    close_both();
}

TEST(orders_take_a_site_down_and_up_again)
{
    char why[100];

    open_up(17);
    gateway_pair_run(&pair, 30000);
    CHECK(gateway_down(pair.nodes[0].gateway, "osaka", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 20000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_WAITING);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_DOWN_BY_ORDER);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).state, STATUS_DOWN);
    CHECK(!gateway_pair_passes(&pair, 0));
    CHECK(gateway_up(pair.nodes[0].gateway, "osaka", pair.now_ms, why, sizeof(why)));
    CHECK(gateway_pair_up(&pair, 3000));
    gateway_pair_run(&pair, 30000);
    uint64_t spi = gateway_pair_site(&pair, 0).ike.spi_i;

    CHECK(gateway_restart(pair.nodes[0].gateway, "osaka", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 30000);
    check_one_sa();
    CHECK(gateway_pair_site(&pair, 0).ike.spi_i != spi);
    CHECK(!gateway_up(pair.nodes[0].gateway, "nara", pair.now_ms, why, sizeof(why)));
    CHECK_TEXT(why, "there is no site of that name");
    close_both();
}

TEST(rekeying_by_order_loses_no_packet)
{
    char why[100];

    open_up(18);
    gateway_pair_run(&pair, 30000);
    for (unsigned i = 0; i < 6; i++) {
        CHECK(gateway_rekey(pair.nodes[i % 2].gateway, i % 2 == 0 ? "osaka" : "tokyo", i >= 3,
                            pair.now_ms, why, sizeof(why)));
        for (unsigned j = 0; j < 30; j++) {
            CHECK(gateway_pair_passes(&pair, 0));
            CHECK(gateway_pair_passes(&pair, 1));
        }
    }
    gateway_pair_run(&pair, 60000);
    check_one_sa();
    CHECK_EQUAL(gateway_pair_site(&pair, 0).rekeys, 3);
    close_both();
}

TEST(traffic_brings_up_a_site_that_waits_for_it)
{
    gateway_pair_open(&pair, 19);
    gateway_pair_write_config(&pair, 0, "start on-traffic");
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 10000);
    CHECK_EQUAL(pair.nodes[0].sends, 0);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_WAITING_TRAFFIC);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_WAITING_PEER);
    gateway_pair_offer(&pair, 0);
    CHECK(gateway_pair_up(&pair, 3000));
    gateway_pair_run(&pair, 100);
    /* The packet that brought it up waited for it. */
    CHECK_EQUAL(pair.nodes[1].delivered, 1);
    CHECK(gateway_pair_passes(&pair, 0));
    close_both();
}

TEST(a_peer_whose_address_is_not_known_may_call)
{
    gateway_pair_open(&pair, 20);
    snprintf(pair.nodes[1].config, sizeof(pair.nodes[1].config),
             "gateway osaka.example.jp\nlan 10.2.0.0/16\nsite tokyo {\n peer any\n"
             " identity tokyo.example.jp\n network 10.1.0.0/16\n key @tokyo\n}\n");
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 1000);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).state, STATUS_WAITING);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_PEER_ANY_SILENT);
    gateway_pair_start(&pair, 0);
    CHECK(gateway_pair_up(&pair, 3000));
    close_both();
}

TEST(our_own_address_changes_and_a_new_ike_sa_is_made_from_there)
{
    gateway_pair_open(&pair, 21);
    snprintf(pair.nodes[1].config, sizeof(pair.nodes[1].config),
             "gateway osaka.example.jp\nlan 10.2.0.0/16\nsite tokyo {\n peer any\n"
             " identity tokyo.example.jp\n network 10.1.0.0/16\n key @tokyo\n}\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 3000));
    gateway_pair_run(&pair, 20000);
    pair.nodes[0].outer = address_ipv4(0xc6336401);
    gateway_addresses_changed(pair.nodes[0].gateway, pair.now_ms);
    gateway_pair_run(&pair, 2000);
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    gateway_pair_run(&pair, 30000);
    check_one_sa();
    close_both();
}

TEST(a_stopped_gateway_says_goodbye)
{
    open_up(22);
    gateway_pair_run(&pair, 30000);
    gateway_pair_stop(&pair, 0);
    gateway_pair_run(&pair, 100);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_PEER_DELETED);
    gateway_pair_start(&pair, 0);
    CHECK(gateway_pair_up(&pair, 5000));
    close_both();
}

TEST(unprotected_errors_close_nothing)
{
    uint8_t message[36] = {0};

    open_up(23);
    gateway_pair_run(&pair, 30000);
    struct status_site site = gateway_pair_site(&pair, 0);
    struct endpoint from = {pair.nodes[1].outer, 500};
    struct endpoint to = {pair.nodes[0].outer, 500};

    /* RFC 7296 3.1 and 3.10: INFORMATIONAL with N(INVALID_IKE_SPI), then N(AUTHENTICATION_FAILED).
     */
    for (unsigned i = 0; i < 2; i++) {
        put_u64(message, site.ike.spi_i);
        put_u64(message + 8, site.ike.spi_r);
        message[16] = 41;
        message[17] = 0x20;
        message[18] = 37;
        message[19] = site.ike.initiator ? 0x20 : 0x28;
        put_u32(message + 24, sizeof(message));
        put_u16(message + 30, 8);
        put_u16(message + 34, i == 0 ? 4 : 24);
        gateway_pair_inject(&pair, &from, &to, SLICE_OF(message));
        gateway_pair_run(&pair, 30000);
        check_one_sa();
        CHECK(gateway_pair_site(&pair, 0).ike.spi_i == site.ike.spi_i);
    }
    close_both();
}

TEST(rubbish_is_survived_and_not_answered_for_ever)
{
    struct seeded_random seeded;

    open_up(24);
    gateway_pair_run(&pair, 30000);
    seeded_random_init(&seeded, 5);
    struct random_source random = seeded_random_source(&seeded);
    unsigned sends = pair.nodes[0].sends;
    struct endpoint from = {address_ipv4(0xc0000201), 4500};
    struct endpoint to = {pair.nodes[0].outer, 500};

    for (unsigned i = 0; i < 5000; i++) {
        uint8_t bytes[300];
        size_t length = random_below(&random, sizeof(bytes) + 1);

        random_fill(&random, bytes, sizeof(bytes));
        if (length >= 28 && i % 2 == 0) {
            bytes[17] = 0x20;
            bytes[18] = (uint8_t)(34 + i % 4);
            put_u32(bytes + 24, (uint32_t)length);
        }
        gateway_pair_inject(&pair, &from, &to, (struct slice){bytes, length});
        gateway_pair_run(&pair, 1);
    }
    CHECK(pair.nodes[0].sends < sends + 100);
    check_one_sa();
    close_both();
}

struct heard {
    unsigned count;
    bool init, auth;
    uint64_t number;
};

static void hear(void *context, const struct status_trace *trace)
{
    struct heard *heard = context;

    CHECK(trace->number > heard->number);
    heard->number = trace->number;
    heard->count++;
    heard->init = heard->init || strstr(trace->words, "SAi1") != NULL ||
                  strstr(trace->words, "IKE_SA_INIT") != NULL;
    heard->auth = heard->auth || strstr(trace->words, "osaka.example.jp") != NULL;
    CHECK(strstr(trace->words, "a key that both know") == NULL);
}

TEST(traces_tell_the_handshake)
{
    struct heard heard = {0};
    struct heard nothing = {0};

    open_up(25);
    gateway_pair_run(&pair, 30000);
    gateway_trace(pair.nodes[0].gateway, "osaka", hear, &heard);
    CHECK(heard.count >= 4);
    CHECK(heard.init);
    CHECK(heard.auth);
    gateway_trace(pair.nodes[0].gateway, "nara", hear, &nothing);
    CHECK_EQUAL(nothing.count, 0);
    close_both();
}

TEST(a_network_that_loses_everything_for_a_while_is_survived)
{
    open_up(26);
    gateway_pair_run(&pair, 30000);
    pair.lose = lose_all;
    gateway_pair_run(&pair, 600000);
    pair.lose = NULL;
    CHECK(gateway_pair_up(&pair, 120000));
    gateway_pair_run(&pair, 30000);
    check_one_sa();
    CHECK(gateway_pair_passes(&pair, 0));
    close_both();
}

/* ---- behind a NAT ---- */

static void open_behind_nat(uint64_t seed)
{
    gateway_pair_open(&pair, seed);
    pair.nodes[0].outer = address_ipv4(0xc0a80105);
    pair.nodes[0].nat_outer = address_ipv4(0xcb007101);
    pair.nodes[0].nat_base = 31000;
    snprintf(pair.nodes[1].config, sizeof(pair.nodes[1].config),
             "gateway osaka.example.jp\nlan 10.2.0.0/16\nsite tokyo {\n peer any\n"
             " identity tokyo.example.jp\n network 10.1.0.0/16\n key @tokyo\n dpd off\n mtu-probe "
             "off\n}\n");
    gateway_pair_write_config(&pair, 0, "dpd off");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
}

TEST(a_mapping_of_a_nat_is_kept_alive_by_the_side_behind_it_and_only_when_idle)
{
    open_behind_nat(27);
    CHECK(gateway_pair_site(&pair, 0).ike.nat_local);
    CHECK(gateway_pair_site(&pair, 1).ike.nat_peer);
    gateway_pair_run(&pair, 210000);
    CHECK_EQUAL(pair.nodes[0].keepalives, 10);
    CHECK_EQUAL(pair.nodes[1].keepalives, 0);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(gateway_pair_passes(&pair, 0));
        gateway_pair_run(&pair, 900);
    }
    CHECK(pair.nodes[0].keepalives <= 11);
    close_both();
}

TEST(the_peer_follows_a_nat_that_forgot_its_mapping)
{
    open_behind_nat(28);
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    pair.nodes[0].nat_base = 42000;
    CHECK(!gateway_pair_passes(&pair, 1));
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    check_one_sa();
    close_both();
}

TEST(ike_follows_the_data_of_a_peer_whose_nat_forgot_it)
{
    open_behind_nat(34);
    CHECK(gateway_pair_passes(&pair, 0));
    pair.nodes[0].nat_base = 42000;
    /* Data alone comes from the new place; our next question goes there and is answered. */
    CHECK(gateway_pair_passes(&pair, 0));
    struct endpoint from = {pair.nodes[0].nat_outer, 31001};

    CHECK_EQUAL(gateway_pair_site(&pair, 1).ike.peer.port, 42001);
    gateway_unreachable(pair.nodes[1].gateway, &from, "port unreachable", pair.now_ms);
    unsigned sends = pair.nodes[0].sends;

    gateway_pair_run(&pair, 60000);
    CHECK_EQUAL(pair.nodes[0].sends, sends + 1);
    CHECK_EQUAL(pair.nodes[1].downs, 0);
    check_one_sa();
    CHECK(gateway_pair_passes(&pair, 1));
    close_both();
}

TEST(a_stranger_with_a_known_name_does_not_hide_what_is_really_wrong)
{
    gateway_pair_open(&pair, 29);
    /* The real peer is silent; somebody else says its name from elsewhere without the key. */
    pair.nodes[0].outer = address_ipv4(0xc6336407);
    pair.nodes[0].secret = "guessed";
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 40000);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_NO_ANSWER);
    gateway_pair_start(&pair, 0);
    gateway_pair_run(&pair, 60000);
    struct status_attempt attempt;
    size_t strangers = 0;

    CHECK_EQUAL(gateway_pair_site(&pair, 1).reason, REASON_NO_ANSWER);
    /* Between those of our own. */
    for (size_t i = 0; gateway_attempt_at(pair.nodes[1].gateway, i, &attempt); i++) {
        if (attempt.reason == REASON_AUTH_WRONG) {
            CHECK_TEXT(attempt.site, "tokyo");
            strangers++;
        }
    }
    CHECK(strangers > 0);
    close_both();
}

TEST(what_icmp_says_is_told)
{
    gateway_pair_open(&pair, 30);
    gateway_pair_start(&pair, 0);
    gateway_pair_run(&pair, 1000);
    struct endpoint peer = {pair.nodes[1].outer, 500};

    gateway_unreachable(pair.nodes[0].gateway, &peer, "port unreachable", pair.now_ms);
    gateway_pair_run(&pair, 40000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_UNREACHABLE);
    CHECK_TEXT(gateway_pair_site(&pair, 0).sentence,
               "203.0.113.2 cannot be reached: port unreachable");
    close_both();
}

TEST(a_route_that_cannot_be_set_is_a_problem_of_its_site)
{
    struct status_problem problem;
    struct network network;

    open_up(31);
    CHECK(network_parse(SLICE_TEXT("10.2.0.0/16"), &network));
    gateway_route_failed(pair.nodes[0].gateway, &network, "file exists");
    CHECK_EQUAL(gateway_problems(pair.nodes[0].gateway, pair.now_ms, &problem, 1), 1);
    CHECK_TEXT(problem.site, "osaka");
    CHECK_TEXT(problem.sentence, "a route could not be set: 10.2.0.0/16: file exists");
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_UP);
    /* What was in its way is gone. */
    pair.nodes[0].route_count = 0;
    gateway_pair_reload(&pair, 0);
    CHECK(gateway_pair_has_route(&pair, 0, "10.2.0.0/16"));
    CHECK_EQUAL(gateway_problems(pair.nodes[0].gateway, pair.now_ms, &problem, 1), 0);
    close_both();
}

TEST(a_flow_that_became_one_way_is_a_remark_in_explain)
{
    struct status_explanation e;

    open_up(35);
    CHECK(gateway_pair_passes(&pair, 1));
    for (unsigned i = 0; i < 60; i++) {
        CHECK(gateway_pair_passes(&pair, 0));
        gateway_pair_run(&pair, 900);
    }
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NONE);
    CHECK(gateway_explain(pair.nodes[0].gateway, "osaka", pair.now_ms, &e));
    CHECK(strstr(e.checks[REASON_CHECK_DATA].sentence, "though the peer answers (SEK-D001)"));
    CHECK_EQUAL(e.checks[REASON_CHECK_DATA].result, STATUS_CHECK_OK);
    CHECK(gateway_explain(pair.nodes[1].gateway, "tokyo", pair.now_ms, &e));
    CHECK_TEXT(e.checks[REASON_CHECK_DATA].sentence, "60 packets came in, 1 went out");
    close_both();
}

TEST(a_narrow_path_is_a_remark_in_explain)
{
    struct status_explanation e;

    open_up(50);
    dataplane_path_mtu(pair.nodes[0].dataplane, &pair.nodes[0].outer, &pair.nodes[1].outer, 900,
                       pair.now_ms);
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    CHECK(gateway_explain(pair.nodes[0].gateway, "osaka", pair.now_ms, &e));
    CHECK(strstr(e.checks[REASON_CHECK_DATA].sentence,
                 "1 packets came in, 1 went out; the path takes 900 octets only, so 8") != NULL);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NONE);
    close_both();
}

TEST(networks_that_were_narrowed_are_a_remark_and_no_trouble)
{
    struct status_explanation e;
    struct status_child child;

    gateway_pair_open(&pair, 37);
    gateway_pair_write_config(&pair, 1, "start wait\n  lan 10.2.0.0/24");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NONE);
    CHECK(gateway_child_at(pair.nodes[0].gateway, 0, 0, &child));
    CHECK(child.narrowed);
    CHECK(gateway_child_at(pair.nodes[1].gateway, 0, 0, &child));
    CHECK(!child.narrowed);
    CHECK(gateway_explain(pair.nodes[0].gateway, "osaka", pair.now_ms, &e));
    CHECK_TEXT(e.checks[REASON_CHECK_NETWORKS].sentence,
               "agreed: 10.1.0.0/16 === 10.2.0.0/24, which is only a part of ours (SEK-N004)");
    CHECK(gateway_pair_passes(&pair, 0));
    close_both();
}

TEST(a_secret_that_changed_is_used_after_a_reload_and_disturbs_nothing_that_is_up)
{
    open_up(38);
    gateway_pair_run(&pair, 30000);
    uint64_t spi = gateway_pair_site(&pair, 0).ike.spi_i;

    pair.nodes[0].secret = "a newer key";
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 5000);
    check_one_sa();
    CHECK(gateway_pair_site(&pair, 0).ike.spi_i == spi);
    CHECK(gateway_pair_passes(&pair, 0));
    /* The other side still has the old one. */
    char why[100];

    CHECK(gateway_restart(pair.nodes[0].gateway, "osaka", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 60000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_DOWN);
    CHECK_EQUAL(reason_get(gateway_pair_site(&pair, 0).reason)->group, REASON_GROUP_IDENTITY);
    pair.nodes[1].secret = pair.nodes[0].secret;
    gateway_pair_reload(&pair, 1);
    CHECK(gateway_pair_up(&pair, 2000));
    CHECK(gateway_pair_passes(&pair, 1));
    close_both();
}

TEST(a_side_that_only_answers_uses_the_secret_that_a_reload_found)
{
    char why[100];

    gateway_pair_open(&pair, 39);
    gateway_pair_write_config(&pair, 1, "start wait");
    pair.nodes[1].secret = "another key";
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 3000);
    CHECK_TEXT(gateway_pair_site(&pair, 0).code, "SEK-A012");
    pair.nodes[1].secret = pair.nodes[0].secret;
    gateway_pair_reload(&pair, 1);
    CHECK(gateway_up(pair.nodes[0].gateway, "osaka", pair.now_ms, why, sizeof(why)));
    CHECK(gateway_pair_up(&pair, 1000));
    close_both();
}

TEST(the_beginning_of_an_ike_message_of_ours_is_recognised_when_it_is_quoted)
{
    uint8_t bytes[32] = {0};
    struct writer w = writer_over(bytes + 4, 28);
    struct status_site site;
    uint32_t total = 0;

    open_up(51);
    site = gateway_pair_site(&pair, 0);
    struct ikev2_header h = {.spi_i = site.ike.spi_i,
                             .spi_r = site.ike.spi_r,
                             .version = 0x20,
                             .exchange = 37,
                             .flags = site.ike.initiator ? IKEV2_FLAG_INITIATOR : 0};
    const struct gateway *g = pair.nodes[0].gateway;

    ikev2_write_header(&w, &h);
    put_u32(bytes + 28, 1372);
    CHECK(gateway_sent_ike(g, &site.ike.local, &site.ike.peer, SLICE_OF(bytes), &total));
    CHECK_EQUAL(total, 20 + 8 + 4 + 1372);
    CHECK(gateway_sent_ike(g, &site.ike.local, &site.ike.peer, (struct slice){bytes + 4, 28},
                           &total));
    CHECK_EQUAL(total, 20 + 8 + 1372);
    for (size_t length = 0; length < sizeof(bytes); length++) {
        CHECK(!gateway_sent_ike(g, &site.ike.local, &site.ike.peer, (struct slice){bytes, length},
                                &total));
    }
    struct endpoint other = site.ike.peer;

    other.port++;
    CHECK(!gateway_sent_ike(g, &site.ike.local, &other, SLICE_OF(bytes), &total));
    /* Our SPI is another. */
    bytes[site.ike.initiator ? 4 : 12] ^= 1;
    CHECK(!gateway_sent_ike(g, &site.ike.local, &site.ike.peer, SLICE_OF(bytes), &total));
    close_both();
}
