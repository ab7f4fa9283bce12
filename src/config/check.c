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
    uint32_t site; /* or OUR_LAN */
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
        if (r->site_notes[i].lans.count == 0) {
            COMPLAIN(r, r->sites[i].place, "say what is behind us, such as: lan 10.1.0.0/16",
                     "there is no lan that site %s could reach", r->sites[i].name);
            return;
        }
    }
}

/* ---- names ---- */

static int compare_names(const void *left, const void *right)
{
    const struct config_site *const *a = left;
    const struct config_site *const *b = right;
    int order = strcmp((*a)->name, (*b)->name);

    return order != 0 ? order : place_compare(&(*a)->place, &(*b)->place);
}

static void check_names(struct reading *r)
{
    const struct config_site **sorted = arena_take(r->arena, (r->site_count + 1) * sizeof(void *));
    char place[160];

    if (sorted == NULL) {
        return;
    }
    for (size_t i = 0; i < r->site_count; i++) {
        sorted[i] = &r->config->sites[i];
    }
    qsort(sorted, r->site_count, sizeof(void *), compare_names);
    for (size_t i = 1; i < r->site_count; i++) {
        const struct config_site *one = sorted[i - 1];
        const struct config_site *two = sorted[i];
        if (strcmp(one->name, two->name) == 0 && one->name[0] != '\0') {
            COMPLAIN(r, two->place, "each site has a name of its own",
                     "there is a site %s already (%s)", two->name,
                     where(r, &two->place, &one->place, place));
        }
    }
    r->config->by_name = sorted;
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
            strcmp(one->peer, two->peer) != 0) {
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

static bool only_meets(const struct config_site *a, const struct config_site *b)
{
    if (a->only_protocol == 0 || b->only_protocol == 0) {
        return true;
    }
    return a->only_protocol == b->only_protocol && a->only_port_first <= b->only_port_last &&
           b->only_port_first <= a->only_port_last;
}

static bool lans_meet(struct reading *r, const struct config_site *a, const struct config_site *b)
{
    const struct network *a_list = a->lan_count > 0 ? a->lans : r->config->lans;
    const struct network *b_list = b->lan_count > 0 ? b->lans : r->config->lans;
    size_t a_count = a->lan_count > 0 ? a->lan_count : r->config->lan_count;
    size_t b_count = b->lan_count > 0 ? b->lan_count : r->config->lan_count;

    if (a_list == b_list) {
        return true;
    }
    for (size_t i = 0; i < a_count; i++) {
        for (size_t j = 0; j < b_count; j++) {
            r->comparisons++;
            if (network_overlaps(&a_list[i], &b_list[j]) || r->comparisons > CLOSE_LOOKS_MAX) {
                return true;
            }
        }
    }
    return false;
}

/* Two sites want the same traffic. */
static bool sites_meet(struct reading *r, uint32_t a, uint32_t b)
{
    const struct config_site *one = &r->config->sites[a];
    const struct config_site *two = &r->config->sites[b];

    r->comparisons++;
    return only_meets(one, two) && lans_meet(r, one, two);
}

static void complain_equal(struct reading *r, const struct placed_network *here,
                           const struct placed_network *there)
{
    char text[NETWORK_TEXT_BYTES];
    char place[160];

    network_format(&here->network, text);
    where(r, &here->place, &there->place, place);
    if (here->site == there->site) {
        COMPLAIN(r, here->place, "leave it out", "%s is said twice (first: %s)", text, place);
    } else {
        COMPLAIN(r, here->place, "a network can be behind one peer only",
                 "network %s is behind site %s too (%s)", text, r->config->sites[there->site].name,
                 place);
    }
}

/* Equal networks stand together: is there one before this that wants the same traffic? */
static void check_equal(struct reading *r, const struct placed_network *list, size_t first,
                        size_t i)
{
    for (size_t j = i; j > first; j--) {
        const struct placed_network *other = &list[j - 1];
        if (other->site == list[i].site || r->comparisons > CLOSE_LOOKS_MAX ||
            sites_meet(r, list[i].site, other->site)) {
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
        if (outer->site == list[i].site || outer->network.prefix_bits == 0 ||
            !sites_meet(r, list[i].site, outer->site)) {
            continue;
        }
        char text[NETWORK_TEXT_BYTES];
        char outer_text[NETWORK_TEXT_BYTES];
        char place[160];
        WARN(r, list[i].place, NULL,
             "network %s lies within %s of site %s (%s): its traffic goes to site %s alone",
             network_format(&list[i].network, text), network_format(&outer->network, outer_text),
             r->config->sites[outer->site].name, where(r, &list[i].place, &outer->place, place),
             r->config->sites[list[i].site].name);
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
                             const struct said_network *said)
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
    if (lan->network.prefix_bits == said->network.prefix_bits) {
        COMPLAIN(r, said->place, "translation of equal networks is not in this version",
                 "network %s is our own lan (%s)", text, place);
    } else if (!own && lan->network.prefix_bits > 0) {
        WARN(r, said->place, NULL,
             "network %s overlaps lan %s (%s): hosts of ours with such addresses could not be "
             "reached",
             text, lan_text, place);
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

/* Networks of a family that is not on our side are reached by nothing. */
static void check_families(struct reading *r, const struct said_networks *lans, size_t site,
                           const bool gateway_has[2])
{
    const struct said_networks *networks = &r->site_notes[site].networks;
    bool own = r->site_notes[site].lans.count > 0;
    const uint8_t families[2] = {FAMILY_IPV4, FAMILY_IPV6};

    for (size_t f = 0; f < 2; f++) {
        if (own ? has_family(lans, families[f]) : gateway_has[f]) {
            continue;
        }
        for (size_t i = 0; i < networks->count; i++) {
            if (networks->list[i].network.address.family == families[f]) {
                WARN(r, networks->list[i].place, NULL,
                     "no lan of site %s is %s: nothing can reach this network",
                     r->config->sites[site].name, f == 0 ? "IPv4" : "IPv6");
                break;
            }
        }
    }
}

static void check_networks(struct reading *r)
{
    struct placed_network *all = arena_take(r->notes, (r->network_count + 1) * sizeof(*all));
    bool gateway_has[2] = {has_family(&r->lans, FAMILY_IPV4), has_family(&r->lans, FAMILY_IPV6)};
    struct our_networks gateway_lans;
    size_t count = 0;

    if (all == NULL || !our_networks_make(r, &r->lans, &gateway_lans)) {
        return;
    }
    for (size_t i = 0; i < r->site_count; i++) {
        const struct site_notes *notes = &r->site_notes[i];
        bool own = notes->lans.count > 0;
        struct our_networks own_lans;
        if (own && !our_networks_make(r, &notes->lans, &own_lans)) {
            return;
        }
        if (!r->sites[i].enabled) {
            continue;
        }
        if (own || r->lans.count > 0) {
            check_families(r, &notes->lans, i, gateway_has);
        }
        for (size_t j = 0; j < notes->networks.count; j++) {
            const struct said_network *said = &notes->networks.list[j];
            all[count] =
                (struct placed_network){said->network, said->place, (uint32_t)i, (uint32_t)count};
            count++;
            check_beside_lan(r, own ? &own_lans : &gateway_lans, own, said);
        }
    }
    check_between_sites(r, all, count);
}

/* ---- the whole ---- */

static bool keep_lists(struct reading *r)
{
    struct config_site *sites = arena_take(r->arena, (r->site_count + 1) * sizeof(*sites));
    struct network *lans = arena_take(r->arena, (r->lans.count + 1) * sizeof(*lans));

    if (sites == NULL || lans == NULL) {
        return false;
    }
    if (r->site_count > 0) {
        memcpy(sites, r->sites, r->site_count * sizeof(*sites));
    }
    for (size_t i = 0; i < r->lans.count; i++) {
        lans[i] = r->lans.list[i].network;
    }
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
    if (r->diagnoses.errors == 0 && !r->arena->exhausted && !hashes_make(r->config)) {
        r->arena->exhausted = true;
    }
}
