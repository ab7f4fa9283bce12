/* Files: texts of bounded size, patterns of names, secrets that nobody else may read, and writing
 * that cannot tear. */
#ifndef SEKISHO_HOST_FILES_H
#define SEKISHO_HOST_FILES_H

#include "base/secret.h"

#define FILES_TEXT_BYTES_MAX (64u * 1024 * 1024)
#define FILES_PRIVATE_BYTES_MAX (256u * 1024)

/* A regular file of at most FILES_TEXT_BYTES_MAX, with a zero behind the end; to be freed. NULL
 * with a sentence. */
MUST_USE char *files_read(const char *path, size_t *length, char *why, size_t why_bytes);

/* The same of a file that nobody but its owner, who is root or us, may read: a private key. The
 * caller wipes it. */
MUST_USE char *files_read_private(const char *path, size_t *length, char *why, size_t why_bytes);
/* Of up to `limit` octets instead of FILES_PRIVATE_BYTES_MAX. */
MUST_USE char *files_read_private_to(const char *path, size_t limit, size_t *length, char *why,
                                     size_t why_bytes);

MUST_USE bool files_exist(const char *path);

/* Names that match a pattern, sorted; each and the list to be freed with files_match_free(). None
 * is no mistake. */
struct files_match {
    char **paths;
    size_t count;
};
MUST_USE bool files_match(const char *pattern, struct files_match *out);
void files_match_free(struct files_match *match);

/* A secret by name: DIRECTORY/NAME, or a credential that systemd gave. The end of the line is not
 * part of it. False with a sentence that says what to do: it is not there, others can read it, it
 * is not ours, it is empty. */
MUST_USE bool files_read_secret(const char *directory, const char *name, struct secret *out,
                                char *why, size_t why_bytes);
/* The same checks without keeping it. */
MUST_USE bool files_secret_usable(const char *directory, const char *name, char *why,
                                  size_t why_bytes);

/* Either the old or the new content, whatever happens in between. Mode as in chmod. */
MUST_USE bool files_write(const char *path, struct slice bytes, unsigned mode, char *why,
                          size_t why_bytes);
/* Removes the oldest files with this ending of a directory until no more than `count` are left. */
void files_keep_newest(const char *directory, const char *ending, size_t count);
/* Makes the directory and those above it; one that is there stays as it is. */
MUST_USE bool files_make_directory(const char *path, unsigned mode, char *why, size_t why_bytes);

#endif
