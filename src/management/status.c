/* `status`, `sas`, `drops`: the gateway's snapshots as JSON. */
#include "gateway/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "crypto/key_exchange.h"
#include "crypto/protect.h"
#include "dataplane/drop.h"
#include "management/answers.h"

#define PROBLEMS_MAX 1000
/* While an answer is made, the control thread does nothing else: so many sites at a time. */
#define SITES_A_PAGE 200

/* Seconds since a time in the past, or null. */
static json_t *seconds_since(uint64_t at_ms, uint64_t now_ms)
{
    return at_ms == NEVER_MS ? json_null()
                             : json_real(at_ms > now_ms ? 0.0 : (double)(now_ms - at_ms) / 1000);
}

static json_t *seconds_until(uint64_t at_ms, uint64_t now_ms)
{
    return at_ms == NEVER_MS ? json_null()
                             : json_real(at_ms < now_ms ? 0.0 : (double)(at_ms - now_ms) / 1000);
}

static json_t *count_of(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *endpoint_of(const struct endpoint *endpoint)
{
    char text[ENDPOINT_TEXT_BYTES];

    if (address_is_unset(&endpoint->address)) {
        return json_string("");
    }
    /* Manual keys have no port, nor has ESP outside of UDP. */
    return json_string(endpoint->port == 0 ? address_format(&endpoint->address, text)
                                           : endpoint_format(endpoint, text));
}

static json_t *spi_of(uint32_t spi)
{
    return json_sprintf("%08x", spi);
}

static json_t *selectors_of(const struct selector *selectors, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++) {
        char text[SELECTOR_TEXT_BYTES];

        json_array_append_new(array, json_string(selector_format(&selectors[i], text)));
    }
    return array;
}

/* Only what is there. */
static json_t *overhead_of(const struct sa_overhead *o)
{
    const struct {
        const char *name;
        uint16_t bytes;
    } parts[] = {{"outer_ip", o->outer_ip}, {"ah", o->ah},  {"udp", o->udp},
                 {"esp", o->esp},           {"iv", o->iv},  {"padding", o->padding},
                 {"trailer", o->trailer},   {"icv", o->icv}};
    json_t *object = json_object();

    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        if (parts[i].bytes > 0) {
            json_object_set_new(object, parts[i].name, count_of(parts[i].bytes));
        }
    }
    return object;
}

/* How packets are carried, beside by which suite. */
static void add_carriage(json_t *object, const struct status_child *child)
{
    const struct sa_counters *c = &child->counters;

    json_object_set_new(object, "mtu_source", json_string(status_mtu_name(child->mtu_source)));
    json_object_set_new(object, "overhead", overhead_of(&child->overhead));
    json_object_set_new(object, "replay_window", count_of(child->replay_window));
    json_object_set_new(object, "duplicates", count_of(c->duplicates));
    json_object_set_new(object, "compress", json_boolean(child->compress));
    json_object_set_new(object, "compressed_from_bytes", count_of(c->compressed_from));
    json_object_set_new(object, "compressed_to_bytes", count_of(c->compressed_to));
    json_object_set_new(object, "tfc_bytes",
                        count_of(child->tfc_bytes == TFC_TO_MTU ? c->inner_mtu : child->tfc_bytes));
    json_object_set_new(object, "tfc_dummy_ms", count_of(child->tfc_dummy_ms));
    json_object_set_new(object, "iptfs", json_boolean(child->aggfrag));
}

static json_t *child_of(const struct status_child *child, uint64_t now_ms)
{
    json_t *object = json_object();

    json_object_set_new(object, "name", json_string(child->name));
    json_object_set_new(object, "mode",
                        json_string(child->transport_mode ? "transport" : "tunnel"));
    json_object_set_new(object, "protocol", json_string(status_protocol_name(child->protocol)));
    json_object_set_new(object, "encapsulated", json_boolean(child->encapsulated));
    json_object_set_new(object, "tcp", json_boolean(child->peer.tcp));
    json_object_set_new(object, "suite", json_string(child->suite));
    json_object_set_new(object, "weak", json_boolean(child->legacy));
    json_object_set_new(object, "in_use", json_boolean(child->in_use));
    json_object_set_new(object, "worker",
                        child->worker == 0 ? json_null() : json_integer(child->worker));
    json_object_set_new(object, "narrowed", json_boolean(child->narrowed));
    json_object_set_new(object, "spi_in", spi_of(child->spi_in));
    json_object_set_new(object, "spi_out", spi_of(child->spi_out));
    json_object_set_new(object, "local", selectors_of(child->local_selectors, child->local_count));
    json_object_set_new(object, "remote",
                        selectors_of(child->remote_selectors, child->remote_count));
    json_object_set_new(object, "outer_local", endpoint_of(&child->local));
    json_object_set_new(object, "outer_peer", endpoint_of(&child->peer));
    json_object_set_new(object, "since_s", seconds_since(child->since_ms, now_ms));
    json_object_set_new(object, "in_bytes", count_of(child->counters.in_bytes));
    json_object_set_new(object, "out_bytes", count_of(child->counters.out_bytes));
    json_object_set_new(object, "in_packets", count_of(child->counters.in_packets));
    json_object_set_new(object, "out_packets", count_of(child->counters.out_packets));
    json_object_set_new(object, "replayed", count_of(child->counters.replayed));
    json_object_set_new(object, "forged", count_of(child->counters.forged));
    json_object_set_new(object, "selector_mismatch", count_of(child->counters.selector_mismatch));
    json_object_set_new(object, "outer_mtu", count_of(child->counters.outer_mtu));
    json_object_set_new(object, "inner_mtu", count_of(child->counters.inner_mtu));
    json_object_set_new(object, "overhead_bytes", count_of(child->counters.overhead_bytes));
    json_object_set_new(object, "rekey_in_s", seconds_until(child->rekey_ms, now_ms));
    add_carriage(object, child);
    return object;
}

/* "we are behind a NAT", or empty. */
static const char *nat_words(const struct status_ike *ike)
{
    if (ike->nat_local && ike->nat_peer) {
        return "both sides";
    }
    if (ike->nat_local) {
        return "our side";
    }
    return ike->nat_peer ? "the peer's side" : "";
}

/* Where else he can be reached. */
static json_t *peer_addresses_of(const struct status_ike *ike)
{
    json_t *array = json_array();
    char text[ADDRESS_TEXT_BYTES];

    for (size_t i = 0; i < ike->peer_address_count; i++) {
        json_array_append_new(array, json_string(address_format(&ike->peer_addresses[i], text)));
    }
    return array;
}

static json_t *ike_of(const struct status_ike *ike, uint64_t now_ms)
{
    json_t *object = json_object();

    json_object_set_new(object, "version", json_integer(ike->version));
    json_object_set_new(object, "established", json_boolean(ike->established));
    json_object_set_new(object, "initiator", json_boolean(ike->initiator));
    json_object_set_new(object, "suite", json_string(ike->suite));
    json_object_set_new(object, "post_quantum", json_boolean(ike->post_quantum));
    json_object_set_new(object, "post_quantum_missing", json_boolean(ike->post_quantum_missing));
    json_object_set_new(object, "unauthenticated", json_boolean(ike->unauthenticated));
    json_object_set_new(object, "ppk",
                        ike->ppk_id == NULL
                            ? json_null()
                            : json_pack("{s:s, s:b, s:b}", "id", ike->ppk_id, "used", ike->ppk,
                                        "in_ike", ike->ppk_everywhere));
    json_object_set_new(object, "spi_i", json_sprintf("%016llx", (unsigned long long)ike->spi_i));
    json_object_set_new(object, "spi_r", json_sprintf("%016llx", (unsigned long long)ike->spi_r));
    json_object_set_new(object, "nat", json_string(nat_words(ike)));
    json_object_set_new(object, "udp_asked_by",
                        json_string(ike->udp_asked_by_us     ? "us"
                                    : ike->udp_asked_by_peer ? "peer"
                                                             : ""));
    json_object_set_new(object, "transport", json_string(ike->peer.tcp ? "tcp" : "udp"));
    json_object_set_new(object, "local", endpoint_of(&ike->local));
    json_object_set_new(object, "peer", endpoint_of(&ike->peer));
    json_object_set_new(object, "mobile", json_boolean(ike->mobile));
    json_object_set_new(object, "peer_addresses", peer_addresses_of(ike));
    json_object_set_new(object, "peer_identity", json_string(ike->peer_identity));
    json_object_set_new(object, "looks_like",
                        json_string(ike->looks_like == NULL ? "" : ike->looks_like));
    json_object_set_new(object, "looks_like_by",
                        json_string(ike->looks_like == NULL || ike->looks_like[0] == '\0' ? ""
                                    : ike->looks_like_said ? "vendor-id"
                                                           : "offer"));
    json_object_set_new(object, "state", json_string(ike->state == NULL ? "" : ike->state));
    json_object_set_new(object, "since_s", seconds_since(ike->since_ms, now_ms));
    json_object_set_new(object, "rekey_in_s", seconds_until(ike->rekey_ms, now_ms));
    json_object_set_new(object, "reauthenticate_in_s",
                        seconds_until(ike->reauthenticate_ms, now_ms));
    return object;
}

static json_t *site_of(const struct question *question, size_t index,
                       const struct status_site *site)
{
    json_t *object = json_object();
    json_t *children = json_array();
    struct status_child child;

    json_object_set_new(object, "name", json_string(site->name));
    json_object_set_new(object, "state", json_string(status_state_name(site->state)));
    json_object_set_new(object, "since_s", seconds_since(site->since_ms, question->now_ms));
    json_object_set_new(object, "reason",
                        json_pack("{s:s, s:s}", "code", site->code, "text", site->sentence));
    json_object_set_new(object, "tries", count_of(site->tries));
    json_object_set_new(object, "next_try_s", seconds_until(site->next_try_ms, question->now_ms));
    json_object_set_new(object, "peer", endpoint_of(&site->peer));
    json_object_set_new(object, "weak",
                        json_boolean(site->legacy || (site->has_ike && site->ike.legacy)));
    json_object_set_new(object, "in_bytes", count_of(site->in_bytes));
    json_object_set_new(object, "out_bytes", count_of(site->out_bytes));
    json_object_set_new(object, "in_packets", count_of(site->in_packets));
    json_object_set_new(object, "out_packets", count_of(site->out_packets));
    json_object_set_new(object, "given", people_given(question, site->name));
    json_object_set_new(object, "rekeys", count_of(site->rekeys));
    json_object_set_new(object, "moves", count_of(site->moves));
    json_object_set_new(object, "not_followed", count_of(site->not_followed));
    json_object_set_new(object, "moved_s",
                        site->moves == 0 ? json_null()
                                         : seconds_since(site->moved_ms, question->now_ms));
    json_object_set_new(object, "hosts", count_of(site->host_count));
    json_object_set_new(object, "host_place",
                        site->host_place == 0 ? json_null() : count_of(site->host_place));
    json_object_set_new(object, "host", json_string(site->host == NULL ? "" : site->host));
    json_object_set_new(object, "uplinks", count_of(site->uplink_count));
    json_object_set_new(object, "uplink_place",
                        site->uplink_place == 0 ? json_null() : count_of(site->uplink_place));
    json_object_set_new(object, "uplink", json_string(site->uplink == NULL ? "" : site->uplink));
    json_object_set_new(object, "uplink_why", json_string(site->uplink_why));
    json_object_set_new(object, "return_in_s", seconds_until(site->return_ms, question->now_ms));
    if (site->has_ike) {
        json_object_set_new(object, "ike", ike_of(&site->ike, question->now_ms));
    }
    for (size_t i = 0; gateway_child_at(question->management->gateway, index, i, &child); i++) {
        json_array_append_new(children, child_of(&child, question->now_ms));
    }
    json_object_set_new(object, "children", children);
    return object;
}

static json_t *drops_of(const struct dataplane_doors *doors)
{
    json_t *object = json_object();

    for (int reason = DROP_NONE + 1; reason < DROP_REASON_COUNT; reason++) {
        json_object_set_new(object, drop_name((enum drop_reason)reason),
                            count_of(doors->dropped[reason]));
    }
    return object;
}

static json_t *problems_of(const struct question *question)
{
    json_t *array = json_array();
    struct status_problem *problems = calloc(PROBLEMS_MAX, sizeof(*problems));
    const char *sentence;
    const char *next;

    for (size_t i = 0;
         question->management->host_problem != NULL &&
         question->management->host_problem(question->management->context, i, &sentence, &next);
         i++) {
        json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s}", "site", "", "code", "",
                                               "text", sentence, "next", next == NULL ? "" : next));
    }
    size_t count = problems == NULL ? 0
                                    : gateway_problems(question->management->gateway,
                                                       question->now_ms, problems, PROBLEMS_MAX);

    for (size_t i = 0; i < count && i < PROBLEMS_MAX; i++) {
        const struct status_problem *problem = &problems[i];
        bool of_site = problem->site[0] != '\0';
        json_t *object = json_object();

        json_object_set_new(object, "site", json_string(problem->site));
        json_object_set_new(object, "code", json_string(problem->code));
        json_object_set_new(object, "text",
                            of_site ? json_sprintf("%s: %s", problem->site, problem->sentence)
                                    : json_string(problem->sentence));
        json_object_set_new(object, "since_s", seconds_since(problem->since_ms, question->now_ms));
        json_object_set_new(object, "next",
                            of_site ? json_sprintf("Run: sekisho explain %s", problem->site)
                                    : json_sprintf("Run: sekisho explain %s", problem->code));
        json_array_append_new(array, object);
    }
    free(problems);
    return array;
}

/* What the network said about packets that were too big, and what was made of it. */
static json_t *too_big_of(const struct status_gateway *status)
{
    json_t *object = json_object();

    for (int result = 0; result < TOO_BIG_COUNT; result++) {
        json_object_set_new(object, too_big_name((enum too_big)result),
                            count_of(status->too_big[result]));
    }
    return object;
}

static json_t *gateway_of(const struct status_gateway *status)
{
    json_t *object = json_object();

    json_object_set_new(object, "name", json_string(status->name));
    json_object_set_new(object, "version", json_string(SEKISHO_VERSION));
    json_object_set_new(object, "up_s", seconds_since(status->started_ms, status->now_ms));
    json_object_set_new(object, "config_age_s",
                        seconds_since(status->configured_ms, status->now_ms));
    json_object_set_new(object, "sites", count_of(status->site_count));
    json_object_set_new(object, "sites_up", count_of(status->states[STATUS_UP]));
    json_object_set_new(object, "sessions", count_of(status->sessions));
    json_object_set_new(object, "ike_sas", count_of(status->ike_sas));
    json_object_set_new(object, "half_open", count_of(status->half_open));
    json_object_set_new(object, "children", count_of(status->children));
    json_object_set_new(object, "cookies", json_boolean(status->cookies));
    json_object_set_new(object, "cookies_sent", count_of(status->cookies_sent));
    json_object_set_new(object, "refused_full", count_of(status->refused_full));
    json_object_set_new(object, "refused_busy", count_of(status->refused_busy));
    json_object_set_new(object, "too_big", too_big_of(status));
    json_object_set_new(object, "in_bytes", count_of(status->in_bytes));
    json_object_set_new(object, "out_bytes", count_of(status->out_bytes));
    json_object_set_new(object, "in_packets", count_of(status->in_packets));
    json_object_set_new(object, "out_packets", count_of(status->out_packets));
    json_object_set_new(object, "initiated", count_of(status->initiated_ok));
    json_object_set_new(object, "initiated_failed", count_of(status->initiated_failed));
    json_object_set_new(object, "answered", count_of(status->answered_ok));
    json_object_set_new(object, "answered_failed", count_of(status->answered_failed));
    json_object_set_new(object, "ike_rekeys", count_of(status->ike_rekeys));
    json_object_set_new(object, "child_rekeys", count_of(status->child_rekeys));
    json_object_set_new(object, "memory_bytes", count_of(status->dataplane_bytes));
    json_object_set_new(object, "routes", count_of(status->route_count));
    return object;
}

static json_t *doors_of(const struct dataplane_doors *doors)
{
    json_t *object = json_object();

    json_object_set_new(object, "from_tun", count_of(doors->from_tun));
    json_object_set_new(object, "from_wire", count_of(doors->from_wire));
    json_object_set_new(object, "made", count_of(doors->made));
    json_object_set_new(object, "to_wire", count_of(doors->to_wire));
    json_object_set_new(object, "to_tun", count_of(doors->to_tun));
    json_object_set_new(object, "to_control", count_of(doors->to_control));
    return object;
}

static json_t *workers_of(const struct gateway *gateway)
{
    json_t *workers = json_array();
    struct dataplane_worker_status status;

    for (size_t i = 0; gateway_worker_at(gateway, i, &status); i++) {
        json_t *worker = doors_of(&status.doors);
        json_int_t dropped = 0;

        for (int reason = 0; reason < DROP_REASON_COUNT; reason++) {
            dropped += (json_int_t)status.doors.dropped[reason];
        }
        json_object_set_new(worker, "opens", json_boolean(status.opens));
        json_object_set_new(worker, "seals", json_boolean(status.seals));
        json_object_set_new(worker, "dropped", json_integer(dropped));
        json_array_append_new(workers, worker);
    }
    return workers;
}

static json_t *crypto_of(void)
{
    json_t *engines = json_array();

    for (size_t i = 0; protect_report(i) != NULL; i++) {
        json_array_append_new(engines, json_string(protect_report(i)));
    }
    json_array_append_new(engines, json_string(key_exchange_report()));
    return json_pack("{s:o}", "engines", engines);
}

static json_t *offload_of(const struct management *management)
{
    struct management_offloads offloads = {0};
    json_t *parts = json_array();

    if (management->host_offloads != NULL) {
        management->host_offloads(management->context, &offloads);
    }
    for (size_t i = 0; i < offloads.count; i++) {
        json_array_append_new(parts, json_pack("{s:s, s:b, s:s}", "name", offloads.parts[i].name,
                                               "in_use", offloads.parts[i].in_use, "reason",
                                               offloads.parts[i].reason));
    }
    json_t *single = json_array();
    for (size_t i = 0; i < offloads.single_count; i++) {
        char text[ADDRESS_TEXT_BYTES];

        json_array_append_new(single, json_string(address_format(&offloads.single[i], text)));
    }
    return json_pack("{s:s, s:o, s:o}", "text", offloads.words, "parts", parts, "singly_to",
                     single);
}

static json_t *tcp_of(const struct management *management)
{
    struct management_tcp tcp = {0};
    json_t *ports = json_array();
    json_t *ends = json_object();

    if (management->host_tcp != NULL) {
        management->host_tcp(management->context, &tcp);
    }
    for (size_t i = 0; i < tcp.port_count; i++) {
        json_array_append_new(ports, json_integer(tcp.ports[i]));
    }
    for (size_t i = 0; i < tcp.end_count; i++) {
        if (tcp.ends[i].count > 0) {
            json_object_set_new(ends, tcp.ends[i].name, count_of(tcp.ends[i].count));
        }
    }
    json_t *object = json_pack("{s:o, s:o}", "ports", ports, "refused", ends);

    json_object_set_new(object, "connections", count_of(tcp.connections));
    json_object_set_new(object, "strangers", count_of(tcp.strangers));
    json_object_set_new(object, "opened_by_us", count_of(tcp.opened_by_us));
    json_object_set_new(object, "accepted", count_of(tcp.accepted));
    json_object_set_new(object, "opened", count_of(tcp.opened));
    json_object_set_new(object, "queued_bytes", count_of(tcp.queued_bytes));
    return object;
}

json_t *reply_no_such_site(const struct question *question, const char *name)
{
    struct status_site site;
    size_t distance = 3;
    char nearest[CONFIG_NAME_BYTES] = "";

    for (size_t i = 0; gateway_site_at(question->management->gateway, i, question->now_ms, &site);
         i++) {
        size_t this_distance = text_distance(slice_of_text(name), slice_of_text(site.name), 2);

        if (this_distance < distance &&
            text_copy(nearest, sizeof(nearest), slice_of_text(site.name))) {
            distance = this_distance;
        }
    }
    if (nearest[0] != '\0') {
        return reply_error(REPLY_FAILED, "sekisho status shows all sites.",
                           "there is no site '%s'; did you mean '%s'?", name, nearest);
    }
    return reply_error(REPLY_FAILED, "sekisho status shows all sites.", "there is no site '%s'",
                       name);
}

static bool is_degraded(const struct status_site *site)
{
    return site->state == STATUS_DOWN || site->state == STATUS_CONNECTING ||
           site->reason == REASON_DOWN_BY_ORDER;
}

/* Behind the last site of a page: what to ask for next, or null. */
static json_t *next_page(const struct question *question, size_t index)
{
    return index < gateway_site_count(question->management->gateway) ? count_of(index)
                                                                     : json_null();
}

/* All that is not about a site. */
static void add_whole(const struct question *question, json_t *answer)
{
    struct status_gateway status;

    gateway_get_status(question->management->gateway, question->now_ms, &status);
    json_object_set_new(answer, "gateway", gateway_of(&status));
    json_object_set_new(answer, "sessions", people_sessions(question));
    json_object_set_new(answer, "pools", people_pools(question));
    json_object_set_new(answer, "doors", doors_of(&status.doors));
    json_object_set_new(answer, "drops", drops_of(&status.doors));
    json_object_set_new(answer, "workers", workers_of(question->management->gateway));
    json_object_set_new(answer, "crypto", crypto_of());
    json_object_set_new(answer, "offload", offload_of(question->management));
    json_object_set_new(answer, "tcp", tcp_of(question->management));
    json_object_set_new(answer, "radius", radius_json(question->management));
    json_object_set_new(answer, "accounts", accounts_json(question->management));
    json_object_set_new(answer, "problems", problems_of(question));
}

/* Sites from number `after` on, a page of them; the first page has all that is not about a site. */
json_t *answer_status(const struct question *question)
{
    struct gateway *gateway = question->management->gateway;
    struct status_site site;
    json_t *answer = json_object();
    json_t *sites = json_array();
    bool degraded = false;
    size_t index = 0;

    if (question->word_count > 0) {
        if (!gateway_site_index(gateway, question->words[0], &index) ||
            !gateway_site_at(gateway, index, question->now_ms, &site)) {
            json_decref(sites);
            json_decref(answer);
            return reply_no_such_site(question, question->words[0]);
        }
        json_array_append_new(sites, site_of(question, index, &site));
        degraded = is_degraded(&site);
        json_object_set_new(answer, "next", json_null());
    } else {
        size_t end = question->after < SIZE_MAX - SITES_A_PAGE
                         ? (size_t)question->after + SITES_A_PAGE
                         : SIZE_MAX;

        for (index = (size_t)question->after;
             index < end && gateway_site_at(gateway, index, question->now_ms, &site); index++) {
            if (!site.people) {
                json_array_append_new(sites, site_of(question, index, &site));
                degraded |= is_degraded(&site);
            }
        }
        json_object_set_new(answer, "next", next_page(question, index));
    }
    json_object_set_new(answer, "version", json_integer(MANAGEMENT_SCHEMA_VERSION));
    json_object_set_new(answer, "sites", sites);
    if (question->after == 0) {
        add_whole(question, answer);
    }
    return reply_answer(degraded ? REPLY_DEGRADED : REPLY_OK, answer);
}

static void add_sas(const struct question *question, size_t index, const char *name, json_t *sas)
{
    struct status_child child;

    for (size_t i = 0; gateway_child_at(question->management->gateway, index, i, &child); i++) {
        json_t *object = child_of(&child, question->now_ms);

        json_object_set_new(object, "site", json_string(name));
        json_object_set_new(object, "origin", json_string(status_origin_name(child.origin)));
        json_array_append_new(sas, object);
    }
}

/* The same for their SAs. */
json_t *answer_sas(const struct question *question)
{
    struct gateway *gateway = question->management->gateway;
    struct status_site site;
    size_t index = (size_t)question->after;
    size_t end = index < SIZE_MAX - SITES_A_PAGE ? index + SITES_A_PAGE : SIZE_MAX;
    bool one = question->word_count > 0;

    if (one && !gateway_site_index(gateway, question->words[0], &index)) {
        return reply_no_such_site(question, question->words[0]);
    }
    json_t *sas = json_array();

    end = one ? index + 1 : end;
    while (index < end && gateway_site_at(gateway, index, question->now_ms, &site)) {
        add_sas(question, index, site.name, sas);
        index++;
    }
    return reply_answer(REPLY_OK, json_pack("{s:o, s:o}", "sas", sas, "next",
                                            one ? json_null() : next_page(question, index)));
}

/* An example of a dropped packet; `text` is one line for people. */
static json_t *example_of(const struct status_drop *drop, uint64_t now_ms)
{
    const struct drop_example *e = &drop->example;
    uint64_t ago_ms = drop->at_ms > now_ms ? 0 : now_ms - drop->at_ms;
    char words[STATUS_DROP_BYTES];
    char inside[STATUS_DROP_BYTES];
    json_t *object = json_object();

    status_describe_drop(e, words);
    status_describe_inside(e, inside);
    json_object_set_new(object, "number", count_of(drop->number));
    json_object_set_new(object, "reason", json_string(drop_name(e->reason)));
    json_object_set_new(object, "ago_s", seconds_since(drop->at_ms, now_ms));
    json_object_set_new(object, "site", json_string(drop->site));
    json_object_set_new(object, "inbound", json_boolean(e->inbound));
    json_object_set_new(object, "outer_local",
                        e->has_outer ? endpoint_of(&e->local) : json_string(""));
    json_object_set_new(object, "outer_peer",
                        e->has_outer ? endpoint_of(&e->peer) : json_string(""));
    json_object_set_new(object, "spi", e->spi == 0 ? json_null() : spi_of(e->spi));
    json_object_set_new(object, "sequence", e->has_sequence ? count_of(e->sequence) : json_null());
    json_object_set_new(object, "inside", json_string(inside));
    json_object_set_new(object, "words", json_string(words));
    json_object_set_new(object, "text",
                        json_sprintf("%llu.%03llu s ago  %-18s %s%s%s",
                                     (unsigned long long)ago_ms / 1000,
                                     (unsigned long long)ago_ms % 1000, drop_name(e->reason),
                                     drop->site, drop->site[0] == '\0' ? "" : " ", words));
    return object;
}

/* Those with a number greater than `after`, oldest first. */
static json_t *examples_after(const struct question *question, uint64_t *last)
{
    struct gateway *gateway = question->management->gateway;
    json_t *entries = json_array();
    struct status_drop drop;
    size_t count = 0;

    while (gateway_drop_at(gateway, count, &drop) && drop.number > question->after) {
        *last = drop.number > *last ? drop.number : *last;
        count++;
    }
    while (count > 0 && gateway_drop_at(gateway, --count, &drop)) {
        json_array_append_new(entries, example_of(&drop, question->now_ms));
    }
    return entries;
}

json_t *answer_drops(const struct question *question)
{
    struct status_gateway status;
    struct status_drop latest;
    uint64_t last = question->after;
    json_t *drops = json_array();

    gateway_get_status(question->management->gateway, question->now_ms, &status);
    for (int reason = DROP_NONE + 1; reason < DROP_REASON_COUNT; reason++) {
        json_t *object = json_object();

        json_object_set_new(object, "reason", json_string(drop_name((enum drop_reason)reason)));
        json_object_set_new(object, "count", count_of(status.doors.dropped[reason]));
        json_object_set_new(object, "text", json_string(drop_sentence((enum drop_reason)reason)));
        json_object_set_new(
            object, "latest",
            gateway_drop_of(question->management->gateway, (enum drop_reason)reason, &latest)
                ? example_of(&latest, question->now_ms)
                : json_null());
        json_array_append_new(drops, object);
    }
    json_t *entries = examples_after(question, &last);

    return reply_answer(REPLY_OK, json_pack("{s:o, s:o, s:o, s:I}", "drops", drops, "doors",
                                            doors_of(&status.doors), "entries", entries, "last",
                                            (json_int_t)last));
}
