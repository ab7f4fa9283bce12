/*
 * Decides what an IKEv1 message is made of: the header (RFC 2408 3.1), the chain of payloads behind
 * it (3.2), and data attributes (3.3).
 */
#include "wire/ikev1.h"

#include <assert.h>

#define OFFSET_LENGTH 24
#define NO_PAYLOAD_YET SIZE_MAX
#define PADDING_BYTES_MAX 255
#define ATTRIBUTE_IS_SHORT 0x8000
#define ATTRIBUTE_TYPE 0x7fff
#define NUMBER_BYTES 8

bool ikev1_read_header(struct reader *r, struct ikev1_header *out)
{
    struct ikev1_header h;

    h.cookie_i = read_u64(r);
    h.cookie_r = read_u64(r);
    h.next_payload = read_u8(r);
    h.version = read_u8(r);
    h.exchange = read_u8(r);
    h.flags = read_u8(r);
    h.message_id = read_u32(r);
    h.length = read_u32(r);
    if (!reader_ok(r) || h.length < IKEV1_HEAD_BYTES ||
        h.length - IKEV1_HEAD_BYTES != reader_left(r)) {
        reader_fail(r);
        return false;
    }
    *out = h;
    return true;
}

void ikev1_write_header(struct writer *w, const struct ikev1_header *h)
{
    write_u64(w, h->cookie_i);
    write_u64(w, h->cookie_r);
    write_u8(w, h->next_payload);
    write_u8(w, h->version);
    write_u8(w, h->exchange);
    write_u8(w, h->flags);
    write_u32(w, h->message_id);
    write_u32(w, h->length);
}

void ikev1_finish_message(struct writer *w)
{
    if (w->length > IKEV1_MESSAGE_BYTES_MAX) {
        writer_fail(w);
    }
    write_u32_at(w, OFFSET_LENGTH, (uint32_t)w->length);
}

bool ikev1_read_payload(struct reader *r, uint8_t *next, struct ikev1_payload *out)
{
    if (!reader_ok(r) || *next == IKEV1_NO_NEXT_PAYLOAD) {
        return false;
    }
    struct reader ahead = *r;
    uint8_t following = read_u8(&ahead);

    read_skip(&ahead, 1);
    uint16_t length = read_u16(&ahead);

    if (!reader_ok(&ahead) || length < IKEV1_PAYLOAD_HEAD_BYTES) {
        reader_fail(r);
        return false;
    }
    struct slice whole = read_bytes(r, length);

    if (!reader_ok(r)) {
        return false;
    }
    *out = (struct ikev1_payload){
        .type = *next,
        .body = {whole.data + IKEV1_PAYLOAD_HEAD_BYTES, whole.length - IKEV1_PAYLOAD_HEAD_BYTES},
        .whole = whole,
    };
    *next = following;
    return true;
}

bool ikev1_read_chain(uint8_t first, struct slice payloads, struct slice *chain)
{
    struct reader r = reader_over(payloads);
    struct ikev1_payload p;
    uint8_t next = first;
    unsigned count = 0;

    while (ikev1_read_payload(&r, &next, &p)) {
        count++;
        if (count > IKEV1_PAYLOADS_MAX) {
            return false;
        }
    }
    if (!reader_ok(&r) || count == 0) {
        return false;
    }
    *chain = (struct slice){payloads.data, payloads.length - reader_left(&r)};
    return true;
}

bool ikev1_padding_is_sane(struct slice padding)
{
    return padding.length <= PADDING_BYTES_MAX;
}

struct ikev1_chain ikev1_chain_over(struct writer *w, uint8_t *first)
{
    *first = IKEV1_NO_NEXT_PAYLOAD;
    return (struct ikev1_chain){.w = w, .first = first, .last_offset = NO_PAYLOAD_YET};
}

void ikev1_begin_payload(struct ikev1_chain *c, uint8_t type)
{
    size_t offset = c->w->length;

    assert(type != IKEV1_NO_NEXT_PAYLOAD);
    write_u8(c->w, IKEV1_NO_NEXT_PAYLOAD);
    write_u8(c->w, 0);
    write_u16(c->w, 0);
    if (!writer_ok(c->w)) {
        return;
    }
    if (c->last_offset == NO_PAYLOAD_YET) {
        *c->first = type;
    } else {
        c->w->data[c->last_offset] = type;
    }
    c->last_offset = offset;
}

void ikev1_end_payload(struct ikev1_chain *c)
{
    if (!writer_ok(c->w)) {
        return;
    }
    assert(c->last_offset != NO_PAYLOAD_YET);
    size_t length = c->w->length - c->last_offset;

    if (length > UINT16_MAX) {
        writer_fail(c->w);
    }
    write_u16_at(c->w, c->last_offset + 2, (uint16_t)length);
}

void ikev1_write_payload(struct ikev1_chain *c, uint8_t type, struct slice body)
{
    ikev1_begin_payload(c, type);
    write_slice(c->w, body);
    ikev1_end_payload(c);
}

/* --- data attributes (3.3) --- */

static uint64_t number_of(struct slice value)
{
    uint64_t number = 0;

    for (size_t i = 0; i < value.length; i++) {
        if (number > UINT64_MAX >> 8) {
            return UINT64_MAX;
        }
        number = number << 8 | value.data[i];
    }
    return number;
}

bool ikev1_read_attribute(struct reader *r, struct ikev1_attribute *out)
{
    uint16_t head = read_u16(r);
    bool is_short = (head & ATTRIBUTE_IS_SHORT) != 0;
    size_t length = is_short ? 2 : read_u16(r);
    struct slice value = read_bytes(r, length);

    if (!reader_ok(r)) {
        return false;
    }
    *out = (struct ikev1_attribute){
        .type = head & ATTRIBUTE_TYPE,
        .is_short = is_short,
        .number = number_of(value),
        .value = value,
    };
    return true;
}

void ikev1_write_number(struct writer *w, uint16_t type, uint64_t number)
{
    uint8_t octets[NUMBER_BYTES];

    if (number <= UINT16_MAX) {
        write_u16(w, ATTRIBUTE_IS_SHORT | (type & ATTRIBUTE_TYPE));
        write_u16(w, (uint16_t)number);
        return;
    }
    put_u64(octets, number);
    size_t length = number <= UINT32_MAX ? 4 : NUMBER_BYTES;

    ikev1_write_attribute(w, type, (struct slice){octets + NUMBER_BYTES - length, length});
}

void ikev1_write_attribute(struct writer *w, uint16_t type, struct slice value)
{
    assert(value.length <= UINT16_MAX);
    write_u16(w, type & ATTRIBUTE_TYPE);
    write_u16(w, (uint16_t)value.length);
    write_slice(w, value);
}
