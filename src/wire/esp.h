/*
 * ESP (RFC 4303) as it stands on the wire, and the port it shares with IKE behind a NAT (RFC
 * 3948).
 */
#ifndef SEKISHO_WIRE_ESP_H
#define SEKISHO_WIRE_ESP_H

#include "base/bytes.h"

#define ESP_HEAD_BYTES 8
#define ESP_TRAILER_BYTES 2 /* pad length and next header */
#define ESP_PADDING_BYTES_MAX 255
#define ESP_SPI_FIRST 256 /* RFC 4303 2.1: 0 is never sent, 1 to 255 are reserved */

struct esp_head {
    uint32_t spi;
    uint32_t sequence; /* the low half of an extended one */
};

/* False when the eight bytes are not there or the SPI is reserved. */
MUST_USE bool esp_read_head(struct slice packet, struct esp_head *out);
void esp_write_head(uint8_t at[ESP_HEAD_BYTES], const struct esp_head *head);

/* The fewest padding bytes that make payload, padding and the two trailer bytes a multiple of
 * `alignment` (1 to 256; RFC 4303 2.4 wants at least 4). */
size_t esp_padding_for(size_t payload_bytes, size_t alignment);
/* Writes 1, 2, 3 .., the pad length and the next header: padding_bytes + 2 in all; at most 255. */
void esp_write_trailer(uint8_t *at, size_t padding_bytes, uint8_t next_header);
/* Of the decrypted bytes (payload, padding, trailer). False when they are too short or the padding
 * is not 1, 2, 3 ..; every padding byte is looked at whatever the others are. */
MUST_USE bool esp_read_trailer(struct slice decrypted, size_t *payload_bytes, uint8_t *next_header);

/* RFC 3948 2: what a datagram of port 4500 is. */
enum natt_kind {
    NATT_ESP, /* all of it */
    NATT_IKE, /* behind four zero octets */
    NATT_KEEPALIVE, /* one octet 0xff */
    NATT_RUNT, /* none of these: too short */
};
#define NATT_MARKER_BYTES 4

/* *inner is the ESP packet or the IKE message; empty for the others. */
enum natt_kind natt_classify(struct slice datagram, struct slice *inner);

#endif
