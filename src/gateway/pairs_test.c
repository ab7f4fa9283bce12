/* Two whole gateways: a child for each pair of networks. */
#include <string.h>

#include "tests/support/gateway_pair.h"
#include "tests/support/test.h"

static struct gateway_pair pair;

static void open_with(uint64_t seed, const char *extra_0, const char *extra_1)
{
    gateway_pair_open(&pair, seed);
    gateway_pair_write_config(&pair, 0, extra_0);
    gateway_pair_write_config(&pair, 1, extra_1);
    gateway_pair_start(&pair, 0);
    gateway_pair_start(&pair, 1);
    CHECK(gateway_pair_up(&pair, 5000));
    gateway_pair_run(&pair, 10000);
}

static void close_both(void)
{
    gateway_pair_close(&pair);
}

/* Each child is for one pair, no pair has two, and none is narrowed. */
static void check_pairs(unsigned node, size_t pairs)
{
    struct status_site site = gateway_pair_site(&pair, node);
    uint64_t seen = 0;

    CHECK_EQUAL(site.state, STATUS_UP);
    CHECK_EQUAL(site.child_count, pairs);
    for (size_t i = 0; i < pairs; i++) {
        struct status_child child;

        CHECK(gateway_child_at(pair.nodes[node].gateway, 0, i, &child));
        CHECK_EQUAL(child.local_count, 1);
        CHECK_EQUAL(child.remote_count, 1);
        CHECK(child.in_use);
        CHECK(!child.narrowed);
        uint64_t bit = UINT64_C(1) << (child.local_selectors[0].addresses.first.bytes[1] % 8 * 8 +
                                       child.remote_selectors[0].addresses.first.bytes[1] % 8);

        CHECK((seen & bit) == 0);
        seen |= bit;
    }
}

static const char *const ours = "lan 10.1.0.0/16 10.5.0.0/16\n network 10.6.0.0/16\n"
                                " network 10.7.0.0/16\n children per-pair";
static const char *const theirs = "lan 10.2.0.0/16 10.6.0.0/16 10.7.0.0/16\n"
                                  " network 10.5.0.0/16\n children per-pair\n start wait";

TEST(each_pair_of_networks_has_a_child_of_its_own)
{
    open_with(501, ours, theirs);
    check_pairs(0, 6);
    check_pairs(1, 6);
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    close_both();
}

TEST(both_sides_ask_and_no_pair_has_two)
{
    open_with(502, ours,
              "lan 10.2.0.0/16 10.6.0.0/16 10.7.0.0/16\n network 10.5.0.0/16\n"
              " children per-pair");
    gateway_pair_run(&pair, 60000);
    check_pairs(0, 6);
    check_pairs(1, 6);
    close_both();
}

TEST(a_peer_that_takes_all_in_one_takes_pairs_as_well)
{
    open_with(503, ours,
              "lan 10.2.0.0/16 10.6.0.0/16 10.7.0.0/16\n network 10.5.0.0/16\n"
              " start wait");
    check_pairs(0, 6);
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    close_both();
}

TEST(an_answer_to_a_peer_that_wants_all_in_one_is_completed_by_us)
{
    open_with(504, "lan 10.1.0.0/16 10.5.0.0/16\n network 10.6.0.0/16\n network 10.7.0.0/16",
              "lan 10.2.0.0/16 10.6.0.0/16 10.7.0.0/16\n network 10.5.0.0/16\n"
              " children per-pair");
    gateway_pair_run(&pair, 60000);
    check_pairs(1, 6);
    close_both();
}

TEST(pairs_survive_rekeying_and_a_change_of_the_networks)
{
    char why[100];

    open_with(505, ours, theirs);
    CHECK(gateway_rekey(pair.nodes[0].gateway, "osaka", false, pair.now_ms, why, sizeof(why)));
    gateway_pair_run(&pair, 15000);
    check_pairs(0, 6);
    check_pairs(1, 6);
    gateway_pair_write_config(&pair, 0, "network 10.6.0.0/16\n children per-pair");
    gateway_pair_reload(&pair, 0);
    gateway_pair_run(&pair, 30000);
    check_pairs(0, 2);
    CHECK(gateway_pair_passes(&pair, 0));
    close_both();
}
