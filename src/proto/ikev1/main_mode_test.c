/* Main Mode with a shared key, message by message, and what must be refused. */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

static bool both_up(struct ikev1_pair *p)
{
    return p->side[0].established == 1 && p->side[1].established == 1 &&
           ikev1_pair_sa(p, 0) != NULL && ikev1_pair_sa(p, 1) != NULL;
}

/* Delivers so many datagrams. */
static void deliver(struct ikev1_pair *p, unsigned count)
{
    while (count-- > 0) {
        ikev1_pair_deliver(p, 0);
    }
}

static struct ikev1_message *read_first(struct ikev1_pair *p)
{
    static struct ikev1_message m;
    struct slice whole = {p->queue[0].bytes, p->queue[0].length};
    struct reader r = reader_over(whole);

    CHECK(ikev1_read_header(&r, &m.header));
    m.whole = whole;
    CHECK(ikev1_message_read(&m, read_rest(&r)));
    return &m;
}

TEST(the_six_messages_of_main_mode_and_the_three_of_quick_mode)
{
    struct ikev1_pair *p = ikev1_pair_new(1);

    p->side[0].policy.initial_contact = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, "0 HDR, SA, VID, VID, VID, VID, VID\n"
                              "1 HDR, SA, VID, VID\n"
                              "0 HDR, KE, Nonce, NAT-D, NAT-D\n"
                              "1 HDR, KE, Nonce, NAT-D, NAT-D\n"
                              "0 HDR*, ID, HASH, N(INITIAL-CONTACT)\n"
                              "1 HDR*, ID, HASH\n"
                              "0 HDR*, HASH, SA, Nonce, ID, ID\n"
                              "1 HDR*, HASH, SA, Nonce, ID, ID\n"
                              "0 HDR*, HASH\n");
    CHECK(both_up(p));
    CHECK_EQUAL(p->side[1].initial_contact, 1);
    CHECK(ike_identity_matches(&p->side[1].policy.peer_id, &p->side[1].peer_id, true));
    CHECK(ike_identity_matches(&p->side[0].policy.peer_id, &p->side[0].peer_id, true));
    CHECK_EQUAL(p->side[0].suite.encryption, ENCRYPTION_AES_CBC);
    CHECK_EQUAL(p->side[1].suite.prf, PRF_HMAC_SHA2_256);
    CHECK(!p->side[0].nat_local && !p->side[0].nat_peer && !p->side[1].nat_peer);
    CHECK(ikev1_pair_agrees(p));
    CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    ikev1_pair_free(p);
}

TEST(both_sides_may_begin_in_every_suite_that_there_is)
{
    static const char *const suites[] = {
        "des-md5-modp768",           "3des-sha1-modp1024",   "aes128-sha1-modp1536",
        "aes192-sha256-modp2048",    "aes256-sha384-ecp384", "aes256-sha512-ecp521",
        "camellia128-sha256-ecp256", "aes128-sha256-x25519",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(suites); i++) {
        struct ikev1_pair *p = ikev1_pair_new(2 + i);
        unsigned from = i % 2;

        ikev1_pair_set_ike(p, 0, suites[i]);
        ikev1_pair_set_ike(p, 1, suites[i]);
        ikev1_pair_start(p, from);
        CHECK(ikev1_pair_run(p));
        CHECK(both_up(p));
        CHECK(ikev1_pair_agrees(p));
        CHECK(ikev1_pair_packet(p, from, "net"));
        ikev1_pair_free(p);
    }
}

TEST(the_strongest_that_both_allow_is_chosen_whatever_the_order)
{
    struct ikev1_pair *p = ikev1_pair_new(3);
    struct proposals *offer = &p->side[0].ike_proposals;
    char why[256];

    offer->count = 3;
    CHECK(proposal_parse(PROTOCOL_IKE, SLICE_TEXT("des-md5-modp768"), &offer->list[0], why, 256));
    CHECK(proposal_parse(PROTOCOL_IKE, SLICE_TEXT("aes128-sha1-modp1024"), &offer->list[1], why,
                         256));
    CHECK(proposal_parse(PROTOCOL_IKE, SLICE_TEXT("aes256-sha256-modp2048"), &offer->list[2], why,
                         256));
    p->side[1].ike_proposals = *offer;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    CHECK_EQUAL(p->side[0].suite.key_bits, 256);
    CHECK_EQUAL(p->side[1].suite.key_exchange, KEY_EXCHANGE_MODP_2048);
    ikev1_pair_free(p);
}

TEST(nothing_in_common_is_answered_once_and_told_with_both_sides)
{
    struct ikev1_pair *p = ikev1_pair_new(4);

    ikev1_pair_set_ike(p, 1, "aes256-sha256-modp2048");
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].failed, 1);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_NO_PROPOSAL);
    CHECK_TEXT(p->side[1].failure.theirs, "aes128-sha256-modp2048");
    CHECK(strstr(p->side[1].failure.ours, "aes256-sha256-modp2048") != NULL);
    CHECK(ikev1_pair_is_empty(p, 1));
    CHECK_TEXT(p->transcript, "0 HDR, SA, VID, VID, VID, VID, VID\n"
                              "1 HDR, N(NO-PROPOSAL-CHOSEN)\n");
    /* Anybody could have written that: it is believed when nothing better comes. */
    CHECK_EQUAL(p->side[0].failed, 0);
    ikev1_pair_set_ike(p, 1, "des-md5-modp768");
    ikev1_pair_advance(p, IKEV1_REFUSED_MS + 1);
    CHECK_EQUAL(p->side[0].failed, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_NO_PROPOSAL);
    CHECK_EQUAL(p->side[0].failure.notify, IKEV1_NO_PROPOSAL_CHOSEN);
    CHECK(ikev1_pair_is_empty(p, 0));
    ikev1_pair_free(p);
}

TEST(a_refusal_that_somebody_else_wrote_changes_nothing)
{
    struct ikev1_pair *p = ikev1_pair_new(5);
    uint8_t forged[128];

    ikev1_pair_start(p, 0);
    struct ikev1_message *m = read_first(p);
    struct writer w = writer_over(forged, sizeof(forged));
    uint8_t first;
    struct ikev1_notify_payload n = {
        .doi = IKEV1_DOI_IPSEC, .protocol = IKEV1_PROTO_ISAKMP, .type = IKEV1_NO_PROPOSAL_CHOSEN};
    struct ikev1_header h = {.cookie_i = m->header.cookie_i,
                             .cookie_r = 77,
                             .next_payload = IKEV1_NOTIFY,
                             .version = IKEV1_VERSION_1_0,
                             .exchange = IKEV1_INFORMATIONAL,
                             .message_id = 1};

    ikev1_write_header(&w, &h);
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);

    ikev1_begin_payload(&chain, IKEV1_NOTIFY);
    ikev1_write_notify(&w, &n);
    ikev1_end_payload(&chain);
    ikev1_finish_message(&w);
    ikev1_pair_inject(p, 0, &p->side[0].endpoint, &p->side[1].endpoint, writer_written(&w));
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    ikev1_pair_advance(p, 60000);
    CHECK(both_up(p));
    CHECK_EQUAL(p->side[0].failed + p->side[1].failed, 0);
    ikev1_pair_free(p);
}

TEST(different_shared_keys_are_told_as_that_on_both_sides)
{
    struct ikev1_pair *p = ikev1_pair_new(6);

    CHECK(secret_set(&p->side[1].policy.shared_key, SLICE_TEXT("another one")));
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].established, 0);
    ikev1_pair_advance(p, 300000);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_SHARED_KEY);
    CHECK_EQUAL(p->side[1].failure.message, 5);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_SHARED_KEY_PERHAPS);
    CHECK_EQUAL(p->side[0].failure.message, 6);
    CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

TEST(a_stranger_learns_no_more_than_somebody_with_a_wrong_key)
{
    struct ikev1_pair *p = ikev1_pair_new(7);

    p->side[1].answers_nobody = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, "0 HDR, SA, VID, VID, VID, VID, VID\n"
                              "1 HDR, SA, VID, VID\n"
                              "0 HDR, KE, Nonce, NAT-D, NAT-D\n"
                              "1 HDR, KE, Nonce, NAT-D, NAT-D\n"
                              "0 HDR*, ID, HASH\n");
    ikev1_pair_advance(p, 300000);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_PEER_UNKNOWN);
    CHECK_TEXT(p->side[1].failure.theirs, "192.0.2.1");
    CHECK(ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

TEST(who_is_proven_but_not_meant_is_not_let_in)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev1_pair *p = ikev1_pair_new(8);

        CHECK(ike_identity_parse(SLICE_TEXT("else.example"), &p->side[side].policy.peer_id));
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        ikev1_pair_advance(p, 300000);
        CHECK_EQUAL(p->side[side].established, 0);
        CHECK_EQUAL(p->side[side].failure.reason, IKEV1_FAIL_PEER_IDENTITY);
        CHECK_TEXT(p->side[side].failure.ours, "else.example");
        CHECK_TEXT(p->side[side].failure.theirs, side == 0 ? "right.example" : "left.example");
        CHECK_EQUAL(ikev1_pair_live_children(p, side), 0);
        ikev1_pair_free(p);
    }
}

TEST(of_several_that_a_peer_may_be_his_key_and_his_name_say_which)
{
    struct ikev1_pair *p = ikev1_pair_new(9);
    struct pair1_side *s = &p->side[1];

    /* Another key; the same key and another name; the one. */
    s->others[0] = s->policy;
    s->others[1] = s->policy;
    s->others[0].shared_key = (struct secret){0};
    s->others[1].shared_key = (struct secret){0};
    CHECK(secret_copy(&s->others[0].shared_key, &s->policy.shared_key));
    CHECK(secret_copy(&s->others[1].shared_key, &s->policy.shared_key));
    CHECK(secret_set(&s->policy.shared_key, SLICE_TEXT("of somebody else")));
    CHECK(ike_identity_parse(SLICE_TEXT("else.example"), &s->others[0].peer_id));
    s->other_count = 2;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    CHECK(s->chosen == &s->others[1]);
    ikev1_pair_free(p);
}

TEST(every_single_loss_is_made_good_by_sending_again)
{
    for (unsigned lost = 0; lost < 9; lost++) {
        struct ikev1_pair *p = ikev1_pair_new(10);
        unsigned sent = 0;

        ikev1_pair_start(p, 0);
        while (p->queue_count > 0) {
            if (sent++ == lost) {
                ikev1_pair_drop(p, 0);
            } else {
                ikev1_pair_deliver(p, 0);
            }
        }
        ikev1_pair_advance(p, 2500);
        CHECK(both_up(p));
        CHECK(ikev1_pair_agrees(p));
        CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
        CHECK_EQUAL(p->side[1].responders, 1);
        ikev1_pair_advance(p, 200000);
        CHECK(ikev1_pair_agrees(p));
        CHECK_EQUAL(ikev1_pair_live_children(p, 0), 1);
        CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
        ikev1_pair_free(p);
    }
}

TEST(a_message_that_comes_again_gets_the_same_octets_and_does_nothing_twice)
{
    struct ikev1_pair *p = ikev1_pair_new(11);

    ikev1_pair_start(p, 0);
    for (unsigned i = 0; p->queue_count > 0; i++) {
        ikev1_pair_deliver_copy(p, 0);
        size_t count = p->queue_count;

        /* At once it is not answered again, later it is; by an initiator only when he is through.
         */
        ikev1_pair_deliver_copy(p, 0);
        CHECK_EQUAL(p->queue_count, count);
        p->now_ms += IKEV1_AGAIN_MS + 1;
        ikev1_pair_deliver_copy(p, 0);
        if (count > 1 && p->queue[0].to == 1 && i < 6) {
            CHECK_EQUAL(p->queue_count, count + 1);
            CHECK_EQUAL(p->queue[count].length, p->queue[1].length);
            CHECK_BYTES(p->queue[count].bytes, p->queue[1].bytes, p->queue[1].length);
            ikev1_pair_drop(p, count);
        }
        if (p->queue_count > count) {
            ikev1_pair_drop(p, count);
        }
        ikev1_pair_drop(p, 0);
    }
    CHECK(both_up(p));
    CHECK_EQUAL(p->side[0].child_count, 1);
    CHECK_EQUAL(p->side[1].child_count, 1);
    CHECK_EQUAL(p->side[1].responders, 1);
    ikev1_pair_free(p);
}

/* As the oldest datagram, with some octets behind its payloads. */
static void deliver_padded(struct ikev1_pair *p, size_t padding)
{
    struct pair1_datagram d = p->queue[0];
    uint8_t bytes[2048] = {0};

    CHECK(d.length + padding <= sizeof(bytes));
    memcpy(bytes, d.bytes, d.length);
    put_u32(bytes + 24, (uint32_t)(d.length + padding));
    ikev1_pair_inject(p, d.to, &d.local, &d.peer, (struct slice){bytes, d.length + padding});
    ikev1_pair_drop(p, 0);
}

TEST(what_is_not_encrypted_may_be_padded_to_a_multiple_of_four_and_no_further)
{
    for (size_t padding = 1; padding <= 4; padding++) {
        for (unsigned aggressive = 0; aggressive < 2; aggressive++) {
            struct ikev1_pair *p = ikev1_pair_new(25);

            p->side[0].policy.aggressive = p->side[1].policy.aggressive =
                p->side[1].responder.aggressive = aggressive == 1;
            ikev1_pair_start(p, 0);
            while (p->queue_count > 0 && (p->queue[0].bytes[19] & IKEV1_FLAG_ENCRYPTED) == 0) {
                deliver_padded(p, padding);
            }
            CHECK(ikev1_pair_run(p));
            CHECK_EQUAL(both_up(p), padding < 4);
            ikev1_pair_free(p);
        }
    }
}

TEST(a_responder_sends_nothing_by_the_clock_before_he_is_through)
{
    for (unsigned after = 1; after <= 2; after++) {
        struct ikev1_pair *p = ikev1_pair_new(12);

        ikev1_pair_start(p, 0);
        deliver(p, after == 1 ? 1 : 3);
        p->side[0].deaf = true;
        while (p->queue_count > 0) {
            ikev1_pair_drop(p, 0);
        }
        unsigned sent = p->side[1].sends;

        ikev1_pair_reboot(p, 0);
        ikev1_pair_advance(p, 29000);
        CHECK_EQUAL(p->side[1].sends, sent);
        CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
        ikev1_pair_advance(p, 2000);
        CHECK(ikev1_pair_is_empty(p, 1));
        CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_HALF_OPEN_TIMEOUT);
        ikev1_pair_free(p);
    }
}

TEST(nobody_answers)
{
    struct ikev1_pair *p = ikev1_pair_new(13);

    p->side[1].deaf = true;
    ikev1_pair_start(p, 0);
    ikev1_pair_advance(p, 600000);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_NO_ANSWER);
    CHECK_EQUAL(p->side[0].failure.exchange, IKEV1_MAIN);
    CHECK_EQUAL(p->side[0].failure.message, 2);
    CHECK_EQUAL(p->side[0].sends, 7);
    CHECK(ikev1_pair_is_empty(p, 0));
    ikev1_pair_free(p);
}

/* Each octet of each message is changed once on its way: nobody falls over, and nobody is let in
 * who was not before. */
TEST(a_change_anywhere_in_any_message_makes_no_sa_that_the_sides_see_differently)
{
    for (unsigned number = 0; number < 6; number++) {
        size_t length = 1;

        for (size_t at = 0; at < length; at += number < 2 ? 1 : 7) {
            struct ikev1_pair *p = ikev1_pair_new(14);

            p->side[0].children_policy[0].start = false;
            ikev1_pair_start(p, 0);
            deliver(p, number);
            length = p->queue[0].length;
            p->queue[0].bytes[at] ^= 0x04;
            CHECK(ikev1_pair_run(p));
            CHECK(p->side[0].established == 0 || p->side[1].established == 1);
            if (p->side[0].established == 1) {
                CHECK_EQUAL(p->side[0].suite.encryption, p->side[1].suite.encryption);
                CHECK_EQUAL(p->side[0].suite.prf, p->side[1].suite.prf);
                ikev1_pair_start_child(p, 0, 0);
                CHECK(ikev1_pair_run(p));
                CHECK(ikev1_pair_agrees(p));
                CHECK(ikev1_pair_packet(p, 0, "net"));
            }
            ikev1_pair_free(p);
        }
    }
}

TEST(through_a_nat_it_goes_on_at_port_4500_with_what_both_can)
{
    static const enum ikev1_natt ways[][2] = {
        {IKEV1_NATT_ALL, IKEV1_NATT_ALL},
        {IKEV1_NATT_ALL, IKEV1_NATT_DRAFTS},
        {IKEV1_NATT_DRAFTS, IKEV1_NATT_ALL},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        struct ikev1_pair *p = ikev1_pair_new(15);

        p->nat = true;
        p->side[0].policy.natt = ways[i][0];
        p->side[1].responder.natt = ways[i][1];
        p->side[1].policy.natt = ways[i][1];
        ikev1_pair_start(p, 0);
        deliver(p, 4);
        CHECK_EQUAL(p->queue[0].local.port, 4500);
        CHECK_EQUAL(p->queue[0].peer.port, 14500);
        CHECK(ikev1_pair_run(p));
        CHECK(both_up(p));
        CHECK(p->side[0].nat_local && !p->side[0].nat_peer);
        CHECK(p->side[1].nat_peer && !p->side[1].nat_local);
        CHECK(ikev1_pair_outbound(p, 0, "net")->info.encapsulated);
        CHECK(ikev1_pair_agrees(p));
        CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
        ikev1_pair_free(p);
    }
}

TEST(who_knows_no_way_through_a_nat_stays_at_port_500)
{
    struct ikev1_pair *p = ikev1_pair_new(16);

    p->nat = true;
    p->side[1].responder.natt = IKEV1_NATT_NEVER;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    CHECK(!p->side[0].nat_local && !p->side[1].nat_peer);
    CHECK(!ikev1_pair_outbound(p, 0, "net")->info.encapsulated);
    ikev1_pair_free(p);
}

TEST(encapsulation_can_be_had_without_a_nat)
{
    struct ikev1_pair *p = ikev1_pair_new(17);

    p->side[0].policy.force_encapsulation = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    CHECK(ikev1_pair_outbound(p, 0, "net")->info.encapsulated);
    CHECK(ikev1_pair_agrees(p));
    ikev1_pair_free(p);
}

TEST(a_peer_behind_a_nat_is_followed_to_another_port_when_he_is_proven_there)
{
    struct ikev1_pair *p = ikev1_pair_new(18);

    p->nat = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    p->nat_port_shift = 7;
    ikev1_pair_ask_liveness(p, 0);
    struct pair1_datagram d = p->queue[0];

    /* A changed copy from there moves nothing. */
    d.bytes[d.length - 1] ^= 1;
    ikev1_pair_inject(p, 1, &d.local, &d.peer, (struct slice){d.bytes, d.length});
    CHECK_EQUAL(p->side[1].moved, 0);
    d.bytes[d.length - 1] ^= 1;
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].moved, 1);
    CHECK_EQUAL(p->side[1].moved_to.port, 14507);
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
    ikev1_pair_free(p);
}

TEST(the_shorter_lifetime_is_said_and_holds)
{
    struct ikev1_pair *p = ikev1_pair_new(19);
    struct ikev1_sa_info info;

    p->side[0].policy.ike_lifetime_ms = 10000000;
    p->side[1].policy.ike_lifetime_ms = 3600000;
    p->side[0].children_policy[0].lifetime_ms = 5000000;
    p->side[1].children_policy[0].lifetime_ms = 1800000;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(strstr(p->transcript, "1 HDR*, ID, HASH, N(RESPONDER-LIFETIME)\n") != NULL);
    CHECK(strstr(p->transcript, "1 HDR*, HASH, SA, Nonce, ID, ID, N(RESPONDER-LIFETIME)\n") !=
          NULL);
    ikev1_sa_get_info(ikev1_pair_sa(p, 0), &info);
    CHECK(info.rekey_ms > p->now_ms && info.rekey_ms < p->now_ms + 3600000);
    CHECK(ikev1_pair_outbound(p, 0, "net")->info.rekey_ms > 0);
    struct ikev1_child_info child;

    CHECK(ikev1_sa_child_at(ikev1_pair_sa(p, 0), 0, &child));
    CHECK(child.rekey_ms < p->now_ms + 1800000);
    ikev1_pair_free(p);
}

TEST(liveness_is_asked_after_silence_and_a_dead_peer_is_found)
{
    struct ikev1_pair *p = ikev1_pair_new(20);

    p->side[0].policy.liveness_ms = 30000;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_advance(p, 31000);
    CHECK(strstr(p->transcript, "0 HDR*, HASH, N(R-U-THERE)\n"
                                "1 HDR*, HASH, N(R-U-THERE-ACK)\n") != NULL);
    /* What comes through the child says as much. */
    p->transcript[0] = '\0';
    for (unsigned i = 0; i < 10; i++) {
        ikev1_pair_advance(p, 20000);
        CHECK(ikev1_pair_packet(p, 1, "net"));
    }
    CHECK_TEXT(p->transcript, "");
    p->side[1].deaf = true;
    ikev1_pair_advance(p, 300000);
    CHECK_EQUAL(p->side[0].closed, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_PEER_DEAD);
    CHECK(ikev1_pair_is_empty(p, 0));
    ikev1_pair_free(p);
}

TEST(a_peer_that_cannot_be_asked_whether_he_lives_is_not)
{
    struct ikev1_pair *p = ikev1_pair_new(21);

    p->side[0].policy.liveness_ms = 30000;
    p->side[1].responder.no_vendor_ids = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    p->transcript[0] = '\0';
    ikev1_pair_ask_liveness(p, 0);
    ikev1_pair_advance(p, 300000);
    CHECK_TEXT(p->transcript, "");
    CHECK(both_up(p));
    ikev1_pair_free(p);
}

TEST(a_question_of_liveness_that_is_replayed_is_not_answered_again)
{
    struct ikev1_pair *p = ikev1_pair_new(22);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_ask_liveness(p, 0);
    ikev1_pair_deliver_copy(p, 0);
    CHECK_EQUAL(p->queue_count, 2);
    for (unsigned i = 0; i < 5; i++) {
        p->now_ms += 1000;
        ikev1_pair_deliver_copy(p, 0);
    }
    CHECK_EQUAL(p->queue_count, 2);
    ikev1_pair_free(p);
}

TEST(each_repetition_of_a_question_of_liveness_has_a_number_of_its_own)
{
    struct ikev1_pair *p = ikev1_pair_new(24);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    const struct ikev1_ike *asker = ikev1_pair_sa(p, 0)->current;
    const struct ikev1_ike *asked = ikev1_pair_sa(p, 1)->current;

    ikev1_pair_ask_liveness(p, 0);
    uint32_t first = asker->liveness_sequence;

    p->side[0].deaf = true;
    ikev1_pair_advance(p, 10000);
    CHECK(asked->peer_sequence_known);
    CHECK(asked->peer_sequence - first >= 2 && asked->peer_sequence - first < 8);
    CHECK_EQUAL(asker->liveness_sequence, asked->peer_sequence);
    CHECK(asker->liveness_open);
    /* The answer to any of them is one. */
    p->side[0].deaf = false;
    struct ikev1_turn t = ikev1_turn_begin(ikev1_pair_sa(p, 1), p->now_ms, p->actions);
    uint8_t number[4], cookies[16];

    put_u64(cookies, asked->spi_i);
    put_u64(cookies + 8, asked->spi_r);
    put_u32(number, first - 1);
    ikev1_send_notify(&t, ikev1_pair_sa(p, 1)->current, IKEV1_PROTO_ISAKMP, IKEV1_R_U_THERE_ACK,
                      SLICE_OF(cookies), SLICE_OF(number));
    ikev1_pair_inject(p, 0, &p->side[0].endpoint, &p->side[1].endpoint,
                      p->actions->list[p->actions->count - 1].send.bytes);
    CHECK(asker->liveness_open);
    put_u32(number, first + 1);
    t = ikev1_turn_begin(ikev1_pair_sa(p, 1), p->now_ms, p->actions);
    ikev1_send_notify(&t, ikev1_pair_sa(p, 1)->current, IKEV1_PROTO_ISAKMP, IKEV1_R_U_THERE_ACK,
                      SLICE_OF(cookies), SLICE_OF(number));
    ikev1_pair_inject(p, 0, &p->side[0].endpoint, &p->side[1].endpoint,
                      p->actions->list[p->actions->count - 1].send.bytes);
    CHECK(!asker->liveness_open);
    ikev1_pair_free(p);
}

TEST(closing_says_so_and_leaves_nothing_on_either_side)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev1_pair *p = ikev1_pair_new(23);

        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        p->transcript[0] = '\0';
        ikev1_pair_close(p, side);
        CHECK(ikev1_pair_run(p));
        CHECK_TEXT(p->transcript, side == 0 ? "0 HDR*, HASH, D\n0 HDR*, HASH, D\n"
                                            : "1 HDR*, HASH, D\n1 HDR*, HASH, D\n");
        CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
        CHECK_EQUAL(p->side[side].failure.reason, IKEV1_FAIL_ORDERED);
        CHECK_EQUAL(p->side[1 - side].failure.reason, IKEV1_FAIL_PEER_DELETED);
        ikev1_pair_free(p);
    }
}

TEST(a_delete_with_one_changed_bit_anywhere_deletes_nothing)
{
    struct ikev1_pair *p = ikev1_pair_new(24);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_close(p, 0);
    CHECK_EQUAL(p->queue_count, 2);
    for (size_t k = 0; k < 2; k++) {
        struct pair1_datagram d = p->queue[k];

        for (size_t i = 16; i < d.length; i++) {
            d.bytes[i] ^= 0x10;
            ikev1_pair_inject(p, 1, &d.local, &d.peer, (struct slice){d.bytes, d.length});
            d.bytes[i] ^= 0x10;
        }
    }
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    CHECK_EQUAL(p->side[1].closed, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

TEST(what_is_no_first_message_makes_no_responder)
{
    struct ikev1_pair *p = ikev1_pair_new(25);

    ikev1_pair_start(p, 0);
    struct pair1_datagram d = p->queue[0];
    struct slice whole = {d.bytes, d.length};

    CHECK(ikev1_sa_may_begin(whole, false));
    for (size_t length = 0; length < d.length; length++) {
        CHECK(!ikev1_sa_may_begin((struct slice){d.bytes, length}, true));
    }
    static const struct {
        size_t at;
        uint8_t value;
    } wrong[] = {
        {8, 1},
        {16, IKEV1_KE},
        {17, 0x20},
        {18, IKEV1_QUICK},
        {18, IKEV1_INFORMATIONAL},
        {18, IKEV1_BASE},
        {19, IKEV1_FLAG_ENCRYPTED},
        {23, 1},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        uint8_t before = d.bytes[wrong[i].at];

        d.bytes[wrong[i].at] = wrong[i].value;
        CHECK(!ikev1_sa_may_begin(whole, true));
        d.bytes[wrong[i].at] = before;
    }
    d.bytes[18] = IKEV1_AGGRESSIVE;
    CHECK(!ikev1_sa_may_begin(whole, false) && ikev1_sa_may_begin(whole, true));
    ikev1_pair_free(p);
}

TEST(a_machine_can_be_freed_in_every_state)
{
    for (unsigned count = 0; count < 10; count++) {
        struct ikev1_pair *p = ikev1_pair_new(26);

        ikev1_pair_start(p, 0);
        for (unsigned i = 0; i < count && p->queue_count > 0; i++) {
            ikev1_pair_deliver(p, 0);
        }
        ikev1_pair_free(p);
    }
}
