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

/* The first packet of what may become one. */
struct join {
    const uint8_t *head;
    uint32_t length; /* of the packet */
    uint32_t plain_bytes; /* of the IP header, without options or extension headers */
    uint32_t head_bytes; /* with the transport header */
    uint32_t payload_bytes; /* of each but the last */
    uint32_t pseudo; /* the sum of addresses and protocol */
    uint32_t sequence; /* TCP: the next one */
    bool udp;
};

/* A packet that was not read yet is read here. */
static bool is_read(const struct packet *packet)
{
    struct ip_head ip;

    return packet->upper_offset != 0 || (ip_read(packet_slice(packet), &ip) && !ip.is_fragment &&
                                         ip.total_bytes == packet->length);
}

/* Addresses and protocol, with the header's bytes in their order. */
static uint32_t sum_of_ends(const uint8_t *head, bool four)
{
    struct slice ends = four ? (struct slice){head + 12, 8} : (struct slice){head + 8, 32};

    return checksum_add(four ? head[9] : head[6], ends);
}

/* A wrong checksum must reach the receiver as it is: joined, it would be made right. */
static bool sum_is_right(const struct join *join, const struct packet *packet)
{
    uint32_t upper_bytes = packet->length - join->plain_bytes;
    struct slice upper = {packet_data(packet) + join->plain_bytes, upper_bytes};
    uint32_t sum = join->pseudo + upper_bytes;

    if (packet->has_upper_sum && packet->upper_offset == join->plain_bytes) {
        return checksum_finish(sum + packet->upper_sum) == 0;
    }
    return checksum_finish(checksum_add(sum, upper)) == 0;
}

/* Payload, ACK and perhaps PSH, nothing rare. */
static bool begin_tcp_join(struct join *join)
{
    const uint8_t *tcp = join->head + join->plain_bytes;

    if (join->length < join->plain_bytes + TCP_HEAD_BYTES) {
        return false;
    }
    uint32_t tcp_bytes = (uint32_t)(tcp[TCP_OFFSET_FLAGS - 1] >> 4) * 4;
    join->head_bytes = join->plain_bytes + tcp_bytes;
    join->sequence = get_u32(tcp + TCP_OFFSET_SEQUENCE);
    return tcp_bytes >= TCP_HEAD_BYTES && join->head_bytes < join->length &&
           (tcp[TCP_OFFSET_FLAGS] & ~TCP_PSH) == TCP_ACK && (tcp[TCP_OFFSET_FLAGS - 1] & 0x0f) == 0;
}

static bool udp_is_plain(const uint8_t *udp, uint32_t upper_bytes)
{
    /* RFC 768: zero says that there is none, and joined there would be one. */
    return get_u16(udp + UDP_OFFSET_LENGTH) == upper_bytes &&
           get_u16(udp + UDP_OFFSET_CHECKSUM) != 0;
}

static bool begin_udp_join(struct join *join)
{
    join->head_bytes = join->plain_bytes + UDP_HEAD_BYTES;
    return join->head_bytes < join->length &&
           udp_is_plain(join->head + join->plain_bytes, join->length - join->plain_bytes);
}

static bool join_begin(struct join *join, const struct packet *packet, unsigned what)
{
    const uint8_t *head = packet_data(packet);
    bool four = packet->length > 0 && head[0] >> 4 == 4;
    uint32_t plain = four ? IPV4_HEAD_BYTES : IPV6_HEAD_BYTES;

    if (packet->length < plain || (four && head[0] != 0x45)) {
        return false;
    }
    uint8_t protocol = four ? head[9] : head[6];
    *join = (struct join){
        .head = head,
        .length = packet->length,
        .plain_bytes = plain,
        .udp = protocol == IP_PROTOCOL_UDP,
    };
    bool fits = protocol == IP_PROTOCOL_TCP   ? (what & JOIN_TCP) != 0 && begin_tcp_join(join)
                : protocol == IP_PROTOCOL_UDP ? (what & JOIN_UDP) != 0 && begin_udp_join(join)
                                              : false;
    if (!fits || !is_read(packet)) {
        return false;
    }
    join->payload_bytes = join->length - join->head_bytes;
    join->sequence += join->payload_bytes;
    join->pseudo = sum_of_ends(head, four);
    return sum_is_right(join, packet);
}

static bool same_ip(const struct join *join, const uint8_t *b, size_t index)
{
    const uint8_t *a = join->head;

    if (join->plain_bytes == IPV6_HEAD_BYTES) {
        /* version, class and flow; next header and hop limit; addresses */
        return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, 2) == 0 &&
               memcmp(a + 8, b + 8, 32) == 0;
    }
    /* RFC 6864: with DF the identification means nothing. */
    bool dont_fragment = (a[IPV4_OFFSET_FRAGMENT] & 0x40) != 0;
    uint16_t id = (uint16_t)(get_u16(a + IPV4_OFFSET_ID) + (uint16_t)index);

    return (dont_fragment || get_u16(b + IPV4_OFFSET_ID) == id) && memcmp(a, b, 2) == 0 &&
           memcmp(a + IPV4_OFFSET_FRAGMENT, b + IPV4_OFFSET_FRAGMENT, 4) == 0 &&
           memcmp(a + 12, b + 12, 8) == 0;
}

/* Ports, acknowledgement, length, flags but PSH, window and all options; and the sequence follows.
 */
static bool tcp_follows(const struct join *join, const uint8_t *b)
{
    const uint8_t *a = join->head + join->plain_bytes;
    const uint32_t rest = TCP_OFFSET_CHECKSUM + sizeof(uint16_t);

    return memcmp(a, b, 4) == 0 && get_u32(b + TCP_OFFSET_SEQUENCE) == join->sequence &&
           memcmp(a + TCP_OFFSET_ACKNOWLEDGEMENT, b + TCP_OFFSET_ACKNOWLEDGEMENT, 4) == 0 &&
           a[TCP_OFFSET_FLAGS - 1] == b[TCP_OFFSET_FLAGS - 1] &&
           (b[TCP_OFFSET_FLAGS] & ~TCP_PSH) == TCP_ACK &&
           memcmp(a + TCP_OFFSET_WINDOW, b + TCP_OFFSET_WINDOW, 2) == 0 &&
           memcmp(a + rest, b + rest, join->head_bytes - join->plain_bytes - rest) == 0;
}

static bool follows(const struct join *join, const struct packet *packet, size_t index)
{
    const uint8_t *head = packet_data(packet);
    const uint8_t *upper = head + join->plain_bytes;

    if (packet->length <= join->head_bytes || packet->length > join->length ||
        !same_ip(join, head, index) || !is_read(packet)) {
        return false;
    }
    bool same = join->udp ? memcmp(join->head + join->plain_bytes, upper, 4) == 0 &&
                                udp_is_plain(upper, packet->length - join->plain_bytes)
                          : tcp_follows(join, upper);
    return same && sum_is_right(join, packet);
}

static void write_joined_head(struct packet *first, const struct join *join, uint32_t payload,
                              uint8_t flags)
{
    uint8_t *ip = packet_data(first);
    uint8_t *upper = ip + join->plain_bytes;
    uint32_t total = join->head_bytes + payload;
    uint32_t upper_bytes = total - join->plain_bytes;
    /* The sum of the pseudo header stands there, not inverted; the system does the rest. */
    uint16_t sum = (uint16_t)~checksum_finish(join->pseudo + upper_bytes);

    if (join->plain_bytes == IPV6_HEAD_BYTES) {
        put_u16(ip + IPV6_OFFSET_PAYLOAD, (uint16_t)upper_bytes);
    } else {
        put_u16(ip + IPV4_OFFSET_TOTAL, (uint16_t)total);
        put_u16(ip + IPV4_OFFSET_CHECKSUM, 0);
        put_u16(ip + IPV4_OFFSET_CHECKSUM,
                checksum_finish(checksum_add(0, (struct slice){ip, IPV4_HEAD_BYTES})));
    }
    first->segment_bytes = (uint16_t)join->payload_bytes;
    first->checksum_start = (uint16_t)join->plain_bytes;
    if (join->udp) {
        put_u16(upper + UDP_OFFSET_LENGTH, (uint16_t)upper_bytes);
        put_u16(upper + UDP_OFFSET_CHECKSUM, sum);
        first->segmentation = SEGMENT_UDP;
        first->checksum_offset = UDP_OFFSET_CHECKSUM;
    } else {
        upper[TCP_OFFSET_FLAGS] = flags;
        put_u16(upper + TCP_OFFSET_CHECKSUM, sum);
        first->segmentation = SEGMENT_TCP;
        first->checksum_offset = TCP_OFFSET_CHECKSUM;
    }
}

static uint8_t tcp_flags(const struct join *join, const struct packet *packet)
{
    return join->udp ? 0 : packet_data(packet)[join->plain_bytes + TCP_OFFSET_FLAGS];
}

size_t join_packets(struct packet *const *packets, size_t count, unsigned what,
                    uint32_t *skip_bytes)
{
    struct join join;
    size_t joined = 1;

    assert(count > 0);
    packets[0]->segmentation = SEGMENT_NONE;
    packets[0]->checksum_start = 0;
    if (count == 1 || !join_begin(&join, packets[0], what)) {
        return 1;
    }
    uint32_t payload = join.payload_bytes;
    uint8_t flags = tcp_flags(&join, packets[0]);
    bool ends = (flags & TCP_PSH) != 0;
    while (!ends && joined < count && follows(&join, packets[joined], joined)) {
        uint32_t more = packets[joined]->length - join.head_bytes;

        if (join.head_bytes + payload + more > SUPER_TOTAL_MAX) {
            break;
        }
        payload += more;
        join.sequence += more;
        flags |= tcp_flags(&join, packets[joined]);
        ends = (flags & TCP_PSH) != 0 || more < join.payload_bytes;
        joined++;
    }
    if (joined > 1) {
        write_joined_head(packets[0], &join, payload, flags);
        *skip_bytes = join.head_bytes;
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
