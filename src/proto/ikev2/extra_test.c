/* What only some features keep: nobody else pays for it, and it goes with the machine. */
#include "proto/ikev2/machine.h"
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

TEST(a_plain_ike_sa_keeps_nothing_extra)
{
    struct ikev2_pair *p = ikev2_pair_new(1);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    for (size_t i = 0; i < 2; i++) {
        CHECK(p->side[i].established == 1);
        CHECK(p->side[i].sa->extra == NULL);
    }
    ikev2_pair_free(p);
}

TEST(extra_is_made_once_and_gone_when_the_machine_is_over)
{
    struct ikev2_pair *p = ikev2_pair_new(2);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    struct ikev2_sa *sa = p->side[0].sa;
    struct ikev2_extra *extra = ikev2_extra(sa);

    CHECK(extra != NULL);
    CHECK_EQUAL(extra->reauthenticate_ms, 0);
    extra->reauthenticate_ms = NEVER_MS;
    CHECK(ikev2_extra(sa) == extra);
    ikev2_extra_end(sa);
    CHECK(sa->extra == NULL);
    /* Buried and not freed yet: an action may still borrow from it. */
    CHECK_EQUAL(extra->reauthenticate_ms, NEVER_MS);
    CHECK(ikev2_extra(sa) != NULL);
    ikev2_pair_free(p);
}
