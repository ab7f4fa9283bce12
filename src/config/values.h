/* The types of words: what stands for an address, a network, a time, a size, a name; and what to
 * say when it does not. */
#ifndef SEKISHO_CONFIG_VALUES_H
#define SEKISHO_CONFIG_VALUES_H

#include "base/address.h"
#include "config/config.h"

/* Why a word is refused, and what was perhaps meant (empty: no idea). */
struct complaint {
    char why[256];
    char advice[192];
};

/* The word, cut to a length for a sentence. */
#define VALUE_SHOWN_BYTES 80
const char *value_shown(struct slice word, char out[VALUE_SHOWN_BYTES + 4]);

MUST_USE bool value_address(struct slice word, struct address *out, struct complaint *c);
MUST_USE bool value_network(struct slice word, struct network *out, struct complaint *c);
/* A literal address (also in brackets) or a host name. */
MUST_USE bool value_host(struct slice word, struct config_host *out, struct complaint *c);
MUST_USE bool value_number(struct slice word, uint64_t least, uint64_t most, uint64_t *out,
                           struct complaint *c);
/* 30s, 4h: milliseconds. */
MUST_USE bool value_duration(struct slice word, uint64_t least_ms, uint64_t most_ms, uint64_t *out,
                             struct complaint *c);
/* 100GiB, 1500B. */
MUST_USE bool value_size(struct slice word, uint64_t least, uint64_t most, uint64_t *out,
                         struct complaint *c);
/* 10Mb/s: bits per second. */
MUST_USE bool value_rate(struct slice word, uint64_t least, uint64_t most, uint64_t *out,
                         struct complaint *c);
/* An address, a network, or 10.0.0.1-10.0.0.9. */
MUST_USE bool value_range(struct slice word, struct range *out, struct complaint *c);
/* 0x1001 or 4097; none of those that are reserved. */
MUST_USE bool value_spi(struct slice word, uint32_t *out, struct complaint *c);
MUST_USE bool value_switch(struct slice word, bool *out, struct complaint *c);
/* Letters, digits, '.', '_', '-', beginning with a letter or digit: names of sites and secrets;
 * `what` for people. */
MUST_USE bool value_name(struct slice word, const char *what, struct complaint *c);
/* What Linux allows for a network device. */
MUST_USE bool value_device(struct slice word, struct complaint *c);
/* tcp, udp ..., or a number from 1 to 255. */
MUST_USE bool value_protocol(struct slice word, uint8_t *out, struct complaint *c);
/* 25 or 1000-2000. */
MUST_USE bool value_ports(struct slice word, uint16_t *first, uint16_t *last, struct complaint *c);
bool value_protocol_has_ports(uint8_t protocol);

#define VALUE_TEXT_BYTES 32
const char *value_duration_text(uint64_t ms, char out[VALUE_TEXT_BYTES]);
const char *value_size_text(uint64_t bytes, char out[VALUE_TEXT_BYTES]);
const char *value_rate_text(uint64_t bits_per_second, char out[VALUE_TEXT_BYTES]);
/* " 25", " 1000-2000", or nothing for all ports. */
const char *value_ports_text(uint16_t first, uint16_t last, char out[VALUE_TEXT_BYTES]);
const char *value_protocol_text(uint8_t protocol, char out[VALUE_TEXT_BYTES]);

/* The index of the nearest of `count` words, or `count` when none is near enough to be meant. */
size_t value_nearest(struct slice word, const char *const *words, size_t count);

#endif
