/* Which SAs carry the traffic of a policy: bindings by policy id, and their published lists. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/plane.h"

static struct slice id_key(const uint32_t *policy_id)
{
    return (struct slice){(const uint8_t *)policy_id, sizeof(*policy_id)};
}

static void binding_release(struct retired *object)
{
    struct binding *binding = CONTAINER_OF(object, struct binding, retired);

    free(atomic_load_explicit(&binding->list, memory_order_relaxed));
    free(binding);
}

static void list_release(struct retired *object)
{
    free(CONTAINER_OF(object, struct sa_list, retired));
}

struct binding *binding_of(const struct dataplane *dp, uint32_t policy_id)
{
    return table_find(&dp->bindings, id_key(&policy_id));
}

struct binding *binding_hold(struct dataplane *dp, uint32_t policy_id)
{
    struct binding *binding = binding_of(dp, policy_id);

    if (binding == NULL) {
        binding = calloc(1, sizeof(*binding));
        if (binding == NULL) {
            return NULL;
        }
        binding->policy_id = policy_id;
        if (!table_add(&dp->bindings, id_key(&policy_id), binding)) {
            free(binding);
            return NULL;
        }
        dp->memory_bytes += sizeof(*binding);
    }
    binding->holders++;
    return binding;
}

void binding_drop(struct dataplane *dp, struct binding *binding)
{
    assert(binding->holders > 0);
    binding->holders--;
    if (binding->holders == 0) {
        (void)table_remove(&dp->bindings, id_key(&binding->policy_id));
        dp->memory_bytes -= sizeof(*binding);
        publish_retire(&dp->publish, &binding->retired, binding_release);
    }
}

static size_t list_bytes(size_t count)
{
    return sizeof(struct sa_list) + count * sizeof(struct sa *);
}

static void binding_publish(struct dataplane *dp, struct binding *binding, struct sa_list *list)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        list->has_resources = list->has_resources || list->sas[i]->resource != 0;
    }
    struct sa_list *old = atomic_exchange(&binding->list, list);

    dp->memory_bytes += list == NULL ? 0 : list_bytes(list->count);
    if (old != NULL) {
        dp->memory_bytes -= list_bytes(old->count);
        publish_retire(&dp->publish, &old->retired, list_release);
    }
}

bool binding_add(struct dataplane *dp, struct binding *binding, struct sa *sa)
{
    const struct sa_list *old = atomic_load(&binding->list);
    size_t count = old == NULL ? 0 : old->count;
    struct sa_list *list = calloc(1, list_bytes(count + 1));

    if (list == NULL) {
        return false;
    }
    list->sas[list->count++] = sa;
    for (size_t i = 0; i < count; i++) {
        if (old->sas[i] != sa) {
            list->sas[list->count++] = old->sas[i];
        }
    }
    binding_publish(dp, binding, list);
    return true;
}

void binding_remove(struct dataplane *dp, struct binding *binding, struct sa *sa)
{
    const struct sa_list *old = atomic_load(&binding->list);

    if (old == NULL) {
        return;
    }
    if (old->count == 1) {
        assert(old->sas[0] == sa);
        binding_publish(dp, binding, NULL);
        return;
    }
    struct sa_list *list = calloc(1, list_bytes(old->count));
    if (list == NULL) {
        /* Without memory for a shorter list the whole policy stops: what is left out is dropped,
         * never sent on an SA that is gone. */
        for (size_t i = 0; i < old->count; i++) {
            old->sas[i]->used = false;
        }
        binding_publish(dp, binding, NULL);
        return;
    }
    for (size_t i = 0; i < old->count; i++) {
        if (old->sas[i] != sa) {
            list->sas[list->count++] = old->sas[i];
        }
    }
    binding_publish(dp, binding, list);
}
