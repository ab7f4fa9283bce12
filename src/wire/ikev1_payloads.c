/*
 * Decides what stands in the bodies of the IKEv1 payloads other than proposals (RFC 2408 3.8 to
 * 3.15, RFC 2407 4.6.2, RFC 3947 5.2, mode-config, Unity, the fragments of vendors). Reserved
 * octets are written as zero and not looked at.
 */
#include "wire/ikev1.h"

#include <assert.h>

#define SPI_BYTES_OF_SA 4
#define IPV4_BYTES 4
#define IPV6_BYTES 16

/* --- ID (RFC 2407 4.6.2) --- */

/* Which family and how many addresses an identity has; no addresses in the others. */
struct id_shape {
    uint8_t type;
    uint8_t family;
    uint8_t addresses;
};

static const struct id_shape *shape_of(uint8_t type)
{
    static const struct id_shape shapes[] = {
        {IKEV1_ID_IPV4_ADDR, FAMILY_IPV4, 1},        {IKEV1_ID_IPV6_ADDR, FAMILY_IPV6, 1},
        {IKEV1_ID_IPV4_ADDR_SUBNET, FAMILY_IPV4, 2}, {IKEV1_ID_IPV6_ADDR_SUBNET, FAMILY_IPV6, 2},
        {IKEV1_ID_IPV4_ADDR_RANGE, FAMILY_IPV4, 2},  {IKEV1_ID_IPV6_ADDR_RANGE, FAMILY_IPV6, 2},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(shapes); i++) {
        if (shapes[i].type == type) {
            return &shapes[i];
        }
    }
    return NULL;
}

static bool id_length_is_right(const struct ikev1_id_payload *id)
{
    const struct id_shape *shape = shape_of(id->type);

    return shape == NULL ||
           id->data.length == shape->addresses * address_bytes((enum family)shape->family);
}

bool ikev1_read_id(struct slice body, struct ikev1_id_payload *out)
{
    struct reader r = reader_over(body);

    out->type = read_u8(&r);
    out->protocol = read_u8(&r);
    out->port = read_u16(&r);
    out->data = read_rest(&r);
    out->whole = body;
    return reader_done(&r) && id_length_is_right(out);
}

void ikev1_write_id(struct writer *w, const struct ikev1_id_payload *id)
{
    write_u8(w, id->type);
    write_u8(w, id->protocol);
    write_u16(w, id->port);
    write_slice(w, id->data);
}

static struct address read_address(struct reader *r, enum family family)
{
    struct address a = {.family = (uint8_t)family};

    read_copy(r, a.bytes, address_bytes(family));
    return a;
}

/* The length of a mask without holes. */
static bool prefix_of_mask(const struct address *mask, uint8_t *prefix_bits)
{
    size_t bits = 8 * address_bytes((enum family)mask->family);
    size_t prefix = 0;

    while (prefix < bits && (mask->bytes[prefix / 8] & (0x80 >> prefix % 8)) != 0) {
        prefix++;
    }
    for (size_t i = prefix; i < bits; i++) {
        if ((mask->bytes[i / 8] & (0x80 >> i % 8)) != 0) {
            return false;
        }
    }
    *prefix_bits = (uint8_t)prefix;
    return true;
}

static struct address mask_of_prefix(enum family family, uint8_t prefix_bits)
{
    struct address mask = {.family = (uint8_t)family};

    for (size_t i = 0; i < prefix_bits; i++) {
        mask.bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
    }
    return mask;
}

/* Peers send an address of the network as well as the network's own. */
static bool network_of_mask(const struct address *address, const struct address *mask,
                            struct network *out)
{
    *out = (struct network){.address = {.family = address->family}};
    for (size_t i = 0; i < sizeof(out->address.bytes); i++) {
        out->address.bytes[i] = address->bytes[i] & mask->bytes[i];
    }
    return prefix_of_mask(mask, &out->prefix_bits);
}

static bool is_subnet(uint8_t type)
{
    return type == IKEV1_ID_IPV4_ADDR_SUBNET || type == IKEV1_ID_IPV6_ADDR_SUBNET;
}

static bool range_of_id(const struct ikev1_id_payload *id, struct range *out)
{
    const struct id_shape *shape = shape_of(id->type);
    struct reader r = reader_over(id->data);
    struct network network;

    if (shape == NULL || !id_length_is_right(id)) {
        return false;
    }
    out->first = read_address(&r, (enum family)shape->family);
    out->last = shape->addresses == 1 ? out->first : read_address(&r, (enum family)shape->family);
    if (!is_subnet(id->type)) {
        return reader_done(&r) && address_compare(&out->first, &out->last) <= 0;
    }
    if (!reader_done(&r) || !network_of_mask(&out->first, &out->last, &network)) {
        return false;
    }
    *out = network_range(&network);
    return true;
}

bool ikev1_id_selector(const struct ikev1_id_payload *id, struct selector *out)
{
    *out = (struct selector){
        .protocol = id->protocol,
        .port_first = id->port,
        .port_last = id->port == 0 ? UINT16_MAX : id->port,
    };
    return range_of_id(id, &out->addresses);
}

bool ikev1_write_selector(struct writer *w, const struct selector *selector)
{
    enum family family = (enum family)selector->addresses.first.family;
    size_t bytes = address_bytes(family);
    bool is_ipv4 = family == FAMILY_IPV4;
    bool any_port = selector->port_first == 0 && selector->port_last == UINT16_MAX;
    struct slice first = {selector->addresses.first.bytes, bytes};
    struct network network;

    assert(bytes > 0);
    if (!any_port && (selector->port_first != selector->port_last || selector->port_first == 0)) {
        return false;
    }
    bool is_network = range_is_network(&selector->addresses, &network);
    bool is_one = is_network && network.prefix_bits == 8 * bytes;
    uint8_t type = is_one       ? (is_ipv4 ? IKEV1_ID_IPV4_ADDR : IKEV1_ID_IPV6_ADDR)
                   : is_network ? (is_ipv4 ? IKEV1_ID_IPV4_ADDR_SUBNET : IKEV1_ID_IPV6_ADDR_SUBNET)
                                : (is_ipv4 ? IKEV1_ID_IPV4_ADDR_RANGE : IKEV1_ID_IPV6_ADDR_RANGE);

    write_u8(w, type);
    write_u8(w, selector->protocol);
    write_u16(w, any_port ? 0 : selector->port_first);
    write_slice(w, first);
    if (is_network && !is_one) {
        struct address mask = mask_of_prefix(family, network.prefix_bits);

        write_slice(w, (struct slice){mask.bytes, bytes});
    } else if (!is_network) {
        write_slice(w, (struct slice){selector->addresses.last.bytes, bytes});
    }
    return true;
}

/* --- CERT, CERTREQ (RFC 2408 3.9, 3.10) --- */

bool ikev1_read_cert(struct slice body, struct ikev1_cert_payload *out)
{
    struct reader r = reader_over(body);

    out->encoding = read_u8(&r);
    out->data = read_rest(&r);
    return reader_done(&r);
}

void ikev1_write_cert(struct writer *w, const struct ikev1_cert_payload *cert)
{
    write_u8(w, cert->encoding);
    write_slice(w, cert->data);
}

/* --- N (3.14) --- */

bool ikev1_read_notify(struct slice body, struct ikev1_notify_payload *out)
{
    struct reader r = reader_over(body);

    out->doi = read_u32(&r);
    out->protocol = read_u8(&r);
    uint8_t spi_bytes = read_u8(&r);

    out->type = read_u16(&r);
    out->spi = read_bytes(&r, spi_bytes);
    out->data = read_rest(&r);
    return reader_done(&r);
}

void ikev1_write_notify(struct writer *w, const struct ikev1_notify_payload *n)
{
    assert(n->spi.length <= UINT8_MAX);
    write_u32(w, n->doi);
    write_u8(w, n->protocol);
    write_u8(w, (uint8_t)n->spi.length);
    write_u16(w, n->type);
    write_slice(w, n->spi);
    write_slice(w, n->data);
}

bool ikev1_notify_is_error(uint16_t type)
{
    return type < IKEV1_CONNECTED;
}

/* --- D (3.15) --- */

/* An ISAKMP SA is named by both cookies, an AH or ESP SA by four octets; of other protocols only
 * the shape is known. */
static bool spi_bytes_are_right(const struct ikev1_delete_payload *d)
{
    if (d->protocol == IKEV1_PROTO_ISAKMP) {
        return d->spi_bytes == IKEV1_COOKIES_BYTES;
    }
    if (d->protocol == IKEV1_PROTO_AH || d->protocol == IKEV1_PROTO_ESP) {
        return d->spi_bytes == SPI_BYTES_OF_SA;
    }
    return d->spi_bytes > 0;
}

bool ikev1_read_delete(struct slice body, struct ikev1_delete_payload *out)
{
    struct reader r = reader_over(body);

    out->doi = read_u32(&r);
    out->protocol = read_u8(&r);
    out->spi_bytes = read_u8(&r);
    out->count = read_u16(&r);
    out->spis = read_rest(&r);
    return reader_done(&r) && spi_bytes_are_right(out) &&
           out->spis.length == (size_t)out->spi_bytes * out->count;
}

void ikev1_write_delete(struct writer *w, const struct ikev1_delete_payload *d)
{
    assert(d->spis.length == (size_t)d->spi_bytes * d->count);
    write_u32(w, d->doi);
    write_u8(w, d->protocol);
    write_u8(w, d->spi_bytes);
    write_u16(w, d->count);
    write_slice(w, d->spis);
}

/* --- NAT-OA (RFC 3947 5.2) --- */

bool ikev1_read_nat_oa(struct slice body, struct address *out)
{
    struct reader r = reader_over(body);
    uint8_t type = read_u8(&r);

    read_skip(&r, 3);
    if (type != IKEV1_ID_IPV4_ADDR && type != IKEV1_ID_IPV6_ADDR) {
        return false;
    }
    *out = read_address(&r, type == IKEV1_ID_IPV4_ADDR ? FAMILY_IPV4 : FAMILY_IPV6);
    return reader_done(&r);
}

void ikev1_write_nat_oa(struct writer *w, const struct address *address)
{
    size_t bytes = address_bytes((enum family)address->family);

    assert(bytes > 0);
    write_u8(w, bytes == IPV4_BYTES ? IKEV1_ID_IPV4_ADDR : IKEV1_ID_IPV6_ADDR);
    write_zeros(w, 3);
    write_slice(w, (struct slice){address->bytes, bytes});
}

/* --- ATTRIBUTES (draft-dukes-ike-mode-cfg-02 3.2) --- */

bool ikev1_read_cfg(struct slice body, struct ikev1_cfg_payload *out)
{
    struct reader r = reader_over(body);

    out->type = read_u8(&r);
    read_skip(&r, 1);
    out->identifier = read_u16(&r);
    out->count = 0;
    while (reader_left(&r) > 0) {
        if (out->count == IKEV1_CFG_ATTRIBUTES_MAX ||
            !ikev1_read_attribute(&r, &out->attributes[out->count])) {
            return false;
        }
        out->count++;
    }
    return reader_done(&r);
}

void ikev1_write_cfg(struct writer *w, const struct ikev1_cfg_payload *cfg)
{
    assert(cfg->count <= IKEV1_CFG_ATTRIBUTES_MAX);
    write_u8(w, cfg->type);
    write_u8(w, 0);
    write_u16(w, cfg->identifier);
    for (unsigned i = 0; i < cfg->count; i++) {
        const struct ikev1_attribute *a = &cfg->attributes[i];

        if (a->is_short) {
            assert(a->number <= UINT16_MAX);
            ikev1_write_number(w, a->type, a->number);
        } else {
            ikev1_write_attribute(w, a->type, a->value);
        }
    }
}

bool ikev1_cfg_address(const struct ikev1_attribute *attribute, struct address *out)
{
    struct reader r = reader_over(attribute->value);
    bool is_ipv4 = attribute->value.length == IPV4_BYTES;

    if (attribute->is_short) {
        return false;
    }
    *out = read_address(&r, is_ipv4 ? FAMILY_IPV4 : FAMILY_IPV6);
    if (!is_ipv4 && reader_left(&r) == 1) {
        read_skip(&r, 1);
    }
    return reader_done(&r);
}

bool ikev1_cfg_subnet(const struct ikev1_attribute *attribute, struct network *out)
{
    struct reader r = reader_over(attribute->value);

    if (attribute->is_short) {
        return false;
    }
    if (attribute->value.length == 2 * IPV4_BYTES) {
        struct address address = read_address(&r, FAMILY_IPV4);
        struct address mask = read_address(&r, FAMILY_IPV4);

        return reader_done(&r) && network_of_mask(&address, &mask, out);
    }
    struct address address = read_address(&r, FAMILY_IPV6);
    uint8_t prefix_bits = read_u8(&r);

    if (!reader_done(&r) || prefix_bits > 128) {
        return false;
    }
    struct address mask = mask_of_prefix(FAMILY_IPV6, prefix_bits);

    return network_of_mask(&address, &mask, out);
}

void ikev1_write_cfg_subnet(struct writer *w, const struct network *network)
{
    enum family family = (enum family)network->address.family;
    struct address mask = mask_of_prefix(family, network->prefix_bits);

    write_slice(w, (struct slice){network->address.bytes, address_bytes(family)});
    if (family == FAMILY_IPV4) {
        write_slice(w, (struct slice){mask.bytes, IPV4_BYTES});
    } else {
        write_u8(w, network->prefix_bits);
    }
}

#define SPLIT_PADDING_BYTES 6

bool ikev1_read_split_network(struct reader *r, struct network *out)
{
    if (reader_left(r) == 0) {
        return false;
    }
    struct address address = read_address(r, FAMILY_IPV4);
    struct address mask = read_address(r, FAMILY_IPV4);

    read_skip(r, SPLIT_PADDING_BYTES);
    if (!reader_ok(r) || !network_of_mask(&address, &mask, out)) {
        reader_fail(r);
        return false;
    }
    return true;
}

void ikev1_write_split_network(struct writer *w, const struct network *network)
{
    struct address mask = mask_of_prefix(FAMILY_IPV4, network->prefix_bits);

    assert(network->address.family == FAMILY_IPV4);
    write_slice(w, (struct slice){network->address.bytes, IPV4_BYTES});
    write_slice(w, (struct slice){mask.bytes, IPV4_BYTES});
    write_zeros(w, SPLIT_PADDING_BYTES);
}

/* --- fragments --- */

#define FRAGMENT_LAST 0x01

bool ikev1_read_fragment(struct slice body, struct ikev1_fragment_payload *out)
{
    struct reader r = reader_over(body);

    out->identifier = read_u16(&r);
    out->number = read_u8(&r);
    out->last = (read_u8(&r) & FRAGMENT_LAST) != 0;
    out->data = read_rest(&r);
    return reader_done(&r) && out->number > 0 && out->data.length > 0;
}

void ikev1_write_fragment(struct writer *w, const struct ikev1_fragment_payload *f)
{
    write_u16(w, f->identifier);
    write_u8(w, f->number);
    write_u8(w, f->last ? FRAGMENT_LAST : 0);
    write_slice(w, f->data);
}
