/*
 * What is different when a peer speaks IKEv1: the terms of its machine; whose first message may be
 * answered; which sites a caller may mean, before it said its name (RFC 2409 5.4); and that a
 * second ISAKMP SA with a peer is the old one's, which replaces it so.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- terms ---- */

struct ikev1_terms *ikev1_terms(struct terms *terms)
{
    assert(terms->is_old);
    return CONTAINER_OF(terms, struct ikev1_terms, terms);
}

const struct ikev2_certificates *ikev1_certificates_of(const struct ikev1_policy *policy)
{
    return policy == NULL ? NULL
                          : CONTAINER_OF((uintptr_t)policy, struct ikev1_terms, policy)
                                ->terms.policy.certificates;
}

struct terms *ikev1_terms_new(const struct site *site)
{
    size_t parts = site->selectors.parts;
    struct ikev1_terms *t = calloc(1, sizeof(*t) + parts * sizeof(t->children[0]));

    if (t == NULL) {
        return NULL;
    }
    t->terms.is_old = true;
    return &t->terms;
}

static void fill_child(struct ikev1_child_policy *child, const struct ikev2_child_policy *from,
                       const struct ikev1_terms *t, const struct config_site *c)
{
    memcpy(child->name, from->name, sizeof(child->name));
    child->policy_id = from->policy_id;
    child->local = from->local;
    child->local_count = from->local_count;
    child->remote = from->remote;
    child->remote_count = from->remote_count;
    child->proposals = from->proposals;
    child->around = t->around == NULL ? NULL : &t->around->list;
    child->compress = c->carriage.compress;
    child->mode = c->carriage.mode == CONFIG_TRANSPORT ? IKEV1_MODE_TRANSPORT : IKEV1_MODE_TUNNEL;
    child->any_group = c->pfs == PFS_PREFER;
    child->lifetime_ms = from->lifetime_ms;
    child->lifetime_kilobytes = c->lifetime_bytes / KILOBYTE > UINT32_MAX
                                    ? UINT32_MAX
                                    : (uint32_t)(c->lifetime_bytes / KILOBYTE);
    child->start = from->start;
}

_Static_assert(IKEV1_CHILD_NAME_BYTES == IKEV2_CHILD_NAME_BYTES, "names are copied whole");

bool ikev1_terms_fill(struct terms *terms, const struct site *site)
{
    struct ikev1_terms *t = ikev1_terms(terms);
    const struct config_site *c = site->config;
    const struct ikev2_policy *from = &terms->policy;
    struct ikev1_policy *policy = &t->policy;

    if (c->protection == CONFIG_AH_AND_ESP) {
        t->around = proposals_share(site->gateway, c->ah);
        if (t->around == NULL) {
            return false;
        }
    }
    for (size_t part = 0; part < from->child_count; part++) {
        fill_child(&t->children[part], &terms->children[part], t, c);
        /* Clients propose everything, whatever they were told there is. */
        t->children[part].accept_wider = people_access(site) != NULL;
    }
    policy->ike = from->ike;
    policy->local_id = from->local_id;
    policy->peer_id = from->peer_id;
    policy->ike_lifetime_ms = from->ike_lifetime_ms;
    policy->liveness_ms = from->liveness_ms;
    policy->retransmit_first_ms = from->retransmit_first_ms;
    policy->retransmit_max_ms = from->retransmit_max_ms;
    policy->retransmit_tries = from->retransmit_tries;
    policy->grace_ms = from->grace_ms;
    policy->force_encapsulation = from->force_encapsulation;
    policy->natt = c->encapsulate == ENCAPSULATE_NEVER ? IKEV1_NATT_NEVER : IKEV1_NATT_ALL;
    policy->aggressive = c->aggressive;
    policy->strict_id_types = from->strict_id_types;
    policy->no_vendor_ids = from->no_vendor_ids;
    policy->initiate = c->start != START_WAIT;
    if (from->certificates != NULL) {
        t->certificates.own = from->certificates->own;
        t->certificates.trust = from->certificates->trust;
        t->certificates.by = encryption_proof_of(c);
        policy->certificates = &t->certificates;
    }
    policy->fragment_bytes = c->fragmentation ? c->fragment_bytes : 0;
    policy->children = t->children;
    policy->child_count = from->child_count;
    people_fill_terms(site, policy);
    if (policy->hybrid) {
        /* Only the gateway proves itself so. */
        if (policy->login == IKEV1_LOGIN_ASK) {
            t->certificates.trust = NULL;
        } else {
            t->certificates.own = NULL;
        }
    }
    return secret_copy(&policy->shared_key, &from->shared_key);
}

void ikev1_terms_free(struct terms *terms)
{
    struct ikev1_terms *t = ikev1_terms(terms);

    proposals_release(t->around);
    secret_wipe(&t->policy.shared_key);
    free(t);
}

static void add_method(struct responder_terms *t, const struct site *site)
{
    if (people_is_block(site)) {
        people_fill_responder(site, &t->old);
    } else if (site->config->key.name != NULL) {
        t->old.shared_keys = true;
    } else if (site->certificates != NULL && site->certificates->own != NULL) {
        enum key_kind kind = credential_kind(site->certificates->own);

        if (encryption_add_method(t, site)) {
            return;
        }
        t->old.rsa = t->old.rsa || kind == KEY_RSA;
        t->old.dss = t->old.dss || kind == KEY_DSA;
        t->old.ecdsa_256 = t->old.ecdsa_256 || kind == KEY_P256;
        t->old.ecdsa_384 = t->old.ecdsa_384 || kind == KEY_P384;
        t->old.ecdsa_521 = t->old.ecdsa_521 || kind == KEY_P521;
    }
}

/* Each different list once. They are the configuration's, which lives as long as it is the present
 * one: see ikev1_configured(). */
static void add_list(struct responder_terms *t, const struct proposals *list)
{
    for (size_t i = 0; i < t->old.ike_count; i++) {
        if (terms_same_proposals(t->old_lists[i], list)) {
            return;
        }
    }
    t->old_lists[t->old.ike_count++] = list;
}

bool ikev1_responder_fill(struct responder_terms *t, struct site *const *sites, size_t count)
{
    size_t encapsulating = 0, never = 0;
    size_t speaking = 0;

    t->old_lists = calloc(count > 0 ? count : 1, sizeof(const struct proposals *));
    t->old_sites = calloc(count > 0 ? count : 1, sizeof(struct site *));
    if (t->old_lists == NULL || t->old_sites == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct config_site *c = sites[i]->config;

        if (!c->enabled || c->version == CONFIG_IKE_V2) {
            continue;
        }
        t->old_sites[speaking++] = sites[i];
        add_list(t, sites[i]->config->ike);
        never += c->encapsulate == ENCAPSULATE_NEVER;
        if (c->aggressive && c->key.name != NULL && t->old.local_id.type == 0 &&
            !ike_identity_parse(
                slice_of_text(c->say != NULL ? c->say : sites[i]->gateway->config->gateway),
                &t->old.local_id)) {
            t->old.local_id = (struct ike_identity){.type = 0};
        }
        encapsulating += c->encapsulate == ENCAPSULATE_ALWAYS;
        add_method(t, sites[i]);
        t->old.aggressive = t->old.aggressive || c->aggressive;
        if (c->fragmentation &&
            (t->old.fragment_bytes == 0 || c->fragment_bytes < t->old.fragment_bytes)) {
            t->old.fragment_bytes = c->fragment_bytes;
        }
        if (c->ike_lifetime_ms > t->old.ike_lifetime_ms) {
            t->old.ike_lifetime_ms = c->ike_lifetime_ms;
        }
    }
    t->old.ike = t->old_lists;
    t->old.force_encapsulation = speaking > 0 && encapsulating == speaking;
    t->old.natt = speaking > 0 && never == speaking ? IKEV1_NATT_NEVER : IKEV1_NATT_ALL;
    t->old_count = speaking;
    return true;
}

/* ---- whom a message is for ---- */

struct ike *ikev1_find(const struct gateway *g, const struct ikev2_header *h,
                       const struct endpoint *peer)
{
    struct ike *ike = h->spi_r == 0 ? NULL : ike_of_spi(g, h->spi_r);

    if (ike == NULL) {
        ike = ike_of_spi(g, h->spi_i);
    }
    if (ike == NULL && h->spi_r == 0) {
        ike = ike_of_init(g, h->spi_i, peer);
    }
    return ike != NULL && ike->is_old ? ike : NULL;
}

/* Sites that a peer at this address may mean: `visit` is asked about each until it has enough. */
static bool may_be(const struct site *site, const struct endpoint *peer)
{
    const struct config_site *c = site->config;

    if (c->version == CONFIG_IKE_V2 || !site_is_enabled(site) || site->gateway->stopping) {
        return false;
    }
    return (c->peer_count > 0 && c->peers[0].any) || identities_is_at(site, peer);
}

static bool is_expected(const struct site *site, const struct ike_identity *said)
{
    return said->type == 0 || site->expected == NULL || identity_is_implied(site->config) ||
           ike_identity_matches(site->expected, said, site->config->strict_identity);
}

/* ---- admission ---- */

/* RFC 2408 3.14: what is in clear proves nothing; it says to a peer that is configured otherwise
 * why nothing comes of it. */
static void refuse_first(struct gateway *g, const struct endpoint *local,
                         const struct endpoint *peer, const struct ikev2_header *header,
                         uint16_t type)
{
    uint8_t bytes[64];
    uint8_t first;
    struct writer w = writer_over(bytes, sizeof(bytes));
    struct ikev1_header h = {
        .cookie_i = header->spi_i,
        .version = 0x10,
        .exchange = IKEV1_INFORMATIONAL,
    };
    const struct ikev1_notify_payload notify = {
        .doi = IKEV1_DOI_IPSEC,
        .protocol = IKEV1_PROTO_ISAKMP,
        .type = type,
    };

    random_fill(g->random, (uint8_t *)&h.message_id, sizeof(h.message_id));
    h.next_payload = IKEV1_NOTIFY;
    ikev1_write_header(&w, &h);
    struct ikev1_chain chain = ikev1_chain_over(&w, &first);

    ikev1_begin_payload(&chain, IKEV1_NOTIFY);
    ikev1_write_notify(&w, &notify);
    ikev1_end_payload(&chain);
    ikev1_finish_message(&w);
    assert(writer_ok(&w) && w.length <= header->length + 64);
    actions_send(g, local, peer, writer_written(&w), SEND_ANYHOW);
}

/* Nobody here speaks IKEv1 with whoever is at this address, or not in Aggressive Mode: he and the
 * administrator are told. */
static void say_unwanted(struct gateway *g, enum reason reason, const struct endpoint *local,
                         const struct endpoint *peer, const struct ikev2_header *header,
                         uint64_t now_ms)
{
    bool known = false;

    if (!hearsay_may_look(g, LOOK_FAILURE, &peer->address, now_ms)) {
        return;
    }
    for (size_t i = 0; i < g->site_count; i++) {
        if (identities_is_at(g->sites[i], peer)) {
            known = true;
            hearsay_first_message(g->sites[i], reason, peer, now_ms);
        }
    }
    if (known) {
        refuse_first(g, local, peer, header,
                     reason == REASON_AGGRESSIVE ? IKEV1_INVALID_EXCHANGE_TYPE
                                                 : IKEV1_INVALID_MAJOR_VERSION);
    }
}

void ikev1_admit(struct gateway *g, const struct endpoint *local, const struct endpoint *peer,
                 const struct ikev2_header *header, struct slice message, uint64_t now_ms)
{
    bool any = false;
    bool aggressive = false;
    enum old_caller who = OLD_STRANGER;

    if (peer->tcp || ikev1_door_returns(g, local, peer, header, message, now_ms) ||
        !ikev1_sa_may_begin(message, true)) {
        return;
    }
    const struct responder_terms *terms = g->responder_terms;

    for (size_t i = 0; terms != NULL && i < terms->old_count && !(who == OLD_KNOWN && aggressive);
         i++) {
        struct site *site = terms->old_sites[i];

        if (may_be(site, peer)) {
            any = true;
            who = identities_is_at(site, peer) ? OLD_KNOWN : who;
            aggressive = aggressive || site->config->aggressive;
            /* What the first message is answered with depends on our certificate, so one that
             * could not be read is asked for before somebody says who he is. */
            if (!site->secret_known && certificates_are_wanted(site->config)) {
                questions_ask_secret_again(site, now_ms);
            }
        }
    }
    if (!any) {
        say_unwanted(g, REASON_OLD_VERSION, local, peer, header, now_ms);
        return;
    }
    if (!ikev1_sa_may_begin(message, aggressive)) {
        say_unwanted(g, REASON_AGGRESSIVE, local, peer, header, now_ms);
        return;
    }
    if (ikev1_door_answers(g, local, peer, header, message, now_ms) ||
        !admission_has_room_for_old(g, peer, who)) {
        return;
    }
    g->responder_terms->old.half_open_ms = admission_old_half_open_ms(g, who);
    ike_answer(g, local, peer, header, message, now_ms);
}

/* ---- who it is ---- */

void ikev1_forget_candidates(struct ike *ike)
{
    for (size_t i = 0; i < ike->old->candidate_count; i++) {
        terms_release(ike->old->candidates[i]);
    }
    free(ike->old->candidates);
    ike->old->candidates = NULL;
    ike->old->candidate_count = 0;
}

/* False: its key is on its way. */
static bool has_terms(struct site *site, uint64_t now_ms)
{
    if (!site->secret_known || site->secret_stale) {
        questions_ask_secret_again(site, now_ms);
        return !site->secret_asked;
    }
    return true;
}

static void add_candidate(struct ike *ike, struct site *site)
{
    if (site->terms != NULL && site->terms->is_old &&
        ike->old->candidate_count < IKEV1_CANDIDATES_MAX) {
        terms_refresh_initial_contact(site);
        ike->old->candidates[ike->old->candidate_count++] = terms_hold(site->terms);
    }
}

/* Those at their address before those who may be anywhere. */
static bool collect(struct ike *ike, uint64_t now_ms)
{
    struct gateway *g = ike->gateway;
    bool complete = true;

    ikev1_forget_candidates(ike);
    ike->old->candidates = calloc(IKEV1_CANDIDATES_MAX, sizeof(struct terms *));
    for (int anywhere = 0; ike->old->candidates != NULL && anywhere <= 1; anywhere++) {
        for (size_t i = 0; i < g->site_count; i++) {
            struct site *site = g->sites[i];

            if (may_be(site, &ike->peer) && identities_is_at(site, &ike->peer) == (anywhere == 0) &&
                (ike->said == NULL || is_expected(site, ike->said))) {
                complete = has_terms(site, now_ms) && complete;
                add_candidate(ike, site);
            }
        }
    }
    return complete;
}

void ikev1_ask_peer(struct ike *ike, uint64_t now_ms)
{
    if (collect(ike, now_ms)) {
        ike_order(ike, IKE_ORDER_ANSWER_PEER);
    }
}

void ikev1_answer_peer(struct ike *ike, uint64_t now_ms)
{
    uint32_t question = ike->peer_question;

    if (!collect(ike, now_ms)) {
        return;
    }
    ike->peer_question = 0;
    machine_answer_candidates(ike, question, now_ms);
}

void ikev1_secret_answered(struct site *site)
{
    for (struct ike *ike = site->gateway->ikes;
         site->config->version != CONFIG_IKE_V2 && ike != NULL; ike = ike->next) {
        if (ike->is_old && ike->site == NULL && ike->peer_question != 0) {
            ike_order(ike, IKE_ORDER_ANSWER_PEER);
        }
    }
}

void ikev1_configured(struct gateway *g)
{
    for (struct ike *ike = g->ikes; ike != NULL; ike = ike->next) {
        if (ike->is_old && !ike->established && ike->site == NULL) {
            ike_order_close(ike, IKEV2_FAIL_ORDERED);
        }
    }
}

/* ---- established ---- */

static struct site *site_of_terms(struct gateway *g, const struct terms *terms)
{
    for (size_t i = 0; i < g->site_count; i++) {
        if (g->sites[i]->terms == terms) {
            return g->sites[i];
        }
    }
    return NULL;
}

struct site *ikev1_block_of(const struct ike *ike, const struct ikev1_policy *policy)
{
    struct site *site = NULL;

    for (size_t i = 0; site == NULL && i < ike->old->candidate_count; i++) {
        if (&ikev1_terms(ike->old->candidates[i])->policy == policy) {
            site = site_of_terms(ike->gateway, ike->old->candidates[i]);
        }
    }
    return site != NULL && people_is_block(site) ? site : NULL;
}

static struct ike *older_of(const struct site *site, const struct ike *than,
                            const struct ike_identity *peer)
{
    for (struct ike *other = site->ikes; other != NULL; other = other->next_of_site) {
        struct ikev2_sa_info info;

        if (other == than || !other->is_old || !other->established || other->over ||
            other->superseded || (other->orders & IKE_ORDER_CLOSE) != 0) {
            continue;
        }
        machine_get_info(other, &info);
        if (info.peer_id.type == 0 || ike_identity_matches(peer, &info.peer_id, false)) {
            return other;
        }
    }
    return NULL;
}

/* RFC 2407 4.6.3.3: INITIAL-CONTACT says that he has nothing else with us, but some say it whenever
 * they renew the ISAKMP SA. Who sent something through the older one's children in the second half
 * of phase 1 has them: what he sent before he forgot them was here long before. */
static bool still_has(const struct ike *ike, const struct ike *older, uint64_t now_ms)
{
    uint64_t half_ms = ike->created_ms + (now_ms - ike->created_ms) / 2;

    return older->established_ms <= ike->created_ms &&
           address_equal(&older->peer.address, &ike->peer.address) &&
           children_last_in_ms(older) > half_ms;
}

static bool is_to_be_absorbed(const struct ike *ike, const struct site *site,
                              const struct ike_identity *peer, uint64_t now_ms)
{
    const struct ike *older = ike->initiator ? NULL : older_of(site, ike, peer);

    return older != NULL && (!ike->old->initial_contact || still_has(ike, older, now_ms));
}

bool ikev1_established(struct ike *ike, const struct ikev2_action *action, uint64_t now_ms)
{
    struct site *site = ike->site;

    for (size_t i = 0; site == NULL && i < ike->old->candidate_count; i++) {
        struct terms *terms = ike->old->candidates[i];

        if (&ikev1_terms(terms)->policy == ike->old->proven) {
            site = site_of_terms(ike->gateway, terms);
            terms_release(ike->terms);
            ike->terms = terms_hold(terms);
        }
    }
    if (site != NULL && people_is_block(site)) {
        site = people_admit(ike, site);
    }
    if (site == NULL) {
        /* Its configuration is gone. */
        ike_order_close(ike, IKEV2_FAIL_ORDERED);
        return false;
    }
    if (is_to_be_absorbed(ike, site, &action->established.peer_id, now_ms)) {
        ike->old->absorb_into = site;
        ike_order(ike, IKE_ORDER_ABSORB);
        return false;
    }
    ikev1_forget_candidates(ike);
    if (ike->site == NULL) {
        site_join(site, ike);
    }
    return true;
}

struct ike *ikev1_older(struct ike *ike)
{
    struct ikev2_sa_info info;

    machine_get_info(ike, &info);
    return ike->old->absorb_into == NULL ? NULL
                                         : older_of(ike->old->absorb_into, ike, &info.peer_id);
}

/* ---- which version ---- */

bool site_speaks_old(const struct site *site)
{
    return site->config->version == CONFIG_IKE_V1 ||
           (site->config->version == CONFIG_IKE_EITHER && site->try_old);
}
