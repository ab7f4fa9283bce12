/* How many processors this process may use. */
#ifndef SEKISHO_HOST_PROCESSORS_H
#define SEKISHO_HOST_PROCESSORS_H

#include "base/defs.h"

/* At least 1. */
size_t processors_count(void);

#endif
