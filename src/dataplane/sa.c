/* What an SA is made of, and what its cipher's limits are. */
#include "dataplane/sa.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SELECTORS_MAX 256
#define ESP_FIXED_BYTES 8
#define ESP_TRAILER_BYTES 2
#define AGGFRAG_OUTER_BYTES 1280
#define AGGFRAG_PAYLOAD_BYTES 1200
#define AH_HEAD_BYTES 12 /* RFC 4302 2: without the ICV */

/* Without extended numbers rekeying begins half way. */
#define SOFT_PACKETS_32 (UINT64_C(1) << 31)
/* A cipher with blocks of 64 bits must be rekeyed long before 2^32 blocks (Sweet32). */
#define SOFT_BYTES_BLOCK_64 (UINT64_C(1) << 30)
#define HARD_BYTES_BLOCK_64 (UINT64_C(1) << 32)

static uint64_t limit_of(uint64_t configured, uint64_t own)
{
    return configured != 0 && configured < own ? configured : own;
}

static bool esp_shape_of(const struct suite *suite, struct sa_shape *shape)
{
    if (!suite_is_usable(suite)) {
        return false;
    }
    const struct algorithm *cipher = algorithm_find(TRANSFORM_ENCRYPTION, suite->encryption);
    if (cipher == NULL) {
        return false;
    }
    uint8_t icv_bytes = cipher->icv_bytes;
    if (!cipher->aead) {
        const struct algorithm *mac = algorithm_find(TRANSFORM_INTEGRITY, suite->integrity);
        if (mac == NULL) {
            return false;
        }
        icv_bytes = mac->icv_bytes;
    }
    if (icv_bytes == 0 || cipher->iv_bytes > 16) {
        return false;
    }
    shape->protocol = IP_PROTOCOL_ESP;
    shape->iv_bytes = cipher->iv_bytes;
    shape->icv_bytes = icv_bytes;
    shape->align = cipher->block_bytes < 4 ? 4 : cipher->block_bytes;
    shape->block = cipher->block_bytes == 0 ? 1 : cipher->block_bytes;
    shape->aead = cipher->aead;
    shape->counter_iv = cipher->iv_bytes == 8 && cipher->block_bytes <= 1;
    shape->implicit_iv = cipher->implicit_iv;
    return true;
}

static bool ah_shape_of(const struct suite *suite, struct sa_shape *shape)
{
    const struct algorithm *mac = algorithm_find(TRANSFORM_INTEGRITY, suite->integrity);

    if (mac == NULL || !suite_is_usable_for_ah(suite)) {
        return false;
    }
    shape->protocol = IP_PROTOCOL_AH;
    shape->iv_bytes = mac->iv_bytes;
    shape->icv_bytes = mac->iv_bytes + mac->icv_bytes;
    shape->block = 1;
    shape->align = 1;
    return true;
}

static bool is_plain(const struct child_sa *child)
{
    return child->protocol != IP_PROTOCOL_AH && !child->transport_mode && !child->replay_off &&
           !child->waits_for_outer && child->inside_spi_in == 0 && !child->fragment_after &&
           !child->compress && child->cpi_in == 0 && child->tfc_bytes == 0 &&
           child->dummy_interval_ms == 0 && !child->aggfrag.enabled;
}

static bool sa_shape_of(const struct child_sa *child, struct sa_shape *shape)
{
    *shape = (struct sa_shape){
        .esn = child->suite.esn,
        .transport = child->transport_mode,
        .copy_dscp = child->copy_dscp,
        .df = child->df,
        .ah_align_64 = child->ah_align_64,
        .plain = is_plain(child),
    };
    return child->protocol == IP_PROTOCOL_AH ? ah_shape_of(&child->suite, shape)
                                             : esp_shape_of(&child->suite, shape);
}

static void sa_set_limits(struct sa *sa, const struct child_sa *child)
{
    bool small_block = sa->shape.block == 8;

    sa->sequence_max = sa->shape.esn ? UINT64_MAX - 1 : UINT32_MAX;
    sa->soft_packets = limit_of(child->soft_packets, sa->shape.esn ? UINT64_MAX : SOFT_PACKETS_32);
    sa->hard_packets = limit_of(child->hard_packets, UINT64_MAX);
    sa->soft_bytes = limit_of(child->soft_bytes, small_block ? SOFT_BYTES_BLOCK_64 : UINT64_MAX);
    sa->hard_bytes = limit_of(child->hard_bytes, small_block ? HARD_BYTES_BLOCK_64 : UINT64_MAX);
}

static bool child_is_sound(const struct child_sa *child)
{
    uint8_t family = child->peer.address.family;

    if (child->protocol == IP_PROTOCOL_AH && child->encapsulated) {
        /* RFC 3715 2.1: AH covers the addresses that a NAT changes. */
        return false;
    }
    if (child->aggfrag.enabled &&
        (child->transport_mode || child->protocol == IP_PROTOCOL_AH || child->inside_spi_in != 0 ||
         !aggfrag_settings_are_good(&child->aggfrag))) {
        return false;
    }
    if (child->to_consumer && !child->transport_mode) {
        return false;
    }
    return child->spi_out > 255 && child->policy_id != 0 && child->df <= DF_CLEAR &&
           child->replay_window <= REPLAY_WINDOW_MAX && child->local_count > 0 &&
           child->local_count <= SELECTORS_MAX && child->remote_count > 0 &&
           child->remote_count <= SELECTORS_MAX && child->local.address.family == family &&
           (family == FAMILY_IPV4 || family == FAMILY_IPV6);
}

static void aggfrag_free(struct sa_aggfrag *a)
{
    if (a != NULL) {
        aggfrag_out_fini(&a->out);
        aggfrag_in_fini(&a->in);
    }
    free(a);
}

/* The sizes are those of the path, which are not known here: they are set before the first use. */
static bool aggfrag_new(const struct child_sa *child, struct sa_more *more)
{
    struct sa_aggfrag *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        return false;
    }
    if (!aggfrag_out_init(&a->out, &child->aggfrag, AGGFRAG_OUTER_BYTES, AGGFRAG_PAYLOAD_BYTES,
                          0) ||
        !aggfrag_in_init(&a->in, &child->aggfrag)) {
        aggfrag_free(a);
        return false;
    }
    atomic_store(&a->in_due_us, NEVER_US);
    more->aggfrag = a;
    return true;
}

static struct sa_more *more_new(const struct child_sa *child)
{
    struct sa_more *more = calloc(1, sizeof(*more));

    if (more == NULL) {
        return NULL;
    }
    more->goes_around = child->inside_spi_in != 0;
    more->waits_for_outer = child->waits_for_outer;
    more->replay_off = child->replay_off;
    more->fragment_after = child->fragment_after;
    more->to_consumer = child->to_consumer;
    more->compress = child->compress;
    more->cpi_in = child->cpi_in;
    more->cpi_out = child->cpi_out;
    more->tfc_bytes = child->tfc_bytes;
    more->dummy_interval_ms = child->dummy_interval_ms;
    more->original_local = child->original_local;
    more->original_peer = child->original_peer;
    if (child->aggfrag.enabled && !aggfrag_new(child, more)) {
        free(more);
        return NULL;
    }
    return more;
}

static size_t more_bytes(const struct sa_more *more)
{
    const struct sa_aggfrag *a = more->aggfrag;

    return sizeof(*more) +
           (a == NULL ? 0 : sizeof(*a) + aggfrag_out_bytes(&a->out) + aggfrag_in_bytes(&a->in));
}

/* The keys of both directions; false when one has the wrong length or there is no memory. */
static bool sa_set_keys(struct sa *sa, const struct child_sa *child)
{
    if (sa->shape.protocol == IP_PROTOCOL_AH) {
        sa->more->auth_keys[0] = auth_key_new(child->suite.integrity, child->key_in);
        sa->more->auth_keys[1] = auth_key_new(child->suite.integrity, child->key_out);
        if (sa->more->auth_keys[0] == NULL || sa->more->auth_keys[1] == NULL) {
            return false;
        }
        sa->bytes +=
            auth_key_bytes(sa->more->auth_keys[0]) + auth_key_bytes(sa->more->auth_keys[1]);
        return true;
    }
    sa->key_in = protect_key_new(&child->suite, child->key_in);
    sa->key_out = protect_key_new(&child->suite, child->key_out);
    if (sa->key_in == NULL || sa->key_out == NULL) {
        return false;
    }
    sa->bytes += protect_key_bytes(sa->key_in) + protect_key_bytes(sa->key_out);
    return true;
}

struct sa *sa_new(const struct child_sa *child)
{
    struct sa_shape shape;
    uint32_t window = child->replay_window == 0 ? REPLAY_WINDOW_DEFAULT : child->replay_window;

    if (!child_is_sound(child) || !sa_shape_of(child, &shape)) {
        return NULL;
    }
    size_t matches = child->local_count + child->remote_count;
    size_t bytes = sizeof(struct sa) + replay_words(window) * sizeof(uint64_t) +
                   matches * sizeof(struct match);
    bytes = (bytes + 63) / 64 * 64;
    struct sa *sa = aligned_alloc(64, bytes);
    if (sa == NULL) {
        return NULL;
    }
    memset(sa, 0, bytes);
    sa->bytes = bytes;
    sa->shape = shape;
    sa->spi_in = child->spi_in;
    sa->spi_out = child->spi_out;
    sa->policy_id = child->policy_id;
    sa->resource = child->resource;
    sa_set_limits(sa, child);

    uint8_t *behind = (uint8_t *)(sa + 1);
    replay_init(&sa->replay, (void *)behind, window, 0);
    struct match *match = (void *)(behind + replay_words(window) * sizeof(uint64_t));
    sa->local = match;
    sa->local_count = (uint16_t)child->local_count;
    sa->remote_count = (uint16_t)child->remote_count;
    for (size_t i = 0; i < child->local_count; i++) {
        *match++ = match_of_selector(&child->local_selectors[i]);
    }
    for (size_t i = 0; i < child->remote_count; i++) {
        *match++ = match_of_selector(&child->remote_selectors[i]);
    }

    if (!shape.plain) {
        sa->more = more_new(child);
        sa->bytes += sa->more == NULL ? 0 : more_bytes(sa->more);
    }
    if ((!shape.plain && sa->more == NULL) || !sa_set_keys(sa, child)) {
        sa_free(sa);
        return NULL;
    }
    return sa;
}

bool sa_keep_keys(struct sa *sa, const struct child_sa *child)
{
    sa->kept = calloc(1, sizeof(*sa->kept));
    if (sa->kept == NULL) {
        return false;
    }
    sa->kept->suite = child->suite;
    sa->bytes += sizeof(*sa->kept) + child->key_in.length + child->key_out.length;
    return secret_set(&sa->kept->in, child->key_in) && secret_set(&sa->kept->out, child->key_out);
}

static void kept_free(struct sa_kept *kept)
{
    if (kept != NULL) {
        secret_wipe(&kept->in);
        secret_wipe(&kept->out);
    }
    free(kept);
}

void sa_free(struct sa *sa)
{
    if (sa == NULL) {
        return;
    }
    kept_free(sa->kept);
    protect_key_free(sa->key_in);
    protect_key_free(sa->key_out);
    if (sa->more != NULL) {
        auth_key_free(sa->more->auth_keys[0]);
        auth_key_free(sa->more->auth_keys[1]);
        aggfrag_free(sa->more->aggfrag);
    }
    free(sa->more);
    free(atomic_load_explicit(&sa->path, memory_order_relaxed));
    free(sa);
}

void sa_release(struct retired *object)
{
    sa_free(CONTAINER_OF(object, struct sa, retired));
}

static uint32_t ah_bytes_aligned(const struct sa_shape *shape, uint32_t unit)
{
    return (AH_HEAD_BYTES + shape->icv_bytes + unit - 1) / unit * unit;
}

uint32_t sa_ah_bytes(const struct sa_shape *shape, uint8_t outer_family)
{
    bool short_unit = outer_family == FAMILY_IPV4 && !shape->ah_align_64;

    return ah_bytes_aligned(shape, short_unit ? 4 : 8);
}

bool sa_takes_ah_bytes(const struct sa_shape *shape, uint8_t outer_family, uint32_t bytes)
{
    return bytes == ah_bytes_aligned(shape, 8) ||
           (outer_family == FAMILY_IPV4 && bytes == ah_bytes_aligned(shape, 4));
}

uint16_t sa_inner_mtu(const struct sa_shape *shape, uint8_t outer_family, bool encapsulated,
                      uint16_t outer_mtu)
{
    size_t head = outer_family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
    /* In transport mode the header outside is the one inside. */
    size_t again = shape->transport ? head : 0;

    if (shape->protocol == IP_PROTOCOL_AH) {
        size_t around = head + sa_ah_bytes(shape, outer_family);

        return outer_mtu < around ? 0 : (uint16_t)(outer_mtu - around + again);
    }
    size_t outside = head + (encapsulated ? UDP_HEAD_BYTES : 0u) + ESP_FIXED_BYTES +
                     shape->iv_bytes + shape->icv_bytes;

    if (outer_mtu < outside + shape->align) {
        return 0;
    }
    size_t ciphertext = (outer_mtu - outside) / shape->align * shape->align;
    return (uint16_t)(ciphertext - ESP_TRAILER_BYTES + again);
}

bool sa_fits(const struct sa *sa, const struct match_key *key)
{
    return match_any_fits(sa_remote(sa), sa->remote_count, key, &key->remote) &&
           match_any_fits(sa->local, sa->local_count, key, &key->local);
}

bool sa_carries_the_same(const struct sa *a, const struct sa *b)
{
    if (a->local_count != b->local_count || a->remote_count != b->remote_count) {
        return false;
    }
    for (size_t i = 0; i < (size_t)a->local_count + a->remote_count; i++) {
        if (!match_equal(&a->local[i], &b->local[i])) {
            return false;
        }
    }
    return true;
}

/* RFC 9611 3: an SA of this worker's own comes first, then one for all. */
static unsigned rank_of(const struct sa *sa, uint8_t resource)
{
    if (sa->resource == resource) {
        return 3;
    }
    return sa->resource == 0 ? 2 : 1;
}

struct sa *binding_find(const struct binding *binding, const struct match_key *key,
                        uint8_t resource)
{
    const struct sa_list *list = atomic_load(&binding->list);
    unsigned least = list != NULL && list->has_resources ? 3 : 2;
    unsigned best = 0;
    struct sa *found = NULL;

    for (size_t i = 0; list != NULL && i < list->count && best < least; i++) {
        unsigned rank = rank_of(list->sas[i], resource);

        if (rank > best && sa_fits(list->sas[i], key)) {
            best = rank;
            found = list->sas[i];
        }
    }
    return found;
}
