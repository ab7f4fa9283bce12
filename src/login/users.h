/*
 * The file of users: a line each, with what a user proves himself by and what is his.
 *
 *     alice  staff,admins  $scram$sha-256$200000$SALT$KEY  totp BASE32  address 10.9.0.7
 *     bob    -             -                               disabled
 *
 * docs/users.md has all words. Nothing of a verifier or a secret is ever told.
 */
#ifndef SEKISHO_LOGIN_USERS_H
#define SEKISHO_LOGIN_USERS_H

#include "base/table.h"
#include "crypto/password.h"
#include "login/login.h"
#include "login/otp.h"

#define USERS_MAX 100000
#define USERS_LINE_BYTES_MAX 2048
#define USERS_TEXT_BYTES_MAX ((size_t)USERS_MAX * 512)
#define USERS_ERRORS_MAX 20

struct user {
    struct slice name; /* in the text of the users */
    struct slice groups; /* with commas between; empty: none */
    bool has_verifier; /* else others know the password (RADIUS) */
    bool disabled;
    struct password_verifier verifier;
    struct otp otp;
    struct address address; /* always this one; no family: one of the pool */
    size_t line_at, line_length; /* its line in the text, with the end of the line */
};

struct users_error {
    uint32_t line, column, length; /* from 1, in octets */
    char message[192];
    char advice[160];
};

struct users {
    uint8_t *text; /* a copy: wiped when it goes */
    size_t text_length;
    struct user *list;
    size_t count, capacity;
    struct table by_name;
    struct users_error errors[USERS_ERRORS_MAX];
    size_t error_count; /* of all; the first USERS_ERRORS_MAX are kept */
};

void users_init(struct users *users, const uint8_t hash_key[16]);
/* Reads a whole text; false when something in it is wrong, or there is no memory (then without an
 * error). To be read once. */
MUST_USE bool users_read(struct users *users, struct slice text);
void users_fini(struct users *users);
MUST_USE const struct user *users_find(const struct users *users, struct slice name);
/* What is wrong, as a person reads it: FILE:LINE:COLUMN, the line with a caret; verifiers and
 * secrets in it are stars. */
void users_add_errors(const struct users *users, const char *path, struct text *out);

/* What may be a name of a user, or of a group. */
MUST_USE bool users_is_name(struct slice name);
MUST_USE bool users_is_group(struct slice name);
/* One line with its end, as users_read() takes it. */
void users_add_line(struct text *out, const struct user *user);
/* The text with the line of a user replaced (an empty line removes it), or with one more line when
 * `user` is NULL. To be freed with free() after wiping; NULL: no memory. */
MUST_USE uint8_t *users_edit(const struct users *users, const struct user *user, struct slice line,
                             size_t *length);
/* The groups of a user, or those of RADIUS that are written in the same way. */
void users_split_groups(struct slice groups, struct login_answer *answer);

#endif
