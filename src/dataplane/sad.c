/*
 * The security association database (RFC 4301 4.4.2): SPIs that are given out, SAs under them, and
 * their life from reservation to removal. Control thread only, but for sad_find() and
 * sad_is_awaited().
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/plane.h"

#define INDEX_BITS_MIN 8 /* with a generation of at least 1 no SPI is below 256 (RFC 4303 2.1) */
#define SA_MAX_DEFAULT 131072
#define SA_MAX_MOST (UINT32_C(1) << 24)

bool sad_init(struct dataplane *dp)
{
    uint32_t size = UINT32_C(1) << INDEX_BITS_MIN;

    if (dp->sa_max == 0) {
        dp->sa_max = SA_MAX_DEFAULT;
    }
    if (dp->sa_max > SA_MAX_MOST) {
        return false;
    }
    while (size < dp->sa_max) {
        size *= 2;
    }
    dp->index_mask = size - 1;
    /* Untouched pages of these cost nothing. */
    dp->slots = calloc(dp->sa_max, sizeof(*dp->slots));
    dp->places = calloc(dp->sa_max, sizeof(*dp->places));
    return dp->slots != NULL && dp->places != NULL;
}

static uint32_t reserve_next(struct dataplane *dp)
{
    uint32_t index = 0;
    uint32_t generation = 0;
    uint32_t generations = UINT32_MAX / (dp->index_mask + 1);

    if (dp->fresh < dp->sa_max) {
        /* Unused places first, then the one that has been free longest: an old SPI stays unknown
         * for long. */
        index = dp->fresh++;
        generation = 1 + random_below(dp->random, generations);
    } else if (dp->free_first != 0) {
        index = dp->free_first - 1;
        dp->free_first = dp->places[index].next;
        if (dp->free_first == 0) {
            dp->free_last = 0;
        }
        generation = dp->places[index].spi / (dp->index_mask + 1) % generations + 1;
    } else {
        return 0;
    }
    struct sad_place *place = &dp->places[index];

    assert(!place->reserved);
    place->reserved = true;
    place->next = 0;
    place->spi = generation * (dp->index_mask + 1) + index;
    assert(place->spi > 255);
    return place->spi;
}

static void sad_place_free(struct dataplane *dp, struct sad_place *place)
{
    uint32_t index = place->spi & dp->index_mask;

    place->reserved = false;
    place->next = 0;
    if (dp->free_last == 0) {
        dp->free_first = index + 1;
    } else {
        dp->places[dp->free_last - 1].next = index + 1;
    }
    dp->free_last = index + 1;
}

/* Another generation of the same place, until workers are steered to this opener by it. */
static uint32_t reserve_steered(struct dataplane *dp, uint32_t spi, uint32_t opener,
                                uint32_t openers)
{
    uint32_t unit = dp->index_mask + 1;
    uint32_t generations = UINT32_MAX / unit;
    uint32_t index = spi & dp->index_mask;

    for (uint32_t i = 0; i < generations && spi_opener(spi, openers) != opener; i++) {
        spi = (spi / unit % generations + 1) * unit + index;
    }
    dp->places[index].spi = spi;
    return spi;
}

uint32_t dataplane_reserve_spi_for(struct dataplane *dp, uint32_t opener)
{
    uint32_t openers = dataplane_openers(dp);
    uint32_t spi = dataplane_reserve_spi(dp);

    if (spi == 0 || openers < 2) {
        return spi;
    }
    uint32_t steered = reserve_steered(dp, spi, opener % openers, openers);

    if (exact_is_reserved(dp, steered)) {
        dp->places[spi & dp->index_mask].spi = spi;
        return spi;
    }
    return steered;
}

uint32_t dataplane_reserve_spi(struct dataplane *dp)
{
    uint32_t spi = reserve_next(dp);

    while (spi != 0 && exact_is_reserved(dp, spi)) {
        /* Somebody chose this one by hand. */
        sad_place_free(dp, &dp->places[spi & dp->index_mask]);
        spi = reserve_next(dp);
    }
    return spi;
}

/* The place of an SPI that is reserved or installed now, or NULL. */
static struct sad_place *sad_place_of(struct dataplane *dp, uint32_t spi)
{
    uint32_t index = spi & dp->index_mask;

    if (index >= dp->sa_max || !dp->places[index].reserved || dp->places[index].spi != spi) {
        return NULL;
    }
    return &dp->places[index];
}

bool sad_is_awaited(const struct dataplane *dp, uint32_t spi)
{
    uint32_t index = spi & dp->index_mask;

    return index < dp->sa_max &&
           atomic_load_explicit(&dp->places[index].reserved, memory_order_relaxed) &&
           atomic_load_explicit(&dp->places[index].spi, memory_order_relaxed) == spi;
}

static bool spi_is_reserved(struct dataplane *dp, uint32_t spi)
{
    return sad_place_of(dp, spi) != NULL || exact_is_reserved(dp, spi);
}

static void spi_free(struct dataplane *dp, uint32_t spi)
{
    struct sad_place *place = sad_place_of(dp, spi);

    if (place != NULL) {
        sad_place_free(dp, place);
    } else if (exact_is_reserved(dp, spi)) {
        exact_remove(dp, spi);
    }
}

void dataplane_release_spi(struct dataplane *dp, uint32_t spi)
{
    if (sad_find(dp, spi) == NULL) {
        spi_free(dp, spi);
    }
}

/* Takes a place out of the queue of free ones. */
static void sad_place_unqueue(struct dataplane *dp, uint32_t index)
{
    uint32_t *link = &dp->free_first;
    uint32_t before = 0;

    while (*link != index + 1) {
        assert(*link != 0);
        before = *link;
        link = &dp->places[before - 1].next;
    }
    *link = dp->places[index].next;
    if (dp->free_last == index + 1) {
        dp->free_last = before;
    }
}

bool sad_reserve_exact(struct dataplane *dp, uint32_t spi)
{
    uint32_t index = spi & dp->index_mask;
    uint32_t generations = UINT32_MAX / (dp->index_mask + 1);

    if (spi < 256 || index >= dp->sa_max || dp->places[index].reserved) {
        return false;
    }
    while (dp->fresh <= index) {
        struct sad_place *place = &dp->places[dp->fresh];
        uint32_t generation = 1 + random_below(dp->random, generations);

        place->spi = generation * (dp->index_mask + 1) + dp->fresh++;
        sad_place_free(dp, place);
    }
    sad_place_unqueue(dp, index);
    dp->places[index].spi = spi;
    dp->places[index].next = 0;
    dp->places[index].reserved = true;
    return true;
}

bool dataplane_reserve_exact(struct dataplane *dp, uint32_t spi)
{
    if (spi < ESP_SPI_FIRST || spi_is_reserved(dp, spi)) {
        return false;
    }
    return exact_reserve(dp, spi);
}

/* --- all SAs of one peer --- */

static struct sa **peer_bucket(struct dataplane *dp, const struct address *peer)
{
    uint64_t hash = dp->hash_seed;

    for (size_t i = 0; i < sizeof(peer->bytes); i++) {
        hash = (hash ^ peer->bytes[i]) * UINT64_C(0x100000001b3);
    }
    return &dp->by_peer[(hash ^ hash >> 29) & (PEER_BUCKETS - 1)];
}

static void peer_link(struct dataplane *dp, struct sa *sa)
{
    const struct sa_path *path = atomic_load(&sa->path);
    struct sa **bucket = peer_bucket(dp, &path->peer.address);

    sa->peer_next = *bucket;
    sa->peer_link = bucket;
    if (sa->peer_next != NULL) {
        sa->peer_next->peer_link = &sa->peer_next;
    }
    *bucket = sa;
}

static void peer_unlink(struct sa *sa)
{
    *sa->peer_link = sa->peer_next;
    if (sa->peer_next != NULL) {
        sa->peer_next->peer_link = sa->peer_link;
    }
}

static struct sa_path *path_new(const struct endpoint *local, const struct endpoint *peer,
                                bool encapsulated)
{
    struct sa_path *path = calloc(1, sizeof(*path));

    if (path != NULL) {
        path->local = *local;
        path->peer = *peer;
        path->encapsulated = encapsulated;
    }
    return path;
}

static void path_release(struct retired *object)
{
    free(CONTAINER_OF(object, struct sa_path, retired));
}

/* --- bundles --- */

/* Another SA may be put around this one. */
static bool bundle_may_grow(const struct sa *inner)
{
    size_t count = 1;

    if (inner == NULL || inner->more == NULL || !inner->more->waits_for_outer ||
        sa_outer(inner) != NULL || atomic_load(&inner->path)->encapsulated) {
        return false;
    }
    for (const struct sa *sa = inner; sa != NULL; sa = sa_inner(sa)) {
        count++;
    }
    return count <= SA_BUNDLE_MAX;
}

/* Takes the SA out of its bundle: the inner one waits again, and an outer one has nothing left to
 * go around. */
static void bundle_leave(struct dataplane *dp, struct sa *sa)
{
    struct sa *inner = sa_inner(sa);
    struct sa *outer = sa_outer(sa);

    if (inner != NULL) {
        atomic_store(&inner->more->outer, NULL);
        mtu_refresh(dp, inner);
    }
    if (outer != NULL) {
        atomic_store(&outer->more->inner, NULL);
        mtu_refresh(dp, outer);
    }
}

/* --- the life of an SA --- */

static bool make_compressors(struct dataplane *dp)
{
    dp->compresses = true;
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        if (dp->workers[i] != NULL && !worker_can_compress(dp->workers[i])) {
            return false;
        }
    }
    return true;
}

/* Where workers find the SA of an SPI from now on; NULL: they do not. */
static void sad_publish(struct dataplane *dp, uint32_t spi, struct sa *sa)
{
    if (sad_place_of(dp, spi) == NULL) {
        exact_set(dp, spi, sa);
    } else {
        atomic_store(&dp->slots[spi & dp->index_mask], sa);
    }
}

bool dataplane_install(struct dataplane *dp, const struct child_sa *child)
{
    struct sa *inner = child->inside_spi_in == 0 ? NULL : sad_find(dp, child->inside_spi_in);

    if (!spi_is_reserved(dp, child->spi_in) || sad_find(dp, child->spi_in) != NULL ||
        (child->inside_spi_in != 0 && !bundle_may_grow(inner))) {
        return false;
    }
    if ((child->compress || child->cpi_in != 0) && !make_compressors(dp)) {
        return false;
    }
    struct sa *sa = sa_new(child);
    if (sa == NULL || (dp->keep_keys && !sa_keep_keys(sa, child))) {
        sa_free(sa);
        return false;
    }
    struct sa_path *path = path_new(&child->local, &child->peer, child->encapsulated);
    struct binding *binding = path == NULL ? NULL : binding_hold(dp, child->policy_id);

    atomic_store(&sa->path, path);
    if (binding == NULL) {
        sa_free(sa);
        return false;
    }
    sa->binding = binding;
    peer_link(dp, sa);
    dp->sa_count++;
    dp->memory_bytes += sa->bytes + sizeof(*path);
    if (inner != NULL) {
        atomic_store(&sa->more->inner, inner);
        atomic_store(&inner->more->outer, sa);
    }
    mtu_refresh(dp, sa);
    sad_publish(dp, sa->spi_in, sa);
    return true;
}

void dataplane_use(struct dataplane *dp, uint32_t spi_in)
{
    struct sa *sa = sad_find(dp, spi_in);

    if (sa != NULL) {
        sa->used = binding_add(dp, sa->binding, sa) || sa->used;
        pacing_add(dp, sa);
    }
}

void dataplane_ask_resources(struct dataplane *dp, uint32_t policy_id, uint8_t resources)
{
    struct binding *binding = binding_of(dp, policy_id);

    if (binding != NULL) {
        atomic_store_explicit(&binding->resources, resources, memory_order_relaxed);
    }
}

void dataplane_stop(struct dataplane *dp, uint32_t spi_in)
{
    struct sa *sa = sad_find(dp, spi_in);

    if (sa != NULL && sa->used) {
        sa->used = false;
        pacing_remove(dp, sa);
        binding_remove(dp, sa->binding, sa);
    }
}

void dataplane_remove(struct dataplane *dp, uint32_t spi_in)
{
    struct sa *sa = sad_find(dp, spi_in);

    if (sa == NULL) {
        return;
    }
    dataplane_stop(dp, spi_in);
    sad_publish(dp, spi_in, NULL);
    bundle_leave(dp, sa);
    peer_unlink(sa);
    binding_drop(dp, sa->binding);
    dp->sa_count--;
    dp->memory_bytes -= sa->bytes + sizeof(struct sa_path);
    publish_retire(&dp->publish, &sa->retired, sa_release);
    spi_free(dp, spi_in);
}

void dataplane_remove_bundle(struct dataplane *dp, uint32_t spi_in)
{
    const struct sa *sa = sad_find(dp, spi_in);

    while (sa != NULL) {
        const struct sa *outermost = sa;

        while (sa_outer(outermost) != NULL) {
            outermost = sa_outer(outermost);
        }
        bool last = outermost == sa;

        dataplane_remove(dp, outermost->spi_in);
        sa = last ? NULL : sa;
    }
}

static bool sa_move(struct dataplane *dp, struct sa *sa, const struct endpoint *local,
                    const struct endpoint *peer, bool encapsulated)
{
    struct sa_path *path = path_new(local, peer, encapsulated);

    if (path == NULL) {
        return false;
    }
    peer_unlink(sa);
    struct sa_path *old = atomic_exchange(&sa->path, path);
    publish_retire(&dp->publish, &old->retired, path_release);
    peer_link(dp, sa);
    atomic_store_explicit(&sa->moved_to, 0, memory_order_relaxed);
    mtu_refresh(dp, sa);
    return true;
}

void dataplane_move(struct dataplane *dp, uint32_t spi_in, const struct endpoint *local,
                    const struct endpoint *peer)
{
    struct sa *sa = sad_find(dp, spi_in);

    if (sa == NULL || local->address.family != peer->address.family) {
        return;
    }
    const struct sa_path *path = atomic_load(&sa->path);
    struct endpoint old_local = path->local;
    struct endpoint old_peer = path->peer;

    for (struct sa *next = *peer_bucket(dp, &old_peer.address); next != NULL;) {
        struct sa *one = next;
        const struct sa_path *at = atomic_load(&one->path);

        next = one->peer_next;
        if (endpoint_equal(&at->local, &old_local) && endpoint_equal(&at->peer, &old_peer) &&
            !sa_move(dp, one, local, peer, at->encapsulated)) {
            return;
        }
    }
}

bool dataplane_move_one(struct dataplane *dp, uint32_t spi_in, const struct endpoint *local,
                        const struct endpoint *peer, bool encapsulated)
{
    struct sa *sa = sad_find(dp, spi_in);
    bool is_plain_tunnel = sa != NULL && !sa->shape.transport &&
                           sa->shape.protocol == IP_PROTOCOL_ESP && sa_inner(sa) == NULL &&
                           sa_outer(sa) == NULL;

    if (sa == NULL || local->address.family != peer->address.family ||
        (!is_plain_tunnel && atomic_load(&sa->path)->encapsulated != encapsulated)) {
        return false;
    }
    return sa_move(dp, sa, local, peer, encapsulated);
}

void sad_set_sequence(struct dataplane *dp, uint32_t spi_in, uint64_t next_out, uint64_t top_in)
{
    struct sa *sa = sad_find(dp, spi_in);

    assert(sa != NULL && next_out > 0);
    atomic_store(&sa->sequence, next_out - 1);
    replay_init(&sa->replay, sa->replay.words, sa->replay.window, top_in);
}

void sad_each(struct dataplane *dp, void (*visit)(struct dataplane *dp, struct sa *sa))
{
    for (uint32_t i = 0; i < dp->fresh; i++) {
        struct sa *sa = atomic_load(&dp->slots[i]);

        if (sa != NULL) {
            visit(dp, sa);
        }
    }
    /* From behind, for a visit may remove its SA. */
    const struct exact_list *list = atomic_load(&dp->exact);
    for (size_t i = list == NULL ? 0 : list->count; i > 0; i--) {
        list = atomic_load(&dp->exact);
        if (list != NULL && i <= list->count && atomic_load(&list->entries[i - 1].sa) != NULL) {
            visit(dp, atomic_load(&list->entries[i - 1].sa));
        }
    }
}

struct sa *sad_first_of_peer(struct dataplane *dp, const struct address *peer)
{
    return *peer_bucket(dp, peer);
}

void sad_each_of_peer(struct dataplane *dp, const struct address *peer,
                      void (*visit)(struct dataplane *dp, struct sa *sa))
{
    for (struct sa *sa = *peer_bucket(dp, peer); sa != NULL; sa = sa->peer_next) {
        visit(dp, sa);
    }
}

static void sad_remove_one(struct dataplane *dp, struct sa *sa)
{
    dataplane_remove(dp, sa->spi_in);
}

void sad_fini(struct dataplane *dp)
{
    if (dp->slots != NULL && dp->places != NULL) {
        sad_each(dp, sad_remove_one);
    }
    free(dp->slots);
    free(dp->places);
    free(atomic_load(&dp->exact));
    free(atomic_load(&dp->paced));
}

bool dataplane_sa_counters(const struct dataplane *dp, uint32_t spi_in, struct sa_counters *out)
{
    const struct sa *sa = sad_find(dp, spi_in);

    if (sa == NULL) {
        return false;
    }
    uint16_t outer_mtu = atomic_load_explicit(&sa->outer_mtu, memory_order_relaxed);
    uint16_t carries = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);

    *out = (struct sa_counters){
        .in_packets = tally_read(&sa->in_packets),
        .in_bytes = tally_read(&sa->in_bytes),
        .out_packets = tally_read(&sa->out_packets),
        .out_bytes = tally_read(&sa->out_bytes),
        .replayed = tally_read(&sa->replayed),
        .forged = tally_read(&sa->forged),
        .selector_mismatch = tally_read(&sa->selector_mismatch),
        .duplicates = sa->more == NULL ? 0 : tally_read(&sa->more->duplicates),
        .compressed_from = sa->more == NULL ? 0 : tally_read(&sa->more->compressed_from),
        .compressed_to = sa->more == NULL ? 0 : tally_read(&sa->more->compressed_to),
        .last_in_ms = tally_read(&sa->last_in_ms),
        .last_out_ms = tally_read(&sa->last_out_ms),
        .out_sequence = tally_read(&sa->sequence),
        .outer_mtu = outer_mtu,
        .inner_mtu = fit_inner_mtu(sa),
        /* With IP-TFS packets go in pieces of any length. */
        .overhead_bytes = carries > outer_mtu ? 0 : (uint16_t)(outer_mtu - carries),
    };
    return true;
}

void dataplane_keep_keys(struct dataplane *dp, bool keep)
{
    dp->keep_keys = keep;
}

bool dataplane_raw_keys(const struct dataplane *dp, uint32_t spi_in, struct sa_raw_keys *out)
{
    const struct sa *sa = sad_find(dp, spi_in);

    if (sa == NULL || sa->kept == NULL) {
        return false;
    }
    *out = (struct sa_raw_keys){
        .suite = sa->kept->suite,
        .in = secret_slice(&sa->kept->in),
        .out = secret_slice(&sa->kept->out),
    };
    return true;
}
