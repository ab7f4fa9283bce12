/*
 * IKE_AUTH (RFC 7296 1.2, 2.15, 2.21.2): decides who the peer is, and makes the first child. An IKE
 * SA is established here and nowhere else, and only after the peer's AUTH was found right.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

#define ID_BODY_BYTES (4 + IKE_IDENTITY_BYTES_MAX)

/* ---- both ---- */

/* RFC 7619 2.1: who proves nothing shows with his own SK_p that it is the same peer still. */
static const struct secret *key_of(const struct ikev2_policy *policy, const struct ikev2_keys *keys,
                                   bool initiator)
{
    return !policy->null_auth ? &policy->shared_key : initiator ? &keys->sk_pi : &keys->sk_pr;
}

/* Both sides prove themselves in the same way. */
static bool method_fits(const struct ikev2_policy *policy, uint8_t method)
{
    return policy->null_auth              ? method == IKEV2_AUTH_NULL
           : policy->certificates != NULL ? ikev2_certify_is_signature(method)
                                          : method == IKEV2_AUTH_SHARED_KEY;
}

/* What AUTH of this side covers: its own first message, the other's nonce and its own identity. */
static bool own_octets(struct ikev2_sa *sa, const struct ikev2_keys *keys,
                       const struct ikev2_policy *policy,
                       uint8_t int_auth[IKEV2_INT_AUTH_BYTES_MAX], struct ikev2_auth_octets *octets)
{
    const struct ikev2_handshake *h = sa->handshake;
    struct ikev2_id_payload id = {
        .type = policy->local_id.type,
        .data = {policy->local_id.data, policy->local_id.length},
    };
    uint8_t body[ID_BODY_BYTES];
    struct writer w = writer_over(body, sizeof(body));
    const struct ikev2_nonce *nonce = sa->initiator ? &h->nonce_r : &h->nonce_i;

    ikev2_write_id(&w, &id);
    if (!writer_ok(&w) ||
        !ikev2_auth_octets(keys, sa->initiator, h->own_message, ikev2_nonce_slice(nonce),
                           writer_written(&w), octets)) {
        return false;
    }
    octets->int_auth = ikev2_intermediate_signed(h, int_auth);
    return true;
}

static bool own_auth(struct ikev2_sa *sa, const struct ikev2_keys *keys,
                     const struct ikev2_policy *policy, uint8_t *out, size_t *length)
{
    struct ikev2_auth_octets octets;
    uint8_t int_auth[IKEV2_INT_AUTH_BYTES_MAX];

    return own_octets(sa, keys, policy, int_auth, &octets) &&
           ikev2_auth_shared_key(keys, key_of(policy, keys, sa->initiator), &octets, out, length);
}

static bool peer_octets(struct ikev2_sa *sa, const struct ikev2_keys *keys, struct slice id_whole,
                        uint8_t int_auth[IKEV2_INT_AUTH_BYTES_MAX],
                        struct ikev2_auth_octets *octets)
{
    const struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_nonce *nonce = sa->initiator ? &h->nonce_i : &h->nonce_r;

    if (!ikev2_auth_octets(keys, !sa->initiator, h->peer_message, ikev2_nonce_slice(nonce),
                           id_whole, octets)) {
        return false;
    }
    octets->int_auth = ikev2_intermediate_signed(h, int_auth);
    return true;
}

static bool peer_auth_is_right(struct ikev2_sa *sa, const struct ikev2_keys *keys,
                               const struct secret *shared_key, struct slice id_whole,
                               struct slice auth)
{
    struct ikev2_auth_octets octets;
    uint8_t int_auth[IKEV2_INT_AUTH_BYTES_MAX];

    return peer_octets(sa, keys, id_whole, int_auth, &octets) &&
           ikev2_auth_verify_shared_key(keys, shared_key, &octets, auth);
}

/* With a certificate the signature is asked for first, and with a PPK that the peer need not have
 * one without it; without a certificate, or when they are there, true. */
static bool own_proof_is_ready(struct ikev2_turn *t, const struct ikev2_policy *policy)
{
    struct ikev2_sa *sa = t->sa;
    const struct ikev2_handshake *h = sa->handshake;
    bool first = h->own_auth.length == 0;
    struct ikev2_auth_octets octets;

    if (policy->certificates == NULL || h->resume != NULL ||
        (!first && (!ikev2_ppk_needs_plain(sa) || h->plain_auth.length > 0))) {
        return true;
    }
    uint8_t int_auth[IKEV2_INT_AUTH_BYTES_MAX];

    if (!own_octets(sa, first ? &sa->current->keys : &h->plain, policy, int_auth, &octets)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "AUTH could not be computed");
    } else if (!ikev2_certify_ask_sign(t, policy, &octets)) {
        assert(t->sa->state == IKEV2_STATE_OVER);
    }
    return false;
}

/* The AUTH payload of this side; false: it could not be computed. */
static bool out_own_auth(struct ikev2_sa *sa, const struct ikev2_policy *policy,
                         struct ikev2_outgoing *o)
{
    const struct ikev2_handshake *h = sa->handshake;
    uint8_t auth[PRF_OUTPUT_BYTES_MAX];
    size_t length;

    if (h->resume != NULL) {
        struct ikev2_auth_octets octets;
        uint8_t int_auth[IKEV2_INT_AUTH_BYTES_MAX];

        return own_octets(sa, &sa->current->keys, policy, int_auth, &octets) &&
               ikev2_resume_own_auth(sa, &octets, o);
    }
    if (policy->certificates != NULL) {
        ikev2_out_auth(o, h->own_method, h->own_auth);
        return h->own_auth.length > 0;
    }
    if (!own_auth(sa, &sa->current->keys, policy, auth, &length)) {
        return false;
    }
    ikev2_out_auth(o, policy->null_auth ? IKEV2_AUTH_NULL : IKEV2_AUTH_SHARED_KEY,
                   (struct slice){auth, length});
    return true;
}

/* Which PPK is in AUTH, and AUTH without it where the peer may do without; false: it could not be
 * computed. */
static bool out_ppk(struct ikev2_sa *sa, const struct ikev2_policy *policy,
                    struct ikev2_outgoing *o)
{
    const struct ikev2_handshake *h = sa->handshake;
    uint8_t auth[PRF_OUTPUT_BYTES_MAX];
    size_t length = 0;
    bool plain = ikev2_ppk_needs_plain(sa);

    if (plain && policy->certificates == NULL && !own_auth(sa, &h->plain, policy, auth, &length)) {
        return false;
    }
    ikev2_ppk_out_request(sa, length > 0 ? (struct slice){auth, length} : h->plain_auth, o);
    return true;
}

/* Whom the peer proved to be. When there is no memory for it the IKE SA is over. */
static bool keep_peer_id(struct ikev2_turn *t, const struct ike_identity *peer_id)
{
    struct ikev2_sa *sa = t->sa;

    if (!ikev2_block_copy((struct slice){peer_id->data, peer_id->length}, &sa->peer_id_data)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no memory");
        return false;
    }
    sa->peer_id_type = peer_id->type;
    return true;
}

/* Both sides are authenticated. */
static void establish(struct ikev2_turn *t, const struct ike_identity *peer_id)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_ike *ike = sa->current;

    sa->state = IKEV2_STATE_UP;
    sa->established = true;
    /* RFC 7296 2.18: keys of later rekeyings have those before in them. */
    sa->post_quantum = sa->handshake->resume != NULL
                           ? sa->handshake->resume->session.post_quantum
                           : ikev2_intermediate_post_quantum(sa->handshake);
    sa->ppk = sa->handshake->resume != NULL       ? sa->handshake->resume->session.ppk
              : sa->handshake->ppk_chosen != NULL ? IKEV2_PPK_IN_ALL
              : sa->handshake->ppk_mixed          ? IKEV2_PPK_IN_CHILDREN
                                                  : IKEV2_PPK_NOWHERE;
    sa->heard_ms = t->now_ms;
    ike->phase = IKEV2_IKE_LIVE;
    ikev2_ike_is_known(ike);
    ike->rekey_ms = ikev2_jittered(sa, t->now_ms, sa->policy->ike_lifetime_ms, sa->initiator);
    ike->expire_ms = ikev2_after(t->now_ms, sa->policy->ike_lifetime_ms);
    struct ikev2_action *action = ikev2_act(t, IKEV2_TELL_ESTABLISHED);

    action->established.spi_i = ike->spi_i;
    action->established.spi_r = ike->spi_r;
    action->established.suite = ike->keys.suite;
    action->established.peer_id = *peer_id;
    action->established.nat_local = sa->nat_local;
    action->established.nat_peer = sa->nat_peer;
    action->established.initiator = sa->initiator;
    action->established.resumed = sa->handshake->resume != NULL;
    ikev2_reauthenticate_plan(t);
}

/* Not a child where any of the three is missing (RFC 7296 1.2). */
static bool child_payloads_fit(const struct ikev2_message *m)
{
    return m->has[IKEV2_SA] == m->has[IKEV2_TSI] && m->has[IKEV2_SA] == m->has[IKEV2_TSR];
}

/* ---- initiator ---- */

static const struct ikev2_child_policy *first_child(const struct ikev2_policy *policy)
{
    for (size_t i = 0; i < policy->child_count; i++) {
        if (policy->children[i].start) {
            return &policy->children[i];
        }
    }
    return policy->child_count > 0 ? &policy->children[0] : NULL;
}

void ikev2_auth_begin(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_child_policy *policy = first_child(sa->policy);
    struct ikev2_packet packet = {0};

    sa->state = IKEV2_STATE_AUTH;
    if (!ikev2_ppk_begin(sa)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no keys were derived");
        return;
    }
    if (sa->policy->childless && h->peer_childless) {
        ikev2_auth_continue(t, true);
        return;
    }
    /* What waits for a packet already is the most urgent, and his selectors lead (RFC 7296 2.9). */
    for (size_t i = 0; i < sa->pending_count; i++) {
        if (ikev2_packet_is_set(&sa->pending[i].packet)) {
            policy = sa->pending[i].policy;
            packet = sa->pending[i].packet;
            ikev2_pending_remove(sa, i);
            break;
        }
    }
    if (policy == NULL) {
        ikev2_auth_continue(t, true);
        return;
    }
    h->child = ikev2_work_new(IKEV2_WORK_CHILD, true);
    if (h->child == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no memory");
        return;
    }
    if (!ikev2_child_want(sa, h->child, policy, NULL, &packet)) {
        ikev2_over_for(t, IKEV2_FAIL_CHILD_SELECTORS, IKEV2_IKE_AUTH, 0,
                       "the networks have not what the tunnel is to be for");
        return;
    }
    ikev2_work_ask_spi(t, h->child);
}

static void auth_send(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_policy *policy = sa->policy;
    struct ikev2_outgoing o NOT_ZEROED;

    /* RFC 9242 3.3.2: it is signed too. */
    h->auth_message_id = sa->current->request_id;
    if (!own_proof_is_ready(t, policy)) {
        return;
    }
    ikev2_out_begin(&o);
    ikev2_out_id(&o, IKEV2_IDI, &policy->local_id);
    if (policy->certificates != NULL && h->resume == NULL) {
        ikev2_certify_out_certificates(t, &o, policy->certificates);
    }
    /* RFC 7619 2.3: it would be about whoever said the same. */
    if (policy->initial_contact && !policy->null_auth) {
        ikev2_out_notify(&o, IKEV2_INITIAL_CONTACT, (struct slice){NULL, 0});
    }
    if (policy->certificates != NULL && h->resume == NULL) {
        ikev2_certify_out_request(&o, policy->certificates);
    }
    if (policy->resume_s != 0) {
        ikev2_out_notify(&o, IKEV2_TICKET_REQUEST, (struct slice){NULL, 0});
    }
    if (policy->peer_id.type != 0) {
        ikev2_out_id(&o, IKEV2_IDR, &policy->peer_id);
    }
    if (!out_own_auth(sa, policy, &o)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "AUTH could not be computed");
        return;
    }
    ikev2_crash_out(sa, sa->current, &o);
    if (h->child != NULL && !ikev2_child_write_request(sa, &o, h->child, PROPOSAL_WITHOUT_KE)) {
        ikev2_over_for(t, IKEV2_FAIL_CHILD_NO_PROPOSAL, IKEV2_IKE_AUTH, 0,
                       "the policy has nothing to offer");
        return;
    }
    ikev2_mobile_out_auth(sa, &o);
    if (!out_ppk(sa, policy, &o)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "AUTH could not be computed");
        return;
    }
    ikev2_send_request(t, sa->current, IKEV2_IKE_AUTH, &o);
}

/* RFC 7296 2.21.2: the responder believes in this SA already and is told once. */
static void auth_reject(struct ikev2_turn *t, const struct ikev2_failure *failure)
{
    struct ikev2_outgoing o NOT_ZEROED;

    ikev2_out_begin(&o);
    ikev2_out_notify(&o, IKEV2_AUTHENTICATION_FAILED, (struct slice){NULL, 0});
    ikev2_send_request(t, t->sa->current, IKEV2_INFORMATIONAL, &o);
    ikev2_over(t, failure);
}

/* The peer answered without AUTH: with one of the errors that end an IKE SA. */
static void auth_refused(struct ikev2_turn *t, const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *error = ikev2_message_error(m);

    if (error == NULL) {
        ikev2_over_for(t, m->has[IKEV2_EAP] ? IKEV2_FAIL_AUTH_METHOD : IKEV2_FAIL_SYNTAX,
                       IKEV2_IKE_AUTH, 0, "the response has no AUTH payload");
        return;
    }
    if (error->type == IKEV2_AUTHENTICATION_FAILED &&
        (t->sa->handshake->ppk_mixed || t->sa->handshake->ppk_early)) {
        struct ikev2_failure failure;

        ikev2_ppk_failure(t->sa->policy->ppk, IKEV2_FAIL_PPK_REFUSED, IKEV2_IKE_AUTH,
                          (struct slice){NULL, 0}, &failure);
        ikev2_over(t, &failure);
        return;
    }
    if (error->type == IKEV2_AUTHENTICATION_FAILED) {
        struct ikev2_failure failure;

        ikev2_failure_set(&failure,
                          t->sa->handshake->resume != NULL ? IKEV2_FAIL_NOT_RESUMED
                                                           : IKEV2_FAIL_AUTH_REFUSED,
                          IKEV2_IKE_AUTH, error->type, "");
        ikev2_failure_identities(&failure, &t->sa->policy->local_id, NULL);
        ikev2_over(t, &failure);
        return;
    }
    ikev2_over_for(t,
                   error->type == IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD ? IKEV2_FAIL_CRITICAL_PAYLOAD
                                                                     : IKEV2_FAIL_PEER_ERROR,
                   IKEV2_IKE_AUTH, error->type, "");
}

static void ask_about_responder(struct ikev2_turn *t, const struct ikev2_message *m,
                                const struct ikev2_id_payload *id,
                                const struct ikev2_auth_payload *auth,
                                const struct ike_identity *peer_id)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_auth_octets octets;
    uint8_t int_auth[IKEV2_INT_AUTH_BYTES_MAX];
    struct ikev2_failure failure;
    const char *wrong = "no memory";

    if (peer_octets(sa, &sa->current->keys, id->whole, int_auth, &octets) &&
        ikev2_handshake_keep(sa->handshake, m)) {
        wrong = ikev2_certify_ask_verify(t, sa->policy, m, &octets, auth, peer_id);
    }
    if (wrong != NULL) {
        ikev2_failure_set(&failure, IKEV2_FAIL_AUTH_METHOD, IKEV2_IKE_AUTH, 0, wrong);
        ikev2_failure_identities(&failure, NULL, peer_id);
        auth_reject(t, &failure);
    }
}

/* RFC 5723 4.3.3: both sides are those of the IKE SA before, under the same names. */
static bool resumed_peer_is_right(struct ikev2_sa *sa, struct slice id_whole,
                                  const struct ikev2_auth_payload *auth,
                                  const struct ike_identity *said)
{
    const struct ike_identity *known = &sa->handshake->resume->session.peer_id;
    struct ikev2_auth_octets octets;
    uint8_t int_auth[IKEV2_INT_AUTH_BYTES_MAX];

    return said->type == known->type &&
           slice_equal((struct slice){said->data, said->length},
                       (struct slice){known->data, known->length}) &&
           peer_octets(sa, &sa->current->keys, id_whole, int_auth, &octets) &&
           ikev2_resume_auth_is_right(sa, &octets, auth);
}

/* True when the responder is who he must be; else it is over, or that is asked. */
static bool auth_check_responder(struct ikev2_turn *t, const struct ikev2_message *m,
                                 struct ike_identity *peer_id)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_id_payload id;
    struct ikev2_auth_payload auth;
    struct ikev2_failure failure;

    if (!m->has[IKEV2_IDR] || !ikev2_read_id(m->body[IKEV2_IDR], &id) ||
        !ikev2_read_auth(m->body[IKEV2_AUTH], &auth) ||
        !ike_identity_set(peer_id, id.type, id.data)) {
        ikev2_failure_set(&failure, IKEV2_FAIL_SYNTAX, IKEV2_IKE_AUTH, 0,
                          "IDr or AUTH is missing or malformed");
        auth_reject(t, &failure);
        return false;
    }
    bool by_signature = ikev2_certify_is_signature(auth.method);

    if (sa->handshake->resume != NULL) {
        if (!resumed_peer_is_right(sa, id.whole, &auth, peer_id)) {
            ikev2_failure_set(&failure, IKEV2_FAIL_NOT_RESUMED, IKEV2_IKE_AUTH,
                              IKEV2_AUTHENTICATION_FAILED, "");
            auth_reject(t, &failure);
            return false;
        }
        return true;
    }
    if (!method_fits(sa->policy, auth.method) ||
        (peer_id->type == IKEV2_ID_NULL && !sa->policy->null_auth)) {
        ikev2_failure_set(&failure, IKEV2_FAIL_AUTH_METHOD, IKEV2_IKE_AUTH, 0,
                          sa->policy->null_auth ? "the responder authenticates, and the site says "
                                                  "unauthenticated"
                          : sa->policy->certificates != NULL
                              ? "the responder does not authenticate by certificate"
                              : "the responder does not authenticate by shared key");
        ikev2_failure_identities(&failure, NULL, peer_id);
        auth_reject(t, &failure);
        return false;
    }
    if (by_signature) {
        ask_about_responder(t, m, &id, &auth, peer_id);
        return false;
    }
    if (!peer_auth_is_right(sa, &sa->current->keys, key_of(sa->policy, &sa->current->keys, false),
                            id.whole, auth.data)) {
        ikev2_failure_set(&failure, IKEV2_FAIL_PEER_AUTH, IKEV2_IKE_AUTH,
                          IKEV2_AUTHENTICATION_FAILED, "");
        ikev2_failure_identities(&failure, &sa->policy->peer_id, peer_id);
        auth_reject(t, &failure);
        return false;
    }
    if (sa->policy->peer_id.type != 0 &&
        !ike_identity_matches(&sa->policy->peer_id, peer_id, sa->policy->strict_id_types)) {
        ikev2_failure_set(&failure, IKEV2_FAIL_PEER_IDENTITY, IKEV2_IKE_AUTH,
                          IKEV2_AUTHENTICATION_FAILED, "");
        ikev2_failure_identities(&failure, &sa->policy->peer_id, peer_id);
        auth_reject(t, &failure);
        return false;
    }
    return true;
}

/* The first child; what goes wrong with it leaves the IKE SA up (RFC 7296 2.21.2). */
static void auth_take_child(struct ikev2_turn *t, struct ikev2_ike *ike,
                            const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_failure failure;

    if (!m->has[IKEV2_SA]) {
        ikev2_child_refused(h->child, ikev2_message_error(m), IKEV2_IKE_AUTH, &failure);
        ikev2_tell_child_failed(t, h->child->policy, &failure);
        return;
    }
    if (!ikev2_child_verify(sa, m, PROPOSAL_WITHOUT_KE, h->child, &failure)) {
        ikev2_tell_child_failed(t, h->child->policy, &failure);
        ikev2_informational_disown(t, ike, ikev2_child_policy_protocol(h->child->policy),
                                   h->child->spi_in);
        return;
    }
    struct ikev2_child *child = ikev2_child_install(t, ike, h->child, &h->nonce_i, &h->nonce_r);

    if (child != NULL) {
        ikev2_child_use(t, child);
    }
}

static void auth_accept_responder(struct ikev2_turn *t, struct ikev2_ike *ike,
                                  const struct ikev2_message *m, const struct ike_identity *peer_id)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_child_policy *first = NULL;

    if (ikev2_redirect_auth(t, m) || !keep_peer_id(t, peer_id)) {
        return;
    }
    ikev2_mobile_read_auth(sa, m);
    establish(t, peer_id);
    if (sa->state == IKEV2_STATE_OVER) {
        return;
    }
    ikev2_reauthenticate_read(t, m);
    ikev2_resume_take_ticket(t, m, peer_id);
    ikev2_crash_read(sa, ike, m);
    if (h->child != NULL) {
        first = h->child->policy;
        auth_take_child(t, ike, m);
    }
    for (size_t i = 0; i < sa->policy->child_count; i++) {
        const struct ikev2_child_policy *policy = &sa->policy->children[i];

        if (policy->start && policy != first && !ikev2_pend(sa, policy, NULL, t->now_ms, 0)) {
            break;
        }
    }
    ikev2_handshake_end(t);
}

void ikev2_auth_response(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_message *m)
{
    struct ike_identity peer_id;

    ikev2_request_done(t, ike);
    if (m->critical != 0) {
        ikev2_over_for(t, IKEV2_FAIL_CRITICAL_PAYLOAD, IKEV2_IKE_AUTH, 0, "in a response");
        return;
    }
    if (!m->has[IKEV2_AUTH]) {
        auth_refused(t, m);
        return;
    }
    struct ikev2_failure failure;

    if (!ikev2_ppk_read_response(t->sa, m, &failure)) {
        auth_reject(t, &failure);
        return;
    }
    if (auth_check_responder(t, m, &peer_id)) {
        auth_accept_responder(t, ike, m, &peer_id);
    }
}

/* ---- responder ---- */

static void refuse(struct ikev2_turn *t, struct ikev2_ike *ike, uint16_t notify,
                   const struct ikev2_failure *failure)
{
    ikev2_send_notify(t, ike, notify, (struct slice){NULL, 0});
    ikev2_over(t, failure);
}

static void refuse_for(struct ikev2_turn *t, struct ikev2_ike *ike, uint16_t notify,
                       enum ikev2_failure_reason reason, const char *detail)
{
    struct ikev2_failure failure;

    ikev2_failure_set(&failure, reason, IKEV2_IKE_AUTH, notify, detail);
    ikev2_failure_identities(&failure, NULL,
                             t->sa->handshake != NULL && t->sa->handshake->peer_id.type != 0
                                 ? &t->sa->handshake->peer_id
                                 : NULL);
    refuse(t, ike, notify, &failure);
}

static void ask_peer(struct ikev2_turn *t, const struct ikev2_message *m, bool proves_nothing)
{
    struct ikev2_handshake *h = t->sa->handshake;
    struct ikev2_action *action = ikev2_act(t, IKEV2_ASK_PEER);
    struct ikev2_id_payload requested;

    h->ask_peer = ikev2_question(t->sa);
    h->ask_deadline_ms = ikev2_after(t->now_ms, IKEV2_ASK_MS);
    action->peer.id = h->ask_peer;
    action->peer.peer_id = h->peer_id;
    action->peer.proves_nothing = proves_nothing;
    if (m->has[IKEV2_IDR] && ikev2_read_id(m->body[IKEV2_IDR], &requested) &&
        !ike_identity_set(&action->peer.requested_id, requested.type, requested.data)) {
        action->peer.requested_id.type = 0;
    }
}

void ikev2_auth_request(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_id_payload id;
    struct ikev2_auth_payload auth;

    sa->state = IKEV2_STATE_AUTH;
    h->auth_message_id = m->header.message_id;
    if (m->critical != 0) {
        ikev2_send_notify(t, ike, IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD,
                          (struct slice){&m->critical, 1});
        ikev2_over_for(t, IKEV2_FAIL_CRITICAL_PAYLOAD, IKEV2_IKE_AUTH,
                       IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD, "");
        return;
    }
    if (!m->has[IKEV2_IDI] || !ikev2_read_id(m->body[IKEV2_IDI], &id) || !child_payloads_fit(m)) {
        refuse_for(t, ike, IKEV2_INVALID_SYNTAX, IKEV2_FAIL_SYNTAX, "a malformed IKE_AUTH");
        return;
    }
    if (!ike_identity_set(&h->peer_id, id.type, id.data)) {
        h->peer_id.type = 0;
        refuse_for(t, ike, IKEV2_AUTHENTICATION_FAILED, IKEV2_FAIL_PEER_UNKNOWN,
                   "the identity is longer than any that we know");
        return;
    }
    if (!m->has[IKEV2_AUTH]) {
        /* RFC 7296 2.16: leaving it out asks for EAP. */
        refuse_for(t, ike, IKEV2_AUTHENTICATION_FAILED, IKEV2_FAIL_AUTH_METHOD,
                   "the peer wants EAP");
        return;
    }
    if (!ikev2_read_auth(m->body[IKEV2_AUTH], &auth)) {
        refuse_for(t, ike, IKEV2_INVALID_SYNTAX, IKEV2_FAIL_SYNTAX, "a malformed AUTH payload");
        return;
    }
    bool proves_nothing = auth.method == IKEV2_AUTH_NULL && sa->responder->null_auth;

    if (auth.method != IKEV2_AUTH_SHARED_KEY && !ikev2_certify_is_signature(auth.method) &&
        !proves_nothing) {
        refuse_for(t, ike, IKEV2_AUTHENTICATION_FAILED, IKEV2_FAIL_AUTH_METHOD,
                   "the peer authenticates neither by shared key nor by certificate");
        return;
    }
    if (!ikev2_handshake_keep(h, m)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no memory");
        return;
    }
    if (h->peer_id.type == IKEV2_ID_NULL && !proves_nothing) {
        refuse_for(t, ike, IKEV2_AUTHENTICATION_FAILED, IKEV2_FAIL_PEER_UNKNOWN, "");
        return;
    }
    ikev2_certify_read(h, m);
    ask_peer(t, m, proves_nothing);
}

/* Whom nobody knows costs as much time as whom we know: a key that nobody has. */
static bool is_authentic(struct ikev2_sa *sa, const struct ikev2_policy *policy,
                         const struct ikev2_message *m)
{
    struct ikev2_id_payload id;
    struct ikev2_auth_payload auth;
    struct secret nobody = {0};
    bool ok = ikev2_read_id(m->body[IKEV2_IDI], &id) &&
              ikev2_read_auth(m->body[IKEV2_AUTH], &auth) && secret_reserve(&nobody, 32);

    if (ok) {
        random_fill(sa->random, nobody.bytes, nobody.length);
        ikev2_ppk_take_auth(sa->handshake, m, &auth);
        ok = peer_auth_is_right(sa, &sa->current->keys,
                                policy != NULL ? key_of(policy, &sa->current->keys, true) : &nobody,
                                id.whole, auth.data);
    }
    secret_wipe(&nobody);
    return ok && policy != NULL;
}

/* The suite was agreed before anybody knew who asks. False: it is over. */
static bool suite_is_allowed(struct ikev2_turn *t, const struct ikev2_policy *policy)
{
    struct ikev2_ike *ike = t->sa->current;

    if (policy->post_quantum_required &&
        !proposal_choice_is_post_quantum(&t->sa->handshake->choice)) {
        struct ikev2_failure failure;

        ikev2_failure_not_post_quantum(&failure, IKEV2_IKE_AUTH, IKEV2_AUTHENTICATION_FAILED,
                                       &ike->keys.suite);
        refuse(t, ike, IKEV2_AUTHENTICATION_FAILED, &failure);
        return false;
    }
    if (!proposal_allows_choice(policy->ike, PROTOCOL_IKE, &t->sa->handshake->choice)) {
        struct ikev2_failure failure;
        struct text theirs;
        const struct proposals *ours = policy->ike;

        ikev2_failure_set(&failure, IKEV2_FAIL_SUITE_NOT_ALLOWED, IKEV2_IKE_AUTH,
                          IKEV2_AUTHENTICATION_FAILED, "");
        ikev2_failure_proposals(&failure, &ours, 1, NULL, PROTOCOL_IKE);
        theirs = text_over(failure.theirs, sizeof(failure.theirs));
        char title[128];

        suite_title(&ike->keys.suite, title, sizeof(title));
        text_add(&theirs, title);
        refuse(t, ike, IKEV2_AUTHENTICATION_FAILED, &failure);
        return false;
    }
    return true;
}

/* The peer's AUTH, with a PPK in it, is wrong: whether the shared key is to blame, as far as he let
 * us know. */
static bool plain_is_wrong(struct ikev2_sa *sa, const struct ikev2_policy *policy,
                           const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *plain = ikev2_message_notify(m, IKEV2_NO_PPK_AUTH);
    struct ikev2_id_payload id;

    return plain != NULL && ikev2_read_id(m->body[IKEV2_IDI], &id) &&
           !peer_auth_is_right(sa, &sa->handshake->plain,
                               key_of(policy, &sa->handshake->plain, true), id.whole, plain->data);
}

/* False: a PPK is to blame that the peer does not come in, and it is over. */
static bool ppk_allows(struct ikev2_turn *t, const struct ikev2_policy *policy,
                       const struct ikev2_message *m, bool authentic)
{
    struct ikev2_sa *sa = t->sa;
    const struct ikev2_handshake *h = sa->handshake;
    enum ikev2_failure_reason reason = h->ppk_wrong;
    struct ikev2_failure failure;

    if (!authentic) {
        if (h->ppk_mixed && (policy->certificates != NULL || !plain_is_wrong(sa, policy, m))) {
            reason = IKEV2_FAIL_PPK_DIFFERS;
        } else if (ikev2_ppk_is_checked(h, m)) {
            return true; /* he is not himself in any case */
        }
    }
    if (reason == IKEV2_FAIL_NONE) {
        return true;
    }
    ikev2_ppk_failure(policy->ppk, reason, IKEV2_IKE_AUTH, ikev2_ppk_named(h, m), &failure);
    refuse(t, sa->current, IKEV2_AUTHENTICATION_FAILED, &failure);
    return false;
}

/* True when this peer may come in by the shared key; else it is over. */
static bool auth_check_initiator(struct ikev2_turn *t, const struct ikev2_policy *policy,
                                 const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    bool authentic = is_authentic(sa, policy, m);

    if (policy == NULL) {
        refuse_for(t, ike, IKEV2_AUTHENTICATION_FAILED, IKEV2_FAIL_PEER_UNKNOWN, "");
        return false;
    }
    if (!ppk_allows(t, policy, m, authentic)) {
        return false;
    }
    if (!authentic) {
        refuse_for(t, ike, IKEV2_AUTHENTICATION_FAILED, IKEV2_FAIL_PEER_AUTH, "");
        return false;
    }
    if (policy->peer_id.type != 0 &&
        !ike_identity_matches(&policy->peer_id, &h->peer_id, policy->strict_id_types)) {
        struct ikev2_failure failure;

        ikev2_failure_set(&failure, IKEV2_FAIL_PEER_IDENTITY, IKEV2_IKE_AUTH,
                          IKEV2_AUTHENTICATION_FAILED, "");
        ikev2_failure_identities(&failure, &policy->peer_id, &h->peer_id);
        refuse(t, ike, IKEV2_AUTHENTICATION_FAILED, &failure);
        return false;
    }
    return suite_is_allowed(t, policy);
}

/* By signature: who is not known is asked about too, and refused when the answer is there. */
static void ask_about_initiator(struct ikev2_turn *t, const struct ikev2_policy *policy,
                                const struct ikev2_message *m,
                                const struct ikev2_auth_payload *auth)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_id_payload id;
    struct ikev2_auth_octets octets;
    uint8_t int_auth[IKEV2_INT_AUTH_BYTES_MAX];
    const char *wrong = "no memory";

    h->candidate = policy;
    if (ikev2_read_id(m->body[IKEV2_IDI], &id) &&
        peer_octets(sa, &sa->current->keys, id.whole, int_auth, &octets)) {
        wrong = ikev2_certify_ask_verify(t, policy, m, &octets, auth, &h->peer_id);
    }
    if (wrong != NULL) {
        refuse_for(t, sa->current, IKEV2_AUTHENTICATION_FAILED,
                   policy == NULL ? IKEV2_FAIL_PEER_UNKNOWN : IKEV2_FAIL_AUTH_METHOD,
                   policy == NULL ? "" : wrong);
    }
}

static void accept_initiator(struct ikev2_turn *t, const struct ikev2_policy *policy,
                             const struct ikev2_message *m);

void ikev2_auth_answer_peer(struct ikev2_turn *t, const struct ikev2_policy *policy)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_message *m = ikev2_handshake_kept(sa);
    struct ikev2_auth_payload auth;

    h->ask_peer = 0;
    h->ask_deadline_ms = NEVER_MS;
    if (m == NULL || !ikev2_read_auth(m->body[IKEV2_AUTH], &auth)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no memory");
        return;
    }
    if (h->resume == NULL && !ikev2_ppk_choose(sa, policy, m)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no keys were derived");
        return;
    }
    bool by_signature = ikev2_certify_is_signature(auth.method);

    ikev2_ppk_take_auth(h, m, &auth);
    if (h->resume != NULL) {
        struct ikev2_id_payload id;

        if (ikev2_read_id(m->body[IKEV2_IDI], &id) && ikev2_resume_fits(h, policy) &&
            resumed_peer_is_right(sa, id.whole, &auth, &h->peer_id)) {
            ikev2_tickets_use(h->tickets, h->resume->session.number);
            accept_initiator(t, policy, m);
        } else {
            refuse_for(t, sa->current, IKEV2_AUTHENTICATION_FAILED, IKEV2_FAIL_NOT_RESUMED, "");
        }
    } else if (policy != NULL && !method_fits(policy, auth.method)) {
        refuse_for(t, sa->current, IKEV2_AUTHENTICATION_FAILED, IKEV2_FAIL_AUTH_METHOD,
                   policy->null_auth || auth.method == IKEV2_AUTH_NULL
                       ? "one side says that nobody authenticates, and the other does not"
                   : by_signature ? "the peer authenticates by certificate, and a shared key is "
                                    "configured"
                                  : "the peer authenticates by shared key, and none is configured");
    } else if (by_signature) {
        ask_about_initiator(t, policy, m, &auth);
    } else if (auth_check_initiator(t, policy, m)) {
        accept_initiator(t, policy, m);
    }
}

static void accept_initiator(struct ikev2_turn *t, const struct ikev2_policy *policy,
                             const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_failure failure;

    sa->policy = policy;
    sa->responder = NULL;
    sa->fragment_bytes = policy->fragment_bytes;
    ikev2_mobile_read_auth(sa, m);
    if (sa->mobile &&
        ikev2_mobile_is_unexpected(m, &sa->current->reply_local, &sa->current->reply_peer)) {
        /* RFC 4555 3.9 */
        refuse_for(t, sa->current, IKEV2_UNEXPECTED_NAT_DETECTED, IKEV2_FAIL_PEER_ERROR,
                   "a NAT is on the way, and the peer allows none");
        return;
    }
    if (!m->has[IKEV2_SA]) {
        ikev2_auth_continue(t, true);
        return;
    }
    h->child = ikev2_work_new(IKEV2_WORK_CHILD, false);
    if (h->child == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no memory");
        return;
    }
    h->child_notify = ikev2_child_match(sa, m, PROPOSAL_WITHOUT_KE, NULL, h->child, &failure);
    if (h->child_notify == IKEV2_INVALID_SYNTAX) {
        refuse(t, sa->current, IKEV2_INVALID_SYNTAX, &failure);
        return;
    }
    if (h->child_notify != 0) {
        h->child_failure = failure;
        ikev2_auth_continue(t, true);
        return;
    }
    ikev2_work_ask_spi(t, h->child);
}

static void auth_respond(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    struct ikev2_outgoing o NOT_ZEROED;
    struct ikev2_child *child = NULL;

    if (!own_proof_is_ready(t, sa->policy)) {
        return;
    }
    struct ikev2_message *m = ikev2_handshake_kept(sa);

    ikev2_out_begin(&o);
    ikev2_out_id(&o, IKEV2_IDR, &sa->policy->local_id);
    if (sa->policy->certificates != NULL && h->resume == NULL) {
        ikev2_certify_out_certificates(t, &o, sa->policy->certificates);
    }
    if (m == NULL || !out_own_auth(sa, sa->policy, &o)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "AUTH could not be computed");
        return;
    }
    if (ikev2_redirect_respond(t, ike, &o) || !keep_peer_id(t, &h->peer_id)) {
        return;
    }
    bool initial_contact =
        ikev2_message_notify(m, IKEV2_INITIAL_CONTACT) != NULL && !sa->policy->null_auth;

    establish(t, &h->peer_id);
    if (sa->state == IKEV2_STATE_OVER) {
        return;
    }
    ikev2_reauthenticate_out(sa->policy, &o);
    ikev2_resume_out_ticket(t, m, &o);
    ikev2_crash_out(sa, ike, &o);
    ikev2_crash_read(sa, ike, m);
    if (initial_contact) {
        ikev2_act(t, IKEV2_TELL_INITIAL_CONTACT);
    }
    if (h->child_notify != 0) {
        ikev2_out_notify(&o, h->child_notify, (struct slice){NULL, 0});
        ikev2_tell_child_failed(t, h->child->policy, &h->child_failure);
    } else if (h->child != NULL) {
        ikev2_child_write_response(sa, &o, h->child, PROPOSAL_WITHOUT_KE);
        child = ikev2_child_install(t, ike, h->child, &h->nonce_i, &h->nonce_r);
    }
    ikev2_mobile_out_auth(sa, &o);
    if (h->ppk_mixed) {
        ikev2_out_notify(&o, IKEV2_PPK_IDENTITY, (struct slice){NULL, 0});
    }
    if (sa->state != IKEV2_STATE_OVER && ikev2_send_response(t, ike, &o) && child != NULL) {
        /* Beside another IKE SA, which carries the traffic: what is sent through this one before
         * the peer has our answer would be lost. */
        if (!h->beside) {
            ikev2_child_use(t, child);
        } else {
            child->use_ms = ikev2_after(t->now_ms, IKEV2_FIRST_USE_MS);
        }
    }
    ikev2_handshake_end(t);
}

void ikev2_auth_continue(struct ikev2_turn *t, bool ok)
{
    struct ikev2_handshake *h = t->sa->handshake;

    if (t->sa->initiator) {
        if (!ok) {
            ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no SPI is free");
            return;
        }
        auth_send(t);
        return;
    }
    if (!ok) {
        h->child_notify = IKEV2_NO_ADDITIONAL_SAS;
        ikev2_failure_set(&h->child_failure, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH,
                          IKEV2_NO_ADDITIONAL_SAS, "no SPI is free");
    }
    auth_respond(t);
}

/* ---- signatures ---- */

static void signed_now(struct ikev2_turn *t, const struct ikev2_proof *proof)
{
    if (proof->result == IKEV2_PROOF_OWN_KEY) {
        ikev2_over_for(t, IKEV2_FAIL_OWN_KEY, IKEV2_IKE_AUTH, 0, proof->verdict.said);
    } else if (!ikev2_certify_take_signature(t, proof)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "nothing could be signed");
    } else if (t->sa->initiator) {
        auth_send(t);
    } else {
        auth_respond(t);
    }
}

static void responder_verified(struct ikev2_turn *t, struct ikev2_proof *proof)
{
    struct ikev2_message *m = ikev2_handshake_kept(t->sa);
    struct ikev2_failure failure;

    if (proof->result != IKEV2_PROOF_GOOD || m == NULL) {
        ikev2_certify_failure(proof, &failure);
        auth_reject(t, &failure);
        return;
    }
    auth_accept_responder(t, t->sa->current, m, &proof->said);
}

static void initiator_verified(struct ikev2_turn *t, struct ikev2_proof *proof)
{
    struct ikev2_handshake *h = t->sa->handshake;
    const struct ikev2_policy *policy = h->candidate;
    struct ikev2_message *m = ikev2_handshake_kept(t->sa);
    struct ikev2_failure failure;

    if (policy == NULL) {
        refuse_for(t, t->sa->current, IKEV2_AUTHENTICATION_FAILED, IKEV2_FAIL_PEER_UNKNOWN, "");
        return;
    }
    bool good = proof->result == IKEV2_PROOF_GOOD;

    if (m != NULL && (good || proof->result == IKEV2_PROOF_SIGNATURE) &&
        !ppk_allows(t, policy, m, good)) {
        return;
    }
    if (!good || m == NULL) {
        ikev2_certify_failure(proof, &failure);
        refuse(t, t->sa->current, IKEV2_AUTHENTICATION_FAILED, &failure);
        return;
    }
    h->peer_id = proof->said;
    if (suite_is_allowed(t, policy)) {
        accept_initiator(t, policy, m);
    }
}

void ikev2_auth_answer_proof(struct ikev2_turn *t, struct ikev2_proof *proof)
{
    struct ikev2_handshake *h = t->sa->handshake;

    h->ask_proof = 0;
    h->ask_deadline_ms = NEVER_MS;
    if (proof->sign) {
        signed_now(t, proof);
    } else if (t->sa->initiator) {
        responder_verified(t, proof);
    } else {
        initiator_verified(t, proof);
    }
}
