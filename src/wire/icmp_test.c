/*
 * ICMP errors as whole packets: what they quote, where they are cut, and what is never answered.
 */
#include "wire/icmp.h"

#include "tests/support/test.h"

static uint8_t original[2000];

/* An IPv4 packet of `total` bytes with an upper layer of `protocol` whose first byte is
 * `first`. */
static struct slice make_original(uint32_t source, uint32_t destination, uint8_t protocol,
                                  uint8_t first, size_t total)
{
    struct ipv4_fields fields = {.source = address_ipv4(source),
                                 .destination = address_ipv4(destination),
                                 .ttl = 9,
                                 .protocol = protocol,
                                 .payload_bytes = (uint16_t)(total - 20)};
    struct writer w = writer_over(original, sizeof(original));

    memset(original, 0x5a, sizeof(original));
    ipv4_write(&w, &fields);
    original[20] = first;
    return (struct slice){original, total};
}

TEST(a_message_is_read_and_written_back)
{
    /* Echo request 0x1234, 1, "ab": 0800 + 1234 + 0001 + 6162 = 0x7b97, inverted 0x8468. */
    static const uint8_t echo[] = {8, 0, 0x84, 0x68, 0x12, 0x34, 0, 1, 'a', 'b'};
    struct icmp_head head;
    uint8_t room[10];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(icmp_read(SLICE_OF(echo), &head));
    CHECK(head.type == ICMP_ECHO_REQUEST && head.code == 0 && head.rest == 0x12340001);
    CHECK(slice_equal_text(head.body, "ab"));
    icmp_write(&w, &head);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(echo)));
    for (size_t length = 0; length < sizeof(echo); length++) {
        CHECK(!icmp_read((struct slice){echo, length}, &head));
    }
}

TEST(fragmentation_needed_tells_the_mtu_and_quotes_to_576_bytes)
{
    static const size_t totals[] = {21, 28, 100, 547, 548, 549, 1500, 2000};
    struct address gateway = address_ipv4(0x0a000001);
    struct address host = address_ipv4(0x0a000042);

    for (size_t i = 0; i < ARRAY_LENGTH(totals); i++) {
        struct slice packet = make_original(0x0a000042, 0x0a090909, 17, 1, totals[i]);
        uint8_t room[700];
        struct writer w = writer_over(room, sizeof(room));
        struct ip_head ip;
        struct icmp_head icmp;
        size_t quoted = totals[i] < 548 ? totals[i] : 548;

        CHECK(icmp_build_fragmentation_needed(&w, &gateway, 1400, packet));
        CHECK(ip_read(writer_written(&w), &ip));
        CHECK(ip.total_bytes == w.length && ip.total_bytes == 28 + quoted && ip.total_bytes <= 576);
        CHECK(address_equal(&ip.source, &gateway) && address_equal(&ip.destination, &host));
        CHECK(ip.protocol == IP_PROTOCOL_ICMP && ip.ttl == 64);
        CHECK(icmp_read((struct slice){room + 20, w.length - 20}, &icmp));
        CHECK(icmp.type == 3 && icmp.code == 4 && icmp.rest == 1400);
        CHECK(slice_equal(icmp.body, (struct slice){packet.data, quoted}));
    }
}

TEST(time_exceeded_is_type_eleven)
{
    struct address gateway = address_ipv4(0x0a000001);
    uint8_t room[600];
    struct writer w = writer_over(room, sizeof(room));

    CHECK(icmp_build_time_exceeded(&w, &gateway, make_original(0x0a000042, 0x0a090909, 17, 1, 60)));
    CHECK(room[20] == 11 && room[21] == 0 && get_u32(room + 24) == 0);
}

TEST(padding_behind_the_original_is_not_quoted)
{
    struct address gateway = address_ipv4(0x0a000001);
    uint8_t room[600];
    struct writer w = writer_over(room, sizeof(room));
    struct slice packet = make_original(0x0a000042, 0x0a090909, 17, 1, 60);

    packet.length = 100;
    CHECK(icmp_build_time_exceeded(&w, &gateway, packet));
    CHECK(w.length == 28 + 60);
}

TEST(errors_and_packets_that_are_not_one_hosts_are_not_answered)
{
    static const struct {
        uint32_t source, destination;
        uint8_t protocol, first;
        bool answered;
    } cases[] = {
        {0x0a000042, 0x0a090909, 17, 0, true},  {0x0a000042, 0x0a090909, 1, 8, true},
        {0x0a000042, 0x0a090909, 1, 0, true},   {0x0a000042, 0x0a090909, 1, 3, false},
        {0x0a000042, 0x0a090909, 1, 4, false},  {0x0a000042, 0x0a090909, 1, 5, false},
        {0x0a000042, 0x0a090909, 1, 11, false}, {0x0a000042, 0x0a090909, 1, 12, false},
        {0x0a000042, 0x0a090909, 1, 13, true},  {0x00000000, 0x0a090909, 17, 0, false},
        {0x7f000001, 0x0a090909, 17, 0, false}, {0xe0000001, 0x0a090909, 17, 0, false},
        {0xffffffff, 0x0a090909, 17, 0, false}, {0xf0000001, 0x0a090909, 17, 0, false},
        {0x0a000042, 0xe0000005, 17, 0, false}, {0x0a000042, 0xffffffff, 17, 0, false},
    };
    struct address gateway = address_ipv4(0x0a000001);

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint8_t room[600];
        struct writer w = writer_over(room, sizeof(room));
        struct slice packet = make_original(cases[i].source, cases[i].destination,
                                            cases[i].protocol, cases[i].first, 40);

        CHECK(icmp_build_error(&w, &gateway, 3, 1, 0, packet) == cases[i].answered);
        CHECK((w.length > 0) == cases[i].answered);
    }
}

/* The checksum is made again over the twenty bytes. */
static void set_fragment(uint16_t word)
{
    put_u16(original + 6, word);
    put_u16(original + 10, 0);
    put_u16(original + 10, checksum_finish(checksum_add(0, (struct slice){original, 20})));
}

TEST(only_the_first_fragment_is_answered)
{
    struct address gateway = address_ipv4(0x0a000001);
    uint8_t room[600];
    struct writer w = writer_over(room, sizeof(room));
    struct slice packet = make_original(0x0a000042, 0x0a090909, 17, 1, 60);

    set_fragment(0x2001);
    CHECK(!icmp_build_time_exceeded(&w, &gateway, packet));
    set_fragment(0x2000);
    CHECK(icmp_build_time_exceeded(&w, &gateway, packet));
}

TEST(an_icmp_packet_without_a_type_is_not_answered)
{
    struct address gateway = address_ipv4(0x0a000001);
    uint8_t room[600];
    struct writer w = writer_over(room, sizeof(room));
    struct slice packet = make_original(0x0a000042, 0x0a090909, 1, 8, 20);

    CHECK(!icmp_build_time_exceeded(&w, &gateway, packet));
}

TEST(without_room_or_an_ipv4_packet_nothing_is_written)
{
    struct address gateway = address_ipv4(0x0a000001);
    uint8_t room[100];
    struct slice packet = make_original(0x0a000042, 0x0a090909, 17, 1, 60);
    static const uint8_t ipv6[40] = {0x60, 0, 0, 0, 0, 0, 59, 1, [23] = 1, [39] = 2};

    for (size_t capacity = 0; capacity <= 88; capacity++) {
        struct writer w = writer_over(room, capacity);

        CHECK(icmp_build_time_exceeded(&w, &gateway, packet) == (capacity == 88));
        CHECK(w.length == (capacity == 88 ? 88 : 0));
    }
    struct writer w = writer_over(room, sizeof(room));

    CHECK(!icmp_build_time_exceeded(&w, &gateway, SLICE_OF(ipv6)));
    CHECK(!icmp_build_time_exceeded(&w, &gateway, (struct slice){packet.data, 59}));
    CHECK(w.length == 0);
}
