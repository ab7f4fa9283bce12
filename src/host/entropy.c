/* Decides that randomness comes from getrandom(2) alone, and that there is no life without it. */
#include "host/entropy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static void fill(void *context, uint8_t *out, size_t length)
{
    (void)context;
    while (length > 0) {
        ssize_t got = getrandom(out, length, 0);

        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            (void)fputs("sekishod: the system gives no random numbers (getrandom)\n", stderr);
            abort();
        }
        out += got;
        length -= (size_t)got;
    }
}

struct random_source entropy_source(void)
{
    return (struct random_source){.fill = fill};
}
