/* Decides which offloads are in use, and tells who asks. */
#include "sekishod/daemon.h"

#include <stdio.h>

bool supers_are_wanted(const struct daemon *daemon, enum config_offload place)
{
    return !daemon->options.no_offload &&
           (daemon->offload == CONFIG_OFFLOAD_ALL || daemon->offload == place);
}

static void start_part(struct daemon *daemon, enum offload_part part, enum config_offload place,
                       bool is_there)
{
    enum offload_state state = !supers_are_wanted(daemon, place) ? OFFLOAD_UNWANTED
                               : is_there                        ? OFFLOAD_IN_USE
                                                                 : OFFLOAD_ABSENT;

    offloads_set(&daemon->offloads, part, state);
    /* What was never wanted is no news. */
    daemon->offloads_told[part] = state == OFFLOAD_UNWANTED ? state : OFFLOAD_IN_USE;
}

void supers_start(struct daemon *daemon)
{
    bool segments = false, joins = false;

    for (size_t i = 0; i < daemon->sockets.count; i++) {
        segments = segments || daemon->sockets.list[i].segments;
        joins = joins || daemon->sockets.list[i].supers != NULL;
    }
    start_part(daemon, OFFLOAD_TUN_TCP, CONFIG_OFFLOAD_TUN, daemon->tun.tcp_supers);
    start_part(daemon, OFFLOAD_TUN_UDP, CONFIG_OFFLOAD_TUN, daemon->tun.udp_supers);
    start_part(daemon, OFFLOAD_SEGMENT, CONFIG_OFFLOAD_UDP, segments);
    start_part(daemon, OFFLOAD_JOIN, CONFIG_OFFLOAD_UDP, joins);
    supers_watch(daemon);
}

void supers_watch(struct daemon *daemon)
{
    for (int i = 0; i < OFFLOAD_PARTS; i++) {
        enum offload_part part = (enum offload_part)i;
        enum offload_state state = offloads_get(&daemon->offloads, part);

        if (state != daemon->offloads_told[part]) {
            daemon->offloads_told[part] = state;
            log_line(daemon->log, state == OFFLOAD_ABSENT ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                     "offload", "without %s: %s", offload_name(part), offload_reason(part, state));
        }
    }
}

void supers_tell(void *context, struct management_offloads *out)
{
    const struct daemon *daemon = context;
    char words[OFFLOADS_TEXT_BYTES];

    snprintf(out->words, sizeof(out->words), "%s", offloads_describe(&daemon->offloads, words));
    out->count = OFFLOAD_PARTS;
    for (int i = 0; i < OFFLOAD_PARTS; i++) {
        enum offload_part part = (enum offload_part)i;
        enum offload_state state = offloads_get(&daemon->offloads, part);

        out->parts[i].name = offload_name(part);
        out->parts[i].in_use = state == OFFLOAD_IN_USE;
        out->parts[i].reason = offload_reason(part, state);
    }
}
