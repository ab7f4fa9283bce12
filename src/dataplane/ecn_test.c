/* All 16 combinations of RFC 6040, figure 4, as printed there. */
#include "dataplane/ecn.h"

#include "tests/support/test.h"

TEST(all_combinations_leave_the_tunnel_as_figure_4_of_rfc_6040_says)
{
    /* Rows and columns in the order of the figure: Not-ECT, ECT(0), ECT(1), CE; -1: drop. */
    static const uint8_t order[4] = {0, 2, 1, 3};
    static const int figure[4][4] = {
        {0, 0, 0, -1},
        {2, 2, 1, 3},
        {1, 1, 1, 3},
        {3, 3, 3, 3},
    };

    for (size_t inner = 0; inner < 4; inner++) {
        for (size_t outer = 0; outer < 4; outer++) {
            for (int dscp = 0; dscp < 64; dscp++) {
                uint8_t result = 0xaa;
                uint8_t inner_tos = (uint8_t)(dscp << 2 | order[inner]);
                uint8_t outer_tos = (uint8_t)((63 - dscp) << 2 | order[outer]);
                bool kept = ecn_decapsulate(inner_tos, outer_tos, &result);
                CHECK_EQUAL(kept, figure[inner][outer] >= 0);
                if (kept) {
                    CHECK_EQUAL(result, dscp << 2 | figure[inner][outer]);
                }
            }
        }
    }
}

TEST(on_entering_ecn_is_copied_and_dscp_only_when_asked)
{
    for (int tos = 0; tos < 256; tos++) {
        CHECK_EQUAL(ecn_encapsulate((uint8_t)tos, true), tos);
        CHECK_EQUAL(ecn_encapsulate((uint8_t)tos, false), tos & 3);
    }
}
