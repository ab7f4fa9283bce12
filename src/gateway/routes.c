/*
 * Networks that lead to the TUN device. A route stands from the moment its site is configured,
 * whether the site is up or not, so that traffic is caught (and waits or is dropped) instead of
 * leaving in clear. Sites may share a network.
 */
#include "gateway/people.h"

#include <stdlib.h>
#include <string.h>

struct route {
    struct gateway_route to;
    size_t users;
};

#define ROUTE_KEY_BYTES 44

/* All that tells routes apart. In transport mode the network is the peer. */
static struct slice key_of(const struct gateway_route *r, uint8_t key[ROUTE_KEY_BYTES])
{
    const struct network *n = &r->network;

    memset(key, 0, ROUTE_KEY_BYTES);
    key[0] = n->address.family;
    key[1] = n->prefix_bits;
    memcpy(key + 2, n->address.bytes, sizeof(n->address.bytes));
    if (r->transport) {
        key[18] = 1;
        key[19] = r->protocol;
        put_u16(key + 20, r->port_first);
        put_u16(key + 22, r->port_last);
        put_u16(key + 24, r->local_port_first);
        put_u16(key + 26, r->local_port_last);
        memcpy(key + 28, r->local.bytes, sizeof(r->local.bytes));
    }
    return (struct slice){key, ROUTE_KEY_BYTES};
}

struct gateway_route routes_to(const struct network *network)
{
    return (struct gateway_route){.network = *network};
}

struct gateway_route routes_between(const struct address *local, const struct address *peer,
                                    uint8_t protocol, uint16_t port_first, uint16_t port_last)
{
    uint8_t bits = (uint8_t)(8 * address_bytes((enum family)peer->family));

    return (struct gateway_route){
        .network = {*peer, bits},
        .transport = true,
        .local = *local,
        .peer = *peer,
        .protocol = protocol,
        .port_first = protocol == 0 ? 0 : port_first,
        .port_last = protocol == 0 ? UINT16_MAX : port_last,
        .local_port_last = UINT16_MAX,
    };
}

/* To networks: in transport mode there are none (hosts.c). */
static bool wants_routes(const struct config_site *site)
{
    return site->enabled && site->routes && site->carriage.mode == CONFIG_TUNNEL;
}

static void tell(struct gateway *g, enum gateway_action_kind kind, const struct gateway_route *to)
{
    struct gateway_action *action = actions_add(g, kind);

    if (action != NULL) {
        action->route = *to;
    }
}

/* What stands is put over, and is never away. */
static void set_local(struct gateway *g, struct route *route, const struct address *local)
{
    struct gateway_route to = route->to;

    if (address_equal(&to.local, local)) {
        return;
    }
    route->to.local = *local;
    to.local = *local;
    to.replaces = true;
    tell(g, GATEWAY_ROUTE_ADD, &to);
}

void routes_hold(struct gateway *g, const struct gateway_route *to)
{
    uint8_t bytes[ROUTE_KEY_BYTES];
    struct slice key = key_of(to, bytes);
    struct route *route = table_find(&g->routes, key);

    if (route != NULL) {
        route->users++;
        if (!to->transport && !address_is_unset(&to->local) &&
            (to->replaces || address_is_unset(&route->to.local))) {
            set_local(g, route, &to->local);
        }
        return;
    }
    route = calloc(1, sizeof(*route));
    if (route == NULL) {
        return;
    }
    *route = (struct route){.to = *to, .users = 1};
    if (!table_add(&g->routes, key, route)) {
        free(route);
        return;
    }
    tell(g, GATEWAY_ROUTE_ADD, to);
}

void routes_release(struct gateway *g, const struct gateway_route *to)
{
    uint8_t bytes[ROUTE_KEY_BYTES];
    struct slice key = key_of(to, bytes);
    struct route *route = table_find(&g->routes, key);

    if (route == NULL) {
        return;
    }
    if (--route->users > 0) {
        /* With an address of ours the system drops the routes that have it: not those of others. */
        if (!to->transport && !address_is_unset(&to->local) &&
            address_equal(&route->to.local, &to->local)) {
            struct address other = caller_address_to(g, &to->network, &to->local);

            set_local(g, route, &other);
        }
        return;
    }
    (void)table_remove(&g->routes, key);
    free(route);
    tell(g, GATEWAY_ROUTE_REMOVE, to);
}

void routes_add(struct gateway *g, struct site *site)
{
    free(site->route_trouble);
    site->route_trouble = NULL;
    if (!wants_routes(site->config)) {
        return;
    }
    for (size_t i = 0; i < site->config->network_count; i++) {
        struct gateway_route to = routes_to(&site->config->networks[i]);

        routes_hold(g, &to);
    }
}

static void try_again(struct gateway *g, const struct network *network)
{
    struct gateway_route to = routes_to(network);
    uint8_t bytes[ROUTE_KEY_BYTES];
    const struct route *route = table_find(&g->routes, key_of(&to, bytes));

    if (route != NULL) {
        to = route->to;
        to.replaces = true;
        tell(g, GATEWAY_ROUTE_ADD, &to);
    }
}

static void try_given(void *context, struct slice key, void *value)
{
    const struct site *site = context;
    const struct route *route = value;

    (void)key;
    if (!route->to.transport && caller_has_route(site, &route->to.network)) {
        try_again(site->gateway, &route->to.network);
    }
}

void routes_try_again(struct gateway *g, struct site *site)
{
    if (site->route_trouble == NULL) {
        return;
    }
    free(site->route_trouble);
    site->route_trouble = NULL;
    hosts_try_again(site);
    table_each(&g->routes, try_given, site);
    if (!wants_routes(site->config)) {
        return;
    }
    for (size_t i = 0; i < site->config->network_count; i++) {
        try_again(g, &site->config->networks[i]);
    }
}

void routes_remove(struct gateway *g, const struct config_site *site)
{
    if (!wants_routes(site)) {
        return;
    }
    for (size_t i = 0; i < site->network_count; i++) {
        struct gateway_route to = routes_to(&site->networks[i]);

        routes_release(g, &to);
    }
}

static void drop(void *context, struct slice key, void *value)
{
    struct gateway *g = context;
    struct route *route = value;

    (void)table_remove(&g->routes, key);
    tell(g, GATEWAY_ROUTE_REMOVE, &route->to);
    free(route);
}

void routes_remove_all(struct gateway *g)
{
    table_each(&g->routes, drop, g);
}

size_t routes_count(const struct gateway *g)
{
    return g->routes.count;
}

static bool has_route(const struct site *site, const struct network *network)
{
    const struct config_site *c = site->config;

    for (size_t i = 0; wants_routes(c) && i < c->network_count; i++) {
        if (network_equal(&c->networks[i], network)) {
            return true;
        }
    }
    return hosts_has_peer(site, network) || caller_has_route(site, network);
}

void gateway_route_failed(struct gateway *g, const struct network *network, const char *why)
{
    for (size_t i = 0; i < g->site_count; i++) {
        struct site *site = g->sites[i];

        if (!has_route(site, network)) {
            continue;
        }
        char text[NETWORK_TEXT_BYTES];
        char words[256];
        struct text out = text_over(words, sizeof(words));

        text_addf(&out, "%s: %s", network_format(network, text), why);
        free(site->route_trouble);
        site->route_trouble = strdup(words);
        log_line(g->log, LOG_LEVEL_ERROR, site->name, "%s a route could not be set: %s",
                 reason_code(REASON_ROUTE_FAILED), words);
    }
}
