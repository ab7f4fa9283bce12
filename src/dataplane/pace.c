/* Pacing at a constant rate without drift. */
#include "dataplane/pace.h"

#include <assert.h>

#define SECOND_US UINT64_C(1000000)

void pace_init(struct pace *pace, uint64_t rate_bits, uint32_t packet_bytes, uint64_t now_us)
{
    *pace = (struct pace){.next_us = now_us};
    pace_change(pace, rate_bits, packet_bytes);
}

void pace_change(struct pace *pace, uint64_t rate_bits, uint32_t packet_bytes)
{
    assert(rate_bits > 0);
    assert(packet_bytes > 0 && packet_bytes <= UINT16_MAX);
    uint64_t packet_bits = (uint64_t)packet_bytes * 8;

    if (rate_bits == pace->rate_bits && packet_bits == pace->packet_bits) {
        return;
    }
    pace->rate_bits = rate_bits;
    pace->packet_bits = packet_bits;
    /* Less than a microsecond, once a change. */
    pace->remainder = 0;
}

uint64_t pace_interval_us(const struct pace *pace)
{
    return pace->packet_bits * SECOND_US / pace->rate_bits;
}

static uint64_t late_us(const struct pace *pace)
{
    uint64_t interval_us = pace_interval_us(pace);
    uint64_t packets_us = pace->packet_bits * SECOND_US * PACE_LATE_PACKETS / pace->rate_bits;
    uint64_t late = packets_us < PACE_LATE_US ? packets_us : PACE_LATE_US;

    return late > interval_us ? late : interval_us;
}

void pace_spend(struct pace *pace, uint64_t now_us)
{
    if (now_us > pace->next_us && now_us - pace->next_us > late_us(pace)) {
        pace->next_us = now_us - late_us(pace);
        pace->remainder = 0;
        pace->forgotten++;
    }
    pace->remainder += pace->packet_bits * SECOND_US;
    pace->next_us += pace->remainder / pace->rate_bits;
    pace->remainder %= pace->rate_bits;
}
