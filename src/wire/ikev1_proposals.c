/*
 * Decides what a Security Association payload of IKEv1 proposes (RFC 2408 3.4 to 3.6): proposals,
 * their transforms, and the attributes of those in both phases (RFC 2409 appendix A, RFC 2407 4.5).
 * What is unknown is kept with its number, so that it is never chosen and never mistaken.
 */
#include "wire/ikev1.h"

#include <assert.h>
#include <stddef.h>

#define LAST 0
#define MORE_PROPOSALS 2
#define MORE_TRANSFORMS 3
#define PROPOSAL_HEAD_BYTES 8
#define TRANSFORM_HEAD_BYTES 8

/* Attributes that are one number, and the member that keeps it. Zero is no value of any of them. */
struct number_attribute {
    uint16_t type;
    uint16_t offset;
};
#define NUMBER(type, member)                                                                       \
    {                                                                                              \
        type, offsetof(struct ikev1_wire_transform, member)                                        \
    }

static const struct number_attribute phase1_numbers[] = {
    NUMBER(IKEV1_ENCRYPTION, encryption),
    NUMBER(IKEV1_KEY_LENGTH, key_bits),
    NUMBER(IKEV1_HASH_ALGORITHM, hash),
    NUMBER(IKEV1_GROUP, group),
    NUMBER(IKEV1_AUTH_METHOD, auth_method),
    NUMBER(IKEV1_GROUP_TYPE, group_type),
    NUMBER(IKEV1_PRF, prf),
};
static const struct number_attribute phase2_numbers[] = {
    NUMBER(IKEV1_SA_KEY_LENGTH, key_bits),
    NUMBER(IKEV1_AUTH_ALGORITHM, auth_algorithm),
    NUMBER(IKEV1_ENCAPSULATION, encapsulation),
    NUMBER(IKEV1_SA_GROUP, group),
    NUMBER(IKEV1_KEY_ROUNDS, key_rounds),
    NUMBER(IKEV1_COMPRESS_DICTIONARY, compress_dictionary),
    NUMBER(IKEV1_ECN_TUNNEL, ecn_tunnel),
    NUMBER(IKEV1_ESN, esn),
};

/* What the attributes of one phase are called. */
struct attribute_table {
    const struct number_attribute *numbers;
    size_t count;
    uint16_t life_type;
    uint16_t life_duration;
};

static const struct attribute_table *table_of(uint8_t protocol)
{
    static const struct attribute_table phase1 = {
        phase1_numbers,
        ARRAY_LENGTH(phase1_numbers),
        IKEV1_LIFE_TYPE,
        IKEV1_LIFE_DURATION,
    };
    static const struct attribute_table phase2 = {
        phase2_numbers,
        ARRAY_LENGTH(phase2_numbers),
        IKEV1_SA_LIFE_TYPE,
        IKEV1_SA_LIFE_DURATION,
    };

    return protocol == IKEV1_PROTO_ISAKMP ? &phase1 : &phase2;
}

static uint16_t *number_in(struct ikev1_wire_transform *t, const struct number_attribute *number)
{
    return (uint16_t *)((uint8_t *)t + number->offset);
}

static uint16_t number_of(const struct ikev1_wire_transform *t,
                          const struct number_attribute *number)
{
    return *(const uint16_t *)((const uint8_t *)t + number->offset);
}

/* False: this phase has no such number. Twice, zero, or too long is nothing that we know. */
static bool take_number(const struct attribute_table *table, const struct ikev1_attribute *a,
                        struct ikev1_wire_transform *t)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->numbers[i].type != a->type) {
            continue;
        }
        uint16_t *at = number_in(t, &table->numbers[i]);

        if (*at != 0 || a->number == 0 || a->number > UINT16_MAX) {
            t->unknown_attribute = true;
        } else {
            *at = (uint16_t)a->number;
        }
        return true;
    }
    return false;
}

/* RFC 2409 appendix A, RFC 2407 4.5: a duration goes with the type right before it. */
static void take_duration(uint16_t *life_type, const struct ikev1_attribute *a,
                          struct ikev1_wire_transform *t)
{
    if (*life_type == IKEV1_LIFE_SECONDS && t->life_seconds == 0) {
        t->life_seconds = a->number;
    } else if (*life_type == IKEV1_LIFE_KILOBYTES && t->life_kilobytes == 0) {
        t->life_kilobytes = a->number;
    } else {
        t->unknown_attribute = true;
    }
    *life_type = 0;
}

bool ikev1_read_transform_attributes(uint8_t protocol, struct slice attributes,
                                     struct ikev1_wire_transform *out)
{
    const struct attribute_table *table = table_of(protocol);
    struct ikev1_wire_transform t = {.number = out->number, .id = out->id};
    struct reader r = reader_over(attributes);
    struct ikev1_attribute a;
    uint16_t life_type = 0;

    t.attributes = attributes;
    while (reader_left(&r) > 0 && ikev1_read_attribute(&r, &a)) {
        if (a.type == table->life_type) {
            life_type = a.number <= UINT16_MAX ? (uint16_t)a.number : 0;
        } else if (a.type == table->life_duration) {
            take_duration(&life_type, &a, &t);
        } else if (!take_number(table, &a, &t)) {
            t.unknown_attribute = true;
        }
    }
    if (!reader_done(&r)) {
        return false;
    }
    *out = t;
    return true;
}

/* "Last substructure" says the same as what is left (RFC 2408 3.5, 3.6). */
static bool more_flag_is_right(uint8_t flag, uint8_t more, const struct reader *behind)
{
    return flag == (reader_left(behind) > 0 ? more : LAST);
}

static bool read_transform(struct reader *r, uint8_t protocol, struct ikev1_wire_transform *out)
{
    uint8_t more = read_u8(r);

    read_skip(r, 1);
    uint16_t length = read_u16(r);

    if (length < TRANSFORM_HEAD_BYTES) {
        reader_fail(r);
        return false;
    }
    struct reader body = read_within(r, (size_t)length - 4);

    out->number = read_u8(&body);
    out->id = read_u8(&body);
    read_skip(&body, 2);
    struct slice attributes = read_rest(&body);

    return reader_done(&body) && more_flag_is_right(more, MORE_TRANSFORMS, r) &&
           ikev1_read_transform_attributes(protocol, attributes, out);
}

static bool read_transforms(struct reader *r, const struct ikev1_wire_proposal *p,
                            struct ikev1_sa_payload *out)
{
    for (unsigned i = 0; i < p->count; i++) {
        if (out->transform_count == IKEV1_TRANSFORMS_MAX ||
            !read_transform(r, p->protocol, &out->transforms[out->transform_count])) {
            return false;
        }
        out->transform_count++;
    }
    return reader_done(r);
}

static bool read_proposal(struct reader *r, struct ikev1_sa_payload *out,
                          struct ikev1_wire_proposal *p)
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
    return reader_ok(&body) && p->count > 0 && more_flag_is_right(more, MORE_PROPOSALS, r) &&
           read_transforms(&body, p, out);
}

/* 4.2: numbers grow, and what has the same number stands together. */
static bool numbers_are_right(const struct ikev1_sa_payload *sa)
{
    for (unsigned i = 1; i < sa->proposal_count; i++) {
        if (sa->proposals[i].number < sa->proposals[i - 1].number) {
            return false;
        }
    }
    return sa->proposal_count > 0;
}

bool ikev1_read_sa(struct slice body, struct ikev1_sa_payload *out)
{
    struct reader r = reader_over(body);

    out->proposal_count = 0;
    out->transform_count = 0;
    out->doi = read_u32(&r);
    out->situation = read_u32(&r);
    if (out->doi != IKEV1_DOI_IPSEC || out->situation != IKEV1_SIT_IDENTITY_ONLY) {
        return reader_ok(&r);
    }
    while (reader_left(&r) > 0) {
        if (out->proposal_count == IKEV1_PROPOSALS_MAX ||
            !read_proposal(&r, out, &out->proposals[out->proposal_count])) {
            return false;
        }
        out->proposal_count++;
    }
    return reader_done(&r) && numbers_are_right(out);
}

/* --- writing --- */

static void write_life(struct writer *w, const struct attribute_table *table, uint16_t life_type,
                       uint64_t duration)
{
    if (duration != 0) {
        ikev1_write_number(w, table->life_type, life_type);
        ikev1_write_number(w, table->life_duration, duration);
    }
}

void ikev1_write_transform_attributes(struct writer *w, uint8_t protocol,
                                      const struct ikev1_wire_transform *t)
{
    const struct attribute_table *table = table_of(protocol);

    if (t->attributes.length > 0) {
        write_slice(w, t->attributes);
        return;
    }
    for (size_t i = 0; i < table->count; i++) {
        uint16_t number = number_of(t, &table->numbers[i]);

        if (number != 0) {
            ikev1_write_number(w, table->numbers[i].type, number);
        }
    }
    write_life(w, table, IKEV1_LIFE_SECONDS, t->life_seconds);
    write_life(w, table, IKEV1_LIFE_KILOBYTES, t->life_kilobytes);
}

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

static void write_transform(struct writer *w, uint8_t protocol,
                            const struct ikev1_wire_transform *t, bool is_last)
{
    size_t from = w->length;

    write_u8(w, is_last ? LAST : MORE_TRANSFORMS);
    write_u8(w, 0);
    write_u16(w, 0);
    write_u8(w, t->number);
    write_u8(w, t->id);
    write_u16(w, 0);
    ikev1_write_transform_attributes(w, protocol, t);
    end_substructure(w, from);
}

static void write_proposal(struct writer *w, const struct ikev1_sa_payload *sa,
                           const struct ikev1_wire_proposal *p, bool is_last)
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
        write_transform(w, p->protocol, &sa->transforms[p->first + i], i + 1 == p->count);
    }
    end_substructure(w, from);
}

void ikev1_write_sa(struct writer *w, const struct ikev1_sa_payload *sa)
{
    assert(sa->proposal_count <= IKEV1_PROPOSALS_MAX &&
           sa->transform_count <= IKEV1_TRANSFORMS_MAX);
    write_u32(w, sa->doi);
    write_u32(w, sa->situation);
    for (unsigned i = 0; i < sa->proposal_count; i++) {
        write_proposal(w, sa, &sa->proposals[i], i + 1 == sa->proposal_count);
    }
}
