/*
 * Informational exchanges (RFC 2408 4.8, RFC 2409 5.7, RFC 2407 4.6.3, RFC 3706): decides what a
 * notify or a Delete means, and that only what HASH(1) covers means anything once there are keys.
 */
#include <string.h>

#include "proto/ikev1/machine.h"

/* ---- sending ---- */

static void cookies_of(const struct ikev1_ike *ike, uint8_t out[IKEV1_COOKIES_BYTES])
{
    put_u64(out, ike->spi_i);
    put_u64(out + 8, ike->spi_r);
}

uint32_t ikev1_fresh_message_id(struct ikev1_sa *sa, const struct ikev1_ike *ike)
{
    uint32_t id;

    do {
        id = random_u32(sa->random);
    } while (id == 0 || ikev1_ike_has_seen(ike, id));
    return id;
}

static void begin(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    ikev1_out_begin(o, ike, IKEV1_INFORMATIONAL, ikev1_fresh_message_id(t->sa, ike));
    ikev1_out_hash_room(o, ike);
}

/* HDR*, HASH(1), N or D. One message: when it is lost, nothing that must be is lost with it. */
static void send(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o)
{
    struct ikev1_hash_value hash;
    struct ikev1_iv iv;
    const struct endpoint local = ikev1_ike_local(t->sa, ike);
    const struct endpoint peer = ikev1_ike_peer(t->sa, ike);

    if (!writer_ok(&o->w) ||
        !ikev1_hash_1(&ike->keys, o->header.message_id, ikev1_out_behind_hash(o), &hash) ||
        !ikev1_iv_of_phase2(&ike->keys.suite, &ike->iv, o->header.message_id, &iv)) {
        return;
    }
    ikev1_out_fill_hash(o, &hash);
    /* Keys and IV are the same both ways: what we said is no news when it comes back. */
    ikev1_ike_saw(ike, o->header.message_id);
    (void)!ikev1_send(t, o, &ike->keys, &iv, &local, &peer, NULL, NULL);
}

void ikev1_send_notify(struct ikev1_turn *t, struct ikev1_ike *ike, uint8_t protocol, uint16_t type,
                       struct slice spi, struct slice data)
{
    struct ikev1_outgoing o NOT_ZEROED;

    begin(t, ike, &o);
    ikev1_out_notify(&o, protocol, type, spi, data);
    send(t, ike, &o);
}

void ikev1_send_connected(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_outgoing o NOT_ZEROED;
    const struct slice nothing = {NULL, 0};
    uint8_t spi[4];

    put_u32(spi, q->child_spi_in);
    ikev1_out_begin(&o, q->ike, IKEV1_INFORMATIONAL, q->message_id);
    ikev1_out_hash_room(&o, q->ike);
    ikev1_out_notify(&o, q->choice.protocol, IKEV1_CONNECTED, SLICE_OF(spi), nothing);
    send(t, q->ike, &o);
}

void ikev1_send_initial_contact(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    uint8_t cookies[IKEV1_COOKIES_BYTES];

    cookies_of(ike, cookies);
    ikev1_send_notify(t, ike, IKEV1_PROTO_ISAKMP, IKEV1_INITIAL_CONTACT, SLICE_OF(cookies),
                      (struct slice){NULL, 0});
}

void ikev1_send_clear_notify(struct ikev1_turn *t, struct ikev1_ike *ike, uint16_t type)
{
    const struct ikev1_handshake *h = ike->handshake;
    struct ikev1_outgoing o NOT_ZEROED;
    const struct slice nothing = {NULL, 0};

    ikev1_out_begin(&o, ike, IKEV1_INFORMATIONAL, ikev1_fresh_message_id(t->sa, ike));
    ikev1_out_notify(&o, IKEV1_PROTO_ISAKMP, type, nothing, nothing);
    (void)!ikev1_send(t, &o, NULL, NULL, &h->local, &h->peer, NULL, NULL);
}

static void out_delete(struct ikev1_outgoing *o, uint8_t protocol, struct slice spi)
{
    struct ikev1_delete_payload d = {
        .doi = IKEV1_DOI_IPSEC,
        .protocol = protocol,
        .spi_bytes = (uint8_t)spi.length,
        .count = 1,
        .spis = spi,
    };

    ikev1_begin_payload(&o->chain, IKEV1_DELETE);
    ikev1_write_delete(&o->w, &d);
    ikev1_end_payload(&o->chain);
}

/* By the SPIs under which we receive (RFC 2408 3.15: the sender's). Without an ISAKMP SA it cannot
 * be said, and the peer finds out by himself. */
void ikev1_send_delete_child(struct ikev1_turn *t, const struct ikev1_child *child)
{
    struct ikev1_outgoing o NOT_ZEROED;
    uint8_t spi[4];
    uint8_t around[4];

    if (t->sa->current == NULL) {
        return;
    }
    put_u32(spi, child->spi_in);
    put_u32(around, child->around.spi_in);
    begin(t, t->sa->current, &o);
    out_delete(&o, child->protocol, SLICE_OF(spi));
    if (child->around.spi_in != 0) {
        out_delete(&o, PROTOCOL_AH, SLICE_OF(around));
    }
    send(t, t->sa->current, &o);
}

void ikev1_send_delete_ike(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_outgoing o NOT_ZEROED;
    uint8_t cookies[IKEV1_COOKIES_BYTES];

    cookies_of(ike, cookies);
    begin(t, ike, &o);
    out_delete(&o, IKEV1_PROTO_ISAKMP, SLICE_OF(cookies));
    send(t, ike, &o);
}

/* ---- liveness (RFC 3706) ---- */

static void send_sequence(struct ikev1_turn *t, struct ikev1_ike *ike, uint16_t type,
                          uint32_t sequence)
{
    uint8_t cookies[IKEV1_COOKIES_BYTES];
    uint8_t data[4];

    cookies_of(ike, cookies);
    put_u32(data, sequence);
    ikev1_send_notify(t, ike, IKEV1_PROTO_ISAKMP, type, SLICE_OF(cookies), SLICE_OF(data));
}

void ikev1_liveness_begin(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    const struct ikev1_policy *policy = t->sa->policy;

    if (!ike->peer_liveness || ike->liveness_open) {
        return;
    }
    ike->liveness_open = true;
    ike->liveness_again = 0;
    retransmit_start(&ike->liveness, policy->retransmit_first_ms, policy->retransmit_max_ms,
                     policy->retransmit_tries, t->now_ms, t->sa->random);
    send_sequence(t, ike, IKEV1_R_U_THERE, ++ike->liveness_sequence);
}

void ikev1_liveness_time(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    switch (retransmit_time(&ike->liveness, t->now_ms, t->sa->random)) {
    case RETRANSMIT_WAIT:
        return;
    case RETRANSMIT_SEND:
        /* RFC 3706 6.2: each message has a number of its own. Who had the last one takes the same
         * number for a replay, and some do not answer it. */
        ike->liveness_again++;
        send_sequence(t, ike, IKEV1_R_U_THERE, ++ike->liveness_sequence);
        return;
    case RETRANSMIT_GIVE_UP:
        ike->liveness_open = false;
        ikev1_over_for(t, IKEV1_FAIL_PEER_DEAD, IKEV1_INFORMATIONAL, IKEV1_R_U_THERE, "");
        return;
    }
}

static void receive_r_u_there(struct ikev1_turn *t, struct ikev1_ike *ike,
                              const struct ikev1_notify_payload *n)
{
    uint32_t sequence = n->data.length == 4 ? get_u32(n->data.data) : 0;

    /* RFC 3706 7: what is older than what we had is a replay. */
    if (n->data.length != 4 ||
        (ike->peer_sequence_known && (int32_t)(sequence - ike->peer_sequence) < 0)) {
        return;
    }
    ike->peer_sequence_known = true;
    ike->peer_sequence = sequence;
    send_sequence(t, ike, IKEV1_R_U_THERE_ACK, sequence);
}

static void receive_ack(struct ikev1_turn *t, struct ikev1_ike *ike,
                        const struct ikev1_notify_payload *n)
{
    /* To any of the messages in which this question was asked. */
    if (ike->liveness_open && n->data.length == 4 &&
        ike->liveness_sequence - get_u32(n->data.data) <= ike->liveness_again) {
        t->sa->heard_ms = t->now_ms;
        ike->liveness_open = false;
        retransmit_stop(&ike->liveness);
    }
}

/* ---- receiving ---- */

/* RFC 2407 4.6.3.1: of an ISAKMP SA, or of a child by the peer's SPI. */
static void receive_lifetime(struct ikev1_turn *t, struct ikev1_ike *ike,
                             const struct ikev1_notify_payload *n)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_wire_transform life = {0};

    if (!ikev1_read_transform_attributes(n->protocol, n->data, &life) || life.life_seconds == 0) {
        return;
    }
    uint64_t lifetime_ms = ikev1_lifetime_of(NEVER_MS, life.life_seconds);

    if (n->protocol == IKEV1_PROTO_ISAKMP) {
        ike->rekey_ms = ikev1_earlier(ike->rekey_ms,
                                      ikev1_jittered(sa, t->now_ms, lifetime_ms, ike->initiator));
        ike->expire_ms = ikev1_earlier(ike->expire_ms, ikev1_after(t->now_ms, lifetime_ms));
        return;
    }
    struct ikev1_child *child =
        n->spi.length == 4 ? ikev1_child_by_spi_out(sa, n->protocol, get_u32(n->spi.data)) : NULL;

    if (child != NULL) {
        child->rekey_ms = ikev1_earlier(
            child->rekey_ms, ikev1_jittered(sa, t->now_ms, lifetime_ms, child->initiator));
        child->expire_ms = ikev1_earlier(child->expire_ms, ikev1_after(t->now_ms, lifetime_ms));
    }
}

/* An error about a Quick Mode of ours: by the SPI that we proposed, or the only one it can be
 * about. */
static struct ikev1_quick *accused(const struct ikev1_sa *sa, const struct ikev1_ike *ike,
                                   const struct ikev1_notify_payload *n)
{
    struct ikev1_quick *found =
        n->spi.length == 4 ? ikev1_quick_by_spi(sa, get_u32(n->spi.data)) : NULL;

    for (struct ikev1_quick *q = sa->quicks; q != NULL && found == NULL; q = q->next) {
        if (q->ike == ike && q->initiator && q->step == IKEV1_QUICK_SENT_1) {
            found = q;
        }
    }
    return found != NULL && found->initiator && found->step == IKEV1_QUICK_SENT_1 ? found : NULL;
}

/* RFC 2408 3.1: a Quick Mode of ours whose responder set the commit bit, by whichever SPI he means;
 * without one, the one that there is. */
static struct ikev1_quick *awaits_connected(const struct ikev1_sa *sa, const struct ikev1_ike *ike,
                                            const struct ikev1_notify_payload *n)
{
    uint32_t spi = n->spi.length == 4 ? get_u32(n->spi.data) : 0;

    for (struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (q->ike == ike && q->initiator && q->commit && q->step == IKEV1_QUICK_DONE &&
            (spi == 0 || spi == q->choice.spi || spi == q->child_spi_in)) {
            return q;
        }
    }
    return NULL;
}

static void receive_connected(struct ikev1_turn *t, struct ikev1_ike *ike,
                              const struct ikev1_notify_payload *n)
{
    struct ikev1_quick *q = awaits_connected(t->sa, ike, n);

    if (q != NULL) {
        ikev1_quick_connected(t, q);
    }
}

static void receive_notify(struct ikev1_turn *t, struct ikev1_ike *ike,
                           const struct ikev1_notify_payload *n)
{
    struct ikev1_quick *q;

    if (ike->phase == IKEV1_IKE_LOGIN && n->type != IKEV1_R_U_THERE) {
        return; /* who is not through says nothing about anything */
    }
    switch (n->type) {
    case IKEV1_R_U_THERE:
        receive_r_u_there(t, ike, n);
        return;
    case IKEV1_R_U_THERE_ACK:
        receive_ack(t, ike, n);
        return;
    case IKEV1_INITIAL_CONTACT:
        ikev1_act(t, IKEV1_TELL_INITIAL_CONTACT);
        if (ike == t->sa->current) {
            ikev1_children_renew(t, ike);
        }
        return;
    case IKEV1_RESPONDER_LIFETIME:
        receive_lifetime(t, ike, n);
        return;
    case IKEV1_CONNECTED:
        receive_connected(t, ike, n);
        return;
    default:
        q = ikev1_notify_is_error(n->type) ? accused(t->sa, ike, n) : NULL;
        if (q != NULL) {
            ikev1_quick_notified(t, q, n);
        }
        return;
    }
}

/* He goes as soon as he has our proof: who called without asking for anything, who was called in
 * Aggressive Mode, where ours comes last, without an answer to what we asked for. */
static bool is_refusal(const struct ikev1_sa *sa, const struct ikev1_ike *ike)
{
    bool open = sa->quicks != NULL || sa->pending_count > 0;

    return sa->children == NULL && (ike->initiator ? ike->aggressive && open : !open);
}

/* Who is not through deletes nothing but his own. */
static void delete_ike(struct ikev1_turn *t, const struct ikev1_ike *in_login, struct slice cookies)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_ike *ike = sa->ikes;

    while (ike != NULL &&
           (ike->spi_i != get_u64(cookies.data) || ike->spi_r != get_u64(cookies.data + 8) ||
            ike->phase == IKEV1_IKE_HANDSHAKE || ike->phase == IKEV1_IKE_DELETED)) {
        ike = ike->next;
    }
    if (ike == NULL || (in_login != NULL && ike != in_login)) {
        return;
    }
    if (ike->phase == IKEV1_IKE_LOGIN) {
        ikev1_login_deleted(t, ike);
        return;
    }
    bool current = ike == sa->current;
    bool refused = is_refusal(sa, ike);

    ikev1_ike_deleted(t, ike);
    if (refused && sa->ikes == NULL) {
        ikev1_over_for(t, IKEV1_FAIL_AUTH_REFUSED, 0, 0, "");
    } else if (current) {
        ikev1_lost(t, IKEV1_FAIL_PEER_DELETED);
    }
}

/* A Delete may overtake message 2 with the SPI that it is about. */
static void remember_deleted(struct ikev1_sa *sa, uint32_t spi)
{
    for (struct ikev1_quick *q = sa->quicks; q != NULL; q = q->next) {
        if (q->initiator && q->step != IKEV1_QUICK_DONE) {
            q->deleted_spis[q->deleted_count % IKEV1_DELETED_MAX] = spi;
            q->deleted_count += q->deleted_count < IKEV1_DELETED_MAX ? 1 : 0;
        }
    }
}

static void delete_children(struct ikev1_turn *t, const struct ikev1_delete_payload *d)
{
    for (size_t i = 0; i < d->count; i++) {
        uint32_t spi = get_u32(d->spis.data + 4 * i);
        struct ikev1_child *child = ikev1_child_by_spi_out(t->sa, d->protocol, spi);

        if (child != NULL) {
            ikev1_child_end(t, child);
        } else {
            remember_deleted(t->sa, spi);
        }
    }
}

static void receive_delete(struct ikev1_turn *t, const struct ikev1_ike *in_login,
                           struct slice body)
{
    struct ikev1_delete_payload d;

    if (!ikev1_read_delete(body, &d)) {
        return;
    }
    if (d.protocol == IKEV1_PROTO_ISAKMP && d.spi_bytes == IKEV1_COOKIES_BYTES) {
        for (size_t i = 0; i < d.count && t->sa->state != IKEV1_STATE_OVER; i++) {
            delete_ike(t, in_login,
                       (struct slice){d.spis.data + IKEV1_COOKIES_BYTES * i, IKEV1_COOKIES_BYTES});
        }
    } else if ((d.protocol == IKEV1_PROTO_ESP || d.protocol == IKEV1_PROTO_AH) &&
               d.spi_bytes == 4 && in_login == NULL) {
        delete_children(t, &d);
    }
}

void ikev1_informational_receive(struct ikev1_turn *t, struct ikev1_ike *ike,
                                 struct ikev1_message *m)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_hash_value hash;
    struct ikev1_notify_payload n;
    struct ikev1_iv iv;
    uint64_t spi_i = ike->spi_i;
    bool in_login = ike->phase == IKEV1_IKE_LOGIN;

    struct ikev1_quick *q = ikev1_quick_find(sa, ike, m->header.message_id);
    bool seen = ikev1_ike_has_seen(ike, m->header.message_id);

    if (m->header.message_id == 0 || (seen && (q == NULL || !ikev1_quick_awaits_connected(q))) ||
        !ikev1_iv_of_phase2(&ike->keys.suite, &ike->iv, m->header.message_id, &iv) ||
        !ikev1_open(t, &ike->keys, &iv, m) || m->list[0].type != IKEV1_HASH ||
        !ikev1_hash_1(&ike->keys, m->header.message_id, ikev1_message_behind_hash(m), &hash) ||
        !ikev1_hash_equal(&hash, m->list[0].body)) {
        return;
    }
    if (seen) {
        /* It came under the message ID of the Quick Mode that it is about. */
        if (ikev1_message_notify(m, IKEV1_CONNECTED, &n)) {
            ikev1_trace(t, false, false, &m->header, m->chain);
            ikev1_quick_connected(t, q);
        }
        return;
    }
    ikev1_ike_saw(ike, m->header.message_id);
    ikev1_trace(t, false, false, &m->header, m->chain);
    if (ikev1_ike_knows_all(ike)) {
        ikev1_heard(t, ike, m);
    }
    for (size_t i = 1; i < m->count && sa->state != IKEV1_STATE_OVER; i++) {
        /* A Delete may be about the very ISAKMP SA in which it came. */
        struct ikev1_ike *still = sa->ikes;

        while (still != NULL && (still != ike || still->spi_i != spi_i)) {
            still = still->next;
        }
        if (m->list[i].type == IKEV1_NOTIFY && still != NULL &&
            ikev1_read_notify(m->list[i].body, &n)) {
            receive_notify(t, ike, &n);
        } else if (m->list[i].type == IKEV1_DELETE) {
            receive_delete(t, in_login ? ike : NULL, m->list[i].body);
        }
    }
}

/* Only who has our keys can have written it. */
static bool is_proven_error(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m,
                            struct ikev1_notify_payload *n)
{
    struct ikev1_hash_value hash;
    struct ikev1_iv iv;
    struct slice body;

    return ike->keys.suite.encryption != 0 && m->header.message_id != 0 &&
           ikev1_iv_of_phase2(&ike->keys.suite, &ike->handshake->iv, m->header.message_id, &iv) &&
           ikev1_open(t, &ike->keys, &iv, m) && m->list[0].type == IKEV1_HASH &&
           ikev1_hash_1(&ike->keys, m->header.message_id, ikev1_message_behind_hash(m), &hash) &&
           ikev1_hash_equal(&hash, m->list[0].body) &&
           ikev1_message_find(m, IKEV1_NOTIFY, 0, &body) && ikev1_read_notify(body, n) &&
           ikev1_notify_is_error(n->type);
}

/* Encrypted, and phase 1 is not over: he says in his keys why it comes to nothing. When they are
 * ours too we know what he says; when they are not, that is the reason, or his last message was
 * lost. */
void ikev1_informational_early(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    uint8_t awaited = ike->handshake->awaited;
    struct ikev1_notify_payload n;

    if (is_proven_error(t, ike, m, &n)) {
        ikev1_trace(t, false, false, &m->header, m->chain);
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_AUTH_REFUSED, n.type, "");
        return;
    }
    if (ike->initiator && awaited == 6) {
        ikev1_phase1_refused(t, ike, 0);
        return;
    }
    if (!ike->initiator && ike->aggressive && awaited == 3 && !ikev1_signs(ike)) {
        ikev1_phase1_doubt(t, ike, IKEV1_FAIL_SHARED_KEY_PERHAPS, 0, "");
    }
    ikev1_aggressive_remind(t, ike, m);
}

void ikev1_informational_clear(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_notify_payload n;
    struct slice body;

    /* Anybody can have written it: in phase 1 it explains, later it means nothing. */
    if (ike->handshake == NULL ||
        !ikev1_message_read(m, (struct slice){m->whole.data + IKEV1_HEAD_BYTES,
                                              m->whole.length - IKEV1_HEAD_BYTES}) ||
        !ikev1_message_find(m, IKEV1_NOTIFY, 0, &body) || !ikev1_read_notify(body, &n)) {
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    if (ikev1_notify_is_error(n.type)) {
        ikev1_phase1_refused(t, ike, n.type);
    }
}
