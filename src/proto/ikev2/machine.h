/*
 * The inside of the IKEv2 machine: what its files share and nobody else sees.
 *
 *     sa.c             how it begins and ends, answers, orders, status
 *     receive.c        where a message goes
 *     schedule.c       what is next, and when
 *     exchange.c       one IKE SA's two windows: sealing, fragments, sending again, receiving
 *     message.c        a chain of payloads as one value; a chain being written
 *     init.c           IKE_SA_INIT
 *     redirect.c       to another gateway
 *     resume.c         IKE_SESSION_RESUME, and tickets in IKE_AUTH
 *     tickets.c        tickets by value
 *     intermediate.c   IKE_INTERMEDIATE: additional key exchanges
 *     auth.c           IKE_AUTH
 *     certify.c        certificates and signatures in its messages
 *     ppk.c            post-quantum preshared keys in it
 *     ppk_intermediate.c and in IKE_INTERMEDIATE
 *     proof.c          the arithmetic of them, for another thread
 *     work.c           what an exchange needs while it goes on
 *     child.c          the life of a child
 *     agreement.c      what a child protects and how
 *     terms.c          what is agreed about it by notifies: mode, IPComp, AGGFRAG
 *     resources.c      children with equal selectors, each for one resource
 *     create.c         CREATE_CHILD_SA for children
 *     rekey.c          CREATE_CHILD_SA for IKE SAs: which of them is the current one
 *     followup.c       IKE_FOLLOWUP_KE: additional key exchanges behind CREATE_CHILD_SA
 *     informational.c  INFORMATIONAL
 *     reauthenticate.c when both sides are to prove themselves anew
 *     crash.c          tokens that prove that a peer began anew
 *     extra.c          what only some features keep with a machine
 *     mobile.c         MOBIKE: other addresses for what is there
 *     quirks.c         what is left out towards some peers
 *     failure.c        what is said when something goes wrong
 *
 * A `struct ikev2_turn` is one event: every function that may act gets it.
 */
#ifndef SEKISHO_PROTO_IKEV2_MACHINE_H
#define SEKISHO_PROTO_IKEV2_MACHINE_H

#include "proto/ike/fragments.h"
#include "proto/ike/natd.h"
#include "proto/ike/proposal.h"
#include "proto/ike/retransmit.h"
#include "proto/ike/selectors.h"
#include "proto/ikev2/keys.h"
#include "proto/ikev2/sa.h"

#define IKEV2_VERSION_2_0 0x20
#define IKEV2_PORT 500 /* RFC 3948 2: no ESP there */
#define IKEV2_NAT_PORT 4500
#define IKEV2_CHILDREN_MAX 48
#define IKEV2_PENDING_MAX 48
#define IKEV2_IKES_MAX 8 /* the current one and those on their way out */
#define IKEV2_OUTGOING_BYTES_MAX 24576
#define IKEV2_GROUPS_TRIED_MAX 8
#define IKEV2_NONCE_BYTES 32 /* at least half of the longest PRF key (RFC 7296 2.10) */

#define IKEV2_ASK_MS 30000 /* a question that nobody answers ends its exchange */
#define IKEV2_FIRST_USE_MS 1000 /* until a peer that began beside another IKE SA has our answer */
#define IKEV2_LINGER_MS 30000 /* how long the answer to a Delete can be had again */
#define IKEV2_DROP_MS 90000 /* how long we wait for the peer to delete what is his to delete */
#define IKEV2_CONFIRM_MS                                                                           \
    180000 /* until a peer that made a child has our answer or has given up                        \
            */
#define IKEV2_RETRY_MS 1000 /* the first wait after TEMPORARY_FAILURE; it doubles */
#define IKEV2_RETRY_MAX_MS 30000
#define IKEV2_RETRIES_MAX 10 /* several minutes of TEMPORARY_FAILURE (RFC 7296 2.25) */

/* ---- one event ---- */

struct ikev2_turn {
    struct ikev2_sa *sa;
    uint64_t now_ms;
    struct ikev2_actions *actions;
};

/* Zeroed memory that an action may point to even after it was buried: it goes when the next event
 * comes, wiped. */
MUST_USE void *ikev2_block_new(size_t bytes);
void ikev2_block_bury(struct ikev2_sa *sa, void *block); /* NULL is allowed */
void ikev2_turn_clear(struct ikev2_sa *sa);
/* Made and buried at once. */
MUST_USE void *ikev2_turn_memory(struct ikev2_sa *sa, size_t bytes);
/* A block with these octets that lives until it is buried; false: no memory. */
MUST_USE bool ikev2_block_copy(struct slice bytes, struct slice *out);
/* Buries the block behind the slice, and empties it. */
void ikev2_block_drop(struct ikev2_sa *sa, struct slice *block);

struct ikev2_action *ikev2_act(struct ikev2_turn *t, enum ikev2_action_kind kind);

/* ---- messages ---- */

struct ikev2_nonce {
    uint16_t length;
    uint8_t data[IKEV2_NONCE_BYTES_MAX];
};

/* What stood in a message: each payload at most once where the RFC says so. Borrows. */
struct ikev2_message {
    struct ikev2_header header;
    uint8_t first;
    struct slice chain;
    struct endpoint local, peer; /* where it came in and from; only of what was sealed */
    bool has[256]; /* by payload type */
    struct slice body[256]; /* of the first of its type */
    uint8_t critical; /* an unknown payload that we must not ignore; 0 none */
    uint16_t notify_count;
    uint16_t delete_count;
    struct ikev2_notify_payload notify[IKEV2_PAYLOADS_MAX];
    struct slice deletes[IKEV2_PAYLOADS_MAX];
};

/* False: RFC 7296 forbids it (INVALID_SYNTAX). header, first and chain are set before. */
MUST_USE bool ikev2_message_read(struct ikev2_message *m);
/* NULL when it is not there. */
const struct ikev2_notify_payload *ikev2_message_notify(const struct ikev2_message *m,
                                                        uint16_t type);
/* Whether one of its Vendor IDs (RFC 7296 3.12) is this one. */
MUST_USE bool ikev2_message_vendor(const struct ikev2_message *m, struct slice id);
/* The first error notify, NULL when there is none. */
const struct ikev2_notify_payload *ikev2_message_error(const struct ikev2_message *m);
MUST_USE bool ikev2_message_nonce(const struct ikev2_message *m, struct ikev2_nonce *out);
/* False as well when the value has not the length that its group demands. */
MUST_USE bool ikev2_message_ke(const struct ikev2_message *m, struct ikev2_ke_payload *out);
/* The lower of both, octet by octet, the shorter one first (RFC 7296 2.8.1). */
const struct ikev2_nonce *ikev2_nonce_lower(const struct ikev2_nonce *a,
                                            const struct ikev2_nonce *b);
MUST_USE bool ikev2_nonce_is_lower(const struct ikev2_nonce *a, const struct ikev2_nonce *b);
void ikev2_nonce_make(struct random_source *random, struct ikev2_nonce *out);
struct slice ikev2_nonce_slice(const struct ikev2_nonce *nonce);

struct ikev2_outgoing {
    bool probe; /* never in fragments of ours, and the first time in none of the network's */
    uint8_t first;
    struct writer w;
    struct ikev2_chain chain;
    uint8_t bytes[IKEV2_OUTGOING_BYTES_MAX];
};
void ikev2_out_begin(struct ikev2_outgoing *o);
void ikev2_out_sa(struct ikev2_outgoing *o, const struct ikev2_sa_payload *sa);
void ikev2_out_ke(struct ikev2_outgoing *o, uint16_t group, const struct key_pair *pair);
void ikev2_out_nonce(struct ikev2_outgoing *o, const struct ikev2_nonce *nonce);
void ikev2_out_id(struct ikev2_outgoing *o, uint8_t type, const struct ike_identity *id);
void ikev2_out_auth(struct ikev2_outgoing *o, uint8_t method, struct slice data);
void ikev2_out_ts(struct ikev2_outgoing *o, uint8_t type, const struct selector *list,
                  size_t count);
void ikev2_out_notify(struct ikev2_outgoing *o, uint16_t type, struct slice data);
/* About a child: its protocol and SPI. */
void ikev2_out_notify_child(struct ikev2_outgoing *o, uint16_t type, uint8_t protocol,
                            uint32_t spi);
void ikev2_out_delete_ike(struct ikev2_outgoing *o);
void ikev2_out_delete_children(struct ikev2_outgoing *o, uint8_t protocol, const uint32_t *spis,
                               size_t count);

/* ---- one IKE SA ---- */

/* The datagrams of one message, kept to be sent again: a length of two octets before each. */
struct ikev2_sent {
    size_t bytes;
    uint8_t data[];
};

enum ikev2_ike_phase {
    IKEV2_IKE_HANDSHAKE,
    IKEV2_IKE_LIVE, /* the current one, or a candidate of a collision */
    IKEV2_IKE_REPLACED, /* the peer is to delete it */
    IKEV2_IKE_CLOSING, /* we are to delete it */
    IKEV2_IKE_GONE, /* deleted; answers only what it has answered before */
};

struct ikev2_work;

struct ikev2_ike {
    struct ikev2_ike *next;
    uint64_t spi_i, spi_r;
    bool initiator; /* we are the original initiator of this one */
    uint8_t generation; /* how many rekeyings lie before it */
    enum ikev2_ike_phase phase;
    struct ikev2_keys keys; /* suite.encryption 0 until there are any */
    uint64_t rekey_ms, expire_ms;
    uint64_t drop_ms; /* when it is forgotten, whatever happens */
    uint64_t hold_ms; /* no request of ours before: the peer may not have our answer, and then does
                         not know this SA yet */

    /* What we ask. */
    uint32_t request_id; /* of the open request, or else of the next */
    uint8_t request_exchange;
    struct ikev2_sent *request; /* NULL: none is open */
    struct retransmit retransmit;
    struct ikev2_work *asking; /* from its first question to us on until the response is there */
    struct fragments response_fragments;

    /* What the peer asks. */
    uint32_t expected_id;
    struct ikev2_sent *response; /* to expected_id - 1 */
    bool busy; /* the request expected_id is here and not answered yet */
    uint8_t busy_exchange;
    struct endpoint reply_local, reply_peer;
    struct ikev2_work *answering;
    struct fragments request_fragments;
};

MUST_USE struct ikev2_ike *ikev2_ike_new(struct ikev2_turn *t, bool initiator, uint64_t spi_i,
                                         uint64_t spi_r);
/* The peer is authenticated. */
void ikev2_ike_is_known(struct ikev2_ike *ike);
/* Everything of it goes; TELL_SPI_REMOVED. */
void ikev2_ike_forget(struct ikev2_turn *t, struct ikev2_ike *ike);
uint64_t ikev2_ike_own_spi(const struct ikev2_ike *ike);
struct ikev2_ike *ikev2_ike_by_own_spi(const struct ikev2_sa *sa, uint64_t spi);
uint64_t ikev2_fresh_spi(struct ikev2_sa *sa);

/* Sealed with the keys of the IKE SA, in fragments when they are allowed and needed, and traced.
 * False only when there is no memory: the SA is over then. */
bool ikev2_send_request(struct ikev2_turn *t, struct ikev2_ike *ike, uint8_t exchange,
                        struct ikev2_outgoing *o);
/* Of the next message of ours in this exchange. */
struct ikev2_header ikev2_header_of(const struct ikev2_ike *ike, uint8_t exchange, bool response,
                                    uint32_t message_id);
bool ikev2_send_response(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_outgoing *o);
/* A response that has one notify and nothing else. */
void ikev2_send_notify(struct ikev2_turn *t, struct ikev2_ike *ike, uint16_t type,
                       struct slice data);
/* Not protected: IKE_SA_INIT. `message` is a whole one. */
void ikev2_send_clear(struct ikev2_turn *t, struct ikev2_ike *ike, struct slice message,
                      bool request);
/* The open request once more, to where the peer is now; `anew`: as often as if it were the first
 * time. */
void ikev2_request_again(struct ikev2_turn *t, struct ikev2_ike *ike, bool anew);
/* The open request is answered. */
void ikev2_request_done(struct ikev2_turn *t, struct ikev2_ike *ike);
void ikev2_resend(struct ikev2_turn *t, const struct ikev2_sent *sent, const struct endpoint *local,
                  const struct endpoint *peer);

/* ---- stream.c ---- */

/* The peer opened another TCP connection for the IKE SA that has one, as an authentic message out
 * of it says. */
MUST_USE bool ikev2_stream_may_follow(const struct ikev2_sa *sa, const struct endpoint *peer);
/* The connection is a new one: what was asked through the old one is asked again (RFC 9329 6.2). */
void ikev2_stream_resend(struct ikev2_turn *t);

void ikev2_trace(struct ikev2_turn *t, bool sent, bool again, const struct ikev2_header *header,
                 uint8_t first, struct slice chain);
/* Opened and complete: m->chain lives as long as the turn. False: nothing to do. */
MUST_USE bool ikev2_receive_protected(struct ikev2_turn *t, struct ikev2_ike *ike,
                                      const struct ikev2_header *header, struct slice message,
                                      const struct endpoint *local, const struct endpoint *peer,
                                      struct ikev2_message *m);
/* Retransmission and old fragments; false when the open request was given up. */
MUST_USE bool ikev2_ike_time(struct ikev2_turn *t, struct ikev2_ike *ike);

/* ---- children ---- */

/* What is agreed by notifies, or asked for (then only the first of each line means something). */
struct ikev2_terms {
    bool transport_mode;
    struct address original_local,
        original_peer; /* what the peer sees, when it is not what we do */
    bool compress;
    uint16_t cpi_in, cpi_out;
    bool aggfrag, peer_congestion_control, peer_dont_fragment;
    bool non_first_fragments;
    bool peer_refuses_tfc;
    bool resources; /* SA_RESOURCE_INFO was said by both */
};

enum ikev2_child_phase {
    IKEV2_CHILD_UP,
    IKEV2_CHILD_REPLACED, /* a newer one is there; the peer is to delete this one */
    IKEV2_CHILD_CLOSING, /* we are to delete it */
    IKEV2_CHILD_GRACE, /* deleted; late packets are still let in */
};

struct ikev2_child {
    struct ikev2_child *next;
    uint32_t spi_in, spi_out;
    const struct ikev2_child_policy *policy;
    uint8_t protocol;
    uint8_t resource; /* of ours, for which it is alone; 0: for all */
    struct suite suite;
    uint16_t resource_id; /* what we call it to the peer; 0: nothing */
    enum ikev2_child_phase phase;
    bool encapsulated, initiator;
    bool used; /* CHILD_USE was said */
    bool stopped; /* CHILD_STOP was said */
    bool delete_sent;
    bool has_successor;
    bool only; /* made for one packet's selectors (RFC 4301 4.4.1.1): they are its own now */
    uint8_t retries;
    uint32_t replaces_spi_in;
    struct ikev2_terms terms;
    uint64_t rekey_ms, expire_ms;
    uint64_t use_ms; /* when it is used even if nothing was heard through it; NEVER_MS */
    uint64_t asked_ike_spi; /* ours of the IKE SA in which the peer asked for it; 0 he did not */
    uint64_t confirm_ms; /* until then the peer who asked for it may not have our answer: it is
                            neither rekeyed nor deleted by us before, unless he is heard of it; 0 */
    uint64_t remove_ms; /* end of the grace, or of the patience with a peer; NEVER_MS */
    uint16_t local_count, remote_count;
    struct selector selectors[]; /* local, then remote */
};

/* What a child would be made for again; not set unless it is for one packet's selectors or for a
 * resource. */
struct ikev2_packet ikev2_child_packet(const struct ikev2_child *child);
struct ikev2_child *ikev2_child_by_spi_in(const struct ikev2_sa *sa, uint32_t spi_in);
/* The peer's SPIs are his own for each protocol. */
struct ikev2_child *ikev2_child_by_spi_out(const struct ikev2_sa *sa, uint8_t protocol,
                                           uint32_t spi_out);
/* PROTOCOL_ESP or PROTOCOL_AH. */
uint8_t ikev2_child_policy_protocol(const struct ikev2_child_policy *policy);
void ikev2_child_use(struct ikev2_turn *t, struct ikev2_child *child);
void ikev2_child_stop(struct ikev2_turn *t, struct ikev2_child *child);
void ikev2_child_remove(struct ikev2_turn *t, struct ikev2_child *child);
/* Deleted by either side: removed, or kept for the grace when there is a successor. */
void ikev2_child_end(struct ikev2_turn *t, struct ikev2_child *child);
/* We are to delete it: nothing goes out through it any more. */
void ikev2_child_close(struct ikev2_turn *t, struct ikev2_child *child);
void ikev2_child_time(struct ikev2_turn *t, struct ikev2_child *child);
void ikev2_child_fill_info(const struct ikev2_sa *sa, const struct ikev2_child *child,
                           struct ikev2_child_info *out);

/* ---- what an exchange about children or a new IKE SA needs while it goes on ---- */

enum ikev2_work_kind {
    IKEV2_WORK_CHILD, /* the first child (IKE_AUTH), or another */
    IKEV2_WORK_REKEY_CHILD,
    IKEV2_WORK_REKEY_IKE,
    IKEV2_WORK_DELETE_CHILD,
    IKEV2_WORK_DELETE_IKE,
    IKEV2_WORK_LIVENESS,
    IKEV2_WORK_PROBE, /* of the path MTU */
    IKEV2_WORK_MOBILE, /* about addresses (RFC 4555) */
};

struct ikev2_work {
    enum ikev2_work_kind kind;
    bool initiator; /* of this exchange */
    const struct ikev2_child_policy *policy;
    uint32_t old_spi_in; /* the child that is rekeyed or deleted; 0 none */
    uint32_t spi_in; /* ours for the new child */
    uint64_t own_ike_spi; /* ours for the new IKE SA */
    struct ikev2_terms wanted, agreed;
    uint16_t resource_id; /* what we call the resource of the new child; 0: nothing */
    bool peer_has_resources; /* known from the child that is rekeyed */
    uint16_t cpi_in; /* ours, when there may be IPComp; 0 none yet */
    struct ikev2_packet packet; /* what it is made for; not set: no packet, no resource */
    uint8_t retries;
    struct proposal_choice choice;
    uint16_t group; /* of our KE payload; 0 none */
    uint8_t tried_count;
    uint16_t tried[IKEV2_GROUPS_TRIED_MAX];
    bool has_pair;
    bool without_group; /* the child is asked for without a key exchange */
    bool bad_public; /* the peer's key exchange value was refused */
    bool answered; /* the response to our request is here */
    uint16_t probe_bytes; /* of the IP packet that asks for the path MTU */
    bool probe_passed; /* it was not sent again before it was answered */
    bool forgotten; /* the peer made our request pointless: whatever comes back is not used */
    struct key_pair pair;
    struct secret shared;
    /* RFC 9370 2.2.4. What is said about `answered` is said about each exchange of the series. */
    bool following; /* CREATE_CHILD_SA is answered, the series goes on */
    uint8_t additional_done; /* of choice.additional */
    uint8_t own_link[8]; /* by the peer: what we want to hear again in his next request */
    struct slice link; /* by us (a block): what he wants to hear again */
    struct secret more; /* of the additional key exchanges, one behind the other */
    struct ikev2_nonce nonce_i, nonce_r;
    uint32_t ask_key_exchange, ask_spi; /* open questions; 0 none */
    uint64_t deadline_ms; /* of the open questions; NEVER_MS */
    /* The peer did the same at the same time (RFC 7296 2.8.1, 2.8.2). */
    bool collided;
    uint32_t rival_spi_in; /* his child */
    uint64_t rival_ike_spi; /* our SPI of his IKE SA */
    struct ikev2_nonce rival_lowest;
    bool rival_follows; /* there will be such a one when his series is over */
    /* Selectors after narrowing. */
    size_t local_count, remote_count;
    struct selector local[SELECTORS_MAX], remote[SELECTORS_MAX];
};

MUST_USE struct ikev2_work *ikev2_work_new(enum ikev2_work_kind kind, bool initiator);
/* Gives back what it holds: its SPI, its keys. */
void ikev2_work_end(struct ikev2_turn *t, struct ikev2_work **work);
/* Questions; their answers come to ikev2_work_continue(). `peer_public` empty: only a pair. */
void ikev2_work_ask_spi(struct ikev2_turn *t, struct ikev2_work *work);
void ikev2_work_ask_key_exchange(struct ikev2_turn *t, struct ikev2_work *work,
                                 struct slice peer_public);
/* All questions are answered: on with it. `ok` false: one was answered with no. */
void ikev2_work_continue(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                         bool ok);
/* INVALID_KE_PAYLOAD: true when the group it asks for may be tried. */
MUST_USE bool ikev2_group_may_be_tried(const struct ikev2_notify_payload *notify,
                                       const struct proposals *proposals, uint16_t *tried,
                                       uint8_t *tried_count, uint16_t *group);

/* As responder: which child policy fits what the peer proposes. Only `only` when it is not NULL.
 * 0, or the notify type of the refusal with `failure` filled. INVALID_KE_PAYLOAD leaves the group
 * in work->choice.suite.key_exchange. */
MUST_USE uint16_t ikev2_child_match(struct ikev2_sa *sa, const struct ikev2_message *m,
                                    enum proposal_use use, const struct ikev2_child_policy *only,
                                    struct ikev2_work *work, struct ikev2_failure *failure);
/* As initiator: whether the response is a child that was asked for. */
MUST_USE bool ikev2_child_verify(struct ikev2_sa *sa, const struct ikev2_message *m,
                                 enum proposal_use use, struct ikev2_work *work,
                                 struct ikev2_failure *failure);
/* As initiator: what is proposed: the policy's selectors, with those of the packet (NULL: none)
 * first or alone, or those of the child that is rekeyed. False: nothing is left to propose, because
 * the policy has not the packet, or in transport mode not the two hosts. */
MUST_USE bool ikev2_child_want(const struct ikev2_sa *sa, struct ikev2_work *work,
                               const struct ikev2_child_policy *policy,
                               const struct ikev2_child *old, const struct ikev2_packet *packet);
/* Payloads of a child: [N,] SA, [Nonce, KE,] TS. */
MUST_USE bool ikev2_child_write_request(const struct ikev2_sa *sa, struct ikev2_outgoing *o,
                                        struct ikev2_work *work, enum proposal_use use);
void ikev2_child_write_response(const struct ikev2_sa *sa, struct ikev2_outgoing *o,
                                struct ikev2_work *work, enum proposal_use use);

/* As initiator: work->wanted, from policy and selectors; in transport mode the selectors are those
 * of the two hosts, or none. */
void ikev2_terms_want(const struct ikev2_sa *sa, struct ikev2_work *work,
                      const struct ikev2_child *old);
void ikev2_terms_write(const struct ikev2_sa *sa, struct ikev2_outgoing *o, struct ikev2_work *work,
                       const struct ikev2_terms *terms);
/* As responder: work->agreed, of which the mode is known. */
void ikev2_terms_choose(const struct ikev2_message *m, struct ikev2_work *work);
/* As initiator: work->agreed, from the response. */
MUST_USE bool ikev2_terms_verify(const struct ikev2_message *m, struct ikev2_work *work,
                                 struct ikev2_failure *failure);
/* ---- resources.c ---- */

/* The child that those for one resource are like; NULL when there is none. `like` NULL: of any
 * selectors, else of those that were agreed in it. */
struct ikev2_child *ikev2_resources_leader(const struct ikev2_sa *sa,
                                           const struct ikev2_child_policy *policy,
                                           const struct ikev2_work *like);
/* A number by which no other child is called. */
uint16_t ikev2_resources_fresh_id(struct ikev2_sa *sa);
/* As responder, of a request that rekeys nothing and fits the policy: whether another one with the
 * same selectors may be made, and for which resource of ours. 0, or the notify of the refusal. */
MUST_USE uint16_t ikev2_resources_match(struct ikev2_sa *sa, const struct ikev2_message *m,
                                        struct ikev2_work *work, struct ikev2_failure *failure);
/* As initiator: what was agreed is like the leader in everything (RFC 9611 3). */
MUST_USE bool ikev2_resources_verify(const struct ikev2_sa *sa, const struct ikev2_message *m,
                                     const struct ikev2_work *work, struct ikev2_failure *failure);
/* The new child is for the same resource as the old one, whatever was said (RFC 9611 3). */
void ikev2_resources_inherit(struct ikev2_work *work, const struct ikev2_child *old);

/* RFC 7296 2.23.1: selectors of a peer that wants transport mode as we see their addresses. False:
 * there is a NAT, and they are not those of one host on either side. */
MUST_USE bool ikev2_terms_see(const struct ikev2_sa *sa, struct ikev2_ts_payload *local,
                              struct ikev2_ts_payload *peer, struct ikev2_terms *terms);
/* Those that have the host, for it alone; returns how many. */
size_t ikev2_selectors_of_host(struct selector *list, size_t count, const struct address *host);
bool ikev2_packet_is_set(const struct ikev2_packet *packet);
MUST_USE bool ikev2_packet_equal(const struct ikev2_packet *a, const struct ikev2_packet *b);
/* Whether the policy's selectors have all of it. */
MUST_USE bool ikev2_policy_has_packet(const struct ikev2_child_policy *policy,
                                      const struct ikev2_packet *packet);
/* Whether what is agreed now makes ESP go in UDP. */
MUST_USE bool ikev2_child_is_encapsulated(const struct ikev2_sa *sa, uint8_t protocol);
/* Makes the child and tells to install it; NULL: no keys, no memory (told as a failure). */
struct ikev2_child *ikev2_child_install(struct ikev2_turn *t, struct ikev2_ike *ike,
                                        struct ikev2_work *work, const struct ikev2_nonce *nonce_i,
                                        const struct ikev2_nonce *nonce_r);
/* The peer is to delete it, because there is another; when he forgets, we do. */
void ikev2_child_replaced(struct ikev2_turn *t, struct ikev2_child *child);
struct ikev2_action *ikev2_tell_child(struct ikev2_turn *t, enum ikev2_action_kind kind,
                                      const struct ikev2_child *child);
void ikev2_tell_child_failed_for(struct ikev2_turn *t, const struct ikev2_child_policy *policy,
                                 enum ikev2_failure_reason reason, uint16_t notify,
                                 const char *detail);
void ikev2_tell_child_failed(struct ikev2_turn *t, const struct ikev2_child_policy *policy,
                             const struct ikev2_failure *failure);
/* What the peer's error notify about a child means. */
void ikev2_child_refused(const struct ikev2_work *work, const struct ikev2_notify_payload *notify,
                         uint8_t exchange, struct ikev2_failure *out);

/* Begins an exchange of ours; the IKE SA must have none open. */
void ikev2_child_begin(struct ikev2_turn *t, struct ikev2_ike *ike,
                       const struct ikev2_child_policy *policy, struct ikev2_child *old,
                       const struct ikev2_packet *packet, uint8_t retries);
void ikev2_child_send(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                      bool ok);
void ikev2_child_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                         const struct ikev2_message *m);
void ikev2_child_answer(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        bool ok);
void ikev2_child_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                          const struct ikev2_message *m);
void ikev2_child_agreed(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        bool ok);

/* ---- followup.c ---- */

/* All additional key exchanges of the work are done. */
MUST_USE bool ikev2_followup_is_done(const struct ikev2_work *work);
/* The strongest of those that were done which is post-quantum; 0. */
uint16_t ikev2_followup_post_quantum(const struct ikev2_work *work);
/* One more is done; false: no memory. */
MUST_USE bool ikev2_followup_take(struct ikev2_work *work, const struct secret *shared);
/* By us: what the response says about the next request; false: nothing. */
MUST_USE bool ikev2_followup_take_link(struct ikev2_sa *sa, struct ikev2_work *work,
                                       const struct ikev2_message *m);
void ikev2_followup_begin(struct ikev2_turn *t, struct ikev2_work *work); /* the next of them */
void ikev2_followup_send(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work);
enum ikev2_followup_verdict {
    IKEV2_FOLLOWUP_GOES_ON, /* it was asked what comes of it */
    IKEV2_FOLLOWUP_REFUSED, /* with a notify */
    IKEV2_FOLLOWUP_MALFORMED,
};
MUST_USE enum ikev2_followup_verdict ikev2_followup_response(struct ikev2_turn *t,
                                                             struct ikev2_work *work,
                                                             const struct ikev2_message *m);
/* Both sides rekey the same, and ours stays: the peer stops his series. */
void ikev2_followup_won(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_work *work);
/* By the peer: the next request of a series may come. */
MUST_USE bool ikev2_followup_is_awaited(const struct ikev2_ike *ike);
void ikev2_followup_abandon(struct ikev2_turn *t, struct ikev2_ike *ike);
void ikev2_followup_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                            const struct ikev2_message *m);
void ikev2_followup_write_response(struct ikev2_outgoing *o, const struct ikev2_work *work);
/* Sends the response, which asks for the next request; false: it is over. */
bool ikev2_followup_answer(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                           struct ikev2_outgoing *o);
/* Both sides rekey the same, and what the peer makes is not there yet. */
void ikev2_followup_collides(struct ikev2_work *own, const struct ikev2_work *his);

void ikev2_rekey_begin(struct ikev2_turn *t, struct ikev2_ike *ike);
void ikev2_rekey_send(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                      bool ok);
void ikev2_rekey_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                         const struct ikev2_message *m);
void ikev2_rekey_answer(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        bool ok);
void ikev2_rekey_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                          const struct ikev2_message *m);
void ikev2_rekey_agreed(struct ikev2_turn *t, struct ikev2_ike *ike, struct ikev2_work *work,
                        bool ok);
/* The peer deleted this IKE SA. */
void ikev2_rekey_deleted(struct ikev2_turn *t, struct ikev2_ike *ike);

void ikev2_informational_begin(struct ikev2_turn *t, struct ikev2_ike *ike,
                               enum ikev2_work_kind kind, uint32_t spi_in);
/* A question of liveness in a packet of that many octets. */
void ikev2_informational_probe(struct ikev2_turn *t, struct ikev2_ike *ike, uint16_t packet_bytes);
/* A child that the peer made and that we cannot have is deleted by the SPI that we gave it. */
void ikev2_informational_disown(struct ikev2_turn *t, struct ikev2_ike *ike, uint8_t protocol,
                                uint32_t spi_in);
void ikev2_informational_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                                 const struct ikev2_message *m);
void ikev2_informational_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                                  const struct ikev2_message *m);

/* ---- mobile.c (RFC 4555) ---- */

/* MOBIKE_SUPPORTED and our addresses, in IKE_AUTH. */
void ikev2_mobile_out_auth(const struct ikev2_sa *sa, struct ikev2_outgoing *o);
/* Whether both sides are mobile, and the peer's addresses. */
void ikev2_mobile_read_auth(struct ikev2_sa *sa, const struct ikev2_message *m);
/* NO_NATS_ALLOWED is there and says other addresses than those of the packet. */
MUST_USE bool ikev2_mobile_is_unexpected(const struct ikev2_message *m,
                                         const struct endpoint *local, const struct endpoint *peer);
/* What belongs into a question of liveness, and what its answer means. */
void ikev2_mobile_out_liveness(struct ikev2_sa *sa, const struct ikev2_ike *ike,
                               struct ikev2_outgoing *o);
void ikev2_mobile_alive(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_message *m);
/* When the peer is to be asked or told something about addresses; NEVER_MS. */
uint64_t ikev2_mobile_due_ms(const struct ikev2_sa *sa);
void ikev2_mobile_begin(struct ikev2_turn *t, struct ikev2_ike *ike);
void ikev2_mobile_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                           const struct ikev2_message *m);
/* What was asked will not be answered, because its IKE SA is gone. */
void ikev2_mobile_unanswered(struct ikev2_sa *sa);
/* What an INFORMATIONAL request says about addresses: done, and the answer written. */
void ikev2_mobile_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                          const struct ikev2_message *m, struct ikev2_outgoing *o);
/* Where the IKE SA is now; `children`: and its children with it. */
void ikev2_tell_moved(struct ikev2_turn *t, bool children);

/* ---- the machine ---- */

enum ikev2_state {
    IKEV2_STATE_NEW,
    IKEV2_STATE_INIT, /* IKE_SA_INIT goes on */
    IKEV2_STATE_INTERMEDIATE, /* initiator: IKE_INTERMEDIATE goes on */
    IKEV2_STATE_HALF_OPEN, /* responder: waits for IKE_INTERMEDIATE or IKE_AUTH */
    IKEV2_STATE_AUTH, /* IKE_AUTH goes on */
    IKEV2_STATE_UP,
    IKEV2_STATE_OVER,
};

/* What the handshake goes on with, instead of a key exchange and proofs. */
struct ikev2_resume {
    struct ikev2_session session;
    uint16_t ticket_bytes;
    uint8_t ticket[IKEV2_TICKET_BYTES_MAX];
};

/* Only until both sides are authenticated. */
struct ikev2_handshake {
    uint64_t deadline_ms; /* it must be over by then */
    uint64_t ask_deadline_ms;
    uint32_t ask_key_exchange, ask_peer, ask_proof, ask_ppk; /* open questions; 0 none */
    bool has_pair;
    struct key_pair pair;
    uint16_t group;
    uint8_t tried_count;
    uint16_t tried[IKEV2_GROUPS_TRIED_MAX];
    unsigned cookies;
    uint8_t cookie_length; /* RFC 7296 2.6: 1 to 64 octets */
    uint8_t cookie[64];
    struct ikev2_nonce nonce_i, nonce_r;
    struct slice own_message, peer_message; /* blocks: IKE_SA_INIT whole, what AUTH covers */
    struct proposal_choice choice;
    struct natd natd;
    bool floated; /* to port 4500 */
    struct ikev2_resume *resume; /* a block; NULL: a full handshake */
    struct ikev2_tickets *tickets; /* the gateway's; NULL: none are given */
    bool beside; /* responder: another IKE SA carries the traffic */
    uint64_t fingerprint; /* responder: of what is configured about the peer */
    struct address redirected_from; /* initiator: by whom we were sent here; unset: by nobody */
    struct ikev2_redirect
        *redirect; /* responder: a block; where the peer is sent; NULL: he stays */
    bool was_redirected; /* responder: the peer was sent here */
    bool redirected; /* responder: the peer is sent elsewhere, and it is over when he heard it */
    bool peer_childless; /* IKE_AUTH need not make a child (RFC 6023) */
    bool peer_fragments; /* he can put fragments together */
    bool peer_asks_status; /* what is known about our certificate is sent along (RFC 4806) */
    bool prefers_udp, peer_prefers_udp; /* ESP in UDP even without a NAT: said by us, by him */
    /* RFC 9242, RFC 9370 */
    bool intermediate; /* both sides know IKE_INTERMEDIATE */
    uint8_t additional_done; /* of choice.additional */
    uint8_t int_auth_bytes; /* 0 before the first */
    uint8_t int_auth_i[PRF_OUTPUT_BYTES_MAX], int_auth_r[PRF_OUTPUT_BYTES_MAX];
    uint32_t auth_message_id; /* of the first IKE_AUTH */
    struct ikev2_keys before; /* responder: the last IKE_INTERMEDIATE, which may come again */
    bool refused; /* by somebody who need not be the peer (RFC 7296 2.21.1) */
    uint64_t refused_ms; /* until then a better answer is waited for */
    struct ikev2_failure refusal;
    struct ikev2_work *child; /* the first one */
    /* IKE_INTERMEDIATE or IKE_AUTH of the peer in clear (a block), while somebody is asked about
     * it.
     */
    struct slice request_chain;
    struct ikev2_header request_header;
    uint8_t request_first;
    struct ike_identity peer_id;
    /* Signatures: what the peer has for ours, and our AUTH (a block) once it is made. */
    uint32_t peer_hashes; /* bits; 0 he said nothing (RFC 7427 4) */
    uint32_t peer_schemes; /* bits; 0 he said nothing (RFC 9593) */
    uint8_t own_method;
    enum signature_scheme own_scheme;
    struct slice own_auth;
    const struct ikev2_policy *candidate; /* responder: whose proof is looked at */
    /* PPK (RFC 8784). */
    bool ppk_agreed; /* both said USE_PPK */
    bool ppk_mixed; /* it is in SK_d, SK_pi and SK_pr */
    bool ppk_auth_plain; /* responder: what stands for AUTH is NO_PPK_AUTH */
    enum ikev2_failure_reason ppk_wrong; /* responder: why this peer is not let in; NONE */
    struct ikev2_keys plain; /* SK_d, SK_pi and SK_pr without it */
    /* The same in IKE_INTERMEDIATE (RFC 9867). */
    bool ppk_early; /* both said USE_PPK_INT */
    bool ppk_offering; /* it stands in the present exchange */
    bool ppk_early_done; /* it was offered, and taken or not */
    bool ppk_differs; /* responder: there are some of the names that were offered */
    const struct ikev2_ppk *ppk_chosen; /* NULL: none */
    struct ikev2_ppk *ppk_copy; /* responder: a block */
    struct slice ppk_offered; /* responder: a block, the first name that was not taken */
    struct slice plain_auth; /* initiator: a block, our AUTH without it, by signature */
    struct ikev2_failure child_failure;
    uint16_t child_notify; /* why the first child is refused, 0 it is not */
};

/* What only some features keep while the machine lives. It is made when the first of them has
 * something to keep, so that a plain IKE SA pays for a pointer alone; each feature has a paragraph
 * of its own, zero means that it keeps nothing, and what it points to goes in ikev2_extra_end(). */
struct ikev2_extra {
    /* MOBIKE (RFC 4555). */
    struct ikev2_mobility *mobility; /* NULL: nobody moves, and the peer has one address */
    /* Authentication anew (RFC 7296 2.8.3, RFC 4478). */
    uint64_t reauthenticate_ms; /* when it is begun; 0 never */
    uint64_t proven_until_ms; /* then it is over; 0 never */
    /* Quick crash detection (RFC 6290). */
    const uint8_t *crash_secret; /* the gateway's; NULL: we make no tokens */
    uint64_t crash_spi; /* ours of the IKE SA for which the peer's token is; 0 none */
    uint8_t crash_hash[32]; /* of that token */
    uint8_t crash_next_hash[32]; /* of the one for the IKE SA that we are making by rekeying */
    bool crash_has_next;
    /* Redirect (RFC 5685). */
    struct ikev2_redirect *redirect; /* a block: to be said to the peer; NULL nothing */
    bool crash_due; /* the peer has no token of ours for the current IKE SA */
    /* How often the peer was followed (RFC 7296 2.23). */
    uint64_t follow_ms;
    uint64_t follow_again_ms; /* when it is looked again; 0: nothing was refused */
    uint32_t follow_refused;
};

struct ikev2_pending {
    const struct ikev2_child_policy *policy;
    struct ikev2_packet packet; /* not set: no packet */
    uint64_t at_ms;
    uint8_t retries;
};

struct ikev2_sa {
    struct random_source *random;
    const struct ikev2_policy *policy; /* NULL until a responder knows who asks */
    const struct ikev2_responder_policy *responder; /* NULL in an initiator and after IKE_AUTH */
    enum ikev2_state state;
    bool initiator; /* of the first IKE SA */
    bool established;
    bool nat_local, nat_peer, nat_supported;
    bool udp_agreed; /* both sides prefer ESP in UDP; what replaces this IKE SA inherits it */
    bool fragmentation;
    bool liveness_wanted : 1;
    bool peer_redirects : 1; /* he goes to another gateway when he is told to (RFC 5685) */
    bool mobile; /* both sides can move (RFC 4555) */
    uint8_t ppk; /* enum ikev2_ppk_use */
    bool nat_asked; /* the peer's NAT is only his wish for UDP */
    uint8_t quirks; /* enum ikev2_quirk */
    uint16_t post_quantum; /* the group in whose secret all keys have their root; 0 none */
    uint16_t probe_wanted; /* octets of the IP packet; 0 none */
    uint16_t fragment_bytes;
    struct endpoint local, peer;
    /* Proven. Kept in a block of its length: most are far shorter than the longest allowed. */
    uint8_t peer_id_type;
    uint8_t rekey_retries;
    struct slice peer_id_data;
    struct ikev2_handshake *handshake;
    struct ikev2_extra *extra; /* NULL until something is to be kept; see ikev2_extra() */
    struct ikev2_ike *ikes;
    struct ikev2_ike *current;
    struct ikev2_child *children;
    size_t child_count;
    size_t pending_count;
    size_t pending_capacity;
    struct ikev2_pending *pending; /* children to be made */
    uint64_t heard_ms; /* anything authentic from the peer */
    uint32_t next_question;
    void *buried;
};

/* Type 0 before it is proven. */
struct ike_identity ikev2_peer_id(const struct ikev2_sa *sa);

/* Whether a child is asked for without a key exchange of its own, though the policy has some. */
MUST_USE bool ikev2_quirk_without_group(const struct ikev2_sa *sa,
                                        const struct ikev2_child_policy *policy);
uint64_t ikev2_quirk_rekey_ms(const struct ikev2_sa *sa, uint64_t rekey_ms);

/* The beginning and the end of every event. */
struct ikev2_turn ikev2_turn_begin(struct ikev2_sa *sa, uint64_t now_ms,
                                   struct ikev2_actions *actions);
void ikev2_turn_finish(struct ikev2_turn *t);

uint32_t ikev2_question(struct ikev2_sa *sa);
uint64_t ikev2_earlier(uint64_t a, uint64_t b);
/* 80 to 95 % of a lifetime; whoever asked for the SA rekeys it first (RFC 7296 2.8.1). */
uint64_t ikev2_jittered(struct ikev2_sa *sa, uint64_t now_ms, uint64_t lifetime_ms, bool initiator);
uint64_t ikev2_after(uint64_t now_ms, uint64_t wait_ms);
uint64_t ikev2_retry_ms(struct ikev2_sa *sa, uint64_t now_ms, unsigned retries);
/* Adds a child to be made later; false when there are too many. `packet` NULL: no packet. */
MUST_USE bool ikev2_pend(struct ikev2_sa *sa, const struct ikev2_child_policy *policy,
                         const struct ikev2_packet *packet, uint64_t at_ms, uint8_t retries);
void ikev2_pending_remove(struct ikev2_sa *sa, size_t index);
/* There is such a child, or one is being made: one that carries the packet, or when that is NULL or
 * not set, any. */
MUST_USE bool ikev2_child_is_there(const struct ikev2_sa *sa,
                                   const struct ikev2_child_policy *policy,
                                   const struct ikev2_packet *packet);
/* It is over: FAILED before both were authenticated, CLOSED after. Says nothing on the wire. */
void ikev2_over(struct ikev2_turn *t, const struct ikev2_failure *failure);
void ikev2_over_for(struct ikev2_turn *t, enum ikev2_failure_reason reason, uint8_t exchange,
                    uint16_t notify, const char *detail);
/* The same after a Delete for the current IKE SA, sent once. */
void ikev2_over_with_delete(struct ikev2_turn *t, const struct ikev2_failure *failure);
/* All that only the handshake needed goes. */
void ikev2_handshake_end(struct ikev2_turn *t);

/* Made at the first call, all zero; NULL: no memory. Who only looks reads sa->extra. */
MUST_USE struct ikev2_extra *ikev2_extra(struct ikev2_sa *sa);
/* Wiped, with what it points to, when the next event comes. */
void ikev2_extra_end(struct ikev2_sa *sa);

/* A key exchange of the handshake; the answer comes to ikev2_init_answer() or
 * ikev2_intermediate_answer(). */
void ikev2_handshake_ask_key_exchange(struct ikev2_turn *t, uint16_t group,
                                      const struct key_pair *pair, struct slice peer_public);
void ikev2_init_start(struct ikev2_turn *t);
/* A request of the handshake was sent so often again. */
void ikev2_init_sink(struct ikev2_sa *sa, unsigned again);
void ikev2_init_receive(struct ikev2_turn *t, const struct ikev2_header *header,
                        struct slice message, const struct endpoint *local,
                        const struct endpoint *peer);
void ikev2_init_answer(struct ikev2_turn *t, bool ok, struct key_pair *pair, struct secret *shared);
/* The request was given up, or a refusal was not contradicted in time. */
void ikev2_init_give_up(struct ikev2_turn *t);

/* follow.c */
MUST_USE bool ikev2_follow_is_allowed(struct ikev2_turn *t);
uint64_t ikev2_follow_due_ms(const struct ikev2_sa *sa);
void ikev2_follow_time(struct ikev2_turn *t);

/* What RFC 7296 2.23 wants hashed of our endpoints. */
void ikev2_init_natd_hashes(struct ikev2_sa *sa, uint64_t spi_i, uint64_t spi_r, bool force,
                            uint8_t source[NATD_HASH_BYTES], uint8_t destination[NATD_HASH_BYTES]);
void ikev2_init_read_natd(struct natd *natd, const struct ikev2_message *m,
                          const struct endpoint *local, const struct endpoint *peer);
void ikev2_init_take_natd(struct ikev2_sa *sa);
void ikev2_init_float(struct ikev2_sa *sa);
/* There is a port to float to: a peer at a port of its own has only that one. */
MUST_USE bool ikev2_init_can_float(const struct ikev2_sa *sa);
struct slice ikev2_init_prefers_udp(void);

/* ---- resumption ---- */

/* Initiator, in the place of IKE_SA_INIT. */
void ikev2_resume_send(struct ikev2_turn *t);
void ikev2_resume_response(struct ikev2_turn *t, struct ikev2_message *m, struct slice message,
                           const struct endpoint *local, const struct endpoint *peer);
/* Responder: the first message, of which NAT detection was read already. */
void ikev2_resume_request(struct ikev2_turn *t, const struct ikev2_message *m);
/* IKE_AUTH: our AUTH, and the peer's. */
MUST_USE bool ikev2_resume_own_auth(struct ikev2_sa *sa, const struct ikev2_auth_octets *octets,
                                    struct ikev2_outgoing *o);
MUST_USE bool ikev2_resume_auth_is_right(struct ikev2_sa *sa,
                                         const struct ikev2_auth_octets *octets,
                                         const struct ikev2_auth_payload *auth);
/* Whether the ticket is for this peer, as he is configured now. */
MUST_USE bool ikev2_resume_fits(const struct ikev2_handshake *h, const struct ikev2_policy *policy);
/* A ticket for who asks for one; the answer for who gets none. */
void ikev2_resume_out_ticket(struct ikev2_turn *t, const struct ikev2_message *m,
                             struct ikev2_outgoing *o);
void ikev2_resume_take_ticket(struct ikev2_turn *t, const struct ikev2_message *m,
                              const struct ike_identity *peer_id);
void ikev2_resume_end(struct ikev2_turn *t, struct ikev2_handshake *h);

/* Initiator: the keys of IKE_SA_INIT are there; what else was agreed about keys comes before
 * IKE_AUTH. */
void ikev2_intermediate_begin(struct ikev2_turn *t);
void ikev2_intermediate_answer(struct ikev2_turn *t, bool ok, struct key_pair *pair,
                               struct secret *shared);
void ikev2_intermediate_request(struct ikev2_turn *t, struct ikev2_ike *ike,
                                const struct ikev2_message *m);
void ikev2_intermediate_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                                 const struct ikev2_message *m);
void ikev2_intermediate_answer_ppk(struct ikev2_turn *t, const struct ikev2_ppk *const *known,
                                   size_t count);
/* Responder: whether this exchange may come now. */
MUST_USE bool ikev2_intermediate_may_come(const struct ikev2_handshake *h, uint8_t exchange);
/* The peer's message, kept while somebody is asked about it; false: no memory. */
MUST_USE bool ikev2_handshake_keep(struct ikev2_handshake *h, const struct ikev2_message *m);
/* NULL: no memory. */
MUST_USE struct ikev2_message *ikev2_handshake_kept(struct ikev2_sa *sa);
/* All additional key exchanges that were agreed are done. */
MUST_USE bool ikev2_intermediate_is_done(const struct ikev2_handshake *h);
/* The strongest of the key exchanges that were done which is post-quantum; 0. */
uint16_t ikev2_intermediate_post_quantum(const struct ikev2_handshake *h);
/* RFC 9242 3.3.2: what is signed behind the identity; empty without IKE_INTERMEDIATE. */
#define IKEV2_INT_AUTH_BYTES_MAX (2 * PRF_OUTPUT_BYTES_MAX + 4)
struct slice ikev2_intermediate_signed(const struct ikev2_handshake *h,
                                       uint8_t out[IKEV2_INT_AUTH_BYTES_MAX]);

/* Initiator: the keys are there. */
void ikev2_auth_begin(struct ikev2_turn *t);
void ikev2_auth_continue(struct ikev2_turn *t, bool ok);
void ikev2_auth_request(struct ikev2_turn *t, struct ikev2_ike *ike, const struct ikev2_message *m);
void ikev2_auth_response(struct ikev2_turn *t, struct ikev2_ike *ike,
                         const struct ikev2_message *m);
void ikev2_auth_answer_peer(struct ikev2_turn *t, const struct ikev2_policy *policy);
void ikev2_auth_answer_proof(struct ikev2_turn *t, struct ikev2_proof *proof);

/* ---- post-quantum preshared keys ---- */

/* Whether it belongs into the present message of IKE_INTERMEDIATE, which may have a key exchange.
 */
MUST_USE bool ikev2_ppk_is_due(const struct ikev2_handshake *h, bool with_key_exchange);
/* The exchange is over, which had no key exchange when `alone`: what was chosen goes into all keys.
 * False: no memory. */
MUST_USE bool ikev2_ppk_apply(struct ikev2_sa *sa, bool alone);
/* Initiator. The answer: false: there is none, and one is required. */
void ikev2_ppk_out_offer(const struct ikev2_sa *sa, struct ikev2_outgoing *o);
MUST_USE bool ikev2_ppk_read_answer(struct ikev2_sa *sa, const struct ikev2_message *m);
/* Responder: false: none is offered. */
MUST_USE bool ikev2_ppk_ask(struct ikev2_turn *t, const struct ikev2_message *m);
/* False: no memory. */
MUST_USE bool ikev2_ppk_answered(struct ikev2_sa *sa, const struct ikev2_message *m,
                                 const struct ikev2_ppk *const *known, size_t count);
/* Initiator, before IKE_AUTH; false: no memory. */
MUST_USE bool ikev2_ppk_begin(struct ikev2_sa *sa);
/* Initiator: the request also carries AUTH as it is without a PPK. */
MUST_USE bool ikev2_ppk_needs_plain(const struct ikev2_sa *sa);
void ikev2_ppk_out_request(const struct ikev2_sa *sa, struct slice plain_auth,
                           struct ikev2_outgoing *o);
/* Initiator, before AUTH of the response is looked at; false: what is wrong is in `failure`. */
MUST_USE bool ikev2_ppk_read_response(struct ikev2_sa *sa, const struct ikev2_message *m,
                                      struct ikev2_failure *failure);
/* Responder: which of its keys the peer proves himself with. `policy` NULL: nobody is known. False:
 * no memory. */
MUST_USE bool ikev2_ppk_choose(struct ikev2_sa *sa, const struct ikev2_policy *policy,
                               const struct ikev2_message *m);
/* Responder: what of the request is the peer's AUTH. */
void ikev2_ppk_take_auth(const struct ikev2_handshake *h, const struct ikev2_message *m,
                         struct ikev2_auth_payload *auth);
/* The name of the PPK that the peer offered; empty: none. */
struct slice ikev2_ppk_named(const struct ikev2_handshake *h, const struct ikev2_message *m);
/* Responder: whether it can be known if a peer who is refused because of a PPK is himself. */
MUST_USE bool ikev2_ppk_is_checked(const struct ikev2_handshake *h, const struct ikev2_message *m);
/* Ours, which may be NULL, and the peer's name of his, which may be empty. */
void ikev2_ppk_failure(const struct ikev2_ppk *ppk, enum ikev2_failure_reason reason,
                       uint8_t exchange, struct slice named, struct ikev2_failure *failure);

/* ---- authentication anew ---- */

/* Both sides are authenticated. */
void ikev2_reauthenticate_plan(struct ikev2_turn *t);
/* AUTH_LIFETIME, as the policy says. */
void ikev2_reauthenticate_out(const struct ikev2_policy *policy, struct ikev2_outgoing *o);
void ikev2_reauthenticate_read(struct ikev2_turn *t, const struct ikev2_message *m);
void ikev2_reauthenticate_time(struct ikev2_turn *t);
uint64_t ikev2_reauthenticate_deadline_ms(const struct ikev2_sa *sa);

/* ---- redirect ---- */

#define IKEV2_REDIRECT_BYTES_MAX (2 + 255 + IKEV2_NONCE_BYTES_MAX)

/* What our first message says about it: the type, and the data of that notify; 0: nothing. */
uint16_t ikev2_redirect_supported(const struct ikev2_sa *sa, struct writer *w);
/* A response in clear. */
enum ikev2_redirect_verdict {
    IKEV2_REDIRECT_NONE, /* it is about something else */
    IKEV2_REDIRECT_IGNORED,
    IKEV2_REDIRECT_REFUSED, /* failure */
    IKEV2_REDIRECT_FOLLOWED, /* it was told where to, and it is over */
};
MUST_USE enum ikev2_redirect_verdict ikev2_redirect_init(struct ikev2_turn *t,
                                                         const struct ikev2_message *m,
                                                         struct ikev2_failure *failure);
/* The response to IKE_AUTH of a peer who proved who he is. True: the same. */
MUST_USE bool ikev2_redirect_auth(struct ikev2_turn *t, const struct ikev2_message *m);
void ikev2_redirect_informational(struct ikev2_turn *t, const struct ikev2_message *m);
void ikev2_redirect_hear(struct ikev2_sa *sa, const struct ikev2_message *m);
/* Octets of the notify in the answer to the first message; 0: he stays. */
size_t ikev2_redirect_at_once(const struct ikev2_sa *sa, uint8_t out[IKEV2_REDIRECT_BYTES_MAX]);
/* The response to IKE_AUTH, which has our AUTH. False: he stays. */
MUST_USE bool ikev2_redirect_respond(struct ikev2_turn *t, struct ikev2_ike *ike,
                                     struct ikev2_outgoing *o);
/* He has heard it: this is what he says; NULL: nothing, and it was long enough. */
void ikev2_redirect_gone(struct ikev2_turn *t, struct ikev2_ike *ike,
                         const struct ikev2_message *m);
/* In a question of liveness, when it is due. */
void ikev2_redirect_out_due(struct ikev2_sa *sa, const struct ikev2_ike *ike,
                            struct ikev2_outgoing *o);
MUST_USE bool ikev2_redirect_is_due(const struct ikev2_sa *sa);

/* ---- quick crash detection ---- */

/* Our token for this IKE SA, if we make any. */
void ikev2_crash_out(const struct ikev2_sa *sa, const struct ikev2_ike *ike,
                     struct ikev2_outgoing *o);
/* The peer's, in what came under the protection of this IKE SA. */
void ikev2_crash_read(struct ikev2_sa *sa, const struct ikev2_ike *ike,
                      const struct ikev2_message *m);
/* The same in the last response to a rekeying of the IKE SA by us: it is for the next one. */
void ikev2_crash_read_next(struct ikev2_sa *sa, const struct ikev2_message *m);
/* This one is the current one now. */
void ikev2_crash_rekeyed(struct ikev2_sa *sa, const struct ikev2_ike *ike);
/* The same in a question of liveness, when it is due. */
void ikev2_crash_out_due(struct ikev2_sa *sa, const struct ikev2_ike *ike,
                         struct ikev2_outgoing *o);
MUST_USE bool ikev2_crash_is_due(const struct ikev2_sa *sa);

/* ---- certificates ---- */

#define IKEV2_HASHES_BYTES_MAX 16
#define IKEV2_METHODS_BYTES_MAX 512

/* What the peer's message says about signatures that he takes. */
void ikev2_certify_read(struct ikev2_handshake *h, const struct ikev2_message *m);
/* Data of SIGNATURE_HASH_ALGORITHMS and of SUPPORTED_AUTH_METHODS; give their lengths. */
size_t ikev2_certify_hashes(bool legacy, uint8_t out[IKEV2_HASHES_BYTES_MAX]);
size_t ikev2_certify_methods(bool shared_key, uint8_t out[IKEV2_METHODS_BYTES_MAX]);
MUST_USE bool ikev2_certify_is_signature(uint8_t method);
/* False: it is over, and that was told. */
MUST_USE bool ikev2_certify_ask_sign(struct ikev2_turn *t, const struct ikev2_policy *policy,
                                     const struct ikev2_auth_octets *octets);
/* h->own_auth, out of the answer; h->plain_auth when that is there. */
MUST_USE bool ikev2_certify_take_signature(struct ikev2_turn *t, const struct ikev2_proof *proof);
/* NULL: it was asked; else what is wrong with the message. `policy` NULL: nobody is known, and it
 * is asked all the same. */
/* The question alone, owned by the caller; a sentence when it cannot be put. */
MUST_USE const char *ikev2_certify_question(const struct ikev2_policy *policy,
                                            const struct ikev2_message *m,
                                            const struct ikev2_auth_octets *octets,
                                            const struct ikev2_auth_payload *auth,
                                            const struct ike_identity *said,
                                            struct ikev2_proof **out);
MUST_USE const char *ikev2_certify_ask_verify(struct ikev2_turn *t,
                                              const struct ikev2_policy *policy,
                                              const struct ikev2_message *m,
                                              const struct ikev2_auth_octets *octets,
                                              const struct ikev2_auth_payload *auth,
                                              const struct ike_identity *said);
void ikev2_certify_failure(const struct ikev2_proof *proof, struct ikev2_failure *failure);
void ikev2_certify_out_certificates(struct ikev2_turn *t, struct ikev2_outgoing *o,
                                    const struct ikev2_certificates *c);
/* What is known about the peer's certificate is wanted along with it (RFC 4806 3.1). */
void ikev2_certify_write_status_request(struct ikev2_chain *chain, struct writer *w);
void ikev2_certify_write_request(struct ikev2_chain *chain, struct writer *w,
                                 struct slice authorities);
/* CERTREQ and SUPPORTED_AUTH_METHODS. */
void ikev2_certify_out_request(struct ikev2_outgoing *o, const struct ikev2_certificates *c);

/* ---- words ---- */

void ikev2_failure_set(struct ikev2_failure *f, enum ikev2_failure_reason reason, uint8_t exchange,
                       uint16_t notify, const char *detail);
void ikev2_failure_proposals(struct ikev2_failure *f, const struct proposals *const *ours,
                             size_t our_count, const struct ikev2_sa_payload *theirs,
                             uint8_t protocol);
void ikev2_failure_identities(struct ikev2_failure *f, const struct ike_identity *ours,
                              const struct ike_identity *theirs);
/* No post-quantum key exchange. `suite` NULL: not even that was agreed. */
void ikev2_failure_not_post_quantum(struct ikev2_failure *f, uint8_t exchange, uint16_t notify,
                                    const struct suite *suite);
/* What is ours to reach, and what theirs: 10.1.0.0/16 === 10.2.0.0/16. */
void ikev2_failure_own_selectors(struct ikev2_failure *f, const struct selector *local,
                                 size_t local_count, const struct selector *remote,
                                 size_t remote_count);
void ikev2_failure_peer_selectors(struct ikev2_failure *f, const struct selector *local,
                                  size_t local_count, const struct selector *remote,
                                  size_t remote_count);

#endif
