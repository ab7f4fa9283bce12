/* Hashes of what a configuration says; equal hashes mean that nothing has to be done. */
#ifndef SEKISHO_CONFIG_COMPARE_H
#define SEKISHO_CONFIG_COMPARE_H

#include "config/config.h"

/* Fills the hashes of the sites and of the whole; false when there is no memory. */
MUST_USE bool hashes_make(struct config *config);

#endif
