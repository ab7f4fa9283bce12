/* Two gateways between which UDP is blocked, or that talk over TCP because it is said. */
#include <stdio.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void open_with_port(uint64_t seed, const char *first, const char *second, uint16_t port)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, first);
    gateway_pair_write_config(&pair, 1, second);
    pair.nodes[1].tcp_port = port;
    gateway_pair_start(&pair, 1);
    gateway_pair_start(&pair, 0);
}

static void open_pair(uint64_t seed, const char *first, const char *second)
{
    open_with_port(seed, first, second, 4500);
}

static void check_works(bool tcp)
{
    for (unsigned i = 0; i < 2; i++) {
        struct status_site site = gateway_pair_site(&pair, i);

        CHECK_EQUAL(site.state, STATUS_UP);
        CHECK(site.has_ike && site.ike.peer.tcp == tcp && site.ike.local.tcp == tcp);
        CHECK(gateway_pair_passes(&pair, i));
        CHECK(gateway_pair_doors_add_up(&pair, i));
    }
}

static uint64_t spi_of(unsigned node)
{
    return gateway_pair_site(&pair, node).ike.spi_i;
}

TEST(a_site_is_called_by_tcp_when_it_says_so)
{
    open_pair(1, "transport tcp", "start wait");
    CHECK(gateway_pair_up(&pair, 1000));
    check_works(true);
    CHECK_EQUAL(pair.nodes[0].tcp_opens, 1);
    CHECK(pair.nodes[0].tcp_keeps > 0 && pair.nodes[1].tcp_keeps > 0);
    gateway_pair_close(&pair);
}

TEST(a_site_that_says_auto_is_called_by_udp_where_that_works)
{
    open_pair(2, "transport auto", "start wait");
    CHECK(gateway_pair_up(&pair, 1000));
    gateway_pair_run(&pair, 60000);
    check_works(false);
    CHECK_EQUAL(pair.nodes[0].tcp_opens, 0);
    gateway_pair_close(&pair);
}

TEST(where_udp_is_silent_tcp_follows_after_four_seconds)
{
    open_pair(3, "transport auto", "start wait");
    pair.udp_is_blocked = true;
    CHECK(!gateway_pair_up(&pair, 3900));
    CHECK_EQUAL(pair.nodes[0].tcp_opens, 0);
    /* RFC 9329 5.1: it was repeated before. */
    CHECK(pair.nodes[0].sends >= 3);
    CHECK(gateway_pair_up(&pair, 400));
    check_works(true);
    CHECK_EQUAL(pair.nodes[0].tcp_opens, 1);
    gateway_pair_close(&pair);
}

TEST(a_site_that_says_udp_is_never_called_by_tcp)
{
    open_pair(4, "", "start wait");
    pair.udp_is_blocked = true;
    CHECK(!gateway_pair_up(&pair, 120000));
    CHECK_EQUAL(pair.nodes[0].tcp_opens, 0);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NO_ANSWER);
    gateway_pair_close(&pair);
}

static bool lose_4500(void *context, const struct gateway_pair_datagram *d)
{
    (void)context;
    return d->protocol == 17 && d->to.port == 4500;
}

TEST(where_udp_500_answers_and_4500_does_not_tcp_follows)
{
    open_pair(5, "transport auto; encapsulate always", "start wait; encapsulate always");
    pair.lose = lose_4500;
    CHECK(gateway_pair_up(&pair, 9000));
    check_works(true);
    gateway_pair_close(&pair);
}

TEST(no_connection_is_told_and_tried_again)
{
    open_with_port(6, "transport tcp 443", "start wait", 4500);
    CHECK(!gateway_pair_up(&pair, 30000));
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_TCP_REFUSED);
    pair.nodes[1].tcp_port = 443;
    CHECK(gateway_pair_up(&pair, 60000));
    check_works(true);
    gateway_pair_close(&pair);
}

TEST(a_lost_connection_is_replaced_without_a_new_ike_sa)
{
    open_pair(7, "transport tcp", "start wait");
    CHECK(gateway_pair_up(&pair, 1000));
    uint64_t spi = spi_of(0);

    for (unsigned round = 0; round < 5; round++) {
        gateway_pair_cut(&pair);
        gateway_pair_run(&pair, 500);
        check_works(true);
        CHECK(spi_of(0) == spi && spi_of(1) == spi);
        CHECK_EQUAL(gateway_pair_site(&pair, 1).ike.peer.port,
                    gateway_pair_site(&pair, 0).ike.local.port);
        gateway_pair_run(&pair, 20000);
    }
    CHECK_EQUAL(pair.nodes[0].tcp_opens, 6);
    CHECK(pair.nodes[0].downs == 0 && pair.nodes[1].downs == 0);
    gateway_pair_close(&pair);
}

TEST(traffic_alone_takes_the_new_connection_over)
{
    open_pair(8, "transport tcp; dpd off", "start wait; dpd off");
    CHECK(gateway_pair_up(&pair, 1000));
    gateway_pair_cut(&pair);
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    gateway_pair_close(&pair);
}

/* A whole life: handshake, both rekeyings, liveness. Returns how many messages it took; all lives
 * are the same up to the cut. */
static unsigned live(unsigned cut_before)
{
    open_pair(100, "transport tcp; lifetime ike 60s child 20s; dpd 5s",
              "start wait; lifetime ike 70s child 25s; dpd 5s");
    pair.cut_before = cut_before;
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 90000);
    unsigned messages = pair.tcp_messages;
    check_works(true);
    CHECK(pair.nodes[0].downs == 0 && pair.nodes[1].downs == 0);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).ike_count, 1);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).ike_count, 1);
    return messages;
}

TEST(a_connection_lost_at_any_message_of_a_life_costs_nothing_but_itself)
{
    unsigned messages = live(0);

    gateway_pair_close(&pair);
    CHECK(messages > 40);
    for (unsigned cut = 1; cut <= messages; cut++) {
        (void)live(cut);
        CHECK_EQUAL(pair.nodes[0].tcp_opens, 2);
        gateway_pair_close(&pair);
    }
}

TEST(a_peer_that_is_gone_is_given_up_and_called_again)
{
    open_pair(9, "transport tcp", "start wait");
    CHECK(gateway_pair_up(&pair, 1000));
    gateway_pair_crash(&pair, 1);
    gateway_pair_cut(&pair);
    gateway_pair_run(&pair, 300000);
    CHECK(gateway_pair_site(&pair, 0).state != STATUS_UP);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 120000));
    check_works(true);
    gateway_pair_close(&pair);
}

TEST(connections_that_are_closed_at_once_end_a_handshake)
{
    open_pair(10, "transport tcp", "start wait");
    pair.cut_always = true;
    gateway_pair_run(&pair, 20000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_TCP_REFUSED);
    CHECK(pair.nodes[0].tcp_opens < 40);
    pair.cut_always = false;
    CHECK(gateway_pair_up(&pair, 60000));
    gateway_pair_close(&pair);
}

TEST(a_site_that_is_closed_lets_its_connection_go)
{
    char why[128];

    open_pair(11, "transport tcp", "start wait");
    CHECK(gateway_pair_up(&pair, 1000));
    CHECK(gateway_down(pair.nodes[0].gateway, "osaka", pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 1000);
    CHECK_EQUAL(pair.nodes[0].tcp_releases, 1);
    CHECK_EQUAL(pair.nodes[1].tcp_releases, 1);
    CHECK_EQUAL(gateway_pair_site(&pair, 1).ike_count, 0);
    gateway_pair_close(&pair);
}

TEST(strangers_on_a_connection_get_no_cookie)
{
    gateway_pair_open(&pair, 12);
    gateway_pair_write_config(&pair, 0, "transport tcp");
    snprintf(pair.nodes[1].config, sizeof(pair.nodes[1].config),
             "gateway osaka.example.jp\nlan 10.2.0.0/16\ncookie-threshold 0\n"
             "site tokyo {\n peer 203.0.113.1\n identity tokyo.example.jp\n"
             " network 10.1.0.0/16\n key @tokyo\n start wait\n}\n");
    pair.nodes[1].tcp_port = 4500;
    gateway_pair_start(&pair, 1);
    gateway_pair_start(&pair, 0);
    CHECK(gateway_pair_up(&pair, 1000));
    struct status_gateway status;

    gateway_get_status(pair.nodes[1].gateway, pair.now_ms, &status);
    CHECK_EQUAL(status.cookies_sent, 0);
    gateway_pair_close(&pair);
}

TEST(nothing_keeps_a_mapping_warm_over_tcp)
{
    open_pair(14, "transport tcp; encapsulate always", "start wait; encapsulate always");
    CHECK(gateway_pair_up(&pair, 1000));
    gateway_pair_run(&pair, 200000);
    CHECK(pair.nodes[0].keepalives == 0 && pair.nodes[1].keepalives == 0);
    check_works(true);
    gateway_pair_close(&pair);
}
