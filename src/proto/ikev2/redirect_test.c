/* Redirect: who may send us elsewhere, and whom we send. */
#include "proto/ikev2/machine.h"

#include <string.h>

#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

static struct ikev2_redirect elsewhere;

/* Side 0 calls and follows; side 1 has somewhere to send it, in IKE_SA_INIT or later. */
static struct ikev2_pair *a_pair(uint64_t seed, enum ikev2_follow follow, bool at_once)
{
    struct address there = address_ipv4(0xcb007109);
    struct ikev2_pair *p = ikev2_pair_new(seed);

    ikev2_redirect_of_address(&there, &elsewhere);
    p->side[0].policy.follow = (uint8_t)follow;
    if (at_once) {
        p->side[1].responder.redirect = &elsewhere;
    } else {
        p->side[1].sends_to = &elsewhere;
    }
    return p;
}

static void check_told(const struct pair_side *s, unsigned times)
{
    CHECK_EQUAL(s->redirected, times);
    CHECK_EQUAL(s->redirect.type, elsewhere.type);
    CHECK_EQUAL(s->redirect.length, elsewhere.length);
    CHECK(memcmp(s->redirect.data, elsewhere.data, elsewhere.length) == 0);
}

TEST(a_caller_who_can_is_sent_elsewhere_before_anything_is_computed)
{
    struct ikev2_pair *p = a_pair(1, IKEV2_FOLLOW_ALWAYS, true);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    check_told(&p->side[0], 1);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_REDIRECTED);
    CHECK(p->side[0].sa == NULL && p->side[1].sa == NULL);
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
    ikev2_pair_free(p);
}

TEST(who_cannot_or_was_sent_here_stays)
{
    for (unsigned sent = 0; sent < 2; sent++) {
        struct ikev2_pair *p =
            a_pair(2 + sent, sent == 1 ? IKEV2_FOLLOW_ALWAYS : IKEV2_FOLLOW_NEVER, true);

        p->side[1].sends_to = &elsewhere;
        if (sent == 1) {
            p->side[0].redirected_from = address_ipv4(0xcb007108);
        }
        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        CHECK(p->side[0].established == 1 && p->side[1].established == 1);
        CHECK_EQUAL(p->side[0].redirected, 0);
        ikev2_pair_free(p);
    }
}

TEST(who_follows_only_who_is_proven_does_not_follow_in_clear)
{
    struct ikev2_pair *p = a_pair(4, IKEV2_FOLLOW_PROVEN, true);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    /* A better answer is waited for. */
    CHECK(p->side[0].sa != NULL);
    CHECK_EQUAL(p->side[0].redirected, 0);
    ikev2_pair_advance(p, 60000);
    CHECK(p->side[0].sa == NULL);
    CHECK_EQUAL(p->side[0].redirected, 0);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_REDIRECT_UNPROVEN);
    CHECK_TEXT(p->side[0].failure.theirs, "203.0.113.9");
    ikev2_pair_free(p);
}

/* The nonce is what shows that whoever answers has seen the question. */
TEST(a_redirect_in_clear_with_anything_else_than_the_nonce_behind_it_is_not_heard)
{
    for (unsigned back = 1; back <= 41; back++) {
        struct ikev2_pair *p = a_pair(5, IKEV2_FOLLOW_ALWAYS, true);

        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_deliver_to(p, 1));
        size_t at = ikev2_pair_find(p, 0);

        CHECK(at != SIZE_MAX);
        /* Nonce, address, its length and type, from behind. */
        p->queue[at].bytes[p->queue[at].length - back] ^= back <= 32 || back >= 37 ? 1 : 0x80;
        CHECK(ikev2_pair_deliver_to(p, 0));
        bool is_address = back > 32 && back < 37;

        CHECK_EQUAL(p->side[0].redirected, is_address);
        CHECK((p->side[0].sa == NULL) == is_address);
        ikev2_pair_free(p);
    }
}

TEST(a_peer_who_proved_who_he_is_is_sent_elsewhere_in_ike_auth)
{
    struct ikev2_pair *p = a_pair(6, IKEV2_FOLLOW_PROVEN, false);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    check_told(&p->side[0], 1);
    CHECK(p->side[0].sa == NULL && p->side[1].sa == NULL);
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
    CHECK_EQUAL(p->side[0].child_count + p->side[1].child_count, 0);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV2_FAIL_REDIRECTED);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_REDIRECTED);
    ikev2_pair_free(p);
}

static void lose_the_last_answer(struct ikev2_pair *p)
{
    CHECK(ikev2_pair_deliver_to(p, 1));
    while (!p->side[1].sa->handshake->redirected) {
        CHECK(ikev2_pair_deliver_to(p, 0));
        CHECK(ikev2_pair_deliver_to(p, 1));
    }
    while (p->queue_count > 0) {
        ikev2_pair_drop(p, 0);
    }
}

TEST(who_did_not_hear_that_he_is_sent_elsewhere_is_told_again)
{
    struct ikev2_pair *p = a_pair(7, IKEV2_FOLLOW_PROVEN, false);

    ikev2_pair_start(p, 0);
    lose_the_last_answer(p);
    ikev2_pair_advance(p, 3000);
    check_told(&p->side[0], 1);
    CHECK(p->side[0].sa == NULL);
    CHECK(p->side[1].sa == NULL);
    ikev2_pair_free(p);
}

TEST(of_who_is_never_heard_again_nothing_is_left)
{
    struct ikev2_pair *p = a_pair(8, IKEV2_FOLLOW_PROVEN, false);

    ikev2_pair_start(p, 0);
    lose_the_last_answer(p);
    ikev2_sa_free(p->side[0].sa);
    p->side[0].sa = NULL;
    ikev2_pair_advance(p, 11000);
    CHECK(p->side[1].sa == NULL);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV2_FAIL_REDIRECTED);
    ikev2_pair_free(p);
}

TEST(in_ike_auth_only_the_right_peer_sends_us_elsewhere)
{
    struct ikev2_pair *p = a_pair(9, IKEV2_FOLLOW_ALWAYS, false);

    CHECK(secret_set(&p->side[1].policy.shared_key, SLICE_TEXT("some other key")));
    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    CHECK_EQUAL(p->side[0].redirected, 0);
    CHECK_EQUAL(p->side[0].established, 0);
    ikev2_pair_free(p);
}

TEST(an_established_caller_is_asked_to_go_elsewhere)
{
    for (unsigned follow = 0; follow < 3; follow++) {
        struct ikev2_pair *p = a_pair(10 + follow, (enum ikev2_follow)follow, false);

        p->side[1].sends_to = NULL;
        ikev2_pair_start(p, 0);
        CHECK(ikev2_pair_run(p));
        ikev2_pair_redirect(p, 1, &elsewhere);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(p->side[0].redirected, follow > 0);
        CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
        /* Nobody who was called sends away who calls. */
        p->side[1].policy.follow = IKEV2_FOLLOW_ALWAYS;
        ikev2_pair_redirect(p, 0, &elsewhere);
        CHECK(ikev2_pair_run(p));
        CHECK_EQUAL(p->side[1].redirected, 0);
        ikev2_pair_free(p);
    }
}

TEST(what_is_no_address_and_no_name_is_nothing)
{
    static const char *const good[] = {"a", "gw2.example.jp", "10-0.x"};
    static const char *const bad[] = {"", "a b", "a/b", "a\nb", "@", "\xe3\x82"};
    char longest[257];
    struct ikev2_redirect to;

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        CHECK(ikev2_redirect_of_name(good[i], &to));
        struct address none = ikev2_redirect_address(&to);

        CHECK(address_is_unset(&none));
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        CHECK(!ikev2_redirect_of_name(bad[i], &to));
    }
    memset(longest, 'a', sizeof(longest));
    longest[256] = 0;
    CHECK(!ikev2_redirect_of_name(longest, &to));
    longest[255] = 0;
    CHECK(ikev2_redirect_of_name(longest, &to));
    struct address v6 = {.family = FAMILY_IPV6, .bytes = {0x20, 1, 0xd, 0xb8, 1}};

    ikev2_redirect_of_address(&v6, &to);
    CHECK_EQUAL(to.length, 16);
    struct address same = ikev2_redirect_address(&to);

    CHECK(address_equal(&same, &v6));
}
