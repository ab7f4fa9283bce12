/* What the files of the command share: the words that were said, and how to end. */
#ifndef SEKISHO_SEKISHO_COMMAND_H
#define SEKISHO_SEKISHO_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Exit codes of every verb. */
enum command_exit {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_RUNNING = 3,
    EXIT_DEGRADED = 4,
};

#define COMMAND_WORDS_MAX 8

struct command {
    const char *socket_path;
    const char *config_path; /* for verbs that need no daemon */
    const char *verb;
    const char *words[COMMAND_WORDS_MAX];
    size_t word_count;
    bool json;
    bool verbose;
    bool follow;
    bool all;
    bool dry_run;
    bool rekey;
    bool from_stdin;
    bool colour;
    /* capture */
    const char *write_path, *keys_path, *count, *seconds;
    bool plain, both;
    /* ca */
    const char *output_path, *passphrase_path, *days, *key_kind, *within, *url;
    bool compatible, due;
    /* export-peer */
    const char *product;
    const char *last; /* trace */
    const char *site; /* check */
    bool probe;
    bool with_secret;
    /* users */
    const char *state, *group, *address, *issuer, *service;
    bool no_password;
    const char *password, *login_state; /* of a question to the daemon */
};

/* people.c: what status says of people, and what was given to us. */
void show_people(const json_t *answer);
void show_given(const json_t *site);
int verb_pools(const struct command *command);

struct verb {
    const char *name;
    const char *arguments; /* as help shows them */
    const char *summary;
    unsigned words_min, words_max;
    int (*run)(const struct command *command);
};

/* NULL behind the last. */
const struct verb *verb_at(size_t index);
const struct verb *verb_find(const char *name);

/* Asks the daemon. NULL when it could not be asked: the sentence has been printed and *exit_code
 * set. The answer is the whole reply with "exit" and "answer" or "error". `after` < 0: not said. */
json_t *daemon_ask(const struct command *command, long long after, int *exit_code);
/* The same for what is answered in pages: all of them as one, `list` being what a page has a part
 * of. */
json_t *daemon_ask_pages(const struct command *command, const char *list, int *exit_code);
/* The same in two steps, for verbs that are answered more than once: a connected descriptor, -1
 * when there is none; the question and its first answer. */
int daemon_connect(const struct command *command, int *exit_code);
json_t *daemon_ask_on(const struct command *command, int fd, long long after, int *exit_code);
/* Lines with rising numbers, from the daemon's ring: once, or with --follow again and again. */
int daemon_follow(const struct command *command);
/* The path of the control socket from --socket, --run or SEKISHO_SOCKET. */
const char *daemon_socket_path(const char *socket_path, const char *run_folder);

/* Verbs that ask the daemon. */
int verb_status(const struct command *command);
int verb_explain(const struct command *command);
int verb_order(const struct command *command); /* up, down, restart */
int verb_apply(const struct command *command);
int verb_sas(const struct command *command);
int verb_drops(const struct command *command);
int verb_log(const struct command *command);
int verb_trace(const struct command *command);
int verb_capture(const struct command *command);
int verb_version(const struct command *command);
int verb_show(const struct command *command);
int verb_check(const struct command *command);
/* Verbs that need no daemon. */
int verb_fmt(const struct command *command);
int verb_secret(const struct command *command);
int verb_ca(const struct command *command);
int verb_users(const struct command *command);
/* What `status` says of RADIUS servers. */
void show_radius(const json_t *answer);
/* check --site NAME --probe */
int command_probe(const struct command *command);
int verb_export_peer(const struct command *command);
int verb_help(const struct command *command);

/* Tells a failure: a sentence on standard error, and with --json the same as JSON on standard
 * output. `next` may be NULL. Gives back the exit code. */
int fail_with(bool json, int exit_code, const char *next, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Prints a JSON value as the only output. */
void print_json(const json_t *value);

/* 12 s, 4 min, 3 h, 12 d; "-" when negative. */
const char *show_duration(double seconds, char text[32]);
/* 812 B, 1.9 GB: decimal, as the links are sold. */
const char *show_bytes(double bytes, char text[32]);
/* The text of a member, or "" when it is not there. */
const char *text_of(const json_t *object, const char *name);
double number_of(const json_t *object, const char *name);
bool is_true(const json_t *object, const char *name);

#endif
