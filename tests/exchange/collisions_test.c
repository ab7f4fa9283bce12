/*
 * RFC 7296 2.8.1, 2.8.2, 2.25: both sides begin something at the same moment. Every order in
 * which the messages can arrive is tried (up to a bound), then random orders with one message
 * lost, one doubled, and with answers to the machines' own questions that take their time.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/exchange/world.h"
#include "tests/support/test.h"

enum deed {
    NOTHING,
    REKEY_CHILD,
    DELETE_CHILD,
    NEW_CHILD,
    REKEY_IKE,
    DELETE_IKE,
    LIVENESS,
    NEW_OWN, /* for the second resource (RFC 9611) */
    REKEY_OWN, /* of the first */
    DELETE_OWN,
};

struct collision {
    enum deed a[2]; /* what A begins, in this order */
    enum deed b[2];
    size_t children_min, children_max; /* in the end */
    bool gone; /* in the end nothing is left */
    bool own; /* there is a child for the first resource of both */
    bool follows; /* each new child and IKE SA takes additional key exchanges (RFC 9370 2.2.4) */
    bool traffic; /* nobody is ever without a child to send through */
};

/* Sanitizers make a run many times slower. */
#if defined(__SANITIZE_ADDRESS__)
#define RUNS(n) ((n) / 8)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RUNS(n) ((n) / 8)
#endif
#endif
#ifndef RUNS
#define RUNS(n) (n)
#endif

/* ---- every order ---- */

#define CHOICES_MAX 200

/* A walk through a tree of choices without keeping the tree: the path is run again from the
 * start. */
struct walk {
    size_t depth, length;
    unsigned char taken[CHOICES_MAX], width[CHOICES_MAX];
};

static size_t walk_choose(struct walk *walk, size_t width)
{
    CHECK(walk->depth < CHOICES_MAX);
    CHECK(width < 256);
    if (walk->depth == walk->length) {
        walk->taken[walk->length++] = 0;
    }
    walk->width[walk->depth] = (unsigned char)width;
    return walk->taken[walk->depth++];
}

/* The next path in order; false when all have been walked. */
static bool walk_next(struct walk *walk)
{
    walk->length = walk->depth;
    walk->depth = 0;
    while (walk->length > 0) {
        size_t last = walk->length - 1;

        if (walk->taken[last] + 1 < walk->width[last]) {
            walk->taken[last]++;
            return true;
        }
        walk->length--;
    }
    return false;
}

/* ---- one conversation ---- */

static struct world w;
static struct selector second[2];

static void add_key_exchanges(struct proposals *list, uint8_t protocol)
{
    const bool ike = protocol == PROTOCOL_IKE;
    char why[256];

    CHECK(proposal_parse(protocol,
                         slice_of_text(ike ? "aes128gcm16-sha256-x25519-ke1_ecp256"
                                           : "aes128gcm16-x25519-ke1_ecp256-ke3_ecp384"),
                         &list->list[0], why, sizeof(why)));
}

static void begin(uint64_t seed, bool answers_wait, const struct collision *c)
{
    bool own = c->own;

    world_init(&w, seed);
    for (size_t i = 0; i < 2 && c->follows; i++) {
        add_key_exchanges(&w.side[i].ike_proposals, PROTOCOL_IKE);
        for (size_t j = 0; j < 3; j++) {
            add_key_exchanges(&w.side[i].child_proposals[j], PROTOCOL_ESP);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        struct network n;

        CHECK(network_parse(i == 0 ? SLICE_TEXT("10.11.0.0/16") : SLICE_TEXT("10.12.0.0/16"), &n));
        second[i] = selector_of_network(&n);
    }
    for (size_t i = 0; i < 2; i++) {
        w.side[i].policy.child_count = 2;
        w.side[i].children[1].local = &second[i];
        w.side[i].children[1].remote = &second[1 - i];
        w.side[i].policy.liveness_ms = 60000;
        w.side[i].children[0].resources = 2;
        w.side[i].children[0].resources_max = own ? 8 : 0;
        w.side[i].children[0].resources_announced = own;
    }
    world_connect(&w);
    if (own) {
        world_new_own(&w, A, 1);
        world_deliver_all(&w);
        world_heard(&w, B);
        world_heard(&w, A);
    }
    w.answers_wait = answers_wait;
}

static void order(enum world_side_name side, enum deed deed)
{
    if (w.side[side].sa == NULL) {
        return;
    }
    switch (deed) {
    case NOTHING:
        return;
    case REKEY_CHILD:
        world_rekey_child(&w, side);
        return;
    case DELETE_CHILD:
        world_close_child(&w, side);
        return;
    case NEW_CHILD:
        world_new_child(&w, side, 1);
        return;
    case REKEY_IKE:
        world_rekey_ike(&w, side);
        return;
    case DELETE_IKE:
        world_close(&w, side);
        return;
    case LIVENESS:
        world_liveness(&w, side);
        return;
    case NEW_OWN:
        world_new_own(&w, side, 2);
        return;
    case REKEY_OWN:
        world_rekey_own(&w, side, 1);
        return;
    case DELETE_OWN:
        world_close_own(&w, side, 1);
        return;
    }
}

static void collide(const struct collision *c)
{
    w.traffic_wanted = c->traffic;
    for (size_t i = 0; i < 2; i++) {
        order(A, c->a[i]);
        order(B, c->b[i]);
    }
}

static void finish(const struct collision *c)
{
    w.answers_wait = false;
    /* Liveness would go on for ever: long enough for every retry, then quiet. */
    world_deliver_all(&w);
    world_advance(&w, 360000);
    if (c->gone) {
        world_check_gone(&w);
    } else {
        size_t children = w.side[A].installed_count;

        CHECK(children >= c->children_min);
        CHECK(children <= c->children_max);
        world_check_settled(&w, children);
    }
    world_fini(&w);
}

static unsigned every_order(const struct collision *c, bool answers_wait, unsigned runs_max)
{
    unsigned runs = 0;

    /* Nonces decide who gives way, so several seeds see both outcomes. */
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct walk walk = {.depth = 0};
        unsigned of_seed = 0;

        do {
            begin(seed, answers_wait, c);
            collide(c);
            while (w.flight_count > 0) {
                world_deliver(&w, walk_choose(&walk, w.flight_count));
            }
            finish(c);
            of_seed++;
        } while (walk_next(&walk) && of_seed < runs_max / 4);
        runs += of_seed;
    }
    return runs;
}

/* ---- random orders, with faults ---- */

static void any_order_with_faults(const struct collision *c, unsigned runs)
{
    for (uint64_t seed = 1; seed <= runs; seed++) {
        struct seeded_random seeded;
        unsigned losses = 1;
        unsigned doubles = 1;

        seeded_random_init(&seeded, seed * 7919);
        struct random_source random = seeded_random_source(&seeded);

        begin(seed, random_below(&random, 2) == 0, c);
        collide(c);
        for (unsigned step = 0; step < 400; step++) {
            if (w.flight_count == 0) {
                if (step > 40 || !world_wake(&w)) {
                    break;
                }
                continue;
            }
            if (random_below(&random, 8) == 0) {
                world_heard(&w, random_below(&random, 2) == 0 ? A : B);
                continue;
            }
            size_t at = random_below(&random, (uint32_t)w.flight_count);
            bool message = !w.flights[at].question;

            if (message && losses > 0 && random_below(&random, 6) == 0) {
                losses--;
                world_lose(&w, at);
            } else if (message && doubles > 0 && random_below(&random, 6) == 0) {
                uint8_t copy[2048];
                size_t length = w.flights[at].length;
                enum world_side_name to = 1 - w.flights[at].from;

                CHECK(length <= sizeof(copy));
                memcpy(copy, w.flights[at].bytes, length);
                doubles--;
                world_deliver(&w, at);
                world_inject(&w, to, (struct slice){copy, length});
            } else {
                world_deliver(&w, at);
            }
        }
        finish(c);
    }
}

/* Each message lost once, in the order of sending. */
static void each_message_lost(const struct collision *c)
{
    for (unsigned lost = 0; lost < (c->follows ? 28 : 14); lost++) {
        unsigned count = 0;

        begin(lost + 1, false, c);
        collide(c);
        while (w.flight_count > 0) {
            if (count++ == lost) {
                world_lose(&w, 0);
            } else {
                world_deliver(&w, 0);
            }
        }
        finish(c);
    }
}

static void try_collision(const struct collision *c, const char *name)
{
    unsigned plain = every_order(c, false, RUNS(1200));
    unsigned waiting = every_order(c, true, RUNS(1200));

    each_message_lost(c);
    any_order_with_faults(c, RUNS(400));
    print_message("%s: %u orders, %u with waiting answers\n", name, plain, waiting);
}

#define COLLISION(name, ...)                                                                       \
    TEST(name)                                                                                     \
    {                                                                                              \
        const struct collision c = __VA_ARGS__;                                                    \
        try_collision(&c, #name);                                                                  \
    }

COLLISION(
    child_rekey_meets_child_rekey,
    {.a = {REKEY_CHILD}, .b = {REKEY_CHILD}, .children_min = 1, .children_max = 1, .traffic = true})
/* 2.25.1: whoever is told that the child is gone may ask for a new one. */
COLLISION(child_rekey_meets_child_delete,
          {.a = {REKEY_CHILD}, .b = {DELETE_CHILD}, .children_max = 1})
COLLISION(child_delete_meets_child_delete, {.a = {DELETE_CHILD}, .b = {DELETE_CHILD}})
COLLISION(
    ike_rekey_meets_ike_rekey,
    {.a = {REKEY_IKE}, .b = {REKEY_IKE}, .children_min = 1, .children_max = 1, .traffic = true})
COLLISION(
    ike_rekey_meets_child_rekey,
    {.a = {REKEY_IKE}, .b = {REKEY_CHILD}, .children_min = 1, .children_max = 1, .traffic = true})
COLLISION(
    child_rekey_meets_ike_rekey,
    {.a = {REKEY_CHILD}, .b = {REKEY_IKE}, .children_min = 1, .children_max = 1, .traffic = true})
COLLISION(
    ike_rekey_meets_new_child,
    {.a = {REKEY_IKE}, .b = {NEW_CHILD}, .children_min = 2, .children_max = 2, .traffic = true})
COLLISION(
    new_child_meets_ike_rekey,
    {.a = {NEW_CHILD}, .b = {REKEY_IKE}, .children_min = 2, .children_max = 2, .traffic = true})
COLLISION(ike_rekey_meets_child_delete, {.a = {REKEY_IKE}, .b = {DELETE_CHILD}})
COLLISION(child_delete_meets_ike_rekey, {.a = {DELETE_CHILD}, .b = {REKEY_IKE}})
COLLISION(
    ike_rekey_meets_liveness,
    {.a = {REKEY_IKE}, .b = {LIVENESS}, .children_min = 1, .children_max = 1, .traffic = true})
COLLISION(ike_delete_meets_ike_delete, {.a = {DELETE_IKE}, .b = {DELETE_IKE}, .gone = true})
COLLISION(ike_delete_meets_ike_rekey, {.a = {DELETE_IKE}, .b = {REKEY_IKE}, .gone = true})
COLLISION(ike_rekey_meets_ike_delete, {.a = {REKEY_IKE}, .b = {DELETE_IKE}, .gone = true})
COLLISION(ike_delete_meets_child_rekey, {.a = {DELETE_IKE}, .b = {REKEY_CHILD}, .gone = true})
COLLISION(ike_delete_meets_new_child, {.a = {DELETE_IKE}, .b = {NEW_CHILD}, .gone = true})
COLLISION(ike_delete_meets_child_delete, {.a = {DELETE_IKE}, .b = {DELETE_CHILD}, .gone = true})
COLLISION(both_rekey_everything, {.a = {REKEY_CHILD, REKEY_IKE},
                                  .b = {REKEY_IKE, REKEY_CHILD},
                                  .children_min = 1,
                                  .children_max = 1,
                                  .traffic = true})
COLLISION(both_make_a_child_while_rekeying, {.a = {NEW_CHILD, REKEY_CHILD},
                                             .b = {REKEY_CHILD, REKEY_IKE},
                                             .children_min = 2,
                                             .children_max = 2,
                                             .traffic = true})
COLLISION(
    child_rekey_meets_new_child,
    {.a = {REKEY_CHILD}, .b = {NEW_CHILD}, .children_min = 2, .children_max = 2, .traffic = true})
COLLISION(child_delete_meets_new_child,
          {.a = {DELETE_CHILD}, .b = {NEW_CHILD}, .children_min = 1, .children_max = 1})
COLLISION(
    new_child_meets_new_child,
    {.a = {NEW_CHILD}, .b = {NEW_CHILD}, .children_min = 2, .children_max = 3, .traffic = true})
COLLISION(
    child_rekey_meets_liveness,
    {.a = {REKEY_CHILD}, .b = {LIVENESS}, .children_min = 1, .children_max = 1, .traffic = true})
COLLISION(ike_delete_meets_liveness, {.a = {DELETE_IKE}, .b = {LIVENESS}, .gone = true})
COLLISION(a_busy_side_is_deleted,
          {.a = {REKEY_CHILD, DELETE_IKE}, .b = {REKEY_IKE, REKEY_CHILD}, .gone = true})

/* RFC 9611 4: both sides ask at once, and both get what they asked for. */
#define OWN .own = true, .traffic = true
COLLISION(new_own_meets_new_own,
          {.a = {NEW_OWN}, .b = {NEW_OWN}, .children_min = 4, .children_max = 4, OWN})
COLLISION(own_rekey_meets_own_rekey,
          {.a = {REKEY_OWN}, .b = {REKEY_OWN}, .children_min = 2, .children_max = 2, OWN})
COLLISION(own_rekey_meets_child_rekey,
          {.a = {REKEY_OWN}, .b = {REKEY_CHILD}, .children_min = 2, .children_max = 2, OWN})
COLLISION(own_rekey_meets_own_delete,
          {.a = {REKEY_OWN}, .b = {DELETE_OWN}, .children_min = 1, .children_max = 2, OWN})
COLLISION(own_delete_meets_own_delete,
          {.a = {DELETE_OWN}, .b = {DELETE_OWN}, .children_min = 1, .children_max = 1, OWN})
COLLISION(new_own_meets_ike_rekey,
          {.a = {NEW_OWN}, .b = {REKEY_IKE}, .children_min = 3, .children_max = 3, OWN})
COLLISION(own_rekey_meets_ike_rekey,
          {.a = {REKEY_OWN}, .b = {REKEY_IKE}, .children_min = 2, .children_max = 2, OWN})
COLLISION(new_own_meets_ike_delete, {.a = {NEW_OWN}, .b = {DELETE_IKE}, .gone = true, .own = true})
/* Who has got one from the peer meanwhile does not ask any more. */
COLLISION(everything_own_at_once, {.a = {REKEY_OWN, NEW_OWN},
                                   .b = {NEW_OWN, REKEY_OWN},
                                   .children_min = 3,
                                   .children_max = 4,
                                   OWN})

/* RFC 9370 2.2.4: who has the smallest nonce stops, and nothing is there to be deleted. */
#define FOLLOWS .follows = true, .traffic = true
COLLISION(long_child_rekey_meets_long_child_rekey,
          {.a = {REKEY_CHILD}, .b = {REKEY_CHILD}, .children_min = 1, .children_max = 1, FOLLOWS})
COLLISION(long_ike_rekey_meets_long_ike_rekey,
          {.a = {REKEY_IKE}, .b = {REKEY_IKE}, .children_min = 1, .children_max = 1, FOLLOWS})
COLLISION(long_ike_rekey_meets_long_child_rekey,
          {.a = {REKEY_IKE}, .b = {REKEY_CHILD}, .children_min = 1, .children_max = 1, FOLLOWS})
COLLISION(long_child_rekey_meets_new_child,
          {.a = {REKEY_CHILD}, .b = {NEW_CHILD}, .children_min = 2, .children_max = 2, FOLLOWS})
COLLISION(new_child_meets_long_ike_rekey,
          {.a = {NEW_CHILD}, .b = {REKEY_IKE}, .children_min = 2, .children_max = 2, FOLLOWS})
COLLISION(long_child_rekey_meets_child_delete,
          {.a = {REKEY_CHILD}, .b = {DELETE_CHILD}, .children_max = 1, .follows = true})
COLLISION(long_child_rekey_meets_ike_delete,
          {.a = {REKEY_CHILD}, .b = {DELETE_IKE}, .gone = true, .follows = true})
COLLISION(both_rekey_everything_at_length, {.a = {REKEY_CHILD, REKEY_IKE},
                                            .b = {REKEY_IKE, REKEY_CHILD},
                                            .children_min = 1,
                                            .children_max = 1,
                                            FOLLOWS})
