/*
 * Decides how every target is run again in each build: all files of its corpus, all their
 * truncations, and a fixed number of mutations whose seed is fixed too, so that two runs do the
 * same.
 *
 * fuzz_replay              all targets fuzz_replay NAME         one target fuzz_replay NAME FILE..
 * these inputs only
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"
#include "fuzz.h"

#define SEEDS_MAX 512
#define SEED_BYTES_MAX 65536
#define TRUNCATED_BYTES_MAX 2048
#define CHANGES_MAX 6

struct seed {
    char name[256];
    uint8_t *bytes;
    size_t length;
};

static struct seed seeds[SEEDS_MAX];
static size_t seed_count;

/* What was running when the program died. */
static const char *doing_target = "";
static const char *doing_seed = "";
static const char *doing_what = "";
static size_t doing_number;
static const uint8_t *input;
static size_t input_length;

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void tell(void)
{
    static const char file[] = "fuzz-crash";
    FILE *out = fopen(file, "wb");

    fprintf(stderr, "died at %s/%s %s %zu; the input is in %s\n", doing_target, doing_seed,
            doing_what, doing_number, file);
    if (out != NULL) {
        fwrite(input, 1, input_length, out);
        fclose(out);
    }
}

static void on_signal(int number)
{
    signal(number, SIG_DFL);
    tell();
    raise(number);
}

static void note(const struct fuzz_target *target, const char *seed, const char *what,
                 size_t number)
{
    doing_target = target->name;
    doing_seed = seed;
    doing_what = what;
    doing_number = number;
}

static void run(struct fuzz_target *target, const uint8_t *bytes, size_t length)
{
    /* A block of exactly this size, so that the sanitizer sees one byte too far. */
    uint8_t *exact = malloc(length > 0 ? length : 1);

    if (exact == NULL) {
        abort();
    }
    memcpy(exact, bytes, length);
    input = exact;
    input_length = length;
    (void)target->run(exact, length);
    free(exact);
    input = NULL;
    input_length = 0;
}

/* --- seeds --- */

static bool load(const char *path, struct seed *seed)
{
    FILE *in = fopen(path, "rb");

    if (in == NULL) {
        return false;
    }
    seed->bytes = malloc(SEED_BYTES_MAX);
    if (seed->bytes == NULL) {
        abort();
    }
    seed->length = fread(seed->bytes, 1, SEED_BYTES_MAX, in);
    fclose(in);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct seed *)a)->name, ((const struct seed *)b)->name);
}

static void forget_seeds(void)
{
    for (size_t i = 0; i < seed_count; i++) {
        free(seeds[i].bytes);
    }
    seed_count = 0;
}

static void load_corpus(const char *target)
{
    char folder[512];
    char path[1024];

    forget_seeds();
    snprintf(folder, sizeof(folder), "%s/%s", FUZZ_CORPUS, target);
    DIR *listing = opendir(folder);
    struct dirent *entry;

    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        struct seed *seed = &seeds[seed_count];

        if (entry->d_name[0] == '.' || seed_count == SEEDS_MAX) {
            continue;
        }
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        snprintf(seed->name, sizeof(seed->name), "%s", entry->d_name);
        seed_count += load(path, seed) ? 1 : 0;
    }
    if (listing != NULL) {
        closedir(listing);
    }
    /* The order of a folder is not the same everywhere. */
    qsort(seeds, seed_count, sizeof(seeds[0]), by_name);
}

/* --- mutations --- */

struct mutant {
    uint8_t bytes[SEED_BYTES_MAX + 64];
    size_t length;
};

static void change_byte(struct random_source *random, struct mutant *m)
{
    static const uint8_t telling[] = {0,    1,    2,    3,    4,    7,    8,    0x0f,
                                      0x10, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff};
    size_t at = random_below(random, (uint32_t)m->length);

    switch (random_below(random, 4)) {
    case 0:
        m->bytes[at] ^= (uint8_t)(1u << random_below(random, 8));
        break;
    case 1:
        m->bytes[at] = telling[random_below(random, sizeof(telling))];
        break;
    case 2:
        m->bytes[at] = (uint8_t)(m->bytes[at] + random_below(random, 9) - 4);
        break;
    default:
        m->bytes[at] = (uint8_t)random_below(random, 256);
        break;
    }
}

static void cut_out(struct random_source *random, struct mutant *m)
{
    size_t at = random_below(random, (uint32_t)m->length);
    size_t count = 1 + random_below(random, (uint32_t)(m->length - at < 16 ? m->length - at : 16));

    memmove(m->bytes + at, m->bytes + at + count, m->length - at - count);
    m->length -= count;
}

static void insert(struct random_source *random, struct mutant *m, const struct seed *from)
{
    size_t at = random_below(random, (uint32_t)m->length + 1);
    size_t start = from->length == 0 ? 0 : random_below(random, (uint32_t)from->length);
    size_t count = from->length - start;

    count = count > 32 ? 32 : count;
    if (m->length + count > SEED_BYTES_MAX) {
        return;
    }
    memmove(m->bytes + at + count, m->bytes + at, m->length - at);
    memcpy(m->bytes + at, from->bytes + start, count);
    m->length += count;
}

static void mutate(struct random_source *random, struct mutant *m)
{
    unsigned changes = 1 + random_below(random, CHANGES_MAX);

    for (unsigned i = 0; i < changes; i++) {
        unsigned kind = random_below(random, 10);

        if (kind == 0 || m->length == 0) {
            insert(random, m, &seeds[random_below(random, (uint32_t)seed_count)]);
        } else if (kind == 1) {
            cut_out(random, m);
        } else {
            change_byte(random, m);
        }
    }
}

static unsigned number_from(const char *variable, unsigned otherwise)
{
    const char *text = getenv(variable);

    return text == NULL ? otherwise : (unsigned)strtoul(text, NULL, 10);
}

static void replay(struct fuzz_target *target)
{
    static struct mutant m;
    struct seeded_random seeded;
    struct random_source random = seeded_random_source(&seeded);

    seeded_random_init(&seeded, number_from("FUZZ_SEED", 20260101));
    target->rounds = number_from("FUZZ_ROUNDS", target->rounds);
    load_corpus(target->name);
    if (seed_count == 0) {
        printf("FAIL %s: no seeds in %s/%s\n", target->name, FUZZ_CORPUS, target->name);
        exit(1);
    }
    for (size_t i = 0; i < seed_count; i++) {
        size_t longest =
            seeds[i].length < TRUNCATED_BYTES_MAX ? seeds[i].length : TRUNCATED_BYTES_MAX;

        note(target, seeds[i].name, "whole", seeds[i].length);
        run(target, seeds[i].bytes, seeds[i].length);
        /* As many truncations of all seeds as there are mutations, evenly, all of them where that
         * is enough. */
        size_t step = 1 + longest * seed_count / (target->rounds + 1);

        for (size_t length = 0; length < longest; length += step) {
            note(target, seeds[i].name, "cut to", length);
            run(target, seeds[i].bytes, length);
        }
    }
    for (unsigned round = 0; round < target->rounds; round++) {
        const struct seed *seed = &seeds[round % seed_count];

        note(target, seed->name, "round", round);
        memcpy(m.bytes, seed->bytes, seed->length);
        m.length = seed->length;
        mutate(&random, &m);
        run(target, m.bytes, m.length);
    }
    printf("ok %s: %zu seeds, %u mutations\n", target->name, seed_count, target->rounds);
    fflush(stdout);
}

static void run_files(struct fuzz_target *target, int count, char **paths)
{
    for (int i = 0; i < count; i++) {
        struct seed seed;

        if (!load(paths[i], &seed)) {
            fprintf(stderr, "%s: cannot be read\n", paths[i]);
            exit(1);
        }
        note(target, paths[i], "whole", seed.length);
        run(target, seed.bytes, seed.length);
        free(seed.bytes);
    }
}

int main(int argc, char **argv)
{
    unsigned done = 0;

    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(tell);
    }
    for (struct fuzz_target *target = fuzz_first(); target != NULL; target = target->next) {
        if (argc > 1 && strcmp(argv[1], target->name) != 0) {
            continue;
        }
        if (argc > 2) {
            run_files(target, argc - 2, argv + 2);
        } else {
            replay(target);
        }
        done++;
    }
    forget_seeds();
    if (done == 0) {
        fprintf(stderr, "no such target\n");
        return 1;
    }
    return 0;
}
