/*
 * Decides what a turn of a worker is: collect a batch of packets of one source, take them through
 * the data plane, flush all that came out, and tell that nothing is held any more.
 */
#include "sekishod/worker.h"

#include "base/ring.h"
#include "dataplane/super.h"
#include "host/clock.h"
#include "sekishod/flow_hash.h"
#include "sekishod/suspicion.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define RING_BYTES (1024 * 1024)
#define RING_ERRORS 256
#define PROTOCOL_ICMPV6 58 /* the socket brings errors and nothing else */
/* A sender that never pauses must not keep the other direction from having its turn. */
#define CLEAR_PACKETS_A_TURN 256
/* So many super-packets in a row that the device refuses, and their packets passed. */
#define REFUSED_SUPERS_MAX 16
/* A sleeping worker looks up so often, so that what was taken out of the tables is freed soon. */
#define IDLE_MS 500
/* Before it sleeps it lets others run so often and looks again: who was going to send more does so
 * now, and neither has to wake the other. An idle tunnel pays nothing for that. */
#define LOOKS 4

struct worker_source {
    struct loop_source source;
    struct worker *worker;
    struct datagram_socket *socket;
};

struct worker {
    struct worker_settings settings;
    struct dataplane_worker *plane;
    struct loop loop;
    struct wake wake; /* to end */
    struct loop_source called; /* by another that opens */
    struct dataplane_helpers helpers;
    struct loop_source tun;
    struct worker_source sockets[2 * SOCKETS_MAX];
    size_t source_count;
    struct datagrams up;
    struct ring errors;
    /* Packets taken from the pool and not filled yet. */
    struct packet *stock[DATAPLANE_SEGMENTS_MAX];
    size_t stock_count;
    struct dataplane_output out;
    struct packet super; /* read from the TUN device */
    unsigned refused_supers; /* by the device, since it took one */
    struct suspicion suspicion;
    bool has_news; /* for the control thread */
    atomic_bool device_is_gone;
    pthread_t thread;
    bool started;
    atomic_bool ends;
};

/* ---- packets in ---- */

static size_t fill_stock(struct worker *worker, size_t wanted)
{
    while (worker->stock_count < wanted) {
        struct packet *packet = dataplane_take_packet(worker->plane);

        if (packet == NULL) {
            break;
        }
        worker->stock[worker->stock_count++] = packet;
    }
    return worker->stock_count;
}

/* The first `count` were given away. */
static void use_stock(struct worker *worker, size_t count)
{
    for (size_t i = count; i < worker->stock_count; i++) {
        worker->stock[i - count] = worker->stock[i];
    }
    worker->stock_count -= count;
}

/* ---- packets out ---- */

static void give_back(struct worker *worker, struct packet *const *packets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dataplane_give_packet(worker->plane, packets[i]);
    }
}

static void send_run(struct worker *worker, struct datagram_socket *s,
                     struct packet *const *packets, size_t count)
{
    size_t refused = s == NULL ? count : datagram_send(s, packets, count);

    if (refused > 0) {
        dataplane_count_drop(worker->plane, DROP_SEND_FAILED, (uint32_t)refused);
    }
}

static struct datagram_socket *socket_for(const struct worker *worker, const struct packet *packet)
{
    struct datagram_socket *own =
        worker->settings.own == NULL ? NULL : sockets_for(worker->settings.own, packet);

    return own != NULL ? own : sockets_for(worker->settings.sockets, packet);
}

/* RFC 9329: those of one connection leave in one call. Returns where the others begin. */
static size_t send_through_stream(struct worker *worker, struct packet *const *packets,
                                  size_t count)
{
    const struct packet *head = packets[0];
    struct streams_refused refused;
    size_t end = 1;

    while (end < count && end < CONNECTION_PARTS_MAX &&
           endpoint_equal(&packets[end]->peer, &head->peer) &&
           endpoint_equal(&packets[end]->local, &head->local)) {
        end++;
    }
    streams_send(worker->settings.streams, packets, end, &refused);
    if (refused.no_stream > 0) {
        dataplane_count_drop(worker->plane, DROP_NO_STREAM, (uint32_t)refused.no_stream);
    }
    if (refused.full > 0) {
        dataplane_count_drop(worker->plane, DROP_STREAM_FULL, (uint32_t)refused.full);
    }
    return end;
}

static void flush_to_wire(struct worker *worker)
{
    const struct dataplane_output *out = &worker->out;
    size_t first = 0;

    while (first < out->to_wire_count) {
        const struct packet *head = out->to_wire[first];

        if (head->peer.tcp) {
            first += send_through_stream(worker, &out->to_wire[first], out->to_wire_count - first);
            continue;
        }
        struct datagram_socket *s = socket_for(worker, head);
        size_t end = first + 1;

        while (end < out->to_wire_count && end - first < DATAGRAM_SEND_MAX) {
            const struct packet *next = out->to_wire[end];

            if (next->outer_protocol != head->outer_protocol ||
                next->has_outer_head != head->has_outer_head ||
                next->local.port != head->local.port || next->peer.tcp ||
                !address_equal(&next->local.address, &head->local.address) ||
                next->peer.address.family != head->peer.address.family) {
                break;
            }
            end++;
        }
        send_run(worker, s, &out->to_wire[first], end - first);
        first = end;
    }
    give_back(worker, out->to_wire, out->to_wire_count);
}

/* What the system did not take in one piece is offered once more, one by one. Returns how many are
 * lost. */
static uint32_t write_singly(struct worker *worker, const struct tun *tun,
                             struct packet *const *packets, size_t count)
{
    enum offload_part part =
        packets[0]->segmentation == SEGMENT_UDP ? OFFLOAD_TUN_UDP : OFFLOAD_TUN_TCP;
    uint32_t failed = 0;

    join_undo(packets[0]);
    for (size_t i = 0; i < count; i++) {
        failed += tun_write(tun, &packets[i], 1, 0) == TUN_OK ? 0 : 1;
    }
    if (failed == 0 && ++worker->refused_supers == REFUSED_SUPERS_MAX) {
        offloads_retreat(worker->settings.offloads, part, OFFLOAD_REFUSED);
        worker->has_news = true;
    }
    return failed;
}

static uint32_t write_to_tun(struct worker *worker, const struct tun *tun,
                             struct packet *const *packets, size_t count, uint32_t skip_bytes)
{
    enum tun_result result = tun_write(tun, packets, count, skip_bytes);

    if (result == TUN_REFUSED) {
        return write_singly(worker, tun, packets, count);
    }
    if (result == TUN_OK && count > 1) {
        worker->refused_supers = 0;
    }
    return result == TUN_OK ? 0 : (uint32_t)count;
}

/* The system sends the other direction of a flow to the queue into which it was written, so that
 * each flow has one worker that seals it, whoever opens it. */
static const struct tun *queue_for(const struct worker *worker, const struct packet *packet)
{
    const struct worker_settings *s = &worker->settings;

    return s->queue_count == 1 ? s->queues
                               : &s->queues[flow_hash(packet_slice(packet)) % s->queue_count];
}

/* enum join_what */
static unsigned joins(const struct worker *worker)
{
    const struct offloads *offloads = worker->settings.offloads;

    return (offloads_uses(offloads, OFFLOAD_TUN_TCP) ? JOIN_TCP : 0u) |
           (offloads_uses(offloads, OFFLOAD_TUN_UDP) ? JOIN_UDP : 0u);
}

static void flush_to_tun(struct worker *worker)
{
    const struct dataplane_output *out = &worker->out;
    unsigned what = joins(worker);
    uint32_t failed = 0;
    size_t first = 0;

    while (first < out->to_tun_count) {
        size_t left = out->to_tun_count - first;
        size_t count = 1;
        uint32_t skip_bytes = 0;
        const struct tun *tun = queue_for(worker, out->to_tun[first]);

        if (what != 0) {
            count = join_packets(&out->to_tun[first], left < BATCH_PACKETS ? left : BATCH_PACKETS,
                                 what, &skip_bytes);
        }
        failed += write_to_tun(worker, tun, &out->to_tun[first], count, skip_bytes);
        first += count;
    }
    if (failed > 0) {
        dataplane_count_drop(worker->plane, DROP_TUN_FAILED, failed);
    }
    give_back(worker, out->to_tun, out->to_tun_count);
}

static void flush_to_control(struct worker *worker)
{
    const struct dataplane_output *out = &worker->out;
    uint32_t full = 0;

    for (size_t i = 0; i < out->to_control_count; i++) {
        const struct packet *packet = out->to_control[i];
        struct datagram datagram = {packet->local, packet->peer, packet_slice(packet)};

        full += datagrams_put(&worker->up, &datagram) ? 0 : 1;
        worker->has_news = true;
    }
    if (full > 0) {
        dataplane_count_drop(worker->plane, DROP_CONTROL_FULL, full);
    }
    give_back(worker, out->to_control, out->to_control_count);
}

static void flush(struct worker *worker)
{
    flush_to_wire(worker);
    flush_to_tun(worker);
    flush_to_control(worker);
    /* No part of this program takes payloads by their SA yet. */
    give_back(worker, worker->out.to_consumer, worker->out.to_consumer_count);
}

/* ---- sources ---- */

static bool device_has(struct worker *worker, enum tun_result result)
{
    switch (result) {
    case TUN_OK:
        return true;
    case TUN_EMPTY:
        break;
    case TUN_GONE:
        /* Its descriptor would report an error for ever. */
        loop_remove(&worker->loop, &worker->tun);
        atomic_store(&worker->device_is_gone, true);
        worker->has_news = true;
        break;
    case TUN_FAILED:
    case TUN_REFUSED:
        dataplane_count_drop(worker->plane, DROP_MALFORMED_INNER, 1);
        break;
    }
    return false;
}

/* How many packets the piece that was read will become. */
static size_t packets_in(const struct packet *piece)
{
    return piece->segmentation == SEGMENT_NONE || piece->segment_bytes == 0
               ? 1
               : piece->length / piece->segment_bytes + 1;
}

static void next_batch(struct worker *worker)
{
    dataplane_outbound_end(worker->plane);
    flush(worker);
    dataplane_outbound_begin(worker->plane, clock_now_ms(), &worker->out);
}

/* What was read goes to the data plane, to the last of it: the device does not tell of the rest. */
static void take_piece(struct worker *worker, struct packet *piece)
{
    if (piece == &worker->super) {
        while (!dataplane_outbound_super(worker->plane, piece)) {
            next_batch(worker);
        }
        return;
    }
    dataplane_outbound_packet(worker->plane, piece);
    use_stock(worker, 1);
}

/* Batches of as many pieces as there are and fit: those of one sender stand side by side then and
 * leave in one call. */
static void tun_ready(void *context, unsigned events)
{
    struct worker *worker = context;
    bool supers = worker->settings.tun->supers;
    size_t may_read = CLEAR_PACKETS_A_TURN;
    size_t taken = 0;

    (void)events;
    dataplane_outbound_begin(worker->plane, clock_now_ms(), &worker->out);
    while (may_read > 0 && (supers || fill_stock(worker, 1) > 0)) {
        struct packet *piece = supers ? &worker->super : worker->stock[0];

        piece->offset = PACKET_HEADROOM_BYTES;
        if (!device_has(worker, tun_read(worker->settings.tun, piece))) {
            break;
        }
        size_t packets = packets_in(piece);
        may_read -= packets < may_read ? packets : may_read;
        /* A long piece that would not fit as a whole begins the next batch. */
        if (dataplane_outbound_is_full(worker->plane) ||
            (taken > 0 && taken + packets > DATAPLANE_SEGMENTS_MAX)) {
            next_batch(worker);
            taken = 0;
        }
        taken += packets;
        take_piece(worker, piece);
    }
    dataplane_outbound_end(worker->plane);
    flush(worker);
}

static void take_errors(struct worker *worker, struct datagram_socket *s)
{
    struct datagram_error error;

    for (size_t i = 0; i < BATCH_PACKETS && datagram_next_error(s, &error); i++) {
        if (error.code == 0) {
            continue;
        }
        /* When the control thread is that far behind, it knows enough. */
        worker->has_news = ring_put(&worker->errors, &error) || worker->has_news;
    }
}

static size_t count_joined(struct packet *const *packets, size_t count)
{
    size_t joined = 0;

    for (size_t i = 0; i < count; i++) {
        joined += packets[i]->was_joined ? 1 : 0;
    }
    return joined;
}

/* Looks at what became of a batch. */
static void suspect(struct worker *worker, size_t count, size_t joined, uint64_t forged)
{
    if (suspicion_see(&worker->suspicion, count, joined, (size_t)forged,
                      worker->out.to_tun_count)) {
        offloads_retreat(worker->settings.offloads, OFFLOAD_JOIN, OFFLOAD_CORRUPT);
        worker->suspicion = (struct suspicion){0};
        worker->has_news = true;
    }
}

/* One batch; false when nothing more is to be had now. */
static bool receive_batch(struct worker *worker, struct datagram_socket *s)
{
    size_t too_long = 0;
    /* What the system joined needs no room of ours, and the neighbours that are opened together
     * become one piece again. */
    size_t wanted = s->supers != NULL && s->ring == NULL ? DATAPLANE_SEGMENTS_MAX : BATCH_PACKETS;
    size_t stock = fill_stock(worker, wanted);

    if (stock == 0) {
        return false;
    }
    size_t count = datagram_receive(s, worker->stock, stock < wanted ? stock : wanted, &too_long);
    if (too_long > 0) {
        dataplane_count_drop(worker->plane, DROP_MALFORMED_OUTER, (uint32_t)too_long);
    }
    if (count > 0) {
        size_t joined = s->supers == NULL ? 0 : count_joined(worker->stock, count);
        uint64_t forged = dataplane_forged(worker->plane);

        dataplane_worker_joins(worker->plane, joins(worker) != 0);
        dataplane_inbound(worker->plane, worker->stock, count, clock_now_ms(), &worker->out);
        suspect(worker, count, joined, dataplane_forged(worker->plane) - forged);
        use_stock(worker, count);
        flush(worker);
    }
    return datagram_has_more(s);
}

static void socket_ready(void *context, unsigned events)
{
    struct worker_source *source = context;
    struct worker *worker = source->worker;

    if ((events & LOOP_ERROR) != 0 || source->socket->protocol == PROTOCOL_ICMPV6) {
        take_errors(worker, source->socket);
    }
    if (source->socket->protocol == PROTOCOL_ICMPV6 || (events & LOOP_READ) == 0) {
        return;
    }
    /* What the system joined is taken whole: the descriptor does not tell of the rest. */
    bool more = true;
    while (more) {
        more = receive_batch(worker, source->socket);
    }
}

/* A TCP connection was read. */
static void stream_ready(void *context)
{
    struct worker *worker = context;
    size_t count;

    while (fill_stock(worker, DATAPLANE_SEGMENTS_MAX) > 0 &&
           (count = streams_take(worker->settings.streams, worker->stock, worker->stock_count)) >
               0) {
        dataplane_inbound(worker->plane, worker->stock, count, clock_now_ms(), &worker->out);
        streams_judge(worker->settings.streams, count,
                      worker->out.to_tun_count + worker->out.to_control_count +
                              worker->out.to_consumer_count >
                          0);
        use_stock(worker, count);
        flush(worker);
    }
}

static void wake_ready(void *context, unsigned events)
{
    struct worker *worker = context;

    (void)events;
    wake_clear(&worker->wake);
}

static void called_ready(void *context, unsigned events)
{
    struct worker *worker = context;

    (void)events;
    wake_clear(&worker->settings.calls[worker->settings.index]);
    dataplane_help(worker->plane);
}

/* Others may be asleep; whoever has packets of his own comes when he is done with them. */
static void call_others(void *context, size_t hands)
{
    const struct worker_settings *s = &((const struct worker *)context)->settings;

    for (size_t i = 0; i < s->call_count && hands > 0; i++) {
        if (i != s->index) {
            wake_up(&s->calls[i]);
            hands--;
        }
    }
}

static void yield(void)
{
    (void)sched_yield();
}

static bool add_helpers(struct worker *worker)
{
    const struct worker_settings *s = &worker->settings;

    if (s->call_count == 0) {
        return true;
    }
    worker->helpers = (struct dataplane_helpers){call_others, worker, yield, clock_now_us};
    dataplane_worker_helpers(worker->plane, &worker->helpers);
    worker->called = (struct loop_source){s->calls[s->index].source.fd, called_ready, worker};
    return loop_add(&worker->loop, &worker->called, LOOP_READ);
}

/* What is due without a packet. Returns how long there is nothing to do but wait for one. */
static uint64_t tick(struct worker *worker)
{
    uint64_t now_us = clock_now_us();
    uint64_t due_us = dataplane_due_us(worker->plane, now_us);

    if (due_us <= now_us) {
        dataplane_tick(worker->plane, now_us, &worker->out);
        flush(worker);
        due_us = dataplane_due_us(worker->plane, now_us);
    }
    dataplane_quiet(worker->plane);
    uint64_t wait_us = due_us <= now_us ? 0 : due_us - now_us;

    return wait_us < IDLE_MS * 1000 ? wait_us : IDLE_MS * 1000;
}

static bool reads_streams(const struct worker_settings *settings)
{
    return settings->reads_shared && settings->streams != NULL;
}

static void *worker_run(void *context)
{
    struct worker *worker = context;
    unsigned looks = 0;

    while (!atomic_load_explicit(&worker->ends, memory_order_relaxed)) {
        uint64_t wait_us = tick(worker);

        if (looks > 0) {
            looks--;
            (void)sched_yield();
            wait_us = 0;
        }
        if (loop_turn_us(&worker->loop, wait_us) > 0) {
            looks = LOOKS;
        }
        if (reads_streams(&worker->settings)) {
            streams_time(worker->settings.streams, clock_now_ms());
        }
        dataplane_quiet(worker->plane);
        if (worker->has_news || dataplane_has_notes(worker->plane)) {
            worker->has_news = false;
            wake_up(worker->settings.control);
        }
    }
    return NULL;
}

/* ---- life ---- */

static bool add_sockets(struct worker *worker, struct sockets *sockets, unsigned events)
{
    for (size_t i = 0; i < sockets->count; i++) {
        struct worker_source *source = &worker->sockets[worker->source_count++];

        *source = (struct worker_source){
            .source = {sockets->list[i].fd, socket_ready, source},
            .worker = worker,
            .socket = &sockets->list[i],
        };
        if (!loop_add(&worker->loop, &source->source, events)) {
            return false;
        }
    }
    return true;
}

static bool add_sources(struct worker *worker)
{
    const struct worker_settings *s = &worker->settings;
    bool seals = (s->reads & WORKER_READS_TUN) != 0;
    /* The network's errors come to any socket of a port. */
    unsigned events = (s->reads & WORKER_READS_WIRE) != 0 ? LOOP_READ : 0;

    worker->tun = (struct loop_source){.fd = s->tun->fd, .ready = tun_ready, .context = worker};
    return loop_add(&worker->loop, &worker->wake.source, LOOP_READ) &&
           (!seals || loop_add(&worker->loop, &worker->tun, LOOP_READ)) &&
           (!s->reads_shared || add_sockets(worker, s->sockets, LOOP_READ)) &&
           (!reads_streams(s) || streams_attach(s->streams, &worker->loop, stream_ready, worker)) &&
           (s->own == NULL || add_sockets(worker, s->own, events));
}

struct worker *worker_new(const struct worker_settings *settings)
{
    /* Rings want whole cache lines, which calloc() does not promise. */
    struct worker *worker = aligned_alloc(_Alignof(struct worker), sizeof(*worker));

    if (worker == NULL) {
        return NULL;
    }
    memset(worker, 0, sizeof(*worker));
    worker->settings = *settings;
    worker->super =
        (struct packet){.capacity = PACKET_HEADROOM_BYTES + TUN_SUPER_BYTES + PACKET_TAILROOM_BYTES,
                        .offset = PACKET_HEADROOM_BYTES};
    worker->super.buffer = malloc(worker->super.capacity);
    worker->plane = dataplane_worker_new(settings->dataplane, settings->index);
    if (worker->plane != NULL) {
        dataplane_worker_does(worker->plane, (settings->reads & WORKER_READS_TUN) != 0,
                              (settings->reads & WORKER_READS_WIRE) != 0);
    }
    worker->started = worker->plane != NULL && worker->super.buffer != NULL &&
                      datagrams_init(&worker->up, RING_BYTES) &&
                      ring_init(&worker->errors, sizeof(struct datagram_error), RING_ERRORS) &&
                      loop_init(&worker->loop) && wake_init(&worker->wake, wake_ready, worker) &&
                      add_sources(worker) && add_helpers(worker) &&
                      pthread_create(&worker->thread, NULL, worker_run, worker) == 0;
    if (!worker->started) {
        worker_free(worker);
        return NULL;
    }
    return worker;
}

void worker_free(struct worker *worker)
{
    if (worker == NULL) {
        return;
    }
    if (worker->started) {
        atomic_store(&worker->ends, true);
        wake_up(&worker->wake);
        (void)pthread_join(worker->thread, NULL);
    }
    wake_fini(&worker->wake);
    loop_fini(&worker->loop);
    ring_fini(&worker->errors);
    datagrams_fini(&worker->up);
    if (worker->plane != NULL) {
        give_back(worker, worker->stock, worker->stock_count);
        dataplane_worker_free(worker->plane);
    }
    free(worker->super.buffer);
    free(worker);
}

bool worker_peek_datagram(struct worker *worker, struct datagram *out)
{
    return datagrams_peek(&worker->up, out);
}

void worker_drop_datagram(struct worker *worker)
{
    datagrams_drop(&worker->up);
}

bool worker_device_is_gone(const struct worker *worker)
{
    return atomic_load(&worker->device_is_gone);
}

bool worker_next_error(struct worker *worker, struct datagram_error *out)
{
    return ring_take(&worker->errors, out);
}
