/* ECN through tunnels: the table of RFC 6040. */
#include "dataplane/ecn.h"

#define ECN_DROP 0xff

/* Figure 4 of RFC 6040; rows are the inner header, columns the outer, both by their code points. */
static const uint8_t decapsulated[4][4] = {
    /* outer:        Not-ECT      ECT(1)       ECT(0)       CE */
    [ECN_NOT_ECT] = {ECN_NOT_ECT, ECN_NOT_ECT, ECN_NOT_ECT, ECN_DROP},
    [ECN_ECT1] = {ECN_ECT1, ECN_ECT1, ECN_ECT1, ECN_CE},
    [ECN_ECT0] = {ECN_ECT0, ECN_ECT1, ECN_ECT0, ECN_CE},
    [ECN_CE] = {ECN_CE, ECN_CE, ECN_CE, ECN_CE},
};

uint8_t ecn_encapsulate(uint8_t inner_tos, bool copy_dscp)
{
    return copy_dscp ? inner_tos : inner_tos & ECN_MASK;
}

bool ecn_decapsulate(uint8_t inner_tos, uint8_t outer_tos, uint8_t *result_tos)
{
    uint8_t ecn = decapsulated[inner_tos & ECN_MASK][outer_tos & ECN_MASK];

    if (ecn == ECN_DROP) {
        return false;
    }
    *result_tos = (uint8_t)((inner_tos & ~ECN_MASK) | ecn);
    return true;
}
