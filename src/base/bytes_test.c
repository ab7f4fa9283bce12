/* The reader and the writer against the smallest cases at every boundary. */
#include "base/bytes.h"

#include "tests/support/test.h"

static const uint8_t counted[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};

TEST(integers_are_read_big_endian_in_order)
{
    struct reader r = reader_over(SLICE_OF(counted));

    CHECK(read_u8(&r) == 0x01);
    CHECK(read_u16(&r) == 0x0203);
    CHECK(read_u24(&r) == 0x040506);
    CHECK(read_u32(&r) == 0x0708090a);
    CHECK(read_u64(&r) == 0x0b0c0d0e0f101112);
    CHECK(reader_done(&r));
}

TEST(a_read_past_the_end_gives_zero_and_sticks)
{
    for (size_t length = 0; length < 8; length++) {
        struct reader r = reader_over((struct slice){counted, length});

        CHECK(read_u64(&r) == 0);
        CHECK(!reader_ok(&r));
        CHECK(!reader_done(&r));
        CHECK(reader_left(&r) == 0);
        CHECK(read_u8(&r) == 0);
        CHECK(read_bytes(&r, 0).data == NULL);
        CHECK(!reader_ok(&r));
    }
}

TEST(a_length_near_the_largest_does_not_wrap)
{
    struct reader r = reader_over(SLICE_OF(counted));

    read_skip(&r, 1);
    CHECK(read_bytes(&r, SIZE_MAX).length == 0);
    CHECK(!reader_ok(&r));

    uint8_t room[4];
    struct writer w = writer_over(room, sizeof(room));

    write_u8(&w, 1);
    CHECK(write_reserve(&w, SIZE_MAX) == NULL);
    CHECK(!writer_ok(&w));
}

TEST(a_reader_within_takes_its_bytes_from_the_outer_one)
{
    struct reader r = reader_over(SLICE_OF(counted));
    struct reader inner = read_within(&r, 4);

    CHECK(read_u8(&r) == 5);
    CHECK(read_u32(&inner) == 0x01020304);
    CHECK(reader_done(&inner));
    CHECK(read_u8(&inner) == 0);
    CHECK(!reader_ok(&inner));
    CHECK(reader_ok(&r));

    struct reader beyond = read_within(&r, 100);

    CHECK(!reader_ok(&beyond));
    CHECK(!reader_ok(&r));
}

TEST(a_failed_copy_leaves_zeros)
{
    uint8_t out[4] = {9, 9, 9, 9};
    static const uint8_t zeros[4];
    struct reader r = reader_over((struct slice){counted, 3});

    read_copy(&r, out, sizeof(out));
    CHECK_BYTES(out, zeros, sizeof(out));
}

TEST(an_empty_slice_without_data_can_be_read_written_and_compared)
{
    struct slice nothing = {NULL, 0};
    struct reader r = reader_over(nothing);
    uint8_t room[1];
    struct writer w = writer_over(room, 0);

    CHECK(reader_done(&r));
    CHECK(read_rest(&r).length == 0);
    read_copy(&r, room, 0);
    CHECK(reader_done(&r));
    write_slice(&w, nothing);
    write_zeros(&w, 0);
    CHECK(writer_ok(&w));
    CHECK(slice_equal(nothing, (struct slice){counted, 0}));
    CHECK(!slice_equal(nothing, (struct slice){counted, 1}));
    CHECK(slice_equal_text(SLICE_TEXT("abc"), "abc"));
    CHECK(!slice_equal_text(SLICE_TEXT("abc"), "abcd"));
}

TEST(what_is_written_is_big_endian_and_can_be_replaced)
{
    uint8_t room[sizeof(counted)];
    struct writer w = writer_over(room, sizeof(room));

    write_u8(&w, 0x01);
    write_u16(&w, 0xffff);
    write_u24(&w, 0x040506);
    write_u32(&w, 0xffffffff);
    write_u64(&w, 0x0b0c0d0e0f101112);
    write_u16_at(&w, 1, 0x0203);
    write_u32_at(&w, 6, 0x0708090a);
    CHECK(writer_ok(&w));
    CHECK(slice_equal(writer_written(&w), SLICE_OF(counted)));
}

TEST(a_write_that_does_not_fit_sticks_and_writes_nothing_beyond)
{
    uint8_t room[5] = {0, 0, 0, 0, 0xee};
    struct writer w = writer_over(room, 4);

    write_u24(&w, 1);
    write_u16(&w, 2);
    CHECK(!writer_ok(&w));
    write_u8(&w, 3);
    CHECK(room[3] == 0);
    CHECK(room[4] == 0xee);
    CHECK(writer_written(&w).length == 0);
    write_u16_at(&w, 0, 7);
    CHECK(room[1] == 0);
}

TEST(unaligned_access_gives_back_what_was_put)
{
    uint8_t room[9];

    put_u16(room + 1, 0xa1b2);
    CHECK(get_u16(room + 1) == 0xa1b2);
    CHECK(room[1] == 0xa1);
    put_u32(room + 1, 0xa1b2c3d4);
    CHECK(get_u32(room + 1) == 0xa1b2c3d4);
    CHECK(room[4] == 0xd4);
    put_u64(room + 1, 0xa1b2c3d4e5f60718);
    CHECK(get_u64(room + 1) == 0xa1b2c3d4e5f60718);
    CHECK(room[8] == 0x18);
}
