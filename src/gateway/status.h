/*
 * What the gateway knows about itself, as typed snapshots for management: the gateway, each site,
 * its children, problems, failed attempts, traces of negotiations, and the reasons behind all of
 * it.
 *
 * Everything here only reads. Nothing secret is in it. All times are of the gateway's clock
 * (milliseconds, as given to the events); a time in the past is `since` or `at`, one in the future
 * `next` or `rekey`; NEVER_MS is never.
 */
#ifndef SEKISHO_GATEWAY_STATUS_H
#define SEKISHO_GATEWAY_STATUS_H

#include "gateway/gateway.h"
#include "reasons/reason.h"

#define STATUS_SENTENCE_BYTES 512
#define STATUS_WORDS_BYTES 384
#define STATUS_SUITE_BYTES 96
#define STATUS_IDENTITY_BYTES 272
#define STATUS_SELECTORS_MAX 64

enum status_state {
    STATUS_UP, /* carries traffic */
    STATUS_CONNECTING,
    STATUS_DOWN, /* something is wrong; the next try is known */
    STATUS_WAITING, /* as somebody wanted: for the peer, for traffic, for an order; or disabled */
    STATUS_STATE_COUNT,
};
const char *status_state_name(enum status_state state); /* up, connecting, down, waiting */

/* ---- people ---- */

#define STATUS_DNS_MAX 8
#define STATUS_DOMAIN_BYTES 256
#define STATUS_BANNER_BYTES 256
#define STATUS_USER_BYTES 136

/* Somebody who is in; the oldest first. */
struct status_session {
    uint64_t number; /* grows */
    const char *name; /* alice, alice#2: of commands; borrowed until the next event */
    const char *user;
    const char *group; /* "" */
    const char *block; /* of the remote-access block */
    const char *source; /* who knew him; "" */
    struct address address; /* no family: he did not ask for one yet */
    struct endpoint outer;
    uint64_t since_ms;
    uint64_t until_ms, idle_ms; /* NEVER_MS */
    bool up; /* he has keys for traffic */
    const char *persona; /* whom his client looks like; "" */
    uint64_t in_bytes, in_packets, out_bytes, out_packets; /* in: from him */
    uint64_t last_in_ms, last_out_ms; /* 0: never */
};
size_t gateway_session_count(const struct gateway *gateway);
/* Those with a number greater than `after`, so many at most, in order. */
void gateway_each_session(const struct gateway *gateway, uint64_t after, size_t most,
                          void (*visit)(void *context, const struct status_session *session),
                          void *context);

struct status_pool {
    const char *name; /* of the remote-access block; borrowed until the next configuration */
    uint64_t total; /* addresses that can be given */
    size_t held, remembered; /* by people who are in; for people who left */
    size_t fixed; /* that are of one user alone */
    size_t sessions;
    uint64_t accepted, refused; /* logins */
};
/* False behind the last. */
MUST_USE bool gateway_pool_at(const struct gateway *gateway, size_t index, struct status_pool *out);

/* What a gateway gave to a site of ours that is its client; false: nothing. */
struct status_given {
    struct address address;
    struct address dns[STATUS_DNS_MAX];
    size_t dns_count;
    char domain[STATUS_DOMAIN_BYTES];
    char banner[STATUS_BANNER_BYTES];
};
MUST_USE bool gateway_given(const struct gateway *gateway, const char *site,
                            struct status_given *out);

/* ---- the gateway ---- */

struct status_gateway {
    const char *name; /* "" before the first configuration; borrowed until the next one */
    uint64_t started_ms, configured_ms, now_ms;
    uint64_t config_hash;
    size_t site_count;
    size_t states[STATUS_STATE_COUNT];
    size_t sessions; /* of people */
    size_t ike_sas, half_open, children;
    size_t queued; /* sites that wait for their turn to be connected */
    bool cookies; /* strangers are asked for cookies now */
    bool stopping;
    uint64_t in_bytes, in_packets, out_bytes,
        out_packets; /* inner, of all sites, since the start */
    uint64_t initiated, initiated_ok, initiated_failed; /* IKE SAs that we began */
    uint64_t answered, answered_ok, answered_failed; /* and those that peers began */
    uint64_t ike_rekeys, child_rekeys;
    uint64_t cookies_sent, refused_full, /* a limit of half-open IKE SAs was reached */
        refused_busy; /* too many key exchanges waited */
    uint64_t messages_in, messages_out;
    struct dataplane_doors doors; /* with the drops by reason (dataplane/drop.h names them) */
    uint64_t too_big[TOO_BIG_COUNT]; /* what was made of messages that a packet was too big */
    size_t dataplane_bytes;
    size_t route_count;
};
/* The workers of the data plane; false behind the last. */
MUST_USE bool gateway_worker_at(const struct gateway *gateway, size_t index,
                                struct dataplane_worker_status *out);
void gateway_get_status(const struct gateway *gateway, uint64_t now_ms, struct status_gateway *out);

/* ---- sites, in the order of the configuration ---- */

#define STATUS_ADDRESSES_MAX 8

struct status_ike {
    uint8_t version; /* 2, or 1 */
    bool established;
    bool initiator; /* we began */
    uint64_t since_ms;
    uint64_t spi_i, spi_r;
    char suite[STATUS_SUITE_BYTES];
    bool legacy; /* something in the suite is weak */
    bool post_quantum; /* all keys have their root in a key exchange of that kind */
    bool post_quantum_missing; /* they have not, and the site would prefer it */
    const char *ppk_id; /* of the configured one; NULL: none */
    bool ppk; /* it is in the keys of the traffic */
    bool unauthenticated; /* nobody proved anything, not even by a PPK */
    bool ppk_everywhere; /* and in those of the first IKE SA */
    struct endpoint local, peer;
    bool nat_local, nat_peer; /* who is behind a NAT */
    bool udp_asked_by_us, udp_asked_by_peer; /* encapsulation without one */
    bool mobile; /* both sides can move to other addresses */
    size_t peer_address_count; /* where else the peer said he can be reached */
    struct address peer_addresses[STATUS_ADDRESSES_MAX];
    char peer_identity[STATUS_IDENTITY_BYTES];
    const char *looks_like; /* a product; "" when it is not known */
    bool looks_like_said; /* by a vendor ID; else only its offer looks so */
    uint64_t rekey_ms;
    uint64_t reauthenticate_ms; /* NEVER_MS: not by us */
    const char *state; /* one word of the machine */
};

enum status_origin { STATUS_ORIGIN_IKEV2, STATUS_ORIGIN_MANUAL, STATUS_ORIGIN_IKEV1 };
const char *status_origin_name(enum status_origin origin); /* IKEv2, manual, IKEv1 */
enum status_protocol { STATUS_ESP, STATUS_AH, STATUS_AH_AND_ESP };
const char *status_protocol_name(enum status_protocol protocol); /* ESP, AH, AH+ESP */

/* How it is known what the path carries: the link here, what a router said, or what we asked. */
enum status_mtu { STATUS_MTU_LINK, STATUS_MTU_ICMP, STATUS_MTU_PROBE };
const char *status_mtu_name(enum status_mtu mtu); /* link, ICMP, probe */

struct status_child {
    const char *name; /* that of the site */
    enum status_origin origin;
    enum status_protocol protocol;
    bool in_use; /* what is sent goes through it */
    uint8_t worker; /* the sending worker that it is for, counted from 1; 0: for all (RFC 9611) */
    bool narrowed; /* the peer agreed to a part of the networks only (SEK-N004) */
    uint64_t since_ms;
    uint32_t spi_in, spi_out;
    uint32_t outer_spi_in, outer_spi_out; /* of AH in a bundle, which goes around ESP; else 0 */
    char suite[STATUS_SUITE_BYTES];
    bool legacy;
    bool encapsulated; /* ESP in UDP */
    bool transport_mode;
    struct endpoint local, peer;
    size_t local_count, remote_count;
    struct selector local_selectors[STATUS_SELECTORS_MAX];
    struct selector remote_selectors[STATUS_SELECTORS_MAX];
    struct sa_counters counters; /* of this SA alone; path MTU and overhead are in it */
    enum status_mtu mtu_source; /* of counters.outer_mtu */
    struct sa_overhead overhead;
    uint32_t replay_window; /* 0: off */
    bool compress; /* IPComp was agreed; counters.compressed_* say what it is good for */
    uint16_t tfc_bytes; /* TFC_TO_MTU: to the MTU; 0: none */
    uint32_t tfc_dummy_ms; /* 0: none */
    bool aggfrag; /* IP-TFS was agreed */
    uint64_t rekey_ms;
};

struct status_site {
    const char *name; /* borrowed until the next configuration */
    enum status_state state;
    bool manual; /* its keys were made by hand: there is no IKE SA */
    bool people; /* a remote-access block: see gateway_pool_at() and gateway_each_session() */
    uint64_t since_ms; /* in this state */
    enum reason reason; /* REASON_NONE when it is up and well */
    const char *code; /* "" with REASON_NONE */
    char sentence[STATUS_SENTENCE_BYTES]; /* the reason in words, with those of both sides */
    unsigned tries; /* since it was up last */
    uint64_t last_try_ms, next_try_ms;
    struct endpoint peer; /* in use or dialled last; family 0 when none is known */
    bool legacy; /* the configuration allows something weak */
    bool has_ike;
    struct status_ike ike;
    size_t ike_count, child_count; /* more than one only while one replaces the other; without
                                    children that are over and only let late packets in */
    /* Inner traffic of the site since the gateway started, over all its SAs. */
    uint64_t in_bytes, in_packets, out_bytes, out_packets;
    uint64_t replayed, forged, selector_mismatch;
    uint64_t last_in_ms, last_out_ms;
    uint64_t rekeys;
    uint64_t moves, moved_ms; /* to other addresses: how often, and when last */
    uint64_t not_followed; /* how often not, because the peer's changed too often */
    size_t host_count, host_place; /* of `peer`: how many there are, and which is in use, counted
                                      from 1; 0: it is not known, the peer called */
    const char *host; /* that one as it is written; borrowed like the name */
    size_t uplink_count, uplink_place; /* of the lines of ours that were said, in the same way; 0:
                                          it goes by none of them */
    const char *uplink;
    char uplink_why[STATUS_WORDS_BYTES]; /* why it is not the first; "" when it is */
    uint64_t return_ms; /* when hosts before it are called again; NEVER_MS: not */
    uint64_t established_ms; /* when an IKE SA was established last; 0 never */
};
size_t gateway_site_count(const struct gateway *gateway);
/* False behind the last. Constant time. */
MUST_USE bool gateway_site_at(const struct gateway *gateway, size_t index, uint64_t now_ms,
                              struct status_site *out);
/* Index of a site; false when there is none of that name. */
MUST_USE bool gateway_site_index(const struct gateway *gateway, const char *name, size_t *index);
/* The policy under which the packets of a site are found in the data plane. */
MUST_USE bool gateway_policy_id(const struct gateway *gateway, const char *name,
                                uint32_t *policy_id);
/* Children of a site, those in use first; false behind the last. */
MUST_USE bool gateway_child_at(const struct gateway *gateway, size_t site, size_t child,
                               struct status_child *out);

/* ---- problems: what an administrator should look at ---- */

struct status_problem {
    const char *site; /* "" when it is about the gateway */
    enum reason reason;
    const char *code;
    uint64_t since_ms;
    char sentence[STATUS_SENTENCE_BYTES];
};
/* Writes at most `capacity`, the oldest sites of the configuration first; returns how many there
 * are. */
size_t gateway_problems(const struct gateway *gateway, uint64_t now_ms, struct status_problem *out,
                        size_t capacity);

/* ---- attempts that failed, newest first; also those of strangers ---- */

struct status_attempt {
    uint64_t at_ms;
    struct endpoint peer;
    bool initiator; /* ours */
    char site[CONFIG_NAME_BYTES]; /* "" when no site was meant */
    char identity[STATUS_IDENTITY_BYTES]; /* what the peer said to be, "" when he did not get so far
                                           */
    enum reason reason;
    char sentence[STATUS_SENTENCE_BYTES];
    unsigned times; /* the same from the same address, one after the other */
};
MUST_USE bool gateway_attempt_at(const struct gateway *gateway, size_t index,
                                 struct status_attempt *out);

/* ---- packets that were dropped: examples, newest first ---- */

struct status_drop {
    uint64_t at_ms;
    uint64_t number; /* grows; for --follow */
    char site[CONFIG_NAME_BYTES]; /* "" when none is known */
    struct drop_example example;
};
MUST_USE bool gateway_drop_at(const struct gateway *gateway, size_t index, struct status_drop *out);
/* The latest of a reason; false when there was none. */
MUST_USE bool gateway_drop_of(const struct gateway *gateway, enum drop_reason reason,
                              struct status_drop *out);
/* in ESP SPI 0xc0000001 sequence 7 from 192.0.2.1 to 198.51.100.2, inside 10.2.0.9 > ... */
#define STATUS_DROP_BYTES 384
void status_describe_drop(const struct drop_example *example, char out[STATUS_DROP_BYTES]);
/* What is inside alone; "" when it is not known. */
void status_describe_inside(const struct drop_example *example, char out[STATUS_DROP_BYTES]);

/* ---- negotiations: the last ones, newest first ---- */

enum status_negotiation_kind {
    STATUS_NEGOTIATION_CONNECT,
    STATUS_NEGOTIATION_CHILD,
    STATUS_NEGOTIATION_REKEY_CHILD,
    STATUS_NEGOTIATION_REKEY_IKE,
    STATUS_NEGOTIATION_CLOSE,
};
const char *status_negotiation_name(enum status_negotiation_kind kind); /* connect, rekey-ike ... */

#define STATUS_NEGOTIATION_BYTES 256

struct status_negotiation {
    uint64_t number; /* grows */
    uint64_t began_ms, at_ms;
    enum status_negotiation_kind kind;
    bool initiator; /* we began */
    bool good; /* it came to what was wanted */
    enum reason reason; /* else */
    struct endpoint peer;
    uint64_t spi_i;
    const char *looks_like; /* a product; "" when it is not known */
    char site[CONFIG_NAME_BYTES]; /* "": a stranger's */
    char identity[96]; /* what the peer said to be, when it failed */
    char words[STATUS_NEGOTIATION_BYTES]; /* what was agreed, or why it failed */
};
/* `site` NULL: all, strangers too. False behind the last. */
MUST_USE bool gateway_negotiation_at(const struct gateway *gateway, const char *site, size_t index,
                                     struct status_negotiation *out);

/* ---- trace: the last messages of a site, decoded ---- */

struct status_trace {
    uint64_t at_ms;
    uint64_t spi_i; /* of its IKE SA */
    uint64_t number; /* grows; for --follow: show what is greater than the last one shown */
    bool sent;
    struct endpoint peer;
    const char *words; /* several lines; borrowed until `visit` returns */
};
/* Oldest first; `site` NULL: strangers (nobody knows yet which site they mean). */
void gateway_trace(const struct gateway *gateway, const char *site,
                   void (*visit)(void *context, const struct status_trace *trace), void *context);

/* ---- explain ---- */

enum status_check_result {
    STATUS_CHECK_OK,
    STATUS_CHECK_FAIL,
    STATUS_CHECK_NOT_REACHED,
};
const char *status_check_result_name(enum status_check_result result); /* ok, FAIL, - */

struct status_check {
    enum reason_check check;
    enum status_check_result result;
    char sentence[STATUS_SENTENCE_BYTES];
};

#define STATUS_DIFFERENCES_MAX 6

struct status_explanation {
    struct status_site site;
    char headline[STATUS_SENTENCE_BYTES]; /* without times: they are in site */
    struct status_check checks[REASON_CHECK_COUNT];
    char explanation[STATUS_SENTENCE_BYTES * 2];
    size_t cause_count;
    char causes[REASON_LINES_MAX][STATUS_SENTENCE_BYTES]; /* most likely first */
    size_t step_count;
    char steps[REASON_LINES_MAX][STATUS_SENTENCE_BYTES];
    char ours[STATUS_WORDS_BYTES]; /* both sides of a mismatch; "" when it does not apply */
    char theirs[STATUS_WORDS_BYTES];
    size_t difference_count;
    char differences[STATUS_DIFFERENCES_MAX][STATUS_SENTENCE_BYTES]; /* attribute by attribute */
    char preset[STATUS_SENTENCE_BYTES]; /* what `like` gave; "" without it */
    char evidence[STATUS_SENTENCE_BYTES]; /* IKE_AUTH, N(24) AUTHENTICATION_FAILED ... */
};
/* False when there is no such site. */
MUST_USE bool gateway_explain(const struct gateway *gateway, const char *site, uint64_t now_ms,
                              struct status_explanation *out);

#endif
