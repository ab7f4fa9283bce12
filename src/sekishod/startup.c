/* Decides in which order the daemon comes to life, and that it goes in the reverse one. */
#include "sekishod/daemon.h"

#include "host/clock.h"
#include "host/confine.h"
#include "host/entropy.h"
#include "host/guard.h"
#include "host/privileges.h"
#include "host/processors.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TUN_MTU 1500

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

static bool open_device(struct daemon *daemon, const struct config *config, char *why,
                        size_t why_bytes)
{
    if (!netlink_open(&daemon->netlink, why, why_bytes) ||
        !tun_open(&daemon->tun, config->device, false,
                  supers_are_wanted(daemon, CONFIG_OFFLOAD_TUN), why, why_bytes) ||
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

static bool open_sockets(struct daemon *daemon, const struct config *config, char *why,
                         size_t why_bytes)
{
    daemon->listen_count = config->listen_count;
    memcpy(daemon->listen, config->listen, sizeof(daemon->listen));
    daemon->port = config->port;
    daemon->nat_port = config->nat_port;
    return sockets_open(&daemon->sockets, config, supers_are_wanted(daemon, CONFIG_OFFLOAD_UDP),
                        daemon->log, why, why_bytes);
}

static bool make_rooms(struct daemon *daemon, char *why, size_t why_bytes)
{
    /* With two processors a thread for each direction. */
    uint32_t workers = processors_count() > 1 ? 2 : 1;
    struct dataplane_settings plane = {
        .worker_count = workers, .ike_port = daemon->port, .random = &daemon->random};

    daemon->workers_wanted = workers;
    daemon->dataplane = dataplane_new(&plane);
    if (daemon->dataplane == NULL) {
        snprintf(why, why_bytes, "no memory for the data plane");
        return false;
    }
    struct gateway_settings gateway = {
        .dataplane = daemon->dataplane, .random = &daemon->random, .log = daemon->log};
    daemon->gateway = gateway_new(&gateway, clock_now_ms());
    if (daemon->gateway == NULL) {
        snprintf(why, why_bytes, "no memory for the gateway");
    }
    return daemon->gateway != NULL;
}

static bool start_worker(struct daemon *daemon, enum worker_reads reads)
{
    struct worker_settings settings = {.dataplane = daemon->dataplane,
                                       .index = (uint32_t)daemon->worker_count,
                                       .reads = reads,
                                       .sockets = &daemon->sockets,
                                       .tun = &daemon->tun,
                                       .offloads = &daemon->offloads,
                                       .control = &daemon->wake};
    struct worker *worker = worker_new(&settings);

    if (worker != NULL) {
        daemon->workers[daemon->worker_count++] = worker;
    }
    return worker != NULL;
}

static bool start_threads(struct daemon *daemon, char *why, size_t why_bytes)
{
    size_t processors = processors_count();

    /* One for each processor: a flood of handshakes may use what the packets leave over. */
    daemon->jobs = jobs_new(processors < JOB_THREADS_MAX ? processors : JOB_THREADS_MAX,
                            actions_do_job, &daemon->wake);
    daemon->resolve = resolve_new(&daemon->wake);
    if (daemon->jobs == NULL || daemon->resolve == NULL) {
        snprintf(why, why_bytes, "the system gives no threads");
        return false;
    }
    bool ok = daemon->workers_wanted == 1 ? start_worker(daemon, WORKER_READS_BOTH)
                                          : start_worker(daemon, WORKER_READS_WIRE) &&
                                                start_worker(daemon, WORKER_READS_TUN);
    if (!ok) {
        snprintf(why, why_bytes, "no memory for a worker");
    }
    return ok;
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
    daemon->offload = config->offload;
    /* Rights belong to threads, so they are given up before there are others. */
    return start_loop(daemon, why, why_bytes) && open_device(daemon, config, why, why_bytes) &&
           open_sockets(daemon, config, why, why_bytes) && find_offloads(daemon) &&
           privileges_drop(why, why_bytes) && confine(daemon) &&
           make_rooms(daemon, why, why_bytes) && start_threads(daemon, why, why_bytes);
}

void daemon_stop(struct daemon *daemon)
{
    control_server_free(daemon->server);
    for (size_t i = daemon->worker_count; i > 0; i--) {
        worker_free(daemon->workers[i - 1]);
    }
    jobs_free(daemon->jobs, actions_drop_job);
    actions_drop_late(daemon);
    resolve_free(daemon->resolve);
    if (daemon->gateway != NULL) {
        gateway_free(daemon->gateway);
    }
    if (daemon->dataplane != NULL) {
        dataplane_free(daemon->dataplane);
    }
    sockets_close(&daemon->sockets);
    if (daemon->device[0] != '\0') {
        (void)netlink_pairs_clean(&daemon->netlink);
        guard_remove();
    }
    tun_close(&daemon->tun);
    netlink_close(&daemon->netlink);
    signals_fini(&daemon->signals);
    wake_fini(&daemon->wake);
    loop_fini(&daemon->loop);
    loader_free(daemon->loader);
}
