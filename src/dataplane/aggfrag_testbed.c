/* Inner packets for tests of IP-TFS. */
#include "dataplane/aggfrag_testbed.h"

#include "wire/ip.h"

void inner_make(uint8_t *out, uint8_t version, uint32_t length, uint32_t seed)
{
    uint32_t state = seed * 2654435761u + 1;

    for (uint32_t i = 0; i < length; i++) {
        state = state * 1664525u + 1013904223u;
        out[i] = (uint8_t)(state >> 24);
    }
    out[0] = (uint8_t)(version << 4 | (out[0] & 15));
    if (version == FAMILY_IPV4) {
        out[0] = FAMILY_IPV4 << 4 | IPV4_HEAD_BYTES / 4;
        put_u16(out + 2, (uint16_t)length);
    } else {
        put_u16(out + 4, (uint16_t)(length - IPV6_HEAD_BYTES));
    }
}
