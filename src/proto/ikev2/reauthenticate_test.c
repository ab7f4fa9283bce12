/* Authentication anew: when it is begun, and what is over when nobody does. */
#include "proto/ikev2/machine.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

#define HOUR_S 3600
#define HOUR_MS UINT64_C(3600000)

static struct ikev2_pair *up(uint64_t seed, uint32_t first_s, uint32_t second_s)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    p->side[0].policy.reauthenticate_s = first_s;
    p->side[1].policy.reauthenticate_s = second_s;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].established == 1 && p->side[1].established == 1);
    return p;
}

static uint64_t planned(const struct ikev2_pair *p, unsigned side)
{
    struct ikev2_sa_info info;

    ikev2_sa_get_info(p->side[side].sa, &info);
    return info.reauthenticate_ms - p->now_ms;
}

TEST(who_has_the_limit_begins_in_time_and_ends_it_when_nothing_comes)
{
    for (uint64_t seed = 1; seed < 30; seed++) {
        struct ikev2_pair *p = up(seed, HOUR_S, 0);

        CHECK(planned(p, 0) >= HOUR_MS / 100 * 80 && planned(p, 0) < HOUR_MS / 100 * 88);
        CHECK(p->side[1].sa->extra == NULL);
        ikev2_pair_advance(p, HOUR_MS / 100 * 79);
        CHECK_EQUAL(p->side[0].reauthenticate, 0);
        ikev2_pair_advance(p, HOUR_MS / 100 * 10);
        CHECK_EQUAL(p->side[0].reauthenticate, 1);
        CHECK_EQUAL(p->side[0].closed, 0);
        ikev2_pair_advance(p, HOUR_MS / 100 * 12);
        CHECK_EQUAL(p->side[0].reauthenticate, 1);
        CHECK_EQUAL(p->side[0].closed, 1);
        CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_NOT_PROVEN_AGAIN);
        CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_PEER_DELETED);
        ikev2_pair_free(p);
    }
}

TEST(a_responder_says_how_long_and_the_initiator_begins_before_him)
{
    for (uint64_t seed = 1; seed < 30; seed++) {
        struct ikev2_pair *p = up(seed, 0, HOUR_S);

        CHECK(planned(p, 0) >= HOUR_MS / 100 * 80 && planned(p, 0) < HOUR_MS / 100 * 88);
        CHECK(planned(p, 1) >= HOUR_MS / 100 * 88 && planned(p, 1) < HOUR_MS / 100 * 96);
        ikev2_pair_advance(p, HOUR_MS / 100 * 88 - 1000);
        CHECK_EQUAL(p->side[0].reauthenticate, 1);
        CHECK_EQUAL(p->side[1].reauthenticate, 0);
        ikev2_pair_advance(p, HOUR_MS / 100 * 12 + 2000);
        CHECK_EQUAL(p->side[1].reauthenticate, 1);
        CHECK_EQUAL(p->side[0].reauthenticate, 1);
        CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_NOT_PROVEN_AGAIN);
        ikev2_pair_free(p);
    }
}

TEST(the_shorter_limit_of_both_counts_and_rekeying_does_not_change_it)
{
    struct ikev2_pair *p = up(7, 2 * HOUR_S, HOUR_S);
    uint64_t before_ms = planned(p, 0);

    CHECK(before_ms < HOUR_MS);
    ikev2_pair_advance(p, HOUR_MS / 2);
    ikev2_pair_rekey(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].rekeyed, 1);
    CHECK_EQUAL(planned(p, 0), before_ms - HOUR_MS / 2);
    ikev2_pair_free(p);
}
