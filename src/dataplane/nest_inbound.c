/* From the outside in: each round opens one SA of a packet. Nothing is remembered about a packet
 * before it proved authentic, and what is around an SA must be what was agreed. */
#include <assert.h>
#include <string.h>

#include "base/secret.h"
#include "dataplane/ecn.h"
#include "dataplane/plane.h"
#include "wire/ip_place.h"
#include "wire/transport_checksum.h"

#define SYNTHETIC_TTL 64

/* --- before the key is used --- */

/* RFC 4303 3.4.3, RFC 4302 3.4.3. */
static enum drop_reason find_sequence(struct dataplane_worker *worker, struct nest *n, uint32_t low)
{
    struct sa *sa = n->sa;

    n->work.sequence = low;
    if (sa->shape.esn && !replay_full_sequence(&sa->replay, low, &n->work.sequence)) {
        tally(&sa->replayed, 1, worker->dp->shared);
        return DROP_REPLAYED;
    }
    if (!sa->more->replay_off && !replay_is_fresh(&sa->replay, n->work.sequence)) {
        tally(&sa->replayed, 1, worker->dp->shared);
        return DROP_REPLAYED;
    }
    return DROP_NONE;
}

static enum drop_reason read_esp(struct dataplane_worker *worker, struct nest *n)
{
    enum drop_reason reason = find_sequence(worker, n, esp_sequence_low(n->packet));

    if (reason != DROP_NONE) {
        return reason;
    }
    n->job = worker->esp_count;
    if (!esp_read(&n->work, &worker->esp_jobs[n->job])) {
        return DROP_MALFORMED_OUTER;
    }
    worker->esp_count++;
    return DROP_NONE;
}

static enum drop_reason read_ah(struct dataplane_worker *worker, struct nest *n)
{
    struct packet *packet = n->packet;
    const struct sa_shape *shape = &n->sa->shape;
    uint8_t family = packet->peer.address.family;
    struct ah_head ah;

    if (packet->outer_head_bytes == 0 || !ah_read(packet_slice(packet), family, &ah) ||
        !sa_takes_ah_bytes(shape, family, ah.head_bytes)) {
        return DROP_MALFORMED_OUTER;
    }
    enum drop_reason reason = find_sequence(worker, n, ah.sequence);
    if (reason != DROP_NONE) {
        return reason;
    }
    n->ah_bytes = ah.head_bytes;
    uint8_t *icv = packet_data(packet) + AH_FIXED_BYTES;
    memcpy(n->icv, icv, shape->icv_bytes);
    /* RFC 4302 3.3.3.2.1: padding behind the ICV is covered as it stands. */
    memset(icv, 0, shape->icv_bytes);
    n->ah_offset = packet->outer_head_bytes;
    packet->offset -= n->ah_offset;
    packet->length += n->ah_offset;
    if (!ah_normalise(packet_data(packet), packet->length, n->ah_offset, &n->kept)) {
        return DROP_MALFORMED_OUTER;
    }
    n->job = worker->ah_count++;
    nest_ah_job(n, packet_data(packet), n->sa->more->auth_keys[0], n->work.sequence,
                &worker->ah_jobs[n->job]);
    memcpy(worker->ah_jobs[n->job].iv, n->icv, shape->iv_bytes);
    return DROP_NONE;
}

/* What arrived must have come through just what goes around its SA (RFC 4301 5.2). */
static bool came_as_agreed(const struct nest *n)
{
    const struct sa *outer = sa_outer(n->sa);

    return n->via == outer && (outer != NULL || !n->sa->more->waits_for_outer);
}

static enum drop_reason read_one(struct dataplane_worker *worker, struct nest *n)
{
    n->work.packet = n->packet;
    n->work.sa = n->sa;
    n->work.sequence = 0;
    if (!came_as_agreed(n)) {
        return DROP_NOT_BUNDLED;
    }
    if (n->packet->outer_head_bytes > n->packet->offset) {
        return DROP_MALFORMED_OUTER;
    }
    return n->sa->shape.protocol == IP_PROTOCOL_AH ? read_ah(worker, n) : read_esp(worker, n);
}

/* --- after it was opened --- */

static bool was_opened(struct dataplane_worker *worker, struct nest *n)
{
    if (n->sa->shape.protocol != IP_PROTOCOL_AH) {
        return worker->esp_jobs[n->job].ok;
    }
    const struct auth_job *job = &worker->ah_jobs[n->job];
    uint8_t computed[AH_ICV_BYTES_MAX];
    struct packet *packet = n->packet;

    ah_restore(packet_data(packet), &n->kept);
    packet->offset += n->ah_offset;
    packet->length -= n->ah_offset;
    nest_write_icv(&n->sa->shape, job, computed);
    return job->ok && equal_in_constant_time(computed, n->icv, n->sa->shape.icv_bytes);
}

/* Takes off what the SA put around; the outer header stands where it stood. */
static enum drop_reason strip(struct nest *n, uint8_t *next_header)
{
    struct packet *packet = n->packet;

    if (n->sa->shape.protocol == IP_PROTOCOL_AH) {
        *next_header = packet_data(packet)[0];
        packet->offset += n->ah_bytes;
        packet->length -= n->ah_bytes;
    } else if (!esp_take_off(n->sa, packet, next_header)) {
        return DROP_BAD_PADDING;
    }
    return *next_header == IP_PROTOCOL_NONE ? DROP_DUMMY : DROP_NONE;
}

/* RFC 3173: what was compressed inside becomes what it was. */
static enum drop_reason decompress(struct dataplane_worker *worker, struct nest *n,
                                   uint8_t *next_header)
{
    struct packet *packet = n->packet;
    struct ipcomp *ipcomp = atomic_load_explicit(&worker->ipcomp, memory_order_acquire);
    struct ipcomp_head head;
    size_t length = packet->length;

    if (ipcomp == NULL || n->sa->more->cpi_in == 0 ||
        !ipcomp_read_head(packet_slice(packet), &head) || head.cpi != n->sa->more->cpi_in ||
        !ipcomp_decompress(ipcomp, packet_data(packet), &length,
                           packet->capacity - packet->offset)) {
        return DROP_COMPRESSION;
    }
    packet->length = (uint32_t)length;
    *next_header = head.next_header;
    return DROP_NONE;
}

/* The octet of an IP header, with its extension headers, that says what follows them. */
static size_t last_next_header(const uint8_t *head, size_t bytes)
{
    size_t field = 6;

    if (head[0] >> 4 == 4) {
        return 9;
    }
    for (size_t at = IPV6_HEAD_BYTES; at + 8 <= bytes;) {
        field = at;
        at += ((size_t)head[at + 1] + 1) * 8;
    }
    return field;
}

/* The header that the system did not hand over, for what came in UDP. */
static bool synthesise_head(struct packet *packet, uint8_t protocol)
{
    bool ipv4 = packet->peer.address.family == FAMILY_IPV4;
    uint32_t bytes = ipv4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;

    if (packet->offset < bytes || packet->length + bytes > UINT16_MAX) {
        return false;
    }
    struct writer w = writer_over(packet_data(packet) - bytes, bytes);
    if (ipv4) {
        ipv4_write(&w, &(struct ipv4_fields){
                           .source = packet->peer.address,
                           .destination = packet->local.address,
                           .tos = packet->tos,
                           .ttl = SYNTHETIC_TTL,
                           .protocol = protocol,
                           .dont_fragment = true,
                           .payload_bytes = (uint16_t)packet->length,
                       });
    } else {
        ipv6_write(&w, &(struct ipv6_fields){
                           .source = packet->peer.address,
                           .destination = packet->local.address,
                           .traffic_class = packet->tos,
                           .hop_limit = SYNTHETIC_TTL,
                           .next_header = protocol,
                           .payload_bytes = (uint16_t)packet->length,
                       });
    }
    packet->outer_head_bytes = (uint16_t)bytes;
    return writer_ok(&w);
}

/* The header, which stands `distance` octets further to the front, comes right before what is left.
 */
static bool bring_head(struct packet *packet, uint32_t distance, uint8_t protocol)
{
    uint32_t bytes = packet->outer_head_bytes;

    if (bytes == 0) {
        return synthesise_head(packet, protocol);
    }
    if (bytes + packet->length > UINT16_MAX) {
        return false;
    }
    uint8_t *to = packet_data(packet) - bytes;
    memmove(to, to - distance, bytes);
    nest_fix_head(to, bytes, last_next_header(to, bytes), protocol, bytes + packet->length);
    return true;
}

/* Inside a tunnel there is a packet to ourselves, of the next SA inward. */
static enum drop_reason enter_tunnel(const struct nest *n, const struct sa *inner)
{
    struct packet *packet = n->packet;
    const struct sa_path *path = atomic_load(&inner->path);
    struct ip_place place;
    struct ip_head head;
    uint8_t tos = 0;

    if (!ip_read(packet_slice(packet), &head) ||
        !ip_protection_place((struct slice){packet_data(packet), head.total_bytes}, &place)) {
        return DROP_MALFORMED_INNER;
    }
    if (!address_equal(&head.destination, &path->local.address) ||
        !address_equal(&head.source, &path->peer.address)) {
        return DROP_SELECTOR_MISMATCH;
    }
    /* RFC 6040 4.2: each tunnel hands on the congestion that it met. */
    if (!ecn_decapsulate(head.tos, packet->tos, &tos)) {
        return DROP_ECN;
    }
    if (tos != head.tos) {
        set_tos(packet_data(packet), head.family, tos);
    }
    packet->length = head.total_bytes - place.offset;
    packet->offset += place.offset;
    packet->outer_head_bytes = place.offset;
    packet->local.address = head.destination;
    packet->peer.address = head.source;
    packet->tos = tos;
    packet->outer_protocol = place.next_header;
    return DROP_NONE;
}

/* To the SA inside. */
static enum drop_reason go_inward(struct nest *n, uint32_t distance, uint8_t next_header)
{
    struct sa *inner = sa_inner(n->sa);
    struct packet *packet = n->packet;
    enum drop_reason reason = DROP_NONE;

    if (inner == NULL) {
        /* It was taken out; what goes around it carries nothing by itself. */
        return DROP_NOT_BUNDLED;
    }
    if (n->sa->shape.transport) {
        if (!bring_head(packet, distance, next_header)) {
            return DROP_MALFORMED_INNER;
        }
        packet->outer_protocol = next_header;
    } else {
        if (next_header != IP_PROTOCOL_IPV4 && next_header != IP_PROTOCOL_IPV6) {
            return DROP_BAD_NEXT_HEADER;
        }
        reason = enter_tunnel(n, inner);
    }
    if (reason != DROP_NONE) {
        return reason;
    }
    size_t spi_at = inner->shape.protocol == IP_PROTOCOL_AH ? 4 : 0;
    if (packet->outer_protocol != inner->shape.protocol || packet->length < ESP_HEAD_BYTES ||
        get_u32(packet_data(packet) + spi_at) != inner->spi_in) {
        return DROP_NOT_BUNDLED;
    }
    n->via = n->sa;
    n->sa = inner;
    return DROP_NONE;
}

/* RFC 3948 3.1.2: behind a NAT the checksum inside was made with other addresses. */
static bool fix_checksum(const struct sa *sa, struct packet *packet, const struct ip_head *head)
{
    const struct address *source = &sa->more->original_peer;
    const struct address *destination = &sa->more->original_local;
    struct ip_ends now = {head->source, head->destination};

    if (address_is_unset(source) && address_is_unset(destination)) {
        return true;
    }
    struct ip_ends made_with = {address_is_unset(source) ? now.source : *source,
                                address_is_unset(destination) ? now.destination : *destination};
    return transport_checksum_fix(packet_data(packet), packet->length, &made_with, &now);
}

static enum drop_reason check_transport(struct dataplane_worker *worker, struct nest *n,
                                        uint32_t distance, uint8_t next_header,
                                        struct ip_head *head)
{
    struct packet *packet = n->packet;

    if (!bring_head(packet, distance, next_header)) {
        return DROP_MALFORMED_INNER;
    }
    packet->offset -= packet->outer_head_bytes;
    packet->length += packet->outer_head_bytes;
    if (!ip_read(packet_slice(packet), head)) {
        return DROP_MALFORMED_INNER;
    }
    if (head->is_fragment) {
        /* RFC 4303 3.3.4, RFC 4302 3.3.4: whole datagrams alone are protected in this mode. */
        return DROP_REASSEMBLY;
    }
    enum drop_reason reason = check_selectors(worker, n->sa, packet, head);
    if (reason == DROP_NONE && !fix_checksum(n->sa, packet, head)) {
        return DROP_MALFORMED_INNER;
    }
    return reason;
}

static void arrive(struct dataplane_worker *worker, struct nest *n, struct ip_head *head)
{
    struct packet *packet = n->packet;

    if (worker->tap != NULL) {
        tap_inner(worker, n->sa, packet);
    }
    count_delivered(worker, n->sa, packet->length);
    if (n->sa->more->to_consumer) {
        packet->spi = n->sa->spi_in;
        packet->outer_head_bytes = head->upper_offset;
        packet->offset += head->upper_offset;
        packet->length -= head->upper_offset;
        worker_to_consumer(worker, packet);
        return;
    }
    fit_clamp_mss(n->sa, packet, head);
    worker_to_tun(worker, packet);
}

/* True when another round follows for it; else it has left. */
static bool go_on(struct dataplane_worker *worker, struct nest *n, bool authentic, uint64_t now_ms)
{
    struct packet *packet = n->packet;
    struct sa *sa = n->sa;
    uint32_t before = packet->offset;
    uint8_t next_header = 0;
    struct ip_head head;

    enum drop_reason reason = remember(worker, &n->work, authentic, now_ms);
    if (reason == DROP_NONE) {
        reason = strip(n, &next_header);
    }
    if (reason == DROP_NONE && next_header == IP_PROTOCOL_IPCOMP) {
        reason = decompress(worker, n, &next_header);
    }
    if (reason == DROP_NONE && next_header == IP_PROTOCOL_AGGFRAG && sa->more->aggfrag != NULL) {
        pacing_receive(worker, &n->work, now_ms * 1000);
        return false;
    }
    if (reason == DROP_NONE && sa->more->goes_around) {
        uint32_t bytes = packet->length;

        reason = go_inward(n, packet->offset - before, next_header);
        if (reason == DROP_NONE) {
            count_delivered(worker, sa, bytes);
            return true;
        }
    } else if (reason == DROP_NONE) {
        reason = sa->shape.transport
                     ? check_transport(worker, n, packet->offset - before, next_header, &head)
                     : check_inner(worker, sa, packet, next_header, &head);
        if (reason == DROP_NONE) {
            arrive(worker, n, &head);
            return false;
        }
    }
    worker_drop_of(worker, &n->work, reason);
    return false;
}

static void receive_round(struct dataplane_worker *worker, uint64_t now_ms)
{
    size_t count = worker->nest_count;
    size_t kept = 0;
    size_t owed = worker->owed;

    worker->esp_count = 0;
    worker->ah_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct nest *n = &worker->nests[i];
        enum drop_reason reason = read_one(worker, n);

        n->waits = reason == DROP_NONE;
        if (!n->waits) {
            worker_drop_of(worker, &n->work, reason);
        }
    }
    protect_open(worker->engine, worker->esp_jobs, worker->esp_count);
    auth_compute(worker->engine, worker->ah_jobs, worker->ah_count);
    for (size_t i = 0; i < count; i++) {
        struct nest *n = &worker->nests[i];

        worker->owed = owed + kept + count - i - 1;
        if (n->waits && go_on(worker, n, was_opened(worker, n), now_ms)) {
            if (&worker->nests[kept] != n) {
                worker->nests[kept] = *n;
            }
            kept++;
        }
    }
    worker->owed = owed;
    worker->nest_count = kept;
}

void nest_receive_all(struct dataplane_worker *worker, uint64_t now_ms)
{
    for (size_t round = 0; worker->nest_count > 0; round++) {
        assert(round < SA_BUNDLE_MAX);
        receive_round(worker, now_ms);
    }
}

void nest_receive(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                  uint64_t now_ms)
{
    if (worker->nest_count == BATCH_PACKETS) {
        nest_receive_all(worker, now_ms);
    }
    struct nest *n = &worker->nests[worker->nest_count++];

    n->packet = packet;
    n->sa = sa;
    n->via = NULL;
}
