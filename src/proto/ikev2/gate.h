/*
 * The gate before any state: what an IKE datagram that belongs to no IKE SA gets (RFC 7296 2.6,
 * 2.21.4, 2.5; RFC 8019 ideas). Nothing is kept for the sender.
 */
#ifndef SEKISHO_PROTO_IKEV2_GATE_H
#define SEKISHO_PROTO_IKEV2_GATE_H

#include "base/address.h"
#include "base/random.h"
#include "wire/ikev2.h"

/* A responder keeps the first message until IKE_AUTH, so its length is bounded: RFC 7296 2 wants
 * 3000 octets to be accepted. */
#define IKEV2_GATE_INIT_BYTES_MAX 4096

struct ikev2_gate {
    uint8_t secrets[2][32]; /* newest first; rotated every 120 s, two generations are good */
    uint64_t rotated_ms;
    uint8_t version; /* of the newest */
    uint64_t error_budget_ms; /* rate limit of error answers (token bucket) */
    double error_tokens;
    const uint8_t *crash_secret; /* of quick crash detection (crash.h), borrowed; NULL: none */
};

enum ikev2_gate_verdict {
    IKEV2_GATE_ADMIT, /* make a responder */
    IKEV2_GATE_REPLY, /* send what was written and forget */
    IKEV2_GATE_DROP,
};

void ikev2_gate_init(struct ikev2_gate *gate, struct random_source *random, uint64_t now_ms);
/* `cookies_wanted`: the caller counted too many half-open SAs, in all or of this peer. The
 * answer is never longer than the question. Handles: IKE_SA_INIT requests with and without
 * cookie, other major versions (INVALID_MAJOR_VERSION), messages for unknown SPIs
 * (INVALID_IKE_SPI, at most 10 a second; with a token of RFC 6290, which may make it 16 octets
 * longer, so neither SPI may be one of ours), all else dropped. */
MUST_USE enum ikev2_gate_verdict ikev2_gate_admit(struct ikev2_gate *gate, struct slice message,
                                                  const struct endpoint *local,
                                                  const struct endpoint *peer, bool cookies_wanted,
                                                  uint64_t now_ms, struct random_source *random,
                                                  struct writer *reply);

#endif
