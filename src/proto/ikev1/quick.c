/*
 * Quick Mode (RFC 2409 5.5): decides when a child is made and used, and that a message which comes
 * again does nothing new.
 *
 *     1  HDR*, HASH(1), SA, Ni [, KE] [, IDci, IDcr] [, NAT-OAi, NAT-OAr]  -->
 *            <--  2  HDR*, HASH(2), SA, Nr [, KE] [, IDci, IDcr] [, NAT-OAi, NAT-OAr] [, N]
 *     3  HDR*, HASH(3)  -->
 *
 * The responder can receive through the child when he sends message 2, and uses it when message 3,
 * or a packet through the child, shows that the initiator is there. The initiator uses a new child
 * at once; of one that replaces another he waits a moment, for message 3 to arrive. A responder who
 * set the commit bit (RFC 2408 3.1) is waited for as well, until he says CONNECTED.
 */
#include "proto/ikev1/quick.h"

#include <assert.h>
#include <string.h>

/* ---- the beginning and the end ---- */

struct ikev1_quick *ikev1_quick_new(struct ikev1_turn *t, struct ikev1_ike *ike,
                                    uint32_t message_id, bool initiator)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_quick *q = sa->quick_count < IKEV1_QUICKS_MAX ? ikev1_block_new(sizeof(*q)) : NULL;

    if (q == NULL) {
        return NULL;
    }
    q->ike = ike;
    q->message_id = message_id;
    q->initiator = initiator;
    q->begun_serial = sa->next_serial;
    q->end_ms = NEVER_MS;
    q->deadline_ms = NEVER_MS;
    retransmit_stop(&q->retransmit);
    q->next = sa->quicks;
    sa->quicks = q;
    sa->quick_count++;
    return q;
}

static void wipe_secrets(struct ikev1_quick *q)
{
    key_pair_wipe(&q->pair);
    secret_wipe(&q->shared);
}

/* Message 3 cannot come any more: the child that nobody uses is not kept for its lifetime, unless
 * the peer is heard through it. */
static void doubt_child(struct ikev1_turn *t, const struct ikev1_quick *q)
{
    struct ikev1_child *child = !q->initiator && q->step == IKEV1_QUICK_SENT_2
                                    ? ikev1_child_by_spi_in(t->sa, q->child_spi_in)
                                    : NULL;

    if (child != NULL && child->phase == IKEV1_CHILD_UP && !child->used) {
        child->remove_ms = ikev1_after(t->now_ms, IKEV1_DROP_MS);
    }
}

void ikev1_quick_end(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_quick **link = &t->sa->quicks;

    doubt_child(t, q);

    while (*link != q) {
        link = &(*link)->next;
    }
    *link = q->next;
    t->sa->quick_count--;
    if (q->spi_in != 0) {
        ikev1_act(t, IKEV1_SPI_UNUSED)->esp_spi = q->spi_in;
    }
    if (q->around_spi_in != 0) {
        ikev1_act(t, IKEV1_SPI_UNUSED)->esp_spi = q->around_spi_in;
    }
    wipe_secrets(q);
    ikev1_block_drop(t->sa, &q->id_i);
    ikev1_block_drop(t->sa, &q->id_r);
    for (size_t i = 0; i < IKEV1_PARTS_MAX; i++) {
        ikev1_block_drop(t->sa, &q->attributes[i]);
    }
    ikev1_reply_drop(t->sa, &q->reply);
    ikev1_block_bury(t->sa, q);
}

void ikev1_quick_abandon(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_sa *sa = t->sa;
    bool again = q->initiator && q->step != IKEV1_QUICK_DONE && sa->state == IKEV1_STATE_UP;
    struct ikev1_child *old =
        again && q->old_spi_in != 0 ? ikev1_child_by_spi_in(sa, q->old_spi_in) : NULL;
    const struct ikev1_child_policy *policy = q->policy;
    struct selector local = q->offered_local;
    struct selector remote = q->offered_remote;
    uint8_t retries = q->retries;

    ikev1_quick_end(t, q);
    if (old != NULL && old->phase == IKEV1_CHILD_UP) {
        old->due = true;
    } else if (again && old == NULL && retries < IKEV1_RETRIES_MAX) {
        (void)!ikev1_pend(sa, policy, &local, &remote, ikev1_retry_ms(sa, t->now_ms, retries),
                          (uint8_t)(retries + 1));
    }
}

/* From now on it only answers what comes again. */
void ikev1_quick_done(struct ikev1_turn *t, struct ikev1_quick *q)
{
    q->step = IKEV1_QUICK_DONE;
    q->end_ms = ikev1_after(t->now_ms, IKEV1_LINGER_MS);
    q->deadline_ms = NEVER_MS;
    retransmit_stop(&q->retransmit);
    wipe_secrets(q);
}

struct ikev1_quick *ikev1_quick_find(const struct ikev1_sa *sa, const struct ikev1_ike *ike,
                                     uint32_t message_id)
{
    struct ikev1_quick *q = sa->quicks;

    while (q != NULL && (q->ike != ike || q->message_id != message_id)) {
        q = q->next;
    }
    return q;
}

struct ikev1_quick *ikev1_quick_by_spi(const struct ikev1_sa *sa, uint32_t spi_in)
{
    struct ikev1_quick *q = sa->quicks;

    while (q != NULL && ((q->spi_in != spi_in && q->around_spi_in != spi_in) || spi_in == 0)) {
        q = q->next;
    }
    return q;
}

/* It came to nothing. What it should have replaced goes on and is tried again later, as long as it
 * lives. */
void ikev1_quick_fail(struct ikev1_turn *t, struct ikev1_quick *q,
                      const struct ikev1_failure *failure)
{
    struct ikev1_child *old =
        q->old_spi_in != 0 ? ikev1_child_by_spi_in(t->sa, q->old_spi_in) : NULL;
    struct ikev1_failure copy = *failure;
    const struct ikev1_child_policy *policy = q->policy;
    struct ikev1_child *child =
        q->child_spi_in != 0 ? ikev1_child_by_spi_in(t->sa, q->child_spi_in) : NULL;

    if (child != NULL && !child->used) {
        ikev1_child_close(t, child);
    }
    if (old != NULL && old->phase == IKEV1_CHILD_UP && old->retries < IKEV1_RETRIES_MAX) {
        old->rekey_ms = ikev1_retry_ms(t->sa, t->now_ms, old->retries);
        old->retries++;
    }
    ikev1_quick_end(t, q);
    ikev1_tell_child_failed(t, policy, &copy);
}

void ikev1_quick_fail_for(struct ikev1_turn *t, struct ikev1_quick *q,
                          enum ikev1_failure_reason reason, uint16_t notify, const char *detail)
{
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, reason, IKEV1_QUICK, notify, detail);
    ikev1_quick_fail(t, q, &failure);
}

static void refused(struct ikev1_turn *t, struct ikev1_quick *q, uint16_t notify)
{
    struct ikev1_failure failure;
    enum ikev1_failure_reason reason = IKEV1_FAIL_CHILD_REFUSED;

    if (notify == IKEV1_NO_PROPOSAL_CHOSEN) {
        reason = IKEV1_FAIL_CHILD_NO_PROPOSAL;
    } else if (notify == IKEV1_INVALID_ID_INFORMATION) {
        reason = IKEV1_FAIL_CHILD_SELECTORS;
    }
    ikev1_failure_set(&failure, reason, IKEV1_QUICK, notify, "");
    if (reason == IKEV1_FAIL_CHILD_NO_PROPOSAL) {
        ikev1_failure_child_policy(&failure, q->policy);
    } else {
        ikev1_failure_selectors(failure.ours, &q->offered_local, 1, &q->offered_remote, 1);
    }
    ikev1_quick_fail(t, q, &failure);
}

/* Some message could not be read. Which one is not said, and a peer that is slow answers so what we
 * sent once more, about an exchange that is over for it, while another one waits. */
static bool may_be_about_another(const struct ikev1_notify_payload *n)
{
    return n->spi.length != 4 &&
           (n->type == IKEV1_INVALID_PAYLOAD_TYPE || n->type == IKEV1_INVALID_MESSAGE_ID ||
            n->type == IKEV1_PAYLOAD_MALFORMED || n->type == IKEV1_INVALID_HASH_INFORMATION ||
            n->type == IKEV1_UNEQUAL_PAYLOAD_LENGTHS);
}

void ikev1_quick_notified(struct ikev1_turn *t, struct ikev1_quick *q,
                          const struct ikev1_notify_payload *n)
{
    if (may_be_about_another(n)) {
        q->doubt = n->type;
        return;
    }
    if ((n->type == IKEV1_NO_PROPOSAL_CHOSEN || n->type == IKEV1_INVALID_KEY_INFORMATION ||
         n->type == IKEV1_ATTRIBUTES_NOT_SUPPORTED) &&
        ikev1_quick_try_another(t, q)) {
        return;
    }
    refused(t, q, n->type);
}

/* ---- questions ---- */

static uint32_t ask_spi(struct ikev1_turn *t)
{
    uint32_t id = ikev1_question(t->sa);

    ikev1_act(t, IKEV1_ASK_SPI)->spi.id = id;
    return id;
}

void ikev1_quick_ask_spis(struct ikev1_turn *t, struct ikev1_quick *q, bool around)
{
    q->deadline_ms = ikev1_after(t->now_ms, IKEV1_ASK_MS);
    q->ask_spi = ask_spi(t);
    q->ask_around = around ? ask_spi(t) : 0;
}

void ikev1_quick_ask_key_exchange(struct ikev1_turn *t, struct ikev1_quick *q,
                                  struct slice peer_public)
{
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_KEY_EXCHANGE);
    struct slice copy = {NULL, 0};

    /* The message goes before the answer comes. */
    if (ikev1_block_copy(peer_public, &copy)) {
        struct slice buried = copy;

        ikev1_block_drop(t->sa, &buried);
    }
    q->ask_key_exchange = ikev1_question(t->sa);
    q->deadline_ms = ikev1_after(t->now_ms, IKEV1_ASK_MS);
    action->key_exchange.id = q->ask_key_exchange;
    action->key_exchange.group = q->group;
    action->key_exchange.pair = q->has_pair ? &q->pair : NULL;
    action->key_exchange.peer_public = copy;
}

/* ---- use ---- */

void ikev1_quick_use(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_child *child =
        q->child_spi_in != 0 ? ikev1_child_by_spi_in(t->sa, q->child_spi_in) : NULL;

    if (child != NULL) {
        ikev1_child_use(t, child);
    }
}

void ikev1_quick_prove(struct ikev1_turn *t, struct ikev1_quick *q)
{
    ikev1_quick_done(t, q);
    ikev1_quick_use(t, q);
}

bool ikev1_quick_awaits_connected(const struct ikev1_quick *q)
{
    return q->commit && q->step == (q->initiator ? IKEV1_QUICK_DONE : IKEV1_QUICK_SENT_2);
}

void ikev1_quick_connected(struct ikev1_turn *t, struct ikev1_quick *q)
{
    q->commit = false;
    if (q->initiator) {
        ikev1_quick_use(t, q);
    } else {
        ikev1_quick_prove(t, q);
    }
}

void ikev1_quick_proven(struct ikev1_turn *t, uint32_t spi_in)
{
    for (struct ikev1_quick *q = t->sa->quicks; q != NULL; q = q->next) {
        if (!q->initiator && q->step == IKEV1_QUICK_SENT_2 && q->child_spi_in == spi_in) {
            ikev1_quick_prove(t, q);
            return;
        }
    }
}

/* Some say CONNECTED in a fourth message of Quick Mode itself (as drafts of RFC 2408 could be
 * read), and not in an exchange of its own. */
static void receive_4(struct ikev1_turn *t, struct ikev1_quick *q, struct ikev1_message *m)
{
    struct ikev1_iv iv = q->iv;
    struct ikev1_hash_value hash;
    struct ikev1_notify_payload n;

    if (!q->initiator || !ikev1_quick_awaits_connected(q) || !ikev1_quick_open(t, q, &iv, m) ||
        !ikev1_hash_1(&q->ike->keys, q->message_id, ikev1_message_behind_hash(m), &hash) ||
        !ikev1_hash_equal(&hash, m->list[0].body) ||
        !ikev1_message_notify(m, IKEV1_CONNECTED, &n)) {
        return;
    }
    ikev1_trace(t, false, false, &m->header, m->chain);
    q->iv = iv;
    ikev1_heard(t, q->ike, m);
    ikev1_quick_connected(t, q);
}

void ikev1_quick_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m)
{
    struct ikev1_quick *q = ikev1_quick_find(t->sa, ike, m->header.message_id);
    uint8_t digest[32];

    sha256(&m->whole, 1, digest);
    if (q == NULL) {
        ikev1_quick_receive_1(t, ike, m, digest);
        return;
    }
    if (ikev1_reply_is_for(&q->reply, digest)) {
        if (q->initiator || q->step == IKEV1_QUICK_SENT_2) {
            ikev1_reply_again(t, &q->reply, &t->sa->local, &t->sa->peer);
        }
        return;
    }
    switch (q->step) {
    case IKEV1_QUICK_SENT_1:
        memcpy(q->digest, digest, sizeof(q->digest));
        ikev1_quick_receive_2(t, q, m);
        return;
    case IKEV1_QUICK_SENT_2:
        ikev1_quick_receive_3(t, q, m);
        return;
    case IKEV1_QUICK_ASKING:
        return;
    case IKEV1_QUICK_DONE:
        receive_4(t, q, m);
        return;
    }
}

/* ---- answers and time ---- */

/* A question was answered with no. */
static void stop(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_failure failure;
    bool has_spis = q->spi_in != 0 && (!q->choice.has_around || q->around_spi_in != 0);
    bool bad_public = q->group != 0 && has_spis && (q->answered || !q->initiator);

    ikev1_failure_set(&failure, bad_public ? IKEV1_FAIL_BAD_PUBLIC_VALUE : IKEV1_FAIL_RESOURCES,
                      IKEV1_QUICK,
                      bad_public ? IKEV1_INVALID_KEY_INFORMATION : IKEV1_NO_PROPOSAL_CHOSEN,
                      bad_public ? "" : "no SPI is free, or nobody answered");
    if (q->initiator) {
        failure.notify = 0;
        ikev1_quick_fail(t, q, &failure);
    } else {
        ikev1_quick_refuse(t, q, &failure);
    }
}

void ikev1_quick_continue(struct ikev1_turn *t, struct ikev1_quick *q, bool ok)
{
    if (ok && (q->ask_spi != 0 || q->ask_around != 0 || q->ask_key_exchange != 0)) {
        return;
    }
    q->ask_spi = 0;
    q->ask_around = 0;
    q->ask_key_exchange = 0;
    q->deadline_ms = NEVER_MS;
    if (!ok) {
        stop(t, q);
    } else if (!q->initiator) {
        ikev1_quick_send_2(t, q);
    } else if (q->answered) {
        ikev1_quick_send_3(t, q);
    } else {
        ikev1_quick_send_1(t, q);
    }
}

uint64_t ikev1_quick_deadline_ms(const struct ikev1_quick *q)
{
    return ikev1_earlier(ikev1_earlier(q->end_ms, q->deadline_ms), q->retransmit.deadline_ms);
}

/* The responder's message 3 never came: nobody uses the child. The initiator's question stayed
 * unanswered: the peer may have forgotten the ISAKMP SA, so another one is tried. Who complained
 * in its keys has it. */
static void give_up(struct ikev1_turn *t, struct ikev1_quick *q)
{
    struct ikev1_sa *sa = t->sa;
    struct ikev1_ike *ike = q->ike;
    bool initiator = q->initiator;
    const struct ikev1_child_policy *policy = q->policy;
    struct selector local = q->offered_local;
    struct selector remote = q->offered_remote;
    uint8_t retries = q->retries;
    uint32_t old = q->old_spi_in;

    if (q->doubt != 0) {
        refused(t, q, q->doubt);
        return;
    }
    ikev1_quick_fail_for(t, q, IKEV1_FAIL_CHILD_NO_ANSWER, 0, "it does not answer Quick Mode");
    if (!initiator || ike != sa->current || !ikev1_may_begin(sa)) {
        return;
    }
    if (old == 0 && retries < IKEV1_RETRIES_MAX &&
        !ikev1_pend(sa, policy, &local, &remote, t->now_ms, (uint8_t)(retries + 1))) {
        return;
    }
    ikev1_ike_forget(t, ike);
    ikev1_lost(t, IKEV1_FAIL_PEER_DEAD);
}

void ikev1_quick_time(struct ikev1_turn *t, struct ikev1_quick *q)
{
    if (q->end_ms <= t->now_ms) {
        ikev1_quick_end(t, q);
        return;
    }
    if (q->deadline_ms <= t->now_ms) {
        q->spi_in = q->ask_spi != 0 ? 0 : q->spi_in;
        ikev1_quick_continue(t, q, false);
        return;
    }
    switch (retransmit_time(&q->retransmit, t->now_ms, t->sa->random)) {
    case RETRANSMIT_WAIT:
        return;
    case RETRANSMIT_SEND:
        ikev1_resend(t, &q->reply, &t->sa->local, &t->sa->peer);
        return;
    case RETRANSMIT_GIVE_UP:
        give_up(t, q);
        return;
    }
}
