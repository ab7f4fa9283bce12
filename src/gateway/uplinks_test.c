/* Two lines of ours to one peer: which is used, when it is left, and when it is used again. */
#include "gateway/inside.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

#define FIRST "203.0.113.1"
#define SECOND 0xc6336407 /* 198.51.100.7 */

/* Both, or one of them, as the system tells it. */
static void have(bool first, bool second)
{
    struct gateway_interface list[2] = {
        {.address = pair.nodes[0].outer, .name = "eth0", .carries = first},
        {.address = address_ipv4(SECOND), .name = "wwan0", .carries = second},
    };
    struct address addresses[2] = {list[0].address, list[1].address};

    gateway_host_interfaces(pair.nodes[0].gateway, list, 2);
    gateway_host_addresses(pair.nodes[0].gateway, addresses, 2, pair.now_ms);
    gateway_addresses_changed(pair.nodes[0].gateway, pair.now_ms);
}

/* The line is there and nothing passes. */
static void first_is_dead(bool dead)
{
    pair.nodes[0].second_only = dead;
}

static void start(uint64_t seed, const char *global, const char *extra, bool dead)
{
    gateway_pair_open(&pair, seed);
    pair.nodes[0].second = address_ipv4(SECOND);
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway tokyo.example.jp\nlan 10.1.0.0/16\n%s\nsite osaka {\n peer 203.0.113.2\n"
             " identity osaka.example.jp\n network 10.2.0.0/16\n key @osaka\n mtu-probe off\n"
             " %s\n}\n",
             global, extra);
    snprintf(pair.nodes[1].config, sizeof(pair.nodes[1].config),
             "gateway osaka.example.jp\nlan 10.2.0.0/16\nsite tokyo {\n peer any\n"
             " identity tokyo.example.jp\n network 10.1.0.0/16\n key @tokyo\n mtu-probe off\n}\n");
    first_is_dead(dead);
    gateway_pair_start(&pair, 1);
    gateway_pair_start(&pair, 0);
    have(true, true);
    CHECK(gateway_pair_up(&pair, 20000));
    gateway_pair_run(&pair, 3000);
}

static bool uses(size_t place, const char *uplink)
{
    struct status_site site = gateway_pair_site(&pair, 0);

    return site.uplink_count == 2 && site.uplink_place == place && site.uplink != NULL &&
           strcmp(site.uplink, uplink) == 0 && (site.uplink_why[0] == '\0') == (place == 1);
}

static uint64_t established(void)
{
    return pair.nodes[0].gateway->initiated_ok;
}

static const char *const ways[] = {"uplink eth0 wwan0", "uplink " FIRST " 198.51.100.7"};

TEST(a_silent_uplink_is_left_and_used_again)
{
    for (size_t i = 0; i < 4; i++) {
        const char *line = ways[i % 2];
        const char *names[2] = {i % 2 == 0 ? "eth0" : FIRST, i % 2 == 0 ? "wwan0" : "198.51.100.7"};

        start(1 + i, i < 2 ? line : "", i < 2 ? "" : line, false);
        CHECK(uses(1, names[0]));
        first_is_dead(true);
        (void)gateway_pair_lost_within(&pair, 20, 12000);
        CHECK(uses(2, names[1]));
        CHECK(strstr(gateway_pair_site(&pair, 0).uplink_why, "did not work; it is tested") != NULL);
        CHECK(strstr(pair.nodes[0].last_log, ", by ") != NULL);
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 70000), 0);
        CHECK(uses(2, names[1]));
        first_is_dead(false);
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 40000), 0);
        CHECK(uses(1, names[0]));
        /* It is one IKE SA all the time. */
        CHECK_EQUAL(established(), 1);
        CHECK(gateway_pair_finish(&pair));
    }
}

TEST(an_uplink_that_is_gone_is_left_at_once)
{
    start(11, ways[0], "", false);
    have(false, true);
    CHECK(gateway_pair_lost_within(&pair, 20, 2000) < 30);
    CHECK(uses(2, "wwan0"));
    CHECK(strstr(gateway_pair_site(&pair, 0).uplink_why, "eth0 is not there") != NULL);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 60000), 0);
    /* It is there again, and tested before it is used. */
    have(true, true);
    first_is_dead(true);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 40000), 0);
    CHECK(uses(2, "wwan0"));
    first_is_dead(false);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 40000), 0);
    CHECK(uses(1, "eth0"));
    CHECK_EQUAL(established(), 1);
    CHECK(gateway_pair_finish(&pair));
}

/* The routes say the first, and the second is preferred. */
TEST(the_order_is_that_of_the_words_and_not_of_the_routes)
{
    start(12, "uplink wwan0 eth0", "", false);
    CHECK(uses(1, "wwan0"));
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK(address_equal(&site.ike.local.address, &pair.nodes[0].second));
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 60000), 0);
    CHECK(uses(1, "wwan0"));
    CHECK(gateway_pair_finish(&pair));
}

TEST(what_a_site_says_is_before_what_is_said_outside)
{
    start(13, "uplink wwan0 eth0", "uplink eth0 wwan0", false);
    CHECK(uses(1, "eth0"));
    CHECK(gateway_pair_finish(&pair));
}

TEST(a_silent_uplink_is_passed_over_when_calling)
{
    uint64_t before;

    start(14, ways[0], "", true);
    CHECK(uses(2, "wwan0"));
    before = pair.now_ms;
    first_is_dead(false);
    for (unsigned i = 0; i < 60 && !uses(1, "eth0"); i++) {
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 1000), 0);
    }
    CHECK(uses(1, "eth0"));
    CHECK(pair.now_ms < before + 45000);
    CHECK_EQUAL(established(), 1);
    CHECK(gateway_pair_finish(&pair));
}

/* Without MOBIKE: a new IKE SA by the other line, and another one back. */
TEST(who_cannot_move_is_made_anew_by_another_uplink)
{
    start(15, ways[0], "mobike off", false);
    CHECK(uses(1, "eth0"));
    first_is_dead(true);
    (void)gateway_pair_lost_within(&pair, 20, 20000);
    CHECK(uses(2, "wwan0"));
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 60000), 0);
    CHECK(strstr(gateway_pair_site(&pair, 0).uplink_why, "eth0 did not work") != NULL);
    first_is_dead(false);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 150000), 0);
    CHECK(uses(1, "eth0"));
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike_count, 1);
    CHECK_EQUAL(pair.nodes[0].downs, 0);
    CHECK(gateway_pair_finish(&pair));

    start(16, ways[0], "mobike off", false);
    have(false, true);
    (void)gateway_pair_lost_within(&pair, 20, 10000);
    CHECK(uses(2, "wwan0"));
    have(true, true);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 80000), 0);
    CHECK(uses(1, "eth0"));
    CHECK(gateway_pair_finish(&pair));
}

TEST(without_any_uplink_it_is_told_which)
{
    start(17, ways[0], "", false);
    have(false, false);
    pair.nodes[0].second_only = true;
    pair.nodes[0].second.family = FAMILY_NONE;
    (void)gateway_pair_lost_within(&pair, 20, 120000);
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK(site.state != STATUS_UP || site.uplink_place == 0);
    have(true, true);
    pair.nodes[0].second_only = false;
    (void)gateway_pair_lost_within(&pair, 20, 70000);
    CHECK(uses(1, "eth0"));
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 1000), 0);
    CHECK(gateway_pair_finish(&pair));
}

/* Peers are told of the uplinks and of no other address. */
TEST(peers_are_told_the_uplinks_alone)
{
    start(18, "uplink eth0", "", false);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).ike.peer_address_count, 0);
    CHECK(gateway_pair_finish(&pair));
    start(19, ways[0], "", false);
    gateway_pair_run(&pair, 5000);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).ike.peer_address_count, 1);
    CHECK(gateway_pair_finish(&pair));
}

/* A change of the order is taken over by who is up, after a test. */
TEST(another_order_is_taken_over_without_a_loss)
{
    start(20, ways[0], "", false);
    char *line = strstr(pair.nodes[0].config, ways[0]);

    memcpy(line, "uplink wwan0 eth0", 17);
    gateway_pair_reload(&pair, 0);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 35000), 0);
    CHECK(uses(1, "wwan0"));
    CHECK_EQUAL(established(), 1);
    CHECK(gateway_pair_finish(&pair));
}
