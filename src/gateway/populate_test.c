/* RFC 4301 4.4.1.1: an SA for each pair of hosts, or for each connection. */
#include "gateway/inside.h"
#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void open_pair(const char *each, uint64_t seed)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, each);
    gateway_pair_write_config(&pair, 1, "start wait");
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    dataplane_keep_keys(pair.nodes[0].dataplane, true);
    gateway_pair_run(&pair, 5000);
    CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_WAITING_TRAFFIC);
    /* Without traffic there is nothing. */
    CHECK_EQUAL(pair.nodes[0].sends, 0);
}

/* Between the hosts of these numbers on both sides; the first packet waits for its SA. */
static bool passes(uint8_t from, uint8_t to, uint16_t from_port)
{
    struct gateway_pair_clear clear = {
        .from = {FAMILY_IPV4, {10, 1, 0, from}},
        .to = {FAMILY_IPV4, {10, 2, 0, to}},
        .protocol = 17,
        .from_port = from_port,
        .to_port = 53,
    };
    uint64_t before = pair.nodes[1].delivered;

    gateway_pair_offer_clear(&pair, 0, &clear);
    gateway_pair_run(&pair, 1000);
    return pair.nodes[1].delivered == before + 1;
}

static size_t count(unsigned node)
{
    return pair.nodes[node].gateway->sites[0]->child_count;
}

TEST(each_pair_of_hosts_gets_a_child_of_its_own)
{
    struct ikev2_child_info info;

    open_pair("each host", 171);
    CHECK(passes(1, 1, 1000));
    CHECK_EQUAL(count(0), 1);
    CHECK(passes(1, 1, 1001));
    CHECK_EQUAL(count(0), 1);
    CHECK(passes(2, 1, 1000));
    CHECK(passes(2, 2, 1000));
    CHECK_EQUAL(count(0), 3);
    CHECK_EQUAL(count(1), 3);
    for (const struct child *c = pair.nodes[0].gateway->ikes->children; c != NULL; c = c->next) {
        CHECK(children_info(c, &info));
        CHECK_EQUAL(info.local_count, 1);
        CHECK(address_equal(&info.local_selectors[0].addresses.first,
                            &info.local_selectors[0].addresses.last));
        CHECK_EQUAL(info.local_selectors[0].protocol, 0);
        for (const struct child *d = c->next; d != NULL; d = d->next) {
            struct sa_raw_keys one, other;

            CHECK(dataplane_raw_keys(pair.nodes[0].dataplane, c->spi_in, &one));
            CHECK(dataplane_raw_keys(pair.nodes[0].dataplane, d->spi_in, &other));
            CHECK(!slice_equal(one.out, other.out));
        }
    }
    /* All stay in use. */
    CHECK(passes(1, 1, 1000));
    CHECK(passes(2, 1, 1000));
    gateway_pair_run(&pair, 60000);
    CHECK_EQUAL(count(0), 3);
    CHECK(passes(1, 1, 1000));
    gateway_pair_close(&pair);
}

TEST(each_connection_gets_a_child_of_its_own_and_idle_ones_make_room)
{
    open_pair("each connection", 172);
    for (uint16_t i = 0; i < 40; i++) {
        CHECK(passes(1, 1, (uint16_t)(1000 + i)));
    }
    CHECK_EQUAL(count(0), 32);
    CHECK_EQUAL(count(1), 32);
    gateway_pair_close(&pair);
}
