/*
 * What an IKEv2 handshake costs the responder: the gateway and its data plane as the daemon has
 * them, without sockets; the time of the callers is not counted.
 *
 *     ike_bench [handshakes [group [ike suite words [proof]]]]
 *     ike_bench 300 x25519-ke1_mlkem768 aes128gcm16-prfsha256 rsa3072
 *
 * `proof`: psk, or the kind of key of both sides' certificates, which an authority with a key of
 * P-256 issued: rsa2048, rsa3072, rsa4096, p256, p384, p521, ed25519, ed448.
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

#include "crypto/certificate_testbed.h"
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

/* ---- certificates ---- */

static const struct {
    const char *word;
    enum key_kind kind;
    unsigned bits;
} proofs[] = {
    {"rsa2048", KEY_RSA, 2048},  {"rsa3072", KEY_RSA, 3072}, {"rsa4096", KEY_RSA, 4096},
    {"p256", KEY_P256, 0},       {"p384", KEY_P384, 0},      {"p521", KEY_P521, 0},
    {"ed25519", KEY_ED25519, 0}, {"ed448", KEY_ED448, 0},
};

/* They live as long as the program. */
static const struct crowd_certificates *make_certificates(const char *word, size_t callers)
{
    static struct crowd_certificates made = {.now_s = TESTBED_NOW_S};
    struct testbed_order order = testbed_gateway;
    struct private_key *root_key = private_key_make(KEY_P256, 0);
    struct private_key *keys[2] = {NULL, NULL}; /* the hub's, and that of all callers */

    if (strcmp(word, "psk") == 0) {
        private_key_free(root_key);
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(proofs); i++) {
        if (strcmp(proofs[i].word, word) == 0) {
            keys[0] = private_key_make(proofs[i].kind, proofs[i].bits);
            keys[1] = private_key_make(proofs[i].kind, proofs[i].bits);
        }
    }
    need(root_key != NULL && keys[0] != NULL && keys[1] != NULL, "no such proof");
    struct certificate *root = testbed_issue(&testbed_root, root_key, NULL, NULL);
    char names[64];

    made.callers = calloc(callers, sizeof(struct credential *));
    made.trust = testbed_trust(root);
    need(made.callers != NULL, "no memory");
    for (size_t i = 0; i <= callers; i++) {
        bool hub = i == callers;

        if (hub) {
            snprintf(names, sizeof(names), "DNS:hub.example.jp");
        } else {
            snprintf(names, sizeof(names), "DNS:c%zu.example.jp", i);
        }
        order.names = names;
        order.serial = (long)i + 2;
        struct certificate *own = testbed_issue(&order, keys[hub ? 0 : 1], root, root_key);
        struct credential *credential = testbed_credential(keys[hub ? 0 : 1], &own, 1);

        if (hub) {
            made.hub = credential;
        } else {
            made.callers[i] = credential;
        }
        certificate_free(own);
    }
    certificate_free(root);
    private_key_free(root_key);
    private_key_free(keys[0]);
    private_key_free(keys[1]);
    return &made;
}

int main(int argc, char **argv)
{
    size_t sites = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000;
    const char *group = argc > 2 ? argv[2] : "x25519";
    const char *suite = argc > 3 ? argv[3] : "aes128gcm16-prfsha256";
    const char *proof = argc > 4 ? argv[4] : "psk";
    char words[128], classical[32];

    entropy = entropy_source();
    need(protect_start(PROTECT_AUTOMATIC), "the crypto library does not work");
    snprintf(words, sizeof(words), "ike %s-%s; esp aes128gcm16; dpd off", suite, group);
    snprintf(classical, sizeof(classical), "%.*s", (int)strcspn(group, "-"), group);
    double bound = public_key_seconds(group_named(classical)->id);
    const struct crowd_certificates *certificates = make_certificates(proof, sites);
    size_t before = (size_t)mallinfo2().uordblks;
    size_t up = 0;
    double spent = 0;
    long faulted = 0;
    pthread_t thread;

    /* No cookies: that is another round, and another measurement. */
    crowd_open_certified(&crowd, sites, "cookie-threshold 1000000\nhalf-open-max 1000000", words,
                         certificates, &entropy);
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

    printf("group %s, suite %s, proof %s, %zu handshakes, %llu exchanges, %llu log lines\n", group,
           suite, proof, sites, (unsigned long long)crowd.hub.exchanges,
           (unsigned long long)crowd.hub.lines);
    printf("public-key operations alone  %7.1f us: %6.0f a second\n", bound * 1e6, 1 / bound);
    printf("responder, a handshake       %7.1f us: %6.0f a second, %.0f %% of the bound\n",
           handshake * 1e6, 1 / handshake, 100 * bound / handshake);
    printf("  of it public keys          %7.1f us\n", exchange_seconds / (double)sites * 1e6);
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
