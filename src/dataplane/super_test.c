/* Super-packets: what is cut is whole and right by an independent sum, and joining undoes cutting.
 */
#include "tests/support/test.h"

#include "dataplane/super.h"
#include "wire/tcp.h"

#define CAPACITY 70000

static uint8_t super_buffer[CAPACITY];
static uint8_t buffers[64][4096];
static struct packet super, pieces[64];
static struct packet *list[64];

/* The plainest sum of RFC 1071. */
static uint16_t plain_sum(const uint8_t *at, size_t length, uint32_t sum)
{
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static bool checksums_are_right(const uint8_t *p, uint32_t length)
{
    bool four = p[0] >> 4 == 4;
    uint32_t upper = four ? 20 : 40;
    uint8_t protocol = four ? p[9] : p[6];
    uint32_t pseudo = (uint32_t)protocol + (length - upper);

    for (uint32_t i = four ? 12 : 8; i < upper; i += 2) {
        pseudo += (uint32_t)p[i] << 8 | p[i + 1];
    }
    return (!four || plain_sum(p, 20, 0) == 0xffff) &&
           plain_sum(p + upper, length - upper, pseudo) == 0xffff;
}

static void write_tcp(struct writer *w, uint8_t flags, bool timestamps)
{
    write_u16(w, 40000);
    write_u16(w, 80);
    write_u32(w, 0xfffffe00); /* wraps on the way */
    write_u32(w, 0x01020304);
    write_u8(w, timestamps ? 0x80 : 0x50);
    write_u8(w, flags);
    write_u16(w, 512);
    write_u32(w, 0);
    if (timestamps) {
        write_u32(w, 0x0101080a);
        write_u64(w, 0x1122334455667788);
    }
}

static void write_ip(struct writer *w, bool four, uint8_t protocol, uint16_t upper_bytes)
{
    struct address a = address_ipv4(0x0a010002), b = address_ipv4(0x0a020002);
    const uint8_t a6[16] = {0xfd, 1, [15] = 2}, b6[16] = {0xfd, 2, [15] = 2};

    if (four) {
        struct ipv4_fields f = {a, b, 0x02, 64, protocol, 0xfffe, true, upper_bytes};
        ipv4_write(w, &f);
    } else {
        struct ipv6_fields f = {address_ipv6_bytes(a6),
                                address_ipv6_bytes(b6),
                                0x02,
                                64,
                                protocol,
                                0x12345,
                                upper_bytes};
        ipv6_write(w, &f);
    }
}

static void start(void)
{
    super = (struct packet){.buffer = super_buffer, .capacity = CAPACITY, .offset = 128};
    for (size_t i = 0; i < 64; i++) {
        pieces[i] = (struct packet){.buffer = buffers[i], .capacity = 4096, .offset = 128};
        list[i] = &pieces[i];
    }
}

static void make(bool four, uint8_t flags, uint32_t payload, uint16_t segment, bool udp)
{
    struct writer w = writer_over(super_buffer + 128, CAPACITY - 128);

    start();
    write_ip(&w, four, udp ? IP_PROTOCOL_UDP : IP_PROTOCOL_TCP,
             (uint16_t)((udp ? 8 : 32) + payload));
    if (udp) {
        write_u32(&w, 0x9c400050);
        write_u32(&w, 0);
    } else {
        write_tcp(&w, flags, true);
    }
    for (uint32_t i = 0; i < payload; i++) {
        write_u8(&w, (uint8_t)(i * 7 + i / 256));
    }
    super.length = (uint32_t)writer_written(&w).length;
    super.segmentation = udp ? SEGMENT_UDP : SEGMENT_TCP;
    super.segment_bytes = segment;
}

static size_t cut_all(void)
{
    struct cut cut;
    size_t count = 0;

    CHECK(cut_begin(&cut, &super));
    while (cut_next(&cut, &pieces[count]) == CUT_PACKET) {
        count++;
        CHECK(count < 64);
    }
    return count;
}

static void check_pieces(bool four, uint8_t flags, uint32_t payload, uint16_t segment)
{
    uint32_t head = (four ? 20 : 40) + 32, upper = four ? 20 : 40;
    size_t count = cut_all();
    size_t expected = (payload + segment - 1) / segment;

    CHECK_EQUAL(count, expected);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = packet_data(&pieces[i]);
        uint32_t length = i + 1 < count ? segment : payload - (uint32_t)i * segment;
        uint8_t want = flags;

        want &= (uint8_t)(i + 1 < count ? ~(TCP_PSH | TCP_FIN) : 0xff);
        want &= (uint8_t)(i > 0 ? ~TCP_CWR : 0xff);
        CHECK_EQUAL(pieces[i].length, head + length);
        CHECK(checksums_are_right(p, pieces[i].length));
        CHECK_EQUAL(get_u32(p + upper + 4), (uint32_t)(0xfffffe00 + i * segment));
        CHECK_EQUAL(p[upper + 13], want);
        CHECK_BYTES(p + head, packet_data(&super) + head + i * segment, length);
        if (four) {
            CHECK_EQUAL(get_u16(p + 4), (uint16_t)(0xfffe + i));
        }
    }
}

TEST(a_tcp_super_packet_is_cut_into_right_segments)
{
    const uint8_t flags[] = {TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_FIN | TCP_PSH,
                             TCP_ACK | TCP_CWR | TCP_ECE};

    for (size_t f = 0; f < 4; f++) {
        for (int four = 0; four < 2; four++) {
            for (uint32_t payload = 1; payload < 9000; payload += 811) {
                make(four != 0, flags[f], payload, 1400, false);
                check_pieces(four != 0, flags[f], payload, 1400);
            }
        }
    }
}

TEST(a_udp_super_packet_is_cut_into_right_datagrams)
{
    for (int four = 0; four < 2; four++) {
        uint32_t upper = four != 0 ? 20 : 40;

        make(four != 0, 0, 2500, 1000, true);
        CHECK_EQUAL(cut_all(), 3);
        for (size_t i = 0; i < 3; i++) {
            CHECK(checksums_are_right(packet_data(&pieces[i]), pieces[i].length));
            CHECK_EQUAL(get_u16(packet_data(&pieces[i]) + upper + 4), i < 2 ? 1008 : 508);
        }
    }
}

TEST(a_partial_checksum_is_completed)
{
    make(true, TCP_ACK, 777, 0, false);
    super.segmentation = SEGMENT_NONE;
    super.checksum_start = 20;
    super.checksum_offset = 16;
    struct address a = address_ipv4(0x0a010002), b = address_ipv4(0x0a020002);
    put_u16(packet_data(&super) + 36,
            (uint16_t)~checksum_finish(checksum_pseudo(&a, &b, 6, 32 + 777)));
    CHECK_EQUAL(cut_all(), 1);
    CHECK(checksums_are_right(packet_data(&pieces[0]), pieces[0].length));
}

TEST(what_is_not_what_it_says_is_refused)
{
    struct cut cut;

    make(true, TCP_ACK, 3000, 0, false);
    CHECK(!cut_begin(&cut, &super));
    make(true, TCP_ACK, 3000, 1000, false);
    for (uint32_t length = 0; length < super.length; length++) {
        struct packet shorter = super;
        shorter.length = length;
        CHECK(!cut_begin(&cut, &shorter));
    }
    super.segmentation = SEGMENT_UDP;
    CHECK(!cut_begin(&cut, &super));
    make(false, TCP_ACK, 0, 1000, false);
    CHECK(!cut_begin(&cut, &super));
    super.segmentation = SEGMENT_NONE;
    super.checksum_start = (uint16_t)(super.length - 1);
    CHECK(!cut_begin(&cut, &super));
}

TEST(a_segment_that_does_not_fit_is_refused_and_the_rest_with_it)
{
    struct cut cut;

    make(true, TCP_ACK, 9000, 4000, false);
    CHECK(cut_begin(&cut, &super));
    CHECK_EQUAL(cut_next(&cut, &pieces[0]), CUT_TOO_LONG);
    CHECK_EQUAL(cut_next(&cut, &pieces[0]), CUT_END);
    start();
    super.length = 4000;
    CHECK(cut_begin(&cut, &super));
    CHECK_EQUAL(cut_next(&cut, &pieces[0]), CUT_TOO_LONG);
    CHECK_EQUAL(cut_next(&cut, &pieces[0]), CUT_END);
}

TEST(joining_undoes_cutting)
{
    for (int four = 0; four < 2; four++) {
        uint32_t upper = four != 0 ? 20 : 40, skip = 0;

        make(four != 0, TCP_ACK | TCP_PSH, 20000, 1400, false);
        size_t count = cut_all();
        CHECK_EQUAL(join_packets(list, count, &skip), count);
        CHECK_EQUAL(skip, upper + 32);
        CHECK_EQUAL(pieces[0].segmentation, SEGMENT_TCP);
        CHECK_EQUAL(pieces[0].segment_bytes, 1400);
        CHECK_EQUAL(pieces[0].checksum_start, upper);
        CHECK_EQUAL(pieces[0].checksum_offset, 16);
        /* The head is that of the super-packet but for its TCP checksum. */
        uint8_t *p = packet_data(&pieces[0]);
        uint16_t partial = get_u16(p + upper + 16);
        put_u16(p + upper + 16, 0);
        CHECK_BYTES(p, packet_data(&super), skip);
        /* Completed over the whole, the partial checksum is the right one. */
        put_u16(packet_data(&super) + upper + 16, partial);
        uint16_t whole = (uint16_t)~plain_sum(packet_data(&super) + upper, super.length - upper, 0);
        put_u16(packet_data(&super) + upper + 16, whole);
        CHECK(checksums_are_right(packet_data(&super), super.length));
    }
}

/* Cuts 10 segments, changes one octet of the one at `at`, and tells how many are joined. */
static size_t joined_after(bool four, size_t at, uint32_t offset, uint8_t change, bool repair)
{
    uint32_t skip = 0, upper = four ? 20 : 40;

    make(four, TCP_ACK, 10000, 1000, false);
    size_t count = cut_all();
    uint8_t *p = packet_data(&pieces[at]);
    p[offset] ^= change;
    if (repair) {
        struct ip_head ip;
        if (four) {
            put_u16(p + 10, 0);
            put_u16(p + 10, (uint16_t)~plain_sum(p, 20, 0));
        }
        CHECK(ip_read(packet_slice(&pieces[at]), &ip));
        put_u16(p + upper + 16, tcp_checksum(&ip.source, &ip.destination,
                                             (struct slice){p + upper, pieces[at].length - upper}));
    }
    return join_packets(list, count, &skip);
}

TEST(what_differs_in_anything_is_not_joined)
{
    CHECK_EQUAL(joined_after(true, 5, 500, 0, false), 10);
    CHECK_EQUAL(joined_after(true, 5, 500, 1, false), 5); /* payload: checksum wrong */
    CHECK_EQUAL(joined_after(true, 5, 500, 1, true), 10); /* and right again: just other data */
    CHECK_EQUAL(joined_after(true, 0, 500, 1, false), 1);
    for (uint32_t offset = 0; offset < 52; offset++) {
        bool is_length = offset == 0 || offset == 2 || offset == 3;
        bool is_sum = offset == 10 || offset == 11 || offset == 36 || offset == 37;
        bool is_id = offset == 4 || offset == 5;
        bool is_layout = offset == 6 || offset == 7 || offset == 9 || offset == 32;

        if (is_length || is_sum || is_layout) {
            continue;
        }
        CHECK_EQUAL(joined_after(true, 5, offset, 1, true), is_id ? 10 : 5);
    }
    for (uint32_t offset = 7; offset < 72; offset++) {
        if (offset == 52 || offset == 56 || offset == 57) {
            continue;
        }
        CHECK_EQUAL(joined_after(false, 5, offset, 1, true), 5);
    }
    CHECK_EQUAL(joined_after(true, 5, 33, TCP_PSH, true), 6);
    CHECK_EQUAL(joined_after(true, 0, 33, TCP_PSH, true), 1);
}

TEST(a_shorter_segment_is_the_last)
{
    uint32_t skip = 0;

    make(true, TCP_ACK, 10000, 1000, false);
    size_t count = cut_all();
    CHECK_EQUAL(count, 10);
    /* The third is cut short: its successor leaves a gap. */
    uint8_t *p = packet_data(&pieces[2]);
    pieces[2].length -= 10;
    put_u16(p + 2, (uint16_t)pieces[2].length);
    put_u16(p + 10, 0);
    put_u16(p + 10, (uint16_t)~plain_sum(p, 20, 0));
    struct address a = address_ipv4(0x0a010002), b = address_ipv4(0x0a020002);
    put_u16(p + 36, tcp_checksum(&a, &b, (struct slice){p + 20, pieces[2].length - 20}));
    CHECK_EQUAL(join_packets(list, count, &skip), 3);
    CHECK_EQUAL(join_packets(list + 3, count - 3, &skip), 7);
}

TEST(never_more_than_an_ip_packet_holds)
{
    uint32_t skip = 0;

    make(true, TCP_ACK, 65000, 1400, false);
    size_t count = cut_all();
    CHECK_EQUAL(count, 47);
    CHECK_EQUAL(join_packets(list, count, &skip), 47);
    CHECK_EQUAL(get_u16(packet_data(&pieces[0]) + 2), 65052);
}
