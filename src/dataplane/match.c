/* Traffic selectors against packets. */
#include "dataplane/match.h"

#include "wire/icmp.h"
#include "wire/icmpv6.h"

struct wide_address wide_of_address(const struct address *a)
{
    if (a->family == FAMILY_IPV4) {
        return (struct wide_address){0, get_u32(a->bytes)};
    }
    return (struct wide_address){get_u64(a->bytes), get_u64(a->bytes + 8)};
}

struct match match_of_selector(const struct selector *s)
{
    return (struct match){
        .first = wide_of_address(&s->addresses.first),
        .last = wide_of_address(&s->addresses.last),
        .port_first = s->port_first,
        .port_last = s->port_last,
        .family = s->addresses.first.family,
        .protocol = s->protocol,
    };
}

static bool wide_not_after(struct wide_address a, struct wide_address b)
{
    return a.high < b.high || (a.high == b.high && a.low <= b.low);
}

static bool match_ports_fit(const struct match *m, bool has_ports, uint16_t port)
{
    if (m->port_first == 0 && m->port_last == UINT16_MAX) {
        return true;
    }
    if (!has_ports) {
        return m->port_first == UINT16_MAX && m->port_last == 0;
    }
    return port >= m->port_first && port <= m->port_last;
}

static bool wide_equal(const struct wide_address *a, const struct wide_address *b)
{
    return a->high == b->high && a->low == b->low;
}

bool match_equal(const struct match *a, const struct match *b)
{
    return wide_equal(&a->first, &b->first) && wide_equal(&a->last, &b->last) &&
           a->port_first == b->port_first && a->port_last == b->port_last &&
           a->family == b->family && a->protocol == b->protocol;
}

bool match_end_fits(const struct match *m, const struct match_key *key, const struct match_end *end)
{
    return m->family == key->family && wide_not_after(m->first, end->address) &&
           wide_not_after(end->address, m->last) &&
           (m->protocol == 0 || m->protocol == key->protocol) &&
           match_ports_fit(m, key->has_ports, end->port);
}

bool match_any_fits(const struct match *list, size_t count, const struct match_key *key,
                    const struct match_end *end)
{
    for (size_t i = 0; i < count; i++) {
        if (match_end_fits(&list[i], key, end)) {
            return true;
        }
    }
    return false;
}

static bool is_icmp(uint8_t protocol)
{
    return protocol == IP_PROTOCOL_ICMP || protocol == IP_PROTOCOL_ICMPV6;
}

/* RFC 7296 3.13.1: ICMP type and code stand where ports stand, and say the same at both ends. */
static struct match_key match_key_of(const struct ip_head *head, bool outbound)
{
    uint16_t port_destination =
        is_icmp(head->protocol) ? head->port_source : head->port_destination;
    struct match_end source = {wide_of_address(&head->source), head->port_source};
    struct match_end destination = {wide_of_address(&head->destination), port_destination};

    return (struct match_key){
        .local = outbound ? source : destination,
        .remote = outbound ? destination : source,
        .family = head->family,
        .protocol = head->protocol,
        .has_ports = head->has_ports,
    };
}

struct match_key match_key_outbound(const struct ip_head *head)
{
    return match_key_of(head, true);
}

struct match_key match_key_inbound(const struct ip_head *head)
{
    return match_key_of(head, false);
}

static bool is_error(const struct ip_head *head)
{
    uint8_t type = (uint8_t)(head->port_source >> 8);

    if (!head->has_ports) {
        return false;
    }
    if (head->protocol == IP_PROTOCOL_ICMPV6) {
        return type >= ICMPV6_DESTINATION_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
    }
    /* No redirects: they would teach a host a way around the tunnel. */
    return head->protocol == IP_PROTOCOL_ICMP &&
           (type == ICMP_DESTINATION_UNREACHABLE || type == ICMP_TIME_EXCEEDED ||
            type == ICMP_PARAMETER_PROBLEM);
}

bool match_key_quoted(struct slice packet, const struct ip_head *head, bool inbound,
                      struct match_key *out)
{
    size_t at = (size_t)head->upper_offset + ICMP_HEAD_BYTES;
    struct ip_head quoted;

    if (!is_error(head) || packet.length <= at ||
        !ip_read_quoted((struct slice){packet.data + at, packet.length - at}, &quoted) ||
        quoted.family != head->family || !address_equal(&head->destination, &quoted.source)) {
        return false;
    }
    *out = inbound ? match_key_outbound(&quoted) : match_key_inbound(&quoted);
    return true;
}

static bool match_end_equal(const struct match_end *a, const struct match_end *b)
{
    return a->address.high == b->address.high && a->address.low == b->address.low &&
           a->port == b->port;
}

bool match_key_equal(const struct match_key *a, const struct match_key *b)
{
    return match_end_equal(&a->local, &b->local) && match_end_equal(&a->remote, &b->remote) &&
           a->family == b->family && a->protocol == b->protocol && a->has_ports == b->has_ports;
}
