/* Decides which payloads are compressed, and what is taken for a compressed one. */
#include "dataplane/ipcomp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "base/secret.h"

#define PAYLOAD_BYTES_MAX 65535
#define PASSES_FIRST                                                                               \
    8 /* packets passed by after the first failures; then twice as many each time */
#define PASSES_MAX 1024
#define DOUBLINGS_MAX 7

/* Raw deflate (RFC 1951), without the heads and checksums of zlib. Receivers with a window of 2 KiB
 * exist (Linux), so we look back no further; but we can go back as far as the format allows. */
#define WINDOW_BITS_OUT (-11)
#define WINDOW_BITS_IN (-15)
#define LEVEL 3
#define MEMORY_LEVEL 5

/* All that zlib asks for, when the streams are made and when it meets a stream that does not end:
 * inflate keeps a window of 32 KiB then. */
#define ARENA_BYTES (256 * 1024)
#define ARENA_ALIGNMENT 64

struct ipcomp {
    z_stream deflate, inflate;
    bool has_deflate, has_inflate;
    size_t arena_used;
    _Alignas(ARENA_ALIGNMENT) uint8_t arena[ARENA_BYTES];
    uint8_t scratch[PAYLOAD_BYTES_MAX];
};

static_assert(PASSES_FIRST << DOUBLINGS_MAX == PASSES_MAX, "the doublings end at the most");

static void *arena_take(void *context, unsigned items, unsigned bytes)
{
    struct ipcomp *c = context;
    size_t wanted = (size_t)items * bytes;

    if (wanted > ARENA_BYTES - c->arena_used) {
        return NULL;
    }
    uint8_t *taken = c->arena + c->arena_used;
    size_t rounded = (wanted + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;

    c->arena_used += rounded < ARENA_BYTES - c->arena_used ? rounded : ARENA_BYTES - c->arena_used;
    return taken;
}

/* Given back with the whole. */
static void arena_give(void *context, void *taken)
{
    (void)context;
    (void)taken;
}

struct ipcomp *ipcomp_new(void)
{
    struct ipcomp *c = aligned_alloc(ARENA_ALIGNMENT, (sizeof(*c) + ARENA_ALIGNMENT - 1) /
                                                          ARENA_ALIGNMENT * ARENA_ALIGNMENT);

    if (c == NULL) {
        return NULL;
    }
    memset(c, 0, sizeof(*c));
    c->deflate.zalloc = arena_take;
    c->deflate.zfree = arena_give;
    c->deflate.opaque = c;
    c->inflate.zalloc = arena_take;
    c->inflate.zfree = arena_give;
    c->inflate.opaque = c;
    c->has_deflate = deflateInit2(&c->deflate, LEVEL, Z_DEFLATED, WINDOW_BITS_OUT, MEMORY_LEVEL,
                                  Z_DEFAULT_STRATEGY) == Z_OK;
    c->has_inflate = inflateInit2(&c->inflate, WINDOW_BITS_IN) == Z_OK;
    if (!c->has_deflate || !c->has_inflate) {
        ipcomp_free(c);
        return NULL;
    }
    return c;
}

void ipcomp_free(struct ipcomp *c)
{
    if (c == NULL) {
        return;
    }
    if (c->has_deflate) {
        (void)deflateEnd(&c->deflate);
    }
    if (c->has_inflate) {
        (void)inflateEnd(&c->inflate);
    }
    wipe(c, sizeof(*c)); /* windows and scratch held clear packets */
    free(c);
}

/* --- what is worth a try --- */

/* RFC 3173 2.2: after some failures packets are passed by, after more of them more. */
static bool is_worth_a_try(struct ipcomp_pace *pace)
{
    uint32_t passes = atomic_load_explicit(&pace->passes, memory_order_relaxed);

    if (passes == 0) {
        return true;
    }
    atomic_store_explicit(&pace->passes, passes - 1, memory_order_relaxed);
    return false;
}

static void note_failure(struct ipcomp_pace *pace)
{
    uint32_t failures = atomic_load_explicit(&pace->failures, memory_order_relaxed) + 1;

    if (failures >= IPCOMP_FAILURES_MAX) {
        uint32_t doublings = failures - IPCOMP_FAILURES_MAX;

        if (doublings >= DOUBLINGS_MAX) {
            doublings = DOUBLINGS_MAX;
            failures = IPCOMP_FAILURES_MAX + DOUBLINGS_MAX;
        }
        atomic_store_explicit(&pace->passes, (uint32_t)PASSES_FIRST << doublings,
                              memory_order_relaxed);
    }
    atomic_store_explicit(&pace->failures, failures, memory_order_relaxed);
}

static void note_success(struct ipcomp_pace *pace)
{
    atomic_store_explicit(&pace->failures, 0, memory_order_relaxed);
}

/* --- both ways --- */

static void stream_aim(z_stream *z, const uint8_t *in, size_t in_bytes, uint8_t *out,
                       size_t out_bytes)
{
    z->next_in = in;
    z->avail_in = (uInt)in_bytes;
    z->next_out = out;
    z->avail_out = (uInt)out_bytes;
}

bool ipcomp_compress(struct ipcomp *c, struct ipcomp_pace *pace, uint8_t *payload, size_t *length)
{
    assert(*length <= PAYLOAD_BYTES_MAX);
    if (*length < IPCOMP_LEAST_BYTES || !is_worth_a_try(pace)) {
        return false;
    }
    /* RFC 3173 2.2: smaller with the header, or not at all. */
    size_t most = *length - IPCOMP_HEAD_BYTES - 1;
    int reset = deflateReset(&c->deflate);

    assert(reset == Z_OK);
    stream_aim(&c->deflate, payload, *length, c->scratch, most);
    if (deflate(&c->deflate, Z_FINISH) != Z_STREAM_END) {
        note_failure(pace);
        return false;
    }
    note_success(pace);
    size_t compressed = most - c->deflate.avail_out;

    memcpy(payload + IPCOMP_HEAD_BYTES, c->scratch, compressed);
    *length = IPCOMP_HEAD_BYTES + compressed;
    return true;
}

bool ipcomp_decompress(struct ipcomp *c, uint8_t *payload, size_t *length, size_t capacity)
{
    size_t most = capacity < PAYLOAD_BYTES_MAX ? capacity : PAYLOAD_BYTES_MAX;

    if (*length <= IPCOMP_HEAD_BYTES || *length > PAYLOAD_BYTES_MAX) {
        return false;
    }
    int reset = inflateReset(&c->inflate);

    assert(reset == Z_OK);
    stream_aim(&c->inflate, payload + IPCOMP_HEAD_BYTES, *length - IPCOMP_HEAD_BYTES, c->scratch,
               most);
    /* However much it would become, no more than `most` is made of it. */
    if (inflate(&c->inflate, Z_FINISH) != Z_STREAM_END || c->inflate.avail_in > 0) {
        return false;
    }
    *length = most - c->inflate.avail_out;
    memcpy(payload, c->scratch, *length);
    return true;
}
