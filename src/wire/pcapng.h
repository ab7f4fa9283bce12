/*
 * Captures in the pcapng format (draft-ietf-opsawg-pcapng): a section, its interfaces, packets with
 * a time, a direction and comments. Written big-endian, which readers tell by the magic.
 */
#ifndef SEKISHO_WIRE_PCAPNG_H
#define SEKISHO_WIRE_PCAPNG_H

#include "base/bytes.h"
#include "base/text.h"

#define PCAPNG_LINKTYPE_RAW 101 /* the packet begins with its IPv4 or IPv6 header */
#define PCAPNG_COMMENTS_MAX 4
#define PCAPNG_INTERFACES_MAX 64 /* that a reader takes */

struct pcapng_interface {
    struct slice name; /* UTF-8 */
    uint16_t linktype;
    uint32_t snap_bytes; /* 0: whole packets */
    uint8_t digits; /* of a second: 6 are microseconds, 9 nanoseconds */
};

enum pcapng_direction { PCAPNG_UNKNOWN = 0, PCAPNG_INBOUND = 1, PCAPNG_OUTBOUND = 2 };

struct pcapng_packet {
    uint32_t interface; /* in the order in which they were written, from 0 */
    uint64_t time; /* since 1970, in the unit of the interface */
    uint32_t original_bytes; /* of the packet; data may be its beginning */
    struct slice data;
    enum pcapng_direction direction;
    struct slice comments[PCAPNG_COMMENTS_MAX]; /* UTF-8, for people */
    size_t comment_count;
};

/* Each writes a whole block, or makes the writer fail. Texts have at most 65535 octets. */
void pcapng_write_section(struct writer *w, struct slice application);
void pcapng_write_interface(struct writer *w, const struct pcapng_interface *interface);
void pcapng_write_packet(struct writer *w, const struct pcapng_packet *packet);
/* What pcapng_write_packet() needs. */
size_t pcapng_packet_bytes(const struct pcapng_packet *packet);

enum pcapng_kind { PCAPNG_SECTION, PCAPNG_INTERFACE, PCAPNG_PACKET };

struct pcapng_block {
    enum pcapng_kind kind;
    struct slice application;
    struct pcapng_interface interface;
    struct pcapng_packet packet;
};

/* What a reader has to remember between blocks. */
struct pcapng_reader {
    struct reader bytes;
    bool in_section;
    uint32_t interfaces;
};

/* Strict: reads what is written here, big-endian and version 1.0. Options that it does not know are
 * passed over; other blocks, lengths that disagree, an option twice that may stand once, packets of
 * an interface that was not described, and more comments or interfaces than the bounds are errors.
 * False at the end (reader_done of .bytes) and at an error (not). */
struct pcapng_reader pcapng_read_begin(struct slice file);
MUST_USE bool pcapng_read_block(struct pcapng_reader *r, struct pcapng_block *out);

/* One line: pcapng packet interface 0 time 1700000000000000 60 of 1500 in "comment". */
void pcapng_describe(const struct pcapng_block *block, struct text *out);

#endif
