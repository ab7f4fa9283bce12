/*
 * Decides what a Security Association payload proposes (RFC 7296 3.3): proposals, their
 * transforms, and the attributes of those. What is unknown is kept with its number, so that it is
 * never chosen and never mistaken.
 */
#include "wire/ikev2.h"

#include <assert.h>

#define LAST 0
#define MORE_PROPOSALS 2
#define MORE_TRANSFORMS 3
#define PROPOSAL_HEAD_BYTES 8
#define TRANSFORM_HEAD_BYTES 8
#define ATTRIBUTE_IS_SHORT 0x8000
#define ATTRIBUTE_TYPE 0x7fff
#define ATTRIBUTE_KEY_LENGTH 14

/* "Last substructure" says the same as what is left; a sender for whom they differ means something
 * that we cannot know (3.3.1, 3.3.2). */
static bool more_flag_is_right(uint8_t flag, uint8_t more, const struct reader *behind)
{
    return flag == (reader_left(behind) > 0 ? more : LAST);
}

static void read_attribute(struct reader *r, struct ikev2_wire_transform *out)
{
    uint16_t head = read_u16(r);
    uint16_t value = read_u16(r);

    /* 3.3.5: the key length has the short form; in another form, twice, or zero, it is nothing we
     * know. */
    if ((head & ATTRIBUTE_IS_SHORT) == 0) {
        read_skip(r, value);
        out->unknown_attribute = true;
    } else if ((head & ATTRIBUTE_TYPE) != ATTRIBUTE_KEY_LENGTH || value == 0 ||
               out->key_bits != 0) {
        out->unknown_attribute = true;
    } else {
        out->key_bits = value;
    }
}

static bool read_transform(struct reader *r, struct ikev2_wire_transform *out)
{
    uint8_t more = read_u8(r);

    read_skip(r, 1);
    uint16_t length = read_u16(r);

    if (length < TRANSFORM_HEAD_BYTES) {
        reader_fail(r);
        return false;
    }
    struct reader body = read_within(r, (size_t)length - 4);
    struct ikev2_wire_transform t = {0};

    t.type = read_u8(&body);
    read_skip(&body, 1);
    t.id = read_u16(&body);
    while (reader_left(&body) > 0) {
        read_attribute(&body, &t);
    }
    *out = t;
    return reader_done(&body) && more_flag_is_right(more, MORE_TRANSFORMS, r);
}

static bool read_transforms(struct reader *r, unsigned count, struct ikev2_sa_payload *out)
{
    for (unsigned i = 0; i < count; i++) {
        if (out->transform_count == IKEV2_TRANSFORMS_MAX ||
            !read_transform(r, &out->transforms[out->transform_count])) {
            return false;
        }
        out->transform_count++;
    }
    return reader_done(r);
}

static bool read_proposal(struct reader *r, struct ikev2_sa_payload *out,
                          struct ikev2_wire_proposal *p)
{
    uint8_t more = read_u8(r);

    read_skip(r, 1);
    uint16_t length = read_u16(r);

    if (length < PROPOSAL_HEAD_BYTES) {
        reader_fail(r);
        return false;
    }
    struct reader body = read_within(r, (size_t)length - 4);

    p->number = read_u8(&body);
    p->protocol = read_u8(&body);
    uint8_t spi_bytes = read_u8(&body);

    p->count = read_u8(&body);
    p->spi = read_bytes(&body, spi_bytes);
    p->first = out->transform_count;
    return reader_ok(&body) && more_flag_is_right(more, MORE_PROPOSALS, r) &&
           read_transforms(&body, p->count, out);
}

/* 3.3.1: offers count from 1 without gaps. A single proposal may be an answer, which has the
 * number of the offer. */
static bool numbers_are_right(const struct ikev2_sa_payload *sa)
{
    if (sa->proposal_count == 1) {
        return sa->proposals[0].number != 0;
    }
    for (unsigned i = 0; i < sa->proposal_count; i++) {
        if (sa->proposals[i].number != i + 1) {
            return false;
        }
    }
    return sa->proposal_count > 0;
}

bool ikev2_read_sa(struct slice body, struct ikev2_sa_payload *out)
{
    struct reader r = reader_over(body);

    out->proposal_count = 0;
    out->transform_count = 0;
    while (reader_left(&r) > 0) {
        if (out->proposal_count == IKEV2_PROPOSALS_MAX ||
            !read_proposal(&r, out, &out->proposals[out->proposal_count])) {
            return false;
        }
        out->proposal_count++;
    }
    return reader_done(&r) && numbers_are_right(out);
}

/* --- writing --- */

/* The length that stands two bytes behind `from`, where a substructure begins. */
static void end_substructure(struct writer *w, size_t from)
{
    if (!writer_ok(w)) {
        return;
    }
    if (w->length - from > UINT16_MAX) {
        writer_fail(w);
        return;
    }
    write_u16_at(w, from + 2, (uint16_t)(w->length - from));
}

static void write_transform(struct writer *w, const struct ikev2_wire_transform *t, bool is_last)
{
    size_t from = w->length;

    write_u8(w, is_last ? LAST : MORE_TRANSFORMS);
    write_u8(w, 0);
    write_u16(w, 0);
    write_u8(w, t->type);
    write_u8(w, 0);
    write_u16(w, t->id);
    if (t->key_bits != 0) {
        write_u16(w, ATTRIBUTE_IS_SHORT | ATTRIBUTE_KEY_LENGTH);
        write_u16(w, t->key_bits);
    }
    end_substructure(w, from);
}

static void write_proposal(struct writer *w, const struct ikev2_sa_payload *sa,
                           const struct ikev2_wire_proposal *p, bool is_last)
{
    size_t from = w->length;

    assert(p->spi.length <= UINT8_MAX && p->count <= UINT8_MAX);
    assert((size_t)p->first + p->count <= sa->transform_count);
    write_u8(w, is_last ? LAST : MORE_PROPOSALS);
    write_u8(w, 0);
    write_u16(w, 0);
    write_u8(w, p->number);
    write_u8(w, p->protocol);
    write_u8(w, (uint8_t)p->spi.length);
    write_u8(w, (uint8_t)p->count);
    write_slice(w, p->spi);
    for (unsigned i = 0; i < p->count; i++) {
        write_transform(w, &sa->transforms[p->first + i], i + 1 == p->count);
    }
    end_substructure(w, from);
}

void ikev2_write_sa(struct writer *w, const struct ikev2_sa_payload *sa)
{
    assert(sa->proposal_count <= IKEV2_PROPOSALS_MAX &&
           sa->transform_count <= IKEV2_TRANSFORMS_MAX);
    for (unsigned i = 0; i < sa->proposal_count; i++) {
        write_proposal(w, sa, &sa->proposals[i], i + 1 == sa->proposal_count);
    }
}
