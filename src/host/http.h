/*
 * Fetching small things by HTTP/1.0 for who does it in a thread of its own: one request, one
 * answer, no redirects, no state; bounded in octets and time.
 */
#ifndef SEKISHO_HOST_HTTP_H
#define SEKISHO_HOST_HTTP_H

#include <stdatomic.h>

#include "base/address.h"

#define HTTP_HOST_BYTES 256
#define HTTP_ADDRESSES_MAX 8
#define HTTP_HEAD_BYTES_MAX 8192
#define HTTP_WHY_BYTES 160

struct http_place {
    char host[HTTP_HOST_BYTES]; /* without brackets */
    struct address address; /* of a host that is written as one; else no family */
    uint16_t port;
    const char *path; /* into the URL; without its first '/' */
};

/* False: not http, no host, a user in it, a port that is none. */
MUST_USE bool http_read_url(const char *url, struct http_place *out);
/* Whether an address that somebody else named may be asked: not this machine, not what only means
 * something on one link (where clouds keep their secrets), not many at once. */
MUST_USE bool http_address_is_public(const struct address *address);

struct http_request {
    const struct http_place *place;
    const struct address *addresses; /* tried in this order */
    size_t address_count;
    const char *content_type; /* NULL: GET */
    struct slice body;
    size_t bytes_max;
    uint64_t deadline_ms; /* by clock_now_ms() */
    const atomic_bool *stop; /* gives up soon after it is set */
};

struct http_answer {
    uint8_t *bytes; /* to be freed */
    size_t length;
    char why[HTTP_WHY_BYTES];
};

/* False with `why`. */
MUST_USE bool http_fetch(const struct http_request *request, struct http_answer *out);

/* ---- the answer as octets, for http_fetch() and its tests ---- */

enum http_part { HTTP_MORE, HTTP_WHOLE, HTTP_BROKEN };

/* What `received` is so far; `closed`: nothing more will come. With HTTP_WHOLE `body` points into
 * it, with HTTP_BROKEN `why` says what is wrong. */
enum http_part http_read_answer(struct slice received, bool closed, size_t bytes_max,
                                struct slice *body, char why[HTTP_WHY_BYTES]);

#endif
