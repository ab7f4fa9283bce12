/*
 * Decides what each type of word looks like. Numbers are never guessed: a time has a unit, a size
 * has a unit, a network has no host bits; but whoever wrote something near to it is told what he
 * meant.
 */
#include "config/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/lexer.h"

#define HOST_NAME_BYTES_MAX 253
#define LABEL_BYTES_MAX 63
#define DEVICE_BYTES_MAX 15 /* IFNAMSIZ less the terminating zero */

const char *value_shown(struct slice word, char out[VALUE_SHOWN_BYTES + 4])
{
    size_t length = 0;

    while (length < word.length) {
        struct slice rest = {word.data + length, word.length - length};
        uint32_t character;
        size_t step = utf8_read(rest, &character);
        if (step == 0 || length + step > VALUE_SHOWN_BYTES) {
            break;
        }
        memcpy(out + length, rest.data, step);
        length += step;
    }
    memcpy(out + length, length < word.length ? "..." : "", length < word.length ? 4 : 1);
    return out;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* `why` and `advice` are formats with one %s for the word. */
static bool refuse(struct complaint *c, struct slice word, const char *why)
{
    char shown[VALUE_SHOWN_BYTES + 4];

    snprintf(c->why, sizeof(c->why), "%s %s", value_shown(word, shown), why);
    return false;
}

/* ---- numbers ---- */

/* Decimal digits at the beginning; false when there is none or they are too large. */
static bool read_digits(struct slice word, uint64_t *out, size_t *used)
{
    uint64_t value = 0;
    size_t i = 0;

    for (; i < word.length && is_digit(word.data[i]); i++) {
        unsigned digit = word.data[i] - '0';
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    *used = i;
    return i > 0;
}

bool value_number(struct slice word, uint64_t least, uint64_t most, uint64_t *out,
                  struct complaint *c)
{
    size_t used;

    *c = (struct complaint){0};
    if (!read_digits(word, out, &used) || used != word.length) {
        refuse(c, word, "is not a number");
        return false;
    }
    if (word.length > 1 && word.data[0] == '0') {
        refuse(c, word, "begins with a zero: numbers are decimal here");
        snprintf(c->advice, sizeof(c->advice), "did you mean %" PRIu64 " ?", *out);
        return false;
    }
    if (*out < least || *out > most) {
        refuse(c, word, "is out of bounds");
        snprintf(c->advice, sizeof(c->advice), "from %" PRIu64 " to %" PRIu64, least, most);
        return false;
    }
    return true;
}

struct unit {
    const char *word;
    uint64_t factor;
};

static const struct unit time_units[] = {
    {"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct unit size_units[] = {
    {"TiB", UINT64_C(1) << 40}, {"GiB", 1 << 30},   {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1},
    {"TB", 1000000000000},      {"GB", 1000000000}, {"MB", 1000000},  {"kB", 1000},
};
/* Shown are the binary ones alone, which come first. */
#define SIZE_UNITS_SHOWN 5

static const struct unit *find_unit(const struct unit *units, size_t count, struct slice word)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_text(word, units[i].word)) {
            return &units[i];
        }
    }
    return NULL;
}

static const char *unit_text(const struct unit *units, size_t count, uint64_t value,
                             char out[VALUE_TEXT_BYTES])
{
    size_t i = 0;

    while (i + 1 < count && (value == 0 || value % units[i].factor != 0)) {
        i++;
    }
    snprintf(out, VALUE_TEXT_BYTES, "%" PRIu64 "%s", value / units[i].factor, units[i].word);
    return out;
}

const char *value_duration_text(uint64_t ms, char out[VALUE_TEXT_BYTES])
{
    if (ms == 0) {
        snprintf(out, VALUE_TEXT_BYTES, "0s");
        return out;
    }
    return unit_text(time_units, ARRAY_LENGTH(time_units), ms, out);
}

const char *value_size_text(uint64_t bytes, char out[VALUE_TEXT_BYTES])
{
    return unit_text(size_units, SIZE_UNITS_SHOWN, bytes, out);
}

static bool in_bounds(struct slice word, uint64_t number, const struct unit *unit, uint64_t least,
                      uint64_t most, uint64_t *out)
{
    (void)word;
    if (number > UINT64_MAX / unit->factor) {
        return false;
    }
    *out = number * unit->factor;
    return *out >= least && *out <= most;
}

bool value_duration(struct slice word, uint64_t least_ms, uint64_t most_ms, uint64_t *out,
                    struct complaint *c)
{
    char low[VALUE_TEXT_BYTES];
    char high[VALUE_TEXT_BYTES];
    uint64_t number;
    size_t used;

    *c = (struct complaint){0};
    if (!read_digits(word, &number, &used)) {
        refuse(c, word, "is not a time");
        snprintf(c->advice, sizeof(c->advice),
                 "a time is a number with its unit, such as 30s, 5m, 8h or 2d");
        return false;
    }
    struct slice rest = {word.data + used, word.length - used};
    const struct unit *unit = find_unit(time_units, ARRAY_LENGTH(time_units), rest);

    if (unit == NULL) {
        refuse(c, word, rest.length == 0 ? "is a number without a unit" : "is not a time");
        if (rest.length == 0) {
            snprintf(c->advice, sizeof(c->advice),
                     "did you mean %" PRIu64 "s, %" PRIu64 "m or %" PRIu64 "h ?", number, number,
                     number);
        } else {
            snprintf(c->advice, sizeof(c->advice), "the units are ms, s, m, h, d and w");
        }
        return false;
    }
    if (!in_bounds(word, number, unit, least_ms, most_ms, out)) {
        refuse(c, word, "is out of bounds");
        snprintf(c->advice, sizeof(c->advice), "from %s to %s", value_duration_text(least_ms, low),
                 value_duration_text(most_ms, high));
        return false;
    }
    return true;
}

bool value_size(struct slice word, uint64_t least, uint64_t most, uint64_t *out,
                struct complaint *c)
{
    char low[VALUE_TEXT_BYTES];
    char high[VALUE_TEXT_BYTES];
    uint64_t number;
    size_t used;

    *c = (struct complaint){0};
    if (!read_digits(word, &number, &used)) {
        refuse(c, word, "is not a size");
        snprintf(c->advice, sizeof(c->advice),
                 "a size is a number with its unit, such as 500MiB or 4GiB");
        return false;
    }
    struct slice rest = {word.data + used, word.length - used};
    const struct unit *unit = find_unit(size_units, ARRAY_LENGTH(size_units), rest);

    if (unit == NULL) {
        bool letter = rest.length == 1 && strchr("KMGTkmgt", rest.data[0]) != NULL;

        refuse(c, word, rest.length == 0 ? "is a number without a unit" : "is not a size");
        if (letter) {
            snprintf(c->advice, sizeof(c->advice), "did you mean %" PRIu64 "%ciB ?", number,
                     rest.data[0] & ~0x20);
        } else if (rest.length == 0) {
            snprintf(c->advice, sizeof(c->advice),
                     "did you mean %" PRIu64 "MiB or %" PRIu64 "GiB ?", number, number);
        } else {
            snprintf(c->advice, sizeof(c->advice),
                     "the units are B, KiB, MiB, GiB, TiB and kB, MB, GB, TB");
        }
        return false;
    }
    if (!in_bounds(word, number, unit, least, most, out)) {
        refuse(c, word, "is out of bounds");
        snprintf(c->advice, sizeof(c->advice), "from %s to %s", value_size_text(least, low),
                 value_size_text(most, high));
        return false;
    }
    return true;
}

static const struct unit rate_units[] = {
    {"Gb/s", 1000000000},
    {"Mb/s", 1000000},
    {"kb/s", 1000},
    {"b/s", 1},
};

const char *value_rate_text(uint64_t bits_per_second, char out[VALUE_TEXT_BYTES])
{
    return unit_text(rate_units, ARRAY_LENGTH(rate_units), bits_per_second, out);
}

/* 10M, 10Mbit, 10mbps: the letter says which unit was meant. */
static const struct unit *meant_rate(struct slice rest)
{
    uint8_t letter = rest.length == 0 ? 0 : rest.data[0] | 0x20;

    return letter == 'g' ? &rate_units[0] : letter == 'k' ? &rate_units[2] : &rate_units[1];
}

bool value_rate(struct slice word, uint64_t least, uint64_t most, uint64_t *out,
                struct complaint *c)
{
    char low[VALUE_TEXT_BYTES];
    char high[VALUE_TEXT_BYTES];
    uint64_t number;
    size_t used;

    *c = (struct complaint){0};
    if (!read_digits(word, &number, &used)) {
        refuse(c, word, "is not a rate");
        snprintf(c->advice, sizeof(c->advice),
                 "a rate is a number with its unit, such as 500kb/s or 10Mb/s");
        return false;
    }
    struct slice rest = {word.data + used, word.length - used};
    const struct unit *unit = find_unit(rate_units, ARRAY_LENGTH(rate_units), rest);

    if (unit == NULL) {
        refuse(c, word, rest.length == 0 ? "is a number without a unit" : "is not a rate");
        snprintf(c->advice, sizeof(c->advice), "did you mean %" PRIu64 "%s ?", number,
                 meant_rate(rest)->word);
        return false;
    }
    if (!in_bounds(word, number, unit, least, most, out)) {
        refuse(c, word, "is out of bounds");
        snprintf(c->advice, sizeof(c->advice), "from %s to %s", value_rate_text(least, low),
                 value_rate_text(most, high));
        return false;
    }
    return true;
}

bool value_switch(struct slice word, bool *out, struct complaint *c)
{
    static const char *const meant_on[] = {"yes", "true", "1", "enable", "enabled", "On", "ON"};
    static const char *const meant_off[] = {"no",       "false", "0",   "disable",
                                            "disabled", "Off",   "OFF", "none"};

    *c = (struct complaint){0};
    if (slice_equal_text(word, "on") || slice_equal_text(word, "off")) {
        *out = word.length == 2;
        return true;
    }
    refuse(c, word, "is neither on nor off");
    for (size_t i = 0; i < ARRAY_LENGTH(meant_on); i++) {
        if (slice_equal_text(word, meant_on[i])) {
            snprintf(c->advice, sizeof(c->advice), "did you mean 'on' ?");
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(meant_off); i++) {
        if (slice_equal_text(word, meant_off[i])) {
            snprintf(c->advice, sizeof(c->advice), "did you mean 'off' ?");
        }
    }
    return false;
}

/* ---- addresses and networks ---- */

static bool only_of(struct slice word, const char *letters)
{
    for (size_t i = 0; i < word.length; i++) {
        if (word.data[i] == 0 || strchr(letters, word.data[i]) == NULL) {
            return false;
        }
    }
    return word.length > 0;
}

/* Digits and dots: whoever writes this means an IPv4 address, never a name. */
static bool looks_like_ipv4(struct slice word)
{
    return only_of(word, "0123456789.");
}

/* Up to four numbers of an IPv4 address; returns how many there are, 5 for more or worse. */
static size_t read_octets(struct slice word, uint64_t octets[4])
{
    size_t count = 0;
    size_t at = 0;

    while (at < word.length) {
        struct slice rest = {word.data + at, word.length - at};
        size_t used;
        if (count == 4 || !read_digits(rest, &octets[count], &used)) {
            return 5;
        }
        count++;
        at += used;
        if (at < word.length && (word.data[at] != '.' || ++at == word.length)) {
            return 5;
        }
    }
    return count;
}

/* Why text of digits and dots is no address: the second half of a sentence. */
static const char *ipv4_objection(struct slice word)
{
    uint64_t octets[4] = {0};
    size_t count = read_octets(word, octets);

    if (count < 4) {
        return "an IPv4 address has four numbers";
    }
    for (size_t i = 0; count == 4 && i < 4; i++) {
        if (octets[i] > 255) {
            return "each number of an IPv4 address is at most 255";
        }
    }
    return count == 4 ? "its numbers are decimal, without leading zeros"
                      : "an IPv4 address is four numbers with dots between";
}

bool value_address(struct slice word, struct address *out, struct complaint *c)
{
    char shown[VALUE_SHOWN_BYTES + 4];

    *c = (struct complaint){0};
    if (address_parse(word, out)) {
        return true;
    }
    if (looks_like_ipv4(word)) {
        snprintf(c->why, sizeof(c->why), "%s is not an address: %s", value_shown(word, shown),
                 ipv4_objection(word));
        return false;
    }
    refuse(c, word, "is not an address");
    snprintf(c->advice, sizeof(c->advice), "such as 203.0.113.1 or 2001:db8::1");
    return false;
}

static struct network cut_to(const struct address *address, unsigned prefix_bits)
{
    struct network n = {.address = *address, .prefix_bits = (uint8_t)prefix_bits};

    for (size_t i = 0; i < sizeof(n.address.bytes); i++) {
        unsigned kept = prefix_bits > i * 8 ? prefix_bits - (unsigned)i * 8 : 0;
        if (kept < 8) {
            n.address.bytes[i] &= (uint8_t)(0xff00U >> kept);
        }
    }
    return n;
}

static void advise_network(struct complaint *c, const struct network *n)
{
    char text[NETWORK_TEXT_BYTES];

    snprintf(c->advice, sizeof(c->advice), "did you mean %s ?", network_format(n, text));
}

/* A prefix that is too long: perhaps its digits changed places, else what the zeros at the end say.
 */
static struct network shorter_prefix(const struct address *address, uint64_t prefix)
{
    unsigned most = (unsigned)address_bytes(address->family) * 8;

    if (prefix >= 10 && prefix < 100) {
        unsigned turned = (unsigned)(prefix % 10 * 10 + prefix / 10);
        struct network n = cut_to(address, turned <= most ? turned : most);
        if (turned > 0 && turned <= most && address_equal(&n.address, address)) {
            return n;
        }
    }
    unsigned octets = most / 8;

    while (octets > 0 && address->bytes[octets - 1] == 0) {
        octets--;
    }
    return cut_to(address, octets == 0 ? most : octets * 8);
}

/* 10.1.0.0/255.255.0.0: the prefix length, or 255 when it is no netmask. */
static unsigned netmask_bits(struct slice word)
{
    struct address mask;

    if (!address_parse(word, &mask) || mask.family != FAMILY_IPV4) {
        return 255;
    }
    uint32_t value = get_u32(mask.bytes);
    unsigned bits = 0;

    while (bits < 32 && (value & (UINT32_C(1) << (31 - bits))) != 0) {
        bits++;
    }
    return bits == 32 || value << bits == 0 ? bits : 255;
}

/* 10/8 and 192.168/16 as some write them. */
static bool short_network(struct slice word, uint64_t prefix, struct network *out)
{
    uint64_t octets[4] = {0};
    size_t count = read_octets(word, octets);
    struct address address = {.family = FAMILY_IPV4};

    if (count == 0 || count > 3 || prefix > 32) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (octets[i] > 255) {
            return false;
        }
        address.bytes[i] = (uint8_t)octets[i];
    }
    *out = cut_to(&address, (unsigned)prefix);
    return true;
}

static bool refuse_network(struct slice word, struct complaint *c, const char *why)
{
    char shown[VALUE_SHOWN_BYTES + 4];

    snprintf(c->why, sizeof(c->why), "%s is not a network%s%s", value_shown(word, shown),
             why[0] == '\0' ? "" : ": ", why);
    return false;
}

static bool refuse_address_part(struct slice word, struct slice address, bool has_prefix,
                                uint64_t prefix, struct complaint *c)
{
    struct network n;

    if (looks_like_ipv4(address)) {
        refuse_network(word, c, ipv4_objection(address));
        if (has_prefix && short_network(address, prefix, &n)) {
            advise_network(c, &n);
        }
        return false;
    }
    refuse_network(word, c, "");
    if (slice_equal_text(word, "any") || slice_equal_text(word, "all") ||
        slice_equal_text(word, "everything") || slice_equal_text(word, "default")) {
        snprintf(c->advice, sizeof(c->advice), "everything is 0.0.0.0/0 and ::/0");
    } else {
        snprintf(c->advice, sizeof(c->advice), "such as 10.2.0.0/16 or 2001:db8:2::/48");
    }
    return false;
}

bool value_network(struct slice word, struct network *out, struct complaint *c)
{
    const uint8_t *stroke = word.length == 0 ? NULL : memchr(word.data, '/', word.length);
    size_t length = stroke == NULL ? word.length : (size_t)(stroke - word.data);
    struct slice front = {word.data, length};
    struct slice behind = {word.data, 0};
    struct address address;
    uint64_t prefix = 0;
    size_t used = 0;

    *c = (struct complaint){0};
    if (network_parse(word, out)) {
        return true;
    }
    if (stroke != NULL) {
        behind = (struct slice){stroke + 1, word.length - length - 1};
    }
    bool has_prefix =
        stroke != NULL && read_digits(behind, &prefix, &used) && used == behind.length;

    if (!address_parse(front, &address)) {
        return refuse_address_part(word, front, has_prefix, prefix, c);
    }
    unsigned most = (unsigned)address_bytes(address.family) * 8;
    unsigned mask = has_prefix ? 255 : netmask_bits(behind);

    if (mask != 255) {
        struct network n = cut_to(&address, mask);
        refuse_network(word, c, "it has a netmask where a prefix length belongs");
        advise_network(c, &n);
        return false;
    }
    if (!has_prefix) {
        return refuse_network(word, c, "behind '/' stands the prefix length, a number");
    }
    if (prefix > most) {
        struct network n = shorter_prefix(&address, prefix);
        refuse_network(word, c,
                       most == 32 ? "an IPv4 prefix length is at most 32"
                                  : "an IPv6 prefix length is at most 128");
        advise_network(c, &n);
        return false;
    }
    struct network n = cut_to(&address, (unsigned)prefix);

    if (address_equal(&n.address, &address)) {
        return refuse_network(word, c, "the prefix length is written without leading zeros");
    }
    refuse_network(word, c, "bits behind the prefix are set");
    advise_network(c, &n);
    return false;
}

bool value_range(struct slice word, struct range *out, struct complaint *c)
{
    const uint8_t *dash = word.length == 0 ? NULL : memchr(word.data, '-', word.length);
    char shown[VALUE_SHOWN_BYTES + 4];
    struct network network;

    *c = (struct complaint){0};
    if (dash == NULL) {
        bool good = value_network(word, &network, c);
        if (good) {
            *out = network_range(&network);
        }
        return good;
    }
    size_t front = (size_t)(dash - word.data);
    struct slice low = {word.data, front};
    struct slice high = {dash + 1, word.length - front - 1};

    if (!address_parse(low, &out->first) || !address_parse(high, &out->last) ||
        out->first.family != out->last.family) {
        snprintf(c->why, sizeof(c->why), "%s is not a range of addresses",
                 value_shown(word, shown));
        snprintf(c->advice, sizeof(c->advice), "such as 10.2.0.1-10.2.0.9");
        return false;
    }
    if (address_compare(&out->first, &out->last) > 0) {
        snprintf(c->why, sizeof(c->why),
                 "%s is not a range of addresses: its end lies before its beginning",
                 value_shown(word, shown));
        return false;
    }
    return true;
}

/* RFC 1123 2.1: letters, digits and hyphens, parted by dots. */
static const char *host_name_objection(struct slice word)
{
    size_t label = 0;

    if (word.length > HOST_NAME_BYTES_MAX) {
        return "a host name has at most 253 characters";
    }
    for (size_t i = 0; i < word.length; i++) {
        uint8_t c = word.data[i];
        if (c == '.') {
            if (label == 0 || word.data[i - 1] == '-') {
                return "a part of it is empty or ends with '-'";
            }
            label = 0;
            continue;
        }
        if (!is_letter(c) && !is_digit(c) && c != '-') {
            return "a host name has only letters, digits, '-' and dots";
        }
        if (c == '-' && label == 0) {
            return "a part of it begins with '-'";
        }
        if (++label > LABEL_BYTES_MAX) {
            return "each part of a host name has at most 63 characters";
        }
    }
    return word.length == 0 || word.data[word.length - 1] == '-'
               ? "a part of it is empty or ends with '-'"
               : NULL;
}

bool value_host(struct slice word, struct config_host *out, struct complaint *c)
{
    char shown[VALUE_SHOWN_BYTES + 4];
    struct slice inner = word;

    *c = (struct complaint){0};
    *out = (struct config_host){0};
    if (word.length > 2 && word.data[0] == '[' && word.data[word.length - 1] == ']') {
        inner = (struct slice){word.data + 1, word.length - 2};
    }
    if (address_parse(inner, &out->address)) {
        return true;
    }
    if (looks_like_ipv4(word)) {
        snprintf(c->why, sizeof(c->why), "%s is not an address: %s", value_shown(word, shown),
                 ipv4_objection(word));
        return false;
    }
    const char *objection = host_name_objection(word);

    if (objection == NULL) {
        return true;
    }
    snprintf(c->why, sizeof(c->why), "%s is neither an address nor a host name: %s",
             value_shown(word, shown), objection);
    const uint8_t *colon = word.length == 0 ? NULL : memchr(word.data, ':', word.length);

    if (colon != NULL && (size_t)(colon - word.data) + 1 < word.length) {
        size_t front = (size_t)(colon - word.data);
        struct slice behind = {colon + 1, word.length - front - 1};
        struct slice host = {word.data, front};
        uint64_t port;
        size_t used;
        if (read_digits(behind, &port, &used) && used == behind.length && front > 0) {
            snprintf(c->advice, sizeof(c->advice), "a port is written: %s port %" PRIu64,
                     value_shown(host, shown), port);
        }
    }
    return false;
}

/* ---- names ---- */

bool value_name(struct slice word, const char *what, struct complaint *c)
{
    char shown[VALUE_SHOWN_BYTES + 4];

    *c = (struct complaint){0};
    if (word.length >= CONFIG_NAME_BYTES) {
        snprintf(c->why, sizeof(c->why), "the name of a %s has at most %d characters", what,
                 CONFIG_NAME_BYTES - 1);
        return false;
    }
    for (size_t i = 0; i < word.length; i++) {
        uint8_t l = word.data[i];
        bool plain = is_letter(l) || is_digit(l);
        if (!plain && (i == 0 || strchr("._-", l) == NULL)) {
            snprintf(c->why, sizeof(c->why), "'%s' cannot be the name of a %s",
                     value_shown(word, shown), what);
            snprintf(c->advice, sizeof(c->advice),
                     "letters, digits, '.', '_' and '-', beginning with a letter or a digit");
            return false;
        }
    }
    if (word.length == 0) {
        snprintf(c->why, sizeof(c->why), "the name of a %s cannot be empty", what);
        return false;
    }
    return true;
}

bool value_device(struct slice word, struct complaint *c)
{
    *c = (struct complaint){0};
    bool plain = word.length > 0 && word.length <= DEVICE_BYTES_MAX;

    for (size_t i = 0; plain && i < word.length; i++) {
        plain = is_letter(word.data[i]) || is_digit(word.data[i]) ||
                (i > 0 && strchr("._-", word.data[i]) != NULL);
    }
    if (plain) {
        return true;
    }
    refuse(c, word, "cannot be the name of a network device");
    snprintf(c->advice, sizeof(c->advice),
             "at most 15 letters, digits, '.', '_' and '-', such as sekisho0");
    return false;
}

static const struct {
    const char *word;
    uint8_t number;
    bool ports;
} protocols[] = {
    {"tcp", 6, true},       {"udp", 17, true},   {"sctp", 132, true},   {"dccp", 33, true},
    {"udplite", 136, true}, {"icmp", 1, false},  {"icmpv6", 58, false}, {"gre", 47, false},
    {"ipip", 4, false},     {"ospf", 89, false}, {"pim", 103, false},   {"igmp", 2, false},
    {"vrrp", 112, false},
};

bool value_protocol(struct slice word, uint8_t *out, struct complaint *c)
{
    const char *words[ARRAY_LENGTH(protocols)];
    uint64_t number;

    *c = (struct complaint){0};
    for (size_t i = 0; i < ARRAY_LENGTH(protocols); i++) {
        words[i] = protocols[i].word;
        if (slice_equal_text(word, protocols[i].word)) {
            *out = protocols[i].number;
            return true;
        }
    }
    if (word.length > 0 && is_digit(word.data[0])) {
        if (!value_number(word, 1, 255, &number, c)) {
            return false;
        }
        *out = (uint8_t)number;
        return true;
    }
    refuse(c, word, "is not a protocol");
    size_t nearest = value_nearest(word, words, ARRAY_LENGTH(words));

    if (nearest < ARRAY_LENGTH(words)) {
        snprintf(c->advice, sizeof(c->advice), "did you mean '%s' ?", words[nearest]);
    } else {
        snprintf(c->advice, sizeof(c->advice),
                 "such as tcp, udp, icmp, gre, or a number from 1 to 255");
    }
    return false;
}

const char *value_protocol_text(uint8_t protocol, char out[VALUE_TEXT_BYTES])
{
    for (size_t i = 0; i < ARRAY_LENGTH(protocols); i++) {
        if (protocols[i].number == protocol) {
            return protocols[i].word;
        }
    }
    snprintf(out, VALUE_TEXT_BYTES, "%u", (unsigned)protocol);
    return out;
}

bool value_protocol_has_ports(uint8_t protocol)
{
    for (size_t i = 0; i < ARRAY_LENGTH(protocols); i++) {
        if (protocols[i].number == protocol) {
            return protocols[i].ports;
        }
    }
    return false;
}

bool value_ports(struct slice word, uint16_t *first, uint16_t *last, struct complaint *c)
{
    const uint8_t *dash = word.length == 0 ? NULL : memchr(word.data, '-', word.length);
    size_t front = dash == NULL ? word.length : (size_t)(dash - word.data);
    struct slice low_word = {word.data, front};
    struct slice high_word = low_word;
    uint64_t low;
    uint64_t high;

    if (dash != NULL) {
        high_word = (struct slice){dash + 1, word.length - front - 1};
    }
    if (!value_number(low_word, 0, UINT16_MAX, &low, c) ||
        !value_number(high_word, 0, UINT16_MAX, &high, c)) {
        refuse(c, word, "is neither a port nor a range of ports");
        snprintf(c->advice, sizeof(c->advice), "such as 25 or 1000-2000");
        return false;
    }
    if (low > high) {
        refuse(c, word, "is not a range: its end lies before its beginning");
        snprintf(c->advice, sizeof(c->advice), "did you mean %" PRIu64 "-%" PRIu64 " ?", high, low);
        return false;
    }
    *first = (uint16_t)low;
    *last = (uint16_t)high;
    return true;
}

const char *value_ports_text(uint16_t first, uint16_t last, char out[VALUE_TEXT_BYTES])
{
    if (first == 0 && last == UINT16_MAX) {
        out[0] = '\0';
    } else if (first == last) {
        snprintf(out, VALUE_TEXT_BYTES, " %u", (unsigned)first);
    } else {
        snprintf(out, VALUE_TEXT_BYTES, " %u-%u", (unsigned)first, (unsigned)last);
    }
    return out;
}

/* Hexadecimal behind 0x; false when there is anything else or too much. */
static bool read_hex(struct slice word, uint64_t *out)
{
    bool good = word.length > 2 && word.length <= 18;

    *out = 0;
    for (size_t i = 2; good && i < word.length; i++) {
        uint8_t c = word.data[i];
        bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        good = letter || is_digit(c);
        *out = *out << 4 | (letter ? (c | 0x20U) - 'a' + 10U : c - (unsigned)'0');
    }
    return good;
}

bool value_spi(struct slice word, uint32_t *out, struct complaint *c)
{
    bool hex = word.length >= 2 && word.data[0] == '0' && (word.data[1] | 0x20) == 'x';
    uint64_t number;

    *c = (struct complaint){0};
    if (hex ? !read_hex(word, &number) : !value_number(word, 0, UINT64_MAX, &number, c)) {
        if (c->advice[0] == '\0') {
            refuse(c, word, "is not an SPI");
            snprintf(c->advice, sizeof(c->advice), "a number such as 0x1001 or 4097");
        }
        return false;
    }
    if (number == 0) {
        refuse(c, word, "is no SPI: zero says that there is none (RFC 4303 2.1)");
    } else if (number <= 255) {
        refuse(c, word, "is a reserved SPI: those from 1 to 255 are (RFC 4303 2.1)");
    } else if (number > UINT32_MAX) {
        refuse(c, word, "is too large: an SPI has 32 bits");
    }
    *out = (uint32_t)number;
    return c->why[0] == '\0';
}

/* Two neighbours changed places: the commonest slip of fingers. */
static bool is_swapped(struct slice a, struct slice b)
{
    size_t i = 0;

    if (a.length != b.length) {
        return false;
    }
    while (i < a.length && a.data[i] == b.data[i]) {
        i++;
    }
    return i + 1 < a.length && a.data[i] == b.data[i + 1] && a.data[i + 1] == b.data[i] &&
           memcmp(a.data + i + 2, b.data + i + 2, a.length - i - 2) == 0;
}

/* Near enough: a third of the letters may be wrong, at most two of them. */
size_t value_nearest(struct slice word, const char *const *words, size_t count)
{
    size_t limit = word.length >= 6 ? 2 : 1;
    size_t nearest = count;

    for (size_t i = 0; i < count && limit > 0; i++) {
        struct slice other = slice_of_text(words[i]);
        size_t distance = is_swapped(word, other) ? 1 : text_distance(word, other, limit);
        if (distance <= limit && (nearest == count || distance < limit)) {
            nearest = i;
            limit = distance;
        }
    }
    return nearest;
}
