/*
 * What the IKEv2 machine is told about a site. A machine borrows its terms until it ends, so they
 * are counted, and a new configuration makes new ones instead of changing those in use.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* With 20 % loss in each direction a request fails once in more than a thousand times; a dead peer
 * is known after half a minute. */
#define RETRANSMIT_FIRST_MS 500
#define RETRANSMIT_MAX_MS 8000
#define RETRANSMIT_TRIES 7
#define GRACE_MS 10000

static bool set_identity(struct ike_identity *out, const char *word)
{
    return ike_identity_parse(slice_of_text(word), out);
}

/* A peer that knows no PFS, or is configured without, must still be able to renew its keys: the
 * same proposals again, after the others and without their key exchanges. */
static void add_without_exchange(struct proposals *list)
{
    size_t count = list->count;

    for (size_t i = 0; i < count && list->count < PROPOSALS_MAX; i++) {
        const struct proposal *with = &list->list[i];
        struct proposal *without = &list->list[list->count];

        *without = (struct proposal){.protocol = with->protocol};
        for (size_t j = 0; j < with->count; j++) {
            if (with->transforms[j].type != TRANSFORM_KEY_EXCHANGE &&
                !transform_is_additional(with->transforms[j].type)) {
                without->transforms[without->count++] = with->transforms[j];
            }
        }
        list->count += without->count < with->count;
    }
}

const struct proposals *terms_proposals(const struct config_site *site)
{
    return site->protection == CONFIG_AH ? site->ah : site->esp;
}

/* What the child is agreed to be beside its keys and networks. */
static void fill_carriage(struct ikev2_child_policy *child, const struct config_site *c)
{
    const struct config_carriage *carriage = &c->carriage;

    child->mode = carriage->mode == CONFIG_TRANSPORT ? IKEV2_MODE_TRANSPORT : IKEV2_MODE_TUNNEL;
    child->compress = carriage->compress;
    /* RFC 4301 7.2: later fragments have no ports, and would be refused by who checks them. */
    child->non_first_fragments = carriage->mode == CONFIG_TUNNEL && c->only_protocol != 0 &&
                                 (c->only_port_first != 0 || c->only_port_last != UINT16_MAX);
    child->aggfrag.wanted = carriage->iptfs.enabled;
    child->aggfrag.congestion_control = carriage->iptfs.congestion_control;
}

/* The machine tells children apart by their names; what is cut is the end of a long one. */
static void fill_child(struct terms *t, const struct site *site, size_t part)
{
    const struct config_site *c = site->config;
    const struct selectors *s = &site->selectors;
    struct ikev2_child_policy *child = &t->children[part];
    struct text name = text_over(child->name, sizeof(child->name));

    if (part > 1) {
        text_addf(&name, "%zu", part);
    }
    text_addf(&name, "%s%s", part == 0 ? "" : "<", c->name);
    child->policy_id = policies_id(site, part);
    child->local = t->selectors + part * (s->local_count + s->remote_count);
    child->local_count = s->local_count;
    child->remote = child->local + s->local_count;
    child->remote_count = s->remote_count;
    child->proposals = &t->esp->list;
    child->lifetime_ms = c->child_lifetime_ms;
    child->start = c->each == CONFIG_EACH_OFF;
    fill_carriage(child, c);
    populate_fill_child(site, child);
}

static uint8_t follow_of(enum config_follow said)
{
    switch (said) {
    case CONFIG_FOLLOW_OFF:
        return IKEV2_FOLLOW_NEVER;
    case CONFIG_FOLLOW_PROVEN:
        return IKEV2_FOLLOW_PROVEN;
    case CONFIG_FOLLOW_ON:
        return IKEV2_FOLLOW_ALWAYS;
    }
    return IKEV2_FOLLOW_NEVER;
}

static bool fill(struct terms *t, const struct gateway *g, const struct site *site)
{
    const struct config_site *c = site->config;
    const struct selectors *s = &site->selectors;
    size_t count = (s->local_count + s->remote_count) * s->parts;

    struct proposals esp = *terms_proposals(c);

    if (c->pfs == PFS_PREFER) {
        add_without_exchange(&esp);
    }
    t->ike = proposals_share(site->gateway, c->ike);
    t->esp = proposals_share(site->gateway, &esp);
    t->selectors = calloc(count > 0 ? count : 1, sizeof(struct selector));
    t->children = calloc(s->parts > 0 ? s->parts : 1, sizeof(*t->children));
    if (t->children == NULL || t->ike == NULL || t->esp == NULL || t->selectors == NULL ||
        !secret_copy(&t->policy.shared_key, &site->secret)) {
        return false;
    }
    memcpy(t->selectors, s->list, count * sizeof(struct selector));
    if (!set_identity(&t->policy.local_id, c->say != NULL ? c->say : g->config->gateway)) {
        return false;
    }
    t->policy.certificates = certificates_hold(site->certificates);
    t->policy.null_auth = c->unauthenticated;
    if (c->unauthenticated && c->ppk == NULL &&
        !ike_identity_set(&t->policy.local_id, IKEV2_ID_NULL, (struct slice){NULL, 0})) {
        return false;
    }
    if (site->certificates != NULL && c->say == NULL &&
        !certificates_identity(site->certificates, &t->policy.local_id)) {
        return false;
    }
    t->policy.ppk = ppk_hold(site->ppk);
    /* A shared key proves whoever has it; a certificate only the names that are in it. */
    if (site->expected != NULL &&
        (site->certificates != NULL || !identity_is_implied(site->config))) {
        t->policy.peer_id = *site->expected;
    }
    for (size_t part = 0; part < s->parts; part++) {
        fill_child(t, site, part);
    }
    t->policy.ike = &t->ike->list;
    t->policy.no_vendor_ids = !c->vendor_ids;
    t->policy.post_quantum_required = c->post_quantum == CONFIG_POST_QUANTUM_REQUIRED;
    t->policy.strict_id_types = c->strict_identity;
    t->policy.ike_lifetime_ms = c->ike_lifetime_ms;
    t->policy.reauthenticate_s = c->reauthenticate_s;
    t->policy.liveness_ms = c->dpd_ms;
    t->policy.retransmit_first_ms = RETRANSMIT_FIRST_MS;
    t->policy.retransmit_max_ms = RETRANSMIT_MAX_MS;
    t->policy.retransmit_tries = RETRANSMIT_TRIES;
    t->policy.grace_ms = GRACE_MS;
    t->policy.force_encapsulation = c->encapsulate == ENCAPSULATE_ALWAYS;
    t->policy.allow_encapsulation = c->encapsulate != ENCAPSULATE_NEVER;
    /* RFC 4555 1.2: in transport mode the addresses are what is protected. */
    t->policy.mobile = c->mobike && c->carriage.mode == CONFIG_TUNNEL;
    t->policy.addresses = &g->announced;
    t->policy.fragmentation = c->fragmentation;
    t->policy.fragment_bytes = c->fragment_bytes;
    t->policy.childless = c->childless;
    /* RFC 5685 3: in transport mode the address is what is protected. */
    if (c->carriage.mode == CONFIG_TUNNEL) {
        t->policy.follow = follow_of(c->follow_redirects);
    }
    t->policy.resume_s = resilience_ticket_s(site);
    t->policy.children = t->children;
    t->policy.child_count = (uint32_t)s->parts;
    return true;
}

struct terms *terms_new(const struct gateway *g, const struct site *site)
{
    bool is_old = site->config->version != CONFIG_IKE_V2;
    struct terms *t = is_old ? ikev1_terms_new(site) : calloc(1, sizeof(*t));

    if (t == NULL) {
        return NULL;
    }
    t->references = 1;
    if (!fill(t, g, site) || (is_old && !ikev1_terms_fill(t, site))) {
        terms_release(t);
        return NULL;
    }
    return t;
}

struct terms *terms_hold(struct terms *terms)
{
    terms->references++;
    return terms;
}

void terms_release(struct terms *terms)
{
    if (terms == NULL) {
        return;
    }
    assert(terms->references > 0);
    if (--terms->references > 0) {
        return;
    }
    secret_wipe(&terms->policy.shared_key);
    certificates_release(terms->policy.certificates);
    ppk_release(terms->policy.ppk);
    proposals_release(terms->ike);
    proposals_release(terms->esp);
    free(terms->selectors);
    free(terms->children);
    if (terms->is_old) {
        ikev1_terms_free(terms);
    } else {
        free(terms);
    }
}

bool terms_same_proposals(const struct proposals *a, const struct proposals *b)
{
    if (a == b) {
        return true;
    }
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        const struct proposal *one = &a->list[i];
        const struct proposal *two = &b->list[i];

        if (one->protocol != two->protocol || one->count != two->count) {
            return false;
        }
        for (size_t j = 0; j < one->count; j++) {
            const struct transform *s = &one->transforms[j];
            const struct transform *t = &two->transforms[j];

            if (s->type != t->type || s->id != t->id || s->key_bits != t->key_bits) {
                return false;
            }
        }
    }
    return true;
}

/* Most sites share their proposals: each different list is offered to strangers once. */
static bool is_known(const struct responder_terms *t, const struct proposals *list)
{
    for (size_t i = 0; i < t->policy.ike_count; i++) {
        if (terms_same_proposals(&t->copies[i], list)) {
            return true;
        }
    }
    return false;
}

static bool add_list(struct responder_terms *t, const struct proposals *list, size_t *capacity)
{
    if (t->policy.ike_count == *capacity) {
        size_t more = *capacity == 0 ? 4 : *capacity * 2;
        struct proposals *copies = realloc(t->copies, more * sizeof(*copies));

        if (copies == NULL) {
            return false;
        }
        t->copies = copies;
        *capacity = more;
    }
    t->copies[t->policy.ike_count++] = *list;
    return true;
}

#define ADDRESS_KEY_BYTES 17

static struct slice key_of(const struct address *a, uint8_t key[ADDRESS_KEY_BYTES])
{
    key[0] = a->family;
    memcpy(key + 1, a->bytes, sizeof(a->bytes));
    return (struct slice){key, ADDRESS_KEY_BYTES};
}

static bool add_address(struct responder_terms *t, struct table *table, const struct address *a)
{
    uint8_t bytes[ADDRESS_KEY_BYTES];
    struct slice key = key_of(a, bytes);

    return table_find(table, key) != NULL || table_add(table, key, t);
}

/* Where the peers are whose sites say "encapsulate never", or those of all other sites. */
static bool add_addresses(struct responder_terms *t, struct site *const *sites, size_t count,
                          bool never)
{
    for (size_t i = 0; i < count; i++) {
        const struct config_site *c = sites[i]->config;

        if (!c->enabled || (c->encapsulate == ENCAPSULATE_NEVER) != never) {
            continue;
        }
        for (size_t j = 0; j < c->peer_count; j++) {
            const struct config_host *host = &c->peers[j];

            if (host->any || address_is_unset(&host->address)) {
                t->never_anywhere = t->never_anywhere || never;
            } else if (!add_address(t, never ? &t->never_at : &t->others_at, &host->address)) {
                return false;
            }
        }
    }
    return true;
}

static bool fill_addresses(struct responder_terms *t, struct site *const *sites, size_t count)
{
    if (count == 0) {
        return true;
    }
    table_init(&t->never_at, sites[0]->gateway->identity_key, 0);
    table_init(&t->others_at, sites[0]->gateway->identity_key, 0);
    return add_addresses(t, sites, count, true) &&
           (!t->never_anywhere || add_addresses(t, sites, count, false));
}

bool responder_terms_prefer_udp(const struct responder_terms *terms, const struct address *peer)
{
    uint8_t bytes[ADDRESS_KEY_BYTES];
    struct slice key = key_of(peer, bytes);

    if (terms->never_at.count > 0 && table_find(&terms->never_at, key) != NULL) {
        return false;
    }
    return !terms->never_anywhere ||
           (terms->others_at.count > 0 && table_find(&terms->others_at, key) != NULL);
}

static bool knows(const struct responder_terms *t, size_t length, const uint8_t *hash)
{
    for (size_t at = 0; at < length; at += CERTIFICATE_KEY_HASH_BYTES) {
        if (memcmp(t->authorities + at, hash, CERTIFICATE_KEY_HASH_BYTES) == 0) {
            return true;
        }
    }
    return false;
}

bool responder_terms_know(const struct responder_terms *t, const struct trust *trust)
{
    uint8_t hashes[AUTHORITIES_BYTES_MAX];
    size_t bytes = ikev2_certify_authorities(trust, hashes, sizeof(hashes));
    size_t length = t == NULL ? 0 : t->policy.authorities.length;

    for (size_t at = 0; at < bytes && length < AUTHORITIES_BYTES_MAX;
         at += CERTIFICATE_KEY_HASH_BYTES) {
        if (t == NULL || !knows(t, length, hashes + at)) {
            return false;
        }
    }
    return true;
}

/* Each once, as many as there is room for: a peer may send a certificate of another all the same.
 */
static void fill_authorities(struct responder_terms *t, struct site *const *sites, size_t count)
{
    size_t length = 0;

    for (size_t i = 0; i < count; i++) {
        uint8_t hashes[AUTHORITIES_BYTES_MAX];
        const struct ikev2_certificates *c = sites[i]->certificates;
        size_t bytes = c == NULL || !sites[i]->config->enabled
                           ? 0
                           : ikev2_certify_authorities(c->trust, hashes, sizeof(hashes));

        for (size_t at = 0; at < bytes && length < sizeof(t->authorities);
             at += CERTIFICATE_KEY_HASH_BYTES) {
            if (!knows(t, length, hashes + at)) {
                memcpy(t->authorities + length, hashes + at, CERTIFICATE_KEY_HASH_BYTES);
                length += CERTIFICATE_KEY_HASH_BYTES;
            }
        }
    }
    t->policy.authorities = (struct slice){t->authorities, length};
}

static bool fill_responder(struct responder_terms *t, struct site *const *sites, size_t count)
{
    const struct proposals *newest = NULL;
    size_t capacity = 0;
    bool all_encapsulate = count > 0;
    size_t enabled = 0, post_quantum = 0;

    t->policy.fragmentation = count == 0;
    t->policy.fragment_bytes = UINT16_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct config_site *c = sites[i]->config;

        if (!c->enabled || c->version == CONFIG_IKE_V1) {
            continue;
        }
        t->policy.certificates = t->policy.certificates || certificates_are_wanted(c);
        t->policy.null_auth = t->policy.null_auth || c->unauthenticated;
        t->policy.ppk = t->policy.ppk || c->ppk != NULL;
        t->policy.ppk_early = t->policy.ppk_early || (c->ppk != NULL && !c->ppk->auth_only);
        t->policy.asks_status =
            t->policy.asks_status ||
            (certificates_are_wanted(c) && c->revocation == CONFIG_REVOCATION_STRICT);
        if (redirect_of(sites[i]->gateway->config->redirect, &t->redirect)) {
            t->policy.redirect = &t->redirect;
        }
        if (resilience_ticket_s(sites[i]) != 0) {
            t->policy.tickets = &sites[i]->gateway->tickets;
        }
        if (c->ike != newest && !is_known(t, c->ike) && !add_list(t, c->ike, &capacity)) {
            return false;
        }
        newest = c->ike;
        enabled++;
        post_quantum += c->post_quantum == CONFIG_POST_QUANTUM_REQUIRED;
        all_encapsulate = all_encapsulate && c->encapsulate == ENCAPSULATE_ALWAYS;
        t->policy.fragmentation = t->policy.fragmentation || c->fragmentation;
        if (c->fragment_bytes < t->policy.fragment_bytes) {
            t->policy.fragment_bytes = c->fragment_bytes;
        }
    }
    fill_authorities(t, sites, count);
    t->policy.post_quantum_required = enabled > 0 && post_quantum == enabled;
    t->policy.force_encapsulation = all_encapsulate;
    t->lists =
        calloc(t->policy.ike_count > 0 ? t->policy.ike_count : 1, sizeof(const struct proposals *));
    if (t->lists == NULL) {
        return false;
    }
    for (size_t i = 0; i < t->policy.ike_count; i++) {
        t->lists[i] = &t->copies[i];
    }
    t->policy.ike = t->lists;
    return ikev1_responder_fill(t, sites, count);
}

struct responder_terms *responder_terms_new(struct site *const *sites, size_t count)
{
    struct responder_terms *t = calloc(1, sizeof(*t));

    if (t == NULL) {
        return NULL;
    }
    t->references = 1;
    if (!fill_responder(t, sites, count) || !fill_addresses(t, sites, count)) {
        responder_terms_release(t);
        return NULL;
    }
    return t;
}

struct responder_terms *responder_terms_hold(struct responder_terms *terms)
{
    terms->references++;
    return terms;
}

void responder_terms_release(struct responder_terms *terms)
{
    if (terms == NULL) {
        return;
    }
    assert(terms->references > 0);
    if (--terms->references > 0) {
        return;
    }
    table_fini(&terms->never_at);
    table_fini(&terms->others_at);
    free(terms->lists);
    free(terms->old_lists);
    free(terms->old_sites);
    free(terms->copies);
    free(terms);
}

static void set_initial_contact(struct site *site, bool alone)
{
    if (site->terms == NULL || people_access(site) != NULL) {
        return;
    }
    site->terms->policy.initial_contact = alone;
    if (site->terms->is_old) {
        ikev1_terms(site->terms)->policy.initial_contact = alone;
    }
}

/* INITIAL_CONTACT speaks of a pair of identities, and two sites may have the same peer. */
void terms_refresh_initial_contact(struct site *site)
{
    const struct site *first = identities_of(site);

    set_initial_contact(site, site->established_count == 0 &&
                                  (first == NULL || first->same_identity_up == 0));
}

/* Thousands of sites may have one peer: all are told by the first that comes up and by the last
 * that goes. Between the two each asks when it begins. */
void terms_site_is_up(struct site *site, bool up)
{
    if (identities_count_up(site, up)) {
        for (struct site *other = identities_of(site); other != NULL;
             other = other->next_same_identity) {
            set_initial_contact(other, !up);
        }
    }
    terms_refresh_initial_contact(site);
}
