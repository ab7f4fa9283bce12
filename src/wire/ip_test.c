/*
 * Headers against bytes from elsewhere, and checksums against the most obvious way to make them.
 */
#include "wire/ip.h"

#include "base/random.h"
#include "tests/support/test.h"

/* A header often shown in textbooks, made shorter: the checksum was computed by hand. */
static const uint8_t textbook[] = {0x45, 0x00, 0x00, 0x1c, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                                   0xb8, 0xb8, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
                                   0x9c, 0x40, 0x00, 0x35, 0x00, 0x08, 0x00, 0x00};

static const uint8_t ipv6_udp[] = {
    0x6b, 0x8f, 0xed, 0xcb, 0x00, 0x08, 0x11, 0x3f, /* class b8, label fedcb, 8 bytes, UDP, 63 */
    0x20, 0x01, 0x0d, 0xb8, 0,    0,    0,    0,    0, 0, 0, 0, 0, 0, 0, 0x01, /* 2001:db8::1 */
    0x20, 0x01, 0x0d, 0xb8, 0,    1,    0,    0,    0, 0, 0, 0, 0, 0, 0, 0x02, /* 2001:db8:1::2 */
    0x13, 0x88, 0x00, 0x35, 0x00, 0x08, 0x00, 0x00,
};

static uint16_t obvious_sum(const uint8_t *bytes, size_t length)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < length; i += 2) {
        sum += (uint32_t)bytes[i] << 8 | (i + 1 < length ? bytes[i + 1] : 0);
        if (sum > 0xffff) {
            sum -= 0xffff;
        }
    }
    return (uint16_t)sum;
}

/* Two sums that differ only in which of the two zeros they are mean the same. */
static bool same_sum(uint32_t a, uint32_t b)
{
    return a % 0xffff == b % 0xffff;
}

static uint8_t packet[2048];

static struct slice ipv4_packet(const uint8_t *bytes, size_t length)
{
    size_t head = (size_t)(bytes[0] & 15) * 4;

    memcpy(packet, bytes, length);
    put_u16(packet + 10, 0);
    put_u16(packet + 10, (uint16_t)~obvious_sum(packet, head));
    return (struct slice){packet, length};
}

TEST(the_checksums_of_the_rfcs_come_out)
{
    /* RFC 1071 3. */
    static const uint8_t words[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

    CHECK(checksum_add(0, SLICE_OF(words)) == 0xddf2);
    CHECK(checksum_finish(0xddf2) == 0x220d);
    /* RFC 1624 4. */
    CHECK(checksum_update(0xdd2f, 0x5555, 0x3285) == 0x0000);
}

TEST(the_fast_sum_equals_the_obvious_one_at_every_length_and_alignment)
{
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);
    static uint8_t bytes[400];

    seeded_random_init(&seeded, 3);
    for (int round = 0; round < 20; round++) {
        random_fill(&random, bytes, sizeof(bytes));
        for (size_t offset = 0; offset < 8; offset++) {
            for (size_t length = 0; length < 300; length++) {
                uint32_t fast = checksum_add(0, (struct slice){bytes + offset, length});

                CHECK(fast <= 0xffff);
                CHECK(same_sum(fast, obvious_sum(bytes + offset, length)));
                CHECK((fast == 0) == (obvious_sum(bytes + offset, length) == 0));
            }
        }
    }
}

TEST(what_is_copied_has_the_sum_of_its_source)
{
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);
    static uint8_t bytes[400], copy[400];

    seeded_random_init(&seeded, 4);
    random_fill(&random, bytes, sizeof(bytes));
    for (size_t offset = 0; offset < 8; offset++) {
        for (size_t length = 0; length < 300; length++) {
            struct slice from = {bytes + offset, length};

            memset(copy, 0xa5, sizeof(copy));
            CHECK(checksum_copy(0x1234, copy + 9, from) == checksum_add(0x1234, from));
            CHECK_BYTES(copy + 9, from.data, length);
            CHECK(copy[8] == 0xa5 && copy[9 + length] == 0xa5);
        }
    }
    CHECK(checksum_copy(7, copy, (struct slice){NULL, 0}) == 7);
}

TEST(the_fast_sum_carries_when_every_bit_is_set)
{
    static uint8_t ones[65535];

    memset(ones, 0xff, sizeof(ones));
    for (size_t length = 2; length < 130; length += 2) {
        CHECK(checksum_add(0, (struct slice){ones, length}) == 0xffff);
    }
    CHECK(checksum_add(0xffff, (struct slice){ones, 65534}) == 0xffff);
    CHECK(checksum_add(0, (struct slice){ones, 65535}) == obvious_sum(ones, 65535));
    CHECK(checksum_add(7, (struct slice){NULL, 0}) == 7);
}

TEST(an_updated_checksum_equals_one_made_again)
{
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);

    seeded_random_init(&seeded, 4);
    for (int round = 0; round < 100000; round++) {
        uint8_t head[20];
        size_t at = random_below(&random, 10) * 2;
        uint16_t word = round % 3 == 0 ? (round % 2 ? 0 : 0xffff) : (uint16_t)random_u32(&random);

        random_fill(&random, head, sizeof(head));
        head[0] |= 1; /* a header is never all zero, and then the sum is never 0x0000 */
        uint16_t before = (uint16_t)~obvious_sum(head, sizeof(head));
        uint16_t old_word = get_u16(head + at);

        put_u16(head + at, word);
        if (obvious_sum(head, sizeof(head)) == 0) {
            continue;
        }
        uint16_t after = (uint16_t)~obvious_sum(head, sizeof(head));

        CHECK(checksum_update(before, old_word, word) == after);
    }
}

TEST(the_pseudo_headers_are_summed_as_they_would_stand)
{
    struct address a4 = address_ipv4(0xc0a80001);
    struct address b4 = address_ipv4(0xc0a800c7);
    static const uint8_t pseudo4[] = {0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7, 0, 17, 0x12, 0x34};
    struct address a6 = address_ipv6_bytes(ipv6_udp + 8);
    struct address b6 = address_ipv6_bytes(ipv6_udp + 24);
    uint8_t pseudo6[40];

    CHECK(checksum_pseudo(&a4, &b4, 17, 0x1234) == obvious_sum(pseudo4, sizeof(pseudo4)));
    memcpy(pseudo6, ipv6_udp + 8, 32);
    put_u32(pseudo6 + 32, 0x00012345);
    put_u32(pseudo6 + 36, 58);
    CHECK(checksum_pseudo(&a6, &b6, 58, 0x12345) == obvious_sum(pseudo6, sizeof(pseudo6)));
}

TEST(an_ipv4_header_is_read)
{
    struct ip_head head;
    char text[ADDRESS_TEXT_BYTES];

    CHECK(ip_read(SLICE_OF(textbook), &head));
    CHECK(head.family == FAMILY_IPV4);
    CHECK(head.protocol == IP_PROTOCOL_UDP);
    CHECK(head.ttl == 64 && head.tos == 0);
    CHECK(head.total_bytes == 28 && head.upper_offset == 20);
    CHECK(head.dont_fragment && !head.more_fragments && !head.is_fragment &&
          head.fragment_offset == 0);
    CHECK(head.has_ports && head.port_source == 40000 && head.port_destination == 53);
    CHECK_TEXT(address_format(&head.source, text), "192.168.0.1");
    CHECK_TEXT(address_format(&head.destination, text), "192.168.0.199");
}

TEST(an_ipv6_header_is_read)
{
    struct ip_head head;
    char text[ADDRESS_TEXT_BYTES];

    CHECK(ip_read(SLICE_OF(ipv6_udp), &head));
    CHECK(head.family == FAMILY_IPV6);
    CHECK(head.protocol == IP_PROTOCOL_UDP);
    CHECK(head.ttl == 63 && head.tos == 0xb8);
    CHECK(head.total_bytes == 48 && head.upper_offset == 40);
    CHECK(head.dont_fragment && !head.is_fragment);
    CHECK(head.has_ports && head.port_source == 5000 && head.port_destination == 53);
    CHECK_TEXT(address_format(&head.source, text), "2001:db8::1");
    CHECK_TEXT(address_format(&head.destination, text), "2001:db8:1::2");
}

TEST(every_truncation_of_a_packet_is_refused)
{
    struct ip_head head;

    for (size_t length = 0; length < sizeof(textbook); length++) {
        CHECK(!ip_read((struct slice){textbook, length}, &head));
    }
    for (size_t length = 0; length < sizeof(ipv6_udp); length++) {
        CHECK(!ip_read((struct slice){ipv6_udp, length}, &head));
    }
    CHECK(!ip_read((struct slice){NULL, 0}, &head));
}

TEST(padding_behind_a_packet_is_not_part_of_it)
{
    uint8_t padded[64] = {0};
    struct ip_head head;

    memcpy(padded, textbook, sizeof(textbook));
    CHECK(ip_read(SLICE_OF(padded), &head));
    CHECK(head.total_bytes == 28);

    /* Ports are not looked for in padding. */
    put_u16(padded + 2, 22);
    CHECK(ip_read(ipv4_packet(padded, sizeof(padded)), &head));
    CHECK(!head.has_ports && head.port_source == 0);
}

TEST(every_flipped_bit_of_an_ipv4_header_is_noticed)
{
    for (size_t bit = 0; bit < 160; bit++) {
        uint8_t damaged[sizeof(textbook)];
        struct ip_head head;

        memcpy(damaged, textbook, sizeof(damaged));
        damaged[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        CHECK(!ip_read(SLICE_OF(damaged), &head));
    }
}

TEST(ipv4_options_are_passed_over)
{
    /* Three words of options: record route. */
    uint8_t with_options[36] = {0x48, 0, 0, 36, 0, 7, 0, 0, 9, 6, 0, 0, 10, 0, 0, 1,  10, 0,
                                0,    2, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0,  0, 0, 80, 1,  187};
    struct ip_head head;

    CHECK(ip_read(ipv4_packet(with_options, sizeof(with_options)), &head));
    CHECK(head.upper_offset == 32 && head.id == 7);
    CHECK(head.has_ports && head.port_source == 80 && head.port_destination == 443);

    with_options[0] = 0x44; /* 16 bytes of header */
    CHECK(!ip_read(ipv4_packet(with_options, sizeof(with_options)), &head));
    with_options[0] = 0x4a; /* a header that is longer than the packet */
    CHECK(!ip_read(ipv4_packet(with_options, sizeof(with_options)), &head));
    with_options[0] = 0x48;
    put_u16(with_options + 2, 31); /* shorter than its header */
    CHECK(!ip_read(ipv4_packet(with_options, sizeof(with_options)), &head));
}

TEST(only_the_first_ipv4_fragment_has_ports)
{
    uint8_t fragment[36] = {0x45, 0, 0, 36, 0,  1, 0x20, 0, 64, 6,  0, 0,
                            10,   0, 0, 1,  10, 0, 0,    2, 0,  80, 0, 81};
    struct ip_head head;

    CHECK(ip_read(ipv4_packet(fragment, sizeof(fragment)), &head));
    CHECK(head.is_fragment && head.more_fragments && head.fragment_offset == 0);
    CHECK(head.has_ports && head.port_destination == 81);

    put_u16(fragment + 6, 0x2001);
    CHECK(ip_read(ipv4_packet(fragment, sizeof(fragment)), &head));
    CHECK(head.is_fragment && head.more_fragments && head.fragment_offset == 8);
    CHECK(!head.has_ports && head.port_source == 0 && head.port_destination == 0);

    put_u16(fragment + 6, 0x0002);
    CHECK(ip_read(ipv4_packet(fragment, sizeof(fragment)), &head));
    CHECK(head.is_fragment && !head.more_fragments && head.fragment_offset == 16 &&
          !head.has_ports);

    /* Reaches beyond 65535: 8191 * 8 + 16. */
    put_u16(fragment + 6, 0x1fff);
    CHECK(!ip_read(ipv4_packet(fragment, sizeof(fragment)), &head));

    /* More follow, but the length is no multiple of eight. */
    put_u16(fragment + 6, 0x2001);
    put_u16(fragment + 2, 35);
    CHECK(!ip_read(ipv4_packet(fragment, sizeof(fragment)), &head));
    put_u16(fragment + 6, 0x0001);
    CHECK(ip_read(ipv4_packet(fragment, sizeof(fragment)), &head));
}

TEST(icmp_shows_type_and_code_as_selectors_have_them)
{
    uint8_t echo[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 3, 4};
    struct ip_head head;

    CHECK(ip_read(ipv4_packet(echo, sizeof(echo)), &head));
    CHECK(head.has_ports && head.port_source == 0x0304 && head.port_destination == 0);
}

/* An IPv6 packet with the given first header and everything behind the fixed header. */
static struct slice ipv6_packet(uint8_t first, const uint8_t *behind, size_t length)
{
    memcpy(packet, ipv6_udp, 40);
    put_u16(packet + 4, (uint16_t)length);
    packet[6] = first;
    memcpy(packet + 40, behind, length);
    return (struct slice){packet, 40 + length};
}

/* Hop-by-hop (8), routing (24), destination (16), fragment first (8), AH (24), destination (8),
 * TCP ports. */
static const uint8_t chain[] = {
    43, 0, 5, 2, 0, 0, 1, 0, 60,   2,    4,    0,    0,    0,    0,    0,    1,  1, 1, 1,
    1,  1, 1, 1, 2, 2, 2, 2, 2,    2,    2,    2,    44,   1,    1,    12,   0,  0, 0, 0,
    0,  0, 0, 0, 0, 0, 0, 0, 51,   0,    0x00, 0x01, 0xde, 0xad, 0xbe, 0xef, 60, 4, 0, 0,
    0,  0, 1, 0, 0, 0, 0, 1, 3,    3,    3,    3,    3,    3,    3,    3,    3,  3, 3, 3,
    6,  0, 1, 4, 0, 0, 0, 0, 0x00, 0x50, 0x01, 0xbb, 0,    0,    0,    0,
};

TEST(a_long_chain_of_extension_headers_is_followed)
{
    struct ip_head head;

    CHECK(ip_read(ipv6_packet(0, chain, sizeof(chain)), &head));
    CHECK(head.protocol == IP_PROTOCOL_TCP);
    CHECK(head.upper_offset == 40 + sizeof(chain) - 8);
    CHECK(head.is_fragment && head.more_fragments && head.fragment_offset == 0);
    CHECK(head.has_ports && head.port_source == 80 && head.port_destination == 443);
}

TEST(a_chain_that_ends_early_is_refused_at_every_length)
{
    struct ip_head head;

    for (size_t length = 0; length < sizeof(chain) - 8; length++) {
        CHECK(!ip_read(ipv6_packet(0, chain, length), &head));
    }
}

TEST(at_most_eight_extension_headers_are_followed)
{
    uint8_t many[80] = {0};
    struct ip_head head;

    for (size_t count = 1; count <= 9; count++) {
        for (size_t i = 0; i < count; i++) {
            many[8 * i] = i + 1 == count ? IP_PROTOCOL_UDP : IP_PROTOCOL_DESTINATION;
        }
        CHECK(ip_read(ipv6_packet(IP_PROTOCOL_DESTINATION, many, 8 * count + 8), &head) ==
              (count <= 8));
    }
}

TEST(hop_by_hop_options_stand_first_or_nowhere)
{
    static const uint8_t late[] = {0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4,
                                   0, 0, 0, 0, 0, 1, 0, 2, 0,  8, 0, 0};
    struct ip_head head;

    CHECK(!ip_read(ipv6_packet(IP_PROTOCOL_DESTINATION, late, sizeof(late)), &head));
    CHECK(ip_read(ipv6_packet(IP_PROTOCOL_HOP_BY_HOP, late + 8, sizeof(late) - 8), &head));
}

TEST(behind_a_later_ipv6_fragment_nothing_is_interpreted)
{
    /* Offset 8; what follows looks like a chain and is data. */
    uint8_t fragment[] = {60, 0, 0x00, 0x09, 0, 0, 0, 1, 17, 0, 1, 4, 0, 0, 0, 0};
    struct ip_head head;

    CHECK(ip_read(ipv6_packet(IP_PROTOCOL_FRAGMENT, fragment, sizeof(fragment)), &head));
    CHECK(head.protocol == IP_PROTOCOL_DESTINATION && head.upper_offset == 48);
    CHECK(head.fragment_offset == 8 && head.more_fragments && !head.has_ports);

    /* A fragment header in a fragment. */
    fragment[0] = IP_PROTOCOL_FRAGMENT;
    put_u16(fragment + 2, 0x0001);
    CHECK(!ip_read(ipv6_packet(IP_PROTOCOL_FRAGMENT, fragment, sizeof(fragment)), &head));

    /* Atomic (RFC 6946). */
    fragment[0] = IP_PROTOCOL_UDP;
    put_u16(fragment + 2, 0);
    CHECK(ip_read(ipv6_packet(IP_PROTOCOL_FRAGMENT, fragment, sizeof(fragment)), &head));
    CHECK(head.is_fragment && !head.more_fragments && head.has_ports && head.port_source == 0x1100);

    /* No multiple of eight although more follow; beyond the largest packet. */
    put_u16(fragment + 2, 0x0001);
    CHECK(!ip_read(ipv6_packet(IP_PROTOCOL_FRAGMENT, fragment, sizeof(fragment) - 1), &head));
    put_u16(fragment + 2, 0xfff8);
    CHECK(!ip_read(ipv6_packet(IP_PROTOCOL_FRAGMENT, fragment, sizeof(fragment)), &head));
}

TEST(a_quoted_packet_may_end_behind_its_headers)
{
    uint8_t damaged[sizeof(textbook)];
    struct ip_head head;

    memcpy(damaged, textbook, sizeof(damaged));
    damaged[8] = 1;
    CHECK(!ip_read(SLICE_OF(damaged), &head));
    for (size_t length = 20; length <= sizeof(damaged); length++) {
        CHECK(ip_read_quoted((struct slice){damaged, length}, &head));
        CHECK(head.total_bytes == 28);
        CHECK(head.has_ports == (length >= 24));
    }
    CHECK(!ip_read_quoted((struct slice){damaged, 19}, &head));
    CHECK(ip_read_quoted((struct slice){ipv6_udp, 44}, &head));
    CHECK(head.has_ports && head.port_destination == 53 && head.total_bytes == 48);
}

TEST(what_is_written_reads_the_same)
{
    uint8_t room[64];
    struct ipv4_fields four = {.source = address_ipv4(0x0a010203),
                               .destination = address_ipv4(0xcb007105),
                               .tos = 0x2e,
                               .ttl = 17,
                               .protocol = 50,
                               .id = 0xabcd,
                               .dont_fragment = true,
                               .payload_bytes = 10};
    struct ipv6_fields six = {.source = address_ipv6_bytes(ipv6_udp + 8),
                              .destination = address_ipv6_bytes(ipv6_udp + 24),
                              .traffic_class = 0xb8,
                              .hop_limit = 63,
                              .next_header = 17,
                              .flow_label = 0xfedcb,
                              .payload_bytes = 8};
    struct writer w = writer_over(room, sizeof(room));
    struct ip_head head;

    ipv4_write(&w, &four);
    write_zeros(&w, 10);
    CHECK(ip_read(writer_written(&w), &head));
    CHECK(address_equal(&head.source, &four.source) &&
          address_equal(&head.destination, &four.destination));
    CHECK(head.tos == 0x2e && head.ttl == 17 && head.protocol == 50 && head.id == 0xabcd);
    CHECK(head.dont_fragment && head.total_bytes == 30);

    w = writer_over(room, sizeof(room));
    ipv6_write(&w, &six);
    CHECK_BYTES(room, ipv6_udp, 40);

    /* One byte more than a total length can say. */
    four.payload_bytes = 65516;
    w = writer_over(room, sizeof(room));
    ipv4_write(&w, &four);
    CHECK(!writer_ok(&w));
    four.payload_bytes = 65515;
    w = writer_over(room, sizeof(room));
    ipv4_write(&w, &four);
    CHECK(writer_ok(&w));
    w = writer_over(room, 19);
    ipv4_write(&w, &four);
    CHECK(!writer_ok(&w));
}

TEST(changes_in_place_keep_the_checksum_right)
{
    uint8_t changed[sizeof(textbook)];
    struct ip_head head;

    memcpy(changed, textbook, sizeof(changed));
    for (unsigned tos = 0; tos < 256; tos++) {
        ipv4_set_tos(changed, (uint8_t)tos);
        CHECK(ip_read(SLICE_OF(changed), &head));
        CHECK(head.tos == tos);
    }
    for (unsigned ttl = 63; ttl > 0; ttl--) {
        CHECK(ip_decrement_ttl(changed));
        CHECK(ip_read(SLICE_OF(changed), &head));
        CHECK(head.ttl == ttl);
    }
    CHECK(!ip_decrement_ttl(changed));
    CHECK(ip_read(SLICE_OF(changed), &head));
    CHECK(head.ttl == 1);
}

TEST(changes_of_ipv6_leave_the_neighbours_alone)
{
    uint8_t changed[sizeof(ipv6_udp)];
    struct ip_head head;

    memcpy(changed, ipv6_udp, sizeof(changed));
    ipv6_set_traffic_class(changed, 0x03);
    CHECK(get_u32(changed) == 0x603fedcb);
    CHECK(ip_read(SLICE_OF(changed), &head));
    CHECK(head.tos == 0x03);
    CHECK(ip_decrement_ttl(changed));
    CHECK(changed[7] == 62);
    changed[7] = 0;
    CHECK(!ip_decrement_ttl(changed));
    CHECK(changed[7] == 0);
}

TEST(a_packet_is_described_in_one_line)
{
    char room[200];
    struct text t = text_over(room, sizeof(room));

    ip_describe(SLICE_OF(textbook), &t);
    CHECK_TEXT(room, "192.168.0.1:40000 > 192.168.0.199:53 udp 28");
    t = text_over(room, sizeof(room));
    ip_describe(SLICE_OF(ipv6_udp), &t);
    CHECK_TEXT(room, "[2001:db8::1]:5000 > [2001:db8:1::2]:53 udp 48");
    t = text_over(room, sizeof(room));
    ip_describe(ipv6_packet(0, chain, sizeof(chain)), &t);
    CHECK_TEXT(room, "[2001:db8::1]:80 > [2001:db8:1::2]:443 tcp 136 fragment at 0, more follow");
    t = text_over(room, sizeof(room));
    ip_describe(SLICE_TEXT("hello"), &t);
    CHECK_TEXT(room, "not an IP packet, 5");

    uint8_t echo[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0};

    t = text_over(room, sizeof(room));
    ip_describe(ipv4_packet(echo, sizeof(echo)), &t);
    CHECK_TEXT(room, "10.0.0.1 > 10.0.0.2 icmp 8/0 28");
}
