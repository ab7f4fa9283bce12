/* Decides how two daemons on one directory are kept apart: flock(2), because the kernel undoes it
 * after kill -9. */
#include "host/run_directory.h"

#include "host/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void explain_taken(int fd, const char *path, char *why, size_t why_bytes)
{
    char text[24] = "";
    ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
    long number = got > 0 ? strtol(text, NULL, 10) : 0;

    if (number > 0) {
        snprintf(why, why_bytes,
                 "another sekishod (process %ld) uses %s: stop it, or give this one a directory of "
                 "its own with --run",
                 number, path);
    } else {
        snprintf(why, why_bytes,
                 "another sekishod uses %s: stop it, or give this one a directory of its own with "
                 "--run",
                 path);
    }
}

bool run_directory_take(struct run_directory *run, const char *path, char *why, size_t why_bytes)
{
    char lock[PATH_MAX];

    run->lock_fd = -1;
    if (!files_make_directory(path, 0755, why, why_bytes)) {
        return false;
    }
    if (snprintf(lock, sizeof(lock), "%s/sekishod.pid", path) >= (int)sizeof(lock)) {
        snprintf(why, why_bytes, "the path %.60s... is too long", path);
        return false;
    }
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) {
        snprintf(why, why_bytes, "cannot open %s: %s", lock, strerror(errno));
        return false;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        explain_taken(fd, path, why, why_bytes);
        (void)close(fd);
        return false;
    }
    run->lock_fd = fd;
    run_directory_sign(run);
    return true;
}

void run_directory_sign(const struct run_directory *run)
{
    char text[24];
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    if (ftruncate(run->lock_fd, 0) == 0) {
        ssize_t put = pwrite(run->lock_fd, text, (size_t)length, 0);
        (void)put; /* the number is for people; the lock is what counts */
    }
}

void run_directory_leave(struct run_directory *run)
{
    if (run->lock_fd > 0) {
        /* The file stays: removing it would let a third daemon lock another file of the same name.
         */
        int result = ftruncate(run->lock_fd, 0);
        (void)result;
        (void)close(run->lock_fd);
    }
    run->lock_fd = -1;
}
