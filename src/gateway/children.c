/*
 * SAs for data: installed in the data plane when the machine says so. At most one of a part of a
 * site is `used`: what is sent goes through it. When that one goes, the newest that is left takes
 * its place before it is stopped.
 */
#include "gateway/inside.h"

#include <stdlib.h>

#define HEARD_LATELY_MS 10000

static struct slice key_of(const uint32_t *spi)
{
    return (struct slice){(const uint8_t *)spi, sizeof(*spi)};
}

struct child *children_find(const struct gateway *g, uint32_t spi_in)
{
    return table_find(&g->children, key_of(&spi_in));
}

/* Rekeyed a little before the limit, and not by both sides at the same packet. */
static uint64_t soft_limit(struct gateway *g, uint64_t hard)
{
    return hard - hard / 100 * (10 + random_below(g->random, 11));
}

uint8_t children_df(enum config_df df)
{
    switch (df) {
    case CONFIG_DF_SET:
        break;
    case CONFIG_DF_COPY:
        return DF_COPY;
    case CONFIG_DF_CLEAR:
        return DF_CLEAR;
    }
    return DF_SET;
}

struct aggfrag_settings children_aggfrag(const struct config_iptfs *iptfs)
{
    return (struct aggfrag_settings){
        .enabled = iptfs->enabled,
        .rate_bits = iptfs->bits_per_second,
        .packet_bytes = iptfs->packet_bytes,
        .congestion_control = iptfs->congestion_control,
        .congestion_reports = iptfs->congestion_control,
    };
}

/* RFC 9347 5.1: what the peer demands as well. */
static struct aggfrag_settings aggfrag_of(const struct config_carriage *carriage,
                                          const struct ikev2_child_info *info)
{
    struct aggfrag_settings settings = children_aggfrag(&carriage->iptfs);

    settings.enabled = info->aggfrag;
    settings.congestion_reports = info->peer_congestion_control;
    settings.dont_fragment = info->peer_dont_fragment;
    return settings;
}

/* RFC 4303 2.7: padding needs the length inside a tunnel, and a peer that takes it. */
uint16_t children_tfc_bytes(const struct config_carriage *carriage,
                            const struct ikev2_child_info *info)
{
    return info->transport_mode || info->peer_refuses_tfc ? 0 : carriage->tfc_bytes;
}

struct suite children_suite(const struct config_carriage *carriage, const struct suite *agreed)
{
    struct suite suite = *agreed;

    if (carriage->truncate == CONFIG_TRUNCATE_SHA2_96 &&
        suite.integrity == INTEGRITY_HMAC_SHA2_256_128) {
        suite.integrity = INTEGRITY_HMAC_SHA2_256_96;
    }
    return suite;
}

/* The peer may want less than we do. */
static uint64_t bytes_limit(uint64_t ours, uint64_t said)
{
    return ours == 0 || (said != 0 && said < ours) ? said : ours;
}

/* It adds no second header (RFC 2401 4.3: transport adjacency), and what is inside looks after the
 * packets. */
static bool install_around(struct dataplane *dp, const struct ikev2_child_info *info,
                           const struct suite *suite, const struct child_sa *inside)
{
    struct child_sa sa = *inside;

    sa.spi_in = info->around.spi_in;
    sa.spi_out = info->around.spi_out;
    sa.protocol = IP_PROTOCOL_AH;
    sa.suite = *suite;
    sa.key_in = info->around.key_in;
    sa.key_out = info->around.key_out;
    sa.transport_mode = true;
    sa.waits_for_outer = false;
    sa.inside_spi_in = inside->spi_in;
    sa.compress = false;
    sa.cpi_in = sa.cpi_out = 0;
    sa.tfc_bytes = 0;
    sa.dummy_interval_ms = 0;
    /* It counts what is inside it twice over, and nobody hears its notes. */
    sa.soft_bytes = sa.hard_bytes = 0;
    sa.soft_packets = sa.hard_packets = 0;
    return dataplane_install(dp, &sa);
}

static bool install(struct ike *ike, const struct ikev2_child_info *info)
{
    struct gateway *g = ike->gateway;
    const struct config_site *c = ike->site->config;
    const struct config_carriage *carriage = &c->carriage;
    uint64_t hard_bytes = bytes_limit(c->lifetime_bytes, info->lifetime_bytes);
    struct suite around = children_suite(carriage, &info->around.suite);
    bool has_around = info->around.spi_in != 0;
    struct child_sa sa = {
        .spi_in = info->spi_in,
        .spi_out = info->spi_out,
        .policy_id = info->policy->policy_id,
        .resource = info->resource,
        .protocol = info->protocol == PROTOCOL_AH ? IP_PROTOCOL_AH : IP_PROTOCOL_ESP,
        .suite = children_suite(carriage, &info->suite),
        .key_in = info->key_in,
        .key_out = info->key_out,
        .local = info->local,
        .peer = info->peer,
        .encapsulated = info->encapsulated,
        .transport_mode = info->transport_mode,
        .original_local = info->original_local,
        .original_peer = info->original_peer,
        .replay_window = c->replay_window,
        .local_selectors = info->local_selectors,
        .local_count = info->local_count,
        .remote_selectors = info->remote_selectors,
        .remote_count = info->remote_count,
        .waits_for_outer = has_around,
        .soft_bytes = soft_limit(g, hard_bytes),
        .hard_bytes = hard_bytes,
        .soft_packets = soft_limit(g, c->lifetime_packets),
        .hard_packets = c->lifetime_packets,
        .copy_dscp = carriage->dscp == CONFIG_DSCP_COPY,
        .df = children_df(carriage->df),
        .fragment_after = carriage->fragment == CONFIG_FRAGMENT_AFTER,
        .compress = info->compress,
        .cpi_in = info->compress ? info->cpi_in : 0,
        .cpi_out = info->compress ? info->cpi_out : 0,
        .tfc_bytes = children_tfc_bytes(carriage, info),
        .dummy_interval_ms = carriage->tfc_dummy_ms,
        .aggfrag = aggfrag_of(carriage, info),
    };

    sa.local.port = actions_socket_port(g, &sa.local);
    if (!dataplane_install(g->dataplane, &sa)) {
        return false;
    }
    if (has_around && !install_around(g->dataplane, info, &around, &sa)) {
        dataplane_remove(g->dataplane, sa.spi_in);
        return false;
    }
    return true;
}

/* None of them is installed. */
static void release_spis(const struct gateway *g, const struct ikev2_child_info *info)
{
    dataplane_release_spi(g->dataplane, info->spi_in);
    if (info->around.spi_in != 0) {
        dataplane_release_spi(g->dataplane, info->around.spi_in);
    }
}

void children_install(struct ike *ike, const struct ikev2_child_info *info, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    struct child *child = ike->site == NULL ? NULL : calloc(1, sizeof(*child));

    if (child == NULL) {
        release_spis(g, info);
        ike_order_close(ike, IKEV2_FAIL_RESOURCES);
        return;
    }
    *child = (struct child){
        .ike = ike,
        .spi_in = info->spi_in,
        .part = (uint8_t)policies_part(info->policy->policy_id),
        .resource = info->resource,
        .since_ms = now_ms,
        .installed_number = ++g->next_child,
    };
    if (!table_add(&g->children, key_of(&child->spi_in), child)) {
        free(child);
        ike_order_close(ike, IKEV2_FAIL_RESOURCES);
        return;
    }
    child->next = ike->children;
    ike->children = child;
    ike->site->child_count++;
    g->child_count++;
    child->installed = install(ike, info);
    if (!child->installed && child->resource != 0) {
        child->redundant = true;
        ike_order(ike, IKE_ORDER_CLOSE_REDUNDANT);
    } else if (!child->installed) {
        log_line(g->log, LOG_LEVEL_ERROR, ike->site->name,
                 "%s the data plane took no more SAs; the connection is closed",
                 reason_code(REASON_RESOURCES));
        release_spis(g, info);
        ike_order_close(ike, IKEV2_FAIL_RESOURCES);
    }
    negotiations_child(ike, info, now_ms);
    if (child->resource == 0) {
        path_begin(ike, now_ms);
    } else {
        populate_own_came(ike->site, now_ms);
    }
    if (info->replaces_spi_in != 0) {
        g->child_rekeys++;
        ike->site->rekeys++;
        verify_renewed(ike->site);
    } else if (child->resource == 0) {
        duplicates_child(child, now_ms);
    }
}

static struct child *of_ike(struct ike *ike, uint32_t spi_in)
{
    struct child *child = children_find(ike->gateway, spi_in);

    return child != NULL && child->ike == ike ? child : NULL;
}

static void start_sending(struct child *child)
{
    child->in_use = true;
    dataplane_use(child->ike->gateway->dataplane, child->spi_in);
}

/* Those for single workers go with the one for all: of another IKE SA, which the peer may not have
 * any more, nothing is sent through them. */
static void own_follow(const struct child *used)
{
    const struct site *site = used->ike->site;

    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        for (struct child *c = ike->children; c != NULL; c = c->next) {
            if (c->resource == 0 || c->part != used->part || c == used || !c->may_send) {
                continue;
            }
            if (c->in_use && ike != used->ike) {
                c->in_use = false;
                dataplane_stop(ike->gateway->dataplane, c->spi_in);
            } else if (!c->in_use && ike == used->ike) {
                start_sending(c);
            }
        }
    }
}

/* The data plane remembers the order: what does not fit the one said last goes through an earlier
 * one. */
static void use(struct site *site, size_t part, struct child *child, uint64_t now_ms)
{
    *site_used_of(site, part) = child;
    site->used = NULL;
    for (size_t i = 0; i < site_used_parts(site) && site->used == NULL; i++) {
        site->used = *site_used_of(site, i);
    }
    if (child != NULL) {
        start_sending(child);
        own_follow(child);
    }
    populate_used(site, part, child);
    site_used_changed(site, now_ms);
    site_think_later(site);
}

void children_use(struct ike *ike, uint32_t spi_in, uint64_t now_ms)
{
    struct child *child = of_ike(ike, spi_in);

    if (child == NULL || !child->installed || child->stopped) {
        return;
    }
    const struct child *used = *site_used_of(ike->site, child->part);

    child->may_send = true;
    if (child->resource == 0 || used == NULL) {
        use(ike->site, child->part, child, now_ms);
    } else if (used->ike == ike) {
        start_sending(child);
    }
}

bool children_info(const struct child *child, struct ikev2_child_info *out)
{
    for (size_t i = 0; machine_child_at(child->ike, i, out); i++) {
        if (out->spi_in == child->spi_in) {
            return true;
        }
    }
    return false;
}

/* One that is for a single worker carries all only where there is no other. */
static bool is_preferred(const struct child *child, const struct child *other)
{
    if (other == NULL || (child->resource == 0) != (other->resource == 0)) {
        return other == NULL || child->resource == 0;
    }
    return child->installed_number > other->installed_number;
}

static struct child *newest_usable_of(const struct ike *ike, size_t part,
                                      const struct child *except)
{
    struct child *newest = NULL;

    for (struct child *c = ike->children; c != NULL; c = c->next) {
        if (c != except && c->part == part && c->installed && !c->stopped &&
            is_preferred(c, newest)) {
            newest = c;
        }
    }
    return newest;
}

static struct child *newest_usable(const struct site *site, size_t part, const struct child *except)
{
    struct child *newest = NULL;

    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        struct child *c = ike->established ? newest_usable_of(ike, part, except) : NULL;

        if (c != NULL && is_preferred(c, newest)) {
            newest = c;
        }
    }
    return newest;
}

bool children_part_usable(const struct ike *ike, size_t part)
{
    const struct child *child = newest_usable_of(ike, part, NULL);

    return child != NULL && child->resource == 0;
}

bool children_any_usable(const struct ike *ike)
{
    for (size_t part = 0; part < site_used_parts(ike->site); part++) {
        if (children_part_usable(ike, part)) {
            return true;
        }
    }
    return false;
}

void children_prefer(struct ike *ike, uint64_t now_ms)
{
    for (size_t part = 0; part < site_used_parts(ike->site); part++) {
        struct child *child = newest_usable_of(ike, part, NULL);
        const struct child *used = *site_used_of(ike->site, part);

        if (child != NULL && used != child && (used == NULL || used->ike != ike)) {
            use(ike->site, part, child, now_ms);
        }
    }
}

static bool is_used(const struct child *child)
{
    return *site_used_of(child->ike->site, child->part) == child;
}

static void use_another(struct site *site, const struct child *child, uint64_t now_ms)
{
    use(site, child->part, newest_usable(site, child->part, child), now_ms);
    site->child_lost = site->used == NULL && !child->closing;
}

void children_stop(struct ike *ike, uint32_t spi_in, uint64_t now_ms)
{
    struct child *child = of_ike(ike, spi_in);

    if (child == NULL) {
        return;
    }
    child->stopped = true;
    child->may_send = false;
    child->in_use = false;
    if (is_used(child)) {
        use_another(ike->site, child, now_ms);
    }
    if (child->installed) {
        dataplane_stop(ike->gateway->dataplane, spi_in);
    }
}

static void count_what_passed(struct site *site, const struct child *child)
{
    struct sa_counters c;

    if (!child->installed || !dataplane_sa_counters(site->gateway->dataplane, child->spi_in, &c)) {
        return;
    }
    site->in_packets += c.in_packets;
    site->in_bytes += c.in_bytes;
    site->out_packets += c.out_packets;
    site->out_bytes += c.out_bytes;
    site->replayed += c.replayed;
    site->forged += c.forged;
    site->selector_mismatch += c.selector_mismatch;
    if (c.last_in_ms > site->last_in_ms) {
        site->last_in_ms = c.last_in_ms;
    }
    if (c.last_out_ms > site->last_out_ms) {
        site->last_out_ms = c.last_out_ms;
    }
}

static void remove_child(struct child *child, uint64_t now_ms)
{
    struct ike *ike = child->ike;
    struct gateway *g = ike->gateway;
    struct child **link = &ike->children;

    count_what_passed(ike->site, child);
    if (is_used(child)) {
        use_another(ike->site, child, now_ms);
    }
    if (child->installed) {
        const struct child *used = *site_used_of(ike->site, child->part);

        if (used == NULL || used->ike == ike ||
            !resilience_linger(ike->site, child->spi_in, now_ms)) {
            dataplane_remove_bundle(g->dataplane, child->spi_in);
        }
    }
    while (*link != child) {
        link = &(*link)->next;
    }
    *link = child->next;
    if (child->resource != 0) {
        populate_own_went(child, now_ms);
    }
    (void)table_remove(&g->children, key_of(&child->spi_in));
    ike->site->child_count--;
    g->child_count--;
    free(child);
}

void children_remove(struct ike *ike, uint32_t spi_in, uint64_t now_ms)
{
    struct child *child = of_ike(ike, spi_in);

    if (child != NULL) {
        remove_child(child, now_ms);
    }
}

void children_remove_all(struct ike *ike)
{
    while (ike->children != NULL) {
        remove_child(ike->children, ike->gateway->now_ms);
    }
}

void children_move(struct ike *ike, const struct endpoint *local, const struct endpoint *peer)
{
    struct endpoint socket = *local;

    socket.port = actions_socket_port(ike->gateway, local);
    for (const struct child *c = ike->children; c != NULL; c = c->next) {
        if (c->installed) {
            dataplane_move(ike->gateway->dataplane, c->spi_in, &socket, peer);
        }
    }
}

void children_move_each(struct ike *ike)
{
    struct gateway *g = ike->gateway;

    for (const struct child *c = ike->children; c != NULL; c = c->next) {
        struct ikev2_child_info info;

        if (!c->installed || !children_info(c, &info)) {
            continue;
        }
        info.local.port = actions_socket_port(g, &info.local);
        if (!dataplane_move_one(g->dataplane, c->spi_in, &info.local, &info.peer,
                                info.encapsulated)) {
            log_line(g->log, LOG_LEVEL_WARNING, ike->site->name,
                     "an SA could not follow to another address; it will be made anew");
            ike_order(ike, IKE_ORDER_REKEY_CHILDREN);
        }
    }
}

uint64_t children_last_in_ms(const struct ike *ike)
{
    uint64_t last_ms = 0;
    struct sa_counters counters;

    for (const struct child *c = ike->children; c != NULL; c = c->next) {
        if (c->installed && dataplane_sa_counters(ike->gateway->dataplane, c->spi_in, &counters) &&
            counters.last_in_ms > last_ms) {
            last_ms = counters.last_in_ms;
        }
    }
    return last_ms;
}

uint64_t children_last_out_ms(const struct ike *ike)
{
    uint64_t last_ms = 0;
    struct sa_counters counters;

    for (const struct child *c = ike->children; c != NULL; c = c->next) {
        if (c->installed && dataplane_sa_counters(ike->gateway->dataplane, c->spi_in, &counters) &&
            counters.last_out_ms > last_ms) {
            last_ms = counters.last_out_ms;
        }
    }
    return last_ms;
}

/* RFC 7296 2.4: fresh inbound data proves the peer alive, so that it need not be asked. */
struct child *children_heard_lately(struct ike *ike, uint64_t now_ms)
{
    struct sa_counters counters;

    for (struct child *c = ike->children; c != NULL; c = c->next) {
        if (!c->installed ||
            !dataplane_sa_counters(ike->gateway->dataplane, c->spi_in, &counters) ||
            counters.last_in_ms <= c->told_in_ms ||
            counters.last_in_ms + HEARD_LATELY_MS < now_ms) {
            continue;
        }
        c->told_in_ms = counters.last_in_ms;
        return c;
    }
    return NULL;
}
