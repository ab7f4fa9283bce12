/* Decides which path comes next, and which states were there before. */
#include "tests/exchange/walk.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/test.h"

#define LENGTH_MAX 512
#define STATES_MAX_LOG2 27

/* ---- states that were there before ---- */

/* Open addressing; 0 is free. */
static struct {
    uint64_t *list;
    unsigned size_log2;
    size_t count;
} states;

/* Where it is, or its place. */
static uint64_t *states_place(uint64_t state)
{
    const size_t last = ((size_t)1 << states.size_log2) - 1;
    size_t at = (size_t)((state * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - states.size_log2));

    while (states.list[at] != 0 && states.list[at] != state) {
        at = (at + 1) & last;
    }
    return &states.list[at];
}

static void states_make(unsigned size_log2)
{
    states.list = calloc((size_t)1 << size_log2, sizeof(*states.list));
    states.size_log2 = size_log2;
    if (states.list == NULL || size_log2 > STATES_MAX_LOG2) {
        fprintf(stderr, "explore: too many states to remember; a smaller depth\n");
        exit(2);
    }
}

static void states_grow(void)
{
    uint64_t *old = states.list;
    size_t old_size = (size_t)1 << states.size_log2;

    states_make(states.size_log2 + 2);
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] != 0) {
            *states_place(old[i]) = old[i];
        }
    }
    free(old);
}

/* False: it is there already. */
static bool states_add(uint64_t state)
{
    state = state == 0 ? 1 : state;
    uint64_t *place = states_place(state);

    if (*place == state) {
        return false;
    }
    *place = state;
    states.count++;
    if (states.count > ((size_t)1 << states.size_log2) / 2) {
        states_grow();
    }
    return true;
}

uint64_t walk_mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ (hash >> 32);
}

/* ---- the walk ---- */

static struct {
    unsigned char taken[LENGTH_MAX], width[LENGTH_MAX];
    size_t depth, length;
    struct walk_result result;
} path;

void walk_print_path(FILE *out)
{
    for (size_t i = 0; i < path.depth; i++) {
        fprintf(out, "%s%u", i == 0 ? "" : ".", path.taken[i]);
    }
    fputc('\n', out);
}

/* Along the path, and from its end always the first of what was not seen. */
static void walk(const struct walk_life *life)
{
    life->begin();
    path.depth = 0;
    for (;;) {
        bool known = path.depth < path.length;

        if (!known && !states_add(life->state())) {
            break;
        }
        size_t count = life->choices();

        CHECK(path.depth < LENGTH_MAX && count <= UINT8_MAX);
        if (!known) {
            path.taken[path.depth] = 0;
            path.length++;
        }
        CHECK(path.taken[path.depth] < count);
        path.width[path.depth] = (unsigned char)count;
        if (life->happen(path.taken[path.depth++])) {
            break;
        }
    }
    life->end();
    path.result.lives++;
    path.result.longest = path.depth > path.result.longest ? path.depth : path.result.longest;
}

static bool next_path(void)
{
    path.length = path.depth;
    while (path.length > 0) {
        size_t last = path.length - 1;

        if (path.taken[last] + 1 < path.width[last]) {
            path.taken[last]++;
            return true;
        }
        path.length--;
    }
    return false;
}

struct walk_result walk_everywhere(const struct walk_life *life)
{
    states_make(16);
    states.count = 0;
    path.length = 0;
    path.result = (struct walk_result){.lives = 0};
    do {
        walk(life);
    } while (next_path());
    path.result.states = states.count;
    free(states.list);
    return path.result;
}

void walk_along(const struct walk_life *life, const char *words)
{
    states_make(16);
    path.length = 0;
    while (*words != '\0') {
        CHECK(path.length < LENGTH_MAX);
        path.taken[path.length++] = (unsigned char)strtoul(words, NULL, 10);
        words += strcspn(words, ".");
        words += *words == '.';
    }
    walk(life);
    free(states.list);
}
