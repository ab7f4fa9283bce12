/* What becomes of the ECN and DSCP fields on entering and leaving a tunnel (RFC 6040, RFC
 * 4301 5.1.2.1). */
#ifndef SEKISHO_DATAPLANE_ECN_H
#define SEKISHO_DATAPLANE_ECN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/defs.h"

#define ECN_MASK 3
#define ECN_NOT_ECT 0
#define ECN_ECT1 1
#define ECN_ECT0 2
#define ECN_CE 3

/* The outer traffic class: normal mode of RFC 6040 4.1 (ECN is copied). */
uint8_t ecn_encapsulate(uint8_t inner_tos, bool copy_dscp);
/* RFC 6040 4.2, figure 4. False: the packet must be dropped. DSCP of the inner header stays. */
MUST_USE bool ecn_decapsulate(uint8_t inner_tos, uint8_t outer_tos, uint8_t *result_tos);

#endif
