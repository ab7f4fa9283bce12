/*
 * IKE_INTERMEDIATE (RFC 9242): decides which key exchange comes next before IKE_AUTH (RFC
 * 9370 2.2.2), and keeps what both sides said for AUTH to cover. A PPK goes along with the last one
 * (RFC 9867), or alone where there is none.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

bool ikev2_intermediate_is_done(const struct ikev2_handshake *h)
{
    return h->additional_done == h->choice.additional_count;
}

bool ikev2_intermediate_may_come(const struct ikev2_handshake *h, uint8_t exchange)
{
    bool done = ikev2_intermediate_is_done(h);

    return exchange == IKEV2_IKE_AUTH ? done : !done || ikev2_ppk_is_due(h, false);
}

uint16_t ikev2_intermediate_post_quantum(const struct ikev2_handshake *h)
{
    uint16_t group = h->choice.suite.key_exchange;

    group = key_exchange_is_post_quantum(group) ? group : KEY_EXCHANGE_NONE;
    for (size_t i = 0; i < h->additional_done; i++) {
        uint16_t more = h->choice.additional[i];

        group = key_exchange_is_post_quantum(more) && more > group ? more : group;
    }
    return group;
}

struct slice ikev2_intermediate_signed(const struct ikev2_handshake *h,
                                       uint8_t out[IKEV2_INT_AUTH_BYTES_MAX])
{
    size_t length = h->int_auth_bytes;

    if (length == 0) {
        return (struct slice){NULL, 0};
    }
    memcpy(out, h->int_auth_i, length);
    memcpy(out + length, h->int_auth_r, length);
    put_u32(out + 2 * length, h->auth_message_id);
    return (struct slice){out, 2 * length + 4};
}

static uint16_t group_next(const struct ikev2_handshake *h)
{
    assert(!ikev2_intermediate_is_done(h));
    return h->choice.additional[h->additional_done];
}

/* A message of either side, before the keys change with it. */
static bool cover(struct ikev2_sa *sa, bool initiator, const struct ikev2_header *header,
                  uint8_t first, struct slice chain)
{
    struct ikev2_handshake *h = sa->handshake;
    uint8_t *kept = initiator ? h->int_auth_i : h->int_auth_r;
    struct slice before = {kept, h->additional_done == 0 ? 0 : h->int_auth_bytes};
    uint8_t out[PRF_OUTPUT_BYTES_MAX];
    size_t length;

    if (!ikev2_int_auth(&sa->current->keys, initiator, before, header, first, chain, out,
                        &length)) {
        return false;
    }
    memcpy(kept, out, length);
    h->int_auth_bytes = (uint8_t)length;
    return true;
}

/* RFC 9370 2.2.2: SKEYSEED(n), from which all keys are made anew. */
static bool next_keys(struct ikev2_sa *sa, const struct secret *shared)
{
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    struct ikev2_keys keys = {0};

    if (!ikev2_keys_rekey(&ike->keys, &h->choice.suite, secret_slice(shared),
                          ikev2_nonce_slice(&h->nonce_i), ikev2_nonce_slice(&h->nonce_r),
                          (struct slice){NULL, 0}, ike->spi_i, ike->spi_r, &keys)) {
        return false;
    }
    ikev2_keys_move(&h->before, &ike->keys);
    ikev2_keys_move(&ike->keys, &keys);
    h->additional_done++;
    return true;
}

static void no_keys(struct ikev2_turn *t)
{
    ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_INTERMEDIATE, 0, "no keys were derived");
}

/* Both messages of an exchange are said; `shared` NULL: it had no key exchange. */
static bool finish(struct ikev2_sa *sa, const struct secret *shared)
{
    /* The peer may offer it behind the last key exchange, in a message of its own. */
    bool due = sa->handshake->ppk_offering || shared == NULL;

    return (shared == NULL || next_keys(sa, shared)) &&
           (!due || ikev2_ppk_apply(sa, shared == NULL));
}

/* ---- initiator ---- */

static void send_request(struct ikev2_turn *t, bool with_key_exchange);

void ikev2_intermediate_begin(struct ikev2_turn *t)
{
    struct ikev2_handshake *h = t->sa->handshake;

    if (ikev2_intermediate_is_done(h) && !ikev2_ppk_is_due(h, false)) {
        ikev2_auth_begin(t);
        return;
    }
    t->sa->state = IKEV2_STATE_INTERMEDIATE;
    if (ikev2_intermediate_is_done(h)) {
        send_request(t, false);
        return;
    }
    ikev2_handshake_ask_key_exchange(t, group_next(h), NULL, (struct slice){NULL, 0});
}

static void send_request(struct ikev2_turn *t, bool with_key_exchange)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    struct ikev2_header header =
        ikev2_header_of(ike, IKEV2_IKE_INTERMEDIATE, false, ike->request_id);
    struct ikev2_outgoing o;

    ikev2_out_begin(&o);
    if (with_key_exchange) {
        ikev2_out_ke(&o, group_next(h), &h->pair);
    }
    if (ikev2_ppk_is_due(h, with_key_exchange)) {
        ikev2_ppk_out_offer(sa, &o);
    }
    if (!writer_ok(&o.w) || !cover(sa, true, &header, o.first, writer_written(&o.w))) {
        no_keys(t);
        return;
    }
    ikev2_send_request(t, ike, IKEV2_IKE_INTERMEDIATE, &o);
}

static void initiator_answered(struct ikev2_turn *t, bool ok, struct key_pair *pair,
                               struct secret *shared)
{
    struct ikev2_handshake *h = t->sa->handshake;

    if (!h->has_pair) {
        if (!ok || pair == NULL) {
            no_keys(t);
            return;
        }
        h->pair = *pair;
        *pair = (struct key_pair){0};
        h->has_pair = true;
        send_request(t, true);
        return;
    }
    key_pair_wipe(&h->pair);
    h->has_pair = false;
    if (!ok || shared == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_BAD_PUBLIC_VALUE, IKEV2_IKE_INTERMEDIATE, 0,
                       "the peer's key exchange value is not a valid one");
        return;
    }
    if (!finish(t->sa, shared)) {
        no_keys(t);
        return;
    }
    ikev2_intermediate_begin(t);
}

/* The peer has not the PPK that we require, or another. */
static void no_ppk(struct ikev2_turn *t, uint16_t notify)
{
    struct ikev2_failure failure;

    ikev2_ppk_failure(t->sa->policy->ppk, IKEV2_FAIL_PPK_REFUSED, IKEV2_IKE_INTERMEDIATE,
                      (struct slice){NULL, 0}, &failure);
    failure.notify = notify;
    ikev2_over(t, &failure);
}

void ikev2_intermediate_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                                 const struct ikev2_message *m)
{
    struct ikev2_handshake *h = t->sa->handshake;
    const struct ikev2_notify_payload *error = ikev2_message_error(m);
    bool with_key_exchange = !ikev2_intermediate_is_done(h);
    bool with_ppk = ikev2_ppk_is_due(h, with_key_exchange);
    struct ikev2_ke_payload ke;

    ikev2_request_done(t, ike);
    if (m->critical != 0) {
        ikev2_over_for(t, IKEV2_FAIL_CRITICAL_PAYLOAD, IKEV2_IKE_INTERMEDIATE, 0, "in a response");
    } else if (error != NULL && with_ppk && error->type == IKEV2_AUTHENTICATION_FAILED) {
        no_ppk(t, error->type);
    } else if (error != NULL) {
        ikev2_over_for(t, IKEV2_FAIL_PEER_ERROR, IKEV2_IKE_INTERMEDIATE, error->type, "");
    } else if (with_key_exchange && (!ikev2_message_ke(m, &ke) || ke.group != group_next(h))) {
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_IKE_INTERMEDIATE, 0,
                       "the response has not the key exchange that was agreed");
    } else if (!cover(t->sa, false, &m->header, m->first, m->chain)) {
        no_keys(t);
    } else if (with_ppk && !ikev2_ppk_read_answer(t->sa, m)) {
        no_ppk(t, 0);
    } else if (with_key_exchange) {
        ikev2_handshake_ask_key_exchange(t, ke.group, &h->pair, ke.value);
    } else if (!finish(t->sa, NULL)) {
        no_keys(t);
    } else {
        ikev2_intermediate_begin(t);
    }
}

/* ---- responder ---- */

static void respond(struct ikev2_turn *t, const struct key_pair *pair, const struct secret *shared);

/* Whose PPKs are offered is known. */
static void go_on(struct ikev2_turn *t, const struct ikev2_message *m)
{
    struct ikev2_ke_payload ke;

    if (ikev2_intermediate_is_done(t->sa->handshake)) {
        respond(t, NULL, NULL);
    } else if (ikev2_message_ke(m, &ke)) {
        ikev2_handshake_ask_key_exchange(t, ke.group, NULL, ke.value);
    }
}

void ikev2_intermediate_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                                const struct ikev2_message *m)
{
    struct ikev2_handshake *h = t->sa->handshake;
    bool with_key_exchange = !ikev2_intermediate_is_done(h);
    struct ikev2_ke_payload ke;

    if (m->critical != 0) {
        ikev2_send_notify(t, ike, IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD,
                          (struct slice){&m->critical, 1});
        ikev2_over_for(t, IKEV2_FAIL_CRITICAL_PAYLOAD, IKEV2_IKE_INTERMEDIATE,
                       IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD, "");
        return;
    }
    if (with_key_exchange && (!ikev2_message_ke(m, &ke) || ke.group != group_next(h))) {
        ikev2_send_notify(t, ike, IKEV2_INVALID_SYNTAX, (struct slice){NULL, 0});
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_IKE_INTERMEDIATE, IKEV2_INVALID_SYNTAX,
                       "the request has not the key exchange that was agreed");
        return;
    }
    if (!cover(t->sa, true, &m->header, m->first, m->chain)) {
        no_keys(t);
        return;
    }
    if (!ikev2_ppk_is_due(h, with_key_exchange) || !ikev2_ppk_ask(t, m)) {
        go_on(t, m);
    } else if (!ikev2_handshake_keep(h, m)) {
        no_keys(t);
    }
}

void ikev2_intermediate_answer_ppk(struct ikev2_turn *t, const struct ikev2_ppk *const *known,
                                   size_t count)
{
    struct ikev2_handshake *h = t->sa->handshake;
    const struct ikev2_message *m = ikev2_handshake_kept(t->sa);

    h->ask_ppk = 0;
    h->ask_deadline_ms = NEVER_MS;
    if (m == NULL || !ikev2_ppk_answered(t->sa, m, known, count)) {
        no_keys(t);
        return;
    }
    go_on(t, m);
    if (t->sa->handshake != NULL) {
        ikev2_block_drop(t->sa, &h->request_chain);
    }
}

static void respond(struct ikev2_turn *t, const struct key_pair *pair, const struct secret *shared)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    struct ikev2_header header =
        ikev2_header_of(ike, IKEV2_IKE_INTERMEDIATE, true, ike->expected_id);
    struct ikev2_outgoing o;

    ikev2_out_begin(&o);
    if (pair != NULL) {
        ikev2_out_ke(&o, group_next(h), pair);
    }
    if (h->ppk_chosen != NULL) {
        ikev2_out_notify(&o, IKEV2_PPK_IDENTITY,
                         (struct slice){h->ppk_chosen->id, h->ppk_chosen->id_length});
    }
    if (!writer_ok(&o.w) || !cover(sa, false, &header, o.first, writer_written(&o.w))) {
        no_keys(t);
        return;
    }
    if (ikev2_send_response(t, ike, &o) && !finish(sa, shared)) {
        no_keys(t);
    }
}

static void responder_answered(struct ikev2_turn *t, bool ok, const struct key_pair *pair,
                               const struct secret *shared)
{
    struct ikev2_ike *ike = t->sa->current;

    if (!ok || pair == NULL || shared == NULL) {
        ikev2_send_notify(t, ike, IKEV2_INVALID_SYNTAX, (struct slice){NULL, 0});
        ikev2_over_for(t, IKEV2_FAIL_BAD_PUBLIC_VALUE, IKEV2_IKE_INTERMEDIATE, IKEV2_INVALID_SYNTAX,
                       "the peer's key exchange value is not a valid one");
        return;
    }
    respond(t, pair, shared);
}

void ikev2_intermediate_answer(struct ikev2_turn *t, bool ok, struct key_pair *pair,
                               struct secret *shared)
{
    struct ikev2_handshake *h = t->sa->handshake;

    h->ask_key_exchange = 0;
    h->ask_deadline_ms = NEVER_MS;
    if (t->sa->initiator) {
        initiator_answered(t, ok, pair, shared);
    } else {
        responder_answered(t, ok, pair, shared);
    }
}
