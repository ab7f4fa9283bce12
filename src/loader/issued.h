/*
 * The record of what `sekisho ca` issued on this machine: a line for each certificate, oldest
 * first. The command writes it; the daemon reads it to tell of what ends.
 */
#ifndef SEKISHO_LOADER_ISSUED_H
#define SEKISHO_LOADER_ISSUED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/text.h"

#define ISSUED_NAMES_BYTES 1024
#define ISSUED_LINE_BYTES (ISSUED_NAMES_BYTES + 128)

/* Of the file with all records. */
#define ISSUED_INDEX_BYTES_MAX ((size_t)16 << 20)

struct issued {
    char serial[41]; /* hexadecimal */
    int64_t begins_s, ends_s, revoked_s; /* revoked_s 0: not */
    char names[ISSUED_NAMES_BYTES]; /* with commas between; the first is the common name */
};

/* SERIAL BEGINS ENDS REVOKED NAMES, without the end of the line. */
MUST_USE bool issued_read(const char *line, struct issued *out);
void issued_write(const struct issued *record, struct text *out);
/* Whether the first name of a record is this one. */
MUST_USE bool issued_is_for(const struct issued *record, const char *name, size_t name_bytes);
size_t issued_name_bytes(const struct issued *record); /* of the first name */
/* Time to renew it: two fifths of its time are left, or 60 days, whichever is less. So it is done
 * before anybody is warned (a third, or 30 days), and a night without the network does not matter.
 */
MUST_USE bool issued_is_due(const struct issued *record, int64_t now_s);

#endif
