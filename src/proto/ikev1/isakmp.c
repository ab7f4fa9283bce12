/*
 * One ISAKMP SA: its life, the sealing and opening of its messages, and what is sent again (RFC
 * 2408 3.1, RFC 2409 appendix B). Decides that an answer goes out again only to who repeats his
 * message, as the same octets and not more often than a few times a second.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/ikev1/machine.h"

uint64_t ikev1_ike_own_spi(const struct ikev1_ike *ike)
{
    return ike->initiator ? ike->spi_i : ike->spi_r;
}

#define OVERTAKEN_MS 1000

bool ikev1_ike_is_usable(const struct ikev1_ike *ike)
{
    return ike->phase == IKEV1_IKE_LIVE || ike->phase == IKEV1_IKE_REPLACED;
}

struct ikev1_ike *ikev1_ike_new(struct ikev1_turn *t, bool initiator, bool aggressive,
                                uint64_t spi_i, uint64_t spi_r)
{
    struct ikev1_ike *ike = ikev1_block_new(sizeof(*ike));

    if (ike == NULL) {
        return NULL;
    }
    ike->handshake = ikev1_block_new(sizeof(*ike->handshake));
    if (ike->handshake == NULL) {
        ikev1_block_bury(t->sa, ike);
        return NULL;
    }
    ike->initiator = initiator;
    ike->aggressive = aggressive;
    ike->spi_i = spi_i;
    ike->spi_r = spi_r;
    ike->begun_ms = t->now_ms;
    ike->begun_serial = t->sa->next_serial;
    ike->rekey_ms = NEVER_MS;
    ike->expire_ms = NEVER_MS;
    ike->drop_ms = NEVER_MS;
    retransmit_stop(&ike->retransmit);
    retransmit_stop(&ike->liveness);
    ike->fragments.end_ms = NEVER_MS;
    ike->handshake->deadline_ms = NEVER_MS;
    ike->handshake->ask_deadline_ms = NEVER_MS;
    ike->handshake->refused_ms = NEVER_MS;
    ike->next = t->sa->ikes;
    t->sa->ikes = ike;
    ike->told = true;
    ikev1_act(t, IKEV1_TELL_SPI_ADDED)->ike_spi = ikev1_ike_own_spi(ike);
    return ike;
}

void ikev1_handshake_end(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_handshake *h = ike->handshake;

    if (h == NULL) {
        return;
    }
    ike->handshake = NULL;
    key_pair_wipe(&h->pair);
    secret_wipe(&h->shared);
    ikev1_block_drop(t->sa, &h->sa_i);
    ikev1_block_drop(t->sa, &h->peer_public);
    ikev1_block_drop(t->sa, &h->own_id);
    ikev1_block_drop(t->sa, &h->message);
    ikev1_block_drop(t->sa, &h->own_proof);
    ikev1_sealed_end(t->sa, h->sealed);
    ikev1_block_bury(t->sa, h);
    ikev1_keys_forget_auth(&ike->keys);
}

static void end_exchanges(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_quick *next;

    for (struct ikev1_quick *q = t->sa->quicks; q != NULL; q = next) {
        next = q->next;
        if (q->ike == ike) {
            ikev1_quick_abandon(t, q);
        }
    }
    ikev1_handshake_end(t, ike);
    ikev1_transactions_end(t, ike);
}

static bool has_another(const struct ikev1_sa *sa, const struct ikev1_ike *than)
{
    for (const struct ikev1_ike *ike = sa->ikes; ike != NULL; ike = ike->next) {
        if (ike != than && ikev1_ike_is_usable(ike)) {
            return true;
        }
    }
    return false;
}

void ikev1_ike_deleted(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    if (t->sa->children == NULL || !has_another(t->sa, ike)) {
        ikev1_ike_forget(t, ike);
        return;
    }
    end_exchanges(t, ike);
    ike->phase = IKEV1_IKE_DELETED;
    ike->rekey_ms = NEVER_MS;
    ike->drop_ms = ikev1_after(t->now_ms, OVERTAKEN_MS);
    ike->liveness_open = false;
    retransmit_stop(&ike->retransmit);
    retransmit_stop(&ike->liveness);
    if (t->sa->current == ike) {
        t->sa->current = NULL;
    }
}

void ikev1_ike_forget(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_ike **link = &sa->ikes;

    end_exchanges(t, ike);
    while (*link != ike) {
        link = &(*link)->next;
    }
    *link = ike->next;
    if (sa->current == ike) {
        sa->current = NULL;
    }
    if (ike->told) {
        ikev1_act(t, IKEV1_TELL_SPI_REMOVED)->ike_spi = ikev1_ike_own_spi(ike);
    }
    ikev1_keys_fini(&ike->keys);
    ikev1_reply_drop(sa, &ike->reply);
    ikev1_fragments_drop(sa, ike);
    ikev1_block_bury(sa, ike);
}

bool ikev1_ike_has_seen(const struct ikev1_ike *ike, uint32_t message_id)
{
    for (size_t i = 0; i < ike->seen_count; i++) {
        if (ike->seen[i] == message_id) {
            return true;
        }
    }
    return false;
}

bool ikev1_ike_knows_all(const struct ikev1_ike *ike)
{
    return ike->seen_count < IKEV1_SEEN_MAX;
}

void ikev1_ike_saw(struct ikev1_ike *ike, uint32_t message_id)
{
    ike->seen[ike->seen_next] = message_id;
    ike->seen_next = (uint16_t)((ike->seen_next + 1) % IKEV1_SEEN_MAX);
    if (ike->seen_count < IKEV1_SEEN_MAX) {
        ike->seen_count++;
        if (ike->seen_count == (ike->initiator ? IKEV1_SEEN_RENEW : IKEV1_SEEN_RENEW_LATER)) {
            ike->rekey_ms = 0;
        }
    }
}

/* ---- sending ---- */

void ikev1_send_bytes(struct ikev1_turn *t, struct slice bytes, const struct endpoint *local,
                      const struct endpoint *peer)
{
    struct ikev1_action *action = ikev1_act(t, IKEV1_SEND);

    action->send.local = *local;
    action->send.peer = *peer;
    action->send.bytes = bytes;
}

static void send_message(struct ikev1_turn *t, struct slice message, const struct endpoint *local,
                         const struct endpoint *peer)
{
    if (!ikev1_send_in_fragments(t, message, local, peer)) {
        ikev1_send_bytes(t, message, local, peer);
    }
}

/* Header, chain, padding; encrypted behind the header. */
static bool finish(struct ikev1_outgoing *o, const struct ikev1_keys *keys, struct ikev1_iv *iv)
{
    o->header.next_payload = o->first;
    if (iv != NULL) {
        size_t length = o->w.length - IKEV1_HEAD_BYTES;

        o->header.flags |= IKEV1_FLAG_ENCRYPTED;
        write_zeros(&o->w, ikev1_padded_bytes(&keys->suite, length) - length);
    }
    struct slice all = writer_written(&o->w);

    if (all.length == 0) {
        return false;
    }
    struct writer head = writer_over(o->bytes, IKEV1_HEAD_BYTES);

    ikev1_write_header(&head, &o->header);
    ikev1_finish_message(&o->w);
    o->header.length = (uint32_t)all.length;
    return iv == NULL ||
           ikev1_encrypt(keys, iv, o->bytes + IKEV1_HEAD_BYTES, all.length - IKEV1_HEAD_BYTES);
}

bool ikev1_send(struct ikev1_turn *t, struct ikev1_outgoing *o, const struct ikev1_keys *keys,
                struct ikev1_iv *iv, const struct endpoint *local, const struct endpoint *peer,
                struct ikev1_reply *reply, const uint8_t *answered)
{
    struct slice chain = {o->bytes + IKEV1_HEAD_BYTES, o->w.length - IKEV1_HEAD_BYTES};
    struct slice sent = {NULL, 0};
    size_t position = t->actions != NULL ? t->actions->count : 0;

    if (!writer_ok(&o->w)) {
        return false;
    }
    o->header.next_payload = o->first;
    if (iv != NULL) {
        o->header.flags |= IKEV1_FLAG_ENCRYPTED;
    }
    ikev1_trace(t, true, false, &o->header, chain);
    if (!finish(o, keys, iv) || !ikev1_block_copy(writer_written(&o->w), &sent)) {
        return false;
    }
    if (t->actions != NULL && t->actions->count > position) {
        t->actions->list[position].trace.header.length = o->header.length;
    }
    send_message(t, sent, local, peer);
    if (reply == NULL) {
        ikev1_block_drop(t->sa, &sent);
        return true;
    }
    ikev1_reply_drop(t->sa, reply);
    reply->sent = sent;
    reply->sent_ms = t->now_ms;
    reply->again = 0;
    reply->answers = answered != NULL;
    if (answered != NULL) {
        memcpy(reply->answered, answered, sizeof(reply->answered));
    }
    return true;
}

void ikev1_resend(struct ikev1_turn *t, struct ikev1_reply *reply, const struct endpoint *local,
                  const struct endpoint *peer)
{
    struct slice copy = {NULL, 0};

    /* What is sent may be dropped in the same event. */
    if (reply->sent.length == 0 || !ikev1_block_copy(reply->sent, &copy)) {
        return;
    }
    reply->sent_ms = t->now_ms;
    reply->again++;
    send_message(t, copy, local, peer);
    ikev1_block_drop(t->sa, &copy);
}

bool ikev1_reply_is_for(const struct ikev1_reply *reply, const uint8_t digest[32])
{
    return reply->answers && reply->sent.length > 0 &&
           memcmp(reply->answered, digest, sizeof(reply->answered)) == 0;
}

void ikev1_reply_again(struct ikev1_turn *t, struct ikev1_reply *reply,
                       const struct endpoint *local, const struct endpoint *peer)
{
    if (t->now_ms >= ikev1_after(reply->sent_ms, IKEV1_AGAIN_MS)) {
        ikev1_resend(t, reply, local, peer);
    }
}

void ikev1_reply_drop(struct ikev1_sa *sa, struct ikev1_reply *reply)
{
    ikev1_block_drop(sa, &reply->sent);
    reply->answers = false;
}

/* ---- receiving ---- */

bool ikev1_open(struct ikev1_turn *t, const struct ikev1_keys *keys, struct ikev1_iv *iv,
                struct ikev1_message *m)
{
    size_t length = m->whole.length - IKEV1_HEAD_BYTES;

    /* Of the length of blocks, or nobody wrote it with this cipher. */
    if (length == 0 || ikev1_padded_bytes(&keys->suite, length) != length) {
        return false;
    }
    uint8_t *clear = ikev1_turn_memory(t->sa, length);

    if (clear == NULL) {
        return false;
    }
    memcpy(clear, m->whole.data + IKEV1_HEAD_BYTES, length);
    return ikev1_decrypt(keys, iv, clear, length) &&
           ikev1_message_read(m, (struct slice){clear, length});
}
