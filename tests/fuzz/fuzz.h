/*
 * FUZZ(name, rounds) { ... return 0; } defines a target over `data` and `size` that registers
 * itself: the replay runs all of them over their corpora and `rounds` mutations each, a libFuzzer
 * program runs the one that it was linked with.
 */
#ifndef SEKISHO_TESTS_FUZZ_FUZZ_H
#define SEKISHO_TESTS_FUZZ_FUZZ_H

#include "base/bytes.h"

struct fuzz_target {
    const char *name;
    int (*run)(const uint8_t *data, size_t size);
    unsigned rounds;
    struct fuzz_target *next;
};

void fuzz_register(struct fuzz_target *target);
struct fuzz_target *fuzz_first(void);

/* The program ends and says where: what must hold for every input did not. */
_Noreturn void fuzz_fail(const char *condition, const char *file, int line);
#define MUST(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

#define FUZZ(target_name, target_rounds)                                                           \
    int fuzz_##target_name(const uint8_t *data, size_t size);                                      \
    static struct fuzz_target target_##target_name = {                                             \
        .name = #target_name, .run = fuzz_##target_name, .rounds = (target_rounds)};               \
    __attribute__((constructor)) static void register_##target_name(void)                          \
    {                                                                                              \
        fuzz_register(&target_##target_name);                                                      \
    }                                                                                              \
    int fuzz_##target_name(const uint8_t *data, size_t size)

#endif
