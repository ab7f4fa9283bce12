/* Decides how much proof it takes that the system joins wrongly. */
#include "sekishod/suspicion.h"

#define BATCHES_FOR_PROOF 4

bool suspicion_see(struct suspicion *suspicion, size_t count, size_t joined, size_t forged,
                   size_t delivered)
{
    if (joined == 0) {
        suspicion->good_single += delivered > 0 && forged == 0 ? 1 : 0;
    } else if (joined == count && forged == count) {
        suspicion->bad_joined++;
    } else if (forged < joined) {
        /* At least one of the joined ones was good. */
        *suspicion = (struct suspicion){0};
    }
    return suspicion->bad_joined >= BATCHES_FOR_PROOF &&
           suspicion->good_single >= BATCHES_FOR_PROOF;
}
