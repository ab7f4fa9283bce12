/*
 * IKE and ESP in a stream (RFC 9329 3 and 4): six octets at its beginning, from whoever opened the
 * connection, and then one message after the other, each behind its length. A message is what would
 * be a datagram of port 4500 (wire/esp.h: natt_classify()).
 */
#ifndef SEKISHO_WIRE_IKE_STREAM_H
#define SEKISHO_WIRE_IKE_STREAM_H

#include "base/bytes.h"

#define IKE_STREAM_PREFIX_BYTES 6
#define IKE_STREAM_LENGTH_BYTES 2
#define IKE_STREAM_MESSAGE_MAX 65533 /* the length counts itself */

extern const uint8_t ike_stream_prefix[IKE_STREAM_PREFIX_BYTES]; /* IKETCP */

/* The reading side of one connection. */
struct ike_stream {
    bool wants_prefix; /* the other side opened the connection, and did not say it yet */
    uint16_t message_max; /* longer ones are not taken from it */
};

enum ike_stream_result {
    IKE_STREAM_MESSAGE,
    IKE_STREAM_MORE, /* what is left is the beginning of something */
    /* Nothing more can be read out of this stream. */
    IKE_STREAM_NOT_IKE, /* it does not begin as it must */
    IKE_STREAM_BAD_LENGTH, /* 0 or 1 (RFC 9329 3.1) */
    IKE_STREAM_TOO_LONG, /* more than message_max */
};

/* The first message of `bytes`, which is taken off it; so is what stands before it and is none:
 * the prefix, and empty messages (RFC 9329 3). */
MUST_USE enum ike_stream_result ike_stream_next(struct ike_stream *stream, struct slice *bytes,
                                                struct slice *message);

/* How many octets `bytes`, of which ike_stream_next() wanted more, has to become before it says
 * something else; as far as that is known. */
size_t ike_stream_wants(const struct ike_stream *stream, struct slice bytes);

/* The head of a message of so many octets, 1 to IKE_STREAM_MESSAGE_MAX. */
void ike_stream_write_head(uint8_t head[IKE_STREAM_LENGTH_BYTES], size_t message_bytes);

/* "it does not begin with IKETCP": for the three bad ends, else NULL. */
const char *ike_stream_sentence(enum ike_stream_result result);

#endif
