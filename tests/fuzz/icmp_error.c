/* ICMP errors of both families about packets of any bytes, their checksums made right. */
#include <string.h>

#include "fuzz.h"
#include "wire/icmp_error.h"

static uint8_t copy[2048];

static void check(struct slice packet)
{
    struct icmp_error error;
    char room[400];
    struct text line = text_over(room, sizeof(room));

    icmp_error_describe(packet, &line);
    MUST(!line.cut);
    if (!icmp_error_read(packet, &error)) {
        return;
    }
    MUST(error.quoted.data >= packet.data);
    MUST(error.quoted.data + error.quoted.length <= packet.data + packet.length);
    MUST(error.family == error.original.family);
    MUST(error.mtu == 0 || icmp_error_is_too_big(&error));
    MUST((error.protection == 0) == (error.spi == 0));
    MUST(error.spi == 0 || error.spi >= 256);
}

static void repair_ipv4(size_t size)
{
    size_t head_bytes = (size_t)(copy[0] & 15) * 4;

    if (head_bytes < 20 || head_bytes + 4 > size) {
        return;
    }
    put_u16(copy + 2, (uint16_t)size);
    put_u16(copy + 10, 0);
    put_u16(copy + 10, checksum_finish(checksum_add(0, (struct slice){copy, head_bytes})));
    put_u16(copy + head_bytes + 2, 0);
    put_u16(copy + head_bytes + 2,
            checksum_finish(checksum_add(0, (struct slice){copy + head_bytes, size - head_bytes})));
}

static void repair_ipv6(size_t size)
{
    struct ip_head head;

    put_u16(copy + 4, (uint16_t)(size - 40));
    if (!ip_read((struct slice){copy, size}, &head) || head.upper_offset + 4U > size) {
        return;
    }
    struct slice upper = {copy + head.upper_offset, size - head.upper_offset};

    put_u16(copy + head.upper_offset + 2, 0);
    put_u16(
        copy + head.upper_offset + 2,
        checksum_finish(checksum_add(checksum_pseudo(&head.source, &head.destination,
                                                     IP_PROTOCOL_ICMPV6, (uint32_t)upper.length),
                                     upper)));
}

FUZZ(icmp_error, 40000)
{
    check((struct slice){data, size});
    if (size < 48 || size > sizeof(copy)) {
        return 0;
    }
    memcpy(copy, data, size);
    if (copy[0] >> 4 == 4) {
        repair_ipv4(size);
    } else {
        repair_ipv6(size);
    }
    check((struct slice){copy, size});
    return 0;
}
