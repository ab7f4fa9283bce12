/*
 * The explorer of IKEv1: two gateways' worth of IKEv1 machines and everything that can happen to
 * them, in every order, to a stated depth. At each moment one of these comes next: a message in
 * flight arrives (any of them), is lost, or arrives and comes once more later; either side begins
 * something; and when nothing is in flight, time passes to the next deadline.
 *
 *     explore_old                          the depth of the check
 *     explore_old --orders N --faults N    another one, for all sets (make explore)
 *     explore_old --only NAME              one set
 *     explore_old --only NAME --path P     one life again, and what happened in it
 *
 * Held after every event, while nobody was told to delete anything or died, once they are up:
 * whoever sends through a child is heard by the other, with the same keys. When all is quiet there
 * is one tunnel between the two, which carries both ways, and the same children on both sides;
 * after both have closed, nothing is left: no machine, no cookie, no SPI. Where a Delete was lost
 * or its sender died, which nobody confirms in IKEv1, the same holds after both have closed and
 * begun anew.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/exchange/walk.h"
#include "tests/support/ikev1_pair.h"
#include "tests/support/test.h"

#define CHOICES_MAX 200
#define DEPTHS 2
#define SOON_MS 60000 /* what is due later is no part of what goes on now */
#define AFTERWARDS_MS 900000

enum deed {
    BEGIN,
    REKEY_CHILD,
    CLOSE_CHILD,
    NEW_CHILD,
    REKEY_IKE,
    CLOSE_IKE,
    LIVENESS,
    DIE,
    DEEDS
};

static const char *const deed_names[DEEDS] = {"begins",
                                              "rekeys the child",
                                              "closes the child",
                                              "makes another child",
                                              "begins another phase 1",
                                              "closes everything",
                                              "asks whether the peer lives",
                                              "dies"};

#define BIT(deed) (1u << (deed))

/* So many orders and so many faults in one life. */
struct depth {
    unsigned orders, faults;
};

struct set {
    const char *name;
    unsigned deeds[2]; /* that each side may begin */
    struct depth depths[DEPTHS]; /* in the check */
    bool apart; /* nothing is there in the beginning */
    bool aggressive;
    bool nat;
};

static const struct set sets[] = {
    {.name = "rekey",
     .deeds = {BIT(REKEY_CHILD) | BIT(REKEY_IKE), BIT(REKEY_CHILD) | BIT(REKEY_IKE)},
     .depths = {{2, 0}, {1, 1}}},
    {.name = "rekey-aggressive",
     .deeds = {BIT(REKEY_CHILD) | BIT(REKEY_IKE), BIT(REKEY_CHILD) | BIT(REKEY_IKE)},
     .depths = {{2, 0}, {1, 1}},
     .aggressive = true,
     .nat = true},
    {.name = "delete",
     .deeds = {BIT(REKEY_CHILD) | BIT(CLOSE_CHILD) | BIT(CLOSE_IKE),
               BIT(REKEY_IKE) | BIT(CLOSE_CHILD) | BIT(CLOSE_IKE)},
     .depths = {{1, 1}}},
    {.name = "children",
     .deeds = {BIT(NEW_CHILD) | BIT(LIVENESS), BIT(NEW_CHILD) | BIT(REKEY_CHILD) | BIT(LIVENESS)},
     .depths = {{2, 0}, {1, 1}}},
    {.name = "die",
     .deeds = {BIT(REKEY_CHILD) | BIT(DIE), BIT(REKEY_IKE) | BIT(DIE) | BIT(BEGIN)},
     .depths = {{2, 0}}},
    {.name = "begin", .deeds = {BIT(BEGIN), BIT(BEGIN)}, .depths = {{1, 1}}, .apart = true},
    {.name = "begin-aggressive",
     .deeds = {BIT(BEGIN), BIT(BEGIN)},
     .depths = {{1, 1}},
     .apart = true,
     .aggressive = true},
};

/* ---- one life ---- */

enum choice_kind { ARRIVES, LOST, DOUBLED, BEGINS, TIME, QUIET };

struct choice {
    enum choice_kind kind;
    size_t at; /* which message */
    unsigned side;
    enum deed deed;
};

static struct {
    const struct set *set;
    struct depth whole;
    struct ikev1_pair *pair;
    uint64_t past[2]; /* hashes of all that each side ever got or was told, and when */
    unsigned orders, faults; /* that are left */
    unsigned done[DEEDS];
    bool lost;
    struct choice list[CHOICES_MAX];
    bool verbose;
} life;

static void print_path(void)
{
    if (life.set == NULL) {
        return;
    }
    fprintf(stderr, "%s\nagain: explore_old --only %s --orders %u --faults %u --path ",
            life.pair == NULL ? "" : life.pair->transcript, life.set->name, life.whole.orders,
            life.whole.faults);
    walk_print_path(stderr);
}

static uint64_t hash_datagram(const struct pair1_datagram *d)
{
    uint64_t hash = walk_mix(d->to + 1, ((uint64_t)d->peer.port << 16) + d->local.port);

    for (size_t i = 0; i < d->length; i++) {
        hash = walk_mix(hash, d->bytes[i]);
    }
    return hash;
}

static void remember(unsigned side, uint64_t what)
{
    life.past[side] = walk_mix(walk_mix(life.past[side], life.pair->now_ms), what);
}

static void prepare(void)
{
    life.pair = ikev1_pair_new(1);
    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *s = &life.pair->side[i];

        ikev1_pair_set_ike(life.pair, i, "aes128-sha1-x25519");
        ikev1_pair_set_esp(life.pair, i, "aes128-sha1");
        s->policy.liveness_ms = 300000;
        s->policy.aggressive = s->responder.aggressive = life.set->aggressive;
        s->says_initial_contact = true;
    }
    life.pair->nat = life.set->nat;
    ikev1_pair_add_child(life.pair, 1);
    for (unsigned i = 0; i < 2; i++) {
        struct pair1_side *s = &life.pair->side[i];
        struct network n = {.address = address_ipv4(i == 0 ? 0x0a0b0000 : 0x0a0c0000),
                            .prefix_bits = 16};

        s->children_policy[1].start = false;
        s->local[1][0] = selector_of_network(&n);
        life.pair->side[1 - i].remote[1][0] = s->local[1][0];
    }
}

static void life_begin(void)
{
    prepare();
    life.orders = life.whole.orders;
    life.faults = life.whole.faults;
    life.lost = false;
    life.past[0] = life.past[1] = 0;
    memset(life.done, 0, sizeof(life.done));
    if (!life.set->apart) {
        ikev1_pair_start(life.pair, 0);
        CHECK(ikev1_pair_run(life.pair));
        CHECK(ikev1_pair_packet(life.pair, 0, "net") && ikev1_pair_packet(life.pair, 1, "net"));
        life.pair->transcript[0] = '\0';
    }
}

static void life_end(void)
{
    ikev1_pair_free(life.pair);
    life.pair = NULL;
}

static uint64_t life_state(void)
{
    uint64_t flying = 0;
    uint64_t state = walk_mix(life.orders * 16 + life.faults, life.lost);

    for (size_t i = 0; i < life.pair->queue_count; i++) {
        flying += hash_datagram(&life.pair->queue[i]);
    }
    for (size_t i = 0; i < DEEDS; i++) {
        state = walk_mix(state, life.done[i]);
    }
    return walk_mix(walk_mix(walk_mix(state, flying), life.past[0]), life.past[1]);
}

/* ---- what can come next ---- */

static bool is_established(unsigned side)
{
    struct ikev1_sa_info info;
    struct ikev1_sa *sa = ikev1_pair_sa(life.pair, side);

    if (sa == NULL) {
        return false;
    }
    ikev1_sa_get_info(sa, &info);
    return info.established;
}

static bool can_begin(unsigned side, enum deed deed)
{
    if ((life.set->deeds[side] & BIT(deed)) == 0) {
        return false;
    }
    switch (deed) {
    case BEGIN:
        return ikev1_pair_sa(life.pair, side) == NULL;
    case REKEY_CHILD:
    case CLOSE_CHILD:
        return is_established(side) && ikev1_pair_outbound(life.pair, side, "net") != NULL;
    case NEW_CHILD:
    case REKEY_IKE:
    case CLOSE_IKE:
    case LIVENESS:
        return is_established(side);
    case DIE:
        return ikev1_pair_machines(life.pair, side) > 0;
    case DEEDS:
        return false;
    }
    return false;
}

static uint64_t deadline_ms(void)
{
    return ikev1_pair_deadline_ms(life.pair);
}

static size_t choices(void)
{
    struct choice *list = life.list;
    size_t count = 0;

    for (size_t at = 0; at < life.pair->queue_count; at++) {
        list[count++] = (struct choice){.kind = ARRIVES, .at = at};
    }
    if (life.pair->queue_count == 0) {
        bool soon = deadline_ms() <= life.pair->now_ms + SOON_MS;

        list[count++] = (struct choice){.kind = soon ? TIME : QUIET};
    }
    for (unsigned deed = 0; deed < DEEDS && life.orders > 0; deed++) {
        for (unsigned side = 0; side < 2; side++) {
            if (can_begin(side, (enum deed)deed)) {
                list[count++] =
                    (struct choice){.kind = BEGINS, .side = side, .deed = (enum deed)deed};
            }
        }
    }
    for (size_t at = 0; at < life.pair->queue_count && life.faults > 0; at++) {
        list[count++] = (struct choice){.kind = LOST, .at = at};
        list[count++] = (struct choice){.kind = DOUBLED, .at = at};
    }
    CHECK(count <= CHOICES_MAX);
    return count;
}

static void say(const struct choice *c)
{
    static const char *const words[] = {"arrives", "is lost", "arrives, and will once more"};
    double now = (double)life.pair->now_ms / 1000;

    if (!life.verbose) {
        return;
    }
    if (c->kind == BEGINS) {
        printf("%10.3f  %u %s\n", now, c->side, deed_names[c->deed]);
    } else if (c->kind == TIME || c->kind == QUIET) {
        printf("%10.3f  %s\n", now, c->kind == TIME ? "time" : "quiet");
    } else {
        const struct pair1_datagram *d = &life.pair->queue[c->at];

        printf("%10.3f  to %u: %zu octets, exchange %u, message ID %08x %s\n", now, d->to,
               d->length, d->bytes[18], (unsigned)get_u32(d->bytes + 20), words[c->kind]);
    }
}

static void begin(unsigned side, enum deed deed)
{
    struct ikev1_pair *p = life.pair;

    life.done[deed]++;
    remember(side, 0x10000 + deed);
    switch (deed) {
    case BEGIN:
        ikev1_pair_start(p, side);
        return;
    case REKEY_CHILD:
        ikev1_pair_rekey_child(p, side, ikev1_pair_outbound(p, side, "net")->info.spi_in);
        return;
    case CLOSE_CHILD:
        ikev1_pair_close_child(p, side, ikev1_pair_outbound(p, side, "net")->info.spi_in);
        return;
    case NEW_CHILD:
        ikev1_pair_start_child(p, side, 1);
        return;
    case REKEY_IKE:
        ikev1_pair_rekey(p, side);
        return;
    case CLOSE_IKE:
        ikev1_pair_close(p, side);
        return;
    case LIVENESS:
        ikev1_pair_ask_liveness(p, side);
        return;
    case DIE:
        ikev1_pair_reboot(p, side);
        return;
    case DEEDS:
        return;
    }
}

/* Nobody deleted anything or died: what one side sends, the other can read. */
static bool is_whole(void)
{
    return life.done[CLOSE_CHILD] == 0 && life.done[CLOSE_IKE] == 0 && life.done[DIE] == 0;
}

/* Where both begin, one may still use what the other just gave up for something newer. */
static void look(void)
{
    CHECK(!is_whole() || life.set->apart || ikev1_pair_agrees(life.pair));
    for (unsigned i = 0; i < 2; i++) {
        CHECK(ikev1_pair_live_children(life.pair, i) <= 12);
    }
}

static void arrive(size_t at)
{
    const struct pair1_datagram *d = &life.pair->queue[at];

    remember(d->to, hash_datagram(d));
}

static void quiet(void);

static bool happen(size_t which)
{
    const struct choice c = life.list[which];

    say(&c);
    switch (c.kind) {
    case ARRIVES:
        arrive(c.at);
        ikev1_pair_deliver(life.pair, c.at);
        break;
    case LOST:
        life.faults--;
        life.lost = true;
        ikev1_pair_drop(life.pair, c.at);
        break;
    case DOUBLED:
        life.faults--;
        arrive(c.at);
        ikev1_pair_deliver_copy(life.pair, c.at);
        break;
    case BEGINS:
        life.orders--;
        begin(c.side, c.deed);
        break;
    case TIME:
        ikev1_pair_jump(life.pair, deadline_ms() - life.pair->now_ms);
        remember(0, 1);
        remember(1, 1);
        break;
    case QUIET:
        quiet();
        return true;
    }
    look();
    return false;
}

/* ---- in the end ---- */

static void check_tunnel(void)
{
    struct ikev1_pair *p = life.pair;
    size_t live = ikev1_pair_live_children(p, 0);

    CHECK_EQUAL(ikev1_pair_machines(p, 0), 1);
    CHECK_EQUAL(ikev1_pair_machines(p, 1), 1);
    CHECK(ikev1_pair_packet(p, 0, "net") && ikev1_pair_packet(p, 1, "net"));
    CHECK(life.done[NEW_CHILD] == 0 || ikev1_pair_packet(p, 0, "child1"));
    CHECK(ikev1_pair_agrees(p));
    CHECK_EQUAL(live, ikev1_pair_live_children(p, 1));
    /* Two that were made at the same time both stay. */
    CHECK(live >= 1 && live <= 2 + 2 * life.done[NEW_CHILD]);
}

static void close_both(void)
{
    for (unsigned i = 0; i < 2; i++) {
        if (ikev1_pair_sa(life.pair, i) != NULL) {
            ikev1_pair_close(life.pair, i);
        }
    }
    ikev1_pair_advance(life.pair, 120000);
    CHECK(ikev1_pair_is_empty(life.pair, 0) && ikev1_pair_is_empty(life.pair, 1));
}

static void quiet(void)
{
    struct ikev1_pair *p = life.pair;

    ikev1_pair_advance(p, AFTERWARDS_MS);
    if (is_whole() && !(life.set->apart && life.done[BEGIN] == 0)) {
        check_tunnel();
    }
    close_both();
    if (!is_whole()) {
        ikev1_pair_start(p, 1);
        ikev1_pair_advance(p, 60000);
        life.done[NEW_CHILD] = 0;
        check_tunnel();
        close_both();
    }
}

/* ---- the walk ---- */

static const struct walk_life walked = {.begin = life_begin,
                                        .end = life_end,
                                        .state = life_state,
                                        .choices = choices,
                                        .happen = happen};

static void run(const struct set *set, struct depth depth, const char *path)
{
    life.set = set;
    life.whole = depth;
    if (path != NULL) {
        life.verbose = true;
        walk_along(&walked, path);
    } else {
        struct walk_result result = walk_everywhere(&walked);

        printf("ok %s: %u orders and %u faults: %zu states, %" PRIu64
               " lives, the longest of %zu events\n",
               set->name, depth.orders, depth.faults, result.states, result.lives, result.longest);
        fflush(stdout);
    }
    life.set = NULL;
}

static void run_set(const struct set *set, const char *orders, const char *faults, const char *path)
{
    struct depth other = set->depths[0];

    for (size_t i = 0; i < DEPTHS && orders == NULL && faults == NULL && path == NULL; i++) {
        if (set->depths[i].orders > 0) {
            run(set, set->depths[i], NULL);
        }
    }
    if (orders != NULL || faults != NULL || path != NULL) {
        other.orders = orders == NULL ? other.orders : (unsigned)strtoul(orders, NULL, 10);
        other.faults = faults == NULL ? other.faults : (unsigned)strtoul(faults, NULL, 10);
        run(set, other, path);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"--only", "--path", "--orders", "--faults"};
    const char *values[ARRAY_LENGTH(names)] = {NULL};
    bool found = false;

    for (int i = 1; i + 1 < argc; i += 2) {
        size_t which = 0;

        while (which < ARRAY_LENGTH(names) && strcmp(argv[i], names[which]) != 0) {
            which++;
        }
        if (which == ARRAY_LENGTH(names)) {
            fprintf(stderr, "explore_old: %s?\n", argv[i]);
            return 2;
        }
        values[which] = argv[i + 1];
    }
    atexit(print_path);
    for (size_t i = 0; i < ARRAY_LENGTH(sets); i++) {
        if (values[0] == NULL || strcmp(values[0], sets[i].name) == 0) {
            found = true;
            run_set(&sets[i], values[2], values[3], values[1]);
        }
    }
    return found ? 0 : 2;
}
