/* Decides which offloads are in use, and tells who asks. */
#include "sekishod/daemon.h"

#include "dataplane/super_trial.h"
#include "host/clock.h"
#include "host/offload_trial.h"

#include <stdio.h>

#define PROTOCOL_UDP 17

bool supers_are_wanted(const struct daemon *daemon, enum config_offload place)
{
    return !daemon->options.no_offload &&
           (daemon->offload == CONFIG_OFFLOAD_ALL || daemon->offload == place);
}

static void start_part(struct daemon *daemon, enum offload_part part, enum config_offload place,
                       bool is_there, enum offload_state trial)
{
    enum offload_state state = !supers_are_wanted(daemon, place) ? OFFLOAD_UNWANTED
                               : is_there                        ? trial
                                                                 : OFFLOAD_ABSENT;

    offloads_set(&daemon->offloads, part, state);
    /* What was never wanted is no news. */
    daemon->offloads_told[part] = state == OFFLOAD_UNWANTED ? state : OFFLOAD_IN_USE;
}

/* All sockets, those that workers have to themselves among them; NULL behind the last. */
static struct datagram_socket *socket_at(struct daemon *daemon, size_t at)
{
    size_t sets = daemon->beside == NULL ? 1 : daemon->workers_wanted;

    for (size_t i = 0; i < sets; i++) {
        struct sockets *set = i == 0 ? &daemon->sockets : &daemon->beside[i - 1];

        if (at < set->count) {
            return &set->list[at];
        }
        at -= set->count;
    }
    return NULL;
}

/* What is not in use any more is not asked for either. */
static void follow(struct daemon *daemon)
{
    bool segments = offloads_uses(&daemon->offloads, OFFLOAD_SEGMENT);
    bool joins = offloads_uses(&daemon->offloads, OFFLOAD_JOIN);
    struct datagram_socket *s;

    for (size_t i = 0; (s = socket_at(daemon, i)) != NULL; i++) {
        if (!segments) {
            s->segments = false;
        }
        if (!joins && s->supers != NULL) {
            datagram_stop_joining(s);
        }
    }
}

void supers_start(struct daemon *daemon)
{
    struct offload_trial trial = {.segment = OFFLOAD_IN_USE, .join = OFFLOAD_IN_USE};
    enum offload_state device = super_is_right() ? OFFLOAD_IN_USE : OFFLOAD_WRONG;
    bool segments = false, joins = false, has_ring = false;

    for (size_t i = 0; i < daemon->sockets.count; i++) {
        segments = segments || daemon->sockets.list[i].segments;
        joins = joins || daemon->sockets.list[i].supers != NULL;
        has_ring = has_ring || daemon->sockets.list[i].ring != NULL;
    }
    if (supers_are_wanted(daemon, CONFIG_OFFLOAD_UDP)) {
        offload_try_udp(&trial);
        if (!trial.was_possible) {
            log_line(daemon->log, LOG_LEVEL_INFO, "offload",
                     "no datagram reaches this machine over its loopback interface, so it is not "
                     "known whether it cuts and joins them rightly");
        }
    }
    start_part(daemon, OFFLOAD_TUN_TCP, CONFIG_OFFLOAD_TUN, daemon->tun.tcp_supers, device);
    start_part(daemon, OFFLOAD_TUN_UDP, CONFIG_OFFLOAD_TUN, daemon->tun.udp_supers, device);
    start_part(daemon, OFFLOAD_SEGMENT, CONFIG_OFFLOAD_UDP, segments, trial.segment);
    start_part(daemon, OFFLOAD_JOIN, CONFIG_OFFLOAD_UDP, joins, trial.join);
    /* It was tried when it was opened. */
    start_part(daemon, OFFLOAD_ESP_RING, CONFIG_OFFLOAD_UDP, has_ring, OFFLOAD_IN_USE);
    supers_watch(daemon);
}

/* A socket gives up when there are more paths that refuse than it can remember. */
static void look_at_sockets(struct daemon *daemon)
{
    const struct datagram_socket *s;

    for (size_t i = 0; (s = socket_at(daemon, i)) != NULL; i++) {
        if (s->protocol == PROTOCOL_UDP && !s->segments) {
            offloads_retreat(&daemon->offloads, OFFLOAD_SEGMENT, OFFLOAD_REFUSED);
        }
    }
}

void supers_watch(struct daemon *daemon)
{
    bool changed = false;

    look_at_sockets(daemon);
    for (int i = 0; i < OFFLOAD_PARTS; i++) {
        enum offload_part part = (enum offload_part)i;
        enum offload_state state = offloads_get(&daemon->offloads, part);

        if (state != daemon->offloads_told[part]) {
            changed = true;
            daemon->offloads_told[part] = state;
            log_line(daemon->log, state == OFFLOAD_ABSENT ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                     "offload", "without %s: %s", offload_name(part), offload_reason(part, state));
        }
    }
    if (changed) {
        follow(daemon);
    }
}

static void tell_paths(struct daemon *daemon, struct management_offloads *out)
{
    struct address peers[DATAGRAM_SINGLE_PATHS];
    uint64_t now_ms = clock_now_ms();
    struct datagram_socket *s;

    for (size_t i = 0; (s = socket_at(daemon, i)) != NULL; i++) {
        size_t count = datagram_single_paths(s, now_ms, peers);

        for (size_t j = 0; j < count && out->single_count < MANAGEMENT_OFFLOADS_MAX; j++) {
            out->single[out->single_count++] = peers[j];
        }
    }
}

void supers_tell(void *context, struct management_offloads *out)
{
    struct daemon *daemon = context;
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
    tell_paths(daemon, out);
}
