/* The kernel's socket addresses as ours, and back. */
#ifndef SEKISHO_HOST_SOCKADDR_H
#define SEKISHO_HOST_SOCKADDR_H

#include <sys/socket.h>

#include "base/address.h"

/* Returns the length. The family must be set. */
socklen_t sockaddr_write(struct sockaddr_storage *out, const struct endpoint *endpoint);
/* False for families that are neither IPv4 nor IPv6. */
MUST_USE bool sockaddr_read(const struct sockaddr_storage *from, struct endpoint *out);
int sockaddr_family(enum family family); /* AF_INET, AF_INET6 */

#endif
