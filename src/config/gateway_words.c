/* Decides what the words of the gateway itself mean: its name, its networks, where it listens. */
#include <stdio.h>
#include <string.h>

#include "config/schema.h"

void take_gateway(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];
    struct config_host host;
    struct complaint c;

    if (!value_host(word->text, &host, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return;
    }
    r->config->gateway = arena_text(r->arena, word->text);
}

void write_gateway(const struct schema_word *w, const struct shown *shown)
{
    shown_line(shown, w->word, "%s", shown->config->gateway);
}

bool note_network(struct reading *r, const struct network *network,
                  const struct config_place *place, struct said_networks *into)
{
    if (r->network_count == NETWORKS_MAX) {
        if (!r->told_too_many) {
            COMPLAIN(r, *place, NULL, "more than %d networks are too many", NETWORKS_MAX);
        }
        r->told_too_many = true;
        return false;
    }
    if (into->count == into->capacity) {
        void *larger =
            arena_grow(r->notes, into->list, into->count, &into->capacity, sizeof(*into->list));
        if (larger == NULL) {
            return false;
        }
        into->list = larger;
    }
    into->list[into->count++] = (struct said_network){*network, *place};
    r->network_count++;
    return true;
}

bool take_one_network(struct reading *r, const struct word *word, struct said_networks *into)
{
    struct network network;
    struct complaint c;

    if (slice_equal_text(word->text, "seen-as") || slice_equal_text(word->text, "shown-as")) {
        COMPLAIN(r, word->place, NULL, "'%.8s' is not in this version of Sekisho",
                 word->text.data[1] == 'e' ? "seen-as" : "shown-as");
        return false;
    }
    if (!value_network(word->text, &network, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return true;
    }
    if (address_is_loopback(&network.address) || address_is_link_local(&network.address)) {
        char text[NETWORK_TEXT_BYTES];
        COMPLAIN(r, word->place, NULL, "%s never leaves its machine or its cable",
                 network_format(&network, text));
        return true;
    }
    return note_network(r, &network, &word->place, into);
}

void take_lan(struct reading *r, const struct statement *s)
{
    struct said_networks *into = builds_site(r) ? &r->site_note.lans : &r->lans;
    bool more = true;

    for (size_t i = 1; more && i < s->count; i++) {
        more = take_one_network(r, &s->words[i], into);
    }
}

/* In a hash the networks of the gateway stand for themselves: they may be many, and many sites have
 * them. */
static uint64_t networks_hash(const struct network *list, size_t count)
{
    static const uint8_t key[16] = "networks of lans";
    uint64_t hash = 0;

    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[26];
        put_u64(bytes, hash);
        memcpy(bytes + 8, list[i].address.bytes, 16);
        bytes[24] = list[i].address.family;
        bytes[25] = list[i].prefix_bits;
        hash = siphash24(key, SLICE_OF(bytes));
    }
    return hash;
}

void write_lan(const struct schema_word *w, const struct shown *shown)
{
    const struct config_site *site = shown->site;
    bool own = site != NULL && site->lan_count > 0;
    const struct network *list = own ? site->lans : shown->config->lans;
    size_t count = own ? site->lan_count : shown->config->lan_count;

    /* In transport mode the gateway's networks are none of the site's, nor where we are given an
     * address. */
    if (site != NULL && !own &&
        (shown->mode == SHOW_SAID || site->carriage.mode == CONFIG_TRANSPORT ||
         (site->caller != NULL && site->caller->asks_address))) {
        return;
    }
    if (shown->mode == SHOW_HASH) {
        uint64_t hash = own || site == NULL ? networks_hash(list, count) : shown->lans_hash;
        shown_line(shown, w->word, "%016llx", (unsigned long long)hash);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        char text[NETWORK_TEXT_BYTES];
        shown_line(shown, w->word, "%s", network_format(&list[i], text));
    }
}

void take_listen(struct reading *r, const struct statement *s)
{
    for (size_t i = 1; i < s->count; i++) {
        const struct word *word = &s->words[i];
        struct address address;
        struct complaint c;
        if (!value_address(word->text, &address, &c)) {
            COMPLAIN(r, word->place, c.advice, "%s", c.why);
            continue;
        }
        if (address_is_multicast(&address)) {
            COMPLAIN(r, word->place, NULL, "nobody can listen on a multicast address");
            continue;
        }
        if (address_is_any(&address)) {
            COMPLAIN(r, word->place, "leave 'listen' out to listen on all addresses",
                     "this address stands for all");
            continue;
        }
        bool twice = false;
        for (size_t j = 0; j < r->config->listen_count; j++) {
            twice = twice || address_equal(&r->config->listen[j], &address);
        }
        if (twice) {
            COMPLAIN(r, word->place, NULL, "this address is said twice");
        } else if (r->config->listen_count == ARRAY_LENGTH(r->config->listen)) {
            COMPLAIN(r, word->place, "leave 'listen' out to listen on all addresses",
                     "more than %zu addresses are too many", ARRAY_LENGTH(r->config->listen));
            return;
        } else {
            r->config->listen[r->config->listen_count++] = address;
        }
    }
}

void write_listen(const struct schema_word *w, const struct shown *shown)
{
    for (size_t i = 0; i < shown->config->listen_count; i++) {
        char text[ADDRESS_TEXT_BYTES];
        shown_line(shown, w->word, "%s", address_format(&shown->config->listen[i], text));
    }
}

void take_port(struct reading *r, const struct statement *s)
{
    uint64_t ports[2] = {DEFAULT_PORT, DEFAULT_NAT_PORT};

    if (s->count == 3 || (s->count == 4 && !slice_equal_text(s->words[2].text, "nat"))) {
        COMPLAIN(r, s->words[2].place, "such as: port 500 nat 4500",
                 "behind the port stands 'nat' with the other one");
        return;
    }
    for (size_t i = 0; i * 2 + 1 < s->count; i++) {
        const struct word *word = &s->words[i * 2 + 1];
        struct complaint c;
        if (!value_number(word->text, 1, UINT16_MAX, &ports[i], &c)) {
            COMPLAIN(r, word->place, c.advice, "%s", c.why);
            return;
        }
    }
    if (ports[0] == ports[1]) {
        COMPLAIN(r, s->words[s->count - 1].place, NULL,
                 "the port with NAT traversal must be another one");
        return;
    }
    r->config->port = (uint16_t)ports[0];
    r->config->nat_port = (uint16_t)ports[1];
}

void write_port(const struct schema_word *w, const struct shown *shown)
{
    if (shown->mode != SHOW_SAID || shown->config->port != DEFAULT_PORT ||
        shown->config->nat_port != DEFAULT_NAT_PORT) {
        shown_line(shown, w->word, "%u nat %u", (unsigned)shown->config->port,
                   (unsigned)shown->config->nat_port);
    }
}

void take_device(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];
    struct complaint c;

    if (!value_device(word->text, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return;
    }
    r->config->device = arena_text(r->arena, word->text);
}

void write_device(const struct schema_word *w, const struct shown *shown)
{
    if (shown->mode != SHOW_SAID || strcmp(shown->config->device, DEFAULT_DEVICE) != 0) {
        shown_line(shown, w->word, "%s", shown->config->device);
    }
}

void take_workers(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];
    uint64_t number;
    struct complaint c;

    if (!word->quoted && slice_equal_text(word->text, "auto")) {
        r->config->workers = 0;
        return;
    }
    if (!value_number(word->text, 1, CONFIG_WORKERS_MAX, &number, &c)) {
        COMPLAIN(r, word->place, "'auto', or from 1 to 32", "%s", c.why);
        return;
    }
    r->config->workers = (uint32_t)number;
}

void write_workers(const struct schema_word *w, const struct shown *shown)
{
    if (shown->config->workers != 0) {
        shown_line(shown, w->word, "%u", (unsigned)shown->config->workers);
    } else if (shown->mode != SHOW_SAID) {
        shown_line(shown, w->word, "auto");
    }
}
