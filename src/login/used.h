/*
 * Which one-time passwords were used: for each secret the first counter that was not. It outlives
 * the process: a line is added to a file before anybody is let in, and the last line counts.
 *
 *     0123456789abcdef0123456789abcdef 56789123
 *
 * The key is a hash of the secret and its owner, so that a new secret begins anew.
 */
#ifndef SEKISHO_LOGIN_USED_H
#define SEKISHO_LOGIN_USED_H

#include "base/table.h"
#include "login/users.h"

#define USED_KEY_BYTES 16
#define USED_LINE_BYTES 64
#define USED_TEXT_BYTES_MAX ((size_t)16 << 20)

struct used_one;

struct used {
    struct table table;
    struct used_one *first;
    size_t lines; /* in the file: those that count no more among them */
};

void used_init(struct used *used, const uint8_t hash_key[16]);
void used_fini(struct used *used);
/* What the file holds. A last line without its end was not written whole and does not count; a line
 * that is none is passed over. False when there is no memory. */
MUST_USE bool used_read(struct used *used, struct slice text);
uint64_t used_next(const struct used *used, const struct user *user);
/* From now on; the line for the file. False when there is no memory. */
MUST_USE bool used_set(struct used *used, const struct user *user, uint64_t next,
                       struct text *line);
/* Whether the file has become much longer than what counts in it. */
MUST_USE bool used_is_long(const struct used *used);
/* The whole file anew; to be freed. NULL: no memory. */
MUST_USE char *used_text(struct used *used, size_t *length);

#endif
