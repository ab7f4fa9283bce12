/* Two gateways back to back, for tests: what leaves one by the wire is handed to the other. */
#ifndef SEKISHO_DATAPLANE_TESTBED_H
#define SEKISHO_DATAPLANE_TESTBED_H

#include "dataplane/plane.h"

struct gateway {
    struct dataplane *dp;
    struct dataplane_worker *worker;
    struct dataplane_output out;
    uint32_t spi_in;
};

/* The form of a tunnel. */
struct tunnel {
    struct suite suite;
    uint8_t outer_family;
    bool encapsulated;
    bool copy_dscp, copy_df;
    uint32_t replay_window;
    uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
};

struct testbed {
    struct seeded_random seeded;
    struct random_source random;
    struct gateway a, b;
    uint64_t now_ms;
};

/* Site A is 10.1.0.0/16 and 2001:db8:a::/48, site B 10.2.0.0/16 and 2001:db8:b::/48; policy 1 on
 * both joins them. */
void testbed_open(struct testbed *t, uint64_t seed);
void testbed_close(struct testbed *t);
/* An SA pair in use on both. The keys are random. */
bool testbed_join(struct testbed *t, const struct tunnel *tunnel);
/* Child SA of gateway a (or b) as testbed_join() makes it, to be changed. The selectors are static.
 */
void testbed_child(const struct tunnel *tunnel, bool is_a, struct child_sa *child);

/* A clear packet from `packet` of the family, `total` octets long, random inside; UDP. */
void testbed_fill(struct testbed *t, struct packet *packet, bool from_a, uint8_t family,
                  uint32_t total, bool dont_fragment);
/* Hands one clear packet (bytes) to the gateway. False when no buffer was there. */
bool testbed_outbound(struct testbed *t, struct gateway *g, struct slice clear);
/* Hands all that `from` put on the wire to `to`, as datagrams, in batches of at most 64. What comes
 * out stays in to->out; what was on the wire is given back. */
void testbed_carry(struct testbed *t, struct gateway *from, struct gateway *to);
/* One datagram to a gateway. */
void testbed_inbound(struct testbed *t, struct gateway *g, uint8_t outer_protocol, uint16_t port,
                     uint8_t tos, struct slice datagram);
/* Gives back what stands in the gateway's output. */
void testbed_give(struct gateway *g);
/* Everything that was handed in or made has left by one door. */
bool testbed_doors_add_up(const struct gateway *g);
uint64_t testbed_dropped(const struct gateway *g, enum drop_reason reason);
bool testbed_note(struct gateway *g, enum dataplane_note_kind kind, struct dataplane_note *out);

/* The suites that are worth a test of their own; NULL behind the last. */
const struct suite *testbed_suite(size_t index);

#endif
