/*
 * Two whole gateways with their data planes in memory, in virtual time: the test gives each a
 * configuration, a secret and what names mean, and decides what the network does. Deterministic:
 * everything follows from the seed and the calls.
 *
 * Key exchanges, secrets and our own address are answered at once; a datagram takes ten
 * milliseconds.
 */
#ifndef SEKISHO_TESTS_SUPPORT_GATEWAY_PAIR_H
#define SEKISHO_TESTS_SUPPORT_GATEWAY_PAIR_H

#include "gateway/status.h"

#define GATEWAY_PAIR_DELAY_MS 10
#define GATEWAY_PAIR_TEXT_BYTES 4096
#define GATEWAY_PAIR_ROUTES_MAX 64
#define GATEWAY_PAIR_SEALERS_MAX 4

struct gateway_pair;

struct gateway_pair_node {
    struct gateway_pair *pair;
    unsigned index;
    struct address outer; /* 203.0.113.1 and .2 */
    struct address inner; /* 10.1.0.1 and 10.2.0.1 */
    struct address second; /* another address of its own; family 0: none */
    bool second_only; /* what goes by the first is lost, and nobody is told */
    struct address nat_outer; /* family 0: no NAT in front */
    uint16_t nat_base; /* it shows our ports 500 and 4500 as this and the next one */
    char config[GATEWAY_PAIR_TEXT_BYTES];
    const char *secret; /* NULL: it cannot be read */
    const uint8_t *crash_secret; /* 32 octets; NULL: none */
    const char *ppk; /* the secret @ppk; NULL: it cannot be read */
    const char *password; /* the secret @password, of a site that logs in; NULL: the same */
    /* Whether somebody may in; NULL: everybody, with the password "right". */
    void (*login)(struct gateway_pair_node *node, const struct login_question *question,
                  struct login_answer *answer);
    unsigned logins;
    size_t sessions_began, sessions_ended;
    struct gateway_session last_session;
    size_t address_count; /* that a gateway gave us */
    struct address given;
    bool keeps_ticket_key; /* set before it starts: what an earlier one left */
    uint8_t ticket_key[GATEWAY_TICKET_KEY_BYTES];
    int64_t now_s; /* by the calendar */
    struct credential *own; /* of every site with certificates; borrowed */
    struct trust *trust;
    bool no_route; /* our own address is not found */
    const char *large_config; /* instead of `config`: thousands of sites; routes are not recorded */
    const char *host; /* the one name that is known; NULL none */
    struct address host_address;

    struct gateway *gateway; /* NULL when it does not run */
    struct dataplane *dataplane;
    struct dataplane_worker *worker;
    /* Set before it starts: so many workers seal, and the first also opens. 0: one. */
    unsigned sealers;
    unsigned sealer; /* what is offered goes through this one, counted from 0 */
    struct dataplane_worker *more[GATEWAY_PAIR_SEALERS_MAX]; /* beside the first */
    struct seeded_random seeded;
    struct random_source random;
    struct log_sink log;

    unsigned ups, downs; /* SITE_CHANGED */
    size_t route_count;
    unsigned without_routes; /* how often the last one went */
    struct gateway_route routes[GATEWAY_PAIR_ROUTES_MAX];
    unsigned sends, keepalives, secrets_read, resolves;
    uint16_t tcp_port; /* takes connections; 0: none */
    unsigned tcp_opens, tcp_keeps, tcp_releases, tcp_lost;
    unsigned key_exchanges, log_lines;
    uint64_t delivered; /* packets that came out at the TUN device */
    char last_log[LOG_LINE_BYTES];
};

struct gateway_pair_datagram {
    uint64_t at_ms;
    uint64_t order;
    bool dont_fragment, cut;
    uint8_t protocol;
    struct endpoint from, to;
    uint16_t head_bytes; /* of the IP header, which stands before the rest when it is known */
    size_t length; /* with that header */
    uint8_t *bytes;
};

#define GATEWAY_PAIR_QUEUE_MAX 4096

/* A TCP connection: what goes through it arrives in order, or never. */
struct gateway_pair_connection {
    unsigned opener;
    struct endpoint ends[2]; /* by node */
    bool open;
    bool released; /* by who opened it: what is under way still arrives */
};

#define GATEWAY_PAIR_CONNECTIONS_MAX 256

struct gateway_pair {
    uint64_t now_ms;
    struct gateway_pair_node nodes[2];
    size_t queued;
    struct gateway_pair_datagram queue[GATEWAY_PAIR_QUEUE_MAX];
    uint64_t order;
    /* True: the datagram is lost. NULL: none is. */
    bool (*lose)(void *context, const struct gateway_pair_datagram *datagram);
    void *context;

    bool udp_is_blocked, tcp_is_blocked; /* by a firewall that says nothing, and one that refuses */
    size_t connection_count;
    struct gateway_pair_connection connections[GATEWAY_PAIR_CONNECTIONS_MAX];
    unsigned tcp_messages; /* delivered */
    unsigned cut_before; /* this one, counted from 1, is lost with its connection; 0: none */
    bool cut_always; /* every one is */
};

/* Both with a configuration that joins 10.1.0.0/16 and 10.2.0.0/16 by a shared key; nothing runs
 * yet. */
void gateway_pair_open(struct gateway_pair *p, uint64_t seed);
void gateway_pair_close(struct gateway_pair *p);
/* `extra` lines for the site of a node; "" for none. Questions about the path are off unless they
 * speak of them. */
void gateway_pair_write_config(struct gateway_pair *p, unsigned node, const char *extra);
void gateway_pair_start(struct gateway_pair *p, unsigned node);
/* The configuration as it stands in the node's `config` now. */
void gateway_pair_reload(struct gateway_pair *p, unsigned node);
/* Gone without a word. */
void gateway_pair_crash(struct gateway_pair *p, unsigned node);
/* Deletes are sent, then gone. */
void gateway_pair_stop(struct gateway_pair *p, unsigned node);
void gateway_pair_run(struct gateway_pair *p, uint64_t for_ms);
/* Runs until both sites are up, at most so long. */
MUST_USE bool gateway_pair_up(struct gateway_pair *p, uint64_t within_ms);
/* One packet from the host behind `from` to the one behind the other; true when it arrived within
 * 100 ms. */
MUST_USE bool gateway_pair_passes(struct gateway_pair *p, unsigned from);
/* Hands a clear packet to the node; nothing waits for it. */
void gateway_pair_offer(struct gateway_pair *p, unsigned from);
/* The same with other addresses and ports; protocol 6 or 17. */
struct gateway_pair_clear {
    struct address from, to;
    uint8_t protocol;
    uint16_t from_port, to_port;
};
void gateway_pair_offer_clear(struct gateway_pair *p, unsigned node,
                              const struct gateway_pair_clear *clear);
MUST_USE bool gateway_pair_passes_clear(struct gateway_pair *p, unsigned node,
                                        const struct gateway_pair_clear *clear);
/* A datagram from anywhere. */
void gateway_pair_inject(struct gateway_pair *p, const struct endpoint *from,
                         const struct endpoint *to, struct slice bytes);
/* All TCP connections break, with what is under way in them, and both sides hear of it. */
void gateway_pair_cut(struct gateway_pair *p);
struct status_site gateway_pair_site(const struct gateway_pair *p, unsigned node);
uint64_t gateway_pair_dropped(const struct gateway_pair *p, unsigned node, enum drop_reason reason);
MUST_USE bool gateway_pair_has_route(const struct gateway_pair *p, unsigned node,
                                     const char *network);
/* Whether what goes between the two hosts is led into the device. `local` unset: from any of ours.
 */
MUST_USE bool gateway_pair_has_pair(const struct gateway_pair *p, unsigned node,
                                    const struct gateway_route *wanted);
/* After every call of the above: everything that was handed in has left by one door. */
MUST_USE bool gateway_pair_doors_add_up(const struct gateway_pair *p, unsigned node);

/* Offers a packet each way every `step_ms`, for so long; how many of them did not arrive. */
uint64_t gateway_pair_lost_within(struct gateway_pair *pair, uint64_t step_ms, uint64_t for_ms);
/* Closes it. Whether the doors of both added up. */
MUST_USE bool gateway_pair_finish(struct gateway_pair *pair);

#endif
