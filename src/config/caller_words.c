/*
 * Decides what a site means whose peer is a gateway for people: we log in there as one of them
 * (XAUTH), and it may give us an address and say what is behind it (mode-config).
 */
#include <stdio.h>
#include <string.h>

#include "config/schema.h"

#define GROUP_BYTES_MAX 247 /* "keyid:" and this is an identity */
#define KEY_ID "keyid:"

void take_caller_login(struct reading *r, const struct statement *s)
{
    const struct word *user = &s->words[1];

    if (user->text.length == 0 || user->text.length >= CONFIG_USER_BYTES) {
        COMPLAIN(r, user->place, NULL, "the name of a user has 1 to %d bytes",
                 CONFIG_USER_BYTES - 1);
        return;
    }
    if (s->count > 3 && !is_word(&s->words[3], "hybrid")) {
        COMPLAIN(r, s->words[3].place, "such as: login alice @alice-password hybrid",
                 "here only the word 'hybrid' can stand");
        return;
    }
    if (take_secret_name(r, &s->words[2], &r->caller.password)) {
        r->caller.user = arena_text(r->arena, user->text);
        r->caller.hybrid = s->count > 3;
    }
}

void write_caller_login(const struct schema_word *w, const struct shown *shown)
{
    const struct config_caller *caller = shown->site->caller;

    if (caller != NULL && caller->user != NULL) {
        sheet_addf(shown->out, "%s ", w->word);
        sheet_add_word(shown->out, caller->user);
        sheet_addf(shown->out, " @%s%s\n", caller->password.name, caller->hybrid ? " hybrid" : "");
    }
}

void take_caller_address(struct reading *r, const struct statement *s)
{
    static const char *const words[] = {"off", "ask", "take"};
    char shown[VALUE_SHOWN_BYTES + 4];

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (is_word(&s->words[1], words[i])) {
            r->caller.asks_address = i > 0;
            r->caller.takes_push = i == 2;
            return;
        }
    }
    COMPLAIN(r, s->words[1].place, "one of: ask take off",
             "'%s' is nothing that address can be; whom to dial is said with: peer HOST",
             value_shown(s->words[1].text, shown));
}

void write_caller_address(const struct schema_word *w, const struct shown *shown)
{
    const struct config_caller *caller = shown->site->caller;
    bool asks = caller != NULL && caller->asks_address;

    if (shown->mode != SHOW_SAID || asks) {
        shown_line(shown, w->word, "%s", !asks ? "off" : caller->takes_push ? "take" : "ask");
    }
}

void take_caller_group(struct reading *r, const struct statement *s)
{
    const struct word *word = &s->words[1];
    char text[GROUP_BYTES_MAX + sizeof(KEY_ID)];

    if (word->text.length == 0 || word->text.length > GROUP_BYTES_MAX) {
        COMPLAIN(r, word->place, NULL, "the name of a group has 1 to %d bytes", GROUP_BYTES_MAX);
        return;
    }
    snprintf(text, sizeof(text), KEY_ID "%.*s", (int)word->text.length,
             (const char *)word->text.data);
    r->caller.group = arena_text(r->arena, slice_of_text(text)) + strlen(KEY_ID);
}

void write_caller_group(const struct schema_word *w, const struct shown *shown)
{
    const struct config_caller *caller = shown->site->caller;

    if (caller != NULL && caller->group != NULL) {
        sheet_addf(shown->out, "%s ", w->word);
        sheet_add_word(shown->out, caller->group);
        sheet_add(shown->out, "\n");
    }
}

/* RFC 2407 4.6.2.11: a key ID says under which name the key is known. */
static void settle_group(struct reading *r)
{
    if (r->caller.group == NULL) {
        return;
    }
    if (r->site.say != NULL) {
        COMPLAIN(r, r->site_note.say, "leave out one of the two",
                 "the name of the group is who we say to be");
        return;
    }
    r->site.say = r->caller.group - strlen(KEY_ID);
}

static void check_version(struct reading *r)
{
    if (r->site.version == CONFIG_IKE_V1) {
        return;
    }
    COMPLAIN(r, r->site.place, "write: ike v1, or: ike v1 aggressive; legacy aggressive",
             "'%s' belongs to IKEv1, which site %s does not speak",
             r->caller.user != NULL   ? "login"
             : r->caller.asks_address ? "address"
                                      : "group-name",
             r->site.name);
}

static void check_modes(struct reading *r)
{
    const struct config_site *site = &r->site;

    if (site->peer_count > 0 && r->peers[0].any) {
        COMPLAIN(r, r->site_note.peer, "name the gateway: peer HOST",
                 "who logs in calls: 'peer any' is nobody to call");
    }
    if (r->caller.hybrid && site->key.name != NULL) {
        COMPLAIN(r, site->key.place, "leave out the line key, or the word hybrid",
                 "with hybrid the gateway has a certificate, and there is no key");
    }
    if (!r->caller.asks_address) {
        return;
    }
    if (site->carriage.mode == CONFIG_TRANSPORT || site->children == CHILDREN_PER_PAIR ||
        site->only_protocol != 0) {
        COMPLAIN(r, said_at(r, "address"), "leave it out, or the other one",
                 "with 'address' the gateway says what goes through the tunnel: it cannot stand "
                 "beside transport mode, 'children per-pair' and 'only'");
    }
    if (r->site_note.lans.count > 0) {
        COMPLAIN(r, said_at(r, "lan"), "leave it out, or: address off",
                 "with 'address' we are one host, with the address that we are given");
    }
}

void caller_settle(struct reading *r)
{
    struct config_caller *kept;

    if (r->caller.user == NULL && !r->caller.asks_address && r->caller.group == NULL) {
        return;
    }
    settle_group(r);
    check_version(r);
    check_modes(r);
    kept = arena_take(r->arena, sizeof(*kept));
    if (kept != NULL) {
        *kept = r->caller;
        r->site.caller = kept;
    }
}
