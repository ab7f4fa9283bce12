/* The ESP packet (RFC 4303 2): written around a clear packet before it is sealed, taken off after
 * it was opened. */
#ifndef SEKISHO_DATAPLANE_ESP_H
#define SEKISHO_DATAPLANE_ESP_H

#include "dataplane/sa.h"
#include "wire/esp.h"

#define ESP_AAD_BYTES 12

/* What one packet of a batch needs beside its bytes, until its job is done. */
struct esp_work {
    struct packet *packet;
    struct sa *sa;
    uint64_t sequence;
    uint32_t inner_bytes;
    uint8_t aad[ESP_AAD_BYTES];
    uint8_t nonce[8]; /* an IV that is not sent (RFC 8750) */
};

/* Writes header, IV, padding and trailer around work->packet, and the job that seals it. `iv` has
 * the length that the SA's shape says. False when the buffer has no room for them. */
MUST_USE bool esp_write(struct esp_work *work, const uint8_t *iv, uint8_t next_header,
                        struct protect_job *job);

/* Makes the job that opens work->packet, whose SA and full sequence number are known already. False
 * when the length cannot be right for this SA. */
MUST_USE bool esp_read(struct esp_work *work, struct protect_job *job);

/* With extended sequence numbers: all 64 bits are authenticated (RFC 4303 2.2.1). */
void esp_extend(struct esp_work *work, uint32_t spi, struct protect_job *job);

/* The number on the wire. The packet has at least ESP_HEAD_BYTES. */
uint32_t esp_spi(const struct packet *packet);
uint32_t esp_sequence_low(const struct packet *packet);

/* After opening: takes header, padding and trailer off. False when the padding is wrong. */
MUST_USE bool esp_take_off(const struct sa *sa, struct packet *packet, uint8_t *next_header);
/* After opening a tunnel's packet: strips everything but the packet inside. DROP_NONE,
 * DROP_BAD_PADDING, DROP_DUMMY or DROP_BAD_NEXT_HEADER. */
MUST_USE enum drop_reason esp_strip(const struct sa *sa, struct packet *packet,
                                    uint8_t *next_header);

#endif
