/*
 * Which site a stranger means (RFC 7296 2.15: the identity chooses the key). Sites are found by the
 * value of the identity that they expect, whatever its type, through a hash: ten thousand sites
 * cost no more than one.
 */
#include "gateway/inside.h"

#include <string.h>

/* The value without its type, names without case and final dot. */
static size_t value_of(const struct ike_identity *id, uint8_t out[IKE_IDENTITY_BYTES_MAX])
{
    struct address address = {.family = FAMILY_NONE};
    size_t length = id->length;

    if (id->type == IKEV2_ID_IPV4_ADDR && length == 4) {
        address.family = FAMILY_IPV4;
    } else if (id->type == IKEV2_ID_IPV6_ADDR && length == 16) {
        address.family = FAMILY_IPV6;
    }
    if (address.family != FAMILY_NONE) {
        char text[ADDRESS_TEXT_BYTES];

        memcpy(address.bytes, id->data, length);
        length = strlen(address_format(&address, text));
        memcpy(out, text, length);
        return length;
    }
    for (size_t i = 0; i < length; i++) {
        uint8_t c = id->data[i];

        out[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
    }
    if (length > 1 && out[length - 1] == '.') {
        length--;
    }
    return length;
}

/* An identity may be longer than a key of a table: two keyed hashes stand for it. What is found is
 * compared. */
static struct slice key_of(const struct gateway *g, const struct ike_identity *id, uint8_t key[16])
{
    uint8_t value[IKE_IDENTITY_BYTES_MAX];
    uint8_t other_key[16];
    struct slice bytes = {value, value_of(id, value)};

    for (size_t i = 0; i < sizeof(other_key); i++) {
        other_key[i] = (uint8_t)(g->identity_key[i] ^ 0x5c);
    }
    put_u64(key, siphash24(g->identity_key, bytes));
    put_u64(key + 8, siphash24(other_key, bytes));
    return (struct slice){key, 16};
}

void identities_clear(struct gateway *g)
{
    table_fini(&g->by_identity);
    g->any_identity = NULL;
    g->any_identity_last = NULL;
}

void identities_add(struct gateway *g, struct site *site)
{
    uint32_t up = site->established_count > 0 ? 1 : 0;

    site->next_same_identity = NULL;
    site->same_identity_up = up;
    if (site->expected == NULL) {
        if (g->any_identity_last == NULL) {
            g->any_identity = site;
        } else {
            g->any_identity_last->next_same_identity = site;
            g->any_identity->same_identity_up += up;
        }
        g->any_identity_last = site;
        return;
    }
    uint8_t bytes[16];
    struct slice key = key_of(g, site->expected, bytes);
    struct site *first = table_find(&g->by_identity, key);

    if (first == NULL) {
        if (!table_add(&g->by_identity, key, site)) {
            log_line(g->log, LOG_LEVEL_ERROR, site->name, "no memory for its identity");
        }
        return;
    }
    /* The order of the configuration is kept where it is cheap: behind the first. */
    site->next_same_identity = first->next_same_identity;
    first->next_same_identity = site;
    first->same_identity_up += up;
}

struct site *identities_expecting(const struct gateway *g, const struct ike_identity *id)
{
    uint8_t bytes[16];

    return table_find(&g->by_identity, key_of(g, id, bytes));
}

struct site *identities_of(const struct site *site)
{
    const struct gateway *g = site->gateway;

    if (site->is_session) {
        return NULL; /* nobody finds it by a name */
    }
    return site->expected == NULL ? g->any_identity : identities_expecting(g, site->expected);
}

/* While a configuration is applied, a site may expect another identity than the list that it is
 * still in; when all is applied, the lists are made anew, and their numbers with them. */
bool identities_count_up(struct site *site, bool up)
{
    struct site *first = identities_of(site);

    if (first == NULL || (!up && first->same_identity_up == 0)) {
        return false;
    }
    if (up) {
        return first->same_identity_up++ == 0;
    }
    return --first->same_identity_up == 0;
}

bool identities_is_at(const struct site *site, const struct endpoint *peer)
{
    const struct config_site *c = site->config;

    for (size_t i = 0; i < c->peer_count; i++) {
        if (address_equal(&c->peers[i].address, &peer->address)) {
            return true;
        }
    }
    for (size_t i = 0; i < site->candidate_count; i++) {
        if (address_equal(&site->candidates[i].address, &peer->address)) {
            return true;
        }
    }
    return address_equal(&site->last_peer.address, &peer->address);
}

static bool is_called(const struct site *site, const struct ike_identity *requested)
{
    struct ike_identity ours;
    const char *word =
        site->config->say != NULL ? site->config->say : site->gateway->config->gateway;

    return ike_identity_parse(slice_of_text(word), &ours) &&
           ike_identity_matches(&ours, requested, false);
}

bool identity_is_implied(const struct config_site *config)
{
    return config->identity == NULL && !config->identity_any && config->peer_count > 0 &&
           !config->peers[0].any && !address_is_unset(&config->peers[0].address);
}

/* How well a site fits; 0 not at all. */
static unsigned fitness(const struct site *site, const struct ike_identity *said,
                        const struct ike_identity *requested, const struct endpoint *peer)
{
    unsigned points = 1;

    if (site->config->version == CONFIG_IKE_V1 || site->config->unauthenticated) {
        return 0; /* no name leads there */
    }
    if (site->expected != NULL &&
        !ike_identity_matches(site->expected, said, site->config->strict_identity) &&
        !(identity_is_implied(site->config) && identities_is_at(site, peer))) {
        return 0;
    }
    if (requested->type != 0 && is_called(site, requested)) {
        points += 4;
    }
    if (identities_is_at(site, peer)) {
        points += 2;
    }
    return site_is_enabled(site) ? points + 8 : points;
}

static struct site *best_of(struct site *first, const struct ike_identity *said,
                            const struct ike_identity *requested, const struct endpoint *peer)
{
    struct site *best = NULL;
    unsigned most = 0;

    for (struct site *site = first; site != NULL; site = site->next_same_identity) {
        unsigned points = fitness(site, said, requested, peer);

        if (points > most) {
            best = site;
            most = points;
        }
    }
    return best;
}

struct site *identities_find(const struct gateway *g, const struct ike_identity *said,
                             const struct ike_identity *requested, const struct endpoint *peer)
{
    struct site *site = best_of(identities_expecting(g, said), said, requested, peer);

    if (site == NULL) {
        /* Who is configured by its address alone may have any name, when it calls from there. */
        struct ike_identity by_address;
        size_t length = address_bytes(peer->address.family);

        if (ike_identity_set(&by_address, length == 4 ? IKEV2_ID_IPV4_ADDR : IKEV2_ID_IPV6_ADDR,
                             (struct slice){peer->address.bytes, length})) {
            site = best_of(identities_expecting(g, &by_address), said, requested, peer);
        }
    }
    return site != NULL ? site : best_of(g->any_identity, said, requested, peer);
}

struct site *identities_unproven(const struct gateway *g, const struct endpoint *peer)
{
    struct ike_identity by_address;
    size_t length = address_bytes(peer->address.family);

    if (!ike_identity_set(&by_address, length == 4 ? IKEV2_ID_IPV4_ADDR : IKEV2_ID_IPV6_ADDR,
                          (struct slice){peer->address.bytes, length})) {
        return NULL;
    }
    for (struct site *site = identities_expecting(g, &by_address); site != NULL;
         site = site->next_same_identity) {
        /* The first address of a site is what it is found by. */
        if (site->config->unauthenticated && site_is_enabled(site) &&
            address_equal(&site->config->peers[0].address, &peer->address)) {
            return site;
        }
    }
    return NULL;
}
