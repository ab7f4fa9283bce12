/*
 * The Encrypted payload and its fragments (RFC 7296 3.14, RFC 5282, RFC 7383 2.5): a chain of
 * payloads becomes a complete protected message, and back.
 *
 * The keys are expanded for each message and not kept: an IKE SA speaks a few times an hour, and
 * expanded keys would be the largest part of its memory. One protect_engine serves all machines
 * of a thread; it is made at the first use.
 */
#ifndef SEKISHO_PROTO_IKEV2_SK_H
#define SEKISHO_PROTO_IKEV2_SK_H

#include "base/random.h"
#include "proto/ikev2/keys.h"
#include "wire/ikev2.h"

/* How many octets of payload chain fit into one message of at most `message_bytes`, in an SK
 * payload or (fragment) in an SKF payload; 0 when none. */
size_t ikev2_sk_room(const struct suite *suite, size_t message_bytes, bool fragment);
/* How long the message with this chain becomes. */
size_t ikev2_sk_message_bytes(const struct suite *suite, size_t chain_bytes, bool fragment);

/*
 * Appends to `out` (which must be empty) the whole message: header, SK payload with `first` and
 * `chain`, ICV. From `header` the SPIs, version, exchange, flags and message ID are used.
 * `initiator`: we are the original initiator of this IKE SA, so SK_ei and SK_ai are ours. False
 * when it does not fit or the crypto library fails: `out` has then failed. `chain` may be empty
 * (then `first` is 0).
 */
MUST_USE bool ikev2_sk_seal(struct ikev2_keys *keys, bool initiator,
                            const struct ikev2_header *header, uint8_t first, struct slice chain,
                            struct random_source *random, struct writer *out);
/* The same for fragment number of total (from 1); `first` is that of the whole chain for
 * number 1 and ignored else. */
MUST_USE bool ikev2_skf_seal(struct ikev2_keys *keys, bool initiator,
                             const struct ikev2_header *header, uint8_t first, uint16_t number,
                             uint16_t total, struct slice content, struct random_source *random,
                             struct writer *out);

struct ikev2_sk_opened {
    bool fragment; /* SKF: chain is a piece of it */
    uint16_t number, total; /* of an SKF */
    uint8_t first; /* type of the first inner payload */
    struct slice chain; /* in the buffer that was given */
};

/* Without keys: true when the message is a fragment with a sane head; for fragments_wants()
 * before anything is decrypted. */
MUST_USE bool ikev2_skf_peek(struct slice message, uint16_t *number, uint16_t *total);

/*
 * Opens a whole message with exactly one outer payload, SK or SKF. `from_initiator`: it was sent
 * by the original initiator. `buffer` has room for message.length octets, is overwritten, and
 * holds the clear text afterwards: wipe it. False when it is not authentic or not well formed;
 * one answer for all causes. The chain itself is not looked into.
 */
MUST_USE bool ikev2_sk_open(const struct ikev2_keys *keys, bool from_initiator,
                            struct slice message, uint8_t *buffer, struct ikev2_sk_opened *out);

/* The thread's engine; for a clean end of the program. */
void ikev2_sk_engine_free(void);

#endif
