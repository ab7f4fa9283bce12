/*
 * Decides where messages of IKE and ESP begin and end in a TCP stream (RFC 9329 3 and 4), and when
 * a stream is none of them.
 */
#include "wire/ike_stream.h"

#include <assert.h>
#include <string.h>

const uint8_t ike_stream_prefix[IKE_STREAM_PREFIX_BYTES] = {'I', 'K', 'E', 'T', 'C', 'P'};

static void skip(struct slice *bytes, size_t count)
{
    bytes->data += count;
    bytes->length -= count;
}

/* A stream that begins otherwise is told so at its first wrong octet. */
static enum ike_stream_result take_prefix(struct ike_stream *stream, struct slice *bytes)
{
    size_t there =
        bytes->length < IKE_STREAM_PREFIX_BYTES ? bytes->length : IKE_STREAM_PREFIX_BYTES;

    if (there > 0 && memcmp(bytes->data, ike_stream_prefix, there) != 0) {
        return IKE_STREAM_NOT_IKE;
    }
    if (there == IKE_STREAM_PREFIX_BYTES) {
        skip(bytes, IKE_STREAM_PREFIX_BYTES);
        stream->wants_prefix = false;
    }
    return IKE_STREAM_MORE;
}

enum ike_stream_result ike_stream_next(struct ike_stream *stream, struct slice *bytes,
                                       struct slice *message)
{
    *message = (struct slice){NULL, 0};
    if (stream->wants_prefix) {
        enum ike_stream_result result = take_prefix(stream, bytes);

        if (result != IKE_STREAM_MORE || stream->wants_prefix) {
            return result;
        }
    }
    while (bytes->length >= IKE_STREAM_LENGTH_BYTES) {
        size_t length = get_u16(bytes->data);

        if (length < IKE_STREAM_LENGTH_BYTES) {
            return IKE_STREAM_BAD_LENGTH;
        }
        if (length - IKE_STREAM_LENGTH_BYTES > stream->message_max) {
            return IKE_STREAM_TOO_LONG;
        }
        if (length > bytes->length) {
            return IKE_STREAM_MORE;
        }
        *message =
            (struct slice){bytes->data + IKE_STREAM_LENGTH_BYTES, length - IKE_STREAM_LENGTH_BYTES};
        skip(bytes, length);
        if (message->length > 0) {
            return IKE_STREAM_MESSAGE;
        }
        /* RFC 9329 3: an empty message is ignored. */
    }
    return IKE_STREAM_MORE;
}

size_t ike_stream_wants(const struct ike_stream *stream, struct slice bytes)
{
    if (stream->wants_prefix) {
        return IKE_STREAM_PREFIX_BYTES;
    }
    return bytes.length < IKE_STREAM_LENGTH_BYTES ? IKE_STREAM_LENGTH_BYTES : get_u16(bytes.data);
}

void ike_stream_write_head(uint8_t head[IKE_STREAM_LENGTH_BYTES], size_t message_bytes)
{
    assert(message_bytes > 0 && message_bytes <= IKE_STREAM_MESSAGE_MAX);
    put_u16(head, (uint16_t)(message_bytes + IKE_STREAM_LENGTH_BYTES));
}

const char *ike_stream_sentence(enum ike_stream_result result)
{
    switch (result) {
    case IKE_STREAM_MESSAGE:
    case IKE_STREAM_MORE:
        break;
    case IKE_STREAM_NOT_IKE:
        return "it does not begin with IKETCP";
    case IKE_STREAM_BAD_LENGTH:
        return "it says a length of 0 or 1";
    case IKE_STREAM_TOO_LONG:
        return "it says a length that is too long for a message";
    }
    return NULL;
}
