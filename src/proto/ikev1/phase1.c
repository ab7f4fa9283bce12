/*
 * Phase 1 (RFC 2409 5): what Main Mode and Aggressive Mode share. Decides when a message counts,
 * when one is sent again, when an attempt is over, and what becomes of an ISAKMP SA once both sides
 * are authenticated.
 */
#include <assert.h>
#include <string.h>

#include "proto/ikev1/machine.h"

static uint64_t fresh_cookie(struct ikev1_sa *sa)
{
    uint64_t cookie;

    do {
        cookie = random_u64(sa->random);
    } while (cookie == 0);
    return cookie;
}

static uint8_t exchange_of(const struct ikev1_ike *ike)
{
    return ike->aggressive ? IKEV1_AGGRESSIVE : IKEV1_MAIN;
}

const struct proposals *ikev1_phase1_own_proposals(const struct ikev1_turn *t)
{
    return t->sa->policy != NULL ? t->sa->policy->ike : NULL;
}

/* ---- the beginning ---- */

static size_t ike_count(const struct ikev1_sa *sa)
{
    size_t count = 0;

    for (const struct ikev1_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        count++;
    }
    return count;
}

void ikev1_phase1_begin(struct ikev1_turn *t)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_ike *ike = NULL;

    sa->begin_ms = NEVER_MS;
    if (ike_count(sa) < IKEV1_IKES_MAX) {
        ike = ikev1_ike_new(t, true, sa->policy->aggressive, fresh_cookie(sa), 0);
    }
    if (ike == NULL) {
        if (sa->state != IKEV1_STATE_UP) {
            ikev1_over_for(t, IKEV1_FAIL_RESOURCES, 0, 0, "no memory");
        } else {
            sa->begin_ms = ikev1_retry_ms(sa, t->now_ms, sa->begin_retries);
        }
        return;
    }
    if (sa->state == IKEV1_STATE_NEW) {
        sa->state = IKEV1_STATE_CONNECTING;
    }
    ike->handshake->local = sa->local;
    ike->handshake->peer = sa->peer;
    ikev1_nonce_make(sa->random, &ike->handshake->nonce_i);
    if (ike->aggressive) {
        ikev1_aggressive_start(t, ike);
    } else {
        ikev1_main_send_first(t, ike);
    }
}

void ikev1_phase1_first(struct ikev1_turn *t, struct ikev1_message *m)
{
    struct ikev1_sa *sa = t->sa;
    bool aggressive = m->header.exchange == IKEV1_AGGRESSIVE;
    struct ikev1_ike *ike =
        ikev1_ike_new(t, false, aggressive, m->header.cookie_i,
                      sa->responder->cookie != 0 ? sa->responder->cookie : fresh_cookie(sa));

    if (ike == NULL) {
        ikev1_over_for(t, IKEV1_FAIL_RESOURCES, 0, 0, "no memory");
        return;
    }
    sa->state = IKEV1_STATE_CONNECTING;
    ike->handshake->awaited = 1;
    ike->handshake->deadline_ms = ikev1_after(t->now_ms, sa->responder->half_open_ms);
    ikev1_nonce_make(sa->random, &ike->handshake->nonce_r);
    ikev1_phase1_receive(t, ike, m);
    if (sa->state == IKEV1_STATE_CONNECTING && ike->handshake != NULL &&
        ike->handshake->awaited == 1 && ike->handshake->sending == 0) {
        /* Whoever says nothing that can be read takes nobody's place. */
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_SYNTAX, 0, "message 1 cannot be read");
    }
}

/* ---- the end of an attempt ---- */

void ikev1_phase1_fail(struct ikev1_turn *t, struct ikev1_ike *ike,
                       const struct ikev1_failure *failure)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_failure copy = *failure;

    ikev1_ike_forget(t, ike);
    if (sa->state == IKEV1_STATE_UP) {
        if (!ikev1_is_beginning(sa)) {
            sa->begin_retries++;
            sa->begin_ms = ikev1_retry_ms(sa, t->now_ms, sa->begin_retries);
        }
        if (sa->current == NULL && sa->begin_retries > 2) {
            ikev1_over(t, &copy);
        }
        return;
    }
    if (!ikev1_is_beginning(sa)) {
        ikev1_over(t, &copy);
    }
}

void ikev1_phase1_fail_for(struct ikev1_turn *t, struct ikev1_ike *ike,
                           enum ikev1_failure_reason reason, uint16_t notify, const char *detail)
{
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, reason, exchange_of(ike), notify, detail);
    failure.message = ike->handshake->awaited;
    ikev1_phase1_fail(t, ike, &failure);
}

/* The first doubt is the one that is told: what comes later may be its consequence. */
static void doubt(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_failure *failure)
{
    struct ikev1_handshake *h = ike->handshake;

    if (!h->refused) {
        h->refused = true;
        h->refusal = *failure;
        h->refused_ms = ikev1_after(t->now_ms, IKEV1_REFUSED_MS);
    }
}

void ikev1_phase1_doubt(struct ikev1_turn *t, struct ikev1_ike *ike,
                        enum ikev1_failure_reason reason, uint16_t notify, const char *detail)
{
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, reason, exchange_of(ike), notify, detail);
    failure.message = ike->handshake->awaited;
    doubt(t, ike, &failure);
}

void ikev1_phase1_refused(struct ikev1_turn *t, struct ikev1_ike *ike, uint16_t notify)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_failure failure;
    enum ikev1_failure_reason reason = IKEV1_FAIL_PEER_ERROR;
    const char *detail = "";

    if (h == NULL || !ike->initiator) {
        return;
    }
    if (notify == IKEV1_NO_PROPOSAL_CHOSEN) {
        reason = IKEV1_FAIL_NO_PROPOSAL;
    } else if (notify == IKEV1_AUTHENTICATION_FAILED && h->awaited == 2) {
        /* We proved nothing yet. */
        detail = ike->aggressive ? "AUTHENTICATION-FAILED to our first message: it does not want "
                                   "Aggressive Mode, or does not know our name"
                                 : "AUTHENTICATION-FAILED to our first message";
    } else if (notify == IKEV1_AUTHENTICATION_FAILED) {
        reason = IKEV1_FAIL_AUTH_REFUSED;
    } else if (h->awaited == 6 || h->unreadable) {
        /* What a peer says who cannot read our identity. */
        reason = ikev1_signs(ike) ? IKEV1_FAIL_AUTH_REFUSED : IKEV1_FAIL_SHARED_KEY_PERHAPS;
    }
    ikev1_failure_set(&failure, reason, exchange_of(ike), notify, detail);
    failure.message = h->awaited;
    if (reason == IKEV1_FAIL_NO_PROPOSAL) {
        ikev1_failure_policies(&failure, &t->sa->policy->ike, 1, PROTOCOL_IKE);
    }
    doubt(t, ike, &failure);
}

/* ---- questions ---- */

void ikev1_phase1_ask_key_exchange(struct ikev1_turn *t, struct ikev1_ike *ike,
                                   struct slice peer_public)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_KEY_EXCHANGE);

    h->ask_key_exchange = ikev1_question(t->sa);
    h->ask_deadline_ms = ikev1_after(t->now_ms, IKEV1_ASK_MS);
    action->key_exchange.id = h->ask_key_exchange;
    action->key_exchange.group = h->choice.suite.key_exchange;
    action->key_exchange.pair = h->has_pair ? &h->pair : NULL;
    action->key_exchange.peer_public = peer_public;
}

void ikev1_phase1_ask_peer(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_PEER);

    h->ask_peer = ikev1_question(t->sa);
    h->ask_deadline_ms = ikev1_after(t->now_ms, IKEV1_ASK_MS);
    action->asked_peer.id = h->ask_peer;
    action->asked_peer.peer = h->peer;
    action->asked_peer.peer_id = h->peer_id;
    action->asked_peer.aggressive = ike->aggressive;
}

void ikev1_phase1_go_on(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;

    if (h->ask_key_exchange != 0 || h->ask_peer != 0 || h->ask_proof != 0) {
        return;
    }
    h->ask_deadline_ms = NEVER_MS;
    if (ike->aggressive) {
        ikev1_aggressive_continue(t, ike);
    } else {
        ikev1_main_continue(t, ike);
    }
}

void ikev1_phase1_answer_key_exchange(struct ikev1_turn *t, struct ikev1_ike *ike, bool ok,
                                      struct key_pair *pair, struct secret *shared)
{
    struct ikev1_handshake *h = ike->handshake;
    bool pair_only = h->peer_public.length == 0;

    h->ask_key_exchange = 0;
    if (ok && !h->has_pair) {
        ok = pair != NULL;
        if (ok) {
            h->pair = *pair;
            *pair = (struct key_pair){0};
            h->has_pair = true;
        }
    }
    if (ok && !pair_only) {
        ok = shared != NULL;
        if (ok) {
            secret_move(&h->shared, shared);
        }
    }
    if (!ok) {
        ikev1_phase1_fail_for(t, ike,
                              pair_only ? IKEV1_FAIL_RESOURCES : IKEV1_FAIL_BAD_PUBLIC_VALUE, 0,
                              pair_only ? "no key pair was made" : "");
        return;
    }
    ikev1_phase1_go_on(t, ike);
}

void ikev1_phase1_answer_peer(struct ikev1_turn *t, struct ikev1_ike *ike,
                              const struct ikev1_policy *const *policies, size_t count)
{
    struct ikev1_handshake *h = ike->handshake;

    h->ask_peer = 0;
    h->candidate_count = count < IKEV1_CANDIDATES_MAX ? count : IKEV1_CANDIDATES_MAX;
    for (size_t i = 0; i < h->candidate_count; i++) {
        h->candidates[i] = policies[i];
    }
    ikev1_phase1_go_on(t, ike);
}

/* ---- sending and receiving ---- */

void ikev1_phase1_send(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o,
                       bool sealed, uint8_t awaited)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_handshake *h = ike->handshake;
    bool first = ike->initiator && ike->reply.sent.length == 0;

    h->sending = 0;
    if (!ikev1_send(t, o, &ike->keys, sealed ? &h->iv : NULL, &h->local, &h->peer, &ike->reply,
                    first ? NULL : h->digest)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "a message could not be made");
        return;
    }
    h->awaited = awaited;
    h->refused = false;
    h->refused_ms = NEVER_MS;
    if (ike->initiator && awaited != 0) {
        retransmit_start(&ike->retransmit, sa->policy->retransmit_first_ms,
                         sa->policy->retransmit_max_ms, sa->policy->retransmit_tries, t->now_ms,
                         sa->random);
    } else {
        retransmit_stop(&ike->retransmit);
    }
}

void ikev1_phase1_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    uint8_t digest[32];
    bool encrypted = (m->header.flags & IKEV1_FLAG_ENCRYPTED) != 0;

    sha256(&m->whole, 1, digest);
    if (ikev1_reply_is_for(&ike->reply, digest)) {
        /* An initiator that is not through sends again by the clock alone: two that answer each
         * other's repetitions would never stop. */
        bool enough = h != NULL && ike->aggressive && ike->reply.again >= IKEV1_REPEATS_MAX;

        if (!enough && (!ike->initiator || h == NULL)) {
            ikev1_reply_again(t, &ike->reply, &m->local, &m->peer);
        }
        return;
    }
    if (h == NULL || h->awaited == 0 || h->sending != 0 || m->header.exchange != exchange_of(ike)) {
        return;
    }
    if (!encrypted && !ikev1_message_read(m, (struct slice){m->whole.data + IKEV1_HEAD_BYTES,
                                                            m->whole.length - IKEV1_HEAD_BYTES})) {
        return;
    }
    memcpy(h->digest, digest, sizeof(digest));
    if (ike->aggressive) {
        ikev1_aggressive_receive(t, ike, m);
    } else {
        ikev1_main_receive(t, ike, m);
    }
}

/* ---- what stands in the messages ---- */

void ikev1_phase1_out_offer(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o,
                            uint16_t group)
{
    const struct ikev1_policy *policy = t->sa->policy;
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_sa_payload sa NOT_ZEROED;
    uint8_t bytes[4096] NOT_ZEROED;
    struct writer w = writer_over(bytes, sizeof(bytes));

    if (!ikev1_phase1_offer(policy->ike, ikev1_method_said(policy, true), group,
                            policy->ike_lifetime_ms, &sa)) {
        writer_fail(&o->w);
        return;
    }
    /* With encryption message 1 of Aggressive Mode has hashes and is covered: by one and no other.
     */
    if (ike->aggressive && ikev1_encrypts(ike)) {
        sa.transform_count = 1;
        sa.proposals[0].count = 1;
        if (!ikev1_phase1_verify(&sa, policy->ike, h->choice.auth_method, group, &h->choice)) {
            writer_fail(&o->w);
            return;
        }
    }
    ikev1_write_sa(&w, &sa);
    if (!writer_ok(&w) || !ikev1_block_replace(t->sa, writer_written(&w), &h->sa_i)) {
        writer_fail(&o->w);
        return;
    }
    ikev1_write_payload(&o->chain, IKEV1_SA, h->sa_i);
}

void ikev1_phase1_out_ke(struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    const struct ikev1_handshake *h = ike->handshake;

    ikev1_write_payload(&o->chain, IKEV1_KE,
                        (struct slice){h->pair.public_value, h->pair.public_length});
    ikev1_write_payload(&o->chain, IKEV1_NONCE,
                        ikev1_nonce_slice(ike->initiator ? &h->nonce_i : &h->nonce_r));
}

bool ikev1_phase1_take_offer(struct ikev1_turn *t, struct ikev1_ike *ike,
                             const struct ikev1_message *m, uint16_t *group_of_ke)
{
    const struct ikev1_responder_policy *policy = t->sa->responder;
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_sa_payload offer NOT_ZEROED;
    struct ikev1_failure failure;
    struct slice body;

    if (!ikev1_message_only(m, IKEV1_SA, &body)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_SYNTAX, 0, "the first message has no proposal");
        return false;
    }
    if (!ikev1_block_replace(t->sa, body, &h->sa_i)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no memory");
        return false;
    }
    /* What is chosen is said after the questions are answered, when the message is gone. */
    if (!ikev1_read_sa(h->sa_i, &offer)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_SYNTAX, 0, "the first message has no proposal");
        return false;
    }
    h->local = m->local;
    h->peer = m->peer;
    if (!ikev1_phase1_choose(&offer, policy, &h->choice)) {
        bool method = offer.transform_count > 0 && !ikev1_phase1_has_method(&offer, policy);

        ikev1_failure_set(&failure, method ? IKEV1_FAIL_AUTH_METHOD : IKEV1_FAIL_NO_PROPOSAL,
                          exchange_of(ike), IKEV1_NO_PROPOSAL_CHOSEN, "");
        failure.message = 1;
        ikev1_failure_policies(&failure, policy->ike, policy->ike_count, PROTOCOL_IKE);
        struct text theirs = text_over(failure.theirs, sizeof(failure.theirs));

        ikev1_describe_phase1_offer(&offer, &theirs);
        ikev1_send_clear_notify(t, ike, IKEV1_NO_PROPOSAL_CHOSEN);
        ikev1_phase1_fail(t, ike, &failure);
        return false;
    }
    *group_of_ke = h->choice.suite.key_exchange;
    ikev1_abilities_read(m, policy->natt, &h->abilities);
    h->abilities.liveness &= !policy->no_vendor_ids;
    ike->fragment_bytes =
        h->abilities.fragmentation && !policy->no_vendor_ids ? policy->fragment_bytes : 0;
    return true;
}

bool ikev1_phase1_take_answer(struct ikev1_turn *t, struct ikev1_ike *ike,
                              const struct ikev1_message *m, uint16_t group)
{
    const struct ikev1_policy *policy = t->sa->policy;
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_sa_payload sa NOT_ZEROED;
    struct slice body;

    if (!ikev1_message_only(m, IKEV1_SA, &body) || !ikev1_read_sa(body, &sa) ||
        !ikev1_phase1_verify(&sa, policy->ike, ikev1_method_said(policy, true), group,
                             &h->choice)) {
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_SYNTAX, 0,
                           "the answer is not one of the proposals that were made");
        return false;
    }
    ikev1_abilities_read(m, policy->natt, &h->abilities);
    h->abilities.liveness &= !policy->no_vendor_ids;
    ike->fragment_bytes =
        h->abilities.fragmentation && !policy->no_vendor_ids ? policy->fragment_bytes : 0;
    return true;
}

bool ikev1_phase1_take_ke(struct ikev1_turn *t, struct ikev1_ike *ike,
                          const struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    const struct algorithm *group =
        algorithm_find(TRANSFORM_KEY_EXCHANGE, h->choice.suite.key_exchange);
    struct slice body;
    struct slice request;

    if (!ikev1_message_only(m, IKEV1_KE, &body) || group == NULL ||
        body.length != group->public_bytes ||
        !ikev1_message_nonce(m, ike->initiator ? &h->nonce_r : &h->nonce_i)) {
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_SYNTAX, 0,
                           "the key exchange or the nonce is missing or has a wrong length");
        return false;
    }
    /* Some say here first what they can; the way through a NAT is chosen by then. */
    bool few =
        t->sa->responder != NULL ? t->sa->responder->no_vendor_ids : t->sa->policy->no_vendor_ids;

    ikev1_abilities_read(m, IKEV1_NATT_NEVER, &h->abilities);
    h->abilities.liveness &= !few;
    h->certificate_asked = ikev1_message_find(m, IKEV1_CERTREQ, 0, &request);
    ikev1_block_drop(t->sa, &h->peer_public);
    if (!ikev1_block_replace(t->sa, body, &h->peer_public)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no memory");
        return false;
    }
    return true;
}

bool ikev1_phase1_read_id(const struct ikev1_message *m, struct ike_identity *id,
                          struct slice *body)
{
    struct ikev1_id_payload payload;

    if (!ikev1_message_only(m, IKEV1_ID, body) || !ikev1_read_id(*body, &payload)) {
        return false;
    }
    /* RFC 2407 4.6.2: nothing, or what IKE runs on. */
    return (payload.protocol == 0 || payload.protocol == 17) &&
           ike_identity_set(id, payload.type, payload.data);
}

bool ikev1_phase1_make_id(struct ikev1_ike *ike, const struct ikev1_policy *policy)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ike_identity id = policy->local_id;
    static const uint8_t nobody[4]; /* type, protocol, port */
    uint8_t bytes[IKE_IDENTITY_BYTES_MAX + 8];
    struct writer w = writer_over(bytes, sizeof(bytes));

    if (h->own_id.length > 0) {
        return true; /* Aggressive Mode has said it before it signs */
    }
    if (id.type == 0 && policy->hybrid && policy->login == IKEV1_LOGIN_ANSWER) {
        /* draft-ietf-ipsec-isakmp-hybrid-auth-05 4.2: who only logs in says no name here. */
        return ikev1_block_copy((struct slice){nobody, sizeof(nobody)}, &h->own_id);
    }
    if (id.type == 0) {
        const struct address *own = &h->local.address;
        struct slice octets = {own->bytes, address_bytes((enum family)own->family)};

        if (!ike_identity_set(&id,
                              own->family == FAMILY_IPV6 ? IKEV1_ID_IPV6_ADDR : IKEV1_ID_IPV4_ADDR,
                              octets)) {
            return false;
        }
    }
    struct ikev1_id_payload payload = {.type = id.type, .data = {id.data, id.length}};

    ikev1_write_id(&w, &payload);
    return writer_ok(&w) && ikev1_block_copy(writer_written(&w), &h->own_id);
}

/* ---- keys and hashes ---- */

struct ikev1_phase1_words ikev1_phase1_words(const struct ikev1_ike *ike)
{
    const struct ikev1_handshake *h = ike->handshake;
    struct slice own = {h->pair.public_value, h->pair.public_length};

    return (struct ikev1_phase1_words){
        .public_i = ike->initiator ? own : h->peer_public,
        .public_r = ike->initiator ? h->peer_public : own,
        .cookie_i = ike->spi_i,
        .cookie_r = ike->spi_r,
        .sa_i = h->sa_i,
    };
}

bool ikev1_phase1_keys(const struct ikev1_ike *ike, const struct secret *shared_key,
                       struct ikev1_keys *out)
{
    const struct ikev1_handshake *h = ike->handshake;
    struct ikev1_agreed agreed = {
        .shared = secret_slice(&h->shared),
        .nonce_i = ikev1_nonce_slice(&h->nonce_i),
        .nonce_r = ikev1_nonce_slice(&h->nonce_r),
        .cookie_i = ike->spi_i,
        .cookie_r = ike->spi_r,
    };

    if (ikev1_signs(ike)) {
        return ikev1_keys_of_signatures(&h->choice.suite, &agreed, out);
    }
    if (ikev1_encrypts(ike)) {
        return ikev1_keys_of_encryption(&h->choice.suite, &agreed, out);
    }
    return ikev1_keys_of_shared_key(&h->choice.suite, shared_key, &agreed, out);
}

bool ikev1_phase1_start_iv(struct ikev1_ike *ike)
{
    struct ikev1_phase1_words words = ikev1_phase1_words(ike);

    return ikev1_iv_of_phase1(&ike->handshake->choice.suite, words.public_i, words.public_r,
                              &ike->handshake->iv);
}

bool ikev1_phase1_is_expected(const struct ikev1_policy *policy, const struct ike_identity *id)
{
    if (policy->peer_id.type == 0) {
        /* Who only logs in need not say a name (draft-ietf-ipsec-isakmp-hybrid-auth-05 4.2). */
        return id->type != 0 || (policy->hybrid && policy->login == IKEV1_LOGIN_ASK);
    }
    return id->type != 0 && ike_identity_matches(&policy->peer_id, id, policy->strict_id_types);
}

bool ikev1_phase1_proves(const struct ikev1_ike *ike, const struct ikev1_keys *keys,
                         struct slice id, struct slice hash)
{
    struct ikev1_phase1_words words = ikev1_phase1_words(ike);
    struct ikev1_hash_value expected;

    return (ike->initiator ? ikev1_hash_r : ikev1_hash_i)(keys, &words, id, &expected) &&
           ikev1_hash_equal(&expected, hash);
}

bool ikev1_phase1_own_hash(const struct ikev1_ike *ike, struct ikev1_hash_value *out)
{
    struct ikev1_phase1_words words = ikev1_phase1_words(ike);

    return (ike->initiator ? ikev1_hash_i : ikev1_hash_r)(&ike->keys, &words,
                                                          ike->handshake->own_id, out);
}

/* ---- NAT ---- */

void ikev1_phase1_take_natd(struct ikev1_turn *t, struct ikev1_ike *ike,
                            const struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    bool force = t->sa->policy != NULL ? t->sa->policy->force_encapsulation
                                       : t->sa->responder->force_encapsulation;

    ikev1_natd_read(m, ike, &h->choice.suite, h->abilities.natt, &h->natd);
    if (!h->natd.destination_seen || !h->natd.source_seen) {
        /* He said that he can, and does not. */
        h->abilities.natt = IKEV1_NATT_NONE;
        return;
    }
    ike->nat_local = !h->natd.destination_matched || force;
    ike->nat_peer = !h->natd.source_matched;
}

/* RFC 3947 4: who began goes to the other port as soon as he knows of a NAT. A peer at a port of
 * its own has only that one. */
void ikev1_phase1_float(struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;

    if ((ike->nat_local || ike->nat_peer) && h->local.port == IKEV1_PORT &&
        h->peer.port == IKEV1_PORT) {
        h->local.port = IKEV1_NAT_PORT;
        h->peer.port = IKEV1_NAT_PORT;
    }
}

/* ---- both are authenticated ---- */

uint64_t ikev1_lifetime_of(uint64_t ours_ms, uint64_t seconds)
{
    if (seconds == 0 || seconds > UINT32_MAX) {
        return ours_ms;
    }
    return ikev1_earlier(ours_ms, seconds * 1000);
}

void ikev1_phase1_out_lifetime(const struct ikev1_ike *ike, const struct ikev1_policy *policy,
                               struct ikev1_outgoing *o)
{
    uint64_t said = ike->handshake->choice.life_seconds;
    uint64_t own = policy->ike_lifetime_ms / 1000;
    uint8_t cookies[IKEV1_COOKIES_BYTES];
    uint8_t data[16];
    struct writer w = writer_over(data, sizeof(data));

    if (policy->ike_lifetime_ms == NEVER_MS || own == 0 || (said != 0 && said <= own)) {
        return;
    }
    put_u64(cookies, ike->spi_i);
    put_u64(cookies + 8, ike->spi_r);
    ikev1_write_number(&w, IKEV1_LIFE_TYPE, IKEV1_LIFE_SECONDS);
    ikev1_write_number(&w, IKEV1_LIFE_DURATION, own);
    ikev1_out_notify(o, IKEV1_PROTO_ISAKMP, IKEV1_RESPONDER_LIFETIME, SLICE_OF(cookies),
                     writer_written(&w));
}

static void tell_established(struct ikev1_turn *t, const struct ikev1_ike *ike, bool first,
                             bool initial_contact)
{
    const struct ikev1_sa *sa = t->sa;
    struct ikev1_action *action = ikev1_act(t, first ? IKEV1_TELL_ESTABLISHED : IKEV1_TELL_REKEYED);

    action->established.spi_i = ike->spi_i;
    action->established.spi_r = ike->spi_r;
    action->established.suite = ike->keys.suite;
    action->established.policy = sa->policy;
    action->established.peer_id = sa->peer_id;
    action->established.local = sa->local;
    action->established.peer = sa->peer;
    action->established.nat_local = ike->nat_local;
    action->established.nat_peer = ike->nat_peer;
    action->established.initiator = ike->initiator;
    action->established.aggressive = ike->aggressive;
    action->established.login =
        ike->transactions != NULL && ike->transactions->login != IKEV1_LOGIN_NONE;
    action->established.initial_contact = initial_contact;
}

static bool has_lower_cookies(const struct ikev1_ike *a, const struct ikev1_ike *b)
{
    return a->spi_i != b->spi_i ? a->spi_i < b->spi_i : a->spi_r < b->spi_r;
}

/* Who made the new one deletes the old one; the other side only when he forgets it. When both made
 * one at once, each may have the other's for the old one: two that deleted them in the same moment
 * would have none and begin anew, both at once again. By the cookies, which both know, one of them
 * is later, and has then heard of it. */
static uint64_t drop_after_ms(const struct ikev1_ike *old, const struct ikev1_ike *ike)
{
    uint64_t after_ms = ike->initiator ? IKEV1_DROP_MS : 4 * IKEV1_DROP_MS;
    bool gives_way = old->initiator != ike->initiator && has_lower_cookies(old, ike);

    return after_ms + (gives_way ? IKEV1_DROP_MS : 0);
}

/* `ike` is the current one from now on. */
void ikev1_become_current(struct ikev1_turn *t, struct ikev1_ike *ike, bool initial_contact)
{
    struct ikev1_sa *sa = t->sa;
    bool first = sa->state != IKEV1_STATE_UP;

    for (struct ikev1_ike *old = sa->ikes; old != NULL; old = old->next) {
        if (old != ike && old->phase == IKEV1_IKE_LIVE) {
            old->phase = IKEV1_IKE_REPLACED;
            old->liveness_open = false;
            retransmit_stop(&old->liveness);
            old->drop_ms = ikev1_after(t->now_ms, drop_after_ms(old, ike));
        }
    }
    ike->phase = IKEV1_IKE_LIVE;
    sa->current = ike;
    sa->state = IKEV1_STATE_UP;
    sa->begin_ms = NEVER_MS;
    sa->begin_retries = 0;
    sa->heard_ms = t->now_ms;
    tell_established(t, ike, first, initial_contact);
    if (first && sa->initiator) {
        for (size_t i = 0; i < sa->policy->child_count; i++) {
            if (sa->policy->children[i].start) {
                ikev1_pend_all(t, &sa->policy->children[i]);
            }
        }
    }
}

void ikev1_phase1_through(struct ikev1_turn *t, struct ikev1_ike *ike, bool initial_contact)
{
    struct ikev1_sa *sa = t->sa;
    bool again = sa->state == IKEV1_STATE_UP;

    ike->up_ms = t->now_ms;
    ikev1_become_current(t, ike, initial_contact);
    if (again && initial_contact) {
        ikev1_children_renew(t, ike);
    }
    /* Message 2 of Aggressive Mode could not say it: nothing was protected. */
    if (!again && !ike->initiator && ike->aggressive && sa->policy->initial_contact) {
        ikev1_send_initial_contact(t, ike);
    }
}

void ikev1_phase1_done(struct ikev1_turn *t, struct ikev1_ike *ike,
                       const struct ikev1_policy *policy)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_handshake *h = ike->handshake;
    uint64_t lifetime_ms = ikev1_lifetime_of(policy->ike_lifetime_ms, h->choice.life_seconds);
    bool initial_contact = h->initial_contact;
    bool moved = sa->state == IKEV1_STATE_UP &&
                 (!endpoint_equal(&sa->local, &h->local) || !endpoint_equal(&sa->peer, &h->peer));

    if (!ikev1_transactions_prepare(t, ike, policy)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no memory");
        return;
    }
    sa->policy = policy;
    sa->responder = NULL;
    if (moved && policy->login == IKEV1_LOGIN_ASK) {
        ike->transactions->local = h->local;
        ike->transactions->peer = h->peer;
        moved = false;
    } else {
        sa->local = h->local;
        sa->peer = h->peer;
    }
    sa->peer_id = h->peer_id;
    ike->iv = h->iv;
    ike->natt = h->abilities.natt;
    ike->peer_liveness = h->abilities.liveness;
    ike->liveness_sequence = random_u32(sa->random) >> 1;
    ike->rekey_ms = ikev1_jittered(sa, t->now_ms, lifetime_ms, ike->initiator);
    ike->expire_ms = ikev1_after(t->now_ms, lifetime_ms);
    retransmit_stop(&ike->retransmit);
    ikev1_handshake_end(t, ike);
    if (moved) {
        ikev1_tell_moved(t);
    }
    if (policy->login != IKEV1_LOGIN_NONE) {
        ikev1_login_begin(t, ike);
        return;
    }
    ikev1_phase1_through(t, ike, initial_contact);
    ikev1_settings_begin(t, ike);
}

/* ---- time ---- */

uint64_t ikev1_phase1_deadline_ms(const struct ikev1_ike *ike)
{
    const struct ikev1_handshake *h = ike->handshake;

    if (h == NULL) {
        return NEVER_MS;
    }
    return ikev1_earlier(ikev1_earlier(h->deadline_ms, h->ask_deadline_ms),
                         ikev1_earlier(h->refused_ms, ike->retransmit.deadline_ms));
}

static void no_answer(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_failure copy;

    if (h->refused) {
        copy = h->refusal;
        ikev1_phase1_fail(t, ike, &copy);
    } else {
        bool perhaps_key = h->awaited == 6 && !ikev1_signs(ike);

        ikev1_phase1_fail_for(
            t, ike, perhaps_key ? IKEV1_FAIL_SHARED_KEY_PERHAPS : IKEV1_FAIL_NO_ANSWER, 0, "");
    }
}

void ikev1_phase1_time(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_handshake *h = ike->handshake;

    if (h->refused_ms <= t->now_ms) {
        no_answer(t, ike);
        return;
    }
    if (h->ask_deadline_ms <= t->now_ms) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "a question stayed unanswered");
        return;
    }
    if (h->deadline_ms <= t->now_ms) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_HALF_OPEN_TIMEOUT, 0, "");
        return;
    }
    switch (retransmit_time(&ike->retransmit, t->now_ms, sa->random)) {
    case RETRANSMIT_WAIT:
        return;
    case RETRANSMIT_SEND:
        ikev1_resend(t, &ike->reply, &h->local, &h->peer);
        return;
    case RETRANSMIT_GIVE_UP:
        no_answer(t, ike);
        return;
    }
}
