/* Decides what a line of the record looks like, and when a certificate is to be renewed. */
#include "loader/issued.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S INT64_C(86400)
#define DUE_S (60 * DAY_S)

/* A number of seconds and the blank behind it. */
static bool read_seconds(const char **at, int64_t *out)
{
    char *end = NULL;

    errno = 0;
    *out = strtoll(*at, &end, 10);
    if (errno != 0 || end == *at || *end != ' ') {
        return false;
    }
    *at = end + 1;
    return true;
}

bool issued_read(const char *line, struct issued *out)
{
    size_t serial = strspn(line, "0123456789abcdef");
    const char *at = line + serial + 1;

    *out = (struct issued){.revoked_s = 0};
    if (serial == 0 || serial >= sizeof(out->serial) || line[serial] != ' ') {
        return false;
    }
    memcpy(out->serial, line, serial);
    if (!read_seconds(&at, &out->begins_s) || !read_seconds(&at, &out->ends_s) ||
        !read_seconds(&at, &out->revoked_s)) {
        return false;
    }
    size_t names = strlen(at);

    if (names == 0 || names >= sizeof(out->names)) {
        return false;
    }
    memcpy(out->names, at, names);
    return true;
}

void issued_write(const struct issued *record, struct text *out)
{
    text_addf(out, "%s %" PRId64 " %" PRId64 " %" PRId64 " %s\n", record->serial, record->begins_s,
              record->ends_s, record->revoked_s, record->names);
}

size_t issued_name_bytes(const struct issued *record)
{
    return strcspn(record->names, ",");
}

bool issued_is_for(const struct issued *record, const char *name, size_t name_bytes)
{
    return issued_name_bytes(record) == name_bytes && memcmp(record->names, name, name_bytes) == 0;
}

bool issued_is_due(const struct issued *record, int64_t now_s)
{
    int64_t due_s = (record->ends_s - record->begins_s) / 5 * 2;

    return record->ends_s - now_s <= (due_s < DUE_S ? due_s : DUE_S);
}
