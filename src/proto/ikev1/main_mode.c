/*
 * Main Mode with a shared key or with signatures (RFC 2409 5, 5.1, 5.4): decides what stands in
 * each of its six messages, and when the peer is proven.
 *
 *     1  HDR, SA [, VID]  -->
 *                              <--  2  HDR, SA [, VID]
 *     3  HDR, KE, Ni [, NAT-D, NAT-D]  -->
 *                              <--  4  HDR, KE, Nr [, NAT-D, NAT-D]
 *     5  HDR*, IDii, HASH_I [, N]  -->
 *                              <--  6  HDR*, IDir, HASH_R [, N]
 *
 * With signatures CERT ... and SIG_I or SIG_R take the place of HASH_I or HASH_R, and CERTREQ
 * stands in messages 4 and 5.
 */
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- sending ---- */

void ikev1_main_send_first(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_outgoing o NOT_ZEROED;

    ikev1_out_begin(&o, ike, IKEV1_MAIN, 0);
    ikev1_phase1_out_offer(t, ike, &o, 0);
    ikev1_out_vendors(&o, t->sa->policy->natt, NULL, t->sa->policy->no_vendor_ids,
                      t->sa->policy->fragment_bytes != 0);
    if (ikev1_policy_has_transactions(t->sa->policy)) {
        ikev1_out_login_vendors(&o);
    }
    ikev1_phase1_send(t, ike, &o, false, 2);
}

static void send_2(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_responder_policy *policy = t->sa->responder;
    struct ikev1_outgoing o NOT_ZEROED;
    struct ikev1_sa_payload sa NOT_ZEROED;

    ikev1_out_begin(&o, ike, IKEV1_MAIN, 0);
    ikev1_phase1_answer(&ike->handshake->choice, &sa);
    ikev1_out_sa(&o, &sa);
    ikev1_out_vendors(&o, policy->natt, &ike->handshake->abilities, policy->no_vendor_ids,
                      policy->fragment_bytes != 0);
    if (ike->handshake->choice.logs_in != IKEV1_NOBODY) {
        ikev1_out_login_vendors(&o);
    }
    ikev1_phase1_send(t, ike, &o, false, 3);
}

/* Messages 3 and 4 are the same. */
static void send_ke(struct ikev1_turn *t, struct ikev1_ike *ike, bool force, uint8_t awaited)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_outgoing o NOT_ZEROED;

    ikev1_out_begin(&o, ike, IKEV1_MAIN, 0);
    ikev1_phase1_out_ke(ike, &o);
    if (!ike->initiator && ikev1_peer_signs(ike)) {
        ikev1_out_certificate_request(&o, NULL);
    }
    ikev1_out_natd(&o, ike, &h->choice.suite, h->abilities.natt, &h->local, &h->peer, force);
    ikev1_phase1_send(t, ike, &o, false, awaited);
}

static void out_initial_contact(const struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    uint8_t cookies[IKEV1_COOKIES_BYTES];

    put_u64(cookies, ike->spi_i);
    put_u64(cookies + 8, ike->spi_r);
    ikev1_out_notify(o, IKEV1_PROTO_ISAKMP, IKEV1_INITIAL_CONTACT, SLICE_OF(cookies),
                     (struct slice){NULL, 0});
}

/* Messages 5 and 6: our identity, and the proof that we have the key. */
static bool out_proof(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o,
                      const struct ikev1_policy *policy)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_hash_value hash;
    bool signs = ikev1_we_sign(ike);

    if (!signs && (!ikev1_phase1_make_id(ike, policy) || !ikev1_phase1_own_hash(ike, &hash))) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no proof could be made");
        return false;
    }
    ikev1_out_begin(o, ike, IKEV1_MAIN, 0);
    if (!ikev1_encrypts(ike)) {
        ikev1_write_payload(&o->chain, IKEV1_ID, h->own_id);
    }
    if (signs) {
        ikev1_out_certificates(o, policy);
        ikev1_write_payload(&o->chain, IKEV1_SIG, h->own_proof);
    } else {
        ikev1_out_no_certificate(ike, o);
        ikev1_write_payload(&o->chain, IKEV1_HASH, ikev1_hash_slice(&hash));
    }
    if (ikev1_peer_signs(ike) && ike->initiator) {
        ikev1_out_certificate_request(o, policy);
    }
    if (policy->initial_contact && t->sa->state != IKEV1_STATE_UP) {
        out_initial_contact(ike, o);
    }
    return true;
}

static void send_5(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_policy *policy = t->sa->policy;
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_outgoing o NOT_ZEROED;

    if (ike->keys.suite.encryption == 0 &&
        (!ikev1_phase1_keys(ike, &policy->shared_key, &ike->keys) || !ikev1_phase1_start_iv(ike))) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_RESOURCES, 0, "no keys could be made");
        return;
    }
    if (ikev1_we_sign(ike) && h->own_proof.length == 0) {
        ikev1_ask_sign(t, ike, policy);
        return;
    }
    ikev1_phase1_float(ike);
    if (out_proof(t, ike, &o, policy)) {
        ikev1_phase1_send(t, ike, &o, true, 6);
    }
}

static void send_6(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_policy *policy)
{
    struct ikev1_outgoing o NOT_ZEROED;

    if (!out_proof(t, ike, &o, policy)) {
        return;
    }
    ikev1_phase1_out_lifetime(ike, policy, &o);
    ikev1_phase1_send(t, ike, &o, true, 0);
    if (t->sa->state != IKEV1_STATE_OVER && ike->handshake != NULL) {
        ikev1_phase1_done(t, ike, policy);
    }
}

/* Whether it is signed right is asked; who only logs in later has the keys, which is no proof of
 * who he is. */
static bool check_5(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_message *m,
                    struct slice id)
{
    struct ikev1_handshake *h = ike->handshake;
    struct slice hash;

    if (ikev1_peer_signs(ike)) {
        return ikev1_ask_verify(t, ike, m, id, h->policy);
    }
    h->verified =
        ikev1_message_only(m, IKEV1_HASH, &hash) && ikev1_phase1_proves(ike, &ike->keys, id, hash);
    return h->verified;
}

static void fail_identity(struct ikev1_turn *t, struct ikev1_ike *ike,
                          const struct ikev1_policy *policy, const struct ike_identity *said,
                          uint8_t message)
{
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, IKEV1_FAIL_PEER_IDENTITY, IKEV1_MAIN, 0, "");
    ikev1_failure_identities(&failure, &policy->peer_id, said);
    failure.message = message;
    ikev1_phase1_fail(t, ike, &failure);
}

/* Message 5 is signed: who may that be, is it right, and then our own. */
static void go_on_6(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_message m NOT_ZEROED;
    struct reader r = reader_over(h->message);
    struct slice id;

    if (!h->verified) {
        h->policy = ikev1_choose_signer(h);
        if (!ikev1_read_header(&r, &m.header) || !ikev1_message_read(&m, read_rest(&r)) ||
            !ikev1_phase1_read_any_id(ike, &m, &h->peer_id, &id) || !check_5(t, ike, &m, id)) {
            ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_SYNTAX, 0,
                                  ikev1_unusable(ike, "identity or proof is missing"));
            return;
        }
    }
    if (!h->verified) {
        return;
    }
    if (h->policy == NULL) {
        ikev1_phase1_fail_for(t, ike, IKEV1_FAIL_PEER_UNKNOWN, 0, "");
    } else if (!ikev1_peer_signs(ike) && !ikev1_phase1_is_expected(h->policy, &h->peer_id)) {
        fail_identity(t, ike, h->policy, &h->peer_id, 5);
    } else if (ikev1_we_sign(ike) && h->own_proof.length == 0) {
        ikev1_ask_sign(t, ike, h->policy);
    } else {
        send_6(t, ike, h->policy);
    }
}

void ikev1_main_continue(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    if (ikev1_encryption_continue(t, ike)) {
        return;
    }
    switch (ike->handshake->sending) {
    case 3:
        send_ke(t, ike, t->sa->policy->force_encapsulation, 4);
        return;
    case 4:
        send_ke(t, ike, t->sa->responder->force_encapsulation, 5);
        return;
    case 5:
        send_5(t, ike);
        return;
    case 6:
        go_on_6(t, ike);
        return;
    case 7: /* message 6 is signed, and right */
        ikev1_phase1_done(t, ike, t->sa->policy);
        return;
    default:
        return;
    }
}

/* ---- receiving ---- */

static void receive_1(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    uint16_t group;

    if (ikev1_phase1_take_offer(t, ike, m, &group)) {
        send_2(t, ike);
    }
}

static void receive_2(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    const struct slice nothing = {NULL, 0};

    if (!ikev1_phase1_take_answer(t, ike, m, 0)) {
        return;
    }
    ike->spi_r = m->header.cookie_r;
    ike->handshake->sending = 3;
    ikev1_phase1_ask_key_exchange(t, ike, nothing);
}

static void receive_3(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;

    if (ikev1_encrypts(ike)) {
        ikev1_encryption_receive(t, ike, m, 4);
        return;
    }
    if (!ikev1_phase1_take_ke(t, ike, m)) {
        return;
    }
    h->local = m->local;
    h->peer = m->peer;
    ikev1_phase1_take_natd(t, ike, m);
    h->sending = 4;
    if (!ikev1_signs(ike)) {
        /* The key is needed to read who he is (RFC 2409 5.4). */
        ikev1_phase1_ask_peer(t, ike);
    }
    ikev1_phase1_ask_key_exchange(t, ike, h->peer_public);
}

static void receive_4(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;

    if (ikev1_encrypts(ike)) {
        ikev1_encryption_receive(t, ike, m, 5);
        return;
    }
    if (!ikev1_phase1_take_ke(t, ike, m)) {
        return;
    }
    ikev1_phase1_take_natd(t, ike, m);
    h->sending = 5;
    ikev1_phase1_ask_key_exchange(t, ike, h->peer_public);
}

/* A message with an identity and its proof under these keys. */
struct proof {
    struct ikev1_iv iv; /* behind it */
    struct ike_identity id;
    struct ikev1_message message;
};

static bool read_proof(struct ikev1_turn *t, const struct ikev1_ike *ike,
                       const struct ikev1_keys *keys, const struct ikev1_message *m,
                       struct proof *out)
{
    struct slice id;
    struct slice hash;

    out->iv = ike->handshake->iv;
    out->message = *m;
    if (!ikev1_open(t, keys, &out->iv, &out->message)) {
        return false;
    }
    if (ikev1_encrypts(ike)) { /* he said it before, sealed */
        id = ikev1_encryption_peer_id(ike);
        out->id = ike->handshake->peer_id;
    } else if (!ikev1_phase1_read_any_id(ike, &out->message, &out->id, &id)) {
        return false;
    }
    return ikev1_message_only(&out->message, IKEV1_HASH, &hash) &&
           ikev1_phase1_proves(ike, keys, id, hash);
}

/* What it means that a HASH is wrong. */
static enum ikev1_failure_reason unproven(const struct ikev1_ike *ike)
{
    return ikev1_encrypts(ike) ? IKEV1_FAIL_ENCRYPTION : IKEV1_FAIL_SHARED_KEY;
}

/* Who sent message 5: of those that are possible the first whose key opens and proves it, who is
 * called so, and whose policy has what was agreed. */
static const struct ikev1_policy *find_candidate(struct ikev1_turn *t, struct ikev1_ike *ike,
                                                 const struct ikev1_message *m, struct proof *proof,
                                                 struct ikev1_failure *failure)
{
    struct ikev1_handshake *h = ike->handshake;
    bool any_key = false;

    for (size_t i = 0; i < h->candidate_count; i++) {
        any_key = any_key || h->candidates[i]->certificates == NULL;
    }
    if (any_key || ikev1_encrypts(ike)) {
        ikev1_failure_set(failure, unproven(ike), IKEV1_MAIN, 0, "");
    } else {
        ikev1_failure_set(failure, IKEV1_FAIL_AUTH_METHOD, IKEV1_MAIN, 0, "by a shared key");
    }
    for (size_t i = 0; i < h->candidate_count; i++) {
        const struct ikev1_policy *policy = h->candidates[i];
        struct ikev1_keys keys = {0};
        bool proven = (policy->certificates == NULL || ikev1_encrypts(ike)) &&
                      ikev1_method_fits(policy, h, ike->initiator) &&
                      ikev1_phase1_keys(ike, &policy->shared_key, &keys) &&
                      read_proof(t, ike, &keys, m, proof);

        if (proven && !ikev1_phase1_is_expected(policy, &proof->id)) {
            ikev1_failure_set(failure, IKEV1_FAIL_PEER_IDENTITY, IKEV1_MAIN, 0, "");
            ikev1_failure_identities(failure, &policy->peer_id, &proof->id);
        } else if (proven && !ikev1_phase1_allows(policy->ike, &keys.suite)) {
            ikev1_failure_set(failure, IKEV1_FAIL_SUITE_NOT_ALLOWED, IKEV1_MAIN, 0, "");
            ikev1_failure_policies(failure, &policy->ike, 1, PROTOCOL_IKE);
            suite_title(&keys.suite, failure->theirs, sizeof(failure->theirs));
        } else if (proven) {
            ikev1_keys_move(&ike->keys, &keys);
            return policy;
        }
        ikev1_keys_fini(&keys);
    }
    return NULL;
}

/* Nobody of that address is known: as much is done as for somebody. */
static void try_nobody(struct ikev1_turn *t, const struct ikev1_ike *ike,
                       const struct ikev1_message *m, struct proof *proof)
{
    struct ikev1_keys keys = {0};
    struct secret none = {0};
    uint8_t octets[32];

    random_fill(t->sa->random, octets, sizeof(octets));
    if (secret_set(&none, SLICE_OF(octets)) && ikev1_phase1_keys(ike, &none, &keys)) {
        (void)!read_proof(t, ike, &keys, m, proof);
    }
    ikev1_keys_fini(&keys);
    secret_wipe(&none);
}

static void doubt_with(struct ikev1_turn *t, struct ikev1_ike *ike,
                       const struct ikev1_failure *failure)
{
    ikev1_phase1_doubt(t, ike, failure->reason, 0, "");
    /* What it is told with; an earlier doubt stays. */
    if (ike->handshake->refusal.reason == failure->reason) {
        memcpy(ike->handshake->refusal.ours, failure->ours, sizeof(failure->ours));
        memcpy(ike->handshake->refusal.theirs, failure->theirs, sizeof(failure->theirs));
        memcpy(ike->handshake->refusal.detail, failure->detail, sizeof(failure->detail));
    }
}

/* What the message says beside the proof, which is there. */
static void take_message(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_message *m,
                         const struct ikev1_message *clear, const struct ikev1_iv *iv)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_notify_payload n;

    ikev1_trace(t, false, false, &m->header, clear->chain);
    h->iv = *iv;
    h->local = m->local;
    h->peer = m->peer;
    h->initial_contact = ikev1_message_notify(clear, IKEV1_INITIAL_CONTACT, &n);
}

/* The message in clear with its header, to be read again. */
static bool keep_message(struct ikev1_handshake *h, const struct ikev1_message *clear)
{
    uint8_t head[IKEV1_HEAD_BYTES];
    struct writer w = writer_over(head, sizeof(head));
    struct ikev1_header header = clear->header;
    uint8_t *whole = ikev1_block_new(sizeof(head) + clear->chain.length);

    if (whole == NULL) {
        return false;
    }
    header.flags = 0;
    ikev1_write_header(&w, &header);
    memcpy(whole, head, sizeof(head));
    memcpy(whole + sizeof(head), clear->chain.data, clear->chain.length);
    h->message = (struct slice){whole, sizeof(head) + clear->chain.length};
    struct writer all = writer_over(whole, h->message.length);

    all.length = h->message.length;
    ikev1_finish_message(&all);
    return true;
}

static void receive_signed_5(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_iv iv = h->iv;
    struct ikev1_message clear = *m;
    const struct secret none = {0};
    struct slice id;

    if (ike->keys.suite.encryption == 0) {
        if (!ikev1_phase1_keys(ike, &none, &ike->keys) || !ikev1_phase1_start_iv(ike)) {
            return;
        }
        iv = h->iv;
    }
    if (!ikev1_open(t, &ike->keys, &iv, &clear) ||
        !ikev1_phase1_read_any_id(ike, &clear, &h->peer_id, &id) || !keep_message(h, &clear)) {
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_SYNTAX, IKEV1_PAYLOAD_MALFORMED,
                           "message 5 cannot be read");
        return;
    }
    take_message(t, ike, m, &clear, &iv);
    h->sending = 6;
    ikev1_phase1_ask_peer(t, ike);
}

static void receive_5(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    struct proof proof NOT_ZEROED;
    struct ikev1_failure failure;

    if (ikev1_signs(ike)) {
        receive_signed_5(t, ike, m);
        return;
    }
    if (!ikev1_phase1_start_iv(ike)) {
        return;
    }
    const struct ikev1_policy *policy = find_candidate(t, ike, m, &proof, &failure);

    if (policy == NULL) {
        if (h->candidate_count == 0) {
            char address[ADDRESS_TEXT_BYTES];
            struct text theirs;

            try_nobody(t, ike, m, &proof);
            ikev1_failure_set(&failure, IKEV1_FAIL_PEER_UNKNOWN, IKEV1_MAIN, 0, "");
            theirs = text_over(failure.theirs, sizeof(failure.theirs));
            text_add(&theirs, address_format(&h->peer.address, address));
        }
        doubt_with(t, ike, &failure);
        return;
    }
    take_message(t, ike, m, &proof.message, &proof.iv);
    h->peer_id = proof.id;
    h->sending = 6;
    send_6(t, ike, policy);
}

/* RFC 2407 4.6.3.1: the responder's lifetime is less than ours. */
static void take_lifetime(struct ikev1_handshake *h, const struct ikev1_message *m)
{
    struct ikev1_notify_payload n;
    struct ikev1_wire_transform life = {0};

    if (ikev1_message_notify(m, IKEV1_RESPONDER_LIFETIME, &n) &&
        ikev1_read_transform_attributes(IKEV1_PROTO_ISAKMP, n.data, &life) &&
        life.life_seconds != 0 &&
        (h->choice.life_seconds == 0 || life.life_seconds < h->choice.life_seconds)) {
        h->choice.life_seconds = life.life_seconds;
    }
}

static void receive_signed_6(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    struct ikev1_iv iv = h->iv;
    struct ikev1_message clear = *m;
    struct slice id;

    if (!ikev1_open(t, &ike->keys, &iv, &clear) ||
        !ikev1_phase1_read_id(&clear, &h->peer_id, &id) ||
        !ikev1_ask_verify(t, ike, &clear, id, t->sa->policy)) {
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_SYNTAX, 0,
                           ikev1_unusable(ike, "message 6 cannot be read"));
        return;
    }
    take_message(t, ike, m, &clear, &iv);
    take_lifetime(h, &clear);
    retransmit_stop(&ike->retransmit);
    h->sending = 7;
}

static void receive_6(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_handshake *h = ike->handshake;
    const struct ikev1_policy *policy = t->sa->policy;
    struct proof proof NOT_ZEROED;

    if (ikev1_peer_signs(ike)) {
        receive_signed_6(t, ike, m);
        return;
    }
    if (!read_proof(t, ike, &ike->keys, m, &proof)) {
        h->unreadable = true;
        ikev1_phase1_doubt(t, ike, unproven(ike), 0, "");
        return;
    }
    if (!ikev1_phase1_is_expected(policy, &proof.id)) {
        fail_identity(t, ike, policy, &proof.id, 6);
        return;
    }
    take_message(t, ike, m, &proof.message, &proof.iv);
    h->peer_id = proof.id;
    take_lifetime(h, &proof.message);
    ikev1_phase1_done(t, ike, policy);
}

void ikev1_main_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    static void (*const receive[])(struct ikev1_turn *, struct ikev1_ike *,
                                   struct ikev1_message *) = {
        [1] = receive_1, [2] = receive_2, [3] = receive_3,
        [4] = receive_4, [5] = receive_5, [6] = receive_6,
    };
    uint8_t awaited = ike->handshake->awaited;
    bool encrypted = (m->header.flags & IKEV1_FLAG_ENCRYPTED) != 0;

    /* RFC 2409 5: the last two messages are encrypted, the others cannot be. */
    if (encrypted != (awaited >= 5)) {
        return;
    }
    if (!encrypted) {
        ikev1_trace(t, false, false, &m->header, m->chain);
    }
    receive[awaited](t, ike, m);
}
