/* Streams of IKE and ESP, cut at every place, and streams that are none. */
#include "wire/ike_stream.h"

#include <string.h>

#include "tests/support/test.h"

/* IKETCP, an IKE message of 5 octets, an empty one, a keepalive, an ESP packet of 8. */
static const uint8_t stream_bytes[] = {
    'I', 'K', 'E', 'T', 'C', 'P',  0, 11, 0,    0,    0,    0, 1, 2, 3, 4,
    5,   0,   2,   0,   3,   0xff, 0, 10, 0xc0, 0xff, 0xee, 1, 0, 0, 0, 7,
};

static struct ike_stream fresh(bool wants_prefix)
{
    return (struct ike_stream){.wants_prefix = wants_prefix, .message_max = IKE_STREAM_MESSAGE_MAX};
}

/* Reads what came in two parts as a receiver does; returns how many messages there were. */
static size_t read_in_two(size_t first, size_t lengths[8])
{
    struct ike_stream stream = fresh(true);
    uint8_t kept[sizeof(stream_bytes)];
    size_t kept_bytes = 0;
    size_t count = 0;
    const size_t ends[] = {first, sizeof(stream_bytes)};
    size_t from = 0;

    for (size_t part = 0; part < 2; part++) {
        memcpy(kept + kept_bytes, stream_bytes + from, ends[part] - from);
        struct slice bytes = {kept, kept_bytes + ends[part] - from};
        struct slice message;

        while (ike_stream_next(&stream, &bytes, &message) == IKE_STREAM_MESSAGE) {
            CHECK(count < 8);
            lengths[count++] = message.length;
        }
        CHECK(bytes.length == 0 || ike_stream_wants(&stream, bytes) > bytes.length);
        memmove(kept, bytes.data, bytes.length);
        kept_bytes = bytes.length;
        from = ends[part];
    }
    CHECK_EQUAL(kept_bytes, 0);
    return count;
}

TEST(a_stream_gives_the_same_messages_wherever_it_is_cut)
{
    for (size_t first = 0; first <= sizeof(stream_bytes); first++) {
        size_t lengths[8] = {0};

        CHECK_EQUAL(read_in_two(first, lengths), 3);
        CHECK(lengths[0] == 9 && lengths[1] == 1 && lengths[2] == 8);
    }
}

TEST(whoever_opened_the_connection_gets_no_prefix)
{
    struct ike_stream stream = fresh(false);
    struct slice bytes = {stream_bytes + IKE_STREAM_PREFIX_BYTES,
                          sizeof(stream_bytes) - IKE_STREAM_PREFIX_BYTES};
    struct slice message;

    CHECK(ike_stream_next(&stream, &bytes, &message) == IKE_STREAM_MESSAGE);
    CHECK_EQUAL(message.length, 9);
    CHECK(message.data == stream_bytes + 8);
}

TEST(a_wrong_prefix_is_seen_at_its_first_wrong_octet)
{
    for (size_t wrong = 0; wrong < IKE_STREAM_PREFIX_BYTES; wrong++) {
        uint8_t copy[IKE_STREAM_PREFIX_BYTES];

        memcpy(copy, ike_stream_prefix, sizeof(copy));
        copy[wrong] ^= 0x20;
        for (size_t length = 0; length <= sizeof(copy); length++) {
            struct ike_stream stream = fresh(true);
            struct slice bytes = {copy, length};
            struct slice message;
            enum ike_stream_result result = ike_stream_next(&stream, &bytes, &message);

            CHECK(result == (length > wrong ? IKE_STREAM_NOT_IKE : IKE_STREAM_MORE));
            CHECK(stream.wants_prefix);
        }
    }
}

TEST(lengths_of_0_and_1_end_a_stream)
{
    for (uint8_t length = 0; length < 4; length++) {
        uint8_t octets[] = {0, length, 0xff, 0xff};
        struct ike_stream stream = fresh(false);
        struct slice bytes = SLICE_OF(octets);
        struct slice message;
        enum ike_stream_result result = ike_stream_next(&stream, &bytes, &message);

        if (length < 2) {
            CHECK(result == IKE_STREAM_BAD_LENGTH);
            CHECK(ike_stream_sentence(result) != NULL);
        } else if (length == 2) {
            /* Empty, and behind it the beginning of one of 65535. */
            CHECK(result == IKE_STREAM_MORE && bytes.length == 2);
            CHECK_EQUAL(ike_stream_wants(&stream, bytes), 65535);
        } else {
            CHECK(result == IKE_STREAM_MESSAGE && message.length == 1);
        }
    }
}

TEST(a_message_is_refused_for_its_length_before_it_is_there)
{
    for (size_t length = 990; length < 1010; length++) {
        uint8_t octets[2];
        struct ike_stream stream = {.message_max = 1000};
        struct slice bytes = SLICE_OF(octets);
        struct slice message;

        ike_stream_write_head(octets, length);
        CHECK(ike_stream_next(&stream, &bytes, &message) ==
              (length > 1000 ? IKE_STREAM_TOO_LONG : IKE_STREAM_MORE));
    }
}

TEST(what_was_written_is_read)
{
    static const size_t lengths[] = {1, 2, 255, 256, 1500, IKE_STREAM_MESSAGE_MAX};
    static uint8_t octets[IKE_STREAM_LENGTH_BYTES + IKE_STREAM_MESSAGE_MAX];

    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        struct ike_stream stream = fresh(false);
        struct slice bytes = {octets, IKE_STREAM_LENGTH_BYTES + lengths[i]};
        struct slice message;

        ike_stream_write_head(octets, lengths[i]);
        CHECK(ike_stream_next(&stream, &bytes, &message) == IKE_STREAM_MESSAGE);
        CHECK(message.length == lengths[i] && bytes.length == 0);
    }
}
