/* What the daemon cannot do any more: tried in a child, because there is no way back. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "tests/support/test.h"

#include "host/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool is_refused(long result)
{
    return result == -1 && errno == EPERM;
}

/* Which of the attempts went wrong, 0 when none. */
static int attempts(void)
{
    char why[128];
    char *const nothing[] = {NULL};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !confine_system_calls(why, sizeof(why))) {
        return 1;
    }
    if (!is_refused(execve("/bin/true", nothing, nothing))) {
        return 2;
    }
    if (!is_refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL))) {
        return 3;
    }
    if (!is_refused(kill(getppid(), 0))) {
        return 4;
    }
    if (!is_refused(syscall(SYS_unshare, 0)) || !is_refused(syscall(SYS_adjtimex, NULL))) {
        return 5; /* the last ones of the list */
    }
#if defined(__x86_64__)
    if (!is_refused(syscall(0x40000000 + SYS_getpid))) {
        return 6;
    }
#endif
    /* And what it needs goes on: files, memory, signals to itself. */
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    void *memory = malloc(4 << 20);
    if (fd < 0 || write(fd, "x", 1) != 1 || memory == NULL || raise(0) != 0) {
        return 7;
    }
    free(memory);
    return 0;
}

TEST(what_the_daemon_never_does_it_cannot_do)
{
    int status = 0;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        _exit(attempts());
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQUAL(WEXITSTATUS(status), 0);
}
