/*
 * Quick crash detection (RFC 6290): a token that only who made an IKE SA can know, told to the peer
 * in it, and in clear when the IKE SA is not known any more. The secret must outlive the process.
 */
#ifndef SEKISHO_PROTO_IKEV2_CRASH_H
#define SEKISHO_PROTO_IKEV2_CRASH_H

#include "wire/ikev2.h"

#define IKEV2_CRASH_SECRET_BYTES 32
#define IKEV2_CRASH_TOKEN_BYTES 16

/* `initiator`: whoever makes it is the original initiator of the IKE SA. What a stranger gets who
 * turns the roles round is another token. False: the crypto library failed. */
MUST_USE bool ikev2_crash_token(const uint8_t secret[IKEV2_CRASH_SECRET_BYTES], bool initiator,
                                uint64_t spi_i, uint64_t spi_r,
                                uint8_t out[IKEV2_CRASH_TOKEN_BYTES]);

#endif
