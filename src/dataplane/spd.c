/* Ordered policies with an index over their remote prefixes. */
#include "dataplane/spd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A range is at most this many networks (twice the address bits, less two). */
#define RANGE_NETWORKS_MAX 254

/* One remote prefix of one policy, while the index is made. */
struct prefix {
    struct wide_address address;
    uint8_t family;
    uint8_t bits; /* of 128: those of IPv4 count from 96 */
    uint32_t rank;
};

/* All policies that name this prefix, in order. */
struct spd_bucket {
    struct wide_address address;
    uint32_t first; /* in `ranks` */
    uint32_t count; /* 0: the bucket is free */
    uint8_t family;
    uint8_t bits;
};

/* The prefix lengths that occur in one family. */
struct spd_lengths {
    uint8_t count;
    uint8_t bits[129];
};

struct spd {
    struct retired retired;
    size_t count;
    bool is_mixed;
    struct spd_policy *policies;
    struct match *matches;
    struct spd_bucket *buckets;
    size_t bucket_mask;
    uint32_t *ranks;
    uint64_t seed;
    struct spd_lengths lengths[2]; /* IPv4, IPv6 */
};

static struct wide_address wide_prefix(struct wide_address a, uint8_t bits)
{
    if (bits == 0) {
        return (struct wide_address){0, 0};
    }
    if (bits <= 64) {
        return (struct wide_address){a.high & UINT64_MAX << (64 - bits), 0};
    }
    return (struct wide_address){a.high, a.low & UINT64_MAX << (128 - bits)};
}

static uint64_t spd_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

static size_t spd_place(const struct spd *spd, struct wide_address a, uint8_t family, uint8_t bits)
{
    uint64_t tag = (uint64_t)family << 8 | bits;

    return (size_t)spd_mix(spd_mix(a.high ^ spd->seed) ^ a.low ^ tag << 40) & spd->bucket_mask;
}

static bool bucket_is(const struct spd_bucket *b, struct wide_address a, uint8_t family,
                      uint8_t bits)
{
    return b->address.low == a.low && b->address.high == a.high && b->family == family &&
           b->bits == bits;
}

static const struct spd_bucket *spd_bucket_find(const struct spd *spd, struct wide_address a,
                                                uint8_t family, uint8_t bits)
{
    size_t place = spd_place(spd, a, family, bits);

    while (spd->buckets[place].count != 0) {
        if (bucket_is(&spd->buckets[place], a, family, bits)) {
            return &spd->buckets[place];
        }
        place = (place + 1) & spd->bucket_mask;
    }
    return NULL;
}

static bool policy_fits(const struct spd_policy *policy, const struct match_key *key)
{
    return match_any_fits(policy->remote, policy->remote_count, key, &key->remote) &&
           match_any_fits(policy->local, policy->local_count, key, &key->local);
}

const struct spd_policy *spd_find(const struct spd *spd, const struct match_key *key)
{
    const struct spd_lengths *lengths = &spd->lengths[key->family == FAMILY_IPV4 ? 0 : 1];
    size_t best = spd->count;

    for (size_t i = 0; i < lengths->count; i++) {
        uint8_t bits = lengths->bits[i];
        struct wide_address a = wide_prefix(key->remote.address, bits);
        const struct spd_bucket *bucket = spd_bucket_find(spd, a, key->family, bits);

        if (bucket == NULL) {
            continue;
        }
        const uint32_t *ranks = spd->ranks + bucket->first;
        for (size_t n = 0; n < bucket->count && ranks[n] < best; n++) {
            if (policy_fits(&spd->policies[ranks[n]], key)) {
                best = ranks[n];
                break;
            }
        }
    }
    return best == spd->count ? NULL : &spd->policies[best];
}

static bool selector_is_sound(const struct selector *s)
{
    uint8_t family = s->addresses.first.family;

    return (family == FAMILY_IPV4 || family == FAMILY_IPV6) && s->addresses.last.family == family &&
           address_compare(&s->addresses.first, &s->addresses.last) <= 0;
}

static bool policy_is_sound(const struct policy *p)
{
    if (p->id == 0 || p->local_count == 0 || p->remote_count == 0) {
        return false;
    }
    for (size_t i = 0; i < p->local_count; i++) {
        if (!selector_is_sound(&p->local[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < p->remote_count; i++) {
        if (!selector_is_sound(&p->remote[i])) {
            return false;
        }
    }
    return true;
}

static int prefix_order(const void *left, const void *right)
{
    const struct prefix *a = left;
    const struct prefix *b = right;

    if (a->family != b->family) {
        return a->family < b->family ? -1 : 1;
    }
    if (a->bits != b->bits) {
        return a->bits < b->bits ? -1 : 1;
    }
    if (a->address.high != b->address.high) {
        return a->address.high < b->address.high ? -1 : 1;
    }
    if (a->address.low != b->address.low) {
        return a->address.low < b->address.low ? -1 : 1;
    }
    return a->rank < b->rank ? -1 : a->rank > b->rank;
}

static bool prefix_same_place(const struct prefix *a, const struct prefix *b)
{
    return a->family == b->family && a->bits == b->bits && a->address.high == b->address.high &&
           a->address.low == b->address.low;
}

/* All prefixes of all remote selectors, sorted; NULL when there is no memory. */
static struct prefix *prefixes_collect(const struct policy *policies, size_t count, size_t *total)
{
    struct network networks[RANGE_NETWORKS_MAX];
    struct prefix *prefixes = NULL;
    size_t filled = 0;

    *total = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t s = 0; s < policies[i].remote_count; s++) {
            *total += range_to_networks(&policies[i].remote[s].addresses, networks, 0);
        }
    }
    prefixes = calloc(*total + 1, sizeof(*prefixes));
    if (prefixes == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t s = 0; s < policies[i].remote_count; s++) {
            size_t n =
                range_to_networks(&policies[i].remote[s].addresses, networks, RANGE_NETWORKS_MAX);
            assert(n <= RANGE_NETWORKS_MAX);
            for (size_t k = 0; k < n; k++) {
                const struct network *net = &networks[k];
                bool ipv4 = net->address.family == FAMILY_IPV4;
                prefixes[filled++] = (struct prefix){
                    .address = wide_of_address(&net->address),
                    .family = net->address.family,
                    .bits = (uint8_t)(net->prefix_bits + (ipv4 ? 96 : 0)),
                    .rank = (uint32_t)i,
                };
            }
        }
    }
    assert(filled == *total);
    qsort(prefixes, filled, sizeof(*prefixes), prefix_order);
    return prefixes;
}

static void lengths_note(struct spd_lengths *lengths, uint8_t bits)
{
    /* Prefixes come sorted, so a length that was seen is the last one. */
    if (lengths->count == 0 || lengths->bits[lengths->count - 1] != bits) {
        lengths->bits[lengths->count++] = bits;
    }
}

static void spd_index_fill(struct spd *spd, const struct prefix *prefixes, size_t total)
{
    struct spd_bucket *bucket = NULL;
    size_t used = 0;

    for (size_t i = 0; i < total; i++) {
        const struct prefix *p = &prefixes[i];

        if (bucket == NULL || !prefix_same_place(p, p - 1)) {
            size_t place = spd_place(spd, p->address, p->family, p->bits);
            while (spd->buckets[place].count != 0) {
                place = (place + 1) & spd->bucket_mask;
            }
            bucket = &spd->buckets[place];
            *bucket = (struct spd_bucket){p->address, (uint32_t)used, 0, p->family, p->bits};
            lengths_note(&spd->lengths[p->family == FAMILY_IPV4 ? 0 : 1], p->bits);
        } else if (spd->ranks[used - 1] == p->rank) {
            continue; /* named twice by one policy */
        }
        spd->ranks[used++] = p->rank;
        bucket->count++;
    }
}

static bool spd_index(struct spd *spd, const struct policy *policies, size_t count)
{
    size_t total = 0;
    size_t bucket_count = 16;
    struct prefix *prefixes = prefixes_collect(policies, count, &total);

    if (prefixes == NULL || total > UINT32_MAX / 4) {
        free(prefixes);
        return false;
    }
    while (bucket_count < 2 * total) {
        bucket_count *= 2;
    }
    spd->bucket_mask = bucket_count - 1;
    spd->buckets = calloc(bucket_count, sizeof(*spd->buckets));
    spd->ranks = calloc(total + 1, sizeof(*spd->ranks));
    bool ok = spd->buckets != NULL && spd->ranks != NULL;
    if (ok) {
        spd_index_fill(spd, prefixes, total);
    }
    free(prefixes);
    return ok;
}

static bool spd_copy(struct spd *spd, const struct policy *policies, size_t count)
{
    size_t matches = 0;

    for (size_t i = 0; i < count; i++) {
        if (!policy_is_sound(&policies[i])) {
            return false;
        }
        matches += policies[i].local_count + policies[i].remote_count;
        spd->is_mixed = spd->is_mixed || policies[i].verdict != POLICY_PROTECT;
    }
    spd->policies = calloc(count + 1, sizeof(*spd->policies));
    spd->matches = calloc(matches + 1, sizeof(*spd->matches));
    if (spd->policies == NULL || spd->matches == NULL) {
        return false;
    }
    struct match *next = spd->matches;
    for (size_t i = 0; i < count; i++) {
        const struct policy *p = &policies[i];
        spd->policies[i] = (struct spd_policy){
            .local = next,
            .remote = next + p->local_count,
            .local_count = (uint32_t)p->local_count,
            .remote_count = (uint32_t)p->remote_count,
            .id = p->id,
            .verdict = (uint8_t)p->verdict,
        };
        for (size_t s = 0; s < p->local_count; s++) {
            *next++ = match_of_selector(&p->local[s]);
        }
        for (size_t s = 0; s < p->remote_count; s++) {
            *next++ = match_of_selector(&p->remote[s]);
        }
    }
    return true;
}

struct spd *spd_new(const struct policy *policies, size_t count, uint64_t seed)
{
    struct spd *spd = calloc(1, sizeof(*spd));

    if (spd == NULL) {
        return NULL;
    }
    spd->count = count;
    spd->seed = seed;
    if (!spd_copy(spd, policies, count) || !spd_index(spd, policies, count)) {
        spd_free(spd);
        return NULL;
    }
    return spd;
}

void spd_free(struct spd *spd)
{
    if (spd == NULL) {
        return;
    }
    free(spd->policies);
    free(spd->matches);
    free(spd->buckets);
    free(spd->ranks);
    free(spd);
}

size_t spd_count(const struct spd *spd)
{
    return spd->count;
}

bool spd_is_mixed(const struct spd *spd)
{
    return spd->is_mixed;
}

struct spd_policy *spd_at(struct spd *spd, size_t rank)
{
    assert(rank < spd->count);
    return &spd->policies[rank];
}

struct retired *spd_retired(struct spd *spd)
{
    return &spd->retired;
}

void spd_release(struct retired *object)
{
    spd_free(CONTAINER_OF(object, struct spd, retired));
}
