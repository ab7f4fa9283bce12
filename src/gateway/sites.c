/*
 * When a site is up, and what is done when it is not. A site that is wanted is called for ever,
 * with longer and longer waits; meanwhile its policy stands without an SA, so that its traffic is
 * dropped.
 *
 * site_think() looks at what there is and does the next thing; whoever changes something calls
 * site_think_later().
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SUPERSEDE_MS 60000
#define LOG_AGAIN_MS 60000
#define LOG_ANYTHING_MS 1000
/* Of what a site does in a minute: a peer who is in must not fill the log. */
#define LIFE_LINES_MAX 40
#define LIFE_LINES_MS 60000

/* ---- life ---- */

struct site *site_new(struct gateway *g, const struct config_site *config, uint32_t number)
{
    struct site *site = calloc(1, sizeof(*site));

    if (site == NULL) {
        return NULL;
    }
    site->gateway = g;
    site->config = config;
    site->name = config->name;
    site->number = number;
    site->timer.deadline.tag = TIMER_SITE;
    site->duplicates_ms = NEVER_MS;
    site->supersede_ms = NEVER_MS;
    site->silence_look_ms = NEVER_MS;
    site->own_look_ms = NEVER_MS;
    site->verify_ms = NEVER_MS;
    site->changed_ms = g->now_ms;
    return site;
}

static void forget_todo(struct site *site)
{
    struct site **link = &site->gateway->site_todo;

    if (!site->in_todo) {
        return;
    }
    while (*link != site) {
        link = &(*link)->next_todo;
    }
    *link = site->next_todo;
    site->in_todo = false;
}

void site_free(struct site *site)
{
    struct gateway *g = site->gateway;

    while (site->ikes != NULL) {
        ike_free(site->ikes);
    }
    resilience_linger_end(g, site);
    dial_cancel(site);
    forget_todo(site);
    hosts_free(site);
    questions_forget(g, &site->questions);
    deadlines_remove(&g->deadlines, &site->timer.deadline);
    trace_forget_site(site);
    g->gone_in_bytes += site->in_bytes;
    g->gone_in_packets += site->in_packets;
    g->gone_out_bytes += site->out_bytes;
    g->gone_out_packets += site->out_packets;
    secret_wipe(&site->secret);
    certificates_release(site->certificates);
    ppk_forget(site);
    terms_release(site->terms);
    policies_free_selectors(&site->selectors);
    free(site->used_more);
    resilience_forget_ticket(site);
    redirect_forget(site);
    free(site->expected);
    free(site->trouble);
    free(site->route_trouble);
    free(site->icmp_why);
    free(site->candidates);
    free(site->populate);
    free(site->roaming);
    free(site);
}

void site_join(struct site *site, struct ike *ike)
{
    assert(ike->site == NULL);
    ike->site = site;
    ike->next_of_site = site->ikes;
    ike->previous_of_site = NULL;
    if (site->ikes != NULL) {
        site->ikes->previous_of_site = ike;
    }
    site->ikes = ike;
    site->ike_count++;
    trace_join(ike);
}

void site_leave(struct ike *ike)
{
    struct site *site = ike->site;

    if (site == NULL) {
        return;
    }
    if (ike->previous_of_site != NULL) {
        ike->previous_of_site->next_of_site = ike->next_of_site;
    } else {
        site->ikes = ike->next_of_site;
    }
    if (ike->next_of_site != NULL) {
        ike->next_of_site->previous_of_site = ike->previous_of_site;
    }
    site->ike_count--;
    ike->site = NULL;
    if (ike->established) {
        site->established_count--;
        if (site->established_count == 0) {
            terms_site_is_up(site, false);
        }
    }
    if (site->dialled == ike) {
        site->dialled = NULL;
        dial_failed(site);
    }
    site_think_later(site);
}

/* ---- what is wanted ---- */

bool site_is_enabled(const struct site *site)
{
    return site->config->enabled && !site->ordered_down;
}

bool site_is_wanted(const struct site *site)
{
    return site_is_enabled(site) && !site->gateway->stopping &&
           (site->ordered_up || site->wanted_by_traffic ||
            (site->config->start == START_NOW && !populate_is_on(site)));
}

bool site_can_dial(const struct site *site)
{
    for (size_t i = 0; i < site->config->peer_count; i++) {
        if (!site->config->peers[i].any) {
            return true;
        }
    }
    return false;
}

static struct ike *current_ike(const struct site *site)
{
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike->established && !ike->superseded && (ike->orders & IKE_ORDER_CLOSE) == 0) {
            return ike;
        }
    }
    return NULL;
}

#define USED_FIRST ARRAY_LENGTH(((struct site *)0)->used_first)

struct child **site_used_of(struct site *site, size_t part)
{
    assert(part < site_used_parts(site));
    return part < USED_FIRST ? &site->used_first[part] : &site->used_more[part - USED_FIRST];
}

size_t site_used_parts(const struct site *site)
{
    return site->used_more == NULL ? USED_FIRST : SITE_PARTS_MAX;
}

bool site_has_parts(struct site *site, size_t parts)
{
    if (parts > USED_FIRST && site->used_more == NULL) {
        site->used_more = calloc(SITE_PARTS_MAX - USED_FIRST, sizeof(struct child *));
    }
    return parts <= site_used_parts(site);
}

void site_think_later(struct site *site)
{
    if (!site->in_todo) {
        site->in_todo = true;
        site->next_todo = site->gateway->site_todo;
        site->gateway->site_todo = site;
    }
}

static bool has_usable_part(const struct site *site, size_t part)
{
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike->established && !ike->superseded && children_part_usable(ike, part) &&
            machine_has_children(ike, part)) {
            return true;
        }
    }
    return false;
}

static bool has_all_parts(const struct site *site)
{
    bool all = true;

    if (populate_is_on(site)) {
        return true;
    }
    for (size_t part = 0; part < site->selectors.parts; part++) {
        all = all && has_usable_part(site, part);
    }
    return all;
}

static void child_back_off(struct site *site, uint64_t now_ms)
{
    uint64_t wait_ms = site->child_backoff_ms * 2;

    if (wait_ms < BACKOFF_FIRST_MS) {
        wait_ms = BACKOFF_FIRST_MS;
    }
    site->child_backoff_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS;
    site->child_try_ms = now_ms + site->child_backoff_ms;
}

static void sooner(uint64_t *at_ms, uint64_t other_ms)
{
    if (other_ms < *at_ms) {
        *at_ms = other_ms;
    }
}

static void arm(struct site *site, bool waits_to_dial, bool waits_for_child)
{
    uint64_t at_ms = NEVER_MS;

    if (waits_to_dial) {
        sooner(&at_ms, site->next_try_ms);
    }
    if (waits_for_child) {
        sooner(&at_ms, site->child_try_ms);
    }
    if (site->has_slot) {
        sooner(&at_ms, site->slot_until_ms);
    }
    sooner(&at_ms, transport_fallback_ms(site));
    if (site->dial == DIAL_SECRET || site->dial == DIAL_RESOLVE || site->dial == DIAL_SOURCE ||
        site->dial == DIAL_TCP) {
        sooner(&at_ms, site->question_until_ms);
    }
    sooner(&at_ms, site->duplicates_ms);
    sooner(&at_ms, site->supersede_ms);
    sooner(&at_ms, site->silence_look_ms);
    sooner(&at_ms, site->own_look_ms);
    sooner(&at_ms, site->verify_ms);
    sooner(&at_ms, returning_due_ms(site));
    sooner(&at_ms, uplinks_next_ms(site));
    sooner(&at_ms, names_due_ms(site));
    gateway_set_timer(site->gateway, &site->timer, at_ms);
}

void site_think(struct site *site, uint64_t now_ms)
{
    struct ike *ike = current_ike(site);
    bool waits_for_child = false;

    if (site->is_session && site->ikes == NULL) {
        session_think(site, now_ms);
        return;
    }
    if (site->child_lost && site->used == NULL && ike != NULL && site->trouble == NULL) {
        site_trouble(site, REASON_CHILD_GONE, &ike->peer, "", now_ms);
    }
    site->child_lost = false;
    returning_think(site, now_ms);
    names_think(site, now_ms);
    if (site->dial == DIAL_NEXT) {
        dial_next(site, now_ms);
    }
    bool waits_to_dial = site_is_wanted(site) && site_can_dial(site) &&
                         (ike == NULL || site->silent) && site->dial == DIAL_IDLE &&
                         (!populate_is_on(site) || populate_waits(site));

    if (waits_to_dial && site->next_try_ms <= now_ms) {
        dial_begin(site, now_ms);
        waits_to_dial = false;
    }
    if (ike != NULL && site_is_wanted(site) && !has_all_parts(site)) {
        waits_for_child = true;
        if (site->child_try_ms <= now_ms) {
            ike_order(ike, IKE_ORDER_START_CHILD);
            child_back_off(site, now_ms);
        }
    }
    if (ike != NULL && populate_waits(site)) {
        ike_order(ike, IKE_ORDER_START_CHILD);
    }
    arm(site, waits_to_dial, waits_for_child);
}

void site_time(struct site *site, uint64_t now_ms)
{
    if (site->has_slot && site->slot_until_ms <= now_ms) {
        dial_release_slot(site);
    }
    dial_unanswered(site, now_ms);
    if (transport_fallback_ms(site) <= now_ms) {
        transport_fall_back(site, now_ms);
    }
    if (site->silence_look_ms <= now_ms) {
        silence_look(site, now_ms);
    }
    verify_time(site, now_ms);
    returning_time(site, now_ms);
    names_time(site, now_ms);
    if (uplinks_next_ms(site) <= now_ms) {
        uplinks_next(site, now_ms);
    }
    if (site->own_look_ms <= now_ms) {
        populate_look(site, now_ms);
    }
    if (site->duplicates_ms <= now_ms) {
        site->duplicates_ms = NEVER_MS;
        duplicates_decide(site, now_ms);
    }
    if (site->supersede_ms <= now_ms) {
        site_close_superseded(site);
    }
    site_think_later(site);
}

/* ---- what happens ---- */

bool site_may_say(struct site *site, uint64_t now_ms)
{
    if (now_ms >= site->said_since_ms + LIFE_LINES_MS) {
        if (site->unsaid > 0) {
            log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name,
                     "comes and goes: %u lines about that were not logged", site->unsaid);
        }
        site->said_since_ms = now_ms;
        site->said = 0;
        site->unsaid = 0;
    }
    if (site->said == LIFE_LINES_MAX) {
        site->unsaid++;
        return false;
    }
    site->said++;
    return true;
}

void site_established(struct ike *ike, uint64_t now_ms)
{
    struct site *site = ike->site;
    char peer[ENDPOINT_TEXT_BYTES];
    char suite[STATUS_SUITE_BYTES];

    site->established_count++;
    site->established_ms = now_ms;
    site->last_peer = ike->peer;
    site->child_backoff_ms = 0;
    site->own_refused_ms = 0;
    /* Whoever began asks for all parts by himself, and for the first one too where IKE_AUTH made
     * none (RFC 6023). */
    site->child_try_ms = now_ms + (ike->initiator ? 0 : 2 * BACKOFF_FIRST_MS);
    site->reached = REASON_CHECK_NETWORKS;
    /* He speaks: the next silence is another one. */
    silence_begin(site, now_ms);
    status_ike_title(ike, suite);
    if (site_may_say(site, now_ms)) {
        log_line(site->gateway->log, LOG_LEVEL_INFO, site->name,
                 "IKE SA established with %s: %s%s%s", endpoint_format(&ike->peer, peer), suite,
                 ike->resuming ? ", resumed by a ticket" : "", status_nat_words(ike));
    }
    uplinks_established(ike, now_ms);
    if (site->dialled == ike) {
        site->tcp_helped = site->by_tcp;
        dial_done(site);
    } else if (site->dial != DIAL_IDLE && (site->dialled == NULL || !site->dialled->heard) &&
               !ike->superseded) {
        /* The peer was faster. What was not answered yet cannot have been established there. */
        dial_cancel(site);
    }
    if (site->established_count == 1) {
        terms_site_is_up(site, true);
    }
    site_think_later(site);
}

static void wait_after_end(struct site *site, enum ikev2_failure_reason why, uint64_t now_ms)
{
    bool steady = site->up_ms != 0 && now_ms >= site->up_ms + STEADY_MS;

    if (steady) {
        site->backoff_ms = 0;
        site->tries = 0;
    }
    if (steady && why == IKEV2_FAIL_PEER_DEAD) {
        site->next_try_ms = now_ms;
        return;
    }
    if (why == IKEV2_FAIL_PEER_RESTARTED && site->backoff_ms == 0) {
        /* He is there. Should he fail again and again, he is not called as often. */
        dial_back_off(site, now_ms);
        site->next_try_ms = now_ms;
        return;
    }
    dial_back_off(site, now_ms);
}

void site_ike_ended(struct ike *ike, const struct ikev2_failure *failure, uint64_t now_ms)
{
    struct site *site = ike->site;
    bool by_us = failure->reason == IKEV2_FAIL_ORDERED || failure->reason == IKEV2_FAIL_REPLACED ||
                 failure->reason == IKEV2_FAIL_REDIRECTED;

    site_think_later(site);
    if (failure->reason == IKEV2_FAIL_PEER_AUTH || failure->reason == IKEV2_FAIL_AUTH_REFUSED ||
        failure->reason == IKEV2_FAIL_CERTIFICATE || failure->reason == IKEV2_FAIL_PPK_DIFFERS ||
        failure->reason == IKEV2_FAIL_PPK_REFUSED) {
        /* Somebody may just have changed the key. */
        site->secret_stale = true;
    }
    if (by_us || ike->superseded || (ike->resuming && !ike->established)) {
        return;
    }
    if (!ike->established) {
        /* Anybody may say the peer's name: only who calls from his address is worth to be shown. */
        if (site->used == NULL &&
            (ike->initiator || !site_can_dial(site) || identities_is_at(site, &ike->peer))) {
            site_trouble_of_failure(site, ike, failure, now_ms);
        }
        return;
    }
    for (const struct ike *other = site->ikes; other != NULL; other = other->next_of_site) {
        if (other != ike && other->established && !other->superseded) {
            return;
        }
    }
    site_trouble_of_failure(site, ike, failure, now_ms);
    wait_after_end(site, failure->reason, now_ms);
}

/* Which part of the site it was to carry. */
static size_t part_named(const struct ike *ike, const char *child)
{
    size_t count = ike->terms == NULL ? 0 : ike->terms->policy.child_count;
    size_t part = count > 0 ? count - 1 : 0;

    while (part > 0 && strcmp(ike->terms->children[part].name, child) != 0) {
        part--;
    }
    return part;
}

void site_child_failed(struct ike *ike, const char *child, const struct ikev2_failure *failure,
                       uint64_t now_ms)
{
    struct site *site = ike->site;

    if (failure->reason == IKEV2_FAIL_CHILD_RESOURCE) {
        populate_refused(ike, failure, now_ms);
        return;
    }
    if (returning_is_trial(ike)) {
        return;
    }
    if (has_usable_part(site, part_named(ike, child))) {
        struct ikev2_failure refused = *failure;

        if (!verify_failed(ike, failure, now_ms)) {
            site_trouble(site, REASON_REKEY_REFUSED, &ike->peer, refused.detail, now_ms);
        }
        return;
    }
    site_trouble_of_failure(site, ike, failure, now_ms);
    if (ike->initiator || site->child_backoff_ms > 0) {
        child_back_off(site, now_ms);
    }
    site_think_later(site);
}

/* Both sides miss the child at the same moment: one of them asks for it a little later. */
static uint64_t wait_for_peer_ms(const struct site *site)
{
    const struct ike *ike = current_ike(site);

    return ike != NULL && !duplicates_we_decide(ike) ? 2 * BACKOFF_FIRST_MS : 0;
}

static void tell_changed(struct site *site)
{
    struct gateway_action *action = actions_add(site->gateway, GATEWAY_SITE_CHANGED);

    if (action != NULL) {
        actions_copy_words(action->site.name, sizeof(action->site.name), site->name);
        action->site.up = site->shown_up;
    }
}

void site_used_changed(struct site *site, uint64_t now_ms)
{
    bool up = site->used != NULL;

    if (up) {
        site->child_backoff_ms = 0;
        site->reached = REASON_CHECK_DATA;
    }
    returning_used(site, now_ms);
    if (up == site->shown_up) {
        return;
    }
    site->shown_up = up;
    site->changed_ms = now_ms;
    if (up) {
        site->up_ms = now_ms;
        silence_begin(site, now_ms);
        site_trouble_clear(site);
        site->logged = REASON_NONE;
        verify_up(site, now_ms);
        if (site_may_say(site, now_ms)) {
            log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name, "up");
        }
    } else {
        silence_end(site);
        site->wanted_by_traffic = false;
        site->child_try_ms = now_ms + BACKOFF_FIRST_MS + wait_for_peer_ms(site);
        if (site_may_say(site, now_ms)) {
            log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name, "not up any more");
        }
    }
    tell_changed(site);
    site_think_later(site);
}

/* ---- the key ---- */

void site_renew_terms(struct site *site)
{
    terms_release(site->terms);
    site->terms = NULL;
    if (!site->secret_known || !ppk_is_there(site)) {
        return;
    }
    site->terms = terms_new(site->gateway, site);
    if (site->terms == NULL) {
        site_trouble(site, REASON_RESOURCES, NULL, "no memory, or a name that cannot be said",
                     site->gateway->now_ms);
    }
}

/* Whoever waits for it goes on. */
static void go_on(struct site *site, uint64_t now_ms)
{
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike->peer_question != 0) {
            ike_order(ike, IKE_ORDER_ANSWER_PEER);
        }
    }
    ikev1_secret_answered(site);
    if (site->dial == DIAL_SECRET) {
        dial_secret(site, now_ms);
    }
}

/* What goes into the keys beside the proof comes next. */
static void proof_answered(struct site *site, uint64_t now_ms)
{
    if (!site->secret_known || !ppk_ask(site)) {
        go_on(site, now_ms);
    }
}

void site_proves_nothing(struct site *site, uint64_t now_ms)
{
    site->secret_stale = false;
    if (!site->secret_known) {
        site->secret_known = true;
        site_renew_terms(site);
    }
    proof_answered(site, now_ms);
}

void site_ppk_answered(struct site *site, const struct secret *secret, const char *why,
                       uint64_t now_ms)
{
    ppk_answered(site, secret, why, now_ms);
    go_on(site, now_ms);
}

void site_secret_answered(struct site *site, const struct secret *secret, const char *why,
                          uint64_t now_ms)
{
    bool known = secret != NULL && secret->length > 0;

    site->secret_asked = false;
    site->secret_stale = false;
    if (known && (!site->secret_known || !secret_equal(secret, &site->secret))) {
        site->secret_known = secret_copy(&site->secret, secret);
        site_renew_terms(site);
    } else if (!known) {
        site->secret_known = false;
        secret_wipe(&site->secret);
        site_renew_terms(site);
        site_trouble(site, REASON_NO_SECRET, NULL, why, now_ms);
    }
    proof_answered(site, now_ms);
}

void site_certificates_answered(struct site *site, struct credential *own, struct trust *trust,
                                const char *why, uint64_t now_ms)
{
    struct gateway *g = site->gateway;
    char reused[256];

    site->secret_asked = false;
    site->secret_stale = false;
    certificates_release(site->certificates);
    /* With hybrid authentication a client has none of its own. */
    site->certificates = own == NULL && (trust == NULL || !caller_believes(site->config))
                             ? NULL
                             : certificates_new(site->config, own, trust);
    site->secret_known = site->certificates != NULL;
    site_renew_terms(site);
    if (!site->secret_known) {
        site_trouble(site,
                     config_key_is_in_token(site->config) ? REASON_TOKEN : REASON_NO_CERTIFICATE,
                     NULL, why, now_ms);
    } else if (encryption_shares_key(site, reused, sizeof(reused))) {
        certificates_release(site->certificates);
        site->certificates = NULL;
        site->secret_known = false;
        site_renew_terms(site);
        site_trouble(site, REASON_NO_CERTIFICATE, NULL, reused, now_ms);
    } else if (site->config->version != CONFIG_IKE_V2 ||
               !responder_terms_know(g->responder_terms, site->certificates->trust)) {
        struct responder_terms *renewed = responder_terms_new(g->sites, g->site_count);

        if (renewed != NULL) {
            responder_terms_release(g->responder_terms);
            g->responder_terms = renewed;
        }
    }
    proof_answered(site, now_ms);
}

/* ---- orders about all of it ---- */

void site_close_all(struct site *site, enum ikev2_failure_reason why)
{
    dial_cancel(site);
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        ike_order_close(ike, why);
    }
}

void site_close_superseded(struct site *site)
{
    site->supersede_ms = NEVER_MS;
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike->superseded) {
            ike_order_close(ike, IKEV2_FAIL_ORDERED);
        }
    }
}

void site_renegotiate(struct site *site, uint64_t now_ms)
{
    bool was_up = site->used != NULL;

    dial_cancel(site);
    for (struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (!ike->established) {
            ike_order_close(ike, IKEV2_FAIL_ORDERED);
        }
        ike->superseded = true;
    }
    site->backoff_ms = 0;
    site->tries = 0;
    site->next_try_ms = now_ms;
    if (was_up && site_can_dial(site) && site_is_enabled(site)) {
        site->wanted_by_traffic = true;
        site->supersede_ms = now_ms + SUPERSEDE_MS;
    } else {
        site_close_superseded(site);
    }
    site_think_later(site);
}

/* ---- what went wrong ---- */

void site_trouble_clear(struct site *site)
{
    free(site->trouble);
    site->trouble = NULL;
}

/* The same thing once a minute, a new one at once. */
void site_trouble_log(struct site *site, uint64_t now_ms)
{
    enum reason reason = site->trouble->reason;
    char sentence[STATUS_SENTENCE_BYTES];

    if (now_ms < site->logged_ms + (reason == site->logged ? LOG_AGAIN_MS : LOG_ANYTHING_MS)) {
        site->unlogged++;
        return;
    }
    status_sentence(site, reason, sentence, sizeof(sentence));
    log_line(site->gateway->log, LOG_LEVEL_WARNING, site->name, "%s %s", reason_code(reason),
             sentence);
    site->logged = reason;
    site->logged_ms = now_ms;
    site->unlogged = 0;
}

struct trouble *site_trouble_begin(struct site *site, enum reason reason,
                                   const struct endpoint *peer, uint64_t now_ms)
{
    if (site->trouble == NULL) {
        site->trouble = malloc(sizeof(*site->trouble));
    }
    if (site->trouble == NULL) {
        return NULL;
    }
    *site->trouble = (struct trouble){.reason = reason, .at_ms = now_ms};
    if (peer != NULL) {
        site->trouble->peer = *peer;
    }
    return site->trouble;
}

void site_trouble(struct site *site, enum reason reason, const struct endpoint *peer,
                  const char *detail, uint64_t now_ms)
{
    struct trouble *t = site_trouble_begin(site, reason, peer, now_ms);

    if (t == NULL) {
        return;
    }
    actions_copy_words(t->detail, sizeof(t->detail), detail);
    site_trouble_log(site, now_ms);
}

static bool answers_elsewhere(const struct ike *ike)
{
    const struct roaming *roaming = ike->site == NULL ? NULL : ike->site->roaming;

    return roaming != NULL && !ike->established && roaming->answered_number == ike->number &&
           roaming->answered_from.family != FAMILY_NONE;
}

static enum reason reason_of_silence(const struct ike *ike, const struct ikev2_failure *failure)
{
    if (ike->site != NULL && ike->site->icmp_why != NULL) {
        return REASON_UNREACHABLE;
    }
    if (answers_elsewhere(ike)) {
        return REASON_ANSWERS_ELSEWHERE;
    }
    /* The first message behind IKE_SA_INIT, which is where the port changes. */
    if (failure->exchange == IKEV2_IKE_AUTH || failure->exchange == IKEV2_IKE_INTERMEDIATE) {
        struct ikev2_sa_info info;

        machine_get_info(ike, &info);
        if (info.peer.tcp) {
            return REASON_TCP_SILENT;
        }
        return info.local.port == IKE_PORT ? REASON_FRAGMENTS_LOST : REASON_NO_ANSWER_4500;
    }
    if (!ike->established && ike->peer.tcp) {
        return REASON_TCP_SILENT;
    }
    return ike->established ? REASON_PEER_DEAD : REASON_NO_ANSWER;
}

static enum reason reason_of_certificate(enum certificate_problem problem)
{
    switch (problem) {
    case CERTIFICATE_EXPIRED:
    case CERTIFICATE_NOT_YET_VALID:
        return REASON_CERTIFICATE_TIME;
    case CERTIFICATE_UNKNOWN_AUTHORITY:
    case CERTIFICATE_SELF_SIGNED:
        return REASON_CERTIFICATE_AUTHORITY;
    case CERTIFICATE_WRONG_NAME:
        return REASON_CERTIFICATE_NAME;
    case CERTIFICATE_REVOKED:
    case CERTIFICATE_REVOCATION_UNKNOWN:
        return REASON_CERTIFICATE_REVOKED;
    case CERTIFICATE_GOOD:
    case CERTIFICATE_NONE:
    case CERTIFICATE_MALFORMED:
    case CERTIFICATE_BAD_SIGNATURE:
    case CERTIFICATE_NOT_AN_AUTHORITY:
    case CERTIFICATE_PATH_TOO_LONG:
    case CERTIFICATE_CHAIN_TOO_LONG:
    case CERTIFICATE_NAME_FORBIDDEN:
    case CERTIFICATE_CRITICAL_EXTENSION:
    case CERTIFICATE_POLICY:
    case CERTIFICATE_KEY_USAGE:
    case CERTIFICATE_PURPOSE:
    case CERTIFICATE_KEY_UNSUPPORTED:
    case CERTIFICATE_KEY_WEAK:
    case CERTIFICATE_SIGNATURE_WEAK:
    case CERTIFICATE_NO_MEMORY:
        return REASON_CERTIFICATE;
    }
    return REASON_CERTIFICATE;
}

/* What only IKEv1 knows of. */
static enum reason reason_of_old(const struct ike *ike)
{
    if (ike->old->failed == IKEV1_FAIL_SHARED_KEY) {
        return REASON_SHARED_KEY;
    }
    if (ike->old->failed == IKEV1_FAIL_ENCRYPTION) {
        return REASON_ENCRYPTION;
    }
    if (ike->old->failed == IKEV1_FAIL_SHARED_KEY_PERHAPS && encryption_is_wanted(ike)) {
        return REASON_ENCRYPTION;
    }
    if (ike->old->failed == IKEV1_FAIL_LOGIN) {
        return ike->initiator ? REASON_OUR_LOGIN_REFUSED : REASON_LOGIN_REFUSED;
    }
    if (ike->old->failed == IKEV1_FAIL_LOGIN_UNASKED) {
        return REASON_LOGIN_UNASKED;
    }
    if (ike->old->failed == IKEV1_FAIL_SETTINGS) {
        return REASON_NO_SETTINGS;
    }
    if (ike->old->failed == IKEV1_FAIL_LOGIN_TIMEOUT) {
        return REASON_LOGIN_TIMEOUT;
    }
    if (ike->old->failed == IKEV1_FAIL_SHARED_KEY_PERHAPS) {
        return REASON_SHARED_KEY_PERHAPS;
    }
    return ike->old->failed == IKEV1_FAIL_AGGRESSIVE ? REASON_AGGRESSIVE : REASON_NONE;
}

enum reason site_reason_of_failure(const struct ike *ike, const struct ikev2_failure *failure)
{
    if (ike->is_old && reason_of_old(ike) != REASON_NONE) {
        return reason_of_old(ike);
    }
    switch (failure->reason) {
    case IKEV2_FAIL_NONE:
        return REASON_NONE;
    case IKEV2_FAIL_NO_ANSWER:
        return reason_of_silence(ike, failure);
    case IKEV2_FAIL_NO_PROPOSAL:
        return REASON_NO_PROPOSAL;
    case IKEV2_FAIL_KE_GROUP_LOOP:
        return REASON_GROUP_LOOP;
    case IKEV2_FAIL_COOKIE_LOOP:
        return REASON_COOKIE_LOOP;
    case IKEV2_FAIL_BAD_PUBLIC_VALUE:
        return REASON_BAD_PUBLIC_VALUE;
    case IKEV2_FAIL_PEER_UNKNOWN:
        if (ike->site == NULL) {
            return REASON_PEER_UNKNOWN;
        }
        if (!ike->site->config->enabled) {
            return REASON_DISABLED;
        }
        if (ike->site->ordered_down) {
            return REASON_DOWN_BY_ORDER;
        }
        return certificates_are_wanted(ike->site->config) ? REASON_NO_CERTIFICATE
                                                          : REASON_NO_SECRET;
    case IKEV2_FAIL_PEER_IDENTITY:
        return REASON_PEER_IDENTITY;
    case IKEV2_FAIL_PEER_AUTH:
        return REASON_AUTH_WRONG;
    case IKEV2_FAIL_PEER_SIGNATURE:
        return REASON_SIGNATURE_WRONG;
    case IKEV2_FAIL_CERTIFICATE:
        return reason_of_certificate(failure->certificate);
    case IKEV2_FAIL_OWN_KEY:
        return REASON_TOKEN;
    case IKEV2_FAIL_AUTH_REFUSED:
        return ike->terms != NULL && ike->terms->policy.certificates != NULL ? REASON_PROOF_REFUSED
                                                                             : REASON_AUTH_REFUSED;
    case IKEV2_FAIL_AUTH_METHOD:
        return REASON_AUTH_METHOD;
    case IKEV2_FAIL_SUITE_NOT_ALLOWED:
        return REASON_SUITE_NOT_ALLOWED;
    case IKEV2_FAIL_NOT_POST_QUANTUM:
        return REASON_NOT_POST_QUANTUM;
    case IKEV2_FAIL_PPK_MISSING:
        return REASON_PPK_MISSING;
    case IKEV2_FAIL_PPK_UNKNOWN:
        return REASON_PPK_UNKNOWN;
    case IKEV2_FAIL_PPK_DIFFERS:
        return REASON_PPK_DIFFERS;
    case IKEV2_FAIL_PPK_REFUSED:
        return REASON_PPK_REFUSED;
    case IKEV2_FAIL_CHILD_NO_PROPOSAL:
        return REASON_NO_CHILD_PROPOSAL;
    case IKEV2_FAIL_CHILD_MODE:
        return REASON_TRANSPORT_REFUSED;
    case IKEV2_FAIL_CHILD_AH:
        return REASON_AH_REFUSED;
    case IKEV2_FAIL_CHILD_AH_NAT:
        return REASON_AH_NAT;
    case IKEV2_FAIL_CHILD_SELECTORS:
        return REASON_SELECTORS;
    case IKEV2_FAIL_CHILD_REFUSED:
    case IKEV2_FAIL_CHILD_RESOURCE:
        return REASON_CHILD_REFUSED;
    case IKEV2_FAIL_SYNTAX:
        return REASON_SYNTAX;
    case IKEV2_FAIL_CRITICAL_PAYLOAD:
        return REASON_CRITICAL_PAYLOAD;
    case IKEV2_FAIL_VERSION:
        return REASON_MAJOR_VERSION;
    case IKEV2_FAIL_PEER_ERROR:
        return REASON_PEER_ERROR;
    case IKEV2_FAIL_PEER_DELETED:
        return REASON_PEER_DELETED;
    case IKEV2_FAIL_PEER_DEAD:
        return REASON_PEER_DEAD;
    case IKEV2_FAIL_PEER_RESTARTED:
        return REASON_PEER_RESTARTED;
    case IKEV2_FAIL_NOT_RESUMED:
        return REASON_AUTH_REFUSED;
    case IKEV2_FAIL_REDIRECTED:
        return REASON_REPLACED;
    case IKEV2_FAIL_REDIRECT_UNPROVEN:
        return REASON_REDIRECT_UNPROVEN;
    case IKEV2_FAIL_NOT_PROVEN_AGAIN:
        return REASON_NOT_PROVEN_AGAIN;
    case IKEV2_FAIL_ORDERED:
        return REASON_DOWN_BY_ORDER;
    case IKEV2_FAIL_HALF_OPEN_TIMEOUT:
        return REASON_HALF_OPEN;
    case IKEV2_FAIL_REPLACED:
        return REASON_REPLACED;
    case IKEV2_FAIL_RESOURCES:
        return REASON_RESOURCES;
    }
    return REASON_RESOURCES;
}

/* What we say to be, and whom we ask for (IDr, RFC 7296 3.5) where we do. */
static void name_both(const struct ike *ike, struct trouble *t)
{
    struct text ours = text_over(t->ours, sizeof(t->ours));
    struct text theirs = text_over(t->theirs, sizeof(t->theirs));

    if (ike->terms == NULL) {
        return;
    }
    ike_identity_describe(&ike->terms->policy.local_id, &ours);
    if (ike->initiator && ike->terms->policy.peer_id.type != 0) {
        ike_identity_describe(&ike->terms->policy.peer_id, &theirs);
    }
}

void site_trouble_of_failure(struct site *site, struct ike *ike,
                             const struct ikev2_failure *failure, uint64_t now_ms)
{
    enum reason reason = site_reason_of_failure(ike, failure);
    struct ikev2_sa_info info;

    /* Of an order the state speaks for itself, and a known trouble is worth more than its
     * consequence. */
    if (!reason_get(reason)->trouble ||
        ((reason == REASON_NO_SECRET || reason == REASON_NO_CERTIFICATE) &&
         site->trouble != NULL)) {
        return;
    }
    machine_get_info(ike, &info);
    struct trouble *t = site_trouble_begin(site, reason, &info.peer, now_ms);

    if (t == NULL) {
        return;
    }
    t->by_peer = !ike->initiator;
    t->exchange = failure->exchange;
    t->notify = failure->notify;
    actions_copy_words(t->ours, sizeof(t->ours), failure->ours);
    actions_copy_words(t->theirs, sizeof(t->theirs), failure->theirs);
    actions_copy_words(t->detail, sizeof(t->detail), failure->detail);
    char from[ADDRESS_TEXT_BYTES];

    if (reason == REASON_UNREACHABLE) {
        actions_copy_words(t->detail, sizeof(t->detail), site->icmp_why);
    } else if (reason == REASON_ANSWERS_ELSEWHERE) {
        actions_copy_words(t->detail, sizeof(t->detail),
                           address_format(&site->roaming->answered_from, from));
    } else if (reason == REASON_PEER_ERROR && t->detail[0] == '\0') {
        actions_copy_words(t->detail, sizeof(t->detail),
                           machine_notify_name(failure->exchange, failure->notify));
    } else if (reason == REASON_AUTH_REFUSED || reason == REASON_PROOF_REFUSED) {
        name_both(ike, t);
    } else if (reason == REASON_AUTH_WRONG && t->theirs[0] == '\0' && ike->said != NULL) {
        struct text theirs = text_over(t->theirs, sizeof(t->theirs));

        ike_identity_describe(ike->said, &theirs);
    }
    site_trouble_log(site, now_ms);
}
