/*
 * Addresses, networks, ranges and traffic selectors of both families, as values.
 *
 * Addresses are kept in wire order in `bytes` (an IPv4 address in the first four), the rest is
 * zero, so two equal addresses are equal byte by byte.
 */
#ifndef SEKISHO_BASE_ADDRESS_H
#define SEKISHO_BASE_ADDRESS_H

#include <stdbool.h>

#include "base/bytes.h"

enum family {
    FAMILY_NONE = 0,
    FAMILY_IPV4 = 4,
    FAMILY_IPV6 = 6,
};

struct address {
    uint8_t family; /* enum family */
    uint8_t bytes[16];
};

/* Without holes: an IKE SA has many of them. */
struct __attribute__((packed, aligned(2))) endpoint {
    struct address address;
    uint16_t port;
    bool tcp; /* the end of a TCP connection, else of datagrams */
};

/* Host bits are zero. */
struct network {
    struct address address;
    uint8_t prefix_bits;
};

/* Both ends included, same family, first <= last. */
struct range {
    struct address first;
    struct address last;
};

/*
 * RFC 7296 3.13.1, RFC 4301 4.4.1.1: what traffic is meant. Protocol 0 is any; ports 0..65535 is
 * any; first 65535 and last 0 is OPAQUE. For ICMP the ports hold type and code as the RFC says.
 */
struct selector {
    struct range addresses;
    uint8_t protocol;
    uint16_t port_first;
    uint16_t port_last;
};

#define ADDRESS_TEXT_BYTES 48 /* with the terminating zero */
#define NETWORK_TEXT_BYTES 52
#define ENDPOINT_TEXT_BYTES 56 /* 203.0.113.1:500 or [2001:db8::1]:500 */
#define RANGE_TEXT_BYTES 100
#define SELECTOR_TEXT_BYTES 128

struct address address_ipv4(uint32_t value);
struct address address_ipv4_bytes(const uint8_t bytes[4]);
struct address address_ipv6_bytes(const uint8_t bytes[16]);
size_t address_bytes(enum family family); /* 4, 16 or 0 */
MUST_USE bool address_equal(const struct address *a, const struct address *b);
/* <0, 0, >0; IPv4 sorts before IPv6. */
int address_compare(const struct address *a, const struct address *b);
MUST_USE bool address_is_unset(const struct address *a); /* no family */
MUST_USE bool address_is_any(const struct address *a); /* 0.0.0.0 or :: */
MUST_USE bool address_is_multicast(const struct address *a);
MUST_USE bool address_is_link_local(const struct address *a);
MUST_USE bool address_is_loopback(const struct address *a);
/* Accepts exactly the standard text forms; no brackets, no zone, nothing before or after. */
MUST_USE bool address_parse(struct slice text, struct address *out);
const char *address_format(const struct address *a, char text[ADDRESS_TEXT_BYTES]);

MUST_USE bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
MUST_USE bool endpoint_parse(struct slice text, uint16_t default_port, struct endpoint *out);
const char *endpoint_format(const struct endpoint *e, char text[ENDPOINT_TEXT_BYTES]);

/* An address without a prefix is a network of one; host bits must be zero. */
MUST_USE bool network_parse(struct slice text, struct network *out);
const char *network_format(const struct network *n, char text[NETWORK_TEXT_BYTES]);
MUST_USE bool network_contains(const struct network *n, const struct address *a);
MUST_USE bool network_overlaps(const struct network *a, const struct network *b);
MUST_USE bool network_equal(const struct network *a, const struct network *b);
struct range network_range(const struct network *n);

MUST_USE bool range_contains(const struct range *r, const struct address *a);
MUST_USE bool range_contains_range(const struct range *outer, const struct range *inner);
/* False when they do not meet. */
MUST_USE bool range_intersect(const struct range *a, const struct range *b, struct range *out);
/* True when the range is exactly one network. */
MUST_USE bool range_is_network(const struct range *r, struct network *out);
/* The fewest networks that cover the range exactly; at most `capacity` are written, the number
 * needed is returned (at most 254 for IPv6). */
size_t range_to_networks(const struct range *r, struct network *out, size_t capacity);
/* 10.0.0.0/8 when it is a network, else 10.0.0.1-10.0.0.9. */
const char *range_format(const struct range *r, char text[RANGE_TEXT_BYTES]);

struct selector selector_of_network(const struct network *n);
MUST_USE bool selector_equal(const struct selector *a, const struct selector *b);
MUST_USE bool selector_is_opaque(const struct selector *s);
MUST_USE bool selector_contains(const struct selector *outer, const struct selector *inner);
MUST_USE bool selector_intersect(const struct selector *a, const struct selector *b,
                                 struct selector *out);
/* 10.1.0.0/16, 10.1.0.0/16[tcp/25], 10.1.0.0/16[udp/1000-2000]. */
const char *selector_format(const struct selector *s, char text[SELECTOR_TEXT_BYTES]);

#endif
