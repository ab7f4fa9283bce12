/*
 * The sending side of one SA of IP-TFS (RFC 9347): inner packets wait in a queue and are packed,
 * whole and in parts, into payloads of one size that are due at a steady pace, whether there is
 * anything to send or not. For one worker.
 *
 *     aggfrag_out_push()      a clear packet is to go
 *     aggfrag_next_us()       when the next outer packet is due
 *     aggfrag_fill()          makes its payload; seal it and send it
 */
#ifndef SEKISHO_DATAPLANE_AGGFRAG_OUT_H
#define SEKISHO_DATAPLANE_AGGFRAG_OUT_H

#include "base/bytes.h"
#include "dataplane/aggfrag.h"
#include "dataplane/pace.h"
#include "dataplane/tfrc.h"

struct aggfrag_out_counters {
    uint64_t packets, packet_bytes; /* inner, that went out whole or were begun */
    uint64_t payloads, all_pad, pad_bytes;
    uint64_t queue_full, too_big; /* inner, dropped */
};

struct aggfrag_out {
    struct aggfrag_settings settings;
    uint8_t *ring; /* octets of the packets that wait, one behind the other */
    uint32_t ring_bytes, first_at, used_bytes;
    uint16_t *lengths; /* a ring too */
    uint32_t lengths_max, first_length, waiting;
    uint32_t begun_bytes; /* of the first packet, that went out already */
    bool finishing; /* another SA has taken over */
    uint32_t outer_bytes, data_bytes;
    struct pace pace;
    struct tfrc tfrc;
    struct aggfrag_news news;
    struct aggfrag_out_counters counters;
};

/* Outer packets of outer_bytes, IP header included, carry payloads of payload_bytes. False: no
 * memory. */
MUST_USE bool aggfrag_out_init(struct aggfrag_out *out, const struct aggfrag_settings *settings,
                               uint32_t outer_bytes, uint32_t payload_bytes, uint64_t now_us);
void aggfrag_out_fini(struct aggfrag_out *out);
/* Memory behind it. */
size_t aggfrag_out_bytes(const struct aggfrag_out *out);
/* The pace begins now: for one that was made long before its first packet. */
void aggfrag_out_start(struct aggfrag_out *out, uint64_t now_us);
/* The path MTU or the overhead has changed. */
void aggfrag_out_resize(struct aggfrag_out *out, uint32_t outer_bytes, uint32_t payload_bytes);

enum aggfrag_push {
    AGGFRAG_QUEUED = 0,
    AGGFRAG_QUEUE_FULL,
    AGGFRAG_TOO_BIG, /* may not be fragmented and fits no payload: aggfrag_out_packet_bytes_max() */
    AGGFRAG_NOT_IP, /* its length is not that of its IP header, by which the peer would cut it */
};
/* Copies it. */
MUST_USE enum aggfrag_push aggfrag_out_push(struct aggfrag_out *out, struct slice packet);
/* The longest inner packet (RFC 9347 2.2.7: without fragments the tunnel has an MTU). */
uint32_t aggfrag_out_packet_bytes_max(const struct aggfrag_out *out);

/* NEVER_US while nothing is to be sent by this one (finishing). Never later than it was. */
uint64_t aggfrag_next_us(const struct aggfrag_out *out);
/* Exactly payload_bytes of AGGFRAG_PAYLOAD, which may differ from call to call; the pace goes on by
 * one packet. Returns the octets of inner packets in it: 0 is an all-pad payload. */
uint32_t aggfrag_fill(struct aggfrag_out *out, uint64_t now_us, uint8_t *payload,
                      size_t payload_bytes);

/* What came over aggfrag_link_take(). */
void aggfrag_out_hear(struct aggfrag_out *out, const struct aggfrag_news *news);

/* A new SA takes over (RFC 9347 2.2.3: the fragments of a packet stay in one SA): `next` gets the
 * pace, what is known about the path and all packets that were not begun; what does not fit is
 * dropped as queue_full. While aggfrag_out_is_midway(old), each payload that `next` would send is
 * made by aggfrag_finish() and goes out under the old SA. */
void aggfrag_out_take_over(struct aggfrag_out *next, struct aggfrag_out *old);
/* The new SA went away: this one goes on with a pace that begins now. */
void aggfrag_out_take_back(struct aggfrag_out *out, uint64_t now_us);
MUST_USE bool aggfrag_out_is_midway(const struct aggfrag_out *out);
void aggfrag_finish(struct aggfrag_out *old, struct aggfrag_out *next, uint64_t now_us,
                    uint8_t *payload, size_t payload_bytes);

#endif
