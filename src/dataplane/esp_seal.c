/* The outbound half of ESP: the packet's form before it is encrypted. */
#include "dataplane/esp.h"

#include <string.h>

bool esp_write(struct esp_work *work, const uint8_t *iv, uint8_t next_header,
               struct protect_job *job)
{
    struct packet *p = work->packet;
    const struct sa_shape *shape = &work->sa->shape;
    uint32_t head = ESP_HEAD_BYTES + (uint32_t)shape->iv_bytes;
    uint32_t over = (p->length + ESP_TRAILER_BYTES) & (shape->align - 1u);
    uint32_t pad = over == 0 ? 0 : shape->align - over;
    uint32_t tail = pad + ESP_TRAILER_BYTES + shape->icv_bytes;

    if (p->offset < head || p->capacity - p->offset - p->length < tail) {
        return false;
    }
    uint8_t *data = packet_data(p);
    uint8_t *end = data + p->length;
    uint8_t *start = data - head;

    esp_write_trailer(end, pad, next_header);
    esp_write_head(start, &(struct esp_head){work->sa->spi_out, (uint32_t)work->sequence});
    memcpy(start + ESP_HEAD_BYTES, iv, shape->iv_bytes);

    *job = (struct protect_job){
        .key = work->sa->key_out,
        .aad = start,
        .aad_length = ESP_HEAD_BYTES,
        .length = p->length + pad + ESP_TRAILER_BYTES,
        .iv = shape->implicit_iv ? work->nonce : start + ESP_HEAD_BYTES,
        .data = data,
        .icv = end + pad + ESP_TRAILER_BYTES,
    };
    if (shape->implicit_iv) {
        put_u64(work->nonce, work->sequence);
    }
    esp_extend(work, work->sa->spi_out, job);
    work->inner_bytes = p->length;
    p->offset -= head;
    p->length += head + tail;
    return true;
}
