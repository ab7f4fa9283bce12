/* IP: any bytes; what is read lies inside the packet, and what is written again reads the same. */
#include <string.h>

#include "fuzz.h"
#include "wire/ip.h"

static void check_bounds(const struct ip_head *head, size_t size)
{
    MUST(head->upper_offset <= head->total_bytes);
    MUST(head->upper_offset <= size);
    MUST(head->family == FAMILY_IPV4 || head->family == FAMILY_IPV6);
    MUST(head->has_ports || (head->port_source == 0 && head->port_destination == 0));
    MUST(head->fragment_offset == 0 || (head->is_fragment && !head->has_ports));
    MUST(!head->more_fragments || head->is_fragment);
}

static struct slice write_again(const struct ip_head *head, uint8_t *room, size_t capacity)
{
    struct writer w = writer_over(room, capacity);

    if (head->family == FAMILY_IPV4) {
        struct ipv4_fields f = {.source = head->source,
                                .destination = head->destination,
                                .tos = head->tos,
                                .ttl = head->ttl,
                                .protocol = head->protocol,
                                .id = head->id,
                                .dont_fragment = head->dont_fragment,
                                .payload_bytes =
                                    (uint16_t)(head->total_bytes - head->upper_offset)};

        ipv4_write(&w, &f);
    } else {
        struct ipv6_fields f = {.source = head->source,
                                .destination = head->destination,
                                .hop_limit = head->ttl,
                                .traffic_class = head->tos,
                                .next_header = head->protocol,
                                .payload_bytes =
                                    (uint16_t)(head->total_bytes - head->upper_offset)};

        ipv6_write(&w, &f);
    }
    MUST(writer_ok(&w));
    return writer_written(&w);
}

/* Written without options and extension headers, the same fields come back. */
static void check_round_trip(const struct ip_head *head)
{
    uint8_t room[IPV6_HEAD_BYTES];
    struct ip_head again;
    struct slice written = write_again(head, room, sizeof(room));

    if (ip_read_quoted(written, &again)) {
        MUST(address_equal(&again.source, &head->source));
        MUST(address_equal(&again.destination, &head->destination));
        MUST(again.tos == head->tos && again.ttl == head->ttl && again.protocol == head->protocol);
        MUST(again.total_bytes - again.upper_offset == head->total_bytes - head->upper_offset);
    } else {
        /* Only when the protocol behind a fragment names another extension header. */
        MUST(head->is_fragment);
    }
}

static void check_changes(const uint8_t *data, size_t size)
{
    static uint8_t copy[2048];
    struct ip_head head;

    if (size > sizeof(copy)) {
        return;
    }
    memcpy(copy, data, size);
    if (copy[0] >> 4 == 4) {
        ipv4_set_tos(copy, (uint8_t)(copy[1] ^ 0xff));
    } else {
        ipv6_set_traffic_class(copy, 0xa5);
    }
    MUST(ip_read((struct slice){copy, size}, &head));
    uint8_t ttl = head.ttl;

    MUST(ip_decrement_ttl(copy) == (ttl > 1));
    MUST(ip_read((struct slice){copy, size}, &head));
    MUST(head.ttl == (ttl > 1 ? ttl - 1 : ttl));
}

/* The checksum is made right, so that mutations get past it. */
static void read_repaired(const uint8_t *data, size_t size)
{
    static uint8_t copy[2048];
    struct ip_head head;

    if (size < 20 || size > sizeof(copy) || data[0] >> 4 != 4) {
        return;
    }
    size_t head_bytes = (size_t)(data[0] & 15) * 4;

    if (head_bytes < 20 || head_bytes > size) {
        return;
    }
    memcpy(copy, data, size);
    put_u16(copy + 10, 0);
    put_u16(copy + 10, checksum_finish(checksum_add(0, (struct slice){copy, head_bytes})));
    if (ip_read((struct slice){copy, size}, &head)) {
        check_bounds(&head, size);
        check_round_trip(&head);
        check_changes(copy, size);
    }
}

FUZZ(ip, 40000)
{
    struct slice packet = {data, size};
    struct ip_head head;
    struct ip_head quoted;
    char room[120];
    struct text line = text_over(room, sizeof(room));

    ip_describe(packet, &line);
    if (ip_read(packet, &head)) {
        check_bounds(&head, size);
        MUST(head.total_bytes <= size);
        MUST(ip_read_quoted(packet, &quoted));
        MUST(quoted.upper_offset == head.upper_offset && quoted.protocol == head.protocol);
        check_round_trip(&head);
        check_changes(data, size);
    }
    if (ip_read_quoted(packet, &quoted)) {
        check_bounds(&quoted, size);
    }
    read_repaired(data, size);
    return 0;
}
