/*
 * A site whose peer is a gateway for people: what it asks us, and what it gives us. The address is
 * our device's from then on, the networks are what goes through the tunnel, and both stay through
 * breaks of the tunnel until the site goes down by order: so nothing leaves in clear meanwhile.
 */
#include "gateway/people.h"

#include <stdlib.h>
#include <string.h>

/* ---- a login ---- */

static bool ask_password(struct ike *ike)
{
    struct gateway *g = ike->gateway;
    struct person *person = ike->old->person;
    const struct config_caller *caller = ike->site->config->caller;
    uint64_t id = questions_ask(g, QUESTION_PASSWORD, NULL, ike, person->credentials_id);
    struct gateway_action *action = id == 0 ? NULL : actions_add(g, GATEWAY_READ_SECRET);

    if (action == NULL) {
        return false;
    }
    action->secret.question = id;
    actions_copy_words(action->secret.name, sizeof(action->secret.name), caller->password.name);
    person->wants_password = true;
    return true;
}

static void say_nothing(struct ike *ike, uint64_t now_ms)
{
    struct person *person = ike->old->person;

    person->wants_credentials = false;
    machine_answer_credentials(ike, person->credentials_id, NULL, now_ms);
}

bool caller_answer(struct ike *ike, uint64_t now_ms)
{
    static const unsigned known = IKEV1_CREDENTIAL_USER | IKEV1_CREDENTIAL_PASSWORD;
    struct person *person = ike->old->person;
    const struct config_caller *caller = ike->site == NULL ? NULL : ike->site->config->caller;

    /* What was said once and did not do will not do now, and what nobody wrote down cannot be said:
     * a new PIN, the code of a card. */
    if (caller == NULL || caller->user == NULL || (person->wanted & ~known) != 0 ||
        (person->wanted & person->said & IKEV1_CREDENTIAL_PASSWORD) != 0) {
        say_nothing(ike, now_ms);
        return true;
    }
    if ((person->wanted & IKEV1_CREDENTIAL_PASSWORD) != 0 && person->password.length == 0) {
        if (ask_password(ike)) {
            return false;
        }
        say_nothing(ike, now_ms);
        return true;
    }
    const struct ikev1_credentials said = {
        .user = slice_of_text(caller->user),
        .password = secret_slice(&person->password),
    };

    person->wants_credentials = false;
    person->said |= person->wanted;
    machine_answer_credentials(ike, person->credentials_id, &said, now_ms);
    secret_wipe(&person->password);
    return true;
}

void caller_password(struct ike *ike, uint32_t question, const struct secret *secret,
                     const char *why, uint64_t now_ms)
{
    struct person *person = ike->old->person;

    if (person == NULL || !person->wants_password || person->credentials_id != question) {
        return;
    }
    person->wants_password = false;
    if (secret == NULL || secret->length == 0 || !secret_copy(&person->password, secret)) {
        if (ike->site != NULL) {
            site_trouble(ike->site, REASON_NO_SECRET, NULL, why, now_ms);
        }
        person->said |= IKEV1_CREDENTIAL_PASSWORD; /* it cannot be said */
    }
    ike_order(ike, IKE_ORDER_PERSON);
}

/* ---- what is given ---- */

static struct given *given_of(const struct site *site)
{
    struct given *given = site->gateway->people == NULL ? NULL : site->gateway->people->given;

    while (given != NULL && given->site != site) {
        given = given->next;
    }
    return given;
}

bool caller_asks(const struct config_site *config)
{
    return config->caller != NULL && config->caller->asks_address;
}

bool caller_believes(const struct config_site *config)
{
    return config->caller != NULL && config->caller->hybrid;
}

bool caller_make_selectors(const struct site *site, struct selectors *out)
{
    const struct given *given = given_of(site);
    size_t count = given == NULL ? 0 : given->network_count;

    *out = (struct selectors){
        .list = calloc(count + 1, sizeof(struct selector)),
        .local_count = count > 0 ? 1 : 0,
        .remote_count = count,
        .parts = count > 0 ? 1 : 0,
    };
    if (out->list == NULL) {
        return false;
    }
    if (count > 0) {
        const struct network ours = {given->address, 32};

        out->list[0] = selector_of_network(&ours);
    }
    for (size_t i = 0; i < count; i++) {
        out->list[1 + i] = selector_of_network(&given->networks[i]);
    }
    return true;
}

static void tell_address(struct gateway *g, enum gateway_action_kind kind,
                         const struct address *address)
{
    struct gateway_action *action = actions_add(g, kind);

    if (action != NULL) {
        action->address = *address;
    }
}

/* With `replaces` those that stand go over to the address that is given now. */
static void hold_routes(struct given *given, bool replaces)
{
    given->held = given->site->config->routes;
    for (size_t i = 0; given->held && i < given->network_count; i++) {
        struct gateway_route to = routes_to(&given->networks[i]);

        to.local = given->address;
        to.replaces = replaces;
        routes_hold(given->site->gateway, &to);
    }
}

/* Those that were held, whatever the configuration says by now. */
static void release_routes(struct given *given)
{
    bool held = given->held;

    given->held = false; /* nobody is to take its address for theirs */
    for (size_t i = 0; held && i < given->network_count; i++) {
        struct gateway_route to = routes_to(&given->networks[i]);

        to.local = given->address;
        routes_release(given->site->gateway, &to);
    }
}

void caller_routes_configured(struct site *site)
{
    struct given *given = given_of(site);

    if (given == NULL || given->held == site->config->routes) {
        return;
    }
    if (given->held) {
        release_routes(given);
    } else {
        hold_routes(given, false);
    }
}

static bool has_network(const struct given *given, const struct network *network)
{
    for (size_t i = 0; given->held && i < given->network_count; i++) {
        if (network_equal(&given->networks[i], network)) {
            return true;
        }
    }
    return false;
}

bool caller_has_route(const struct site *site, const struct network *network)
{
    const struct given *given = given_of(site);

    return given != NULL && has_network(given, network);
}

struct address caller_address_to(const struct gateway *g, const struct network *network,
                                 const struct address *rather)
{
    struct address other = {.family = FAMILY_NONE};

    for (const struct given *given = g->people == NULL ? NULL : g->people->given; given != NULL;
         given = given->next) {
        if (!has_network(given, network)) {
            continue;
        }
        other = given->address;
        if (address_equal(&other, rather)) {
            break;
        }
    }
    return other;
}

/* Of what the gateway says is behind it what the line network has; without that line all. */
static bool fill_networks(const struct site *site, const struct ikev1_settings *settings,
                          struct given *given)
{
    static const struct network everything = {{FAMILY_IPV4, {0}}, 0};
    const struct config_site *c = site->config;
    size_t count = settings->include_count > 0 ? settings->include_count : 1;
    const struct network *list = settings->include_count > 0 ? settings->include : &everything;

    given->networks = calloc(count * (c->network_count + 1), sizeof(struct network));
    if (given->networks == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (list[i].address.family != FAMILY_IPV4) {
            continue; /* the address is one of IPv4 */
        }
        if (c->network_count == 0) {
            given->networks[given->network_count++] = list[i];
        }
        for (size_t j = 0; j < c->network_count; j++) {
            if (network_overlaps(&list[i], &c->networks[j])) {
                given->networks[given->network_count++] =
                    list[i].prefix_bits > c->networks[j].prefix_bits ? list[i] : c->networks[j];
            }
        }
    }
    return true;
}

static struct given *make_given(struct site *site, const struct ikev1_settings *settings)
{
    struct given *given = calloc(1, sizeof(*given));

    if (given == NULL || !fill_networks(site, settings, given)) {
        free(given);
        return NULL;
    }
    given->site = site;
    given->address = settings->ipv4;
    given->words.address = settings->ipv4;
    given->words.dns_count =
        settings->dns_count < STATUS_DNS_MAX ? settings->dns_count : STATUS_DNS_MAX;
    memcpy(given->words.dns, settings->dns, given->words.dns_count * sizeof(settings->dns[0]));
    actions_copy_words(given->words.domain, sizeof(given->words.domain), settings->domain);
    actions_copy_words(given->words.banner, sizeof(given->words.banner), settings->banner);
    return given;
}

static void unlink_given(struct given *given)
{
    struct given **link = &given->site->gateway->people->given;

    while (*link != given) {
        link = &(*link)->next;
    }
    *link = given->next;
    free(given->networks);
    free(given);
}

static bool set_selectors(struct site *site)
{
    struct selectors selectors;

    if (!caller_make_selectors(site, &selectors)) {
        return false;
    }
    policies_free_selectors(&site->selectors);
    site->selectors = selectors;
    site_renew_terms(site);
    site->gateway->policies_stale = true;
    return site->terms != NULL;
}

/* An address that a host can have: the peer could say any. */
static bool is_of_a_host(const struct address *a)
{
    return a->family == FAMILY_IPV4 && !address_is_any(a) && !address_is_loopback(a) &&
           !address_is_multicast(a) && get_u32(a->bytes) != UINT32_MAX;
}

void caller_told(struct ike *ike, const struct ikev1_settings *settings, uint64_t now_ms)
{
    struct site *site = ike->site;
    struct people *p = people_of(ike->gateway);
    struct given *given;
    char address[ADDRESS_TEXT_BYTES];

    if (site == NULL || p == NULL || !caller_asks(site->config) || !is_of_a_host(&settings->ipv4) ||
        (given = make_given(site, settings)) == NULL) {
        return;
    }
    struct given *before = given_of(site);
    bool same = before != NULL && address_equal(&before->address, &given->address);

    /* What is new first, so that no network is without a route in between. The system drops routes
     * with the address from which they are: those that stay have the new one by then. */
    if (!same) {
        tell_address(site->gateway, GATEWAY_ADDRESS_ADD, &given->address);
    }
    hold_routes(given, before != NULL && !same);
    given->next = p->given;
    p->given = given;
    if (before != NULL) {
        release_routes(before);
        if (!same) {
            tell_address(site->gateway, GATEWAY_ADDRESS_REMOVE, &before->address);
        }
        unlink_given(before);
    }
    if (!set_selectors(site)) {
        site_trouble(site, REASON_RESOURCES, NULL, "no memory for its networks", now_ms);
        return;
    }
    if (given->network_count == 0) {
        site_trouble(site, REASON_SELECTORS, &ike->peer,
                     "The gateway has none of the networks behind it that the site names.", now_ms);
    }
    people_renew(ike);
    if (!same) {
        log_line(site->gateway->log, LOG_LEVEL_NOTICE, site->name, "we have the address %s there",
                 address_format(&given->address, address));
    }
    site->child_try_ms = now_ms;
    site_think_later(site);
}

void caller_forget(struct site *site)
{
    struct given *given = given_of(site);

    if (given == NULL) {
        return;
    }
    release_routes(given);
    tell_address(site->gateway, GATEWAY_ADDRESS_REMOVE, &given->address);
    unlink_given(given);
    if (caller_asks(site->config) && !site->gone) {
        (void)!set_selectors(site);
    }
}

bool gateway_given(const struct gateway *g, const char *name, struct status_given *out)
{
    const struct site *site = apply_find(g, name);
    const struct given *given = site == NULL ? NULL : given_of(site);

    if (given != NULL) {
        *out = given->words;
    }
    return given != NULL;
}
