/* Snapshots for those who watch. Nothing here changes anything. */
#include "gateway/inside.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proto/ike/selectors.h"

#define ONE_WAY_MS 15000
#define ONE_WAY_PACKETS 10
#define NOTICEABLE_DROPS 100 /* and more than one in a hundred of what came in */

const char *status_state_name(enum status_state state)
{
    static const char *const names[STATUS_STATE_COUNT] = {"up", "connecting", "down", "waiting"};

    assert(state < STATUS_STATE_COUNT);
    return names[state];
}

const char *status_origin_name(enum status_origin origin)
{
    static const char *const names[] = {
        [STATUS_ORIGIN_IKEV2] = "IKEv2",
        [STATUS_ORIGIN_MANUAL] = "manual",
        [STATUS_ORIGIN_IKEV1] = "IKEv1",
    };

    return names[origin];
}

const char *status_protocol_name(enum status_protocol protocol)
{
    static const char *const names[] = {"ESP", "AH", "AH+ESP"};

    assert((size_t)protocol < ARRAY_LENGTH(names));
    return names[protocol];
}

const char *status_mtu_name(enum status_mtu mtu)
{
    static const char *const names[] = {"link", "ICMP", "probe"};

    assert((size_t)mtu < ARRAY_LENGTH(names));
    return names[mtu];
}

/* ---- why ---- */

/* Whoever waits is not in trouble because the peer went away. */
static bool is_only_gone(const struct site *site)
{
    return site->trouble->reason == REASON_PEER_DELETED ||
           site->trouble->reason == REASON_CHILD_GONE;
}

enum status_state status_state_of(const struct site *site)
{
    if (site->used != NULL) {
        return STATUS_UP;
    }
    if (!site_is_enabled(site) || site->gateway->stopping) {
        return STATUS_WAITING;
    }
    if (site->trouble != NULL && (site_is_wanted(site) || !is_only_gone(site))) {
        return STATUS_DOWN;
    }
    if (site->dial != DIAL_IDLE || site->established_count > 0) {
        return STATUS_CONNECTING;
    }
    return site_is_wanted(site) && site_can_dial(site) ? STATUS_CONNECTING : STATUS_WAITING;
}

static bool is_noticeable(uint64_t dropped, uint64_t passed)
{
    return dropped >= NOTICEABLE_DROPS && dropped > passed / 100;
}

static enum reason reason_of_counters(const struct site *site)
{
    const struct child *child = site->used;
    struct sa_counters c;

    if (!dataplane_sa_counters(site->gateway->dataplane, child->spi_in, &c)) {
        return REASON_NONE;
    }
    if (c.in_packets == 0 && c.out_packets >= ONE_WAY_PACKETS &&
        c.last_out_ms >= child->since_ms + ONE_WAY_MS && c.forged == 0) {
        return REASON_ONE_WAY;
    }
    if (is_noticeable(c.forged, c.in_packets)) {
        return REASON_FORGED;
    }
    if (is_noticeable(c.replayed, c.in_packets)) {
        return REASON_REPLAY;
    }
    return is_noticeable(c.selector_mismatch, c.in_packets) ? REASON_SELECTOR_MISMATCH
                                                            : REASON_NONE;
}

static enum reason reason_of_waiting(const struct site *site)
{
    if (!site_can_dial(site)) {
        return REASON_PEER_ANY_SILENT;
    }
    if (site->config->start == START_ON_TRAFFIC ||
        (site->config->start == START_NOW && populate_is_on(site))) {
        return REASON_WAITING_TRAFFIC;
    }
    return REASON_WAITING_PEER;
}

enum reason status_reason_of(const struct site *site)
{
    enum status_state state = status_state_of(site);

    if (site->gateway->stopping) {
        return REASON_STOPPING;
    }
    if (!site->config->enabled) {
        return REASON_DISABLED;
    }
    if (site->ordered_down) {
        return REASON_DOWN_BY_ORDER;
    }
    switch (state) {
    case STATUS_UP:
        if (site->trouble != NULL) {
            return site->trouble->reason;
        }
        return site->route_trouble != NULL ? REASON_ROUTE_FAILED : reason_of_counters(site);
    case STATUS_DOWN:
        return site->trouble->reason;
    case STATUS_CONNECTING:
        return REASON_STARTING;
    case STATUS_WAITING:
    case STATUS_STATE_COUNT:
        break;
    }
    return reason_of_waiting(site);
}

void status_words_of(const struct site *site, enum reason reason, char peer[ENDPOINT_TEXT_BYTES],
                     struct reason_words *out)
{
    const struct trouble *t = site->trouble;
    const struct address *address = &site->last_peer.address;

    *out = (struct reason_words){.site = site->name, .key = site->config->key.name};
    if (t != NULL && t->reason == reason) {
        out->ours = t->ours;
        out->theirs = t->theirs;
        out->detail = t->detail;
        if (t->peer.address.family != FAMILY_NONE) {
            address = &t->peer.address;
        }
    }
    if (reason == REASON_ROUTE_FAILED) {
        out->detail = site->route_trouble;
    }
    if (reason == REASON_NAME_UNKNOWN) {
        out->peer = out->theirs;
    } else if (address->family != FAMILY_NONE) {
        out->peer = address_format(address, peer);
    } else if (site->config->peer_count > 0 && !site->config->peers[0].any) {
        out->peer = site->config->peers[0].text;
    }
}

void status_sentence(const struct site *site, enum reason reason, char *out, size_t capacity)
{
    char peer[ENDPOINT_TEXT_BYTES];
    struct reason_words words;
    struct text text = text_over(out, capacity);

    status_words_of(site, reason, peer, &words);
    reason_sentence(reason, &words, &text);
}

/* ---- the gateway ---- */

void status_sum_traffic(const struct site *site, uint64_t sum[4])
{
    sum[0] += site->in_bytes;
    sum[1] += site->in_packets;
    sum[2] += site->out_bytes;
    sum[3] += site->out_packets;
    for (const struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        for (const struct child *child = ike->children; child != NULL; child = child->next) {
            struct sa_counters c;

            if (child->installed &&
                dataplane_sa_counters(site->gateway->dataplane, child->spi_in, &c)) {
                sum[0] += c.in_bytes;
                sum[1] += c.in_packets;
                sum[2] += c.out_bytes;
                sum[3] += c.out_packets;
            }
        }
    }
}

void gateway_get_status(const struct gateway *g, uint64_t now_ms, struct status_gateway *out)
{
    static const struct address nobody = {.family = FAMILY_IPV4};
    uint64_t sum[4] = {g->gone_in_bytes, g->gone_in_packets, g->gone_out_bytes,
                       g->gone_out_packets};

    *out = (struct status_gateway){
        .name = g->config == NULL ? "" : g->config->gateway,
        .started_ms = g->started_ms,
        .configured_ms = g->configured_ms,
        .now_ms = now_ms,
        .config_hash = g->config == NULL ? 0 : g->config->hash,
        .site_count = g->site_count + g->manual_count - people_block_count(g),
        .sessions = gateway_session_count(g),
        .ike_sas = g->ike_count,
        .half_open = g->half_open_count + g->old_half_open_count,
        .children = g->child_count,
        .queued = g->queue_count,
        .cookies = g->config != NULL && admission_wants_cookies(g, &nobody),
        .stopping = g->stopping,
        .initiated = g->initiated,
        .initiated_ok = g->initiated_ok,
        .initiated_failed = g->initiated_failed,
        .answered = g->answered,
        .answered_ok = g->answered_ok,
        .answered_failed = g->answered_failed,
        .ike_rekeys = g->ike_rekeys,
        .child_rekeys = g->child_rekeys,
        .cookies_sent = g->cookies_sent,
        .refused_full = g->refused_full,
        .refused_busy = g->refused_busy,
        .messages_in = g->messages_in,
        .messages_out = g->messages_out,
        .dataplane_bytes = dataplane_memory_bytes(g->dataplane),
        .route_count = routes_count(g),
    };
    for (size_t i = 0; i < g->site_count; i++) {
        /* People are counted by themselves, and of their block there is nothing that could be up.
         */
        out->states[status_state_of(g->sites[i])] += !people_is_block(g->sites[i]);
        status_sum_traffic(g->sites[i], sum);
    }
    for (size_t i = 0; i < g->manual_count; i++) {
        out->states[manual_state(g->manuals[i])]++;
        manual_traffic(g->manuals[i], sum);
    }
    out->in_bytes = sum[0];
    out->in_packets = sum[1];
    out->out_bytes = sum[2];
    out->out_packets = sum[3];
    dataplane_get_doors(g->dataplane, &out->doors);
    for (int result = 0; result < TOO_BIG_COUNT; result++) {
        out->too_big[result] = dataplane_too_big_count(g->dataplane, (enum too_big)result);
    }
}

bool gateway_worker_at(const struct gateway *gateway, size_t index,
                       struct dataplane_worker_status *out)
{
    return dataplane_worker_at(gateway->dataplane, index, out);
}

/* ---- sites ---- */

bool status_is_legacy(const struct suite *s)
{
    const struct algorithm *parts[] = {
        algorithm_find(TRANSFORM_ENCRYPTION, s->encryption),
        algorithm_find(TRANSFORM_INTEGRITY, s->integrity),
        algorithm_find(TRANSFORM_PRF, s->prf),
        algorithm_find(TRANSFORM_KEY_EXCHANGE, s->key_exchange),
    };

    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        if (parts[i] != NULL && parts[i]->id != 0 && parts[i]->strength == STRENGTH_LEGACY) {
            return true;
        }
    }
    return false;
}

/* X25519 + ML-KEM-768, where both went into the keys. */
static void ike_suite_title(const struct ikev2_sa_info *info, char out[STATUS_SUITE_BYTES])
{
    struct transform more = {TRANSFORM_KEY_EXCHANGE, info->post_quantum, 0};
    char title[32];

    out[0] = '\0';
    if (info->suite.prf == 0) {
        return; /* IKEv1's children are there, and what they were made under is not any more */
    }
    suite_title(&info->suite, out, STATUS_SUITE_BYTES);
    if (info->post_quantum != KEY_EXCHANGE_NONE && info->post_quantum != info->suite.key_exchange) {
        size_t used = strlen(out);

        transform_title(&more, title, sizeof(title));
        snprintf(out + used, STATUS_SUITE_BYTES - used, " + %s", title);
    }
}

void status_ike_title(const struct ike *ike, char out[STATUS_SUITE_BYTES])
{
    struct ikev2_sa_info info;

    machine_get_info(ike, &info);
    ike_suite_title(&info, out);
}

static bool we_ask_for_udp(const struct ike *ike)
{
    return ike->site != NULL && ike->site->config->encapsulate == ENCAPSULATE_ALWAYS;
}

const char *status_nat_words(const struct ike *ike)
{
    struct ikev2_sa_info info;

    machine_get_info(ike, &info);
    if (info.nat_local || (info.nat_peer && !info.nat_asked)) {
        return ", a NAT is between";
    }
    if (info.peer.tcp || (!info.nat_asked && !we_ask_for_udp(ike))) {
        return "";
    }
    return ", encapsulated because it was asked for";
}

_Static_assert(STATUS_ADDRESSES_MAX == IKEV2_ADDRESSES_MAX, "all are shown");

static void fill_ike(const struct ike *ike, struct status_ike *out)
{
    struct ikev2_sa_info info;
    struct text identity = text_over(out->peer_identity, sizeof(out->peer_identity));

    machine_get_info(ike, &info);
    out->version = ike->is_old ? 1 : 2;
    out->established = info.established;
    out->initiator = ike->initiator;
    out->since_ms = ike->established ? ike->established_ms : ike->created_ms;
    out->spi_i = info.spi_i;
    out->spi_r = info.spi_r;
    out->local = info.local;
    out->peer = info.peer;
    out->nat_local = info.nat_local;
    out->nat_peer = info.nat_peer && !info.nat_asked;
    out->udp_asked_by_us = we_ask_for_udp(ike) && !info.peer.tcp;
    out->udp_asked_by_peer = info.nat_asked;
    out->mobile = info.mobile;
    out->peer_address_count = machine_peer_addresses(ike, out->peer_addresses);
    out->rekey_ms = info.rekey_ms;
    out->reauthenticate_ms = info.reauthenticate_ms;
    out->state = info.state;
    out->ppk_id =
        ike->site != NULL && ike->site->config->ppk != NULL ? ike->site->config->ppk->id : NULL;
    out->looks_like = persona_of_ike(ike);
    out->looks_like_said = ike->persona_said;
    if (info.established) {
        ike_suite_title(&info, out->suite);
        out->post_quantum = info.post_quantum != KEY_EXCHANGE_NONE;
        out->post_quantum_missing = !out->post_quantum && ike->site != NULL && !ike->is_old &&
                                    ike->site->config->post_quantum != CONFIG_POST_QUANTUM_OFF &&
                                    proposals_have_post_quantum(ike->site->config->ike);
        out->ppk = info.ppk != IKEV2_PPK_NOWHERE;
        out->unauthenticated = ike->site != NULL && ike->site->config->unauthenticated &&
                               info.ppk == IKEV2_PPK_NOWHERE;
        out->ppk_everywhere = info.ppk == IKEV2_PPK_IN_ALL;
        out->legacy = status_is_legacy(&info.suite);
        ike_identity_describe(&info.peer_id, &identity);
    }
}

static const struct ike *shown_ike(const struct site *site)
{
    if (site->used != NULL) {
        return site->used->ike;
    }
    for (const struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        if (ike->established) {
            return ike;
        }
    }
    return site->ikes;
}

static void add_counters(const struct site *site, struct status_site *out)
{
    for (const struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        for (const struct child *child = ike->children; child != NULL; child = child->next) {
            struct sa_counters c;

            out->child_count += !child->stopped;
            if (!child->installed ||
                !dataplane_sa_counters(site->gateway->dataplane, child->spi_in, &c)) {
                continue;
            }
            out->in_bytes += c.in_bytes;
            out->in_packets += c.in_packets;
            out->out_bytes += c.out_bytes;
            out->out_packets += c.out_packets;
            out->replayed += c.replayed;
            out->forged += c.forged;
            out->selector_mismatch += c.selector_mismatch;
            if (c.last_in_ms > out->last_in_ms) {
                out->last_in_ms = c.last_in_ms;
            }
            if (c.last_out_ms > out->last_out_ms) {
                out->last_out_ms = c.last_out_ms;
            }
        }
    }
}

/* A first try takes half a minute to fail: whoever looks before shall see that nobody answers. */
static void add_patience(const struct site *site, struct status_site *out)
{
    const struct ike *ike = site->dialled;
    char peer[ADDRESS_TEXT_BYTES];
    struct ikev2_sa_info info;

    if (out->reason != REASON_STARTING || ike == NULL || ike->heard || ike->established) {
        return;
    }
    machine_get_info(ike, &info);
    if (info.retransmissions > 0) {
        size_t used = strlen(out->sentence);

        snprintf(out->sentence + used, sizeof(out->sentence) - used, ": %s has not answered yet",
                 address_format(&ike->peer.address, peer));
    }
}

/* Which of its peers a site uses. */
static void add_host(const struct site *site, const struct ike *ike, struct status_site *out)
{
    out->host_count = site_can_dial(site) ? site->config->peer_count : 0;
    out->return_ms = site->used == NULL ? NEVER_MS : returning_due_ms(site);
    if (ike != NULL && ike->initiator && ike->established && ike->host < out->host_count) {
        out->host_place = ike->host + 1U;
        out->host = site->config->peers[ike->host].text;
    }
}

static void fill_site(const struct site *site, uint64_t now_ms, struct status_site *out)
{
    const struct ike *ike = shown_ike(site);
    enum reason reason = status_reason_of(site);
    bool waits = site->dial == DIAL_IDLE && site->used == NULL && site_is_wanted(site) &&
                 site_can_dial(site) && site->established_count == 0;

    *out = (struct status_site){
        .name = site->name,
        .state = status_state_of(site),
        .since_ms = site->changed_ms,
        .reason = reason,
        .code = reason == REASON_NONE ? "" : reason_code(reason),
        .tries = site->tries,
        .last_try_ms = site->last_try_ms,
        .next_try_ms = waits ? site->next_try_ms : NEVER_MS,
        .peer = site->last_peer,
        .legacy = site->config->uses_legacy,
        .people = people_is_block(site),
        .has_ike = ike != NULL,
        .ike_count = site->ike_count,
        .in_bytes = site->in_bytes,
        .in_packets = site->in_packets,
        .out_bytes = site->out_bytes,
        .out_packets = site->out_packets,
        .replayed = site->replayed,
        .forged = site->forged,
        .selector_mismatch = site->selector_mismatch,
        .last_in_ms = site->last_in_ms,
        .last_out_ms = site->last_out_ms,
        .rekeys = site->rekeys,
        .moves = site->moves,
        .moved_ms = site->moved_ms,
        .not_followed = site->roaming == NULL ? 0 : site->roaming->not_followed,
        .established_ms = site->established_ms,
    };
    if (reason != REASON_NONE) {
        status_sentence(site, reason, out->sentence, sizeof(out->sentence));
    }
    if (ike != NULL) {
        fill_ike(ike, &out->ike);
        out->peer = out->ike.peer;
    }
    add_host(site, ike, out);
    if (ike != NULL && ike->established) {
        uplinks_status(ike, now_ms, out);
    }
    add_patience(site, out);
    add_counters(site, out);
}

/* Manual blocks follow behind the sites. */
size_t gateway_site_count(const struct gateway *g)
{
    return g->site_count + g->manual_count;
}

static const struct manual *manual_at(const struct gateway *g, size_t index)
{
    return index >= g->site_count && index - g->site_count < g->manual_count
               ? g->manuals[index - g->site_count]
               : NULL;
}

/* Behind the sites and the manual blocks come the numbers of people's, which are not in order. */
#define FIRST_PERSON ((size_t)1 << 30)

const struct site *status_site_of(const struct gateway *g, size_t index)
{
    const struct site *site = NULL;

    if (index < g->site_count) {
        return g->sites[index];
    }
    if (index >= FIRST_PERSON && index - FIRST_PERSON < g->number_capacity) {
        site = g->by_number[index - FIRST_PERSON];
    }
    return site != NULL && site->is_session ? site : NULL;
}

bool gateway_site_at(const struct gateway *g, size_t index, uint64_t now_ms,
                     struct status_site *out)
{
    if (manual_at(g, index) != NULL) {
        manual_status(manual_at(g, index), out);
        return true;
    }
    const struct site *site = status_site_of(g, index);

    if (site == NULL) {
        return false;
    }
    fill_site(site, now_ms, out);
    return true;
}

bool gateway_site_index(const struct gateway *g, const char *name, size_t *index)
{
    const struct site *site = apply_find(g, name);

    for (size_t i = 0; site == NULL && i < g->manual_count; i++) {
        if (g->manuals[i] == manual_find(g, name)) {
            *index = g->site_count + i;
            return true;
        }
    }
    if (site == NULL) {
        site = session_site(g, name);
    }
    if (site == NULL) {
        return false;
    }
    *index = site->is_session ? FIRST_PERSON + site->number - 1 : site->index;
    return true;
}

/* ---- children ---- */

/* The one in use is number 0, the others follow as they stand. One that was replaced and only lets
 * late packets in is not shown. */
static const struct child *child_numbered(const struct site *site, size_t number)
{
    size_t at = site->used != NULL ? 1 : 0;

    if (number == 0 && site->used != NULL) {
        return site->used;
    }
    for (const struct ike *ike = site->ikes; ike != NULL; ike = ike->next_of_site) {
        for (const struct child *child = ike->children; child != NULL; child = child->next) {
            if (child != site->used && !child->stopped && at++ == number) {
                return child;
            }
        }
    }
    return NULL;
}

size_t status_copy_selectors(const struct selector *from, size_t count,
                             struct selector to[STATUS_SELECTORS_MAX])
{
    size_t copied = count < STATUS_SELECTORS_MAX ? count : STATUS_SELECTORS_MAX;

    memcpy(to, from, copied * sizeof(*from));
    return copied;
}

static bool is_narrowed(const struct site *site, size_t part, const struct ikev2_child_info *info)
{
    const struct selectors *wanted = &site->selectors;

    /* In transport mode it is what it can be: the two hosts. */
    return (site->child_count == 1 || wanted->parts > 1) && part < wanted->parts &&
           !info->transport_mode &&
           !(selectors_are_within(policies_local(wanted, part), wanted->local_count,
                                  info->local_selectors, info->local_count) &&
             selectors_are_within(policies_remote(wanted, part), wanted->remote_count,
                                  info->remote_selectors, info->remote_count));
}

bool gateway_child_at(const struct gateway *g, size_t index, size_t number,
                      struct status_child *out)
{
    const struct site *site = status_site_of(g, index);
    const struct child *child = site == NULL ? NULL : child_numbered(site, number);
    struct ikev2_child_info info;

    if (manual_at(g, index) != NULL) {
        return number == 0 && manual_child(manual_at(g, index), out);
    }
    if (child == NULL) {
        return false;
    }
    *out = (struct status_child){
        .name = site->name,
        .origin = child->ike->is_old ? STATUS_ORIGIN_IKEV1 : STATUS_ORIGIN_IKEV2,
        .in_use = child->in_use,
        .worker = child->resource,
        .since_ms = child->since_ms,
        .spi_in = child->spi_in,
        .mtu_source = path_source(child->ike),
        .rekey_ms = NEVER_MS,
    };
    if (children_info(child, &info)) {
        out->spi_out = info.spi_out;
        out->protocol = info.around.spi_in != 0        ? STATUS_AH_AND_ESP
                        : info.protocol == PROTOCOL_AH ? STATUS_AH
                                                       : STATUS_ESP;
        out->outer_spi_in = info.around.spi_in;
        out->outer_spi_out = info.around.spi_out;
        struct suite inside = children_suite(&site->config->carriage, &info.suite);
        struct suite around = children_suite(&site->config->carriage, &info.around.suite);

        bundle_title(info.around.spi_in != 0 ? &around : NULL, &inside, out);
        out->encapsulated = info.encapsulated;
        out->transport_mode = info.transport_mode;
        out->local = info.local;
        out->peer = info.peer;
        out->local_count =
            status_copy_selectors(info.local_selectors, info.local_count, out->local_selectors);
        out->remote_count =
            status_copy_selectors(info.remote_selectors, info.remote_count, out->remote_selectors);
        out->rekey_ms = info.rekey_ms;
        out->narrowed = is_narrowed(site, child->part, &info);
        out->replay_window = site->config->replay_window;
        out->compress = info.compress;
        out->aggfrag = info.aggfrag;
        out->tfc_bytes = children_tfc_bytes(&site->config->carriage, &info);
        out->tfc_dummy_ms = site->config->carriage.tfc_dummy_ms;
    }
    bundle_measure(g->dataplane, out);
    return true;
}

/* ---- problems ---- */

/* False: nothing of the kind. */
static bool stray_problem(const struct gateway *g, uint64_t now_ms, struct status_problem *out)
{
    const struct status_drop *stray = drops_stray(g, now_ms);
    char inside[STATUS_DROP_BYTES];
    struct reason_words words = {.detail = inside};
    struct text sentence = text_over(out->sentence, sizeof(out->sentence));

    if (stray == NULL) {
        return false;
    }
    status_describe_inside(&stray->example, inside);
    *out = (struct status_problem){
        .site = "",
        .reason = REASON_POLICY_DROP,
        .code = reason_code(REASON_POLICY_DROP),
        .since_ms = stray->at_ms,
    };
    reason_sentence(REASON_POLICY_DROP, &words, &sentence);
    return true;
}

size_t gateway_problems(const struct gateway *g, uint64_t now_ms, struct status_problem *out,
                        size_t capacity)
{
    struct status_problem stray;
    size_t count = 0;

    if (stray_problem(g, now_ms, &stray)) {
        if (count < capacity) {
            out[count] = stray;
        }
        count++;
    }
    if (g->policies_refused) {
        if (count < capacity) {
            out[count] = (struct status_problem){
                .site = "",
                .reason = REASON_RESOURCES,
                .code = reason_code(REASON_RESOURCES),
                .since_ms = g->configured_ms,
                .sentence = "the data plane refused the policies of this configuration",
            };
        }
        count++;
    }
    for (size_t i = 0; i < g->site_count; i++) {
        const struct site *site = g->sites[i];
        enum reason reason = status_reason_of(site);

        if (!reason_get(reason)->trouble) {
            continue;
        }
        if (count < capacity) {
            out[count] = (struct status_problem){
                .site = site->name,
                .reason = reason,
                .code = reason_code(reason),
                .since_ms = site->changed_ms,
            };
            status_sentence(site, reason, out[count].sentence, sizeof(out[count].sentence));
        }
        count++;
    }
    for (size_t i = 0; i < g->manual_count; i++) {
        struct status_site m;

        manual_status(g->manuals[i], &m);
        if (!reason_get(m.reason)->trouble) {
            continue;
        }
        if (count < capacity) {
            out[count] = (struct status_problem){
                .site = m.name, .reason = m.reason, .code = m.code, .since_ms = m.since_ms};
            memcpy(out[count].sentence, m.sentence, sizeof(m.sentence));
        }
        count++;
    }
    return count;
}
