/*
 * IKE over TCP (RFC 9329): decides what happens to an IKE SA when its connection becomes another
 * one. The IKE SA does not depend on any of them.
 */
#include "proto/ikev2/machine.h"

bool ikev2_stream_may_follow(const struct ikev2_sa *sa, const struct endpoint *peer)
{
    /* RFC 9329 1.2: connections are opened by who began the first IKE SA, and by nobody else. */
    return !sa->initiator && sa->peer.tcp && peer->tcp;
}

void ikev2_stream_resend(struct ikev2_turn *t)
{
    for (struct ikev2_ike *ike = t->sa->ikes; ike != NULL; ike = ike->next) {
        if (ike->request != NULL) {
            ikev2_request_again(t, ike, false);
        }
    }
}

bool ikev2_sa_carry(struct ikev2_sa *sa, const struct endpoint *local, const struct endpoint *peer,
                    uint64_t now_ms, struct ikev2_actions *actions)
{
    struct ikev2_turn t = ikev2_turn_begin(sa, now_ms, actions);

    if (sa->state == IKEV2_STATE_OVER || !sa->peer.tcp || !peer->tcp) {
        return false;
    }
    sa->local = *local;
    sa->peer = *peer;
    ikev2_stream_resend(&t);
    /* A request that the peer answered already, through the old connection, is no new message to
     * him: he follows when he is asked something else (RFC 9329 6.1), as soon as that may be. */
    sa->liveness_wanted = sa->liveness_wanted || sa->initiator;
    if (sa->state == IKEV2_STATE_UP) {
        ikev2_turn_finish(&t);
    }
    return true;
}
