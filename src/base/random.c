/*
 * Numbers from a source of random octets, and the seeded source that lets tests replay a run.
 */
#include "base/random.h"

#include <assert.h>

#include "base/secret.h"

void random_fill(struct random_source *source, uint8_t *out, size_t length)
{
    if (length > 0) {
        source->fill(source->context, out, length);
    }
}

uint32_t random_u32(struct random_source *source)
{
    uint8_t octets[4];

    random_fill(source, octets, sizeof(octets));
    uint32_t value = get_u32(octets);

    wipe(octets, sizeof(octets));
    return value;
}

uint64_t random_u64(struct random_source *source)
{
    uint8_t octets[8];

    random_fill(source, octets, sizeof(octets));
    uint64_t value = get_u64(octets);

    wipe(octets, sizeof(octets));
    return value;
}

uint32_t random_below(struct random_source *source, uint32_t bound)
{
    assert(bound > 0);
    /* 2^32 mod bound values at the bottom would make the small results likelier: they are drawn
     * again. */
    uint32_t refused = (uint32_t)(-bound) % bound;
    uint32_t value = random_u32(source);

    while (value < refused) {
        value = random_u32(source);
    }
    return value % bound;
}

/* SplitMix64: spreads a seed, 0 included, over the state. */
static uint64_t split_mix(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ULL;
    uint64_t z = *state;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static uint64_t seeded_next(struct seeded_random *seeded)
{
    uint64_t *s = seeded->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

void seeded_random_init(struct seeded_random *seeded, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seeded->state[i] = split_mix(&seed);
    }
}

/* Eight octets of each number, lowest first; what a fill does not need of its last number is
 * thrown away. */
static void seeded_fill(void *context, uint8_t *out, size_t length)
{
    uint64_t number = 0;

    for (size_t i = 0; i < length; i++) {
        if (i % 8 == 0) {
            number = seeded_next(context);
        }
        out[i] = (uint8_t)(number >> (8 * (i % 8)));
    }
}

struct random_source seeded_random_source(struct seeded_random *seeded)
{
    return (struct random_source){.fill = seeded_fill, .context = seeded};
}
