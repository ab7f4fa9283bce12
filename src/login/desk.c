/* Decides a login: source after source, then the second factor, then what is on the disk. */
#include "login/desk.h"

#include <stdlib.h>
#include <string.h>

#define PATIENCE_SLOTS 1024
#define PATIENCE_WAYS 4
#define TOKEN_BYTES 16

enum stage { STAGE_BEGIN, STAGE_VERIFYING, STAGE_RADIUS, STAGE_KEEPING, STAGE_ANSWERED };

struct job {
    struct job *next;
    uint64_t id;
    enum stage stage;
    bool asked_in_vain; /* `answer` is that of a source that could not tell */
    struct desk_rules rules;
    uint8_t source; /* index in the rules: who is being asked */
    struct login_question question; /* its password is what goes to the source */
    char code[OTP_DIGITS_MAX + 1]; /* what was typed behind the password */
    struct login_answer *answer; /* accepted by a source, or the answer itself */
    uint64_t batch; /* of what is written */
    /* What is to be done next about this job, if anything. */
    enum desk_action_kind todo;
    struct desk_verification *verification;
    struct job *next_todo;
};

/* A user who was asked something. */
struct round {
    struct round *next;
    uint8_t token[TOKEN_BYTES];
    uint64_t until_ms;
    char user[LOGIN_USER_BYTES];
    char service[LOGIN_SERVICE_BYTES];
    bool
        of_radius; /* `state` is the server's; else a code is wanted and `answer` is what follows */
    uint8_t source;
    struct login_state state;
    char code[OTP_DIGITS_MAX + 1]; /* of_radius: what was typed behind the first password */
    struct login_answer *answer;
};

struct patience {
    uint64_t who; /* 0: free */
    uint64_t until_ms;
    uint64_t last_ms;
    unsigned wrong;
};

struct login_desk {
    struct random_source random;
    uint8_t hash_key[16];
    struct users written, kept;
    bool users_broken, used_broken;
    struct used used;
    struct job *jobs;
    size_t job_count;
    struct job *first_todo, *last_todo;
    struct round *rounds;
    size_t round_count;
    struct patience patience[PATIENCE_SLOTS];
    /* What waits to be written, and what is being written. */
    char waiting[DESK_JOBS_MAX * USED_LINE_BYTES];
    size_t waiting_length;
    uint64_t waiting_batch, writing_batch; /* 0: nothing is being written */
    bool write_todo;
    bool unsound; /* a write failed: the next one is of all */
    struct desk_figures figures;
};

struct login_desk *desk_new(struct random_source random)
{
    struct login_desk *desk = calloc(1, sizeof(*desk));

    if (desk == NULL) {
        return NULL;
    }
    desk->random = random;
    random_fill(&desk->random, desk->hash_key, sizeof(desk->hash_key));
    users_init(&desk->written, desk->hash_key);
    users_init(&desk->kept, desk->hash_key);
    used_init(&desk->used, desk->hash_key);
    desk->waiting_batch = 1;
    return desk;
}

static void verification_free(struct desk_verification *v)
{
    if (v != NULL) {
        secret_wipe(&v->password);
        wipe(v, sizeof(*v));
        free(v);
    }
}

static void answer_free(struct login_answer *answer)
{
    if (answer != NULL) {
        wipe(answer, sizeof(*answer));
        free(answer);
    }
}

static void job_free(struct job *job)
{
    login_question_fini(&job->question);
    answer_free(job->answer);
    verification_free(job->verification);
    wipe(job, sizeof(*job));
    free(job);
}

static void round_free(struct round *round)
{
    answer_free(round->answer);
    wipe(round, sizeof(*round));
    free(round);
}

void desk_free(struct login_desk *desk)
{
    if (desk == NULL) {
        return;
    }
    while (desk->jobs != NULL) {
        struct job *job = desk->jobs;

        desk->jobs = job->next;
        job_free(job);
    }
    while (desk->rounds != NULL) {
        struct round *round = desk->rounds;

        desk->rounds = round->next;
        round_free(round);
    }
    users_fini(&desk->written);
    users_fini(&desk->kept);
    used_fini(&desk->used);
    free(desk);
}

void desk_set_users(struct login_desk *desk, struct users *written, struct users *kept)
{
    users_fini(&desk->written);
    users_fini(&desk->kept);
    desk->written = *written;
    desk->kept = *kept;
    *written = (struct users){0};
    *kept = (struct users){0};
}

void desk_set_broken(struct login_desk *desk, bool users, bool used)
{
    desk->users_broken = users;
    desk->used_broken = used;
}

bool desk_read_used(struct login_desk *desk, struct slice text)
{
    return used_read(&desk->used, text);
}

struct desk_figures desk_figures(const struct login_desk *desk)
{
    struct desk_figures figures = desk->figures;

    figures.users = desk->written.count + desk->kept.count;
    figures.under_way = desk->job_count;
    return figures;
}

/* ---- jobs ---- */

static void do_next(struct login_desk *desk, struct job *job, enum desk_action_kind todo)
{
    job->todo = todo;
    job->next_todo = NULL;
    if (desk->last_todo != NULL) {
        desk->last_todo->next_todo = job;
    } else {
        desk->first_todo = job;
    }
    desk->last_todo = job;
}

static struct job *find_job(struct login_desk *desk, uint64_t id, enum stage stage)
{
    struct job *job = desk->jobs;

    while (job != NULL && (job->id != id || job->stage != stage)) {
        job = job->next;
    }
    return job;
}

static void remove_job(struct login_desk *desk, struct job *gone)
{
    for (struct job **at = &desk->jobs; *at != NULL; at = &(*at)->next) {
        if (*at == gone) {
            *at = gone->next;
            desk->job_count--;
            job_free(gone);
            return;
        }
    }
}

static void count_verdict(struct login_desk *desk, enum login_verdict verdict)
{
    switch (verdict) {
    case LOGIN_ACCEPTED:
        desk->figures.accepted++;
        return;
    case LOGIN_REFUSED:
        desk->figures.refused++;
        return;
    case LOGIN_CHALLENGED:
        desk->figures.challenged++;
        return;
    case LOGIN_UNAVAILABLE:
        desk->figures.unavailable++;
        return;
    }
}

static void answer_with(struct login_desk *desk, struct job *job, const struct login_answer *answer)
{
    *job->answer = *answer;
    job->stage = STAGE_ANSWERED;
    count_verdict(desk, answer->verdict);
    do_next(desk, job, DESK_ANSWER);
}

static void answer_no(struct login_desk *desk, struct job *job, enum login_verdict verdict,
                      enum login_reason reason)
{
    struct login_answer answer = login_answer_of(verdict, reason, "local");

    answer_with(desk, job, &answer);
}

/* ---- who tries too often ---- */

/* A name from one address, or the codes of a name from anywhere. */
static uint64_t who_of(const struct login_desk *desk, const struct login_question *q, bool codes)
{
    uint8_t bytes[1 + sizeof(struct address) + LOGIN_USER_BYTES] = {codes};
    size_t length = strlen(q->user);

    if (!codes) {
        memcpy(bytes + 1, &q->caller.address, sizeof(struct address));
    }
    memcpy(bytes + 1 + sizeof(struct address), q->user, length);
    return siphash24(desk->hash_key, (struct slice){bytes, 1 + sizeof(struct address) + length}) |
           1;
}

static struct patience *find_patience(struct login_desk *desk, uint64_t who)
{
    for (unsigned i = 0; i < PATIENCE_WAYS; i++) {
        struct patience *p = &desk->patience[(who >> 8) % (PATIENCE_SLOTS - PATIENCE_WAYS) + i];

        if (p->who == who) {
            return p;
        }
    }
    return NULL;
}

static bool tries_too_often(struct login_desk *desk, uint64_t who, uint64_t now_ms)
{
    const struct patience *p = find_patience(desk, who);

    return p != NULL && now_ms < p->until_ms;
}

/* The oldest of a few places gives way: what is kept is bounded. */
static struct patience *make_patience(struct login_desk *desk, uint64_t who)
{
    struct patience *oldest = &desk->patience[(who >> 8) % (PATIENCE_SLOTS - PATIENCE_WAYS)];

    for (unsigned i = 1; i < PATIENCE_WAYS; i++) {
        if (oldest[i].last_ms < oldest->last_ms) {
            oldest += i;
            break;
        }
    }
    *oldest = (struct patience){.who = who};
    return oldest;
}

static void note_wrong(struct login_desk *desk, uint64_t who, uint64_t now_ms)
{
    struct patience *p = find_patience(desk, who);

    if (p == NULL) {
        p = make_patience(desk, who);
    }
    p->wrong = now_ms - p->last_ms > DESK_FORGIVE_MS ? 1 : p->wrong + 1;
    p->last_ms = now_ms;
    if (p->wrong >= DESK_TRIES) {
        unsigned doubled = p->wrong - DESK_TRIES;
        uint64_t wait_ms = doubled > 6 ? DESK_WAIT_MS_MOST : UINT64_C(1000) << doubled;

        p->until_ms = now_ms + (wait_ms < DESK_WAIT_MS_MOST ? wait_ms : DESK_WAIT_MS_MOST);
    }
}

static void note_right(struct login_desk *desk, uint64_t who)
{
    struct patience *p = find_patience(desk, who);

    if (p != NULL) {
        *p = (struct patience){0};
    }
}

/* ---- rounds ---- */

static void forget_old_rounds(struct login_desk *desk, uint64_t now_ms)
{
    for (struct round **at = &desk->rounds; *at != NULL;) {
        struct round *round = *at;

        if (round->until_ms > now_ms) {
            at = &round->next;
            continue;
        }
        *at = round->next;
        desk->round_count--;
        round_free(round);
    }
}

/* Takes one out that this question answers. */
static struct round *take_round(struct login_desk *desk, const struct login_question *q)
{
    for (struct round **at = &desk->rounds; *at != NULL; at = &(*at)->next) {
        struct round *round = *at;

        if (q->state.length == TOKEN_BYTES &&
            equal_in_constant_time(round->token, q->state.bytes, TOKEN_BYTES)) {
            *at = round->next;
            desk->round_count--;
            return round;
        }
    }
    return NULL;
}

/* The user is asked: with the words and for the next question's state. */
static void begin_round(struct login_desk *desk, struct job *job, struct login_answer *answer,
                        bool of_radius, uint64_t now_ms)
{
    struct round *round = NULL;

    forget_old_rounds(desk, now_ms);
    if (desk->round_count < DESK_ROUNDS_MAX) {
        round = calloc(1, sizeof(*round));
    }
    if (round == NULL) {
        answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_BUSY);
        return;
    }
    random_fill(&desk->random, round->token, sizeof(round->token));
    round->until_ms = now_ms + DESK_ROUND_MS;
    memcpy(round->user, job->question.user, sizeof(round->user));
    memcpy(round->service, job->question.service, sizeof(round->service));
    round->source = job->source;
    round->of_radius = of_radius;
    round->state = answer->state;
    memcpy(round->code, job->code, sizeof(round->code));
    if (!of_radius) {
        round->answer = malloc(sizeof(*round->answer));
        if (round->answer == NULL) {
            round_free(round);
            answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_BUSY);
            return;
        }
        *round->answer = *answer;
    }
    round->next = desk->rounds;
    desk->rounds = round;
    desk->round_count++;

    struct login_answer asked =
        login_answer_of(LOGIN_CHALLENGED, LOGIN_REASON_NONE, answer->source);
    struct text words = text_over(asked.message, sizeof(asked.message));

    text_add(&words, of_radius ? answer->message : DESK_CODE_QUESTION);
    asked.state.length = TOKEN_BYTES;
    memcpy(asked.state.bytes, round->token, TOKEN_BYTES);
    answer_with(desk, job, &asked);
}

/* ---- the second factor ---- */

static const struct user *find_user(const struct login_desk *desk, const char *name)
{
    struct slice text = slice_of_text(name);
    const struct user *user = users_find(&desk->written, text);

    return user != NULL ? user : users_find(&desk->kept, text);
}

/* The name alone: without DOMAIN\ before it and @REALM behind it. */
static struct slice bare_name(struct slice name)
{
    size_t from = 0, to;

    for (size_t i = 0; i < name.length; i++) {
        from = name.data[i] == '\\' ? i + 1 : from;
    }
    for (to = from; to < name.length && name.data[to] != '@'; to++) {
    }
    return (struct slice){name.data + from, to - from};
}

static uint8_t small_letter(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool same_bare_name(struct slice a, struct slice b)
{
    if (a.length != b.length) {
        return false;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (small_letter(a.data[i]) != small_letter(b.data[i])) {
            return false;
        }
    }
    return true;
}

/* `first`: whose users count where a name stands in both; or NULL. */
static bool disables_bare(const struct users *users, const struct users *first, struct slice bare)
{
    for (size_t i = 0; i < users->count; i++) {
        const struct user *user = &users->list[i];

        if (user->disabled && same_bare_name(bare_name(user->name), bare) &&
            (first == NULL || users_find(first, user->name) == NULL)) {
            return true;
        }
    }
    return false;
}

/* A server may take a name in any spelling for the same account: then whoever is disabled in one
 * is in all, but those that stand here themselves. */
static bool is_disabled(const struct login_desk *desk, const char *name)
{
    const struct user *user = find_user(desk, name);
    struct slice bare = bare_name(slice_of_text(name));

    if (user != NULL) {
        return user->disabled;
    }
    return bare.length > 0 && (disables_bare(&desk->written, NULL, bare) ||
                               disables_bare(&desk->kept, &desk->written, bare));
}

/* As he called himself, or as the server calls him. */
static bool either_disabled(const struct login_desk *desk, const struct job *job)
{
    return is_disabled(desk, job->question.user) || is_disabled(desk, job->answer->user);
}

/* What a right code leaves behind must be on the disk before it opens anything. */
static void keep_used(struct login_desk *desk, struct job *job, const struct user *user,
                      uint64_t counter)
{
    char line_bytes[USED_LINE_BYTES];
    struct text line = text_over(line_bytes, sizeof(line_bytes));

    if (!used_set(&desk->used, user, counter + 1, &line) ||
        desk->waiting_length + line.length > sizeof(desk->waiting)) {
        answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_STORE);
        return;
    }
    memcpy(desk->waiting + desk->waiting_length, line.data, line.length);
    desk->waiting_length += line.length;
    job->stage = STAGE_KEEPING;
    job->batch = desk->waiting_batch;
    desk->write_todo = desk->writing_batch == 0;
}

static void check_code(struct login_desk *desk, struct job *job, struct slice code, uint64_t now_ms,
                       uint64_t wall_s)
{
    const struct user *user = find_user(desk, job->question.user);
    uint64_t who = who_of(desk, &job->question, true);
    uint64_t counter = 0;

    /* Who does not know what was used would take it again. */
    if (desk->users_broken || desk->used_broken) {
        answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_STORE);
    } else if (user == NULL || user->otp.kind == OTP_NONE) {
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_NO_SECOND_FACTOR);
    } else if (either_disabled(desk, job)) {
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_DISABLED);
    } else if (tries_too_often(desk, who, now_ms)) {
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_THROTTLED);
    } else if (!otp_match(&user->otp, code, used_next(&desk->used, user), wall_s, &counter)) {
        note_wrong(desk, who, now_ms);
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_CODE);
    } else {
        note_right(desk, who);
        keep_used(desk, job, user, counter);
    }
}

/* A source accepted. */
static void accept_first(struct login_desk *desk, struct job *job,
                         const struct login_answer *accepted, uint64_t now_ms, uint64_t wall_s)
{
    const struct user *user = find_user(desk, job->question.user);

    /* A server does not know who is disabled here, and neither do we now. */
    if (desk->users_broken) {
        answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_STORE);
        return;
    }
    *job->answer = *accepted;
    if (either_disabled(desk, job)) {
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_DISABLED);
        return;
    }
    switch ((enum desk_factor)job->rules.factor) {
    case DESK_FACTOR_NONE:
        answer_with(desk, job, accepted);
        return;
    case DESK_FACTOR_APPENDED:
        check_code(desk, job, slice_of_text(job->code), now_ms, wall_s);
        return;
    case DESK_FACTOR_ASKED:
        if (user == NULL || user->otp.kind == OTP_NONE) {
            answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_NO_SECOND_FACTOR);
            return;
        }
        begin_round(desk, job, job->answer, false, now_ms);
        return;
    }
}

/* ---- the sources ---- */

static void ask_source(struct login_desk *desk, struct job *job);

static void ask_next(struct login_desk *desk, struct job *job)
{
    job->source++;
    ask_source(desk, job);
}

static bool is_last(const struct job *job)
{
    return job->source + 1 >= job->rules.source_count;
}

/* Whose verifier is computed for a name that is not there: somebody's, always the same for a name,
 * so that unknown names take as long as known ones. */
static struct password_verifier decoy(const struct login_desk *desk, const char *name)
{
    const struct users *users = desk->written.count > 0 ? &desk->written : &desk->kept;
    struct password_verifier verifier = {.rounds = PASSWORD_ROUNDS,
                                         .salt_length = PASSWORD_SALT_BYTES};

    if (users->count > 0) {
        const struct user *user =
            &users->list[siphash24(desk->hash_key, slice_of_text(name)) % users->count];
        verifier = user->has_verifier ? user->verifier : verifier;
    }
    return verifier;
}

static void verify(struct login_desk *desk, struct job *job,
                   const struct password_verifier *verifier)
{
    struct desk_verification *v = calloc(1, sizeof(*v));

    if (v == NULL || !secret_copy(&v->password, &job->question.password)) {
        verification_free(v);
        answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_BUSY);
        return;
    }
    v->job = job->id;
    v->verifier = *verifier;
    job->verification = v;
    job->stage = STAGE_VERIFYING;
    do_next(desk, job, DESK_VERIFY);
}

static void ask_local(struct login_desk *desk, struct job *job)
{
    const struct user *user = find_user(desk, job->question.user);
    bool knows = user != NULL && user->has_verifier;

    if (desk->users_broken || desk->used_broken) {
        if (is_last(job)) {
            answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_STORE);
        } else {
            ask_next(desk, job);
        }
        return;
    }
    if (!knows && !is_last(job)) {
        ask_next(desk, job);
        return;
    }
    if (job->question.kind == LOGIN_CHAP) {
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_METHOD);
        return;
    }
    struct password_verifier verifier = knows ? user->verifier : decoy(desk, job->question.user);

    verify(desk, job, &verifier);
    wipe(&verifier, sizeof(verifier));
}

static void ask_source(struct login_desk *desk, struct job *job)
{
    if (job->source >= job->rules.source_count) {
        answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_RADIUS_SILENT);
        return;
    }
    if (job->rules.sources[job->source] == DESK_LOCAL) {
        ask_local(desk, job);
        return;
    }
    job->stage = STAGE_RADIUS;
    do_next(desk, job, DESK_ASK_RADIUS);
}

/* The digits that were typed behind the password. Of whom we know no token six are taken, so that
 * he learns nothing by it. */
static bool split_code(struct login_desk *desk, struct job *job)
{
    const struct user *user = find_user(desk, job->question.user);
    size_t digits = user != NULL && user->otp.kind != OTP_NONE ? user->otp.digits : 6;
    struct secret *password = &job->question.password;
    size_t length = password->length > digits ? password->length - digits : 0;
    struct secret rest = {0};

    if (job->question.kind == LOGIN_CHAP) {
        return true;
    }
    if (password->length >= digits) {
        memcpy(job->code, password->bytes + length, digits);
        job->code[digits] = '\0';
    }
    bool kept = secret_set(&rest, (struct slice){password->bytes, length});

    secret_move(password, &rest);
    return kept;
}

/* ---- what comes in ---- */

static void go_on(struct login_desk *desk, struct job *job, struct round *round, uint64_t now_ms,
                  uint64_t wall_s)
{
    if (round == NULL || round->until_ms <= now_ms ||
        strcmp(round->user, job->question.user) != 0 ||
        strcmp(round->service, job->question.service) != 0) {
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_STALE);
        return;
    }
    job->source = round->source;
    if (round->of_radius) {
        job->question.state = round->state;
        memcpy(job->code, round->code, sizeof(job->code));
        ask_source(desk, job);
        return;
    }
    *job->answer = *round->answer;
    check_code(desk, job, secret_slice(&job->question.password), now_ms, wall_s);
}

static struct job *make_job(struct login_desk *desk, uint64_t id, const struct desk_rules *rules,
                            const struct login_question *question)
{
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL) {
        return NULL;
    }
    job->id = id;
    job->rules = *rules;
    job->answer = calloc(1, sizeof(*job->answer));
    if (job->answer == NULL || !login_question_copy(&job->question, question)) {
        job_free(job);
        return NULL;
    }
    job->next = desk->jobs;
    desk->jobs = job;
    desk->job_count++;
    return job;
}

/* With a zero at its end it would be equal to one without, for HMAC and for RADIUS. */
static bool is_password(const struct login_question *q)
{
    return q->password.length <= LOGIN_PASSWORD_BYTES_MAX &&
           (q->kind != LOGIN_PASSWORD || q->password.length == 0 ||
            memchr(q->password.bytes, 0, q->password.length) == NULL);
}

void desk_ask(struct login_desk *desk, uint64_t id, const struct desk_rules *rules,
              const struct login_question *question, uint64_t now_ms, uint64_t wall_s)
{
    struct job *job = make_job(desk, id, rules, question);

    if (job == NULL) {
        return; /* without memory nothing more can be said; who asked has his own patience */
    }
    if (desk->job_count > DESK_JOBS_MAX) {
        answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_BUSY);
        return;
    }
    if (question->state.length > 0) {
        struct round *round = take_round(desk, question);

        go_on(desk, job, round, now_ms, wall_s);
        if (round != NULL) {
            round_free(round);
        }
        return;
    }
    if (!users_is_name(slice_of_text(question->user)) || !is_password(question)) {
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_PASSWORD);
        return;
    }
    if (tries_too_often(desk, who_of(desk, question, false), now_ms)) {
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_THROTTLED);
        return;
    }
    if (rules->factor == DESK_FACTOR_APPENDED && !split_code(desk, job)) {
        answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_BUSY);
        return;
    }
    ask_source(desk, job);
}

void desk_verify(struct desk_verification *v)
{
    v->fits = password_fits(&v->verifier, secret_slice(&v->password));
}

static struct login_answer local_answer(const struct user *user)
{
    struct login_answer answer = login_answer_of(LOGIN_ACCEPTED, LOGIN_REASON_NONE, "local");

    /* A name that is longer was never read. */
    memcpy(answer.user, user->name.data, user->name.length);
    users_split_groups(user->groups, &answer);
    answer.address = user->address;
    return answer;
}

/* Who could not be asked might have said yes: that is what is told then, of known names and of
 * unknown ones. */
static void refuse_password(struct login_desk *desk, struct job *job)
{
    if (job->asked_in_vain) {
        struct login_answer answer = *job->answer;

        answer_with(desk, job, &answer);
    } else {
        answer_no(desk, job, LOGIN_REFUSED, LOGIN_REASON_PASSWORD);
    }
}

void desk_verified(struct login_desk *desk, struct desk_verification *v, uint64_t now_ms,
                   uint64_t wall_s)
{
    struct job *job = find_job(desk, v->job, STAGE_VERIFYING);
    bool fits = v->fits;

    verification_free(v);
    if (job == NULL) {
        return;
    }
    const struct user *user = find_user(desk, job->question.user);
    uint64_t who = who_of(desk, &job->question, false);

    if (!fits || user == NULL || !user->has_verifier) {
        note_wrong(desk, who, now_ms);
        refuse_password(desk, job);
        return;
    }
    struct login_answer accepted = local_answer(user);

    note_right(desk, who);
    accept_first(desk, job, &accepted, now_ms, wall_s);
}

void desk_radius_answered(struct login_desk *desk, uint64_t id, const struct login_answer *answer,
                          uint64_t now_ms, uint64_t wall_s)
{
    struct job *job = find_job(desk, id, STAGE_RADIUS);

    if (job == NULL) {
        return;
    }
    switch (answer->verdict) {
    case LOGIN_ACCEPTED:
        note_right(desk, who_of(desk, &job->question, false));
        accept_first(desk, job, answer, now_ms, wall_s);
        return;
    case LOGIN_REFUSED:
        note_wrong(desk, who_of(desk, &job->question, false), now_ms);
        answer_with(desk, job, answer);
        return;
    case LOGIN_CHALLENGED:
        *job->answer = *answer;
        begin_round(desk, job, job->answer, true, now_ms);
        return;
    case LOGIN_UNAVAILABLE:
        if (is_last(job) || job->question.state.length > 0) {
            answer_with(desk, job, answer);
        } else {
            *job->answer = *answer;
            job->asked_in_vain = true;
            ask_next(desk, job);
        }
        return;
    }
}

void desk_kept(struct login_desk *desk, bool kept)
{
    uint64_t batch = desk->writing_batch;

    desk->writing_batch = 0;
    desk->unsound |= !kept;
    desk->write_todo = desk->waiting_length > 0;
    for (struct job *job = desk->jobs; job != NULL; job = job->next) {
        if (job->stage != STAGE_KEEPING || job->batch != batch) {
            continue;
        }
        if (kept) {
            struct login_answer accepted = *job->answer;

            answer_with(desk, job, &accepted);
        } else {
            answer_no(desk, job, LOGIN_UNAVAILABLE, LOGIN_REASON_STORE);
        }
    }
}

/* ---- what goes out ---- */

/* One that failed may have left half a line: then all is written anew. */
static bool take_write(struct login_desk *desk, struct desk_action *action)
{
    desk->write_todo = false;
    action->kind = DESK_KEEP;
    action->whole = desk->unsound || used_is_long(&desk->used);
    if (action->whole) {
        action->text = used_text(&desk->used, &action->text_length);
    } else {
        action->text = malloc(desk->waiting_length);
        action->text_length = desk->waiting_length;
        if (action->text != NULL) {
            memcpy(action->text, desk->waiting, desk->waiting_length);
        }
    }
    desk->writing_batch = desk->waiting_batch++;
    desk->waiting_length = 0;
    if (action->text == NULL) {
        desk_kept(desk, false);
        return false;
    }
    desk->unsound = false;
    return true;
}

bool desk_take(struct login_desk *desk, struct desk_action *action)
{
    *action = (struct desk_action){.kind = DESK_NOTHING};
    if (desk->write_todo && take_write(desk, action)) {
        return true;
    }
    if (desk->first_todo != NULL) {
        struct job *job = desk->first_todo;

        desk->first_todo = job->next_todo;
        desk->last_todo = desk->first_todo == NULL ? NULL : desk->last_todo;
        action->kind = job->todo;
        action->job = job->id;
        memcpy(action->user, job->question.user, sizeof(action->user));
        job->todo = DESK_NOTHING;
        action->verification = job->verification;
        job->verification = NULL;
        action->question = &job->question;
        if (action->kind == DESK_ANSWER) {
            action->answer = job->answer;
            action->question = NULL;
            job->answer = NULL;
            remove_job(desk, job);
        }
        return true;
    }
    action->kind = DESK_NOTHING;
    return false;
}
