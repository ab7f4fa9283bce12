/*
 * Settings that a gateway gives to a client (draft-dukes-ike-mode-cfg-02, with the attributes of
 * Cisco Unity): decides who asks whom and when, what a question is answered with, and what of an
 * answer is taken. Which settings a client gets is a question to the gateway.
 */
#include <assert.h>
#include <string.h>

#include "proto/ikev1/machine.h"

#define VERSION "Sekisho"
/* What the networks of both lists need, in the longest form. */
#define ROOM_BYTES (2 * IKEV1_SETTINGS_NETWORKS_MAX * 17 + 256)

/* ---- gateway: what is given ---- */

#define OTHERS_MAX 24 /* attributes beside networks */

static const uint16_t given[] = {
    IKEV1_INTERNAL_IP4_ADDRESS,
    IKEV1_INTERNAL_IP4_NETMASK,
    IKEV1_INTERNAL_IP4_DNS,
    IKEV1_INTERNAL_IP4_NBNS,
    IKEV1_INTERNAL_IP4_DHCP,
    IKEV1_INTERNAL_ADDRESS_EXPIRY,
    IKEV1_INTERNAL_IP6_ADDRESS,
    IKEV1_INTERNAL_IP6_DNS,
    IKEV1_INTERNAL_IP6_NBNS,
    IKEV1_INTERNAL_IP6_DHCP,
    IKEV1_INTERNAL_IP4_SUBNET,
    IKEV1_INTERNAL_IP6_SUBNET,
    IKEV1_UNITY_BANNER,
    IKEV1_UNITY_SAVE_PASSWORD,
    IKEV1_UNITY_DEFAULT_DOMAIN,
    IKEV1_UNITY_SPLIT_DNS,
    IKEV1_UNITY_SPLIT_INCLUDE,
    IKEV1_UNITY_LOCAL_LAN,
    IKEV1_UNITY_PFS,
};

struct giving {
    const struct ikev1_settings *settings;
    struct ikev1_cfg_payload cfg;
    struct writer room; /* of what values borrow */
    uint8_t octets[ROOM_BYTES];
};

static void giving_start(struct giving *g, const struct ikev1_settings *settings)
{
    g->settings = settings;
    g->cfg.count = 0;
    g->room = writer_over(g->octets, sizeof(g->octets));
}

static struct slice octets_of(const struct address *address)
{
    return (struct slice){address->bytes, address_bytes((enum family)address->family)};
}

static void give_addresses(struct giving *g, uint16_t type, enum family family,
                           const struct address *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].family == family) {
            ikev1_cfg_add(&g->cfg, type, octets_of(&list[i]));
        }
    }
}

/* What was written since `from`. */
static struct slice written_since(const struct giving *g, size_t from)
{
    return (struct slice){g->octets + from, g->room.length - from};
}

/* Each is an attribute of its own. A part of them would be taken for all of them; without any, all
 * traffic comes through the tunnel, and what is too much of it is dropped here. */
static void give_subnets(struct giving *g, uint16_t type, enum family family)
{
    if (g->settings->include_count > IKEV1_CFG_ATTRIBUTES_MAX - OTHERS_MAX) {
        return;
    }
    for (size_t i = 0; i < g->settings->include_count; i++) {
        size_t from = g->room.length;

        if (g->settings->include[i].address.family == family) {
            ikev1_write_cfg_subnet(&g->room, &g->settings->include[i]);
            ikev1_cfg_add(&g->cfg, type, written_since(g, from));
        }
    }
}

/* All in one attribute; Unity knows no IPv6. */
static void give_split(struct giving *g, uint16_t type, const struct network *list, size_t count)
{
    size_t from = g->room.length;

    for (size_t i = 0; i < count; i++) {
        if (list[i].address.family == FAMILY_IPV4) {
            ikev1_write_split_network(&g->room, &list[i]);
        }
    }
    if (g->room.length > from) {
        ikev1_cfg_add(&g->cfg, type, written_since(g, from));
    }
}

static void give_text(struct giving *g, uint16_t type, const char *words)
{
    if (words[0] != '\0') {
        ikev1_cfg_add(&g->cfg, type, slice_of_text(words));
    }
}

static void give_number(struct giving *g, uint16_t type, uint32_t number)
{
    size_t from = g->room.length;

    write_u32(&g->room, number);
    ikev1_cfg_add(&g->cfg, type, written_since(g, from));
}

static void give_supported(struct giving *g)
{
    size_t from = g->room.length;

    for (size_t i = 0; i < ARRAY_LENGTH(given); i++) {
        write_u16(&g->room, given[i]);
    }
    write_u16(&g->room, IKEV1_APPLICATION_VERSION);
    ikev1_cfg_add(&g->cfg, IKEV1_SUPPORTED_ATTRIBUTES, written_since(g, from));
}

static void give_unity(struct giving *g, uint16_t type)
{
    const struct ikev1_settings *s = g->settings;

    switch (type) {
    case IKEV1_UNITY_BANNER:
        give_text(g, type, s->banner);
        return;
    case IKEV1_UNITY_SAVE_PASSWORD:
        ikev1_cfg_add_short(&g->cfg, type, s->save_password ? 1 : 0);
        return;
    case IKEV1_UNITY_DEFAULT_DOMAIN:
        give_text(g, type, s->domain);
        return;
    case IKEV1_UNITY_SPLIT_DNS:
        give_text(g, type, s->split_dns);
        return;
    case IKEV1_UNITY_SPLIT_INCLUDE:
        give_split(g, type, s->include, s->include_count);
        return;
    case IKEV1_UNITY_LOCAL_LAN:
        give_split(g, type, s->exclude, s->exclude_count);
        return;
    case IKEV1_UNITY_PFS:
        if (s->pfs_group != 0) {
            ikev1_cfg_add_short(&g->cfg, type, s->pfs_group);
        }
        return;
    default:
        return;
    }
}

/* What we do not have is not there (draft-dukes-ike-mode-cfg-02 2, 3.4). */
static void give(struct giving *g, uint16_t type)
{
    const struct ikev1_settings *s = g->settings;

    switch (type) {
    case IKEV1_INTERNAL_IP4_ADDRESS:
        give_addresses(g, type, FAMILY_IPV4, &s->ipv4, 1);
        return;
    case IKEV1_INTERNAL_IP4_NETMASK:
        give_addresses(g, type, FAMILY_IPV4, &s->ipv4_netmask, 1);
        return;
    case IKEV1_INTERNAL_IP6_ADDRESS:
        give_addresses(g, type, FAMILY_IPV6, &s->ipv6, 1);
        return;
    case IKEV1_INTERNAL_IP4_DNS:
        give_addresses(g, type, FAMILY_IPV4, s->dns, s->dns_count);
        return;
    case IKEV1_INTERNAL_IP6_DNS:
        give_addresses(g, type, FAMILY_IPV6, s->dns, s->dns_count);
        return;
    case IKEV1_INTERNAL_IP4_NBNS:
        give_addresses(g, type, FAMILY_IPV4, s->wins, s->wins_count);
        return;
    case IKEV1_INTERNAL_IP6_NBNS:
        give_addresses(g, type, FAMILY_IPV6, s->wins, s->wins_count);
        return;
    case IKEV1_INTERNAL_IP4_DHCP:
        give_addresses(g, type, FAMILY_IPV4, s->dhcp, s->dhcp_count);
        return;
    case IKEV1_INTERNAL_IP6_DHCP:
        give_addresses(g, type, FAMILY_IPV6, s->dhcp, s->dhcp_count);
        return;
    case IKEV1_INTERNAL_ADDRESS_EXPIRY:
        if (s->lifetime_s != 0) {
            give_number(g, type, s->lifetime_s);
        }
        return;
    case IKEV1_INTERNAL_IP4_SUBNET:
        give_subnets(g, type, FAMILY_IPV4);
        return;
    case IKEV1_INTERNAL_IP6_SUBNET:
        give_subnets(g, type, FAMILY_IPV6);
        return;
    case IKEV1_APPLICATION_VERSION:
        give_text(g, type, VERSION);
        return;
    case IKEV1_SUPPORTED_ATTRIBUTES:
        give_supported(g);
        return;
    default:
        give_unity(g, type);
        return;
    }
}

static void reply(struct ikev1_turn *t, struct ikev1_ike *ike,
                  struct ikev1_transaction *transaction, const struct ikev1_settings *settings)
{
    struct giving g NOT_ZEROED;

    giving_start(&g, settings);
    for (size_t i = 0; i < transaction->attribute_count; i++) {
        give(&g, transaction->attributes[i]);
    }
    ikev1_transaction_answer(t, ike, transaction, &g.cfg);
}

static void push(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_settings *settings)
{
    struct giving g NOT_ZEROED;

    giving_start(&g, settings);
    g.cfg.type = IKEV1_CFG_SET;
    g.cfg.identifier = (uint16_t)random_below(t->sa->random, UINT16_MAX);
    for (size_t i = 0; i < ARRAY_LENGTH(given); i++) {
        /* Who does not know Cisco's names gets none of them, and who does has the networks there.
         */
        if (ike->transactions->unity ? given[i] != IKEV1_INTERNAL_IP4_SUBNET
                                     : given[i] < IKEV1_UNITY_BANNER) {
            give(&g, given[i]);
        }
    }
    if (!ikev1_transaction_begin(t, ike, IKEV1_ABOUT_SETTINGS, &g.cfg)) {
        ikev1_settings_failed(t, "a message could not be made");
    }
}

/* ---- gateway: the question ---- */

static unsigned wanted_of(uint16_t type)
{
    switch (type) {
    case IKEV1_INTERNAL_IP4_ADDRESS:
        return IKEV1_SETTING_IPV4;
    case IKEV1_INTERNAL_IP6_ADDRESS:
        return IKEV1_SETTING_IPV6;
    case IKEV1_INTERNAL_IP4_DNS:
    case IKEV1_INTERNAL_IP6_DNS:
        return IKEV1_SETTING_DNS;
    case IKEV1_INTERNAL_IP4_NBNS:
    case IKEV1_INTERNAL_IP6_NBNS:
        return IKEV1_SETTING_WINS;
    case IKEV1_UNITY_DEFAULT_DOMAIN:
        return IKEV1_SETTING_DOMAIN;
    case IKEV1_UNITY_SPLIT_DNS:
        return IKEV1_SETTING_SPLIT_DNS;
    case IKEV1_INTERNAL_IP4_SUBNET:
    case IKEV1_INTERNAL_IP6_SUBNET:
    case IKEV1_UNITY_SPLIT_INCLUDE:
        return IKEV1_SETTING_INCLUDE;
    case IKEV1_UNITY_BANNER:
        return IKEV1_SETTING_BANNER;
    default:
        return 0;
    }
}

static void ask_pushed(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_SETTINGS);

    ike->transactions->ask_settings = ikev1_question(t->sa);
    action->settings.id = ike->transactions->ask_settings;
    action->settings.wanted = UINT32_MAX;
    action->settings.pushed = true;
}

/* Each kind once, in his order: of most there may be several in the answer. */
static void keep_attributes(struct ikev1_transaction *transaction,
                            const struct ikev1_cfg_payload *cfg)
{
    transaction->attribute_count = 0;
    for (size_t i = 0; i < cfg->count; i++) {
        bool known = false;

        for (size_t k = 0; k < transaction->attribute_count; k++) {
            known |= transaction->attributes[k] == cfg->attributes[i].type;
        }
        if (!known) {
            transaction->attributes[transaction->attribute_count++] = cfg->attributes[i].type;
        }
    }
}

/* 0.0.0.0 is as much as nothing (draft-dukes-ike-mode-cfg-02 5.1). */
static void take_wish(const struct ikev1_attribute *attribute, struct address *out)
{
    struct address address;

    if (ikev1_cfg_address(attribute, &address) && !address_is_any(&address)) {
        *out = address;
    }
}

static void ask_wanted(struct ikev1_turn *t, struct ikev1_transaction *transaction,
                       const struct ikev1_cfg_payload *cfg)
{
    struct ikev1_action *action = ikev1_act(t, IKEV1_ASK_SETTINGS);
    struct text version = text_over(action->settings.version, sizeof(action->settings.version));

    transaction->ask = ikev1_question(t->sa);
    action->settings.id = transaction->ask;
    for (size_t i = 0; i < cfg->count; i++) {
        const struct ikev1_attribute *a = &cfg->attributes[i];

        action->settings.wanted |= wanted_of(a->type);
        if (a->type == IKEV1_INTERNAL_IP4_ADDRESS) {
            take_wish(a, &action->settings.ipv4);
        } else if (a->type == IKEV1_INTERNAL_IP6_ADDRESS) {
            take_wish(a, &action->settings.ipv6);
        } else if (a->type == IKEV1_APPLICATION_VERSION && !a->is_short) {
            text_add_escaped(&version, a->value);
        }
    }
}

/* He asks himself. */
static void stop_pushing(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_transactions *all = ike->transactions;
    struct ikev1_transaction *pushed = ikev1_transaction_own(ike, IKEV1_ABOUT_SETTINGS);

    if (pushed != NULL) {
        ikev1_transaction_drop(t, ike, pushed);
    }
    all->was_asked = true;
    all->ask_settings = 0;
    all->settings_open = false;
    all->settings_ms = NEVER_MS;
}

static void take_request(struct ikev1_turn *t, struct ikev1_ike *ike,
                         struct ikev1_transaction *transaction, const struct ikev1_cfg_payload *cfg)
{
    enum ikev1_settings_way way = t->sa->policy->settings;
    static const struct ikev1_settings nothing;
    unsigned wanted = 0;

    keep_attributes(transaction, cfg);
    for (size_t i = 0; i < cfg->count; i++) {
        wanted |= wanted_of(cfg->attributes[i].type);
    }
    if (wanted != 0 && (way == IKEV1_SETTINGS_GIVE || way == IKEV1_SETTINGS_PUSH)) {
        stop_pushing(t, ike);
        ask_wanted(t, transaction, cfg);
        return;
    }
    /* There is always a reply (2). */
    reply(t, ike, transaction, &nothing);
}

void ikev1_sa_answer_settings(struct ikev1_sa *sa, uint32_t id,
                              const struct ikev1_settings *settings, uint64_t now_ms,
                              struct ikev1_actions *actions)
{
    struct ikev1_turn t = ikev1_turn_begin(sa, now_ms, actions);
    static const struct ikev1_settings nothing;
    struct ikev1_transaction *transaction = NULL;
    struct ikev1_ike *ike = sa->ikes;
    bool pushed = false;

    while (id != 0 && ike != NULL) {
        pushed = ike->transactions != NULL && ike->transactions->ask_settings == id;
        transaction = ike->transactions != NULL ? ike->transactions->list : NULL;
        while (transaction != NULL &&
               (transaction->ask != id || transaction->about != IKEV1_ABOUT_SETTINGS)) {
            transaction = transaction->next;
        }
        if (pushed || transaction != NULL) {
            break;
        }
        ike = ike->next;
    }
    if (id == 0 || ike == NULL) {
        return;
    }
    if (transaction != NULL) {
        reply(&t, ike, transaction, settings != NULL ? settings : &nothing);
    } else if (settings != NULL) {
        ike->transactions->ask_settings = 0;
        push(&t, ike, settings);
    }
    if (settings == NULL) {
        ikev1_settings_failed(&t, "there is nothing for this client");
    }
    ikev1_turn_finish(&t);
}

/* ---- client ---- */

static void ask_gateway(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    static const uint16_t plain[] = {IKEV1_INTERNAL_IP4_SUBNET, IKEV1_INTERNAL_IP6_SUBNET};
    static const uint16_t unity[] = {
        IKEV1_UNITY_BANNER,    IKEV1_UNITY_SAVE_PASSWORD, IKEV1_UNITY_DEFAULT_DOMAIN,
        IKEV1_UNITY_SPLIT_DNS, IKEV1_UNITY_SPLIT_INCLUDE, IKEV1_UNITY_LOCAL_LAN,
        IKEV1_UNITY_PFS,
    };
    static const uint16_t always[] = {
        IKEV1_INTERNAL_IP4_NETMASK,    IKEV1_INTERNAL_IP4_DNS, IKEV1_INTERNAL_IP4_NBNS,
        IKEV1_INTERNAL_ADDRESS_EXPIRY, IKEV1_INTERNAL_IP6_DNS,
    };
    const struct ikev1_policy *policy = t->sa->policy;
    bool has_unity = ike->transactions->unity;
    const struct slice empty = {NULL, 0};
    struct ikev1_cfg_payload cfg = {
        .type = IKEV1_CFG_REQUEST,
        .identifier = (uint16_t)random_below(t->sa->random, UINT16_MAX),
    };

    ikev1_cfg_add(&cfg, IKEV1_INTERNAL_IP4_ADDRESS, octets_of(&policy->wish_ipv4));
    ikev1_cfg_add(&cfg, IKEV1_INTERNAL_IP6_ADDRESS, octets_of(&policy->wish_ipv6));
    for (size_t i = 0; i < ARRAY_LENGTH(always); i++) {
        ikev1_cfg_add(&cfg, always[i], empty);
    }
    for (size_t i = 0; i < (has_unity ? ARRAY_LENGTH(unity) : ARRAY_LENGTH(plain)); i++) {
        ikev1_cfg_add(&cfg, has_unity ? unity[i] : plain[i], empty);
    }
    if (!ikev1_transaction_begin(t, ike, IKEV1_ABOUT_SETTINGS, &cfg)) {
        ikev1_settings_failed(t, "a message could not be made");
    }
}

static void take_address(const struct ikev1_attribute *attribute, enum family family,
                         struct address *out)
{
    struct address address;

    if (out->family == FAMILY_NONE && ikev1_cfg_address(attribute, &address) &&
        address.family == family && !address_is_any(&address)) {
        *out = address;
    }
}

static void take_server(const struct ikev1_attribute *attribute, struct address *list,
                        size_t *count)
{
    struct address address;

    if (*count < IKEV1_SETTINGS_SERVERS_MAX && ikev1_cfg_address(attribute, &address) &&
        !address_is_any(&address)) {
        list[(*count)++] = address;
    }
}

static void take_network(const struct network *network, struct network *list, size_t *count)
{
    if (*count < IKEV1_SETTINGS_NETWORKS_MAX) {
        list[(*count)++] = *network;
    }
}

static void take_split(const struct ikev1_attribute *attribute, struct network *list, size_t *count)
{
    struct reader r = reader_over(attribute->value);
    struct network network;

    while (!attribute->is_short && ikev1_read_split_network(&r, &network)) {
        take_network(&network, list, count);
    }
}

static void take_text(const struct ikev1_attribute *attribute, char *out, size_t capacity)
{
    struct text text = text_over(out, capacity);

    if (!attribute->is_short) {
        text_add_escaped(&text, attribute->value);
    }
}

/* More domains, in one attribute or several. */
static void take_domains(const struct ikev1_attribute *attribute, struct ikev1_settings *out)
{
    char more[IKEV1_SETTINGS_NAMES_BYTES];
    size_t used = strlen(out->split_dns);
    struct text all = text_over(out->split_dns + used, sizeof(out->split_dns) - used);

    take_text(attribute, more, sizeof(more));
    if (more[0] != '\0' && used + strlen(more) + 2 <= sizeof(out->split_dns)) {
        text_addf(&all, "%s%s", used > 0 ? "," : "", more);
    }
}

/* Its lines stay lines. */
static void take_banner(const struct ikev1_attribute *attribute, struct ikev1_settings *out)
{
    struct text text = text_over(out->banner, sizeof(out->banner));
    struct slice value = attribute->value;

    for (size_t i = 0; !attribute->is_short && i < value.length; i++) {
        if (value.data[i] == '\n') {
            text_add(&text, "\n");
        } else if (value.data[i] != '\r') {
            text_add_escaped(&text, (struct slice){value.data + i, 1});
        }
    }
}

static bool take_unity(const struct ikev1_attribute *a, struct ikev1_settings *out)
{
    switch (a->type) {
    case IKEV1_UNITY_BANNER:
        take_banner(a, out);
        return true;
    case IKEV1_UNITY_SAVE_PASSWORD:
        out->save_password = a->number != 0;
        return true;
    case IKEV1_UNITY_DEFAULT_DOMAIN:
        take_text(a, out->domain, sizeof(out->domain));
        return true;
    case IKEV1_UNITY_SPLIT_DNS:
        take_domains(a, out);
        return true;
    case IKEV1_UNITY_SPLIT_INCLUDE:
        take_split(a, out->include, &out->include_count);
        return true;
    case IKEV1_UNITY_LOCAL_LAN:
        take_split(a, out->exclude, &out->exclude_count);
        return true;
    case IKEV1_UNITY_PFS:
        out->pfs_group = a->number <= UINT16_MAX ? (uint16_t)a->number : 0;
        return true;
    default:
        return false;
    }
}

/* False: we do not know it. */
static bool take_one(const struct ikev1_attribute *a, struct ikev1_settings *out)
{
    struct network network;

    switch (a->type) {
    case IKEV1_INTERNAL_IP4_ADDRESS:
        take_address(a, FAMILY_IPV4, &out->ipv4);
        return true;
    case IKEV1_INTERNAL_IP4_NETMASK:
        take_address(a, FAMILY_IPV4, &out->ipv4_netmask);
        return true;
    case IKEV1_INTERNAL_IP6_ADDRESS:
        take_address(a, FAMILY_IPV6, &out->ipv6);
        return true;
    case IKEV1_INTERNAL_IP4_DNS:
    case IKEV1_INTERNAL_IP6_DNS:
        take_server(a, out->dns, &out->dns_count);
        return true;
    case IKEV1_INTERNAL_IP4_NBNS:
    case IKEV1_INTERNAL_IP6_NBNS:
        take_server(a, out->wins, &out->wins_count);
        return true;
    case IKEV1_INTERNAL_IP4_DHCP:
    case IKEV1_INTERNAL_IP6_DHCP:
        take_server(a, out->dhcp, &out->dhcp_count);
        return true;
    case IKEV1_INTERNAL_ADDRESS_EXPIRY:
        out->lifetime_s = a->number <= UINT32_MAX ? (uint32_t)a->number : 0;
        return true;
    case IKEV1_INTERNAL_IP4_SUBNET:
    case IKEV1_INTERNAL_IP6_SUBNET:
        if (ikev1_cfg_subnet(a, &network)) {
            take_network(&network, out->include, &out->include_count);
        }
        return true;
    case IKEV1_APPLICATION_VERSION:
        take_text(a, out->version, sizeof(out->version));
        return true;
    default:
        return take_unity(a, out);
    }
}

/* NULL: no memory. In `accepted` what we know, without values. */
static struct ikev1_settings *read_settings(struct ikev1_turn *t,
                                            const struct ikev1_cfg_payload *cfg,
                                            struct ikev1_cfg_payload *accepted)
{
    struct ikev1_settings *out = ikev1_turn_memory(t->sa, sizeof(*out));

    for (size_t i = 0; out != NULL && i < cfg->count; i++) {
        if (take_one(&cfg->attributes[i], out)) {
            ikev1_cfg_add(accepted, cfg->attributes[i].type, (struct slice){NULL, 0});
        }
    }
    return out;
}

static void tell(struct ikev1_turn *t, struct ikev1_ike *ike, const struct ikev1_settings *settings)
{
    ike->transactions->settings_open = false;
    ike->transactions->settings_ms = NEVER_MS;
    ikev1_act(t, IKEV1_TELL_SETTINGS)->settings_told = settings;
}

static bool has_address(const struct ikev1_settings *settings)
{
    return settings->ipv4.family != FAMILY_NONE || settings->ipv6.family != FAMILY_NONE;
}

static void take_set(struct ikev1_turn *t, struct ikev1_ike *ike,
                     struct ikev1_transaction *transaction, const struct ikev1_cfg_payload *cfg)
{
    enum ikev1_settings_way way = t->sa->policy->settings;
    struct ikev1_cfg_payload accepted = {0};
    struct ikev1_settings *settings = NULL;

    if (way == IKEV1_SETTINGS_ASK || way == IKEV1_SETTINGS_TAKE) {
        settings = read_settings(t, cfg, &accepted);
    }
    /* Before there is an address nothing else is of use. */
    if (settings != NULL && ike->transactions->settings_open && !has_address(settings)) {
        settings = NULL;
        accepted.count = 0;
    }
    ikev1_transaction_answer(t, ike, transaction, &accepted);
    if (settings != NULL) {
        tell(t, ike, settings);
    }
}

void ikev1_settings_asked(struct ikev1_turn *t, struct ikev1_ike *ike,
                          struct ikev1_transaction *transaction,
                          const struct ikev1_cfg_payload *cfg)
{
    if (transaction->type == IKEV1_CFG_REQUEST) {
        take_request(t, ike, transaction, cfg);
    } else {
        take_set(t, ike, transaction, cfg);
    }
}

void ikev1_settings_answered(struct ikev1_turn *t, struct ikev1_ike *ike,
                             const struct ikev1_cfg_payload *cfg)
{
    struct ikev1_cfg_payload accepted = {0};

    if (cfg->type == IKEV1_CFG_ACK) {
        ike->transactions->settings_open = false;
        ike->transactions->settings_ms = NEVER_MS;
        return;
    }
    const struct ikev1_settings *settings = read_settings(t, cfg, &accepted);

    if (settings == NULL) {
        ikev1_settings_failed(t, "no memory");
    } else if (!has_address(settings)) {
        ikev1_settings_failed(t, "the gateway gives no address");
    } else {
        tell(t, ike, settings);
    }
}

/* ---- when ---- */

void ikev1_settings_begin(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    struct ikev1_transactions *all = ike->transactions;

    if (all == NULL) {
        return;
    }
    all->settings_open = true;
    all->settings_ms = ikev1_after(t->now_ms, IKEV1_SETTINGS_MS);
    switch (t->sa->policy->settings) {
    case IKEV1_SETTINGS_ASK:
        ask_gateway(t, ike);
        return;
    case IKEV1_SETTINGS_PUSH:
    case IKEV1_SETTINGS_TAKE:
        if (!all->renewed && !all->was_asked) {
            if (t->sa->policy->settings == IKEV1_SETTINGS_PUSH) {
                ask_pushed(t, ike);
            }
            return;
        }
        break;
    case IKEV1_SETTINGS_NONE:
    case IKEV1_SETTINGS_GIVE:
        break;
    }
    all->settings_open = false;
    all->settings_ms = NEVER_MS;
}

void ikev1_settings_again(struct ikev1_turn *t, struct ikev1_ike *ike)
{
    if (ike->transactions != NULL && ike->transactions->ask_settings != 0) {
        ask_pushed(t, ike);
    }
}

bool ikev1_settings_are_open(const struct ikev1_sa *sa)
{
    return sa->current != NULL && sa->current->transactions != NULL &&
           sa->current->transactions->settings_open;
}

void ikev1_settings_failed(struct ikev1_turn *t, const char *detail)
{
    struct ikev1_failure failure;

    ikev1_failure_set(&failure, IKEV1_FAIL_SETTINGS, IKEV1_TRANSACTION, 0, detail);
    ikev1_over_with_delete(t, &failure);
}
