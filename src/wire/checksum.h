/* The Internet checksum (RFC 1071, RFC 1624). Sums are folded to 16 bits and not inverted:
 * checksum_finish() inverts. */
#ifndef SEKISHO_WIRE_CHECKSUM_H
#define SEKISHO_WIRE_CHECKSUM_H

#include "base/address.h"

/* Only the last of several pieces may have an odd length. */
uint32_t checksum_add(uint32_t sum, struct slice bytes);
/* The same, and copies the bytes on the way; they do not overlap. */
uint32_t checksum_copy(uint32_t sum, uint8_t *to, struct slice from);
uint16_t checksum_finish(uint32_t sum);
/* Of a 16-bit word that changed, without looking at the rest (RFC 1624 equation 3). */
uint16_t checksum_update(uint16_t checksum, uint16_t old_word, uint16_t new_word);
/* The sum of the pseudo header (RFC 793, RFC 8200 8.1). */
uint32_t checksum_pseudo(const struct address *source, const struct address *destination,
                         uint8_t protocol, uint32_t upper_bytes);

#endif
