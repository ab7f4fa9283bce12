/* The inbound half of ESP: what is checked before and after decryption. */
#include "dataplane/esp.h"

#include "wire/ip.h"

uint32_t esp_spi(const struct packet *packet)
{
    return get_u32(packet_data(packet));
}

uint32_t esp_sequence_low(const struct packet *packet)
{
    return get_u32(packet_data(packet) + 4);
}

void esp_extend(struct esp_work *work, uint32_t spi, struct protect_job *job)
{
    const struct sa_shape *shape = &work->sa->shape;

    if (!shape->esn) {
        return;
    }
    if (shape->aead) {
        /* RFC 4106 5, RFC 4309 5, RFC 7634 2.1: SPI and all 64 bits. */
        put_u32(work->aad, spi);
        put_u64(work->aad + 4, work->sequence);
        job->aad = work->aad;
        job->aad_length = ESP_AAD_BYTES;
    } else {
        job->sequence_high = (uint32_t)(work->sequence >> 32);
        job->has_sequence_high = true;
    }
}

bool esp_read(struct esp_work *work, struct protect_job *job)
{
    const struct packet *p = work->packet;
    const struct sa_shape *shape = &work->sa->shape;
    uint32_t head = ESP_HEAD_BYTES + (uint32_t)shape->iv_bytes;
    uint32_t around = head + shape->icv_bytes;

    /* Pad length and next header are always there; a block cipher has whole blocks. */
    if (p->length < around + ESP_TRAILER_BYTES ||
        ((p->length - around) & (shape->block - 1u)) != 0) {
        return false;
    }
    uint8_t *start = packet_data(p);

    *job = (struct protect_job){
        .key = work->sa->key_in,
        .aad = start,
        .aad_length = ESP_HEAD_BYTES,
        .length = p->length - around,
        .iv = shape->implicit_iv ? work->nonce : start + ESP_HEAD_BYTES,
        .data = start + head,
        .icv = start + p->length - shape->icv_bytes,
    };
    if (shape->implicit_iv) {
        put_u64(work->nonce, work->sequence);
    }
    esp_extend(work, work->sa->spi_in, job);
    return true;
}

bool esp_take_off(const struct sa *sa, struct packet *packet, uint8_t *next_header)
{
    uint32_t head = ESP_HEAD_BYTES + (uint32_t)sa->shape.iv_bytes;
    size_t payload_bytes = 0;

    packet->offset += head;
    packet->length -= head + sa->shape.icv_bytes;
    bool ok = esp_read_trailer(packet_slice(packet), &payload_bytes, next_header);
    packet->length = ok ? (uint32_t)payload_bytes : packet->length;
    return ok;
}

enum drop_reason esp_strip(const struct sa *sa, struct packet *packet, uint8_t *next_header)
{
    if (!esp_take_off(sa, packet, next_header)) {
        return DROP_BAD_PADDING;
    }
    if (*next_header == IP_PROTOCOL_NONE) {
        return DROP_DUMMY;
    }
    if (*next_header != IP_PROTOCOL_IPV4 && *next_header != IP_PROTOCOL_IPV6) {
        return DROP_BAD_NEXT_HEADER;
    }
    return DROP_NONE;
}
