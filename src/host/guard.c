/* Decides how the guard is said to nf_tables: one batch that the system takes whole or not at all.
 */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/guard.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define CHAIN "guard"
/* Before connections are tracked, and before anything is made of a packet. */
#define PRIORITY (-310)
#define RULE_BYTES 2048 /* one rule has at most 20 expressions */
#define HEAD_BYTES 4096
#define FIXED_RULES 8
#define ANSWER_WAIT_S 5
#define PORT_MAX 65535
#define ND_FIRST 133 /* RFC 4861 4: router solicitation to redirect */
#define ND_LAST 137

struct batch {
    uint8_t *bytes;
    size_t used, capacity;
    size_t message; /* where the one that is being written begins */
    uint32_t sequence;
};

/* ---- writing ---- */

static void *grow(struct batch *b, size_t length)
{
    assert(b->used + NLMSG_ALIGN(length) <= b->capacity);
    void *at = b->bytes + b->used;

    memset(at, 0, NLMSG_ALIGN(length));
    b->used += NLMSG_ALIGN(length);
    return at;
}

static void begin_message(struct batch *b, uint16_t type, uint16_t flags, uint8_t family,
                          uint16_t resource)
{
    const struct nfgenmsg about = {
        .nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
    const struct nlmsghdr head = {.nlmsg_type = type,
                                  .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                                  .nlmsg_seq = ++b->sequence};

    b->message = b->used;
    memcpy(grow(b, sizeof(head)), &head, sizeof(head));
    memcpy(grow(b, sizeof(about)), &about, sizeof(about));
}

static void end_message(struct batch *b)
{
    uint32_t length = (uint32_t)(b->used - b->message);

    memcpy(b->bytes + b->message, &length, sizeof(length));
}

static void begin_order(struct batch *b, unsigned type, uint16_t flags)
{
    begin_message(b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET, 0);
}

static void add(struct batch *b, uint16_t type, const void *data, size_t length)
{
    const struct nlattr head = {.nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = type};
    uint8_t *at = grow(b, NLA_HDRLEN + length);

    memcpy(at, &head, sizeof(head));
    memcpy(at + NLA_HDRLEN, data, length);
}

static void add_number(struct batch *b, uint16_t type, uint32_t value)
{
    const uint32_t big = htonl(value);

    add(b, type, &big, sizeof(big));
}

static void add_text(struct batch *b, uint16_t type, const char *text)
{
    add(b, type, text, strlen(text) + 1);
}

static size_t begin_nest(struct batch *b, uint16_t type)
{
    const struct nlattr head = {.nla_type = (uint16_t)(type | NLA_F_NESTED)};
    size_t at = b->used;

    memcpy(grow(b, NLA_HDRLEN), &head, sizeof(head));
    return at;
}

static void end_nest(struct batch *b, size_t nest)
{
    uint16_t length = (uint16_t)(b->used - nest);

    memcpy(b->bytes + nest, &length, sizeof(length));
}

/* ---- expressions: each loads into the first register or looks at it ---- */

struct expression {
    size_t element, data;
};

static struct expression begin_expression(struct batch *b, const char *name)
{
    struct expression e;

    e.element = begin_nest(b, NFTA_LIST_ELEM);
    add_text(b, NFTA_EXPR_NAME, name);
    e.data = begin_nest(b, NFTA_EXPR_DATA);
    return e;
}

static void end_expression(struct batch *b, struct expression e)
{
    end_nest(b, e.data);
    end_nest(b, e.element);
}

static void add_value(struct batch *b, uint16_t type, const void *value, size_t length)
{
    size_t nest = begin_nest(b, type);

    add(b, NFTA_DATA_VALUE, value, length);
    end_nest(b, nest);
}

static void load_meta(struct batch *b, enum nft_meta_keys key)
{
    struct expression e = begin_expression(b, "meta");

    add_number(b, NFTA_META_KEY, key);
    add_number(b, NFTA_META_DREG, NFT_REG_1);
    end_expression(b, e);
}

static void load_payload(struct batch *b, enum nft_payload_bases base, uint32_t offset,
                         uint32_t length)
{
    struct expression e = begin_expression(b, "payload");

    add_number(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
    add_number(b, NFTA_PAYLOAD_BASE, base);
    add_number(b, NFTA_PAYLOAD_OFFSET, offset);
    add_number(b, NFTA_PAYLOAD_LEN, length);
    end_expression(b, e);
}

static void mask(struct batch *b, const uint8_t *bits, uint32_t length)
{
    static const uint8_t nothing[16];
    struct expression e = begin_expression(b, "bitwise");

    add_number(b, NFTA_BITWISE_SREG, NFT_REG_1);
    add_number(b, NFTA_BITWISE_DREG, NFT_REG_1);
    add_number(b, NFTA_BITWISE_LEN, length);
    add_value(b, NFTA_BITWISE_MASK, bits, length);
    add_value(b, NFTA_BITWISE_XOR, nothing, length);
    end_expression(b, e);
}

static void compare(struct batch *b, enum nft_cmp_ops how, const void *value, size_t length)
{
    struct expression e = begin_expression(b, "cmp");

    add_number(b, NFTA_CMP_SREG, NFT_REG_1);
    add_number(b, NFTA_CMP_OP, how);
    add_value(b, NFTA_CMP_DATA, value, length);
    end_expression(b, e);
}

static void end_with(struct batch *b, uint32_t verdict)
{
    struct expression e = begin_expression(b, "counter");

    end_expression(b, e);
    e = begin_expression(b, "immediate");
    add_number(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    size_t data = begin_nest(b, NFTA_IMMEDIATE_DATA);
    size_t code = begin_nest(b, NFTA_DATA_VERDICT);
    add_number(b, NFTA_VERDICT_CODE, verdict);
    end_nest(b, code);
    end_nest(b, data);
    end_expression(b, e);
}

/* ---- rules ---- */

static size_t begin_rule(struct batch *b)
{
    begin_order(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    add_text(b, NFTA_RULE_TABLE, GUARD_TABLE);
    add_text(b, NFTA_RULE_CHAIN, CHAIN);
    return begin_nest(b, NFTA_RULE_EXPRESSIONS);
}

static void end_rule(struct batch *b, size_t expressions, uint32_t verdict)
{
    end_with(b, verdict);
    end_nest(b, expressions);
    end_message(b);
}

static void is_family(struct batch *b, enum family family)
{
    const uint8_t value = family == FAMILY_IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6;

    load_meta(b, NFT_META_NFPROTO);
    compare(b, NFT_CMP_EQ, &value, sizeof(value));
}

static void is_protocol(struct batch *b, uint8_t protocol)
{
    load_meta(b, NFT_META_L4PROTO);
    compare(b, NFT_CMP_EQ, &protocol, sizeof(protocol));
}

static void is_interface(struct batch *b, enum nft_cmp_ops how, const char *name)
{
    char padded[IFNAMSIZ] = {0};

    snprintf(padded, sizeof(padded), "%s", name);
    load_meta(b, NFT_META_IIFNAME);
    compare(b, how, padded, sizeof(padded));
}

static void is_in_network(struct batch *b, const struct network *network, uint32_t offset)
{
    uint32_t length = (uint32_t)address_bytes((enum family)network->address.family);
    uint8_t bits[16] = {0};

    if (network->prefix_bits == 0) {
        return;
    }
    for (unsigned i = 0; i < network->prefix_bits; i++) {
        bits[i / 8] |= (uint8_t)(0x80 >> i % 8);
    }
    load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, offset, length);
    if (network->prefix_bits < length * 8) {
        mask(b, bits, length);
    }
    compare(b, NFT_CMP_EQ, network->address.bytes, length);
}

static void is_port(struct batch *b, uint32_t offset, uint16_t first, uint16_t last)
{
    const uint16_t low = htons(first), high = htons(last);

    if (first == 0 && last == PORT_MAX) {
        return;
    }
    load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, offset, sizeof(low));
    compare(b, NFT_CMP_GTE, &low, sizeof(low));
    compare(b, NFT_CMP_LTE, &high, sizeof(high));
}

static void add_entry(struct batch *b, const char *device, const struct guard_entry *entry)
{
    bool four = entry->remote.address.family == FAMILY_IPV4;
    size_t rule = begin_rule(b);

    assert(entry->local.address.family == entry->remote.address.family);
    is_interface(b, NFT_CMP_NEQ, device);
    is_family(b, (enum family)entry->remote.address.family);
    is_in_network(b, &entry->remote, four ? 12 : 8);
    is_in_network(b, &entry->local, four ? 16 : 24);
    if (entry->protocol != 0) {
        is_protocol(b, entry->protocol);
    }
    is_port(b, 0, entry->remote_port_first, entry->remote_port_last);
    is_port(b, 2, entry->local_port_first, entry->local_port_last);
    end_rule(b, rule, entry->may_be_clear ? NF_ACCEPT : NF_DROP);
}

/* Fragments behind the first say nothing of protocols and ports (and those of AH over IPv6 not even
 * that they are AH). Without the first, which is judged, they never become a datagram. */
static void add_later_fragments(struct batch *b)
{
    static const uint8_t offset4[] = {0x1f, 0xff}, offset6[] = {0xff, 0xf8}, first[] = {0, 0};
    size_t rule = begin_rule(b);

    is_family(b, FAMILY_IPV4);
    load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, 6, sizeof(first));
    mask(b, offset4, sizeof(offset4));
    compare(b, NFT_CMP_NEQ, first, sizeof(first));
    end_rule(b, rule, NF_ACCEPT);
    rule = begin_rule(b);
    is_family(b, FAMILY_IPV6);
    struct expression e = begin_expression(b, "exthdr");
    const uint8_t fragment_header = IPPROTO_FRAGMENT;
    add_number(b, NFTA_EXTHDR_DREG, NFT_REG_1);
    add(b, NFTA_EXTHDR_TYPE, &fragment_header, sizeof(fragment_header));
    add_number(b, NFTA_EXTHDR_OFFSET, 2);
    add_number(b, NFTA_EXTHDR_LEN, sizeof(first));
    end_expression(b, e);
    mask(b, offset6, sizeof(offset6));
    compare(b, NFT_CMP_NEQ, first, sizeof(first));
    end_rule(b, rule, NF_ACCEPT);
}

static void add_exceptions(struct batch *b, const struct guard_ports *ports)
{
    static const uint8_t protected[] = {IPPROTO_ESP, IPPROTO_AH};
    const uint16_t control[] = {ports->port, ports->nat_port};
    const uint8_t nd_first = ND_FIRST, nd_last = ND_LAST;

    size_t rule = begin_rule(b);
    is_interface(b, NFT_CMP_EQ, "lo");
    end_rule(b, rule, NF_ACCEPT);
    add_later_fragments(b);
    for (size_t i = 0; i < ARRAY_LENGTH(protected); i++) {
        rule = begin_rule(b);
        is_protocol(b, protected[i]);
        end_rule(b, rule, NF_ACCEPT);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(control); i++) {
        rule = begin_rule(b);
        is_protocol(b, IPPROTO_UDP);
        is_port(b, 2, control[i], control[i]);
        end_rule(b, rule, NF_ACCEPT);
    }
    rule = begin_rule(b);
    is_family(b, FAMILY_IPV6);
    is_protocol(b, IPPROTO_ICMPV6);
    load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, sizeof(nd_first));
    compare(b, NFT_CMP_GTE, &nd_first, sizeof(nd_first));
    compare(b, NFT_CMP_LTE, &nd_last, sizeof(nd_last));
    end_rule(b, rule, NF_ACCEPT);
}

/* ---- the table ---- */

static void add_table(struct batch *b, unsigned type, uint16_t flags)
{
    begin_order(b, type, flags);
    add_text(b, NFTA_TABLE_NAME, GUARD_TABLE);
    end_message(b);
}

static void add_chain(struct batch *b)
{
    begin_order(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    add_text(b, NFTA_CHAIN_TABLE, GUARD_TABLE);
    add_text(b, NFTA_CHAIN_NAME, CHAIN);
    size_t hook = begin_nest(b, NFTA_CHAIN_HOOK);
    add_number(b, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
    add_number(b, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
    end_nest(b, hook);
    add_text(b, NFTA_CHAIN_TYPE, "filter");
    end_message(b);
}

/* Made if it is not there, so that it can be removed whatever was. */
static bool begin_batch(struct batch *b, size_t rules)
{
    *b = (struct batch){.capacity = HEAD_BYTES + rules * RULE_BYTES};
    b->bytes = malloc(b->capacity);
    if (b->bytes == NULL) {
        return false;
    }
    begin_message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end_message(b);
    add_table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    add_table(b, NFT_MSG_DELTABLE, 0);
    return true;
}

/* Answers come in the order of what was asked, and only the last order asks for one. Zero or an
 * error number. */
static int read_answers(int fd, uint32_t last)
{
    _Alignas(struct nlmsghdr) uint8_t answer[8192];
    int error = 0;

    for (;;) {
        ssize_t got = recv(fd, answer, sizeof(answer), 0);

        if (got < 0) {
            return errno;
        }
        unsigned left = (unsigned)got;
        for (struct nlmsghdr *m = (struct nlmsghdr *)(void *)answer; NLMSG_OK(m, left);
             m = NLMSG_NEXT(m, left)) {
            struct nlmsgerr result;

            if (m->nlmsg_type != NLMSG_ERROR || m->nlmsg_len < NLMSG_LENGTH(sizeof(result))) {
                continue;
            }
            memcpy(&result, NLMSG_DATA(m), sizeof(result));
            error = error == 0 ? -result.error : error;
            if (m->nlmsg_seq == last || error != 0) {
                return error;
            }
        }
    }
}

/* Takes the batch. */
static int send_batch(struct batch *b)
{
    struct nlmsghdr last;
    const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    const struct timeval limit = {.tv_sec = ANSWER_WAIT_S};
    int error = 0, room = (int)b->capacity * 2;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    memcpy(&last, b->bytes + b->message, sizeof(last));
    last.nlmsg_flags |= NLM_F_ACK;
    memcpy(b->bytes + b->message, &last, sizeof(last));
    begin_message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
    end_message(b);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0) {
        error = errno;
    } else {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
        error =
            sendto(fd, b->bytes, b->used, 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0
                ? errno
                : read_answers(fd, last.nlmsg_seq);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(b->bytes);
    return error;
}

static void explain(int error, char *why, size_t why_bytes)
{
    switch (error) {
    case EPROTONOSUPPORT:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case ENOENT:
        snprintf(why, why_bytes,
                 "this kernel has no packet filter (nf_tables) that could refuse clear text from "
                 "protected networks");
        return;
    default:
        snprintf(why, why_bytes,
                 "the packet filter does not take the rules against clear text from protected "
                 "networks: %s",
                 strerror(error));
        return;
    }
}

bool guard_set(const char *device, const struct guard_ports *ports,
               const struct guard_entry *entries, size_t count, char *why, size_t why_bytes)
{
    struct batch b;

    if (count > GUARD_ENTRIES_MAX) {
        snprintf(why, why_bytes,
                 "there are more than %d pairs of networks, so clear text from protected networks "
                 "is not refused",
                 GUARD_ENTRIES_MAX);
        return false;
    }
    if (!begin_batch(&b, count + FIXED_RULES)) {
        explain(ENOMEM, why, why_bytes);
        return false;
    }
    add_table(&b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    add_chain(&b);
    add_exceptions(&b, ports);
    for (size_t i = 0; i < count; i++) {
        add_entry(&b, device, &entries[i]);
    }
    int error = send_batch(&b);
    if (error != 0) {
        explain(error, why, why_bytes);
    }
    return error == 0;
}

void guard_remove(void)
{
    struct batch b;

    if (begin_batch(&b, 0)) {
        (void)send_batch(&b);
    }
}
