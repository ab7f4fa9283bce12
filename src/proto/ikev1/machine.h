/*
 * The inside of the IKEv1 machine: what its files share and nobody else sees.
 *
 *     sa.c             how it begins and ends, answers, orders, status
 *     receive.c        where a message goes
 *     schedule.c       what is next, and when
 *     turn.c           one event: memory that ends with it, actions
 *     message.c        a chain of payloads as one value; a message being written
 *     isakmp.c         one ISAKMP SA: sealing, opening, what is sent again
 *     fragments.c      messages of phase 1 in several packets
 *     suites.c         which algorithms both sides use in phase 1
 *     phase2.c         the same in phase 2, and which protocols together
 *     natt.c           vendor IDs, and which way through a NAT
 *     phase1.c         what Main Mode and Aggressive Mode share
 *     signatures.c     proof by certificate and signature in both
 *     certificates.c   those that a peer sends
 *     encryption.c     proof by RSA encryption in both
 *     main_mode.c      Main Mode
 *     aggressive.c     Aggressive Mode
 *     quick.c          Quick Mode: its life; quick_messages.c what is said, quick_initiator.c and
 *                      quick_responder.c what is heard
 *     traffic.c        identities as selectors
 *     transaction.c    Transaction exchanges: whose answer is whose, and what is sent again
 *     xauth.c          logins, and the methods of phase 1 that announce them
 *     settings.c       what a gateway gives to a client
 *     child.c          the life of a child
 *     informational.c  notifies, Delete, R-U-THERE
 *     new_group.c      New Group Mode
 *     failure.c        what is said when something goes wrong
 *
 * A `struct ikev1_turn` is one event: every function that may act gets it.
 */
#ifndef SEKISHO_PROTO_IKEV1_MACHINE_H
#define SEKISHO_PROTO_IKEV1_MACHINE_H

#include "proto/ike/proposal.h"
#include "proto/ike/retransmit.h"
#include "proto/ike/selectors.h"
#include "proto/ikev1/keys.h"
#include "proto/ikev1/sa.h"

#define IKEV1_VERSION_1_0 0x10
#define IKEV1_PORT 500
#define IKEV1_NAT_PORT 4500
#define IKEV1_CHILDREN_MAX 96
#define IKEV1_PENDING_MAX 96
#define IKEV1_IKES_MAX 8 /* the current one, those on their way out, and one that is being made */
#define IKEV1_QUICKS_MAX 48 /* at once, with those that only answer what comes again */
#define IKEV1_OWN_QUICKS_MAX 8 /* that we have open at once */
#define IKEV1_OUTGOING_BYTES_MAX 16384
#define IKEV1_NONCE_BYTES 32
#define IKEV1_SEEN_MAX 1024 /* message IDs of either side that are remembered */
/* So many, and the ISAKMP SA is renewed, by who began it, or else by the other side. */
#define IKEV1_SEEN_RENEW 896
#define IKEV1_SEEN_RENEW_LATER 960
#define IKEV1_PHASE1_TRANSFORMS_MAX 40
#define IKEV1_PHASE2_TRANSFORMS_MAX 40

#define IKEV1_FRAGMENTS_OUT_MAX 12
#define IKEV1_FRAGMENTS_IN_MAX 32

#define IKEV1_ASK_MS 30000 /* a question that nobody answers ends its exchange */
#define IKEV1_AGAIN_MS 200 /* an answer is not sent again more often */
#define IKEV1_REFUSED_MS                                                                           \
    5000 /* how long a better answer is waited for than one that is not                            \
            authentic */
#define IKEV1_LINGER_MS 60000 /* how long the last message of an exchange can be had again */
#define IKEV1_DROP_MS 30000 /* until we delete what was replaced, when nobody else does */
#define IKEV1_USE_MS                                                                               \
    1000 /* until a child that replaces another is used though nothing was heard                   \
            through it: the peer has our last message by then */
#define IKEV1_RETRY_MS 2000 /* the first wait after a refusal; it doubles */
#define IKEV1_RETRY_MAX_MS 60000
#define IKEV1_RETRIES_MAX 8
#define IKEV1_SAID_PHASE1_S 86400 /* lifetimes where we have no limit */
#define IKEV1_SAID_PHASE2_S 28800
#define IKEV1_LOGIN_MS 120000 /* for all rounds of a login: somebody types */
#define IKEV1_LOGIN_UNASKED_MS 60000 /* until the first question */
#define IKEV1_LOGIN_RENEWED_MS                                                                     \
    5000 /* the same where the user has logged in before: not everybody asks again */
#define IKEV1_LOGIN_END_MS 5000 /* how long the ACK to a refusal is waited for */
#define IKEV1_DELETED_MAX 4
#define IKEV1_LOGIN_ROUNDS_MAX 8
/* Of message 2 of Aggressive Mode, to whom nothing is known of but an address. */
#define IKEV1_REPEATS_MAX 5
#define IKEV1_SETTINGS_MS 60000
#define IKEV1_TRANSACTIONS_MAX 8 /* at once, with those that only answer what comes again */
#define IKEV1_IDLE_MS                                                                              \
    120000 /* without an ISAKMP SA and without a way to one, children whose peer is                \
              silent for so long are over; at least, else four times liveness */

/* ---- one event ---- */

struct ikev1_turn {
    struct ikev1_sa *sa;
    uint64_t now_ms;
    struct ikev1_actions *actions;
};

/* Zeroed memory that an action may point to even after it was buried: it goes when the next event
 * comes, wiped. */
MUST_USE void *ikev1_block_new(size_t bytes);
void ikev1_block_bury(struct ikev1_sa *sa, void *block); /* NULL is allowed */
void ikev1_turn_clear(struct ikev1_sa *sa);
/* Made and buried at once. */
MUST_USE void *ikev1_turn_memory(struct ikev1_sa *sa, size_t bytes);
/* A block with these octets that lives until it is buried; false: no memory. */
MUST_USE bool ikev1_block_copy(struct slice bytes, struct slice *out);
/* The same where octets of a message may stand already that came before and led to nothing; they
 * may be what is copied. */
MUST_USE bool ikev1_block_replace(struct ikev1_sa *sa, struct slice bytes, struct slice *out);
/* Buries the block behind the slice, and empties it. */
void ikev1_block_drop(struct ikev1_sa *sa, struct slice *block);

struct ikev1_action *ikev1_act(struct ikev1_turn *t, enum ikev1_action_kind kind);
void ikev1_trace(struct ikev1_turn *t, bool sent, bool again, const struct ikev1_header *header,
                 struct slice chain);

uint64_t ikev1_earlier(uint64_t a, uint64_t b);
uint64_t ikev1_after(uint64_t now_ms, uint64_t wait_ms);
/* 80 to 95 % of a lifetime; whoever asked for the SA rekeys it first. */
uint64_t ikev1_jittered(struct ikev1_sa *sa, uint64_t now_ms, uint64_t lifetime_ms, bool initiator);
uint64_t ikev1_retry_ms(struct ikev1_sa *sa, uint64_t now_ms, unsigned retries);
uint32_t ikev1_question(struct ikev1_sa *sa);

/* ---- messages ---- */

struct ikev1_nonce {
    uint16_t length;
    uint8_t data[IKEV1_NONCE_BYTES_MAX];
};

/* What stood in a message. Borrows. */
struct ikev1_message {
    struct ikev1_header header;
    struct slice whole; /* as it came */
    struct slice chain; /* in clear, without padding */
    struct endpoint local, peer; /* where it came in and from */
    size_t count;
    struct ikev1_payload list[IKEV1_PAYLOADS_MAX];
};

/* False: not a chain of payloads, which is what a wrong key makes of a message. header is set
 * before. */
MUST_USE bool ikev1_message_read(struct ikev1_message *m, struct slice payloads);
/* The body of the payload of this type, counted from 0; false: there are not so many. */
MUST_USE bool ikev1_message_find(const struct ikev1_message *m, uint8_t type, size_t index,
                                 struct slice *body);
/* Exactly one of the type. */
MUST_USE bool ikev1_message_only(const struct ikev1_message *m, uint8_t type, struct slice *body);
/* The first notify of the type. */
MUST_USE bool ikev1_message_notify(const struct ikev1_message *m, uint16_t type,
                                   struct ikev1_notify_payload *out);
MUST_USE bool ikev1_message_nonce(const struct ikev1_message *m, struct ikev1_nonce *out);
/* What stands behind the first payload, which is a HASH: what that covers. */
struct slice ikev1_message_behind_hash(const struct ikev1_message *m);
void ikev1_nonce_make(struct random_source *random, struct ikev1_nonce *out);
struct slice ikev1_nonce_slice(const struct ikev1_nonce *nonce);

/* A whole message: the header stands before the chain. */
struct ikev1_outgoing {
    struct ikev1_header header;
    uint8_t first;
    struct writer w;
    struct ikev1_chain chain;
    size_t hash_offset; /* of the HASH payload's body that is filled in at the end; 0 none */
    uint8_t bytes[IKEV1_OUTGOING_BYTES_MAX];
};
struct ikev1_ike;
void ikev1_out_begin(struct ikev1_outgoing *o, const struct ikev1_ike *ike, uint8_t exchange,
                     uint32_t message_id);
void ikev1_out_sa(struct ikev1_outgoing *o, const struct ikev1_sa_payload *sa);
void ikev1_out_notify(struct ikev1_outgoing *o, uint8_t protocol, uint16_t type, struct slice spi,
                      struct slice data);
/* Room for a hash that covers what is written behind it. */
void ikev1_out_hash_room(struct ikev1_outgoing *o, const struct ikev1_ike *ike);
/* Which chain stands behind that room. */
struct slice ikev1_out_behind_hash(const struct ikev1_outgoing *o);
void ikev1_out_fill_hash(struct ikev1_outgoing *o, const struct ikev1_hash_value *hash);

/* ---- suites.c, phase2.c ---- */

enum ikev1_who {
    IKEV1_NOBODY,
    IKEV1_INITIATOR,
    IKEV1_RESPONDER,
};

struct ikev1_phase1_choice {
    struct suite suite;
    uint16_t auth_method; /* of RFC 2409 or RFC 4754: without what says that a login follows */
    enum ikev1_who logs_in;
    bool hybrid; /* who logs in proves nothing in phase 1 */
    uint64_t life_seconds, life_kilobytes; /* as the transform says; 0 nothing */
    uint8_t proposal_number;
    struct ikev1_wire_transform transform;
};

/* `method` is what is said on the wire. Only those of `group`, or of any with 0. False: nothing in
 * the policy is for IKEv1. */
MUST_USE bool ikev1_phase1_offer(const struct proposals *policy, uint16_t method, uint16_t group,
                                 uint64_t lifetime_ms, struct ikev1_sa_payload *out);
/* The strongest that both allow: IKEv1 proves not what was offered, so the order of the peer, which
 * anybody can change, says nothing. */
MUST_USE bool ikev1_phase1_choose(const struct ikev1_sa_payload *offer,
                                  const struct ikev1_responder_policy *policy,
                                  struct ikev1_phase1_choice *out);
/* Whether any transform has a method that some site has. */
MUST_USE bool ikev1_phase1_has_method(const struct ikev1_sa_payload *offer,
                                      const struct ikev1_responder_policy *policy);
void ikev1_phase1_answer(const struct ikev1_phase1_choice *choice, struct ikev1_sa_payload *out);
/* One transform out of what was offered. */
MUST_USE bool ikev1_phase1_verify(const struct ikev1_sa_payload *answer,
                                  const struct proposals *policy, uint16_t method, uint16_t group,
                                  struct ikev1_phase1_choice *out);
MUST_USE bool ikev1_phase1_allows(const struct proposals *policy, const struct suite *suite);
/* The first group that IKEv1 can say. */
uint16_t ikev1_phase1_first_group(const struct proposals *policy);

/* Protocols that are taken together (RFC 2408 4.2): ESP or AH, AH around ESP, IPComp inside ESP. */
#define IKEV1_PARTS_MAX 3

struct ikev1_part {
    uint32_t spi; /* of who wrote it; of IPComp the CPI */
    struct suite suite; /* key_exchange: of PFS */
    uint16_t encapsulation; /* as it was written; 0 nothing */
    struct ikev1_wire_transform transform;
};

struct ikev1_phase2_choice {
    /* Of ESP, or of AH where that is alone. */
    struct suite suite;
    uint8_t protocol;
    uint32_t spi;
    uint16_t encapsulation;
    struct ikev1_wire_transform transform;
    uint64_t life_seconds, life_kilobytes; /* the least that any part says; 0 nothing */
    bool has_around, compress;
    struct ikev1_part around; /* AH around ESP */
    struct ikev1_part compression; /* IPComp */
    uint8_t proposal_number;
    uint8_t part_count;
    uint8_t parts[IKEV1_PARTS_MAX]; /* protocols, in the order in which they stood */
};

/* What we say of ours in each proposal. Written values borrow it. */
struct ikev1_spis {
    uint8_t main[4], around[4], compression[2];
};

/* How ESP or AH is to be carried. */
struct ikev1_carriage {
    bool transport_mode;
    bool udp;
    bool draft; /* numbers of drafts 02 and 03 */
};
uint16_t ikev1_encapsulation_of(const struct ikev1_carriage *carriage);
/* False: an unknown number. */
MUST_USE bool ikev1_carriage_of(uint16_t encapsulation, struct ikev1_carriage *out);

/* What `out` holds borrows `spis`. */
MUST_USE bool ikev1_phase2_offer(const struct ikev1_child_policy *policy, uint16_t group,
                                 const struct ikev1_carriage *carriage,
                                 const struct ikev1_spis *spis, struct ikev1_sa_payload *out);
/* `group`: of PFS; 0 none: what the KE payload is made for by the group of each transform. */
MUST_USE bool ikev1_phase2_choose(const struct ikev1_sa_payload *offer,
                                  const struct ikev1_child_policy *policy, bool has_ke,
                                  const struct ikev1_carriage *wanted, bool either_mode,
                                  struct ikev1_phase2_choice *out);
void ikev1_phase2_answer(const struct ikev1_phase2_choice *choice, const struct ikev1_spis *spis,
                         struct ikev1_sa_payload *out);
MUST_USE bool ikev1_phase2_verify(struct ikev1_sa_payload *answer,
                                  const struct ikev1_child_policy *policy, uint16_t group,
                                  const struct ikev1_carriage *carriage,
                                  struct ikev1_phase2_choice *out);
#define IKEV1_GROUPS_TRIED_MAX 8
/* What may be asked for, in the order of the policy: groups of PFS, and 0 (none) where the policy
 * has that; how many. */
MUST_USE size_t ikev1_phase2_groups(const struct ikev1_child_policy *policy, uint16_t *groups,
                                    size_t capacity);
/* PROTOCOL_ESP or PROTOCOL_AH. */
uint8_t ikev1_child_policy_protocol(const struct ikev1_child_policy *policy);
void ikev1_describe_phase1_offer(const struct ikev1_sa_payload *offer, struct text *out);
void ikev1_describe_phase2_offer(const struct ikev1_sa_payload *offer, struct text *out);

/* ---- natt.c ---- */

enum ikev1_natt_kind {
    IKEV1_NATT_NONE,
    IKEV1_NATT_DRAFT, /* 02 and 03: other payload and encapsulation numbers */
    IKEV1_NATT_RFC,
};

/* What the peer said that he can, in vendor IDs. */
struct ikev1_abilities {
    enum ikev1_natt_kind natt; /* the best of both sides */
    bool liveness; /* RFC 3706 */
    bool xauth, unity, fragmentation;
};
void ikev1_abilities_read(const struct ikev1_message *m, enum ikev1_natt allowed,
                          struct ikev1_abilities *out);
/* An initiator offers all; a responder says the one way through a NAT that was chosen. */
/* `fragments`: they are taken. */
void ikev1_out_vendors(struct ikev1_outgoing *o, enum ikev1_natt allowed,
                       const struct ikev1_abilities *chosen, bool few, bool fragments);

struct ikev1_natd {
    bool destination_seen, destination_matched; /* ours, as the peer sees it */
    bool source_seen, source_matched; /* his own */
};
void ikev1_out_natd(struct ikev1_outgoing *o, const struct ikev1_ike *ike,
                    const struct suite *suite, enum ikev1_natt_kind kind,
                    const struct endpoint *local, const struct endpoint *peer, bool force);
void ikev1_natd_read(const struct ikev1_message *m, const struct ikev1_ike *ike,
                     const struct suite *suite, enum ikev1_natt_kind kind, struct ikev1_natd *out);
uint8_t ikev1_nat_oa_type(enum ikev1_natt_kind kind);

/* ---- one ISAKMP SA ---- */

/* What we said last, and the message that it answers. */
struct ikev1_reply {
    struct slice sent; /* a block; empty: nothing */
    bool answers;
    uint8_t answered[32]; /* SHA-256 of that message */
    uint64_t sent_ms;
    unsigned again;
};

enum ikev1_ike_phase {
    IKEV1_IKE_HANDSHAKE,
    IKEV1_IKE_LOGIN, /* phase 1 is over, and a login must follow before anything else */
    IKEV1_IKE_LIVE,
    IKEV1_IKE_REPLACED, /* another one is current; the peer may still use it */
    IKEV1_IKE_DELETED, /* what the peer said before that is still heard */
};

struct ikev1_handshake {
    uint8_t awaited; /* number of the message that must come next; 0 none */
    uint8_t sending; /* of the one that is sent when all questions are answered; 0 none */
    uint64_t deadline_ms, ask_deadline_ms;
    uint32_t ask_key_exchange, ask_peer; /* open questions; 0 none */
    struct endpoint local, peer; /* where the peer's last message came in and from */
    uint8_t digest[32]; /* of the message that is being worked on */
    bool certificate_asked; /* the peer sent a CERTREQ */
    bool has_pair;
    struct key_pair pair;
    struct secret shared;
    struct ikev1_nonce nonce_i, nonce_r;
    struct slice sa_i; /* a block: body of the SA payload of the initiator */
    struct slice peer_public; /* a block */
    struct slice own_id; /* a block: the body of our ID payload */
    struct slice message; /* a block: of the peer what is read again after an answer */
    /* Signatures. */
    uint32_t ask_proof; /* an open question; 0 none */
    bool ask_sign; /* to sign, else to verify */
    bool verified; /* the peer's is right */
    struct slice own_proof; /* a block: our signature */
    const char *unusable; /* why his certificates cannot be used; NULL: they can */
    struct ikev1_sealed *sealed; /* a block: RSA encryption; NULL: nothing of it yet */
    const struct ikev1_policy *policy; /* whose it is; NULL: not known yet, or nobody's */
    struct ikev1_phase1_choice choice;
    struct ikev1_iv iv;
    struct ikev1_abilities abilities;
    struct ikev1_natd natd;
    struct ike_identity peer_id;
    bool initial_contact; /* the peer said so */
    bool unreadable; /* what should prove the peer could not be read */
    bool refused; /* by somebody who need not be the peer, or he cannot prove himself */
    uint64_t refused_ms; /* until then a better message is waited for */
    struct ikev1_failure refusal;
    size_t candidate_count;
    const struct ikev1_policy *candidates[IKEV1_CANDIDATES_MAX];
};

/* Of one message, that are here. */
struct ikev1_fragments {
    uint16_t identifier;
    uint8_t last; /* number of the last one; 0 not known yet */
    size_t bytes;
    uint64_t end_ms; /* they are thrown away; NEVER_MS: there are none */
    struct slice part[IKEV1_FRAGMENTS_IN_MAX]; /* blocks */
};

struct ikev1_ike {
    struct ikev1_ike *next;
    uint64_t spi_i, spi_r; /* cookies */
    bool initiator;
    bool aggressive;
    bool told; /* SPI_ADDED was said */
    bool nat_local, nat_peer;
    bool peer_liveness;
    enum ikev1_natt_kind natt;
    enum ikev1_ike_phase phase;
    struct ikev1_keys keys;
    struct ikev1_iv iv; /* the last block of phase 1 */
    struct ikev1_handshake *handshake; /* NULL when it is over */
    struct ikev1_reply reply; /* of phase 1 */
    struct retransmit retransmit; /* of phase 1 */
    uint64_t rekey_ms, expire_ms;
    uint64_t drop_ms; /* REPLACED: when we delete it */
    /* RFC 3706 */
    uint32_t liveness_sequence;
    bool liveness_open;
    uint8_t liveness_again; /* how often this question was repeated */
    struct retransmit liveness;
    bool peer_sequence_known;
    uint32_t peer_sequence;
    uint16_t fragment_bytes; /* of the IP packet; 0: not with this peer */
    uint16_t fragment_id; /* of the newest message that was sent in fragments */
    struct ikev1_fragments fragments;
    uint64_t begun_ms, up_ms; /* when phase 1 began, and when it was through */
    uint32_t begun_serial; /* children up to this one were there when it began */
    struct ikev1_transactions *transactions; /* NULL where neither a login nor settings are */
    uint32_t new_group_id; /* the last group that was refused */
    uint64_t new_group_ms;
    uint16_t seen_count, seen_next;
    uint32_t seen[IKEV1_SEEN_MAX];
};

MUST_USE struct ikev1_ike *ikev1_ike_new(struct ikev1_turn *t, bool initiator, bool aggressive,
                                         uint64_t spi_i, uint64_t spi_r);
/* Everything of it goes, with its exchanges; TELL_SPI_REMOVED. */
/* One side deleted it. Beside another one it stays for a second: what the peer sent before, about
 * children, may come behind. */
void ikev1_ike_deleted(struct ikev1_turn *t, struct ikev1_ike *ike);
void ikev1_ike_forget(struct ikev1_turn *t, struct ikev1_ike *ike);
void ikev1_handshake_end(struct ikev1_turn *t, struct ikev1_ike *ike);
uint64_t ikev1_ike_own_spi(const struct ikev1_ike *ike);
/* The message ID was used by the peer before. */
MUST_USE bool ikev1_ike_has_seen(const struct ikev1_ike *ike, uint32_t message_id);
void ikev1_ike_saw(struct ikev1_ike *ike, uint32_t message_id);
/* No message ID was forgotten yet: one that is not known is new, and not from a recording. */
MUST_USE bool ikev1_ike_knows_all(const struct ikev1_ike *ike);
/* It is live, or was and the peer may still use it. */
MUST_USE bool ikev1_ike_is_usable(const struct ikev1_ike *ike);

/* The message is finished, encrypted when `iv` is there, and sent from `local` to `peer`. `reply`
 * keeps it (NULL: nobody does); `answered`: SHA-256 of what it answers, or NULL. False: no memory.
 */
MUST_USE bool ikev1_send(struct ikev1_turn *t, struct ikev1_outgoing *o,
                         const struct ikev1_keys *keys, struct ikev1_iv *iv,
                         const struct endpoint *local, const struct endpoint *peer,
                         struct ikev1_reply *reply, const uint8_t *answered);
/* A datagram, whole. */
void ikev1_send_bytes(struct ikev1_turn *t, struct slice bytes, const struct endpoint *local,
                      const struct endpoint *peer);
/* False: it needs none, or the peer takes none. */
MUST_USE bool ikev1_send_in_fragments(struct ikev1_turn *t, struct slice message,
                                      const struct endpoint *local, const struct endpoint *peer);
/* A message that is a fragment: true when another message is complete with it. */
MUST_USE bool ikev1_fragment_add(struct ikev1_turn *t, struct ikev1_ike *ike,
                                 const struct ikev1_message *m, struct slice *whole);
void ikev1_fragments_drop(struct ikev1_sa *sa, struct ikev1_ike *ike);
void ikev1_resend(struct ikev1_turn *t, struct ikev1_reply *reply, const struct endpoint *local,
                  const struct endpoint *peer);
/* The same message as the one that `reply` answers: when `digest` is its SHA-256. */
MUST_USE bool ikev1_reply_is_for(const struct ikev1_reply *reply, const uint8_t digest[32]);
/* It came again: the answer is sent again, unless it just was. */
void ikev1_reply_again(struct ikev1_turn *t, struct ikev1_reply *reply,
                       const struct endpoint *local, const struct endpoint *peer);
void ikev1_reply_drop(struct ikev1_sa *sa, struct ikev1_reply *reply);
/* Decrypted under a copy of the IV into memory of the turn, and read. False: unreadable. *iv is the
 * IV behind it. */
MUST_USE bool ikev1_open(struct ikev1_turn *t, const struct ikev1_keys *keys, struct ikev1_iv *iv,
                         struct ikev1_message *m);

/* ---- phase 1 ---- */

/* We begin: a first ISAKMP SA or another one. */
void ikev1_phase1_begin(struct ikev1_turn *t);
void ikev1_phase1_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m);
/* The first message of a peer, in a responder that is new. */
void ikev1_phase1_first(struct ikev1_turn *t, struct ikev1_message *m);
void ikev1_phase1_answer_key_exchange(struct ikev1_turn *t, struct ikev1_ike *ike, bool ok,
                                      struct key_pair *pair, struct secret *shared);
void ikev1_phase1_answer_peer(struct ikev1_turn *t, struct ikev1_ike *ike,
                              const struct ikev1_policy *const *policies, size_t count);
/* An unprotected notify about it. */
void ikev1_phase1_refused(struct ikev1_turn *t, struct ikev1_ike *ike, uint16_t notify);
void ikev1_phase1_time(struct ikev1_turn *t, struct ikev1_ike *ike);
uint64_t ikev1_phase1_deadline_ms(const struct ikev1_ike *ike);

/* It goes no further. When there was an ISAKMP SA before, only the attempt is over. */
void ikev1_phase1_fail(struct ikev1_turn *t, struct ikev1_ike *ike,
                       const struct ikev1_failure *failure);
void ikev1_phase1_fail_for(struct ikev1_turn *t, struct ikev1_ike *ike,
                           enum ikev1_failure_reason reason, uint16_t notify, const char *detail);
/* What nobody proved: told when nothing better comes in time. */
void ikev1_phase1_doubt(struct ikev1_turn *t, struct ikev1_ike *ike,
                        enum ikev1_failure_reason reason, uint16_t notify, const char *detail);
void ikev1_phase1_ask_key_exchange(struct ikev1_turn *t, struct ikev1_ike *ike,
                                   struct slice peer_public);
void ikev1_phase1_ask_peer(struct ikev1_turn *t, struct ikev1_ike *ike);
/* Sends it and waits for `awaited` (0: nothing); initiators send again by the clock. `sealed` with
 * the keys of the ISAKMP SA. */
void ikev1_phase1_send(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o,
                       bool sealed, uint8_t awaited);
/* SA, KE, nonce and ID of the peer; false: it failed, or is waited for something better. */
MUST_USE bool ikev1_phase1_take_offer(struct ikev1_turn *t, struct ikev1_ike *ike,
                                      const struct ikev1_message *m, uint16_t *group_of_ke);
MUST_USE bool ikev1_phase1_take_answer(struct ikev1_turn *t, struct ikev1_ike *ike,
                                       const struct ikev1_message *m, uint16_t group);
MUST_USE bool ikev1_phase1_take_ke(struct ikev1_turn *t, struct ikev1_ike *ike,
                                   const struct ikev1_message *m);
MUST_USE bool ikev1_phase1_read_id(const struct ikev1_message *m, struct ike_identity *id,
                                   struct slice *body);
void ikev1_phase1_out_offer(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_outgoing *o,
                            uint16_t group);
void ikev1_phase1_out_ke(struct ikev1_ike *ike, struct ikev1_outgoing *o);
/* Our ID payload's body, kept in the handshake. */
MUST_USE bool ikev1_phase1_make_id(struct ikev1_ike *ike, const struct ikev1_policy *policy);
/* What HASH_I and HASH_R cover. */
struct ikev1_phase1_words ikev1_phase1_words(const struct ikev1_ike *ike);
/* Keys out of what was exchanged, and of this shared key where there are no signatures. */
MUST_USE bool ikev1_phase1_keys(const struct ikev1_ike *ike, const struct secret *shared_key,
                                struct ikev1_keys *out);
MUST_USE bool ikev1_phase1_start_iv(struct ikev1_ike *ike);
/* He is called as the policy wants it. */
MUST_USE bool ikev1_phase1_is_expected(const struct ikev1_policy *policy,
                                       const struct ike_identity *id);
/* The peer's HASH over his ID under these keys. */
MUST_USE bool ikev1_phase1_proves(const struct ikev1_ike *ike, const struct ikev1_keys *keys,
                                  struct slice id, struct slice hash);
MUST_USE bool ikev1_phase1_own_hash(const struct ikev1_ike *ike, struct ikev1_hash_value *out);
/* Where the peer is, what is known of NATs. */
void ikev1_phase1_take_natd(struct ikev1_turn *t, struct ikev1_ike *ike,
                            const struct ikev1_message *m);
void ikev1_phase1_float(struct ikev1_ike *ike);
/* It is the current one from now on, and its predecessor on its way out. */
void ikev1_become_current(struct ikev1_turn *t, struct ikev1_ike *ike, bool initial_contact);
/* The same of one that was negotiated, with the login behind it if there is one: what follows for
 * children that a peer who began anew does not have, and what Aggressive Mode could not say. */
void ikev1_phase1_through(struct ikev1_turn *t, struct ikev1_ike *ike, bool initial_contact);
/* Both are authenticated. */
void ikev1_phase1_done(struct ikev1_turn *t, struct ikev1_ike *ike,
                       const struct ikev1_policy *policy);
/* RESPONDER_LIFETIME, where ours is less than what was agreed. */
void ikev1_phase1_out_lifetime(const struct ikev1_ike *ike, const struct ikev1_policy *policy,
                               struct ikev1_outgoing *o);
uint64_t ikev1_lifetime_of(uint64_t ours_ms, uint64_t seconds);
MUST_USE const struct proposals *ikev1_phase1_own_proposals(const struct ikev1_turn *t);

/* ---- signatures.c ---- */

/* By which both sides prove themselves under this policy. */
uint16_t ikev1_method_of(const struct ikev1_policy *policy);
MUST_USE bool ikev1_method_is_signature(uint16_t method);
MUST_USE bool ikev1_signs(const struct ikev1_ike *ike);
/* Makes what HASH_I or HASH_R of us is, and asks for its signature. */
void ikev1_ask_sign(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_policy *policy);
/* Asks whether the message proves who he says to be in `id`, the body of his ID payload; false: it
 * has nothing that could. */
MUST_USE bool ikev1_ask_verify(struct ikev1_turn *t, struct ikev1_ike *ike,
                               const struct ikev1_message *m, struct slice id,
                               const struct ikev1_policy *policy);
/* Why: because of his certificates, or `otherwise`. */
const char *ikev1_unusable(const struct ikev1_ike *ike, const char *otherwise);
void ikev1_phase1_answer_proof(struct ikev1_turn *t, struct ikev1_ike *ike,
                               const struct ikev1_proof_answer *answer);
/* Of those that are possible the one whose peer is called so, or may be called anything; NULL. */
const struct ikev1_policy *ikev1_choose_signer(const struct ikev1_handshake *h);
void ikev1_out_certificates(struct ikev1_outgoing *o, const struct ikev1_policy *policy);
/* Who only logs in and is asked for a certificate has none, which is said
 * (draft-ietf-ipsec-isakmp-hybrid-auth-05 4.2). */
void ikev1_out_no_certificate(const struct ikev1_ike *ike, struct ikev1_outgoing *o);
/* `policy` NULL: of whomever. */
void ikev1_out_certificate_request(struct ikev1_outgoing *o, const struct ikev1_policy *policy);

/* ---- certificates.c ---- */

struct ikev1_received_certificates {
    size_t count;
    struct slice list[CERTIFICATES_MAX]; /* DER, borrowed from the message; in no order */
};

/* NULL: fine, and there may be none; else what is wrong. */
MUST_USE const char *ikev1_read_certificates(const struct ikev1_message *m,
                                             struct ikev1_received_certificates *out);

/* ---- encryption.c ---- */

MUST_USE bool ikev1_method_is_encryption(uint16_t method);
MUST_USE bool ikev1_encrypts(const struct ikev1_ike *ike);
/* Message 3 or 4 of Main Mode, 1 or 2 of Aggressive Mode: `sending` is what answers it. */
void ikev1_encryption_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m,
                              uint8_t sending);
void ikev1_encryption_answer(struct ikev1_turn *t, struct ikev1_ike *ike,
                             const struct ikev1_proof_answer *answer);
/* False: the message that is next is one as with other methods. */
MUST_USE bool ikev1_encryption_continue(struct ikev1_turn *t, struct ikev1_ike *ike);
/* The body of his ID payload. */
struct slice ikev1_encryption_peer_id(const struct ikev1_ike *ike);
void ikev1_sealed_end(struct ikev1_sa *sa, struct ikev1_sealed *sealed);

/* All questions of phase 1 are answered: on with it. */
void ikev1_phase1_go_on(struct ikev1_turn *t, struct ikev1_ike *ike);

/* We, or the peer, sign, and do not only log in later. */
MUST_USE bool ikev1_we_sign(const struct ikev1_ike *ike);
MUST_USE bool ikev1_peer_signs(const struct ikev1_ike *ike);

void ikev1_main_send_first(struct ikev1_turn *t, struct ikev1_ike *ike);
void ikev1_main_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m);
void ikev1_main_continue(struct ikev1_turn *t, struct ikev1_ike *ike);
void ikev1_aggressive_start(struct ikev1_turn *t, struct ikev1_ike *ike);
void ikev1_aggressive_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m);
void ikev1_aggressive_continue(struct ikev1_turn *t, struct ikev1_ike *ike);
/* Something came that is not message 3, from who may have sent that already. */
void ikev1_aggressive_remind(struct ikev1_turn *t, struct ikev1_ike *ike,
                             const struct ikev1_message *m);

/* ---- children ---- */

enum ikev1_child_phase {
    IKEV1_CHILD_UP,
    IKEV1_CHILD_REPLACED, /* a newer one is there */
    IKEV1_CHILD_GRACE, /* deleted; late packets are still let in */
};

struct ikev1_child {
    struct ikev1_child *next;
    uint32_t spi_in, spi_out;
    const struct ikev1_child_policy *policy;
    uint8_t protocol;
    struct suite suite;
    struct ikev1_around around; /* without keys; SPIs 0: nothing goes around it */
    uint16_t cpi_in, cpi_out; /* 0: nothing is compressed */
    enum ikev1_child_phase phase;
    bool initiator, encapsulated, transport_mode;
    bool used, stopped;
    bool due; /* a rekeying was ordered or its time came, and none is open */
    uint8_t retries;
    uint8_t local_share, remote_share;
    uint32_t replaces_spi_in;
    /* What was there when its making began is what it replaces: two that both sides make at the
     * same time do not know of each other, and both stay. */
    uint32_t serial, begun_serial;
    struct address original_local, original_peer;
    uint64_t rekey_ms, expire_ms;
    uint64_t use_ms; /* when it is used even if nothing was heard through it; NEVER_MS */
    uint64_t remove_ms; /* GRACE: when it is gone; REPLACED: when we delete it; UP: when we do
                           unless it is used by then */
    uint32_t lifetime_kilobytes;
    struct selector local, remote;
    struct selector offered_local, offered_remote; /* as the identities said it */
    /* Where more was agreed on than the policy has: what it has of that, local_share selectors
     * and then remote_share, which is what the child carries. NULL: local and remote are. */
    struct selector *share;
};

struct ikev1_child *ikev1_child_by_spi_in(const struct ikev1_sa *sa, uint32_t spi_in);
struct ikev1_child *ikev1_child_by_spi_out(const struct ikev1_sa *sa, uint8_t protocol,
                                           uint32_t spi_out);
void ikev1_child_fill_info(const struct ikev1_sa *sa, const struct ikev1_child *child,
                           struct ikev1_child_info *out);
struct ikev1_action *ikev1_tell_child(struct ikev1_turn *t, enum ikev1_action_kind kind,
                                      const struct ikev1_child *child);
struct ikev1_child_keys {
    struct slice in, out, around_in, around_out;
};
void ikev1_child_add(struct ikev1_turn *t, struct ikev1_child *child,
                     const struct ikev1_child_keys *keys);
/* Those with the same traffic that it replaces go out of use. */
void ikev1_child_use(struct ikev1_turn *t, struct ikev1_child *child);
void ikev1_child_stop(struct ikev1_turn *t, struct ikev1_child *child);
void ikev1_child_remove(struct ikev1_turn *t, struct ikev1_child *child);
/* Deleted by either side: removed, or kept for the grace when there is a successor. */
void ikev1_child_end(struct ikev1_turn *t, struct ikev1_child *child);
/* We delete it, and say so once. */
void ikev1_child_close(struct ikev1_turn *t, struct ikev1_child *child);
void ikev1_child_time(struct ikev1_turn *t, struct ikev1_child *child);
/* The peer says in this ISAKMP SA that he has no other: what was there before it began, he does not
 * have. What came meanwhile is another matter: two that both begin say so to each other. */
void ikev1_children_renew(struct ikev1_turn *t, struct ikev1_ike *ike);
/* A newer one with the same traffic is there. */
MUST_USE bool ikev1_child_is_outdated(const struct ikev1_sa *sa, const struct ikev1_child *child);
MUST_USE bool ikev1_child_is_there(const struct ikev1_sa *sa,
                                   const struct ikev1_child_policy *policy,
                                   const struct selector *local, const struct selector *remote);
void ikev1_tell_child_failed(struct ikev1_turn *t, const struct ikev1_child_policy *policy,
                             const struct ikev1_failure *failure);

/* ---- Quick Mode ---- */

enum ikev1_quick_step {
    IKEV1_QUICK_ASKING, /* questions are open; what comes is not looked at */
    IKEV1_QUICK_SENT_1, /* initiator: waits for message 2 */
    IKEV1_QUICK_SENT_2, /* responder: waits for message 3 */
    IKEV1_QUICK_DONE, /* answers only what comes again */
};

struct ikev1_quick {
    struct ikev1_quick *next;
    struct ikev1_ike *ike;
    uint32_t message_id;
    bool initiator;
    bool answered; /* initiator: message 2 is here and is worked on */
    enum ikev1_quick_step step;
    struct ikev1_iv iv;
    struct ikev1_reply reply;
    struct retransmit retransmit;
    uint64_t end_ms; /* DONE: when it is forgotten */
    uint64_t deadline_ms; /* of the open questions; NEVER_MS */
    uint32_t ask_key_exchange, ask_spi, ask_around; /* ask_around: an SPI for AH around ESP */
    uint8_t digest[32]; /* of the message that is being worked on */
    const struct ikev1_child_policy *policy;
    uint8_t retries;
    bool commit; /* the peer set the commit bit: CONNECTED is waited for, or sent (RFC 2408 3.1) */
    uint32_t old_spi_in; /* the child that is rekeyed; 0 none */
    uint32_t begun_serial; /* children up to this one were there when it began */
    uint32_t spi_in; /* ours for the new child; 0: none, or a child has it */
    uint32_t around_spi_in; /* the same of AH around it */
    uint16_t cpi_in;
    uint16_t doubt; /* initiator: an error that perhaps was about it; 0 none */
    uint32_t child_spi_in; /* of the child that it made; 0 none */
    /* Initiator: the peer's, of Deletes about children that are not there. */
    uint32_t deleted_spis[IKEV1_DELETED_MAX];
    uint8_t deleted_count;
    uint16_t group; /* of PFS; 0 none */
    uint8_t group_tries; /* groups that the peer refused before this one */
    bool has_pair;
    struct key_pair pair;
    struct secret shared;
    struct ikev1_nonce nonce_i, nonce_r;
    struct ikev1_phase2_choice choice;
    struct slice attributes[IKEV1_PARTS_MAX]; /* blocks: what the choice's transforms borrow */
    struct ikev1_carriage carriage;
    struct slice id_i, id_r; /* blocks: bodies of the ID payloads, empty: none */
    struct selector local, remote; /* what the child carries */
    struct selector offered_local, offered_remote; /* what the identities say */
    struct address original_local, original_peer;
};

/* What is to be made: one pair of selectors of a policy. */
struct ikev1_pending {
    const struct ikev1_child_policy *policy;
    struct selector local, remote;
    uint64_t at_ms;
    uint8_t retries;
};

/* Begins an exchange of ours in the current ISAKMP SA. */
void ikev1_quick_begin(struct ikev1_turn *t, const struct ikev1_child_policy *policy,
                       const struct selector *local, const struct selector *remote,
                       struct ikev1_child *old, uint8_t retries);
void ikev1_quick_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m);
void ikev1_quick_continue(struct ikev1_turn *t, struct ikev1_quick *q, bool ok);
void ikev1_quick_end(struct ikev1_turn *t, struct ikev1_quick *q);
/* Its ISAKMP SA is gone: what we began is begun again in another one. */
void ikev1_quick_abandon(struct ikev1_turn *t, struct ikev1_quick *q);
/* The commit bit was set, and CONNECTED has not come yet. */
MUST_USE bool ikev1_quick_awaits_connected(const struct ikev1_quick *q);
void ikev1_quick_connected(struct ikev1_turn *t, struct ikev1_quick *q);
/* A protected error about it. */
void ikev1_quick_notified(struct ikev1_turn *t, struct ikev1_quick *q,
                          const struct ikev1_notify_payload *n);
struct ikev1_quick *ikev1_quick_find(const struct ikev1_sa *sa, const struct ikev1_ike *ike,
                                     uint32_t message_id);
/* Of ours, by an SPI that we proposed. */
struct ikev1_quick *ikev1_quick_by_spi(const struct ikev1_sa *sa, uint32_t spi_in);
/* The child that it made was heard through, which says as much as message 3. */
void ikev1_quick_proven(struct ikev1_turn *t, uint32_t spi_in);
void ikev1_quick_time(struct ikev1_turn *t, struct ikev1_quick *q);
uint64_t ikev1_quick_deadline_ms(const struct ikev1_quick *q);

/* ---- Transaction exchanges ---- */

enum ikev1_transaction_step {
    IKEV1_TRANSACTION_ASKING, /* of the peer: what we answer is being asked for */
    IKEV1_TRANSACTION_SENT, /* of ours: waits for the answer */
    IKEV1_TRANSACTION_DONE, /* of the peer: answers only what comes again */
};

enum ikev1_transaction_about {
    IKEV1_ABOUT_LOGIN, /* REQUEST for name and password */
    IKEV1_ABOUT_STATUS, /* SET: what came of it */
    IKEV1_ABOUT_SETTINGS,
};

struct ikev1_transaction {
    struct ikev1_transaction *next;
    uint32_t message_id;
    bool own; /* we began it */
    uint8_t type; /* of the first message: REQUEST or SET */
    uint16_t identifier;
    enum ikev1_transaction_step step;
    enum ikev1_transaction_about about;
    struct ikev1_iv iv;
    struct ikev1_reply reply;
    struct retransmit retransmit;
    uint8_t digest[32]; /* of the peer's message that is being answered */
    uint64_t end_ms; /* ASKING: given up; DONE: forgotten; NEVER_MS */
    uint32_t ask; /* an open question; 0 none */
    /* Of the peer's REQUEST for settings: the attributes that he wants, in his order. */
    size_t attribute_count;
    uint16_t attributes[IKEV1_CFG_ATTRIBUTES_MAX];
};

/* Of one ISAKMP SA: a block, made when phase 1 is over and the policy has a login or settings. */
struct ikev1_transactions {
    struct ikev1_transaction *list;
    size_t count;
    bool unity; /* the peer has Cisco's attributes */
    /* The login. */
    enum ikev1_login login; /* NONE: there is none */
    bool renewed; /* the same user has logged in in another ISAKMP SA of this machine */
    bool known; /* ... and his certificate says that it is he */
    bool initial_contact; /* what the peer said in phase 1 */
    bool refusing; /* gateway: FAIL was sent, and the rest is to end */
    /* Gateway: where this login is, while the machine is up and perhaps elsewhere. No family: where
     * the machine is. The key of a group proves nobody: before he is through, a peer must not draw
     * there what somebody has who is. */
    struct endpoint local, peer;
    unsigned round;
    uint16_t identifier; /* of all messages of the login */
    enum ikev1_login_kind kind;
    unsigned wanted; /* what is asked for in this round: bits of enum ikev1_credential */
    bool has_type; /* client: the question had an XAUTH_TYPE, and so has the answer */
    uint16_t type;
    uint8_t challenge[IKEV1_CHAP_CHALLENGE_BYTES]; /* gateway */
    struct slice asked_challenge; /* client: a block */
    uint8_t chap_identifier; /* client */
    uint32_t ask; /* gateway: whether he may in; 0 no open question */
    uint64_t login_ms; /* until when the next thing must have come; NEVER_MS */
    uint64_t login_end_ms; /* of the whole login */
    struct ikev1_failure refusal; /* what is told when it has ended */
    /* Settings. */
    bool was_asked; /* gateway: the client did not wait for a push */
    bool settings_open; /* nothing of ours is begun before they are here, or given */
    uint32_t ask_settings; /* gateway: what is pushed; 0 no open question */
    uint64_t settings_ms; /* given up; NEVER_MS */
};

/* ---- transaction.c ---- */

/* Where messages of this ISAKMP SA go. */
struct endpoint ikev1_ike_local(const struct ikev1_sa *sa, const struct ikev1_ike *ike);
struct endpoint ikev1_ike_peer(const struct ikev1_sa *sa, const struct ikev1_ike *ike);
/* The login is through: where its messages went all goes now. */
void ikev1_login_settle(struct ikev1_turn *t, struct ikev1_ike *ike);

/* After phase 1: memory where it is needed. False: there is none. */
MUST_USE bool ikev1_transactions_prepare(struct ikev1_turn *t, struct ikev1_ike *ike,
                                         const struct ikev1_policy *policy);
void ikev1_transactions_end(struct ikev1_turn *t, struct ikev1_ike *ike);
/* A message of ours that is sent until it is answered. False: no memory. */
MUST_USE bool ikev1_transaction_begin(struct ikev1_turn *t, struct ikev1_ike *ike,
                                      enum ikev1_transaction_about about,
                                      struct ikev1_cfg_payload *cfg);
/* REPLY or ACK, by what the peer sent; type and identifier are set here. */
void ikev1_transaction_answer(struct ikev1_turn *t, struct ikev1_ike *ike,
                              struct ikev1_transaction *transaction, struct ikev1_cfg_payload *cfg);
void ikev1_transaction_drop(struct ikev1_turn *t, struct ikev1_ike *ike,
                            struct ikev1_transaction *transaction);
/* Ours about that, which is still open; NULL. */
struct ikev1_transaction *ikev1_transaction_own(const struct ikev1_ike *ike,
                                                enum ikev1_transaction_about about);
void ikev1_transaction_receive(struct ikev1_turn *t, struct ikev1_ike *ike,
                               struct ikev1_message *m);
void ikev1_transactions_time(struct ikev1_turn *t, struct ikev1_ike *ike);
uint64_t ikev1_transactions_deadline_ms(const struct ikev1_ike *ike);
/* One more attribute; what does not fit is left out. */
void ikev1_cfg_add(struct ikev1_cfg_payload *cfg, uint16_t type, struct slice value);
void ikev1_cfg_add_short(struct ikev1_cfg_payload *cfg, uint16_t type, uint16_t number);
/* What a user said becomes zeros, for whoever watches. */
void ikev1_blank_credentials(uint8_t first, uint8_t *chain, size_t length);

/* ---- xauth.c ---- */

/* What is offered in phase 1 under this policy. 0: there is no number for it. */
uint16_t ikev1_method_said(const struct ikev1_policy *policy, bool initiator);
/* What was chosen is a method of this policy. */
MUST_USE bool ikev1_method_fits(const struct ikev1_policy *policy,
                                const struct ikev1_handshake *handshake, bool initiator);
/* auth_method, logs_in and hybrid, of a number on the wire. */
void ikev1_method_read(uint16_t number, struct ikev1_phase1_choice *out);
/* Some site has that method, with a login. */
MUST_USE bool ikev1_login_is_possible(const struct ikev1_responder_policy *policy,
                                      const struct ikev1_phase1_choice *choice);
/* The vendor IDs without which nobody asks. */
void ikev1_out_login_vendors(struct ikev1_outgoing *o);
MUST_USE bool ikev1_policy_has_transactions(const struct ikev1_policy *policy);
/* Who only logs in need not say who he is (draft-ietf-ipsec-isakmp-hybrid-auth-05 4.2). */
MUST_USE bool ikev1_phase1_read_any_id(const struct ikev1_ike *ike, const struct ikev1_message *m,
                                       struct ike_identity *id, struct slice *body);

void ikev1_login_begin(struct ikev1_turn *t, struct ikev1_ike *ike);
/* The peer's REQUEST or SET about it. */
void ikev1_login_asked(struct ikev1_turn *t, struct ikev1_ike *ike,
                       struct ikev1_transaction *transaction, const struct ikev1_cfg_payload *cfg);
/* What came to ours. */
void ikev1_login_answered(struct ikev1_turn *t, struct ikev1_ike *ike,
                          enum ikev1_transaction_about about, const struct ikev1_cfg_payload *cfg);
void ikev1_login_time(struct ikev1_turn *t, struct ikev1_ike *ike);
/* Ours stayed unanswered. */
void ikev1_login_unanswered(struct ikev1_turn *t, struct ikev1_ike *ike,
                            enum ikev1_transaction_about about);
/* The peer deleted the ISAKMP SA before it was through. */
void ikev1_login_deleted(struct ikev1_turn *t, struct ikev1_ike *ike);
MUST_USE bool ikev1_cfg_is_about_login(const struct ikev1_cfg_payload *cfg);

/* ---- settings.c ---- */

/* When the ISAKMP SA is established. */
void ikev1_settings_begin(struct ikev1_turn *t, struct ikev1_ike *ike);
/* Another machine has the ISAKMP SA now: its open question is asked again. */
void ikev1_settings_again(struct ikev1_turn *t, struct ikev1_ike *ike);
void ikev1_settings_asked(struct ikev1_turn *t, struct ikev1_ike *ike,
                          struct ikev1_transaction *transaction,
                          const struct ikev1_cfg_payload *cfg);
void ikev1_settings_answered(struct ikev1_turn *t, struct ikev1_ike *ike,
                             const struct ikev1_cfg_payload *cfg);
void ikev1_settings_failed(struct ikev1_turn *t, const char *detail);
MUST_USE bool ikev1_settings_are_open(const struct ikev1_sa *sa);

/* ---- traffic.c ---- */

/* IDci is the peer's, IDcr ours; without both it is about the two ends (RFC 2409 5.5). Keeps their
 * bodies. False: no addresses. */
MUST_USE bool ikev1_traffic_read_ids(struct ikev1_turn *t, struct ikev1_quick *q,
                                     const struct ikev1_message *m);
/* Which child policy has what the peer proposes: its identities, or the two hosts where there are
 * none. False: none has; *mode: because of the mode alone. */
MUST_USE bool ikev1_traffic_match(struct ikev1_turn *t, struct ikev1_quick *q,
                                  const struct ikev1_sa_payload *offer, bool has_ke,
                                  struct ikev1_failure *failure);
/* The identities of a quick mode that we begin. */
MUST_USE bool ikev1_traffic_ids(struct ikev1_quick *q);

/* What was agreed to be wider than the policy is offered again when it is renewed: what we do with
 * it stays what the policy has. False: nothing of it is left. */
MUST_USE bool ikev1_traffic_bound(struct ikev1_quick *q);
/* What a child carries when that is no single pair of selectors. False: nothing, or no memory. */
MUST_USE bool ikev1_traffic_share(const struct ikev1_quick *q, struct ikev1_child *child);
MUST_USE bool ikev1_id_of_selector(const struct selector *selector, struct slice *block);

/* ---- informational.c ---- */

void ikev1_informational_receive(struct ikev1_turn *t, struct ikev1_ike *ike,
                                 struct ikev1_message *m);
/* What came unprotected. */
void ikev1_informational_early(struct ikev1_turn *t, struct ikev1_ike *ike,
                               struct ikev1_message *m);
void ikev1_informational_clear(struct ikev1_turn *t, struct ikev1_ike *ike,
                               struct ikev1_message *m);
/* Unlike all that are remembered of this ISAKMP SA. */
uint32_t ikev1_fresh_message_id(struct ikev1_sa *sa, const struct ikev1_ike *ike);
void ikev1_send_delete_child(struct ikev1_turn *t, const struct ikev1_child *child);
void ikev1_send_delete_ike(struct ikev1_turn *t, struct ikev1_ike *ike);
/* RFC 2407 4.6.3.3: we have no other SA with this peer. */
void ikev1_send_initial_contact(struct ikev1_turn *t, struct ikev1_ike *ike);
void ikev1_send_notify(struct ikev1_turn *t, struct ikev1_ike *ike, uint8_t protocol, uint16_t type,
                       struct slice spi, struct slice data);
/* RFC 2408 3.1: under the message ID of the Quick Mode. */
void ikev1_send_connected(struct ikev1_turn *t, struct ikev1_quick *q);
/* In phase 1, to a peer who has no keys yet: not longer than what it answers. */
void ikev1_send_clear_notify(struct ikev1_turn *t, struct ikev1_ike *ike, uint16_t type);
void ikev1_liveness_begin(struct ikev1_turn *t, struct ikev1_ike *ike);
void ikev1_liveness_time(struct ikev1_turn *t, struct ikev1_ike *ike);

/* ---- new_group.c ---- */

void ikev1_new_group_receive(struct ikev1_turn *t, struct ikev1_ike *ike, struct ikev1_message *m);

/* ---- the machine ---- */

enum ikev1_state {
    IKEV1_STATE_NEW,
    IKEV1_STATE_CONNECTING,
    IKEV1_STATE_UP,
    IKEV1_STATE_OVER,
};

struct ikev1_sa {
    struct random_source *random;
    const struct ikev1_policy *policy; /* NULL until a responder knows who asks */
    const struct ikev1_responder_policy *responder; /* NULL in an initiator and once it is up */
    enum ikev1_state state;
    bool initiator; /* we began the first ISAKMP SA */
    bool liveness_wanted;
    struct endpoint local, peer;
    struct ike_identity peer_id; /* proven; type 0 before */
    struct ikev1_ike *ikes;
    struct ikev1_ike *current; /* NULL: none is established just now */
    struct ikev1_quick *quicks;
    size_t quick_count;
    struct ikev1_child *children; /* the newest first */
    size_t child_count;
    uint32_t next_serial;
    size_t pending_count;
    struct ikev1_pending *pending; /* room for IKEV1_PENDING_MAX, or NULL */
    uint64_t heard_ms; /* anything authentic from the peer */
    uint64_t begin_ms; /* when another phase 1 is begun; NEVER_MS */
    uint8_t begin_retries;
    uint32_t next_question;
    void *buried;
};

/* The beginning and the end of every event. */
struct ikev1_turn ikev1_turn_begin(struct ikev1_sa *sa, uint64_t now_ms,
                                   struct ikev1_actions *actions);
void ikev1_turn_finish(struct ikev1_turn *t);

/* We may begin a phase 1 with this peer. */
MUST_USE bool ikev1_may_begin(const struct ikev1_sa *sa);
/* One of ours is on its way. */
MUST_USE bool ikev1_is_beginning(const struct ikev1_sa *sa);
MUST_USE bool ikev1_pend(struct ikev1_sa *sa, const struct ikev1_child_policy *policy,
                         const struct selector *local, const struct selector *remote,
                         uint64_t at_ms, uint8_t retries);
void ikev1_pend_all(struct ikev1_turn *t, const struct ikev1_child_policy *policy);
void ikev1_pending_remove(struct ikev1_sa *sa, size_t index);
/* Another ISAKMP SA becomes current, or none: the newest that is usable. */
void ikev1_choose_current(struct ikev1_sa *sa);
/* The current one is gone. Children stay, and another phase 1 is begun when that can be; without
 * children and without one to come it is over. */
void ikev1_lost(struct ikev1_turn *t, enum ikev1_failure_reason reason);
/* Authentic, from there: who is behind a NAT may be somewhere else now. */
void ikev1_heard(struct ikev1_turn *t, const struct ikev1_ike *ike, const struct ikev1_message *m);
void ikev1_tell_moved(struct ikev1_turn *t);
/* It is over: FAILED before both were authenticated, CLOSED after. Says nothing on the wire. */
void ikev1_over(struct ikev1_turn *t, const struct ikev1_failure *failure);
void ikev1_over_for(struct ikev1_turn *t, enum ikev1_failure_reason reason, uint8_t exchange,
                    uint16_t notify, const char *detail);
/* The same after Deletes, sent once. */
void ikev1_over_with_delete(struct ikev1_turn *t, const struct ikev1_failure *failure);

/* ---- words ---- */

void ikev1_failure_set(struct ikev1_failure *f, enum ikev1_failure_reason reason, uint8_t exchange,
                       uint16_t notify, const char *detail);
void ikev1_failure_policies(struct ikev1_failure *f, const struct proposals *const *ours,
                            size_t count, uint8_t protocol);
/* What a child may be protected by. */
void ikev1_failure_child_policy(struct ikev1_failure *f, const struct ikev1_child_policy *policy);
void ikev1_failure_identities(struct ikev1_failure *f, const struct ike_identity *ours,
                              const struct ike_identity *theirs);
void ikev1_failure_selectors(char out[384], const struct selector *local, size_t local_count,
                             const struct selector *remote, size_t remote_count);

#endif
