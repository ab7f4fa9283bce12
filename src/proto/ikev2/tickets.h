/*
 * Tickets of session resumption (RFC 5723), by value: what a responder needs to go on with somebody
 * whom he knew, sealed with a key that only he has and given to the peer to keep.
 *
 * The key changes every hour and is made from the one before, so that an old one cannot be found
 * again; those of the last day are found from the oldest that is kept. Each ticket has a key of its
 * own, out of 32 random octets in it, so no initialization vector ever comes twice.
 */
#ifndef SEKISHO_PROTO_IKEV2_TICKETS_H
#define SEKISHO_PROTO_IKEV2_TICKETS_H

#include "base/random.h"
#include "base/secret.h"
#include "crypto/catalog.h"
#include "proto/ike/identity.h"

#define IKEV2_TICKET_BYTES_MAX 1024
#define IKEV2_TICKET_EPOCH_MS UINT64_C(3600000)
#define IKEV2_TICKET_EPOCHS 24 /* before the present one, whose tickets may still be good */
#define IKEV2_TICKET_LIFETIME_MAX_MS (IKEV2_TICKET_EPOCHS * IKEV2_TICKET_EPOCH_MS)
#define IKEV2_TICKETS_USED 1024 /* that are remembered: the newest */
#define IKEV2_TICKETS_KEPT_BYTES 40

/* The responder's; zeros give no tickets and take none. */
struct ikev2_tickets {
    bool ready;
    uint64_t epoch; /* of the key: the oldest that can be needed */
    uint8_t key[32];
    size_t used_count;
    uint64_t used[IKEV2_TICKETS_USED]; /* a ticket is good once */
};

/* What both sides remember of an IKE SA, beside the ticket itself. Owned: ikev2_session_fini(). */
struct ikev2_session {
    struct suite suite;
    uint16_t post_quantum; /* see ikev2_sa_info */
    uint8_t ppk; /* enum ikev2_ppk_use */
    uint64_t until_ms;
    uint64_t number; /* of the ticket */
    uint64_t fingerprint; /* of what was configured when it was given */
    struct ike_identity local_id, peer_id; /* of who keeps it */
    struct secret sk_d;
};

/* Kept: 40 octets that ikev2_tickets_keep() gave, or empty: a new key. */
void ikev2_tickets_init(struct ikev2_tickets *tickets, struct slice kept,
                        struct random_source *random, uint64_t now_ms);
/* What another process needs to take the tickets of this one. */
void ikev2_tickets_keep(const struct ikev2_tickets *tickets, uint8_t out[IKEV2_TICKETS_KEPT_BYTES]);
void ikev2_tickets_fini(struct ikev2_tickets *tickets);
/* False: it would be longer than a datagram should be, or something failed. */
MUST_USE bool ikev2_tickets_seal(struct ikev2_tickets *tickets, const struct ikev2_session *session,
                                 uint64_t now_ms, struct random_source *random, struct writer *out);
/* False: not ours, too old, or used before. `out` is empty then. */
MUST_USE bool ikev2_tickets_open(struct ikev2_tickets *tickets, struct slice ticket,
                                 uint64_t now_ms, struct ikev2_session *out);
/* An IKE SA was established with it. */
void ikev2_tickets_use(struct ikev2_tickets *tickets, uint64_t number);

MUST_USE bool ikev2_session_copy(struct ikev2_session *to, const struct ikev2_session *from);
void ikev2_session_fini(struct ikev2_session *session);

#endif
