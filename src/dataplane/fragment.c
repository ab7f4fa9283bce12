/* The buffers of IPv6 packets that are cut by who sends them. */
#include "dataplane/fragment.h"

#include "wire/ipv6_cut.h"

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

size_t fragment_ipv6(struct dataplane_worker *worker, struct packet *packet, uint16_t mtu,
                     struct packet **pieces, size_t capacity)
{
    struct ipv6_cut cut;
    uint8_t id[4];
    size_t count = 1;

    if (packet->length <= mtu) {
        return 0;
    }
    iv_take(&worker->iv, id, sizeof(id));
    if (!ipv6_cut_plan(packet_slice(packet), mtu, get_u32(id), &cut) || cut.count > capacity) {
        return 0;
    }
    pieces[0] = packet;
    for (; count < cut.count; count++) {
        struct packet *piece = fragment_take(worker, packet);

        if (piece == NULL) {
            while (count > 1) {
                dataplane_give_packet(worker, pieces[--count]);
            }
            return 0;
        }
        struct writer w = writer_over(packet_data(piece), ipv6_cut_bytes(&cut, count));

        ipv6_cut_write(&w, &cut, count);
        piece->length = (uint32_t)writer_written(&w).length;
        pieces[count] = piece;
    }
    /* What follows the first part is in the other pieces now: it may be written over. */
    packet->length = (uint32_t)ipv6_cut_here(packet_data(packet), &cut);
    tally(&worker->doors.made, count - 1, false);
    return count;
}
