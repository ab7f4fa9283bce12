/*
 * Whether what comes in one piece comes changed: datagrams that were joined never prove authentic,
 * while single ones do. That is a driver or a card which joins wrongly; a stranger can look like it
 * only where no genuine datagrams come joined, and then joining is no loss.
 */
#ifndef SEKISHO_SEKISHOD_SUSPICION_H
#define SEKISHO_SEKISHOD_SUSPICION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/defs.h"

struct suspicion {
    uint32_t bad_joined, good_single; /* batches since a joined one was good */
};

/* A batch of `count` packets of which `joined` came in one piece with others, `forged` were not
 * authentic and `delivered` were. True: joining is to be given up. */
MUST_USE bool suspicion_see(struct suspicion *suspicion, size_t count, size_t joined, size_t forged,
                            size_t delivered);

#endif
