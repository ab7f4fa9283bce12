/* Aggressive Mode with a shared key, message by message, and what must be refused. */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

static struct ikev1_pair *aggressive(uint64_t seed)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    p->side[0].policy.aggressive = true;
    p->side[1].policy.aggressive = true;
    p->side[1].responder.aggressive = true;
    return p;
}

static bool both_up(struct ikev1_pair *p)
{
    return p->side[0].established == 1 && p->side[1].established == 1 &&
           ikev1_pair_sa(p, 0) != NULL && ikev1_pair_sa(p, 1) != NULL;
}

TEST(the_three_messages_of_aggressive_mode)
{
    struct ikev1_pair *p = aggressive(1);

    p->side[0].policy.initial_contact = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, "0 HDR, SA, KE, Nonce, ID, VID, VID, VID, VID, VID\n"
                              "1 HDR, SA, KE, Nonce, ID, HASH, VID, VID, NAT-D, NAT-D\n"
                              "0 HDR*, HASH, NAT-D, NAT-D, N(INITIAL-CONTACT)\n"
                              "0 HDR*, HASH, SA, Nonce, ID, ID\n"
                              "1 HDR*, HASH, SA, Nonce, ID, ID\n"
                              "0 HDR*, HASH\n");
    CHECK(both_up(p));
    CHECK(p->side[0].aggressive && p->side[1].aggressive);
    CHECK_EQUAL(p->side[1].initial_contact, 1);
    CHECK(ikev1_pair_agrees(p));
    CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    ikev1_pair_free(p);
}

TEST(a_gateway_where_nobody_may_does_not_even_answer)
{
    struct ikev1_pair *p = aggressive(2);

    p->side[1].responder.aggressive = false;
    ikev1_pair_start(p, 0);
    ikev1_pair_advance(p, 600000);
    CHECK_EQUAL(p->side[1].sends, 0);
    CHECK_EQUAL(p->side[1].responders, 0);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_NO_ANSWER);
    ikev1_pair_free(p);
}

/* Nobody of that name, one who may not, and a wrong key: what is said looks the same. */
TEST(strangers_see_no_difference)
{
    for (unsigned i = 0; i < 3; i++) {
        struct ikev1_pair *p = aggressive(3);

        if (i == 0) {
            p->side[1].answers_nobody = true;
        } else if (i == 1) {
            p->side[1].policy.aggressive = false;
        } else {
            CHECK(secret_set(&p->side[1].policy.shared_key, SLICE_TEXT("another one")));
        }
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_TEXT(p->transcript, "0 HDR, SA, KE, Nonce, ID, VID, VID, VID, VID, VID\n"
                                  "1 HDR, SA, KE, Nonce, ID, HASH, VID, VID, NAT-D, NAT-D\n");
        CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_SHARED_KEY);
        ikev1_pair_advance(p, 60000);
        CHECK_EQUAL(p->side[1].established, 0);
        CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
        ikev1_pair_free(p);
    }
}

TEST(the_identity_that_was_proven_must_be_the_one_that_is_meant)
{
    struct ikev1_pair *p = aggressive(4);

    CHECK(ike_identity_parse(SLICE_TEXT("else.example"), &p->side[0].policy.peer_id));
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_PEER_IDENTITY);
    ikev1_pair_free(p);
}

TEST(aggressive_mode_goes_through_a_nat)
{
    struct ikev1_pair *p = aggressive(5);

    p->nat = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    CHECK(p->side[0].nat_local && p->side[1].nat_peer);
    CHECK(ikev1_pair_outbound(p, 1, "net")->info.encapsulated);
    CHECK(ikev1_pair_agrees(p));
    ikev1_pair_free(p);
}

TEST(every_single_loss_in_aggressive_mode_is_made_good)
{
    for (unsigned lost = 0; lost < 6; lost++) {
        struct ikev1_pair *p = aggressive(6);
        unsigned sent = 0;

        ikev1_pair_start(p, 0);
        while (p->queue_count > 0) {
            if (sent++ == lost) {
                ikev1_pair_drop(p, 0);
            } else {
                ikev1_pair_deliver(p, 0);
            }
        }
        ikev1_pair_advance(p, 6000);
        CHECK(both_up(p));
        CHECK(ikev1_pair_agrees(p));
        CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
        ikev1_pair_free(p);
    }
}

TEST(a_responder_repeats_message_2_a_few_times_at_most_and_only_when_asked)
{
    struct ikev1_pair *p = aggressive(7);

    ikev1_pair_start(p, 0);
    ikev1_pair_deliver(p, 0);
    unsigned sent = p->side[1].sends;

    p->side[0].deaf = true;
    ikev1_pair_deliver(p, 0);
    for (unsigned i = 0; i < 100; i++) {
        uint8_t noise[64] = {0};
        struct writer w = writer_over(noise, sizeof(noise));
        struct ikev1_sa_info info;

        CHECK(ikev1_sa_child_at(ikev1_pair_sa(p, 0), 0, NULL) == false);
        ikev1_sa_get_info(p->side[1].machines[0].sa, &info);
        struct ikev1_header h = {.cookie_i = info.spi_i,
                                 .cookie_r = info.spi_r,
                                 .next_payload = IKEV1_HASH,
                                 .version = IKEV1_VERSION_1_0,
                                 .exchange = IKEV1_QUICK,
                                 .flags = IKEV1_FLAG_ENCRYPTED,
                                 .message_id = i + 1};

        ikev1_write_header(&w, &h);
        write_zeros(&w, 32);
        ikev1_finish_message(&w);
        p->now_ms += 100;
        ikev1_pair_inject(p, 1, &p->side[1].endpoint, &p->side[0].endpoint, writer_written(&w));
    }
    CHECK(p->side[1].sends <= sent + 5);
    ikev1_pair_free(p);
}

TEST(a_change_anywhere_in_aggressive_mode_lets_nobody_in)
{
    for (unsigned number = 0; number < 3; number++) {
        size_t length = 1;

        for (size_t at = 0; at < length; at += 5) {
            struct ikev1_pair *p = aggressive(8);

            p->side[0].children_policy[0].start = false;
            ikev1_pair_start(p, 0);
            for (unsigned i = 0; i < number; i++) {
                ikev1_pair_deliver(p, 0);
            }
            length = p->queue[0].length;
            p->queue[0].bytes[at] ^= 0x04;
            CHECK(ikev1_pair_run(p));
            if (p->side[1].established == 1) {
                CHECK(p->side[0].established == 1);
                ikev1_pair_start_child(p, 0, 0);
                CHECK(ikev1_pair_run(p));
                CHECK(ikev1_pair_agrees(p));
            }
            ikev1_pair_free(p);
        }
    }
}

/* What is chosen is said when the questions are answered; by then the message is gone. */
TEST(message_2_does_not_need_message_1)
{
    struct ikev1_pair *p = aggressive(30);

    p->side[1].holds_asks = true;
    ikev1_pair_start(p, 0);
    CHECK_EQUAL(p->queue_count, 1);
    struct pair1_datagram d = p->queue[0];
    uint8_t bytes[2048];

    CHECK(d.length <= sizeof(bytes));
    memcpy(bytes, d.bytes, d.length);
    ikev1_pair_drop(p, 0);
    ikev1_pair_inject(p, 1, &p->side[1].endpoint, &p->side[0].endpoint,
                      (struct slice){bytes, d.length});
    memset(bytes, 0xff, sizeof(bytes));
    p->side[1].holds_asks = false;
    while (p->side[1].ask_count > 0) {
        ikev1_pair_answer(p, 1, 0, true);
    }
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p) && ikev1_pair_packet(p, 0, "net"));
    ikev1_pair_free(p);
}
