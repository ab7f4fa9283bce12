/* The daemon: what the files of this folder share. One object, used by the control thread alone. */
#ifndef SEKISHO_SEKISHOD_DAEMON_H
#define SEKISHO_SEKISHOD_DAEMON_H

#include "gateway/gateway.h"
#include "host/control_socket.h"
#include "host/jobs.h"
#include "host/loop.h"
#include "host/netlink.h"
#include "host/offloads.h"
#include "host/resolve.h"
#include "host/run_directory.h"
#include "host/tun.h"
#include "management/management.h"
#include "sekishod/expiry.h"
#include "sekishod/journal.h"
#include "loader/loader.h"
#include "sekishod/lists.h"
#include "sekishod/logins.h"
#include "sekishod/options.h"
#include "sekishod/own_status.h"
#include "sekishod/revocation.h"
#include "sekishod/sockets.h"
#include "sekishod/streams.h"
#include "sekishod/tokens.h"
#include "sekishod/worker.h"

#define DAEMON_WORKERS_MAX CONFIG_WORKERS_MAX
#define DAEMON_PROBLEMS_MAX 16
#define DAEMON_ADDRESSES_MAX 1024 /* of this machine */

struct daemon_problem {
    char sentence[256];
    char next[256];
};

struct exchange;

/* Key exchanges for peers of ours that found the queue full; oldest first. */
struct exchanges {
    struct exchange *first, *last;
};

struct daemon {
    struct options options;
    struct journal *journal;
    struct log_sink *log;
    struct random_source random;
    struct run_directory run;

    struct loop loop;
    struct signals signals;
    struct wake wake; /* by workers, jobs and the resolver */
    struct loop_source addresses;

    struct sockets sockets;
    struct streams *streams; /* TCP */
    uint64_t streams_told_ms; /* in the log */
    uint64_t streams_told[STREAM_ENDS];
    struct sockets *beside; /* of the workers behind the first; NULL: they share the first ones */
    struct offloads offloads; /* in use */
    enum offload_state offloads_told[OFFLOAD_PARTS]; /* in the log */
    struct tun tun;
    struct tun queues[DAEMON_WORKERS_MAX]; /* of the device, the first is `tun` */
    size_t queue_count;
    struct netlink netlink;
    struct resolve *resolve;
    struct jobs *jobs;
    struct exchanges late;
    struct revocation *revocation;
    struct own_statuses *own_statuses; /* NULL: no certificate of ours names a responder */
    struct lists *lists; /* NULL: none is given */
    struct logins *logins; /* NULL: before the first configuration */
    struct tokens *tokens; /* NULL: no key was in one so far */
    struct worker *workers[DAEMON_WORKERS_MAX];
    size_t workers_wanted, worker_count;
    size_t sealers, openers;
    struct wake calls[DAEMON_WORKERS_MAX]; /* of those that open, when they are several */
    size_t call_count;
    struct control_server *server;
    struct control_client *asking; /* whose question is being answered */
    struct capture *capture; /* NULL: none */

    struct dataplane *dataplane;
    struct gateway *gateway;
    struct management management;

    /* Of the configuration in use, which belongs to the gateway. NULL before the first. */
    const struct config *config;
    struct loader *loader; /* of the result that management looks at */
    /* What the open sockets and the device were made from. */
    struct address listen[8];
    size_t listen_count;
    uint16_t port, nat_port;
    uint16_t tcp_ports[CONFIG_TCP_PORTS_MAX];
    size_t tcp_port_count;
    char device[TUN_NAME_BYTES];
    enum config_offload offload;
    uint32_t workers_said;

    struct address own_ipv4, own_ipv6; /* ours inside, unset when there is none */
    bool has_default[2]; /* a default route outside, for IPv4 and IPv6 */
    uint16_t link_mtu; /* the narrowest way out so far; 0: unknown */
    struct daemon_problem problems[DAEMON_PROBLEMS_MAX];
    size_t problem_count;

    struct expiry expiry; /* of certificates, as it was looked at last */
    uint64_t expiry_due_ms;

    bool guard_is_stale; /* sites or pairs changed since it was set */
    char guard_trouble[256]; /* a sentence when it could not be set */

    bool ends;
    bool failed; /* it ends because it cannot go on */
    bool addresses_changed;
};

/* ---- startup.c ---- */

/* Opens everything that `config` asks for and starts the threads. False with a sentence. */
MUST_USE bool daemon_start(struct daemon *daemon, const struct config *config, char *why,
                           size_t why_bytes);
/* Undoes it, as far as it went, in reverse order. */
void daemon_stop(struct daemon *daemon);

/* ---- control.c ---- */

/* Runs until a signal ends it. */
void daemon_run(struct daemon *daemon);
/* Says goodbye to the peers and takes the routes away. */
void daemon_close(struct daemon *daemon);
/* Whether the control socket can be opened: the last step before the daemon is ready. */
MUST_USE bool daemon_open_control(struct daemon *daemon, char *why, size_t why_bytes);

/* ---- capture.c ---- */

struct capture;
/* For management: packets follow the answer to who is asking. */
MUST_USE bool capture_begin(void *context, const struct management_capture *order, char *why,
                            size_t why_bytes);
/* The answer has been sent. */
void capture_answered(struct daemon *daemon);
/* Sends what was copied. Returns true when there may be more. */
bool capture_run(struct daemon *daemon);
MUST_USE bool capture_is_of(const struct daemon *daemon, const struct control_client *client);
/* The client wants no more: it gets what is there and the figures. */
void capture_stop(struct daemon *daemon);
void capture_client_gone(struct daemon *daemon);

/* ---- actions.c ---- */

/* Carries out what the gateway wants, until it wants nothing more. */
void actions_run(struct daemon *daemon, uint64_t now_ms);
/* Takes what job threads and the resolver have ready. */
void actions_take_answers(struct daemon *daemon, uint64_t now_ms);
/* The work of a job thread, and what becomes of work that nobody waits for any more. */
void actions_do_job(void *job);
void actions_drop_job(void *job);
/* An answer of a job thread goes to the gateway. */
void actions_finish(struct daemon *daemon, struct exchange *exchange, uint64_t now_ms);
/* Some site has new certificates. */
void actions_certificates_were_read(struct daemon *daemon, uint64_t now_ms);
/* A proof that waited for an answer from outside. */
void actions_queue_again(struct daemon *daemon, struct exchange *exchange);
/* What never got to a job thread; after those are gone. */
void actions_drop_late(struct daemon *daemon);

/* ---- tcp.c ---- */

/* The connections, and the ports on which the configuration lets peers call. False with a sentence.
 */
MUST_USE bool tcp_start(struct daemon *daemon, const struct config *config, char *why,
                        size_t why_bytes);
/* What became of connections goes to the gateway. */
void tcp_take_events(struct daemon *daemon, uint64_t now_ms);
/* Tells the log of those that were refused or closed, not often. */
void tcp_watch(struct daemon *daemon, uint64_t now_ms);
void tcp_tell(void *context, struct management_tcp *out);

/* ---- protection.c ---- */

/* Tells the host which packets must not come in clear. */
void protection_guard(struct daemon *daemon);

/* ---- supers.c ---- */

/* Whether the configuration and the command line let the system hand over many packets in one piece
 * at this place. */
MUST_USE bool supers_are_wanted(const struct daemon *daemon, enum config_offload place);
/* Finds out which offloads are there, and are wanted, once device and sockets are open. */
void supers_start(struct daemon *daemon);
/* Tells the log of those that went out of use since. */
void supers_watch(struct daemon *daemon);
void supers_tell(void *context, struct management_offloads *out);

/* ---- apply.c ---- */

/* The configuration as the files say now; `loader` holds its texts. NULL: no memory. */
MUST_USE struct config_result *apply_read(struct daemon *daemon);
/* Hands it to the gateway, which owns it from here on. */
void apply_config(struct daemon *daemon, struct config *config, uint64_t now_ms);
/* SIGHUP. */
void apply_again(struct daemon *daemon, uint64_t now_ms);
/* Looks at the machine: our addresses inside, and what is wrong with it. */
void apply_look_around(struct daemon *daemon);
/* A peer is reached through this interface: without a default route it is the way around the tunnel
 * too. */
void apply_path_found(struct daemon *daemon, enum family family, int interface_index);
/* The source that local programs use towards this family's networks; NULL when there is none. */
const struct address *apply_own_address(const struct daemon *daemon, enum family family);

#endif
