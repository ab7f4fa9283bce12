/*
 * The security policy database (RFC 4301 4.4.1) made from the configuration: what is to be bypassed
 * or discarded, then one entry for each enabled site and manual block, each in the order of the
 * configuration. It stands as long as the site is configured,
 * whether there is an SA or not: traffic of a site that is down is dropped and never leaves in
 * clear.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* `only tcp 25` speaks of what is served behind the peer, the second part of what is served here.
 */
static void narrow(const struct config_site *site, bool has_ports, struct selector *s)
{
    s->protocol = site->only_protocol;
    if (has_ports && site->only_protocol != 0) {
        s->port_first = site->only_port_first;
        s->port_last = site->only_port_last;
    }
}

static void narrow_all(const struct config_site *site, struct selectors *s)
{
    size_t count = s->local_count + s->remote_count;

    memcpy(s->list + count * (s->parts - 1), s->list, count * sizeof(*s->list));
    for (size_t part = 0; part < s->parts; part++) {
        for (size_t i = 0; i < count; i++) {
            narrow(site, (i >= s->local_count) == (part == 0), &s->list[part * count + i]);
        }
    }
}

static bool allocate(const struct config_site *site, size_t local_count, size_t remote_count,
                     struct selectors *out)
{
    size_t parts = site->only_both ? HOST_PARTS_MAX : 1;
    size_t count = (local_count + remote_count) * parts;

    *out = (struct selectors){
        .list = calloc(count > 0 ? count : 1, sizeof(struct selector)),
        .local_count = local_count,
        .remote_count = remote_count,
        .parts = parts,
    };
    return out->list != NULL;
}

/* ---- transport mode ---- */

static struct selector host_selector(const struct address *host)
{
    return (struct selector){.addresses = {*host, *host}, .port_last = UINT16_MAX};
}

static const struct range everything[2] = {
    {{FAMILY_IPV4, {0}}, {FAMILY_IPV4, {255, 255, 255, 255}}},
    {{FAMILY_IPV6, {0}},
     {FAMILY_IPV6,
      {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}},
};

static size_t add_everything(enum family family, struct selector *at)
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(everything); i++) {
        if (family == FAMILY_NONE || everything[i].first.family == family) {
            at[count++] = (struct selector){.addresses = everything[i], .port_last = UINT16_MAX};
        }
    }
    return count;
}

/* RFC 7296 2.23.1: the machine takes the two addresses between which it runs. What is not known
 * before is any address here. */
static bool make_hosts(const struct config_site *site, struct selectors *out)
{
    const struct address *peer =
        site->network_count > 0 ? &site->networks[0].address : &site->peers[0].address;
    struct selector local[ARRAY_LENGTH(everything)];
    struct selector remote[ARRAY_LENGTH(everything)];
    size_t local_count = 1;
    size_t remote_count = 1;

    if (peer->family != FAMILY_NONE) {
        remote[0] = host_selector(peer);
    } else {
        remote_count = add_everything(FAMILY_NONE, remote);
    }
    if (site->lan_count > 0) {
        local[0] = selector_of_network(&site->lans[0]);
    } else {
        local_count = add_everything((enum family)peer->family, local);
    }
    if (!allocate(site, local_count, remote_count, out)) {
        return false;
    }
    memcpy(out->list, local, local_count * sizeof(*local));
    memcpy(out->list + local_count, remote, remote_count * sizeof(*remote));
    narrow_all(site, out);
    return true;
}

/* ---- of a site ---- */

static bool make_pairs(const struct config_site *site, const struct network *lans, size_t lan_count,
                       struct selectors *out)
{
    *out = (struct selectors){
        .list = calloc(2 * SITE_PARTS_MAX, sizeof(struct selector)),
        .local_count = 1,
        .remote_count = 1,
    };
    if (out->list == NULL) {
        return false;
    }
    for (size_t i = 0; i < lan_count; i++) {
        for (size_t j = 0; j < site->network_count; j++) {
            struct selector *pair = out->list + 2 * out->parts;

            if (lans[i].address.family != site->networks[j].address.family ||
                out->parts == SITE_PARTS_MAX) {
                continue;
            }
            pair[0] = selector_of_network(&lans[i]);
            pair[1] = selector_of_network(&site->networks[j]);
            narrow(site, false, &pair[0]);
            narrow(site, true, &pair[1]);
            out->parts++;
        }
    }
    return true;
}

bool policies_make_selectors(const struct config *config, const struct config_site *site,
                             struct selectors *out)
{
    const struct network *lans = site->lan_count > 0 ? site->lans : config->lans;
    size_t lan_count = site->lan_count > 0 ? site->lan_count : config->lan_count;

    if (site->access != NULL || caller_asks(site)) {
        /* Only who was given an address has traffic: see sessions.c and callers.c. */
        bool made = allocate(site, 0, 0, out);

        out->parts = 0;
        return made;
    }
    if (site->carriage.mode == CONFIG_TRANSPORT) {
        return make_hosts(site, out);
    }
    if (site->children == CHILDREN_PER_PAIR) {
        return make_pairs(site, lans, lan_count, out);
    }
    if (!allocate(site, lan_count, site->network_count, out)) {
        return false;
    }
    for (size_t i = 0; i < lan_count; i++) {
        out->list[i] = selector_of_network(&lans[i]);
    }
    for (size_t i = 0; i < site->network_count; i++) {
        out->list[lan_count + i] = selector_of_network(&site->networks[i]);
    }
    narrow_all(site, out);
    return true;
}

void policies_free_selectors(struct selectors *s)
{
    free(s->list);
    *s = (struct selectors){0};
}

const struct selector *policies_local(const struct selectors *s, size_t part)
{
    return s->list + part * (s->local_count + s->remote_count);
}

const struct selector *policies_remote(const struct selectors *s, size_t part)
{
    return policies_local(s, part) + s->local_count;
}

bool policies_selectors_equal(const struct selectors *a, const struct selectors *b)
{
    if (a->local_count != b->local_count || a->remote_count != b->remote_count ||
        a->parts != b->parts) {
        return false;
    }
    for (size_t i = 0; i < (a->local_count + a->remote_count) * a->parts; i++) {
        if (!selector_equal(&a->list[i], &b->list[i])) {
            return false;
        }
    }
    return true;
}

uint32_t policies_id(const struct site *site, size_t part)
{
    assert(site->number < UINT32_C(1) << PART_SHIFT && part < SITE_PARTS_MAX);
    return site->number | (uint32_t)part << PART_SHIFT;
}

size_t policies_part(uint32_t id)
{
    return (id & PART_MASK) >> PART_SHIFT;
}

bool policies_relay_icmp(const struct gateway *g)
{
    return g->config->icmp_errors == CONFIG_ICMP_RELAY;
}

/* ---- what stands before the tunnels ---- */

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

/* In transport mode the peers as far as they are known: nothing goes to others. The selectors are
 * kept in `room` until they are told. */
size_t policies_of_site(const struct site *site, struct selector *room, struct policy *out)
{
    const struct selectors *s = &site->selectors;
    size_t peer_count = 0;
    const struct address *peers = hosts_peers(site, &peer_count);
    bool transport = site->config->carriage.mode == CONFIG_TRANSPORT;
    size_t remote_count = transport ? peer_count : s->remote_count;

    if (!site->config->enabled || s->local_count == 0 || remote_count == 0) {
        return 0;
    }
    for (size_t part = 0; part < s->parts; part++) {
        struct selector *hosts = peer_count > 0 ? room + part * peer_count : NULL;

        for (size_t i = 0; i < peer_count; i++) {
            hosts[i] = policies_remote(s, part)[0];
            hosts[i].addresses = (struct range){peers[i], peers[i]};
        }
        out[part] = (struct policy){
            .id = policies_id(site, part),
            .verdict = POLICY_PROTECT,
            .local = policies_local(s, part),
            .local_count = s->local_count,
            .remote = transport ? hosts : policies_remote(s, part),
            .remote_count = remote_count,
            .mss_clamp = site->config->mss,
            .inner_mtu = site->config->mtu,
            .holds = site->config->start == START_ON_TRAFFIC || populate_is_on(site),
            .populates = populate_kind(site),
            .relays_icmp = policies_relay_icmp(site->gateway),
        };
    }
    return s->parts;
}

static bool publish(struct gateway *g)
{
    size_t most = g->manual_count + g->config->policy_count;
    size_t selector_count = selectors_of(g->config);

    most += sessions_parts(g);
    for (size_t i = 0; i < g->site_count; i++) {
        size_t peer_count;

        (void)hosts_peers(g->sites[i], &peer_count);
        most += g->sites[i]->selectors.parts;
        selector_count += peer_count * g->sites[i]->selectors.parts;
    }
    struct policy *policies = calloc(most > 0 ? most : 1, sizeof(*policies));
    struct selector *selectors =
        calloc(selector_count > 0 ? selector_count : 1, sizeof(*selectors));

    if (policies == NULL || selectors == NULL) {
        free(policies);
        free(selectors);
        return false;
    }
    struct selector *room = selectors + selectors_of(g->config);
    size_t count = add_exceptions(g->config, selectors, policies);

    /* One address is narrower than any network. */
    count += sessions_policies(g, policies + count);

    for (size_t i = 0; i < g->site_count; i++) {
        size_t peer_count;

        count += policies_of_site(g->sites[i], room, policies + count);
        (void)hosts_peers(g->sites[i], &peer_count);
        room += peer_count * g->sites[i]->selectors.parts;
    }
    count += manual_policies(g, policies + count);
    bool ok = dataplane_set_policies(g->dataplane, policies, count);

    free(policies);
    free(selectors);
    return ok;
}

void policies_publish(struct gateway *g)
{
    g->policies_stale = false;
    g->policies_refused = !publish(g);
    if (g->policies_refused) {
        log_line(g->log, LOG_LEVEL_ERROR, "gateway",
                 "%s the data plane refused the policies of this configuration",
                 reason_code(REASON_RESOURCES));
    }
}
