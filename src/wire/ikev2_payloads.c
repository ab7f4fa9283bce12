/*
 * Decides what stands in the bodies of the IKEv2 payloads (RFC 7296 3.4 to 3.16, RFC 7383 2.5)
 * other than proposals. Reserved octets are written as zero and not looked at.
 */
#include "wire/ikev2.h"

#include <assert.h>

#define EAP_HEAD_BYTES 4
#define PROTOCOL_IKE 1
#define PROTOCOL_AH 2
#define PROTOCOL_ESP 3
#define SPI_BYTES_OF_CHILD 4

/* One octet and three reserved ones stand before the data of several payloads. */
static uint8_t read_u8_and_reserved(struct reader *r)
{
    uint8_t value = read_u8(r);

    read_skip(r, 3);
    return value;
}

static void write_u8_and_reserved(struct writer *w, uint8_t value)
{
    write_u8(w, value);
    write_zeros(w, 3);
}

/* --- KE (3.4) --- */

bool ikev2_read_ke(struct slice body, struct ikev2_ke_payload *out)
{
    struct reader r = reader_over(body);

    out->group = read_u16(&r);
    read_skip(&r, 2);
    out->value = read_rest(&r);
    return reader_done(&r) && out->value.length > 0;
}

void ikev2_write_ke(struct writer *w, const struct ikev2_ke_payload *ke)
{
    write_u16(w, ke->group);
    write_u16(w, 0);
    write_slice(w, ke->value);
}

/* --- IDi, IDr (3.5) --- */

static bool id_length_is_right(const struct ikev2_id_payload *id)
{
    if (id->type == IKEV2_ID_IPV4_ADDR) {
        return id->data.length == 4;
    }
    return id->type != IKEV2_ID_IPV6_ADDR || id->data.length == 16;
}

bool ikev2_read_id(struct slice body, struct ikev2_id_payload *out)
{
    struct reader r = reader_over(body);

    out->type = read_u8_and_reserved(&r);
    out->data = read_rest(&r);
    out->whole = body;
    return reader_done(&r) && id_length_is_right(out);
}

void ikev2_write_id(struct writer *w, const struct ikev2_id_payload *id)
{
    write_u8_and_reserved(w, id->type);
    write_slice(w, id->data);
}

/* --- CERT, CERTREQ (3.6, 3.7) --- */

bool ikev2_read_cert(struct slice body, struct ikev2_cert_payload *out)
{
    struct reader r = reader_over(body);

    out->encoding = read_u8(&r);
    out->data = read_rest(&r);
    return reader_done(&r);
}

void ikev2_write_cert(struct writer *w, const struct ikev2_cert_payload *cert)
{
    write_u8(w, cert->encoding);
    write_slice(w, cert->data);
}

/* --- AUTH (3.8) --- */

bool ikev2_read_auth(struct slice body, struct ikev2_auth_payload *out)
{
    struct reader r = reader_over(body);

    out->method = read_u8_and_reserved(&r);
    out->data = read_rest(&r);
    return reader_done(&r) && out->data.length > 0;
}

void ikev2_write_auth(struct writer *w, const struct ikev2_auth_payload *auth)
{
    write_u8_and_reserved(w, auth->method);
    write_slice(w, auth->data);
}

/* --- N (3.10) --- */

bool ikev2_read_notify(struct slice body, struct ikev2_notify_payload *out)
{
    struct reader r = reader_over(body);

    out->protocol = read_u8(&r);
    uint8_t spi_bytes = read_u8(&r);

    out->type = read_u16(&r);
    out->spi = read_bytes(&r, spi_bytes);
    out->data = read_rest(&r);
    return reader_done(&r);
}

void ikev2_write_notify(struct writer *w, const struct ikev2_notify_payload *n)
{
    assert(n->spi.length <= UINT8_MAX);
    write_u8(w, n->protocol);
    write_u8(w, (uint8_t)n->spi.length);
    write_u16(w, n->type);
    write_slice(w, n->spi);
    write_slice(w, n->data);
}

bool ikev2_notify_is_error(uint16_t type)
{
    return type < IKEV2_INITIAL_CONTACT;
}

/* --- D (3.11) --- */

/* An IKE SA has no SPI here, an AH or ESP SA has four octets; of other protocols only the shape is
 * known. */
static bool spi_bytes_are_right(const struct ikev2_delete_payload *d)
{
    if (d->protocol == PROTOCOL_IKE) {
        return d->spi_bytes == 0;
    }
    if (d->protocol == PROTOCOL_AH || d->protocol == PROTOCOL_ESP) {
        return d->spi_bytes == SPI_BYTES_OF_CHILD;
    }
    return true;
}

bool ikev2_read_delete(struct slice body, struct ikev2_delete_payload *out)
{
    struct reader r = reader_over(body);

    out->protocol = read_u8(&r);
    out->spi_bytes = read_u8(&r);
    out->count = read_u16(&r);
    out->spis = read_rest(&r);
    return reader_done(&r) && spi_bytes_are_right(out) && (out->spi_bytes > 0 || out->count == 0) &&
           out->spis.length == (size_t)out->spi_bytes * out->count;
}

void ikev2_write_delete(struct writer *w, const struct ikev2_delete_payload *d)
{
    assert(d->spis.length == (size_t)d->spi_bytes * d->count);
    write_u8(w, d->protocol);
    write_u8(w, d->spi_bytes);
    write_u16(w, d->count);
    write_slice(w, d->spis);
}

/* --- the data of notifies --- */

bool ikev2_read_ipcomp(struct slice data, struct ikev2_ipcomp *out)
{
    struct reader r = reader_over(data);

    out->cpi = read_u16(&r);
    out->transform = read_u8(&r);
    out->attributes = read_rest(&r);
    return reader_done(&r);
}

void ikev2_write_ipcomp(struct writer *w, const struct ikev2_ipcomp *ipcomp)
{
    write_u16(w, ipcomp->cpi);
    write_u8(w, ipcomp->transform);
    write_slice(w, ipcomp->attributes);
}

/* --- TSi, TSr (3.13) --- */

#define TS_HEAD_BYTES 4
#define TS_IPV4_ADDR_RANGE 7
#define TS_IPV6_ADDR_RANGE 8

static bool selector_is_sane(const struct selector *s)
{
    return address_compare(&s->addresses.first, &s->addresses.last) <= 0 &&
           (s->port_first <= s->port_last || selector_is_opaque(s));
}

static struct address read_address(struct reader *r, enum family family)
{
    struct address a = {.family = (uint8_t)family};

    read_copy(r, a.bytes, address_bytes(family));
    return a;
}

static bool read_ranges(struct reader *r, enum family family, uint8_t protocol,
                        struct selector *out)
{
    out->protocol = protocol;
    out->port_first = read_u16(r);
    out->port_last = read_u16(r);
    out->addresses.first = read_address(r, family);
    out->addresses.last = read_address(r, family);
    return reader_done(r) && selector_is_sane(out);
}

static bool read_selector(struct reader *r, struct ikev2_ts_payload *out)
{
    uint8_t type = read_u8(r);
    uint8_t protocol = read_u8(r);
    uint16_t length = read_u16(r);

    if (length < TS_HEAD_BYTES) {
        reader_fail(r);
        return false;
    }
    struct reader body = read_within(r, (size_t)length - TS_HEAD_BYTES);

    if (type != TS_IPV4_ADDR_RANGE && type != TS_IPV6_ADDR_RANGE) {
        out->skipped++;
        return reader_ok(&body);
    }
    enum family family = type == TS_IPV4_ADDR_RANGE ? FAMILY_IPV4 : FAMILY_IPV6;

    if (!read_ranges(&body, family, protocol, &out->selectors[out->count])) {
        return false;
    }
    out->count++;
    return true;
}

bool ikev2_read_ts(struct slice body, struct ikev2_ts_payload *out)
{
    struct reader r = reader_over(body);
    uint8_t count = read_u8_and_reserved(&r);

    out->count = 0;
    out->skipped = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!read_selector(&r, out)) {
            return false;
        }
    }
    return reader_done(&r) && count > 0;
}

static void write_selector(struct writer *w, const struct selector *s)
{
    enum family family = (enum family)s->addresses.first.family;
    size_t bytes = address_bytes(family);

    assert(bytes > 0);
    write_u8(w, family == FAMILY_IPV4 ? TS_IPV4_ADDR_RANGE : TS_IPV6_ADDR_RANGE);
    write_u8(w, s->protocol);
    write_u16(w, (uint16_t)(TS_HEAD_BYTES + 4 + 2 * bytes));
    write_u16(w, s->port_first);
    write_u16(w, s->port_last);
    write_slice(w, (struct slice){s->addresses.first.bytes, bytes});
    write_slice(w, (struct slice){s->addresses.last.bytes, bytes});
}

void ikev2_write_ts(struct writer *w, const struct selector *selectors, size_t count)
{
    assert(count > 0 && count <= IKEV2_SELECTORS_MAX);
    write_u8_and_reserved(w, (uint8_t)count);
    for (size_t i = 0; i < count; i++) {
        write_selector(w, &selectors[i]);
    }
}

/* --- CP (3.15) --- */

#define CP_ATTRIBUTE_TYPE 0x7fff

bool ikev2_read_cp(struct slice body, struct ikev2_cp_payload *out)
{
    struct reader r = reader_over(body);

    out->type = read_u8_and_reserved(&r);
    out->count = 0;
    while (reader_left(&r) > 0) {
        if (out->count == IKEV2_CP_ATTRIBUTES_MAX) {
            return false;
        }
        struct ikev2_cp_attribute *attribute = &out->attributes[out->count];

        attribute->type = read_u16(&r) & CP_ATTRIBUTE_TYPE;
        uint16_t length = read_u16(&r);

        attribute->value = read_bytes(&r, length);
        out->count++;
    }
    return reader_done(&r);
}

void ikev2_write_cp(struct writer *w, const struct ikev2_cp_payload *cp)
{
    assert(cp->count <= IKEV2_CP_ATTRIBUTES_MAX);
    write_u8_and_reserved(w, cp->type);
    for (unsigned i = 0; i < cp->count; i++) {
        assert(cp->attributes[i].value.length <= UINT16_MAX);
        write_u16(w, cp->attributes[i].type & CP_ATTRIBUTE_TYPE);
        write_u16(w, (uint16_t)cp->attributes[i].value.length);
        write_slice(w, cp->attributes[i].value);
    }
}

/* --- EAP (3.16) --- */

bool ikev2_read_eap(struct slice body, struct slice *packet)
{
    struct reader r = reader_over(body);

    read_skip(&r, 2);
    uint16_t length = read_u16(&r);

    if (!reader_ok(&r) || length < EAP_HEAD_BYTES || length != body.length) {
        return false;
    }
    *packet = body;
    return true;
}

/* --- SKF (RFC 7383 2.5) --- */

bool ikev2_read_skf_head(struct reader *body, struct ikev2_skf_head *out)
{
    struct ikev2_skf_head head;

    head.number = read_u16(body);
    head.total = read_u16(body);
    if (!reader_ok(body) || head.number == 0 || head.number > head.total) {
        reader_fail(body);
        return false;
    }
    *out = head;
    return true;
}
