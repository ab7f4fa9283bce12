/* A site with several peers goes back to the first of them, and nothing is lost for it. */
#include "gateway/inside.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

#define FIRST "203.0.113.2"
#define SECOND "198.51.100.7"

/* The second gateway has two addresses, which are the two peers of the first one's site. */
static void start(uint64_t seed, const char *extra, bool first_is_dead)
{
    gateway_pair_open(&pair, seed);
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway tokyo.example.jp\nlan 10.1.0.0/16\nsite osaka {\n peer " FIRST " " SECOND
             "\n identity osaka.example.jp\n network 10.2.0.0/16\n key @osaka\n mtu-probe off\n"
             " %s\n}\n",
             extra);
    gateway_pair_write_config(&pair, 1, "start wait\n");
    pair.nodes[1].second = address_ipv4(0xc6336407);
    pair.nodes[1].second_only = first_is_dead;
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 60000));
}

static size_t place(void)
{
    return gateway_pair_site(&pair, 0).host_place;
}

static uint64_t called(void)
{
    return pair.nodes[0].gateway->initiated;
}

TEST(the_first_peer_is_used_again_when_it_answers)
{
    start(1, "", true);
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK_EQUAL(site.host_count, 2);
    CHECK_EQUAL(site.host_place, 2);
    CHECK(strcmp(site.host, SECOND) == 0);
    CHECK(site.return_ms > pair.now_ms + 50000 && site.return_ms <= pair.now_ms + 66000);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 5000), 0);
    pair.nodes[1].second_only = false;
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 50000), 0);
    CHECK_EQUAL(place(), 2);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 30000), 0);
    site = gateway_pair_site(&pair, 0);
    CHECK_EQUAL(site.host_place, 1);
    CHECK_EQUAL(site.ike_count, 1);
    CHECK_EQUAL(site.child_count, 1);
    CHECK(site.return_ms == NEVER_MS);
    CHECK(site.reason == REASON_NONE);
    CHECK_EQUAL(pair.nodes[0].downs, 0);
    CHECK_EQUAL(pair.nodes[1].downs, 0);
    CHECK(gateway_pair_finish(&pair));
}

/* It is called after one minute, two, four ...: and the site is as well as before. */
TEST(a_dead_first_peer_is_called_seldom_and_costs_nothing)
{
    start(2, "", true);
    uint64_t before = called();
    unsigned tries = gateway_pair_site(&pair, 0).tries;

    for (unsigned minute = 0; minute < 30; minute++) {
        gateway_pair_run(&pair, 59000);
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 1000), 0);
        struct status_site site = gateway_pair_site(&pair, 0);

        CHECK(site.state == STATUS_UP && site.reason == REASON_NONE);
        CHECK_EQUAL(site.host_place, 2);
        CHECK(address_equal(&site.peer.address, &pair.nodes[1].second));
        CHECK_EQUAL(site.tries, tries);
    }
    /* 1 + 2 + 4 + 8 + 16 minutes, and half a minute for each that is silent. */
    CHECK(called() >= before + 3 && called() <= before + 5);
    CHECK_EQUAL(pair.nodes[0].downs, 0);
    CHECK(gateway_pair_finish(&pair));
}

TEST(return_off_stays)
{
    start(3, "return off", true);
    uint64_t before = called();

    pair.nodes[1].second_only = false;
    CHECK(gateway_pair_site(&pair, 0).return_ms == NEVER_MS);
    gateway_pair_run(&pair, 1200000);
    CHECK_EQUAL(place(), 2);
    CHECK_EQUAL(called(), before);
    CHECK(gateway_pair_finish(&pair));
}

/* The peer in use dies while the first one is being tried: the site does not wait for the end of
 * that. */
TEST(a_try_gives_way_when_the_peer_in_use_falls_silent)
{
    start(4, "return 20s", true);
    gateway_pair_run(&pair, 23000);
    CHECK(pair.nodes[0].gateway->sites[0]->returning);
    pair.nodes[1].second_only = false;
    pair.nodes[1].second.family = FAMILY_NONE;
    (void)gateway_pair_lost_within(&pair, 20, 15000);
    CHECK_EQUAL(place(), 1);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 1000), 0);
    CHECK(gateway_pair_finish(&pair));
}

/* The first one answers and refuses: what there is stays, and nothing is said to be wrong. */
TEST(a_first_peer_that_refuses_changes_nothing)
{
    start(5, "return 20s", true);
    pair.nodes[1].second_only = false;
    struct gateway *g = pair.nodes[0].gateway;
    uint64_t before = called();

    /* Its proof is refused: another key at the same place. */
    pair.nodes[0].secret = "another key";
    g->sites[0]->secret_stale = true;
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 20, 60000), 0);
    CHECK(called() > before);
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK_EQUAL(site.host_place, 2);
    CHECK(site.reason == REASON_NONE);
    CHECK_EQUAL(site.ike_count, 1);
    CHECK(gateway_pair_finish(&pair));
}

/* Who comes and goes is not followed each time. */
TEST(a_first_peer_that_comes_and_goes_is_waited_for)
{
    start(6, "return 20s", true);
    uint64_t waits[3];

    for (unsigned i = 0; i < 3; i++) {
        uint64_t due_ms = gateway_pair_site(&pair, 0).return_ms;

        CHECK(due_ms != NEVER_MS);
        waits[i] = due_ms - pair.now_ms;
        pair.nodes[1].second_only = false;
        (void)gateway_pair_lost_within(&pair, 20, waits[i] + 5000);
        CHECK_EQUAL(place(), 1);
        pair.nodes[1].second_only = true;
        for (unsigned s = 0; s < 90 && place() != 2; s++) {
            (void)gateway_pair_lost_within(&pair, 20, 1000);
        }
        CHECK_EQUAL(place(), 2);
    }
    CHECK(waits[0] < 25000 && waits[1] > 30000 && waits[2] > 70000);
    CHECK(gateway_pair_finish(&pair));
}
