/*
 * The IKEv2 machine (RFC 7296): one IKE SA with its children and with the IKE SAs that replace it
 * by rekeying.
 *
 * Each function below is one event; it appends to a bounded list of actions what must be done now,
 * in that order. The machine never calls anyone, keeps no clock and touches no socket: what it
 * needs is an ASK, and the answer is another event. Being woken too early, an answer to a question
 * that is no longer open, and any bytes at all in ikev2_sa_receive() are harmless.
 */
#ifndef SEKISHO_PROTO_IKEV2_SA_H
#define SEKISHO_PROTO_IKEV2_SA_H

#include "base/address.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/catalog.h"
#include "crypto/key_exchange.h"
#include "proto/ike/identity.h"
#include "proto/ikev2/proof.h"
#include "proto/ikev2/tickets.h"
#include "wire/ikev2.h"

#define IKEV2_CHILD_SELECTORS_MAX 64
#define IKEV2_CHILD_NAME_BYTES 64
#define IKEV2_ADDRESSES_MAX 8 /* of one host, that are told or kept */

/* Another gateway (RFC 5685 9.2). */
enum ikev2_redirect_type {
    IKEV2_REDIRECT_IPV4 = 1,
    IKEV2_REDIRECT_IPV6 = 2,
    IKEV2_REDIRECT_NAME = 3,
};

struct ikev2_redirect {
    uint8_t type; /* enum ikev2_redirect_type; 0 none */
    uint8_t length;
    uint8_t data[255];
};
void ikev2_redirect_of_address(const struct address *address, struct ikev2_redirect *out);
/* False: too long for one. */
MUST_USE bool ikev2_redirect_of_name(const char *name, struct ikev2_redirect *out);
/* Unset when it is a name. */
struct address ikev2_redirect_address(const struct ikev2_redirect *to);
void ikev2_redirect_describe(const struct ikev2_redirect *to, struct text *out);

/* As initiator: whether the peer may send us elsewhere. */
enum ikev2_follow {
    IKEV2_FOLLOW_NEVER,
    IKEV2_FOLLOW_PROVEN, /* when he proved who he is */
    IKEV2_FOLLOW_ALWAYS, /* and in IKE_SA_INIT */
};

/* ---- policy: owned by the gateway, unchanged and alive as long as any SA points to it ---- */

enum ikev2_mode {
    IKEV2_MODE_TUNNEL,
    IKEV2_MODE_TRANSPORT, /* nothing else: a child in tunnel mode is refused or closed */
    IKEV2_MODE_PREFER_TRANSPORT, /* between two hosts transport, else what the peer wants */
};

/* RFC 9347 5.1, 6.1.4: what we demand when both sides want AGGFRAG payloads. ESP in tunnel mode
 * only. */
struct ikev2_aggfrag_policy {
    bool wanted;
    bool congestion_control; /* the peer must report losses and delay to us */
    bool dont_fragment; /* the peer must not cut inner packets that are for us */
};

/* The packet for which a child is begun (RFC 7296 2.9). */
struct ikev2_packet {
    struct selector local, remote; /* its addresses, protocol and ports, or as many as matter */
    bool only; /* the child is for nothing else (RFC 4301 4.4.1.1: populate from packet) */
    uint8_t resource; /* RFC 9611 3: the child is like that of the policy, for this resource of ours
                         alone; then there are no selectors here. 0: for all */
};

struct ikev2_child_policy {
    char name[IKEV2_CHILD_NAME_BYTES];
    uint32_t policy_id; /* the gateway's own number, given back with each child */
    const struct selector *local;
    size_t local_count;
    const struct selector *remote;
    size_t remote_count;
    const struct proposals *proposals; /* all of ESP or all of AH; key exchanges in it are PFS,
                                          strongest first; none means no PFS */
    enum ikev2_mode mode;
    bool compress; /* IPComp with deflate when the peer wants it too (RFC 7296 2.22) */
    bool non_first_fragments; /* where the selectors have ports: fragments without any may come
                                 through as well, when the peer wants it too (RFC 7296 1.3.1) */
    struct ikev2_aggfrag_policy aggfrag;
    uint64_t lifetime_ms; /* rekeyed before this, with jitter; NEVER_MS never */
    bool start; /* brought up by the initiator without being asked */
    /* RFC 9611: children with equal selectors, each for one resource (a worker that sends). */
    uint8_t resources; /* of ours: what the peer asks for is given to them in turn; 0 is 1 */
    uint8_t resources_max; /* children for one resource at a time, of both sides; 0: none */
    bool resources_announced; /* the first child says that there may be more */
};

/* A post-quantum preshared key (RFC 8784), and how it is called. Owned and unchanged as long as any
 * policy points to it. */
#define IKEV2_PPK_ID_BYTES_MAX 129
#define IKEV2_PPK_NAMES_MAX 8 /* that a peer may offer at once */
#define IKEV2_PPK_ID_OPAQUE 1
#define IKEV2_PPK_ID_FIXED 2
enum ikev2_ppk_use {
    IKEV2_PPK_NOWHERE,
    IKEV2_PPK_IN_CHILDREN, /* and in what replaces this IKE SA (RFC 8784) */
    IKEV2_PPK_IN_ALL, /* in this IKE SA too (RFC 9867) */
};
struct ikev2_ppk {
    struct secret key;
    bool required; /* nobody is let in without it */
    bool auth_only; /* as initiator: not in IKE_INTERMEDIATE (RFC 9867) */
    uint8_t id_length;
    uint8_t id[IKEV2_PPK_ID_BYTES_MAX]; /* its type first, as on the wire (5.1) */
};

/* Where we can be reached from outside. Whoever owns it may change it at any time, and then says so
 * to the machines: ikev2_sa_addresses_changed(). */
struct ikev2_addresses {
    size_t count;
    struct address list[IKEV2_ADDRESSES_MAX];
};

struct ikev2_policy {
    const struct proposals *ike; /* often shared by many policies */
    struct ike_identity local_id;
    struct ike_identity peer_id; /* type 0: whatever it says */
    struct secret shared_key;
    const struct ikev2_certificates *certificates; /* NULL: both sides have the shared key; else it
                                                      is not used */
    uint64_t ike_lifetime_ms; /* rekeyed before this, with jitter; NEVER_MS never */
    uint64_t liveness_ms; /* silence after which the peer is asked; NEVER_MS off */
    uint64_t retransmit_first_ms; /* then grows by 1.8 up to retransmit_max_ms */
    uint64_t retransmit_max_ms;
    unsigned retransmit_tries;
    uint32_t reauthenticate_s; /* both sides prove themselves anew before this, by another IKE SA;
                                  0 never */
    uint64_t grace_ms; /* how long an old inbound SA is kept after its replacement */
    bool force_encapsulation; /* UDP even without a NAT: our NAT_DETECTION_SOURCE_IP is made to
                                 differ */
    bool allow_encapsulation; /* ESP in UDP behind a NAT, and with a peer that prefers it as we do;
                                 false: never send ESP in UDP */
    bool mobile; /* MOBIKE (RFC 4555), when the peer can; not with transport mode */
    bool fragmentation;
    bool strict_id_types; /* else identities are matched by value across types */
    bool childless : 1; /* as initiator: IKE_AUTH makes no child where the peer can do without (RFC
                       6023); CREATE_CHILD_SA makes all */
    bool initial_contact : 1; /* we have no other SA with this peer */
    bool no_vendor_ids : 1; /* an initiator says nothing of what it is */
    bool post_quantum_required : 1; /* no peer is let in without a key exchange of that kind */
    bool null_auth : 1; /* neither side proves who it is (RFC 7619); then there is no key, and no
                           certificates */
    uint8_t follow : 2; /* enum ikev2_follow */
    uint16_t fragment_bytes; /* of the IP packet; 1280 by default */
    const struct ikev2_addresses *addresses; /* told to a mobile peer; NULL: none */
    const struct ikev2_ppk *ppk; /* NULL: none */
    const struct ikev2_child_policy *children;
    uint32_t child_count;
    uint32_t resume_s; /* tickets (RFC 5723) are asked for and given for so long; 0: none */
};

/* What a responder knows before the peer said who he is: any of these proposals would do. */
struct ikev2_responder_policy {
    const struct proposals *const *ike; /* one list per different site policy */
    size_t ike_count;
    bool force_encapsulation;
    bool prefer_encapsulation; /* with a peer that prefers UDP even without a NAT; false when it may
                                  be one of those with whom that is not allowed. Read with the
                                  first message */
    bool fragmentation;
    uint16_t fragment_bytes;
    bool certificates; /* some site proves itself by one */
    bool asks_status; /* some site must know whether the peer's is revoked (RFC 4806) */
    bool post_quantum_required; /* by all sites */
    bool null_auth; /* some site proves nothing */
    bool ppk; /* some site has one */
    bool ppk_early; /* and takes it in IKE_INTERMEDIATE */
    struct slice authorities; /* for CERTREQ: of all those sites (ikev2_certify_authorities()) */
    struct ikev2_tickets *tickets; /* NULL: none are taken */
    const struct ikev2_redirect *redirect; /* where all are sent who can be; NULL: nowhere */
    uint64_t half_open_ms; /* the IKE SA is given up when it is not authenticated by then */
};

/* ---- actions ---- */

enum ikev2_action_kind {
    IKEV2_SEND, /* datagram */
    IKEV2_ASK_KEY_EXCHANGE, /* exchange: answered by ikev2_sa_answer_key_exchange() */
    IKEV2_ASK_SPI, /* spi: an inbound ESP SPI: ikev2_sa_answer_spi() */
    IKEV2_ASK_PEER, /* responder: who is this and what may he do: ikev2_sa_answer_peer() */
    IKEV2_ASK_PPK, /* responder: which PPKs have these names: ikev2_sa_answer_ppk() */
    IKEV2_ASK_PROOF, /* a signature is to be made or verified: ikev2_sa_answer_proof() */
    IKEV2_TELL_SPI_ADDED, /* local IKE SPI under which messages for this machine arrive */
    IKEV2_TELL_SPI_REMOVED,
    IKEV2_TELL_ESTABLISHED, /* both sides are authenticated */
    IKEV2_TELL_REKEYED, /* the IKE SA was replaced: spi_i, spi_r, suite are the new ones */
    IKEV2_TELL_REDIRECT, /* redirect: initiator: the peer sends us there, and FAILED follows, or it
                            is up; responder: we send him there, and FAILED comes later */
    IKEV2_TELL_TICKET, /* ticket: with which the next IKE SA can go on where this one was */
    IKEV2_TELL_REAUTHENTICATE, /* another IKE SA with this peer is to be begun now, and this one to
                                  be closed when that one is there */
    IKEV2_TELL_INITIAL_CONTACT, /* the authenticated peer has no other SA with us */
    IKEV2_TELL_MOVED, /* either side has another address or port (NAT, MOBIKE): moved */
    IKEV2_CHILD_INSTALL, /* child: inbound at once; outbound is made but not used before
                            IKEV2_CHILD_USE */
    IKEV2_CHILD_USE, /* child: what is sent under its policy goes through it from now on; after a
                        CHILD_STOP when what replaced it was taken back */
    IKEV2_CHILD_STOP, /* child: nothing is sent through it any more; inbound goes on */
    IKEV2_CHILD_REMOVE, /* child: all of it is gone */
    IKEV2_SPI_UNUSED, /* esp_spi: one that ikev2_sa_answer_spi() gave and no child was installed
                         with */
    IKEV2_TELL_CHILD_FAILED, /* failure, child_name: the IKE SA stays up */
    IKEV2_TELL_FAILED, /* failure: this SA is over and was never established; reason NONE: nothing
                          went wrong, the peer was asked to begin anew with another group, and
                          nothing is kept for him */
    IKEV2_TELL_CLOSED, /* failure says why: this SA is over; children have been removed before */
    IKEV2_PROBE_DONE, /* probe: what came of ikev2_sa_probe_path() */
    IKEV2_TRACE, /* a message in clear, for whoever watches */
};

struct ikev2_key_exchange_question {
    uint32_t id;
    uint16_t group;
    const struct key_pair *pair; /* ours when it was made before, else NULL: make one */
    struct slice peer_public; /* empty: only make a pair */
};

/* AH around ESP: of IKEv1 alone, which the gateway hears in these words too. */
struct child_around {
    uint32_t spi_in, spi_out; /* 0: there is none */
    struct suite suite;
    struct slice key_in, key_out; /* with CHILD_INSTALL */
};

struct ikev2_child_info {
    uint32_t spi_in; /* ours */
    uint32_t spi_out;
    const struct ikev2_child_policy *policy;
    uint8_t protocol; /* PROTOCOL_ESP or PROTOCOL_AH */
    struct suite suite; /* AH: without encryption */
    bool encapsulated; /* ESP in UDP */
    bool initiator; /* we asked for it */
    uint32_t replaces_spi_in; /* of the child that it rekeys, 0 for a new one */
    bool transport_mode;
    /* In transport mode through a NAT: the addresses with which the peer makes checksums, of what
     * is sent to us and of what is sent by him (RFC 7296 2.23.1, RFC 3948 3.1.2). No family where
     * there is nothing to mend. */
    struct address original_local, original_peer;
    struct child_around around;
    uint64_t lifetime_bytes; /* that the peer said in IKEv1; 0: none */
    bool compress; /* IPComp was agreed, with deflate; cpi_in is ours, cpi_out the peer's */
    uint16_t cpi_in, cpi_out;
    bool aggfrag; /* AGGFRAG payloads were agreed */
    bool peer_congestion_control; /* with aggfrag: the peer demands reports of losses and delay */
    bool peer_dont_fragment; /* with aggfrag: we must not cut what we send him */
    bool peer_refuses_tfc; /* he takes no TFC padding (RFC 7296 1.3.1) */
    bool non_first_fragments; /* both sides let fragments without ports through */
    bool peer_has_resources; /* he takes children for one resource each (RFC 9611) */
    uint8_t resource; /* of ours, for which it is alone, counted from 1; 0: for all */
    uint16_t resource_id; /* what we call it to the peer; 0: nothing */
    struct endpoint local, peer;
    const struct selector *local_selectors; /* after narrowing */
    size_t local_count;
    const struct selector *remote_selectors;
    size_t remote_count;
    /* With CHILD_INSTALL: suite_encryption_key_bytes() + suite_integrity_key_bytes(). */
    struct slice key_in;
    struct slice key_out;
    uint64_t rekey_ms; /* when it will be rekeyed by us */
};

enum ikev2_failure_reason {
    IKEV2_FAIL_NONE,
    IKEV2_FAIL_NO_ANSWER, /* all retransmissions unanswered; `exchange` says in which */
    IKEV2_FAIL_NO_PROPOSAL, /* IKE: nothing in common; ours, theirs */
    IKEV2_FAIL_KE_GROUP_LOOP, /* INVALID_KE_PAYLOAD over and over, or with a group that we never
                                 offered */
    IKEV2_FAIL_COOKIE_LOOP,
    IKEV2_FAIL_BAD_PUBLIC_VALUE, /* RFC 6989 */
    IKEV2_FAIL_PEER_UNKNOWN, /* we know nobody of that identity; theirs */
    IKEV2_FAIL_PEER_IDENTITY, /* the peer proved another identity than the one expected; ours,
                                 theirs */
    IKEV2_FAIL_PEER_AUTH, /* the peer's AUTH is wrong: the shared keys differ */
    IKEV2_FAIL_PEER_SIGNATURE, /* the peer has not the key of the certificate that he shows */
    IKEV2_FAIL_CERTIFICATE, /* the peer's certificate is refused: certificate, detail */
    IKEV2_FAIL_OWN_KEY, /* our key, which a token keeps, cannot sign now; detail */
    IKEV2_FAIL_AUTH_REFUSED, /* the peer answered AUTHENTICATION_FAILED to ours */
    IKEV2_FAIL_AUTH_METHOD, /* the peer wants to authenticate by something that we do not do */
    IKEV2_FAIL_SUITE_NOT_ALLOWED, /* the suite agreed in IKE_SA_INIT is not in the policy of this
                                     very peer */
    IKEV2_FAIL_NOT_POST_QUANTUM, /* no such key exchange was agreed, and the policy requires one;
                                    theirs: what was agreed */
    IKEV2_FAIL_PPK_MISSING, /* the peer uses no PPK, and the policy requires one; ours: its name */
    IKEV2_FAIL_PPK_UNKNOWN, /* the peer names one that he has not with us; ours, theirs */
    IKEV2_FAIL_PPK_DIFFERS, /* the peer's AUTH is wrong, and there is a PPK in it: ours */
    IKEV2_FAIL_PPK_REFUSED, /* the peer answered AUTHENTICATION_FAILED to ours, which has a PPK in
                               it; ours */
    IKEV2_FAIL_CHILD_NO_PROPOSAL, /* ESP or AH: nothing in common; ours, theirs */
    IKEV2_FAIL_CHILD_MODE, /* transport mode is a must here, and the peer wants a tunnel */
    IKEV2_FAIL_CHILD_AH, /* the policy is AH, and the peer takes or offers none; ours, theirs */
    IKEV2_FAIL_CHILD_AH_NAT, /* AH cannot pass the NAT that was found */
    IKEV2_FAIL_CHILD_SELECTORS, /* networks do not meet; ours, theirs */
    IKEV2_FAIL_CHILD_REFUSED, /* another notify */
    IKEV2_FAIL_CHILD_RESOURCE, /* one for a single resource was not made or renewed (RFC 9611): the
                                  others go on */
    IKEV2_FAIL_SYNTAX, /* the peer sent something that RFC 7296 forbids; detail */
    IKEV2_FAIL_CRITICAL_PAYLOAD, /* unknown critical payload */
    IKEV2_FAIL_VERSION, /* peer speaks another major version */
    IKEV2_FAIL_PEER_ERROR, /* another error notify, see notify */
    IKEV2_FAIL_PEER_DELETED,
    IKEV2_FAIL_PEER_DEAD, /* established, and then liveness unanswered */
    IKEV2_FAIL_PEER_RESTARTED, /* he proved that he lost it (RFC 6290) */
    IKEV2_FAIL_REDIRECTED, /* to another gateway: it is told where */
    IKEV2_FAIL_REDIRECT_UNPROVEN, /* the same, but the peer has not proved who he is; theirs */
    IKEV2_FAIL_NOT_RESUMED, /* the peer does not go on with our ticket: a full try may do */
    IKEV2_FAIL_NOT_PROVEN_AGAIN, /* established, and then nobody authenticated anew in time */
    IKEV2_FAIL_ORDERED, /* we were told to close */
    IKEV2_FAIL_HALF_OPEN_TIMEOUT,
    IKEV2_FAIL_REPLACED, /* by INITIAL_CONTACT or another SA with the same peer */
    IKEV2_FAIL_RESOURCES, /* memory, SPIs, a failing crypto library */
};

struct ikev2_failure {
    enum ikev2_failure_reason reason;
    uint8_t exchange; /* in which, 0 when none */
    uint16_t notify; /* received or sent, 0 when none */
    enum certificate_problem certificate; /* with IKEV2_FAIL_CERTIFICATE */
    char ours[384]; /* in words of the configuration; empty when it does not apply */
    char theirs[384]; /* escaped */
    char detail[384];
};

struct ikev2_action {
    enum ikev2_action_kind kind;
    union {
        struct {
            struct endpoint local, peer;
            struct slice
                bytes; /* the IKE message without non-ESP marker; borrowed until the next event */
            bool dont_fragment; /* it asks for the path MTU: no router and no kernel may cut it */
        } send;
        struct ikev2_key_exchange_question key_exchange;
        struct {
            uint32_t id;
            uint8_t resource; /* for which the child will be; 0: for all */
        } spi;
        struct {
            uint32_t id;
            struct ike_identity peer_id; /* what he says to be; not proven yet */
            struct ike_identity requested_id; /* IDr, type 0 when he sent none */
            bool proves_nothing; /* RFC 7619: then both say nothing, and only his address counts */
        } peer;
        struct {
            uint32_t id;
            size_t count;
            struct slice names[IKEV2_PPK_NAMES_MAX]; /* as in ikev2_ppk.id; borrowed until the next
                                                        event */
        } ppk;
        struct {
            uint32_t id;
            struct ikev2_proof *question; /* owned by who takes the action */
        } proof;
        uint64_t ike_spi;
        uint32_t esp_spi;
        struct {
            uint64_t spi_i, spi_r;
            struct suite suite;
            struct ike_identity peer_id; /* proven */
            bool nat_local, nat_peer; /* who is behind a NAT */
            bool initiator;
            bool resumed; /* by a ticket */
        } established; /* ESTABLISHED and REKEYED */
        struct {
            struct endpoint local, peer;
            bool nat_local, nat_peer;
            /* They go there too, and into UDP or out of it; false: they stay until it has shown
             * that the peer is there (RFC 4555 3.7), which is told by another of these. */
            bool children;
            bool refused; /* the peer wants us to stay where we were, and here we are again */
            uint32_t not_followed; /* so often his packets came from elsewhere, too often to follow;
                                      nothing moved, and where they come from is told again */
        } moved;
        struct {
            const struct ikev2_session *session; /* borrowed until the next event */
            struct slice bytes; /* likewise */
        } ticket;
        struct ikev2_redirect redirect;
        struct ikev2_child_info child;
        struct {
            uint16_t bytes; /* of the IP packet that was sent */
            bool passed; /* it was answered before it had to be sent again */
        } probe;
        struct {
            struct ikev2_failure failure;
            char child_name[IKEV2_CHILD_NAME_BYTES];
        } failed;
        struct {
            bool sent; /* else received */
            bool retransmitted;
            struct ikev2_header header;
            uint8_t first; /* of the payloads in clear */
            struct slice payloads; /* borrowed until the next event; no keys in it */
        } trace;
    };
};

/* What one event can lead to at most: see ikev2_act(). */
#define IKEV2_ACTIONS_MAX 832

struct ikev2_actions {
    size_t count;
    struct ikev2_action list[IKEV2_ACTIONS_MAX];
};

/* ---- the machine ---- */

struct ikev2_sa;

/* NULL when there is no memory. `random` is borrowed for life. */
MUST_USE struct ikev2_sa *ikev2_sa_new_initiator(const struct ikev2_policy *policy,
                                                 const struct endpoint *local,
                                                 const struct endpoint *peer,
                                                 struct random_source *random);
/* Before it starts: it goes on where another one was (RFC 5723), or begins anew when the peer does
 * not take the ticket. False: no memory, or a ticket that is too long. */
MUST_USE bool ikev2_sa_resume(struct ikev2_sa *sa, const struct ikev2_session *session,
                              struct slice ticket);
/* Before it starts: who sent us to this peer (RFC 5685). */
void ikev2_sa_redirected_from(struct ikev2_sa *sa, const struct address *from);
/* Before ikev2_sa_answer_peer(): this peer is sent there when he proved who he is, if he can go. */
void ikev2_sa_set_redirect(struct ikev2_sa *sa, const struct ikev2_redirect *to);
/* An established peer who called us, and can go elsewhere, is asked to go there. */
void ikev2_sa_redirect(struct ikev2_sa *sa, const struct ikev2_redirect *to, uint64_t now_ms,
                       struct ikev2_actions *actions);
/* At once after it was made: the peer is told what he can know a later process of ours by (RFC
 * 6290). `secret`: 32 octets, borrowed for life. */
void ikev2_sa_make_tokens(struct ikev2_sa *sa, const uint8_t *secret);
/* A message in clear for this machine: when it proves that the peer began anew, it is over without
 * a word, and true; else nothing happened. */
MUST_USE bool ikev2_sa_hear_crash(struct ikev2_sa *sa, struct slice message, uint64_t now_ms,
                                  struct ikev2_actions *actions);
/* Whether a message in clear answers the open request of the current IKE SA with INVALID_IKE_SPI.
 * It proves nothing, but who sends it has seen that request (RFC 7296 2.21.4). */
MUST_USE bool ikev2_sa_is_denied(const struct ikev2_sa *sa, struct slice message);
/* The peer may be there again: a request that would wait for long is sent once more now. */
void ikev2_sa_hurry(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions);
/* A responder is made after ikev2_gate_admit() let an IKE_SA_INIT request pass; that message then
 * goes into ikev2_sa_receive(). `policy` is read during the first exchange only. */
MUST_USE struct ikev2_sa *ikev2_sa_new_responder(const struct ikev2_responder_policy *policy,
                                                 const struct endpoint *local,
                                                 const struct endpoint *peer,
                                                 struct random_source *random);
void ikev2_sa_free(struct ikev2_sa *sa);

void ikev2_sa_start(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions);
void ikev2_sa_receive(struct ikev2_sa *sa, struct slice message, const struct endpoint *local,
                      const struct endpoint *peer, uint64_t now_ms, struct ikev2_actions *actions);
void ikev2_sa_time(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions);
/* When ikev2_sa_time() is wanted next. */
uint64_t ikev2_sa_deadline_ms(const struct ikev2_sa *sa);
/* Nobody looks any more at what the actions of the last event borrowed: it is wiped and freed, as
 * the next event would do, so that an SA at rest keeps only what it needs. */
void ikev2_sa_rest(struct ikev2_sa *sa);

/* `pair` (when one was to be made) and `shared` are moved from. ok false: the peer's value is
 * refused. */
void ikev2_sa_answer_key_exchange(struct ikev2_sa *sa, uint32_t id, bool ok, struct key_pair *pair,
                                  struct secret *shared, uint64_t now_ms,
                                  struct ikev2_actions *actions);
/* spi 0: none is free. */
void ikev2_sa_answer_spi(struct ikev2_sa *sa, uint32_t id, uint32_t spi, uint64_t now_ms,
                         struct ikev2_actions *actions);
/* Before ikev2_sa_answer_peer(): what is configured about that peer, in a number that is another
 * one when anything of it changes. A ticket is good while it is the same. */
void ikev2_sa_set_fingerprint(struct ikev2_sa *sa, uint64_t fingerprint);
/* Likewise: another IKE SA with this peer carries the traffic. The first child is not used before
 * the peer surely has it. */
void ikev2_sa_set_beside(struct ikev2_sa *sa);
/* NULL policy: nobody of that name; answered like a wrong key, in the same time (SECURITY: no user
 * enumeration). */
void ikev2_sa_answer_peer(struct ikev2_sa *sa, uint32_t id, const struct ikev2_policy *policy,
                          uint64_t now_ms, struct ikev2_actions *actions);

/* Those of these names, of whatever peer; the first whose owner the peer is counts. Copied. */
void ikev2_sa_answer_ppk(struct ikev2_sa *sa, uint32_t id, const struct ikev2_ppk *const *known,
                         size_t count, uint64_t now_ms, struct ikev2_actions *actions);
/* The question with its answer; it stays the caller's. */
void ikev2_sa_answer_proof(struct ikev2_sa *sa, uint32_t id, struct ikev2_proof *proof,
                           uint64_t now_ms, struct ikev2_actions *actions);
/* SHA-1 hashes of the keys of authorities, as CERTREQ has them; gives their length. */
size_t ikev2_certify_authorities(const struct trust *trust, uint8_t *out, size_t capacity);

/* What an established peer is known to stumble over. */
enum ikev2_quirk {
    IKEV2_QUIRK_NO_CHILD_GROUP = 1, /* where the policy allows it, a child is asked for without a
                                       key exchange of its own */
    IKEV2_QUIRK_NO_CHILD_REKEY = 2, /* the peer renews children, and not we */
};
void ikev2_sa_set_quirks(struct ikev2_sa *sa, unsigned quirks);

/* Orders. Those that cannot be obeyed in the present state are remembered or have no effect, as
 * their names say. */
void ikev2_sa_close(
    struct ikev2_sa *sa, enum ikev2_failure_reason why, uint64_t now_ms,
    struct ikev2_actions *actions); /* Delete is sent once, TELL_CLOSED comes at once */
void ikev2_sa_rekey(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions);
void ikev2_sa_rekey_child(struct ikev2_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev2_actions *actions);
void ikev2_sa_start_child(struct ikev2_sa *sa, const struct ikev2_child_policy *child,
                          uint64_t now_ms, struct ikev2_actions *actions);
/* The same because of a packet, unless there is a child that carries it. When each is for its
 * packet alone, an IKE SA has many of one policy. Before both sides are authenticated: the first
 * child is made for the packet. */
void ikev2_sa_start_child_for(struct ikev2_sa *sa, const struct ikev2_child_policy *child,
                              const struct ikev2_packet *packet, uint64_t now_ms,
                              struct ikev2_actions *actions);
void ikev2_sa_close_child(struct ikev2_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev2_actions *actions);
void ikev2_sa_ask_liveness(struct ikev2_sa *sa, uint64_t now_ms, struct ikev2_actions *actions);
/* A question of liveness in an IP packet of that many octets (RFC 8899), which is not to be cut the
 * first time it is sent; when it is sent again, the same octets may be. It waits until nothing else
 * is to be asked, and takes the place of one that waits already. PROBE_DONE says the size, which a
 * cipher with blocks reaches to the block below, and whether it was answered before it was sent
 * again; when the IKE SA ends first it was not, and of one that still waits nothing is said. */
#define IKEV2_PROBE_BYTES_MIN 256 /* sizes beyond are made these */
#define IKEV2_PROBE_BYTES_MAX 16384
void ikev2_sa_probe_path(struct ikev2_sa *sa, uint16_t bytes, uint64_t now_ms,
                         struct ikev2_actions *actions);
/* The policy was replaced by one that is equal in all that is agreed already (configuration
 * reload). Children find theirs again by name; one whose name is gone is closed. */
void ikev2_sa_set_policy(struct ikev2_sa *sa, const struct ikev2_policy *policy);

/* From the data plane: an authentic packet came in through this child (liveness, and the peer uses
 * the new child). */
void ikev2_sa_child_heard(struct ikev2_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev2_actions *actions);

/* From the data plane: the newest authentic packet that came in through this child came from there
 * in UDP. A peer behind a NAT is there now (RFC 7296 2.23): what we send goes there from now on,
 * and TELL_MOVED says so. */
void ikev2_sa_child_moved(struct ikev2_sa *sa, uint32_t spi_in, const struct endpoint *peer,
                          uint64_t now_ms, struct ikev2_actions *actions);

/* RFC 4555, where both sides can (`mobile` of the info); else nothing happens. Our end, or the
 * peer's, is to be another one. Who began the first IKE SA moves all to there; a responder only
 * when his own address is gone, and then says so. `trying`: the peer does not answer where he was,
 * and may not answer there either. */
void ikev2_sa_move(struct ikev2_sa *sa, const struct endpoint *local, const struct endpoint *peer,
                   bool trying, uint64_t now_ms, struct ikev2_actions *actions);
/* 3.10: whether there is a better way than the one in use. A question of liveness goes that way
 * once, and when the answer comes that way too, all is moved there; when not, the question is sent
 * again by the way in use, and nothing happens. It is asked only when nothing else is. */
void ikev2_sa_test_way(struct ikev2_sa *sa, const struct endpoint *local,
                       const struct endpoint *peer, uint64_t now_ms, struct ikev2_actions *actions);
/* The policy's list of addresses is another one: the peer is told. */
void ikev2_sa_addresses_changed(struct ikev2_sa *sa, uint64_t now_ms,
                                struct ikev2_actions *actions);
/* Where else the peer said he can be reached. */
size_t ikev2_sa_peer_addresses(const struct ikev2_sa *sa, struct address out[IKEV2_ADDRESSES_MAX]);

/* RFC 9329 6.1: the IKE SA, whose messages go over TCP, has another connection from now on. Who
 * opened it says so when it is there, and the machine tells the peer by asking something; the other
 * side when an authentic ESP packet came out of it (an IKE message it follows by itself). What was
 * asked and not answered is asked again. No TELL_MOVED follows. False, and nothing: the IKE SA is
 * not one over TCP, or over. */
MUST_USE bool ikev2_sa_carry(struct ikev2_sa *sa, const struct endpoint *local,
                             const struct endpoint *peer, uint64_t now_ms,
                             struct ikev2_actions *actions);

/* For status. */
struct ikev2_sa_info {
    uint64_t spi_i, spi_r;
    bool initiator, established;
    struct suite suite;
    uint16_t post_quantum; /* the key exchange of that kind all keys depend on; 0 none */
    enum ikev2_ppk_use ppk;
    struct endpoint local, peer;
    bool nat_local, nat_peer;
    bool nat_asked; /* the peer's NAT is none: he wants UDP */
    bool mobile; /* both sides can move (RFC 4555) */
    bool mobile_initiator; /* and we decide when: we began the first IKE SA */
    struct ike_identity peer_id;
    uint64_t rekey_ms;
    uint64_t reauthenticate_ms; /* NEVER_MS: never, or begun already */
    unsigned child_count;
    unsigned retransmissions; /* of the open request */
    uint8_t open_exchange; /* 0 when no request of ours is open */
    const char *state; /* one word for trace and logs */
};
void ikev2_sa_get_info(const struct ikev2_sa *sa, struct ikev2_sa_info *out);
/* Children in order; false behind the last. Keys are not shown. */
MUST_USE bool ikev2_sa_child_at(const struct ikev2_sa *sa, size_t index,
                                struct ikev2_child_info *out);

#endif
