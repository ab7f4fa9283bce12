/*
 * The desk where logins are decided: whom to ask in which order, whether a code is wanted beside
 * the password, who tried too often. A machine: questions and answers come in with the time,
 * actions go out. It asks for arithmetic (a job thread has the time), for a RADIUS server, and for
 * what must be on the disk before anybody is let in.
 */
#ifndef SEKISHO_LOGIN_DESK_H
#define SEKISHO_LOGIN_DESK_H

#include "base/random.h"
#include "login/used.h"
#include "login/users.h"

#define DESK_JOBS_MAX 256 /* logins under way at once */
#define DESK_ROUNDS_MAX 256 /* answers of users that are waited for */
#define DESK_ROUND_MS UINT64_C(180000)
#define DESK_SOURCES_MAX 2
/* RFC 4226 7.3: after so many wrong tries each further one waits, a second first, a minute last. */
#define DESK_TRIES 5
#define DESK_WAIT_MS_MOST UINT64_C(60000)
#define DESK_FORGIVE_MS UINT64_C(900000) /* so long after the last wrong one all is forgotten */
#define DESK_CODE_QUESTION "One-time code:"

enum desk_source { DESK_LOCAL, DESK_RADIUS };
enum desk_factor { DESK_FACTOR_NONE, DESK_FACTOR_ASKED, DESK_FACTOR_APPENDED };

/* What the service says about its logins. */
struct desk_rules {
    uint8_t sources[DESK_SOURCES_MAX]; /* enum desk_source */
    uint8_t source_count;
    uint8_t factor; /* enum desk_factor */
};

/* For a job thread, and of nobody else meanwhile. */
struct desk_verification {
    uint64_t job;
    struct password_verifier verifier;
    struct secret password;
    bool fits; /* the result */
};

enum desk_action_kind {
    DESK_NOTHING,
    DESK_VERIFY, /* -> desk_verified() */
    DESK_ASK_RADIUS, /* -> desk_radius_answered() */
    DESK_KEEP, /* -> desk_kept(); one at a time */
    DESK_ANSWER,
};

struct desk_action {
    enum desk_action_kind kind;
    uint64_t job;
    char user[LOGIN_USER_BYTES]; /* as he called himself; not of KEEP */
    struct desk_verification *verification; /* VERIFY: the taker's; desk_verified() takes it back */
    const struct login_question *question; /* ASK_RADIUS: until it is answered */
    struct login_answer *answer; /* ANSWER: the taker's, to be freed with free() */
    char *text; /* KEEP: the taker's, to be freed with free() */
    size_t text_length;
    bool whole; /* KEEP: instead of what was there; else behind it */
};

struct login_desk;

MUST_USE struct login_desk *desk_new(struct random_source random);
void desk_free(struct login_desk *desk);
/* Takes the users over (two lists: what the administrator wrote, what the command keeps; of a name
 * in both the first counts). Logins under way go on with these. */
void desk_set_users(struct login_desk *desk, struct users *written, struct users *kept);
/* Whether the users could not be read (then nobody is let in at all: who knows who is disabled), or
 * what of one-time passwords was used (then nobody by a code, nor by a password of ours). */
void desk_set_broken(struct login_desk *desk, bool users, bool used);
/* What of one-time passwords was used before this process began. */
MUST_USE bool desk_read_used(struct login_desk *desk, struct slice text);

/* The answer comes under `job`, which is the caller's. The question is copied. */
void desk_ask(struct login_desk *desk, uint64_t job, const struct desk_rules *rules,
              const struct login_question *question, uint64_t now_ms, uint64_t wall_s);
/* In a job thread. */
void desk_verify(struct desk_verification *verification);
void desk_verified(struct login_desk *desk, struct desk_verification *verification, uint64_t now_ms,
                   uint64_t wall_s);
void desk_radius_answered(struct login_desk *desk, uint64_t job, const struct login_answer *answer,
                          uint64_t now_ms, uint64_t wall_s);
void desk_kept(struct login_desk *desk, bool kept);

/* False when there is nothing to do. */
MUST_USE bool desk_take(struct login_desk *desk, struct desk_action *action);

struct desk_figures {
    uint64_t accepted, refused, challenged, unavailable;
    size_t users, under_way;
};
struct desk_figures desk_figures(const struct login_desk *desk);

#endif
