/*
 * A peer behind a NAT is followed to where his packets come from (RFC 7296 2.23), and not more
 * often than so: who copies his packets and is faster than he is from elsewhere would otherwise
 * make the tunnel go back and forth with every one of them. What is refused is counted; when
 * following is allowed again, what comes in then decides.
 */
#include "proto/ikev2/machine.h"

#define AT_ONCE 6 /* that many are followed without a wait */
#define EACH_MS UINT64_C(10000) /* and afterwards one in this time */

/* Every following makes the next one possible this much later; so far ahead may it get. */
#define AHEAD_MS ((AT_ONCE - 1) * EACH_MS)

bool ikev2_follow_is_allowed(struct ikev2_turn *t)
{
    struct ikev2_extra *extra = ikev2_extra(t->sa);

    if (extra == NULL) {
        return false;
    }
    if (extra->follow_ms > t->now_ms + AHEAD_MS) {
        extra->follow_refused++;
        extra->follow_again_ms = extra->follow_ms - AHEAD_MS;
        return false;
    }
    extra->follow_ms = (extra->follow_ms > t->now_ms ? extra->follow_ms : t->now_ms) + EACH_MS;
    return true;
}

uint64_t ikev2_follow_due_ms(const struct ikev2_sa *sa)
{
    return sa->extra == NULL || sa->extra->follow_again_ms == 0 ? NEVER_MS
                                                                : sa->extra->follow_again_ms;
}

/* Whoever carries the packets hears where they go, and then says again where they come from. */
void ikev2_follow_time(struct ikev2_turn *t)
{
    if (t->sa->state != IKEV2_STATE_UP || ikev2_follow_due_ms(t->sa) > t->now_ms) {
        return;
    }
    struct ikev2_extra *extra = t->sa->extra;

    ikev2_tell_moved(t, true);
    t->actions->list[t->actions->count - 1].moved.not_followed = extra->follow_refused;
    extra->follow_again_ms = 0;
    extra->follow_refused = 0;
}
