/*
 * The users on the disk: those that `sekisho users` keeps in the state directory, those that the
 * administrator wrote, and which one-time passwords were used.
 *
 *     STATE/users        written by the command alone, whole, by a new file in the place of the old
 *     STATE/users.used   written by the daemon alone, a line behind the others, or whole
 */
#ifndef SEKISHO_LOADER_USERS_STORE_H
#define SEKISHO_LOADER_USERS_STORE_H

#include "login/users.h"

#define USERS_STORE_DEFAULT_STATE "/var/lib/sekisho"
#define USERS_STORE_WHY_BYTES 1024

/* Reads a file of users into `users`, which is begun here and to be ended with users_fini(). A file
 * that is not there has none; with `must_exist` it is an error. False with the first sentence; then
 * users_add_errors() has the rest, if the text is what is wrong. */
MUST_USE bool users_store_read_file(const char *path, bool must_exist, struct users *users,
                                    char *why, size_t why_bytes);
/* STATE/NAME; false when it is too long. */
MUST_USE bool users_store_path(const char *state, const char *name, char *out, size_t out_bytes);

/* Keeps all others out who would write; -1 with a sentence. */
MUST_USE int users_store_lock(const char *state, char *why, size_t why_bytes);
void users_store_unlock(int lock);
/* Under the lock. */
MUST_USE bool users_store_write(const char *state, struct slice text, char *why, size_t why_bytes);

/* To be freed; an empty text when there is none yet. NULL with a sentence. */
MUST_USE char *users_store_read_used(const char *state, size_t *length, char *why,
                                     size_t why_bytes);
/* On the disk when it returns. In a job thread: it may take long. */
MUST_USE bool users_store_keep_used(const char *state, struct slice text, bool whole, char *why,
                                    size_t why_bytes);

#endif
