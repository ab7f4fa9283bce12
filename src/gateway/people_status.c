/* Snapshots of people: who is in, and how full the pools are. */
#include "gateway/people.h"

#include <string.h>

size_t gateway_session_count(const struct gateway *g)
{
    return g->people == NULL ? 0 : g->people->session_count;
}

static void fill(const struct session *s, struct status_session *out)
{
    uint64_t sum[4] = {0};

    *out = (struct status_session){
        .number = s->number,
        .name = s->name,
        .user = s->user,
        .group = s->group,
        .block = s->block->site->name,
        .source = s->source,
        .address = s->address,
        .outer = s->outer,
        .since_ms = s->since_ms,
        .until_ms = s->until_ms,
        .idle_ms = s->idle_ms,
        .up = s->site->used != NULL,
        .persona = "",
    };
    status_sum_traffic(s->site, sum);
    out->in_bytes = sum[0];
    out->in_packets = sum[1];
    out->out_bytes = sum[2];
    out->out_packets = sum[3];
    for (const struct ike *ike = s->site->ikes; ike != NULL; ike = ike->next_of_site) {
        uint64_t in_ms = children_last_in_ms(ike);
        uint64_t out_ms = children_last_out_ms(ike);

        out->last_in_ms = in_ms > out->last_in_ms ? in_ms : out->last_in_ms;
        out->last_out_ms = out_ms > out->last_out_ms ? out_ms : out->last_out_ms;
        if (out->persona[0] == '\0' && persona_of_ike(ike) != NULL) {
            out->persona = persona_of_ike(ike);
        }
    }
}

void gateway_each_session(const struct gateway *g, uint64_t after, size_t most,
                          void (*visit)(void *context, const struct status_session *session),
                          void *context)
{
    for (const struct session *s = g->people == NULL ? NULL : g->people->first;
         s != NULL && most > 0; s = s->next) {
        struct status_session status;

        if (s->number > after) {
            fill(s, &status);
            visit(context, &status);
            most--;
        }
    }
}

bool gateway_pool_at(const struct gateway *g, size_t index, struct status_pool *out)
{
    for (size_t i = 0; i < g->site_count; i++) {
        const struct block *block =
            people_is_block(g->sites[i]) ? people_block(g, g->sites[i]) : NULL;

        if (block == NULL || index-- > 0) {
            continue;
        }
        *out = (struct status_pool){
            .name = block->site->name,
            .total = block->leases.total,
            .held = block->leases.held,
            .remembered = block->leases.remembered,
            .fixed = block->leases.fixed_count,
            .sessions = block->session_count,
            .accepted = block->accepted,
            .refused = block->refused,
        };
        return true;
    }
    return false;
}
