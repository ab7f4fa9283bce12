/* Decides what the words of a site mean that are about going back to what is better. */
#include <string.h>

#include "config/schema.h"

#define SECONDS(n) ((n)*UINT64_C(1000))
#define LEAST_S 10
#define MOST_S (12 * 3600)

static void take_wait(struct reading *r, const struct word *word, uint16_t *out_s)
{
    struct complaint c;
    uint64_t time_ms = 0;

    if (is_word(word, "off")) {
        *out_s = 0;
    } else if (value_duration(word->text, SECONDS(LEAST_S), SECONDS(MOST_S), &time_ms, &c)) {
        *out_s = (uint16_t)(time_ms / 1000);
    } else {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
    }
}

static void write_wait(const struct schema_word *w, const struct shown *shown, uint16_t time_s,
                       uint16_t standard_s)
{
    char text[VALUE_TEXT_BYTES];

    if (shown->mode != SHOW_SAID || time_s != standard_s) {
        shown_line(shown, w->word, "%s",
                   time_s == 0 ? "off" : value_duration_text(SECONDS(time_s), text));
    }
}

void take_return(struct reading *r, const struct statement *s)
{
    take_wait(r, &s->words[1], &r->site.return_s);
}

void write_return(const struct schema_word *w, const struct shown *shown)
{
    write_wait(w, shown, shown->site->return_s, DEFAULT_RETURN_S);
}

void take_resolve(struct reading *r, const struct statement *s)
{
    take_wait(r, &s->words[1], &r->site.resolve_s);
}

void write_resolve(const struct schema_word *w, const struct shown *shown)
{
    write_wait(w, shown, shown->site->resolve_s, DEFAULT_RESOLVE_S);
}

/* ---- our uplinks ---- */

static bool may_be_address(struct slice word)
{
    bool only_digits = word.length > 0;

    for (size_t i = 0; i < word.length; i++) {
        uint8_t c = word.data[i];

        if (c == ':') {
            return true;
        }
        only_digits = only_digits && ((c >= '0' && c <= '9') || c == '.');
    }
    return only_digits;
}

static bool take_one(struct reading *r, const struct word *word, struct config_uplink *out)
{
    struct complaint c;

    *out = (struct config_uplink){0};
    if (!may_be_address(word->text)) {
        if (!value_device(word->text, &c)) {
            COMPLAIN(r, word->place, c.advice, "%s", c.why);
            return false;
        }
        out->text = arena_text(r->arena, word->text);
        return true;
    }
    if (!value_address(word->text, &out->address, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return false;
    }
    if (address_is_any(&out->address) || address_is_multicast(&out->address)) {
        COMPLAIN(r, word->place, "such as: uplink eth0 wwan0",
                 "this is no address of a machine, so nothing is sent from there");
        return false;
    }
    char text[ADDRESS_TEXT_BYTES];

    out->text = arena_text(r->arena, slice_of_text(address_format(&out->address, text)));
    return true;
}

static struct config_uplinks *uplinks_of_scope(struct reading *r)
{
    struct config_uplinks **list = &r->uplinks[r->scope == SCOPE_SITE];

    if (*list == NULL) {
        *list = arena_take(r->arena, sizeof(**list));
        if (*list == NULL) {
            return NULL;
        }
        **list = (struct config_uplinks){0};
        *(r->scope == SCOPE_SITE ? &r->site.uplinks : &r->config->uplinks) = *list;
    }
    return *list;
}

void take_uplink(struct reading *r, const struct statement *s)
{
    struct config_uplinks *list = uplinks_of_scope(r);

    for (size_t i = 1; list != NULL && i < s->count; i++) {
        struct config_uplink one;

        if (!take_one(r, &s->words[i], &one) || one.text == NULL) {
            continue;
        }
        for (size_t j = 0; j < list->count; j++) {
            if (strcmp(list->list[j].text, one.text) == 0) {
                COMPLAIN(r, s->words[i].place, NULL, "this uplink is said twice");
                return;
            }
        }
        if (list->count == CONFIG_UPLINKS_MAX) {
            COMPLAIN(r, s->words[i].place, NULL, "more than %d uplinks are too many",
                     CONFIG_UPLINKS_MAX);
            return;
        }
        list->list[list->count++] = one;
        if (one.address.family != FAMILY_NONE && r->uplink_said_count < UPLINKS_SAID_MAX) {
            r->uplinks_said[r->uplink_said_count++] =
                (struct said_uplink){one.address, s->words[i].place};
        }
    }
}

void write_uplink(const struct schema_word *w, const struct shown *shown)
{
    const struct config_uplinks *own =
        shown->site != NULL ? shown->site->uplinks : shown->config->uplinks;

    for (size_t i = 0; own != NULL && i < own->count; i++) {
        shown_line(shown, w->word, "%s", own->list[i].text);
    }
}

void check_site_uplinks(struct reading *r)
{
    if (r->site.uplinks == NULL) {
        return;
    }
    if (r->site.carriage.mode == CONFIG_TRANSPORT) {
        COMPLAIN(r, said_at(r, "uplink"), "leave it out, or write: mode tunnel",
                 "transport mode protects what goes between two addresses, and they cannot change");
    } else if (r->site.peer_count > 0 && r->peers[0].any) {
        COMPLAIN(r, said_at(r, "uplink"), "say it at the side that calls",
                 "'peer any' is never called: who calls chooses the way");
    }
}

void check_uplinks(struct reading *r)
{
    const struct config *config = r->config;

    for (size_t i = 0; i < r->uplink_said_count && config->listen_count > 0; i++) {
        bool listens = false;

        for (size_t j = 0; j < config->listen_count; j++) {
            listens = listens || address_equal(&config->listen[j], &r->uplinks_said[i].address);
        }
        if (!listens) {
            COMPLAIN(r, r->uplinks_said[i].place, "add it to 'listen'",
                     "'listen' says other addresses, so nothing can be sent from this one");
        }
    }
}
