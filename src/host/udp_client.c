/* Decides how one server is spoken to by UDP. */
#include "host/udp_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/sockaddr.h"

int udp_client_open(const struct endpoint *server, char *why, size_t why_bytes)
{
    struct sockaddr_storage to;
    socklen_t length = sockaddr_write(&to, server);
    char text[ENDPOINT_TEXT_BYTES];
    int fd = socket(sockaddr_family((enum family)server->address.family),
                    SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, length) != 0) {
        snprintf(why, why_bytes, "%s cannot be reached: %s", endpoint_format(server, text),
                 strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* An error here is an old one: of a datagram before, which somebody answered with ICMP. */
void udp_client_send(int fd, struct slice bytes)
{
    if (send(fd, bytes.data, bytes.length, MSG_NOSIGNAL) < 0) {
        (void)!send(fd, bytes.data, bytes.length, MSG_NOSIGNAL);
    }
}

bool udp_client_receive(int fd, uint8_t *room, size_t room_bytes, size_t *length)
{
    for (unsigned i = 0; i < 3; i++) {
        ssize_t got = recv(fd, room, room_bytes, 0);

        if (got >= 0) {
            *length = (size_t)got;
            return true;
        }
        /* Errors from the network are taken out by reading them. */
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return false;
        }
    }
    return false;
}
