/*
 * The IKEv1 machine (RFC 2407, 2408, 2409): what one peer and we agreed about keys, in phase 1, and
 * the children that phase 2 made. It outlives its ISAKMP SAs: each has a lifetime and is replaced
 * by another phase 1, and children go on meanwhile.
 *
 * Each function below is one event; it appends to a bounded list of actions what must be done now,
 * in that order. The machine never calls anyone, keeps no clock and touches no socket: what it
 * needs is an ASK, and the answer is another event. Being woken too early, an answer to a question
 * that is no longer open, and any bytes at all in ikev1_sa_receive() are harmless.
 *
 * The words are those of proto/ikev2/sa.h, so that the gateway treats both alike. What is
 * different:
 *
 * - Who a peer is may have to be answered before he says so: in Main Mode with a shared key the key
 *   is needed to read his identity (RFC 2409 5.4). So ASK_PEER comes before that, and it is
 *   answered with a list of policies that are possible, and the machine finds out which of them it
 *   is; ESTABLISHED says which.
 * - One Quick Mode has one pair of selectors. A child policy with more of them becomes one child
 *   for each pair.
 * - A peer replaces an ISAKMP SA by beginning anew, with a message that belongs to no machine. So a
 *   new responder comes into being; when it is established and its peer has a machine already, the
 *   older one takes over what the new one has: ikev1_sa_absorb().
 */
#ifndef SEKISHO_PROTO_IKEV1_SA_H
#define SEKISHO_PROTO_IKEV1_SA_H

#include "base/address.h"
#include "base/random.h"
#include "base/secret.h"
#include "crypto/catalog.h"
#include "crypto/credential.h"
#include "crypto/key_exchange.h"
#include "crypto/rsa_envelope.h"
#include "crypto/trust.h"
#include "proto/ike/identity.h"
#include "wire/ikev1.h"

#define IKEV1_CHILD_NAME_BYTES 64
#define IKEV1_CANDIDATES_MAX 16 /* policies that one peer may turn out to have */

/* ---- logins ---- */

enum ikev1_login_kind {
    IKEV1_LOGIN_GENERIC, /* name and password */
    IKEV1_LOGIN_CHAP, /* RADIUS-CHAP: the password is not said */
    IKEV1_LOGIN_OTP, /* name, password and the passcode of a card */
};

/* What a login consists of. NEXT_PIN and ANSWER are asked for alone. */
enum ikev1_credential {
    IKEV1_CREDENTIAL_USER = 0x01,
    IKEV1_CREDENTIAL_PASSWORD = 0x02,
    IKEV1_CREDENTIAL_PASSCODE = 0x04, /* of a token card */
    IKEV1_CREDENTIAL_DOMAIN = 0x08,
    IKEV1_CREDENTIAL_NEXT_PIN = 0x10, /* a new PIN that the user chooses */
    IKEV1_CREDENTIAL_ANSWER = 0x20, /* to what the message says */
};

#define IKEV1_CHAP_CHALLENGE_BYTES 16
#define IKEV1_CHAP_RESPONSE_BYTES 16
#define IKEV1_CREDENTIAL_BYTES_MAX 256 /* of each; longer ones are refused */
#define IKEV1_LOGIN_MESSAGE_BYTES_MAX 512

/* Octets as the user typed them; none: not said. */
struct ikev1_credentials {
    struct slice user, password, passcode, domain, next_pin, answer;
    /* At a gateway with CHAP, in the place of the password: the identifier, and MD5 over it, the
     * password and the challenge (RFC 1994 4.1). A client makes it of the password. */
    bool chap;
    uint8_t chap_identifier;
    struct slice chap_response;
};

/* What is asked of a gateway about what a client said. Borrowed until the next event; the octets
 * are wiped then. */
struct ikev1_login_question {
    uint32_t id;
    enum ikev1_login_kind kind;
    unsigned round; /* from 1 */
    struct ikev1_credentials said;
    struct slice challenge; /* CHAP */
    const struct ikev1_policy *policy;
    struct ike_identity peer_id; /* proven in phase 1: perhaps only the name of a group */
    struct endpoint peer;
};

enum ikev1_login_verdict {
    IKEV1_LOGIN_ACCEPTED,
    IKEV1_LOGIN_REFUSED,
    IKEV1_LOGIN_MORE, /* another round */
};

struct ikev1_login_answer {
    enum ikev1_login_verdict verdict;
    struct slice message; /* shown to the user; empty: none */
    unsigned wanted; /* MORE: bits of enum ikev1_credential; 0: the same again. An ANSWER has a
                        message */
};

/* What a gateway asks of us, a client. Borrowed until the next event. */
struct ikev1_credentials_question {
    uint32_t id;
    unsigned round; /* from 1: later ones say that what was said before did not do, or not yet */
    enum ikev1_login_kind kind;
    unsigned wanted; /* bits of enum ikev1_credential */
    struct slice challenge; /* CHAP: the password is answered all the same, and not said */
    struct slice message; /* for the user: of a peer, not escaped */
};

/* ---- settings ---- */

#define IKEV1_SETTINGS_SERVERS_MAX 8
#define IKEV1_SETTINGS_NETWORKS_MAX 64
#define IKEV1_SETTINGS_NAMES_BYTES 1024
#define IKEV1_SETTINGS_BANNER_BYTES 1024

struct ikev1_settings {
    struct address ipv4, ipv6; /* of the client; no family: none */
    struct address ipv4_netmask; /* no family: not said */
    size_t dns_count, wins_count, dhcp_count; /* of either family */
    struct address dns[IKEV1_SETTINGS_SERVERS_MAX];
    struct address wins[IKEV1_SETTINGS_SERVERS_MAX];
    struct address dhcp[IKEV1_SETTINGS_SERVERS_MAX];
    uint32_t lifetime_s; /* of the address; 0: not said */
    char version[64]; /* of the peer's program, escaped */
    /* Of Cisco Unity. */
    char domain[256]; /* the default domain; of a peer: escaped */
    char split_dns[IKEV1_SETTINGS_NAMES_BYTES]; /* domains, with commas */
    char banner[IKEV1_SETTINGS_BANNER_BYTES]; /* of a peer: escaped but for ends of lines */
    size_t include_count; /* networks behind the gateway; none: everything goes there */
    struct network include[IKEV1_SETTINGS_NETWORKS_MAX];
    size_t exclude_count; /* networks that stay local */
    struct network exclude[IKEV1_SETTINGS_NETWORKS_MAX];
    bool save_password; /* the client may keep it */
    uint16_t pfs_group; /* wanted in Quick Mode; 0: none said */
};

/* What a client asks for. */
enum ikev1_setting {
    IKEV1_SETTING_IPV4 = 0x0001,
    IKEV1_SETTING_IPV6 = 0x0002,
    IKEV1_SETTING_DNS = 0x0004,
    IKEV1_SETTING_WINS = 0x0008,
    IKEV1_SETTING_DOMAIN = 0x0010,
    IKEV1_SETTING_SPLIT_DNS = 0x0020,
    IKEV1_SETTING_INCLUDE = 0x0040,
    IKEV1_SETTING_BANNER = 0x0080,
};

/* What is asked of a gateway: which settings this client gets. */
struct ikev1_settings_question {
    uint32_t id;
    unsigned wanted; /* bits of enum ikev1_setting; pushed: all */
    bool pushed; /* he did not ask */
    struct address ipv4, ipv6; /* those that he would like to have; no family: any */
    char version[64]; /* of his program, escaped */
};

/* ---- policy: owned by the gateway, unchanged and alive as long as any SA points to it ---- */

enum ikev1_mode {
    IKEV1_MODE_TUNNEL,
    IKEV1_MODE_TRANSPORT, /* nothing else: a child in tunnel mode is refused */
    IKEV1_MODE_PREFER_TRANSPORT, /* transport is asked for; a peer may have either */
};

/* The packet for which a child is begun: of the policy's pairs the first that has it is taken. */
struct ikev1_packet {
    struct selector local, remote;
};

struct ikev1_child_policy {
    char name[IKEV1_CHILD_NAME_BYTES];
    uint32_t policy_id; /* the gateway's own number, given back with each child */
    const struct selector *local;
    size_t local_count;
    const struct selector *remote;
    size_t remote_count;
    const struct proposals *proposals; /* all of ESP or all of AH; key exchanges in it are PFS,
                                          strongest first; none means no PFS */
    const struct proposals *around; /* of AH, around each SA of ESP (a bundle, RFC 2401 4.3); NULL:
                                       nothing is */
    bool compress; /* IPComp is offered inside ESP, and taken */
    enum ikev1_mode mode;
    bool any_group; /* as responder: with PFS or without, by any group that is offered and that we
                       can do; else as the proposals say */
    bool accept_wider; /* as responder: to a peer that proposes more than the policy has it is said
                          yes, and the child carries what both have, of all the policy's networks;
                          else he is refused, for he does not learn of it (RFC 2409 5.5) */
    uint64_t lifetime_ms; /* rekeyed before this, with jitter; NEVER_MS never (28800 s are said) */
    uint32_t lifetime_kilobytes; /* said to the peer; 0: nothing is said */
    bool start; /* brought up by the initiator without being asked */
};

/* Which ways through a NAT are offered. */
enum ikev1_natt {
    IKEV1_NATT_ALL, /* RFC 3947, and the drafts 02 and 03 */
    IKEV1_NATT_DRAFTS, /* for those who stumble over RFC 3947 */
    IKEV1_NATT_NEVER,
};

/* By what the owner of a key proves that he has it. */
enum ikev1_proof_by {
    IKEV1_PROOF_SIGNATURE,
    IKEV1_PROOF_ENCRYPTION, /* RSA: he can read what was sealed for him (RFC 2409 5.2) */
    IKEV1_PROOF_REVISED, /* the same with half the work (5.3) */
};

/* How a site proves itself and what it believes, where there is no shared key. Owned and unchanged
 * as long as any policy points to it. */
struct ikev1_certificates {
    const struct credential *own; /* RSA, or ECDSA on a curve of NIST: the peer has the same kind */
    const struct trust *trust; /* its authorities are named in requests for certificates. With
                                  encryption it must have the peer's key (trust_pinned()), but for
                                  a responder of the revised mode, to whom it can be shown */
    enum ikev1_proof_by by;
};

/* A login beside the proof of phase 1 (draft-beaulieu-ike-xauth-02). */
enum ikev1_login {
    IKEV1_LOGIN_NONE,
    IKEV1_LOGIN_ASK, /* we ask the peer for one, whoever began: we are the gateway */
    IKEV1_LOGIN_ANSWER, /* the peer asks us: we are the client */
};

/* Settings that a gateway gives to a client (draft-dukes-ike-mode-cfg-02). */
enum ikev1_settings_way {
    IKEV1_SETTINGS_NONE, /* who asks is not answered, what is told is not taken */
    IKEV1_SETTINGS_GIVE, /* gateway: the client asks (pull) */
    IKEV1_SETTINGS_PUSH, /* gateway: the client is told unasked; who asks first is answered */
    IKEV1_SETTINGS_ASK, /* client: we ask */
    IKEV1_SETTINGS_TAKE, /* client: we are told */
};

struct ikev1_policy {
    const struct proposals *ike; /* of each: encryption, PRF (its hash is IKEv1's), key exchange */
    struct ike_identity local_id;
    struct ike_identity peer_id; /* type 0: whatever it says */
    struct secret shared_key;
    const struct ikev1_certificates *certificates; /* NULL: both sides have the shared key; else it
                                                      is not used */
    uint64_t ike_lifetime_ms; /* replaced before this, with jitter; NEVER_MS never, and 86400 s are
                                 said */
    uint64_t liveness_ms; /* silence after which the peer is asked (RFC 3706), when he can be;
                             NEVER_MS off */
    uint64_t retransmit_first_ms; /* then grows by 1.8 up to retransmit_max_ms */
    uint64_t retransmit_max_ms;
    unsigned retransmit_tries;
    uint64_t grace_ms; /* how long an old inbound SA is kept after its replacement */
    enum ikev1_natt natt;
    bool force_encapsulation; /* UDP even without a NAT: our NAT-D is made to differ */
    bool
        aggressive; /* Aggressive Mode: as initiator instead of Main Mode, as responder beside it */
    bool strict_id_types; /* else identities are matched by value across types */
    bool initial_contact; /* we have no other SA with this peer */
    bool no_vendor_ids; /* only those without which nothing goes: NAT traversal */
    uint16_t fragment_bytes; /* of the IP packet, where the peer takes fragments of messages as
                                Windows and Cisco do; 0: none are sent or taken */
    bool initiate; /* as responder: a phase 1 that ended may be begun anew by us */
    enum ikev1_login login;
    enum ikev1_login_kind login_kind; /* ASK: how */
    bool login_once; /* ASK: who proved the same name by a certificate is not asked again when the
                        ISAKMP SA is renewed by us (draft-beaulieu-ike-xauth-02 5.5); a key of many
                        proves nobody, so there it means nothing */
    bool hybrid; /* only the gateway proves itself in phase 1, by its certificate, and the client by
                    the login alone: `certificates` has no `own` at the client and no `trust` at the
                    gateway */
    enum ikev1_settings_way settings;
    struct address wish_ipv4, wish_ipv6; /* ASK: those that we had before; no family: any */
    const struct ikev1_child_policy *children;
    uint32_t child_count;
};

/* What a responder knows before it knows whose message it is: any of these proposals would do. */
struct ikev1_responder_policy {
    const struct proposals *const *ike; /* one list per different site policy */
    size_t ike_count;
    bool shared_keys; /* some site proves itself by one */
    bool rsa, ecdsa_256, ecdsa_384, ecdsa_521; /* some site has a certificate of that kind */
    bool dss; /* the same with DSA, only with SHA-1 */
    bool rsa_encryption, rsa_revised; /* some site proves itself so */
    /* The same of those that ask for a login; these do not count above. */
    bool login_shared_keys, login_rsa, login_hybrid;
    bool aggressive; /* some site may begin in Aggressive Mode */
    struct ike_identity local_id; /* said in Aggressive Mode to whom nobody knows */
    enum ikev1_natt natt;
    bool force_encapsulation;
    bool no_vendor_ids;
    uint16_t fragment_bytes;
    uint64_t ike_lifetime_ms; /* what is said when the peer says nothing or more */
    uint64_t half_open_ms; /* given up when it is not authenticated by then */
    uint64_t cookie; /* ours in the first phase 1; 0: any */
};

/* ---- actions ---- */

enum ikev1_action_kind {
    IKEV1_SEND, /* datagram */
    IKEV1_ASK_KEY_EXCHANGE, /* key_exchange: ikev1_sa_answer_key_exchange() */
    IKEV1_ASK_SPI, /* spi: an inbound ESP or AH SPI: ikev1_sa_answer_spi() */
    IKEV1_ASK_PEER, /* responder: who may this be and what may he do: ikev1_sa_answer_peer() */
    IKEV1_ASK_PROOF, /* proof: a signature is to be made or verified: ikev1_sa_answer_proof() */
    IKEV1_ASK_LOGIN, /* login: gateway: may he in who says this: ikev1_sa_answer_login() */
    IKEV1_ASK_CREDENTIALS, /* credentials: client: what shall be said:
                              ikev1_sa_answer_credentials() */
    IKEV1_ASK_SETTINGS, /* settings: gateway: what this client gets: ikev1_sa_answer_settings() */
    IKEV1_TELL_SETTINGS, /* settings_told: client: what the gateway gave, after ESTABLISHED and
                            perhaps again. Children of the policy that start by themselves begin in
                            the same event: who needs the address for them sets another policy now,
                            and starts them */
    IKEV1_TELL_SPI_ADDED, /* ike_spi: our cookie under which messages for this machine arrive */
    IKEV1_TELL_SPI_REMOVED,
    IKEV1_TELL_ESTABLISHED, /* established: both sides are authenticated for the first time, where
                               there is a login by that too. Of a
                               responder whose peer has a machine already: see ikev1_sa_absorb() */
    IKEV1_TELL_REKEYED, /* established: another ISAKMP SA is the current one */
    IKEV1_TELL_INITIAL_CONTACT, /* the same as `initial_contact` there, but said later */
    IKEV1_TELL_MOVED, /* moved: the peer, who is behind a NAT, has another address or port */
    IKEV1_CHILD_INSTALL, /* child: inbound at once; outbound is made but not used before
                            IKEV1_CHILD_USE */
    IKEV1_CHILD_USE, /* child: what is sent under its policy, as far as its selectors have it, goes
                        through it from now on */
    IKEV1_CHILD_STOP, /* child: nothing is sent through it any more; inbound goes on */
    IKEV1_CHILD_REMOVE, /* child: all of it is gone */
    IKEV1_SPI_UNUSED, /* esp_spi: one that ikev1_sa_answer_spi() gave and no child was installed
                         with */
    IKEV1_TELL_CHILD_FAILED, /* failed: the rest goes on */
    IKEV1_TELL_FAILED, /* failed: this SA is over and was never established */
    IKEV1_TELL_CLOSED, /* failed says why: this SA is over; children have been removed before. With
                          reason NONE it was absorbed: nothing went wrong */
    IKEV1_TRACE, /* a message in clear, for whoever watches */
};

struct ikev1_key_exchange_question {
    uint32_t id;
    uint16_t group; /* number of crypto/catalog.h */
    const struct key_pair *pair; /* ours when it was made before, else NULL: make one */
    struct slice peer_public; /* empty: only make a pair */
};

/* Everything in it is borrowed until the next event: whoever lets another thread work on it copies
 * what it needs. */
struct ikev1_proof_question {
    uint32_t id;
    bool sign; /* else verify */
    enum signature_scheme scheme; /* one that signs the octets as they are */
    struct slice octets; /* HASH_I or HASH_R */
    const struct ikev1_policy *policy; /* sign: whose credential; verify: whose trust, and which
                                          identity is expected; NULL: nobody's, and it takes as long
                                          to find out */
    /* RSA encryption and no signature: with `sign` the parts are opened with our key, else they are
     * sealed with the peer's. */
    size_t part_count; /* 0: a signature */
    struct {
        struct slice octets;
        size_t least, most; /* how long what is in it may be */
    } parts[ENVELOPE_PARTS_MAX];
    enum digest_id digest; /* of the certificate with whose key it is sealed */
    /* Verify. */
    struct ike_identity said; /* the ID payload */
    struct slice signature;
    size_t certificate_count;
    struct slice certificates[CERTIFICATES_MAX]; /* DER; in no order, and the peer's own is among
                                                    them (RFC 4945 3.3.8), or there are none
                                                    and it is known */
};

struct ikev1_proof_answer {
    bool good;
    struct slice made; /* sign: the signature */
    size_t part_count; /* RSA encryption: each opened or sealed */
    struct slice parts[ENVELOPE_PARTS_MAX];
    struct slice hash; /* of the certificate; empty: sealed with a raw key */
    struct ike_identity proven; /* verify: who it is */
    bool certificate_refused; /* not good: because of the certificate, else of the signature */
    enum certificate_problem problem;
    char detail[384]; /* about the certificate, for people */
};

/* AH around ESP. */
struct ikev1_around {
    uint32_t spi_in, spi_out; /* 0: there is none */
    struct suite suite;
    struct slice key_in, key_out; /* with CHILD_INSTALL */
};

struct ikev1_child_info {
    uint32_t spi_in; /* ours; of ESP where AH goes around it */
    uint32_t spi_out;
    const struct ikev1_child_policy *policy;
    uint8_t protocol; /* PROTOCOL_ESP or PROTOCOL_AH */
    struct suite suite; /* AH: without encryption */
    struct ikev1_around around;
    uint16_t cpi_in, cpi_out; /* RFC 3173, deflate; 0: nothing is compressed */
    bool encapsulated; /* ESP in UDP */
    bool initiator; /* we asked for it */
    uint32_t replaces_spi_in; /* of the child that it rekeys, 0 for a new one */
    bool transport_mode;
    /* In transport mode through a NAT: the addresses with which the peer makes checksums, of what
     * is sent to us and of what is sent by him (NAT-OA, RFC 3947 5.2). No family where there is
     * nothing to mend. */
    struct address original_local, original_peer;
    struct endpoint local, peer;
    const struct selector *local_selectors; /* one, unless the policy says accept_wider */
    size_t local_count;
    const struct selector *remote_selectors;
    size_t remote_count;
    /* With CHILD_INSTALL: suite_encryption_key_bytes() + suite_integrity_key_bytes(). */
    struct slice key_in;
    struct slice key_out;
    uint64_t rekey_ms; /* when it will be rekeyed by us */
    uint32_t lifetime_kilobytes; /* the less of both sides; 0: unlimited. Who counts orders
                                    ikev1_sa_rekey_child() in time */
};

enum ikev1_failure_reason {
    IKEV1_FAIL_NONE,
    IKEV1_FAIL_NO_ANSWER, /* all retransmissions unanswered; `exchange`, `message` say where */
    IKEV1_FAIL_NO_PROPOSAL, /* phase 1: nothing in common; ours, theirs */
    IKEV1_FAIL_BAD_PUBLIC_VALUE,
    IKEV1_FAIL_PEER_UNKNOWN, /* no policy for this address or identity; theirs */
    IKEV1_FAIL_PEER_IDENTITY, /* the peer proved another identity than the one expected; ours,
                                 theirs */
    IKEV1_FAIL_SHARED_KEY, /* the shared keys differ: what he sent cannot be read, or proves
                              nothing */
    IKEV1_FAIL_SHARED_KEY_PERHAPS, /* no answer to our proof, or an unreadable one: a peer whose
                                      shared key differs says just that */
    IKEV1_FAIL_ENCRYPTION, /* RSA encryption: what he sent was not sealed with our key, or he cannot
                              read what was sealed with his; nobody knows which */
    IKEV1_FAIL_PEER_SIGNATURE, /* the peer has not the key of the certificate that he shows */
    IKEV1_FAIL_CERTIFICATE, /* the peer's certificate is refused: certificate, detail */
    IKEV1_FAIL_AUTH_REFUSED, /* the peer answered AUTHENTICATION_FAILED to ours */
    IKEV1_FAIL_AUTH_METHOD, /* the peer wants to authenticate by something that we do not do */
    IKEV1_FAIL_SUITE_NOT_ALLOWED, /* what was agreed is not in the policy of this very peer */
    IKEV1_FAIL_AGGRESSIVE, /* the peer began in Aggressive Mode, which his policy does not allow */
    IKEV1_FAIL_CHILD_NO_PROPOSAL, /* ESP or AH: nothing in common; ours, theirs */
    IKEV1_FAIL_CHILD_MODE, /* transport mode is a must here, and the peer wants a tunnel */
    IKEV1_FAIL_CHILD_AH_NAT, /* AH cannot pass the NAT that was found */
    IKEV1_FAIL_CHILD_SELECTORS, /* networks do not meet; ours, theirs */
    IKEV1_FAIL_CHILD_REFUSED, /* another notify */
    IKEV1_FAIL_CHILD_NO_ANSWER, /* Quick Mode stayed unanswered, while the peer lives */
    IKEV1_FAIL_SYNTAX, /* the peer sent something that the RFCs forbid; detail */
    IKEV1_FAIL_PEER_ERROR, /* another error notify, see notify */
    IKEV1_FAIL_PEER_DELETED,
    IKEV1_FAIL_PEER_DEAD, /* established, and then R-U-THERE unanswered */
    IKEV1_FAIL_EXPIRED, /* the ISAKMP SA ended, nobody replaced it, and no child is left */
    IKEV1_FAIL_ORDERED, /* we were told to close */
    IKEV1_FAIL_HALF_OPEN_TIMEOUT,
    IKEV1_FAIL_LOGIN, /* gateway: the login is refused; client: ours is. detail: what the user was
                         told, or why there was none */
    IKEV1_FAIL_LOGIN_UNASKED, /* client: the gateway should ask for a login, and does not */
    IKEV1_FAIL_LOGIN_TIMEOUT, /* it took too long, or too many rounds */
    IKEV1_FAIL_SETTINGS, /* gateway: the client gets none; client: the gateway gives none, or no
                            address */
    IKEV1_FAIL_REPLACED, /* by INITIAL-CONTACT or another SA with the same peer */
    IKEV1_FAIL_RESOURCES, /* memory, SPIs, a failing crypto library */
};

struct ikev1_failure {
    enum ikev1_failure_reason reason;
    uint8_t exchange; /* in which (its type), 0 when none */
    uint8_t message; /* of the exchange, counted from 1: the one that was missing or wrong; 0 */
    uint16_t notify; /* received or sent, 0 when none */
    enum certificate_problem certificate; /* with IKEV1_FAIL_CERTIFICATE */
    char ours[384]; /* in words of the configuration; empty when it does not apply */
    char theirs[384]; /* escaped */
    char detail[384];
};

struct ikev1_action {
    enum ikev1_action_kind kind;
    union {
        struct {
            struct endpoint local, peer;
            struct slice bytes; /* the ISAKMP message without non-ESP marker; borrowed until the
                                   next event */
        } send;
        struct ikev1_key_exchange_question key_exchange;
        struct {
            uint32_t id;
        } spi;
        struct {
            uint32_t id;
            struct endpoint peer;
            struct ike_identity peer_id; /* what he says to be, not proven yet; type 0: he did not
                                            say it yet */
            bool aggressive;
        } asked_peer;
        struct ikev1_proof_question proof;
        struct ikev1_login_question login;
        struct ikev1_credentials_question credentials;
        struct ikev1_settings_question settings;
        const struct ikev1_settings *settings_told; /* borrowed until the next event */
        uint64_t ike_spi;
        uint32_t esp_spi;
        struct {
            uint64_t spi_i, spi_r; /* cookies */
            struct suite suite;
            const struct ikev1_policy *policy; /* which of those that were possible */
            struct ike_identity peer_id; /* proven */
            struct endpoint local, peer;
            bool nat_local, nat_peer; /* who is behind a NAT */
            bool initiator;
            bool aggressive;
            bool login; /* a login was asked for: `peer_id` may be the name of many */
            bool initial_contact; /* the peer has no other SA with us (RFC 2407 4.6.3.3): an older
                                     machine of his is closed and not absorbed into. With a login,
                                     of the same user */
        } established; /* ESTABLISHED and REKEYED */
        struct {
            struct endpoint local, peer; /* children go there too */
            bool nat_local, nat_peer;
        } moved;
        struct ikev1_child_info child;
        struct {
            struct ikev1_failure failure;
            char child_name[IKEV1_CHILD_NAME_BYTES];
        } failed;
        struct {
            bool sent; /* else received */
            bool retransmitted;
            struct ikev1_header header;
            struct slice payloads; /* in clear, borrowed until the next event; no keys in it */
        } trace;
    };
};

/* What one event can lead to at most: see ikev1_act(). */
#define IKEV1_ACTIONS_MAX 832

struct ikev1_actions {
    size_t count;
    struct ikev1_action list[IKEV1_ACTIONS_MAX];
};

/* ---- the machine ---- */

struct ikev1_sa;

/* A message that belongs to no machine: whether it may be the first of a peer (Main Mode, or
 * Aggressive Mode where that is allowed), for which a responder can be made. All else is dropped
 * without an answer. The same first message again has no cookie of ours in it: whoever keeps the
 * machines finds the one that it made by the peer's endpoint and his cookie, and gives it to it. */
MUST_USE bool ikev1_sa_may_begin(struct slice message, bool aggressive);

/* NULL when there is no memory. `random` is borrowed for life. */
MUST_USE struct ikev1_sa *ikev1_sa_new_initiator(const struct ikev1_policy *policy,
                                                 const struct endpoint *local,
                                                 const struct endpoint *peer,
                                                 struct random_source *random);
/* The first message then goes into ikev1_sa_receive(). `policy` is read until the SA is established
 * or over. */
MUST_USE struct ikev1_sa *ikev1_sa_new_responder(const struct ikev1_responder_policy *policy,
                                                 const struct endpoint *local,
                                                 const struct endpoint *peer,
                                                 struct random_source *random);
void ikev1_sa_free(struct ikev1_sa *sa); /* NULL is allowed */

void ikev1_sa_start(struct ikev1_sa *sa, uint64_t now_ms, struct ikev1_actions *actions);
void ikev1_sa_receive(struct ikev1_sa *sa, struct slice message, const struct endpoint *local,
                      const struct endpoint *peer, uint64_t now_ms, struct ikev1_actions *actions);
void ikev1_sa_time(struct ikev1_sa *sa, uint64_t now_ms, struct ikev1_actions *actions);
/* When ikev1_sa_time() is wanted next. */
uint64_t ikev1_sa_deadline_ms(const struct ikev1_sa *sa);
/* Nobody looks any more at what the actions of the last event borrowed: it is wiped and freed, as
 * the next event would do. */
void ikev1_sa_rest(struct ikev1_sa *sa);

/* `pair` (when one was to be made) and `shared` are moved from. ok false: the peer's value is
 * refused. */
void ikev1_sa_answer_key_exchange(struct ikev1_sa *sa, uint32_t id, bool ok, struct key_pair *pair,
                                  struct secret *shared, uint64_t now_ms,
                                  struct ikev1_actions *actions);
/* spi 0: none is free. */
void ikev1_sa_answer_spi(struct ikev1_sa *sa, uint32_t id, uint32_t spi, uint64_t now_ms,
                         struct ikev1_actions *actions);
/* Policies that this peer may have, the likeliest first; none: nobody of that address or name,
 * which is answered like a wrong key, in the same time. They stay as they are until the SA is
 * established or over: who replaces policies closes responders that are not established. */
void ikev1_sa_answer_peer(struct ikev1_sa *sa, uint32_t id,
                          const struct ikev1_policy *const *policies, size_t count, uint64_t now_ms,
                          struct ikev1_actions *actions);
void ikev1_sa_answer_proof(struct ikev1_sa *sa, uint32_t id,
                           const struct ikev1_proof_answer *answer, uint64_t now_ms,
                           struct ikev1_actions *actions);

void ikev1_sa_answer_login(struct ikev1_sa *sa, uint32_t id,
                           const struct ikev1_login_answer *answer, uint64_t now_ms,
                           struct ikev1_actions *actions);
/* `credentials` NULL: there are none, which ends it. What is wanted and not there is said empty. */
void ikev1_sa_answer_credentials(struct ikev1_sa *sa, uint32_t id,
                                 const struct ikev1_credentials *credentials, uint64_t now_ms,
                                 struct ikev1_actions *actions);
/* `settings` NULL: this client gets none, which ends it. The policy may be set anew after it, with
 * children for the address that was given; before the peer has read the answer he asks for none. */
void ikev1_sa_answer_settings(struct ikev1_sa *sa, uint32_t id,
                              const struct ikev1_settings *settings, uint64_t now_ms,
                              struct ikev1_actions *actions);

/* `from` has just told ESTABLISHED, and its peer is `sa`'s: what it has (its ISAKMP SA, and
 * children if any) is `sa`'s from now on, and `from` is over without a word to the peer. Actions of
 * `sa` say what came (SPI_ADDED, REKEYED or ESTABLISHED), those of `from` what went (SPI_REMOVED,
 * CLOSED with reason NONE); do those of `from` first. */
void ikev1_sa_absorb(struct ikev1_sa *sa, struct ikev1_sa *from, uint64_t now_ms,
                     struct ikev1_actions *actions, struct ikev1_actions *from_actions);

/* Orders. Those that cannot be obeyed in the present state are remembered or have no effect. */
/* Deletes are sent once, TELL_CLOSED comes at once. */
void ikev1_sa_close(struct ikev1_sa *sa, enum ikev1_failure_reason why, uint64_t now_ms,
                    struct ikev1_actions *actions);
void ikev1_sa_rekey(struct ikev1_sa *sa, uint64_t now_ms, struct ikev1_actions *actions);
void ikev1_sa_rekey_child(struct ikev1_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev1_actions *actions);
/* All pairs of the policy that have no child yet. */
void ikev1_sa_start_child(struct ikev1_sa *sa, const struct ikev1_child_policy *child,
                          uint64_t now_ms, struct ikev1_actions *actions);
/* Each pair of the policy has one that is used or on its way to be. */
MUST_USE bool ikev1_sa_has_children(const struct ikev1_sa *sa,
                                    const struct ikev1_child_policy *child);
/* The pair that has the packet, unless there is a child that carries it. */
void ikev1_sa_start_child_for(struct ikev1_sa *sa, const struct ikev1_child_policy *child,
                              const struct ikev1_packet *packet, uint64_t now_ms,
                              struct ikev1_actions *actions);
void ikev1_sa_close_child(struct ikev1_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev1_actions *actions);
/* R-U-THERE, where the peer can answer it (RFC 3706); else nothing. */
void ikev1_sa_ask_liveness(struct ikev1_sa *sa, uint64_t now_ms, struct ikev1_actions *actions);
/* The policy was replaced by one that is equal in all that is agreed already (configuration
 * reload). Children find theirs again by name; one whose name is gone is closed. */
void ikev1_sa_set_policy(struct ikev1_sa *sa, const struct ikev1_policy *policy);

/* From the data plane: an authentic packet came in through this child (liveness, and the peer uses
 * the new child). */
void ikev1_sa_child_heard(struct ikev1_sa *sa, uint32_t spi_in, uint64_t now_ms,
                          struct ikev1_actions *actions);
/* From the data plane: the newest authentic packet that came in through this child came from there
 * in UDP. A peer behind a NAT is there now: what we send goes there from now on, and TELL_MOVED
 * says so. */
void ikev1_sa_child_moved(struct ikev1_sa *sa, uint32_t spi_in, const struct endpoint *peer,
                          uint64_t now_ms, struct ikev1_actions *actions);

/* For status. */
struct ikev1_sa_info {
    uint64_t spi_i, spi_r; /* of the current ISAKMP SA; 0: there is none just now */
    bool initiator, established;
    bool aggressive;
    struct suite suite;
    struct endpoint local, peer;
    bool nat_local, nat_peer;
    bool liveness; /* the peer answers R-U-THERE */
    struct ike_identity peer_id;
    uint64_t rekey_ms;
    unsigned child_count;
    unsigned retransmissions; /* of the message that is not answered yet */
    uint8_t open_exchange; /* its exchange type; 0 when none is open */
    const char *state; /* one word for trace and logs */
};
void ikev1_sa_get_info(const struct ikev1_sa *sa, struct ikev1_sa_info *out);
/* Children in order; false behind the last. Keys are not shown. */
MUST_USE bool ikev1_sa_child_at(const struct ikev1_sa *sa, size_t index,
                                struct ikev1_child_info *out);

#endif
