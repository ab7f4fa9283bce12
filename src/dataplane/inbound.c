/* Datagrams from the wire: ESP, IKE or keepalive; and what an ESP packet must be before what is
 * inside it is believed. */
#include <assert.h>
#include <string.h>

#include "dataplane/plane.h"
#include "dataplane/ecn.h"

#define IKE_HEAD_BYTES 28
#define UNKNOWN_SPI_INTERVAL_MS 1000
/* Enough to fill the lanes of a multi-buffer cipher twice. */
#define OPEN_TOGETHER 32

static_assert(EARLY_MAX + DATAPLANE_SEGMENTS_MAX <= DATAPLANE_OUTPUT_MAX,
              "what came early and a batch are opened together");

static void to_control(struct dataplane_worker *worker, struct packet *packet)
{
    if (packet->length < IKE_HEAD_BYTES) {
        worker_drop(worker, packet, DROP_MALFORMED_OUTER);
    } else {
        worker_to_control(worker, packet);
    }
}

/* True when it is an ESP or AH packet; all else has left. */
static bool classify(struct dataplane_worker *worker, struct packet *packet)
{
    struct slice inner;

    if (packet->outer_protocol == IP_PROTOCOL_ESP || packet->outer_protocol == IP_PROTOCOL_AH) {
        return true;
    }
    if (packet->outer_protocol != IP_PROTOCOL_UDP) {
        worker_drop(worker, packet, DROP_WRONG_ENCAPSULATION);
        return false;
    }
    if (packet->local.port == worker->dp->ike_port && !packet->local.tcp) {
        /* RFC 3948 2: no ESP on this port. */
        to_control(worker, packet);
        return false;
    }
    switch (natt_classify(packet_slice(packet), &inner)) {
    case NATT_ESP:
        return true;
    case NATT_IKE:
        packet->offset += NATT_MARKER_BYTES;
        packet->length -= NATT_MARKER_BYTES;
        to_control(worker, packet);
        return false;
    case NATT_KEEPALIVE:
        worker_drop(worker, packet, DROP_KEEPALIVE);
        return false;
    case NATT_RUNT:
        break;
    }
    worker_drop(worker, packet, DROP_MALFORMED_OUTER);
    return false;
}

/* There are ESP_HEAD_BYTES of it. */
static uint32_t spi_of(const struct packet *packet)
{
    /* RFC 4302 2: behind next header, length and two octets of nothing. */
    return packet->outer_protocol == IP_PROTOCOL_AH ? get_u32(packet_data(packet) + 4)
                                                    : esp_spi(packet);
}

static bool is_of_protocol(const struct sa *sa, const struct packet *packet)
{
    return (packet->outer_protocol == IP_PROTOCOL_AH) == (sa->shape.protocol == IP_PROTOCOL_AH);
}

static void note_unknown_spi(struct dataplane_worker *worker, const struct packet *packet,
                             uint64_t now_ms)
{
    struct dataplane_note note = {
        .kind = NOTE_UNKNOWN_SPI,
        .spi_in = spi_of(packet),
        .local = packet->local,
        .peer = packet->peer,
    };

    if (worker->unknown_spi_ms != 0 &&
        now_ms - (worker->unknown_spi_ms - 1) < UNKNOWN_SPI_INTERVAL_MS) {
        return;
    }
    if (worker_note(worker, &note)) {
        worker->unknown_spi_ms = now_ms + 1;
    }
}

/* The checks that cost little, in the order of RFC 4303 3.4; the rest waits for the key. */
static void accept(struct dataplane_worker *worker, struct packet *packet, uint64_t since_ms,
                   uint64_t now_ms)
{
    struct esp_work *work = &worker->work[worker->work_count];

    if (packet->length < ESP_HEAD_BYTES) {
        worker_drop(worker, packet, DROP_MALFORMED_OUTER);
        return;
    }
    struct sa *sa = sad_find(worker->dp, spi_of(packet));
    if (sa == NULL && early_waits(worker, packet, spi_of(packet), since_ms, now_ms)) {
        return;
    }
    if (sa == NULL || !is_of_protocol(sa, packet)) {
        note_unknown_spi(worker, packet, now_ms);
        worker_drop(worker, packet, DROP_UNKNOWN_SPI);
        return;
    }
    if (!sa->shape.plain) {
        worker_own(worker, packet);
        nest_receive(worker, sa, packet, now_ms);
        return;
    }
    work->packet = packet;
    work->sa = sa;
    work->sequence = esp_sequence_low(packet);
    if ((sa->shape.esn &&
         !replay_full_sequence(&sa->replay, esp_sequence_low(packet), &work->sequence)) ||
        !replay_is_fresh(&sa->replay, work->sequence)) {
        tally(&sa->replayed, 1, worker->dp->shared);
        worker_drop(worker, packet, DROP_REPLAYED);
        return;
    }
    if (!esp_read(work, &worker->jobs[worker->work_count])) {
        worker_drop(worker, packet, DROP_MALFORMED_OUTER);
        return;
    }
    worker->work_count++;
}

/* A number for an endpoint, never 0. */
static uint64_t endpoint_hash(const struct endpoint *e)
{
    uint64_t hash = get_u64(e->address.bytes) ^ get_u64(e->address.bytes + 8) * 31;

    hash = (hash ^ (uint64_t)e->port << 32 ^ (uint64_t)e->tcp << 48 ^ e->address.family) *
           UINT64_C(0x9e3779b97f4a7c15);
    return hash | 1;
}

/* The newest authentic packet tells where the peer is now; an older one may have been kept back by
 * someone. */
static void note_moved(struct dataplane_worker *worker, struct sa *sa, const struct packet *packet)
{
    const struct sa_path *path = atomic_load(&sa->path);

    if (!path->encapsulated || endpoint_equal(&packet->peer, &path->peer)) {
        return;
    }
    uint64_t hash = endpoint_hash(&packet->peer);
    if (atomic_load_explicit(&sa->moved_to, memory_order_relaxed) == hash) {
        return;
    }
    struct dataplane_note note = {
        .kind = NOTE_PEER_MOVED,
        .spi_in = sa->spi_in,
        .policy_id = sa->policy_id,
        .local = packet->local,
        .peer = packet->peer,
    };
    if (worker_note(worker, &note)) {
        atomic_store_explicit(&sa->moved_to, hash, memory_order_relaxed);
    }
}

/* Whatever the selectors say, these never come out of a tunnel: addresses of this host itself, and
 * sources that no host has. */
static bool is_impossible(const struct dataplane *dp, const struct ip_head *head)
{
    const struct own_addresses *own = atomic_load(&dp->own);
    const struct address *ours = head->family == FAMILY_IPV4 ? &own->ipv4 : &own->ipv6;

    return address_is_loopback(&head->source) || address_is_loopback(&head->destination) ||
           address_is_multicast(&head->source) || address_is_any(&head->source) ||
           address_equal(&head->source, ours);
}

void set_tos(uint8_t *data, uint8_t family, uint8_t tos)
{
    if (family == FAMILY_IPV4) {
        ipv4_set_tos(data, tos);
    } else {
        ipv6_set_traffic_class(data, tos);
    }
}

/* Policies that stand before those of the tunnels may want this traffic in clear or not at all. */
static bool is_wanted_in_clear(const struct dataplane *dp, const struct match_key *key)
{
    if (!atomic_load_explicit(&dp->policies_are_mixed, memory_order_relaxed)) {
        return false;
    }
    const struct spd_policy *policy = spd_find(atomic_load(&dp->spd), key);
    return policy != NULL && policy->verdict != POLICY_PROTECT;
}

/* RFC 4301 6.2: an error from a router inside the far network has an address that was not agreed,
 * but it quotes a packet of ours that was. */
static bool quoted_fits(const struct sa *sa, const struct packet *packet,
                        const struct ip_head *head)
{
    struct match_key key;

    return atomic_load_explicit(&sa->binding->relays_icmp, memory_order_relaxed) &&
           match_key_quoted(packet_slice(packet), head, true, &key) && sa_fits(sa, &key);
}

/* The plain tunnel has the three that follow in its own road; the long road calls them (below). */
static ALWAYS_INLINE enum drop_reason selectors_fit(struct dataplane_worker *worker, struct sa *sa,
                                                    const struct packet *packet,
                                                    const struct ip_head *head)
{
    struct match_key key = match_key_inbound(head);

    if (is_impossible(worker->dp, head) || (!sa_fits(sa, &key) && !quoted_fits(sa, packet, head))) {
        tally(&sa->selector_mismatch, 1, worker->dp->shared);
        return DROP_SELECTOR_MISMATCH;
    }
    return is_wanted_in_clear(worker->dp, &key) ? DROP_BYPASS_POLICY : DROP_NONE;
}

/* RFC 4301 7.4: fragments without ports meet the selectors of the one that had them. */
static enum drop_reason check_fragment(struct dataplane_worker *worker, struct sa *sa,
                                       const struct packet *packet, struct ip_head *head)
{
    uint64_t now_ms = atomic_load_explicit(&worker->now_ms, memory_order_relaxed);

    if (head->fragment_offset > 0 && fragment_ports_find(worker->ports_in, packet_slice(packet),
                                                         head, now_ms) == FRAGMENT_PORTS_REFUSED) {
        return DROP_REASSEMBLY;
    }
    enum drop_reason reason = selectors_fit(worker, sa, packet, head);
    if (reason == DROP_NONE && head->fragment_offset == 0 && head->has_ports &&
        !fragment_ports_learn(worker->ports_in, packet_slice(packet), head, now_ms)) {
        return DROP_REASSEMBLY;
    }
    return reason;
}

static ALWAYS_INLINE enum drop_reason merge_ecn(struct packet *packet, const struct ip_head *head)
{
    uint8_t tos = head->tos;

    if (!ecn_decapsulate(head->tos, packet->tos, &tos)) {
        return DROP_ECN;
    }
    if (tos != head->tos) {
        set_tos(packet_data(packet), head->family, tos);
    }
    return DROP_NONE;
}

static ALWAYS_INLINE enum drop_reason inner_is_agreed(struct dataplane_worker *worker,
                                                      struct sa *sa, struct packet *packet,
                                                      uint8_t next_header, struct ip_head *head)
{
    if (!ip_read(packet_slice(packet), head)) {
        return DROP_MALFORMED_INNER;
    }
    if (next_header != (head->family == FAMILY_IPV4 ? IP_PROTOCOL_IPV4 : IP_PROTOCOL_IPV6)) {
        return DROP_BAD_NEXT_HEADER;
    }
    /* RFC 4303 2.7: what stands behind the packet is padding against traffic analysis. */
    packet->length = head->total_bytes;

    enum drop_reason reason = head->is_fragment ? check_fragment(worker, sa, packet, head)
                                                : selectors_fit(worker, sa, packet, head);
    if (reason != DROP_NONE) {
        return reason;
    }
    return merge_ecn(packet, head);
}

static ALWAYS_INLINE enum drop_reason keep_in_mind(struct dataplane_worker *worker,
                                                   const struct esp_work *work, bool authentic,
                                                   uint64_t now_ms)
{
    struct sa *sa = work->sa;
    bool newest = false;

    if (!authentic) {
        tally(&sa->forged, 1, worker->dp->shared);
        return DROP_FORGED;
    }
    if (!replay_record(&sa->replay, work->sequence, &newest)) {
        if (sa->more == NULL || !sa->more->replay_off) {
            tally(&sa->replayed, 1, worker->dp->shared);
            return DROP_REPLAYED;
        }
        /* Keys by hand, whose numbers begin again when a side does: seen before or not, it passes.
         */
        tally(&sa->more->duplicates, 1, worker->dp->shared);
    }
    atomic_store_explicit(&sa->last_in_ms, now_ms, memory_order_relaxed);
    worker_note_once(worker, sa, SA_NOTED_FIRST, NOTE_FIRST_INBOUND);
    if (newest && work->packet->outer_protocol == IP_PROTOCOL_UDP) {
        note_moved(worker, sa, work->packet);
    }
    if (tally_read(&sa->in_bytes) >= sa->hard_bytes ||
        tally_read(&sa->in_packets) >= sa->hard_packets) {
        worker_note_once(worker, sa, SA_NOTED_HARD, NOTE_HARD_LIFETIME);
        return DROP_LIFETIME_OVER;
    }
    return DROP_NONE;
}

void count_delivered(struct dataplane_worker *worker, struct sa *sa, uint32_t bytes)
{
    tally(&sa->in_bytes, bytes, worker->dp->shared);
    tally(&sa->in_packets, 1, worker->dp->shared);
    if (tally_read(&sa->in_bytes) >= sa->soft_bytes ||
        tally_read(&sa->in_packets) >= sa->soft_packets) {
        worker_note_once(worker, sa, SA_NOTED_SOFT, NOTE_SOFT_LIFETIME);
    }
}

enum drop_reason check_selectors(struct dataplane_worker *worker, struct sa *sa,
                                 const struct packet *packet, const struct ip_head *head)
{
    return selectors_fit(worker, sa, packet, head);
}

enum drop_reason check_inner(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                             uint8_t next_header, struct ip_head *head)
{
    return inner_is_agreed(worker, sa, packet, next_header, head);
}

enum drop_reason remember(struct dataplane_worker *worker, const struct esp_work *work,
                          bool authentic, uint64_t now_ms)
{
    return keep_in_mind(worker, work, authentic, now_ms);
}

#define IPV4_FIRST_BYTE 0x45 /* without options */
#define IPV4_OFFSET_ENDS 12
#define IPV4_ENDS_BYTES 12 /* with the ports behind them */
#define IPV6_OFFSET_ENDS 8
#define IPV6_ENDS_BYTES 36

/* A packet whose addresses, protocol and ports are those of the last one, and which is none of the
 * rare kinds: its header is read without being asked for more than what may differ. */
static bool is_of_last_flow(const struct agreed *agreed, const struct packet *packet,
                            struct ip_head *head)
{
    const uint8_t *at = packet_data(packet);

    *head = agreed->head;
    if (head->family == FAMILY_IPV4) {
        if (packet->length < IPV4_OFFSET_ENDS + IPV4_ENDS_BYTES || at[0] != IPV4_FIRST_BYTE ||
            at[9] != head->protocol ||
            memcmp(at + IPV4_OFFSET_ENDS, agreed->ends, IPV4_ENDS_BYTES) != 0) {
            return false;
        }
        uint16_t fragment = get_u16(at + 6);
        head->total_bytes = get_u16(at + 2);
        head->tos = at[1];
        head->ttl = at[8];
        head->id = get_u16(at + 4);
        head->dont_fragment = (fragment & 0x4000) != 0;
        return (fragment & 0x3fff) == 0 && head->total_bytes <= packet->length &&
               head->total_bytes >= IPV4_OFFSET_ENDS + IPV4_ENDS_BYTES &&
               checksum_add(0, (struct slice){at, IPV4_HEAD_BYTES}) == UINT16_MAX;
    }
    if (packet->length < IPV6_OFFSET_ENDS + IPV6_ENDS_BYTES || at[0] >> 4 != 6 ||
        at[6] != head->protocol ||
        memcmp(at + IPV6_OFFSET_ENDS, agreed->ends, IPV6_ENDS_BYTES) != 0) {
        return false;
    }
    head->total_bytes = IPV6_HEAD_BYTES + (uint32_t)get_u16(at + 4);
    head->tos = (uint8_t)(get_u16(at) >> 4);
    head->ttl = at[7];
    return head->total_bytes <= packet->length &&
           head->total_bytes >= IPV6_OFFSET_ENDS + IPV6_ENDS_BYTES;
}

static void keep_flow(struct agreed *agreed, struct sa *sa, const struct packet *packet,
                      const struct ip_head *head)
{
    const uint8_t *at = packet_data(packet);
    bool four = head->family == FAMILY_IPV4;
    bool has_both_ports = head->protocol == IP_PROTOCOL_TCP || head->protocol == IP_PROTOCOL_UDP;

    agreed->sa = NULL;
    if (!has_both_ports || !head->has_ports || head->is_fragment ||
        head->upper_offset != (four ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES)) {
        return;
    }
    agreed->sa = sa;
    agreed->head = *head;
    memcpy(agreed->ends, at + (four ? IPV4_OFFSET_ENDS : IPV6_OFFSET_ENDS),
           four ? IPV4_ENDS_BYTES : IPV6_ENDS_BYTES);
}

/* A neighbour will be joined with the one before it, if its checksum is right: the sum is taken
 * while the octets that were opened just now are still in the nearest cache. */
static void sum_up(const struct dataplane_worker *worker, struct packet *packet)
{
    packet->has_upper_sum = worker->joins && packet->upper_offset != 0;
    if (packet->has_upper_sum) {
        struct slice upper = {packet_data(packet) + packet->upper_offset,
                              packet->length - packet->upper_offset};

        packet->upper_sum = (uint16_t)checksum_add(0, upper);
    }
}

/* What inner_is_agreed() says, of neighbours mostly without asking it. */
static enum drop_reason neighbour_is_agreed(struct dataplane_worker *worker, struct sa *sa,
                                            struct packet *packet, uint8_t next_header,
                                            struct ip_head *head, bool *is_neighbour)
{
    struct agreed *agreed = &worker->agreed;

    *is_neighbour = false;
    if (agreed->sa != sa || !is_of_last_flow(agreed, packet, head) ||
        next_header != (head->family == FAMILY_IPV4 ? IP_PROTOCOL_IPV4 : IP_PROTOCOL_IPV6)) {
        enum drop_reason reason = inner_is_agreed(worker, sa, packet, next_header, head);

        /* Who comes alone has no neighbour. */
        if (reason == DROP_NONE && worker->work_count > 1) {
            keep_flow(agreed, sa, packet, head);
        }
        return reason;
    }
    packet->length = head->total_bytes;
    *is_neighbour = true;
    return merge_ecn(packet, head);
}

static void deliver(struct dataplane_worker *worker, const struct esp_work *work, bool authentic,
                    uint64_t now_ms)
{
    struct packet *packet = work->packet;
    struct ip_head head;
    uint8_t next_header = 0;
    bool is_neighbour = false;

    enum drop_reason reason = keep_in_mind(worker, work, authentic, now_ms);
    if (reason == DROP_NONE) {
        reason = esp_strip(work->sa, packet, &next_header);
    }
    if (reason == DROP_NONE) {
        reason = neighbour_is_agreed(worker, work->sa, packet, next_header, &head, &is_neighbour);
    }
    if (reason != DROP_NONE) {
        worker_drop_of(worker, work, reason);
        return;
    }
    packet->upper_offset = head.is_fragment ? 0 : head.upper_offset;
    if (worker->tap != NULL) {
        tap_inner(worker, work->sa, packet);
    }
    count_delivered(worker, work->sa, packet->length);
    fit_clamp_mss(work->sa, packet, &head);
    if (is_neighbour) {
        sum_up(worker, packet);
    }
    worker_to_tun(worker, packet);
}

/* In parts that the nearest cache holds; with helpers all at once. */
static void open_and_deliver(struct dataplane_worker *worker, uint64_t now_ms)
{
    bool opened = worker->helpers != NULL && worker->work_count > OPEN_TOGETHER &&
                  crew_pays(&worker->pace, worker->work_count);

    if (opened) {
        crew_open(&worker->dp->crew, &worker->pace, worker->helpers, worker->engine, worker->jobs,
                  worker->work_count);
    }
    for (size_t from = 0; from < worker->work_count; from += OPEN_TOGETHER) {
        size_t left = worker->work_count - from;
        size_t end = from + (left < OPEN_TOGETHER ? left : OPEN_TOGETHER);

        if (!opened) {
            protect_open(worker->engine, &worker->jobs[from], end - from);
        }
        for (size_t i = from; i < end; i++) {
            deliver(worker, &worker->work[i], worker->jobs[i].ok, now_ms);
        }
    }
}

/* What came before its SA; `more` other packets of the batch come behind it. */
static void accept_early(struct dataplane_worker *worker, size_t more, uint64_t now_ms)
{
    struct early early[EARLY_MAX];
    size_t count = early_take(worker, early);

    for (size_t i = 0; i < count; i++) {
        worker->owed = count - i - 1 + more + worker->work_count;
        accept(worker, early[i].packet, early[i].since_ms, now_ms);
    }
    worker->owed = 0;
}

void inbound_look_again(struct dataplane_worker *worker, uint64_t now_ms)
{
    worker->agreed.sa = NULL;
    accept_early(worker, 0, now_ms);
    open_and_deliver(worker, now_ms);
    nest_receive_all(worker, now_ms);
}

void dataplane_inbound(struct dataplane_worker *worker, struct packet *const *packets, size_t count,
                       uint64_t now_ms, struct dataplane_output *out)
{
    assert(count <= DATAPLANE_SEGMENTS_MAX);
    worker_begin(worker, now_ms, out);
    worker->inbound = true;
    worker->agreed.sa = NULL;
    if (worker->tap != NULL) {
        tap_received(worker, packets, count);
    }
    tally(&worker->doors.from_wire, count, false);
    if (worker->early_count > 0) {
        accept_early(worker, count, now_ms);
    }
    for (size_t i = 0; i < count; i++) {
        /* When those of the long road fill a round, all others still find a place in the output. */
        worker->owed = count - i - 1 + worker->work_count;
        if (classify(worker, packets[i])) {
            accept(worker, packets[i], now_ms, now_ms);
        }
    }
    worker->owed = 0;
    open_and_deliver(worker, now_ms);
    nest_receive_all(worker, now_ms);
    if (worker->tap != NULL) {
        tap_publish(worker);
    }
}
