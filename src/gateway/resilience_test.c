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

TEST(without_a_child_in_the_first_negotiation_one_side_asks_for_it)
{
    for (unsigned who = 0; who < 2; who++) {
        start(310 + who, who == 0 ? "childless on" : "start wait\n childless on",
              who == 0 ? "start wait" : "");
        CHECK(gateway_pair_passes(&pair, 0));
        gateway_pair_run(&pair, 10000);
        check_one();
        gateway_pair_close(&pair);
    }
    start(315, "childless on", "childless on");
    gateway_pair_run(&pair, 60000);
    check_one();
    pass_for(5);
    gateway_pair_close(&pair);
}

static void crash_with_key(unsigned node, bool keeps)
{
    struct gateway_pair_node *n = &pair.nodes[node];

    gateway_ticket_key(n->gateway, n->ticket_key);
    n->keeps_ticket_key = keeps;
    gateway_pair_crash(&pair, node);
    gateway_pair_start(&pair, node);
}

TEST(after_a_crash_of_the_answering_side_a_ticket_brings_the_tunnel_back)
{
    for (unsigned keeps = 0; keeps < 2; keeps++) {
        start(320 + keeps, "resume 1h", "start wait\n resume 1h");
        gateway_pair_run(&pair, 2000);
        unsigned before = pair.nodes[0].key_exchanges;
        struct gateway *g = pair.nodes[0].gateway;

        crash_with_key(1, keeps == 1);
        for (unsigned i = 0; i < 150 && !gateway_pair_passes(&pair, 0); i++) {
            gateway_pair_run(&pair, 100);
        }
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK_EQUAL(g->resumed, keeps);
        CHECK((pair.nodes[0].key_exchanges == before) == (keeps == 1));
        /* The next one goes on from there. */
        if (keeps == 1) {
            crash_with_key(1, true);
            for (unsigned i = 0; i < 150 && !gateway_pair_passes(&pair, 0); i++) {
                gateway_pair_run(&pair, 100);
            }
            CHECK_EQUAL(g->resumed, 2);
        }
        gateway_pair_close(&pair);
    }
}

TEST(a_ticket_is_not_good_for_a_changed_site_or_key)
{
    for (unsigned what = 0; what < 2; what++) {
        start(330 + what, "resume 1h", "start wait\n resume 1h");
        gateway_pair_run(&pair, 2000);
        if (what == 0) {
            gateway_pair_write_config(&pair, 1, "start wait\n resume 1h\n dpd 47s");
        } else {
            pair.nodes[0].secret = pair.nodes[1].secret = "another key that is long enough";
            gateway_pair_reload(&pair, 0);
        }
        crash_with_key(1, true);
        for (unsigned i = 0; i < 300 && !gateway_pair_passes(&pair, 0); i++) {
            gateway_pair_run(&pair, 100);
        }
        CHECK(gateway_pair_passes(&pair, 0));
        CHECK_EQUAL(pair.nodes[0].gateway->resumed, 0);
        gateway_pair_close(&pair);
    }
}
