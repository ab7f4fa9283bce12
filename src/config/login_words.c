/*
 * Decides what the words mean that are about who may log in: where users stand, which RADIUS
 * servers know more, in which order both are asked, and whether a password alone is enough.
 */
#include <string.h>

#include "base/text.h"
#include "config/schema.h"

static const char *const source_names[CONFIG_LOGIN_SOURCES] = {"local", "radius"};
static const char *const factor_words[] = {"off", "totp", "totp appended"};

void take_users(struct reading *r, const struct statement *s)
{
    char why[512] = "";

    if (!is_word(&s->words[1], "from")) {
        COMPLAIN(r, s->words[1].place, "write: users from FILE; or: sekisho users add NAME",
                 "users stand in a file of their own");
        return;
    }
    if (take_path(r, &s->words[2], &r->config->users_file) && r->loader->users != NULL &&
        !r->loader->users(r->loader->context, r->config->users_file, why, sizeof(why))) {
        COMPLAIN(r, s->words[2].place, "sekisho users check shows all that is wrong with it", "%s",
                 why);
    }
}

void write_users(const struct schema_word *w, const struct shown *shown)
{
    if (shown->config->users_file != NULL) {
        sheet_addf(shown->out, "%s from ", w->word);
        sheet_add_word(shown->out, shown->config->users_file);
        sheet_add(shown->out, "\n");
    }
}

/* ---- radius ---- */

static bool take_udp_port(struct reading *r, const struct word *word, uint16_t *out)
{
    struct complaint c;
    uint64_t number;

    if (!value_number(word->text, 1, UINT16_MAX, &number, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return false;
    }
    *out = (uint16_t)number;
    return true;
}

/* The words behind the secret, in any order and each once. */
static bool take_rest(struct reading *r, const struct statement *s, struct config_radius *server)
{
    bool port = false;
    bool accounting = false;

    for (size_t at = 3; at < s->count; at++) {
        const struct word *word = &s->words[at];

        if (is_word(word, "port") && at + 1 < s->count && !port) {
            port = true;
            if (!take_udp_port(r, &s->words[++at], &server->port)) {
                return false;
            }
        } else if (is_word(word, "accounting") && at + 1 < s->count && !accounting) {
            accounting = true;
            server->accounting_port = 0;
            if (!is_word(&s->words[++at], "off") &&
                !take_udp_port(r, &s->words[at], &server->accounting_port)) {
                return false;
            }
        } else if (is_word(word, "unsigned-replies") && !server->unsigned_replies) {
            server->unsigned_replies = true;
            WARN(r, word->place, "better: let the server sign its replies, and leave the word out",
                 "whoever is between this machine and %s can make an acceptance of a refusal "
                 "(CVE-2024-3596)",
                 "the server");
        } else {
            COMPLAIN(r, word->place, "such as: radius 10.1.0.20 @radius port 1812",
                     "behind the secret can stand: port PORT, accounting PORT or off, and "
                     "unsigned-replies");
            return false;
        }
    }
    return true;
}

void take_radius(struct reading *r, const struct statement *s)
{
    struct config *config = r->config;
    struct config_radius server = {.place = s->words[1].place,
                                   .port = CONFIG_RADIUS_PORT,
                                   .accounting_port = CONFIG_RADIUS_ACCOUNTING_PORT};
    struct complaint c;

    if (!value_address(s->words[1].text, &server.address, &c)) {
        COMPLAIN(r, s->words[1].place, c.advice, "%s", c.why);
        return;
    }
    if (address_is_any(&server.address) || address_is_multicast(&server.address)) {
        COMPLAIN(r, s->words[1].place, NULL, "this is not the address of one server");
        return;
    }
    if (!take_secret_name(r, &s->words[2], &server.secret) || !take_rest(r, s, &server)) {
        return;
    }
    for (size_t i = 0; i < config->radius_count; i++) {
        if (address_equal(&config->radius[i].address, &server.address) &&
            config->radius[i].port == server.port) {
            COMPLAIN(r, server.place, NULL, "this server is said on line %u already",
                     (unsigned)config->radius[i].place.line);
            return;
        }
    }
    if (config->radius_count == CONFIG_RADIUS_MAX) {
        COMPLAIN(r, server.place, NULL, "there can be %d RADIUS servers", CONFIG_RADIUS_MAX);
        return;
    }
    config->radius[config->radius_count++] = server;
}

static void write_server(const struct schema_word *w, const struct shown *shown,
                         const struct config_radius *server)
{
    bool all = shown->mode != SHOW_SAID;
    char address[ADDRESS_TEXT_BYTES];

    sheet_addf(shown->out, "%s %s @%s", w->word, address_format(&server->address, address),
               server->secret.name);
    if (all || server->port != CONFIG_RADIUS_PORT) {
        sheet_addf(shown->out, " port %u", (unsigned)server->port);
    }
    if (server->accounting_port == 0) {
        sheet_add(shown->out, " accounting off");
    } else if (all || server->accounting_port != CONFIG_RADIUS_ACCOUNTING_PORT) {
        sheet_addf(shown->out, " accounting %u", (unsigned)server->accounting_port);
    }
    sheet_add(shown->out, server->unsigned_replies ? " unsigned-replies\n" : "\n");
}

void write_radius(const struct schema_word *w, const struct shown *shown)
{
    for (size_t i = 0; i < shown->config->radius_count; i++) {
        write_server(w, shown, &shown->config->radius[i]);
    }
}

/* ---- of a block: login, second-factor ---- */

static bool take_source(struct reading *r, const struct word *word, struct config_login *into)
{
    for (unsigned source = 0; source < CONFIG_LOGIN_SOURCES; source++) {
        if (!is_word(word, source_names[source])) {
            continue;
        }
        if (memchr(into->sources, (int)source, into->source_count) != NULL) {
            COMPLAIN(r, word->place, NULL, "'%s' is asked once", source_names[source]);
            return false;
        }
        into->sources[into->source_count++] = (uint8_t)source;
        return true;
    }
    COMPLAIN(r, word->place, "such as: login radius then local",
             "here stands who is asked: local or radius");
    return false;
}

void login_take(struct reading *r, const struct statement *s, struct config_login *into)
{
    into->source_count = 0;
    for (size_t i = 1; i < s->count; i++) {
        if (i % 2 == 0 && !is_word(&s->words[i], "then")) {
            COMPLAIN(r, s->words[i].place, "such as: login radius then local",
                     "between two who are asked stands 'then'");
            return;
        }
        if (i % 2 == 1 && !take_source(r, &s->words[i], into)) {
            return;
        }
    }
    if (s->count % 2 == 1) {
        COMPLAIN(r, s->words[s->count - 1].place, "such as: login radius then local",
                 "behind 'then' stands who is asked next");
    }
}

void login_write(const struct schema_word *w, const struct shown *shown,
                 const struct config_login *login)
{
    bool standard = login->source_count == 0 ||
                    (login->source_count == 1 && login->sources[0] == CONFIG_LOGIN_LOCAL);

    if (standard && shown->mode == SHOW_SAID) {
        return;
    }
    sheet_addf(shown->out, "%s %s", w->word, standard ? "local" : source_names[login->sources[0]]);
    for (size_t i = 1; i < login->source_count; i++) {
        sheet_addf(shown->out, " then %s", source_names[login->sources[i]]);
    }
    sheet_add(shown->out, "\n");
}

void login_take_factor(struct reading *r, const struct statement *s, struct config_login *into)
{
    bool totp = is_word(&s->words[1], "totp");

    if (is_word(&s->words[1], "off") && s->count == 2) {
        into->second_factor = CONFIG_FACTOR_NONE;
    } else if (totp && s->count == 2) {
        into->second_factor = CONFIG_FACTOR_ASKED;
    } else if (totp && s->count == 3 && is_word(&s->words[2], "appended")) {
        into->second_factor = CONFIG_FACTOR_APPENDED;
    } else {
        COMPLAIN(r, s->words[s->count - 1].place,
                 "the code is asked for by itself, or typed behind the password (appended)",
                 "here stands totp, totp appended, or off");
    }
}

void login_write_factor(const struct schema_word *w, const struct shown *shown,
                        const struct config_login *login)
{
    if (login->second_factor != CONFIG_FACTOR_NONE || shown->mode != SHOW_SAID) {
        shown_line(shown, w->word, "%s", factor_words[login->second_factor]);
    }
}

void login_check(struct reading *r, const struct config_login *login,
                 const struct config_place *place)
{
    if (memchr(login->sources, CONFIG_LOGIN_RADIUS, login->source_count) != NULL &&
        r->config->radius_count == 0) {
        COMPLAIN(r, *place, "such as: radius 10.1.0.20 @radius; outside of all blocks",
                 "logins are asked of RADIUS here, and no server is said");
    }
}
