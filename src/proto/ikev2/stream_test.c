/* An IKE SA over TCP whose connection is lost at every message, and what TCP makes different. */
#include "proto/ikev2/machine.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

#define FIRST_PORT 40001

static struct ikev2_pair *pair_over_tcp(uint64_t seed)
{
    struct ikev2_pair *p = ikev2_pair_new(seed);

    p->side[0].endpoint.port = FIRST_PORT;
    p->side[0].endpoint.tcp = true;
    p->side[1].endpoint.port = 443;
    p->side[1].endpoint.tcp = true;
    return p;
}

/* What was under way is lost with the connection; side 0 opens another one, from another port. */
static void new_connection(struct ikev2_pair *p)
{
    struct pair_side *s = &p->side[0];

    while (p->queue_count > 0) {
        ikev2_pair_drop(p, 0);
    }
    s->endpoint.port++;
    ikev2_pair_carry(p, 0, &s->endpoint, &p->side[1].endpoint);
}

static void check_up(struct ikev2_pair *p, unsigned established)
{
    struct ikev2_sa_info info;

    CHECK(p->side[0].established == established && p->side[1].established == established);
    CHECK(p->side[0].closed == 0 && p->side[1].closed == 0);
    CHECK(ikev2_pair_agrees(p));
    CHECK(ikev2_pair_packet(p, 0, "net") && ikev2_pair_packet(p, 1, "net"));
    for (unsigned i = 0; i < 2; i++) {
        ikev2_sa_get_info(p->side[i].sa, &info);
        CHECK(endpoint_equal(&info.local, &p->side[i].endpoint));
        CHECK(endpoint_equal(&info.peer, &p->side[1 - i].endpoint));
    }
}

TEST(esp_goes_where_ike_goes_without_any_nat)
{
    struct ikev2_pair *p = pair_over_tcp(1);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    check_up(p, 1);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(p->side[i].children[0].encapsulated);
        CHECK(!p->side[i].nat_local && !p->side[i].nat_peer);
    }
    ikev2_pair_free(p);
}

static bool count_sends(void *context, struct ikev2_pair *pair, const struct pair_datagram *d)
{
    (void)pair;
    (void)d;
    *(unsigned *)context += 1;
    return false;
}

TEST(nothing_is_sent_again_by_the_clock_and_the_peer_is_given_up_all_the_same)
{
    struct ikev2_pair *p = pair_over_tcp(2);
    unsigned sends = 0;

    p->passes = count_sends;
    p->context = &sends;
    ikev2_pair_start(p, 0);
    ikev2_pair_advance(p, 600000);
    CHECK_EQUAL(sends, 1);
    CHECK_EQUAL(p->side[0].failed, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_NO_ANSWER);
    ikev2_pair_free(p);
}

/* Delivers `first` messages of the handshake, then the connection is lost once, then the rest. */
static unsigned handshake_with_loss(unsigned first, bool late)
{
    struct ikev2_pair *p = pair_over_tcp(100 + first);
    unsigned delivered = 0;

    ikev2_pair_start(p, 0);
    while (delivered < first && p->queue_count > 0) {
        ikev2_pair_deliver(p, 0);
        delivered++;
    }
    if (late) {
        /* The old connection ends only after its last message arrived. */
        while (p->queue_count > 0 && p->queue[0].to == 1) {
            ikev2_pair_deliver(p, 0);
        }
    }
    new_connection(p);
    CHECK(ikev2_pair_run(p));
    check_up(p, 1);
    ikev2_pair_free(p);
    return delivered;
}

TEST(a_connection_lost_at_any_message_of_the_handshake_costs_no_handshake)
{
    /* IKE_SA_INIT and IKE_AUTH. Once the first was answered the responder has an IKE SA of his own
     * for the port that is gone; this bed has one machine a side, so that loss is the gateway's
     * test. */
    for (unsigned first = 0; first <= 4; first++) {
        if (first == 1) {
            continue;
        }
        CHECK_EQUAL(handshake_with_loss(first, false), first);
        /* Before the first one arrives there is nothing to be late. */
        CHECK_EQUAL(handshake_with_loss(first, first > 0), first);
    }
}

enum what { REKEY_CHILD, REKEY_IKE, LIVENESS, NEW_CHILD, WHAT_COUNT };

static void begin(struct ikev2_pair *p, enum what what, unsigned side)
{
    switch (what) {
    case REKEY_CHILD:
        ikev2_pair_rekey_child(p, side, ikev2_pair_outbound(p, side, "net")->spi_in);
        return;
    case REKEY_IKE:
        ikev2_pair_rekey(p, side);
        return;
    case LIVENESS:
        ikev2_pair_ask_liveness(p, side);
        return;
    case NEW_CHILD:
        ikev2_pair_start_child(p, side, 1);
        return;
    case WHAT_COUNT:
        return;
    }
}

TEST(a_connection_lost_at_any_message_of_any_exchange_costs_nothing)
{
    for (unsigned what = 0; what < WHAT_COUNT; what++) {
        for (unsigned side = 0; side < 2; side++) {
            for (unsigned first = 0; first < 6; first++) {
                struct ikev2_pair *p = pair_over_tcp(1000 + what * 100 + side * 10 + first);

                ikev2_pair_add_child(p, 1, false);
                ikev2_pair_start(p, 0);
                CHECK(ikev2_pair_run(p));
                begin(p, (enum what)what, side);
                for (unsigned i = 0; i < first && p->queue_count > 0; i++) {
                    ikev2_pair_deliver(p, 0);
                }
                new_connection(p);
                CHECK(ikev2_pair_run(p));
                ikev2_pair_advance(p, 20000); /* what was replaced goes */
                check_up(p, 1);
                CHECK_EQUAL(p->side[0].rekeyed, what == REKEY_IKE ? 1 : 0);
                CHECK_EQUAL(p->side[1].rekeyed, what == REKEY_IKE ? 1 : 0);
                CHECK_EQUAL(ikev2_pair_live_children(p, 0), what == NEW_CHILD ? 2 : 1);
                CHECK_EQUAL(p->side[0].child_failed + p->side[1].child_failed, 0);
                ikev2_pair_free(p);
            }
        }
    }
}

TEST(only_who_answered_follows_and_only_from_one_connection_to_another)
{
    struct ikev2_pair *p = pair_over_tcp(3);
    struct endpoint elsewhere = p->side[1].endpoint;
    struct ikev2_sa_info info;

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    /* Side 1 asks from another port: whoever opened the connection does not follow. */
    elsewhere.port = 444;
    ikev2_pair_ask_liveness(p, 1);
    p->queue[0].peer = elsewhere;
    ikev2_pair_deliver(p, 0);
    ikev2_sa_get_info(p->side[0].sa, &info);
    CHECK(endpoint_equal(&info.peer, &p->side[1].endpoint));
    while (p->queue_count > 0) {
        ikev2_pair_drop(p, 0);
    }
    /* Side 0 asks by a datagram: MOBIKE would have to say so. */
    ikev2_pair_ask_liveness(p, 0);
    p->queue[0].peer.tcp = false;
    ikev2_pair_deliver(p, 0);
    ikev2_sa_get_info(p->side[1].sa, &info);
    CHECK(info.peer.tcp);
    CHECK_EQUAL(p->side[1].moved, 0);
    ikev2_pair_free(p);
}

TEST(a_forged_message_takes_no_connection_over)
{
    struct ikev2_pair *p = pair_over_tcp(4);
    struct ikev2_sa_info info;

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_ask_liveness(p, 0);
    p->queue[0].peer.port = 50000;
    p->queue[0].bytes[p->queue[0].length - 1] ^= 1;
    ikev2_pair_deliver_copy(p, 0);
    ikev2_sa_get_info(p->side[1].sa, &info);
    CHECK_EQUAL(info.peer.port, FIRST_PORT);
    CHECK_EQUAL(p->side[1].moved, 0);
    /* The same, authentic. */
    p->queue[0].bytes[p->queue[0].length - 1] ^= 1;
    ikev2_pair_deliver(p, 0);
    ikev2_sa_get_info(p->side[1].sa, &info);
    CHECK_EQUAL(info.peer.port, 50000);
    CHECK_EQUAL(p->side[1].moved, 1);
    ikev2_pair_free(p);
}

/* With a name that makes IKE_AUTH longer than a packet may be. */
static unsigned sends_of(bool tcp)
{
    static const char name[] = "a.very.long.name.of.a.gateway.that.has.many.labels.so.that.its."
                               "message.does.not.fit.into.one."
                               "packet.of.five.hundred.and.seventy.six.octets.which.is.the.least."
                               "that.every.host.must.take."
                               "and.so.is.cut.into.fragments.example";
    struct ikev2_pair *p = tcp ? pair_over_tcp(5) : ikev2_pair_new(5);

    for (unsigned i = 0; i < 2; i++) {
        p->side[i].policy.fragment_bytes = 576;
        p->side[i].responder.fragment_bytes = 576;
    }
    /* In IDi and in IDr. */
    for (unsigned i = 0; i < 2; i++) {
        CHECK(ike_identity_parse(slice_of_text(name), &p->side[i].policy.local_id));
        CHECK(ike_identity_parse(slice_of_text(name), &p->side[i].policy.peer_id));
    }
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK(p->side[0].established == 1 && p->side[1].established == 1);
    CHECK(tcp || p->largest_datagram <= 576);
    CHECK(!tcp || p->largest_datagram > 576);
    unsigned sends = p->side[0].sends;

    ikev2_pair_free(p);
    return sends;
}

TEST(no_message_is_cut_into_fragments)
{
    CHECK(sends_of(false) > 2);
    CHECK_EQUAL(sends_of(true), 2);
}

TEST(a_refusal_is_believed_at_once)
{
    struct ikev2_pair *p = pair_over_tcp(6);

    ikev2_pair_set_ike(p, 0, "aes256gcm16-sha256-x25519");
    ikev2_pair_set_ike(p, 1, "aes128gcm16-sha384-modp2048");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    ikev2_pair_time(p);
    CHECK_EQUAL(p->side[0].failed, 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_NO_PROPOSAL);
    ikev2_pair_free(p);
}

TEST(ah_does_not_go_through_a_connection)
{
    struct ikev2_pair *p = pair_over_tcp(7);

    ikev2_pair_set_ah(p, 0, "sha256");
    ikev2_pair_set_ah(p, 1, "sha256");
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[1].child_failure.reason, IKEV2_FAIL_CHILD_AH_NAT);
    ikev2_pair_free(p);
}

TEST(an_ike_sa_over_datagrams_has_no_connection)
{
    struct ikev2_pair *p = ikev2_pair_new(8);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    p->actions->count = 0;
    CHECK(!ikev2_sa_carry(p->side[0].sa, &p->side[0].endpoint, &p->side[1].endpoint, p->now_ms,
                          p->actions));
    CHECK_EQUAL(p->actions->count, 0);
    ikev2_pair_free(p);
}
