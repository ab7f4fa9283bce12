/* The client against servers made of a few lines: replies, losses, failover, forgeries, bounds. */
#include "proto/radius/client.h"

#include <stdlib.h>

#include "proto/radius/signing.h"
#include "tests/support/test.h"

#define SECRET "testing123"
#define NOW UINT64_C(1000000)

struct bed {
    struct radius_client *client;
    struct seeded_random seeded;
    uint64_t now_ms;
    /* What was sent last to each server. */
    uint8_t sent[RADIUS_SERVERS_MAX][RADIUS_REQUEST_BYTES_MAX];
    size_t length[RADIUS_SERVERS_MAX];
    unsigned sent_count[RADIUS_SERVERS_MAX];
    unsigned answers;
    uint64_t job;
    struct login_answer answer;
};

static struct endpoint endpoint_of(size_t server)
{
    return (struct endpoint){.address = address_ipv4(0x0a010014 + (uint32_t)server), .port = 1812};
}

static void give_servers(struct bed *b, size_t count, bool unsigned_replies)
{
    struct radius_server servers[RADIUS_SERVERS_MAX] = {0};

    for (size_t i = 0; i < count; i++) {
        servers[i].endpoint = endpoint_of(i);
        servers[i].unsigned_replies = unsigned_replies;
        CHECK(secret_set(&servers[i].secret, SLICE_TEXT(SECRET)));
    }
    radius_set_servers(b->client, servers, count);
}

static void begin(struct bed *b, size_t count)
{
    *b = (struct bed){.now_ms = NOW};
    seeded_random_init(&b->seeded, 1);
    b->client = radius_new(seeded_random_source(&b->seeded), "vpn.example.jp");
    CHECK(b->client != NULL);
    give_servers(b, count, false);
}

static void end(struct bed *b)
{
    radius_free(b->client);
}

static void run(struct bed *b)
{
    struct radius_action action;

    while (radius_take(b->client, &action)) {
        if (action.kind == RADIUS_SEND) {
            struct endpoint to = endpoint_of(action.server);

            CHECK(endpoint_equal(&action.to, &to));
            memcpy(b->sent[action.server], action.bytes.data, action.bytes.length);
            b->length[action.server] = action.bytes.length;
            b->sent_count[action.server]++;
        } else {
            b->answers++;
            b->job = action.job;
            b->answer = *action.answer;
        }
    }
}

static struct login_question question(const char *user, const char *password)
{
    struct login_question q = {.kind = LOGIN_PASSWORD,
                               .service = "staff",
                               .caller = {.address = address_ipv4(0xc0000201), .port = 4500}};

    CHECK(text_copy(q.user, sizeof(q.user), slice_of_text(user)));
    CHECK(secret_set(&q.password, slice_of_text(password)));
    return q;
}

static void ask(struct bed *b, uint64_t job)
{
    struct login_question q = question("alice", "wonder");

    CHECK(radius_ask(b->client, job, &q, b->now_ms));
    login_question_fini(&q);
    run(b);
}

static void pass(struct bed *b, uint64_t ms)
{
    b->now_ms += ms;
    radius_time(b->client, b->now_ms);
    run(b);
}

enum sign { SIGNED, NOT_SIGNED, WRONG_SIGNATURE, WRONG_SECRET };

struct reply {
    uint8_t bytes[RADIUS_BYTES_MAX];
    struct writer w;
    size_t signature_at;
};

static void reply_begin(struct bed *b, struct reply *reply, size_t server, uint8_t code,
                        enum sign sign)
{
    static const uint8_t zeros[16];

    reply->w = writer_over(reply->bytes, sizeof(reply->bytes));
    radius_write_begin(&reply->w, code, b->sent[server][1], zeros);
    if (sign != NOT_SIGNED) {
        radius_write_attribute(&reply->w, RADIUS_MESSAGE_AUTHENTICATOR, SLICE_OF(zeros));
    }
}

static void reply_send(struct bed *b, struct reply *reply, size_t server, enum sign sign)
{
    struct slice secret = sign == WRONG_SECRET ? SLICE_TEXT("other") : SLICE_TEXT(SECRET);
    struct endpoint from = endpoint_of(server);
    const uint8_t *request = b->sent[server] + 4;

    radius_write_end(&reply->w);
    if (sign != NOT_SIGNED) {
        radius_message_authenticator(secret, writer_written(&reply->w), RADIUS_HEAD_BYTES + 2,
                                     request, reply->bytes + RADIUS_HEAD_BYTES + 2);
        reply->bytes[RADIUS_HEAD_BYTES + 2] ^= sign == WRONG_SIGNATURE;
    }
    radius_response_authenticator(secret, writer_written(&reply->w), request, reply->bytes + 4);
    radius_receive(b->client, server, &from, writer_written(&reply->w), b->now_ms);
    run(b);
}

static void answer(struct bed *b, size_t server, uint8_t code, enum sign sign)
{
    struct reply reply;

    reply_begin(b, &reply, server, code, sign);
    reply_send(b, &reply, server, sign);
}

static struct slice sent_attribute(struct bed *b, size_t server, uint8_t type, size_t *place)
{
    struct reader r = reader_over((struct slice){b->sent[server], b->length[server]});
    struct radius_packet p;
    struct radius_attribute a;
    size_t count = 0;

    CHECK(radius_read(&r, &p) && p.code == RADIUS_ACCESS_REQUEST);
    struct reader attributes = reader_over(p.attributes);

    for (; radius_read_attribute(&attributes, &a); count++) {
        if (a.type == type) {
            *place = count;
            return a.value;
        }
    }
    *place = SIZE_MAX;
    return (struct slice){NULL, 0};
}

TEST(a_request_says_who_wants_what_and_is_signed_first)
{
    struct bed b;
    size_t place;
    uint8_t expected[RADIUS_PASSWORD_BYTES_MAX];

    begin(&b, 1);
    ask(&b, 7);
    CHECK_EQUAL(b.sent_count[0], 1);
    struct slice signature = sent_attribute(&b, 0, RADIUS_MESSAGE_AUTHENTICATOR, &place);

    CHECK_EQUAL(place, 0);
    radius_message_authenticator(SLICE_TEXT(SECRET), (struct slice){b.sent[0], b.length[0]},
                                 RADIUS_HEAD_BYTES + 2, b.sent[0] + 4, expected);
    CHECK(slice_equal((struct slice){expected, 16}, signature));
    CHECK(slice_equal_text(sent_attribute(&b, 0, RADIUS_USER_NAME, &place), "alice"));
    size_t length =
        radius_hide_password(SLICE_TEXT(SECRET), b.sent[0] + 4, SLICE_TEXT("wonder"), expected);
    CHECK(slice_equal((struct slice){expected, length},
                      sent_attribute(&b, 0, RADIUS_USER_PASSWORD, &place)));
    CHECK(slice_equal_text(sent_attribute(&b, 0, RADIUS_NAS_IDENTIFIER, &place), "vpn.example.jp"));
    CHECK(slice_equal_text(sent_attribute(&b, 0, RADIUS_NAS_PORT_ID, &place), "staff"));
    CHECK(slice_equal_text(sent_attribute(&b, 0, RADIUS_CALLING_STATION_ID, &place), "192.0.2.1"));
    CHECK_EQUAL(get_u32(sent_attribute(&b, 0, RADIUS_NAS_PORT_TYPE, &place).data), 5);
    sent_attribute(&b, 0, RADIUS_PROXY_STATE, &place);
    CHECK(place == SIZE_MAX);
    end(&b);
}

TEST(chap_goes_as_it_came)
{
    struct login_question q = question("flopsy", "0123456789abcdef");
    struct bed b;
    size_t place;

    begin(&b, 1);
    q.kind = LOGIN_CHAP;
    q.chap_id = 22;
    q.chap_challenge_length = 5;
    memcpy(q.chap_challenge, "hello", 5);
    CHECK(radius_ask(b.client, 1, &q, b.now_ms));
    run(&b);
    struct slice value = sent_attribute(&b, 0, RADIUS_CHAP_PASSWORD, &place);

    CHECK(value.length == 17 && value.data[0] == 22 &&
          memcmp(value.data + 1, "0123456789abcdef", 16) == 0);
    CHECK(slice_equal_text(sent_attribute(&b, 0, RADIUS_CHAP_CHALLENGE, &place), "hello"));
    sent_attribute(&b, 0, RADIUS_USER_PASSWORD, &place);
    CHECK(place == SIZE_MAX);
    /* A response of another length is none. */
    CHECK(secret_set(&q.password, SLICE_TEXT("short")));
    CHECK(radius_ask(b.client, 2, &q, b.now_ms));
    run(&b);
    CHECK(b.answers == 1 && b.answer.verdict == LOGIN_UNAVAILABLE);
    login_question_fini(&q);
    end(&b);
}

TEST(an_acceptance_brings_what_belongs_to_the_user)
{
    struct reply r;
    struct bed b;

    begin(&b, 1);
    ask(&b, 7);
    reply_begin(&b, &r, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
    radius_write_number(&r.w, RADIUS_SERVICE_TYPE, 2);
    radius_write_number(&r.w, RADIUS_FRAMED_IP_ADDRESS, 0x0a090007);
    radius_write_number(&r.w, RADIUS_FRAMED_IP_NETMASK, 0xffffff00);
    radius_write_attribute(&r.w, RADIUS_FILTER_ID, SLICE_TEXT("staff"));
    radius_write_attribute(&r.w, RADIUS_FILTER_ID, SLICE_TEXT("admins"));
    radius_write_attribute(&r.w, RADIUS_CLASS, SLICE_TEXT("one"));
    radius_write_attribute(&r.w, RADIUS_CLASS, SLICE_TEXT("two"));
    radius_write_number(&r.w, RADIUS_SESSION_TIMEOUT, 3600);
    radius_write_number(&r.w, RADIUS_IDLE_TIMEOUT, 600);
    radius_write_attribute(&r.w, RADIUS_REPLY_MESSAGE, SLICE_TEXT("Hello\r\n"));
    radius_write_attribute(&r.w, RADIUS_REPLY_MESSAGE, SLICE_TEXT("alice"));
    radius_write_attribute(&r.w, RADIUS_VENDOR_SPECIFIC,
                           SLICE_TEXT("\0\0\x01\x37\x1c\x06\x0a\x01\0\x35"));
    radius_write_attribute(&r.w, RADIUS_VENDOR_SPECIFIC, SLICE_TEXT("\0\0\0\x09\x01"));
    radius_write_attribute(&r.w, RADIUS_USER_NAME, SLICE_TEXT("Alice"));
    radius_write_attribute(&r.w, 200, SLICE_TEXT("whatever"));
    b.now_ms += 20;
    reply_send(&b, &r, 0, SIGNED);
    CHECK(b.answers == 1 && b.job == 7);
    CHECK(b.answer.verdict == LOGIN_ACCEPTED);
    CHECK_TEXT(b.answer.source, "radius 10.1.0.20");
    CHECK_TEXT(b.answer.user, "Alice");
    CHECK_EQUAL(b.answer.address.bytes[3], 7);
    CHECK_EQUAL(b.answer.netmask.bytes[3], 0);
    CHECK(b.answer.group_count == 2 && strcmp(b.answer.groups[1], "admins") == 0);
    CHECK_EQUAL(b.answer.class_length, 10);
    CHECK_BYTES(b.answer.class_bytes, "\x19\x05one\x19\x05two", 10);
    CHECK(b.answer.session_timeout_s == 3600 && b.answer.idle_timeout_s == 600);
    CHECK_TEXT(b.answer.message, "Hello  alice");
    CHECK(b.answer.dns_count == 1 && b.answer.dns[0].bytes[3] == 53);
    CHECK_EQUAL(radius_figures(b.client, 0).last_ms, 20);
    CHECK(radius_figures(b.client, 0).health == RADIUS_ALIVE);
    CHECK(radius_deadline_ms(b.client) == NEVER_MS);
    end(&b);
}

TEST(an_address_of_the_pool_is_none)
{
    static const uint32_t numbers[] = {0xffffffff, 0xfffffffe};

    for (size_t i = 0; i < 2; i++) {
        struct reply r;
        struct bed b;

        begin(&b, 1);
        ask(&b, 1);
        reply_begin(&b, &r, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
        radius_write_number(&r.w, RADIUS_FRAMED_IP_ADDRESS, numbers[i]);
        reply_send(&b, &r, 0, SIGNED);
        CHECK(b.answer.verdict == LOGIN_ACCEPTED && address_is_unset(&b.answer.address));
        CHECK_TEXT(b.answer.user, "alice");
        end(&b);
    }
}

TEST(what_cannot_be_followed_lets_nobody_in)
{
    static const struct {
        uint8_t type;
        const char *value;
        size_t length;
    } cases[] = {
        {RADIUS_FRAMED_IP_ADDRESS, "\x0a\x09", 2},
        {RADIUS_FRAMED_IP_ADDRESS, "\x0a\x09\0\x07\x01", 5},
        {RADIUS_FRAMED_IP_ADDRESS, "\0\0\0\0", 4},
        {RADIUS_FRAMED_IP_ADDRESS, "\xe0\0\0\x01", 4},
        {RADIUS_FRAMED_IP_NETMASK, "\xff", 1},
        {RADIUS_SESSION_TIMEOUT, "\x01", 1},
        {RADIUS_IDLE_TIMEOUT, "12345", 5},
        {RADIUS_FILTER_ID, "a b", 3},
        {RADIUS_FILTER_ID, "-a", 2},
        {RADIUS_FILTER_ID, "staff\0", 6},
        {RADIUS_SERVICE_TYPE, "\0\0\0\x06", 4},
        {RADIUS_SERVICE_TYPE, "\x02", 1},
        {RADIUS_USER_NAME, "a\0b", 3},
        {RADIUS_VENDOR_SPECIFIC, "\0\0\x01\x37\x1c\x05\x0a\x01\0", 9},
        {RADIUS_DNS_SERVER_IPV6_ADDRESS, "\x20\x01", 2},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct reply r;
        struct bed b;

        begin(&b, 1);
        ask(&b, 1);
        reply_begin(&b, &r, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
        radius_write_attribute(&r.w, cases[i].type,
                               (struct slice){(const uint8_t *)cases[i].value, cases[i].length});
        reply_send(&b, &r, 0, SIGNED);
        CHECK_EQUAL(b.answer.reason, LOGIN_REASON_RADIUS_REPLY);
        CHECK(b.answers == 1 && b.answer.verdict == LOGIN_REFUSED);
        CHECK(b.answer.group_count == 0 && b.answer.user[0] == '\0');
        end(&b);
    }
}

TEST(a_challenge_is_answered_to_the_server_that_made_it)
{
    struct login_question q = question("alice", "123456");
    struct reply r;
    struct bed b;
    size_t place;

    begin(&b, 2);
    ask(&b, 1);
    pass(&b, 20000); /* the first server stays silent */
    pass(&b, 20000);
    pass(&b, 20000);
    CHECK(b.sent_count[1] == 1);
    reply_begin(&b, &r, 1, RADIUS_ACCESS_CHALLENGE, SIGNED);
    radius_write_attribute(&r.w, RADIUS_STATE, SLICE_TEXT("32769430"));
    radius_write_attribute(&r.w, RADIUS_REPLY_MESSAGE, SLICE_TEXT("Challenge 32769430."));
    reply_send(&b, &r, 1, SIGNED);
    CHECK(b.answer.verdict == LOGIN_CHALLENGED);
    CHECK_TEXT(b.answer.message, "Challenge 32769430.");
    q.state = b.answer.state;
    b.now_ms += 100000; /* the first would be asked again */
    unsigned before = b.sent_count[0];

    CHECK(radius_ask(b.client, 2, &q, b.now_ms));
    run(&b);
    CHECK(b.sent_count[0] == before && b.sent_count[1] == 2);
    CHECK(slice_equal_text(sent_attribute(&b, 1, RADIUS_STATE, &place), "32769430"));
    answer(&b, 1, RADIUS_ACCESS_REJECT, SIGNED);
    CHECK(b.answer.verdict == LOGIN_REFUSED && b.answer.reason == LOGIN_REASON_RADIUS_REJECTED);
    /* Nor is it asked of others when that server is silent. */
    CHECK(radius_ask(b.client, 3, &q, b.now_ms));
    for (int i = 0; i < 4; i++) {
        pass(&b, 20000);
    }
    CHECK(b.sent_count[0] == before && b.job == 3 && b.answer.verdict == LOGIN_UNAVAILABLE);
    /* Of servers that are configured anew nothing old is asked. */
    give_servers(&b, 2, false);
    CHECK(radius_ask(b.client, 4, &q, b.now_ms));
    run(&b);
    CHECK(b.job == 4 && b.answer.reason == LOGIN_REASON_STALE);
    login_question_fini(&q);
    end(&b);
}

TEST(a_challenge_without_or_with_two_states_is_none)
{
    for (int states = 0; states <= 2; states += 2) {
        struct reply r;
        struct bed b;

        begin(&b, 1);
        ask(&b, 1);
        reply_begin(&b, &r, 0, RADIUS_ACCESS_CHALLENGE, SIGNED);
        for (int i = 0; i < states; i++) {
            radius_write_attribute(&r.w, RADIUS_STATE, SLICE_TEXT("abc"));
        }
        reply_send(&b, &r, 0, SIGNED);
        CHECK_EQUAL(b.answer.reason, LOGIN_REASON_RADIUS_REPLY);
        end(&b);
    }
}

TEST(a_lost_request_is_sent_again_unchanged_and_given_up)
{
    uint8_t first[RADIUS_REQUEST_BYTES_MAX];
    uint64_t begun;
    struct bed b;

    begin(&b, 1);
    ask(&b, 1);
    begun = b.now_ms;
    memcpy(first, b.sent[0], b.length[0]);
    while (b.answers == 0) {
        CHECK(radius_deadline_ms(b.client) != NEVER_MS);
        pass(&b, radius_deadline_ms(b.client) - b.now_ms);
        CHECK_BYTES(first, b.sent[0], b.length[0]);
        CHECK(b.now_ms - begun < 8000);
    }
    CHECK_EQUAL(b.sent_count[0], RADIUS_TRIES);
    CHECK(b.now_ms - begun > 6000);
    CHECK(b.answer.verdict == LOGIN_UNAVAILABLE);
    CHECK_EQUAL(b.answer.reason, LOGIN_REASON_RADIUS_SILENT);
    CHECK_TEXT(b.answer.source, "radius 10.1.0.20");
    CHECK(radius_figures(b.client, 0).health == RADIUS_SILENT);
    /* What comes now is too late. */
    answer(&b, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
    CHECK(b.answers == 1 && radius_figures(b.client, 0).late == 1);
    end(&b);
}

TEST(a_silent_server_is_left_alone_and_comes_back)
{
    struct bed b;

    begin(&b, 2);
    ask(&b, 1);
    for (int i = 0; i < 3; i++) {
        pass(&b, 5000);
    }
    CHECK(b.sent_count[0] == 3 && b.sent_count[1] == 1);
    CHECK(memcmp(b.sent[0] + 4, b.sent[1] + 4, 16) != 0); /* hidden anew */
    answer(&b, 1, RADIUS_ACCESS_ACCEPT, SIGNED);
    CHECK_TEXT(b.answer.source, "radius 10.1.0.21");
    ask(&b, 2);
    CHECK(b.sent_count[0] == 3 && b.sent_count[1] == 2);
    answer(&b, 1, RADIUS_ACCESS_ACCEPT, SIGNED);
    /* After its time it is asked first, once; then the other. */
    b.now_ms += RADIUS_DEAD_MS;
    ask(&b, 3);
    CHECK(b.sent_count[0] == 4 && b.sent_count[1] == 2);
    pass(&b, 1100);
    CHECK(b.sent_count[0] == 4 && b.sent_count[1] == 3);
    answer(&b, 1, RADIUS_ACCESS_ACCEPT, SIGNED);
    b.now_ms += RADIUS_DEAD_MS;
    ask(&b, 4);
    answer(&b, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
    CHECK_TEXT(b.answer.source, "radius 10.1.0.20");
    ask(&b, 5);
    CHECK(b.sent_count[0] == 6 && radius_figures(b.client, 0).health == RADIUS_ALIVE);
    end(&b);
}

TEST(when_all_are_silent_they_are_asked_all_the_same)
{
    struct bed b;

    begin(&b, 2);
    ask(&b, 1);
    for (int i = 0; i < 8; i++) {
        pass(&b, 5000);
    }
    CHECK(b.answers == 1 && b.sent_count[0] == 3 && b.sent_count[1] == 3);
    ask(&b, 2);
    CHECK_EQUAL(b.sent_count[0], 4);
    answer(&b, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
    CHECK(b.answers == 2 && b.answer.verdict == LOGIN_ACCEPTED);
    end(&b);
}

TEST(replies_that_are_not_the_servers_are_dropped_counted_and_told)
{
    static const struct {
        enum sign sign;
        enum login_reason reason;
    } cases[] = {
        {WRONG_SECRET, LOGIN_REASON_RADIUS_FORGED},
        {WRONG_SIGNATURE, LOGIN_REASON_RADIUS_FORGED},
        {NOT_SIGNED, LOGIN_REASON_RADIUS_UNSIGNED},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bed b;

        begin(&b, 1);
        ask(&b, 1);
        answer(&b, 0, RADIUS_ACCESS_ACCEPT, cases[i].sign);
        CHECK_EQUAL(b.answers, 0);
        struct radius_figures f = radius_figures(b.client, 0);

        CHECK(f.forged + f.not_signed == 1);
        for (int k = 0; k < 3; k++) {
            pass(&b, 5000);
        }
        CHECK_EQUAL(b.answer.reason, cases[i].reason);
        end(&b);
    }
}

TEST(the_real_reply_counts_though_a_forged_one_came_before)
{
    struct bed b;

    begin(&b, 1);
    ask(&b, 1);
    answer(&b, 0, RADIUS_ACCESS_ACCEPT, WRONG_SECRET);
    answer(&b, 0, RADIUS_ACCESS_REJECT, SIGNED);
    CHECK(b.answers == 1 && b.answer.verdict == LOGIN_REFUSED);
    /* And no second one. */
    answer(&b, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
    CHECK(b.answers == 1 && radius_figures(b.client, 0).late == 1);
    end(&b);
}

TEST(unsigned_replies_are_taken_only_where_it_is_said_and_without_proxy_state)
{
    struct reply r;
    struct bed b;

    begin(&b, 1);
    give_servers(&b, 1, true);
    ask(&b, 1);
    reply_begin(&b, &r, 0, RADIUS_ACCESS_ACCEPT, NOT_SIGNED);
    radius_write_attribute(&r.w, RADIUS_PROXY_STATE, SLICE_TEXT("x"));
    reply_send(&b, &r, 0, NOT_SIGNED);
    CHECK_EQUAL(b.answers, 0);
    answer(&b, 0, RADIUS_ACCESS_ACCEPT, WRONG_SIGNATURE);
    CHECK_EQUAL(b.answers, 0);
    answer(&b, 0, RADIUS_ACCESS_ACCEPT, NOT_SIGNED);
    CHECK(b.answers == 1 && b.answer.verdict == LOGIN_ACCEPTED);
    end(&b);
}

TEST(what_comes_from_elsewhere_or_is_no_reply_is_dropped)
{
    struct endpoint elsewhere = endpoint_of(1);
    struct endpoint right = endpoint_of(0);
    struct reply r;
    struct bed b;

    begin(&b, 1);
    ask(&b, 1);
    reply_begin(&b, &r, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
    radius_write_end(&r.w);
    radius_message_authenticator(SLICE_TEXT(SECRET), writer_written(&r.w), 22, b.sent[0] + 4,
                                 r.bytes + 22);
    radius_response_authenticator(SLICE_TEXT(SECRET), writer_written(&r.w), b.sent[0] + 4,
                                  r.bytes + 4);
    radius_receive(b.client, 0, &elsewhere, writer_written(&r.w), b.now_ms);
    radius_receive(b.client, 5, &right, writer_written(&r.w), b.now_ms);
    for (size_t length = 0; length < r.w.length; length++) {
        radius_receive(b.client, 0, &right, (struct slice){r.bytes, length}, b.now_ms);
    }
    radius_receive(b.client, 0, &right, (struct slice){b.sent[0], b.length[0]}, b.now_ms);
    run(&b);
    CHECK_EQUAL(b.answers, 0);
    CHECK_EQUAL(radius_figures(b.client, 0).forged, 1);
    CHECK_EQUAL(radius_figures(b.client, 0).malformed, r.w.length + 1);
    radius_receive(b.client, 0, &right, writer_written(&r.w), b.now_ms);
    run(&b);
    CHECK_EQUAL(b.answers, 1);
    end(&b);
}

TEST(every_bit_of_a_reply_counts)
{
    struct endpoint right = endpoint_of(0);
    struct reply r;
    struct bed b;

    begin(&b, 1);
    ask(&b, 1);
    reply_begin(&b, &r, 0, RADIUS_ACCESS_REJECT, SIGNED);
    radius_write_attribute(&r.w, RADIUS_REPLY_MESSAGE, SLICE_TEXT("no"));
    radius_write_end(&r.w);
    radius_message_authenticator(SLICE_TEXT(SECRET), writer_written(&r.w), 22, b.sent[0] + 4,
                                 r.bytes + 22);
    radius_response_authenticator(SLICE_TEXT(SECRET), writer_written(&r.w), b.sent[0] + 4,
                                  r.bytes + 4);
    for (size_t bit = 0; bit < 8 * r.w.length; bit++) {
        r.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        radius_receive(b.client, 0, &right, writer_written(&r.w), b.now_ms);
        r.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    run(&b);
    CHECK_EQUAL(b.answers, 0);
    radius_receive(b.client, 0, &right, writer_written(&r.w), b.now_ms);
    run(&b);
    CHECK_EQUAL(b.answers, 1);
    end(&b);
}

TEST(identifiers_are_not_used_twice_at_once_and_requests_are_bounded)
{
    bool used[256] = {false};
    struct bed b;

    begin(&b, 1);
    for (unsigned i = 0; i < RADIUS_REQUESTS_MAX; i++) {
        ask(&b, i);
        CHECK(!used[b.sent[0][1]]);
        used[b.sent[0][1]] = true;
    }
    CHECK_EQUAL(b.answers, 0);
    ask(&b, 1000);
    CHECK(b.answers == 1 && b.job == 1000 && b.answer.reason == LOGIN_REASON_BUSY);
    CHECK_EQUAL(radius_figures(b.client, 0).under_way, RADIUS_REQUESTS_MAX);
    for (int i = 0; i < 4; i++) {
        pass(&b, 5000);
    }
    CHECK_EQUAL(b.answers, RADIUS_REQUESTS_MAX + 1);
    CHECK_EQUAL(radius_figures(b.client, 0).under_way, 0);
    end(&b);
}

TEST(without_servers_or_without_a_secret_nobody_can_tell)
{
    struct radius_server server = {.endpoint = endpoint_of(0)};
    struct bed b;

    begin(&b, 0);
    ask(&b, 1);
    CHECK(b.answers == 1 && b.answer.verdict == LOGIN_UNAVAILABLE);
    radius_set_servers(b.client, &server, 1);
    ask(&b, 2);
    CHECK(b.answers == 2 && b.answer.reason == LOGIN_REASON_RADIUS_SECRET);
    CHECK_EQUAL(b.sent_count[0], 0);
    end(&b);
}

TEST(new_servers_end_what_is_under_way_and_keep_what_was_counted)
{
    struct bed b;

    begin(&b, 2);
    ask(&b, 1);
    ask(&b, 2);
    give_servers(&b, 1, false);
    run(&b);
    CHECK(b.answers == 2 && b.answer.verdict == LOGIN_UNAVAILABLE);
    CHECK_EQUAL(radius_figures(b.client, 0).requests, 2);
    CHECK_EQUAL(radius_figures(b.client, 0).under_way, 0);
    ask(&b, 3);
    answer(&b, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
    CHECK(b.answer.verdict == LOGIN_ACCEPTED);
    end(&b);
}

/* ---- accounts ---- */

static struct radius_account account_of(enum radius_account_kind kind, uint64_t at_ms)
{
    struct radius_account a = {.kind = kind,
                               .session = "0123456789abcdef-7",
                               .user = "alice",
                               .service = "staff",
                               .caller = {.address = address_ipv4(0xc0000201), .port = 4500},
                               .address = address_ipv4(0x0a090007),
                               .at_ms = at_ms,
                               .session_ms = 61000,
                               .in_bytes = (UINT64_C(5) << 32) + 7,
                               .in_packets = 11,
                               .cause = RADIUS_CAUSE_USER_REQUEST,
                               .class_length = 5,
                               .class_bytes = "\x19\x05one"};

    return a;
}

static struct slice account_attribute(struct bed *b, uint8_t type)
{
    struct reader r = reader_over((struct slice){b->sent[0], b->length[0]});
    struct radius_packet p;
    struct radius_attribute a;

    CHECK(radius_read(&r, &p) && p.code == RADIUS_ACCOUNTING_REQUEST);
    struct reader attributes = reader_over(p.attributes);

    while (radius_read_attribute(&attributes, &a)) {
        if (a.type == type) {
            return a.value;
        }
    }
    return (struct slice){NULL, 0};
}

static uint32_t account_number(struct bed *b, uint8_t type)
{
    struct slice value = account_attribute(b, type);

    CHECK_EQUAL(value.length, 4);
    return get_u32(value.data);
}

TEST(an_account_says_what_became_of_a_session_and_is_signed)
{
    struct radius_account a = account_of(RADIUS_ACCOUNT_STOP, NOW - 3000);
    static const uint8_t zeros[16];
    uint8_t expected[16];
    struct bed b;

    begin(&b, 1);
    radius_account(b.client, &a, b.now_ms);
    run(&b);
    CHECK_EQUAL(account_number(&b, RADIUS_ACCT_STATUS_TYPE), 2);
    CHECK(slice_equal_text(account_attribute(&b, RADIUS_ACCT_SESSION_ID), "0123456789abcdef-7"));
    CHECK(slice_equal_text(account_attribute(&b, RADIUS_USER_NAME), "alice"));
    CHECK(slice_equal_text(account_attribute(&b, RADIUS_CLASS), "one"));
    CHECK_EQUAL(account_number(&b, RADIUS_FRAMED_IP_ADDRESS), 0x0a090007);
    CHECK_EQUAL(account_number(&b, RADIUS_ACCT_DELAY_TIME), 3);
    CHECK_EQUAL(account_number(&b, RADIUS_ACCT_SESSION_TIME), 61);
    CHECK_EQUAL(account_number(&b, RADIUS_ACCT_INPUT_OCTETS), 7);
    CHECK_EQUAL(account_number(&b, RADIUS_ACCT_INPUT_GIGAWORDS), 5);
    CHECK_EQUAL(account_number(&b, RADIUS_ACCT_INPUT_PACKETS), 11);
    CHECK_EQUAL(account_number(&b, RADIUS_ACCT_TERMINATE_CAUSE), 1);
    /* RFC 2866 3: MD5 over the packet with zeros in the authenticator's place, and the secret. */
    radius_response_authenticator(SLICE_TEXT(SECRET), (struct slice){b.sent[0], b.length[0]}, zeros,
                                  expected);
    CHECK_BYTES(b.sent[0] + 4, expected, 16);
    CHECK_EQUAL(radius_accounts_waiting(b.client), 1);
    answer(&b, 0, RADIUS_ACCOUNTING_RESPONSE, WRONG_SECRET);
    answer(&b, 0, RADIUS_ACCESS_ACCEPT, SIGNED);
    CHECK_EQUAL(radius_accounts_waiting(b.client), 1);
    answer(&b, 0, RADIUS_ACCOUNTING_RESPONSE, NOT_SIGNED);
    CHECK_EQUAL(radius_accounts_waiting(b.client), 0);
    CHECK_EQUAL(b.answers, 0);
    CHECK(radius_deadline_ms(b.client) == NEVER_MS);
    end(&b);
}

TEST(an_account_waits_for_a_server_and_for_new_ones_and_is_lost_at_last)
{
    struct radius_account a = account_of(RADIUS_ACCOUNT_START, NOW);
    struct bed b;

    begin(&b, 2);
    radius_account(b.client, &a, b.now_ms);
    run(&b);
    CHECK_EQUAL(account_attribute(&b, RADIUS_ACCT_SESSION_TIME).length, 0);
    for (int i = 0; i < 200; i++) {
        pass(&b, 1000);
    }
    CHECK(b.sent_count[0] > 4 && b.sent_count[1] > 4);
    CHECK_EQUAL(radius_accounts_waiting(b.client), 1);
    CHECK(account_number(&b, RADIUS_ACCT_DELAY_TIME) > 100);
    give_servers(&b, 1, false);
    unsigned before = b.sent_count[0];

    pass(&b, 0);
    CHECK_EQUAL(b.sent_count[0], before + 1);
    answer(&b, 0, RADIUS_ACCOUNTING_RESPONSE, NOT_SIGNED);
    CHECK_EQUAL(radius_accounts_waiting(b.client), 0);
    radius_account(b.client, &a, b.now_ms);
    for (int i = 0; i < 3 * RADIUS_ACCOUNT_ROUNDS; i++) {
        pass(&b, RADIUS_ACCOUNT_PAUSE_MS);
    }
    CHECK_EQUAL(radius_accounts_waiting(b.client), 0);
    CHECK_EQUAL(radius_accounts_lost(b.client), 1);
    end(&b);
}

TEST(only_so_many_accounts_wait)
{
    struct radius_account a = account_of(RADIUS_ACCOUNT_START, NOW);
    struct bed b;

    begin(&b, 1);
    for (int i = 0; i <= RADIUS_ACCOUNTS_MAX; i++) {
        radius_account(b.client, &a, b.now_ms);
    }
    CHECK_EQUAL(radius_accounts_waiting(b.client), RADIUS_ACCOUNTS_MAX);
    CHECK_EQUAL(radius_accounts_lost(b.client), 1);
    run(&b);
    pass(&b, 60000);
    pass(&b, 60000);
    end(&b);
}
