/*
 * Who may log in: a name and a password (or an answer to a challenge) come in as a question, and a
 * verdict with what belongs to the user goes out. This file is what others need to know of it.
 *
 * A question is asked once and answered once. "More is wanted" is an answer too: the one who asked
 * shows its message, and asks anew with what the user typed and the state of the answer.
 */
#ifndef SEKISHO_LOGIN_LOGIN_H
#define SEKISHO_LOGIN_LOGIN_H

#include <stdbool.h>

#include "base/address.h"
#include "base/secret.h"
#include "base/text.h"

/* With the terminating zero; RADIUS has room for 253 octets in each attribute (RFC 2865 5). */
#define LOGIN_USER_BYTES 128
#define LOGIN_SERVICE_BYTES 64
#define LOGIN_GROUP_BYTES 64
#define LOGIN_GROUPS_MAX 8
#define LOGIN_MESSAGE_BYTES 254
#define LOGIN_STATE_BYTES_MAX 255
#define LOGIN_CLASS_BYTES_MAX 253
#define LOGIN_PASSWORD_BYTES_MAX 128 /* RFC 2865 5.2 */
#define LOGIN_CHALLENGE_BYTES_MAX 64
#define LOGIN_DNS_MAX 4
#define LOGIN_SOURCE_BYTES 64

enum login_kind {
    LOGIN_PASSWORD, /* or a one-time password, or what was typed as the answer to a message */
    LOGIN_CHAP, /* RFC 1994: only who has the password itself, as a RADIUS server, can tell */
};

/* Octets of one use that a peer or a server chose. */
struct login_state {
    uint8_t length;
    uint8_t bytes[LOGIN_STATE_BYTES_MAX];
};

struct login_question {
    enum login_kind kind;
    char service[LOGIN_SERVICE_BYTES]; /* the name of the remote-access block */
    char user[LOGIN_USER_BYTES];
    struct secret password; /* LOGIN_CHAP: the response, 16 octets */
    uint8_t chap_id;
    uint8_t chap_challenge_length;
    uint8_t chap_challenge[LOGIN_CHALLENGE_BYTES_MAX];
    struct login_state state; /* of the answer that wanted more; empty: the first question */
    struct endpoint caller;
};

enum login_verdict {
    LOGIN_ACCEPTED,
    LOGIN_REFUSED,
    LOGIN_CHALLENGED, /* `message` and `state`: ask the user */
    LOGIN_UNAVAILABLE, /* nobody could tell: not the user's fault */
};

/* Why not; for the administrator. The user is never told which of them it was. */
enum login_reason {
    LOGIN_REASON_NONE,
    LOGIN_REASON_PASSWORD, /* unknown user or wrong password, which are the same to who asks */
    LOGIN_REASON_DISABLED,
    LOGIN_REASON_CODE, /* the one-time password is wrong, or was used already */
    LOGIN_REASON_NO_SECOND_FACTOR, /* one is wanted, and the user has none */
    LOGIN_REASON_THROTTLED, /* too many wrong tries */
    LOGIN_REASON_METHOD, /* CHAP, and only a one-way verifier is kept */
    LOGIN_REASON_STALE, /* the challenge is not known (any more) */
    LOGIN_REASON_STORE, /* the users cannot be read, or a used code not written */
    LOGIN_REASON_RADIUS_REJECTED,
    LOGIN_REASON_RADIUS_SILENT, /* no server answers */
    LOGIN_REASON_RADIUS_FORGED, /* the replies are not authentic: another secret */
    LOGIN_REASON_RADIUS_UNSIGNED, /* the replies have no Message-Authenticator */
    LOGIN_REASON_RADIUS_SECRET, /* a secret cannot be read */
    LOGIN_REASON_RADIUS_REPLY, /* an authentic reply that cannot be followed */
    LOGIN_REASON_BUSY,
    LOGIN_REASON_COUNT,
};

struct login_answer {
    enum login_verdict verdict;
    enum login_reason reason;
    char source[LOGIN_SOURCE_BYTES]; /* who decided: "local", "radius 10.1.0.20" */
    char message[LOGIN_MESSAGE_BYTES]; /* to be shown to the user; may be empty */
    struct login_state state;

    /* Accepted: what belongs to this user. */
    char user[LOGIN_USER_BYTES]; /* as the store or the server writes the name */
    char groups[LOGIN_GROUPS_MAX][LOGIN_GROUP_BYTES]; /* the first is the one that counts */
    uint8_t group_count;
    struct address address; /* always this one; no family: one of the pool */
    struct address netmask; /* RADIUS may name one */
    struct address dns[LOGIN_DNS_MAX];
    uint8_t dns_count;
    uint32_t session_timeout_s; /* 0: none was said */
    uint32_t idle_timeout_s;
    uint8_t class_length; /* of RADIUS: returned with each accounting request */
    uint8_t class_bytes[LOGIN_CLASS_BYTES_MAX];
};

/* Copies a question with its password; false when there is no memory. */
MUST_USE bool login_question_copy(struct login_question *to, const struct login_question *from);
/* Wipes the password; may be called twice. */
void login_question_fini(struct login_question *question);
/* An answer without anything of a user. */
struct login_answer login_answer_of(enum login_verdict verdict, enum login_reason reason,
                                    const char *source);
/* For the log and for status: short, no full stop. */
const char *login_reason_text(enum login_reason reason);
const char *login_verdict_name(enum login_verdict verdict);

#endif
