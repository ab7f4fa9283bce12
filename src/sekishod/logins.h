/* Logins: the desk and the RADIUS client with what they need of the system: files, threads, sockets
 * and the time. */
#ifndef SEKISHO_SEKISHOD_LOGINS_H
#define SEKISHO_SEKISHOD_LOGINS_H

#include "config/config.h"
#include "login/login.h"

struct daemon;
struct logins;

/* As the configuration says now: users, servers and their secrets are read. */
void logins_apply(struct daemon *daemon, uint64_t now_ms);
/* The users alone; how many there are. False with a sentence: then the old ones stay. */
MUST_USE bool logins_read_users(struct daemon *daemon, size_t *count, char *why, size_t why_bytes);
/* A question of the gateway's; answered by gateway_login_done(), perhaps before this returns. */
void logins_ask(struct daemon *daemon, uint64_t job, const struct login_question *question,
                uint64_t now_ms);
/* Somebody's session began or ended: accounting servers are told. */
struct gateway_session;
void logins_session(struct daemon *daemon, const struct gateway_session *session, uint64_t now_ms);
/* What came from threads and servers, and what is due. */
void logins_turn(struct daemon *daemon, uint64_t now_ms);
uint64_t logins_deadline_ms(const struct daemon *daemon);
/* What is wrong, for status; NULL: nothing. */
const char *logins_trouble(const struct daemon *daemon, const char **next);
void logins_free(struct logins *logins); /* NULL is allowed */

struct management_logins;
struct management_try;
/* For management. */
void logins_tell(void *context, struct management_logins *out);
bool logins_try(void *context, const struct management_try *order, uint64_t *number, char *why,
                size_t why_bytes);
bool logins_tried(void *context, uint64_t number, struct login_answer *out);
bool logins_reload(void *context, size_t *count, char *why, size_t why_bytes);

#endif
