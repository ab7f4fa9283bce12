/*
 * Decides what proves at the start that this program, as it was built for this machine, cuts and
 * joins rightly. Sums are taken here in the plainest way, and nothing is shared with super.c.
 */
#include "dataplane/super_trial.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/super.h"

#define PIECES 5
#define PIECE_BYTES 1111
#define LAST_BYTES 77
#define PAYLOAD_BYTES ((PIECES - 1) * PIECE_BYTES + LAST_BYTES)
#define ROOM_BYTES (PACKET_HEADROOM_BYTES + 8192 + PACKET_TAILROOM_BYTES)
#define TCP_ACK_PSH 0x18
#define TCP_ACK_ONLY 0x10
#define TCP_BYTES 32 /* with timestamps */
#define SEQUENCE 0xfffff800u /* wraps on the way */

struct trial {
    bool four, udp;
    uint32_t upper, head;
    uint8_t whole[ROOM_BYTES], expected[ROOM_BYTES], rooms[PIECES][ROOM_BYTES];
    struct packet super, pieces[PIECES];
};

static uint16_t plain_sum(const uint8_t *at, size_t length, uint32_t sum)
{
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static void write_ip(const struct trial *t, uint8_t *p, uint32_t total, uint16_t number)
{
    uint8_t protocol = t->udp ? IP_PROTOCOL_UDP : IP_PROTOCOL_TCP;

    memset(p, 0, t->upper);
    if (t->four) {
        p[0] = 0x45;
        put_u16(p + 2, (uint16_t)total);
        put_u16(p + 4, (uint16_t)(0xfffe + number));
        p[8] = 64;
        p[9] = protocol;
        put_u32(p + 12, 0xc0000201);
        put_u32(p + 16, 0xc6336402);
        put_u16(p + 10, (uint16_t)~plain_sum(p, t->upper, 0));
        return;
    }
    p[0] = 0x60;
    put_u16(p + 4, (uint16_t)(total - t->upper));
    p[6] = protocol;
    p[7] = 64;
    put_u32(p + 8, 0x20010db8);
    put_u32(p + 24, 0x20010db8);
    p[39] = 1;
}

/* `length` octets of the payload from `from` on, as a packet; its length. */
static uint32_t write_packet(const struct trial *t, uint8_t *p, uint32_t from, uint32_t length,
                             uint16_t number, uint8_t flags)
{
    uint32_t total = t->head + length;
    uint8_t *upper = p + t->upper;

    write_ip(t, p, total, number);
    memset(upper, 0, t->head - t->upper);
    put_u32(upper, 0x9c4001bb);
    if (t->udp) {
        put_u16(upper + 4, (uint16_t)(total - t->upper));
    } else {
        put_u32(upper + 4, SEQUENCE + from);
        upper[12] = TCP_BYTES / 4 << 4;
        upper[13] = flags;
        put_u32(upper + 20, 0x0101080a);
    }
    for (uint32_t i = 0; i < length; i++) {
        p[t->head + i] = (uint8_t)((from + i) * 2654435761u >> 9);
    }
    uint32_t pseudo = p[t->four ? 9 : 6] + (total - t->upper);
    for (uint32_t i = t->four ? 12 : 8; i < t->upper; i += 2) {
        pseudo += get_u16(p + i);
    }
    put_u16(upper + (t->udp ? 6 : 16), (uint16_t)~plain_sum(upper, total - t->upper, pseudo));
    return total;
}

static bool is_cut_rightly(struct trial *t)
{
    struct cut cut;

    t->super = (struct packet){.buffer = t->whole,
                               .capacity = ROOM_BYTES,
                               .offset = PACKET_HEADROOM_BYTES,
                               .segmentation = t->udp ? SEGMENT_UDP : SEGMENT_TCP,
                               .segment_bytes = PIECE_BYTES};
    t->super.length = write_packet(t, packet_data(&t->super), 0, PAYLOAD_BYTES, 0, TCP_ACK_PSH);
    if (!cut_begin(&cut, &t->super)) {
        return false;
    }
    for (uint32_t i = 0; i < PIECES; i++) {
        bool is_last = i + 1 == PIECES;
        uint32_t length =
            write_packet(t, t->expected, i * PIECE_BYTES, is_last ? LAST_BYTES : PIECE_BYTES,
                         (uint16_t)i, is_last ? TCP_ACK_PSH : TCP_ACK_ONLY);
        struct packet *piece = &t->pieces[i];

        *piece = (struct packet){
            .buffer = t->rooms[i], .capacity = ROOM_BYTES, .offset = PACKET_HEADROOM_BYTES};
        if (cut_next(&cut, piece) != CUT_PACKET || piece->length != length ||
            memcmp(packet_data(piece), t->expected, length) != 0) {
            return false;
        }
    }
    return cut_next(&cut, &t->pieces[0]) == CUT_END;
}

/* The head of the whole, but for its sum, which is that of the pseudo header. */
static bool is_joined_rightly(struct trial *t)
{
    struct packet *list[PIECES];
    uint32_t skip_bytes = 0;

    for (size_t i = 0; i < PIECES; i++) {
        list[i] = &t->pieces[i];
    }
    size_t joined = join_packets(list, PIECES, JOIN_TCP | JOIN_UDP, &skip_bytes);
    if (joined == 1) {
        return t->udp; /* which need not be joined */
    }
    uint8_t *head = packet_data(list[0]);
    uint8_t *whole = packet_data(&t->super);
    uint32_t sum_at = t->upper + (t->udp ? 6 : 16);
    uint16_t right = get_u16(whole + sum_at);
    /* The system adds up what lies behind the beginning of TCP or UDP, that sum included. */
    put_u16(whole + sum_at, get_u16(head + sum_at));
    uint16_t completed = (uint16_t)~plain_sum(whole + t->upper, t->super.length - t->upper, 0);

    return joined == PIECES && skip_bytes == t->head && list[0]->segment_bytes == PIECE_BYTES &&
           list[0]->checksum_start == t->upper && t->upper + list[0]->checksum_offset == sum_at &&
           memcmp(head, whole, t->head) == 0 && completed == right;
}

bool super_is_right(void)
{
    struct trial *t = calloc(1, sizeof(*t));
    bool right = t != NULL;

    for (int kind = 0; right && kind < 4; kind++) {
        t->four = kind % 2 == 0;
        t->udp = kind / 2 != 0;
        t->upper = t->four ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
        t->head = t->upper + (t->udp ? UDP_HEAD_BYTES : TCP_BYTES);
        right = is_cut_rightly(t) && is_joined_rightly(t);
    }
    free(t);
    return right;
}
