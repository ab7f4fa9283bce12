/*
 * Session resumption (RFC 5723): decides with whom it goes on where an earlier IKE SA was, without
 * a key exchange and without proofs. What stands in a ticket says who the peer is; that he has the
 * keys of the earlier IKE SA, IKE_AUTH shows. What is configured about him must be the same as when
 * he got it, and it is good once.
 *
 * Whoever answers that he does not take the ticket is believed: a full handshake follows.
 */
#include "proto/ikev2/machine.h"

#include <string.h>

#define MESSAGE_BYTES_MAX 2048
#define COOKIES_MAX 5
#define LIFETIME_BYTES 4

/* ---- what both write ---- */

static void out_natd(struct ikev2_sa *sa, struct ikev2_outgoing *o, uint64_t spi_i, uint64_t spi_r,
                     bool force)
{
    uint8_t source[NATD_HASH_BYTES], destination[NATD_HASH_BYTES];

    ikev2_init_natd_hashes(sa, spi_i, spi_r, force, source, destination);
    ikev2_out_notify(o, IKEV2_NAT_DETECTION_SOURCE_IP, SLICE_OF(source));
    ikev2_out_notify(o, IKEV2_NAT_DETECTION_DESTINATION_IP, SLICE_OF(destination));
}

static bool send(struct ikev2_turn *t, uint64_t spi_i, uint64_t spi_r, struct ikev2_outgoing *o,
                 bool request, struct slice *kept)
{
    const struct ikev2_header header = {
        .spi_i = spi_i,
        .spi_r = spi_r,
        .next_payload = o->first,
        .version = IKEV2_VERSION_2_0,
        .exchange = IKEV2_IKE_SESSION_RESUME,
        .flags = request ? IKEV2_FLAG_INITIATOR : IKEV2_FLAG_RESPONSE,
    };
    uint8_t bytes[MESSAGE_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));

    ikev2_write_header(&w, &header);
    write_slice(&w, writer_written(&o->w));
    ikev2_finish_message(&w);
    if (!writer_ok(&o->w) || !writer_ok(&w) ||
        (kept != NULL && !ikev2_block_copy(writer_written(&w), kept))) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SESSION_RESUME, 0, "no memory");
        return false;
    }
    ikev2_send_clear(t, t->sa->current, writer_written(&w), request);
    return true;
}

static bool derive(struct ikev2_sa *sa)
{
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_session *s = &h->resume->session;

    h->choice = (struct proposal_choice){.suite = s->suite};
    return ikev2_keys_resume(&s->suite, &s->sk_d, ikev2_nonce_slice(&h->nonce_i),
                             ikev2_nonce_slice(&h->nonce_r), sa->current->spi_i, sa->current->spi_r,
                             &sa->current->keys);
}

void ikev2_resume_end(struct ikev2_turn *t, struct ikev2_handshake *h)
{
    if (h->resume != NULL) {
        ikev2_session_fini(&h->resume->session);
        ikev2_block_bury(t->sa, h->resume);
        h->resume = NULL;
    }
}

/* ---- initiator ---- */

bool ikev2_sa_resume(struct ikev2_sa *sa, const struct ikev2_session *session, struct slice ticket)
{
    struct ikev2_handshake *h = sa->handshake;

    if (!sa->initiator || sa->state != IKEV2_STATE_NEW || h->resume != NULL || ticket.length == 0 ||
        ticket.length > IKEV2_TICKET_BYTES_MAX) {
        return false;
    }
    h->resume = ikev2_block_new(sizeof(*h->resume));
    if (h->resume == NULL || !ikev2_session_copy(&h->resume->session, session)) {
        ikev2_block_bury(sa, h->resume);
        h->resume = NULL;
        return false;
    }
    h->resume->ticket_bytes = (uint16_t)ticket.length;
    memcpy(h->resume->ticket, ticket.data, ticket.length);
    return true;
}

void ikev2_resume_send(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_resume *resume = h->resume;
    struct ikev2_outgoing o NOT_ZEROED;

    ikev2_out_begin(&o);
    if (h->cookie_length > 0) {
        ikev2_out_notify(&o, IKEV2_COOKIE, (struct slice){h->cookie, h->cookie_length});
    }
    ikev2_out_nonce(&o, &h->nonce_i);
    ikev2_out_notify(&o, IKEV2_TICKET_OPAQUE, (struct slice){resume->ticket, resume->ticket_bytes});
    if (sa->policy->allow_encapsulation) {
        out_natd(sa, &o, sa->current->spi_i, 0, sa->policy->force_encapsulation);
    }
    if (sa->policy->fragmentation) {
        ikev2_out_notify(&o, IKEV2_FRAGMENTATION_SUPPORTED, (struct slice){NULL, 0});
    }
    uint8_t from[IKEV2_REDIRECT_BYTES_MAX];
    struct writer w = writer_over(from, sizeof(from));
    uint16_t redirects = ikev2_redirect_supported(sa, &w);

    if (redirects != 0) {
        ikev2_out_notify(&o, redirects, writer_written(&w));
    }
    h->prefers_udp =
        sa->policy->allow_encapsulation && !sa->policy->no_vendor_ids && ikev2_init_can_float(sa);
    if (h->prefers_udp) {
        ikev2_write_payload(&o.chain, IKEV2_VENDOR_ID, ikev2_init_prefers_udp());
    }
    ikev2_block_drop(sa, &h->own_message);
    (void)send(t, sa->current->spi_i, 0, &o, true, &h->own_message);
}

/* RFC 5723 4.3.2: a full handshake in its place. Nothing of this one is used in it. */
static void begin_anew(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    ikev2_resume_end(t, h);
    ikev2_block_drop(sa, &h->own_message);
    h->cookies = 0;
    h->cookie_length = 0;
    ikev2_ike_forget(t, sa->current);
    sa->current = NULL;
    ikev2_init_start(t);
}

static void take_cookie(struct ikev2_turn *t, const struct ikev2_notify_payload *n)
{
    struct ikev2_handshake *h = t->sa->handshake;

    if (n->data.length == 0 || n->data.length > sizeof(h->cookie) || h->cookies == COOKIES_MAX) {
        return;
    }
    h->cookies++;
    h->cookie_length = (uint8_t)n->data.length;
    memcpy(h->cookie, n->data.data, n->data.length);
    ikev2_resume_send(t);
}

static void go_on(struct ikev2_turn *t, const struct ikev2_message *m, struct slice message,
                  const struct endpoint *local, const struct endpoint *peer)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;

    sa->current->spi_r = m->header.spi_r;
    ikev2_init_read_natd(&h->natd, m, local, peer);
    h->peer_fragments = ikev2_message_notify(m, IKEV2_FRAGMENTATION_SUPPORTED) != NULL;
    h->peer_childless = ikev2_message_notify(m, IKEV2_CHILDLESS_SUPPORTED) != NULL;
    h->peer_prefers_udp = ikev2_message_vendor(m, ikev2_init_prefers_udp());
    if (!ikev2_block_copy(message, &h->peer_message) || !derive(sa)) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SESSION_RESUME, 0,
                       "no keys were derived");
        return;
    }
    ikev2_request_done(t, sa->current);
    ikev2_init_take_natd(sa);
    ikev2_init_float(sa);
    sa->fragmentation = sa->policy->fragmentation && h->peer_fragments;
    ikev2_auth_begin(t);
}

void ikev2_resume_response(struct ikev2_turn *t, struct ikev2_message *m, struct slice message,
                           const struct endpoint *local, const struct endpoint *peer)
{
    struct ikev2_handshake *h = t->sa->handshake;

    if (t->sa->current->request == NULL || m->header.message_id != 0 || !ikev2_message_read(m)) {
        return;
    }
    ikev2_trace(t, false, false, &m->header, m->first, m->chain);
    const struct ikev2_notify_payload *cookie = ikev2_message_notify(m, IKEV2_COOKIE);

    if (m->header.spi_r != 0 && m->critical == 0 && ikev2_message_nonce(m, &h->nonce_r)) {
        go_on(t, m, message, local, peer);
    } else if (cookie != NULL) {
        take_cookie(t, cookie);
    } else if (ikev2_message_notify(m, IKEV2_TICKET_NACK) != NULL ||
               ikev2_message_error(m) != NULL) {
        begin_anew(t);
    }
}

/* ---- responder ---- */

static void refuse(struct ikev2_turn *t, const struct ikev2_message *m)
{
    struct ikev2_outgoing o NOT_ZEROED;

    ikev2_out_begin(&o);
    ikev2_out_notify(&o, IKEV2_TICKET_NACK, (struct slice){NULL, 0});
    if (send(t, m->header.spi_i, 0, &o, false, NULL)) {
        ikev2_over_for(t, IKEV2_FAIL_NONE, IKEV2_IKE_SESSION_RESUME, IKEV2_TICKET_NACK, "");
    }
}

static void respond(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    struct ikev2_outgoing o NOT_ZEROED;

    ikev2_out_begin(&o);
    ikev2_out_nonce(&o, &h->nonce_r);
    if (natd_is_supported(&h->natd)) {
        out_natd(sa, &o, ike->spi_i, ike->spi_r,
                 sa->responder->force_encapsulation && !sa->udp_agreed);
    }
    if (sa->fragmentation) {
        ikev2_out_notify(&o, IKEV2_FRAGMENTATION_SUPPORTED, (struct slice){NULL, 0});
    }
    ikev2_out_notify(&o, IKEV2_CHILDLESS_SUPPORTED, (struct slice){NULL, 0});
    if (sa->udp_agreed) {
        ikev2_write_payload(&o.chain, IKEV2_VENDOR_ID, ikev2_init_prefers_udp());
    }
    sa->state = IKEV2_STATE_HALF_OPEN;
    (void)send(t, ike->spi_i, ike->spi_r, &o, false, &h->own_message);
}

void ikev2_resume_request(struct ikev2_turn *t, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    const struct ikev2_notify_payload *ticket = ikev2_message_notify(m, IKEV2_TICKET_OPAQUE);

    if (!ikev2_message_nonce(m, &h->nonce_i) || ticket == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_IKE_SESSION_RESUME, 0,
                       "a malformed IKE_SESSION_RESUME");
        return;
    }
    h->resume = ikev2_block_new(sizeof(*h->resume));
    if (h->resume == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_SESSION_RESUME, 0, "no memory");
        return;
    }
    uint8_t redirect[IKEV2_REDIRECT_BYTES_MAX];

    ikev2_redirect_hear(sa, m);
    /* Whoever is to go elsewhere begins in full, and is told then. */
    if (h->tickets == NULL || ikev2_redirect_at_once(sa, redirect) > 0 ||
        !ikev2_tickets_open(h->tickets, ticket->data, t->now_ms, &h->resume->session)) {
        refuse(t, m);
        return;
    }
    h->peer_fragments = ikev2_message_notify(m, IKEV2_FRAGMENTATION_SUPPORTED) != NULL;
    ikev2_nonce_make(sa->random, &h->nonce_r);
    if (!derive(sa)) {
        refuse(t, m);
        return;
    }
    ikev2_init_take_natd(sa);
    sa->fragmentation = sa->responder->fragmentation && h->peer_fragments;
    respond(t);
}

void ikev2_sa_set_fingerprint(struct ikev2_sa *sa, uint64_t fingerprint)
{
    if (sa->handshake != NULL) {
        sa->handshake->fingerprint = fingerprint;
    }
}

/* ---- IKE_AUTH ---- */

bool ikev2_resume_own_auth(struct ikev2_sa *sa, const struct ikev2_auth_octets *octets,
                           struct ikev2_outgoing *o)
{
    uint8_t auth[PRF_OUTPUT_BYTES_MAX];
    size_t length;

    if (!ikev2_auth_resumed(&sa->current->keys, sa->initiator, octets, auth, &length)) {
        return false;
    }
    ikev2_out_auth(o, IKEV2_AUTH_SHARED_KEY, (struct slice){auth, length});
    return true;
}

bool ikev2_resume_auth_is_right(struct ikev2_sa *sa, const struct ikev2_auth_octets *octets,
                                const struct ikev2_auth_payload *auth)
{
    uint8_t expected[PRF_OUTPUT_BYTES_MAX];
    size_t length;

    bool ok = auth->method == IKEV2_AUTH_SHARED_KEY &&
              ikev2_auth_resumed(&sa->current->keys, !sa->initiator, octets, expected, &length) &&
              auth->data.length == length &&
              equal_in_constant_time(auth->data.data, expected, length);

    wipe(expected, sizeof(expected));
    return ok;
}

static bool same_identity(const struct ike_identity *a, const struct ike_identity *b)
{
    return a->type == b->type &&
           slice_equal((struct slice){a->data, a->length}, (struct slice){b->data, b->length});
}

bool ikev2_resume_fits(const struct ikev2_handshake *h, const struct ikev2_policy *policy)
{
    const struct ikev2_session *s = &h->resume->session;

    return policy != NULL && policy->resume_s != 0 && s->fingerprint == h->fingerprint &&
           same_identity(&s->local_id, &policy->local_id);
}

/* What is to be remembered of this IKE SA, until the next event; NULL: no memory. */
static struct ikev2_session *session_now(struct ikev2_turn *t, uint64_t lifetime_ms,
                                         const struct ike_identity *peer_id)
{
    struct ikev2_sa *sa = t->sa;
    const struct secret *sk_d = &sa->current->keys.sk_d;
    struct ikev2_session *session = ikev2_turn_memory(sa, sizeof(*session) + sk_d->length);

    if (session == NULL) {
        return NULL;
    }
    *session = (struct ikev2_session){
        .suite = sa->current->keys.suite,
        .post_quantum = sa->post_quantum,
        .ppk = sa->ppk,
        .until_ms = ikev2_after(t->now_ms, lifetime_ms),
        .fingerprint = sa->handshake->fingerprint,
        .local_id = sa->policy->local_id,
        .peer_id = *peer_id,
        .sk_d = {(uint8_t *)(session + 1), sk_d->length},
    };
    memcpy(session->sk_d.bytes, sk_d->bytes, sk_d->length);
    return session;
}

/* RFC 5723 5: no longer than the proof is good. A ticket does not make it good for longer: what was
 * resumed counts as proven now, so there is none where a limit is set. */
void ikev2_resume_out_ticket(struct ikev2_turn *t, const struct ikev2_message *m,
                             struct ikev2_outgoing *o)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    uint64_t lifetime_ms = UINT64_C(1000) * sa->policy->resume_s;
    uint8_t bytes[LIFETIME_BYTES + IKEV2_TICKET_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));

    if (ikev2_message_notify(m, IKEV2_TICKET_REQUEST) == NULL || h->tickets == NULL) {
        return;
    }
    if (lifetime_ms > IKEV2_TICKET_LIFETIME_MAX_MS) {
        lifetime_ms = IKEV2_TICKET_LIFETIME_MAX_MS;
    }
    write_u32(&w, (uint32_t)(lifetime_ms / 1000));
    const struct ikev2_session *session = session_now(t, lifetime_ms, &h->peer_id);

    if (lifetime_ms != 0 && sa->policy->reauthenticate_s == 0 && session != NULL &&
        ikev2_tickets_seal(h->tickets, session, t->now_ms, sa->random, &w)) {
        ikev2_out_notify(o, IKEV2_TICKET_LT_OPAQUE, writer_written(&w));
    } else {
        ikev2_out_notify(o, IKEV2_TICKET_NACK, (struct slice){NULL, 0});
    }
}

void ikev2_resume_take_ticket(struct ikev2_turn *t, const struct ikev2_message *m,
                              const struct ike_identity *peer_id)
{
    struct ikev2_sa *sa = t->sa;
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_TICKET_LT_OPAQUE);

    if (sa->policy->resume_s == 0 || n == NULL || n->data.length <= LIFETIME_BYTES ||
        n->data.length > LIFETIME_BYTES + IKEV2_TICKET_BYTES_MAX) {
        return;
    }
    uint64_t lifetime_ms = UINT64_C(1000) * get_u32(n->data.data);
    uint64_t most_ms = UINT64_C(1000) * sa->policy->resume_s;
    const struct ikev2_session *session =
        session_now(t, lifetime_ms < most_ms ? lifetime_ms : most_ms, peer_id);

    if (session == NULL) {
        return;
    }
    struct ikev2_action *action = ikev2_act(t, IKEV2_TELL_TICKET);

    action->ticket.session = session;
    action->ticket.bytes =
        (struct slice){n->data.data + LIFETIME_BYTES, n->data.length - LIFETIME_BYTES};
}
