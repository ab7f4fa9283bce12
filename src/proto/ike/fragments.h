/*
 * IKE message fragments (RFC 7383): how a message is cut, and how one is put together again.
 *
 * A fragment is authenticated before it comes here: what is stored is its decrypted content.
 * Bounds for each SA: 64 fragments, 64 KiB of content, 10 seconds; a budget for all SAs together.
 * Each fragment costs the same, in whatever order they come: a bit says whether it is there
 * already, its content is appended, and it is put in order once, at the end.
 */
#ifndef SEKISHO_PROTO_IKE_FRAGMENTS_H
#define SEKISHO_PROTO_IKE_FRAGMENTS_H

#include "base/address.h"

#define FRAGMENTS_MAX 64
#define FRAGMENTS_BYTES_MAX 65536
#define FRAGMENTS_LIFETIME_MS 10000
#define FRAGMENTS_BUDGET_BYTES (4u << 20)

/* ---- sending ---- */

/* The longest IKE message (without the non-ESP marker) in an IP packet of `packet_bytes`: less
 * IP header, UDP header and, on port 4500, the marker. 0 when there is no room for anything. */
size_t fragments_message_bytes(size_t packet_bytes, enum family family, bool marker);
/* How many fragments a chain of `chain_bytes` becomes when each holds `content_bytes` (see
 * ikev2_sk_room()); 0 when it cannot be done within FRAGMENTS_MAX. */
size_t fragments_count(size_t chain_bytes, size_t content_bytes);
/* The content of fragment `number` (from 1); the last may be shorter. */
struct slice fragments_content(struct slice chain, size_t content_bytes, size_t number);

/* ---- receiving ---- */

/* Shared by the SAs of a process; bytes are those of all that is stored now. */
struct fragments_budget {
    size_t bytes;
    size_t limit_bytes;
};

struct fragments_store;

/* Zeros are an empty one. One message at a time: an SA with a window of 1 needs one for
 * requests and one for responses. */
struct fragments {
    struct fragments_store *store;
    struct fragments_budget *budget; /* may be NULL */
};

void fragments_init(struct fragments *f, struct fragments_budget *budget);
/* Wipes; may be called at any time and twice, the budget is kept. */
void fragments_reset(struct fragments *f);

/* Before the fragment is decrypted: false when it would be thrown away in any case: there
 * already, more than FRAGMENTS_MAX, or of a smaller total than what is being collected (RFC
 * 7383 2.6). */
MUST_USE bool fragments_wants(const struct fragments *f, uint32_t message_id, uint16_t number,
                              uint16_t total);

enum fragments_verdict {
    FRAGMENTS_REFUSED, /* not kept: see fragments_wants(), or over a bound */
    FRAGMENTS_KEPT,
    FRAGMENTS_COMPLETE, /* fragments_take() has the message */
};

/* After it was authenticated. A larger total or another message ID throws away what was
 * collected and begins anew. `first` is the inner first payload type, used from fragment 1 (it
 * is 0 in the others). */
MUST_USE enum fragments_verdict fragments_add(struct fragments *f, uint32_t message_id,
                                              uint16_t number, uint16_t total, uint8_t first,
                                              struct slice content, uint64_t now_ms);
/* The whole chain, borrowed until the next call; valid after FRAGMENTS_COMPLETE. */
struct slice fragments_take(struct fragments *f, uint8_t *first);

/* Throws away what is older than FRAGMENTS_LIFETIME_MS. The deadline is NEVER_MS when nothing
 * is stored. */
void fragments_time(struct fragments *f, uint64_t now_ms);
uint64_t fragments_deadline_ms(const struct fragments *f);

#endif
