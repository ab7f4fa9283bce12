/*
 * By which line of ours a peer is reached, where lines were said (`uplink`), the best first. What
 * we call goes by the first that is there and, when nobody answers there, by the next. What is
 * established stays at its line as long as that works: when the address is gone, or the peer is
 * silent, it moves to another one (mobility.c) or is made anew by another one. A better line that
 * is there again is tested before it is used: by a question of liveness that goes there, or, by who
 * cannot move, by another IKE SA beside the one in use (returning.c).
 */
#include "gateway/inside.h"

#include <string.h>

#include "base/text.h"

#define SILENT_MS 4000 /* of an uplink by which somebody is called */

const struct config_uplinks *uplinks_of(const struct site *site)
{
    /* The addresses of transport mode are what is protected. */
    if (site->config->carriage.mode == CONFIG_TRANSPORT) {
        return NULL;
    }
    if (site->config->uplinks != NULL || site->gateway->config == NULL) {
        return site->config->uplinks;
    }
    return site->gateway->config->uplinks;
}

size_t uplinks_count(const struct site *site)
{
    const struct config_uplinks *list = uplinks_of(site);

    return list == NULL ? 0 : list->count;
}

static bool is_of(const struct config_uplink *uplink, const struct gateway_interface *interface)
{
    return uplink->address.family != FAMILY_NONE
               ? address_equal(&uplink->address, &interface->address)
               : strcmp(uplink->text, interface->name) == 0;
}

bool uplinks_address(const struct site *site, size_t index, enum family family, struct address *out)
{
    const struct gateway *g = site->gateway;
    const struct config_uplinks *list = uplinks_of(site);

    for (size_t i = 0; list != NULL && index < list->count && i < g->interface_count; i++) {
        const struct gateway_interface *interface = &g->interfaces[i];

        if (interface->carries && interface->address.family == family &&
            is_of(&list->list[index], interface) &&
            mobility_listens_at(g->config, &interface->address)) {
            *out = interface->address;
            return true;
        }
    }
    return false;
}

size_t uplinks_place(const struct site *site, const struct address *local)
{
    const struct gateway *g = site->gateway;
    const struct config_uplinks *list = uplinks_of(site);
    size_t place = 0;

    for (; list != NULL && place < list->count; place++) {
        for (size_t i = 0; i < g->interface_count; i++) {
            if (address_equal(&g->interfaces[i].address, local) && g->interfaces[i].carries &&
                is_of(&list->list[place], &g->interfaces[i])) {
                return place;
            }
        }
    }
    return place;
}

static bool better(const struct ike *ike, size_t first, size_t end, size_t *index,
                   struct address *out)
{
    enum family family = (enum family)ike->peer.address.family;

    for (*index = first; *index < end; (*index)++) {
        if (uplinks_address(ike->site, *index, family, out)) {
            return true;
        }
    }
    return false;
}

bool uplinks_has_better(const struct ike *ike)
{
    struct address unused;
    size_t index;

    return better(ike, 0, uplinks_place(ike->site, &ike->local.address), &index, &unused);
}

bool uplinks_next_better(const struct ike *ike, struct address *out)
{
    struct roaming *roaming = roaming_of(ike->site);
    size_t end = uplinks_place(ike->site, &ike->local.address);
    size_t index;

    if (roaming == NULL || (!better(ike, roaming->uplink_tested, end, &index, out) &&
                            !better(ike, 0, end, &index, out))) {
        return false;
    }
    roaming->uplink_tested = (uint8_t)(index + 1);
    return true;
}

bool uplinks_may_be_told(const struct gateway *g, const struct address *a)
{
    const struct config_uplinks *list = g->config->uplinks;
    bool is_one = list == NULL;

    for (size_t i = 0; list != NULL && i < list->count; i++) {
        for (size_t j = 0; j < g->interface_count; j++) {
            is_one = is_one || (address_equal(&g->interfaces[j].address, a) &&
                                is_of(&list->list[i], &g->interfaces[j]));
        }
    }
    return is_one;
}

void gateway_host_interfaces(struct gateway *g, const struct gateway_interface *list, size_t count)
{
    g->interface_count = count < HOST_ADDRESSES_MAX ? count : HOST_ADDRESSES_MAX;
    memcpy(g->interfaces, list, g->interface_count * sizeof(*list));
}

/* Of the first that is better. */
static void say_why(const struct ike *ike, size_t place, uint64_t now_ms, struct text *out)
{
    const struct site *site = ike->site;
    const char *first = uplinks_of(site)->list[0].text;
    const struct roaming *roaming = site->roaming;
    struct address unused;

    if (place == 0) {
        return;
    }
    if (!uplinks_address(site, 0, (enum family)ike->peer.address.family, &unused)) {
        text_addf(out, "%s is not there", first);
    } else if (mobility_decides(ike) && site->astray && roaming->better_way_ms > now_ms) {
        text_addf(out, "%s did not work; it is tested again in %llu s", first,
                  (unsigned long long)(roaming->better_way_ms - now_ms + 999) / 1000);
    } else if (returning_due_ms(site) != NEVER_MS && returning_due_ms(site) > now_ms) {
        text_addf(out, "%s did not work; it is called by again in %llu s", first,
                  (unsigned long long)(returning_due_ms(site) - now_ms + 999) / 1000);
    } else {
        text_addf(out, "%s%s", first, ike->initiator ? " did not work" : ": the peer decides");
    }
}

void uplinks_status(const struct ike *ike, uint64_t now_ms, struct status_site *out)
{
    size_t place = uplinks_place(ike->site, &ike->local.address);
    struct text why = text_over(out->uplink_why, sizeof(out->uplink_why));

    out->uplink_count = uplinks_count(ike->site);
    if (place < out->uplink_count) {
        out->uplink_place = place + 1;
        out->uplink = uplinks_of(ike->site)->list[place].text;
        say_why(ike, place, now_ms, &why);
    }
}

/* ---- what is established ---- */

/* Who cannot move has nothing to look for; returning.c calls anew. */
static void astray(struct ike *ike, uint64_t look_ms)
{
    if (mobility_decides(ike)) {
        mobility_astray(ike->site, look_ms);
    }
}

void uplinks_established(struct ike *ike, uint64_t now_ms)
{
    if (ike->initiator && uplinks_count(ike->site) > 0 && uplinks_has_better(ike)) {
        /* It was silent a moment ago. */
        astray(ike, now_ms + BETTER_WAY_MS);
    }
}

bool uplinks_changed(struct ike *ike, uint64_t now_ms)
{
    struct site *site = ike->site;
    struct address local;
    size_t index;

    if (site == NULL || uplinks_count(site) == 0 || ike->peer.tcp) {
        return false;
    }
    size_t count = uplinks_count(site);

    site_think_later(site);
    if (uplinks_place(site, &ike->local.address) < count) {
        if (ike->initiator && uplinks_has_better(ike)) {
            astray(ike, now_ms);
        }
        return true;
    }
    /* Its line is gone, or is none of those that were said. */
    if (!better(ike, 0, count, &index, &local)) {
        return true;
    }
    notes_source_again(ike, &local, now_ms);
    if (ike->initiator && index > 0) {
        astray(ike, now_ms + BETTER_WAY_MS);
    }
    return true;
}

/* ---- what is being called ---- */

static bool has_next(const struct site *site)
{
    struct address unused;

    for (size_t i = site->uplink + 1U; i < uplinks_count(site); i++) {
        if (uplinks_address(site, i, (enum family)site->dialled->peer.address.family, &unused)) {
            return true;
        }
    }
    return false;
}

uint64_t uplinks_next_ms(const struct site *site)
{
    return site->dial != DIAL_GOING || site->dialled == NULL || site->dialled->heard ||
                   site->dialled->peer.tcp || uplinks_count(site) == 0 || !has_next(site)
               ? NEVER_MS
               : site->dialled->created_ms + SILENT_MS;
}

void uplinks_next(struct site *site, uint64_t now_ms)
{
    const struct ike *dialled = site->dialled;
    char peer[ADDRESS_TEXT_BYTES];

    if (!site->returning && site_may_say(site, now_ms)) {
        log_line(site->gateway->log, LOG_LEVEL_INFO, site->name,
                 "%s does not answer by the uplink %s: the next one is taken",
                 address_format(&dialled->peer.address, peer),
                 uplinks_of(site)->list[site->uplink].text);
    }
    ike_order_close(site->dialled, IKEV2_FAIL_ORDERED);
    site->dialled = NULL;
    site->try_in_full = false;
    dial_failed(site);
}
