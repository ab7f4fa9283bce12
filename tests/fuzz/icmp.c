/* ICMP of both families: messages of any bytes, and errors about packets of any bytes. */
#include <string.h>

#include "fuzz.h"
#include "wire/icmp.h"
#include "wire/icmpv6.h"

static uint8_t room[2048];

static void check_messages(struct slice message)
{
    struct address a = address_ipv4(0x0a000001);
    struct icmp_head four;
    struct icmpv6_head six;
    struct writer w = writer_over(room, sizeof(room));

    if (message.length <= sizeof(room) && icmp_read(message, &four)) {
        icmp_write(&w, &four);
        MUST(writer_ok(&w) && w.length == message.length);
        MUST(icmp_read(writer_written(&w), &four));
    }
    if (icmpv6_read(&a, &a, message, &six)) {
        MUST(six.body.length + ICMPV6_HEAD_BYTES == message.length);
    }
}

/* An error is a good packet to the sender of the original, within its bound, and is itself never
 * answered. */
static void check_error(struct slice original, bool ipv6)
{
    static uint8_t second[2048];
    struct address source = address_ipv4(0x0a000001);
    struct address source6 = source;
    struct writer w = writer_over(room, sizeof(room));
    struct writer again = writer_over(second, sizeof(second));
    struct ip_head head;
    struct ip_head answer;

    source6.family = FAMILY_IPV6;
    bool built = ipv6 ? icmpv6_build_packet_too_big(&w, &source6, 1300, original)
                      : icmp_build_fragmentation_needed(&w, &source, 1300, original);

    if (!built) {
        MUST(w.length == 0);
        return;
    }
    MUST(ip_read(original, &head) && ip_read(writer_written(&w), &answer));
    MUST(answer.total_bytes == w.length);
    MUST(w.length <= (ipv6 ? ICMPV6_ERROR_PACKET_BYTES_MAX : ICMP_ERROR_PACKET_BYTES_MAX));
    MUST(address_equal(&answer.destination, &head.source));
    MUST(!address_is_multicast(&head.source) && head.fragment_offset == 0);
    MUST(!icmp_build_time_exceeded(&again, &source, writer_written(&w)));
    MUST(!icmpv6_build_time_exceeded(&again, &source6, writer_written(&w)));
}

FUZZ(icmp, 40000)
{
    static uint8_t copy[2048];
    struct slice bytes = {data, size};

    check_messages(bytes);
    check_error(bytes, false);
    check_error(bytes, true);
    /* With the checksum made right. */
    if (size >= 20 && size <= sizeof(copy) && data[0] == 0x45) {
        memcpy(copy, data, size);
        put_u16(copy + 10, 0);
        put_u16(copy + 10, checksum_finish(checksum_add(0, (struct slice){copy, 20})));
        check_error((struct slice){copy, size}, false);
    }
    return 0;
}
