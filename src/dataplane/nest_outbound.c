/* From the inside out: each round writes the header of one SA into a packet and computes what
 * belongs into it. */
#include <assert.h>
#include <string.h>

#include "dataplane/ecn.h"
#include "dataplane/fragment.h"
#include "dataplane/plane.h"
#include "wire/ip_place.h"

#define OUTER_TTL 64

/* --- headers --- */

/* Room for `bytes` more octets before the packet. False when there is none. */
static bool grow_front(struct packet *packet, uint32_t bytes)
{
    if (packet->offset < bytes) {
        return false;
    }
    packet->offset -= bytes;
    packet->length += bytes;
    return true;
}

uint16_t nest_next_ip_id(struct dataplane_worker *worker)
{
    worker->ip_id++;
    worker->ip_id += worker->ip_id == 0;
    return worker->ip_id;
}

static bool put_tunnel_head(struct dataplane_worker *worker, const struct nest *n, uint8_t protocol)
{
    const struct sa_path *path = atomic_load(&n->sa->path);
    struct packet *packet = n->packet;
    uint32_t payload_bytes = packet->length;
    bool ipv4 = path->peer.address.family == FAMILY_IPV4;
    uint32_t bytes = ipv4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;

    if (payload_bytes + bytes > UINT16_MAX || !grow_front(packet, bytes)) {
        return false;
    }
    struct writer w = writer_over(packet_data(packet), bytes);
    if (ipv4) {
        ipv4_write(&w, &(struct ipv4_fields){
                           .source = path->local.address,
                           .destination = path->peer.address,
                           .tos = n->tos,
                           .ttl = OUTER_TTL,
                           .protocol = protocol,
                           .id = nest_next_ip_id(worker),
                           .dont_fragment = n->dont_fragment,
                           .payload_bytes = (uint16_t)payload_bytes,
                       });
    } else {
        ipv6_write(&w, &(struct ipv6_fields){
                           .source = path->local.address,
                           .destination = path->peer.address,
                           .traffic_class = n->tos,
                           .hop_limit = OUTER_TTL,
                           .next_header = protocol,
                           .payload_bytes = (uint16_t)payload_bytes,
                       });
    }
    assert(writer_ok(&w));
    return true;
}

void nest_fix_head(uint8_t *head, size_t head_bytes, size_t next_header_offset, uint8_t protocol,
                   size_t total_bytes)
{
    head[next_header_offset] = protocol;
    if (head[0] >> 4 == 4) {
        put_u16(head + 2, (uint16_t)total_bytes);
        put_u16(head + 10, 0);
        put_u16(head + 10, checksum_finish(checksum_add(0, (struct slice){head, head_bytes})));
    } else {
        put_u16(head + 4, (uint16_t)(total_bytes - IPV6_HEAD_BYTES));
    }
}

/* --- one SA's round --- */

static uint8_t version_as_protocol(const struct packet *packet)
{
    return packet_data(packet)[0] >> 4 == 4 ? IP_PROTOCOL_IPV4 : IP_PROTOCOL_IPV6;
}

/* RFC 4303 2.7: zeros behind the packet, which its own length tells from it. */
static void pad_for_confidentiality(const struct sa *sa, struct packet *packet)
{
    uint16_t wanted = sa->more->tfc_bytes;
    uint16_t mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);

    if (wanted > mtu) {
        wanted = mtu;
    }
    if (packet->length >= wanted ||
        packet->capacity - packet->offset - PACKET_TAILROOM_BYTES < wanted) {
        return;
    }
    memset(packet_data(packet) + packet->length, 0, wanted - packet->length);
    packet->length = wanted;
}

static bool put_esp(struct dataplane_worker *worker, struct nest *n, uint8_t next_header)
{
    uint8_t iv[IV_BYTES_MAX];

    choose_iv(worker, n->sa, n->work.sequence, iv);
    n->job = worker->esp_count;
    return esp_write(&n->work, iv, next_header, &worker->esp_jobs[worker->esp_count]);
}

/* RFC 3173: what is protected is made smaller first, where that is agreed and worth while. Returns
 * the next header. */
static uint8_t compress(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                        uint8_t next_header)
{
    struct ipcomp *ipcomp = atomic_load_explicit(&worker->ipcomp, memory_order_acquire);
    size_t length = packet->length;

    if (!sa->more->compress || ipcomp == NULL) {
        return next_header;
    }
    bool smaller = ipcomp_compress(ipcomp, &sa->more->compression, packet_data(packet), &length);
    tally(&sa->more->compressed_from, packet->length, worker->dp->shared);
    tally(&sa->more->compressed_to, length, worker->dp->shared);
    if (!smaller) {
        return next_header;
    }
    ipcomp_write_head(packet_data(packet),
                      &(struct ipcomp_head){.next_header = next_header, .cpi = sa->more->cpi_out});
    packet->length = (uint32_t)length;
    return IP_PROTOCOL_IPCOMP;
}

static enum drop_reason write_esp_tunnel(struct dataplane_worker *worker, struct nest *n)
{
    uint8_t next_header = n->contents != 0 ? n->contents : version_as_protocol(n->packet);

    if (n->contents == 0) {
        next_header = compress(worker, n->sa, n->packet, next_header);
    }
    if (n->contents == 0 && next_header != IP_PROTOCOL_IPCOMP) {
        pad_for_confidentiality(n->sa, n->packet);
    }
    if (!put_esp(worker, n, next_header)) {
        return DROP_NO_BUFFER;
    }
    worker->esp_count++;
    /* Alone it leaves without an outer header: the system writes that. */
    if (n->sa->more->waits_for_outer && !put_tunnel_head(worker, n, IP_PROTOCOL_ESP)) {
        return DROP_NO_BUFFER;
    }
    return DROP_NONE;
}

/* Takes the headers off that stay before ESP or AH. */
static bool take_head(struct packet *packet, struct ip_place *place,
                      uint8_t head[NEST_HEAD_BYTES_MAX])
{
    if (!ip_protection_place(packet_slice(packet), place) || place->offset > NEST_HEAD_BYTES_MAX) {
        return false;
    }
    memcpy(head, packet_data(packet), place->offset);
    packet->offset += place->offset;
    packet->length -= place->offset;
    return true;
}

static bool put_head(struct dataplane_worker *worker, struct packet *packet,
                     const struct ip_place *place, const uint8_t *head, uint8_t protocol)
{
    if (packet->length + place->offset > UINT16_MAX || !grow_front(packet, place->offset)) {
        return false;
    }
    uint8_t *data = packet_data(packet);
    memcpy(data, head, place->offset);
    if (data[0] >> 4 == 4 && get_u16(data + 4) == 0) {
        put_u16(data + 4, nest_next_ip_id(worker));
    }
    nest_fix_head(data, place->offset, place->next_header_offset, protocol, packet->length);
    return true;
}

/* In transport mode it stays as it was installed. */
static bool is_encapsulated(const struct sa *sa)
{
    return atomic_load(&sa->path)->encapsulated;
}

/* What is no packet, such as a dummy, has no header that it came with. */
static enum drop_reason write_esp_contents(struct dataplane_worker *worker, struct nest *n)
{
    if (!put_esp(worker, n, n->contents)) {
        return DROP_NO_BUFFER;
    }
    worker->esp_count++;
    if (!is_encapsulated(n->sa) && !put_tunnel_head(worker, n, IP_PROTOCOL_ESP)) {
        return DROP_NO_BUFFER;
    }
    return DROP_NONE;
}

static enum drop_reason write_esp_transport(struct dataplane_worker *worker, struct nest *n)
{
    uint8_t head[NEST_HEAD_BYTES_MAX];
    struct ip_place place;

    if (n->contents != 0) {
        return write_esp_contents(worker, n);
    }
    if (!take_head(n->packet, &place, head)) {
        return DROP_MALFORMED_INNER;
    }
    if (!put_esp(worker, n, compress(worker, n->sa, n->packet, place.next_header))) {
        return DROP_NO_BUFFER;
    }
    worker->esp_count++;
    /* In UDP the system writes the header outside. */
    if (!is_encapsulated(n->sa) && !put_head(worker, n->packet, &place, head, IP_PROTOCOL_ESP)) {
        return DROP_NO_BUFFER;
    }
    return DROP_NONE;
}

/* AH before what is there, with an ICV of zeros. */
static bool put_ah(struct nest *n, uint8_t next_header, uint8_t outer_family)
{
    uint32_t bytes = sa_ah_bytes(&n->sa->shape, outer_family);

    if (!grow_front(n->packet, bytes)) {
        return false;
    }
    ah_write_head(packet_data(n->packet), &(struct ah_head){
                                              .next_header = next_header,
                                              .head_bytes = (uint16_t)bytes,
                                              .spi = n->sa->spi_out,
                                              .sequence = (uint32_t)n->work.sequence,
                                          });
    return true;
}

static enum drop_reason write_ah(struct dataplane_worker *worker, struct nest *n)
{
    const struct sa_path *path = atomic_load(&n->sa->path);
    struct packet *packet = n->packet;
    uint8_t head[NEST_HEAD_BYTES_MAX];
    struct ip_place place = {0};
    bool ok = false;

    if (n->sa->shape.transport) {
        if (!take_head(packet, &place, head)) {
            return DROP_MALFORMED_INNER;
        }
        n->ah_offset = place.offset;
        uint8_t contents = compress(worker, n->sa, packet, place.next_header);
        ok = put_ah(n, contents, head[0] >> 4) &&
             put_head(worker, packet, &place, head, IP_PROTOCOL_AH);
    } else {
        uint8_t next_header = compress(worker, n->sa, packet, version_as_protocol(packet));

        if (next_header != IP_PROTOCOL_IPCOMP) {
            pad_for_confidentiality(n->sa, packet);
        }
        n->ah_offset = path->peer.address.family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
        ok = put_ah(n, next_header, path->peer.address.family) &&
             put_tunnel_head(worker, n, IP_PROTOCOL_AH);
    }
    if (!ok) {
        return DROP_NO_BUFFER;
    }
    if (!ah_normalise(packet_data(packet), packet->length, n->ah_offset, &n->kept)) {
        return DROP_MALFORMED_INNER;
    }
    n->job = worker->ah_count++;
    nest_ah_job(n, packet_data(packet), n->sa->more->auth_keys[1], n->work.sequence,
                &worker->ah_jobs[n->job]);
    if (n->sa->shape.iv_bytes > 0) {
        put_u64(worker->ah_jobs[n->job].iv, n->work.sequence);
    }
    return DROP_NONE;
}

void nest_ah_job(const struct nest *n, const uint8_t *data, const struct auth_key *key,
                 uint64_t sequence, struct auth_job *job)
{
    *job = (struct auth_job){
        .key = key,
        .data = data,
        .length = n->packet->length,
        .sequence_high = (uint32_t)(sequence >> 32),
        .has_sequence_high = n->sa->shape.esn,
    };
}

static enum drop_reason write_one(struct dataplane_worker *worker, struct nest *n)
{
    n->work.packet = n->packet;
    n->work.sa = n->sa;
    enum drop_reason reason = spend_life(worker, n->sa, n->packet->length, &n->work.sequence);
    if (reason != DROP_NONE) {
        return reason;
    }
    if (n->sa->shape.protocol == IP_PROTOCOL_AH) {
        return write_ah(worker, n);
    }
    return n->sa->shape.transport ? write_esp_transport(worker, n) : write_esp_tunnel(worker, n);
}

/* --- the end of a round --- */

static bool was_computed(struct dataplane_worker *worker, struct nest *n)
{
    if (n->sa->shape.protocol != IP_PROTOCOL_AH) {
        return worker->esp_jobs[n->job].ok;
    }
    const struct auth_job *job = &worker->ah_jobs[n->job];
    uint8_t *data = packet_data(n->packet);

    ah_restore(data, &n->kept);
    nest_write_icv(&n->sa->shape, job, data + n->ah_offset + AH_FIXED_BYTES);
    return job->ok;
}

void nest_write_icv(const struct sa_shape *shape, const struct auth_job *job, uint8_t *at)
{
    /* RFC 4543 3.2: the IV of AES-GMAC stands before its tag. */
    memcpy(at, job->iv, shape->iv_bytes);
    memcpy(at + shape->iv_bytes, job->icv, shape->icv_bytes - shape->iv_bytes);
}

static void leave(struct dataplane_worker *worker, struct packet *packet, const struct nest *n,
                  bool has_outer_head)
{
    const struct sa_path *path = atomic_load(&n->sa->path);

    packet->local = path->local;
    packet->peer = path->peer;
    packet->outer_protocol = path->encapsulated ? IP_PROTOCOL_UDP : n->sa->shape.protocol;
    packet->tos = n->tos;
    packet->dont_fragment = n->dont_fragment;
    packet->has_outer_head = has_outer_head;
    if (worker->tap != NULL) {
        tap_sent(worker, n->sa, packet);
    }
    worker_to_wire(worker, packet);
}

/* Cut outside, because nobody else does: the system sends such packets as they are or not at all.
 */
static void leave_in_pieces(struct dataplane_worker *worker, const struct nest *n, uint16_t mtu)
{
    struct packet *pieces[DATAPLANE_OUTPUT_MAX];
    size_t room =
        DATAPLANE_OUTPUT_MAX - worker->out->to_wire_count - worker->work_count - worker->owed;
    struct ip_head head;
    size_t count = 0;

    if (n->dont_fragment || !ip_read(packet_slice(n->packet), &head)) {
        worker_drop_of(worker, &n->work, DROP_TOO_BIG);
        return;
    }
    if (head.family == FAMILY_IPV4) {
        count = fit_fragment(worker, n->packet, &head, mtu, pieces, room);
    } else {
        count = fragment_ipv6(worker, n->packet, mtu, pieces, room);
    }
    if (count == 0) {
        worker_drop_of(worker, &n->work, DROP_NO_BUFFER);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        leave(worker, pieces[i], n, true);
    }
}

/* The last SA is done. */
static void finish(struct dataplane_worker *worker, const struct nest *n)
{
    const struct sa_shape *shape = &n->sa->shape;
    uint16_t mtu = atomic_load_explicit(&n->sa->outer_mtu, memory_order_relaxed);
    /* The system writes that of an ESP tunnel. */
    bool has_outer_head =
        shape->protocol == IP_PROTOCOL_AH || (shape->transport && !is_encapsulated(n->sa));

    if (has_outer_head && n->packet->length > mtu) {
        leave_in_pieces(worker, n, mtu);
    } else {
        leave(worker, n->packet, n, has_outer_head);
    }
}

/* To the SA around the one that is done. */
static void go_outward(struct nest *n, struct sa *outer)
{
    n->sa = outer;
    n->contents = 0;
    if (!outer->shape.transport) {
        n->tos = ecn_encapsulate(n->tos, outer->shape.copy_dscp);
    }
}

/* What was computed leaves; true when another round follows for it. */
static bool send_on(struct dataplane_worker *worker, struct nest *n, uint64_t now_ms)
{
    struct sa *outer = sa_outer(n->sa);

    if (!was_computed(worker, n)) {
        worker_drop_of(worker, &n->work, DROP_CRYPTO_FAILED);
        return false;
    }
    sends_now(worker, n->sa, now_ms);
    if (outer != NULL) {
        go_outward(n, outer);
        return true;
    }
    if (n->sa->more->waits_for_outer) {
        /* It was taken out meanwhile. */
        worker_drop_of(worker, &n->work, DROP_NO_SA);
    } else {
        finish(worker, n);
    }
    return false;
}

/* One SA more for every packet that is there; those that are done leave. */
static void send_round(struct dataplane_worker *worker, uint64_t now_ms)
{
    size_t kept = 0;
    size_t count = worker->nest_count;
    size_t owed = worker->owed;

    worker->esp_count = 0;
    worker->ah_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct nest *n = &worker->nests[i];
        enum drop_reason reason = write_one(worker, n);

        n->waits = reason == DROP_NONE;
        if (!n->waits) {
            worker_drop_of(worker, &n->work, reason);
        }
    }
    protect_seal(worker->engine, worker->esp_jobs, worker->esp_count);
    auth_compute(worker->engine, worker->ah_jobs, worker->ah_count);
    for (size_t i = 0; i < count; i++) {
        struct nest *n = &worker->nests[i];

        worker->owed = owed + kept + count - i - 1;
        if (n->waits && send_on(worker, n, now_ms)) {
            if (&worker->nests[kept] != n) {
                worker->nests[kept] = *n;
            }
            kept++;
        }
    }
    worker->owed = owed;
    worker->nest_count = kept;
}

void nest_send_all(struct dataplane_worker *worker, uint64_t now_ms)
{
    for (size_t round = 0; worker->nest_count > 0; round++) {
        assert(round < SA_BUNDLE_MAX);
        send_round(worker, now_ms);
    }
}

/* NULL: the bundle is not whole, and the packet has left. */
static struct nest *begin(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                          uint64_t now_ms)
{
    if (sa->more->waits_for_outer && sa_outer(sa) == NULL) {
        worker_drop(worker, packet, DROP_NO_SA);
        return NULL;
    }
    if (worker->nest_count == BATCH_PACKETS) {
        worker->owed++;
        nest_send_all(worker, now_ms);
        worker->owed--;
    }
    struct nest *n = &worker->nests[worker->nest_count++];
    n->packet = packet;
    n->sa = sa;
    n->via = NULL;
    n->contents = 0;
    return n;
}

void nest_send_contents(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
                        uint8_t next_header, uint64_t now_ms)
{
    struct nest *n = begin(worker, sa, packet, now_ms);

    if (n != NULL) {
        n->contents = next_header;
        n->dont_fragment = sa_dont_fragment(sa, true);
        n->tos = 0;
    }
}

void nest_send(struct dataplane_worker *worker, struct sa *sa, struct packet *packet,
               const struct ip_head *head, bool dont_fragment, uint64_t now_ms)
{
    struct nest *n = begin(worker, sa, packet, now_ms);

    if (n == NULL) {
        return;
    }
    n->dont_fragment = dont_fragment;
    /* In transport mode there is one header, and it stays as it is. */
    n->tos = sa->shape.transport ? head->tos : ecn_encapsulate(head->tos, sa->shape.copy_dscp);
}
