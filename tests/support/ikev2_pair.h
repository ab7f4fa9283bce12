/*
 * Two IKEv2 machines that talk through queues in memory: the test decides what is delivered, lost,
 * doubled or comes out of order, and when time passes. Questions of the machines are answered at
 * once, or held until the test answers them. What the machines tell is recorded, and whether both
 * ends agree can be asked at any time.
 *
 * Side 0 begins by default, side 1 answers. Nothing here checks by itself: the test does.
 */
#ifndef SEKISHO_TESTS_SUPPORT_IKEV2_PAIR_H
#define SEKISHO_TESTS_SUPPORT_IKEV2_PAIR_H

#include "base/random.h"
#include "proto/ikev2/gate.h"
#include "proto/ikev2/sa.h"

#define PAIR_CHILDREN_MAX 256
#define PAIR_QUEUE_MAX 256
#define PAIR_ASKS_MAX 32
#define PAIR_SPIS_MAX 64
#define PAIR_POLICIES_MAX 8
#define PAIR_SELECTORS_MAX 8
#define PAIR_KEY_BYTES_MAX 128

struct pair_child {
    uint32_t spi_in, spi_out;
    uint32_t replaces_spi_in;
    char name[IKEV2_CHILD_NAME_BYTES];
    struct suite suite;
    bool encapsulated, initiator;
    bool used, stopped, removed;
    unsigned installs;
    uint64_t removed_ms;
    struct ikev2_child_info info; /* as it was installed, without what it borrowed */
    size_t key_bytes;
    uint8_t key_in[PAIR_KEY_BYTES_MAX], key_out[PAIR_KEY_BYTES_MAX];
    size_t local_count, remote_count;
    struct selector local[PAIR_SELECTORS_MAX], remote[PAIR_SELECTORS_MAX];
};

struct pair_ask {
    enum ikev2_action_kind kind;
    uint32_t id;
    uint16_t group;
    bool has_pair;
    struct key_pair pair;
    size_t peer_public_length;
    uint8_t peer_public[KEY_EXCHANGE_PUBLIC_BYTES_MAX];
    struct ike_identity peer_id, requested_id;
    struct ikev2_proof *proof; /* owned */
};

struct pair_side {
    /* Set by ikev2_pair_init() to a simple policy; the test changes what it wants before it starts.
     */
    struct ikev2_policy policy;
    struct proposals ike_proposals, child_proposals[PAIR_POLICIES_MAX]; /* of the policies */
    struct ikev2_responder_policy responder;
    int64_t now_s; /* by the calendar, for certificates */
    const struct proposals *ike_lists[1];
    struct ikev2_child_policy children_policy[PAIR_POLICIES_MAX];
    struct selector local[PAIR_POLICIES_MAX][PAIR_SELECTORS_MAX];
    struct selector remote[PAIR_POLICIES_MAX][PAIR_SELECTORS_MAX];
    struct endpoint endpoint; /* port 500; 4500 is understood to be his as well */
    bool cookies_wanted;
    bool answers_nobody; /* ASK_PEER is answered with NULL */
    bool holds_asks; /* questions stay in asks[] until ikev2_pair_answer() */
    bool deaf; /* everything that arrives is thrown away */
    bool no_spi; /* ASK_SPI is answered with 0 */

    struct ikev2_sa *sa; /* NULL when there is none (yet, or any more) */
    struct ikev2_gate gate;
    struct seeded_random seeded;
    struct random_source random;
    uint32_t next_spi;

    size_t ask_count;
    struct pair_ask asks[PAIR_ASKS_MAX];

    /* What was told; `failed` counts those with a reason. */
    unsigned established, rekeyed, failed, closed, child_failed, initial_contact, moved, traces;
    unsigned sends, retraced;
    unsigned reauthenticate;
    const uint8_t *crash_secret; /* NULL: this side makes no tokens */
    struct address redirected_from; /* unset: by nobody */
    const struct ikev2_redirect *sends_to; /* in IKE_AUTH; NULL: nowhere */
    unsigned redirected;
    struct ikev2_redirect redirect; /* the newest */
    struct ikev2_tickets tickets; /* responder.tickets points here where the test wants it */
    struct ikev2_session session; /* of the newest ticket, for whom it was given */
    size_t ticket_bytes;
    uint8_t ticket[IKEV2_TICKET_BYTES_MAX];
    uint64_t fingerprint; /* of what is configured about the other */
    bool resumes; /* the next IKE SA that this side begins does so with the ticket */
    unsigned probes; /* PROBE_DONE; what the newest said: */
    uint16_t probe_bytes;
    bool probe_passed;
    uint64_t spi_i, spi_r; /* of the newest ESTABLISHED or REKEYED */
    struct suite suite;
    bool nat_local, nat_peer;
    struct ike_identity peer_id;
    struct endpoint moved_to;
    struct ikev2_failure failure; /* of the newest FAILED or CLOSED */
    struct ikev2_failure child_failure; /* of the newest CHILD_FAILED */
    char child_failed_name[IKEV2_CHILD_NAME_BYTES];
    size_t ike_spi_count;
    uint64_t ike_spis[PAIR_SPIS_MAX]; /* added and not removed */
    unsigned esp_spis_given, esp_spis_unused; /* given by us; given back */
    size_t child_count;
    struct pair_child children[PAIR_CHILDREN_MAX];
};

struct pair_datagram {
    unsigned to; /* index of the side */
    struct endpoint local, peer; /* as the receiver sees them */
    bool dont_fragment;
    size_t length;
    uint8_t *bytes;
};

struct ikev2_pair {
    uint64_t now_ms;
    struct pair_side side[2];
    bool nat; /* side 0 is behind a NAT */
    uint16_t nat_port_shift; /* changed by the test: the mapping is another */
    size_t queue_count;
    struct pair_datagram
        queue[PAIR_QUEUE_MAX]; /* in the order of sending; those of both directions */
    size_t largest_datagram;
    struct ikev2_actions *actions;
    /* Asked for each datagram that is sent; false: it is lost. NULL: all arrive. */
    bool (*passes)(void *context, struct ikev2_pair *pair, const struct pair_datagram *datagram);
    void *context;
    /* Told each action before it is worked on; may be NULL. */
    void (*watch)(void *context, unsigned side, const struct ikev2_action *action);
};

/* Two sites, 10.1.0.0/16 at side 0 and 10.2.0.0/16 at side 1, the same shared key, default
 * proposals. Lifetimes and liveness never. NULL when there is no memory. */
struct ikev2_pair *ikev2_pair_new(uint64_t seed);
void ikev2_pair_free(struct ikev2_pair *pair);
/* Another child policy on both sides: 10.1.N.0/24 to 10.2.N.0/24 within side 0's and side 1's,
 * named childN. */
void ikev2_pair_add_child(struct ikev2_pair *pair, unsigned n, bool start);
/* Only these algorithms, in words of the configuration; on one side. */
void ikev2_pair_set_ike(struct ikev2_pair *pair, unsigned side, const char *words);
void ikev2_pair_set_esp(struct ikev2_pair *pair, unsigned side, const char *words);
/* AH instead of ESP. */
void ikev2_pair_set_ah(struct ikev2_pair *pair, unsigned side, const char *words);

void ikev2_pair_start(struct ikev2_pair *pair, unsigned side);
/* The oldest question that is held; `ok` false: no. */
void ikev2_pair_answer(struct ikev2_pair *pair, unsigned side, bool ok);

/* The queue. */
void ikev2_pair_deliver(struct ikev2_pair *pair, size_t index);
/* Delivered and left in the queue. */
void ikev2_pair_deliver_copy(struct ikev2_pair *pair, size_t index);
void ikev2_pair_drop(struct ikev2_pair *pair, size_t index);
/* The first datagram to that side; SIZE_MAX when there is none. */
size_t ikev2_pair_find(const struct ikev2_pair *pair, unsigned to);
/* Delivers the first datagram to that side; false when there is none. */
bool ikev2_pair_deliver_to(struct ikev2_pair *pair, unsigned to);
/* Anything at all arrives at a side. */
void ikev2_pair_inject(struct ikev2_pair *pair, unsigned to, const struct endpoint *local,
                       const struct endpoint *peer, struct slice bytes);
/* Delivers everything, oldest first, until nothing is under way (at most 10,000 datagrams: false
 * then). */
bool ikev2_pair_run(struct ikev2_pair *pair);
/* Time passes from deadline to deadline, everything is delivered in between. */
void ikev2_pair_advance(struct ikev2_pair *pair, uint64_t ms);
/* Both machines hear ikev2_sa_time() now. */
void ikev2_pair_time(struct ikev2_pair *pair);

/* Orders. */
void ikev2_pair_close(struct ikev2_pair *pair, unsigned side);
void ikev2_pair_rekey(struct ikev2_pair *pair, unsigned side);
void ikev2_pair_rekey_child(struct ikev2_pair *pair, unsigned side, uint32_t spi_in);
void ikev2_pair_start_child(struct ikev2_pair *pair, unsigned side, unsigned policy);
void ikev2_pair_start_child_for(struct ikev2_pair *pair, unsigned side, unsigned policy,
                                const struct ikev2_packet *packet);
void ikev2_pair_close_child(struct ikev2_pair *pair, unsigned side, uint32_t spi_in);
void ikev2_pair_probe_path(struct ikev2_pair *pair, unsigned side, uint16_t bytes);
void ikev2_pair_ask_liveness(struct ikev2_pair *pair, unsigned side);
void ikev2_pair_redirect(struct ikev2_pair *pair, unsigned side, const struct ikev2_redirect *to);
/* Its TCP connection is one between these now. */
void ikev2_pair_carry(struct ikev2_pair *pair, unsigned side, const struct endpoint *local,
                      const struct endpoint *peer);
/* A packet goes through the child that the sender uses under a policy name: false when the sender
 * has none or the other side cannot open it. The receiver's machine hears of it. */
bool ikev2_pair_packet(struct ikev2_pair *pair, unsigned from, const char *child_name);

/* What was recorded. */
struct pair_child *ikev2_pair_child(struct ikev2_pair *pair, unsigned side, uint32_t spi_in);
/* What is sent under a policy name goes through this one: used, not stopped, not removed. NULL when
 * there is none. */
struct pair_child *ikev2_pair_outbound(struct ikev2_pair *pair, unsigned side,
                                       const char *child_name);
/* Not removed. */
size_t ikev2_pair_live_children(const struct ikev2_pair *pair, unsigned side);
/* Every child that is there on either side and not about to go is there on the other with the same
 * keys, suite and selectors, and what each side sends the other can open. Call it when nothing is
 * under way. */
bool ikev2_pair_agrees(struct ikev2_pair *pair);

#endif
