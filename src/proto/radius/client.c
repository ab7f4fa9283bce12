/*
 * Decides which server is asked, when a request is sent again or given up, and which replies count.
 */
#include "proto/radius/client.h"

#include <stdlib.h>
#include <string.h>

#include "proto/radius/signing.h"

#define IDS 256
#define STATE_HEAD_BYTES 2 /* before a server's own state: which server, of which set */

enum { SERVICE_TYPE_FRAMED = 2, PORT_TYPE_VIRTUAL = 5 };

struct finished {
    struct finished *next;
    uint64_t job;
    struct login_answer answer;
};

struct request {
    struct request *next;
    uint64_t job;
    struct login_question question; /* for the next server, which has another secret */
    struct radius_account *account; /* instead of a question; NULL: a login */
    struct finished *finished; /* of a login: room for its answer, which so is never lost */
    unsigned rounds; /* of all servers, in vain */
    bool pauses; /* until `next_ms`, asking nobody */
    uint8_t tried; /* servers, as bits */
    uint8_t server;
    uint8_t id;
    uint8_t sent; /* how often to this server */
    uint8_t tries; /* how often it will be */
    bool one_server; /* the answer to a server's challenge */
    bool saw_forged, saw_unsigned;
    uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES];
    uint64_t asked_ms, next_ms;
    uint8_t bytes[RADIUS_REQUEST_BYTES_MAX];
    size_t length;
    bool to_send;
};

struct server {
    struct radius_server said;
    struct radius_figures figures;
    struct request *by_id[IDS];
    uint8_t next_id;
    uint64_t dead_until_ms;
};

struct radius_client {
    struct random_source random;
    char identifier[RADIUS_VALUE_BYTES_MAX + 1];
    struct server servers[RADIUS_SERVERS_MAX];
    size_t count;
    uint8_t set; /* counts the sets of servers */
    struct request *requests;
    struct finished *first, *last, *given;
    size_t account_count;
    uint64_t accounts_lost;
};

struct radius_client *radius_new(struct random_source random, const char *identifier)
{
    struct radius_client *client = calloc(1, sizeof(*client));

    if (client == NULL) {
        return NULL;
    }
    client->random = random;
    if (!text_copy(client->identifier, sizeof(client->identifier), slice_of_text(identifier))) {
        client->identifier[0] = '\0';
    }
    return client;
}

static void finished_free(struct finished *finished)
{
    if (finished != NULL) {
        wipe(finished, sizeof(*finished));
        free(finished);
    }
}

static void request_free(struct request *request)
{
    login_question_fini(&request->question);
    free(request->account);
    finished_free(request->finished);
    wipe(request, sizeof(*request));
    free(request);
}

void radius_free(struct radius_client *client)
{
    if (client == NULL) {
        return;
    }
    while (client->requests != NULL) {
        struct request *request = client->requests;

        client->requests = request->next;
        request_free(request);
    }
    while (client->first != NULL) {
        struct finished *finished = client->first;

        client->first = finished->next;
        finished_free(finished);
    }
    finished_free(client->given);
    for (size_t i = 0; i < client->count; i++) {
        secret_wipe(&client->servers[i].said.secret);
    }
    wipe(client, sizeof(*client));
    free(client);
}

/* ---- answers ---- */

static void name_source(const struct server *server, struct login_answer *answer)
{
    char address[ADDRESS_TEXT_BYTES];
    struct text out = text_over(answer->source, sizeof(answer->source));

    text_addf(&out, "radius %s", address_format(&server->said.endpoint.address, address));
}

static void finish(struct radius_client *client, struct request *request,
                   const struct login_answer *answer)
{
    struct finished *finished = request->finished;

    request->finished = NULL;
    finished->job = request->job;
    finished->answer = *answer;
    if (client->last != NULL) {
        client->last->next = finished;
    } else {
        client->first = finished;
    }
    client->last = finished;
}

static void finish_unavailable(struct radius_client *client, struct request *request,
                               enum login_reason reason)
{
    struct login_answer answer = login_answer_of(LOGIN_UNAVAILABLE, reason, "radius");

    finish(client, request, &answer);
}

static void leave_server(struct radius_client *client, struct request *request)
{
    struct server *server = &client->servers[request->server];

    if (server->by_id[request->id] == request) {
        server->by_id[request->id] = NULL;
        server->figures.under_way--;
    }
}

static void remove_request(struct radius_client *client, struct request *gone)
{
    if (!gone->pauses) {
        leave_server(client, gone);
    }
    client->account_count -= gone->account != NULL;
    for (struct request **at = &client->requests; *at != NULL; at = &(*at)->next) {
        if (*at == gone) {
            *at = gone->next;
            request_free(gone);
            return;
        }
    }
}

/* ---- requests ---- */

static void write_identity(const struct radius_client *client, const struct login_question *q,
                           struct writer *w)
{
    char caller[ADDRESS_TEXT_BYTES] = "";

    radius_write_number(w, RADIUS_SERVICE_TYPE, SERVICE_TYPE_FRAMED);
    radius_write_number(w, RADIUS_NAS_PORT_TYPE, PORT_TYPE_VIRTUAL);
    radius_write_attribute(w, RADIUS_NAS_IDENTIFIER, slice_of_text(client->identifier));
    radius_write_attribute(w, RADIUS_NAS_PORT_ID, slice_of_text(q->service));
    if (q->caller.address.family != FAMILY_NONE) {
        radius_write_attribute(w, RADIUS_CALLING_STATION_ID,
                               slice_of_text(address_format(&q->caller.address, caller)));
    }
}

static void write_password(const struct server *server, const struct request *request,
                           struct writer *w)
{
    const struct login_question *q = &request->question;
    uint8_t value[RADIUS_PASSWORD_BYTES_MAX];

    if (q->kind == LOGIN_PASSWORD) {
        size_t length =
            radius_hide_password(secret_slice(&server->said.secret), request->authenticator,
                                 secret_slice(&q->password), value);
        if (length == 0) {
            writer_fail(w);
        }
        radius_write_attribute(w, RADIUS_USER_PASSWORD, (struct slice){value, length});
        return;
    }
    /* RFC 2865 5.3: identifier and response. */
    if (q->password.length != 16) {
        writer_fail(w);
        return;
    }
    value[0] = q->chap_id;
    memcpy(value + 1, q->password.bytes, 16);
    radius_write_attribute(w, RADIUS_CHAP_PASSWORD, (struct slice){value, 17});
    radius_write_attribute(w, RADIUS_CHAP_CHALLENGE,
                           (struct slice){q->chap_challenge, q->chap_challenge_length});
}

static void write_octets(struct writer *w, uint8_t low, uint8_t high, uint64_t count)
{
    radius_write_number(w, low, (uint32_t)count);
    radius_write_number(w, high, (uint32_t)(count >> 32));
}

static void write_figures(const struct radius_account *a, struct writer *w)
{
    radius_write_number(w, RADIUS_ACCT_SESSION_TIME, (uint32_t)(a->session_ms / 1000));
    write_octets(w, RADIUS_ACCT_INPUT_OCTETS, RADIUS_ACCT_INPUT_GIGAWORDS, a->in_bytes);
    write_octets(w, RADIUS_ACCT_OUTPUT_OCTETS, RADIUS_ACCT_OUTPUT_GIGAWORDS, a->out_bytes);
    radius_write_number(w, RADIUS_ACCT_INPUT_PACKETS, (uint32_t)a->in_packets);
    radius_write_number(w, RADIUS_ACCT_OUTPUT_PACKETS, (uint32_t)a->out_packets);
    radius_write_number(w, RADIUS_ACCT_TERMINATE_CAUSE, a->cause);
}

/* RFC 2866 3: signed like a reply, under an authenticator of zeros. */
static bool write_account(struct radius_client *client, struct request *request, uint64_t now_ms)
{
    static const uint8_t zeros[RADIUS_AUTHENTICATOR_BYTES];
    const struct server *server = &client->servers[request->server];
    const struct radius_account *a = request->account;
    struct writer w = writer_over(request->bytes, sizeof(request->bytes));
    char caller[ADDRESS_TEXT_BYTES];

    radius_write_begin(&w, RADIUS_ACCOUNTING_REQUEST, request->id, zeros);
    radius_write_number(&w, RADIUS_ACCT_STATUS_TYPE, a->kind);
    radius_write_attribute(&w, RADIUS_ACCT_SESSION_ID, slice_of_text(a->session));
    radius_write_attribute(&w, RADIUS_USER_NAME, slice_of_text(a->user));
    radius_write_number(&w, RADIUS_NAS_PORT_TYPE, PORT_TYPE_VIRTUAL);
    radius_write_attribute(&w, RADIUS_NAS_IDENTIFIER, slice_of_text(client->identifier));
    radius_write_attribute(&w, RADIUS_NAS_PORT_ID, slice_of_text(a->service));
    if (a->caller.address.family != FAMILY_NONE) {
        radius_write_attribute(&w, RADIUS_CALLING_STATION_ID,
                               slice_of_text(address_format(&a->caller.address, caller)));
    }
    if (a->address.family == FAMILY_IPV4) {
        radius_write_attribute(&w, RADIUS_FRAMED_IP_ADDRESS, (struct slice){a->address.bytes, 4});
    }
    radius_write_number(&w, RADIUS_ACCT_DELAY_TIME, (uint32_t)((now_ms - a->at_ms) / 1000));
    write_slice(&w, (struct slice){a->class_bytes, a->class_length});
    if (a->kind == RADIUS_ACCOUNT_STOP) {
        write_figures(a, &w);
    }
    radius_write_end(&w);
    if (!writer_ok(&w)) {
        return false;
    }
    request->length = w.length;
    radius_response_authenticator(secret_slice(&server->said.secret), writer_written(&w), zeros,
                                  request->authenticator);
    memcpy(request->bytes + 4, request->authenticator, RADIUS_AUTHENTICATOR_BYTES);
    return true;
}

/* Message-Authenticator stands first, so that nothing that others choose stands before it. */
static bool write_request(struct radius_client *client, struct request *request)
{
    const struct server *server = &client->servers[request->server];
    const struct login_question *q = &request->question;
    struct writer w = writer_over(request->bytes, sizeof(request->bytes));
    static const uint8_t zeros[RADIUS_AUTHENTICATOR_BYTES];
    size_t at = RADIUS_HEAD_BYTES + 2;

    random_fill(&client->random, request->authenticator, sizeof(request->authenticator));
    radius_write_begin(&w, RADIUS_ACCESS_REQUEST, request->id, request->authenticator);
    radius_write_attribute(&w, RADIUS_MESSAGE_AUTHENTICATOR, SLICE_OF(zeros));
    radius_write_attribute(&w, RADIUS_USER_NAME, slice_of_text(q->user));
    write_password(server, request, &w);
    write_identity(client, q, &w);
    if (request->one_server) {
        radius_write_attribute(&w, RADIUS_STATE,
                               (struct slice){q->state.bytes + STATE_HEAD_BYTES,
                                              (size_t)q->state.length - STATE_HEAD_BYTES});
    }
    radius_write_end(&w);
    if (!writer_ok(&w)) {
        return false;
    }
    request->length = w.length;
    radius_message_authenticator(secret_slice(&server->said.secret), writer_written(&w), at,
                                 request->authenticator, request->bytes + at);
    return true;
}

static bool take_id(struct radius_client *client, struct request *request)
{
    struct server *server = &client->servers[request->server];

    if (server->figures.under_way >= RADIUS_REQUESTS_MAX) {
        return false;
    }
    while (server->by_id[server->next_id] != NULL) {
        server->next_id++;
    }
    request->id = server->next_id++;
    server->by_id[request->id] = request;
    server->figures.under_way++;
    return true;
}

/* Each wait is twice the one before, and a tenth more or less (RFC 5080 2.2.1). */
static uint64_t wait_ms(struct radius_client *client, const struct request *request)
{
    uint64_t wait = RADIUS_FIRST_WAIT_MS << (request->sent - 1);

    return wait - wait / 10 + random_below(&client->random, (uint32_t)(wait / 5) + 1);
}

static void send_again(struct radius_client *client, struct request *request, uint64_t now_ms)
{
    struct radius_figures *figures = &client->servers[request->server].figures;

    *(request->sent == 0 ? &figures->requests : &figures->retransmissions) += 1;
    request->sent++;
    request->to_send = true;
    request->next_ms = now_ms + wait_ms(client, request);
}

static bool ask_server(struct radius_client *client, struct request *request, size_t index,
                       uint64_t now_ms)
{
    request->server = (uint8_t)index;
    request->tried |= (uint8_t)(1u << index);
    if (!take_id(client, request)) {
        return false;
    }
    if (request->account != NULL ? !write_account(client, request, now_ms)
                                 : !write_request(client, request)) {
        leave_server(client, request);
        return false;
    }
    /* One that was silent is asked once, and after its time it is asked first again. */
    request->tries = client->servers[index].figures.health == RADIUS_SILENT && !request->one_server
                         ? 1
                         : RADIUS_TRIES;
    request->sent = 0;
    request->asked_ms = now_ms;
    send_again(client, request, now_ms);
    return true;
}

static bool may_be_asked(const struct radius_client *client, const struct request *request,
                         size_t index)
{
    return (request->tried >> index & 1) == 0 && client->servers[index].said.secret.length > 0;
}

/* The first that is not silent, then those that are. */
static bool ask_next(struct radius_client *client, struct request *request, uint64_t now_ms)
{
    for (int silent = 0; silent < 2; silent++) {
        for (size_t i = 0; i < client->count; i++) {
            bool is_silent = now_ms < client->servers[i].dead_until_ms;

            if (is_silent == (silent == 1) && may_be_asked(client, request, i) &&
                ask_server(client, request, i, now_ms)) {
                return true;
            }
        }
    }
    return false;
}

static bool ask_whose_state(struct radius_client *client, struct request *request, uint64_t now_ms)
{
    const struct login_state *state = &request->question.state;

    request->one_server = true;
    return state->length > STATE_HEAD_BYTES && state->bytes[0] < client->count &&
           state->bytes[1] == client->set && may_be_asked(client, request, state->bytes[0]) &&
           ask_server(client, request, state->bytes[0], now_ms);
}

static bool has_secret(const struct radius_client *client)
{
    for (size_t i = 0; i < client->count; i++) {
        if (client->servers[i].said.secret.length > 0) {
            return true;
        }
    }
    return false;
}

static struct request *make_login(uint64_t job, const struct login_question *question)
{
    struct request *request = calloc(1, sizeof(*request));

    if (request == NULL) {
        return NULL;
    }
    request->job = job;
    request->finished = calloc(1, sizeof(*request->finished));
    if (request->finished == NULL || !login_question_copy(&request->question, question)) {
        request_free(request);
        return NULL;
    }
    return request;
}

bool radius_ask(struct radius_client *client, uint64_t job, const struct login_question *question,
                uint64_t now_ms)
{
    bool answers = question->state.length > 0;
    struct request *request = make_login(job, question);

    if (request == NULL) {
        return false;
    }
    request->next = client->requests;
    client->requests = request;
    if (answers ? ask_whose_state(client, request, now_ms) : ask_next(client, request, now_ms)) {
        return true;
    }
    finish_unavailable(client, request,
                       client->count > 0 && !has_secret(client) ? LOGIN_REASON_RADIUS_SECRET
                       : answers                                ? LOGIN_REASON_STALE
                                                                : LOGIN_REASON_BUSY);
    remove_request(client, request);
    return true;
}

/* ---- accounts ---- */

/* Nobody took it: later again, from the first server on. */
static void pause_account(struct radius_client *client, struct request *request, uint64_t now_ms)
{
    request->pauses = true;
    request->tried = 0;
    request->next_ms = now_ms + RADIUS_ACCOUNT_PAUSE_MS;
    if (++request->rounds == RADIUS_ACCOUNT_ROUNDS) {
        client->accounts_lost++;
        remove_request(client, request);
    }
}

static void tell_account(struct radius_client *client, struct request *request, uint64_t now_ms)
{
    request->pauses = false;
    if (!ask_next(client, request, now_ms)) {
        pause_account(client, request, now_ms);
    }
}

void radius_account(struct radius_client *client, const struct radius_account *account,
                    uint64_t now_ms)
{
    struct request *request = calloc(1, sizeof(*request));
    struct radius_account *copy = malloc(sizeof(*copy));

    if (client->count == 0 || client->account_count == RADIUS_ACCOUNTS_MAX || request == NULL ||
        copy == NULL) {
        client->accounts_lost += client->count > 0;
        free(request);
        free(copy);
        return;
    }
    *copy = *account;
    request->account = copy;
    request->next = client->requests;
    client->requests = request;
    client->account_count++;
    tell_account(client, request, now_ms);
}

size_t radius_accounts_waiting(const struct radius_client *client)
{
    return client->account_count;
}

uint64_t radius_accounts_lost(const struct radius_client *client)
{
    return client->accounts_lost;
}

/* ---- replies ---- */

static bool is_reply_to(const struct request *request, uint8_t code)
{
    return request->account != NULL
               ? code == RADIUS_ACCOUNTING_RESPONSE
               : code == RADIUS_ACCESS_ACCEPT || code == RADIUS_ACCESS_REJECT ||
                     code == RADIUS_ACCESS_CHALLENGE;
}

/* What a server answered. */
static void take_reply(struct radius_client *client, struct request *request,
                       const struct radius_packet *reply)
{
    struct server *server = &client->servers[request->server];
    struct login_answer answer = {0};
    bool followed = radius_read_answer(reply, &answer);

    name_source(server, &answer);
    if (answer.user[0] == '\0') {
        memcpy(answer.user, request->question.user, sizeof(answer.user));
    }
    if (!followed) {
        struct login_answer refused =
            login_answer_of(LOGIN_REFUSED, LOGIN_REASON_RADIUS_REPLY, answer.source);

        server->figures.malformed++;
        answer = refused;
    } else if (reply->code == RADIUS_ACCESS_ACCEPT) {
        server->figures.accepts++;
        answer.verdict = LOGIN_ACCEPTED;
    } else if (reply->code == RADIUS_ACCESS_CHALLENGE) {
        struct login_state state = answer.state;

        server->figures.challenges++;
        answer.verdict = LOGIN_CHALLENGED;
        answer.state.length = (uint8_t)(state.length + STATE_HEAD_BYTES);
        answer.state.bytes[0] = request->server;
        answer.state.bytes[1] = client->set;
        memcpy(answer.state.bytes + STATE_HEAD_BYTES, state.bytes, state.length);
    } else {
        server->figures.rejects++;
        answer.verdict = LOGIN_REFUSED;
        answer.reason = LOGIN_REASON_RADIUS_REJECTED;
    }
    finish(client, request, &answer);
    remove_request(client, request);
}

void radius_receive(struct radius_client *client, size_t index, const struct endpoint *from,
                    struct slice bytes, uint64_t now_ms)
{
    struct reader r = reader_over(bytes);
    struct radius_packet reply;

    if (index >= client->count) {
        return;
    }
    struct server *server = &client->servers[index];

    if (!endpoint_equal(from, &server->said.endpoint)) {
        server->figures.forged++;
        return;
    }
    if (!radius_read(&r, &reply)) {
        server->figures.malformed++;
        return;
    }
    struct request *request = server->by_id[reply.id];

    if (request == NULL) {
        server->figures.late++;
        return;
    }
    if (!is_reply_to(request, reply.code)) {
        server->figures.malformed++;
        return;
    }
    switch (radius_judge_reply(secret_slice(&server->said.secret),
                               (struct slice){bytes.data, reply.length}, &reply,
                               request->authenticator)) {
    case RADIUS_FORGED:
        server->figures.forged++;
        request->saw_forged = true;
        return;
    case RADIUS_UNSIGNED:
        /* An answer to an account lets nobody in, and is never signed otherwise (RFC 2866). */
        if (!server->said.unsigned_replies && request->account == NULL) {
            server->figures.not_signed++;
            request->saw_unsigned = true;
            return;
        }
        break;
    case RADIUS_AUTHENTIC:
        break;
    }
    server->figures.health = RADIUS_ALIVE;
    server->figures.last_ms = (uint32_t)(now_ms - request->asked_ms);
    server->dead_until_ms = 0;
    if (request->account != NULL) {
        server->figures.accepts++;
        remove_request(client, request);
    } else {
        take_reply(client, request, &reply);
    }
}

/* ---- time ---- */

static enum login_reason why_silent(const struct request *request)
{
    return request->saw_unsigned ? LOGIN_REASON_RADIUS_UNSIGNED
           : request->saw_forged ? LOGIN_REASON_RADIUS_FORGED
                                 : LOGIN_REASON_RADIUS_SILENT;
}

static void give_up(struct radius_client *client, struct request *request, uint64_t now_ms)
{
    struct server *server = &client->servers[request->server];

    server->figures.given_up++;
    server->figures.health = RADIUS_SILENT;
    server->dead_until_ms = now_ms + RADIUS_DEAD_MS;
    leave_server(client, request);
    if (request->account != NULL) {
        tell_account(client, request, now_ms);
        return;
    }
    if (!request->one_server && ask_next(client, request, now_ms)) {
        return;
    }
    struct login_answer answer = login_answer_of(LOGIN_UNAVAILABLE, why_silent(request), "radius");

    name_source(server, &answer);
    finish(client, request, &answer);
    remove_request(client, request);
}

void radius_time(struct radius_client *client, uint64_t now_ms)
{
    for (struct request *request = client->requests, *next; request != NULL; request = next) {
        next = request->next;
        if (request->next_ms > now_ms) {
            continue;
        }
        if (request->pauses) {
            tell_account(client, request, now_ms);
        } else if (request->sent < request->tries) {
            send_again(client, request, now_ms);
        } else {
            give_up(client, request, now_ms);
        }
    }
}

uint64_t radius_deadline_ms(const struct radius_client *client)
{
    uint64_t soonest = NEVER_MS;

    for (const struct request *request = client->requests; request != NULL;
         request = request->next) {
        soonest = request->next_ms < soonest ? request->next_ms : soonest;
    }
    return soonest;
}

bool radius_take(struct radius_client *client, struct radius_action *action)
{
    *action = (struct radius_action){.kind = RADIUS_NOTHING};
    finished_free(client->given);
    client->given = NULL;
    for (struct request *request = client->requests; request != NULL; request = request->next) {
        if (request->to_send) {
            request->to_send = false;
            action->kind = RADIUS_SEND;
            action->server = request->server;
            action->to = client->servers[request->server].said.endpoint;
            action->bytes = (struct slice){request->bytes, request->length};
            return true;
        }
    }
    if (client->first == NULL) {
        return false;
    }
    client->given = client->first;
    client->first = client->first->next;
    client->last = client->first == NULL ? NULL : client->last;
    action->kind = RADIUS_ANSWER;
    action->job = client->given->job;
    action->answer = &client->given->answer;
    return true;
}

/* ---- servers ---- */

/* Logins are answered; accounts are told to the new servers. */
static void end_requests(struct radius_client *client)
{
    for (struct request *request = client->requests, *next; request != NULL; request = next) {
        next = request->next;
        if (request->account == NULL) {
            finish_unavailable(client, request, LOGIN_REASON_RADIUS_SILENT);
            remove_request(client, request);
            continue;
        }
        if (!request->pauses) {
            leave_server(client, request);
        }
        request->pauses = true;
        request->to_send = false;
        request->tried = 0;
        request->next_ms = 0;
    }
}

void radius_set_servers(struct radius_client *client, struct radius_server *servers, size_t count)
{
    struct server *before = calloc(RADIUS_SERVERS_MAX, sizeof(*before));

    end_requests(client);
    if (before != NULL) {
        memcpy(before, client->servers, sizeof(client->servers));
    }
    for (size_t i = 0; i < client->count; i++) {
        secret_wipe(&client->servers[i].said.secret);
    }
    memset(client->servers, 0, sizeof(client->servers));
    for (size_t i = 0; i < count && i < RADIUS_SERVERS_MAX; i++) {
        struct server *server = &client->servers[i];

        for (size_t k = 0; before != NULL && k < client->count; k++) {
            if (endpoint_equal(&before[k].said.endpoint, &servers[i].endpoint)) {
                server->figures = before[k].figures;
            }
        }
        server->figures.under_way = 0;
        server->figures.health = RADIUS_UNTRIED;
        server->figures.endpoint = servers[i].endpoint;
        server->figures.has_secret = servers[i].secret.length > 0;
        server->figures.unsigned_replies = servers[i].unsigned_replies;
        server->said.endpoint = servers[i].endpoint;
        server->said.unsigned_replies = servers[i].unsigned_replies;
        secret_move(&server->said.secret, &servers[i].secret);
        server->next_id = (uint8_t)random_u32(&client->random);
    }
    client->count = count < RADIUS_SERVERS_MAX ? count : RADIUS_SERVERS_MAX;
    client->set++;
    if (before != NULL) {
        wipe(before, RADIUS_SERVERS_MAX * sizeof(*before));
        free(before);
    }
}

size_t radius_server_count(const struct radius_client *client)
{
    return client->count;
}

struct radius_figures radius_figures(const struct radius_client *client, size_t server)
{
    return client->servers[server].figures;
}

const char *radius_health_name(enum radius_health health)
{
    switch (health) {
    case RADIUS_UNTRIED:
        return "not asked yet";
    case RADIUS_ALIVE:
        return "answers";
    case RADIUS_SILENT:
        return "silent";
    }
    return "unknown";
}
