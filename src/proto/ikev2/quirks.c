/* Decides what is left out towards peers that are known to stumble over it. */
#include "proto/ikev2/machine.h"

void ikev2_sa_set_quirks(struct ikev2_sa *sa, unsigned quirks)
{
    sa->quirks = (uint8_t)quirks;
    for (struct ikev2_child *child = sa->children; child != NULL; child = child->next) {
        if ((quirks & IKEV2_QUIRK_NO_CHILD_REKEY) != 0) {
            child->rekey_ms = NEVER_MS;
        }
    }
}

static bool has_group(const struct proposal *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->transforms[i].type == TRANSFORM_KEY_EXCHANGE &&
            p->transforms[i].id != KEY_EXCHANGE_NONE) {
            return true;
        }
    }
    return false;
}

bool ikev2_quirk_without_group(const struct ikev2_sa *sa, const struct ikev2_child_policy *policy)
{
    bool allowed = false;

    for (size_t i = 0; i < policy->proposals->count; i++) {
        allowed = allowed || !has_group(&policy->proposals->list[i]);
    }
    return allowed && (sa->quirks & IKEV2_QUIRK_NO_CHILD_GROUP) != 0;
}

uint64_t ikev2_quirk_rekey_ms(const struct ikev2_sa *sa, uint64_t rekey_ms)
{
    return (sa->quirks & IKEV2_QUIRK_NO_CHILD_REKEY) != 0 ? NEVER_MS : rekey_ms;
}
