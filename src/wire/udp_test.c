/* UDP against bytes made elsewhere, and at every boundary of its length. */
#include "wire/udp.h"

#include "tests/support/test.h"

/* 192.168.0.1:40000 > 192.168.0.199:53, "hello". */
static const uint8_t hello[] = {0x9c, 0x40, 0x00, 0x35, 0x00, 0x0d, 0, 0, 'h', 'e', 'l', 'l', 'o'};

static const uint8_t four_a[] = {192, 168, 0, 1};
static const uint8_t four_b[] = {192, 168, 0, 199};

TEST(a_header_is_read_and_written_back)
{
    struct udp_head head;
    uint8_t room[8];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(udp_read(SLICE_OF(hello), &head));
    CHECK(head.source == 40000 && head.destination == 53 && head.length_bytes == 13 &&
          head.checksum == 0);
    udp_write(&w, &head);
    CHECK(writer_ok(&w));
    CHECK_BYTES(room, hello, 8);
}

TEST(every_truncation_of_a_datagram_is_refused)
{
    struct udp_head head;

    for (size_t length = 0; length < sizeof(hello); length++) {
        CHECK(!udp_read((struct slice){hello, length}, &head));
    }
}

TEST(the_length_lies_between_the_header_and_what_is_there)
{
    uint8_t datagram[sizeof(hello)];
    struct udp_head head;

    memcpy(datagram, hello, sizeof(datagram));
    for (unsigned length = 0; length < 65536; length++) {
        put_u16(datagram + 4, (uint16_t)length);
        CHECK(udp_read(SLICE_OF(datagram), &head) == (length >= 8 && length <= sizeof(datagram)));
    }
}

TEST(the_checksum_covers_addresses_ports_and_payload)
{
    struct address a = address_ipv4_bytes(four_a);
    struct address b = address_ipv4_bytes(four_b);
    uint8_t datagram[sizeof(hello)];

    memcpy(datagram, hello, sizeof(datagram));
    CHECK(udp_checksum_is_right(&a, &b, SLICE_OF(datagram)));
    /* c0a8 0001 c0a8 00c7 0011 000d 9c40 0035 000d 6865 6c6c 6f00 add up to 0x36289, folded
     * 0x628c. */
    CHECK(udp_checksum(&a, &b, SLICE_OF(datagram)) == 0x9d73);
    put_u16(datagram + 6, 0x9d73);
    CHECK(udp_checksum_is_right(&a, &b, SLICE_OF(datagram)));
    CHECK(udp_checksum(&a, &b, SLICE_OF(datagram)) == 0x9d73);
    for (size_t bit = 0; bit < sizeof(datagram) * 8; bit++) {
        datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK(!udp_checksum_is_right(&a, &b, SLICE_OF(datagram)));
        datagram[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(a_sum_of_zero_is_sent_as_all_ones_and_none_is_wrong_with_ipv6)
{
    struct address a = address_ipv4_bytes(four_a);
    struct address b = address_ipv4_bytes(four_b);
    static const uint8_t six_a[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
    struct address a6 = address_ipv6_bytes(six_a);
    uint8_t datagram[10] = {0x9c, 0x40, 0x00, 0x35, 0x00, 0x0a, 0, 0};

    /* The payload makes the sum 0xffff: c0a8 0001 c0a8 00c7 0011 000a 9c40 0035 000a add up to
     * 0x21eb2, 0x1eb4. */
    put_u16(datagram + 8, 0xffff - 0x1eb4);
    CHECK(udp_checksum(&a, &b, SLICE_OF(datagram)) == 0xffff);
    put_u16(datagram + 6, 0xffff);
    CHECK(udp_checksum_is_right(&a, &b, SLICE_OF(datagram)));
    put_u16(datagram + 6, 0);
    CHECK(!udp_checksum_is_right(&a6, &a6, SLICE_OF(datagram)));
}
