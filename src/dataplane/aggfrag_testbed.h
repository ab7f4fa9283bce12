/* Inner packets for tests of IP-TFS. */
#ifndef SEKISHO_DATAPLANE_AGGFRAG_TESTBED_H
#define SEKISHO_DATAPLANE_AGGFRAG_TESTBED_H

#include "base/bytes.h"

/* The head of an IPv4 (version 4) or IPv6 packet of this length, and octets that follow from
 * `seed`. */
void inner_make(uint8_t *out, uint8_t version, uint32_t length, uint32_t seed);

#endif
