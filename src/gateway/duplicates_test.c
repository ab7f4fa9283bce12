/* What is there twice becomes one, and no packet is lost by it. */
#include "gateway/inside.h"

#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void open_up(uint64_t seed)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 30000);
}

static void pass_for(unsigned seconds)
{
    for (unsigned i = 0; i < seconds * 5; i++) {
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK(gateway_pair_passes(&pair, 1));
    }
}

static void check_one_child(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct status_site site = gateway_pair_site(&pair, i);
        struct status_child child;

        CHECK_EQUAL(site.ike_count, 1);
        CHECK_EQUAL(site.child_count, 1);
        CHECK_EQUAL(pair.nodes[i].downs, 0);
        CHECK(gateway_child_at(pair.nodes[i].gateway, 0, 0, &child));
        CHECK(child.in_use);
        CHECK(!gateway_child_at(pair.nodes[i].gateway, 0, 1, &child));
    }
}

TEST(children_for_the_same_networks_that_both_sides_asked_for_become_one)
{
    open_up(40);
    struct child *child = pair.nodes[0].gateway->sites[0]->used;

    ike_close_child(child->ike, child->spi_in, pair.now_ms);
    gateway_pair_run(&pair, 100);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).child_count, 0);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).child_count, 0);
    for (unsigned i = 0; i < 2; i++) {
        struct gateway *g = pair.nodes[i].gateway;

        ike_order(g->sites[0]->ikes, IKE_ORDER_START_CHILD);
        gateway_settle(g, pair.now_ms);
        pair.nodes[i].downs = 0;
    }
    gateway_pair_run(&pair, 200);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).child_count, 2);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).child_count, 2);
    pass_for(50);
    check_one_child();
    gateway_pair_close(&pair);
}

TEST(a_child_that_went_is_asked_for_again_by_one_side)
{
    for (unsigned who = 0; who < 2; who++) {
        open_up(60 + who);
        struct child *child = pair.nodes[who].gateway->sites[0]->used;

        ike_close_child(child->ike, child->spi_in, pair.now_ms);
        gateway_pair_run(&pair, 100);
        CHECK_EQUAL(gateway_pair_site(&pair, 0).child_count, 0);
        gateway_pair_run(&pair, 2000);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_EQUAL(gateway_pair_site(&pair, i).child_count, 1);
            CHECK_EQUAL(pair.nodes[i].downs, 1);
            pair.nodes[i].downs = 0;
        }
        pass_for(30);
        check_one_child();
        gateway_pair_close(&pair);
    }
}

TEST(of_two_ike_sas_made_one_after_the_other_the_newer_stays)
{
    for (unsigned who = 0; who < 2; who++) {
        open_up(50 + who);
        struct site *site = pair.nodes[who].gateway->sites[0];
        uint64_t before = gateway_pair_site(&pair, who).ike.spi_i;

        dial_begin(site, pair.now_ms);
        gateway_settle(pair.nodes[who].gateway, pair.now_ms);
        pass_for(25);
        CHECK(gateway_pair_site(&pair, 0).ike.spi_i != before);
        check_one_child();
        gateway_pair_close(&pair);
    }
}

static void begin_many(unsigned count)
{
    struct site *site = pair.nodes[0].gateway->sites[0];

    for (unsigned i = 0; i < count; i++) {
        dial_begin(site, pair.now_ms);
        gateway_settle(pair.nodes[0].gateway, pair.now_ms);
        gateway_pair_run(&pair, 200);
        CHECK(pair.nodes[1].gateway->ike_count <= 12);
    }
}

TEST(a_peer_that_begins_again_and_again_does_not_take_all_the_room)
{
    open_up(80);
    unsigned lines = pair.nodes[1].log_lines;

    begin_many(60);
    /* Nor the log. */
    CHECK(pair.nodes[1].log_lines <= lines + 41);
    gateway_pair_run(&pair, 25000);
    check_one_child();
    gateway_pair_close(&pair);
}

TEST(nor_does_a_peer_whose_ike_sas_have_no_child)
{
    gateway_pair_open(&pair, 81);
    gateway_pair_write_config(&pair, 1, "");
    char *network = strstr(pair.nodes[0].config, "network 10.2.");

    CHECK(network != NULL);
    memcpy(network, "network 10.7.", strlen("network 10.7."));
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 2000);
    begin_many(60);
    gateway_pair_close(&pair);
}

/* With "identity any" whoever has the key of one site may say the name of another one's peer. */
TEST(initial_contact_under_one_key_closes_nothing_that_has_another)
{
    gateway_pair_open(&pair, 82);
    strcpy(pair.nodes[0].config,
           "gateway tokyo.example.jp\nlan 10.1.0.0/16\n"
           "site osaka { peer 203.0.113.2; identity any; network 10.2.0.0/16; key @a }\n"
           "site kyoto { peer 203.0.113.3; identity any; network 10.3.0.0/16; key @b; start wait "
           "}\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 30000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_UP);
    gateway_pair_crash(&pair, 1);
    for (unsigned i = 0; i < 2; i++) {
        pair.nodes[i].secret = "the key of kyoto";
    }
    pair.nodes[1].outer = address_ipv4(0xcb007103U);
    strcpy(pair.nodes[1].config,
           "gateway osaka.example.jp\nlan 10.3.0.0/16\n"
           "site tokyo { peer 203.0.113.1; identity tokyo.example.jp; network 10.1.0.0/16; key @b "
           "}\n");
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 500);
    CHECK_EQUAL(pair.nodes[0].gateway->sites[1]->established_count, 1);
    CHECK_EQUAL(pair.nodes[0].gateway->sites[0]->established_count, 1);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_UP);
    gateway_pair_close(&pair);
}
