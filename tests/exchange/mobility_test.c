/* MOBIKE (RFC 4555) message by message, and at random. */
#include "proto/ikev2/machine.h"
#include "tests/exchange/world.h"
#include "tests/support/test.h"

static struct world w;

#define NATD "N(NAT_DETECTION_SOURCE_IP), N(NAT_DETECTION_DESTINATION_IP)"
#define UPDATE "N(UPDATE_SA_ADDRESSES)"

static void begin(uint64_t seed)
{
    world_init(&w, seed);
    w.side[A].policy.mobile = true;
    w.side[B].policy.mobile = true;
}

static void connect(uint64_t seed)
{
    begin(seed);
    world_connect(&w);
    w.side[A].moved = w.side[B].moved = 0;
}

static void end(void)
{
    world_settle(&w);
    world_check_settled(&w, 1);
    world_check_places(&w);
    world_fini(&w);
}

static const struct installed *child_of(enum world_side_name side)
{
    CHECK_EQUAL(w.side[side].installed_count, 1);
    return &w.side[side].installed[0];
}

static bool child_is_at(enum world_side_name side, const char *local, const char *peer)
{
    struct address a;
    struct address b;

    CHECK(address_parse(slice_of_text(local), &a));
    CHECK(address_parse(slice_of_text(peer), &b));
    return address_equal(&child_of(side)->local.address, &a) &&
           address_equal(&child_of(side)->peer.address, &b);
}

static struct ikev2_sa_info info_of(enum world_side_name side)
{
    struct ikev2_sa_info info = {0};

    CHECK(w.side[side].sa != NULL);
    ikev2_sa_get_info(w.side[side].sa, &info);
    return info;
}

/* 3.2, 3.3: said in IKE_AUTH, and all goes through port 4500 from there on, though there is no
 * NAT and ESP is as it was. */
TEST(both_say_that_they_are_mobile)
{
    begin(1);
    world_start(&w);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    world_expect(&w, A, "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr, N(MOBIKE_SUPPORTED)}");
    world_expect(&w, B, "HDR, SK {IDr, AUTH, SAr2, TSi, TSr, N(MOBIKE_SUPPORTED)}");
    for (size_t i = 0; i < 2; i++) {
        struct ikev2_sa_info info = info_of((enum world_side_name)i);

        CHECK(info.mobile);
        CHECK_EQUAL(info.local.port, 4500);
        CHECK_EQUAL(info.peer.port, 4500);
        CHECK(!child_of((enum world_side_name)i)->encapsulated);
        CHECK(w.side[i].sa->extra == NULL);
    }
    end();
}

TEST(who_is_not_mobile_is_left_where_he_is)
{
    for (size_t i = 0; i < 2; i++) {
        begin(2 + i);
        w.side[i].policy.mobile = false;
        world_connect(&w);
        CHECK(!info_of(A).mobile && !info_of(B).mobile);
        world_move(&w, A, "198.51.100.7", NULL);
        CHECK_EQUAL(w.flight_count, 0);
        CHECK(child_is_at(A, "192.0.2.1", "203.0.113.2"));
        end();
    }
}

/* 3.4 */
TEST(other_addresses_are_told_with_ike_auth)
{
    struct address list[IKEV2_ADDRESSES_MAX];

    begin(4);
    world_set_addresses(&w, A, "192.0.2.1 192.0.2.11 2001:db8::1");
    world_set_addresses(&w, B, "203.0.113.2 203.0.113.22");
    world_start(&w);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    world_expect(&w, A,
                 "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr, N(MOBIKE_SUPPORTED), "
                 "N(ADDITIONAL_IP4_ADDRESS), N(ADDITIONAL_IP6_ADDRESS)}");
    world_expect(&w, B,
                 "HDR, SK {IDr, AUTH, SAr2, TSi, TSr, N(MOBIKE_SUPPORTED), "
                 "N(ADDITIONAL_IP4_ADDRESS)}");
    CHECK_EQUAL(ikev2_sa_peer_addresses(w.side[A].sa, list), 1);
    CHECK(address_equal(&list[0], &w.side[B].addresses[1]));
    CHECK_EQUAL(ikev2_sa_peer_addresses(w.side[B].sa, list), 2);
    CHECK(address_equal(&list[0], &w.side[A].addresses[1]));
    CHECK(address_equal(&list[1], &w.side[A].addresses[2]));
    end();
}

/* 3.5, 3.7: the children of who moves follow at once; those of the other side when he knows that
 * somebody is there. */
TEST(the_initiator_moves)
{
    connect(5);
    world_set_addresses(&w, A, "198.51.100.7");
    world_move(&w, A, "198.51.100.7", NULL);
    CHECK(child_is_at(A, "198.51.100.7", "203.0.113.2"));
    world_expect(&w, A, "HDR, SK {" UPDATE ", " NATD "}");
    CHECK(child_is_at(B, "203.0.113.2", "192.0.2.1"));
    world_deliver(&w, 0);
    CHECK_EQUAL(w.flight_count, 1);
    CHECK(child_is_at(B, "203.0.113.2", "192.0.2.1"));
    world_expect(&w, B, "HDR, SK {N(COOKIE2)}");
    world_expect(&w, A, "HDR, SK {N(COOKIE2)}");
    CHECK(child_is_at(B, "203.0.113.2", "198.51.100.7"));
    CHECK(!child_of(B)->encapsulated);
    /* And nothing is kept for it. */
    CHECK(w.side[A].sa->extra->mobility == NULL);
    CHECK(w.side[B].sa->extra->mobility == NULL);
    end();
}

TEST(a_lost_update_is_sent_again)
{
    connect(6);
    world_set_addresses(&w, A, "198.51.100.7");
    world_move(&w, A, "198.51.100.7", NULL);
    world_expect_lost(&w, A, "HDR, SK {" UPDATE ", " NATD "}");
    CHECK(world_wake(&w));
    world_expect(&w, A, "again");
    world_lose(&w, 0); /* the answer */
    world_lose(&w, 0); /* the question with the cookie */
    end();
    CHECK_EQUAL(w.side[A].closed + w.side[B].closed, 0);
}

/* 3.5: what was asked before goes on from the new address; the update comes when there is room. */
TEST(an_open_request_goes_on_from_the_new_address)
{
    connect(7);
    world_liveness(&w, A);
    world_lose(&w, 0);
    world_set_addresses(&w, A, "198.51.100.7");
    world_move(&w, A, "198.51.100.7", NULL);
    CHECK_EQUAL(w.flight_count, 1);
    CHECK(address_equal(&w.flights[0].source.address, &w.side[A].addresses[0]));
    world_expect(&w, A, "again");
    CHECK(child_is_at(B, "203.0.113.2", "192.0.2.1"));
    /* The answer goes to where the question came from. */
    CHECK(address_equal(&w.flights[0].destination.address, &w.side[A].addresses[0]));
    world_deliver(&w, 0);
    world_expect(&w, A, "HDR, SK {" UPDATE ", " NATD "}");
    world_deliver_all(&w);
    CHECK(child_is_at(B, "203.0.113.2", "198.51.100.7"));
    end();
}

/* 3.5: and what the peer asked, who does not know yet. */
TEST(what_the_peer_asked_follows_his_answer)
{
    connect(8);
    world_liveness(&w, B);
    world_lose(&w, 0);
    world_set_addresses(&w, A, "198.51.100.7");
    world_move(&w, A, "198.51.100.7", NULL);
    world_deliver(&w, 0);
    CHECK_EQUAL(w.flight_count, 2);
    CHECK(address_equal(&w.flights[1].destination.address, &w.side[A].addresses[0]) ||
          address_equal(&w.flights[0].destination.address, &w.side[A].addresses[0]));
    world_deliver_all(&w);
    CHECK(child_is_at(B, "203.0.113.2", "198.51.100.7"));
    end();
}

/* 3.5: "starts again from the first step (and ignores responses ...)". */
TEST(who_moves_again_before_the_answer_says_so_again)
{
    connect(9);
    world_set_addresses(&w, A, "198.51.100.7");
    world_move(&w, A, "198.51.100.7", NULL);
    world_deliver(&w, 0); /* B has the first */
    world_set_addresses(&w, A, "198.51.100.8");
    world_move(&w, A, "198.51.100.8", NULL);
    world_deliver_all(&w); /* to 198.51.100.7 nothing arrives any more */
    end();
}

TEST(nat_appears_and_disappears)
{
    connect(10);
    CHECK(!child_of(A)->encapsulated);
    world_set_addresses(&w, A, "10.77.0.5");
    world_set_nat(&w, "198.51.100.9", 40000);
    world_move(&w, A, "10.77.0.5", NULL);
    world_deliver_all(&w);
    CHECK(child_of(A)->encapsulated && child_of(B)->encapsulated);
    CHECK_EQUAL(child_of(B)->peer.port, 40001);
    CHECK(info_of(A).nat_local && info_of(B).nat_peer);
    world_check_places(&w);

    world_remove_nat(&w);
    world_set_addresses(&w, A, "192.0.2.1");
    world_move(&w, A, "192.0.2.1", NULL);
    world_deliver_all(&w);
    CHECK(!child_of(A)->encapsulated && !child_of(B)->encapsulated);
    CHECK(!info_of(A).nat_local && !info_of(B).nat_peer);
    end();
}

/* 3.8: the next question of liveness finds it out; without an update nothing moves. */
TEST(another_mapping_of_the_nat_is_noticed_and_told)
{
    begin(11);
    world_set_nat(&w, "198.51.100.9", 40000);
    world_connect(&w);
    world_liveness(&w, A);
    world_expect(&w, A, "HDR, SK {" NATD "}");
    world_expect(&w, B, "HDR, SK {" NATD "}");
    world_deliver_all(&w); /* nothing was known to compare with: told once */
    world_liveness(&w, A);
    world_expect(&w, A, "HDR, SK {" NATD "}");
    world_expect(&w, B, "HDR, SK {" NATD "}");
    CHECK_EQUAL(w.flight_count, 0);

    world_set_nat(&w, "198.51.100.9", 50000);
    world_liveness(&w, A);
    world_expect(&w, A, "HDR, SK {" NATD "}");
    CHECK_EQUAL(info_of(B).peer.port, 40001);
    world_expect(&w, B, "HDR, SK {" NATD "}");
    world_expect(&w, A, "HDR, SK {" UPDATE ", " NATD "}");
    CHECK_EQUAL(info_of(B).peer.port, 50001);
    CHECK_EQUAL(child_of(B)->peer.port, 50001);
    world_deliver_all(&w);
    end();
}

/* 2.23 of RFC 7296, 3.8: authentic ESP may move the peer. */
TEST(esp_from_another_mapping_moves_the_peer)
{
    struct endpoint there;
    struct ikev2_actions actions = {0};

    begin(12);
    world_set_nat(&w, "198.51.100.9", 40000);
    world_connect(&w);
    there = info_of(B).peer;
    there.port = 50001;
    ikev2_sa_child_moved(w.side[B].sa, child_of(B)->spi_in, &there, w.now_ms, &actions);
    CHECK_EQUAL(actions.count, 1);
    CHECK(actions.list[0].kind == IKEV2_TELL_MOVED && actions.list[0].moved.children);
    CHECK_EQUAL(info_of(B).peer.port, 50001);
    world_fini(&w);
}

/* 3.5, 3.6: the responder's address goes; he says from where he is now that he has no other, and
 * who decides goes there, with a cookie before the children follow. */
TEST(the_responder_moves)
{
    connect(13);
    world_set_addresses(&w, B, "203.0.113.77");
    world_move(&w, B, "203.0.113.77", NULL);
    CHECK(child_is_at(B, "203.0.113.77", "192.0.2.1"));
    world_expect(&w, B, "HDR, SK {N(NO_ADDITIONAL_ADDRESSES)}");
    CHECK(child_is_at(A, "192.0.2.1", "203.0.113.2"));
    CHECK_EQUAL(w.flight_count, 2);
    world_deliver(&w, 0);
    CHECK(child_is_at(A, "192.0.2.1", "203.0.113.2"));
    world_expect(&w, A, "HDR, SK {" UPDATE ", " NATD ", N(COOKIE2)}");
    world_expect(&w, B, "HDR, SK {N(COOKIE2), " NATD "}");
    CHECK(child_is_at(A, "192.0.2.1", "203.0.113.77"));
    end();
}

/* 3.6: a list in which the address in use still is changes nothing. */
TEST(a_new_list_alone_moves_nobody)
{
    struct address list[IKEV2_ADDRESSES_MAX];
    struct ikev2_actions actions = {0};

    connect(14);
    world_set_addresses(&w, B, "203.0.113.2 203.0.113.22");
    ikev2_sa_addresses_changed(w.side[B].sa, w.now_ms, &actions);
    CHECK(actions.count > 0);
    for (size_t i = 0; i < actions.count; i++) {
        if (actions.list[i].kind == IKEV2_SEND) {
            world_inject(&w, A, actions.list[i].send.bytes);
        }
    }
    CHECK_EQUAL(ikev2_sa_peer_addresses(w.side[A].sa, list), 1);
    CHECK_EQUAL(w.side[A].moved, 0);
    world_fini(&w);
}

/* 3.7: "If the values do not match, the IKE_SA MUST be closed." */
TEST(who_does_not_return_the_cookie_is_closed)
{
    connect(15);
    world_set_addresses(&w, A, "198.51.100.7");
    world_move(&w, A, "198.51.100.7", NULL);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    w.side[A].sa->mobile = false; /* he answers without it */
    world_deliver_all(&w);
    CHECK_EQUAL(w.side[B].closed, 1);
    CHECK(w.side[B].failure.reason == IKEV2_FAIL_SYNTAX);
    CHECK(strstr(w.side[B].failure.detail, "COOKIE2") != NULL);
    world_fini(&w);
}

/* 3.5: the peer stays where he was, and so do we. */
TEST(an_address_that_is_refused_is_given_up)
{
    connect(16);
    world_set_addresses(&w, A, "192.0.2.1 198.51.100.7");
    world_set_nat(&w, "224.0.0.9", 40000); /* no host has it */
    world_move(&w, A, "198.51.100.7", NULL);
    world_expect(&w, A, "HDR, SK {" UPDATE ", " NATD "}");
    CHECK(child_is_at(B, "203.0.113.2", "192.0.2.1"));
    w.flights[0].destination = info_of(A).local;
    world_remove_nat(&w);
    world_expect(&w, B, "HDR, SK {" NATD ", N(UNACCEPTABLE_ADDRESSES)}");
    CHECK(child_is_at(A, "192.0.2.1", "203.0.113.2"));
    end();
}

/* 3.9: where UDP is not allowed the addresses are protected: tried again, then given up. */
TEST(a_nat_where_none_may_be_ends_it)
{
    begin(17);
    for (size_t i = 0; i < 2; i++) {
        w.side[i].policy.allow_encapsulation = false;
    }
    world_start(&w);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    world_expect(&w, A,
                 "HDR, SK {IDi, IDr, AUTH, SAi2, TSi, TSr, N(MOBIKE_SUPPORTED), "
                 "N(NO_NATS_ALLOWED)}");
    world_deliver_all(&w);
    world_set_addresses(&w, A, "192.0.2.50");
    world_move(&w, A, "192.0.2.50", NULL);
    world_expect(&w, A, "HDR, SK {" UPDATE ", N(NO_NATS_ALLOWED)}");
    world_deliver_all(&w);
    world_check_places(&w);

    world_set_addresses(&w, A, "10.77.0.5");
    world_set_nat(&w, "198.51.100.9", 40000);
    world_move(&w, A, "10.77.0.5", NULL);
    world_expect(&w, A, "HDR, SK {" UPDATE ", N(NO_NATS_ALLOWED)}");
    world_expect(&w, B, "HDR, SK {N(UNEXPECTED_NAT_DETECTED)}");
    CHECK(child_is_at(B, "203.0.113.2", "192.0.2.50"));
    unsigned sent = w.side[A].sent;

    world_settle(&w);
    CHECK_EQUAL(w.side[A].closed, 1);
    CHECK(w.side[A].sent > sent + 5);
    CHECK_EQUAL(w.side[A].failure.notify, IKEV2_UNEXPECTED_NAT_DETECTED);
    world_fini(&w);
}

TEST(a_nat_where_none_may_be_is_seen_in_ike_auth)
{
    begin(18);
    w.side[A].policy.allow_encapsulation = false;
    world_set_nat(&w, "198.51.100.9", 40000);
    world_start(&w);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    world_deliver(&w, 0);
    world_expect(&w, B, "HDR, SK {N(UNEXPECTED_NAT_DETECTED)}");
    CHECK_EQUAL(w.side[A].failed, 1);
    CHECK_EQUAL(w.side[A].failure.notify, IKEV2_UNEXPECTED_NAT_DETECTED);
    CHECK_EQUAL(w.side[B].failed, 1);
    world_fini(&w);
}

/* 3.10: the question alone moves nobody; its answer by the same way does. */
TEST(a_better_way_is_tested_before_it_is_taken)
{
    connect(30);
    world_set_addresses(&w, A, "192.0.2.1 198.51.100.7");
    world_test_way(&w, A, "198.51.100.7", "203.0.113.2");
    CHECK(address_equal(&w.flights[0].source.address, &w.side[A].addresses[1]));
    world_expect(&w, A, "HDR, SK {}");
    CHECK(child_is_at(A, "192.0.2.1", "203.0.113.2"));
    CHECK_EQUAL(w.side[B].moved, 0);
    world_expect(&w, B, "HDR, SK {}");
    world_expect(&w, A, "HDR, SK {" UPDATE ", " NATD "}");
    world_deliver_all(&w);
    CHECK(child_is_at(A, "198.51.100.7", "203.0.113.2"));
    CHECK(child_is_at(B, "203.0.113.2", "198.51.100.7"));
    end();
}

TEST(a_way_that_does_not_work_is_not_taken_and_costs_nothing)
{
    connect(31);
    world_set_addresses(&w, A, "192.0.2.1 198.51.100.7");
    world_test_way(&w, A, "198.51.100.7", "203.0.113.2");
    world_expect_lost(&w, A, "HDR, SK {}");
    CHECK(world_wake(&w));
    CHECK(address_equal(&w.flights[0].source.address, &w.side[A].addresses[0]));
    world_deliver_all(&w);
    CHECK_EQUAL(w.side[A].moved + w.side[B].moved, 0);
    CHECK(child_is_at(A, "192.0.2.1", "203.0.113.2"));
    /* And who answered decides nothing. */
    world_test_way(&w, B, "203.0.113.2", "198.51.100.7");
    CHECK_EQUAL(w.flight_count, 0);
    end();
}

/* Replayed or made up, an update moves nobody. */
TEST(an_old_update_moves_nobody)
{
    uint8_t copy[512];
    size_t length;

    connect(19);
    world_set_addresses(&w, A, "198.51.100.7 198.51.100.8");
    world_move(&w, A, "198.51.100.7", NULL);
    length = w.flights[0].length;
    CHECK(length <= sizeof(copy));
    memcpy(copy, w.flights[0].bytes, length);
    world_deliver_all(&w);
    world_move(&w, A, "198.51.100.8", NULL);
    world_deliver_all(&w);
    w.side[A].local.address = w.side[A].addresses[0];
    world_inject(&w, B, (struct slice){copy, length});
    copy[length - 1] ^= 1;
    put_u32(copy + 20, get_u32(copy + 20) + 2);
    world_inject(&w, B, (struct slice){copy, length});
    CHECK_EQUAL(w.flight_count, 0);
    CHECK(child_is_at(B, "203.0.113.2", "198.51.100.8"));
    end();
}

static bool has_child(enum world_side_name side)
{
    const struct side *s = &w.side[side];
    bool has = false;

    for (size_t i = 0; i < s->installed_count; i++) {
        has = has || (s->installed[i].used && !s->installed[i].stopped);
    }
    return has;
}

/* The child is deleted, or another one made where there is none. */
static void delete_or_make(enum world_side_name side)
{
    if (has_child(side)) {
        world_close_child(&w, side);
    } else {
        world_new_child(&w, side, 0);
    }
}

/* Whatever is lost, and whatever else goes on: in the end both are in the same place, and have the
 * same children. With `deletes` those come and go as well. */
static void one_life(uint64_t seed, bool deletes)
{
    static const char *const places[] = {"192.0.2.1", "198.51.100.7", "198.51.100.8"};
    static const char *const far[] = {"203.0.113.2", "203.0.113.22"};
    struct seeded_random seeded;

    seeded_random_init(&seeded, seed);
    struct random_source random = seeded_random_source(&seeded);

    connect(seed);
    world_set_addresses(&w, B, "203.0.113.2 203.0.113.22");
    w.answers_wait = random_below(&random, 2) == 0;
    for (size_t turn = 0; turn < 12 && w.side[A].sa != NULL && w.side[B].sa != NULL; turn++) {
        switch (random_below(&random, deletes ? 10 : 8)) {
        case 0:
        case 1: {
            const char *place = places[random_below(&random, ARRAY_LENGTH(places))];

            if (random_below(&random, 3) == 0) {
                world_set_nat(&w, "198.51.100.200", (uint16_t)(40000 + turn * 10));
            } else {
                world_remove_nat(&w);
            }
            world_set_addresses(&w, A, place);
            world_move(&w, A, place, NULL);
            break;
        }
        case 2: {
            const char *place = far[random_below(&random, ARRAY_LENGTH(far))];

            /* The other one still works: of two who are both elsewhere none finds the other. */
            world_move(&w, B, place, NULL);
            break;
        }
        case 3:
            world_rekey_ike(&w, (enum world_side_name)random_below(&random, 2));
            break;
        case 4: {
            enum world_side_name side = (enum world_side_name)random_below(&random, 2);

            if (!deletes || has_child(side)) {
                world_rekey_child(&w, side);
            }
            break;
        }
        case 5:
            world_liveness(&w, (enum world_side_name)random_below(&random, 2));
            break;
        case 8:
        case 9:
            delete_or_make((enum world_side_name)random_below(&random, 2));
            break;
        default:
            break;
        }
        for (size_t i = random_below(&random, 6); i > 0 && w.flight_count > 0; i--) {
            size_t at = random_below(&random, (uint32_t)w.flight_count);

            if (!w.flights[at].question && random_below(&random, 5) == 0) {
                world_lose(&w, at);
            } else {
                world_deliver(&w, at);
            }
            world_check(&w);
        }
        if (w.flight_count == 0 && random_below(&random, 4) == 0) {
            (void)world_wake(&w);
        }
    }
    /* Peace, and the last word of who decides: his address is there. */
    world_remove_nat(&w);
    world_set_addresses(&w, A, "192.0.2.99");
    if (w.side[A].sa != NULL && w.side[B].sa != NULL) {
        world_move(&w, A, "192.0.2.99", NULL);
    }
    world_settle(&w);
    if (w.side[A].sa != NULL && w.side[B].sa != NULL) {
        world_check_settled(&w, deletes ? w.side[A].installed_count : 1);
        world_check_places(&w);
    }
    world_fini(&w);
}

TEST(thousands_of_lives_on_the_move)
{
    size_t stayed = 0;

    for (uint64_t seed = 100; seed < 2100; seed++) {
        one_life(seed, false);
        stayed += w.side[A].closed == 0 && w.side[B].closed == 0;
    }
    CHECK_EQUAL(stayed, 2000);
}

/* RFC 7296 1.4.1 and RFC 4555 3.5 at the same moment. */
TEST(children_are_deleted_on_the_move)
{
    size_t stayed = 0;
    size_t childless = 0;

    for (uint64_t seed = 5100; seed < 7100; seed++) {
        one_life(seed, true);
        stayed += w.side[A].closed == 0 && w.side[B].closed == 0;
        childless += w.side[A].installed_count == 0;
    }
    CHECK_EQUAL(stayed, 2000);
    CHECK(childless > 100 && childless < 1900);
}

/* The address moves between the question about the Delete and its answer, at every step of both. */
TEST(a_delete_and_a_move_cross_each_other_at_every_step)
{
    for (unsigned who = 0; who < 4; who++) {
        for (unsigned first = 0; first < 4; first++) {
            connect(6000 + who * 10 + first);
            enum world_side_name deletes = who % 2 == 0 ? A : B;
            enum world_side_name moves = who / 2 == 0 ? A : B;
            const char *place = moves == A ? "198.51.100.7" : "203.0.113.22";

            world_close_child(&w, deletes);
            for (unsigned i = 0; i < first && w.flight_count > 0; i++) {
                world_deliver(&w, 0);
            }
            world_set_addresses(&w, moves, place);
            world_move(&w, moves, place, NULL);
            world_settle(&w);
            world_check_settled(&w, 0);
            world_new_child(&w, deletes, 0);
            world_settle(&w);
            world_check_settled(&w, 1);
            world_check_places(&w);
            end();
        }
    }
}
