/* The TUN device: clear packets of the system's routing in and out. */
#ifndef SEKISHO_HOST_TUN_H
#define SEKISHO_HOST_TUN_H

#include "base/packet.h"

#define TUN_NAME_BYTES 16

/* One queue of a device; the device goes away with its last queue. */
struct tun {
    int fd;
    int interface_index;
    bool supers; /* the system may hand over and take super-packets */
    bool tcp_supers; /* of TCP, it said */
    bool udp_supers; /* of UDP (Linux 6.2), it said */
    char name[TUN_NAME_BYTES];
};

/* False with a sentence. With `many` further queues of the same device can be opened. With `supers`
 * packets may be many segments in one piece, and checksums may be left to us: see struct packet. */
MUST_USE bool tun_open(struct tun *tun, const char *name, bool many, bool supers, char *why,
                       size_t why_bytes);
void tun_close(struct tun *tun);

enum tun_result {
    TUN_OK,
    TUN_EMPTY, /* nothing to read, or no room to write: try again when it is ready */
    TUN_FAILED, /* this packet is lost: longer than the buffer, or refused */
    TUN_REFUSED, /* writing: the system does not take what it is told of these packets in one piece
                  */
    TUN_GONE, /* somebody deleted the device: nothing will ever be read again */
};
#define TUN_SUPER_BYTES 65536 /* room for any super-packet, without head and tail room */

/* Reads one packet behind `offset`, leaving the tail room. */
MUST_USE enum tun_result tun_read(const struct tun *tun, struct packet *packet);
/* Writes `count` packets (at most BATCH_PACKETS) as one: the first with all its octets, of each
 * other what stands behind `skip_bytes`. The fields of the first say what the whole is. */
MUST_USE enum tun_result tun_write(const struct tun *tun, struct packet *const *packets,
                                   size_t count, uint32_t skip_bytes);

#endif
