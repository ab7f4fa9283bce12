/*
 * The gateway: which sites there are, which of them are up, and what must be done about it. It
 * joins the protocol machines to the data plane, and it is itself a machine: events with the time
 * go in, actions come out. The daemon and the simulator run the same code.
 */
#ifndef SEKISHO_GATEWAY_GATEWAY_H
#define SEKISHO_GATEWAY_GATEWAY_H

#include "base/log.h"
#include "base/random.h"
#include "config/config.h"
#include "crypto/key_exchange.h"
#include "dataplane/dataplane.h"
#include "login/login.h"
#include "proto/ikev2/proof.h"

struct gateway;

struct gateway_settings {
    struct dataplane *dataplane; /* borrowed */
    struct random_source *random; /* borrowed */
    struct log_sink *log; /* borrowed */
    size_t ike_sa_max; /* 0: 100,000 */
    struct slice crash_secret; /* 32 octets that outlive the process (RFC 6290); empty: none */
    struct slice ticket_key; /* of an earlier one, by gateway_ticket_key(); empty: a new one */
};

enum gateway_action_kind {
    GATEWAY_SEND, /* send: an IKE message or a NAT keepalive */
    GATEWAY_KEY_EXCHANGE, /* work for a job thread; gateway_key_exchange_done() */
    GATEWAY_PROOF, /* a signature to be made or verified, for a job thread; gateway_proof_done() */
    GATEWAY_RESOLVE, /* a host name; gateway_resolved() */
    GATEWAY_READ_SECRET, /* a named secret; gateway_secret() */
    GATEWAY_READ_CERTIFICATES, /* of a site, by its configuration; gateway_certificates() */
    GATEWAY_ROUTE_ADD, /* route: what must go through the TUN device */
    GATEWAY_ROUTE_REMOVE, /* the same value again */
    GATEWAY_SITE_CHANGED, /* for those who watch: name and state */
    GATEWAY_FIND_SOURCE, /* the address of ours from which the peer is reached; gateway_source() */
    GATEWAY_TCP_OPEN, /* tcp_open: a connection; gateway_tcp_opened() */
    GATEWAY_TCP_KEEP, /* tcp: an established IKE SA goes through this one */
    GATEWAY_TCP_RELEASE, /* tcp: none does any more. Who opened it closes it, after what was sent */
    GATEWAY_LOGIN, /* login: whether somebody may in; gateway_login_done() */
    GATEWAY_SESSION, /* session: somebody is in, or out again: for who keeps accounts */
    GATEWAY_ADDRESS_ADD, /* address: our device gets it, given by a gateway of which we are a client
                          */
    GATEWAY_ADDRESS_REMOVE,
};

enum session_end {
    SESSION_END_PEER, /* the client went away, or is dead */
    SESSION_END_ORDER,
    SESSION_END_IDLE,
    SESSION_END_TIME, /* that the login gave him is over */
    SESSION_END_CONFIGURATION,
    SESSION_END_POOL, /* his address is none of the block's any more */
    SESSION_END_COUNT,
};

/* A session of somebody, when it begins and when it ends. */
struct gateway_session {
    uint64_t number; /* unlike that of any other since the start */
    bool began; /* else it ended */
    enum session_end end;
    char service[LOGIN_SERVICE_BYTES];
    char user[LOGIN_USER_BYTES];
    char group[LOGIN_GROUP_BYTES];
    char source[LOGIN_SOURCE_BYTES]; /* who knew him, as the login's answer says */
    struct endpoint outer;
    struct address address;
    uint64_t since_ms;
    uint64_t in_bytes, in_packets, out_bytes, out_packets; /* in: from him */
    uint8_t class_length;
    uint8_t class_bytes[LOGIN_CLASS_BYTES_MAX];
};

#define GATEWAY_DATAGRAM_BYTES 65536

/* Tunnel mode: packets to `network`. Transport mode: packets between two hosts, which the same
 * machine also sends protected ones to, so the route must be narrower than a network; `network` is
 * the peer alone, and names the route when it could not be set. */
struct gateway_route {
    struct network network;
    bool transport;
    struct address local, peer; /* local unset: any of ours; in tunnel mode: what local programs
                                   talk from */
    uint8_t protocol; /* 0: any */
    uint16_t port_first, port_last; /* the peer's; 0 to 65535: any */
    uint16_t local_port_first, local_port_last;
    bool replaces; /* there may be one to this network: it gets this `local`, and is never away */
};

struct gateway_action {
    enum gateway_action_kind kind;
    union {
        struct {
            struct endpoint
                local; /* address unset: let routing choose; port 500 or 4500 says which socket */
            struct endpoint peer; /* of TCP: by the connection between the two */
            struct slice bytes; /* borrowed until the next action is taken; on port 4500 and over
                                   TCP the non-ESP marker is part of it (or it is a keepalive of
                                   one octet 0xff) */
            bool dont_fragment; /* it asks for the path MTU: neither routers nor this system may
                                   cut it */
            bool cut; /* that one again, which must arrive: in pieces that pass everywhere */
        } send;
        struct {
            uint64_t job;
            uint16_t group;
            bool has_pair;
            bool urgent; /* for an IKE SA that we began or that is established: before strangers */
            struct key_pair pair; /* owned by the action: move it into the job */
            uint16_t peer_public_length;
            uint8_t peer_public[KEY_EXCHANGE_PUBLIC_BYTES_MAX];
        } * key_exchange; /* owned by who takes the action: free() */
        struct {
            struct ikev2_proof *work; /* owned by who takes the action; job is the question */
            bool urgent; /* of an IKE SA that we began */
        } proof;
        struct {
            uint64_t question;
            char host[256];
        } resolve;
        struct {
            uint64_t question;
            char name[CONFIG_NAME_BYTES];
        } secret;
        struct {
            uint64_t question;
            char site[CONFIG_NAME_BYTES];
        } certificates;
        struct {
            uint64_t question;
            struct address peer;
            struct address local; /* set: by this one, and by no other line of ours */
        } source;
        struct {
            uint64_t question;
            struct address local; /* unset: let routing choose */
            struct endpoint peer;
        } tcp_open;
        struct {
            struct endpoint local, peer;
        } tcp;
        struct {
            uint64_t job;
            struct login_question *question; /* owned by who takes the action: login_question_fini()
                                                and free() */
        } login;
        struct gateway_session *session; /* owned by who takes the action: free() */
        struct address address;
        struct gateway_route route;
        struct {
            char name[CONFIG_NAME_BYTES];
            bool up;
        } site;
    };
};

#define GATEWAY_TICKET_KEY_BYTES 40

MUST_USE struct gateway *gateway_new(const struct gateway_settings *settings, uint64_t now_ms);
/* With which tickets of session resumption are sealed (RFC 5723): for a gateway after this one. */
void gateway_ticket_key(const struct gateway *gateway, uint8_t out[GATEWAY_TICKET_KEY_BYTES]);
/* Closes nothing on the wire: see gateway_shutdown(). */
void gateway_free(struct gateway *gateway);

/* The gateway takes the configuration (and frees it when it is replaced). What is unchanged is not
 * disturbed. */
void gateway_configure(struct gateway *gateway, struct config *config, uint64_t now_ms);
/* An IKE message; when it came in on port 4500, its non-ESP marker has been removed. */
void gateway_datagram(struct gateway *gateway, const struct endpoint *local,
                      const struct endpoint *peer, struct slice message, uint64_t now_ms);
void gateway_time(struct gateway *gateway, uint64_t now_ms);
/* Of every site that proves itself by certificates and has read them. True: they end soon, and the
 * files are read again if something else may be in them. */
void gateway_each_certificates(struct gateway *gateway,
                               bool (*visit)(void *context, const char *site,
                                             const struct credential *own,
                                             const struct trust *trust),
                               void *context, uint64_t now_ms);
/* The files may be others now: the next authentication reads them, and what is up stays. The number
 * of sites. */
size_t gateway_read_certificates(struct gateway *gateway);
/* What a responder says about our own certificate: sent along to peers that ask, until then (RFC
 * 4806). An empty response: nothing is known any more. */
void gateway_own_status(struct gateway *gateway, const struct certificate *own,
                        struct slice response, uint64_t until_ms);
uint64_t gateway_deadline_ms(const struct gateway *gateway);
/* Takes the notes of the data plane. */
void gateway_notes(struct gateway *gateway, uint64_t now_ms);

void gateway_key_exchange_done(struct gateway *gateway, uint64_t job, bool ok,
                               struct key_pair *pair, struct secret *shared, uint64_t now_ms);
/* The question with its answer; it stays the caller's. */
void gateway_proof_done(struct gateway *gateway, struct ikev2_proof *proof, uint64_t now_ms);
/* Zero addresses: the name is not known; `why` a sentence. */
void gateway_resolved(struct gateway *gateway, uint64_t question, const struct address *addresses,
                      size_t count, const char *why, uint64_t now_ms);
void gateway_secret(struct gateway *gateway, uint64_t question, const struct secret *secret,
                    const char *why, uint64_t now_ms);
/* Both or none, or for a site that logs in with hybrid `trust` alone; they stay the caller's, and
 * are counted. `why` a sentence. */
void gateway_certificates(struct gateway *gateway, uint64_t question, struct credential *own,
                          struct trust *trust, const char *why, uint64_t now_ms);
/* The answer stays the caller's. */
void gateway_login_done(struct gateway *gateway, uint64_t job, const struct login_answer *answer,
                        uint64_t now_ms);
/* NULL or unset: there is no route to the peer; `why` a sentence. Both sides of IKE compare the
 * addresses that they see (NAT detection, RFC 7296 2.23), so the right one must be known before the
 * first message. */
void gateway_source(struct gateway *gateway, uint64_t question, const struct address *local,
                    const char *why, uint64_t now_ms);
/* The connection is there, between these endpoints; `local` NULL: it is not, `why` a sentence. */
void gateway_tcp_opened(struct gateway *gateway, uint64_t question, const struct endpoint *local,
                        const struct endpoint *peer, const char *why, uint64_t now_ms);
/* One that was there is gone. */
void gateway_tcp_lost(struct gateway *gateway, const struct endpoint *local,
                      const struct endpoint *peer, const char *why, uint64_t now_ms);
/* A route could not be set; shown as a problem of the site. */
void gateway_route_failed(struct gateway *gateway, const struct network *network, const char *why);
/* ICMP said that a peer cannot be reached or a packet is too big (checked to be about a datagram of
 * ours). */
void gateway_unreachable(struct gateway *gateway, const struct endpoint *peer, const char *why,
                         uint64_t now_ms);
/* The beginning of a UDP payload that somebody quotes to us is that of an IKE message of an IKE SA
 * of ours between these endpoints; *total_bytes: how long its packet was, with IP and UDP header.
 */
MUST_USE bool gateway_sent_ike(const struct gateway *gateway, const struct endpoint *local,
                               const struct endpoint *peer, struct slice quoted,
                               uint32_t *total_bytes);
/* All addresses of this machine, without those of our device; again before each of the next. */
void gateway_host_addresses(struct gateway *gateway, const struct address *list, size_t count,
                            uint64_t now_ms);
/* Which address is on which interface; before gateway_host_addresses(). */
#define GATEWAY_INTERFACE_BYTES 16
struct gateway_interface {
    struct address address;
    char name[GATEWAY_INTERFACE_BYTES];
    bool carries; /* it is up and has a carrier */
};
void gateway_host_interfaces(struct gateway *gateway, const struct gateway_interface *list,
                             size_t count);
/* Our own addresses, or the ways out, changed (netlink). */
void gateway_addresses_changed(struct gateway *gateway, uint64_t now_ms);

/* The running configuration, NULL before the first; borrowed until the next one. */
const struct config *gateway_config(const struct gateway *gateway);

/* The oldest action that was not taken yet; false when there is none. */
MUST_USE bool gateway_next_action(struct gateway *gateway, struct gateway_action *out);

/* Orders of the administrator; false with a sentence when there is no such site, user or session.
 * Of a user all sessions go down. */
MUST_USE bool gateway_up(struct gateway *gateway, const char *site, uint64_t now_ms, char *why,
                         size_t why_bytes);
MUST_USE bool gateway_down(struct gateway *gateway, const char *site, uint64_t now_ms, char *why,
                           size_t why_bytes);
/* Logs a user out, with all sessions of his; false: he was not in. A site of that name is nothing
 * to it. */
MUST_USE bool gateway_log_out(struct gateway *gateway, const char *user, uint64_t now_ms);
MUST_USE bool gateway_restart(struct gateway *gateway, const char *site, uint64_t now_ms, char *why,
                              size_t why_bytes);
/* For tests and `sekisho` debugging verbs: rekey now. */
MUST_USE bool gateway_rekey(struct gateway *gateway, const char *site, bool ike, uint64_t now_ms,
                            char *why, size_t why_bytes);
/* Sends Deletes and removes routes: actions follow; the gateway then only waits to be freed. */
void gateway_shutdown(struct gateway *gateway, uint64_t now_ms);

#endif
