/*
 * Decides how a login reaches those who know: the arithmetic and the disk in a thread of their own,
 * a RADIUS server through a socket of its own, and the answer back to who asked. The control thread
 * waits for none of them.
 */
#include "sekishod/logins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/login_reason.h"
#include "host/clock.h"
#include "host/files.h"
#include "host/udp_client.h"
#include "loader/users_store.h"
#include "login/desk.h"
#include "proto/radius/client.h"
#include "sekishod/daemon.h"

#define TRIES_MAX 8 /* answers that the command did not fetch yet */
#define TRY_JOB (UINT64_C(1) << 63) /* jobs of the command, apart from the gateway's */
#define DATAGRAMS_A_TURN 64

/* For the thread: a password to be computed, or a line to be written. */
struct errand {
    struct desk_verification *verification; /* NULL: it writes */
    char *text;
    size_t length;
    bool whole, written;
    const char *state;
    char why[256];
};

struct side;

struct line {
    struct side *side;
    struct loop_source source; /* fd -1: it could not be opened */
};

/* Servers that are asked, or those that are told. */
struct side {
    struct logins *logins;
    struct radius_client *client;
    struct line lines[RADIUS_SERVERS_MAX];
    size_t line_count;
};

struct tried {
    uint64_t number; /* 0: free */
    bool answered;
    struct login_answer answer;
};

struct logins {
    struct daemon *daemon;
    struct login_desk *desk;
    struct side asked, told;
    uint64_t boot; /* in the names of sessions: another one each time */
    bool told_on;
    struct jobs *jobs; /* NULL: nobody logged in yet */
    bool used_known; /* what of one-time passwords was used */
    uint64_t next_try;
    struct tried tries[TRIES_MAX];
    char trouble[512];
    const char *next;
    char disk_trouble[256];
    uint64_t told_ms;
};

/* ---- the thread ---- */

static void do_errand(void *job)
{
    struct errand *errand = job;

    if (errand->verification != NULL) {
        desk_verify(errand->verification);
        return;
    }
    errand->written = users_store_keep_used(
        errand->state, (struct slice){(const uint8_t *)errand->text, errand->length}, errand->whole,
        errand->why, sizeof(errand->why));
}

static void free_errand(struct errand *errand)
{
    free(errand->text);
    free(errand);
}

static void drop_errand(void *job)
{
    struct errand *errand = job;

    if (errand->verification != NULL) {
        secret_wipe(&errand->verification->password);
        free(errand->verification);
    }
    free_errand(errand);
}

/* As if it had come back with nothing done. */
static void fail_errand(struct logins *logins, const struct desk_action *action, uint64_t now_ms)
{
    if (action->kind == DESK_VERIFY) {
        action->verification->fits = false;
        desk_verified(logins->desk, action->verification, now_ms, clock_date_ms() / 1000);
    } else {
        free(action->text);
        desk_kept(logins->desk, false);
    }
}

static void begin_errand(struct logins *logins, const struct desk_action *action, uint64_t now_ms)
{
    struct errand *errand = calloc(1, sizeof(*errand));

    if (errand == NULL) {
        fail_errand(logins, action, now_ms);
        return;
    }
    *errand = (struct errand){.verification = action->verification,
                              .text = action->text,
                              .length = action->text_length,
                              .whole = action->whole,
                              .state = logins->daemon->options.state_directory};
    if (logins->jobs == NULL) {
        logins->jobs = jobs_new(1, do_errand, &logins->daemon->wake);
    }
    /* What is to be written goes before what is to be computed: somebody waits with a right code.
     */
    if (logins->jobs == NULL ||
        !jobs_put(logins->jobs, errand, action->kind == DESK_KEEP ? JOB_URGENT : JOB_COMMON)) {
        free(errand);
        fail_errand(logins, action, now_ms);
    }
}

static void take_errands(struct logins *logins, uint64_t now_ms)
{
    struct errand *errand;

    while (logins->jobs != NULL && (errand = jobs_take(logins->jobs)) != NULL) {
        if (errand->verification != NULL) {
            desk_verified(logins->desk, errand->verification, now_ms, clock_date_ms() / 1000);
        } else {
            snprintf(logins->disk_trouble, sizeof(logins->disk_trouble), "%s", errand->why);
            desk_kept(logins->desk, errand->written);
        }
        free_errand(errand);
    }
}

/* ---- answers ---- */

static void log_answer(struct logins *logins, const struct desk_action *action, const char *who)
{
    const struct login_answer *answer = action->answer;
    char user[4 * LOGIN_USER_BYTES];
    char line[1024];
    struct text shown = text_over(user, sizeof(user));
    struct text out = text_over(line, sizeof(line));
    enum reason reason = login_reason_of(answer->reason);

    text_add_escaped(&shown, slice_of_text(action->user));
    text_addf(&out, "login of %s: %s, says %s", user, login_verdict_name(answer->verdict),
              answer->source);
    if (answer->reason != LOGIN_REASON_NONE) {
        text_addf(&out, ": %s", login_reason_text(answer->reason));
    }
    if (reason != REASON_NONE) {
        text_addf(&out, " (%s)", reason_code(reason));
    }
    log_line(logins->daemon->log, LOG_LEVEL_NOTICE, who, "%s", line);
}

static struct tried *find_try(struct logins *logins, uint64_t number)
{
    for (size_t i = 0; i < TRIES_MAX; i++) {
        if (logins->tries[i].number == number) {
            return &logins->tries[i];
        }
    }
    return NULL;
}

static void give_answer(struct logins *logins, const struct desk_action *action, uint64_t now_ms)
{
    struct tried *tried =
        (action->job & TRY_JOB) != 0 ? find_try(logins, action->job & ~TRY_JOB) : NULL;

    log_answer(logins, action, tried != NULL ? "users" : "login");
    if (tried != NULL) {
        tried->answer = *action->answer;
        tried->answered = true;
    } else if ((action->job & TRY_JOB) == 0) {
        gateway_login_done(logins->daemon->gateway, action->job, action->answer, now_ms);
    }
    wipe(action->answer, sizeof(*action->answer));
    free(action->answer);
}

/* ---- what the two machines want ---- */

static void ask_radius(struct logins *logins, const struct desk_action *action, uint64_t now_ms)
{
    if (!radius_ask(logins->asked.client, action->job, action->question, now_ms)) {
        struct login_answer answer =
            login_answer_of(LOGIN_UNAVAILABLE, LOGIN_REASON_BUSY, "radius");

        desk_radius_answered(logins->desk, action->job, &answer, now_ms, clock_date_ms() / 1000);
    }
}

static bool run_desk(struct logins *logins, uint64_t now_ms)
{
    struct desk_action action;
    bool any = false;

    while (desk_take(logins->desk, &action)) {
        any = true;
        switch (action.kind) {
        case DESK_VERIFY:
        case DESK_KEEP:
            begin_errand(logins, &action, now_ms);
            break;
        case DESK_ASK_RADIUS:
            ask_radius(logins, &action, now_ms);
            break;
        case DESK_ANSWER:
            give_answer(logins, &action, now_ms);
            break;
        case DESK_NOTHING:
            break;
        }
    }
    return any;
}

static bool run_side(struct side *side, uint64_t now_ms)
{
    struct radius_action action;
    bool any = false;

    while (radius_take(side->client, &action)) {
        any = true;
        if (action.kind == RADIUS_SEND) {
            int fd = action.server < side->line_count ? side->lines[action.server].source.fd : -1;

            if (fd >= 0) {
                udp_client_send(fd, action.bytes);
            }
        } else if (action.kind == RADIUS_ANSWER) {
            desk_radius_answered(side->logins->desk, action.job, action.answer, now_ms,
                                 clock_date_ms() / 1000);
        }
    }
    return any;
}

static void run_both(struct logins *logins, uint64_t now_ms)
{
    while (run_desk(logins, now_ms) || run_side(&logins->asked, now_ms)) {
    }
    (void)run_side(&logins->told, now_ms);
}

/* ---- servers ---- */

static void line_ready(void *context, unsigned events)
{
    struct line *line = context;
    struct side *side = line->side;
    size_t index = (size_t)(line - side->lines);
    struct radius_figures figures = radius_figures(side->client, index);
    uint8_t room[RADIUS_BYTES_MAX];
    uint64_t now_ms = clock_now_ms();
    size_t length;

    (void)events;
    for (size_t i = 0; i < DATAGRAMS_A_TURN; i++) {
        if (!udp_client_receive(line->source.fd, room, sizeof(room), &length)) {
            break;
        }
        radius_receive(side->client, index, &figures.endpoint, (struct slice){room, length},
                       now_ms);
    }
}

static void close_lines(struct side *side)
{
    for (size_t i = 0; i < side->line_count; i++) {
        if (side->lines[i].source.fd >= 0) {
            loop_remove(&side->logins->daemon->loop, &side->lines[i].source);
            close(side->lines[i].source.fd);
        }
    }
    side->line_count = 0;
}

/* A port that is this server's alone, and another one with each configuration. */
static void open_line(struct side *side, const struct endpoint *server)
{
    struct daemon *daemon = side->logins->daemon;
    struct line *line = &side->lines[side->line_count++];
    char why[160] = "there is no memory";

    line->side = side;
    line->source = (struct loop_source){
        .fd = udp_client_open(server, why, sizeof(why)), .ready = line_ready, .context = line};
    if (line->source.fd >= 0 && !loop_add(&daemon->loop, &line->source, LOOP_READ)) {
        close(line->source.fd);
        line->source.fd = -1;
    }
    if (line->source.fd < 0) {
        log_line(daemon->log, LOG_LEVEL_WARNING, "radius", "%s", why);
    }
}

static void add_server(struct side *side, struct radius_server *servers, size_t *count,
                       const struct config_radius *said, uint16_t port)
{
    struct daemon *daemon = side->logins->daemon;
    struct radius_server *server = &servers[(*count)++];
    char why[256] = "";

    server->endpoint = (struct endpoint){.address = said->address, .port = port};
    server->unsigned_replies = said->unsigned_replies;
    if (!files_read_secret(daemon->options.secrets_directory, said->secret.name, &server->secret,
                           why, sizeof(why))) {
        log_line(daemon->log, LOG_LEVEL_WARNING, "radius", "%s", why);
    }
    open_line(side, &server->endpoint);
}

static void apply_servers(struct logins *logins)
{
    const struct config *config = logins->daemon->config;
    struct radius_server asked[RADIUS_SERVERS_MAX] = {0}, told[RADIUS_SERVERS_MAX] = {0};
    size_t asked_count = 0, told_count = 0;

    close_lines(&logins->asked);
    close_lines(&logins->told);
    for (size_t i = 0; i < config->radius_count; i++) {
        const struct config_radius *said = &config->radius[i];

        add_server(&logins->asked, asked, &asked_count, said, said->port);
        if (said->accounting_port != 0) {
            add_server(&logins->told, told, &told_count, said, said->accounting_port);
        }
    }
    radius_set_servers(logins->asked.client, asked, asked_count);
    radius_set_servers(logins->told.client, told, told_count);
}

/* ---- users ---- */

static bool same_name_twice(const struct users *written, const struct users *kept)
{
    for (size_t i = 0; i < written->count; i++) {
        if (users_find(kept, written->list[i].name) != NULL) {
            return true;
        }
    }
    return false;
}

static bool read_users(struct logins *logins, char *why, size_t why_bytes)
{
    struct daemon *daemon = logins->daemon;
    const char *file = daemon->config->users_file;
    struct users written, kept;
    char path[LOADER_PATH_BYTES];

    users_init(&written, (const uint8_t[16]){0});
    users_init(&kept, (const uint8_t[16]){0});
    bool good = users_store_path(daemon->options.state_directory, "users", path, sizeof(path)) &&
                users_store_read_file(path, false, &kept, why, why_bytes) &&
                (file == NULL || users_store_read_file(file, true, &written, why, why_bytes));

    if (good) {
        logins->next = NULL;
        logins->trouble[0] = '\0';
        if (same_name_twice(&written, &kept)) {
            snprintf(logins->trouble, sizeof(logins->trouble),
                     "some users stand in %.200s and are kept by sekisho users too", file);
            logins->next = "sekisho users check; those of the file count";
        }
        desk_set_users(logins->desk, &written, &kept);
    }
    users_fini(&written);
    users_fini(&kept);
    return good;
}

static void read_used(struct logins *logins)
{
    char why[256] = "there is no memory";
    size_t length = 0;

    if (logins->used_known) {
        return;
    }
    char *text =
        users_store_read_used(logins->daemon->options.state_directory, &length, why, sizeof(why));

    logins->used_known =
        text != NULL && desk_read_used(logins->desk, (struct slice){(const uint8_t *)text, length});
    if (!logins->used_known) {
        snprintf(logins->trouble, sizeof(logins->trouble), "%s", why);
        logins->next = "until it can be read nobody is let in by a one-time password";
    }
    free(text);
}

bool logins_read_users(struct daemon *daemon, size_t *count, char *why, size_t why_bytes)
{
    struct logins *logins = daemon->logins;
    bool good = read_users(logins, why, why_bytes);

    if (!good) {
        snprintf(logins->trouble, sizeof(logins->trouble), "%s", why);
        logins->next = "sekisho users check; the users of before go on";
        log_line(daemon->log, LOG_LEVEL_WARNING, "users", "%s", why);
    }
    read_used(logins);
    *count = desk_figures(logins->desk).users;
    desk_set_broken(logins->desk, !good && *count == 0, !logins->used_known);
    return good;
}

/* ---- the daemon's side ---- */

static struct logins *make(struct daemon *daemon)
{
    struct logins *logins = calloc(1, sizeof(*logins));

    if (logins == NULL) {
        return NULL;
    }
    logins->daemon = daemon;
    logins->desk = desk_new(daemon->random);
    logins->boot = random_u64(&daemon->random);
    logins->asked.logins = logins->told.logins = logins;
    logins->asked.client = radius_new(daemon->random, daemon->config->gateway);
    logins->told.client = radius_new(daemon->random, daemon->config->gateway);
    if (logins->desk == NULL || logins->asked.client == NULL || logins->told.client == NULL) {
        logins_free(logins);
        return NULL;
    }
    return logins;
}

static void name_session(const struct logins *logins, uint64_t number, char out[])
{
    struct text name = text_over(out, RADIUS_SESSION_BYTES);

    text_addf(&name, "%016llx-%llu", (unsigned long long)logins->boot, (unsigned long long)number);
}

/* Once: sessions of a process before this one ended without a word (RFC 2866 5.1). */
static void tell_beginning(struct logins *logins, uint64_t now_ms)
{
    struct radius_account account = {.kind = RADIUS_ACCOUNT_ON, .at_ms = now_ms};

    if (!logins->told_on && radius_server_count(logins->told.client) > 0) {
        logins->told_on = true;
        name_session(logins, 0, account.session);
        radius_account(logins->told.client, &account, now_ms);
    }
}

void logins_apply(struct daemon *daemon, uint64_t now_ms)
{
    char why[USERS_STORE_WHY_BYTES];
    size_t count;

    if (daemon->logins == NULL) {
        daemon->logins = make(daemon);
    }
    if (daemon->logins == NULL) {
        log_line(daemon->log, LOG_LEVEL_WARNING, "users", "no memory for logins");
        return;
    }
    (void)!logins_read_users(daemon, &count, why, sizeof(why));
    apply_servers(daemon->logins);
    tell_beginning(daemon->logins, now_ms);
    run_both(daemon->logins, now_ms);
}

void logins_free(struct logins *logins)
{
    if (logins == NULL) {
        return;
    }
    close_lines(&logins->asked);
    close_lines(&logins->told);
    if (logins->jobs != NULL) {
        jobs_free(logins->jobs, drop_errand);
    }
    radius_free(logins->asked.client);
    radius_free(logins->told.client);
    desk_free(logins->desk);
    wipe(logins, sizeof(*logins));
    free(logins);
}

void logins_turn(struct daemon *daemon, uint64_t now_ms)
{
    struct logins *logins = daemon->logins;

    if (logins == NULL) {
        return;
    }
    take_errands(logins, now_ms);
    radius_time(logins->asked.client, now_ms);
    radius_time(logins->told.client, now_ms);
    run_both(logins, now_ms);
}

uint64_t logins_deadline_ms(const struct daemon *daemon)
{
    if (daemon->logins == NULL) {
        return NEVER_MS;
    }
    uint64_t asked_ms = radius_deadline_ms(daemon->logins->asked.client);
    uint64_t told_ms = radius_deadline_ms(daemon->logins->told.client);

    return asked_ms < told_ms ? asked_ms : told_ms;
}

const char *logins_trouble(const struct daemon *daemon, const char **next)
{
    const struct logins *logins = daemon->logins;

    if (logins == NULL) {
        return NULL;
    }
    if (logins->disk_trouble[0] != '\0') {
        *next =
            "until it can be written nobody is let in by a one-time password: is the disk full?";
        return logins->disk_trouble;
    }
    *next = logins->next;
    return logins->trouble[0] == '\0' ? NULL : logins->trouble;
}

/* ---- for management ---- */

bool logins_reload(void *context, size_t *count, char *why, size_t why_bytes)
{
    struct daemon *daemon = context;

    if (daemon->logins == NULL) {
        snprintf(why, why_bytes, "no memory for logins");
        return false;
    }
    return logins_read_users(daemon, count, why, why_bytes);
}

static void tell_server(struct management_logins *out, const struct radius_figures *f)
{
    out->servers[out->server_count++] = (struct management_radius){
        .endpoint = f->endpoint,
        .state = f->has_secret ? radius_health_name(f->health) : "no secret",
        .unsigned_replies = f->unsigned_replies,
        .requests = f->requests,
        .retransmissions = f->retransmissions,
        .accepts = f->accepts,
        .rejects = f->rejects,
        .challenges = f->challenges,
        .given_up = f->given_up,
        .late = f->late,
        .forged = f->forged,
        .not_signed = f->not_signed,
        .malformed = f->malformed,
        .last_ms = f->last_ms};
}

void logins_tell(void *context, struct management_logins *out)
{
    const struct daemon *daemon = context;
    const struct logins *logins = daemon->logins;

    *out = (struct management_logins){0};
    if (logins == NULL) {
        return;
    }
    struct desk_figures figures = desk_figures(logins->desk);

    out->users = figures.users;
    out->under_way = figures.under_way;
    out->accepted = figures.accepted;
    out->refused = figures.refused;
    out->unavailable = figures.unavailable;
    out->accounts_waiting = radius_accounts_waiting(logins->told.client);
    out->accounts_lost = radius_accounts_lost(logins->told.client);
    for (size_t i = 0; i < radius_server_count(logins->asked.client); i++) {
        struct radius_figures f = radius_figures(logins->asked.client, i);

        tell_server(out, &f);
    }
}

/* What a block says, or without one: RADIUS if there is any, then the users that are here. */
static struct desk_rules rules_of(const struct daemon *daemon, const struct config_login *login)
{
    struct desk_rules rules = {.factor = DESK_FACTOR_NONE};

    if (login == NULL || login->source_count == 0) {
        if (login == NULL && daemon->config->radius_count > 0) {
            rules.sources[rules.source_count++] = DESK_RADIUS;
        }
        rules.sources[rules.source_count++] = DESK_LOCAL;
    }
    for (size_t i = 0; login != NULL && i < login->source_count; i++) {
        rules.sources[rules.source_count++] =
            login->sources[i] == CONFIG_LOGIN_RADIUS ? DESK_RADIUS : DESK_LOCAL;
    }
    if (login != NULL) {
        rules.factor = login->second_factor == CONFIG_FACTOR_ASKED      ? DESK_FACTOR_ASKED
                       : login->second_factor == CONFIG_FACTOR_APPENDED ? DESK_FACTOR_APPENDED
                                                                        : DESK_FACTOR_NONE;
    }
    return rules;
}

/* The block that is meant; NULL: there is none of that name. */
static const struct config_login *login_of(const struct daemon *daemon, const char *service)
{
    const struct config_site *site = config_find_site(daemon->config, service);

    return site == NULL || site->access == NULL ? NULL : &site->access->login;
}

void logins_ask(struct daemon *daemon, uint64_t job, const struct login_question *question,
                uint64_t now_ms)
{
    const struct config_login *login = login_of(daemon, question->service);
    struct logins *logins = daemon->logins;
    struct desk_rules rules = rules_of(daemon, login);

    if (logins == NULL || login == NULL) {
        struct login_answer answer =
            login_answer_of(LOGIN_UNAVAILABLE, LOGIN_REASON_STORE, "local");

        gateway_login_done(daemon->gateway, job, &answer, now_ms);
        return;
    }
    desk_ask(logins->desk, job, &rules, question, now_ms, clock_date_ms() / 1000);
    run_both(logins, now_ms);
}

static enum radius_cause cause_of(enum session_end end)
{
    switch (end) {
    case SESSION_END_PEER:
        return RADIUS_CAUSE_USER_REQUEST;
    case SESSION_END_ORDER:
    case SESSION_END_CONFIGURATION:
    case SESSION_END_POOL:
        return RADIUS_CAUSE_ADMIN_RESET;
    case SESSION_END_IDLE:
        return RADIUS_CAUSE_IDLE_TIMEOUT;
    case SESSION_END_TIME:
        return RADIUS_CAUSE_SESSION_TIMEOUT;
    case SESSION_END_COUNT:
        break;
    }
    return RADIUS_CAUSE_NAS_REQUEST;
}

void logins_session(struct daemon *daemon, const struct gateway_session *session, uint64_t now_ms)
{
    struct logins *logins = daemon->logins;
    struct radius_account account = {
        .kind = session->began ? RADIUS_ACCOUNT_START : RADIUS_ACCOUNT_STOP,
        .caller = session->outer,
        .address = session->address,
        .at_ms = now_ms,
        .session_ms = now_ms - session->since_ms,
        .in_bytes = session->in_bytes,
        .in_packets = session->in_packets,
        .out_bytes = session->out_bytes,
        .out_packets = session->out_packets,
        .cause = cause_of(session->end),
        .class_length = session->class_length,
    };

    if (logins == NULL) {
        return;
    }
    memcpy(account.user, session->user, sizeof(account.user));
    memcpy(account.service, session->service, sizeof(account.service));
    memcpy(account.class_bytes, session->class_bytes, session->class_length);
    name_session(logins, session->number, account.session);
    radius_account(logins->told.client, &account, now_ms);
    (void)run_side(&logins->told, now_ms);
}

static struct tried *free_try(struct logins *logins)
{
    struct tried *oldest = &logins->tries[0];

    for (size_t i = 1; i < TRIES_MAX; i++) {
        oldest = logins->tries[i].number < oldest->number ? &logins->tries[i] : oldest;
    }
    return oldest;
}

bool logins_try(void *context, const struct management_try *order, uint64_t *number, char *why,
                size_t why_bytes)
{
    struct daemon *daemon = context;
    struct logins *logins = daemon->logins;
    struct login_question question = {.kind = LOGIN_PASSWORD, .state = order->state};
    uint64_t now_ms = clock_now_ms();

    if (logins == NULL ||
        !text_copy(question.user, sizeof(question.user), slice_of_text(order->user)) ||
        !text_copy(question.service, sizeof(question.service), slice_of_text(order->service)) ||
        !secret_set(&question.password, slice_of_text(order->password))) {
        snprintf(why, why_bytes, "the name or the password is too long");
        return false;
    }
    const struct config_login *login = login_of(daemon, order->service);

    if (login == NULL && order->service[0] != '\0') {
        snprintf(why, why_bytes, "there is no remote-access %.64s", order->service);
        login_question_fini(&question);
        return false;
    }
    struct tried *tried = free_try(logins);
    struct desk_rules rules = rules_of(daemon, login);

    *tried = (struct tried){.number = ++logins->next_try};
    *number = tried->number;
    desk_ask(logins->desk, tried->number | TRY_JOB, &rules, &question, now_ms,
             clock_date_ms() / 1000);
    login_question_fini(&question);
    run_both(logins, now_ms);
    return true;
}

bool logins_tried(void *context, uint64_t number, struct login_answer *out)
{
    struct daemon *daemon = context;
    struct tried *tried =
        daemon->logins == NULL || number == 0 ? NULL : find_try(daemon->logins, number);

    if (tried == NULL || !tried->answered) {
        return false;
    }
    *out = tried->answer;
    *tried = (struct tried){0};
    return true;
}
