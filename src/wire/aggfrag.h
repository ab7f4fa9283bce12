/* AGGFRAG_PAYLOAD (RFC 9347 6.1): inner packets side by side and in pieces in one ESP payload. */
#ifndef SEKISHO_WIRE_AGGFRAG_H
#define SEKISHO_WIRE_AGGFRAG_H

#include "base/bytes.h"
#include "base/text.h"

#define AGGFRAG_HEAD_BYTES 4 /* 6.1.1 */
#define AGGFRAG_CONTROL_HEAD_BYTES 24 /* 6.1.2 */
#define AGGFRAG_RTT_US_MAX 0x3fffff
#define AGGFRAG_DELAY_US_MAX 0x1fffff
/* An IPv6 data block tells its length within this many octets (6.1.3.2); IPv4 within four. */
#define AGGFRAG_BLOCK_START_BYTES 6

struct aggfrag_head {
    bool has_control; /* sub-type 1; without, all but block_offset is zero */
    bool probing; /* P: missing packets may be probes of the path MTU */
    bool congestion_experienced; /* E */
    uint16_t block_offset; /* octets before the first block that begins here or later */
    uint32_t loss_event_rate; /* its inverse; 0: no loss */
    uint32_t rtt_us; /* 22 bits */
    uint32_t echo_delay_us; /* 21 bits */
    uint32_t transmit_delay_us; /* 21 bits */
    uint32_t value; /* TVal */
    uint32_t echo; /* TEcho */
};

/* *blocks is what stands behind the header, maybe nothing. False when the header is not all there
 * or the sub-type is neither 0 nor 1. */
MUST_USE bool aggfrag_read(struct slice payload, struct aggfrag_head *out, struct slice *blocks);
size_t aggfrag_head_bytes(const struct aggfrag_head *head);
/* Writes aggfrag_head_bytes() octets. Times that do not fit become the greatest (6.1.2). */
void aggfrag_write_head(uint8_t at[AGGFRAG_CONTROL_HEAD_BYTES], const struct aggfrag_head *head);

/* What begins with these octets (6.1.3). */
enum aggfrag_block {
    AGGFRAG_BLOCK_PAD, /* to the end of the payload */
    AGGFRAG_BLOCK_PACKET, /* an inner packet of *bytes octets, of which some may be elsewhere */
    AGGFRAG_BLOCK_SHORT, /* too few octets to tell its length: the others are in the next payload */
    AGGFRAG_BLOCK_BAD, /* another type, or a length below that of its own header */
};
/* *bytes is at least 20, and 0 for all but a packet. */
enum aggfrag_block aggfrag_block_read(struct slice start, size_t *bytes);

/* The notification USE_AGGFRAG (6.1.4). */
struct aggfrag_use {
    bool wants_control; /* C: congestion control information must come back */
    bool no_fragments; /* D: takes no inner packet in pieces */
};
/* One octet. Its reserved bits are not looked at. */
MUST_USE bool aggfrag_read_use(struct slice data, struct aggfrag_use *out);
uint8_t aggfrag_write_use(const struct aggfrag_use *use);

/* One line: aggfrag offset 20 blocks 1000; with control behind it, times in microseconds:
 * loss 1/100 rtt 250 delay 10+20 value 00000001 echo 00000002 probing congested. */
void aggfrag_describe(struct slice payload, struct text *out);

#endif
