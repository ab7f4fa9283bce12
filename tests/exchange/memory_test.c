/*
 * Memory that is not there: each allocation of the machines and of what they stand on fails once,
 * in a conversation that has everything. Nothing crashes, nothing leaks, and in the end both sides
 * agree or are gone.
 */
#include <stdlib.h>

#include "tests/exchange/world.h"
#include "tests/support/test.h"

/* Put in the place of malloc and the like by the linker. */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

static unsigned allocations, failing; /* the one that fails, counted from 1; 0 none */

static bool fails_now(void)
{
    return ++allocations == failing;
}

void *__wrap_malloc(size_t bytes)
{
    return fails_now() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails_now() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    return fails_now() ? NULL : __real_realloc(old, bytes);
}

static struct world w;
static struct ikev2_ppk ppk = {.id = {IKEV2_PPK_ID_FIXED, 'p'}, .id_length = 2};

static void rekey_child(enum world_side_name side)
{
    for (size_t i = 0; i < w.side[side].installed_count; i++) {
        if (w.side[side].installed[i].used && !w.side[side].installed[i].stopped) {
            world_rekey_child(&w, side);
            return;
        }
    }
}

static void converse(uint64_t seed, unsigned fails)
{
    world_init(&w, seed);
    for (size_t i = 0; i < 2; i++) {
        w.side[i].policy.liveness_ms = 60000;
    }
    allocations = 0;
    /* With a preshared key that both can do without, AUTH is made in two ways (RFC 8784). */
    for (enum world_side_name side = A; side <= B; side++) {
        w.side[side].policy.ppk = &ppk;
        w.side[side].responder.ppk = true;
    }
    failing = fails;
    world_start(&w);
    world_deliver_all(&w);
    world_advance(&w, 60000);
    for (enum world_side_name side = A; side <= B; side++) {
        if (w.side[side].sa != NULL) {
            rekey_child(side);
        }
        world_deliver_all(&w);
        if (w.side[side].sa != NULL) {
            world_rekey_ike(&w, side);
        }
        world_deliver_all(&w);
        if (w.side[side].sa != NULL) {
            world_liveness(&w, side);
        }
        world_deliver_all(&w);
    }
    world_advance(&w, 600000);
    failing = 0;
    /* The one that failed may have been the last: what waits for it is sent again. */
    world_advance(&w, 20000);
}

TEST(every_allocation_may_fail_once)
{
    unsigned total;

    CHECK(secret_set(&ppk.key, SLICE_TEXT("an octet string of more than 256 bits")));

    converse(1, 0);
    total = allocations;
    world_check_settled(&w, 1);
    world_fini(&w);
    CHECK(total > 100);
    for (unsigned n = 1; n <= total; n++) {
        converse(1, n);
        if (w.side[A].sa == NULL || w.side[B].sa == NULL) {
            world_advance(&w, 600000);
            world_check_gone(&w);
        } else {
            CHECK(w.side[A].installed_count <= 1);
            world_check_settled(&w, w.side[A].installed_count);
        }
        world_fini(&w);
    }
    secret_wipe(&ppk.key);
}
