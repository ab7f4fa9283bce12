/*
 * Super-packets of any bytes: what is cut off is a good packet with right checksums, the pieces
 * hold the payload and nothing else, and joined pieces are what they were before. Bytes:
 * segmentation, segment size (2), checksum start (2), checksum offset (1), packet.
 */
#include <string.h>

#include "dataplane/super.h"
#include "fuzz.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#define PIECES_MAX 40
#define PACKET_BYTES_MAX 4096
#define BUFFER_BYTES (PACKET_HEADROOM_BYTES + PACKET_BYTES_MAX + PACKET_TAILROOM_BYTES)
#define PARAMETER_BYTES 6

static uint8_t buffers[PIECES_MAX][BUFFER_BYTES];
static struct packet pieces[PIECES_MAX];
static uint8_t super_bytes[PACKET_BYTES_MAX];

static void check_piece(const struct packet *piece, const struct cut *cut, uint32_t limit)
{
    struct ip_head ip;
    struct slice bytes = packet_slice(piece);

    MUST(ip_read(bytes, &ip) && ip.total_bytes == piece->length);
    MUST(ip.upper_offset == cut->ip.upper_offset && ip.protocol == cut->ip.protocol);
    MUST(piece->length - cut->head_bytes <= limit && piece->length > cut->head_bytes);
    struct slice upper = {bytes.data + ip.upper_offset, bytes.length - ip.upper_offset};

    if (ip.protocol == IP_PROTOCOL_TCP) {
        MUST(tcp_checksum_is_right(&ip.source, &ip.destination, upper));
    } else {
        MUST(udp_checksum_is_right(&ip.source, &ip.destination, upper));
    }
}

/* Payloads one after the other, from the first piece on. */
static void check_payload(const struct packet *super, uint32_t head_bytes, size_t count,
                          uint32_t total)
{
    uint32_t at = head_bytes;

    for (size_t i = 0; i < count; i++) {
        uint32_t payload = pieces[i].length - head_bytes;

        MUST(at + payload <= total);
        MUST(memcmp(packet_data(&pieces[i]) + head_bytes, packet_data(super) + at, payload) == 0);
        at += payload;
    }
    MUST(at == total);
}

static void check_join(size_t count)
{
    struct packet *list[PIECES_MAX];
    uint32_t length[PIECES_MAX];
    uint32_t skip = 0;
    uint32_t payload = 0;

    for (size_t i = 0; i < count; i++) {
        list[i] = &pieces[i];
        length[i] = pieces[i].length;
    }
    size_t joined = join_packets(list, count, JOIN_TCP | JOIN_UDP, &skip);

    MUST(joined >= 1 && joined <= count);
    if (joined == 1) {
        MUST(pieces[0].segmentation == SEGMENT_NONE);
        return;
    }
    for (size_t i = 0; i < joined; i++) {
        MUST(pieces[i].length == length[i] && skip < length[i]);
        payload += length[i] - skip;
    }
    const uint8_t *head = packet_data(&pieces[0]);
    uint32_t told = head[0] >> 4 == 4 ? get_u16(head + 2) : IPV6_HEAD_BYTES + get_u16(head + 4);

    uint8_t protocol = head[0] >> 4 == 4 ? head[9] : head[6];

    MUST(pieces[0].segmentation == (protocol == IP_PROTOCOL_UDP ? SEGMENT_UDP : SEGMENT_TCP));
    MUST(told == skip + payload);
    MUST(pieces[0].segment_bytes == length[0] - skip);
}

FUZZ(dataplane_super, 20000)
{
    if (size < PARAMETER_BYTES || size > PACKET_BYTES_MAX) {
        return 0;
    }
    struct packet super = {
        .buffer = super_bytes,
        .capacity = sizeof(super_bytes),
        .length = (uint32_t)(size - PARAMETER_BYTES),
        .segmentation = data[0] % 3,
        .segment_bytes = get_u16(data + 1),
        .checksum_start = get_u16(data + 3),
        .checksum_offset = data[5],
    };
    struct cut cut;
    size_t count = 0;
    enum cut_result result = CUT_PACKET;

    memcpy(super_bytes, data + PARAMETER_BYTES, super.length);
    if (super.length >= 20 && super_bytes[0] == 0x45) {
        put_u16(super_bytes + 10, 0);
        put_u16(super_bytes + 10,
                checksum_finish(checksum_add(0, (struct slice){super_bytes, 20})));
    }
    if (!cut_begin(&cut, &super)) {
        return 0;
    }
    while (count < PIECES_MAX) {
        struct packet *piece = &pieces[count];

        *piece = (struct packet){
            .buffer = buffers[count], .capacity = BUFFER_BYTES, .offset = PACKET_HEADROOM_BYTES};
        result = cut_next(&cut, piece);
        if (result != CUT_PACKET) {
            break;
        }
        MUST(piece->length <= super.length && piece->segmentation == SEGMENT_NONE &&
             piece->checksum_start == 0);
        if (super.segmentation != SEGMENT_NONE) {
            check_piece(piece, &cut, super.segment_bytes);
        }
        count++;
    }
    MUST(result != CUT_TOO_LONG);
    if (result == CUT_END && super.segmentation != SEGMENT_NONE) {
        check_payload(&super, cut.head_bytes, count, cut.total_bytes);
    }
    if (count > 0) {
        check_join(count);
    }
    return 0;
}
