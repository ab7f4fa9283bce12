/* Decides in which order the daemon comes to life, and that it goes in the reverse one. */
#include "sekishod/daemon.h"

#include "host/clock.h"
#include "host/confine.h"
#include "host/entropy.h"
#include "host/files.h"
#include "host/guard.h"
#include "host/privileges.h"
#include "host/processors.h"
#include "host/token.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TUN_MTU 1500
#define WORKERS_AUTO_MAX 4

static void wake_ready(void *context, unsigned events)
{
    struct daemon *daemon = context;

    (void)events;
    wake_clear(&daemon->wake);
}

static void signals_ready(void *context, unsigned events)
{
    (void)context; /* every turn looks */
    (void)events;
}

static void addresses_ready(void *context, unsigned events)
{
    struct daemon *daemon = context;

    (void)events;
    daemon->addresses_changed = netlink_changed(&daemon->netlink) || daemon->addresses_changed;
}

static bool start_loop(struct daemon *daemon, char *why, size_t why_bytes)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    if (!loop_init(&daemon->loop) || !wake_init(&daemon->wake, wake_ready, daemon) ||
        !signals_init(&daemon->signals, numbers, ARRAY_LENGTH(numbers), signals_ready, daemon) ||
        !loop_add(&daemon->loop, &daemon->wake.source, LOOP_READ) ||
        !loop_add(&daemon->loop, &daemon->signals.source, LOOP_READ)) {
        snprintf(why, why_bytes, "the system gives no descriptors");
        return false;
    }
    return true;
}

/* One thread does both directions. By ourselves we take one that seals, and so do not need to know
 * how much disorder the replay window of a peer forgives; who says a number gets half and half. */
static void count_workers(struct daemon *daemon, const struct config *config)
{
    size_t processors = processors_count();
    size_t workers = processors < WORKERS_AUTO_MAX ? processors : WORKERS_AUTO_MAX;

    daemon->workers_said = config->workers;
    daemon->workers_wanted = config->workers != 0 ? config->workers : workers;
    daemon->openers = config->workers != 0 ? daemon->workers_wanted / 2 : workers - 1;
    daemon->openers = daemon->openers == 0 ? 1 : daemon->openers;
    daemon->sealers = daemon->workers_wanted == 1 ? 1 : daemon->workers_wanted - daemon->openers;
}

static bool open_queues(struct daemon *daemon, char *why, size_t why_bytes)
{
    daemon->queues[0] = daemon->tun;
    daemon->queue_count = 1;
    while (daemon->queue_count < daemon->sealers) {
        struct tun *queue = &daemon->queues[daemon->queue_count];

        if (!tun_open(queue, daemon->tun.name, true, daemon->tun.supers, why, why_bytes)) {
            return false;
        }
        daemon->queue_count++;
    }
    return true;
}

static bool open_device(struct daemon *daemon, const struct config *config, char *why,
                        size_t why_bytes)
{
    if (!netlink_open(&daemon->netlink, why, why_bytes) ||
        !tun_open(&daemon->tun, config->device, daemon->sealers > 1,
                  supers_are_wanted(daemon, CONFIG_OFFLOAD_TUN), why, why_bytes) ||
        !open_queues(daemon, why, why_bytes) ||
        !netlink_link_up(&daemon->netlink, daemon->tun.interface_index, TUN_MTU, why, why_bytes) ||
        !netlink_watch(&daemon->netlink, why, why_bytes)) {
        return false;
    }
    snprintf(daemon->device, sizeof(daemon->device), "%s", daemon->tun.name);
    /* Rules outlive the device that they lead to. */
    size_t left = netlink_routes_clean(&daemon->netlink, daemon->tun.interface_index) +
                  netlink_pairs_clean(&daemon->netlink);
    if (left > 0) {
        log_line(daemon->log, LOG_LEVEL_NOTICE, "routes",
                 "%zu routes and rules that an earlier daemon left were removed", left);
    }
    daemon->addresses = (struct loop_source){daemon->netlink.watch_fd, addresses_ready, daemon};
    return loop_add(&daemon->loop, &daemon->addresses, LOOP_READ);
}

/* Without them one worker opens, and the others seal. */
static void open_beside(struct daemon *daemon)
{
    size_t count = daemon->workers_wanted;
    struct sockets *beside = calloc(count - 1, sizeof(*beside));
    char why[160] = "no memory";

    if (beside == NULL || !sockets_open_beside(&daemon->sockets, daemon->nat_port, beside, count,
                                               daemon->openers, why, sizeof(why))) {
        log_line(daemon->log, LOG_LEVEL_WARNING, "sockets",
                 "one worker takes all packets from outside: %s", why);
        free(beside);
        daemon->workers_wanted = daemon->sealers + 1;
        daemon->openers = 1;
        return;
    }
    daemon->beside = beside;
}

static bool open_sockets(struct daemon *daemon, const struct config *config, char *why,
                         size_t why_bytes)
{
    daemon->listen_count = config->listen_count;
    memcpy(daemon->listen, config->listen, sizeof(daemon->listen));
    daemon->port = config->port;
    daemon->nat_port = config->nat_port;
    if (!sockets_open(&daemon->sockets, config, supers_are_wanted(daemon, CONFIG_OFFLOAD_UDP),
                      daemon->log, why, why_bytes)) {
        return false;
    }
    if (daemon->workers_wanted > 2) {
        open_beside(daemon);
    }
    return true;
}

/* ---- what outlives a daemon: the key of tickets (RFC 5723), the secret of tokens ---- */

#define CRASH_SECRET_BYTES 32

static void path_of(const char *directory, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", directory, name);
}

/* Empty: there is none yet. */
static void read_kept(const char *directory, const char *name, uint8_t *out, size_t bytes,
                      struct slice *kept)
{
    char path[PATH_MAX], why[160];
    size_t length = 0;

    path_of(directory, name, path);
    char *text = files_read_private(path, &length, why, sizeof(why));

    *kept = (struct slice){NULL, 0};
    if (text == NULL) {
        return;
    }
    if (length == bytes) {
        memcpy(out, text, bytes);
        *kept = (struct slice){out, bytes};
    }
    wipe(text, length);
    free(text);
}

static bool write_kept(const struct daemon *daemon, const char *directory, const char *name,
                       struct slice bytes)
{
    char path[PATH_MAX], why[160];

    path_of(directory, name, path);
    if (!files_write(path, bytes, 0600, why, sizeof(why))) {
        log_line(daemon->log, LOG_LEVEL_WARNING, name, "it will not outlive this daemon: %s", why);
        return false;
    }
    return true;
}

/* RFC 6290 5.1: made once. Where it cannot be kept it is of no use. */
static void take_crash_secret(struct daemon *daemon, uint8_t out[CRASH_SECRET_BYTES],
                              struct slice *secret)
{
    const char *directory = daemon->options.state_directory;

    read_kept(directory, "crash.key", out, CRASH_SECRET_BYTES, secret);
    if (secret->length == 0) {
        random_fill(&daemon->random, out, CRASH_SECRET_BYTES);
        if (write_kept(daemon, directory, "crash.key", (struct slice){out, CRASH_SECRET_BYTES})) {
            *secret = (struct slice){out, CRASH_SECRET_BYTES};
        }
    }
}

static bool make_gateway(struct daemon *daemon, const struct config *config)
{
    struct gateway_settings settings = {
        .dataplane = daemon->dataplane, .random = &daemon->random, .log = daemon->log};
    uint8_t key[GATEWAY_TICKET_KEY_BYTES], secret[CRASH_SECRET_BYTES];
    bool keeps = config->resume_key == CONFIG_RESUME_KEY_DISK;
    const char *directory = daemon->options.run_directory;

    if (keeps) {
        read_kept(directory, "resume.key", key, sizeof(key), &settings.ticket_key);
    }
    if (config->crash_tokens) {
        take_crash_secret(daemon, secret, &settings.crash_secret);
    }
    daemon->gateway = gateway_new(&settings, clock_now_ms());
    if (daemon->gateway != NULL && keeps) {
        gateway_ticket_key(daemon->gateway, key);
        (void)write_kept(daemon, directory, "resume.key", SLICE_OF(key));
    }
    wipe(key, sizeof(key));
    wipe(secret, sizeof(secret));
    return daemon->gateway != NULL;
}

static bool make_rooms(struct daemon *daemon, const struct config *config, char *why,
                       size_t why_bytes)
{
    struct dataplane_settings plane = {.worker_count = (uint32_t)daemon->workers_wanted,
                                       .sealer_count = (uint32_t)daemon->sealers,
                                       .opener_count = (uint32_t)daemon->openers,
                                       .ike_port = daemon->port,
                                       .random = &daemon->random};

    daemon->dataplane = dataplane_new(&plane);
    if (daemon->dataplane == NULL) {
        snprintf(why, why_bytes, "no memory for the data plane");
        return false;
    }
    if (!make_gateway(daemon, config)) {
        snprintf(why, why_bytes, "no memory for the gateway");
    }
    return daemon->gateway != NULL;
}

/* Those that open come first, because the first one reads IKE and everything that cannot be
 * shared out. */
static bool start_worker(struct daemon *daemon)
{
    size_t index = daemon->worker_count;
    bool opens = index < daemon->openers;
    bool seals = daemon->workers_wanted == 1 || !opens;
    size_t queue = opens ? 0 : index - daemon->openers;
    struct worker_settings settings = {
        .dataplane = daemon->dataplane,
        .index = (uint32_t)index,
        .reads =
            (enum worker_reads)((seals ? WORKER_READS_TUN : 0) | (opens ? WORKER_READS_WIRE : 0)),
        .sockets = &daemon->sockets,
        .own = index == 0 || daemon->beside == NULL ? NULL : &daemon->beside[index - 1],
        .reads_shared = index == 0,
        .streams = daemon->streams,
        .tun = &daemon->queues[queue],
        .queues = daemon->queues,
        .queue_count = daemon->queue_count,
        .offloads = &daemon->offloads,
        .control = &daemon->wake,
        .calls = daemon->calls,
        .call_count = opens ? daemon->call_count : 0};
    struct worker *worker = worker_new(&settings);

    if (worker != NULL) {
        daemon->workers[daemon->worker_count++] = worker;
    }
    return worker != NULL;
}

static bool open_calls(struct daemon *daemon, char *why, size_t why_bytes)
{
    while (daemon->openers > 1 && daemon->call_count < daemon->openers) {
        if (!wake_init(&daemon->calls[daemon->call_count], NULL, NULL)) {
            snprintf(why, why_bytes, "the system gives no descriptors");
            return false;
        }
        daemon->call_count++;
    }
    return true;
}

static bool start_threads(struct daemon *daemon, char *why, size_t why_bytes)
{
    size_t processors = processors_count();

    /* One for each processor: a flood of handshakes may use what the packets leave over. */
    daemon->jobs = jobs_new(processors < JOB_THREADS_MAX ? processors : JOB_THREADS_MAX,
                            actions_do_job, &daemon->wake);
    daemon->resolve = resolve_new(&daemon->wake);
    daemon->revocation = revocation_new(daemon);
    if (daemon->jobs == NULL || daemon->resolve == NULL || daemon->revocation == NULL) {
        snprintf(why, why_bytes, "the system gives no threads");
        return false;
    }
    if (!open_calls(daemon, why, why_bytes)) {
        return false;
    }
    while (daemon->worker_count < daemon->workers_wanted) {
        if (!start_worker(daemon)) {
            snprintf(why, why_bytes, "no memory for a worker");
            return false;
        }
    }
    return true;
}

static bool find_offloads(struct daemon *daemon)
{
    supers_start(daemon);
    return true;
}

/* A kernel without filters is no reason to have no tunnels. */
static bool confine(const struct daemon *daemon)
{
    char why[160];

    if (!confine_system_calls(why, sizeof(why))) {
        log_line(daemon->log, LOG_LEVEL_WARNING, "machine", "%s", why);
    }
    return true;
}

bool daemon_start(struct daemon *daemon, const struct config *config, char *why, size_t why_bytes)
{
    daemon->random = entropy_source();
    /* The system itself forwards packets before any process runs; ours should not wait for others
     * either. */
    processors_first();
    daemon->offload = config->offload;
    /* Rights belong to threads, so they are given up before there are others. */
    count_workers(daemon, config);
    return start_loop(daemon, why, why_bytes) && open_device(daemon, config, why, why_bytes) &&
           open_sockets(daemon, config, why, why_bytes) &&
           tcp_start(daemon, config, why, why_bytes) && find_offloads(daemon) &&
           privileges_drop(why, why_bytes) && confine(daemon) &&
           make_rooms(daemon, config, why, why_bytes) && start_threads(daemon, why, why_bytes);
}

void daemon_stop(struct daemon *daemon)
{
    control_server_free(daemon->server);
    lists_free(daemon->lists);
    logins_free(daemon->logins);
    for (size_t i = daemon->worker_count; i > 0; i--) {
        worker_free(daemon->workers[i - 1]);
    }
    for (size_t i = daemon->call_count; i > 0; i--) {
        wake_fini(&daemon->calls[i - 1]);
    }
    jobs_free(daemon->jobs, actions_drop_job);
    tokens_free(daemon->tokens);
    actions_drop_late(daemon);
    revocation_free(daemon->revocation);
    own_status_free(daemon->own_statuses);
    resolve_free(daemon->resolve);
    if (daemon->gateway != NULL) {
        gateway_free(daemon->gateway);
    }
    if (daemon->dataplane != NULL) {
        dataplane_free(daemon->dataplane);
    }
    for (size_t i = 0; daemon->beside != NULL && i + 1 < daemon->workers_wanted; i++) {
        sockets_close(&daemon->beside[i]);
    }
    free(daemon->beside);
    streams_free(daemon->streams);
    sockets_close(&daemon->sockets);
    if (daemon->device[0] != '\0') {
        (void)netlink_pairs_clean(&daemon->netlink);
        guard_remove();
    }
    for (size_t i = daemon->queue_count; i > 1; i--) {
        tun_close(&daemon->queues[i - 1]);
    }
    tun_close(&daemon->tun);
    netlink_close(&daemon->netlink);
    signals_fini(&daemon->signals);
    wake_fini(&daemon->wake);
    loop_fini(&daemon->loop);
    loader_free(daemon->loader);
    token_unload();
}
