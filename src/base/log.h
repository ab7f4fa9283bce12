/*
 * Log lines as values: a room says what happened, the edge decides where the line goes.
 */
#ifndef SEKISHO_BASE_LOG_H
#define SEKISHO_BASE_LOG_H

#include "base/defs.h"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

#define LOG_LINE_BYTES 512

/* `about` names the site or part (never NULL), `line` is whole, terminated and escaped. A sink
 * without a `write` drops everything: every place that logs may be given one. */
struct log_sink {
    void (*write)(void *context, enum log_level level, const char *about, const char *line);
    void *context;
};

void log_line(struct log_sink *sink, enum log_level level, const char *about, const char *format,
              ...) PRINTF_LIKE(4, 5);
const char *log_level_name(enum log_level level);

#endif
