/*
 * Which address a person gets: out of networks and ranges, the one that he had before when that is
 * free, his own one where that is written, and no address twice. What is remembered of those who
 * left is bounded; giving and taking cost the same with ten thousand people as with one.
 */
#ifndef SEKISHO_GATEWAY_LEASES_H
#define SEKISHO_GATEWAY_LEASES_H

#include "base/table.h"
#include "config/config.h"

/* So many addresses of people who left are kept for them; behind that the oldest is given to
 * others before one that nobody ever had. */
#define LEASES_REMEMBERED_MAX 65536

enum lease_result {
    LEASE_GIVEN,
    LEASE_NONE_LEFT,
    LEASE_HELD, /* the one address that it can be is somebody's */
    LEASE_OUTSIDE, /* it is none of this pool's */
    LEASE_NO_MEMORY,
};

struct lease;

struct leases {
    struct range ranges[CONFIG_POOL_RANGES_MAX]; /* those that can be given: without the ends of
                                                    networks */
    size_t range_count;
    const struct config_fixed *fixed; /* borrowed from the configuration, in the order of names */
    size_t fixed_count;
    struct address *reserved; /* of those, in order */
    size_t remembered_max;
    uint64_t total; /* addresses */
    uint64_t next; /* the first that nobody had yet, counted through the ranges */
    size_t held;
    size_t remembered;
    struct table by_address, by_user; /* the user's latest first */
    struct lease *oldest, *latest; /* of those that nobody holds */
    uint8_t key[16];
    /* Other pools, itself among them: theirs may overlap with this one, and addresses may have gone
     * from one to another while somebody has them. What is held in one is given in no other. NULL:
     * there are none. */
    struct leases *const *all;
    struct leases *next_pool;
    bool passed_over; /* some were not looked at for good, because another pool held them */
};

void leases_init(struct leases *l, const uint8_t key[16]);
void leases_fini(struct leases *l);
/* What a configuration says; what is held stays held, though it be outside now. False: no memory,
 * and nothing is given. */
MUST_USE bool leases_configure(struct leases *l, const struct config_access *access);
/* `wanted`: this one or none; no family: any. */
MUST_USE enum lease_result leases_take(struct leases *l, const char *user,
                                       const struct address *wanted, struct address *out);
void leases_release(struct leases *l, const struct address *a);
/* Of this user there is an address of his own in the configuration. */
MUST_USE bool leases_fixed(const struct leases *l, const char *user, struct address *out);
/* It can be given at all. */
MUST_USE bool leases_contains(const struct leases *l, const struct address *a);

#endif
