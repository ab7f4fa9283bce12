/*
 * Decides what is wrong although each statement by itself is right: what is missing, what is there
 * twice, which networks meet. Networks are compared by sorting and one sweep, so that ten thousand
 * sites cost hardly more than reading them.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/compare.h"
#include "config/schema.h"

/* Sites that share one network need a closer look at each other; nobody has so many of them. */
#define CLOSE_LOOKS_MAX 2000000
#define NESTING_MAX 130 /* prefixes of both families, one within the other */
#define OUR_LAN UINT32_MAX

struct placed_network {
    struct network network;
    struct config_place place;
    uint32_t owner; /* or OUR_LAN */
    uint32_t order;
};

/* "line 7", or with the file when it is another one. */
static const char *where(const struct reading *r, const struct config_place *from,
                         const struct config_place *to, char out[160])
{
    if (from->file == to->file) {
        snprintf(out, 160, "line %u", (unsigned)to->line);
    } else {
        snprintf(out, 160, "%.120s:%u", r->files[to->file].path, (unsigned)to->line);
    }
    return out;
}

/* ---- what is missing ---- */

static bool gateway_said(const struct reading *r, const char *word)
{
    const struct schema_word *w = schema_find(SCOPE_GATEWAY, slice_of_text(word));

    assert(w != NULL);
    return r->said[SCOPE_GATEWAY][schema_index(w)].line != 0;
}

static void check_present(struct reading *r)
{
    static const struct config_place beginning = {.line = 1, .column = 1};

    if (!gateway_said(r, "gateway")) {
        COMPLAIN(r, beginning, "write your name, such as: gateway tokyo.example.jp",
                 "the word 'gateway' is missing");
    }
    if (gateway_said(r, "lan")) {
        return;
    }
    for (size_t i = 0; i < r->site_count; i++) {
        const struct config_caller *caller = r->sites[i].caller;

        if (r->site_notes[i].lans.count == 0 && r->sites[i].carriage.mode == CONFIG_TUNNEL &&
            !(caller != NULL && caller->asks_address)) {
            COMPLAIN(r, r->sites[i].place, "say what is behind us, such as: lan 10.1.0.0/16",
                     "there is no lan that site %s could reach", r->sites[i].name);
            return;
        }
    }
}

/* ---- names ---- */

/* A site or a manual block: both have traffic of their own, and share their names. */
struct owner {
    const char *kind;
    const char *name;
    const struct config_place *place;
    const struct network *lans;
    size_t lan_count;
    uint8_t only_protocol;
    uint16_t only_port_first, only_port_last;
    bool only_ours;
};

/* The sites, then the manual blocks. */
static struct owner owner_of(const struct reading *r, size_t index)
{
    const struct config *c = r->config;

    if (index < c->site_count) {
        const struct config_site *site = &c->sites[index];
        bool own = site->lan_count > 0;
        return (struct owner){
            .kind = site->access == NULL ? "site" : "remote-access",
            .name = site->name,
            .place = &site->place,
            .lans = own ? site->lans : c->lans,
            .lan_count = own ? site->lan_count : c->lan_count,
            .only_protocol = site->only_protocol,
            .only_port_first = site->only_port_first,
            .only_port_last = site->only_port_last,
        };
    }
    const struct config_manual *m = &c->manuals[index - c->site_count];

    return (struct owner){
        .kind = "manual block",
        .name = m->name,
        .place = &m->place,
        .lans = m->lans,
        .lan_count = m->lan_count,
        .only_protocol = m->only_protocol,
        .only_port_first = m->only_port_first,
        .only_port_last = m->only_port_last,
        .only_ours = m->only_ours,
    };
}

static int compare_names(const void *left, const void *right)
{
    const struct owner *a = left;
    const struct owner *b = right;
    int order = strcmp(a->name, b->name);

    return order != 0 ? order : place_compare(a->place, b->place);
}

static int compare_sites(const void *left, const void *right)
{
    const struct config_site *const *a = left;
    const struct config_site *const *b = right;

    return strcmp((*a)->name, (*b)->name);
}

static int compare_manuals(const void *left, const void *right)
{
    const struct config_manual *const *a = left;
    const struct config_manual *const *b = right;

    return strcmp((*a)->name, (*b)->name);
}

static void sort_by_name(struct reading *r)
{
    struct config *c = r->config;
    const struct config_site **sites = arena_take(r->arena, (c->site_count + 1) * sizeof(void *));
    const struct config_manual **manuals =
        arena_take(r->arena, (c->manual_count + 1) * sizeof(void *));

    if (sites == NULL || manuals == NULL) {
        return;
    }
    for (size_t i = 0; i < c->site_count; i++) {
        sites[i] = &c->sites[i];
    }
    for (size_t i = 0; i < c->manual_count; i++) {
        manuals[i] = &c->manuals[i];
    }
    qsort(sites, c->site_count, sizeof(void *), compare_sites);
    qsort(manuals, c->manual_count, sizeof(void *), compare_manuals);
    c->by_name = sites;
    c->manuals_by_name = manuals;
}

static void check_names(struct reading *r)
{
    size_t count = r->site_count + r->manual_count;
    struct owner *sorted = arena_take(r->notes, (count + 1) * sizeof(*sorted));
    char place[160];

    sort_by_name(r);
    if (sorted == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = owner_of(r, i);
    }
    qsort(sorted, count, sizeof(*sorted), compare_names);
    for (size_t i = 1; i < count; i++) {
        const struct owner *one = &sorted[i - 1];
        const struct owner *two = &sorted[i];
        if (strcmp(one->name, two->name) == 0 && one->name[0] != '\0') {
            COMPLAIN(r, *two->place, "each site and each manual block has a name of its own",
                     "there is a %s %s already (%s)", one->kind, two->name,
                     where(r, two->place, one->place, place));
        }
    }
}

/* ---- identities ---- */

struct caller {
    const char *identity; /* "" for any */
    const char *say;
    const char *peer;
    const struct config_site *site;
};

static int compare_callers(const void *left, const void *right)
{
    const struct caller *a = left;
    const struct caller *b = right;
    int order = strcmp(a->identity, b->identity);

    order = order != 0 ? order : strcmp(a->say, b->say);
    order = order != 0 ? order : strcmp(a->peer, b->peer);
    return order != 0 ? order : place_compare(&a->site->place, &b->site->place);
}

/* By the version of IKE with which people come, and others do not. */
static bool told_apart(const struct config_site *a, const struct config_site *b)
{
    return (a->access != NULL) != (b->access != NULL) &&
           (a->version == CONFIG_IKE_V2 || b->version == CONFIG_IKE_V2);
}

/* When a peer calls, its site is found by what both sides say to be. */
static void check_callers(struct reading *r)
{
    struct caller *callers = arena_take(r->notes, (r->site_count + 1) * sizeof(*callers));
    size_t count = 0;
    char place[160];

    if (callers == NULL) {
        return;
    }
    for (size_t i = 0; i < r->site_count; i++) {
        const struct config_site *site = &r->config->sites[i];
        const char *identity = config_site_identity(site);
        if (site->enabled && site->peer_count > 0) {
            callers[count++] = (struct caller){
                .identity = identity == NULL ? "" : identity,
                .say = site->say == NULL ? "" : site->say,
                .peer = site->peers[0].any ? "" : site->peers[0].text,
                .site = site,
            };
        }
    }
    qsort(callers, count, sizeof(*callers), compare_callers);
    for (size_t i = 1; i < count; i++) {
        const struct caller *one = &callers[i - 1];
        const struct caller *two = &callers[i];
        if (strcmp(one->identity, two->identity) != 0 || strcmp(one->say, two->say) != 0 ||
            strcmp(one->peer, two->peer) != 0 || told_apart(one->site, two->site)) {
            continue;
        }
        where(r, &two->site->place, &one->site->place, place);
        if (two->identity[0] == '\0' && two->peer[0] == '\0') {
            COMPLAIN(r, two->site->place, "give them different identities",
                     "site %s and site %s (%s) both wait for anybody: nobody could tell who calls",
                     two->site->name, one->site->name, place);
        } else {
            WARN(r, two->site->place, NULL,
                 "site %s has the same peer and identities as site %s (%s): when it calls, the "
                 "first "
                 "of them answers. Put their networks into one site",
                 two->site->name, one->site->name, place);
        }
    }
}

/* ---- networks ---- */

static int compare_networks(const void *left, const void *right)
{
    const struct placed_network *a = left;
    const struct placed_network *b = right;
    int order = address_compare(&a->network.address, &b->network.address);

    if (order != 0) {
        return order;
    }
    if (a->network.prefix_bits != b->network.prefix_bits) {
        return a->network.prefix_bits < b->network.prefix_bits ? -1 : 1;
    }
    return a->order < b->order ? -1 : a->order > b->order ? 1 : 0;
}

static bool network_holds(struct reading *r, const struct network *outer,
                          const struct network *inner)
{
    r->comparisons++;
    return outer->prefix_bits <= inner->prefix_bits && network_contains(outer, &inner->address);
}

static bool only_meets(const struct owner *a, const struct owner *b)
{
    if (a->only_protocol == 0 || b->only_protocol == 0) {
        return true;
    }
    if (a->only_ours != b->only_ours) {
        /* Connections in one direction and in the other. */
        return false;
    }
    return a->only_protocol == b->only_protocol && a->only_port_first <= b->only_port_last &&
           b->only_port_first <= a->only_port_last;
}

static bool lans_meet(struct reading *r, const struct owner *a, const struct owner *b)
{
    if (a->lans == b->lans) {
        return true;
    }
    for (size_t i = 0; i < a->lan_count; i++) {
        for (size_t j = 0; j < b->lan_count; j++) {
            r->comparisons++;
            if (network_overlaps(&a->lans[i], &b->lans[j]) || r->comparisons > CLOSE_LOOKS_MAX) {
                return true;
            }
        }
    }
    return false;
}

/* Two of them want the same traffic. */
static bool owners_meet(struct reading *r, uint32_t a, uint32_t b)
{
    const struct owner one = owner_of(r, a);
    const struct owner two = owner_of(r, b);

    r->comparisons++;
    return only_meets(&one, &two) && lans_meet(r, &one, &two);
}

static void complain_equal(struct reading *r, const struct placed_network *here,
                           const struct placed_network *there)
{
    char text[NETWORK_TEXT_BYTES];
    char place[160];

    network_format(&here->network, text);
    where(r, &here->place, &there->place, place);
    if (here->owner == there->owner) {
        COMPLAIN(r, here->place, "leave it out", "%s is said twice (first: %s)", text, place);
    } else {
        const struct owner other = owner_of(r, there->owner);
        COMPLAIN(r, here->place, "a network can be behind one peer only",
                 "network %s is behind %s %s too (%s; SEK-N003)", text, other.kind, other.name,
                 place);
    }
}

/* Equal networks stand together: is there one before this that wants the same traffic? */
static void check_equal(struct reading *r, const struct placed_network *list, size_t first,
                        size_t i)
{
    for (size_t j = i; j > first; j--) {
        const struct placed_network *other = &list[j - 1];
        if (other->owner == list[i].owner || r->comparisons > CLOSE_LOOKS_MAX ||
            owners_meet(r, list[i].owner, other->owner)) {
            complain_equal(r, &list[i], other);
            return;
        }
    }
}

static void check_nested(struct reading *r, const struct placed_network *list, const size_t *stack,
                         size_t depth, size_t i)
{
    for (size_t j = depth; j > 0; j--) {
        const struct placed_network *outer = &list[stack[j - 1]];
        /* A site that gets everything else is meant so. */
        if (outer->owner == list[i].owner || outer->network.prefix_bits == 0 ||
            !owners_meet(r, list[i].owner, outer->owner)) {
            continue;
        }
        const struct owner mine = owner_of(r, list[i].owner);
        const struct owner theirs = owner_of(r, outer->owner);
        char text[NETWORK_TEXT_BYTES];
        char outer_text[NETWORK_TEXT_BYTES];
        char place[160];
        WARN(r, list[i].place, NULL,
             "network %s lies within %s of %s %s (%s): its traffic goes to %s %s alone (SEK-N003)",
             network_format(&list[i].network, text), network_format(&outer->network, outer_text),
             theirs.kind, theirs.name, where(r, &list[i].place, &outer->place, place), mine.kind,
             mine.name);
        return;
    }
}

/* All networks of all sites, in order, with those around each one on a stack. */
static void check_between_sites(struct reading *r, struct placed_network *list, size_t count)
{
    size_t stack[NESTING_MAX];
    size_t depth = 0;

    qsort(list, count, sizeof(*list), compare_networks);
    for (size_t i = 0; i < count; i++) {
        while (depth > 0 && !network_holds(r, &list[stack[depth - 1]].network, &list[i].network)) {
            depth--;
        }
        if (depth > 0 &&
            list[stack[depth - 1]].network.prefix_bits == list[i].network.prefix_bits) {
            check_equal(r, list, stack[depth - 1], i);
            continue;
        }
        check_nested(r, list, stack, depth, i);
        assert(depth < NESTING_MAX);
        stack[depth++] = i;
    }
}

/* Our networks, sorted, and for each the next one around it. */
struct our_networks {
    struct placed_network *list;
    size_t *around; /* index and one, 0: none */
    size_t count;
};

static bool our_networks_make(struct reading *r, const struct said_networks *said,
                              struct our_networks *ours)
{
    size_t around = 0;

    ours->count = said->count;
    ours->list = arena_take(r->notes, (said->count + 1) * sizeof(*ours->list));
    ours->around = arena_take(r->notes, (said->count + 1) * sizeof(*ours->around));
    if (ours->list == NULL || ours->around == NULL) {
        return false;
    }
    for (size_t i = 0; i < said->count; i++) {
        ours->list[i] = (struct placed_network){said->list[i].network, said->list[i].place, OUR_LAN,
                                                (uint32_t)i};
    }
    qsort(ours->list, ours->count, sizeof(*ours->list), compare_networks);
    for (size_t i = 0; i < ours->count; i++) {
        while (around > 0 &&
               !network_holds(r, &ours->list[around - 1].network, &ours->list[i].network)) {
            around = ours->around[around - 1];
        }
        if (around > 0 && network_equal(&ours->list[around - 1].network, &ours->list[i].network)) {
            complain_equal(r, &ours->list[i], &ours->list[around - 1]);
        }
        ours->around[i] = around;
        around = i + 1;
    }
    return true;
}

/* The narrowest of ours that holds the network; NULL when none does. */
static const struct placed_network *our_networks_find(struct reading *r,
                                                      const struct our_networks *ours,
                                                      const struct network *network)
{
    const struct placed_network wanted = {.network = *network, .order = UINT32_MAX};
    size_t low = 0;
    size_t high = ours->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        r->comparisons++;
        if (compare_networks(&ours->list[middle], &wanted) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    /* The last that is not behind it, and what is around that one. */
    while (low > 0 && !network_holds(r, &ours->list[low - 1].network, network)) {
        low = ours->around[low - 1];
    }
    return low == 0 ? NULL : &ours->list[low - 1];
}

static void check_beside_lan(struct reading *r, const struct our_networks *ours, bool own,
                             bool pool, const struct said_network *said)
{
    const struct placed_network *lan = our_networks_find(r, ours, &said->network);
    char text[NETWORK_TEXT_BYTES];
    char lan_text[NETWORK_TEXT_BYTES];
    char place[160];

    if (lan == NULL) {
        return;
    }
    network_format(&said->network, text);
    network_format(&lan->network, lan_text);
    where(r, &said->place, &lan->place, place);
    if (pool) {
        if (lan->network.prefix_bits > 0) {
            access_complain_lan(r, said, lan_text, place,
                                lan->network.prefix_bits == said->network.prefix_bits);
        }
    } else if (lan->network.prefix_bits == said->network.prefix_bits) {
        COMPLAIN(r, said->place, "translation of equal networks is not in this version",
                 "network %s is our own lan (%s)", text, place);
    } else if (!own && lan->network.prefix_bits > 0) {
        WARN(r, said->place, NULL,
             "network %s overlaps lan %s (%s): hosts of ours with such addresses could not be "
             "reached",
             text, lan_text, place);
    }
}

/* Whether one of ours lies within a pool. */
static void check_within_pool(struct reading *r, const struct our_networks *ours,
                              const struct said_network *pool)
{
    char lan_text[NETWORK_TEXT_BYTES];
    char place[160];

    for (size_t i = 0; i < ours->count; i++) {
        const struct placed_network *lan = &ours->list[i];

        if (lan->network.prefix_bits > pool->network.prefix_bits &&
            network_holds(r, &pool->network, &lan->network)) {
            access_complain_lan(r, pool, network_format(&lan->network, lan_text),
                                where(r, &pool->place, &lan->place, place), true);
            return;
        }
    }
}

static bool has_family(const struct said_networks *said, uint8_t family)
{
    for (size_t i = 0; i < said->count; i++) {
        if (said->list[i].network.address.family == family) {
            return true;
        }
    }
    return false;
}

/* What one site or manual block says about networks. */
struct said_traffic {
    uint32_t owner;
    const struct said_networks *networks;
    const struct said_networks *lans; /* its own */
    bool own; /* else those of the gateway */
    bool pool; /* its networks are addresses for people */
};

/* Networks of a family that is not on our side are reached by nothing. */
static void check_families(struct reading *r, const struct said_traffic *said,
                           const bool gateway_has[2])
{
    const struct said_networks *networks = said->networks;
    const uint8_t families[2] = {FAMILY_IPV4, FAMILY_IPV6};
    const struct owner owner = owner_of(r, said->owner);

    for (size_t f = 0; f < 2; f++) {
        if (said->own ? has_family(said->lans, families[f]) : gateway_has[f]) {
            continue;
        }
        for (size_t i = 0; i < networks->count; i++) {
            if (networks->list[i].network.address.family == families[f]) {
                WARN(r, networks->list[i].place, NULL,
                     "no lan of %s %s is %s: nothing can reach this network", owner.kind,
                     owner.name, f == 0 ? "IPv4" : "IPv6");
                break;
            }
        }
    }
}

/* All networks that are behind some peer. */
struct all_networks {
    struct placed_network *list;
    size_t count;
    struct our_networks gateway_lans;
    bool gateway_has[2];
};

static bool add_traffic(struct reading *r, struct all_networks *all,
                        const struct said_traffic *said, bool enabled)
{
    struct our_networks own_lans;

    if (said->own && !our_networks_make(r, said->lans, &own_lans)) {
        return false;
    }
    if (!enabled) {
        return true;
    }
    if (said->own || r->lans.count > 0) {
        check_families(r, said, all->gateway_has);
    }
    for (size_t i = 0; i < said->networks->count; i++) {
        const struct said_network *network = &said->networks->list[i];
        all->list[all->count] = (struct placed_network){network->network, network->place,
                                                        said->owner, (uint32_t)all->count};
        all->count++;
        check_beside_lan(r, said->own ? &own_lans : &all->gateway_lans, said->own, said->pool,
                         network);
        if (said->pool) {
            check_within_pool(r, said->own ? &own_lans : &all->gateway_lans, network);
        }
    }
    return true;
}

static void check_networks(struct reading *r)
{
    struct all_networks all = {
        .list = arena_take(r->notes, (r->network_count + 1) * sizeof(*all.list)),
        .gateway_has = {has_family(&r->lans, FAMILY_IPV4), has_family(&r->lans, FAMILY_IPV6)},
    };

    if (all.list == NULL || !our_networks_make(r, &r->lans, &all.gateway_lans)) {
        return;
    }
    for (size_t i = 0; i < r->site_count; i++) {
        const struct site_notes *notes = &r->site_notes[i];
        const struct said_traffic said = {(uint32_t)i, &notes->networks, &notes->lans,
                                          notes->lans.count > 0, r->sites[i].access != NULL};
        if (!add_traffic(r, &all, &said, r->sites[i].enabled)) {
            return;
        }
    }
    for (size_t i = 0; i < r->manual_count; i++) {
        const struct manual_notes *notes = &r->manual_notes[i];
        const struct said_traffic said = {(uint32_t)(r->site_count + i), &notes->networks,
                                          &notes->lans, true, false};
        if (!add_traffic(r, &all, &said, r->manuals[i].enabled)) {
            return;
        }
    }
    check_between_sites(r, all.list, all.count);
}

/* ---- hosts in transport mode ---- */

struct placed_host {
    const struct address *peer;
    const struct address *local; /* NULL: any of ours */
    const struct config_place *place;
    struct owner owner;
};

static int compare_hosts(const void *left, const void *right)
{
    const struct placed_host *a = left;
    const struct placed_host *b = right;
    int order = address_compare(a->peer, b->peer);

    return order != 0 ? order : place_compare(a->place, b->place);
}

static bool hosts_meet(struct reading *r, const struct placed_host *a, const struct placed_host *b)
{
    r->comparisons++;
    return (a->local == NULL || b->local == NULL || address_equal(a->local, b->local)) &&
           only_meets(&a->owner, &b->owner);
}

static size_t list_hosts(struct reading *r, struct placed_host *list)
{
    const struct config *c = r->config;
    size_t count = 0;

    for (size_t i = 0; i < c->site_count; i++) {
        const struct config_site *site = &c->sites[i];
        if (site->enabled && site->carriage.mode == CONFIG_TRANSPORT && site->peer_count == 1 &&
            site->peers[0].address.family != FAMILY_NONE) {
            list[count++] = (struct placed_host){&site->peers[0].address, NULL,
                                                 &r->site_notes[i].peer, owner_of(r, i)};
        }
    }
    for (size_t i = 0; i < c->manual_count; i++) {
        const struct config_manual *m = &c->manuals[i];
        if (m->enabled && m->carriage.mode == CONFIG_TRANSPORT) {
            list[count++] = (struct placed_host){&m->peer, &m->local, &r->manual_notes[i].outer,
                                                 owner_of(r, c->site_count + i)};
        }
    }
    return count;
}

static void check_hosts(struct reading *r)
{
    struct placed_host *list =
        arena_take(r->notes, (r->site_count + r->manual_count + 1) * sizeof(*list));
    size_t count = list == NULL ? 0 : list_hosts(r, list);
    size_t first = 0;
    char place[160];

    if (count > 0) {
        qsort(list, count, sizeof(*list), compare_hosts);
    }
    for (size_t i = 1; i < count; i++) {
        if (!address_equal(list[first].peer, list[i].peer)) {
            first = i;
            continue;
        }
        for (size_t j = i; j > first && r->comparisons < CLOSE_LOOKS_MAX; j--) {
            const struct placed_host *other = &list[j - 1];
            if (hosts_meet(r, &list[i], other)) {
                COMPLAIN(r, *list[i].place, "divide it with 'only'",
                         "%s %s has the traffic with this host already (%s)", other->owner.kind,
                         other->owner.name, where(r, list[i].place, other->place, place));
                break;
            }
        }
    }
}

/* ---- manual keys ---- */

struct placed_spi {
    uint32_t spi;
    const struct config_place *place;
    const char *name;
};

static int compare_spis(const void *left, const void *right)
{
    const struct placed_spi *a = left;
    const struct placed_spi *b = right;

    if (a->spi != b->spi) {
        return a->spi < b->spi ? -1 : 1;
    }
    return place_compare(a->place, b->place);
}

/* Both protocols share one space, in which what comes in finds its SA by the SPI alone. */
static void check_spis(struct reading *r)
{
    struct placed_spi *list = arena_take(r->notes, (2 * r->manual_count + 1) * sizeof(*list));
    size_t count = 0;
    char place[160];

    for (size_t i = 0; list != NULL && i < r->manual_count; i++) {
        const struct config_manual *m = &r->config->manuals[i];
        const struct manual_notes *notes = &r->manual_notes[i];
        if (m->esp.spi_in != 0) {
            list[count++] = (struct placed_spi){m->esp.spi_in, &notes->esp_spi_in, m->name};
        }
        if (m->ah.spi_in != 0) {
            list[count++] = (struct placed_spi){m->ah.spi_in, &notes->ah_spi_in, m->name};
        }
    }
    if (count > 0) {
        qsort(list, count, sizeof(*list), compare_spis);
    }
    for (size_t i = 1; i < count; i++) {
        const struct placed_spi *one = &list[i - 1];
        if (one->spi == list[i].spi) {
            COMPLAIN(r, *list[i].place, "choose another one, on the peer's side too",
                     "manual block %s has this inbound SPI already (%s): each is there once, for "
                     "esp and ah together",
                     one->name, where(r, list[i].place, one->place, place));
        }
    }
}

/* ESP in UDP comes in where IKE behind a NAT does (RFC 3948 2.1). */
static void check_udp_ports(struct reading *r)
{
    for (size_t i = 0; i < r->manual_count; i++) {
        const struct config_manual *m = &r->config->manuals[i];
        if (m->local_port != 0 && m->local_port != r->config->nat_port) {
            char advice[64];
            snprintf(advice, sizeof(advice), "did you mean: encapsulate %u %u ?",
                     (unsigned)r->config->nat_port, (unsigned)m->peer_port);
            COMPLAIN(r, r->manual_notes[i].encapsulate, advice,
                     "our port can only be %u, where ESP in UDP is received",
                     (unsigned)r->config->nat_port);
        }
    }
}

/* ---- certificates ---- */

static void check_certificates(struct reading *r)
{
    const struct config_loader *loader = r->loader;
    char advice[160];

    for (size_t i = 0; loader->certificates != NULL && i < r->site_count; i++) {
        const struct config_site *site = &r->sites[i];
        char why[256] = "";

        if (site->key.name != NULL || site->unauthenticated || !site->enabled ||
            r->config->gateway == NULL ||
            loader->certificates(loader->context, site, r->config->gateway, why, sizeof(why))) {
            continue;
        }
        snprintf(advice, sizeof(advice),
                 "write: key @%.40s, or make certificates: sekisho help certificate", site->name);
        COMPLAIN(r, site->place, advice, "site %s has no line key, and its certificates: %s",
                 site->name, why);
    }
}

/* ---- the whole ---- */

/* A pair is of one family. */
static size_t pairs_of(const struct said_networks *lans, const struct said_networks *networks)
{
    size_t pairs = 0;

    for (size_t i = 0; i < lans->count && pairs <= CONFIG_PAIRS_MAX; i++) {
        for (size_t j = 0; j < networks->count && pairs <= CONFIG_PAIRS_MAX; j++) {
            pairs +=
                lans->list[i].network.address.family == networks->list[j].network.address.family;
        }
    }
    return pairs;
}

static void check_pairs(struct reading *r)
{
    for (size_t i = 0; i < r->site_count; i++) {
        const struct site_notes *notes = &r->site_notes[i];
        const struct said_networks *lans = notes->lans.count > 0 ? &notes->lans : &r->lans;

        if (r->sites[i].children == CHILDREN_PER_PAIR &&
            pairs_of(lans, &notes->networks) > CONFIG_PAIRS_MAX) {
            COMPLAIN(r, r->sites[i].place,
                     "join neighbouring networks, or write: children together",
                     "'children per-pair' would make more than %d children of site %s",
                     CONFIG_PAIRS_MAX, r->sites[i].name);
        }
    }
}

static bool keep_lists(struct reading *r)
{
    struct config_site *sites = arena_take(r->arena, (r->site_count + 1) * sizeof(*sites));
    struct network *lans = arena_take(r->arena, (r->lans.count + 1) * sizeof(*lans));
    struct config_manual *manuals = arena_take(r->arena, (r->manual_count + 1) * sizeof(*manuals));

    if (sites == NULL || lans == NULL || manuals == NULL) {
        return false;
    }
    if (r->site_count > 0) {
        memcpy(sites, r->sites, r->site_count * sizeof(*sites));
    }
    for (size_t i = 0; i < r->lans.count; i++) {
        lans[i] = r->lans.list[i].network;
    }
    if (r->manual_count > 0) {
        memcpy(manuals, r->manuals, r->manual_count * sizeof(*manuals));
    }
    r->config->manuals = manuals;
    r->config->manual_count = r->manual_count;
    r->config->policies = r->policies;
    r->config->policy_count = r->policy_count;
    r->config->sites = sites;
    r->config->site_count = r->site_count;
    r->config->lans = lans;
    r->config->lan_count = r->lans.count;
    return true;
}

void check_all(struct reading *r)
{
    if (!keep_lists(r)) {
        return;
    }
    check_present(r);
    check_names(r);
    check_callers(r);
    check_networks(r);
    check_hosts(r);
    check_certificates(r);
    check_shared_keys(r);
    check_spis(r);
    check_pairs(r);
    check_udp_ports(r);
    check_uplinks(r);
    if (r->config->keep_keys) {
        WARN(r, said_at(r, "keep-keys"), "take it out when the fault is found",
             "keys are kept in readable form: whoever may use the control socket can read all "
             "traffic");
    }
    if (r->diagnoses.errors == 0 && !r->arena->exhausted && !hashes_make(r->config)) {
        r->arena->exhausted = true;
    }
}
