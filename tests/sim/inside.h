/* What the files of the simulator share: the nodes, the events that wait, and the network. */
#ifndef SEKISHO_TESTS_SIM_INSIDE_H
#define SEKISHO_TESTS_SIM_INSIDE_H

#include "base/random.h"
#include "crypto/key_exchange.h"
#include "gateway/gateway.h"

#define NODES 2
#define EVENTS_MAX 65536
#define DATAGRAM_BYTES_MAX 4096 /* ML-KEM alone makes IKE_SA_INIT long */
#define SERIALS_MAX 65536
#define CONNECTIONS_MAX 64

enum event_kind {
    EVENT_DATAGRAM,
    EVENT_KEY_EXCHANGE,
    EVENT_PROOF,
    EVENT_CERTIFICATES,
    EVENT_RESOLVED,
    EVENT_TRAFFIC,
    EVENT_KILL,
    EVENT_START,
    EVENT_REBIND,
    EVENT_MOVE,
    EVENT_TCP_OPENED,
    EVENT_TCP_CUT, /* all connections break */
    EVENT_TCP_LOST, /* a node hears of it */
    EVENT_ORDER, /* the administrator of one node or of both */
    EVENT_SLEEP, /* a node stands still, and its clock has jumped when it goes on */
};

struct key_exchange_job {
    uint64_t job;
    uint16_t group;
    bool has_pair;
    struct key_pair pair;
    uint16_t peer_public_length;
    uint8_t peer_public[KEY_EXCHANGE_PUBLIC_BYTES_MAX];
};

struct event {
    uint64_t at_ms;
    uint64_t order; /* equal times leave in the order they came */
    enum event_kind kind;
    uint8_t node;
    unsigned life; /* of the node: what was meant for a killed one is void */
    /* datagram */
    uint8_t protocol;
    bool to_own; /* a translated address: who it is for is looked up at delivery */
    struct endpoint from, to;
    size_t length;
    uint8_t *bytes;
    struct key_exchange_job *key_exchange; /* owned */
    /* resolved, certificates, connections */
    uint64_t question;
    bool known;
    struct ikev2_proof *proof; /* owned */
    unsigned connection; /* its number, from 1; 0: a datagram in none */
};

/* A TCP connection: what goes through it arrives in order, or never. */
struct connection {
    unsigned number;
    uint8_t opener;
    bool open;
    bool released; /* by who opened it: what is under way still arrives */
    struct endpoint ends[NODES];
    uint64_t last_ms[NODES]; /* when what a node sent last arrives */
};

struct simulation;

struct node {
    struct simulation *sim;
    const char *site; /* the peer's name in our configuration */
    struct address outer;
    struct address inner4, inner6;
    bool alive;
    uint64_t asleep_until_ms; /* 0: it is awake */
    unsigned life;
    struct dataplane *dataplane;
    struct dataplane_worker *worker;
    struct gateway *gateway;
    struct log_sink log; /* verbose */
    struct seeded_random seeded;
    struct random_source random;
    bool behind_nat;
    struct address nat_outer;
    uint16_t nat_port[2]; /* for our 500 and 4500 */
    uint64_t delivered;
    uint64_t last_delivered_ms;
    uint64_t handshakes_before; /* of earlier lives */
    size_t routes;
    bool keeps_ticket_key; /* over a restart */
    bool has_ticket_key;
    uint8_t ticket_key[GATEWAY_TICKET_KEY_BYTES];
};

/* What the two sites have agreed upon before. */
struct world {
    bool by_name; /* peers are host names */
    bool native; /* encapsulate never */
    bool moves; /* node 0 gets other addresses; both, when node 1 is known by name */
    bool tcp; /* node 0 calls through a connection */
    bool udp_is_blocked; /* and would have preferred not to */
    bool certificates;
    bool resumes;
    bool reauthenticates;
    bool follows; /* additional key exchanges behind CREATE_CHILD_SA */
    bool old; /* IKEv1 */
    bool aggressive; /* in Aggressive Mode */
    bool small; /* long messages go in fragments */
};

/* A node is killed when it sends its nth IKE message, or asks its nth question of the world: what
 * it asked is never answered, what it sent may arrive. */
struct doom {
    bool wanted;
    uint8_t node;
    bool by_question;
    unsigned at; /* counted from 1 */
    unsigned seen;
    bool now;
    bool done;
};

struct simulation {
    uint64_t seed;
    bool verbose;
    uint64_t now_ms;
    uint64_t order;
    struct event *heap[EVENTS_MAX];
    size_t heap_count;
    struct seeded_random seeded;
    struct random_source random;
    struct node nodes[NODES];
    /* faults, per mille; zero when calm */
    unsigned loss, doubled, late, damaged;
    bool calm;
    struct world world;
    struct doom doom;
    unsigned connections_made;
    struct connection connections[CONNECTIONS_MAX];
    uint32_t serial;
    struct {
        uint64_t hash;
        uint8_t node;
        bool delivered;
    } sent[SERIALS_MAX];
    uint64_t handshakes;
    uint64_t events;
    uint64_t trace_hash;
    bool failed;
    char failure[512];
};

void sim_fail(struct simulation *sim, const char *format, ...) PRINTF_LIKE(2, 3);
uint32_t sim_chance(struct simulation *sim, uint32_t bound);
struct event *sim_event(struct simulation *sim, enum event_kind kind, uint8_t node,
                        uint64_t delay_ms);
/* The network may do to it what it does to others, but never lose, double or damage it. */
uint64_t sim_delay_ms(struct simulation *sim);

void sim_end_turn(struct simulation *sim, uint8_t index);
void sim_stand_behind_nat(struct simulation *sim);

/* ---- connections.c ---- */

void connections_send(struct simulation *sim, uint8_t node, const struct endpoint *local,
                      const struct endpoint *peer, struct slice bytes);
/* Whether what was sent through it still arrives. */
MUST_USE bool connections_carries(const struct simulation *sim, unsigned number);
void connections_open(struct simulation *sim, uint8_t node, const struct gateway_action *action);
void connections_opened(struct simulation *sim, const struct event *event);
void connections_release(struct simulation *sim, uint8_t node, const struct gateway_action *action);
/* Of one node (its address is gone, or it was killed), or all: NODES. */
void connections_cut(struct simulation *sim, uint8_t node);
void connections_lost(struct simulation *sim, const struct event *event);

/* ---- old.c ---- */

/* A child for each pair of networks. What was replaced is kept for 30 s and its grace: so long
 * there are more, and then no more for as long. */
#define OLD_CHILDREN 2
#define OLD_LIFETIMES "  lifetime ike 120s child 100s\n"
#define OLD_SETTLES_S 60

void old_choose_world(struct simulation *sim);
void old_choose_faults(struct simulation *sim, uint32_t faults_ms);
void old_write_config(const struct world *world, struct text *text);
/* Both or one are told to rekey, to begin anew, or to close at the same moment. */
void old_order(struct simulation *sim);
/* It is for a node that stands still, and waits. */
MUST_USE bool old_sleeps(const struct simulation *sim, const struct event *event);

/* ---- proofs.c ---- */

#define PROOFS_NOW_S 1800000000

void proofs_ask(struct simulation *sim, uint8_t node, struct ikev2_proof *proof);
void proofs_answer(struct simulation *sim, const struct event *event);
void proofs_read(struct simulation *sim, uint8_t node, uint64_t question);
void proofs_certificates(struct simulation *sim, const struct event *event);
void proofs_end(void);

#endif
