/*
 * A source of random octets that is handed in, so that tests and the simulator can replay a run.
 */
#ifndef SEKISHO_BASE_RANDOM_H
#define SEKISHO_BASE_RANDOM_H

#include "base/bytes.h"

/* `fill` never fails: the real source ends the process when the system has no entropy. */
struct random_source {
    void (*fill)(void *context, uint8_t *out, size_t length);
    void *context;
};

void random_fill(struct random_source *source, uint8_t *out, size_t length);
uint32_t random_u32(struct random_source *source);
uint64_t random_u64(struct random_source *source);
/* Uniform in 0 .. bound-1, without bias; bound > 0. */
uint32_t random_below(struct random_source *source, uint32_t bound);

/* xoshiro256** from a seed: the same seed gives the same octets for ever. For tests only. */
struct seeded_random {
    uint64_t state[4];
};

void seeded_random_init(struct seeded_random *seeded, uint64_t seed);
struct random_source seeded_random_source(struct seeded_random *seeded);

#endif
