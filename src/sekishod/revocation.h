/* Asking outside whether certificates were revoked: for proofs that wait, and for memory that gets
 * old. */
#ifndef SEKISHO_SEKISHOD_REVOCATION_H
#define SEKISHO_SEKISHOD_REVOCATION_H

#include "crypto/revocation_store.h"
#include "gateway/gateway.h"

struct daemon;
struct exchange;
struct resolve_answer;
struct revocation;

/* NULL: no memory or no threads. */
MUST_USE struct revocation *revocation_new(struct daemon *daemon);
/* After the job threads are gone. Ends what is under way within a moment; proofs that wait are
 * dropped. */
void revocation_free(struct revocation *revocation); /* NULL is allowed */
struct revocation_store *revocation_memory_of(struct revocation *revocation);

/* A proof came back from its job thread. True: it waits, and `exchange` is kept until it can be
 * run again; actions_queue_again() gets it then. */
MUST_USE bool revocation_waits(struct revocation *revocation, struct exchange *exchange,
                               struct ikev2_proof *proof, uint64_t now_ms);
/* About a certificate of ours: own_status_came() gets what comes, perhaps before this returns.
 * False: too much is under way. */
MUST_USE bool revocation_fetch_own(struct revocation *revocation, uint64_t number,
                                   const struct revocation_wish *wish);
/* An answer to a question about a name of ours; false: it is not ours. */
MUST_USE bool revocation_resolved(struct revocation *revocation,
                                  const struct resolve_answer *answer);
/* In each turn: what is ready, and who has waited for too long. */
void revocation_turn(struct revocation *revocation, uint64_t now_ms);

#endif
