/*
 * What a worker has to itself: its packets, its counters, its notes; and the doors by which
 * packets leave.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "dataplane/pages.h"
#include "dataplane/plane.h"

#define BUFFER_BYTES (PACKET_HEADROOM_BYTES + 65536 + PACKET_TAILROOM_BYTES)
/* Buffers begin on pages of their own, so that one which never held a large packet keeps a page and
 * no more; shifted by a few lines each, lest the first lines of all packets share the same places
 * in the cache. */
#define COLOURS 16
#define COLOUR_BYTES 128
#define BUFFER_STRIDE                                                                              \
    ((BUFFER_BYTES + COLOURS * COLOUR_BYTES + PAGES_ALIGNMENT - 1) / PAGES_ALIGNMENT *             \
     PAGES_ALIGNMENT)

#define POOL_PACKETS (WORKER_PACKETS + WORKER_SMALL_PACKETS)
static_assert(SMALL_BYTES / COLOUR_BYTES % 2 == 1 && SMALL_BYTES % COLOUR_BYTES == 0,
              "neighbours stand in different places of the cache");

/* Where the packet's own buffer is: between two uses it may have pointed elsewhere. */
static uint8_t *buffer_of(const struct dataplane_worker *worker, size_t index)
{
    return index < WORKER_PACKETS
               ? worker->buffers + index * BUFFER_STRIDE + index % COLOURS * COLOUR_BYTES
               : worker->small_buffers + (index - WORKER_PACKETS) * SMALL_BYTES;
}

static bool worker_init_packets(struct dataplane_worker *worker)
{
    worker->buffers = pages_new((size_t)WORKER_PACKETS * BUFFER_STRIDE);
    worker->small_buffers =
        aligned_alloc(PAGES_ALIGNMENT, (size_t)WORKER_SMALL_PACKETS * SMALL_BYTES);
    worker->packets = calloc(POOL_PACKETS, sizeof(*worker->packets));
    worker->free_packets = calloc(WORKER_PACKETS, sizeof(*worker->free_packets));
    worker->free_small = calloc(WORKER_SMALL_PACKETS, sizeof(*worker->free_small));
    worker->is_taken = calloc(POOL_PACKETS, sizeof(*worker->is_taken));
    if (worker->buffers == NULL || worker->small_buffers == NULL || worker->packets == NULL ||
        worker->free_packets == NULL || worker->free_small == NULL || worker->is_taken == NULL) {
        return false;
    }
    /* The first are taken first: those that were used last are in the cache. */
    for (size_t i = 0; i < WORKER_PACKETS; i++) {
        worker->free_packets[WORKER_PACKETS - 1 - i] = (uint16_t)i;
    }
    for (size_t i = 0; i < WORKER_SMALL_PACKETS; i++) {
        worker->free_small[WORKER_SMALL_PACKETS - 1 - i] = (uint16_t)(WORKER_PACKETS + i);
    }
    worker->free_count = WORKER_PACKETS;
    worker->free_small_count = WORKER_SMALL_PACKETS;
    return true;
}

bool worker_can_compress(struct dataplane_worker *worker)
{
    if (atomic_load(&worker->ipcomp) == NULL) {
        atomic_store(&worker->ipcomp, ipcomp_new());
    }
    return atomic_load(&worker->ipcomp) != NULL;
}

struct dataplane_worker *dataplane_worker_new(struct dataplane *dp, uint32_t index)
{
    if (index >= dp->worker_count || dp->workers[index] != NULL) {
        return NULL;
    }
    size_t bytes = (sizeof(struct dataplane_worker) + 63) / 64 * 64;
    struct dataplane_worker *worker = aligned_alloc(64, bytes);
    if (worker == NULL) {
        return NULL;
    }
    memset(worker, 0, bytes);
    worker->dp = dp;
    worker->index = index;
    worker->icmp_credit = ICMP_BURST;
    dataplane_worker_does(worker, true, true);
    iv_init(&worker->iv, dp->random);
    worker->engine = protect_engine_new();
    worker->nests = calloc(BATCH_PACKETS, sizeof(*worker->nests));
    worker->reassembly = reassembly_new(dp->random);
    worker->ports_out = fragment_ports_new(dp->random);
    worker->ports_in = fragment_ports_new(dp->random);
    iv_take(&worker->iv, (uint8_t *)&worker->ip_id, sizeof(worker->ip_id));
    if (worker->engine == NULL || worker->nests == NULL || worker->reassembly == NULL ||
        worker->ports_out == NULL || worker->ports_in == NULL || !worker_init_packets(worker) ||
        !ring_init(&worker->notes, sizeof(struct dataplane_note), WORKER_NOTES) ||
        !ring_init(&worker->examples, sizeof(struct drop_example), WORKER_EXAMPLES)) {
        worker_fini(worker);
        return NULL;
    }
    if (dp->compresses && !worker_can_compress(worker)) {
        worker_fini(worker);
        return NULL;
    }
    dp->workers[index] = worker;
    return worker;
}

void worker_give_held(struct dataplane_worker *worker)
{
    worker->tap = NULL;
    for (size_t i = 0; i < worker->held_count; i++) {
        worker_drop(worker, worker->held[i].packet, DROP_NO_SA);
    }
    for (size_t i = 0; i < worker->later_count; i++) {
        worker_drop(worker, worker->later[i].packet, DROP_QUEUE_FULL);
    }
    for (size_t i = 0; i < worker->early_count; i++) {
        worker_drop(worker, worker->early[i].packet, DROP_QUEUE_FULL);
    }
    worker->held_count = 0;
    worker->later_count = 0;
    worker->early_count = 0;
}

void worker_fini(struct dataplane_worker *worker)
{
    protect_engine_free(worker->engine);
    iv_fini(&worker->iv);
    ring_fini(&worker->notes);
    ipcomp_free(atomic_load(&worker->ipcomp));
    ring_fini(&worker->examples);
    reassembly_free(worker->reassembly);
    fragment_ports_free(worker->ports_out);
    fragment_ports_free(worker->ports_in);
    free(worker->nests);
    free(worker->is_taken);
    free(worker->free_packets);
    free(worker->free_small);
    free(worker->packets);
    pages_free(worker->buffers, (size_t)WORKER_PACKETS * BUFFER_STRIDE);
    free(worker->small_buffers);
    free(worker);
}

static struct packet *take(struct dataplane_worker *worker, size_t index, uint32_t capacity)
{
    struct packet *packet = &worker->packets[index];

    assert(!worker->is_taken[index]);
    worker->is_taken[index] = true;
    *packet = (struct packet){
        .buffer = buffer_of(worker, index),
        .capacity = capacity,
        .offset = PACKET_HEADROOM_BYTES,
    };
    return packet;
}

struct packet *dataplane_take_packet(struct dataplane_worker *worker)
{
    return worker->free_count == 0
               ? NULL
               : take(worker, worker->free_packets[--worker->free_count], BUFFER_BYTES);
}

struct packet *worker_take_small(struct dataplane_worker *worker)
{
    return worker->free_small_count == 0
               ? NULL
               : take(worker, worker->free_small[--worker->free_small_count], SMALL_BYTES);
}

void worker_own(struct dataplane_worker *worker, struct packet *packet)
{
    size_t index = (size_t)(packet - worker->packets);
    uint8_t *buffer = buffer_of(worker, index);

    assert(packet >= worker->packets && index < WORKER_PACKETS);
    if (packet->buffer == buffer) {
        return;
    }
    uint32_t before = packet->outer_head_bytes;

    assert(before <= PACKET_HEADROOM_BYTES &&
           packet->length <= BUFFER_BYTES - PACKET_HEADROOM_BYTES - PACKET_TAILROOM_BYTES);
    memcpy(buffer + PACKET_HEADROOM_BYTES - before, packet_data(packet) - before,
           before + packet->length);
    packet->buffer = buffer;
    packet->capacity = BUFFER_BYTES;
    packet->offset = PACKET_HEADROOM_BYTES;
}

void dataplane_give_packet(struct dataplane_worker *worker, struct packet *packet)
{
    size_t index = (size_t)(packet - worker->packets);

    assert(packet >= worker->packets && index < POOL_PACKETS);
    assert(worker->is_taken[index]);
    worker->is_taken[index] = false;
    if (index < WORKER_PACKETS) {
        worker->free_packets[worker->free_count++] = (uint16_t)index;
    } else {
        worker->free_small[worker->free_small_count++] = (uint16_t)index;
    }
}

static uint32_t sealers_before(const struct dataplane *dp, uint32_t index)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < index; i++) {
        count += dp->workers[i] != NULL && dp->workers[i]->seals;
    }
    return count;
}

uint32_t dataplane_sealers(const struct dataplane *dp)
{
    return sealers_before(dp, WORKERS_MAX);
}

uint32_t dataplane_openers(const struct dataplane *dp)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < WORKERS_MAX; i++) {
        count += dp->workers[i] != NULL && dp->workers[i]->opens;
    }
    return count;
}

void dataplane_worker_does(struct dataplane_worker *worker, bool seals, bool opens)
{
    worker->seals = seals;
    worker->opens = opens;
    worker->resource = seals ? (uint8_t)(1 + sealers_before(worker->dp, worker->index)) : 0;
}

void dataplane_worker_joins(struct dataplane_worker *worker, bool joins)
{
    worker->joins = joins;
}

void dataplane_worker_helpers(struct dataplane_worker *worker,
                              const struct dataplane_helpers *helpers)
{
    worker->helpers = helpers;
}

void dataplane_help(struct dataplane_worker *worker)
{
    while (crew_help(&worker->dp->crew, worker->engine)) {
    }
}

void dataplane_quiet(struct dataplane_worker *worker)
{
    publish_quiet(&worker->dp->publish, worker->index);
}

void worker_begin(struct dataplane_worker *worker, uint64_t now_ms, struct dataplane_output *out)
{
    publish_enter(&worker->dp->publish, worker->index);
    atomic_store_explicit(&worker->now_ms, now_ms, memory_order_relaxed);
    worker->out = out;
    worker->inbound = false;
    worker->tap = atomic_load(&worker->dp->tap);
    worker->tap_news = false;
    worker->work_count = 0;
    worker->nest_count = 0;
    worker->owed = 0;
    out->to_wire_count = 0;
    out->to_tun_count = 0;
    out->to_control_count = 0;
    out->to_consumer_count = 0;
}

/* --- doors --- */

static void drop(struct dataplane_worker *worker, struct packet *packet,
                 const struct esp_work *work, enum drop_reason reason)
{
    assert(reason > DROP_NONE && reason < DROP_REASON_COUNT);
    tally(&worker->doors.dropped[reason], 1, false);
    if (atomic_load_explicit(&worker->now_ms, memory_order_relaxed) >=
        worker->example_due_ms[reason]) {
        example_keep(worker, packet, work, reason);
    }
    if (worker->tap != NULL) {
        tap_dropped(worker, packet, work, reason);
    }
    dataplane_give_packet(worker, packet);
}

void worker_drop(struct dataplane_worker *worker, struct packet *packet, enum drop_reason reason)
{
    drop(worker, packet, NULL, reason);
}

void worker_drop_of(struct dataplane_worker *worker, const struct esp_work *work,
                    enum drop_reason reason)
{
    drop(worker, work->packet, work, reason);
}

void worker_to_tun(struct dataplane_worker *worker, struct packet *packet)
{
    assert(worker->out->to_tun_count < DATAPLANE_OUTPUT_MAX);
    worker->out->to_tun[worker->out->to_tun_count++] = packet;
    tally(&worker->doors.to_tun, 1, false);
}

void worker_to_wire(struct dataplane_worker *worker, struct packet *packet)
{
    assert(worker->out->to_wire_count < DATAPLANE_OUTPUT_MAX);
    worker->out->to_wire[worker->out->to_wire_count++] = packet;
    tally(&worker->doors.to_wire, 1, false);
}

void worker_to_control(struct dataplane_worker *worker, struct packet *packet)
{
    assert(worker->out->to_control_count < DATAPLANE_OUTPUT_MAX);
    worker->out->to_control[worker->out->to_control_count++] = packet;
    tally(&worker->doors.to_control, 1, false);
}

void worker_to_consumer(struct dataplane_worker *worker, struct packet *packet)
{
    assert(worker->out->to_consumer_count < DATAPLANE_OUTPUT_MAX);
    worker->out->to_consumer[worker->out->to_consumer_count++] = packet;
    tally(&worker->doors.to_consumer, 1, false);
}

void worker_took(struct dataplane_worker *worker, struct packet *packet)
{
    tally(&worker->doors.joined, 1, false);
    dataplane_give_packet(worker, packet);
}

void worker_to_clear(struct dataplane_worker *worker, struct packet *packet)
{
    assert(worker->out->to_wire_count < DATAPLANE_OUTPUT_MAX);
    worker->out->to_wire[worker->out->to_wire_count++] = packet;
    tally(&worker->doors.to_clear, 1, false);
}

/* --- notes --- */

bool worker_note(struct dataplane_worker *worker, const struct dataplane_note *note)
{
    return ring_put(&worker->notes, note);
}

void worker_note_once(struct dataplane_worker *worker, struct sa *sa, enum sa_noted once,
                      enum dataplane_note_kind kind)
{
    if ((atomic_load_explicit(&sa->noted, memory_order_relaxed) & once) != 0) {
        return;
    }
    struct dataplane_note note = {.kind = kind, .spi_in = sa->spi_in, .policy_id = sa->policy_id};
    if (worker_note(worker, &note)) {
        atomic_fetch_or_explicit(&sa->noted, (uint8_t)once, memory_order_relaxed);
    }
}
