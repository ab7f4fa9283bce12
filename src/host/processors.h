/* How many processors this process may use, and how soon it gets one. */
#ifndef SEKISHO_HOST_PROCESSORS_H
#define SEKISHO_HOST_PROCESSORS_H

#include "base/defs.h"

/* At least 1. */
size_t processors_count(void);
/* The calling thread, and those that it starts, get a processor before threads of common priority,
 * those of other sessions included when this process leads one of its own. Nothing happens where
 * that is not allowed, or where somebody has chosen a priority for us. */
void processors_first(void);
/* This thread is a common one again. */
void processors_common(void);

#endif
