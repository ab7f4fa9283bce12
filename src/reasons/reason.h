/*
 * The failure catalogue: everything that can be wrong with a site, each with a stable code, a
 * sentence, an explanation, its likely causes in order, and what to do next. Status, explain, the
 * log and the manual page read this one table.
 */
#ifndef SEKISHO_REASONS_REASON_H
#define SEKISHO_REASONS_REASON_H

#include <stdbool.h>

#include "base/text.h"

/* Codes never change their meaning; a reason that is no longer told keeps its number for ever. */
enum reason {
    REASON_NONE,

    REASON_NAME_UNKNOWN, /* detail: what the resolver said */
    REASON_NO_ROUTE, /* peer, detail */
    REASON_NO_ANSWER, /* peer */
    REASON_NO_ANSWER_4500, /* 500 answers, 4500 does not */
    REASON_UNREACHABLE, /* ICMP said so; peer, detail */
    REASON_FRAGMENTS_LOST, /* IKE_SA_INIT is answered, large IKE_AUTH is not */
    REASON_PORT_TAKEN, /* detail: which */
    REASON_PEER_ANY_SILENT, /* answers only, and nobody has called yet */
    REASON_TCP_REFUSED, /* no connection, or it is closed again and again; peer, detail */
    REASON_TCP_SILENT, /* a connection, and no answer in it; peer */
    REASON_ANSWERS_ELSEWHERE, /* from another address than was called; peer, detail: which */
    REASON_REDIRECT_UNPROVEN, /* peer; theirs: where he sends us */
    REASON_REDIRECTS, /* peer */

    REASON_NO_PROPOSAL, /* IKE; ours, theirs */
    REASON_NO_CHILD_PROPOSAL, /* ESP; ours, theirs */
    REASON_MAJOR_VERSION,
    REASON_GROUP_LOOP,
    REASON_COOKIE_LOOP,
    REASON_BAD_PUBLIC_VALUE,
    REASON_SUITE_NOT_ALLOWED, /* ours, theirs: agreed in IKE_SA_INIT */
    REASON_SYNTAX, /* detail */
    REASON_CRITICAL_PAYLOAD, /* detail */
    REASON_PEER_ERROR, /* detail: name of the notify */
    REASON_AH_REFUSED, /* ours, theirs */
    REASON_AH_NAT,
    REASON_NOT_POST_QUANTUM, /* theirs: what was agreed */
    REASON_AGGRESSIVE, /* the peer begins in IKEv1's Aggressive Mode */
    REASON_OLD_VERSION, /* the peer begins with IKEv1 */

    REASON_AUTH_REFUSED, /* the peer refused our proof */
    REASON_AUTH_WRONG, /* the peer's proof is wrong */
    REASON_PEER_UNKNOWN, /* theirs: a name that no site expects */
    REASON_PEER_IDENTITY, /* ours: expected, theirs: proven */
    REASON_AUTH_METHOD, /* detail */
    REASON_PROOF_REFUSED, /* the peer refused our certificate or signature */
    REASON_SIGNATURE_WRONG, /* the peer has not the key of his certificate */
    REASON_CERTIFICATE_TIME, /* detail: a sentence about the peer's certificate, as below */
    REASON_CERTIFICATE_AUTHORITY,
    REASON_CERTIFICATE_NAME,
    REASON_CERTIFICATE_REVOKED,
    REASON_CERTIFICATE,
    REASON_ENCRYPTION, /* IKEv1: what is encrypted for the other side proves nothing */
    REASON_SHARED_KEY, /* IKEv1: what the peer sends cannot be read */
    REASON_SHARED_KEY_PERHAPS, /* IKEv1: the peer cannot read what we send, it seems */
    REASON_RADIUS_SILENT, /* detail: which server */
    REASON_RADIUS_REJECTED, /* detail */
    REASON_RADIUS_FORGED, /* detail */
    REASON_RADIUS_UNSIGNED, /* detail */
    REASON_RADIUS_REPLY, /* detail */
    REASON_USERS, /* they cannot be read, or used codes not written; detail */
    REASON_LOGIN_TIMEOUT, /* IKEv1; detail */
    REASON_LOGIN_REFUSED, /* of somebody who wanted in: detail */
    REASON_LOGIN_UNAVAILABLE, /* nobody could tell: detail */
    REASON_OUR_LOGIN_REFUSED, /* the peer refused our name and password: detail */
    REASON_LOGIN_UNASKED, /* the peer should ask us for a login, and does not */
    REASON_PPK_MISSING, /* the peer uses none; ours: its name */
    REASON_PPK_UNKNOWN, /* ours, theirs: names */
    REASON_PPK_DIFFERS, /* ours */
    REASON_PPK_REFUSED, /* the peer refused our proof, which has it in it; ours */

    REASON_SELECTORS, /* ours, theirs */
    REASON_CHILD_REFUSED, /* detail */
    REASON_OVERLAP, /* detail: the other site */
    REASON_NARROWED, /* ours: wanted, theirs: what was left */
    REASON_TRANSPORT_REFUSED, /* transport mode is a must here */
    REASON_POOL_EMPTY, /* detail: who wanted an address */
    REASON_ADDRESS_HELD, /* detail: whose address is somebody else's, or outside of the pool */
    REASON_NO_SETTINGS, /* the peer gives us no address, or we him none: detail */
    REASON_SESSIONS_FULL, /* detail: the user */

    REASON_ONE_WAY,
    REASON_REPLAY,
    REASON_FORGED,
    REASON_MTU,
    REASON_POLICY_DROP,
    REASON_SELECTOR_MISMATCH,
    REASON_UNKNOWN_SPI,

    REASON_STARTING,
    REASON_WAITING_PEER, /* start wait, or peer any */
    REASON_WAITING_TRAFFIC, /* start on-traffic */
    REASON_DOWN_BY_ORDER,
    REASON_DISABLED,
    REASON_PEER_DELETED,
    REASON_PEER_DEAD,
    REASON_REPLACED,
    REASON_CHILD_GONE, /* the IKE SA is up, its child is not */
    REASON_HALF_OPEN, /* somebody began and did not go on */
    REASON_REKEY_REFUSED, /* detail */
    REASON_STOPPING,
    REASON_NOT_PROVEN_AGAIN,
    REASON_RENEWAL_FAILS, /* ours, theirs */
    REASON_PEER_RESTARTED,

    REASON_NO_SECRET, /* detail */
    REASON_NO_CERTIFICATE, /* detail */
    REASON_RESOURCES, /* detail */
    REASON_ROUTE_FAILED, /* detail */
    REASON_MANUAL_KEYS, /* detail */
    REASON_TOKEN, /* detail */

    REASON_COUNT,
};

enum reason_group {
    REASON_GROUP_REACH,
    REASON_GROUP_OFFER,
    REASON_GROUP_IDENTITY,
    REASON_GROUP_NETWORKS,
    REASON_GROUP_DATA,
    REASON_GROUP_LIFE,
    REASON_GROUP_LOCAL,
    REASON_GROUP_COUNT,
};

/* The steps of a connection in their order, as `explain` lists them. */
enum reason_check {
    REASON_CHECK_NAME,
    REASON_CHECK_REACH,
    REASON_CHECK_OFFER,
    REASON_CHECK_IDENTITY,
    REASON_CHECK_NETWORKS,
    REASON_CHECK_DATA,
    REASON_CHECK_COUNT,
    REASON_CHECK_NONE = REASON_CHECK_COUNT, /* the reason stops none of them */
};

#define REASON_LINES_MAX 5

/* Words in braces are filled in by reason_fill(). */
struct reason_entry {
    enum reason reason;
    enum reason_group group;
    enum reason_check check; /* which one fails */
    bool trouble; /* false: a state that somebody wanted */
    const char *code; /* SEK-A012 */
    const char *sentence; /* for status: short, no full stop */
    const char *explanation;
    const char *causes[REASON_LINES_MAX]; /* most likely first; NULL behind the last */
    const char *steps[REASON_LINES_MAX];
};

/* What the sentences speak about. NULL and "" are unknown. */
struct reason_words {
    const char *site;
    const char *peer;
    const char *ours;
    const char *theirs;
    const char *detail;
    const char *key; /* the name of the secret */
};

const struct reason_entry *reason_get(enum reason reason);
/* With or without regard to case; NULL when there is no such code. */
MUST_USE const struct reason_entry *reason_find(struct slice code);
const char *reason_code(enum reason reason);
const char *reason_group_name(enum reason_group group); /* reach, offer, ... */
const char *reason_check_name(enum reason_check check); /* name, reach, ... */

/* A line that begins with `{?peer}` is to be said only when that word is known. */
MUST_USE bool reason_line_applies(const char *line, const struct reason_words *words);
/* `{peer}` becomes the word, `{peer|the peer}` has what to say when it is unknown. */
void reason_fill(const char *pattern, const struct reason_words *words, struct text *out);
void reason_sentence(enum reason reason, const struct reason_words *words, struct text *out);
/* The whole catalogue as scdoc text, for the troubleshooting manual page. */
void reason_manual(struct text *out);

#endif
