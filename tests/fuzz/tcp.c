/* TCP and UDP: headers and options of any bytes, and the MSS that is lowered in place. */
#include <string.h>

#include "fuzz.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"

static void check_udp(struct slice datagram)
{
    struct udp_head head;
    uint8_t room[UDP_HEAD_BYTES];
    struct writer w = writer_over(room, sizeof(room));

    if (!udp_read(datagram, &head)) {
        return;
    }
    MUST(head.length_bytes >= UDP_HEAD_BYTES && head.length_bytes <= datagram.length);
    udp_write(&w, &head);
    MUST(memcmp(room, datagram.data, sizeof(room)) == 0);
}

static void check_options(const struct tcp_head *head)
{
    struct reader options = reader_over(head->options);
    struct tcp_option option;
    unsigned count = 0;

    while (tcp_read_option(&options, &option)) {
        MUST(option.kind > TCP_OPTION_NOP);
        MUST(option.value.data >= head->options.data);
        MUST(option.value.data + option.value.length <= head->options.data + head->options.length);
        count++;
    }
    MUST(count <= TCP_OPTIONS_BYTES_MAX / 2);
}

static void check_round_trip(const struct tcp_head *head, struct slice segment)
{
    uint8_t room[TCP_HEAD_BYTES + TCP_OPTIONS_BYTES_MAX];
    struct writer w = writer_over(room, sizeof(room));

    tcp_write(&w, head);
    MUST(writer_ok(&w) && w.length == head->head_bytes);
    MUST(memcmp(room, segment.data, w.length) == 0);
}

static void check_clamp(struct slice segment)
{
    static uint8_t copy[4096];
    struct address a = address_ipv4(0x0a000001);
    struct address b = address_ipv4(0x0a000002);

    if (segment.length > sizeof(copy) || tcp_find_mss(segment) == 0) {
        return;
    }
    memcpy(copy, segment.data, segment.length);
    put_u16(copy + TCP_OFFSET_CHECKSUM, tcp_checksum(&a, &b, segment));
    (void)tcp_clamp_mss(copy, segment.length, 536, false);
    MUST(get_u16(copy + tcp_find_mss(segment)) <= 536);
    /* 0 and 0xffff mean the same sum; a change never makes another one. */
    MUST(tcp_checksum_is_right(&a, &b, (struct slice){copy, segment.length}));
}

FUZZ(tcp, 40000)
{
    struct slice segment = {data, size};
    struct tcp_head head;

    check_udp(segment);
    if (!tcp_read(segment, &head)) {
        MUST(tcp_find_mss(segment) == 0);
        return 0;
    }
    check_options(&head);
    check_round_trip(&head, segment);
    check_clamp(segment);
    return 0;
}
