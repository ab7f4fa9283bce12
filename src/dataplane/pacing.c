/*
 * What is sent without being asked: dummy packets (RFC 4303 2.6) where an SA has been silent for
 * too long, and the payloads of IP-TFS (RFC 9347), which leave at a steady pace whether there is
 * anything in them or not. The SAs that do so stand in one list, which a worker goes through when
 * something is due: one of those that seal for what is sent, those that open for gaps in what came.
 */
#include <stdlib.h>
#include <string.h>

#include "dataplane/plane.h"
#include "wire/aggfrag.h"

#define AGGFRAG_PAYLOAD_LEAST 128

#define DUMMY_BYTES_LEAST 64
/* So many packets may be in one payload, usually; more than fit into the output are lost. */
#define PACKETS_OF_PAYLOAD 80

/* ---- control thread ---- */

static bool is_paced(const struct sa *sa)
{
    if (sa->more == NULL || sa->shape.protocol != IP_PROTOCOL_ESP) {
        return false;
    }
    return sa->more->dummy_interval_ms > 0 || sa->more->aggfrag != NULL;
}

static void list_release(struct retired *object)
{
    free(CONTAINER_OF(object, struct sa_list, retired));
}

static void publish(struct dataplane *dp, struct sa_list *list)
{
    struct sa_list *old = atomic_exchange(&dp->paced, list);

    if (old != NULL) {
        publish_retire(&dp->publish, &old->retired, list_release);
    }
}

/* The list without the SA, with room for one more; NULL when there is no memory. */
static struct sa_list *list_without(const struct sa_list *old, const struct sa *sa)
{
    size_t count = old == NULL ? 0 : old->count;
    struct sa_list *list = calloc(1, sizeof(*list) + (count + 1) * sizeof(struct sa *));

    for (size_t i = 0; list != NULL && i < count; i++) {
        if (old->sas[i] != sa) {
            list->sas[list->count++] = old->sas[i];
        }
    }
    return list;
}

void pacing_add(struct dataplane *dp, struct sa *sa)
{
    if (!is_paced(sa)) {
        return;
    }
    struct sa_list *list = list_without(atomic_load(&dp->paced), sa);
    if (list != NULL) {
        list->sas[list->count++] = sa;
        publish(dp, list);
    }
}

void pacing_remove(struct dataplane *dp, struct sa *sa)
{
    if (!is_paced(sa) || atomic_load(&dp->paced) == NULL) {
        return;
    }
    /* Without memory for a shorter list nothing is paced any more, rather than an SA that is gone.
     */
    publish(dp, list_without(atomic_load(&dp->paced), sa));
}

/* ---- the worker that seals ---- */

static bool paces(const struct dataplane_worker *worker)
{
    return worker->resource == 1;
}

/* One queue and one pace belong to an SA, whichever worker has a packet for it. It is held for the
 * copy of a packet, so who comes meanwhile does not sleep; only tunnels of one rate have it, which
 * are slow by nature. */
static void lock(const struct dataplane_worker *worker, _Atomic bool *of)
{
    while (worker->dp->shared && atomic_exchange_explicit(of, true, memory_order_acquire)) {
    }
}

static void unlock(const struct dataplane_worker *worker, _Atomic bool *of)
{
    if (worker->dp->shared) {
        atomic_store_explicit(of, false, memory_order_release);
    }
}

static uint64_t dummy_due_ms(const struct sa *sa)
{
    uint64_t last_ms = tally_read(&sa->last_out_ms);
    uint64_t tried_ms = tally_read(&sa->more->dummy_ms);

    return (tried_ms > last_ms ? tried_ms : last_ms) + sa->more->dummy_interval_ms;
}

/* RFC 4303 2.6: random contents, of the length that other packets have or might have. */
static void send_dummy(struct dataplane_worker *worker, struct sa *sa, uint64_t now_ms)
{
    struct packet *packet = dataplane_take_packet(worker);
    uint16_t mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);
    uint16_t bytes = sa->more->tfc_bytes;
    uint16_t any = 0;

    /* Whatever becomes of it, the next one is not due before its time. */
    atomic_store_explicit(&sa->more->dummy_ms, now_ms, memory_order_relaxed);
    if (sa->shape.transport) {
        mtu = mtu < IPV6_HEAD_BYTES ? 0 : mtu - IPV6_HEAD_BYTES;
    }

    if (packet == NULL || mtu < DUMMY_BYTES_LEAST) {
        if (packet != NULL) {
            dataplane_give_packet(worker, packet);
        }
        return;
    }
    if (bytes == 0) {
        iv_take(&worker->iv, (uint8_t *)&any, sizeof(any));
        bytes = (uint16_t)(DUMMY_BYTES_LEAST + any % (mtu - DUMMY_BYTES_LEAST + 1));
    }
    packet->length = bytes > mtu ? mtu : bytes;
    for (uint32_t at = 0; at < packet->length; at += IV_BYTES_MAX) {
        uint32_t left = packet->length - at;

        iv_take(&worker->iv, packet_data(packet) + at, left < IV_BYTES_MAX ? left : IV_BYTES_MAX);
    }
    tally(&worker->doors.made, 1, false);
    nest_send_contents(worker, sa, packet, IP_PROTOCOL_NONE, now_ms);
}

/* ---- IP-TFS: sending ---- */

uint16_t pacing_inner_mtu(const struct sa *sa, uint16_t payload_bytes)
{
    const struct aggfrag_out *out = &sa->more->aggfrag->out;

    if (!out->settings.dont_fragment) {
        return UINT16_MAX;
    }
    return payload_bytes < AGGFRAG_CONTROL_HEAD_BYTES
               ? 0
               : (uint16_t)(payload_bytes - AGGFRAG_CONTROL_HEAD_BYTES);
}

/* The size of its payloads follows the path. */
static uint16_t payload_bytes_of(struct sa *sa)
{
    struct aggfrag_out *out = &sa->more->aggfrag->out;
    const struct sa_path *path = atomic_load(&sa->path);
    uint16_t outer = atomic_load_explicit(&sa->outer_mtu, memory_order_relaxed);

    if (out->settings.packet_bytes != 0 && out->settings.packet_bytes < outer) {
        outer = out->settings.packet_bytes;
    }
    uint16_t payload =
        sa_inner_mtu(&sa->shape, path->peer.address.family, path->encapsulated, outer);
    if (payload < AGGFRAG_PAYLOAD_LEAST) {
        return 0;
    }
    if (out->outer_bytes != outer) {
        aggfrag_out_resize(out, outer, payload);
    }
    return payload;
}

/* Which SA of the policy sends the traffic of this one: the newest with the same selectors. NULL:
 * it is out of use. */
static struct sa *heir_of(const struct sa *sa)
{
    const struct sa_list *carrying = atomic_load(&sa->binding->list);

    for (size_t i = 0; carrying != NULL && i < carrying->count; i++) {
        struct sa *one = carrying->sas[i];

        if (one == sa ||
            (one->more != NULL && one->more->aggfrag != NULL && sa_carries_the_same(one, sa))) {
            return one;
        }
    }
    return NULL;
}

static void start(struct sa *sa, uint64_t now_us)
{
    if (!sa->more->aggfrag->is_started) {
        sa->more->aggfrag->is_started = true;
        (void)payload_bytes_of(sa);
        aggfrag_out_start(&sa->more->aggfrag->out, now_us);
    }
}

/* The SA that had taken over is gone. */
static void take_back(struct sa *sa, uint64_t now_us)
{
    struct sa_aggfrag *a = sa->more->aggfrag;

    if (atomic_load(&a->handed_over)) {
        atomic_store(&a->handed_over, false);
        aggfrag_out_take_back(&a->out, now_us);
    }
}

/* False when another SA goes on, now or already. */
static bool has_the_pace(struct sa *sa, uint64_t now_us)
{
    struct sa_aggfrag *a = sa->more->aggfrag;
    struct sa *heir = heir_of(sa);

    if (heir == NULL) {
        return !atomic_load(&a->handed_over);
    }
    take_back(heir, now_us);
    if (heir == sa) {
        return true;
    }
    if (!atomic_load(&a->handed_over)) {
        start(sa, now_us);
        aggfrag_out_take_over(&heir->more->aggfrag->out, &a->out);
        heir->more->aggfrag->is_started = true;
        atomic_store(&a->handed_over, true);
    }
    return false;
}

/* What waits in older SAs goes before what comes for this one. */
static void hear_of_older(struct dataplane_worker *worker, const struct sa *sa, uint64_t now_us)
{
    const struct sa_list *list = atomic_load(&worker->dp->paced);

    for (size_t i = 0; list != NULL && i < list->count; i++) {
        struct sa *old = list->sas[i];

        if (old != sa && old->binding == sa->binding && old->more->aggfrag != NULL) {
            (void)has_the_pace(old, now_us);
        }
    }
}

void pacing_push(struct dataplane_worker *worker, struct sa *sa, struct packet *packet)
{
    uint64_t now_us = atomic_load_explicit(&worker->now_ms, memory_order_relaxed) * 1000;
    struct sa *heir = heir_of(sa);
    struct sa_aggfrag *a = (heir != NULL ? heir : sa)->more->aggfrag;

    lock(worker, &worker->dp->pace_out_lock);
    take_back(heir != NULL ? heir : sa, now_us);
    if (!a->is_started) {
        hear_of_older(worker, heir != NULL ? heir : sa, now_us);
    }
    enum aggfrag_push pushed = aggfrag_out_push(&a->out, packet_slice(packet));
    unlock(worker, &worker->dp->pace_out_lock);
    switch (pushed) {
    case AGGFRAG_QUEUED:
        worker_took(worker, packet);
        return;
    case AGGFRAG_QUEUE_FULL:
        worker_drop(worker, packet, DROP_QUEUE_FULL);
        return;
    case AGGFRAG_TOO_BIG:
        worker_drop(worker, packet, DROP_TOO_BIG);
        return;
    case AGGFRAG_NOT_IP:
        break;
    }
    worker_drop(worker, packet, DROP_MALFORMED_INNER);
}

/* An older SA of the same traffic that has begun a packet: its rest goes out under that one (RFC
 * 9347 2.2.3). */
static struct sa *midway(const struct sa_list *list, const struct sa *sa)
{
    for (size_t i = 0; i < list->count; i++) {
        struct sa *old = list->sas[i];

        if (old != sa && old->binding == sa->binding && old->more->aggfrag != NULL &&
            atomic_load(&old->more->aggfrag->handed_over) && sa_carries_the_same(old, sa) &&
            aggfrag_out_is_midway(&old->more->aggfrag->out)) {
            return old;
        }
    }
    return NULL;
}

static bool send_payload(struct dataplane_worker *worker, const struct sa_list *list, struct sa *sa,
                         uint64_t now_us)
{
    struct packet *packet = dataplane_take_packet(worker);
    struct sa *old = midway(list, sa);
    struct sa *under = old != NULL ? old : sa;
    uint16_t bytes = payload_bytes_of(under);

    if (packet == NULL || bytes == 0) {
        if (packet != NULL) {
            dataplane_give_packet(worker, packet);
        }
        return false;
    }
    packet->length = bytes;
    if (old != NULL) {
        aggfrag_finish(&old->more->aggfrag->out, &sa->more->aggfrag->out, now_us,
                       packet_data(packet), bytes);
    } else {
        (void)aggfrag_fill(&sa->more->aggfrag->out, now_us, packet_data(packet), bytes);
    }
    tally(&worker->doors.made, 1, false);
    nest_send_contents(worker, under, packet, IP_PROTOCOL_AGGFRAG, now_us / 1000);
    return true;
}

static void send_payloads(struct dataplane_worker *worker, const struct sa_list *list,
                          struct sa *sa, size_t *budget, uint64_t now_us)
{
    struct sa_aggfrag *a = sa->more->aggfrag;
    struct aggfrag_news news;

    start(sa, now_us);
    if (!has_the_pace(sa, now_us)) {
        return;
    }
    if (aggfrag_link_take(&a->news, &a->news_seen, &news)) {
        aggfrag_out_hear(&a->out, &news);
    }
    while (*budget > 0 && aggfrag_next_us(&a->out) <= now_us &&
           send_payload(worker, list, sa, now_us)) {
        (*budget)--;
    }
}

/* ---- IP-TFS: receiving ---- */

/* A place is kept for every other packet of the batch. */
static size_t room_inside(const struct dataplane_worker *worker)
{
    return DATAPLANE_OUTPUT_MAX - worker->out->to_tun_count - worker->owed;
}

/* What came out of a payload is a packet of the tunnel like any other. */
static void deliver(struct dataplane_worker *worker, struct sa *sa, const struct packet *from,
                    struct slice inner)
{
    struct packet *packet = dataplane_take_packet(worker);
    struct ip_head head;

    tally(&worker->doors.made, 1, false);
    if (packet == NULL) {
        tally(&worker->doors.dropped[DROP_NO_BUFFER], 1, false);
        return;
    }
    memcpy(packet_data(packet), inner.data, inner.length);
    packet->length = (uint32_t)inner.length;
    packet->local = from->local;
    packet->peer = from->peer;
    uint8_t protocol = inner.data[0] >> 4 == 4 ? IP_PROTOCOL_IPV4 : IP_PROTOCOL_IPV6;
    enum drop_reason reason = check_inner(worker, sa, packet, protocol, &head);
    if (reason == DROP_NONE && room_inside(worker) == 0) {
        reason = DROP_QUEUE_FULL;
    }
    if (reason != DROP_NONE) {
        worker_drop_of(worker, &(struct esp_work){.packet = packet, .sa = sa}, reason);
        return;
    }
    if (worker->tap != NULL) {
        tap_inner(worker, sa, packet);
    }
    count_delivered(worker, sa, packet->length);
    fit_clamp_mss(sa, packet, &head);
    worker_to_tun(worker, packet);
}

static void take_packets(struct dataplane_worker *worker, struct sa *sa, const struct packet *from)
{
    struct sa_aggfrag *a = sa->more->aggfrag;
    struct aggfrag_news news;
    struct slice inner;

    while (aggfrag_in_next(&a->in, &inner)) {
        deliver(worker, sa, from, inner);
    }
    atomic_store_explicit(&a->in_due_us, aggfrag_in_next_us(&a->in), memory_order_relaxed);
    if (aggfrag_in_news(&a->in, &news)) {
        aggfrag_link_put(&a->news, &news);
    }
}

static void receive_now(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                        uint64_t sequence, uint64_t now_us)
{
    struct sa_aggfrag *a = sa->more->aggfrag;

    atomic_store_explicit(&a->opener, worker->index, memory_order_relaxed);
    lock(worker, &worker->dp->pace_in_lock);
    enum aggfrag_arrival arrival = aggfrag_in_push(&a->in, sequence, packet_slice(packet), now_us);
    if (arrival == AGGFRAG_TAKEN) {
        take_packets(worker, sa, packet);
    }
    unlock(worker, &worker->dp->pace_in_lock);
    if (arrival != AGGFRAG_TAKEN) {
        worker_drop_of(worker, &(struct esp_work){.packet = packet, .sa = sa, .sequence = sequence},
                       DROP_AGGREGATION);
        return;
    }
    worker_took(worker, packet);
}

/* Small packets may be so many that the output has no room for those of all payloads of a batch:
 * then the rest of the payloads waits for the next turn, in order. */
void pacing_receive(struct dataplane_worker *worker, const struct esp_work *work, uint64_t now_us)
{
    if (worker->later_count == 0 && room_inside(worker) >= PACKETS_OF_PAYLOAD) {
        receive_now(worker, work->sa, work->packet, work->sequence, now_us);
    } else if (worker->later_count < LATER_MAX) {
        worker->later[worker->later_count++] =
            (struct later){work->packet, work->sa->spi_in, work->sequence};
    } else {
        worker_drop_of(worker, work, DROP_QUEUE_FULL);
    }
}

static void receive_later(struct dataplane_worker *worker, uint64_t now_us)
{
    size_t done = 0;

    while (done < worker->later_count && room_inside(worker) >= PACKETS_OF_PAYLOAD) {
        const struct later *l = &worker->later[done++];
        struct sa *sa = sad_find(worker->dp, l->spi);

        if (sa == NULL || sa->more == NULL || sa->more->aggfrag == NULL) {
            worker_drop(worker, l->packet, DROP_UNKNOWN_SPI);
        } else {
            receive_now(worker, sa, l->packet, l->sequence, now_us);
        }
    }
    worker->later_count -= done;
    memmove(worker->later, worker->later + done, worker->later_count * sizeof(worker->later[0]));
}

/* What comes out of it must not overtake what the same worker delivers before. */
static bool gives_up_gaps_of(const struct dataplane_worker *worker, const struct sa_aggfrag *a)
{
    return worker->opens &&
           (!worker->dp->shared ||
            atomic_load_explicit(&a->opener, memory_order_relaxed) == worker->index);
}

/* A gap that nothing filled in time. */
static void give_up_gaps(struct dataplane_worker *worker, const struct sa_list *list,
                         uint64_t now_us)
{
    static const struct packet nowhere;

    for (size_t i = 0; i < list->count; i++) {
        struct sa_aggfrag *a = list->sas[i]->more->aggfrag;

        if (a != NULL && gives_up_gaps_of(worker, a) &&
            atomic_load_explicit(&a->in_due_us, memory_order_relaxed) <= now_us &&
            room_inside(worker) >= PACKETS_OF_PAYLOAD) {
            lock(worker, &worker->dp->pace_in_lock);
            aggfrag_in_time(&a->in, now_us);
            take_packets(worker, list->sas[i], &nowhere);
            unlock(worker, &worker->dp->pace_in_lock);
        }
    }
}

/* ---- when, and then ---- */

static void send_what_is_due(struct dataplane_worker *worker, const struct sa_list *list,
                             uint64_t now_us)
{
    size_t room = DATAPLANE_OUTPUT_MAX - worker->out->to_wire_count;
    size_t budget = room < BATCH_PACKETS ? room : BATCH_PACKETS;

    lock(worker, &worker->dp->pace_out_lock);
    for (size_t i = 0; i < list->count && budget > 0; i++) {
        struct sa *sa = list->sas[i];

        if (sa->more->aggfrag != NULL) {
            send_payloads(worker, list, sa, &budget, now_us);
        } else if (dummy_due_ms(sa) <= now_us / 1000) {
            send_dummy(worker, sa, now_us / 1000);
            budget--;
        }
    }
    unlock(worker, &worker->dp->pace_out_lock);
    nest_send_all(worker, now_us / 1000);
}

static uint64_t sa_due_us(const struct dataplane_worker *worker, const struct sa *sa)
{
    const struct sa_aggfrag *a = sa->more->aggfrag;
    uint64_t due_us = NEVER_US;

    if (paces(worker) && a == NULL) {
        due_us = dummy_due_ms(sa) * 1000;
    } else if (paces(worker) && !atomic_load(&a->handed_over)) {
        due_us = a->is_started ? aggfrag_next_us(&a->out) : 0;
    } else if (paces(worker) && heir_of(sa) == sa) {
        /* It takes the pace back. */
        due_us = 0;
    }
    if (a != NULL && gives_up_gaps_of(worker, a)) {
        uint64_t gap_us = atomic_load_explicit(&a->in_due_us, memory_order_relaxed);

        due_us = gap_us < due_us ? gap_us : due_us;
    }
    return due_us;
}

static uint64_t paced_due_us(const struct dataplane_worker *worker)
{
    struct publish *publish = &worker->dp->publish;
    uint64_t due_us = NEVER_US;

    publish_enter(publish, worker->index);
    const struct sa_list *list = atomic_load(&worker->dp->paced);
    lock(worker, &worker->dp->pace_out_lock);
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        uint64_t one_us = sa_due_us(worker, list->sas[i]);

        due_us = one_us < due_us ? one_us : due_us;
    }
    unlock(worker, &worker->dp->pace_out_lock);
    publish_quiet(publish, worker->index);
    return due_us;
}

uint64_t dataplane_due_us(const struct dataplane_worker *worker, uint64_t now_us)
{
    uint64_t due_us = NEVER_US;

    if (worker->later_count > 0) {
        return now_us;
    }
    if (worker->held_count > 0) {
        due_us = now_us + HELD_LOOK_US;
    }
    if (worker->early_count > 0) {
        due_us = now_us + EARLY_LOOK_US;
    }
    if (atomic_load_explicit(&worker->dp->paced, memory_order_relaxed) != NULL) {
        uint64_t paced_us = paced_due_us(worker);

        due_us = paced_us < due_us ? paced_us : due_us;
    }
    return due_us;
}

void dataplane_tick(struct dataplane_worker *worker, uint64_t now_us, struct dataplane_output *out)
{
    uint64_t now_ms = now_us / 1000;

    worker_begin(worker, now_ms, out);
    const struct sa_list *list = atomic_load(&worker->dp->paced);
    if (worker->held_count > 0) {
        outbound_look_again(worker, now_ms);
    }
    worker->inbound = true;
    if (worker->later_count > 0) {
        receive_later(worker, now_us);
    } else if (worker->early_count > 0) {
        inbound_look_again(worker, now_ms);
    }
    if (list != NULL && worker->opens) {
        give_up_gaps(worker, list, now_us);
    }
    worker->inbound = false;
    if (list != NULL && paces(worker)) {
        send_what_is_due(worker, list, now_us);
    }
    if (worker->tap != NULL) {
        tap_publish(worker);
    }
}
