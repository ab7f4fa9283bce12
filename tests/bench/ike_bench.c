/*
 * What an IKEv2 handshake costs the responder: the gateway and its data plane as the daemon has
 * them, without sockets; the time of the callers is not counted.
 *
 *     ike_bench [handshakes [group [ike suite words]]]
 *
 * Of the responder's time the public-key operations are measured apart; they alone are the bound of
 * any implementation. Instructions of the responder alone:
 *
 *     IKE_BENCH_STOP=1 valgrind --tool=callgrind --toggle-collect=crowd_hub_turn ike_bench 500
 */
#define _GNU_SOURCE 1 /* RUSAGE_THREAD */
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "host/entropy.h"
#include "tests/support/crowd.h"

static struct crowd crowd;
static struct random_source entropy;
static double exchange_seconds, exchange_began;

static double cpu_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void need(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "ike_bench: %s\n", what);
        exit(1);
    }
}

/* In the daemon this is the work of job threads. */
static void exchange_begins(void)
{
    exchange_began = cpu_now();
}

static void exchange_ends(void)
{
    exchange_seconds += cpu_now() - exchange_began;
}

/* ---- the callers have a thread of their own, so that a profiler can tell them apart ---- */

static sem_t may_go, is_done;
static bool ends;

static void *callers_run(void *context)
{
    (void)context;
    (void)prctl(PR_SET_NAME, "callers");
    for (;;) {
        while (sem_wait(&may_go) != 0) {
        }
        if (ends) {
            return NULL;
        }
        crowd_callers_turn(&crowd);
        (void)sem_post(&is_done);
    }
}

static void callers_go(void)
{
    (void)sem_post(&may_go);
    while (!ends && sem_wait(&is_done) != 0) {
    }
}

/* Of this thread: memory that is touched for the first time costs much in some machines. */
static long page_faults(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_minflt;
}

/* ---- the bound ---- */

static double public_key_seconds(uint16_t group)
{
    enum { REPEATS = 2000 };
    struct key_pair theirs;
    struct secret shared = {0};

    need(key_pair_make(group, &entropy, &theirs), "no such group");
    double began = cpu_now();

    for (size_t i = 0; i < REPEATS; i++) {
        struct key_pair ours;
        bool ok =
            key_pair_make(group, &entropy, &ours) &&
            key_agree(&ours, (struct slice){theirs.public_value, theirs.public_length}, &shared);

        need(ok, "a key exchange failed");
        key_pair_wipe(&ours);
    }
    double seconds = (cpu_now() - began) / REPEATS;

    key_pair_wipe(&theirs);
    secret_wipe(&shared);
    return seconds;
}

static const struct algorithm *group_named(const char *word)
{
    for (size_t i = 0; algorithm_at(i) != NULL; i++) {
        if (algorithm_at(i)->type == TRANSFORM_KEY_EXCHANGE &&
            strcmp(algorithm_at(i)->word, word) == 0) {
            return algorithm_at(i);
        }
    }
    need(false, "no such group");
    return NULL;
}

int main(int argc, char **argv)
{
    size_t sites = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000;
    const char *group = argc > 2 ? argv[2] : "x25519";
    const char *suite = argc > 3 ? argv[3] : "aes128gcm16-prfsha256";
    char words[128];

    entropy = entropy_source();
    need(protect_start(PROTECT_AUTOMATIC), "the crypto library does not work");
    snprintf(words, sizeof(words), "ike %s-%s; esp aes128gcm16; dpd off", suite, group);
    double bound = public_key_seconds(group_named(group)->id);
    size_t before = (size_t)mallinfo2().uordblks;
    size_t up = 0;
    double spent = 0;
    long faulted = 0;
    pthread_t thread;

    /* No cookies: that is another round, and another measurement. */
    crowd_open(&crowd, sites, "cookie-threshold 1000000\nhalf-open-max 1000000", words, &entropy);
    crowd.exchange_begins = exchange_begins;
    crowd.exchange_ends = exchange_ends;
    need(sem_init(&may_go, 0, 0) == 0 && sem_init(&is_done, 0, 0) == 0 &&
             pthread_create(&thread, NULL, callers_run, NULL) == 0,
         "no thread");
    crowd_call(&crowd);
    for (size_t round = 0; up < sites && round < sites * 10 + 1000; round++) {
        long faults = page_faults();
        double began = cpu_now();

        crowd_hub_turn(&crowd);
        spent += cpu_now() - began;
        faulted += page_faults() - faults;
        callers_go();
        crowd.now_ms += 1;
        up = round % 16 == 0 ? crowd_up(&crowd) : up;
    }
    ends = true;
    callers_go();
    (void)pthread_join(thread, NULL);
    need(up == sites, "not all came up");
    double handshake = spent / (double)sites;

    printf("group %s, suite %s, %zu handshakes, %llu exchanges, %llu log lines\n", group, suite,
           sites, (unsigned long long)crowd.hub.exchanges, (unsigned long long)crowd.hub.lines);
    printf("public-key operations alone  %7.1f us: %6.0f a second\n", bound * 1e6, 1 / bound);
    printf("responder, a handshake       %7.1f us: %6.0f a second, %.0f %% of the bound\n",
           handshake * 1e6, 1 / handshake, 100 * bound / handshake);
    printf("  of it key exchange         %7.1f us\n", exchange_seconds / (double)sites * 1e6);
    printf("  all the rest               %7.1f us\n",
           (spent - exchange_seconds) / (double)sites * 1e6);
    printf("page faults, a handshake     %7.2f\n", (double)faulted / (double)sites);
    printf("both sides, octets a pair    %7zu\n", ((size_t)mallinfo2().uordblks - before) / sites);
    if (getenv("IKE_BENCH_STOP") != NULL) {
        _Exit(0); /* for a profiler: nothing but handshakes */
    }
    crowd_close(&crowd);
    return 0;
}
