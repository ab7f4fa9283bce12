/* Random initialisation vectors for CBC, cheap enough for every packet. */
#include "dataplane/iv.h"

#include <assert.h>
#include <string.h>

#include "base/secret.h"

static uint32_t rotate_left(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

static void quarter_round(uint32_t s[16], size_t a, size_t b, size_t c, size_t d)
{
    s[a] += s[b];
    s[d] = rotate_left(s[d] ^ s[a], 16);
    s[c] += s[d];
    s[b] = rotate_left(s[b] ^ s[c], 12);
    s[a] += s[b];
    s[d] = rotate_left(s[d] ^ s[a], 8);
    s[c] += s[d];
    s[b] = rotate_left(s[b] ^ s[c], 7);
}

static uint32_t get_little_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_little_u32(uint8_t *at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

void iv_chacha20_block(const uint8_t key[IV_KEY_BYTES], uint32_t counter, const uint8_t nonce[12],
                       uint8_t out[64])
{
    uint32_t start[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    uint32_t s[16];

    for (size_t i = 0; i < 8; i++) {
        start[4 + i] = get_little_u32(key + 4 * i);
    }
    start[12] = counter;
    for (size_t i = 0; i < 3; i++) {
        start[13 + i] = get_little_u32(nonce + 4 * i);
    }
    memcpy(s, start, sizeof(s));
    for (int round = 0; round < 10; round++) {
        quarter_round(s, 0, 4, 8, 12);
        quarter_round(s, 1, 5, 9, 13);
        quarter_round(s, 2, 6, 10, 14);
        quarter_round(s, 3, 7, 11, 15);
        quarter_round(s, 0, 5, 10, 15);
        quarter_round(s, 1, 6, 11, 12);
        quarter_round(s, 2, 7, 8, 13);
        quarter_round(s, 3, 4, 9, 14);
    }
    for (size_t i = 0; i < 16; i++) {
        put_little_u32(out + 4 * i, s[i] + start[i]);
    }
    wipe(s, sizeof(s));
    wipe(start, sizeof(start));
}

void iv_init(struct iv_source *iv, struct random_source *random)
{
    random_fill(random, iv->key, sizeof(iv->key));
    iv->used = sizeof(iv->store);
}

void iv_fini(struct iv_source *iv)
{
    wipe(iv, sizeof(*iv));
    iv->used = sizeof(iv->store);
}

/* The first half block becomes the next key and is never given out. */
static void iv_refill(struct iv_source *iv)
{
    static const uint8_t nonce[12];
    uint8_t next_key[64];

    for (uint32_t i = 0; i < IV_STORE_BYTES / 64; i++) {
        iv_chacha20_block(iv->key, i + 1, nonce, iv->store + (size_t)i * 64);
    }
    iv_chacha20_block(iv->key, 0, nonce, next_key);
    memcpy(iv->key, next_key, sizeof(iv->key));
    wipe(next_key, sizeof(next_key));
    iv->used = 0;
}

void iv_take(struct iv_source *iv, uint8_t *out, size_t length)
{
    assert(length <= IV_BYTES_MAX);
    if (IV_STORE_BYTES - iv->used < length) {
        iv_refill(iv);
    }
    memcpy(out, iv->store + iv->used, length);
    wipe(iv->store + iv->used, length);
    iv->used += length;
}
