/*
 * The inside of the gateway: what its files share and nobody else sees.
 *
 *     gateway.c     events: what comes in, and which object it is for
 *     actions.c     the queue of what must be done outside
 *     questions.c   what was asked outside and not answered yet
 *     apply.c       from one configuration to the next
 *     policies.c    selectors of a site, and the security policy database made of them
 *     terms.c       what the IKEv2 machine is told about a site
 *     proposals.c   lists of proposals, each kept once
 *     routes.c      networks that lead to the TUN device
 *     hosts.c       the two ends of transport mode, as far as they are known
 *     identities.c  which site a stranger means
 *     admission.c   which strangers get an IKE SA at all
 *     ike.c         one IKE SA: its machine's actions are carried out
 *     machine.c     the machine of an IKE SA, of whichever version
 *     ikev1.c       what is different when a peer speaks IKEv1
 *     children.c    SAs for data in the data plane
 *     populate.c    children of sites that have one for each pair of hosts or connection, or for
 *                   each sealing worker
 *     manual.c      SAs whose keys the administrator made
 *     sites.c       when a site is up, and what is done when it is not
 *     dial.c        one try after the other to reach a site's peer
 *     duplicates.c  two IKE SAs with one peer
 *     mobility.c    addresses that change under a tunnel
 *     people.c      who logs in, and what he is told
 *     leases.c      which address somebody gets
 *     rations.c     how often somebody may try a password
 *     sessions.c    what somebody has who is in
 *     callers.c     what a gateway for people gives us
 *     path.c        how large a packet the path carries, asked with packets
 *     persona.c     what follows from whom a peer looks like
 *     resilience.c  coming back, and proving again
 *     returning.c   back to a peer that stands before the one in use
 *     silence.c     a peer that is sent to and says nothing
 *     transport.c   TCP connections for sites, and what happens when one is lost
 *     notes.c       what the data plane has to say
 *     drops.c       examples of packets that were dropped
 *     hearsay.c     what those say about a site who proved nothing
 *     orders.c      what the administrator wants
 *     attempts.c    failures of strangers
 *     names.c       a peer's name that means something else while it is in use
 *     negotiations.c  the last negotiations and what came of them
 *     uplinks.c     by which line of ours a peer is reached
 *     verify.c      whether keys can be renewed, tried at once
 *     trace.c       the last messages of each site
 *     status.c      snapshots
 *     explain.c     why a site is not up
 *     differences.c where the two sides differ, attribute by attribute
 *
 * The machine of an IKE SA is never entered while the actions of another (or of itself) are being
 * carried out: what follows from an action is noted (`todo`) and done by gateway_settle() at the
 * end of the event.
 */
#ifndef SEKISHO_GATEWAY_INSIDE_H
#define SEKISHO_GATEWAY_INSIDE_H

#include "base/deadline.h"
#include "base/table.h"
#include "gateway/machine.h"
#include "gateway/status.h"
#include "proto/ikev2/gate.h"
#include "wire/ip.h"

#define IKE_PORT 500
#define IKE_NAT_PORT 4500
#define IKE_SA_MAX_DEFAULT 100000
#define HOST_ADDRESSES_MAX 64 /* of this machine */
#define SITE_ADDRESSES_MAX 8 /* of one host name */
#define IKE_SPIS_MAX 8 /* of one machine: as many as it may keep at once */
#define DIALS_IN_FLIGHT_MAX 200
#define DIAL_SLOT_MS 3000 /* after that a silent peer does not keep others waiting */
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS 60000
#define STEADY_MS 10000 /* up for so long: the next failure begins with a short wait */
#define BETTER_WAY_MS 30000 /* a better way than the one in use is tested so often */
#define KEEPALIVE_MS 20000 /* RFC 3948 4 */
/* Key exchanges of strangers that are under way at once. What comes while so many are is not looked
 * at: an honest peer sends again, and then does not wait behind thousands. */
#define STRANGERS_EXCHANGES_MAX 512
#define QUEUED_SENDS_MAX 65536 /* datagrams may be lost; more of them would only be late */

/* The traffic of a site is one part, or several: "only tcp 25 both" is what goes to the peer's
 * port, and what goes to ours; with "children per-pair" each pair of networks is one. Each has a
 * policy of its own and a child of its own. */
#define SITE_PARTS_MAX CONFIG_PAIRS_MAX
#define HOST_PARTS_MAX 2 /* in transport mode */

/* ---- timers ---- */

enum timer_kind {
    TIMER_SITE,
    TIMER_IKE,
    TIMER_KEEPALIVE,
    TIMER_PATH,
    TIMER_LINGER,
    TIMER_CARRIER,
    TIMER_SESSION,
};

struct timer {
    struct deadline deadline; /* its tag is an enum timer_kind */
};

/* ---- questions ---- */

struct manual;

enum question_kind {
    QUESTION_RESOLVE,
    QUESTION_RESOLVE_AGAIN, /* of a peer in use */
    QUESTION_SECRET,
    QUESTION_SOURCE, /* of a dial */
    QUESTION_SOURCE_AGAIN, /* whether an IKE SA's own address is still right */
    QUESTION_SOURCE_WAY, /* of another way to a silent peer */
    QUESTION_SOURCE_BEST, /* of the best way, while another is in use */
    QUESTION_SOURCE_HOST, /* of the traffic in transport mode */
    QUESTION_KEY_EXCHANGE,
    QUESTION_PROOF,
    QUESTION_TCP,
    QUESTION_LOGIN, /* of somebody who wants in */
    QUESTION_PASSWORD, /* ours, where we are a client */
};

struct question {
    struct question *next; /* of the same owner */
    uint64_t id;
    enum question_kind kind;
    bool of_stranger; /* a key exchange for who proved nothing yet */
    struct site *site; /* the owner is the one that is not NULL */
    struct ike *ike;
    struct manual *manual;
    uint32_t machine_question; /* or which key of a manual block */
};

/* ---- terms: what a machine borrows as long as it lives ---- */

struct shared_proposals {
    struct shared_proposals *next, **link;
    size_t references;
    struct proposals list;
};

struct terms {
    uint32_t references;
    bool is_old; /* of IKEv1 too: it stands in a struct ikev1_terms */
    struct shared_proposals *ike, *esp;
    struct ikev2_policy policy;
    struct ikev2_child_policy *children; /* one for each part */
    struct selector *selectors; /* of each part: local, then remote */
};

struct ikev1_terms {
    struct terms terms;
    struct shared_proposals *around; /* AH around ESP; NULL: none */
    struct ikev1_policy policy;
    struct ikev1_certificates certificates;
    struct ikev1_child_policy children[]; /* one for each part */
};

#define AUTHORITIES_BYTES_MAX (20 * CERTIFICATE_KEY_HASH_BYTES)

struct responder_terms {
    size_t references;
    struct ikev2_responder_policy policy;
    struct ikev1_responder_policy old; /* of the sites that speak IKEv1 */
    const struct proposals **old_lists;
    struct site **old_sites; /* that speak IKEv1; of the present configuration */
    size_t old_count;
    uint8_t authorities[AUTHORITIES_BYTES_MAX];
    struct ikev2_redirect redirect;
    const struct proposals **lists;
    struct proposals *copies;
    /* With whom ESP in UDP is not allowed: peers that may be anywhere, or are at an address. */
    bool never_anywhere;
    struct table never_at;
    struct table others_at; /* the other peers' addresses, if anybody may be anywhere */
};

/* ---- an SA for data ---- */

struct child {
    struct child *next; /* of the same IKE SA */
    struct ike *ike;
    uint32_t spi_in;
    uint8_t part; /* of the site */
    uint8_t resource; /* the sealing worker that it is for, counted from 1; 0: for all */
    bool installed;
    bool may_send; /* the machine says so */
    bool in_use;
    bool stopped;
    bool closing; /* by us */
    bool redundant; /* to be closed: another one does the same */
    uint64_t since_ms;
    uint64_t installed_number; /* grows: the newest is the greatest */
    uint64_t told_in_ms; /* inbound traffic that the machine was told about */
};

/* ---- how large a packet the path carries ---- */

enum path_step {
    PATH_REST,
    PATH_LINK, /* as much as the link here? */
    PATH_AGAIN, /* as much as was found before? */
    PATH_SEARCH, /* between low, which passes, and high, which does not */
};

struct path {
    struct timer timer;
    uint16_t low, high;
    uint16_t asked; /* octets of the packet on its way */
    uint16_t found; /* by asking; 0: all that the link carries, or not known */
    uint8_t step; /* enum path_step */
    uint8_t failed; /* of this size */
    uint8_t left; /* packets until it is given up for this time */
};

/* ---- an IKE SA ---- */

enum ike_order {
    IKE_ORDER_CLOSE = 1,
    IKE_ORDER_START_CHILD = 2,
    IKE_ORDER_LIVENESS = 4,
    IKE_ORDER_REKEY = 8,
    IKE_ORDER_REKEY_CHILDREN = 16,
    IKE_ORDER_CLOSE_REDUNDANT = 64,
    IKE_ORDER_PROBE = 128,
    IKE_ORDER_ANNOUNCE = 256, /* our addresses */
    IKE_ORDER_REDIRECT = 2048, /* the peer goes to another gateway */
    IKE_ORDER_HURRY = 512, /* the peer is there: what is open is asked again at once */
    IKE_ORDER_ABSORB = 1024, /* IKEv1: an older one takes over what it has */
    IKE_ORDER_PERSON = 4096, /* something of a login or of settings is to be answered */
    IKE_ORDER_ANSWER_PEER = 32, /* the site's secret is there, or will not come */
};

struct ike {
    struct ike *next_of_site, *previous_of_site;
    struct ike *next, *previous; /* of all */
    struct ike *next_todo;
    unsigned orders; /* enum ike_order */
    enum ikev2_failure_reason close_why;
    bool in_todo;
    bool over; /* to be freed when its actions are done */
    uint8_t spi_count;
    uint8_t host; /* of those that we began: which of the site's peers */
    bool beside; /* it was begun to take the place of the one in use */

    struct gateway *gateway;
    union {
        struct ikev2_sa *machine;
        struct old_machine *old; /* is_old: IKEv1 */
    };
    struct site *site; /* NULL until it is known whom the peer means */
    struct terms *terms;
    struct responder_terms *responder_terms;
    struct timer timer, keepalive;
    struct path path;
    struct question *questions;
    struct child *children;

    uint64_t number; /* in the order of creation */
    uint64_t spis[IKE_SPIS_MAX];
    struct endpoint local, peer;
    uint64_t init_spi; /* of a responder: the initiator's, under which its IKE_SA_INIT is found */
    struct endpoint init_peer; /* and where that one is counted as half-open */
    bool initiator, established, half_open, superseded, heard;
    bool resuming : 1;
    bool is_old : 1; /* it speaks IKEv1 */
    bool redirected : 1; /* begun with a gateway to which a peer sent us */
    uint8_t persona; /* enum persona */
    bool persona_said; /* by a vendor ID; else its offer looks so */
    uint32_t peer_question; /* open ASK_PEER, 0 none */
    struct ike_identity *said; /* what the peer says to be; on the heap until it is established */
    uint64_t created_ms, established_ms, heard_ms, sent_ms, hinted_ms;
    uint64_t spi_i, spi_r;
    struct suite suite;
    bool nat_local, nat_peer;
    bool denied; /* the peer says in clear that he knows nothing of our open request */
    struct trace_entry *trace_first, *trace_last; /* until the site is known */
};

/* ---- a site ---- */

enum dial_step {
    DIAL_IDLE,
    DIAL_QUEUED,
    DIAL_SECRET,
    DIAL_RESOLVE,
    DIAL_SOURCE,
    DIAL_TCP, /* a connection is being opened */
    DIAL_GOING,
    DIAL_NEXT, /* the next address or host, as soon as nothing else is going on */
};

/* What went wrong last, in the words of both sides. */
struct trouble {
    enum reason reason;
    uint64_t at_ms;
    bool hearsay; /* from somebody who proved nothing */
    bool by_peer; /* he began */
    uint8_t exchange;
    uint16_t notify;
    struct endpoint peer;
    char ours[STATUS_WORDS_BYTES];
    char theirs[STATUS_WORDS_BYTES];
    char detail[192];
};

struct selectors {
    struct selector *list; /* of each part: local, then remote */
    size_t local_count, remote_count; /* of one part */
    size_t parts;
};

/* Of a site that is not where it would best be. */
struct roaming {
    uint64_t better_way_ms; /* when the best way is tested again */
    uint64_t resolve_ms; /* when the name of the peer in use is asked for again; NEVER_MS: not */
    uint64_t resolve_question; /* open; 0: none */
    struct address answered_from; /* the last answer before it was established; family 0: from where
                                     the question went */
    uint64_t answered_number; /* to which IKE SA */
    uint64_t not_followed; /* how often the peer's address changed, too often to follow */
    uint8_t uplink_tested; /* which of our uplinks is tested next */
    uint8_t renamed; /* so many answers in a row did not have the address in use */
    uint64_t return_ms; /* when the peers before the one in use are tried; NEVER_MS: not */
    uint64_t return_wait_ms; /* how long is waited before that; 0: as at first */
    uint64_t first_ms; /* since when the first peer is in use; 0: another one is */
};

struct hosts;
struct kept_ticket;
struct linger;
struct redirected;

struct site {
    struct gateway *gateway;
    const struct config_site *config; /* of the gateway's present configuration */
    const char *name; /* the same as config->name */
    size_t index; /* in the order of the configuration */
    uint32_t number; /* id of its policy, as long as it exists */
    uint32_t same_identity_up; /* of the first in the list: how many have an IKE SA */
    struct selectors selectors;
    struct ike_identity *expected; /* NULL: any */
    struct site *next_same_identity;
    struct site *next_todo;
    const struct ikev2_ppk
        *ppk; /* what was read of it; NULL: there is none, or it is not known yet */
    struct timer timer;
    struct question *questions;

    bool gone; /* not in the new configuration */
    bool ordered_up, ordered_down;
    bool wanted_by_traffic;
    bool has_slot; /* for dialling */
    bool silent; /* the peer does not answer our open request */
    bool verifying; /* a renewal is being tried */
    bool child_lost; /* the last one was closed, and not by us: looked at when the event is over */
    uint8_t uplink; /* by which what is called is called */
    bool returning; /* what is called is a peer before the one in use, beside it */
    uint8_t ways_tried; /* to a peer who is silent */
    bool astray; /* one of those is in use */
    bool in_todo;
    bool secret_known, secret_asked, secret_stale; /* or the certificates */

    /* The key. */
    struct secret secret;
    const struct ikev2_certificates *certificates; /* NULL: a shared key, or not known yet */
    uint64_t secret_read_ms;
    struct terms *terms; /* NULL until the secret is known */

    /* Dialling. */
    enum dial_step dial;
    struct site *next_queued;
    bool by_tcp; /* this candidate is called by TCP, because UDP is silent */
    bool tcp_helped; /* the last time */
    uint64_t slot_until_ms;
    uint64_t dial_question; /* open; an older one is not ours any more */
    uint64_t question_until_ms;
    size_t host; /* which of the peers */
    struct endpoint *candidates; /* NULL: none were needed yet */
    size_t candidate_count, candidate;
    struct ike *dialled; /* the IKE SA that we began and that is not established yet */
    char *icmp_why; /* what ICMP said during this try */
    unsigned tries;
    uint32_t fallback_after_ms; /* UDP is given up, and TCP tried; 0: not */
    uint64_t backoff_ms, next_try_ms, last_try_ms;
    uint64_t child_backoff_ms, child_try_ms;

    /* What is there. */
    struct ike *ikes; /* newest first */
    size_t ike_count, established_count, child_count;
    struct populate *populate; /* packets that wait for an IKE SA; NULL: none */
    uint64_t own_refused_ms; /* before, no child is asked for a worker alone */
    uint64_t own_look_ms; /* when those are looked at that may be idle */
    struct child *used; /* what is sent goes through it */
    struct child *used_first[2]; /* the same of each part: see site_used_of(); `used` is the first
                                    that is there */
    struct child **used_more; /* of the parts behind the first two; NULL: there were never more */
    struct hosts *hosts; /* transport mode */
    struct redirected *redirected; /* where the peer sent us; NULL: nowhere */
    struct kept_ticket *ticket; /* NULL: none */
    uint64_t duplicates_ms; /* when it is decided which IKE SA stays */
    uint64_t supersede_ms; /* when superseded ones are closed, whatever happens */
    uint64_t silence_look_ms, silence_ask_ms, silence_wait_ms;
    bool try_in_full : 1; /* the same address again, without a ticket */
    bool try_old : 1; /* `ike either`: this round is IKEv1's */
    bool version_failed : 1; /* what was called in this round came to nothing */
    bool is_session : 1; /* somebody's who is in: see sessions.c */

    /* For people. */
    struct trouble *trouble;
    char *route_trouble;
    struct endpoint last_peer;
    uint64_t changed_ms, up_ms, established_ms;
    bool shown_up;
    enum reason_check reached; /* how far the last try came: the first check that is not done */
    uint32_t answer_ms; /* of the first answer */
    uint64_t in_packets, in_bytes, out_packets, out_bytes; /* of SAs that are gone */
    uint64_t replayed, forged, selector_mismatch, last_in_ms, last_out_ms;
    uint64_t rekeys;
    struct roaming *roaming; /* NULL: nothing of it happened yet */
    uint64_t moves, moved_ms; /* how often a tunnel went to other addresses, and when last */
    uint64_t verify_ms; /* when a renewal is tried */
    enum reason logged;
    uint64_t logged_ms;
    unsigned unlogged;
    uint64_t said_since_ms; /* what the log was told of its life since then */
    unsigned said, unsaid;
    struct trace_entry *trace_first, *trace_last;
    size_t trace_count;
};

/* ---- the gateway ---- */

struct queued_action;
struct attempts;
struct negotiations;
struct drops;
struct manual;
struct people;

/* Why sites are looked for by an address. */
enum look {
    LOOK_FAILURE,
    LOOK_HINT,
    LOOK_UNKNOWN_SPI,
    LOOK_UNREACHABLE,
};

#define LOOK_SLOTS 64

struct gateway {
    struct dataplane *dataplane;
    struct random_source *random;
    struct log_sink *log;
    size_t ike_sa_max;
    uint64_t started_ms, configured_ms, now_ms; /* now: of the present event */
    struct config *config;
    bool stopping;
    bool settling;

    struct queued_action *actions_first, *actions_last, *action_taken;
    size_t queued_sends;
    struct deadlines deadlines;

    struct site **sites; /* in the order of the configuration */
    size_t site_count;
    struct manual **manuals; /* in the order of the configuration */
    size_t manual_count;
    uint32_t next_manual;
    struct site **by_number; /* numbers are places in it plus one */
    size_t number_capacity, number_hint; /* no free number before the hint */
    bool policies_refused, policies_stale;
    struct table by_name, by_identity, routes, questions, children;
    struct table ppks; /* by a hash of their names; the first of each */
    uint8_t identity_key[16];
    struct site *any_identity, *any_identity_last;
    uint64_t next_question;

    struct table ike_by_spi, ike_by_init, half_open_by_address;
    struct ike *ikes;
    size_t ike_count, half_open_count, child_count;
    size_t old_half_open_count; /* of IKEv1, which are not among the others */
    struct ikev1_door *old_door; /* NULL until there were many */
    size_t strangers_exchanges; /* open questions */
    size_t failed_count; /* of strangers' IKE SAs since failed_since_ms */
    uint64_t failed_since_ms;
    unsigned openings_used; /* encryption.c: of what strangers may have decrypted */
    uint64_t openings_ms, openings_logged_ms;
    uint64_t next_ike, next_child;
    struct address host_addresses[HOST_ADDRESSES_MAX];
    size_t host_address_count;
    struct gateway_interface interfaces[HOST_ADDRESSES_MAX];
    size_t interface_count;
    struct ikev2_addresses announced; /* borrowed by the terms */
    struct carrier *carriers; /* of the IKE SAs over TCP that we began */
    struct responder_terms *responder_terms;
    struct shared_proposals *proposals;
    struct ikev2_gate gate;
    uint8_t crash_secret[32]; /* the gate's says whether there is one */
    struct ikev2_tickets tickets;
    struct linger *lingering;
    struct ikev2_actions *machine_actions;
    struct ikev1_actions *old_actions; /* NULL until IKEv1 is spoken */
    struct ike *ike_todo;
    struct site *site_todo;

    struct site *queue_first, *queue_last;
    size_t queue_count, dials_in_flight;
    uint64_t addresses_ms, stranger_logged_ms;
    uint64_t looks_since_ms, looked_ms[LOOK_SLOTS];
    unsigned looks;
    unsigned strangers_unlogged;

    struct people *people; /* NULL: there were none yet */
    struct attempts *attempts;
    struct negotiations *negotiations;
    struct drops *drops;
    struct trace_entry *trace_oldest, *trace_newest;
    struct trace_entry *stranger_first, *stranger_last;
    size_t trace_bytes, stranger_count;
    uint64_t trace_number;

    uint64_t initiated, initiated_ok, initiated_failed, answered, answered_ok, answered_failed;
    uint64_t resumed;
    uint64_t ike_rekeys, child_rekeys, cookies_sent, messages_in, messages_out;
    uint64_t refused_full, refused_busy;
    uint64_t gone_in_bytes, gone_in_packets, gone_out_bytes, gone_out_packets;
};

/* ---- populate.c ---- */

bool populate_is_on(const struct site *site);
uint8_t populate_kind(const struct site *site); /* enum policy_populates */
/* A packet found no SA: one is to be made for it. */
void populate_acquire(struct site *site, size_t part, const struct dataplane_note *note,
                      uint64_t now_ms);
/* A sealing worker has no SA of its own (RFC 9611). */
void populate_acquire_own(struct site *site, size_t part, uint8_t resource, uint64_t now_ms);
/* What is sent goes through this child (NULL: none): whether workers are to ask for their own. */
void populate_used(struct site *site, size_t part, const struct child *child);
/* One for a worker was not made or renewed: it does without for a while. */
void populate_refused(struct ike *ike, const struct ikev2_failure *failure, uint64_t now_ms);
/* A child for a worker came or went. */
void populate_own_came(struct site *site, uint64_t now_ms);
void populate_own_went(const struct child *child, uint64_t now_ms);
/* Those that nobody uses are closed. */
void populate_look(struct site *site, uint64_t now_ms);
/* What the machine is told about it. */
void populate_fill_child(const struct site *site, struct ikev2_child_policy *child);
bool populate_waits(const struct site *site);
/* The next packet for which a child is to be begun; false when there is no other. */
MUST_USE bool populate_take(struct site *site, struct ikev2_packet *packet, size_t *part);

/* ---- people.c ---- */
struct person;
struct session;
void people_fini(struct gateway *g);
/* The site is what people get who connect, and its configuration is a new one. */
void people_configured(struct site *block);
void people_forget_block(struct site *block);
MUST_USE bool people_is_block(const struct site *site);
size_t people_block_count(const struct gateway *g);
/* Of a block or of a session; NULL: of neither. */
const struct config_access *people_access(const struct site *site);
void people_fill_terms(const struct site *site, struct ikev1_policy *policy);
void people_fill_responder(const struct site *block, struct ikev1_responder_policy *old);
/* What the machine asks or tells: noted, and done by people_obey(). */
void people_asked_login(struct ike *ike, const struct ikev1_login_question *q);
void people_asked_credentials(struct ike *ike, const struct ikev1_credentials_question *q);
void people_asked_settings(struct ike *ike, const struct ikev1_settings_question *q);
void people_told_settings(struct ike *ike, const struct ikev1_settings *settings);
/* The next of that. True: the machine was told something, and has actions. */
MUST_USE bool people_obey(struct ike *ike, uint64_t now_ms);
/* The machine gets the present terms of its site. */
void people_renew(struct ike *ike);
void people_forget(struct person *person);
/* Who logs in; "" when nobody does. */
const char *people_user(const struct ike *ike);
/* Established, with a login: whose site it is of; NULL: nobody's, it is to be closed. */
MUST_USE struct site *people_admit(struct ike *ike, struct site *block);

/* ---- sessions.c ---- */
void session_free(struct session *s);
/* Nothing is left of it: it ends. */
void session_think(struct site *site, uint64_t now_ms);
void session_time(struct timer *timer, uint64_t now_ms);
const char *session_end_words(enum session_end why);
struct session *session_named(const struct gateway *g, const char *name);
/* The same, and its site. */
const struct site *session_site(const struct gateway *g, const char *name);
/* What they take from the configuration is that of the present one. */
void sessions_configured(struct gateway *g);
void sessions_renew(struct site *block, void (*tell_machines)(struct site *site));
void sessions_close(struct site *block, enum session_end why);
/* False: there is no user and no session of that name. */
MUST_USE bool sessions_down(struct gateway *g, const char *name);
void sessions_free_all(struct gateway *g);
/* Room for all of them: sessions_parts(). */
size_t sessions_policies(const struct gateway *g, struct policy *out);
size_t sessions_parts(const struct gateway *g);

/* ---- callers.c ---- */
MUST_USE bool caller_asks(const struct config_site *config);
/* The peer proves itself by a certificate, and we by no certificate (hybrid). */
MUST_USE bool caller_believes(const struct config_site *config);
/* From what was given; no part: nothing was yet. */
MUST_USE bool caller_make_selectors(const struct site *site, struct selectors *out);
void caller_password(struct ike *ike, uint32_t question, const struct secret *secret,
                     const char *why, uint64_t now_ms);
/* All that was given to the site is taken back. */
void caller_forget(struct site *site);
/* The line `routes` may be another one. */
void caller_routes_configured(struct site *site);
/* An address that was given to a site with routes to this network: this one, if there is a choice.
 * No family: none. */
struct address caller_address_to(const struct gateway *g, const struct network *network,
                                 const struct address *rather);

/* ---- gateway.c ---- */
void gateway_settle(struct gateway *g, uint64_t now_ms);
void gateway_set_timer(struct gateway *g, struct timer *timer, uint64_t at_ms);

/* ---- actions.c ---- */
enum send_size {
    SEND_ANYHOW,
    SEND_WHOLE, /* or not at all */
    SEND_IN_PIECES,
};
struct gateway_action *actions_add(struct gateway *g, enum gateway_action_kind kind);
void actions_send(struct gateway *g, const struct endpoint *local, const struct endpoint *peer,
                  struct slice bytes, enum send_size size);
void actions_send_keepalive(struct gateway *g, const struct endpoint *local,
                            const struct endpoint *peer);
/* What is too long is cut; NULL is empty. */
void actions_copy_words(char *out, size_t capacity, const char *words);
void actions_fini(struct gateway *g);
/* The machine speaks of ports 500 and 4500, the sockets of those of the configuration; the ports of
 * TCP are what they are. */
uint16_t actions_socket_port(const struct gateway *g, const struct endpoint *machine);
uint16_t actions_machine_port(const struct gateway *g, const struct endpoint *socket);

/* ---- questions.c ---- */
/* 0 when there is no memory. */
uint64_t questions_ask(struct gateway *g, enum question_kind kind, struct site *site,
                       struct ike *ike, uint32_t machine_question);
/* Takes it out; false when it is not open (any more). */
MUST_USE bool questions_take(struct gateway *g, uint64_t id, struct question *out);
uint64_t questions_ask_manual(struct gateway *g, struct manual *manual, uint32_t key);
void questions_forget(struct gateway *g, struct question **list);
void questions_ask_secret(struct site *site, uint64_t now_ms);
/* For a stranger: not more often than every few seconds. */
void questions_ask_secret_again(struct site *site, uint64_t now_ms);

/* ---- apply.c ---- */
void apply_free(struct gateway *g);
MUST_USE bool site_is_enabled(const struct site *site);
struct site *apply_find(const struct gateway *g, const char *name);
/* A site of somebody who is in, with a number and no networks yet; NULL: no memory. */
MUST_USE struct site *apply_add_session(struct gateway *g, const struct config_site *config);
void apply_remove_session(struct site *site);

/* ---- policies.c ---- */
MUST_USE bool policies_make_selectors(const struct config *config, const struct config_site *site,
                                      struct selectors *out);
void policies_free_selectors(struct selectors *s);
const struct selector *policies_local(const struct selectors *s, size_t part);
const struct selector *policies_remote(const struct selectors *s, size_t part);
/* As many as its selectors have parts; `room` for the peers of transport mode. */
size_t policies_of_site(const struct site *site, struct selector *room, struct policy *out);
/* The id of the policy of a part of a site, and the part of an id. */
uint32_t policies_id(const struct site *site, size_t part);
size_t policies_part(uint32_t id);
MUST_USE bool policies_selectors_equal(const struct selectors *a, const struct selectors *b);
MUST_USE bool policies_relay_icmp(const struct gateway *g);
/* Tells the data plane, and the log when it refused. */
void policies_publish(struct gateway *g);

/* ---- terms.c ---- */
/* From the site's configuration and secret; NULL when there is no memory or an identity is not one.
 */
MUST_USE struct terms *terms_new(const struct gateway *g, const struct site *site);
struct terms *terms_hold(struct terms *terms);
void terms_release(struct terms *terms); /* NULL is allowed */
MUST_USE bool terms_same_proposals(const struct proposals *a, const struct proposals *b);
/* For the data of a site: of ESP or of AH. */
const struct proposals *terms_proposals(const struct config_site *site);
/* certificates.c */
MUST_USE const struct ikev2_certificates *certificates_new(const struct config_site *config,
                                                           struct credential *own,
                                                           struct trust *trust);
const struct ikev2_certificates *certificates_hold(const struct ikev2_certificates *own);
void certificates_release(const struct ikev2_certificates *own);
MUST_USE bool certificates_are_wanted(const struct config_site *config);
MUST_USE bool certificates_identity(const struct ikev2_certificates *c, struct ike_identity *id);

/* ---- ppk.c ---- */
const struct ikev2_ppk *ppk_hold(const struct ikev2_ppk *own); /* NULL is allowed */
void ppk_release(const struct ikev2_ppk *own);
/* Those that sites have under one of these names; their number. */
#define PPK_KNOWN_MAX 16
size_t ppk_known(const struct gateway *g, const struct slice *names, size_t count,
                 const struct ikev2_ppk *out[PPK_KNOWN_MAX]);
void ppk_forget(struct site *site);
/* It is wanted before a peer says who he is, so nobody waits for it then. */
void ppk_read_again(struct site *site, uint64_t now_ms);
/* Or none is configured. */
MUST_USE bool ppk_is_there(const struct site *site);
MUST_USE bool ppk_same(const struct config_ppk *a, const struct config_ppk *b);
/* What was known under another configuration is forgotten. */
void ppk_configured(struct site *site, const struct config_ppk *before,
                    const struct config_ppk *now);
/* Asks for it; false: there is none. */
MUST_USE bool ppk_ask(struct site *site);
MUST_USE bool ppk_is_question(const struct question *q);
/* Terms are made anew where they change. */
void ppk_answered(struct site *site, const struct secret *secret, const char *why, uint64_t now_ms);
void ppk_established(struct ike *ike, uint64_t now_ms);

/* Nothing new could be said of these authorities. */
MUST_USE bool responder_terms_know(const struct responder_terms *terms, const struct trust *trust);
MUST_USE struct responder_terms *responder_terms_new(struct site *const *sites, size_t count);
/* Whether ESP may go in UDP without a NAT with whoever is at this address. A peer that is known to
 * be there is meant before those who may be anywhere. */
MUST_USE bool responder_terms_prefer_udp(const struct responder_terms *terms,
                                         const struct address *peer);
struct responder_terms *responder_terms_hold(struct responder_terms *terms);
void responder_terms_release(struct responder_terms *terms);
/* Whether we have another IKE SA with the peer of this site (RFC 7296 2.4). */
void terms_refresh_initial_contact(struct site *site);
/* After established_count changed from 0 or to 0. */
void terms_site_is_up(struct site *site, bool up);

/* ---- proposals.c ---- */
/* NULL when there is no memory. */
MUST_USE struct shared_proposals *proposals_share(struct gateway *g, const struct proposals *list);
void proposals_release(struct shared_proposals *s); /* NULL is allowed */

/* ---- routes.c ---- */
struct gateway_route routes_to(const struct network *network);
/* Transport mode: `local` may be unset; ports are those of the peer. */
struct gateway_route routes_between(const struct address *local, const struct address *peer,
                                    uint8_t protocol, uint16_t port_first, uint16_t port_last);
/* One user more, or less: the first and the last one make the difference. */
void routes_hold(struct gateway *g, const struct gateway_route *to);
void routes_release(struct gateway *g, const struct gateway_route *to);
void routes_add(struct gateway *g, struct site *site);
/* A route that could not be set: what was in its way may be gone. One that stands is harmless. */
void routes_try_again(struct gateway *g, struct site *site);
void routes_remove(struct gateway *g, const struct config_site *site);
void routes_remove_all(struct gateway *g);
size_t routes_count(const struct gateway *g);

/* ---- hosts.c ---- */
/* After the configuration of the site changed, and for a new one. */
void hosts_configure(struct site *site);
void hosts_free(struct site *site);
/* What the name of the peer means now. */
void hosts_resolved(struct site *site, const struct address *addresses, size_t count);
void hosts_established(struct ike *ike);
/* NULL: it is not known. */
void hosts_source(struct site *site, const struct address *local);
/* Ours may be others now: until that is known, all of them are meant. */
void hosts_addresses_changed(struct gateway *g);
void hosts_ask_sources(struct gateway *g);
/* To these the traffic of the site goes; NULL and 0 when it is not transport mode. */
const struct address *hosts_peers(const struct site *site, size_t *count);
void hosts_try_again(struct site *site);
MUST_USE bool hosts_has_peer(const struct site *site, const struct network *network);

/* ---- identities.c ---- */
void identities_clear(struct gateway *g);
void identities_add(struct gateway *g, struct site *site);
/* A site whose peer is given by its address and nothing else: the shared key proves the peer, so
 * any name will do that it says from that address. (With a certificate this would not hold.) */
MUST_USE bool identity_is_implied(const struct config_site *config);
/* The sites that expect this identity, as a list by next_same_identity. */
/* Whom the traffic to this address is for, though nobody proves anything (RFC 7619); NULL. */
struct site *identities_unproven(const struct gateway *g, const struct endpoint *peer);
struct site *identities_expecting(const struct gateway *g, const struct ike_identity *id);
/* The list that the site is in. */
struct site *identities_of(const struct site *site);
/* The site has its first IKE SA, or none any more: true when this tells the others of its list
 * something new. */
MUST_USE bool identities_count_up(struct site *site, bool up);
/* Whether the peer of the site is known to be at this address. */
MUST_USE bool identities_is_at(const struct site *site, const struct endpoint *peer);
/* Which site is meant; NULL when none is. */
struct site *identities_find(const struct gateway *g, const struct ike_identity *said,
                             const struct ike_identity *requested, const struct endpoint *peer);

/* ---- admission.c ---- */
void admission_datagram(struct gateway *g, const struct endpoint *local,
                        const struct endpoint *peer, struct slice message, uint64_t now_ms);
void admission_begin(struct ike *ike);
void admission_end(struct ike *ike); /* established or gone; harmless when it was said before */
/* What a stranger began came to nothing. */
void admission_failed(struct gateway *g, uint64_t now_ms);
/* One more half-open one from there. */
MUST_USE bool admission_has_room(struct gateway *g, const struct endpoint *peer);
/* For a stranger who speaks IKEv1. */
enum old_caller {
    OLD_STRANGER, /* at an address that no site has */
    OLD_KNOWN, /* some site is there, but he may be somewhere else */
    OLD_PROVEN, /* he has what was sent there */
};
MUST_USE bool admission_has_room_for_old(struct gateway *g, const struct endpoint *peer,
                                         enum old_caller who);
/* So many of IKEv1 are half-open that message 1 of Main Mode is answered and forgotten. */
MUST_USE bool admission_forgets_old(const struct gateway *g, const struct address *peer);
uint64_t admission_half_open_ms(const struct gateway *g);
uint64_t admission_old_half_open_ms(const struct gateway *g, enum old_caller who);
MUST_USE bool admission_wants_cookies(const struct gateway *g, const struct address *peer);

/* ---- encryption.c ---- */
/* NULL: it is about a signature, or no memory. */
MUST_USE struct envelope *encryption_envelope(const struct ikev1_proof_question *from);
void encryption_answer(const struct ikev2_proof *proof, struct ikev1_proof_answer *answer);
enum ikev1_proof_by encryption_proof_of(const struct config_site *config);
MUST_USE bool encryption_is_wanted(const struct ike *ike);
/* False: the site signs. */
MUST_USE bool encryption_add_method(struct responder_terms *t, const struct site *site);
/* Its key is that of another site which uses it in the other way: why it cannot be. */
MUST_USE bool encryption_shares_key(const struct site *site, char *why, size_t why_bytes);
/* A stranger's is opened only as long as there are not too many of them. */
MUST_USE bool encryption_may_open(struct ike *ike, const struct ikev2_proof *proof);
void encryption_proven(struct ike *ike);

/* ---- ike.c ---- */
struct ike *ike_of_spi(const struct gateway *g, uint64_t spi);
struct ike *ike_of_init(const struct gateway *g, uint64_t spi_i, const struct endpoint *peer);
/* Whom a message is for; NULL: a stranger. */
struct ike *ike_find(const struct gateway *g, const struct ikev2_header *h,
                     const struct endpoint *peer);
/* A responder for a message that was admitted. */
void ike_answer(struct gateway *g, const struct endpoint *local, const struct endpoint *peer,
                const struct ikev2_header *header, struct slice message, uint64_t now_ms);
/* Message 1 of IKEv1 is answered with this cookie, and nothing is left of it. */
void ike_answer_and_forget(struct gateway *g, const struct endpoint *local,
                           const struct endpoint *peer, const struct ikev2_header *header,
                           struct slice message, uint64_t cookie, uint64_t now_ms);
/* And this is message 3: what was `first` is said to a new machine once more, but not answered. */
void ike_answer_returned(struct gateway *g, const struct endpoint *local,
                         const struct endpoint *peer, const struct ikev2_header *header,
                         struct slice first, struct slice message, uint64_t now_ms);
/* NULL when there is no memory or a limit is reached. */
struct ike *ike_dial(struct site *site, const struct endpoint *local, const struct endpoint *peer,
                     uint64_t now_ms);
void ike_receive(struct ike *ike, struct slice message, const struct endpoint *local,
                 const struct endpoint *peer, uint64_t now_ms);
void ike_time(struct ike *ike, uint64_t now_ms);
void ike_keepalive(struct ike *ike, uint64_t now_ms);
void ike_proof_done(struct ike *ike, uint32_t question, struct ikev2_proof *proof, uint64_t now_ms);
void ike_key_exchange_done(struct ike *ike, uint32_t question, bool ok, struct key_pair *pair,
                           struct secret *shared, uint64_t now_ms);
void ike_child_heard(struct ike *ike, uint32_t spi_in, uint64_t now_ms);
/* The peer's ESP came from elsewhere. */
void ike_child_moved(struct ike *ike, uint32_t spi_in, const struct endpoint *peer,
                     uint64_t now_ms);
/* To other addresses, where both sides can. */
void ike_move(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
              bool trying, uint64_t now_ms);
void ike_test_way(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                  uint64_t now_ms);
/* Who is behind a NAT keeps its mapping alive. */
void ike_keep_alive(struct ike *ike, uint64_t now_ms);
/* The same through a TCP connection. */
void ike_child_followed(struct ike *ike, const struct endpoint *local, const struct endpoint *peer,
                        uint64_t now_ms);
/* Its TCP connection is the one between ike->local and ike->peer now. */
void ike_carry(struct ike *ike, uint64_t now_ms);
/* Who began it may begin another one with the same SPI from the same place. */
void ike_forget_init(struct ike *ike);
void ike_rekey_child(struct ike *ike, uint32_t spi_in, uint64_t now_ms);
void ike_close_child(struct ike *ike, uint32_t spi_in, uint64_t now_ms);
/* Done by gateway_settle(). */
void ike_order(struct ike *ike, enum ike_order order);
void ike_order_close(struct ike *ike, enum ikev2_failure_reason why);
void ike_obey(struct ike *ike, uint64_t now_ms);
/* Nothing is said to the peer, nobody is told. */
void ike_free(struct ike *ike);

/* ---- bundle.c ---- */
/* `around`: AH; NULL there is none, and then `inside` is shown; NULL in turn where AH is alone. */
void bundle_title(const struct suite *around, const struct suite *inside, struct status_child *out);
/* Counters and what the packets carry beside their payload, by the SPIs of `out`. */
void bundle_measure(const struct dataplane *dp, struct status_child *out);

/* ---- ikev1.c ---- */
#define KILOBYTE 1024
struct ikev1_terms *ikev1_terms(struct terms *terms);
/* Of the terms that the policy stands in; NULL when it has a shared key, or is none. */
const struct ikev2_certificates *ikev1_certificates_of(const struct ikev1_policy *policy);
/* NULL when there is no memory; filled from those of IKEv2, which stand in it. */
MUST_USE struct terms *ikev1_terms_new(const struct site *site);
MUST_USE bool ikev1_terms_fill(struct terms *terms, const struct site *site);
void ikev1_terms_free(struct terms *terms);
MUST_USE bool ikev1_responder_fill(struct responder_terms *t, struct site *const *sites,
                                   size_t count);
MUST_USE struct ike *ikev1_find(const struct gateway *g, const struct ikev2_header *h,
                                const struct endpoint *peer);
/* A message for which there is no IKE SA. */
/* ikev1_door.c: message 1 of Main Mode was seen to; message 3 was one that had been forgotten. */
MUST_USE bool ikev1_door_answers(struct gateway *g, const struct endpoint *local,
                                 const struct endpoint *peer, const struct ikev2_header *header,
                                 struct slice message, uint64_t now_ms);
MUST_USE bool ikev1_door_returns(struct gateway *g, const struct endpoint *local,
                                 const struct endpoint *peer, const struct ikev2_header *header,
                                 struct slice message, uint64_t now_ms);
void ikev1_door_free(struct gateway *g);
void ikev1_admit(struct gateway *g, const struct endpoint *local, const struct endpoint *peer,
                 const struct ikev2_header *header, struct slice message, uint64_t now_ms);
void ikev1_forget_candidates(struct ike *ike);
void ikev1_ask_peer(struct ike *ike, uint64_t now_ms);
void ikev1_answer_peer(struct ike *ike, uint64_t now_ms);
void ikev1_secret_answered(struct site *site);
void ikev1_configured(struct gateway *g);
/* The remote-access block whose terms these are; NULL. */
struct site *ikev1_block_of(const struct ike *ike, const struct ikev1_policy *policy);
/* It is known which site is meant. False: this IKE SA is not to be told of. */
MUST_USE bool ikev1_established(struct ike *ike, const struct ikev2_action *action,
                                uint64_t now_ms);
/* Whose it is to become; NULL: nobody's any more. */
MUST_USE struct ike *ikev1_older(struct ike *ike);
/* Whether the next call of the site is made with IKEv1. */
MUST_USE bool site_speaks_old(const struct site *site);

/* ---- resilience.c ---- */
/* Another IKE SA with the same peer is to follow this one without a gap. */
void resilience_reauthenticate(struct ike *ike, uint64_t now_ms);
/* Another IKE SA carries the traffic: what is still on its way through this SA is let in. False: it
 * is not kept. */
MUST_USE bool resilience_linger(struct site *site, uint32_t spi_in, uint64_t now_ms);
void resilience_linger_over(struct timer *timer);
/* NULL: of all sites. */
void resilience_linger_end(struct gateway *g, const struct site *site);
/* Tickets of RFC 5723. */
void resilience_keep_ticket(struct ike *ike, const struct ikev2_session *session,
                            struct slice bytes);
void resilience_forget_ticket(struct site *site);
/* Before the machine starts: with the site's ticket, which is gone then, if it has a good one. */
void resilience_resume(struct ike *ike, uint64_t now_ms);
uint64_t resilience_fingerprint(const struct site *site);
/* For how long tickets of this site are good; 0: there are none. */
uint32_t resilience_ticket_s(const struct site *site);

/* ---- children.c ---- */
void children_install(struct ike *ike, const struct ikev2_child_info *info, uint64_t now_ms);
void children_use(struct ike *ike, uint32_t spi_in, uint64_t now_ms);
void children_stop(struct ike *ike, uint32_t spi_in, uint64_t now_ms);
void children_remove(struct ike *ike, uint32_t spi_in, uint64_t now_ms);
void children_remove_all(struct ike *ike);
void children_move(struct ike *ike, const struct endpoint *local, const struct endpoint *peer);
/* Those of the IKE SA alone, to where it is now, into UDP or out of it. */
void children_move_each(struct ike *ike);
struct child *children_find(const struct gateway *g, uint32_t spi_in);
/* IP-TFS of the configuration as the data plane has it. */
struct aggfrag_settings children_aggfrag(const struct config_iptfs *iptfs);
/* What inner packets are padded to; 0: not. */
/* What was agreed, as the data plane has to do it: see the word `truncate`. */
struct suite children_suite(const struct config_carriage *carriage, const struct suite *agreed);
uint16_t children_tfc_bytes(const struct config_carriage *carriage,
                            const struct ikev2_child_info *info);
/* The word of the configuration as the data plane has it. */
uint8_t children_df(enum config_df df);
/* What is sent goes through the child of this IKE SA, if it has one. */
void children_prefer(struct ike *ike, uint64_t now_ms);
MUST_USE bool children_any_usable(const struct ike *ike);
MUST_USE bool children_part_usable(const struct ike *ike, size_t part);
MUST_USE bool children_info(const struct child *child, struct ikev2_child_info *out);
/* The latest packet that came in or went out; 0 never. */
uint64_t children_last_in_ms(const struct ike *ike);
uint64_t children_last_out_ms(const struct ike *ike);
/* The machine hears that the peer is alive when data came in since the last time. */
struct child *children_heard_lately(struct ike *ike, uint64_t now_ms);

/* ---- manual.c ---- */
#define MANUAL_POLICY UINT32_C(0x80000000) /* ids of policies from here on are of manual blocks */
#define PART_SHIFT 20 /* above the number of a site stands which of its parts it is */
#define PART_MASK POLICY_PART_BITS
#define EXCEPTION_POLICY UINT32_C(0x40000000) /* and from here on of bypass and discard */
#define CPI_DEFLATE 2 /* RFC 3173 3.3: a well-known number needs no negotiation */
/* What is unchanged is not touched. False when there is no memory and all is as it was. */
MUST_USE bool manual_configure(struct gateway *g, const struct config *config, uint64_t now_ms);
void manual_free_all(struct gateway *g);
/* Room for all of them; returns how many there are. */
size_t manual_policies(const struct gateway *g, struct policy *out);
struct question **manual_questions(struct manual *m);
void manual_secret(struct manual *m, uint32_t which, const struct secret *secret, const char *why,
                   uint64_t now_ms);
struct manual *manual_find(const struct gateway *g, const char *name);
/* "" when no block has it (any more). */
uint32_t manual_policy_id(const struct manual *m);
const char *manual_name_of_policy(const struct gateway *g, uint32_t policy_id);
void manual_order(struct manual *m, bool up, uint64_t now_ms);
enum status_state manual_state(const struct manual *m);
/* In bytes, in packets, out bytes, out packets. */
void manual_traffic(const struct manual *m, uint64_t sum[4]);
void manual_words(const struct manual *m, char peer[ENDPOINT_TEXT_BYTES], struct reason_words *out);
void manual_status(const struct manual *m, struct status_site *out);
MUST_USE bool manual_child(const struct manual *m, struct status_child *out);

/* ---- sites.c ---- */
struct site *site_new(struct gateway *g, const struct config_site *config, uint32_t number);
void site_free(struct site *site);
/* Which child carries what is sent in a part, and how many parts there may be. */
MUST_USE struct child **site_used_of(struct site *site, size_t part);
size_t site_used_parts(const struct site *site);
/* Room for so many parts; false: no memory. */
MUST_USE bool site_has_parts(struct site *site, size_t parts);
void site_think_later(struct site *site);
void site_think(struct site *site, uint64_t now_ms);
void site_time(struct site *site, uint64_t now_ms);
/* Whether it should be up now without anybody asking. */
MUST_USE bool site_is_wanted(const struct site *site);
MUST_USE bool site_can_dial(const struct site *site);
void site_join(struct site *site, struct ike *ike);
void site_leave(struct ike *ike);
void site_established(struct ike *ike, uint64_t now_ms);
void site_ike_ended(struct ike *ike, const struct ikev2_failure *failure, uint64_t now_ms);
void site_child_failed(struct ike *ike, const char *child, const struct ikev2_failure *failure,
                       uint64_t now_ms);
/* A peer that is sent to and says nothing. */
void silence_begin(struct site *site, uint64_t now_ms);
void silence_end(struct site *site);
void silence_look(struct site *site, uint64_t now_ms);
/* Its peer may be about to be silent: something is sent again, or a request is repeated. */
void silence_look_soon(struct ike *ike, uint64_t now_ms);
void silence_request_repeated(struct ike *ike, uint64_t now_ms);
/* Whether the log may be told one more thing of its life. */
MUST_USE bool site_may_say(struct site *site, uint64_t now_ms);
/* After `used` changed. */
void site_used_changed(struct site *site, uint64_t now_ms);
void site_trouble(struct site *site, enum reason reason, const struct endpoint *peer,
                  const char *detail, uint64_t now_ms);
void site_trouble_of_failure(struct site *site, struct ike *ike,
                             const struct ikev2_failure *failure, uint64_t now_ms);
/* For a trouble with more words than these: begun, filled in, logged. NULL: no memory. */
MUST_USE struct trouble *site_trouble_begin(struct site *site, enum reason reason,
                                            const struct endpoint *peer, uint64_t now_ms);
void site_trouble_log(struct site *site, uint64_t now_ms);
void site_trouble_clear(struct site *site);
enum reason site_reason_of_failure(const struct ike *ike, const struct ikev2_failure *failure);
void site_close_all(struct site *site, enum ikev2_failure_reason why);
/* There is nothing to ask for (RFC 7619). */
void site_proves_nothing(struct site *site, uint64_t now_ms);
void site_ppk_answered(struct site *site, const struct secret *secret, const char *why,
                       uint64_t now_ms);
void site_certificates_answered(struct site *site, struct credential *own, struct trust *trust,
                                const char *why, uint64_t now_ms);
void site_secret_answered(struct site *site, const struct secret *secret, const char *why,
                          uint64_t now_ms);
/* New terms from the present configuration and secret. */
void site_renew_terms(struct site *site);
/* What is there was agreed under an older configuration: new ones first, then the old ones go. */
void site_renegotiate(struct site *site, uint64_t now_ms);
void site_close_superseded(struct site *site);

/* ---- dial.c ---- */
void dial_begin(struct site *site, uint64_t now_ms);
void dial_cancel(struct site *site);
void dial_pump(struct gateway *g, uint64_t now_ms);
void dial_secret(struct site *site, uint64_t now_ms);
void dial_resolved(struct site *site, const struct address *addresses, size_t count,
                   const char *why, uint64_t now_ms);
void dial_source(struct site *site, const struct address *local, const char *why, uint64_t now_ms);
/* The IKE SA that was dialled is over before it was established. */
void dial_failed(struct site *site);
void dial_next(struct site *site, uint64_t now_ms);
/* A question that nobody answers must not hold a site for ever. */
void dial_unanswered(struct site *site, uint64_t now_ms);
void dial_done(struct site *site);
void dial_release_slot(struct site *site);
/* Told, unless the site is well and only tries to return. */
void dial_trouble(struct site *site, enum reason reason, const struct endpoint *peer,
                  const char *detail, uint64_t now_ms);
/* Waits longer each time. */
void dial_back_off(struct site *site, uint64_t now_ms);

/* ---- returning.c ---- */
/* NULL: no memory. */
struct roaming *roaming_of(struct site *site);
/* After anything changed: whether and when the peers before the one in use are tried. */
void returning_think(struct site *site, uint64_t now_ms);
/* Its configuration changed. */
void returning_configured(struct site *site);
uint64_t returning_due_ms(const struct site *site);
void returning_time(struct site *site, uint64_t now_ms);
/* The first of the site's peers, and of our uplinks to it, that is not to be called now. */
size_t returning_end(struct site *site);
size_t returning_uplinks_end(struct site *site);
/* What is sent goes through another child. */
void returning_used(struct site *site, uint64_t now_ms);
/* It was made beside the one in use, to a peer before it. */
MUST_USE bool returning_is_trial(const struct ike *ike);

/* ---- names.c ---- */
/* After anything changed: whether and when its name is asked for again. */
void names_think(struct site *site, uint64_t now_ms);
uint64_t names_due_ms(const struct site *site);
void names_time(struct site *site, uint64_t now_ms);
void names_answered(struct site *site, const struct address *addresses, size_t count,
                    uint64_t now_ms);
/* The peer in use is to be called where its name leads now. */
MUST_USE bool names_are_others(const struct site *site);

/* ---- uplinks.c ---- */
/* Of a site, the best first; 0: the routes decide. */
size_t uplinks_count(const struct site *site);
const struct config_uplinks *uplinks_of(const struct site *site);
/* The address of one; false: it is not there. */
MUST_USE bool uplinks_address(const struct site *site, size_t index, enum family family,
                              struct address *out);
/* To which of them an address belongs; their number: to none. */
size_t uplinks_place(const struct site *site, const struct address *local);
/* Whether one that is there is better than the one in use. */
MUST_USE bool uplinks_has_better(const struct ike *ike);
/* The next better one to be tested, in turn; false: there is none. */
MUST_USE bool uplinks_next_better(const struct ike *ike, struct address *out);
/* Which one is in use, and why. */
void uplinks_status(const struct ike *ike, uint64_t now_ms, struct status_site *out);
/* An address of ours may be said to peers. */
MUST_USE bool uplinks_may_be_told(const struct gateway *g, const struct address *a);
void uplinks_established(struct ike *ike, uint64_t now_ms);
/* Something changed about our lines: true when the routes do not decide about it. */
bool uplinks_changed(struct ike *ike, uint64_t now_ms);
/* What is called does not answer by this uplink, and there is another. */
uint64_t uplinks_next_ms(const struct site *site);
void uplinks_next(struct site *site, uint64_t now_ms);

/* ---- mobility.c ---- */
MUST_USE bool mobility_listens_at(const struct config *config, const struct address *a);
/* It can move, and we decide where to. */
MUST_USE bool mobility_decides(const struct ike *ike);
/* Another way than the best is in use: from now on that one is tested, first at `at_ms`. */
void mobility_astray(struct site *site, uint64_t at_ms);
void mobility_moved(struct ike *ike, const struct ikev2_action *action, uint64_t now_ms);
void mobility_configured(struct gateway *g, uint64_t now_ms);
/* The routes lead to the peer from this address now; false: the IKE SA cannot move. */
MUST_USE bool mobility_source_again(struct ike *ike, const struct address *local, uint64_t now_ms);
/* The peer is silent: another way is tried. False: there is none that was not tried. */
MUST_USE bool mobility_try(struct ike *ike);
/* While another way than the best is in use, the best is tested now and then. */
void mobility_look(struct ike *ike, uint64_t now_ms);
void mobility_best_found(struct ike *ike, const struct address *local, uint64_t now_ms);
void mobility_way_found(struct ike *ike, uint32_t index, const struct address *local,
                        uint64_t now_ms);

/* An IKE SA through a connection that was opened for the site. */
void dial_by_connection(struct site *site, const struct endpoint *local,
                        const struct endpoint *peer, uint64_t now_ms);

/* ---- transport.c ---- */
MUST_USE bool transport_wants_tcp(const struct site *site);
/* Where a candidate is called by TCP. */
struct endpoint transport_peer(const struct site *site, const struct endpoint *candidate);
/* The present candidate gets a connection, from our address if it is set. */
void transport_open(struct site *site, const struct address *local, uint64_t now_ms);
/* The present candidate is called by UDP: TCP comes when it stays silent. */
void transport_dialled(struct site *site);
/* When that is; NEVER_MS: not now. */
uint64_t transport_fallback_ms(const struct site *site);
void transport_fall_back(struct site *site, uint64_t now_ms);
/* An IKE SA of ours goes over a connection from its first message. False: no memory. */
MUST_USE bool transport_began(struct ike *ike);
void transport_established(struct ike *ike);
/* Its machine followed the peer to another connection: so do we. */
void transport_followed(struct ike *ike);
void transport_ended(struct ike *ike);
void transport_time(struct timer *timer, uint64_t now_ms);

/* ---- path.c ---- */
/* It is another one now: nothing is known about it. */
void path_moved(struct ike *ike, uint64_t now_ms);
/* There is something to send: the path is looked at soon, and then again and again. */
void path_begin(struct ike *ike, uint64_t now_ms);
void path_time(struct ike *ike, uint64_t now_ms);
/* What is sent gets no answer: big packets may vanish on the way. */
void path_suspect(struct ike *ike, uint64_t now_ms);
void path_probed(struct ike *ike, uint16_t bytes, bool passed, uint64_t now_ms);
/* How a message of the machine must go. */
enum send_size path_send_size(const struct ike *ike, size_t message_bytes, bool dont_fragment);
enum status_mtu path_source(const struct ike *ike);

/* ---- persona.c ---- */
/* At each message that the machine shows. */
void persona_look(struct ike *ike, const struct ikev2_action *trace);
/* When it is established. */
void persona_apply(struct ike *ike);
const char *persona_of_ike(const struct ike *ike);
/* " (this is how FortiGate looks)", or nothing. */
void persona_add(const struct ike *ike, struct text *out);
void persona_say_pairs(const struct site *site, struct text *out);

MUST_USE bool persona_renews_alone(const struct ike *ike);

/* ---- verify.c ---- */
void verify_up(struct site *site, uint64_t now_ms);
void verify_time(struct site *site, uint64_t now_ms);
/* A child has new keys. */
void verify_renewed(struct site *site);
/* New keys were refused; true when that was told. */
MUST_USE bool verify_failed(struct ike *ike, const struct ikev2_failure *failure, uint64_t now_ms);

/* ---- duplicates.c ---- */
void duplicates_established(struct ike *ike, uint64_t now_ms);
void duplicates_initial_contact(struct ike *ike);
void duplicates_child(struct child *child, uint64_t now_ms);
void duplicates_decide(struct site *site, uint64_t now_ms);
/* Of the two sides the one that acts first where both could. */
MUST_USE bool duplicates_we_decide(const struct ike *ike);

/* ---- notes.c ---- */
void notes_take(struct gateway *g, uint64_t now_ms);
/* Somebody at this address does not know an SA of ours, or we none of his: not to be believed, but
 * a reason to ask. True: a site that may be the one of this peer has no IKE SA. */
bool notes_hint(struct gateway *g, enum look why, const struct endpoint *peer, uint64_t now_ms);
void notes_hint_ike(struct ike *ike, uint64_t now_ms);
void notes_addresses_changed(struct gateway *g, uint64_t now_ms);
void notes_source_again(struct ike *ike, const struct address *local, uint64_t now_ms);

/* ---- redirect.c ---- */
/* False: there is nowhere to send anybody. */
MUST_USE bool redirect_of(const struct config_host *host, struct ikev2_redirect *out);
/* The configuration of the site is another one: who is connected is told. */
void redirect_changed(struct site *site, const struct config_host *before);
/* An established peer is told; one who calls will be. */
void redirect_send(struct ike *ike, uint64_t now_ms);
void redirect_answer(struct ike *ike);
/* The peer sends us there; or we him, and he is told. */
void redirect_told(struct ike *ike, const struct ikev2_redirect *to, uint64_t now_ms);
/* Which of the site's peers what is called now stands for. */
uint8_t redirect_place(const struct site *site);
/* The next host of a dial. True: it is where the peer sent us, until redirect_ends(). */
bool redirect_begins(struct site *site, bool before_others);
/* NULL: the dial is one to a host of the configuration. */
const struct config_host *redirect_host(const struct site *site);
/* Nobody is there, or it is done. True: the same host of the configuration is still to be tried. */
bool redirect_ends(struct site *site);
void redirect_dialled(struct ike *ike);
void redirect_forget(struct site *site);

/* ---- crash.c ---- */
/* At once when it is made: its peer is told a token, where we make any. */
void crash_new_machine(struct ike *ike);
/* One of the two SPIs is of an IKE SA that is there. */
MUST_USE bool crash_knows(const struct gateway *g, const struct ikev2_header *h);
/* Nothing is there with the peer of this site, who may be this one. */
MUST_USE bool crash_may_be_lost(const struct site *site, const struct endpoint *peer);
void crash_tell_unknown_spi(struct gateway *g, const struct dataplane_note *note);
/* He was heard, though by a word that proves nothing: no reason to wait longer. */
void crash_peer_is_there(struct site *site, uint64_t now_ms);
/* A message in clear for this IKE SA. */
void crash_denied(struct ike *ike, struct slice message, const struct endpoint *peer,
                  uint64_t now_ms);

/* ---- drops.c ---- */
MUST_USE struct drops *drops_new(void);
void drops_free(struct drops *d);
void drops_take(struct gateway *g, uint64_t now_ms);
/* Lately packets came that belong to no site, and again and again: the latest; NULL: they did not.
 */
const struct status_drop *drops_stray(const struct gateway *g, uint64_t now_ms);

/* ---- hearsay.c ---- */
/* Looking for sites by an address costs a walk over all of them: not for everybody. */
MUST_USE bool hearsay_may_look(struct gateway *g, enum look why, const struct address *from,
                               uint64_t now_ms);
/* A responder failed; the site that it is about, as far as that can be known, NULL otherwise. */
struct site *hearsay_failure(struct ike *ike, enum reason reason,
                             const struct ikev2_failure *failure, uint64_t now_ms);
void hearsay_unknown_spi(struct site *site, const struct endpoint *peer, uint64_t now_ms);

/* Somebody at the address of the site's peer began in a way that the site does not want: with
 * IKEv1, or in Aggressive Mode. */
void hearsay_first_message(struct site *site, enum reason reason, const struct endpoint *peer,
                           uint64_t now_ms);

/* ---- attempts.c ---- */
MUST_USE struct attempts *attempts_new(void);
void attempts_free(struct attempts *a);
/* `site`: whom it is about, NULL when that is not known. */
void attempts_add(const struct ike *ike, const struct site *site, enum reason reason,
                  const struct ikev2_failure *failure, uint64_t now_ms);

/* ---- differences.c ---- */
/* Fills the differences between `ours` and `theirs` of it. */
void differences_find(enum reason reason, struct status_explanation *out);

/* ---- negotiations.c ---- */
MUST_USE struct negotiations *negotiations_new(void);
void negotiations_free(struct negotiations *n);
void negotiations_established(const struct ike *ike, uint64_t now_ms);
/* One that did not get so far; the attempt has its words. */
void negotiations_failed(const struct ike *ike, const struct status_attempt *attempt);
void negotiations_rekeyed(const struct ike *ike, uint64_t now_ms);
void negotiations_child(const struct ike *ike, const struct ikev2_child_info *info,
                        uint64_t now_ms);
void negotiations_child_failed(const struct ike *ike, const struct ikev2_failure *failure,
                               uint64_t now_ms);
void negotiations_closed(const struct ike *ike, const struct ikev2_failure *failure,
                         uint64_t now_ms);

/* ---- trace.c ---- */
void trace_add(struct ike *ike, const struct ikev2_action *action, uint64_t now_ms);
/* The IKE SA belongs to a site now: what was kept for it moves there. */
void trace_join(struct ike *ike);
void trace_forget_ike(struct ike *ike);
void trace_forget_site(struct site *site);
void trace_fini(struct gateway *g);

/* ---- status.c ---- */
/* In bytes, in packets, out bytes, out packets, added to what is there. */
/* By its number in status: of a session too; NULL when there is none (any more). */
const struct site *status_site_of(const struct gateway *g, size_t index);
void status_sum_traffic(const struct site *site, uint64_t sum[4]);
MUST_USE bool status_is_legacy(const struct suite *s);
size_t status_copy_selectors(const struct selector *from, size_t count,
                             struct selector to[STATUS_SELECTORS_MAX]);
enum status_state status_state_of(const struct site *site);
/* The reason why a site is not up, or is not well. */
enum reason status_reason_of(const struct site *site);
void status_words_of(const struct site *site, enum reason reason, char peer[ENDPOINT_TEXT_BYTES],
                     struct reason_words *out);
/* With all key exchanges that the keys depend on. */
void status_ike_title(const struct ike *ike, char out[STATUS_SUITE_BYTES]);
/* ", a NAT is between", or why else UDP is used; "" when it is not, or both sides prefer it. */
const char *status_nat_words(const struct ike *ike);
void status_sentence(const struct site *site, enum reason reason, char *out, size_t capacity);

#endif
