/*
 * Networks that lead to the TUN device. A route stands from the moment its site is configured,
 * whether the site is up or not, so that traffic is caught (and waits or is dropped) instead of
 * leaving in clear. Sites may share a network.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

struct route {
    struct network network;
    size_t users;
};

#define ROUTE_KEY_BYTES 18

static struct slice key_of(const struct network *n, uint8_t key[ROUTE_KEY_BYTES])
{
    key[0] = n->address.family;
    key[1] = n->prefix_bits;
    memcpy(key + 2, n->address.bytes, sizeof(n->address.bytes));
    return (struct slice){key, ROUTE_KEY_BYTES};
}

static bool wants_routes(const struct config_site *site)
{
    return site->enabled && site->routes;
}

static void tell(struct gateway *g, enum gateway_action_kind kind, const struct network *network)
{
    struct gateway_action *action = actions_add(g, kind);

    if (action != NULL) {
        action->route.network = *network;
    }
}

static void add_one(struct gateway *g, const struct network *network)
{
    uint8_t bytes[ROUTE_KEY_BYTES];
    struct slice key = key_of(network, bytes);
    struct route *route = table_find(&g->routes, key);

    if (route != NULL) {
        route->users++;
        return;
    }
    route = calloc(1, sizeof(*route));
    if (route == NULL) {
        return;
    }
    *route = (struct route){.network = *network, .users = 1};
    if (!table_add(&g->routes, key, route)) {
        free(route);
        return;
    }
    tell(g, GATEWAY_ROUTE_ADD, network);
}

static void remove_one(struct gateway *g, const struct network *network)
{
    uint8_t bytes[ROUTE_KEY_BYTES];
    struct slice key = key_of(network, bytes);
    struct route *route = table_find(&g->routes, key);

    if (route == NULL || --route->users > 0) {
        return;
    }
    (void)table_remove(&g->routes, key);
    free(route);
    tell(g, GATEWAY_ROUTE_REMOVE, network);
}

void routes_add(struct gateway *g, struct site *site)
{
    free(site->route_trouble);
    site->route_trouble = NULL;
    if (!wants_routes(site->config)) {
        return;
    }
    for (size_t i = 0; i < site->config->network_count; i++) {
        add_one(g, &site->config->networks[i]);
    }
}

void routes_try_again(struct gateway *g, struct site *site)
{
    if (site->route_trouble == NULL || !wants_routes(site->config)) {
        return;
    }
    free(site->route_trouble);
    site->route_trouble = NULL;
    for (size_t i = 0; i < site->config->network_count; i++) {
        tell(g, GATEWAY_ROUTE_ADD, &site->config->networks[i]);
    }
}

void routes_remove(struct gateway *g, const struct config_site *site)
{
    if (!wants_routes(site)) {
        return;
    }
    for (size_t i = 0; i < site->network_count; i++) {
        remove_one(g, &site->networks[i]);
    }
}

static void drop(void *context, struct slice key, void *value)
{
    struct gateway *g = context;
    struct route *route = value;

    (void)table_remove(&g->routes, key);
    tell(g, GATEWAY_ROUTE_REMOVE, &route->network);
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

void gateway_route_failed(struct gateway *g, const struct network *network, const char *why)
{
    for (size_t i = 0; i < g->site_count; i++) {
        struct site *site = g->sites[i];

        for (size_t j = 0; j < site->config->network_count; j++) {
            if (!wants_routes(site->config) ||
                !network_equal(&site->config->networks[j], network)) {
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
}
