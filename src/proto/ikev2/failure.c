/*
 * What is said when something goes wrong: both sides of a mismatch in words of the configuration.
 */
#include "proto/ikev2/machine.h"

#include <string.h>

void ikev2_failure_set(struct ikev2_failure *f, enum ikev2_failure_reason reason, uint8_t exchange,
                       uint16_t notify, const char *detail)
{
    memset(f, 0, sizeof(*f));
    f->reason = reason;
    f->exchange = exchange;
    f->notify = notify;
    struct text text = text_over(f->detail, sizeof(f->detail));

    text_add(&text, detail);
}

void ikev2_failure_proposals(struct ikev2_failure *f, const struct proposals *const *ours,
                             size_t our_count, const struct ikev2_sa_payload *theirs,
                             uint8_t protocol)
{
    struct text own = text_over(f->ours, sizeof(f->ours));

    for (size_t i = 0; i < our_count && !own.cut; i++) {
        text_add(&own, i > 0 ? ", " : "");
        proposal_describe_policy(ours[i], protocol, &own);
    }
    if (theirs != NULL) {
        struct text peer = text_over(f->theirs, sizeof(f->theirs));

        proposal_describe_offer(theirs, protocol, &peer);
    }
}

void ikev2_failure_identities(struct ikev2_failure *f, const struct ike_identity *ours,
                              const struct ike_identity *theirs)
{
    if (ours != NULL) {
        struct text own = text_over(f->ours, sizeof(f->ours));

        ike_identity_describe(ours, &own);
    }
    if (theirs != NULL) {
        struct text peer = text_over(f->theirs, sizeof(f->theirs));

        ike_identity_describe(theirs, &peer);
    }
}

void ikev2_failure_not_post_quantum(struct ikev2_failure *f, uint8_t exchange, uint16_t notify,
                                    const struct suite *suite)
{
    ikev2_failure_set(f, IKEV2_FAIL_NOT_POST_QUANTUM, exchange, notify, "");
    if (suite != NULL) {
        suite_title(suite, f->theirs, sizeof(f->theirs));
    }
}

static void describe_both(char *out, size_t capacity, const struct selector *local,
                          size_t local_count, const struct selector *remote, size_t remote_count)
{
    struct text text = text_over(out, capacity);

    selectors_describe(local, local_count, &text);
    text_add(&text, " === ");
    selectors_describe(remote, remote_count, &text);
}

void ikev2_failure_own_selectors(struct ikev2_failure *f, const struct selector *local,
                                 size_t local_count, const struct selector *remote,
                                 size_t remote_count)
{
    describe_both(f->ours, sizeof(f->ours), local, local_count, remote, remote_count);
}

void ikev2_failure_peer_selectors(struct ikev2_failure *f, const struct selector *local,
                                  size_t local_count, const struct selector *remote,
                                  size_t remote_count)
{
    describe_both(f->theirs, sizeof(f->theirs), local, local_count, remote, remote_count);
}
