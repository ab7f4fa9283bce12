/*
 * A chain of payloads as one value, and one being written: decides which payloads may stand in a
 * message only once, and which unknown ones must not be ignored (RFC 7296 2.5).
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

/* What RFC 7296 and RFC 7383 define; the critical bit is meaningless there. */
static bool payload_is_known(uint8_t type)
{
    return (type >= IKEV2_SA && type <= IKEV2_EAP) || type == IKEV2_SKF;
}

/* Those of which several may stand in one message. */
static bool payload_may_repeat(uint8_t type)
{
    return type == IKEV2_CERT || type == IKEV2_CERTREQ || type == IKEV2_NOTIFY ||
           type == IKEV2_DELETE || type == IKEV2_VENDOR_ID;
}

static bool message_add(struct ikev2_message *m, const struct ikev2_payload *p)
{
    if (!payload_is_known(p->type)) {
        if (p->critical && m->critical == 0) {
            m->critical = p->type;
        }
        return true;
    }
    /* RFC 7296 3.14: an Encrypted payload stands alone, never inside another. */
    if (p->type == IKEV2_SK || p->type == IKEV2_SKF) {
        return false;
    }
    if (m->has[p->type] && !payload_may_repeat(p->type)) {
        return false;
    }
    if (!m->has[p->type]) {
        m->has[p->type] = true;
        m->body[p->type] = p->body;
    }
    if (p->type == IKEV2_NOTIFY && m->notify_count < IKEV2_PAYLOADS_MAX) {
        return ikev2_read_notify(p->body, &m->notify[m->notify_count++]);
    }
    if (p->type == IKEV2_DELETE && m->delete_count < IKEV2_PAYLOADS_MAX) {
        m->deletes[m->delete_count++] = p->body;
    }
    return true;
}

bool ikev2_message_read(struct ikev2_message *m)
{
    struct reader r = reader_over(m->chain);
    uint8_t next = m->first;
    struct ikev2_payload p;
    size_t count = 0;

    memset(m->has, 0, sizeof(m->has));
    m->critical = 0;
    m->notify_count = 0;
    m->delete_count = 0;
    while (ikev2_read_payload(&r, &next, &p)) {
        count++;
        if (count > IKEV2_PAYLOADS_MAX || !message_add(m, &p)) {
            return false;
        }
    }
    return reader_done(&r);
}

const struct ikev2_notify_payload *ikev2_message_notify(const struct ikev2_message *m,
                                                        uint16_t type)
{
    for (size_t i = 0; i < m->notify_count; i++) {
        if (m->notify[i].type == type) {
            return &m->notify[i];
        }
    }
    return NULL;
}

bool ikev2_message_vendor(const struct ikev2_message *m, struct slice id)
{
    struct reader r = reader_over(m->chain);
    uint8_t next = m->first;
    struct ikev2_payload p;

    while (ikev2_read_payload(&r, &next, &p)) {
        if (p.type == IKEV2_VENDOR_ID && slice_equal(p.body, id)) {
            return true;
        }
    }
    return false;
}

const struct ikev2_notify_payload *ikev2_message_error(const struct ikev2_message *m)
{
    for (size_t i = 0; i < m->notify_count; i++) {
        if (ikev2_notify_is_error(m->notify[i].type)) {
            return &m->notify[i];
        }
    }
    return NULL;
}

bool ikev2_message_nonce(const struct ikev2_message *m, struct ikev2_nonce *out)
{
    struct slice body = m->body[IKEV2_NONCE];

    if (!m->has[IKEV2_NONCE] || body.length < IKEV2_NONCE_BYTES_MIN ||
        body.length > IKEV2_NONCE_BYTES_MAX) {
        return false;
    }
    out->length = (uint16_t)body.length;
    memcpy(out->data, body.data, body.length);
    return true;
}

bool ikev2_message_ke(const struct ikev2_message *m, struct ikev2_ke_payload *out)
{
    if (!m->has[IKEV2_KE] || !ikev2_read_ke(m->body[IKEV2_KE], out)) {
        return false;
    }
    const struct algorithm *group = algorithm_find(TRANSFORM_KEY_EXCHANGE, out->group);

    /* RFC 7296 3.4: every group that we know has values of one length, or of two with ML-KEM. Of
     * the others nothing is used but the number. */
    return group == NULL || out->value.length == ((m->header.flags & IKEV2_FLAG_RESPONSE) != 0
                                                      ? group->answer_bytes
                                                      : group->public_bytes);
}

bool ikev2_nonce_is_lower(const struct ikev2_nonce *a, const struct ikev2_nonce *b)
{
    size_t common = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, common);

    return order < 0 || (order == 0 && a->length < b->length);
}

const struct ikev2_nonce *ikev2_nonce_lower(const struct ikev2_nonce *a,
                                            const struct ikev2_nonce *b)
{
    return ikev2_nonce_is_lower(b, a) ? b : a;
}

void ikev2_nonce_make(struct random_source *random, struct ikev2_nonce *out)
{
    out->length = IKEV2_NONCE_BYTES;
    random_fill(random, out->data, out->length);
}

struct slice ikev2_nonce_slice(const struct ikev2_nonce *nonce)
{
    return (struct slice){nonce->data, nonce->length};
}

void ikev2_out_begin(struct ikev2_outgoing *o)
{
    o->probe = false;
    o->first = IKEV2_NO_NEXT_PAYLOAD;
    o->w = writer_over(o->bytes, sizeof(o->bytes));
    o->chain = ikev2_chain_over(&o->w, &o->first);
}

void ikev2_out_sa(struct ikev2_outgoing *o, const struct ikev2_sa_payload *sa)
{
    ikev2_begin_payload(&o->chain, IKEV2_SA, false);
    ikev2_write_sa(&o->w, sa);
    ikev2_end_payload(&o->chain);
}

void ikev2_out_ke(struct ikev2_outgoing *o, uint16_t group, const struct key_pair *pair)
{
    struct ikev2_ke_payload ke = {
        .group = group,
        .value = {pair->public_value, pair->public_length},
    };

    ikev2_begin_payload(&o->chain, IKEV2_KE, false);
    ikev2_write_ke(&o->w, &ke);
    ikev2_end_payload(&o->chain);
}

void ikev2_out_nonce(struct ikev2_outgoing *o, const struct ikev2_nonce *nonce)
{
    ikev2_write_payload(&o->chain, IKEV2_NONCE, ikev2_nonce_slice(nonce));
}

void ikev2_out_id(struct ikev2_outgoing *o, uint8_t type, const struct ike_identity *id)
{
    struct ikev2_id_payload payload = {.type = id->type, .data = {id->data, id->length}};

    ikev2_begin_payload(&o->chain, type, false);
    ikev2_write_id(&o->w, &payload);
    ikev2_end_payload(&o->chain);
}

void ikev2_out_auth(struct ikev2_outgoing *o, uint8_t method, struct slice data)
{
    struct ikev2_auth_payload auth = {.method = method, .data = data};

    ikev2_begin_payload(&o->chain, IKEV2_AUTH, false);
    ikev2_write_auth(&o->w, &auth);
    ikev2_end_payload(&o->chain);
}

void ikev2_out_ts(struct ikev2_outgoing *o, uint8_t type, const struct selector *list, size_t count)
{
    ikev2_begin_payload(&o->chain, type, false);
    ikev2_write_ts(&o->w, list, count);
    ikev2_end_payload(&o->chain);
}

static void out_notify(struct ikev2_outgoing *o, const struct ikev2_notify_payload *n)
{
    ikev2_begin_payload(&o->chain, IKEV2_NOTIFY, false);
    ikev2_write_notify(&o->w, n);
    ikev2_end_payload(&o->chain);
}

void ikev2_out_notify(struct ikev2_outgoing *o, uint16_t type, struct slice data)
{
    struct ikev2_notify_payload n = {.type = type, .data = data};

    out_notify(o, &n);
}

void ikev2_out_notify_child(struct ikev2_outgoing *o, uint16_t type, uint8_t protocol, uint32_t spi)
{
    uint8_t octets[4];
    struct ikev2_notify_payload n = {
        .protocol = protocol,
        .type = type,
        .spi = {octets, sizeof(octets)},
    };

    put_u32(octets, spi);
    out_notify(o, &n);
}

static void out_delete(struct ikev2_outgoing *o, const struct ikev2_delete_payload *d)
{
    ikev2_begin_payload(&o->chain, IKEV2_DELETE, false);
    ikev2_write_delete(&o->w, d);
    ikev2_end_payload(&o->chain);
}

void ikev2_out_delete_ike(struct ikev2_outgoing *o)
{
    struct ikev2_delete_payload d = {.protocol = PROTOCOL_IKE};

    out_delete(o, &d);
}

void ikev2_out_delete_children(struct ikev2_outgoing *o, uint8_t protocol, const uint32_t *spis,
                               size_t count)
{
    uint8_t octets[4 * IKEV2_CHILDREN_MAX];
    struct ikev2_delete_payload d = {
        .protocol = protocol,
        .spi_bytes = 4,
        .count = (uint16_t)count,
        .spis = {octets, 4 * count},
    };

    assert(count <= IKEV2_CHILDREN_MAX);
    for (size_t i = 0; i < count; i++) {
        put_u32(&octets[4 * i], spis[i]);
    }
    out_delete(o, &d);
}

/* ---- kept ---- */

bool ikev2_handshake_keep(struct ikev2_handshake *h, const struct ikev2_message *m)
{
    h->request_header = m->header;
    h->request_first = m->first;
    return ikev2_block_copy(m->chain, &h->request_chain);
}

struct ikev2_message *ikev2_handshake_kept(struct ikev2_sa *sa)
{
    const struct ikev2_handshake *h = sa->handshake;
    struct ikev2_message *m = ikev2_turn_memory(sa, sizeof(*m));

    if (m == NULL) {
        return NULL;
    }
    m->header = h->request_header;
    m->first = h->request_first;
    m->chain = h->request_chain;
    return ikev2_message_read(m) ? m : NULL;
}
