/* Two gateways whose addresses change under traffic (RFC 4555). */
#include <stdio.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void open_up(uint64_t seed, const char *first, const char *second)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, first);
    gateway_pair_write_config(&pair, 1, second);
    for (unsigned i = 0; i < 2; i++) {
        gateway_pair_start(&pair, i);
    }
    CHECK(gateway_pair_up(&pair, 10000));
    CHECK(gateway_pair_passes(&pair, 0) && gateway_pair_passes(&pair, 1));
    gateway_pair_run(&pair, 5000);
}

static void close_all(void)
{
    CHECK(gateway_pair_doors_add_up(&pair, 0) && gateway_pair_doors_add_up(&pair, 1));
    gateway_pair_close(&pair);
}

static uint64_t initiated(unsigned node)
{
    struct status_gateway status;

    gateway_get_status(pair.nodes[node].gateway, pair.now_ms, &status);
    return status.initiated_ok;
}

static void moves_to(unsigned node, uint32_t address)
{
    pair.nodes[node].outer = address_ipv4(address);
    gateway_addresses_changed(pair.nodes[node].gateway, pair.now_ms);
}

/* Packets of both directions for so long, one each ten milliseconds; gives how many of all did not
 * arrive. */
static uint64_t lost_within(uint64_t for_ms)
{
    uint64_t before = pair.nodes[0].delivered + pair.nodes[1].delivered;
    uint64_t offered = 0;

    for (uint64_t ms = 0; ms < for_ms; ms += 10) {
        gateway_pair_offer(&pair, 0);
        gateway_pair_offer(&pair, 1);
        offered += 2;
        gateway_pair_run(&pair, 10);
    }
    gateway_pair_run(&pair, 50);
    return offered - (pair.nodes[0].delivered + pair.nodes[1].delivered - before);
}

TEST(a_caller_moves_and_loses_little)
{
    open_up(1, "", "start wait\n");
    uint64_t before = initiated(0);
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK(site.ike.mobile);
    CHECK_EQUAL(site.moves, 0);
    moves_to(0, 0xc6336407);
    /* A tenth of a second until we look, and two round trips until the peer's packets come. */
    uint64_t lost = lost_within(3000);

    CHECK(lost < 40);
    site = gateway_pair_site(&pair, 0);
    CHECK_EQUAL(site.moves, 1);
    CHECK_EQUAL(site.ike_count, 1);
    CHECK_EQUAL(initiated(0), before);
    CHECK(address_equal(&site.ike.local.address, &pair.nodes[0].outer));
    site = gateway_pair_site(&pair, 1);
    CHECK_EQUAL(site.moves, 1);
    CHECK(address_equal(&site.ike.peer.address, &pair.nodes[0].outer));
    CHECK(strstr(pair.nodes[1].last_log, "the tunnel moved") != NULL);
    close_all();
}

TEST(without_mobike_a_new_one_is_made)
{
    open_up(2, "mobike off\n", "start wait\n");
    uint64_t before = initiated(0);

    CHECK(!gateway_pair_site(&pair, 0).ike.mobile);
    moves_to(0, 0xc6336407);
    (void)lost_within(10000);
    CHECK_EQUAL(initiated(0), before + 1);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).moves, 0);
    CHECK_EQUAL(lost_within(1000), 0);
    close_all();
}

/* The side that answered: it says so, and who called decides. */
TEST(the_called_side_moves)
{
    open_up(3, "", "start wait\n");
    uint64_t before = initiated(0);

    moves_to(1, 0xcb007177);
    uint64_t lost = lost_within(3000);

    CHECK(lost < 60);
    CHECK_EQUAL(initiated(0), before);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).moves, 1);
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK(address_equal(&site.ike.peer.address, &pair.nodes[1].outer));
    CHECK_EQUAL(lost_within(1000), 0);
    close_all();
}

TEST(behind_a_nat_and_back_without_a_new_tunnel)
{
    struct status_child child;

    open_up(4, "", "start wait\n");
    uint64_t before = initiated(0);

    pair.nodes[0].nat_outer = address_ipv4(0xc6336409);
    pair.nodes[0].nat_base = 40000;
    moves_to(0, 0x0a4d0005);
    CHECK(lost_within(3000) < 60);
    CHECK(gateway_child_at(pair.nodes[1].gateway, 0, 0, &child));
    CHECK(child.encapsulated);
    CHECK_EQUAL(child.peer.port, 40001);
    CHECK_EQUAL(child.overhead.udp, 8);
    CHECK(gateway_pair_site(&pair, 0).ike.nat_local);
    CHECK_EQUAL(lost_within(1000), 0);
    /* Keepalives are sent when nothing else is. */
    unsigned keepalives = pair.nodes[0].keepalives;

    gateway_pair_run(&pair, 60000);
    CHECK(pair.nodes[0].keepalives > keepalives);

    pair.nodes[0].nat_outer.family = FAMILY_NONE;
    moves_to(0, 0xcb007101);
    CHECK(lost_within(3000) < 60);
    CHECK(gateway_child_at(pair.nodes[1].gateway, 0, 0, &child));
    CHECK(!gateway_pair_site(&pair, 0).ike.nat_local);
    CHECK_EQUAL(lost_within(1000), 0);
    CHECK_EQUAL(initiated(0), before);
    close_all();
}

/* RFC 7296 2.23, RFC 4555 3.8: nobody tells us; our own ESP does, or the question of liveness. */
TEST(a_nat_that_forgot_us_is_noticed)
{
    for (unsigned quiet = 0; quiet < 2; quiet++) {
        gateway_pair_open(&pair, 5 + quiet);
        pair.nodes[0].nat_outer = address_ipv4(0xc6336409);
        pair.nodes[0].nat_base = 40000;
        gateway_pair_write_config(&pair, 0, "");
        gateway_pair_write_config(&pair, 1, "start wait\n");
        gateway_pair_start(&pair, 0);
        gateway_pair_start(&pair, 1);
        CHECK(gateway_pair_up(&pair, 10000));
        gateway_pair_run(&pair, 5000);
        pair.nodes[0].nat_base = 50000;
        if (quiet == 1) {
            gateway_pair_run(&pair, 70000);
        } else {
            CHECK(lost_within(1000) < 20);
        }
        CHECK_EQUAL(gateway_pair_site(&pair, 1).ike.peer.port, 50001);
        CHECK_EQUAL(initiated(0), 1);
        CHECK_EQUAL(lost_within(1000), 0);
        close_all();
    }
}

/* Somebody on the way holds every other packet of the peer back and sends it from elsewhere, newest
 * of all: the tunnel goes back and forth, but not with every packet. */
static bool send_from_elsewhere(void *context, const struct gateway_pair_datagram *d)
{
    unsigned *count = context;

    if (d->protocol == 17 && d->to.port == 4500 && d->length > 60 && get_u32(d->bytes) != 0 &&
        address_equal(&d->to.address, &pair.nodes[1].outer) && ++*count % 2 == 0) {
        /* It is the one that is about to be on its way. */
        pair.queue[pair.queued].from = (struct endpoint){address_ipv4(0xc6336463), 40001};
    }
    return false;
}

TEST(going_back_and_forth_is_bounded_and_counted)
{
    unsigned count = 0;

    gateway_pair_open(&pair, 60);
    pair.nodes[0].nat_outer = address_ipv4(0xc6336409);
    pair.nodes[0].nat_base = 40000;
    gateway_pair_write_config(&pair, 0, "");
    gateway_pair_write_config(&pair, 1, "start wait\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 10000));
    gateway_pair_run(&pair, 5000);
    pair.lose = send_from_elsewhere;
    pair.context = &count;
    (void)lost_within(30000);
    struct status_site site = gateway_pair_site(&pair, 1);

    CHECK(count > 1500);
    CHECK(site.moves >= 6 && site.moves <= 10);
    CHECK(site.not_followed > 0);
    CHECK(strstr(pair.nodes[1].last_log, "did not follow") != NULL ||
          strstr(pair.nodes[1].last_log, "the tunnel moved") != NULL);
    /* It is over: the next packet that is allowed brings it back. */
    pair.lose = NULL;
    (void)lost_within(12000);
    CHECK_EQUAL(lost_within(1000), 0);
    site = gateway_pair_site(&pair, 1);
    CHECK_EQUAL(site.ike.peer.port, 40001);
    CHECK(address_equal(&site.ike.peer.address, &pair.nodes[0].nat_outer));
    CHECK_EQUAL(site.ike_count, 1);
    close_all();
}

static bool lose_updates(void *context, const struct gateway_pair_datagram *d)
{
    unsigned *left = context;

    if (*left > 0 && d->protocol == 17 && d->from.port == 4500 && d->length > 4 &&
        d->bytes[0] == 0 && d->bytes[1] == 0 && d->bytes[2] == 0 && d->bytes[3] == 0) {
        (*left)--;
        return true;
    }
    return false;
}

TEST(lost_updates_cost_time_and_nothing_else)
{
    unsigned left = 3;

    open_up(7, "", "start wait\n");
    uint64_t before = initiated(0);

    pair.lose = lose_updates;
    pair.context = &left;
    moves_to(0, 0xc6336407);
    (void)lost_within(6000);
    CHECK_EQUAL(left, 0);
    CHECK_EQUAL(initiated(0), before);
    CHECK_EQUAL(lost_within(1000), 0);
    close_all();
}

/* Nobody finds the other: the one that may call does, by the name, and all is well again. */
TEST(both_ends_move_at_once)
{
    gateway_pair_open(&pair, 8);
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway tokyo.example.jp\nlan 10.1.0.0/16\nsite osaka {\n peer osaka.example.jp\n"
             " network 10.2.0.0/16\n key @k\n mtu-probe off\n}\n");
    snprintf(pair.nodes[1].config, sizeof(pair.nodes[1].config),
             "gateway osaka.example.jp\nlan 10.2.0.0/16\nsite tokyo {\n peer any\n"
             " identity tokyo.example.jp\n network 10.1.0.0/16\n key @k\n}\n");
    pair.nodes[0].host = "osaka.example.jp";
    pair.nodes[0].host_address = pair.nodes[1].outer;
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_pair_run(&pair, 5000);
    CHECK(gateway_pair_site(&pair, 0).state == STATUS_UP);
    pair.nodes[0].host_address = address_ipv4(0xcb007177);
    moves_to(1, 0xcb007177);
    moves_to(0, 0xc6336407);
    (void)lost_within(30000);
    CHECK_EQUAL(lost_within(1000), 0);
    close_all();
}

/* The peer said where else he is: he is found there when his first address falls silent. */
TEST(a_silent_peer_is_looked_for_where_he_said)
{
    struct address list[2] = {address_ipv4(0xcb007102), address_ipv4(0xcb007177)};

    gateway_pair_open(&pair, 9);
    gateway_pair_write_config(&pair, 0, "");
    gateway_pair_write_config(&pair, 1, "start wait\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_host_addresses(pair.nodes[1].gateway, list, 2, pair.now_ms);
    CHECK(gateway_pair_up(&pair, 10000));
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK_EQUAL(site.ike.peer_address_count, 1);
    CHECK(address_equal(&site.ike.peer_addresses[0], &list[1]));
    gateway_pair_run(&pair, 5000);
    /* His first way dies, and he is not told. */
    pair.nodes[1].outer = list[1];
    (void)lost_within(15000);
    site = gateway_pair_site(&pair, 0);
    CHECK(address_equal(&site.ike.peer.address, &list[1]));
    CHECK_EQUAL(initiated(0), 1);
    CHECK_EQUAL(lost_within(1000), 0);
    close_all();
}

/* Two uplinks: one falls silent, the other is taken; when the first works again all goes back. */
TEST(a_dead_uplink_is_left_and_taken_again)
{
    struct address list[2] = {address_ipv4(0xcb007101), address_ipv4(0xc6336407)};
    struct status_site site;

    gateway_pair_open(&pair, 10);
    pair.nodes[0].second = list[1];
    gateway_pair_write_config(&pair, 0, "");
    gateway_pair_write_config(&pair, 1, "start wait\n");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    gateway_host_addresses(pair.nodes[0].gateway, list, 2, pair.now_ms);
    CHECK(gateway_pair_up(&pair, 10000));
    gateway_pair_run(&pair, 5000);
    pair.nodes[0].second_only = true;
    (void)lost_within(12000);
    site = gateway_pair_site(&pair, 0);
    CHECK(address_equal(&site.ike.local.address, &list[1]));
    CHECK_EQUAL(lost_within(1000), 0);

    /* Its tests of the first way fail for a minute, and nothing is lost for them. */
    CHECK_EQUAL(lost_within(70000), 0);
    site = gateway_pair_site(&pair, 0);
    CHECK(address_equal(&site.ike.local.address, &list[1]));

    pair.nodes[0].second_only = false;
    CHECK_EQUAL(lost_within(40000), 0);
    site = gateway_pair_site(&pair, 0);
    CHECK(address_equal(&site.ike.local.address, &list[0]));
    CHECK_EQUAL(initiated(0), 1);
    CHECK_EQUAL(site.ike_count, 1);
    close_all();
}

TEST(moves_and_rekeyings_at_once_lose_nobody)
{
    char why[160];

    for (uint64_t seed = 20; seed < 60; seed++) {
        open_up(seed, "", "start wait\n");
        uint64_t before = initiated(0);

        for (unsigned i = 0; i < 6; i++) {
            moves_to(0, 0xc6336400 + (uint32_t)(seed + i));
            gateway_pair_run(&pair, 10 * (seed % 30));
            CHECK(gateway_rekey(pair.nodes[i % 2].gateway, i % 2 == 0 ? "osaka" : "tokyo",
                                (seed + i) % 3 == 0, pair.now_ms, why, sizeof(why)));
            (void)lost_within(300);
        }
        (void)lost_within(5000);
        CHECK_EQUAL(lost_within(1000), 0);
        CHECK_EQUAL(initiated(0), before);
        CHECK_EQUAL(gateway_pair_site(&pair, 0).ike_count, 1);
        close_all();
    }
}
