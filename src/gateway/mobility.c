/*
 * Addresses that change under a tunnel (RFC 4555, RFC 7296 2.23): decides when an IKE SA that can
 * move does, which way it takes, and what the peer is told of our addresses. What cannot move is
 * made anew (notes.c).
 *
 * Who began the IKE SA goes where the routes of this machine lead to the peer from. When the peer
 * is silent he tries the other ways that he knows, one after the other: from where the routes lead
 * now, from each other address of this machine (its uplinks, where the system sends by the source),
 * and to each address at which the peer said he can be reached or which his name has. From then on
 * he tests every half minute whether the best way works again, without leaving the one in use, and
 * goes back when it does. The side that answered stays as long as it has its address.
 */
#include "gateway/inside.h"

#define WAYS_MAX (1 + 2 * IKEV2_ADDRESSES_MAX + SITE_ADDRESSES_MAX)

static bool is_mobile(const struct ike *ike, struct ikev2_sa_info *info)
{
    machine_get_info(ike, info);
    /* Over TCP another connection is enough (transport.c). */
    return info->established && info->mobile && !ike->peer.tcp;
}

bool mobility_decides(const struct ike *ike)
{
    struct ikev2_sa_info info;

    return is_mobile(ike, &info) && info.mobile_initiator;
}

void mobility_astray(struct site *site, uint64_t at_ms)
{
    struct roaming *roaming = roaming_of(site);

    if (roaming != NULL) {
        site->astray = true;
        roaming->better_way_ms = at_ms;
        if (site->silence_look_ms != NEVER_MS && site->silence_look_ms > at_ms) {
            site->silence_look_ms = at_ms;
            site_think_later(site);
        }
    }
}

/* ---- what moved ---- */

static void say_moved(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                      bool refused, uint64_t now_ms)
{
    struct site *site = ike->site;
    char from[2][ENDPOINT_TEXT_BYTES];
    char to[2][ENDPOINT_TEXT_BYTES];

    site->moves++;
    site->moved_ms = now_ms;
    if (!site_may_say(site, now_ms)) {
        return;
    }
    size_t place = uplinks_place(site, &ike->local.address);
    bool has_uplink = place < uplinks_count(site);
    const char *by = has_uplink ? ", by " : "";
    const char *uplink = has_uplink ? uplinks_of(site)->list[place].text : "";

    log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name,
             "%s: was between %s and %s, is between %s and %s now%s%s%s",
             refused ? "the peer refused the new address" : "the tunnel moved",
             endpoint_format(local, from[0]), endpoint_format(peer, from[1]),
             endpoint_format(&ike->local, to[0]), endpoint_format(&ike->peer, to[1]),
             status_nat_words(ike), by, uplink);
}

static void say_not_followed(const struct ike *ike, uint32_t times, uint64_t now_ms)
{
    struct roaming *roaming = times == 0 ? NULL : roaming_of(ike->site);
    char peer[ENDPOINT_TEXT_BYTES];

    if (roaming == NULL) {
        return;
    }
    roaming->not_followed += times;
    if (site_may_say(ike->site, now_ms)) {
        log_line(ike->gateway->log, LOG_LEVEL_WARNING, ike->site->name,
                 "packets of the peer at %s come from changing addresses: %u times the tunnel did "
                 "not follow",
                 endpoint_format(&ike->peer, peer), times);
    }
}

void mobility_moved(struct ike *ike, const struct ikev2_action *action, uint64_t now_ms)
{
    struct ikev2_sa_info info;
    struct endpoint local = ike->local;
    struct endpoint peer = ike->peer;
    bool is_elsewhere = !endpoint_equal(&local, &action->moved.local) ||
                        !endpoint_equal(&peer, &action->moved.peer);

    ike->local = action->moved.local;
    ike->peer = action->moved.peer;
    ike->nat_local = action->moved.nat_local;
    ike->nat_peer = action->moved.nat_peer;
    if (ike->site == NULL || !ike->established) {
        return;
    }
    ike->site->last_peer = ike->peer;
    if (action->moved.children && is_mobile(ike, &info)) {
        children_move_each(ike);
    } else if (action->moved.children) {
        children_move(ike, &ike->local, &ike->peer);
    }
    ike_keep_alive(ike, now_ms);
    say_not_followed(ike, action->moved.not_followed, now_ms);
    if (is_elsewhere) {
        say_moved(ike, &local, &peer, action->moved.refused, now_ms);
        path_moved(ike, now_ms);
    }
}

/* ---- our own addresses ---- */

static bool is_inside(const struct config *config, const struct address *a)
{
    for (size_t i = 0; i < config->lan_count; i++) {
        if (network_contains(&config->lans[i], a)) {
            return true;
        }
    }
    return false;
}

bool mobility_listens_at(const struct config *config, const struct address *a)
{
    bool any = config->listen_count == 0;

    for (size_t i = 0; i < config->listen_count; i++) {
        any = any || address_equal(&config->listen[i], a) || address_is_any(&config->listen[i]);
    }
    return any;
}

/* What peers are told: where we listen, and no address of the networks behind us. */
static void announce(struct gateway *g, uint64_t now_ms)
{
    struct ikev2_addresses list = {0};
    bool same;

    for (size_t i = 0; g->config != NULL && i < g->host_address_count; i++) {
        const struct address *a = &g->host_addresses[i];

        if (list.count < IKEV2_ADDRESSES_MAX && !is_inside(g->config, a) &&
            mobility_listens_at(g->config, a) && uplinks_may_be_told(g, a)) {
            list.list[list.count++] = *a;
        }
    }
    same = list.count == g->announced.count;
    for (size_t i = 0; same && i < list.count; i++) {
        same = address_equal(&list.list[i], &g->announced.list[i]);
    }
    bool matters = list.count > 1 || g->announced.count > 1;

    g->announced = list;
    if (same || !matters) {
        return;
    }
    for (struct ike *ike = g->ikes; ike != NULL; ike = ike->next) {
        if (ike->established && !ike->superseded) {
            ike_order(ike, IKE_ORDER_ANNOUNCE);
        }
    }
    (void)now_ms;
}

void mobility_configured(struct gateway *g, uint64_t now_ms)
{
    announce(g, now_ms);
    for (struct ike *ike = g->ikes; ike != NULL; ike = ike->next) {
        if (ike->established && !ike->superseded) {
            (void)uplinks_changed(ike, now_ms);
        }
    }
}

void gateway_host_addresses(struct gateway *g, const struct address *list, size_t count,
                            uint64_t now_ms)
{
    g->now_ms = now_ms;
    g->host_address_count = count < HOST_ADDRESSES_MAX ? count : HOST_ADDRESSES_MAX;
    for (size_t i = 0; i < g->host_address_count; i++) {
        g->host_addresses[i] = list[i];
    }
    announce(g, now_ms);
    gateway_settle(g, now_ms);
}

/* Nobody told us what we have: then the routes are all that is known. */
static bool is_ours(const struct gateway *g, const struct address *a)
{
    for (size_t i = 0; i < g->host_address_count; i++) {
        if (address_equal(&g->host_addresses[i], a)) {
            return true;
        }
    }
    return false;
}

bool mobility_source_again(struct ike *ike, const struct address *local, uint64_t now_ms)
{
    struct ikev2_sa_info info;

    if (!is_mobile(ike, &info)) {
        return false;
    }
    struct endpoint from = {*local, info.local.port};

    /* RFC 4555 3.5: who answered stays, unless nothing can be sent from there any more. */
    if (info.mobile_initiator || !is_ours(ike->gateway, &info.local.address)) {
        ike_move(ike, &from, &info.peer, false, now_ms);
    }
    return true;
}

/* ---- a peer who is silent ---- */

/* One of ours, best first: of the uplinks that were said, else all. False behind the last; unset:
 * it is not there. */
static bool own_address(const struct ike *ike, const struct ikev2_sa_info *info, size_t index,
                        struct address *out)
{
    const struct ikev2_addresses *own = &ike->gateway->announced;

    *out = (struct address){.family = FAMILY_NONE};
    if (uplinks_count(ike->site) == 0) {
        if (index < own->count) {
            *out = own->list[index];
        }
        return index < own->count;
    }
    if (!uplinks_address(ike->site, index, (enum family)info->peer.address.family, out)) {
        *out = info->local.address;
    }
    return index < uplinks_count(ike->site);
}

/* Way number `index` to the peer; false behind the last. `local` without an address: where the
 * routes lead from. */
static bool way(const struct ike *ike, const struct ikev2_sa_info *info, size_t index,
                struct endpoint *local, struct endpoint *out)
{
    const struct site *site = ike->site;
    size_t own_count =
        uplinks_count(site) > 0 ? uplinks_count(site) : ike->gateway->announced.count;
    struct address told[IKEV2_ADDRESSES_MAX];
    size_t count = machine_peer_addresses(ike, told);

    *local = (struct endpoint){.port = info->local.port};
    *out = info->peer;
    if (index == 0) {
        if (uplinks_count(site) > 0) {
            local->address = info->local.address;
        }
        return true;
    }
    index--;
    if (own_address(ike, info, index, &local->address)) {
        return true;
    }
    index -= own_count;
    if (uplinks_count(site) > 0) {
        local->address = info->local.address;
    }
    if (index < count) {
        out->address = told[index];
        return true;
    }
    index -= count;
    if (index < site->candidate_count) {
        out->address = site->candidates[index].address;
        return true;
    }
    return false;
}

bool mobility_try(struct ike *ike)
{
    struct gateway *g = ike->gateway;
    struct site *site = ike->site;
    struct ikev2_sa_info info;
    struct endpoint from;
    struct endpoint to;

    if (!is_mobile(ike, &info) || !info.mobile_initiator) {
        return false;
    }
    /* Those that cannot be one, or are the one that is dead, cost no time. */
    do {
        if (site->ways_tried >= WAYS_MAX || !way(ike, &info, site->ways_tried, &from, &to)) {
            return false;
        }
        site->ways_tried++;
    } while (!address_is_unset(&from.address) &&
             (from.address.family != to.address.family ||
              (address_equal(&from.address, &info.local.address) &&
               address_equal(&to.address, &info.peer.address))));
    uint64_t question = questions_ask(g, QUESTION_SOURCE_WAY, NULL, ike, site->ways_tried - 1u);
    struct gateway_action *action = question == 0 ? NULL : actions_add(g, GATEWAY_FIND_SOURCE);

    if (action != NULL) {
        action->source.question = question;
        action->source.peer = to.address;
        if (uplinks_count(site) > 0) {
            action->source.local = from.address;
        }
    }
    return true;
}

void mobility_way_found(struct ike *ike, uint32_t index, const struct address *local,
                        uint64_t now_ms)
{
    struct ikev2_sa_info info;
    struct endpoint from;
    struct endpoint to;

    if (ike->site == NULL || ike->superseded || local == NULL || address_is_unset(local) ||
        !is_mobile(ike, &info) || !way(ike, &info, index, &from, &to)) {
        return;
    }
    if (address_is_unset(&from.address)) {
        from.address = *local;
    }
    mobility_astray(ike->site, now_ms + BETTER_WAY_MS);
    ike_move(ike, &from, &to, true, now_ms);
}

/* ---- back to the best way ---- */

/* To the first address of the peer, from where the routes lead. */
static struct endpoint best_peer(const struct ike *ike, const struct ikev2_sa_info *info)
{
    const struct site *site = ike->site;
    struct endpoint peer = info->peer;

    if (site->candidate_count > 0) {
        peer.address = site->candidates[0].address;
    }
    return peer;
}

void mobility_look(struct ike *ike, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    struct site *site = ike->site;
    struct ikev2_sa_info info;

    if (!site->astray || now_ms < site->roaming->better_way_ms || !is_mobile(ike, &info) ||
        !info.mobile_initiator) {
        return;
    }
    struct address local = {.family = FAMILY_NONE};
    struct endpoint peer = best_peer(ike, &info);

    /* A better uplink, each in its turn; by the best one that is there to the peer's best address.
     */
    if (uplinks_count(site) > 0 && !uplinks_next_better(ike, &local)) {
        site->astray = !address_equal(&peer.address, &info.peer.address);
        local = info.local.address;
        if (!site->astray) {
            return;
        }
    }
    uint64_t question = questions_ask(g, QUESTION_SOURCE_BEST, NULL, ike, 0);
    struct gateway_action *action = question == 0 ? NULL : actions_add(g, GATEWAY_FIND_SOURCE);

    site->roaming->better_way_ms = now_ms + BETTER_WAY_MS;
    if (action != NULL) {
        action->source.question = question;
        action->source.peer = peer.address;
        action->source.local = local;
    }
}

void mobility_best_found(struct ike *ike, const struct address *local, uint64_t now_ms)
{
    struct ikev2_sa_info info;

    if (ike->site == NULL || ike->superseded || local == NULL || address_is_unset(local) ||
        !is_mobile(ike, &info)) {
        return;
    }
    struct endpoint from = {*local, info.local.port};
    struct endpoint to = best_peer(ike, &info);

    if (endpoint_equal(&from, &info.local) && endpoint_equal(&to, &info.peer)) {
        ike->site->astray = false;
    } else {
        ike_test_way(ike, &from, &to, now_ms);
    }
}
