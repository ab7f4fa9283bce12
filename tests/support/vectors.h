/*
 * Reading test vectors: JSON files with hexadecimal strings, and files of "Name = value" stanzas.
 */
#ifndef SEKISHO_TESTS_SUPPORT_VECTORS_H
#define SEKISHO_TESTS_SUPPORT_VECTORS_H

#include <jansson.h>

#include "base/bytes.h"

#define VECTOR_BYTES_MAX 70000

/* A file below tests/vectors; ends the test when it cannot be read. */
json_t *vectors_load(const char *name);
/* The octets of a string member, or none when it is not there. At most eight slices live at a time.
 */
struct slice vector_hex(const json_t *object, const char *member);
struct slice hex_bytes(const char *text);
const char *vector_text(const json_t *object, const char *member);

/* One stanza of an OpenSSL test file. */
#define STANZA_FIELDS_MAX 40

struct stanza {
    size_t count;
    char *names[STANZA_FIELDS_MAX];
    char *values[STANZA_FIELDS_MAX];
};

/* Calls `visit` for each stanza; gives the number of stanzas. */
size_t stanzas_each(const char *name, void (*visit)(const struct stanza *stanza, void *context),
                    void *context);
/* NULL when the stanza has no such field. */
const char *stanza_value(const struct stanza *stanza, const char *name);

#endif
