/*
 * Aggressive Mode with a shared key or with signatures (RFC 2409 5, 5.1, 5.4): decides what stands
 * in each of its three messages, and when the peer is proven.
 *
 *     1  HDR, SA, KE, Ni, IDii [, VID]  -->
 *                       <--  2  HDR, SA, KE, Nr, IDir, HASH_R [, VID] [, NAT-D, NAT-D]
 *     3  HDR[*], HASH_I [, NAT-D, NAT-D] [, N]  -->
 *
 * With signatures CERT ... and SIG_I or SIG_R take the place of HASH_I or HASH_R.
 *
 * Message 2 lets anybody who asks test guesses of the key at leisure: so a responder does it only
 * where a policy says so, and who is not known gets an answer that looks like any other.
 */
#include <assert.h>
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- sending ---- */

void ikev1_aggressive_start(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;
    const struct slice nothing = {NULL, 0};

    h->choice.suite.key_exchange = ikev1_phase1_first_group(t->sa->policy->ike);
    h->choice.auth_method = ikev1_method_of(t->sa->policy);
    h->sending = 1;
    ikev1_phase1_ask_key_exchange(t, ike, nothing);
}

static void send_1(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_policy *policy = t->sa->policy;
    struct ikev1_outgoing o NOT_ZEROED;

    if (!ikev1_phase1_make_id(ike, policy)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no identity could be made");
        return;
    }
    ikev1_out_begin(&o, ike, IKEV1_AGGRESSIVE, 0);
    ikev1_phase1_out_offer(t, ike, &o, ike->handshake->choice.suite.key_exchange);
    ikev1_phase1_out_ke(ike, &o);
    ikev1_write_payload(&o.chain, IKEV1_ID, ike->handshake->own_id);
    if (policy->certificates != NULL && !(policy->hybrid && policy->login == IKEV1_LOGIN_ASK)) {
        ikev1_out_certificate_request(&o, policy);
    }
    ikev1_out_vendors(&o, policy->natt, NULL, policy->no_vendor_ids, policy->fragment_bytes != 0);
    if (ikev1_policy_has_transactions(policy)) {
        ikev1_out_login_vendors(&o);
    }
    ikev1_phase1_send(t, ike, &o, false, 2);
}

static bool is_meant(const struct ikev1_policy *policy, const struct ikev1_handshake *h)
{
    return policy->aggressive && ikev1_method_fits(policy, h, false) &&
           ikev1_phase1_allows(policy->ike, &h->choice.suite) &&
           (policy->peer_id.type == 0 ||
            ike_identity_matches(&policy->peer_id, &h->peer_id, policy->strict_id_types));
}

/* The key of who is called so; of nobody one that nobody has. */
static bool choose_key(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;
    struct secret nobody = {0};
    uint8_t octets[32];

    for (size_t i = 0; i < h->candidate_count; i++) {
        if (is_meant(h->candidates[i], h)) {
            h->candidates[0] = h->candidates[i];
            h->candidate_count = 1;
            return ikev1_phase1_keys(ike, &h->candidates[0]->shared_key, &ike->keys);
        }
    }
    h->candidate_count = 0;
    h->candidates[0] = NULL;
    random_fill(t->sa->random, octets, sizeof(octets));
    bool ok = secret_set(&nobody, SLICE_OF(octets)) && ikev1_phase1_keys(ike, &nobody, &ike->keys);

    secret_wipe(&nobody);
    return ok;
}

/* Nobody of that name could sign: there is no answer then. */
static void sign_2(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;

    if (!choose_key(t, ike) || !ikev1_phase1_start_iv(ike)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no keys could be made");
    } else if (h->candidate_count == 0) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_PEER_UNKNOWN, 0, "");
    } else {
        ikev1_ask_sign(t, ike, h->candidates[0]);
    }
}

/* HASH_I, HASH_R, or certificates and a signature. */
static bool out_proof(struct ikev1_ike *ike, struct ikev1_outgoing *o,
                      const struct ikev1_policy *policy)
{
    struct ikev1_hash_value hash;

    if (ikev1_we_sign(ike)) {
        ikev1_out_certificates(o, policy);
        ikev1_write_payload(&o->chain, IKEV1_SIG, ike->handshake->own_proof);
        return true;
    }
    ikev1_out_no_certificate(ike, o);
    if (!ikev1_phase1_own_hash(ike, &hash)) {
        return false;
    }
    ikev1_write_payload(&o->chain, IKEV1_HASH, ikev1_hash_slice(&hash));
    return true;
}

static void send_2(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_responder_policy *responder = t->sa->responder;
    const struct ikev1_policy unnamed = {.local_id = responder->local_id};
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_sa_payload sa NOT_ZEROED;

    if (ikev1_we_sign(ike) && h->own_proof.length == 0) {
        sign_2(t, ike);
        return;
    }
    if (!ikev1_we_sign(ike) &&
        (!choose_key(t, ike) || !ikev1_phase1_start_iv(ike) ||
         !ikev1_phase1_make_id(ike, h->candidate_count > 0 ? h->candidates[0] : &unnamed))) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no keys could be made");
        return;
    }
    /* Only who has a shared key is answered as if there were somebody of that name. */
    if (ikev1_signs(ike) && h->candidate_count == 0) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_PEER_UNKNOWN, 0, "");
        return;
    }
    ikev1_out_begin(&o, ike, IKEV1_AGGRESSIVE, 0);
    ikev1_phase1_answer(&h->choice, &sa);
    ikev1_out_sa(&o, &sa);
    ikev1_phase1_out_ke(ike, &o);
    ikev1_write_payload(&o.chain, IKEV1_ID, h->own_id);
    if (!out_proof(ike, &o, h->candidates[0])) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no proof could be made");
        return;
    }
    if (ikev1_peer_signs(ike)) {
        ikev1_out_certificate_request(&o, h->candidates[0]);
    }
    ikev1_out_vendors(&o, responder->natt, &h->abilities, responder->no_vendor_ids,
                      responder->fragment_bytes != 0);
    if (h->choice.logs_in != IKEV1_NOBODY) {
        ikev1_out_login_vendors(&o);
    }
    ikev1_out_natd(&o, ike, &h->choice.suite, h->abilities.natt, &h->local, &h->peer,
                   responder->force_encapsulation);
    ikev1_phase1_send(t, ike, &o, false, 3);
}

static void send_3(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_policy *policy = t->sa->policy;
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_outgoing o NOT_ZEROED;
    uint8_t cookies[IKEV1_COOKIES_BYTES];
    const struct slice nothing = {NULL, 0};

    if (ikev1_we_sign(ike) && h->own_proof.length == 0) {
        ikev1_ask_sign(t, ike, policy);
        return;
    }
    ikev1_out_begin(&o, ike, IKEV1_AGGRESSIVE, 0);
    if (!out_proof(ike, &o, policy)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no proof could be made");
        return;
    }
    /* RFC 3947 4: from the other port, about the addresses and ports that it goes from and to. */
    ikev1_phase1_float(ike);
    ikev1_out_natd(&o, ike, &h->choice.suite, h->abilities.natt, &h->local, &h->peer,
                   policy->force_encapsulation);
    if (policy->initial_contact && t->sa->state != IKEV1_STATE_UP) {
        put_u64(cookies, ike->spi_i);
        put_u64(cookies + 8, ike->spi_r);
        ikev1_out_notify(&o, IKEV1_PROTO_ISAKMP, IKEV1_INITIAL_CONTACT, SLICE_OF(cookies), nothing);
    }
    ikev1_phase1_send(t, ike, &o, true, 0);
    if (t->sa->state != IKEV1_STATE_OVER && ike->handshake != NULL) {
        ikev1_phase1_done(t, ike, policy);
    }
}

static void check_2(struct ikev1_turn *t, struct ikev1_ike *ike);

void ikev1_aggressive_continue(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    if (ikev1_encryption_continue(t, ike)) {
        return;
    }
    switch (ike->handshake->sending) {
    case 1:
        send_1(t, ike);
        return;
    case 2:
        send_2(t, ike);
        return;
    case 3:
        if (ike->handshake->verified) {
            send_3(t, ike);
        } else {
            check_2(t, ike);
        }
        return;
    case 4: /* message 3 is signed, and right */
        assert(ike->handshake->candidate_count > 0);
        ikev1_phase1_done(t, ike, ike->handshake->candidates[0]);
        return;
    default:
        return;
    }
}

/* ---- receiving ---- */

static void receive_1(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    struct slice id;
    uint16_t group;

    if (!t->sa->responder->aggressive) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_AGGRESSIVE, 0, "");
        return;
    }
    if (h->sa_i.length > 0) {
        return; /* one message for each handshake: what it opened to is worked on, whatever it is */
    }
    if (!ikev1_phase1_take_offer(t, ike, m, &group)) {
        return;
    }
    if (ikev1_encrypts(ike)) {
        ikev1_encryption_receive(t, ike, m, 2);
        return;
    }
    if (!ikev1_phase1_read_any_id(ike, m, &h->peer_id, &id) || !ikev1_phase1_take_ke(t, ike, m) ||
        !ikev1_block_replace(t->sa, id, &h->message)) {
        if (ike->handshake != NULL) {
            ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_SYNTAX, 0,
                                  "identity, key exchange or nonce is missing or malformed");
        }
        return;
    }
    h->sending = 2;
    ikev1_phase1_ask_peer(t, ike);
    ikev1_phase1_ask_key_exchange(t, ike, h->peer_public);
}

static void receive_2(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    struct slice body;

    if (!ikev1_phase1_take_answer(t, ike, m, h->pair.group)) {
        return;
    }
    if (ikev1_encrypts(ike)) {
        ikev1_encryption_receive(t, ike, m, 3);
        return;
    }
    if (!ikev1_phase1_take_ke(t, ike, m)) {
        return;
    }
    if (!ikev1_message_only(m, IKEV1_ID, &body) ||
        !ikev1_message_only(m, ikev1_peer_signs(ike) ? IKEV1_SIG : IKEV1_HASH, &body) ||
        !ikev1_block_replace(t->sa, m->whole, &h->message)) {
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_SYNTAX, 0, "identity or proof is missing");
        return;
    }
    ike->spi_r = m->header.cookie_r;
    ikev1_phase1_take_natd(t, ike, m);
    h->sending = 3;
    ikev1_phase1_ask_key_exchange(t, ike, h->peer_public);
}

static void check_2(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_policy *policy = t->sa->policy;
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_message m NOT_ZEROED;
    struct ikev1_failure failure;
    struct slice id;
    struct slice hash;

    /* It is read again, now that there is a secret to judge it by. */
    struct reader r = reader_over(h->message);

    if (!ikev1_read_header(&r, &m.header) || !ikev1_message_read(&m, read_rest(&r)) ||
        !ikev1_phase1_keys(ike, &policy->shared_key, &ike->keys) || !ikev1_phase1_start_iv(ike)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no keys could be made");
        return;
    }
    if (ikev1_peer_signs(ike)) {
        if (!ikev1_phase1_read_id(&m, &h->peer_id, &id) ||
            !ikev1_ask_verify(t, ike, &m, id, policy)) {
            ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_SYNTAX, 0,
                                  ikev1_unusable(ike, "identity or signature is malformed"));
        }
        return;
    }
    if (!ikev1_phase1_read_any_id(ike, &m, &h->peer_id, &id) ||
        !ikev1_message_only(&m, IKEV1_HASH, &hash) ||
        !ikev1_phase1_proves(ike, &ike->keys, id, hash)) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_SHARED_KEY, 0, "");
        return;
    }
    if (policy->peer_id.type != 0 &&
        !ike_identity_matches(&policy->peer_id, &h->peer_id, policy->strict_id_types)) {
        ikev1_failure_set(&failure, IKEV1_FAIL_PEER_IDENTITY, IKEV1_AGGRESSIVE, 0, "");
        ikev1_failure_identities(&failure, &policy->peer_id, &h->peer_id);
        failure.message = 2;
        ikev1_phase1_fail(t, ike, &failure);
        return;
    }
    h->verified = true;
    send_3(t, ike);
}

static void doubt_peer(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;
    bool unknown = h->candidate_count == 0;

    ikev1_phase1_doubt(t, ike,
                       unknown               ? IKEV1_FAIL_PEER_UNKNOWN
                       : ikev1_encrypts(ike) ? IKEV1_FAIL_ENCRYPTION
                                             : IKEV1_FAIL_SHARED_KEY,
                       0, "");
    ikev1_failure_identities(&h->refusal, NULL, &h->peer_id);
}

static void receive_signed_3(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_iv iv = h->iv;
    struct ikev1_notify_payload n;

    if (h->candidate_count == 0 ||
        ((m->header.flags & IKEV1_FLAG_ENCRYPTED) != 0 && !ikev1_open(t, &ike->keys, &iv, m)) ||
        !ikev1_ask_verify(t, ike, m, h->message, h->candidates[0])) {
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_SYNTAX, 0,
                           ikev1_unusable(ike, "message 3 cannot be read"));
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    h->iv = iv;
    h->local = m->local;
    h->peer = m->peer;
    /* No proof covers it: in clear anybody could have said it. */
    h->initial_contact = (m->header.flags & IKEV1_FLAG_ENCRYPTED) != 0 &&
                         ikev1_message_notify(m, IKEV1_INITIAL_CONTACT, &n);
    ikev1_phase1_take_natd(t, ike, m);
    h->sending = 4;
}

static void receive_3(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_iv iv = h->iv;
    struct ikev1_notify_payload n;
    struct slice hash;

    if (((m->header.flags & IKEV1_FLAG_ENCRYPTED) != 0 && !ikev1_open(t, &ike->keys, &iv, m)) ||
        !ikev1_message_only(m, IKEV1_HASH, &hash) || h->candidate_count == 0 ||
        !ikev1_phase1_proves(ike, &ike->keys, h->message, hash)) {
        doubt_peer(t, ike);
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    h->iv = iv;
    h->local = m->local;
    h->peer = m->peer;
    /* No proof covers it: in clear anybody could have said it. */
    h->initial_contact = (m->header.flags & IKEV1_FLAG_ENCRYPTED) != 0 &&
                         ikev1_message_notify(m, IKEV1_INITIAL_CONTACT, &n);
    ikev1_phase1_take_natd(t, ike, m);
    ikev1_phase1_done(t, ike, h->candidates[0]);
}

void ikev1_aggressive_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    uint8_t awaited = ike->handshake->awaited;
    bool encrypted = (m->header.flags & IKEV1_FLAG_ENCRYPTED) != 0;

    if (encrypted && awaited != 3) {
        return;
    }
    if (!encrypted && awaited != 3) {
        ikev1_trace(t, false, false, &m->header, m->chain);
    }
    switch (awaited) {
    case 1:
        receive_1(t, ike, m);
        return;
    case 2:
        receive_2(t, ike, m);
        return;
    case 3:
        if (ikev1_peer_signs(ike)) {
            receive_signed_3(t, ike, m);
        } else {
            receive_3(t, ike, m);
        }
        return;
    default:
        return;
    }
}

/* Message 3 was lost: its sender goes on with what we cannot read yet. He has it again when message
 * 2 comes once more. */
void ikev1_aggressive_remind(struct ikev1_turn *t, struct ikev1_ike *ike,
                             const struct ikev1_message *m)
{
    if (ike->aggressive && !ike->initiator && ike->handshake != NULL &&
        ike->handshake->awaited == 3 && ike->handshake->sending == 0 &&
        ike->reply.again < IKEV1_REPEATS_MAX) {
        ikev1_reply_again(t, &ike->reply, &m->local, &m->peer);
    }
}
