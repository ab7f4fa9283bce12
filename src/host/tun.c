/* Decides how the TUN device is made: bare IP packets, never blocking, gone when the process is
 * gone. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/tun.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void explain(int error, const char *name, char *why, size_t why_bytes)
{
    switch (error) {
    case EBUSY:
        snprintf(why, why_bytes,
                 "the device %s is used by another program; choose another name with "
                 "'device NAME'",
                 name);
        return;
    case EPERM:
        snprintf(why, why_bytes,
                 "no right to make the device %s: start as root or with the "
                 "capability CAP_NET_ADMIN",
                 name);
        return;
    case EINVAL:
        snprintf(why, why_bytes,
                 "the system refuses a TUN device named %s: is there another kind of device of "
                 "this name?",
                 name);
        return;
    default:
        snprintf(why, why_bytes, "cannot make the device %s: %s", name, strerror(error));
        return;
    }
}

/* ICMP errors of the data plane come out of the device with an address of this machine as their
 * source (RFC 1812 4.3.2.4), and they are for hosts behind it. The system takes them for martians
 * unless it is told to accept them here. Where /proc cannot be written (a container), such errors
 * are lost and path MTU discovery of IPv4 falls back on the MSS: that is no reason not to start. */
static void accept_own_addresses(const char *name)
{
    char path[64 + TUN_NAME_BYTES];

    snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/accept_local", name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t written = write(fd, "1", 1);

        (void)written;
        (void)close(fd);
    }
}

bool tun_open(struct tun *tun, const char *name, bool many, char *why, size_t why_bytes)
{
    struct ifreq request = {0};

    *tun = (struct tun){.fd = -1};
    if (strlen(name) == 0 || strlen(name) >= sizeof(tun->name)) {
        snprintf(why, why_bytes, "%s is no name for a device: 1 to 15 characters", name);
        return false;
    }
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENXIO || errno == ENODEV) {
            snprintf(why, why_bytes,
                     "there is no /dev/net/tun: load the module tun, or give the device to the "
                     "container");
        } else {
            snprintf(why, why_bytes, "cannot open /dev/net/tun: %s", strerror(errno));
        }
        return false;
    }
    request.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | (many ? IFF_MULTI_QUEUE : 0));
    memcpy(request.ifr_name, name, strlen(name));
    if (ioctl(fd, TUNSETIFF, &request) != 0) {
        explain(errno, name, why, why_bytes);
        (void)close(fd);
        return false;
    }
    tun->fd = fd;
    memcpy(tun->name, request.ifr_name, sizeof(tun->name));
    tun->name[sizeof(tun->name) - 1] = '\0';
    tun->interface_index = (int)if_nametoindex(tun->name);
    if (tun->interface_index == 0) {
        snprintf(why, why_bytes, "the device %s vanished", name);
        tun_close(tun);
        return false;
    }
    accept_own_addresses(tun->name);
    return true;
}

void tun_close(struct tun *tun)
{
    if (tun->fd > 0) {
        (void)close(tun->fd);
    }
    tun->fd = -1;
}

enum tun_result tun_read(const struct tun *tun, struct packet *packet)
{
    assert(packet->offset + PACKET_TAILROOM_BYTES < packet->capacity);
    size_t room = packet->capacity - packet->offset - PACKET_TAILROOM_BYTES;

    ssize_t got = read(tun->fd, packet_data(packet), room);
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR ? TUN_EMPTY : TUN_FAILED;
    }
    /* The device cuts off silently what does not fit: a full buffer is not to be trusted. */
    if ((size_t)got == room) {
        return TUN_FAILED;
    }
    packet->length = (uint32_t)got;
    return TUN_OK;
}

enum tun_result tun_write(const struct tun *tun, const struct packet *packet)
{
    ssize_t put = write(tun->fd, packet_data(packet), packet->length);

    if (put < 0) {
        return errno == EAGAIN ? TUN_EMPTY : TUN_FAILED;
    }
    return TUN_OK;
}
