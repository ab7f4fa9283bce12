/* Reading and writing big-endian bytes with an error that sticks. */
#include "base/bytes.h"

#include <assert.h>
#include <string.h>

struct slice slice_of_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

bool slice_equal(struct slice a, struct slice b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

bool slice_equal_text(struct slice a, const char *text)
{
    return slice_equal(a, slice_of_text(text));
}

struct reader reader_over(struct slice bytes)
{
    return (struct reader){.at = bytes.data, .left = bytes.length, .failed = false};
}

size_t reader_left(const struct reader *r)
{
    return r->left;
}

bool reader_done(const struct reader *r)
{
    return !r->failed && r->left == 0;
}

bool reader_ok(const struct reader *r)
{
    return !r->failed;
}

void reader_fail(struct reader *r)
{
    r->failed = true;
    r->left = 0;
}

/* The next `length` bytes, or NULL when they are not there. */
static const uint8_t *reader_take(struct reader *r, size_t length)
{
    if (r->failed || length > r->left) {
        reader_fail(r);
        return NULL;
    }
    const uint8_t *at = r->at;

    if (length > 0) {
        r->at += length;
        r->left -= length;
    }
    return at;
}

uint8_t read_u8(struct reader *r)
{
    const uint8_t *at = reader_take(r, 1);

    return at == NULL ? 0 : at[0];
}

uint16_t read_u16(struct reader *r)
{
    const uint8_t *at = reader_take(r, 2);

    return at == NULL ? 0 : get_u16(at);
}

uint32_t read_u24(struct reader *r)
{
    const uint8_t *at = reader_take(r, 3);

    return at == NULL ? 0 : (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2];
}

uint32_t read_u32(struct reader *r)
{
    const uint8_t *at = reader_take(r, 4);

    return at == NULL ? 0 : get_u32(at);
}

uint64_t read_u64(struct reader *r)
{
    const uint8_t *at = reader_take(r, 8);

    return at == NULL ? 0 : get_u64(at);
}

struct slice read_bytes(struct reader *r, size_t length)
{
    const uint8_t *at = reader_take(r, length);

    return r->failed ? (struct slice){NULL, 0} : (struct slice){at, length};
}

struct slice read_rest(struct reader *r)
{
    return read_bytes(r, r->left);
}

void read_skip(struct reader *r, size_t length)
{
    (void)reader_take(r, length);
}

void read_copy(struct reader *r, uint8_t *out, size_t length)
{
    const uint8_t *at = reader_take(r, length);

    if (r->failed) {
        memset(out, 0, length);
    } else if (length > 0) {
        memcpy(out, at, length);
    }
}

struct reader read_within(struct reader *r, size_t length)
{
    const uint8_t *at = reader_take(r, length);

    if (r->failed) {
        return (struct reader){.at = NULL, .left = 0, .failed = true};
    }
    return (struct reader){.at = at, .left = length, .failed = false};
}

struct writer writer_over(uint8_t *data, size_t capacity)
{
    return (struct writer){.data = data, .capacity = capacity, .length = 0, .failed = false};
}

bool writer_ok(const struct writer *w)
{
    return !w->failed;
}

void writer_fail(struct writer *w)
{
    w->failed = true;
}

struct slice writer_written(const struct writer *w)
{
    return w->failed ? (struct slice){NULL, 0} : (struct slice){w->data, w->length};
}

uint8_t *write_reserve(struct writer *w, size_t length)
{
    if (w->failed || length > w->capacity - w->length) {
        w->failed = true;
        return NULL;
    }
    uint8_t *at = w->data + w->length;

    w->length += length;
    return at;
}

void write_u8(struct writer *w, uint8_t value)
{
    uint8_t *at = write_reserve(w, 1);

    if (at != NULL) {
        at[0] = value;
    }
}

void write_u16(struct writer *w, uint16_t value)
{
    uint8_t *at = write_reserve(w, 2);

    if (at != NULL) {
        put_u16(at, value);
    }
}

void write_u24(struct writer *w, uint32_t value)
{
    uint8_t *at = write_reserve(w, 3);

    if (at != NULL) {
        at[0] = (uint8_t)(value >> 16);
        at[1] = (uint8_t)(value >> 8);
        at[2] = (uint8_t)value;
    }
}

void write_u32(struct writer *w, uint32_t value)
{
    uint8_t *at = write_reserve(w, 4);

    if (at != NULL) {
        put_u32(at, value);
    }
}

void write_u64(struct writer *w, uint64_t value)
{
    uint8_t *at = write_reserve(w, 8);

    if (at != NULL) {
        put_u64(at, value);
    }
}

void write_slice(struct writer *w, struct slice bytes)
{
    uint8_t *at = write_reserve(w, bytes.length);

    if (at != NULL && bytes.length > 0) {
        memcpy(at, bytes.data, bytes.length);
    }
}

void write_zeros(struct writer *w, size_t length)
{
    uint8_t *at = write_reserve(w, length);

    if (at != NULL && length > 0) {
        memset(at, 0, length);
    }
}

void write_u16_at(struct writer *w, size_t offset, uint16_t value)
{
    if (w->failed) {
        return;
    }
    assert(offset + 2 <= w->length);
    put_u16(w->data + offset, value);
}

void write_u32_at(struct writer *w, size_t offset, uint32_t value)
{
    if (w->failed) {
        return;
    }
    assert(offset + 4 <= w->length);
    put_u32(w->data + offset, value);
}

uint16_t get_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

uint64_t get_u64(const uint8_t *at)
{
    return (uint64_t)get_u32(at) << 32 | get_u32(at + 4);
}

void put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void put_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

void put_u64(uint8_t *at, uint64_t value)
{
    put_u32(at, (uint32_t)(value >> 32));
    put_u32(at + 4, (uint32_t)value);
}
