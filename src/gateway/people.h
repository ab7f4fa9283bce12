/*
 * People: what the files about remote-access blocks, their sessions, and sites that are such people
 * themselves share.
 *
 *     people.c    who logs in, and what he is told
 *     sessions.c  what somebody has who is in
 *     callers.c   what a gateway for people tells us, who are one of them
 */
#ifndef SEKISHO_GATEWAY_PEOPLE_H
#define SEKISHO_GATEWAY_PEOPLE_H

#include "gateway/inside.h"
#include "gateway/leases.h"
#include "gateway/rations.h"
#include "login/login.h"

#define SESSION_NAME_BYTES (LOGIN_USER_BYTES + 8) /* of the second one of a user: alice#2 */

/* What runs of a remote-access block. */
struct block {
    struct block *next;
    struct site *site; /* what its sessions are like; nobody's IKE SA is there for long */
    struct leases leases;
    size_t session_count;
    uint64_t accepted, refused; /* logins */
};

/* Somebody who is in. What he has is a site of his own, made from the block's. */
struct session {
    struct config_site config; /* the block's, with his address in the place of its networks */
    struct network network;
    struct site *site;
    struct block *block;
    struct session *next, *previous; /* of all, in the order of beginning */
    struct session *next_of_user;
    struct timer timer;
    uint64_t number;
    char name[SESSION_NAME_BYTES];
    char user[LOGIN_USER_BYTES];
    char group[LOGIN_GROUP_BYTES];
    char source[LOGIN_SOURCE_BYTES]; /* who knew him */
    struct address wanted; /* what the login says; no family: one of the pool */
    struct address netmask;
    struct address address; /* no family: he did not ask for one yet */
    struct address dns[LOGIN_DNS_MAX];
    uint8_t dns_count;
    struct endpoint outer;
    uint64_t since_ms, until_ms; /* NEVER_MS */
    uint64_t idle_ms, login_idle_ms; /* NEVER_MS; what the login says */
    uint64_t heard_ms; /* the last traffic that was seen */
    uint8_t class_length;
    uint8_t class_bytes[LOGIN_CLASS_BYTES_MAX];
    enum session_end why; /* it ends */
    bool told_began;
};

/* What an IKE SA of IKEv1 asks about people, until it is answered; in struct old_machine. */
struct person {
    bool wants_login, wants_credentials, wants_settings, was_told;
    bool has_answer;
    bool accepted;
    bool wants_password; /* it is being read */
    uint32_t login_id, credentials_id, settings_id;
    const struct ikev1_policy *policy; /* under which a login is asked for */
    unsigned wanted; /* credentials, of enum ikev1_credential */
    unsigned said; /* those that were said already: nobody asks twice for what was right */
    struct login_question question;
    struct login_answer answer;
    struct secret password; /* ours, read */
    struct ikev1_settings *told;
};

/* A site of ours to which a gateway gave an address. */
struct given {
    struct given *next;
    struct site *site;
    struct address address;
    struct network *networks; /* behind the gateway */
    size_t network_count;
    bool held; /* there are routes to them */
    struct status_given words;
};

struct people {
    struct block *blocks;
    struct leases *pools; /* of all blocks */
    struct session *first, *last;
    size_t session_count;
    uint64_t next_session;
    struct table by_user; /* the user's latest session */
    struct rations rations;
    struct given *given;
};

/* NULL: no memory. */
struct people *people_of(struct gateway *g);
struct block *people_block(const struct gateway *g, const struct site *site);
/* A person's own, or NULL. */
struct session *session_of(const struct site *site);

/* ---- sessions.c ---- */
/* This IKE SA comes from where one of that user's sessions is; NULL: from elsewhere. */
struct session *session_may_be_of(const struct block *block, const struct ike *ike);
/* The one that this IKE SA is of, or a new one; NULL: no memory. */
MUST_USE struct session *session_admit(struct block *block, struct ike *ike);
/* How many of them one user has through a block. */
size_t sessions_of(const struct people *p, const struct block *block, const char *user);
/* Gives it an address, with all that follows, unless it has one. */
MUST_USE enum lease_result session_take_address(struct session *s);
void session_close(struct session *s, enum session_end why);
/* At once: those that were closed and are not out yet. */
void sessions_free_of(struct block *block);

/* ---- callers.c ---- */
/* True: the machine was told something. */
MUST_USE bool caller_answer(struct ike *ike, uint64_t now_ms);
/* A network that was given to the site, with a route. */
MUST_USE bool caller_has_route(const struct site *site, const struct network *network);
void caller_told(struct ike *ike, const struct ikev1_settings *settings, uint64_t now_ms);
#endif
