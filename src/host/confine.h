/* System calls that the daemon never makes are taken away from it: what breaks in finds less to
 * use. */
#ifndef SEKISHO_HOST_CONFINE_H
#define SEKISHO_HOST_CONFINE_H

#include <stdbool.h>

#include "base/defs.h"

/* Starting programs, looking into other processes, mounting, kernel modules, BPF, namespaces,
 * clocks, keys and the like fail with EPERM from here on, in this and all later threads. No new
 * rights may be possible before (no_new_privs). True without effect on processors for which the
 * filter is not written. False with a sentence. */
MUST_USE bool confine_system_calls(char *why, size_t why_bytes);

#endif
