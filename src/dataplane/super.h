/*
 * Super-packets: many segments of one flow that the system hands over, and takes back, in one
 * piece. What came in one piece from the TUN device is cut into packets that can be protected; what
 * came out of protection is joined again. The payload is never changed, and a packet that cannot be
 * joined with certainty stays as it is.
 */
#ifndef SEKISHO_DATAPLANE_SUPER_H
#define SEKISHO_DATAPLANE_SUPER_H

#include "base/packet.h"
#include "wire/ip.h"

/* A super-packet that is being cut. It borrows the packet. */
struct cut {
    const struct packet *super;
    struct ip_head ip;
    uint32_t head_bytes; /* IP and TCP or UDP; everything when nothing is to be cut */
    uint32_t total_bytes;
    uint32_t at; /* of the payload that is left, from the beginning of the packet */
    uint32_t count; /* cut off so far */
    /* What all segments have in common in the sums of their headers. */
    uint32_t ip_sum, upper_sum;
    uint32_t sequence; /* TCP, of the first one */
    uint8_t flags; /* TCP, of the whole */
};

/* Fields `segmentation`, `segment_bytes` and `checksum_*` of the packet say what it is. False when
 * it is not what it says. */
MUST_USE bool cut_begin(struct cut *cut, const struct packet *super);
/* Of a super-packet: how long the next segment is, with its headers; 0: none is left. */
static inline uint32_t cut_bytes(const struct cut *cut)
{
    uint32_t left = cut->total_bytes - cut->at;
    uint32_t piece = left < cut->super->segment_bytes ? left : cut->super->segment_bytes;

    return left == 0 ? 0 : cut->head_bytes + piece;
}
/* Writes it to where it is to stand, whole and right: cut_bytes() octets, which are not 0. */
void cut_write(struct cut *cut, uint8_t *to);
enum cut_result { CUT_PACKET, CUT_END, CUT_TOO_LONG };
/* Fills `out` behind its offset, leaving the tail room; its checksums are whole. */
MUST_USE enum cut_result cut_next(struct cut *cut, struct packet *out);

enum join_what {
    JOIN_TCP = 1,
    JOIN_UDP = 2, /* where the system takes it back apart */
};
/* How many packets from the first one on are one flow without a gap, of the kinds in `what` (enum
 * join_what). When there are several, the first now has the head of them all (its fields say so)
 * and *skip_bytes of each other must be left out; when there is one, it is as it was. count > 0. */
size_t join_packets(struct packet *const *packets, size_t count, unsigned what,
                    uint32_t *skip_bytes);
/* Makes the first of those that were joined what it was before: the system did not take them. */
void join_undo(struct packet *first);

#endif
