/* Decides how an IPv6 packet is cut by who sends it. */
#include "dataplane/fragment.h"

#include <assert.h>
#include <string.h>

#include "wire/ipv6_fragment.h"

#define IPV6_OFFSET_PAYLOAD 4
#define UPPER_BYTES_LEAST 8 /* of the upper layer that the first piece has */

struct packet *fragment_take(struct dataplane_worker *worker, const struct packet *packet)
{
    struct packet *piece = dataplane_take_packet(worker);

    if (piece != NULL) {
        struct packet bare = *piece;

        *piece = *packet;
        piece->buffer = bare.buffer;
        piece->capacity = bare.capacity;
        piece->offset = bare.offset;
        piece->length = 0;
    }
    return piece;
}

/* Everything before the fragmentable part is in front of `to` already. */
static void finish(uint8_t *to, const struct ipv6_fragment *place, uint32_t offset, size_t part,
                   bool more, uint32_t id)
{
    struct ipv6_fragment head = {
        .next_header = place->next_header,
        .offset_bytes = (uint16_t)offset,
        .more = more,
        .id = id,
    };
    to[place->next_header_at] = IP_PROTOCOL_FRAGMENT;
    put_u16(to + IPV6_OFFSET_PAYLOAD,
            (uint16_t)(place->at + IPV6_FRAGMENT_HEAD_BYTES + part - IPV6_HEAD_BYTES));
    ipv6_fragment_write(to + place->at, &head);
}

/* RFC 8200 4.5: all headers go into the first piece, which may lose up to seven octets so that its
 * part is a multiple of eight. */
static bool can_be_cut(const struct packet *packet, const struct ip_head *head, uint16_t mtu,
                       struct ipv6_fragment *place)
{
    return !head->is_fragment && ipv6_find_fragmentable(packet_slice(packet), place) &&
           head->upper_offset + IPV6_FRAGMENT_HEAD_BYTES + UPPER_BYTES_LEAST + 7u <= mtu;
}

size_t fragment_ipv6(struct dataplane_worker *worker, struct packet *packet,
                     const struct ip_head *head, uint16_t mtu, struct packet **pieces,
                     size_t capacity)
{
    struct ipv6_fragment place;
    uint8_t *whole = packet_data(packet);
    uint8_t id_bytes[4];

    assert(head->family == FAMILY_IPV6 && head->total_bytes == packet->length);
    if (packet->length <= mtu || capacity == 0 || !can_be_cut(packet, head, mtu, &place)) {
        return 0;
    }
    size_t payload = packet->length - place.at;
    size_t part = (mtu - place.at - IPV6_FRAGMENT_HEAD_BYTES) / 8u * 8u;
    size_t count = 1;

    iv_take(&worker->iv, id_bytes, sizeof(id_bytes));
    uint32_t id = get_u32(id_bytes);
    pieces[0] = packet;
    for (size_t at = part; at < payload; at += part) {
        struct packet *piece = count < capacity ? fragment_take(worker, packet) : NULL;
        size_t bytes = payload - at < part ? payload - at : part;

        if (piece == NULL) {
            while (count > 1) {
                dataplane_give_packet(worker, pieces[--count]);
            }
            return 0;
        }
        uint8_t *to = packet_data(piece);
        memcpy(to, whole, place.at);
        memcpy(to + place.at + IPV6_FRAGMENT_HEAD_BYTES, whole + place.at + at, bytes);
        finish(to, &place, (uint32_t)at, bytes, at + bytes < payload, id);
        piece->length = (uint32_t)(place.at + IPV6_FRAGMENT_HEAD_BYTES + bytes);
        pieces[count++] = piece;
    }
    /* What follows the first part is in the other pieces now: it may be written over. */
    assert(part < payload);
    memmove(whole + place.at + IPV6_FRAGMENT_HEAD_BYTES, whole + place.at, part);
    finish(whole, &place, 0, part, true, id);
    packet->length = (uint32_t)(place.at + IPV6_FRAGMENT_HEAD_BYTES + part);
    tally(&worker->doors.made, count - 1, false);
    return count;
}
