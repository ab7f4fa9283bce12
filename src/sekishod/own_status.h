/*
 * What responders say about our own certificates, fetched before anybody asks for it (RFC 4806):
 * whose, when it is fetched anew, and that the gateway has it.
 */
#ifndef SEKISHO_SEKISHOD_OWN_STATUS_H
#define SEKISHO_SEKISHOD_OWN_STATUS_H

#include "crypto/credential.h"
#include "crypto/revocation_store.h"
#include "crypto/trust.h"

struct daemon;
struct own_statuses;

/* One look at all that is in use: begin, each, end. */
void own_status_begin(struct daemon *daemon);
void own_status_see(struct daemon *daemon, const struct credential *own, const struct trust *trust);
void own_status_end(struct daemon *daemon, uint64_t now_ms);
/* Asks for what is due. */
void own_status_turn(struct daemon *daemon, uint64_t now_ms);
/* What came for question `number`: GOOD with the response; else the verdict says what, or `why`
 * that nothing came. */
void own_status_came(struct daemon *daemon, uint64_t number, struct slice response,
                     const struct revocation_verdict *verdict, const char *why);
void own_status_free(struct own_statuses *statuses); /* NULL is allowed */

#endif
