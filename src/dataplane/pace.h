/*
 * When the packets of a constant rate are due: exact for ever, because the fractions of a
 * microsecond are kept. Who wakes late catches up a little; what was missed beyond that is
 * forgotten, so that no pause ends in a flood.
 */
#ifndef SEKISHO_DATAPLANE_PACE_H
#define SEKISHO_DATAPLANE_PACE_H

#include "base/defs.h"

/* What a late wake may make up for: this long and this many packets, whichever is less, but always
 * one. */
#define PACE_LATE_US 10000
#define PACE_LATE_PACKETS 64

struct pace {
    uint64_t rate_bits; /* a second */
    uint64_t packet_bits;
    uint64_t next_us;
    uint64_t remainder; /* of next_us, in units of 1/rate_bits of a microsecond */
    uint64_t forgotten; /* times that late wakes left slots out */
};

/* The first packet is due at once. rate_bits > 0, packet_bytes > 0. */
void pace_init(struct pace *pace, uint64_t rate_bits, uint32_t packet_bytes, uint64_t now_us);
/* What is due already stays due. */
void pace_change(struct pace *pace, uint64_t rate_bits, uint32_t packet_bytes);
/* A packet goes out at now_us. */
void pace_spend(struct pace *pace, uint64_t now_us);
/* Between two packets, rounded down. */
uint64_t pace_interval_us(const struct pace *pace);

#endif
