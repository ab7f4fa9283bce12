/* Whether this system does what it says about datagrams in one piece: tried at the start. */
#ifndef SEKISHO_HOST_OFFLOAD_TRIAL_H
#define SEKISHO_HOST_OFFLOAD_TRIAL_H

#include "host/offloads.h"

struct offload_trial {
    enum offload_state segment, join; /* OFFLOAD_IN_USE when it is right */
    bool was_possible; /* else nothing is known, and both are taken for right */
};

/* Sends datagrams to ourselves over the loopback interface, in one piece, to a socket that takes
 * them singly and to one that takes them in one piece, and compares octets and sizes. Takes some
 * milliseconds. */
void offload_try_udp(struct offload_trial *out);

#endif
