/* What the files of management share: the question as values, and how an answer is wrapped. */
#ifndef SEKISHO_MANAGEMENT_ANSWERS_H
#define SEKISHO_MANAGEMENT_ANSWERS_H

#include <jansson.h>
#include <stdarg.h>

#include "management/management.h"

#define QUESTION_WORDS_MAX 8

enum reply_exit {
    REPLY_OK = 0,
    REPLY_FAILED = 1,
    REPLY_USAGE = 2,
    REPLY_DEGRADED = 4,
};

struct question {
    const struct management *management;
    uint64_t now_ms;
    const char *verb;
    const char *words[QUESTION_WORDS_MAX];
    size_t word_count;
    uint64_t after;
    uint64_t count; /* 0: not said */
    bool verbose, all, dry_run, rekey;
    bool plain, both, keys;
    const char *password, *service, *state; /* `users try`; NULL: not said */
};

json_t *reply_error(enum reply_exit exit_code, const char *next, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Takes the reference to `answer`. */
json_t *reply_answer(enum reply_exit exit_code, json_t *answer);
json_t *reply_no_such_site(const struct question *question, const char *name);

json_t *answer_status(const struct question *question);
/* people.c */
json_t *answer_sessions(const struct question *question);
json_t *answer_pools(const struct question *question);
json_t *people_sessions(const struct question *question); /* the first page */
json_t *people_pools(const struct question *question);
json_t *people_given(const struct question *question, const char *site);

json_t *answer_sas(const struct question *question);
json_t *answer_drops(const struct question *question);
json_t *answer_explain(const struct question *question);
json_t *answer_order(const struct question *question);
json_t *answer_apply(const struct question *question);
json_t *answer_certificates(const struct question *question);
json_t *answer_check(const struct question *question);
json_t *answer_show(const struct question *question);
json_t *answer_log(const struct question *question);
json_t *answer_trace(const struct question *question);
json_t *answer_capture(const struct question *question);
json_t *answer_users(const struct question *question);
/* users.c: what `status` says of RADIUS servers. */
json_t *radius_json(const struct management *management);
json_t *accounts_json(const struct management *management);
json_t *answer_version(const struct question *question);

#endif
