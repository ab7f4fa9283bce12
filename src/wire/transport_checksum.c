/* Decides how a transport checksum follows a change of addresses: RFC 1624, RFC 3948 3.1.2. */
#include "wire/transport_checksum.h"

#include <assert.h>

#define PROTOCOL_DCCP 33
#define PROTOCOL_UDP_LITE 136

/* The protocols whose checksum covers the pseudo header, and where it stands. */
static const struct {
    uint8_t protocol;
    uint8_t offset;
} checksums[] = {
    {IP_PROTOCOL_TCP, 16}, /* RFC 9293 3.1 */
    {IP_PROTOCOL_UDP, 6}, /* RFC 768 */
    {IP_PROTOCOL_ICMPV6, 2}, /* RFC 4443 2.3 */
    {PROTOCOL_UDP_LITE, 6}, /* RFC 3828 3.1 */
    {PROTOCOL_DCCP, 6}, /* RFC 4340 9.1 */
};

static uint32_t sum_of(const struct ip_ends *ends)
{
    assert(ends->source.family == ends->destination.family);
    size_t length = address_bytes((enum family)ends->source.family);
    uint32_t sum = checksum_add(0, (struct slice){ends->source.bytes, length});

    return checksum_add(sum, (struct slice){ends->destination.bytes, length});
}

/* RFC 1624 equation 3 over all words of the addresses at once: ~(~checksum + ~old + new). */
static void fix_at(uint8_t *at, const struct ip_ends *made_with, const struct ip_ends *now)
{
    uint16_t old = checksum_finish(sum_of(made_with));

    put_u16(at, checksum_finish((uint32_t)(uint16_t)~get_u16(at) + old + sum_of(now)));
}

bool transport_checksum_fix(uint8_t *packet, size_t length, const struct ip_ends *made_with,
                            const struct ip_ends *now)
{
    struct ip_head head;

    if (!ip_read((struct slice){packet, length}, &head)) {
        return false;
    }
    for (size_t i = 0; head.fragment_offset == 0 && i < ARRAY_LENGTH(checksums); i++) {
        if (checksums[i].protocol != head.protocol) {
            continue;
        }
        uint8_t *at = packet + head.upper_offset + checksums[i].offset;

        if (head.total_bytes - head.upper_offset < checksums[i].offset + 2U) {
            return false;
        }
        if (head.protocol != IP_PROTOCOL_UDP) {
            fix_at(at, made_with, now);
        } else if (get_u16(at) != 0) {
            fix_at(at, made_with, now);
            /* RFC 768: a sum of zero is sent as all ones. */
            put_u16(at, get_u16(at) == 0 ? UINT16_MAX : get_u16(at));
        }
        return true;
    }
    return true;
}
