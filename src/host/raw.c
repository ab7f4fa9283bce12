/* Decides how raw sockets are opened: in one kind the kernel writes and reassembles the IP headers
 * and tells what they were, the other sends headers that were written elsewhere. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/raw.h"

#include "host/sockaddr.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static int open_socket(enum family family, int protocol, bool *absent, char *why, size_t why_bytes)
{
    *absent = false;
    int fd = socket(sockaddr_family(family), SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd >= 0) {
        return fd;
    }
    *absent = errno == EAFNOSUPPORT;
    if (errno == EPERM || errno == EACCES) {
        snprintf(why, why_bytes,
                 "no right to open raw sockets: start as root or with the capability CAP_NET_RAW");
    } else {
        snprintf(why, why_bytes, "cannot open a raw socket: %s", strerror(errno));
    }
    return fd;
}

/* What a raw IPv6 socket does not give with the packet (RFC 3542 3 and 6 to 9). */
static bool ask_for_headers(int fd)
{
    static const int options[] = {IPV6_RECVHOPLIMIT, IPV6_RECVHOPOPTS, IPV6_RECVRTHDR,
                                  IPV6_RECVDSTOPTS};
    const int on = 1;
    bool ok = true;

    for (size_t i = 0; i < ARRAY_LENGTH(options); i++) {
        ok = setsockopt(fd, IPPROTO_IPV6, options[i], &on, sizeof(on)) == 0 && ok;
    }
    return ok;
}

/* Packets of protocol 255 would be received, and nobody would read them. */
static bool refuse_all(int fd)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog program = {.len = 1, .filter = &nothing};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

static bool finish(struct datagram_socket *s, bool ok, char *why, size_t why_bytes)
{
    if (!ok) {
        snprintf(why, why_bytes, "the system refuses an option of a raw socket: %s",
                 strerror(errno));
        datagram_close(s);
    }
    return ok;
}

bool raw_open(struct datagram_socket *s, enum family family, uint8_t protocol, bool *absent,
              char *why, size_t why_bytes)
{
    *s = (struct datagram_socket){.fd = -1};
    int fd = open_socket(family, protocol, absent, why, why_bytes);

    if (fd < 0 || !datagram_init(s, fd, family, protocol, why, why_bytes)) {
        return false;
    }
    return finish(s, family == FAMILY_IPV4 || ask_for_headers(fd), why, why_bytes);
}

bool raw_open_sender(struct datagram_socket *s, enum family family, bool *absent, char *why,
                     size_t why_bytes)
{
    *s = (struct datagram_socket){.fd = -1};
    int fd = open_socket(family, IPPROTO_RAW, absent, why, why_bytes);

    if (fd < 0 || !datagram_init(s, fd, family, DATAGRAM_WHOLE, why, why_bytes)) {
        return false;
    }
    /* Not by the system's idea of the path, as in datagram.c. */
    const int probe = family == FAMILY_IPV4 ? IP_PMTUDISC_PROBE : IPV6_PMTUDISC_PROBE;
    bool ok = family == FAMILY_IPV4
                  ? setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe)) == 0
                  : setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe, sizeof(probe)) == 0;

    return finish(s, ok && refuse_all(fd), why, why_bytes);
}

bool raw_open_too_big(struct datagram_socket *s, bool *absent, char *why, size_t why_bytes)
{
    struct icmp6_filter filter;

    *s = (struct datagram_socket){.fd = -1};
    int fd = open_socket(FAMILY_IPV6, IPPROTO_ICMPV6, absent, why, why_bytes);

    if (fd < 0 || !datagram_init(s, fd, FAMILY_IPV6, IPPROTO_ICMPV6, why, why_bytes)) {
        return false;
    }
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &filter);
    return finish(s, setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter)) == 0,
                  why, why_bytes);
}
