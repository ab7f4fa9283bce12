/* `users`: read again, tried out; and what `status` says of RADIUS servers. */
#include <stdlib.h>
#include <string.h>

#include "gateway/login_reason.h"
#include "management/answers.h"

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *server_json(const struct management_radius *server)
{
    char address[ENDPOINT_TEXT_BYTES];
    json_t *object = json_object();

    json_object_set_new(object, "server", json_string(endpoint_format(&server->endpoint, address)));
    json_object_set_new(object, "state", json_string(server->state));
    json_object_set_new(object, "unsigned_replies", json_boolean(server->unsigned_replies));
    json_object_set_new(object, "requests", number(server->requests));
    json_object_set_new(object, "retransmissions", number(server->retransmissions));
    json_object_set_new(object, "accepts", number(server->accepts));
    json_object_set_new(object, "rejects", number(server->rejects));
    json_object_set_new(object, "challenges", number(server->challenges));
    json_object_set_new(object, "given_up", number(server->given_up));
    json_object_set_new(object, "late", number(server->late));
    json_object_set_new(object, "forged", number(server->forged));
    json_object_set_new(object, "unsigned", number(server->not_signed));
    json_object_set_new(object, "malformed", number(server->malformed));
    json_object_set_new(object, "last_ms", number(server->last_ms));
    return object;
}

json_t *radius_json(const struct management *management)
{
    struct management_logins logins;

    json_t *list = json_array();

    if (management->logins == NULL) {
        return list;
    }
    management->logins(management->context, &logins);

    for (size_t i = 0; i < logins.server_count; i++) {
        json_array_append_new(list, server_json(&logins.servers[i]));
    }
    return list;
}

json_t *accounts_json(const struct management *management)
{
    struct management_logins logins = {0};

    if (management->logins != NULL) {
        management->logins(management->context, &logins);
    }
    return json_pack("{s:I, s:I}", "waiting", (json_int_t)logins.accounts_waiting, "lost",
                     (json_int_t)logins.accounts_lost);
}

static json_t *reload(const struct question *question)
{
    const struct management *management = question->management;
    char why[1024] = "";
    size_t count = 0;

    if (!management->reload_users(management->context, &count, why, sizeof(why))) {
        return reply_error(REPLY_FAILED,
                           "The users of before go on. All of it: sekisho users check", "%s", why);
    }
    return reply_answer(REPLY_OK, json_pack("{s:I}", "users", (json_int_t)count));
}

static bool read_state(const char *text, struct login_state *out)
{
    size_t length = 0;
    bool read =
        text == NULL || hex_parse(slice_of_text(text), out->bytes, sizeof(out->bytes), &length);

    out->length = (uint8_t)length;
    return read;
}

static json_t *begin_try(const struct question *question)
{
    const struct management *management = question->management;
    struct management_try order = {.service = question->service == NULL ? "" : question->service,
                                   .user = question->words[1],
                                   .password = question->password};
    char why[256] = "";
    uint64_t number_of_try = 0;

    if (question->password == NULL || !read_state(question->state, &order.state)) {
        return reply_error(REPLY_USAGE, NULL, "there is no password in the question");
    }
    if (!management->try_login(management->context, &order, &number_of_try, why, sizeof(why))) {
        return reply_error(REPLY_FAILED, NULL, "%s", why);
    }
    return reply_answer(REPLY_OK, json_pack("{s:I}", "number", (json_int_t)number_of_try));
}

static void add_user(json_t *object, const struct login_answer *answer)
{
    char address[ADDRESS_TEXT_BYTES];
    json_t *groups = json_array();
    json_t *dns = json_array();

    for (size_t i = 0; i < answer->group_count; i++) {
        json_array_append_new(groups, json_string(answer->groups[i]));
    }
    for (size_t i = 0; i < answer->dns_count; i++) {
        json_array_append_new(dns, json_string(address_format(&answer->dns[i], address)));
    }
    json_object_set_new(object, "groups", groups);
    json_object_set_new(object, "dns", dns);
    if (answer->address.family != FAMILY_NONE) {
        json_object_set_new(object, "address",
                            json_string(address_format(&answer->address, address)));
    }
    json_object_set_new(object, "session_timeout_s", number(answer->session_timeout_s));
    json_object_set_new(object, "idle_timeout_s", number(answer->idle_timeout_s));
}

/* What others wrote need not be UTF-8. */
static json_t *safe_text(const char *text)
{
    char shown[4 * LOGIN_MESSAGE_BYTES];
    struct text out = text_over(shown, sizeof(shown));
    json_t *plain = json_string(text);

    text_add_escaped(&out, slice_of_text(text));
    return plain != NULL ? plain : json_string(shown);
}

static json_t *fetch_try(const struct question *question)
{
    const struct management *management = question->management;
    struct login_answer answer;
    char state[2 * LOGIN_STATE_BYTES_MAX + 1];
    struct text hex = text_over(state, sizeof(state));
    json_t *object = json_object();

    if (!management->tried_login(management->context, question->count, &answer)) {
        json_object_set_new(object, "ready", json_false());
        return reply_answer(REPLY_OK, object);
    }
    text_add_hex(&hex, (struct slice){answer.state.bytes, answer.state.length});
    json_object_set_new(object, "ready", json_true());
    json_object_set_new(object, "verdict", json_string(login_verdict_name(answer.verdict)));
    json_object_set_new(object, "source", json_string(answer.source));
    json_object_set_new(object, "message", safe_text(answer.message));
    json_object_set_new(object, "state", json_string(state));
    if (answer.reason != LOGIN_REASON_NONE) {
        json_object_set_new(object, "reason", json_string(login_reason_text(answer.reason)));
    }
    if (login_reason_of(answer.reason) != REASON_NONE) {
        json_object_set_new(object, "code",
                            json_string(reason_code(login_reason_of(answer.reason))));
    }
    if (answer.verdict == LOGIN_ACCEPTED) {
        json_object_set_new(object, "user", safe_text(answer.user));
        add_user(object, &answer);
    }
    wipe(&answer, sizeof(answer));
    return reply_answer(REPLY_OK, object);
}

json_t *answer_users(const struct question *question)
{
    const char *order = question->word_count > 0 ? question->words[0] : "";

    if (question->management->reload_users == NULL) {
        return reply_error(REPLY_FAILED, NULL, "this daemon has no users");
    }
    if (strcmp(order, "reload") == 0) {
        return reload(question);
    }
    if (strcmp(order, "try") == 0 && question->word_count == 2) {
        return begin_try(question);
    }
    if (strcmp(order, "kick") == 0 && question->word_count == 2) {
        bool was_in =
            gateway_log_out(question->management->gateway, question->words[1], question->now_ms);

        return reply_answer(
            REPLY_OK, json_pack("{s:s, s:b}", "user", question->words[1], "was_in", (int)was_in));
    }
    if (strcmp(order, "tried") == 0) {
        return fetch_try(question);
    }
    return reply_error(REPLY_USAGE,
                       "Is the command newer than the daemon? Compare: sekisho version",
                       "the daemon does not know how to do that with users");
}
