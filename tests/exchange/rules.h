/*
 * What RFC 7296 2.25.1 and 2.25.2 say about requests that cross: which answer is owed to a request,
 * while one of our own is open. Read off the messages alone, as a stranger who sees them in clear.
 */
#ifndef SEKISHO_TESTS_EXCHANGE_RULES_H
#define SEKISHO_TESTS_EXCHANGE_RULES_H

#include "proto/ikev2/sa.h"

#define RULES_IKES_MAX 32
#define RULES_GONE_MAX 256

enum rules_request {
    RULES_NONE,
    RULES_OTHER,
    RULES_NEW_CHILD,
    RULES_REKEY_CHILD,
    RULES_CLOSE_CHILD,
    RULES_REKEY_IKE,
    RULES_CLOSE_IKE,
};

enum rules_owed {
    RULES_ANYTHING,
    RULES_TEMPORARY_FAILURE,
    RULES_CHILD_SA_NOT_FOUND,
    RULES_DELETE, /* a Delete payload */
    RULES_NO_DELETE,
};

/* Of one side. */
struct rules {
    struct {
        uint64_t spi_i;
        enum rules_request own; /* that is open */
        uint32_t own_spi; /* the side's own of the child that it is about */
        enum rules_owed owed; /* to what the peer asked */
    } ikes[RULES_IKES_MAX];
    /* Children that were deleted, though late packets may still come in. */
    uint32_t gone[RULES_GONE_MAX];
    size_t gone_count;
};

/* The child that a request of the peer is about, by the SPI that the peer gave: the side's own SPI;
 * 0: there is none. */
typedef uint32_t rules_find(const void *of, uint32_t peer_spi);

/* A message in clear went out or came in (not one sent again). NULL, or what is wrong with it. */
const char *rules_trace(struct rules *rules, const struct ikev2_action *trace, rules_find *find,
                        const void *of);

#endif
