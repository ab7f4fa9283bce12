/* What the process gives up once everything is open. */
#ifndef SEKISHO_HOST_PRIVILEGES_H
#define SEKISHO_HOST_PRIVILEGES_H

#include <stdbool.h>

#include "base/defs.h"

/* From the first moment: nothing of this process goes into a core dump or to a debugger of the same
 * user. */
void privileges_hide(void);
/* Keeps CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE (as far as they are there) and nothing
 * else, for this and all later threads; no program that is started can get more. False with a
 * sentence. */
MUST_USE bool privileges_drop(char *why, size_t why_bytes);

#endif
