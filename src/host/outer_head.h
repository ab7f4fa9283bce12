/*
 * The outer IPv6 header of a received packet, put together again: a raw socket gives what is behind
 * the headers, and tells the rest in pieces. AH covers them (RFC 4302 3.3.3.1.2).
 */
#ifndef SEKISHO_HOST_OUTER_HEAD_H
#define SEKISHO_HOST_OUTER_HEAD_H

#include "base/packet.h"

/* RFC 8200 4.1: hop-by-hop options, destination options, routing, destination options; and one to
 * spare. */
#define OUTER_EXTENSIONS_MAX 5

struct outer_pieces {
    uint8_t hop_limit;
    size_t count;
    bool too_many;
    struct {
        uint8_t type; /* the next header value that leads to it */
        struct slice bytes; /* borrowed */
    } extensions[OUTER_EXTENSIONS_MAX];
};

/* In the order in which they stood in the packet. */
void outer_head_add(struct outer_pieces *pieces, uint8_t type, struct slice bytes);
/* Writes the header before the data of the packet, whose addresses, TOS and protocol are known, and
 * sets outer_head_bytes: zero when the pieces do not lead to one another, as after a header that
 * the system did not tell. False: there is no room for it. */
MUST_USE bool outer_head_write(const struct outer_pieces *pieces, struct packet *packet);

#endif
