/* IPv6 packets of any bytes, cut for any MTU: the pieces are the packet, and none is too long. */
#include <string.h>

#include "fuzz.h"
#include "wire/ip.h"
#include "wire/ipv6_cut.h"

static uint8_t piece[2048];

FUZZ(ipv6_cut, 40000)
{
    struct ipv6_cut cut;

    if (size < 2 || size > sizeof(piece)) {
        return 0;
    }
    size_t mtu = get_u16(data) % 2048;
    struct slice packet = {data + 2, size - 2};

    if (!ipv6_cut_plan(packet, mtu, 0x01020304, &cut)) {
        return 0;
    }
    size_t from = cut.first.at;

    MUST(cut.count >= 2);
    for (size_t number = 0; number < cut.count; number++) {
        struct writer w = writer_over(piece, sizeof(piece));
        struct ip_head head;

        ipv6_cut_write(&w, &cut, number);
        MUST(writer_ok(&w) && w.length <= mtu && w.length == ipv6_cut_bytes(&cut, number));
        MUST(ip_read(writer_written(&w), &head) && head.is_fragment);
        MUST(head.more_fragments == (number + 1 < cut.count));
        size_t bytes = w.length - cut.first.at - IPV6_FRAGMENT_HEAD_BYTES;

        MUST(memcmp(piece + w.length - bytes, packet.data + from, bytes) == 0);
        from += bytes;
    }
    MUST(from == cut.packet.length);
    return 0;
}
