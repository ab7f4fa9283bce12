/* Additional key exchanges (RFC 9242, RFC 9370) between two machines. */
#include "proto/ikev2/machine.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

#define HYBRID "aes256gcm16-sha384-x25519-ke1_mlkem768"

static bool both_up(const struct ikev2_pair *p)
{
    return p->side[0].established == 1 && p->side[1].established == 1 && p->side[0].sa != NULL &&
           p->side[1].sa != NULL;
}

static struct ikev2_pair *pair_of(uint64_t seed, const char *first, const char *second)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    ikev2_pair_set_ike(p, 0, first);
    ikev2_pair_set_ike(p, 1, second);
    return p;
}

TEST(every_chain_of_key_exchanges_makes_the_same_keys_on_both_sides)
{
    static const char *const chains[] = {
        HYBRID,
        "aes128-sha256-modp2048-ke1_mlkem512",
        "aes256-aesxcbc-x25519-ke1_mlkem768",
        "aes128ctr-sha512-ecp256-ke1_x25519",
        "chacha20poly1305-sha512-x25519-ke1_mlkem768-ke2_mlkem1024-ke3_ecp384",
        "aes256gcm16-sha512-mlkem768-ke2_x25519-ke7_ecp521",
        "aes256gcm16-sha384-x25519-ke1_mlkem1024-ke1_mlkem768-ke4_mlkem768-ke4_none",
    };
    static const uint8_t lengths[] = {1, 1, 1, 1, 3, 2, 2};

    for (size_t i = 0; i < ARRAY_LENGTH(chains); i++) {
        struct ikev2_pair *p = pair_of(9370 + i, chains[i], chains[i]);

        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(both_up(p));
        CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        /* One exchange for each, beside IKE_SA_INIT and IKE_AUTH. */
        CHECK_EQUAL(p->side[0].sa->current->request_id, 2u + lengths[i]);
        for (unsigned side = 0; side < 2; side++) {
            ikev2_pair_rekey(p, side);
            CHECK(ikev2_pair_run(p));
            CHECK_EQUAL(p->side[0].rekeyed, side + 1);
            ikev2_pair_advance(p, 120000);
        }
        CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        ikev2_pair_free(p);
    }
}

TEST(every_single_loss_between_key_exchanges_is_made_good)
{
    unsigned lost = 0;
    bool more = true;

    while (more) {
        struct ikev2_pair *p = pair_of(1, HYBRID "-ke2_mlkem1024",
                                       "aes256gcm16-sha384-x25519-ke1_mlkem768-ke2_mlkem1024");
        unsigned sent = 0;

        ikev2_pair_start(p, 0);
        while (p->queue_count > 0) {
            if (sent++ == lost) {
                ikev2_pair_drop(p, 0);
            } else {
                ikev2_pair_deliver(p, 0);
            }
        }
        more = sent > lost;
        CHECK_EQUAL(both_up(p), !more);
        ikev2_pair_advance(p, 2000);
        CHECK(both_up(p));
        CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
        ikev2_pair_free(p);
        lost++;
    }
    /* Values of KEMs travel in fragments. */
    CHECK(lost > 8);
}

TEST(a_doubled_request_between_key_exchanges_gets_the_same_answer)
{
    struct ikev2_pair *p = pair_of(2, HYBRID, HYBRID);

    ikev2_pair_start(p, 0);
    while (p->queue_count > 0) {
        ikev2_pair_deliver_copy(p, 0);
        ikev2_pair_deliver_copy(p, 0);
        ikev2_pair_deliver_copy(p, 0);
        ikev2_pair_drop(p, 0);
    }
    CHECK(both_up(p));
    CHECK_EQUAL(p->side[0].child_count, 1);
    CHECK_EQUAL(p->side[1].child_count, 1);
    ikev2_pair_free(p);
}

TEST(who_demands_an_additional_key_exchange_talks_to_nobody_without)
{
    static const char plain[] = "aes256gcm16-sha384-x25519";

    for (unsigned demands = 0; demands < 2; demands++) {
        struct ikev2_pair *p =
            pair_of(3, demands == 0 ? HYBRID : plain, demands == 1 ? HYBRID : plain);

        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(p->side[1].failed, 1);
        CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_NO_PROPOSAL);
        CHECK(strstr(demands == 1 ? p->side[1].failure.ours : p->side[1].failure.theirs,
                     "ke1_mlkem768") != NULL);
        ikev2_pair_advance(p, 5000);
        CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_NO_PROPOSAL);
        ikev2_pair_free(p);
    }
}

TEST(an_optional_key_exchange_is_done_where_both_can)
{
    static const char optional[] = HYBRID "-ke1_none";
    static const char plain[] = "aes256gcm16-sha384-x25519";
    static const struct {
        const char *first, *second;
        uint32_t requests;
    } cases[] = {
        {optional, optional, 3}, {optional, HYBRID, 3}, {HYBRID, optional, 3},
        {optional, plain, 2},    {plain, optional, 2},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct ikev2_pair *p = pair_of(4 + i, cases[i].first, cases[i].second);

        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(both_up(p));
        CHECK_EQUAL(p->side[0].sa->current->request_id, cases[i].requests);
        ikev2_pair_free(p);
    }
}

/* Delivers until the initiator is in that state. */
static void run_until(struct ikev2_pair *p, enum ikev2_state state)
{
    while (p->side[0].sa->state != state) {
        CHECK(p->queue_count > 0);
        ikev2_pair_deliver(p, 0);
    }
}

TEST(ike_auth_before_all_key_exchanges_are_done_is_refused)
{
    struct ikev2_pair *p = pair_of(10, HYBRID, HYBRID);

    ikev2_pair_start(p, 0);
    run_until(p, IKEV2_STATE_INTERMEDIATE);
    /* The responder has agreed to one more. */
    struct proposal_choice *choice = &p->side[1].sa->handshake->choice;

    choice->additional[choice->additional_count++] = KEY_EXCHANGE_ML_KEM_1024;
    CHECK(ikev2_pair_run(p));
    ikev2_pair_advance(p, 60000);
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_SYNTAX);
    ikev2_pair_free(p);
}

TEST(a_key_exchange_that_was_not_agreed_is_refused)
{
    struct ikev2_pair *p = pair_of(11, HYBRID, HYBRID);

    ikev2_pair_start(p, 0);
    run_until(p, IKEV2_STATE_INTERMEDIATE);
    p->side[1].sa->handshake->choice.additional[0] = KEY_EXCHANGE_ML_KEM_512;
    CHECK(ikev2_pair_run(p));
    ikev2_pair_advance(p, 60000);
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_SYNTAX);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_PEER_ERROR);
    ikev2_pair_free(p);
}

TEST(what_was_said_in_between_is_covered_by_auth)
{
    for (unsigned which = 0; which < 4; which++) {
        struct ikev2_pair *p = pair_of(20 + which, HYBRID, HYBRID);

        ikev2_pair_start(p, 0);
        run_until(p, IKEV2_STATE_INTERMEDIATE);
        while (!ikev2_intermediate_is_done(p->side[1].sa->handshake)) {
            ikev2_pair_deliver(p, 0);
        }
        struct ikev2_handshake *h = p->side[which % 2].sa->handshake;

        (which < 2 ? h->int_auth_i : h->int_auth_r)[5] ^= 1;
        if (which % 2 == 0 && which >= 2) {
            /* The initiator has not heard the response yet: he will compute it himself. */
            h->int_auth_i[5] ^= 1;
        }
        CHECK(ikev2_pair_run(p));
        ikev2_pair_advance(p, 60000);
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
        CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_PEER_AUTH);
        ikev2_pair_free(p);
    }
}

/* One side requires ML-KEM, the other has none; `others`: the responder allows another site to do
 * without, and learns only in IKE_AUTH who asks. */
static void check_required(unsigned requires, bool others)
{
    static const char plain[] = "aes256gcm16-sha384-x25519";
    static const char both[] = HYBRID "-ke1_none";
    static struct proposals any;
    struct ikev2_pair *p = pair_of(30 + requires, plain, plain);
    struct pair_side *side = &p->side[requires];

    ikev2_pair_set_ike(p, requires, requires == 0 ? both : HYBRID);
    side->policy.post_quantum_required = true;
    side->responder.post_quantum_required = !others;
    if (others) {
        any = p->side[0].ike_proposals;
        side->ike_lists[0] = &any;
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_advance(p, 60000);
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
    CHECK_EQUAL(side->failure.reason, IKEV2_FAIL_NOT_POST_QUANTUM);
    if (requires == 0 || others) {
        CHECK(strstr(side->failure.theirs, "X25519") != NULL);
    } else {
        CHECK(strstr(side->failure.theirs, "x25519") != NULL);
    }
    ikev2_pair_free(p);
}

TEST(who_requires_ml_kem_says_that_it_is_missing)
{
    check_required(0, false);
    check_required(1, false);
    check_required(1, true);

    /* All that was offered has it, and the peer took nothing. */
    struct ikev2_pair *p = pair_of(40, HYBRID, "aes256gcm16-sha384-x25519");

    p->side[0].policy.post_quantum_required = true;
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_advance(p, 5000);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_NOT_POST_QUANTUM);
    ikev2_pair_free(p);
}

TEST(who_requires_ml_kem_takes_it_alone_or_beside_another)
{
    static const char *const suites[] = {HYBRID, "aes256gcm16-sha384-mlkem768",
                                         "aes256gcm16-sha384-ecp384-ke3_mlkem1024"};

    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        struct ikev2_pair *p = pair_of(50 + i, suites[i], suites[i]);
        struct ikev2_sa_info info;

        for (unsigned side = 0; side < 2; side++) {
            p->side[side].policy.post_quantum_required = true;
            p->side[side].responder.post_quantum_required = true;
        }
        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(both_up(p));
        ikev2_sa_get_info(p->side[0].sa, &info);
        CHECK(key_exchange_is_post_quantum(info.post_quantum));
        ikev2_pair_free(p);
    }
}

TEST(the_defaults_of_two_sides_end_with_ml_kem)
{
    struct ikev2_pair *p = ikev2_pair_new(60);
    struct ikev2_sa_info info;

    for (unsigned side = 0; side < 2; side++) {
        proposals_default(PROTOCOL_IKE, &p->side[side].ike_proposals);
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(both_up(p));
    for (unsigned side = 0; side < 2; side++) {
        ikev2_sa_get_info(p->side[side].sa, &info);
        CHECK_EQUAL(info.post_quantum, KEY_EXCHANGE_ML_KEM_768);
        CHECK_EQUAL(info.suite.key_exchange, KEY_EXCHANGE_X25519);
    }
    ikev2_pair_free(p);
}
