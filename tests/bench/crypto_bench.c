/*
 * What a packet and a key exchange cost on this machine: the table in src/crypto/protect.c comes
 * from its figures.
 *
 *     crypto_bench [seconds for each figure]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crypto/authenticate.h"
#include "crypto/key_exchange.h"
#include "crypto/protect.h"

#define BATCH_MAX 64
#define PACKET_BYTES 1600

static double seconds_each = 0.02;

static double now(void)
{
    struct timespec t;

    /* Processor time: what else runs on the machine should not count. */
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const struct suite suites[] = {
    {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 128},
    {.encryption = ENCRYPTION_AES_GCM_16, .key_bits = 256},
    {.encryption = ENCRYPTION_CHACHA20_POLY1305},
    {.encryption = ENCRYPTION_AES_GCM_16_IIV, .key_bits = 128},
    {.encryption = ENCRYPTION_NULL_AES_GMAC, .key_bits = 128},
    {.encryption = ENCRYPTION_AES_CCM_16, .key_bits = 128},
    {.encryption = ENCRYPTION_AES_CBC, .key_bits = 128, .integrity = INTEGRITY_HMAC_SHA1_96},
    {.encryption = ENCRYPTION_AES_CBC, .key_bits = 128, .integrity = INTEGRITY_HMAC_SHA2_256_128},
    {.encryption = ENCRYPTION_AES_CBC, .key_bits = 256, .integrity = INTEGRITY_HMAC_SHA2_512_256},
    {.encryption = ENCRYPTION_AES_CBC, .key_bits = 128, .integrity = INTEGRITY_AES_XCBC_96},
    {.encryption = ENCRYPTION_AES_CTR, .key_bits = 128, .integrity = INTEGRITY_HMAC_SHA2_256_128},
    {.encryption = ENCRYPTION_3DES, .integrity = INTEGRITY_HMAC_SHA1_96},
};
static const size_t lengths[] = {64, 1408};
static const size_t batches[] = {1, 2, 4, 8, 16, 32, 64};

static uint8_t packets[BATCH_MAX][PACKET_BYTES];
static uint8_t sealed[BATCH_MAX][PACKET_BYTES];
static uint8_t implicit_ivs[BATCH_MAX][8];

static void jobs_lay(struct protect_job *jobs, size_t count, const struct protect_key *key,
                     size_t iv_bytes, size_t length)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *at = packets[i];
        jobs[i] = (struct protect_job){.key = key,
                                       .aad = at,
                                       .aad_length = 8,
                                       .length = (uint32_t)length,
                                       .iv = iv_bytes > 0 ? at + 8 : implicit_ivs[i],
                                       .data = at + 8 + iv_bytes,
                                       .icv = at + 8 + iv_bytes + length};
    }
}

/* Nanoseconds a packet. Opening begins with a copy of what was sealed, whose cost is measured apart
 * and taken off. */
static double measure(struct protect_engine *engine, const struct protect_key *key, size_t iv_bytes,
                      size_t length, size_t batch, bool opens)
{
    struct protect_job jobs[BATCH_MAX];
    size_t bytes = 8 + iv_bytes + length + 32;
    double copying = 0;

    jobs_lay(jobs, batch, key, iv_bytes, length);
    protect_seal(engine, jobs, batch);
    memcpy(sealed, packets, sizeof(packets));
    for (int pass = opens ? 0 : 1; pass < 2; pass++) {
        size_t done = 0;
        double begin = now();
        double end = begin;
        while (end - begin < seconds_each) {
            for (size_t repeat = 0; repeat < 4; repeat++) {
                for (size_t i = 0; opens && i < batch; i++) {
                    memcpy(packets[i], sealed[i], bytes);
                    __asm__ volatile("" ::"r"(packets[i]) : "memory");
                }
                if (opens && pass == 1) {
                    protect_open(engine, jobs, batch);
                } else if (!opens) {
                    protect_seal(engine, jobs, batch);
                }
                done += batch;
            }
            end = now();
        }
        double each = (end - begin) * 1e9 / (double)done;
        if (pass == 1) {
            for (size_t i = 0; i < batch; i++) {
                if (!jobs[i].ok) {
                    fprintf(stderr, "a packet was refused\n");
                    exit(1);
                }
            }
            return each - copying;
        }
        copying = each;
    }
    return 0;
}

static void bench_suite(struct protect_engine *engine, const struct suite *suite)
{
    static const uint8_t material[128] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct slice secret = {material,
                           suite_encryption_key_bytes(suite) + suite_integrity_key_bytes(suite)};
    struct protect_key *keys[2] = {protect_key_new(suite, secret),
                                   protect_key_new_compact(suite, secret)};
    static const char *const names[2] = {"chosen", "openssl"};
    size_t iv_bytes = algorithm_find(TRANSFORM_ENCRYPTION, suite->encryption)->iv_bytes;
    char title[80];

    suite_title(suite, title, sizeof(title));
    for (size_t which = 0; which < 2; which++) {
        for (size_t l = 0; l < ARRAY_LENGTH(lengths); l++) {
            for (int opens = 0; opens < 2; opens++) {
                printf("%-28s %-8s %-5s %5zu", title, names[which], opens ? "open" : "seal",
                       lengths[l]);
                for (size_t b = 0; b < ARRAY_LENGTH(batches); b++) {
                    printf(" %7.0f", measure(engine, keys[which], iv_bytes, lengths[l], batches[b],
                                             opens == 1));
                }
                printf("\n");
            }
        }
    }
    printf("%-28s key %zu bytes, compact %zu\n", title, protect_key_bytes(keys[0]),
           protect_key_bytes(keys[1]));
    protect_key_free(keys[0]);
    protect_key_free(keys[1]);
}

static double measure_auth(struct protect_engine *engine, const struct auth_key *key, size_t length,
                           size_t batch, bool esn)
{
    struct auth_job jobs[BATCH_MAX];
    size_t done = 0;

    for (size_t i = 0; i < batch; i++) {
        jobs[i] = (struct auth_job){
            .key = key, .data = packets[i], .length = (uint32_t)length, .has_sequence_high = esn};
    }
    double begin = now();
    double end = begin;

    while (end - begin < seconds_each) {
        for (size_t repeat = 0; repeat < 4; repeat++) {
            auth_compute(engine, jobs, batch);
            done += batch;
        }
        end = now();
    }
    return (end - begin) * 1e9 / (double)done;
}

/* The integrity of AH: with the engine that is chosen, with and without ESN. */
static void bench_integrity(struct protect_engine *engine, const struct algorithm *algorithm)
{
    static const uint8_t material[64] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct auth_key *key =
        auth_key_new(algorithm->id, (struct slice){material, algorithm->key_bytes});

    if (key == NULL) {
        return;
    }
    for (size_t l = 0; l < ARRAY_LENGTH(lengths); l++) {
        for (int esn = 0; esn < 2; esn++) {
            printf("AH with %-20s %-8s %-5s %5zu", algorithm->title, auth_key_engine(key),
                   esn ? "esn" : "", lengths[l]);
            for (size_t b = 0; b < ARRAY_LENGTH(batches); b++) {
                printf(" %7.0f", measure_auth(engine, key, lengths[l], batches[b], esn == 1));
            }
            printf("\n");
        }
    }
    printf("AH with %-20s key %zu bytes\n", algorithm->title, auth_key_bytes(key));
    auth_key_free(key);
}

static void bench_group(const struct algorithm *group)
{
    struct seeded_random seeded;

    seeded_random_init(&seeded, group->id);
    struct random_source random = seeded_random_source(&seeded);
    struct key_pair ours;
    struct key_pair theirs = {.group = group->id};
    struct secret shared = {0};
    size_t made = 0, answered = 0, agreed = 0;

    if (!key_pair_make(group->id, &random, &ours)) {
        return;
    }
    double begin = now();

    while (now() - begin < seconds_each * 5 && key_pair_make(group->id, &random, &theirs)) {
        key_pair_wipe(&theirs);
        made++;
    }
    double making = (now() - begin) / (double)made;
    struct slice first = {ours.public_value, ours.public_length};

    begin = now();
    while (now() - begin < seconds_each * 5 &&
           key_answer(group->id, &random, first, &theirs, &shared)) {
        secret_wipe(&theirs.private_key);
        answered++;
    }
    double answering = (now() - begin) / (double)answered;
    struct slice second = {theirs.public_value, theirs.public_length};

    begin = now();
    while (now() - begin < seconds_each * 5 && key_agree(&ours, second, &shared)) {
        agreed++;
    }
    double agreeing = (now() - begin) / (double)agreed;

    printf("%-14s make %8.1f us, agree %8.1f us, answer %8.1f us: %8.0f answers a second\n",
           group->title, making * 1e6, agreeing * 1e6, answering * 1e6, 1 / answering);
    secret_wipe(&shared);
    key_pair_wipe(&ours);
    key_pair_wipe(&theirs);
}

int main(int argc, char **argv)
{
    const struct algorithm *algorithm;

    if (argc > 1) {
        seconds_each = strtod(argv[1], NULL);
    }
    if (!protect_start(PROTECT_AUTOMATIC)) {
        fprintf(stderr, "the engines do not work\n");
        return 1;
    }
    struct protect_engine *engine = protect_engine_new();

    for (size_t i = 0; protect_report(i) != NULL; i++) {
        printf("%s\n", protect_report(i));
    }
    printf("\nnanoseconds a packet, in bursts of");
    for (size_t b = 0; b < ARRAY_LENGTH(batches); b++) {
        printf(" %zu", batches[b]);
    }
    printf("\n");
    for (size_t i = 0; engine != NULL && i < ARRAY_LENGTH(suites); i++) {
        bench_suite(engine, &suites[i]);
    }
    for (size_t i = 0; engine != NULL && (algorithm = algorithm_at(i)) != NULL; i++) {
        if (algorithm->type == TRANSFORM_INTEGRITY) {
            bench_integrity(engine, algorithm);
        }
    }
    printf("\n");
    for (size_t i = 0; (algorithm = algorithm_at(i)) != NULL; i++) {
        if (algorithm->type == TRANSFORM_KEY_EXCHANGE) {
            bench_group(algorithm);
        }
    }
    protect_engine_free(engine);
    return 0;
}
