/*
 * Questions and orders from the command, as JSON: one request in, one answer out. Names in the
 * answers never change their meaning; new ones may be added. Every answer has "exit" (the exit code
 * of the command) and either "answer" (with "version": 1) or "error" and perhaps "next" (what to
 * do).
 *
 *     {"verb": "status", "words": ["osaka"], "options": {"verbose": true}}
 *
 * `status` and `sas` tell of 200 sites at most; where there are more, "next" is a number, and the
 * option "after" with it asks for those that follow. The command does so by itself.
 */
#ifndef SEKISHO_MANAGEMENT_MANAGEMENT_H
#define SEKISHO_MANAGEMENT_MANAGEMENT_H

#include "base/log.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "login/login.h"

#define MANAGEMENT_SCHEMA_VERSION 1

typedef void management_log_visit(void *context, uint64_t number, uint64_t at_ms,
                                  enum log_level level, const char *about, const char *line);

struct management_capture {
    const char *site;
    uint32_t policy_id;
    bool outer, inner; /* as it is on the wire, in clear */
    bool keys; /* and its keys */
    uint64_t packets_max; /* 0: until it is stopped */
};

#define MANAGEMENT_OFFLOADS_MAX 8
struct management_offloads {
    char words[64]; /* about all of it: "TUN TSO+USO, UDP segmentation+GRO" */
    struct {
        const char *name; /* borrowed, like the reason */
        bool in_use;
        const char *reason; /* why it is not; "" when it is */
    } parts[MANAGEMENT_OFFLOADS_MAX];
    size_t count;
    /* Peers to which datagrams leave singly, because the way to them took none in one piece within
     * the last minute. */
    struct address single[MANAGEMENT_OFFLOADS_MAX];
    size_t single_count;
};

#define MANAGEMENT_TCP_ENDS_MAX 16
struct management_tcp {
    uint16_t ports[CONFIG_TCP_PORTS_MAX]; /* on which peers may call */
    size_t port_count;
    size_t connections, strangers, opened_by_us; /* now; a stranger's IKE SA is not established */
    uint64_t accepted, opened; /* since the start */
    size_t queued_bytes;
    struct {
        const char *name; /* why those of others were refused or closed */
        uint64_t count;
    } ends[MANAGEMENT_TCP_ENDS_MAX];
    size_t end_count;
};

/* A RADIUS server, as it is now. */
struct management_radius {
    struct endpoint endpoint;
    const char *state; /* answers, silent, not asked yet, no secret */
    bool unsigned_replies;
    uint64_t requests, retransmissions, accepts, rejects, challenges, given_up;
    uint64_t late, forged, not_signed, malformed; /* replies that were dropped */
    uint32_t last_ms; /* how long the last answer took */
};

struct management_logins {
    size_t users, under_way;
    uint64_t accepted, refused, unavailable;
    size_t accounts_waiting; /* that no accounting server took yet */
    uint64_t accounts_lost;
    struct management_radius servers[CONFIG_RADIUS_MAX];
    size_t server_count;
};

/* Somebody wants to know whether a user would be let in. */
struct management_try {
    const char
        *service; /* the block whose rules hold; "": RADIUS if there is any, then our users */
    const char *user, *password;
    struct login_state state; /* of an answer that wanted more */
};

/* What management cannot do itself: the daemon's side. Everything here is borrowed for life. */
struct management {
    struct gateway *gateway;
    void *context;
    /* Reads the configuration file again; to be freed by management. */
    struct config_result *(*read_config)(void *context);
    /* Hands a checked configuration to the gateway, and does what else goes with it. */
    void (*apply)(void *context, struct config *config, uint64_t now_ms);
    /* Files of certificates are others now: they are looked at soon. */
    void (*certificates_changed)(void *context, uint64_t now_ms);
    /* Visits the lines of the log ring whose numbers are greater than `after`, oldest first. */
    void (*log_lines)(void *context, uint64_t after, management_log_visit *visit,
                      void *visit_context);
    /* Problems of the machine that the gateway cannot see: a sentence and what to do; false behind
     * the last. */
    bool (*host_problem)(void *context, size_t index, const char **sentence, const char **next);
    /* What the system does for us with many packets in one piece. */
    void (*host_offloads)(void *context, struct management_offloads *out);
    /* Connections of RFC 9329. NULL: nothing is said of them. */
    void (*host_tcp)(void *context, struct management_tcp *out);
    /* Users and RADIUS servers. NULL: nothing is said of them. */
    void (*logins)(void *context, struct management_logins *out);
    /* The files of users are read again. False with a sentence: the old ones stay. */
    bool (*reload_users)(void *context, size_t *count, char *why, size_t why_bytes);
    /* Begins a login for the sake of knowing; the answer is there, once, under the number. */
    bool (*try_login)(void *context, const struct management_try *order, uint64_t *number,
                      char *why, size_t why_bytes);
    bool (*tried_login)(void *context, uint64_t number, struct login_answer *out);
    /* Begins to send packets behind the answer to who is asking. False with a sentence. */
    bool (*capture)(void *context, const struct management_capture *order, char *why,
                    size_t why_bytes);
};

/* The answer's text, to be freed; NULL when there is no memory. Any bytes may be the request. */
char *management_answer(const struct management *management, struct slice request, uint64_t now_ms);

#endif
