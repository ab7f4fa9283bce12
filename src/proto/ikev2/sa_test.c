/* Two machines: handshakes, and all that can be wrong with one. */
#include "tests/support/ikev2_pair.h"
#include "tests/support/test.h"

TEST(a_handshake_brings_up_both_sides_and_a_child)
{
    struct ikev2_pair *p = ikev2_pair_new(1);

    ikev2_pair_start(p, 0);
    CHECK(ikev2_pair_run(p));
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQUAL(p->side[i].established, 1);
        CHECK_EQUAL(p->side[i].failed, 0);
        CHECK_EQUAL(ikev2_pair_live_children(p, i), 1);
        CHECK(ikev2_pair_packet(p, i, "net"));
    }
    CHECK(ikev2_pair_agrees(p));
    CHECK(p->side[0].spi_i == p->side[1].spi_i && p->side[0].spi_r == p->side[1].spi_r);
    CHECK_EQUAL(p->side[0].sends, 2);
    CHECK_EQUAL(p->side[1].sends, 2);
    ikev2_pair_free(p);
}
