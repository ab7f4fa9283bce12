/* Decides how raw sockets are opened: the kernel writes and reassembles the IP headers, we see what
 * is behind them. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/raw.h"

#include "host/sockaddr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool raw_open(struct datagram_socket *s, enum family family, uint8_t protocol, bool *absent,
              char *why, size_t why_bytes)
{
    *s = (struct datagram_socket){.fd = -1};
    *absent = false;
    int fd =
        socket(sockaddr_family(family), SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, (int)protocol);
    if (fd < 0) {
        *absent = errno == EAFNOSUPPORT;
        if (errno == EPERM || errno == EACCES) {
            snprintf(why, why_bytes,
                     "no right to open raw sockets: start as root or with the capability "
                     "CAP_NET_RAW");
        } else {
            snprintf(why, why_bytes, "cannot open a raw socket: %s", strerror(errno));
        }
        return false;
    }
    return datagram_init(s, fd, family, protocol, why, why_bytes);
}
