/* Decides which rtnetlink messages are sent, and what the kernel's answers mean. */
#include "host/netlink.h"

#include "host/netlink_request.h"
#include "host/sockaddr.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_WAIT_S 5

/* ---- opening ---- */

static int open_socket(uint32_t groups)
{
    struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = groups};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | (groups != 0 ? SOCK_NONBLOCK : 0),
                    NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (const struct sockaddr *)&name, sizeof(name)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

bool netlink_open(struct netlink *nl, char *why, size_t why_bytes)
{
    /* The kernel answers within the call; the limit is for a kernel that does not. */
    struct timeval limit = {.tv_sec = ANSWER_WAIT_S};

    *nl = (struct netlink){.fd = open_socket(0), .watch_fd = -1};
    if (nl->fd < 0 || setsockopt(nl->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
        snprintf(why, why_bytes, "cannot talk to the system about routes: %s", strerror(errno));
        netlink_close(nl);
        return false;
    }
    return true;
}

void netlink_close(struct netlink *nl)
{
    if (nl->fd > 0) {
        (void)close(nl->fd);
    }
    if (nl->watch_fd > 0) {
        (void)close(nl->watch_fd);
    }
    free(nl->pairs);
    *nl = (struct netlink){.fd = -1, .watch_fd = -1};
}

/* ---- interfaces and addresses ---- */

bool netlink_link_up(struct netlink *nl, int interface_index, uint16_t mtu, char *why,
                     size_t why_bytes)
{
    struct request r;
    struct ifinfomsg head = {.ifi_index = interface_index};
    const uint8_t no_addresses = 1; /* IN6_ADDR_GEN_MODE_NONE */

    request_start(&r, RTM_NEWLINK, 0, &head, sizeof(head));
    struct rtattr *families = request_add(&r, IFLA_AF_SPEC, NULL, 0);
    struct rtattr *family = request_add(&r, AF_INET6, NULL, 0);
    (void)request_add(&r, IFLA_INET6_ADDR_GEN_MODE, &no_addresses, sizeof(no_addresses));
    request_end_nest(&r, family);
    request_end_nest(&r, families);
    (void)netlink_order(nl, &r); /* refused where IPv6 is off, and then not needed */

    head.ifi_flags = IFF_UP;
    head.ifi_change = IFF_UP;
    request_start(&r, RTM_NEWLINK, 0, &head, sizeof(head));
    if (mtu != 0) {
        uint32_t value = mtu;

        (void)request_add(&r, IFLA_MTU, &value, sizeof(value));
    }
    int error = netlink_order(nl, &r);
    if (error != 0) {
        snprintf(why, why_bytes, "cannot bring the device up: %s", strerror(error));
    }
    return error == 0;
}

bool netlink_address_add(struct netlink *nl, int interface_index, const struct address *address,
                         uint8_t prefix_bits, char *why, size_t why_bytes)
{
    struct request r;
    struct ifaddrmsg head = {.ifa_family = (uint8_t)sockaddr_family((enum family)address->family),
                             .ifa_prefixlen = prefix_bits,
                             .ifa_flags = IFA_F_NODAD & 0xff,
                             .ifa_index = (unsigned)interface_index};

    request_start(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
    request_add_address(&r, IFA_LOCAL, address);
    request_add_address(&r, IFA_ADDRESS, address);
    int error = netlink_order(nl, &r);
    if (error != 0) {
        char text[ADDRESS_TEXT_BYTES];

        snprintf(why, why_bytes, "cannot give the device the address %s: %s",
                 address_format(address, text), strerror(error));
    }
    return error == 0;
}

bool netlink_address_remove(struct netlink *nl, int interface_index, const struct address *address,
                            uint8_t prefix_bits, char *why, size_t why_bytes)
{
    struct request r;
    struct ifaddrmsg head = {.ifa_family = (uint8_t)sockaddr_family((enum family)address->family),
                             .ifa_prefixlen = prefix_bits,
                             .ifa_index = (unsigned)interface_index};

    request_start(&r, RTM_DELADDR, 0, &head, sizeof(head));
    request_add_address(&r, IFA_LOCAL, address);
    int error = netlink_order(nl, &r);
    if (error != 0 && error != EADDRNOTAVAIL && error != ENODEV) {
        char text[ADDRESS_TEXT_BYTES];

        snprintf(why, why_bytes, "cannot take the address %s from the device: %s",
                 address_format(address, text), strerror(error));
        return false;
    }
    return true;
}

struct addresses_found {
    struct netlink_address *out;
    size_t count, capacity;
};

static void visit_address(void *context, struct nlmsghdr *message)
{
    struct addresses_found *found = context;
    struct ifaddrmsg head;
    struct address address = {0};

    if (message->nlmsg_type != RTM_NEWADDR || message->nlmsg_len < NLMSG_LENGTH(sizeof(head))) {
        return;
    }
    memcpy(&head, NLMSG_DATA(message), sizeof(head));
    unsigned left = message->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(head));
    for (struct rtattr *a = IFA_RTA(NLMSG_DATA(message)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        /* On a point-to-point link IFA_ADDRESS is the other end, and IFA_LOCAL, if given, is ours.
         */
        if (a->rta_type == IFA_LOCAL || (a->rta_type == IFA_ADDRESS && address.family == 0)) {
            (void)attribute_address(a, head.ifa_family, &address);
        }
    }
    if (address.family == FAMILY_NONE || address_is_loopback(&address) ||
        address_is_link_local(&address) || found->count == found->capacity) {
        return;
    }
    found->out[found->count++] = (struct netlink_address){.address = address,
                                                          .prefix_bits = head.ifa_prefixlen,
                                                          .interface_index = (int)head.ifa_index};
}

size_t netlink_addresses(struct netlink *nl, struct netlink_address *out, size_t capacity)
{
    struct addresses_found found = {.out = out, .capacity = capacity};
    struct ifaddrmsg head = {.ifa_family = AF_UNSPEC};
    struct request r;

    request_start(&r, RTM_GETADDR, NLM_F_DUMP, &head, sizeof(head));
    (void)netlink_ask(nl, &r, visit_address, &found);
    return found.count;
}

static bool carries(unsigned flags)
{
    return (flags & IFF_UP) != 0 && (flags & IFF_RUNNING) != 0;
}

static void visit_link(void *context, struct nlmsghdr *message)
{
    struct netlink_link *link = context;
    struct ifinfomsg head;

    if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof(head))) {
        return;
    }
    memcpy(&head, NLMSG_DATA(message), sizeof(head));
    link->carries = carries(head.ifi_flags);
    unsigned left = message->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(head));
    for (struct rtattr *a = IFLA_RTA(NLMSG_DATA(message)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        size_t length = RTA_PAYLOAD(a);

        if (a->rta_type == IFLA_MTU && length == sizeof(uint32_t)) {
            uint32_t value;

            memcpy(&value, RTA_DATA(a), sizeof(value));
            link->mtu = value > UINT16_MAX ? UINT16_MAX : (uint16_t)value;
        } else if (a->rta_type == IFLA_IFNAME && length > 0 && length <= sizeof(link->name)) {
            memcpy(link->name, RTA_DATA(a), length);
            link->name[length - 1] = '\0';
        }
    }
}

struct netlink_link netlink_link(struct netlink *nl, int interface_index)
{
    struct ifinfomsg head = {.ifi_index = interface_index};
    struct netlink_link link = {0};
    struct request r;

    request_start(&r, RTM_GETLINK, 0, &head, sizeof(head));
    (void)netlink_ask(nl, &r, visit_link, &link);
    return link;
}

uint16_t netlink_link_mtu(struct netlink *nl, int interface_index)
{
    return netlink_link(nl, interface_index).mtu;
}

/* ---- routes ---- */

/* A route as it stands in a dump. */
struct route {
    struct network network;
    int interface_index;
    uint8_t protocol, type;
    uint32_t table, priority;
    struct address source;
    uint32_t mtu;
};

static void read_metrics(struct rtattr *metrics, struct route *out)
{
    unsigned left = (unsigned)RTA_PAYLOAD(metrics);

    for (struct rtattr *a = RTA_DATA(metrics); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type == RTAX_MTU && RTA_PAYLOAD(a) == sizeof(out->mtu)) {
            memcpy(&out->mtu, RTA_DATA(a), sizeof(out->mtu));
        }
    }
}

static bool read_route(struct nlmsghdr *message, struct route *out)
{
    struct rtmsg head;
    uint32_t interface_index = 0;

    if (message->nlmsg_type != RTM_NEWROUTE || message->nlmsg_len < NLMSG_LENGTH(sizeof(head))) {
        return false;
    }
    memcpy(&head, NLMSG_DATA(message), sizeof(head));
    if (head.rtm_family != AF_INET && head.rtm_family != AF_INET6) {
        return false;
    }
    *out = (struct route){.protocol = head.rtm_protocol, .type = head.rtm_type};
    out->table = head.rtm_table;
    out->network.prefix_bits = head.rtm_dst_len;
    out->network.address.family = head.rtm_family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6;
    unsigned left = message->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(head));
    for (struct rtattr *a = RTM_RTA(NLMSG_DATA(message)); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        switch (a->rta_type) {
        case RTA_DST:
            (void)attribute_address(a, head.rtm_family, &out->network.address);
            break;
        case RTA_PREFSRC:
            (void)attribute_address(a, head.rtm_family, &out->source);
            break;
        case RTA_OIF:
            (void)attribute_number(a, &interface_index);
            break;
        case RTA_TABLE:
            (void)attribute_number(a, &out->table);
            break;
        case RTA_PRIORITY:
            (void)attribute_number(a, &out->priority);
            break;
        case RTA_METRICS:
            read_metrics(a, out);
            break;
        default: /* the kernel's list grows */
            break;
        }
    }
    out->interface_index = (int)interface_index;
    return true;
}

struct conflict {
    const struct network *network;
    struct route route;
    bool found;
};

static void visit_conflict(void *context, struct nlmsghdr *message)
{
    struct conflict *conflict = context;
    struct route route;

    if (read_route(message, &route) && route.table == RT_TABLE_MAIN &&
        network_equal(&route.network, conflict->network) &&
        (!conflict->found || route.priority < conflict->route.priority)) {
        conflict->route = route;
        conflict->found = true;
    }
}

static void dump_routes(struct netlink *nl, enum family family, netlink_visit visit, void *context)
{
    struct rtmsg head = {.rtm_family = (uint8_t)sockaddr_family(family)};
    struct request r;

    request_start(&r, RTM_GETROUTE, NLM_F_DUMP, &head, sizeof(head));
    (void)netlink_ask(nl, &r, visit, context);
}

/* The network has a route already: ours, or somebody's who must be named. */
static bool explain_conflict(struct netlink *nl, const struct network *network, int interface_index,
                             char *why, size_t why_bytes)
{
    struct conflict conflict = {.network = network};
    char text[NETWORK_TEXT_BYTES];
    char name[IF_NAMESIZE] = "another device";

    dump_routes(nl, (enum family)network->address.family, visit_conflict, &conflict);
    if (conflict.found && conflict.route.interface_index == interface_index) {
        return true;
    }
    if (conflict.found) {
        (void)if_indextoname((unsigned)conflict.route.interface_index, name);
    }
    network_format(network, text);
    snprintf(why, why_bytes,
             "the system has a route to %s over %s already: remove it (ip route del %s dev %s), or "
             "the tunnel gets no traffic",
             text, name, text, name);
    return false;
}

bool netlink_route_add(struct netlink *nl, const struct network *network, int interface_index,
                       const struct address *source, char *why, size_t why_bytes)
{
    struct request r;

    request_route(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, network, interface_index,
                  RT_TABLE_MAIN);
    if (source != NULL && source->family == network->address.family) {
        request_add_address(&r, RTA_PREFSRC, source);
    }
    int error = netlink_order(nl, &r);
    if (error == EEXIST) {
        if (!explain_conflict(nl, network, interface_index, why, why_bytes)) {
            return false;
        }
        /* Ours, perhaps with another source or with one that it is to lose: it is never without a
         * route in between. */
        r.header.nlmsg_flags = (uint16_t)((r.header.nlmsg_flags & ~NLM_F_EXCL) | NLM_F_REPLACE);
        error = netlink_order(nl, &r);
    }
    if (error == 0) {
        return true;
    }
    char text[NETWORK_TEXT_BYTES];
    snprintf(why, why_bytes, "cannot set the route to %s: %s", network_format(network, text),
             strerror(error));
    return false;
}

/* Zero or an error number; what was gone already is no mistake. */
static int remove_route(struct netlink *nl, const struct network *network, int interface_index,
                        uint32_t table)
{
    struct request r;

    request_route(&r, RTM_DELROUTE, 0, network, interface_index, table);
    int error = netlink_order(nl, &r);
    return error == ESRCH || error == ENODEV ? 0 : error;
}

bool netlink_route_remove(struct netlink *nl, const struct network *network, int interface_index,
                          char *why, size_t why_bytes)
{
    int error = remove_route(nl, network, interface_index, RT_TABLE_MAIN);
    if (error == 0) {
        return true;
    }
    char text[NETWORK_TEXT_BYTES];
    snprintf(why, why_bytes, "cannot remove the route to %s: %s", network_format(network, text),
             strerror(error));
    return false;
}

#define CLEAN_MAX 256

struct leftovers {
    int interface_index;
    struct {
        struct network network;
        uint32_t table;
    } routes[CLEAN_MAX];
    size_t count;
};

static void visit_leftover(void *context, struct nlmsghdr *message)
{
    struct leftovers *left = context;
    struct route route;

    if (read_route(message, &route) && route.protocol == NETLINK_ROUTE_PROTOCOL &&
        (route.table == RT_TABLE_MAIN || route.table == NETLINK_TABLE) &&
        route.interface_index == left->interface_index && left->count < CLEAN_MAX) {
        left->routes[left->count].network = route.network;
        left->routes[left->count++].table = route.table;
    }
}

size_t netlink_routes_clean(struct netlink *nl, int interface_index)
{
    const enum family families[] = {FAMILY_IPV4, FAMILY_IPV6};
    size_t removed = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
        struct leftovers left = {.interface_index = interface_index};
        bool progress = true;

        while (progress) {
            progress = false;
            left.count = 0;
            dump_routes(nl, families[i], visit_leftover, &left);
            for (size_t n = 0; n < left.count; n++) {
                if (remove_route(nl, &left.routes[n].network, interface_index,
                                 left.routes[n].table) == 0) {
                    removed++;
                    progress = true;
                }
            }
        }
    }
    return removed;
}

static void visit_path(void *context, struct nlmsghdr *message)
{
    struct route *route = context;

    (void)read_route(message, route);
}

bool netlink_path_by(struct netlink *nl, const struct address *to, const struct address *local,
                     int interface_index, struct netlink_path *out)
{
    struct rtmsg head = {.rtm_family = (uint8_t)sockaddr_family((enum family)to->family),
                         .rtm_dst_len = (uint8_t)(address_bytes((enum family)to->family) * 8)};
    const uint32_t mark = DATAGRAM_MARK;
    struct request r;
    struct route route = {0};

    request_start(&r, RTM_GETROUTE, 0, &head, sizeof(head));
    request_add_address(&r, RTA_DST, to);
    (void)request_add(&r, RTA_MARK, &mark, sizeof(mark));
    if (local != NULL) {
        const uint32_t by = (uint32_t)interface_index;

        request_add_address(&r, RTA_SRC, local);
        (void)request_add(&r, RTA_OIF, &by, sizeof(by));
    }
    if (netlink_ask(nl, &r, visit_path, &route) != 0 || route.interface_index == 0 ||
        (route.type != RTN_UNICAST && route.type != RTN_LOCAL)) {
        return false;
    }
    *out = (struct netlink_path){.interface_index = route.interface_index, .source = route.source};
    out->mtu = route.mtu > 0 && route.mtu <= UINT16_MAX
                   ? (uint16_t)route.mtu
                   : netlink_link_mtu(nl, route.interface_index);
    return true;
}

bool netlink_path(struct netlink *nl, const struct address *to, struct netlink_path *out)
{
    return netlink_path_by(nl, to, NULL, 0, out);
}

struct uplink {
    int except;
    struct route best;
};

static void visit_default(void *context, struct nlmsghdr *message)
{
    struct uplink *uplink = context;
    struct route route;

    if (read_route(message, &route) && route.table == RT_TABLE_MAIN &&
        route.network.prefix_bits == 0 && route.type == RTN_UNICAST && route.interface_index != 0 &&
        route.interface_index != uplink->except &&
        (uplink->best.interface_index == 0 || route.priority < uplink->best.priority)) {
        uplink->best = route;
    }
}

int netlink_uplink(struct netlink *nl, enum family family, int except)
{
    struct uplink uplink = {.except = except};

    dump_routes(nl, family, visit_default, &uplink);
    return uplink.best.interface_index;
}

/* ---- watching ---- */

bool netlink_watch(struct netlink *nl, char *why, size_t why_bytes)
{
    nl->watch_fd = open_socket(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_LINK |
                               RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
    if (nl->watch_fd < 0) {
        snprintf(why, why_bytes, "cannot watch the addresses of this machine: %s", strerror(errno));
        return false;
    }
    return true;
}

/* Of what the watched groups tell much is about ourselves, or changes nothing for us. */
/* Of a carrier that comes or goes the system does not say that it is a change. */
static bool carries_anew(struct netlink *nl, const struct ifinfomsg *link)
{
    size_t i = 0;

    while (i < nl->seen_count && nl->seen[i].interface_index != link->ifi_index) {
        i++;
    }
    bool same = i < nl->seen_count && nl->seen[i].carries == carries(link->ifi_flags);

    if (i == NETLINK_SEEN_MAX) {
        i = (size_t)link->ifi_index % NETLINK_SEEN_MAX;
    } else if (i == nl->seen_count) {
        nl->seen_count++;
    }
    nl->seen[i] = (struct netlink_seen){link->ifi_index, carries(link->ifi_flags)};
    return !same;
}

static bool is_change(struct netlink *nl, struct nlmsghdr *message)
{
    struct ifinfomsg link;
    struct route route;

    switch (message->nlmsg_type) {
    case RTM_NEWADDR:
    case RTM_DELADDR:
    case RTM_DELLINK:
        return true;
    case RTM_NEWLINK:
        if (message->nlmsg_len < NLMSG_LENGTH(sizeof(link))) {
            return false;
        }
        memcpy(&link, NLMSG_DATA(message), sizeof(link));
        return carries_anew(nl, &link) || (link.ifi_change & (IFF_UP | IFF_RUNNING)) != 0;
    case RTM_DELROUTE:
        message->nlmsg_type = RTM_NEWROUTE; /* it looks the same */
        break;
    default:
        break;
    }
    return read_route(message, &route) && route.protocol != NETLINK_ROUTE_PROTOCOL &&
           route.type == RTN_UNICAST && route.table != RT_TABLE_LOCAL;
}

bool netlink_changed(struct netlink *nl)
{
    _Alignas(struct nlmsghdr) uint8_t bytes[16384];
    bool changed = false;

    for (;;) {
        ssize_t got = recv(nl->watch_fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (got < 0 && errno != ENOBUFS) {
            return changed;
        }
        changed = changed || got < 0; /* too many to be kept is a change too */
        unsigned left = got < 0 ? 0 : (unsigned)got;
        for (struct nlmsghdr *m = (struct nlmsghdr *)bytes; NLMSG_OK(m, left);
             m = NLMSG_NEXT(m, left)) {
            changed = is_change(nl, m) || changed;
        }
    }
}
