/* Decides what is asked of a web server and what of its answer is taken. RFC 9110, RFC 9112;
 * HTTP/1.0, so that nothing comes in chunks. */
#define _GNU_SOURCE 1 /* what only Linux has */
#include "host/http.h"

#include "host/clock.h"
#include "host/datagram.h"
#include "host/sockaddr.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLICE_MS 100 /* so often it is looked whether to give up */
#define CONNECT_MS 2500 /* for one address, so that there is time for another */

/* ---- where ---- */

static bool read_port(struct slice text, uint16_t *port)
{
    uint32_t value = 0;

    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || value > UINT16_MAX) {
            return false;
        }
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *port = (uint16_t)value;
    return text.length > 0 && value > 0 && value <= UINT16_MAX;
}

bool http_read_url(const char *url, struct http_place *out)
{
    static const char scheme[] = "http://";

    *out = (struct http_place){.port = 80};
    if (strncasecmp(url, scheme, sizeof(scheme) - 1) != 0) {
        return false;
    }
    const char *host = url + sizeof(scheme) - 1;
    size_t length = strcspn(host, "/?#");
    const char *end = host + length;

    out->path = *end == '/' ? end + 1 : "";
    if (*end == '?' || *end == '#' || memchr(host, '@', length) != NULL) {
        return false;
    }
    const char *colon = host[0] == '[' ? memchr(host, ']', length) : NULL;

    if (host[0] == '[') {
        if (colon == NULL) {
            return false;
        }
        size_t inside = (size_t)(colon - host) - 1;

        if (inside >= sizeof(out->host) ||
            !address_parse((struct slice){(const uint8_t *)host + 1, inside}, &out->address) ||
            out->address.family != FAMILY_IPV6) {
            return false;
        }
        memcpy(out->host, host + 1, inside);
        colon++;
        if (colon == end) {
            return true;
        }
    } else {
        colon = memchr(host, ':', length);
        size_t name = colon == NULL ? length : (size_t)(colon - host);

        if (name == 0 || name >= sizeof(out->host)) {
            return false;
        }
        memcpy(out->host, host, name);
        if (strspn(out->host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789-_.") != name) {
            return false;
        }
        if (!address_parse((struct slice){(const uint8_t *)host, name}, &out->address)) {
            out->address = (struct address){0};
        }
    }
    return colon == NULL || (*colon == ':' && read_port((struct slice){(const uint8_t *)colon + 1,
                                                                       (size_t)(end - colon) - 1},
                                                        &out->port));
}

/* The IPv4 address inside one of IPv6: mapped, or of a NAT64 (RFC 6052 2.1). */
static bool inner_ipv4(const struct address *address, struct address *out)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t compatible[12] = {0};
    static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};

    if (address->family != FAMILY_IPV6 ||
        (memcmp(address->bytes, mapped, 12) != 0 && memcmp(address->bytes, compatible, 12) != 0 &&
         memcmp(address->bytes, nat64, 12) != 0)) {
        return false;
    }
    *out = address_ipv4_bytes(address->bytes + 12);
    return true;
}

bool http_address_is_public(const struct address *address)
{
    struct address inside;

    if (address_is_unset(address) || address_is_any(address) || address_is_multicast(address) ||
        address_is_link_local(address) || address_is_loopback(address)) {
        return false;
    }
    if (inner_ipv4(address, &inside)) {
        return http_address_is_public(&inside);
    }
    /* 0.0.0.0/8 is this host, 240.0.0.0/4 nobody and 255.255.255.255 everybody. */
    return address->family != FAMILY_IPV4 || (address->bytes[0] != 0 && address->bytes[0] < 240);
}

/* ---- the answer ---- */

static enum http_part broken(char why[HTTP_WHY_BYTES], const char *words)
{
    snprintf(why, HTTP_WHY_BYTES, "%s", words);
    return HTTP_BROKEN;
}

/* The end of the head: behind an empty line. 0: not there yet. */
static size_t head_length(struct slice received)
{
    for (size_t i = 0; i + 3 < received.length && i < HTTP_HEAD_BYTES_MAX; i++) {
        if (memcmp(received.data + i, "\r\n\r\n", 4) == 0) {
            return i + 4;
        }
    }
    return 0;
}

/* "HTTP/1.1 200 OK" */
static bool read_status(struct slice head, int *status)
{
    const uint8_t *p = head.data;

    if (head.length < 13 || memcmp(p, "HTTP/1.", 7) != 0 || p[8] != ' ') {
        return false;
    }
    *status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return false;
        }
        *status = *status * 10 + (p[i] - '0');
    }
    return p[12] == ' ' || p[12] == '\r';
}

/* The value of a field; not found: data is NULL. */
static struct slice find_field(struct slice head, const char *name)
{
    size_t name_length = strlen(name);
    size_t at = 0;

    while (at < head.length) {
        const uint8_t *line = head.data + at;
        const uint8_t *end = memchr(line, '\n', head.length - at);
        size_t length = end == NULL ? head.length - at : (size_t)(end - line);

        if (length > name_length && line[name_length] == ':' &&
            strncasecmp((const char *)line, name, name_length) == 0) {
            const uint8_t *value = line + name_length + 1;
            size_t left = length - name_length - 1;

            while (left > 0 && (*value == ' ' || *value == '\t')) {
                value++;
                left--;
            }
            while (left > 0 && (value[left - 1] == '\r' || value[left - 1] == ' ')) {
                left--;
            }
            return (struct slice){value, left};
        }
        at += length + 1;
    }
    return (struct slice){NULL, 0};
}

static bool read_length(struct slice text, size_t *out)
{
    *out = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || *out > SIZE_MAX / 16) {
            return false;
        }
        *out = *out * 10 + (size_t)(text.data[i] - '0');
    }
    return text.length > 0;
}

enum http_part http_read_answer(struct slice received, bool closed, size_t bytes_max,
                                struct slice *body, char why[HTTP_WHY_BYTES])
{
    size_t head_bytes = head_length(received);
    int status;
    size_t length;

    if (head_bytes == 0) {
        if (received.length >= HTTP_HEAD_BYTES_MAX) {
            return broken(why, "the server does not speak HTTP");
        }
        return !closed ? HTTP_MORE
                       : broken(why, received.length == 0
                                         ? "the server closed the connection without an answer"
                                         : "the server's answer is cut short");
    }
    struct slice head = {received.data, head_bytes};

    if (!read_status(head, &status)) {
        return broken(why, "the server does not speak HTTP");
    }
    if (status >= 300 && status < 400) {
        return broken(why, "the server points to another place, and that is not followed");
    }
    if (status != 200) {
        snprintf(why, HTTP_WHY_BYTES, "the server answers with status %d", status);
        return HTTP_BROKEN;
    }
    if (find_field(head, "Transfer-Encoding").data != NULL) {
        return broken(why, "the server answers HTTP/1.0 in chunks");
    }
    *body = (struct slice){received.data + head_bytes, received.length - head_bytes};
    struct slice said = find_field(head, "Content-Length");

    if (said.data != NULL && !read_length(said, &length)) {
        return broken(why, "the server's answer has no length that can be read");
    }
    if (body->length > bytes_max || (said.data != NULL && length > bytes_max)) {
        snprintf(why, HTTP_WHY_BYTES, "the server's answer is longer than %zu octets", bytes_max);
        return HTTP_BROKEN;
    }
    if (said.data == NULL) {
        return closed ? HTTP_WHOLE : HTTP_MORE;
    }
    if (body->length >= length) {
        body->length = length;
        return HTTP_WHOLE;
    }
    return closed ? broken(why, "the server's answer is cut short") : HTTP_MORE;
}

/* ---- the conversation ---- */

/* Waits until the socket is ready. False: time is over, or nobody wants it any more. */
static bool wait_for(const struct http_request *request, int fd, short events, uint64_t until_ms)
{
    for (;;) {
        uint64_t now_ms = clock_now_ms();
        struct pollfd one = {.fd = fd, .events = events};

        if (now_ms >= until_ms || atomic_load(request->stop)) {
            return false;
        }
        uint64_t left_ms = until_ms - now_ms;

        if (poll(&one, 1, (int)(left_ms < SLICE_MS ? left_ms : SLICE_MS)) > 0) {
            return true;
        }
    }
}

/* A connection, or -1 with a sentence. */
static int connect_to(const struct http_request *request, const struct address *address,
                      char why[HTTP_WHY_BYTES])
{
    struct endpoint endpoint = {.address = *address, .port = request->place->port};
    struct sockaddr_storage name;
    socklen_t length = sockaddr_write(&name, &endpoint);
    uint64_t until_ms = clock_now_ms() + CONNECT_MS;
    int mark = DATAGRAM_MARK;
    int error = 0;
    socklen_t error_length = sizeof(error);
    int fd =
        socket(sockaddr_family(address->family), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        snprintf(why, HTTP_WHY_BYTES, "no socket: %s", strerror(errno));
        return -1;
    }
    /* As all of ours towards the outside: no rule of ours leads it into the tunnel. */
    (void)setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
    if (until_ms > request->deadline_ms) {
        until_ms = request->deadline_ms;
    }
    if (connect(fd, (const struct sockaddr *)&name, length) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            error = ETIMEDOUT;
            if (wait_for(request, fd, POLLOUT, until_ms) &&
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_length) != 0) {
                error = errno;
            }
        }
    }
    if (error != 0) {
        snprintf(why, HTTP_WHY_BYTES, "%s",
                 error == ETIMEDOUT      ? "no answer"
                 : error == ECONNREFUSED ? "nobody listens there"
                                         : strerror(error));
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool send_all(const struct http_request *request, int fd, struct slice bytes)
{
    while (bytes.length > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.length, MSG_NOSIGNAL);

        if (sent > 0) {
            bytes.data += sent;
            bytes.length -= (size_t)sent;
        } else if (errno != EAGAIN || !wait_for(request, fd, POLLOUT, request->deadline_ms)) {
            return false;
        }
    }
    return true;
}

static bool send_request(const struct http_request *request, int fd)
{
    const struct http_place *place = request->place;
    bool ipv6 = place->address.family == FAMILY_IPV6;
    char port[8] = "";
    char head[1024];

    if (place->port != 80) {
        snprintf(port, sizeof(port), ":%u", place->port);
    }
    int length = snprintf(head, sizeof(head), "%s /%s HTTP/1.0\r\nHost: %s%s%s%s\r\n",
                          request->content_type == NULL ? "GET" : "POST", place->path,
                          ipv6 ? "[" : "", place->host, ipv6 ? "]" : "", port);
    size_t used = length > 0 ? (size_t)length : sizeof(head);

    if (used < sizeof(head) && request->content_type != NULL) {
        length = snprintf(head + used, sizeof(head) - used,
                          "Content-Type: %s\r\nContent-Length: %zu\r\n", request->content_type,
                          request->body.length);
        used += length > 0 ? (size_t)length : sizeof(head);
    }
    if (used + 3 > sizeof(head)) {
        return false;
    }
    head[used] = '\r';
    head[used + 1] = '\n';
    return send_all(request, fd, (struct slice){(const uint8_t *)head, used + 2}) &&
           send_all(request, fd, request->body);
}

/* Room for more; what is there stays. */
static bool grow(struct http_answer *out, size_t *capacity, size_t most)
{
    size_t wanted = *capacity == 0 ? 4096 : *capacity * 2;

    wanted = wanted > most ? most : wanted;
    uint8_t *bytes = wanted > *capacity ? realloc(out->bytes, wanted) : NULL;

    if (bytes == NULL) {
        return false;
    }
    out->bytes = bytes;
    *capacity = wanted;
    return true;
}

static bool receive(const struct http_request *request, int fd, struct http_answer *out)
{
    size_t most = HTTP_HEAD_BYTES_MAX + request->bytes_max + 1;
    size_t capacity = 0;
    bool closed = false;
    struct slice body;

    for (;;) {
        switch (http_read_answer((struct slice){out->bytes, out->length}, closed,
                                 request->bytes_max, &body, out->why)) {
        case HTTP_WHOLE:
            memmove(out->bytes, body.data, body.length);
            out->length = body.length;
            return true;
        case HTTP_BROKEN:
            return false;
        case HTTP_MORE:
            break;
        }
        if (out->length == capacity && !grow(out, &capacity, most)) {
            snprintf(out->why, HTTP_WHY_BYTES, "no memory for the server's answer");
            return false;
        }
        ssize_t got = recv(fd, out->bytes + out->length, capacity - out->length, 0);

        if (got > 0) {
            out->length += (size_t)got;
        } else if (got == 0) {
            closed = true;
        } else if (errno != EAGAIN) {
            snprintf(out->why, HTTP_WHY_BYTES, "the connection broke: %s", strerror(errno));
            return false;
        } else if (!wait_for(request, fd, POLLIN, request->deadline_ms)) {
            snprintf(out->why, HTTP_WHY_BYTES, "the server takes too long");
            return false;
        }
    }
}

bool http_fetch(const struct http_request *request, struct http_answer *out)
{
    int fd = -1;

    *out = (struct http_answer){0};
    snprintf(out->why, HTTP_WHY_BYTES, "no address that may be asked");
    for (size_t i = 0; fd < 0 && i < request->address_count && !atomic_load(request->stop); i++) {
        fd = connect_to(request, &request->addresses[i], out->why);
    }
    if (fd < 0) {
        return false;
    }
    bool sent = send_request(request, fd);
    bool done = sent && receive(request, fd, out);

    if (!sent) {
        snprintf(out->why, HTTP_WHY_BYTES, "the server does not take the request");
    }
    (void)close(fd);
    if (!done) {
        free(out->bytes);
        out->bytes = NULL;
        out->length = 0;
    }
    return done;
}
