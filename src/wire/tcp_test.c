/*
 * TCP: a SYN as hosts send it, options that lie about their lengths, and the MSS at even and odd
 * places.
 */
#include "wire/tcp.h"

#include "base/random.h"
#include "tests/support/test.h"

/* 10.0.0.1:49152 > 10.0.0.2:80, SYN, MSS 1460, SACK permitted, timestamps, NOP, window scale 7. */
static const uint8_t syn[] = {0xc0, 0x00, 0x00, 0x50, 0, 0, 0, 1, 0,    0,    0, 0, 0xa0, 0x02,
                              0xff, 0xff, 0x73, 0xab, 0, 0, 2, 4, 0x05, 0xb4, 4, 2, 8,    10,
                              0,    0,    0,    1,    0, 0, 0, 0, 1,    3,    3, 7};

static const uint8_t four_a[] = {10, 0, 0, 1};
static const uint8_t four_b[] = {10, 0, 0, 2};

TEST(a_syn_is_read_with_its_options)
{
    struct tcp_head head;
    struct tcp_option option;
    static const uint8_t kinds[] = {2, 4, 8, 3};
    size_t count = 0;

    CHECK(tcp_read(SLICE_OF(syn), &head));
    CHECK(head.source == 49152 && head.destination == 80 && head.sequence == 1 &&
          head.acknowledgement == 0);
    CHECK(head.flags == TCP_SYN && head.window == 65535 && head.urgent == 0 && head.reserved == 0);
    CHECK(head.head_bytes == 40 && head.options.length == 20);
    struct reader options = reader_over(head.options);

    while (tcp_read_option(&options, &option)) {
        CHECK(count < sizeof(kinds) && option.kind == kinds[count]);
        count++;
    }
    CHECK(reader_ok(&options) && count == sizeof(kinds));
    CHECK(tcp_find_mss(SLICE_OF(syn)) == 22);
}

TEST(every_truncation_of_a_header_is_refused)
{
    struct tcp_head head;

    for (size_t length = 0; length < sizeof(syn); length++) {
        CHECK(!tcp_read((struct slice){syn, length}, &head));
        CHECK(tcp_find_mss((struct slice){syn, length}) == 0);
    }
}

TEST(a_data_offset_below_five_is_refused)
{
    uint8_t segment[sizeof(syn)];
    struct tcp_head head;

    memcpy(segment, syn, sizeof(segment));
    for (unsigned words = 0; words < 16; words++) {
        segment[12] = (uint8_t)(words << 4);
        CHECK(tcp_read(SLICE_OF(segment), &head) == (words >= 5 && words <= 10));
    }
}

TEST(what_is_written_reads_the_same)
{
    uint8_t room[60];
    struct tcp_head head;
    struct tcp_head again;

    CHECK(tcp_read(SLICE_OF(syn), &head));
    struct writer w = writer_over(room, sizeof(room));

    tcp_write(&w, &head);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(syn)));

    /* Options of three bytes are padded with END. */
    head.options.length = 3;
    w = writer_over(room, sizeof(room));
    tcp_write(&w, &head);
    CHECK(tcp_read(writer_written(&w), &again));
    CHECK(again.head_bytes == 24 && room[23] == TCP_OPTION_END);

    static const uint8_t forty_one[41];

    head.options = SLICE_OF(forty_one);
    w = writer_over(room, sizeof(room));
    tcp_write(&w, &head);
    CHECK(!writer_ok(&w));
}

TEST(an_option_that_is_too_short_or_too_long_ends_the_walk_as_an_error)
{
    static const uint8_t lengths[] = {0, 1, 5, 255};

    for (size_t i = 0; i < sizeof(lengths); i++) {
        uint8_t bytes[4] = {TCP_OPTION_MSS, lengths[i], 5, 0xb4};
        struct reader options = reader_over(SLICE_OF(bytes));
        struct tcp_option option;

        CHECK(!tcp_read_option(&options, &option));
        CHECK(!reader_ok(&options));
    }
    static const uint8_t kind_alone[] = {TCP_OPTION_NOP, TCP_OPTION_MSS};
    struct reader options = reader_over(SLICE_OF(kind_alone));
    struct tcp_option option;

    CHECK(!tcp_read_option(&options, &option) && !reader_ok(&options));
}

TEST(behind_the_end_of_the_options_nothing_is_read)
{
    static const uint8_t bytes[] = {TCP_OPTION_NOP, TCP_OPTION_END, TCP_OPTION_MSS, 4, 5, 0xb4};
    struct reader options = reader_over(SLICE_OF(bytes));
    struct tcp_option option;

    CHECK(!tcp_read_option(&options, &option));
    CHECK(reader_ok(&options));
}

TEST(the_checksum_is_the_one_made_elsewhere)
{
    struct address a = address_ipv4_bytes(four_a);
    struct address b = address_ipv4_bytes(four_b);
    uint8_t segment[sizeof(syn)];

    memcpy(segment, syn, sizeof(segment));
    CHECK(tcp_checksum_is_right(&a, &b, SLICE_OF(segment)));
    put_u16(segment + 16, 0x1111);
    CHECK(!tcp_checksum_is_right(&a, &b, SLICE_OF(segment)));
    CHECK(tcp_checksum(&a, &b, SLICE_OF(segment)) == get_u16(syn + 16));
}

TEST(a_clamped_mss_keeps_the_checksum_right_at_even_and_odd_places)
{
    struct address a = address_ipv4_bytes(four_a);
    struct address b = address_ipv4_bytes(four_b);
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);

    seeded_random_init(&seeded, 5);
    for (int round = 0; round < 5000; round++) {
        uint8_t options[8] = {1, 1, 1, 1, 1, 1, 1, 1};
        size_t place = random_below(&random, 5);
        uint16_t mss = (uint16_t)random_u32(&random);
        uint16_t most = (uint16_t)random_u32(&random);
        uint8_t room[40];
        struct writer w = writer_over(room, sizeof(room));
        struct tcp_head head = {.source = (uint16_t)random_u32(&random),
                                .destination = 80,
                                .flags = TCP_SYN | TCP_ACK,
                                .options = SLICE_OF(options)};

        options[place] = TCP_OPTION_MSS;
        options[place + 1] = 4;
        put_u16(options + place + 2, mss);
        tcp_write(&w, &head);
        put_u16(room + 16, tcp_checksum(&a, &b, writer_written(&w)));
        CHECK(tcp_clamp_mss(room, w.length, most, false) == (mss > most));
        CHECK(get_u16(room + 20 + place + 2) == (mss < most ? mss : most));
        CHECK(tcp_checksum_is_right(&a, &b, writer_written(&w)));
    }
}

TEST(only_a_syn_is_clamped_and_a_partial_checksum_is_left_alone)
{
    uint8_t segment[sizeof(syn)];

    memcpy(segment, syn, sizeof(segment));
    segment[13] = TCP_ACK;
    CHECK(!tcp_clamp_mss(segment, sizeof(segment), 1000, false));
    CHECK(get_u16(segment + 22) == 1460);
    segment[13] = TCP_SYN;
    CHECK(tcp_clamp_mss(segment, sizeof(segment), 1000, true));
    CHECK(get_u16(segment + 22) == 1000);
    CHECK(get_u16(segment + 16) == get_u16(syn + 16));
    segment[21] = 3; /* an MSS option of another length is none */
    CHECK(!tcp_clamp_mss(segment, sizeof(segment), 900, false));
}
