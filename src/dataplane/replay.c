/* Replay protection: what is fresh, what was seen, and the high half of extended sequence numbers.
 */
#include "dataplane/replay.h"

#include <assert.h>

#define BLOCK_BITS 32

static uint32_t block_of(uint64_t sequence)
{
    return (uint32_t)(sequence / BLOCK_BITS);
}

static uint32_t block_of_word(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

/* Block numbers are compared on a circle; the window is small beside it. */
static bool block_is_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

size_t replay_words(uint32_t window)
{
    size_t needed = (size_t)window / BLOCK_BITS + 2;
    size_t words = 1;

    while (words < needed) {
        words *= 2;
    }
    return words;
}

void replay_init(struct replay *r, _Atomic uint64_t *words, uint32_t window, uint64_t top)
{
    size_t count = replay_words(window);

    assert(window > 0 && window <= REPLAY_WINDOW_MAX);
    r->words = words;
    r->window = window;
    r->word_mask = (uint32_t)count - 1;
    atomic_init(&r->top, top);
    /* Older than every block that can still be recorded. */
    uint32_t old = block_of(top) - 2 * (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        atomic_init(&words[i], (uint64_t)old << 32);
    }
}

bool replay_full_sequence(const struct replay *r, uint32_t low, uint64_t *sequence)
{
    uint64_t top = atomic_load_explicit(&r->top, memory_order_relaxed);
    uint32_t top_low = (uint32_t)top;
    uint32_t high = (uint32_t)(top >> 32);
    uint32_t bottom = top_low - r->window + 1; /* wraps in case B */

    if (top_low >= r->window - 1) {
        /* Case A: the window lies in one subspace; what is below it belongs to the next. */
        if (low < bottom) {
            if (high == UINT32_MAX) {
                return false;
            }
            high++;
        }
    } else if (low >= bottom) {
        /* Case B: the window reaches back into the subspace before. */
        if (high == 0) {
            return false;
        }
        high--;
    }
    *sequence = (uint64_t)high << 32 | low;
    return true;
}

bool replay_is_fresh(const struct replay *r, uint64_t sequence)
{
    uint64_t top = atomic_load_explicit(&r->top, memory_order_relaxed);

    if (sequence == 0) {
        /* RFC 4303 3.3.3: the first packet carries 1. */
        return false;
    }
    if (sequence > top) {
        return true;
    }
    if (top - sequence >= r->window) {
        return false;
    }
    uint32_t block = block_of(sequence);
    uint64_t word = atomic_load_explicit(&r->words[block & r->word_mask], memory_order_relaxed);

    return block_of_word(word) != block || (word >> (sequence % BLOCK_BITS) & 1) == 0;
}

/* Sets the number's bit; false when it is set already or its word stands for a later block. */
static bool replay_mark(struct replay *r, uint64_t sequence)
{
    uint32_t block = block_of(sequence);
    uint64_t bit = (uint64_t)1 << (sequence % BLOCK_BITS);
    _Atomic uint64_t *word = &r->words[block & r->word_mask];
    uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
    uint64_t after = 0;

    do {
        if (block_is_before(block, block_of_word(before))) {
            return false;
        }
        if (block_of_word(before) != block) {
            after = (uint64_t)block << 32 | bit;
        } else if ((before & bit) != 0) {
            return false;
        } else {
            after = before | bit;
        }
    } while (!atomic_compare_exchange_weak_explicit(word, &before, after, memory_order_relaxed,
                                                    memory_order_relaxed));
    return true;
}

bool replay_record(struct replay *r, uint64_t sequence, bool *newest)
{
    uint64_t top = atomic_load_explicit(&r->top, memory_order_relaxed);

    *newest = false;
    if (sequence == 0 || (sequence <= top && top - sequence >= r->window)) {
        return false;
    }
    if (!replay_mark(r, sequence)) {
        return false;
    }
    while (sequence > top) {
        if (atomic_compare_exchange_weak_explicit(&r->top, &top, sequence, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *newest = true;
            break;
        }
    }
    return true;
}
