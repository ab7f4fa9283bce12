/* Decides how a configuration gets from its files to the gateway, and what the machine around us is
 * like. */
#include "sekishod/daemon.h"

#include "host/clock.h"
#include "host/files.h"
#include "host/notify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UPLINKS_MAX 64

/* ---- problems of the machine ---- */

static void add_problem(struct daemon *daemon, const char *next, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void add_problem(struct daemon *daemon, const char *next, const char *format, ...)
{
    va_list arguments;

    if (daemon->problem_count == DAEMON_PROBLEMS_MAX) {
        return;
    }
    struct daemon_problem *problem = &daemon->problems[daemon->problem_count++];
    va_start(arguments, format);
    vsnprintf(problem->sentence, sizeof(problem->sentence), format, arguments);
    va_end(arguments);
    snprintf(problem->next, sizeof(problem->next), "%s", next);
    log_line(daemon->log, LOG_LEVEL_WARNING, "machine", "%s: %s", problem->sentence, next);
}

static bool sysctl_is(const char *path, char value)
{
    char why[128];
    size_t length = 0;
    char *text = files_read(path, &length, why, sizeof(why));
    bool is = text != NULL && text[0] == value;

    free(text);
    return is;
}

static bool has_family(const struct config *config, enum family family)
{
    for (size_t i = 0; i < config->lan_count; i++) {
        if (config->lans[i].address.family == family) {
            return true;
        }
    }
    return false;
}

static bool listens_as_before(const struct daemon *daemon, const struct config *config)
{
    bool same = config->listen_count == daemon->listen_count && config->port == daemon->port &&
                config->nat_port == daemon->nat_port &&
                config->tcp_port_count == daemon->tcp_port_count &&
                memcmp(config->tcp_ports, daemon->tcp_ports, sizeof(daemon->tcp_ports)) == 0;

    for (size_t i = 0; same && i < config->listen_count; i++) {
        same = address_equal(&config->listen[i], &daemon->listen[i]);
    }
    return same;
}

static void find_problems(struct daemon *daemon)
{
    const struct config *config = daemon->config;

    daemon->problem_count = 0;
    if (has_family(config, FAMILY_IPV4) && sysctl_is("/proc/sys/net/ipv4/ip_forward", '0')) {
        add_problem(daemon, "sysctl -w net.ipv4.ip_forward=1",
                    "this machine does not forward IPv4 packets, so only its own programs can use "
                    "the tunnels");
    }
    if (has_family(config, FAMILY_IPV6) &&
        sysctl_is("/proc/sys/net/ipv6/conf/all/forwarding", '0')) {
        add_problem(daemon, "sysctl -w net.ipv6.conf.all.forwarding=1",
                    "this machine does not forward IPv6 packets, so only its own programs can use "
                    "the tunnels");
    }
    if (!daemon->sockets.has_raw) {
        add_problem(daemon, "give the daemon the capability CAP_NET_RAW",
                    "ESP can only be sent inside UDP, and AH not at all");
    }
    if (daemon->sockets.has_unmarked) {
        add_problem(daemon, "give the daemon the capability CAP_NET_ADMIN",
                    "the system does not let us mark our packets, so transport mode would lead "
                    "them into the tunnel itself");
    }
    if (!listens_as_before(daemon, config) || strcmp(config->device, daemon->device) != 0 ||
        config->offload != daemon->offload || config->workers != daemon->workers_said) {
        add_problem(
            daemon, "systemctl restart sekisho",
            "'listen', 'port', 'tcp-port', 'device', 'workers' and 'offload' take effect after a "
            "restart");
    }
}

/* ---- our addresses inside ---- */

static bool is_in_lan(const struct config *config, const struct address *address)
{
    for (size_t i = 0; i < config->lan_count; i++) {
        if (network_contains(&config->lans[i], address)) {
            return true;
        }
    }
    return false;
}

static void set_own(struct daemon *daemon, struct address *own, const struct address *found)
{
    if (found->family != FAMILY_NONE && !address_equal(own, found)) {
        dataplane_set_own_address(daemon->dataplane, found);
    }
    *own = *found;
}

static bool is_said(const struct config_uplinks *list, const struct gateway_interface *interface)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        if (address_equal(&list->list[i].address, &interface->address) ||
            strcmp(list->list[i].text, interface->name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_uplink(const struct config *config, const struct gateway_interface *interface)
{
    bool is_one = is_said(config->uplinks, interface);

    for (size_t i = 0; !is_one && i < config->site_count; i++) {
        is_one = is_said(config->sites[i].uplinks, interface);
    }
    return is_one;
}

static bool has_uplinks(const struct config *config)
{
    bool any = config->uplinks != NULL;

    for (size_t i = 0; !any && i < config->site_count; i++) {
        any = config->sites[i].uplinks != NULL;
    }
    return any;
}

/* Which interfaces and addresses of `uplink` are there. What is sent from those leaves by them. */
static void tell_uplinks(struct daemon *daemon, const struct netlink_address *list, size_t count)
{
    static struct gateway_interface found[UPLINKS_MAX];
    static struct address all[DAEMON_ADDRESSES_MAX];
    struct datagram_road roads[DATAGRAM_ROADS_MAX];
    size_t found_count = 0;
    size_t road_count = 0;

    for (size_t i = 0; i < count; i++) {
        all[i] = list[i].address;
        if (!has_uplinks(daemon->config) || found_count == UPLINKS_MAX ||
            list[i].interface_index == daemon->tun.interface_index) {
            continue;
        }
        struct netlink_link link = netlink_link(&daemon->netlink, list[i].interface_index);
        struct gateway_interface *one = &found[found_count];

        *one = (struct gateway_interface){.address = list[i].address, .carries = link.carries};
        snprintf(one->name, sizeof(one->name), "%s", link.name);
        if (!is_uplink(daemon->config, one)) {
            continue;
        }
        found_count++;
        if (road_count < DATAGRAM_ROADS_MAX) {
            roads[road_count++] = (struct datagram_road){list[i].address, list[i].interface_index};
        }
    }
    sockets_set_roads(&daemon->sockets, roads, road_count, all, count);
    gateway_host_interfaces(daemon->gateway, found, found_count);
}

/* At those of our device nobody is reached. */
static void tell_gateway(struct daemon *daemon, const struct netlink_address *list, size_t count)
{
    static struct address outside[DAEMON_ADDRESSES_MAX];
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        if (list[i].interface_index != daemon->tun.interface_index) {
            outside[found++] = list[i].address;
        }
    }
    tell_uplinks(daemon, list, count);
    gateway_host_addresses(daemon->gateway, outside, found, clock_now_ms());
}

static void find_own_addresses(struct daemon *daemon, const struct netlink_address *list,
                               size_t count)
{
    struct address ipv4 = {0}, ipv6 = {0};

    for (size_t i = 0; i < count; i++) {
        struct address *best = list[i].address.family == FAMILY_IPV4 ? &ipv4 : &ipv6;

        /* The lowest, so that it stays the same as long as it is there. */
        if (is_in_lan(daemon->config, &list[i].address) &&
            (best->family == FAMILY_NONE || address_compare(&list[i].address, best) < 0)) {
            *best = list[i].address;
        }
    }
    set_own(daemon, &daemon->own_ipv4, &ipv4);
    set_own(daemon, &daemon->own_ipv6, &ipv6);
}

const struct address *apply_own_address(const struct daemon *daemon, enum family family)
{
    const struct address *own = family == FAMILY_IPV4 ? &daemon->own_ipv4 : &daemon->own_ipv6;

    return own->family == FAMILY_NONE ? NULL : own;
}

static void find_uplink(struct daemon *daemon, enum family family)
{
    int uplink = netlink_uplink(&daemon->netlink, family, daemon->tun.interface_index);

    daemon->has_default[family == FAMILY_IPV4 ? 0 : 1] = uplink != 0;
    if (uplink != 0) {
        sockets_set_uplink(&daemon->sockets, family, uplink);
    }
}

void apply_path_found(struct daemon *daemon, enum family family, int interface_index)
{
    const bool *has_default = &daemon->has_default[family == FAMILY_IPV4 ? 0 : 1];

    /* It may have come later than the addresses, whose changes are watched. */
    if (!*has_default) {
        find_uplink(daemon, family);
    }
    if (!*has_default) {
        sockets_set_uplink(&daemon->sockets, family, interface_index);
    }
}

void apply_look_around(struct daemon *daemon)
{
    static struct netlink_address list[DAEMON_ADDRESSES_MAX];
    size_t count = netlink_addresses(&daemon->netlink, list, DAEMON_ADDRESSES_MAX);

    find_own_addresses(daemon, list, count);
    tell_gateway(daemon, list, count);
    find_uplink(daemon, FAMILY_IPV4);
    find_uplink(daemon, FAMILY_IPV6);
    find_problems(daemon);
}

/* ---- the configuration ---- */

struct config_result *apply_read(struct daemon *daemon)
{
    struct loader *loader = loader_new(daemon->options.secrets_directory, true);

    if (loader == NULL) {
        return NULL;
    }
    loader_free(daemon->loader);
    daemon->loader = loader;
    return config_read(daemon->options.config_path, loader_config(loader));
}

void apply_config(struct daemon *daemon, struct config *config, uint64_t now_ms)
{
    daemon->config = config;
    apply_look_around(daemon);
    gateway_configure(daemon->gateway, config, now_ms);
    /* The old one, when there was no memory for the new one. */
    daemon->config = gateway_config(daemon->gateway);
    daemon->guard_is_stale = true;
    actions_certificates_were_read(daemon, now_ms);
    lists_apply(daemon);
    logins_apply(daemon, now_ms);
}

/* Line by line, as a person would read it on the terminal. */
static void log_diagnostics(struct daemon *daemon, const struct config_result *result)
{
    char *text = config_diagnostics_text(result);
    char *rest = text;

    for (char *line = text == NULL ? NULL : strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        log_line(daemon->log, result->error_count > 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
                 "config", "%s", line);
    }
    free(text);
}

void apply_again(struct daemon *daemon, uint64_t now_ms)
{
    char state[64];

    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)clock_monotonic_us());
    notify_send(state);
    struct config_result *result = apply_read(daemon);
    if (result == NULL) {
        log_line(daemon->log, LOG_LEVEL_ERROR, "config", "no memory to read the configuration");
    } else {
        log_diagnostics(daemon, result);
        struct config *config = result->error_count == 0 ? config_take(result) : NULL;
        config_result_free(result);
        if (config != NULL) {
            apply_config(daemon, config, now_ms);
            log_line(daemon->log, LOG_LEVEL_NOTICE, "config", "the configuration was applied");
        }
    }
    notify_send("READY=1");
}
