/* Names of hosts to addresses without waiting: a few threads ask, the answers come back over rings.
 */
#ifndef SEKISHO_HOST_RESOLVE_H
#define SEKISHO_HOST_RESOLVE_H

#include "base/address.h"
#include "host/loop.h"

#define RESOLVE_HOST_BYTES 256
#define RESOLVE_ADDRESSES_MAX 16

struct resolve_answer {
    uint64_t question;
    struct address addresses[RESOLVE_ADDRESSES_MAX];
    size_t count; /* 0: not known, see why */
    char why[160];
};

struct resolve;

/* `answered` is woken when there is an answer. NULL when there are no threads to be had. */
MUST_USE struct resolve *resolve_new(const struct wake *answered);
/* Does not wait for questions that are under way. */
void resolve_free(struct resolve *resolve);
/* False when too many questions are waiting. */
MUST_USE bool resolve_ask(struct resolve *resolve, uint64_t question, const char *host);
MUST_USE bool resolve_next(struct resolve *resolve, struct resolve_answer *out);

#endif
