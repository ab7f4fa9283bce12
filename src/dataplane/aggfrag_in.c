/* The receiving side of IP-TFS: order, loss, and inner packets out of data blocks. */
#include "dataplane/aggfrag_in.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/aggfrag.h"
#include "wire/ip.h"

bool aggfrag_in_init(struct aggfrag_in *in, const struct aggfrag_settings *settings)
{
    assert(aggfrag_settings_are_good(settings));
    *in = (struct aggfrag_in){
        .window =
            settings->reorder_window == 0 ? AGGFRAG_REORDER_DEFAULT : settings->reorder_window,
        .lost_after_us =
            settings->lost_after_us == 0 ? AGGFRAG_LOST_AFTER_US : settings->lost_after_us,
        .expected = 1,
        .floor = 1,
    };
    if (in->window == AGGFRAG_REORDER_OFF) {
        in->window = 0;
    }
    in->held = calloc(in->window + 1, sizeof(*in->held));
    in->held_bytes = malloc((in->window + 1) * (size_t)AGGFRAG_HELD_BYTES_MAX);
    in->partial = malloc(AGGFRAG_PACKET_BYTES_MAX);
    if (in->held == NULL || in->held_bytes == NULL || in->partial == NULL) {
        aggfrag_in_fini(in);
        return false;
    }
    return true;
}

size_t aggfrag_in_bytes(const struct aggfrag_in *in)
{
    return (in->window + 1) * (sizeof(*in->held) + (size_t)AGGFRAG_HELD_BYTES_MAX) +
           AGGFRAG_PACKET_BYTES_MAX;
}

void aggfrag_in_fini(struct aggfrag_in *in)
{
    free(in->held);
    free(in->held_bytes);
    free(in->partial);
    in->held = NULL;
    in->held_bytes = NULL;
    in->partial = NULL;
}

/* --- order --- */

static struct aggfrag_held *find_held(struct aggfrag_in *in, uint64_t sequence)
{
    for (uint32_t i = 0; i <= in->window; i++) {
        if (in->held[i].sequence == sequence) {
            return &in->held[i];
        }
    }
    return NULL;
}

/* The one with the lowest number that is here, NULL when nothing is. */
static struct aggfrag_held *lowest_held(struct aggfrag_in *in)
{
    struct aggfrag_held *lowest = in->direct.sequence != 0 ? &in->direct : NULL;

    for (uint32_t i = 0; i <= in->window; i++) {
        struct aggfrag_held *held = &in->held[i];

        if (held->sequence != 0 && (lowest == NULL || held->sequence < lowest->sequence)) {
            lowest = held;
        }
    }
    return lowest;
}

/* Nothing that may still come stands before it. */
static bool need_not_wait(struct aggfrag_in *in, uint64_t sequence)
{
    for (uint64_t before = in->floor > in->expected ? in->floor : in->expected; before < sequence;
         before++) {
        if (find_held(in, before) == NULL) {
            return false;
        }
    }
    return true;
}

static void hold(struct aggfrag_in *in, struct aggfrag_held arrived)
{
    struct aggfrag_held *empty = find_held(in, 0);

    /* At most `window` numbers above the one that is missing are held, and there is one place more.
     */
    assert(empty != NULL);
    uint8_t *bytes = in->held_bytes + (size_t)(empty - in->held) * AGGFRAG_HELD_BYTES_MAX;

    memcpy(bytes, arrived.payload.data, arrived.payload.length);
    *empty = arrived;
    empty->payload.data = bytes;
}

static void hear(struct aggfrag_in *in, const struct aggfrag_head *head, uint64_t now_us)
{
    struct aggfrag_news *news = &in->news;

    /* RFC 9347 3: the same TVal once more does not change since when we have it. */
    if (news->arrived_us == 0 || news->tval != head->value) {
        news->tval = head->value;
        news->tval_arrived_us = now_us;
    }
    news->arrived_us = now_us;
    news->loss_inverse = head->loss_event_rate;
    news->techo = head->echo;
    news->echo_delay_us = head->echo_delay_us;
    news->transmit_delay_us = head->transmit_delay_us;
    in->rtt_us = head->rtt_us;
}

enum aggfrag_arrival aggfrag_in_push(struct aggfrag_in *in, uint64_t sequence, struct slice payload,
                                     uint64_t now_us)
{
    struct slice blocks;
    struct aggfrag_head head;

    assert(!in->reading);
    assert(in->direct.sequence == 0);
    if (sequence < in->expected || find_held(in, sequence) != NULL) {
        in->counters.late++;
        return AGGFRAG_LATE;
    }
    if (!aggfrag_read(payload, &head, &blocks)) {
        in->counters.malformed++;
        return payload.length > 0 && payload.data[0] > 1 ? AGGFRAG_UNKNOWN_TYPE : AGGFRAG_SHORT;
    }
    if (sequence > in->newest) {
        in->newest = sequence;
        if (head.has_control) {
            hear(in, &head, now_us);
        }
    }
    struct aggfrag_held arrived = {sequence, now_us, payload, head.probing};

    if (sequence - in->expected > in->window) {
        in->floor = sequence - in->window;
    }
    if (payload.length > AGGFRAG_HELD_BYTES_MAX) {
        in->floor = sequence;
    }
    if (need_not_wait(in, sequence)) {
        in->direct = arrived;
    } else {
        hold(in, arrived);
    }
    return AGGFRAG_TAKEN;
}

uint64_t aggfrag_in_next_us(const struct aggfrag_in *in)
{
    uint64_t oldest_us = NEVER_US;

    for (uint32_t i = 0; i <= in->window; i++) {
        const struct aggfrag_held *held = &in->held[i];

        if (held->sequence != 0 && held->arrived_us < oldest_us) {
            oldest_us = held->arrived_us;
        }
    }
    return oldest_us == NEVER_US ? NEVER_US : oldest_us + in->lost_after_us;
}

void aggfrag_in_time(struct aggfrag_in *in, uint64_t now_us)
{
    assert(!in->reading);
    assert(in->direct.sequence == 0);
    /* Nobody waits longer than that for what should have come before him. */
    for (uint32_t i = 0; i <= in->window; i++) {
        const struct aggfrag_held *held = &in->held[i];

        if (held->sequence > in->floor && now_us >= held->arrived_us + in->lost_after_us) {
            in->floor = held->sequence;
        }
    }
}

/* --- fragments --- */

static void drop_partial(struct aggfrag_in *in)
{
    in->counters.incomplete += in->have > 0 ? 1 : 0;
    in->have = 0;
    in->need = 0;
}

static void give_up(struct aggfrag_in *in, uint64_t end, const struct aggfrag_held *after)
{
    in->counters.lost += end - in->expected;
    drop_partial(in);
    /* RFC 9347 6.1.2, P: what is missing before a probe was too large, not too much. */
    if (!after->probing) {
        uint64_t before_us = in->before_us == 0 ? after->arrived_us : in->before_us;

        before_us = before_us < after->arrived_us ? before_us : after->arrived_us;
        loss_events_lost(&in->losses, in->expected, end, before_us, after->arrived_us, in->rtt_us);
    }
    in->expected = end;
}

/* RFC 9347 6.1.3: what begins with these octets; a packet longer than any that is taken is bad. */
static enum aggfrag_block read_block(struct slice start, uint32_t *bytes)
{
    size_t length = 0;
    enum aggfrag_block block = aggfrag_block_read(start, &length);

    *bytes = (uint32_t)length;
    return length > AGGFRAG_PACKET_BYTES_MAX ? AGGFRAG_BLOCK_BAD : block;
}

static void append(struct aggfrag_in *in, struct slice part)
{
    assert(part.length <= AGGFRAG_PACKET_BYTES_MAX - in->have);
    if (part.length > 0) {
        memcpy(in->partial + in->have, part.data, part.length);
    }
    in->have += (uint32_t)part.length;
}

/* RFC 9347 2.5: the block offset and the packet across the border may disagree; then the packet is
 * dropped and the offset obeyed. */
static bool partial_goes_on(const struct aggfrag_in *in, uint32_t block_offset)
{
    if (in->need == 0) {
        return block_offset > 0 && in->have + block_offset <= AGGFRAG_PACKET_BYTES_MAX;
    }
    return in->need - in->have == block_offset;
}

/* The first fragment was too short to tell how long the packet is; by the offset `left` octets are
 * to come. */
static bool late_length_is_right(struct aggfrag_in *in, uint32_t left)
{
    uint32_t bytes = 0;

    switch (read_block((struct slice){in->partial, in->have}, &bytes)) {
    case AGGFRAG_BLOCK_SHORT:
        return left > 0;
    case AGGFRAG_BLOCK_PACKET:
        in->need = bytes;
        return bytes == in->have + left;
    case AGGFRAG_BLOCK_PAD:
    case AGGFRAG_BLOCK_BAD:
        break;
    }
    return false;
}

/* The beginning of a payload, which may be the end of a packet. */
static void finish_partial(struct aggfrag_in *in, uint32_t block_offset)
{
    uint32_t available = (uint32_t)reader_left(&in->blocks);
    uint32_t part = block_offset < available ? block_offset : available;

    if (in->have == 0 || !partial_goes_on(in, block_offset)) {
        in->counters.malformed += in->have > 0 ? 1 : 0;
        drop_partial(in);
        read_skip(&in->blocks, part);
        return;
    }
    bool ends_here = part == block_offset;

    append(in, read_bytes(&in->blocks, part));
    if (in->need == 0 && !late_length_is_right(in, block_offset - part)) {
        in->counters.malformed++;
        drop_partial(in);
        return;
    }
    in->whole = ends_here;
}

/* RFC 9347 2.2.3: an all-pad payload may stand between the fragments of a packet; an empty one
 * (2.2.4) says as little. */
static bool has_no_block(const struct aggfrag_in *in, uint32_t block_offset)
{
    struct reader peek = in->blocks;

    return reader_left(&peek) == 0 || (block_offset == 0 && read_u8(&peek) >> 4 == 0);
}

static void begin_reading(struct aggfrag_in *in, struct aggfrag_held *held)
{
    struct aggfrag_head head;
    struct slice blocks;
    bool good = aggfrag_read(held->payload, &head, &blocks);

    assert(good); /* it was when it came */
    in->blocks = reader_over(blocks);
    in->current = held;
    in->reading = true;
    if (held->arrived_us > in->before_us) {
        in->before_us = held->arrived_us;
    }
    loss_events_arrived(&in->losses, held->sequence, in->before_us, in->rtt_us);
    in->counters.payloads++;
    if (has_no_block(in, head.block_offset)) {
        in->counters.all_pad++;
        (void)read_rest(&in->blocks);
        return;
    }
    finish_partial(in, head.block_offset);
}

static void stop_reading(struct aggfrag_in *in)
{
    in->expected = in->current->sequence + 1;
    in->current->sequence = 0;
    in->reading = false;
}

/* A whole packet of the payload that is being read; false when there is none any more. What is left
 * then is the beginning of one, or nothing. */
static bool read_packet(struct aggfrag_in *in, struct slice *packet)
{
    if (in->whole) {
        *packet = (struct slice){in->partial, in->have};
        in->whole = false;
        in->have = 0;
        in->need = 0;
        return true;
    }
    struct reader peek = in->blocks;
    struct slice rest = read_rest(&peek);

    uint32_t bytes = 0;

    if (rest.length == 0) {
        return false;
    }
    switch (read_block(rest, &bytes)) {
    case AGGFRAG_BLOCK_PAD:
        return false;
    case AGGFRAG_BLOCK_BAD:
        in->counters.malformed++;
        return false;
    case AGGFRAG_BLOCK_PACKET:
        if (bytes <= rest.length) {
            *packet = read_bytes(&in->blocks, bytes);
            return true;
        }
        break;
    case AGGFRAG_BLOCK_SHORT:
        break;
    }
    in->need = bytes;
    append(in, rest);
    return false;
}

/* What is next in order, if it is here; gaps below the floor are given up. */
static bool begin_next(struct aggfrag_in *in)
{
    struct aggfrag_held *lowest = lowest_held(in);

    if (lowest == NULL) {
        return false;
    }
    if (lowest->sequence > in->expected && in->floor > in->expected) {
        give_up(in, lowest->sequence < in->floor ? lowest->sequence : in->floor, lowest);
    }
    if (lowest->sequence > in->expected) {
        return false;
    }
    begin_reading(in, lowest);
    return true;
}

bool aggfrag_in_next(struct aggfrag_in *in, struct slice *packet)
{
    while (in->reading || begin_next(in)) {
        if (read_packet(in, packet)) {
            in->counters.packets++;
            in->counters.packet_bytes += packet->length;
            return true;
        }
        stop_reading(in);
    }
    return false;
}

/* --- congestion --- */

bool aggfrag_in_news(const struct aggfrag_in *in, struct aggfrag_news *news)
{
    *news = in->news;
    news->lost_inverse = loss_events_inverse(&in->losses);
    return news->arrived_us > 0;
}

void aggfrag_in_take_over(struct aggfrag_in *next, const struct aggfrag_in *old)
{
    assert(next->expected == 1);
    next->losses = old->losses;
    loss_events_renumber(&next->losses);
    next->news = old->news;
    next->rtt_us = old->rtt_us;
    next->before_us = old->before_us;
}
