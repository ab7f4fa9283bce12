/* Certificates that we use and that end soon: for the log, once for each step, and for status. */
#ifndef SEKISHO_SEKISHOD_EXPIRY_H
#define SEKISHO_SEKISHOD_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "crypto/credential.h"
#include "crypto/trust.h"
#include "loader/issued.h"

#define EXPIRY_MAX 16

struct expiry_entry {
    uint8_t fingerprint[CERTIFICATE_FINGERPRINT_BYTES];
    int64_t ends_s, lasts_s;
    int told_days; /* of the last line in the log */
    char issued_for[128]; /* by our own authority; empty: something that we use */
    char sentence[384];
    char next[256];
};

struct expiry {
    size_t count; /* soonest first */
    struct expiry_entry entries[EXPIRY_MAX];
};

/* One look at all that is in use: begin, a site after the other, end. `last` is the look before,
 * whose lines are not said again. */
void expiry_begin(struct expiry *expiry);
/* Whether one of this site ends soon. */
bool expiry_add(struct expiry *expiry, const char *site, const struct credential *own,
                const struct trust *trust, int64_t now_s);
/* A line of the record of our own authority about a certificate of another machine, oldest first: a
 * later one of the same name stands for it. */
void expiry_add_issued(struct expiry *expiry, const struct issued *record, int64_t now_s);
/* Says what is new: 30, 7 and 1 days before, and when it is over. */
void expiry_end(struct expiry *expiry, const struct expiry *last, struct log_sink *log,
                int64_t now_s);

#endif
