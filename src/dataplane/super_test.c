/* Super-packets: what is cut is whole and right by an independent sum, and joining undoes cutting.
 */
#include "tests/support/test.h"

#include "base/random.h"
#include "dataplane/super.h"
#include "dataplane/super_trial.h"
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
        CHECK_EQUAL(join_packets(list, count, JOIN_TCP | JOIN_UDP, &skip), count);
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
    return join_packets(list, count, JOIN_TCP | JOIN_UDP, &skip);
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
    CHECK_EQUAL(join_packets(list, count, JOIN_TCP | JOIN_UDP, &skip), 3);
    CHECK_EQUAL(join_packets(list + 3, count - 3, JOIN_TCP | JOIN_UDP, &skip), 7);
}

TEST(never_more_than_an_ip_packet_holds)
{
    uint32_t skip = 0;

    make(true, TCP_ACK, 65000, 1400, false);
    size_t count = cut_all();
    CHECK_EQUAL(count, 47);
    CHECK_EQUAL(join_packets(list, count, JOIN_TCP | JOIN_UDP, &skip), 47);
    CHECK_EQUAL(get_u16(packet_data(&pieces[0]) + 2), 65052);
}

/* ---- random packets against a plain reference ---- */

#define ROUNDS 3000
#define PIECES_MAX 64

static struct seeded_random dice;

static uint32_t throw_below(uint32_t limit)
{
    struct random_source source = seeded_random_source(&dice);
    uint8_t bytes[4];

    random_fill(&source, bytes, sizeof(bytes));
    return get_u32(bytes) % limit;
}

struct flow {
    bool four, udp, options, extension, dont_fragment;
    uint32_t upper, head; /* where TCP or UDP begins, and where the payload does */
    uint32_t payload;
    uint16_t segment;
    uint16_t id;
    uint32_t sequence;
    uint8_t flags;
};

static void throw_flow(struct flow *f)
{
    const uint8_t flags[] = {TCP_ACK, TCP_ACK, TCP_ACK | TCP_PSH, TCP_ACK | TCP_PSH | TCP_FIN,
                             TCP_ACK | TCP_CWR};

    *f = (struct flow){
        .four = throw_below(2) != 0,
        .udp = throw_below(4) == 0,
        .options = throw_below(2) != 0,
        .extension = throw_below(8) == 0,
        .dont_fragment = throw_below(2) != 0,
        .segment = (uint16_t)(1 + throw_below(throw_below(2) != 0 ? 1460 : 60)),
        .id = (uint16_t)throw_below(65536),
        .sequence = throw_below(2) != 0 ? UINT32_MAX - throw_below(5000) : throw_below(UINT32_MAX),
        .flags = flags[throw_below(5)],
    };
    f->payload = 1 + throw_below((uint32_t)f->segment * 40);
    f->upper = (f->four ? 20 : 40) + (f->extension ? 8 : 0);
    f->head = f->upper + (f->udp ? 8 : f->options ? 32 : 20);
}

static uint8_t payload_octet(uint32_t at)
{
    return (uint8_t)(at * 31 + (at >> 8) * 7);
}

/* The packet that holds `length` octets of the payload from `from` on: written field by field. */
static uint32_t write_plain(const struct flow *f, uint8_t *out, uint32_t from, uint32_t length,
                            uint32_t number, uint8_t flags)
{
    uint32_t total = f->head + length;
    uint8_t protocol = f->udp ? 17 : 6;

    memset(out, 0, f->head);
    if (f->four) {
        out[0] = (uint8_t)(0x40 | f->upper / 4);
        out[1] = 0x02;
        put_u16(out + 2, (uint16_t)total);
        put_u16(out + 4, (uint16_t)(f->id + number));
        out[6] = f->dont_fragment ? 0x40 : 0;
        out[8] = 63;
        out[9] = protocol;
        put_u32(out + 12, 0x0a010002);
        put_u32(out + 16, 0x0a020003);
        if (f->extension) {
            memset(out + 20, 1, 8); /* no-operations */
        }
        put_u16(out + 10, (uint16_t)~plain_sum(out, f->upper, 0));
    } else {
        put_u32(out, 0x60212345);
        put_u16(out + 4, (uint16_t)(total - 40));
        out[6] = f->extension ? 60 : protocol;
        out[7] = 63;
        out[8] = 0xfd;
        out[23] = 1;
        out[24] = 0xfd;
        out[39] = 2;
        if (f->extension) {
            out[40] = protocol;
            out[42] = 1; /* PadN of four */
            out[43] = 4;
        }
    }
    uint8_t *upper = out + f->upper;
    put_u16(upper, 40000);
    put_u16(upper + 2, 443);
    if (f->udp) {
        put_u16(upper + 4, (uint16_t)(total - f->upper));
    } else {
        put_u32(upper + 4, f->sequence + from);
        put_u32(upper + 8, 0x01020304);
        upper[12] = f->options ? 0x80 : 0x50;
        upper[13] = flags;
        put_u16(upper + 14, 512);
        if (f->options) {
            put_u32(upper + 20, 0x0101080a);
            put_u32(upper + 24, 0x11223344);
            put_u32(upper + 28, 0x55667788);
        }
    }
    for (uint32_t i = 0; i < length; i++) {
        out[f->head + i] = payload_octet(from + i);
    }
    uint32_t pseudo = protocol + (total - f->upper);
    for (uint32_t i = f->four ? 12 : 8; i < (f->four ? 20u : 40u); i += 2) {
        pseudo += get_u16(out + i);
    }
    uint16_t sum = (uint16_t)~plain_sum(upper, total - f->upper, pseudo);
    put_u16(upper + (f->udp ? 6 : 16), f->udp && sum == 0 ? 0xffff : sum);
    return total;
}

static uint32_t write_reference(const struct flow *f, uint8_t *out, uint32_t number)
{
    uint32_t from = number * f->segment;
    uint32_t left = f->payload - from;
    bool last = left <= f->segment;
    uint8_t flags = f->flags;

    if (!last) {
        flags &= (uint8_t) ~(TCP_PSH | TCP_FIN);
    }
    if (number > 0) {
        flags &= (uint8_t)~TCP_CWR;
    }
    return write_plain(f, out, from, last ? left : f->segment, number, flags);
}

TEST(random_super_packets_are_cut_like_the_reference)
{
    static uint8_t expected[4096];

    seeded_random_init(&dice, 20260701);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct flow f;
        struct cut cut;
        uint32_t count = 0;

        throw_flow(&f);
        start();
        super.length = write_plain(&f, super_buffer + 128, 0, f.payload, 0, f.flags);
        super.segmentation = f.udp ? SEGMENT_UDP : SEGMENT_TCP;
        super.segment_bytes = f.segment;
        CHECK(cut_begin(&cut, &super));
        while (cut_next(&cut, &pieces[0]) == CUT_PACKET) {
            uint32_t length = write_reference(&f, expected, count);

            CHECK_EQUAL(pieces[0].length, length);
            CHECK_BYTES(packet_data(&pieces[0]), expected, length);
            count++;
        }
        CHECK_EQUAL(count, (f.payload + f.segment - 1) / f.segment);
    }
}

static void repair(struct packet *p, const struct flow *f)
{
    uint8_t *data = packet_data(p);
    struct ip_head ip;

    if (f->four) {
        put_u16(data + 10, 0);
        put_u16(data + 10, (uint16_t)~plain_sum(data, f->upper, 0));
    }
    if (!f->udp && ip_read(packet_slice(p), &ip) && ip.protocol == 6 &&
        ip.upper_offset == f->upper) {
        put_u16(data + f->upper + 16,
                tcp_checksum(&ip.source, &ip.destination,
                             (struct slice){data + f->upper, p->length - f->upper}));
    }
}

/* A burst in which something is wrong with some packets: any octet of a head, the order, one too
 * few, one twice. */
static size_t throw_burst(struct flow *f)
{
    throw_flow(f);
    start();
    uint32_t all = (f->payload + f->segment - 1) / f->segment;
    size_t count = all;

    for (uint32_t i = 0; i < all; i++) {
        pieces[i].length = write_reference(f, packet_data(&pieces[i]), i);
    }
    for (uint32_t faults = throw_below(4); faults > 0; faults--) {
        struct packet *p = &pieces[throw_below(all)];

        switch (throw_below(4)) {
        case 0:
            packet_data(p)[throw_below(f->head)] ^= (uint8_t)(1 << throw_below(8));
            if (throw_below(4) > 0) {
                repair(p, f);
            }
            break;
        case 1:
            packet_data(p)[f->upper + throw_below(f->head - f->upper)] ^= 0x10;
            repair(p, f);
            break;
        case 2: {
            size_t a = throw_below((uint32_t)count), b = throw_below((uint32_t)count);
            struct packet *one = list[a];
            list[a] = list[b];
            list[b] = one;
            break;
        }
        default: {
            size_t gone = throw_below((uint32_t)count);
            for (size_t i = gone; count > 1 && i + 1 < count; i++) {
                list[i] = list[i + 1];
            }
            count -= count > 1 ? 1 : 0;
            break;
        }
        }
    }
    return count;
}

/* Whatever is joined, cut again it is what it was, but for the identification of packets that are
 * not to be fragmented, which has no meaning. */
TEST(what_is_joined_and_cut_again_is_the_same)
{
    static uint8_t before[PIECES_MAX][4096];
    static uint32_t lengths[PIECES_MAX];
    size_t joined_bursts = 0;

    seeded_random_init(&dice, 20260702);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct flow f;
        size_t count = throw_burst(&f);

        for (size_t i = 0; i < count; i++) {
            memcpy(before[i], packet_data(list[i]), list[i]->length);
            lengths[i] = list[i]->length;
        }
        for (size_t first = 0; first < count;) {
            uint32_t skip = 0;
            size_t joined = join_packets(list + first, count - first, JOIN_TCP | JOIN_UDP, &skip);

            CHECK(joined >= 1 && joined <= count - first);
            joined_bursts += joined > 1;
            super = *list[first];
            super.buffer = super_buffer;
            super.capacity = CAPACITY;
            super.length = 0;
            for (size_t i = 0; i < joined; i++) {
                uint32_t from = i == 0 ? 0 : skip;
                CHECK(from < list[first + i]->length);
                memcpy(packet_data(&super) + super.length, packet_data(list[first + i]) + from,
                       list[first + i]->length - from);
                super.length += list[first + i]->length - from;
            }
            struct cut cut;
            struct packet piece = {
                .buffer = buffers[63], .capacity = sizeof(buffers[63]), .offset = 128};
            CHECK(cut_begin(&cut, &super));
            for (size_t i = 0; i < joined; i++) {
                CHECK_EQUAL(cut_next(&cut, &piece), CUT_PACKET);
                uint8_t *expected = before[first + i];
                if (joined > 1 && f.four && (expected[6] & 0x40) != 0) {
                    memcpy(packet_data(&piece) + 4, expected + 4, 2);
                    memcpy(packet_data(&piece) + 10, expected + 10, 2);
                }
                CHECK_EQUAL(piece.length, lengths[first + i]);
                CHECK_BYTES(packet_data(&piece), expected, piece.length);
            }
            CHECK_EQUAL(cut_next(&cut, &piece), CUT_END);
            first += joined;
        }
    }
    CHECK(joined_bursts > ROUNDS / 4);
}

static size_t joined_of_two(uint32_t first_bytes, uint32_t second_bytes)
{
    struct flow f = {.four = true, .upper = 20, .head = 40, .sequence = 7, .flags = TCP_ACK};
    uint32_t skip = 0;

    start();
    pieces[0].length = write_plain(&f, packet_data(&pieces[0]), 0, first_bytes, 0, TCP_ACK);
    pieces[1].length =
        write_plain(&f, packet_data(&pieces[1]), first_bytes, second_bytes, 1, TCP_ACK);
    return join_packets(list, 2, JOIN_TCP | JOIN_UDP, &skip);
}

/* The system cuts in equal pieces and makes no empty ones. */
TEST(longer_and_empty_ones_are_not_joined)
{
    CHECK_EQUAL(joined_of_two(1000, 1000), 2);
    CHECK_EQUAL(joined_of_two(1000, 999), 2);
    CHECK_EQUAL(joined_of_two(999, 1000), 1);
    CHECK_EQUAL(joined_of_two(1000, 0), 1);
    CHECK_EQUAL(joined_of_two(0, 1000), 1);
    CHECK_EQUAL(joined_of_two(0, 0), 1);
}

/* RFC 768: a sum of zero is written as all ones. */
TEST(a_datagram_cut_off_never_looks_as_if_it_had_no_checksum)
{
    static uint8_t whole[4096];

    for (int four = 0; four < 2; four++) {
        struct flow f = {.four = four != 0, .udp = true, .segment = 100, .payload = 200};

        f.upper = f.four ? 20 : 40;
        f.head = f.upper + 8;
        /* Two octets of each datagram make its sum what is wanted. */
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t length = write_plain(&f, whole, i * 100, 100, i, 0);
            put_u16(whole + f.head + 20, 0);
            put_u16(whole + f.upper + 6, 0);
            uint32_t pseudo = 17 + 108;
            for (uint32_t at = f.four ? 12 : 8; at < f.upper; at += 2) {
                pseudo += get_u16(whole + at);
            }
            uint16_t rest = plain_sum(whole + f.upper, length - f.upper, pseudo);
            put_u16(super_buffer + 128 + 1000 + i * 2, (uint16_t)~rest);
        }
        uint16_t fill[2] = {get_u16(super_buffer + 1128), get_u16(super_buffer + 1130)};

        start();
        super.length = write_plain(&f, super_buffer + 128, 0, 200, 0, 0);
        super.segmentation = SEGMENT_UDP;
        super.segment_bytes = 100;
        put_u16(super_buffer + 128 + f.head + 20, fill[0]);
        put_u16(super_buffer + 128 + f.head + 120, fill[1]);
        CHECK_EQUAL(cut_all(), 2);
        for (size_t i = 0; i < 2; i++) {
            CHECK_EQUAL(get_u16(packet_data(&pieces[i]) + f.upper + 6), 0xffff);
        }
    }
}

TEST(the_trial_at_the_start_is_passed)
{
    CHECK(super_is_right());
}

/* What the system does not take in one piece is written singly: the first must be itself again. */
TEST(what_was_joined_can_be_taken_back)
{
    static uint8_t before[PIECES_MAX][4096];
    size_t taken_back = 0;

    seeded_random_init(&dice, 20260703);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct flow f;
        uint32_t skip = 0;
        size_t count = throw_burst(&f);

        for (size_t i = 0; i < count; i++) {
            memcpy(before[i], packet_data(list[i]), list[i]->length);
        }
        size_t joined = join_packets(list, count, JOIN_TCP | JOIN_UDP, &skip);
        join_undo(list[0]);
        taken_back += joined > 1;
        CHECK(list[0]->segmentation == SEGMENT_NONE && list[0]->checksum_start == 0);
        for (size_t i = 0; i < joined; i++) {
            CHECK_BYTES(packet_data(list[i]), before[i], list[i]->length);
        }
    }
    CHECK(taken_back > ROUNDS / 8);
}

TEST(joining_undoes_cutting_of_datagrams)
{
    for (int four = 0; four < 2; four++) {
        uint8_t wanted[CAPACITY];
        uint32_t skip = 0;

        make(four == 1, 0, 6500, 1000, true);
        size_t count = cut_all();
        CHECK_EQUAL(count, 7);
        memcpy(wanted, packet_data(&super), super.length);
        CHECK_EQUAL(join_packets(list, count, JOIN_TCP, &skip), 1);
        CHECK_EQUAL(join_packets(list, count, JOIN_TCP | JOIN_UDP, &skip), count);
        uint32_t upper = four == 1 ? 20 : 40;
        CHECK_EQUAL(skip, upper + 8);
        CHECK_EQUAL(pieces[0].segmentation, SEGMENT_UDP);
        CHECK_EQUAL(pieces[0].segment_bytes, 1000);
        CHECK_EQUAL(pieces[0].checksum_start, upper);
        CHECK_EQUAL(pieces[0].checksum_offset, 6);
        const uint8_t *head = packet_data(&pieces[0]);
        CHECK_EQUAL(get_u16(head + upper + 4), 8 + 6500);
        CHECK(four == 0 || plain_sum(head, 20, 0) == 0xffff);
        /* The field holds the sum of the pseudo header. */
        CHECK_EQUAL(get_u16(head + upper + 6),
                    plain_sum(head + (four == 1 ? 12 : 8), four == 1 ? 8 : 32, 17 + 8 + 6500));
        for (size_t i = 0, at = upper + 8; i < count; i++) {
            uint32_t bytes = pieces[i].length - skip;
            CHECK_BYTES(packet_data(&pieces[i]) + skip, wanted + at, bytes);
            at += bytes;
        }
    }
}

/* `change` of one octet of datagram 3 of seven, and its checksum made right where `repair`. */
static size_t datagrams_joined_after(size_t offset, uint8_t change, bool repair)
{
    uint32_t skip = 0;

    make(true, 0, 6500, 1000, true);
    size_t count = cut_all();
    uint8_t *p = packet_data(&pieces[3]);
    p[offset] ^= change;
    put_u16(p + 10, 0);
    put_u16(p + 10, (uint16_t)~plain_sum(p, 20, 0));
    if (repair) {
        uint32_t upper_bytes = pieces[3].length - 20;
        put_u16(p + 26, 0);
        put_u16(p + 26,
                (uint16_t)~plain_sum(p + 20, upper_bytes, plain_sum(p + 12, 8, 17 + upper_bytes)));
    }
    return join_packets(list, count, JOIN_UDP, &skip);
}

TEST(datagrams_that_differ_in_anything_are_not_joined)
{
    CHECK_EQUAL(datagrams_joined_after(500, 0, true), 7);
    CHECK_EQUAL(datagrams_joined_after(500, 1, true), 7);
    CHECK_EQUAL(datagrams_joined_after(500, 1, false), 3); /* checksum wrong */
    CHECK_EQUAL(datagrams_joined_after(1, 1, true), 3); /* DSCP and ECN */
    CHECK_EQUAL(datagrams_joined_after(6, 0x40, true), 3); /* DF */
    CHECK_EQUAL(datagrams_joined_after(8, 1, true), 3); /* TTL */
    CHECK_EQUAL(datagrams_joined_after(15, 1, true), 3); /* source */
    CHECK_EQUAL(datagrams_joined_after(19, 1, true), 3); /* destination */
    CHECK_EQUAL(datagrams_joined_after(21, 1, true), 3); /* source port */
    CHECK_EQUAL(datagrams_joined_after(23, 1, true), 3); /* destination port */
    CHECK_EQUAL(datagrams_joined_after(25, 1, true), 3); /* length */
    CHECK_EQUAL(datagrams_joined_after(4, 1, true), 7); /* with DF the identification is nothing */
}

TEST(datagrams_without_a_checksum_are_not_joined)
{
    for (size_t at = 0; at < 7; at++) {
        uint32_t skip = 0;

        make(true, 0, 6500, 1000, true);
        size_t count = cut_all();
        put_u16(packet_data(&pieces[at]) + 26, 0);
        CHECK_EQUAL(join_packets(list, count, JOIN_UDP, &skip), at == 0 ? 1 : at);
    }
}

TEST(a_shorter_datagram_is_the_last_and_a_longer_one_begins)
{
    uint32_t skip = 0;

    make(true, 0, 6500, 1000, true);
    size_t count = cut_all();
    struct packet *shorter = list[6];
    list[6] = list[2];
    list[2] = shorter;
    CHECK_EQUAL(join_packets(list, count, JOIN_UDP, &skip), 3);
    CHECK_EQUAL(join_packets(list + 3, count - 3, JOIN_UDP, &skip), 4);
    make(true, 0, 6500, 1000, true);
    count = cut_all();
    shorter = list[6];
    list[6] = list[0];
    list[0] = shorter;
    CHECK_EQUAL(join_packets(list, count, JOIN_UDP, &skip), 1);
}
