/*
 * From one configuration to the next. What is equal is not touched; what differs only in how we
 * behave is told to the machines that run; what differs in what was agreed is negotiated anew, new
 * SAs first; what is gone is closed.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

struct plan {
    struct site **sites; /* in the order of the new configuration */
    size_t count;
    bool *is_new;
};

/* A name may be longer than a key of a table: then its beginning and a keyed hash stand for it. */
struct name_key {
    uint8_t bytes[TABLE_KEY_BYTES_MAX];
    size_t length;
};

static struct name_key name_key(const struct gateway *g, const char *name)
{
    struct name_key key = {.length = strlen(name)};

    if (key.length <= sizeof(key.bytes)) {
        memcpy(key.bytes, name, key.length);
        return key;
    }
    memcpy(key.bytes, name, sizeof(key.bytes) - 8);
    put_u64(key.bytes + sizeof(key.bytes) - 8, siphash24(g->identity_key, slice_of_text(name)));
    key.length = sizeof(key.bytes);
    return key;
}

static struct slice name_slice(const struct name_key *key)
{
    return (struct slice){key->bytes, key->length};
}

struct site *apply_find(const struct gateway *g, const char *name)
{
    struct name_key key = name_key(g, name);
    struct site *site = table_find(&g->by_name, name_slice(&key));

    return site != NULL && strcmp(site->name, name) == 0 ? site : NULL;
}

/* ---- numbers ---- */

static bool number_new(struct gateway *g, struct site *site)
{
    for (size_t i = g->number_hint; i < g->number_capacity; i++) {
        if (g->by_number[i] == NULL) {
            g->by_number[i] = site;
            g->number_hint = i + 1;
            site->number = (uint32_t)(i + 1);
            return true;
        }
    }
    size_t capacity = g->number_capacity == 0 ? 64 : g->number_capacity * 2;
    struct site **more = realloc(g->by_number, capacity * sizeof(struct site *));

    if (more == NULL) {
        return false;
    }
    memset(more + g->number_capacity, 0, (capacity - g->number_capacity) * sizeof(struct site *));
    g->by_number = more;
    more[g->number_capacity] = site;
    site->number = (uint32_t)(g->number_capacity + 1);
    g->number_hint = g->number_capacity + 1;
    g->number_capacity = capacity;
    return true;
}

static void destroy(struct gateway *g, struct site *site)
{
    caller_forget(site);
    people_forget_block(site);
    if (site->number > 0) {
        g->by_number[site->number - 1] = NULL;
        if (site->number - 1 < g->number_hint) {
            g->number_hint = site->number - 1;
        }
    }
    struct name_key key = name_key(g, site->name);

    if (table_find(&g->by_name, name_slice(&key)) == site) {
        (void)table_remove(&g->by_name, name_slice(&key));
    }
    site_free(site);
}

struct site *apply_add_session(struct gateway *g, const struct config_site *config)
{
    struct site *site = site_new(g, config, 0);

    if (site == NULL) {
        return NULL;
    }
    site->is_session = true;
    if (!number_new(g, site)) {
        destroy(g, site);
        return NULL;
    }
    return site;
}

void apply_remove_session(struct site *site)
{
    destroy(site->gateway, site);
}

/* ---- comparing ---- */

static bool same_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return strcmp(a, b) == 0;
}

static const char *said(const struct config *config, const struct config_site *site)
{
    return site->say != NULL ? site->say : config->gateway;
}

static bool same_peers(const struct config_site *a, const struct config_site *b)
{
    if (a->peer_count != b->peer_count) {
        return false;
    }
    for (size_t i = 0; i < a->peer_count; i++) {
        const struct config_host *one = &a->peers[i];
        const struct config_host *two = &b->peers[i];

        if (one->any != two->any || one->port != two->port || !same_text(one->text, two->text)) {
            return false;
        }
    }
    return true;
}

/* What the peer was told of it. The rest is ours alone: see carried_alike(). */
static bool same_carriage(const struct config_carriage *a, const struct config_carriage *b)
{
    return a->mode == b->mode && a->compress == b->compress && a->truncate == b->truncate &&
           a->iptfs.enabled == b->iptfs.enabled &&
           a->iptfs.congestion_control == b->iptfs.congestion_control;
}

/* SAs that are there do it the old way. */
static bool carried_alike(const struct config_carriage *a, const struct config_carriage *b)
{
    return a->df == b->df && a->fragment == b->fragment && a->dscp == b->dscp &&
           a->tfc_bytes == b->tfc_bytes && a->tfc_dummy_ms == b->tfc_dummy_ms &&
           a->iptfs.packet_bytes == b->iptfs.packet_bytes &&
           a->iptfs.bits_per_second == b->iptfs.bits_per_second;
}

/* What people and we, and a gateway of which we are a client, told each other. */
static bool people_agree(const struct config_site *a, const struct config_site *b)
{
    const struct config_access *one = a->access;
    const struct config_access *two = b->access;
    const struct config_caller *calls = a->caller;
    const struct config_caller *called = b->caller;

    if ((one != NULL) != (two != NULL) || (calls != NULL) != (called != NULL)) {
        return false;
    }
    if (one != NULL && (one->hybrid != two->hybrid || one->settings != two->settings)) {
        return false;
    }
    return calls == NULL ||
           (same_text(calls->user, called->user) &&
            same_text(calls->password.name, called->password.name) &&
            calls->hybrid == called->hybrid && calls->asks_address == called->asks_address &&
            calls->takes_push == called->takes_push);
}

static bool same_asked(const struct config_asked *a, const struct config_asked *b)
{
    static const struct config_asked nobody;

    a = a != NULL ? a : &nobody;
    b = b != NULL ? b : &nobody;
    bool same = a->crl_count == b->crl_count && a->responder_count == b->responder_count;

    for (size_t i = 0; same && i < a->crl_count; i++) {
        same = same_text(a->crls[i], b->crls[i]);
    }
    for (size_t i = 0; same && i < a->responder_count; i++) {
        same = same_text(a->responders[i], b->responders[i]);
    }
    return same;
}

static bool same_certificates(const struct config_site *a, const struct config_site *b)
{
    bool same = same_text(a->certificate, b->certificate) &&
                same_text(a->certificate_key, b->certificate_key) &&
                same_text(a->certificate_pin, b->certificate_pin) &&
                same_text(a->subject, b->subject) && same_text(a->legacy, b->legacy) &&
                a->trust_count == b->trust_count && a->revocation == b->revocation;

    for (size_t i = 0; same && i < a->trust_count; i++) {
        same = same_text(a->trusts[i], b->trusts[i]);
    }
    return (same && same_asked(a->asked, b->asked)) || a->key.name != NULL;
}

/* Whether what was agreed under the one would be agreed under the other. */
static bool agrees(const struct config *old_config, const struct config_site *a,
                   const struct config *new_config, const struct config_site *b)
{
    return same_text(said(old_config, a), said(new_config, b)) &&
           same_text(config_site_identity(a), config_site_identity(b)) &&
           a->identity_any == b->identity_any && a->strict_identity == b->strict_identity &&
           same_peers(a, b) && same_text(a->key.name, b->key.name) && same_certificates(a, b) &&
           a->version == b->version && a->aggressive == b->aggressive && a->proof == b->proof &&
           people_agree(a, b) && ppk_same(a->ppk, b->ppk) &&
           a->unauthenticated == b->unauthenticated && terms_same_proposals(a->ike, b->ike) &&
           (a->post_quantum == CONFIG_POST_QUANTUM_REQUIRED) ==
               (b->post_quantum == CONFIG_POST_QUANTUM_REQUIRED) &&
           a->protection == b->protection &&
           terms_same_proposals(terms_proposals(a), terms_proposals(b)) &&
           (a->protection != CONFIG_AH_AND_ESP || terms_same_proposals(a->ah, b->ah)) &&
           same_carriage(&a->carriage, &b->carriage) && a->each == b->each && a->pfs == b->pfs &&
           a->encapsulate == b->encapsulate && a->vendor_ids == b->vendor_ids &&
           a->mobike == b->mobike && a->transport == b->transport && a->tcp_port == b->tcp_port &&
           a->replay_window == b->replay_window && a->lifetime_bytes == b->lifetime_bytes &&
           a->lifetime_packets == b->lifetime_packets;
}

/* ---- one site ---- */

static bool set_expected(struct site *site, const struct config_site *config)
{
    const char *word = config_site_identity(config);

    free(site->expected);
    site->expected = NULL;
    if (config->identity_any || word == NULL) {
        return true;
    }
    site->expected = malloc(sizeof(*site->expected));
    return site->expected != NULL && ike_identity_parse(slice_of_text(word), site->expected);
}

static struct site *create(struct gateway *g, const struct config *config,
                           const struct config_site *c)
{
    struct site *site = site_new(g, c, 0);

    if (site == NULL) {
        return NULL;
    }
    struct name_key key = name_key(g, c->name);

    if (!set_expected(site, c) || !policies_make_selectors(config, c, &site->selectors) ||
        !site_has_parts(site, site->selectors.parts) || !number_new(g, site) ||
        !table_add(&g->by_name, name_slice(&key), site)) {
        destroy(g, site);
        return NULL;
    }
    site->next_try_ms = g->now_ms;
    return site;
}

static void tell_machines(struct site *site)
{
    site_renew_terms(site);
    if (site->terms == NULL) {
        return;
    }
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike->terms == NULL || ike->superseded) {
            continue;
        }
        struct terms *before = ike->terms;

        ike->terms = terms_hold(site->terms);
        machine_set_policy(ike);
        path_begin(ike, site->gateway->now_ms);
        terms_release(before);
    }
    terms_refresh_initial_contact(site);
}

static void rekey_children(struct site *site)
{
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike->established && !ike->superseded) {
            ike_order(ike, IKE_ORDER_REKEY_CHILDREN);
        }
    }
}

/* The configuration is the same, but what is wrong may have been put right outside of it, the key
 * first of all. */
static void try_again(struct site *site, uint64_t now_ms)
{
    const struct trouble *t = site->trouble;

    if (site->used != NULL || site->established_count > 0) {
        return;
    }
    if (t != NULL &&
        (t->reason == REASON_NO_SECRET || reason_get(t->reason)->group == REASON_GROUP_IDENTITY)) {
        /* A try that is under way has the old key. */
        dial_cancel(site);
    }
    site->backoff_ms = 0;
    if (site->dial == DIAL_IDLE) {
        site->next_try_ms = now_ms;
    }
}

static void change(struct site *site, const struct config *old_config, const struct config_site *c,
                   uint64_t now_ms)
{
    struct gateway *g = site->gateway;
    const struct config *config = g->config;
    const struct config_site *before = site->config;
    struct selectors selectors;

    bool given = caller_asks(before) && caller_asks(c);

    if (before->access != NULL && c->access == NULL) {
        people_forget_block(site);
    }
    if (caller_asks(before) && (!caller_asks(c) || !c->enabled)) {
        caller_forget(site);
    }
    if (!(given ? caller_make_selectors(site, &selectors)
                : policies_make_selectors(config, c, &selectors)) ||
        !site_has_parts(site, selectors.parts)) {
        log_line(g->log, LOG_LEVEL_ERROR, c->name, "no memory for its networks");
        selectors = (struct selectors){0};
    }
    bool same_networks = policies_selectors_equal(&selectors, &site->selectors);
    bool same_terms = same_networks && agrees(old_config, before, config, c);
    bool same = same_terms && before->hash == c->hash;

    policies_free_selectors(&site->selectors);
    site->selectors = selectors;
    /* Its file may hold another one now: the next authentication reads it, even if it was read a
     * moment ago. What is up stays. */
    site->secret_stale = true;
    site->secret_read_ms = 0;
    if (!same_text(before->key.name, c->key.name) || !same_certificates(before, c) ||
        before->unauthenticated != c->unauthenticated) {
        site->secret_known = false;
        secret_wipe(&site->secret);
        certificates_release(site->certificates);
        site->certificates = NULL;
    }
    ppk_configured(site, before->ppk, c->ppk);
    if (!same) {
        returning_configured(site);
        resilience_forget_ticket(site);
        redirect_forget(site);
    }
    /* The name of a site is a string of its configuration. */
    site->config = c;
    site->name = c->name;
    caller_routes_configured(site);
    if (!set_expected(site, c)) {
        log_line(g->log, LOG_LEVEL_ERROR, c->name, "its identity cannot be used");
    }
    ppk_read_again(site, now_ms);
    if (same) {
        try_again(site, now_ms);
        return;
    }
    if (before->enabled && !c->enabled) {
        site_close_all(site, IKEV2_FAIL_ORDERED);
        if (before->access != NULL) {
            sessions_close(site, SESSION_END_CONFIGURATION);
        }
        return;
    }
    if (same_terms) {
        tell_machines(site);
        if (before->access != NULL) {
            sessions_renew(site, tell_machines);
        }
        redirect_changed(site, before->redirect);
        site->next_try_ms = now_ms;
        if (!carried_alike(&before->carriage, &c->carriage)) {
            rekey_children(site);
        }
        return;
    }
    site->ordered_down = false;
    site_trouble_clear(site);
    site_renew_terms(site);
    site_renegotiate(site, now_ms);
    if (before->access != NULL) {
        sessions_close(site, SESSION_END_CONFIGURATION);
    }
}

/* ---- all of them ---- */

/* A block for people becomes a site under the same name, or the other way round. */
static bool changes_kind(const struct config_site *before, const struct config_site *c)
{
    return (before->access != NULL) != (c->access != NULL);
}

static void remove_gone(struct gateway *g, const struct config *config, uint64_t now_ms)
{
    for (size_t i = 0; i < g->site_count; i++) {
        struct site *site = g->sites[i];
        const struct config_site *c = config_find_site(config, site->name);

        site->gone = c == NULL;
        if (c == NULL || changes_kind(site->config, c)) {
            site_close_all(site, IKEV2_FAIL_ORDERED);
            sessions_close(site, SESSION_END_CONFIGURATION);
        }
    }
    gateway_settle(g, now_ms);
}

static bool make_plan(struct gateway *g, const struct config *config, struct plan *plan)
{
    size_t count = config->site_count;

    *plan = (struct plan){.count = count};
    plan->sites = calloc(count > 0 ? count : 1, sizeof(struct site *));
    plan->is_new = calloc(count > 0 ? count : 1, sizeof(*plan->is_new));
    if (plan->sites == NULL || plan->is_new == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        plan->sites[i] = apply_find(g, config->sites[i].name);
        if (plan->sites[i] == NULL) {
            plan->sites[i] = create(g, config, &config->sites[i]);
            plan->is_new[i] = true;
        }
        if (plan->sites[i] == NULL) {
            return false;
        }
    }
    return true;
}

static void drop_plan(struct gateway *g, struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->sites != NULL && plan->is_new != NULL && plan->is_new[i] &&
            plan->sites[i] != NULL) {
            destroy(g, plan->sites[i]);
        }
    }
    free(plan->sites);
    free(plan->is_new);
}

/* New routes before old ones go: a network that moves from one site to another is never without. */
static void set_routes(struct gateway *g, struct plan *plan, const struct config_site **before)
{
    for (size_t i = 0; i < plan->count; i++) {
        hosts_configure(plan->sites[i]);
        if (before[i] == NULL || before[i]->hash != plan->sites[i]->config->hash) {
            routes_add(g, plan->sites[i]);
        } else {
            routes_try_again(g, plan->sites[i]);
        }
    }
    for (size_t i = 0; i < plan->count; i++) {
        if (before[i] != NULL && before[i]->hash != plan->sites[i]->config->hash) {
            routes_remove(g, before[i]);
        }
    }
    for (size_t i = 0; i < g->site_count; i++) {
        if (g->sites[i]->gone) {
            routes_remove(g, g->sites[i]->config);
        }
    }
}

static void index_all(struct gateway *g)
{
    identities_clear(g);
    for (size_t i = 0; i < g->site_count; i++) {
        g->sites[i]->index = i;
        identities_add(g, g->sites[i]);
        const struct config_site *c = g->sites[i]->config;

        if ((certificates_are_wanted(c) || c->ppk != NULL) && c->enabled) {
            /* Whom we believe is told before a peer says who he is, and which PPKs we have. */
            questions_ask_secret(g->sites[i], g->now_ms);
        }
    }
    responder_terms_release(g->responder_terms);
    g->responder_terms = responder_terms_new(g->sites, g->site_count);
    ikev1_configured(g);
}

static void switch_over(struct gateway *g, struct config *config, struct plan *plan,
                        const struct config_site **before, uint64_t now_ms)
{
    struct site **old_sites = g->sites;
    size_t old_count = g->site_count;
    struct config *old_config = g->config;

    g->config = config;
    g->configured_ms = now_ms;

    for (size_t i = 0; i < plan->count; i++) {
        if (!plan->is_new[i]) {
            before[i] = plan->sites[i]->config;
            change(plan->sites[i], old_config, &config->sites[i], now_ms);
        }
        if (people_is_block(plan->sites[i])) {
            people_configured(plan->sites[i]);
        }
    }
    sessions_configured(g);
    set_routes(g, plan, before);
    identities_clear(g);
    for (size_t i = 0; i < old_count; i++) {
        if (old_sites[i]->gone) {
            destroy(g, old_sites[i]);
        }
    }
    config_free(old_config);
    g->sites = plan->sites;
    g->site_count = plan->count;
    free(old_sites);
    index_all(g);
    policies_publish(g);
    for (size_t i = 0; i < g->site_count; i++) {
        site_think_later(g->sites[i]);
    }
}

void gateway_configure(struct gateway *g, struct config *config, uint64_t now_ms)
{
    struct plan plan;
    const struct config_site **before =
        calloc(config->site_count > 0 ? config->site_count : 1, sizeof(const struct config_site *));

    g->now_ms = now_ms;
    if (before == NULL || g->stopping || !make_plan(g, config, &plan)) {
        if (before != NULL && !g->stopping) {
            drop_plan(g, &plan);
        }
        log_line(g->log, LOG_LEVEL_ERROR, "gateway",
                 "no memory for the new configuration; the old one stays");
        free(before);
        config_free(config);
        return;
    }
    dataplane_keep_keys(g->dataplane, config->keep_keys);
    remove_gone(g, config, now_ms);
    if (!manual_configure(g, config, now_ms)) {
        log_line(g->log, LOG_LEVEL_ERROR, "gateway", "no memory for blocks of manual keys");
    }
    switch_over(g, config, &plan, before, now_ms);
    mobility_configured(g, now_ms);
    free(plan.is_new);
    free(before);
    gateway_settle(g, now_ms);
}

void gateway_shutdown(struct gateway *g, uint64_t now_ms)
{
    g->now_ms = now_ms;
    g->stopping = true;
    for (size_t i = 0; i < g->site_count; i++) {
        site_close_all(g->sites[i], IKEV2_FAIL_ORDERED);
        caller_forget(g->sites[i]);
    }
    for (struct ike *ike = g->ikes; ike != NULL; ike = ike->next) {
        ike_order_close(ike, IKEV2_FAIL_ORDERED);
    }
    gateway_settle(g, now_ms);
    manual_free_all(g);
    routes_remove_all(g);
}

void apply_free(struct gateway *g)
{
    while (g->ikes != NULL) {
        ike_free(g->ikes);
    }
    sessions_free_all(g);
    for (size_t i = 0; i < g->site_count; i++) {
        destroy(g, g->sites[i]);
    }
    manual_free_all(g);
    free(g->sites);
    free(g->by_number);
    g->sites = NULL;
    g->by_number = NULL;
    g->site_count = 0;
    responder_terms_release(g->responder_terms);
    config_free(g->config);
}
