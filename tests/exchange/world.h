/*
 * Two IKEv2 machines and the messages between them, held in the hand: a test decides which
 * message arrives next, which is lost, and which answer to a machine's question comes when.
 *
 * Everything is a value of the seed. Key exchange is played: a public value is random octets, the
 * shared secret a hash of both, so that tens of thousands of conversations can be had in a test.
 */
#ifndef SEKISHO_TESTS_EXCHANGE_WORLD_H
#define SEKISHO_TESTS_EXCHANGE_WORLD_H

#include "proto/ikev2/gate.h"
#include "proto/ikev2/sa.h"
#include "tests/exchange/rules.h"

#define WORLD_FLIGHTS_MAX 64
#define WORLD_CHILDREN_MAX 64
#define WORLD_SPIS_MAX 64
#define WORLD_FIRST_ESP_SPI 0x1000
#define WORLD_ESP_SPIS 1024 /* half of them for each side */
#define WORLD_WORDS_BYTES 256
#define WORLD_KEY_BYTES_MAX 160
#define WORLD_ADDRESSES_MAX 4

enum world_side_name { A = 0, B = 1 };

/* A datagram on its way, or (question) an answer that its machine still waits for. */
struct flight {
    enum world_side_name from; /* the side that sent it, or that asked */
    bool question;
    size_t length;
    uint8_t *bytes;
    struct endpoint source, destination;
    char words[WORLD_WORDS_BYTES]; /* in the notation of the RFC */
    /* Of a question. */
    enum ikev2_action_kind kind;
    uint32_t id;
    struct ikev2_proof *proof; /* owned */
    uint16_t group;
    bool has_pair;
    uint16_t own_length, peer_length;
    uint8_t own_public[KEY_EXCHANGE_PUBLIC_BYTES_MAX];
    uint8_t peer_public[KEY_EXCHANGE_PUBLIC_BYTES_MAX];
};

struct installed {
    uint32_t spi_in, spi_out;
    uint32_t replaces;
    uint8_t resource; /* of RFC 9611 */
    uint16_t resource_id;
    bool peer_has_resources;
    bool used, stopped;
    unsigned used_order; /* of two in use the side sends through the one that was used last */
    uint64_t heard_ms; /* until when the peer sent through it; 0 never */
    bool encapsulated;
    struct endpoint local, peer; /* between which its packets go */
    size_t key_bytes;
    uint8_t key_in[WORLD_KEY_BYTES_MAX];
    uint8_t key_out[WORLD_KEY_BYTES_MAX];
};

struct side {
    enum world_side_name name;
    struct ikev2_sa *sa; /* NULL before, and when it is over */
    struct seeded_random seeded;
    struct random_source random;
    struct ikev2_gate gate;
    struct endpoint local;
    struct address addresses[WORLD_ADDRESSES_MAX]; /* what it has now; none: only `local` */
    size_t address_count;
    struct ikev2_addresses announced;
    struct proposals ike_proposals, child_proposals[3]; /* of the policies */
    struct ikev2_policy policy;
    struct ikev2_responder_policy responder;
    const struct proposals *ike_lists[1];
    struct ikev2_child_policy children[3];
    struct selector local_selector, remote_selector;
    bool responds; /* strangers are let in */
    bool cookies_wanted;
    bool knows_peer; /* ASK_PEER is answered with the policy */

    struct installed installed[WORLD_CHILDREN_MAX];
    size_t installed_count;
    uint64_t ike_spis[WORLD_SPIS_MAX];
    size_t ike_spi_count;
    uint32_t esp_spis[WORLD_SPIS_MAX]; /* given and neither returned nor removed */
    size_t esp_spi_count;
    uint32_t next_esp_spi;
    uint64_t past; /* a hash of all that this side ever got or was told: its machine is in the same
                      state whenever this is the same */

    unsigned established, rekeyed, failed, closed, child_failed, initial_contact, moved;
    unsigned encapsulated; /* of the children that were installed */
    unsigned installs; /* all that ever were */
    unsigned uses;
    struct rules rules;
    bool ever_installed[WORLD_ESP_SPIS]; /* by SPI - WORLD_FIRST_ESP_SPI */
    unsigned sent;
    unsigned probes;
    bool probe_passed; /* the newest */
    size_t longest_sent;
    struct ikev2_failure failure; /* the last */
};

struct world {
    uint64_t now_ms;
    int64_t now_s; /* by the calendar, for certificates */
    uint64_t seed;
    struct side side[2];
    struct flight flights[WORLD_FLIGHTS_MAX];
    size_t flight_count;
    bool answers_wait; /* answers to questions take their turn among the messages */
    unsigned questions, refuse_question; /* which question, counted from 1, is answered with no */
    bool traffic_wanted; /* each side must have a child to send through, always */
    bool traffic_began;
    bool packets_wanted; /* none is lost because its SA went while it was under way */
    bool elsewhere[2]; /* that side sends through another world's children */
    /* A NAT before A: what A sends seems to come from here, its port 4500 from the next port
     * up. */
    bool nat;
    struct endpoint nat_outside;
    bool lawless; /* the peer is somebody else: what is owed to him (rules.h) is not looked at */
    bool beside; /* another world carries the traffic until this one surely can */
    char last_words[2][WORLD_WORDS_BYTES];
    unsigned unknown_spi; /* messages for no machine */
    /* For the report of a failure: what arrived, in order. */
    char history[8192];
    size_t history_length;
};

/* Policies are set and may be changed before world_start(). */
void world_init(struct world *w, uint64_t seed);
void world_fini(struct world *w);

/* A begins. */
void world_start(struct world *w);
/* Until both are authenticated and have a child, nothing in flight, history forgotten. */
void world_connect(struct world *w);

/* Message (or answer) number `at` in flight arrives. */
void world_deliver(struct world *w, size_t at);
void world_lose(struct world *w, size_t at);
/* It will arrive twice. */
void world_double(struct world *w, size_t at);
/* A NAT stands before A from now on, or forgets what it knew and takes other ports. */
void world_set_nat(struct world *w, const char *address, uint16_t port);
/* The NAT is gone. */
void world_remove_nat(struct world *w);
/* From now on the side has these addresses, words with spaces between, and no others: what is for
 * another one is lost, and what it would send from another one as well. Its machine is not told. */
void world_set_addresses(struct world *w, enum world_side_name side, const char *words);
/* Its machine is: at which of its addresses it is now, and at which the peer (NULL: as before). */
void world_move(struct world *w, enum world_side_name side, const char *local, const char *peer);
/* Whether the way between these is better (RFC 4555 3.10). */
void world_test_way(struct world *w, enum world_side_name side, const char *local,
                    const char *peer);
/* When all is quiet: the children of both go between the same ends, which both have, and both or
 * none in UDP. */
void world_check_places(struct world *w);
/* In the order of sending, until nothing is in flight. */
void world_deliver_all(struct world *w);
/* The next deadline of either machine, whatever it is; false when there is none. */
bool world_wake(struct world *w);
uint64_t world_deadline_ms(const struct world *w);
/* It is that late now: machines whose deadline has come are woken. */
void world_set_time(struct world *w, uint64_t now_ms);
/* Deadlines and messages until nothing more happens for an hour; fails when that never comes. */
void world_settle(struct world *w);
void world_advance(struct world *w, uint64_t ms);

/* Orders to a side; questions are answered as world.answers_wait says. */
void world_rekey_ike(struct world *w, enum world_side_name side);
void world_rekey_child(struct world *w, enum world_side_name side); /* the one in use */
void world_new_child(struct world *w, enum world_side_name side, size_t policy);
void world_close_child(struct world *w, enum world_side_name side); /* the first one in use */
/* The same of children of the first policy for one resource of that side (RFC 9611); where there is
 * none, nothing. */
void world_new_own(struct world *w, enum world_side_name side, uint8_t resource);
void world_rekey_own(struct world *w, enum world_side_name side, uint8_t resource);
void world_close_own(struct world *w, enum world_side_name side, uint8_t resource);
/* The newest that is not stopped; NULL when there is none. */
const struct installed *world_own(const struct world *w, enum world_side_name side,
                                  uint8_t resource);
void world_close(struct world *w, enum world_side_name side);
void world_liveness(struct world *w, enum world_side_name side);
/* Any octets, from the other side's address. */
void world_inject(struct world *w, enum world_side_name to, struct slice bytes);
/* A packet came in through the newest child: the data plane says so. */
void world_heard(struct world *w, enum world_side_name side);
/* What a side sends through; NULL: nothing. */
const struct installed *world_child_in_use(const struct world *w, enum world_side_name side);
/* A hash of all that can matter from now on: the past of both sides and what is in flight, in
 * whatever order it was sent. */
uint64_t world_state(const struct world *w);

/* At any time: whoever sends through a child is heard by the other; counts and SPIs make
 * sense. */
void world_check(struct world *w);
/* When all is quiet: both agree, `children` pairs are left, no SPI leaked. */
void world_check_settled(struct world *w, size_t children);
/* Nothing is left on either side. */
void world_check_gone(struct world *w);

/* Exactly one message is in flight from `from`; it reads like this, and arrives. */
void world_expect(struct world *w, enum world_side_name from, const char *words);
/* The same, and it is lost. */
void world_expect_lost(struct world *w, enum world_side_name from, const char *words);

#endif
