/*
 * The RADIUS client: logins are asked of servers, the best that answers first. A machine:
 * questions, datagrams and the time come in, datagrams and answers go out. Requests that are lost
 * are sent again, a server that stays silent is left alone for a while, and what is not authentic
 * is as if it had not come, but counted.
 */
#ifndef SEKISHO_PROTO_RADIUS_CLIENT_H
#define SEKISHO_PROTO_RADIUS_CLIENT_H

#include "base/random.h"
#include "login/login.h"
#include "wire/radius.h"

#define RADIUS_SERVERS_MAX 8
#define RADIUS_REQUESTS_MAX                                                                        \
    200 /* to one server at once: there are 256 identifiers (RFC 2865 3)                           \
         */
#define RADIUS_REQUEST_BYTES_MAX 1024
/* A request is sent after 0, 1 and 3 seconds and given up after 6; to a server that was silent last
 * time once, for a second. */
#define RADIUS_TRIES 3
#define RADIUS_FIRST_WAIT_MS UINT64_C(1000)
#define RADIUS_DEAD_MS UINT64_C(30000)

struct radius_server {
    struct endpoint endpoint;
    struct secret secret; /* empty: it could not be read, and the server is not asked */
    bool unsigned_replies;
};

enum radius_health { RADIUS_UNTRIED, RADIUS_ALIVE, RADIUS_SILENT };

struct radius_figures {
    struct endpoint endpoint;
    enum radius_health health;
    bool has_secret, unsigned_replies;
    uint64_t requests, retransmissions, accepts, rejects, challenges, given_up;
    uint64_t late, forged, not_signed, malformed; /* replies that were dropped */
    uint32_t last_ms; /* how long the last answer took */
    size_t under_way;
};

/* RFC 2866: what becomes of somebody's session. */
enum radius_account_kind {
    RADIUS_ACCOUNT_START = 1,
    RADIUS_ACCOUNT_STOP = 2,
    RADIUS_ACCOUNT_ON = 7, /* we began anew: whatever session of ours was there is over */
};
enum radius_cause { /* RFC 2866 5.10 */
                    RADIUS_CAUSE_USER_REQUEST = 1,
                    RADIUS_CAUSE_IDLE_TIMEOUT = 4,
                    RADIUS_CAUSE_SESSION_TIMEOUT = 5,
                    RADIUS_CAUSE_ADMIN_RESET = 6,
                    RADIUS_CAUSE_NAS_REQUEST = 10,
};

#define RADIUS_SESSION_BYTES 48

struct radius_account {
    enum radius_account_kind kind;
    char session[RADIUS_SESSION_BYTES]; /* Acct-Session-Id: unlike all others, over restarts too */
    char user[LOGIN_USER_BYTES];
    char service[LOGIN_SERVICE_BYTES];
    struct endpoint caller;
    struct address address;
    uint64_t at_ms; /* when it happened */
    uint64_t session_ms;
    uint64_t in_bytes, in_packets, out_bytes, out_packets; /* in: from him */
    enum radius_cause cause; /* STOP */
    uint8_t class_length;
    uint8_t class_bytes[LOGIN_CLASS_BYTES_MAX]; /* as an answer had it */
};

/* What nobody took is told again so often, so long after it; then it is lost, and counted. */
#define RADIUS_ACCOUNTS_MAX 1000
#define RADIUS_ACCOUNT_ROUNDS 60
#define RADIUS_ACCOUNT_PAUSE_MS UINT64_C(30000)

enum radius_action_kind { RADIUS_NOTHING, RADIUS_SEND, RADIUS_ANSWER };

struct radius_action {
    enum radius_action_kind kind;
    size_t server;
    struct endpoint to; /* SEND: from a port that is the server's alone */
    struct slice bytes; /* SEND: until the next call */
    uint64_t job;
    const struct login_answer *answer; /* ANSWER: until the next call */
};

struct radius_client;

/* `identifier` is our name for servers (NAS-Identifier). */
MUST_USE struct radius_client *radius_new(struct random_source random, const char *identifier);
void radius_free(struct radius_client *client);
/* Takes the secrets over. What is under way is answered: nobody could tell. Counters and health
 * stay with a server that stays. */
void radius_set_servers(struct radius_client *client, struct radius_server *servers, size_t count);
/* False, and no answer will come: there is no memory. */
MUST_USE bool radius_ask(struct radius_client *client, uint64_t job,
                         const struct login_question *question, uint64_t now_ms);
/* For a client whose servers are accounting servers: what is told is taken by one of them, sooner
 * or later. */
void radius_account(struct radius_client *client, const struct radius_account *account,
                    uint64_t now_ms);
/* What is not taken yet, and what never was. */
size_t radius_accounts_waiting(const struct radius_client *client);
uint64_t radius_accounts_lost(const struct radius_client *client);
/* A datagram that came to the port of this server. */
void radius_receive(struct radius_client *client, size_t server, const struct endpoint *from,
                    struct slice bytes, uint64_t now_ms);
/* Nothing is lost by waking it too early. */
void radius_time(struct radius_client *client, uint64_t now_ms);
uint64_t radius_deadline_ms(const struct radius_client *client); /* NEVER_MS */
MUST_USE bool radius_take(struct radius_client *client, struct radius_action *action);

size_t radius_server_count(const struct radius_client *client);
struct radius_figures radius_figures(const struct radius_client *client, size_t server);
const char *radius_health_name(enum radius_health health);

/* reply.c: what an authentic reply says; false when it cannot be followed. */
MUST_USE bool radius_read_answer(const struct radius_packet *reply, struct login_answer *answer);

#endif
