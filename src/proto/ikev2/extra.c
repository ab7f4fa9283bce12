/*
 * What only some features keep with a machine: made when it is needed, gone with the machine.
 */
#include "proto/ikev2/machine.h"

struct ikev2_extra *ikev2_extra(struct ikev2_sa *sa)
{
    if (sa->extra == NULL) {
        sa->extra = ikev2_block_new(sizeof(*sa->extra));
    }
    return sa->extra;
}

void ikev2_extra_end(struct ikev2_sa *sa)
{
    if (sa->extra != NULL) {
        ikev2_block_bury(sa, sa->extra->mobility);
        ikev2_block_bury(sa, sa->extra->redirect);
    }
    ikev2_block_bury(sa, sa->extra);
    sa->extra = NULL;
}
