/* Decides that a processor counts when the scheduler may put us on it: containers have fewer than
 * machines; and how much sooner than others we run. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/processors.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#define PRIORITY_FIRST (-10)

size_t processors_count(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) < 1) {
        return 1;
    }
    return (size_t)CPU_COUNT(&set);
}

/* In Linux a priority belongs to a thread. */
static void change(int from, int to)
{
    errno = 0;
    if (getpriority(PRIO_PROCESS, 0) == from && errno == 0) {
        (void)setpriority(PRIO_PROCESS, 0, to);
    }
}

void processors_first(void)
{
    change(0, PRIORITY_FIRST);
}

void processors_common(void)
{
    change(PRIORITY_FIRST, 0);
}
