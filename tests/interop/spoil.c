/*
 * A system that does wrong what it offers, to be loaded before the C library (LD_PRELOAD). SPOIL
 * names what: `tun` refuses super-packets at the TUN device (EINVAL), `segment` refuses datagrams
 * in one piece (EIO), `join` changes an octet of every datagram that comes joined, `small` changes
 * one of every datagram that does not. The port of the trial at the start is spared with `later`:
 * only sockets on UDP ports below 10,000 are spoiled.
 */
#define _GNU_SOURCE 1 /* RTLD_NEXT */

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static bool spoils(const char *what)
{
    const char *list = getenv("SPOIL");

    return list != NULL && strstr(list, what) != NULL;
}

static bool is_spared(int fd)
{
    struct sockaddr_storage name;
    socklen_t length = sizeof(name);

    if (!spoils("later") || getsockname(fd, (struct sockaddr *)&name, &length) != 0) {
        return false;
    }
    return ntohs(name.ss_family == AF_INET6
                     ? ((struct sockaddr_in6 *)(void *)&name)->sin6_port
                     : ((struct sockaddr_in *)(void *)&name)->sin_port) >= 10000;
}

/* The size of its pieces, when it is in one; else 0. */
static size_t pieces_of(struct msghdr *message, int type)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == type) {
            int wide = 0;
            uint16_t narrow = 0;

            memcpy(&wide, CMSG_DATA(c), type == UDP_GRO ? sizeof(wide) : 0);
            memcpy(&narrow, CMSG_DATA(c), sizeof(narrow));
            return type == UDP_GRO ? (size_t)wide : narrow;
        }
    }
    return 0;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    static ssize_t (*real)(int, const struct iovec *, int);

    if (real == NULL) {
        real = (ssize_t(*)(int, const struct iovec *, int))(uintptr_t)dlsym(RTLD_NEXT, "writev");
    }
    if (count > 2 && spoils("tun")) {
        errno = EINVAL;
        return -1;
    }
    return real(fd, parts, count);
}

int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    static int (*real)(int, struct mmsghdr *, unsigned, int);
    unsigned good = 0;

    if (real == NULL) {
        real =
            (int (*)(int, struct mmsghdr *, unsigned, int))(uintptr_t)dlsym(RTLD_NEXT, "sendmmsg");
    }
    while (good < count && !(spoils("segment") && !is_spared(fd) &&
                             pieces_of(&messages[good].msg_hdr, UDP_SEGMENT) > 0)) {
        good++;
    }
    if (good == 0) {
        errno = EIO;
        return -1;
    }
    return real(fd, messages, good, flags);
}

static void change(struct msghdr *message, size_t length)
{
    size_t piece = pieces_of(message, UDP_GRO);
    uint8_t *at = message->msg_iov[0].iov_base;
    bool joined = piece > 0 && piece < length;

    if (!spoils(joined ? "join" : "small") || message->msg_iovlen != 1) {
        return;
    }
    piece = joined ? piece : length;
    for (size_t first = 0; first < length; first += piece) {
        size_t left = length - first < piece ? length - first : piece;

        /* Neither the SPI nor the number of ESP, and not the marker of IKE. */
        if (left > 40 && memcmp(at + first, "\0\0\0\0", 4) != 0) {
            at[first + left / 2] ^= 1;
        }
    }
}

int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
    static int (*real)(int, struct mmsghdr *, unsigned, int, struct timespec *);

    if (real == NULL) {
        real = (int (*)(int, struct mmsghdr *, unsigned, int, struct timespec *))(uintptr_t)dlsym(
            RTLD_NEXT, "recvmmsg");
    }
    int got = real(fd, messages, count, flags, timeout);
    for (int i = 0; i < got && !is_spared(fd); i++) {
        change(&messages[i].msg_hdr, messages[i].msg_len);
    }
    return got;
}
