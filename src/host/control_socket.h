/*
 * The socket over which the command talks to the daemon: frames of four octets of length, most
 * significant first, and as many octets. What they mean is management's business. The server never
 * waits and keeps bounds on everything; the client's side waits.
 */
#ifndef SEKISHO_HOST_CONTROL_SOCKET_H
#define SEKISHO_HOST_CONTROL_SOCKET_H

#include "base/bytes.h"
#include "host/loop.h"

#define CONTROL_REQUEST_BYTES_MAX (1024u * 1024) /* of one frame to the daemon */
#define CONTROL_ANSWER_BYTES_MAX (256u * 1024 * 1024) /* of one frame from it */
#define CONTROL_CLIENTS_MAX 32

/* ---- the daemon's side ---- */

struct control_server;
struct control_client;

struct control_handler {
    /* A whole frame, borrowed for the call. */
    void (*request)(void *context, struct control_client *client, struct slice frame);
    /* The client is gone; the pointer is not valid after this. */
    void (*closed)(void *context, struct control_client *client);
    void *context;
};

/* The socket gets mode 0600; what a killed daemon left there is replaced, so the caller holds the
 * lock of the run directory. NULL with a sentence. */
MUST_USE struct control_server *control_server_new(struct loop *loop, const char *path,
                                                   const struct control_handler *handler, char *why,
                                                   size_t why_bytes);
/* Closes all clients (without calling `closed`) and removes the socket. */
void control_server_free(struct control_server *server);
/* Any number of frames may answer a request, now or later. False: the client does not read and has
 * been given up, or there is no memory; `closed` follows. */
bool control_send(struct control_client *client, struct slice frame);
/* Octets that wait to be read by the client: who streams stops when they grow. */
size_t control_waiting(const struct control_client *client);
/* A place for the caller's own state; NULL at first. */
void **control_client_state(struct control_client *client);

/* ---- the command's side ---- */

/* A connected descriptor, or -1 with a sentence; `absent` says that no daemon runs there. */
MUST_USE int control_connect(const char *path, bool *absent, char *why, size_t why_bytes);
MUST_USE bool control_write_frame(int fd, struct slice frame);
/* To be freed; NULL when the daemon closed the connection (or broke the rules). A zero stands
 * behind the end. */
MUST_USE char *control_read_frame(int fd, size_t *length);

#endif
