/*
 * Tunnels whose keys the administrator made (RFC 4301 4.5.1): no negotiation, no lifetime. A block
 * of the configuration asks for its secrets; when all are there its SAs are installed and its
 * traffic may pass. Policy and route stand from the beginning, so that nothing leaves in clear.
 */
#include "gateway/inside.h"

#include <stdlib.h>
#include <string.h>

#include "config/key_material.h"

enum manual_key {
    KEY_ESP_CIPHER_OUT,
    KEY_ESP_CIPHER_IN,
    KEY_ESP_AUTH_OUT,
    KEY_ESP_AUTH_IN,
    KEY_AH_OUT,
    KEY_AH_IN,
    MANUAL_KEYS,
};

struct manual {
    struct gateway *gateway;
    const struct config_manual *config;
    const char *name;
    uint32_t policy_id;
    struct selectors selectors;
    struct question *questions;
    size_t waiting; /* answers that are not there */
    struct secret keys[MANUAL_KEYS]; /* until they are installed */
    uint32_t installed[2]; /* inbound SPIs, the innermost first */
    size_t installed_count;
    bool ordered_down;
    char *trouble; /* why it is not up */
    uint64_t since_ms;
    uint64_t in_bytes, in_packets, out_bytes, out_packets; /* of SAs that are gone */
};

/* ---- what the configuration says ---- */

static const struct config_secret_name *key_name(const struct config_manual *c,
                                                 enum manual_key which)
{
    switch (which) {
    case KEY_ESP_CIPHER_OUT:
        return &c->esp.cipher_out;
    case KEY_ESP_CIPHER_IN:
        return &c->esp.cipher_in;
    case KEY_ESP_AUTH_OUT:
        return &c->esp.auth_out;
    case KEY_ESP_AUTH_IN:
        return &c->esp.auth_in;
    case KEY_AH_OUT:
        return &c->ah.auth_out;
    case KEY_AH_IN:
        return &c->ah.auth_in;
    case MANUAL_KEYS:
        break;
    }
    return NULL;
}

static bool key_is_wanted(const struct config_manual *c, enum manual_key which)
{
    bool present = which >= KEY_AH_OUT ? c->ah.present : c->esp.present;

    return present && key_name(c, which)->name != NULL;
}

static struct transform key_algorithm(const struct config_manual *c, enum manual_key which)
{
    if (which >= KEY_AH_OUT) {
        return (struct transform){TRANSFORM_INTEGRITY, c->ah.integrity, 0};
    }
    if (which >= KEY_ESP_AUTH_OUT) {
        return (struct transform){TRANSFORM_INTEGRITY, c->esp.integrity, 0};
    }
    return (struct transform){TRANSFORM_ENCRYPTION, c->esp.encryption, c->esp.key_bits};
}

static bool is_transport(const struct config_manual *c)
{
    return c->carriage.mode == CONFIG_TRANSPORT;
}

static struct selector host_selector(const struct address *host)
{
    return (struct selector){.addresses = {*host, *host}, .port_last = UINT16_MAX};
}

static bool make_selectors(const struct config_manual *c, struct selectors *out)
{
    size_t local_count = c->lan_count > 0 ? c->lan_count : 1;
    size_t remote_count = c->network_count > 0 ? c->network_count : 1;
    struct selector *list = calloc(local_count + remote_count, sizeof(*list));

    if (list == NULL) {
        return false;
    }
    *out = (struct selectors){list, local_count, remote_count};
    list[0] = host_selector(&c->local);
    list[local_count] = host_selector(&c->peer);
    for (size_t i = 0; i < c->lan_count; i++) {
        list[i] = selector_of_network(&c->lans[i]);
    }
    for (size_t i = 0; i < c->network_count; i++) {
        list[local_count + i] = selector_of_network(&c->networks[i]);
    }
    for (size_t i = 0; i < local_count + remote_count; i++) {
        list[i].protocol = c->only_protocol;
        if ((i < local_count) == c->only_ours && c->only_protocol != 0) {
            list[i].port_first = c->only_port_first;
            list[i].port_last = c->only_port_last;
        }
    }
    return true;
}

/* ---- trouble ---- */

static void set_trouble(struct manual *m, const char *name, const char *why)
{
    char words[STATUS_WORDS_BYTES];
    struct text out = text_over(words, sizeof(words));

    if (name != NULL) {
        text_addf(&out, "@%s ", name);
    }
    text_add(&out, why);
    free(m->trouble);
    m->trouble = strdup(words);
    m->since_ms = m->gateway->now_ms;
    log_line(m->gateway->log, LOG_LEVEL_ERROR, m->name, "%s %s", reason_code(REASON_MANUAL_KEYS),
             words);
}

static void forget_keys(struct manual *m)
{
    for (size_t i = 0; i < MANUAL_KEYS; i++) {
        secret_wipe(&m->keys[i]);
    }
}

/* ---- SAs ---- */

static void count_what_passed(struct manual *m)
{
    struct sa_counters c;

    if (m->installed_count > 0 &&
        dataplane_sa_counters(m->gateway->dataplane, m->installed[0], &c)) {
        m->in_bytes += c.in_bytes;
        m->in_packets += c.in_packets;
        m->out_bytes += c.out_bytes;
        m->out_packets += c.out_packets;
    }
}

static void uninstall(struct manual *m)
{
    count_what_passed(m);
    while (m->installed_count > 0) {
        dataplane_remove(m->gateway->dataplane, m->installed[--m->installed_count]);
    }
}

static struct child_sa child_of(const struct manual *m, const struct config_static_sa *sa)
{
    const struct config_manual *c = m->config;
    const struct config_carriage *carriage = &c->carriage;

    return (struct child_sa){
        .spi_in = sa->spi_in,
        .spi_out = sa->spi_out,
        .policy_id = m->policy_id,
        .suite = {.encryption = sa->encryption,
                  .key_bits = sa->key_bits,
                  .integrity = sa->integrity,
                  .esn = c->esn},
        .local = {c->local, c->local_port},
        .peer = {c->peer, c->peer_port},
        .encapsulated = c->local_port != 0,
        .replay_window = c->replay_window,
        .replay_off = c->replay_window == 0,
        .ah_align_64 = c->ah_align == CONFIG_AH_ALIGN_64,
        .local_selectors = m->selectors.list,
        .local_count = m->selectors.local_count,
        .remote_selectors = m->selectors.list + m->selectors.local_count,
        .remote_count = m->selectors.remote_count,
        .copy_dscp = carriage->dscp == CONFIG_DSCP_COPY,
        .df = children_df(carriage->df),
        .fragment_after = carriage->fragment == CONFIG_FRAGMENT_AFTER,
        .compress = carriage->compress,
        .cpi_in = carriage->compress ? CPI_DEFLATE : 0,
        .cpi_out = carriage->compress ? CPI_DEFLATE : 0,
        .tfc_bytes = carriage->tfc_bytes,
        .dummy_interval_ms = carriage->tfc_dummy_ms,
        .aggfrag = children_aggfrag(&carriage->iptfs),
    };
}

/* Cipher key, then integrity key, as the data plane wants them. */
static struct slice join_keys(const struct secret *cipher, const struct secret *auth,
                              struct secret *out)
{
    struct slice a = secret_slice(cipher);
    struct slice b = secret_slice(auth);
    uint8_t both[SECRET_BYTES_MAX];

    if (a.length + b.length > sizeof(both)) {
        return (struct slice){0};
    }
    memcpy(both, a.data, a.length);
    memcpy(both + a.length, b.data, b.length);
    bool ok = secret_set(out, (struct slice){both, a.length + b.length});
    wipe(both, sizeof(both));
    return ok ? secret_slice(out) : (struct slice){0};
}

static bool install_one(struct manual *m, struct child_sa *child)
{
    struct dataplane *dp = m->gateway->dataplane;

    if (!dataplane_reserve_exact(dp, child->spi_in)) {
        return false;
    }
    if (!dataplane_install(dp, child)) {
        dataplane_release_spi(dp, child->spi_in);
        return false;
    }
    m->installed[m->installed_count++] = child->spi_in;
    return true;
}

static bool install_esp(struct manual *m)
{
    const struct config_manual *c = m->config;
    struct child_sa child = child_of(m, &c->esp);
    struct secret in = {0};
    struct secret out = {0};

    child.protocol = IP_PROTOCOL_ESP;
    child.transport_mode = is_transport(c);
    child.waits_for_outer = c->ah.present;
    child.key_in = join_keys(&m->keys[KEY_ESP_CIPHER_IN], &m->keys[KEY_ESP_AUTH_IN], &in);
    child.key_out = join_keys(&m->keys[KEY_ESP_CIPHER_OUT], &m->keys[KEY_ESP_AUTH_OUT], &out);
    bool ok = install_one(m, &child);
    secret_wipe(&in);
    secret_wipe(&out);
    return ok;
}

static bool install_ah(struct manual *m)
{
    const struct config_manual *c = m->config;
    struct child_sa child = child_of(m, &c->ah);

    child.protocol = IP_PROTOCOL_AH;
    /* Around an ESP tunnel it adds no second header (RFC 2401 4.3: transport adjacency). */
    child.transport_mode = is_transport(c) || c->esp.present;
    child.inside_spi_in = c->esp.present ? c->esp.spi_in : 0;
    if (c->esp.present) {
        /* What is inside looks after these. */
        child.compress = false;
        child.cpi_in = child.cpi_out = 0;
        child.tfc_bytes = 0;
        child.aggfrag.enabled = false;
        child.dummy_interval_ms = 0;
    }
    child.key_in = secret_slice(&m->keys[KEY_AH_IN]);
    child.key_out = secret_slice(&m->keys[KEY_AH_OUT]);
    return install_one(m, &child);
}

static void install(struct manual *m, uint64_t now_ms)
{
    const struct config_manual *c = m->config;
    bool ok = (!c->esp.present || install_esp(m)) && (!c->ah.present || install_ah(m));

    forget_keys(m);
    if (!ok) {
        uninstall(m);
        set_trouble(m, NULL, "the data plane refused these keys or SPIs");
        return;
    }
    free(m->trouble);
    m->trouble = NULL;
    m->since_ms = now_ms;
    dataplane_use(m->gateway->dataplane, m->installed[0]);
    log_line(m->gateway->log, LOG_LEVEL_NOTICE, m->name, "is up with manual keys");
}

/* ---- secrets ---- */

static void ask_key(struct manual *m, enum manual_key which)
{
    struct gateway *g = m->gateway;
    uint64_t id = questions_ask_manual(g, m, (uint32_t)which);
    struct gateway_action *action = id == 0 ? NULL : actions_add(g, GATEWAY_READ_SECRET);

    if (action == NULL) {
        set_trouble(m, NULL, "no memory to ask for its keys");
        return;
    }
    m->waiting++;
    action->secret.question = id;
    actions_copy_words(action->secret.name, sizeof(action->secret.name),
                       key_name(m->config, which)->name);
}

static void start(struct manual *m, uint64_t now_ms)
{
    questions_forget(m->gateway, &m->questions);
    forget_keys(m);
    m->waiting = 0;
    free(m->trouble);
    m->trouble = NULL;
    m->since_ms = now_ms;
    if (!m->config->enabled || m->ordered_down) {
        return;
    }
    for (size_t i = 0; i < MANUAL_KEYS; i++) {
        if (key_is_wanted(m->config, (enum manual_key)i)) {
            ask_key(m, (enum manual_key)i);
        }
    }
    if (m->waiting == 0 && m->trouble == NULL) {
        install(m, now_ms);
    }
}

void manual_secret(struct manual *m, uint32_t which, const struct secret *secret, const char *why,
                   uint64_t now_ms)
{
    const struct config_secret_name *name = key_name(m->config, (enum manual_key)which);
    struct transform algorithm = key_algorithm(m->config, (enum manual_key)which);
    char words[KEY_MATERIAL_WHY_BYTES] = "";

    m->waiting--;
    if (secret == NULL) {
        set_trouble(m, NULL, why);
        return;
    }
    if (!key_material_take(&algorithm, secret_slice(secret), &m->keys[which], words)) {
        set_trouble(m, name->name, words);
        return;
    }
    if (m->waiting == 0 && m->trouble == NULL) {
        install(m, now_ms);
    }
    if (m->waiting == 0) {
        forget_keys(m);
    }
}

/* ---- routes ---- */

static void routes_of(struct manual *m,
                      void (*each)(struct gateway *g, const struct gateway_route *r))
{
    const struct config_manual *c = m->config;

    if (!c->enabled || !c->routes) {
        return;
    }
    if (is_transport(c)) {
        struct gateway_route route = routes_between(&c->local, &c->peer, c->only_protocol,
                                                    c->only_port_first, c->only_port_last);

        if (c->only_ours) {
            route.local_port_first = route.port_first;
            route.local_port_last = route.port_last;
            route.port_first = 0;
            route.port_last = UINT16_MAX;
        }
        each(m->gateway, &route);
        return;
    }
    for (size_t i = 0; i < c->network_count; i++) {
        struct gateway_route route = routes_to(&c->networks[i]);

        each(m->gateway, &route);
    }
}

/* ---- life ---- */

static void manual_free(struct manual *m)
{
    if (m == NULL) {
        return;
    }
    routes_of(m, routes_release);
    uninstall(m);
    questions_forget(m->gateway, &m->questions);
    forget_keys(m);
    policies_free_selectors(&m->selectors);
    free(m->trouble);
    free(m);
}

static struct manual *manual_new(struct gateway *g, const struct config_manual *c,
                                 uint32_t policy_id)
{
    struct manual *m = calloc(1, sizeof(*m));

    if (m == NULL) {
        return NULL;
    }
    *m = (struct manual){.gateway = g, .config = c, .name = c->name, .policy_id = policy_id};
    if (!make_selectors(c, &m->selectors)) {
        free(m);
        return NULL;
    }
    return m;
}

static struct manual *find(const struct gateway *g, const char *name)
{
    for (size_t i = 0; i < g->manual_count; i++) {
        if (strcmp(g->manuals[i]->name, name) == 0) {
            return g->manuals[i];
        }
    }
    return NULL;
}

static struct manual *take_unchanged(struct gateway *g, const struct config_manual *c)
{
    struct manual *m = find(g, c->name);

    if (m == NULL || m->config->hash != c->hash) {
        return NULL;
    }
    for (size_t i = 0; i < g->manual_count; i++) {
        if (g->manuals[i] == m) {
            g->manuals[i] = g->manuals[--g->manual_count];
        }
    }
    return m;
}

bool manual_configure(struct gateway *g, const struct config *config, uint64_t now_ms)
{
    size_t count = config->manual_count;
    struct manual **list = calloc(count > 0 ? count : 1, sizeof(struct manual *));

    if (list == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        list[i] = take_unchanged(g, &config->manuals[i]);
    }
    /* Those that changed give their SPIs back before new ones take them. */
    for (size_t i = 0; i < g->manual_count; i++) {
        manual_free(g->manuals[i]);
    }
    free(g->manuals);
    g->manuals = list;
    g->manual_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct manual *m = list[i];
        bool is_new = false;

        if (m == NULL) {
            m = manual_new(g, &config->manuals[i], ++g->next_manual | MANUAL_POLICY);
            is_new = true;
        } else {
            m->config = &config->manuals[i];
            m->name = m->config->name;
        }
        if (m == NULL) {
            log_line(g->log, LOG_LEVEL_ERROR, config->manuals[i].name, "no memory for it");
            continue;
        }
        list[g->manual_count++] = m;
        if (is_new) {
            routes_of(m, routes_hold);
            start(m, now_ms);
        } else if (m->trouble != NULL) {
            /* What was wrong with a key may have been put right. */
            start(m, now_ms);
        }
    }
    return true;
}

const char *manual_name_of_policy(const struct gateway *g, uint32_t policy_id)
{
    for (size_t i = 0; i < g->manual_count; i++) {
        if (g->manuals[i]->policy_id == policy_id) {
            return g->manuals[i]->name;
        }
    }
    return "";
}

uint32_t manual_policy_id(const struct manual *m)
{
    return m->policy_id;
}

void manual_free_all(struct gateway *g)
{
    for (size_t i = 0; i < g->manual_count; i++) {
        manual_free(g->manuals[i]);
    }
    free(g->manuals);
    g->manuals = NULL;
    g->manual_count = 0;
}

size_t manual_policies(const struct gateway *g, struct policy *out)
{
    size_t count = 0;

    for (size_t i = 0; i < g->manual_count; i++) {
        const struct manual *m = g->manuals[i];

        if (!m->config->enabled) {
            continue;
        }
        out[count++] = (struct policy){
            .id = m->policy_id,
            .verdict = POLICY_PROTECT,
            .local = m->selectors.list,
            .local_count = m->selectors.local_count,
            .remote = m->selectors.list + m->selectors.local_count,
            .remote_count = m->selectors.remote_count,
            .mss_clamp = m->config->mss,
            .inner_mtu = m->config->mtu,
            .relays_icmp = policies_relay_icmp(g),
        };
    }
    return count;
}

struct question **manual_questions(struct manual *m)
{
    return &m->questions;
}

/* ---- orders ---- */

struct manual *manual_find(const struct gateway *g, const char *name)
{
    return find(g, name);
}

void manual_order(struct manual *m, bool up, uint64_t now_ms)
{
    m->ordered_down = !up;
    if (m->installed_count > 0) {
        uninstall(m);
    }
    start(m, now_ms);
}

/* ---- for people ---- */

static enum reason manual_reason(const struct manual *m)
{
    if (!m->config->enabled) {
        return REASON_DISABLED;
    }
    if (m->ordered_down) {
        return REASON_DOWN_BY_ORDER;
    }
    if (m->trouble != NULL) {
        return REASON_MANUAL_KEYS;
    }
    return m->installed_count > 0 ? REASON_NONE : REASON_STARTING;
}

enum status_state manual_state(const struct manual *m)
{
    if (m->installed_count > 0) {
        return STATUS_UP;
    }
    if (!m->config->enabled || m->ordered_down) {
        return STATUS_WAITING;
    }
    return m->trouble != NULL ? STATUS_DOWN : STATUS_CONNECTING;
}

void manual_traffic(const struct manual *m, uint64_t sum[4])
{
    struct sa_counters c;

    sum[0] += m->in_bytes;
    sum[1] += m->in_packets;
    sum[2] += m->out_bytes;
    sum[3] += m->out_packets;
    if (m->installed_count > 0 &&
        dataplane_sa_counters(m->gateway->dataplane, m->installed[0], &c)) {
        sum[0] += c.in_bytes;
        sum[1] += c.in_packets;
        sum[2] += c.out_bytes;
        sum[3] += c.out_packets;
    }
}

void manual_words(const struct manual *m, char peer[ENDPOINT_TEXT_BYTES], struct reason_words *out)
{
    *out = (struct reason_words){
        .site = m->name,
        .peer = address_format(&m->config->peer, peer),
        .detail = m->trouble,
    };
}

void manual_status(const struct manual *m, struct status_site *out)
{
    enum reason reason = manual_reason(m);
    char peer[ENDPOINT_TEXT_BYTES];
    struct reason_words words;
    struct sa_counters c;
    uint64_t sum[4] = {0};

    manual_traffic(m, sum);
    *out = (struct status_site){
        .name = m->name,
        .state = manual_state(m),
        .manual = true,
        .since_ms = m->since_ms,
        .reason = reason,
        .code = reason == REASON_NONE ? "" : reason_code(reason),
        .next_try_ms = NEVER_MS,
        .peer = {m->config->peer, m->config->peer_port},
        .legacy = true,
        .child_count = m->installed_count > 0 ? 1 : 0,
        .in_bytes = sum[0],
        .in_packets = sum[1],
        .out_bytes = sum[2],
        .out_packets = sum[3],
    };
    if (reason != REASON_NONE) {
        struct text sentence = text_over(out->sentence, sizeof(out->sentence));

        manual_words(m, peer, &words);
        reason_sentence(reason, &words, &sentence);
    }
    for (size_t i = 0; i < m->installed_count; i++) {
        if (dataplane_sa_counters(m->gateway->dataplane, m->installed[i], &c)) {
            out->replayed += c.replayed;
            out->forged += c.forged;
            out->selector_mismatch += c.selector_mismatch;
            out->last_in_ms = c.last_in_ms > out->last_in_ms ? c.last_in_ms : out->last_in_ms;
            out->last_out_ms = c.last_out_ms > out->last_out_ms ? c.last_out_ms : out->last_out_ms;
        }
    }
}

static struct suite suite_of(const struct config_static_sa *sa, bool esn)
{
    return (struct suite){.encryption = sa->encryption,
                          .key_bits = sa->key_bits,
                          .integrity = sa->integrity,
                          .esn = esn};
}

static void suites_title(const struct manual *m, struct status_child *out)
{
    const struct config_manual *c = m->config;
    struct suite esp = suite_of(&c->esp, c->esn);
    struct suite ah = suite_of(&c->ah, c->esn);

    bundle_title(c->ah.present ? &ah : NULL, c->esp.present ? &esp : NULL, out);
}

bool manual_child(const struct manual *m, struct status_child *out)
{
    const struct config_manual *c = m->config;
    const struct config_static_sa *inside = c->esp.present ? &c->esp : &c->ah;

    if (m->installed_count == 0) {
        return false;
    }
    *out = (struct status_child){
        .name = m->name,
        .origin = STATUS_ORIGIN_MANUAL,
        .protocol = c->esp.present && c->ah.present ? STATUS_AH_AND_ESP
                    : c->ah.present                 ? STATUS_AH
                                                    : STATUS_ESP,
        .in_use = true,
        .since_ms = m->since_ms,
        .spi_in = inside->spi_in,
        .spi_out = inside->spi_out,
        .outer_spi_in = m->installed_count > 1 ? c->ah.spi_in : 0,
        .outer_spi_out = m->installed_count > 1 ? c->ah.spi_out : 0,
        .encapsulated = c->local_port != 0,
        .transport_mode = is_transport(c),
        .local = {c->local, c->local_port},
        .peer = {c->peer, c->peer_port},
        .replay_window = c->replay_window,
        .compress = c->carriage.compress,
        .tfc_bytes = c->carriage.tfc_bytes,
        .tfc_dummy_ms = c->carriage.tfc_dummy_ms,
        .rekey_ms = NEVER_MS,
    };
    suites_title(m, out);
    out->local_count =
        status_copy_selectors(m->selectors.list, m->selectors.local_count, out->local_selectors);
    out->remote_count = status_copy_selectors(m->selectors.list + m->selectors.local_count,
                                              m->selectors.remote_count, out->remote_selectors);
    bundle_measure(m->gateway->dataplane, out);
    out->mtu_source = dataplane_learnt_mtu(m->gateway->dataplane, &c->local, &c->peer) != 0
                          ? STATUS_MTU_ICMP
                          : STATUS_MTU_LINK;
    return true;
}
