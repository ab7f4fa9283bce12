/* The keys of an SA as Wireshark's table esp_sa has them: one line an SA and direction. */
#ifndef SEKISHO_SEKISHOD_CAPTURE_KEYS_H
#define SEKISHO_SEKISHOD_CAPTURE_KEYS_H

#include "dataplane/dataplane.h"

#define CAPTURE_KEY_BYTES 1024

/* False when no keys were kept of the SA, or its algorithms have no name there. AH needs none. */
MUST_USE bool capture_keys_line(const struct dataplane *dp, const struct tap_record *record,
                                char out[CAPTURE_KEY_BYTES]);

#endif
