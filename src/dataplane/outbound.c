/* Clear packets from the TUN device: policy, SA, fit, ESP. One straight road for each, one seal for
 * the batch. */
#include <assert.h>
#include <string.h>

#include "dataplane/plane.h"
#include "dataplane/ecn.h"
#include "wire/tcp.h"

#define SEQUENCE_RESERVE (1u << 16) /* before the end each packet takes its number by itself */
#define ACQUIRE_INTERVAL_MS 1000
#define ACQUIRE_PACKETS_MAX 16 /* of one policy in that time, where packets populate */
#define IPV6_MTU_LEAST 1280

/* The TUN device may leave the TCP or UDP checksum to us (virtio_net_hdr): the field holds the sum
 * of the pseudo header. False when the place is not in the packet. */
static bool complete_checksum(struct packet *packet)
{
    uint32_t start = packet->checksum_start;
    uint32_t field = start + packet->checksum_offset;

    if (start == 0) {
        return true;
    }
    if (start >= packet->length || packet->length - start < 2 || field > packet->length - 2) {
        return false;
    }
    uint8_t *data = packet_data(packet);
    uint16_t checksum =
        checksum_finish(checksum_add(0, (struct slice){data + start, packet->length - start}));

    /* RFC 768: zero says that there is none. */
    put_u16(data + field, checksum == 0 ? UINT16_MAX : checksum);
    packet->checksum_start = 0;
    packet->checksum_offset = 0;
    return true;
}

static void route_set(const struct spd_policy *policy, const struct match_key *key,
                      struct route *route)
{
    route->policy = policy;
    route->sa = policy != NULL && policy->verdict == POLICY_PROTECT
                    ? binding_find(policy->binding, key, route->resource)
                    : NULL;
}

/* RFC 4301 6.2: an error from a router on our side has an address of which no policy speaks, but
 * it quotes a packet of which one does. */
static void route_find_quoted(const struct spd *spd, const struct packet *packet,
                              const struct ip_head *head, struct route *route)
{
    struct match_key key;

    if (!match_key_quoted(packet_slice(packet), head, false, &key)) {
        return;
    }
    const struct spd_policy *policy = spd_find(spd, &key);
    if (policy != NULL && policy->verdict == POLICY_PROTECT &&
        atomic_load_explicit(&policy->binding->relays_icmp, memory_order_relaxed)) {
        route_set(policy, &key, route);
        /* The next error from there may quote another flow. */
        route->known = false;
    }
}

static void route_find(const struct spd *spd, const struct packet *packet,
                       const struct ip_head *head, struct route *route)
{
    struct match_key key = match_key_outbound(head);

    if (route->known && match_key_equal(&route->key, &key)) {
        return;
    }
    route->known = true;
    route->key = key;
    route_set(spd_find(spd, &key), &key, route);
    if (route->policy == NULL || (route->policy->verdict == POLICY_PROTECT && route->sa == NULL)) {
        route_find_quoted(spd, packet, head, route);
    }
}

/* Around the tunnels: it leaves as it is, by the way that it would have without us. */
static void leave_in_clear(struct dataplane_worker *worker, struct packet *packet,
                           const struct ip_head *head)
{
    packet->has_outer_head = true;
    packet->bypass = true;
    packet->local = (struct endpoint){.address = head->source};
    packet->peer = (struct endpoint){.address = head->destination};
    packet->outer_protocol = head->protocol;
    packet->tos = head->tos;
    packet->dont_fragment = head->dont_fragment;
    worker_to_clear(worker, packet);
}

static struct selector packet_selector(const struct address *address, uint8_t protocol,
                                       bool has_port, uint16_t port)
{
    return (struct selector){
        .addresses = {*address, *address},
        .protocol = protocol,
        .port_first = has_port ? port : 0,
        .port_last = has_port ? port : UINT16_MAX,
    };
}

/* RFC 4301 4.4.1.1. What ICMP has instead of ports differs between a question and its answer. */
static void note_packet(enum policy_populates populates, const struct ip_head *head,
                        struct dataplane_note *note)
{
    bool connection = populates == POPULATES_CONNECTION;
    bool ports = connection && head->has_ports && head->protocol != IP_PROTOCOL_ICMP &&
                 head->protocol != IP_PROTOCOL_ICMPV6;
    uint8_t protocol = connection ? head->protocol : 0;

    note->has_packet = true;
    note->packet_local = packet_selector(&head->source, protocol, ports, head->port_source);
    note->packet_remote =
        packet_selector(&head->destination, protocol, ports, head->port_destination);
}

/* Each packet has one of its own, a few in a while. */
static bool may_populate(struct binding *binding, uint64_t now_ms)
{
    uint64_t since = atomic_load_explicit(&binding->acquire_ms, memory_order_relaxed);

    if ((since == 0 || now_ms >= since - 1 + ACQUIRE_INTERVAL_MS) &&
        atomic_compare_exchange_strong_explicit(&binding->acquire_ms, &since, now_ms + 1,
                                                memory_order_relaxed, memory_order_relaxed)) {
        atomic_store_explicit(&binding->acquired, 0, memory_order_relaxed);
    }
    return atomic_load_explicit(&binding->acquired, memory_order_relaxed) < ACQUIRE_PACKETS_MAX &&
           atomic_fetch_add_explicit(&binding->acquired, 1, memory_order_relaxed) <
               ACQUIRE_PACKETS_MAX;
}

/* One of a policy in a while. */
static void put_acquire(struct dataplane_worker *worker, struct binding *binding,
                        const struct dataplane_note *note, uint64_t now_ms)
{
    uint64_t last = atomic_load_explicit(&binding->acquire_ms, memory_order_relaxed);

    /* Another worker's clock may be a little ahead. */
    if (last != 0 && now_ms < last - 1 + ACQUIRE_INTERVAL_MS) {
        return;
    }
    if (atomic_compare_exchange_strong_explicit(&binding->acquire_ms, &last, now_ms + 1,
                                                memory_order_relaxed, memory_order_relaxed) &&
        !worker_note(worker, note)) {
        atomic_store_explicit(&binding->acquire_ms, 0, memory_order_relaxed);
    }
}

/* RFC 4301 5.1 step 3b: the traffic waits for nobody here, but the control thread hears of it. */
static void note_acquire(struct dataplane_worker *worker, struct binding *binding,
                         const struct ip_head *head, bool is_new, uint64_t now_ms)
{
    enum policy_populates populates =
        atomic_load_explicit(&binding->populates, memory_order_relaxed);
    struct dataplane_note note = {.kind = NOTE_ACQUIRE, .policy_id = binding->policy_id};

    if (address_is_multicast(&head->destination) || address_is_link_local(&head->destination) ||
        address_is_link_local(&head->source)) {
        /* What a host says on every link (router and listener reports) is no reason for a tunnel.
         */
        return;
    }
    if (populates != POPULATES_OFF) {
        if (is_new && may_populate(binding, now_ms)) {
            note_packet(populates, head, &note);
            (void)worker_note(worker, &note);
        }
        return;
    }
    put_acquire(worker, binding, &note, now_ms);
}

/* RFC 9611 6: the packet goes through an SA for all, and the control thread hears of it. */
void outbound_note_own(struct dataplane_worker *worker, const struct sa *sa)
{
    struct binding *binding = sa->binding;

    if (sa->resource == worker->resource ||
        atomic_load_explicit(&binding->resources, memory_order_relaxed) < worker->resource) {
        return;
    }
    struct dataplane_note note = {
        .kind = NOTE_ACQUIRE_OWN, .policy_id = binding->policy_id, .resource = worker->resource};
    uint64_t now_ms = atomic_load_explicit(&worker->now_ms, memory_order_relaxed);

    put_acquire(worker, binding, &note, now_ms);
}

/* RFC 4303 3.3.3: numbers begin with 1 and are never used twice; behind the last the SA has ended.
 */
static bool next_sequence(struct sa *sa, bool shared, uint64_t *sequence)
{
    uint64_t last = atomic_load_explicit(&sa->sequence, memory_order_relaxed);

    if (last >= sa->sequence_max) {
        return false;
    }
    if (shared) {
        last = atomic_fetch_add_explicit(&sa->sequence, 1, memory_order_relaxed);
    } else {
        atomic_store_explicit(&sa->sequence, last + 1, memory_order_relaxed);
    }
    *sequence = last + 1;
    return *sequence <= sa->sequence_max;
}

/* Who looks whether a peer answers need not look at an SA that sends nothing. */
void sends_now(struct dataplane_worker *worker, struct sa *sa, uint64_t now_ms)
{
    if (now_ms >= tally_read(&sa->last_out_ms) + DATAPLANE_IDLE_MS) {
        struct dataplane_note note = {
            .kind = NOTE_SENDS_AGAIN, .spi_in = sa->spi_in, .policy_id = sa->policy_id};

        (void)worker_note(worker, &note);
    }
    atomic_store_explicit(&sa->last_out_ms, now_ms, memory_order_relaxed);
}

enum drop_reason spend_life(struct dataplane_worker *worker, struct sa *sa, uint32_t bytes,
                            uint64_t *sequence)
{
    bool shared = worker->dp->shared;
    uint64_t out_bytes = tally_read(&sa->out_bytes);
    uint64_t out_packets = tally_read(&sa->out_packets);

    if (out_bytes >= sa->hard_bytes || out_packets >= sa->hard_packets) {
        worker_note_once(worker, sa, SA_NOTED_HARD, NOTE_HARD_LIFETIME);
        return DROP_LIFETIME_OVER;
    }
    if (!next_sequence(sa, shared, sequence)) {
        worker_note_once(worker, sa, SA_NOTED_HARD, NOTE_HARD_LIFETIME);
        return DROP_SEQUENCE_EXHAUSTED;
    }
    if (out_bytes + bytes >= sa->soft_bytes || out_packets + 1 >= sa->soft_packets ||
        *sequence >= sa->soft_packets) {
        worker_note_once(worker, sa, SA_NOTED_SOFT, NOTE_SOFT_LIFETIME);
    }
    tally(&sa->out_bytes, bytes, shared);
    tally(&sa->out_packets, 1, shared);
    return DROP_NONE;
}

void choose_iv(struct dataplane_worker *worker, const struct sa *sa, uint64_t sequence,
               uint8_t iv[IV_BYTES_MAX])
{
    if (sa->shape.counter_iv) {
        put_u64(iv, sequence);
    } else if (sa->shape.iv_bytes > 0) {
        iv_take(&worker->iv, iv, sa->shape.iv_bytes);
    }
}

/* Makes an outer packet of it, to be sealed with the batch. */
static void wrap(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                 const struct ip_head *head, bool dont_fragment, uint64_t now_ms)
{
    if (!sa->shape.plain && sa->more->aggfrag != NULL) {
        pacing_push(worker, sa, packet);
        return;
    }
    if (!sa->shape.plain) {
        nest_send(worker, sa, packet, head, dont_fragment, now_ms);
        return;
    }
    uint8_t iv[IV_BYTES_MAX];
    struct esp_work *work = &worker->work[worker->work_count];
    bool ipv4 = head->family == FAMILY_IPV4;

    assert(worker->work_count < DATAPLANE_OUTPUT_MAX);
    work->packet = packet;
    work->sa = sa;
    enum drop_reason reason = spend_life(worker, sa, packet->length, &work->sequence);
    if (reason != DROP_NONE) {
        worker_drop_of(worker, work, reason);
        return;
    }
    choose_iv(worker, sa, work->sequence, iv);
    if (!esp_write(work, iv, ipv4 ? IP_PROTOCOL_IPV4 : IP_PROTOCOL_IPV6,
                   &worker->jobs[worker->work_count])) {
        worker_drop_of(worker, work, DROP_NO_BUFFER);
        return;
    }
    const struct sa_path *path = atomic_load(&sa->path);
    packet->local = path->local;
    packet->peer = path->peer;
    packet->outer_protocol = path->encapsulated ? IP_PROTOCOL_UDP : IP_PROTOCOL_ESP;
    packet->tos = ecn_encapsulate(head->tos, sa->shape.copy_dscp);
    packet->dont_fragment = dont_fragment;
    sends_now(worker, sa, now_ms);
    worker->work_count++;
}

static void wrap_fragments(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                           const struct ip_head *head, uint16_t mtu, size_t capacity,
                           uint64_t now_ms)
{
    struct packet *pieces[DATAPLANE_OUTPUT_MAX];
    size_t count = fit_fragment(worker, packet, head, mtu, pieces, capacity);

    if (count == 0) {
        worker_drop(worker, packet, DROP_NO_BUFFER);
    }
    worker->owed += count;
    for (size_t i = 0; i < count; i++) {
        worker->owed--;
        wrap(worker, sa, pieces[i], head, sa_dont_fragment(sa, false), now_ms);
    }
}

/* `capacity`: how many packets this one may become. */
static void fit_and_wrap(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                         const struct ip_head *head, size_t capacity, uint64_t now_ms)
{
    uint16_t mtu = fit_inner_mtu(sa);
    bool ipv4 = head->family == FAMILY_IPV4;
    bool may_cut = ipv4 && !head->dont_fragment;

    fit_clamp_mss(sa, packet, head);
    if (worker->tap != NULL) {
        tap_inner(worker, sa, packet);
    }
    if (sa->shape.transport) {
        /* The header outside is the one inside: what may be cut is cut behind the protection (RFC
         * 4303 3.3.4), and so is what every IPv6 link carries. */
        if (packet->length <= mtu || !head->dont_fragment ||
            (!ipv4 && packet->length <= IPV6_MTU_LEAST)) {
            wrap(worker, sa, packet, head, ipv4 && head->dont_fragment, now_ms);
        } else {
            fit_tell_too_big(worker, packet, head, mtu, now_ms);
            worker_drop(worker, packet, DROP_TOO_BIG);
        }
    } else if (packet->length <= mtu) {
        wrap(worker, sa, packet, head, sa_dont_fragment(sa, head->dont_fragment), now_ms);
    } else if (!ipv4 && packet->length <= IPV6_MTU_LEAST) {
        /* RFC 8200 5: every IPv6 link carries 1280 octets; where the tunnel cannot, the outer
         * packet is cut. */
        wrap(worker, sa, packet, head, false, now_ms);
    } else if (may_cut && sa->more != NULL && sa->more->fragment_after) {
        wrap(worker, sa, packet, head, false, now_ms);
    } else if (may_cut) {
        wrap_fragments(worker, sa, packet, head, mtu, capacity, now_ms);
    } else {
        fit_tell_too_big(worker, packet, head, mtu, now_ms);
        worker_drop(worker, packet, DROP_TOO_BIG);
    }
}

/* RFC 4301 7.3: a fragment without ports goes where the one with the ports went. False when it
 * would change what was judged by them. */
static bool find_ports(struct dataplane_worker *worker, const struct packet *packet,
                       struct ip_head *head, uint64_t now_ms)
{
    if (head->fragment_offset == 0) {
        /* Where it has no ports, those behind it have none to meet either. */
        return fragment_ports_learn(worker->ports_out, packet_slice(packet), head, now_ms) ||
               !head->has_ports;
    }
    /* Where the first was not seen, selectors without ports may fit all the same. */
    return fragment_ports_find(worker->ports_out, packet_slice(packet), head, now_ms) !=
           FRAGMENT_PORTS_REFUSED;
}

/* RFC 4303 3.3.4, RFC 4302 3.3.4: transport mode protects whole datagrams. True when `packet` is
 * one now; else it has left, or waits as a copy for the rest of it. */
static bool make_whole(struct dataplane_worker *worker, struct packet *packet, struct ip_head *head,
                       uint64_t now_ms)
{
    switch (reassembly_add(worker->reassembly, packet_slice(packet), head, now_ms, packet)) {
    case REASSEMBLY_WHOLE:
        if (ip_read(packet_slice(packet), head)) {
            /* Its sender cut it, so it may be cut again outside. */
            head->dont_fragment = false;
            return true;
        }
        worker_drop(worker, packet, DROP_MALFORMED_INNER);
        return false;
    case REASSEMBLY_WAITS:
        worker_took(worker, packet);
        return false;
    case REASSEMBLY_DOUBLED:
    case REASSEMBLY_MALFORMED:
    case REASSEMBLY_TOO_LARGE:
    case REASSEMBLY_OVERLAPS:
    case REASSEMBLY_CONGESTION:
        break;
    }
    worker_drop(worker, packet, DROP_REASSEMBLY);
    return false;
}

/* No SA yet: a few packets wait for it where the policy says so (RFC 4301 4.4.1.2 leaves it to
 * us), all others are dropped. Never sent in clear. */
static void wait_or_drop(struct dataplane_worker *worker, const struct spd_policy *policy,
                         struct packet *packet, const struct ip_head *head, uint64_t since_ms,
                         uint64_t now_ms)
{
    struct binding *binding = policy->binding;
    size_t same = 0;

    note_acquire(worker, binding, head, since_ms == now_ms, now_ms);
    for (size_t i = 0; i < worker->held_count; i++) {
        same += worker->held[i].policy_id == policy->id;
    }
    if (!atomic_load_explicit(&binding->holds, memory_order_relaxed) ||
        now_ms >= since_ms + HELD_MS) {
        worker_drop(worker, packet, DROP_NO_SA);
    } else if (worker->held_count == HELD_MAX || same == HELD_OF_POLICY_MAX) {
        worker_drop(worker, packet, DROP_QUEUE_FULL);
    } else {
        worker->held[worker->held_count++] = (struct held){packet, policy->id, since_ms};
    }
}

static void outbound_one(struct dataplane_worker *worker, const struct spd *spd,
                         struct route *route, struct packet *packet, size_t capacity,
                         uint64_t since_ms, uint64_t now_ms)
{
    struct ip_head head;

    assert(packet->segmentation == SEGMENT_NONE);
    if (!ip_read(packet_slice(packet), &head)) {
        worker_drop(worker, packet, DROP_MALFORMED_INNER);
        return;
    }
    packet->length = head.total_bytes;
    if (!complete_checksum(packet)) {
        worker_drop(worker, packet, DROP_MALFORMED_INNER);
        return;
    }
    if (head.is_fragment && !find_ports(worker, packet, &head, now_ms)) {
        worker_drop(worker, packet, DROP_REASSEMBLY);
        return;
    }
    route_find(spd, packet, &head, route);
    if (route->policy == NULL) {
        worker_drop(worker, packet, DROP_NO_POLICY);
        return;
    }
    if (route->policy->verdict == POLICY_DISCARD) {
        worker_drop(worker, packet, DROP_POLICY_DISCARD);
        return;
    }
    if (route->policy->verdict == POLICY_BYPASS) {
        leave_in_clear(worker, packet, &head);
        return;
    }
    if (route->sa != NULL && route->sa->shape.transport && head.is_fragment &&
        !make_whole(worker, packet, &head, now_ms)) {
        return;
    }
    if (route->sa == NULL) {
        wait_or_drop(worker, route->policy, packet, &head, since_ms, now_ms);
        return;
    }
    fit_and_wrap(worker, route->sa, packet, &head, capacity, now_ms);
}

static void tap_sealed(struct dataplane_worker *worker)
{
    for (size_t i = 0; i < worker->work_count; i++) {
        if (worker->jobs[i].ok) {
            tap_sent(worker, worker->work[i].sa, worker->work[i].packet);
        }
    }
}

static void seal_batch(struct dataplane_worker *worker)
{
    if (worker->work_count > 0) {
        outbound_note_own(worker, worker->work[worker->work_count - 1].sa);
    } else if (worker->nest_count > 0) {
        outbound_note_own(worker, worker->nests[worker->nest_count - 1].sa);
    }
    for (size_t from = 0; from < worker->work_count; from += BATCH_PACKETS) {
        size_t left = worker->work_count - from;

        protect_seal(worker->engine, worker->jobs + from,
                     left < BATCH_PACKETS ? left : BATCH_PACKETS);
    }
    if (worker->tap != NULL) {
        tap_sealed(worker);
    }
    for (size_t i = 0; i < worker->work_count; i++) {
        if (worker->jobs[i].ok) {
            worker_to_wire(worker, worker->work[i].packet);
        } else {
            worker_drop_of(worker, &worker->work[i], DROP_CRYPTO_FAILED);
        }
    }
}

/* How many packets the next one may become: a place is kept for each that follows it. */
static size_t room_for_pieces(const struct dataplane_worker *worker)
{
    return DATAPLANE_OUTPUT_MAX - worker->work_count - worker->nest_count -
           worker->out->to_wire_count - worker->owed;
}

/* What was found is kept over the end of a batch, unless something may have gone since, or a
 * better answer may have come. */
static void route_keep(struct dataplane_worker *worker)
{
    struct route *route = &worker->route;
    uint64_t age = atomic_load(&worker->dp->publish.age);

    route->known = route->known && route->age == age && route->sa != NULL;
    route->age = age;
    route->resource = worker->resource;
}

static void send_batch(struct dataplane_worker *worker, uint64_t now_ms)
{
    seal_batch(worker);
    nest_send_all(worker, now_ms);
    if (worker->tap != NULL) {
        tap_publish(worker);
    }
}

void dataplane_outbound_begin(struct dataplane_worker *worker, uint64_t now_ms,
                              struct dataplane_output *out)
{
    worker_begin(worker, now_ms, out);
    worker->spd = atomic_load(&worker->dp->spd);
    worker->taken = 0;
    route_keep(worker);
}

static void take_one(struct dataplane_worker *worker, struct packet *packet)
{
    uint64_t now_ms = atomic_load_explicit(&worker->now_ms, memory_order_relaxed);

    worker->taken++;
    outbound_one(worker, worker->spd, &worker->route, packet, room_for_pieces(worker), now_ms,
                 now_ms);
}

void dataplane_outbound_packet(struct dataplane_worker *worker, struct packet *packet)
{
    tally(&worker->doors.from_tun, 1, false);
    take_one(worker, packet);
}

bool dataplane_outbound_is_full(const struct dataplane_worker *worker)
{
    return worker->taken >= BATCH_PACKETS || room_for_pieces(worker) < BATCH_PACKETS;
}

void dataplane_outbound_end(struct dataplane_worker *worker)
{
    send_batch(worker, atomic_load_explicit(&worker->now_ms, memory_order_relaxed));
}

void dataplane_outbound(struct dataplane_worker *worker, struct packet *const *packets,
                        size_t count, uint64_t now_ms, struct dataplane_output *out)
{
    assert(count <= BATCH_PACKETS);
    dataplane_outbound_begin(worker, now_ms, out);
    tally(&worker->doors.from_tun, count, false);
    for (size_t i = 0; i < count; i++) {
        worker->owed = count - i - 1;
        take_one(worker, packets[i]);
    }
    dataplane_outbound_end(worker);
}

/* ---- super-packets ---- */

/* `count` numbers at once, for packets of `bytes` in all. False where a limit is near: then each is
 * looked at by itself. */
static bool spend_block(struct dataplane_worker *worker, struct sa *sa, uint32_t count,
                        uint32_t bytes, uint64_t *first)
{
    bool shared = worker->dp->shared;
    bool soft_is_told = (atomic_load_explicit(&sa->noted, memory_order_relaxed) & SA_NOTED_SOFT);
    uint64_t out_bytes = tally_read(&sa->out_bytes) + bytes;
    uint64_t out_packets = tally_read(&sa->out_packets) + count;
    uint64_t last = atomic_load_explicit(&sa->sequence, memory_order_relaxed);

    if (last >= sa->sequence_max || sa->sequence_max - last < SEQUENCE_RESERVE ||
        out_bytes >= sa->hard_bytes || out_packets >= sa->hard_packets ||
        (!soft_is_told && (out_bytes >= sa->soft_bytes || out_packets >= sa->soft_packets ||
                           last + count >= sa->soft_packets))) {
        return false;
    }
    if (shared) {
        last = atomic_fetch_add_explicit(&sa->sequence, count, memory_order_relaxed);
    } else {
        atomic_store_explicit(&sa->sequence, last + count, memory_order_relaxed);
    }
    tally(&sa->out_bytes, bytes, shared);
    tally(&sa->out_packets, count, shared);
    *first = last + 1;
    return true;
}

/* All of its segments go the same straight road: nothing about one of them could be decided
 * otherwise than about the first. */
static bool is_uniform(const struct dataplane_worker *worker, const struct cut *cut,
                       const struct route *route)
{
    uint32_t most = cut->head_bytes + cut->super->segment_bytes;

    return route->policy != NULL && route->policy->verdict == POLICY_PROTECT && route->sa != NULL &&
           route->sa->shape.plain && worker->tap == NULL && most <= fit_inner_mtu(route->sa) &&
           most <= SMALL_BYTES - PACKET_HEADROOM_BYTES - PACKET_TAILROOM_BYTES &&
           (cut->flags & TCP_SYN) == 0;
}

/* Cuts `count` segments into packets that have buffers, numbers and a common way outside. */
static void cut_block(struct dataplane_worker *worker, struct sa *sa, uint32_t count,
                      uint64_t sequence, const struct packet *way)
{
    struct cut *cut = &worker->cut;
    uint8_t next_header = cut->ip.family == FAMILY_IPV4 ? IP_PROTOCOL_IPV4 : IP_PROTOCOL_IPV6;
    uint8_t iv[IV_BYTES_MAX];

    for (uint32_t i = 0; i < count; i++) {
        struct esp_work *work = &worker->work[worker->work_count];
        struct packet *packet = worker_take_small(worker);

        uint8_t *buffer = packet->buffer;
        *packet = *way;
        packet->buffer = buffer;
        packet->length = cut_bytes(cut);
        cut_write(cut, packet_data(packet));
        work->packet = packet;
        work->sa = sa;
        work->sequence = sequence + i;
        choose_iv(worker, sa, work->sequence, iv);
        bool written = esp_write(work, iv, next_header, &worker->jobs[worker->work_count]);
        assert(written); /* the room was looked at in is_uniform() */
        (void)written;
        worker->work_count++;
    }
}

/* As many segments as have buffers and places, in one piece. False when they are to be looked at
 * one by one. */
static bool take_block(struct dataplane_worker *worker, struct sa *sa, size_t most, uint64_t now_ms)
{
    const struct cut *cut = &worker->cut;
    uint32_t left = cut->total_bytes - cut->at;
    uint32_t step = cut->super->segment_bytes;
    size_t count = (left + step - 1) / step;
    const struct sa_path *path = atomic_load(&sa->path);
    uint64_t sequence = 0;

    count = count < most ? count : most;
    count = count < worker->free_small_count ? count : worker->free_small_count;
    uint32_t payload = (uint32_t)count * step < left ? (uint32_t)count * step : left;
    uint32_t bytes = (uint32_t)count * cut->head_bytes + payload;

    if (count == 0 || !spend_block(worker, sa, (uint32_t)count, bytes, &sequence)) {
        return false;
    }
    struct packet way = {
        .capacity = SMALL_BYTES,
        .offset = PACKET_HEADROOM_BYTES,
        .local = path->local,
        .peer = path->peer,
        .outer_protocol = path->encapsulated ? IP_PROTOCOL_UDP : IP_PROTOCOL_ESP,
        .tos = ecn_encapsulate(cut->ip.tos, sa->shape.copy_dscp),
        .dont_fragment = sa_dont_fragment(sa, cut->ip.dont_fragment),
    };
    tally(&worker->doors.from_tun, count, false);
    sends_now(worker, sa, now_ms);
    cut_block(worker, sa, (uint32_t)count, sequence, &way);
    return true;
}

/* One segment by the road of all packets. False when none is left. */
static bool take_segment(struct dataplane_worker *worker)
{
    struct packet *packet = dataplane_take_packet(worker);

    assert(packet != NULL);
    switch (cut_next(&worker->cut, packet)) {
    case CUT_PACKET:
        dataplane_outbound_packet(worker, packet);
        return true;
    case CUT_TOO_LONG:
        dataplane_count_drop(worker, DROP_MALFORMED_INNER, 1);
        break;
    case CUT_END:
        break;
    }
    dataplane_give_packet(worker, packet);
    return false;
}

bool dataplane_outbound_super(struct dataplane_worker *worker, const struct packet *super)
{
    uint64_t now_ms = atomic_load_explicit(&worker->now_ms, memory_order_relaxed);
    struct cut *cut = &worker->cut;

    if (!worker->is_cutting && !cut_begin(cut, super)) {
        dataplane_count_drop(worker, DROP_MALFORMED_INNER, 1);
        return true;
    }
    assert(cut->super == super);
    worker->is_cutting = true;
    /* More buffers than what waits for an SA can ever hold come back when the batch ends. */
    while (worker->is_cutting && !dataplane_outbound_is_full(worker) && worker->free_count > 0) {
        size_t room = room_for_pieces(worker);

        if (super->segmentation != SEGMENT_NONE) {
            route_find(worker->spd, super, &cut->ip, &worker->route);
            if (is_uniform(worker, cut, &worker->route) &&
                take_block(worker, worker->route.sa, room < BATCH_PACKETS ? room : BATCH_PACKETS,
                           now_ms)) {
                worker->is_cutting = cut_bytes(cut) > 0;
                continue;
            }
        }
        worker->is_cutting = take_segment(worker);
    }
    return !worker->is_cutting;
}

void outbound_look_again(struct dataplane_worker *worker, uint64_t now_ms)
{
    struct held held[HELD_MAX];
    size_t count = worker->held_count;
    struct route route = {.known = false, .resource = worker->resource};
    const struct spd *spd = atomic_load(&worker->dp->spd);

    memcpy(held, worker->held, count * sizeof(held[0]));
    worker->held_count = 0;
    for (size_t i = 0; i < count; i++) {
        worker->owed = count - i - 1;
        outbound_one(worker, spd, &route, held[i].packet, room_for_pieces(worker), held[i].since_ms,
                     now_ms);
    }
    seal_batch(worker);
    nest_send_all(worker, now_ms);
}
