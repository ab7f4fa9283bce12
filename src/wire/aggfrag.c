/* Decides what an AGGFRAG payload says before its data blocks, and where they end (RFC 9347 6.1).
 */
#include "wire/aggfrag.h"

#include <string.h>

#include "wire/ip.h"

enum subtype { SUBTYPE_PLAIN = 0, SUBTYPE_CONTROL = 1 };

#define FLAG_PROBING 0x02
#define FLAG_CONGESTION_EXPERIENCED 0x01
#define USE_CONTROL 0x02
#define USE_NO_FRAGMENTS 0x01

#define RTT_SHIFT 42
#define ECHO_DELAY_SHIFT 21

bool aggfrag_read(struct slice payload, struct aggfrag_head *out, struct slice *blocks)
{
    struct reader r = reader_over(payload);
    struct aggfrag_head head = {0};
    uint8_t subtype = read_u8(&r);
    uint8_t flags = read_u8(&r);

    head.block_offset = read_u16(&r);
    if (subtype == SUBTYPE_CONTROL) {
        head.has_control = true;
        head.probing = (flags & FLAG_PROBING) != 0;
        head.congestion_experienced = (flags & FLAG_CONGESTION_EXPERIENCED) != 0;
        head.loss_event_rate = read_u32(&r);
        uint64_t times = read_u64(&r);

        head.rtt_us = (uint32_t)(times >> RTT_SHIFT);
        head.echo_delay_us = (uint32_t)(times >> ECHO_DELAY_SHIFT) & AGGFRAG_DELAY_US_MAX;
        head.transmit_delay_us = (uint32_t)times & AGGFRAG_DELAY_US_MAX;
        head.value = read_u32(&r);
        head.echo = read_u32(&r);
    } else if (subtype != SUBTYPE_PLAIN) {
        return false;
    }
    struct slice rest = read_rest(&r);

    if (!reader_ok(&r)) {
        return false;
    }
    *out = head;
    *blocks = rest;
    return true;
}

size_t aggfrag_head_bytes(const struct aggfrag_head *head)
{
    return head->has_control ? AGGFRAG_CONTROL_HEAD_BYTES : AGGFRAG_HEAD_BYTES;
}

static uint64_t at_most(uint32_t value, uint32_t most)
{
    return value < most ? value : most;
}

void aggfrag_write_head(uint8_t at[AGGFRAG_CONTROL_HEAD_BYTES], const struct aggfrag_head *head)
{
    at[0] = head->has_control ? SUBTYPE_CONTROL : SUBTYPE_PLAIN;
    at[1] = 0;
    put_u16(at + 2, head->block_offset);
    if (!head->has_control) {
        return;
    }
    at[1] = (uint8_t)((head->probing ? FLAG_PROBING : 0) |
                      (head->congestion_experienced ? FLAG_CONGESTION_EXPERIENCED : 0));
    put_u32(at + 4, head->loss_event_rate);
    put_u64(at + 8, at_most(head->rtt_us, AGGFRAG_RTT_US_MAX) << RTT_SHIFT |
                        at_most(head->echo_delay_us, AGGFRAG_DELAY_US_MAX) << ECHO_DELAY_SHIFT |
                        at_most(head->transmit_delay_us, AGGFRAG_DELAY_US_MAX));
    put_u32(at + 16, head->value);
    put_u32(at + 20, head->echo);
}

/* RFC 9347 6.1.3.1: the Total Length of the inner header. */
static enum aggfrag_block read_ipv4_block(struct slice start, size_t *bytes)
{
    if (start.length < 4) {
        return AGGFRAG_BLOCK_SHORT;
    }
    size_t head_bytes = (size_t)(start.data[0] & 0x0f) * 4;
    size_t total = get_u16(start.data + 2);

    if (head_bytes < IPV4_HEAD_BYTES || total < head_bytes) {
        return AGGFRAG_BLOCK_BAD;
    }
    *bytes = total;
    return AGGFRAG_BLOCK_PACKET;
}

enum aggfrag_block aggfrag_block_read(struct slice start, size_t *bytes)
{
    *bytes = 0;
    if (start.length == 0) {
        return AGGFRAG_BLOCK_SHORT;
    }
    switch (start.data[0] >> 4) {
    case 0:
        return AGGFRAG_BLOCK_PAD;
    case 4:
        return read_ipv4_block(start, bytes);
    case 6:
        if (start.length < AGGFRAG_BLOCK_START_BYTES) {
            return AGGFRAG_BLOCK_SHORT;
        }
        *bytes = IPV6_HEAD_BYTES + (size_t)get_u16(start.data + 4);
        return AGGFRAG_BLOCK_PACKET;
    default:
        return AGGFRAG_BLOCK_BAD;
    }
}

bool aggfrag_read_use(struct slice data, struct aggfrag_use *out)
{
    if (data.length != 1) {
        return false;
    }
    out->wants_control = (data.data[0] & USE_CONTROL) != 0;
    out->no_fragments = (data.data[0] & USE_NO_FRAGMENTS) != 0;
    return true;
}

uint8_t aggfrag_write_use(const struct aggfrag_use *use)
{
    return (uint8_t)((use->wants_control ? USE_CONTROL : 0) |
                     (use->no_fragments ? USE_NO_FRAGMENTS : 0));
}

void aggfrag_describe(struct slice payload, struct text *out)
{
    struct aggfrag_head head;
    struct slice blocks;

    if (!aggfrag_read(payload, &head, &blocks)) {
        text_addf(out, "not AGGFRAG, %zu", payload.length);
        return;
    }
    text_addf(out, "aggfrag offset %u blocks %zu", head.block_offset, blocks.length);
    if (!head.has_control) {
        return;
    }
    /* The field is the inverse of the rate. */
    text_addf(out, " loss %s%u rtt %u delay %u+%u value %08x echo %08x%s%s",
              head.loss_event_rate == 0 ? "" : "1/", (unsigned)head.loss_event_rate,
              (unsigned)head.rtt_us, (unsigned)head.echo_delay_us, (unsigned)head.transmit_delay_us,
              (unsigned)head.value, (unsigned)head.echo, head.probing ? " probing" : "",
              head.congestion_experienced ? " congested" : "");
}
