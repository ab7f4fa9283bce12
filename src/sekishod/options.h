/* What the command line of sekishod says. */
#ifndef SEKISHO_SEKISHOD_OPTIONS_H
#define SEKISHO_SEKISHOD_OPTIONS_H

#include <stdbool.h>

#include "base/log.h"

#define OPTIONS_PATH_BYTES 1024

struct options {
    const char *config_path;
    const char *run_directory;
    const char *state_directory;
    char secrets_directory[OPTIONS_PATH_BYTES];
    enum log_level log_level;
    bool foreground;
    bool check_only;
    bool openssl_only;
    bool no_offload;
};

enum options_result { OPTIONS_OK, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_WRONG };

/* With OPTIONS_WRONG a sentence stands in `why`. Strings are borrowed from argv. */
enum options_result options_read(struct options *out, int argc, char **argv, char *why,
                                 size_t why_bytes);
const char *options_usage(void);

#endif
