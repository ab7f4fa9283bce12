/* Checksums of any packet that follow a change of addresses there and back. */
#include <string.h>

#include "fuzz.h"
#include "wire/transport_checksum.h"

static uint8_t copy[2048];
static uint8_t before[2048];

static struct ip_ends ends_of(enum family family, const uint8_t *bytes)
{
    struct ip_ends ends = {{.family = (uint8_t)family}, {.family = (uint8_t)family}};

    memcpy(ends.source.bytes, bytes, address_bytes(family));
    memcpy(ends.destination.bytes, bytes + 16, address_bytes(family));
    return ends;
}

static bool is_zero_of_either_sign(uint16_t word)
{
    return word == 0 || word == UINT16_MAX;
}

/* At most one word changes, and what was changed there and back is the same but for the two zeros
 * of the ones' complement. */
static void check_difference(size_t size)
{
    size_t at = 0;

    while (at < size && copy[at] == before[at]) {
        at++;
    }
    if (at == size) {
        return;
    }
    size_t from = at > 0 ? at - 1 : 0;
    bool found = false;

    for (; from <= at && from + 2 <= size; from++) {
        found = found || (is_zero_of_either_sign(get_u16(copy + from)) &&
                          is_zero_of_either_sign(get_u16(before + from)) &&
                          memcmp(copy + from + 2, before + from + 2, size - from - 2) == 0);
    }
    MUST(found);
}

FUZZ(transport_checksum, 40000)
{
    if (size < 64 + 20 || size - 64 > sizeof(copy)) {
        return 0;
    }
    size_t length = size - 64;

    memcpy(copy, data + 64, length);
    enum family family = copy[0] >> 4 == 4 ? FAMILY_IPV4 : FAMILY_IPV6;
    struct ip_ends one = ends_of(family, data);
    struct ip_ends other = ends_of(family, data + 32);

    if (family == FAMILY_IPV4) {
        size_t head_bytes = (size_t)(copy[0] & 15) * 4;

        if (head_bytes < 20 || head_bytes > length) {
            return 0;
        }
        put_u16(copy + 10, 0);
        put_u16(copy + 10, checksum_finish(checksum_add(0, (struct slice){copy, head_bytes})));
    }
    memcpy(before, copy, length);
    if (!transport_checksum_fix(copy, length, &one, &other)) {
        MUST(memcmp(copy, before, length) == 0);
        return 0;
    }
    MUST(transport_checksum_fix(copy, length, &other, &one));
    check_difference(length);
    return 0;
}
