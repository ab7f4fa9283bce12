/* Decides that a processor counts when the scheduler may put us on it: containers have fewer than
 * machines; and how much sooner than others we run, among the processes of our session and as a
 * session among others. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/processors.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PRIORITY_FIRST (-10)
#define SESSION_FILE "/proc/self/autogroup"

size_t processors_count(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) < 1) {
        return 1;
    }
    return (size_t)CPU_COUNT(&set);
}

/* In Linux a priority belongs to a thread. */
static bool change(int from, int to)
{
    errno = 0;
    return getpriority(PRIO_PROCESS, 0) == from && errno == 0 &&
           setpriority(PRIO_PROCESS, 0, to) == 0;
}

/* sched(7), "The autogroup feature": sessions share the processors by a priority of their own, and
 * that of a thread only counts within its session. A session that is not ours alone stays as it is:
 * a shell's commands are not to be hurried. */
static void put_session_first(void)
{
    static const char words[] = " nice ";
    char text[48];

    if (getsid(0) != getpid()) {
        return;
    }
    int fd = open(SESSION_FILE, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    ssize_t got = read(fd, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    const char *at = strstr(text, words); /* behind the name of the group */
    if (at != NULL && strcmp(at + strlen(words), "0\n") == 0) {
        int length = snprintf(text, sizeof(text), "%d", PRIORITY_FIRST);

        /* Where it is refused, nothing is lost but time. */
        ssize_t done = write(fd, text, (size_t)length);
        (void)done;
    }
    (void)close(fd);
}

void processors_first(void)
{
    if (change(0, PRIORITY_FIRST)) {
        put_session_first();
    }
}

void processors_common(void)
{
    (void)change(PRIORITY_FIRST, 0);
}
