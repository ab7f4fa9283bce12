/*
 * Decides how a super-packet is cut into packets and how packets become one (RFC 9293 3.1 for what
 * belongs to the first or the last segment alone, RFC 6864 for the IPv4 identification).
 */
#include "dataplane/super.h"

#include "wire/tcp.h"

#include <assert.h>
#include <string.h>

#define IPV4_OFFSET_TOTAL 2
#define IPV4_OFFSET_ID 4
#define IPV4_OFFSET_FRAGMENT 6
#define IPV4_OFFSET_CHECKSUM 10
#define IPV6_OFFSET_PAYLOAD 4
#define UDP_OFFSET_LENGTH 4
#define UDP_OFFSET_CHECKSUM 6
#define SUPER_TOTAL_MAX 65535

/* ---- cutting ---- */

static uint16_t finish_udp(uint16_t checksum)
{
    /* RFC 768: zero means that there is none. */
    return checksum == 0 ? UINT16_MAX : checksum;
}

static bool begin_whole(struct cut *cut)
{
    const struct packet *p = cut->super;

    cut->head_bytes = p->length;
    cut->total_bytes = p->length;
    cut->at = p->length;
    return p->checksum_start == 0 ||
           (uint32_t)p->checksum_start + p->checksum_offset + sizeof(uint16_t) <= p->length;
}

/* Words that differ from segment to segment are zero while the rest is added. */
static void sum_ip(struct cut *cut, const uint8_t *head)
{
    if (cut->ip.family == FAMILY_IPV4) {
        uint32_t rest = IPV4_OFFSET_CHECKSUM + sizeof(uint16_t);

        cut->ip_sum = checksum_add(0, (struct slice){head, sizeof(uint16_t)});
        cut->ip_sum = checksum_add(cut->ip_sum, (struct slice){head + IPV4_OFFSET_FRAGMENT, 4});
        cut->ip_sum =
            checksum_add(cut->ip_sum, (struct slice){head + rest, cut->ip.upper_offset - rest});
    }
    cut->upper_sum = checksum_pseudo(&cut->ip.source, &cut->ip.destination, cut->ip.protocol, 0);
}

static uint32_t begin_udp(struct cut *cut, struct slice upper)
{
    if (cut->ip.protocol != IP_PROTOCOL_UDP || upper.length < UDP_HEAD_BYTES) {
        return 0;
    }
    cut->upper_sum = checksum_add(cut->upper_sum, (struct slice){upper.data, UDP_OFFSET_LENGTH});
    return UDP_HEAD_BYTES;
}

static uint32_t begin_tcp(struct cut *cut, struct slice upper)
{
    struct tcp_head tcp;

    if (cut->ip.protocol != IP_PROTOCOL_TCP || !tcp_read(upper, &tcp)) {
        return 0;
    }
    uint8_t common[TCP_HEAD_BYTES + TCP_OPTIONS_BYTES_MAX];

    memcpy(common, upper.data, tcp.head_bytes);
    put_u32(common + TCP_OFFSET_SEQUENCE, 0);
    common[TCP_OFFSET_FLAGS] = 0;
    put_u16(common + TCP_OFFSET_CHECKSUM, 0);
    cut->sequence = tcp.sequence;
    cut->flags = tcp.flags;
    cut->upper_sum = checksum_add(cut->upper_sum, (struct slice){common, tcp.head_bytes});
    return tcp.head_bytes;
}

bool cut_begin(struct cut *cut, const struct packet *super)
{
    *cut = (struct cut){.super = super};
    if (super->segmentation == SEGMENT_NONE) {
        return begin_whole(cut);
    }
    struct slice bytes = packet_slice(super);
    if (super->segment_bytes == 0 || !ip_read(bytes, &cut->ip) || cut->ip.is_fragment) {
        return false;
    }
    struct slice upper = {bytes.data + cut->ip.upper_offset,
                          cut->ip.total_bytes - cut->ip.upper_offset};
    sum_ip(cut, bytes.data);
    uint32_t upper_bytes =
        super->segmentation == SEGMENT_UDP ? begin_udp(cut, upper) : begin_tcp(cut, upper);
    cut->head_bytes = cut->ip.upper_offset + upper_bytes;
    cut->total_bytes = cut->ip.total_bytes;
    cut->at = cut->head_bytes;
    return upper_bytes > 0 && cut->total_bytes > cut->head_bytes;
}

/* RFC 1071: the field holds the sum of the pseudo header, and the rest is ours. */
static void complete_checksum(const struct packet *super, struct packet *out)
{
    uint8_t *upper = packet_data(out) + super->checksum_start;
    struct slice covered = {upper, out->length - super->checksum_start};
    uint16_t checksum = checksum_finish(checksum_add(0, covered));

    put_u16(upper + super->checksum_offset, finish_udp(checksum));
}

static void fix_ip(const struct cut *cut, uint8_t *head, uint32_t length)
{
    if (cut->ip.family == FAMILY_IPV6) {
        put_u16(head + IPV6_OFFSET_PAYLOAD, (uint16_t)(length - IPV6_HEAD_BYTES));
        return;
    }
    uint16_t id = (uint16_t)(cut->ip.id + cut->count);

    put_u16(head + IPV4_OFFSET_TOTAL, (uint16_t)length);
    put_u16(head + IPV4_OFFSET_ID, id);
    put_u16(head + IPV4_OFFSET_CHECKSUM, checksum_finish(cut->ip_sum + length + id));
}

/* `sum`: of the payload. */
static void fix_tcp(const struct cut *cut, uint8_t *upper, uint32_t upper_bytes, bool is_last,
                    uint32_t sum)
{
    uint32_t sequence = cut->sequence + cut->count * cut->super->segment_bytes;
    uint8_t flags = cut->flags;

    if (!is_last) {
        flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
    }
    if (cut->count > 0) {
        flags &= (uint8_t)~TCP_CWR;
    }
    put_u32(upper + TCP_OFFSET_SEQUENCE, sequence);
    upper[TCP_OFFSET_FLAGS] = flags;
    sum += cut->upper_sum + upper_bytes + (sequence >> 16) + (sequence & UINT16_MAX) + flags;
    put_u16(upper + TCP_OFFSET_CHECKSUM, checksum_finish(sum));
}

static void fix_udp(const struct cut *cut, uint8_t *upper, uint32_t upper_bytes, uint32_t sum)
{
    /* The length stands in the pseudo header and in the header. */
    sum += cut->upper_sum + upper_bytes + upper_bytes;
    put_u16(upper + UDP_OFFSET_LENGTH, (uint16_t)upper_bytes);
    put_u16(upper + UDP_OFFSET_CHECKSUM, finish_udp(checksum_finish(sum)));
}

void cut_write(struct cut *cut, uint8_t *to)
{
    const uint8_t *from = packet_data(cut->super);
    uint32_t length = cut_bytes(cut);
    uint32_t piece = length - cut->head_bytes;
    uint8_t *upper = to + cut->ip.upper_offset;
    uint32_t upper_bytes = length - cut->ip.upper_offset;

    assert(length > 0);
    memcpy(to, from, cut->head_bytes);
    uint32_t sum = checksum_copy(0, to + cut->head_bytes, (struct slice){from + cut->at, piece});
    fix_ip(cut, to, length);
    if (cut->super->segmentation == SEGMENT_UDP) {
        fix_udp(cut, upper, upper_bytes, sum);
    } else {
        fix_tcp(cut, upper, upper_bytes, cut->at + piece == cut->total_bytes, sum);
    }
    cut->at += piece;
    cut->count++;
}

/* The only one of a packet that is none of several. */
static void copy_whole(struct cut *cut, struct packet *out)
{
    const struct packet *super = cut->super;

    memcpy(packet_data(out), packet_data(super), super->length);
    if (super->checksum_start != 0) {
        complete_checksum(super, out);
    }
    cut->count++;
}

enum cut_result cut_next(struct cut *cut, struct packet *out)
{
    bool is_whole = cut->super->segmentation == SEGMENT_NONE;
    uint32_t length = is_whole ? cut->super->length : cut_bytes(cut);

    if (is_whole ? cut->count > 0 : length == 0) {
        return CUT_END;
    }
    if (out->capacity - out->offset < length + PACKET_TAILROOM_BYTES) {
        cut->at = cut->total_bytes;
        cut->count++;
        return CUT_TOO_LONG;
    }
    out->length = length;
    out->segmentation = SEGMENT_NONE;
    out->segment_bytes = 0;
    out->checksum_start = 0;
    out->checksum_offset = 0;
    if (is_whole) {
        copy_whole(cut, out);
    } else {
        cut_write(cut, packet_data(out));
    }
    return CUT_PACKET;
}

/* ---- joining ---- */

struct segment {
    const uint8_t *bytes;
    struct ip_head ip;
    uint32_t head_bytes, payload_bytes, sequence;
    uint8_t flags;
};

/* Only what the end of a flow's burst looks like: payload, ACK and perhaps PSH, nothing rare. */
static bool read_segment(const struct packet *packet, struct segment *out)
{
    struct slice bytes = packet_slice(packet);
    struct tcp_head tcp;

    if (!ip_read(bytes, &out->ip) || out->ip.protocol != IP_PROTOCOL_TCP || out->ip.is_fragment ||
        out->ip.total_bytes != packet->length) {
        return false;
    }
    uint32_t plain = out->ip.family == FAMILY_IPV4 ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;
    struct slice upper = {bytes.data + out->ip.upper_offset, bytes.length - out->ip.upper_offset};
    if (out->ip.upper_offset != plain || !tcp_read(upper, &tcp) ||
        (tcp.flags & ~TCP_PSH) != TCP_ACK || tcp.reserved != 0) {
        return false;
    }
    out->bytes = bytes.data;
    out->head_bytes = plain + tcp.head_bytes;
    out->payload_bytes = packet->length - out->head_bytes;
    out->sequence = tcp.sequence;
    out->flags = tcp.flags;
    /* A wrong checksum must reach the receiver as it is: joined, it would be made right. */
    return out->payload_bytes > 0 &&
           tcp_checksum_is_right(&out->ip.source, &out->ip.destination, upper);
}

static bool same_ip(const struct segment *first, const struct segment *next, size_t index)
{
    const uint8_t *a = first->bytes, *b = next->bytes;

    if (first->ip.family != next->ip.family) {
        return false;
    }
    if (first->ip.family == FAMILY_IPV6) {
        /* version, class and flow; next header and hop limit; addresses */
        return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, IPV6_HEAD_BYTES - 6) == 0;
    }
    /* RFC 6864: with DF the identification means nothing. */
    bool id_fits =
        first->ip.dont_fragment || next->ip.id == (uint16_t)(first->ip.id + (uint16_t)index);
    return id_fits && memcmp(a, b, 2) == 0 && memcmp(a + 6, b + 6, 4) == 0 &&
           memcmp(a + 12, b + 12, 8) == 0;
}

/* Ports, acknowledgement, length, window and all options; neither sequence, PSH nor checksum. */
static bool same_tcp(const struct segment *first, const struct segment *next)
{
    const uint8_t *a = first->bytes + first->ip.upper_offset;
    const uint8_t *b = next->bytes + next->ip.upper_offset;

    return first->head_bytes == next->head_bytes && memcmp(a, b, 4) == 0 &&
           memcmp(a + TCP_OFFSET_ACKNOWLEDGEMENT, b + TCP_OFFSET_ACKNOWLEDGEMENT, 5) == 0 &&
           memcmp(a + TCP_OFFSET_WINDOW, b + TCP_OFFSET_WINDOW, 2) == 0 &&
           memcmp(a + TCP_OFFSET_CHECKSUM + 2, b + TCP_OFFSET_CHECKSUM + 2,
                  first->head_bytes - first->ip.upper_offset - TCP_OFFSET_CHECKSUM - 2) == 0;
}

static void write_joined_head(struct packet *head, const struct segment *first, uint32_t payload,
                              uint8_t flags)
{
    uint8_t *ip = packet_data(head);
    uint8_t *upper = ip + first->ip.upper_offset;
    uint32_t total = first->head_bytes + payload;
    uint32_t upper_bytes = total - first->ip.upper_offset;

    if (first->ip.family == FAMILY_IPV6) {
        put_u16(ip + IPV6_OFFSET_PAYLOAD, (uint16_t)upper_bytes);
    } else {
        put_u16(ip + IPV4_OFFSET_TOTAL, (uint16_t)total);
        put_u16(ip + IPV4_OFFSET_CHECKSUM, 0);
        put_u16(ip + IPV4_OFFSET_CHECKSUM,
                checksum_finish(checksum_add(0, (struct slice){ip, IPV4_HEAD_BYTES})));
    }
    upper[TCP_OFFSET_FLAGS] = flags;
    /* The sum of the pseudo header stands there, not inverted; the system does the rest. */
    uint32_t sum =
        checksum_pseudo(&first->ip.source, &first->ip.destination, IP_PROTOCOL_TCP, upper_bytes);
    put_u16(upper + TCP_OFFSET_CHECKSUM, (uint16_t)~checksum_finish(sum));
    head->segmentation = SEGMENT_TCP;
    head->segment_bytes = (uint16_t)first->payload_bytes;
    head->checksum_start = first->ip.upper_offset;
    head->checksum_offset = TCP_OFFSET_CHECKSUM;
}

size_t join_packets(struct packet *const *packets, size_t count, uint32_t *skip_bytes)
{
    struct segment first, next;
    size_t joined = 1;

    assert(count > 0);
    packets[0]->segmentation = SEGMENT_NONE;
    packets[0]->checksum_start = 0;
    if (count == 1 || !read_segment(packets[0], &first)) {
        return 1;
    }
    uint32_t payload = first.payload_bytes;
    uint8_t flags = first.flags;
    bool ends = (flags & TCP_PSH) != 0;
    while (!ends && joined < count && read_segment(packets[joined], &next) &&
           same_ip(&first, &next, joined) && same_tcp(&first, &next) &&
           next.sequence == first.sequence + payload && next.payload_bytes <= first.payload_bytes &&
           first.head_bytes + payload + next.payload_bytes <= SUPER_TOTAL_MAX) {
        payload += next.payload_bytes;
        flags |= next.flags;
        ends = (next.flags & TCP_PSH) != 0 || next.payload_bytes < first.payload_bytes;
        joined++;
    }
    if (joined > 1) {
        write_joined_head(packets[0], &first, payload, flags);
        *skip_bytes = first.head_bytes;
    }
    return joined;
}

/* What write_joined_head() changed. The end of a burst is never the first of several, so PSH was
 * not set. */
void join_undo(struct packet *first)
{
    uint8_t *ip = packet_data(first);
    struct ip_head head;

    if (first->segmentation == SEGMENT_NONE) {
        return;
    }
    if (ip[0] >> 4 == 6) {
        put_u16(ip + IPV6_OFFSET_PAYLOAD, (uint16_t)(first->length - IPV6_HEAD_BYTES));
    } else {
        put_u16(ip + IPV4_OFFSET_TOTAL, (uint16_t)first->length);
        put_u16(ip + IPV4_OFFSET_CHECKSUM, 0);
        put_u16(ip + IPV4_OFFSET_CHECKSUM,
                checksum_finish(checksum_add(0, (struct slice){ip, IPV4_HEAD_BYTES})));
    }
    uint8_t *upper = ip + first->checksum_start;
    struct slice covered = {upper, first->length - first->checksum_start};
    bool is_read = ip_read(packet_slice(first), &head);
    assert(is_read);
    if (first->segmentation == SEGMENT_UDP) {
        uint32_t sum = checksum_pseudo(&head.source, &head.destination, IP_PROTOCOL_UDP,
                                       (uint32_t)covered.length);

        put_u16(upper + UDP_OFFSET_LENGTH, (uint16_t)covered.length);
        put_u16(upper + UDP_OFFSET_CHECKSUM, 0);
        put_u16(upper + UDP_OFFSET_CHECKSUM,
                finish_udp(checksum_finish(checksum_add(sum, covered))));
    } else {
        upper[TCP_OFFSET_FLAGS] &= (uint8_t)~TCP_PSH;
        put_u16(upper + TCP_OFFSET_CHECKSUM,
                tcp_checksum(&head.source, &head.destination, covered));
    }
    first->segmentation = SEGMENT_NONE;
    first->segment_bytes = 0;
    first->checksum_start = 0;
    first->checksum_offset = 0;
}
