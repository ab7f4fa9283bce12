/* Logins after phase 1: every message in both roles and both modes, each kind of question, and what
 * must be refused. */
#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

/* Side 0 is the client, side 1 the gateway. */
static void set_word(char out[PAIR1_WORD_BYTES], const char *word)
{
    CHECK(text_copy(out, PAIR1_WORD_BYTES, slice_of_text(word)));
}

static struct ikev1_pair *login_pair(uint64_t seed, bool aggressive)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);

    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *s = &p->side[i];

        s->policy.login = i == 0 ? IKEV1_LOGIN_ANSWER : IKEV1_LOGIN_ASK;
        s->policy.aggressive = aggressive;
        s->responder.aggressive = aggressive;
        s->responder.shared_keys = false;
        s->responder.login_shared_keys = true;
        set_word(s->words.user, "carol");
        set_word(s->words.password, "a long password");
        set_word(s->words.passcode, "314159");
        set_word(s->words.next_pin, "2718");
        set_word(s->words.answer, "y");
    }
    return p;
}

static void deliver(struct ikev1_pair *p, unsigned count)
{
    while (count-- > 0) {
        ikev1_pair_deliver(p, 0);
    }
}

static bool both_up(const struct ikev1_pair *p)
{
    return p->side[0].established == 1 && p->side[1].established == 1;
}

#define PHASE1                                                                                     \
    "0 HDR, SA, VID, VID, VID, VID, VID, VID, VID\n"                                               \
    "1 HDR, SA, VID, VID, VID, VID\n"                                                              \
    "0 HDR, KE, Nonce, NAT-D, NAT-D\n"                                                             \
    "1 HDR, KE, Nonce, NAT-D, NAT-D\n"                                                             \
    "0 HDR*, ID, HASH\n"                                                                           \
    "1 HDR*, ID, HASH\n"
#define QUICK                                                                                      \
    "0 HDR*, HASH, SA, Nonce, ID, ID\n"                                                            \
    "1 HDR*, HASH, SA, Nonce, ID, ID\n"                                                            \
    "0 HDR*, HASH\n"
#define ASKED "1 HDR*, HASH, ATTR(REQUEST)\n"
#define SAID "0 HDR*, HASH, ATTR(REPLY)\n"
#define VERDICT                                                                                    \
    "1 HDR*, HASH, ATTR(SET)\n"                                                                    \
    "0 HDR*, HASH, ATTR(ACK)\n"

TEST(the_messages_of_a_login_with_name_and_password)
{
    struct ikev1_pair *p = login_pair(1, false);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, PHASE1 ASKED SAID VERDICT QUICK);
    CHECK(both_up(p) && p->side[0].login && p->side[1].login);
    CHECK_TEXT(p->side[1].heard.user, "carol");
    CHECK_TEXT(p->side[1].heard.password, "a long password");
    CHECK_TEXT(p->side[1].heard.passcode, "");
    CHECK_EQUAL(p->side[0].wanted, IKEV1_CREDENTIAL_USER | IKEV1_CREDENTIAL_PASSWORD);
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    ikev1_pair_close(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

TEST(the_messages_of_a_login_after_aggressive_mode)
{
    struct ikev1_pair *p = login_pair(2, true);

    p->nat = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, "0 HDR, SA, KE, Nonce, ID, VID, VID, VID, VID, VID, VID, VID\n"
                              "1 HDR, SA, KE, Nonce, ID, HASH, VID, VID, VID, VID, NAT-D, NAT-D\n"
                              "0 HDR*, HASH, NAT-D, NAT-D\n" ASKED SAID VERDICT QUICK);
    CHECK(both_up(p) && ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    CHECK(!p->side[0].leaked && !p->side[1].leaked);
    ikev1_pair_free(p);
}

/* Wherever the words stand in a message, who watches sees zeros. */
TEST(words_of_a_user_are_shown_to_nobody)
{
    static const struct pair1_verdict rounds[] = {
        {IKEV1_LOGIN_MORE, "choose a new PIN", IKEV1_CREDENTIAL_NEXT_PIN},
        {IKEV1_LOGIN_MORE, NULL, IKEV1_CREDENTIAL_USER | IKEV1_CREDENTIAL_PASSCODE},
        {IKEV1_LOGIN_ACCEPTED, "welcome", 0},
    };
    struct ikev1_pair *p = login_pair(3, false);

    p->side[1].verdicts = rounds;
    p->side[1].verdict_count = ARRAY_LENGTH(rounds);
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    CHECK(!p->side[0].leaked && !p->side[1].leaked);
    ikev1_pair_free(p);
}

/* draft-beaulieu-ike-xauth-02 appendix A, A-6. */
TEST(a_token_card_may_want_several_rounds)
{
    static const struct pair1_verdict rounds[] = {
        {IKEV1_LOGIN_MORE, "Would you like to choose your PIN (y/n)?", IKEV1_CREDENTIAL_ANSWER},
        {IKEV1_LOGIN_MORE, "Enter your new PIN", IKEV1_CREDENTIAL_NEXT_PIN},
        {IKEV1_LOGIN_MORE, NULL, IKEV1_CREDENTIAL_USER | IKEV1_CREDENTIAL_PASSCODE},
        {IKEV1_LOGIN_ACCEPTED, NULL, 0},
    };
    static const unsigned wanted[] = {
        IKEV1_CREDENTIAL_USER | IKEV1_CREDENTIAL_PASSWORD | IKEV1_CREDENTIAL_PASSCODE,
        IKEV1_CREDENTIAL_ANSWER,
        IKEV1_CREDENTIAL_NEXT_PIN,
        IKEV1_CREDENTIAL_USER | IKEV1_CREDENTIAL_PASSCODE,
    };
    struct ikev1_pair *p = login_pair(4, false);

    p->side[1].policy.login_kind = IKEV1_LOGIN_OTP;
    p->side[1].verdicts = rounds;
    p->side[1].verdict_count = ARRAY_LENGTH(rounds);
    ikev1_pair_start(p, 0);
    deliver(p, 6);
    for (size_t i = 0; i < ARRAY_LENGTH(rounds); i++) {
        deliver(p, 1);
        CHECK_EQUAL(p->side[0].credentials_asked, i + 1);
        CHECK_EQUAL(p->side[0].wanted, wanted[i]);
        CHECK_TEXT(p->side[0].message,
                   i > 0 && rounds[i - 1].message != NULL ? rounds[i - 1].message : "");
        deliver(p, 1);
        CHECK_EQUAL(p->side[1].round, i + 1);
    }
    CHECK_TEXT(p->side[1].heard.user, "carol");
    CHECK_TEXT(p->side[1].heard.passcode, "314159");
    CHECK_TEXT(p->side[1].heard.password, "");
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, PHASE1 ASKED SAID ASKED SAID ASKED SAID ASKED SAID VERDICT QUICK);
    CHECK(both_up(p));
    ikev1_pair_free(p);
}

/* the password itself is not said. */
TEST(radius_chap_says_no_password)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ikev1_pair *p = login_pair(5, false);

        p->side[1].policy.login_kind = IKEV1_LOGIN_CHAP;
        if (i == 1) {
            set_word(p->side[0].words.password, "another password");
        }
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(p->side[1].heard_chap && p->side[0].kind == IKEV1_LOGIN_CHAP);
        CHECK_TEXT(p->side[1].heard.user, "carol");
        CHECK_TEXT(p->side[1].heard.password, "");
        CHECK_EQUAL(both_up(p), i == 0);
        CHECK_EQUAL(p->side[1].failed, i);
        ikev1_pair_free(p);
    }
}

TEST(who_is_refused_has_nothing)
{
    static const struct pair1_verdict no[] = {{IKEV1_LOGIN_REFUSED, "the account is locked", 0}};
    struct ikev1_pair *p = login_pair(6, false);

    p->side[1].verdicts = no;
    p->side[1].verdict_count = 1;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_TEXT(p->transcript, PHASE1 ASKED SAID VERDICT "0 HDR*, HASH, D\n1 HDR*, HASH, D\n");
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_LOGIN);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_LOGIN);
    CHECK_TEXT(p->side[0].failure.detail, "the account is locked");
    CHECK_TEXT(p->side[1].failure.detail, "the account is locked");
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
    CHECK_EQUAL(p->side[0].failed + p->side[1].failed, 2);
    CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

/* The gateway deletes it though nobody says that he has heard the refusal. */
TEST(a_refusal_that_is_not_heard_ends_as_well)
{
    struct ikev1_pair *p = login_pair(7, false);

    set_word(p->side[0].words.password, "wrong");
    ikev1_pair_start(p, 0);
    deliver(p, 8);
    CHECK_EQUAL(p->side[1].logins_asked, 1);
    p->side[0].deaf = true;
    ikev1_pair_advance(p, 4000);
    CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
    ikev1_pair_advance(p, 2000);
    CHECK(ikev1_pair_is_empty(p, 1));
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_LOGIN);
    ikev1_pair_advance(p, 120000);
    CHECK(ikev1_pair_is_empty(p, 0));
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_LOGIN_TIMEOUT);
    ikev1_pair_free(p);
}

TEST(a_client_without_words_says_so_and_both_end)
{
    struct ikev1_pair *p = login_pair(8, false);

    p->side[0].no_words = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_LOGIN);
    CHECK_EQUAL(p->side[1].logins_asked, 0);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_LOGIN);
    ikev1_pair_advance(p, 10000);
    CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

TEST(rounds_have_an_end)
{
    struct pair1_verdict again[IKEV1_LOGIN_ROUNDS_MAX + 4];
    struct ikev1_pair *p = login_pair(9, false);

    for (size_t i = 0; i < ARRAY_LENGTH(again); i++) {
        again[i] = (struct pair1_verdict){IKEV1_LOGIN_MORE, "once more", 0};
    }
    p->side[1].verdicts = again;
    p->side[1].verdict_count = ARRAY_LENGTH(again);
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].logins_asked, IKEV1_LOGIN_ROUNDS_MAX);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_LOGIN_TIMEOUT);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_LOGIN);
    CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

/* Somebody types, and a server is slow: for two minutes, and no longer. */
TEST(a_login_has_two_minutes)
{
    for (unsigned slow = 0; slow < 2; slow++) {
        struct ikev1_pair *p = login_pair(10 + slow, false);

        p->side[slow].silent = true;
        ikev1_pair_start(p, 0);
        ikev1_pair_advance(p, IKEV1_LOGIN_MS - 2000);
        CHECK_EQUAL(ikev1_pair_machines(p, 0) + ikev1_pair_machines(p, 1), 2);
        CHECK(p->side[1].sends < 60);
        ikev1_pair_advance(p, 4000);
        CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
        CHECK(p->side[slow].failure.reason == IKEV1_FAIL_LOGIN_TIMEOUT ||
              p->side[1 - slow].failure.reason == IKEV1_FAIL_LOGIN_TIMEOUT);
        CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
        ikev1_pair_free(p);
    }
}

/* ---- who announces none, and who does not ask ---- */

TEST(who_offers_no_login_is_refused_where_one_is_asked_for)
{
    struct ikev1_pair *p = login_pair(12, false);

    p->side[0].policy.login = IKEV1_LOGIN_NONE;
    ikev1_pair_start(p, 0);
    ikev1_pair_advance(p, 20000);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_AUTH_METHOD);
    CHECK_EQUAL(p->side[0].established + p->side[1].established, 0);
    ikev1_pair_free(p);
}

TEST(a_client_wants_no_gateway_that_asks_nobody)
{
    struct ikev1_pair *p = login_pair(13, false);

    /* One that takes no such method. */
    p->side[1].policy.login = IKEV1_LOGIN_NONE;
    p->side[1].responder.shared_keys = true;
    p->side[1].responder.login_shared_keys = false;
    ikev1_pair_start(p, 0);
    ikev1_pair_advance(p, 20000);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_AUTH_METHOD);
    CHECK_EQUAL(p->side[0].established, 0);
    ikev1_pair_free(p);
    /* And one that takes it and keeps silent. */
    p = login_pair(14, false);
    ikev1_pair_start(p, 0);
    deliver(p, 6);
    p->side[0].deaf = true;
    ikev1_pair_advance(p, IKEV1_LOGIN_UNASKED_MS - 1000);
    CHECK_EQUAL(p->side[0].failed, 0);
    ikev1_pair_advance(p, 2000);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_LOGIN_UNASKED);
    CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

/* Policies with and without a login may stand beside each other, under the same key. */
TEST(of_a_gateway_with_both_each_peer_gets_his_own)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ikev1_pair *p = login_pair(15 + i, i == 1);
        struct pair1_side *gateway = &p->side[1];

        gateway->responder.shared_keys = true;
        gateway->other_count = 1;
        gateway->others[0] = gateway->policy;
        gateway->others[0].shared_key = (struct secret){0};
        CHECK(secret_copy(&gateway->others[0].shared_key, &gateway->policy.shared_key));
        gateway->others[0].login = IKEV1_LOGIN_NONE;
        p->side[0].policy.login = IKEV1_LOGIN_NONE;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(both_up(p) && gateway->chosen == &gateway->others[0] && !gateway->login);
        CHECK_EQUAL(gateway->logins_asked, 0);
        ikev1_pair_free(p);
    }
}

/* ---- what must not work before the login is through ---- */

/* A client that takes itself for logged in. */
static void pretend(struct ikev1_pair *p)
{
    struct ikev1_sa *sa = ikev1_pair_sa(p, 0);

    sa->state = IKEV1_STATE_UP;
    sa->current = sa->ikes;
    sa->ikes->phase = IKEV1_IKE_LIVE;
    sa->ikes->transactions->login_ms = NEVER_MS;
}

/* What side 0 sent in an event that the pair does not know of. */
static void inject_first(struct ikev1_pair *p)
{
    uint8_t bytes[2048];
    size_t i = 0;

    while (i < p->actions->count && p->actions->list[i].kind != IKEV1_SEND) {
        i++;
    }
    CHECK(i < p->actions->count);
    struct ikev1_action sent = p->actions->list[i];

    CHECK(sent.send.bytes.length <= sizeof(bytes));
    memcpy(bytes, sent.send.bytes.data, sent.send.bytes.length);
    p->actions->count = 0;
    ikev1_pair_inject(p, 1, &sent.send.peer, &sent.send.local,
                      (struct slice){bytes, sent.send.bytes.length});
}

TEST(quick_mode_before_the_login_gets_no_answer)
{
    struct ikev1_pair *p = login_pair(20, false);

    p->side[0].silent = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    unsigned sends = p->side[1].sends;

    pretend(p);
    ikev1_pair_start_child(p, 0, 0);
    CHECK(strstr(p->transcript, "0 HDR*, HASH, SA, Nonce, ID, ID\n") != NULL);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].sends, sends);
    CHECK_EQUAL(p->side[1].child_count, 0);
    CHECK(ikev1_pair_sa(p, 1) == NULL || ikev1_pair_sa(p, 1)->quick_count == 0);
    ikev1_pair_free(p);
}

TEST(settings_before_the_login_get_no_answer)
{
    struct ikev1_pair *p = login_pair(21, false);
    struct ikev1_turn t;

    p->side[0].silent = true;
    p->side[0].policy.settings = IKEV1_SETTINGS_ASK;
    p->side[1].policy.settings = IKEV1_SETTINGS_GIVE;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    unsigned sends = p->side[1].sends;

    pretend(p);
    t = ikev1_turn_begin(ikev1_pair_sa(p, 0), p->now_ms, p->actions);
    ikev1_settings_begin(&t, ikev1_pair_sa(p, 0)->ikes);
    inject_first(p);
    CHECK_EQUAL(p->side[1].settings_asked, 0);
    CHECK_EQUAL(p->side[1].sends, sends);
    ikev1_pair_free(p);
}
