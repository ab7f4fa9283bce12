/*
 * Large memory of the system's own, between two borders that nobody may touch: whoever runs over an
 * end is stopped at once, in the release too. Octets are zero and take no memory until they are
 * used.
 */
#ifndef SEKISHO_DATAPLANE_PAGES_H
#define SEKISHO_DATAPLANE_PAGES_H

#include "base/defs.h"

#define PAGES_ALIGNMENT 4096 /* of where they begin, and `bytes` are a multiple of it */

/* NULL: no memory. */
MUST_USE uint8_t *pages_new(size_t bytes);
/* As many as were asked for; NULL is allowed. */
void pages_free(uint8_t *pages, size_t bytes);

#endif
