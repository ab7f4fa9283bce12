/* The control face: the plane as a whole, its policies, its notes and the sums of its doors. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/plane.h"

#define POLICY_MAX_DEFAULT 65536
#define LINK_MTU_DEFAULT 1500
#define IKE_PORT_DEFAULT 500
#define INNER_MTU_LEAST 576

struct dataplane *dataplane_new(const struct dataplane_settings *settings)
{
    uint8_t hash_key[16];

    if (settings->random == NULL || settings->worker_count > WORKERS_MAX) {
        return NULL;
    }
    struct dataplane *dp = aligned_alloc(64, (sizeof(struct dataplane) + 63) / 64 * 64);
    if (dp == NULL) {
        return NULL;
    }
    memset(dp, 0, sizeof(*dp));
    publish_init(&dp->publish);
    dp->random = settings->random;
    dp->sa_max = settings->sa_max;
    dp->policy_max = settings->policy_max == 0 ? POLICY_MAX_DEFAULT : settings->policy_max;
    dp->ike_port = settings->ike_port == 0 ? IKE_PORT_DEFAULT : settings->ike_port;
    dp->worker_count = settings->worker_count == 0 ? 1 : settings->worker_count;
    /* With one worker for each direction everything of an SA has one writer. */
    uint32_t sealers = settings->sealer_count == 0 ? dp->worker_count : settings->sealer_count;
    uint32_t openers = settings->opener_count == 0 ? dp->worker_count : settings->opener_count;
    dp->shared = sealers > 1 || openers > 1;
    dp->link_mtu = LINK_MTU_DEFAULT;
    dp->hash_seed = random_u64(dp->random);
    random_fill(dp->random, hash_key, sizeof(hash_key));
    table_init(&dp->bindings, hash_key, 0);

    struct own_addresses *own = calloc(1, sizeof(*own));
    atomic_store(&dp->own, own);
    if (own == NULL || !sad_init(dp) || !dataplane_set_policies(dp, NULL, 0)) {
        dataplane_free(dp);
        return NULL;
    }
    return dp;
}

/* Takes the list out of the hands of its bindings. */
static void policies_retire(struct dataplane *dp, struct spd *spd)
{
    for (size_t i = 0; i < spd_count(spd); i++) {
        struct binding *binding = spd_at(spd, i)->binding;

        if (binding != NULL) {
            binding_drop(dp, binding);
        }
    }
    publish_retire(&dp->publish, spd_retired(spd), spd_release);
}

void dataplane_free(struct dataplane *dp)
{
    if (dp == NULL) {
        return;
    }
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        assert(dp->workers[i] == NULL);
    }
    sad_fini(dp);
    struct spd *spd = atomic_load(&dp->spd);
    if (spd != NULL) {
        policies_retire(dp, spd);
    }
    dataplane_tap_end(dp);
    publish_fini(&dp->publish);
    table_fini(&dp->bindings);
    free(atomic_load(&dp->own));
    free(dp);
}

static int id_order(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return a < b ? -1 : a > b;
}

static bool ids_are_unique(const struct policy *policies, size_t count)
{
    uint32_t *ids = calloc(count + 1, sizeof(*ids));
    bool unique = ids != NULL;

    for (size_t i = 0; unique && i < count; i++) {
        ids[i] = policies[i].id;
    }
    if (unique) {
        qsort(ids, count, sizeof(*ids), id_order);
    }
    for (size_t i = 1; unique && i < count; i++) {
        unique = ids[i] != ids[i - 1];
    }
    free(ids);
    return unique;
}

bool dataplane_set_policies(struct dataplane *dp, const struct policy *policies, size_t count)
{
    if (count > dp->policy_max || !ids_are_unique(policies, count)) {
        return false;
    }
    struct spd *spd = spd_new(policies, count, random_u64(dp->random));
    if (spd == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct binding *binding = binding_hold(dp, policies[i].id);

        if (binding == NULL) {
            policies_retire(dp, spd);
            return false;
        }
        spd_at(spd, i)->binding = binding;
    }
    for (size_t i = 0; i < count; i++) {
        struct binding *binding = spd_at(spd, i)->binding;
        uint16_t inner_mtu = policies[i].inner_mtu;

        if (inner_mtu != 0 && inner_mtu < INNER_MTU_LEAST) {
            inner_mtu = INNER_MTU_LEAST;
        }
        atomic_store_explicit(&binding->mss_clamp, policies[i].mss_clamp, memory_order_relaxed);
        atomic_store_explicit(&binding->inner_mtu, inner_mtu, memory_order_relaxed);
        atomic_store_explicit(&binding->holds, policies[i].holds, memory_order_relaxed);
        atomic_store_explicit(&binding->populates, policies[i].populates, memory_order_relaxed);
        atomic_store_explicit(&binding->relays_icmp, policies[i].relays_icmp, memory_order_relaxed);
    }
    struct spd *old = atomic_exchange(&dp->spd, spd);
    atomic_store(&dp->policies_are_mixed, spd_is_mixed(spd));
    if (old != NULL) {
        policies_retire(dp, old);
    }
    return true;
}

static void own_release(struct retired *object)
{
    free(CONTAINER_OF(object, struct own_addresses, retired));
}

void dataplane_set_own_address(struct dataplane *dp, const struct address *inside)
{
    struct own_addresses *own = calloc(1, sizeof(*own));
    struct own_addresses *old = atomic_load(&dp->own);

    if (own == NULL || (inside->family != FAMILY_IPV4 && inside->family != FAMILY_IPV6)) {
        free(own);
        return;
    }
    own->ipv4 = inside->family == FAMILY_IPV4 ? *inside : old->ipv4;
    own->ipv6 = inside->family == FAMILY_IPV6 ? *inside : old->ipv6;
    atomic_store(&dp->own, own);
    publish_retire(&dp->publish, &old->retired, own_release);
}

bool dataplane_next_note(struct dataplane *dp, struct dataplane_note *out)
{
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        struct dataplane_worker *worker = dp->workers[dp->notes_turn];

        /* The next worker's turn comes whatever this one says: none can keep the others silent. */
        dp->notes_turn = (dp->notes_turn + 1) % WORKERS_MAX;
        if (worker != NULL && ring_take(&worker->notes, out)) {
            return true;
        }
    }
    return false;
}

void dataplane_collect(struct dataplane *dp)
{
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        if (dp->workers[i] != NULL) {
            uint64_t now_ms = tally_read(&dp->workers[i]->now_ms);

            dp->newest_ms = now_ms > dp->newest_ms ? now_ms : dp->newest_ms;
        }
    }
    if (dp->path_mtu_count > 0) {
        mtu_age(dp);
    }
    publish_collect(&dp->publish);
}

size_t dataplane_memory_bytes(const struct dataplane *dp)
{
    return dp->memory_bytes;
}

static void doors_add(struct dataplane_doors *sum, const struct doors *doors)
{
    sum->from_tun += tally_read(&doors->from_tun);
    sum->from_wire += tally_read(&doors->from_wire);
    sum->made += tally_read(&doors->made);
    sum->to_wire += tally_read(&doors->to_wire);
    sum->to_tun += tally_read(&doors->to_tun);
    sum->to_control += tally_read(&doors->to_control);
    sum->to_clear += tally_read(&doors->to_clear);
    sum->to_consumer += tally_read(&doors->to_consumer);
    sum->joined += tally_read(&doors->joined);
    for (size_t i = 0; i < DROP_REASON_COUNT; i++) {
        sum->dropped[i] += tally_read(&doors->dropped[i]);
    }
}

void dataplane_get_doors(const struct dataplane *dp, struct dataplane_doors *out)
{
    *out = dp->gone;
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        if (dp->workers[i] != NULL) {
            doors_add(out, &dp->workers[i]->doors);
        }
    }
}

bool dataplane_worker_at(const struct dataplane *dp, size_t index,
                         struct dataplane_worker_status *out)
{
    if (index >= WORKERS_MAX || dp->workers[index] == NULL) {
        return false;
    }
    const struct dataplane_worker *worker = dp->workers[index];

    *out = (struct dataplane_worker_status){.seals = worker->seals, .opens = worker->opens};
    doors_add(&out->doors, &worker->doors);
    return true;
}

void dataplane_worker_free(struct dataplane_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    struct dataplane *dp = worker->dp;

    publish_quiet(&dp->publish, worker->index);
    worker_give_held(worker);
    if (dp->workers[worker->index] == worker) {
        doors_add(&dp->gone, &worker->doors);
        dp->workers[worker->index] = NULL;
    }
    worker_fini(worker);
}
