/*
 * What AH covers of the headers before it (RFC 4302 3.3.3.1, Appendix A): a packet is put into the
 * form over which the ICV is computed, and back.
 */
#ifndef SEKISHO_WIRE_AH_COVER_H
#define SEKISHO_WIRE_AH_COVER_H

#include "wire/ip.h"

/* Headers before AH that are longer than this are refused: every IPv4 header, and an IPv6 header
 * with options of the usual kind or a route over 29 hops. */
#define AH_COVER_BYTES_MAX 512

/* The headers as they stood. */
struct ah_kept {
    uint16_t length;
    uint8_t head[AH_COVER_BYTES_MAX];
};

/* In place, `packet` whole (IPv4, or IPv6), AH at `ah_offset`: what changes on the way becomes
 * zero, what changes in a known way becomes what it will be at the destination. The same for a
 * packet that is to be sent and for one that arrived. AH and what follows it are not touched: the
 * ICV field is zeroed by the caller. False, and nothing changed, when the headers are wrong, AH is
 * not at that place, a Fragment header or a jumbo payload is among them, or an unknown route is not
 * yet at its end. */
MUST_USE bool ah_normalise(uint8_t *packet, size_t length, size_t ah_offset, struct ah_kept *kept);
/* After ah_normalise() said true: puts the headers back. */
void ah_restore(uint8_t *packet, const struct ah_kept *kept);

#endif
