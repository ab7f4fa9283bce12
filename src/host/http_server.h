/*
 * Gives a few documents to whoever asks by HTTP (RFC 9110, RFC 9112), and nothing else: no files,
 * no names but those that were set. Everything is bounded: clients, octets of a question, time.
 */
#ifndef SEKISHO_HOST_HTTP_SERVER_H
#define SEKISHO_HOST_HTTP_SERVER_H

#include "base/address.h"
#include "base/bytes.h"
#include "base/text.h"
#include "host/http.h"
#include "host/loop.h"

#define HTTP_SERVER_CLIENTS_MAX 32
#define HTTP_SERVER_PLACES_MAX 8
#define HTTP_SERVER_DOCUMENTS_MAX 4
#define HTTP_QUESTION_BYTES_MAX 2048
#define HTTP_QUESTION_MS 5000 /* until a question is whole */
#define HTTP_ANSWER_MS 60000 /* until its answer has left */

struct http_server;

/* NULL: no memory. One thread, the one of the loop. */
MUST_USE struct http_server *http_server_new(struct loop *loop);
void http_server_free(struct http_server *server); /* NULL is allowed */
/* False with a sentence; `absent`: this system does not have the family. */
MUST_USE bool http_server_listen(struct http_server *server, const struct endpoint *local,
                                 bool *absent, char *why, size_t why_bytes);
/* Copies the octets; who is being answered gets the old ones to their end. False: no memory, or no
 * room. Empty `bytes`: nothing is there any more. */
MUST_USE bool http_server_set(struct http_server *server, const char *path, const char *type,
                              struct slice bytes);
/* Who is too slow is let go. */
void http_server_time(struct http_server *server, uint64_t now_ms);

/* ---- the question as octets, and for tests ---- */

struct http_question {
    bool head; /* only what stands before the document */
    struct slice path; /* with its first '/' */
    unsigned status; /* with HTTP_BROKEN: what it is answered */
};

/* What `received` is so far; with HTTP_WHOLE `path` points into it. */
enum http_part http_read_question(struct slice received, struct http_question *out);

#endif
