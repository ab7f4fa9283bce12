/*
 * A stream gives the same messages in whatever pieces it comes, nothing is read past its end, and
 * what ends it ends it for good.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "wire/ike_stream.h"

#define MESSAGES_MAX 64

struct reading {
    size_t count;
    struct slice messages[MESSAGES_MAX]; /* as places in the whole stream */
    enum ike_stream_result end;
};

/* In pieces of `piece` octets, as a receiver does that keeps what is not whole. */
static void read_all(const uint8_t *data, size_t size, bool wants_prefix, size_t piece,
                     struct reading *out)
{
    struct ike_stream stream = {.wants_prefix = wants_prefix, .message_max = 4096};
    size_t from = 0;

    *out = (struct reading){.end = IKE_STREAM_MORE};
    for (size_t there = 0; out->end == IKE_STREAM_MORE && there <= size; there += piece) {
        /* A copy of its exact size: one octet too far is found. */
        uint8_t *copy = malloc(there - from + 1);
        struct slice bytes = {copy, there - from};
        struct slice message;

        MUST(copy != NULL);
        memcpy(copy, data + from, there - from);
        do {
            size_t before = bytes.length;

            out->end = ike_stream_next(&stream, &bytes, &message);
            MUST(bytes.length <= before);
            if (out->end == IKE_STREAM_MESSAGE) {
                MUST(message.length > 0 && message.length <= 4096);
                MUST(message.data >= copy + IKE_STREAM_LENGTH_BYTES &&
                     message.data + message.length == bytes.data);
                if (out->count < MESSAGES_MAX) {
                    out->messages[out->count++] =
                        (struct slice){data + from + (size_t)(message.data - copy), message.length};
                }
            }
        } while (out->end == IKE_STREAM_MESSAGE);
        MUST(out->end != IKE_STREAM_MORE || bytes.length < IKE_STREAM_LENGTH_BYTES + 4096);
        MUST(out->end != IKE_STREAM_MORE || ike_stream_wants(&stream, bytes) > bytes.length);
        MUST((ike_stream_sentence(out->end) == NULL) == (out->end == IKE_STREAM_MORE));
        from = there - bytes.length;
        free(copy);
    }
}

FUZZ(tcp_stream, 20000)
{
    struct reading whole;
    struct reading pieces;

    if (size < 2) {
        return 0;
    }
    size_t piece = data[1] % 40u + 1;
    size_t stream_bytes = (size - 2) / piece * piece;

    read_all(data + 2, stream_bytes, (data[0] & 1) != 0, stream_bytes > 0 ? stream_bytes : 1,
             &whole);
    read_all(data + 2, stream_bytes, (data[0] & 1) != 0, piece, &pieces);
    MUST(whole.count == pieces.count && whole.end == pieces.end);
    for (size_t i = 0; i < whole.count; i++) {
        MUST(whole.messages[i].data == pieces.messages[i].data &&
             whole.messages[i].length == pieces.messages[i].length);
    }
    return 0;
}
