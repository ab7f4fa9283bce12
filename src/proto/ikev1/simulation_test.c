/*
 * Two sides on a network that loses, doubles and reorders, for hours: whatever happens, no deadline
 * is missed, what both sides have agrees, and in the end nothing is left.
 */
#include <stdlib.h>

#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

struct weather {
    struct seeded_random seeded;
    struct random_source random;
    unsigned loss, doubling; /* percent */
};

static bool passes(void *context, struct ikev1_pair *pair, const struct pair1_datagram *d)
{
    struct weather *w = context;

    if (random_below(&w->random, 100) < w->loss) {
        return false;
    }
    if (random_below(&w->random, 100) < w->doubling && pair->queue_count + 2 < PAIR1_QUEUE_MAX) {
        struct pair1_datagram copy = *d;

        copy.bytes = malloc(d->length + 1);
        CHECK(copy.bytes != NULL);
        memcpy(copy.bytes, d->bytes, d->length);
        pair->queue[pair->queue_count++] = copy;
    }
    return true;
}

/* In any order. */
static void deliver_all(struct ikev1_pair *p, struct weather *w)
{
    for (unsigned i = 0; p->queue_count > 0; i++) {
        CHECK(i < 5000);
        ikev1_pair_deliver(p, random_below(&w->random, (uint32_t)p->queue_count));
    }
}

static void do_something(struct ikev1_pair *p, struct weather *w)
{
    unsigned side = random_below(&w->random, 2);
    struct pair1_child *child = ikev1_pair_outbound(p, side, "net");

    if (ikev1_pair_sa(p, side) == NULL) {
        if (side == 0) {
            ikev1_pair_start(p, side);
        }
        return;
    }
    switch (random_below(&w->random, 8)) {
    case 0:
        ikev1_pair_rekey(p, side);
        return;
    case 1:
    case 2:
        if (child != NULL) {
            ikev1_pair_rekey_child(p, side, child->info.spi_in);
        }
        return;
    case 3:
        if (child != NULL) {
            ikev1_pair_close_child(p, side, child->info.spi_in);
        }
        return;
    case 4:
        ikev1_pair_start_child(p, side, 0);
        return;
    case 5:
        ikev1_pair_ask_liveness(p, side);
        return;
    case 6:
        if (random_below(&w->random, 10) == 0) {
            ikev1_pair_reboot(p, side);
        }
        return;
    default:
        (void)ikev1_pair_packet(p, side, "net");
        return;
    }
}

static void bounds_hold(struct ikev1_pair *p)
{
    for (unsigned side = 0; side < 2; side++) {
        CHECK(p->side[side].ike_spi_count <= 2 * IKEV1_IKES_MAX + PAIR1_MACHINES_MAX);
        CHECK(ikev1_pair_live_children(p, side) <= IKEV1_CHILDREN_MAX);
    }
}

static void live(uint64_t seed, unsigned loss, unsigned doubling, bool aggressive)
{
    struct ikev1_pair *p = ikev1_pair_new(seed);
    struct weather w = {.loss = loss, .doubling = doubling};

    seeded_random_init(&w.seeded, seed + 99);
    w.random = seeded_random_source(&w.seeded);
    p->passes = passes;
    p->context = &w;
    for (unsigned i = 0; i < 2; i++) {
        ikev1_pair_set_ike(p, i, "aes128-sha1-ecp256");
        ikev1_pair_set_esp(p, i, i == 0 ? "aes128-sha1-ecp256" : "aes128-sha1");
        p->side[i].policy.ike_lifetime_ms = 1800000;
        p->side[i].policy.liveness_ms = 60000;
        p->side[i].says_initial_contact = true;
        p->side[i].policy.aggressive = aggressive;
        p->side[i].responder.aggressive = aggressive;
        p->side[i].children_policy[0].lifetime_ms = 600000;
        p->side[i].children_policy[0].any_group = true;
    }
    ikev1_pair_start(p, 0);
    for (unsigned i = 0; i < 120 && p->side[0].child_count < PAIR1_CHILDREN_MAX - 40 &&
                         p->side[1].child_count < PAIR1_CHILDREN_MAX - 40;
         i++) {
        deliver_all(p, &w);
        do_something(p, &w);
        ikev1_pair_advance(p, random_below(&w.random, 20000));
        bounds_hold(p);
        p->transcript[0] = '\0';
    }
    /* The weather clears: soon everything is well again. */
    p->passes = NULL;
    ikev1_pair_advance(p, 900000);
    if (ikev1_pair_sa(p, 0) == NULL) {
        ikev1_pair_start(p, 0);
    } else {
        ikev1_pair_start_child(p, 0, 0);
    }
    ikev1_pair_advance(p, 900000);
    CHECK(ikev1_pair_sa(p, 0) != NULL && ikev1_pair_sa(p, 1) != NULL);
    CHECK(ikev1_pair_packet(p, 0, "net"));
    CHECK_EQUAL(ikev1_pair_machines(p, 0), 1);
    CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
    CHECK(ikev1_pair_live_children(p, 0) <= 8 && ikev1_pair_live_children(p, 1) <= 8);
    /* And when it is over, nothing is left. */
    ikev1_pair_close(p, 0);
    ikev1_pair_advance(p, 4 * 3600000);
    CHECK_EQUAL(ikev1_pair_machines(p, 0), 0);
    CHECK_EQUAL(p->side[0].ike_spi_count, 0);
    CHECK_EQUAL(ikev1_pair_live_children(p, 0), 0);
    ikev1_pair_free(p);
}

TEST(losses_doubles_and_disorder_are_lived_through)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        live(seed, (unsigned)(seed % 4) * 10, (unsigned)(seed % 3) * 10, false);
    }
}

TEST(so_are_they_in_aggressive_mode)
{
    for (uint64_t seed = 100; seed < 130; seed++) {
        live(seed, (unsigned)(seed % 4) * 10, (unsigned)(seed % 3) * 10, true);
    }
}

/* A gateway begins anew when an attempt was given up. */
TEST(a_first_handshake_comes_through_three_losses_of_ten)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct ikev1_pair *p = ikev1_pair_new(seed);
        struct weather w = {.loss = 30, .doubling = 10};

        seeded_random_init(&w.seeded, seed);
        w.random = seeded_random_source(&w.seeded);
        p->passes = passes;
        p->context = &w;
        ikev1_pair_set_ike(p, 0, "aes128-sha1-ecp256");
        ikev1_pair_set_ike(p, 1, "aes128-sha1-ecp256");
        for (unsigned i = 0; i < 30; i++) {
            if (ikev1_pair_sa(p, 0) == NULL) {
                ikev1_pair_start(p, 0);
            }
            ikev1_pair_advance(p, 10000);
            (void)ikev1_pair_packet(p, 0, "net");
        }
        CHECK(p->side[0].established >= 1 && p->side[1].established >= 1);
        CHECK(ikev1_pair_packet(p, 0, "net"));
        ikev1_pair_free(p);
    }
}

/* Somebody who has no key floods with first and third messages, and with whatever else he likes. */
TEST(a_stranger_gets_nowhere_and_what_he_leaves_goes_by_itself)
{
    struct ikev1_pair *p = ikev1_pair_new(1);
    struct seeded_random seeded;
    struct random_source random;

    seeded_random_init(&seeded, 5);
    random = seeded_random_source(&seeded);
    CHECK(secret_set(&p->side[0].policy.shared_key, SLICE_TEXT("a guess")));
    for (unsigned round = 0; round < 200; round++) {
        ikev1_pair_start(p, 0);
        for (unsigned i = 0; i < 30 && p->queue_count > 0; i++) {
            size_t at = random_below(&random, (uint32_t)p->queue_count);
            struct pair1_datagram *d = &p->queue[at];

            if (random_below(&random, 3) == 0) {
                d->bytes[random_below(&random, (uint32_t)d->length)] ^= 1;
                ikev1_pair_deliver_copy(p, at);
            } else {
                ikev1_pair_deliver(p, at);
            }
        }
        while (p->queue_count > 0) {
            ikev1_pair_drop(p, 0);
        }
        ikev1_pair_reboot(p, 0);
        p->now_ms += random_below(&random, 3000);
        ikev1_pair_advance(p, 1);
        CHECK_EQUAL(p->side[1].established, 0);
        CHECK_EQUAL(p->side[1].child_count, 0);
        p->transcript[0] = '\0';
    }
    ikev1_pair_advance(p, 60000);
    CHECK(ikev1_pair_is_empty(p, 1));
    ikev1_pair_free(p);
}
