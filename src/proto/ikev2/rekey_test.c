/* Two machines that are up: children and IKE SAs come, are replaced and go, also when both sides
 * want it at once (RFC 7296 2.8, 2.25). */
#include "proto/ikev2/machine.h"
#include "proto/ikev2/sk.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

static struct ikev2_pair *up(uint64_t seed)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].established == 1 && p->side[1].established == 1);
    CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
    return p;
}

/* Nothing is under way, both agree, `children` are there, and packets pass both ways. */
static void check_settled(struct ikev2_pair *p, size_t children)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ikev2_sa_info info;

        CHECK(p->side[i].sa != NULL);
        CHECK_EQUAL(ikev2_pair_live_children(p, i), children);
        CHECK(ikev2_pair_packet(p, i, "net"));
        CHECK_EQUAL(p->side[i].ike_spi_count, 1);
        CHECK_EQUAL(p->side[i].closed, 0);
        ikev2_sa_get_info(p->side[i].sa, &info);
        CHECK_EQUAL(info.open_exchange, 0);
        CHECK_EQUAL(info.child_count, children);
        size_t kept = 0;

        for (size_t c = 0; c < p->side[i].child_count; c++) {
            kept += p->side[i].children[c].removed ? 0 : 1;
        }
        CHECK_EQUAL(p->side[i].esp_spis_given - p->side[i].esp_spis_unused, p->side[i].child_count);
        CHECK_EQUAL(kept, children);
    }
    CHECK(ikev2_pair_agrees(p));
    CHECK(p->side[0].spi_i == p->side[1].spi_i && p->side[0].spi_r == p->side[1].spi_r);
}

static uint32_t net_spi(struct ikev2_pair *p, unsigned side)
{
    struct pair_child *c = ikev2_pair_outbound(p, side, "net");

    CHECK(c != NULL);
    return c->spi_in;
}

TEST(a_child_is_rekeyed_by_either_side_without_a_gap)
{
    for (unsigned by = 0; by < 2; by++) {
        struct ikev2_pair *p = up(1 + by);
        uint32_t old = net_spi(p, by);
        uint32_t old_peer = net_spi(p, 1 - by);

        ikev2_pair_rekey_child(p, by, old);
        while (p->queue_count > 0) {
            ikev2_pair_deliver(p, 0);
            CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        }
        CHECK(net_spi(p, by) != old && net_spi(p, 1 - by) != old_peer);
        CHECK_EQUAL(ikev2_pair_child(p, by, net_spi(p, by))->replaces_spi_in, old);
        /* The old one still lets late packets in, for the grace and no longer. */
        CHECK(ikev2_pair_child(p, by, old) != NULL && ikev2_pair_child(p, by, old)->stopped);
        ikev2_pair_advance(p, 9000);
        CHECK(ikev2_pair_child(p, by, old) != NULL);
        CHECK(ikev2_pair_child(p, 1 - by, old_peer) != NULL);
        ikev2_pair_advance(p, 2000);
        CHECK(ikev2_pair_child(p, by, old) == NULL);
        CHECK(ikev2_pair_child(p, 1 - by, old_peer) == NULL);
        check_settled(p, 1);
        ikev2_pair_free(p);
    }
}

TEST(the_responder_of_a_rekeying_uses_the_new_child_when_a_packet_comes_through_it)
{
    struct ikev2_pair *p = up(3);
    uint32_t old = net_spi(p, 1);

    ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
    CHECK(ikev2_pair_deliver_to(p, 1));
    CHECK_EQUAL(net_spi(p, 1), old); /* it can receive, but does not send through it yet */
    CHECK_EQUAL(ikev2_pair_live_children(p, 1), 2);
    CHECK(ikev2_pair_deliver_to(p, 0));
    CHECK(ikev2_pair_packet(p, 0, "net"));
    CHECK(net_spi(p, 1) != old);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_advance(p, 20000);
    check_settled(p, 1);
    ikev2_pair_free(p);
}

TEST(children_are_rekeyed_with_a_key_exchange_of_their_own)
{
    struct ikev2_pair *p = ikev2_pair_new(4);

    /* The peers prefer different groups, of which one is in common. */
    ikev2_pair_set_esp(p, 0, "aes256gcm16-x25519-modp2048");
    ikev2_pair_set_esp(p, 1, "aes256gcm16-modp2048");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    for (unsigned i = 0; i < 4; i++) {
        ikev2_pair_rekey_child(p, i % 2, net_spi(p, i % 2));
        CHECK(ikev2_pair_run(p));
        ikev2_pair_advance(p, 20000);
        check_settled(p, 1);
        CHECK_EQUAL(ikev2_pair_outbound(p, 0, "net")->suite.key_exchange, KEY_EXCHANGE_MODP_2048);
    }
    ikev2_pair_free(p);
}

TEST(all_is_rekeyed_with_ml_kem_alone)
{
    struct ikev2_pair *p = ikev2_pair_new(36);

    for (unsigned side = 0; side < 2; side++) {
        ikev2_pair_set_ike(p, side, "aes256gcm16-sha384-mlkem768");
        ikev2_pair_set_esp(p, side, "aes256gcm16-mlkem1024");
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    for (unsigned i = 0; i < 4; i++) {
        ikev2_pair_rekey_child(p, i % 2, net_spi(p, i % 2));
        CHECK(ikev2_pair_run(p));
        ikev2_pair_advance(p, 20000);
        check_settled(p, 1);
        CHECK_EQUAL(ikev2_pair_outbound(p, 0, "net")->suite.key_exchange, KEY_EXCHANGE_ML_KEM_1024);
        ikev2_pair_rekey(p, i % 2);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(p->side[0].rekeyed, i + 1);
        CHECK_EQUAL(p->side[1].suite.key_exchange, KEY_EXCHANGE_ML_KEM_768);
        ikev2_pair_advance(p, 120000);
        check_settled(p, 1);
    }
    ikev2_pair_free(p);
}

/* ---- additional key exchanges (RFC 9370 2.2.4) ---- */

static struct ikev2_pair *long_pair(uint64_t seed)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    for (unsigned side = 0; side < 2; side++) {
        ikev2_pair_set_ike(p, side, "aes256gcm16-sha384-x25519-ke1_mlkem768");
        ikev2_pair_set_esp(p, side, "aes256gcm16-x25519-ke1_mlkem768-ke2_ecp256");
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    return p;
}

TEST(all_is_rekeyed_with_additional_key_exchanges)
{
    struct ikev2_pair *p = long_pair(9370);

    for (unsigned i = 0; i < 4; i++) {
        struct ikev2_ike *ike = p->side[i % 2].sa->current;
        uint32_t asked = ike->request_id;
        struct ikev2_sa_info info;

        ikev2_pair_rekey_child(p, i % 2, net_spi(p, i % 2));
        CHECK(ikev2_pair_run(p));
        /* CREATE_CHILD_SA, two of IKE_FOLLOWUP_KE, Delete. */
        CHECK_EQUAL(ike->request_id, asked + 4);
        ikev2_pair_advance(p, 20000);
        check_settled(p, 1);
        ikev2_pair_rekey(p, i % 2);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(p->side[0].rekeyed, i + 1);
        ikev2_sa_get_info(p->side[1].sa, &info);
        CHECK_EQUAL(info.suite.key_exchange, KEY_EXCHANGE_X25519);
        CHECK_EQUAL(info.post_quantum, KEY_EXCHANGE_ML_KEM_768);
        ikev2_pair_advance(p, 120000);
        check_settled(p, 1);
    }
    ikev2_pair_free(p);
}

TEST(a_rekeying_may_bring_ml_kem_to_an_ike_sa_without)
{
    struct ikev2_pair *p = ikev2_pair_new(9371);
    struct ikev2_sa_info info;

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    ikev2_sa_get_info(p->side[0].sa, &info);
    CHECK_EQUAL(info.post_quantum, KEY_EXCHANGE_NONE);
    for (unsigned side = 0; side < 2; side++) {
        proposals_default(PROTOCOL_IKE, &p->side[side].ike_proposals);
    }
    ikev2_pair_rekey(p, 0);
    CHECK(ikev2_pair_run(p));
    for (unsigned side = 0; side < 2; side++) {
        ikev2_sa_get_info(p->side[side].sa, &info);
        CHECK_EQUAL(info.post_quantum, KEY_EXCHANGE_ML_KEM_768);
    }
    ikev2_pair_advance(p, 120000);
    check_settled(p, 1);
    ikev2_pair_free(p);
}

/* Begins a rekeying of the child, and takes so long for the first additional key exchange. */
static struct ikev2_pair *slow_rekey(uint64_t seed, uint64_t wait_ms)
{
    struct ikev2_pair *p = long_pair(seed);

    ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
    CHECK(ikev2_pair_deliver_to(p, 1));
    p->side[0].holds_asks = true;
    while (ikev2_pair_deliver_to(p, 0)) {
    }
    /* What comes of the first, then the pair for the next. */
    ikev2_pair_answer(p, 0, true);
    CHECK_EQUAL(p->side[0].ask_count, 1);
    CHECK(p->side[0].sa->current->asking->following);
    CHECK(p->side[1].sa->current->answering->following);
    ikev2_pair_advance(p, wait_ms);
    return p;
}

TEST(who_waits_too_long_for_the_next_key_exchange_forgets_and_says_so)
{
    struct ikev2_pair *p = slow_rekey(9372, 21000);
    uint32_t old = net_spi(p, 0);

    CHECK(p->side[1].sa->current->answering == NULL);
    p->side[0].holds_asks = false;
    ikev2_pair_answer(p, 0, true);
    CHECK(ikev2_pair_run(p));
    /* STATE_NOT_FOUND: nothing is lost, and the same is tried again. */
    CHECK_EQUAL(net_spi(p, 0), old);
    ikev2_pair_advance(p, 20000);
    CHECK(net_spi(p, 0) != old);
    check_settled(p, 1);
    ikev2_pair_free(p);
}

TEST(a_key_exchange_without_the_link_belongs_to_no_series)
{
    struct ikev2_pair *p = slow_rekey(9373, 1000);
    struct ikev2_work *work = p->side[0].sa->current->asking;

    ((uint8_t *)(uintptr_t)work->link.data)[3] ^= 1;
    p->side[0].holds_asks = false;
    ikev2_pair_answer(p, 0, true);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].sa->current->asking == NULL);
    ikev2_pair_advance(p, 40000);
    check_settled(p, 1);
    ikev2_pair_free(p);
}

TEST(a_key_exchange_that_was_not_agreed_ends_a_series_and_the_ike_sa)
{
    struct ikev2_pair *p = slow_rekey(9374, 1000);

    p->side[1].sa->current->answering->choice.additional[0] = KEY_EXCHANGE_ML_KEM_512;
    p->side[0].holds_asks = false;
    ikev2_pair_answer(p, 0, true);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[1].closed, 1);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_SYNTAX);
    CHECK_EQUAL(p->side[0].closed, 1);
    ikev2_pair_free(p);
}

TEST(who_does_not_go_on_is_forgotten)
{
    struct ikev2_pair *p = slow_rekey(9375, 1000);
    unsigned given = p->side[1].esp_spis_given, unused = p->side[1].esp_spis_unused;

    p->side[0].deaf = true;
    CHECK_EQUAL(given - unused, p->side[1].child_count + 1);
    ikev2_pair_advance(p, 21000);
    CHECK(p->side[1].sa->current->answering == NULL);
    CHECK_EQUAL(p->side[1].esp_spis_unused, unused + 1);
    ikev2_pair_free(p);
}

TEST(the_ike_sa_is_rekeyed_by_either_side_and_children_stay)
{
    for (unsigned by = 0; by < 2; by++) {
        struct ikev2_pair *p = up(5 + by);
        uint64_t old = p->side[0].spi_i;
        uint32_t child = net_spi(p, 0);

        for (unsigned again = 0; again < 3; again++) {
            ikev2_pair_rekey(p, by);
            CHECK(ikev2_pair_run(p));
            CHECK_EQUAL(p->side[0].rekeyed, again + 1);
            CHECK_EQUAL(p->side[1].rekeyed, again + 1);
            CHECK(p->side[0].spi_i != old);
            old = p->side[0].spi_i;
            ikev2_pair_advance(p, 120000);
            check_settled(p, 1);
            CHECK_EQUAL(net_spi(p, 0), child);
        }
        /* The new one works in both directions. */
        for (unsigned side = 0; side < 2; side++) {
            ikev2_pair_rekey_child(p, side, net_spi(p, side));
            CHECK(ikev2_pair_run(p));
            ikev2_pair_advance(p, 20000);
            check_settled(p, 1);
        }
        ikev2_pair_free(p);
    }
}

TEST(the_prf_stays_the_same_when_the_ike_sa_is_rekeyed)
{
    for (unsigned by = 0; by < 2; by++) {
        struct ikev2_pair *p = ikev2_pair_new(4700 + by);

        for (unsigned i = 0; i < 2; i++) {
            ikev2_pair_set_ike(p, i, "aes128gcm16-prfsha256-x25519");
        }
        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(p->side[0].suite.prf, PRF_HMAC_SHA2_256);
        for (unsigned i = 0; i < 2; i++) {
            ikev2_pair_set_ike(p, i, "aes128gcm16-prfsha512-prfsha256-x25519");
        }
        ikev2_pair_rekey(p, by);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(p->side[0].rekeyed, 1);
        CHECK_EQUAL(p->side[0].suite.prf, PRF_HMAC_SHA2_256);
        CHECK_EQUAL(p->side[1].suite.prf, PRF_HMAC_SHA2_256);
        ikev2_pair_free(p);
    }
}

TEST(the_ike_sa_is_rekeyed_with_another_group_when_asked_for)
{
    struct ikev2_pair *p = ikev2_pair_new(7);

    ikev2_pair_set_ike(p, 0, "aes256gcm16-sha256-x25519-modp2048");
    ikev2_pair_set_ike(p, 1, "aes256gcm16-sha256-x25519-modp2048");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_set_ike(p, 1, "aes256gcm16-sha256-modp2048");
    ikev2_pair_rekey(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].rekeyed, 1);
    CHECK_EQUAL(p->side[0].suite.key_exchange, KEY_EXCHANGE_MODP_2048);
    ikev2_pair_advance(p, 120000);
    check_settled(p, 1);
    ikev2_pair_free(p);
}

TEST(more_children_are_made_and_deleted_under_one_ike_sa)
{
    struct ikev2_pair *p = ikev2_pair_new(8);

    ikev2_pair_add_child(p, 1, true);
    ikev2_pair_add_child(p, 2, true);
    ikev2_pair_add_child(p, 3, false);
    /* The wide policy would take them all: give it another corner. */
    for (unsigned i = 0; i < 2; i++) {
        struct network own;
        struct network other;

        CHECK(network_parse(SLICE_TEXT("172.16.0.0/24"), &own));
        CHECK(network_parse(SLICE_TEXT("172.17.0.0/24"), &other));
        p->side[i].local[0][0] = selector_of_network(i == 0 ? &own : &other);
        p->side[i].remote[0][0] = selector_of_network(i == 0 ? &other : &own);
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    check_settled(p, 3);
    CHECK(ikev2_pair_outbound(p, 0, "child1") != NULL &&
          ikev2_pair_outbound(p, 1, "child2") != NULL);
    CHECK(ikev2_pair_outbound(p, 0, "child3") == NULL);
    ikev2_pair_start_child(p, 1, 3);
    ikev2_pair_start_child(p, 1, 3); /* one is enough */
    CHECK(ikev2_pair_run(p));
    check_settled(p, 4);
    CHECK(ikev2_pair_packet(p, 0, "child3") && ikev2_pair_packet(p, 1, "child3"));
    ikev2_pair_close_child(p, 0, ikev2_pair_outbound(p, 0, "child1")->spi_in);
    CHECK(ikev2_pair_run(p));
    check_settled(p, 3);
    CHECK(ikev2_pair_outbound(p, 1, "child1") == NULL);
    ikev2_pair_free(p);
}

TEST(both_sides_delete_the_same_child_at_once)
{
    struct ikev2_pair *p = up(9);

    ikev2_pair_close_child(p, 0, net_spi(p, 0));
    ikev2_pair_close_child(p, 1, net_spi(p, 1));
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(ikev2_pair_live_children(p, 0) + ikev2_pair_live_children(p, 1), 0);
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
    ikev2_pair_start_child(p, 1, 0);
    CHECK(ikev2_pair_run(p));
    check_settled(p, 1);
    ikev2_pair_free(p);
}

TEST(a_close_is_told_to_the_peer_once)
{
    for (unsigned by = 0; by < 2; by++) {
        struct ikev2_pair *p = up(10 + by);

        ikev2_pair_close(p, by);
        CHECK_EQUAL(p->side[by].closed, 1);
        CHECK_EQUAL(p->side[by].failure.reason, IKEV2_FAIL_ORDERED);
        CHECK_EQUAL(p->queue_count, 1);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(p->side[1 - by].closed, 1);
        CHECK_EQUAL(p->side[1 - by].failure.reason, IKEV2_FAIL_PEER_DELETED);
        for (unsigned i = 0; i < 2; i++) {
            CHECK_EQUAL(ikev2_pair_live_children(p, i), 0);
            CHECK_EQUAL(p->side[i].ike_spi_count, 0);
        }
        ikev2_pair_free(p);
    }
}

/* Deliveries of two exchanges that cross, in an order that the bits of `order` choose. */
static void deliver_in_order(struct ikev2_pair *p, unsigned order)
{
    for (unsigned i = 0; p->queue_count > 0; i++) {
        unsigned to = (order >> (i % 8)) & 1;

        if (!ikev2_pair_deliver_to(p, to)) {
            CHECK(ikev2_pair_deliver_to(p, 1 - to));
        }
    }
}

TEST(both_sides_rekey_the_same_child_at_once)
{
    for (unsigned order = 0; order < 256; order++) {
        struct ikev2_pair *p = up(1000 + order);

        ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
        ikev2_pair_rekey_child(p, 1, net_spi(p, 1));
        deliver_in_order(p, order);
        CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        ikev2_pair_advance(p, 20000);
        check_settled(p, 1);
        ikev2_pair_free(p);
    }
}

TEST(of_two_new_children_the_one_that_lost_still_hears_what_is_on_its_way)
{
    for (unsigned order = 0; order < 256; order++) {
        struct ikev2_pair *p = up(1500 + order);
        uint64_t began_ms = p->now_ms;

        ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
        ikev2_pair_rekey_child(p, 1, net_spi(p, 1));
        deliver_in_order(p, order);
        ikev2_pair_advance(p, 60000);
        for (unsigned i = 0; i < 2; i++) {
            for (size_t c = 0; c < p->side[i].child_count; c++) {
                const struct pair_child *child = &p->side[i].children[c];

                CHECK(!child->removed ||
                      child->removed_ms >= began_ms + p->side[i].policy.grace_ms);
            }
        }
        check_settled(p, 1);
        ikev2_pair_free(p);
    }
}

TEST(the_new_child_with_the_lowest_nonce_goes)
{
    unsigned won[2] = {0};

    for (unsigned seed = 0; seed < 64; seed++) {
        struct ikev2_pair *p = up(2000 + seed);

        ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
        ikev2_pair_rekey_child(p, 1, net_spi(p, 1));
        CHECK(ikev2_pair_run(p));
        ikev2_pair_advance(p, 20000);
        check_settled(p, 1);
        won[ikev2_pair_outbound(p, 0, "net")->initiator ? 0 : 1]++;
        CHECK(ikev2_pair_outbound(p, 0, "net")->initiator !=
              ikev2_pair_outbound(p, 1, "net")->initiator);
        ikev2_pair_free(p);
    }
    /* Chance decides: neither side always wins. */
    CHECK(won[0] > 10 && won[1] > 10);
}

TEST(both_sides_rekey_the_ike_sa_at_once)
{
    for (unsigned order = 0; order < 256; order++) {
        struct ikev2_pair *p = up(3000 + order);

        ikev2_pair_rekey(p, 0);
        ikev2_pair_rekey(p, 1);
        deliver_in_order(p, order);
        CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        ikev2_pair_advance(p, 200000);
        check_settled(p, 1);
        ikev2_pair_ask_liveness(p, order % 2);
        CHECK(ikev2_pair_run(p));
        check_settled(p, 1);
        ikev2_pair_free(p);
    }
}

TEST(an_ike_rekey_crosses_whatever_else)
{
    /* RFC 7296 2.25: one side rekeys the IKE SA, the other creates, rekeys or deletes. */
    for (unsigned other = 0; other < 4; other++) {
        for (unsigned order = 0; order < 256; order++) {
            struct ikev2_pair *p = ikev2_pair_new(4000 + order);
            size_t children = other == 0 ? 2 : 1;

            ikev2_pair_add_child(p, 1, false);
            struct network elsewhere;

            CHECK(network_parse(SLICE_TEXT("172.16.0.0/24"), &elsewhere));
            p->side[0].local[1][0] = selector_of_network(&elsewhere);
            p->side[1].remote[1][0] = selector_of_network(&elsewhere);
            ikev2_pair_start(p, 0);
            CHECK(ikev2_pair_run(p));
            ikev2_pair_rekey(p, order & 1);
            unsigned by = 1 - (order & 1);

            if (other == 0) {
                ikev2_pair_start_child(p, by, 1);
            } else if (other == 1) {
                ikev2_pair_rekey_child(p, by, net_spi(p, by));
            } else if (other == 2) {
                ikev2_pair_ask_liveness(p, by);
            } else {
                ikev2_pair_close_child(p, by, net_spi(p, by));
                ikev2_pair_start_child(p, by, 0);
            }
            deliver_in_order(p, order >> 1);
            ikev2_pair_advance(p, 200000);
            check_settled(p, children);
            CHECK(p->side[0].rekeyed >= 1);
            ikev2_pair_free(p);
        }
    }
}

TEST(a_child_is_rekeyed_while_the_other_side_deletes_it)
{
    for (unsigned order = 0; order < 256; order++) {
        struct ikev2_pair *p = up(5000 + order);
        unsigned by = order & 1;

        ikev2_pair_rekey_child(p, by, net_spi(p, by));
        ikev2_pair_close_child(p, 1 - by, net_spi(p, 1 - by));
        deliver_in_order(p, order >> 1);
        ikev2_pair_advance(p, 200000);
        /* Deleted or replaced, but the same on both sides. */
        CHECK_EQUAL(ikev2_pair_live_children(p, 0), ikev2_pair_live_children(p, 1));
        CHECK(ikev2_pair_agrees(p));
        CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
        ikev2_pair_free(p);
    }
}

TEST(lifetimes_are_renewed_before_they_end)
{
    struct ikev2_pair *p = ikev2_pair_new(30);

    for (unsigned i = 0; i < 2; i++) {
        p->side[i].policy.ike_lifetime_ms = 3600000;
        p->side[i].children_policy[0].lifetime_ms = 600000;
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    for (unsigned minute = 0; minute < 24 * 60; minute++) {
        ikev2_pair_advance(p, 60000);
        CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        CHECK(p->side[0].child_count + 2 < PAIR_CHILDREN_MAX);
    }
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
    /* 24 hours: every 48 to 57 minutes, every 8 to 9.5 minutes. */
    CHECK(p->side[0].rekeyed >= 25 && p->side[0].rekeyed <= 31);
    CHECK(p->side[0].child_count >= 150 && p->side[0].child_count <= 185);
    ikev2_pair_free(p);
}

TEST(a_dead_peer_is_found_by_silence_and_a_talking_one_is_not_asked)
{
    struct ikev2_pair *p = ikev2_pair_new(31);

    p->side[0].policy.liveness_ms = 30000;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    unsigned sends = p->side[0].sends;

    for (unsigned i = 0; i < 100; i++) {
        ikev2_pair_advance(p, 5000);
        CHECK(ikev2_pair_packet(p, 1, "net"));
    }
    CHECK_EQUAL(p->side[0].sends, sends);
    ikev2_pair_advance(p, 95000);
    CHECK_EQUAL(p->side[0].sends, sends + 3);
    p->side[1].deaf = true;
    ikev2_pair_advance(p, 10 * 60000);
    CHECK_EQUAL(p->side[0].closed, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_PEER_DEAD);
    CHECK_EQUAL(ikev2_pair_live_children(p, 0), 0);
    ikev2_pair_free(p);
}

TEST(a_child_that_the_peer_forgot_is_made_anew)
{
    struct ikev2_pair *p = up(32);
    /* CHILD_SA_NOT_FOUND: the peer removed it and we did not hear of it. */
    struct ikev2_child *child = p->side[1].sa->children;

    child->spi_out ^= 1;
    ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].closed, 0);
    CHECK(ikev2_pair_packet(p, 0, "net"));
    ikev2_pair_free(p);
}

TEST(a_child_whose_maker_has_no_answer_yet_is_left_alone)
{
    for (unsigned order = 0; order < 2; order++) {
        struct ikev2_pair *p = up(40 + order);
        uint32_t old = net_spi(p, 1);

        ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
        CHECK(ikev2_pair_deliver_to(p, 1));
        ikev2_pair_drop(p, ikev2_pair_find(p, 0)); /* the answer is lost */
        CHECK_EQUAL(ikev2_pair_live_children(p, 1), 2);
        for (size_t i = 0; i < p->side[1].child_count; i++) {
            if (p->side[1].children[i].spi_in != old) {
                if (order == 0) {
                    ikev2_pair_rekey_child(p, 1, p->side[1].children[i].spi_in);
                } else {
                    ikev2_pair_close_child(p, 1, p->side[1].children[i].spi_in);
                }
            }
        }
        CHECK_EQUAL(p->queue_count, 0);
        ikev2_pair_advance(p, 60000);
        CHECK_EQUAL(p->side[0].child_failed + p->side[1].child_failed, 0);
        CHECK_EQUAL(ikev2_pair_live_children(p, 0), order == 0 ? 1 : 0);
        CHECK_EQUAL(ikev2_pair_live_children(p, 1), order == 0 ? 1 : 0);
        CHECK(ikev2_pair_agrees(p));
        ikev2_pair_free(p);
    }
}

TEST(an_old_child_lives_on_when_its_successor_is_taken_back)
{
    struct ikev2_pair *p = ikev2_pair_new(42);

    for (unsigned i = 0; i < 2; i++) {
        ikev2_pair_set_esp(p, i, "aes128gcm16-x25519");
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
    CHECK(ikev2_pair_deliver_to(p, 1));
    p->side[0].holds_asks = true;
    CHECK(ikev2_pair_deliver_to(p, 0));
    CHECK_EQUAL(p->side[0].ask_count, 1);
    /* The responder took the new one into use, as it may after a while. */
    ikev2_pair_advance(p, 15000);
    ikev2_pair_answer(p, 0, false);
    p->side[0].holds_asks = false;
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].child_failed, 1);
    CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
    ikev2_pair_advance(p, 120000);
    check_settled(p, 1);
    ikev2_pair_free(p);
}

TEST(liveness_goes_through_the_old_ike_sa_until_the_new_one_is_known_to_both)
{
    struct ikev2_pair *p = ikev2_pair_new(43);

    p->nat = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_rekey(p, 1);
    CHECK(ikev2_pair_deliver_to(p, 0));
    CHECK_EQUAL(p->side[0].rekeyed, 1);
    ikev2_pair_drop(p, 0);
    /* The answer is lost and the mapping is another: only a message of the inner side that the
     * outer one can read will bring them together. */
    p->nat_port_shift = 5;
    ikev2_pair_ask_liveness(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[1].moved, 1);
    ikev2_pair_advance(p, 120000);
    CHECK_EQUAL(p->side[1].rekeyed, 1);
    check_settled(p, 1);
    ikev2_pair_free(p);
}

/* A peer that is always in the middle of something: every answer is put off. */
TEST(temporary_failure_is_retried_with_growing_waits_and_not_for_ever)
{
    struct ikev2_pair *p = up(44);
    unsigned sends = p->side[0].sends;

    /* Side 1 rekeys the IKE SA and never gets our answer: whoever asks is put off. */
    p->side[1].sa->current->phase = IKEV2_IKE_REPLACED;
    ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].sends, sends + 1);
    ikev2_pair_advance(p, 900);
    CHECK_EQUAL(p->side[0].sends, sends + 1); /* never at once (RFC 7296 2.25) */
    ikev2_pair_advance(p, 60000);
    CHECK(p->side[0].sends >= sends + 4 && p->side[0].sends <= sends + 8);
    CHECK_EQUAL(p->side[0].closed, 0);
    ikev2_pair_advance(p, 20 * 60000);
    CHECK_EQUAL(p->side[0].closed, 1);
    CHECK_EQUAL(p->side[0].failure.notify, IKEV2_TEMPORARY_FAILURE);
    CHECK(p->side[0].sends < sends + 16);
    ikev2_pair_free(p);
}

TEST(children_are_counted)
{
    struct ikev2_pair *p = up(45);

    /* The same again and again: RFC 7296 2.8 allows it, memory does not. */
    for (unsigned i = 0; i < 2 * IKEV2_CHILDREN_MAX; i++) {
        ikev2_pair_start_child(p, 0, 0);
        p->side[0].sa->children->policy = NULL; /* it does not remember that it has one */
        for (struct ikev2_child *c = p->side[0].sa->children; c != NULL; c = c->next) {
            c->policy = &p->side[0].children_policy[1];
        }
        CHECK(ikev2_pair_run(p));
    }
    CHECK_EQUAL(ikev2_pair_live_children(p, 1), IKEV2_CHILDREN_MAX);
    CHECK_EQUAL(p->side[0].child_failure.notify, IKEV2_NO_ADDITIONAL_SAS);
    CHECK_EQUAL(p->side[1].closed, 0);
    /* And all of them go in one event. */
    ikev2_pair_close(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(ikev2_pair_live_children(p, 1), 0);
    ikev2_pair_free(p);
}

TEST(a_close_in_the_middle_of_a_rekeying_reaches_the_peer)
{
    for (unsigned by = 0; by < 2; by++) {
        for (unsigned steps = 0; steps < 4; steps++) {
            struct ikev2_pair *p = ikev2_pair_new(46);

            p->side[1].policy.liveness_ms = 30000;
            ikev2_pair_start(p, 0);
            CHECK(ikev2_pair_run(p));
            ikev2_pair_rekey(p, 0);
            for (unsigned i = 0; i < steps && p->queue_count > 0; i++) {
                ikev2_pair_deliver(p, 0);
            }
            ikev2_pair_close(p, by);
            CHECK(ikev2_pair_run(p));
            if (by == 0 && steps < 2) {
                /* Who closes does not know the SPI of the new IKE SA yet, and a Delete for the old
                 * one is what a rekeying ends with: only silence tells. */
                ikev2_pair_advance(p, 10 * 60000);
                CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_PEER_DEAD);
            } else {
                CHECK_EQUAL(p->side[1 - by].failure.reason, IKEV2_FAIL_PEER_DELETED);
            }
            CHECK_EQUAL(p->side[1 - by].closed, 1);
            CHECK_EQUAL(p->side[0].ike_spi_count + p->side[1].ike_spi_count, 0);
            ikev2_pair_free(p);
        }
    }
}

TEST(a_policy_that_is_replaced_by_an_equal_one_disturbs_nothing)
{
    static struct ikev2_policy copy;
    static struct ikev2_child_policy children[1];
    struct ikev2_pair *p = up(33);
    struct ikev2_child_info info;

    copy = p->side[0].policy;
    children[0] = p->side[0].children_policy[0];
    copy.children = children;
    copy.child_count = 1;
    ikev2_sa_set_policy(p->side[0].sa, &copy);
    memset(&p->side[0].children_policy[0], 0xee, sizeof(p->side[0].children_policy[0]));
    CHECK(ikev2_sa_child_at(p->side[0].sa, 0, &info));
    CHECK(info.policy == &children[0]);
    ikev2_pair_rekey_child(p, 0, net_spi(p, 0));
    CHECK(ikev2_pair_run(p));
    ikev2_pair_advance(p, 20000);
    check_settled(p, 1);
    ikev2_pair_free(p);
}

/* What a peer says who keeps to no rule: the next request of side 0, sealed with its keys. */
static void say(struct ikev2_pair *p, uint8_t exchange, struct ikev2_outgoing *o)
{
    static uint8_t bytes[16384];
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct ikev2_ike *ike = p->side[0].sa->current;
    struct ikev2_header header = {
        .spi_i = ike->spi_i,
        .spi_r = ike->spi_r,
        .version = IKEV2_VERSION_2_0,
        .exchange = exchange,
        .flags = IKEV2_FLAG_INITIATOR,
        .message_id = p->side[1].sa->current->expected_id,
    };

    CHECK(ikev2_sk_seal(&ike->keys, true, &header, o->first, writer_written(&o->w),
                        &p->side[0].random, &w));
    ikev2_pair_inject(p, 1, &p->side[1].endpoint, &p->side[0].endpoint, writer_written(&w));
    while (p->queue_count > 0) {
        ikev2_pair_drop(p, 0);
    }
}

TEST(a_peer_that_deletes_a_long_chain_of_unused_children_and_the_ike_sa_at_once_is_just_gone)
{
    struct ikev2_pair *p = ikev2_pair_new(90);
    static struct ikev2_outgoing o;
    static struct ikev2_work work;
    uint32_t spis[IKEV2_CHILDREN_MAX];

    ikev2_pair_set_esp(p, 0, "aes256gcm16");
    ikev2_pair_set_esp(p, 1, "aes256gcm16");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    /* Each replaces the one before; none was heard of, so none was used yet. */
    spis[IKEV2_CHILDREN_MAX - 1] = net_spi(p, 0);
    for (size_t i = IKEV2_CHILDREN_MAX - 1; i > 0; i--) {
        work = (struct ikev2_work){.kind = IKEV2_WORK_REKEY_CHILD};
        CHECK(ikev2_child_want(p->side[0].sa, &work, &p->side[0].children_policy[0], NULL, NULL));
        work.spi_in = 0x10000 + (uint32_t)i;
        ikev2_nonce_make(&p->side[0].random, &work.nonce_i);
        ikev2_out_begin(&o);
        ikev2_out_notify_child(&o, IKEV2_REKEY_SA, PROTOCOL_ESP, spis[i]);
        CHECK(ikev2_child_write_request(p->side[0].sa, &o, &work, PROPOSAL_WITH_KE));
        say(p, IKEV2_CREATE_CHILD_SA, &o);
        spis[i - 1] = work.spi_in;
    }
    CHECK_EQUAL(ikev2_pair_live_children(p, 1), IKEV2_CHILDREN_MAX);
    /* The newest first: each one before is used again, and stops the one before that. */
    ikev2_out_begin(&o);
    ikev2_out_delete_children(&o, PROTOCOL_ESP, spis, IKEV2_CHILDREN_MAX);
    ikev2_out_delete_ike(&o);
    say(p, IKEV2_INFORMATIONAL, &o);
    CHECK_EQUAL(p->side[1].closed, 1);
    CHECK_EQUAL(ikev2_pair_live_children(p, 1), 0);
    CHECK_EQUAL(p->side[1].ike_spi_count, 0);
    CHECK_EQUAL(p->side[1].esp_spis_given - p->side[1].esp_spis_unused, p->side[1].child_count);
    ikev2_pair_free(p);
}
