/* The system's randomness as a source that can be handed in. */
#ifndef SEKISHO_HOST_ENTROPY_H
#define SEKISHO_HOST_ENTROPY_H

#include "base/random.h"

/* Waits at the start of a machine until the kernel's generator is seeded. Any thread may use it.
 * Ends the process when the system has none: nothing that a gateway does is safe then. */
struct random_source entropy_source(void);

#endif
