/*
 * Children with equal selectors, each for one resource (RFC 9611): decides whether the peer may
 * have another one, for which resource of ours it is, and whether what he made is what he was asked
 * for.
 *
 * One child is for all resources: the leader. It says with an empty SA_RESOURCE_INFO that there may
 * be more; each of the others says what its sender calls it, which nobody understands.
 */
#include "proto/ikev2/machine.h"

#include <string.h>

static bool has_selectors(const struct ikev2_child *child, const struct ikev2_work *work)
{
    if (child->local_count != work->local_count || child->remote_count != work->remote_count) {
        return false;
    }
    for (size_t i = 0; i < work->local_count; i++) {
        if (!selector_equal(&child->selectors[i], &work->local[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < work->remote_count; i++) {
        if (!selector_equal(&child->selectors[child->local_count + i], &work->remote[i])) {
            return false;
        }
    }
    return true;
}

struct ikev2_child *ikev2_resources_leader(const struct ikev2_sa *sa,
                                           const struct ikev2_child_policy *policy,
                                           const struct ikev2_work *like)
{
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (child->policy == policy && child->phase == IKEV2_CHILD_UP && child->resource == 0 &&
            !child->only && (like == NULL || has_selectors(child, like))) {
            return child;
        }
    }
    return NULL;
}

static bool id_is_taken(const struct ikev2_sa *sa, uint16_t id)
{
    for (const struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (child->resource_id == id) {
            return true;
        }
    }
    return false;
}

/* RFC 9611 7: it tells nothing about the machine. There are many fewer children than numbers. */
uint16_t ikev2_resources_fresh_id(struct ikev2_sa *sa)
{
    uint16_t id;

    do {
        id = (uint16_t)(1 + random_below(sa->random, UINT16_MAX));
    } while (id_is_taken(sa, id));
    return id;
}

/* RFC 9611 3: what is not negotiated anew. A key exchange is not a property: the first child has
 * none (RFC 7296 1.2). */
static bool is_like(const struct ikev2_child *leader, const struct ikev2_work *work)
{
    const struct suite *a = &leader->suite;
    const struct suite *b = &work->choice.suite;

    return leader->protocol == work->choice.protocol && a->encryption == b->encryption &&
           a->key_bits == b->key_bits && a->integrity == b->integrity && a->esn == b->esn &&
           leader->terms.transport_mode == work->agreed.transport_mode &&
           leader->terms.compress == work->agreed.compress &&
           leader->terms.aggfrag == work->agreed.aggfrag && has_selectors(leader, work);
}

static bool is_for_one(const struct ikev2_child *child, const struct ikev2_child_policy *policy)
{
    return child->policy == policy && child->phase == IKEV2_CHILD_UP && child->resource != 0;
}

/* RFC 9611 4: of ours the one with the fewest. */
static uint8_t least_used(const struct ikev2_sa *sa, const struct ikev2_child_policy *policy)
{
    unsigned children[UINT8_MAX + 1] = {0};
    uint8_t least = 1;

    for (const struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if (is_for_one(child, policy)) {
            children[child->resource]++;
        }
    }
    for (unsigned resource = 2; resource <= policy->resources; resource++) {
        if (children[resource] < children[least]) {
            least = (uint8_t)resource;
        }
    }
    return least;
}

static unsigned count_of(const struct ikev2_sa *sa, const struct ikev2_child_policy *policy)
{
    unsigned count = 0;

    for (const struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        count += is_for_one(child, policy);
    }
    return count;
}

uint16_t ikev2_resources_match(struct ikev2_sa *sa, const struct ikev2_message *m,
                               struct ikev2_work *work, struct ikev2_failure *failure)
{
    struct ikev2_child *leader = ikev2_resources_leader(sa, work->policy, work);

    /* A peer of our own kind need not say so: with one resource he has no reason to. */
    work->peer_has_resources = sa->udp_agreed && work->policy->resources_max > 0;

    /* Who asks for the first one may say what he likes: it is for all of ours. */
    if (ikev2_message_notify(m, IKEV2_SA_RESOURCE_INFO) == NULL || leader == NULL) {
        return 0;
    }
    /* RFC 9611 6: MUST NOT be NO_ADDITIONAL_SAS. */
    if (count_of(sa, work->policy) >= work->policy->resources_max ||
        sa->child_count >= IKEV2_CHILDREN_MAX) {
        ikev2_failure_set(failure, IKEV2_FAIL_CHILD_RESOURCE, m->header.exchange,
                          IKEV2_TS_MAX_QUEUE, "no more with these networks");
        return IKEV2_TS_MAX_QUEUE;
    }
    if (!is_like(leader, work)) {
        ikev2_failure_set(failure, IKEV2_FAIL_CHILD_RESOURCE, m->header.exchange,
                          IKEV2_NO_PROPOSAL_CHOSEN, "another kind than the one for all");
        return IKEV2_NO_PROPOSAL_CHOSEN;
    }
    leader->terms.resources = true;
    work->packet.resource = least_used(sa, work->policy);
    work->resource_id = ikev2_resources_fresh_id(sa);
    return 0;
}

bool ikev2_resources_verify(const struct ikev2_sa *sa, const struct ikev2_message *m,
                            const struct ikev2_work *work, struct ikev2_failure *failure)
{
    if (work->kind != IKEV2_WORK_CHILD || work->packet.resource == 0) {
        return true;
    }
    const struct ikev2_child *leader = ikev2_resources_leader(sa, work->policy, NULL);
    const char *detail = "the peer made it of another kind than the one for all";

    if (!work->agreed.resources) {
        detail = "the peer did not say that he understood";
    } else if (leader == NULL || is_like(leader, work)) {
        return true;
    }
    ikev2_failure_set(failure, IKEV2_FAIL_CHILD_RESOURCE, m->header.exchange, 0, detail);
    return false;
}

void ikev2_resources_inherit(struct ikev2_work *work, const struct ikev2_child *old)
{
    work->packet.resource = old->resource;
    work->resource_id = old->resource_id;
    work->peer_has_resources = old->terms.resources;
}
