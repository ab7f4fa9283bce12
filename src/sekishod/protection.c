/*
 * Decides which packets must not come in clear (RFC 4301 5.2): those between networks that a site
 * protects and between hosts that are in transport mode, but for what the configuration lets pass
 * beside the tunnels.
 */
#include "sekishod/daemon.h"

#include "host/guard.h"

#include <stdio.h>
#include <stdlib.h>

#define PORT_MAX 65535
#define NETWORKS_OF_RANGE_MAX 254

struct entries {
    struct guard_entry *list;
    size_t count;
};

static void add(struct entries *entries, const struct guard_entry *entry)
{
    if (entry->local.address.family != entry->remote.address.family) {
        return;
    }
    /* One more than there may be is enough for the host to refuse them. */
    if (entries->count <= GUARD_ENTRIES_MAX) {
        entries->list[entries->count++] = *entry;
    }
}

static const struct network *everything(void)
{
    static const struct network both[2] = {{.address.family = FAMILY_IPV4},
                                           {.address.family = FAMILY_IPV6}};

    return both;
}

/* Ranges of a policy as networks; none stand for all. Returns how many. */
static size_t networks_of(const struct range *ranges, size_t count, size_t at,
                          struct network out[NETWORKS_OF_RANGE_MAX])
{
    if (count == 0) {
        out[0] = everything()[0];
        out[1] = everything()[1];
        return 2;
    }
    return range_to_networks(&ranges[at], out, NETWORKS_OF_RANGE_MAX);
}

static void add_policy_pair(struct entries *entries, const struct config_policy *policy, size_t l,
                            size_t r)
{
    struct network local[NETWORKS_OF_RANGE_MAX], remote[NETWORKS_OF_RANGE_MAX];
    size_t local_count = networks_of(policy->local, policy->local_count, l, local);
    size_t remote_count = networks_of(policy->remote, policy->remote_count, r, remote);

    for (size_t i = 0; i < local_count; i++) {
        for (size_t k = 0; k < remote_count; k++) {
            add(entries, &(struct guard_entry){.may_be_clear = true,
                                               .local = local[i],
                                               .remote = remote[k],
                                               .protocol = policy->protocol,
                                               .local_port_first = policy->local_port_first,
                                               .local_port_last = policy->local_port_last,
                                               .remote_port_first = policy->remote_port_first,
                                               .remote_port_last = policy->remote_port_last});
        }
    }
}

/* What passes beside the tunnels comes in by the same way. Which ICMP it is is not looked at: the
 * data plane tells that better, and an answer has another type. */
static void add_policies(struct entries *entries, const struct config *config)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        const struct config_policy *policy = &config->policies[i];

        if (policy->verdict != CONFIG_BYPASS) {
            continue;
        }
        for (size_t l = 0; l == 0 || l < policy->local_count; l++) {
            for (size_t r = 0; r == 0 || r < policy->remote_count; r++) {
                add_policy_pair(entries, policy, l, r);
            }
        }
    }
}

/* "only tcp 25": the ports are the remote side's, and ours as well with "both". */
struct only {
    uint8_t protocol; /* 0: all */
    uint16_t port_first, port_last;
    bool ours; /* the ports are those of our side */
};

static void add_network_pair(struct entries *entries, const struct network *local,
                             const struct network *remote, bool may_be_clear,
                             const struct only *only)
{
    struct guard_entry entry = {.may_be_clear = may_be_clear,
                                .local = *local,
                                .remote = *remote,
                                .local_port_last = PORT_MAX,
                                .remote_port_last = PORT_MAX};

    if (only != NULL && only->protocol != 0) {
        entry.protocol = only->protocol;
        *(only->ours ? &entry.local_port_first : &entry.remote_port_first) = only->port_first;
        *(only->ours ? &entry.local_port_last : &entry.remote_port_last) = only->port_last;
    }
    add(entries, &entry);
}

/* Networks of ours speak with one another as they like, also when a site stands for everything. */
static void add_own(struct entries *entries, const struct config *config)
{
    for (size_t i = 0; i < config->lan_count; i++) {
        for (size_t k = 0; k < config->lan_count; k++) {
            add_network_pair(entries, &config->lans[i], &config->lans[k], true, NULL);
        }
    }
}

/* Where the administrator routes himself, traffic may have other ways on purpose. */
static bool is_guarded(const struct config *config, bool enabled, bool routes)
{
    return enabled && (routes || config->guard == CONFIG_GUARD_ON);
}

struct protected_networks {
    const struct network *lans, *networks;
    size_t lan_count, network_count;
    struct only only;
};

/* What stands for all the world (0.0.0.0/0) is left out unless it is asked for. */
static void add_protected(struct entries *entries, const struct config *config,
                          const struct protected_networks *p)
{
    for (size_t i = 0; i < p->network_count; i++) {
        if (p->networks[i].prefix_bits == 0 && config->guard != CONFIG_GUARD_ON) {
            continue;
        }
        for (size_t k = 0; k < p->lan_count; k++) {
            add_network_pair(entries, &p->lans[k], &p->networks[i], false, &p->only);
        }
    }
}

static void add_site(struct entries *entries, const struct config *config,
                     const struct config_site *site)
{
    bool has_lans = site->lan_count > 0;
    struct protected_networks p = {
        .lans = has_lans ? site->lans : config->lans,
        .lan_count = has_lans ? site->lan_count : config->lan_count,
        .networks = site->networks,
        .network_count = site->network_count,
        .only = {site->only_protocol, site->only_port_first, site->only_port_last, false}};

    if (!is_guarded(config, site->enabled, site->routes)) {
        return;
    }
    add_protected(entries, config, &p);
    if (site->only_both) {
        p.only.ours = true;
        add_protected(entries, config, &p);
    }
}

static void add_manual(struct entries *entries, const struct config *config,
                       const struct config_manual *manual)
{
    const struct protected_networks p = {
        .lans = manual->lans,
        .lan_count = manual->lan_count,
        .networks = manual->networks,
        .network_count = manual->network_count,
        .only = {manual->only_protocol, manual->only_port_first, manual->only_port_last, false}};

    if (is_guarded(config, manual->enabled, manual->routes)) {
        add_protected(entries, config, &p);
    }
}

static void add_pairs(struct entries *entries, const struct netlink *nl)
{
    for (size_t i = 0; i < nl->pair_count; i++) {
        const struct netlink_pair *pair = &nl->pairs[i];
        uint8_t bits = (uint8_t)(address_bytes((enum family)pair->peer.family) * 8);
        struct guard_entry entry = {.local = {pair->local, bits},
                                    .remote = {pair->peer, bits},
                                    .protocol = pair->protocol,
                                    .local_port_first = pair->local_port_first,
                                    .local_port_last = pair->local_port_last,
                                    .remote_port_first = pair->peer_port_first,
                                    .remote_port_last = pair->peer_port_last};

        if (pair->local.family == FAMILY_NONE) {
            entry.local = everything()[pair->peer.family == FAMILY_IPV4 ? 0 : 1];
        }
        add(entries, &entry);
    }
}

static void fail(struct daemon *daemon, const char *why)
{
    snprintf(daemon->guard_trouble, sizeof(daemon->guard_trouble), "%s", why);
    log_line(daemon->log, LOG_LEVEL_WARNING, "guard", "%s", why);
}

void protection_guard(struct daemon *daemon)
{
    const struct config *config = daemon->config;
    struct entries entries = {0};
    char why[256];

    daemon->guard_is_stale = false;
    daemon->guard_trouble[0] = '\0';
    if (config->guard == CONFIG_GUARD_OFF) {
        guard_remove();
        return;
    }
    entries.list = calloc(GUARD_ENTRIES_MAX + 1, sizeof(*entries.list));
    if (entries.list == NULL) {
        fail(daemon, "no memory for the rules against clear text from protected networks");
        return;
    }
    add_policies(&entries, config);
    add_own(&entries, config);
    for (size_t i = 0; i < config->site_count; i++) {
        add_site(&entries, config, &config->sites[i]);
    }
    for (size_t i = 0; i < config->manual_count; i++) {
        add_manual(&entries, config, &config->manuals[i]);
    }
    add_pairs(&entries, &daemon->netlink);
    const struct guard_ports ports = {daemon->port, daemon->nat_port};
    if (!guard_set(daemon->device, &ports, entries.list, entries.count, why, sizeof(why))) {
        fail(daemon, why);
    }
    free(entries.list);
}
