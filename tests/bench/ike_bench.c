/*
 * What an IKEv2 handshake costs the responder: the gateway and its data plane as the daemon has
 * them, in one thread, with callers made by a second gateway whose time is not counted.
 *
 *     ike_bench [handshakes [group [ike suite words]]]
 *
 * Of the responder's time the public-key operations are measured apart; they alone are the bound of
 * any implementation. For a profile of the responder alone:
 *
 *     valgrind --tool=callgrind --toggle-collect='responder_*' ike_bench 500
 *
 * with IKE_BENCH_STOP set, so that nothing is taken down. Instructions of the handshake without
 * public-key operations are those that are not below responder_exchanges.
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

#include "gateway/status.h"
#include "host/entropy.h"

#define SITE_TEXT_BYTES 400
#define DATAGRAM_BYTES_MAX 4096

struct datagram {
    struct datagram *next;
    struct endpoint from, to;
    size_t length;
    uint8_t bytes[];
};

struct queue {
    struct datagram *first, **last;
};

struct node {
    struct gateway *gateway;
    struct dataplane *dataplane;
    struct dataplane_worker *worker;
    struct address address;
    const char *text;
    struct queue in;
    struct node *other;
    struct log_sink log;
    uint64_t lines;
};

static struct random_source entropy;
static uint64_t now_ms = 1000000;
static struct node responder, callers;
static uint32_t sources;
static double exchange_seconds;
static uint64_t exchanges;

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

/* ---- the network: whatever is sent arrives in the next round ---- */

static void queue_put(struct queue *q, const struct endpoint *from, const struct endpoint *to,
                      struct slice bytes)
{
    struct datagram *d = malloc(sizeof(*d) + bytes.length);

    need(d != NULL, "no memory");
    *d = (struct datagram){.from = *from, .to = *to, .length = bytes.length};
    memcpy(d->bytes, bytes.data, bytes.length);
    *q->last = d;
    q->last = &d->next;
}

/* ---- what both sides do ---- */

static void exchange(struct gateway_action *action, struct key_pair *pair, struct secret *shared,
                     bool *ok)
{
    struct slice peer = {action->key_exchange->peer_public,
                         action->key_exchange->peer_public_length};

    *pair = action->key_exchange->pair;
    *ok = key_exchange_step(action->key_exchange->group, &entropy, action->key_exchange->has_pair,
                            pair, peer, shared);
}

/* In the daemon this is the work of job threads. */
__attribute__((noinline)) static void responder_exchanges(struct gateway_action *action,
                                                          struct key_pair *pair,
                                                          struct secret *shared, bool *ok)
{
    double began = cpu_now();

    exchange(action, pair, shared, ok);
    exchange_seconds += cpu_now() - began;
    exchanges++;
}

static void act(struct node *n, struct gateway_action *action)
{
    switch (action->kind) {
    case GATEWAY_SEND: {
        struct endpoint from = action->send.local;

        if (address_is_unset(&from.address)) {
            from.address = n->address;
        }
        queue_put(&n->other->in, &from, &action->send.peer, action->send.bytes);
        return;
    }
    case GATEWAY_KEY_EXCHANGE: {
        struct key_pair pair;
        struct secret shared = {0};
        uint64_t job = action->key_exchange->job;
        bool ok;

        (n == &responder ? responder_exchanges : exchange)(action, &pair, &shared, &ok);
        free(action->key_exchange);
        gateway_key_exchange_done(n->gateway, job, ok, &pair, &shared, now_ms);
        return;
    }
    case GATEWAY_READ_SECRET: {
        struct secret secret = {0};

        need(secret_set(&secret, slice_of_text("a key that both know")), "no memory");
        gateway_secret(n->gateway, action->secret.question, &secret, "", now_ms);
        secret_wipe(&secret);
        return;
    }
    case GATEWAY_FIND_SOURCE: {
        /* Each caller has an address of its own, as callers have. */
        struct address own = address_ipv4(0xc6120001 + ++sources);

        gateway_source(n->gateway, action->source.question, &own, "", now_ms);
        return;
    }
    case GATEWAY_RESOLVE:
    case GATEWAY_ROUTE_ADD:
    case GATEWAY_ROUTE_REMOVE:
    case GATEWAY_SITE_CHANGED:
        return;
    }
}

static void end_turn(struct node *n)
{
    struct gateway_action action;

    gateway_notes(n->gateway, now_ms);
    while (gateway_next_action(n->gateway, &action)) {
        act(n, &action);
    }
    dataplane_collect(n->dataplane);
}

/* As the control thread does: IKE comes up without the non-ESP marker. */
static void receive(struct node *n)
{
    struct datagram *d = n->in.first;

    n->in = (struct queue){NULL, &n->in.first};
    while (d != NULL) {
        struct datagram *next = d->next;
        size_t marker = d->to.port == 4500 ? 4 : 0;

        if (d->length > marker + 1) {
            gateway_datagram(n->gateway, &d->to, &d->from,
                             (struct slice){d->bytes + marker, d->length - marker}, now_ms);
            end_turn(n);
        }
        free(d);
        d = next;
    }
}

__attribute__((noinline)) static void responder_turn(void)
{
    receive(&responder);
    if (gateway_deadline_ms(responder.gateway) <= now_ms) {
        gateway_time(responder.gateway, now_ms);
    }
    end_turn(&responder);
}

static void callers_turn(void)
{
    receive(&callers);
    if (gateway_deadline_ms(callers.gateway) <= now_ms) {
        gateway_time(callers.gateway, now_ms);
    }
    end_turn(&callers);
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
        callers_turn();
        (void)sem_post(&is_done);
    }
}

static void callers_go(void)
{
    (void)sem_post(&may_go);
    while (!ends && sem_wait(&is_done) != 0) {
    }
}

/* ---- configurations ---- */

/* One site for each caller: a host of ours on one side, one of his on the other. */
static char *write_config(bool hub, size_t sites, const char *words)
{
    size_t capacity = sites * SITE_TEXT_BYTES + 200;
    char *text = malloc(capacity);

    need(text != NULL, "no memory");
    size_t length =
        (size_t)snprintf(text, capacity, "gateway %s.example.jp\n%s", hub ? "hub" : "caller",
                         hub ? "cookie-threshold 100000\nhalf-open-max 100000\n" : "");

    for (size_t i = 0; i < sites; i++) {
        char behind_hub[32], behind_caller[32];
        char *at = text + length;

        snprintf(behind_hub, sizeof(behind_hub), "172.%zu.%zu.%zu/32", 16 + i / 65536,
                 i / 256 % 256, i % 256);
        snprintf(behind_caller, sizeof(behind_caller), "10.%zu.%zu.%zu/32", 80 + i / 65536,
                 i / 256 % 256, i % 256);
        length += (size_t)(hub ? snprintf(at, SITE_TEXT_BYTES,
                                          "site s%zu {\n peer any\n identity c%zu.example.jp\n"
                                          " lan %s\n network %s\n key @k\n mtu-probe off\n"
                                          " %s\n}\n",
                                          i, i, behind_hub, behind_caller, words)
                               : snprintf(at, SITE_TEXT_BYTES,
                                          "site s%zu {\n peer 203.0.113.2\n"
                                          " identity hub.example.jp\n say c%zu.example.jp\n"
                                          " lan %s\n network %s\n key @k\n mtu-probe off\n"
                                          " %s\n}\n",
                                          i, i, behind_caller, behind_hub, words));
    }
    return text;
}

static bool read_text(void *context, const char *path, struct slice *text, char *why,
                      size_t why_bytes)
{
    (void)path;
    (void)why;
    (void)why_bytes;
    *text = slice_of_text(context);
    return true;
}

static void configure(struct node *n, char *text)
{
    struct config_loader loader = {.read = read_text, .context = text};
    struct config_result *result = config_read("bench.conf", &loader);

    need(result != NULL, "no memory");
    if (result->config == NULL) {
        fprintf(stderr, "%s\n", config_diagnostics_text(result));
        exit(1);
    }
    struct config *config = config_take(result);

    config_result_free(result);
    gateway_configure(n->gateway, config, now_ms);
    end_turn(n);
}

static void hear(void *context, enum log_level level, const char *about, const char *line)
{
    struct node *n = context;

    (void)level;
    n->lines++;
    if (getenv("IKE_BENCH_LOG") != NULL) {
        fprintf(stderr, "%s: %s\n", about, line);
    }
}

static void open_node(struct node *n, struct node *other, uint32_t address)
{
    struct dataplane_settings plane = {.random = &entropy};

    *n = (struct node){.other = other, .address = address_ipv4(address)};
    n->in.last = &n->in.first;
    n->log = (struct log_sink){hear, n};
    n->dataplane = dataplane_new(&plane);
    need(n->dataplane != NULL, "no data plane");
    struct gateway_settings settings = {
        .dataplane = n->dataplane, .random = &entropy, .log = &n->log};

    n->gateway = gateway_new(&settings, now_ms);
    need(n->gateway != NULL, "no gateway");
}

static size_t up_count(const struct node *n)
{
    struct status_gateway status;

    gateway_get_status(n->gateway, now_ms, &status);
    return status.states[STATUS_UP];
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
    const struct algorithm *algorithm = group_named(group);
    double bound = public_key_seconds(algorithm->id);
    char *hub_text = write_config(true, sites, words);
    char *caller_text = write_config(false, sites, words);

    open_node(&responder, &callers, 0xcb007102);
    open_node(&callers, &responder, 0xcb007101);
    configure(&responder, hub_text);
    size_t before = (size_t)mallinfo2().uordblks;
    size_t up = 0;
    double spent = 0;
    long faulted = 0;
    pthread_t thread;

    need(sem_init(&may_go, 0, 0) == 0 && sem_init(&is_done, 0, 0) == 0 &&
             pthread_create(&thread, NULL, callers_run, NULL) == 0,
         "no thread");

    configure(&callers, caller_text);
    for (size_t round = 0; up < sites && round < sites * 10 + 1000; round++) {
        long faults = page_faults();
        double began = cpu_now();

        responder_turn();
        spent += cpu_now() - began;
        faulted += page_faults() - faults;
        callers_go();
        now_ms += 1;
        up = round % 16 == 0 ? up_count(&responder) : up;
    }
    ends = true;
    callers_go();
    (void)pthread_join(thread, NULL);
    need(up == sites, "not all came up");
    double handshake = spent / (double)sites;

    printf("group %s, suite %s, %zu handshakes, %llu exchanges, %llu log lines\n", group, suite,
           sites, (unsigned long long)exchanges, (unsigned long long)responder.lines);
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
    gateway_free(callers.gateway);
    gateway_free(responder.gateway);
    dataplane_free(callers.dataplane);
    dataplane_free(responder.dataplane);
    free(hub_text);
    free(caller_text);
    return 0;
}
