/* Which program holds a UDP port: for the sentence that an administrator reads when it is not us.
 */
#ifndef SEKISHO_HOST_PORT_OWNER_H
#define SEKISHO_HOST_PORT_OWNER_H

#include "base/address.h"

/* "charon (process 1234)". False when nobody holds it or the system does not say. */
MUST_USE bool port_owner(enum family family, uint16_t port, char *words, size_t words_bytes);

#endif
