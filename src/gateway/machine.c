/*
 * Decides how each version of IKE hears what the gateway tells it, and how what IKEv1's machine
 * says is told in the words of IKEv2's. Nothing else in the gateway knows the difference but
 * ikev1.c.
 */
#include "gateway/inside.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ikev2/proof.h"

/* ---- what is said ---- */

static struct ikev2_actions *fresh(const struct ike *ike)
{
    ike->gateway->machine_actions->count = 0;
    return ike->gateway->machine_actions;
}

/* The gateway's list for IKEv1 is made when it is first needed; see machine_begin(). */
static struct ikev1_actions *fresh_old(const struct ike *ike)
{
    ike->gateway->old_actions->count = 0;
    return ike->gateway->old_actions;
}

static enum ikev2_failure_reason reason_of(enum ikev1_failure_reason reason)
{
    switch (reason) {
    case IKEV1_FAIL_NONE:
        return IKEV2_FAIL_NONE;
    case IKEV1_FAIL_NO_ANSWER:
        return IKEV2_FAIL_NO_ANSWER;
    case IKEV1_FAIL_NO_PROPOSAL:
        return IKEV2_FAIL_NO_PROPOSAL;
    case IKEV1_FAIL_BAD_PUBLIC_VALUE:
        return IKEV2_FAIL_BAD_PUBLIC_VALUE;
    case IKEV1_FAIL_PEER_UNKNOWN:
        return IKEV2_FAIL_PEER_UNKNOWN;
    case IKEV1_FAIL_PEER_IDENTITY:
        return IKEV2_FAIL_PEER_IDENTITY;
    case IKEV1_FAIL_SHARED_KEY:
    case IKEV1_FAIL_ENCRYPTION:
        return IKEV2_FAIL_PEER_AUTH;
    case IKEV1_FAIL_PEER_SIGNATURE:
        return IKEV2_FAIL_PEER_SIGNATURE;
    case IKEV1_FAIL_CERTIFICATE:
        return IKEV2_FAIL_CERTIFICATE;
    case IKEV1_FAIL_SHARED_KEY_PERHAPS:
    case IKEV1_FAIL_AUTH_REFUSED:
    case IKEV1_FAIL_LOGIN:
        return IKEV2_FAIL_AUTH_REFUSED;
    case IKEV1_FAIL_AUTH_METHOD:
    case IKEV1_FAIL_AGGRESSIVE:
    case IKEV1_FAIL_LOGIN_UNASKED:
        return IKEV2_FAIL_AUTH_METHOD;
    case IKEV1_FAIL_SUITE_NOT_ALLOWED:
        return IKEV2_FAIL_SUITE_NOT_ALLOWED;
    case IKEV1_FAIL_CHILD_NO_PROPOSAL:
        return IKEV2_FAIL_CHILD_NO_PROPOSAL;
    case IKEV1_FAIL_CHILD_MODE:
        return IKEV2_FAIL_CHILD_MODE;
    case IKEV1_FAIL_CHILD_AH_NAT:
        return IKEV2_FAIL_CHILD_AH_NAT;
    case IKEV1_FAIL_CHILD_SELECTORS:
        return IKEV2_FAIL_CHILD_SELECTORS;
    case IKEV1_FAIL_CHILD_REFUSED:
    case IKEV1_FAIL_CHILD_NO_ANSWER:
        return IKEV2_FAIL_CHILD_REFUSED;
    case IKEV1_FAIL_SYNTAX:
        return IKEV2_FAIL_SYNTAX;
    case IKEV1_FAIL_PEER_ERROR:
    case IKEV1_FAIL_SETTINGS:
        return IKEV2_FAIL_PEER_ERROR;
    case IKEV1_FAIL_PEER_DELETED:
        return IKEV2_FAIL_PEER_DELETED;
    case IKEV1_FAIL_PEER_DEAD:
    case IKEV1_FAIL_EXPIRED:
        return IKEV2_FAIL_PEER_DEAD;
    case IKEV1_FAIL_ORDERED:
        return IKEV2_FAIL_ORDERED;
    case IKEV1_FAIL_HALF_OPEN_TIMEOUT:
    case IKEV1_FAIL_LOGIN_TIMEOUT:
        return IKEV2_FAIL_HALF_OPEN_TIMEOUT;
    case IKEV1_FAIL_REPLACED:
        return IKEV2_FAIL_REPLACED;
    case IKEV1_FAIL_RESOURCES:
        return IKEV2_FAIL_RESOURCES;
    }
    return IKEV2_FAIL_RESOURCES;
}

static void say_failure(struct ike *ike, const struct ikev1_failure *from, const char *child,
                        struct ikev2_action *to)
{
    struct ikev2_failure *failure = &to->failed.failure;

    ike->old->failed = from->reason;
    failure->reason = reason_of(from->reason);
    failure->exchange = from->exchange;
    failure->notify = from->notify;
    failure->certificate = from->certificate;
    actions_copy_words(failure->ours, sizeof(failure->ours), from->ours);
    actions_copy_words(failure->theirs, sizeof(failure->theirs), from->theirs);
    actions_copy_words(failure->detail, sizeof(failure->detail), from->detail);
    actions_copy_words(to->failed.child_name, sizeof(to->failed.child_name), child);
}

/* For people the hash stands where IKEv2 has the integrity algorithm. */
static struct suite suite_of(const struct suite *from)
{
    static const struct {
        uint16_t prf, integrity;
    } pairs[] = {
        {PRF_HMAC_MD5, INTEGRITY_HMAC_MD5_96},
        {PRF_HMAC_SHA1, INTEGRITY_HMAC_SHA1_96},
        {PRF_HMAC_SHA2_256, INTEGRITY_HMAC_SHA2_256_128},
        {PRF_HMAC_SHA2_384, INTEGRITY_HMAC_SHA2_384_192},
        {PRF_HMAC_SHA2_512, INTEGRITY_HMAC_SHA2_512_256},
    };
    struct suite suite = *from;

    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        if (pairs[i].prf == from->prf) {
            suite.integrity = pairs[i].integrity;
        }
    }
    return suite;
}

static void say_child(const struct ike *ike, const struct ikev1_child_info *from,
                      struct ikev2_child_info *to)
{
    size_t part = from->policy == NULL ? 0 : policies_part(from->policy->policy_id);

    *to = (struct ikev2_child_info){
        .spi_in = from->spi_in,
        .spi_out = from->spi_out,
        .protocol = from->protocol,
        .suite = from->suite,
        .encapsulated = from->encapsulated,
        .initiator = from->initiator,
        .replaces_spi_in = from->replaces_spi_in,
        .transport_mode = from->transport_mode,
        .original_local = from->original_local,
        .original_peer = from->original_peer,
        .around = {.spi_in = from->around.spi_in,
                   .spi_out = from->around.spi_out,
                   .suite = from->around.suite,
                   .key_in = from->around.key_in,
                   .key_out = from->around.key_out},
        .lifetime_bytes = (uint64_t)from->lifetime_kilobytes * KILOBYTE,
        .compress = from->cpi_in != 0,
        .cpi_in = from->cpi_in,
        .cpi_out = from->cpi_out,
        .peer_refuses_tfc = true, /* it is not known, and nothing is lost without */
        .local = from->local,
        .peer = from->peer,
        .local_selectors = from->local_selectors,
        .local_count = from->local_count,
        .remote_selectors = from->remote_selectors,
        .remote_count = from->remote_count,
        .key_in = from->key_in,
        .key_out = from->key_out,
        .rekey_ms = from->rekey_ms,
    };
    if (ike->terms != NULL && part < ike->terms->policy.child_count) {
        to->policy = &ike->terms->children[part];
    }
}

static void say_established(struct ike *ike, const struct ikev1_action *from,
                            struct ikev2_action *to)
{
    ike->old->proven = from->established.policy;
    ike->old->initial_contact = from->established.initial_contact;
    to->established.spi_i = from->established.spi_i;
    to->established.spi_r = from->established.spi_r;
    to->established.suite = suite_of(&from->established.suite);
    to->established.peer_id = from->established.peer_id;
    to->established.nat_local = from->established.nat_local;
    to->established.nat_peer = from->established.nat_peer;
    to->established.initiator = from->established.initiator;
}

/* What IKEv2's proofs carry has room for those of IKEv1, and the same threads work on them. */
static bool say_proof(const struct ikev1_proof_question *from, struct ikev2_action *to)
{
    const struct ikev2_certificates *c = ikev1_certificates_of(from->policy);
    size_t bytes = from->octets.length + from->signature.length;

    for (size_t i = 0; i < from->certificate_count; i++) {
        bytes += from->certificates[i].length;
    }
    struct ikev2_proof *proof = ikev2_proof_new(bytes);

    if (proof == NULL || (from->sign && c == NULL)) {
        ikev2_proof_free(proof);
        return false;
    }
    proof->sign = from->sign;
    proof->envelope = encryption_envelope(from);
    if (from->part_count > 0 && proof->envelope == NULL) {
        ikev2_proof_free(proof);
        return false;
    }
    proof->scheme = from->scheme;
    proof->octets = ikev2_proof_keep(proof, from->octets);
    if (from->sign) {
        proof->credential = credential_hold(c->own);
    } else {
        proof->said = from->said;
        proof->any_order = true;
        proof->signature = ikev2_proof_keep(proof, from->signature);
        for (size_t i = 0; i < from->certificate_count; i++) {
            proof->certificates[proof->certificate_count++] =
                ikev2_proof_keep(proof, from->certificates[i]);
        }
    }
    if (!from->sign && c != NULL) {
        proof->trust = trust_hold(c->trust);
        proof->legacy = c->legacy;
        proof->revocation = c->revocation;
        proof->expected = from->policy->peer_id;
        memcpy(proof->pattern, c->pattern, sizeof(proof->pattern));
    }
    to->proof.id = from->id;
    to->proof.question = proof;
    return true;
}

static void say_trace(const struct ikev1_action *from, struct ikev2_action *to)
{
    const struct ikev1_header *h = &from->trace.header;

    to->trace.sent = from->trace.sent;
    to->trace.retransmitted = from->trace.retransmitted;
    to->trace.header = (struct ikev2_header){
        .spi_i = h->cookie_i,
        .spi_r = h->cookie_r,
        .next_payload = h->next_payload,
        .version = h->version,
        .exchange = h->exchange,
        .flags = h->flags,
        .message_id = h->message_id,
        .length = h->length,
    };
    to->trace.first = h->next_payload;
    to->trace.payloads = from->trace.payloads;
}

/* False: nothing is said after all, and the machine gives up after a while. */
static bool say_one(struct ike *ike, const struct ikev1_action *from, struct ikev2_action *to)
{
    *to = (struct ikev2_action){0};
    switch (from->kind) {
    case IKEV1_SEND:
        to->kind = IKEV2_SEND;
        to->send.local = from->send.local;
        to->send.peer = from->send.peer;
        to->send.bytes = from->send.bytes;
        return true;
    case IKEV1_ASK_KEY_EXCHANGE:
        to->kind = IKEV2_ASK_KEY_EXCHANGE;
        to->key_exchange.id = from->key_exchange.id;
        to->key_exchange.group = from->key_exchange.group;
        to->key_exchange.pair = from->key_exchange.pair;
        to->key_exchange.peer_public = from->key_exchange.peer_public;
        return true;
    case IKEV1_ASK_SPI:
        to->kind = IKEV2_ASK_SPI;
        to->spi.id = from->spi.id;
        return true;
    case IKEV1_ASK_PEER:
        to->kind = IKEV2_ASK_PEER;
        to->peer.id = from->asked_peer.id;
        to->peer.peer_id = from->asked_peer.peer_id;
        return true;
    case IKEV1_ASK_PROOF:
        to->kind = IKEV2_ASK_PROOF;
        return say_proof(&from->proof, to);
    case IKEV1_ASK_LOGIN:
        people_asked_login(ike, &from->login);
        return false;
    case IKEV1_ASK_CREDENTIALS:
        people_asked_credentials(ike, &from->credentials);
        return false;
    case IKEV1_ASK_SETTINGS:
        people_asked_settings(ike, &from->settings);
        return false;
    case IKEV1_TELL_SETTINGS:
        people_told_settings(ike, from->settings_told);
        return false;
    case IKEV1_TELL_SPI_ADDED:
        to->kind = IKEV2_TELL_SPI_ADDED;
        to->ike_spi = from->ike_spi;
        return true;
    case IKEV1_TELL_SPI_REMOVED:
        to->kind = IKEV2_TELL_SPI_REMOVED;
        to->ike_spi = from->ike_spi;
        return true;
    case IKEV1_TELL_ESTABLISHED:
        to->kind = IKEV2_TELL_ESTABLISHED;
        say_established(ike, from, to);
        return true;
    case IKEV1_TELL_REKEYED:
        to->kind = IKEV2_TELL_REKEYED;
        say_established(ike, from, to);
        return true;
    case IKEV1_TELL_INITIAL_CONTACT:
        to->kind = IKEV2_TELL_INITIAL_CONTACT;
        return true;
    case IKEV1_TELL_MOVED:
        to->kind = IKEV2_TELL_MOVED;
        to->moved.local = from->moved.local;
        to->moved.peer = from->moved.peer;
        to->moved.nat_local = from->moved.nat_local;
        to->moved.nat_peer = from->moved.nat_peer;
        to->moved.children = true;
        return true;
    case IKEV1_CHILD_INSTALL:
        to->kind = IKEV2_CHILD_INSTALL;
        say_child(ike, &from->child, &to->child);
        return true;
    case IKEV1_CHILD_USE:
        to->kind = IKEV2_CHILD_USE;
        say_child(ike, &from->child, &to->child);
        return true;
    case IKEV1_CHILD_STOP:
        to->kind = IKEV2_CHILD_STOP;
        say_child(ike, &from->child, &to->child);
        return true;
    case IKEV1_CHILD_REMOVE:
        to->kind = IKEV2_CHILD_REMOVE;
        say_child(ike, &from->child, &to->child);
        return true;
    case IKEV1_SPI_UNUSED:
        to->kind = IKEV2_SPI_UNUSED;
        to->esp_spi = from->esp_spi;
        return true;
    case IKEV1_TELL_CHILD_FAILED:
        to->kind = IKEV2_TELL_CHILD_FAILED;
        say_failure(ike, &from->failed.failure, from->failed.child_name, to);
        return true;
    case IKEV1_TELL_FAILED:
        to->kind = IKEV2_TELL_FAILED;
        say_failure(ike, &from->failed.failure, from->failed.child_name, to);
        return true;
    case IKEV1_TELL_CLOSED:
        to->kind = IKEV2_TELL_CLOSED;
        say_failure(ike, &from->failed.failure, from->failed.child_name, to);
        return true;
    case IKEV1_TRACE:
        to->kind = IKEV2_TRACE;
        say_trace(from, to);
        return true;
    }
    return false;
}

_Static_assert(IKEV1_ACTIONS_MAX <= IKEV2_ACTIONS_MAX, "whatever is said has room");

static void say(struct ike *ike, const struct ikev1_actions *from)
{
    struct ikev2_actions *to = fresh(ike);

    for (size_t i = 0; i < from->count; i++) {
        to->count += say_one(ike, &from->list[i], &to->list[to->count]) ? 1 : 0;
    }
}

/* ---- life ---- */

static bool old_new(struct ike *ike)
{
    struct gateway *g = ike->gateway;

    if (g->old_actions == NULL) {
        g->old_actions = calloc(1, sizeof(*g->old_actions));
    }
    ike->old = g->old_actions == NULL ? NULL : calloc(1, sizeof(*ike->old));
    return ike->old != NULL;
}

bool machine_begin(struct ike *ike)
{
    struct gateway *g = ike->gateway;

    if (!ike->is_old) {
        ike->machine =
            ikev2_sa_new_initiator(&ike->terms->policy, &ike->local, &ike->peer, g->random);
        return ike->machine != NULL;
    }
    if (!old_new(ike)) {
        return false;
    }
    ike->old->sa = ikev1_sa_new_initiator(&ikev1_terms(ike->terms)->policy, &ike->local, &ike->peer,
                                          g->random);
    return ike->old->sa != NULL;
}

bool machine_answer(struct ike *ike)
{
    struct gateway *g = ike->gateway;
    const struct responder_terms *terms = ike->responder_terms;

    if (!ike->is_old) {
        ike->machine = ikev2_sa_new_responder(&terms->policy, &ike->local, &ike->peer, g->random);
        return ike->machine != NULL;
    }
    if (!old_new(ike)) {
        return false;
    }
    ike->old->sa = ikev1_sa_new_responder(&terms->old, &ike->local, &ike->peer, g->random);
    return ike->old->sa != NULL;
}

void machine_free(struct ike *ike)
{
    if (!ike->is_old) {
        ikev2_sa_free(ike->machine);
    } else if (ike->old != NULL) {
        ikev1_sa_free(ike->old->sa);
        ikev1_forget_candidates(ike);
        people_forget(ike->old->person);
        free(ike->old);
    }
    ike->machine = NULL;
}

/* ---- events ---- */

void machine_start(struct ike *ike, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_start(ike->old->sa, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_start(ike->machine, now_ms, fresh(ike));
    }
}

bool machine_resume(struct ike *ike, const struct ikev2_session *session, struct slice ticket)
{
    return !ike->is_old && ikev2_sa_resume(ike->machine, session, ticket);
}

void machine_receive(struct ike *ike, struct slice message, const struct endpoint *local,
                     const struct endpoint *peer, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_receive(ike->old->sa, message, local, peer, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_receive(ike->machine, message, local, peer, now_ms, fresh(ike));
    }
}

void machine_time(struct ike *ike, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_time(ike->old->sa, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_time(ike->machine, now_ms, fresh(ike));
    }
}

uint64_t machine_deadline_ms(const struct ike *ike)
{
    return ike->is_old ? ikev1_sa_deadline_ms(ike->old->sa) : ikev2_sa_deadline_ms(ike->machine);
}

void machine_rest(struct ike *ike)
{
    if (ike->is_old) {
        ikev1_sa_rest(ike->old->sa);
    } else {
        ikev2_sa_rest(ike->machine);
    }
}

void machine_answer_key_exchange(struct ike *ike, uint32_t id, bool ok, struct key_pair *pair,
                                 struct secret *shared, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_answer_key_exchange(ike->old->sa, id, ok, pair, shared, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_answer_key_exchange(ike->machine, id, ok, pair, shared, now_ms, fresh(ike));
    }
}

void machine_answer_spi(struct ike *ike, uint32_t id, uint32_t spi, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_answer_spi(ike->old->sa, id, spi, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_answer_spi(ike->machine, id, spi, now_ms, fresh(ike));
    }
}

void machine_answer_proof(struct ike *ike, uint32_t id, struct ikev2_proof *proof, uint64_t now_ms)
{
    if (!ike->is_old) {
        ikev2_sa_answer_proof(ike->machine, id, proof, now_ms, fresh(ike));
        return;
    }
    struct ikev1_proof_answer answer = {
        .good = proof->result == IKEV2_PROOF_GOOD,
        .made = {proof->made, proof->made_bytes},
        .proven = proof->said,
        .certificate_refused = proof->result == IKEV2_PROOF_CERTIFICATE,
        .problem = proof->verdict.problem,
    };
    struct text detail = text_over(answer.detail, sizeof(answer.detail));

    encryption_answer(proof, &answer);
    if (answer.certificate_refused) {
        certificate_verdict_words(&proof->verdict, &detail);
    }
    ikev1_sa_answer_proof(ike->old->sa, id, &answer, now_ms, fresh_old(ike));
    say(ike, ike->gateway->old_actions);
}

void machine_answer_login(struct ike *ike, uint32_t id, const struct ikev1_login_answer *answer,
                          uint64_t now_ms)
{
    ikev1_sa_answer_login(ike->old->sa, id, answer, now_ms, fresh_old(ike));
    say(ike, ike->gateway->old_actions);
}

void machine_answer_credentials(struct ike *ike, uint32_t id,
                                const struct ikev1_credentials *credentials, uint64_t now_ms)
{
    ikev1_sa_answer_credentials(ike->old->sa, id, credentials, now_ms, fresh_old(ike));
    say(ike, ike->gateway->old_actions);
}

void machine_answer_settings(struct ike *ike, uint32_t id, const struct ikev1_settings *settings,
                             uint64_t now_ms)
{
    ikev1_sa_answer_settings(ike->old->sa, id, settings, now_ms, fresh_old(ike));
    say(ike, ike->gateway->old_actions);
}

void machine_answer_peer(struct ike *ike, uint32_t id, const struct ikev2_policy *policy,
                         uint64_t now_ms)
{
    assert(!ike->is_old);
    ikev2_sa_answer_peer(ike->machine, id, policy, now_ms, fresh(ike));
}

void machine_answer_candidates(struct ike *ike, uint32_t id, uint64_t now_ms)
{
    const struct ikev1_policy *policies[IKEV1_CANDIDATES_MAX];
    size_t count = 0;

    for (size_t i = 0; i < ike->old->candidate_count && count < IKEV1_CANDIDATES_MAX; i++) {
        policies[count++] = &ikev1_terms(ike->old->candidates[i])->policy;
    }
    ikev1_sa_answer_peer(ike->old->sa, id, policies, count, now_ms, fresh_old(ike));
    say(ike, ike->gateway->old_actions);
}

static enum ikev1_failure_reason old_reason(enum ikev2_failure_reason why)
{
    if (why == IKEV2_FAIL_REPLACED) {
        return IKEV1_FAIL_REPLACED;
    }
    if (why == IKEV2_FAIL_RESOURCES) {
        return IKEV1_FAIL_RESOURCES;
    }
    return why == IKEV2_FAIL_PEER_DEAD ? IKEV1_FAIL_PEER_DEAD : IKEV1_FAIL_ORDERED;
}

void machine_close(struct ike *ike, enum ikev2_failure_reason why, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_close(ike->old->sa, old_reason(why), now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_close(ike->machine, why, now_ms, fresh(ike));
    }
}

void machine_rekey(struct ike *ike, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_rekey(ike->old->sa, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_rekey(ike->machine, now_ms, fresh(ike));
    }
}

void machine_rekey_child(struct ike *ike, uint32_t spi_in, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_rekey_child(ike->old->sa, spi_in, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_rekey_child(ike->machine, spi_in, now_ms, fresh(ike));
    }
}

bool machine_has_children(const struct ike *ike, size_t part)
{
    return !ike->is_old || part >= ike->terms->policy.child_count ||
           ikev1_sa_has_children(ike->old->sa, &ikev1_terms(ike->terms)->children[part]);
}

void machine_start_child(struct ike *ike, size_t part, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_start_child(ike->old->sa, &ikev1_terms(ike->terms)->children[part], now_ms,
                             fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_start_child(ike->machine, &ike->terms->children[part], now_ms, fresh(ike));
    }
}

void machine_start_child_for(struct ike *ike, size_t part, const struct ikev2_packet *packet,
                             uint64_t now_ms)
{
    if (ike->is_old) {
        const struct ikev1_packet old = {.local = packet->local, .remote = packet->remote};

        ikev1_sa_start_child_for(ike->old->sa, &ikev1_terms(ike->terms)->children[part], &old,
                                 now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_start_child_for(ike->machine, &ike->terms->children[part], packet, now_ms,
                                 fresh(ike));
    }
}

void machine_close_child(struct ike *ike, uint32_t spi_in, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_close_child(ike->old->sa, spi_in, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_close_child(ike->machine, spi_in, now_ms, fresh(ike));
    }
}

void machine_ask_liveness(struct ike *ike, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_ask_liveness(ike->old->sa, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_ask_liveness(ike->machine, now_ms, fresh(ike));
    }
}

void machine_answer_ppk(struct ike *ike, uint32_t id, const struct ikev2_ppk *const *known,
                        size_t count, uint64_t now_ms)
{
    assert(!ike->is_old);
    ikev2_sa_answer_ppk(ike->machine, id, known, count, now_ms, fresh(ike));
}

void machine_make_tokens(struct ike *ike, const uint8_t *secret)
{
    if (!ike->is_old) {
        ikev2_sa_make_tokens(ike->machine, secret);
    }
}

bool machine_hear_crash(struct ike *ike, struct slice message, uint64_t now_ms)
{
    struct ikev2_actions *actions = fresh(ike);

    return !ike->is_old && ikev2_sa_hear_crash(ike->machine, message, now_ms, actions);
}

bool machine_is_denied(const struct ike *ike, struct slice message)
{
    return !ike->is_old && ikev2_sa_is_denied(ike->machine, message);
}

void machine_hurry(struct ike *ike, uint64_t now_ms)
{
    struct ikev2_actions *actions = fresh(ike);

    if (!ike->is_old) {
        ikev2_sa_hurry(ike->machine, now_ms, actions);
    }
}

void machine_redirect(struct ike *ike, const struct ikev2_redirect *to, uint64_t now_ms)
{
    struct ikev2_actions *actions = fresh(ike);

    if (!ike->is_old && to->type != 0) {
        ikev2_sa_redirect(ike->machine, to, now_ms, actions);
    }
}

void machine_probe_path(struct ike *ike, uint16_t bytes, uint64_t now_ms)
{
    struct ikev2_actions *actions = fresh(ike);

    if (!ike->is_old) {
        ikev2_sa_probe_path(ike->machine, bytes, now_ms, actions);
    }
}

void machine_child_heard(struct ike *ike, uint32_t spi_in, uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_child_heard(ike->old->sa, spi_in, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_child_heard(ike->machine, spi_in, now_ms, fresh(ike));
    }
}

void machine_child_moved(struct ike *ike, uint32_t spi_in, const struct endpoint *peer,
                         uint64_t now_ms)
{
    if (ike->is_old) {
        ikev1_sa_child_moved(ike->old->sa, spi_in, peer, now_ms, fresh_old(ike));
        say(ike, ike->gateway->old_actions);
    } else {
        ikev2_sa_child_moved(ike->machine, spi_in, peer, now_ms, fresh(ike));
    }
}

void machine_move(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                  bool trying, uint64_t now_ms)
{
    struct ikev2_actions *actions = fresh(ike);

    if (!ike->is_old) {
        ikev2_sa_move(ike->machine, local, peer, trying, now_ms, actions);
    }
}

void machine_test_way(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                      uint64_t now_ms)
{
    struct ikev2_actions *actions = fresh(ike);

    if (!ike->is_old) {
        ikev2_sa_test_way(ike->machine, local, peer, now_ms, actions);
    }
}

void machine_addresses_changed(struct ike *ike, uint64_t now_ms)
{
    struct ikev2_actions *actions = fresh(ike);

    if (!ike->is_old) {
        ikev2_sa_addresses_changed(ike->machine, now_ms, actions);
    }
}

bool machine_carry(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                   uint64_t now_ms)
{
    struct ikev2_actions *actions = fresh(ike);

    return !ike->is_old && ikev2_sa_carry(ike->machine, local, peer, now_ms, actions);
}

/* ---- settings ---- */

void machine_set_policy(struct ike *ike)
{
    if (!ike->is_old) {
        ikev2_sa_set_policy(ike->machine, &ike->terms->policy);
    } else if (ike->terms->is_old) {
        ikev1_sa_set_policy(ike->old->sa, &ikev1_terms(ike->terms)->policy);
    }
}

void machine_set_fingerprint(struct ike *ike, uint64_t fingerprint)
{
    if (!ike->is_old) {
        ikev2_sa_set_fingerprint(ike->machine, fingerprint);
    }
}

void machine_set_beside(struct ike *ike)
{
    if (!ike->is_old) {
        ikev2_sa_set_beside(ike->machine);
    }
}

void machine_set_quirks(struct ike *ike, unsigned quirks)
{
    if (!ike->is_old) {
        ikev2_sa_set_quirks(ike->machine, quirks);
    }
}

/* ---- for status ---- */

void machine_get_info(const struct ike *ike, struct ikev2_sa_info *out)
{
    struct ikev1_sa_info info;

    if (!ike->is_old) {
        ikev2_sa_get_info(ike->machine, out);
        return;
    }
    ikev1_sa_get_info(ike->old->sa, &info);
    *out = (struct ikev2_sa_info){
        .spi_i = info.spi_i,
        .spi_r = info.spi_r,
        .initiator = info.initiator,
        .established = info.established,
        .suite = suite_of(&info.suite),
        .local = info.local,
        .peer = info.peer,
        .nat_local = info.nat_local,
        .nat_peer = info.nat_peer,
        .peer_id = info.peer_id,
        .rekey_ms = info.rekey_ms,
        .reauthenticate_ms = NEVER_MS,
        .child_count = info.child_count,
        .retransmissions = info.retransmissions,
        .open_exchange = info.open_exchange,
        .state = info.state,
    };
}

bool machine_child_at(const struct ike *ike, size_t index, struct ikev2_child_info *out)
{
    struct ikev1_child_info info;

    if (!ike->is_old) {
        return ikev2_sa_child_at(ike->machine, index, out);
    }
    if (!ikev1_sa_child_at(ike->old->sa, index, &info)) {
        return false;
    }
    say_child(ike, &info, out);
    return true;
}

size_t machine_peer_addresses(const struct ike *ike, struct address out[IKEV2_ADDRESSES_MAX])
{
    return ike->is_old ? 0 : ikev2_sa_peer_addresses(ike->machine, out);
}

/* ---- one for two ---- */

bool machine_absorb(struct ike *sa, struct ike *from, uint64_t now_ms)
{
    struct gateway *g = sa->gateway;
    struct ikev1_actions *from_actions = calloc(1, sizeof(*from_actions));

    if (from_actions == NULL) {
        return false;
    }
    ikev1_sa_absorb(sa->old->sa, from->old->sa, now_ms, fresh_old(sa), from_actions);
    say(from, from_actions);
    free(from_actions);
    assert(g->old_actions->count <= IKEV1_ACTIONS_MAX);
    return true;
}

void machine_absorbed(struct ike *sa)
{
    say(sa, sa->gateway->old_actions);
}

/* ---- names ---- */

const char *machine_exchange_name(uint8_t exchange)
{
    const char *name = ikev2_exchange_name(exchange);

    return name != NULL ? name : ikev1_exchange_name(exchange);
}

const char *machine_notify_name(uint8_t exchange, uint16_t notify)
{
    return ikev1_exchange_name(exchange) != NULL ? ikev1_notify_name(notify)
                                                 : ikev2_notify_name(notify);
}
