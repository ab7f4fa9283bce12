/*
 * Interfaces, addresses and routes of the system (rtnetlink). Questions are answered by the kernel
 * at once; changes of addresses are watched on a socket of their own.
 */
#ifndef SEKISHO_HOST_NETLINK_H
#define SEKISHO_HOST_NETLINK_H

#include "base/address.h"
#include "host/datagram.h"

/* Our routes carry this number (see /etc/iproute2/rt_protos), so that what a killed daemon left is
 * found again. */
#define NETLINK_ROUTE_PROTOCOL 83
/* What goes between two hosts in transport mode is led into the TUN device by rules of this
 * priority, which look into a table of this number. */
#define NETLINK_TABLE 5200

/* Whether interfaces carried when something was told of them last. */
#define NETLINK_SEEN_MAX 64
struct netlink_seen {
    int interface_index;
    bool carries;
};

struct netlink {
    int fd;
    int watch_fd; /* readable when addresses changed; -1 until netlink_watch() */
    uint32_t sequence;
    struct netlink_seen seen[NETLINK_SEEN_MAX];
    size_t seen_count;
    struct netlink_pair *pairs; /* what our rules stand for */
    size_t pair_count, pair_capacity;
};

MUST_USE bool netlink_open(struct netlink *nl, char *why, size_t why_bytes);
void netlink_close(struct netlink *nl);

/* Sets the MTU (0: as it is), keeps IPv6 from giving the device addresses of its own, and brings it
 * up. */
MUST_USE bool netlink_link_up(struct netlink *nl, int interface_index, uint16_t mtu, char *why,
                              size_t why_bytes);
/* The host address of the network with its prefix. */
MUST_USE bool netlink_address_add(struct netlink *nl, int interface_index,
                                  const struct address *address, uint8_t prefix_bits, char *why,
                                  size_t why_bytes);

/* True also when it was gone already. */
MUST_USE bool netlink_address_remove(struct netlink *nl, int interface_index,
                                     const struct address *address, uint8_t prefix_bits, char *why,
                                     size_t why_bytes);

/* A route over the interface; `source` (may be NULL) is what local programs talk from. A route of
 * ours that is there already has `source` from then on; another one is a mistake, and the sentence
 * names it. */
MUST_USE bool netlink_route_add(struct netlink *nl, const struct network *network,
                                int interface_index, const struct address *source, char *why,
                                size_t why_bytes);
/* True also when it was gone already. */
MUST_USE bool netlink_route_remove(struct netlink *nl, const struct network *network,
                                   int interface_index, char *why, size_t why_bytes);
/* Removes routes with our protocol number over this interface. Returns how many there were. */
size_t netlink_routes_clean(struct netlink *nl, int interface_index);

/* Packets between two hosts, as far as the kernel's rules can tell them. */
struct netlink_pair {
    struct address local, peer; /* local unset: any of ours */
    uint8_t protocol; /* 0: any */
    uint16_t peer_port_first, peer_port_last; /* 0 to 65535: any */
    uint16_t local_port_first, local_port_last;
};
/* The ports of IKE, whose datagrams are never led inside, whatever the rules say of UDP. */
struct netlink_control_ports {
    uint16_t port, nat_port;
};

/* Leads them over the interface, and out of the reach of the rules what carries our mark or is a
 * protected packet itself. A range that ends at 65535 or begins at 0 is more than a rule can say:
 * then all ports are led inside. The same is true of `local` with IPv6, whose programs would have
 * their source chosen after the route. True also when it stands already. */
MUST_USE bool netlink_pair_add(struct netlink *nl, const struct netlink_pair *pair,
                               const struct netlink_control_ports *ports, int interface_index,
                               char *why, size_t why_bytes);
/* The same pair again. True also when it was gone already. */
MUST_USE bool netlink_pair_remove(struct netlink *nl, const struct netlink_pair *pair,
                                  int interface_index, char *why, size_t why_bytes);
/* Removes all our rules and empties our table. Returns how many rules there were. */
size_t netlink_pairs_clean(struct netlink *nl);

struct netlink_address {
    struct address address;
    uint8_t prefix_bits;
    int interface_index;
};
/* All addresses of this machine without link-local and loopback ones. Returns how many (at most
 * capacity). */
size_t netlink_addresses(struct netlink *nl, struct netlink_address *out, size_t capacity);

/* How the system would send a packet of ours (with our mark) to an address now. False when it
 * cannot. */
struct netlink_path {
    int interface_index;
    struct address source;
    uint16_t mtu; /* of the path as far as the kernel knows, else of the interface; 0: unknown */
};
MUST_USE bool netlink_path(struct netlink *nl, const struct address *to, struct netlink_path *out);
/* The interface of the default route, other than `except`; 0: there is none. */
int netlink_uplink(struct netlink *nl, enum family family, int except);
/* The same by one address of ours and its interface. */
MUST_USE bool netlink_path_by(struct netlink *nl, const struct address *to,
                              const struct address *local, int interface_index,
                              struct netlink_path *out);
struct netlink_link {
    char name[16];
    uint16_t mtu; /* 0: unknown */
    bool carries; /* it is up and has a carrier */
};
/* All zero when there is none. */
struct netlink_link netlink_link(struct netlink *nl, int interface_index);
uint16_t netlink_link_mtu(struct netlink *nl, int interface_index);

/* Watches addresses, and what decides by which of them a peer is reached: interfaces that go up or
 * down, and routes of others. watch_fd becomes readable. */
MUST_USE bool netlink_watch(struct netlink *nl, char *why, size_t why_bytes);
/* Reads all that is waiting; true when something of it changed. */
bool netlink_changed(struct netlink *nl);

#endif
