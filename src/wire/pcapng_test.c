/* Captures: octets of each block, a file read back, and all that a strict reader refuses. */
#include "wire/pcapng.h"

#include "tests/support/test.h"

static uint8_t room[4096];
static struct writer w;

static void begin_file(void)
{
    struct pcapng_interface outside = {
        .name = SLICE_TEXT("outside"), .linktype = PCAPNG_LINKTYPE_RAW, .digits = 9};

    w = writer_over(room, sizeof(room));
    pcapng_write_section(&w, SLICE_TEXT("sekisho"));
    pcapng_write_interface(&w, &outside);
}

static const struct pcapng_packet good = {
    .interface = 0,
    .time = 1700000000123456789ULL,
    .original_bytes = 1500,
    .data = {(const uint8_t *)"E1234", 5},
    .direction = PCAPNG_OUTBOUND,
    .comments = {{(const uint8_t *)"to kyoto", 8},
                 {(const uint8_t *)"\xe9\x96\xa2\xe6\x89\x80", 6}},
    .comment_count = 2,
};

static struct pcapng_reader reader_of_file(void)
{
    CHECK(writer_ok(&w));
    return pcapng_read_begin(writer_written(&w));
}

TEST(blocks_have_the_octets_of_the_draft)
{
    static const uint8_t section[] = {0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0,    40,   0x1a, 0x2b,
                                      0x3c, 0x4d, 0,    1,    0, 0, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0, 4, 0,    1,    'x',  0,
                                      0,    0,    0,    0,    0, 0, 0,    0,    0,    40};
    static const uint8_t interface[] = {0, 0,  0, 1, 0, 0, 0,   40,  0, 101, 0, 0, 0, 0,
                                        0, 96, 0, 2, 0, 2, 'i', 'n', 0, 0,   0, 9, 0, 1,
                                        6, 0,  0, 0, 0, 0, 0,   0,   0, 0,   0, 40};
    static const uint8_t packet[] = {0,   0,   0,   6,   0, 0, 0, 60, 0, 0, 0, 7, 1, 2,   3,
                                     4,   5,   6,   7,   8, 0, 0, 0,  1, 0, 0, 0, 9, 'E', 0,
                                     0,   0,   0,   2,   0, 4, 0, 0,  0, 1, 0, 1, 0, 5,   'h',
                                     'e', 'l', 'l', 'o', 0, 0, 0, 0,  0, 0, 0, 0, 0, 0,   60};
    struct pcapng_interface in = {
        .name = SLICE_TEXT("in"), .linktype = 101, .snap_bytes = 96, .digits = 6};
    struct pcapng_packet one = {.interface = 7,
                                .time = 0x0102030405060708,
                                .original_bytes = 9,
                                .data = SLICE_TEXT("E"),
                                .direction = PCAPNG_INBOUND,
                                .comments = {SLICE_TEXT("hello")},
                                .comment_count = 1};

    w = writer_over(room, sizeof(room));
    pcapng_write_section(&w, SLICE_TEXT("x"));
    CHECK(slice_equal(writer_written(&w), SLICE_OF(section)));
    w = writer_over(room, sizeof(room));
    pcapng_write_interface(&w, &in);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(interface)));
    w = writer_over(room, sizeof(room));
    pcapng_write_packet(&w, &one);
    CHECK(slice_equal(writer_written(&w), SLICE_OF(packet)));
    CHECK_EQUAL(pcapng_packet_bytes(&one), sizeof(packet));
}

static bool same_packet(const struct pcapng_packet *a, const struct pcapng_packet *b)
{
    bool same = a->interface == b->interface && a->time == b->time &&
                a->original_bytes == b->original_bytes && slice_equal(a->data, b->data) &&
                a->direction == b->direction && a->comment_count == b->comment_count;

    for (size_t i = 0; same && i < a->comment_count; i++) {
        same = slice_equal(a->comments[i], b->comments[i]);
    }
    return same;
}

TEST(a_file_reads_as_it_was_written)
{
    struct pcapng_block block;

    begin_file();
    pcapng_write_packet(&w, &good);
    struct pcapng_reader r = reader_of_file();

    CHECK(pcapng_read_block(&r, &block) && block.kind == PCAPNG_SECTION);
    CHECK(slice_equal_text(block.application, "sekisho"));
    CHECK(pcapng_read_block(&r, &block) && block.kind == PCAPNG_INTERFACE);
    CHECK(slice_equal_text(block.interface.name, "outside"));
    CHECK(block.interface.linktype == 101 && block.interface.digits == 9 &&
          block.interface.snap_bytes == 0);
    CHECK(pcapng_read_block(&r, &block) && block.kind == PCAPNG_PACKET);
    CHECK(same_packet(&block.packet, &good));
    CHECK(!pcapng_read_block(&r, &block) && reader_done(&r.bytes));
}

TEST(packets_of_all_lengths_with_all_numbers_of_comments_come_back_in_the_size_foretold)
{
    static const uint8_t bytes[40] = {0x45};
    struct pcapng_block block;

    for (size_t length = 0; length <= 40; length++) {
        for (size_t comments = 0; comments <= PCAPNG_COMMENTS_MAX; comments++) {
            struct pcapng_packet packet = {.time = length,
                                           .original_bytes = (uint32_t)(length + comments),
                                           .data = {bytes, length},
                                           .direction = (enum pcapng_direction)(length % 3),
                                           .comment_count = comments};

            for (size_t i = 0; i < comments; i++) {
                packet.comments[i] = (struct slice){(const uint8_t *)"123456", length % 7};
            }
            begin_file();
            size_t before = w.length;

            pcapng_write_packet(&w, &packet);
            CHECK_EQUAL(w.length - before, pcapng_packet_bytes(&packet));
            struct pcapng_reader r = reader_of_file();

            CHECK(pcapng_read_block(&r, &block) && pcapng_read_block(&r, &block));
            CHECK(pcapng_read_block(&r, &block) && same_packet(&block.packet, &packet));
        }
    }
}

TEST(every_truncation_of_a_file_within_a_block_is_an_error)
{
    begin_file();
    size_t interface_end = w.length;

    pcapng_write_packet(&w, &good);
    for (size_t length = 0; length <= w.length; length++) {
        struct pcapng_reader r = pcapng_read_begin((struct slice){room, length});
        struct pcapng_block block;

        while (pcapng_read_block(&r, &block)) {
        }
        CHECK(reader_done(&r.bytes) ==
              (length == 0 || length == 44 || length == interface_end || length == w.length));
    }
}

TEST(every_capacity_that_is_too_small_makes_the_writer_fail)
{
    for (size_t capacity = 0; capacity <= pcapng_packet_bytes(&good); capacity++) {
        w = writer_over(room, capacity);
        pcapng_write_packet(&w, &good);
        CHECK(writer_ok(&w) == (capacity == pcapng_packet_bytes(&good)));
    }
}

/* What follows a good beginning is an error. */
static void check_refused(void)
{
    struct pcapng_reader r = reader_of_file();
    struct pcapng_block block;

    while (pcapng_read_block(&r, &block)) {
    }
    CHECK(!reader_ok(&r.bytes));
}

TEST(what_is_not_in_order_is_refused)
{
    struct pcapng_packet packet = good;

    /* No section first; an interface that was not described; one of the section before. */
    w = writer_over(room, sizeof(room));
    pcapng_write_packet(&w, &good);
    check_refused();
    begin_file();
    packet.interface = 1;
    pcapng_write_packet(&w, &packet);
    check_refused();
    begin_file();
    pcapng_write_section(&w, SLICE_TEXT(""));
    pcapng_write_packet(&w, &good);
    check_refused();
    /* Lengths that disagree, of both ends. */
    begin_file();
    put_u32(room + 4, 48);
    check_refused();
    begin_file();
    put_u32(room + 40, 40);
    check_refused();
    /* Another byte order, another version, another block. */
    begin_file();
    put_u32(room + 8, 0x4d3c2b1a);
    check_refused();
    begin_file();
    put_u16(room + 12, 2);
    check_refused();
    begin_file();
    put_u32(room + 44, 5);
    check_refused();
}

TEST(an_interface_too_many_and_a_resolution_that_does_not_fit_are_refused)
{
    struct pcapng_interface interface = {.name = SLICE_TEXT("i"), .linktype = 101, .digits = 6};
    struct pcapng_block block;

    w = writer_over(room, sizeof(room));
    pcapng_write_section(&w, SLICE_TEXT(""));
    size_t first = w.length;

    for (size_t i = 0; i < PCAPNG_INTERFACES_MAX; i++) {
        pcapng_write_interface(&w, &interface);
    }
    struct pcapng_reader r = reader_of_file();

    while (pcapng_read_block(&r, &block)) {
    }
    CHECK(reader_done(&r.bytes));
    pcapng_write_interface(&w, &interface);
    check_refused();
    w.length = first;
    pcapng_write_interface(&w, &interface);
    CHECK(room[first + 16 + 8 + 4] == 6);
    room[first + 16 + 8 + 4] = 20;
    check_refused();
    room[first + 16 + 8 + 4] = 0x89;
    check_refused();
}

TEST(blocks_are_described_in_a_line_with_texts_escaped)
{
    char words[200];
    struct text line = text_over(words, sizeof(words));
    struct pcapng_block block = {.kind = PCAPNG_PACKET, .packet = good};

    block.packet.comments[1] = SLICE_TEXT("a\n");
    pcapng_describe(&block, &line);
    CHECK_TEXT(words, "pcapng packet interface 0 time 1700000000123456789 5 of 1500 out "
                      "\"to kyoto\" \"a\\x0a\"");
    block = (struct pcapng_block){.kind = PCAPNG_INTERFACE,
                                  .interface = {SLICE_TEXT("inside"), 101, 96, 6}};
    line = text_over(words, sizeof(words));
    pcapng_describe(&block, &line);
    CHECK_TEXT(words, "pcapng interface \"inside\" linktype 101 snap 96 digits 6");
    block = (struct pcapng_block){.kind = PCAPNG_SECTION, .application = SLICE_TEXT("x")};
    line = text_over(words, sizeof(words));
    pcapng_describe(&block, &line);
    CHECK_TEXT(words, "pcapng section by \"x\"");
}
