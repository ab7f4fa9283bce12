/* Decides how requests and answers are framed on the control socket, and how much a client may take
 * up. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/control_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_BYTES 4
#define READ_BYTES 16384
#define WAITING_BYTES_MAX CONTROL_ANSWER_BYTES_MAX

struct buffer {
    uint8_t *data;
    size_t start, length, capacity;
};

struct control_client {
    struct control_server *server;
    struct loop_source source;
    struct buffer in, out;
    bool used, ends, writing;
    void *state;
};

struct control_server {
    struct loop *loop;
    struct loop_source source;
    struct control_handler handler;
    struct sockaddr_un name;
    struct control_client clients[CONTROL_CLIENTS_MAX];
};

/* ---- buffers ---- */

static bool buffer_add(struct buffer *b, const uint8_t *data, size_t length)
{
    if (b->start > 0 && b->start + b->length + length > b->capacity) {
        memmove(b->data, b->data + b->start, b->length);
        b->start = 0;
    }
    if (b->length + length > b->capacity) {
        size_t capacity = b->capacity == 0 ? READ_BYTES : b->capacity;

        while (capacity < b->length + length) {
            capacity *= 2;
        }
        uint8_t *larger = realloc(b->data, capacity);
        if (larger == NULL) {
            return false;
        }
        b->data = larger;
        b->capacity = capacity;
    }
    memcpy(b->data + b->start + b->length, data, length);
    b->length += length;
    return true;
}

static void buffer_drop(struct buffer *b, size_t length)
{
    b->start += length;
    b->length -= length;
    if (b->length == 0) {
        b->start = 0;
    }
}

/* An answer of many megabytes is rare: its memory is not kept. */
static void buffer_fini(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){0};
}

/* ---- the daemon's side ---- */

static void client_close(struct control_client *client)
{
    struct control_server *server = client->server;

    loop_remove(server->loop, &client->source);
    (void)close(client->source.fd);
    buffer_fini(&client->in);
    buffer_fini(&client->out);
    client->used = false;
    if (server->handler.closed != NULL) {
        server->handler.closed(server->handler.context, client);
    }
    client->state = NULL;
}

static void client_want_write(struct control_client *client, bool writing)
{
    if (client->writing != writing) {
        client->writing = writing;
        loop_change(client->server->loop, &client->source,
                    writing ? LOOP_READ | LOOP_WRITE : LOOP_READ);
    }
}

static void client_flush(struct control_client *client)
{
    while (client->out.length > 0 && !client->ends) {
        ssize_t put = send(client->source.fd, client->out.data + client->out.start,
                           client->out.length, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            client->ends = errno != EAGAIN;
            break;
        }
        buffer_drop(&client->out, (size_t)put);
    }
    if (client->out.length == 0) {
        buffer_fini(&client->out);
    }
    client_want_write(client, client->out.length > 0);
}

bool control_send(struct control_client *client, struct slice frame)
{
    uint8_t head[HEAD_BYTES];

    if (client->ends || frame.length > CONTROL_ANSWER_BYTES_MAX ||
        client->out.length + frame.length > WAITING_BYTES_MAX) {
        client->ends = true;
        client_want_write(client, true); /* so that the loop comes by and closes it */
        return false;
    }
    put_u32(head, (uint32_t)frame.length);
    if (!buffer_add(&client->out, head, sizeof(head)) ||
        !buffer_add(&client->out, frame.data, frame.length)) {
        client->ends = true;
    }
    client_flush(client);
    if (client->ends) {
        client_want_write(client, true);
    }
    return !client->ends;
}

size_t control_waiting(const struct control_client *client)
{
    return client->out.length;
}

void **control_client_state(struct control_client *client)
{
    return &client->state;
}

static void client_take_frames(struct control_client *client)
{
    struct control_server *server = client->server;

    while (!client->ends && client->in.length >= HEAD_BYTES) {
        const uint8_t *at = client->in.data + client->in.start;
        size_t length = get_u32(at);

        if (length > CONTROL_REQUEST_BYTES_MAX) {
            client->ends = true;
            return;
        }
        if (client->in.length < HEAD_BYTES + length) {
            return;
        }
        server->handler.request(server->handler.context, client,
                                (struct slice){at + HEAD_BYTES, length});
        buffer_drop(&client->in, HEAD_BYTES + length);
    }
}

static void client_ready(void *context, unsigned events)
{
    struct control_client *client = context;
    uint8_t bytes[READ_BYTES];

    if ((events & LOOP_WRITE) != 0) {
        client_flush(client);
    }
    if ((events & (LOOP_READ | LOOP_ERROR)) != 0 && !client->ends) {
        ssize_t got = recv(client->source.fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (got > 0) {
            client->ends = !buffer_add(&client->in, bytes, (size_t)got);
            client_take_frames(client);
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            client->ends = true;
        }
    }
    if (client->ends) {
        client_close(client);
    }
}

/* Mode 0600 keeps others out; on a file system without modes this still does. */
static bool is_allowed(int fd)
{
    struct ucred who;
    socklen_t length = sizeof(who);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 &&
           (who.uid == 0 || who.uid == geteuid());
}

static struct control_client *free_client(struct control_server *server)
{
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (!server->clients[i].used) {
            return &server->clients[i];
        }
    }
    return NULL;
}

static void server_ready(void *context, unsigned events)
{
    struct control_server *server = context;

    (void)events;
    int fd = accept4(server->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    struct control_client *client = free_client(server);
    if (client == NULL || !is_allowed(fd)) {
        (void)close(fd);
        return;
    }
    *client = (struct control_client){
        .server = server,
        .source = {.fd = fd, .ready = client_ready, .context = client},
        .used = true,
    };
    if (!loop_add(server->loop, &client->source, LOOP_READ)) {
        client->used = false;
        (void)close(fd);
    }
}

static bool set_name(struct sockaddr_un *name, const char *path, char *why, size_t why_bytes)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(name->sun_path)) {
        snprintf(why, why_bytes, "the path %s is too long for a socket: at most %zu characters",
                 path, sizeof(name->sun_path) - 1);
        return false;
    }
    memcpy(name->sun_path, path, strlen(path));
    return true;
}

struct control_server *control_server_new(struct loop *loop, const char *path,
                                          const struct control_handler *handler, char *why,
                                          size_t why_bytes)
{
    struct control_server *server = calloc(1, sizeof(*server));

    if (server == NULL || !set_name(&server->name, path, why, why_bytes)) {
        free(server);
        return NULL;
    }
    server->loop = loop;
    server->handler = *handler;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)unlink(path);
    mode_t before = umask(0177); /* no moment in which others could connect */
    bool ok = fd >= 0 &&
              bind(fd, (const struct sockaddr *)&server->name, sizeof(server->name)) == 0 &&
              listen(fd, CONTROL_CLIENTS_MAX) == 0;
    int error = errno;
    (void)umask(before);
    server->source = (struct loop_source){.fd = fd, .ready = server_ready, .context = server};
    if (!ok || !loop_add(loop, &server->source, LOOP_READ)) {
        snprintf(why, why_bytes, "cannot open the control socket %s: %s", path, strerror(error));
        if (fd >= 0) {
            (void)close(fd);
        }
        free(server);
        return NULL;
    }
    return server;
}

void control_server_free(struct control_server *server)
{
    if (server == NULL) {
        return;
    }
    server->handler.closed = NULL;
    for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        if (server->clients[i].used) {
            client_close(&server->clients[i]);
        }
    }
    loop_remove(server->loop, &server->source);
    (void)close(server->source.fd);
    (void)unlink(server->name.sun_path);
    free(server);
}

/* ---- the command's side ---- */

int control_connect(const char *path, bool *absent, char *why, size_t why_bytes)
{
    struct sockaddr_un name;

    *absent = false;
    if (!set_name(&name, path, why, why_bytes)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&name, sizeof(name)) == 0) {
        return fd;
    }
    int error = errno;
    *absent = error == ENOENT || error == ECONNREFUSED;
    if (*absent) {
        snprintf(why, why_bytes, "no sekishod answers on %s: is it running?", path);
    } else if (error == EACCES || error == EPERM) {
        snprintf(why, why_bytes, "no right to talk to sekishod on %s: try with sudo", path);
    } else {
        snprintf(why, why_bytes, "cannot talk to sekishod on %s: %s", path, strerror(error));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

static bool send_all(int fd, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t put = send(fd, data, length, MSG_NOSIGNAL);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        data += put;
        length -= (size_t)put;
    }
    return true;
}

static bool receive_all(int fd, uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t got = recv(fd, data, length, 0);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        data += got;
        length -= (size_t)got;
    }
    return true;
}

bool control_write_frame(int fd, struct slice frame)
{
    uint8_t head[HEAD_BYTES];

    if (frame.length > CONTROL_REQUEST_BYTES_MAX) {
        return false;
    }
    put_u32(head, (uint32_t)frame.length);
    return send_all(fd, head, sizeof(head)) && send_all(fd, frame.data, frame.length);
}

char *control_read_frame(int fd, size_t *length)
{
    uint8_t head[HEAD_BYTES];

    if (!receive_all(fd, head, sizeof(head)) || get_u32(head) > CONTROL_ANSWER_BYTES_MAX) {
        return NULL;
    }
    *length = get_u32(head);
    char *frame = malloc(*length + 1);
    if (frame == NULL || !receive_all(fd, (uint8_t *)frame, *length)) {
        free(frame);
        return NULL;
    }
    frame[*length] = '\0';
    return frame;
}
