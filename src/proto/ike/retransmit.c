/*
 * The schedule of retransmissions (RFC 7296 2.1, 2.4): exponential, bounded, varied at random.
 */
#include "proto/ike/retransmit.h"

#include <assert.h>

/* Ten years: longer waits are configuration nonsense, and this keeps the arithmetic from
 * wrapping. */
#define WAIT_MS_MAX (UINT64_C(10) * 365 * 86400 * 1000)

/* wait_ms, a tenth more or less. */
static uint64_t vary(uint64_t wait_ms, struct random_source *random)
{
    uint64_t fifth = wait_ms / 5;
    uint32_t bound = fifth >= UINT32_MAX ? UINT32_MAX : (uint32_t)fifth + 1;

    return wait_ms - wait_ms / 10 + random_below(random, bound);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void retransmit_start(struct retransmit *r, uint64_t first_ms, uint64_t max_ms, unsigned tries,
                      uint64_t now_ms, struct random_source *random)
{
    assert(first_ms > 0);
    *r = (struct retransmit){
        .wait_ms = least(first_ms, WAIT_MS_MAX),
        .max_ms = least(max_ms > first_ms ? max_ms : first_ms, WAIT_MS_MAX),
        .tries = tries,
    };
    r->deadline_ms = now_ms + vary(r->wait_ms, random);
}

void retransmit_stop(struct retransmit *r)
{
    r->deadline_ms = NEVER_MS;
}

enum retransmit_step retransmit_time(struct retransmit *r, uint64_t now_ms,
                                     struct random_source *random)
{
    if (r->deadline_ms == NEVER_MS || now_ms < r->deadline_ms) {
        return RETRANSMIT_WAIT;
    }
    if (r->again >= r->tries) {
        retransmit_stop(r);
        return RETRANSMIT_GIVE_UP;
    }
    r->again++;
    r->wait_ms = least(r->wait_ms * 9 / 5, r->max_ms);
    r->deadline_ms = now_ms + vary(r->wait_ms, random);
    return RETRANSMIT_SEND;
}
