/* Going to the background, so that whoever started the daemon waits until it is ready and no
 * longer. */
#ifndef SEKISHO_HOST_BACKGROUND_H
#define SEKISHO_HOST_BACKGROUND_H

#include <stdbool.h>

#include "base/defs.h"

struct background {
    int ready_fd;
};

/* Before any thread is started. Returns in the new process; the old one waits and ends with 0 when
 * the new one is ready, with 1 when it ends before. False with a sentence. */
MUST_USE bool background_enter(struct background *background, char *why, size_t why_bytes);
/* Lets the old process end, and standard input, output and error go. */
void background_ready(struct background *background);

#endif
