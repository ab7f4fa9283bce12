/*
 * The security policy database (RFC 4301 4.4.1) made from the configuration: what is to be bypassed
 * or discarded, then one entry for each enabled site and manual block, each in the order of the
 * configuration. It stands as long as the site is configured,
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

bool policies_relay_icmp(const struct gateway *g)
{
    return g->config->icmp_errors == CONFIG_ICMP_RELAY;
}

/* ---- what stands before the tunnels ---- */

static const struct range everything[2] = {
    {{FAMILY_IPV4, {0}}, {FAMILY_IPV4, {255, 255, 255, 255}}},
    {{FAMILY_IPV6, {0}},
     {FAMILY_IPV6,
      {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}},
};

/* RFC 7296 3.13.1: type and code of ICMP stand where ports stand. */
static void set_ports(const struct config_policy *c, bool remote, struct selector *s)
{
    s->protocol = c->protocol;
    s->port_first = remote ? c->remote_port_first : c->local_port_first;
    s->port_last = remote ? c->remote_port_last : c->local_port_last;
    if (c->has_icmp_type) {
        s->port_first = (uint16_t)(c->icmp_type << 8 | (c->has_icmp_code ? c->icmp_code : 0));
        s->port_last = (uint16_t)(c->icmp_type << 8 | (c->has_icmp_code ? c->icmp_code : 255));
    }
}

static struct selector *add_ranges(const struct config_policy *c, bool remote, struct selector *at)
{
    size_t count = remote ? c->remote_count : c->local_count;
    const struct range *ranges = remote ? c->remote : c->local;

    if (count == 0) {
        ranges = everything;
        count = ARRAY_LENGTH(everything);
    }
    for (size_t i = 0; i < count; i++) {
        *at = (struct selector){.addresses = {ranges[i].first, ranges[i].last}};
        set_ports(c, remote, at++);
    }
    return at;
}

static size_t selectors_of(const struct config *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->policy_count; i++) {
        const struct config_policy *c = &config->policies[i];

        count += c->local_count == 0 ? ARRAY_LENGTH(everything) : c->local_count;
        count += c->remote_count == 0 ? ARRAY_LENGTH(everything) : c->remote_count;
    }
    return count;
}

/* Bypass and discard, in the order of the configuration. `selectors` has room for all of them. */
static size_t add_exceptions(const struct config *config, struct selector *selectors,
                             struct policy *out)
{
    struct selector *at = selectors;

    for (size_t i = 0; i < config->policy_count; i++) {
        const struct config_policy *c = &config->policies[i];
        struct selector *local = at;
        struct selector *remote = add_ranges(c, false, local);

        at = add_ranges(c, true, remote);
        out[i] = (struct policy){
            .id = EXCEPTION_POLICY + (uint32_t)i,
            .verdict = c->verdict == CONFIG_BYPASS ? POLICY_BYPASS : POLICY_DISCARD,
            .local = local,
            .local_count = (size_t)(remote - local),
            .remote = remote,
            .remote_count = (size_t)(at - remote),
        };
    }
    return config->policy_count;
}

bool policies_publish(struct gateway *g)
{
    size_t most = g->site_count + g->manual_count + g->config->policy_count;
    size_t selector_count = selectors_of(g->config);
    struct policy *policies = calloc(most > 0 ? most : 1, sizeof(*policies));
    struct selector *selectors =
        calloc(selector_count > 0 ? selector_count : 1, sizeof(*selectors));

    if (policies == NULL || selectors == NULL) {
        free(policies);
        free(selectors);
        return false;
    }
    size_t count = add_exceptions(g->config, selectors, policies);
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
            .holds = site->config->start == START_ON_TRAFFIC,
            .relays_icmp = policies_relay_icmp(g),
        };
    }
    count += manual_policies(g, policies + count);
    bool ok = dataplane_set_policies(g->dataplane, policies, count);

    free(policies);
    free(selectors);
    return ok;
}
