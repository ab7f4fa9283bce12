/*
 * RFC 9611: children with equal traffic selectors, each for one resource, in the notation of RFC
 * 7296: the first child, others, both sides at once, refusals, rekeying and deletion.
 */
#include <string.h>

#include "tests/exchange/world.h"
#include "tests/support/test.h"

#define RESOURCES 4

static struct world w;

static void open_world(uint64_t seed)
{
    world_init(&w, seed);
    for (size_t i = 0; i < 2; i++) {
        w.side[i].children[0].resources = RESOURCES;
        w.side[i].children[0].resources_max = 2 * RESOURCES;
        w.side[i].children[0].resources_announced = true;
    }
}

static void open_connected(uint64_t seed)
{
    open_world(seed);
    world_connect(&w);
}

static void allow_only(struct proposals *policy, const char *words)
{
    char why[200];

    policy->count = 1;
    CHECK(proposal_parse(PROTOCOL_ESP, slice_of_text(words), &policy->list[0], why, sizeof(why)));
}

static void own(enum world_side_name side, uint8_t resource)
{
    world_new_own(&w, side, resource);
    world_expect(&w, side, "HDR, SK {N(SA_RESOURCE_INFO), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, 1 - side, "HDR, SK {N(SA_RESOURCE_INFO), SA, Nr, KEr, TSi, TSr}");
}

static void check_leaders(bool a_knows, bool b_knows)
{
    CHECK_EQUAL(world_own(&w, A, 0)->peer_has_resources, a_knows);
    CHECK_EQUAL(world_own(&w, B, 0)->peer_has_resources, b_knows);
}

static size_t children(void)
{
    CHECK_EQUAL(w.side[A].installed_count, w.side[B].installed_count);
    return w.side[A].installed_count;
}

/* ---- section 3: the first child ---- */

TEST(the_first_child_says_that_there_may_be_more)
{
    open_world(1);
    world_start(&w);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, N(SA_RESOURCE_INFO), SAi2, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {IDr, AUTH, N(SA_RESOURCE_INFO), SAr2, TSi, TSr}");
    check_leaders(true, true);
    CHECK_EQUAL(world_own(&w, A, 0)->resource_id, 0);
    world_fini(&w);
}

TEST(who_does_not_know_of_resources_or_wants_none_ignores_that)
{
    open_world(2);
    w.side[B].children[0].resources_max = 0;
    world_start(&w);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, N(SA_RESOURCE_INFO), SAi2, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
    check_leaders(false, false);
    /* And is not asked for more. */
    world_new_own(&w, A, 1);
    CHECK_EQUAL(w.flight_count, 0);
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_CHILD_RESOURCE);
    world_new_own(&w, B, 1);
    CHECK_EQUAL(w.flight_count, 0);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

TEST(who_has_nothing_to_gain_does_not_speak_of_it_but_answers)
{
    open_world(3);
    w.side[A].children[0].resources_announced = false;
    world_start(&w);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {IDr, AUTH, SAr2, TSi, TSr}");
    world_fini(&w);

    open_world(4);
    w.side[B].children[0].resources_announced = false;
    world_start(&w);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, N(SA_RESOURCE_INFO), SAi2, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {IDr, AUTH, N(SA_RESOURCE_INFO), SAr2, TSi, TSr}");
    world_fini(&w);
}

/* ---- section 3: the others ---- */

TEST(each_side_has_children_for_its_resources_and_gives_those_of_the_peer_to_its_own_in_turn)
{
    open_connected(5);
    for (uint8_t r = 1; r <= RESOURCES; r++) {
        own(A, r);
        CHECK_EQUAL(world_own(&w, A, r)->resource, r);
        /* RFC 9611 4: of B's those that have the fewest. */
        CHECK(world_own(&w, B, r) != NULL);
        CHECK_EQUAL(children(), 1u + r);
    }
    /* RFC 9611 3, 7: unique, and nothing but a name. */
    for (size_t side = 0; side < 2; side++) {
        for (uint8_t r = 1; r <= RESOURCES; r++) {
            for (uint8_t other = 0; other < r; other++) {
                CHECK(world_own(&w, side, r)->resource_id !=
                      world_own(&w, side, other)->resource_id);
            }
        }
    }
    /* There is one already. */
    world_new_own(&w, A, 2);
    world_new_own(&w, B, 2);
    CHECK_EQUAL(w.flight_count, 0);
    world_settle(&w);
    world_check_settled(&w, 1 + RESOURCES);
    world_fini(&w);
}

TEST(who_answers_sends_through_it_when_he_heard_through_it_or_after_a_while)
{
    open_connected(6);
    own(B, 1);
    CHECK(world_own(&w, B, 1)->used);
    CHECK(!world_own(&w, A, 1)->used);
    world_heard(&w, A);
    CHECK(world_own(&w, A, 1)->used);
    own(B, 2);
    CHECK(!world_own(&w, A, 2)->used);
    world_advance(&w, w.side[A].policy.grace_ms + 1);
    CHECK(world_own(&w, A, 2)->used);
    world_check_settled(&w, 3);
    world_fini(&w);
}

TEST(a_peer_that_asks_first_is_known_to_take_them)
{
    open_world(7);
    w.side[A].children[0].resources_announced = false;
    world_connect(&w);
    check_leaders(false, false);
    world_new_own(&w, A, 1);
    CHECK_EQUAL(w.flight_count, 0);
    CHECK_EQUAL(w.side[A].child_failed, 1);
    world_fini(&w);
}

/* ---- refusals ---- */

TEST(more_than_there_may_be_are_refused_with_ts_max_queue_and_nothing_else_changes)
{
    open_world(8);
    w.side[B].children[0].resources_max = 2;
    world_connect(&w);
    own(A, 1);
    own(A, 2);
    world_new_own(&w, A, 3);
    world_expect(&w, A, "HDR, SK {N(SA_RESOURCE_INFO), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {N(TS_MAX_QUEUE)}");
    CHECK_EQUAL(w.side[A].child_failed, 1);
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_CHILD_RESOURCE);
    CHECK_EQUAL(w.side[A].failure.notify, IKEV2_TS_MAX_QUEUE);
    /* For who refuses it is no failure. */
    CHECK_EQUAL(w.side[B].child_failed, 0);
    world_settle(&w);
    world_check_settled(&w, 3);
    /* What is there can be renewed all the same. */
    world_rekey_own(&w, A, 1);
    world_deliver_all(&w);
    world_settle(&w);
    world_check_settled(&w, 3);
    /* And where one went another may come. */
    world_close_own(&w, A, 1);
    world_deliver_all(&w);
    own(A, 3);
    world_settle(&w);
    world_check_settled(&w, 3);
    world_fini(&w);
}

TEST(who_wants_none_any_more_refuses_with_ts_max_queue)
{
    open_connected(9);
    w.side[B].children[0].resources_max = 0;
    world_new_own(&w, A, 1);
    world_expect(&w, A, "HDR, SK {N(SA_RESOURCE_INFO), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {N(TS_MAX_QUEUE)}");
    CHECK_EQUAL(w.side[A].failure.notify, IKEV2_TS_MAX_QUEUE);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* RFC 9611 6: MUST NOT be NO_ADDITIONAL_SAS. */
TEST(without_an_spi_the_refusal_is_ts_max_queue_as_well)
{
    open_connected(10);
    world_new_own(&w, A, 1);
    w.refuse_question = w.questions + 1;
    world_expect(&w, A, "HDR, SK {N(SA_RESOURCE_INFO), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {N(TS_MAX_QUEUE)}");
    CHECK_EQUAL(w.side[B].child_failed, 0);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* RFC 9611 3: MUST be negotiated with identical properties. */
TEST(one_of_another_kind_is_refused_and_not_taken)
{
    open_connected(11);
    allow_only(&w.side[A].child_proposals[0], "aes256-sha256-x25519");
    allow_only(&w.side[B].child_proposals[0], "aes256-sha256-x25519");
    world_new_own(&w, A, 1);
    world_expect(&w, A, "HDR, SK {N(SA_RESOURCE_INFO), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {N(NO_PROPOSAL_CHOSEN)}");
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_CHILD_RESOURCE);
    CHECK_EQUAL(w.side[A].failure.notify, IKEV2_NO_PROPOSAL_CHOSEN);
    world_settle(&w);
    world_check_settled(&w, 1);
    world_fini(&w);
}

/* A peer that makes a common child of it has forgotten what he said: he is told to delete it. */
TEST(one_that_the_peer_does_not_understand_is_given_back)
{
    open_connected(12);
    /* B has another policy for the same networks that knows nothing of it. */
    world_new_own(&w, A, 1);
    CHECK_EQUAL(w.flight_count, 1);
    world_lose(&w, 0);
    w.side[B].children[0].resources_max = 0;
    world_close_child(&w, B);
    world_expect(&w, B, "HDR, SK {D}");
    world_expect(&w, A, "HDR, SK {D}");
    CHECK(world_wake(&w));
    world_expect(&w, A, "again");
    world_expect(&w, B, "HDR, SK {SA, Nr, KEr, TSi, TSr}");
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_CHILD_RESOURCE);
    world_expect(&w, A, "HDR, SK {D}");
    world_expect(&w, B, "HDR, SK {D}");
    world_settle(&w);
    world_check_settled(&w, 0);
    world_fini(&w);
}

/* RFC 7296 2.25: for what the site can do without nobody waits for minutes, and nothing is closed.
 */
TEST(a_peer_that_is_never_ready_for_more_keeps_what_he_has)
{
    open_connected(13);
    world_rekey_ike(&w, B);
    world_expect_lost(&w, B, "HDR, SK {SA, Ni, KEi}");
    world_new_own(&w, A, 1);
    unsigned asked = 0;

    while (w.side[A].child_failed == 0) {
        while (w.flight_count > 0) {
            /* B's own question stays without answer, and A's is answered. */
            if (w.flights[0].from == B && strstr(w.flights[0].words, "TEMPORARY") == NULL) {
                world_lose(&w, 0);
            } else {
                asked += w.flights[0].from == A;
                world_deliver(&w, 0);
            }
        }
        if (w.side[A].child_failed == 0 && !world_wake(&w)) {
            break;
        }
        CHECK(w.side[A].sa != NULL && asked < 20);
    }
    CHECK_EQUAL(asked, 4);
    CHECK_EQUAL(w.side[A].failure.notify, IKEV2_TEMPORARY_FAILURE);
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_CHILD_RESOURCE);
    world_fini(&w);
}

/* ---- rekeying and deletion ---- */

static void rekey(enum world_side_name side, uint8_t resource)
{
    struct installed before[2] = {*world_own(&w, A, resource), *world_own(&w, B, resource)};

    world_rekey_own(&w, side, resource);
    world_expect(&w, side, "HDR, SK {N(REKEY_SA), N(SA_RESOURCE_INFO), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, 1 - side, "HDR, SK {N(SA_RESOURCE_INFO), SA, Nr, KEr, TSi, TSr}");
    world_expect(&w, side, "HDR, SK {D}");
    world_expect(&w, 1 - side, "HDR, SK {D}");
    for (size_t i = 0; i < 2; i++) {
        const struct installed *now = world_own(&w, i, resource);

        CHECK(now->spi_in != before[i].spi_in && now->replaces == before[i].spi_in);
        CHECK_EQUAL(now->resource_id, before[i].resource_id);
        CHECK_EQUAL(now->peer_has_resources, true);
    }
}

TEST(a_rekeyed_child_is_for_the_same_resource_and_says_so)
{
    open_connected(14);
    own(A, 1);
    own(B, 2);
    for (uint8_t r = 0; r <= 2; r++) {
        rekey(A, r);
        rekey(B, r);
    }
    world_settle(&w);
    world_check_settled(&w, 3);
    for (uint8_t r = 0; r <= 2; r++) {
        rekey(B, r);
    }
    /* Those of another IKE SA are the same. */
    world_rekey_ike(&w, A);
    world_deliver_all(&w);
    world_settle(&w);
    for (uint8_t r = 0; r <= 2; r++) {
        rekey(A, r);
    }
    world_settle(&w);
    world_check_settled(&w, 3);
    world_fini(&w);
}

/* RFC 9611 3: "regardless of whether or not it is included". */
TEST(a_rekeyed_child_is_for_the_same_resource_when_nobody_says_so)
{
    open_connected(15);
    own(A, 3);
    uint16_t ids[2] = {world_own(&w, A, 3)->resource_id, world_own(&w, B, 1)->resource_id};

    w.side[B].children[0].resources_max = 0;
    world_rekey_own(&w, A, 3);
    world_expect(&w, A, "HDR, SK {N(REKEY_SA), N(SA_RESOURCE_INFO), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {SA, Nr, KEr, TSi, TSr}");
    world_deliver_all(&w);
    CHECK_EQUAL(world_own(&w, A, 3)->resource_id, ids[A]);
    CHECK_EQUAL(world_own(&w, B, 1)->resource_id, ids[B]);
    world_settle(&w);
    world_check_settled(&w, 2);
    world_fini(&w);
}

TEST(one_is_deleted_by_either_side_and_the_others_stay)
{
    open_connected(16);
    own(A, 1);
    own(A, 2);
    for (size_t side = 0; side < 2; side++) {
        world_close_own(&w, side, (uint8_t)(side + 1));
        world_expect(&w, side, "HDR, SK {D}");
        world_expect(&w, 1 - side, "HDR, SK {D}");
        CHECK_EQUAL(children(), 2u - side);
    }
    world_settle(&w);
    world_check_settled(&w, 1);
    /* And can be made again. */
    own(B, 1);
    world_settle(&w);
    world_check_settled(&w, 2);
    world_fini(&w);
}

TEST(when_the_one_for_all_is_gone_another_can_be_made_beside_those_for_one)
{
    open_connected(17);
    own(A, 1);
    uint32_t first = world_own(&w, A, 0)->spi_in;

    world_close_own(&w, A, 0);
    world_expect(&w, A, "HDR, SK {D}");
    world_expect(&w, B, "HDR, SK {D}");
    CHECK(world_own(&w, A, 0) == NULL && world_own(&w, B, 0) == NULL);
    /* There is none for all that it could be like. */
    world_new_own(&w, A, 2);
    CHECK_EQUAL(w.flight_count, 0);
    CHECK_EQUAL(w.side[A].failure.reason, IKEV2_FAIL_CHILD_RESOURCE);
    world_new_child(&w, A, 0);
    world_expect(&w, A, "HDR, SK {N(SA_RESOURCE_INFO), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {N(SA_RESOURCE_INFO), SA, Nr, KEr, TSi, TSr}");
    CHECK(world_own(&w, A, 0)->spi_in != first && world_own(&w, B, 0) != NULL);
    check_leaders(true, true);
    own(A, 2);
    world_settle(&w);
    world_check_settled(&w, 3);
    world_fini(&w);
}

TEST(what_could_not_be_renewed_in_time_is_made_anew_for_its_resource)
{
    open_world(18);
    w.side[A].children[0].lifetime_ms = 3600000;
    world_connect(&w);
    own(A, 2);
    for (unsigned hours = 0; hours < 20; hours++) {
        world_advance(&w, 1800000);
        CHECK(world_own(&w, A, 0) != NULL && world_own(&w, A, 2) != NULL);
    }
    CHECK(w.side[A].installs > 10);
    world_fini(&w);
}

/* ---- whoever asks for too much ---- */

TEST(forty_eight_children_are_the_end_for_those_as_well)
{
    open_world(19);
    for (size_t i = 0; i < 2; i++) {
        w.side[i].children[0].resources = 60;
        w.side[i].children[0].resources_max = 200;
    }
    world_connect(&w);
    for (uint8_t r = 1; r < 48; r++) {
        own(A, r);
    }
    world_new_own(&w, A, 48);
    world_expect(&w, A, "HDR, SK {N(SA_RESOURCE_INFO), SA, Ni, KEi, TSi, TSr}");
    world_expect(&w, B, "HDR, SK {N(TS_MAX_QUEUE)}");
    world_settle(&w);
    world_check_settled(&w, 48);
    world_fini(&w);
}
