/*
 * Where log lines go: to standard error (which the service manager keeps), to syslog when the
 * daemon went to the background, and the last thousand into memory for `sekisho log`. One thread
 * writes.
 */
#ifndef SEKISHO_SEKISHOD_JOURNAL_H
#define SEKISHO_SEKISHOD_JOURNAL_H

#include <stdbool.h>

#include "base/log.h"

#define JOURNAL_LINES 1000
#define JOURNAL_ABOUT_BYTES 64

struct journal_line {
    uint64_t number; /* counts from 1 */
    uint64_t date_ms; /* since 1970 */
    enum log_level level;
    char about[JOURNAL_ABOUT_BYTES];
    char line[LOG_LINE_BYTES];
};

struct journal;

enum journal_place {
    JOURNAL_TERMINAL, /* standard error with the time */
    JOURNAL_SYSTEMD, /* standard error with the level as the service manager wants it */
    JOURNAL_SYSLOG,
};

/* `date_ms` tells the date: the caller's clock. Lines above `level` are dropped. NULL: no memory.
 */
MUST_USE struct journal *journal_new(enum log_level level, enum journal_place place,
                                     uint64_t (*date_ms)(void));
void journal_free(struct journal *journal);
struct log_sink *journal_sink(struct journal *journal);
void journal_move(struct journal *journal, enum journal_place place);
/* The number of the newest line; 0 before the first. */
uint64_t journal_newest(const struct journal *journal);
/* NULL when it is not kept (any more). */
const struct journal_line *journal_find(const struct journal *journal, uint64_t number);
/* "error", "warning", "notice", "info", "debug". */
MUST_USE bool journal_level_parse(const char *word, enum log_level *out);

#endif
