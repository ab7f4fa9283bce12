/*
 * Reading bytes that came from outside, and writing bytes that go there.
 *
 * A reader's and a writer's error sticks: after the first read or write that does not fit, every
 * further read gives zero and every further write does nothing, so a format is read in wire order
 * and asked about once. All integers are big-endian on the wire and in host order here.
 */
#ifndef SEKISHO_BASE_BYTES_H
#define SEKISHO_BASE_BYTES_H

#include <stdbool.h>

#include "base/defs.h"

/* Borrowed bytes: the owner is whoever made them, and they must outlive the slice. */
struct slice {
    const uint8_t *data;
    size_t length;
};

#define SLICE_OF(array) ((struct slice){(const uint8_t *)(array), sizeof(array)})
/* Of a string literal, without its terminating zero. */
#define SLICE_TEXT(literal) ((struct slice){(const uint8_t *)(literal), sizeof(literal) - 1})

struct slice slice_of_text(const char *text);
MUST_USE bool slice_equal(struct slice a, struct slice b);
MUST_USE bool slice_equal_text(struct slice a, const char *text);

struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

struct reader reader_over(struct slice bytes);
/* Bytes not read yet; 0 after a failure. */
size_t reader_left(const struct reader *r);
/* True when nothing failed and nothing is left. */
MUST_USE bool reader_done(const struct reader *r);
/* True when nothing failed so far. */
MUST_USE bool reader_ok(const struct reader *r);
void reader_fail(struct reader *r);

uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u24(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/* Borrows `length` bytes; an empty slice (data NULL) on failure. */
struct slice read_bytes(struct reader *r, size_t length);
struct slice read_rest(struct reader *r);
void read_skip(struct reader *r, size_t length);
/* Copies exactly `length` bytes; fills `out` with zeros on failure. */
void read_copy(struct reader *r, uint8_t *out, size_t length);
/* A reader over the next `length` bytes, which `r` then has behind it; a failed reader when they
 * are not there. */
struct reader read_within(struct reader *r, size_t length);

struct writer {
    uint8_t *data;
    size_t capacity;
    size_t length;
    bool failed;
};

struct writer writer_over(uint8_t *data, size_t capacity);
MUST_USE bool writer_ok(const struct writer *w);
void writer_fail(struct writer *w);
/* What was written so far; empty after a failure. */
struct slice writer_written(const struct writer *w);

void write_u8(struct writer *w, uint8_t value);
void write_u16(struct writer *w, uint16_t value);
void write_u24(struct writer *w, uint32_t value);
void write_u32(struct writer *w, uint32_t value);
void write_u64(struct writer *w, uint64_t value);
void write_slice(struct writer *w, struct slice bytes);
void write_zeros(struct writer *w, size_t length);
/* Room for `length` bytes that the caller fills; NULL (and the writer failed) when it is not
 * there. */
uint8_t *write_reserve(struct writer *w, size_t length);
/* Replaces two or four bytes that were written before, at `offset` from the beginning. */
void write_u16_at(struct writer *w, size_t offset, uint16_t value);
void write_u32_at(struct writer *w, size_t offset, uint32_t value);

/* Unaligned big-endian access for the packet path, where the length is known already. */
uint16_t get_u16(const uint8_t *at);
uint32_t get_u32(const uint8_t *at);
uint64_t get_u64(const uint8_t *at);
void put_u16(uint8_t *at, uint16_t value);
void put_u32(uint8_t *at, uint32_t value);
void put_u64(uint8_t *at, uint64_t value);

#endif
