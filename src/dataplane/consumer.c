/*
 * What parts of this program send and get by SA and not by address: behind one NAT several peers
 * have one address, and mostly one port inside as well (L2TP, RFC 3193), so that nothing but the
 * SA tells them apart. What comes in stands in to_consumer with the number of its SA; this is the
 * way back.
 */
#include "dataplane/plane.h"
#include "wire/udp.h"

#define CONSUMER_TTL 64
#define UDP_CHECKSUM_AT 6

/* A header as it stands outside too: this is transport mode. */
static bool put_head(struct dataplane_worker *worker, const struct sa_path *path,
                     struct packet *packet, uint8_t protocol)
{
    bool ipv4 = path->peer.address.family == FAMILY_IPV4;
    uint32_t bytes = ipv4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
    uint32_t payload_bytes = packet->length;

    if (packet->offset < bytes || payload_bytes + bytes > UINT16_MAX) {
        return false;
    }
    packet->offset -= bytes;
    packet->length += bytes;
    struct writer w = writer_over(packet_data(packet), bytes);

    if (ipv4) {
        ipv4_write(&w, &(struct ipv4_fields){
                           .source = path->local.address,
                           .destination = path->peer.address,
                           .ttl = CONSUMER_TTL,
                           .protocol = protocol,
                           .id = nest_next_ip_id(worker),
                           .payload_bytes = (uint16_t)payload_bytes,
                       });
    } else {
        ipv6_write(&w, &(struct ipv6_fields){
                           .source = path->local.address,
                           .destination = path->peer.address,
                           .hop_limit = CONSUMER_TTL,
                           .next_header = protocol,
                           .payload_bytes = (uint16_t)payload_bytes,
                       });
    }
    return writer_ok(&w);
}

/* RFC 768, RFC 8200 8.1: only here the addresses are known. */
static void put_udp_checksum(const struct sa_path *path, struct packet *packet)
{
    put_u16(packet_data(packet) + UDP_CHECKSUM_AT,
            udp_checksum(&path->local.address, &path->peer.address, packet_slice(packet)));
}

static enum drop_reason check(struct dataplane_worker *worker, const struct sa *sa,
                              struct packet *packet, uint8_t protocol, struct ip_head *head)
{
    const struct sa_path *path;
    struct match_key key;

    if (sa == NULL || sa->more == NULL || !sa->more->to_consumer) {
        return DROP_NO_SA;
    }
    path = atomic_load(&sa->path);
    if (protocol == IP_PROTOCOL_UDP && packet->length >= UDP_HEAD_BYTES) {
        put_udp_checksum(path, packet);
    }
    if (!put_head(worker, path, packet, protocol) || !ip_read(packet_slice(packet), head)) {
        return DROP_MALFORMED_INNER;
    }
    key = match_key_outbound(head);
    return sa_fits(sa, &key) ? DROP_NONE : DROP_SELECTOR_MISMATCH;
}

void dataplane_outbound_by_sa(struct dataplane_worker *worker, struct packet *packet,
                              uint32_t spi_in, uint8_t protocol)
{
    uint64_t now_ms = atomic_load_explicit(&worker->now_ms, memory_order_relaxed);
    struct sa *sa = sad_find(worker->dp, spi_in);
    struct ip_head head;
    enum drop_reason reason = check(worker, sa, packet, protocol, &head);

    tally(&worker->doors.made, 1, false);
    worker->taken++;
    if (reason != DROP_NONE) {
        worker_drop(worker, packet, reason);
        return;
    }
    if (worker->tap != NULL) {
        tap_inner(worker, sa, packet);
    }
    nest_send(worker, sa, packet, &head, false, now_ms);
}
