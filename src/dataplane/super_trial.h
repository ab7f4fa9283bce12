/* Cutting and joining, tried at the start beside the plainest way to do the same. */
#ifndef SEKISHO_DATAPLANE_SUPER_TRIAL_H
#define SEKISHO_DATAPLANE_SUPER_TRIAL_H

#include <stdbool.h>

#include "base/defs.h"

/* A super-packet of each kind is cut, each piece compared with one that was written octet by octet,
 * and what is joined is the whole again. False: nothing is to be cut or joined here. */
MUST_USE bool super_is_right(void);

#endif
