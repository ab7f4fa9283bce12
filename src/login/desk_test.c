/* Logins from the question to the answer: order of the sources, second factors, wrong tries,
 * bounds, and what is on the disk before anybody is let in. */
#include "login/desk.h"

#include <stdlib.h>

#include "tests/support/test.h"

#define SECRET "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" /* 12345678901234567890 */
#define WALL_S UINT64_C(1111111111)
#define CODE "050471" /* RFC 6238 appendix B, the last six of eight digits */

/* A desk with users whose password is "wonder". */
struct bed {
    struct login_desk *desk;
    struct seeded_random seeded;
    struct desk_rules rules;
    uint64_t now_ms, wall_s;
    uint64_t job;
    unsigned verified; /* how often a password was computed */
    unsigned radius_asked;
    struct login_question last_radius;
    struct login_answer radius; /* what a server says */
    char file[4096]; /* of used codes */
    size_t file_length;
    bool disk_full;
    struct login_answer answer;
};

static void give_users(struct bed *b, const char *format)
{
    static const uint8_t hash_key[16] = {1};
    struct random_source random = seeded_random_source(&b->seeded);
    struct password_verifier v;
    char verifier[PASSWORD_TEXT_BYTES];
    char words[4096];
    struct text out = text_over(verifier, sizeof(verifier));
    struct text text = text_over(words, sizeof(words));
    struct users written, kept;

    CHECK(password_make(SLICE_TEXT("wonder"), PASSWORD_ROUNDS_LEAST, &random, &v));
    password_write(&v, &out);
    for (const char *at = format; *at != '\0'; at++) {
        if (*at == '%') {
            text_add(&text, verifier);
        } else {
            text_addf(&text, "%c", *at);
        }
    }
    users_init(&written, hash_key);
    users_init(&kept, hash_key);
    CHECK(users_read(&written, (struct slice){NULL, 0}));
    CHECK(users_read(&kept, slice_of_text(words)));
    desk_set_users(b->desk, &written, &kept);
}

static void begin(struct bed *b, const char *users)
{
    *b = (struct bed){
        .now_ms = 1000000, .wall_s = WALL_S, .rules = {.sources = {DESK_LOCAL}, .source_count = 1}};
    seeded_random_init(&b->seeded, 1);
    b->desk = desk_new(seeded_random_source(&b->seeded));
    CHECK(b->desk != NULL);
    give_users(b, users);
}

static void end(struct bed *b)
{
    login_question_fini(&b->last_radius);
    desk_free(b->desk);
}

static void keep(struct bed *b, struct desk_action *action)
{
    if (!b->disk_full) {
        b->file_length = action->whole ? 0 : b->file_length;
        CHECK(b->file_length + action->text_length <= sizeof(b->file));
        memcpy(b->file + b->file_length, action->text, action->text_length);
        b->file_length += action->text_length;
    }
    free(action->text);
    desk_kept(b->desk, !b->disk_full);
}

/* All that there is to do; true when an answer came. */
static bool run(struct bed *b)
{
    struct desk_action action;
    bool answered = false;

    while (desk_take(b->desk, &action)) {
        switch (action.kind) {
        case DESK_VERIFY:
            b->verified++;
            desk_verify(action.verification);
            desk_verified(b->desk, action.verification, b->now_ms, b->wall_s);
            break;
        case DESK_ASK_RADIUS:
            b->radius_asked++;
            login_question_fini(&b->last_radius);
            CHECK(login_question_copy(&b->last_radius, action.question));
            desk_radius_answered(b->desk, action.job, &b->radius, b->now_ms, b->wall_s);
            break;
        case DESK_KEEP:
            keep(b, &action);
            break;
        case DESK_ANSWER:
            CHECK(!answered && action.job == b->job);
            b->answer = *action.answer;
            free(action.answer);
            answered = true;
            break;
        case DESK_NOTHING:
            break;
        }
    }
    return answered;
}

static void ask_with(struct bed *b, const char *user, const char *password,
                     const struct login_state *state)
{
    struct login_question q = {.kind = LOGIN_PASSWORD,
                               .service = "staff",
                               .caller = {.address = {FAMILY_IPV4, {192, 0, 2, 1}}}};

    CHECK(text_copy(q.user, sizeof(q.user), slice_of_text(user)));
    CHECK(secret_set(&q.password, slice_of_text(password)));
    if (state != NULL) {
        q.state = *state;
    }
    desk_ask(b->desk, ++b->job, &b->rules, &q, b->now_ms, b->wall_s);
    login_question_fini(&q);
}

static enum login_verdict ask(struct bed *b, const char *user, const char *password)
{
    ask_with(b, user, password, NULL);
    CHECK(run(b));
    return b->answer.verdict;
}

static enum login_verdict reply(struct bed *b, const char *user, const char *password)
{
    struct login_state state = b->answer.state;

    ask_with(b, user, password, &state);
    CHECK(run(b));
    return b->answer.verdict;
}

TEST(the_right_password_opens_and_brings_what_is_the_users)
{
    struct bed b;

    begin(&b, "alice staff,admins % address 10.9.0.7\nbob - %\n");
    CHECK(ask(&b, "alice", "wonder") == LOGIN_ACCEPTED);
    CHECK_TEXT(b.answer.user, "alice");
    CHECK_TEXT(b.answer.source, "local");
    CHECK_TEXT(b.answer.groups[1], "admins");
    CHECK_EQUAL(b.answer.address.bytes[3], 7);
    CHECK(ask(&b, "bob", "wonder") == LOGIN_ACCEPTED);
    CHECK_EQUAL(b.answer.group_count, 0);
    CHECK(ask(&b, "alice", "wonde") == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_PASSWORD);
    CHECK_EQUAL(b.answer.user[0], 0);
    end(&b);
}

TEST(an_unknown_user_costs_the_same_and_is_told_the_same)
{
    struct bed b;
    struct login_answer wrong;

    begin(&b, "alice staff %\nradius-only - -\n");
    CHECK(ask(&b, "alice", "x") == LOGIN_REFUSED);
    wrong = b.answer;
    CHECK_EQUAL(b.verified, 1);
    CHECK(ask(&b, "nobody", "x") == LOGIN_REFUSED);
    CHECK_EQUAL(b.verified, 2);
    CHECK(memcmp(&wrong, &b.answer, sizeof(wrong)) == 0);
    CHECK(ask(&b, "radius-only", "wonder") == LOGIN_REFUSED);
    CHECK_EQUAL(b.verified, 3);
    CHECK(memcmp(&wrong, &b.answer, sizeof(wrong)) == 0);
    /* Nor does a name take anybody in by the verifier that was computed for it. */
    CHECK(ask(&b, "nobody", "wonder") == LOGIN_REFUSED);
    end(&b);
}

TEST(who_is_disabled_stays_out_with_the_right_password_alone_told_so)
{
    struct bed b;

    begin(&b, "alice staff % disabled\n");
    CHECK(ask(&b, "alice", "wonder") == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_DISABLED);
    CHECK(ask(&b, "alice", "wrong") == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_PASSWORD);
    end(&b);
}

TEST(names_and_passwords_that_nobody_has_are_refused)
{
    static const char *const names[] = {"", "-", "a b", "#x", "a,b"};
    char longest[LOGIN_PASSWORD_BYTES_MAX + 2];
    struct bed b;

    begin(&b, "alice staff %\n");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        CHECK(ask(&b, names[i], "wonder") == LOGIN_REFUSED);
    }
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    CHECK(ask(&b, "alice", longest) == LOGIN_REFUSED);
    struct login_question q = {.user = "alice"};

    CHECK(secret_set(&q.password, SLICE_TEXT("wonder\0")));
    desk_ask(b.desk, ++b.job, &b.rules, &q, b.now_ms, b.wall_s);
    login_question_fini(&q);
    CHECK(run(&b) && b.answer.verdict == LOGIN_REFUSED);
    CHECK_EQUAL(b.verified, 0);
    CHECK(ask(&b, "alice", "") == LOGIN_REFUSED);
    end(&b);
}

TEST(a_code_is_asked_for_and_taken_once)
{
    struct bed b;
    struct login_state first;

    begin(&b, "alice staff % totp " SECRET "\n");
    b.rules.factor = DESK_FACTOR_ASKED;
    CHECK(ask(&b, "alice", "wonder") == LOGIN_CHALLENGED);
    CHECK_TEXT(b.answer.message, DESK_CODE_QUESTION);
    CHECK_EQUAL(b.answer.group_count, 0);
    first = b.answer.state;
    CHECK(reply(&b, "alice", CODE) == LOGIN_ACCEPTED);
    CHECK_TEXT(b.answer.groups[0], "staff");
    CHECK(b.file_length > 0);
    /* The answer of a question is one. */
    b.answer.state = first;
    CHECK(reply(&b, "alice", CODE) == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_STALE);
    /* And the code is used up. */
    CHECK(ask(&b, "alice", "wonder") == LOGIN_CHALLENGED);
    CHECK(reply(&b, "alice", CODE) == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_CODE);
    end(&b);
}

TEST(the_answer_to_a_question_is_of_the_same_user_and_in_time)
{
    struct bed b;

    begin(&b, "alice staff % totp " SECRET "\nbob - % totp " SECRET "\n");
    b.rules.factor = DESK_FACTOR_ASKED;
    CHECK(ask(&b, "alice", "wonder") == LOGIN_CHALLENGED);
    CHECK(reply(&b, "bob", CODE) == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_STALE);
    CHECK(ask(&b, "alice", "wonder") == LOGIN_CHALLENGED);
    b.now_ms += DESK_ROUND_MS;
    CHECK(reply(&b, "alice", CODE) == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_STALE);
    b.answer.state = (struct login_state){.length = 16};
    CHECK(reply(&b, "alice", CODE) == LOGIN_REFUSED);
    b.answer.state.length = 0;
    CHECK(ask(&b, "alice", CODE) == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_PASSWORD);
    end(&b);
}

TEST(a_code_stands_behind_the_password)
{
    struct bed b;

    begin(&b, "alice staff % totp " SECRET "\nbob - %\n");
    b.rules.factor = DESK_FACTOR_APPENDED;
    CHECK(ask(&b, "alice", "wonder" CODE) == LOGIN_ACCEPTED);
    CHECK(ask(&b, "alice", "wonder" CODE) == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_CODE);
    CHECK(ask(&b, "alice", "wonder") == LOGIN_REFUSED);
    CHECK(ask(&b, "alice", "wonder12345") == LOGIN_REFUSED);
    CHECK(ask(&b, "alice", CODE) == LOGIN_REFUSED);
    CHECK(ask(&b, "bob", "wonder123456") == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_NO_SECOND_FACTOR);
    end(&b);
}

TEST(nobody_without_a_token_comes_in_where_a_code_is_wanted)
{
    struct bed b;

    begin(&b, "bob - %\n");
    b.rules.factor = DESK_FACTOR_ASKED;
    CHECK(ask(&b, "bob", "wonder") == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_NO_SECOND_FACTOR);
    end(&b);
}

TEST(a_code_that_cannot_be_written_down_opens_nothing)
{
    struct bed b;

    begin(&b, "alice staff % totp " SECRET "\n");
    b.rules.factor = DESK_FACTOR_APPENDED;
    b.disk_full = true;
    CHECK(ask(&b, "alice", "wonder" CODE) == LOGIN_UNAVAILABLE);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_STORE);
    /* Nor later, when there is room again: the next code does, and all is written then. */
    b.disk_full = false;
    CHECK(ask(&b, "alice", "wonder" CODE) == LOGIN_REFUSED);
    struct otp otp = {.kind = OTP_TOTP, .digits = 6, .period_s = 30, .secret_length = 20};
    char password[32] = "wonder";

    memcpy(otp.secret, "12345678901234567890", 20);
    CHECK(otp_code(&otp, WALL_S / 30 + 1, password + 6));
    CHECK(ask(&b, "alice", password) == LOGIN_ACCEPTED);
    CHECK(memchr(b.file, '\n', b.file_length) == b.file + b.file_length - 1);
    end(&b);
}

TEST(a_used_code_is_known_after_a_crash)
{
    struct bed b;

    begin(&b, "alice staff % totp " SECRET "\n");
    b.rules.factor = DESK_FACTOR_APPENDED;
    CHECK(ask(&b, "alice", "wonder" CODE) == LOGIN_ACCEPTED);
    struct bed again;

    begin(&again, "alice staff % totp " SECRET "\n");
    again.rules.factor = DESK_FACTOR_APPENDED;
    CHECK(desk_read_used(again.desk, (struct slice){(uint8_t *)b.file, b.file_length}));
    CHECK(ask(&again, "alice", "wonder" CODE) == LOGIN_REFUSED);
    CHECK_EQUAL(again.answer.reason, LOGIN_REASON_CODE);
    end(&again);
    end(&b);
}

TEST(who_tries_too_often_waits_longer_each_time)
{
    struct bed b;

    begin(&b, "alice staff %\nbob - %\n");
    for (int i = 0; i < DESK_TRIES; i++) {
        CHECK(ask(&b, "alice", "wrong") == LOGIN_REFUSED);
        CHECK_EQUAL(b.answer.reason, LOGIN_REASON_PASSWORD);
    }
    unsigned computed = b.verified;

    CHECK(ask(&b, "alice", "wonder") == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_THROTTLED);
    CHECK_EQUAL(b.verified, computed);
    CHECK(ask(&b, "bob", "wonder") == LOGIN_ACCEPTED);
    b.now_ms += 1000;
    CHECK(ask(&b, "alice", "wrong") == LOGIN_REFUSED);
    b.now_ms += 1999;
    CHECK(ask(&b, "alice", "wonder") == LOGIN_REFUSED);
    b.now_ms += 1;
    CHECK(ask(&b, "alice", "wonder") == LOGIN_ACCEPTED);
    CHECK(ask(&b, "alice", "wrong") == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_PASSWORD);
    end(&b);
}

TEST(codes_cannot_be_tried_out)
{
    struct bed b;
    unsigned tried = 0;

    begin(&b, "alice staff % totp " SECRET "\n");
    b.rules.factor = DESK_FACTOR_ASKED;
    /* An hour of trying, a login in four seconds: RFC 4226 7.3. */
    for (int i = 0; i < 900; i++, b.now_ms += 4000) {
        CHECK(ask(&b, "alice", "wonder") == LOGIN_CHALLENGED);
        CHECK(reply(&b, "alice", "000000") == LOGIN_REFUSED);
        tried += b.answer.reason == LOGIN_REASON_CODE;
    }
    CHECK(tried < 75);
    end(&b);
}

static void from_radius(struct bed *b, enum login_verdict verdict, enum login_reason reason)
{
    b->radius = login_answer_of(verdict, reason, "radius 10.1.0.20");
}

TEST(radius_first_and_the_local_users_only_when_it_is_silent)
{
    struct bed b;

    begin(&b, "alice staff %\n");
    b.rules = (struct desk_rules){.sources = {DESK_RADIUS, DESK_LOCAL}, .source_count = 2};
    from_radius(&b, LOGIN_REFUSED, LOGIN_REASON_RADIUS_REJECTED);
    CHECK(ask(&b, "alice", "wonder") == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_RADIUS_REJECTED);
    CHECK_EQUAL(b.verified, 0);
    from_radius(&b, LOGIN_UNAVAILABLE, LOGIN_REASON_RADIUS_SILENT);
    CHECK(ask(&b, "alice", "wonder") == LOGIN_ACCEPTED);
    CHECK_TEXT(b.answer.source, "local");
    /* The server might know another password, and others: nobody could tell. */
    CHECK(ask(&b, "alice", "wrong") == LOGIN_UNAVAILABLE);
    struct login_answer known = b.answer;

    CHECK(ask(&b, "nobody", "wrong") == LOGIN_UNAVAILABLE);
    CHECK(memcmp(&known, &b.answer, sizeof(known)) == 0);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_RADIUS_SILENT);
    b.rules.source_count = 1;
    CHECK(ask(&b, "alice", "wonder") == LOGIN_UNAVAILABLE);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_RADIUS_SILENT);
    end(&b);
}

TEST(local_users_first_and_radius_for_those_who_are_not_there)
{
    struct bed b;

    begin(&b, "alice staff %\nbob staff -\n");
    b.rules = (struct desk_rules){.sources = {DESK_LOCAL, DESK_RADIUS}, .source_count = 2};
    from_radius(&b, LOGIN_ACCEPTED, LOGIN_REASON_NONE);
    CHECK(ask(&b, "alice", "wrong") == LOGIN_REFUSED);
    CHECK_EQUAL(b.radius_asked, 0);
    CHECK(ask(&b, "bob", "other") == LOGIN_ACCEPTED);
    CHECK(ask(&b, "carol", "other") == LOGIN_ACCEPTED);
    CHECK_EQUAL(b.radius_asked, 2);
    CHECK(slice_equal_text(secret_slice(&b.last_radius.password), "other"));
    end(&b);
}

TEST(a_challenge_of_a_server_comes_back_to_it_with_its_state)
{
    struct bed b;

    begin(&b, "");
    b.rules = (struct desk_rules){.sources = {DESK_RADIUS}, .source_count = 1};
    from_radius(&b, LOGIN_CHALLENGED, LOGIN_REASON_NONE);
    strcpy(b.radius.message, "Token?");
    b.radius.state = (struct login_state){.length = 3, .bytes = "abc"};
    CHECK(ask(&b, "alice", "first") == LOGIN_CHALLENGED);
    CHECK_TEXT(b.answer.message, "Token?");
    CHECK_EQUAL(b.answer.state.length, 16);
    from_radius(&b, LOGIN_ACCEPTED, LOGIN_REASON_NONE);
    CHECK(reply(&b, "alice", "123456") == LOGIN_ACCEPTED);
    CHECK_EQUAL(b.last_radius.state.length, 3);
    CHECK_BYTES(b.last_radius.state.bytes, "abc", 3);
    CHECK(slice_equal_text(secret_slice(&b.last_radius.password), "123456"));
    end(&b);
}

TEST(a_second_factor_of_ours_stands_behind_a_server_too)
{
    struct bed b;

    begin(&b, "alice - - totp " SECRET "\nbob - - totp " SECRET " disabled\n");
    b.rules = (struct desk_rules){
        .sources = {DESK_RADIUS}, .source_count = 1, .factor = DESK_FACTOR_APPENDED};
    from_radius(&b, LOGIN_ACCEPTED, LOGIN_REASON_NONE);
    b.radius.session_timeout_s = 77;
    CHECK(ask(&b, "alice", "secret" CODE) == LOGIN_ACCEPTED);
    CHECK(slice_equal_text(secret_slice(&b.last_radius.password), "secret"));
    CHECK_EQUAL(b.answer.session_timeout_s, 77);
    CHECK(ask(&b, "alice", "secret" CODE) == LOGIN_REFUSED);
    CHECK(ask(&b, "bob", "secret" CODE) == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_DISABLED);
    CHECK(ask(&b, "carol", "secret" CODE) == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_NO_SECOND_FACTOR);
    b.rules.factor = DESK_FACTOR_ASKED;
    b.wall_s += 30;
    CHECK(ask(&b, "alice", "secret") == LOGIN_CHALLENGED);
    CHECK(reply(&b, "alice", "000000") == LOGIN_REFUSED);
    end(&b);
}

TEST(who_is_disabled_stays_out_behind_a_server_however_the_name_is_written)
{
    static const char *const names[] = {"alice",       "Alice",         "ALICE@corp",
                                        "CORP\\alice", "bob@b.example", "Bob"};
    struct bed b;

    begin(&b, "alice - - disabled\nbob@a.example - - disabled\nBob@c.example - -\n");
    b.rules.sources[0] = DESK_RADIUS;
    from_radius(&b, LOGIN_ACCEPTED, LOGIN_REASON_NONE);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        CHECK(ask(&b, names[i], "x") == LOGIN_REFUSED);
        CHECK_EQUAL(b.answer.reason, LOGIN_REASON_DISABLED);
    }
    /* What stands here itself counts, and others come in. */
    CHECK(ask(&b, "Bob@c.example", "x") == LOGIN_ACCEPTED);
    CHECK(ask(&b, "alicia", "x") == LOGIN_ACCEPTED);
    CHECK(ask(&b, "@corp", "x") == LOGIN_ACCEPTED);
    /* The server knows a name of its own for her. */
    strcpy(b.radius.user, "CORP\\Alice");
    CHECK(ask(&b, "a.liddell", "x") == LOGIN_REFUSED);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_DISABLED);
    end(&b);
}

TEST(a_code_behind_the_password_outlives_the_challenges_of_a_server)
{
    struct bed b;

    begin(&b, "alice - - totp " SECRET "\n");
    b.rules = (struct desk_rules){
        .sources = {DESK_RADIUS}, .source_count = 1, .factor = DESK_FACTOR_APPENDED};
    from_radius(&b, LOGIN_CHALLENGED, LOGIN_REASON_NONE);
    b.radius.state = (struct login_state){.length = 3, .bytes = "abc"};
    CHECK(ask(&b, "alice", "secret" CODE) == LOGIN_CHALLENGED);
    CHECK(reply(&b, "alice", "first") == LOGIN_CHALLENGED);
    from_radius(&b, LOGIN_ACCEPTED, LOGIN_REASON_NONE);
    CHECK(reply(&b, "alice", "second") == LOGIN_ACCEPTED);
    CHECK(slice_equal_text(secret_slice(&b.last_radius.password), "second"));
    from_radius(&b, LOGIN_CHALLENGED, LOGIN_REASON_NONE);
    CHECK(ask(&b, "alice", "secret000000") == LOGIN_CHALLENGED);
    from_radius(&b, LOGIN_ACCEPTED, LOGIN_REASON_NONE);
    b.wall_s += 30;
    CHECK(reply(&b, "alice", "first") == LOGIN_REFUSED);
    end(&b);
}

TEST(chap_is_for_who_has_the_password)
{
    struct bed b;
    struct login_question q = {.kind = LOGIN_CHAP, .user = "alice", .service = "staff"};

    begin(&b, "alice staff %\n");
    CHECK(secret_set(&q.password, SLICE_TEXT("0123456789abcdef")));
    desk_ask(b.desk, ++b.job, &b.rules, &q, b.now_ms, b.wall_s);
    CHECK(run(&b));
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_METHOD);
    b.rules = (struct desk_rules){.sources = {DESK_RADIUS}, .source_count = 1};
    from_radius(&b, LOGIN_ACCEPTED, LOGIN_REASON_NONE);
    desk_ask(b.desk, ++b.job, &b.rules, &q, b.now_ms, b.wall_s);
    CHECK(run(&b));
    CHECK(b.answer.verdict == LOGIN_ACCEPTED);
    CHECK(b.last_radius.kind == LOGIN_CHAP);
    login_question_fini(&q);
    end(&b);
}

TEST(users_that_cannot_be_read_let_nobody_in)
{
    struct bed b;

    begin(&b, "alice staff %\n");
    desk_set_broken(b.desk, true, false);
    CHECK(ask(&b, "alice", "wonder") == LOGIN_UNAVAILABLE);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_STORE);
    /* Nor does a server, which does not know who is disabled here. */
    b.rules.sources[0] = DESK_RADIUS;
    from_radius(&b, LOGIN_ACCEPTED, LOGIN_REASON_NONE);
    CHECK(ask(&b, "alice", "wonder") == LOGIN_UNAVAILABLE);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_STORE);
    b.rules.sources[0] = DESK_LOCAL;
    desk_set_broken(b.desk, false, false);
    CHECK(ask(&b, "alice", "wonder") == LOGIN_ACCEPTED);
    end(&b);
}

TEST(no_code_is_taken_while_nobody_knows_what_was_used)
{
    struct bed b;

    begin(&b, "alice staff - totp " SECRET "\n");
    b.rules = (struct desk_rules){
        .sources = {DESK_RADIUS}, .source_count = 1, .factor = DESK_FACTOR_APPENDED};
    from_radius(&b, LOGIN_ACCEPTED, LOGIN_REASON_NONE);
    desk_set_broken(b.desk, false, true);
    CHECK(ask(&b, "alice", "secret" CODE) == LOGIN_UNAVAILABLE);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_STORE);
    b.rules.factor = DESK_FACTOR_ASKED;
    CHECK(ask(&b, "alice", "secret") == LOGIN_CHALLENGED);
    CHECK(reply(&b, "alice", CODE) == LOGIN_UNAVAILABLE);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_STORE);
    /* A server alone needs nothing of it. */
    b.rules.factor = DESK_FACTOR_NONE;
    CHECK(ask(&b, "carol", "secret") == LOGIN_ACCEPTED);
    b.rules.factor = DESK_FACTOR_APPENDED;
    desk_set_broken(b.desk, false, false);
    CHECK(ask(&b, "alice", "secret" CODE) == LOGIN_ACCEPTED);
    end(&b);
}

TEST(users_may_change_while_a_password_is_computed)
{
    struct desk_action action;
    struct bed b;

    begin(&b, "alice staff %\n");
    ask_with(&b, "alice", "wonder", NULL);
    CHECK(desk_take(b.desk, &action) && action.kind == DESK_VERIFY);
    give_users(&b, "bob - %\n");
    desk_verify(action.verification);
    desk_verified(b.desk, action.verification, b.now_ms, b.wall_s);
    CHECK(run(&b));
    CHECK(b.answer.verdict == LOGIN_REFUSED);
    end(&b);
}

TEST(only_so_many_are_under_way_and_so_many_rounds_are_kept)
{
    struct bed b;

    begin(&b, "alice staff % totp " SECRET "\n");
    b.rules.factor = DESK_FACTOR_ASKED;
    for (int i = 0; i < DESK_ROUNDS_MAX; i++) {
        CHECK(ask(&b, "alice", "wonder") == LOGIN_CHALLENGED);
    }
    CHECK(ask(&b, "alice", "wonder") == LOGIN_UNAVAILABLE);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_BUSY);
    b.now_ms += DESK_ROUND_MS;
    CHECK(ask(&b, "alice", "wonder") == LOGIN_CHALLENGED);
    for (int i = 0; i < DESK_JOBS_MAX; i++) {
        ask_with(&b, "alice", "wonder", NULL);
    }
    struct desk_action action;
    unsigned passwords = 0;

    ask_with(&b, "alice", "wonder", NULL);
    while (desk_take(b.desk, &action)) {
        if (action.kind == DESK_ANSWER) {
            CHECK_EQUAL(action.answer->reason, LOGIN_REASON_BUSY);
            free(action.answer);
        } else {
            CHECK(action.kind == DESK_VERIFY);
            passwords++;
            /* Never answered: the end of the desk frees what the jobs still have. */
            secret_wipe(&action.verification->password);
            free(action.verification);
        }
    }
    CHECK_EQUAL(passwords, DESK_JOBS_MAX);
    end(&b);
}
