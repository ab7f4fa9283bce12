/*
 * The two ends of transport mode. The peer's address is written in the configuration, or it is what
 * his name means; ours is written, or the one from which he is reached. Rules that lead the traffic
 * into the TUN device stand as soon as the peer's address is known, whether the site is up or not:
 * for all addresses of ours until the right one is known, so that nothing leaves in clear.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#define PEERS_MAX (SITE_ADDRESSES_MAX + 1) /* what the name means, and who is connected */

struct hosts {
    struct address local; /* unset: any of ours */
    bool local_is_said;
    size_t peer_count;
    struct address peers[PEERS_MAX];
    char *name; /* of the peer that they were found for */
    size_t route_count;
    struct gateway_route routes[PEERS_MAX * HOST_PARTS_MAX]; /* those that are held */
};

/* ---- routes ---- */

static struct gateway_route route_of(const struct site *site, const struct address *peer,
                                     size_t part)
{
    const struct config_site *c = site->config;
    const struct address *local = &site->hosts->local;
    struct address any = {0};
    struct gateway_route route =
        routes_between(local->family == peer->family ? local : &any, peer, c->only_protocol,
                       c->only_port_first, c->only_port_last);

    if (part > 0) {
        route.local_port_first = route.port_first;
        route.local_port_last = route.port_last;
        route.port_first = 0;
        route.port_last = UINT16_MAX;
    }
    return route;
}

/* New ones stand before old ones go. */
static void refresh_routes(struct site *site)
{
    struct gateway *g = site->gateway;
    struct hosts *h = site->hosts;
    struct gateway_route wanted[PEERS_MAX * HOST_PARTS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < h->peer_count && site->config->enabled && site->config->routes; i++) {
        for (size_t part = 0; part < site->selectors.parts; part++) {
            wanted[count++] = route_of(site, &h->peers[i], part);
        }
    }
    for (size_t i = 0; i < count; i++) {
        routes_hold(g, &wanted[i]);
    }
    for (size_t i = 0; i < h->route_count; i++) {
        routes_release(g, &h->routes[i]);
    }
    memcpy(h->routes, wanted, count * sizeof(wanted[0]));
    h->route_count = count;
}

void hosts_try_again(struct site *site)
{
    const struct hosts *h = site->hosts;

    for (size_t i = 0; h != NULL && i < h->route_count; i++) {
        struct gateway_action *action = actions_add(site->gateway, GATEWAY_ROUTE_ADD);

        if (action != NULL) {
            action->route = h->routes[i];
        }
    }
}

/* ---- what is known ---- */

const struct address *hosts_peers(const struct site *site, size_t *count)
{
    *count = site->hosts == NULL ? 0 : site->hosts->peer_count;
    return site->hosts == NULL ? NULL : site->hosts->peers;
}

bool hosts_has_peer(const struct site *site, const struct network *network)
{
    size_t count;
    const struct address *peers = hosts_peers(site, &count);
    bool found = false;

    for (size_t i = 0; i < count; i++) {
        found = found || address_equal(&peers[i], &network->address);
    }
    return found;
}

static bool is_known(const struct hosts *h, const struct address *peer)
{
    for (size_t i = 0; i < h->peer_count; i++) {
        if (address_equal(&h->peers[i], peer)) {
            return true;
        }
    }
    return false;
}

static void ask_source(struct site *site)
{
    struct gateway *g = site->gateway;
    const struct hosts *h = site->hosts;

    if (h == NULL || h->local_is_said || h->peer_count == 0 || !site->config->enabled) {
        return;
    }
    uint64_t question = questions_ask(g, QUESTION_SOURCE_HOST, site, NULL, 0);
    struct gateway_action *action = question == 0 ? NULL : actions_add(g, GATEWAY_FIND_SOURCE);

    if (action != NULL) {
        action->source.question = question;
        action->source.peer = h->peers[0];
    }
}

void hosts_source(struct site *site, const struct address *local)
{
    struct hosts *h = site->hosts;

    if (h == NULL || h->local_is_said || local == NULL || address_is_unset(local) ||
        address_equal(local, &h->local)) {
        return;
    }
    h->local = *local;
    refresh_routes(site);
}

/* A name that means other addresses: the traffic to the old ones is nobody's any more. */
static void set_peers(struct site *site, const struct address *peers, size_t count)
{
    struct hosts *h = site->hosts;

    memcpy(h->peers, peers, count * sizeof(*peers));
    h->peer_count = count;
    refresh_routes(site);
    site->gateway->policies_stale = true;
}

static bool is_by_name(const struct site *site)
{
    return site->hosts != NULL && site->config->network_count == 0 &&
           site->config->peers[0].address.family == FAMILY_NONE;
}

void hosts_resolved(struct site *site, const struct address *addresses, size_t count)
{
    bool same = is_by_name(site) && site->hosts->peer_count == count;

    if (!is_by_name(site)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        same = same && is_known(site->hosts, &addresses[i]);
    }
    if (!same) {
        set_peers(site, addresses, count);
        ask_source(site);
    }
}

void hosts_established(struct ike *ike)
{
    struct site *site = ike->site;

    if (site->hosts == NULL) {
        return;
    }
    if (is_by_name(site) && !is_known(site->hosts, &ike->peer.address)) {
        struct hosts *h = site->hosts;
        struct address all[PEERS_MAX] = {ike->peer.address};
        size_t others = h->peer_count < PEERS_MAX - 1 ? h->peer_count : PEERS_MAX - 1;

        memcpy(all + 1, h->peers, others * sizeof(all[0]));
        set_peers(site, all, others + 1);
    }
    hosts_source(site, &ike->local.address);
}

/* ---- our own addresses ---- */

void hosts_addresses_changed(struct gateway *g)
{
    for (size_t i = 0; i < g->site_count; i++) {
        struct hosts *h = g->sites[i]->hosts;

        if (h != NULL && !h->local_is_said && h->local.family != FAMILY_NONE) {
            h->local = (struct address){0};
            refresh_routes(g->sites[i]);
        }
    }
}

void hosts_ask_sources(struct gateway *g)
{
    for (size_t i = 0; i < g->site_count; i++) {
        ask_source(g->sites[i]);
    }
}

/* ---- life ---- */

void hosts_free(struct site *site)
{
    struct hosts *h = site->hosts;

    if (h == NULL) {
        return;
    }
    for (size_t i = 0; i < h->route_count; i++) {
        routes_release(site->gateway, &h->routes[i]);
    }
    free(h->name);
    free(h);
    site->hosts = NULL;
}

static const struct address *only_listen_address(const struct config *config, uint8_t family)
{
    const struct address *found = NULL;

    for (size_t i = 0; i < config->listen_count; i++) {
        if (config->listen[i].family == family && !address_is_any(&config->listen[i])) {
            if (found != NULL) {
                return NULL;
            }
            found = &config->listen[i];
        }
    }
    return found;
}

static void take_said(struct site *site, struct hosts *h)
{
    const struct config_site *c = site->config;
    const struct address *peer =
        c->network_count > 0 ? &c->networks[0].address : &c->peers[0].address;
    const struct address *local = c->lan_count > 0 ? &c->lans[0].address : NULL;
    bool same_name = h->name != NULL && strcmp(h->name, c->peers[0].text) == 0;

    if (peer->family != FAMILY_NONE) {
        h->peers[0] = *peer;
        h->peer_count = 1;
    } else if (!same_name) {
        h->peer_count = 0;
    }
    if (!same_name) {
        free(h->name);
        h->name = strdup(c->peers[0].text);
        h->local = (struct address){0};
    }
    if (local == NULL && peer->family != FAMILY_NONE) {
        local = only_listen_address(site->gateway->config, peer->family);
    }
    if (local != NULL) {
        h->local = *local;
    } else if (h->local_is_said) {
        h->local = (struct address){0};
    }
    h->local_is_said = local != NULL;
}

void hosts_configure(struct site *site)
{
    struct gateway *g = site->gateway;

    if (site->config->carriage.mode != CONFIG_TRANSPORT) {
        hosts_free(site);
        return;
    }
    if (site->hosts == NULL) {
        site->hosts = calloc(1, sizeof(*site->hosts));
    }
    if (site->hosts == NULL) {
        log_line(g->log, LOG_LEVEL_ERROR, site->name, "no memory for its hosts");
        return;
    }
    take_said(site, site->hosts);
    refresh_routes(site);
    if (site->hosts->local.family == FAMILY_NONE) {
        ask_source(site);
    }
}
