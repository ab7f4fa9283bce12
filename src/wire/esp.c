/*
 * Decides what stands before and behind an ESP payload (RFC 4303 2), and what a datagram is on the
 * port that ESP shares with IKE (RFC 3948 2).
 */
#include "wire/esp.h"

#include <assert.h>

#define KEEPALIVE_OCTET 0xff

bool esp_read_head(struct slice packet, struct esp_head *out)
{
    struct reader r = reader_over(packet);
    struct esp_head head;

    head.spi = read_u32(&r);
    head.sequence = read_u32(&r);
    if (!reader_ok(&r) || head.spi < ESP_SPI_FIRST) {
        return false;
    }
    *out = head;
    return true;
}

void esp_write_head(uint8_t at[ESP_HEAD_BYTES], const struct esp_head *head)
{
    put_u32(at, head->spi);
    put_u32(at + 4, head->sequence);
}

size_t esp_padding_for(size_t payload_bytes, size_t alignment)
{
    assert(alignment >= 1 && alignment <= ESP_PADDING_BYTES_MAX + 1);
    size_t beyond = (payload_bytes + ESP_TRAILER_BYTES) % alignment;

    return beyond == 0 ? 0 : alignment - beyond;
}

void esp_write_trailer(uint8_t *at, size_t padding_bytes, uint8_t next_header)
{
    assert(padding_bytes <= ESP_PADDING_BYTES_MAX);
    for (size_t i = 0; i < padding_bytes; i++) {
        at[i] = (uint8_t)(i + 1);
    }
    at[padding_bytes] = (uint8_t)padding_bytes;
    at[padding_bytes + 1] = next_header;
}

bool esp_read_trailer(struct slice decrypted, size_t *payload_bytes, uint8_t *next_header)
{
    if (decrypted.length < ESP_TRAILER_BYTES) {
        return false;
    }
    size_t padding = decrypted.data[decrypted.length - 2];
    size_t before = decrypted.length - ESP_TRAILER_BYTES;

    if (padding > before) {
        return false;
    }
    /* The integrity check came first, so nothing is told to a forger here; looking at every byte
     * keeps it that way for whoever uses a cipher without one. */
    const uint8_t *at = decrypted.data + (before - padding);
    uint8_t different = 0;

    for (size_t i = 0; i < padding; i++) {
        different |= (uint8_t)(at[i] ^ (uint8_t)(i + 1));
    }
    if (different != 0) {
        return false;
    }
    *payload_bytes = before - padding;
    *next_header = decrypted.data[decrypted.length - 1];
    return true;
}

enum natt_kind natt_classify(struct slice datagram, struct slice *inner)
{
    *inner = (struct slice){NULL, 0};
    if (datagram.length == 1 && datagram.data[0] == KEEPALIVE_OCTET) {
        return NATT_KEEPALIVE;
    }
    if (datagram.length <= NATT_MARKER_BYTES) {
        return NATT_RUNT;
    }
    if (get_u32(datagram.data) == 0) {
        *inner =
            (struct slice){datagram.data + NATT_MARKER_BYTES, datagram.length - NATT_MARKER_BYTES};
        return NATT_IKE;
    }
    if (datagram.length < ESP_HEAD_BYTES) {
        return NATT_RUNT;
    }
    *inner = datagram;
    return NATT_ESP;
}
