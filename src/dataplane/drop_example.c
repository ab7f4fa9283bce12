/* Decides of which dropped packets an example is kept, and what can be said about one. */
#include "dataplane/drop_example.h"

#include "dataplane/plane.h"

/* What is dropped because it has done its work is no news. */
static bool is_worth_telling(enum drop_reason reason)
{
    return reason != DROP_KEEPALIVE && reason != DROP_DUMMY;
}

/* Of packets from the wire: dropped when they had been opened, and what is left is the packet
 * inside, or looks like it. */
static bool is_about_contents(enum drop_reason reason)
{
    return reason == DROP_MALFORMED_INNER || reason == DROP_BAD_NEXT_HEADER ||
           reason == DROP_SELECTOR_MISMATCH || reason == DROP_ECN || reason == DROP_REASSEMBLY ||
           reason == DROP_BYPASS_POLICY;
}

/* Of packets to the wire whose SA was chosen: its headers are not there yet. */
static bool is_over_before_it_begins(enum drop_reason reason)
{
    return reason == DROP_LIFETIME_OVER || reason == DROP_SEQUENCE_EXHAUSTED;
}

static bool is_clear(bool inbound, bool has_sa, enum drop_reason reason)
{
    if (inbound) {
        return has_sa && is_about_contents(reason);
    }
    return !has_sa || is_over_before_it_begins(reason);
}

static void read_inner(const struct packet *packet, struct drop_example *e)
{
    /* A wrong checksum or length is no reason to say nothing. */
    e->has_inner =
        ip_read(packet_slice(packet), &e->inner) || ip_read_quoted(packet_slice(packet), &e->inner);
}

static void tell_sa(const struct sa *sa, struct drop_example *e)
{
    const struct sa_path *path = atomic_load(&sa->path);

    e->policy_id = sa->policy_id;
    e->spi = e->inbound ? sa->spi_in : sa->spi_out;
    e->protocol = sa->shape.protocol;
    if (!e->has_outer) {
        e->has_outer = true;
        e->local = path->local;
        e->peer = path->peer;
    }
}

/* Nothing but its own octets tells of it. */
static void tell_from_wire(const struct dataplane *dp, const struct packet *packet,
                           struct drop_example *e)
{
    bool is_ah = packet->outer_protocol == IP_PROTOCOL_AH;
    size_t spi_at = is_ah ? 4 : 0;

    e->protocol = packet->outer_protocol;
    if ((!is_ah && packet->outer_protocol != IP_PROTOCOL_ESP &&
         (packet->outer_protocol != IP_PROTOCOL_UDP ||
          (packet->local.port == dp->ike_port && !packet->local.tcp))) ||
        packet->length < spi_at + ESP_HEAD_BYTES) {
        return;
    }
    e->spi = get_u32(packet_data(packet) + spi_at);
    e->sequence = get_u32(packet_data(packet) + spi_at + 4);
    e->has_sequence = e->spi != 0;
    const struct sa *sa = sad_find(dp, e->spi);
    e->policy_id = sa == NULL ? 0 : sa->policy_id;
}

static void tell_from_tun(const struct dataplane *dp, const struct ip_head *head,
                          struct drop_example *e)
{
    struct match_key key = match_key_outbound(head);
    const struct spd_policy *policy = spd_find(atomic_load(&dp->spd), &key);

    e->policy_id = policy == NULL ? 0 : policy->id;
}

void example_describe(const struct dataplane_worker *worker, const struct packet *packet,
                      const struct esp_work *work, enum drop_reason reason, struct drop_example *e)
{
    bool inbound = worker->inbound;

    *e = (struct drop_example){
        .reason = reason,
        .at_ms = atomic_load_explicit(&worker->now_ms, memory_order_relaxed),
        .inbound = inbound,
    };
    if (inbound) {
        e->has_outer = true;
        e->local = packet->local;
        e->peer = packet->peer;
    }
    if (work != NULL) {
        tell_sa(work->sa, e);
        e->sequence = work->sequence;
        e->has_sequence = work->sequence != 0 && (inbound || !is_over_before_it_begins(reason));
    } else if (inbound) {
        tell_from_wire(worker->dp, packet, e);
    }
    if (is_clear(inbound, work != NULL, reason)) {
        read_inner(packet, e);
        if (!inbound && work == NULL && e->has_inner) {
            tell_from_tun(worker->dp, &e->inner, e);
        }
    }
}

void example_keep(struct dataplane_worker *worker, const struct packet *packet,
                  const struct esp_work *work, enum drop_reason reason)
{
    struct drop_example e;

    if (!is_worth_telling(reason)) {
        return;
    }
    if (packet == NULL) {
        e = (struct drop_example){
            .reason = reason,
            .at_ms = atomic_load_explicit(&worker->now_ms, memory_order_relaxed),
            .inbound = worker->inbound,
        };
    } else {
        example_describe(worker, packet, work, reason, &e);
    }
    if (ring_put(&worker->examples, &e)) {
        worker->example_due_ms[reason] = e.at_ms + DROP_EXAMPLE_INTERVAL_MS;
    }
}

bool dataplane_next_example(struct dataplane *dp, struct drop_example *out)
{
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        struct dataplane_worker *worker = dp->workers[i];

        /* There are few: a worker that makes many cannot keep the others silent for long. */
        if (worker != NULL && ring_take(&worker->examples, out)) {
            return true;
        }
    }
    return false;
}
