/*
 * What is sent without being asked: dummy packets (RFC 4303 2.6) where an SA has been silent for
 * too long. The SAs that do so stand in one list, which the worker that seals goes through when
 * something is due.
 */
#include <stdlib.h>

#include "dataplane/plane.h"

#define DUMMY_BYTES_LEAST 64

/* ---- control thread ---- */

static bool is_paced(const struct sa *sa)
{
    return sa->more != NULL && sa->more->dummy_interval_ms > 0;
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
    struct sa_list *list = calloc(1, sizeof(*list) + (count + 1) * sizeof(list->sas[0]));

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

static uint64_t dummy_due_ms(const struct sa *sa)
{
    return tally_read(&sa->last_out_ms) + sa->more->dummy_interval_ms;
}

/* RFC 4303 2.6: random contents, of the length that other packets have or might have. */
static void send_dummy(struct dataplane_worker *worker, struct sa *sa, uint64_t now_ms)
{
    struct packet *packet = dataplane_take_packet(worker);
    uint16_t mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);
    uint16_t bytes = sa->more->tfc_bytes;
    uint16_t any = 0;

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

static void send_dummies(struct dataplane_worker *worker, uint64_t now_ms)
{
    const struct sa_list *list = atomic_load(&worker->dp->paced);

    for (size_t i = 0; list != NULL && i < list->count; i++) {
        if (dummy_due_ms(list->sas[i]) <= now_ms) {
            send_dummy(worker, list->sas[i], now_ms);
        }
    }
    nest_send_all(worker, now_ms);
}

static uint64_t paced_due_us(const struct dataplane_worker *worker)
{
    uint64_t due_us = NEVER_US;

    publish_enter(&worker->dp->publish, worker->index);
    const struct sa_list *list = atomic_load(&worker->dp->paced);
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        uint64_t one_us = dummy_due_ms(list->sas[i]) * 1000;

        due_us = one_us < due_us ? one_us : due_us;
    }
    return due_us;
}

uint64_t dataplane_due_us(const struct dataplane_worker *worker, uint64_t now_us)
{
    uint64_t due_us = NEVER_US;

    if (worker->held_count > 0) {
        due_us = now_us + HELD_LOOK_US;
    }
    if (worker->seals && atomic_load_explicit(&worker->dp->paced, memory_order_relaxed) != NULL) {
        uint64_t paced_us = paced_due_us(worker);

        due_us = paced_us < due_us ? paced_us : due_us;
    }
    return due_us;
}

void dataplane_tick(struct dataplane_worker *worker, uint64_t now_us, struct dataplane_output *out)
{
    uint64_t now_ms = now_us / 1000;

    worker_begin(worker, now_ms, out);
    if (worker->held_count > 0) {
        outbound_look_again(worker, now_ms);
    }
    if (worker->seals) {
        send_dummies(worker, now_ms);
    }
}
