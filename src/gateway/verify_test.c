/* Two whole gateways that differ in PFS: it shows right after they connected. */
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
    gateway_pair_run(&pair, 4000);
}

static void check_told(unsigned node, const char *ours, const char *theirs)
{
    struct status_site site = gateway_pair_site(&pair, node);

    CHECK_EQUAL(site.reason, REASON_RENEWAL_FAILS);
    CHECK_TEXT(site.code, "SEK-L014");
    if (strstr(site.sentence, ours) == NULL || strstr(site.sentence, theirs) == NULL) {
        fail_msg("%s", site.sentence);
    }
}

TEST(who_demands_pfs_of_a_peer_without_is_told_at_once_on_both_sides)
{
    open_with(701, "pfs on\n  esp aes256gcm16-ecp384", "pfs off\n  start wait");
    check_told(0, "we have pfs on with ecp384", "the peer answers NO_PROPOSAL_CHOSEN");
    check_told(1, "we have pfs off", "ecp384");
    CHECK_EQUAL(gateway_pair_site(&pair, 0).state, STATUS_UP);
    CHECK(gateway_pair_passes(&pair, 0));
    CHECK(gateway_pair_passes(&pair, 1));
    gateway_pair_close(&pair);
}

TEST(who_refuses_pfs_of_a_peer_that_demands_it_is_told_at_once)
{
    open_with(702, "pfs off", "pfs on\n  esp aes256gcm16-ecp384\n  start wait");
    check_told(0, "we have pfs off", "the peer answers NO_PROPOSAL_CHOSEN");
    CHECK(gateway_pair_passes(&pair, 0));
    gateway_pair_close(&pair);
}

TEST(groups_that_do_not_meet_are_told_at_once)
{
    open_with(703, "pfs on\n  esp aes256gcm16-ecp384",
              "pfs on\n  esp aes256gcm16-x25519\n  start wait");
    check_told(0, "we have pfs on with ecp384", "the peer answers NO_PROPOSAL_CHOSEN");
    gateway_pair_close(&pair);
}

TEST(when_both_want_the_same_it_is_renewed_once_and_nothing_is_told)
{
    open_with(704, "pfs on", "pfs on\n  start wait");
    gateway_pair_run(&pair, 60000);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(gateway_pair_site(&pair, i).reason, REASON_NONE);
        CHECK_EQUAL(gateway_pair_site(&pair, i).rekeys, 1);
    }
    CHECK(gateway_pair_passes(&pair, 0));
    gateway_pair_close(&pair);
}

TEST(it_is_tried_when_it_is_wanted_and_not_else)
{
    static const struct {
        const char *ours;
        uint64_t rekeys;
    } cases[] = {
        {"", 0},
        {"pfs on\n  verify-rekey off", 0},
        {"verify-rekey on", 1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        open_with(705 + i, cases[i].ours, "start wait");
        gateway_pair_run(&pair, 20000);
        CHECK_EQUAL(gateway_pair_site(&pair, 0).rekeys, cases[i].rekeys);
        CHECK_EQUAL(gateway_pair_site(&pair, 0).reason, REASON_NONE);
        gateway_pair_close(&pair);
    }
}
