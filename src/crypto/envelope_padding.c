/*
 * Taking off the padding of RSA encryption (RFC 8017 7.2.2): decides nothing that anybody can see.
 * No branch and no address depends on what is padded; tests/constant_time looks.
 */
#include "crypto/rsa_envelope.h"

#include <assert.h>
#include <string.h>

#define BLOCK_TYPE 2
#define RANDOM_BYTES_MIN 8

/* All ones or zeros. The compiler is not to know that there are only two. */
static uint32_t barrier(uint32_t mask)
{
    __asm__("" : "+r"(mask));
    return mask;
}

static uint32_t mask_of_bit(uint32_t bit)
{
    return barrier(0U - bit);
}

/* Numbers below 2^31. */
static uint32_t is_less(uint32_t a, uint32_t b)
{
    return mask_of_bit((a - b) >> 31);
}

static uint32_t is_zero(uint32_t a)
{
    return mask_of_bit(((a | (0U - a)) >> 31) ^ 1U);
}

static uint32_t choose(uint32_t mask, uint32_t yes, uint32_t no)
{
    return (mask & yes) | (~mask & no);
}

/* The place of the zero behind the random octets; `length` where there is none. */
static uint32_t find_end(const uint8_t *padded, uint32_t length)
{
    uint32_t end = length;

    for (uint32_t i = length; i-- > 2;) {
        end = choose(is_zero(padded[i]), i, end);
    }
    return end;
}

/* To the front, by a distance that nobody learns: each power of two is gone or not. */
static void move_to_front(uint8_t *bytes, uint32_t length, uint32_t distance)
{
    for (uint32_t step = 1; step <= length; step <<= 1) {
        uint32_t goes = ~is_zero(distance & step);

        for (uint32_t i = 0; i < length; i++) {
            uint32_t from = i + step < length ? bytes[i + step] : 0;

            bytes[i] = (uint8_t)choose(goes, from, bytes[i]);
        }
    }
}

size_t envelope_unpad(const uint8_t *padded, const uint8_t *other, size_t length_bytes,
                      size_t other_length, size_t least, size_t most, uint8_t *out)
{
    uint32_t length = (uint32_t)length_bytes;

    assert(length_bytes > ENVELOPE_PADDING_BYTES && length_bytes <= ENVELOPE_BYTES_MAX);
    uint32_t end = find_end(padded, length);
    uint32_t inside = length - 1 - end; /* without an end it is so large that it is below nothing */
    uint32_t good = is_zero(padded[0]) & is_zero(padded[1] ^ BLOCK_TYPE) & is_less(end, length) &
                    ~is_less(end, 2 + RANDOM_BYTES_MIN) & ~is_less(inside, (uint32_t)least) &
                    ~is_less((uint32_t)most, inside);
    uint32_t result = choose(good, inside, (uint32_t)other_length);

    memcpy(out, padded, length_bytes);
    move_to_front(out, length, end + 1);
    for (uint32_t i = 0; i < length; i++) {
        out[i] = (uint8_t)(choose(good, out[i], other[i]) & is_less(i, result));
    }
    return result;
}
