/*
 * A walk through everything that can happen, in every order: a life is begun, at each moment it
 * says how many things can come next, and one of them happens. The paths form a tree that is not
 * kept: each life is run again from its beginning. Where a state was reached before by another
 * path, nothing new can follow.
 */
#ifndef SEKISHO_TESTS_EXCHANGE_WALK_H
#define SEKISHO_TESTS_EXCHANGE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct walk_life {
    void (*begin)(void);
    void (*end)(void);
    uint64_t (*state)(void); /* a hash of all that can matter from now on */
    size_t (*choices)(void); /* at most 255 */
    bool (*happen)(size_t which); /* true: it was the end */
};

struct walk_result {
    size_t states;
    uint64_t lives;
    size_t longest; /* events of a life */
};

struct walk_result walk_everywhere(const struct walk_life *life);
/* One life again: numbers with points between. */
void walk_along(const struct walk_life *life, const char *path);
/* The path that is walked just now. */
void walk_print_path(FILE *out);
uint64_t walk_mix(uint64_t hash, uint64_t value);

#endif
