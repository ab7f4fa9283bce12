/* Decides where users stand on the disk, and how they are read and written without losing any. */
#include "loader/users_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/entropy.h"
#include "host/files.h"
#include "login/used.h"

#define PATH_BYTES 4096
#define STORE_NAME "users"
#define LOCK_NAME "users.lock"
#define USED_NAME "users.used"

bool users_store_path(const char *state, const char *name, char *out, size_t out_bytes)
{
    int length = snprintf(out, out_bytes, "%s/%s", state, name);

    return length > 0 && (size_t)length < out_bytes;
}

/* The first thing that is wrong, in one line. */
static void tell_first(const struct users *users, const char *path, char *why, size_t why_bytes)
{
    const struct users_error *first = &users->errors[0];

    if (users->error_count == 0) {
        snprintf(why, why_bytes, "%s: there is no memory", path);
        return;
    }
    snprintf(why, why_bytes, "%s:%u:%u: %s%s", path, (unsigned)first->line, (unsigned)first->column,
             first->message, users->error_count > 1 ? ", and more" : "");
}

bool users_store_read_file(const char *path, bool must_exist, struct users *users, char *why,
                           size_t why_bytes)
{
    struct random_source random = entropy_source();
    uint8_t hash_key[16];
    size_t length = 0;

    random_fill(&random, hash_key, sizeof(hash_key));
    users_init(users, hash_key);
    why[0] = '\0';
    if (!must_exist && !files_exist(path)) {
        return users_read(users, (struct slice){NULL, 0});
    }
    char *text = files_read_private_to(path, USERS_TEXT_BYTES_MAX, &length, why, why_bytes);

    if (text == NULL) {
        return false;
    }
    bool good = users_read(users, (struct slice){(const uint8_t *)text, length});

    wipe(text, length);
    free(text);
    if (!good) {
        tell_first(users, path, why, why_bytes);
    }
    return good;
}

int users_store_lock(const char *state, char *why, size_t why_bytes)
{
    char path[PATH_BYTES];

    if (!users_store_path(state, LOCK_NAME, path, sizeof(path)) ||
        !files_make_directory(state, 0700, why, why_bytes)) {
        return -1;
    }
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        snprintf(why, why_bytes, "cannot open %s: %s", path, strerror(errno));
        if (lock >= 0) {
            close(lock);
        }
        return -1;
    }
    return lock;
}

void users_store_unlock(int lock)
{
    (void)close(lock);
}

/* What a writer left that was killed: nobody else writes now. */
static void sweep(const char *path)
{
    char pattern[PATH_BYTES];
    struct files_match match;

    if (snprintf(pattern, sizeof(pattern), "%s.new.??????", path) >= (int)sizeof(pattern) ||
        !files_match(pattern, &match)) {
        return;
    }
    for (size_t i = 0; i < match.count; i++) {
        (void)unlink(match.paths[i]);
    }
    files_match_free(&match);
}

bool users_store_write(const char *state, struct slice text, char *why, size_t why_bytes)
{
    char path[PATH_BYTES];

    if (!users_store_path(state, STORE_NAME, path, sizeof(path))) {
        snprintf(why, why_bytes, "the name of the state directory is too long");
        return false;
    }
    sweep(path);
    return files_write(path, text, 0600, why, why_bytes);
}

char *users_store_read_used(const char *state, size_t *length, char *why, size_t why_bytes)
{
    char path[PATH_BYTES];

    *length = 0;
    if (!users_store_path(state, USED_NAME, path, sizeof(path))) {
        snprintf(why, why_bytes, "the name of the state directory is too long");
        return NULL;
    }
    if (!files_exist(path)) {
        return calloc(1, 1);
    }
    return files_read_private_to(path, USED_TEXT_BYTES_MAX, length, why, why_bytes);
}

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.length > 0) {
        ssize_t written = write(fd, bytes.data, bytes.length);

        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return false;
        }
        bytes.data += written;
        bytes.length -= (size_t)written;
    }
    return true;
}

/* Behind what is there; what a crash left of a last line is ended first, so that it does not spoil
 * the next one. */
static bool append(const char *path, struct slice text)
{
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat now;
    char last = '\n';

    if (fd < 0) {
        return false;
    }
    bool ok =
        fstat(fd, &now) == 0 && (now.st_size == 0 || pread(fd, &last, 1, now.st_size - 1) == 1) &&
        (last == '\n' || write_all(fd, SLICE_TEXT("\n"))) && write_all(fd, text) && fsync(fd) == 0;
    int error = errno;

    ok = close(fd) == 0 && ok;
    errno = error;
    return ok;
}

bool users_store_keep_used(const char *state, struct slice text, bool whole, char *why,
                           size_t why_bytes)
{
    char path[PATH_BYTES];

    if (!users_store_path(state, USED_NAME, path, sizeof(path))) {
        snprintf(why, why_bytes, "the name of the state directory is too long");
        return false;
    }
    if (whole || !files_exist(path)) {
        sweep(path);
        return files_write(path, text, 0600, why, why_bytes);
    }
    if (!append(path, text)) {
        snprintf(why, why_bytes, "cannot write %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}
