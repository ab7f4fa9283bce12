/* Decides how RADIUS packets and their attributes are read, written and shown. */
#include "wire/radius.h"

bool radius_read_attribute(struct reader *attributes, struct radius_attribute *out)
{
    if (reader_left(attributes) == 0) {
        return false;
    }
    out->type = read_u8(attributes);
    uint8_t length = read_u8(attributes);

    /* RFC 2865 5: the length has type, length and value in it, and no value is empty. */
    if (length < 3) {
        reader_fail(attributes);
        return false;
    }
    out->value = read_bytes(attributes, (size_t)length - 2);
    return reader_ok(attributes);
}

bool radius_read(struct reader *r, struct radius_packet *packet)
{
    packet->code = read_u8(r);
    packet->id = read_u8(r);
    packet->length = read_u16(r);
    read_copy(r, packet->authenticator, sizeof(packet->authenticator));
    if (packet->length < RADIUS_HEAD_BYTES || packet->length > RADIUS_BYTES_MAX) {
        reader_fail(r);
        return false;
    }
    packet->attributes = read_bytes(r, (size_t)packet->length - RADIUS_HEAD_BYTES);
    struct reader attributes = reader_over(packet->attributes);
    struct radius_attribute attribute;

    while (radius_read_attribute(&attributes, &attribute)) {
    }
    return reader_ok(r) && reader_done(&attributes);
}

bool radius_read_vendor(struct reader *value, struct radius_vendor_attribute *out)
{
    out->vendor = read_u32(value);
    out->type = read_u8(value);
    uint8_t length = read_u8(value);

    if (length < 2) {
        reader_fail(value);
        return false;
    }
    out->value = read_bytes(value, (size_t)length - 2);
    return reader_ok(value);
}

void radius_write_begin(struct writer *w, uint8_t code, uint8_t id,
                        const uint8_t authenticator[RADIUS_AUTHENTICATOR_BYTES])
{
    write_u8(w, code);
    write_u8(w, id);
    write_u16(w, 0);
    write_slice(w, (struct slice){authenticator, RADIUS_AUTHENTICATOR_BYTES});
}

void radius_write_attribute(struct writer *w, uint8_t type, struct slice value)
{
    if (value.length > RADIUS_VALUE_BYTES_MAX) {
        writer_fail(w);
    }
    if (value.length > 0) {
        write_u8(w, type);
        write_u8(w, (uint8_t)(value.length + 2));
        write_slice(w, value);
    }
}

void radius_write_number(struct writer *w, uint8_t type, uint32_t value)
{
    uint8_t bytes[4];

    put_u32(bytes, value);
    radius_write_attribute(w, type, SLICE_OF(bytes));
}

void radius_write_end(struct writer *w)
{
    write_u16_at(w, 2, (uint16_t)w->length);
}

/* ---- for a person ---- */

const char *radius_code_name(uint8_t code)
{
    switch (code) {
    case RADIUS_ACCESS_REQUEST:
        return "Access-Request";
    case RADIUS_ACCESS_ACCEPT:
        return "Access-Accept";
    case RADIUS_ACCESS_REJECT:
        return "Access-Reject";
    case RADIUS_ACCOUNTING_REQUEST:
        return "Accounting-Request";
    case RADIUS_ACCOUNTING_RESPONSE:
        return "Accounting-Response";
    case RADIUS_ACCESS_CHALLENGE:
        return "Access-Challenge";
    default:
        return NULL;
    }
}

enum shape { TEXT, NUMBER, ADDRESS, OCTETS };

static const struct {
    uint8_t type;
    uint8_t shape;
    const char *name;
} shown[] = {
    {RADIUS_USER_NAME, TEXT, "User-Name"},
    {RADIUS_USER_PASSWORD, OCTETS, "User-Password"},
    {RADIUS_CHAP_PASSWORD, OCTETS, "CHAP-Password"},
    {RADIUS_SERVICE_TYPE, NUMBER, "Service-Type"},
    {RADIUS_NAS_IP_ADDRESS, ADDRESS, "NAS-IP-Address"},
    {RADIUS_NAS_PORT, NUMBER, "NAS-Port"},
    {RADIUS_FRAMED_IP_ADDRESS, ADDRESS, "Framed-IP-Address"},
    {RADIUS_FRAMED_IP_NETMASK, ADDRESS, "Framed-IP-Netmask"},
    {RADIUS_FILTER_ID, TEXT, "Filter-Id"},
    {RADIUS_REPLY_MESSAGE, TEXT, "Reply-Message"},
    {RADIUS_STATE, OCTETS, "State"},
    {RADIUS_CLASS, OCTETS, "Class"},
    {RADIUS_SESSION_TIMEOUT, NUMBER, "Session-Timeout"},
    {RADIUS_IDLE_TIMEOUT, NUMBER, "Idle-Timeout"},
    {RADIUS_CALLING_STATION_ID, TEXT, "Calling-Station-Id"},
    {RADIUS_NAS_IDENTIFIER, TEXT, "NAS-Identifier"},
    {RADIUS_PROXY_STATE, OCTETS, "Proxy-State"},
    {RADIUS_CHAP_CHALLENGE, OCTETS, "CHAP-Challenge"},
    {RADIUS_NAS_PORT_TYPE, NUMBER, "NAS-Port-Type"},
    {RADIUS_MESSAGE_AUTHENTICATOR, OCTETS, "Message-Authenticator"},
    {RADIUS_NAS_PORT_ID, TEXT, "NAS-Port-Id"},
};

static void add_value(uint8_t shape, struct slice value, struct text *out)
{
    char address[ADDRESS_TEXT_BYTES];

    if (shape == TEXT) {
        text_add(out, " '");
        text_add_escaped(out, value);
        text_add(out, "'");
    } else if (shape == NUMBER && value.length == 4) {
        text_addf(out, " %u", (unsigned)get_u32(value.data));
    } else if (shape == ADDRESS && value.length == 4) {
        struct address a = address_ipv4_bytes(value.data);

        text_addf(out, " %s", address_format(&a, address));
    }
}

void radius_describe(const struct radius_packet *packet, struct text *out)
{
    struct reader attributes = reader_over(packet->attributes);
    struct radius_attribute attribute;
    const char *name = radius_code_name(packet->code);

    if (name != NULL) {
        text_addf(out, "%s %u", name, (unsigned)packet->id);
    } else {
        text_addf(out, "RADIUS code %u, %u", (unsigned)packet->code, (unsigned)packet->id);
    }
    while (radius_read_attribute(&attributes, &attribute)) {
        size_t i = 0;

        while (i < ARRAY_LENGTH(shown) && shown[i].type != attribute.type) {
            i++;
        }
        if (i == ARRAY_LENGTH(shown)) {
            text_addf(out, ", attribute %u", (unsigned)attribute.type);
            continue;
        }
        text_addf(out, ", %s", shown[i].name);
        add_value(shown[i].shape, attribute.value, out);
    }
}
