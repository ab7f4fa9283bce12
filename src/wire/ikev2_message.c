/*
 * Decides what an IKEv2 message is made of: the header (RFC 7296 3.1) and the chain of payloads
 * behind it (3.2).
 */
#include "wire/ikev2.h"

#include <assert.h>

#define OFFSET_LENGTH 24
#define PAYLOAD_CRITICAL 0x80
#define NO_PAYLOAD_YET SIZE_MAX

bool ikev2_read_quoted_header(struct reader *r, struct ikev2_header *out)
{
    struct ikev2_header h;

    h.spi_i = read_u64(r);
    h.spi_r = read_u64(r);
    h.next_payload = read_u8(r);
    h.version = read_u8(r);
    h.exchange = read_u8(r);
    h.flags = read_u8(r);
    h.message_id = read_u32(r);
    h.length = read_u32(r);
    if (!reader_ok(r) || h.length < IKEV2_HEAD_BYTES) {
        reader_fail(r);
        return false;
    }
    *out = h;
    return true;
}

bool ikev2_read_header(struct reader *r, struct ikev2_header *out)
{
    struct ikev2_header h;

    if (!ikev2_read_quoted_header(r, &h) || h.length - IKEV2_HEAD_BYTES != reader_left(r)) {
        reader_fail(r);
        return false;
    }
    *out = h;
    return true;
}

void ikev2_write_header(struct writer *w, const struct ikev2_header *h)
{
    write_u64(w, h->spi_i);
    write_u64(w, h->spi_r);
    write_u8(w, h->next_payload);
    write_u8(w, h->version);
    write_u8(w, h->exchange);
    write_u8(w, h->flags);
    write_u32(w, h->message_id);
    write_u32(w, h->length);
}

void ikev2_finish_message(struct writer *w)
{
    if (w->length > IKEV2_MESSAGE_BYTES_MAX) {
        writer_fail(w);
    }
    write_u32_at(w, OFFSET_LENGTH, (uint32_t)w->length);
}

bool ikev2_read_payload(struct reader *r, uint8_t *next, struct ikev2_payload *out)
{
    if (!reader_ok(r)) {
        return false;
    }
    if (*next == IKEV2_NO_NEXT_PAYLOAD) {
        if (reader_left(r) > 0) {
            reader_fail(r);
        }
        return false;
    }
    uint8_t following = read_u8(r);
    uint8_t flags = read_u8(r);
    uint16_t length = read_u16(r);

    if (length < IKEV2_PAYLOAD_HEAD_BYTES) {
        reader_fail(r);
        return false;
    }
    struct slice body = read_bytes(r, (size_t)length - IKEV2_PAYLOAD_HEAD_BYTES);

    /* RFC 7296 3.14: the next payload of SK is its first inner one, so nothing can stand behind
     * it. */
    if ((*next == IKEV2_SK || *next == IKEV2_SKF) && reader_left(r) > 0) {
        reader_fail(r);
    }
    if (!reader_ok(r)) {
        return false;
    }
    *out = (struct ikev2_payload){
        .type = *next,
        .critical = (flags & PAYLOAD_CRITICAL) != 0,
        .body = body,
    };
    *next = following;
    return true;
}

struct ikev2_chain ikev2_chain_over(struct writer *w, uint8_t *first)
{
    *first = IKEV2_NO_NEXT_PAYLOAD;
    return (struct ikev2_chain){.w = w, .first = first, .last_offset = NO_PAYLOAD_YET};
}

void ikev2_begin_payload(struct ikev2_chain *c, uint8_t type, bool critical)
{
    size_t offset = c->w->length;

    assert(type != IKEV2_NO_NEXT_PAYLOAD);
    write_u8(c->w, IKEV2_NO_NEXT_PAYLOAD);
    write_u8(c->w, critical ? PAYLOAD_CRITICAL : 0);
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

void ikev2_end_payload(struct ikev2_chain *c)
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

void ikev2_write_payload(struct ikev2_chain *c, uint8_t type, struct slice body)
{
    ikev2_begin_payload(c, type, false);
    write_slice(c->w, body);
    ikev2_end_payload(c);
}
