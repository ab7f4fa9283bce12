/* AGGFRAG: both headers, all lengths of blocks, the notification. */
#include "wire/aggfrag.h"

#include "tests/support/test.h"

static const uint8_t plain[] = {0, 0, 0x01, 0x02, 0x45, 0};
/* RTT 0x2aaaab, echo delay 0x155555, transmit delay 0x0ccccd. */
static const uint8_t control[] = {1,    3,    0,    9,    0,    0,    0,    100,  0xaa,
                                  0xaa, 0xae, 0xaa, 0xaa, 0xac, 0xcc, 0xcd, 0xde, 0xad,
                                  0xbe, 0xef, 0xc0, 0xff, 0xee, 0x01, 0x60};

TEST(a_plain_header_has_an_offset_alone)
{
    struct aggfrag_head head;
    struct slice blocks;

    CHECK(aggfrag_read(SLICE_OF(plain), &head, &blocks));
    CHECK(!head.has_control && head.block_offset == 0x0102);
    CHECK(blocks.length == 2 && blocks.data == plain + 4);
    CHECK_EQUAL(aggfrag_head_bytes(&head), 4);
}

TEST(a_control_header_has_times_of_22_and_21_bits)
{
    struct aggfrag_head head;
    struct slice blocks;

    CHECK(aggfrag_read(SLICE_OF(control), &head, &blocks));
    CHECK(head.has_control && head.probing && head.congestion_experienced);
    CHECK(head.block_offset == 9 && head.loss_event_rate == 100);
    CHECK_EQUAL(head.rtt_us, 0x2aaaab);
    CHECK_EQUAL(head.echo_delay_us, 0x155555);
    CHECK_EQUAL(head.transmit_delay_us, 0x0ccccd);
    CHECK(head.value == 0xdeadbeef && head.echo == 0xc0ffee01);
    CHECK(blocks.length == 1);
}

TEST(every_truncation_of_an_aggfrag_header_is_refused)
{
    struct aggfrag_head head;
    struct slice blocks;

    for (size_t length = 0; length < AGGFRAG_HEAD_BYTES; length++) {
        CHECK(!aggfrag_read((struct slice){plain, length}, &head, &blocks));
    }
    for (size_t length = 0; length < AGGFRAG_CONTROL_HEAD_BYTES; length++) {
        CHECK(!aggfrag_read((struct slice){control, length}, &head, &blocks));
    }
    CHECK(aggfrag_read((struct slice){control, 24}, &head, &blocks) && blocks.length == 0);
}

TEST(other_subtypes_are_refused_and_reserved_bits_not_looked_at)
{
    uint8_t bytes[sizeof(control)];
    struct aggfrag_head head;
    struct slice blocks;

    memcpy(bytes, control, sizeof(bytes));
    for (unsigned subtype = 0; subtype <= UINT8_MAX; subtype++) {
        bytes[0] = (uint8_t)subtype;
        CHECK(aggfrag_read(SLICE_OF(bytes), &head, &blocks) == (subtype <= 1));
    }
    bytes[0] = 1;
    for (unsigned flags = 0; flags <= UINT8_MAX; flags++) {
        bytes[1] = (uint8_t)flags;
        CHECK(aggfrag_read(SLICE_OF(bytes), &head, &blocks));
        CHECK(head.probing == ((flags & 2) != 0));
        CHECK(head.congestion_experienced == ((flags & 1) != 0));
    }
}

static bool same(const struct aggfrag_head *a, const struct aggfrag_head *b)
{
    return a->has_control == b->has_control && a->probing == b->probing &&
           a->congestion_experienced == b->congestion_experienced &&
           a->block_offset == b->block_offset && a->loss_event_rate == b->loss_event_rate &&
           a->rtt_us == b->rtt_us && a->echo_delay_us == b->echo_delay_us &&
           a->transmit_delay_us == b->transmit_delay_us && a->value == b->value &&
           a->echo == b->echo;
}

static struct aggfrag_head written_and_read(const struct aggfrag_head *head)
{
    struct aggfrag_head again;
    struct slice blocks;
    uint8_t at[AGGFRAG_CONTROL_HEAD_BYTES];

    memset(at, 0xee, sizeof(at));
    aggfrag_write_head(at, head);
    CHECK(aggfrag_read((struct slice){at, aggfrag_head_bytes(head)}, &again, &blocks));
    CHECK(blocks.length == 0);
    return again;
}

TEST(what_was_written_reads_the_same_bit_by_bit)
{
    struct aggfrag_head head = {.block_offset = 0x8001};
    struct aggfrag_head again = written_and_read(&head);

    CHECK(same(&head, &again));
    for (unsigned bit = 0; bit < 22; bit++) {
        uint32_t delay = bit < 21 ? (uint32_t)1 << bit : 0;

        head = (struct aggfrag_head){.has_control = true,
                                     .probing = bit % 2 == 0,
                                     .congestion_experienced = bit % 3 == 0,
                                     .block_offset = (uint16_t)bit,
                                     .loss_event_rate = (uint32_t)1 << bit,
                                     .rtt_us = (uint32_t)1 << bit,
                                     .echo_delay_us = delay,
                                     .transmit_delay_us = delay ^ AGGFRAG_DELAY_US_MAX,
                                     .value = ~bit,
                                     .echo = bit};
        again = written_and_read(&head);
        CHECK(same(&head, &again));
    }
}

TEST(times_that_do_not_fit_become_the_greatest)
{
    struct aggfrag_head head = {.has_control = true,
                                .rtt_us = 0x400000,
                                .echo_delay_us = 0x200000,
                                .transmit_delay_us = UINT32_MAX};
    struct aggfrag_head again = written_and_read(&head);

    CHECK_EQUAL(again.rtt_us, 0x3fffff);
    CHECK_EQUAL(again.echo_delay_us, 0x1fffff);
    CHECK_EQUAL(again.transmit_delay_us, 0x1fffff);
}

TEST(a_block_is_told_by_its_first_four_bits_and_the_length_of_the_inner_header)
{
    uint8_t start[8] = {0};
    size_t bytes = 7;

    for (unsigned first = 0; first <= UINT8_MAX; first++) {
        start[0] = (uint8_t)first;
        put_u16(start + 2, 60);
        put_u16(start + 4, 5);
        enum aggfrag_block kind = aggfrag_block_read(SLICE_OF(start), &bytes);

        switch (first >> 4) {
        case 0:
            CHECK(kind == AGGFRAG_BLOCK_PAD && bytes == 0);
            break;
        case 4:
            CHECK(kind == ((first & 15) >= 5 ? AGGFRAG_BLOCK_PACKET : AGGFRAG_BLOCK_BAD));
            CHECK_EQUAL(bytes, (first & 15) >= 5 ? 60 : 0);
            break;
        case 6:
            CHECK(kind == AGGFRAG_BLOCK_PACKET && bytes == 45);
            break;
        default:
            CHECK(kind == AGGFRAG_BLOCK_BAD && bytes == 0);
            break;
        }
    }
}

TEST(an_ipv4_block_is_not_shorter_than_its_header)
{
    uint8_t start[4] = {0x46};
    size_t bytes;

    for (uint32_t total = 0; total <= UINT16_MAX; total++) {
        put_u16(start + 2, (uint16_t)total);
        bool good = aggfrag_block_read(SLICE_OF(start), &bytes) == AGGFRAG_BLOCK_PACKET;

        CHECK(good == (total >= 24));
        CHECK_EQUAL(bytes, good ? total : 0);
    }
}

TEST(a_block_whose_length_is_not_there_yet_is_short)
{
    static const uint8_t four[4] = {0x45, 0, 0, 20};
    static const uint8_t six[6] = {0x60, 0, 0, 0, 0, 0};
    size_t bytes;

    for (size_t length = 0; length <= 6; length++) {
        CHECK(aggfrag_block_read((struct slice){six, length}, &bytes) ==
              (length < 6 ? AGGFRAG_BLOCK_SHORT : AGGFRAG_BLOCK_PACKET));
        CHECK_EQUAL(bytes, length < 6 ? 0 : 40);
    }
    for (size_t length = 0; length <= 4; length++) {
        CHECK(aggfrag_block_read((struct slice){four, length}, &bytes) ==
              (length < 4 ? AGGFRAG_BLOCK_SHORT : AGGFRAG_BLOCK_PACKET));
    }
}

TEST(the_notification_is_one_octet_with_two_flags)
{
    struct aggfrag_use use;
    uint8_t octets[2] = {0};

    for (unsigned flags = 0; flags <= UINT8_MAX; flags++) {
        octets[0] = (uint8_t)flags;
        CHECK(aggfrag_read_use((struct slice){octets, 1}, &use));
        CHECK(use.wants_control == ((flags & 2) != 0) && use.no_fragments == ((flags & 1) != 0));
        CHECK_EQUAL(aggfrag_write_use(&use), flags & 3);
    }
    CHECK(!aggfrag_read_use((struct slice){octets, 0}, &use));
    CHECK(!aggfrag_read_use((struct slice){octets, 2}, &use));
}

TEST(aggfrag_is_described_in_a_line)
{
    char room[160];
    struct text line = text_over(room, sizeof(room));

    aggfrag_describe(SLICE_OF(plain), &line);
    CHECK_TEXT(room, "aggfrag offset 258 blocks 2");
    line = text_over(room, sizeof(room));
    aggfrag_describe(SLICE_OF(control), &line);
    CHECK_TEXT(room, "aggfrag offset 9 blocks 1 loss 1/100 rtt 2796203 delay 1398101+838861 "
                     "value deadbeef echo c0ffee01 probing congested");
    line = text_over(room, sizeof(room));
    aggfrag_describe((struct slice){control, 23}, &line);
    CHECK_TEXT(room, "not AGGFRAG, 23");
}
