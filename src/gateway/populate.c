/*
 * SAs that are made when traffic wants them.
 *
 * Sites whose SAs are for one pair of hosts or one connection each (RFC 4301 4.4.1.1: populate from
 * packet): there is none before a packet wants it; the packet is remembered until there is an IKE
 * SA to ask on. When a site has many, the one that was idle for the longest makes room.
 *
 * SAs beside the one for all, for one sealing worker each (RFC 9611): asked for when the worker
 * sends and has none, where the peer said that he takes them. Without one it sends through the one
 * for all, so no refusal disturbs the site. Those that carry nothing any more are closed.
 */
#include "gateway/inside.h"

#include <stdlib.h>

#define PACKETS_MAX 16
#define POPULATED_MAX 32 /* an IKE SA carries 48, and a rekeyed child is there twice */
#define IDLE_MS 10000
#define OWN_REFUSED_MS (UINT64_C(5) * 60 * 1000)
#define OWN_CLOSED_MS (UINT64_C(60) * 1000) /* by the peer, who may do so again (RFC 9611 6) */
#define OWN_LOOK_MS (UINT64_C(60) * 1000)
#define OWN_IDLE_MS (UINT64_C(10) * 60 * 1000)

struct populate {
    size_t count;
    struct ikev2_packet packets[PACKETS_MAX];
    size_t parts[PACKETS_MAX];
};

bool populate_is_on(const struct site *site)
{
    return site->config->each != CONFIG_EACH_OFF;
}

uint8_t populate_kind(const struct site *site)
{
    switch (site->config->each) {
    case CONFIG_EACH_OFF:
        break;
    case CONFIG_EACH_HOST:
        return POPULATES_HOST;
    case CONFIG_EACH_CONNECTION:
        return POPULATES_CONNECTION;
    }
    return POPULATES_OFF;
}

static uint64_t last_packet_ms(const struct site *site, const struct child *child)
{
    struct sa_counters n;
    uint64_t last_ms = child->since_ms;

    if (dataplane_sa_counters(site->gateway->dataplane, child->spi_in, &n)) {
        last_ms = n.last_in_ms > last_ms ? n.last_in_ms : last_ms;
        last_ms = n.last_out_ms > last_ms ? n.last_out_ms : last_ms;
    }
    return last_ms;
}

static struct ikev2_packet *remember(struct site *site, size_t part)
{
    if (site->populate == NULL) {
        site->populate = calloc(1, sizeof(*site->populate));
    }
    struct populate *p = site->populate;

    if (p == NULL || p->count == PACKETS_MAX) {
        return NULL;
    }
    p->parts[p->count] = part;
    return &p->packets[p->count++];
}

static bool close_idle(struct site *site, uint64_t now_ms)
{
    struct child *idle = NULL;
    uint64_t idle_ms = 0;

    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        for (struct child *c = ike->children; c != NULL; c = c->next) {
            if (c->stopped || c->closing || !c->installed) {
                continue;
            }
            uint64_t last_ms = last_packet_ms(site, c);

            if (idle == NULL || last_ms < idle_ms) {
                idle = c;
                idle_ms = last_ms;
            }
        }
    }
    if (idle == NULL || idle_ms + IDLE_MS > now_ms) {
        return false;
    }
    idle->closing = true;
    ike_close_child(idle->ike, idle->spi_in, now_ms);
    return true;
}

static bool is_remembered(const struct populate *p, const struct dataplane_note *note)
{
    for (size_t i = 0; i < p->count; i++) {
        if (selector_equal(&p->packets[i].local, &note->packet_local) &&
            selector_equal(&p->packets[i].remote, &note->packet_remote)) {
            return true;
        }
    }
    return false;
}

void populate_acquire(struct site *site, size_t part, const struct dataplane_note *note,
                      uint64_t now_ms)
{
    if (!note->has_packet || !site_is_enabled(site) || part >= site->selectors.parts) {
        return;
    }
    if (site->child_count >= POPULATED_MAX && !close_idle(site, now_ms)) {
        return;
    }
    struct ikev2_packet *packet =
        site->populate != NULL && is_remembered(site->populate, note) ? NULL : remember(site, part);

    if (packet == NULL) {
        return;
    }
    *packet = (struct ikev2_packet){
        .local = note->packet_local, .remote = note->packet_remote, .only = true};
    site->wanted_by_traffic = site->config->start != START_WAIT;
    site_think_later(site);
}

/* ---- for single workers ---- */

/* How many of our workers may have one. */
static uint8_t own_max(const struct site *site)
{
    const struct config_site *c = site->config;
    uint32_t sealers = dataplane_sealers(site->gateway->dataplane);
    /* IP-TFS sends at the rate that was said, all in all. */
    bool off = c->per_worker_sas == CONFIG_PER_WORKER_OFF || populate_is_on(site) ||
               c->carriage.iptfs.enabled || sealers < 2;
    uint32_t most =
        c->per_worker_sas == CONFIG_PER_WORKER_AUTO ? CONFIG_PER_WORKER_MOST : c->per_worker_sas;

    if (off) {
        return 0;
    }
    return (uint8_t)(sealers < most ? sealers : most);
}

void populate_fill_child(const struct site *site, struct ikev2_child_policy *child)
{
    const struct config_site *c = site->config;
    uint32_t sealers = dataplane_sealers(site->gateway->dataplane);

    if (c->per_worker_sas == CONFIG_PER_WORKER_OFF || populate_is_on(site) ||
        c->carriage.iptfs.enabled) {
        return;
    }
    child->resources = (uint8_t)(sealers > 1 ? sealers : 1);
    if (c->per_worker_sas == CONFIG_PER_WORKER_AUTO) {
        child->resources_max = 2 * CONFIG_PER_WORKER_MOST;
        child->resources_announced = sealers > 1;
    } else {
        /* RFC 9611 6: both sides may ask at the same moment. */
        child->resources_max = (uint8_t)(2 * c->per_worker_sas);
        child->resources_announced = true;
    }
}

void populate_used(struct site *site, size_t part, const struct child *child)
{
    struct ikev2_child_info info;
    bool peer_can = child != NULL && children_info(child, &info) && info.peer_has_resources;

    dataplane_ask_resources(site->gateway->dataplane, policies_id(site, part),
                            peer_can ? own_max(site) : 0);
}

/* Another IKE SA's go when it goes. */
static bool has_own(const struct ike *ike, size_t part, uint8_t resource,
                    const struct child *except)
{
    for (const struct child *c = ike->children; c != NULL; c = c->next) {
        if (c != except && c->part == part && c->resource == resource && !c->stopped) {
            return true;
        }
    }
    return false;
}

void populate_acquire_own(struct site *site, size_t part, uint8_t resource, uint64_t now_ms)
{
    const struct child *used = part < site->selectors.parts ? *site_used_of(site, part) : NULL;

    if (used == NULL || !site_is_enabled(site) || resource == 0 || resource > own_max(site) ||
        now_ms < site->own_refused_ms || has_own(used->ike, part, resource, NULL)) {
        return;
    }
    for (size_t i = 0; site->populate != NULL && i < site->populate->count; i++) {
        if (site->populate->packets[i].resource == resource && site->populate->parts[i] == part) {
            return;
        }
    }
    struct ikev2_packet *packet = remember(site, part);

    if (packet != NULL) {
        *packet = (struct ikev2_packet){.resource = resource};
        site_think_later(site);
    }
}

static void refuse_until(struct site *site, uint64_t until_ms)
{
    if (site->own_refused_ms < until_ms) {
        site->own_refused_ms = until_ms;
    }
}

void populate_refused(struct ike *ike, const struct ikev2_failure *failure, uint64_t now_ms)
{
    struct site *site = ike->site;

    if (now_ms >= site->own_refused_ms) {
        log_line(site->gateway->log, LOG_LEVEL_INFO, site->name,
                 "no more SAs for single workers: %s%s%s", ikev2_notify_name(failure->notify),
                 failure->notify != 0 && failure->detail[0] != '\0' ? ", " : "", failure->detail);
    }
    refuse_until(site, now_ms + OWN_REFUSED_MS);
}

void populate_own_came(struct site *site, uint64_t now_ms)
{
    if (site->own_look_ms == NEVER_MS) {
        site->own_look_ms = now_ms + OWN_LOOK_MS;
        site_think_later(site);
    }
}

void populate_own_went(const struct child *child, uint64_t now_ms)
{
    const struct ike *ike = child->ike;

    if (!child->closing && !ike->over && !has_own(ike, child->part, child->resource, child)) {
        refuse_until(ike->site, now_ms + OWN_CLOSED_MS);
    }
}

void populate_look(struct site *site, uint64_t now_ms)
{
    bool left = false;

    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        /* Not both sides at the same moment. */
        uint64_t idle_ms =
            OWN_IDLE_MS + (ike->established && duplicates_we_decide(ike) ? 0 : 2 * OWN_LOOK_MS);

        for (struct child *c = ike->children; c != NULL; c = c->next) {
            if (c->resource == 0 || c->stopped || c->closing) {
                continue;
            }
            left = true;
            if (last_packet_ms(site, c) + idle_ms <= now_ms) {
                c->redundant = true;
                ike_order(ike, IKE_ORDER_CLOSE_REDUNDANT);
            }
        }
    }
    site->own_look_ms = left ? now_ms + OWN_LOOK_MS : NEVER_MS;
}

bool populate_waits(const struct site *site)
{
    return site->populate != NULL;
}

bool populate_take(struct site *site, struct ikev2_packet *packet, size_t *part)
{
    struct populate *p = site->populate;

    if (p == NULL) {
        return false;
    }
    p->count--;
    *packet = p->packets[p->count];
    *part = p->parts[p->count];
    if (p->count == 0) {
        free(p);
        site->populate = NULL;
    }
    return true;
}
