/* Messages of rtnetlink, for the files that talk to the kernel about addresses, routes and rules.
 */
#ifndef SEKISHO_HOST_NETLINK_REQUEST_H
#define SEKISHO_HOST_NETLINK_REQUEST_H

#include <linux/rtnetlink.h>

#include "host/netlink.h"

#define REQUEST_BYTES 512

struct request {
    struct nlmsghdr header;
    uint8_t body[REQUEST_BYTES];
};

void request_start(struct request *r, uint16_t type, uint16_t flags, const void *head,
                   size_t head_bytes);
struct rtattr *request_add(struct request *r, uint16_t type, const void *data, size_t length);
void request_end_nest(const struct request *r, struct rtattr *nest);
void request_add_address(struct request *r, uint16_t type, const struct address *address);
/* A route of ours over an interface. */
void request_route(struct request *r, uint16_t type, uint16_t flags, const struct network *network,
                   int interface_index, uint32_t table);

/* False, and nothing is written, when the attribute does not have the length of what is wanted.
 * `family` is AF_INET or AF_INET6. */
bool attribute_address(struct rtattr *a, int family, struct address *out);
bool attribute_number(struct rtattr *a, uint32_t *out);

/* Called for each message of an answer. */
typedef void (*netlink_visit)(void *context, struct nlmsghdr *message);

/* Sends and reads until the answer is whole. Zero or an error number. */
int netlink_ask(struct netlink *nl, struct request *r, netlink_visit visit, void *context);
/* An order has no answer but whether it was carried out. */
int netlink_order(struct netlink *nl, struct request *r);

#endif
