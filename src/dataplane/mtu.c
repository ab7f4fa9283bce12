/*
 * How large an outer packet may be on each path (RFC 1191, RFC 8201), and what that leaves for the
 * packets inside. What was learnt is forgotten after ten minutes, so that a path that became wider
 * is found again.
 */
#include "dataplane/plane.h"
#include "wire/esp.h"

static struct path_mtu *path_find(struct dataplane *dp, const struct address *local,
                                  const struct address *peer)
{
    for (size_t i = 0; i < dp->path_mtu_count; i++) {
        struct path_mtu *path = &dp->path_mtus[i];

        if (address_equal(&path->peer, peer) && address_equal(&path->local, local)) {
            return path;
        }
    }
    return NULL;
}

uint16_t path_mtu_of(struct dataplane *dp, const struct address *local, const struct address *peer,
                     uint64_t *learnt_ms)
{
    const struct path_mtu *learnt = path_find(dp, local, peer);

    *learnt_ms = learnt == NULL ? 0 : learnt->learnt_ms;
    return learnt == NULL || learnt->mtu > dp->link_mtu ? dp->link_mtu : learnt->mtu;
}

/* A stream cuts by itself, so its path is no limit: packets inside may be as long as our device
 * takes them. At a fixed rate the length is one of packets on the path all the same. */
#define STREAM_INNER_MTU 1500

static bool is_in_stream(const struct sa *sa, const struct sa_path *path)
{
    return path->peer.tcp && (sa->more == NULL || sa->more->aggfrag == NULL);
}

static void refresh_one(struct dataplane *dp, struct sa *sa)
{
    const struct sa_path *path = atomic_load(&sa->path);
    const struct path_mtu *learnt = path_find(dp, &path->local.address, &path->peer.address);
    const struct sa *around = sa_outer(sa);
    uint16_t outer = dp->link_mtu;

    if (around != NULL) {
        /* What leaves this SA goes into that one. */
        outer = atomic_load_explicit(&around->inner_mtu, memory_order_relaxed);
    } else if (is_in_stream(sa, path)) {
        outer = UINT16_MAX;
    } else if (learnt != NULL && learnt->mtu < outer) {
        outer = learnt->mtu;
    }
    atomic_store_explicit(&sa->outer_mtu, outer, memory_order_relaxed);
    uint16_t inner = sa_inner_mtu(&sa->shape, path->peer.address.family, path->encapsulated, outer);

    if (is_in_stream(sa, path)) {
        atomic_store_explicit(&sa->outer_mtu, 0, memory_order_relaxed);
        inner = inner < STREAM_INNER_MTU ? inner : STREAM_INNER_MTU;
    }
    if (sa->more != NULL && sa->more->aggfrag != NULL) {
        inner = pacing_inner_mtu(sa, inner);
    }
    atomic_store_explicit(&sa->inner_mtu, inner, memory_order_relaxed);
}

void mtu_refresh(struct dataplane *dp, struct sa *sa)
{
    for (; sa != NULL; sa = sa_inner(sa)) {
        refresh_one(dp, sa);
    }
}

static void path_forget(struct dataplane *dp, struct path_mtu *path)
{
    *path = dp->path_mtus[--dp->path_mtu_count];
}

/* A free entry, or the oldest. */
static struct path_mtu *path_take(struct dataplane *dp)
{
    if (dp->path_mtu_count < PATH_MTUS_MAX) {
        return &dp->path_mtus[dp->path_mtu_count++];
    }
    struct path_mtu *oldest = &dp->path_mtus[0];
    for (size_t i = 1; i < PATH_MTUS_MAX; i++) {
        if (dp->path_mtus[i].learnt_ms < oldest->learnt_ms) {
            oldest = &dp->path_mtus[i];
        }
    }
    return oldest;
}

void dataplane_path_mtu(struct dataplane *dp, const struct address *local,
                        const struct address *peer, uint16_t mtu, uint64_t now_ms)
{
    struct path_mtu *path = path_find(dp, local, peer);
    uint16_t least = peer->family == FAMILY_IPV4 ? PATH_MTU_LEAST_IPV4 : PATH_MTU_LEAST_IPV6;

    if (mtu == 0) {
        if (path == NULL) {
            return;
        }
        path_forget(dp, path);
    } else if (mtu < least || mtu >= dp->link_mtu || (path != NULL && mtu > path->mtu)) {
        /* RFC 8201 4: no message makes an estimate larger, and none makes it absurdly small. */
        return;
    } else {
        if (path == NULL) {
            path = path_take(dp);
        }
        *path = (struct path_mtu){*local, *peer, mtu, now_ms};
    }
    sad_each_of_peer(dp, peer, mtu_refresh);
}

uint16_t dataplane_learnt_mtu(struct dataplane *dp, const struct address *local,
                              const struct address *peer)
{
    const struct path_mtu *path = path_find(dp, local, peer);

    return path == NULL ? 0 : path->mtu;
}

static struct sa_overhead overhead_of(const struct sa_shape *shape, const struct sa_path *path)
{
    uint8_t outer_family = path->peer.address.family;
    struct sa_overhead o = {0};

    if (!shape->transport) {
        o.outer_ip = outer_family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
    }
    if (shape->protocol == IP_PROTOCOL_AH) {
        o.ah = (uint16_t)sa_ah_bytes(shape, outer_family);
        return o;
    }
    o.udp = path->encapsulated ? UDP_HEAD_BYTES : 0;
    o.esp = ESP_HEAD_BYTES;
    o.iv = shape->iv_bytes;
    o.trailer = ESP_TRAILER_BYTES;
    o.icv = shape->icv_bytes;
    return o;
}

bool dataplane_sa_overhead(const struct dataplane *dp, uint32_t spi_in, struct sa_overhead *out)
{
    const struct sa *sa = sad_find(dp, spi_in);

    if (sa == NULL) {
        return false;
    }
    *out = overhead_of(&sa->shape, atomic_load(&sa->path));
    unsigned parts =
        (unsigned)out->outer_ip + out->udp + out->esp + out->iv + out->trailer + out->icv + out->ah;
    unsigned whole = (unsigned)atomic_load_explicit(&sa->outer_mtu, memory_order_relaxed) -
                     atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);

    /* In a stream there is no packet to be filled. */
    out->padding = whole > parts && whole <= UINT16_MAX ? (uint16_t)(whole - parts) : 0;
    return true;
}

uint16_t dataplane_link_mtu(const struct dataplane *dp)
{
    return dp->link_mtu;
}

void dataplane_set_link_mtu(struct dataplane *dp, uint16_t mtu)
{
    dp->link_mtu = mtu < PATH_MTU_LEAST_IPV4 ? PATH_MTU_LEAST_IPV4 : mtu;
    sad_each(dp, mtu_refresh);
}

void mtu_age(struct dataplane *dp)
{
    for (size_t i = dp->path_mtu_count; i > 0; i--) {
        struct path_mtu *path = &dp->path_mtus[i - 1];

        if (dp->newest_ms >= path->learnt_ms &&
            dp->newest_ms - path->learnt_ms >= PATH_MTU_AGE_MS) {
            struct address peer = path->peer;

            path_forget(dp, path);
            sad_each_of_peer(dp, &peer, mtu_refresh);
        }
    }
}
