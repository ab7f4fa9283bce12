/* Decides that a processor counts when the scheduler may put us on it: containers have fewer than
 * machines. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/processors.h"

#include <sched.h>

size_t processors_count(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) < 1) {
        return 1;
    }
    return (size_t)CPU_COUNT(&set);
}
