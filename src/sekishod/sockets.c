/* Decides which sockets a configuration needs, and by which one a packet leaves. */
#include "sekishod/sockets.h"

#include "dataplane/spi_opener.h"
#include "host/raw.h"
#include "host/udp.h"

#include <assert.h>
#include <stdio.h>

#define PROTOCOL_UDP 17
#define PROTOCOL_ESP 50
#define PROTOCOL_AH 51

static bool add_udp(struct sockets *sockets, const struct address *address, uint16_t port,
                    struct log_sink *log, char *why, size_t why_bytes)
{
    struct endpoint local = {*address, port};
    bool absent = false;

    assert(sockets->count < SOCKETS_MAX);
    if (udp_open(&sockets->list[sockets->count], &local, &absent, why, why_bytes)) {
        sockets->count++;
        return true;
    }
    if (absent) {
        log_line(log, LOG_LEVEL_INFO, "sockets", "this machine has no IPv%u", address->family);
    }
    return absent;
}

/* ESP, AH and whole packets. Without rights none of them can be opened, so one is as good as all to
 * tell of it. */
static void add_raw(struct sockets *sockets, enum family family, struct log_sink *log)
{
    static const uint8_t protocols[] = {PROTOCOL_ESP, PROTOCOL_AH, DATAGRAM_WHOLE};
    char why[160];

    for (size_t i = 0; i < ARRAY_LENGTH(protocols); i++) {
        struct datagram_socket *s = &sockets->list[sockets->count];
        bool absent = false;

        assert(sockets->count < SOCKETS_MAX);
        if (protocols[i] == DATAGRAM_WHOLE
                ? raw_open_sender(s, family, &absent, why, sizeof(why))
                : raw_open(s, family, protocols[i], &absent, why, sizeof(why))) {
            sockets->count++;
            sockets->has_raw = true;
            continue;
        }
        if (!absent) {
            log_line(log, LOG_LEVEL_WARNING, "sockets",
                     "ESP will always be put into UDP and AH is not possible, because there is no "
                     "socket for them: %s",
                     why);
        }
        return;
    }
}

/* What it cannot take comes by the sockets themselves, and without it all does. */
static void add_ring(struct sockets *sockets)
{
    struct datagram_socket *ring = &sockets->list[sockets->count];
    bool is_used = false;

    assert(sockets->count < SOCKETS_MAX);
    if (!sockets->has_raw || !datagram_open_ring(ring)) {
        return;
    }
    for (size_t i = 0; i < sockets->count; i++) {
        const struct datagram_socket *s = &sockets->list[i];

        if (s->protocol == PROTOCOL_ESP) {
            is_used = datagram_lead_to_ring(ring, s) || is_used;
        }
    }
    if (is_used) {
        sockets->count++;
    } else {
        datagram_close(ring);
    }
}

/* Without it AH over IPv6 works where no path is narrow. */
static void add_too_big(struct sockets *sockets)
{
    struct datagram_socket *s = &sockets->list[sockets->count];
    bool absent = false;
    char why[160];

    assert(sockets->count < SOCKETS_MAX);
    if (sockets->has_raw && raw_open_too_big(s, &absent, why, sizeof(why))) {
        sockets->count++;
    }
}

static bool add_everywhere(struct sockets *sockets, const struct config *config, uint16_t port,
                           struct log_sink *log, char *why, size_t why_bytes)
{
    const struct address any[] = {{.family = FAMILY_IPV4}, {.family = FAMILY_IPV6}};
    const struct address *list = config->listen_count > 0 ? config->listen : any;
    size_t count = config->listen_count > 0 ? config->listen_count : ARRAY_LENGTH(any);

    for (size_t i = 0; i < count; i++) {
        if (!add_udp(sockets, &list[i], port, log, why, why_bytes)) {
            return false;
        }
    }
    return true;
}

bool sockets_open(struct sockets *sockets, const struct config *config, bool supers,
                  struct log_sink *log, char *why, size_t why_bytes)
{
    *sockets = (struct sockets){0};
    if (!add_everywhere(sockets, config, config->port, log, why, why_bytes) ||
        (config->nat_port != config->port &&
         !add_everywhere(sockets, config, config->nat_port, log, why, why_bytes))) {
        sockets_close(sockets);
        return false;
    }
    /* ESP in UDP comes to this port, and so do the packets that are many. */
    for (size_t i = 0; i < sockets->count; i++) {
        struct datagram_socket *s = &sockets->list[i];

        s->segments = s->segments && supers;
        if (supers && s->port == config->nat_port) {
            datagram_join(s);
        }
    }
    add_raw(sockets, FAMILY_IPV4, log);
    add_raw(sockets, FAMILY_IPV6, log);
    add_too_big(sockets);
    if (supers) {
        add_ring(sockets);
    }
    for (size_t i = 0; i < sockets->count; i++) {
        sockets->list[i].roads = &sockets->roads;
        sockets->has_unmarked =
            sockets->has_unmarked || (!sockets->list[i].is_marked && sockets->list[i].ring == NULL);
    }
    return true;
}

static bool add_beside(struct sockets *beside, const struct datagram_socket *first, bool reads,
                       char *why, size_t why_bytes)
{
    struct datagram_socket *s = &beside->list[beside->count];

    assert(beside->count < SOCKETS_MAX);
    if (!udp_open_beside(s, first, why, why_bytes)) {
        return false;
    }
    beside->count++;
    s->segments = s->segments && first->segments;
    s->roads = first->roads;
    if (reads && first->supers != NULL) {
        datagram_join(s);
    }
    return true;
}

bool sockets_open_beside(struct sockets *sockets, uint16_t nat_port, struct sockets *beside,
                         size_t count, size_t readers, char *why, size_t why_bytes)
{
    const struct udp_steering steering = {SPI_OPENER_FACTOR, SPI_OPENER_SHIFT, (uint32_t)readers};
    bool ok = true;

    for (size_t i = 0; i + 1 < count; i++) {
        beside[i] = (struct sockets){0};
    }
    for (size_t i = 0; ok && i < sockets->count; i++) {
        const struct datagram_socket *first = &sockets->list[i];

        if (first->protocol != PROTOCOL_UDP || first->port != nat_port) {
            continue;
        }
        for (size_t j = 0; ok && j + 1 < count; j++) {
            ok = add_beside(&beside[j], first, j + 1 < readers, why, why_bytes);
        }
        if (ok && !udp_steer(first, &steering)) {
            snprintf(why, why_bytes, "the system does not let us choose who gets which packet");
            ok = false;
        }
    }
    for (size_t i = 0; !ok && i + 1 < count; i++) {
        sockets_close(&beside[i]);
    }
    return ok;
}

void sockets_close(struct sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        datagram_close(&sockets->list[i]);
    }
    sockets->count = 0;
}

struct datagram_socket *sockets_find(struct sockets *sockets, uint8_t protocol,
                                     const struct endpoint *local, const struct endpoint *peer)
{
    struct datagram_socket *good = NULL;

    for (size_t i = 0; i < sockets->count; i++) {
        struct datagram_socket *s = &sockets->list[i];

        if (s->protocol != protocol || s->family != peer->address.family ||
            (protocol == PROTOCOL_UDP && s->port != local->port)) {
            continue;
        }
        if (s->bound.family == FAMILY_NONE || address_equal(&s->bound, &local->address)) {
            return s;
        }
        good = good == NULL && local->address.family == FAMILY_NONE ? s : good;
    }
    return good;
}

struct datagram_socket *sockets_for(struct sockets *sockets, const struct packet *packet)
{
    uint8_t protocol = packet->has_outer_head ? DATAGRAM_WHOLE : packet->outer_protocol;

    return sockets_find(sockets, protocol, &packet->local, &packet->peer);
}

void sockets_set_roads(struct sockets *sockets, const struct datagram_road *list, size_t count,
                       const struct address *all, size_t all_count)
{
    datagram_set_roads(&sockets->roads, list, count, all, all_count);
}

void sockets_set_uplink(struct sockets *sockets, enum family family, int interface_index)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->list[i].family == family && sockets->list[i].protocol == DATAGRAM_WHOLE) {
            datagram_set_uplink(&sockets->list[i], interface_index);
        }
    }
}
