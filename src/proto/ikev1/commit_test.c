/* The commit bit, message IDs, lifetimes that the peer says, and groups that he refuses. */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

#define FLAGS_AT 19
#define COMMIT 0x02

static bool carries(struct ikev1_pair *p)
{
    return ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net");
}

/* Up to where side 0 has sent message 1 of Quick Mode. */
static struct ikev1_pair *at_message_1(uint64_t seed)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    ikev1_pair_start(p, 0);
    for (unsigned i = 0; i < 6; i++) {
        ikev1_pair_deliver(p, 0);
    }
    CHECK_EQUAL(p->queue_count, 1);
    CHECK_EQUAL(p->queue[0].bytes[18], IKEV1_QUICK);
    return p;
}

static void commit(struct ikev1_pair *p)
{
    p->queue[0].bytes[FLAGS_AT] |= COMMIT;
}

TEST(with_the_commit_bit_the_initiator_waits_for_connected)
{
    struct ikev1_pair *p = at_message_1(70);

    /* Both sides saw the bit: the responder sends CONNECTED because message 1 had it. */
    commit(p);
    ikev1_pair_deliver(p, 0);
    commit(p);
    ikev1_pair_deliver(p, 0);
    CHECK(ikev1_pair_outbound(p, 0, "net") == NULL);
    ikev1_pair_deliver(p, 0);
    CHECK(ikev1_pair_outbound(p, 1, "net") != NULL);
    CHECK(strstr(p->transcript, "1 HDR*, HASH, N(CONNECTED)\n") != NULL);
    CHECK_EQUAL(p->queue[0].bytes[18], IKEV1_INFORMATIONAL);
    CHECK(ikev1_pair_outbound(p, 0, "net") == NULL);
    ikev1_pair_deliver_copy(p, 0);
    CHECK(carries(p));
    /* Once more, it says nothing new. */
    CHECK(ikev1_pair_run(p));
    CHECK(carries(p));
    CHECK_EQUAL(p->side[0].child_count, 1);
    ikev1_pair_free(p);
}

TEST(who_never_says_connected_is_not_waited_for_long)
{
    struct ikev1_pair *p = at_message_1(71);

    ikev1_pair_deliver(p, 0);
    commit(p);
    CHECK(ikev1_pair_run(p));
    CHECK(ikev1_pair_outbound(p, 0, "net") == NULL);
    ikev1_pair_advance(p, IKEV1_USE_MS);
    CHECK(carries(p));
    ikev1_pair_free(p);
}

TEST(a_packet_says_as_much_as_connected)
{
    struct ikev1_pair *p = at_message_1(72);

    ikev1_pair_deliver(p, 0);
    commit(p);
    CHECK(ikev1_pair_run(p));
    CHECK(ikev1_pair_packet(p, 1, "net"));
    CHECK(carries(p));
    ikev1_pair_free(p);
}

/* As side 1 would send it in the Quick Mode that is there: a message of this exchange type. */
static void inject_connected(struct ikev1_pair *p, uint8_t exchange, uint16_t type, bool chained)
{
    struct ikev1_sa *sa = ikev1_pair_sa(p, 1);
    struct ikev1_ike *ike = sa->current;
    struct ikev1_quick *q = sa->quicks;
    struct ikev1_outgoing o;
    struct ikev1_hash_value hash;
    struct ikev1_iv iv;
    const struct slice nothing = {NULL, 0};

    CHECK(q != NULL && q->next == NULL);
    ikev1_out_begin(&o, ike, exchange, q->message_id);
    ikev1_out_hash_room(&o, ike);
    ikev1_out_notify(&o, PROTOCOL_ESP, type, nothing, nothing);
    CHECK(ikev1_hash_1(&ike->keys, q->message_id, ikev1_out_behind_hash(&o), &hash));
    ikev1_out_fill_hash(&o, &hash);
    CHECK(ikev1_iv_of_phase2(&ike->keys.suite, &ike->iv, q->message_id, &iv));
    if (chained) {
        iv = q->iv;
    }
    size_t length = o.w.length - IKEV1_HEAD_BYTES;

    write_zeros(&o.w, ikev1_padded_bytes(&ike->keys.suite, length) - length);
    o.header.next_payload = o.first;
    o.header.flags |= IKEV1_FLAG_ENCRYPTED;
    struct writer head = writer_over(o.bytes, IKEV1_HEAD_BYTES);

    ikev1_write_header(&head, &o.header);
    ikev1_finish_message(&o.w);
    CHECK(
        ikev1_encrypt(&ike->keys, &iv, o.bytes + IKEV1_HEAD_BYTES, o.w.length - IKEV1_HEAD_BYTES));
    ikev1_pair_inject(p, 0, &sa->peer, &sa->local, writer_written(&o.w));
}

TEST(connected_may_come_as_a_fourth_message)
{
    static const struct {
        uint8_t exchange;
        uint16_t type;
        bool chained, good;
    } all[] = {
        {IKEV1_QUICK, IKEV1_CONNECTED, true, true},
        {IKEV1_INFORMATIONAL, IKEV1_CONNECTED, false, true},
        {IKEV1_QUICK, IKEV1_CONNECTED, false, false},
        {IKEV1_QUICK, IKEV1_NO_PROPOSAL_CHOSEN, true, false},
        {IKEV1_INFORMATIONAL, IKEV1_NO_PROPOSAL_CHOSEN, false, false},
        {IKEV1_INFORMATIONAL, IKEV1_CONNECTED, true, false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        struct ikev1_pair *p = at_message_1(73);

        ikev1_pair_deliver(p, 0);
        commit(p);
        CHECK(ikev1_pair_run(p));
        CHECK(ikev1_pair_outbound(p, 0, "net") == NULL);
        inject_connected(p, all[i].exchange, all[i].type, all[i].chained);
        CHECK((ikev1_pair_outbound(p, 0, "net") != NULL) == all[i].good);
        ikev1_pair_free(p);
    }
}

TEST(without_the_bit_nobody_says_connected)
{
    struct ikev1_pair *p = at_message_1(74);

    CHECK(ikev1_pair_run(p));
    CHECK(strstr(p->transcript, "CONNECTED") == NULL);
    ikev1_pair_free(p);
}

TEST(an_isakmp_sa_is_renewed_before_a_message_id_is_forgotten)
{
    for (unsigned side = 0; side < 2; side++) {
        struct ikev1_pair *p = ikev1_pair_new(75);

        /* Who answers only renews it when the other one may not. */
        p->side[1].policy.initiate = side == 1;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        for (unsigned i = 0; i < 1200 && p->side[0].rekeyed == 0; i++) {
            CHECK(ikev1_ike_knows_all(ikev1_pair_sa(p, 0)->current));
            CHECK(ikev1_ike_knows_all(ikev1_pair_sa(p, 1)->current));
            ikev1_pair_ask_liveness(p, side);
            CHECK(ikev1_pair_run(p));
        }
        CHECK_EQUAL(p->side[0].rekeyed, 1);
        CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
        CHECK(carries(p));
        ikev1_pair_free(p);
    }
}

TEST(of_lifetimes_the_shorter_counts_on_both_sides)
{
    for (unsigned shorter = 0; shorter < 2; shorter++) {
        struct ikev1_pair *p = ikev1_pair_new(76);

        for (unsigned side = 0; side < 2; side++) {
            p->side[side].children_policy[0].lifetime_ms = side == shorter ? 1800000 : 7200000;
            p->side[side].children_policy[0].lifetime_kilobytes = side == shorter ? 100000 : 200000;
        }
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        for (unsigned side = 0; side < 2; side++) {
            const struct pair1_child *c = ikev1_pair_outbound(p, side, "net");

            CHECK_EQUAL(c->info.lifetime_kilobytes, 100000);
            CHECK(c->info.rekey_ms <= p->now_ms + 1800000);
            CHECK(c->info.rekey_ms >= p->now_ms + 1300000);
        }
        CHECK((strstr(p->transcript, "ID, ID, N(RESPONDER-LIFETIME)") != NULL) == (shorter == 1));
        ikev1_pair_free(p);
    }
}

TEST(a_group_that_is_refused_is_followed_by_the_next_and_then_by_none)
{
    static const struct {
        const char *ours[3], *theirs;
        uint16_t group;
    } all[] = {
        {{"aes128-sha256-ecp256", "aes128-sha256-modp2048"}, "aes128-sha256-modp2048", 14},
        {{"aes128-sha256-ecp384-modp3072", "aes128-sha256"}, "aes128-sha256-modp3072", 15},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        struct ikev1_pair *p = ikev1_pair_new(77);
        char why[128];

        for (size_t k = 0; k < 3 && all[i].ours[k] != NULL; k++) {
            p->side[0].child_proposals.count = (uint8_t)(k + 1);
            CHECK(proposal_parse(PROTOCOL_ESP, slice_of_text(all[i].ours[k]),
                                 &p->side[0].child_proposals.list[k], why, sizeof(why)));
        }
        ikev1_pair_set_esp(p, 1, all[i].theirs);
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(carries(p));
        CHECK_EQUAL(ikev1_pair_outbound(p, 0, "net")->info.suite.key_exchange, all[i].group);
        CHECK_EQUAL(p->side[0].child_failed, 0);
        /* The next time it is known. */
        unsigned refusals = p->side[1].child_failed;

        CHECK_EQUAL(refusals, 1);
        ikev1_pair_rekey_child(p, 0, ikev1_pair_outbound(p, 0, "net")->info.spi_in);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[1].child_failed, refusals);
        ikev1_pair_free(p);
    }
}

/* A peer whose software refuses every key exchange in Quick Mode. */
TEST(without_pfs_only_where_the_policy_allows_that)
{
    for (unsigned prefer = 0; prefer < 2; prefer++) {
        struct ikev1_pair *p = ikev1_pair_new(78);
        char why[128];

        ikev1_pair_set_esp(p, 1, "aes128-sha256-modp8192");
        p->side[1].child_proposals.count = 2;
        CHECK(proposal_parse(PROTOCOL_ESP, SLICE_TEXT("aes128-sha256"),
                             &p->side[1].child_proposals.list[1], why, sizeof(why)));
        /* Strong groups are taken though they were not asked for: so only weak ones are refused. */
        ikev1_pair_set_esp(p, 0, "aes128-sha256-modp768-modp1024");
        if (prefer) {
            CHECK(proposal_parse(PROTOCOL_ESP, SLICE_TEXT("aes128-sha256"),
                                 &p->side[0].child_proposals.list[1], why, sizeof(why)));
            p->side[0].child_proposals.count = 2;
        }
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[0].child_failed, prefer ? 0 : 1);
        CHECK_EQUAL(p->side[1].child_failed, 2);
        if (prefer) {
            CHECK(carries(p));
            CHECK_EQUAL(ikev1_pair_outbound(p, 0, "net")->info.suite.key_exchange, 0);
        }
        CHECK_EQUAL(ikev1_pair_live_children(p, 0), prefer);
        ikev1_pair_free(p);
    }
}
