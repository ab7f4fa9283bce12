/*
 * A peer who has the right keys and says whatever he likes: an IKEv1 message under way is opened,
 * and what was made of its payloads is hashed and sealed again as its receiver wants it.
 */
#ifndef SEKISHO_TESTS_SUPPORT_IKEV1_FORGE_H
#define SEKISHO_TESTS_SUPPORT_IKEV1_FORGE_H

#include "proto/ikev1/machine.h"
#include "tests/support/ikev1_pair.h"

#define FORGE_BYTES_MAX 8192

struct forge_message {
    struct ikev1_header header;
    unsigned from;
    struct endpoint local, peer; /* as the receiver sees them */
    size_t length; /* of the chain, in clear and without padding */
    uint8_t chain[FORGE_BYTES_MAX];
};

/* Of either side, by both cookies; NULL. */
struct ikev1_ike *forge_ike(struct ikev1_pair *pair, unsigned side, uint64_t cookie_i,
                            uint64_t cookie_r, struct ikev1_sa **sa);
/* False: it is not encrypted, or the receiver could not read it either. */
MUST_USE bool forge_open(struct ikev1_pair *pair, const struct pair1_datagram *datagram,
                         struct forge_message *out);
/* The HASH payload at the beginning (in phase 1: the first) is made right when it has the right
 * length, and the message goes to its receiver. */
void forge_send(struct ikev1_pair *pair, struct forge_message *m);

#endif
