/* Decides which files are read, how large they may be, and who may see a secret. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/files.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- texts ---- */

/* Reads to the end, growing: the size of a file may change while it is read. */
static char *read_all(int fd, size_t limit, size_t *length, int *error)
{
    size_t capacity = 4096;
    char *text = malloc(capacity);

    *length = 0;
    while (text != NULL) {
        ssize_t got = read(fd, text + *length, capacity - 1 - *length);

        if (got == 0) {
            text[*length] = '\0';
            return text;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            *error = errno;
            break;
        }
        *length += (size_t)got;
        if (*length > limit) {
            *error = EFBIG;
            break;
        }
        if (*length == capacity - 1) {
            char *larger = realloc(text, capacity * 2);

            if (larger == NULL) {
                *error = ENOMEM;
                break;
            }
            text = larger;
            capacity *= 2;
        }
    }
    if (text == NULL) {
        *error = ENOMEM;
    }
    free(text);
    return NULL;
}

static int open_regular(const char *path, struct stat *status, int *error)
{
    /* Not blocking: a pipe of that name must not stop the daemon. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, status) != 0) {
        *error = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return -1;
    }
    if (!S_ISREG(status->st_mode)) {
        *error = S_ISDIR(status->st_mode) ? EISDIR : EINVAL;
        (void)close(fd);
        return -1;
    }
    return fd;
}

char *files_read(const char *path, size_t *length, char *why, size_t why_bytes)
{
    struct stat status;
    int error = 0;
    char *text = NULL;
    int fd = open_regular(path, &status, &error);

    if (fd >= 0) {
        text = read_all(fd, FILES_TEXT_BYTES_MAX, length, &error);
        (void)close(fd);
    }
    if (text == NULL) {
        snprintf(why, why_bytes, "cannot read %s: %s", path, strerror(error));
    }
    return text;
}

bool files_exist(const char *path)
{
    return access(path, F_OK) == 0;
}

bool files_match(const char *pattern, struct files_match *out)
{
    glob_t found = {0};
    int result = glob(pattern, GLOB_ERR, NULL, &found);

    *out = (struct files_match){0};
    if (result == GLOB_NOMATCH) {
        globfree(&found);
        return true;
    }
    if (result != 0) {
        globfree(&found);
        return false;
    }
    out->paths = calloc(found.gl_pathc, sizeof(*out->paths));
    for (size_t i = 0; out->paths != NULL && i < found.gl_pathc; i++) {
        out->paths[i] = strdup(found.gl_pathv[i]);
        if (out->paths[i] == NULL) {
            files_match_free(out);
            break;
        }
        out->count++;
    }
    globfree(&found);
    return out->paths != NULL;
}

void files_match_free(struct files_match *match)
{
    for (size_t i = 0; i < match->count; i++) {
        free(match->paths[i]);
    }
    free(match->paths);
    *match = (struct files_match){0};
}

/* ---- secrets ---- */

static bool name_is_plain(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strlen(name) <= NAME_MAX;
}

static bool owner_is_trusted(const struct stat *status)
{
    return status->st_uid == 0 || status->st_uid == geteuid();
}

static bool check_secret(const struct stat *status, const char *path, char *why, size_t why_bytes)
{
    if (!owner_is_trusted(status)) {
        snprintf(why, why_bytes, "%s belongs to user %u, who could change it: chown root %s", path,
                 (unsigned)status->st_uid, path);
        return false;
    }
    if ((status->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        snprintf(why, why_bytes,
                 "%s can be used by others than its owner (mode %04o): chmod 600 %s", path,
                 (unsigned)(status->st_mode & 07777), path);
        return false;
    }
    return true;
}

char *files_read_private(const char *path, size_t *length, char *why, size_t why_bytes)
{
    return files_read_private_to(path, FILES_PRIVATE_BYTES_MAX, length, why, why_bytes);
}

char *files_read_private_to(const char *path, size_t limit, size_t *length, char *why,
                            size_t why_bytes)
{
    struct stat status;
    int error = 0;
    char *text = NULL;
    int fd = open_regular(path, &status, &error);

    if (fd >= 0 && !check_secret(&status, path, why, why_bytes)) {
        (void)close(fd);
        return NULL;
    }
    if (fd >= 0) {
        text = read_all(fd, limit, length, &error);
        (void)close(fd);
    }
    if (text == NULL) {
        snprintf(why, why_bytes, "cannot read %s: %s", path, strerror(error));
    }
    return text;
}

/* Who may write to the directory could put a secret of his own there. */
static bool check_directory(const char *directory, char *why, size_t why_bytes)
{
    struct stat status;

    if (stat(directory, &status) != 0) {
        return true; /* then the secret cannot be opened, and that is said */
    }
    if (!owner_is_trusted(&status) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        snprintf(why, why_bytes, "others can put secrets into %s: chown root %s; chmod 700 %s",
                 directory, directory, directory);
        return false;
    }
    return true;
}

static bool take_secret(char *text, size_t length, const char *path, struct secret *out, char *why,
                        size_t why_bytes)
{
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) {
        length--;
    }
    if (length == 0) {
        snprintf(why, why_bytes, "%s is empty", path);
        return false;
    }
    if (!secret_set(out, (struct slice){(const uint8_t *)text, length})) {
        snprintf(why, why_bytes, "%s is too long for a secret: at most %d bytes", path,
                 SECRET_BYTES_MAX);
        return false;
    }
    return true;
}

static bool read_secret(const char *path, bool check, struct secret *out, int *error, char *why,
                        size_t why_bytes)
{
    struct stat status;
    size_t length = 0;
    int fd = open_regular(path, &status, error);

    if (fd < 0) {
        return false;
    }
    if (check && !check_secret(&status, path, why, why_bytes)) {
        *error = 0;
        (void)close(fd);
        return false;
    }
    /* One read into one buffer: a growing buffer would leave pieces of the secret behind. */
    char text[SECRET_BYTES_MAX + 3];
    bool ok = false;
    *error = 0;
    ssize_t got = read(fd, text, sizeof(text));
    if (got < 0) {
        *error = errno;
    } else {
        length = (size_t)got;
        ok = take_secret(text, length, path, out, why, why_bytes);
    }
    wipe(text, sizeof(text));
    (void)close(fd);
    return ok;
}

bool files_read_secret(const char *directory, const char *name, struct secret *out, char *why,
                       size_t why_bytes)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    char path[PATH_MAX];
    int error = 0;

    if (!name_is_plain(name)) {
        snprintf(why, why_bytes, "@%s is no name for a secret", name);
        return false;
    }
    /* systemd's credentials are in memory of their own, with rights of their own. */
    if (credentials != NULL) {
        snprintf(path, sizeof(path), "%s/%s", credentials, name);
        if (read_secret(path, false, out, &error, why, why_bytes)) {
            return true;
        }
        if (error == 0) {
            return false;
        }
    }
    if (!check_directory(directory, why, why_bytes)) {
        return false;
    }
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (read_secret(path, true, out, &error, why, why_bytes)) {
        return true;
    }
    if (error == ENOENT) {
        snprintf(why, why_bytes,
                 "there is no secret @%s (%s): make one with 'sekisho secret new "
                 "%s', or give the partner's with 'sekisho secret set %s'",
                 name, path, name, name);
    } else if (error != 0) {
        snprintf(why, why_bytes, "cannot read %s: %s", path, strerror(error));
    }
    return false;
}

bool files_secret_usable(const char *directory, const char *name, char *why, size_t why_bytes)
{
    struct secret secret = {0};
    bool ok = files_read_secret(directory, name, &secret, why, why_bytes);

    secret_wipe(&secret);
    return ok;
}

/* ---- writing ---- */

static bool write_all(int fd, struct slice bytes)
{
    while (bytes.length > 0) {
        ssize_t put = write(fd, bytes.data, bytes.length);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return false;
        }
        bytes.data += put;
        bytes.length -= (size_t)put;
    }
    return true;
}

/* The new name must be on the disk as well as the content. */
static void sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');

    snprintf(directory, sizeof(directory), "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
             slash == NULL ? "." : path);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

bool files_write(const char *path, struct slice bytes, unsigned mode, char *why, size_t why_bytes)
{
    char temporary[PATH_MAX];

    if (snprintf(temporary, sizeof(temporary), "%s.new.XXXXXX", path) >= (int)sizeof(temporary)) {
        snprintf(why, why_bytes, "the name %.60s... is too long", path);
        return false;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        snprintf(why, why_bytes, "cannot write %s: %s", path, strerror(errno));
        return false;
    }
    bool ok = fchmod(fd, (mode_t)mode) == 0 && write_all(fd, bytes) && fsync(fd) == 0;
    int error = errno;
    ok = close(fd) == 0 && ok;
    if (ok && rename(temporary, path) != 0) {
        error = errno;
        ok = false;
    }
    if (!ok) {
        snprintf(why, why_bytes, "cannot write %s: %s", path, strerror(error));
        (void)unlink(temporary);
        return false;
    }
    sync_directory_of(path);
    return true;
}

bool files_make_directory(const char *path, unsigned mode, char *why, size_t why_bytes)
{
    char part[PATH_MAX];
    size_t length = strlen(path);

    if (length == 0 || length >= sizeof(part)) {
        snprintf(why, why_bytes, "the name of a directory is too long or empty");
        return false;
    }
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, i == length ? (mode_t)mode : 0755) != 0 && errno != EEXIST) {
            snprintf(why, why_bytes, "cannot make the directory %s: %s", part, strerror(errno));
            return false;
        }
    }
    return true;
}

static bool is_older(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec != b->st_mtim.tv_sec ? a->st_mtim.tv_sec < b->st_mtim.tv_sec
                                                  : a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
}

void files_keep_newest(const char *directory, const char *ending, size_t count)
{
    char pattern[1024];
    struct files_match match;
    int length = snprintf(pattern, sizeof(pattern), "%s/*%s", directory, ending);

    if (length < 0 || (size_t)length >= sizeof(pattern) || !files_match(pattern, &match)) {
        return;
    }
    for (size_t left = match.count; left > count; left--) {
        struct stat oldest = {0};
        const char *path = NULL;

        for (size_t i = 0; i < match.count; i++) {
            struct stat one;

            if (lstat(match.paths[i], &one) == 0 && (path == NULL || is_older(&one, &oldest))) {
                path = match.paths[i];
                oldest = one;
            }
        }
        if (path == NULL || unlink(path) != 0) {
            break;
        }
    }
    files_match_free(&match);
}
