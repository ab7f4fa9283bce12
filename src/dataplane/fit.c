/* What is done with clear packets that a tunnel cannot carry whole: MSS, fragments, and words to
 * the sender. */
#include <assert.h>
#include <string.h>

#include "dataplane/fragment.h"
#include "dataplane/plane.h"
#include "wire/icmp.h"
#include "wire/icmpv6.h"
#include "wire/tcp.h"

#define MSS_LEAST 216 /* of a link of 256; below this a clamp would do more harm than good */
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_OPTION_COPIED 0x80
#define IPV4_OPTION_END 0
#define IPV4_OPTION_NOP 1
#define IPV4_HEAD_BYTES_MAX 60

uint16_t fit_inner_mtu(const struct sa *sa)
{
    uint16_t mtu = atomic_load_explicit(&sa->inner_mtu, memory_order_relaxed);
    uint16_t asked = atomic_load_explicit(&sa->binding->inner_mtu, memory_order_relaxed);

    return asked != 0 && asked < mtu ? asked : mtu;
}

void fit_clamp_mss(const struct sa *sa, struct packet *packet, const struct ip_head *head)
{
    uint16_t clamp = atomic_load_explicit(&sa->binding->mss_clamp, memory_order_relaxed);
    uint16_t heads =
        TCP_HEAD_BYTES + (head->family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES);

    if (clamp == 1 || head->protocol != IP_PROTOCOL_TCP || head->fragment_offset > 0) {
        return;
    }
    uint16_t mtu = fit_inner_mtu(sa);
    uint16_t most = mtu < heads + MSS_LEAST ? MSS_LEAST : (uint16_t)(mtu - heads);
    if (clamp != 0 && clamp < most) {
        most = clamp;
    }
    uint8_t *segment = packet_data(packet) + head->upper_offset;
    (void)tcp_clamp_mss(segment, packet->length - head->upper_offset, most, false);
}

/* RFC 1812 4.3.2.8: a bucket of errors that refills slowly. */
static bool icmp_is_allowed(struct dataplane_worker *worker, uint64_t now_ms)
{
    uint64_t credit = now_ms > worker->icmp_ms ? (now_ms - worker->icmp_ms) / ICMP_INTERVAL_MS : 0;

    if (credit > 0) {
        credit += worker->icmp_credit;
        worker->icmp_credit = credit > ICMP_BURST ? ICMP_BURST : (uint32_t)credit;
        worker->icmp_ms = now_ms;
    }
    if (worker->icmp_credit == 0) {
        return false;
    }
    worker->icmp_credit--;
    return true;
}

void fit_tell_too_big(struct dataplane_worker *worker, const struct packet *packet,
                      const struct ip_head *head, uint16_t mtu, uint64_t now_ms)
{
    bool ipv4 = head->family == FAMILY_IPV4;
    const struct own_addresses *own = atomic_load(&worker->dp->own);
    struct address source = ipv4 ? own->ipv4 : own->ipv6;

    if (address_is_unset(&source)) {
        /* The address that was not reached: the sender has a route to it, and it lies behind the
         * device that the error comes from, so no filter against spoofing stops it. */
        source = head->destination;
    }
    if (address_is_multicast(&source)) {
        return;
    }
    struct packet *error = icmp_is_allowed(worker, now_ms) ? dataplane_take_packet(worker) : NULL;
    if (error == NULL) {
        return;
    }
    struct writer w = writer_over(packet_data(error), error->capacity - error->offset);
    bool told = ipv4 ? icmp_build_fragmentation_needed(&w, &source, mtu, packet_slice(packet))
                     : icmpv6_build_packet_too_big(&w, &source, mtu, packet_slice(packet));
    if (!told || !writer_ok(&w)) {
        dataplane_give_packet(worker, error);
        return;
    }
    error->length = (uint32_t)w.length;
    tally(&worker->doors.made, 1, false);
    worker_to_tun(worker, error);
}

/* --- fragments --- */

/* RFC 791 3.1: the options that go into every fragment. Returns the header's length. */
static size_t fragment_head(const uint8_t *original, size_t original_bytes,
                            uint8_t out[IPV4_HEAD_BYTES_MAX])
{
    size_t length = IPV4_HEAD_BYTES;

    memcpy(out, original, IPV4_HEAD_BYTES);
    for (size_t at = IPV4_HEAD_BYTES; at < original_bytes;) {
        uint8_t kind = original[at];
        size_t option_bytes = 1;

        if (kind == IPV4_OPTION_END) {
            break;
        }
        if (kind != IPV4_OPTION_NOP) {
            option_bytes = at + 1 < original_bytes ? original[at + 1] : 0;
            if (option_bytes < 2 || option_bytes > original_bytes - at) {
                break; /* a damaged list ends here */
            }
        }
        if ((kind & IPV4_OPTION_COPIED) != 0) {
            memcpy(out + length, original + at, option_bytes);
            length += option_bytes;
        }
        at += option_bytes;
    }
    while (length % 4 != 0) {
        out[length++] = IPV4_OPTION_END;
    }
    out[0] = (uint8_t)(0x40 | length / 4);
    return length;
}

static void fragment_finish(uint8_t *head, size_t head_bytes, size_t payload_bytes,
                            uint32_t offset_bytes, bool more)
{
    put_u16(head + 2, (uint16_t)(head_bytes + payload_bytes));
    put_u16(head + 6, (uint16_t)(offset_bytes / 8 | (more ? IPV4_MORE_FRAGMENTS : 0)));
    put_u16(head + 10, 0);
    put_u16(head + 10, checksum_finish(checksum_add(0, (struct slice){head, head_bytes})));
}

size_t fit_fragment(struct dataplane_worker *worker, struct packet *packet,
                    const struct ip_head *head, uint16_t mtu, struct packet **pieces,
                    size_t capacity)
{
    uint8_t *whole = packet_data(packet);
    size_t first_head = head->upper_offset;
    uint8_t next_head[IPV4_HEAD_BYTES_MAX];
    size_t next_head_bytes = fragment_head(whole, first_head, next_head);
    size_t payload = packet->length - first_head;

    assert(head->family == FAMILY_IPV4 && !head->dont_fragment);
    if (mtu < first_head + 8 || capacity == 0) {
        return 0;
    }
    size_t first_part = (mtu - first_head) / 8 * 8;
    size_t next_part = (mtu - next_head_bytes) / 8 * 8;
    size_t count = 1;

    pieces[0] = packet;
    for (size_t at = first_part; at < payload; at += next_part) {
        struct packet *piece = count < capacity ? fragment_take(worker, packet) : NULL;
        size_t part = payload - at < next_part ? payload - at : next_part;

        if (piece == NULL) {
            while (count > 1) {
                dataplane_give_packet(worker, pieces[--count]);
            }
            return 0;
        }
        uint8_t *to = packet_data(piece);
        memcpy(to, next_head, next_head_bytes);
        memcpy(to + next_head_bytes, whole + first_head + at, part);
        bool more = at + part < payload || head->more_fragments;
        fragment_finish(to, next_head_bytes, part, head->fragment_offset + (uint32_t)at, more);
        piece->length = (uint32_t)(next_head_bytes + part);
        pieces[count++] = piece;
    }
    fragment_finish(whole, first_head, first_part, head->fragment_offset, true);
    packet->length = (uint32_t)(first_head + first_part);
    tally(&worker->doors.made, count - 1, false);
    return count;
}
