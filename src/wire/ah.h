/* AH (RFC 4302) as it stands on the wire. */
#ifndef SEKISHO_WIRE_AH_H
#define SEKISHO_WIRE_AH_H

#include "base/address.h"
#include "base/text.h"

#define AH_FIXED_BYTES 12 /* what stands before the ICV */
#define AH_ICV_BYTES_MAX 32 /* HMAC-SHA2-512-256; AES-GMAC has 8 of IV and 16 (RFC 4543 3.2) */
#define AH_HEAD_BYTES_MAX 48 /* with the padding of IPv6 */
#define AH_SPI_FIRST 256 /* RFC 4302 2.4: 0 is never sent, 1 to 255 are reserved */

struct ah_head {
    uint8_t next_header;
    uint16_t head_bytes; /* of all of it, with the ICV and its padding */
    uint32_t spi;
    uint32_t sequence; /* the low half of an extended one */
};

/* RFC 4302 2.6: fixed part and ICV with the least padding that makes it a multiple of 4 octets in
 * IPv4 and of 8 in IPv6. More is prohibited, so an honest packet of an SA has exactly this. */
size_t ah_head_bytes(enum family family, size_t icv_bytes);

/* False when `packet` (AH and what follows) is shorter than it says, the length cannot be one of
 * this family (or has no ICV in it), or the SPI is reserved. The ICV is what stands from
 * AH_FIXED_BYTES to head_bytes. */
MUST_USE bool ah_read(struct slice packet, enum family family, struct ah_head *out);
/* Writes head_bytes octets with an ICV of zeros, as the computation wants it (RFC 4302 3.3.3). */
void ah_write_head(uint8_t *at, const struct ah_head *head);

/* One line: ah spi c0ffee01 sequence 7 next 6 icv 12. */
void ah_describe(struct slice packet, enum family family, struct text *out);

#endif
