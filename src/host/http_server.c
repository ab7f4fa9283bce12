/*
 * Decides which questions are answered, and when a client is let go. A client has one question, its
 * answer and nothing more (HTTP/1.0, RFC 9112 C.2.2): whatever it sends behind is not looked at.
 * When all places are taken, the oldest client makes room, so that nobody can hold them all.
 */
#include "host/http_server.h"

#include "host/clock.h"
#include "host/connection.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPTS_MAX 16 /* in one turn: packets wait meanwhile */
#define HEAD_BYTES 256
#define LAST_MS 2000 /* for the other end to close */

/* Counted: who is being answered keeps it. */
struct document {
    size_t holders;
    size_t length;
    uint8_t bytes[];
};

struct place {
    char path[64];
    char type[64];
    struct document *document; /* NULL: nothing is there */
};

enum client_state { CLIENT_ASKS, CLIENT_IS_ANSWERED, CLIENT_LEAVES };

struct client {
    struct http_server *server;
    struct loop_source source; /* fd -1: no client */
    enum client_state state;
    uint64_t since_ms, deadline_ms;
    size_t length; /* of the question so far */
    uint8_t question[HTTP_QUESTION_BYTES_MAX];
    char head[HEAD_BYTES];
    size_t head_length, sent; /* of head and document together */
    struct document *document; /* NULL: none behind the head */
};

struct listener {
    struct http_server *server;
    struct loop_source source;
};

struct http_server {
    struct loop *loop;
    struct listener listeners[HTTP_SERVER_PLACES_MAX];
    size_t listener_count;
    struct place places[HTTP_SERVER_DOCUMENTS_MAX];
    size_t place_count;
    struct client clients[HTTP_SERVER_CLIENTS_MAX];
};

/* ---- the question ---- */

static enum http_part refuse(struct http_question *out, unsigned status)
{
    out->status = status;
    return HTTP_BROKEN;
}

static bool is_target(struct slice target)
{
    for (size_t i = 0; i < target.length; i++) {
        if (target.data[i] <= 0x20 || target.data[i] >= 0x7f) {
            return false;
        }
    }
    return target.length > 0;
}

/* RFC 9112 3.2.2: a server takes the form with a host in it, too. */
static struct slice path_of(struct slice target)
{
    static const char scheme[] = "http://";
    size_t skip = sizeof(scheme) - 1;

    if (target.length <= skip || memcmp(target.data, scheme, skip) != 0) {
        return target;
    }
    while (skip < target.length && target.data[skip] != '/') {
        skip++;
    }
    return (struct slice){target.data + skip, target.length - skip};
}

/* METHOD SP TARGET SP HTTP/1.x */
static enum http_part read_line(struct slice line, struct http_question *out)
{
    struct reader r = reader_over(line);
    size_t method = 0, target = 0;

    while (method < line.length && line.data[method] != ' ') {
        method++;
    }
    while (method + 1 + target < line.length && line.data[method + 1 + target] != ' ') {
        target++;
    }
    struct slice name = read_bytes(&r, method);

    read_skip(&r, 1);
    struct slice place = read_bytes(&r, target);
    struct slice version = read_rest(&r);

    if (!reader_ok(&r) || !is_target(place) || version.length != 9 ||
        memcmp(version.data, " HTTP/1.", 8) != 0 || version.data[8] < '0' ||
        version.data[8] > '9') {
        return refuse(out, 400);
    }
    out->head = slice_equal(name, SLICE_TEXT("HEAD"));
    if (!out->head && !slice_equal(name, SLICE_TEXT("GET"))) {
        return refuse(out, 405);
    }
    out->path = path_of(place);
    return out->path.length > 0 && out->path.data[0] == '/' ? HTTP_WHOLE : refuse(out, 400);
}

enum http_part http_read_question(struct slice received, struct http_question *out)
{
    size_t end = 0;

    *out = (struct http_question){.head = false};
    while (end + 4 <= received.length && memcmp(received.data + end, "\r\n\r\n", 4) != 0) {
        end++;
    }
    if (end + 4 > received.length) {
        return received.length < HTTP_QUESTION_BYTES_MAX ? HTTP_MORE : refuse(out, 431);
    }
    size_t line = 0;

    while (received.data[line] != '\r') {
        line++;
    }
    return read_line((struct slice){received.data, line}, out);
}

/* ---- documents ---- */

static void document_free(struct document *document)
{
    if (document != NULL && --document->holders == 0) {
        free(document);
    }
}

static struct place *find_place(struct http_server *server, struct slice path)
{
    for (size_t i = 0; i < server->place_count; i++) {
        if (slice_equal(path, slice_of_text(server->places[i].path))) {
            return &server->places[i];
        }
    }
    return NULL;
}

bool http_server_set(struct http_server *server, const char *path, const char *type,
                     struct slice bytes)
{
    struct place *place = find_place(server, slice_of_text(path));
    struct document *document = bytes.length == 0 ? NULL : malloc(sizeof(*document) + bytes.length);

    if (bytes.length > 0 && document == NULL) {
        return false;
    }
    if (document != NULL) {
        document->holders = 1;
        document->length = bytes.length;
        memcpy(document->bytes, bytes.data, bytes.length);
    }
    if (place == NULL) {
        if (server->place_count == HTTP_SERVER_DOCUMENTS_MAX) {
            document_free(document);
            return false;
        }
        place = &server->places[server->place_count++];
        snprintf(place->path, sizeof(place->path), "%s", path);
    }
    snprintf(place->type, sizeof(place->type), "%s", type);
    document_free(place->document);
    place->document = document;
    return true;
}

/* ---- clients ---- */

static void let_go(struct client *client)
{
    if (client->source.fd >= 0) {
        loop_remove(client->server->loop, &client->source);
        connection_close(client->source.fd, client->state != CLIENT_LEAVES);
        client->source.fd = -1;
    }
    document_free(client->document);
    client->document = NULL;
}

static const char *words_of(unsigned status)
{
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Bad Request";
    }
}

static void begin_answer(struct client *client, const struct http_question *question,
                         unsigned status)
{
    const struct place *place = status == 200 ? find_place(client->server, question->path) : NULL;
    struct document *document = place == NULL ? NULL : place->document;
    struct text head = text_over(client->head, sizeof(client->head));

    status = status == 200 && document == NULL ? 404 : status;
    text_addf(&head, "HTTP/1.0 %u %s\r\nContent-Length: %zu\r\nConnection: close\r\n", status,
              words_of(status), document == NULL ? 0 : document->length);
    if (document != NULL) {
        text_addf(&head, "Content-Type: %s\r\n", place->type);
    }
    if (status == 405) {
        text_add(&head, "Allow: GET, HEAD\r\n");
    }
    text_add(&head, "\r\n");
    assert(!head.cut);
    client->head_length = head.length;
    client->sent = 0;
    client->state = CLIENT_IS_ANSWERED;
    client->deadline_ms = client->since_ms + HTTP_ANSWER_MS;
    if (document != NULL && !question->head) {
        document->holders++;
        client->document = document;
    }
}

/* What came is thrown away: the end is told by nothing more coming. */
static void drain(struct client *client)
{
    char why[CONNECTION_WHY_BYTES];
    size_t bytes = 0;
    enum connection_result result = connection_read(
        client->source.fd, client->question, sizeof(client->question), &bytes, why, sizeof(why));

    if (result == CONNECTION_ENDED) {
        let_go(client);
    }
}

static void send_more(struct client *client)
{
    size_t whole = client->head_length + (client->document == NULL ? 0 : client->document->length);

    while (client->sent < whole) {
        struct slice part = {(const uint8_t *)client->head + client->sent,
                             client->head_length - client->sent};
        size_t bytes = 0;

        if (client->sent >= client->head_length) {
            part.data = client->document->bytes + (client->sent - client->head_length);
            part.length = whole - client->sent;
        }
        enum connection_result result = connection_write(client->source.fd, &part, 1, &bytes);

        client->sent += bytes;
        if (result == CONNECTION_ENDED) {
            let_go(client);
            return;
        }
        if (result == CONNECTION_LATER) {
            loop_change(client->server->loop, &client->source, LOOP_WRITE);
            return;
        }
    }
    /* Closed at once, what it sent behind its question would make the system throw away the end of
     * the answer. */
    connection_finish(client->source.fd);
    client->state = CLIENT_LEAVES;
    client->deadline_ms = clock_now_ms() + LAST_MS;
    loop_change(client->server->loop, &client->source, LOOP_READ);
}

static void read_more(struct client *client)
{
    struct http_question question;
    char why[CONNECTION_WHY_BYTES];
    size_t bytes = 0;
    enum connection_result result =
        connection_read(client->source.fd, client->question + client->length,
                        sizeof(client->question) - client->length, &bytes, why, sizeof(why));

    client->length += bytes;
    if (result == CONNECTION_ENDED) {
        let_go(client);
        return;
    }
    switch (http_read_question((struct slice){client->question, client->length}, &question)) {
    case HTTP_MORE:
        return;
    case HTTP_WHOLE:
        begin_answer(client, &question, 200);
        break;
    case HTTP_BROKEN:
        begin_answer(client, &question, question.status);
        break;
    }
    send_more(client);
}

static void client_ready(void *context, unsigned events)
{
    struct client *client = context;

    (void)events;
    switch (client->state) {
    case CLIENT_ASKS:
        read_more(client);
        break;
    case CLIENT_IS_ANSWERED:
        send_more(client);
        break;
    case CLIENT_LEAVES:
        drain(client);
        break;
    }
}

/* A free place, or that of the oldest. */
static struct client *make_room(struct http_server *server)
{
    struct client *oldest = &server->clients[0];

    for (size_t i = 0; i < HTTP_SERVER_CLIENTS_MAX; i++) {
        struct client *client = &server->clients[i];

        if (client->source.fd < 0) {
            return client;
        }
        if (client->since_ms < oldest->since_ms) {
            oldest = client;
        }
    }
    let_go(oldest);
    return oldest;
}

static void listener_ready(void *context, unsigned events)
{
    struct listener *listener = context;
    struct http_server *server = listener->server;
    struct endpoint local, peer;
    int fd;

    (void)events;
    for (size_t i = 0; i < ACCEPTS_MAX && connection_accept(listener->source.fd, &fd, &local,
                                                            &peer) == CONNECTION_DONE;
         i++) {
        struct client *client = make_room(server);
        uint64_t now_ms = clock_now_ms();

        client->server = server;
        client->source = (struct loop_source){fd, client_ready, client};
        client->state = CLIENT_ASKS;
        client->since_ms = now_ms;
        client->deadline_ms = now_ms + HTTP_QUESTION_MS;
        client->length = 0;
        if (!loop_add(server->loop, &client->source, LOOP_READ)) {
            connection_close(fd, true);
            client->source.fd = -1;
        }
    }
}

void http_server_time(struct http_server *server, uint64_t now_ms)
{
    for (size_t i = 0; i < HTTP_SERVER_CLIENTS_MAX; i++) {
        struct client *client = &server->clients[i];

        if (client->source.fd >= 0 && now_ms >= client->deadline_ms) {
            let_go(client);
        }
    }
}

/* ---- the server ---- */

struct http_server *http_server_new(struct loop *loop)
{
    struct http_server *server = calloc(1, sizeof(*server));

    for (size_t i = 0; server != NULL && i < HTTP_SERVER_CLIENTS_MAX; i++) {
        server->clients[i].source.fd = -1;
    }
    if (server != NULL) {
        server->loop = loop;
    }
    return server;
}

bool http_server_listen(struct http_server *server, const struct endpoint *local, bool *absent,
                        char *why, size_t why_bytes)
{
    struct listener *listener = &server->listeners[server->listener_count];

    *absent = false;
    if (server->listener_count == HTTP_SERVER_PLACES_MAX) {
        snprintf(why, why_bytes, "more than %d addresses are too many", HTTP_SERVER_PLACES_MAX);
        return false;
    }
    int fd = connection_listen(local, absent, why, why_bytes);

    if (fd < 0) {
        return false;
    }
    listener->server = server;
    listener->source = (struct loop_source){fd, listener_ready, listener};
    if (!loop_add(server->loop, &listener->source, LOOP_READ)) {
        connection_close(fd, true);
        snprintf(why, why_bytes, "the system gives no descriptors");
        return false;
    }
    server->listener_count++;
    return true;
}

void http_server_free(struct http_server *server)
{
    if (server == NULL) {
        return;
    }
    for (size_t i = 0; i < HTTP_SERVER_CLIENTS_MAX; i++) {
        let_go(&server->clients[i]);
    }
    for (size_t i = 0; i < server->listener_count; i++) {
        loop_remove(server->loop, &server->listeners[i].source);
        connection_close(server->listeners[i].source.fd, true);
    }
    for (size_t i = 0; i < server->place_count; i++) {
        document_free(server->places[i].document);
    }
    free(server);
}
