/* Decides where the daemon takes TCP connections, and what people hear about them. */
#include "sekishod/daemon.h"

#include <stdio.h>
#include <string.h>

#define TELL_AGAIN_MS 60000

static bool listen_at(struct daemon *daemon, const struct address *address, uint16_t port,
                      char *why, size_t why_bytes)
{
    const struct endpoint local = {.address = *address, .port = port, .tcp = true};
    bool absent;

    /* That a family is not there was said when the UDP ports were opened. */
    return streams_listen(daemon->streams, &local, &absent, why, why_bytes) || absent;
}

static bool listen_everywhere(struct daemon *daemon, const struct config *config, char *why,
                              size_t why_bytes)
{
    const struct address any[] = {{.family = FAMILY_IPV4}, {.family = FAMILY_IPV6}};
    const struct address *list = config->listen_count > 0 ? config->listen : any;
    size_t count = config->listen_count > 0 ? config->listen_count : ARRAY_LENGTH(any);

    for (size_t i = 0; i < config->tcp_port_count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (!listen_at(daemon, &list[j], config->tcp_ports[i], why, why_bytes)) {
                return false;
            }
        }
    }
    return true;
}

bool tcp_start(struct daemon *daemon, const struct config *config, char *why, size_t why_bytes)
{
    uint8_t key[16];

    random_fill(&daemon->random, key, sizeof(key));
    daemon->streams = streams_new(&streams_usual_limits, key, &daemon->wake);
    if (daemon->streams == NULL) {
        snprintf(why, why_bytes, "no memory for TCP connections");
        return false;
    }
    memcpy(daemon->tcp_ports, config->tcp_ports, sizeof(daemon->tcp_ports));
    daemon->tcp_port_count = config->tcp_port_count;
    return listen_everywhere(daemon, config, why, why_bytes);
}

void tcp_take_events(struct daemon *daemon, uint64_t now_ms)
{
    struct stream_event event;

    while (streams_next_event(daemon->streams, &event)) {
        switch (event.kind) {
        case STREAM_OPENED:
            gateway_tcp_opened(daemon->gateway, event.question, &event.local, &event.peer, NULL,
                               now_ms);
            break;
        case STREAM_REFUSED:
            gateway_tcp_opened(daemon->gateway, event.question, NULL, &event.peer, event.why,
                               now_ms);
            break;
        case STREAM_LOST:
            gateway_tcp_lost(daemon->gateway, &event.local, &event.peer, event.why, now_ms);
            break;
        }
        actions_run(daemon, now_ms);
    }
}

void tcp_watch(struct daemon *daemon, uint64_t now_ms)
{
    struct streams_status status;
    uint64_t sum = 0;
    char peer[ENDPOINT_TEXT_BYTES];

    if (now_ms < daemon->streams_told_ms + TELL_AGAIN_MS && daemon->streams_told_ms != 0) {
        return;
    }
    streams_get_status(daemon->streams, &status);
    for (size_t i = 0; i < STREAM_ENDS; i++) {
        sum += status.ends[i] - daemon->streams_told[i];
        daemon->streams_told[i] = status.ends[i];
    }
    if (sum == 0) {
        return;
    }
    daemon->streams_told_ms = now_ms;
    log_line(daemon->log, LOG_LEVEL_NOTICE, "tcp",
             "%llu connections were refused or closed by us; the latest, from %s, was %s",
             (unsigned long long)sum, endpoint_format(&status.last_peer, peer),
             stream_end_sentence(status.last_end));
}

void tcp_tell(void *context, struct management_tcp *out)
{
    const struct daemon *daemon = context;
    struct streams_status status;

    streams_get_status(daemon->streams, &status);
    *out = (struct management_tcp){
        .port_count = daemon->tcp_port_count,
        .connections = status.connections,
        .strangers = status.strangers,
        .opened_by_us = status.opened_by_us,
        .accepted = status.accepted,
        .opened = status.opened,
        .queued_bytes = status.queued_bytes,
    };
    memcpy(out->ports, daemon->tcp_ports, sizeof(daemon->tcp_ports));
    for (size_t i = 0; i < STREAM_ENDS; i++) {
        out->ends[i].name = stream_end_name((enum stream_end)i);
        out->ends[i].count = status.ends[i];
    }
    out->end_count = STREAM_ENDS;
}
