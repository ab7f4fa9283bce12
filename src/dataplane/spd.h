/*
 * The security policy database (RFC 4301 4.4.1): an ordered list of policies, of which the first
 * that fits decides.
 *
 * A whole list is built, published and retired as one value. The remote networks of all policies
 * are kept in one hash table by prefix, so finding the first that fits costs a probe for each
 * prefix length in use and not a walk over ten thousand sites.
 */
#ifndef SEKISHO_DATAPLANE_SPD_H
#define SEKISHO_DATAPLANE_SPD_H

#include "dataplane/dataplane.h"
#include "dataplane/match.h"
#include "dataplane/publish.h"

struct binding;

struct spd_policy {
    const struct match *local;
    const struct match *remote;
    uint32_t local_count;
    uint32_t remote_count;
    uint32_t id;
    uint8_t verdict; /* enum policy_verdict */
    struct binding *binding;
};

struct spd;

/* NULL: no memory, or a policy without id, selectors or with mixed-up ranges. `seed` places the
 * entries of the hash. */
MUST_USE struct spd *spd_new(const struct policy *policies, size_t count, uint64_t seed);
void spd_free(struct spd *spd);
size_t spd_count(const struct spd *spd);
/* Some policy says bypass or discard: what comes out of a tunnel must be looked at (RFC 4301 5.2).
 */
bool spd_is_mixed(const struct spd *spd);
struct spd_policy *spd_at(struct spd *spd, size_t rank);
/* The first policy that fits, or NULL. */
const struct spd_policy *spd_find(const struct spd *spd, const struct match_key *key);

/* spd is the object whose first member is `retired`. */
struct retired *spd_retired(struct spd *spd);
void spd_release(struct retired *object);

#endif
