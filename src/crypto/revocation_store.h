/*
 * What is remembered of revocation: lists and responses that were fetched, and which sources gave
 * nothing. Bounded, and asked by any thread; the time is handed in.
 */
#ifndef SEKISHO_CRYPTO_REVOCATION_STORE_H
#define SEKISHO_CRYPTO_REVOCATION_STORE_H

#include "base/random.h"
#include "crypto/revocation.h"

#define REVOCATION_STORE_LISTS_MAX 64
#define REVOCATION_STORE_LIST_BYTES_MAX (64 * 1024 * 1024) /* of all of them, as they came */
#define REVOCATION_STORE_RESPONSES_MAX 16384
#define REVOCATION_WHY_BYTES 160
/* A source that gave nothing is left alone so long; one that gave something is asked again after
 * so long, when somebody needs it, though what it said still holds. */
#define REVOCATION_RETRY_S 60
#define REVOCATION_REFRESH_S 3600

struct revocation_store;

MUST_USE struct revocation_store *revocation_store_new(struct random_source *random);
void revocation_store_free(struct revocation_store *store); /* NULL is allowed */

struct revocation_memory {
    struct revocation_verdict verdict; /* UNKNOWN when nothing that still holds was heard */
    bool ask; /* it is worth while to ask the source now */
    char why[REVOCATION_WHY_BYTES]; /* what was wrong the last time; empty: nothing */
};

void revocation_store_look(struct revocation_store *store, const struct revocation_source *source,
                           const struct certificate *certificate, const struct certificate *issuer,
                           int64_t now_s, struct revocation_memory *out);
/* What came from a source, or from a file that has it from there (`heard_s`: when it did). It is
 * remembered only when it is about the certificate and its issuer signed it; else why not is. True
 * when it settles something. */
MUST_USE bool revocation_store_put(struct revocation_store *store,
                                   const struct revocation_source *source,
                                   const struct certificate *certificate,
                                   const struct certificate *issuer, struct slice bytes,
                                   struct slice nonce, int64_t heard_s, int64_t now_s);
/* Nothing came, for this reason. */
void revocation_store_failed(struct revocation_store *store, const struct revocation_source *source,
                             const struct certificate *certificate, const char *why, int64_t now_s);

/* ---- what somebody would have to ask ---- */

struct revocation_wish {
    struct certificate *certificate, *issuer; /* held */
    bool needed; /* nobody knows; else it would only be newer */
    size_t source_count;
    struct revocation_source sources[REVOCATION_SOURCES_MAX]; /* in the order to ask them */
};

#define REVOCATION_WISHES_MAX 8 /* certificates of one path */

struct revocation_wishes {
    size_t count;
    struct revocation_wish list[REVOCATION_WISHES_MAX];
};

void revocation_wishes_fini(struct revocation_wishes *wishes);

#endif
