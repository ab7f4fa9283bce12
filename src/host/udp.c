/* Decides how the UDP ports are opened, and finds out who sits on one that is taken. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/udp.h"

#include "host/port_owner.h"
#include "host/sockaddr.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void explain(int error, const struct endpoint *local, char *why, size_t why_bytes)
{
    char place[ENDPOINT_TEXT_BYTES];
    char owner[80];

    endpoint_format(local, place);
    switch (error) {
    case EADDRINUSE:
        if (port_owner(local->address.family, local->port, owner, sizeof(owner))) {
            snprintf(
                why, why_bytes,
                "SEK-H001 UDP port %u is taken by %s: stop it, or let us listen on another address "
                "('listen ADDRESS')",
                local->port, owner);
        } else {
            snprintf(why, why_bytes,
                     "SEK-H001 UDP port %u is taken by another program, most likely another IPsec "
                     "daemon "
                     "(strongSwan's charon, Libreswan's pluto): stop it",
                     local->port);
        }
        return;
    case EADDRNOTAVAIL:
        snprintf(why, why_bytes, "cannot listen on %s: this machine does not have the address",
                 place);
        return;
    case EACCES:
    case EPERM:
        snprintf(why, why_bytes,
                 "no right to open UDP port %u: start as root or with the capability "
                 "CAP_NET_BIND_SERVICE",
                 local->port);
        return;
    default:
        snprintf(why, why_bytes, "cannot open %s for UDP: %s", place, strerror(error));
        return;
    }
}

static int open_bound(const struct endpoint *local, bool beside, bool *absent, char *why,
                      size_t why_bytes)
{
    struct sockaddr_storage name;
    socklen_t name_length = sockaddr_write(&name, local);
    int family = sockaddr_family(local->address.family);
    int one = 1;

    *absent = false;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0) {
        *absent = errno == EAFNOSUPPORT;
        explain(errno, local, why, why_bytes);
        return -1;
    }
    /* Each family has a socket of its own: an IPv4 peer never looks like ::ffff:192.0.2.1. */
    if (family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    }
    if (beside) {
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    }
    if (bind(fd, (const struct sockaddr *)&name, name_length) != 0) {
        /* IPv6 switched off by a sysctl looks like this. */
        *absent = errno == EADDRNOTAVAIL && address_is_any(&local->address);
        explain(errno, local, why, why_bytes);
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool finish(struct datagram_socket *s, int fd, const struct endpoint *local, char *why,
                   size_t why_bytes)
{
    if (fd < 0 || !datagram_init(s, fd, local->address.family, IPPROTO_UDP, why, why_bytes)) {
        return false;
    }
    s->port = local->port;
    if (!address_is_any(&local->address)) {
        s->bound = local->address;
    }
    return true;
}

bool udp_open(struct datagram_socket *s, const struct endpoint *local, bool *absent, char *why,
              size_t why_bytes)
{
    *s = (struct datagram_socket){.fd = -1};
    return finish(s, open_bound(local, false, absent, why, why_bytes), local, why, why_bytes);
}

bool udp_open_beside(struct datagram_socket *s, const struct datagram_socket *first, char *why,
                     size_t why_bytes)
{
    struct endpoint local = {first->bound, first->port};
    bool absent = false;
    int one = 1;

    *s = (struct datagram_socket){.fd = -1};
    /* Only now: when the first was bound, another program on the port had to be found. */
    if (setsockopt(first->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0) {
        snprintf(why, why_bytes, "the system shares no ports: %s", strerror(errno));
        return false;
    }
    if (local.address.family == FAMILY_NONE) {
        local.address = (struct address){.family = first->family};
    }
    return finish(s, open_bound(&local, true, &absent, why, why_bytes), &local, why, why_bytes);
}

bool udp_steer(const struct datagram_socket *first, const struct udp_steering *steering)
{
    /* Behind the UDP header stands the SPI, or with IKE the marker, which is zero. A packet that is
     * shorter ends the program, and its value is zero too. Of a joined datagram the first packet
     * decides. */
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, steering->factor),
        BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, steering->shift),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, steering->count),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    const struct sock_fprog program = {.len = ARRAY_LENGTH(filter), .filter = filter};

    return setsockopt(first->fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) ==
           0;
}
