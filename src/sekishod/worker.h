/*
 * A worker: the thread through which packets go. It owns a queue of the TUN device and reads the
 * sockets; what is IKE goes up to the control thread, with what the network said about datagrams of
 * ours.
 */
#ifndef SEKISHO_SEKISHOD_WORKER_H
#define SEKISHO_SEKISHOD_WORKER_H

#include "dataplane/dataplane.h"
#include "host/datagram.h"
#include "host/loop.h"
#include "host/offloads.h"
#include "host/tun.h"
#include "sekishod/datagrams.h"
#include "sekishod/sockets.h"
#include "sekishod/streams.h"

struct worker;

/* One worker for both directions, one for each, or several for each: those that seal have a queue
 * of the TUN device each, those that open a socket each. */
enum worker_reads {
    WORKER_READS_TUN = 1,
    WORKER_READS_WIRE = 2,
    WORKER_READS_BOTH = WORKER_READS_TUN | WORKER_READS_WIRE,
};

struct worker_settings {
    struct dataplane *dataplane; /* borrowed, like all here */
    uint32_t index;
    enum worker_reads reads;
    /* The first worker reads those that all share, and everybody sends by them; the others may have
     * some of their own for ESP in UDP, or NULL. */
    struct sockets *sockets;
    struct sockets *own;
    bool reads_shared;
    struct streams *streams; /* everybody sends by them; who reads the shared sockets reads them;
                                NULL: no SA goes over TCP */
    const struct tun *tun; /* the queue to read */
    const struct tun *queues; /* those to write, each for its flows */
    size_t queue_count;
    struct offloads *offloads; /* which are in use; it retreats from what goes wrong */
    const struct wake *control; /* woken when there is something to take */
    /* One for each worker that opens, in the order of their indices, by which they call each other
     * for help; 0: nobody helps. */
    const struct wake *calls;
    size_t call_count;
};

/* Makes and starts it. NULL: no memory or no thread. */
MUST_USE struct worker *worker_new(const struct worker_settings *settings);
/* Stops the thread; what it had taken in is worked off. */
void worker_free(struct worker *worker);

/* For the control thread. */
MUST_USE bool worker_peek_datagram(struct worker *worker, struct datagram *out);
void worker_drop_datagram(struct worker *worker);
/* Somebody deleted the TUN device. */
MUST_USE bool worker_device_is_gone(const struct worker *worker);
MUST_USE bool worker_next_error(struct worker *worker, struct datagram_error *out);

#endif
