/*
 * Transaction exchanges (draft-dukes-ike-mode-cfg-02 3.1): which question an answer is for.
 */
#include "proto/ikev1/machine.h"

void ikev1_sa_answer_login(struct ikev1_sa *sa, uint32_t id,
                           const struct ikev1_login_answer *answer, uint64_t now_ms,
                           struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);

    (void)id;
    (void)answer;
    (void)t;
}

void ikev1_sa_answer_credentials(struct ikev1_sa *sa, uint32_t id,
                                 const struct ikev1_credentials *credentials, uint64_t now_ms,
                                 struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);

    (void)id;
    (void)credentials;
    (void)t;
}

void ikev1_sa_answer_settings(struct ikev1_sa *sa, uint32_t id,
                              const struct ikev1_settings *settings, uint64_t now_ms,
                              struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);

    (void)id;
    (void)settings;
    (void)t;
}
