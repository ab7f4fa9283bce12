/*
 * The explorer: two IKEv2 machines and everything that can happen to them, in every order, to a
 * stated depth. At each moment one of these comes next: a message in flight arrives (any of them),
 * or an answer to a machine's own question; either side begins something; a message is lost, or
 * arrives and comes once more later; and when nothing is in flight, time passes to the next
 * deadline. So many orders and so many faults may be in one life, at any moments of it.
 *
 *     explore                          the depth of the check
 *     explore --orders N --faults N    another one, for all sets (make explore)
 *     explore --only NAME              one set
 *     explore --only NAME --path P     one life again, and what happened in it
 *
 * The paths form a tree that is not kept: each life is run again from its beginning, of which the
 * seed decides all. A state is what both sides ever got and were told, and what is in flight
 * (world_state()): where it was reached before by another path, nothing new can follow. Nothing is
 * left out by that, since the machines are functions of what they are given.
 *
 * Held after every event: world_check(): whoever sends is heard, with the same keys; with no order
 * to delete anything, both always have a child to send through and no SA goes while packets are
 * under way to it. When all is quiet both agree about what is left, and nothing else is there.
 *
 * Authentication anew is a second pair of machines; what the gateway does with two IKE SAs is done
 * here as it does it (gateway/duplicates.c): what is sent goes through the newest, and one side
 * closes the older two seconds later.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exchange/walk.h"
#include "tests/exchange/world.h"
#include "tests/support/test.h"

#define CHOICES_MAX 160
#define WORLDS 2
#define DEPTHS 2
#define SOON_MS 60000 /* what is due later is no part of what goes on now */
#define LIVENESS_MS 600000
#define AFTERWARDS_MS 3600000
#define DECIDES_MS 2000
#define OTHER_DECIDES_MS 20000

enum deed {
    REKEY_CHILD,
    CLOSE_CHILD,
    NEW_CHILD,
    REKEY_IKE,
    CLOSE_IKE,
    MOVE,
    REAUTHENTICATE,
    LIVENESS,
    HEARD, /* the side gets packets through what the peer sends through */
    DEEDS,
};

static const char *const deed_names[DEEDS] = {"rekeys the child",    "closes the child",
                                              "makes another child", "rekeys the IKE SA",
                                              "closes the IKE SA",   "moves",
                                              "authenticates anew",  "asks whether the peer lives",
                                              "gets packets in ESP"};

#define BIT(deed) (1u << (deed))

/* So many orders and so many faults in one life. */
struct depth {
    unsigned orders, faults;
};

struct set {
    const char *name;
    unsigned deeds[2]; /* that each side may begin */
    struct depth depths[DEPTHS]; /* in the check */
    bool follows; /* additional key exchanges (RFC 9370) */
    bool mobile;
    bool answers_wait; /* answers to questions are events like any other */
};

static const struct set sets[] = {
    {.name = "rekey-delete",
     .deeds = {BIT(REKEY_CHILD) | BIT(CLOSE_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_IKE),
               BIT(REKEY_CHILD) | BIT(CLOSE_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_IKE)},
     .depths = {{2, 1}}},
    {.name = "rekey",
     .deeds = {BIT(REKEY_CHILD) | BIT(REKEY_IKE), BIT(REKEY_CHILD) | BIT(REKEY_IKE)},
     .depths = {{2, 0}, {1, 2}}},
    /* A child that two rekey is closed as well. */
    {.name = "unwanted",
     .deeds = {BIT(REKEY_CHILD), BIT(REKEY_CHILD) | BIT(CLOSE_CHILD)},
     .depths = {{3, 0}}},
    {.name = "traffic",
     .deeds = {BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(HEARD),
               BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(HEARD)},
     .depths = {{2, 0}, {1, 1}}},
    {.name = "children",
     .deeds = {BIT(NEW_CHILD) | BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(LIVENESS),
               BIT(NEW_CHILD) | BIT(CLOSE_CHILD) | BIT(REKEY_IKE) | BIT(LIVENESS)},
     .depths = {{2, 0}, {1, 1}}},
    {.name = "follow-up",
     .deeds = {BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_CHILD) | BIT(CLOSE_IKE),
               BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_CHILD) | BIT(CLOSE_IKE)},
     .depths = {{2, 0}, {1, 1}},
     .follows = true},
    {.name = "move",
     .deeds = {BIT(MOVE) | BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_IKE),
               BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_IKE)},
     .depths = {{2, 0}, {1, 1}},
     .mobile = true},
    {.name = "peer-moves",
     .deeds = {BIT(REKEY_CHILD) | BIT(REKEY_IKE), BIT(MOVE) | BIT(REKEY_CHILD) | BIT(REKEY_IKE)},
     .depths = {{2, 0}, {1, 1}},
     .mobile = true},
    {.name = "authenticate",
     .deeds = {BIT(REAUTHENTICATE) | BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_IKE),
               BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_IKE)},
     .depths = {{2, 0}, {1, 1}}},
    {.name = "answers-wait",
     .deeds = {BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_IKE),
               BIT(REKEY_CHILD) | BIT(REKEY_IKE) | BIT(CLOSE_CHILD)},
     .depths = {{1, 1}},
     .answers_wait = true},
};

/* ---- one life ---- */

enum choice_kind { ARRIVES, LOST, DOUBLED, BEGINS, TIME, QUIET };

struct choice {
    enum choice_kind kind;
    uint8_t world, at; /* which message */
    enum world_side_name side;
    enum deed deed;
};

static struct {
    const struct set *set;
    struct depth whole;
    struct world worlds[WORLDS]; /* the second is that of authentication anew */
    bool begun; /* the second is */
    unsigned orders, faults; /* that are left */
    unsigned done[DEEDS];
    unsigned moves;
    uint64_t established_ms; /* of the second; 0 not yet */
    struct choice list[CHOICES_MAX]; /* what can come next */
    bool verbose;
} life;

static void print_path(void)
{
    if (life.set == NULL) {
        return;
    }
    fprintf(stderr, "again: explore --only %s --orders %u --faults %u --path ", life.set->name,
            life.whole.orders, life.whole.faults);
    walk_print_path(stderr);
}

static struct ikev2_sa *machine(size_t world, enum world_side_name side)
{
    return world == 1 && !life.begun ? NULL : life.worlds[world].side[side].sa;
}

static void add_key_exchanges(struct side *s)
{
    char why[256];

    CHECK(proposal_parse(PROTOCOL_IKE, SLICE_TEXT("aes128gcm16-sha256-x25519-ke1_ecp256"),
                         &s->ike_proposals.list[0], why, sizeof(why)));
    for (size_t i = 0; i < ARRAY_LENGTH(s->child_proposals); i++) {
        CHECK(proposal_parse(PROTOCOL_ESP, SLICE_TEXT("aes128gcm16-x25519-ke1_ecp256"),
                             &s->child_proposals[i].list[0], why, sizeof(why)));
    }
}

static void prepare(struct world *w, uint64_t seed)
{
    static struct selector second[2];

    world_init(w, seed);
    for (size_t i = 0; i < 2; i++) {
        struct network n;
        struct side *s = &w->side[i];

        CHECK(network_parse(i == 0 ? SLICE_TEXT("10.11.0.0/16") : SLICE_TEXT("10.12.0.0/16"), &n));
        second[i] = selector_of_network(&n);
        if (life.set->follows) {
            add_key_exchanges(s);
        }
        s->policy.mobile = life.set->mobile;
        s->policy.liveness_ms = LIVENESS_MS;
        s->policy.child_count = 2;
        s->children[1].local = &second[i];
        s->children[1].remote = &second[1 - i];
    }
}

static void life_begin(void)
{
    struct world *w = &life.worlds[0];

    prepare(w, 1);
    life.begun = false;
    life.orders = life.whole.orders;
    life.faults = life.whole.faults;
    life.moves = 0;
    life.established_ms = 0;
    memset(life.done, 0, sizeof(life.done));
    world_connect(w);
    w->traffic_wanted = w->packets_wanted = true;
    w->answers_wait = life.set->answers_wait;
}

static void life_end(void)
{
    world_fini(&life.worlds[0]);
    if (life.begun) {
        world_fini(&life.worlds[1]);
    }
}

static uint64_t life_state(void)
{
    uint64_t state = walk_mix(world_state(&life.worlds[0]), life.orders * 16 + life.faults);

    /* What was done decides what must be in the end. */
    for (size_t i = 0; i < DEEDS; i++) {
        state = walk_mix(state, life.done[i]);
    }
    state = walk_mix(state, life.moves);
    return life.begun ? walk_mix(walk_mix(state, world_state(&life.worlds[1])), life.established_ms)
                      : state;
}

static size_t in_flight(void)
{
    return life.worlds[0].flight_count + (life.begun ? life.worlds[1].flight_count : 0);
}

/* ---- what the gateway does with two IKE SAs ---- */

static uint64_t decide_ms(enum world_side_name side)
{
    return life.established_ms == 0 || machine(0, side) == NULL || machine(1, side) == NULL
               ? NEVER_MS
               : life.established_ms + (side == A ? DECIDES_MS : OTHER_DECIDES_MS);
}

static uint64_t deadline_ms(void)
{
    uint64_t at = world_deadline_ms(&life.worlds[0]);
    uint64_t second = life.begun ? world_deadline_ms(&life.worlds[1]) : NEVER_MS;

    at = second < at ? second : at;
    at = decide_ms(A) < at ? decide_ms(A) : at;
    return decide_ms(B) < at ? decide_ms(B) : at;
}

static void order_close(struct world *w, enum world_side_name side)
{
    w->traffic_wanted = w->packets_wanted = false;
    world_close(w, side);
}

static void time_passes(uint64_t now_ms)
{
    uint64_t due[2] = {decide_ms(A), decide_ms(B)};

    world_set_time(&life.worlds[0], now_ms);
    if (life.begun) {
        world_set_time(&life.worlds[1], now_ms);
    }
    for (size_t i = 0; i < 2; i++) {
        if (due[i] <= now_ms && machine(0, (enum world_side_name)i) != NULL) {
            world_close(&life.worlds[0], (enum world_side_name)i);
        }
    }
}

/* After every event. */
static void look(void)
{
    struct world *w = life.worlds;

    if (!life.begun) {
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        const enum world_side_name side = (enum world_side_name)i;

        w[0].elsewhere[i] = world_child_in_use(&w[1], side) != NULL;
        if (w[0].packets_wanted && !w[0].elsewhere[i] && world_child_in_use(&w[0], side) == NULL) {
            fprintf(stderr, "%c has nothing to send through\n%s", "AB"[i], w[0].history);
            exit(1);
        }
    }
    if (life.established_ms == 0 && w[1].side[A].established == 1 &&
        w[1].side[B].established == 1) {
        life.established_ms = w[1].now_ms;
    }
}

/* ---- orders ---- */

/* The IKE SA that orders are for: the older one while there is one. */
static struct world *world_of(enum world_side_name side)
{
    return machine(0, side) != NULL   ? &life.worlds[0]
           : machine(1, side) != NULL ? &life.worlds[1]
                                      : NULL;
}

static bool is_established(const struct world *w, enum world_side_name side)
{
    struct ikev2_sa_info info;

    ikev2_sa_get_info(w->side[side].sa, &info);
    return info.established;
}

static bool can_begin(enum world_side_name side, enum deed deed)
{
    const struct world *w = world_of(side);

    if ((life.set->deeds[side] & BIT(deed)) == 0 || w == NULL || !is_established(w, side)) {
        return false;
    }
    switch (deed) {
    case REKEY_CHILD:
    case CLOSE_CHILD:
        return world_child_in_use(w, side) != NULL;
    case REAUTHENTICATE:
        return !life.begun;
    case HEARD:
        /* Only what is new can make a difference. */
        return world_child_in_use(w, 1 - side) != NULL && w->side[side].installed_count > 1;
    case NEW_CHILD:
    case REKEY_IKE:
    case CLOSE_IKE:
    case MOVE:
    case LIVENESS:
    case DEEDS:
        return true;
    }
    return true;
}

static void move(struct world *w, enum world_side_name side)
{
    char address[32];

    snprintf(address, sizeof(address), "%s.%u", side == A ? "198.51.100" : "203.0.113",
             10 + life.moves++);
    world_set_addresses(w, side, address);
    world_move(w, side, address, NULL);
}

static void authenticate_anew(void)
{
    struct world *w = &life.worlds[1];

    prepare(w, 2);
    w->now_ms = life.worlds[0].now_ms;
    for (size_t i = 0; i < 2; i++) {
        ikev2_gate_init(&w->side[i].gate, &w->side[i].random, w->now_ms);
    }
    life.begun = true;
    life.worlds[0].traffic_wanted = false; /* looked after by look() */
    w->beside = true;
    w->answers_wait = life.set->answers_wait;
    world_start(w);
}

static void begin(enum world_side_name side, enum deed deed)
{
    struct world *w = world_of(side);

    life.done[deed]++;
    switch (deed) {
    case REKEY_CHILD:
        world_rekey_child(w, side);
        return;
    case CLOSE_CHILD:
        life.worlds[0].traffic_wanted = life.worlds[0].packets_wanted = false;
        world_close_child(w, side);
        return;
    case NEW_CHILD:
        world_new_child(w, side, 1);
        return;
    case REKEY_IKE:
        world_rekey_ike(w, side);
        return;
    case CLOSE_IKE:
        life.worlds[0].traffic_wanted = life.worlds[0].packets_wanted = false;
        order_close(w, side);
        return;
    case MOVE:
        move(w, side);
        return;
    case REAUTHENTICATE:
        authenticate_anew();
        return;
    case LIVENESS:
        world_liveness(w, side);
        return;
    case HEARD:
        world_heard(w, side);
        return;
    case DEEDS:
        return;
    }
}

/* ---- what can come next ---- */

static size_t choices(void)
{
    struct choice *list = life.list;
    size_t count = 0;

    for (size_t world = 0; world < (life.begun ? 2 : 1); world++) {
        const struct world *w = &life.worlds[world];

        for (uint8_t at = 0; at < w->flight_count; at++) {
            list[count++] = (struct choice){.kind = ARRIVES, .world = (uint8_t)world, .at = at};
        }
    }
    if (in_flight() == 0) {
        bool soon = deadline_ms() <= life.worlds[0].now_ms + SOON_MS;

        list[count++] = (struct choice){.kind = soon ? TIME : QUIET};
    }
    for (size_t deed = 0; deed < DEEDS && life.orders > 0; deed++) {
        for (size_t side = 0; side < 2; side++) {
            if (can_begin((enum world_side_name)side, (enum deed)deed)) {
                list[count++] = (struct choice){
                    .kind = BEGINS, .side = (enum world_side_name)side, .deed = (enum deed)deed};
            }
        }
    }
    for (size_t world = 0; world < (life.begun ? 2 : 1) && life.faults > 0; world++) {
        const struct world *w = &life.worlds[world];

        for (uint8_t at = 0; at < w->flight_count; at++) {
            if (!w->flights[at].question) {
                list[count++] = (struct choice){.kind = LOST, .world = (uint8_t)world, .at = at};
                list[count++] = (struct choice){.kind = DOUBLED, .world = (uint8_t)world, .at = at};
            }
        }
    }
    CHECK(count <= CHOICES_MAX);
    return count;
}

static void say(const struct choice *c)
{
    static const char *const words[] = {"arrives", "is lost", "arrives, and will once more"};

    if (!life.verbose) {
        return;
    }
    if (c->kind == BEGINS) {
        printf("%10.3f  %c %s\n", (double)life.worlds[0].now_ms / 1000, "AB"[c->side],
               deed_names[c->deed]);
    } else if (c->kind == TIME || c->kind == QUIET) {
        printf("%10.3f  %s\n", (double)deadline_ms() / 1000, c->kind == TIME ? "time" : "quiet");
    } else {
        const struct flight *f = &life.worlds[c->world].flights[c->at];

        printf("%10.3f  %s%c: %s %s\n", (double)life.worlds[0].now_ms / 1000,
               c->world == 0 ? "" : "(anew) ", "AB"[f->from], f -> words, words[c->kind]);
    }
}

static void quiet(void);

/* True: it was the end. */
static bool happen(size_t which)
{
    const struct choice *c = &life.list[which];
    struct world *w = &life.worlds[c->world];

    say(c);
    switch (c->kind) {
    case ARRIVES:
        world_deliver(w, c->at);
        break;
    case LOST:
        life.faults--;
        world_lose(w, c->at);
        break;
    case DOUBLED:
        life.faults--;
        world_double(w, c->at);
        world_deliver(w, c->at);
        break;
    case BEGINS:
        life.orders--;
        begin(c->side, c->deed);
        break;
    case TIME:
        time_passes(deadline_ms());
        break;
    case QUIET:
        look();
        quiet();
        return true;
    }
    look();
    return false;
}

/* ---- in the end ---- */

static void deliver_everything(void)
{
    while (in_flight() > 0) {
        world_deliver(&life.worlds[life.worlds[0].flight_count > 0 ? 0 : 1], 0);
        look();
    }
}

static void check_children(const struct world *w)
{
    size_t count = w->side[A].installed_count;
    size_t made = life.done[NEW_CHILD];
    size_t closed = life.done[CLOSE_CHILD];

    if (count > 1 + made || count + closed < 1 + (made > 0)) {
        fprintf(stderr, "%zu children in the end, after %zu new and %zu closed\n%s", count, made,
                closed, w->history);
        exit(1);
    }
}

static void check_world(struct world *w)
{
    if (w->side[A].sa == NULL || w->side[B].sa == NULL) {
        world_check_gone(w);
        return;
    }
    check_children(w);
    world_check_settled(w, w->side[A].installed_count);
    if (life.set->mobile) {
        world_check_places(w);
    }
}

static void quiet(void)
{
    uint64_t until = life.worlds[0].now_ms + AFTERWARDS_MS;
    bool old_goes = life.done[CLOSE_IKE] > 0 || life.begun;

    for (size_t i = 0; i < 2; i++) {
        life.worlds[i].answers_wait = false;
    }
    while (deadline_ms() <= until) {
        time_passes(deadline_ms());
        deliver_everything();
        look();
    }
    for (size_t i = 0; i < (life.begun ? 2 : 1); i++) {
        check_world(&life.worlds[i]);
    }
    bool first = machine(0, A) != NULL;
    bool second = machine(1, A) != NULL;

    if ((first && old_goes) || (!first && !old_goes) ||
        (life.begun && !second && life.done[CLOSE_IKE] == 0)) {
        fprintf(stderr, "the IKE SA is %s, and that of authentication anew %s\n%s\n%s",
                first ? "there" : "gone", second ? "there" : "gone", life.worlds[0].history,
                life.begun ? life.worlds[1].history : "");
        exit(1);
    }
}

/* ---- the walk ---- */

static const struct walk_life walked = {.begin = life_begin,
                                        .end = life_end,
                                        .state = life_state,
                                        .choices = choices,
                                        .happen = happen};

static void explore(const struct set *set, struct depth depth)
{
    life.set = set;
    life.whole = depth;
    struct walk_result result = walk_everywhere(&walked);

    printf("ok %s: %u orders and %u faults: %zu states, %" PRIu64
           " lives, the longest of %zu events\n",
           set->name, depth.orders, depth.faults, result.states, result.lives, result.longest);
    fflush(stdout);
    life.set = NULL;
}

static void walk_again(const struct set *set, struct depth depth, const char *path)
{
    life.set = set;
    life.whole = depth;
    life.verbose = true;
    walk_along(&walked, path);
    life.set = NULL;
}

static void run(const struct set *set, const char *orders, const char *faults, const char *path)
{
    struct depth other = set->depths[0];

    if (orders == NULL && faults == NULL && path == NULL) {
        for (size_t i = 0; i < DEPTHS && set->depths[i].orders > 0; i++) {
            explore(set, set->depths[i]);
        }
        return;
    }
    other.orders = orders == NULL ? other.orders : (unsigned)strtoul(orders, NULL, 10);
    other.faults = faults == NULL ? other.faults : (unsigned)strtoul(faults, NULL, 10);
    if (path != NULL) {
        walk_again(set, other, path);
    } else {
        explore(set, other);
    }
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    const char *path = NULL;
    const char *orders = NULL;
    const char *faults = NULL;
    bool found = false;

    for (int i = 1; i + 1 < argc; i += 2) {
        const char **value = strcmp(argv[i], "--only") == 0     ? &only
                             : strcmp(argv[i], "--path") == 0   ? &path
                             : strcmp(argv[i], "--orders") == 0 ? &orders
                             : strcmp(argv[i], "--faults") == 0 ? &faults
                                                                : NULL;

        if (value == NULL) {
            fprintf(stderr, "explore: %s?\n", argv[i]);
            return 2;
        }
        *value = argv[i + 1];
    }
    atexit(print_path);
    for (size_t i = 0; i < ARRAY_LENGTH(sets); i++) {
        if (only == NULL || strcmp(only, sets[i].name) == 0) {
            found = true;
            run(&sets[i], orders, faults, path);
        }
    }
    return found ? 0 : 2;
}
