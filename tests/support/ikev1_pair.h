/*
 * IKEv1 machines of two sides that talk through queues in memory: the test decides what is
 * delivered, lost, doubled or comes out of order, and when time passes. What a gateway does is done
 * here: questions are answered at once, a first message makes a responder, and what the peer begins
 * anew is absorbed by the machine that there is for him. What the machines tell is recorded, and
 * who sent what, in the notation of RFC 2409.
 *
 * Side 0 begins by default, side 1 answers. Nothing here checks by itself: the test does.
 */
#ifndef SEKISHO_TESTS_SUPPORT_IKEV1_PAIR_H
#define SEKISHO_TESTS_SUPPORT_IKEV1_PAIR_H

#include "base/random.h"
#include "proto/ikev1/sa.h"

#define PAIR1_CHILDREN_MAX 256
#define PAIR1_QUEUE_MAX 256
#define PAIR1_ASKS_MAX 64
#define PAIR1_MACHINES_MAX 8
#define PAIR1_SPIS_MAX 64
#define PAIR1_POLICIES_MAX 4
#define PAIR1_SELECTORS_MAX 4
#define PAIR1_KEY_BYTES_MAX 128
#define PAIR1_TRANSCRIPT_BYTES 16384

struct pair1_child {
    struct ikev1_child_info info; /* as it was installed, without what it borrowed */
    char name[IKEV1_CHILD_NAME_BYTES];
    bool used, stopped, removed;
    size_t key_bytes;
    uint8_t key_in[PAIR1_KEY_BYTES_MAX], key_out[PAIR1_KEY_BYTES_MAX];
    size_t around_bytes; /* of AH around it */
    uint8_t around_in[PAIR1_KEY_BYTES_MAX], around_out[PAIR1_KEY_BYTES_MAX];
    struct selector local, remote; /* the first of each */
    struct selector locals[PAIR1_SELECTORS_MAX]; /* info.local_count of them */
};

#define PAIR1_WORD_BYTES 300

/* What a client says, and what a gateway heard, as texts. */
struct pair1_words {
    char user[PAIR1_WORD_BYTES], password[PAIR1_WORD_BYTES], passcode[PAIR1_WORD_BYTES];
    char next_pin[PAIR1_WORD_BYTES], answer[PAIR1_WORD_BYTES];
};

/* What a gateway says to one round of a login. */
struct pair1_verdict {
    enum ikev1_login_verdict verdict;
    const char *message; /* NULL: none */
    unsigned wanted;
};

struct pair1_ask {
    enum ikev1_action_kind kind;
    unsigned machine;
    uint32_t id;
    uint16_t group;
    bool has_pair;
    struct key_pair pair;
    size_t peer_public_length;
    uint8_t peer_public[KEY_EXCHANGE_PUBLIC_BYTES_MAX];
    struct ikev1_proof_answer proof;
    size_t made_bytes;
    uint8_t made[1024];
    struct envelope envelope;
    struct pair1_verdict verdict;
};

struct pair1_machine {
    struct ikev1_sa *sa; /* NULL: a free place */
    struct endpoint peer; /* of the first message, with the cookie of who sent it */
    uint64_t cookie_i;
    bool over;
    bool absorb; /* it told ESTABLISHED, and there is another one already */
    bool initial_contact;
    unsigned begun, up; /* when, counted by the side; up 0: it is not */
};

struct pair1_side {
    /* Set by ikev1_pair_new() to a simple policy; the test changes what it wants before it starts.
     */
    struct ikev1_policy policy;
    struct ikev1_policy others[3]; /* that the peer may have as well; other_count of them */
    size_t other_count;
    struct proposals ike_proposals, child_proposals, around_proposals;
    struct ikev1_responder_policy responder;
    const struct proposals *ike_lists[1];
    struct ikev1_child_policy children_policy[PAIR1_POLICIES_MAX];
    struct selector local[PAIR1_POLICIES_MAX][PAIR1_SELECTORS_MAX];
    struct selector remote[PAIR1_POLICIES_MAX][PAIR1_SELECTORS_MAX];
    int64_t now_s; /* by the calendar, for certificates */
    struct endpoint endpoint; /* port 500; 4500 is understood to be his as well */
    bool answers_nobody; /* ASK_PEER is answered with nobody */
    bool deaf; /* everything that arrives is thrown away */
    bool says_initial_contact; /* where it has nothing with the other side; else as the policy says
                                */
    bool no_spi; /* ASK_SPI is answered with 0 */
    bool holds_asks; /* questions wait for ikev1_pair_answer() */
    /* A gateway that asks for logins: without verdicts, one for each round, who says these words
     * may in. A client says them. */
    struct pair1_words words;
    const struct pair1_verdict *verdicts;
    size_t verdict_count;
    bool no_words; /* the client has none */
    bool silent; /* questions about logins and settings are not answered */
    struct ikev1_settings settings; /* given to a client */
    bool no_settings;

    struct pair1_machine machines[PAIR1_MACHINES_MAX];
    unsigned site; /* the machine for the other side, when there is one */
    struct seeded_random seeded;
    struct random_source random;
    uint32_t next_spi;
    size_t ask_count;
    struct pair1_ask asks[PAIR1_ASKS_MAX];

    unsigned established, rekeyed, failed, closed, absorbed, child_failed, initial_contact, moved;
    unsigned sends, responders;
    unsigned opened; /* ciphertexts of RSA encryption: private operations */
    unsigned moments; /* in which a machine began or came up */
    struct suite suite; /* of the newest ESTABLISHED or REKEYED */
    const struct ikev1_policy *chosen;
    bool nat_local, nat_peer, aggressive;
    struct ike_identity peer_id;
    struct endpoint moved_to;
    struct ikev1_failure failure; /* of the newest FAILED or CLOSED */
    struct ikev1_failure child_failure;
    /* Logins and settings. */
    unsigned logins_asked, credentials_asked, settings_asked, settings_told;
    bool leaked; /* what a user said stood in what is shown to who watches */
    bool login; /* of the newest ESTABLISHED or REKEYED */
    struct pair1_words heard; /* of the newest ASK_LOGIN */
    bool heard_chap;
    unsigned round;
    unsigned wanted; /* of the newest ASK_CREDENTIALS */
    enum ikev1_login_kind kind;
    char message[PAIR1_WORD_BYTES];
    struct ikev1_settings_question settings_question;
    struct ikev1_settings told;
    size_t ike_spi_count;
    uint64_t ike_spis[PAIR1_SPIS_MAX]; /* added and not removed, with the machine that has it */
    unsigned ike_spi_owner[PAIR1_SPIS_MAX];
    unsigned esp_spis_given, esp_spis_unused;
    size_t children_forgotten; /* removed ones that had to make room */
    size_t child_count;
    struct pair1_child children[PAIR1_CHILDREN_MAX];
};

struct pair1_datagram {
    unsigned to; /* index of the side */
    struct endpoint local, peer; /* as the receiver sees them */
    size_t length;
    uint8_t *bytes;
};

struct ikev1_pair {
    uint64_t now_ms;
    struct pair1_side side[2];
    bool nat; /* side 0 is behind a NAT */
    uint16_t nat_port_shift; /* changed by the test: the mapping is another */
    size_t queue_count;
    struct pair1_datagram queue[PAIR1_QUEUE_MAX]; /* in the order of sending */
    struct ikev1_actions *actions, *other_actions;
    /* Asked for each datagram that is sent; false: it is lost. NULL: all arrive. */
    bool (*passes)(void *context, struct ikev1_pair *pair, const struct pair1_datagram *datagram);
    void *context;
    char
        transcript[PAIR1_TRANSCRIPT_BYTES]; /* a line for each message that was made: "0 HDR, SA" */
};

/* Two sites, 10.1.0.0/16 at side 0 and 10.2.0.0/16 at side 1, the same shared key, AES-128, SHA-256
 * and MODP-2048 in both phases, without PFS. Lifetimes and liveness never. */
struct ikev1_pair *ikev1_pair_new(uint64_t seed);
void ikev1_pair_free(struct ikev1_pair *pair);
/* Only these algorithms, in words of the configuration; on one side. */
void ikev1_pair_set_ike(struct ikev1_pair *pair, unsigned side, const char *words);
void ikev1_pair_set_esp(struct ikev1_pair *pair, unsigned side, const char *words);
void ikev1_pair_set_ah(struct ikev1_pair *pair, unsigned side, const char *words);
/* AH around the ESP of every policy. */
void ikev1_pair_set_around(struct ikev1_pair *pair, unsigned side, const char *words);
/* One more: 10.1.N.0/24 to 10.2.N.0/24, named childN. */
void ikev1_pair_add_child(struct ikev1_pair *pair, unsigned n);

/* The machine for the other side; NULL when there is none. */
struct ikev1_sa *ikev1_pair_sa(struct ikev1_pair *pair, unsigned side);
/* The first that there is, established or not. */
struct ikev1_sa *ikev1_pair_machine(struct ikev1_pair *pair, unsigned side);
size_t ikev1_pair_machines(const struct ikev1_pair *pair, unsigned side);
void ikev1_pair_start(struct ikev1_pair *pair, unsigned side);
/* One of the questions that wait; `good` false: with a refusal. */
void ikev1_pair_answer(struct ikev1_pair *pair, unsigned side, size_t index, bool good);
void ikev1_pair_deliver(struct ikev1_pair *pair, size_t index);
/* Delivered and left in the queue. */
void ikev1_pair_deliver_copy(struct ikev1_pair *pair, size_t index);
void ikev1_pair_drop(struct ikev1_pair *pair, size_t index);
void ikev1_pair_inject(struct ikev1_pair *pair, unsigned to, const struct endpoint *local,
                       const struct endpoint *peer, struct slice bytes);
/* Delivers everything, oldest first, until nothing is under way. */
MUST_USE bool ikev1_pair_run(struct ikev1_pair *pair);
/* Time passes from deadline to deadline, everything is delivered in between. */
void ikev1_pair_advance(struct ikev1_pair *pair, uint64_t ms);
uint64_t ikev1_pair_deadline_ms(const struct ikev1_pair *pair); /* the next of any machine */
/* Time passes and nothing is delivered: what became due meanwhile is due now. */
void ikev1_pair_jump(struct ikev1_pair *pair, uint64_t ms);

/* An event of that machine is over that the test made itself, with pair->actions. */
void ikev1_pair_settle(struct ikev1_pair *pair, unsigned side);

/* Orders to the machine for the other side. */
void ikev1_pair_close(struct ikev1_pair *pair, unsigned side);
void ikev1_pair_rekey(struct ikev1_pair *pair, unsigned side);
void ikev1_pair_rekey_child(struct ikev1_pair *pair, unsigned side, uint32_t spi_in);
void ikev1_pair_start_child(struct ikev1_pair *pair, unsigned side, unsigned policy);
void ikev1_pair_close_child(struct ikev1_pair *pair, unsigned side, uint32_t spi_in);
void ikev1_pair_ask_liveness(struct ikev1_pair *pair, unsigned side);
/* The side forgets everything, as after a reboot. */
void ikev1_pair_reboot(struct ikev1_pair *pair, unsigned side);

/* A packet goes through the child that the sender uses under a policy name: false when the sender
 * has none or the other side cannot open it. The receiver's machine hears of it. */
bool ikev1_pair_packet(struct ikev1_pair *pair, unsigned from, const char *child_name);
/* What is sent under a policy name goes through this one; NULL when there is none. */
struct pair1_child *ikev1_pair_outbound(struct ikev1_pair *pair, unsigned side,
                                        const char *child_name);
/* Not removed. */
size_t ikev1_pair_live_children(const struct ikev1_pair *pair, unsigned side);
/* Every child that is there on either side and in use is there on the other with the same keys,
 * suite and selectors. Call it when nothing is under way. */
bool ikev1_pair_agrees(struct ikev1_pair *pair);
/* Nothing is kept: no machine, cookie, child or SPI. */
bool ikev1_pair_is_empty(const struct ikev1_pair *pair, unsigned side);

#endif
