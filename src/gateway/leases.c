/* Pools of addresses for people. */
#include "gateway/leases.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define NETWORK_WITH_ENDS_BITS                                                                     \
    31 /* RFC 3021: of these and narrower ones all addresses are hosts                             \
        */

/* An address that somebody has or had. */
struct lease {
    struct lease *older, *younger; /* among those that nobody holds */
    struct lease *next_of_user;
    uint32_t address;
    bool held;
    uint8_t user[16]; /* two keyed hashes of his name */
};

static struct slice address_key(const uint32_t *address)
{
    return (struct slice){(const uint8_t *)address, sizeof(*address)};
}

static struct slice user_key(const struct leases *l, const char *user, uint8_t out[16])
{
    uint8_t other[16];

    for (size_t i = 0; i < sizeof(other); i++) {
        other[i] = l->key[i] ^ 0x5c;
    }
    put_u64(out, siphash24(l->key, slice_of_text(user)));
    put_u64(out + 8, siphash24(other, slice_of_text(user)));
    return (struct slice){out, 16};
}

void leases_init(struct leases *l, const uint8_t key[16])
{
    *l = (struct leases){.remembered_max = LEASES_REMEMBERED_MAX};
    memcpy(l->key, key, sizeof(l->key));
    table_init(&l->by_address, key, 0);
    table_init(&l->by_user, key, 0);
}

static void forget(void *context, struct slice key, void *value)
{
    struct leases *l = context;

    (void)table_remove(&l->by_address, key);
    free(value);
}

void leases_fini(struct leases *l)
{
    table_each(&l->by_address, forget, l);
    table_fini(&l->by_address);
    table_fini(&l->by_user);
    free(l->reserved);
    *l = (struct leases){0};
}

/* ---- what can be given ---- */

static uint32_t value_of(const struct address *a)
{
    return get_u32(a->bytes);
}

static int compare(const void *left, const void *right)
{
    return address_compare(left, right);
}

static struct range without_ends(const struct range *range)
{
    struct network network;
    struct range inner = *range;

    if (range_is_network(range, &network) && network.prefix_bits < NETWORK_WITH_ENDS_BITS) {
        put_u32(inner.first.bytes, value_of(&range->first) + 1);
        put_u32(inner.last.bytes, value_of(&range->last) - 1);
    }
    return inner;
}

bool leases_configure(struct leases *l, const struct config_access *access)
{
    size_t count = access->fixed_count;
    struct address *reserved = calloc(count > 0 ? count : 1, sizeof(*reserved));

    /* What they borrow goes with the configuration that was. */
    l->fixed = NULL;
    l->fixed_count = 0;
    l->range_count = 0;
    l->total = 0;
    if (reserved == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        reserved[i] = access->fixed[i].address;
    }
    qsort(reserved, count, sizeof(*reserved), compare);
    free(l->reserved);
    l->reserved = reserved;
    l->fixed = access->fixed;
    l->fixed_count = count;
    l->next = 0; /* those that somebody has or had are passed over again */
    l->range_count = access->range_count;
    for (size_t i = 0; i < l->range_count; i++) {
        l->ranges[i] = without_ends(&access->ranges[i]);
        l->total += (uint64_t)value_of(&l->ranges[i].last) - value_of(&l->ranges[i].first) + 1;
    }
    return true;
}

bool leases_contains(const struct leases *l, const struct address *a)
{
    for (size_t i = 0; i < l->range_count; i++) {
        if (range_contains(&l->ranges[i], a)) {
            return true;
        }
    }
    return false;
}

static int compare_user(const void *user, const void *fixed)
{
    return strcmp(user, ((const struct config_fixed *)fixed)->user);
}

bool leases_fixed(const struct leases *l, const char *user, struct address *out)
{
    const struct config_fixed *found =
        l->fixed_count == 0
            ? NULL
            : bsearch(user, l->fixed, l->fixed_count, sizeof(*l->fixed), compare_user);

    if (found != NULL) {
        *out = found->address;
    }
    return found != NULL;
}

/* Somebody's for ever. */
static bool is_reserved(const struct leases *l, const struct address *a)
{
    return l->fixed_count > 0 &&
           bsearch(a, l->reserved, l->fixed_count, sizeof(*l->reserved), compare) != NULL;
}

static bool is_held_elsewhere(const struct leases *l, uint32_t value)
{
    for (const struct leases *other = l->all == NULL ? NULL : *l->all; other != NULL;
         other = other->next_pool) {
        const struct lease *lease =
            other == l ? NULL : table_find(&other->by_address, address_key(&value));

        if (lease != NULL && lease->held) {
            return true;
        }
    }
    return false;
}

static struct address address_at(const struct leases *l, uint64_t index)
{
    size_t i = 0;

    for (;; i++) {
        uint64_t count = (uint64_t)value_of(&l->ranges[i].last) - value_of(&l->ranges[i].first) + 1;

        assert(i < l->range_count);
        if (index < count) {
            return address_ipv4(value_of(&l->ranges[i].first) + (uint32_t)index);
        }
        index -= count;
    }
}

/* ---- those that nobody holds ---- */

static void line_up(struct leases *l, struct lease *lease)
{
    lease->older = l->latest;
    lease->younger = NULL;
    *(l->latest != NULL ? &l->latest->younger : &l->oldest) = lease;
    l->latest = lease;
    l->remembered++;
}

static void step_out(struct leases *l, struct lease *lease)
{
    *(lease->older != NULL ? &lease->older->younger : &l->oldest) = lease->younger;
    *(lease->younger != NULL ? &lease->younger->older : &l->latest) = lease->older;
    l->remembered--;
}

/* ---- of a user ---- */

static struct slice key_of(const struct lease *lease)
{
    return (struct slice){lease->user, sizeof(lease->user)};
}

static bool user_add(struct leases *l, struct lease *lease)
{
    struct lease *first = table_remove(&l->by_user, key_of(lease));

    lease->next_of_user = first;
    /* There is room for what was there a moment ago, but for a new one perhaps not. */
    return table_add(&l->by_user, key_of(lease), lease);
}

static void user_remove(struct leases *l, struct lease *lease)
{
    struct lease *first = table_remove(&l->by_user, key_of(lease));
    struct lease **link = &first;

    while (*link != NULL && *link != lease) {
        link = &(*link)->next_of_user;
    }
    if (*link != NULL) {
        *link = lease->next_of_user;
    }
    lease->next_of_user = NULL;
    if (first != NULL) {
        bool added = table_add(&l->by_user, key_of(first), first);

        assert(added); /* it has just been taken out */
        (void)added;
    }
}

static void erase(struct leases *l, struct lease *lease)
{
    user_remove(l, lease);
    (void)table_remove(&l->by_address, address_key(&lease->address));
    free(lease);
}

static enum lease_result hold(struct leases *l, struct lease *lease, struct address *out)
{
    lease->held = true;
    l->held++;
    *out = address_ipv4(lease->address);
    return LEASE_GIVEN;
}

/* One that is remembered for another user, or for nobody any more, becomes this one's. */
static enum lease_result hand_over(struct leases *l, struct lease *lease, const char *user,
                                   struct address *out)
{
    step_out(l, lease);
    user_remove(l, lease);
    (void)user_key(l, user, lease->user);
    if (!user_add(l, lease)) {
        (void)table_remove(&l->by_address, address_key(&lease->address));
        free(lease);
        return LEASE_NO_MEMORY;
    }
    return hold(l, lease, out);
}

static enum lease_result begin(struct leases *l, const struct address *a, const char *user,
                               struct address *out)
{
    struct lease *lease = calloc(1, sizeof(*lease));

    if (lease == NULL) {
        return LEASE_NO_MEMORY;
    }
    lease->address = value_of(a);
    (void)user_key(l, user, lease->user);
    if (!table_add(&l->by_address, address_key(&lease->address), lease)) {
        free(lease);
        return LEASE_NO_MEMORY;
    }
    if (!user_add(l, lease)) {
        (void)table_remove(&l->by_address, address_key(&lease->address));
        free(lease);
        return LEASE_NO_MEMORY;
    }
    return hold(l, lease, out);
}

/* ---- giving ---- */

/* Another's for ever. */
static bool is_of_another(const struct leases *l, const struct address *a, const char *user)
{
    struct address own;

    return is_reserved(l, a) && !(leases_fixed(l, user, &own) && address_equal(&own, a));
}

static enum lease_result take_this(struct leases *l, const struct address *a, const char *user,
                                   struct address *out)
{
    uint32_t value = value_of(a);
    struct lease *lease = table_find(&l->by_address, address_key(&value));

    if (a->family != FAMILY_IPV4 || !leases_contains(l, a)) {
        return LEASE_OUTSIDE;
    }
    if (is_of_another(l, a, user) || is_held_elsewhere(l, value)) {
        return LEASE_HELD;
    }
    if (lease == NULL) {
        return begin(l, a, user, out);
    }
    return lease->held ? LEASE_HELD : hand_over(l, lease, user, out);
}

/* The one that he had last and that is still given here. */
static struct lease *had_before(const struct leases *l, const char *user)
{
    uint8_t key[16];
    struct lease *lease = table_find(&l->by_user, user_key(l, user, key));

    for (; lease != NULL; lease = lease->next_of_user) {
        const struct address a = address_ipv4(lease->address);

        if (!lease->held && leases_contains(l, &a) && !is_reserved(l, &a) &&
            !is_held_elsewhere(l, lease->address)) {
            return lease;
        }
    }
    return NULL;
}

/* One that nobody ever had; each is looked at once in the life of a configuration, unless another
 * pool held it then. */
static bool find_fresh(struct leases *l, struct address *out)
{
    while (l->next < l->total) {
        struct address a = address_at(l, l->next++);
        uint32_t value = value_of(&a);

        if (table_find(&l->by_address, address_key(&value)) != NULL || is_reserved(l, &a)) {
            continue;
        }
        if (is_held_elsewhere(l, value)) {
            l->passed_over = true;
            continue;
        }
        *out = a;
        return true;
    }
    return false;
}

/* Who left longest ago. What is of no pool any more is forgotten on the way. */
static struct lease *oldest_of(struct leases *l)
{
    struct lease *lease = l->oldest;

    while (lease != NULL) {
        const struct address a = address_ipv4(lease->address);
        struct lease *next = lease->younger;

        bool kept = leases_contains(l, &a) && !is_reserved(l, &a);

        if (kept && !is_held_elsewhere(l, lease->address)) {
            return lease;
        }
        if (!kept) {
            step_out(l, lease);
            erase(l, lease);
        }
        lease = next;
    }
    return NULL;
}

enum lease_result leases_take(struct leases *l, const char *user, const struct address *wanted,
                              struct address *out)
{
    struct address fixed;

    if (wanted != NULL && wanted->family != FAMILY_NONE) {
        return take_this(l, wanted, user, out);
    }
    if (leases_fixed(l, user, &fixed)) {
        return take_this(l, &fixed, user, out);
    }
    struct lease *lease = had_before(l, user);

    if (lease != NULL) {
        step_out(l, lease);
        return hold(l, lease, out);
    }
    if (l->remembered < l->remembered_max && find_fresh(l, &fixed)) {
        return begin(l, &fixed, user, out);
    }
    lease = oldest_of(l);
    if (lease != NULL) {
        return hand_over(l, lease, user, out);
    }
    if (!find_fresh(l, &fixed)) {
        if (!l->passed_over) {
            return LEASE_NONE_LEFT;
        }
        l->passed_over = false;
        l->next = 0;
        if (!find_fresh(l, &fixed)) {
            return LEASE_NONE_LEFT;
        }
    }
    return begin(l, &fixed, user, out);
}

void leases_release(struct leases *l, const struct address *a)
{
    uint32_t value = value_of(a);
    struct lease *lease = table_find(&l->by_address, address_key(&value));

    if (lease == NULL || !lease->held) {
        return;
    }
    lease->held = false;
    l->held--;
    if (!leases_contains(l, a)) {
        erase(l, lease);
        return;
    }
    line_up(l, lease);
}
