/* The directory of a running daemon: one at a time, which is what the lock in it says. */
#ifndef SEKISHO_HOST_RUN_DIRECTORY_H
#define SEKISHO_HOST_RUN_DIRECTORY_H

#include <stdbool.h>

#include "base/defs.h"

struct run_directory {
    int lock_fd;
};

/* Makes the directory (mode 0755) and takes the lock, which goes away with the process however it
 * ends. False with a sentence that names the other daemon. */
MUST_USE bool run_directory_take(struct run_directory *run, const char *path, char *why,
                                 size_t why_bytes);
/* The process number in the lock file: to be called when the process that will stay is this one. */
void run_directory_sign(const struct run_directory *run);
void run_directory_leave(struct run_directory *run);

#endif
