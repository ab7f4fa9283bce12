/* Decides what a tap copies, and how copies get from workers to the control thread. */
#include "dataplane/tap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/plane.h"

#define RING_BYTES (4u * 1024 * 1024)
#define ALIGN 16
#define GAP SIZE_MAX

/* Before the octets of each packet. A worker may still change the reason of those of its present
 * batch: they are published at the end of it. */
struct copy {
    size_t bytes; /* of the whole entry; GAP: nothing more before the end of the ring */
    struct tap_record record;
};

struct tap_ring {
    _Alignas(64) _Atomic size_t head; /* next to take; written by the control thread */
    size_t held; /* of the entry that was taken last */
    _Alignas(64) _Atomic size_t tail; /* behind the last that is published */
    size_t next; /* behind the last that is written */
    _Atomic uint64_t lost;
    struct copy *of_packet[WORKER_PACKETS]; /* in this batch */
    uint8_t *bytes;
};

struct tap {
    struct retired retired;
    uint32_t policy_id;
    unsigned what;
    size_t ring_count, turn;
    struct tap_ring rings[];
};

/* ---- the ring ---- */

/* Room for a packet of so many octets; NULL when there is none. */
static struct copy *ring_reserve(struct tap_ring *r, size_t data_bytes)
{
    size_t needed = (sizeof(struct copy) + data_bytes + ALIGN - 1) / ALIGN * ALIGN;
    size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    size_t at = r->next % RING_BYTES;
    size_t gap = RING_BYTES - at < needed ? RING_BYTES - at : 0;

    if (r->next - head + gap + needed > RING_BYTES) {
        return NULL;
    }
    if (gap != 0) {
        const size_t marker = GAP;

        memcpy(r->bytes + at, &marker, sizeof(marker));
        at = 0;
    }
    struct copy *copy = (void *)(r->bytes + at);
    copy->bytes = needed;
    r->next += gap + needed;
    return copy;
}

static void ring_publish(struct tap_ring *r)
{
    atomic_store_explicit(&r->tail, r->next, memory_order_release);
    memset(r->of_packet, 0, sizeof(r->of_packet));
}

static bool ring_take_copy(struct tap_ring *r, struct tap_record *out)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed) + r->held;

    r->held = 0;
    atomic_store_explicit(&r->head, head, memory_order_release);
    if (head == atomic_load_explicit(&r->tail, memory_order_acquire)) {
        return false;
    }
    size_t at = head % RING_BYTES;
    size_t marker;
    memcpy(&marker, r->bytes + at, sizeof(marker));
    if (marker == GAP) {
        head += RING_BYTES - at;
        atomic_store_explicit(&r->head, head, memory_order_release);
        at = 0;
    }
    const struct copy *copy = (const void *)(r->bytes + at);
    *out = copy->record;
    r->held = copy->bytes;
    return true;
}

/* ---- workers ---- */

static struct tap_ring *ring_of(const struct dataplane_worker *worker)
{
    return &worker->tap->rings[worker->index];
}

static bool wants(const struct dataplane_worker *worker, uint32_t policy_id, unsigned what)
{
    return ((worker->tap->policy_id ^ policy_id) & ~POLICY_PART_BITS) == 0 &&
           (worker->tap->what & what) != 0;
}

/* Copies `bytes`, which are the packet's or begin before it. */
static struct copy *put(struct dataplane_worker *worker, const struct packet *packet,
                        struct slice bytes)
{
    struct tap_ring *r = ring_of(worker);
    size_t length = bytes.length < TAP_SNAP_BYTES ? bytes.length : TAP_SNAP_BYTES;
    struct copy *copy = ring_reserve(r, length);

    if (copy == NULL) {
        tally(&r->lost, 1, false);
        return NULL;
    }
    uint8_t *to = (uint8_t *)(copy + 1);
    memcpy(to, bytes.data, length);
    copy->record = (struct tap_record){
        .at_ms = atomic_load_explicit(&worker->now_ms, memory_order_relaxed),
        .inbound = worker->inbound,
        .local = packet->local,
        .peer = packet->peer,
        .outer_protocol = packet->outer_protocol,
        .tos = packet->tos,
        .dont_fragment = packet->dont_fragment,
        .original_bytes = (uint32_t)bytes.length,
        .data = {to, length},
    };
    r->of_packet[packet - worker->packets] = copy;
    return copy;
}

static void set_sa(struct tap_record *record, const struct sa *sa)
{
    record->spi_in = sa->spi_in;
    record->spi = record->inbound ? sa->spi_in : sa->spi_out;
    record->protocol = sa->shape.protocol;
}

/* The SA of a datagram, as inbound.c finds it; NULL when it is none of ours. */
static const struct sa *sa_of_datagram(const struct dataplane *dp, const struct packet *packet)
{
    bool is_ah = packet->outer_protocol == IP_PROTOCOL_AH;
    size_t spi_at = is_ah ? 4 : 0;

    if (packet->length < ESP_HEAD_BYTES ||
        (!is_ah && packet->outer_protocol != IP_PROTOCOL_ESP &&
         (packet->outer_protocol != IP_PROTOCOL_UDP ||
          (packet->local.port == dp->ike_port && !packet->local.tcp)))) {
        return NULL;
    }
    const struct sa *sa = sad_find(dp, get_u32(packet_data(packet) + spi_at));
    return sa != NULL && (sa->shape.protocol == IP_PROTOCOL_AH) == is_ah ? sa : NULL;
}

void tap_received(struct dataplane_worker *worker, struct packet *const *packets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct packet *packet = packets[i];
        const struct sa *sa = sa_of_datagram(worker->dp, packet);

        if (sa == NULL || !wants(worker, sa->policy_id, TAP_OUTER)) {
            continue;
        }
        uint32_t head_bytes =
            packet->outer_head_bytes <= packet->offset ? packet->outer_head_bytes : 0;
        struct copy *copy =
            put(worker, packet,
                (struct slice){packet_data(packet) - head_bytes, packet->length + head_bytes});
        if (copy != NULL) {
            set_sa(&copy->record, sa);
            copy->record.has_head = head_bytes > 0;
        }
    }
}

void tap_inner(struct dataplane_worker *worker, const struct sa *sa, const struct packet *packet)
{
    if (wants(worker, sa->policy_id, TAP_INNER)) {
        struct copy *copy = put(worker, packet, packet_slice(packet));

        if (copy != NULL) {
            copy->record.inner = true;
            set_sa(&copy->record, sa);
        }
    }
}

void tap_sent(struct dataplane_worker *worker, const struct sa *sa, const struct packet *packet)
{
    if (wants(worker, sa->policy_id, TAP_OUTER)) {
        struct copy *copy = put(worker, packet, packet_slice(packet));

        if (copy != NULL) {
            copy->record.has_head = packet->has_outer_head;
            set_sa(&copy->record, sa);
        }
    }
}

void tap_dropped(struct dataplane_worker *worker, const struct packet *packet,
                 const struct esp_work *work, enum drop_reason reason)
{
    struct copy **of_packet = &ring_of(worker)->of_packet[packet - worker->packets];
    struct copy *copy = *of_packet;
    struct drop_example e;

    *of_packet = NULL; /* the buffer may become another packet of this batch */
    if (copy != NULL) {
        copy->record.reason = reason;
    }
    if (copy != NULL && copy->record.inner) {
        return;
    }
    /* Clear text that was not copied yet: outbound before an SA was found, or what came out of one
     * and was refused. */
    example_describe(worker, packet, work, reason, &e);
    if (!e.has_inner || !wants(worker, e.policy_id, TAP_INNER)) {
        return;
    }
    copy = put(worker, packet, packet_slice(packet));
    if (copy != NULL) {
        copy->record.inner = true;
        copy->record.reason = reason;
        if (work != NULL) {
            set_sa(&copy->record, work->sa);
        }
        *of_packet = NULL;
    }
}

void tap_publish(struct dataplane_worker *worker)
{
    struct tap_ring *r = ring_of(worker);

    worker->tap_news = r->next != atomic_load_explicit(&r->tail, memory_order_relaxed);
    ring_publish(r);
}

/* ---- the control thread ---- */

static void tap_free(struct tap *tap)
{
    for (size_t i = 0; i < tap->ring_count; i++) {
        free(tap->rings[i].bytes);
    }
    free(tap);
}

static void tap_release(struct retired *object)
{
    tap_free(CONTAINER_OF(object, struct tap, retired));
}

bool dataplane_tap_begin(struct dataplane *dp, uint32_t policy_id, unsigned what)
{
    size_t bytes = sizeof(struct tap) + dp->worker_count * sizeof(struct tap_ring);

    if (dataplane_tap_is_on(dp)) {
        return false;
    }
    bytes = (bytes + 63) / 64 * 64;
    struct tap *tap = aligned_alloc(64, bytes);
    if (tap == NULL) {
        return false;
    }
    memset(tap, 0, bytes);
    tap->policy_id = policy_id;
    tap->what = what;
    tap->ring_count = dp->worker_count;
    for (size_t i = 0; i < tap->ring_count; i++) {
        tap->rings[i].bytes = aligned_alloc(64, RING_BYTES);
        if (tap->rings[i].bytes == NULL) {
            tap_free(tap);
            return false;
        }
    }
    atomic_store(&dp->tap, tap);
    return true;
}

void dataplane_tap_end(struct dataplane *dp)
{
    struct tap *tap = atomic_load(&dp->tap);

    if (tap != NULL) {
        atomic_store(&dp->tap, NULL);
        publish_retire(&dp->publish, &tap->retired, tap_release);
    }
}

bool dataplane_tap_is_on(const struct dataplane *dp)
{
    return atomic_load_explicit(&dp->tap, memory_order_relaxed) != NULL;
}

bool dataplane_tap_next(struct dataplane *dp, struct tap_record *out)
{
    struct tap *tap = atomic_load(&dp->tap);

    for (size_t i = 0; tap != NULL && i < tap->ring_count; i++) {
        tap->turn = (tap->turn + 1) % tap->ring_count;
        if (ring_take_copy(&tap->rings[tap->turn], out)) {
            return true;
        }
    }
    return false;
}

uint64_t dataplane_tap_lost(const struct dataplane *dp)
{
    const struct tap *tap = atomic_load(&dp->tap);
    uint64_t lost = 0;

    for (size_t i = 0; tap != NULL && i < tap->ring_count; i++) {
        lost += tally_read(&tap->rings[i].lost);
    }
    return lost;
}
