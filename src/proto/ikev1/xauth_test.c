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

/* What a side sent in an event that the pair does not know of. */
static void inject_first(struct ikev1_pair *p, unsigned to)
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
    ikev1_pair_inject(p, to, &sent.send.peer, &sent.send.local,
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
    inject_first(p, 1);
    CHECK_EQUAL(p->side[1].settings_asked, 0);
    CHECK_EQUAL(p->side[1].sends, sends);
    ikev1_pair_free(p);
}

/* ---- forgeries: by somebody who has the keys of the ISAKMP SA, or has not ---- */

struct forgery {
    unsigned to;
    uint32_t message_id; /* 0: a new one */
    bool in_exchange; /* ... that is open at the receiver, under its IV */
    bool bad_hash;
    bool twice; /* two ATTR payloads */
};

static void out_cfg(struct ikev1_outgoing *o, const struct ikev1_cfg_payload *cfg)
{
    ikev1_begin_payload(&o->chain, IKEV1_ATTRIBUTES);
    ikev1_write_cfg(&o->w, cfg);
    ikev1_end_payload(&o->chain);
}

static void forge(struct ikev1_pair *p, const struct forgery *f,
                  const struct ikev1_cfg_payload *cfg)
{
    static struct ikev1_outgoing o;
    struct ikev1_sa *sa = ikev1_pair_machine(p, 1 - f->to);
    struct ikev1_turn t = ikev1_turn_begin(sa, p->now_ms, p->actions);
    struct ikev1_ike *ike = sa->ikes;
    uint32_t id = f->message_id != 0 ? f->message_id : ikev1_fresh_message_id(sa, ike);
    struct ikev1_hash_value hash;
    struct ikev1_iv iv;

    CHECK(ikev1_iv_of_phase2(&ike->keys.suite, &ike->iv, id, &iv));
    if (f->in_exchange) {
        const struct ikev1_transaction *open =
            ikev1_pair_machine(p, f->to)->ikes->transactions->list;

        id = open->message_id;
        iv = open->iv;
    }
    ikev1_out_begin(&o, ike, IKEV1_TRANSACTION, id);
    ikev1_out_hash_room(&o, ike);
    out_cfg(&o, cfg);
    if (f->twice) {
        out_cfg(&o, cfg);
    }
    CHECK(ikev1_hash_1(&ike->keys, id, ikev1_out_behind_hash(&o), &hash));
    hash.octets[3] ^= f->bad_hash ? 1 : 0;
    ikev1_out_fill_hash(&o, &hash);
    CHECK(ikev1_send(&t, &o, &ike->keys, &iv, &sa->local, &sa->peer, NULL, NULL));
    inject_first(p, f->to);
}

static struct ikev1_cfg_payload status(uint8_t type, uint16_t identifier, uint16_t value)
{
    struct ikev1_cfg_payload cfg = {.type = type, .identifier = identifier};

    ikev1_cfg_add_short(&cfg, IKEV1_XAUTH_STATUS, value);
    return cfg;
}

static struct ikev1_cfg_payload name_and_password(uint8_t type, uint16_t identifier)
{
    struct ikev1_cfg_payload cfg = {.type = type, .identifier = identifier};

    ikev1_cfg_add(&cfg, IKEV1_XAUTH_USER_NAME, SLICE_TEXT("carol"));
    ikev1_cfg_add(&cfg, IKEV1_XAUTH_USER_PASSWORD, SLICE_TEXT("a long password"));
    return cfg;
}

/* The gateway has asked, and the client does not answer by himself. */
static struct ikev1_pair *asked_pair(uint64_t seed)
{
    struct ikev1_pair *p = login_pair(seed, false);

    p->side[0].silent = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].credentials_asked, 1);
    return p;
}

static uint16_t identifier_of(struct ikev1_pair *p)
{
    return ikev1_pair_machine(p, 1)->ikes->transactions->identifier;
}

TEST(a_client_cannot_say_himself_that_he_is_in)
{
    const struct forgery set = {.to = 1};
    const struct forgery reply = {.to = 1, .in_exchange = true};
    struct ikev1_pair *p = asked_pair(30);
    struct ikev1_cfg_payload cfg = status(IKEV1_CFG_SET, identifier_of(p), 1);
    unsigned sends = p->side[1].sends;

    forge(p, &set, &cfg);
    CHECK_EQUAL(p->side[1].sends, sends);
    CHECK_EQUAL(p->side[1].established, 0);
    cfg = status(IKEV1_CFG_REPLY, identifier_of(p), 1);
    forge(p, &reply, &cfg);
    CHECK_EQUAL(p->side[1].logins_asked, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].established, 0);
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_LOGIN);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_LOGIN);
    ikev1_pair_free(p);
}

/* Another type, another identifier, two payloads, a wrong HASH, an unknown exchange: not a word;
 * and then the right one is taken all the same. */
TEST(only_the_answer_to_the_question_counts)
{
    const struct forgery in = {.to = 1, .in_exchange = true};
    const struct forgery bad_hash = {.to = 1, .in_exchange = true, .bad_hash = true};
    const struct forgery twice = {.to = 1, .in_exchange = true, .twice = true};
    const struct forgery elsewhere = {.to = 1};
    struct ikev1_pair *p = asked_pair(31);
    uint16_t identifier = identifier_of(p);
    unsigned sends = p->side[1].sends;
    struct ikev1_cfg_payload cfg = name_and_password(IKEV1_CFG_REPLY, (uint16_t)(identifier + 1));

    forge(p, &in, &cfg);
    for (uint8_t type = 0; type < 9; type++) {
        if (type != IKEV1_CFG_REPLY) {
            cfg = name_and_password(type, identifier);
            forge(p, &in, &cfg);
            forge(p, &elsewhere, &cfg);
        }
    }
    cfg = name_and_password(IKEV1_CFG_REPLY, identifier);
    forge(p, &bad_hash, &cfg);
    forge(p, &twice, &cfg);
    forge(p, &elsewhere, &cfg);
    CHECK_EQUAL(p->side[1].logins_asked, 0);
    CHECK_EQUAL(p->side[1].sends, sends);
    forge(p, &in, &cfg);
    CHECK_EQUAL(p->side[1].logins_asked, 1);
    CHECK_EQUAL(p->side[1].established, 1);
    ikev1_pair_free(p);
}

/* strongSwan says 0 in the REPLY to each login, whatever it was asked under. */
TEST(an_answer_without_an_identifier_is_the_one_to_its_question)
{
    const struct forgery in = {.to = 1, .in_exchange = true};
    struct ikev1_pair *p = asked_pair(33);
    struct ikev1_cfg_payload cfg = name_and_password(IKEV1_CFG_REPLY, 0);

    forge(p, &in, &cfg);
    CHECK_EQUAL(p->side[1].logins_asked, 1);
    CHECK_EQUAL(p->side[1].established, 1);
    ikev1_pair_free(p);
}

TEST(words_that_are_too_long_are_refused)
{
    const struct forgery in = {.to = 1, .in_exchange = true};
    static uint8_t octets[IKEV1_CREDENTIAL_BYTES_MAX + 1];
    struct ikev1_pair *p = asked_pair(32);
    struct ikev1_cfg_payload cfg = {.type = IKEV1_CFG_REPLY, .identifier = identifier_of(p)};

    ikev1_cfg_add(&cfg, IKEV1_XAUTH_USER_NAME, SLICE_TEXT("carol"));
    ikev1_cfg_add(&cfg, IKEV1_XAUTH_USER_PASSWORD, SLICE_OF(octets));
    forge(p, &in, &cfg);
    CHECK_EQUAL(p->side[1].logins_asked, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_LOGIN);
    ikev1_pair_free(p);
}

/* What was not asked for is not heard: a client cannot choose what is judged. */
TEST(only_what_was_asked_for_is_heard)
{
    const struct forgery in = {.to = 1, .in_exchange = true};
    struct ikev1_pair *p = asked_pair(33);
    struct ikev1_cfg_payload cfg = name_and_password(IKEV1_CFG_REPLY, identifier_of(p));

    ikev1_cfg_add(&cfg, IKEV1_XAUTH_PASSCODE, SLICE_TEXT("000000"));
    ikev1_cfg_add(&cfg, IKEV1_XAUTH_NEXT_PIN, SLICE_TEXT("0000"));
    ikev1_cfg_add(&cfg, 0x7fff, SLICE_TEXT("whatever"));
    forge(p, &in, &cfg);
    CHECK_TEXT(p->side[1].heard.user, "carol");
    CHECK_TEXT(p->side[1].heard.passcode, "");
    CHECK_TEXT(p->side[1].heard.next_pin, "");
    CHECK_EQUAL(p->side[1].established, 1);
    ikev1_pair_free(p);
}

TEST(a_question_that_nobody_can_answer_is_declined)
{
    static const uint16_t types[] = {IKEV1_XAUTH_OTP, IKEV1_XAUTH_S_KEY, 4711};

    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        const struct forgery ask = {.to = 0};
        struct ikev1_pair *p = asked_pair(40 + i);
        struct ikev1_cfg_payload cfg = {.type = IKEV1_CFG_REQUEST, .identifier = identifier_of(p)};

        ikev1_cfg_add_short(&cfg, IKEV1_XAUTH_TYPE, types[i]);
        ikev1_cfg_add(&cfg, IKEV1_XAUTH_USER_NAME, (struct slice){NULL, 0});
        forge(p, &ask, &cfg);
        CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_LOGIN);
        CHECK_EQUAL(p->side[0].credentials_asked, 1);
        ikev1_pair_free(p);
    }
}

/* A new question takes the place of one that is not answered yet. */
TEST(a_client_answers_the_newest_question)
{
    const struct forgery ask = {.to = 0};
    struct ikev1_pair *p = asked_pair(45);
    struct ikev1_cfg_payload cfg = {.type = IKEV1_CFG_REQUEST, .identifier = 77};

    p->side[0].silent = false;
    ikev1_cfg_add(&cfg, IKEV1_XAUTH_MESSAGE, SLICE_TEXT("a new PIN"));
    ikev1_cfg_add(&cfg, IKEV1_XAUTH_NEXT_PIN, (struct slice){NULL, 0});
    forge(p, &ask, &cfg);
    CHECK_EQUAL(p->side[0].credentials_asked, 2);
    CHECK_EQUAL(p->side[0].wanted, IKEV1_CREDENTIAL_NEXT_PIN);
    CHECK_EQUAL(p->side[0].failed, 0);
    CHECK_EQUAL(ikev1_pair_sa(p, 0)->ikes->transactions->count, 1);
    ikev1_pair_free(p);
}

/* Some gateways have all their rounds under one message ID, with one chain of IVs. */
TEST(rounds_under_one_message_id_are_answered)
{
    const struct forgery first = {.to = 0, .message_id = 0x1234};
    const struct forgery next = {.to = 0, .in_exchange = true};
    struct ikev1_pair *p = login_pair(46, false);
    struct ikev1_cfg_payload cfg = {.type = IKEV1_CFG_REQUEST, .identifier = 5};

    ikev1_pair_start(p, 0);
    deliver(p, 6);
    ikev1_pair_drop(p, 0);
    ikev1_cfg_add(&cfg, IKEV1_XAUTH_USER_NAME, (struct slice){NULL, 0});
    ikev1_cfg_add(&cfg, IKEV1_XAUTH_USER_PASSWORD, (struct slice){NULL, 0});
    for (unsigned i = 0; i < 3; i++) {
        forge(p, i == 0 ? &first : &next, &cfg);
        CHECK_EQUAL(p->side[0].credentials_asked, i + 1);
        CHECK_EQUAL(ikev1_pair_sa(p, 0)->ikes->transactions->count, 1);
    }
    cfg = status(IKEV1_CFG_SET, 5, 1);
    forge(p, &next, &cfg);
    CHECK_EQUAL(p->side[0].established, 1);
    ikev1_pair_free(p);
}

TEST(what_is_repeated_is_answered_with_the_same_and_asks_nobody)
{
    struct ikev1_pair *p = login_pair(47, false);
    uint8_t question[512];
    uint8_t answer[512];
    size_t lengths[2];

    ikev1_pair_start(p, 0);
    deliver(p, 6);
    lengths[0] = p->queue[0].length;
    memcpy(question, p->queue[0].bytes, lengths[0]);
    deliver(p, 1);
    lengths[1] = p->queue[0].length;
    memcpy(answer, p->queue[0].bytes, lengths[1]);
    struct pair1_datagram to_gateway = p->queue[0];

    ikev1_pair_inject(p, 0, &to_gateway.peer, &to_gateway.local,
                      (struct slice){question, lengths[0]});
    CHECK_EQUAL(p->queue_count, 1); /* not at once again */
    p->now_ms += IKEV1_AGAIN_MS;
    ikev1_pair_inject(p, 0, &to_gateway.peer, &to_gateway.local,
                      (struct slice){question, lengths[0]});
    CHECK_EQUAL(p->queue_count, 2);
    CHECK_EQUAL(p->queue[1].length, lengths[1]);
    CHECK_BYTES(p->queue[1].bytes, answer, lengths[1]);
    CHECK_EQUAL(p->side[0].credentials_asked, 1);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    CHECK_EQUAL(p->side[1].logins_asked, 1);
    unsigned sends = p->side[1].sends;

    p->now_ms += 1000;
    ikev1_pair_inject(p, 1, &to_gateway.local, &to_gateway.peer,
                      (struct slice){answer, lengths[1]});
    CHECK_EQUAL(p->side[1].sends, sends);
    CHECK_EQUAL(p->side[1].logins_asked, 1);
    /* Long after all was forgotten as well. */
    ikev1_pair_advance(p, 2 * IKEV1_LINGER_MS);
    ikev1_pair_inject(p, 0, &to_gateway.peer, &to_gateway.local,
                      (struct slice){question, lengths[0]});
    ikev1_pair_inject(p, 1, &to_gateway.local, &to_gateway.peer,
                      (struct slice){answer, lengths[1]});
    CHECK_EQUAL(p->side[0].credentials_asked, 1);
    CHECK_EQUAL(p->side[1].logins_asked, 1);
    CHECK_EQUAL(p->side[1].sends, sends);
    ikev1_pair_free(p);
}

TEST(a_changed_octet_anywhere_is_no_message)
{
    struct ikev1_pair *p = login_pair(48, false);
    uint8_t copy[512];

    ikev1_pair_start(p, 0);
    deliver(p, 6);
    for (unsigned round = 0; round < 4; round++) {
        struct pair1_datagram d = p->queue[0];
        unsigned sends = p->side[0].sends + p->side[1].sends;

        CHECK(d.length <= sizeof(copy));
        for (size_t i = 0; i < d.length; i++) {
            memcpy(copy, d.bytes, d.length);
            copy[i] ^= 0x40;
            ikev1_pair_inject(p, d.to, &d.local, &d.peer, (struct slice){copy, d.length});
        }
        for (size_t length = 0; length < d.length; length++) {
            ikev1_pair_inject(p, d.to, &d.local, &d.peer, (struct slice){d.bytes, length});
        }
        CHECK_EQUAL(p->side[0].sends + p->side[1].sends, sends);
        deliver(p, 1);
    }
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p) && ikev1_pair_agrees(p));
    ikev1_pair_free(p);
}

/* ---- bad weather ---- */

static bool passes_some(void *context, struct ikev1_pair *pair, const struct pair1_datagram *d)
{
    struct seeded_random *random = context;
    struct random_source source = seeded_random_source(random);

    (void)pair;
    (void)d;
    return random_below(&source, 10) >= 3;
}

TEST(a_login_comes_through_three_losses_of_ten)
{
    unsigned up = 0;

    for (uint64_t seed = 0; seed < 60; seed++) {
        struct ikev1_pair *p = login_pair(1000 + seed, seed % 2 == 1);
        struct seeded_random weather;

        seeded_random_init(&weather, 7000 + seed);
        p->passes = passes_some;
        p->context = &weather;
        p->side[0].policy.settings = seed % 3 == 0   ? IKEV1_SETTINGS_ASK
                                     : seed % 3 == 1 ? IKEV1_SETTINGS_TAKE
                                                     : IKEV1_SETTINGS_NONE;
        p->side[1].policy.settings = seed % 3 == 0   ? IKEV1_SETTINGS_GIVE
                                     : seed % 3 == 1 ? IKEV1_SETTINGS_PUSH
                                                     : IKEV1_SETTINGS_NONE;
        p->side[1].settings.ipv4 = address_ipv4(0x0a090107u);
        ikev1_pair_start(p, 0);
        ikev1_pair_advance(p, 300000);
        up += p->side[0].established == 1 && ikev1_pair_outbound(p, 0, "net") != NULL ? 1 : 0;
        /* One has an ISAKMP SA and the other has not: that ends too. */
        p->passes = NULL;
        if (ikev1_pair_sa(p, 0) != NULL) {
            ikev1_pair_close(p, 0);
        }
        if (ikev1_pair_sa(p, 1) != NULL) {
            ikev1_pair_close(p, 1);
        }
        ikev1_pair_advance(p, 300000);
        CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
        ikev1_pair_free(p);
    }
    CHECK(up >= 57);
}

/* ---- another ISAKMP SA ---- */

TEST(whoever_renews_the_isakmp_sa_the_gateway_asks_again)
{
    for (unsigned from = 0; from < 2; from++) {
        struct ikev1_pair *p = login_pair(50 + from, false);

        p->side[1].policy.login_once = true; /* a key of many proves nobody */
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(both_up(p));
        p->transcript[0] = '\0';
        ikev1_pair_rekey(p, from);
        CHECK(ikev1_pair_run(p));
        CHECK(strstr(p->transcript, ASKED SAID VERDICT) != NULL);
        CHECK_EQUAL(p->side[1].logins_asked, 2);
        CHECK_EQUAL(p->side[0].rekeyed, 1);
        CHECK_EQUAL(p->side[1].rekeyed, 1);
        CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
        ikev1_pair_advance(p, 300000);
        CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
        CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
        ikev1_pair_free(p);
    }
}

/* draft-beaulieu-ike-xauth-02 6: all that the user had goes. */
TEST(who_fails_when_the_isakmp_sa_is_renewed_loses_all)
{
    struct ikev1_pair *p = login_pair(52, false);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    set_word(p->side[0].words.password, "forgotten");
    ikev1_pair_rekey(p, 1);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_LOGIN);
    CHECK_EQUAL(p->side[1].closed, 1);
    ikev1_pair_advance(p, 10000);
    CHECK(ikev1_pair_is_empty(p, 0) && ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}

static bool passes_no_question(void *context, struct ikev1_pair *pair,
                               const struct pair1_datagram *d)
{
    struct reader r = reader_over((struct slice){d->bytes, d->length});
    struct ikev1_header h;

    (void)context;
    (void)pair;
    return !ikev1_read_header(&r, &h) || h.exchange != IKEV1_TRANSACTION;
}

/* A gateway that knows him from before may keep silent: there are such. */
TEST(a_client_that_renews_is_not_asked_everywhere)
{
    struct ikev1_pair *p = login_pair(53, false);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    p->passes = passes_no_question;
    ikev1_pair_rekey(p, 0);
    ikev1_pair_advance(p, IKEV1_LOGIN_RENEWED_MS - 1000);
    CHECK_EQUAL(p->side[0].rekeyed, 0);
    ikev1_pair_advance(p, 2000);
    CHECK_EQUAL(p->side[0].rekeyed, 1);
    CHECK_EQUAL(p->side[0].credentials_asked, 1);
    ikev1_pair_free(p);
}

/* Who asks again later, in the same ISAKMP SA, gets his answer (6), and may say no. */
TEST(a_gateway_may_ask_at_any_time)
{
    for (uint16_t good = 0; good < 2; good++) {
        const struct forgery ask = {.to = 0};
        struct ikev1_pair *p = login_pair(54 + good, false);
        struct ikev1_cfg_payload cfg = {.type = IKEV1_CFG_REQUEST, .identifier = 9};

        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        ikev1_cfg_add(&cfg, IKEV1_XAUTH_USER_PASSWORD, (struct slice){NULL, 0});
        forge(p, &ask, &cfg);
        CHECK_EQUAL(p->side[0].credentials_asked, 2);
        cfg = status(IKEV1_CFG_SET, 9, good);
        forge(p, &ask, &cfg);
        CHECK_EQUAL(p->side[0].closed, good == 0 ? 1 : 0);
        CHECK_EQUAL(p->side[0].established, 1);
        ikev1_pair_free(p);
    }
}

TEST(a_gateway_that_deletes_it_in_the_middle_is_believed)
{
    struct ikev1_pair *p = asked_pair(56);

    ikev1_sa_close(ikev1_pair_machine(p, 1), IKEV1_FAIL_ORDERED, p->now_ms, p->actions);
    inject_first(p, 0);
    CHECK_EQUAL(p->side[0].failure.reason, IKEV1_FAIL_LOGIN);
    CHECK(ikev1_pair_is_empty(p, 0));
    ikev1_pair_free(p);
}

/* The NAT forgets him while he types; the gateway's words go where he is now. */
TEST(who_logs_in_through_a_nat_may_have_another_port_then)
{
    struct ikev1_pair *p = login_pair(60, true);
    struct ikev1_credentials say = {.user = SLICE_TEXT("carol"),
                                    .password = SLICE_TEXT("a long password")};

    p->nat = true;
    p->side[0].silent = true;
    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(p->side[0].credentials_asked, 1);
    struct ikev1_sa *sa = ikev1_pair_sa(p, 0);

    p->nat_port_shift = 7;
    ikev1_sa_answer_credentials(sa, sa->ikes->transactions->list->ask, &say, p->now_ms, p->actions);
    p->side[0].silent = false;
    ikev1_pair_settle(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
    ikev1_pair_free(p);
}

/* The gateway renews, and who answers is elsewhere: what the user has stays where it is until the
 * login is through, and not only until a key that many have was shown. */
TEST(who_answers_a_renewal_from_elsewhere_moves_nothing_before_he_is_through)
{
    for (unsigned right = 0; right < 2; right++) {
        struct ikev1_pair *p = login_pair(63, false);
        struct ikev1_credentials say = {.user = SLICE_TEXT("carol"),
                                        .password = SLICE_TEXT("a long password")};

        p->nat = true;
        ikev1_pair_start(p, 0);
        CHECK(ikev1_pair_run(p));
        CHECK(both_up(p));
        struct ikev1_sa *gateway = ikev1_pair_sa(p, 1);
        struct endpoint before = gateway->peer;
        unsigned moved = p->side[1].moved;

        p->side[0].silent = true;
        ikev1_pair_rekey(p, 1);
        deliver(p, 4);
        p->nat_port_shift = 7; /* as from message 6, the last of phase 1 */
        CHECK(ikev1_pair_run(p));
        CHECK(gateway->ikes->phase == IKEV1_IKE_LOGIN);
        CHECK(endpoint_equal(&gateway->peer, &before));
        CHECK_EQUAL(p->side[1].moved, moved);
        /* The question got there all the same. */
        CHECK_EQUAL(p->side[0].credentials_asked, 2);
        struct ikev1_sa *client = NULL;
        unsigned machine = 0;

        for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
            struct ikev1_sa *sa = p->side[0].machines[i].sa;

            if (sa != NULL && sa->ikes->phase == IKEV1_IKE_LOGIN) {
                client = sa;
                machine = i;
            }
        }
        CHECK(client != NULL);
        say.password = right ? say.password : SLICE_TEXT("guessed");
        ikev1_sa_answer_credentials(client, client->ikes->transactions->list->ask, &say, p->now_ms,
                                    p->actions);
        p->side[0].silent = false;
        unsigned site = p->side[0].site;

        p->side[0].site = machine;
        ikev1_pair_settle(p, 0);
        p->side[0].site = site;
        CHECK(ikev1_pair_run(p));
        CHECK_EQUAL(p->side[1].rekeyed, right);
        CHECK_EQUAL(p->side[1].moved, moved + right);
        if (right) {
            CHECK(endpoint_equal(&p->side[1].moved_to, &gateway->peer));
            CHECK_EQUAL(gateway->peer.port, before.port + 7);
            CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net"));
        } else {
            CHECK_EQUAL(p->side[1].failure.reason, IKEV1_FAIL_LOGIN);
        }
        ikev1_pair_free(p);
    }
}

/* Both renew at the same moment: one of the two ISAKMP SAs stays, and nothing is lost. */
TEST(both_sides_may_renew_at_the_same_time)
{
    struct ikev1_pair *p = login_pair(61, false);

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_rekey(p, 0);
    ikev1_pair_rekey(p, 1);
    CHECK(ikev1_pair_run(p));
    ikev1_pair_advance(p, 600000);
    CHECK_EQUAL(p->side[1].logins_asked, 3);
    CHECK_EQUAL(p->side[0].closed + p->side[1].closed, 0);
    CHECK(ikev1_pair_sa(p, 0)->current != NULL && ikev1_pair_sa(p, 1)->current != NULL);
    CHECK(ikev1_pair_agrees(p) && ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    ikev1_pair_free(p);
}

/* Informational messages of who is not through: he may ask whether we live, and delete his own; no
 * more. */
TEST(who_is_not_through_may_delete_only_what_is_his)
{
    struct ikev1_pair *p = login_pair(62, false);
    struct ikev1_sa *sa;
    struct ikev1_turn t;

    ikev1_pair_start(p, 0);
    CHECK(ikev1_pair_run(p));
    CHECK(both_up(p));
    /* The gateway renews; its new ISAKMP SA waits for the login. */
    p->side[0].silent = true;
    ikev1_pair_rekey(p, 1);
    CHECK(ikev1_pair_run(p));
    CHECK_EQUAL(ikev1_pair_machines(p, 0), 2);
    CHECK(ikev1_pair_sa(p, 1)->ikes->phase == IKEV1_IKE_LOGIN);
    /* What its peer has under these keys speaks for the child of the old one. */
    sa = ikev1_pair_sa(p, 0);
    for (unsigned i = 0; i < PAIR1_MACHINES_MAX; i++) {
        struct ikev1_sa *other = p->side[0].machines[i].sa;

        sa = other != NULL && other->ikes->phase == IKEV1_IKE_LOGIN ? other : sa;
    }
    const struct ikev1_child *child = ikev1_pair_sa(p, 0)->children;

    t = ikev1_turn_begin(sa, p->now_ms, p->actions);
    sa->current = sa->ikes;
    ikev1_send_delete_child(&t, child);
    sa->current = NULL;
    inject_first(p, 1);
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    /* His own he may. */
    t = ikev1_turn_begin(sa, p->now_ms, p->actions);
    ikev1_send_delete_ike(&t, sa->ikes);
    inject_first(p, 1);
    CHECK(ikev1_pair_sa(p, 1) != NULL && ikev1_pair_sa(p, 1)->ikes->phase == IKEV1_IKE_LIVE);
    CHECK_EQUAL(ikev1_pair_live_children(p, 1), 1);
    CHECK_EQUAL(p->side[1].closed, 0);
    ikev1_pair_free(p);
}
