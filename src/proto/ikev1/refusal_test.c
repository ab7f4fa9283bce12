/* Why phase 1 came to nothing, as far as the peer says it or shows it. */
#include <stdlib.h>
#include <string.h>

#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

/* Side 0 waits for the answer to its proof, and side 1 hears nothing any more. */
static struct ikev1_pair *waiting(uint64_t seed, bool aggressive)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    for (unsigned i = 0; i < 2; i++) {
        p->side[i].policy.aggressive = aggressive;
        p->side[i].responder.aggressive = aggressive;
    }
    ikev1_pair_start(p, 0);
    for (unsigned i = 0; i < (aggressive ? 1 : 4); i++) {
        ikev1_pair_deliver(p, 0);
    }
    CHECK_EQUAL(p->queue_count, 1);
    return p;
}

/* What the peer of side `to` says before phase 1 is over: in the keys that are there by then, or in
 * those of another shared key. */
static void say_early(struct ikev1_pair *p, unsigned to, const struct secret *other)
{
    static struct ikev1_actions actions;
    static uint8_t bytes[1024];
    struct ikev1_sa *sa = p->side[to].machines[0].sa;
    struct ikev1_ike *ike = calloc(1, sizeof(*ike));
    struct ikev1_keys keys = {0};
    const struct slice nothing = {NULL, 0};

    *ike = *sa->ikes;
    ike->iv = ike->handshake->iv;
    if (other != NULL) {
        CHECK(ikev1_phase1_keys(sa->ikes, other, &keys));
        ike->keys = keys;
    }
    actions.count = 0;
    struct ikev1_turn t = ikev1_turn_begin(sa, p->now_ms, &actions);

    ikev1_send_notify(&t, ike, IKEV1_PROTO_ISAKMP, IKEV1_AUTHENTICATION_FAILED, nothing, nothing);
    const struct ikev1_action *sent = &actions.list[actions.count - 1];

    CHECK_EQUAL(sent->kind, IKEV1_SEND);
    memcpy(bytes, sent->send.bytes.data, sent->send.bytes.length);
    ikev1_pair_inject(p, to, &p->side[to].endpoint, &p->side[!to].endpoint,
                      (struct slice){bytes, sent->send.bytes.length});
    ikev1_keys_fini(&keys);
    free(ike);
}

TEST(who_has_our_key_and_refuses_us_is_believed)
{
    struct ikev1_pair *p = waiting(1, false);

    p->side[1].deaf = true;
    ikev1_pair_drop(p, 0);
    say_early(p, 0, NULL);
    ikev1_pair_advance(p, 4000);
    CHECK_EQUAL(p->side[0].failed + p->side[0].closed, 0);
    ikev1_pair_advance(p, 2000);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_AUTH_REFUSED);
    CHECK_EQUAL(p->side[0].failure.notify, IKEV1_AUTHENTICATION_FAILED);
    ikev1_pair_free(p);
}

TEST(what_cannot_be_read_in_its_place_means_that_the_keys_differ)
{
    struct secret other = {0};

    CHECK(secret_set(&other, SLICE_TEXT("another one")));
    for (unsigned side = 0; side < 2; side++) {
        /* A caller in Main Mode who waits for message 6, and who is called in Aggressive Mode and
         * waits for message 3. */
        struct ikev1_pair *p = waiting(2, side == 1);

        p->side[!side].deaf = true;
        ikev1_pair_drop(p, 0);
        say_early(p, side, &other);
        ikev1_pair_advance(p, 6000);
        CHECK_EQUAL(p->side[side].failure.reason, IKEV1_FAIL_SHARED_KEY_PERHAPS);
        ikev1_pair_free(p);
    }
    secret_wipe(&other);
}

TEST(a_caller_who_goes_without_having_asked_for_anything_was_not_content_with_our_proof)
{
    for (unsigned asks = 0; asks < 2; asks++) {
        struct ikev1_pair *p = ikev1_pair_new(3);

        p->side[0].policy.children = asks ? p->side[0].policy.children : NULL;
        p->side[0].policy.child_count = asks ? p->side[0].policy.child_count : 0;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[1].established, 1);
        ikev1_pair_close(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[1].closed, 1);
        CHECK_EQUAL(p->side[1].failure.reason,
                    asks ? IKEV1_FAIL_PEER_DELETED : IKEV1_FAIL_AUTH_REFUSED);
        ikev1_pair_free(p);
    }
}

TEST(who_is_called_in_aggressive_mode_and_goes_without_an_answer_was_not_content_either)
{
    struct ikev1_pair *p = waiting(5, true);

    ikev1_pair_deliver(p, 0);
    CHECK_EQUAL(p->side[0].established, 1);
    /* He has message 3, and not what we ask for. */
    ikev1_pair_deliver(p, 0);
    CHECK_EQUAL(p->side[1].established, 1);
    while (p->queue_count > 0) {
        ikev1_pair_drop(p, 0);
    }
    ikev1_pair_close(p, 1);
    ikev1_pair_deliver(p, 0);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_AUTH_REFUSED);
    ikev1_pair_free(p);
}

TEST(before_anything_is_proved_a_refusal_is_not_about_a_proof)
{
    struct ikev1_pair *p = ikev1_pair_new(4);
    uint8_t bytes[128];
    uint8_t first;
    struct writer w = writer_over(bytes, sizeof(bytes));
    const struct ikev1_notify_payload n = {.doi = IKEV1_DOI_IPSEC,
                                           .protocol = IKEV1_PROTO_ISAKMP,
                                           .type = IKEV1_AUTHENTICATION_FAILED};

    p->side[0].policy.aggressive = true;
    ikev1_pair_start(p, 0);
    ikev1_pair_drop(p, 0);
    p->side[1].deaf = true;
    struct ikev1_header h = {.cookie_i = ikev1_pair_sa(p, 0)->ikes->spi_i,
                             .cookie_r = 7,
                             .next_payload = IKEV1_NOTIFY,
                             .version = IKEV1_VERSION_1_0,
                             .exchange = IKEV1_INFORMATIONAL,
                             .message_id = 9};

    ikev1_write_header(&w, &h);
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);

    ikev1_begin_payload(&chain, IKEV1_NOTIFY);
    ikev1_write_notify(&w, &n);
    ikev1_end_payload(&chain);
    ikev1_finish_message(&w);
    ikev1_pair_inject(p, 0, &p->side[0].endpoint, &p->side[1].endpoint, writer_written(&w));
    ikev1_pair_advance(p, 6000);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_PEER_ERROR);
    CHECK(strstr(p->side[0].failure.detail, "Aggressive Mode") != NULL);
    ikev1_pair_free(p);
}
