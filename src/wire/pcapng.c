/*
 * Decides what blocks of a capture file look like (draft-ietf-opsawg-pcapng 3 and 4), and reads
 * back what was written.
 */
#include "wire/pcapng.h"

#include <assert.h>

enum block_type {
    BLOCK_INTERFACE = 0x00000001,
    BLOCK_PACKET = 0x00000006,
    BLOCK_SECTION = 0x0a0d0d0a,
};

enum option_code {
    OPTION_END = 0,
    OPTION_COMMENT = 1,
    OPTION_PACKET_FLAGS = 2,
    OPTION_INTERFACE_NAME = 2,
    OPTION_SECTION_APPLICATION = 4,
    OPTION_INTERFACE_RESOLUTION = 9,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define VERSION_MAJOR 1
#define VERSION_MINOR 0
#define SECTION_LENGTH_UNKNOWN UINT64_MAX
#define BLOCK_AROUND_BYTES 12 /* type and length before, length behind */
#define OPTION_HEAD_BYTES 4
#define PACKET_HEAD_BYTES 20
#define FLAGS_DIRECTION 3
#define DIGITS_MAX 19 /* more do not fit 64 bits */

static size_t padded(size_t bytes)
{
    return (bytes + 3) / 4 * 4;
}

/* --- writing --- */

/* Gives where the block begins. */
static size_t begin_block(struct writer *w, uint32_t type)
{
    size_t from = w->length;

    write_u32(w, type);
    write_u32(w, 0);
    return from;
}

static void end_block(struct writer *w, size_t from)
{
    if (!writer_ok(w)) {
        return;
    }
    uint32_t length = (uint32_t)(w->length - from + 4);

    write_u32(w, length);
    if (writer_ok(w)) {
        write_u32_at(w, from + 4, length);
    }
}

static void write_padded(struct writer *w, struct slice bytes)
{
    write_slice(w, bytes);
    write_zeros(w, padded(bytes.length) - bytes.length);
}

static void write_option(struct writer *w, uint16_t code, struct slice value)
{
    assert(value.length <= UINT16_MAX);
    write_u16(w, code);
    write_u16(w, (uint16_t)value.length);
    write_padded(w, value);
}

static void write_end_of_options(struct writer *w)
{
    write_u32(w, OPTION_END);
}

void pcapng_write_section(struct writer *w, struct slice application)
{
    size_t from = begin_block(w, BLOCK_SECTION);

    write_u32(w, BYTE_ORDER_MAGIC);
    write_u16(w, VERSION_MAJOR);
    write_u16(w, VERSION_MINOR);
    write_u64(w, SECTION_LENGTH_UNKNOWN);
    if (application.length > 0) {
        write_option(w, OPTION_SECTION_APPLICATION, application);
        write_end_of_options(w);
    }
    end_block(w, from);
}

void pcapng_write_interface(struct writer *w, const struct pcapng_interface *interface)
{
    size_t from = begin_block(w, BLOCK_INTERFACE);

    assert(interface->digits <= DIGITS_MAX);
    write_u16(w, interface->linktype);
    write_u16(w, 0);
    write_u32(w, interface->snap_bytes);
    write_option(w, OPTION_INTERFACE_NAME, interface->name);
    write_option(w, OPTION_INTERFACE_RESOLUTION, (struct slice){&interface->digits, 1});
    write_end_of_options(w);
    end_block(w, from);
}

size_t pcapng_packet_bytes(const struct pcapng_packet *packet)
{
    /* Around, head, data, the flags, the end of the options. */
    size_t bytes = BLOCK_AROUND_BYTES + PACKET_HEAD_BYTES + padded(packet->data.length) +
                   OPTION_HEAD_BYTES + 4 + OPTION_HEAD_BYTES;

    for (size_t i = 0; i < packet->comment_count; i++) {
        bytes += OPTION_HEAD_BYTES + padded(packet->comments[i].length);
    }
    return bytes;
}

void pcapng_write_packet(struct writer *w, const struct pcapng_packet *packet)
{
    size_t from = begin_block(w, BLOCK_PACKET);
    uint8_t flags[4];

    assert(packet->comment_count <= PCAPNG_COMMENTS_MAX);
    assert(packet->data.length <= packet->original_bytes);
    write_u32(w, packet->interface);
    write_u64(w, packet->time);
    write_u32(w, (uint32_t)packet->data.length);
    write_u32(w, packet->original_bytes);
    write_padded(w, packet->data);
    put_u32(flags, (uint32_t)packet->direction);
    write_option(w, OPTION_PACKET_FLAGS, SLICE_OF(flags));
    for (size_t i = 0; i < packet->comment_count; i++) {
        write_option(w, OPTION_COMMENT, packet->comments[i]);
    }
    write_end_of_options(w);
    end_block(w, from);
}

/* --- reading --- */

struct option {
    uint16_t code;
    struct slice value;
};

/* False at the end of the options and at an error, when the reader has failed. The options may end
 * with the block alone. */
static bool read_option(struct reader *r, struct option *out)
{
    if (reader_left(r) == 0) {
        return false;
    }
    out->code = read_u16(r);
    size_t length = read_u16(r);

    out->value = read_bytes(r, length);
    read_skip(r, padded(length) - length);
    if (!reader_ok(r)) {
        return false;
    }
    if (out->code != OPTION_END) {
        return true;
    }
    if (length != 0 || reader_left(r) != 0) {
        reader_fail(r);
    }
    return false;
}

static bool read_section(struct reader *body, struct pcapng_block *out)
{
    struct option option;

    out->kind = PCAPNG_SECTION;
    uint32_t magic = read_u32(body);
    uint16_t major = read_u16(body);
    uint16_t minor = read_u16(body);

    read_skip(body, sizeof(uint64_t));
    if (!reader_ok(body) || magic != BYTE_ORDER_MAGIC || major != VERSION_MAJOR ||
        minor != VERSION_MINOR) {
        return false;
    }
    while (read_option(body, &option)) {
        if (option.code == OPTION_SECTION_APPLICATION) {
            if (out->application.data != NULL) {
                return false;
            }
            out->application = option.value;
        }
    }
    return reader_ok(body);
}

static bool read_interface(struct reader *body, struct pcapng_block *out)
{
    struct pcapng_interface *interface = &out->interface;
    struct option option;
    bool has_resolution = false;

    out->kind = PCAPNG_INTERFACE;
    interface->digits = 6; /* when nothing is said */
    interface->linktype = read_u16(body);
    read_skip(body, 2);
    interface->snap_bytes = read_u32(body);
    while (read_option(body, &option)) {
        if (option.code == OPTION_INTERFACE_NAME) {
            if (interface->name.data != NULL) {
                return false;
            }
            interface->name = option.value;
        } else if (option.code == OPTION_INTERFACE_RESOLUTION) {
            /* The highest bit would say that it is a power of two. */
            if (has_resolution || option.value.length != 1 || option.value.data[0] > DIGITS_MAX) {
                return false;
            }
            has_resolution = true;
            interface->digits = option.value.data[0];
        }
    }
    return reader_ok(body);
}

static bool read_packet_options(struct reader *body, struct pcapng_packet *packet)
{
    struct option option;
    bool has_flags = false;

    while (read_option(body, &option)) {
        if (option.code == OPTION_COMMENT) {
            if (packet->comment_count == PCAPNG_COMMENTS_MAX) {
                return false;
            }
            packet->comments[packet->comment_count++] = option.value;
        } else if (option.code == OPTION_PACKET_FLAGS) {
            if (has_flags || option.value.length != 4) {
                return false;
            }
            uint32_t direction = get_u32(option.value.data) & FLAGS_DIRECTION;

            if (direction > PCAPNG_OUTBOUND) {
                return false;
            }
            has_flags = true;
            packet->direction = (enum pcapng_direction)direction;
        }
    }
    return reader_ok(body);
}

static bool read_packet(struct reader *body, struct pcapng_block *out)
{
    struct pcapng_packet *packet = &out->packet;

    out->kind = PCAPNG_PACKET;
    packet->interface = read_u32(body);
    packet->time = read_u64(body);
    size_t length = read_u32(body);

    packet->original_bytes = read_u32(body);
    packet->data = read_bytes(body, length);
    if (!reader_ok(body) || length > packet->original_bytes) {
        return false;
    }
    read_skip(body, padded(length) - length);
    return reader_ok(body) && read_packet_options(body, packet);
}

/* The body between the two lengths, which must agree. */
static bool read_body(struct reader *r, uint32_t *type, struct reader *body)
{
    *type = read_u32(r);
    size_t length = read_u32(r);

    if (!reader_ok(r) || length < BLOCK_AROUND_BYTES || length % 4 != 0) {
        return false;
    }
    *body = read_within(r, length - BLOCK_AROUND_BYTES);
    return read_u32(r) == length && reader_ok(r);
}

static bool read_any(struct pcapng_reader *r, struct pcapng_block *out)
{
    struct reader body;
    uint32_t type;

    if (!read_body(&r->bytes, &type, &body)) {
        return false;
    }
    if (type == BLOCK_SECTION) {
        r->in_section = true;
        r->interfaces = 0;
        return read_section(&body, out);
    }
    if (type == BLOCK_INTERFACE) {
        return r->in_section && r->interfaces++ < PCAPNG_INTERFACES_MAX &&
               read_interface(&body, out);
    }
    return type == BLOCK_PACKET && r->in_section && read_packet(&body, out) &&
           out->packet.interface < r->interfaces;
}

struct pcapng_reader pcapng_read_begin(struct slice file)
{
    return (struct pcapng_reader){.bytes = reader_over(file)};
}

bool pcapng_read_block(struct pcapng_reader *r, struct pcapng_block *out)
{
    struct pcapng_block block = {0};

    if (reader_left(&r->bytes) == 0) {
        return false;
    }
    if (!read_any(r, &block)) {
        reader_fail(&r->bytes);
        return false;
    }
    *out = block;
    return true;
}

/* --- describing --- */

static void describe_packet(const struct pcapng_packet *packet, struct text *out)
{
    static const char *const directions[] = {"", " in", " out"};

    text_addf(out, "pcapng packet interface %u time %llu %zu of %u%s", (unsigned)packet->interface,
              (unsigned long long)packet->time, packet->data.length,
              (unsigned)packet->original_bytes, directions[packet->direction]);
    for (size_t i = 0; i < packet->comment_count; i++) {
        text_add(out, " \"");
        text_add_escaped(out, packet->comments[i]);
        text_add(out, "\"");
    }
}

void pcapng_describe(const struct pcapng_block *block, struct text *out)
{
    switch (block->kind) {
    case PCAPNG_SECTION:
        text_add(out, "pcapng section by \"");
        text_add_escaped(out, block->application);
        text_add(out, "\"");
        break;
    case PCAPNG_INTERFACE:
        text_add(out, "pcapng interface \"");
        text_add_escaped(out, block->interface.name);
        text_addf(out, "\" linktype %u snap %u digits %u", block->interface.linktype,
                  (unsigned)block->interface.snap_bytes, block->interface.digits);
        break;
    case PCAPNG_PACKET:
        describe_packet(&block->packet, out);
        break;
    }
}
