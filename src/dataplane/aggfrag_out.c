/* The sending side of IP-TFS: queue, payloads, pace. */
#include "dataplane/aggfrag_out.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/aggfrag.h"
#include "wire/ip.h"

/* Small packets: so many octets of the queue for one place in the list of lengths. */
#define QUEUE_BYTES_A_PACKET 64
/* Without a configured rate congestion control ends here: 64 Gbit/s of packets of 1,000 octets. */
#define RATE_BITS_MOST UINT64_C(64000000000)

static uint32_t queue_bytes_of(const struct aggfrag_settings *settings)
{
    if (settings->queue_bytes > 0) {
        return settings->queue_bytes;
    }
    uint64_t bytes = settings->rate_bits / 8 / 10;

    if (settings->rate_bits == 0 || bytes > AGGFRAG_QUEUE_BYTES_MAX) {
        return AGGFRAG_QUEUE_BYTES_MAX;
    }
    return bytes < AGGFRAG_QUEUE_BYTES_MIN ? AGGFRAG_QUEUE_BYTES_MIN : (uint32_t)bytes;
}

static bool says_congestion(const struct aggfrag_out *out)
{
    return out->settings.congestion_control || out->settings.congestion_reports;
}

static size_t head_bytes(const struct aggfrag_out *out)
{
    return says_congestion(out) ? AGGFRAG_CONTROL_HEAD_BYTES : AGGFRAG_HEAD_BYTES;
}

static double packets_a_second(const struct aggfrag_out *out, uint64_t rate_bits)
{
    return (double)rate_bits / 8 / out->outer_bytes;
}

static void set_rate_bounds(struct aggfrag_out *out)
{
    const struct aggfrag_settings *s = &out->settings;
    double most = packets_a_second(out, s->rate_bits > 0 ? s->rate_bits : RATE_BITS_MOST);
    double least = s->rate_bits_min > 0 ? packets_a_second(out, s->rate_bits_min) : 1;

    out->tfrc.packet_bytes = out->outer_bytes;
    out->tfrc.rate_max = most;
    out->tfrc.rate_min = least < most ? least : most;
}

static uint64_t rate_bits_now(const struct aggfrag_out *out)
{
    if (!out->settings.congestion_control) {
        return out->settings.rate_bits;
    }
    double bits = out->tfrc.rate * out->outer_bytes * 8;

    return bits < 1 ? 1 : (uint64_t)bits;
}

static void set_sizes(struct aggfrag_out *out, uint32_t outer_bytes, uint32_t payload_bytes)
{
    assert(payload_bytes < outer_bytes && outer_bytes <= UINT16_MAX);
    assert(payload_bytes >= head_bytes(out) + AGGFRAG_DATA_BYTES_MIN);
    out->outer_bytes = outer_bytes;
    out->data_bytes = payload_bytes - (uint32_t)head_bytes(out);
}

bool aggfrag_out_init(struct aggfrag_out *out, const struct aggfrag_settings *settings,
                      uint32_t outer_bytes, uint32_t payload_bytes, uint64_t now_us)
{
    assert(aggfrag_settings_are_good(settings));
    *out = (struct aggfrag_out){.settings = *settings};
    set_sizes(out, outer_bytes, payload_bytes);
    out->ring_bytes = queue_bytes_of(settings);
    out->lengths_max = out->ring_bytes / QUEUE_BYTES_A_PACKET + 1;
    out->ring = malloc(out->ring_bytes);
    out->lengths = calloc(out->lengths_max, sizeof(*out->lengths));
    if (out->ring == NULL || out->lengths == NULL) {
        aggfrag_out_fini(out);
        return false;
    }
    set_rate_bounds(out);
    aggfrag_out_start(out, now_us);
    return true;
}

size_t aggfrag_out_bytes(const struct aggfrag_out *out)
{
    return out->ring_bytes + out->lengths_max * sizeof(*out->lengths);
}

void aggfrag_out_start(struct aggfrag_out *out, uint64_t now_us)
{
    tfrc_init(&out->tfrc, out->tfrc.rate_min, out->tfrc.rate_max, out->outer_bytes, now_us);
    pace_init(&out->pace, rate_bits_now(out), out->outer_bytes, now_us);
}

void aggfrag_out_fini(struct aggfrag_out *out)
{
    free(out->ring);
    free(out->lengths);
    out->ring = NULL;
    out->lengths = NULL;
}

void aggfrag_out_resize(struct aggfrag_out *out, uint32_t outer_bytes, uint32_t payload_bytes)
{
    set_sizes(out, outer_bytes, payload_bytes);
    set_rate_bounds(out);
    pace_change(&out->pace, rate_bits_now(out), outer_bytes);
}

/* --- the queue --- */

static void ring_put(struct aggfrag_out *out, const uint8_t *data, uint32_t length)
{
    uint32_t at = (out->first_at + out->used_bytes) % out->ring_bytes;
    uint32_t before_end = out->ring_bytes - at;
    uint32_t part = length < before_end ? length : before_end;

    memcpy(out->ring + at, data, part);
    memcpy(out->ring, data + part, length - part);
    out->used_bytes += length;
}

static void ring_take(struct aggfrag_out *out, uint8_t *data, uint32_t length)
{
    uint32_t before_end = out->ring_bytes - out->first_at;
    uint32_t part = length < before_end ? length : before_end;

    memcpy(data, out->ring + out->first_at, part);
    memcpy(data + part, out->ring, length - part);
    out->first_at = (out->first_at + length) % out->ring_bytes;
    out->used_bytes -= length;
}

static void ring_skip(struct aggfrag_out *out, uint32_t length)
{
    out->first_at = (out->first_at + length) % out->ring_bytes;
    out->used_bytes -= length;
}

static uint32_t first_left(const struct aggfrag_out *out)
{
    return out->lengths[out->first_length] - out->begun_bytes;
}

static void pop_first(struct aggfrag_out *out)
{
    out->first_length = (out->first_length + 1) % out->lengths_max;
    out->waiting--;
    out->begun_bytes = 0;
}

static bool length_is_that_of_ip(struct slice packet)
{
    if (packet.length < IPV4_HEAD_BYTES || packet.length > AGGFRAG_PACKET_BYTES_MAX) {
        return false;
    }
    if (packet.data[0] >> 4 == FAMILY_IPV4) {
        return get_u16(packet.data + 2) == packet.length;
    }
    return packet.data[0] >> 4 == FAMILY_IPV6 && packet.length >= IPV6_HEAD_BYTES &&
           get_u16(packet.data + 4) == packet.length - IPV6_HEAD_BYTES;
}

uint32_t aggfrag_out_packet_bytes_max(const struct aggfrag_out *out)
{
    return out->settings.dont_fragment ? out->data_bytes : AGGFRAG_PACKET_BYTES_MAX;
}

enum aggfrag_push aggfrag_out_push(struct aggfrag_out *out, struct slice packet)
{
    assert(!out->finishing);
    if (!length_is_that_of_ip(packet)) {
        return AGGFRAG_NOT_IP;
    }
    if (packet.length > aggfrag_out_packet_bytes_max(out)) {
        out->counters.too_big++;
        return AGGFRAG_TOO_BIG;
    }
    if (packet.length > out->ring_bytes - out->used_bytes || out->waiting == out->lengths_max) {
        out->counters.queue_full++;
        return AGGFRAG_QUEUE_FULL;
    }
    out->lengths[(out->first_length + out->waiting) % out->lengths_max] = (uint16_t)packet.length;
    out->waiting++;
    ring_put(out, packet.data, (uint32_t)packet.length);
    return AGGFRAG_QUEUED;
}

/* --- payloads --- */

static uint32_t at_most_u32(uint64_t value)
{
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void write_head(const struct aggfrag_out *out, uint64_t now_us, uint32_t block_offset,
                       uint8_t *payload)
{
    struct aggfrag_head head = {.block_offset = (uint16_t)block_offset};
    uint8_t bytes[AGGFRAG_CONTROL_HEAD_BYTES];

    if (says_congestion(out)) {
        const struct aggfrag_news *news = &out->news;

        head.has_control = true;
        head.loss_event_rate = news->lost_inverse;
        head.rtt_us = out->tfrc.rtt_us;
        head.transmit_delay_us = at_most_u32(pace_interval_us(&out->pace));
        head.value = (uint32_t)now_us;
        if (news->tval_arrived_us > 0) {
            head.echo = news->tval;
            head.echo_delay_us =
                now_us > news->tval_arrived_us ? at_most_u32(now_us - news->tval_arrived_us) : 0;
        }
    }
    aggfrag_write_head(bytes, &head);
    memcpy(payload, bytes, aggfrag_head_bytes(&head));
}

/* A fragment that begins a packet holds the length of its data block, so that the peer knows at
 * once how much is to come; what was begun goes on. */
static bool may_cut(const struct aggfrag_out *out, uint32_t room)
{
    return !out->settings.dont_fragment &&
           (out->begun_bytes > 0 || room >= AGGFRAG_BLOCK_START_BYTES);
}

/* RFC 9347 2.2.7: without fragments, what fitted when it was queued may not fit any more. */
static void drop_what_never_fits(struct aggfrag_out *out, uint32_t room)
{
    while (out->settings.dont_fragment && out->begun_bytes == 0 && out->waiting > 0 &&
           first_left(out) > room) {
        ring_skip(out, first_left(out));
        pop_first(out);
        out->counters.too_big++;
    }
}

/* Data blocks one after the other; returns what is filled. */
static uint32_t fill_blocks(struct aggfrag_out *out, uint8_t *data, uint32_t room)
{
    uint32_t filled = 0;

    while (out->waiting > 0 && filled < room) {
        uint32_t left = first_left(out);
        uint32_t part = left;

        if (left > room - filled) {
            if (!may_cut(out, room - filled)) {
                break;
            }
            part = room - filled;
        }
        out->counters.packets += out->begun_bytes == 0 ? 1 : 0;
        ring_take(out, data + filled, part);
        filled += part;
        out->begun_bytes += part;
        if (part == left) {
            pop_first(out);
        }
    }
    return filled;
}

static uint32_t make_payload(struct aggfrag_out *out, uint64_t now_us, uint8_t *payload,
                             size_t payload_bytes)
{
    size_t head = head_bytes(out);

    assert(payload_bytes >= head + AGGFRAG_DATA_BYTES_MIN);
    assert(payload_bytes <= UINT16_MAX);
    uint32_t room = (uint32_t)(payload_bytes - head);

    drop_what_never_fits(out, room);
    write_head(out, now_us, out->begun_bytes > 0 ? first_left(out) : 0, payload);
    uint32_t filled = fill_blocks(out, payload + head, room);

    /* RFC 9347 6.1.3.3: a pad block of zeros extends to the end. */
    memset(payload + head + filled, 0, room - filled);
    out->counters.payloads++;
    out->counters.all_pad += filled == 0 ? 1 : 0;
    out->counters.packet_bytes += filled;
    out->counters.pad_bytes += room - filled;
    return filled;
}

/* --- the rate --- */

static void follow_rate(struct aggfrag_out *out)
{
    pace_change(&out->pace, rate_bits_now(out), out->outer_bytes);
}

uint64_t aggfrag_next_us(const struct aggfrag_out *out)
{
    return out->finishing ? NEVER_US : out->pace.next_us;
}

static void spend(struct aggfrag_out *out, uint64_t now_us)
{
    if (out->settings.congestion_control && tfrc_time(&out->tfrc, now_us)) {
        follow_rate(out);
    }
    pace_spend(&out->pace, now_us);
}

uint32_t aggfrag_fill(struct aggfrag_out *out, uint64_t now_us, uint8_t *payload,
                      size_t payload_bytes)
{
    assert(!out->finishing);
    spend(out, now_us);
    return make_payload(out, now_us, payload, payload_bytes);
}

/* RFC 9347 3: the larger of what was measured and of the time between packets of both ends. False
 * when this is no measurement: nothing was echoed, or the delay was too long to be told. */
static bool round_trip(const struct aggfrag_out *out, const struct aggfrag_news *news,
                       uint32_t *rtt_us)
{
    uint32_t echoed_us = (uint32_t)news->arrived_us - news->techo;
    uint64_t both_us = pace_interval_us(&out->pace) + news->transmit_delay_us;

    if (news->techo == 0 || news->echo_delay_us >= AGGFRAG_DELAY_US_MAX ||
        echoed_us < news->echo_delay_us || echoed_us > INT32_MAX) {
        return false;
    }
    uint64_t most = echoed_us - news->echo_delay_us;

    most = most > both_us ? most : both_us;
    *rtt_us = most < 1 ? 1 : most > INT32_MAX ? INT32_MAX : (uint32_t)most;
    return true;
}

void aggfrag_out_hear(struct aggfrag_out *out, const struct aggfrag_news *news)
{
    uint32_t rtt_us = 0;
    bool newer = news->arrived_us > out->news.arrived_us;

    out->news = *news;
    if (!newer || !round_trip(out, news, &rtt_us)) {
        return;
    }
    /* The peer counts loss events by our round-trip time also when our rate is fixed. */
    tfrc_feedback(&out->tfrc, news->loss_inverse, rtt_us, news->arrived_us);
    follow_rate(out);
}

/* --- a new SA --- */

bool aggfrag_out_is_midway(const struct aggfrag_out *out)
{
    return out->begun_bytes > 0;
}

static void move_packet(struct aggfrag_out *next, const struct aggfrag_out *old, uint32_t at,
                        uint16_t length)
{
    uint32_t before_end = old->ring_bytes - at;
    uint32_t part = length < before_end ? length : before_end;

    if (length > next->ring_bytes - next->used_bytes || next->waiting == next->lengths_max) {
        next->counters.queue_full++;
        return;
    }
    next->lengths[(next->first_length + next->waiting) % next->lengths_max] = length;
    next->waiting++;
    ring_put(next, old->ring + at, part);
    ring_put(next, old->ring, length - part);
}

void aggfrag_out_take_over(struct aggfrag_out *next, struct aggfrag_out *old)
{
    assert(!next->finishing);
    assert(!old->finishing);
    uint32_t stays = old->begun_bytes > 0 ? 1 : 0;
    uint32_t stays_bytes = stays > 0 ? first_left(old) : 0;
    uint32_t at = (old->first_at + stays_bytes) % old->ring_bytes;

    for (uint32_t i = stays; i < old->waiting; i++) {
        uint16_t length = old->lengths[(old->first_length + i) % old->lengths_max];

        move_packet(next, old, at, length);
        at = (at + length) % old->ring_bytes;
    }
    old->waiting = stays;
    old->used_bytes = stays_bytes;
    old->finishing = true;
    next->news = old->news;
    next->tfrc = old->tfrc;
    set_rate_bounds(next);
    next->pace = old->pace;
    follow_rate(next);
}

void aggfrag_out_take_back(struct aggfrag_out *out, uint64_t now_us)
{
    assert(out->finishing);
    out->finishing = false;
    aggfrag_out_start(out, now_us);
}

void aggfrag_finish(struct aggfrag_out *old, struct aggfrag_out *next, uint64_t now_us,
                    uint8_t *payload, size_t payload_bytes)
{
    assert(old->finishing);
    assert(!next->finishing);
    spend(next, now_us);
    (void)make_payload(old, now_us, payload, payload_bytes);
}
