/* Decides how the TUN device is made: bare IP packets, never blocking, gone when the process is
 * gone. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/tun.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* Since Linux 6.2. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

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

static void set_sysctl(const char *device, const char *name, const char *value)
{
    char path[64 + TUN_NAME_BYTES];

    snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/%s", device, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        ssize_t written = write(fd, value, strlen(value));

        (void)written;
        (void)close(fd);
    }
}

static bool all_are_filtered(void)
{
    int fd = open("/proc/sys/net/ipv4/conf/all/rp_filter", O_RDONLY | O_CLOEXEC);
    char value = '0';

    if (fd >= 0) {
        ssize_t got = read(fd, &value, sizeof(value));

        (void)got;
        (void)close(fd);
    }
    return value != '0';
}

/* ICMP errors of the data plane come out of the device with an address of this machine as their
 * source (RFC 1812 4.3.2.4), and they are for hosts behind it. The system takes them for martians
 * unless it is told to accept them here. The data plane has checked every source against what was
 * agreed with the peer, so a reverse path filter (RFC 3704 2.2) would only lose packets, and there
 * is none on the device. Where the system has a strict one for all devices, a loose one counts more
 * and loses the fewest; it still loses those errors, for the device has no address of its own.
 * Where /proc cannot be written (a container), such errors are lost and path MTU discovery of IPv4
 * falls back on the MSS: that is no reason not to start. */
static void accept_what_comes_out(const char *name)
{
    set_sysctl(name, "accept_local", "1");
    set_sysctl(name, "rp_filter", all_are_filtered() ? "2" : "0");
}

/* UDP in super-packets where the kernel can; without any of it, checksums and cutting are its work.
 * A device that was there before keeps what another program asked for, so all is said. */
static bool choose_form(int fd, bool supers, struct tun *tun)
{
    const unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    int head_bytes = sizeof(struct virtio_net_hdr);

    if (!supers) {
        return ioctl(fd, TUNSETOFFLOAD, 0) == 0;
    }
    if (ioctl(fd, TUNSETVNETHDRSZ, &head_bytes) != 0) {
        return false;
    }
    tun->udp_supers = ioctl(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0;
    tun->tcp_supers = tun->udp_supers || ioctl(fd, TUNSETOFFLOAD, tcp) == 0;
    return tun->tcp_supers || ioctl(fd, TUNSETOFFLOAD, 0) == 0;
}

bool tun_open(struct tun *tun, const char *name, bool many, bool supers, char *why,
              size_t why_bytes)
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
    request.ifr_flags =
        (short)(IFF_TUN | IFF_NO_PI | (many ? IFF_MULTI_QUEUE : 0) | (supers ? IFF_VNET_HDR : 0));
    memcpy(request.ifr_name, name, strlen(name));
    if (ioctl(fd, TUNSETIFF, &request) != 0) {
        explain(errno, name, why, why_bytes);
        (void)close(fd);
        return false;
    }
    if (!choose_form(fd, supers, tun)) {
        snprintf(why, why_bytes, "the device %s does not take the form we want: %s", name,
                 strerror(errno));
        (void)close(fd);
        return false;
    }
    tun->fd = fd;
    tun->supers = supers;
    memcpy(tun->name, request.ifr_name, sizeof(tun->name));
    tun->name[sizeof(tun->name) - 1] = '\0';
    tun->interface_index = (int)if_nametoindex(tun->name);
    if (tun->interface_index == 0) {
        snprintf(why, why_bytes, "the device %s vanished", name);
        tun_close(tun);
        return false;
    }
    accept_what_comes_out(tun->name);
    return true;
}

void tun_close(struct tun *tun)
{
    if (tun->fd > 0) {
        (void)close(tun->fd);
    }
    tun->fd = -1;
}

/* False for a kind that we did not ask for. */
static bool read_kind(const struct virtio_net_hdr *head, struct packet *packet)
{
    unsigned kind = head->gso_type & ~(unsigned)VIRTIO_NET_HDR_GSO_ECN;

    packet->segmentation = SEGMENT_NONE;
    packet->segment_bytes = head->gso_size;
    packet->checksum_start = 0;
    packet->checksum_offset = 0;
    if ((head->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0) {
        packet->checksum_start = head->csum_start;
        packet->checksum_offset = head->csum_offset;
    }
    if (kind == VIRTIO_NET_HDR_GSO_TCPV4 || kind == VIRTIO_NET_HDR_GSO_TCPV6) {
        packet->segmentation = SEGMENT_TCP;
    } else if (kind == VIRTIO_NET_HDR_GSO_UDP_L4) {
        packet->segmentation = SEGMENT_UDP;
    } else {
        return kind == VIRTIO_NET_HDR_GSO_NONE;
    }
    return true;
}

enum tun_result tun_read(const struct tun *tun, struct packet *packet)
{
    struct virtio_net_hdr head = {0};
    size_t head_bytes = tun->supers ? sizeof(head) : 0;

    assert(packet->offset + PACKET_TAILROOM_BYTES < packet->capacity);
    size_t room = packet->capacity - packet->offset - PACKET_TAILROOM_BYTES;
    const struct iovec parts[] = {{&head, head_bytes}, {packet_data(packet), room}};

    ssize_t got = readv(tun->fd, parts, ARRAY_LENGTH(parts));
    if (got < 0) {
        if (errno == EBADFD) {
            return TUN_GONE;
        }
        return errno == EAGAIN || errno == EINTR ? TUN_EMPTY : TUN_FAILED;
    }
    /* The device cuts off silently what does not fit: a full buffer is not to be trusted. */
    if ((size_t)got <= head_bytes || (size_t)got == head_bytes + room ||
        !read_kind(&head, packet)) {
        return TUN_FAILED;
    }
    packet->length = (uint32_t)((size_t)got - head_bytes);
    return TUN_OK;
}

static void write_kind(struct virtio_net_hdr *head, const struct packet *packet,
                       uint32_t head_bytes)
{
    if (packet->checksum_start != 0) {
        head->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        head->csum_start = packet->checksum_start;
        head->csum_offset = packet->checksum_offset;
    }
    if (packet->segmentation != SEGMENT_NONE) {
        bool four = packet_data(packet)[0] >> 4 == 4;

        head->gso_type = packet->segmentation == SEGMENT_UDP ? VIRTIO_NET_HDR_GSO_UDP_L4
                         : four                              ? VIRTIO_NET_HDR_GSO_TCPV4
                                                             : VIRTIO_NET_HDR_GSO_TCPV6;
        head->gso_size = packet->segment_bytes;
        head->hdr_len = (uint16_t)head_bytes;
    }
}

enum tun_result tun_write(const struct tun *tun, struct packet *const *packets, size_t count,
                          uint32_t skip_bytes)
{
    struct virtio_net_hdr head = {0};
    struct iovec parts[1 + BATCH_PACKETS];

    assert(count > 0 && count <= BATCH_PACKETS && (count == 1 || tun->supers));
    if (count > 1) {
        write_kind(&head, packets[0], skip_bytes);
    }
    parts[0] = (struct iovec){&head, tun->supers ? sizeof(head) : 0};
    for (size_t i = 0; i < count; i++) {
        uint32_t skip = i == 0 ? 0 : skip_bytes;

        assert(packets[i]->length >= skip);
        parts[1 + i] = (struct iovec){packet_data(packets[i]) + skip, packets[i]->length - skip};
    }
    if (writev(tun->fd, parts, (int)(1 + count)) < 0) {
        return errno == EAGAIN                ? TUN_EMPTY
               : count > 1 && errno == EINVAL ? TUN_REFUSED
                                              : TUN_FAILED;
    }
    return TUN_OK;
}
