/*
 * Authentication anew (RFC 4478, RFC 7296 2.8.3): decides when. How is not decided here: a new IKE
 * SA is begun beside this one, by whoever is told to, and this one goes when that one is there.
 *
 * Whoever has a limit of his own takes care of it in both roles: as the original initiator he
 * begins before the other would; as the original responder he says AUTH_LIFETIME, leaves it to the
 * peer, and begins himself when the peer does not. What was not proven again in time is over.
 */
#include "proto/ikev2/machine.h"

#define LIFETIME_BYTES 4

static void sooner(uint64_t *at_ms, uint64_t other_ms)
{
    if (*at_ms == 0 || other_ms < *at_ms) {
        *at_ms = other_ms;
    }
}

void ikev2_reauthenticate_plan(struct ikev2_turn *t)
{
    struct ikev2_sa *sa = t->sa;
    uint64_t every_ms = UINT64_C(1000) * sa->policy->reauthenticate_s;

    if (every_ms == 0) {
        return;
    }
    struct ikev2_extra *extra = ikev2_extra(sa);

    if (extra == NULL) {
        ikev2_over_for(t, IKEV2_FAIL_RESOURCES, IKEV2_IKE_AUTH, 0, "no memory");
        return;
    }
    sooner(&extra->reauthenticate_ms, ikev2_jittered(sa, t->now_ms, every_ms, sa->initiator));
    sooner(&extra->proven_until_ms, ikev2_after(t->now_ms, every_ms));
}

void ikev2_reauthenticate_out(const struct ikev2_policy *policy, struct ikev2_outgoing *o)
{
    uint8_t lifetime[LIFETIME_BYTES];

    if (policy->reauthenticate_s != 0) {
        put_u32(lifetime, policy->reauthenticate_s);
        ikev2_out_notify(o, IKEV2_AUTH_LIFETIME, SLICE_OF(lifetime));
    }
}

/* RFC 4478 2: the original responder says it, in IKE_AUTH or later. The peer ends the IKE SA when
 * nothing comes, so a tenth of the time is left for the new one. */
void ikev2_reauthenticate_read(struct ikev2_turn *t, const struct ikev2_message *m)
{
    struct ikev2_sa *sa = t->sa;
    const struct ikev2_notify_payload *n = ikev2_message_notify(m, IKEV2_AUTH_LIFETIME);

    if (!sa->initiator || n == NULL || n->data.length != LIFETIME_BYTES) {
        return;
    }
    uint64_t lifetime_ms = UINT64_C(1000) * get_u32(n->data.data);
    struct ikev2_extra *extra = ikev2_extra(sa);

    /* Without memory he ends it, and it is begun anew then. */
    if (extra != NULL) {
        sooner(&extra->reauthenticate_ms, ikev2_jittered(sa, t->now_ms, lifetime_ms, true));
    }
}

void ikev2_reauthenticate_time(struct ikev2_turn *t)
{
    struct ikev2_extra *extra = t->sa->extra;

    if (extra == NULL || t->sa->state != IKEV2_STATE_UP) {
        return;
    }
    if (extra->proven_until_ms != 0 && extra->proven_until_ms <= t->now_ms) {
        struct ikev2_failure failure;

        ikev2_failure_set(&failure, IKEV2_FAIL_NOT_PROVEN_AGAIN, 0, 0, "");
        ikev2_over_with_delete(t, &failure);
    } else if (extra->reauthenticate_ms != 0 && extra->reauthenticate_ms <= t->now_ms) {
        extra->reauthenticate_ms = 0;
        ikev2_act(t, IKEV2_TELL_REAUTHENTICATE);
    }
}

uint64_t ikev2_reauthenticate_deadline_ms(const struct ikev2_sa *sa)
{
    const struct ikev2_extra *extra = sa->extra;
    uint64_t at_ms = NEVER_MS;

    if (extra == NULL || sa->state != IKEV2_STATE_UP) {
        return NEVER_MS;
    }
    if (extra->reauthenticate_ms != 0) {
        at_ms = extra->reauthenticate_ms;
    }
    return extra->proven_until_ms != 0 ? ikev2_earlier(at_ms, extra->proven_until_ms) : at_ms;
}
