/*
 * Payloads of IP-TFS of any octets in any order: whatever comes out is whole by its own header, in
 * the payloads' order, and not more than went in. Bytes: settings, then for each payload the step
 * of its sequence number (signed), flags (bit 7: time passes after it; bit 6: two octets of
 * length), length, octets.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/aggfrag_in.h"
#include "fuzz.h"
#include "wire/aggfrag.h"

#define TIME_PASSES 0x80
#define LONG_LENGTH 0x40
#define STEP_US 20000

static uint64_t took, gave;

static void take(struct aggfrag_in *in)
{
    struct slice packet;

    while (aggfrag_in_next(in, &packet)) {
        size_t bytes = 0;

        MUST(aggfrag_block_read(packet, &bytes) == AGGFRAG_BLOCK_PACKET);
        MUST(bytes == packet.length && packet.length <= AGGFRAG_PACKET_BYTES_MAX);
        /* Every octet can be read. */
        volatile uint8_t last = 0;
        for (size_t i = 0; i < packet.length; i++) {
            last = packet.data[i];
        }
        (void)last;
        gave += packet.length;
        MUST(gave <= took);
    }
}

FUZZ(aggfrag_in, 30000)
{
    static const uint16_t windows[] = {0, AGGFRAG_REORDER_OFF, 1, 7};
    struct reader r = reader_over((struct slice){data, size});
    const struct aggfrag_settings settings = {
        .enabled = true, .rate_bits = 1, .reorder_window = windows[read_u8(&r) % 4]};
    struct aggfrag_in in;
    struct aggfrag_news news;
    uint64_t sequence = 1;
    uint64_t now_us = 0;
    bool was_taken = false;

    took = 0;
    gave = 0;
    MUST(aggfrag_in_init(&in, &settings));
    while (reader_left(&r) > 0) {
        sequence += (uint64_t)(int64_t)(int8_t)read_u8(&r);
        uint8_t flags = read_u8(&r);
        size_t length = (flags & LONG_LENGTH) != 0 ? read_u16(&r) : read_u8(&r);

        length = length > reader_left(&r) ? reader_left(&r) : length;
        /* Of its own, so that one octet too far is seen. */
        uint8_t *payload = malloc(length > 0 ? length : 1);

        MUST(payload != NULL);
        read_copy(&r, payload, length);
        enum aggfrag_arrival arrival =
            aggfrag_in_push(&in, sequence, (struct slice){payload, length}, now_us);

        took += arrival == AGGFRAG_TAKEN ? length : 0;
        was_taken = was_taken || arrival == AGGFRAG_TAKEN;
        take(&in);
        MUST(arrival != AGGFRAG_LATE || in.counters.late > 0);
        free(payload);
        if ((flags & TIME_PASSES) != 0) {
            now_us += STEP_US;
            aggfrag_in_time(&in, now_us);
            take(&in);
        }
        MUST(aggfrag_in_next_us(&in) > now_us);
    }
    if (aggfrag_in_news(&in, &news)) {
        /* It may still wait for the one before it. */
        MUST(was_taken);
    }
    MUST(in.counters.packet_bytes == gave);
    aggfrag_in_fini(&in);
    return 0;
}
