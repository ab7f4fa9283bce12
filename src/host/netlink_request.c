/* Decides how a question or an order stands in an rtnetlink message, and when its answer is whole.
 */
#include "host/netlink_request.h"

#include "host/sockaddr.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_BYTES 32768

/* ---- writing ---- */

void request_start(struct request *r, uint16_t type, uint16_t flags, const void *head,
                   size_t head_bytes)
{
    memset(r, 0, sizeof(*r));
    r->header.nlmsg_type = type;
    r->header.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    r->header.nlmsg_len = (uint32_t)NLMSG_LENGTH(head_bytes);
    memcpy(r->body, head, head_bytes);
}

struct rtattr *request_add(struct request *r, uint16_t type, const void *data, size_t length)
{
    uint32_t at = NLMSG_ALIGN(r->header.nlmsg_len);
    struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)r + at);

    assert(at + RTA_SPACE(length) <= sizeof(*r));
    a->rta_type = type;
    a->rta_len = (uint16_t)RTA_LENGTH(length);
    if (length > 0) {
        memcpy(RTA_DATA(a), data, length);
    }
    r->header.nlmsg_len = (uint32_t)(at + RTA_ALIGN(a->rta_len));
    return a;
}

void request_end_nest(const struct request *r, struct rtattr *nest)
{
    const uint8_t *end = (const uint8_t *)r + r->header.nlmsg_len;

    nest->rta_len = (uint16_t)(end - (const uint8_t *)nest);
}

void request_add_address(struct request *r, uint16_t type, const struct address *address)
{
    (void)request_add(r, type, address->bytes, address_bytes((enum family)address->family));
}

void request_route(struct request *r, uint16_t type, uint16_t flags, const struct network *network,
                   int interface_index, uint32_t table)
{
    struct rtmsg head = {
        .rtm_family = (uint8_t)sockaddr_family((enum family)network->address.family),
        .rtm_dst_len = network->prefix_bits,
        .rtm_table = RT_TABLE_UNSPEC,
        .rtm_protocol = NETLINK_ROUTE_PROTOCOL,
        .rtm_scope = type == RTM_DELROUTE ? RT_SCOPE_NOWHERE : RT_SCOPE_LINK,
        .rtm_type = type == RTM_DELROUTE ? RTN_UNSPEC : RTN_UNICAST,
    };
    uint32_t out = (uint32_t)interface_index;

    request_start(r, type, flags, &head, sizeof(head));
    if (network->prefix_bits > 0) {
        request_add_address(r, RTA_DST, &network->address);
    }
    (void)request_add(r, RTA_OIF, &out, sizeof(out));
    (void)request_add(r, RTA_TABLE, &table, sizeof(table));
}

/* ---- reading ---- */

bool attribute_address(struct rtattr *a, int family, struct address *out)
{
    size_t length = family == AF_INET ? 4 : 16;

    if ((family != AF_INET && family != AF_INET6) || RTA_PAYLOAD(a) != length) {
        return false;
    }
    *out = (struct address){.family = family == AF_INET ? FAMILY_IPV4 : FAMILY_IPV6};
    memcpy(out->bytes, RTA_DATA(a), length);
    return true;
}

bool attribute_number(struct rtattr *a, uint32_t *out)
{
    if (RTA_PAYLOAD(a) != sizeof(*out)) {
        return false;
    }
    memcpy(out, RTA_DATA(a), sizeof(*out));
    return true;
}

/* ---- asking ---- */

enum answer { ANSWER_MORE, ANSWER_DONE };

static enum answer read_message(struct nlmsghdr *message, int *error, netlink_visit visit,
                                void *context)
{
    if (message->nlmsg_type == NLMSG_ERROR) {
        struct nlmsgerr result;

        memcpy(&result, NLMSG_DATA(message), sizeof(result));
        *error = -result.error;
        return ANSWER_DONE;
    }
    if (message->nlmsg_type == NLMSG_DONE) {
        return ANSWER_DONE;
    }
    if (visit != NULL) {
        visit(context, message);
    }
    return (message->nlmsg_flags & NLM_F_MULTI) != 0 ? ANSWER_MORE : ANSWER_DONE;
}

int netlink_ask(struct netlink *nl, struct request *r, netlink_visit visit, void *context)
{
    static _Thread_local _Alignas(struct nlmsghdr) uint8_t answer[ANSWER_BYTES];
    uint32_t sequence = ++nl->sequence;

    r->header.nlmsg_seq = sequence;
    if (send(nl->fd, r, r->header.nlmsg_len, 0) < 0) {
        return errno;
    }
    for (;;) {
        int error = 0;
        ssize_t got = recv(nl->fd, answer, sizeof(answer), 0);

        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        unsigned left = (unsigned)got;
        for (struct nlmsghdr *m = (struct nlmsghdr *)(void *)answer; NLMSG_OK(m, left);
             m = NLMSG_NEXT(m, left)) {
            if (m->nlmsg_seq == sequence &&
                read_message(m, &error, visit, context) == ANSWER_DONE) {
                return error;
            }
        }
    }
}

int netlink_order(struct netlink *nl, struct request *r)
{
    r->header.nlmsg_flags |= NLM_F_ACK;
    return netlink_ask(nl, r, NULL, NULL);
}
