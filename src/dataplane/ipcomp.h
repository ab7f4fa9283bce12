/*
 * IP payload compression (RFC 3173) with deflate (RFC 2394): each datagram by itself.
 *
 * A worker has one compressor and makes it when the first SA with compression is installed; then
 * nothing is allocated for a packet. The header (four octets) is read and written elsewhere.
 */
#ifndef SEKISHO_DATAPLANE_IPCOMP_H
#define SEKISHO_DATAPLANE_IPCOMP_H

#include <stdatomic.h>
#include <stdbool.h>

#include "wire/ipcomp.h"

#define IPCOMP_LEAST_BYTES 90 /* RFC 3173 2.2: less is not tried */
#define IPCOMP_FAILURES_MAX 3 /* in a row, before packets are passed by */

struct ipcomp;

/* How well an SA's packets compress (RFC 3173 2.2); zero is the beginning. Several workers may
 * share it: what one forgets for another is a try more or less. */
struct ipcomp_pace {
    _Atomic uint32_t passes; /* packets still to be passed by */
    _Atomic uint32_t failures; /* in a row */
};

/* NULL when there is no memory. */
MUST_USE struct ipcomp *ipcomp_new(void);
void ipcomp_free(struct ipcomp *c);

/* Compresses `*length` octets of a datagram's payload in place. When true, the first four octets
 * are room for the IPComp header, the compressed payload follows, and `*length`, both together, is
 * less than it was. When false nothing has changed and the packet goes as it is. */
MUST_USE bool ipcomp_compress(struct ipcomp *c, struct ipcomp_pace *pace, uint8_t *payload,
                              size_t *length);

/* The reverse: `*length` octets that begin with an IPComp header become the payload that was
 * compressed, at most `capacity` octets. False, and nothing has changed, when the stream is
 * damaged, ends too early or too late, or gives more than that. */
MUST_USE bool ipcomp_decompress(struct ipcomp *c, uint8_t *payload, size_t *length,
                                size_t capacity);

#endif
