/* Decides which options TCP sockets have, and what the errors of the system mean. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/connection.h"

#include "host/datagram.h"
#include "host/sockaddr.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 256
/* What waits in the system unsent makes everything behind it late. */
#define UNSENT_BYTES (128 * 1024)
/* Nobody says that he had it: then the connection is over, and another one may find a way. */
#define UNHEARD_MS 20000
/* A connection through which nothing goes is asked whether the other side is still there. */
#define QUIET_S 60
#define ASK_S 15
#define ASK_TIMES 4

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

/* What is not there makes nothing wrong, only later. */
static void set_options(int fd, uint8_t family)
{
    (void)set(fd, SOL_SOCKET, SO_MARK, DATAGRAM_MARK);
    (void)set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    (void)set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES);
    (void)set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNHEARD_MS);
    (void)set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    (void)set(fd, IPPROTO_TCP, TCP_KEEPIDLE, QUIET_S);
    (void)set(fd, IPPROTO_TCP, TCP_KEEPINTVL, ASK_S);
    (void)set(fd, IPPROTO_TCP, TCP_KEEPCNT, ASK_TIMES);
    if (family == FAMILY_IPV6) {
        /* RFC 9329 6.1: the flow label of a new connection is that of the one before. */
        (void)set(fd, IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0);
    }
}

static void explain_listening(int error, const struct endpoint *local, char *why, size_t why_bytes)
{
    char place[ENDPOINT_TEXT_BYTES];

    switch (error) {
    case EADDRINUSE:
        snprintf(why, why_bytes,
                 "TCP port %u is taken by another program: stop it, or choose another port",
                 local->port);
        return;
    case EACCES:
    case EPERM:
        snprintf(why, why_bytes,
                 "no right to open TCP port %u: start as root or with the capability "
                 "CAP_NET_BIND_SERVICE",
                 local->port);
        return;
    default:
        snprintf(why, why_bytes, "cannot listen on %s for TCP: %s", endpoint_format(local, place),
                 strerror(error));
        return;
    }
}

int connection_listen(const struct endpoint *local, bool *absent, char *why, size_t why_bytes)
{
    struct sockaddr_storage name;
    socklen_t name_length = sockaddr_write(&name, local);
    int family = sockaddr_family((enum family)local->address.family);
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    *absent = fd < 0 && errno == EAFNOSUPPORT;
    if (fd < 0) {
        explain_listening(errno, local, why, why_bytes);
        return -1;
    }
    /* Each family has a socket of its own; connections of the daemon before us are no obstacle. */
    if ((family == AF_INET6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) ||
        !set(fd, SOL_SOCKET, SO_REUSEADDR, 1) ||
        bind(fd, (const struct sockaddr *)&name, name_length) != 0 || listen(fd, BACKLOG) != 0) {
        /* IPv6 switched off by a sysctl looks like this. */
        *absent = errno == EADDRNOTAVAIL && address_is_any(&local->address);
        explain_listening(errno, local, why, why_bytes);
        (void)close(fd);
        return -1;
    }
    set_options(fd, local->address.family);
    return fd;
}

bool connection_end(int fd, struct endpoint *local)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);

    if (getsockname(fd, (struct sockaddr *)&name, &length) != 0 || !sockaddr_read(&name, local)) {
        return false;
    }
    local->tcp = true;
    return true;
}

enum connection_result connection_accept(int listener, int *fd, struct endpoint *local,
                                         struct endpoint *peer)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);

    *fd = accept4(listener, (struct sockaddr *)&name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (*fd < 0) {
        /* Errors of the network belong to that one connection (accept(2)). */
        return errno == EAGAIN ? CONNECTION_LATER : CONNECTION_ENDED;
    }
    if (!sockaddr_read(&name, peer) || !connection_end(*fd, local)) {
        (void)close(*fd);
        *fd = -1;
        return CONNECTION_ENDED;
    }
    peer->tcp = true;
    set_options(*fd, peer->address.family);
    return CONNECTION_DONE;
}

static void explain(int error, char *why, size_t why_bytes)
{
    switch (error) {
    case ECONNREFUSED:
        snprintf(why, why_bytes, "nobody listens on that TCP port");
        return;
    case ECONNRESET:
    case EPIPE:
        snprintf(why, why_bytes, "the connection was reset");
        return;
    case ETIMEDOUT:
        snprintf(why, why_bytes, "no answer");
        return;
    default:
        snprintf(why, why_bytes, "%s", strerror(error));
        return;
    }
}

int connection_open(const struct address *local, const struct endpoint *peer, char *why,
                    size_t why_bytes)
{
    struct sockaddr_storage name;
    int family = sockaddr_family((enum family)peer->address.family);
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd < 0) {
        explain(errno, why, why_bytes);
        return -1;
    }
    set_options(fd, peer->address.family);
    if (!address_is_unset(local) && !address_is_any(local)) {
        const struct endpoint from = {.address = *local};
        socklen_t length = sockaddr_write(&name, &from);

        /* The port is chosen with the other end, so that many connections find one. */
        (void)set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        if (bind(fd, (const struct sockaddr *)&name, length) != 0) {
            explain(errno, why, why_bytes);
            (void)close(fd);
            return -1;
        }
    }
    socklen_t length = sockaddr_write(&name, peer);
    if (connect(fd, (const struct sockaddr *)&name, length) != 0 && errno != EINPROGRESS) {
        explain(errno, why, why_bytes);
        (void)close(fd);
        return -1;
    }
    return fd;
}

bool connection_opened(int fd, struct endpoint *local, char *why, size_t why_bytes)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        error = errno;
    }
    if (error == 0 && !connection_end(fd, local)) {
        error = errno;
    }
    if (error != 0) {
        explain(error, why, why_bytes);
    }
    return error == 0;
}

enum connection_result connection_read(int fd, uint8_t *room, size_t room_bytes, size_t *bytes,
                                       char *why, size_t why_bytes)
{
    ssize_t got = recv(fd, room, room_bytes, MSG_DONTWAIT);

    *bytes = 0;
    if (got > 0) {
        *bytes = (size_t)got;
        return CONNECTION_DONE;
    }
    if (got == 0) {
        snprintf(why, why_bytes, "the other side closed it");
        return CONNECTION_ENDED;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return CONNECTION_LATER;
    }
    explain(errno, why, why_bytes);
    return CONNECTION_ENDED;
}

enum connection_result connection_write(int fd, const struct slice *parts, size_t count,
                                        size_t *bytes)
{
    /* Kept by the thread: many are written at once. */
    static _Thread_local struct iovec vector[CONNECTION_PARTS_MAX];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = count};

    assert(count > 0 && count <= CONNECTION_PARTS_MAX);
    for (size_t i = 0; i < count; i++) {
        vector[i] = (struct iovec){(void *)(uintptr_t)parts[i].data, parts[i].length};
    }
    ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    *bytes = sent > 0 ? (size_t)sent : 0;
    if (sent >= 0) {
        return CONNECTION_DONE;
    }
    return errno == EAGAIN || errno == EINTR ? CONNECTION_LATER : CONNECTION_ENDED;
}

void connection_finish(int fd)
{
    (void)shutdown(fd, SHUT_WR);
}

void connection_close(int fd, bool at_once)
{
    const struct linger none = {.l_onoff = 1};

    if (at_once) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    }
    (void)close(fd);
}
