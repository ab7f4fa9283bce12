/* Which flow a clear packet belongs to, as a number. */
#ifndef SEKISHO_SEKISHOD_FLOW_HASH_H
#define SEKISHO_SEKISHOD_FLOW_HASH_H

#include "base/bytes.h"

/* The same for both directions of a flow, and for all fragments of a packet. Any octets may be
 * given. */
uint32_t flow_hash(struct slice packet);

#endif
