/*
 * IKE_INTERMEDIATE (RFC 9242): decides which key exchange comes next before IKE_AUTH (RFC
 * 9370 2.2.2), and keeps what both sides said for AUTH to cover.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

bool ikev2_intermediate_is_done(const struct ikev2_handshake *h)
{
    return h->additional_done == h->choice.additional_count;
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

/* ---- initiator ---- */

void ikev2_intermediate_begin(struct ikev2_turn *t)
{
    struct ikev2_handshake *h = t->sa->handshake;

    if (ikev2_intermediate_is_done(h)) {
        ikev2_auth_begin(t);
        return;
    }
    t->sa->state = IKEV2_STATE_INTERMEDIATE;
    ikev2_handshake_ask_key_exchange(t, group_next(h), NULL, (struct slice){NULL, 0});
}

static void send_pair(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    struct ikev2_header header =
        ikev2_header_of(ike, IKEV2_IKE_INTERMEDIATE, false, ike->request_id);
    struct ikev2_outgoing o;

    ikev2_out_begin(&o);
    ikev2_out_ke(&o, group_next(h), &h->pair);
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
        send_pair(t);
        return;
    }
    key_pair_wipe(&h->pair);
    h->has_pair = false;
    if (!ok || shared == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_BAD_PUBLIC_VALUE, IKEV2_IKE_INTERMEDIATE, 0,
                       "the peer's key exchange value is not a valid one");
        return;
    }
    if (!next_keys(t->sa, shared)) {
        no_keys(t);
        return;
    }
    ikev2_intermediate_begin(t);
}

void ikev2_intermediate_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                                 const struct ikev2_message *m)
{
    struct ikev2_handshake *h = t->sa->handshake;
    const struct ikev2_notify_payload *error = ikev2_message_error(m);
    struct ikev2_ke_payload ke;

    ikev2_request_done(t, ike);
    if (m->critical != 0) {
        ikev2_over_for(t, IKEV2_FAIL_CRITICAL_PAYLOAD, IKEV2_IKE_INTERMEDIATE, 0, "in a response");
    } else if (error != NULL) {
        ikev2_over_for(t, IKEV2_FAIL_PEER_ERROR, IKEV2_IKE_INTERMEDIATE, error->type, "");
    } else if (!ikev2_message_ke(m, &ke) || ke.group != group_next(h)) {
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_IKE_INTERMEDIATE, 0,
                       "the response has not the key exchange that was agreed");
    } else if (!cover(t->sa, false, &m->header, m->first, m->chain)) {
        no_keys(t);
    } else {
        ikev2_handshake_ask_key_exchange(t, ke.group, &h->pair, ke.value);
    }
}

/* ---- responder ---- */

void ikev2_intermediate_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                                const struct ikev2_message *m)
{
    struct ikev2_handshake *h = t->sa->handshake;
    struct ikev2_ke_payload ke;

    if (m->critical != 0) {
        ikev2_send_notify(t, ike, IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD,
                          (struct slice){&m->critical, 1});
        ikev2_over_for(t, IKEV2_FAIL_CRITICAL_PAYLOAD, IKEV2_IKE_INTERMEDIATE,
                       IKEV2_UNSUPPORTED_CRITICAL_PAYLOAD, "");
        return;
    }
    if (!ikev2_message_ke(m, &ke) || ke.group != group_next(h)) {
        ikev2_send_notify(t, ike, IKEV2_INVALID_SYNTAX, (struct slice){NULL, 0});
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_IKE_INTERMEDIATE, IKEV2_INVALID_SYNTAX,
                       "the request has not the key exchange that was agreed");
        return;
    }
    if (!cover(t->sa, true, &m->header, m->first, m->chain)) {
        no_keys(t);
        return;
    }
    ikev2_handshake_ask_key_exchange(t, ke.group, NULL, ke.value);
}

static void responder_answered(struct ikev2_turn *t, bool ok, const struct key_pair *pair,
                               const struct secret *shared)
{
    struct ikev2_sa *sa = t->sa;
    struct ikev2_handshake *h = sa->handshake;
    struct ikev2_ike *ike = sa->current;
    struct ikev2_header header =
        ikev2_header_of(ike, IKEV2_IKE_INTERMEDIATE, true, ike->expected_id);
    struct ikev2_outgoing o;

    if (!ok || pair == NULL || shared == NULL) {
        ikev2_send_notify(t, ike, IKEV2_INVALID_SYNTAX, (struct slice){NULL, 0});
        ikev2_over_for(t, IKEV2_FAIL_BAD_PUBLIC_VALUE, IKEV2_IKE_INTERMEDIATE, IKEV2_INVALID_SYNTAX,
                       "the peer's key exchange value is not a valid one");
        return;
    }
    ikev2_out_begin(&o);
    ikev2_out_ke(&o, group_next(h), pair);
    if (!writer_ok(&o.w) || !cover(sa, false, &header, o.first, writer_written(&o.w))) {
        no_keys(t);
        return;
    }
    if (ikev2_send_response(t, ike, &o) && !next_keys(sa, shared)) {
        no_keys(t);
    }
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
