/* Decides which targets a program has, and how a broken promise ends it. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

static struct fuzz_target *first;

void fuzz_register(struct fuzz_target *target)
{
    target->next = first;
    first = target;
}

struct fuzz_target *fuzz_first(void)
{
    return first;
}

void fuzz_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}
