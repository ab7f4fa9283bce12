/*
 * A chain of payloads as one value, and a message being written: decides which message is well
 * formed, and what a HASH payload covers (RFC 2408 3.1, 3.2; RFC 2409 5.5, 5.7).
 */
#include <assert.h>
#include <string.h>

#include "proto/ikev1/machine.h"

#define CLEAR_MULTIPLE 4

bool ikev1_message_read(struct ikev1_message *m, struct slice payloads)
{
    uint8_t next = m->header.next_payload;

    m->count = 0;
    if (!ikev1_read_chain(next, payloads, &m->chain)) {
        return false;
    }
    struct reader r = reader_over(payloads);
    struct slice padding = {payloads.data + m->chain.length, payloads.length - m->chain.length};

    while (m->count < IKEV1_PAYLOADS_MAX && ikev1_read_payload(&r, &next, &m->list[m->count])) {
        m->count++;
    }
    /* Padding is there for the cipher; but the family of FreeS/WAN makes every message a multiple
     * of four octets, also where there is no cipher. */
    if ((m->header.flags & IKEV1_FLAG_ENCRYPTED) == 0) {
        return padding.length < CLEAR_MULTIPLE;
    }
    return ikev1_padding_is_sane(padding);
}

bool ikev1_message_find(const struct ikev1_message *m, uint8_t type, size_t index,
                        struct slice *body)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->list[i].type == type) {
            if (index == 0) {
                *body = m->list[i].body;
                return true;
            }
            index--;
        }
    }
    return false;
}

bool ikev1_message_only(const struct ikev1_message *m, uint8_t type, struct slice *body)
{
    struct slice another;

    return ikev1_message_find(m, type, 0, body) && !ikev1_message_find(m, type, 1, &another);
}

bool ikev1_message_notify(const struct ikev1_message *m, uint16_t type,
                          struct ikev1_notify_payload *out)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->list[i].type == IKEV1_NOTIFY && ikev1_read_notify(m->list[i].body, out) &&
            out->type == type) {
            return true;
        }
    }
    return false;
}

bool ikev1_message_nonce(const struct ikev1_message *m, struct ikev1_nonce *out)
{
    struct slice body;

    if (!ikev1_message_only(m, IKEV1_NONCE, &body) || body.length < IKEV1_NONCE_BYTES_MIN ||
        body.length > IKEV1_NONCE_BYTES_MAX) {
        return false;
    }
    out->length = (uint16_t)body.length;
    memcpy(out->data, body.data, body.length);
    return true;
}

struct slice ikev1_message_behind_hash(const struct ikev1_message *m)
{
    size_t hash = m->list[0].whole.length;

    return (struct slice){m->chain.data + hash, m->chain.length - hash};
}

void ikev1_nonce_make(struct random_source *random, struct ikev1_nonce *out)
{
    out->length = IKEV1_NONCE_BYTES;
    random_fill(random, out->data, out->length);
}

struct slice ikev1_nonce_slice(const struct ikev1_nonce *nonce)
{
    return (struct slice){nonce->data, nonce->length};
}

/* ---- writing ---- */

void ikev1_out_begin(struct ikev1_outgoing *o, const struct ikev1_ike *ike, uint8_t exchange,
                     uint32_t message_id)
{
    o->header = (struct ikev1_header){
        .cookie_i = ike->spi_i,
        .cookie_r = ike->spi_r,
        .version = IKEV1_VERSION_1_0,
        .exchange = exchange,
        .message_id = message_id,
    };
    o->first = IKEV1_NO_NEXT_PAYLOAD;
    o->hash_offset = 0;
    o->w = writer_over(o->bytes, sizeof(o->bytes));
    /* The header is written again when all is known. */
    ikev1_write_header(&o->w, &o->header);
    o->chain = ikev1_chain_over(&o->w, &o->first);
}

void ikev1_out_sa(struct ikev1_outgoing *o, const struct ikev1_sa_payload *sa)
{
    ikev1_begin_payload(&o->chain, IKEV1_SA);
    ikev1_write_sa(&o->w, sa);
    ikev1_end_payload(&o->chain);
}

void ikev1_out_notify(struct ikev1_outgoing *o, uint8_t protocol, uint16_t type, struct slice spi,
                      struct slice data)
{
    struct ikev1_notify_payload n = {
        .doi = IKEV1_DOI_IPSEC,
        .protocol = protocol,
        .type = type,
        .spi = spi,
        .data = data,
    };

    ikev1_begin_payload(&o->chain, IKEV1_NOTIFY);
    ikev1_write_notify(&o->w, &n);
    ikev1_end_payload(&o->chain);
}

void ikev1_out_hash_room(struct ikev1_outgoing *o, const struct ikev1_ike *ike)
{
    const struct algorithm *prf = algorithm_find(TRANSFORM_PRF, ike->keys.suite.prf);

    assert(prf != NULL);
    ikev1_begin_payload(&o->chain, IKEV1_HASH);
    o->hash_offset = o->w.length;
    write_zeros(&o->w, prf->output_bytes);
    ikev1_end_payload(&o->chain);
}

struct slice ikev1_out_behind_hash(const struct ikev1_outgoing *o)
{
    size_t hash_bytes = get_u16(o->bytes + o->hash_offset - 2) - IKEV1_PAYLOAD_HEAD_BYTES;
    size_t from = o->hash_offset + hash_bytes;

    return (struct slice){o->bytes + from, o->w.length - from};
}

void ikev1_out_fill_hash(struct ikev1_outgoing *o, const struct ikev1_hash_value *hash)
{
    assert(get_u16(o->bytes + o->hash_offset - 2) == hash->length + IKEV1_PAYLOAD_HEAD_BYTES);
    memcpy(o->bytes + o->hash_offset, hash->octets, hash->length);
}
