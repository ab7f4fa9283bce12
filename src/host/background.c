/* Decides how the daemon leaves the terminal: a child in a session of its own, and a pipe that
 * tells when it is ready. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool background_enter(struct background *background, char *why, size_t why_bytes)
{
    int ready[2];
    char byte;

    if (pipe2(ready, O_CLOEXEC) != 0) {
        snprintf(why, why_bytes, "cannot go to the background: %s", strerror(errno));
        return false;
    }
    pid_t child = fork();
    if (child < 0) {
        snprintf(why, why_bytes, "cannot go to the background: %s", strerror(errno));
        return false;
    }
    if (child > 0) {
        (void)close(ready[1]);
        _exit(read(ready[0], &byte, 1) == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    (void)close(ready[0]);
    (void)setsid();
    background->ready_fd = ready[1];
    return true;
}

void background_ready(struct background *background)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (nothing >= 0) {
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
            (void)dup2(nothing, fd);
        }
        (void)close(nothing);
    }
    ssize_t put = write(background->ready_fd, "r", 1);
    (void)put;
    (void)close(background->ready_fd);
}
