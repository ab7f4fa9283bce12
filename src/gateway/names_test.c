/* The name of a peer means something else while a tunnel to it is up. */
#include "gateway/inside.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

#define FIRST 0xcb007102 /* 203.0.113.2 */
#define SECOND 0xc6336407 /* 198.51.100.7 */

/* The second gateway has both addresses. */
static void start(uint64_t seed, const char *extra)
{
    gateway_pair_open(&pair, seed);
    snprintf(pair.nodes[0].config, sizeof(pair.nodes[0].config),
             "gateway tokyo.example.jp\nlan 10.1.0.0/16\nsite osaka {\n peer osaka.example.jp\n"
             " network 10.2.0.0/16\n key @osaka\n mtu-probe off\n %s\n}\n",
             extra);
    gateway_pair_write_config(&pair, 1, "start wait\n");
    pair.nodes[0].host = "osaka.example.jp";
    pair.nodes[0].host_address = address_ipv4(FIRST);
    pair.nodes[1].second = address_ipv4(SECOND);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 10000));
    gateway_pair_run(&pair, 3000);
}

static bool is_at(uint32_t address)
{
    struct status_site site = gateway_pair_site(&pair, 0);
    struct address wanted = address_ipv4(address);

    return site.state == STATUS_UP && site.ike_count == 1 &&
           address_equal(&site.ike.peer.address, &wanted);
}

static uint64_t called(void)
{
    return pair.nodes[0].gateway->initiated;
}

TEST(the_tunnel_goes_where_the_name_leads)
{
    for (unsigned mobile = 0; mobile < 2; mobile++) {
        start(1 + mobile, mobile == 1 ? "resolve 1m" : "resolve 1m\n mobike off");
        pair.nodes[0].host_address = address_ipv4(SECOND);
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 50, 110000), 0);
        CHECK(is_at(SECOND));
        /* The same IKE SA, where that is possible. */
        CHECK_EQUAL(called(), mobile == 1 ? 1 : 2);
        CHECK_EQUAL(pair.nodes[0].downs, 0);
        pair.nodes[0].host_address = address_ipv4(FIRST);
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 50, 110000), 0);
        CHECK(is_at(FIRST));
        CHECK(gateway_pair_finish(&pair));
    }
}

/* Another gateway would not know the IKE SA: no question of the old one is answered there. */
static bool lose_questions(void *context, const struct gateway_pair_datagram *d)
{
    struct address second = address_ipv4(SECOND);

    /* Behind the marker stands the initiator's SPI. */
    return d->protocol == 17 && address_equal(&d->to.address, &second) && d->to.port == 4500 &&
           d->length > 12 && get_u64(d->bytes + 4) == *(const uint64_t *)context;
}

TEST(who_is_another_one_there_is_called_beside_the_first)
{
    start(3, "resolve 1m");
    uint64_t spi_i = gateway_pair_site(&pair, 0).ike.spi_i;

    pair.lose = lose_questions;
    pair.context = &spi_i;
    pair.nodes[0].host_address = address_ipv4(SECOND);
    CHECK_EQUAL(gateway_pair_lost_within(&pair, 50, 110000), 0);
    CHECK(is_at(SECOND));
    CHECK_EQUAL(called(), 2);
    CHECK(gateway_pair_finish(&pair));
}

TEST(an_outage_of_the_name_server_disturbs_nothing)
{
    start(4, "resolve 1m");
    unsigned before = pair.nodes[0].resolves;

    pair.nodes[0].host = NULL;
    for (unsigned i = 0; i < 20; i++) {
        gateway_pair_run(&pair, 60000);
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 50, 1000), 0);
    }
    struct status_site site = gateway_pair_site(&pair, 0);

    CHECK(is_at(FIRST) && site.reason == REASON_NONE);
    CHECK_EQUAL(called(), 1);
    CHECK(pair.nodes[0].resolves > before + 15 && pair.nodes[0].resolves < before + 25);
    CHECK(gateway_pair_finish(&pair));
}

/* A name server that gives another address of several each time. */
TEST(one_answer_without_the_address_is_not_enough)
{
    start(5, "resolve 1m");
    for (unsigned i = 0; i < 10; i++) {
        unsigned before = pair.nodes[0].resolves;

        pair.nodes[0].host_address = address_ipv4(SECOND);
        while (pair.nodes[0].resolves == before) {
            gateway_pair_run(&pair, 500);
        }
        pair.nodes[0].host_address = address_ipv4(FIRST);
        while (pair.nodes[0].resolves == before + 1) {
            gateway_pair_run(&pair, 500);
        }
    }
    CHECK(is_at(FIRST));
    CHECK_EQUAL(called(), 1);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).moves, 0);
    CHECK(gateway_pair_finish(&pair));
}

/* Nobody is at the new address: what there is stays. */
TEST(a_name_that_leads_to_nobody_changes_nothing)
{
    start(6, "resolve 1m");
    pair.nodes[0].host_address = address_ipv4(0xc6336463);
    for (unsigned i = 0; i < 10; i++) {
        CHECK_EQUAL(gateway_pair_lost_within(&pair, 50, 1000), 0);
        gateway_pair_run(&pair, 59000);
    }
    CHECK(gateway_pair_site(&pair, 0).reason == REASON_NONE);
    CHECK(called() > 1 && called() < 12);
    pair.nodes[0].host_address = address_ipv4(FIRST);
    gateway_pair_run(&pair, 180000);
    CHECK(is_at(FIRST));
    uint64_t before = called();

    gateway_pair_run(&pair, 600000);
    CHECK_EQUAL(called(), before);
    CHECK(gateway_pair_finish(&pair));
}

TEST(with_resolve_off_it_is_not_asked_for)
{
    start(7, "resolve off");
    unsigned before = pair.nodes[0].resolves;

    pair.nodes[0].host_address = address_ipv4(SECOND);
    gateway_pair_run(&pair, 1800000);
    CHECK(is_at(FIRST));
    CHECK_EQUAL(pair.nodes[0].resolves, before);
    CHECK(gateway_pair_finish(&pair));
}
