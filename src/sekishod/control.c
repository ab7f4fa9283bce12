/*
 * Decides what the control thread does in a turn: wait for whatever comes first, hand all events to
 * the gateway, carry out what it wants. Management's place is here: control_request() gives it each
 * frame of the control socket.
 */
#include "sekishod/daemon.h"

#include "host/clock.h"
#include "host/files.h"
#include "host/notify.h"
#include "wire/icmp_error.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATAGRAMS_A_TURN 1024
#define ERRORS_A_TURN 256
/* Memory that was taken out of the tables is freed when workers have passed by: looked at so often.
 */
#define COLLECT_MS 1000
#define EXPIRY_LOOK_MS (3600u * 1000)

/* ---- management ---- */

static void control_request(void *context, struct control_client *client, struct slice frame)
{
    struct daemon *daemon = context;
    uint64_t now_ms = clock_now_ms();

    if (capture_is_of(daemon, client)) {
        capture_stop(daemon);
        return;
    }
    daemon->asking = client;
    char *answer = management_answer(&daemon->management, frame, now_ms);

    if (answer != NULL) {
        (void)control_send(client, slice_of_text(answer));
    }
    free(answer);
    daemon->asking = NULL;
    capture_answered(daemon);
    actions_run(daemon, now_ms);
}

static void client_closed(void *context, struct control_client *client)
{
    struct daemon *daemon = context;

    if (capture_is_of(daemon, client)) {
        capture_client_gone(daemon);
    }
}

static struct config_result *read_config(void *context)
{
    return apply_read(context);
}

static void apply(void *context, struct config *config, uint64_t now_ms)
{
    struct daemon *daemon = context;

    apply_config(daemon, config, now_ms);
    log_line(daemon->log, LOG_LEVEL_NOTICE, "config", "the configuration was applied on command");
}

static void log_lines(void *context, uint64_t after, management_log_visit *visit,
                      void *visit_context)
{
    const struct daemon *daemon = context;
    uint64_t newest = journal_newest(daemon->journal);
    uint64_t number = newest > JOURNAL_LINES ? newest - JOURNAL_LINES + 1 : 1;
    uint64_t now_ms = clock_now_ms();
    uint64_t date_ms = clock_date_ms();

    for (number = after >= number ? after + 1 : number; number <= newest; number++) {
        const struct journal_line *line = journal_find(daemon->journal, number);

        if (line != NULL) {
            /* The visitor counts in the time that never goes back. */
            uint64_t ago_ms = date_ms > line->date_ms ? date_ms - line->date_ms : 0;

            visit(visit_context, line->number, now_ms > ago_ms ? now_ms - ago_ms : 0, line->level,
                  line->about, line->line);
        }
    }
}

static bool host_problem(void *context, size_t index, const char **sentence, const char **next)
{
    const struct daemon *daemon = context;

    if (index == daemon->problem_count && daemon->guard_trouble[0] != '\0') {
        *sentence = daemon->guard_trouble;
        *next = "'guard off' in the configuration, when that is as you want it";
        return true;
    }
    size_t of_machine = daemon->problem_count + (daemon->guard_trouble[0] != '\0' ? 1 : 0);
    const char *list_next = NULL;
    const char *list_trouble = lists_trouble(daemon, &list_next);

    if (list_trouble != NULL && index == of_machine) {
        *sentence = list_trouble;
        *next = list_next;
        return true;
    }
    of_machine += list_trouble != NULL ? 1 : 0;
    const char *login_next = NULL;
    const char *login_trouble = logins_trouble(daemon, &login_next);

    if (login_trouble != NULL && index == of_machine) {
        *sentence = login_trouble;
        *next = login_next;
        return true;
    }
    of_machine += login_trouble != NULL ? 1 : 0;

    if (index >= of_machine) {
        size_t place = index - of_machine;

        if (place >= daemon->expiry.count) {
            return false;
        }
        *sentence = daemon->expiry.entries[place].sentence;
        *next = daemon->expiry.entries[place].next;
        return true;
    }
    *sentence = daemon->problems[index].sentence;
    *next = daemon->problems[index].next;
    return true;
}

static void certificates_changed(void *context, uint64_t now_ms)
{
    actions_certificates_were_read(context, now_ms);
    lists_read(context);
}

bool daemon_open_control(struct daemon *daemon, char *why, size_t why_bytes)
{
    const struct control_handler handler = {
        .request = control_request, .closed = client_closed, .context = daemon};
    char path[OPTIONS_PATH_BYTES];

    daemon->management = (struct management){
        .gateway = daemon->gateway,
        .context = daemon,
        .read_config = read_config,
        .apply = apply,
        .certificates_changed = certificates_changed,
        .log_lines = log_lines,
        .host_problem = host_problem,
        .host_offloads = supers_tell,
        .host_tcp = tcp_tell,
        .logins = logins_tell,
        .reload_users = logins_reload,
        .try_login = logins_try,
        .tried_login = logins_tried,
        .capture = capture_begin,
    };
    snprintf(path, sizeof(path), "%s/control.sock", daemon->options.run_directory);
    daemon->server = control_server_new(&daemon->loop, path, &handler, why, why_bytes);
    return daemon->server != NULL;
}

/* ---- events ---- */

/* Returns true when there may be more. */
static bool take_datagrams(struct daemon *daemon, struct worker *worker, uint64_t now_ms)
{
    struct datagram datagram;
    size_t count = 0;

    while (count < DATAGRAMS_A_TURN && worker_peek_datagram(worker, &datagram)) {
        gateway_datagram(daemon->gateway, &datagram.local, &datagram.peer, datagram.bytes, now_ms);
        worker_drop_datagram(worker);
        actions_run(daemon, now_ms);
        count++;
    }
    return count == DATAGRAMS_A_TURN;
}

/* The link does not carry it, says this system. */
static void take_link_mtu(struct daemon *daemon, const struct datagram_error *error,
                          uint64_t now_ms)
{
    struct address local = error->local.address;
    struct netlink_path path;

    if (local.family == FAMILY_NONE &&
        netlink_path(&daemon->netlink, &error->peer.address, &path)) {
        local = path.source;
    }
    dataplane_path_mtu(daemon->dataplane, &local, &error->peer.address,
                       error->mtu < UINT16_MAX ? (uint16_t)error->mtu : UINT16_MAX, now_ms);
}

/* False: not about a packet that we send. */
static bool make_quote(struct daemon *daemon, const struct datagram_error *error,
                       struct dataplane_quote *out)
{
    struct icmp_quoted quoted;

    *out = (struct dataplane_quote){.local = error->local,
                                    .peer = error->peer,
                                    .protocol = error->protocol,
                                    .bytes = {error->quoted, error->quoted_bytes}};
    if (error->protocol == IP_PROTOCOL_UDP) {
        out->is_known = gateway_sent_ike(daemon->gateway, &out->local, &out->peer, out->bytes,
                                         &out->total_bytes);
    }
    if (error->protocol != IP_PROTOCOL_ICMPV6) {
        return true;
    }
    /* Of all else the sockets of that protocol tell. */
    if (!icmp_quoted_read(out->bytes, &quoted) || quoted.protocol != IP_PROTOCOL_AH) {
        return false;
    }
    out->local.address = quoted.original.source;
    out->peer.address = quoted.original.destination;
    out->protocol = quoted.protocol;
    out->total_bytes = quoted.original.total_bytes;
    out->bytes = quoted.upper;
    return true;
}

static void take_too_big(struct daemon *daemon, const struct datagram_error *error, uint64_t now_ms)
{
    struct dataplane_quote quote;
    char peer[ADDRESS_TEXT_BYTES];
    char offender[ADDRESS_TEXT_BYTES];

    if (!make_quote(daemon, error, &quote)) {
        return;
    }
    enum too_big result = dataplane_too_big(daemon->dataplane, &quote, error->mtu, now_ms);
    log_line(daemon->log, LOG_LEVEL_DEBUG, "path", "to %s fit packets of %u octets, says %s: %s",
             address_format(&quote.peer.address, peer), (unsigned)error->mtu,
             address_is_unset(&error->offender) ? "a router"
                                                : address_format(&error->offender, offender),
             too_big_name(result));
}

static void take_error(struct daemon *daemon, const struct datagram_error *error, uint64_t now_ms)
{
    if (!error->too_big) {
        gateway_unreachable(daemon->gateway, &error->peer, datagram_error_sentence(error), now_ms);
    } else if (error->is_our_own) {
        take_link_mtu(daemon, error, now_ms);
    } else {
        take_too_big(daemon, error, now_ms);
    }
}

static void take_errors(struct daemon *daemon, struct worker *worker, uint64_t now_ms)
{
    struct datagram_error error;

    for (size_t i = 0; i < ERRORS_A_TURN && worker_next_error(worker, &error); i++) {
        take_error(daemon, &error, now_ms);
    }
}

static void take_signals(struct daemon *daemon, uint64_t now_ms)
{
    for (int number = signals_next(&daemon->signals); number != 0;
         number = signals_next(&daemon->signals)) {
        if (number == SIGHUP) {
            apply_again(daemon, now_ms);
        } else {
            log_line(daemon->log, LOG_LEVEL_NOTICE, "daemon", "ends: %s", strsignal(number));
            daemon->ends = true;
        }
    }
}

static void take_address_changes(struct daemon *daemon, uint64_t now_ms)
{
    if (daemon->addresses_changed) {
        daemon->addresses_changed = false;
        apply_look_around(daemon);
        gateway_addresses_changed(daemon->gateway, now_ms);
    }
}

/* Without its device it is of no use: whoever started it starts it again. */
static void look_at_device(struct daemon *daemon, const struct worker *worker)
{
    if (worker_device_is_gone(worker) && !daemon->ends) {
        log_line(daemon->log, LOG_LEVEL_ERROR, "daemon",
                 "ends: somebody deleted the device %s; start sekishod again", daemon->device);
        daemon->ends = true;
        daemon->failed = true;
    }
}

/* ---- certificates that end ---- */

struct expiry_look {
    struct daemon *daemon;
    struct expiry *expiry;
    int64_t now_s;
};

static bool look_at_certificates(void *context, const char *site, const struct credential *own,
                                 const struct trust *trust)
{
    const struct expiry_look *look = context;

    own_status_see(look->daemon, own, trust);
    return expiry_add(look->expiry, site, own, trust, look->now_s);
}

static bool is_used_here(const struct daemon *daemon, const struct issued *record)
{
    char name[ISSUED_NAMES_BYTES + 64], path[LOADER_PATH_BYTES];

    snprintf(name, sizeof(name), CERTIFICATES_FOLDER "/%.*s.pem", (int)issued_name_bytes(record),
             record->names);
    return !loader_beside(daemon->options.secrets_directory, name, path) || files_exist(path);
}

/* A machine with an authority of its own tells of what it issued for others; its own certificates
 * are told of as such. */
static void look_at_issued(struct daemon *daemon, int64_t now_s)
{
    char path[LOADER_PATH_BYTES], why[512];
    size_t length = 0;
    char *text =
        loader_beside(daemon->options.secrets_directory, "ca/index", path)
            ? files_read_private_to(path, ISSUED_INDEX_BYTES_MAX, &length, why, sizeof(why))
            : NULL;
    struct issued record;

    for (char *rest = text, *line; text != NULL && (line = strsep(&rest, "\n")) != NULL;) {
        if (issued_read(line, &record) && !is_used_here(daemon, &record)) {
            expiry_add_issued(&daemon->expiry, &record, now_s);
        }
    }
    free(text);
}

static void watch_expiry(struct daemon *daemon, uint64_t now_ms)
{
    static struct expiry last; /* too large for a stack, and only looked at here */
    struct expiry_look look = {daemon, &daemon->expiry, (int64_t)(clock_date_ms() / 1000)};

    if (now_ms < daemon->expiry_due_ms) {
        return;
    }
    daemon->expiry_due_ms = now_ms + EXPIRY_LOOK_MS;
    last = daemon->expiry;
    expiry_begin(&daemon->expiry);
    own_status_begin(daemon);
    gateway_each_certificates(daemon->gateway, look_at_certificates, &look, now_ms);
    own_status_end(daemon, now_ms);
    look_at_issued(daemon, look.now_s);
    lists_read(daemon);
    expiry_end(&daemon->expiry, &last, daemon->log, look.now_s);
}

/* Returns true when something was left for the next turn. */
static bool run_turn(struct daemon *daemon)
{
    uint64_t now_ms = clock_now_ms();
    bool more = false;

    take_signals(daemon, now_ms);
    take_address_changes(daemon, now_ms);
    for (size_t i = 0; i < daemon->worker_count; i++) {
        more = take_datagrams(daemon, daemon->workers[i], now_ms) || more;
        take_errors(daemon, daemon->workers[i], now_ms);
        look_at_device(daemon, daemon->workers[i]);
    }
    tcp_take_events(daemon, now_ms);
    actions_take_answers(daemon, now_ms);
    gateway_notes(daemon->gateway, now_ms);
    if (gateway_deadline_ms(daemon->gateway) <= now_ms) {
        gateway_time(daemon->gateway, now_ms);
    }
    logins_turn(daemon, now_ms);
    actions_run(daemon, now_ms);
    more = capture_run(daemon) || more;
    supers_watch(daemon);
    watch_expiry(daemon, now_ms);
    lists_turn(daemon, now_ms);
    own_status_turn(daemon, now_ms);
    tcp_watch(daemon, now_ms);
    if (daemon->guard_is_stale) {
        protection_guard(daemon);
    }
    dataplane_collect(daemon->dataplane);
    return more;
}

static uint64_t time_to_wait(const struct daemon *daemon)
{
    uint64_t deadline_ms = gateway_deadline_ms(daemon->gateway);
    uint64_t logins_ms = logins_deadline_ms(daemon);
    uint64_t now_ms = clock_now_ms();

    deadline_ms = logins_ms < deadline_ms ? logins_ms : deadline_ms;
    if (deadline_ms <= now_ms) {
        return 0;
    }
    return deadline_ms - now_ms < COLLECT_MS ? deadline_ms - now_ms : COLLECT_MS;
}

void daemon_run(struct daemon *daemon)
{
    bool more = true; /* what the first configuration set off */

    while (!daemon->ends) {
        (void)loop_turn(&daemon->loop, more ? 0 : time_to_wait(daemon));
        more = run_turn(daemon);
    }
}

void daemon_close(struct daemon *daemon)
{
    uint64_t now_ms = clock_now_ms();

    notify_send("STOPPING=1");
    if (daemon->capture != NULL) {
        capture_stop(daemon);
    }
    gateway_shutdown(daemon->gateway, now_ms);
    actions_run(daemon, now_ms);
}
