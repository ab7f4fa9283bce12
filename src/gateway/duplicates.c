/*
 * Two IKE SAs with one peer: both sides began at once, or the peer began anew after a crash.
 *
 * Both carry traffic until it is decided which one stays; what is sent goes through the newest.
 * Only one side decides, so that the two never close one each: the side whose identity is the
 * lower, octet by octet, after two seconds. The other one waits twenty seconds for it (a peer of
 * another make may not care) and then decides as well. What stays is the IKE SA through which the
 * peer sends; if he is silent, the newest.
 *
 * Two children of one IKE SA for the same networks (both sides asked at once) are decided on in the
 * same way.
 *
 * INITIAL_CONTACT (RFC 7296 2.4) closes at once what was established with the same authenticated
 * identity, in the same site or by the same key, before the new IKE SA was begun, and nothing else:
 * of two that cross each other on the way, none must close the other.
 */
#include "gateway/inside.h"

#include <string.h>

#define DECIDE_MS 2000
#define OTHER_DECIDES_MS 20000
#define SETTLED_MS 5000 /* a younger child may be half of a rekeying */
#define CHILD_MS 10000 /* so long one may come after its IKE SA */
#define CHILDREN_COMPARED_MAX 48
#define IKE_SAS_MAX 8 /* with more of them at one site nobody waits */
#define STRAY_MS 500 /* packets that were on their way when the newest was established */

static int compare_identities(const struct ike_identity *a, const struct ike_identity *b)
{
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->data, b->data, shorter);

    if (order != 0) {
        return order;
    }
    return a->length < b->length ? -1 : a->length > b->length;
}

bool duplicates_we_decide(const struct ike *newest)
{
    struct ikev2_sa_info info;

    machine_get_info(newest, &info);
    int order = compare_identities(&newest->terms->policy.local_id, &info.peer_id);

    return order < 0 || (order == 0 && newest->initiator);
}

void duplicates_established(struct ike *ike, uint64_t now_ms)
{
    struct site *site = ike->site;
    bool has_rival = false;
    bool has_superseded = false;

    for (const struct ike *other = site->ikes; other != NULL; other = other->next_of_site) {
        if (other != ike && other->established) {
            *(other->superseded ? &has_superseded : &has_rival) = true;
        }
    }
    if (has_rival) {
        site->duplicates_ms = now_ms + (duplicates_we_decide(ike) ? DECIDE_MS : OTHER_DECIDES_MS);
    }
    if (has_superseded && (!has_rival || site->duplicates_ms > now_ms + DECIDE_MS)) {
        site->duplicates_ms = now_ms + DECIDE_MS;
    }
    /* A peer that begins again and again must not take the room of other sites. */
    if (site->established_count > IKE_SAS_MAX) {
        site->duplicates_ms = now_ms;
    }
    site_think_later(site);
}

static bool is_same_peer(const struct ike *a, const struct ike_identity *id)
{
    struct ikev2_sa_info info;

    machine_get_info(a, &info);
    return info.peer_id.type == id->type && compare_identities(&info.peer_id, id) == 0;
}

/* Of another site under another key it is somebody else's word: with "identity any", or with none,
 * whoever is in may say any name. */
static bool may_speak_for(const struct ike *ike, const struct ike *other)
{
    return ike->site == other->site ||
           (ike->terms->policy.certificates == NULL && other->terms->policy.certificates == NULL &&
            secret_equal(&ike->terms->policy.shared_key, &other->terms->policy.shared_key));
}

static void close_older(struct site *site, const struct ike *ike, const struct ike_identity *id)
{
    for (struct ike *other = site->ikes; other != NULL; other = other->next_of_site) {
        if (other != ike && other->established && other->established_ms <= ike->created_ms &&
            other->number < ike->number && is_same_peer(other, id) && may_speak_for(ike, other)) {
            ike_order_close(other, IKEV2_FAIL_REPLACED);
        }
    }
}

void duplicates_initial_contact(struct ike *ike)
{
    struct ikev2_sa_info info;

    machine_get_info(ike, &info);
    for (struct site *site = identities_of(ike->site); site != NULL;
         site = site->next_same_identity) {
        close_older(site, ike, &info.peer_id);
    }
}

static uint64_t heard_through(const struct ike *ike, const struct ike *newest)
{
    uint64_t last_in_ms = children_last_in_ms(ike);

    return last_in_ms > newest->established_ms + STRAY_MS ? last_in_ms : 0;
}

static bool is_candidate(const struct ike *ike)
{
    return ike->established && !ike->superseded && (ike->orders & IKE_ORDER_CLOSE) == 0;
}

/* ---- children ---- */

void duplicates_child(struct child *child, uint64_t now_ms)
{
    struct ike *ike = child->ike;
    struct site *site = ike->site;
    uint64_t at_ms = now_ms + SETTLED_MS;

    if (!ike->established || site->child_count < 2 || site->established_count > IKE_SAS_MAX) {
        return;
    }
    at_ms += duplicates_we_decide(ike) ? DECIDE_MS : OTHER_DECIDES_MS;
    if (site->duplicates_ms == NEVER_MS || site->duplicates_ms < at_ms) {
        site->duplicates_ms = at_ms;
    }
    site_think_later(site);
}

struct compared {
    struct child *child;
    struct ikev2_child_info info;
    uint64_t heard_ms;
    bool being_replaced;
};

static bool same_list(const struct selector *a, size_t a_count, const struct selector *b,
                      size_t b_count)
{
    if (a_count != b_count) {
        return false;
    }
    for (size_t i = 0; i < a_count; i++) {
        if (!selector_equal(&a[i], &b[i])) {
            return false;
        }
    }
    return true;
}

static bool same_networks(const struct ikev2_child_info *a, const struct ikev2_child_info *b)
{
    return same_list(a->local_selectors, a->local_count, b->local_selectors, b->local_count) &&
           same_list(a->remote_selectors, a->remote_count, b->remote_selectors, b->remote_count);
}

static size_t collect(struct ike *ike, struct compared *list)
{
    size_t count = 0;

    for (struct child *c = ike->children; c != NULL && count < CHILDREN_COMPARED_MAX; c = c->next) {
        struct compared *one = &list[count];
        struct sa_counters counters;

        *one = (struct compared){.child = c};
        /* Those for single workers are meant to be equal (RFC 9611). */
        if (c->stopped || !c->installed || c->resource != 0 || !children_info(c, &one->info)) {
            continue;
        }
        if (dataplane_sa_counters(ike->gateway->dataplane, c->spi_in, &counters)) {
            one->heard_ms = counters.last_in_ms;
        }
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            list[i].being_replaced =
                list[i].being_replaced || list[j].info.replaces_spi_in == list[i].child->spi_in;
        }
    }
    return count;
}

/* Whether the peer sends through a, and not through b, since both are there. */
static bool is_better(const struct compared *a, const struct compared *b)
{
    uint64_t both_ms =
        (a->child->since_ms > b->child->since_ms ? a : b)->child->since_ms + STRAY_MS;
    uint64_t a_ms = a->heard_ms > both_ms ? a->heard_ms : 0;
    uint64_t b_ms = b->heard_ms > both_ms ? b->heard_ms : 0;

    if (a_ms != b_ms) {
        return a_ms > b_ms;
    }
    /* One that the peer asked for cannot be deleted before he surely knows of it. */
    if (a->info.initiator != b->info.initiator) {
        return !a->info.initiator;
    }
    return a->child->installed_number > b->child->installed_number;
}

/* False: one is too young, it must be looked at again. */
static bool decide_children(struct ike *ike, uint64_t now_ms)
{
    struct compared list[CHILDREN_COMPARED_MAX];
    size_t count = collect(ike, list);
    bool settled = true;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (i == j || list[i].being_replaced || list[j].being_replaced ||
                !same_networks(&list[i].info, &list[j].info) || !is_better(&list[i], &list[j])) {
                continue;
            }
            if (list[i].child->since_ms + SETTLED_MS > now_ms ||
                list[j].child->since_ms + SETTLED_MS > now_ms) {
                settled = false;
                continue;
            }
            list[j].child->redundant = true;
            ike_order(ike, IKE_ORDER_CLOSE_REDUNDANT);
        }
    }
    return settled;
}

/* ---- both ---- */

static struct ike *newest_of(const struct site *site, bool with_child)
{
    struct ike *newest = NULL;

    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (is_candidate(ike) && (!with_child || children_any_usable(ike)) &&
            (newest == NULL || ike->established_ms > newest->established_ms)) {
            newest = ike;
        }
    }
    return newest;
}

/* With IKEv1 the child comes in an exchange of its own, behind the IKE SA. */
static bool waits_for_child(const struct site *site, const struct ike *newest, uint64_t now_ms)
{
    const struct ike *without = newest_of(site, false);

    return without != NULL && without != newest && site->established_count <= IKE_SAS_MAX &&
           now_ms < without->established_ms + CHILD_MS;
}

/* With IKEv1 children do not belong to an IKE SA: some peers give all of them to the newest, and
 * with it they go. */
static bool may_stay(const struct ike *ike, const struct ike *newest)
{
    return is_candidate(ike) && children_any_usable(ike) && (!newest->is_old || ike == newest);
}

void duplicates_decide(struct site *site, uint64_t now_ms)
{
    struct ike *newest = newest_of(site, true);
    struct ike *keep = NULL;
    uint64_t most_ms = 0;

    if (waits_for_child(site, newest, now_ms)) {
        site->duplicates_ms = now_ms + DECIDE_MS;
        return;
    }
    if (newest == NULL && site->established_count > IKE_SAS_MAX) {
        newest = newest_of(site, false);
    }
    if (newest == NULL) {
        return;
    }
    keep = newest;
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (!may_stay(ike, newest)) {
            continue;
        }
        uint64_t heard_ms = heard_through(ike, newest);

        if (heard_ms > most_ms) {
            most_ms = heard_ms;
            keep = ike;
        }
    }
    children_prefer(keep, now_ms);
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike != keep && ike->established) {
            ike_order_close(ike, IKEV2_FAIL_REPLACED);
        }
    }
    site->supersede_ms = NEVER_MS;
    if (!decide_children(keep, now_ms)) {
        site->duplicates_ms = now_ms + SETTLED_MS;
    }
}
