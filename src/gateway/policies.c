/*
 * The security policy database (RFC 4301 4.4.1) made from the configuration: one entry for each
 * enabled site, in the order of the configuration. It stands as long as the site is configured,
 * whether there is an SA or not: traffic of a site that is down is dropped and never leaves in
 * clear.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

static void narrow(const struct config_site *site, bool remote, struct selector *s)
{
    s->protocol = site->only_protocol;
    /* `only tcp 25` speaks of what is served behind the peer. */
    if (remote && site->only_protocol != 0) {
        s->port_first = site->only_port_first;
        s->port_last = site->only_port_last;
    }
}

bool policies_make_selectors(const struct config *config, const struct config_site *site,
                             struct selectors *out)
{
    const struct network *lans = site->lan_count > 0 ? site->lans : config->lans;
    size_t lan_count = site->lan_count > 0 ? site->lan_count : config->lan_count;
    size_t count = lan_count + site->network_count;

    *out = (struct selectors){.list = calloc(count > 0 ? count : 1, sizeof(struct selector))};
    if (out->list == NULL) {
        return false;
    }
    for (size_t i = 0; i < lan_count; i++) {
        out->list[i] = selector_of_network(&lans[i]);
        narrow(site, false, &out->list[i]);
    }
    for (size_t i = 0; i < site->network_count; i++) {
        out->list[lan_count + i] = selector_of_network(&site->networks[i]);
        narrow(site, true, &out->list[lan_count + i]);
    }
    out->local_count = lan_count;
    out->remote_count = site->network_count;
    return true;
}

void policies_free_selectors(struct selectors *s)
{
    free(s->list);
    *s = (struct selectors){0};
}

bool policies_selectors_equal(const struct selectors *a, const struct selectors *b)
{
    if (a->local_count != b->local_count || a->remote_count != b->remote_count) {
        return false;
    }
    for (size_t i = 0; i < a->local_count + a->remote_count; i++) {
        if (!selector_equal(&a->list[i], &b->list[i])) {
            return false;
        }
    }
    return true;
}

bool policies_publish(struct gateway *g)
{
    struct policy *policies = calloc(g->site_count > 0 ? g->site_count : 1, sizeof(*policies));
    size_t count = 0;

    if (policies == NULL) {
        return false;
    }
    for (size_t i = 0; i < g->site_count; i++) {
        const struct site *site = g->sites[i];

        if (!site->config->enabled || site->selectors.local_count == 0 ||
            site->selectors.remote_count == 0) {
            continue;
        }
        policies[count++] = (struct policy){
            .id = site->number,
            .verdict = POLICY_PROTECT,
            .local = site->selectors.list,
            .local_count = site->selectors.local_count,
            .remote = site->selectors.list + site->selectors.local_count,
            .remote_count = site->selectors.remote_count,
            .mss_clamp = site->config->mss,
            .inner_mtu = site->config->mtu,
        };
    }
    bool ok = dataplane_set_policies(g->dataplane, policies, count);

    free(policies);
    return ok;
}
