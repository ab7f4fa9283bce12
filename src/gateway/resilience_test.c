/* What follows an IKE SA without a gap: no packet is lost, and nothing is left twice. */
#include "gateway/inside.h"

#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void start(uint64_t seed, const char *first, const char *second)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, first);
    gateway_pair_write_config(&pair, 1, second);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
}

static uint64_t negotiations(unsigned node)
{
    const struct gateway *g = pair.nodes[node].gateway;

    return g->initiated_ok + g->answered_ok;
}

/* Packets both ways, and every one of them arrives. */
static void pass_for(unsigned seconds)
{
    for (unsigned i = 0; i < seconds * 5; i++) {
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK(gateway_pair_passes(&pair, 1));
    }
}

static bool is_twice(void)
{
    return gateway_pair_site(&pair, 0).ike_count > 1 || gateway_pair_site(&pair, 1).ike_count > 1;
}

static void check_one(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct status_site site = gateway_pair_site(&pair, i);

        CHECK_EQUAL(site.ike_count, 1);
        CHECK_EQUAL(site.child_count, 1);
        CHECK_EQUAL(pair.nodes[i].downs, 0);
    }
}

TEST(reauthentication_loses_no_packet_whoever_wants_it)
{
    static const char every[] = "reauthenticate 1m";
    static const struct {
        const char *first, *second;
    } cases[] = {
        {every, ""},           {"", every}, {every, every}, {"start wait\n reauthenticate 1m", ""},
        {"start wait", every},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        start(200 + i, cases[i].first, cases[i].second);
        uint64_t before = negotiations(0);

        for (unsigned minute = 0; minute < 5; minute++) {
            pass_for(60);
            CHECK_EQUAL(pair.nodes[0].downs + pair.nodes[1].downs, 0);
        }
        uint64_t times = negotiations(0) - before;

        CHECK(times >= 5 && times <= 8);
        /* It may just be changing. */
        for (unsigned s = 0; s < 10 && is_twice(); s++) {
            gateway_pair_run(&pair, 1000);
        }
        check_one();
        gateway_pair_close(&pair);
    }
}

TEST(a_proof_that_is_not_renewed_ends_the_tunnel)
{
    start(300, "reauthenticate 1m", "start wait");
    CHECK(gateway_pair_passes(&pair, 0));
    /* The key of the peer is another now. */
    pair.nodes[1].secret = "another key that is long enough to be one";
    gateway_pair_reload(&pair, 1);
    gateway_pair_run(&pair, 57000);
    CHECK(gateway_pair_passes(&pair, 0));
    gateway_pair_run(&pair, 5000);
    CHECK(!gateway_pair_passes(&pair, 0));
    gateway_pair_close(&pair);
}
