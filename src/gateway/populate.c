/*
 * Sites whose SAs are for one pair of hosts or one connection each (RFC 4301 4.4.1.1: populate from
 * packet). There is none before a packet wants it; the packet is remembered until there is an IKE
 * SA to ask on. When a site has many, the one that was idle for the longest makes room.
 */
#include "gateway/inside.h"

#include <stdlib.h>

#define PACKETS_MAX 16
#define POPULATED_MAX 32 /* an IKE SA carries 48, and a rekeyed child is there twice */
#define IDLE_MS 10000

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

static bool close_idle(struct site *site, uint64_t now_ms)
{
    struct child *idle = NULL;
    uint64_t idle_ms = 0;

    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        for (struct child *c = ike->children; c != NULL; c = c->next) {
            struct sa_counters n;
            uint64_t last_ms = c->since_ms;

            if (c->stopped || c->closing || !c->installed ||
                !dataplane_sa_counters(site->gateway->dataplane, c->spi_in, &n)) {
                continue;
            }
            last_ms = n.last_in_ms > last_ms ? n.last_in_ms : last_ms;
            last_ms = n.last_out_ms > last_ms ? n.last_out_ms : last_ms;
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
    if (site->populate == NULL) {
        site->populate = calloc(1, sizeof(*site->populate));
    }
    struct populate *p = site->populate;

    if (p == NULL || p->count == PACKETS_MAX || is_remembered(p, note)) {
        return;
    }
    p->parts[p->count] = part;
    p->packets[p->count++] = (struct ikev2_packet){
        .local = note->packet_local, .remote = note->packet_remote, .only = true};
    site->wanted_by_traffic = site->config->start != START_WAIT;
    site_think_later(site);
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
