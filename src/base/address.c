/*
 * Decides how addresses, networks, ranges and selectors are read from text, written as text (RFC
 * 4291 2.2, RFC 5952), compared and cut with one another.
 */
#include "base/address.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define GROUPS_OF_IPV6 8

struct address address_ipv4(uint32_t value)
{
    struct address a = {.family = FAMILY_IPV4};

    put_u32(a.bytes, value);
    return a;
}

struct address address_ipv4_bytes(const uint8_t bytes[4])
{
    struct address a = {.family = FAMILY_IPV4};

    memcpy(a.bytes, bytes, 4);
    return a;
}

struct address address_ipv6_bytes(const uint8_t bytes[16])
{
    struct address a = {.family = FAMILY_IPV6};

    memcpy(a.bytes, bytes, 16);
    return a;
}

size_t address_bytes(enum family family)
{
    switch (family) {
    case FAMILY_IPV4:
        return 4;
    case FAMILY_IPV6:
        return 16;
    case FAMILY_NONE:
        break;
    }
    return 0;
}

static size_t bytes_of(const struct address *a)
{
    return address_bytes((enum family)a->family);
}

bool address_equal(const struct address *a, const struct address *b)
{
    return address_compare(a, b) == 0;
}

int address_compare(const struct address *a, const struct address *b)
{
    if (a->family != b->family) {
        return a->family < b->family ? -1 : 1;
    }
    return memcmp(a->bytes, b->bytes, bytes_of(a));
}

bool address_is_unset(const struct address *a)
{
    return a->family == FAMILY_NONE;
}

static bool all_bytes_are(const struct address *a, uint8_t value, size_t from)
{
    for (size_t i = from; i < bytes_of(a); i++) {
        if (a->bytes[i] != value) {
            return false;
        }
    }
    return true;
}

bool address_is_any(const struct address *a)
{
    return a->family != FAMILY_NONE && all_bytes_are(a, 0, 0);
}

bool address_is_multicast(const struct address *a)
{
    switch ((enum family)a->family) {
    case FAMILY_IPV4:
        return (a->bytes[0] & 0xf0) == 0xe0;
    case FAMILY_IPV6:
        return a->bytes[0] == 0xff;
    case FAMILY_NONE:
        break;
    }
    return false;
}

bool address_is_link_local(const struct address *a)
{
    switch ((enum family)a->family) {
    case FAMILY_IPV4:
        return a->bytes[0] == 169 && a->bytes[1] == 254;
    case FAMILY_IPV6:
        return a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
    case FAMILY_NONE:
        break;
    }
    return false;
}

bool address_is_loopback(const struct address *a)
{
    static const uint8_t one[16] = {[15] = 1};

    switch ((enum family)a->family) {
    case FAMILY_IPV4:
        return a->bytes[0] == 127;
    case FAMILY_IPV6:
        return memcmp(a->bytes, one, sizeof(one)) == 0;
    case FAMILY_NONE:
        break;
    }
    return false;
}

/* --- text to values --- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* A decimal number without sign and without leading zeros, at most `max`. */
static bool parse_decimal(struct slice text, uint32_t max, uint32_t *out)
{
    uint32_t value = 0;

    if (text.length == 0 || text.length > 9 || (text.length > 1 && text.data[0] == '0')) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (!is_digit(text.data[i])) {
            return false;
        }
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *out = value;
    return value <= max;
}

/* Cuts `text` at the first `mark`: what stands before goes to *head, what stands behind stays.
 * False without one. */
static bool cut_at_first(struct slice *text, uint8_t mark, struct slice *head)
{
    const uint8_t *found = text->length == 0 ? NULL : memchr(text->data, mark, text->length);

    if (found == NULL) {
        return false;
    }
    size_t before = (size_t)(found - text->data);

    *head = (struct slice){text->data, before};
    *text = (struct slice){found + 1, text->length - before - 1};
    return true;
}

static bool parse_ipv4(struct slice text, uint8_t out[4])
{
    for (size_t i = 0; i < 4; i++) {
        struct slice part = text;
        uint32_t value = 0;

        if (i < 3 && !cut_at_first(&text, '.', &part)) {
            return false;
        }
        if (!parse_decimal(i < 3 ? part : text, 255, &value)) {
            return false;
        }
        out[i] = (uint8_t)value;
    }
    return true;
}

static int hex_digit(uint8_t c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_group(struct slice text, uint16_t *out)
{
    uint16_t value = 0;

    if (text.length == 0 || text.length > 4) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        int digit = hex_digit(text.data[i]);

        if (digit < 0) {
            return false;
        }
        value = (uint16_t)(value << 4 | digit);
    }
    *out = value;
    return true;
}

/* The groups on one side of "::", or all of them. An IPv4 address may stand last (RFC 4291 2.2
 * form 3). */
static bool parse_groups(struct slice text, bool ipv4_allowed, uint16_t groups[GROUPS_OF_IPV6],
                         size_t *count)
{
    bool more = text.length > 0;

    *count = 0;
    while (more) {
        struct slice part = text;
        uint8_t ipv4[4];

        more = cut_at_first(&text, ':', &part);
        if (*count == GROUPS_OF_IPV6) {
            return false;
        }
        if (parse_group(part, &groups[*count])) {
            (*count)++;
        } else if (!more && ipv4_allowed && *count <= GROUPS_OF_IPV6 - 2 &&
                   parse_ipv4(part, ipv4)) {
            groups[*count] = get_u16(ipv4);
            groups[*count + 1] = get_u16(ipv4 + 2);
            *count += 2;
        } else {
            return false;
        }
    }
    return true;
}

/* Where "::" begins, or the length of the text. */
static size_t find_gap(struct slice text)
{
    for (size_t i = 0; i + 1 < text.length; i++) {
        if (text.data[i] == ':' && text.data[i + 1] == ':') {
            return i;
        }
    }
    return text.length;
}

static bool parse_ipv6(struct slice text, uint8_t out[16])
{
    uint16_t head[GROUPS_OF_IPV6];
    uint16_t tail[GROUPS_OF_IPV6];
    size_t head_count = 0;
    size_t tail_count = 0;
    size_t gap = find_gap(text);
    bool has_gap = gap < text.length;

    if (!parse_groups((struct slice){text.data, gap}, !has_gap, head, &head_count)) {
        return false;
    }
    if (has_gap) {
        struct slice behind = {text.data + gap + 2, text.length - gap - 2};

        if (!parse_groups(behind, true, tail, &tail_count)) {
            return false;
        }
    }
    /* "::" stands for at least one group (RFC 5952 4.2.2 would write one, RFC 4291 reads it). */
    if (has_gap ? head_count + tail_count >= GROUPS_OF_IPV6 : head_count != GROUPS_OF_IPV6) {
        return false;
    }
    memset(out, 0, 16);
    for (size_t i = 0; i < head_count; i++) {
        put_u16(out + 2 * i, head[i]);
    }
    for (size_t i = 0; i < tail_count; i++) {
        put_u16(out + 2 * (GROUPS_OF_IPV6 - tail_count + i), tail[i]);
    }
    return true;
}

bool address_parse(struct slice text, struct address *out)
{
    struct address a = {.family = FAMILY_NONE};

    if (text.length == 0 || text.length >= ADDRESS_TEXT_BYTES) {
        return false;
    }
    if (memchr(text.data, ':', text.length) != NULL) {
        if (!parse_ipv6(text, a.bytes)) {
            return false;
        }
        a.family = FAMILY_IPV6;
    } else {
        if (!parse_ipv4(text, a.bytes)) {
            return false;
        }
        a.family = FAMILY_IPV4;
    }
    *out = a;
    return true;
}

/* --- values to text --- */

/* RFC 5952 4.2: the longest run of at least two zero groups, the first of equals. */
static size_t longest_zero_run(const uint16_t groups[GROUPS_OF_IPV6], size_t *length)
{
    size_t best = 0;

    *length = 0;
    for (size_t from = 0; from < GROUPS_OF_IPV6; from++) {
        size_t to = from;

        while (to < GROUPS_OF_IPV6 && groups[to] == 0) {
            to++;
        }
        if (to - from > 1 && to - from > *length) {
            best = from;
            *length = to - from;
        }
    }
    return best;
}

static void add_ipv6(struct text *t, const uint8_t bytes[16])
{
    uint16_t groups[GROUPS_OF_IPV6];
    size_t run = 0;

    for (size_t i = 0; i < GROUPS_OF_IPV6; i++) {
        groups[i] = get_u16(bytes + 2 * i);
    }
    size_t run_from = longest_zero_run(groups, &run);

    /* RFC 5952 5: the well-known prefix of mapped addresses is shown with its IPv4 address. */
    if (run_from == 0 && run == 5 && groups[5] == 0xffff) {
        text_addf(t, "::ffff:%u.%u.%u.%u", bytes[12], bytes[13], bytes[14], bytes[15]);
        return;
    }
    for (size_t i = 0; i < GROUPS_OF_IPV6;) {
        if (run > 0 && i == run_from) {
            text_add(t, "::");
            i += run;
            continue;
        }
        text_addf(t, "%s%x", i == 0 || (run > 0 && i == run_from + run) ? "" : ":", groups[i]);
        i++;
    }
}

static void add_address(struct text *t, const struct address *a)
{
    switch ((enum family)a->family) {
    case FAMILY_IPV4:
        text_addf(t, "%u.%u.%u.%u", a->bytes[0], a->bytes[1], a->bytes[2], a->bytes[3]);
        break;
    case FAMILY_IPV6:
        add_ipv6(t, a->bytes);
        break;
    case FAMILY_NONE:
        text_add(t, "none");
        break;
    }
}

const char *address_format(const struct address *a, char text[ADDRESS_TEXT_BYTES])
{
    struct text t = text_over(text, ADDRESS_TEXT_BYTES);

    add_address(&t, a);
    return text;
}

/* --- endpoints --- */

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && a->tcp == b->tcp && address_equal(&a->address, &b->address);
}

static bool parse_port(struct slice text, struct endpoint *out)
{
    uint32_t port = 0;

    if (!parse_decimal(text, UINT16_MAX, &port)) {
        return false;
    }
    out->port = (uint16_t)port;
    return true;
}

static bool parse_bracketed(struct slice text, uint16_t default_port, struct endpoint *out)
{
    struct slice inside;
    struct endpoint e = {.port = default_port};

    text.data++;
    text.length--;
    if (!cut_at_first(&text, ']', &inside) || !address_parse(inside, &e.address) ||
        e.address.family != FAMILY_IPV6) {
        return false;
    }
    if (text.length > 0) {
        struct slice port = {text.data + 1, text.length - 1};

        if (text.data[0] != ':' || !parse_port(port, &e)) {
            return false;
        }
    }
    *out = e;
    return true;
}

bool endpoint_parse(struct slice text, uint16_t default_port, struct endpoint *out)
{
    struct endpoint e = {.port = default_port};
    struct slice port = text;
    struct slice host;

    if (text.length > 0 && text.data[0] == '[') {
        return parse_bracketed(text, default_port, out);
    }
    if (address_parse(text, &e.address)) {
        *out = e;
        return true;
    }
    if (!cut_at_first(&port, ':', &host) || !address_parse(host, &e.address) ||
        !parse_port(port, &e)) {
        return false;
    }
    *out = e;
    return true;
}

const char *endpoint_format(const struct endpoint *e, char text[ENDPOINT_TEXT_BYTES])
{
    struct text t = text_over(text, ENDPOINT_TEXT_BYTES);
    bool brackets = e->address.family == FAMILY_IPV6;

    text_add(&t, brackets ? "[" : "");
    add_address(&t, &e->address);
    text_addf(&t, "%s:%u", brackets ? "]" : "", e->port);
    return text;
}

/* --- networks --- */

/* The address with all bits behind the prefix set or cleared. */
static struct address with_host_bits(const struct address *a, unsigned prefix_bits, bool set)
{
    struct address result = *a;

    for (size_t i = 0; i < bytes_of(a); i++) {
        unsigned first_bit = (unsigned)i * 8;
        uint8_t host = 0xff;

        if (prefix_bits >= first_bit + 8) {
            host = 0;
        } else if (prefix_bits > first_bit) {
            host = (uint8_t)(0xff >> (prefix_bits - first_bit));
        }
        result.bytes[i] = set ? (uint8_t)(a->bytes[i] | host) : (uint8_t)(a->bytes[i] & ~host);
    }
    return result;
}

bool network_parse(struct slice text, struct network *out)
{
    struct slice prefix = text;
    struct slice host = text;
    bool has_prefix = cut_at_first(&prefix, '/', &host);
    struct network n;
    uint32_t bits = 0;

    if (!address_parse(has_prefix ? host : text, &n.address)) {
        return false;
    }
    uint32_t most = (uint32_t)bytes_of(&n.address) * 8;

    if (!has_prefix) {
        bits = most;
    } else if (!parse_decimal(prefix, most, &bits)) {
        return false;
    }
    n.prefix_bits = (uint8_t)bits;

    struct address first = with_host_bits(&n.address, bits, false);

    if (!address_equal(&first, &n.address)) {
        return false;
    }
    *out = n;
    return true;
}

static void add_network(struct text *t, const struct network *n)
{
    add_address(t, &n->address);
    text_addf(t, "/%u", n->prefix_bits);
}

const char *network_format(const struct network *n, char text[NETWORK_TEXT_BYTES])
{
    struct text t = text_over(text, NETWORK_TEXT_BYTES);

    add_network(&t, n);
    return text;
}

bool network_contains(const struct network *n, const struct address *a)
{
    struct address first = with_host_bits(a, n->prefix_bits, false);

    return n->address.family != FAMILY_NONE && address_equal(&first, &n->address);
}

bool network_overlaps(const struct network *a, const struct network *b)
{
    return a->prefix_bits <= b->prefix_bits ? network_contains(a, &b->address)
                                            : network_contains(b, &a->address);
}

bool network_equal(const struct network *a, const struct network *b)
{
    return a->prefix_bits == b->prefix_bits && address_equal(&a->address, &b->address);
}

struct range network_range(const struct network *n)
{
    return (struct range){.first = n->address,
                          .last = with_host_bits(&n->address, n->prefix_bits, true)};
}

/* --- ranges --- */

bool range_contains(const struct range *r, const struct address *a)
{
    return a->family == r->first.family && address_compare(&r->first, a) <= 0 &&
           address_compare(a, &r->last) <= 0;
}

bool range_contains_range(const struct range *outer, const struct range *inner)
{
    return range_contains(outer, &inner->first) && range_contains(outer, &inner->last);
}

bool range_intersect(const struct range *a, const struct range *b, struct range *out)
{
    if (a->first.family != b->first.family) {
        return false;
    }
    struct range both = {
        .first = address_compare(&a->first, &b->first) >= 0 ? a->first : b->first,
        .last = address_compare(&a->last, &b->last) <= 0 ? a->last : b->last,
    };

    if (address_compare(&both.first, &both.last) > 0) {
        return false;
    }
    *out = both;
    return true;
}

/* The largest network that begins at `first` and does not reach beyond `last`. */
static struct network largest_network(const struct address *first, const struct address *last)
{
    unsigned bits = (unsigned)bytes_of(first) * 8;

    while (bits > 0) {
        struct address low = with_host_bits(first, bits - 1, false);
        struct address high = with_host_bits(first, bits - 1, true);

        if (!address_equal(&low, first) || address_compare(&high, last) > 0) {
            break;
        }
        bits--;
    }
    return (struct network){.address = *first, .prefix_bits = (uint8_t)bits};
}

bool range_is_network(const struct range *r, struct network *out)
{
    struct network n = largest_network(&r->first, &r->last);
    struct range covered = network_range(&n);

    if (r->first.family == FAMILY_NONE || !address_equal(&covered.last, &r->last)) {
        return false;
    }
    *out = n;
    return true;
}

/* False when there is no address behind this one. */
static bool address_next(struct address *a)
{
    for (size_t i = bytes_of(a); i > 0; i--) {
        a->bytes[i - 1]++;
        if (a->bytes[i - 1] != 0) {
            return true;
        }
    }
    return false;
}

size_t range_to_networks(const struct range *r, struct network *out, size_t capacity)
{
    struct address at = r->first;
    size_t count = 0;

    if (at.family == FAMILY_NONE || at.family != r->last.family) {
        return 0;
    }
    while (address_compare(&at, &r->last) <= 0) {
        struct network n = largest_network(&at, &r->last);

        if (count < capacity) {
            out[count] = n;
        }
        count++;
        at = with_host_bits(&at, n.prefix_bits, true);
        if (!address_next(&at)) {
            break;
        }
    }
    return count;
}

static void add_range(struct text *t, const struct range *r)
{
    struct network n;

    if (range_is_network(r, &n)) {
        add_network(t, &n);
        return;
    }
    add_address(t, &r->first);
    text_add(t, "-");
    add_address(t, &r->last);
}

const char *range_format(const struct range *r, char text[RANGE_TEXT_BYTES])
{
    struct text t = text_over(text, RANGE_TEXT_BYTES);

    add_range(&t, r);
    return text;
}

/* --- selectors --- */

struct selector selector_of_network(const struct network *n)
{
    return (struct selector){
        .addresses = network_range(n), .protocol = 0, .port_first = 0, .port_last = UINT16_MAX};
}

bool selector_equal(const struct selector *a, const struct selector *b)
{
    return a->protocol == b->protocol && a->port_first == b->port_first &&
           a->port_last == b->port_last &&
           address_equal(&a->addresses.first, &b->addresses.first) &&
           address_equal(&a->addresses.last, &b->addresses.last);
}

bool selector_is_opaque(const struct selector *s)
{
    return s->port_first == UINT16_MAX && s->port_last == 0;
}

static bool any_port(const struct selector *s)
{
    return s->port_first == 0 && s->port_last == UINT16_MAX;
}

/* RFC 4301 4.4.1.1: ANY includes OPAQUE; a range of ports does not. */
static bool ports_intersect(const struct selector *a, const struct selector *b,
                            struct selector *out)
{
    if (selector_is_opaque(a) || selector_is_opaque(b)) {
        out->port_first = UINT16_MAX;
        out->port_last = 0;
        return (selector_is_opaque(a) || any_port(a)) && (selector_is_opaque(b) || any_port(b));
    }
    out->port_first = a->port_first > b->port_first ? a->port_first : b->port_first;
    out->port_last = a->port_last < b->port_last ? a->port_last : b->port_last;
    return out->port_first <= out->port_last;
}

bool selector_intersect(const struct selector *a, const struct selector *b, struct selector *out)
{
    struct selector both = {.protocol = a->protocol != 0 ? a->protocol : b->protocol};

    if (a->protocol != 0 && b->protocol != 0 && a->protocol != b->protocol) {
        return false;
    }
    if (!ports_intersect(a, b, &both) ||
        !range_intersect(&a->addresses, &b->addresses, &both.addresses)) {
        return false;
    }
    *out = both;
    return true;
}

bool selector_contains(const struct selector *outer, const struct selector *inner)
{
    struct selector both;

    return selector_intersect(outer, inner, &both) && selector_equal(&both, inner);
}

static void add_protocol(struct text *t, uint8_t protocol)
{
    static const struct {
        uint8_t number;
        const char *name;
    } names[] = {{0, "any"}, {1, "icmp"}, {6, "tcp"}, {17, "udp"}, {58, "icmpv6"}, {132, "sctp"}};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (names[i].number == protocol) {
            text_add(t, names[i].name);
            return;
        }
    }
    text_addf(t, "%u", protocol);
}

const char *selector_format(const struct selector *s, char text[SELECTOR_TEXT_BYTES])
{
    struct text t = text_over(text, SELECTOR_TEXT_BYTES);

    add_range(&t, &s->addresses);
    if (s->protocol == 0 && any_port(s)) {
        return text;
    }
    text_add(&t, "[");
    add_protocol(&t, s->protocol);
    if (selector_is_opaque(s)) {
        text_add(&t, "/opaque");
    } else if (!any_port(s) && s->port_first == s->port_last) {
        text_addf(&t, "/%u", s->port_first);
    } else if (!any_port(s)) {
        text_addf(&t, "/%u-%u", s->port_first, s->port_last);
    }
    text_add(&t, "]");
    return text;
}
