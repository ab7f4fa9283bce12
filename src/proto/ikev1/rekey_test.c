/* ISAKMP SAs replace each other: children go on, whoever begins, and when one side forgot. */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

static struct ikev1_pair *up(uint64_t seed)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 2);
    p->transcript[0] = '\0';
    return p;
}

static bool carries(struct ikev1_pair *p)
{
    return ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net");
}

TEST(a_new_isakmp_sa_takes_the_place_of_the_old_and_children_go_on)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev1_pair *p = up(1);

        ikev1_pair_rekey(p, side);
        while (p->queue_count > 0) {
            CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
            ikev1_pair_deliver(p, 0);
        }
        CHECK_EQUAL(p->side[side].rekeyed, 1);
        CHECK_EQUAL(p->side[1 - side].rekeyed, 1);
        CHECK_EQUAL(p->side[1 - side].absorbed, 1);
        CHECK_EQUAL(ikev1_pair_machines(p, 0), 1);
        CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
        CHECK_EQUAL(p->side[0].child_count, 1);
        /* In the new one both can renew and delete what the old one made. */
        ikev1_pair_advance(p, IKEV1_DROP_MS + 1000);
        CHECK_EQUAL(p->side[0].ike_spi_count, 1);
        CHECK_EQUAL(p->side[1].ike_spi_count, 1);
        ikev1_pair_rekey_child(p, 1 - side, ikev1_pair_outbound(p, 1 - side, "net")->info.spi_in);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_advance(p, 60000);
        CHECK(carries(p));
        CHECK_EQUAL(ikev1_pair_live_children(p, 0), 1);
        CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
        ikev1_pair_close(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
        ikev1_pair_free(p);
    }
}

TEST(both_begin_a_new_one_at_once)
{
    struct ikev1_pair *p = up(2);

    ikev1_pair_rekey(p, 0);
    ikev1_pair_rekey(p, 1);
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    ikev1_pair_advance(p, 300000);
    CHECK_EQUAL(ikev1_pair_machines(p, 0), 1);
    CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
    CHECK(p->side[0].ike_spi_count >= 1 && p->side[0].ike_spi_count <= 2);
    ikev1_pair_rekey_child(p, 0, ikev1_pair_outbound(p, 0, "net")->info.spi_in);
    ikev1_pair_rekey_child(p, 1, ikev1_pair_outbound(p, 1, "net")->info.spi_in);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_advance(p, 300000);
    CHECK(carries(p));
    ikev1_pair_free(p);
}

TEST(both_begin_for_the_first_time_at_once)
{
    struct ikev1_pair *p = ikev1_pair_new(3);

    ikev1_pair_start(p, 0);
    ikev1_pair_start(p, 1);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_advance(p, 300000);
    CHECK(carries(p));
    CHECK_EQUAL(ikev1_pair_machines(p, 0), 1);
    CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
    CHECK_EQUAL(p->side[0].failed + p->side[1].failed + p->side[0].closed + p->side[1].closed, 0);
    CHECK(ikev1_pair_live_children(p, 0) <= 2);
    ikev1_pair_free(p);
}

static unsigned begun(const struct ikev1_pair *p)
{
    unsigned count = 0;

    for (const char *at = p->transcript; (at = strstr(at, " HDR, SA, ")) != NULL; at++) {
        count++;
    }
    return count;
}

/* Each has the other's for the one that was replaced. */
TEST(two_that_began_in_the_same_moment_do_not_begin_again_and_again)
{
    for (unsigned aggressive = 0; aggressive < 2; aggressive++) {
        for (unsigned seed = 0; seed < 8; seed++) {
            struct ikev1_pair *p = ikev1_pair_new(400 + seed);

            for (unsigned i = 0; i < 2; i++) {
                p->side[i].policy.aggressive = p->side[i].responder.aggressive = aggressive == 1;
            }
            ikev1_pair_start(p, 0);
            ikev1_pair_start(p, 1);
            /* Message for message: the last two cross each other. */
            CHECK(ikev1_pair_run(p));
            ikev1_pair_advance(p, 400000);
            CHECK_EQUAL(begun(p), 4);
            CHECK(carries(p));
            CHECK_EQUAL(p->side[0].ike_spi_count, 1);
            CHECK_EQUAL(p->side[1].ike_spi_count, 1);
            ikev1_pair_free(p);
        }
    }
}

TEST(a_peer_that_deletes_the_isakmp_sa_alone_keeps_his_children)
{
    struct ikev1_pair *p = up(4);
    struct ikev1_turn t = ikev1_turn_begin(ikev1_pair_sa(p, 1), p->now_ms, p->actions);

    /* As those do for whom an ISAKMP SA is not the life of its children. */
    ikev1_send_delete_ike(&t, t.sa->current);
    struct slice bytes = p->actions->list[p->actions->count - 1].send.bytes;

    ikev1_pair_inject(p, 0, &p->side[0].endpoint, &p->side[1].endpoint, bytes);
    CHECK(ikev1_pair_run(p));
    /* Another one is there at once, because there are children. */
    CHECK_EQUAL(p->side[0].closed, 0);
    CHECK_EQUAL(p->side[0].rekeyed, 1);
    CHECK(carries(p));
    ikev1_pair_free(p);
}

TEST(who_may_not_begin_keeps_children_while_they_are_heard)
{
    struct ikev1_pair *p = ikev1_pair_new(5);

    p->side[1].policy.initiate = false;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    struct ikev1_turn t = ikev1_turn_begin(ikev1_pair_sa(p, 0), p->now_ms, p->actions);

    ikev1_send_delete_ike(&t, t.sa->current);
    struct slice bytes = p->actions->list[p->actions->count - 1].send.bytes;

    ikev1_pair_inject(p, 1, &p->side[1].endpoint, &p->side[0].endpoint, bytes);
    for (unsigned i = 0; i < 10; i++) {
        ikev1_pair_advance(p, 60000);
        CHECK(ikev1_pair_packet(p, 0, "net"));
    }
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    ikev1_pair_advance(p, IKEV1_IDLE_MS + 1000);
    CHECK(ikev1_pair_is_empty(p, 1));
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_EXPIRED);
    ikev1_pair_free(p);
}

TEST(after_a_reboot_the_peer_begins_anew_and_what_was_there_goes)
{
    struct ikev1_pair *p = ikev1_pair_new(6);

    p->side[0].policy.initial_contact = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_reboot(p, 0);
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_advance(p, 1000);
    CHECK_EQUAL(p->side[1].initial_contact, 2);
    CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_REPLACED);
    CHECK(carries(p));
    ikev1_pair_free(p);
}

TEST(a_peer_that_forgot_is_found_out_by_a_quick_mode_without_answer)
{
    struct ikev1_pair *p = up(7);

    ikev1_pair_reboot(p, 1);
    ikev1_pair_rekey_child(p, 0, ikev1_pair_outbound(p, 0, "net")->info.spi_in);
    ikev1_pair_advance(p, 200000);
    CHECK_EQUAL(p->side[0].rekeyed, 1);
    CHECK_EQUAL(p->side[1].established, 2);
    ikev1_pair_start_child(p, 1, 0);
    ikev1_pair_advance(p, 300000);
    CHECK(ikev1_pair_packet(p, 1, "net") && ikev1_pair_packet(p, 0, "net"));
    ikev1_pair_free(p);
}

TEST(an_isakmp_sa_that_cannot_be_replaced_is_tried_again_and_then_everything_is_over)
{
    struct ikev1_pair *p = ikev1_pair_new(8);

    p->side[0].policy.ike_lifetime_ms = 600000;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    p->side[1].deaf = true;
    ikev1_pair_advance(p, 3600000);
    CHECK_EQUAL(p->side[0].closed, 1);
    CHECK(ikev1_pair_is_empty(p, 0));
    ikev1_pair_free(p);
}

TEST(everything_ends_when_its_time_is_over_and_nobody_renews_it)
{
    struct ikev1_pair *p = ikev1_pair_new(9);

    for (unsigned i = 0; i < 2; i++) {
        p->side[i].policy.ike_lifetime_ms = 600000;
        p->side[i].children_policy[0].lifetime_ms = 300000;
    }
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    p->side[0].deaf = true;
    p->side[1].deaf = true;
    ikev1_pair_advance(p, 24 * 3600000ull);
    CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

/* The peer forgot everything, and we notice by beginning anew: he says as responder that he has
 * nothing. */
TEST(who_answers_that_he_has_nothing_gets_new_children)
{
    for (unsigned aggressive = 0; aggressive < 2; aggressive++) {
        struct ikev1_pair *p = ikev1_pair_new(20 + aggressive);

        for (unsigned i = 0; i < 2; i++) {
            p->side[i].says_initial_contact = true;
            p->side[i].policy.aggressive = aggressive == 1;
            p->side[i].responder.aggressive = aggressive == 1;
        }
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_reboot(p, 1);
        ikev1_pair_rekey(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[0].rekeyed, 1);
        CHECK(carries(p));
        CHECK_EQUAL(ikev1_pair_live_children(p, 0), 1);
        CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
        /* And what is made after that is not taken for older. */
        ikev1_pair_rekey(p, 0);
        ikev1_pair_advance(p, 200000);
        CHECK(carries(p));
        CHECK_EQUAL(p->side[0].child_count, 2);
        ikev1_pair_free(p);
    }
}

TEST(a_quick_mode_is_begun_again_when_its_isakmp_sa_is_deleted)
{
    struct ikev1_pair *p = up(23);

    ikev1_pair_add_child(p, 1);
    ikev1_pair_start_child(p, 0, 1);
    CHECK_EQUAL(p->queue_count, 1);
    ikev1_pair_drop(p, 0);
    ikev1_pair_close(p, 1);
    ikev1_pair_advance(p, 20000);
    CHECK(ikev1_pair_packet(p, 0, "child1"));
    ikev1_pair_free(p);
}
