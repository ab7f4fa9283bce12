/* Decides how the Internet checksum (RFC 1071, 1624) is made, checked and corrected. */
#include "wire/checksum.h"

#include <assert.h>
#include <string.h>

/* Four words of 64 bits that the processor adds at once, where it can. */
typedef uint64_t lanes __attribute__((vector_size(32)));
#define LANES_BYTES sizeof(lanes)

static uint64_t load_u64(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

/* Fewer than eight bytes, as if zeros followed. */
static uint64_t load_last(const uint8_t *at, size_t left)
{
    uint64_t sum = 0;

    if ((left & 4) != 0) {
        uint32_t word;

        memcpy(&word, at, sizeof(word));
        sum += word;
        at += sizeof(word);
    }
    if ((left & 2) != 0) {
        uint16_t word;

        memcpy(&word, at, sizeof(word));
        sum += word;
        at += sizeof(word);
    }
    if ((left & 1) != 0) {
        uint16_t word = 0;

        memcpy(&word, at, 1);
        sum += word;
    }
    return sum;
}

static uint16_t fold(uint64_t sum)
{
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    sum = (sum >> 16) + (sum & UINT16_MAX);
    return (uint16_t)((sum >> 16) + (sum & UINT16_MAX));
}

/* Halves of 32 bits are added to 64, so that no carry is lost before the next 2^32 of them. */
static ALWAYS_INLINE uint64_t halves(uint64_t word)
{
    return (word & UINT32_MAX) + (word >> 32);
}

/* RFC 1071 2 (B): the sum does not depend on the byte order it was made in, so words are added as
 * the machine reads them and the result is put in order at the end. `to` NULL: nothing is copied.
 * Inlined into each that knows whether it is, and what its processor can. */
static ALWAYS_INLINE uint64_t sum_words(uint8_t *to, const uint8_t *at, size_t left)
{
    uint64_t sum = 0;

    if (left >= 2 * LANES_BYTES) {
        lanes sums[2] = {{0}, {0}};

        do {
            lanes words[2];

            memcpy(words, at, sizeof(words));
            if (to != NULL) {
                memcpy(to, words, sizeof(words));
                to += sizeof(words);
            }
            sums[0] += (words[0] & UINT32_MAX) + (words[0] >> 32);
            sums[1] += (words[1] & UINT32_MAX) + (words[1] >> 32);
            at += sizeof(words);
            left -= sizeof(words);
        } while (left >= 2 * LANES_BYTES);
        sums[0] += sums[1];
        sum = sums[0][0] + sums[0][1] + sums[0][2] + sums[0][3];
    }
    while (left >= sizeof(uint64_t)) {
        uint64_t word = load_u64(at);

        if (to != NULL) {
            memcpy(to, &word, sizeof(word));
            to += sizeof(word);
        }
        sum += halves(word);
        at += sizeof(word);
        left -= sizeof(word);
    }
    if (to != NULL && left > 0) {
        memcpy(to, at, left);
    }
    return sum + load_last(at, left);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t sum_wide(const uint8_t *at, size_t left)
{
    return sum_words(NULL, at, left);
}

__attribute__((target("avx2"))) static uint64_t copy_wide(uint8_t *to, const uint8_t *at,
                                                          size_t left)
{
    return sum_words(to, at, left);
}

static bool is_wide(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}
#else
static uint64_t sum_wide(const uint8_t *at, size_t left)
{
    return sum_words(NULL, at, left);
}

static uint64_t copy_wide(uint8_t *to, const uint8_t *at, size_t left)
{
    return sum_words(to, at, left);
}

static bool is_wide(void)
{
    return false;
}
#endif

static uint32_t add_in_order(uint32_t sum, uint64_t words)
{
    uint16_t folded = fold(words);
    uint8_t ordered[2];

    memcpy(ordered, &folded, sizeof(folded));
    return fold((uint64_t)sum + get_u16(ordered));
}

uint32_t checksum_add(uint32_t sum, struct slice bytes)
{
    bool wide = bytes.length >= 2 * LANES_BYTES && is_wide();

    return add_in_order(sum, wide ? sum_wide(bytes.data, bytes.length)
                                  : sum_words(NULL, bytes.data, bytes.length));
}

uint32_t checksum_copy(uint32_t sum, uint8_t *to, struct slice from)
{
    bool wide = from.length >= 2 * LANES_BYTES && is_wide();

    return add_in_order(sum, wide ? copy_wide(to, from.data, from.length)
                                  : sum_words(to, from.data, from.length));
}

uint16_t checksum_finish(uint32_t sum)
{
    return (uint16_t)~fold(sum);
}

uint16_t checksum_update(uint16_t checksum, uint16_t old_word, uint16_t new_word)
{
    return checksum_finish((uint32_t)(uint16_t)~checksum + (uint16_t)~old_word + new_word);
}

uint32_t checksum_pseudo(const struct address *source, const struct address *destination,
                         uint8_t protocol, uint32_t upper_bytes)
{
    size_t length = address_bytes((enum family)source->family);
    uint32_t sum = checksum_add(0, (struct slice){source->bytes, length});

    assert(source->family == destination->family);
    sum = checksum_add(sum, (struct slice){destination->bytes, length});
    return fold((uint64_t)sum + protocol + (upper_bytes >> 16) + (upper_bytes & UINT16_MAX));
}
