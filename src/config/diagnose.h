/* What is wrong with a configuration, collected while it is read. */
#ifndef SEKISHO_CONFIG_DIAGNOSE_H
#define SEKISHO_CONFIG_DIAGNOSE_H

#include "config/arena.h"
#include "config/config.h"

/* More than this nobody reads; all of them are counted. */
#define DIAGNOSTICS_MAX 1000

struct diagnoses {
    struct config_arena *arena; /* borrowed: owns the words */
    struct config_diagnostic *list;
    size_t count;
    size_t capacity;
    size_t errors;
    size_t warnings;
    struct config_place
        *hidden; /* from here on a line may hold a secret, whatever else is told about it */
    size_t hidden_count;
    size_t hidden_capacity;
};

/* `advice` is copied; NULL or empty: none. */
void diagnose(struct diagnoses *d, enum config_severity severity, struct config_place place,
              const char *advice, const char *format, ...) PRINTF_LIKE(5, 6);
/* An error in a line that from a column on may hold a secret. */
void diagnose_hidden(struct diagnoses *d, struct config_place place, uint32_t hidden_column,
                     const char *advice, const char *message);
int place_compare(const struct config_place *a, const struct config_place *b);
/* By place; what stands at one place stays in the order in which it was found. Whatever is told of
 * a line with a secret hides it. */
void diagnoses_sort(struct diagnoses *d);

#endif
