/* ESP heads, trailers and padding of any bytes. */
#include <string.h>

#include "fuzz.h"
#include "wire/esp.h"

static void check_trailer(struct slice decrypted)
{
    size_t payload = 0;
    uint8_t next = 0;
    uint8_t again[ESP_PADDING_BYTES_MAX + ESP_TRAILER_BYTES];

    if (!esp_read_trailer(decrypted, &payload, &next)) {
        return;
    }
    MUST(payload + ESP_TRAILER_BYTES <= decrypted.length);
    size_t padding = decrypted.length - payload - ESP_TRAILER_BYTES;

    MUST(padding <= ESP_PADDING_BYTES_MAX);
    esp_write_trailer(again, padding, next);
    MUST(memcmp(again, decrypted.data + payload, padding + ESP_TRAILER_BYTES) == 0);
}

FUZZ(esp, 40000)
{
    struct slice bytes = {data, size};
    struct esp_head head;
    uint8_t again[ESP_HEAD_BYTES];

    if (esp_read_head(bytes, &head)) {
        MUST(head.spi >= ESP_SPI_FIRST);
        esp_write_head(again, &head);
        MUST(memcmp(again, data, sizeof(again)) == 0);
    }
    check_trailer(bytes);
    return 0;
}
