/*
 * IKE_FOLLOWUP_KE (RFC 9370 2.2.4): decides which key exchange comes next behind CREATE_CHILD_SA,
 * and when a series of them is over. Only then is there a new child or IKE SA.
 *
 * The work of the exchange stays where it is until then, at either end. Who answered waits for the
 * next one for a while; who began a series and finds that the peer's, begun at the same time, is
 * the one that stays, does not go on with his own.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

#define WAIT_MS 20000 /* for the next request: "5-20 seconds of waiting time" */

bool ikev2_followup_is_done(const struct ikev2_work *work)
{
    return work->additional_done == work->choice.additional_count;
}

uint16_t ikev2_followup_post_quantum(const struct ikev2_work *work)
{
    uint16_t group = KEY_EXCHANGE_NONE;

    for (size_t i = 0; i < work->additional_done; i++) {
        uint16_t more = work->choice.additional[i];

        group = key_exchange_is_post_quantum(more) && more > group ? more : group;
    }
    return group;
}

static uint16_t group_next(const struct ikev2_work *work)
{
    assert(!ikev2_followup_is_done(work));
    return work->choice.additional[work->additional_done];
}

bool ikev2_followup_take(struct ikev2_work *work, const struct secret *shared)
{
    struct secret all = {0};

    assert(work->following);
    if (!secret_reserve(&all, work->more.length + shared->length)) {
        return false;
    }
    if (work->more.length > 0) {
        memcpy(all.bytes, work->more.bytes, work->more.length);
    }
    memcpy(all.bytes + work->more.length, shared->bytes, shared->length);
    secret_move(&work->more, &all);
    work->additional_done++;
    return true;
}

static void forget_pair(struct ikev2_work *work)
{
    key_pair_wipe(&work->pair);
    work->has_pair = false;
}

/* ---- by us ---- */

bool ikev2_followup_take_link(struct ikev2_sa *sa, struct ikev2_work *work,
                              const struct ikev2_message *m)
{
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_ADDITIONAL_KEY_EXCHANGE);

    ikev2_block_drop(sa, &work->link);
    return n != NULL && (n->data.length == 0 || ikev2_block_copy(n->data, &work->link));
}

void ikev2_followup_begin(struct ikev2_turn *t, struct ikev2_work *work)
{
    work->following = true;
    work->answered = false;
    forget_pair(work);
    work->group = group_next(work);
    ikev2_work_ask_key_exchange(t, work, (struct slice){NULL, 0});
}

void ikev2_followup_send(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work)
{
    struct ikev2_outgoing o NOT_ZEROED;

    ikev2_out_begin(&o);
    ikev2_out_ke(&o, work->group, &work->pair);
    ikev2_out_notify(&o, IKEV2_ADDITIONAL_KEY_EXCHANGE, work->link);
    ikev2_send_request(t, ike, IKEV2_IKE_FOLLOWUP_KE, &o);
}

enum ikev2_followup_verdict ikev2_followup_response(struct ikev2_turn *t, struct ikev2_work *work,
                                                    const struct ikev2_message *m)
{
    struct ikev2_ke_payload ke;
    bool last = work->additional_done + 1 == work->choice.additional_count;

    if (ikev2_message_error(m) != NULL) {
        return IKEV2_FOLLOWUP_REFUSED;
    }
    if (!m->has[IKEV2_KE] || !ikev2_message_ke(m, &ke) || ke.group != work->group ||
        (!last && !ikev2_followup_take_link(t->sa, work, m))) {
        return IKEV2_FOLLOWUP_MALFORMED;
    }
    ikev2_work_ask_key_exchange(t, work, ke.value);
    return IKEV2_FOLLOWUP_GOES_ON;
}

void ikev2_followup_won(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_work *work)
{
    const struct ikev2_work *his = ike->answering;

    if (work->collided && his != NULL && his->following && his->kind == work->kind &&
        his->old_spi_in == work->old_spi_in) {
        ikev2_work_end(t, &ike->answering);
    }
}

/* ---- by the peer ---- */

bool ikev2_followup_is_awaited(const struct ikev2_ike *ike)
{
    return ike->answering != NULL && ike->answering->following;
}

void ikev2_followup_abandon(struct ikev2_turn *t, struct ikev2_ike *ike)
{
    if (ikev2_followup_is_awaited(ike)) {
        ikev2_work_end(t, &ike->answering);
    }
}

void ikev2_followup_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                            const struct ikev2_message *m)
{
    struct ikev2_work *work = ike->answering;
    const struct ikev2_notify_payload *link =
        ikev2_message_notify(m, IKEV2_ADDITIONAL_KEY_EXCHANGE);
    struct ikev2_ke_payload ke;

    if (!ikev2_followup_is_awaited(ike) || link == NULL ||
        !slice_equal(link->data, SLICE_OF(work->own_link))) {
        ikev2_send_notify(t, ike, IKEV2_STATE_NOT_FOUND, (struct slice){NULL, 0});
        return;
    }
    if (!m->has[IKEV2_KE] || !ikev2_message_ke(m, &ke) || ke.group != group_next(work)) {
        ikev2_send_notify(t, ike, IKEV2_INVALID_SYNTAX, (struct slice){NULL, 0});
        ikev2_over_for(t, IKEV2_FAIL_SYNTAX, IKEV2_IKE_FOLLOWUP_KE, IKEV2_INVALID_SYNTAX,
                       "the request has not the key exchange that was agreed");
        return;
    }
    forget_pair(work);
    work->group = ke.group;
    ikev2_work_ask_key_exchange(t, work, ke.value);
}

void ikev2_followup_write_response(struct ikev2_outgoing *o, const struct ikev2_work *work)
{
    ikev2_out_ke(o, work->group, &work->pair);
}

bool ikev2_followup_answer(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                           struct ikev2_outgoing *o)
{
    random_fill(t->sa->random, work->own_link, sizeof(work->own_link));
    ikev2_out_notify(o, IKEV2_ADDITIONAL_KEY_EXCHANGE, SLICE_OF(work->own_link));
    work->following = true;
    work->deadline_ms = ikev2_after(t->now_ms, WAIT_MS);
    return ikev2_send_response(t, ike, o);
}

void ikev2_followup_collides(struct ikev2_work *own, const struct ikev2_work *his)
{
    own->collided = true;
    own->rival_follows = true;
    own->rival_spi_in = his->spi_in;
    own->rival_ike_spi = his->own_ike_spi;
    own->rival_lowest = *ikev2_nonce_lower(&his->nonce_i, &his->nonce_r);
}
