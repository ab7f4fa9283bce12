/* Decides how an endpoint stands in a sockaddr. */
#include "host/sockaddr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <string.h>

int sockaddr_family(enum family family)
{
    assert(family == FAMILY_IPV4 || family == FAMILY_IPV6);
    return family == FAMILY_IPV4 ? AF_INET : AF_INET6;
}

socklen_t sockaddr_write(struct sockaddr_storage *out, const struct endpoint *endpoint)
{
    if (endpoint->address.family == FAMILY_IPV4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};

        memcpy(&in.sin_addr, endpoint->address.bytes, sizeof(in.sin_addr));
        memcpy(out, &in, sizeof(in));
        return sizeof(in);
    }
    assert(endpoint->address.family == FAMILY_IPV6);
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};

    memcpy(&in6.sin6_addr, endpoint->address.bytes, sizeof(in6.sin6_addr));
    memcpy(out, &in6, sizeof(in6));
    return sizeof(in6);
}

bool sockaddr_read(const struct sockaddr_storage *from, struct endpoint *out)
{
    if (from->ss_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, from, sizeof(in));
        *out = (struct endpoint){.address.family = FAMILY_IPV4, .port = ntohs(in.sin_port)};
        memcpy(out->address.bytes, &in.sin_addr, sizeof(in.sin_addr));
        return true;
    }
    if (from->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, from, sizeof(in6));
        *out = (struct endpoint){.address.family = FAMILY_IPV6, .port = ntohs(in6.sin6_port)};
        memcpy(out->address.bytes, &in6.sin6_addr, sizeof(in6.sin6_addr));
        return true;
    }
    return false;
}
