/*
 * What an exchange about a child or a new IKE SA needs while it goes on: its questions to the
 * gateway, and what must be given back when it ends.
 */
#include "proto/ikev2/machine.h"

#include <assert.h>
#include <string.h>

struct ikev2_work *ikev2_work_new(enum ikev2_work_kind kind, bool initiator)
{
    struct ikev2_work *work = ikev2_block_new(sizeof(*work));

    if (work == NULL) {
        return NULL;
    }
    work->kind = kind;
    work->initiator = initiator;
    work->deadline_ms = NEVER_MS;
    return work;
}

void ikev2_work_end(struct ikev2_turn *t, struct ikev2_work **where)
{
    struct ikev2_work *work = *where;

    if (work == NULL) {
        return;
    }
    *where = NULL;
    if (work->spi_in != 0) {
        ikev2_act(t, IKEV2_SPI_UNUSED)->esp_spi = work->spi_in;
    }
    if (work->kind == IKEV2_WORK_PROBE) {
        struct ikev2_action *action = ikev2_act(t, IKEV2_PROBE_DONE);

        action->probe.bytes = work->probe_bytes;
        action->probe.passed = work->probe_passed;
    }
    if (work->kind == IKEV2_WORK_MOBILE && !work->answered) {
        ikev2_mobile_unanswered(t->sa);
    }
    key_pair_wipe(&work->pair);
    secret_wipe(&work->shared);
    secret_wipe(&work->more);
    ikev2_block_drop(t->sa, &work->link);
    ikev2_block_bury(t->sa, work);
}

void ikev2_work_ask_spi(struct ikev2_turn *t, struct ikev2_work *work)
{
    work->ask_spi = ikev2_question(t->sa);
    work->deadline_ms = ikev2_after(t->now_ms, IKEV2_ASK_MS);
    struct ikev2_action *action = ikev2_act(t, IKEV2_ASK_SPI);

    action->spi.id = work->ask_spi;
    action->spi.resource = work->packet.resource;
}

void ikev2_work_ask_key_exchange(struct ikev2_turn *t, struct ikev2_work *work,
                                 struct slice peer_public)
{
    struct ikev2_action *action = ikev2_act(t, IKEV2_ASK_KEY_EXCHANGE);

    work->ask_key_exchange = ikev2_question(t->sa);
    work->deadline_ms = ikev2_after(t->now_ms, IKEV2_ASK_MS);
    action->key_exchange.id = work->ask_key_exchange;
    action->key_exchange.group = work->group;
    action->key_exchange.pair = work->has_pair ? &work->pair : NULL;
    action->key_exchange.peer_public = peer_public;
}

void ikev2_work_continue(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                         bool ok)
{
    if (ok && (work->ask_spi != 0 || work->ask_key_exchange != 0)) {
        return;
    }
    work->ask_spi = 0;
    work->ask_key_exchange = 0;
    work->deadline_ms = NEVER_MS;
    bool rekey_ike = work->kind == IKEV2_WORK_REKEY_IKE;

    if (t->sa->handshake != NULL) {
        ikev2_auth_continue(t, ok);
    } else if (!work->initiator && !ike->busy) {
        /* The next request of the series did not come in time. */
        ikev2_followup_abandon(t, ike);
    } else if (work->initiator && work->following && !work->answered && ok) {
        ikev2_followup_send(t, ike, work);
    } else if (!work->initiator) {
        (rekey_ike ? ikev2_rekey_answer : ikev2_child_answer)(t, ike, work, ok);
    } else if (work->answered) {
        (rekey_ike ? ikev2_rekey_agreed : ikev2_child_agreed)(t, ike, work, ok);
    } else {
        (rekey_ike ? ikev2_rekey_send : ikev2_child_send)(t, ike, work, ok);
    }
}

bool ikev2_group_may_be_tried(const struct ikev2_notify_payload *notify,
                              const struct proposals *proposals, uint16_t *tried,
                              uint8_t *tried_count, uint16_t *group)
{
    if (notify->data.length != 2 || *tried_count == IKEV2_GROUPS_TRIED_MAX) {
        return false;
    }
    *group = get_u16(notify->data.data);
    for (size_t i = 0; i < *tried_count; i++) {
        if (tried[i] == *group) {
            return false;
        }
    }
    if (!proposal_has_group(proposals, *group)) {
        return false;
    }
    tried[(*tried_count)++] = *group;
    return true;
}
