/*
 * What is said when something goes wrong: both sides of a mismatch in words of the configuration.
 */
#include <string.h>

#include "proto/ikev1/machine.h"

void ikev1_failure_set(struct ikev1_failure *f, enum ikev1_failure_reason reason, uint8_t exchange,
                       uint16_t notify, const char *detail)
{
    memset(f, 0, sizeof(*f));
    f->reason = reason;
    f->exchange = exchange;
    f->notify = notify;
    struct text text = text_over(f->detail, sizeof(f->detail));

    text_add(&text, detail);
}

void ikev1_failure_policies(struct ikev1_failure *f, const struct proposals *const *ours,
                            size_t count, uint8_t protocol)
{
    struct text own = text_over(f->ours, sizeof(f->ours));

    for (size_t i = 0; i < count && !own.cut; i++) {
        text_add(&own, i > 0 ? ", " : "");
        proposal_describe_policy(ours[i], protocol, &own);
    }
}

void ikev1_failure_child_policy(struct ikev1_failure *f, const struct ikev1_child_policy *policy)
{
    struct text own = text_over(f->ours, sizeof(f->ours));

    if (policy->around != NULL) {
        text_add(&own, "ah ");
        proposal_describe_policy(policy->around, PROTOCOL_AH, &own);
        text_add(&own, " + ");
    }
    proposal_describe_policy(policy->proposals, ikev1_child_policy_protocol(policy), &own);
}

void ikev1_failure_identities(struct ikev1_failure *f, const struct ike_identity *ours,
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

void ikev1_failure_selectors(char out[384], const struct selector *local, size_t local_count,
                             const struct selector *remote, size_t remote_count)
{
    struct text text = text_over(out, 384);

    selectors_describe(local, local_count, &text);
    text_add(&text, " === ");
    selectors_describe(remote, remote_count, &text);
}
