/*
 * Decides by which rules packets between two hosts are led into the TUN device, while what protects
 * them goes out to the same host. The kernel's rules are a set computed from the pairs that are
 * wanted, so pairs may share rules.
 */
#include "host/netlink_request.h"
#include "host/sockaddr.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What must never be led inside is told first: it skips our rules and goes on with the system's. It
 * matters even for packets that carry our mark: a strict reverse path filter (RFC 3704 2.2) asks
 * how an answer to a protected packet that came in would leave, and asks without the mark. */
#define PRIORITY_SKIP (NETLINK_TABLE - 1)
#define PRIORITY_PAIR NETLINK_TABLE
#define PRIORITY_BEHIND (NETLINK_TABLE + 1)
#define PROTOCOL_UDP 17
#define PROTOCOL_ESP 50
#define PROTOCOL_AH 51
#define PORT_MAX 65535
#define LEFTOVERS_MAX 100000

struct rule {
    uint32_t priority;
    uint8_t action;
    enum family family;
    const struct address *from, *to; /* NULL: any */
    uint8_t protocol;
    struct fib_rule_port_range from_ports, to_ports; /* both zero: any */
};

static const struct address unset_ipv4 = {.family = FAMILY_IPV4};

static void rule_request(struct request *r, uint16_t type, uint16_t flags, const struct rule *rule)
{
    const uint8_t ours = NETLINK_ROUTE_PROTOCOL;
    const uint32_t table = NETLINK_TABLE, mark = 0, mask = DATAGRAM_MARK;
    const uint32_t behind = PRIORITY_BEHIND;
    struct fib_rule_hdr head = {.family = (uint8_t)sockaddr_family(rule->family),
                                .action = rule->action};

    head.dst_len = rule->to == NULL ? 0 : (uint8_t)(address_bytes(rule->family) * 8);
    head.src_len = rule->from == NULL ? 0 : (uint8_t)(address_bytes(rule->family) * 8);
    request_start(r, type, flags, &head, sizeof(head));
    (void)request_add(r, FRA_PRIORITY, &rule->priority, sizeof(rule->priority));
    (void)request_add(r, FRA_PROTOCOL, &ours, sizeof(ours));
    if (rule->to != NULL) {
        request_add_address(r, FRA_DST, rule->to);
    }
    if (rule->from != NULL) {
        request_add_address(r, FRA_SRC, rule->from);
    }
    if (rule->priority == PRIORITY_PAIR) {
        (void)request_add(r, FRA_TABLE, &table, sizeof(table));
        (void)request_add(r, FRA_FWMARK, &mark, sizeof(mark));
        (void)request_add(r, FRA_FWMASK, &mask, sizeof(mask));
    } else if (rule->action == FR_ACT_GOTO) {
        (void)request_add(r, FRA_GOTO, &behind, sizeof(behind));
    }
    if (rule->protocol != 0) {
        (void)request_add(r, FRA_IP_PROTO, &rule->protocol, sizeof(rule->protocol));
    }
    if (rule->from_ports.end != 0) {
        (void)request_add(r, FRA_SPORT_RANGE, &rule->from_ports, sizeof(rule->from_ports));
    }
    if (rule->to_ports.end != 0) {
        (void)request_add(r, FRA_DPORT_RANGE, &rule->to_ports, sizeof(rule->to_ports));
    }
}

/* Zero or an error number; what stands already is no mistake. */
static int rule_add(struct netlink *nl, const struct rule *rule, uint16_t flags)
{
    struct request r;

    rule_request(&r, RTM_NEWRULE, (uint16_t)(NLM_F_CREATE | flags), rule);
    int error = netlink_order(nl, &r);
    return error == EEXIST ? 0 : error;
}

/* ---- what must not be led inside ---- */

static int add_skips(struct netlink *nl, enum family family,
                     const struct netlink_control_ports *ports)
{
    const struct fib_rule_port_range port = {ports->port, ports->port};
    const struct fib_rule_port_range nat_port = {ports->nat_port, ports->nat_port};
    const struct rule rules[] = {
        {.priority = PRIORITY_BEHIND, .action = FR_ACT_NOP},
        {.priority = PRIORITY_SKIP, .action = FR_ACT_GOTO, .protocol = PROTOCOL_ESP},
        {.priority = PRIORITY_SKIP, .action = FR_ACT_GOTO, .protocol = PROTOCOL_AH},
        {.priority = PRIORITY_SKIP,
         .action = FR_ACT_GOTO,
         .protocol = PROTOCOL_UDP,
         .from_ports = port},
        {.priority = PRIORITY_SKIP,
         .action = FR_ACT_GOTO,
         .protocol = PROTOCOL_UDP,
         .from_ports = nat_port},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        struct rule rule = rules[i];

        rule.family = family;
        int error = rule_add(nl, &rule, NLM_F_EXCL);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* ---- pairs as rules ---- */

/* The kernel's ranges hold 1 to 65534. Nobody can send from or to port 0; what reaches up to 65535
 * becomes all ports, since a port left out would go in clear. */
static struct fib_rule_port_range range_of(uint16_t first, uint16_t last)
{
    if (last == PORT_MAX || last == 0) {
        return (struct fib_rule_port_range){0};
    }
    return (struct fib_rule_port_range){first == 0 ? 1 : first, last};
}

/* A program that has not chosen its source is asked about with an unset one (IPv4), or with none at
 * all (IPv6) and then not again. */
static size_t pair_rules(const struct netlink_pair *pair, struct rule rules[2])
{
    struct rule rule = {.priority = PRIORITY_PAIR,
                        .action = FR_ACT_TO_TBL,
                        .family = (enum family)pair->peer.family,
                        .to = &pair->peer,
                        .protocol = pair->protocol};

    rule.from_ports = range_of(pair->local_port_first, pair->local_port_last);
    rule.to_ports = range_of(pair->peer_port_first, pair->peer_port_last);
    rules[0] = rules[1] = rule;
    if (rule.family == FAMILY_IPV6 || pair->local.family == FAMILY_NONE) {
        return 1;
    }
    rules[0].from = &pair->local;
    rules[1].from = &unset_ipv4;
    return 2;
}

static int add_rules(struct netlink *nl, const struct netlink_pair *pair, uint16_t flags)
{
    struct rule rules[2];
    size_t count = pair_rules(pair, rules);
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i++) {
        error = rule_add(nl, &rules[i], flags);
    }
    return error;
}

static struct network alone(const struct address *peer)
{
    return (struct network){*peer, (uint8_t)(address_bytes((enum family)peer->family) * 8)};
}

/* Programs that have chosen no source get `local`. */
static int set_route(struct netlink *nl, const struct netlink_pair *pair, int interface_index)
{
    struct network peer = alone(&pair->peer);
    struct request r;

    request_route(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &peer, interface_index,
                  NETLINK_TABLE);
    if (pair->local.family == pair->peer.family) {
        request_add_address(&r, RTA_PREFSRC, &pair->local);
    }
    return netlink_order(nl, &r);
}

/* ---- removing rules ---- */

struct peer_rules {
    const struct address *peer;
    size_t count;
};

static void visit_rule(void *context, struct nlmsghdr *message)
{
    struct peer_rules *found = context;
    struct fib_rule_hdr head;
    struct address to = {0};
    uint32_t priority = 0;
    uint8_t protocol = 0;

    if (message->nlmsg_type != RTM_NEWRULE || message->nlmsg_len < NLMSG_LENGTH(sizeof(head))) {
        return;
    }
    memcpy(&head, NLMSG_DATA(message), sizeof(head));
    unsigned left = message->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(head));
    struct rtattr *a =
        (struct rtattr *)(void *)((uint8_t *)NLMSG_DATA(message) + NLMSG_ALIGN(sizeof(head)));
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        if (a->rta_type == FRA_DST) {
            (void)attribute_address(a, head.family, &to);
        } else if (a->rta_type == FRA_PRIORITY) {
            (void)attribute_number(a, &priority);
        } else if (a->rta_type == FRA_PROTOCOL && RTA_PAYLOAD(a) == sizeof(protocol)) {
            memcpy(&protocol, RTA_DATA(a), sizeof(protocol));
        }
    }
    found->count += priority == PRIORITY_PAIR && protocol == NETLINK_ROUTE_PROTOCOL &&
                            address_equal(&to, found->peer)
                        ? 1
                        : 0;
}

static size_t count_rules(struct netlink *nl, const struct address *peer)
{
    struct fib_rule_hdr head = {.family = (uint8_t)sockaddr_family((enum family)peer->family)};
    struct peer_rules found = {.peer = peer};
    struct request r;

    request_start(&r, RTM_GETRULE, NLM_F_DUMP, &head, sizeof(head));
    (void)netlink_ask(nl, &r, visit_rule, &found);
    return found.count;
}

/* An order to remove a rule takes the first that has what it names: one that names less may take
 * another one. So the rules that remain are set once more, behind the old ones, and then as many as
 * there were are removed from the front: at no moment is one missing. */
static int set_rules_again(struct netlink *nl, const struct address *peer, int interface_index)
{
    const struct rule any = {.priority = PRIORITY_PAIR,
                             .action = FR_ACT_TO_TBL,
                             .family = (enum family)peer->family,
                             .to = peer};
    const struct netlink_pair *last = NULL;
    size_t old_count = count_rules(nl, peer);
    struct request r;
    int error = 0;

    for (size_t i = 0; i < nl->pair_count && error == 0; i++) {
        if (address_equal(&nl->pairs[i].peer, peer)) {
            last = &nl->pairs[i];
            error = add_rules(nl, last, 0);
        }
    }
    for (size_t i = 0; i < old_count && error == 0; i++) {
        rule_request(&r, RTM_DELRULE, 0, &any);
        error = netlink_order(nl, &r);
    }
    if (error != 0) {
        return error;
    }
    if (last != NULL) {
        return set_route(nl, last, interface_index);
    }
    struct network network = alone(peer);
    request_route(&r, RTM_DELROUTE, 0, &network, interface_index, NETLINK_TABLE);
    error = netlink_order(nl, &r);
    return error == ESRCH || error == ENODEV ? 0 : error;
}

/* ---- pairs ---- */

static bool pair_equal(const struct netlink_pair *a, const struct netlink_pair *b)
{
    return address_equal(&a->local, &b->local) && address_equal(&a->peer, &b->peer) &&
           a->protocol == b->protocol && a->peer_port_first == b->peer_port_first &&
           a->peer_port_last == b->peer_port_last && a->local_port_first == b->local_port_first &&
           a->local_port_last == b->local_port_last;
}

static size_t find_pair(const struct netlink *nl, const struct netlink_pair *pair)
{
    size_t at = 0;

    while (at < nl->pair_count && !pair_equal(&nl->pairs[at], pair)) {
        at++;
    }
    return at;
}

static bool keep_pair(struct netlink *nl, const struct netlink_pair *pair)
{
    if (nl->pair_count == nl->pair_capacity) {
        size_t capacity = nl->pair_capacity == 0 ? 16 : nl->pair_capacity * 2;
        struct netlink_pair *more = realloc(nl->pairs, capacity * sizeof(*more));

        if (more == NULL) {
            return false;
        }
        nl->pairs = more;
        nl->pair_capacity = capacity;
    }
    nl->pairs[nl->pair_count++] = *pair;
    return true;
}

static void explain(const char *what, const struct netlink_pair *pair, int error, char *why,
                    size_t why_bytes)
{
    char text[ADDRESS_TEXT_BYTES];

    if (error == EOPNOTSUPP || error == EAFNOSUPPORT) {
        snprintf(why, why_bytes,
                 "this kernel has no routing by rules (CONFIG_IP_MULTIPLE_TABLES), so traffic with "
                 "%s itself cannot be led into the tunnel",
                 address_format(&pair->peer, text));
        return;
    }
    snprintf(why, why_bytes, "cannot %s the rule for traffic with %s itself: %s", what,
             address_format(&pair->peer, text), strerror(error));
}

bool netlink_pair_add(struct netlink *nl, const struct netlink_pair *pair,
                      const struct netlink_control_ports *ports, int interface_index, char *why,
                      size_t why_bytes)
{
    /* The route is there before anything is led to it, and what must not be is exempt. */
    int error = add_skips(nl, (enum family)pair->peer.family, ports);

    error = error == 0 ? set_route(nl, pair, interface_index) : error;
    error = error == 0 ? add_rules(nl, pair, NLM_F_EXCL) : error;
    if (error == 0 && find_pair(nl, pair) == nl->pair_count && !keep_pair(nl, pair)) {
        error = ENOMEM;
    }
    if (error != 0) {
        (void)set_rules_again(nl, &pair->peer, interface_index);
        explain("set", pair, error, why, why_bytes);
    }
    return error == 0;
}

bool netlink_pair_remove(struct netlink *nl, const struct netlink_pair *pair, int interface_index,
                         char *why, size_t why_bytes)
{
    size_t at = find_pair(nl, pair);

    if (at == nl->pair_count) {
        return true;
    }
    nl->pairs[at] = nl->pairs[--nl->pair_count];
    int error = set_rules_again(nl, &pair->peer, interface_index);
    if (error != 0) {
        explain("remove", pair, error, why, why_bytes);
    }
    return error == 0;
}

/* All that look like `any`. */
static size_t remove_all(struct netlink *nl, const struct rule *any)
{
    size_t count = 0;
    struct request r;
    int error = 0;

    while (error == 0 && count < LEFTOVERS_MAX) {
        rule_request(&r, RTM_DELRULE, 0, any);
        error = netlink_order(nl, &r);
        count += error == 0 ? 1 : 0;
    }
    return count;
}

size_t netlink_pairs_clean(struct netlink *nl)
{
    const enum family families[] = {FAMILY_IPV4, FAMILY_IPV6};
    /* What exempts goes last. */
    const struct rule kinds[] = {{.priority = PRIORITY_PAIR, .action = FR_ACT_TO_TBL},
                                 {.priority = PRIORITY_SKIP, .action = FR_ACT_GOTO},
                                 {.priority = PRIORITY_BEHIND, .action = FR_ACT_NOP}};
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
            struct rule any = kinds[k];

            any.family = families[i];
            count += remove_all(nl, &any);
        }
    }
    free(nl->pairs);
    nl->pairs = NULL;
    nl->pair_count = nl->pair_capacity = 0;
    return count;
}
